//! Slots: where in a list the entry of a key is, by open addressing and linear probing.
//!
//! A hash map that is far from the cache waits for its control bytes, then for its bucket, then for the entry. Here a
//! place can be asked for before it is wanted, and a slot alone tells nearly always which entry it is.

use crate::near::near;

/// Slots of the smallest list.
const MIN_SLOTS: usize = 4;

/// Numbers of a list's entries, dense from 0, each in or after the slot that its key hashes to; at most two thirds
/// full.
///
/// A slot holds a number plus one and, in the bits that such numbers leave free, some of the key's hash: nearly all
/// entries that are not the wanted one are passed by without a look at them. 0 is an empty slot.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// As many as a power of two, or none.
    slots: Vec<u32>,
}

/// Where the search for a key begins, and what its slot shows of its hash. Good until there are more slots.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    at: u32,
    tag: u32,
}

impl Slots {
    /// The place of a hash whose low bits are as good as its high ones.
    #[inline]
    pub fn place(&self, hash: u64) -> Place {
        Place { at: hash as u32 & self.mask(), tag: (hash >> 32) as u32 & !self.mask() }
    }

    /// Prefetches the slot at a place.
    #[inline]
    pub fn near(&self, place: Place) {
        self.slots.get(place.at as usize).map(near);
    }

    /// The number in the first slot that shows what a place does: nearly always the only one.
    #[inline]
    pub fn shown(&self, place: Place) -> Option<u32> {
        self.find(place, |_| true)
    }

    /// The number of an entry, given by its place and whether a number is its own.
    #[inline]
    pub fn find(&self, place: Place, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let Place { mut at, tag } = place;
        loop {
            let slot = self.slot(at);
            if slot == 0 {
                return None;
            }
            let number = (slot & self.mask()).wrapping_sub(1);
            if slot & !self.mask() == tag && is_it(number) {
                return Some(number);
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Adds the next entry of a list by its place. There must be [room](Self::make_room), and none of the same key.
    #[inline]
    pub fn add(&mut self, place: Place, number: u32) {
        let Place { mut at, tag } = place;
        while self.slot(at) != 0 {
            at = (at + 1) & self.mask();
        }
        if let Some(slot) = self.slots.get_mut(at as usize) {
            *slot = tag | (number + 1);
        }
    }

    /// Makes room for a list of `n` entries, of which some are in here; `hashes` are those of their keys.
    #[inline]
    pub fn make_room(&mut self, n: usize, hashes: impl Iterator<Item = u64>) {
        let needed = Self::needed(n);
        if needed > self.slots.len() {
            self.slots = vec![0; needed];
            for (number, hash) in (0..).zip(hashes) {
                self.add(self.place(hash), number);
            }
        }
    }

    /// Forgets all entries and keeps as much memory as a list of `n` needs.
    pub fn clear(&mut self, n: usize) {
        self.slots.truncate(Self::needed(n));
        self.slots.fill(0);
    }

    fn needed(n: usize) -> usize {
        (n + n.div_ceil(2)).next_power_of_two().max(MIN_SLOTS)
    }

    #[inline]
    fn slot(&self, at: u32) -> u32 {
        self.slots.get(at as usize).copied().unwrap_or(0)
    }

    /// The bits of a slot that hold a number.
    #[inline]
    fn mask(&self) -> u32 {
        (self.slots.len() as u32).wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_key_has_its_number_however_many_share_a_slot_or_what_it_shows(
            // Few values: many hashes share their low bits, or all of them.
            hashes in prop::collection::vec((0u64..40, 0u64..3).prop_map(|(low, high)| high << 60 | low), 0..200),
        ) {
            let mut slots = Slots::default();
            for (number, &hash) in hashes.iter().enumerate() {
                slots.make_room(number + 1, hashes.iter().copied().take(number));
                slots.add(slots.place(hash), number as u32);
            }
            for (number, &hash) in (0..).zip(&hashes) {
                prop_assert_eq!(slots.find(slots.place(hash), |found| found == number), Some(number));
            }
            for absent in 40..80 {
                prop_assert_eq!(slots.find(slots.place(absent), |found| hashes[found as usize] == absent), None);
            }
            slots.clear(hashes.len());
            prop_assert!(hashes.iter().all(|&hash| slots.shown(slots.place(hash)).is_none()));
        }
    }
}
