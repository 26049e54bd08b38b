//! RITA's beacon score, version 5, for the contacts of one function with one address on one day.
//!
//! Four scores of equal weight: symmetry and spread of the intervals, of the bytes, how long and how steadily hours
//! were active, and how flat the day's histogram of 24 hours is.
//!
//! # Source
//! activecm/rita, `analysis/beacons.go` and `default_config.hjson` at commit a3c5150 (2026-01-20), with its default
//! settings. Its further modifiers (prevalence, first seen, threat lists) are left out.

use std::collections::BTreeMap;

use crate::calendar::{DAY, HOUR, Secs};

/// `unique_connection_threshold`.
const MIN_CONNECTIONS: usize = 4;
/// `duration_min_hours_seen`.
const MIN_HOURS: usize = 6;
/// `duration_consistency_ideal_hours_seen`.
const IDEAL_HOURS: f64 = 12.0;
/// `histogram_mode_sensitivity`.
const MODE_SENSITIVITY: f64 = 0.05;
/// `histogram_bimodal_outlier_removal`.
const OUTLIERS: f64 = 1.0;
/// `histogram_bimodal_min_hours_seen`.
const BIMODAL_MIN_HOURS: usize = 11;
/// A spread of quartiles below this, in seconds or bytes, counts as none.
const MIN_QUARTILE_SPREAD: f64 = 10.0;

/// Times and sizes of contacts, in any order.
#[derive(Clone, Debug, Default)]
pub(super) struct Contacts {
    times: Vec<Secs>,
    bytes: Vec<f64>,
}

impl Contacts {
    pub(super) fn push(&mut self, at: Secs, bytes: u64) {
        self.times.push(at);
        self.bytes.push(bytes as f64);
    }

    pub(super) fn first(&self) -> Secs {
        self.times.iter().copied().min().unwrap_or_default()
    }
}

/// The beacon score in [0, 1]; `None` when there are too few contacts.
pub(super) fn score(contacts: &Contacts, midnight: Secs) -> Option<f64> {
    let mut times = contacts.times.clone();
    times.sort_unstable();
    let mut intervals: Vec<f64> =
        times.windows(2).map(|w| (w[1] - w[0]) as f64).filter(|&interval| interval > 0.0).collect();
    intervals.sort_by(f64::total_cmp);
    if times.len() < MIN_CONNECTIONS || intervals.len() < 3 {
        return None;
    }
    let mut bytes = contacts.bytes.clone();
    bytes.sort_by(f64::total_cmp);
    let mut hours = [0_u32; 24];
    for t in &times {
        hours[((t - midnight) / HOUR).clamp(0, 23) as usize] += 1;
    }
    let covered = (times[times.len() - 1] - times[0]) as f64 / DAY as f64;
    Some((steadiness(&intervals) + steadiness(&bytes) + duration(&hours, covered) + flatness(&hours)) / 4.0)
}

/// Mean of the scores of Bowley skewness and of the median absolute deviation, for sorted values.
fn steadiness(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    let (q1, q2, q3) = (median(&sorted[..half]), median(sorted), median(&sorted[sorted.len() - half..]));
    let has_skew = q3 - q1 >= MIN_QUARTILE_SPREAD && q2 > q1 && q2 < q3;
    let skew = if has_skew { (q1 + q3 - 2.0 * q2) / (q3 - q1) } else { 0.0 };
    let mut deviations: Vec<f64> = sorted.iter().map(|v| (v - q2).abs()).collect();
    deviations.sort_by(f64::total_cmp);
    let spread = if q2 >= 1.0 { ((q2 - median(&deviations)) / q2).max(0.0) } else { 1.0 };
    f64::midpoint(1.0 - skew.abs(), spread)
}

fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// How much of the day lies between first and last contact, or how long the longest run of active hours is.
fn duration(hours: &[u32; 24], covered: f64) -> f64 {
    if hours.iter().filter(|&&n| n > 0).count() < MIN_HOURS {
        return 0.0;
    }
    let (mut run, mut longest) = (0_u32, 0_u32);
    // Twice round, because a run may pass midnight.
    for &n in hours.iter().chain(hours) {
        run = if n > 0 { run + 1 } else { 0 };
        longest = longest.max(run.min(24));
    }
    covered.min(1.0).max((f64::from(longest) / IDEAL_HOURS).min(1.0))
}

/// One less the coefficient of variation of the hours, or how many hours have one of two common heights.
fn flatness(hours: &[u32; 24]) -> f64 {
    let mean = f64::from(hours.iter().sum::<u32>()) / 24.0;
    let variance = hours.iter().map(|&n| (f64::from(n) - mean).powi(2)).sum::<f64>() / 24.0;
    let flat = (1.0 - variance.sqrt() / mean.max(f64::MIN_POSITIVE)).max(0.0);
    let active: Vec<u32> = hours.iter().copied().filter(|&n| n > 0).collect();
    if active.len() < BIMODAL_MIN_HOURS {
        return flat;
    }
    let height = (f64::from(active.iter().copied().max().unwrap_or(1)) * MODE_SENSITIVITY).ceil();
    let mut heights: BTreeMap<u64, u32> = BTreeMap::new();
    for n in &active {
        *heights.entry((f64::from(*n) / height) as u64).or_default() += 1;
    }
    let mut counts: Vec<u32> = heights.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let two = f64::from(counts.iter().take(2).sum::<u32>());
    flat.max((two / (active.len() as f64 - OUTLIERS).max(1.0)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    /// `n` contacts; each throw gives the seconds to the next one and its bytes.
    fn contacts(mut throw: impl FnMut() -> (Secs, u64), n: usize) -> Contacts {
        let (mut contacts, mut at) = (Contacts::default(), 0);
        for _ in 0..n {
            let (interval, bytes) = throw();
            contacts.push(at, bytes);
            at += interval;
        }
        contacts
    }

    #[test]
    fn a_clock_scores_full_marks() {
        let score = score(&contacts(|| (600, 500), 144), 0).unwrap();
        assert!(score > 0.99, "{score}");
    }

    #[test]
    fn chance_scores_below_rita_s_own_threshold_for_high() {
        let mut dice = Dice::new(1);
        let by_chance = contacts(|| (dice.exponential(3000.0) as Secs + 1, dice.log_normal(2000.0, 1.0) as u64), 20);
        let score = score(&by_chance, 0).unwrap();
        assert!(score < 0.9, "{score}");
    }

    #[test]
    fn too_few_contacts_have_no_score() {
        assert!(score(&contacts(|| (600, 500), 3), 0).is_none());
        // Four contacts at one moment have no interval.
        assert!(score(&contacts(|| (0, 500), 4), 0).is_none());
    }
}
