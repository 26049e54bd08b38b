//! Walk: the hours in event time, their owners side by side: see [`judge`].

use std::collections::BTreeMap;
use std::io;

use baselines::observation::{Observation, Ranks};
use baselines::window::{Day, Window};

use super::changes::Changes;
use super::judge::{self, Renumber};
use super::shelf::{At, Hour, HourRows, Row, Shelf, Tables};
use super::{Job, Memory, Mode, strays};
use crate::coverage::Coverage;
use crate::finding::Finding;
use crate::score::Scorer;

/// Observations that are made ready at a time, and whole owners beyond: enough for the threads there are, and few beside
/// the hour they come from.
const N_READY: usize = 1 << 15;

/// Walks all hours of the shelf from where `memory` stands.
///
/// The last day stays open: what ages at a day's end ages when a later day begins, or when the caller closes it. While
/// some owners are judged the next are made ready.
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
    let mut next = hours.iter();
    let mut sorted: Option<Sorted> = None;
    let mut make_ready = || -> io::Result<Option<Settled>> {
        loop {
            if let Some(settled) = sorted.as_mut().and_then(Sorted::next_owners) {
                return Ok(Some(settled));
            }
            let Some(&following) = next.next() else { return Ok(None) };
            // One hour is let go of before the next is taken.
            sorted = None;
            sorted = Some(Sorted::new(following, shelved.take(following)?, &tables, &ranks));
        }
    };
    let mut ready = make_ready()?;
    let mut changes = Changes::default();
    let mut hour = None;
    let mut learned = Vec::new();
    while let Some(Settled { hour: of, mut rows, n_repeated }) = ready {
        if hour.replace(of) != Some(of) {
            for learned in learned.drain(..) {
                baselines.note(&learned);
            }
            let day = of.day();
            if let Some(before) = open_day.filter(|before| *before < day && job.mode != Mode::Scan) {
                baselines.age(before.first_window(), job.config.novelty_memory_days);
            }
            if open_day < Some(day) && job.mode != Mode::Scan {
                changes.note(&baselines, day.first_window(), job.config.warm_up_secs as i64);
            }
            open_day = open_day.max(Some(day));
            scorer.begin(&baselines, day);
        }
        coverage.n_observations += rows.len() as u64;
        coverage.n_repeated += n_repeated;
        let (following, now) = rayon::join(&mut make_ready, || {
            judge::judge(job, &mut scorer, &mut baselines, &mut renumber, &tables, &mut rows)
        });
        learned.extend(now);
        ready = following?;
    }
    for learned in &learned {
        baselines.note(learned);
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

/// Observations of some owners in an hour, ready to be judged.
struct Settled {
    hour: Hour,
    /// Each told once, sorted by owner, window, destination and interface: an order that speaks of names and addresses only.
    rows: Vec<Observation>,
    /// Flow records that were told more than once.
    n_repeated: u64,
}

/// An hour's rows in order, of which some owners' after others' are settled.
struct Sorted {
    hour: Hour,
    rows: HourRows,
    order: std::vec::IntoIter<At>,
    /// The first row of the owner to come.
    next: Option<Row>,
    best: Option<BTreeMap<u32, u32>>,
}

impl Sorted {
    fn new(hour: Hour, rows: HourRows, tables: &Tables, ranks: &Ranks) -> Self {
        let order = rows.sorted(ranks);
        let best = best_sources(&rows, &order, tables);
        let mut order = order.into_iter();
        let next = order.next().map(|at| rows.row(at));
        Self { hour, rows, order, next, best }
    }

    /// The next owners, without what was told before.
    fn next_owners(&mut self) -> Option<Settled> {
        let mut row = self.next.take()?;
        let mut settled = Settled { hour: self.hour, rows: Vec::new(), n_repeated: 0 };
        let mut latest = None;
        loop {
            let owner = row.observation.owner;
            self.settle(&row, &mut latest, &mut settled);
            row = match self.order.next().map(|at| self.rows.row(at)) {
                Some(next) if next.observation.owner == owner || settled.rows.len() < N_READY => next,
                next => {
                    self.next = next;
                    return Some(settled);
                }
            };
        }
    }

    /// Adds a row, unless it was told before. `latest` is the latest that was not.
    fn settle(&self, row: &Row, latest: &mut Option<Row>, into: &mut Settled) {
        let Row { source, observation } = row;
        let is_told_again = latest.is_some_and(|latest| is_told_again(&latest, row));
        if !is_told_again {
            *latest = Some(*row);
        }
        if is_told_again || self.best.as_ref().is_some_and(|best| best.get(&observation.eni) != Some(source)) {
            into.n_repeated += n_records(observation);
            return;
        }
        match into.rows.last_mut().filter(|last| last.key() == observation.key() && last.eni == observation.eni) {
            Some(last) => last.merge(observation),
            None => into.rows.push(*observation),
        }
    }
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
