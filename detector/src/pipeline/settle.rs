//! Settle: what an owner's rows of an hour say, each told once.
//!
//! One record may be told by objects delivered twice, and by several flow logs. What is told again is dropped, and of
//! several flow logs that tell of an interface in a window one is kept: two, where one records what was accepted and
//! the other what was refused. What answers may be told by another object than what asked; answers alone are no call.
//! An object whose name says no flow log adds what none of the others tells of. What goes to an interface's own address
//! is none of its calls, and which address that is another object may have told: see `own`.

use std::collections::{BTreeMap, HashSet};

use baselines::baseline::span_of;
use baselines::observation::{Observation, Renumbering};
use baselines::window::Window;

use super::shelf::{At, Run, Tables};

/// An owner's observations of an hour. Its memory serves one owner after the other.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Each told once, sorted by window, destination and interface: an order that speaks of names and addresses only.
    pub(super) rows: Vec<Observation>,
    /// Flow records that were told more than once.
    pub(super) n_repeated: u64,
    /// Flow records that somebody else sent to the interface.
    pub(super) n_inbound: u64,
    /// What is being settled.
    told: Vec<Telling>,
}

/// A row and what it is sorted by.
#[derive(Clone, Copy, Debug)]
struct Telling {
    place: u64,
    /// Among the owner's.
    run: u32,
    at: At,
}

/// Flow records sent that an observation tells of.
pub(super) fn n_records(observation: &Observation) -> u64 {
    u64::from(observation.n_flows) + u64::from(observation.n_rejected)
}

/// From the first record that observations tell of to the last one.
pub(super) fn span(rows: &[Observation]) -> Option<(i64, i64)> {
    rows.iter().fold(None, |span, row| span_of(span, Some((row.first, row.last))))
}

impl Settled {
    /// Settles what objects told of one owner.
    pub(super) fn settle(&mut self, runs: &[Run<'_>], tables: &Tables, ranks: &Renumbering) {
        let Self { rows, n_repeated, n_inbound, told } = self;
        sort(told, runs, ranks);
        *n_inbound = 0;
        if !tables.own.is_empty() {
            told.retain(|told| {
                let row =
                    runs.get(told.run as usize).map(|run| run.row(told.at)).filter(|row| tables.own.contains(row));
                *n_inbound += row.as_ref().map_or(0, n_records);
                row.is_none()
            });
        }
        let kept = Kept::of(runs, told, tables);
        rows.clear();
        *n_repeated = 0;
        let mut latest = None;
        for told in told {
            let Some(run) = runs.get(told.run as usize) else { continue };
            let mut row = run.row(told.at);
            let is_told_again = is_told_again(latest.as_ref(), run.source, &row);
            latest = Some((run.source, row));
            let n_told = n_records(&row);
            let is_left = !is_told_again && kept.as_ref().is_none_or(|kept| kept.keep(run.source, &mut row));
            *n_repeated += n_told - if is_left { n_records(&row) } else { 0 };
            if !is_left {
                continue;
            }
            match rows.last_mut().filter(|last| last.key() == row.key() && last.eni == row.eni) {
                Some(last) => last.merge(&row),
                None => rows.push(row),
            }
        }
        rows.retain(|row| n_records(row) > 0);
    }
}

/// Puts the rows in order; those of the same place in an order that speaks of what is told only.
fn sort(told: &mut Vec<Telling>, runs: &[Run<'_>], ranks: &Renumbering) {
    told.clear();
    for (n, run) in (0..).zip(runs) {
        told.extend(run.places(|peer| ranks.peer(peer)).map(|(place, at)| Telling { place, run: n, at }));
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

/// Whether a row tells the same records as the one before it, by the same flow log: the digests are equal. What another
/// flow log tells is not told again: only one of them is kept.
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

/// Which rows are kept where there is more than one flow log.
struct Kept {
    /// The flow logs of each interface and window.
    sources: BTreeMap<(u32, Window), KeptSources>,
    /// Objects whose name says no flow log.
    unnamed: Option<u32>,
    /// What flow logs tell of, where there are such objects too: whether of what was refused.
    told: HashSet<(Key, u32, bool)>,
}

/// What an observation is of: see [`Observation::key`].
type Key = (Window, u32, u32, u16, u8);

/// The flow logs kept of an interface in a window.
struct KeptSources {
    /// Of what was accepted, or both.
    accepted: u32,
    /// Of what was only refused.
    refused: u32,
}

impl Kept {
    /// Picks the flow log to keep of each interface and window, where several record it.
    ///
    /// It is the one with the most records (the finest aggregation), of equals the first by name. If that one has no
    /// accepted records, or no refused ones, the flow log with most of those supplies them: a flow log may be set to
    /// record only one of the two. `None` when there is only one flow log.
    fn of(runs: &[Run<'_>], sorted: &[Telling], tables: &Tables) -> Option<Self> {
        if tables.sources.len() < 2 {
            return None;
        }
        let unnamed = (0..tables.sources.len() as u32).find(|&source| tables.sources.name(source).is_empty());
        // Records accepted and refused, by flow log.
        let mut counts: BTreeMap<(u32, Window), BTreeMap<u32, [u64; 2]>> = BTreeMap::new();
        let mut told = HashSet::new();
        let mut latest = None;
        for &Telling { run, at, .. } in sorted {
            let Some(run) = runs.get(run as usize).filter(|run| Some(run.source) != unnamed) else { continue };
            let row = run.row(at);
            if !is_told_again(latest.as_ref(), run.source, &row) {
                let of_source = counts.entry((row.eni, row.window)).or_default().entry(run.source).or_default();
                let [accepted, refused] = of_source;
                *accepted += u64::from(row.n_flows);
                *refused += u64::from(row.n_rejected);
            }
            // Of answers alone nothing is told.
            if unnamed.is_some() && n_records(&row) > 0 {
                let is_only_refused = row.is_refused();
                told.insert((row.key(), row.eni, is_only_refused));
                // A row may tell of both.
                if row.n_rejected > 0 && !is_only_refused {
                    told.insert((row.key(), row.eni, true));
                }
            }
            latest = Some((run.source, row));
        }
        let kept = |sources: BTreeMap<u32, [u64; 2]>| {
            let most = |n: &dyn Fn(&[u64; 2]) -> u64| {
                let by_name = |source: u32| std::cmp::Reverse(tables.sources.name(source));
                sources.iter().max_by_key(|(source, told)| (n(told), by_name(**source))).map(|(source, _)| *source)
            };
            let whole = most(&|[accepted, refused]| accepted + refused)?;
            let of = |what: &dyn Fn(&[u64; 2]) -> u64| {
                if sources.get(&whole).is_some_and(|told| what(told) > 0) { Some(whole) } else { most(what) }
            };
            Some(KeptSources { accepted: of(&|told| told[0])?, refused: of(&|told| told[1])? })
        };
        let sources = counts.into_iter().filter_map(|(of, sources)| Some((of, kept(sources)?))).collect();
        Some(Self { sources, unnamed, told })
    }

    /// Leaves of a row what is kept of it, and says whether that is anything: all of one of a flow log that is kept,
    /// and of one of no flow log what none tells of.
    fn keep(&self, source: u32, row: &mut Observation) -> bool {
        let is_refused = row.is_refused();
        if Some(source) == self.unnamed {
            let [accepted, refused] = [false, true].map(|what| self.told.contains(&(row.key(), row.eni, what)));
            // A row may tell of both.
            match (accepted, refused) {
                (false, false) => return true,
                (false, true) => row.n_rejected = 0,
                (true, false) => *row = row.refused(),
                (true, true) => return false,
            }
            return if accepted { row.n_rejected > 0 } else { !is_refused };
        }
        let kept = self.sources.get(&(row.eni, row.window));
        kept.is_some_and(|kept| source == if is_refused { kept.refused } else { kept.accepted })
    }
}

#[cfg(test)]
mod tests {
    use baselines::observation::{Collector, Eni};

    use super::*;
    use crate::pipeline::InMemoryScratch;
    use crate::pipeline::shelf::Shelf;

    /// What tells a record accepted in the first window of an hour.
    fn accepted() -> Observation {
        Observation { window: Window(600), n_flows: 1, ..Observation::default() }
    }

    /// The last numbers of the addresses that are left, with their records, and how many records were told again: of
    /// objects that a flow log told, each record with its address and its digest.
    fn settled(objects: &[(&str, &[(u128, u64)])]) -> (Vec<(u128, u32)>, u64) {
        let of_log = |told: &[(u128, u64)]| {
            told.iter().map(|&(address, digest)| (address, Observation { digest, ..accepted() })).collect()
        };
        settled_of(&objects.iter().map(|&(source, told)| (source, of_log(told))).collect::<Vec<_>>())
    }

    /// The rows that are left of whole rows, each with its address.
    fn settled_rows(objects: &[(&str, Vec<(u128, Observation)>)]) -> Vec<Observation> {
        settle(objects).0.rows
    }

    /// Addresses and records of those, and how many records were told again.
    fn settled_of(objects: &[(&str, Vec<(u128, Observation)>)]) -> (Vec<(u128, u32)>, u64) {
        let (settled, tables) = settle(objects);
        let address = |row: &Observation| tables.set.peers[row.peer as usize].address & 0xff;
        (settled.rows.iter().map(|row| (address(row), row.n_flows + row.n_rejected)).collect(), settled.n_repeated)
    }

    fn settle(objects: &[(&str, Vec<(u128, Observation)>)]) -> (Settled, Tables) {
        let mut shelf = Shelf::new(Box::<InMemoryScratch>::default());
        for (source, told) in objects {
            let mut collector = Collector::default();
            let (owner, eni) = (collector.owner("owner"), collector.eni(&Eni { id: "eni-1".into(), ..Eni::default() }));
            let rows = told.iter().map(|&(address, row)| {
                let peer = collector.peer(0xffff_cb00_7100 + address, "");
                Observation { owner, eni, peer, ..row }
            });
            let rows = rows.collect();
            shelf.add(source, &collector.finish(rows)).unwrap();
        }
        let (tables, _, mut parts) = shelf.finish();
        let part = parts.all().into_values().flatten().next().unwrap();
        let rows = parts.take(part).unwrap();
        let mut settled = Settled::default();
        settled.settle(&rows.runs().collect::<Vec<_>>(), &tables, &tables.set.ranks());
        (settled, tables)
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

    #[test]
    fn answers_join_what_asked_whichever_object_tells_of_them() {
        let asked = ("fl-1", vec![(1, Observation { digest: 10, ..accepted() })]);
        let answer = |digest| Observation { digest, n_flows: 0, packets_in: 3, bytes_in: 500, ..accepted() };
        let answered = ("fl-1", vec![(1, answer(11)), (2, answer(12))]);
        for objects in [[asked.clone(), answered.clone()], [answered, asked]] {
            let rows = settled_rows(&objects);
            let told: Vec<(u32, u64)> = rows.iter().map(|row| (row.n_flows, row.bytes_in)).collect();
            assert_eq!(told, [(1, 500)], "and what nobody asked for is no call");
        }
    }

    #[test]
    fn an_object_of_no_flow_log_adds_what_none_tells_of() {
        let log: (&str, &[_]) = ("fl-1", &[(1, 10), (2, 20), (2, 21)]);
        let other: (&str, &[_]) = ("", &[(2, 29), (3, 30)]);
        for objects in [[log, other], [other, log]] {
            assert_eq!(settled(&objects), (vec![(1, 1), (2, 2), (3, 1)], 1));
        }
        assert_eq!(settled(&[other, other]), (vec![(2, 1), (3, 1)], 2), "alone they count once");
    }

    #[test]
    fn of_what_a_flow_log_tells_the_answers_alone_the_call_is_added() {
        let answer = Observation { digest: 11, n_flows: 0, packets_in: 3, bytes_in: 500, ..accepted() };
        let (answer, call) = (("fl-1", vec![(1, answer)]), ("", vec![(1, Observation { digest: 10, ..accepted() })]));
        for objects in [[answer.clone(), call.clone()], [call, answer]] {
            let rows = settled_rows(&objects);
            assert_eq!(rows.iter().map(|row| (row.n_flows, row.bytes_in)).collect::<Vec<_>>(), [(1, 500)]);
        }
    }

    #[test]
    fn what_a_flow_log_told_of_as_accepted_and_refused_in_one_row_is_told_of_both() {
        let both = ("fl-1", vec![(1, Observation { digest: 10, n_rejected: 1, ..accepted() })]);
        let refused = ("", vec![(1, Observation { digest: 11, n_flows: 0, n_rejected: 1, ..accepted() })]);
        let again = ("", vec![(1, Observation { digest: 12, ..accepted() })]);
        for objects in [[both.clone(), refused.clone(), again.clone()], [refused, again, both.clone()]] {
            assert_eq!(settled_of(&objects), (vec![(1, 2)], 2));
        }
        // And of a row of both, what a flow log did not tell of is left.
        let of_both = |digest| ("", vec![(1, Observation { digest, n_rejected: 5, bytes_out: 70, ..accepted() })]);
        let log = |n_flows, n_rejected, bytes_out| {
            ("fl-1", vec![(1, Observation { digest: 10, n_flows, n_rejected, bytes_out, ..accepted() })])
        };
        for (log, expected, n_again) in [(log(1, 0, 70), (1, 5, 70), 1), (log(0, 5, 0), (1, 5, 70), 5)] {
            for objects in [[log.clone(), of_both(12)], [of_both(12), log.clone()]] {
                let settled = settle(&objects).0;
                let rows: Vec<_> =
                    settled.rows.iter().map(|row| (row.n_flows, row.n_rejected, row.bytes_out)).collect();
                assert_eq!((rows, settled.n_repeated), (vec![expected], n_again));
            }
        }
    }

    #[test]
    fn a_flow_log_of_what_was_refused_is_kept_beside_one_of_what_was_accepted() {
        let refused = |digest| Observation { digest, n_flows: 0, n_rejected: 1, ..accepted() };
        let of_accepted = (
            "fl-1",
            vec![(1, Observation { digest: 10, ..accepted() }), (2, Observation { digest: 20, ..accepted() })],
        );
        let of_refused = ("fl-2", vec![(3, refused(30))]);
        for objects in [[of_accepted.clone(), of_refused.clone()], [of_refused, of_accepted.clone()]] {
            assert_eq!(settled_of(&objects), (vec![(1, 1), (2, 1), (3, 1)], 0));
        }
        // One of all that happened tells of both, and what another says of either is told twice.
        let of_all = ("fl-0", [of_accepted.1, vec![(3, refused(31))]].concat());
        assert_eq!(settled_of(&[of_all, ("fl-2", vec![(3, refused(30))])]), (vec![(1, 1), (2, 1), (3, 1)], 1));
    }

    #[test]
    fn a_flow_log_that_takes_over_within_the_hour_is_kept_in_its_windows() {
        let later = Observation { window: Window(603), digest: 30, ..accepted() };
        let before = ("fl-1", vec![(1, Observation { digest: 10, ..accepted() })]);
        let after = ("fl-2", vec![(1, later), (2, Observation { digest: 31, ..later })]);
        assert_eq!(settled_of(&[before, after]), (vec![(1, 1), (1, 1), (2, 1)], 0));
    }
}
