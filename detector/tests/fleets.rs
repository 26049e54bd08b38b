//! Fleets made of observations: random ones, for what must hold of all; and hostile histories, which must neither break
//! the engine nor make it remember without bound.

use std::collections::BTreeMap;
use std::sync::Arc;

use baselines::Baselines;
use baselines::ladder::from_ip;
use baselines::observation::{Collector, Eni, Observation, Observations};
use baselines::store;
use baselines::window::{WINDOWS_PER_DAY, WINDOWS_PER_HOUR, Window};
use detector::config::Config;
use detector::finding::{CheckId, Finding};
use detector::pipeline::{InMemoryScratch, Job, Knowledge, Memory, Mode, walk_observations};
use detector::write::json;
use proptest::prelude::*;

/// 2026-03-02, a Monday.
const START: u32 = 20_514 * WINDOWS_PER_DAY;

/// What one function exchanged with one destination in one window.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// Or [`SHARED`].
    function: u8,
    window: u32,
    to: [u8; 4],
    port: u16,
    bytes_out: u64,
    /// Whether anybody answered.
    is_answered: bool,
}

/// An interface that the first two functions share.
const SHARED: u8 = 9;

impl Told {
    /// An ordinary call.
    fn call(function: u8, window: u32, to: [u8; 4], port: u16) -> Self {
        Self { function, window, to, port, bytes_out: 900, is_answered: true }
    }
}

/// Told as one flow log would.
fn observations(told: &[Told]) -> Observations {
    let mut all = Collector::default();
    let mut rows = Vec::with_capacity(told.len());
    for (number, told) in (1u64..).zip(told) {
        let id: Arc<str> = format!("eni-{}", told.function).into();
        let window = Window(told.window);
        let minute = number % 10;
        let owner = if told.function == SHARED { "eni-0,eni-1" } else { &id };
        rows.push(Observation {
            owner: all.owner(owner),
            eni: all.eni(&Eni { id, ..Eni::default() }),
            peer: all.peer(from_ip(told.to.into()), ""),
            port: told.port,
            protocol: 6,
            window,
            n_flows: 1,
            bytes_out: told.bytes_out,
            packets_in: u64::from(told.is_answered) * 4,
            bytes_in: u64::from(told.is_answered) * 5000,
            first: window.start() + minute as i64 * 60,
            last: window.start() + minute as i64 * 60 + 20,
            minutes: 1 << minute,
            ports_early: u64::from(minute < 5) << (number * 7 % 64),
            ports_late: u64::from(minute >= 5) << (number * 7 % 64),
            digest: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ..Observation::default()
        });
    }
    all.finish(rows)
}

fn walk(sets: &[Observations]) -> (Vec<Finding>, Memory) {
    walk_from(sets, Memory::default())
}

/// The same from where an earlier walk ended.
fn walk_from(sets: &[Observations], memory: Memory) -> (Vec<Finding>, Memory) {
    let config = Config::defaults();
    let knowledge = Knowledge::default();
    let job = Job { config: &config, knowledge: &knowledge, mode: Mode::Replay, span: None, progress: &() };
    let scratch = Box::new(InMemoryScratch::default());
    let sets = sets.iter().map(|set| ("", set));
    let walked = walk_observations(&job, sets, memory, scratch).expect("the scratch holds");
    (walked.findings, walked.memory)
}

fn of(findings: &[Finding], function: u8) -> Vec<&Finding> {
    let id = format!("eni-{function}");
    findings.iter().filter(|finding| finding.owner.eni_ids.iter().any(|eni| **eni == *id)).collect()
}

/// Calls a function makes every so many windows for so many days.
fn habit(function: u8, every: u32, n_days: u32, to: [u8; 4], port: u16) -> Vec<Told> {
    let windows = (0..n_days * WINDOWS_PER_DAY).step_by(every as usize);
    windows.map(|window| Told::call(function, START + window, to, port)).collect()
}

/// A steady function over so many days.
fn steady(function: u8, n_days: u32) -> Vec<Told> {
    let mut told = habit(function, 1, n_days, [198, 51, 100, 7], 443);
    told.extend(habit(function, 1, n_days, [10, 0, 3, 4], 5432));
    told
}

/// An upload to a stranger on a day.
fn upload(function: u8, day: u32, to: [u8; 4]) -> Told {
    Told { bytes_out: 5_000_000, ..Told::call(function, START + day * WINDOWS_PER_DAY + 57, to, 8080) }
}

const STRANGER: [u8; 4] = [203, 0, 113, 77];

/// Functions with habits and a few unusual calls, over twelve days.
fn fleet() -> impl Strategy<Value = Vec<Told>> {
    let habit_of = (1u32..20, 0u8..6, prop::sample::select(vec![443u16, 80, 5432]));
    let habits = prop::collection::vec(prop::collection::vec(habit_of, 1..4), 2..5);
    let event = (0u8..4, 2u32..12, 0u32..144, 0u8..8, prop::sample::select(vec![443u16, 8080]), 0u64..3_000_000);
    (habits, prop::collection::vec(event, 0..8)).prop_map(|(habits, events)| {
        let mut told = Vec::new();
        for (function, habits) in (0u8..).zip(habits) {
            for (every, network, port) in habits {
                told.extend(habit(function, every, 12, [100 + network, 1, function, 9], port));
            }
        }
        told.extend(events.into_iter().map(|(function, day, window, network, port, bytes_out)| Told {
            bytes_out,
            ..Told::call(function, START + day * WINDOWS_PER_DAY + window, [150 + network, 2, 3, 4], port)
        }));
        told
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The same campaign may reach several functions: that one is told must not make another's less strange.
    #[test]
    fn a_call_out_that_is_told_removes_no_finding_elsewhere(
        fleet in fleet(),
        function in 0u8..4,
        day in 8u32..12,
        network in 0u8..8,
    ) {
        let attack = upload(function, day, [150 + network, 2, 3, 5]);
        let attacked: Vec<Told> = fleet.iter().copied().chain([attack]).collect();
        let (before, _) = walk(&[observations(&fleet)]);
        let (after, _) = walk(&[observations(&attacked)]);
        let is_told = of(&after, function).iter().any(|f| f.destinations.iter().any(|d| d.address == std::net::IpAddr::from(attack.to)));
        prop_assume!(is_told);
        for finding in before.iter().filter(|finding| !of(&before, function).contains(finding)) {
            prop_assert!(after.iter().any(|other| other.id == finding.id), "lost: {}", json::render(finding));
        }
    }

    #[test]
    fn files_in_any_order_give_the_same(fleet in fleet(), seed in any::<u64>(), n_files in 1usize..9) {
        let all = observations(&fleet);
        let mut files: Vec<Observations> = vec![Observations { rows: Vec::new(), ..all.clone() }; n_files];
        for (number, row) in (0u64..).zip(&all.rows) {
            let file = (number ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            files[file as usize % n_files].rows.push(*row);
        }
        let at = seed as usize % n_files;
        files.rotate_left(at);
        let ((once, known), (split, split_known)) = (walk(&[all]), walk(&files));
        let lines = |findings: &[Finding]| findings.iter().map(json::render).collect::<Vec<_>>();
        prop_assert_eq!(lines(&once), lines(&split));
        let stored = |baselines: &Baselines| {
            // What it was learned from names the number of objects, which does differ.
            let files = store::encode(baselines).expect("it fits");
            files.into_iter().filter(|(name, _)| name != store::MANIFEST).collect::<Vec<_>>()
        };
        prop_assert!(stored(&known.baselines) == stored(&split_known.baselines));
    }

    /// Whatever the hour between, and whoever comes to share an interface in the midst of a day.
    #[test]
    fn hours_walked_in_two_runs_give_the_same(
        fleet in fleet(),
        shared_from in 9 * WINDOWS_PER_DAY..12 * WINDOWS_PER_DAY,
        stranger_after in 1..60u32,
        function in prop::sample::select(vec![0u8, 1, SHARED]),
        hours_after in 0..12u32,
    ) {
        let shared = (shared_from..12 * WINDOWS_PER_DAY).map(|n| Told::call(SHARED, START + n, [198, 51, 100, 7], 443));
        let stranger = Told::call(function, START + shared_from + stranger_after, STRANGER, 443);
        let all = observations(&[fleet, steady(0, 12), steady(1, 12), shared.collect(), vec![stranger]].concat());
        let cut = (START + shared_from) / WINDOWS_PER_HOUR * WINDOWS_PER_HOUR + hours_after * WINDOWS_PER_HOUR;
        let (before, after) = all.rows.iter().partition(|row| row.window.0 < cut);
        let (first, memory) = walk(&[Observations { rows: before, ..all.clone() }]);
        let stored = store::encode(&memory.stored()).expect("it fits");
        let memory = Memory::loaded(store::decode(&stored).expect("as written")).expect("incidents");
        let (second, _) = walk_from(&[Observations { rows: after, ..all.clone() }], memory);
        let (whole, _) = walk(&[all]);
        let by_id = |findings: &[Finding]| -> BTreeMap<_, _> {
            findings.iter().map(|finding| (finding.id, json::render(finding))).collect()
        };
        let together: BTreeMap<_, _> = by_id(&first).into_iter().chain(by_id(&second)).collect();
        prop_assert_eq!(together, by_id(&whole));
    }
}

#[test]
fn a_campaign_makes_nobody_less_strange() {
    let functions = 0u8..6;
    let habits: Vec<Told> = functions.clone().flat_map(|function| steady(function, 12)).collect();
    let last = upload(5, 11, STRANGER);
    let alone: Vec<Told> = habits.iter().copied().chain([last]).collect();
    let campaign: Vec<Told> = alone.iter().copied().chain((0..5).map(|n| upload(n, 9, STRANGER))).collect();
    let found = |told: &[Told]| {
        let (findings, _) = walk(&[observations(told)]);
        let finding = of(&findings, 5).first().map(|finding| (finding.id, finding.severity, finding.confidence));
        (findings.len(), finding)
    };
    let ((n_alone, alone), (n_campaign, campaign)) = (found(&alone), found(&campaign));
    assert_eq!((n_alone, n_campaign), (1, 6));
    assert_eq!(alone, campaign, "as bad and as sure as if it were the only one");
}

/// Scans that meet more than a function does in its life.
mod floods {
    use super::*;

    /// The day of the scan, and that of what comes after it.
    const SCAN: u32 = 12;
    const AFTER: u32 = 30;
    const N_DAYS: u32 = AFTER + 3;

    /// Where the same attacker calls later: a network the scan met, and another one.
    const SCANNED: [u8; 4] = [60, 30, 0, 9];
    const ANOTHER: [u8; 4] = [203, 7, 0, 9];

    /// Scanned address number so many: each in a network of its own.
    fn target(n: u32) -> [u8; 4] {
        [20 + (n / 250) as u8, (n % 250) as u8, 0, 9]
    }

    /// So many addresses in a day; of so many in a hundred there is an answer.
    fn scan(function: u8, n: u32, n_answered: u32) -> Vec<Told> {
        let window = |n| START + SCAN * WINDOWS_PER_DAY + n % WINDOWS_PER_DAY;
        let call = |n| Told::call(function, window(n), target(n), 443);
        (0..n).map(|n| Told { is_answered: n % 100 < n_answered, bytes_out: 60, ..call(n) }).collect()
    }

    /// A small call and an upload, weeks later.
    fn call_outs(function: u8) -> [Told; 2] {
        let small = Told::call(function, START + AFTER * WINDOWS_PER_DAY + 61, SCANNED, 443);
        [small, upload(function, AFTER + 2, ANOTHER)]
    }

    fn lines(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(json::render).collect()
    }

    /// Shows where two findings differ: a scan's is too long to be read whole.
    fn assert_same(one: Option<&String>, other: &str) {
        let one = one.map_or("none", |one| one);
        let at = one.bytes().zip(other.bytes()).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
        let around = |text: &str| text.get(at.saturating_sub(60)..(at + 60).min(text.len())).map(str::to_owned);
        assert!(one == other, "{:?} is not {:?}", around(one), around(other));
    }

    #[test]
    fn a_scan_is_told_once_in_its_size_and_changes_nothing_of_what_is_told_later() {
        let habits = [steady(0, N_DAYS), steady(1, N_DAYS), call_outs(0).to_vec(), call_outs(1).to_vec()].concat();
        let (without, _) = walk(&[observations(&habits)]);
        assert_eq!(without.len(), 4, "both call-outs of both functions");
        let (with, memory) = walk(&[observations(&[habits, scan(0, 20_000, 5)].concat())]);
        let (scans, later): (Vec<_>, Vec<_>) =
            with.into_iter().partition(|finding| finding.first_seen < Window(START + AFTER * WINDOWS_PER_DAY).start());
        assert_eq!(later.len(), without.len());
        for (later, without) in lines(&later).iter().zip(&lines(&without)) {
            assert_same(Some(later), without);
        }
        let [scan] = &scans[..] else { panic!("{} findings of the scan", scans.len()) };
        let size = scan.evidence.iter().find(|said| said.measure == "destinations_not_learned").expect("its size");
        assert_eq!((scan.check, size.observed.value()), (CheckId::FanOut, 20_000.0), "{}", size.statement);
        let first = Window(START + SCAN * WINDOWS_PER_DAY);
        assert!((first.start()..first.end()).contains(&scan.first_seen), "though not all destinations are kept");
        let (_, known) = memory.baselines.iter().find(|(name, _)| &***name == "eni-0").expect("it was learned");
        assert!(known.destinations().count() < 10 && known.newcomers().count() < 10, "none of it was learned");
    }

    #[test]
    fn a_call_in_the_midst_of_a_scan_is_told_and_known_as_a_newcomer() {
        let call = Told::call(0, START + SCAN * WINDOWS_PER_DAY + 57, ANOTHER, 8080);
        let told = |bytes_out| {
            let call = Told { bytes_out, ..call };
            let (findings, memory) = walk(&[observations(&[steady(0, 14), scan(0, 20_000, 5), vec![call]].concat())]);
            let (_, known) = memory.baselines.iter().next().expect("it was learned");
            let is_named = findings
                .iter()
                .flat_map(|finding| &finding.destinations)
                .any(|to| to.address == std::net::IpAddr::from(ANOTHER) && to.bytes_out == bytes_out);
            (is_named, known.newcomers().count())
        };
        assert_eq!(told(900_000), (true, 1));
        assert_eq!(told(1000), (true, 1), "as little as a handshake sends");
        assert_eq!(told(60).1, 0, "no more than the others");
    }

    #[test]
    fn a_scan_is_told_in_several_runs_as_in_one() {
        for n_answered in [5, 100] {
            let all = [steady(0, N_DAYS), call_outs(0).to_vec(), scan(0, 20_000, n_answered)].concat();
            let all = observations(&all);
            let (whole, _) = walk(std::slice::from_ref(&all));
            let mut memory = Memory::default();
            let mut told = BTreeMap::new();
            for days in [0..SCAN, SCAN..SCAN + 1, SCAN + 1..AFTER, AFTER..N_DAYS] {
                let is_of_days = |row: &&Observation| days.contains(&((row.window.0 - START) / WINDOWS_PER_DAY));
                let rows = all.rows.iter().filter(is_of_days).copied().collect();
                let (findings, after) = walk_from(&[Observations { rows, ..all.clone() }], memory);
                told.extend(findings.iter().map(|finding| (finding.id, json::render(finding))));
                let stored = store::encode(&after.stored()).expect("it fits");
                memory = Memory::loaded(store::decode(&stored).expect("as written")).expect("incidents");
            }
            let whole: BTreeMap<_, _> = whole.iter().map(|finding| (finding.id, json::render(finding))).collect();
            for (id, whole) in &whole {
                assert_same(told.get(id), whole);
            }
            assert_eq!(told.len(), whole.len(), "{n_answered}");
        }
    }

    #[test]
    fn a_scan_that_is_answered_leaves_room_for_strangers_all_the_same() {
        let all = [steady(0, N_DAYS), call_outs(0).to_vec(), scan(0, 40_000, 100)].concat();
        let (findings, memory) = walk(&[observations(&all)]);
        let [_, upload] = call_outs(0);
        let is_told = findings
            .iter()
            .any(|finding| finding.destinations.iter().any(|to| to.address == std::net::IpAddr::from(upload.to)));
        assert!(is_told);
        let (_, known) = memory.baselines.iter().next().expect("it was learned");
        assert!(known.networks().count() <= 2 * (1 << 13), "as many as are watched for, and the hour's");
    }

    #[test]
    fn who_meets_hundreds_of_networks_daily_is_learned_as_ever() {
        // Three hundred customers a day, whose hosts answer but for one in twenty; once a day many in one window.
        let customers = (0..N_DAYS * 300).map(|n| {
            let (day, of_day) = (n / 300, n % 300);
            let n_at_once = if day < 5 { 200 } else { 120 };
            let window = if of_day < n_at_once { 70 } else { of_day % WINDOWS_PER_DAY };
            let call = Told::call(0, START + day * WINDOWS_PER_DAY + window, target(n), 443);
            Told { is_answered: n % 20 > 0, ..call }
        });
        let (findings, memory) = walk(&[observations(&[steady(0, N_DAYS), customers.collect()].concat())]);
        assert!(findings.is_empty(), "{}", findings[0].title);
        let (_, known) = memory.baselines.iter().next().expect("it was learned");
        assert!(known.networks().count() > 5000, "{}", known.networks().count());
    }
}

/// Hostile histories.
mod hostile {
    use super::*;

    /// Newcomers and destinations an owner has room for.
    const MOST_NEWCOMERS: usize = 1 << 13;
    const MOST_DESTINATIONS: usize = 1 << 17;

    /// Sane: a bounded memory that can be stored and read again, and findings a person can read.
    fn check(told: &[Told]) -> Vec<Finding> {
        let (findings, memory) = walk(&[observations(told)]);
        let known = &memory.baselines;
        for (_, known) in known.iter() {
            assert!(known.newcomers().count() <= MOST_NEWCOMERS && known.destinations().count() <= MOST_DESTINATIONS);
            let mut watched = known.newcomers().filter_map(|(subject, _)| known.newcomer(subject));
            assert!(watched.all(|newcomer| newcomer.contacts.len() <= 64 && newcomer.destinations.len() <= 24));
        }
        for finding in &findings {
            assert!(finding.evidence.len() <= 100 && finding.destinations.len() <= 1000, "{}", finding.title);
        }
        let stored = store::encode(known).expect("it fits");
        assert_eq!(store::decode(&stored).expect("as written").n_destinations(), known.n_destinations());
        findings
    }

    fn names(finding: &Finding, to: [u8; 4]) -> bool {
        finding.destinations.iter().any(|destination| destination.address == std::net::IpAddr::from(to))
    }

    #[test]
    fn twenty_thousand_ports_of_one_destination_are_one_finding() {
        for to in [[198, 51, 100, 7], STRANGER] {
            let mut told = steady(0, 10);
            // Spread over three hours: every window is a scan.
            told.extend((1..20_000).map(|port: u16| {
                let window = START + 9 * WINDOWS_PER_DAY + u32::from(port) % 18;
                Told { is_answered: false, bytes_out: 60, ..Told::call(0, window, to, port) }
            }));
            let findings = check(&told);
            let [finding] = &findings[..] else { panic!("{} findings", findings.len()) };
            assert!(finding.evidence.iter().any(|evidence| evidence.check == CheckId::FanOut), "{}", finding.title);
        }
    }

    #[test]
    fn ten_thousand_destinations_leave_room_for_a_stranger() {
        let mut told = steady(0, 12);
        // Five hundred addresses of one network on each of the first days, as a crawler has.
        told.extend((0..10_000u32).map(|n| {
            let window = START + n / 1000 * WINDOWS_PER_DAY + n % 144;
            Told::call(0, window, [20, 1, (n / 250) as u8, (n % 250) as u8], 443)
        }));
        told.push(upload(0, 11, STRANGER));
        assert!(check(&told).iter().any(|finding| names(finding, STRANGER)));
    }

    #[test]
    fn records_years_away_change_nothing() {
        let mut told = steady(0, 12);
        told.push(upload(0, 10, STRANGER));
        let expected: Vec<String> = check(&told).iter().map(json::render).collect();
        assert_eq!(expected.len(), 1);
        let years = 365 * WINDOWS_PER_DAY;
        for window in [7, START - 20 * years, START + 30 * years] {
            told.push(Told::call(0, window, [198, 51, 100, 7], 443));
        }
        let found: Vec<String> = check(&told).iter().map(json::render).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_gap_of_a_week_is_no_news() {
        let week = 7 * WINDOWS_PER_DAY;
        let mut told = steady(0, 22);
        told.retain(|told| !(START + 8 * WINDOWS_PER_DAY..START + 8 * WINDOWS_PER_DAY + week).contains(&told.window));
        assert!(check(&told).is_empty());
        told.push(upload(0, 20, STRANGER));
        assert!(check(&told).iter().any(|finding| names(finding, STRANGER)));
    }

    #[test]
    fn one_record_is_no_history() {
        assert!(check(&[]).is_empty());
        assert!(check(&[upload(0, 0, STRANGER)]).is_empty());
        let mut told = steady(1, 12);
        told.push(upload(0, 10, STRANGER));
        assert!(check(&told).is_empty(), "a function seen once has no past to compare with");
    }
}
