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
use crate::read::token::{self, Short};

/// Where the values of one field go.
pub(super) struct Sink {
    /// `None` for what is not read.
    pub(super) field: Option<Field>,
    pub(super) kind: Kind,
}

/// The values of one field so far.
///
/// With a tag of its own: finding the variant in the fields' spare bits took as long as a short token.
#[repr(u8)]
pub(super) enum Kind {
    Skip,
    Status,
    U8(Rule, Vec<u8>),
    U16(Rule, Vec<u16>),
    U64(Rule, Vec<u64>),
    I64(Rule, Vec<i64>),
    /// Words for numbers; the last word is remembered.
    Words(Rule, Vec<u8>, Short),
    /// Codes into the dictionary that all columns of addresses share.
    Address {
        is_nullable: bool,
        codes: Vec<i32>,
    },
    Text {
        dictionary: Texts,
        codes: Vec<i32>,
        last: Short,
        recent: Vec<([u128; 2], i32)>,
    },
}

/// The dictionary of addresses and, before it, a table from token to code that spares parsing what was met lately.
///
/// One for all columns: the same few interfaces are senders and receivers, on the wire and in the packet.
pub(super) struct SharedAddresses {
    dictionary: Addresses,
    recent: Vec<(u128, i32)>,
}

/// Entries of the table of recent addresses: 64 KiB, so that it stays in the second-level cache.
const N_RECENT: usize = 2048;

/// Entries of the table of recent texts, of which there are several: 48 KiB each, of which only the slots in use matter.
const N_RECENT_TEXTS: usize = 1024;

impl SharedAddresses {
    pub(super) fn new() -> Self {
        Self { dictionary: Addresses::default(), recent: vec![(0, 0); N_RECENT] }
    }

    /// The code of the address at the start of the text, of so many bytes.
    fn code(&mut self, text: &[u8], length: usize, is_nullable: bool) -> Result<i32, Reason> {
        let token = text.get(..length).unwrap_or_default();
        let Some(key) = token::key(text, length) else { return self.dictionary.code(token, is_nullable) };
        let slot = (token::spread(key) >> 32) as usize % N_RECENT;
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
            Some((_, _, Some(rule))) if rule.has_words() => {
                Kind::Words(rule, Vec::with_capacity(n_rows), Short::default())
            }
            Some((_, Layout::U8, Some(rule))) => Kind::U8(rule, Vec::with_capacity(n_rows)),
            Some((_, Layout::U16, Some(rule))) => Kind::U16(rule, Vec::with_capacity(n_rows)),
            Some((_, Layout::U64, Some(rule))) => Kind::U64(rule, Vec::with_capacity(n_rows)),
            Some((_, Layout::I64, Some(rule))) => Kind::I64(rule, Vec::with_capacity(n_rows)),
            Some((field, Layout::Address, _)) => {
                Kind::Address { is_nullable: field.is_nullable(), codes: Vec::with_capacity(n_rows) }
            }
            Some(_) => Kind::Text {
                dictionary: Texts::default(),
                recent: vec![([0; 2], 0); N_RECENT_TEXTS],
                codes: Vec::with_capacity(n_rows),
                last: Short::default(),
            },
        };
        Self { field, kind }
    }

    /// Takes the token at the start of the text and says how long it is; `None` when it takes a closer look, and then
    /// what was pushed for this row has to be taken back.
    #[inline]
    pub(super) fn take(&mut self, text: &[u8], addresses: &mut SharedAddresses) -> Option<usize> {
        #[expect(
            clippy::inline_always,
            reason = "a call and a result through memory for each number is a tenth of parsing"
        )]
        #[inline(always)]
        fn number(text: &[u8], rule: Rule) -> Option<(u64, usize)> {
            match token::number(text) {
                Some((number, length)) if number <= rule.max => Some((number, length)),
                None if text.first() == Some(&b'-') => Some((rule.missing().ok()?, 1)),
                _ => None,
            }
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
                if last.is_at(text)
                    && let Some(value) = values.last()
                {
                    values.push(*value);
                    return Some(last.length);
                }
                let length = token::length(text);
                values.push(rule.text(text.get(..length)?).ok()? as u8);
                *last = Short::new(text, length).unwrap_or_default();
                Some(length)
            }
            Kind::Address { is_nullable, codes } => {
                let length = token::length(text);
                codes.push(addresses.code(text, length, *is_nullable).ok()?);
                Some(length)
            }
            Kind::Text { dictionary, recent, codes, last } => {
                if last.is_at(text)
                    && let Some(code) = codes.last()
                {
                    codes.push(*code);
                    return Some(last.length);
                }
                let length = token::length(text);
                let Some(short) = Short::new(text, length) else {
                    codes.push(dictionary.code(text.get(..length)?, true).ok()?);
                    *last = Short::default();
                    return Some(length);
                };
                let slot = recent.get_mut((short.hash() >> 32) as usize % N_RECENT_TEXTS)?;
                if slot.0 != short.bytes() {
                    *slot = (short.bytes(), dictionary.code(text.get(..length)?, true).ok()?);
                }
                codes.push(slot.1);
                *last = short;
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
                *last = Short::default();
                values.push(rule.text(token)? as u8);
            }
            Kind::Address { is_nullable, codes } => codes.push(addresses.dictionary.code(token, *is_nullable)?),
            Kind::Text { dictionary, codes, last, .. } => {
                *last = Short::default();
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
                *last = Short::default();
                values.truncate(n_rows);
            }
            Kind::Text { codes, last, .. } => {
                *last = Short::default();
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
                *last = Short::default();
                Column::U8(taken(values, n_rows))
            }
            Kind::Address { is_nullable, codes } => {
                let values = addresses.dictionary.values()?;
                Column::Codes { codes: taken(codes, n_rows), has_nulls: *is_nullable, values }
            }
            Kind::Text { codes, dictionary, recent, last } => {
                *last = Short::default();
                let values = dictionary.values()?;
                if dictionary.start_batch() {
                    recent.fill(([0; 2], 0));
                }
                Column::Codes { codes: taken(codes, n_rows), has_nulls: true, values }
            }
        }))
    }
}
