//! Page headers: the few fields that reading a flat column needs.
//!
//! Where it sits: under `pages`.
//! What it does not do: it never fails on fields it does not know.

use baselines::thrift::{FALSE, I32, STRUCT, Stop, TRUE, Thrift};

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dictionary,
    DataV1 {
        level_encoding: i32,
    },
    DataV2 {
        n_nulls: i32,
        level_bytes: i32,
        repetition_bytes: i32,
        is_compressed: bool,
    },
    /// An index page: nothing reads it.
    Other,
}

/// A page's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) n_values: usize,
    /// As Parquet numbers encodings; what they mean is `page`'s.
    pub(super) encoding: i32,
    pub(super) inflated_bytes: usize,
    pub(super) stored_bytes: usize,
    /// CRC-32 of the body as it is stored, where the writer gave one.
    pub(super) checksum: Option<u32>,
    /// The length of the header itself.
    pub(super) own_bytes: usize,
}

/// Parses the header at the start of the bytes.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, Stop> {
    let mut thrift = Thrift { left: bytes };
    let (mut kind, mut inflated, mut stored, mut checksum) = (None, None, None, None);
    let (mut data, mut data_v2, mut dictionary) = ([0; 3], [0; 6], [0; 2]);
    let mut is_compressed = true;
    thrift.fields(|thrift, id, wire| {
        match (id, wire) {
            (1, I32) => kind = Some(thrift.i32()?),
            (2, I32) => inflated = Some(thrift.i32()?),
            (3, I32) => stored = Some(thrift.i32()?),
            (4, I32) => checksum = Some(thrift.i32()?.cast_unsigned()),
            (5, STRUCT) => thrift.numbers(&mut data)?,
            (7, STRUCT) => thrift.numbers(&mut dictionary)?,
            (8, STRUCT) => thrift.fields(|thrift, id, wire| {
                match (usize::from(id.wrapping_sub(1)), wire) {
                    (6, TRUE) => is_compressed = true,
                    (6, FALSE) => is_compressed = false,
                    (at, I32) => match data_v2.get_mut(at) {
                        Some(number) => *number = thrift.i32()?,
                        None => thrift.skip(wire)?,
                    },
                    _ => thrift.skip(wire)?,
                }
                Ok(())
            })?,
            _ => thrift.skip(wire)?,
        }
        Ok(())
    })?;
    let [data_values, data_encoding, level_encoding] = data;
    let [v2_values, n_nulls, _, v2_encoding, level_bytes, repetition_bytes] = data_v2;
    let [dictionary_values, dictionary_encoding] = dictionary;
    let (kind, n_values, encoding) = match kind {
        Some(0) => (Kind::DataV1 { level_encoding }, data_values, data_encoding),
        Some(2) => (Kind::Dictionary, dictionary_values, dictionary_encoding),
        Some(3) => (Kind::DataV2 { n_nulls, level_bytes, repetition_bytes, is_compressed }, v2_values, v2_encoding),
        Some(_) => (Kind::Other, 0, 0),
        None => return Err(Stop::Corrupt),
    };
    let size = |size: Option<i32>| usize::try_from(size.unwrap_or(-1)).map_err(|_| Stop::Corrupt);
    Ok(Header {
        kind,
        n_values: size(Some(n_values))?,
        encoding,
        inflated_bytes: size(inflated)?,
        stored_bytes: size(stored)?,
        checksum,
        own_bytes: bytes.len() - thrift.left.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data page header as parquet-mr writes it: V1, 300 values, dictionary encoding, statistics with a maximum.
    const DATA: [u8; 24] = [
        0x15, 0, 0x15, 0x80, 0x10, 0x15, 0x90, 0x08, 0x2c, 0x15, 0xd8, 0x04, 0x15, 0x04, 0x15, 0x06, 0x15, 0x06, 0x1c,
        0x18, 1, b'9', 0, 0,
    ];

    #[test]
    fn a_data_page() {
        let mut bytes = DATA.to_vec();
        assert_eq!(parse(&bytes), Err(Stop::NeedsMore));
        bytes.extend([0, 0xff, 0xff]);
        let expected = Header {
            kind: Kind::DataV1 { level_encoding: 3 },
            n_values: 300,
            encoding: 2,
            inflated_bytes: 1024,
            stored_bytes: 520,
            checksum: None,
            own_bytes: 25,
        };
        assert_eq!(parse(&bytes), Ok(expected));
        // With a checksum after the sizes; the next field's id is told by the difference.
        bytes.splice(8..9, [0x15, 0x01, 0x1c]);
        assert_eq!(parse(&bytes), Ok(Header { checksum: Some(u32::MAX), own_bytes: 27, ..expected }));
    }

    #[test]
    fn anything_else_stops() {
        assert_eq!(parse(&[]), Err(Stop::NeedsMore));
        assert_eq!(parse(&[0]), Err(Stop::Corrupt));
        assert_eq!(parse(&[0xff; 64]), Err(Stop::Corrupt));
        assert_eq!(parse(&[0x1c; 4096]), Err(Stop::Corrupt), "structs without end");
        assert_eq!(parse(&[0x15, 0, 0x15, 1, 0x15, 2, 0]), Err(Stop::Corrupt), "a negative size");
    }
}
