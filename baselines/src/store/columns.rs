//! Columns: how each column of a stored table is named, typed and written.
//!
//! Where it sits: the tables say their columns in these words; [`super::page`] reads them back.
//! What it does not do: it knows no table.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, Date32Array, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::error::Error;
use crate::known::{Known, Totals, Volumes};
use crate::window::{Day, Window};

/// Rows of a row group: what one thread decodes at a time, some megabytes.
pub(super) const GROUP_ROWS: usize = 1 << 16;

/// Most rows of a table: 67 million, far above functions × destinations of any account, and a bound for what a hostile
/// file may ask for.
pub(super) const MAX_ROWS: usize = 1 << 26;

/// Key of the format's version in a file's key-value metadata.
pub(super) const SCHEMA_KEY: &str = "callout.schema";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text of few distinct values: names of owners and networks. Read as dictionary codes.
    Name,
    /// An address: text, hardly ever the same twice.
    Address,
    /// Any other text.
    Text,
    U8,
    U16,
    U32,
    U64,
    F64,
    /// A moment; milliseconds, since Parquet knows no seconds, UTC.
    Time,
    Day,
    Bytes,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether a row may lack it.
    pub(super) optional: bool,
}

/// A column every row has.
pub(super) const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: false }
}

/// A column rows may lack.
pub(super) const fn optional(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: true }
}

/// The columns of a [`Known`].
pub(super) const KNOWN: &[Column] = &[
    column("first", Kind::Time),
    column("last", Kind::Time),
    column("n_windows", Kind::U32),
    column("n_days", Kind::U32),
];

/// The columns of [`Volumes`].
pub(super) const VOLUMES: &[Column] = &[
    column("window_bytes", Kind::Bytes),
    column("window_flows", Kind::Bytes),
    column("flow_bytes_out", Kind::Bytes),
    column("most_flow_bytes_in", Kind::U64),
    column("day_bytes", Kind::Bytes),
    column("open_window", Kind::Time),
    column("open_window_flows", Kind::U64),
    column("open_window_bytes_out", Kind::U64),
    column("open_window_bytes_in", Kind::U64),
    column("open_window_peers", Kind::U64),
    column("open_day", Kind::Day),
    column("open_day_flows", Kind::U64),
    column("open_day_bytes_out", Kind::U64),
    column("open_day_bytes_in", Kind::U64),
    column("open_day_peers", Kind::U64),
    column("first_day", Kind::Day),
    column("first_day_flows", Kind::U64),
    column("first_day_bytes_out", Kind::U64),
    column("first_day_bytes_in", Kind::U64),
    column("first_day_peers", Kind::U64),
];

impl Kind {
    /// The type any Arrow reader sees.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Name | Self::Address | Self::Text => DataType::Utf8,
            Self::U8 => DataType::UInt8,
            Self::U16 => DataType::UInt16,
            Self::U32 => DataType::UInt32,
            Self::U64 => DataType::UInt64,
            Self::F64 => DataType::Float64,
            Self::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Day => DataType::Date32,
            Self::Bytes => DataType::Binary,
        }
    }
}

/// The schema of columns, as any Arrow reader sees it.
pub(super) fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| Field::new(column.name, column.kind.data_type(), column.optional);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// A moment as it is stored.
pub(super) fn millis(unix_secs: i64) -> i64 {
    const FURTHEST_SECS: i64 = i64::MAX / 1000;
    unix_secs.clamp(-FURTHEST_SECS, FURTHEST_SECS) * 1000
}

/// A table being written, column after column in the order declared.
pub(super) struct Sheet<'a> {
    file: &'a str,
    columns: &'a [Column],
    arrays: Vec<ArrayRef>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(file: &'a str, columns: &'a [Column]) -> Self {
        Self { file, columns, arrays: Vec::with_capacity(columns.len()) }
    }

    pub(super) fn text<T: AsRef<str>>(&mut self, values: impl Iterator<Item = T>) {
        self.arrays.push(Arc::new(StringArray::from_iter_values(values)));
    }

    pub(super) fn optional_text<T: AsRef<str>>(&mut self, values: impl Iterator<Item = Option<T>>) {
        self.arrays.push(Arc::new(values.collect::<StringArray>()));
    }

    pub(super) fn bytes<T: AsRef<[u8]>>(&mut self, values: impl Iterator<Item = T>) {
        self.arrays.push(Arc::new(BinaryArray::from_iter_values(values)));
    }

    pub(super) fn u8(&mut self, values: impl Iterator<Item = u8>) {
        self.arrays.push(Arc::new(UInt8Array::from_iter_values(values)));
    }

    pub(super) fn u16(&mut self, values: impl Iterator<Item = u16>) {
        self.arrays.push(Arc::new(UInt16Array::from_iter_values(values)));
    }

    pub(super) fn u32(&mut self, values: impl Iterator<Item = u32>) {
        self.arrays.push(Arc::new(UInt32Array::from_iter_values(values)));
    }

    pub(super) fn u64(&mut self, values: impl Iterator<Item = u64>) {
        self.arrays.push(Arc::new(UInt64Array::from_iter_values(values)));
    }

    pub(super) fn f64(&mut self, values: impl Iterator<Item = f64>) {
        self.arrays.push(Arc::new(Float64Array::from_iter_values(values)));
    }

    pub(super) fn secs(&mut self, values: impl Iterator<Item = i64>) {
        self.arrays
            .push(Arc::new(TimestampMillisecondArray::from_iter_values(values.map(millis)).with_timezone("UTC")));
    }

    pub(super) fn optional_secs(&mut self, values: impl Iterator<Item = Option<i64>>) {
        let values = values.map(|secs| secs.map(millis));
        self.arrays.push(Arc::new(values.collect::<TimestampMillisecondArray>().with_timezone("UTC")));
    }

    pub(super) fn windows(&mut self, values: impl Iterator<Item = Window>) {
        self.secs(values.map(Window::start));
    }

    pub(super) fn days(&mut self, values: impl Iterator<Item = Day>) {
        self.arrays.push(Arc::new(Date32Array::from_iter_values(values.map(|day| day.0 as i32))));
    }

    /// The columns [`KNOWN`].
    pub(super) fn known<'k>(&mut self, values: impl Iterator<Item = &'k Known> + Clone) {
        self.windows(values.clone().map(|known| known.first));
        self.windows(values.clone().map(|known| known.last));
        self.u32(values.clone().map(|known| known.n_windows));
        self.u32(values.map(|known| known.n_days));
    }

    /// The columns [`VOLUMES`].
    pub(super) fn volumes<'k>(&mut self, values: impl Iterator<Item = &'k Volumes> + Clone) {
        self.bytes(values.clone().map(|v| v.window_bytes().encode()));
        self.bytes(values.clone().map(|v| v.window_flows().encode()));
        self.bytes(values.clone().map(|v| v.flow_bytes_out().encode()));
        self.u64(values.clone().map(|v| v.most_flow_bytes_in));
        self.bytes(values.clone().map(|v| v.day_bytes().encode()));
        self.windows(values.clone().map(|v| v.open_window.0));
        self.totals(values.clone().map(|v| v.open_window.1));
        self.days(values.clone().map(|v| v.open_day.0));
        self.totals(values.clone().map(|v| v.open_day.1));
        self.days(values.clone().map(|v| v.first_day().0));
        self.totals(values.map(|v| v.first_day().1));
    }

    fn totals(&mut self, values: impl Iterator<Item = Totals> + Clone) {
        self.u64(values.clone().map(|totals| totals.n_flows.into()));
        self.u64(values.clone().map(|totals| totals.bytes_out));
        self.u64(values.clone().map(|totals| totals.bytes_in));
        self.u64(values.map(|totals| totals.n_peers.into()));
    }

    /// The table as Parquet, with facts of it as key-value metadata.
    pub(super) fn finish(self, facts: &[(&str, &str)]) -> Result<Bytes, Error> {
        let mut writer = Writer::new(self.file, self.columns, facts)?;
        writer.write(self)?;
        writer.finish()
    }
}

/// A large table being written, [`GROUP_ROWS`] rows at a time, so that no more of it than those is ever unfolded.
pub(super) struct Writer<'a> {
    file: &'a str,
    columns: &'a [Column],
    inner: ArrowWriter<Vec<u8>>,
    n_rows: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(file: &'a str, columns: &'a [Column], facts: &[(&str, &str)]) -> Result<Self, Error> {
        let inner = open(columns, facts).map_err(|source| Error::Write { origin: file.into(), source })?;
        Ok(Self { file, columns, inner, n_rows: 0 })
    }

    /// A sheet for the next rows.
    pub(super) fn sheet(&self) -> Sheet<'a> {
        Sheet::new(self.file, self.columns)
    }

    /// Writes the rows of a sheet behind those before.
    pub(super) fn write(&mut self, sheet: Sheet<'_>) -> Result<(), Error> {
        let origin = || self.file.to_owned();
        self.n_rows += sheet.arrays.first().map_or(0, |array| array.len());
        if self.n_rows > MAX_ROWS {
            return Err(Error::TooLarge { origin: origin(), n_rows: self.n_rows, max_rows: MAX_ROWS });
        }
        let batch = RecordBatch::try_new(schema(self.columns), sheet.arrays).map_err(ParquetError::from);
        let written = batch.and_then(|batch| self.inner.write(&batch));
        written.map_err(|source| Error::Write { origin: origin(), source })
    }

    /// Writes all rows, a sheet of [`GROUP_ROWS`] at a time, and gives the table.
    pub(super) fn table<R>(mut self, rows: &[R], fill: impl Fn(&mut Sheet<'_>, &[R])) -> Result<Bytes, Error> {
        for rows in rows.chunks(GROUP_ROWS) {
            let mut sheet = self.sheet();
            fill(&mut sheet, rows);
            self.write(sheet)?;
        }
        self.finish()
    }

    /// The table as Parquet.
    pub(super) fn finish(self) -> Result<Bytes, Error> {
        let origin = self.file;
        let bytes = self.inner.into_inner().map_err(|source| Error::Write { origin: origin.into(), source })?;
        Ok(bytes.into())
    }
}

fn open(columns: &[Column], facts: &[(&str, &str)]) -> Result<ArrowWriter<Vec<u8>>, ParquetError> {
    let facts = facts.iter().map(|&(key, value)| KeyValue::new(key.to_owned(), value.to_owned())).collect();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_key_value_metadata(Some(facts));
    for column in columns.iter().filter(|column| column.kind == Kind::Address) {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column.name), false);
    }
    // Without Arrow's own schema in the footer the types are Parquet's, the same for any tool.
    let options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), schema(columns), options)
}
