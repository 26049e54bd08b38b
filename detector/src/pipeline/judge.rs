//! Judge: one window, its owners side by side: each is judged by what was known before the window, then learned.
//!
//! What an owner is judged by beside its own past, how many others know a network, is what was known when the window
//! began: so neither the order of owners nor the number of threads shows. What is worth a word is told in the order of
//! names, afterwards.

use std::borrow::Cow;

use baselines::baseline::{Baseline, Found, Learned};
use baselines::observation::Observation;
use baselines::window::Window;
use baselines::{Baselines, Fleet};
use rayon::prelude::*;

use super::shelf::Tables;
use super::{Job, Mode};
use crate::score::{Loud, Scorer, Seen, by_destination};

/// Owners a thread takes at least: handing over one takes as long as judging a small one.
const MIN_OWNERS: usize = 4;

/// One owner's part of a window.
struct Owned<'a> {
    owner: u32,
    /// Where it stands among the window's owners, by name.
    place: usize,
    rows: &'a [Observation],
}

/// An owner's part that is worth a word, to be learned once it is told.
struct Pending<'a> {
    owned: &'a Owned<'a>,
    baseline: &'a mut Baseline,
    merged: Cow<'a, [Observation]>,
    found: Vec<Found>,
    loud: Vec<Loud>,
}

/// What became of an owner's part.
enum Done<'a> {
    Learned(Learned),
    Pending(Pending<'a>),
}

/// Judges a window's observations, sorted by owner, and learns them.
pub(super) fn judge(
    job: &Job<'_>,
    scorer: &mut Scorer<'_>,
    baselines: &mut Baselines,
    renumber: &mut Renumber,
    tables: &Tables,
    rows: &mut [Observation],
) {
    let Some(window) = rows.first().map(|row| row.window) else { return };
    for row in &mut *rows {
        row.peer = renumber.peer(job, tables, baselines, row.peer);
    }
    let mut owners: Vec<Owned<'_>> = rows
        .chunk_by(|a, b| a.owner == b.owner)
        .enumerate()
        .filter_map(|(place, rows)| {
            Some(Owned { owner: renumber.owner(tables, baselines, rows.first()?.owner), place, rows })
        })
        .collect();
    owners.sort_unstable_by_key(|owned| owned.owner);
    scorer.begin(baselines, window);
    let (fleet, own) = baselines.side_by_side(owners.iter().map(|owned| owned.owner));
    let judging = &*scorer;
    let done: Vec<Done<'_>> = owners
        .par_iter()
        .zip(own)
        .with_min_len(MIN_OWNERS)
        .map(|(owned, baseline)| judge_owner(job, judging, fleet, window, owned, baseline))
        .collect();
    let (mut learned, mut pending) = (Vec::with_capacity(done.len()), Vec::new());
    for done in done {
        match done {
            Done::Learned(one) => learned.push(one),
            Done::Pending(one) => pending.push(one),
        }
    }
    pending.sort_unstable_by_key(|one| one.owned.place);
    for Pending { owned, baseline, merged, found, loud } in pending {
        scorer.tell(fleet, owned.owner, baseline, window, loud, owned.rows, &tables.set.enis);
        learned.push(learn(job, fleet, baseline, Seen { window, rows: &merged, found: &found }));
    }
    for learned in learned.iter().filter(|_| job.mode != Mode::Scan) {
        baselines.note(window, learned);
    }
}

/// Judges one owner's part, and learns it when there is nothing to tell.
fn judge_owner<'a>(
    job: &Job<'_>,
    scorer: &Scorer<'_>,
    fleet: Fleet<'_>,
    window: Window,
    owned: &'a Owned<'a>,
    baseline: &'a mut Baseline,
) -> Done<'a> {
    let merged = by_destination(owned.rows);
    let found: Vec<Found> = merged.iter().map(|row| baseline.find(fleet.ladder, row)).collect();
    let seen = Seen { window, rows: &merged, found: &found };
    let loud = match job.mode {
        Mode::Replay | Mode::Scan => scorer.judge(fleet, baseline, seen),
        Mode::Learn => {
            Scorer::follow(fleet, baseline, seen);
            Vec::new()
        }
    };
    if loud.is_empty() {
        return Done::Learned(learn(job, fleet, baseline, seen));
    }
    Done::Pending(Pending { owned, baseline, merged, found, loud })
}

/// Learns one owner's part; of a scan nothing is learned but when the owner was active.
fn learn(job: &Job<'_>, fleet: Fleet<'_>, baseline: &mut Baseline, seen: Seen<'_>) -> Learned {
    let Seen { window, rows, found } = seen;
    if job.mode == Mode::Scan {
        baseline.note_activity(window, rows, found);
        return Learned::default();
    }
    baseline.learn(fleet.ladder, window, rows, found)
}

/// From the shelf's numbers to the baselines'.
pub(super) struct Renumber {
    owners: Vec<Option<u32>>,
    peers: Vec<Option<u32>>,
}

impl Renumber {
    pub(super) fn new(tables: &Tables) -> Self {
        Self { owners: vec![None; tables.set.owners.len()], peers: vec![None; tables.set.peers.len()] }
    }

    fn owner(&mut self, tables: &Tables, baselines: &mut Baselines, id: u32) -> u32 {
        match self.owners.get_mut(id as usize) {
            Some(known) => *known.get_or_insert_with(|| baselines.owner(&tables.set.owners.name(id))),
            None => u32::MAX,
        }
    }

    /// The baselines' number of a peer.
    fn peer(&mut self, job: &Job<'_>, tables: &Tables, baselines: &mut Baselines, id: u32) -> u32 {
        let set = &tables.set;
        let Some(known) = self.peers.get_mut(id as usize) else { return u32::MAX };
        *known.get_or_insert_with(|| {
            let peer = set.peers.get(id as usize);
            let (address, service) = peer.map_or((0, 0), |peer| (peer.address, peer.service));
            baselines.ladder.peer(address, || job.knowledge.network(address, &set.services.name(service)))
        })
    }
}
