//! One column chunk being read: rows come out in order, as the type the batch wants.
//!
//! Where it sits: under `parquet`, one for each column of a unit.
//! What it does not do: it knows no other column.

use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use ::parquet::file::metadata::ColumnChunkMetaData;
use bytes::Bytes;

use crate::flow::{Field, Layout};
use crate::read::batch::Column;
use crate::read::field::{STATUS_NAME, name};
use crate::read::parquet::codes::{AddressCodes, Codes, TextCodes};
use crate::read::parquet::header::{Header, Kind};
use crate::read::parquet::marks::Marks;
use crate::read::parquet::numbers::Numbers;
use crate::read::parquet::page::{Page, Physical, Rows, SPELLED_TIMES, spelled};
use crate::read::parquet::pages::Pages;
use crate::read::parquet::room::Room;
use crate::read::parquet::twin::Passed;
use crate::read::parquet::{Fault, File, Unit};
use crate::read::rule::Rule;

/// The largest dictionary accepted. Writers stop at 1 MiB; every entry is kept in its converted form too.
const MAX_DICTIONARY_BYTES: usize = 16 << 20;

/// What a field's values become.
enum Target {
    U8(Numbers<u8>),
    U16(Numbers<u16>),
    U64(Numbers<u64>),
    I64(Numbers<i64>),
    Address(AddressCodes),
    Text(TextCodes),
}

/// A column chunk, at some row.
pub(super) struct Chunk {
    pages: Pages,
    page: Page,
    is_optional: bool,
    physical: Physical,
    /// Whether numbers are ids, to be read as text.
    is_spelled: bool,
    target: Target,
    /// Rows before the unit's first.
    n_to_skip: usize,
    /// Pages gone through since the last batch began, where another column may be the same one.
    passed: Option<Vec<Passed>>,
    // Used again from batch to batch.
    levels: Vec<u32>,
}

impl Chunk {
    /// Goes to the first row of the unit; without a field it is the log status.
    pub(super) fn open(file: &File, unit: Unit, at: usize, field: Option<Field>, room: &Room) -> Result<Self, Fault> {
        let group = file.metadata.row_group(unit.row_group);
        let chunk = group.column(at);
        if chunk.column_descr().max_rep_level() == 0 && chunk.num_values() != group.num_rows() {
            let (n, n_rows) = (chunk.num_values(), group.num_rows());
            return Err(Fault::Corrupt(format!("a column of {n} values in a row group of {n_rows} rows")));
        }
        let name = field.map_or(STATUS_NAME, name);
        let wrong_type = || wrong_type(field, described(chunk));
        let times = if matches!(field, Some(Field::Start | Field::End)) { times(chunk) } else { None };
        let physical = times.or_else(|| physical(chunk)).ok_or_else(wrong_type)?;
        let is_text = physical == Physical::Bytes;
        let target = match field.map_or((Layout::U8, Some(Rule::STATUS)), |field| (field.layout(), Rule::of(field))) {
            (Layout::U8, Some(rule)) => Target::U8(Numbers::new(name, physical, rule)),
            (Layout::U16, Some(rule)) => Target::U16(Numbers::new(name, physical, rule)),
            (Layout::U64, Some(rule)) => Target::U64(Numbers::new(name, physical, rule)),
            (Layout::I64, Some(rule)) => Target::I64(Numbers::new(name, physical, rule)),
            (layout, _) => match field {
                Some(field) if layout == Layout::Address && is_text => Target::Address(Codes::new(field)),
                Some(field) if layout == Layout::Text => Target::Text(Codes::new(field)),
                _ => return Err(wrong_type()),
            },
        };
        Ok(Self {
            pages: Pages::open(&file.object, chunk, room)?,
            page: Page::empty(),
            is_optional: chunk.column_descr().max_def_level() == 1,
            physical,
            is_spelled: matches!(target, Target::Text(_)) && !is_text,
            target,
            n_to_skip: unit.first_row as usize,
            passed: None,
            levels: Vec::new(),
        })
    }

    /// Remembers the pages of each batch for [`Chunk::passed`].
    pub(super) fn remember_pages(&mut self) {
        self.passed = Some(Vec::new());
    }

    /// The pages that the latest batch went on to, if they are remembered.
    pub(super) fn passed(&mut self) -> Option<Vec<Passed>> {
        self.passed.as_mut().map(std::mem::take)
    }

    /// The next rows' log status.
    pub(super) fn status(&mut self, n_rows: usize, marks: &mut Marks<'_>) -> Result<Vec<u8>, Fault> {
        match self.column(n_rows, marks)? {
            Column::U8(statuses) => Ok(statuses),
            _ => Err(Fault::Corrupt("log status of another type".to_owned())),
        }
    }

    /// The next rows of the column.
    pub(super) fn column(&mut self, n_rows: usize, marks: &mut Marks<'_>) -> Result<Column, Fault> {
        while self.n_to_skip > 0 {
            self.next_page()?;
            let n = self.page.n_left.min(self.n_to_skip);
            self.page.skip(n, if self.is_spelled { Physical::Bytes } else { self.physical }, &mut self.levels)?;
            self.n_to_skip -= n;
        }
        macro_rules! numbers {
            ($target:ident, $variant:ident, $numbers:expr) => {{
                let mut values = Vec::with_capacity(n_rows);
                while values.len() < n_rows {
                    let rows = self.advance(n_rows - values.len())?;
                    let Target::$variant($target) = &mut self.target else { break };
                    $numbers.append(&mut self.page, &rows, &self.levels, &mut values, marks)?;
                }
                Ok(Column::$variant(values))
            }};
        }
        match &mut self.target {
            Target::U8(_) => numbers!(target, U8, target),
            Target::U16(_) => numbers!(target, U16, target),
            Target::U64(_) => numbers!(target, U64, target),
            Target::I64(_) => numbers!(target, I64, target),
            Target::Address(_) | Target::Text(_) => {
                let mut n_done = 0;
                while n_done < n_rows {
                    let rows = self.advance(n_rows - n_done)?;
                    match &mut self.target {
                        Target::Address(codes) => codes.append(&mut self.page, &rows, &self.levels)?,
                        Target::Text(codes) => codes.append(&mut self.page, &rows, &self.levels)?,
                        _ => {}
                    }
                    n_done += rows.n;
                }
                match &mut self.target {
                    Target::Address(codes) => codes.finish(marks),
                    Target::Text(codes) => codes.finish(marks),
                    _ => Err(Fault::Corrupt("a column changed its type".to_owned())),
                }
            }
        }
    }

    /// Moves on by at least one and at most `n` rows, all of one page.
    fn advance(&mut self, n: usize) -> Result<Rows, Fault> {
        self.next_page()?;
        self.page.rows(n, &mut self.levels)
    }

    /// Sees to it that the page has rows left. Pages that lie wholly before the unit are not even inflated.
    fn next_page(&mut self) -> Result<(), Fault> {
        while self.page.n_left == 0 {
            let Some(header) = self.pages.header()? else {
                return Err(Fault::Corrupt("a column has fewer rows than the footer says".to_owned()));
            };
            let stored = match header.kind {
                Kind::Other => {
                    self.pages.skip(&header)?;
                    None
                }
                Kind::Dictionary => Some(self.dictionary(&header)?),
                Kind::DataV1 { .. } | Kind::DataV2 { .. } if header.n_values <= self.n_to_skip => {
                    self.n_to_skip -= header.n_values;
                    self.pages.skip(&header)?;
                    None
                }
                Kind::DataV1 { .. } | Kind::DataV2 { .. } => {
                    let stored = self.pages.take(&header, &mut self.page.bytes)?;
                    self.page.start(&header, self.is_optional, self.physical)?;
                    let n_times = if self.is_spelled { SPELLED_TIMES } else { 1 };
                    self.pages.holds(self.page.bytes.len().saturating_mul(n_times))?;
                    if self.is_spelled {
                        self.page.spell(self.physical);
                    }
                    Some(stored)
                }
            };
            self.passed.iter_mut().for_each(|passed| passed.push(Passed { header, stored: stored.clone() }));
        }
        Ok(())
    }

    /// Takes the dictionary; gives its page as it is stored.
    fn dictionary(&mut self, header: &Header) -> Result<Bytes, Fault> {
        if header.inflated_bytes > MAX_DICTIONARY_BYTES {
            let n = header.inflated_bytes;
            return Err(Fault::Corrupt(format!(
                "a dictionary claims {n} bytes; at most {MAX_DICTIONARY_BYTES} are read"
            )));
        }
        let mut bytes = Vec::new();
        let stored = self.pages.take(header, &mut bytes)?;
        let n = header.n_values;
        if self.is_spelled {
            let (numbers, _) = self.physical.split(&bytes, n).ok_or(Fault::CutOff)?;
            bytes = spelled(self.physical, numbers);
        }
        match &mut self.target {
            Target::U8(numbers) => numbers.dictionary(&bytes, n),
            Target::U16(numbers) => numbers.dictionary(&bytes, n),
            Target::U64(numbers) => numbers.dictionary(&bytes, n),
            Target::I64(numbers) => numbers.dictionary(&bytes, n),
            Target::Address(codes) => codes.dictionary(&bytes, n),
            Target::Text(codes) => codes.dictionary(&bytes, n),
        }?;
        Ok(stored)
    }
}

/// How the values are stored, if that is a way flow logs are: a flat column of numbers or text.
pub(super) fn physical(chunk: &ColumnChunkMetaData) -> Option<Physical> {
    if is_nested(chunk) {
        return None;
    }
    let column = chunk.column_descr();
    let (logical, converted) = (column.logical_type_ref(), column.converted_type());
    let is_signed = match (logical, converted) {
        (Some(LogicalType::Integer(integer)), _) => Some(integer.is_signed),
        (None, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64) => {
            Some(false)
        }
        (
            None,
            ConvertedType::NONE
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64,
        ) => Some(true),
        _ => None,
    };
    if matches!(logical, Some(LogicalType::Unknown)) {
        // All of it is null, whatever it would be: what arrow writes of a column that never had a value.
        return Some(Physical::Bytes);
    }
    let is_text = matches!(logical, None | Some(LogicalType::String | LogicalType::Enum));
    match (column.physical_type(), is_signed) {
        (Type::INT32, Some(true)) => Some(Physical::I32),
        (Type::INT32, Some(false)) => Some(Physical::U32),
        (Type::INT64, Some(true)) => Some(Physical::I64),
        (Type::INT64, Some(false)) => Some(Physical::U64),
        (Type::FLOAT, Some(true)) => Some(Physical::F32),
        (Type::DOUBLE, Some(true)) => Some(Physical::F64),
        (Type::BYTE_ARRAY, _) if is_text && converted != ConvertedType::DECIMAL => Some(Physical::Bytes),
        _ => None,
    }
}

/// How times are stored, if the column's type is one of times. Those of no zone are UTC's: pandas makes such ones of a
/// flow log's seconds.
fn times(chunk: &ColumnChunkMetaData) -> Option<Physical> {
    let column = chunk.column_descr();
    let per_second = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(times)), _) => match times.unit {
            TimeUnit::MILLIS => Some(1_000),
            TimeUnit::MICROS => Some(1_000_000),
            TimeUnit::NANOS => Some(1_000_000_000),
        },
        (None, ConvertedType::TIMESTAMP_MILLIS) => Some(1_000),
        (None, ConvertedType::TIMESTAMP_MICROS) => Some(1_000_000),
        _ => None,
    };
    match column.physical_type() {
        Type::INT64 if !is_nested(chunk) => per_second.map(|per_second| Physical::Times { per_second }),
        Type::INT96 if !is_nested(chunk) => Some(Physical::Int96),
        _ => None,
    }
}

fn is_nested(chunk: &ColumnChunkMetaData) -> bool {
    let column = chunk.column_descr();
    column.max_rep_level() > 0 || column.max_def_level() > 1
}

/// What messages call a column of lists or of several columns.
pub(super) const NESTED: &str = "nested";

/// The fault of a field, or of the log status, that has a type it must not have.
pub(super) fn wrong_type(field: Option<Field>, found: String) -> Fault {
    const TEXT: &str = "text (STRING)";
    let expected = match field {
        Some(Field::Start | Field::End) => "seconds (INT64) or TIMESTAMP",
        Some(field) => match (field.layout(), Rule::of(field)) {
            (Layout::Address, _) => TEXT,
            (_, Some(rule)) if rule.has_words() => TEXT,
            (_, Some(_)) => "whole numbers (INT32 or INT64)",
            (_, None) => "text (STRING) or whole numbers",
        },
        None => TEXT,
    };
    Fault::WrongType { field: field.map_or(STATUS_NAME, name), found, expected }
}

/// A column's type in Parquet's words, such as `INT64` or `DATE (INT32)`.
fn described(chunk: &ColumnChunkMetaData) -> String {
    if is_nested(chunk) {
        return NESTED.to_owned();
    }
    let column = chunk.column_descr();
    let stored = column.physical_type();
    // The library's names of them are Parquet's, followed by their parameters.
    let logical = column.logical_type_ref().map(|logical| format!("{logical:?}"));
    let logical = logical.unwrap_or_else(|| match column.converted_type() {
        ConvertedType::NONE => String::new(),
        converted => converted.to_string(),
    });
    let word: String = logical.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if word.is_empty() { stored.to_string() } else { format!("{} ({stored})", word.to_uppercase()) }
}
