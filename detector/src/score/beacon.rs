//! `beacon`: contact with a newcomer at a regular interval that the function's own rhythm does not explain.
//!
//! Why it matters: an implant polls. What it weighs: how much closer together the intervals between contacts lie than
//! chance would have them, for periods from minutes to hours, with jitter. A function that itself runs at that rhythm,
//! one contact a run, explains it. Being busy does not: a poll in each window of a function that is active in each is a
//! poll.
//!
//! Statistic: how many intervals lie within a share of their median, against the binomial chance of contacts at random
//! (shifted exponential intervals of the same median, or, where contacts are dense, those that are left when near ones
//! are taken for one); the two that fixed the median are not counted. Compare RITA's beacon score (activecm/rita),
//! which measures skew and dispersion of the same intervals over a day, without asking what the host itself does.
//!
//! What is not a poll: a connection that is held gives a record in every aggregation interval;
//! [`super::long_connection`] tells of it.
//!
//! False positives: a scheduled report to a new service; it is told once.

use std::collections::BTreeSet;

use baselines::distribution::Counts;
use baselines::newcomer::{Newcomer, Subject};
use baselines::window::{WINDOW_MINUTES, WINDOW_SECS, Window};

use super::oddity::{Oddity, Topic};
use super::view::{View, is_all_refused};
use super::{Check, novelty};
use crate::amounts::{count, period_words, span_words};
use crate::finding::{CheckId, Evidence, Quantity};

/// Contacts needed: three intervals, so that the third can confirm what two suggest.
const MIN_CONTACTS: usize = 4;

/// Contacts looked at, the latest ones: older rhythm need not be today's.
const MAX_CONTACTS: usize = 32;

/// Minutes within which contacts are one: a poll and its retries.
const ONE_CONTACT_MINUTES: u32 = 2;

/// Shortest period judged by intervals. Below, every minute has contact and rhythm cannot be told from use.
const MIN_PERIOD_MINUTES: f64 = 4.0;

/// The same where flow logs aggregate over ten minutes: what is used all the time has a record in each of them.
const MIN_COARSE_MINUTES: f64 = 15.0;

/// Period from which contacts at random are so far apart that hardly two of them are taken for one.
const SPARSE_PERIOD_MINUTES: f64 = 30.0;

/// Least spread assumed, as a share of the period: capture windows round to the minute.
const SPREAD_FLOOR: f64 = 0.05;

/// Widest spread of a poll: a jitter of ± 35 % of the period has a median distance of 17 % from it.
const MAX_SPREAD: f64 = 0.18;

/// Shares of the period within which intervals are counted.
const WIDTHS: [f64; 3] = [0.08, 0.2, 0.4];

/// Share of the function's own runs with contact above which the function's rhythm explains it, where hardly a run has
/// two and nearly each contact falls into one.
const EXPLAINED_SHARE: f64 = 0.5;
const CONTACTS_PER_RUN: f64 = 1.5;
const IN_RUNS_SHARE: f64 = 0.8;

/// Share of its active windows with contact above which a function may use a new service in all it does: less severe,
/// and of a part of a known network no poll.
const BUSY_SHARE: f64 = 0.5;

/// Share of minutes below which a function rests in most of them, so that its own runs can be told from its pauses.
const RESTING_SHARE: f64 = 0.4;

/// Whole windows of steady contact needed, and records in each: a poll every four minutes, for an hour.
const MIN_STEADY_WINDOWS: usize = 5;
const MIN_STEADY_FLOWS: f64 = 2.5;

/// Least share of connections in the records of a poll: one that lasts from one aggregation interval into the next
/// gives two.
const CONNECTIONS_PER_RECORD: f64 = 0.5;

/// Index of dispersion above which nothing is called steady. Reasoned: a poll a minute, jittered by half of it, stays
/// below 0.2, and calls at random have 1; this lies between.
const MAX_DISPERSION: f64 = 0.4;

/// Least dispersion of a poll that is assumed: windows cut it now before a record, now after.
const LEAST_DISPERSION: f64 = 0.01;

/// The function's own records explain a poll's rhythm if they are at most this many times as dispersed as the poll. A
/// judgement, not a measurement: records of connections that a function keeps open vary by far more than a poll's,
/// those of a schedule by about as much.
const DISPERSED_TIMES: f64 = 4.0;

/// Something is part of the function's runs if it is met at most this many times as often as the function makes records
/// of its own. A judgement: a run that calls two or three others does not call a fourth ten times.
const MOST_OFTENER: f64 = 2.0;

/// Bans taken off for trying three widths and for looking anew at every contact of every newcomer. Reasoned: the widths
/// alone are log10 3 = 0.5; what looking again costs is a judgement, and the sum is round.
const TRIALS_BANS: f64 = 1.0;

/// Bans taken off a prefix of a known network besides: there are many of them, and one will look regular. Chosen on
/// development fleets (see *Where fitted numbers come from* in `docs/detection.md`): it was half as much, until parts
/// of known networks were most of the false alerts on those of the second generator.
const PREFIX_TRIALS_BANS: f64 = 1.2;

/// A window has unusually many records if no more than this share of the network's past windows had as many. Every
/// window with contact is looked at, so the share is divided by their number.
const UNUSUAL_SHARE: f64 = 0.1;

/// Bans a contact can bring at the most: four contacts suggest, a dozen convince.
const BANS_PER_CONTACT: f64 = 0.25;

/// Bans at the most: regular is not yet malicious.
const MOST_BANS: f64 = 3.0;

/// Bans from which a rhythm is spoken of at all: with fewer a reader would not see one.
const MIN_BANS: f64 = 0.3;

/// Severity of a slow poll and of one that is fast for its function, which is as often a new service in steady use; and
/// what is taken off for each ban of familiarity: what many functions know is more often a service that moved.
const SLOW_SEVERITY: f64 = 7.2;
const FAST_SEVERITY: f64 = 6.2;
const FAMILIAR_SEVERITY: f64 = 2.0;

/// The check.
pub(super) struct Beacon;

impl Check for Beacon {
    fn id(&self) -> CheckId {
        CheckId::Beacon
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let newcomers = view.newcomers_that_may_last().filter(|(_, newcomer)| !view.is_inside(newcomer));
        newcomers
            .filter_map(|(subject, newcomer)| {
                let is_part_of_known = matches!(subject, Subject::Prefix(_));
                if is_part_of_known && is_replaced(view, newcomer) {
                    return None;
                }
                let is_none = || {
                    (is_part_of_known && is_busy(view, newcomer))
                        || is_explained(view, newcomer)
                        || is_one_connection(newcomer)
                };
                let is_coarse = view.baseline.records.are_coarse(view.fleet_records);
                let least = if is_coarse { MIN_COARSE_MINUTES } else { MIN_PERIOD_MINUTES };
                let by_interval =
                    rhythm(&newcomer.contacts).filter(|rhythm| rhythm.period_minutes >= least && !is_none());
                let by_count = || {
                    steady(&newcomer.counts)
                        .filter(|steady| !is_held(newcomer, steady) && !is_steady_itself(view, subject, newcomer, steady))
                };
                let rhythm = by_interval.or_else(by_count)?;
                let candidates = if is_part_of_known { PREFIX_TRIALS_BANS } else { 0.0 };
                let severity = if is_busy(view, newcomer) { FAST_SEVERITY } else { rhythm.severity() };
                let bans = (rhythm.bans - candidates).min(rhythm.n_contacts as f64 * BANS_PER_CONTACT).min(MOST_BANS);
                (bans > MIN_BANS).then(|| Oddity {
                    check: CheckId::Beacon,
                    topic: Topic::Newcomer(subject),
                    bans,
                    severity: severity - novelty::familiarity(&newcomer.met) * FAMILIAR_SEVERITY,
                    evidence: vec![Evidence {
                        check: CheckId::Beacon,
                        measure: "interval",
                        observed: Quantity::Secs((rhythm.period_minutes * 60.0).round()),
                        expected: Quantity::Secs(0.0),
                        surprise: bans,
                        statement: format!(
                            "{}, about one every {}, give or take {}{:.0} %; nothing else the {} does explains this rhythm",
                            rhythm.counted_words(newcomer),
                            period_words(rhythm.period_minutes * 60.0),
                            if rhythm.spread > SPREAD_FLOOR { "" } else { "at most " },
                            rhythm.spread * 100.0,
                            view.owner_word(),
                        ),
                    }],
                    destinations: newcomer.destinations.clone(),
                })
            })
            .collect()
    }
}

/// Whether there is contact in most windows that the function is active in: it may be how it uses a new service.
fn is_busy(view: &View<'_>, newcomer: &Newcomer) -> bool {
    let from = newcomer.contacts.first().map_or(newcomer.known.first, |minute| Window::of(i64::from(*minute) * 60));
    let active = view.baseline.active.windows(from, view.window).filter(|&(_, minutes)| minutes != 0);
    let contact_windows: BTreeSet<u32> = newcomer.contacts.iter().map(|minute| minute / WINDOW_MINUTES).collect();
    contact_windows.len() as f64 > active.count().max(1) as f64 * BUSY_SHARE
}

/// Whether the contacts are records of one connection that was held through most of them: not one of them is a poll.
fn is_one_connection(newcomer: &Newcomer) -> bool {
    let [Some(first), Some(last)] = [newcomer.contacts.first(), newcomer.contacts.last()] else { return false };
    let is_held = newcomer.held.is_one_connection();
    is_held && newcomer.held.secs() * 2 > i64::from(last - first) * 60
}

/// Whether the function's own activity explains the contacts: they come once a run of it, or in the minutes it runs in
/// while it rests in most others.
fn is_explained(view: &View<'_>, newcomer: &Newcomer) -> bool {
    let baseline = view.baseline;
    let from = newcomer.contacts.first().map_or(newcomer.known.first, |minute| Window::of(i64::from(*minute) * 60));
    let active = || baseline.active.windows(from, view.window).filter(|&(_, minutes)| minutes != 0);
    let n_active_windows = active().count() as u32;
    let n_active_minutes: u32 = active().map(|(_, minutes)| minutes.count_ones()).sum();
    // The window under judgement is not in the ring yet.
    let past = || newcomer.contacts.iter().copied().filter(|&minute| Window::of(i64::from(minute) * 60) < view.window);
    let minutes = |(window, minutes): (Window, u16)| {
        (0..WINDOW_MINUTES).filter(move |at| minutes >> at & 1 == 1).map(move |at| window.0 * WINDOW_MINUTES + at)
    };
    if is_once_a_run(&spells(past()), &spells(active().flat_map(minutes))) {
        return true;
    }
    let (n_past, n_with_others) = past().fold((0u32, 0u32), |(n, n_with), minute| {
        let around = minute.saturating_sub(1)..=minute + 1;
        let is_active = |minute: u32| {
            let minutes = baseline.active.minutes(Window(minute / WINDOW_MINUTES));
            minutes >> (minute % WINDOW_MINUTES) & 1 == 1
        };
        (n + 1, n_with + u32::from(around.into_iter().any(is_active)))
    });
    let rests = f64::from(n_active_minutes) < f64::from(n_active_windows * WINDOW_MINUTES) * RESTING_SHARE;
    rests && n_past > 0 && f64::from(n_with_others) >= f64::from(n_past) * IN_RUNS_SHARE
}

/// First and last minutes of what goes on without a longer pause than that between a poll and its retries.
fn spells(minutes: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut spells: Vec<(u32, u32)> = Vec::new();
    for minute in minutes {
        match spells.last_mut() {
            Some((_, last)) if minute.saturating_sub(*last) <= ONE_CONTACT_MINUTES => *last = minute,
            _ => spells.push((minute, minute)),
        }
    }
    spells
}

/// Whether contacts come and go with a function's runs, as what it does in each of them would.
fn is_once_a_run(contacts: &[(u32, u32)], runs: &[(u32, u32)]) -> bool {
    let run_of = |&(minute, _): &(u32, u32)| {
        let at = runs.partition_point(|&(_, last)| last + 1 < minute);
        runs.get(at).filter(|&&(first, _)| first <= minute + 1).map(|_| at)
    };
    let in_runs: Vec<usize> = contacts.iter().filter_map(run_of).collect();
    let n_hit = in_runs.iter().collect::<BTreeSet<_>>().len() as f64;
    let (n_in_runs, n_contacts) = (in_runs.len() as f64, contacts.len() as f64);
    n_in_runs >= n_contacts.max(1.0) * IN_RUNS_SHARE
        && n_in_runs <= n_hit * CONTACTS_PER_RUN
        && n_hit > runs.len() as f64 * EXPLAINED_SHARE
}

/// Whether a newcomer inside a known network takes a share of what was always sent there: no more records go to the
/// network in this window than in nearly all before, the fewer of which may have had more the more windows there was
/// contact in. A balancer's new node polled as the old one was is no beacon.
fn is_replaced(view: &View<'_>, newcomer: &Newcomer) -> bool {
    let Some(first) = newcomer.destinations.first() else { return true };
    let network = view.rungs(first.peer).network;
    let Some(service) = view.baseline.service(network, first.port, first.protocol) else { return false };
    let rows = view.rows.iter().filter(|row| {
        (row.port, row.protocol) == (first.port, first.protocol) && view.rungs(row.peer).network == network
    });
    let n_flows: u64 = rows.map(|row| u64::from(row.n_flows)).sum();
    let windows: BTreeSet<u32> = newcomer.contacts.iter().map(|minute| minute / WINDOW_MINUTES).collect();
    is_usual(n_flows, service.volumes.window_flows(), windows.len())
}

/// Whether so many records are usual for a window, of those with contact the one that was looked at last.
fn is_usual(n_flows: u64, past: Counts<'_>, n_windows: usize) -> bool {
    n_flows <= past.value_at(1.0 - UNUSUAL_SHARE / n_windows.max(1) as f64)
}

/// Whether steady records are those of connections that are held: each gives one in every aggregation interval by
/// nature. A poll has a connection, and a local port, for each record or two; what is held has one for all.
fn is_held(newcomer: &Newcomer, steady: &Rhythm) -> bool {
    let records_in_half_window = f64::from(WINDOW_MINUTES) / steady.period_minutes / 2.0;
    newcomer.held.n_connections() < records_in_half_window * CONNECTIONS_PER_RECORD
}

/// Whether the function's own flow records in the same windows are as steady: then steadiness is its own.
fn is_steady_itself(view: &View<'_>, subject: Subject, newcomer: &Newcomer, poll: &Rhythm) -> bool {
    let active = &view.baseline.active;
    let own: Vec<(Window, u32)> = newcomer.counts.iter().map(|&(window, _)| (window, active.n_flows(window))).collect();
    // Part of a known network is asked as steadily as that is.
    let times = if matches!(subject, Subject::Prefix(_)) { f64::INFINITY } else { DISPERSED_TIMES };
    lends_rhythm(&own, poll, times)
}

/// Whether a function with so many records of its own may be what is steady in a poll: they are steady, no more than so
/// many times as dispersed, and not far fewer. Connections that it holds make a steady number of records, but a poll's
/// is steadier by far; a run that calls two or three others does not call a fourth ten times.
fn lends_rhythm(own: &[(Window, u32)], poll: &Rhythm, times: f64) -> bool {
    // A function that hardly spoke in those windows has no rhythm to lend.
    steady(own).is_some_and(|own| {
        let is_frequent = own.period_minutes <= poll.period_minutes * MOST_OFTENER || times.is_infinite();
        is_frequent && own.bans > 0.0 && own.dispersion() <= poll.dispersion().max(LEAST_DISPERSION) * times
    })
}

/// The rhythm of a poll too fast for intervals: as many records in each window, varying far less than calls at random
/// would. `counts`: records sent by window, in order; the first and the last, which may be cut, are left out.
///
/// Statistic: the index of dispersion, Σ (n − mean)² / mean, against χ² of as many degrees of freedom less one; the
/// lower tail by the Wilson-Hilferty approximation. Reference: Cox & Lewis (1966), "The statistical analysis of series
/// of events", 6.3.
fn steady(counts: &[(Window, u32)]) -> Option<Rhythm> {
    let mut run = 1;
    for pair in counts.windows(2).rev() {
        let [(before, _), (after, _)] = pair else { break };
        if after.0 != before.0 + 1 {
            break;
        }
        run += 1;
    }
    let inner = counts.get(counts.len().saturating_sub(run) + 1..counts.len().saturating_sub(1))?;
    if inner.len() < MIN_STEADY_WINDOWS {
        return None;
    }
    let n = inner.len() as f64;
    let mean = inner.iter().map(|&(_, count)| f64::from(count)).sum::<f64>() / n;
    if mean < MIN_STEADY_FLOWS {
        return None;
    }
    let dispersion = inner.iter().map(|&(_, count)| (f64::from(count) - mean).powi(2)).sum::<f64>() / mean;
    let freedom = n - 1.0;
    if dispersion / freedom > MAX_DISPERSION {
        return None;
    }
    let z = ((dispersion / freedom).cbrt() - (1.0 - 2.0 / (9.0 * freedom))) / (2.0 / (9.0 * freedom)).sqrt();
    let bans = normal_lower_tail_bans(z) - TRIALS_BANS;
    let period_minutes = f64::from(WINDOW_MINUTES) / mean;
    Some(Rhythm {
        n_contacts: inner.iter().map(|&(_, count)| count as usize).sum(),
        period_minutes,
        spread: (dispersion / (freedom * mean)).sqrt(),
        bans,
        of: Counted::Records { n_windows: inner.len() },
    })
}

/// −log10 of the chance that a standard normal value is at most z, for z below 0; 0 above.
///
/// Source: Abramowitz & Stegun 26.2.17, off by less than 7.5 · 10⁻⁸. At four bans, as many as count, that is less than
/// a thousandth of the chance.
fn normal_lower_tail_bans(z: f64) -> f64 {
    if z >= 0.0 {
        return 0.0;
    }
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let t = 1.0 / (1.0 + 0.231_641_9 * -z);
    let series =
        t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    -(density * series).max(1e-30).log10()
}

/// A regular interval.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rhythm {
    n_contacts: usize,
    period_minutes: f64,
    /// Median distance of the intervals from the period, as a share of it.
    spread: f64,
    bans: f64,
    /// What was counted.
    of: Counted,
}

/// What a rhythm was found in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Counted {
    /// Contacts, each of one or several minutes; whether earlier ones were left out.
    Contacts { are_latest: bool },
    /// Flow records of windows, too many to tell contacts apart.
    Records { n_windows: usize },
}

impl Rhythm {
    /// The index of dispersion of records in windows.
    fn dispersion(&self) -> f64 {
        self.spread.powi(2) * f64::from(WINDOW_MINUTES) / self.period_minutes
    }

    /// What was counted, in words.
    fn counted_words(&self, newcomer: &Newcomer) -> String {
        let n = self.n_contacts;
        match self.of {
            Counted::Records { n_windows } => {
                format!("{} in {}", count(n as u64, "flow record"), span_words(n_windows as i64 * WINDOW_SECS))
            }
            Counted::Contacts { are_latest } => {
                // Minutes of earlier windows may not have been kept at all.
                let is_cut =
                    newcomer.contacts.first().is_some_and(|&minute| minute / WINDOW_MINUTES > newcomer.known.first.0);
                let latest = if are_latest || is_cut { "the last " } else { "" };
                let what = if is_all_refused(newcomer) { "refused attempts" } else { "contacts" };
                format!("{latest}{n} {what}")
            }
        }
    }

    fn severity(&self) -> f64 {
        if self.period_minutes < MIN_PERIOD_MINUTES { FAST_SEVERITY } else { SLOW_SEVERITY }
    }
}

/// The rhythm of contacts given in minutes, sorted; `None` when there are too few or they are too close.
fn rhythm(contacts: &[u32]) -> Option<Rhythm> {
    let starts: Vec<u32> = spells(contacts.iter().copied()).into_iter().map(|(first, _)| first).collect();
    let are_latest = starts.len() > MAX_CONTACTS;
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
    if spread > MAX_SPREAD {
        return None;
    }
    let merged = (period_minutes < SPARSE_PERIOD_MINUTES)
        .then(|| intervals_at_random(share_of_minutes(contacts, starts), (period_minutes * 1.5) as usize));
    // Two intervals were spent on finding the period and its spread; three widths were tried.
    let n_free = intervals.len() - 1;
    let bans = WIDTHS
        .iter()
        .map(|&width| {
            let n_within = off.iter().filter(|&&off| off <= width).count();
            let chance = chance_within(period_minutes, width, merged.as_deref().unwrap_or_default());
            binomial_tail_bans(n_free, n_within.saturating_sub(1), chance)
        })
        .fold(0.0, f64::max)
        - TRIALS_BANS;
    Some(Rhythm { n_contacts: starts.len(), period_minutes, spread, bans, of: Counted::Contacts { are_latest } })
}

/// The chance that an interval of contacts at random lies within a share of their median: the larger one of two models.
///
/// When none can be shorter than [`ONE_CONTACT_MINUTES`], it is that of a shifted exponential with that median. Where
/// contacts are dense, what is taken for one contact makes intervals more alike: see [`intervals_at_random`].
fn chance_within(median: f64, width: f64, merged: &[f64]) -> f64 {
    let least = f64::from(ONE_CONTACT_MINUTES);
    let below = |minutes: f64| 1.0 - 0.5f64.powf((minutes - least).max(0.0) / (median - least).max(0.5));
    let of_exponential = below(median * (1.0 + width)) - below(median * (1.0 - width));
    let lengths = (0..).map(f64::from).zip(merged);
    let of_merged = lengths.filter(|(minutes, _)| (minutes - median).abs() <= median * width).map(|(_, chance)| chance);
    of_exponential.max(of_merged.sum())
}

/// The share of minutes with contact, from the first start to the last.
fn share_of_minutes(contacts: &[u32], starts: &[u32]) -> f64 {
    let [Some(&first), Some(&last)] = [starts.first(), starts.last()] else { return 0.0 };
    let n_with_contact = contacts.iter().filter(|&&minute| (first..last).contains(&minute)).count();
    n_with_contact as f64 / f64::from((last - first).max(1))
}

/// The chances of the intervals between contacts at random, by their length in minutes, when a share of all minutes has
/// contact: what goes on without a longer pause than [`ONE_CONTACT_MINUTES`] is one contact, and an interval is as long
/// as that and the pause after it.
fn intervals_at_random(share: f64, most: usize) -> Vec<f64> {
    // A next minute with contact after so many minutes.
    let next = |minutes: usize| (1.0 - share).powi(minutes as i32 - 1) * share;
    let least = ONE_CONTACT_MINUTES as usize;
    // That a contact has another minute, so many after its first.
    let mut goes_on = vec![1.0];
    for minutes in 1..=most {
        let before = |gap: usize| minutes.checked_sub(gap).and_then(|at| goes_on.get(at)).copied().unwrap_or(0.0);
        let chance = (1..=least).map(|gap| before(gap) * next(gap)).sum();
        goes_on.push(chance);
    }
    let of_length = |interval: usize| {
        let lasts = goes_on.iter().take(interval.saturating_sub(least)).enumerate();
        lasts.map(|(minutes, chance)| chance * next(interval - minutes)).sum()
    };
    (0..=most).map(of_length).collect()
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
    use baselines::distribution::Distribution;

    #[test]
    fn the_more_windows_are_looked_at_the_rarer_is_what_counts_as_more() {
        let mut past = Distribution::default();
        // One record a window, two in one of thirty, and once three.
        (0..300).for_each(|window| past.record(if window % 30 == 0 { 2 } else { 1 }));
        past.record(3);
        let usual = |n_flows| [1, 10, 32].map(|n_windows| is_usual(n_flows, past.view(), n_windows));
        assert_eq!(usual(1), [true, true, true]);
        assert_eq!(usual(2), [false, true, true], "one of thirty is met in ten");
        assert_eq!(usual(4), [false, false, false], "what was never sent is more");
    }

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
    fn what_was_counted_is_said() {
        let newcomer = |first: u32, contacts: Vec<u32>| {
            let mut newcomer = Newcomer::new(Window(first), baselines::newcomer::Circumstances::default());
            newcomer.contacts = contacts;
            newcomer
        };
        let words = |first: u32, contacts: Vec<u32>| {
            let newcomer = newcomer(first, contacts);
            rhythm(&newcomer.contacts).unwrap().counted_words(&newcomer)
        };
        assert_eq!(words(0, (0..6).map(|n| n * 50).collect()), "6 contacts");
        assert_eq!(words(0, (0..40).map(|n| n * 50).collect()), "the last 32 contacts");
        assert_eq!(words(0, (100..106).map(|n| n * 50).collect()), "the last 6 contacts");
        let counts: Vec<(Window, u32)> = (0..9).map(|n| (Window(n), 13 + n % 2)).collect();
        let refused = Newcomer { n_rejected: 6, ..newcomer(0, (0..6).map(|n| n * 50).collect()) };
        assert_eq!(rhythm(&refused.contacts).unwrap().counted_words(&refused), "6 refused attempts");
        assert_eq!(steady(&counts).unwrap().counted_words(&refused), "95 flow records in 70 minutes");
    }

    #[test]
    fn records_of_a_held_connection_are_no_poll() {
        let newcomer = |ports: fn(u32) -> [u64; 2]| {
            let mut newcomer = Newcomer::new(Window(100), baselines::newcomer::Circumstances::default());
            for window in 100..124 {
                newcomer.counts.push((Window(window), 10));
                let [early, late] = ports(window);
                newcomer.held.extend(Window(window), early, late);
            }
            newcomer
        };
        let is_held = |newcomer: &Newcomer| is_held(newcomer, &steady(&newcomer.counts).unwrap());
        assert!(is_held(&newcomer(|_| [1 << 9; 2])));
        assert!(is_held(&newcomer(|window| [1 << (window / 6); 2])), "opened anew every hour");
        assert!(is_held(&newcomer(|window| if window == 123 { [1, 2] } else { [1; 2] })), "opened anew just now");
        let own = newcomer(|window| [0b1_1111u64.rotate_left(window * 10), 0b1_1111u64.rotate_left(window * 10 + 5)]);
        assert!(!is_held(&own), "each with a connection of its own");
        assert!(!is_held(&newcomer(|_| [0; 2])), "no ports told");
    }

    #[test]
    fn chance_contacts_are_not() {
        let contacts = [0, 12, 80, 85, 160, 290, 300, 420];
        assert!(rhythm(&contacts).is_none_or(|rhythm| rhythm.bans < 0.8), "{:?}", rhythm(&contacts));
    }

    /// A sequence that looks random and is the same each time.
    fn dice(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    #[test]
    fn dense_contacts_at_random_are_seldom_regular_and_dense_polls_are() {
        // The most a day of ten-minute looks at the latest contacts says.
        let most = |contacts: &[u32]| {
            let looks = (1..144).filter_map(|window| {
                let until = contacts.partition_point(|&minute| minute < window * 10);
                rhythm(contacts.get(until.saturating_sub(160)..until)?)
            });
            looks.map(|rhythm| rhythm.bans).fold(0.0, f64::max)
        };
        let n_days = 40;
        for share in [0.1, 0.2, 0.3, 0.4, 0.5] {
            let is_regular = |day: u64| {
                let mut dice = dice(day);
                most(&(0..1440).filter(|_| dice() < share).collect::<Vec<u32>>()) >= 1.6
            };
            let n_regular = (0..n_days).filter(|day| is_regular(*day)).count();
            assert!(n_regular <= 6, "{n_regular} of {n_days} at {share}");
        }
        for period in [5.0, 8.0, 15.0] {
            let mut dice = dice(period as u64);
            let mut at = 0.0;
            let poll = std::iter::repeat_with(|| {
                at += period * (0.75 + 0.5 * dice());
                at as u32
            });
            let poll: Vec<u32> = poll.take_while(|&minute| minute < 1440).collect();
            assert!(most(&poll) >= 3.0, "{period}: {}", most(&poll));
        }
    }

    #[test]
    fn contact_in_every_minute_is_use() {
        let contacts: Vec<u32> = (0..64).collect();
        assert_eq!(rhythm(&contacts), None);
        assert_eq!(rhythm(&[]), None);
    }

    #[test]
    fn a_fast_poll_is_steady_and_use_is_not() {
        let counts = |counts: &[u32]| counts.iter().zip(0..).map(|(&n, w)| (Window(w), n)).collect::<Vec<_>>();
        let poll = steady(&counts(&[4, 10, 10, 9, 10, 11, 10, 10, 3])).unwrap();
        assert!(poll.bans > 1.0, "{poll:?}");
        assert_eq!(steady(&counts(&[4, 7, 14, 9, 10, 16, 6, 10, 3])), None, "calls at random");
        assert_eq!(steady(&counts(&[10; 4])), None);
        assert_eq!(steady(&[]), None);
    }

    #[test]
    fn held_connections_lend_no_rhythm_to_a_poll_a_minute_and_a_schedule_does() {
        let counts = |counts: &[u32]| counts.iter().zip(0..).map(|(&n, w)| (Window(w), n)).collect::<Vec<_>>();
        let poll = steady(&counts(&[3, 10, 10, 10, 11, 10, 10, 10, 10, 10, 11, 4])).unwrap();
        let held = counts(&[8, 11, 13, 12, 13, 12, 14, 13, 10, 12, 13, 9]);
        assert!(steady(&held).is_some_and(|held| held.bans > 0.0));
        assert!(!lends_rhythm(&held, &poll, DISPERSED_TIMES));
        let scheduled = counts(&[8, 20, 20, 20, 20, 20, 21, 20, 20, 20, 20, 9]);
        assert!(lends_rhythm(&scheduled, &poll, DISPERSED_TIMES));
        assert!(!lends_rhythm(&counts(&[0; 12]), &poll, DISPERSED_TIMES), "asleep");
        let seldom = counts(&[4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4]);
        assert!(!lends_rhythm(&seldom, &poll, DISPERSED_TIMES), "ten calls where it makes four");
        let exact = steady(&counts(&[10; 12])).unwrap();
        assert!(lends_rhythm(&scheduled, &exact, DISPERSED_TIMES) && lends_rhythm(&held, &exact, f64::INFINITY));
    }

    #[test]
    fn normal_tails() {
        assert!((normal_lower_tail_bans(-1.6449) - 1.301).abs() < 0.01);
        assert!((normal_lower_tail_bans(-3.0902) - 3.0).abs() < 0.02);
        assert!(normal_lower_tail_bans(0.5).abs() < 1e-9);
    }

    #[test]
    fn binomial_tails() {
        assert!((binomial_tail_bans(1, 1, 0.1) - 1.0).abs() < 1e-9);
        assert!(binomial_tail_bans(5, 0, 0.3).abs() < 1e-9);
    }
}
