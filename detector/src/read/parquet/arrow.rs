//! Columns by the `parquet` crate's own decoder: every encoding and type there is, value by value.
//!
//! Where it sits: under `chunk`, for what the fast path does not know.
//! What it does not do: it is not fast; what AWS and the common writers write does not come here.

use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, Length};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use bytes::{Buf, Bytes};

use crate::flow::{Field, Layout};
use crate::read::batch::{Column, NULL};
use crate::read::field::{STATUS_NAME, name};
use crate::read::intern::{Addresses, Texts};
use crate::read::parquet::marks::Marks;
use crate::read::parquet::{Fault, File, Unit};
use crate::read::rule::{self, Rule};
use crate::read::{Object, Reason};

/// How much is read at a time where the decoder does not say how much it wants.
const READ_AHEAD_BYTES: u64 = 64 << 10;

/// A column chunk behind the `parquet` crate's reader.
pub(super) struct ArrowChunk {
    rows: ParquetRecordBatchReader,
    texts: Texts,
    addresses: Addresses,
}

/// One value, whatever its type was.
enum Value<'a> {
    Missing,
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    Text(&'a [u8]),
}

impl Value<'_> {
    fn number(&self, rule: Rule) -> Result<u64, Reason> {
        match *self {
            Self::Missing => rule.missing(),
            Self::Signed(number) => rule.signed(number),
            Self::Unsigned(number) => rule.number(number),
            Self::Double(number) => rule.double(number),
            Self::Text(text) => rule.text(text),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Missing => "missing".to_owned(),
            Self::Signed(number) => number.to_string(),
            Self::Unsigned(number) => number.to_string(),
            Self::Double(number) => number.to_string(),
            Self::Text(text) => String::from_utf8_lossy(text).into_owned(),
        }
    }
}

impl ArrowChunk {
    /// Goes to the first row of the unit.
    pub(super) fn open(file: &File, unit: Unit, at: usize) -> Result<Self, Fault> {
        // The Arrow schema some writers leave in the metadata is a wish of theirs; the columns' own types are what counts.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&file.metadata), options)?;
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), [at]);
        let skip = RowSelector::skip(unit.first_row as usize);
        let selection = RowSelection::from(vec![skip, RowSelector::select(unit.n_rows as usize)]);
        let ranges = Ranges { object: Arc::clone(&file.object) };
        let rows = ParquetRecordBatchReaderBuilder::new_with_metadata(ranges, metadata)
            .with_projection(mask)
            .with_row_groups(vec![unit.row_group])
            .with_row_selection(selection)
            .with_batch_size(file.limits.max_batch_rows.max(1))
            .build()?;
        Ok(Self { rows, texts: Texts::default(), addresses: Addresses::default() })
    }

    fn next(&mut self, n_rows: usize) -> Result<ArrayRef, Fault> {
        let batch = self.rows.next().transpose()?;
        let column = batch.as_ref().and_then(|batch| batch.columns().first());
        match column {
            Some(column) if column.len() == n_rows => Ok(Arc::clone(column)),
            _ => Err(Fault::Corrupt("a column has fewer rows than the footer says".to_owned())),
        }
    }

    /// The next rows' log status.
    pub(super) fn status(&mut self, n_rows: usize, marks: &mut Marks<'_>) -> Result<Vec<u8>, Fault> {
        let array = self.next(n_rows)?;
        let mut statuses = Vec::with_capacity(n_rows);
        numbers(&array, STATUS_NAME, Rule::STATUS, marks, |status| statuses.push(status as u8))?;
        Ok(statuses)
    }

    /// The next rows of a field's column.
    pub(super) fn column(&mut self, field: Field, n_rows: usize, marks: &mut Marks<'_>) -> Result<Column, Fault> {
        let array = self.next(n_rows)?;
        match (field.layout(), Rule::of(field)) {
            (Layout::U8, Some(rule)) => {
                let mut values = Vec::with_capacity(n_rows);
                numbers(&array, name(field), rule, marks, |value| values.push(value as u8))?;
                Ok(Column::U8(values))
            }
            (Layout::U16, Some(rule)) => {
                let mut values = Vec::with_capacity(n_rows);
                numbers(&array, name(field), rule, marks, |value| values.push(value as u16))?;
                Ok(Column::U16(values))
            }
            (Layout::U64, Some(rule)) => {
                let mut values = Vec::with_capacity(n_rows);
                numbers(&array, name(field), rule, marks, |value| values.push(value))?;
                Ok(Column::U64(values))
            }
            (Layout::I64, Some(rule)) => {
                let mut values = Vec::with_capacity(n_rows);
                numbers(&array, name(field), rule, marks, |value| values.push(value as i64))?;
                Ok(Column::I64(values))
            }
            (Layout::Address, _) => self.addresses(&array, field, marks),
            _ => self.texts(&array, field, marks),
        }
    }

    fn addresses(&mut self, array: &ArrayRef, field: Field, marks: &mut Marks<'_>) -> Result<Column, Fault> {
        let mut codes = Vec::with_capacity(array.len());
        values(array, name(field), |row, value| {
            let code = match value {
                Value::Missing if field.is_nullable() => Ok(NULL),
                Value::Text(text) if field.is_nullable() && rule::is_missing(text) => Ok(NULL),
                Value::Text(text) => match rule::address(text) {
                    Some(address) => Ok(self.addresses.code(address)),
                    None => Err(Reason::BadAddress),
                },
                _ => Err(Reason::BadAddress),
            };
            codes.push(code.unwrap_or(NULL));
            if let Err(reason) = code {
                marks.reject(row, reason, || format!("{} {}", name(field), value.show()).into());
            }
        })?;
        Ok(Column::Codes { codes, values: self.addresses.values()? })
    }

    fn texts(&mut self, array: &ArrayRef, field: Field, marks: &mut Marks<'_>) -> Result<Column, Fault> {
        let mut codes = Vec::with_capacity(array.len());
        values(array, name(field), |row, value| {
            let shown;
            let text = match &value {
                Value::Missing => b"-",
                Value::Text(text) => *text,
                // An account id without its quotes; AWS's have twelve digits.
                Value::Signed(number) => {
                    shown = format!("{number:012}");
                    shown.as_bytes()
                }
                other => {
                    shown = other.show();
                    shown.as_bytes()
                }
            };
            codes.push(if rule::is_missing(text) {
                NULL
            } else if rule::is_text(text) {
                self.texts.code(text)
            } else {
                marks.reject(row, Reason::BadText, || format!("{} {}", name(field), value.show()).into());
                NULL
            });
        })?;
        Ok(Column::Codes { codes, values: self.texts.values()? })
    }
}

fn numbers(
    array: &ArrayRef,
    field: &'static str,
    rule: Rule,
    marks: &mut Marks<'_>,
    mut push: impl FnMut(u64),
) -> Result<(), Fault> {
    values(array, field, |row, value| {
        let number = value.number(rule);
        push(number.unwrap_or(0));
        if let Err(reason) = number {
            marks.reject(row, reason, || format!("{field} {}", value.show()).into());
        }
    })
}

/// Goes through the values of an array of any type a flow log may have.
fn values(array: &ArrayRef, field: &'static str, mut each: impl FnMut(usize, Value<'_>)) -> Result<(), Fault> {
    macro_rules! each_of {
        ($typed:expr, $value:expr) => {
            for (row, value) in $typed.iter().enumerate() {
                each(row, value.map_or(Value::Missing, $value));
            }
        };
    }
    match array.data_type() {
        DataType::Int8 => each_of!(array.as_primitive::<Int8Type>(), |value| Value::Signed(value.into())),
        DataType::Int16 => each_of!(array.as_primitive::<Int16Type>(), |value| Value::Signed(value.into())),
        DataType::Int32 => each_of!(array.as_primitive::<Int32Type>(), |value| Value::Signed(value.into())),
        DataType::Int64 => each_of!(array.as_primitive::<Int64Type>(), Value::Signed),
        DataType::UInt8 => each_of!(array.as_primitive::<UInt8Type>(), |value| Value::Unsigned(value.into())),
        DataType::UInt16 => each_of!(array.as_primitive::<UInt16Type>(), |value| Value::Unsigned(value.into())),
        DataType::UInt32 => each_of!(array.as_primitive::<UInt32Type>(), |value| Value::Unsigned(value.into())),
        DataType::UInt64 => each_of!(array.as_primitive::<UInt64Type>(), Value::Unsigned),
        DataType::Float32 => each_of!(array.as_primitive::<Float32Type>(), |value| Value::Double(value.into())),
        DataType::Float64 => each_of!(array.as_primitive::<Float64Type>(), Value::Double),
        DataType::Utf8 => each_of!(array.as_string::<i32>(), |value: &str| Value::Text(value.as_bytes())),
        DataType::Binary => each_of!(array.as_binary::<i32>(), Value::Text),
        other => return Err(Fault::WrongType { field, found: other.to_string() }),
    }
    Ok(())
}

/// An object as the `parquet` crate wants to read it.
struct Ranges {
    object: Arc<dyn Object>,
}

impl Length for Ranges {
    fn len(&self) -> u64 {
        self.object.size()
    }
}

impl ChunkReader for Ranges {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ::parquet::errors::Result<Self::T> {
        let len = self.object.size().saturating_sub(start).min(READ_AHEAD_BYTES);
        Ok(self.get_bytes(start, len as usize)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ::parquet::errors::Result<Bytes> {
        if start.saturating_add(length as u64) > self.object.size() {
            return Err(ParquetError::EOF("a column reaches past the end of the object".to_owned()));
        }
        self.object.read_at(start, length).map_err(|error| ParquetError::External(error.into()))
    }
}
