//! `long-connection`: one connection to a newcomer held far longer than chance and short connections explain.
//!
//! Why it matters: a miner and a reverse shell hold one connection for hours. What it weighs: the same local port in
//! every half window of hours ([`baselines::newcomer::Held`]), against the chance that other connections reuse its bit.
//! False positives: a stream that is new to the function; it is told once. Inside the VPC connections are pooled and
//! held for days, so none is judged there.

use baselines::newcomer::Newcomer;
use baselines::window::WINDOW_SECS;

use super::Check;
use super::oddity::{Oddity, Topic};
use super::view::View;
use crate::amounts::span_words;
use crate::finding::{CheckId, Evidence, Quantity};

/// Shortest connection worth a word: Lambda freezes idle environments within minutes, and NAT drops idle flows after
/// 350 s.
const MIN_SECS: i64 = 3600;

/// Factor over the longest that was ever held before up to which it is not exceeded.
const EXCEEDS: f64 = 1.5;

/// Bans for the shortest, and for each doubling.
const BASE_BANS: f64 = 0.7;
const DOUBLING_BANS: f64 = 0.3;
/// Bans at the most.
const MOST_BANS: f64 = 2.0;

/// How long a connection is nothing odd, for comparison: one window, as nothing shorter can be told from several.
const USUAL_SECS: f64 = WINDOW_SECS as f64;

/// Severity: that of a slow poll, the other way to stay in touch with a stranger.
const SEVERITY: f64 = 7.2;

/// The check.
pub(super) struct LongConnection;

impl Check for LongConnection {
    fn id(&self) -> CheckId {
        CheckId::LongConnection
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let newcomers = view.newcomers_that_may_last().filter(|(_, newcomer)| !view.is_inside(newcomer));
        let longest = i64::from(view.baseline.longest_held_secs);
        let least = MIN_SECS.max((longest as f64 * EXCEEDS) as i64);
        newcomers
            .map(|(subject, newcomer)| (subject, newcomer, held_secs(newcomer)))
            .filter(|(_, newcomer, secs)| *secs >= least && newcomer.held.is_one_connection())
            .map(|(subject, newcomer, secs)| {
                let bans = (BASE_BANS + (secs as f64 / least as f64).log2() * DOUBLING_BANS).min(MOST_BANS);
                Oddity {
                    check: CheckId::LongConnection,
                    topic: Topic::Newcomer(subject),
                    bans,
                    severity: SEVERITY,
                    evidence: vec![Evidence {
                        check: CheckId::LongConnection,
                        measure: "connection_held",
                        observed: Quantity::Secs(secs as f64),
                        expected: Quantity::Secs(USUAL_SECS.max(longest as f64)),
                        surprise: bans,
                        statement: format!("one connection to it was held for {}{}", span_words(secs), before(longest)),
                    }],
                    destinations: newcomer.destinations.clone(),
                }
            })
            .collect()
    }
}

/// How long the run lasted: what it is told of in are windows, and its first and last record may lie within theirs.
fn held_secs(newcomer: &Newcomer) -> i64 {
    let first = newcomer.destinations.iter().map(|to| to.first).min().unwrap_or(i64::MIN);
    let last = newcomer.destinations.iter().map(|to| to.last).max().unwrap_or(i64::MAX);
    newcomer.held.until.end().min(last) - newcomer.held.since.start().max(first)
}

/// What is known of connections before, in words.
fn before(longest: i64) -> String {
    if longest == 0 {
        String::new()
    } else {
        format!("; to nothing it met before for longer than {}", span_words(longest))
    }
}
