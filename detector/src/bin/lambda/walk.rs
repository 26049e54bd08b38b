//! Walk: the learner's memory and the observations it has not folded in, as the engine walks them.
//!
//! Where it sits: between the state bucket and [`detector::pipeline::walk_observations`]; `detect` looks ahead with it,
//! `learn` folds with it. Both see what a replay of everything received so far would see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use baselines::observation::{Observation, Observations};
use baselines::store;
use baselines::window::{Day, Window};
use detector::pipeline::{self, FileScratch, Memory, Outcome};

use crate::knowledge::World;
use crate::memory::{Learned, day_name, flow_log};
use crate::state::{AT_ONCE, Listed, State};

/// Observations kept decoded between warm invocations, in rows: some 60 MiB.
const MAX_CACHED_ROWS: usize = 400_000;

/// Stored observations: their key, and what they hold.
pub(crate) type Set = (String, Arc<Observations>);

/// Decoded observations, kept while warm. They never change under one key.
#[derive(Default)]
pub(crate) struct Sets {
    sets: BTreeMap<String, Arc<Observations>>,
    n_rows: usize,
}

impl Sets {
    /// Adds what was just written or read.
    pub(crate) fn insert(&mut self, key: String, observations: Arc<Observations>) {
        self.n_rows += observations.rows.len();
        let replaced = self.sets.insert(key, observations);
        self.n_rows -= replaced.map_or(0, |set| set.rows.len());
        // The earliest days are folded in first and needed no more.
        while self.n_rows > MAX_CACHED_ROWS
            && self.sets.len() > 1
            && let Some((_, dropped)) = self.sets.pop_first()
        {
            self.n_rows -= dropped.rows.len();
        }
    }

    /// Reads stored observations, in the order of the listing.
    pub(crate) async fn load(&mut self, state: &State, listed: &[Listed]) -> anyhow::Result<Vec<Set>> {
        let mut loaded = Vec::with_capacity(listed.len());
        for some in listed.chunks(AT_ONCE) {
            let missing = some.iter().map(|listed| listed.key.as_str()).filter(|key| !self.sets.contains_key(*key));
            let mut fresh = BTreeMap::new();
            // What expired since it was listed is not there: the lifecycle of the bucket says how long it is kept.
            for (key, stored) in state.get_each(missing).await? {
                let observations = store::decode_observations(&state.uri(&key), &stored.bytes)?.observations;
                fresh.insert(key, Arc::new(observations));
            }
            for listed in some {
                let known = fresh.get(&listed.key).or_else(|| self.sets.get(&listed.key));
                loaded.extend(known.map(|set| (listed.key.clone(), Arc::clone(set))));
            }
            for (key, set) in fresh {
                self.insert(key, set);
            }
        }
        Ok(loaded)
    }
}

/// The rows of sets in windows of a span, half-open, that were not folded in before.
pub(crate) fn rows_between(
    sets: &[Set],
    learned: &Learned,
    from: Window,
    until: Window,
) -> Vec<(String, Observations)> {
    let of_set = |(key, set): &Set| {
        let folded_until = if learned.begun.contains(key) { learned.until } else { Window(0) };
        let from = from.max(folded_until);
        let rows: Vec<_> = set.rows.iter().filter(|row| row.window >= from && row.window < until).copied().collect();
        (!rows.is_empty()).then(|| {
            let observations = Observations {
                owners: set.owners.clone(),
                enis: set.enis.clone(),
                peers: set.peers.clone(),
                services: set.services.clone(),
                rows,
                shared: Vec::new(),
            };
            (flow_log(key).to_owned(), observations)
        })
    };
    sets.iter().filter_map(of_set).collect()
}

/// More is folded in beside what came late than may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// Takes out of what came late everything the folded observations of the same windows tell already.
///
/// Late rows stand before what is folded in, from objects not seen before. Most repeat nothing and are folded in where
/// they belong. Those that do, a second delivery of the records or a second flow log of the interface, must not count
/// twice, as they would not have in one walk.
///
/// Gives how many rows that were, or [`TooMuch`] and leaves the rows of before `until` out where more than `max_bytes`
/// of what is folded in would have to be read.
pub(crate) async fn without_told(
    sets: &mut Sets,
    state: &State,
    learned: &Learned,
    rows: &mut Vec<(String, Observations)>,
    max_bytes: u64,
) -> anyhow::Result<Result<u64, TooMuch>> {
    let is_late = |row: &Observation| row.window < learned.until;
    // Only of the interfaces and windows of late rows is anything kept that is folded in.
    let mut asked: BTreeMap<Window, BTreeSet<Arc<str>>> = BTreeMap::new();
    for (_, set) in rows.iter() {
        for row in set.rows.iter().filter(|row| is_late(row)) {
            asked.entry(row.window).or_default().insert(eni(set, row));
        }
    }
    let late_days: BTreeSet<Day> = asked.keys().map(|window| window.day()).collect();
    // An object may tell of the end of the day before.
    let days: BTreeSet<Day> = late_days.iter().flat_map(|day| [*day, Day(day.0 + 1)]).collect();
    let mut folded = BTreeMap::new();
    for day in days {
        let mut listed = state.list(&format!("observations/{}/", day_name(day)), "").await?;
        listed.retain(|listed| learned.holds(&listed.key));
        folded.insert(day, listed);
    }
    if folded.values().flatten().map(|listed| listed.size).sum::<u64>() > max_bytes {
        for (_, set) in rows.iter_mut() {
            set.rows.retain(|row| !is_late(row));
        }
        rows.retain(|(_, set)| !set.rows.is_empty());
        return Ok(Err(TooMuch));
    }
    let (mut told, mut n_repeated) = (BTreeMap::<Day, FoldedIn>::new(), 0);
    for (day, listed) in folded {
        let before = Day(day.0.saturating_sub(1));
        // A few at a time: a day may be more than fits into memory.
        for some in listed.chunks(AT_ONCE) {
            for (key, set) in &sets.load(state, some).await? {
                let is_asked =
                    |row: &&Observation| asked.get(&row.window).is_some_and(|enis| enis.contains(&eni(set, row)));
                for row in set.rows.iter().filter(|row| row.window.day() >= before).filter(is_asked) {
                    told.entry(row.window.day()).or_default().add(flow_log(key), set, row);
                }
            }
        }
        // Nothing more is read of the day before: what was told of it is needed no longer.
        if let Some(told) = told.remove(&before) {
            n_repeated += told.take_out(before, rows);
        }
    }
    rows.retain(|(_, set)| !set.rows.is_empty());
    Ok(Ok(n_repeated))
}

/// What is folded in, by names: the numbers of each set are its own.
#[derive(Default)]
struct FoldedIn {
    /// Interface, window, destination, port, protocol and digest.
    records: BTreeSet<(Arc<str>, Window, u128, u16, u8, u64)>,
    /// The flow logs that told of an interface in a window, of what was accepted and of what was refused: one may
    /// record one of the two only, and leaves the other to another.
    flow_logs: BTreeMap<(Arc<str>, Window, Verdict), BTreeSet<String>>,
    /// Interface, window, destination, port and protocol of what flow logs told of, and of what objects did whose name
    /// says none: those add what the flow logs do not tell of.
    rows: BTreeSet<Place>,
}

/// Whether it was told by an object whose name says no flow log, and of what.
type Place = (bool, Verdict, Arc<str>, Window, u128, u16, u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Accepted,
    Refused,
}

impl FoldedIn {
    /// Takes what repeats this out of the rows of a day. Gives how many that were.
    fn take_out(&self, day: Day, rows: &mut [(String, Observations)]) -> u64 {
        let mut n_repeated = 0;
        for (flow_log, set) in rows {
            let mut kept = std::mem::take(&mut set.rows);
            kept.retain_mut(|row| {
                let is_repeated = row.window.day() == day && self.tells(flow_log, set, row);
                n_repeated += u64::from(is_repeated);
                // Of a row that tells of both, what was refused may be news.
                let is_left = is_repeated && row.n_flows > 0 && row.n_rejected > 0 && {
                    *row = row.refused();
                    !self.tells(flow_log, set, row)
                };
                !is_repeated || is_left
            });
            set.rows = kept;
        }
        n_repeated
    }

    fn add(&mut self, flow_log: &str, set: &Observations, row: &Observation) {
        let verdicts = [(row.n_flows, Verdict::Accepted), (row.n_rejected, Verdict::Refused)];
        for (_, verdict) in verdicts.into_iter().filter(|(n, _)| *n > 0) {
            if !flow_log.is_empty() {
                let flow_logs = self.flow_logs.entry((eni(set, row), row.window, verdict)).or_default();
                if !flow_logs.contains(flow_log) {
                    flow_logs.insert(flow_log.to_owned());
                }
            }
            let (eni, window, address, port, protocol, _) = record(set, row);
            self.rows.insert((flow_log.is_empty(), verdict, eni, window, address, port, protocol));
        }
        self.records.insert(record(set, row));
    }

    /// Whether a row repeats what is folded in: the same records, or another flow log's of what one told already.
    fn tells(&self, flow_log: &str, set: &Observations, row: &Observation) -> bool {
        let verdict = if row.is_refused() { Verdict::Refused } else { Verdict::Accepted };
        let record = record(set, row);
        if self.records.contains(&record) {
            return true;
        }
        let (eni, window, address, port, protocol, _) = record;
        let is_unnamed = flow_log.is_empty();
        let by = self.flow_logs.get(&(Arc::clone(&eni), window, verdict));
        (!is_unnamed && by.is_some_and(|by| !by.contains(flow_log)))
            || self.rows.contains(&(!is_unnamed, verdict, eni, window, address, port, protocol))
    }
}

fn eni(set: &Observations, row: &Observation) -> Arc<str> {
    set.enis.get(row.eni as usize).map(|eni| Arc::clone(&eni.id)).unwrap_or_default()
}

/// What a row tells, by names.
fn record(set: &Observations, row: &Observation) -> (Arc<str>, Window, u128, u16, u8, u64) {
    let address = set.peers.get(row.peer as usize).map_or(0, |peer| peer.address);
    (eni(set, row), row.window, address, row.port, row.protocol, row.digest)
}

/// Walks sets from a memory, in a thread of its own.
pub(crate) async fn walk(world: &World, sets: Vec<(String, Observations)>, memory: Memory) -> anyhow::Result<Outcome> {
    let world = world.clone();
    let walked = tokio::task::spawn_blocking(move || {
        let sets = sets.iter().map(|(flow_log, observations)| (flow_log.as_str(), observations));
        let scratch = Box::new(FileScratch::new(tempfile::tempfile));
        pipeline::walk_observations(&world.job(), sets, memory, scratch)
    });
    walked.await.context("the engine stopped; this is a bug")?.context("walking the observations failed")
}

#[cfg(test)]
mod tests {
    use baselines::observation::{Collector, Eni};

    use super::*;

    /// One row of one interface.
    fn set_of(row: Observation) -> Observations {
        let mut collector = Collector::default();
        let (owner, eni) = (collector.owner("owner"), collector.eni(&Eni { id: "eni-1".into(), ..Eni::default() }));
        let peer = collector.peer(0xffff_cb00_7101, "");
        collector.finish(vec![Observation { owner, eni, peer, ..row }])
    }

    #[test]
    fn late_rows_of_a_second_flow_log_repeat_what_one_told_of_the_window() {
        let accepted = Observation { window: Window(600), n_flows: 1, digest: 1, ..Observation::default() };
        let refused = Observation { n_flows: 0, n_rejected: 1, digest: 2, ..accepted };
        let mut told = FoldedIn::default();
        let folded = set_of(accepted);
        told.add("fl-1", &folded, &folded.rows[0]);
        let tells = |told: &FoldedIn, flow_log: &str, row: Observation| {
            let set = set_of(row);
            told.tells(flow_log, &set, &set.rows[0])
        };
        assert!(tells(&told, "fl-1", accepted), "the same records again");
        assert!(!tells(&told, "fl-1", Observation { digest: 3, ..accepted }), "more of the flow log that is kept");
        assert!(tells(&told, "fl-2", Observation { digest: 3, ..accepted }), "another's of the same window");
        let later = Observation { window: Window(601), digest: 3, ..accepted };
        assert!(!tells(&told, "fl-2", later), "another that takes over within the hour");
        assert!(!tells(&told, "fl-2", refused), "another of what was refused, of which nothing is told");
        let folded = set_of(refused);
        told.add("fl-3", &folded, &folded.rows[0]);
        assert!(tells(&told, "fl-2", Observation { digest: 4, ..refused }));
        assert!(tells(&told, "", Observation { digest: 5, ..accepted }), "told of by a flow log");
        assert!(!tells(&told, "", Observation { digest: 5, port: 8080, ..accepted }), "told of by none");
    }

    #[test]
    fn what_repeats_is_taken_out_a_day_at_a_time() {
        let row = |window| Observation { window: Window(window), n_flows: 1, digest: 1, ..Observation::default() };
        let mut told = FoldedIn::default();
        for window in [100, 200] {
            let set = set_of(row(window));
            told.add("fl-1", &set, &set.rows[0]);
        }
        let mut rows: Vec<_> =
            [100, 101, 200].into_iter().map(|window| ("fl-1".to_owned(), set_of(row(window)))).collect();
        assert_eq!(told.take_out(Day(0), &mut rows), 1, "the records of the first window of the first day");
        let left: Vec<u32> = rows.iter().flat_map(|(_, set)| &set.rows).map(|row| row.window.0).collect();
        assert_eq!(left, [101, 200]);
        assert_eq!(told.take_out(Day(1), &mut rows), 1);
    }

    #[test]
    fn of_a_row_of_both_what_was_refused_is_left_where_only_the_other_was_told() {
        let accepted =
            Observation { window: Window(100), n_flows: 1, bytes_out: 70, digest: 1, ..Observation::default() };
        let both = Observation { n_rejected: 5, digest: 2, ..accepted };
        let left = |folded: &[Observation]| {
            let mut told = FoldedIn::default();
            for row in folded {
                let set = set_of(*row);
                told.add("fl-1", &set, &set.rows[0]);
            }
            let mut rows = [(String::new(), set_of(both))];
            told.take_out(Day(0), &mut rows);
            rows[0].1.rows.iter().map(|row| (row.n_flows, row.n_rejected, row.bytes_out)).collect::<Vec<_>>()
        };
        assert_eq!(left(&[accepted]), [(0, 5, 0)]);
        assert_eq!(left(&[both]), []);
        assert_eq!(left(&[]), [(1, 5, 70)]);
    }

    #[test]
    fn what_is_written_again_counts_once() {
        let rows = |n| Arc::new(Observations { rows: vec![Observation::default(); n], ..Observations::default() });
        let mut sets = Sets::default();
        sets.insert("b".to_owned(), rows(1));
        for _ in 0..3 {
            sets.insert("a".to_owned(), rows(MAX_CACHED_ROWS / 2));
        }
        assert_eq!(sets.sets.keys().collect::<Vec<_>>(), ["a", "b"], "there is room for both");
        sets.insert("c".to_owned(), rows(MAX_CACHED_ROWS / 2));
        assert_eq!(sets.sets.keys().collect::<Vec<_>>(), ["b", "c"], "the earliest makes room");
    }
}
