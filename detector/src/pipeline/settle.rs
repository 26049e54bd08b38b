//! Settle: what an owner's rows of an hour say, each told once.
//!
//! One record may be told by objects delivered twice, and by several flow logs. What is told again is dropped, and of
//! several flow logs that tell of an interface one is kept.

use std::collections::BTreeMap;

use baselines::observation::{Observation, Ranks};

use super::shelf::{At, Run, Tables};

/// An owner's observations of an hour. Its memory serves one owner after the other.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Each told once, sorted by window, destination and interface: an order that speaks of names and addresses only.
    pub(super) rows: Vec<Observation>,
    /// Flow records that were told more than once.
    pub(super) n_repeated: u64,
    /// What is being settled.
    told: Vec<Told>,
}

/// A row and what it is sorted by.
#[derive(Clone, Copy, Debug)]
struct Told {
    place: u64,
    /// Among the owner's.
    run: u32,
    at: At,
}

/// Flow records sent that an observation tells of.
pub(super) fn n_records(observation: &Observation) -> u64 {
    u64::from(observation.n_flows) + u64::from(observation.n_rejected)
}

impl Settled {
    /// Settles what objects told of one owner.
    pub(super) fn settle(&mut self, runs: &[Run<'_>], tables: &Tables, ranks: &Ranks) {
        let Self { rows, n_repeated, told } = self;
        sort(told, runs, ranks);
        let best = best_sources(runs, told, tables);
        rows.clear();
        *n_repeated = 0;
        let mut latest = None;
        for told in told {
            let Some(run) = runs.get(told.run as usize) else { continue };
            let row = run.row(told.at);
            let is_told_again = is_told_again(latest.as_ref(), run.source, &row);
            latest = Some((run.source, row));
            if is_told_again || best.as_ref().is_some_and(|best| best.get(&row.eni) != Some(&run.source)) {
                *n_repeated += n_records(&row);
                continue;
            }
            match rows.last_mut().filter(|last| last.key() == row.key() && last.eni == row.eni) {
                Some(last) => last.merge(&row),
                None => rows.push(row),
            }
        }
    }
}

/// Puts the rows in order; those of the same place in an order that speaks of what is told only.
fn sort(told: &mut Vec<Told>, runs: &[Run<'_>], ranks: &Ranks) {
    told.clear();
    for (n, run) in (0..).zip(runs) {
        told.extend(run.places(|peer| ranks.peer(peer)).map(|(place, at)| Told { place, run: n, at }));
    }
    told.sort_unstable_by_key(|told| told.place);
    for of_place in told.chunk_by_mut(|a, b| a.place == b.place).filter(|of_place| of_place.len() > 1) {
        of_place.sort_unstable_by_key(|told| {
            let run = runs.get(told.run as usize);
            run.map(|run| {
                let (eni, digest) = run.eni_and_digest(told.at);
                (ranks.eni(eni), digest, run.source)
            })
        });
    }
}

/// Whether a row tells the same records as the one before it, by the same flow log: the digests are equal. What another flow
/// log tells is not told again: only one of them is kept.
fn is_told_again(before: Option<&(u32, Observation)>, source: u32, row: &Observation) -> bool {
    before.is_some_and(|(by, before)| {
        *by == source
            && before.key() == row.key()
            && before.eni == row.eni
            && before.digest == row.digest
            && before.n_flows == row.n_flows
            && before.bytes_out == row.bytes_out
    })
}

/// Where several flow logs tell of one interface in the hour, the one to keep: it tells the most records (the finer
/// aggregation), of equals it is the first by name. `None` when there is only one flow log.
fn best_sources(runs: &[Run<'_>], sorted: &[Told], tables: &Tables) -> Option<BTreeMap<u32, u32>> {
    if tables.sources.len() < 2 {
        return None;
    }
    let mut told: BTreeMap<u32, BTreeMap<u32, u64>> = BTreeMap::new();
    let mut latest = None;
    for &Told { run, at, .. } in sorted {
        let Some(run) = runs.get(run as usize) else { continue };
        let row = run.row(at);
        if !is_told_again(latest.as_ref(), run.source, &row) {
            *told.entry(row.eni).or_default().entry(run.source).or_default() += n_records(&row);
        }
        latest = Some((run.source, row));
    }
    let best = |sources: BTreeMap<u32, u64>| {
        let by_name = |&(source, n): &(u32, u64)| (n, std::cmp::Reverse(tables.sources.name(source)));
        sources.into_iter().max_by_key(by_name).map(|(source, _)| source)
    };
    Some(told.into_iter().filter_map(|(eni, sources)| Some((eni, best(sources)?))).collect())
}

#[cfg(test)]
mod tests {
    use baselines::observation::{Collector, Eni};
    use baselines::window::Window;

    use super::*;
    use crate::pipeline::InMemoryScratch;
    use crate::pipeline::shelf::Shelf;

    /// The last numbers of the addresses that are left, with their records, and how many records were told again: of objects
    /// that a flow log told, each record with its address and its digest.
    fn settled(objects: &[(&str, &[(u128, u64)])]) -> (Vec<(u128, u32)>, u64) {
        let mut shelf = Shelf::new(Box::<InMemoryScratch>::default());
        for (source, told) in objects {
            let mut collector = Collector::default();
            let (owner, eni) = (collector.owner("owner"), collector.eni(&Eni { id: "eni-1".into(), ..Eni::default() }));
            let rows = told.iter().map(|&(address, digest)| {
                let peer = collector.peer(0xffff_cb00_7100 + address, "");
                Observation { owner, eni, peer, digest, window: Window(600), n_flows: 1, ..Observation::default() }
            });
            let rows = rows.collect();
            shelf.add(source, &collector.finish(rows)).unwrap();
        }
        let (tables, _, mut parts) = shelf.finish();
        let part = parts.all().into_values().flatten().next().unwrap();
        let rows = parts.take(part).unwrap();
        let mut settled = Settled::default();
        settled.settle(&rows.runs().collect::<Vec<_>>(), &tables, &Ranks::of(&tables.set));
        let address = |row: &Observation| tables.set.peers[row.peer as usize].address & 0xff;
        (settled.rows.iter().map(|row| (address(row), row.n_flows)).collect(), settled.n_repeated)
    }

    #[test]
    fn an_object_delivered_twice_is_told_once() {
        let object: (&str, &[_]) = ("fl-1", &[(1, 10), (2, 20)]);
        assert_eq!(settled(&[object, object]), (vec![(1, 1), (2, 1)], 2));
    }

    #[test]
    fn of_two_flow_logs_the_one_that_tells_more_is_kept_whichever_comes_first() {
        let (few, more): (_, &[_]) = (("fl-1", &[(1_u128, 10_u64)][..]), &[(1, 10), (2, 20), (2, 21)]);
        for objects in [[few, ("fl-2", more)], [("fl-2", more), few]] {
            assert_eq!(settled(&objects), (vec![(1, 1), (2, 2)], 1));
        }
    }

    #[test]
    fn of_two_flow_logs_that_tell_the_same_the_first_by_name_is_kept() {
        let (a, b): ((_, &[_]), (_, &[_])) = (("fl-a", &[(1, 10), (2, 20)]), ("fl-b", &[(1, 10), (2, 99)]));
        for objects in [[a, b], [b, a]] {
            assert_eq!(settled(&objects), (vec![(1, 1), (2, 1)], 2));
        }
    }
}
