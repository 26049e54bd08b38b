//! Tables: values under integer keys, with dense numbers that stay valid while the table grows.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

use crate::near::near;
use crate::slots::{Place, Slots};

/// A map whose values are numbered in order of arrival.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    ids: Index,
    entries: Vec<(K, V)>,
}

/// Where in a list a value is: numbers only, the values stay in the list. Some ten bytes an entry, where a map with
/// keys of its own takes up to 33, which is most of what a destination costs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    slots: Slots,
    hasher: FixedState,
}

impl Index {
    /// The number of the list's entry with a key, each entry's key given by `key_of`.
    pub(crate) fn find<K: Copy + Eq + Hash, E>(&self, key: K, list: &[E], key_of: impl Fn(&E) -> K) -> Option<u32> {
        let is_it = |id: u32| list.get(id as usize).is_some_and(|entry| key_of(entry) == key);
        self.slots.find(self.place(key), is_it)
    }

    /// Prefetches the slot of a key; gives its place.
    pub(crate) fn near<K: Hash>(&self, key: K) -> Place {
        let place = self.place(key);
        self.slots.near(place);
        place
    }

    /// Prefetches the list's entry that a place shows.
    pub(crate) fn near_shown<E>(&self, place: Place, list: &[E]) {
        self.slots.shown(place).and_then(|id| list.get(id as usize)).map(near);
    }

    /// Adds the last entry of a list. There must be none of the same key before it.
    pub(crate) fn add_last<K: Hash, E>(&mut self, list: &[E], key_of: impl Fn(&E) -> K) {
        let Some((last, before)) = list.split_last() else { return };
        let Self { slots, hasher } = self;
        slots.make_room(list.len(), before.iter().map(|entry| hasher.hash_one(key_of(entry))));
        slots.add(slots.place(hasher.hash_one(key_of(last))), before.len() as u32);
    }

    /// Makes room for more entries of a list.
    pub(crate) fn reserve<K: Hash, E>(&mut self, additional: usize, list: &[E], key_of: impl Fn(&E) -> K) {
        let Self { slots, hasher } = self;
        slots.make_room(list.len() + additional, list.iter().map(|entry| hasher.hash_one(key_of(entry))));
    }

    fn place<K: Hash>(&self, key: K) -> Place {
        self.slots.place(self.hasher.hash_one(key))
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { ids: Index::default(), entries: Vec::new() }
    }
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
    /// The number of a key.
    pub fn id(&self, key: &K) -> Option<u32> {
        self.ids.find(*key, &self.entries, |entry| entry.0)
    }

    /// The value under a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.at(self.id(key)?)
    }

    /// The value under a key, to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.at_mut(self.id(key)?)
    }

    /// The value of a number.
    pub fn at(&self, id: u32) -> Option<&V> {
        self.entries.get(id as usize).map(|(_, value)| value)
    }

    /// Key and value of a number.
    pub(crate) fn entry(&self, id: u32) -> Option<(&K, &V)> {
        self.entries.get(id as usize).map(|(key, value)| (key, value))
    }

    /// The value of a number, to change.
    pub fn at_mut(&mut self, id: u32) -> Option<&mut V> {
        self.entries.get_mut(id as usize).map(|(_, value)| value)
    }

    /// Prefetches the slot of a key; gives its place, for [prefetching the entry](Self::near_shown) next.
    pub(crate) fn near_place(&self, key: &K) -> Place {
        self.ids.near(*key)
    }

    /// Prefetches the entry that a place shows.
    pub(crate) fn near_shown(&self, place: Place) {
        self.ids.near_shown(place, &self.entries);
    }

    /// Prefetches the entry of a number.
    pub(crate) fn near(&self, id: u32) {
        self.entries.get(id as usize).map(near);
    }

    /// Puts a value under a key and returns its number; what was there is replaced.
    pub fn put(&mut self, key: K, value: V) -> u32 {
        if let Some(id) = self.id(&key) {
            if let Some(there) = self.at_mut(id) {
                *there = value;
            }
            return id;
        }
        self.put_absent(key, value)
    }

    /// Puts a value under a key that is not there yet and returns its number; `None` when it is there.
    pub(crate) fn put_new(&mut self, key: K, value: V) -> Option<u32> {
        self.id(&key).is_none().then(|| self.put_absent(key, value))
    }

    /// Puts a value under a key that is known not to be there and returns its number.
    pub(crate) fn put_absent(&mut self, key: K, value: V) -> u32 {
        let id = self.entries.len() as u32;
        if self.entries.len() == self.entries.capacity() {
            // By a quarter: there are several tables an owner, and half of what doubling takes would stay empty. An
            // interface that lives for minutes needs room for one.
            let more = if self.entries.is_empty() { 1 } else { self.entries.len() / 4 + 4 };
            self.entries.reserve_exact(more);
        }
        self.entries.push((key, value));
        self.ids.add_last(&self.entries, |entry| entry.0);
        id
    }

    /// Adds the values of another table: `merge` says how to one that is here, the others as they are.
    pub(crate) fn merge(&mut self, other: &Self, merge: impl Fn(&mut V, &V))
    where
        V: Clone,
    {
        for (key, theirs) in other.iter() {
            match self.get_mut(key) {
                Some(mine) => merge(mine, theirs),
                None => _ = self.put_absent(*key, theirs.clone()),
            }
        }
    }

    /// Makes room for more entries.
    pub(crate) fn reserve(&mut self, additional: usize) {
        self.ids.reserve(additional, &self.entries, |entry| entry.0);
        self.entries.reserve_exact(additional);
    }

    /// Drops what does not satisfy a condition. Where anything was, numbers given before are void afterwards.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let before = self.entries.len();
        self.entries.retain(|(key, value)| keep(key, value));
        if self.entries.len() == before {
            return;
        }
        self.ids = Index::default();
        self.ids.reserve(0, &self.entries, |entry| entry.0);
    }

    /// Keys and values, by number.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_retain_renumbers() {
        let mut table = Table::default();
        assert_eq!((table.put('a', 1), table.put('b', 2), table.put('a', 3)), (0, 1, 0));
        assert_eq!((table.get(&'a'), table.at(1), table.len()), (Some(&3), Some(&2), 2));
        table.retain(|_, &v| v != 3);
        assert_eq!((table.id(&'b'), table.get(&'a')), (Some(0), None));
    }
}
