//! Event time: UTC seconds and their written forms.

use jiff::{Timestamp, tz::TimeZone};

/// Seconds since 1970-01-01T00:00:00Z, or a span of seconds.
pub(crate) type Secs = i64;

pub(crate) const MINUTE: Secs = 60;
pub(crate) const HOUR: Secs = 60 * MINUTE;
pub(crate) const DAY: Secs = 24 * HOUR;

/// 2026-03-02T00:00:00Z, a Monday: when the random fleets begin.
pub(crate) const FLEET_START: Secs = 1_772_409_600;

/// Day of the week of a time; Monday is 0.
pub(crate) fn weekday(at: Secs) -> i64 {
    (at.div_euclid(DAY) + 3).rem_euclid(7)
}

/// Day of the month of a time, from 1.
pub(crate) fn day_of_month(at: Secs) -> i64 {
    i64::from(civil(at).day())
}

/// Writes a time as RFC 3339, such as `2026-03-02T00:00:00Z`.
pub(crate) fn rfc3339(at: Secs) -> String {
    written(at, "%Y-%m-%dT%H:%M:%SZ")
}

/// Writes a time as the Lambda API prints `LastModified`, such as `2026-03-02T00:00:00.000+0000`.
pub(crate) fn last_modified(at: Secs) -> String {
    written(at, "%Y-%m-%dT%H:%M:%S.000+0000")
}

/// Writes a time by a `strftime` pattern.
pub(crate) fn written(at: Secs, pattern: &str) -> String {
    civil(at).strftime(pattern).to_string()
}

fn civil(at: Secs) -> jiff::civil::DateTime {
    Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC).datetime()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fleet_start_is_a_monday() {
        assert_eq!(rfc3339(FLEET_START), "2026-03-02T00:00:00Z");
        assert_eq!(weekday(FLEET_START), 0);
        assert_eq!(weekday(FLEET_START + 6 * DAY), 6);
        assert_eq!(day_of_month(FLEET_START + DAY), 3);
    }
}
