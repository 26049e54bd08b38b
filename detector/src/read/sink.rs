//! The columns of a text being filled, token by token.
//!
//! Where it sits: under `text`, one for each field of the header.
//! What it does not do: it knows nothing of lines; a row that turns out bad is taken back by whoever gave it.

use arrow_schema::ArrowError;

use crate::flow::{Field, Layout};
use crate::read::Reason;
use crate::read::batch::Column;
use crate::read::intern::{Addresses, Dictionary, Texts};
use crate::read::rule::Rule;
use crate::read::token;

/// Where the values of one field go.
pub(super) struct Sink {
    /// `None` for what is not read.
    pub(super) field: Option<Field>,
    pub(super) kind: Kind,
}

/// The values of one field so far.
pub(super) enum Kind {
    Skip,
    Status,
    U8(Rule, Vec<u8>),
    U16(Rule, Vec<u16>),
    U64(Rule, Vec<u64>),
    I64(Rule, Vec<i64>),
    /// Words for numbers; the last word is remembered.
    Words(Rule, Vec<u8>, Vec<u8>),
    /// Codes into the dictionary that all columns of addresses share.
    Address {
        is_nullable: bool,
        codes: Vec<i32>,
    },
    Text {
        dictionary: Texts,
        codes: Vec<i32>,
        last: Vec<u8>,
    },
}

/// The dictionary of addresses and, before it, a table from token to code that spares parsing what was met lately.
///
/// One for all columns: the same few interfaces are senders and receivers, on the wire and in the packet.
pub(super) struct SharedAddresses {
    dictionary: Addresses,
    recent: Vec<(u128, i32)>,
}

/// Entries of the table of recent addresses, a power of two: 64 KiB, so that it stays in the second-level cache.
const N_RECENT: usize = 2048;

impl SharedAddresses {
    pub(super) fn new() -> Self {
        Self { dictionary: Addresses::default(), recent: vec![(0, 0); N_RECENT] }
    }

    /// The code of the address at the start of the text, of so many bytes.
    fn code(&mut self, text: &[u8], length: usize, is_nullable: bool) -> Result<i32, Reason> {
        let token = text.get(..length).unwrap_or_default();
        let Some(key) = token::key(text, length) else { return self.dictionary.code(token, is_nullable) };
        let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(32);
        // Fibonacci hashing: the high bits of the product depend on all of the key.
        let slot = (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as usize % N_RECENT;
        if let Some((_, code)) = self.recent.get(slot).filter(|(other, _)| *other == key && key != 0) {
            return Ok(*code);
        }
        let code = self.dictionary.code(token, is_nullable)?;
        // What is missing is not in the table: it has no code in other columns.
        if code >= 0
            && let Some(slot) = self.recent.get_mut(slot)
        {
            *slot = (key, code);
        }
        Ok(code)
    }

    /// Forgets all when there is too much to carry on to the next batch.
    pub(super) fn start_batch(&mut self) {
        if self.dictionary.start_batch() {
            self.recent.fill((0, 0));
        }
    }
}

impl Sink {
    /// A sink for a column; without a field nothing is kept.
    pub(super) fn new(field: Option<Field>, is_status: bool, n_rows: usize) -> Self {
        let kind = match field.map(|field| (field, field.layout(), Rule::of(field))) {
            None if is_status => Kind::Status,
            None => Kind::Skip,
            Some((_, _, Some(rule))) if rule.has_words() => Kind::Words(rule, Vec::with_capacity(n_rows), Vec::new()),
            Some((_, Layout::U8, Some(rule))) => Kind::U8(rule, Vec::with_capacity(n_rows)),
            Some((_, Layout::U16, Some(rule))) => Kind::U16(rule, Vec::with_capacity(n_rows)),
            Some((_, Layout::U64, Some(rule))) => Kind::U64(rule, Vec::with_capacity(n_rows)),
            Some((_, Layout::I64, Some(rule))) => Kind::I64(rule, Vec::with_capacity(n_rows)),
            Some((field, Layout::Address, _)) => {
                Kind::Address { is_nullable: field.is_nullable(), codes: Vec::with_capacity(n_rows) }
            }
            Some(_) => Kind::Text { dictionary: Texts::default(), codes: Vec::with_capacity(n_rows), last: Vec::new() },
        };
        Self { field, kind }
    }

    /// Takes the token at the start of the text and says how long it is; `None` when it takes a closer look, and then
    /// what was pushed for this row has to be taken back.
    #[inline]
    pub(super) fn take(&mut self, text: &[u8], addresses: &mut SharedAddresses) -> Option<usize> {
        fn number(text: &[u8], rule: Rule) -> Option<(u64, usize)> {
            match token::number(text) {
                Some((number, length)) if number <= rule.max => Some((number, length)),
                None if text.first() == Some(&b'-') => Some((rule.missing().ok()?, 1)),
                _ => None,
            }
        }
        fn is_last(text: &[u8], last: &[u8]) -> bool {
            !last.is_empty() && text.starts_with(last) && text.get(last.len()).is_some_and(|byte| *byte <= b' ')
        }
        match &mut self.kind {
            Kind::Skip => Some(token::length(text)),
            Kind::Status => {
                let is_ok = text.starts_with(b"OK");
                is_ok.then_some(2)
            }
            Kind::U8(rule, values) => {
                let (number, length) = number(text, *rule)?;
                values.push(number as u8);
                Some(length)
            }
            Kind::U16(rule, values) => {
                let (number, length) = number(text, *rule)?;
                values.push(number as u16);
                Some(length)
            }
            Kind::U64(rule, values) => {
                let (number, length) = number(text, *rule)?;
                values.push(number);
                Some(length)
            }
            Kind::I64(rule, values) => {
                let (number, length) = number(text, *rule)?;
                values.push(number as i64);
                Some(length)
            }
            Kind::Words(rule, values, last) => {
                if is_last(text, last)
                    && let Some(value) = values.last()
                {
                    values.push(*value);
                    return Some(last.len());
                }
                let length = token::length(text);
                let token = text.get(..length)?;
                values.push(rule.text(token).ok()? as u8);
                last.clear();
                last.extend_from_slice(token);
                Some(length)
            }
            Kind::Address { is_nullable, codes } => {
                let length = token::length(text);
                codes.push(addresses.code(text, length, *is_nullable).ok()?);
                Some(length)
            }
            Kind::Text { dictionary, codes, last } => {
                if is_last(text, last)
                    && let Some(code) = codes.last()
                {
                    codes.push(*code);
                    return Some(last.len());
                }
                let length = token::length(text);
                let token = text.get(..length)?;
                codes.push(dictionary.code(token, true).ok()?);
                last.clear();
                last.extend_from_slice(token);
                Some(length)
            }
        }
    }

    /// Takes one token, however odd; a bad one says why.
    pub(super) fn push(&mut self, token: &[u8], addresses: &mut SharedAddresses) -> Result<(), Reason> {
        match &mut self.kind {
            Kind::Skip | Kind::Status => {}
            Kind::U8(rule, values) => values.push(rule.text(token)? as u8),
            Kind::U16(rule, values) => values.push(rule.text(token)? as u16),
            Kind::U64(rule, values) => values.push(rule.text(token)?),
            Kind::I64(rule, values) => values.push(rule.text(token)? as i64),
            Kind::Words(rule, values, last) => {
                last.clear();
                values.push(rule.text(token)? as u8);
            }
            Kind::Address { is_nullable, codes } => codes.push(addresses.dictionary.code(token, *is_nullable)?),
            Kind::Text { dictionary, codes, last } => {
                last.clear();
                codes.push(dictionary.code(token, true)?);
            }
        }
        Ok(())
    }

    /// Drops what came after so many rows.
    pub(super) fn truncate(&mut self, n_rows: usize) {
        match &mut self.kind {
            Kind::Skip | Kind::Status => {}
            Kind::U8(_, values) => values.truncate(n_rows),
            Kind::U16(_, values) => values.truncate(n_rows),
            Kind::U64(_, values) => values.truncate(n_rows),
            Kind::I64(_, values) => values.truncate(n_rows),
            Kind::Address { codes, .. } => codes.truncate(n_rows),
            Kind::Words(_, values, last) => {
                last.clear();
                values.truncate(n_rows);
            }
            Kind::Text { codes, last, .. } => {
                last.clear();
                codes.truncate(n_rows);
            }
        }
    }

    /// Gives the column and starts a new one.
    pub(super) fn finish(
        &mut self,
        n_rows: usize,
        addresses: &mut SharedAddresses,
    ) -> Result<Option<Column>, ArrowError> {
        fn taken<T>(values: &mut Vec<T>, n_rows: usize) -> Vec<T> {
            std::mem::replace(values, Vec::with_capacity(n_rows))
        }
        Ok(Some(match &mut self.kind {
            Kind::Skip | Kind::Status => return Ok(None),
            Kind::U8(_, values) => Column::U8(taken(values, n_rows)),
            Kind::U16(_, values) => Column::U16(taken(values, n_rows)),
            Kind::U64(_, values) => Column::U64(taken(values, n_rows)),
            Kind::I64(_, values) => Column::I64(taken(values, n_rows)),
            Kind::Words(_, values, last) => {
                last.clear();
                Column::U8(taken(values, n_rows))
            }
            Kind::Address { is_nullable, codes } => {
                let values = addresses.dictionary.values()?;
                Column::Codes { codes: taken(codes, n_rows), has_nulls: *is_nullable, values }
            }
            Kind::Text { codes, dictionary, last } => {
                last.clear();
                let values = dictionary.values()?;
                dictionary.start_batch();
                Column::Codes { codes: taken(codes, n_rows), has_nulls: true, values }
            }
        }))
    }
}
