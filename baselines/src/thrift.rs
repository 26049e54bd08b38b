//! Thrift's compact form, in which Parquet writes footers and page headers.
//!
//! Where it sits: under whatever looks at a Parquet file before a decoder believes it, be it stored or a flow log.
//! What it does not do: it keeps nothing. What nobody asks for is skipped, to a depth.
//!
//! Reference: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

use crate::leb128;
pub use crate::leb128::Stop;

/// How deep what is skipped may nest; footers of today nest less than ten deep.
const MAX_DEPTH: u32 = 16;

/// The type of a field that is true, and has no more bytes.
pub const TRUE: u8 = 1;
/// The type of a field that is false, and has no more bytes.
pub const FALSE: u8 = 2;
/// The type of a number of 32 bits.
pub const I32: u8 = 5;
/// The type of a list.
pub const LIST: u8 = 9;
/// The type of a struct.
pub const STRUCT: u8 = 12;

/// A reader of Thrift's compact form.
///
/// # Guarantees
/// Any bytes are read or refused: no panic, no more depth than a bound, no more steps than there are bytes.
///
/// # Errors
/// Every method's are [`Stop`].
#[derive(Debug)]
pub struct Thrift<'a> {
    /// What is not read yet.
    pub left: &'a [u8],
}

impl Thrift<'_> {
    fn byte(&mut self) -> Result<u8, Stop> {
        let (first, rest) = self.left.split_first().ok_or(Stop::NeedsMore)?;
        self.left = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Result<u64, Stop> {
        leb128::take(&mut self.left)
    }

    /// Reads a number of 32 bits.
    pub fn i32(&mut self) -> Result<i32, Stop> {
        i32::try_from(leb128::unzigzag(self.varint()?)).map_err(|_| Stop::Corrupt)
    }

    fn advance(&mut self, n: u64) -> Result<(), Stop> {
        let n = usize::try_from(n).map_err(|_| Stop::Corrupt)?;
        self.left = self.left.get(n..).ok_or(Stop::NeedsMore)?;
        Ok(())
    }

    /// Goes through the fields of a struct; `each` reads the value.
    pub fn fields(&mut self, mut each: impl FnMut(&mut Self, u8, u8) -> Result<(), Stop>) -> Result<(), Stop> {
        let mut id = 0_u8;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            id = match byte >> 4 {
                // Not by the delta from the field before: nobody asks for such ids, so any other will do.
                0 => u8::try_from(self.i32()?).unwrap_or(u8::MAX),
                delta => id.checked_add(delta).ok_or(Stop::Corrupt)?,
            };
            each(self, id, byte & 0x0f)?;
        }
    }

    /// How many elements a list claims, and of which type.
    pub fn list(&mut self) -> Result<(u64, u8), Stop> {
        let byte = self.byte()?;
        let n = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
        Ok((n, byte & 0x0f))
    }

    /// Reads a struct whose first fields are numbers.
    pub fn numbers(&mut self, into: &mut [i32]) -> Result<(), Stop> {
        self.fields(|thrift, id, wire| match (into.get_mut(usize::from(id.wrapping_sub(1))), wire) {
            (Some(number), I32) => {
                *number = thrift.i32()?;
                Ok(())
            }
            _ => thrift.skip(wire),
        })
    }

    /// Skips a value.
    pub fn skip(&mut self, wire: u8) -> Result<(), Stop> {
        self.skip_at(wire, 0)
    }

    fn skip_at(&mut self, wire: u8, depth: u32) -> Result<(), Stop> {
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
                        self.skip_at(of, depth + 1)?;
                    }
                }
                Ok(())
            }
            STRUCT => self.fields(|thrift, _, wire| thrift.skip_at(wire, depth + 1)),
            _ => Err(Stop::Corrupt),
        }
    }
}
