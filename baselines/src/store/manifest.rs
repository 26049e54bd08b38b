//! The manifest of a stored baseline: its format, what it was learned from, and a checksum of every table.
//!
//! Where it sits: the first file read and the last one written; its own bytes are named by the pointer.
//! What it does not do: it holds nothing the tables hold.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SCHEMA;
use super::error::Error;
use crate::baselines::LearnedFrom;

/// What a stored baseline is made of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) schema: String,
    pub(super) learned_from: Learned,
    pub(super) n_owners: u64,
    pub(super) n_destinations: u64,
    /// Ids of the findings a person accepted, in hex, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) accepted: Vec<String>,
    pub(super) tables: Vec<TableFile>,
    /// See [`crate::Baselines::beside`], by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) beside: Vec<BesideFile>,
    /// SHA-256 of the manifest with this field empty.
    pub(super) checksum: String,
}

/// [`LearnedFrom`]; `first` and `until` in seconds since the epoch.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Learned {
    n_objects: u64,
    n_observations: u64,
    first_unix_secs: Option<i64>,
    until_unix_secs: Option<i64>,
}

/// One table.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableFile {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) rows: u64,
    pub(super) sha256: String,
}

/// A file beside the tables.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BesideFile {
    pub(super) file: String,
    pub(super) sha256: String,
}

impl From<&LearnedFrom> for Learned {
    fn from(from: &LearnedFrom) -> Self {
        Self {
            n_objects: from.n_objects,
            n_observations: from.n_observations,
            first_unix_secs: from.span.map(|(first, _)| first),
            until_unix_secs: from.span.map(|(_, until)| until),
        }
    }
}

impl From<&Learned> for LearnedFrom {
    fn from(from: &Learned) -> Self {
        let span = from.first_unix_secs.zip(from.until_unix_secs);
        Self { n_objects: from.n_objects, n_observations: from.n_observations, span }
    }
}

impl Manifest {
    /// The bytes, with their checksum.
    pub(super) fn render(mut self) -> Vec<u8> {
        self.checksum.clear();
        self.checksum = sha256(&json(&self));
        json(&self)
    }

    /// The manifest of bytes, if they are those [`Manifest::render`] gave.
    pub(super) fn parse(origin: &str, bytes: &[u8]) -> Result<Self, Error> {
        check_schema(origin, bytes, SCHEMA)?;
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| Error::damaged(origin, error.to_string()))?;
        let unsigned = Self { checksum: String::new(), ..manifest };
        if unsigned.render() != bytes {
            return Err(Error::damaged(origin, "its checksum is not that of its content"));
        }
        // What was rendered is what was parsed.
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| Error::damaged(origin, error.to_string()))?;
        // Names become paths.
        let is_name = |name: &str| {
            !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        if !manifest.beside.iter().all(|beside| is_name(&beside.file)) {
            return Err(Error::damaged(origin, "it names files that are not in its folder"));
        }
        Ok(manifest)
    }
}

/// Refuses what a newer program wrote, and what is not ours. `schema` is `callout.<what>/<version>`.
pub(super) fn check_schema(origin: &str, bytes: &[u8], schema: &'static str) -> Result<(), Error> {
    let found = schema_of(bytes).map_err(|error| Error::damaged(origin, error.to_string()))?;
    compare_schema(origin, &found, schema)
}

/// The `schema` that JSON names, whatever else is in it.
///
/// # Errors
/// When it is no JSON, or names none.
pub fn schema_of(json: &[u8]) -> serde_json::Result<String> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    serde_json::from_slice(json).map(|Head { schema }| schema)
}

/// See [`check_schema`].
pub(super) fn compare_schema(origin: &str, found: &str, schema: &'static str) -> Result<(), Error> {
    if found == schema {
        return Ok(());
    }
    let version = |schema: &str| {
        let (what, version) = schema.rsplit_once('/')?;
        Some((what.to_owned(), version.parse::<u32>().ok()?))
    };
    match (version(found), version(schema)) {
        (Some((what, found_version)), Some((ours, version))) if what == ours && found_version > version => {
            Err(Error::Newer { origin: origin.into(), found: found.into(), readable: schema })
        }
        _ => Err(Error::Foreign { origin: origin.into(), why: format!("it says it is `{found}`, not `{schema}`") }),
    }
}

/// JSON as people read it, one newline at the end.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A struct of strings and numbers has nothing to fail on when written into memory; an empty answer is refused when
    // it is read.
    if serde_json::to_writer_pretty(&mut bytes, value).is_err() {
        bytes.clear();
    }
    bytes.push(b'\n');
    bytes
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    let digits = digits.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
