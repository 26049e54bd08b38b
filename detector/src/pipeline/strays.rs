//! Strays: records dated years from all others.
//!
//! A clock that jumps dates a few records into another year. Taken at their word they would make everything learned
//! look long forgotten, or a function look old. They are counted and left out; a history that really has such a gap
//! goes on after it.

use std::ops::Range;

use baselines::window::Day;

/// Most hours that are strays: what goes on for longer is a history.
const MAX_HOURS: usize = 6;

/// They tell at most one in so many of what is told.
const ONE_IN: usize = 100;

/// Days they lie from the others at least: an old archive and what happened lately may be months apart.
const LEAST_DAYS: u32 = 365;

/// Which of a run's hours are walked, given in order by their days and how much was told of each: all but a few at
/// either end that tell little and lie more than a year, and more than the days of memory, from the others.
pub(super) fn without(hours: &[(Day, usize)], memory_days: u32) -> Range<usize> {
    let is_gap = |after: usize| match (hours.get(after.wrapping_sub(1)), hours.get(after)) {
        (Some((before, _)), Some((day, _))) => day.0 - before.0 > memory_days.max(LEAST_DAYS),
        _ => false,
    };
    let told = |hours: &[(Day, usize)]| hours.iter().map(|(_, told)| told).sum::<usize>();
    let most = told(hours) / ONE_IN;
    let is_little = |range: Range<usize>| hours.get(range).is_some_and(|hours| told(hours) <= most);
    let (n, few) = (hours.len(), 1..=MAX_HOURS.min(hours.len()));
    let from = few.clone().rev().find(|&at| is_gap(at) && is_little(0..at)).unwrap_or(0);
    let until = few.rev().map(|few| n - few).find(|&at| is_gap(at) && is_little(at..n)).unwrap_or(n);
    from..until
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hours of a history of so many days, with more days before and behind, an hour each; each tells the same.
    fn kept(before: &[u32], n_days: u32, behind: &[u32]) -> (usize, usize, usize) {
        let history = (20_000..20_000 + n_days).flat_map(|day| [Day(day); 24]);
        let days = before.iter().map(|&day| Day(day)).chain(history).chain(behind.iter().map(|&day| Day(day)));
        let hours: Vec<_> = days.map(|day| (day, 10)).collect();
        let kept = without(&hours, 90);
        (kept.start, kept.len(), hours.len())
    }

    #[test]
    fn a_few_hours_years_away_are_strays() {
        assert_eq!(kept(&[365], 12, &[31_000]), (1, 288, 290));
        assert_eq!(kept(&[], 28, &[27_000, 31_000]), (0, 672, 674));
    }

    #[test]
    fn what_may_be_a_history_is_none() {
        assert_eq!(kept(&[], 12, &[20_300]), (0, 289, 289), "within a year");
        assert_eq!(kept(&[], 28, &[31_000; 24]), (0, 696, 696), "a whole day after a long pause");
        assert_eq!(kept(&[365], 2, &[31_000]), (0, 50, 50), "of two days nobody knows which is right");
        assert_eq!(kept(&[], 0, &[]), (0, 0, 0));
    }

    #[test]
    fn a_record_among_hundreds_is_a_stray_however_short_the_history() {
        assert_eq!(without(&[(Day(0), 20), (Day(20_000), 9_000), (Day(20_001), 9_000)], 90), 1..3);
        assert_eq!(without(&[(Day(20_000), 18_000), (Day(20_520), 20)], 90), 0..1);
        assert_eq!(without(&[(Day(20_000), 18_000), (Day(20_520), 20)], 600), 0..2, "within the days of memory");
        assert_eq!(without(&[(Day(20_000), 18_000), (Day(20_520), 900)], 90), 0..2, "one in twenty is none");
    }
}
