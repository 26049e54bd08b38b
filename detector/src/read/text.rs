//! Flow log text: a header that names the fields, then a record a line.
//!
//! Where it sits: takes bytes from an object or from `gzip`, gives batches.
//! What it does not do: it never goes by position or token count; a line that does not fit the header is a counted
//! reject.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_schema::ArrowError;

use crate::flow::{Field, FlowBatch};
use crate::read::account::{Account, Reason};
use crate::read::batch::{self, Column};
use crate::read::field::{Places, is_known};
use crate::read::intern::{Addresses, Dictionary, Texts};
use crate::read::rule::{self, Rule};
use crate::read::source::Source;
use crate::read::{Error, Limits};

/// The longest header accepted; all of AWS's fields together have a thousand bytes.
pub(super) const MAX_HEADER_BYTES: usize = 16 << 10;

/// The byte-order mark some editors and shells put before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A header, checked.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Its bytes without the line end, for knowing it again in concatenated objects.
    line: Vec<u8>,
    places: Places,
}

impl Header {
    /// Reads the header from the first bytes of an object.
    ///
    /// # Errors
    /// [`Error::NotFlowLog`] when the first line is no header, [`Error::MissingField`].
    pub(super) fn parse(object: &Arc<str>, start: &[u8]) -> Result<Self, Error> {
        let start = start.strip_prefix(BOM).unwrap_or(start);
        let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let refuse = |what: &str| Error::NotFlowLog { object: Arc::clone(object), what: what.to_owned() };
        let text = std::str::from_utf8(line).ok().filter(|line| line.len() <= MAX_HEADER_BYTES);
        let names: Vec<String> = text.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
        if !is_header(&names) {
            return Err(refuse(what_else(start, &names)));
        }
        let places = Places::find(object, names.iter().map(String::as_str))?;
        Ok(Self { line: line.to_vec(), places })
    }
}

/// Whether the words of a line are field names: all look like names and one is known.
fn is_header(names: &[String]) -> bool {
    let is_name = |name: &String| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    names.iter().all(is_name) && names.iter().any(|name| is_known(name))
}

/// Says what an object is that does not start with a header.
fn what_else(start: &[u8], names: &[String]) -> &'static str {
    let holds = |needle: &[u8]| memchr::memmem::find(start, needle).is_some();
    let first = start.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    if matches!(first, Some(b'{' | b'[')) {
        if holds(b"\"messageType\"") || holds(b"\"logEvents\"") {
            "a CloudWatch Logs envelope (JSON), not a flow log object; let the flow log deliver to S3"
        } else {
            "JSON, not a flow log object"
        }
    } else if names.len() > 1 && names.iter().any(|name| name.starts_with("eni-")) {
        "flow records without a header line, as CloudWatch Logs holds them; put the field names in a first line"
    } else if names.is_empty() && first.is_none() {
        "nothing but blanks, not a flow log object"
    } else {
        "neither Parquet, nor gzip, nor text that starts with flow log field names"
    }
}

/// Where the values of one column of the text go.
enum Sink {
    Skip,
    Status,
    U8(Rule, Vec<u8>),
    U16(Rule, Vec<u16>),
    U64(Rule, Vec<u64>),
    I64(Rule, Vec<i64>),
    Address { is_nullable: bool, last: Vec<u8>, dictionary: Addresses, codes: Vec<i32> },
    Text { last: Vec<u8>, dictionary: Texts, codes: Vec<i32> },
}

impl Sink {
    fn new(field: Option<Field>, n_rows: usize) -> Self {
        use crate::flow::Layout;
        let Some(field) = field else { return Self::Skip };
        match (field.layout(), Rule::of(field)) {
            (Layout::U8, Some(rule)) => Self::U8(rule, Vec::with_capacity(n_rows)),
            (Layout::U16, Some(rule)) => Self::U16(rule, Vec::with_capacity(n_rows)),
            (Layout::U64, Some(rule)) => Self::U64(rule, Vec::with_capacity(n_rows)),
            (Layout::I64, Some(rule)) => Self::I64(rule, Vec::with_capacity(n_rows)),
            (Layout::Address, _) => Self::Address {
                is_nullable: field.is_nullable(),
                last: Vec::new(),
                dictionary: Addresses::default(),
                codes: Vec::with_capacity(n_rows),
            },
            _ => Self::Text { last: Vec::new(), dictionary: Texts::default(), codes: Vec::with_capacity(n_rows) },
        }
    }

    /// Takes one value; a bad one leaves a filler, and the row is dropped with [`Sink::truncate`].
    fn push(&mut self, token: &[u8]) -> Result<(), Reason> {
        match self {
            Self::Skip | Self::Status => Ok(()),
            Self::U8(rule, values) => rule.text(token).map(|value| values.push(value as u8)),
            Self::U16(rule, values) => rule.text(token).map(|value| values.push(value as u16)),
            Self::U64(rule, values) => rule.text(token).map(|value| values.push(value)),
            Self::I64(rule, values) => rule.text(token).map(|value| values.push(value as i64)),
            Self::Address { is_nullable, last, dictionary, codes } => {
                if token == last
                    && let Some(code) = codes.last()
                {
                    codes.push(*code);
                    return Ok(());
                }
                codes.push(dictionary.code(token, *is_nullable)?);
                last.clear();
                last.extend_from_slice(token);
                Ok(())
            }
            Self::Text { last, dictionary, codes } => {
                if token == last
                    && let Some(code) = codes.last()
                {
                    codes.push(*code);
                    return Ok(());
                }
                codes.push(dictionary.code(token, true)?);
                last.clear();
                last.extend_from_slice(token);
                Ok(())
            }
        }
    }

    /// Drops what came after so many rows.
    fn truncate(&mut self, n_rows: usize) {
        match self {
            Self::Skip | Self::Status => {}
            Self::U8(_, values) => values.truncate(n_rows),
            Self::U16(_, values) => values.truncate(n_rows),
            Self::U64(_, values) => values.truncate(n_rows),
            Self::I64(_, values) => values.truncate(n_rows),
            Self::Address { codes, last, .. } | Self::Text { codes, last, .. } => {
                if codes.len() > n_rows {
                    codes.truncate(n_rows);
                    last.clear();
                }
            }
        }
    }

    /// Gives the column and starts a new one.
    fn take(&mut self, n_rows: usize) -> Result<Option<Column>, ArrowError> {
        fn taken<T>(values: &mut Vec<T>, n_rows: usize) -> Vec<T> {
            std::mem::replace(values, Vec::with_capacity(n_rows))
        }
        Ok(Some(match self {
            Self::Skip | Self::Status => return Ok(None),
            Self::U8(_, values) => Column::U8(taken(values, n_rows)),
            Self::U16(_, values) => Column::U16(taken(values, n_rows)),
            Self::U64(_, values) => Column::U64(taken(values, n_rows)),
            Self::I64(_, values) => Column::I64(taken(values, n_rows)),
            Self::Address { codes, dictionary, last, .. } => {
                last.clear();
                let values = dictionary.values()?;
                dictionary.start_batch();
                Column::Codes { codes: taken(codes, n_rows), has_nulls: true, values }
            }
            Self::Text { codes, dictionary, last } => {
                last.clear();
                let values = dictionary.values()?;
                dictionary.start_batch();
                Column::Codes { codes: taken(codes, n_rows), has_nulls: true, values }
            }
        }))
    }
}

/// A column of the text and its sink.
struct Step {
    field: Option<Field>,
    sink: Sink,
}

/// Reads text into batches.
pub(super) struct Reader<'a> {
    object: &'a Arc<str>,
    header: &'a Header,
    limits: &'a Limits,
    steps: Vec<Step>,
    n_rows: usize,
    account: Account,
    each: &'a mut dyn FnMut(FlowBatch),
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        object: &'a Arc<str>,
        header: &'a Header,
        limits: &'a Limits,
        each: &'a mut dyn FnMut(FlowBatch),
    ) -> Self {
        let field_at = |at| Field::ALL.into_iter().find(|field| header.places.of(*field) == Some(at));
        let steps = (0..header.places.n_columns)
            .map(|at| {
                let field = field_at(at);
                let is_status = header.places.status == Some(at);
                let sink = if is_status { Sink::Status } else { Sink::new(field, limits.max_batch_rows) };
                Step { field, sink }
            })
            .collect();
        Self { object, header, limits, steps, n_rows: 0, account: Account::default(), each }
    }

    /// Reads all lines of a source.
    ///
    /// # Errors
    /// Those of the source, and [`Error::NotFlowLog`] for a second header that names other fields.
    pub(super) fn read(mut self, mut source: Source) -> Result<Account, Error> {
        while let Some(block) = source.next_block()? {
            if let Some(position) = block.long_line {
                self.account.reject(Reason::LineTooLong, self.object, position, || shown(block.lines));
                continue;
            }
            let mut position = block.position;
            for line in block.lines.split_inclusive(|byte| *byte == b'\n') {
                self.line(line, position)?;
                position += line.len() as u64;
            }
        }
        self.flush()?;
        Ok(self.account)
    }

    fn line(&mut self, line: &[u8], position: u64) -> Result<(), Error> {
        let n_bytes = line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(());
        }
        if n_bytes > self.limits.max_line_bytes {
            self.account.reject(Reason::LineTooLong, self.object, position, || shown(line));
            return Ok(());
        }
        let mut tokens = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|token| !token.is_empty());
        let mut worst: Option<(Option<Field>, Reason)> = None;
        let mut status = Ok(u64::from(rule::OK));
        let mut n_tokens = 0;
        for step in &mut self.steps {
            let Some(token) = tokens.next() else { break };
            n_tokens += 1;
            if matches!(step.sink, Sink::Status) {
                status = Rule::STATUS.text(token);
            } else if let Err(reason) = step.sink.push(token) {
                let bad = (step.field, reason);
                worst = Some(worst.map_or(bad, |worst| worst.min(bad)));
            }
        }
        let verdict = if n_tokens < self.steps.len() || tokens.next().is_some() {
            Err(Reason::WrongFieldCount)
        } else {
            match (status, worst) {
                (Err(reason), _) | (Ok(0), Some((_, reason))) => Err(reason),
                (Ok(status), _) => Ok(status as u8),
            }
        };
        let verdict = verdict.and_then(|status| {
            let ends_early = status == rule::OK && self.ends_before_start();
            if ends_early { Err(Reason::EndBeforeStart) } else { Ok(status) }
        });
        match verdict {
            Ok(rule::OK) => {
                self.n_rows += 1;
                self.account.rows_read += 1;
                self.account.rows_ok += 1;
                if self.n_rows == self.limits.max_batch_rows {
                    self.flush()?;
                }
                return Ok(());
            }
            Ok(rule::NODATA) => {
                self.account.rows_read += 1;
                self.account.rows_nodata += 1;
            }
            Ok(_) => {
                self.account.rows_read += 1;
                self.account.rows_skipdata += 1;
            }
            Err(reason) => self.reject(reason, line, position)?,
        }
        for step in &mut self.steps {
            step.sink.truncate(self.n_rows);
        }
        Ok(())
    }

    fn ends_before_start(&self) -> bool {
        let last = |field| {
            self.steps.iter().find(|step| step.field == Some(field)).and_then(|step| match &step.sink {
                Sink::I64(_, values) => values.last().copied(),
                _ => None,
            })
        };
        matches!((last(Field::Start), last(Field::End)), (Some(start), Some(end)) if end < start)
    }

    /// Counts a line that is no record, unless it is a header again, as in objects put together from several.
    #[cold]
    fn reject(&mut self, reason: Reason, line: &[u8], position: u64) -> Result<(), Error> {
        if line == self.header.line {
            return Ok(());
        }
        let names: Vec<String> = String::from_utf8_lossy(line).split_ascii_whitespace().map(str::to_owned).collect();
        if names.len() > 1 && is_header(&names) && names.iter().any(|name| name == "srcaddr") {
            let what = format!("a second header at byte {position} names other fields; split the object there");
            return Err(Error::NotFlowLog { object: Arc::clone(self.object), what });
        }
        self.account.reject(reason, self.object, position, || shown(line));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.n_rows == 0 {
            return Ok(());
        }
        let corrupt = |what| Error::Corrupt { object: Arc::clone(self.object), format: "text", what };
        let columns = self.columns().map_err(|error| corrupt(error.to_string()))?;
        let batch = batch::finish(self.n_rows, columns).map_err(|error| corrupt(error.to_string()))?;
        self.n_rows = 0;
        (self.each)(batch);
        Ok(())
    }

    fn columns(&mut self) -> Result<Vec<(Field, Column)>, ArrowError> {
        let mut columns = Vec::with_capacity(Field::COUNT);
        for step in &mut self.steps {
            if let Some(field) = step.field
                && let Some(column) = step.sink.take(self.limits.max_batch_rows)?
            {
                columns.push((field, column));
            }
        }
        Ok(columns)
    }
}

fn shown(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line.get(..line.len().min(512)).unwrap_or_default())
}
