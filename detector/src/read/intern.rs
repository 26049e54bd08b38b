//! Dictionaries built while reading: values get codes, equal values the same one.
//!
//! Where it sits: under `text`, and under `parquet` for the dictionaries of a column chunk and for columns written
//! without one.
//! What it does not do: it does not say what a value may be; `rule` does.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::ArrowError;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::flow::ADDRESS_BYTES;
use crate::read::Reason;
use crate::read::batch::{NULL, address_values, text_values};
use crate::read::rule::{address, is_missing, is_text};

/// A dictionary of texts is carried from batch to batch, so that consecutive batches share it, until it has so many
/// entries; then the next batch starts a new one. Rebuilding the array of a dictionary that still grows costs in
/// proportion.
const MAX_CARRIED_ENTRIES: usize = 1024;

/// The same of addresses, of which an object has many, and of which a batch takes up only what is new: see
/// [`crate::flow::Coded::extends`].
const MAX_CARRIED_ADDRESSES: usize = 1 << 15;

/// A dictionary of one kind of values.
pub(super) trait Dictionary: Clone + Default {
    /// Adds an entry without asking whether it is there already: for dictionaries that come ready-made. [`NULL`] stands
    /// for a missing value where it may be missing.
    fn append(&mut self, text: &[u8], is_nullable: bool) -> Result<i32, Reason>;

    /// Starts a batch of values that come without a dictionary. Codes given out before mean nothing then.
    fn start_plain(&mut self);

    /// The code of such a value; [`NULL`] as above.
    fn plain(&mut self, text: &[u8], is_nullable: bool) -> Result<i32, Reason>;

    /// The code here of what has a code there, if it has one.
    fn adopt(&mut self, other: &Self, code: i32) -> Option<i32>;

    /// The entries by code; the same `Arc` as before when there is nothing new.
    fn values(&mut self) -> Result<ArrayRef, ArrowError>;
}

/// Codes for addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    entries: Vec<[u8; ADDRESS_BYTES]>,
    /// Codes by address, of the first so many entries: a ready-made dictionary is seldom asked.
    table: HashTable<(u128, i32)>,
    n_in_table: usize,
    built: Option<ArrayRef>,
    hasher: FixedState,
}

impl Addresses {
    /// How many entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The code of an address, a new one when it was not met before; [`NULL`] for a missing one where it may be
    /// missing.
    pub(super) fn code(&mut self, text: &[u8], is_nullable: bool) -> Result<i32, Reason> {
        if is_nullable && is_missing(text) {
            return Ok(NULL);
        }
        address(text).map(|address| self.code_of(address)).ok_or(Reason::BadAddress)
    }

    /// Forgets all entries if there are too many to carry on, and says so: codes given out before mean nothing then.
    pub(super) fn start_batch(&mut self) -> bool {
        let is_large = self.entries.len() > MAX_CARRIED_ADDRESSES;
        if is_large {
            self.clear();
        }
        is_large
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.table.clear();
        self.n_in_table = 0;
        self.built = None;
    }

    fn code_of(&mut self, address: [u8; ADDRESS_BYTES]) -> i32 {
        self.complete_table();
        let (key, hasher) = (u128::from_ne_bytes(address), &self.hasher);
        let hash = hasher.hash_one(key);
        if let Some((_, code)) = self.table.find(hash, |(other, _)| *other == key) {
            return *code;
        }
        let code = self.entries.len() as i32;
        self.table.insert_unique(hash, (key, code), |(key, _)| hasher.hash_one(key));
        self.n_in_table += 1;
        self.push(address);
        code
    }

    fn push(&mut self, address: [u8; ADDRESS_BYTES]) {
        self.entries.push(address);
        self.built = None;
    }

    fn complete_table(&mut self) {
        let hasher = &self.hasher;
        for (code, entry) in self.entries.iter().enumerate().skip(self.n_in_table) {
            let key = u128::from_ne_bytes(*entry);
            self.table.insert_unique(hasher.hash_one(key), (key, code as i32), |(key, _)| hasher.hash_one(key));
        }
        self.n_in_table = self.entries.len();
    }
}

impl Dictionary for Addresses {
    fn append(&mut self, text: &[u8], is_nullable: bool) -> Result<i32, Reason> {
        match address(text) {
            Some(address) => {
                self.push(address);
                Ok(self.entries.len() as i32 - 1)
            }
            None if is_nullable && is_missing(text) => Ok(NULL),
            None => Err(Reason::BadAddress),
        }
    }

    fn start_plain(&mut self) {
        self.clear();
    }

    /// An entry of its own: a column of which each value is written out has too many for a dictionary. Who groups by
    /// them asks for each one anyway.
    fn plain(&mut self, text: &[u8], is_nullable: bool) -> Result<i32, Reason> {
        self.append(text, is_nullable)
    }

    fn adopt(&mut self, other: &Self, code: i32) -> Option<i32> {
        let address = other.entries.get(usize::try_from(code).ok()?)?;
        Some(self.code_of(*address))
    }

    fn values(&mut self) -> Result<ArrayRef, ArrowError> {
        if let Some(built) = &self.built {
            return Ok(Arc::clone(built));
        }
        let built = address_values(&self.entries)?;
        self.built = Some(Arc::clone(&built));
        Ok(built)
    }
}

/// Codes for ids and names.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    /// All entries one after the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<u32>,
    /// Codes by hash, of the first so many entries.
    table: HashTable<(u64, i32)>,
    n_in_table: usize,
    built: Option<ArrayRef>,
    hasher: FixedState,
}

impl Texts {
    /// The code of a text, a new one when it was not met before; [`NULL`] for a missing one.
    pub(super) fn code(&mut self, text: &[u8]) -> Result<i32, Reason> {
        if is_missing(text) {
            return Ok(NULL);
        }
        if is_text(text) { Ok(self.code_of(text)) } else { Err(Reason::BadText) }
    }

    /// As [`Addresses::start_batch`].
    pub(super) fn start_batch(&mut self) -> bool {
        let is_large = self.ends.len() > MAX_CARRIED_ENTRIES;
        if is_large {
            self.bytes.clear();
            self.ends.clear();
            self.table.clear();
            self.n_in_table = 0;
            self.built = None;
        }
        is_large
    }

    fn code_of(&mut self, text: &[u8]) -> i32 {
        self.complete_table();
        let hash = self.hasher.hash_one(text);
        let (bytes, ends) = (&self.bytes, &self.ends);
        let is_text = |(other, code): &(u64, i32)| *other == hash && entry(bytes, ends, *code) == Some(text);
        if let Some((_, code)) = self.table.find(hash, is_text) {
            return *code;
        }
        let code = self.ends.len() as i32;
        self.table.insert_unique(hash, (hash, code), |(hash, _)| *hash);
        self.n_in_table += 1;
        self.push(text);
        code
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
        self.built = None;
    }

    fn complete_table(&mut self) {
        for code in self.n_in_table..self.ends.len() {
            let hash = self.hasher.hash_one(entry(&self.bytes, &self.ends, code as i32).unwrap_or_default());
            self.table.insert_unique(hash, (hash, code as i32), |(hash, _)| *hash);
        }
        self.n_in_table = self.ends.len();
    }
}

impl Dictionary for Texts {
    fn append(&mut self, text: &[u8], _: bool) -> Result<i32, Reason> {
        if is_missing(text) {
            return Ok(NULL);
        }
        if !is_text(text) {
            return Err(Reason::BadText);
        }
        self.push(text);
        Ok(self.ends.len() as i32 - 1)
    }

    fn start_plain(&mut self) {
        self.start_batch();
    }

    fn plain(&mut self, text: &[u8], _: bool) -> Result<i32, Reason> {
        self.code(text)
    }

    fn adopt(&mut self, other: &Self, code: i32) -> Option<i32> {
        entry(&other.bytes, &other.ends, code).map(|text| self.code_of(text))
    }

    fn values(&mut self) -> Result<ArrayRef, ArrowError> {
        if let Some(built) = &self.built {
            return Ok(Arc::clone(built));
        }
        let built = text_values(&self.bytes, &self.ends)?;
        self.built = Some(Arc::clone(&built));
        Ok(built)
    }
}

fn entry<'a>(bytes: &'a [u8], ends: &[u32], code: i32) -> Option<&'a [u8]> {
    let code = usize::try_from(code).ok()?;
    let start = code.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
    bytes.get(start as usize..*ends.get(code)? as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_code_and_unchanged_dictionaries_an_array() {
        let mut texts = Texts::default();
        let mut code = |text: &[u8]| texts.code(text).unwrap();
        assert_eq!([code(b"eni-1"), code(b"-"), code(b"eni-1"), code(b"eni-2")], [0, NULL, 0, 1]);
        let first = texts.values().unwrap();
        assert_eq!(texts.code(b"eni-2"), Ok(1));
        assert!(Arc::ptr_eq(&first, &texts.values().unwrap()));
        assert_eq!(texts.code(b"eni-3"), Ok(2));
        assert!(!Arc::ptr_eq(&first, &texts.values().unwrap()));
        assert_eq!(texts.code(b"\x1b[31m"), Err(Reason::BadText));
    }

    #[test]
    fn a_large_dictionary_is_not_carried_on() {
        let mut addresses = Addresses::default();
        let n = MAX_CARRIED_ADDRESSES as u128;
        for number in 0..n {
            assert_eq!(addresses.code_of(number.to_be_bytes()), number as i32);
        }
        addresses.start_batch();
        assert_eq!(addresses.code_of(n.to_be_bytes()), n as i32);
        addresses.start_batch();
        assert_eq!(addresses.code_of(n.to_be_bytes()), 0);
    }

    #[test]
    fn a_ready_made_dictionary_is_found_by_value_too() {
        let mut addresses = Addresses::default();
        for (code, text) in ["10.0.0.1", "10.0.0.2"].into_iter().enumerate() {
            assert_eq!(addresses.append(text.as_bytes(), false), Ok(code as i32));
        }
        assert_eq!(addresses.code(b"10.0.0.2", false), Ok(1));
        assert_eq!(addresses.code(b"10.0.0.3", false), Ok(2));
        assert_eq!(addresses.plain(b"10.0.0.3", false), Ok(3), "what is written out has an entry of its own");
        addresses.start_plain();
        assert_eq!(addresses.plain(b"10.0.0.4", false), Ok(0));
        let mut addresses = Addresses::default();
        for text in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
            addresses.append(text.as_bytes(), false).unwrap();
        }
        let mut others = Addresses::default();
        assert_eq!(others.adopt(&addresses, 2), Some(0));
        assert_eq!(others.adopt(&addresses, 3), None);
        assert_eq!(others.code(b"-", true), Ok(NULL));
        assert_eq!(others.code(b"-", false), Err(Reason::BadAddress));
    }
}
