//! Text objects: a header line of field names, one line a record, inside gzip.

use std::{fmt::Write as _, io::Write as _};

use flate2::{Compression, write::GzEncoder};

use super::fields::{Field, Labels, Storage, version};
use crate::traffic::Record;

/// Renders one object.
pub(super) fn render(labels: &Labels, columns: &[Field], records: &[Record]) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let header: Vec<&str> = columns.iter().map(|c| c.name()).collect();
    writeln!(gzip, "{}", header.join(" "))?;
    let version = version(columns);
    let mut line = String::new();
    for record in records {
        line.clear();
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                line.push(' ');
            }
            match (column.storage(), column.number(record, version)) {
                (Storage::Text, _) => column.text(record, labels, &mut line),
                // Writing to a String cannot fail.
                (_, Some(number)) => drop(write!(line, "{number}")),
                (_, None) => line.push('-'),
            }
        }
        line.push('\n');
        gzip.write_all(line.as_bytes())?;
    }
    gzip.finish()
}
