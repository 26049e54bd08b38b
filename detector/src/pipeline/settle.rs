//! Settle: what an owner's rows of an hour say, each told once.
//!
//! One record may be told by objects delivered twice, and by several flow logs. What is told again is dropped, and of
//! several flow logs that tell of an interface one is kept.

use std::collections::BTreeMap;

use baselines::observation::{Observation, Ranks};

use super::shelf::{At, PartRows, Row, Tables};

/// An owner's observations of an hour.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Each told once, sorted by window, destination and interface: an order that speaks of names and addresses only.
    pub(super) rows: Vec<Observation>,
    /// Flow records that were told more than once.
    pub(super) n_repeated: u64,
}

/// Flow records sent that an observation tells of.
pub(super) fn n_records(observation: &Observation) -> u64 {
    u64::from(observation.n_flows) + u64::from(observation.n_rejected)
}

/// Settles the rows of one owner.
pub(super) fn settle(hour: &PartRows, of_owner: &[(u32, At)], tables: &Tables, ranks: &Ranks) -> Settled {
    let sorted = sorted(hour, of_owner, ranks);
    let best = best_sources(hour, &sorted, tables);
    let mut settled = Settled::default();
    let mut latest = None;
    for &(_, at) in &sorted {
        let row = hour.row(at);
        let Row { source, observation } = &row;
        let is_told_again = latest.is_some_and(|latest| is_told_again(&latest, &row));
        if !is_told_again {
            latest = Some(row);
        }
        if is_told_again || best.as_ref().is_some_and(|best| best.get(&observation.eni) != Some(source)) {
            settled.n_repeated += n_records(observation);
            continue;
        }
        match settled.rows.last_mut().filter(|last| last.key() == observation.key() && last.eni == observation.eni) {
            Some(last) => last.merge(observation),
            None => settled.rows.push(*observation),
        }
    }
    settled
}

/// The rows with their places, in order; of the same place in an order that speaks of what is told only.
fn sorted(hour: &PartRows, of_owner: &[(u32, At)], ranks: &Ranks) -> Vec<(u128, At)> {
    let place = |&(_, at): &(u32, At)| (ranks.place(&hour.subject(at).observation), at);
    let mut sorted: Vec<(u128, At)> = of_owner.iter().map(place).collect();
    let told = |at: At| {
        let row = hour.subject(at);
        (row.observation.digest, row.source)
    };
    // Objects put their rows down sorted: a sort that looks for runs merges them.
    sorted.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| told(a.1).cmp(&told(b.1))));
    sorted
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
/// aggregation), of equals it is the first by name. `None` when there is only one flow log.
fn best_sources(hour: &PartRows, sorted: &[(u128, At)], tables: &Tables) -> Option<BTreeMap<u32, u32>> {
    if tables.sources.len() < 2 {
        return None;
    }
    let mut told: BTreeMap<u32, BTreeMap<u32, u64>> = BTreeMap::new();
    let mut latest = None;
    for &(_, at) in sorted {
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
