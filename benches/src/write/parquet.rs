//! Parquet objects with the types of AWS's own: INT32, INT64 and strings, all optional, a missing string `-`, a missing
//! number NULL.
//!
//! AWS writes with parquet-avro: gzip pages of about 1 MiB (data page version 1), dictionaries, one row group.

use std::sync::Arc;

use anyhow::Context as _;
use arrow_array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch,
    builder::{GenericStringBuilder, StringBuilder},
};
use arrow_schema::{DataType, Schema, SchemaRef};
use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, GzipLevel},
    file::properties::{EnabledStatistics, WriterProperties, WriterVersion},
};

use super::fields::{Field, Labels, Storage, version};
use crate::traffic::Record;

/// Rows handed to the writer at a time; bounds memory, leaves no trace in the file.
const BATCH_ROWS: usize = 65_536;
/// parquet-mr's default page and dictionary size, in bytes.
const PAGE_BYTES: usize = 1 << 20;
/// parquet-mr's default limit of rows in a page.
const PAGE_ROWS: usize = 20_000;

/// Renders one object.
pub(super) fn render(labels: &Labels, columns: &[Field], records: &[Record]) -> anyhow::Result<Vec<u8>> {
    let schema = schema(columns);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options())
        .context("starting a Parquet object")?;
    for rows in records.chunks(BATCH_ROWS) {
        writer.write(&batch(labels, &schema, columns, rows)?).context("writing rows to a Parquet object")?;
    }
    writer.into_inner().context("finishing a Parquet object")
}

fn options() -> ArrowWriterOptions {
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::GZIP(GzipLevel::default()))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .build();
    ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true)
}

fn schema(columns: &[Field]) -> SchemaRef {
    let field = |column: &Field| {
        let data_type = match column.storage() {
            Storage::Int32 => DataType::Int32,
            Storage::Int64 => DataType::Int64,
            Storage::Text => DataType::Utf8,
        };
        arrow_schema::Field::new(column.name().replace('-', "_"), data_type, true)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn batch(labels: &Labels, schema: &SchemaRef, columns: &[Field], rows: &[Record]) -> anyhow::Result<RecordBatch> {
    let version = version(columns);
    let arrays = columns.iter().map(|column| -> ArrayRef {
        let numbers = rows.iter().map(|r| column.number(r, version));
        match column.storage() {
            // Every 32-bit field is a port, a protocol, a small code: it fits.
            Storage::Int32 => Arc::new(numbers.map(|n| n.map(|n| n as i32)).collect::<Int32Array>()),
            Storage::Int64 => Arc::new(numbers.collect::<Int64Array>()),
            Storage::Text => Arc::new(strings(labels, *column, rows)),
        }
    });
    RecordBatch::try_new(Arc::clone(schema), arrays.collect()).context("making a batch of rows")
}

fn strings(labels: &Labels, column: Field, rows: &[Record]) -> arrow_array::StringArray {
    let mut builder: StringBuilder = GenericStringBuilder::with_capacity(rows.len(), rows.len() * 12);
    let mut value = String::new();
    for row in rows {
        value.clear();
        column.text(row, labels, &mut value);
        builder.append_value(&value);
    }
    builder.finish()
}
