//! Coverage: what a run read, rejected, could not see and did not judge. Part of the result, not of the log.
//!
//! A noun: filled by the pipeline, printed by `write` and the doors. Every row read is in exactly one place: an
//! observation or one of these counters.

use std::collections::BTreeMap;

/// An object that could not be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unreadable {
    /// Path or key of the object.
    pub object: String,
    /// The error with its causes.
    pub error: String,
}

/// What of a function's normal changed by a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Network owners it knows.
    Networks,
    /// Prefixes it knows.
    Prefixes,
    /// Bytes it sends on a typical day.
    DayBytes,
}

impl Measure {
    /// The word of the report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Networks => "networks",
            Self::Prefixes => "prefixes",
            Self::DayBytes => "bytes_out_day",
        }
    }
}

/// A large change of one function's baseline within a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its functions, or its interface.
    pub function: String,
    /// What changed.
    pub measure: Measure,
    /// How much it was.
    pub before: u64,
    /// How much it is.
    pub after: u64,
    /// When it was as before, Unix seconds.
    pub since: i64,
}

/// The account of a run. All `n_` fields count rows unless they say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Objects read to their end.
    pub n_objects: u64,
    /// Objects whose bytes had been read before in this run: counted, not used again.
    pub n_objects_duplicate: u64,
    /// Objects that could not be read, sorted by name.
    pub unreadable: Vec<Unreadable>,
    /// Rows of all objects read.
    pub n_rows: u64,
    /// Rows that had to be rejected, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// The first rejects, as examples: object, reason and text.
    pub reject_examples: Vec<String>,
    /// Rows with status NODATA: the log is alive, nothing was sent.
    pub n_nodata: u64,
    /// Rows with status SKIPDATA: an unknown number of records was lost.
    pub n_skipdata: u64,
    /// Rows outside `--from` and `--until`.
    pub n_outside_span: u64,
    /// Rows that are no egress of their interface: replies, inbound attempts, forwarded traffic.
    pub n_not_egress: u64,
    /// Rows that became observations.
    pub n_observed: u64,
    /// Rows on interfaces of other services, left unjudged.
    pub n_other_interface: u64,
    /// Rows on interfaces the inventory does not know or cannot attribute.
    pub n_unknown_interface: u64,
    /// Of the rows observed, those sent that a second flow log or object told again; their answers are not counted.
    pub n_repeated: u64,
    /// Rows dated years from all others, left out: see `pipeline`.
    pub n_stray: u64,
    /// Interfaces nobody could attribute, sorted; the first [`Coverage::MAX_UNKNOWN_NAMED`] of them.
    pub unknown_interfaces: Vec<String>,
    /// Observations made of the rows.
    pub n_observations: u64,
    /// Owners the baselines know.
    pub n_owners: u64,
    /// Owners too young to be judged at the end of the run; list matches were.
    pub n_learning: u64,
    /// Owners that meet new networks about every week or more often, so that novelty says little about them.
    pub n_novelty_abstained: u64,
    /// Findings shown and suppressed, and those below `--min-severity`.
    pub n_findings: u64,
    /// See `n_findings`.
    pub n_suppressed: u64,
    /// See `n_findings`.
    pub n_below_severity: u64,
    /// Functions whose baseline changed by a lot, the largest factor first; a bounded number.
    pub changes: Vec<Change>,
    /// First and last second of the records observed, Unix seconds; `None` before the first. Strays are none of them.
    pub span: Option<(i64, i64)>,
}

impl Coverage {
    /// So many unknown interfaces are named at most.
    pub const MAX_UNKNOWN_NAMED: usize = 1000;

    /// Whether no unknown interface is missing among those named: otherwise there may be more.
    pub fn names_all_unknown(&self) -> bool {
        self.unknown_interfaces.len() < Self::MAX_UNKNOWN_NAMED
    }

    /// All rejected rows.
    pub fn n_rejected(&self) -> u64 {
        self.rejected.values().sum()
    }
}
