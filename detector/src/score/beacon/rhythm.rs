//! Rhythm: how regular contacts are, by their intervals or, where they are too fast for these, by their number in
//! windows.
//!
//! Where it sits: below the check [`super`], which asks what else may explain it. Knows no view and no baseline.

use baselines::newcomer::Newcomer;
use baselines::window::{WINDOW_MINUTES, WINDOW_SECS, Window};

use crate::amounts::{count, period_words, span_words};
use crate::score::tails::{binomial_tail_bans, normal_lower_tail_bans};
use crate::score::view::is_all_refused;

/// Contacts needed: three intervals, so that the third can confirm what two suggest.
const MIN_CONTACTS: usize = 4;

/// Contacts looked at, the latest ones: older rhythm need not be today's.
const MAX_CONTACTS: usize = 32;

/// Minutes within which contacts are one: a poll and its retries.
pub(super) const ONE_CONTACT_MINUTES: u32 = 2;

/// Minutes of silence after which contacts begin anew: four days, more than a weekend between daily ones.
const SILENCE_MINUTES: u32 = 4 * 24 * 60;

/// Shortest period judged by intervals. Below, every minute has contact and rhythm cannot be told from use.
pub(super) const MIN_PERIOD_MINUTES: f64 = 4.0;

/// Period from which contacts at random are so far apart that hardly two of them are taken for one.
const SPARSE_PERIOD_MINUTES: f64 = 30.0;

/// Least spread assumed, as a share of the period: capture windows round to the minute.
pub(super) const SPREAD_FLOOR: f64 = 0.05;

/// Widest spread of a poll: a jitter of ± 35 % of the period has a median distance of 17 % from it.
const MAX_SPREAD: f64 = 0.18;

/// Shares of the period within which intervals are counted.
const WIDTHS: [f64; 3] = [0.08, 0.2, 0.4];

/// Whole windows of steady contact needed, and records in each: a poll every four minutes, for an hour.
const MIN_STEADY_WINDOWS: usize = 5;
const MIN_STEADY_FLOWS: f64 = 2.5;

/// Index of dispersion above which nothing is called steady. Reasoned: a poll a minute, jittered by half of it, stays
/// below 0.2, and calls at random have 1; this lies between.
const MAX_DISPERSION: f64 = 0.4;

/// Bans taken off for trying three widths and for looking anew at every contact of every newcomer. Reasoned: the widths
/// alone are log10 3 = 0.5; what looking again costs is a judgement, and the sum is round.
const TRIALS_BANS: f64 = 1.0;

/// A regular interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rhythm {
    pub(super) n_contacts: usize,
    pub(super) period_minutes: f64,
    /// Median distance of the intervals from the period, as a share of it.
    pub(super) spread: f64,
    pub(super) bans: f64,
    /// What was counted.
    pub(super) of: Counted,
}

/// What a rhythm was found in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Counted {
    /// Contacts, each of one or several minutes, from this minute on.
    Contacts { since: u32 },
    /// Flow records of windows, too many to tell contacts apart.
    Records { n_windows: usize },
}

impl Rhythm {
    /// The index of dispersion of records in windows.
    pub(super) fn dispersion(&self) -> f64 {
        self.spread.powi(2) * f64::from(WINDOW_MINUTES) / self.period_minutes
    }

    /// What was counted, in words.
    pub(super) fn counted_words(&self, newcomer: &Newcomer) -> String {
        let n = self.n_contacts;
        match self.of {
            Counted::Records { n_windows } => {
                format!("{} in {}", count(n as u64, "flow record"), span_words(n_windows as i64 * WINDOW_SECS))
            }
            Counted::Contacts { since } => {
                // Minutes of earlier windows may not have been kept at all.
                let is_cut = since / WINDOW_MINUTES > newcomer.known.first.0
                    || newcomer.contacts.first().is_some_and(|&minute| minute < since);
                let latest = if is_cut { "the last " } else { "" };
                let what = if is_all_refused(newcomer) { "refused attempts" } else { "contacts" };
                format!("{latest}{n} {what}")
            }
        }
    }

    /// How often, in words: of what the spread is a share of.
    pub(super) fn rate_words(&self) -> String {
        match self.of {
            Counted::Records { .. } => {
                format!("{:.0} every ten minutes", f64::from(WINDOW_MINUTES) / self.period_minutes)
            }
            Counted::Contacts { .. } => format!("one every {}", period_words(self.period_minutes * 60.0)),
        }
    }

    /// Whether it is too fast for intervals.
    pub(super) fn is_fast(&self) -> bool {
        self.period_minutes < MIN_PERIOD_MINUTES
    }
}

/// The contacts since the last silence: what was before it is another rhythm, if it was one.
pub(super) fn since_silence(contacts: &[u32]) -> &[u32] {
    let is_silence = |pair: &[u32]| matches!(pair, [before, after] if after - before >= SILENCE_MINUTES);
    let from = contacts.windows(2).rposition(is_silence).map_or(0, |before| before + 1);
    contacts.get(from..).unwrap_or_default()
}

/// The rhythm of contacts given in minutes, sorted; `None` when there are too few or they are too close.
pub(super) fn rhythm(contacts: &[u32]) -> Option<Rhythm> {
    let starts: Vec<u32> =
        spells(contacts.iter().copied(), ONE_CONTACT_MINUTES).into_iter().map(|(first, _)| first).collect();
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
    let of = Counted::Contacts { since: *starts.first()? };
    Some(Rhythm { n_contacts: starts.len(), period_minutes, spread, bans, of })
}

/// First and last minutes of what goes on with no two minutes further apart than so many.
pub(super) fn spells(minutes: impl Iterator<Item = u32>, apart: u32) -> Vec<(u32, u32)> {
    let mut spells: Vec<(u32, u32)> = Vec::new();
    for minute in minutes {
        match spells.last_mut() {
            Some((_, last)) if minute.saturating_sub(*last) <= apart => *last = minute,
            _ => spells.push((minute, minute)),
        }
    }
    spells
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

/// The rhythm of a poll too fast for intervals: as many records in each window, varying far less than calls at random
/// would. `counts`: records sent by window, in order; the first and the last, which may be cut, are left out.
///
/// Statistic: the index of dispersion, Σ (n − mean)² / mean, against χ² of as many degrees of freedom less one; the
/// lower tail by the Wilson-Hilferty approximation. Reference: Cox & Lewis (1966), "The statistical analysis of series
/// of events", 6.3.
pub(super) fn steady(counts: &[(Window, u32)]) -> Option<Rhythm> {
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
    fn after_a_silence_contacts_begin_anew() {
        let day = 24 * 60;
        assert_eq!(since_silence(&[0, 5, 10, 10 + 4 * day, 15 + 4 * day]), [10 + 4 * day, 15 + 4 * day]);
        assert_eq!(since_silence(&[0, 4 * day, 8 * day, 8 * day + 5]), [8 * day, 8 * day + 5], "the last one");
        assert_eq!(since_silence(&[0, day, 4 * day]), [0, day, 4 * day], "a weekend is none");
        assert_eq!(since_silence(&[7]), [7]);
        assert_eq!(since_silence(&[]), [0; 0]);
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
}
