//! Packed: numbers in as few bytes as they need, for what is kept by the million and seldom read.
//!
//! In [LEB128](leb128), floats with their bytes turned round so that short fractions are short.

use crate::leb128;

/// Puts numbers down one after the other.
#[derive(Debug)]
pub(crate) struct Packer<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Packer<'a> {
    /// Goes on at the end of some bytes.
    pub(crate) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Puts a number down.
    pub(crate) fn put(&mut self, number: impl Into<u64>) {
        leb128::put(self.bytes, number.into());
    }

    /// Puts down how far a number is from another one, in either direction.
    pub(crate) fn put_from(&mut self, base: i64, number: i64) {
        self.put(leb128::zigzag(number.wrapping_sub(base)));
    }

    /// Puts a float down, to the bit.
    pub(crate) fn put_f64(&mut self, number: f64) {
        self.put(number.to_bits().swap_bytes());
    }
}

/// Takes numbers in the order they were put down; 0 where there are none left.
#[derive(Debug)]
pub(crate) struct Unpacker<'a> {
    bytes: &'a [u8],
}

impl<'a> Unpacker<'a> {
    /// Starts at the first of some bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// See [`Packer::put`].
    pub(crate) fn take(&mut self) -> u64 {
        leb128::take(&mut self.bytes).unwrap_or(0)
    }

    /// See [`Packer::put`].
    pub(crate) fn take_u32(&mut self) -> u32 {
        self.take() as u32
    }

    /// See [`Packer::put_from`].
    pub(crate) fn take_from(&mut self, base: i64) -> i64 {
        base.wrapping_add(leb128::unzigzag(self.take()))
    }

    /// See [`Packer::put_f64`].
    pub(crate) fn take_f64(&mut self) -> f64 {
        f64::from_bits(self.take().swap_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_taken_is_what_was_put(
            numbers in prop::collection::vec((any::<u64>(), any::<[i64; 2]>(), any::<u64>()), 0..20),
        ) {
            let mut bytes = Vec::new();
            let mut packer = Packer::new(&mut bytes);
            for &(number, [base, other], bits) in &numbers {
                packer.put(number);
                packer.put_from(base, other);
                packer.put_f64(f64::from_bits(bits));
            }
            let mut unpacker = Unpacker::new(&bytes);
            for (number, [base, other], bits) in numbers {
                prop_assert_eq!(unpacker.take(), number);
                prop_assert_eq!(unpacker.take_from(base), other);
                prop_assert_eq!(unpacker.take_f64().to_bits(), bits);
            }
            prop_assert_eq!(unpacker.take(), 0, "nothing is left");
        }
    }

    #[test]
    fn small_numbers_take_a_byte() {
        let mut bytes = Vec::new();
        let mut packer = Packer::new(&mut bytes);
        packer.put(127u32);
        packer.put_from(1000, 937);
        packer.put_f64(0.0);
        assert_eq!(bytes.len(), 3);
    }
}
