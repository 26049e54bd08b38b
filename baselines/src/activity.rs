//! Activity: in which minutes of the latest week an owner was at work.

use crate::window::Window;

/// In which minutes of the latest windows something was active: a ring of 1024 windows, a week and some hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Minute masks by window mod 1024; empty until the first mark.
    minutes: Vec<u16>,
    /// Flow records sent, by window mod 1024.
    n_flows: Vec<u32>,
    latest: Window,
}

impl Default for Activity {
    fn default() -> Self {
        Self { minutes: Vec::new(), n_flows: Vec::new(), latest: Window(0) }
    }
}

impl Activity {
    /// Windows the ring reaches back.
    pub const REACH: u32 = 1024;

    fn slot(window: Window) -> usize {
        (window.0 % Self::REACH) as usize
    }

    /// The slot of a window; `None` for one that is later than the latest or that the ring no longer reaches.
    fn slot_inside(&self, window: Window) -> Option<usize> {
        let age = self.latest.0.checked_sub(window.0)?;
        (age < Self::REACH).then(|| Self::slot(window))
    }

    /// Marks minutes of a window and adds flow records. One older than the ring's reach is forgotten already.
    pub fn mark(&mut self, window: Window, minutes: u16, n_flows: u32) {
        self.minutes.resize(Self::REACH as usize, 0);
        self.n_flows.resize(Self::REACH as usize, 0);
        if window > self.latest {
            for passed in (self.latest.0 + 1..=window.0).rev().take(Self::REACH as usize) {
                let slot = Self::slot(Window(passed));
                if let (Some(mask), Some(n)) = (self.minutes.get_mut(slot), self.n_flows.get_mut(slot)) {
                    (*mask, *n) = (0, 0);
                }
            }
            self.latest = window;
        }
        if let Some(slot) = self.slot_inside(window)
            && let (Some(mask), Some(n)) = (self.minutes.get_mut(slot), self.n_flows.get_mut(slot))
        {
            *mask |= minutes;
            *n = n.saturating_add(n_flows);
        }
    }

    /// The active minutes of a window; none outside the ring.
    pub fn minutes(&self, window: Window) -> u16 {
        self.slot_inside(window).and_then(|slot| self.minutes.get(slot)).copied().unwrap_or(0)
    }

    /// The flow records sent in a window; none outside the ring.
    pub fn n_flows(&self, window: Window) -> u32 {
        self.slot_inside(window).and_then(|slot| self.n_flows.get(slot)).copied().unwrap_or(0)
    }

    /// The first window the ring still tells of.
    pub fn since(&self) -> Window {
        Window(self.latest.0.saturating_sub(Self::REACH - 1))
    }

    /// Windows of a span, ends included, with their active minutes, as far as the ring reaches back.
    pub fn windows(&self, from: Window, until: Window) -> impl Iterator<Item = (Window, u16)> {
        let from = from.max(self.since()).0;
        (from..=until.0.min(self.latest.0)).map(|window| (Window(window), self.minutes(Window(window))))
    }

    /// Adds what another ring knows.
    pub fn merge(&mut self, other: &Self) {
        for (window, minutes) in other.windows(Window(0), other.latest).filter(|&(_, minutes)| minutes != 0) {
            self.mark(window, minutes, other.n_flows(window));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_reaches_back_a_week() {
        let mut activity = Activity::default();
        for window in [5000, 5001, 5003, 4999] {
            activity.mark(Window(window), 1, 2);
        }
        let active = |activity: &Activity, from, until| {
            let windows = activity.windows(Window(from), Window(until));
            windows.filter(|&(_, minutes)| minutes != 0).map(|(window, _)| window.0).collect::<Vec<_>>()
        };
        assert_eq!(active(&activity, 4999, 5003), [4999, 5000, 5001, 5003]);
        assert!(active(&activity, 5002, 5002).is_empty());
        activity.mark(Window(5000 + Activity::REACH), 1, 2);
        let left = [5001, 5003, 5000 + Activity::REACH];
        assert_eq!(active(&activity, 0, 9999), left, "5000 fell out of the ring, 5001 and 5003 did not");
        assert_eq!(activity.since(), Window(5001));
        activity.mark(Window(90_000), 0b101, 3);
        assert_eq!(activity.minutes(Window(90_000)), 0b101);
        assert_eq!(active(&activity, 0, 99_999), [90_000]);
    }
}
