//! The stage `read`: the bytes of a flow log object become batches of flow records.
//!
//! Where it sits: takes an [`Object`] from a door, gives [`FlowBatch`]es to `rollup` and an [`Account`] to coverage.
//! What it does not do: it does no I/O of its own, starts no thread, and never looks at an object's name or place; what
//! an object is follows from its content.
//!
//! Accepted: flow-log Parquet, flow-log text, either of them inside gzip. Everything else is refused with a message
//! that says what it is.

mod account;
mod batch;
mod cut;
mod error;
mod field;
mod gzip;
mod intern;
mod parquet;
mod rule;
mod sink;
mod source;
mod text;
mod token;

use std::sync::Arc;

use ::bytes::Bytes;

pub use self::account::{Account, Example, MAX_EXAMPLES, Reason, Rejected};
pub use self::error::Error;
use crate::flow::FlowBatch;

/// A flow log object's bytes by range. The doors implement it, for a file, for S3; the core does no I/O of its own.
pub trait Object: Send + Sync {
    /// What messages call it: a path, an S3 URI.
    fn name(&self) -> &str;

    /// Its size in bytes.
    fn size(&self) -> u64;

    /// The bytes from `offset` on, `len` of them.
    ///
    /// # Errors
    /// Whatever kept the door from reading; `UnexpectedEof` when the object is shorter than its size said.
    fn read_at(&self, offset: u64, len: usize) -> std::io::Result<Bytes>;
}

/// Bytes that are in memory, as an object.
#[derive(Clone, Debug)]
pub struct InMemory {
    name: String,
    bytes: Bytes,
}

impl InMemory {
    /// Names the bytes.
    pub fn new(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

impl Object for InMemory {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> std::io::Result<Bytes> {
        let start = usize::try_from(offset).ok();
        let end = start.and_then(|start| start.checked_add(len)).filter(|end| *end <= self.bytes.len());
        let (Some(start), Some(end)) = (start, end) else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        Ok(self.bytes.slice(start..end))
    }
}

/// What an object may cost. Some are settings, whose defaults are the configuration's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// An object with a larger share of rejected rows is unreadable; in \[0, 1\].
    pub max_rejected_share: f64,
    /// A gzip object may inflate to so many times its size; flow log text stays below 30, of a quiet VPC below 150.
    pub max_inflated_ratio: u64,
    /// A gzip object may inflate to so many bytes of text, which is never held as a whole.
    pub max_inflated_bytes: u64,
    /// Parquet inside gzip may inflate to so many bytes; it has to be held as a whole.
    pub max_spooled_bytes: u64,
    /// The pages that are read at once of all columns of a Parquet unit may have so many bytes, stored and inflated.
    pub max_pages_bytes: usize,
    /// A line of text may have so many bytes; a record of all fields has about a thousand.
    pub max_line_bytes: usize,
    /// Rows in a batch. Changes speed, never results.
    pub max_batch_rows: usize,
    /// Rows in a unit of a Parquet object: a row group with more is split, so that one large object keeps several
    /// threads busy. Changes speed, never results.
    pub max_unit_rows: u64,
    /// Bytes in a unit of plain text, likewise.
    pub max_unit_bytes: u64,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        max_rejected_share: 0.5,
        max_inflated_ratio: 250,
        max_inflated_bytes: 4 << 30,
        max_spooled_bytes: 128 << 20,
        max_pages_bytes: 256 << 20,
        max_line_bytes: 16 << 10,
        max_batch_rows: 16 << 10,
        max_unit_rows: 1 << 20,
        max_unit_bytes: 32 << 20,
    };
}

/// Takes batches, one after the other, on whatever thread is free.
pub type Each<'a> = &'a mut (dyn FnMut(FlowBatch) + Send);

/// An object whose format and fields are known and fit.
///
/// A *unit* is a part that threads can read independently of each other: a span of rows of a Parquet object, a span of
/// lines of plain text, or all of a gzip text.
pub struct Opened {
    object: Arc<dyn Object>,
    name: Arc<str>,
    limits: Limits,
    format: Format,
}

enum Format {
    Empty,
    Parquet(parquet::File),
    Text { header: text::Header, is_gzip: bool },
}

/// An object of at most so many bytes is read as a whole, once: asking for its footer and column after column, each a
/// call to the system or to S3, costs more than what is not needed of it.
const WHOLE_BYTES: u64 = 1 << 20;

/// Finds out what an object is and where its fields are, reading no more than its beginning and, of Parquet, its
/// footer; a small object is read as a whole.
///
/// An object of no bytes, such as the marker of a folder in S3, is an object of no rows.
///
/// # Errors
/// [`Error::NotFlowLog`] and [`Error::OtherLog`] say what the object is instead; [`Error::MissingField`] names what it
/// lacks.
pub fn open(object: Arc<dyn Object>, limits: &Limits) -> Result<Opened, Error> {
    let name: Arc<str> = object.name().into();
    let opened = |object, format| Ok(Opened { object, name: Arc::clone(&name), limits: *limits, format });
    let is_small = object.size() <= WHOLE_BYTES;
    let n_bytes = if is_small { object.size() } else { text::MAX_HEADER_BYTES as u64 };
    let read = object.read_at(0, n_bytes as usize);
    let start = read.map_err(|source| Error::Io { object: Arc::clone(&name), source })?;
    let object = if is_small { Arc::new(InMemory::new(&*name, start.clone())) } else { object };
    if start.is_empty() {
        return opened(object, Format::Empty);
    }
    if start.starts_with(parquet::ENCRYPTED_MAGIC) {
        return Err(Error::Unsupported { object: name, what: "encrypted Parquet".to_owned() });
    }
    if start.starts_with(parquet::MAGIC) {
        let file = parquet::File::open(&name, Arc::clone(&object), limits)?;
        return opened(object, Format::Parquet(file));
    }
    if !start.starts_with(&gzip::MAGIC) {
        let header = text::Header::parse(&name, &start)?;
        return opened(object, Format::Text { header, is_gzip: false });
    }
    let mut start = Vec::new();
    gzip::Inflate::new(&name, Arc::clone(&object), limits).append(&mut start, text::MAX_HEADER_BYTES)?;
    if start.is_empty() {
        return opened(object, Format::Empty);
    }
    if start.starts_with(&gzip::MAGIC) {
        let what = "gzip inside gzip; unpack it once".to_owned();
        return Err(Error::NotFlowLog { object: name, what });
    }
    if !start.starts_with(parquet::MAGIC) {
        let header = text::Header::parse(&name, &start)?;
        return opened(object, Format::Text { header, is_gzip: true });
    }
    let spool = Limits { max_inflated_bytes: limits.max_spooled_bytes.min(limits.max_inflated_bytes), ..*limits };
    let inflated = gzip::inflate_all(&name, Arc::clone(&object), &spool)?;
    let inner: Arc<dyn Object> = Arc::new(InMemory::new(&*name, inflated));
    let file = parquet::File::open(&name, Arc::clone(&inner), limits)?;
    opened(inner, Format::Parquet(file))
}

impl Opened {
    /// The object's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many units the object has.
    pub fn n_units(&self) -> usize {
        match &self.format {
            Format::Empty => 0,
            Format::Parquet(file) => file.n_units(),
            Format::Text { is_gzip: true, .. } => 1,
            Format::Text { is_gzip: false, .. } => {
                usize::try_from(self.object.size().div_ceil(self.limits.max_unit_bytes.max(1))).unwrap_or(usize::MAX)
            }
        }
    }

    /// Reads one unit and gives each of its batches to `each`.
    ///
    /// An object is all or nothing: after an error, what any of its units gave is to be thrown away. Whether too many
    /// rows were rejected is for [`Opened::check`] to say, once the accounts of all units are added.
    ///
    /// # Errors
    /// Any [`Error`] that concerns an object.
    pub fn read_unit(&self, unit: usize, each: Each<'_>) -> Result<Account, Error> {
        if unit >= self.n_units() {
            return Ok(Account::default());
        }
        match &self.format {
            Format::Empty => Ok(Account::default()),
            Format::Parquet(file) => file.read_unit(unit, each),
            Format::Text { header, is_gzip } => {
                let source = if *is_gzip { self.gzip_source()? } else { self.plain_source(unit) };
                text::Reader::new(&self.name, header, &self.limits).read(source, each)
            }
        }
    }

    /// Reads all units and checks the account.
    ///
    /// # Errors
    /// Any [`Error`]; nothing that `each` was given may be used then.
    pub fn read_all(&self, each: Each<'_>) -> Result<Account, Error> {
        let mut account = Account::default();
        for unit in 0..self.n_units() {
            account.add(&self.read_unit(unit, each)?);
        }
        self.check(&account)?;
        Ok(account)
    }

    /// Checks that the account of all units has no more rejects than allowed.
    ///
    /// # Errors
    /// [`Error::TooManyRejects`].
    pub fn check(&self, account: &Account) -> Result<(), Error> {
        let (n_rejected, n_rows) = (account.n_rejected(), account.rows_read);
        if n_rejected as f64 <= n_rows as f64 * self.limits.max_rejected_share {
            return Ok(());
        }
        let most = account.rows_rejected.iter().max_by_key(|(_, rejected)| rejected.n_rows);
        Err(Error::TooManyRejects {
            object: Arc::clone(&self.name),
            n_rejected,
            n_rows,
            reason: most.map_or("", |(reason, _)| reason.name()),
            max_share: self.limits.max_rejected_share,
        })
    }

    fn gzip_source(&self) -> Result<source::Source, Error> {
        let whole = gzip::inflate_whole(&self.name, &*self.object, &self.limits)?;
        Ok(match whole {
            Some(text) => source::Source::whole(text, &self.limits),
            None => source::Source::gzip(&self.name, Arc::clone(&self.object), &self.limits),
        })
    }

    fn plain_source(&self, unit: usize) -> source::Source {
        let from = self.limits.max_unit_bytes.max(1).saturating_mul(unit as u64);
        let until = from.saturating_add(self.limits.max_unit_bytes.max(1));
        source::Source::plain(&self.name, Arc::clone(&self.object), from, until, &self.limits)
    }
}

#[cfg(test)]
mod tests;
