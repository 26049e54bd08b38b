//! Walk: the hours in event time, window by window, owner by owner: judge, then learn.

use std::collections::BTreeMap;
use std::io;

use baselines::Baselines;
use baselines::observation::{Observation, Ranks};
use baselines::window::{Day, Window};

use super::changes::Changes;
use super::shelf::{At, HourRows, Row, Shelf, Tables};
use super::{Job, Memory, Mode, strays};
use crate::coverage::Coverage;
use crate::finding::Finding;
use crate::score::Scorer;

/// Walks all hours of the shelf from where `memory` stands.
///
/// The last day stays open: what ages at a day's end ages when a later day begins, or when the caller closes it. While one
/// hour is judged the next is made ready.
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
    let mut renumber = Renumber::new(&tables);
    let ranks = Ranks::of(&tables.set);
    let all = shelved.all();
    let days: Vec<Day> = all.iter().map(|hour| hour.day()).collect();
    let walked = strays::without(&days, job.config.novelty_memory_days);
    let hours = all.get(walked).unwrap_or_default();
    for stray in all.iter().filter(|hour| !hours.contains(hour)) {
        let rows = shelved.take(*stray)?;
        coverage.n_stray += rows.all().map(|at| n_records(&rows.row(at).observation)).sum::<u64>();
    }
    let mut next = hours.iter().copied();
    let mut make_ready = || -> io::Result<Settled> {
        next.next().map_or(Ok(Settled::default()), |hour| Ok(settle(&shelved.take(hour)?, &tables, &ranks)))
    };
    let mut settled = make_ready()?;
    let mut changes = Changes::default();
    for &hour in hours {
        if let Some(before) = open_day.filter(|before| *before < hour.day() && job.mode != Mode::Scan) {
            baselines.age(before.first_window(), job.config.novelty_memory_days);
        }
        if open_day < Some(hour.day()) && job.mode != Mode::Scan {
            changes.note(&baselines, hour.day().first_window(), job.config.warm_up_secs as i64);
        }
        open_day = open_day.max(Some(hour.day()));
        coverage.n_observations += settled.rows.len() as u64;
        coverage.n_repeated += settled.n_repeated;
        let mut rows = std::mem::take(&mut settled.rows);
        let (ready, ()) = rayon::join(&mut make_ready, || {
            judge_and_learn(job, &mut scorer, &mut baselines, &mut renumber, &tables, &mut rows);
        });
        settled = ready?;
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

/// Judges an hour's windows, owner by owner, and learns each after judging it.
fn judge_and_learn(
    job: &Job<'_>,
    scorer: &mut Scorer<'_>,
    baselines: &mut Baselines,
    renumber: &mut Renumber,
    tables: &Tables,
    rows: &mut [Observation],
) {
    for owned in rows.chunk_by_mut(|a, b| (a.window, a.owner) == (b.window, b.owner)) {
        let Some(&mut Observation { owner, window, .. }) = owned.first_mut() else { continue };
        for row in &mut *owned {
            row.peer = renumber.peer(job, tables, baselines, row.peer);
        }
        let owner = renumber.owner(tables, baselines, owner);
        match job.mode {
            Mode::Replay | Mode::Scan => scorer.judge(baselines, owner, window, owned, &tables.set.enis),
            Mode::Learn => scorer.follow(baselines, owner, window, owned),
        }
        match job.mode {
            Mode::Replay | Mode::Learn => baselines.learn(owner, window, owned),
            Mode::Scan => baselines.note_activity(owner, window, owned),
        }
    }
}

/// An hour's observations, ready to be judged.
#[derive(Default)]
struct Settled {
    /// Each told once, sorted by window, owner, destination and interface: an order that speaks of names and addresses only.
    rows: Vec<Observation>,
    /// Flow records that were told more than once.
    n_repeated: u64,
}

/// Sorts an hour's rows and drops what was told before.
fn settle(hour: &HourRows, tables: &Tables, ranks: &Ranks) -> Settled {
    let sorted = hour.sorted(ranks);
    let best = best_sources(hour, &sorted, tables);
    let mut out: Vec<Observation> = Vec::with_capacity(sorted.len());
    let mut n_repeated = 0;
    let mut latest = None;
    for at in sorted {
        let row = hour.row(at);
        let Row { source, observation } = row;
        if latest.is_some_and(|latest| is_told_again(&latest, &row)) {
            n_repeated += n_records(&observation);
            continue;
        }
        latest = Some(row);
        if best.as_ref().is_some_and(|best| best.get(&observation.eni) != Some(&source)) {
            n_repeated += n_records(&observation);
            continue;
        }
        match out.last_mut().filter(|last| last.key() == observation.key() && last.eni == observation.eni) {
            Some(last) => last.merge(&observation),
            None => out.push(observation),
        }
    }
    Settled { rows: out, n_repeated }
}

/// Flow records sent that an observation tells of.
fn n_records(observation: &Observation) -> u64 {
    u64::from(observation.n_flows) + u64::from(observation.n_rejected)
}

/// Whether a row tells the same records as one before it, by whatever object: the digests are equal.
fn is_told_again(before: &Row, row: &Row) -> bool {
    let (before, row) = (&before.observation, &row.observation);
    before.key() == row.key()
        && before.eni == row.eni
        && before.digest == row.digest
        && before.n_flows == row.n_flows
        && before.bytes_out == row.bytes_out
}

/// Where several flow logs tell of one interface in the hour, the one to keep: it tells the most records (the finer
/// aggregation), of equals it is the first by name. `None` when only one flow log tells of the hour.
fn best_sources(hour: &HourRows, sorted: &[At], tables: &Tables) -> Option<BTreeMap<u32, u32>> {
    if tables.sources.len() < 2 {
        return None;
    }
    let mut told: BTreeMap<u32, BTreeMap<u32, u64>> = BTreeMap::new();
    let mut latest = None;
    for &at in sorted {
        let row = hour.row(at);
        if !latest.is_some_and(|latest| is_told_again(&latest, &row)) {
            let n = n_records(&row.observation);
            *told.entry(row.observation.eni).or_default().entry(row.source).or_default() += n;
            latest = Some(row);
        }
    }
    let best = |sources: BTreeMap<u32, u64>| {
        let by_name = |&(source, n): &(u32, u64)| (n, std::cmp::Reverse(tables.sources.name(source)));
        sources.into_iter().max_by_key(by_name).map(|(source, _)| source)
    };
    Some(told.into_iter().filter_map(|(eni, sources)| Some((eni, best(sources)?))).collect())
}

/// From the shelf's numbers to the baselines'.
struct Renumber {
    owners: Vec<Option<u32>>,
    peers: Vec<Option<u32>>,
}

impl Renumber {
    fn new(tables: &Tables) -> Self {
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
