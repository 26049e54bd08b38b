//! Writing: a finding or the account of a run in the forms people and programs read.
//!
//! Takes [`Finding`] and [`Coverage`](crate::coverage::Coverage) from the pipeline, gives text to the doors. Each form
//! is one file. It judges nothing, writes to nothing, and knows no clock: what a form needs is in the finding.

use crate::amounts::timestamp;
use crate::finding::Finding;

mod advice;
mod asff;
mod chat;
pub mod drill;
mod guardduty;
pub mod inspect;
pub mod json;
pub mod mail;
mod ocsf;
mod remarks;
pub mod report;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod schema;
pub mod table;
mod words;

pub use words::visible;

/// The forms a finding can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// A block of text a person reads.
    #[default]
    Table,
    /// `callout.finding/1`, one object a line.
    Json,
    /// OCSF Detection Finding, class 2004.
    Ocsf,
    /// AWS Security Finding Format.
    Asff,
    /// The shape of a GuardDuty finding, as EventBridge carries it in `detail`.
    Guardduty,
    /// The custom notification of Amazon Q Developer in chat applications.
    Chat,
}

/// Writes a finding in one form: one line for every form but the table, without a line end.
///
/// The table is the plain one, 80 columns wide; [`table::finding`] knows of terminals.
pub fn finding(format: Format, finding: &Finding) -> String {
    match format {
        Format::Table => table::finding(finding, table::Look::PLAIN),
        Format::Json => json::render(finding),
        Format::Ocsf => ocsf::render(finding),
        Format::Asff => asff::render(finding),
        Format::Guardduty => guardduty::render(finding),
        Format::Chat => chat::render(finding),
    }
}

/// A second of event time as RFC 3339, UTC: `2026-03-31T09:12:44Z`.
pub fn rfc3339(unix_secs: i64) -> String {
    timestamp(unix_secs).to_string()
}

/// Account, region and partition a finding belongs to, for the forms in which they are not optional.
struct Place<'a> {
    partition: &'a str,
    region: &'a str,
    account: &'a str,
}

impl<'a> Place<'a> {
    /// What the records name; else what the function's ARN names; else `aws`, `unknown` and twelve zeros.
    fn of(finding: &'a Finding) -> Self {
        let mut arn = finding.owner.arns.first().map_or("", AsRef::as_ref).split(':').skip(1);
        let mut part = || arn.next().filter(|part| !part.is_empty());
        let (partition, _service, region, account) = (part(), part(), part(), part());
        let region = finding.region.as_deref().or(region).unwrap_or("unknown");
        let partition = partition.unwrap_or(match region {
            r if r.starts_with("cn-") => "aws-cn",
            r if r.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        });
        let account = finding.account_id.as_deref().or(account).unwrap_or("000000000000");
        Self { partition, region, account }
    }
}

/// Number and name of the autonomous system a network label names: `AS64500 Example Hosting`.
fn autonomous_system(network: &str) -> Option<(u32, &str)> {
    let (number, name) = network.split_once(' ').unwrap_or((network, ""));
    Some((number.strip_prefix("AS")?.parse().ok()?, name))
}

/// A form as one line of JSON. What [`visible`] escapes is escaped here too, as JSON does: a line that somebody looks
/// at in a terminal only tells.
fn json_line(form: &impl serde::Serialize) -> String {
    use std::fmt::Write as _;
    let text = serde_json::to_string(form).expect("strings, numbers and lists always have a JSON form");
    // serde_json escapes those of ASCII but the last. The others stand in strings only.
    if !text.contains(words::is_unsafe) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if words::is_unsafe(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(safe, "\\u{unit:04x}").expect("a string takes all");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Drops what is absent: nulls, and the objects and arrays that hold nothing else.
///
/// The standard forms forbid null in most places and treat absence as unknown.
fn without_absent(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    let kept = |value: Value| {
        let value = without_absent(value);
        let empty = value.is_null()
            || value.as_object().is_some_and(serde_json::Map::is_empty)
            || value.as_array().is_some_and(Vec::is_empty);
        (!empty).then_some(value)
    };
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter_map(|(key, value)| Some((key, kept(value)?))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().filter_map(kept).collect()),
        other => other,
    }
}
