//! Flow log Parquet: of each row group only the columns a batch needs, by spans of rows.
//!
//! Where it sits: takes ranges of an object, gives batches.
//! What it does not do: it never holds a column chunk; memory follows pages and batches.

mod chunk;
mod codes;
mod delta;
mod footer;
mod header;
mod hybrid;
mod marks;
mod numbers;
mod page;
mod pages;
mod room;
mod twin;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::flow::{Field, FlowBatch};
use crate::read::batch::{self, Column};
use crate::read::field::Places;
use crate::read::parquet::chunk::Chunk;
use crate::read::parquet::room::Room;
use crate::read::parquet::twin::Twin;
use crate::read::{Account, Each, Error, Limits, Object, rule};

/// What a Parquet object starts and ends with.
pub(super) const MAGIC: &[u8] = b"PAR1";

/// What it begins and ends with when the footer too is encrypted.
pub(super) const ENCRYPTED_MAGIC: &[u8] = b"PARE";

/// The magic and the footer's length at an object's end.
const TAIL_BYTES: u64 = 8;

/// The largest footer accepted. AWS's objects have kilobytes; a thousand row groups of sixty columns have eight
/// megabytes.
const MAX_FOOTER_BYTES: u64 = 32 << 20;

/// More rows than this are no flow log but a few repeated bytes that would keep a processor busy for hours. Twenty
/// thousand rows that are all the same take a kilobyte.
const MAX_ROWS_PER_BYTE: u64 = 100;

/// So many rows may be claimed by any object.
const ROWS_FREE: u64 = 1 << 24;

/// What can go wrong below this level: the object's name is added here.
#[derive(Debug)]
pub(super) enum Fault {
    Io(std::io::Error),
    Corrupt(String),
    Unsupported(String),
    WrongType { field: &'static str, found: String, expected: &'static str },
    CutOff,
}

impl Fault {
    fn at(self, object: &Arc<str>) -> Error {
        let object = Arc::clone(object);
        match self {
            Self::Io(source) => Error::Io { object, source },
            Self::Corrupt(what) => Error::Corrupt { object, format: "Parquet", what },
            Self::Unsupported(what) => Error::Unsupported { object, what },
            Self::WrongType { field, found, expected } => Error::WrongType { object, field, found, expected },
            Self::CutOff => Error::CutOff { object, format: "Parquet" },
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<::parquet::errors::ParquetError> for Fault {
    fn from(error: ::parquet::errors::ParquetError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl From<crate::flow::SchemaError> for Fault {
    fn from(error: crate::flow::SchemaError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl From<arrow_schema::ArrowError> for Fault {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// A span of rows of one row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unit {
    row_group: usize,
    /// The first row, counted from the row group's.
    first_row: u64,
    n_rows: u64,
    /// The first row, counted from the object's.
    position: u64,
}

/// A Parquet object whose footer was read.
pub(super) struct File {
    object: Arc<dyn Object>,
    name: Arc<str>,
    limits: Limits,
    metadata: Arc<ParquetMetaData>,
    /// Where each field is among the leaf columns.
    places: Places,
    units: Vec<Unit>,
}

impl File {
    /// Reads the footer.
    pub(super) fn open(name: &Arc<str>, object: Arc<dyn Object>, limits: &Limits) -> Result<Self, Error> {
        let metadata = guarded(|| footer(&*object)).map_err(|fault| fault.at(name))?;
        let schema = metadata.file_metadata().schema_descr();
        // The name of a nested column's leaf means nothing here: its root's name stands for it, and no field has it.
        let is_flat = |at: usize| schema.get_column_root(at).is_primitive();
        let names: Vec<&str> = (0..schema.num_columns()).map(|at| schema.get_column_root(at).name()).collect();
        let places = Places::find(name, names.iter().copied())?;
        let units = units(&metadata, object.size(), limits).map_err(|fault| fault.at(name))?;
        for field in Field::ALL {
            if places.of(field).is_some_and(|at| !is_flat(at)) {
                return Err(chunk::wrong_type(Some(field), chunk::NESTED.to_owned()).at(name));
            }
        }
        let metadata = Arc::new(metadata);
        Ok(Self { object, name: Arc::clone(name), limits: *limits, metadata, places, units })
    }

    pub(super) fn n_units(&self) -> usize {
        self.units.len()
    }

    pub(super) fn read_unit(&self, unit: usize, each: Each<'_>) -> Result<Account, Error> {
        let Some(unit) = self.units.get(unit) else { return Ok(Account::default()) };
        guarded(|| self.read_rows(*unit, each)).map_err(|fault| fault.at(&self.name))
    }

    /// Where a thread is free, it decodes the next batch while one is taken.
    fn read_rows(&self, unit: Unit, each: Each<'_>) -> Result<Account, Fault> {
        let mut rows = Rows::open(self, unit)?;
        let mut ready = rows.next()?;
        while let Some(batch) = ready {
            let ((), next) = rayon::join(|| each(batch), || rows.next());
            ready = next?;
        }
        Ok(rows.account)
    }

    /// Where each field's column comes from, in the order of fields.
    fn sources(&self, unit: Unit, room: &Room) -> Result<Vec<(Field, Source)>, Fault> {
        let mut sources: Vec<(Field, Source)> = Vec::with_capacity(Field::COUNT);
        for field in Field::ALL {
            let Some(at) = self.places.of(field) else { continue };
            let original = batch::original(field).and_then(|original| self.places.of(original));
            let twin = original.and_then(|original| Twin::open(self, unit, at, original, room));
            if twin.is_some() {
                let original = sources.iter_mut().find(|(other, _)| batch::original(field) == Some(*other));
                if let Some((_, Source::Chunk(chunk))) = original {
                    chunk.remember_pages();
                }
            }
            sources.push((
                field,
                twin.map_or_else(|| self.chunk(unit, field, room).map(Source::Chunk), |twin| Ok(Source::Twin(twin)))?,
            ));
        }
        Ok(sources)
    }

    fn chunk(&self, unit: Unit, field: Field, room: &Room) -> Result<Box<Chunk>, Fault> {
        let at = self.places.of(field).ok_or(Fault::CutOff)?;
        Chunk::open(self, unit, at, Some(field), room).map(Box::new)
    }
}

/// The rows of a unit being read.
struct Rows<'a> {
    file: &'a File,
    unit: Unit,
    n_done: u64,
    account: Account,
    status: Option<Chunk>,
    sources: Vec<(Field, Source)>,
    room: Room,
}

impl<'a> Rows<'a> {
    fn open(file: &'a File, unit: Unit) -> Result<Self, Fault> {
        let room = Room::new(file.limits.max_pages_bytes);
        let status = file.places.status.map(|at| Chunk::open(file, unit, at, None, &room)).transpose()?;
        let sources = file.sources(unit, &room)?;
        Ok(Self { file, unit, n_done: 0, account: Account::default(), status, sources, room })
    }

    /// The next rows of traffic; `None` at the end.
    fn next(&mut self) -> Result<Option<FlowBatch>, Fault> {
        let Self { file, unit, n_done, account, status, sources, room } = self;
        while *n_done < unit.n_rows {
            let n_rows = (unit.n_rows - *n_done).min(file.limits.max_batch_rows.max(1) as u64) as usize;
            let position = unit.position + *n_done;
            let mut marks = marks::Marks::new(&file.name, position, n_rows, status.is_some(), account);
            if let Some(status) = status {
                let statuses = status.status(n_rows, &mut marks)?;
                marks.status(statuses);
            }
            let (mut columns, mut twins) = (Vec::with_capacity(Field::COUNT), Vec::new());
            let mut passed: Vec<(Field, Vec<twin::Passed>)> = Vec::new();
            for (field, source) in &mut *sources {
                if let Source::Twin(twin) = source {
                    let original = passed.iter().find(|(other, _)| batch::original(*field) == Some(*other));
                    if let Some((original, _)) = original.filter(|(_, pages)| twin.passes(pages)) {
                        twins.push((*field, *original));
                        continue;
                    }
                    let rest = Unit { first_row: unit.first_row + *n_done, ..*unit };
                    *source = Source::Chunk(file.chunk(rest, *field, room)?);
                }
                let Source::Chunk(chunk) = source else { continue };
                columns.push((*field, chunk.column(n_rows, &mut marks)?));
                passed.extend(chunk.passed().map(|pages| (*field, pages)));
            }
            mark_odd_windows(&columns, &mut marks);
            let marked = marks.finish();
            let n_ok = if let Some(marked) = marked {
                for (_, column) in &mut columns {
                    column.keep_unmarked(&marked);
                }
                marks::count(&marked, rule::OK)
            } else {
                n_rows
            };
            *n_done += n_rows as u64;
            if n_ok > 0 {
                return Ok(Some(batch::finish(n_ok, columns, &twins)?));
            }
        }
        Ok(None)
    }
}

/// Where a column of the batches comes from.
enum Source {
    Chunk(Box<Chunk>),
    Twin(Twin),
}

/// Marks rows whose window ends before it starts, or lasts too long.
fn mark_odd_windows(columns: &[(Field, Column)], marks: &mut marks::Marks<'_>) {
    let times = |field| {
        columns.iter().find(|(other, _)| *other == field).and_then(|(_, column)| match column {
            Column::I64(times) => Some(times),
            _ => None,
        })
    };
    let (Some(start), Some(end)) = (times(Field::Start), times(Field::End)) else { return };
    // Without a branch, so that it vectorises; nearly always that is all.
    if start.iter().zip(end).fold(false, |any, (start, end)| any | rule::is_odd_window(*start, *end)) {
        for (row, (start, end)) in start.iter().zip(end).enumerate() {
            if let Some(reason) = rule::odd_window(*start, *end) {
                marks.reject(row, reason, || format!("start {start}, end {end}").into());
            }
        }
    }
}

/// Runs the decoder; a panic inside it, which corrupt bytes can cause, is an error like others.
fn guarded<T>(run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Fault::Corrupt(format!("the decoder gave up: {}", message.unwrap_or("no reason given"))))
    })
}

fn footer(object: &dyn Object) -> Result<ParquetMetaData, Fault> {
    let body = object.size().checked_sub(TAIL_BYTES).ok_or(Fault::CutOff)?;
    let tail = object.read_at(body, TAIL_BYTES as usize)?;
    let Some((len, magic)) = tail.split_first_chunk::<4>() else { return Err(Fault::CutOff) };
    if magic != MAGIC {
        if magic == ENCRYPTED_MAGIC {
            return Err(Fault::Unsupported("encrypted Parquet".to_owned()));
        }
        return Err(Fault::CutOff);
    }
    let n_bytes = u64::from(u32::from_le_bytes(*len));
    if n_bytes > MAX_FOOTER_BYTES || n_bytes > body.saturating_sub(MAGIC.len() as u64) {
        return Err(Fault::Corrupt(format!("the footer claims {n_bytes} bytes")));
    }
    let bytes = object.read_at(body - n_bytes, n_bytes as usize)?;
    footer::check(&bytes)?;
    Ok(ParquetMetaDataReader::decode_metadata(&bytes)?)
}

fn units(metadata: &ParquetMetaData, n_bytes: u64, limits: &Limits) -> Result<Vec<Unit>, Fault> {
    let mut units = Vec::new();
    let mut position = 0_u64;
    let max_rows = n_bytes.saturating_mul(MAX_ROWS_PER_BYTE).saturating_add(ROWS_FREE);
    for (row_group, group) in metadata.row_groups().iter().enumerate() {
        let n_rows = u64::try_from(group.num_rows()).unwrap_or(u64::MAX);
        if n_rows > max_rows - position {
            let claimed = group.num_rows();
            return Err(Fault::Corrupt(format!("row group {row_group} of {n_bytes} bytes claims {claimed} rows")));
        }
        let n_units = n_rows.div_ceil(limits.max_unit_rows.max(1));
        for unit in 0..n_units {
            let (first_row, next) = (n_rows * unit / n_units, n_rows * (unit + 1) / n_units);
            units.push(Unit { row_group, first_row, n_rows: next - first_row, position: position + first_row });
        }
        position += n_rows;
    }
    Ok(units)
}
