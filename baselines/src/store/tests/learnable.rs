//! Whatever can be learned can be stored: random steps of learning, ageing, merging and reloading, over hostile names,
//! addresses, amounts and times.

use proptest::prelude::*;

use super::super::{decode, encode};
use crate::baselines::Baselines;
use crate::ladder::{Network, from_ip};
use crate::newcomer::{Circumstances, Subject};
use crate::observation::Observation;
use crate::standing::Found;
use crate::testing::{START, dump};
use crate::window::{WINDOWS_PER_DAY, Window};

/// The last window records may be of: 9999-12-31, 23:50.
const LAST_WINDOW: u32 = 422_337_167;

/// Addresses of this kind are in one network today and in another tomorrow, as when the list of networks was replaced.
const AMBIGUOUS: u8 = 8;

const OWNERS: [&str; 5] = [
    "arn:aws:lambda:eu-west-1:111122223333:function:f",
    "arn:aws:lambda:eu-west-1:111122223333:function:f,arn:aws:lambda:eu-west-1:111122223333:function:g",
    "eni-0a",
    "größe \u{1f980}\n",
    "",
];

/// One thing that happens to a baseline.
#[derive(Clone, Debug)]
enum Step {
    /// A window is followed and learned, or only learned.
    Learn { owner: usize, window: Window, rows: Vec<Observation>, to: Vec<(u8, u8, u8)>, is_followed: bool },
    /// A destination is met on three days and ages: what is met next below its network is watched by itself.
    Settle { owner: usize, to: (u8, u8, u8) },
    /// A window is noted, as a scan does.
    Note { owner: usize, window: Window },
    /// An owner is named and nothing learned of it.
    Name(usize),
    /// Some newcomer comes under a finding, or is accepted (0).
    Find(usize, u128),
    /// A day ends.
    Age(Window, u32),
    /// The process ends and another one goes on.
    Reload,
}

fn address((kind, prefix, host): (u8, u8, u8)) -> u128 {
    let (prefix16, host16) = (u16::from(prefix), u16::from(host));
    match kind {
        0 => from_ip([10, 0, prefix, host].into()),
        1 => from_ip([0x2001, 0xdb8, prefix16, 0, 0, 0, 0, host16].into()),
        // The edges of the space: unspecified, all ones, beside the IPv4 addresses.
        2 => u128::from(host),
        3 => u128::MAX - u128::from(host),
        4 => (0xfffe << 32 | u128::from(prefix)) + (u128::from(host) << 33),
        AMBIGUOUS => from_ip([255, 255, 255, host].into()),
        _ => from_ip([203, kind, prefix, host].into()),
    }
}

fn network((kind, prefix, _): (u8, u8, u8)) -> Network {
    let key = match kind {
        2 => String::new(),
        3 => "\u{0}\"\u{1f980}".to_owned(),
        4 => "x".repeat(5000),
        // Who owns the address was told otherwise each time.
        AMBIGUOUS => format!("203.0.{prefix}.0/24"),
        _ => format!("AS{kind}"),
    };
    Network { label: format!("{key} Example").into(), key: key.into() }
}

fn window() -> impl Strategy<Value = Window> {
    prop_oneof![
        8 => (0..40u32, 0..WINDOWS_PER_DAY).prop_map(|(day, at)| START.0 + day * WINDOWS_PER_DAY + at),
        4 => (0..6u32).prop_map(|day| START.0 + day * WINDOWS_PER_DAY),
        1 => 0..3u32,
        1 => LAST_WINDOW - 3..=LAST_WINDOW,
        1 => 0..=LAST_WINDOW,
    ]
    .prop_map(Window)
}

fn row(n_kinds: u8) -> impl Strategy<Value = (Observation, (u8, u8, u8))> {
    let amount = || prop_oneof![4 => 0..5_000_000u64, 1 => any::<u64>()];
    let count = || prop_oneof![4 => 0..50u32, 1 => any::<u32>()];
    let port = prop_oneof![Just(443u16), Just(0), any::<u16>()];
    let protocol = prop_oneof![Just(6u8), any::<u8>()];
    let to = (0..n_kinds, 0..3u8, 0..3u8);
    let secs = -1..=i64::from(LAST_WINDOW) * 600 + 599;
    let numbers = (count(), count(), amount(), amount());
    (to, port, protocol, numbers, (0..1024u16, any::<u64>(), any::<u64>()), (secs.clone(), secs)).prop_map(
        |(to, port, protocol, (n_flows, n_rejected, bytes_out, bytes_in), bits, (first, last))| {
            let (minutes, ports_early, ports_late) = bits;
            let row = Observation {
                port,
                protocol,
                n_flows,
                n_rejected,
                bytes_out,
                bytes_in,
                first,
                last,
                minutes,
                ports_early,
                ports_late,
                ..Observation::default()
            };
            (row, to)
        },
    )
}

fn step(n_kinds: u8) -> impl Strategy<Value = Step> {
    let learn = (0..OWNERS.len(), window(), prop::collection::vec(row(n_kinds), 1..5), prop::bool::weighted(0.9));
    let learn = learn.prop_map(|(owner, window, rows, is_followed)| {
        let (rows, to) = rows.into_iter().map(|(row, to)| (Observation { window, ..row }, to)).unzip();
        Step::Learn { owner, window, rows, to, is_followed }
    });
    prop_oneof![
        12 => learn,
        4 => (0..OWNERS.len(), 0..n_kinds).prop_map(|(owner, kind)| Step::Settle { owner, to: (kind, 0, 0) }),
        1 => (0..OWNERS.len(), window()).prop_map(|(owner, window)| Step::Note { owner, window }),
        1 => (0..OWNERS.len()).prop_map(Step::Name),
        2 => (any::<usize>(), prop_oneof![Just(0u128), Just(1), any::<u128>()]).prop_map(|(nth, id)| Step::Find(nth, id)),
        2 => (window(), prop_oneof![0..5u32, Just(90), Just(u32::MAX)]).prop_map(|(now, days)| Step::Age(now, days)),
        2 => Just(Step::Reload),
    ]
}

fn circumstances(owner: usize) -> Circumstances {
    let number = [0.0, -0.0, 0.1 + 0.2, f64::INFINITY, f64::MIN_POSITIVE][owner];
    Circumstances { n_days: 3, n_new: number, exposure: number, port_known: owner == 2, ..Circumstances::default() }
}

/// Newcomers in an order that does not depend on the numbers of a process.
fn newcomers(of: &Baselines) -> Vec<(u32, Subject)> {
    let mut all: Vec<(u32, Subject)> = of.watched().map(|(owner, subject, _)| (owner, subject)).collect();
    all.sort_by_cached_key(|&(owner, subject)| {
        let words = match subject {
            Subject::Network(id) => format!("0 {}", of.ladder.networks().name(id)),
            Subject::Service(id, port, protocol) => format!("1 {} {port} {protocol}", of.ladder.networks().name(id)),
            Subject::Prefix(id) => format!("2 {}", of.ladder.prefix(id)),
        };
        (of.owners.name(owner), words)
    });
    all
}

fn take(baselines: &mut Baselines, step: &Step) {
    match step {
        Step::Learn { owner, window, rows, to, is_followed } => {
            let id = baselines.owner(OWNERS[*owner]);
            let numbered = rows.iter().zip(to).map(|(row, &to)| {
                let peer = baselines.ladder.peer(address(to), || network(to));
                Observation { owner: id, peer, ..*row }
            });
            let rows: Vec<Observation> = numbered.collect();
            if *is_followed {
                baselines.follow(id, *window, &rows, |_, _, _| circumstances(*owner));
            }
            baselines.learn(id, *window, &rows);
        }
        Step::Settle { owner, to } => {
            for day in 0..4 {
                let window = Window(START.0 + day * WINDOWS_PER_DAY);
                let rows = vec![Observation { window, port: 443, protocol: 6, ..Observation::default() }];
                take(baselines, &Step::Learn { owner: *owner, window, rows, to: vec![*to], is_followed: true });
                take(baselines, &Step::Age(window, 90));
            }
        }
        Step::Note { owner, window } => {
            let id = baselines.owner(OWNERS[*owner]);
            let (fleet, mut of) = baselines.side_by_side([id]);
            let baseline = of.pop().unwrap();
            let rows: Vec<Observation> = baseline
                .destinations()
                .map(|(&(peer, port, protocol), _)| Observation {
                    owner: id,
                    peer,
                    port,
                    protocol,
                    window: *window,
                    minutes: 1,
                    n_flows: 1,
                    ..Observation::default()
                })
                .collect();
            let found: Vec<Found> = rows.iter().map(|row| baseline.find(fleet.ladder, row)).collect();
            baseline.note_activity(*window, &rows, &found);
        }
        Step::Name(owner) => drop(baselines.owner(OWNERS[*owner])),
        Step::Find(nth, finding) => {
            let all = newcomers(baselines);
            if let Some(&(owner, subject)) = nth.checked_rem(all.len()).and_then(|nth| all.get(nth)) {
                baselines.set_finding(owner, subject, *finding);
            }
        }
        Step::Age(now, days) => baselines.age(*now, *days),
        Step::Reload => *baselines = reloaded(baselines),
    }
}

/// What comes back of a baseline, which must be all of it.
fn reloaded(baselines: &Baselines) -> Baselines {
    let files = encode(baselines).unwrap();
    let back = decode(&files).unwrap_or_else(|error| panic!("what was stored is refused: {error}"));
    assert_eq!(dump(&back), dump(baselines));
    assert!(encode(&back).unwrap() == files, "stored again it is the same bytes");
    back
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whatever_can_be_learned_can_be_stored(steps in prop::collection::vec(step(AMBIGUOUS), 1..30)) {
        let (mut at_once, mut with_stops) = (Baselines::default(), Baselines::default());
        for step in &steps {
            take(&mut with_stops, step);
            if !matches!(step, Step::Reload) {
                take(&mut at_once, step);
            }
        }
        reloaded(&at_once);
        prop_assert_eq!(dump(&with_stops), dump(&at_once), "who reloads learns the same");
    }

    #[test]
    fn whatever_can_be_merged_can_be_stored(
        before in prop::collection::vec(step(AMBIGUOUS + 1), 0..40),
        owners in prop::array::uniform2(0..OWNERS.len()),
        more in prop::collection::vec(step(AMBIGUOUS + 1), 0..10),
    ) {
        let mut baselines = Baselines::default();
        for step in &before {
            take(&mut baselines, step);
        }
        let [heir, donor] = owners.map(|owner| baselines.owner(OWNERS[owner]));
        let past = baselines.baseline(donor).unwrap().clone();
        let networks = baselines.ladder.networks().clone();
        baselines.baseline_mut(heir).unwrap().merge(&past, &networks);
        baselines.recount();
        reloaded(&baselines);
        for step in &more {
            take(&mut baselines, step);
        }
        reloaded(&baselines);
    }
}

/// A column of names is a dictionary, and a row group in which every row lacks the name has none: a deployed learner
/// once could not load what it had saved, when all newcomers were prefixes.
#[test]
fn newcomers_that_are_all_prefixes_are_stored() {
    // An owner has room for some 8000 newcomers, a row group for many more; only the first one's has a network among
    // them.
    for (n_owners, n_networks, n_prefixes) in [(1, 0, 1), (1, 0, 5), (10, 1, 7000)] {
        let mut baselines = Baselines::default();
        for owner in 0..n_owners {
            let n_networks = if owner == 0 { n_networks } else { 0 };
            let owner = baselines.owner(&format!("f{owner}"));
            let meet = |baselines: &mut Baselines, day: u32, address: u32, name: &str| {
                let network = || Network { key: name.into(), label: name.into() };
                let peer = baselines.ladder.peer(from_ip(address.to_be_bytes().into()), network);
                let window = Window(START.0 + day * WINDOWS_PER_DAY);
                let row = Observation { owner, peer, port: 443, protocol: 6, window, ..Observation::default() };
                baselines.follow(owner, window, &[row], |_, _, _| Circumstances::default());
                (window, row)
            };
            // A network settles; of it prefixes are met, and of another an address.
            for day in 0..3 {
                let (window, row) = meet(&mut baselines, day, 0x0b00_0001, "AS1");
                baselines.learn(owner, window, &[row]);
            }
            baselines.age(Window(START.0 + 3 * WINDOWS_PER_DAY), 90);
            for n in 0..n_networks {
                meet(&mut baselines, 3, 0x0c00_0001 + n, "AS2");
            }
            for n in 0..n_prefixes {
                meet(&mut baselines, 3, 0x2d00_0000 + (n << 8), "AS1");
            }
        }
        let prefixes = baselines.watched().filter(|(_, subject, _)| matches!(subject, Subject::Prefix(_))).count();
        assert_eq!(prefixes as u32, n_owners * n_prefixes);
        reloaded(&baselines);
    }
}
