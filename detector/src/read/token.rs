//! Tokens of text by eight bytes at a time.
//!
//! Where it sits: under `text`, for the lines that have nothing odd.
//! What it does not do: it decides nothing; whatever it does not take as it is goes through `rule`.

/// The lowest bit of every byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of every byte.
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many bytes come before the first blank, line end or control character.
#[inline]
pub(super) fn length(text: &[u8]) -> usize {
    let (chunks, tail) = text.as_chunks::<8>();
    for (at, chunk) in chunks.iter().enumerate() {
        let bytes = u64::from_le_bytes(*chunk);
        // The highest bit of each byte below 0x21. A borrow spoils only bytes after the first such one.
        let ends = bytes.wrapping_sub(ONES * 0x21) & !bytes & HIGHS;
        if ends != 0 {
            return at * 8 + ends.trailing_zeros() as usize / 8;
        }
    }
    tail.iter().position(|byte| *byte < 0x21).map_or(text.len(), |at| text.len() - tail.len() + at)
}

/// The number at the start of the text and its length; `None` for what is no number of at most 16 digits with enough
/// text after it to look at eight bytes at once.
#[inline]
pub(super) fn number(text: &[u8]) -> Option<(u64, usize)> {
    let (high, n) = up_to_eight_digits(text)?;
    if n < 8 {
        return (n > 0).then_some((high, n));
    }
    let (low, n) = up_to_eight_digits(text.get(8..)?)?;
    (n < 8).then(|| (high * POWERS.get(n).copied().unwrap_or(1) + low, 8 + n))
}

const POWERS: [u64; 8] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The digits at the start of the text, and how many there are of the first eight bytes.
///
/// # Source
/// Daniel Lemire, "Quickly parsing eight digits" (2018).
#[inline]
fn up_to_eight_digits(text: &[u8]) -> Option<(u64, usize)> {
    let bytes = u64::from_le_bytes(*text.first_chunk::<8>()?) ^ (ONES * 0x30);
    // The highest bit of each byte above 9. A carry spoils only bytes after the first such one.
    let others = (bytes.wrapping_add(ONES * 0x76) | bytes) & HIGHS;
    let n = others.trailing_zeros() as usize / 8;
    if n == 0 {
        return Some((0, 0));
    }
    // Digits to the most significant bytes, zeros before them.
    let digits = bytes << (64 - 8 * n);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    Some((low.wrapping_add(high) >> 32, n))
}

/// A token of at most 15 bytes as a number that no other token has; `None` for longer ones, and near the end of the text.
#[inline]
pub(super) fn key(text: &[u8], length: usize) -> Option<u128> {
    let bytes = u128::from_le_bytes(*text.first_chunk::<16>()?);
    (length < 16).then(|| bytes & !(u128::MAX << (8 * length)))
}

/// A token of at most 31 bytes, such that comparing takes no loop.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Short {
    bytes: [u128; 2],
    mask: [u128; 2],
    /// 0 for none.
    pub(super) length: usize,
}

impl Short {
    /// The token of so many bytes at the start of the text; `None` for longer ones, and near the end of the text.
    #[inline]
    pub(super) fn new(text: &[u8], length: usize) -> Option<Self> {
        let [low, high] = words(text)?;
        let mask = match length {
            0 | 32.. => return None,
            1..16 => [!(u128::MAX << (8 * length)), 0],
            16..32 => [u128::MAX, !(u128::MAX << (8 * (length - 16)))],
        };
        Some(Self { bytes: [low & mask[0], high & mask[1]], mask, length })
    }

    /// Whether the token stands at the start of the text, and a blank or line end after it.
    #[inline]
    pub(super) fn is_at(&self, text: &[u8]) -> bool {
        let Some([low, high]) = words(text) else { return false };
        let differs = (low & self.mask[0]) ^ self.bytes[0] | (high & self.mask[1]) ^ self.bytes[1];
        self.length > 0 && differs == 0 && text.get(self.length).is_some_and(|byte| *byte <= b' ')
    }

    /// What tells the token from all others: no token has a zero byte, so its bytes do.
    pub(super) fn bytes(&self) -> [u128; 2] {
        self.bytes
    }

    /// A number that few tokens share.
    #[inline]
    pub(super) fn hash(&self) -> u64 {
        let [low, high] = self.bytes;
        spread(low ^ high.rotate_left(64))
    }
}

fn words(text: &[u8]) -> Option<[u128; 2]> {
    let (low, rest) = text.split_first_chunk::<16>()?;
    Some([u128::from_le_bytes(*low), u128::from_le_bytes(*rest.first_chunk::<16>()?)])
}

/// A hash of a key: its high bits depend on all of the key.
pub(super) fn spread(key: u128) -> u64 {
    // Fibonacci hashing of each half, by two odd numbers without pattern.
    (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ ((key >> 64) as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lengths(before in "[!-~\u{80}-\u{ff}]{0,40}", end in prop::sample::select(&[" ", "\t", "\n", "\r", "\0", ""][..]), after in "[ -~]{0,20}") {
            let text = format!("{before}{end}{}", if end.is_empty() { "" } else { &after });
            prop_assert_eq!(length(text.as_bytes()), before.len());
        }

        #[test]
        fn numbers(number in 0_u64..10_000_000_000_000_000, end in "[ \t\nx.:/-]", after in "[ -~]{16}") {
            let text = format!("{number}{end}{after}");
            let expected = (number, number.to_string().len());
            let found = super::number(text.as_bytes());
            prop_assert!(found == Some(expected) || (expected.1 == 16 && found.is_none()));
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in ["-1 and some more text", " 1 and some more text", "", "1", "x234567890123456", "/1234567890123456"]
        {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
        assert_eq!(number(b"000000000000000000000000"), None);
        assert_eq!(number(b"007 and some more text"), Some((7, 3)));
    }

    #[test]
    fn short_tokens() {
        let text = b"eni-0123456789abcdef0 10.0.0.1 and so on and so on";
        let eni = Short::new(text, 21).unwrap();
        assert!(eni.is_at(text));
        assert!(eni.is_at(b"eni-0123456789abcdef0\tanything else that is there"));
        assert!(!eni.is_at(b"eni-0123456789abcdef01 anything else that is there"));
        assert!(!eni.is_at(b"eni-0123456789abcdef1 anything else that is there"));
        assert!(!eni.is_at(b"eni-0123456789abcdef0 "));
        assert!(!Short::default().is_at(text));
        assert!(Short::new(text, 0).is_none() && Short::new(text, 32).is_none() && Short::new(b"eni-1 ", 5).is_none());
        assert_ne!(Short::new(text, 3).unwrap().bytes(), eni.bytes());
    }

    #[test]
    fn keys_tell_tokens_apart() {
        assert_eq!(key(b"10.0.0.1 10.0.0.2 ", 8), key(b"10.0.0.1\n-------------", 8));
        assert_ne!(key(b"10.0.0.1 10.0.0.2 ", 8), key(b"10.0.0.11 10.0.0.2 ", 9));
        assert_eq!(key(b"1234567890123456 ", 16), None);
    }
}
