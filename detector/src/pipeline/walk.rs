//! Walk: the hours in event time, window by window, owner by owner: judge, then learn.

use std::collections::BTreeMap;
use std::io;

use baselines::Baselines;
use baselines::observation::{Observation, Ranks};
use baselines::window::{Day, Window};

use super::changes::Changes;
use super::shelf::{Row, Shelf, Tables};
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
    let kept = (job.mode == Mode::Scan).then(|| baselines.clone());
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
        coverage.n_stray += n_rows(&shelved.take(*stray)?);
    }
    let mut next = hours.iter().copied();
    let mut make_ready = || -> io::Result<Settled> {
        next.next().map_or(Ok(Settled::default()), |hour| Ok(settle(shelved.take(hour)?, &tables, &ranks)))
    };
    let mut settled = make_ready()?;
    let mut changes = Changes::default();
    for &hour in hours {
        if let Some(before) = open_day.filter(|before| *before < hour.day() && job.mode != Mode::Scan) {
            baselines.age(before.first_window(), job.config.novelty_memory_days);
        }
        if open_day < Some(hour.day()) {
            changes.note(&baselines, hour.day().first_window(), job.config.warm_up_secs as i64);
        }
        open_day = open_day.max(Some(hour.day()));
        coverage.n_observations += settled.rows.len() as u64;
        coverage.n_repeated += settled.n_repeated;
        let rows = std::mem::take(&mut settled.rows);
        let (ready, ()) = rayon::join(&mut make_ready, || {
            judge_and_learn(job, &mut scorer, &mut baselines, &mut renumber, &tables, &rows);
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
    Ok((findings, Memory { baselines: kept.unwrap_or(baselines), incidents, open_day }))
}

/// Judges an hour's windows, owner by owner, and learns each after judging it.
fn judge_and_learn(
    job: &Job<'_>,
    scorer: &mut Scorer<'_>,
    baselines: &mut Baselines,
    renumber: &mut Renumber,
    tables: &Tables,
    rows: &[Observation],
) {
    for owned in rows.chunk_by(|a, b| (a.window, a.owner) == (b.window, b.owner)) {
        let Some(&Observation { owner, window, .. }) = owned.first() else { continue };
        let owned: Vec<Observation> = renumber.rows(job, tables, baselines, owned);
        let owner = renumber.owner(tables, baselines, owner);
        match job.mode {
            Mode::Replay | Mode::Scan => scorer.judge(baselines, owner, window, &owned, &tables.set.enis),
            Mode::Learn => scorer.follow(baselines, owner, window, &owned),
        }
        match job.mode {
            Mode::Replay | Mode::Learn => baselines.learn(owner, window, &owned),
            Mode::Scan => baselines.note_activity(owner, window, &owned),
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
fn settle(rows: Vec<Row>, tables: &Tables, ranks: &Ranks) -> Settled {
    // Objects put their rows down sorted: a sort that looks for runs merges them.
    let mut places: Vec<(u128, u32)> = rows.iter().map(|row| ranks.place(&row.observation)).zip(0..).collect();
    let told = |row: u32| rows.get(row as usize).map(|row| (row.observation.digest, row.source));
    places.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| told(a.1).cmp(&told(b.1))));
    let sorted: Vec<Row> = places.iter().filter_map(|&(_, row)| rows.get(row as usize).copied()).collect();
    // An hour may be large, and is here twice already.
    drop((rows, places));
    let mut rows = sorted;
    let before = n_rows(&rows);
    // The same records told twice, by whatever object: the digests are equal.
    rows.dedup_by(|Row { observation: next, .. }, Row { observation: kept, .. }| {
        next.key() == kept.key()
            && next.eni == kept.eni
            && next.digest == kept.digest
            && next.n_flows == kept.n_flows
            && next.bytes_out == kept.bytes_out
    });
    one_source(&mut rows, tables);
    let n_repeated = before - n_rows(&rows);
    let mut out: Vec<Observation> = Vec::with_capacity(rows.len());
    for row in rows {
        match out.last_mut().filter(|last| last.key() == row.observation.key() && last.eni == row.observation.eni) {
            Some(last) => last.merge(&row.observation),
            None => out.push(row.observation),
        }
    }
    Settled { rows: out, n_repeated }
}

/// Flow records sent that rows tell of.
fn n_rows(rows: &[Row]) -> u64 {
    rows.iter().map(|row| u64::from(row.observation.n_flows) + u64::from(row.observation.n_rejected)).sum()
}

/// Where several flow logs tell of one interface in the hour, keeps the one that tells the most records (the finer
/// aggregation), of equals the first by name.
fn one_source(rows: &mut Vec<Row>, tables: &Tables) {
    let Some(first) = rows.first().map(|row| row.source) else { return };
    if rows.iter().all(|row| row.source == first) {
        return;
    }
    let mut told: BTreeMap<u32, BTreeMap<u32, u64>> = BTreeMap::new();
    for row in rows.iter() {
        let n = u64::from(row.observation.n_flows) + u64::from(row.observation.n_rejected);
        *told.entry(row.observation.eni).or_default().entry(row.source).or_default() += n;
    }
    let best: BTreeMap<u32, u32> = told
        .into_iter()
        .filter_map(|(eni, sources)| {
            let best =
                sources.into_iter().max_by_key(|&(source, n)| (n, std::cmp::Reverse(tables.sources.name(source))))?;
            Some((eni, best.0))
        })
        .collect();
    rows.retain(|row| best.get(&row.observation.eni) == Some(&row.source));
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

    /// The rows with the baselines' numbers of their peers.
    fn rows(
        &mut self,
        job: &Job<'_>,
        tables: &Tables,
        baselines: &mut Baselines,
        rows: &[Observation],
    ) -> Vec<Observation> {
        let set = &tables.set;
        rows.iter()
            .map(|row| {
                let slot = self.peers.get_mut(row.peer as usize);
                let peer = slot.map(|known| {
                    *known.get_or_insert_with(|| {
                        let peer = set.peers.get(row.peer as usize);
                        let (address, service) = peer.map_or((0, 0), |peer| (peer.address, peer.service));
                        baselines.ladder.peer(address, || job.knowledge.network(address, &set.services.name(service)))
                    })
                });
                Observation { peer: peer.unwrap_or(u32::MAX), ..*row }
            })
            .collect()
    }
}
