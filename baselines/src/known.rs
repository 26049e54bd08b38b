//! What is known of one rung of one owner's ladder, and of how much it carries.

use crate::distribution::Counts;
use crate::observation::Observation;
use crate::past::{Measure, Past};
use crate::window::{Day, Window};

/// When something was met: first, last, in how many windows and on how many days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// First window.
    pub first: Window,
    /// Last window.
    pub last: Window,
    /// Windows it was met in.
    pub n_windows: u32,
    /// Days it was met on.
    pub n_days: u32,
}

impl Known {
    /// Met for the first time.
    pub fn new(window: Window) -> Self {
        Self { first: window, last: window, n_windows: 1, n_days: 1 }
    }

    /// Met in a window. Windows come in order of event time; a window told twice counts once, a late one only widens.
    pub fn touch(&mut self, window: Window) {
        if window > self.last {
            self.n_windows = self.n_windows.saturating_add(1);
            self.n_days = self.n_days.saturating_add((window.day() > self.last.day()).into());
            self.last = window;
        } else if window < self.first {
            self.n_windows = self.n_windows.saturating_add(1);
            self.n_days = self.n_days.saturating_add((window.day() < self.first.day()).into());
            self.first = window;
        }
    }

    /// Adds what another learner knew of the same rung. Exact when the two spans follow each other in time, at most
    /// sharing a window. Where they interleave, they may have met it on the same days: it counts what one of them is
    /// sure of.
    pub fn merge(&mut self, other: &Self) {
        let is_early = (self.first, self.last) <= (other.first, other.last);
        let (early, late) = if is_early { (*self, *other) } else { (*other, *self) };
        let shared_windows = u32::from(early.last == late.first);
        let shared_days = u32::from(early.last.day() == late.first.day());
        let (n_windows, n_days) = if late.first < early.last {
            (early.n_windows.max(late.n_windows), early.n_days.max(late.n_days))
        } else {
            let sum = |early: u32, late: u32, shared| early.saturating_add(late).saturating_sub(shared);
            (sum(early.n_windows, late.n_windows, shared_windows), sum(early.n_days, late.n_days, shared_days))
        };
        *self = Self { first: early.first, last: early.last.max(late.last), n_windows, n_days };
    }
}

/// Amounts of one window or day that is still growing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Flow records sent, at most [`u32::MAX`]: there are totals for each port of each network of each function.
    pub n_flows: u32,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Distinct destinations.
    pub n_peers: u32,
}

impl Totals {
    /// Adds other totals of the same span.
    pub fn add(&mut self, other: &Self) {
        self.n_flows = self.n_flows.saturating_add(other.n_flows);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.n_peers = self.n_peers.saturating_add(other.n_peers);
    }
}

/// The day of volumes that saw nothing.
const EMPTY_DAY: (Day, Totals) = (Day(0), Totals { n_flows: 0, bytes_out: 0, bytes_in: 0, n_peers: 0 });

/// Distributions of the totals of past windows and days, with the ones still open.
///
/// A window is counted when a later one begins, so that one told in two parts counts once.
///
/// There is one for each port of each network of each function, so it is kept small: the distributions lie side by side
/// in one piece of memory ([`Past`]), and the first day apart only once there is a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volumes {
    past: Past,
    /// Bytes received a flow record sent, the mean of a past window: the most there were.
    pub most_flow_bytes_in: u64,
    /// The window still growing.
    pub open_window: (Window, Totals),
    /// The day still growing.
    pub open_day: (Day, Totals),
    /// The first day, where it is not the open one.
    first_day: Option<Box<(Day, Totals)>>,
}

impl Volumes {
    /// What was stored of some.
    pub(crate) fn new(
        past: Past,
        most_flow_bytes_in: u64,
        open_window: (Window, Totals),
        open_day: (Day, Totals),
        first_day: (Day, Totals),
    ) -> Self {
        let first_day = (first_day != open_day).then(|| Box::new(first_day));
        Self { past, most_flow_bytes_in, open_window, open_day, first_day }
    }

    /// Bytes sent a window.
    pub fn window_bytes(&self) -> Counts<'_> {
        self.past.of(Measure::WindowBytes)
    }

    /// Flow records sent a window.
    pub fn window_flows(&self) -> Counts<'_> {
        self.past.of(Measure::WindowFlows)
    }

    /// Bytes sent a flow record, the mean of a window.
    pub fn flow_bytes_out(&self) -> Counts<'_> {
        self.past.of(Measure::FlowBytesOut)
    }

    /// Bytes sent a day.
    pub fn day_bytes(&self) -> Counts<'_> {
        self.past.of(Measure::DayBytes)
    }

    /// The first day, of which another learner may have seen the beginning: see [`Volumes::merge`]. The open day while
    /// there was only one.
    pub fn first_day(&self) -> (Day, Totals) {
        self.first_day.as_deref().copied().unwrap_or(self.open_day)
    }

    /// Prefetches the distributions.
    pub(crate) fn bring_near(&self) {
        self.past.bring_near();
    }

    /// Adds amounts of a window.
    pub fn add(&mut self, window: Window, totals: &Totals) {
        if self.open_window.0 != window {
            self.close_window();
            self.open_window = (window, Totals::default());
        }
        self.open_window.1.add(totals);
        let day = window.day();
        let has_begun = self.open_day.0 == day && day != EMPTY_DAY.0;
        if has_begun && self.first_day.as_deref().is_none_or(|first| first.0 != day) {
            // Most often. The first day stays what it is: the open one, or an ended one.
            self.open_day.1.add(totals);
            return;
        }
        let first_day = self.first_day();
        let is_one_day = first_day == self.open_day && self.open_day.0 == window.day();
        let is_first_day = self.open_day == EMPTY_DAY || is_one_day;
        if self.open_day.0 != window.day() {
            self.close_day();
            self.open_day = (window.day(), Totals::default());
        }
        self.open_day.1.add(totals);
        if is_first_day || first_day == self.open_day {
            self.first_day = None;
        } else if self.first_day.is_none() {
            self.first_day = Some(Box::new(first_day));
        }
    }

    fn close_window(&mut self) {
        let (_, totals) = self.open_window;
        if totals == Totals::default() {
            return;
        }
        let n_flows = u64::from(totals.n_flows);
        self.past.record(Measure::WindowBytes, totals.bytes_out);
        self.past.record(Measure::WindowFlows, n_flows);
        if let Some(out) = totals.bytes_out.checked_div(n_flows)
            && let Some(into) = totals.bytes_in.checked_div(n_flows)
        {
            self.past.record(Measure::FlowBytesOut, out);
            self.most_flow_bytes_in = self.most_flow_bytes_in.max(into);
        }
    }

    /// Counts the day that was growing.
    fn close_day(&mut self) {
        if self.open_day.1 != Totals::default() {
            self.past.record(Measure::DayBytes, self.open_day.1.bytes_out);
        }
    }

    /// Adds what another learner saw; exact when the two spans follow each other in time (see [`Known::merge`]).
    pub fn merge(&mut self, other: &Self) {
        self.past.merge(&other.past);
        self.most_flow_bytes_in = self.most_flow_bytes_in.max(other.most_flow_bytes_in);
        let (mine, theirs) = (self.open_window, other.open_window);
        if mine.0 == theirs.0 {
            self.open_window.1.add(&theirs.1);
        } else {
            // Both were still growing; the earlier one has ended.
            let (early, late) = if mine.0 < theirs.0 { (mine, theirs) } else { (theirs, mine) };
            self.open_window = early;
            self.close_window();
            self.open_window = late;
        }
        self.merge_days(other);
    }

    /// Puts the first days and the growing days of both together: what one learner saw of a day as its last and the
    /// other as its first is one day.
    fn merge_days(&mut self, other: &Self) {
        let mut days: Vec<(Day, Totals)> = Vec::with_capacity(4);
        for (first, open) in [(self.first_day(), self.open_day), (other.first_day(), other.open_day)] {
            if open == EMPTY_DAY {
                continue;
            }
            if first != open {
                // It was counted when it ended, and will be again, perhaps with more.
                if first.1 != Totals::default() {
                    self.past.forget(Measure::DayBytes, first.1.bytes_out);
                }
                days.push(first);
            }
            days.push(open);
        }
        days.sort_by_key(|&(day, _)| day);
        days.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1.add(&next.1);
            }
            is_same
        });
        let first_day = days.first().copied().unwrap_or(EMPTY_DAY);
        self.open_day = EMPTY_DAY;
        for day in days {
            self.close_day();
            self.open_day = day;
        }
        self.first_day = (first_day != self.open_day).then(|| Box::new(first_day));
    }
}

/// Seconds that no record lasts where flow logs aggregate over a minute.
const COARSE_SECS: i64 = 120;

/// One record in so many lasts longer where they aggregate over ten.
const COARSE_ONE_IN: u64 = 10;

/// Records of an owner that show it: of fewer, all may be of short use.
const ENOUGH_RECORDS: u32 = 200;

/// How long an owner's flow records last, of windows in which one told of a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordLengths {
    pub(crate) n_single: u32,
    /// Those that lasted for longer than one of a minute's aggregation can.
    pub(crate) n_long: u32,
}

impl RecordLengths {
    /// Notes what an observation tells.
    pub(crate) fn note(&mut self, row: &Observation) {
        if row.n_flows == 1 {
            let is_long = row.last.saturating_sub(row.first) > COARSE_SECS;
            self.add(Self { n_single: 1, n_long: is_long.into() });
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.n_single = self.n_single.saturating_add(other.n_single);
        self.n_long = self.n_long.saturating_add(other.n_long);
    }

    /// Guesses, from how long this owner's records last, whether its flow logs aggregate over ten minutes rather than
    /// one.
    ///
    /// Aggregated over ten minutes, whatever is used all the time has a record for each ten, so many records are long.
    /// Aggregated over one minute, a few seem longer too: those that were answered late. Where the owner has too few
    /// records of its own ([`ENOUGH_RECORDS`]) and these do not look coarse, the `fleet`'s answer is used.
    pub fn are_coarse(self, fleet: Self) -> bool {
        let is_fleet_asked = self.n_single < ENOUGH_RECORDS && !self.is_coarse();
        if is_fleet_asked { fleet.is_coarse() } else { self.is_coarse() }
    }

    fn is_coarse(self) -> bool {
        u64::from(self.n_long) * COARSE_ONE_IN > u64::from(self.n_single)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::WINDOWS_PER_DAY;

    #[test]
    fn days_that_two_learners_share_are_not_two() {
        let of = |days: &[u32]| {
            let mut known = Known::new(Window(days[0] * WINDOWS_PER_DAY));
            days[1..].iter().for_each(|day| known.touch(Window(day * WINDOWS_PER_DAY)));
            known
        };
        let merged = |one: &[u32], other: &[u32]| {
            let (mut one, other) = (of(one), of(other));
            let mut back = other;
            back.merge(&one);
            one.merge(&other);
            assert_eq!(one, back);
            (one.n_windows, one.n_days)
        };
        assert_eq!(merged(&[1, 2], &[3, 4]), (4, 4), "one after the other");
        assert_eq!(merged(&[1, 2], &[2, 4]), (3, 3), "at most a window shared");
        assert_eq!(merged(&[4, 5], &[4, 5]), (2, 2));
        assert_eq!(merged(&[1, 2, 9], &[4, 5]), (3, 3), "at least");
    }
    use proptest::prelude::*;

    #[test]
    fn records_tell_over_how_long_logs_aggregate() {
        let mut lengths = RecordLengths::default();
        assert!(!lengths.are_coarse(lengths), "nothing is known");
        let mut note = |n: u32, n_flows, lasted| {
            (0..n).for_each(|_| lengths.note(&Observation { n_flows, last: lasted, ..Observation::default() }));
            lengths.are_coarse(RecordLengths::default())
        };
        assert!(!note(100, 1, 60));
        assert!(!note(10, 1, 300), "a few are answered late");
        assert!(!note(100, 2, 590), "of several nobody knows which lasted");
        assert!(note(10, 1, 590));
        let coarse = lengths;
        let of_short_use = |n_single| RecordLengths { n_single, n_long: 0 };
        assert!(of_short_use(60).are_coarse(coarse), "too few to say");
        assert!(!of_short_use(600).are_coarse(coarse) && !of_short_use(60).are_coarse(of_short_use(600)));
        assert!(RecordLengths { n_single: 60, n_long: 30 }.are_coarse(of_short_use(600)), "its own say enough");
    }

    #[test]
    fn touching_counts_each_window_and_day_once() {
        let mut known = Known::new(Window(144));
        for window in [144, 145, 145, 288, 143] {
            known.touch(Window(window));
        }
        assert_eq!(known, Known { first: Window(143), last: Window(288), n_windows: 4, n_days: 3 });
    }

    fn known_of(windows: &[u32]) -> Option<Known> {
        let (first, rest) = windows.split_first()?;
        let mut known = Known::new(Window(*first));
        for &w in rest {
            known.touch(Window(w));
        }
        Some(known)
    }

    fn volumes_of(windows: &[(u32, u64)]) -> Volumes {
        let mut out = Volumes::default();
        for &(window, bytes) in windows {
            out.add(Window(window), &Totals { n_flows: 1, bytes_out: bytes, bytes_in: bytes / 2, n_peers: 0 });
        }
        out
    }

    proptest! {
        #[test]
        fn amounts_of_a_window_add_up(windows in prop::collection::vec((0u32..600, 1u64..1_000_000), 1..40)) {
            let (mut at_once, mut apart) = (Volumes::default(), Volumes::default());
            for (window, bytes) in windows {
                let of = |n_flows, bytes_out| Totals { n_flows, bytes_out, ..Totals::default() };
                at_once.add(Window(window), &of(2, 3 * bytes));
                apart.add(Window(window), &of(1, bytes));
                apart.add(Window(window), &of(1, 2 * bytes));
                prop_assert_eq!(&at_once, &apart);
                prop_assert_eq!(at_once.first_day(), apart.first_day());
            }
        }

        #[test]
        fn learning_in_two_parts_is_learning_at_once(
            mut windows in prop::collection::vec((1u32..1500, 1u64..1_000_000), 2..60),
            cut in 1usize..60,
        ) {
            windows.sort_unstable();
            let cut = cut.min(windows.len() - 1);
            let (a, b) = windows.split_at(cut);
            let only = |part: &[(u32, u64)]| part.iter().map(|&(w, _)| w).collect::<Vec<_>>();
            let (mut known, later) = (known_of(&only(a)).unwrap(), known_of(&only(b)).unwrap());
            known.merge(&later);
            prop_assert_eq!(Some(known), known_of(&only(&windows)));
            // A window that both learners saw in part is closed by the one that saw a later one.
            if a.last().map(|l| l.0) != b.first().map(|f| f.0) {
                let (mut merged, mut swapped) = (volumes_of(a), volumes_of(b));
                merged.merge(&volumes_of(b));
                swapped.merge(&volumes_of(a));
                prop_assert_eq!(&merged, &volumes_of(&windows));
                prop_assert_eq!(&merged, &swapped);
            }
        }
    }
}
