//! Columns of addresses and text: each dictionary entry is parsed once, codes go through as they are.
//!
//! Where it sits: under `chunk`.
//! What it does not do: it drops no row; a bad value leaves a null and a mark.

use crate::flow::Field;
use crate::read::Reason;
use crate::read::batch::{Column, NULL};
use crate::read::field::name;
use crate::read::intern::{Addresses, Dictionary, Texts};
use crate::read::parquet::Fault;
use crate::read::parquet::hybrid::Sink;
use crate::read::parquet::marks::Marks;
use crate::read::parquet::numbers::spread;
use crate::read::parquet::page::{Page, Physical, Rows, split_text};

/// Which dictionary the codes of the batch being filled point into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Using {
    Nothing,
    /// The column chunk's own; shared by all batches of the chunk.
    Stored,
    /// One built from plain values.
    Built,
}

/// What a code past the end of the stored dictionary becomes: one past the end of any. The batch is refused for it.
const OUTSIDE: i32 = i32::MAX;

/// Converts one column of addresses or text.
pub(super) struct Codes<D> {
    field: Field,
    stored: D,
    /// The stored dictionary's codes as they come; `None` when entry and code are the same throughout.
    renamed: Option<Vec<i32>>,
    built: D,
    using: Using,
    /// What rejected values look like: the code `-2 - i` stands for the i-th. Those of the stored dictionary come
    /// first.
    bad: Vec<(Reason, String)>,
    n_stored_bad: usize,
    rows: Vec<i32>,
    /// Whether nulls or rejected values may be among the rows.
    has_negative: bool,
    // Used again from batch to batch.
    scratch: Vec<i32>,
}

impl Sink for Vec<i32> {
    fn repeated(&mut self, code: u32, n: usize) {
        self.resize(self.len() + n, code as i32);
    }

    fn packed(&mut self, codes: &[u32]) {
        self.extend(codes.iter().map(|code| *code as i32));
    }
}

impl<D: Dictionary> Codes<D> {
    pub(super) fn new(field: Field) -> Self {
        Self {
            field,
            stored: D::default(),
            renamed: None,
            built: D::default(),
            using: Using::Nothing,
            bad: Vec::new(),
            n_stored_bad: 0,
            rows: Vec::new(),
            has_negative: false,
            scratch: Vec::new(),
        }
    }

    /// Whether a missing value has a code; a missing sender is no bad address but how `NODATA` looks.
    fn may_be_missing(&self) -> bool {
        self.field.is_nullable() || self.field == Field::Src
    }

    /// Takes the dictionary: so many plain values.
    pub(super) fn dictionary(&mut self, bytes: &[u8], n: usize) -> Result<(), Fault> {
        let (mut rest, _) = Physical::Bytes.split(bytes, n).ok_or_else(damaged)?;
        let mut renamed = Vec::with_capacity(n);
        let mut stored = D::default();
        self.bad.clear();
        while let Some((text, after)) = split_text(rest) {
            let code = stored.append(text, self.may_be_missing());
            renamed.push(code.unwrap_or_else(|reason| noted(&mut self.bad, reason, text)));
            rest = after;
        }
        let is_same = renamed.iter().enumerate().all(|(code, renamed)| usize::try_from(*renamed) == Ok(code));
        self.stored = stored;
        self.renamed = (!is_same).then_some(renamed);
        self.n_stored_bad = self.bad.len();
        Ok(())
    }

    /// Appends the next rows of a page to the batch.
    pub(super) fn append(&mut self, page: &mut Page, rows: &Rows, levels: &[u32]) -> Result<(), Fault> {
        if rows.n_values == rows.n {
            let mut to = std::mem::take(&mut self.rows);
            let result = self.append_values(page, rows.n_values, &mut to);
            self.rows = to;
            return result;
        }
        let mut present = std::mem::take(&mut self.scratch);
        present.clear();
        self.append_values(page, rows.n_values, &mut present)?;
        self.rows.extend(spread(&present, levels, NULL));
        self.has_negative = true;
        self.scratch = present;
        Ok(())
    }

    fn append_values(&mut self, page: &mut Page, n: usize, to: &mut Vec<i32>) -> Result<(), Fault> {
        if !page.is_coded() {
            self.append_plain(page.plain(Physical::Bytes, n)?, to);
            return Ok(());
        }
        let first = to.len();
        page.codes(n, to)?;
        let appended = to.get_mut(first..).unwrap_or_default();
        if let Some(renamed) = &self.renamed {
            for code in &mut *appended {
                *code = renamed.get(*code as usize).copied().unwrap_or(OUTSIDE);
            }
            self.has_negative = true;
        }
        if self.using == Using::Built {
            // No known writer goes back from plain pages to coded ones.
            for code in appended.iter_mut().filter(|code| **code >= 0) {
                *code = self.built.adopt(&self.stored, *code).unwrap_or(OUTSIDE);
            }
        } else {
            self.using = Using::Stored;
        }
        Ok(())
    }

    fn append_plain(&mut self, bytes: &[u8], to: &mut Vec<i32>) {
        match self.using {
            Using::Built => {}
            Using::Nothing => {
                self.built.start_plain();
            }
            // The batch began with codes of the stored dictionary: they stay, new entries come after them.
            Using::Stored => self.built = self.stored.clone(),
        }
        self.using = Using::Built;
        let mut rest = bytes;
        while let Some((text, after)) = split_text(rest) {
            let code = self.built.plain(text, self.may_be_missing());
            let code = code.unwrap_or_else(|reason| noted(&mut self.bad, reason, text));
            self.has_negative |= code < 0;
            to.push(code);
            rest = after;
        }
    }

    /// Gives the batch's column, all its rows appended, and starts the next.
    pub(super) fn finish(&mut self, marks: &mut Marks<'_>) -> Result<Column, Fault> {
        let n = self.rows.len();
        let mut codes = std::mem::replace(&mut self.rows, Vec::with_capacity(n));
        let has_nulls = std::mem::take(&mut self.has_negative);
        if has_nulls {
            self.mark(&mut codes, marks);
        }
        let values = if self.using == Using::Built { self.built.values()? } else { self.stored.values()? };
        self.using = Using::Nothing;
        self.bad.truncate(self.n_stored_bad);
        Ok(Column::Codes { codes, has_nulls, values })
    }

    fn mark(&self, codes: &mut [i32], marks: &mut Marks<'_>) {
        let lowest_allowed = if self.field.is_nullable() { NULL } else { 0 };
        if codes.iter().copied().fold(0, i32::min) >= lowest_allowed {
            return;
        }
        let field = name(self.field);
        for (row, code) in codes.iter_mut().enumerate().filter(|(_, code)| **code < 0) {
            if *code < NULL {
                let at = usize::try_from(-2 - i64::from(*code)).unwrap_or(usize::MAX);
                if let Some((reason, shown)) = self.bad.get(at) {
                    marks.reject(row, *reason, || format!("{field} {shown}").into());
                }
                *code = NULL;
            } else if self.field == Field::Src {
                marks.reject_without_sender(row);
            } else if !self.field.is_nullable() {
                marks.reject(row, Reason::BadAddress, || format!("{field} missing").into());
            }
        }
    }
}

/// Columns of addresses, and of text.
pub(super) type AddressCodes = Codes<Addresses>;
pub(super) type TextCodes = Codes<Texts>;

/// How many bad entries of a dictionary are remembered by their text; the others only by what is wrong with them.
const MAX_SHOWN: usize = 256;

fn noted(bad: &mut Vec<(Reason, String)>, reason: Reason, text: &[u8]) -> i32 {
    if bad.len() >= MAX_SHOWN {
        if bad.len() == MAX_SHOWN {
            bad.push((reason, "(one of many)".to_owned()));
        }
        return -1 - bad.len() as i32;
    }
    let shown = String::from_utf8_lossy(text.get(..text.len().min(80)).unwrap_or_default()).into_owned();
    bad.push((reason, shown));
    -1 - bad.len() as i32
}

fn damaged() -> Fault {
    Fault::Corrupt("a dictionary is damaged".to_owned())
}
