//! Dictionaries built while reading: values that come one by one get codes.
//!
//! Where it sits: under `text`, and under `parquet` for columns that were not written with a dictionary.
//! What it does not do: it does not judge values; `rule` does.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::ArrowError;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::flow::ADDRESS_BYTES;
use crate::read::batch::{address_values, text_values};

/// A dictionary is carried from batch to batch, so that consecutive batches share it, until it has so many entries;
/// then the next batch starts a new one. Rebuilding the array of a dictionary that still grows costs in proportion.
const MAX_CARRIED_ENTRIES: usize = 1024;

/// Codes for addresses.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    table: HashTable<(u128, i32)>,
    entries: Vec<[u8; ADDRESS_BYTES]>,
    built: Option<ArrayRef>,
    hasher: FixedState,
}

impl Addresses {
    /// The address's code; a new one when it was not met before.
    pub(super) fn code(&mut self, address: [u8; ADDRESS_BYTES]) -> i32 {
        let key = u128::from_be_bytes(address);
        let hash = self.hasher.hash_one(key);
        if let Some((_, code)) = self.table.find(hash, |(other, _)| *other == key) {
            return *code;
        }
        let code = self.entries.len() as i32;
        self.entries.push(address);
        let hasher = &self.hasher;
        self.table.insert_unique(hash, (key, code), |(key, _)| hasher.hash_one(key));
        self.built = None;
        code
    }

    /// The dictionary of the codes given out so far; the same `Arc` as before when there is nothing new.
    pub(super) fn values(&mut self) -> Result<ArrayRef, ArrowError> {
        if let Some(built) = &self.built {
            return Ok(Arc::clone(built));
        }
        let built = address_values(&self.entries)?;
        if self.entries.len() > MAX_CARRIED_ENTRIES {
            self.entries.clear();
            self.table.clear();
        } else {
            self.built = Some(Arc::clone(&built));
        }
        Ok(built)
    }
}

/// Codes for ids and names.
#[derive(Debug, Default)]
pub(super) struct Texts {
    table: HashTable<(u64, i32)>,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    built: Option<ArrayRef>,
    hasher: FixedState,
}

impl Texts {
    /// The text's code; a new one when it was not met before.
    pub(super) fn code(&mut self, text: &[u8]) -> i32 {
        let hash = self.hasher.hash_one(text);
        let (bytes, ends) = (&self.bytes, &self.ends);
        let is_text = |(other, code): &(u64, i32)| *other == hash && entry(bytes, ends, *code) == Some(text);
        if let Some((_, code)) = self.table.find(hash, is_text) {
            return *code;
        }
        let code = self.ends.len() as i32;
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
        self.table.insert_unique(hash, (hash, code), |(hash, _)| *hash);
        self.built = None;
        code
    }

    /// The dictionary of the codes given out so far; the same `Arc` as before when there is nothing new.
    pub(super) fn values(&mut self) -> Result<ArrayRef, ArrowError> {
        if let Some(built) = &self.built {
            return Ok(Arc::clone(built));
        }
        let built = text_values(&self.bytes, &self.ends)?;
        if self.ends.len() > MAX_CARRIED_ENTRIES {
            self.bytes.clear();
            self.ends.clear();
            self.table.clear();
        } else {
            self.built = Some(Arc::clone(&built));
        }
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
        assert_eq!([texts.code(b"eni-1"), texts.code(b""), texts.code(b"eni-1"), texts.code(b"eni-2")], [0, 1, 0, 2]);
        let first = texts.values().unwrap();
        assert_eq!(texts.code(b"eni-2"), 2);
        assert!(Arc::ptr_eq(&first, &texts.values().unwrap()));
        assert_eq!(texts.code(b"eni-3"), 3);
        assert!(!Arc::ptr_eq(&first, &texts.values().unwrap()));
    }

    #[test]
    fn a_large_dictionary_is_not_carried_on() {
        let mut addresses = Addresses::default();
        for number in 0..2000_u128 {
            assert_eq!(addresses.code(number.to_be_bytes()), number as i32);
        }
        assert_eq!(addresses.values().unwrap().len(), 2000);
        assert_eq!(addresses.code(1999_u128.to_be_bytes()), 0);
    }
}
