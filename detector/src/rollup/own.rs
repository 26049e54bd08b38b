//! Which addresses are an interface's own.
//!
//! The inventory knows, the direction of the records shows, and where both are silent every record of an interface
//! still has its address on one side: the address most of its records share. Where an object tells of two addresses
//! only, both are shared, and other objects have to say which it is: see [`Shared`].

use std::collections::BTreeSet;

use baselines::ladder::is_ipv4;
use baselines::observation::Shared;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::groups::Groups;

/// Interfaces and their own addresses, both as numbers of `groups`. Nearly all have one.
#[derive(Debug, Default)]
pub(super) struct Owned {
    /// The first one by interface; [`u32::MAX`] for none.
    first: Vec<u32>,
    others: BTreeSet<(u32, u32)>,
}

impl Owned {
    /// Notes an address as an interface's own.
    pub(super) fn insert(&mut self, interface: u32, address: u32) {
        if self.first.len() <= interface as usize {
            self.first.resize(interface as usize + 1, u32::MAX);
        }
        match self.first.get_mut(interface as usize) {
            Some(first) if *first == u32::MAX => *first = address,
            Some(first) if *first == address => {}
            _ => _ = self.others.insert((interface, address)),
        }
    }

    /// Whether an address is the interface's own.
    fn contains(&self, interface: u32, address: u32) -> bool {
        self.first.get(interface as usize) == Some(&address)
            || !self.others.is_empty() && self.others.contains(&(interface, address))
    }

    /// Each interface with each of its addresses.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        let first = (0..).zip(&self.first).map(|(interface, address)| (interface, *address));
        first.filter(|(_, address)| *address != u32::MAX).chain(self.others.iter().copied())
    }
}

/// The own addresses of each interface, as far as they are known.
#[derive(Debug)]
pub(super) struct Own {
    addresses: Owned,
    /// The interfaces of which neither the inventory nor the direction of records tells any, of IPv6 and of IPv4: see
    /// [`family`].
    open: Vec<[bool; 2]>,
    /// Of those the ones that may own either of two addresses: whoever asks is taken for them.
    tied: HashSet<(u32, usize), FixedState>,
}

/// The place of an address's family.
fn family(address: u128) -> usize {
    usize::from(is_ipv4(address))
}

impl Own {
    /// What the inventory and the direction of records tell. Takes from the groups what they know of it.
    pub(super) fn known(groups: &mut Groups) -> Self {
        let mut addresses = groups.take_own();
        let groups = &*groups;
        let is_there =
            [false, true].map(|is_it| (0..groups.n_addresses() as u32).any(|id| is_ipv4(groups.address(id)) == is_it));
        let mut open = vec![is_there; groups.all_interfaces().len()];
        let mut tells = |interface: u32, address: u128| {
            let of_interface = open.get_mut(interface as usize);
            if let Some(open) = of_interface.and_then(|open| open.get_mut(family(address))) {
                *open = false;
            }
        };
        addresses.iter().for_each(|(interface, address)| tells(interface, groups.address(address)));
        for (interface, seen) in (0..).zip(groups.all_interfaces()) {
            for address in &seen.known.own {
                tells(interface, *address);
                if let Some(number) = groups.number(*address) {
                    addresses.insert(interface, number);
                }
            }
        }
        Self { addresses, open, tied: HashSet::default() }
    }

    /// Adds the address that an interface's records share where nothing else tells any; gives these addresses, with
    /// the number of each interface. All records must be in the groups.
    pub(super) fn add_shared(&mut self, groups: &Groups) -> Vec<Shared> {
        if !self.open.iter().any(|open| open.contains(&true)) {
            return Vec::new();
        }
        let shared = shared(groups, &self.open);
        for of_family in shared.chunk_by(|a, b| a.family() == b.family()) {
            match of_family {
                [one] => {
                    if let Some(number) = groups.number(one.address) {
                        self.addresses.insert(one.eni, number);
                    }
                }
                _ => self.tied.extend(of_family.iter().map(Shared::family)),
            }
        }
        shared
    }

    /// Whether it is the interface that calls: the client, whose `address` tells the family, is its own and the server
    /// is not. Where two addresses are tied, as far as this object tells, whoever asks is.
    pub(super) fn is_call(&self, interface: u32, client: u32, server: u32, address: u128) -> bool {
        if self.tied.is_empty() || !self.tied.contains(&(interface, family(address))) {
            return self.contains(interface, client) && !self.contains(interface, server);
        }
        client != server
    }

    /// Whether an address is the interface's own.
    pub(super) fn contains(&self, interface: u32, address: u32) -> bool {
        self.addresses.contains(interface, address)
    }
}

/// For each open interface and address family, the address with the most records; of equals the likelier one
/// ([`Shared::is_likely_own`]). Two, where this does not tell. By interface and family.
fn shared(groups: &Groups, open: &[[bool; 2]]) -> Vec<Shared> {
    let mut n_rows: HashMap<(u32, u32), (u64, u64), FixedState> = HashMap::default();
    let is_open = |interface: u32, address: u128| {
        open.get(interface as usize).and_then(|open| open.get(family(address))).is_some_and(|open| *open)
    };
    for group in groups.iter().filter(|of| is_open(of.key.interface(), groups.address(of.key.client()))) {
        let (interface, client, server) = (group.key.interface(), group.key.client(), group.key.server());
        let entry = n_rows.entry((interface, client)).or_default();
        entry.0 += group.n_rows();
        entry.1 += group.n_rows();
        if server != client {
            n_rows.entry((interface, server)).or_default().0 += group.n_rows();
        }
    }
    let shared = |((eni, id), (n_rows, n_asking))| Shared { eni, address: groups.address(id), n_rows, n_asking };
    let mut shared: Vec<Shared> = n_rows.into_iter().map(shared).collect();
    let likely = |of: &Shared| (of.n_rows, of.is_likely_own());
    shared.sort_unstable_by_key(|of| (of.family(), std::cmp::Reverse(likely(of)), of.address));
    let of_family = shared.chunk_by(|a, b| a.family() == b.family());
    of_family.flat_map(|all| all.iter().take_while(|of| all.first().map(likely) == Some(likely(of)))).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_keeps_all_its_addresses_each_once() {
        let mut owned = Owned::default();
        for (interface, address) in [(2, 7), (0, 5), (2, 9), (2, 7), (2, 9), (2, 8)] {
            owned.insert(interface, address);
        }
        assert_eq!(owned.iter().collect::<Vec<_>>(), [(0, 5), (2, 7), (2, 8), (2, 9)]);
        assert!(
            [(0, 5), (2, 7), (2, 8), (2, 9)].iter().all(|(interface, address)| owned.contains(*interface, *address))
        );
        assert!(![(0, 7), (1, 7), (9, 5)].iter().any(|(of, address)| owned.contains(*of, *address)));
    }
}
