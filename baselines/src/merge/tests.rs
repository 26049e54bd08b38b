//! Tests of merging: parts of a made-up fleet's traffic, learned apart and at once.

use proptest::prelude::*;

use crate::baselines::{Baselines, LearnedFrom};
use crate::ladder::{Network, from_ip};
use crate::observation::Observation;
use crate::testing::{MEMORY_DAYS, Mode, START, Told, dump, learn, name_all, traffic};
use crate::window::{WINDOWS_PER_DAY, Window};

/// Learns traffic anew, under the numbers that all parts share; from how much is no owner's.
fn learned(told: &[Told], mode: Mode) -> Baselines {
    let mut baselines = Baselines::default();
    name_all(&mut baselines);
    learn(&mut baselines, told, mode);
    baselines.learned_from = LearnedFrom::default();
    baselines
}

/// What both know of each owner.
fn merged(a: &Baselines, b: &Baselines) -> Baselines {
    let mut out = a.clone();
    out.of_owner.iter_mut().zip(&b.of_owner).for_each(|(mine, theirs)| mine.merge(theirs, a.ladder.networks()));
    out.recount();
    out
}

/// Parts of traffic before, between and after two windows.
fn parts(told: &[Told], cuts: (u32, u32)) -> [&[Told]; 3] {
    let (first, second) = (cuts.0.min(cuts.1), cuts.0.max(cuts.1));
    let (before, rest) = told.split_at(told.partition_point(|t| t.window < first));
    let (between, after) = rest.split_at(rest.partition_point(|t| t.window < second));
    [before, between, after]
}

/// What merging gives exactly.
fn exact(baselines: &Baselines, told: &[Told]) -> Vec<String> {
    let mut aged = baselines.clone();
    if let Some(last) = told.last() {
        aged.age(Window(START.0 + last.window).day().first_window(), MEMORY_DAYS);
    }
    let inexact = ["active", "held", "longest held", "newcomer service", "newcomer prefix"];
    dump(&aged).into_iter().filter(|line| !inexact.iter().any(|begin| line.starts_with(begin))).collect()
}

fn without_findings(mut told: Vec<Told>) -> Vec<Told> {
    for told in &mut told {
        told.is_odd = false;
    }
    told
}

const DAYS: u32 = 10;

fn cuts() -> impl Strategy<Value = (u32, u32)> {
    (0..DAYS * WINDOWS_PER_DAY, prop_oneof![0..DAYS * WINDOWS_PER_DAY, (0..DAYS).prop_map(|day| day * WINDOWS_PER_DAY)])
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Learn), Just(Mode::Watch)]
}

proptest! {
    #[test]
    fn learning_in_parts_is_learning_at_once(told in traffic(DAYS, 120), cuts in cuts(), mode in mode()) {
        let told = without_findings(told);
        let [a, b, c] = parts(&told, cuts).map(|part| learned(part, mode));
        let at_once = exact(&learned(&told, mode), &told);
        prop_assert_eq!(exact(&merged(&merged(&a, &b), &c), &told), at_once.clone(), "one after the other");
        prop_assert_eq!(exact(&merged(&a, &merged(&b, &c)), &told), at_once.clone(), "the later two first");
        prop_assert_eq!(exact(&merged(&c, &merged(&b, &a)), &told), at_once, "backwards");
    }

    #[test]
    fn merging_is_commutative(told in traffic(DAYS, 120), cuts in cuts(), mode in mode()) {
        let [a, b, _] = parts(&told, cuts).map(|part| learned(part, mode));
        prop_assert_eq!(dump(&merged(&a, &b)), dump(&merged(&b, &a)));
    }

    #[test]
    fn merging_parts_of_the_same_time_is_commutative(a in traffic(DAYS, 80), b in traffic(DAYS, 80), mode in mode()) {
        let (a, b) = (learned(&a, mode), learned(&b, mode));
        prop_assert_eq!(dump(&merged(&a, &b)), dump(&merged(&b, &a)));
    }

    #[test]
    fn the_empty_one_changes_nothing(told in traffic(DAYS, 80), mode in mode()) {
        let (baselines, empty) = (learned(&told, mode), learned(&[], mode));
        prop_assert_eq!(dump(&merged(&baselines, &empty)), dump(&baselines));
        prop_assert_eq!(dump(&merged(&empty, &baselines)), dump(&baselines));
    }

    #[test]
    fn nothing_is_active_that_was_not(told in traffic(DAYS, 120), cuts in cuts()) {
        let told = without_findings(told);
        let [a, b, c] = parts(&told, cuts).map(|part| learned(part, Mode::Learn));
        let (parts, at_once) = (merged(&merged(&a, &b), &c), learned(&told, Mode::Learn));
        for (name, baseline) in parts.iter() {
            let expected = at_once.baseline(at_once.owners.id(name).unwrap()).unwrap();
            // Of the same latest week: the ring at once may have moved on further.
            let Some((since, _)) = expected.active.windows(Window(0), Window(u32::MAX)).next() else { continue };
            for (window, minutes) in baseline.active.windows(since, Window(u32::MAX)) {
                prop_assert_eq!(minutes & !expected.active.minutes(window), 0);
            }
        }
    }
}

/// One owner that meets one address an hour.
fn told(days: std::ops::Range<u32>, to: (u8, u8, u8), port: u16, ports: (u64, u64)) -> Vec<Told> {
    (days.start * WINDOWS_PER_DAY..days.end * WINDOWS_PER_DAY)
        .step_by(6)
        .map(|window| Told { window, owner: 0, to, port, n_flows: 3, bytes: 700, ports, is_odd: false })
        .collect()
}

/// The subjects under watch.
fn watched(baselines: &Baselines) -> Vec<String> {
    dump(baselines)
        .iter()
        .filter(|line| line.starts_with("newcomer "))
        .map(|line| line.split(" (").next().unwrap().into())
        .collect()
}

#[test]
fn what_one_part_had_settled_is_not_new_in_the_other() {
    let check = |a: &[Told], b: &[Told], expected: &[&str]| {
        let merged = merged(&learned(a, Mode::Watch), &learned(b, Mode::Watch));
        assert_eq!(watched(&merged), expected);
    };
    let settled = told(0..4, (1, 0, 0), 443, (0, 0));
    check(&settled, &told(5..6, (1, 0, 0), 443, (0, 0)), &[]);
    check(&settled, &told(5..6, (2, 0, 0), 443, (0, 0)), &["newcomer network AS64502"]);
    check(&told(5..6, (1, 0, 0), 443, (0, 0)), &settled, &[]);
    // Watched by both: aging settles it.
    let (a, b) = (told(0..2, (1, 0, 0), 443, (0, 0)), told(2..4, (1, 0, 0), 443, (0, 0)));
    let mut both = merged(&learned(&a, Mode::Watch), &learned(&b, Mode::Watch));
    assert_eq!(watched(&both), ["newcomer network AS64501"]);
    both.age(Window(START.0 + 4 * WINDOWS_PER_DAY), MEMORY_DAYS);
    assert_eq!(watched(&both), Vec::<String>::new());
    // Known to both, below it a port only the later one saw: known, and not watched. See `Baseline::merge`.
    check(&settled, &told(5..6, (1, 0, 0), 8000, (0, 0)), &[]);
}

#[test]
fn a_connection_held_over_both_parts_is_one() {
    let held = |from: u32, until: u32, bits: u64| -> Vec<Told> {
        let one = told(0..1, (1, 0, 0), 443, (bits, bits)).remove(0);
        (from..until).map(|window| Told { window, ..one.clone() }).collect()
    };
    let all = [held(0, 20, 0b110), held(20, 50, 0b011)].concat();
    let parts = merged(&learned(&all[..20], Mode::Watch), &learned(&all[20..], Mode::Watch));
    let line = |baselines: &Baselines| dump(baselines).into_iter().find(|line| line.starts_with("held ")).unwrap();
    assert_eq!(line(&parts), line(&learned(&all, Mode::Watch)));
}

#[test]
fn what_is_merged_is_stored_alike_whoever_merges() {
    let a = learned(&told(0..3, (1, 0, 0), 443, (1, 2)), Mode::Watch);
    let b = learned(&told(2..6, (3, 1, 1), 8000, (1, 2)), Mode::Watch);
    let encode = |baselines: &Baselines| crate::store::encode(baselines).unwrap();
    assert_eq!(encode(&merged(&a, &b)), encode(&merged(&b, &a)));
}

#[test]
fn a_prefix_that_both_met_at_once_in_other_networks_is_of_the_one_named_first() {
    for names in [["AS1", "AS2"], ["AS2", "AS1"]] {
        let mut baselines = Baselines::default();
        for (host, name) in (1..).zip(names) {
            let network = || Network { key: name.into(), label: name.into() };
            let peer = baselines.ladder.peer(from_ip([203, 0, 113, host].into()), network);
            let owner = baselines.owner(name);
            let row = Observation { peer, port: 443, protocol: 6, window: START, n_flows: 1, ..Observation::default() };
            baselines.learn(owner, START, &[row]);
        }
        for (mine, theirs) in [(0, 1), (1, 0)] {
            let mut past = baselines.baseline(mine).unwrap().clone();
            past.merge(baselines.baseline(theirs).unwrap(), baselines.ladder.networks());
            let networks: Vec<u32> = past.prefixes().map(|(_, known)| known.network).collect();
            assert_eq!(networks.len(), 1);
            assert_eq!(&*baselines.ladder.networks().name(networks[0]), "AS1", "{names:?}, {theirs} into {mine}");
        }
    }
}
