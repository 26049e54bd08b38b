//! One data page of a flat column, at some row: levels, then values.
//!
//! Where it sits: under `numbers` and `codes`, which know what the values mean.
//! What it does not do: it does not interpret values.

use crate::read::parquet::header::{Header, Kind};
use crate::read::parquet::hybrid::{Hybrid, Sink, Skip};
use crate::read::parquet::{Fault, delta};
use crate::read::rule::MISSING;

// Encodings as Parquet numbers them.
pub(super) const PLAIN: i32 = 0;
pub(super) const PLAIN_DICTIONARY: i32 = 2;
pub(super) const RLE: i32 = 3;
pub(super) const BIT_PACKED: i32 = 4;
pub(super) const RLE_DICTIONARY: i32 = 8;

/// What a page of deltas may unfold to. Unfolding takes up to three times as much for a moment.
const MAX_UNFOLDED_BYTES: usize = 64 << 20;

/// How values are stored in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Physical {
    I32,
    I64,
    U32,
    U64,
    F32,
    F64,
    /// Times before or after 1970, so many units a second.
    Times {
        per_second: i64,
    },
    /// Nanoseconds of a day and its Julian day, in eight and four bytes: how Spark and Athena write times.
    Int96,
    /// A length of four bytes and so many bytes.
    Bytes,
}

impl Physical {
    /// The bytes of a value; `None` for text.
    pub(super) fn width(self) -> Option<usize> {
        match self {
            Self::I32 | Self::U32 | Self::F32 => Some(4),
            Self::I64 | Self::U64 | Self::F64 | Self::Times { .. } => Some(8),
            Self::Int96 => Some(12),
            Self::Bytes => None,
        }
    }

    /// Splits off the next `n` plain values.
    pub(super) fn split(self, bytes: &[u8], n: usize) -> Option<(&[u8], &[u8])> {
        if let Some(width) = self.width() {
            return bytes.split_at_checked(n.checked_mul(width)?);
        }
        let mut rest = bytes;
        for _ in 0..n {
            (_, rest) = split_text(rest)?;
        }
        bytes.split_at_checked(bytes.len() - rest.len())
    }
}

/// Splits off the next plain value of text.
pub(super) fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

/// How many times as long numbers are as text, at most: four bytes become some thirty.
pub(super) const SPELLED_TIMES: usize = 8;

/// Plain numbers as plain text; with at least the twelve digits of an account id, which lost its zeros as a number.
pub(super) fn spelled(physical: Physical, plain: &[u8]) -> Vec<u8> {
    let mut spelled = Vec::new();
    for bytes in physical.width().map(|width| plain.chunks_exact(width)).into_iter().flatten() {
        let bits = bytes.iter().rev().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let number = match physical {
            Physical::I32 => format!("{:012}", bits as i32),
            Physical::I64 => format!("{:012}", bits as i64),
            Physical::F32 => spelled_float(f64::from(f32::from_bits(bits as u32))),
            Physical::F64 => spelled_float(f64::from_bits(bits)),
            // No id is a time.
            Physical::U32 | Physical::U64 | Physical::Times { .. } | Physical::Int96 | Physical::Bytes => {
                format!("{bits:012}")
            }
        };
        spelled.extend((number.len() as u32).to_le_bytes());
        spelled.extend_from_slice(number.as_bytes());
    }
    spelled
}

/// The same of one that was a float on its way: NaN is how some writers say that a value is missing. What is no id is
/// kept short.
fn spelled_float(number: f64) -> String {
    if number.is_nan() {
        MISSING.to_owned()
    } else if number.fract().abs() > 0.0 || number.abs() >= 1e15 {
        format!("{number:e}")
    } else {
        format!("{number:012}")
    }
}

enum Levels {
    /// Every row has a value.
    Full,
    /// A level per row: 1 where there is a value.
    Mixed(Hybrid),
    /// A bit per row, from the most significant on, unlike everything else in Parquet: the deprecated form. The next
    /// row's.
    Bits { at: usize },
}

enum Values {
    Plain {
        at: usize,
    },
    Codes(Hybrid),
    /// Every row is null.
    None,
}

/// A data page.
pub(super) struct Page {
    /// The inflated body.
    pub(super) bytes: Vec<u8>,
    /// Rows not read yet.
    pub(super) n_left: usize,
    /// Values not read yet, where the header says how many rows are null.
    n_values_left: Option<usize>,
    levels: Levels,
    /// Where levels end: reading them stops there.
    levels_end: usize,
    values: Values,
}

/// The next rows of a page.
pub(super) struct Rows {
    /// How many there are.
    pub(super) n: usize,
    /// How many of them have a value. With fewer than `n`, the levels say which.
    pub(super) n_values: usize,
}

impl Page {
    /// A page without rows.
    pub(super) fn empty() -> Self {
        Self {
            bytes: Vec::new(),
            n_left: 0,
            n_values_left: None,
            levels: Levels::Full,
            levels_end: 0,
            values: Values::None,
        }
    }

    /// Starts a page whose body is in `bytes` already.
    pub(super) fn start(&mut self, header: &Header, is_optional: bool, physical: Physical) -> Result<(), Fault> {
        let n = header.n_values;
        let (levels_start, levels_end, encoding) = match header.kind {
            Kind::DataV2 { level_bytes, repetition_bytes, .. } => {
                let (start, len) = (usize::try_from(repetition_bytes), usize::try_from(level_bytes));
                let (Ok(start), Ok(len)) = (start, len) else { return Err(damaged()) };
                (start, start.saturating_add(len), RLE)
            }
            Kind::DataV1 { .. } if !is_optional => (0, 0, RLE),
            Kind::DataV1 { level_encoding: BIT_PACKED } => (0, n.div_ceil(8), BIT_PACKED),
            Kind::DataV1 { level_encoding: RLE } => {
                let Some((len, _)) = self.bytes.split_first_chunk::<4>() else { return Err(damaged()) };
                (4, (u32::from_le_bytes(*len) as usize).saturating_add(4), RLE)
            }
            Kind::DataV1 { level_encoding } => {
                return Err(Fault::Unsupported(format!("Parquet level encoding {level_encoding}")));
            }
            Kind::Dictionary | Kind::Other => return Err(damaged()),
        };
        let Some(levels) = self.bytes.get(..levels_end) else { return Err(damaged()) };
        self.levels = if !is_optional || matches!(header.kind, Kind::DataV2 { n_nulls: 0, .. }) {
            Levels::Full
        } else if encoding == BIT_PACKED {
            Levels::Bits { at: 0 }
        } else {
            let mut hybrid = Hybrid::new(1, levels_start)?;
            if hybrid.is_all(levels, 1, n)? { Levels::Full } else { Levels::Mixed(hybrid) }
        };
        self.levels_end = levels_end;
        self.n_left = n;
        self.n_values_left = match header.kind {
            Kind::DataV2 { n_nulls, .. } => {
                Some(usize::try_from(n_nulls).ok().and_then(|n_nulls| n.checked_sub(n_nulls)).ok_or_else(damaged)?)
            }
            _ => None,
        };
        self.values = match header.encoding {
            PLAIN => Values::Plain { at: levels_end },
            // In a data page, and never in a dictionary page, where the old name means plain.
            PLAIN_DICTIONARY | RLE_DICTIONARY => match self.bytes.get(levels_end) {
                Some(width) => Values::Codes(Hybrid::new(*width, levels_end + 1)?),
                None => Values::None,
            },
            other => {
                let encoded = self.bytes.get(levels_end..).unwrap_or_default();
                let plain = if encoded.is_empty() {
                    Vec::new()
                } else {
                    let plain = delta::to_plain(other, physical, encoded, n, MAX_UNFOLDED_BYTES)?;
                    plain.ok_or_else(|| Fault::Unsupported(format!("Parquet encoding {other} of this type")))?
                };
                self.bytes.truncate(levels_end);
                self.bytes.extend(plain);
                Values::Plain { at: levels_end }
            }
        };
        Ok(())
    }

    /// Whether values are stored as codes into the dictionary; else they are plain.
    pub(super) fn is_coded(&self) -> bool {
        !matches!(self.values, Values::Plain { .. })
    }

    /// Rewrites numbers as text, for ids that were written as numbers.
    pub(super) fn spell(&mut self, physical: Physical) {
        if let Values::Plain { at } = self.values {
            let spelled = spelled(physical, self.bytes.get(at..).unwrap_or_default());
            self.bytes.truncate(at);
            self.bytes.extend(spelled);
        }
    }

    /// Moves on by at most `n` rows. Where some have no value, `levels` is set to one level per row.
    pub(super) fn rows(&mut self, n: usize, levels: &mut Vec<u32>) -> Result<Rows, Fault> {
        let n = n.min(self.n_left);
        self.n_left -= n;
        let n_values = match &mut self.levels {
            Levels::Full => n,
            Levels::Mixed(hybrid) => {
                levels.clear();
                hybrid.read(self.bytes.get(..self.levels_end).unwrap_or_default(), n, levels)?;
                levels.iter().map(|level| *level as usize).sum()
            }
            Levels::Bits { at } => {
                let packed = self.bytes.get(..self.levels_end).unwrap_or_default();
                let bit = |row: usize| packed.get(row / 8).map_or(0, |byte| u32::from(byte >> (7 - row % 8) & 1));
                levels.clear();
                levels.extend((*at..*at + n).map(bit));
                *at += n;
                levels.iter().map(|level| *level as usize).sum()
            }
        };
        // A level is one bit, but a run of levels stores a byte.
        if n_values > n {
            return Err(damaged());
        }
        if let Some(left) = &mut self.n_values_left {
            *left = left.checked_sub(n_values).filter(|left| *left == 0 || self.n_left > 0).ok_or_else(damaged)?;
        }
        Ok(Rows { n, n_values })
    }

    /// Gives the codes of the next `n` values.
    pub(super) fn codes(&mut self, n: usize, sink: &mut impl Sink) -> Result<(), Fault> {
        match &mut self.values {
            Values::Codes(hybrid) => hybrid.read(&self.bytes, n, sink),
            _ if n == 0 => Ok(()),
            _ => Err(damaged()),
        }
    }

    /// Gives the bytes of the next `n` plain values.
    pub(super) fn plain(&mut self, physical: Physical, n: usize) -> Result<&[u8], Fault> {
        let Values::Plain { at } = &mut self.values else { return Err(damaged()) };
        let rest = self.bytes.get(*at..).unwrap_or_default();
        let (values, _) = physical.split(rest, n).ok_or_else(damaged)?;
        *at += values.len();
        Ok(values)
    }

    /// Leaves `n` rows out.
    pub(super) fn skip(&mut self, n: usize, physical: Physical, levels: &mut Vec<u32>) -> Result<(), Fault> {
        let rows = self.rows(n, levels)?;
        if self.is_coded() {
            self.codes(rows.n_values, &mut Skip)
        } else {
            self.plain(physical, rows.n_values).map(drop)
        }
    }
}

fn damaged() -> Fault {
    Fault::Corrupt("a data page is damaged".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a V2 page of four optional numbers, three of them there.
    fn read(n_nulls: i32, values: &[u8]) -> Result<Vec<u8>, Fault> {
        let levels = [6, 1, 2, 0];
        let kind = Kind::DataV2 { n_nulls, level_bytes: 4, repetition_bytes: 0, is_compressed: false };
        let n_bytes = levels.len() + values.len();
        let header = Header {
            kind,
            n_values: 4,
            encoding: PLAIN,
            inflated_bytes: n_bytes,
            stored_bytes: n_bytes,
            checksum: None,
            own_bytes: 0,
        };
        let mut page = Page { bytes: [&levels, values].concat(), ..Page::empty() };
        page.start(&header, true, Physical::I32)?;
        let mut read = Vec::new();
        // In two parts, as where a batch ends within a page.
        for n in [2, 9] {
            let rows = page.rows(n, &mut Vec::new())?;
            read.extend_from_slice(page.plain(Physical::I32, rows.n_values)?);
        }
        Ok(read)
    }

    #[test]
    fn levels_that_contradict_the_header_are_damage() {
        let values = [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
        assert_eq!(read(1, &values).unwrap(), values);
        for n_nulls in [0, 2, 3, 5, -1] {
            assert!(read(n_nulls, &values).is_err(), "{n_nulls} nulls said, one told");
        }
        assert!(read(1, &[values.as_slice(), &[0; 8]].concat()).is_ok(), "fastparquet leaves bytes behind the values");
    }

    #[test]
    fn what_is_no_number_is_missing() {
        let plain = [7.0, f64::NAN].map(f64::to_le_bytes).concat();
        assert_eq!(spelled(Physical::F64, &plain), b"\x0c\0\0\x00000000000007\x01\0\0\0-");
        let plain = [f64::MAX, f64::MIN_POSITIVE, -1.5, f64::NEG_INFINITY].map(f64::to_le_bytes).concat();
        assert!(spelled(Physical::F64, &plain).len() <= SPELLED_TIMES * plain.len());
        let plain = [u64::MAX, i64::MIN.cast_unsigned()].map(u64::to_le_bytes).concat();
        for physical in [Physical::U64, Physical::I64, Physical::I32, Physical::U32, Physical::F32, Physical::F64] {
            assert!(spelled(physical, &plain).len() <= SPELLED_TIMES * plain.len(), "{physical:?}");
        }
    }
}
