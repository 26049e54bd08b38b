//! The group table: keys to groups, records a few hundred at a time.
//!
//! What a record costs is mostly waiting for memory: the place its key hashes to, then its group. So places are asked
//! for by a few hundred records at once, and groups some dozens of records before they are added to.

use baselines::near::near;
use baselines::slots::{Place, Slots};

use super::block::Block;
use super::group::{Group, Key};

/// Records whose groups are asked for ahead: twice as many are under way at most, 16 KB, half of the first-level cache.
const N_AHEAD: usize = 64;

/// Groups whose memory is kept for the next object: 64 MB. Of 1.5 million in one object, as a scan makes, it had been a
/// fifth of the peak.
const MAX_KEPT: usize = 1 << 19;

/// Groups by key.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Slots,
    groups: Vec<Group>,
}

impl Table {
    /// Adds the records of a block.
    pub(super) fn add(&mut self, block: &Block) {
        let keys = block.keys();
        self.make_room(keys.len());
        let mut places = [Place::default(); Block::N_ROWS];
        for (to, key) in places.iter_mut().zip(keys) {
            *to = self.slots.place(key.hash());
            self.slots.near(*to);
        }
        let mut places = places.chunks(N_AHEAD);
        let mut numbers = self.first_shown(places.next());
        let mut taken = block.taken();
        for keys in keys.chunks(N_AHEAD) {
            let next = self.first_shown(places.next());
            for ((number, key), (row, sense)) in numbers.into_iter().zip(keys).zip(&mut taken) {
                let number = if self.is_of(number, *key) { number } else { self.find_or_add(*key) };
                if let Some(group) = self.groups.get_mut(number as usize) {
                    group.add(&block.flow(row), sense);
                }
            }
            numbers = next;
        }
    }

    /// What slots show of some keys, by the places of these: nearly always a key's group by number, and it is brought
    /// near; [`u32::MAX`] for none yet.
    fn first_shown(&self, places: Option<&[Place]>) -> [u32; N_AHEAD] {
        let mut numbers = [u32::MAX; N_AHEAD];
        for (number, place) in numbers.iter_mut().zip(places.unwrap_or_default()) {
            *number = self.slots.shown(*place).unwrap_or(u32::MAX);
            self.groups.get(*number as usize).map(near);
        }
        numbers
    }

    /// Whether a group is a key's.
    #[inline]
    fn is_of(&self, number: u32, key: Key) -> bool {
        self.groups.get(number as usize).is_some_and(|group| group.key == key)
    }

    /// A key's group by number.
    fn find(&self, key: Key) -> Option<u32> {
        self.slots.find(self.slots.place(key.hash()), |number| self.is_of(number, key))
    }

    /// A key's group by number, made if it is not there. There must be room.
    fn find_or_add(&mut self, key: Key) -> u32 {
        self.find(key).unwrap_or_else(|| {
            let number = self.groups.len() as u32;
            self.groups.push(Group::new(key));
            self.slots.add(self.slots.place(key.hash()), number);
            number
        })
    }

    fn make_room(&mut self, additional: usize) {
        self.slots.make_room(self.groups.len() + additional, self.groups.iter().map(|group| group.key.hash()));
    }

    /// Adds a group of another table.
    pub(super) fn merge(&mut self, key: Key, other: &Group) {
        self.make_room(1);
        let number = self.find_or_add(key);
        if let Some(mine) = self.groups.get_mut(number as usize) {
            mine.merge(other);
        }
    }

    /// Forgets all groups and keeps their memory, of the slots as much as these groups needed: emptying them takes its
    /// time. Of very many groups it keeps none: what they tell is put down next, which takes memory too.
    pub(super) fn clear(&mut self) {
        if self.groups.capacity() > MAX_KEPT {
            *self = Self::default();
            return;
        }
        self.slots.clear(self.groups.len());
        self.groups.clear();
    }

    /// A key's group.
    pub(super) fn get(&self, key: Key) -> Option<&Group> {
        self.groups.get(self.find(key)? as usize)
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
