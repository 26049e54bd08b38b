//! Objects made for tests: the same records as text and as Parquet of every variant.

use std::io::Write;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use arrow_array::{
    ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
};

use super::*;

/// The fields of all test records, as AWS spells them, with what AWS's Parquet makes of them.
pub(super) const FIELDS: [(&str, Kind); 24] = [
    ("version", Kind::I32),
    ("account-id", Kind::Text),
    ("interface-id", Kind::Text),
    ("srcaddr", Kind::Text),
    ("dstaddr", Kind::Text),
    ("srcport", Kind::I32),
    ("dstport", Kind::I32),
    ("protocol", Kind::I32),
    ("packets", Kind::I64),
    ("bytes", Kind::I64),
    ("start", Kind::I64),
    ("end", Kind::I64),
    ("action", Kind::Text),
    ("log-status", Kind::Text),
    ("vpc-id", Kind::Text),
    ("subnet-id", Kind::Text),
    ("tcp-flags", Kind::I32),
    ("pkt-srcaddr", Kind::Text),
    ("pkt-dstaddr", Kind::Text),
    ("region", Kind::Text),
    ("pkt-dst-aws-service", Kind::Text),
    ("flow-direction", Kind::Text),
    ("traffic-path", Kind::I32),
    ("next-hop-interface-type", Kind::Text),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    I32,
    I64,
    Text,
}

/// One record: a value per field, `None` for `-`.
pub(super) type Record = Vec<Option<String>>;

/// A good record.
pub(super) fn record() -> Record {
    let line = "5 123456789012 eni-0a1b2c3d4e5f60718 10.0.0.5 203.0.113.7 49152 443 6 10 8400 1760000000 1760000059 ACCEPT OK \
                vpc-1 subnet-1 3 10.0.0.5 203.0.113.7 eu-west-1 - egress 8 -";
    line.split_whitespace().map(|token| (token != "-").then(|| token.to_owned())).collect()
}

/// The same with other values.
pub(super) fn record_with(changes: &[(&str, &str)]) -> Record {
    let mut record = record();
    for (name, value) in changes {
        let at = FIELDS.iter().position(|(field, _)| field == name).unwrap();
        record[at] = (*value != "-").then(|| (*value).to_owned());
    }
    record
}

/// A record that says there was no traffic, as AWS writes it.
pub(super) fn silent(status: &str) -> Record {
    let kept = ["version", "account-id", "interface-id", "start", "end"];
    let mut record = record();
    for ((name, _), value) in FIELDS.iter().zip(&mut record) {
        if *name == "log-status" {
            *value = Some(status.to_owned());
        } else if !kept.contains(name) {
            *value = None;
        }
    }
    record
}

pub(super) fn text(records: &[Record]) -> Vec<u8> {
    let mut lines = vec![FIELDS.map(|(name, _)| name).join(" ")];
    lines.extend(
        records
            .iter()
            .map(|record| record.iter().map(|value| value.as_deref().unwrap_or("-")).collect::<Vec<_>>().join(" ")),
    );
    lines.join("\n").into_bytes().into_iter().chain(*b"\n").collect()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// How Parquet is written.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own that writers have")]
pub(super) struct Variant {
    pub(super) codec: Codec,
    pub(super) has_dictionary: bool,
    pub(super) is_v2: bool,
    /// Delta encodings where there is no dictionary.
    pub(super) is_delta: bool,
    pub(super) page_rows: usize,
    /// The dictionary page may have so many bytes; after that, pages are plain.
    pub(super) dictionary_bytes: usize,
    pub(super) group_rows: usize,
    /// Missing strings are null; else the literal `-`, as AWS writes them.
    pub(super) has_null_text: bool,
    pub(super) texts: Texts,
    pub(super) numbers: Numbers,
    pub(super) has_hyphens: bool,
    pub(super) is_reversed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Codec {
    None,
    Gzip,
    Snappy,
    Zstd,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Texts {
    Utf8,
    LargeUtf8,
    Binary,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers {
    /// As AWS writes them.
    Own,
    I64,
    Double,
    Text,
}

/// As close to AWS's as this writer comes.
pub(super) const LIKE_AWS: Variant = Variant {
    codec: Codec::Gzip,
    has_dictionary: true,
    is_v2: false,
    is_delta: false,
    page_rows: 20_000,
    dictionary_bytes: 1 << 20,
    group_rows: 1 << 20,
    has_null_text: false,
    texts: Texts::Utf8,
    numbers: Numbers::Own,
    has_hyphens: false,
    is_reversed: false,
};

pub(super) fn parquet(records: &[Record], variant: Variant) -> Vec<u8> {
    let mut columns: Vec<(String, ArrayRef, bool)> = FIELDS
        .iter()
        .enumerate()
        .map(|(at, (name, kind))| {
            let values: Vec<Option<&str>> = records.iter().map(|record| record[at].as_deref()).collect();
            let name = if variant.has_hyphens { (*name).to_owned() } else { name.replace('-', "_") };
            (name, column(&values, *kind, variant), true)
        })
        .collect();
    if variant.is_reversed {
        columns.reverse();
    }
    write(&RecordBatch::try_from_iter_with_nullable(columns).unwrap(), variant)
}

pub(super) fn write(batch: &RecordBatch, variant: Variant) -> Vec<u8> {
    let mut properties = WriterProperties::builder()
        .set_compression(match variant.codec {
            Codec::None => Compression::UNCOMPRESSED,
            Codec::Gzip => Compression::GZIP(GzipLevel::default()),
            Codec::Snappy => Compression::SNAPPY,
            Codec::Zstd => Compression::ZSTD(ZstdLevel::default()),
        })
        .set_dictionary_enabled(variant.has_dictionary)
        .set_dictionary_page_size_limit(variant.dictionary_bytes)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(variant.page_rows)
        .set_write_batch_size(variant.page_rows.min(1024))
        .set_max_row_group_row_count(Some(variant.group_rows))
        .set_writer_version(if variant.is_v2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 });
    if !variant.has_dictionary {
        for field in batch.schema().fields() {
            let is_number = field.data_type().is_integer();
            let is_text = matches!(field.data_type(), arrow_schema::DataType::Utf8);
            let encoding = match variant.is_delta {
                true if is_number => Encoding::DELTA_BINARY_PACKED,
                true if is_text => Encoding::DELTA_BYTE_ARRAY,
                _ => Encoding::PLAIN,
            };
            properties = properties.set_column_encoding(field.name().as_str().into(), encoding);
        }
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn column(values: &[Option<&str>], kind: Kind, variant: Variant) -> ArrayRef {
    let numbers = || values.iter().map(|value| value.map(|value| value.parse::<i64>().unwrap()));
    match (kind, variant.numbers) {
        (Kind::Text, _) | (_, Numbers::Text) => {
            // pandas writes missing numbers as `None` among strings, AWS missing strings as `-`.
            let missing = if kind == Kind::Text { "-" } else { "None" };
            let values =
                values.iter().map(|value| if variant.has_null_text { *value } else { value.or(Some(missing)) });
            match variant.texts {
                Texts::Utf8 => Arc::new(values.collect::<StringArray>()),
                Texts::LargeUtf8 => Arc::new(values.collect::<LargeStringArray>()),
                Texts::Binary => Arc::new(values.map(|value| value.map(str::as_bytes)).collect::<BinaryArray>()),
            }
        }
        (Kind::I32, Numbers::Own) => {
            Arc::new(numbers().map(|value| value.map(|value| value as i32)).collect::<Int32Array>())
        }
        (_, Numbers::Own | Numbers::I64) => Arc::new(numbers().collect::<Int64Array>()),
        (_, Numbers::Double) => {
            Arc::new(numbers().map(|value| value.map(|value| value as f64)).collect::<Float64Array>())
        }
    }
}
