//! Settings: what a user may choose, checked once and typed from then on.
//!
//! A noun: `RawConfig` is what a file may say, [`Config`] is what holds; every key has a default, a range and a reason,
//! all three also written in `detector/callout.toml`. Nothing here reads a file, a clock or the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::finding::CheckId;

mod suppression;
mod time;

pub use suppression::{NetworkPattern, Suppression};
pub use time::{format_duration, parse_duration};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The span of time `warm_up` and `--warm-up` may hold, in seconds.
pub const WARM_UP_SECS: RangeInclusive<u64> = HOUR..=90 * DAY;

/// Why settings were refused. Each message names the key, the value and what is allowed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Not TOML, an unknown key, or a value of the wrong kind; the message shows the line.
    #[error("{message}")]
    Syntax {
        /// What the TOML reader said.
        message: String,
    },
    /// A value outside its range.
    #[error("`{key}` is {value}; it must be between {low} and {high}")]
    OutOfRange {
        /// The key as the file spells it.
        key: String,
        /// The value as the file spells it.
        value: String,
        /// The smallest value allowed.
        low: String,
        /// The largest value allowed.
        high: String,
    },
    /// A value that is none of the words, or not of the form, the key takes.
    #[error("`{key}` is `{value}`; it must be {allowed}")]
    NotAllowed {
        /// The key as the file spells it.
        key: String,
        /// The value as the file spells it.
        value: String,
        /// What the key takes.
        allowed: String,
    },
    /// A needed key is absent or empty.
    #[error("`{key}` is missing; {need}")]
    Missing {
        /// The key as the file spells it.
        key: String,
        /// What to write there, and why.
        need: &'static str,
    },
}

/// How easily the checks speak.
///
/// The words stand for sets of thresholds the checks hold themselves, so that a setting never needs statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// The thresholds that the figures of `docs/detection.md` are for.
    Default,
    /// Lower thresholds: more found, more false alerts. For an investigation.
    High,
    /// Higher thresholds: only what is hard to explain.
    Low,
}

/// What a settings file may say; every key may be absent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    sensitivity: Option<String>,
    warm_up: Option<String>,
    max_rejected_share: Option<f64>,
    max_inflated_ratio: Option<i64>,
    max_inflated_bytes: Option<i64>,
    max_line_bytes: Option<i64>,
    novelty_memory_days: Option<i64>,
    incident_gap: Option<String>,
    deployment_window: Option<String>,
    repeat_interval: Option<String>,
    max_destinations_per_finding: Option<i64>,
    checks: Option<BTreeMap<String, bool>>,
    suppressions: Option<Vec<suppression::Raw>>,
}

/// The settings of a run, all present and within their ranges.
///
/// # Units
/// Durations are seconds, sizes bytes, shares lie in [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How easily the checks speak. `default`: what the figures of `docs/detection.md` are for.
    pub sensitivity: Sensitivity,
    /// How long a function is observed before its behaviour is judged; 1h to 90d, default 7d: one whole week, so that
    /// what runs on Sundays has been seen once.
    pub warm_up_secs: u64,
    /// The share of rejected rows above which an object counts as unreadable; 0 to 1, default 0.5: single broken rows
    /// happen, an object that is mostly broken is another format.
    pub max_rejected_share: f64,
    /// Inflated bytes for each stored byte above which an object is refused; 2 to 1100, default 250. Flow logs deflate
    /// to a tenth or twentieth, a quiet VPC's NODATA rows to a hundredth; deflate itself ends at 1032.
    pub max_inflated_ratio: u64,
    /// Inflated bytes above which an object is refused; 1 MiB to 1 TiB, default 4 GiB. AWS closes an object at 75 MB.
    pub max_inflated_bytes: u64,
    /// The longest line of a text object; 1 KiB to 1 MiB, default 16 KiB. A row with every field stays below 2 KiB.
    pub max_line_bytes: usize,
    /// How many days a destination is remembered after it was last seen; 1 to 3650, default 90: a quarterly job meets
    /// its own past.
    pub novelty_memory_days: u32,
    /// Oddities of one function no further apart than this are one finding; 10m to 30d, default 24h. About something
    /// else than before, they are for two days at the most: a finding that goes on for weeks must not take in whatever
    /// follows.
    pub incident_gap_secs: u64,
    /// How long after a deployment a finding names it; 10m to 30d, default 24h: a dependency usually calls out in its
    /// first day of use.
    pub deployment_window_secs: u64,
    /// How long an ongoing finding is not alerted again; 0s to 30d, default 24h. The longer it goes on, the longer.
    pub repeat_interval_secs: u64,
    /// The most destinations a finding lists one by one; 1 to 1000, default 1000. What is too much for a message is
    /// left out of it, not of the finding.
    pub max_destinations_per_finding: usize,
    /// The checks that run; default all.
    pub checks: BTreeSet<CheckId>,
    /// Standing decisions to hide findings; hidden ones are counted in every report. Default none.
    pub suppressions: Vec<Suppression>,
}

impl Config {
    /// The settings that hold when no file says otherwise.
    ///
    /// # Panics
    /// Never: a test builds them.
    pub fn defaults() -> Self {
        Self::check(RawConfig::default()).expect("every default lies within its own range, which a test shows")
    }

    /// Reads and checks the text of a settings file.
    ///
    /// # Errors
    /// [`Error`] for the first key that is unknown, of the wrong kind or out of its range.
    ///
    /// # Example
    /// ```
    /// let config = detector::config::Config::from_toml("warm_up = \"3d\"").expect("a duration within the range");
    /// assert_eq!(config.warm_up_secs, 3 * 86_400);
    /// ```
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let raw: RawConfig = toml::from_str(text)
            .map_err(|cause| Error::Syntax { message: cause.to_string().trim_end().replace('\n', "\n  ") })?;
        Self::check(raw)
    }

    /// Replaces `warm_up` by what a door was told instead.
    ///
    /// # Errors
    /// [`Error`] naming `key`, when the text is no duration or lies outside [`WARM_UP_SECS`].
    pub fn with_warm_up(mut self, key: &str, text: &str) -> Result<Self, Error> {
        self.warm_up_secs = duration(key, Some(text.to_owned()), "7d", WARM_UP_SECS)?;
        Ok(self)
    }

    // One line a key: its name, what the file said, its default and its range.
    fn check(raw: RawConfig) -> Result<Self, Error> {
        Ok(Self {
            sensitivity: sensitivity(raw.sensitivity.as_deref())?,
            warm_up_secs: duration("warm_up", raw.warm_up, "7d", WARM_UP_SECS)?,
            max_rejected_share: share("max_rejected_share", raw.max_rejected_share, 0.5)?,
            max_inflated_ratio: number("max_inflated_ratio", raw.max_inflated_ratio, 250, 2..=1100)?,
            max_inflated_bytes: number("max_inflated_bytes", raw.max_inflated_bytes, 4 * GIB, MIB..=1024 * GIB)?,
            max_line_bytes: number("max_line_bytes", raw.max_line_bytes, 16 << 10, 1024..=MIB)? as usize,
            novelty_memory_days: number("novelty_memory_days", raw.novelty_memory_days, 90, 1..=3650)? as u32,
            incident_gap_secs: duration("incident_gap", raw.incident_gap, "24h", 10 * MINUTE..=30 * DAY)?,
            deployment_window_secs: duration(
                "deployment_window",
                raw.deployment_window,
                "24h",
                10 * MINUTE..=30 * DAY,
            )?,
            repeat_interval_secs: duration("repeat_interval", raw.repeat_interval, "24h", 0..=30 * DAY)?,
            max_destinations_per_finding: number(
                "max_destinations_per_finding",
                raw.max_destinations_per_finding,
                1000,
                1..=1000,
            )? as usize,
            checks: checks(raw.checks.unwrap_or_default())?,
            suppressions: raw
                .suppressions
                .unwrap_or_default()
                .into_iter()
                .enumerate()
                .map(|(index, raw)| Suppression::check(index, raw))
                .collect::<Result<_, _>>()?,
        })
    }
}

fn out_of_range(key: &str, value: impl fmt::Display, low: impl fmt::Display, high: impl fmt::Display) -> Error {
    Error::OutOfRange { key: key.to_owned(), value: value.to_string(), low: low.to_string(), high: high.to_string() }
}

fn sensitivity(raw: Option<&str>) -> Result<Sensitivity, Error> {
    match raw {
        None | Some("default") => Ok(Sensitivity::Default),
        Some("high") => Ok(Sensitivity::High),
        Some("low") => Ok(Sensitivity::Low),
        Some(other) => Err(Error::NotAllowed {
            key: "sensitivity".into(),
            value: other.into(),
            allowed: "`default`, `high` or `low`".into(),
        }),
    }
}

fn duration(key: &str, raw: Option<String>, default: &str, range: RangeInclusive<u64>) -> Result<u64, Error> {
    let text = raw.unwrap_or_else(|| default.to_owned());
    let secs = parse_duration(&text).ok_or_else(|| Error::NotAllowed {
        key: key.to_owned(),
        value: text.clone(),
        allowed: "a duration such as `7d`, `24h`, `90m`, `2w` or `3600s`".into(),
    })?;
    if range.contains(&secs) {
        Ok(secs)
    } else {
        Err(out_of_range(key, text.trim(), format_duration(*range.start()), format_duration(*range.end())))
    }
}

fn number(key: &str, raw: Option<i64>, default: u64, range: RangeInclusive<u64>) -> Result<u64, Error> {
    let Some(raw) = raw else { return Ok(default) };
    u64::try_from(raw)
        .ok()
        .filter(|value| range.contains(value))
        .ok_or_else(|| out_of_range(key, raw, range.start(), range.end()))
}

fn share(key: &str, raw: Option<f64>, default: f64) -> Result<f64, Error> {
    let value = raw.unwrap_or(default);
    // A NaN lies in no range.
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(out_of_range(key, value, 0, 1)) }
}

fn checks(raw: BTreeMap<String, bool>) -> Result<BTreeSet<CheckId>, Error> {
    let mut enabled = BTreeSet::from(CheckId::ALL);
    for (id, wanted) in raw {
        let check = CheckId::parse(&id).ok_or_else(|| Error::NotAllowed {
            key: "checks".into(),
            value: id,
            allowed: format!("one of {}", CheckId::ALL.map(CheckId::as_str).join(", ")),
        })?;
        if !wanted {
            enabled.remove(&check);
        }
    }
    Ok(enabled)
}

#[cfg(test)]
mod tests;
