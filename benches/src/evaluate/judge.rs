//! The judge: which call-outs were found, and what every other alert was really about.
//!
//! A call-out is found when an alert names its function and one of its destinations, seen at or after its start. Every
//! alert that names none is false, and is put down to what it was about: a benign oddity, or one of the function's
//! habits.

use std::collections::{BTreeMap, BTreeSet};

use detector::drill::letters::{Form, Shape};

use super::alert::Alert;
use crate::{
    calendar::{DAY, MINUTE, Secs},
    fleet::{Destination, Fleet},
    truth::Attack,
};

/// Warm-up of the detector; alerts within it are counted as any other, its time is not.
const WARM_UP_DAYS: Secs = 7;
/// A record says to the minute when its packets passed.
const SLACK_SECS: Secs = MINUTE;
/// A start or return of a function, or a new interface, explains alerts for so long.
const EVENT_SECS: Secs = 3 * DAY;
/// Kinds of which one explained alert is right, by the first letter.
const ONE_ALLOWED: [&str; 3] = ["N-", "Y-", "Z-"];

/// One call-out and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) shape: Shape,
    /// Seconds from its start to the first contact named, and to the end of the window that raised the alert.
    pub(super) found: Option<(Secs, Secs)>,
    /// The checks that named it.
    pub(super) checks: BTreeSet<String>,
}

/// One alert and whether it was true.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) is_true: bool,
    pub(super) cause: String,
    /// The first about an oddity of which one alert is right.
    pub(super) allowed: bool,
    pub(super) confidence: Option<f64>,
    pub(super) severity: Option<String>,
}

/// All verdicts about one method.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) alerts: Vec<Judged>,
    /// Functions times weeks after warm-up.
    pub(super) function_weeks: f64,
}

impl Verdicts {
    /// Adds the verdicts about another fleet.
    pub(super) fn append(&mut self, other: Self) {
        self.outcomes.extend(other.outcomes);
        self.alerts.extend(other.alerts);
        self.function_weeks += other.function_weeks;
    }
}

/// Judges the alerts about one fleet.
pub(super) fn judge(fleet: &Fleet, alerts: &[Alert]) -> Verdicts {
    let outcomes = fleet.attacks.iter().map(|attack| outcome(attack, alerts)).collect();
    let mut explained: BTreeMap<usize, u32> = BTreeMap::new();
    let mut ordered: Vec<&Alert> = alerts.iter().collect();
    ordered.sort_by_key(|a| a.raised);
    let alerts = ordered
        .into_iter()
        .map(|alert| {
            let is_true = fleet.attacks.iter().any(|a| is_about(a, alert));
            let (cause, oddity) = if is_true { ("call-out".to_owned(), None) } else { cause(fleet, alert) };
            let allowed = oddity.is_some_and(|n| {
                let seen = explained.entry(n).or_default();
                *seen += 1;
                *seen == 1 && ONE_ALLOWED.iter().any(|kind| cause.starts_with(kind))
            });
            Judged { is_true, cause, allowed, confidence: alert.confidence, severity: alert.severity.clone() }
        })
        .collect();
    let days = (fleet.span.end - fleet.span.start) / DAY - WARM_UP_DAYS;
    Verdicts { outcomes, alerts, function_weeks: fleet.functions.len() as f64 * days.max(0) as f64 / 7.0 }
}

fn outcome(attack: &Attack, alerts: &[Alert]) -> Outcome {
    let about: Vec<&Alert> =
        alerts.iter().filter(|a| names(attack, a) && a.last_seen + SLACK_SECS >= attack.start).collect();
    let after = |t: Secs| (t - attack.start).max(0);
    let found = about.iter().map(|a| (after(a.first_seen), after(a.raised))).min_by_key(|&(_, raised)| raised);
    Outcome { shape: attack.shape, found, checks: about.iter().map(|a| a.check.clone()).collect() }
}

/// Whether an alert names a call-out's function and one of its destinations.
fn names(attack: &Attack, alert: &Alert) -> bool {
    let destination = |&(address, _): &_| attack.destinations.iter().any(|d| d.address == address);
    alert.functions.contains(&attack.function) && alert.destinations.iter().any(destination)
}

/// Whether an alert is no false one. A sleeper's probe comes before its call-out and is rightly reported.
fn is_about(attack: &Attack, alert: &Alert) -> bool {
    names(attack, alert) && (attack.shape == Shape::Alone(Form::L) || alert.last_seen + SLACK_SECS >= attack.start)
}

/// What a false alert was about, and the number of the benign oddity, if it was one.
fn cause(fleet: &Fleet, alert: &Alert) -> (String, Option<usize>) {
    let reaches = |n: usize| alert.destinations.iter().any(|&(address, _)| holds(&fleet.destinations[n], address));
    // The most recent oddity that fits; those that name the destination before those that concern the function as a
    // whole.
    let mut fitting: Vec<(bool, Secs, usize)> = fleet
        .benign
        .iter()
        .enumerate()
        .filter(|(_, b)| b.function.is_none_or(|f| alert.functions.contains(&f)))
        .filter(|(_, b)| b.destination.is_none_or(reaches) && (b.function.is_some() || b.destination.is_some()))
        .filter(|(_, b)| {
            let whole_span = b.start <= fleet.span.start;
            let end = if b.destination.is_none() && !whole_span { b.start + EVENT_SECS } else { b.end };
            b.start <= alert.last_seen + SLACK_SECS && alert.first_seen <= end
        })
        .map(|(n, b)| (b.destination.is_some(), b.start, n))
        .collect();
    fitting.sort_unstable();
    let habit = || {
        let calls = alert.functions.iter().flat_map(|&f| &fleet.functions[f].calls);
        calls.map(|c| c.destination).find(|&d| reaches(d)).map(|d| fleet.destinations[d].kind)
    };
    let of_function = |n: usize| (fleet.benign[n].kind.to_owned(), Some(n));
    match (fitting.last(), habit()) {
        (Some(&(true, _, n)), _) => of_function(n),
        (Some(&(false, start, n)), _) if start > fleet.span.start => of_function(n),
        (_, Some(kind)) => (format!("habit {kind:?}"), None),
        (Some(&(_, _, n)), None) => of_function(n),
        (None, None) => ("unexplained".to_owned(), None),
    }
}

fn holds(destination: &Destination, address: std::net::IpAddr) -> bool {
    let homes = destination.homes.iter().map(|(_, home)| home).chain(&destination.home6);
    homes.flat_map(crate::fleet::Addresses::prefixes).any(|p| p.contains(address))
}
