//! LEB128: numbers in as few bytes as they need, seven bits a byte from the lowest on; signed ones in zigzag.

/// Why bytes could not be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It goes on past the bytes at hand.
    NeedsMore,
    /// They are not what was looked for.
    Corrupt,
}

/// Takes a number off the front; bits past the 64th are dropped.
///
/// # Errors
/// [`Stop::NeedsMore`] when it does not end, [`Stop::Corrupt`] when ten bytes are not the end of it.
#[inline]
pub fn take(bytes: &mut &[u8]) -> Result<u64, Stop> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Stop::NeedsMore)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Stop::Corrupt)
}

/// Puts a number at the end.
#[inline]
pub fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The number that stands for a signed one: small for what is near 0 on either side.
#[inline]
pub const fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

/// The signed number that one stands for.
#[inline]
pub const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_taken_is_what_was_put(number in any::<u64>(), signed in any::<i64>(), n_bits in 0_u32..64) {
            let (number, signed) = (number >> n_bits, signed >> n_bits);
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            put(&mut bytes, zigzag(signed));
            let mut rest = &bytes[..];
            prop_assert_eq!(take(&mut rest), Ok(number));
            prop_assert_eq!(take(&mut rest).map(unzigzag), Ok(signed));
            prop_assert_eq!(take(&mut rest), Err(Stop::NeedsMore));
        }
    }

    #[test]
    fn a_number_without_end_is_none() {
        assert_eq!(take(&mut &[0x80; 9][..]), Err(Stop::NeedsMore));
        assert_eq!(take(&mut &[0x80; 10][..]), Err(Stop::Corrupt));
        assert_eq!(take(&mut &[0xff; 99][..]), Err(Stop::Corrupt));
    }
}
