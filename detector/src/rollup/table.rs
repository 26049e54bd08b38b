//! The group table: keys to groups, records a few hundred at a time.
//!
//! What a record costs is mostly waiting for memory: the place its key hashes to, then its group. Both are asked for by a
//! few hundred records at once, in loops without a branch that depends on what they find, so that the waits overlap. One
//! record after the other they would add up.

use super::Flow;
use super::group::{Group, Key};
use super::initiator::Sense;

/// Slots of an empty table.
const MIN_SLOTS: usize = 1024;

/// Records that are looked up together.
#[derive(Debug, Default)]
pub(super) struct Block {
    keys: Vec<Key>,
    /// Whatever number finds the record again, and which way it goes.
    records: Vec<(u32, Sense)>,
}

impl Block {
    /// Records of a block: their keys fit into the first-level cache.
    pub(super) const N_ROWS: usize = 256;

    /// Adds a record, of which there may be [`Block::N_ROWS`].
    #[inline]
    pub(super) fn push(&mut self, key: Key, record: u32, sense: Sense) {
        self.keys.push(key);
        self.records.push((record, sense));
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.records.clear();
    }
}

/// Groups by key: open addressing, linear probing, at most half full.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Number of the group plus one; 0 for none. As many as a power of two.
    slots: Vec<u32>,
    groups: Vec<Group>,
}

impl Table {
    /// Adds the records of a block; `flow_of` gives what each tells beside its key.
    pub(super) fn add(&mut self, block: &Block, flow_of: impl Fn(u32) -> Flow) {
        let Block { keys, records } = block;
        self.make_room(keys.len());
        let mut ids = [0u32; Block::N_ROWS];
        let mask = self.slots.len().wrapping_sub(1);
        for (id, key) in ids.iter_mut().zip(keys) {
            *id = self.slots.get(key.hash() as usize & mask).copied().unwrap_or(0);
        }
        // Most are there, or are at once known not to be; both without a look at another slot. The minutes are in a group's
        // other line: reading them has it come, too.
        let mut is_found = [false; Block::N_ROWS];
        let mut minutes = 0;
        for ((is_found, id), key) in is_found.iter_mut().zip(&ids).zip(keys) {
            if let Some(group) = self.groups.get((*id as usize).wrapping_sub(1)) {
                *is_found = group.key == *key;
                minutes |= group.minutes;
            }
        }
        std::hint::black_box(minutes);
        for ((id, is_found), key) in ids.iter_mut().zip(&is_found).zip(keys) {
            if !is_found {
                *id = self.find_or_add(*key);
            }
        }
        for (id, &(record, sense)) in ids.iter().zip(records) {
            if let Some(group) = self.groups.get_mut((*id as usize).wrapping_sub(1)) {
                group.add(&flow_of(record), sense);
            }
        }
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

    /// All groups, in the order they were met.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }
}
