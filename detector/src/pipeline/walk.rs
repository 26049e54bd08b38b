//! Walk: the hours in event time, their owners side by side: see `judge`.

use std::io;

use baselines::observation::{Observation, Ranks};
use baselines::window::{Day, Window};

use super::changes::Changes;
use super::judge::{Judge, Ready};
use super::shelf::{self, Hour, Shelf};
use super::{Job, Memory, Mode, settle, strays};
use crate::coverage::Coverage;
use crate::finding::Finding;
use crate::score::Scorer;

/// Walks all hours of the shelf from where `memory` stands.
///
/// The last day stays open: what ages at a day's end ages when a later day begins, or when the caller closes it.
pub(super) fn walk(
    job: &Job<'_>,
    shelf: Shelf,
    memory: Memory,
    coverage: &mut Coverage,
) -> io::Result<(Vec<Finding>, Memory)> {
    let Memory { mut baselines, incidents, mut open_day } = memory;
    let mut scorer = Scorer::new(job.config, job.knowledge);
    scorer.incidents = incidents;
    let (tables, mut shelved) = shelf.finish();
    let ranks = Ranks::of(&tables.set);
    let all = shelved.all();
    let days: Vec<Day> = all.iter().map(|hour| hour.day()).collect();
    let walked = strays::without(&days, job.config.novelty_memory_days);
    let hours = all.get(walked).unwrap_or_default();
    for stray in all.iter().filter(|hour| !hours.contains(hour)) {
        let rows = shelved.take(*stray)?;
        coverage.n_stray += rows.all().map(|at| settle::n_records(&rows.row(at).observation)).sum::<u64>();
    }
    let (owners, peers) = (vec![false; tables.set.owners.len()], vec![false; tables.set.peers.len()]);
    let mut to_come = Hours { shelved, next: hours.iter(), ranks: &ranks, owners, peers };
    let mut judge = Judge::new(job, &tables, &ranks);
    let mut changes = Changes::default();
    while let Some(hour) = to_come.next()? {
        let day = hour.hour.day();
        if let Some(before) = open_day.filter(|before| *before < day && job.mode != Mode::Scan) {
            baselines.age(before.first_window(), job.config.novelty_memory_days);
        }
        if open_day < Some(day) && job.mode != Mode::Scan {
            changes.note(&baselines, day.first_window(), job.config.warm_up_secs as i64);
        }
        open_day = open_day.max(Some(day));
        scorer.begin(&baselines, day);
        let account = judge.hour(&mut scorer, &mut baselines, &hour);
        coverage.n_observations += account.n_observations;
        coverage.n_repeated += account.n_repeated;
    }
    let findings = scorer.findings(&baselines);
    let last = hours.last().map_or(Window(0), |hour| Window(hour.day().first_window().0 + 143));
    let warm_up = job.config.warm_up_secs as i64;
    coverage.n_owners = baselines.iter().filter(|(_, b)| b.known.is_some()).count() as u64;
    coverage.n_learning =
        baselines.iter().filter(|(_, b)| b.known.is_some() && !Scorer::is_ready(b, last, warm_up)).count() as u64;
    coverage.n_novelty_abstained = scorer.n_restless(&baselines);
    if job.mode != Mode::Scan {
        coverage.changes = changes.finish(&baselines);
    }
    baselines.learned_from.n_objects += coverage.n_objects;
    let incidents = scorer.incidents;
    Ok((findings, Memory { baselines, incidents, open_day }))
}

/// Makes hours ready, one after the other.
struct Hours<'a> {
    shelved: shelf::Hours,
    next: std::slice::Iter<'a, Hour>,
    ranks: &'a Ranks,
    /// Which owners and peers came up in an hour before.
    owners: Vec<bool>,
    peers: Vec<bool>,
}

impl Hours<'_> {
    fn next(&mut self) -> io::Result<Option<Ready>> {
        let Some(&hour) = self.next.next() else { return Ok(None) };
        let rows = self.shelved.take(hour)?;
        let (mut by_owner, mut new_owners, mut new_peers) = (Vec::new(), Vec::new(), Vec::new());
        for at in rows.all() {
            let Observation { owner, peer, .. } = rows.subject(at).observation;
            by_owner.push((owner, at));
            let note = |seen: &mut Vec<bool>, new: &mut Vec<u32>, id: u32| {
                if let Some(seen) = seen.get_mut(id as usize).filter(|seen| !**seen) {
                    *seen = true;
                    new.push(id);
                }
            };
            note(&mut self.owners, &mut new_owners, owner);
            note(&mut self.peers, &mut new_peers, peer);
        }
        // Objects put their rows down by window and owner: a sort that looks for runs merges them.
        by_owner.sort_by_key(|&(owner, _)| owner);
        new_owners.sort_unstable_by_key(|&owner| self.ranks.owner(owner));
        new_peers.sort_unstable_by_key(|&peer| self.ranks.peer(peer));
        Ok(Some(Ready { hour, rows, by_owner, new_owners, new_peers }))
    }
}
