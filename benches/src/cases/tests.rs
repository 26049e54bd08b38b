//! What must hold for every fleet, whatever its seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::{
    fleet::{InterfaceKind, destination::TCP},
    traffic::{Record, Status},
};

fn options(seed: u64) -> FleetOptions {
    FleetOptions {
        seed,
        functions: 20,
        days: 14,
        shapes: "all".to_owned(),
        format: ObjectFormat::Parquet,
        fields: Fields::Recommended,
        interval: 60,
        files: Granularity::Hour,
    }
}

fn records(fleet: &Fleet, interval_secs: Secs) -> Vec<Record> {
    let mut all = Vec::new();
    for_each_day(fleet, interval_secs, |_, records| {
        all.extend(records);
        Ok(())
    })
    .unwrap();
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let scratch = tempfile::tempdir().unwrap();
    let few = FleetOptions { functions: 6, days: 3, shapes: "none".to_owned(), ..options(5) };
    for format in [ObjectFormat::Parquet, ObjectFormat::Text] {
        let [one, two] = ["one", "two"].map(|n| scratch.path().join(format!("{n}-{format:?}")));
        let options = FleetOptions { format, ..few.clone() };
        write_fleet(&options, &one).unwrap();
        rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap()
            .install(|| write_fleet(&options, &two))
            .unwrap();
        let (first, second) = (files(&one), files(&two));
        assert_eq!(first.len(), second.len());
        for (a, b) in first.iter().zip(&second) {
            assert_eq!(a.strip_prefix(&one).unwrap(), b.strip_prefix(&two).unwrap());
            assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap(), "{}", a.display());
        }
    }
}

#[test]
fn every_call_out_is_in_the_records() {
    let fleet = random_fleet(&options(2)).unwrap();
    // Last time each destination was reached through each interface.
    let mut reached: BTreeMap<_, Secs> = BTreeMap::new();
    for r in records(&fleet, 60).iter().filter(|r| r.status == Status::Ok && r.egress) {
        let last = reached.entry((r.dst, r.dst_port, r.interface as usize)).or_default();
        *last = r.end.max(*last);
    }
    let mut shapes = BTreeSet::new();
    for attack in &fleet.attacks {
        shapes.insert(attack.shape);
        let pairs = fleet.functions[attack.function].pairs.iter().map(|&p| &fleet.place.pairs[p]);
        let own: Vec<usize> = pairs.flat_map(|p| p.interfaces.clone()).collect();
        for d in &attack.destinations {
            let last = own.iter().filter_map(|&i| reached.get(&(d.address, d.port, i))).max();
            assert!(last.is_some_and(|&t| t >= attack.start), "{} {}", attack.shape.letter(), d.address);
        }
        assert!(attack.start >= fleet.span.start + 8 * DAY, "warm-up is left alone");
    }
    assert_eq!(shapes.len(), detector::drill::letters::Shape::ALL.len(), "{shapes:?}");
}

#[test]
fn records_lie_in_the_object_of_their_end_or_a_later_one() {
    let fleet = random_fleet(&FleetOptions { shapes: "none".to_owned(), days: 3, ..options(3) }).unwrap();
    let mut outbox = Outbox::new(Granularity::FiveMinutes, 1);
    let all = records(&fleet, 60);
    let n = all.len();
    outbox.add(all);
    let (mut n_late, mut n_seen) = (0, 0);
    for (start, records) in outbox.take(Secs::MAX) {
        for record in records {
            n_seen += 1;
            assert!(record.end < start + Granularity::FiveMinutes.secs());
            n_late += usize::from(record.end < start);
            assert!(record.end > start - 46 * 60);
        }
    }
    assert_eq!(n_seen, n);
    assert!(n_late > 0 && n_late < n / 100, "{n_late} of {n}");
}

#[test]
fn connections_have_both_directions_and_open_once() {
    let fleet = random_fleet(&FleetOptions { days: 2, shapes: "none".to_owned(), ..options(4) }).unwrap();
    for interval_secs in [60, 600] {
        // Per interface, 5-tuple as the function sees it: its records out and in.
        let mut connections: BTreeMap<_, (Vec<Record>, Vec<Record>)> = BTreeMap::new();
        for r in records(&fleet, interval_secs) {
            let ok = r.status == Status::Ok && r.protocol == TCP && r.accept;
            if ok && fleet.place.interfaces[r.interface as usize].kind == InterfaceKind::Lambda {
                let key = if r.egress { (r.src_port, r.dst, r.dst_port) } else { (r.dst_port, r.src, r.src_port) };
                let entry = connections.entry((r.interface, key)).or_default();
                if r.egress { entry.0.push(r) } else { entry.1.push(r) }
            }
        }
        let (mut one_way, mut odd) = (0, 0);
        for (out, into) in connections.values() {
            one_way += usize::from(into.is_empty());
            let first_opens = out.first().is_some_and(|r| r.tcp_flags & 2 != 0);
            let opens_once = out.iter().filter(|r| r.tcp_flags & 2 != 0).count() == 1;
            odd += usize::from(!first_opens || !opens_once);
            assert!(
                out.iter().all(|r| r.end - r.start <= interval_secs + 60 && r.packets > 0 && r.bytes >= 40 * r.packets)
            );
        }
        let n = connections.len();
        assert!(n > 1_000 && one_way < n / 50, "{one_way} of {n} without an answer");
        // A port used again by a second connection to the same destination opens twice.
        assert!(odd < n / 50, "{odd} of {n} do not open exactly once");
    }
}

#[test]
fn nobody_opens_a_connection_to_a_function_and_is_answered() {
    // A call-out may sweep the functions' subnets; without call-outs no accepted packet enters unasked.
    let fleet =
        random_fleet(&FleetOptions { functions: 40, days: 11, shapes: "none".to_owned(), ..options(1) }).unwrap();
    for r in records(&fleet, 60) {
        let lambda = fleet.place.interfaces[r.interface as usize].kind == InterfaceKind::Lambda;
        let opened = r.protocol == TCP && r.accept && r.tcp_flags & 0x12 == 2;
        assert!(!(lambda && !r.egress && opened), "{r:?}");
    }
    assert!(fleet.place.by_address.values().all(|own| own.len() == 1), "an address is one interface's");
}

#[test]
fn call_outs_fill_no_fleet_that_is_too_short() {
    assert!(random_fleet(&FleetOptions { days: 9, ..options(1) }).is_err());
    assert!(random_fleet(&FleetOptions { shapes: "A,?".to_owned(), ..options(1) }).is_err());
}
