//! The group table: keys to groups, records a few hundred at a time.
//!
//! What a record costs is mostly waiting for memory: the place its key hashes to, then its group. Both are asked for by a
//! few hundred records at once, in loops without a branch that depends on what they find, so that the waits overlap. One
//! record after the other they would add up.

use super::Record;
use super::group::{Group, Key};
use super::initiator::Sense;

/// Records that wait together: their keys and amounts fit into the first-level cache.
const N_WAITING: usize = 256;

/// Slots of an empty table.
const MIN_SLOTS: usize = 1024;

/// Groups by key: open addressing, linear probing, at most half full.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Number of the group plus one; 0 for none. As many as a power of two.
    slots: Vec<u32>,
    groups: Vec<Group>,
    waiting: Vec<(Record, Sense)>,
    keys: Vec<Key>,
}

impl Table {
    /// Adds a record, now or with the next [`Table::settle`].
    #[inline]
    pub(super) fn add(&mut self, record: &Record, sense: Sense) {
        self.waiting.push((*record, sense));
        self.keys.push(record.key(sense));
        if self.waiting.len() >= N_WAITING {
            self.settle();
        }
    }

    /// Adds the records that wait.
    pub(super) fn settle(&mut self) {
        self.make_room(self.keys.len());
        let mut ids = [0u32; N_WAITING];
        let mask = self.slots.len().wrapping_sub(1);
        for (id, key) in ids.iter_mut().zip(&self.keys) {
            *id = self.slots.get(key.hash() as usize & mask).copied().unwrap_or(0);
        }
        // Most are there, or are at once known not to be; both without a look at another slot.
        let mut is_found = [false; N_WAITING];
        for ((is_found, id), key) in is_found.iter_mut().zip(&ids).zip(&self.keys) {
            *is_found = self.groups.get((*id as usize).wrapping_sub(1)).is_some_and(|group| group.key == *key);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let keys = std::mem::take(&mut self.keys);
        for ((id, is_found), key) in ids.iter_mut().zip(&is_found).zip(&keys) {
            if !is_found {
                *id = self.find_or_add(*key);
            }
        }
        for (id, (record, sense)) in ids.iter().zip(&waiting) {
            if let Some(group) = self.groups.get_mut((*id as usize).wrapping_sub(1)) {
                group.add(record, *sense);
            }
        }
        (self.waiting, self.keys) = (waiting, keys);
        self.waiting.clear();
        self.keys.clear();
    }

    /// The number plus one of a key's group, made if it is not there. There must be room.
    fn find_or_add(&mut self, key: Key) -> u32 {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = key.hash() as usize & mask;
        loop {
            match self.slots.get_mut(at) {
                Some(slot) if *slot == 0 => {
                    self.groups.push(Group::new(key));
                    *slot = self.groups.len() as u32;
                    return *slot;
                }
                Some(slot) if self.groups.get(*slot as usize - 1).is_some_and(|group| group.key == key) => {
                    return *slot;
                }
                Some(_) => at = (at + 1) & mask,
                None => return 0,
            }
        }
    }

    /// Makes room for more groups, so that the table stays at most half full.
    fn make_room(&mut self, additional: usize) {
        let needed = ((self.groups.len() + additional) * 2).next_power_of_two().max(MIN_SLOTS);
        if needed <= self.slots.len() {
            return;
        }
        self.slots = vec![0; needed];
        let mask = needed - 1;
        for (number, group) in (1..).zip(&self.groups) {
            let mut at = group.key.hash() as usize & mask;
            while let Some(slot) = self.slots.get_mut(at) {
                if *slot == 0 {
                    *slot = number;
                    break;
                }
                at = (at + 1) & mask;
            }
        }
    }

    /// Adds a group of another table.
    pub(super) fn merge(&mut self, key: Key, other: &Group) {
        self.make_room(1);
        let id = self.find_or_add(key) as usize;
        if let Some(mine) = self.groups.get_mut(id.wrapping_sub(1)) {
            mine.merge(other);
        }
    }

    /// A key's group.
    pub(super) fn get(&self, key: Key) -> Option<&Group> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = key.hash() as usize & mask;
        loop {
            let group = self.groups.get((*self.slots.get(at)? as usize).checked_sub(1)?)?;
            if group.key == key {
                return Some(group);
            }
            at = (at + 1) & mask;
        }
    }

    /// All groups but those of records that wait, in the order they were met.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }
}
