//! Judge: the owners of an hour, side by side: window by window each is judged by what was known before, then learned.
//!
//! What an owner is judged by beside its own past, how many others know a network, is what was known when the hour
//! began: so neither the order of owners nor the number of threads shows, and what an hour asks of one owner is asked
//! at once, while it is in the cache.

use baselines::baseline::{Found, Learned};
use baselines::follow::Open;
use baselines::observation::{Observation, Ranks};
use baselines::{Baselines, Fleet};
use rayon::prelude::*;

use super::settle::settle;
use super::shelf::{At, Hour, HourRows, Tables};
use super::{Job, Mode};
use crate::score::{Own, OwnIncidents, Scorer, Seen, by_destination};

/// An hour, ready to be judged.
pub(super) struct Ready {
    pub(super) hour: Hour,
    pub(super) rows: HourRows,
    /// Where each row lies, with its owner, sorted by owner.
    pub(super) by_owner: Vec<(u32, At)>,
    /// Owners that come up for the first time, by name.
    pub(super) new_owners: Vec<u32>,
    /// Peers that come up for the first time, by address.
    pub(super) new_peers: Vec<u32>,
}

/// What became of an hour's rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    pub(super) n_observations: u64,
    pub(super) n_repeated: u64,
}

/// Judges hours in order.
pub(super) struct Judge<'a> {
    job: &'a Job<'a>,
    tables: &'a Tables,
    ranks: &'a Ranks,
    /// The baselines' numbers of the shelf's owners and peers, as far as these came up.
    owners: Vec<u32>,
    peers: Vec<u32>,
}

/// One owner's part of an hour.
struct Part<'a> {
    owner: u32,
    rows: &'a [(u32, At)],
    incidents: OwnIncidents,
    learned: Learned,
    account: Account,
}

impl<'a> Judge<'a> {
    pub(super) fn new(job: &'a Job<'a>, tables: &'a Tables, ranks: &'a Ranks) -> Self {
        let (owners, peers) = (vec![u32::MAX; tables.set.owners.len()], vec![u32::MAX; tables.set.peers.len()]);
        Self { job, tables, ranks, owners, peers }
    }

    /// Judges an hour and learns it.
    pub(super) fn hour(&mut self, scorer: &mut Scorer<'_>, baselines: &mut Baselines, hour: &Ready) -> Account {
        self.number(baselines, hour);
        let mut parts: Vec<Part<'_>> = hour
            .by_owner
            .chunk_by(|a, b| a.0 == b.0)
            .filter_map(|rows| {
                let owner = number(&self.owners, rows.first()?.0);
                let incidents = scorer.incidents.take(owner);
                Some(Part { owner, rows, incidents, learned: Learned::default(), account: Account::default() })
            })
            .collect();
        parts.sort_unstable_by_key(|part| part.owner);
        let (fleet, of_owner) = baselines.side_by_side(parts.iter().map(|part| part.owner));
        let judging = &*scorer;
        parts.par_iter_mut().zip(of_owner).for_each(|(part, baseline)| {
            let Part { owner, rows, incidents, learned, account } = part;
            let mut settled = settle(&hour.rows, rows, self.tables, self.ranks);
            for row in &mut settled.rows {
                (row.owner, row.peer) = (*owner, number(&self.peers, row.peer));
            }
            *account = Account { n_observations: settled.rows.len() as u64, n_repeated: settled.n_repeated };
            let mut own = Own { owner: *owner, baseline, incidents, open: Open::default() };
            for told in settled.rows.chunk_by(|a, b| a.window == b.window) {
                self.window(judging, fleet, &mut own, told, learned);
            }
            let Own { baseline, open, .. } = own;
            baseline.close(open);
        });
        let mut account = Account::default();
        for part in parts {
            scorer.incidents.put(part.owner, part.incidents);
            baselines.note(&part.learned);
            account.n_observations += part.account.n_observations;
            account.n_repeated += part.account.n_repeated;
        }
        account
    }

    /// Gives the hour's owners and peers their numbers in the baselines.
    fn number(&mut self, baselines: &mut Baselines, hour: &Ready) {
        let set = &self.tables.set;
        for &owner in &hour.new_owners {
            if let Some(slot) = self.owners.get_mut(owner as usize) {
                *slot = baselines.owner(&set.owners.name(owner));
            }
        }
        for &peer in &hour.new_peers {
            if let (Some(slot), Some(told)) = (self.peers.get_mut(peer as usize), set.peers.get(peer as usize)) {
                let network = || self.job.knowledge.network(told.address, &set.services.name(told.service));
                *slot = baselines.ladder.peer(told.address, network);
            }
        }
    }

    /// Judges one owner's window and learns it; of a scan nothing is learned but when the owner was active.
    fn window(
        &self,
        scorer: &Scorer<'_>,
        fleet: Fleet<'_>,
        own: &mut Own<'_>,
        told: &[Observation],
        learned: &mut Learned,
    ) {
        let Some(window) = told.first().map(|row| row.window) else { return };
        let rows = &*by_destination(told);
        let found: Vec<Found> = rows.iter().map(|row| own.baseline.find(fleet.ladder, row)).collect();
        let seen = Seen { window, rows, found: &found };
        match self.job.mode {
            Mode::Replay | Mode::Scan => scorer.judge(fleet, own, seen, told, &self.tables.set.enis),
            Mode::Learn => drop(Scorer::follow(fleet, own, seen)),
        }
        match self.job.mode {
            Mode::Replay | Mode::Learn => own.baseline.learn(fleet.ladder, window, rows, &found, learned),
            Mode::Scan => own.baseline.note_activity(window, rows, &found),
        }
    }
}

/// The baselines' number of one of the shelf's.
fn number(numbers: &[u32], id: u32) -> u32 {
    numbers.get(id as usize).copied().unwrap_or(u32::MAX)
}
