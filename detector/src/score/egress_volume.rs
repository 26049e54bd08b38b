//! `egress-volume`: far more bytes out to a known network and port than this function ever sent it, in a window or a day.
//!
//! Why it matters: stolen data that leaves through a provider the function already uses shows in nothing else.
//! What it weighs: by which factor the past's largest window is exceeded, under the past's own tail. A retry storm or a
//! busy hour makes more records of the usual size, so the bytes of one record must be exceeded as well, unless the factor
//! is beyond what load explains.
//!
//! Statistic: beyond the largest of *n* past values the tail is taken as Pareto, P(X > r · max) = r^−α / (n + 1), with
//! Hill's estimate of α from the values above the 90 % quantile. Reference: Hill (1975), "A simple general approach to
//! inference about the tail of a distribution". What the number of windows a week would bring by chance is taken off.

use baselines::distribution::Counts;
use baselines::known::Volumes;
use baselines::newcomer::Contacted;
use baselines::observation::Observation;

use super::Check;
use super::oddity::{Oddity, Topic};
use super::view::{View, bytes_words};
use crate::finding::{CheckId, Evidence, Quantity};

/// Bytes a window, and a day, below which no volume is judged: what leaves in one archive of credentials is less, and is
/// caught by where it goes.
const WINDOW_FLOOR_BYTES: u64 = 256 << 10;
/// The same for DNS, where a lookup is a hundred bytes and a window of them a few kilobytes.
const DNS_FLOOR_BYTES: u64 = 24 << 10;
const DAY_FLOOR_BYTES: u64 = 4 << 20;

/// Past windows and days needed before the largest of them means something.
const MIN_WINDOWS: u64 = 24;
const MIN_DAYS: u64 = 5;

/// Range of α: below 1 a tail has no mean and any factor would be ordinary; above 3 a factor of three would be certainty.
const ALPHA_RANGE: (f64, f64) = (1.0, 3.0);

/// Factor over the largest window from which load alone explains nothing, whatever the size of a record.
const BEYOND_LOAD: f64 = 30.0;

/// Share of the past above which a value belongs to the tail.
const TAIL_QUANTILE: f64 = 0.9;

/// The check.
pub(super) struct EgressVolume;

impl Check for EgressVolume {
    fn id(&self) -> CheckId {
        CheckId::EgressVolume
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let service_of = |row, found| view.baseline.service_id(view.fleet.ladder, row, found);
        let mut sent: Vec<(u32, &Observation)> =
            view.rows().filter_map(|(row, found)| Some((service_of(row, found)?, row))).collect();
        sent.sort_by_key(|(service, _)| *service);
        let mut out = Vec::new();
        for rows in sent.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(service, _)) = rows.first() else { continue };
            let rows = rows.iter().map(|(_, row)| *row);
            let bytes = rows.clone().map(|row| row.bytes_out).fold(0, u64::saturating_add);
            let n_flows: u64 = rows.clone().map(|row| u64::from(row.n_flows)).sum();
            let Some((&(network, port, protocol), service)) = view.baseline.service_at(service) else { continue };
            let volumes = &service.volumes;
            let is_today = volumes.open_day.0 == view.window.day();
            let today = (volumes.open_day.1.bytes_out * u64::from(is_today)).saturating_add(bytes);
            let floor = if port == 53 { DNS_FLOOR_BYTES } else { WINDOW_FLOOR_BYTES };
            let window = window_bans(volumes, bytes, n_flows, floor);
            let day = day_bans(volumes.day_bytes(), today, bytes);
            let Some((bans, span, observed, expected)) = [
                window.map(|bans| (bans, "ten minutes", bytes, volumes.window_bytes().max())),
                day.map(|bans| (bans, "a day", today, volumes.day_bytes().max())),
            ]
            .into_iter()
            .flatten()
            .max_by(|a, b| a.0.total_cmp(&b.0)) else {
                continue;
            };
            let mut destinations: Vec<Contacted> = rows.map(Contacted::of).collect();
            destinations.sort_by_key(|destination| std::cmp::Reverse(destination.bytes_out));
            out.push(Oddity {
                check: CheckId::EgressVolume,
                topic: Topic::Service(network, port, protocol),
                bans,
                severity: if observed > 50 << 20 { 7.0 } else { 6.0 },
                evidence: vec![Evidence {
                    check: CheckId::EgressVolume,
                    measure: if span == "a day" { "bytes_out_day" } else { "bytes_out_window" },
                    observed: Quantity::Bytes(observed as f64),
                    expected: Quantity::Bytes(expected as f64),
                    surprise: bans,
                    statement: format!(
                        "{} sent to {} in {span}; the most in {} {} before was {}",
                        bytes_words(observed),
                        view.network(network),
                        if span == "a day" { volumes.day_bytes().n() } else { volumes.window_bytes().n() },
                        if span == "a day" { "days" } else { "windows of ten minutes" },
                        bytes_words(expected),
                    ),
                }],
                destinations,
            });
        }
        out
    }
}

/// Bans of a window's bytes, less what the windows of a week bring by chance.
fn window_bans(volumes: &Volumes, bytes: u64, n_flows: u64, floor: u64) -> Option<f64> {
    let past = volumes.window_bytes();
    if bytes < floor || past.n() < MIN_WINDOWS || n_flows == 0 {
        return None;
    }
    let ratio = bytes as f64 / past.max().max(1) as f64;
    let flow_ratio = (bytes / n_flows) as f64 / volumes.flow_bytes_out().max().max(1) as f64;
    let ratio = if ratio >= BEYOND_LOAD { ratio } else { ratio.min(flow_ratio) };
    beyond_max(past, ratio, 1008.0)
}

/// Bans of a day's bytes so far; judged by the window that adds to them.
fn day_bans(past: Counts<'_>, today: u64, added: u64) -> Option<f64> {
    if today < DAY_FLOOR_BYTES || past.n() < MIN_DAYS || added == 0 {
        return None;
    }
    beyond_max(past, today as f64 / past.max().max(1) as f64, 7.0)
}

/// Bans of exceeding the largest past value by a factor, less those of `n_trials` tries; `None` when it does not exceed.
fn beyond_max(past: Counts<'_>, ratio: f64, n_trials: f64) -> Option<f64> {
    if ratio <= 1.5 {
        return None;
    }
    let n = past.n() as f64;
    let by_chance = (n_trials / (n + 1.0)).max(1.0).log10();
    Some(alpha(past) * ratio.log10() - by_chance)
}

/// Hill's estimate of the tail index from the values above the 90 % quantile.
fn alpha(past: Counts<'_>) -> f64 {
    let base = past.value_at(TAIL_QUANTILE).max(1) as f64;
    let (n, sum) =
        past.cells().filter(|&(value, _)| value as f64 > base).fold((0.0, 0.0), |(n, sum), (value, count)| {
            (n + count as f64, sum + count as f64 * (value as f64 / base).ln())
        });
    if sum <= 0.0 { ALPHA_RANGE.1 } else { (n / sum).clamp(ALPHA_RANGE.0, ALPHA_RANGE.1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baselines::distribution::Distribution;

    fn past(values: &[u64]) -> Distribution {
        let mut out = Distribution::default();
        for &value in values {
            out.record(value);
        }
        out
    }

    #[test]
    fn a_past_of_equals_has_the_steepest_tail() {
        assert!((alpha(past(&[5000; 100]).view()) - ALPHA_RANGE.1).abs() < 1e-9);
        assert!((alpha(past(&[]).view()) - ALPHA_RANGE.1).abs() < 1e-9);
    }

    #[test]
    fn a_wide_past_has_a_flat_tail() {
        let wide: Vec<u64> = (0..20u32).flat_map(|k| vec![1u64 << k; 10]).collect();
        assert!(alpha(past(&wide).view()) < 2.0);
    }

    #[test]
    fn more_beyond_is_more_surprising() {
        let past = past(&[300_000; 2000]);
        assert_eq!(beyond_max(past.view(), 1.2, 1008.0), None);
        assert!(beyond_max(past.view(), 20.0, 1008.0) > beyond_max(past.view(), 5.0, 1008.0));
    }
}
