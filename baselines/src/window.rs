//! Windows: our own fixed grid of event time, half-open, UTC, and the days and hours above it.

/// Length of a window in seconds. Ten minutes is the longest aggregation interval of a flow log, so that one record
/// falls into one window of its start and rarely reaches into more than the next.
pub const WINDOW_SECS: i64 = 600;

/// Minutes in a window.
pub const WINDOW_MINUTES: u32 = 10;

/// Windows in an hour.
pub const WINDOWS_PER_HOUR: u32 = 6;

/// Windows in a day.
pub const WINDOWS_PER_DAY: u32 = 24 * WINDOWS_PER_HOUR;

/// Hours in a week.
pub const HOURS_PER_WEEK: u8 = 168;

/// A window, counted in steps of [`WINDOW_SECS`] since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window(pub u32);

impl Window {
    /// The window a second falls into. Seconds before 1970 fall into the first one, those past the year 83 000 into
    /// the last; `read` refuses both long before.
    pub fn of(unix_secs: i64) -> Self {
        Self(u32::try_from(unix_secs.max(0) / WINDOW_SECS).unwrap_or(u32::MAX))
    }

    /// The window a minute since 1970 falls into.
    pub fn of_minute(minute: u32) -> Self {
        Self(minute / WINDOW_MINUTES)
    }

    /// First second.
    pub fn start(self) -> i64 {
        i64::from(self.0) * WINDOW_SECS
    }

    /// First second after it.
    pub fn end(self) -> i64 {
        self.start() + WINDOW_SECS
    }

    /// The day it lies in.
    pub fn day(self) -> Day {
        Day(self.0 / WINDOWS_PER_DAY)
    }

    /// Hour of the week, 0 to 167, from Monday 00:00 UTC.
    pub fn hour_of_week(self) -> u8 {
        // 1970-01-01 was a Thursday: three days after a Monday.
        ((self.0 / WINDOWS_PER_HOUR + 72) % u32::from(HOURS_PER_WEEK)) as u8
    }

    /// How many hours of the week lie between this one and another, the shorter way round: from Sunday's last hour to
    /// Monday's first it is one.
    pub fn hours_of_week_to(self, other: Self) -> u8 {
        let apart = self.hour_of_week().abs_diff(other.hour_of_week());
        apart.min(HOURS_PER_WEEK - apart)
    }
}

/// A UTC day, counted since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

impl Day {
    /// The day's first window.
    pub fn first_window(self) -> Window {
        Window(self.0.saturating_mul(WINDOWS_PER_DAY))
    }

    /// The day's last window.
    pub fn last_window(self) -> Window {
        Window(self.first_window().0.saturating_add(WINDOWS_PER_DAY - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_half_open() {
        let window = Window::of(1_774_951_964);
        assert_eq!((window.start(), window.end()), (1_774_951_800, 1_774_952_400));
        assert_eq!(Window::of(1_774_952_400), Window(window.0 + 1));
        assert_eq!(Window::of(-5), Window(0));
    }

    #[test]
    fn all_lengths_speak_of_one_grid() {
        assert_eq!(i64::from(WINDOW_MINUTES) * 60, WINDOW_SECS);
        assert_eq!(i64::from(WINDOWS_PER_HOUR) * WINDOW_SECS, 3600);
        assert_eq!(i64::from(WINDOWS_PER_DAY) * WINDOW_SECS, 86_400);
        let day = Window::of(1_774_951_964).day();
        assert_eq!([day.first_window(), day.last_window()].map(Window::day), [day; 2]);
        assert_eq!(day.last_window().end(), Day(day.0 + 1).first_window().start());
    }

    #[test]
    fn the_week_starts_on_monday() {
        // 2026-03-30 00:00 UTC is a Monday.
        assert_eq!(Window::of(1_774_828_800).hour_of_week(), 0);
        assert_eq!(Window::of(1_774_828_800 - 1).hour_of_week(), 167);
        assert_eq!(Window::of(1_774_828_800 + 25 * 3600).hour_of_week(), 25);
        let apart = |secs: i64| Window::of(1_774_828_800).hours_of_week_to(Window::of(1_774_828_800 + secs));
        assert_eq!([-1, 0, 3600, 84 * 3600, 100 * 3600].map(apart), [1, 0, 1, 84, 68], "a week is a circle");
    }
}
