//! A small made-up fleet for tests: what it exchanges, learning it, and a baseline told in names only.

use proptest::prelude::*;

use crate::baselines::Baselines;
use crate::ladder::{Network, from_ip, to_ip};
use crate::newcomer::{Circumstances, Subject};
use crate::observation::Observation;
use crate::window::{WINDOWS_PER_DAY, Window};

/// 2026-03-02, a Monday.
pub(crate) const START: Window = Window(20_514 * WINDOWS_PER_DAY);

/// Days of memory the fleet is learned with.
pub(crate) const MEMORY_DAYS: u32 = 90;

/// How many owners, networks, and prefixes in a network and hosts in a prefix there are.
const N_OWNERS: u8 = 3;
const N_NETWORKS: u8 = 7;
const N_BELOW: u8 = 3;

/// What one owner exchanged with one destination in one window, in names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    pub(crate) window: u32,
    pub(crate) owner: u8,
    /// Network, prefix in it, host in that.
    pub(crate) to: (u8, u8, u8),
    pub(crate) port: u16,
    pub(crate) n_flows: u32,
    pub(crate) bytes: u64,
    pub(crate) ports: (u64, u64),
    /// Whether it comes under a finding.
    pub(crate) is_odd: bool,
}

impl Told {
    pub(crate) fn address(&self) -> u128 {
        let (network, prefix, host) = self.to;
        match network {
            0 => from_ip([10, 0, prefix, host].into()),
            // Behind NAT64, whose blocks are as long as those of IPv4.
            6 => from_ip([0x64, 0xff9b, 0, 0, 0, 0, 203 << 8 | 6, u16::from(prefix) << 8 | u16::from(host)].into()),
            5.. => from_ip([0x2001, 0xdb8, network.into(), prefix.into(), 0, 0, 0, host.into()].into()),
            _ => from_ip([203, network, prefix, host].into()),
        }
    }

    pub(crate) fn network(&self) -> Network {
        let key = format!("AS{}", 64_500 + u32::from(self.to.0));
        Network { label: format!("{key} Example {}", self.to.0).into(), key: key.into() }
    }
}

fn owner_name(owner: u8) -> String {
    format!("arn:aws:lambda:eu-west-1:111122223333:function:f{owner}")
}

/// Gives owners and addresses the numbers that all who begin with this have in common.
pub(crate) fn name_all(baselines: &mut Baselines) {
    for owner in 0..N_OWNERS {
        baselines.owner(&owner_name(owner));
    }
    for to in (0..N_NETWORKS).flat_map(|n| (0..N_BELOW * N_BELOW).map(move |at| (n, at / N_BELOW, at % N_BELOW))) {
        let told = Told { window: 0, owner: 0, to, port: 0, n_flows: 0, bytes: 0, ports: (0, 0), is_odd: false };
        baselines.ladder.peer(told.address(), || told.network());
    }
}

/// Traffic of up to `n_days` days, in order of event time.
pub(crate) fn traffic(n_days: u32, n_rows: usize) -> impl Strategy<Value = Vec<Told>> {
    let when = (0..n_days, prop_oneof![Just(0u32), Just(1), Just(2), Just(143), 0..144u32]);
    let to = (0..N_NETWORKS, 0..N_BELOW, 0..N_BELOW);
    let port = prop_oneof![4 => Just(443u16), 1 => Just(8000), 1 => 1..1024u16];
    let told =
        (when, 0..N_OWNERS, to, port, (1..50u32, 0..5_000_000u64, any::<(u64, u64)>()), prop::bool::weighted(0.1));
    let told = told.prop_map(|((day, window), owner, to, port, (n_flows, bytes, ports), is_odd)| Told {
        window: day * WINDOWS_PER_DAY + window,
        owner,
        to,
        port,
        n_flows,
        bytes,
        ports,
        is_odd,
    });
    prop::collection::vec(told, 0..n_rows).prop_map(|mut told| {
        told.sort();
        told.dedup_by_key(|t| (t.window, t.owner, t.to, t.port));
        told
    })
}

/// What learning does beside learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing.
    Learn,
    /// Follows newcomers, and puts what is odd under a finding.
    Watch,
}

/// Learns traffic as the walk does: window by window, owner by owner, forgetting at the end of each day.
pub(crate) fn learn(into: &mut Baselines, told: &[Told], mode: Mode) {
    for day in told.chunk_by(|a, b| a.window / WINDOWS_PER_DAY == b.window / WINDOWS_PER_DAY) {
        for window in day.chunk_by(|a, b| (a.window, a.owner) == (b.window, b.owner)) {
            learn_window(into, window, mode);
        }
        if let Some(first) = day.first() {
            into.age(Window(START.0 + first.window).day().first_window(), MEMORY_DAYS);
        }
    }
}

fn learn_window(into: &mut Baselines, told: &[Told], mode: Mode) {
    let Some(first) = told.first() else { return };
    let owner = into.owner(&owner_name(first.owner));
    let window = Window(START.0 + first.window);
    let rows: Vec<Observation> = told
        .iter()
        .map(|t| Observation {
            owner,
            peer: into.ladder.peer(t.address(), || t.network()),
            port: t.port,
            protocol: 6,
            window,
            n_flows: t.n_flows,
            bytes_out: t.bytes,
            bytes_in: t.bytes / 3,
            first: window.start(),
            last: window.end(),
            minutes: 1 << (t.n_flows % 10),
            ports_early: t.ports.0,
            ports_late: t.ports.1,
            ..Observation::default()
        })
        .collect();
    if mode == Mode::Watch {
        into.follow(owner, window, &rows, |_, _, _| Circumstances::default());
    }
    for (row, told) in rows.iter().zip(told).filter(|(_, told)| told.is_odd) {
        if let crate::standing::Standing::Watched(subject) = into.standing(owner, row) {
            into.set_finding(owner, subject, u128::from(told.window) + 1);
        }
    }
    into.learn(owner, window, &rows);
}

/// Learns traffic anew.
pub(crate) fn learned(told: &[Told], mode: Mode) -> Baselines {
    let mut baselines = Baselines::default();
    learn(&mut baselines, told, mode);
    baselines
}

/// Everything a baseline knows, in names and addresses, sorted: equal for equal baselines, whatever their numbers.
pub(crate) fn dump(baselines: &Baselines) -> Vec<String> {
    let network = |id: u32| {
        let (key, label) = (baselines.ladder.networks().name(id), baselines.ladder.label(id));
        format!("{key} ({label}, known to {})", baselines.fleet().n_owners_knowing(id))
    };
    let peer = |id: u32| {
        let rungs = baselines.ladder.rungs(id);
        format!("{} {} {}", to_ip(rungs.address), baselines.ladder.prefix(rungs.prefix), network(rungs.network))
    };
    let subject = |subject: Subject| match subject {
        Subject::Network(id) => format!("network {}", network(id)),
        Subject::Service(id, port, protocol) => format!("service {} {port}/{protocol}", network(id)),
        Subject::Prefix(id) => format!("prefix {}", baselines.ladder.prefix(id)),
    };
    let mut lines = vec![format!("from {:?}", baselines.learned_from), format!("accepted {:x?}", baselines.accepted)];
    for (name, baseline) in baselines.iter().filter(|(_, baseline)| !baseline.is_forgotten()) {
        let windows = baseline.active.windows(Window(0), Window(u32::MAX)).filter(|(_, minutes)| *minutes != 0);
        let active: Vec<_> = windows.map(|at| (at, baseline.active.n_flows(at.0))).collect();
        lines.push(format!("active {name} {active:?}"));
        lines.push(format!("owner {name} {:?} {:?}", baseline.known, baseline.volumes));
        lines.push(format!("owner {name} {:?} {:?}", baseline.window_peers, baseline.hours));
        lines.push(format!("owner {name} {:?}", baseline.diary));
        lines.push(format!("owner {name} {:?}", baseline.records));
        lines.push(format!("longest held by {name} {}", baseline.longest_held_secs));
    }
    for (name, of) in baselines.iter() {
        lines.extend(of.networks.iter().map(|(&k, v)| format!("network {name} {} {v:?}", network(k))));
        lines.extend(of.services.iter().map(|(k, v)| format!("service {name} {} {}/{} {v:?}", network(k.0), k.1, k.2)));
        lines.extend(of.prefixes.iter().map(|(&k, v)| {
            format!("prefix {name} {} {} {:?}", baselines.ladder.prefix(k), network(v.network), v.known)
        }));
        lines.extend(of.ports.iter().map(|(k, v)| format!("port {name} {}/{} {v:?}", k.0, k.1)));
        lines.extend(
            of.destinations.iter().map(|(k, v)| format!("destination {name} {} {}/{} {v:?}", peer(k.0), k.1, k.2)),
        );
    }
    for (owner, watched, newcomer) in baselines.watched() {
        let name = baselines.owners.name(owner);
        let mut newcomer = newcomer.open();
        let contacted: Vec<String> = std::mem::take(&mut newcomer.destinations)
            .into_iter()
            .map(|d| format!("{} {:?}", peer(d.peer), crate::newcomer::Contacted { peer: 0, ..d }))
            .collect();
        let held = std::mem::take(&mut newcomer.held);
        lines.push(format!("newcomer {} {newcomer:?} {contacted:?} of {name}", subject(watched)));
        lines.push(format!("held {} {held:?} of {name}", subject(watched)));
    }
    lines.sort();
    lines
}
