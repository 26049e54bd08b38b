//! Own: which address is an interface's own, where neither the inventory nor the direction of records tells.
//!
//! An object that tells of two addresses of an interface does not say which of them is its own: a port scan of it looks
//! like one by it. All objects together do, whichever comes first: its own address is the one on all of its records.

use baselines::observation::{Observation, Observations, Peer, Shared};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

/// Addresses that objects say may be own ones of interfaces, by numbers of the caller's.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Records on whose one side an address of an interface was, and those it asked in.
    n_rows: HashMap<(u32, u128), (u64, u64), FixedState>,
}

impl Candidates {
    /// Notes what an object says of an interface with that number.
    pub(super) fn note(&mut self, eni: u32, of: &Shared) {
        let (n_rows, n_asking) = self.n_rows.entry((eni, of.address)).or_default();
        *n_rows += of.n_rows;
        *n_asking += of.n_asking;
    }

    /// Decides: of each interface and address family the address with the most records; of equals, in IPv4, a private
    /// one before a public one, one that asks before one that answers, the smaller before the larger.
    pub(super) fn decided(self, peers: &[Peer]) -> OwnPeers {
        let of = |((eni, address), (n_rows, n_asking))| Shared { eni, address, n_rows, n_asking };
        let mut all: Vec<Shared> = self.n_rows.into_iter().map(of).collect();
        let likely = |of: &Shared| std::cmp::Reverse((of.n_rows, of.is_likely_own(), of.n_asking));
        all.sort_unstable_by_key(|of| (of.family(), likely(of), of.address));
        all.dedup_by_key(|of| of.family());
        let mut enis_of: HashMap<u128, Vec<u32>, FixedState> = HashMap::default();
        for of in &all {
            enis_of.entry(of.address).or_default().push(of.eni);
        }
        let met = (0..).zip(peers).filter_map(|(id, peer)| Some((id, enis_of.get(&{ peer.address })?)));
        OwnPeers(met.flat_map(|(id, enis)| enis.iter().map(move |eni| (*eni, id))).collect())
    }
}

/// Interfaces with the number of their own address, where a row goes to it.
#[derive(Debug, Default)]
pub(super) struct OwnPeers(HashSet<(u32, u32), FixedState>);

impl OwnPeers {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a row goes to its interface's own address: somebody else called.
    pub(super) fn contains(&self, row: &Observation) -> bool {
        self.0.contains(&(row.eni, row.peer))
    }
}

/// Takes out of what one object told, for who keeps it, the rows that go to an interface's own address; gives how many
/// records they tell of.
pub(super) fn keep_calls(observations: &mut Observations) -> u64 {
    let mut candidates = Candidates::default();
    for of in observations.shared.drain(..) {
        candidates.note(of.eni, &of);
    }
    let own = candidates.decided(&observations.peers);
    let mut n_records = 0;
    observations.rows.retain(|row| {
        let is_call = !own.contains(row);
        n_records += if is_call { 0 } else { super::settle::n_records(row) };
        is_call
    });
    n_records
}
