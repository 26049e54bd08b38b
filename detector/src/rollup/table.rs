//! The group table: keys to groups, records a few hundred at a time.
//!
//! What a record costs is mostly waiting for memory: the place its key hashes to, then its group. Both are asked for by a
//! few hundred records at once, in loops without a branch that depends on what they find, so that the waits overlap. One
//! record after the other they would add up.

use super::block::Block;
use super::group::{Group, Key};

/// Slots of an empty table.
const MIN_SLOTS: usize = 1024;

/// Groups by key: open addressing, linear probing, at most half full.
///
/// A slot holds the number of its group plus one and, in the bits that such numbers leave free, some of its key's hash: nearly
/// all groups that are not the wanted one are passed by without a look at them. 0 is an empty slot.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// As many as a power of two.
    slots: Vec<u32>,
    groups: Vec<Group>,
}

/// Where the search for a key begins, and what its slot shows of its hash.
#[derive(Clone, Copy, Default)]
struct Place {
    at: u32,
    tag: u32,
}

impl Table {
    /// Adds the records of a block.
    pub(super) fn add(&mut self, block: &Block) {
        let keys = block.keys();
        self.make_room(keys.len());
        let mut places = [(Place::default(), 0); Block::N_ROWS];
        for (to, key) in places.iter_mut().zip(keys) {
            let place = self.place(*key);
            *to = (place, self.slots.get(place.at as usize).copied().unwrap_or(0));
        }
        // The slots are near by now, and their neighbours with them.
        let mut ids = [0u32; Block::N_ROWS];
        for (id, (place, slot)) in ids.iter_mut().zip(places).take(keys.len()) {
            *id = self.first_shown(place, slot);
        }
        // Most are there. The minutes are in a group's other line: reading them has it come, too.
        let (mut missing, mut n_missing) = ([0u8; Block::N_ROWS], 0);
        let mut minutes = 0;
        for ((id, key), row) in ids.iter().zip(keys).zip(0..) {
            let group = self.groups.get((*id as usize).wrapping_sub(1));
            minutes |= group.map_or(0, |group| group.minutes);
            if let Some(to) = missing.get_mut(n_missing) {
                *to = row;
            }
            n_missing += usize::from(group.is_none_or(|group| group.key != *key));
        }
        std::hint::black_box(minutes);
        for row in missing.into_iter().take(n_missing) {
            if let (Some(id), Some(key)) = (ids.get_mut(usize::from(row)), keys.get(usize::from(row))) {
                *id = self.find_or_add(*key);
            }
        }
        for (id, (row, sense)) in ids.iter().zip(block.taken()) {
            if let Some(group) = self.groups.get_mut((*id as usize).wrapping_sub(1)) {
                group.add(&block.flow(row), sense);
            }
        }
    }

    /// The bits of a slot that hold a number.
    #[inline]
    fn mask(&self) -> u32 {
        (self.slots.len() as u32).wrapping_sub(1)
    }

    #[inline]
    fn place(&self, key: Key) -> Place {
        let hash = key.hash();
        Place { at: hash as u32 & self.mask(), tag: (hash >> 32) as u32 & !self.mask() }
    }

    #[inline]
    fn next(&self, at: u32) -> u32 {
        (at + 1) & self.mask()
    }

    /// The number plus one of the first group that shows the tag; 0 for none. `slot` is what the place holds.
    #[inline]
    fn first_shown(&self, Place { mut at, tag }: Place, mut slot: u32) -> u32 {
        while slot != 0 && slot & !self.mask() != tag {
            at = self.next(at);
            slot = self.slots.get(at as usize).copied().unwrap_or(0);
        }
        slot & self.mask()
    }

    /// A key's group by number, or the empty slot in which the search for it ends. There must be slots.
    fn find(&self, key: Key) -> Result<usize, u32> {
        let Place { mut at, tag } = self.place(key);
        while let Some(&slot) = self.slots.get(at as usize).filter(|slot| **slot != 0) {
            let number = ((slot & self.mask()) as usize).wrapping_sub(1);
            if slot & !self.mask() == tag && self.groups.get(number).is_some_and(|group| group.key == key) {
                return Ok(number);
            }
            at = self.next(at);
        }
        Err(at)
    }

    /// The number plus one of a key's group, made if it is not there. There must be room.
    fn find_or_add(&mut self, key: Key) -> u32 {
        let at = match self.find(key) {
            Ok(number) => return number as u32 + 1,
            Err(at) => at,
        };
        self.groups.push(Group::new(key));
        let id = self.groups.len() as u32;
        let tag = self.place(key).tag;
        if let Some(slot) = self.slots.get_mut(at as usize) {
            *slot = tag | id;
        }
        id
    }

    /// Makes room for more groups, so that the table stays at most half full.
    fn make_room(&mut self, additional: usize) {
        let needed = ((self.groups.len() + additional) * 2).next_power_of_two().max(MIN_SLOTS);
        if needed <= self.slots.len() {
            return;
        }
        self.slots = vec![0; needed];
        for (id, group) in (1..).zip(&self.groups) {
            let Place { mut at, tag } = self.place(group.key);
            while self.slots.get(at as usize).is_some_and(|slot| *slot != 0) {
                at = self.next(at);
            }
            if let Some(slot) = self.slots.get_mut(at as usize) {
                *slot = tag | id;
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

    /// Forgets all groups and keeps their memory, of the slots as much as these groups needed: emptying them takes its time.
    pub(super) fn clear(&mut self) {
        self.slots.truncate((self.groups.len() * 2).next_power_of_two().max(MIN_SLOTS));
        self.slots.fill(0);
        self.groups.clear();
    }

    /// A key's group.
    pub(super) fn get(&self, key: Key) -> Option<&Group> {
        self.find(key).ok().and_then(|number| self.groups.get(number))
    }

    /// All groups, in the order they were met.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }
}

#[cfg(test)]
mod tests {
    use baselines::window::Window;

    use super::super::Flow;
    use super::super::initiator::Sense;
    use super::*;

    fn key(n: u32) -> Key {
        Key::new(n % 400, n, n / 7, 443, 6, Window(2_960_000))
    }

    #[test]
    fn every_key_has_its_group_however_many_share_a_slot_or_what_it_shows() {
        const N: u32 = 100_000;
        let flow = Flow {
            src_port: 40_000,
            dst_port: 443,
            protocol: 6,
            flags: 2,
            rejected: false,
            packets: 1,
            bytes: 40,
            start: Window(2_960_000).start(),
            end: Window(2_960_000).end(),
        };
        let mut table = Table::default();
        assert!(table.get(key(0)).is_none());
        for n in (0..N).chain(0..N) {
            let mut group = Group::new(key(n));
            group.add(&flow, Sense::Asks);
            table.merge(key(n), &group);
        }
        assert_eq!(table.groups().len(), N as usize);
        assert!((0..N).all(|n| table.get(key(n)).is_some_and(|group| group.key == key(n) && group.n_rows() == 2)));
        assert!((N..2 * N).all(|n| table.get(key(n)).is_none()));
    }
}
