//! `fan-out`: many addresses on one port (a sweep), or many ports on one address (a scan), mostly inside the VPC.
//!
//! Why it matters: after the call-out comes the look around. What it weighs: addresses or ports never met before, within
//! one window, against the most the function ever met in one. A provider that rotates its addresses is no sweep: on a
//! known port of a known network outside, new addresses that answer do not count.
//!
//! False positives: a health checker, an inventory job; known after their first runs.

use std::collections::{BTreeMap, BTreeSet};

use baselines::baseline::{Found, Standing};
use baselines::ladder::is_private;
use baselines::newcomer::{Contacted, Subject};
use baselines::observation::Observation;

use super::Check;
use super::oddity::{Oddity, Topic};
use super::view::View;
use crate::finding::{CheckId, Evidence, Quantity};

/// New addresses or ports in one window that make a sweep or a scan.
const MIN_NEW: usize = 8;

/// The same where most attempts were refused or brought nothing back: nobody was there.
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
        let n_unanswered = view.rows.iter().filter(|row| is_unanswered(row)).count();
        if !view.is_ready && n_unanswered * 2 < MIN_NEW_LEARNING {
            return Vec::new();
        }
        let new: Vec<&Observation> =
            view.rows().filter(|(row, found)| is_news(view, row, found)).map(|(row, _)| row).collect();
        if new.len() < MIN_NEW_UNANSWERED {
            return Vec::new();
        }
        let mut by_port: BTreeMap<(u16, u8), BTreeSet<u32>> = BTreeMap::new();
        let mut by_peer: BTreeMap<u32, BTreeSet<(u16, u8)>> = BTreeMap::new();
        for row in &new {
            by_port.entry((row.port, row.protocol)).or_default().insert(row.peer);
            by_peer.entry(row.peer).or_default().insert((row.port, row.protocol));
        }
        let sweep = by_port.iter().map(|(port, peers)| (peers.len(), *port)).max();
        let scan = by_peer.iter().map(|(peer, ports)| (ports.len(), *peer)).max();
        let (n, quantity, words, hit): (usize, fn(f64) -> Quantity, String, Vec<&Observation>) = match (sweep, scan) {
            (Some((n_peers, port)), Some((n_ports, _))) if n_peers >= n_ports => (
                n_peers,
                Quantity::Peers,
                format!("{n_peers} addresses never met before on port {}", port.0),
                new.iter().copied().filter(|row| (row.port, row.protocol) == port).collect(),
            ),
            (_, Some((n_ports, peer))) => (
                n_ports,
                Quantity::Ports,
                format!("{n_ports} ports never used before on one address"),
                new.iter().copied().filter(|row| row.peer == peer).collect(),
            ),
            _ => return Vec::new(),
        };
        let unanswered = hit.iter().filter(|row| is_unanswered(row)).count() * 2 >= hit.len();
        let usual = view.baseline.window_peers.max() as usize;
        let least = match (view.is_ready, unanswered) {
            (true, true) => MIN_NEW_UNANSWERED,
            (true, false) => MIN_NEW.max(usual),
            (false, true) => MIN_NEW_LEARNING,
            (false, false) => return Vec::new(),
        };
        if n < least {
            return Vec::new();
        }
        let bans = (BASE_BANS + (n as f64 / least as f64).log2() * DOUBLING_BANS).min(MOST_BANS);
        vec![Oddity {
            check: CheckId::FanOut,
            topic: Topic::Owner,
            bans,
            severity: SEVERITY,
            evidence: vec![Evidence {
                check: CheckId::FanOut,
                measure: "new_targets_in_window",
                observed: quantity(n as f64),
                expected: quantity(0.0),
                surprise: bans,
                statement: format!(
                    "{words} within ten minutes{}; this function's widest window before had {usual} destinations",
                    if unanswered { ", most of them unanswered" } else { "" }
                ),
            }],
            destinations: hit.into_iter().map(Contacted::of).collect(),
        }]
    }
}

/// Nobody was there, or let anything through.
fn is_unanswered(row: &Observation) -> bool {
    row.n_flows == 0 || row.packets_in == 0
}

/// Whether a row counts towards a sweep or a scan. A provider that rotates its addresses answers.
fn is_news(view: &View<'_>, row: &Observation, found: &Found) -> bool {
    if view.baseline.destination_of(found).is_some() {
        return false;
    }
    is_private(view.rungs(row.peer).address)
        || match found.standing {
            Standing::Settled => false,
            Standing::New(Subject::Prefix(_)) | Standing::Watched(Subject::Prefix(_)) => is_unanswered(row),
            Standing::New(_) | Standing::Watched(_) => true,
        }
}
