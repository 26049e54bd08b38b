//! Tokens of text, by eight and sixteen bytes at a time.
//!
//! Where it sits: between `cut`, which finds them, and `sink`, which keeps what they say.
//! What it does not do: it decides nothing; whatever it does not take as it is goes through `rule`.

/// The highest bit of every byte.
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// A token in its text; having the text around it makes looking at more bytes than it has cheap.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Token<'a> {
    text: &'a [u8],
    start: usize,
    length: usize,
}

impl<'a> Token<'a> {
    /// The token of so many bytes that starts there in the text.
    #[inline]
    pub(super) fn new(text: &'a [u8], start: usize, length: usize) -> Self {
        Self { text, start, length }
    }

    /// Its bytes.
    #[inline]
    pub(super) fn bytes(self) -> &'a [u8] {
        self.text.get(self.start..self.start + self.length).unwrap_or_default()
    }

    /// It and what comes after it, eight bytes to a word; `None` near the end of the text.
    #[inline]
    fn words<const WORDS: usize>(self) -> Option<[u64; WORDS]> {
        let words = self.text.get(self.start..self.start + 8 * WORDS)?;
        Some(words.as_chunks().0.first_chunk()?.map(u64::from_le_bytes))
    }

    /// The number it is; `None` for what is no number of at most 16 digits, and near the end of the text.
    #[inline(always)] // A call and a result through memory for each number doubles its time.
    pub(super) fn number(self) -> Option<u64> {
        const POWERS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
        let [high, low] = self.words()?;
        if self.length.wrapping_sub(1) < 8 {
            return digits(high, self.length);
        }
        let n = self.length.wrapping_sub(8);
        let power = POWERS.get(n).filter(|_| n > 0)?;
        Some(digits(high, 8)? * power + digits(low, n)?)
    }
}

/// What tells a token from all others, eight bytes to a word; the last byte holds the token's length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Key<WORDS> {
    /// What is no token's key.
    pub(super) const NONE: Self = Self([u64::MAX; WORDS]);

    /// A token's key; `None` for one that leaves no byte for its length, and near the end of the text.
    #[inline]
    pub(super) fn of(token: Token<'_>) -> Option<Self> {
        let words = token.words::<WORDS>().filter(|_| token.length < 8 * WORDS)?;
        let mut key = masked(words, masks(token.length));
        if let Some(last) = key.last_mut() {
            *last |= (token.length as u64) << 56;
        }
        Some(Self(key))
    }

    /// Whether both are of the same token.
    #[inline]
    pub(super) fn is(self, other: Self) -> bool {
        differ(self.0, other.0) == 0
    }

    /// Which of so many slots of a table is the token's; `n_slots` is a power of two.
    #[inline]
    pub(super) fn slot(self, n_slots: usize) -> usize {
        // Fibonacci hashing: an odd number without pattern makes the high bits depend on all of the key.
        let folded = self.0.iter().fold(0_u64, |folded, word| folded.rotate_left(21) ^ word);
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & n_slots.wrapping_sub(1)
    }
}

/// A token that many others are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern<const WORDS: usize> {
    words: [u64; WORDS],
    masks: [u64; WORDS],
    length: usize,
}

impl<const WORDS: usize> Pattern<WORDS> {
    /// A token as a pattern; `None` for one longer than so many words, and near the end of the text.
    pub(super) fn of(token: Token<'_>) -> Option<Self> {
        let words = token.words().filter(|_| token.length <= 8 * WORDS)?;
        let masks = masks(token.length);
        Some(Self { words: masked(words, masks), masks, length: token.length })
    }

    /// Whether the token is that one.
    #[inline]
    pub(super) fn is(&self, token: Token<'_>) -> bool {
        let differs = |words| differ(masked(words, self.masks), self.words);
        token.length == self.length && token.words().map(differs) == Some(0)
    }
}

/// Which bytes of a token's words are the token's.
#[inline]
fn masks<const WORDS: usize>(length: usize) -> [u64; WORDS] {
    /// By how many bytes are left.
    const MASKS: [u64; 8] =
        [0, 0xff, 0xffff, 0xff_ffff, 0xffff_ffff, 0xff_ffff_ffff, 0xffff_ffff_ffff, 0xff_ffff_ffff_ffff];
    std::array::from_fn(|word| MASKS.get(length.saturating_sub(8 * word)).copied().unwrap_or(u64::MAX))
}

#[inline]
fn masked<const WORDS: usize>(words: [u64; WORDS], masks: [u64; WORDS]) -> [u64; WORDS] {
    let mut masks = masks.into_iter();
    words.map(|word| word & masks.next().unwrap_or(0))
}

/// 0 when both are the same.
///
/// Word by word: comparing arrays goes through memory, and waiting for that took longer than all the rest.
#[inline]
fn differ<const WORDS: usize>(words: [u64; WORDS], others: [u64; WORDS]) -> u64 {
    words.into_iter().zip(others).fold(0, |differs, (word, other)| differs | (word ^ other))
}

/// The number that the first `n` of eight digits are, 1 to 8 of them.
///
/// # Source
/// Daniel Lemire, "Quickly parsing eight digits" (2018).
#[inline]
fn digits(text: u64, n: usize) -> Option<u64> {
    // The digits to the most significant bytes, zeros before them.
    let digits = (text ^ 0x3030_3030_3030_3030) << (64 - 8 * n);
    // The highest bit of each byte above 9; a carry out of one spoils the next, but then there is one.
    if (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & HIGHS != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    Some(low.wrapping_add(high) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str, after: &str) -> Option<u64> {
        Token::new(format!("{text}{after}").as_bytes(), 0, text.len()).number()
    }

    fn check_keys<const WORDS: usize>(a: Token<'_>, b: Token<'_>) {
        let keys = [a, b].map(Key::<WORDS>::of);
        for (token, key) in [a, b].into_iter().zip(keys) {
            assert_eq!(key.is_some(), token.bytes().len() < 8 * WORDS);
            assert!(key.is_none_or(|key| key.is(key) && !key.is(Key::NONE)));
        }
        if let [Some(a_key), Some(b_key)] = keys {
            assert_eq!(a_key.is(b_key), a.bytes() == b.bytes());
        }
        let pattern = Pattern::<WORDS>::of(a);
        assert_eq!(pattern.is_some(), a.bytes().len() <= 8 * WORDS);
        assert!(pattern.is_none_or(|pattern| pattern.is(a) && pattern.is(b) == (a.bytes() == b.bytes())));
    }

    proptest! {
        #[test]
        fn numbers(value in 0_u64..=u64::MAX, shift in 0_u32..64, n_zeros in 0_usize..4, after in "[ \t\n][ -~]{16}") {
            let text = format!("{}{}", "0".repeat(n_zeros), value >> shift);
            prop_assert_eq!(number(&text, &after), (text.len() <= 16).then_some(value >> shift));
        }

        #[test]
        fn what_is_no_number(text in "[0-9]{0,12}[ -/:-~\u{80}-\u{ff}][0-9]{0,12}", after in "[ \t\n][ -~]{16}") {
            prop_assert_eq!(number(&text, &after), None);
        }

        #[test]
        fn keys_tell_tokens_apart(one in "[\u{0}a]{0,33}", other in "[\u{0}a]{0,33}", after in "[ \t\n][ -~]{32}") {
            let texts = [&one, &other].map(|token| format!("{token}{after}"));
            let [a, b] = [Token::new(texts[0].as_bytes(), 0, one.len()), Token::new(texts[1].as_bytes(), 0, other.len())];
            check_keys::<1>(a, b);
            check_keys::<2>(a, b);
            check_keys::<4>(a, b);
        }
    }

    #[test]
    fn the_end_of_the_text() {
        let token = Token::new(b"443", 0, 3);
        assert!(token.number().is_none() && Key::<1>::of(token).is_none());
        assert_eq!(token.bytes(), b"443");
        assert_eq!(number("", " and some more text"), None);
    }
}
