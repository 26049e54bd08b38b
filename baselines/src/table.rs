//! Tables: values under integer keys, with dense numbers that stay valid while the table grows.

use std::hash::Hash;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// A map whose values are numbered in order of arrival.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    ids: HashMap<K, u32, FixedState>,
    entries: Vec<(K, V)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { ids: HashMap::default(), entries: Vec::new() }
    }
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
    /// The number of a key.
    pub fn id(&self, key: &K) -> Option<u32> {
        self.ids.get(key).copied()
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

    /// The value of a number, to change.
    pub fn at_mut(&mut self, id: u32) -> Option<&mut V> {
        self.entries.get_mut(id as usize).map(|(_, value)| value)
    }

    /// Puts a value under a key and returns its number; what was there is replaced.
    pub fn put(&mut self, key: K, value: V) -> u32 {
        if let Some(id) = self.id(&key) {
            if let Some(there) = self.at_mut(id) {
                *there = value;
            }
            return id;
        }
        let id = self.entries.len() as u32;
        self.ids.insert(key, id);
        self.entries.push((key, value));
        id
    }

    /// Puts a value under a key that is not there yet and returns its number; `None` when it is there.
    pub(crate) fn put_new(&mut self, key: K, value: V) -> Option<u32> {
        let id = self.entries.len() as u32;
        let Entry::Vacant(vacant) = self.ids.entry(key) else { return None };
        vacant.insert(id);
        self.entries.push((key, value));
        Some(id)
    }

    /// Makes room for more entries.
    pub(crate) fn reserve(&mut self, additional: usize) {
        self.ids.reserve(additional);
        self.entries.reserve(additional);
    }

    /// Drops what does not satisfy a condition. Numbers given before are void afterwards.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.entries.retain(|(key, value)| keep(key, value));
        self.ids.clear();
        self.ids.extend(self.entries.iter().zip(0..).map(|(&(key, _), id)| (key, id)));
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
