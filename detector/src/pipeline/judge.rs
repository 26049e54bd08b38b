//! Judge: the owners of an hour, side by side: window by window each is judged by what was known before, then learned.
//!
//! What an owner is judged by beside its own past, how many others know a network, is what was known when the hour
//! began: so neither the order of owners nor the number of threads shows, and what an hour asks of one owner is asked
//! at once, while it is in the cache.

use std::io;

use baselines::baseline::{Learned, span_of};
use baselines::follow::Open;
use baselines::heirs::Memberships;
use baselines::ladder::Network;
use baselines::observation::{Observation, Renumbering};
use baselines::standing::Found;
use baselines::{Baselines, Fleet};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rayon::prelude::*;

use super::settle::{self, Settled};
use super::shelf::{First, Hour, PartRows, Run, Tables};
use super::{Job, Mode};
use crate::resolve;
use crate::score::{Own, OwnIncidents, Scorer, Seen, by_destination};

/// What became of an hour's rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    pub(super) n_observations: u64,
    pub(super) n_repeated: u64,
    pub(super) n_inbound: u64,
    /// From the first record to the last one.
    pub(super) span: Option<(i64, i64)>,
}

/// Judges hours in order.
pub(super) struct Judge<'a> {
    job: &'a Job<'a>,
    tables: &'a Tables,
    ranks: &'a Renumbering,
    /// The baselines' numbers of the shelf's owners and peers, as far as these came up.
    owners: Numbers,
    peers: Numbers,
    /// The baselines' numbers of the networks that came up: an owner has many addresses, and putting its name together
    /// for each would take longer than all else that is asked of an address once.
    networks: HashMap<resolve::Owner, u32, FixedState>,
    memberships: Memberships,
}

/// One owner's rows of an hour, and what becomes of them.
struct OfOwner<'a> {
    owner: u32,
    runs: &'a [Run<'a>],
    incidents: OwnIncidents,
    learned: Learned,
    account: Account,
}

/// Translates the shelf's numbers, of owners or of peers, into the numbers that the baselines give.
///
/// The baselines number what they meet in the order of meeting. So numbers are given hour by hour, and within an hour
/// in the order of names: that objects are read in another order does not show.
struct Numbers {
    /// Those of the shelf, by the hour in which they are met first; in an hour in an order that speaks of names only.
    to_come: std::iter::Peekable<std::vec::IntoIter<(Hour, u32)>>,
    /// By the number on the shelf; [`u32::MAX`] for none yet.
    given: Vec<u32>,
}

impl Numbers {
    fn new(first: Vec<Hour>, rank: impl Fn(u32) -> u32) -> Self {
        let n = first.len();
        let mut to_come: Vec<(Hour, u32)> = first.into_iter().zip(0..).collect();
        to_come.sort_unstable_by_key(|&(hour, id)| (hour, rank(id)));
        Self { to_come: to_come.into_iter().peekable(), given: vec![u32::MAX; n] }
    }

    /// Gives numbers to what is met in an hour, and before in hours that are not walked.
    fn give(&mut self, hour: Hour, mut number: impl FnMut(u32) -> Option<u32>) {
        while let Some((_, id)) = self.to_come.next_if(|&(first, _)| first <= hour) {
            if let Some(slot) = self.given.get_mut(id as usize) {
                *slot = number(id).unwrap_or(u32::MAX);
            }
        }
    }

    fn of(&self, id: u32) -> u32 {
        self.given.get(id as usize).copied().unwrap_or(u32::MAX)
    }
}

impl<'a> Judge<'a> {
    pub(super) fn new(job: &'a Job<'a>, tables: &'a Tables, first: First, ranks: &'a Renumbering) -> Self {
        let owners = Numbers::new(first.owners, |owner| ranks.owner(owner));
        let peers = Numbers::new(first.peers, |peer| ranks.peer(peer));
        Self { job, tables, ranks, owners, peers, networks: HashMap::default(), memberships: Memberships::default() }
    }

    /// Judges the parts of an hour and learns them; where a thread is free, the next is taken up meanwhile.
    ///
    /// # Errors
    /// Those of taking a part.
    pub(super) fn hour(
        &mut self,
        scorer: &mut Scorer<'_>,
        baselines: &mut Baselines,
        hour: Hour,
        mut parts: impl Iterator<Item = io::Result<PartRows>> + Send,
    ) -> io::Result<Account> {
        self.number(baselines, hour);
        let (mut account, mut learned) = (Account::default(), Vec::new());
        let mut taken = parts.next().transpose()?;
        while let Some(part) = taken {
            let judge = || self.part(scorer, baselines, &part, &mut account, &mut learned);
            taken = rayon::join(judge, || parts.next().transpose()).1?;
        }
        for learned in &learned {
            baselines.note(learned);
        }
        Ok(account)
    }

    /// Judges a part of an hour; what was learned of its owners that concerns the others is not noted yet.
    fn part(
        &self,
        scorer: &mut Scorer<'_>,
        baselines: &mut Baselines,
        rows: &PartRows,
        account: &mut Account,
        learned: &mut Vec<Learned>,
    ) {
        let mut runs: Vec<Run<'_>> = rows.runs().collect();
        runs.sort_unstable_by_key(|run| run.owner);
        let mut parts: Vec<OfOwner<'_>> = runs
            .chunk_by(|a, b| a.owner == b.owner)
            .filter_map(|runs| {
                let owner = self.owners.of(runs.first()?.owner);
                let incidents = scorer.incidents.take(owner);
                Some(OfOwner { owner, runs, incidents, learned: Learned::default(), account: Account::default() })
            })
            .collect();
        parts.sort_unstable_by_key(|part| part.owner);
        let (fleet, of_owner) = baselines.side_by_side(parts.iter().map(|part| part.owner));
        let judging = &*scorer;
        let room = || (Settled::default(), Open::default());
        parts.par_iter_mut().zip(of_owner).for_each_init(room, |(settled, open), (part, baseline)| {
            let OfOwner { owner, runs, incidents, learned, account } = part;
            settled.settle(runs, self.tables, self.ranks);
            for row in &mut settled.rows {
                (row.owner, row.peer) = (*owner, self.peers.of(row.peer));
            }
            baseline.bring_near(fleet.ladder, &settled.rows);
            let Settled { n_repeated, n_inbound, .. } = *settled;
            let span = settle::span(&settled.rows);
            *account = Account { n_observations: settled.rows.len() as u64, n_repeated, n_inbound, span };
            let mut own = Own { owner: *owner, baseline, incidents, open, learned };
            for told in settled.rows.chunk_by(|a, b| a.window == b.window) {
                self.window(judging, fleet, &mut own, told);
            }
            let Own { baseline, open, learned, .. } = own;
            baseline.close(fleet.ladder, open, learned);
        });
        for part in parts {
            scorer.incidents.put(part.owner, part.incidents);
            learned.push(part.learned);
            account.n_observations += part.account.n_observations;
            account.n_repeated += part.account.n_repeated;
            account.n_inbound += part.account.n_inbound;
            account.span = span_of(account.span, part.account.span);
        }
    }

    /// Gives the hour's owners and peers their numbers in the baselines; an owner that is new by name only begins with
    /// the past of those it comes from.
    fn number(&mut self, baselines: &mut Baselines, hour: Hour) {
        let (set, knowledge, networks) = (&self.tables.set, self.job.knowledge, &mut self.networks);
        let warm_up = Scorer::warm_up(self.job.config);
        self.owners.give(hour, |owner| {
            let owner = baselines.owner(&set.owners.name(owner));
            baselines.inherit(owner, hour.day(), warm_up, &mut self.memberships);
            Some(owner)
        });
        self.peers.give(hour, |peer| {
            let told = set.peers.get(peer as usize)?;
            Some(baselines.ladder.peer_numbered(told.address, |ladder| {
                let network = knowledge.network(told.address, set.services.name(told.service));
                *networks.entry(network.owner()).or_insert_with(|| {
                    ladder.network(&Network { key: network.key().into(), label: network.to_string().into() })
                })
            }))
        });
    }

    /// Judges one owner's window and learns it; of a scan nothing is learned but when the owner was active.
    fn window(&self, scorer: &Scorer<'_>, fleet: Fleet<'_>, own: &mut Own<'_>, told: &[Observation]) {
        let Some(window) = told.first().map(|row| row.window) else { return };
        let rows = by_destination(told);
        let found: Vec<Found> = rows.iter().map(|row| own.baseline.find(fleet.ladder, row)).collect();
        let (rows, found, flood) = scorer.set_apart(fleet, own.baseline, rows, found);
        let rows = &*rows;
        let seen = Seen { window, rows, found: &found, flood: &flood };
        match self.job.mode {
            Mode::Replay | Mode::Scan => scorer.judge(fleet, own, seen, told, &self.tables.set.enis),
            Mode::Learn => drop(Scorer::follow(fleet, own, seen)),
        }
        match self.job.mode {
            Mode::Replay | Mode::Learn => own.baseline.learn(fleet.ladder, window, rows, &found, own.learned),
            Mode::Scan => own.baseline.note_activity(window, rows, &found),
        }
    }
}
