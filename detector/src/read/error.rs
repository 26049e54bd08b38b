//! Why a flow log object cannot be read.
//!
//! Where it sits: the one error type of the stage `read`.
//! What it does not do: it never stands for a single bad row; those are counted in the account.

use std::sync::Arc;

/// Why a flow log object cannot be read. Nothing of the object may be used then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object's bytes could not be had.
    #[error("{object}: reading failed")]
    Io {
        /// The object.
        object: Arc<str>,
        /// What the door's reader said.
        #[source]
        source: std::io::Error,
    },
    /// The object is something else.
    #[error("{object}: {what}")]
    NotFlowLog {
        /// The object.
        object: Arc<str>,
        /// What it is, and the remedy if there is one.
        what: String,
    },
    /// The object is another kind of AWS log, and none of its records is a flow record of an interface.
    #[error("{object}: {what}")]
    OtherLog {
        /// The object.
        object: Arc<str>,
        /// Which, and the remedy if there is one.
        what: &'static str,
    },
    /// A field that every analysis needs is not among the object's.
    #[error("{object}: needed field{} missing: {}; create the flow log with {}", plural(.fields), listed(.fields), if .fields.len() == 1 { "it" } else { "them" })]
    MissingField {
        /// The object.
        object: Arc<str>,
        /// The fields, as AWS spells them.
        fields: Vec<&'static str>,
    },
    /// A field has a type that no flow log has.
    #[error("{object}: field `{field}` is {found}; it is read as {expected}")]
    WrongType {
        /// The object.
        object: Arc<str>,
        /// The field, as AWS spells it.
        field: &'static str,
        /// The type it has, in Parquet's words.
        found: String,
        /// The types it may have.
        expected: &'static str,
    },
    /// The format is known and this variant of it is not supported.
    #[error("{object}: {what} is not supported")]
    Unsupported {
        /// The object.
        object: Arc<str>,
        /// Which variant.
        what: String,
    },
    /// The object's content contradicts itself.
    #[error("{object}: corrupt {format}: {what}")]
    Corrupt {
        /// The object.
        object: Arc<str>,
        /// `Parquet` or `gzip`.
        format: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The object ends in the middle.
    #[error("{object}: cut off: the {format} data ends early")]
    CutOff {
        /// The object.
        object: Arc<str>,
        /// `Parquet` or `gzip`.
        format: &'static str,
    },
    /// The object inflates to more than the limits allow.
    #[error(
        "{object}: inflates to more than {limit_bytes} bytes from {compressed_bytes}; refused as a decompression bomb"
    )]
    Bomb {
        /// The object.
        object: Arc<str>,
        /// Its size.
        compressed_bytes: u64,
        /// What it may inflate to.
        limit_bytes: u64,
    },
    /// Too many rows had to be rejected for the rest to be trusted.
    #[error(
        "{object}: {n_rejected} of {n_rows} rows rejected, most as `{reason}`, more than the allowed share {max_share}"
    )]
    TooManyRejects {
        /// The object.
        object: Arc<str>,
        /// Rows rejected.
        n_rejected: u64,
        /// Rows read.
        n_rows: u64,
        /// The most frequent reason.
        reason: &'static str,
        /// The limit.
        max_share: f64,
    },
}

fn plural(fields: &[&str]) -> &'static str {
    if fields.len() == 1 { "" } else { "s" }
}

fn listed(fields: &[&str]) -> String {
    let quoted: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
    quoted.join(", ")
}

impl Error {
    /// The object that could not be read.
    pub fn object(&self) -> &str {
        match self {
            Self::Io { object, .. }
            | Self::NotFlowLog { object, .. }
            | Self::OtherLog { object, .. }
            | Self::MissingField { object, .. }
            | Self::WrongType { object, .. }
            | Self::Unsupported { object, .. }
            | Self::Corrupt { object, .. }
            | Self::CutOff { object, .. }
            | Self::Bomb { object, .. }
            | Self::TooManyRejects { object, .. } => object,
        }
    }
}
