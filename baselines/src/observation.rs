//! Observations: what one interface exchanged with one destination in one window. The contract between the heavy step
//! and everything after it.
//!
//! Takes rows from the detector's `rollup`, gives them to judging and learning, in memory or as Parquet
//! ([`crate::store`]). Holds no opinion on what is odd.
//!
//! ```text
//!  owner (function)  eni    destination               window  out          in           contact
//!  ───────────────   ─────  ────────────────────────  ──────  ───────────  ───────────  ─────────────────────────
//!  arn:…:activities  eni-1  203.0.113.7 : 443 / tcp   09:10   flows bytes  packets      first last minutes ports
//!  arn:…:activities  eni-1  203.0.113.7 : 443 / tcp   09:20   …
//! ```

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::ladder::{is_ipv4, is_private};
use crate::names::{Names, at, sort};
use crate::slots::Place;
use crate::table::Index;
use crate::window::Window;

/// Totals of one owner × interface × destination × window. Merging adds amounts and joins masks: associative and
/// commutative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Whose traffic: index into [`Observations::owners`].
    pub owner: u32,
    /// On which interface: index into [`Observations::enis`].
    pub eni: u32,
    /// To whom: index into [`Observations::peers`].
    pub peer: u32,
    /// Port of the peer; 0 for protocols without ports.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// The window of the records' start.
    pub window: Window,
    /// Accepted flow records sent. 0 beside no refused ones: answers only, which join what asked when an hour is taken
    /// up.
    pub n_flows: u32,
    /// Refused flow records sent (`REJECT`). Their bytes never left and are not in `bytes_out`.
    pub n_rejected: u32,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Packets received.
    pub packets_in: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Start of the first record, Unix seconds.
    pub first: i64,
    /// End of the last record, Unix seconds.
    pub last: i64,
    /// Bit *m* set: a record sent started in minute *m* of the window.
    pub minutes: u16,
    /// Local ports in use in the first half of the window, bit `port mod 64`: a connection held over windows keeps its
    /// bit.
    pub ports_early: u64,
    /// The same of the second half.
    pub ports_late: u64,
    /// Sum of the hashes of the records: two tellings of the same records have the same.
    pub digest: u64,
}

impl Observation {
    /// Whether all of it was refused: nothing was called.
    pub fn is_refused(&self) -> bool {
        self.n_flows == 0 && self.n_rejected > 0
    }

    /// What of it was refused.
    #[must_use]
    pub fn refused(&self) -> Self {
        let Self { owner, eni, peer, port, protocol, window, n_rejected, first, last, minutes, digest, .. } = *self;
        Self { owner, eni, peer, port, protocol, window, n_rejected, first, last, minutes, digest, ..Self::default() }
    }

    /// Adds another observation of the same owner, destination and window.
    pub fn merge(&mut self, other: &Self) {
        self.n_flows = self.n_flows.saturating_add(other.n_flows);
        self.n_rejected = self.n_rejected.saturating_add(other.n_rejected);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.packets_in = self.packets_in.saturating_add(other.packets_in);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.minutes |= other.minutes;
        self.ports_early |= other.ports_early;
        self.ports_late |= other.ports_late;
        self.digest = self.digest.wrapping_add(other.digest);
    }

    /// [`Observation::key`] as a number, in the same order.
    fn packed_key(&self) -> u128 {
        u128::from(self.window.0) << 88
            | u128::from(self.owner) << 56
            | u128::from(self.peer) << 24
            | u128::from(self.port) << 8
            | u128::from(self.protocol)
    }

    /// What the observation is of, apart from the interface: it merges with others of the same key.
    pub fn key(&self) -> (Window, u32, u32, u16, u8) {
        (self.window, self.owner, self.peer, self.port, self.protocol)
    }
}

/// A remote address, with what the log itself says of it. 24 bytes: aligned as an address is, a quarter would be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C, packed(8))]
pub struct Peer {
    /// Bits of the IPv6 form; IPv4 as `::ffff:a.b.c.d`.
    pub address: u128,
    /// The service code of `pkt-dst-aws-service`: index into [`Observations::services`], 0 for none.
    pub service: u32,
}

/// An interface, with what the log says of it. Empty where the log says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Eni {
    /// `eni-…`
    pub id: Arc<str>,
    /// Account of the interface.
    pub account: Arc<str>,
    /// Its region.
    pub region: Arc<str>,
    /// Its VPC.
    pub vpc: Arc<str>,
}

/// An address that all records of an interface share, as far as one object tells of it: its own, or that of the only
/// one it had to do with. Which of them it is, all objects together say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The interface: index into [`Observations::enis`].
    pub eni: u32,
    /// Bits of the IPv6 form.
    pub address: u128,
    /// Records on whose one side it is.
    pub n_rows: u64,
    /// Those among them where it is the side that opened the connection.
    pub n_asking: u64,
}

impl Shared {
    /// What its interface has one own address of: IPv6 (0) or IPv4.
    pub fn family(&self) -> (u32, usize) {
        (self.eni, is_ipv4(self.address).into())
    }

    /// Whether the address is more likely the interface's own than others with as many records: a private one, in IPv4.
    /// An interface's own IPv6 address is as often public.
    pub fn is_likely_own(&self) -> bool {
        is_ipv4(self.address) && is_private(self.address)
    }
}

/// A set of observations with the tables its numbers point into.
#[derive(Clone, Debug)]
pub struct Observations {
    /// Owners: a function's ARN without version; several, comma-separated, when they share the interface; or the
    /// interface's id when there is no inventory.
    pub owners: Names,
    /// Interfaces.
    pub enis: Vec<Eni>,
    /// Remote addresses.
    pub peers: Vec<Peer>,
    /// AWS service codes; number 0 is the empty name.
    pub services: Names,
    /// The observations, in no order that means anything unless the set was [sorted](Observations::sorted).
    pub rows: Vec<Observation>,
    /// What may be own addresses of interfaces of which nothing tells any. Rows to an interface's own address are none
    /// of its calls. Not stored: a set that is to be kept is asked before.
    pub shared: Vec<Shared>,
}

impl Observations {
    /// The set with its rows sorted by window, owner, address, port, protocol and interface, and its tables by name and
    /// address: an order that speaks of what is told only, never of arrival.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        let services = self.services.sort();
        for peer in &mut self.peers {
            peer.service = at(&services, peer.service);
        }
        let ranks =
            Renumbering { owners: self.owners.sort(), enis: sort(&mut self.enis), peers: sort(&mut self.peers) };
        for row in &mut self.rows {
            *row = ranks.of(row);
        }
        for of in &mut self.shared {
            of.eni = ranks.eni(of.eni);
        }
        // By key: rows are wide, each is moved once.
        let mut order: Vec<(u128, u32)> = self.rows.iter().map(Observation::packed_key).zip(0..).collect();
        order.sort_unstable_by_key(|&(key, _)| key);
        let row = |n: u32| self.rows.get(n as usize).copied().unwrap_or_default();
        for of_key in order.chunk_by_mut(|a, b| a.0 == b.0).filter(|of_key| of_key.len() > 1) {
            // The digest is for two addresses of one interface that met the same destination.
            of_key.sort_unstable_by_key(|&(_, n)| (row(n).eni, row(n).digest));
        }
        arrange(&mut self.rows, order.into_iter().map(|(_, n)| n).collect());
        self
    }

    /// The places of owners, interfaces and addresses when all are sorted.
    pub fn ranks(&self) -> Renumbering {
        Renumbering {
            owners: sort(&mut self.owners.iter().collect()),
            enis: sort(&mut self.enis.iter().map(|eni| &eni.id).collect()),
            peers: sort(&mut self.peers.iter().map(|peer| peer.address).collect()),
        }
    }
}

/// Puts rows in an order that names each once, in place: there may be many megabytes of them.
fn arrange(rows: &mut [Observation], mut order: Vec<u32>) {
    for start in 0..rows.len() {
        let Some(&first) = rows.get(start) else { return };
        let mut to = start;
        // Round one cycle of rows that take each other's place; then each of them names itself.
        while let Some(from) = order.get_mut(to).map(|from| std::mem::replace(from, to as u32) as usize) {
            let Some(&row) = rows.get(from).filter(|_| from != start) else { break };
            if let Some(slot) = rows.get_mut(to) {
                *slot = row;
            }
            to = from;
        }
        if let Some(slot) = rows.get_mut(to) {
            *slot = first;
        }
    }
}

impl Default for Observations {
    fn default() -> Self {
        let mut services = Names::default();
        services.intern("");
        let (owners, enis, peers) = (Names::default(), Vec::new(), Vec::new());
        Self { owners, enis, peers, services, rows: Vec::new(), shared: Vec::new() }
    }
}

/// One set growing out of many: keeps what it has seen of the others' tables.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    set: Observations,
    enis: HashMap<Arc<str>, u32, FixedState>,
    peers: Index,
}

impl Collector {
    /// Starts from a set.
    pub fn new(set: &Observations) -> Self {
        let mut out = Self::default();
        out.add(set);
        out
    }

    /// The set so far.
    pub fn set(&self) -> &Observations {
        &self.set
    }

    /// Takes the rows out, leaving the tables: numbers given so far stay valid.
    pub fn take_rows(&mut self) -> Vec<Observation> {
        std::mem::take(&mut self.set.rows)
    }

    /// The set, with rows put in by the caller: their numbers are those given by this collector.
    pub fn finish(self, rows: Vec<Observation>) -> Observations {
        Observations { rows, ..self.set }
    }

    /// The number of an address in [`Observations::peers`].
    ///
    /// An address told with a service once keeps it; of several, the alphabetically last, so that order does not
    /// matter.
    pub fn peer(&mut self, address: u128, service: &str) -> u32 {
        let service = self.set.services.intern(service);
        self.peer_of(address, service)
    }

    /// The same of an address told with a service by number.
    fn peer_of(&mut self, address: u128, service: u32) -> u32 {
        let Self { set, peers, .. } = self;
        let id = peers.find(address, &set.peers, |peer| peer.address).unwrap_or_else(|| {
            let id = set.peers.len() as u32;
            set.peers.push(Peer { address, service });
            peers.add_last(&set.peers, |peer| peer.address);
            id
        });
        if let Some(peer) = set.peers.get_mut(id as usize)
            && peer.service != service
            && set.services.name(peer.service) < set.services.name(service)
        {
            peer.service = service;
        }
        id
    }

    /// The number of an interface in [`Observations::enis`]. Where logs tell different things of one, the
    /// alphabetically last wins, whichever came first.
    pub fn eni(&mut self, eni: &Eni) -> u32 {
        let Some(&at) = self.enis.get(&eni.id) else {
            let at = self.set.enis.len() as u32;
            self.enis.insert(Arc::clone(&eni.id), at);
            self.set.enis.push(eni.clone());
            return at;
        };
        if let Some(known) = self.set.enis.get_mut(at as usize) {
            for (mine, other) in
                [(&mut known.account, &eni.account), (&mut known.region, &eni.region), (&mut known.vpc, &eni.vpc)]
            {
                if *mine < *other {
                    mine.clone_from(other);
                }
            }
        }
        at
    }

    /// The number of an owner in [`Observations::owners`].
    pub fn owner(&mut self, owner: &str) -> u32 {
        self.set.owners.intern(owner)
    }

    /// Takes in another set's tables; gives what its numbers are here.
    pub fn renumber(&mut self, other: &Observations) -> Renumbering {
        let services: Vec<u32> = other.services.iter().map(|name| self.set.services.intern_shared(name)).collect();
        // A run's addresses are far from the cache: all places are asked for, then all entries, before one is looked
        // at.
        let places: Vec<Place> = other.peers.iter().map(|peer| self.peers.near(peer.address)).collect();
        for place in places {
            self.peers.near_shown(place, &self.set.peers);
        }
        Renumbering {
            owners: other.owners.iter().map(|name| self.set.owners.intern_shared(name)).collect(),
            enis: other.enis.iter().map(|eni| self.eni(eni)).collect(),
            peers: (other.peers.iter())
                .map(|peer| self.peer_of(peer.address, services.get(peer.service as usize).copied().unwrap_or(0)))
                .collect(),
        }
    }

    /// Adds all rows of another set, renumbered.
    pub fn add(&mut self, other: &Observations) {
        let numbers = self.renumber(other);
        self.set.rows.extend(other.rows.iter().map(|row| numbers.of(row)));
    }
}

/// From the numbers of one set to those of another, or to their ranks.
#[derive(Clone, Debug)]
pub struct Renumbering {
    pub(crate) owners: Vec<u32>,
    pub(crate) enis: Vec<u32>,
    pub(crate) peers: Vec<u32>,
}

impl Renumbering {
    /// The number of an owner; [`u32::MAX`] for one that the first set does not have.
    pub fn owner(&self, id: u32) -> u32 {
        at(&self.owners, id)
    }

    /// The number of an interface.
    pub fn eni(&self, id: u32) -> u32 {
        at(&self.enis, id)
    }

    /// The number of a peer.
    pub fn peer(&self, id: u32) -> u32 {
        at(&self.peers, id)
    }

    /// A row with the other set's numbers.
    pub fn of(&self, row: &Observation) -> Observation {
        let (owner, eni, peer) = (self.owner(row.owner), self.eni(row.eni), self.peer(row.peer));
        Observation { owner, eni, peer, ..*row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn observation() -> impl Strategy<Value = Observation> {
        (any::<[u32; 2]>(), any::<[u64; 5]>(), any::<u16>(), any::<[i64; 2]>()).prop_map(|(n, b, minutes, t)| {
            Observation {
                n_flows: n[0],
                n_rejected: n[1],
                bytes_out: b[0],
                packets_in: b[1],
                bytes_in: b[2],
                minutes,
                ports_early: b[3],
                ports_late: b[4],
                digest: b[0] ^ b[4],
                first: t[0],
                last: t[1],
                ..Observation::default()
            }
        })
    }

    fn merged(a: &Observation, b: &Observation) -> Observation {
        let mut out = *a;
        out.merge(b);
        out
    }

    proptest! {
        #[test]
        fn merging_is_associative_and_commutative(a in observation(), b in observation(), c in observation()) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        }
    }

    proptest! {
        #[test]
        fn rows_are_arranged_as_if_copied(order in Just((0..40u32).collect::<Vec<_>>()).prop_shuffle(), n in 0..40u32) {
            let order: Vec<u32> = order.into_iter().filter(|&at| at < n).collect();
            let mut rows: Vec<_> = (0..n).map(|n| Observation { n_flows: n, ..Observation::default() }).collect();
            arrange(&mut rows, order.clone());
            prop_assert_eq!(rows.iter().map(|row| row.n_flows).collect::<Vec<_>>(), order);
        }
    }

    #[test]
    fn a_collector_renumbers() {
        let mut a = Collector::default();
        let (owner, peer) = (a.owner("f"), a.peer(7, ""));
        let mut b = Collector::default();
        b.owner("g");
        let eni = b.eni(&Eni { id: "eni-1".into(), ..Eni::default() });
        let row = Observation { owner: b.owner("f"), peer: b.peer(7, "S3"), eni, ..Observation::default() };
        b.set.rows.push(row);
        a.add(b.set());
        let added = a.set().rows.first().copied().unwrap_or_default();
        assert_eq!((added.owner, added.peer), (owner, peer));
        assert_eq!(&*a.set().services.name(a.set().peers[0].service), "S3", "the log's word for an address is kept");
    }
}
