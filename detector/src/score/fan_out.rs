//! `fan-out`: many addresses on one port (a sweep), or many ports on one address (a scan), mostly inside the VPC.
//!
//! Why it matters: after the call-out comes the look around. What it weighs: addresses or ports never met before,
//! within one window, against the most the function ever met in one. A provider that rotates its addresses is no sweep:
//! on a known port of a known network outside, new addresses that answer do not count.
//!
//! What is too much to be followed one by one ([`super::flood`]) is told here only, with how much it was in all.
//!
//! False positives: a health checker, an inventory job; known after their first runs.

use std::collections::{BTreeMap, BTreeSet};

use baselines::ladder::{is_private, to_ip};
use baselines::newcomer::Contacted;
use baselines::observation::Observation;

use super::Check;
use super::flood::{is_news, is_unanswered, strangers_in_a_day};
use super::oddity::{Oddity, Topic};
use super::view::View;
use crate::amounts::count;
use crate::finding::{CheckId, Evidence, Quantity, port_words};

/// New addresses or ports in one window that make a sweep or a scan.
const MIN_NEW: usize = 8;

/// The same where most attempts were refused or brought nothing back: nobody was there. Outside the VPC more than the
/// networks of any day before.
const MIN_NEW_UNANSWERED: usize = 5;

/// The same while the function is still learning, when much is new.
const MIN_NEW_LEARNING: usize = 24;

/// Bans for the least sweep, and for each doubling.
const BASE_BANS: f64 = 1.8;
const DOUBLING_BANS: f64 = 0.5;
/// Bans at the most.
const MOST_BANS: f64 = 4.0;

/// Severity: High, above all that speak of one stranger: who looks around is inside already.
const SEVERITY: f64 = 7.5;

/// That of a flood: whoever scans the internet attacks others from here.
const FLOOD_SEVERITY: f64 = 8.5;

/// The measure of all that was set apart.
pub(super) const FLOOD_MEASURE: &str = "destinations_not_learned";

/// The check.
pub(super) struct FanOut;

impl Check for FanOut {
    fn id(&self) -> CheckId {
        CheckId::FanOut
    }

    /// A sweep nobody answers is no function's work, however young the function.
    fn judges_learning(&self) -> bool {
        true
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        // Much is new to a young function, and a sweep of one is half unanswered: most windows need no closer look.
        let n_unanswered = view.rows.iter().filter(|row| is_unanswered(row)).count() + view.flood.rows().len();
        if !view.is_ready && n_unanswered * 2 < MIN_NEW_LEARNING {
            return Vec::new();
        }
        let news = view.rows().filter(|(row, found)| is_news(view.fleet, view.baseline, row, found));
        let new: Vec<&Observation> = news.map(|(row, _)| row).chain(view.flood.rows()).collect();
        if new.len() < MIN_NEW_UNANSWERED {
            return Vec::new();
        }
        let Some(widest) = widest(&new, |peer| view.rungs(peer).address) else { return Vec::new() };
        let is_flood = !view.flood.is_empty();
        let Spread { n, quantity, words, rows } = if is_flood { widest.or_all(new) } else { widest };
        let unanswered = is_flood || rows.iter().filter(|row| is_unanswered(row)).count() * 2 >= rows.len();
        let usual = view.baseline.window_peers.max() as usize;
        let strangers = || strangers_in_a_day(view.fleet, view.baseline, view.window.day());
        let is_inside = |row: &&Observation| is_private(view.rungs(row.peer).address);
        let least = match (view.is_ready, unanswered) {
            (true, true) if rows.iter().all(is_inside) => MIN_NEW_UNANSWERED,
            // Of the strangers that a webhook sender meets some are always down.
            (true, true) => MIN_NEW_UNANSWERED.max(strangers() + 1),
            (true, false) => MIN_NEW.max(usual),
            (false, true) => MIN_NEW_LEARNING,
            (false, false) => return Vec::new(),
        };
        // What is set apart is told by nobody else.
        let least = if is_flood { MIN_NEW_UNANSWERED } else { least };
        if n < least {
            return Vec::new();
        }
        let bans = (BASE_BANS + (n as f64 / least as f64).log2() * DOUBLING_BANS).min(MOST_BANS);
        let in_window = Evidence {
            check: CheckId::FanOut,
            measure: "new_targets_in_window",
            observed: quantity(n as f64),
            expected: quantity(0.0),
            surprise: bans,
            statement: format!(
                "{words} within ten minutes{}; this {}'s widest window before had {}",
                if unanswered { ", most of them unanswered" } else { "" },
                view.owner_word(),
                count(usual as u64, "destination"),
            ),
        };
        let in_all = is_flood.then(|| flood_evidence(view.flood.rows().len() as f64, bans));
        vec![Oddity {
            check: CheckId::FanOut,
            topic: Topic::Owner,
            bans,
            severity: if is_flood { FLOOD_SEVERITY } else { SEVERITY },
            evidence: [Some(in_window), in_all].into_iter().flatten().collect(),
            destinations: rows.into_iter().map(Contacted::of).collect(),
        }]
    }
}

/// How much was set apart, in one window or more.
pub(super) fn flood_evidence(n: f64, surprise: f64) -> Evidence {
    Evidence {
        check: CheckId::FanOut,
        measure: FLOOD_MEASURE,
        observed: Quantity::Peers(n),
        expected: Quantity::Peers(0.0),
        surprise,
        statement: format!(
            "{} never met before in all, each counted once in ten minutes; so many are not learned one by one",
            count(n as u64, "destination"),
        ),
    }
}

/// Addresses on one port, or ports on one address, or of a flood both.
struct Spread<'a> {
    n: usize,
    /// What there are so many of.
    quantity: fn(f64) -> Quantity,
    words: String,
    rows: Vec<&'a Observation>,
}

impl<'a> Spread<'a> {
    /// All that is new, where the widest sweep or scan is the lesser part of it.
    fn or_all(self, new: Vec<&'a Observation>) -> Self {
        let n = new.len();
        if self.rows.len() * 2 >= n {
            return self;
        }
        let words = format!("{n} addresses and ports never met before");
        Self { n, quantity: Quantity::Peers, words, rows: new }
    }
}

/// The widest sweep or scan in what is new; of two as wide the sweep.
fn widest<'a>(new: &[&'a Observation], address: impl Fn(u32) -> u128) -> Option<Spread<'a>> {
    let mut by_port: BTreeMap<(u16, u8), BTreeSet<u32>> = BTreeMap::new();
    // By address: which of two was met first says nothing.
    let mut by_peer: BTreeMap<u128, BTreeSet<(u16, u8)>> = BTreeMap::new();
    for row in new {
        by_port.entry((row.port, row.protocol)).or_default().insert(row.peer);
        by_peer.entry(address(row.peer)).or_default().insert((row.port, row.protocol));
    }
    let (n_peers, port) = by_port.iter().map(|(port, peers)| (peers.len(), *port)).max()?;
    let (n_ports, peer) = by_peer.iter().map(|(peer, ports)| (ports.len(), *peer)).max()?;
    let spread = if n_peers >= n_ports {
        Spread {
            n: n_peers,
            quantity: Quantity::Peers,
            words: match port {
                (0, protocol) => format!("{n_peers} addresses never met before, {}", port_words(0, protocol)),
                (port, _) => format!("{n_peers} addresses never met before on port {port}"),
            },
            rows: new.iter().copied().filter(|row| (row.port, row.protocol) == port).collect(),
        }
    } else {
        Spread {
            n: n_ports,
            quantity: Quantity::Ports,
            words: format!("{n_ports} ports never used before on {}", to_ip(peer)),
            rows: new.iter().copied().filter(|row| address(row.peer) == peer).collect(),
        }
    };
    Some(spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of what the widest sweep or scan is, among attempts at so many peers and ports.
    fn counted(targets: &[(u32, u16)]) -> Option<(usize, &'static str)> {
        let row = |&(peer, port): &(u32, u16)| Observation { peer, port, protocol: 6, ..Observation::default() };
        let rows: Vec<Observation> = targets.iter().map(row).collect();
        let widest = widest(&rows.iter().collect::<Vec<_>>(), u128::from)?;
        Some((widest.n, (widest.quantity)(1.0).unit()))
    }

    #[test]
    fn of_two_hosts_that_are_scanned_alike_the_address_decides_which_is_named() {
        let named = |address: fn(u32) -> u128| {
            let row = |(peer, port)| Observation { peer, port, protocol: 6, ..Observation::default() };
            let rows: Vec<Observation> = (0..40).map(|n| row((n % 2, 100 + n as u16 / 2))).collect();
            let spread = widest(&rows.iter().collect::<Vec<_>>(), address).unwrap();
            (spread.n, spread.rows.iter().map(|row| address(row.peer)).collect::<BTreeSet<_>>())
        };
        let by_arrival: fn(u32) -> u128 = |peer| u128::from(peer) + 7;
        let other_way_round: fn(u32) -> u128 = |peer| 8 - u128::from(peer);
        assert_eq!(named(by_arrival), named(other_way_round));
        assert_eq!(named(by_arrival), (20, BTreeSet::from([8])));
    }

    #[test]
    fn a_sweep_counts_addresses_and_a_scan_ports() {
        assert_eq!(counted(&[(1, 22), (2, 22), (3, 22), (3, 80)]), Some((3, "peers")));
        assert_eq!(counted(&[(1, 22), (1, 80), (1, 443), (2, 22)]), Some((3, "ports")));
        assert_eq!(counted(&[(1, 22)]), Some((1, "peers")), "of two as wide the sweep");
        assert_eq!(counted(&[]), None);
    }
}
