//! The group table: keys to groups, records a few hundred at a time.
//!
//! What a record costs is mostly waiting for memory: the place its key hashes to, then its group. So places are asked for by
//! a few hundred records at once, and groups some dozens of records before they are added to.

use baselines::near::near;

use super::block::Block;
use super::group::{Group, Key};

/// Records whose groups are asked for ahead: twice as many are under way at most, 16 KB, half of the first-level cache.
const N_AHEAD: usize = 64;

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
        let mut places = [Place::default(); Block::N_ROWS];
        for (to, key) in places.iter_mut().zip(keys) {
            *to = self.place(*key);
            self.slots.get(to.at as usize).map(near);
        }
        let mut places = places.chunks(N_AHEAD);
        let mut ids = self.first_shown(places.next());
        let mut taken = block.taken();
        for keys in keys.chunks(N_AHEAD) {
            let next = self.first_shown(places.next());
            for ((id, key), (row, sense)) in ids.into_iter().zip(keys).zip(&mut taken) {
                let id = if self.is_of(id, *key) { id } else { self.find_or_add(*key) };
                if let Some(group) = self.groups.get_mut((id as usize).wrapping_sub(1)) {
                    group.add(&block.flow(row), sense);
                }
            }
            ids = next;
        }
    }

    /// What slots show of some keys, by the places of these: the number plus one of the first group with a key's tag, 0 for none.
    /// Nearly always that is the key's group, and it is brought near.
    fn first_shown(&self, places: Option<&[Place]>) -> [u32; N_AHEAD] {
        let mut ids = [0; N_AHEAD];
        for (id, place) in ids.iter_mut().zip(places.unwrap_or_default()) {
            let mut at = place.at;
            let mut slot = self.slot(at);
            while slot != 0 && slot & !self.mask() != place.tag {
                at = self.next(at);
                slot = self.slot(at);
            }
            *id = slot & self.mask();
            self.groups.get((*id as usize).wrapping_sub(1)).map(near);
        }
        ids
    }

    /// Whether a group, by its number plus one, is a key's.
    #[inline]
    fn is_of(&self, id: u32, key: Key) -> bool {
        self.groups.get((id as usize).wrapping_sub(1)).is_some_and(|group| group.key == key)
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

    #[inline]
    fn place(&self, key: Key) -> Place {
        let hash = key.hash();
        Place { at: hash as u32 & self.mask(), tag: (hash >> 32) as u32 & !self.mask() }
    }

    #[inline]
    fn next(&self, at: u32) -> u32 {
        (at + 1) & self.mask()
    }

    /// A key's group by number, or the empty slot in which the search for it ends. There must be slots.
    fn find(&self, key: Key) -> Result<usize, u32> {
        let Place { mut at, tag } = self.place(key);
        while self.slot(at) != 0 {
            let (shown, id) = (self.slot(at) & !self.mask(), self.slot(at) & self.mask());
            if shown == tag && self.is_of(id, key) {
                return Ok(id as usize - 1);
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
            while self.slot(at) != 0 {
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
