//! Judge: owners of one hour, side by side: window by window each is judged by what was known before, then learned.
//!
//! What an owner is judged by beside its own past, how many others know a network, is what was known when the hour
//! began: so neither the order of owners nor the number of threads shows, and what an hour asks of one owner is asked
//! at once, while it is in the cache.

use baselines::baseline::{Found, Learned};
use baselines::observation::Observation;
use baselines::{Baselines, Fleet};
use rayon::prelude::*;

use super::shelf::Tables;
use super::{Job, Mode};
use crate::score::{Own, OwnIncidents, Scorer, Seen, by_destination};

/// One owner's part of an hour.
struct Part<'a> {
    owner: u32,
    rows: &'a [Observation],
    incidents: OwnIncidents,
    learned: Learned,
}

/// Judges observations of an hour, sorted by owner and window, and learns them. Gives what the fleet is to learn when the
/// hour is over.
pub(super) fn judge(
    job: &Job<'_>,
    scorer: &mut Scorer<'_>,
    baselines: &mut Baselines,
    renumber: &mut Renumber,
    tables: &Tables,
    rows: &mut [Observation],
) -> Vec<Learned> {
    for row in &mut *rows {
        row.peer = renumber.peer(job, tables, baselines, row.peer);
        row.owner = renumber.owner(tables, baselines, row.owner);
    }
    let mut parts: Vec<Part<'_>> = rows
        .chunk_by(|a, b| a.owner == b.owner)
        .filter_map(|rows| {
            let owner = rows.first()?.owner;
            Some(Part { owner, rows, incidents: scorer.incidents.take(owner), learned: Learned::default() })
        })
        .collect();
    parts.sort_unstable_by_key(|part| part.owner);
    let (fleet, baselines) = baselines.side_by_side(parts.iter().map(|part| part.owner));
    let judging = &*scorer;
    parts.par_iter_mut().zip(baselines).for_each(|(part, baseline)| {
        let Part { owner, rows, incidents, learned } = part;
        let mut own = Own { owner: *owner, baseline, incidents };
        for rows in rows.chunk_by(|a, b| a.window == b.window) {
            judge_window(job, judging, fleet, &mut own, rows, tables, learned);
        }
    });
    let done = parts.into_iter().map(|part| {
        scorer.incidents.put(part.owner, part.incidents);
        part.learned
    });
    done.collect()
}

/// Judges one owner's window and learns it; of a scan nothing is learned but when the owner was active.
fn judge_window(
    job: &Job<'_>,
    scorer: &Scorer<'_>,
    fleet: Fleet<'_>,
    own: &mut Own<'_>,
    told: &[Observation],
    tables: &Tables,
    learned: &mut Learned,
) {
    let Some(window) = told.first().map(|row| row.window) else { return };
    let rows = &*by_destination(told);
    let found: Vec<Found> = rows.iter().map(|row| own.baseline.find(fleet.ladder, row)).collect();
    let seen = Seen { window, rows, found: &found };
    match job.mode {
        Mode::Replay | Mode::Scan => scorer.judge(fleet, own, seen, told, &tables.set.enis),
        Mode::Learn => drop(Scorer::follow(fleet, own.baseline, seen)),
    }
    match job.mode {
        Mode::Replay | Mode::Learn => own.baseline.learn(fleet.ladder, window, rows, &found, learned),
        Mode::Scan => own.baseline.note_activity(window, rows, &found),
    }
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
