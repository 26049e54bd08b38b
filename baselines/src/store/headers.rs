//! Page headers: what a Parquet file's pages say of their size, checked before a decoder believes it.
//!
//! Where it sits: before any page of a file is decoded. A decoder reserves what a header asks for; a header of thirty
//! bytes can ask for gigabytes, and failing to get them ends the process.
//! What it does not do: it decodes no page.
//!
//! Reference: <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>, `PageHeader`.

use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;

use crate::thrift::{I32, STRUCT, Stop, Thrift};

/// Most bytes of a page once inflated. Writers aim at one megabyte.
const MAX_PAGE_BYTES: i32 = 64 << 20;

/// Encodings of a data page that take no more room than the page has bytes or the row group rows: plain, run lengths,
/// and a dictionary under its old and its new number. The delta encodings say how many values they hold in their own
/// words.
const ENCODINGS: [i32; 4] = [0, 3, 2, 8];

/// Checks all pages of a file; says what is wrong.
pub(super) fn check(bytes: &Bytes, metadata: &ParquetMetaData) -> Result<(), String> {
    for (group, columns) in metadata.row_groups().iter().enumerate() {
        for column in columns.columns() {
            let chunk = usize::try_from(column.data_page_offset())
                .ok()
                .into_iter()
                .chain(column.dictionary_page_offset().and_then(|at| usize::try_from(at).ok()))
                .min()
                .zip(usize::try_from(column.compressed_size()).ok())
                .and_then(|(start, len)| bytes.get(start..start.checked_add(len)?));
            let is_sane = chunk.is_some_and(|chunk| check_chunk(chunk).is_some());
            if !is_sane {
                return Err(format!("the pages of `{}` in row group {group} do not add up", column.column_path()));
            }
        }
    }
    Ok(())
}

fn check_chunk(chunk: &[u8]) -> Option<()> {
    let mut thrift = Thrift { left: chunk };
    while !thrift.left.is_empty() {
        let header = header(&mut thrift).ok()?;
        let n_bytes = header.inflated.filter(|n| (0..=MAX_PAGE_BYTES).contains(n))?;
        // A dictionary holds each of its values.
        let is_plausible = match (header.n_values_of_dictionary, header.encoding) {
            (Some(n_values), None) => (0..=n_bytes).contains(&n_values),
            (None, Some(encoding)) => ENCODINGS.contains(&encoding),
            _ => false,
        };
        if !is_plausible {
            return None;
        }
        thrift.left = thrift.left.get(usize::try_from(header.stored?).ok()?..)?;
    }
    Some(())
}

#[derive(Default)]
struct Header {
    inflated: Option<i32>,
    stored: Option<i32>,
    n_values_of_dictionary: Option<i32>,
    encoding: Option<i32>,
}

/// Takes a page's header off the front.
fn header(thrift: &mut Thrift<'_>) -> Result<Header, Stop> {
    let mut out = Header::default();
    thrift.fields(|thrift, id, wire| {
        match (id, wire) {
            (2, I32) => out.inflated = Some(thrift.i32()?),
            (3, I32) => out.stored = Some(thrift.i32()?),
            // The headers of a data page, a dictionary and a data page of the second version.
            (5, STRUCT) => number(thrift, 2, &mut out.encoding)?,
            (7, STRUCT) => number(thrift, 1, &mut out.n_values_of_dictionary)?,
            (8, STRUCT) => number(thrift, 4, &mut out.encoding)?,
            _ => thrift.skip(wire)?,
        }
        Ok(())
    })?;
    Ok(out)
}

/// Takes a struct off the front, and finds its number of that id if it has one.
fn number(thrift: &mut Thrift<'_>, wanted: u8, found: &mut Option<i32>) -> Result<(), Stop> {
    thrift.fields(|thrift, id, wire| {
        if (id, wire) != (wanted, I32) {
            return thrift.skip(wire);
        }
        *found = Some(thrift.i32()?);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leb128;
    use proptest::prelude::*;

    /// A header of a dictionary page of so many bytes and values, and its page.
    fn page(inflated: i32, stored: i32, n_values: i32) -> Vec<u8> {
        let number = |n: i32| {
            let mut out = Vec::new();
            leb128::put(&mut out, leb128::zigzag(n.into()));
            out
        };
        let fields = [&[0x15][..], &number(2), &[0x15], &number(inflated), &[0x15], &number(stored), &[0x4c, 0x15]];
        let mut out: Vec<u8> = fields.concat();
        out.extend(number(n_values));
        out.extend([0x15, 0, 0x00, 0x00]);
        out.extend(vec![7; stored.max(0) as usize]);
        out
    }

    #[test]
    fn what_a_header_may_ask_for_is_bounded() {
        let check = |bytes: &[u8], expected: bool| assert_eq!(check_chunk(bytes).is_some(), expected);
        check(&page(100, 40, 25), true);
        check(&[page(100, 40, 25), page(7, 3, 0)].concat(), true);
        check(&page(i32::MAX, 40, 25), false);
        check(&page(100, 40, i32::MAX), false);
        check(&page(-1, 40, 25), false);
        check(&page(100, -5, 25), false);
        check(&[0x1c; 4096], false); // Structs without end.
        let whole = page(100, 40, 25);
        for len in 1..whole.len() {
            check(&whole[..len], false);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _read = check_chunk(&bytes);
        }
    }
}
