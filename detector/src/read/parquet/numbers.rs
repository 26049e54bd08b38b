//! Numeric columns: each dictionary entry is checked and converted once, codes are mapped through the result.
//!
//! Where it sits: under `chunk`.
//! What it does not do: it drops no row; a bad value leaves a filler and a mark.

use std::sync::Arc;

use crate::read::Reason;
use crate::read::parquet::Fault;
use crate::read::parquet::hybrid::Sink;
use crate::read::parquet::marks::Marks;
use crate::read::parquet::page::{Page, Physical, Rows, split_text};
use crate::read::rule::Rule;

/// The types numeric columns have in a batch.
pub(super) trait Number: Copy + Default {
    /// From a number that its rule let pass.
    fn narrow(number: u64) -> Self;
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Number for $number {
            fn narrow(number: u64) -> Self {
                number as Self
            }
        })*
    };
}

numbers!(u8, u16, u64, i64);

/// A value that was rejected.
struct Bad {
    /// Its code in the dictionary, or its place among the values of a span.
    at: usize,
    reason: Reason,
    shown: Arc<str>,
}

/// How many bad values of a page are remembered by what they look like; the others only by what is wrong with them: a
/// small page inflates to millions.
const MAX_SHOWN: usize = 256;

/// Converts one numeric column.
pub(super) struct Numbers<T> {
    /// For messages.
    name: &'static str,
    physical: Physical,
    rule: Rule,
    /// By code.
    table: Vec<T>,
    bad_codes: Vec<Bad>,
    // Used again from batch to batch.
    codes: Vec<u32>,
    present: Vec<T>,
}

impl<T: Number> Numbers<T> {
    pub(super) fn new(name: &'static str, physical: Physical, rule: Rule) -> Self {
        Self { name, physical, rule, table: Vec::new(), bad_codes: Vec::new(), codes: Vec::new(), present: Vec::new() }
    }

    /// Takes the dictionary: so many plain values.
    pub(super) fn dictionary(&mut self, bytes: &[u8], n: usize) -> Result<(), Fault> {
        let (values, _) = self.physical.split(bytes, n).ok_or_else(damaged)?;
        self.table.clear();
        self.bad_codes.clear();
        convert(self.physical, self.rule, values, &mut self.table, &mut self.bad_codes);
        Ok(())
    }

    /// Appends the next rows of a page.
    pub(super) fn append(
        &mut self,
        page: &mut Page,
        rows: &Rows,
        levels: &[u32],
        into: &mut Vec<T>,
        marks: &mut Marks<'_>,
    ) -> Result<(), Fault> {
        let first_row = into.len();
        let has_nulls = rows.n_values < rows.n;
        let mut present = std::mem::take(&mut self.present);
        present.clear();
        let to = if has_nulls { &mut present } else { &mut *into };
        let mut bad = Vec::new();
        if !page.is_coded() {
            let values = page.plain(self.physical, rows.n_values)?;
            convert(self.physical, self.rule, values, to, &mut bad);
        } else if self.bad_codes.is_empty() {
            let mut gather = Gather { table: &self.table, to, is_outside: false };
            page.codes(rows.n_values, &mut gather)?;
            if gather.is_outside {
                return Err(Fault::Corrupt(format!("a code past the dictionary's end in `{}`", self.name)));
            }
        } else {
            self.append_marking(page, rows.n_values, to, &mut bad)?;
        }
        if has_nulls {
            let filler = self.rule.missing();
            into.extend(spread(&present, levels, T::narrow(filler.unwrap_or(0))));
            if let Err(reason) = filler {
                for (row, _) in levels.iter().enumerate().filter(|(_, level)| **level == 0) {
                    marks.reject(first_row + row, reason, || format!("{} missing", self.name).into());
                }
            }
        }
        self.present = present;
        if !bad.is_empty() {
            let rows: Vec<usize> = if has_nulls {
                levels.iter().enumerate().filter(|(_, level)| **level == 1).map(|(row, _)| row).collect()
            } else {
                (0..rows.n).collect()
            };
            for Bad { at, reason, shown } in &bad {
                let row = rows.get(*at).copied().unwrap_or_default();
                marks.reject(first_row + row, *reason, || format!("{} {shown}", self.name).into());
            }
        }
        Ok(())
    }

    /// The same through a dictionary that has bad entries.
    #[cold]
    fn append_marking(&mut self, page: &mut Page, n: usize, to: &mut Vec<T>, bad: &mut Vec<Bad>) -> Result<(), Fault> {
        self.codes.clear();
        page.codes(n, &mut self.codes)?;
        for (at, code) in self.codes.iter().enumerate() {
            let code = *code as usize;
            to.push(*self.table.get(code).ok_or_else(damaged)?);
            // In the order of codes.
            if let Ok(found) = self.bad_codes.binary_search_by_key(&code, |bad| bad.at)
                && let Some(found) = self.bad_codes.get(found)
            {
                bad.push(Bad { at, reason: found.reason, shown: Arc::clone(&found.shown) });
            }
        }
        Ok(())
    }
}

/// Puts values where the levels say there is one, and the filler elsewhere. Without a branch: which rows lack a value
/// is as good as random.
pub(super) fn spread<T: Copy>(values: &[T], levels: &[u32], filler: T) -> impl Iterator<Item = T> {
    let mut n_used = 0;
    levels.iter().map(move |level| {
        let value = values.get(n_used).copied().unwrap_or(filler);
        n_used += *level as usize;
        if *level == 0 { filler } else { value }
    })
}

/// Maps codes through the dictionary.
struct Gather<'a, T> {
    table: &'a [T],
    to: &'a mut Vec<T>,
    is_outside: bool,
}

impl<T: Number> Sink for Gather<'_, T> {
    fn repeated(&mut self, code: u32, n: usize) {
        let value = self.table.get(code as usize).copied();
        self.is_outside |= value.is_none();
        self.to.resize(self.to.len() + n, value.unwrap_or_default());
    }

    fn packed(&mut self, codes: &[u32]) {
        let highest = codes.iter().copied().fold(0, u32::max);
        self.is_outside |= highest as usize >= self.table.len();
        self.to.extend(codes.iter().map(|code| self.table.get(*code as usize).copied().unwrap_or_default()));
    }
}

/// Converts plain values, bad ones to a filler.
fn convert<T: Number>(physical: Physical, rule: Rule, bytes: &[u8], into: &mut Vec<T>, bad: &mut Vec<Bad>) {
    let first = into.len();
    let mut checked = |at: usize, number: Result<u64, Reason>, shown: &dyn Fn() -> String| {
        number.unwrap_or_else(|reason| {
            let shown = match bad.last() {
                _ if bad.len() < MAX_SHOWN => shown().into(),
                Some(last) if bad.len() > MAX_SHOWN => Arc::clone(&last.shown),
                _ => "(one of many)".into(),
            };
            bad.push(Bad { at: at - first, reason, shown });
            0
        })
    };
    // Negative numbers are too large for every rule but those of counts: there the sign is the limit.
    let signed = rule.for_signed();
    match physical {
        Physical::I32 => {
            let numbers = bytes.as_chunks().0.iter().map(|bytes| i64::from(i32::from_le_bytes(*bytes)) as u64);
            convert_integers(signed, numbers, into, &mut checked);
        }
        Physical::U32 => {
            let numbers = bytes.as_chunks().0.iter().map(|bytes| u64::from(u32::from_le_bytes(*bytes)));
            convert_integers(rule, numbers, into, &mut checked);
        }
        Physical::I64 => {
            let numbers = bytes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
            convert_integers(signed, numbers, into, &mut checked);
        }
        Physical::U64 => {
            let numbers = bytes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
            convert_integers(rule, numbers, into, &mut checked);
        }
        Physical::Times { per_second } => {
            let seconds = |bytes: &[u8; 8]| i64::from_le_bytes(*bytes).div_euclid(per_second) as u64;
            convert_integers(signed, bytes.as_chunks().0.iter().map(seconds), into, &mut checked);
        }
        Physical::Int96 => {
            let seconds = |bytes: &[u8; 12]| int96_seconds(*bytes) as u64;
            convert_integers(signed, bytes.as_chunks().0.iter().map(seconds), into, &mut checked);
        }
        Physical::F32 => {
            for number in bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)) {
                let at = into.len();
                into.push(T::narrow(checked(at, rule.single(number), &|| number.to_string())));
            }
        }
        Physical::F64 => {
            for number in bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)) {
                let at = into.len();
                into.push(T::narrow(checked(at, rule.double(number), &|| number.to_string())));
            }
        }
        Physical::Bytes => {
            let mut rest = bytes;
            while let Some((text, after)) = split_text(rest) {
                let at = into.len();
                let shown = || String::from_utf8_lossy(text.get(..text.len().min(80)).unwrap_or_default()).into_owned();
                into.push(T::narrow(checked(at, rule.text(text), &shown)));
                rest = after;
            }
        }
    }
}

/// The Unix seconds of a time in Parquet's deprecated form.
fn int96_seconds([nanos @ .., a, b, c, d]: [u8; 12]) -> i64 {
    /// The Julian day of 1970-01-01.
    const FIRST_DAY: i64 = 2_440_588;
    const DAY_SECS: i64 = 86_400;
    let day = i64::from(u32::from_le_bytes([a, b, c, d]));
    (day - FIRST_DAY) * DAY_SECS + i64::from_le_bytes(nanos).div_euclid(1_000_000_000)
}

/// Converts integers; negative ones come as huge ones, so that one comparison after the loop finds both.
fn convert_integers<T: Number>(
    rule: Rule,
    numbers: impl Iterator<Item = u64> + Clone,
    into: &mut Vec<T>,
    checked: &mut impl FnMut(usize, Result<u64, Reason>, &dyn Fn() -> String) -> u64,
) {
    let first = into.len();
    let mut highest = 0;
    into.extend(numbers.clone().map(|number| {
        highest = highest.max(number);
        T::narrow(number)
    }));
    if rule.number(highest).is_err() {
        into.truncate(first);
        for (at, number) in numbers.enumerate() {
            into.push(T::narrow(checked(first + at, rule.number(number), &|| (number as i64).to_string())));
        }
    }
}

fn damaged() -> Fault {
    Fault::Corrupt("a dictionary is damaged".to_owned())
}
