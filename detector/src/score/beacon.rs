//! `beacon`: contact with a newcomer at a regular interval that the function's own rhythm does not explain.
//!
//! Why it matters: an implant polls. What it weighs: how much closer together the intervals between contacts lie than
//! chance would have them, for periods from minutes to hours, with jitter. A function that itself runs at that rhythm
//! explains it; so does a contact in nearly every window the function is active in.
//!
//! Statistic: under contacts at random (exponential intervals) the chance that an interval lies within ±s of the median
//! m is e^−(1−s) − e^−(1+s) times ln 2 scaled; each interval beyond the first two counts once. Compare RITA's beacon score
//! (activecm/rita), which measures skew and dispersion of the same intervals over a day, without asking what the host
//! itself does.
//!
//! False positives: a scheduled report to a new service; it is told once.

use baselines::newcomer::Newcomer;

use super::Check;
use super::new_destination::was_met_ready;
use super::oddity::{Oddity, Topic};
use super::view::{View, span_words};
use crate::finding::{CheckId, Evidence, Quantity};

/// Contacts needed: three intervals, so that the third can confirm what two suggest.
const MIN_CONTACTS: usize = 4;

/// Contacts looked at, the latest ones: older rhythm need not be today's.
const MAX_CONTACTS: usize = 32;

/// Minutes within which contacts are one: a poll and its retries.
const ONE_CONTACT_MINUTES: u32 = 2;

/// Shortest period judged by intervals. Below, every minute has contact and rhythm cannot be told from use.
const MIN_PERIOD_MINUTES: f64 = 4.0;

/// Least spread assumed, as a share of the period: capture windows round to the minute.
const SPREAD_FLOOR: f64 = 0.05;

/// Share of the function's own active windows with contact above which the function's rhythm explains it.
const EXPLAINED_SHARE: f64 = 0.5;

/// Bans at the most: regular is not yet malicious.
const MOST_BANS: f64 = 3.0;

/// The check.
pub(super) struct Beacon;

impl Check for Beacon {
    fn id(&self) -> CheckId {
        CheckId::Beacon
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let newcomers = view.newcomers().filter(|(_, newcomer)| was_met_ready(view, newcomer));
        newcomers
            .filter_map(|(subject, newcomer)| {
                let rhythm = rhythm(&newcomer.contacts)?;
                if is_explained(view, newcomer) {
                    return None;
                }
                let bans = rhythm.bans.min(MOST_BANS);
                (bans > 0.3).then(|| Oddity {
                    check: CheckId::Beacon,
                    topic: Topic::Newcomer(subject),
                    bans,
                    severity: 7.2,
                    evidence: vec![Evidence {
                        check: CheckId::Beacon,
                        measure: "interval",
                        observed: Quantity::Secs((rhythm.period_minutes * 60.0).round()),
                        expected: Quantity::Secs(0.0),
                        surprise: bans,
                        statement: format!(
                            "{} contacts about every {}, give or take {:.0} %; the function itself has no such rhythm",
                            rhythm.n_contacts,
                            span_words((rhythm.period_minutes * 60.0) as i64),
                            rhythm.spread * 100.0
                        ),
                    }],
                    destinations: newcomer.destinations.clone(),
                })
            })
            .collect()
    }
}

/// Whether the function's own activity explains the contacts: it runs no oftener than they come.
fn is_explained(view: &View<'_>, newcomer: &Newcomer) -> bool {
    let Some(baseline) = view.baseline() else { return true };
    let n_active = baseline.active.n_between(newcomer.known.first, view.window).max(1);
    f64::from(newcomer.known.n_windows) / f64::from(n_active) > EXPLAINED_SHARE
}

/// A regular interval.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rhythm {
    n_contacts: usize,
    period_minutes: f64,
    /// Median distance of the intervals from the period, as a share of it.
    spread: f64,
    bans: f64,
}

/// The rhythm of contacts given in minutes, sorted; `None` when there are too few or they are too close.
fn rhythm(contacts: &[u32]) -> Option<Rhythm> {
    let mut starts: Vec<u32> = Vec::with_capacity(contacts.len());
    let mut last = None;
    for &minute in contacts {
        if last.is_none_or(|last: u32| minute - last > ONE_CONTACT_MINUTES) {
            starts.push(minute);
        }
        last = Some(minute);
    }
    let starts = starts.get(starts.len().saturating_sub(MAX_CONTACTS)..)?;
    if starts.len() < MIN_CONTACTS {
        return None;
    }
    let mut intervals: Vec<f64> = starts.windows(2).filter_map(|w| Some(f64::from(w.get(1)? - w.first()?))).collect();
    let period_minutes = median(&mut intervals)?;
    if period_minutes < MIN_PERIOD_MINUTES {
        return None;
    }
    let mut off: Vec<f64> = intervals.iter().map(|i| (i - period_minutes).abs() / period_minutes).collect();
    let spread = median(&mut off)?.max(SPREAD_FLOOR);
    // Twice the median distance holds nearly all of a jittered poll; count those within it against chance.
    let within = (2.0 * spread).min(0.9);
    let n_within = off.iter().filter(|&&o| o <= within).count();
    let rate = std::f64::consts::LN_2;
    let chance = (-rate * (1.0 - within)).exp() - (-rate * (1.0 + within)).exp();
    // Two intervals were spent on finding the period and its spread.
    let n = intervals.len() as f64;
    let bans = binomial_tail_bans(intervals.len() - 1, n_within.saturating_sub(1), chance) - n.log10().max(0.3);
    Some(Rhythm { n_contacts: starts.len(), period_minutes, spread, bans })
}

/// The median; `None` of nothing. Sorts its argument.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(upper, *values.get(middle - 1)?) })
}

/// −log10 of the chance of at least `k` successes in `n` tries.
fn binomial_tail_bans(n: usize, k: usize, chance: f64) -> f64 {
    let (n, k) = (n as i32, k as i32);
    let mut term = 1.0;
    let mut tail = 0.0;
    for i in 0..=n {
        if i > 0 {
            term *= f64::from(n - i + 1) / f64::from(i);
        }
        if i >= k {
            tail += term * chance.powi(i) * (1.0 - chance).powi(n - i);
        }
    }
    -tail.clamp(1e-12, 1.0).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jittered_poll_is_regular() {
        let contacts = [0, 50, 97, 151, 199, 252, 300];
        let rhythm = rhythm(&contacts).unwrap();
        assert!((rhythm.period_minutes - 50.0).abs() < 3.0, "{rhythm:?}");
        assert!(rhythm.bans > 1.5, "{rhythm:?}");
    }

    #[test]
    fn four_contacts_are_enough_to_speak() {
        assert!(rhythm(&[0, 50, 100, 150]).unwrap().bans > 0.5);
        assert_eq!(rhythm(&[0, 50, 100]), None);
    }

    #[test]
    fn chance_contacts_are_not() {
        let contacts = [0, 12, 80, 85, 160, 290, 300, 420];
        assert!(rhythm(&contacts).unwrap().bans < 0.8, "{:?}", rhythm(&contacts));
    }

    #[test]
    fn contact_in_every_minute_is_use() {
        let contacts: Vec<u32> = (0..64).collect();
        assert_eq!(rhythm(&contacts), None);
        assert_eq!(rhythm(&[]), None);
    }

    #[test]
    fn binomial_tails() {
        assert!((binomial_tail_bans(1, 1, 0.1) - 1.0).abs() < 1e-9);
        assert!(binomial_tail_bans(5, 0, 0.3).abs() < 1e-9);
    }
}
