//! Page headers: the few fields of Thrift's compact form that reading a flat column needs.
//!
//! Where it sits: under `pages`.
//! What it does not do: it never fails on fields it does not know; it skips them, to a depth.

/// Why a header could not be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It goes on past the bytes at hand.
    NeedsMore,
    /// It is no page header.
    Corrupt,
}

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

/// How deep unknown structs may nest; page headers of today nest three deep.
const MAX_DEPTH: u32 = 16;

// Types of Thrift's compact protocol.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
pub(super) const I32: u8 = 5;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

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
                        None => thrift.skip(wire, 0)?,
                    },
                    _ => thrift.skip(wire, 0)?,
                }
                Ok(())
            })?,
            _ => thrift.skip(wire, 0)?,
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

/// A reader of Thrift's compact protocol.
pub(super) struct Thrift<'a> {
    pub(super) left: &'a [u8],
}

impl Thrift<'_> {
    fn byte(&mut self) -> Result<u8, Stop> {
        let (first, rest) = self.left.split_first().ok_or(Stop::NeedsMore)?;
        self.left = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Result<u64, Stop> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Stop::Corrupt)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Stop> {
        let number = self.varint()?;
        let number = (number >> 1) as i64 ^ -((number & 1) as i64);
        i32::try_from(number).map_err(|_| Stop::Corrupt)
    }

    fn advance(&mut self, n: u64) -> Result<(), Stop> {
        let n = usize::try_from(n).map_err(|_| Stop::Corrupt)?;
        self.left = self.left.get(n..).ok_or(Stop::NeedsMore)?;
        Ok(())
    }

    /// Goes through the fields of a struct; `each` reads the value.
    pub(super) fn fields(&mut self, mut each: impl FnMut(&mut Self, u8, u8) -> Result<(), Stop>) -> Result<(), Stop> {
        let mut id = 0_u8;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            id = match byte >> 4 {
                // Not by the delta from the field before: page headers have no such ids, so any other will do.
                0 => u8::try_from(self.i32()?).unwrap_or(u8::MAX),
                delta => id.checked_add(delta).ok_or(Stop::Corrupt)?,
            };
            each(self, id, byte & 0x0f)?;
        }
    }

    /// How many elements a list claims, and of which type.
    pub(super) fn list(&mut self) -> Result<(u64, u8), Stop> {
        let byte = self.byte()?;
        let n = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
        Ok((n, byte & 0x0f))
    }

    /// Reads a struct whose first fields are numbers.
    fn numbers(&mut self, into: &mut [i32]) -> Result<(), Stop> {
        self.fields(|thrift, id, wire| match (into.get_mut(usize::from(id.wrapping_sub(1))), wire) {
            (Some(number), I32) => {
                *number = thrift.i32()?;
                Ok(())
            }
            _ => thrift.skip(wire, 0),
        })
    }

    pub(super) fn skip(&mut self, wire: u8, depth: u32) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop::Corrupt);
        }
        match wire {
            TRUE | FALSE => Ok(()),
            3 => self.advance(1),
            4 | I32 | 6 => self.varint().map(drop),
            7 => self.advance(8),
            8 => {
                let n = self.varint()?;
                self.advance(n)
            }
            LIST | 10 => {
                let (n, of) = self.list()?;
                for _ in 0..n {
                    // In a list, unlike in a struct, a boolean takes a byte; so every element does, and this ends.
                    if matches!(of, TRUE | FALSE) {
                        self.advance(1)?;
                    } else {
                        self.skip(of, depth + 1)?;
                    }
                }
                Ok(())
            }
            STRUCT => self.fields(|thrift, _, wire| thrift.skip(wire, depth + 1)),
            _ => Err(Stop::Corrupt),
        }
    }
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
