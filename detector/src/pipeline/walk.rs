//! Walk: the days in event time, window by window, owner by owner: judge, then learn.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use baselines::Baselines;
use baselines::observation::{Eni, Observation};
use baselines::window::Window;
use rayon::prelude::*;

use super::changes::Changes;
use super::shelf::{Row, Shelf};
use super::{Job, Memory, Mode};
use crate::coverage::Coverage;
use crate::finding::Finding;
use crate::score::Scorer;

/// Walks all days of the shelf from where `memory` stands.
///
/// The last day stays open: what ages at a day's end ages when a later day begins, or when the caller closes it.
pub(super) fn walk(
    job: &Job<'_>,
    mut shelf: Shelf,
    memory: Memory,
    coverage: &mut Coverage,
) -> io::Result<(Vec<Finding>, Memory)> {
    let Memory { mut baselines, incidents, mut open_day } = memory;
    let kept = (job.mode == Mode::Scan).then(|| baselines.clone());
    let mut scorer = Scorer::new(job.config, job.knowledge);
    scorer.incidents = incidents;
    let mut renumber = Renumber::new(&shelf);
    let enis: Vec<Eni> = shelf.tables().enis.clone();
    let days = shelf.days();
    let mut changes = Changes::default();
    for (n_done, &day) in days.iter().enumerate() {
        if let Some(before) = open_day.filter(|before| *before < day && job.mode != Mode::Scan) {
            baselines.age(before.first_window(), job.config.novelty_memory_days);
        }
        open_day = open_day.max(Some(day));
        changes.note(&baselines, day.first_window(), job.config.warm_up_secs as i64);
        let rows = shelf.take(day)?;
        let rows = settle(rows, &shelf, &renumber, coverage);
        coverage.n_observations += rows.len() as u64;
        for window in rows.chunk_by(|a, b| a.window == b.window) {
            for owned in window.chunk_by(|a, b| a.owner == b.owner) {
                let Some(first) = owned.first() else { continue };
                let owned: Vec<Observation> = renumber.rows(job, &shelf, &mut baselines, owned);
                let owner = renumber.owner(&shelf, &mut baselines, first.owner);
                match job.mode {
                    Mode::Replay | Mode::Scan => scorer.judge(&mut baselines, owner, first.window, &owned, &enis),
                    Mode::Learn => scorer.follow(&mut baselines, owner, first.window, &owned),
                }
                match job.mode {
                    Mode::Replay | Mode::Learn => baselines.learn(owner, first.window, &owned),
                    Mode::Scan => baselines.note_activity(owner, first.window, &owned),
                }
            }
        }
        job.progress.day_done(n_done + 1, days.len());
    }
    let findings = scorer.findings(&baselines);
    let last = days.last().map_or(Window(0), |day| Window(day.first_window().0 + 143));
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
    Ok((findings, Memory { baselines: kept.unwrap_or(baselines), incidents, open_day }))
}

/// A day's rows, each told once, sorted by window, owner, destination and interface: an order that speaks of names and
/// addresses only.
fn settle(mut rows: Vec<Row>, shelf: &Shelf, renumber: &Renumber, coverage: &mut Coverage) -> Vec<Observation> {
    let place = |row: &Row| {
        let o = &row.observation;
        let rank = |ranks: &[u32], id: u32| ranks.get(id as usize).copied().unwrap_or(u32::MAX);
        let key = (u64::from(o.window.0) << 32) | u64::from(rank(&renumber.owner_ranks, o.owner));
        (key, rank(&renumber.peer_ranks, o.peer), o.port, o.protocol, rank(&renumber.eni_ranks, o.eni))
    };
    rows.par_sort_unstable_by_key(|row| (place(row), row.observation.digest, row.source));
    let before = n_rows(&rows);
    // The same records told twice, by whatever object: the digests are equal.
    rows.dedup_by(|next, kept| {
        place(next) == place(kept)
            && next.observation.digest == kept.observation.digest
            && next.observation.n_flows == kept.observation.n_flows
            && next.observation.bytes_out == kept.observation.bytes_out
    });
    one_source(&mut rows, shelf);
    coverage.n_repeated += before - n_rows(&rows);
    let mut out: Vec<Observation> = Vec::with_capacity(rows.len());
    for row in rows {
        match out.last_mut().filter(|last| last.key() == row.observation.key() && last.eni == row.observation.eni) {
            Some(last) => last.merge(&row.observation),
            None => out.push(row.observation),
        }
    }
    out
}

/// Flow records sent that rows tell of.
fn n_rows(rows: &[Row]) -> u64 {
    rows.iter().map(|row| u64::from(row.observation.n_flows) + u64::from(row.observation.n_rejected)).sum()
}

/// Where several flow logs tell of one interface in one hour, keeps the one that tells the most records (the finer
/// aggregation), of equals the first by name.
fn one_source(rows: &mut Vec<Row>, shelf: &Shelf) {
    let Some(first) = rows.first().map(|row| row.source) else { return };
    if rows.iter().all(|row| row.source == first) {
        return;
    }
    let span = |row: &Row| (row.observation.eni, row.observation.window.0 / 6);
    let mut told: BTreeMap<(u32, u32), BTreeMap<u32, u64>> = BTreeMap::new();
    for row in rows.iter() {
        let n = u64::from(row.observation.n_flows) + u64::from(row.observation.n_rejected);
        *told.entry(span(row)).or_default().entry(row.source).or_default() += n;
    }
    let best: BTreeMap<(u32, u32), u32> = told
        .into_iter()
        .filter_map(|(span, sources)| {
            let best = sources.into_iter().max_by_key(|&(source, n)| (n, std::cmp::Reverse(shelf.source(source))))?;
            Some((span, best.0))
        })
        .collect();
    rows.retain(|row| best.get(&span(row)) == Some(&row.source));
}

/// From the shelf's numbers to the baselines', and the order of the shelf's names.
struct Renumber {
    owner_ranks: Vec<u32>,
    eni_ranks: Vec<u32>,
    peer_ranks: Vec<u32>,
    owners: Vec<Option<u32>>,
    peers: Vec<Option<u32>>,
}

impl Renumber {
    fn new(shelf: &Shelf) -> Self {
        let tables = shelf.tables();
        Self {
            owner_ranks: ranks(&tables.owners.iter().collect::<Vec<&Arc<str>>>()),
            eni_ranks: ranks(&tables.enis.iter().map(|eni| &eni.id).collect::<Vec<_>>()),
            peer_ranks: ranks(&tables.peers.iter().map(|peer| peer.address).collect::<Vec<_>>()),
            owners: vec![None; tables.owners.len()],
            peers: vec![None; tables.peers.len()],
        }
    }

    fn owner(&mut self, shelf: &Shelf, baselines: &mut Baselines, id: u32) -> u32 {
        match self.owners.get_mut(id as usize) {
            Some(known) => *known.get_or_insert_with(|| baselines.owner(&shelf.tables().owners.name(id))),
            None => u32::MAX,
        }
    }

    /// The rows with the baselines' numbers of their peers.
    fn rows(
        &mut self,
        job: &Job<'_>,
        shelf: &Shelf,
        baselines: &mut Baselines,
        rows: &[Observation],
    ) -> Vec<Observation> {
        let tables = shelf.tables();
        rows.iter()
            .map(|row| {
                let slot = self.peers.get_mut(row.peer as usize);
                let peer = slot.map(|known| {
                    *known.get_or_insert_with(|| {
                        let peer = tables.peers.get(row.peer as usize);
                        let (address, service) = peer.map_or((0, 0), |peer| (peer.address, peer.service));
                        baselines
                            .ladder
                            .peer(address, || job.knowledge.network(address, &tables.services.name(service)))
                    })
                });
                Observation { peer: peer.unwrap_or(u32::MAX), ..*row }
            })
            .collect()
    }
}

/// The place of each value when all are sorted.
fn ranks<T: Ord>(values: &[T]) -> Vec<u32> {
    let mut sorted: Vec<usize> = (0..values.len()).collect();
    sorted.sort_unstable_by_key(|&id| values.get(id));
    let mut ranks = vec![0; values.len()];
    for (rank, id) in (0..).zip(sorted) {
        if let Some(slot) = ranks.get_mut(id) {
            *slot = rank;
        }
    }
    ranks
}
