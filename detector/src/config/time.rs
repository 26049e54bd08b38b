//! Durations as settings and options spell them: `7d`, `24h`, `90m`.

/// The units a duration may be written in, largest first, with their seconds.
const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Parses one whole number with one unit: `2w`, `7d`, `24h`, `90m`, `3600s`.
///
/// # Units
/// Gives seconds; `None` when the text is anything else or does not fit.
pub fn parse_duration(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit = text.chars().next_back()?;
    let (_, secs) = UNITS.into_iter().find(|(letter, _)| *letter == unit)?;
    let digits = text.strip_suffix(unit)?;
    // `parse` alone would take `+7`.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(secs)
}

/// Writes a duration the way [`parse_duration`] reads it, in the largest unit that divides it; weeks stay days.
pub fn format_duration(secs: u64) -> String {
    let (unit, len) =
        UNITS.into_iter().skip(1).find(|(_, len)| secs >= *len && secs.is_multiple_of(*len)).unwrap_or(('s', 1));
    format!("{}{unit}", secs / len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_one_number_and_one_unit() {
        for (text, secs) in [
            ("7d", 604_800),
            ("24h", 86_400),
            ("90m", 5_400),
            ("2w", 1_209_600),
            ("3600s", 3_600),
            (" 1h ", 3_600),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(secs), "{text}");
        }
        for text in [
            "",
            "7",
            "d",
            "-1d",
            "+1d",
            "1.5h",
            "1h30m",
            "7 d",
            "7D",
            "7дd",
            "99999999999999999999s",
            "99999999999999999w",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_written_in_the_largest_unit_that_divides_them() {
        for (secs, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (5_400, "90m"),
            (3_600, "1h"),
            (86_400, "1d"),
            (1_209_600, "14d"),
            (90_061, "90061s"),
        ] {
            assert_eq!(format_duration(secs), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(secs: u64) {
            prop_assert_eq!(parse_duration(&format_duration(secs)), Some(secs));
        }
    }
}
