//! Names: strings told once, and dense numbers for them.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// An append-only set of strings, each with a dense number in order of arrival.
///
/// The numbers are private to one set: what leaves the process carries the strings.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Numbers only: the names stay in their list.
    ids: HashTable<u32>,
    list: Vec<Arc<str>>,
    hasher: FixedState,
}

impl Names {
    /// Makes room for more names: each is hashed again whenever there is too little.
    pub fn reserve(&mut self, additional: usize) {
        let Self { ids, list, hasher } = self;
        ids.reserve(additional, |id| hasher.hash_one(list.get(*id as usize).map_or("", |name| &**name)));
        list.reserve(additional);
    }

    /// The number of a name, given on first sight.
    pub fn intern(&mut self, name: &str) -> u32 {
        self.intern_as(name, || name.into())
    }

    /// The same of a name that is shared rather than copied.
    pub fn intern_shared(&mut self, name: &Arc<str>) -> u32 {
        self.intern_as(name, || Arc::clone(name))
    }

    fn intern_as(&mut self, name: &str, kept: impl FnOnce() -> Arc<str>) -> u32 {
        let Self { ids, list, hasher } = self;
        let of = |id: u32| list.get(id as usize).map_or("", |name| &**name);
        match ids.entry(hasher.hash_one(name), |id| of(*id) == name, |id| hasher.hash_one(of(*id))) {
            Entry::Occupied(id) => *id.get(),
            Entry::Vacant(slot) => {
                let id = list.len() as u32;
                slot.insert(id);
                list.push(kept());
                id
            }
        }
    }

    /// The number of a name, if it was told.
    pub fn id(&self, name: &str) -> Option<u32> {
        let is_it = |id: &u32| self.list.get(*id as usize).is_some_and(|told| **told == *name);
        self.ids.find(self.hasher.hash_one(name), is_it).copied()
    }

    /// The name of a number; empty for a number that was never given.
    pub fn name(&self, id: u32) -> Arc<str> {
        self.list.get(id as usize).cloned().unwrap_or_default()
    }

    /// Numbers the names in their order; gives the new number of each.
    pub fn sort(&mut self) -> Vec<u32> {
        let numbers = sort(&mut self.list);
        for id in &mut self.ids {
            *id = numbers.get(*id as usize).copied().unwrap_or(*id);
        }
        numbers
    }

    /// All names, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// What stands for a number in a list of places or other numbers; [`u32::MAX`] where the list does not have it.
pub(crate) fn at(list: &[u32], id: u32) -> u32 {
    list.get(id as usize).copied().unwrap_or(u32::MAX)
}

/// Sorts values; gives the place of each.
pub(crate) fn sort<T: Ord>(values: &mut Vec<T>) -> Vec<u32> {
    let mut sorted: Vec<(T, u32)> = std::mem::take(values).into_iter().zip(0..).collect();
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut places = vec![0; sorted.len()];
    for (place, (_, id)) in (0..).zip(&sorted) {
        if let Some(slot) = places.get_mut(*id as usize) {
            *slot = place;
        }
    }
    values.extend(sorted.into_iter().map(|(value, _)| value));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let mut names = Names::default();
        assert_eq!((names.intern("a"), names.intern("b"), names.intern("a")), (0, 1, 0));
        assert_eq!(&*names.name(1), "b");
        assert_eq!((names.id("b"), names.id("c"), names.len()), (Some(1), None, 2));
        assert_eq!(&*names.name(9), "");
    }

    #[test]
    fn sorted_names_are_found_by_their_new_numbers() {
        let mut names = Names::default();
        for name in ["b", "c", "a"] {
            names.intern(name);
        }
        assert_eq!(names.sort(), [1, 2, 0]);
        assert!(
            ["a", "b", "c"].iter().zip(0..).all(|(name, id)| names.id(name) == Some(id) && &*names.name(id) == *name)
        );
        assert_eq!(names.intern("d"), 3);
    }
}
