//! Names: strings told once, and dense numbers for them.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// An append-only set of strings, each with a dense number in order of arrival.
///
/// The numbers are private to one set: what leaves the process carries the strings.
#[derive(Clone, Debug, Default)]
pub struct Names {
    ids: HashMap<Arc<str>, u32, FixedState>,
    names: Vec<Arc<str>>,
}

impl Names {
    /// The number of a name, given on first sight.
    pub fn intern(&mut self, name: &str) -> u32 {
        self.intern_as(name, || name.into())
    }

    /// The same of a name that is shared rather than copied.
    pub fn intern_shared(&mut self, name: &Arc<str>) -> u32 {
        self.intern_as(name, || Arc::clone(name))
    }

    fn intern_as(&mut self, name: &str, kept: impl FnOnce() -> Arc<str>) -> u32 {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = self.names.len() as u32;
        let name = kept();
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }

    /// The number of a name, if it was told.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// The name of a number; empty for a number that was never given.
    pub fn name(&self, id: u32) -> Arc<str> {
        self.names.get(id as usize).cloned().unwrap_or_default()
    }

    /// Numbers the names in their order; gives the new number of each.
    pub fn sort(&mut self) -> Vec<u32> {
        let numbers = sort(&mut self.names);
        for id in self.ids.values_mut() {
            *id = numbers.get(*id as usize).copied().unwrap_or(*id);
        }
        numbers
    }

    /// All names, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
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
