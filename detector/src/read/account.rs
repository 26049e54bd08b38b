//! The account of what was read: every row of an object is in exactly one of its counters.
//!
//! Where it sits: `read` fills it row by row, `pipeline` adds the accounts of objects, `write` prints the sum.
//! What it does not do: it judges nothing; the share of rejects an object may have is a limit of `read`.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a row was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// `log-status` is none of `OK`, `NODATA`, `SKIPDATA`.
    BadStatus,
    /// An address is no IPv4 or IPv6 address, or is missing where it must be there.
    BadAddress,
    /// A port is no number from 0 to 65535.
    BadPort,
    /// `protocol` is no number from 0 to 255.
    BadProtocol,
    /// A count or `tcp-flags` is no number, or out of its range.
    BadNumber,
    /// `start` or `end` is no Unix time in seconds before the year 10000 (milliseconds are not), or the capture window
    /// lasts longer than a day.
    BadTime,
    /// `action` is neither `ACCEPT` nor `REJECT`.
    BadAction,
    /// `flow-direction` is neither `ingress` nor `egress` nor missing.
    BadDirection,
    /// An id or a name holds bytes that are not printable ASCII, or is absurdly long.
    BadText,
    /// The capture window ends before it starts.
    EndBeforeStart,
    /// The line has more or fewer fields than the header.
    WrongFieldCount,
    /// The line is longer than the limit.
    LineTooLong,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::BadStatus,
        Self::BadAddress,
        Self::BadPort,
        Self::BadProtocol,
        Self::BadNumber,
        Self::BadTime,
        Self::BadAction,
        Self::BadDirection,
        Self::BadText,
        Self::EndBeforeStart,
        Self::WrongFieldCount,
        Self::LineTooLong,
    ];

    /// The stable name, as reports print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadStatus => "bad-status",
            Self::BadAddress => "bad-address",
            Self::BadPort => "bad-port",
            Self::BadProtocol => "bad-protocol",
            Self::BadNumber => "bad-number",
            Self::BadTime => "bad-time",
            Self::BadAction => "bad-action",
            Self::BadDirection => "bad-direction",
            Self::BadText => "bad-text",
            Self::EndBeforeStart => "end-before-start",
            Self::WrongFieldCount => "wrong-field-count",
            Self::LineTooLong => "line-too-long",
        }
    }
}

/// One rejected row, shown so that a person can find the cause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Example {
    /// The object it stands in.
    pub object: Arc<str>,
    /// Where: the row number in Parquet (from 0), the offset of the line's first byte in (inflated) text.
    pub position: u64,
    /// What stands there: the field and its value, or the line; shortened, control characters escaped.
    pub text: String,
}

/// Rejected rows of one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many.
    pub n_rows: u64,
    /// The first few of them, by object and position.
    pub examples: Vec<Example>,
}

/// How many examples of each reason are kept.
pub const MAX_EXAMPLES: usize = 3;

/// How much of a rejected value an example shows, in characters; fits a terminal line.
const EXAMPLE_CHARS: usize = 80;

/// What was read: `rows_read` is the sum of the other row counters.
///
/// # Guarantees
/// Adding accounts is associative and commutative: units and objects may be added in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// All rows.
    pub rows_read: u64,
    /// Rows of traffic, given on in a batch.
    pub rows_ok: u64,
    /// Rows that say there was no traffic.
    pub rows_nodata: u64,
    /// Rows that say records were lost. One may stand for many.
    pub rows_skipdata: u64,
    /// Rows that could not be used, by reason.
    pub rows_rejected: BTreeMap<Reason, Rejected>,
}

impl Account {
    /// The number of rejected rows, whatever the reason.
    pub fn n_rejected(&self) -> u64 {
        self.rows_rejected.values().map(|rejected| rejected.n_rows).sum()
    }

    /// Adds what another unit or object counted.
    pub fn add(&mut self, other: &Self) {
        self.rows_read += other.rows_read;
        self.rows_ok += other.rows_ok;
        self.rows_nodata += other.rows_nodata;
        self.rows_skipdata += other.rows_skipdata;
        for (reason, theirs) in &other.rows_rejected {
            let ours = self.rows_rejected.entry(*reason).or_default();
            ours.n_rows += theirs.n_rows;
            ours.examples.extend(theirs.examples.iter().cloned());
            ours.examples.sort();
            ours.examples.truncate(MAX_EXAMPLES);
        }
    }

    /// Counts one rejected row; `describe` is asked only while examples are wanted.
    pub(super) fn reject<'a>(
        &mut self,
        reason: Reason,
        object: &Arc<str>,
        position: u64,
        describe: impl FnOnce() -> std::borrow::Cow<'a, str>,
    ) {
        self.rows_read += 1;
        let rejected = self.rows_rejected.entry(reason).or_default();
        rejected.n_rows += 1;
        // Rows come in order from text, and column by column from Parquet.
        let at = rejected.examples.partition_point(|example| example.position < position);
        if at < MAX_EXAMPLES {
            let text = describe().chars().take(EXAMPLE_CHARS).flat_map(char::escape_debug).collect();
            rejected.examples.insert(at, Example { object: Arc::clone(object), position, text });
            rejected.examples.truncate(MAX_EXAMPLES);
        }
    }
}
