//! Page headers: what a Parquet file's pages say of their size, checked before a decoder believes it.
//!
//! Where it sits: before any page of a file is decoded. A decoder reserves what a header asks for; a header of thirty
//! bytes can ask for gigabytes, and failing to get them ends the process.
//! What it does not do: it decodes no page.
//!
//! Reference: <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>, `PageHeader`, and
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;

/// Most bytes of a page once inflated. Writers aim at one megabyte.
const MAX_PAGE_BYTES: i64 = 64 << 20;

/// Encodings of a data page that take no more room than the page has bytes or the row group rows: plain, run lengths,
/// and a dictionary under its old and its new number. The delta encodings say how many values they hold in their own
/// words.
const ENCODINGS: [i64; 4] = [0, 3, 2, 8];

/// Deepest nesting of structs in a header: the format has three.
const MAX_DEPTH: u32 = 8;

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

fn check_chunk(mut chunk: &[u8]) -> Option<()> {
    while !chunk.is_empty() {
        let header = header(&mut chunk)?;
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
        chunk = chunk.get(usize::try_from(header.stored?).ok()?..)?;
    }
    Some(())
}

#[derive(Default)]
struct Header {
    inflated: Option<i64>,
    stored: Option<i64>,
    n_values_of_dictionary: Option<i64>,
    encoding: Option<i64>,
}

/// Takes a page's header off the front.
fn header(bytes: &mut &[u8]) -> Option<Header> {
    let mut out = Header::default();
    let mut id = 0;
    loop {
        match (field(bytes, &mut id)?, id) {
            (Kind::Stop, _) => return Some(out),
            (Kind::I32, 2) => out.inflated = Some(zigzag(bytes)?),
            (Kind::I32, 3) => out.stored = Some(zigzag(bytes)?),
            // The headers of a data page, a dictionary and a data page of the second version.
            (Kind::Struct, 5) => numbers(bytes, 2, &mut out.encoding)?,
            (Kind::Struct, 7) => numbers(bytes, 1, &mut out.n_values_of_dictionary)?,
            (Kind::Struct, 8) => numbers(bytes, 4, &mut out.encoding)?,
            (kind, _) => skip(bytes, kind, 1)?,
        }
    }
}

/// Takes a struct off the front, and finds its number of that id if it has one.
fn numbers(bytes: &mut &[u8], wanted: i64, found: &mut Option<i64>) -> Option<()> {
    let mut id = 0;
    loop {
        match field(bytes, &mut id)? {
            Kind::Stop => return Some(()),
            Kind::I32 if id == wanted => *found = Some(zigzag(bytes)?),
            kind => skip(bytes, kind, 2)?,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The end of a struct.
    Stop,
    Bool,
    I8,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List,
    Map,
    Struct,
}

impl Kind {
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 | 2 => Self::Bool,
            3 => Self::I8,
            4 => Self::I16,
            5 => Self::I32,
            6 => Self::I64,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            _ => return None,
        })
    }
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..10 {
        let next = byte(bytes)?;
        number |= u64::from(next & 0x7f).checked_shl(7 * at)?;
        if next < 0x80 {
            return Some(number);
        }
    }
    None
}

fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let number = varint(bytes)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

/// Takes the beginning of a field. `id` goes from field to field.
fn field(bytes: &mut &[u8], id: &mut i64) -> Option<Kind> {
    let begin = byte(bytes)?;
    if begin == 0 {
        return Some(Kind::Stop);
    }
    *id = if begin >> 4 == 0 { zigzag(bytes)? } else { id.checked_add(i64::from(begin >> 4))? };
    Kind::of(begin & 15)
}

fn skip(bytes: &mut &[u8], kind: Kind, depth: u32) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    match kind {
        // The value is in the kind.
        Kind::Bool | Kind::Stop => {}
        Kind::I8 => drop(byte(bytes)?),
        Kind::I16 | Kind::I32 | Kind::I64 => drop(varint(bytes)?),
        Kind::Double => *bytes = bytes.get(8..)?,
        Kind::Binary => {
            let len = usize::try_from(varint(bytes)?).ok()?;
            *bytes = bytes.get(len..)?;
        }
        Kind::List => {
            let begin = byte(bytes)?;
            let len = if begin >> 4 == 15 { varint(bytes)? } else { u64::from(begin >> 4) };
            let kind = Kind::of(begin & 15)?;
            for _ in 0..len {
                skip_element(bytes, kind, depth)?;
            }
        }
        Kind::Map => {
            let len = varint(bytes)?;
            if len > 0 {
                let kinds = byte(bytes)?;
                for _ in 0..len {
                    skip_element(bytes, Kind::of(kinds >> 4)?, depth)?;
                    skip_element(bytes, Kind::of(kinds & 15)?, depth)?;
                }
            }
        }
        Kind::Struct => {
            let mut id = 0;
            loop {
                match field(bytes, &mut id)? {
                    Kind::Stop => break,
                    kind => skip(bytes, kind, depth + 1)?,
                }
            }
        }
    }
    Some(())
}

/// In a list a truth value is a byte of its own; so each element takes at least one, and any length comes to an end.
fn skip_element(bytes: &mut &[u8], kind: Kind, depth: u32) -> Option<()> {
    if kind == Kind::Bool { byte(bytes).map(drop) } else { skip(bytes, kind, depth + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header of a dictionary page of so many bytes and values, and its page.
    fn page(inflated: i32, stored: i32, n_values: i32) -> Vec<u8> {
        let number = |n: i32| {
            let mut rest = (n as u32) << 1 ^ (n >> 31) as u32;
            let mut out = Vec::new();
            while rest >= 0x80 {
                out.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            out.push(rest as u8);
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
