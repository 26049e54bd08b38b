//! Strays: records dated years from all others.
//!
//! A clock that jumps dates a few records into another year. Taken at their word they would make everything learned look long
//! forgotten, or a function look old. They are counted and left out; a history that really has such a gap goes on after it.

use std::ops::Range;

use baselines::window::Day;

/// Most hours that are strays: what goes on for longer is a history.
const MAX_HOURS: usize = 6;

/// They are less than one in so many hours.
const ONE_IN: usize = 100;

/// Which of a run's hours, given by their days in order, are walked: all but a few at either end that lie more than the days
/// of memory from the others.
pub(super) fn without(days: &[Day], memory_days: u32) -> Range<usize> {
    let most = (days.len() / ONE_IN).min(MAX_HOURS);
    let is_gap = |after: usize| match (days.get(after.wrapping_sub(1)), days.get(after)) {
        (Some(before), Some(day)) => day.0 - before.0 > memory_days,
        _ => false,
    };
    let from = (1..=most).rev().find(|&at| is_gap(at)).unwrap_or(0);
    let until = (1..=most).rev().map(|n| days.len() - n).find(|&at| is_gap(at)).unwrap_or(days.len());
    from..until
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hours of a history of so many days, with more days before and behind, an hour each.
    fn kept(before: &[u32], n_days: u32, behind: &[u32]) -> (usize, usize, usize) {
        let history = (20_000..20_000 + n_days).flat_map(|day| [Day(day); 24]);
        let days: Vec<Day> =
            before.iter().map(|&day| Day(day)).chain(history).chain(behind.iter().map(|&day| Day(day))).collect();
        let kept = without(&days, 90);
        (kept.start, kept.len(), days.len())
    }

    #[test]
    fn a_few_hours_years_away_are_strays() {
        assert_eq!(kept(&[365], 12, &[31_000]), (1, 288, 290));
        assert_eq!(kept(&[], 28, &[27_000, 31_000]), (0, 672, 674));
    }

    #[test]
    fn what_may_be_a_history_is_none() {
        assert_eq!(kept(&[], 12, &[20_060]), (0, 289, 289), "within the days of memory");
        assert_eq!(kept(&[], 28, &[31_000; 24]), (0, 696, 696), "a whole day after a long pause");
        assert_eq!(kept(&[365], 2, &[31_000]), (0, 50, 50), "of two days nobody knows which is right");
        assert_eq!(kept(&[], 0, &[]), (0, 0, 0));
    }
}
