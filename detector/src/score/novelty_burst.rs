//! `novelty-burst`: several new destinations within minutes.
//!
//! Why it matters: a loader tries its fallbacks one after the other. What it weighs: how many networks or ports were
//! met for the first time within two minutes, against what the owner's rate of news would bring in an hour (news comes
//! in bunches, so the whole hour's share is granted to two minutes). No more networks than brought news on one past day
//! is no burst: who crawls or is paid by strangers meets them in bunches. On both sides a network counts once, however
//! its addresses rotate, and blocks of services that AWS runs do not count. Of a stranger that was told before, hosts
//! never met count as something new.
//!
//! Statistic: Poisson tail.

use std::borrow::Cow;
use std::collections::BTreeSet;

use baselines::newcomer::{Contacted, Newcomer, Subject};
use baselines::standing::Standing;

use super::oddity::{Oddity, Topic};
use super::tails::poisson_tail_bans;
use super::view::{View, is_all_refused};
use super::{Check, novelty};
use crate::finding::{CheckId, Evidence, Quantity};

/// New destinations that make a burst.
const MIN_NEW: usize = 3;

/// Minutes within which they must be met.
const WITHIN_MINUTES: u32 = 2;

/// The share of a day's news granted to these two minutes: that of an hour, because news comes in bunches.
const SHARE_OF_DAY: f64 = 1.0 / 24.0;

/// The highest chance that a rate is derived from: the rate behind certainty is without end.
const MOST_CHANCE: f64 = 0.9999;

/// Bans at the most.
const MOST_BANS: f64 = 4.0;

/// Bans taken off for taking the fullest two minutes of a window. By judgement: five that do not overlap would be 0.7
/// if any were as likely, but only those that begin with news are looked at.
const TRIALS_BANS: f64 = 0.5;

/// Severity: High, beside that of a poll. A new feature that calls several services at once is rarer than one that
/// calls one.
const SEVERITY: f64 = 7.3;

/// Something reached for the first time.
struct New<'a> {
    /// Minutes since the Unix epoch.
    minute: u32,
    subject: Subject,
    newcomer: &'a Newcomer,
    /// What was reached of it, in the order of contact.
    destinations: Cow<'a, [Contacted]>,
}

impl New<'_> {
    fn first(&self) -> Option<&Contacted> {
        self.destinations.first()
    }
}

/// Addresses never met of strangers that are under a finding: one told before must not hide a burst that it is part of.
fn of_the_told<'a>(view: &'a View<'a>) -> impl Iterator<Item = New<'a>> {
    view.rows().filter_map(|(row, found)| {
        let Standing::Watched(subject @ Subject::Network(network)) = found.standing else { return None };
        let newcomer = view.open.get(subject).filter(|newcomer| newcomer.known.first < view.window)?;
        let is_stranger = view.was_met_ready(newcomer) && !view.is_inside(newcomer) && !view.is_run_by_aws(network);
        let is_new = view.baseline.destination_of(found).is_none();
        (is_stranger && is_new && view.baseline.is_told(subject)).then(|| {
            let minute = (row.first / 60) as u32;
            New { minute, subject, newcomer, destinations: Cow::Owned(vec![Contacted::of(row)]) }
        })
    })
}

/// The check.
pub(super) struct NoveltyBurst;

impl Check for NoveltyBurst {
    fn id(&self) -> CheckId {
        CheckId::NoveltyBurst
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let met_now = view.newcomers().filter(|(subject, newcomer)| {
            !matches!(subject, Subject::Service(..))
                && newcomer.known.first == view.window
                && view.was_met_ready(newcomer)
                && !view.is_inside(newcomer)
        });
        let met_now = met_now.filter_map(|(subject, newcomer)| {
            let minute = *newcomer.contacts.first()?;
            Some(New { minute, subject, newcomer, destinations: Cow::Borrowed(&newcomer.destinations) })
        });
        let mut new: Vec<New<'_>> = met_now.chain(of_the_told(view)).collect();
        // By address, not by subject, whose number says nothing.
        new.sort_by_key(|new| (new.minute, new.first().map(|first| (view.rungs(first.peer).address, first.port))));
        // One lookup answers with several addresses: of one network the first counts.
        let mut networks = BTreeSet::new();
        new.retain(|new| new.first().is_some_and(|first| networks.insert(view.rungs(first.peer).network)));
        let bursts = new.iter().enumerate().map(|(from, New { minute, .. })| {
            let n = new.iter().skip(from).take_while(|other| other.minute - minute < WITHIN_MINUTES).count();
            (n, std::cmp::Reverse(from))
        });
        let Some((n, std::cmp::Reverse(from))) = bursts.max().filter(|(n, _)| *n >= MIN_NEW) else { return Vec::new() };
        let by_prefix_too = |network: u32| !view.is_run_by_aws(network);
        if n <= novelty::most_in_a_day(view.baseline, view.fleet.ladder, view.window.day(), by_prefix_too) {
            return Vec::new();
        }
        let burst: Vec<_> = new.into_iter().skip(from).take(n).collect();
        // A job that pauses finds all its providers at other addresses at once.
        let is_new_network =
            |new: &New<'_>| matches!(new.subject, Subject::Network(_)) && new.newcomer.known.first == view.window;
        if !burst.iter().any(is_new_network) {
            return Vec::new();
        }
        let chance =
            burst.iter().map(|new| novelty::chance(new.subject, &new.newcomer.met, view.prior)).fold(0.0, f64::max);
        // A day with news has at least one; the rate behind a chance p of any is −ln(1 − p).
        let expected = -(1.0 - chance.min(MOST_CHANCE)).ln() * SHARE_OF_DAY;
        let bans = poisson_tail_bans(n, expected).min(MOST_BANS) - TRIALS_BANS;
        let is_refused = burst.iter().all(|new| is_all_refused(new.newcomer));
        vec![Oddity {
            check: if is_refused && view.are_refusals_judged { CheckId::RejectedEgress } else { CheckId::NoveltyBurst },
            topic: Topic::Owner,
            bans,
            severity: SEVERITY,
            evidence: vec![Evidence {
                check: CheckId::NoveltyBurst,
                measure: "new_destinations_in_two_minutes",
                observed: Quantity::Networks(n as f64),
                expected: Quantity::Networks((expected * 1000.0).round() / 1000.0),
                surprise: bans,
                statement: format!(
                    "{n} networks in which this {} {} something new within two minutes; a whole hour brings \
                     {} of them",
                    view.owner_word(),
                    if is_refused { "tried to reach" } else { "reached" },
                    if expected < 0.01 { "less than 0.01".to_owned() } else { format!("{expected:.2}") },
                ),
            }],
            destinations: burst.iter().flat_map(|new| new.destinations.iter().copied()).collect(),
        }]
    }
}
