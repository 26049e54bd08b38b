//! Writing: a finding or the account of a run in the forms people and programs read.
//!
//! Takes [`Finding`] and [`Coverage`](crate::coverage::Coverage) from the pipeline, gives text to the doors. Each form
//! is one file. It judges nothing, writes to nothing, and knows no clock: what a form needs is in the finding.

use jiff::Timestamp;

use crate::finding::Finding;

mod advice;
pub mod json;
#[cfg(test)]
pub(crate) mod sample;
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
}

/// Writes a finding in one form: one line for every form but the table, without a line end.
///
/// The table is the plain one, 80 columns wide; [`table::finding`] knows of terminals.
pub fn finding(format: Format, finding: &Finding) -> String {
    match format {
        Format::Table => table::finding(finding, table::Look::PLAIN),
        Format::Json => json::render(finding),
    }
}

/// A second of event time as a timestamp; what lies outside the years −9999 to 9999 is held at their ends.
fn timestamp(unix_secs: i64) -> Timestamp {
    let held = unix_secs.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(held).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A second of event time as RFC 3339, UTC: `2026-03-31T09:12:44Z`.
fn rfc3339(unix_secs: i64) -> String {
    timestamp(unix_secs).to_string()
}
