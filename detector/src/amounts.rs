//! Amounts and days as a person reads them: `18.2 kB`, `2 h 28 min`, `3 windows`, `2026-03-31`.
//!
//! Where it sits: a noun below the stages; statements, tables and messages all say amounts this way.
//! What it does not do: JSON has numbers, never these.

use std::fmt::Write as _;

use jiff::Timestamp;

/// An amount of bytes, decimal units as AWS bills them: `320 B`, `18.2 kB`, `1.8 MB`.
pub fn bytes(n: u64) -> String {
    if n < 1000 {
        return format!("{n} B");
    }
    let mut value = n as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        // 999.95 would print as 1000.0 in the smaller unit.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// A second of event time as a timestamp; what lies outside the years −9999 to 9999 is held at their ends.
pub(crate) fn timestamp(unix_secs: i64) -> Timestamp {
    let held = unix_secs.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(held).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Day of event time: `2026-03-31`.
pub fn day(unix_secs: i64) -> String {
    timestamp(unix_secs).strftime("%Y-%m-%d").to_string()
}

/// A span of time in its two largest units: `45 s`, `14 min`, `2 h 28 min`, `3 d 4 h`.
pub fn span(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| {
        let mut text = format!("{large} {large_unit}");
        if small > 0 {
            let _infallible = write!(text, " {small} {small_unit}");
        }
        text
    };
    match secs {
        0..60 => format!("{secs} s"),
        60..3_600 => format!("{minutes} min"),
        3_600..86_400 => two(hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}

/// A span of time in words a person uses; of a unit that has begun only what is over.
pub fn span_words(secs: i64) -> String {
    let (n, unit) = match secs {
        s if s >= 2 * 86_400 => (s / 86_400, "day"),
        s if s >= 2 * 3600 => (s / 3600, "hour"),
        s => ((s / 60).max(1), "minute"),
    };
    count(n.cast_unsigned(), unit)
}

/// A period that was measured, in words a person uses, to the nearest of what they can say.
pub fn period_words(secs: f64) -> String {
    match secs.max(0.0) {
        s if s < 119.5 => format!("{s:.0} seconds"),
        s if s < 119.5 * 60.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}

/// `1 window`, `3 windows`.
pub fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("{n} {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_decimal_and_never_a_thousand() {
        for (n, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (18_211, "18.2 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (84_000_000, "84.0 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(n), text, "{n}");
        }
    }

    #[test]
    fn spans_have_two_units() {
        for (secs, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (8_880, "2 h 28 min"),
            (86_400, "1 d"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(span(secs), text, "{secs}");
        }
    }

    #[test]
    fn statements_have_one_unit() {
        assert_eq!(
            [0, 3599, 7200, 200_000].map(span_words),
            ["1 minute", "59 minutes", "2 hours", "2 days"].map(String::from)
        );
        assert_eq!(
            [45.0, 90.4, 150.0, 2999.0, 9000.0].map(period_words),
            ["45 seconds", "90 seconds", "2 minutes", "50 minutes", "2.5 hours"].map(String::from)
        );
    }
}
