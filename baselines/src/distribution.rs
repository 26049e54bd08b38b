//! Distributions: how often each magnitude of a measure was seen, in constant relative precision.
//!
//! An `HdrHistogram` of a function's bytes a window touches a few dozen of its thousands of cells, and there is one
//! for every function and network. So the counts are kept sparse, under the cell bounds `HdrHistogram` itself would use
//! for one significant digit, and leave the process as its own V2 encoding, which any HDR tool reads.
//!
//! Reference: <https://github.com/HdrHistogram/HdrHistogram>, "`HdrHistogram` V2 encoding".

use std::ops::Range;

use crate::leb128;

/// Significant decimal digits of a cell, as `HdrHistogram` counts them: cells are at most 1/16 of their value wide.
/// Traffic is judged in factors, not in percents, and there are three distributions for each network of each function.
const SIGNIFICANT_DIGITS: u8 = 1;

/// Bits a value keeps: one digit needs 2 · 10¹ < 2⁵ sub-buckets, and the upper half of them is in use.
const KEPT_BITS: u32 = 5;

/// Largest value told apart. Histograms of more would need cells nobody fills: 2⁵⁰ bytes a window is a petabyte.
const MAX_VALUE: u64 = 1 << 50;

/// Cells up to [`MAX_VALUE`].
const CELLS: u16 = cell(MAX_VALUE) + 1;

/// First word of a V2 encoding.
const V2_COOKIE: u32 = 0x1c84_9313;

/// Bytes before the counts: cookie, length of the counts, offset, digits (4 bytes each), lowest and highest value told
/// apart, factor (8 bytes each), big-endian.
const HEADER_LEN: usize = 40;

/// Least a histogram we write says it tells apart.
const MIN_HIGHEST: u64 = 256;

/// The lowest value told apart: 1, as values are whole numbers. The header gives it eight bytes, written as two words:
/// a zero, then this.
const LOWEST_TOLD_APART: u32 = 1;

/// A value that is no encoded histogram.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the bytes are no HdrHistogram in V2 encoding")]
pub struct DecodeError;

/// Bits of a word that hold a digit of a count; the others hold the cell's number.
const DIGIT_BITS: u32 = 6;

/// The largest digit.
const MAX_DIGIT: u16 = (1 << DIGIT_BITS) - 1;

const _: () = assert!((CELLS as u32) < 1 << (u16::BITS - DIGIT_BITS));

/// Counts of values by cell, sorted by cell. Adding is commutative, merging adds counts.
///
/// Over words of its own, or over some that lie elsewhere: see [`Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distribution<W = Vec<u16>> {
    /// Number of each cell in use with its count: a word for each digit to base 64, the lowest first. Most cells count
    /// less than that and take two bytes, where a pair of numbers takes eight.
    words: W,
}

/// A distribution among others in one piece of memory: see [`crate::known::Volumes`].
pub type Counts<'a> = Distribution<&'a [u16]>;

/// The cell of a word.
fn cell_of(word: u16) -> u16 {
    word >> DIGIT_BITS
}

/// The count that the words of one cell are.
fn count_of(words: &[u16]) -> u32 {
    let digit = |word: u16| u32::from(word & MAX_DIGIT);
    words.iter().rev().fold(0, |count, &word| count << DIGIT_BITS | digit(word))
}

/// What became of a value to be counted.
pub(crate) enum Counted {
    /// It was counted.
    InPlace,
    /// Its cell has no words yet: this one belongs there.
    Absent { at: usize, word: u16 },
    /// The lowest digit of its cell is the largest there is.
    Full,
}

/// Where the words of a cell begin among sorted ones, or belong.
fn start(words: &[u16], cell: u16) -> usize {
    // Halved without a branch that nobody can predict; counting takes more from some dozens of words on.
    words.partition_point(|&word| word < cell << DIGIT_BITS)
}

/// Where the words of a cell lie among sorted ones; where they belong, if there are none.
fn place(words: &[u16], cell: u16) -> Range<usize> {
    let start = start(words, cell);
    let of_cell = words.iter().skip(start).take_while(|&&word| cell_of(word) == cell);
    start..start + of_cell.count()
}

/// Puts a count in the place of the words of its cell; gives how many words more there are.
fn put(words: &mut Vec<u16>, place: Range<usize>, cell: u16, count: u32) -> i32 {
    let (mut at, mut rest) = (place.start, count);
    while rest != 0 {
        let word = cell << DIGIT_BITS | rest as u16 & MAX_DIGIT;
        match words.get_mut(at).filter(|_| at < place.end) {
            Some(there) => *there = word,
            None => words.insert(at, word),
        }
        at += 1;
        rest >>= DIGIT_BITS;
    }
    if at < place.end {
        words.drain(at..place.end);
    }
    at as i32 - place.end as i32
}

/// Changes the count of a value's cell in a distribution that lies in a part of some words; gives how many words more
/// there are.
fn change(words: &mut Vec<u16>, part: Range<usize>, cell: u16, count: impl FnOnce(u32) -> u32) -> i32 {
    let of_part = words.get(part.clone()).unwrap_or_default();
    let at = place(of_part, cell);
    let count = count(count_of(of_part.get(at.clone()).unwrap_or_default()));
    put(words, part.start + at.start..part.start + at.end, cell, count)
}

impl Distribution {
    /// Counts a value once.
    pub fn record(&mut self, value: u64) {
        self.add(cell(value), 1);
    }

    fn add(&mut self, cell: u16, count: u32) {
        let all = 0..self.words.len();
        change(&mut self.words, all, cell, |before| before.saturating_add(count));
    }

    /// Adds all counts of another one.
    pub fn merge<W: AsRef<[u16]>>(&mut self, other: &Distribution<W>) {
        for (cell, count) in other.counts() {
            self.add(cell, count);
        }
    }
}

impl<'a> Counts<'a> {
    /// The distribution some words are.
    pub(crate) fn over(words: &'a [u16]) -> Self {
        Self { words }
    }

    /// Counts a value once among the words of a distribution, if that takes no more than adding to one of them.
    pub(crate) fn record_in_place(words: &mut [u16], value: u64) -> Counted {
        let cell = cell(value);
        let at = start(words, cell);
        match words.get_mut(at).filter(|word| cell_of(**word) == cell) {
            Some(word) if *word & MAX_DIGIT < MAX_DIGIT => {
                *word += 1;
                Counted::InPlace
            }
            Some(_) => Counted::Full,
            None => Counted::Absent { at, word: cell << DIGIT_BITS | 1 },
        }
    }

    /// Counts a value once in a distribution that is part of some words; gives how many words more there are.
    pub(crate) fn record_in(words: &mut Vec<u16>, part: Range<usize>, value: u64) -> i32 {
        change(words, part, cell(value), |before| before.saturating_add(1))
    }

    /// Takes back a value counted before, the same way.
    pub(crate) fn forget_in(words: &mut Vec<u16>, part: Range<usize>, value: u64) -> i32 {
        change(words, part, cell(value), |before| before.saturating_sub(1))
    }
}

impl<W: AsRef<[u16]>> Distribution<W> {
    /// The words, as they are kept.
    pub(crate) fn words(&self) -> &[u16] {
        self.words.as_ref()
    }

    /// The same distribution over the words where they lie.
    pub fn view(&self) -> Counts<'_> {
        Counts::over(self.words())
    }

    /// The same distribution with words of its own.
    pub fn detached(&self) -> Distribution {
        Distribution { words: self.words().to_vec() }
    }

    /// The cells in use and their counts, lowest first.
    fn counts(&self) -> impl DoubleEndedIterator<Item = (u16, u32)> {
        let of_cell = |a: &u16, b: &u16| cell_of(*a) == cell_of(*b);
        let count = |words: &[u16]| (words.first().map_or(0, |&word| cell_of(word)), count_of(words));
        self.words().chunk_by(of_cell).map(count)
    }

    /// How many values were counted.
    pub fn n(&self) -> u64 {
        self.counts().map(|(_, count)| u64::from(count)).sum()
    }

    /// The value at a quantile in [0, 1], by nearest rank; 0 of an empty distribution.
    pub fn value_at(&self, quantile: f64) -> u64 {
        let n = self.n();
        let rank = ((quantile.clamp(0.0, 1.0) * n as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (value, count) in self.cells() {
            seen += count;
            if seen >= rank {
                return value;
            }
        }
        self.max()
    }

    /// The largest value counted, to the precision of its cell; 0 of an empty distribution.
    pub fn max(&self) -> u64 {
        self.words().last().map_or(0, |&word| lowest(cell_of(word)))
    }

    /// Lowest value of each cell in use and its count, lowest first.
    pub fn cells(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts().map(|(cell, count)| (lowest(cell), u64::from(count)))
    }

    /// The `HdrHistogram` V2 encoding.
    ///
    /// Written directly, byte for byte what the histogram's own serializer writes: that one makes room for all cells
    /// and walks them, which is most of what storing a baseline took.
    pub fn encode(&self) -> Vec<u8> {
        let mut counts = Vec::with_capacity(4 * self.words().len() + 2);
        // Theirs differ from ours in the ninth byte only, and no count needs that many.
        let mut put = |number: i64| leb128::put(&mut counts, leb128::zigzag(number));
        let mut next = 0;
        for (cell, count) in self.counts() {
            match cell - next {
                0 => {}
                // One cell without a count says so itself, several say how many they are.
                1 => put(0),
                n => put(-i64::from(n)),
            }
            put(count.into());
            next = cell + 1;
        }
        if self.words().is_empty() {
            // Of a histogram that counted nothing the lowest cell is told.
            put(0);
        }
        let mut bytes = Vec::with_capacity(HEADER_LEN + counts.len());
        for word in [V2_COOKIE, counts.len() as u32, 0, u32::from(SIGNIFICANT_DIGITS), 0, LOWEST_TOLD_APART] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend((self.max() * 2).max(MIN_HIGHEST).to_be_bytes());
        bytes.extend(1f64.to_be_bytes());
        bytes.extend(counts);
        bytes
    }
}

impl Distribution {
    /// The distribution of a `HdrHistogram` V2 encoding made by [`Distribution::encode`], or by any HDR tool at one
    /// significant digit from 1 upwards.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are none, or end early.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut words = Vec::new();
        decode_into(bytes, &mut words)?;
        Ok(Self { words })
    }
}

/// Adds the words of an encoded distribution to others.
///
/// Read directly rather than through a histogram: that one takes what a hostile header asks for, megabytes a value.
/// The counts are those of our cells, one by one, in the same order.
pub(crate) fn decode_into(bytes: &[u8], words: &mut Vec<u16>) -> Result<(), DecodeError> {
    let (header, mut counts) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(DecodeError)?;
    let payload_len = u32::try_from(counts.len()).map_err(|_| DecodeError)?;
    let mut expected = [0; HEADER_LEN];
    let fields = [V2_COOKIE, payload_len, 0, u32::from(SIGNIFICANT_DIGITS), 0, LOWEST_TOLD_APART];
    for (bytes, field) in expected.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
        *bytes = field.to_be_bytes();
    }
    let is_same = |at: std::ops::Range<usize>| header.get(at.clone()) == expected.get(at);
    // Between lie the bounds' upper one, which the counts say better, and behind it the factor 1.0.
    if !is_same(0..24) || header.get(32..) != Some(&1f64.to_be_bytes()) {
        return Err(DecodeError);
    }
    let mut cell = 0u16;
    while !counts.is_empty() {
        match signed_varint(&mut counts)? {
            0 => cell += 1,
            count @ 1.. => {
                let end = words.len();
                put(words, end..end, cell, u32::try_from(count).map_err(|_| DecodeError)?);
                cell += 1;
            }
            zeros => {
                let next = i64::from(cell).checked_sub(zeros).and_then(|next| u16::try_from(next).ok());
                cell = next.ok_or(DecodeError)?;
            }
        }
        if cell > CELLS {
            return Err(DecodeError);
        }
    }
    Ok(())
}

/// The number of the cell of a value: as many cells to an octave as [`KEPT_BITS`] tell apart, in order of value.
const fn cell(value: u64) -> u16 {
    let value = if value < MAX_VALUE { value } else { MAX_VALUE };
    let bits = u64::BITS - value.leading_zeros();
    let octave = bits.saturating_sub(KEPT_BITS);
    (((octave as u64) << (KEPT_BITS - 1)) + (value >> octave)) as u16
}

/// Takes a number off the front: not quite [LEB128](leb128), for of nine bytes the ninth is whole. In zigzag.
fn signed_varint(bytes: &mut &[u8]) -> Result<i64, DecodeError> {
    let mut number = 0u64;
    for at in 0..9 {
        let (&byte, rest) = bytes.split_first().ok_or(DecodeError)?;
        *bytes = rest;
        let is_last = at == 8 || byte < 0x80;
        number |= u64::from(if at == 8 { byte } else { byte & 0x7f }) << (7 * at);
        if is_last {
            break;
        }
    }
    Ok(leb128::unzigzag(number))
}

/// The lowest value of a cell: what `HdrHistogram` calls the lowest equivalent value.
fn lowest(cell: u16) -> u64 {
    let octave = u64::from(cell >> (KEPT_BITS - 1)).saturating_sub(1);
    (u64::from(cell) - (octave << (KEPT_BITS - 1))) << octave
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{Serializer as _, V2Serializer};
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Distribution {
        let mut out = Distribution::default();
        for &v in values {
            out.record(v);
        }
        out
    }

    #[test]
    fn quantiles_of_degenerate_distributions() {
        assert_eq!((of(&[]).value_at(0.5), of(&[]).max(), of(&[]).n()), (0, 0, 0));
        assert_eq!((of(&[0]).value_at(0.0), of(&[0]).value_at(1.0)), (0, 0));
        assert_eq!(of(&[7; 9]).value_at(0.99), 7);
        assert_eq!(of(&[u64::MAX]).max(), MAX_VALUE);
    }

    #[test]
    fn quantiles_by_nearest_rank() {
        let d = of(&[1, 2, 3, 4, 100]);
        assert_eq!((d.value_at(0.2), d.value_at(0.5), d.value_at(0.8), d.value_at(0.81)), (1, 3, 4, 100));
    }

    proptest! {
        #[test]
        fn cells_are_those_of_hdrhistogram(value in 0u64..MAX_VALUE) {
            let histogram = Histogram::<u64>::new_with_bounds(1, MAX_VALUE * 2, SIGNIFICANT_DIGITS).unwrap();
            prop_assert_eq!(lowest(cell(value)), histogram.lowest_equivalent(value));
        }

        #[test]
        fn counts_are_kept_however_many_digits_they_take(
            added in prop::collection::vec((0..5u16, prop_oneof![0..200u32, any::<u32>()]), 0..40),
        ) {
            let (mut d, mut apart) = (Distribution::default(), std::collections::BTreeMap::<u16, u32>::new());
            for (cell, count) in added {
                d.add(cell, count);
                let there = apart.entry(cell).or_default();
                *there = there.saturating_add(count);
                apart.retain(|_, count| *count != 0);
                prop_assert_eq!(d.counts().collect::<Vec<_>>(), apart.iter().map(|(&c, &n)| (c, n)).collect::<Vec<_>>());
                let mut once_more = d.clone();
                once_more.record(lowest(cell));
                if matches!(Counts::record_in_place(&mut d.words, lowest(cell)), Counted::InPlace) {
                    *apart.entry(cell).or_default() += 1;
                    prop_assert_eq!(&d, &once_more);
                }
            }
            prop_assert_eq!(Distribution::decode(&d.encode()), Ok(d));
        }

        #[test]
        fn decode_undoes_encode(values in prop::collection::vec(0u64..(1 << 45), 0..60)) {
            let d = of(&values);
            prop_assert_eq!(Distribution::decode(&d.encode()), Ok(d));
        }

        #[test]
        fn what_is_encoded_is_what_the_histogram_itself_writes(values in prop::collection::vec(0u64..(1 << 52), 0..60)) {
            let d = of(&values);
            let mut histogram = Histogram::<u64>::new_with_bounds(1, (d.max() * 2).max(256), SIGNIFICANT_DIGITS).unwrap();
            for (value, count) in d.cells() {
                histogram.record_n(value, count).unwrap();
            }
            let mut written = Vec::new();
            V2Serializer::new().serialize(&histogram, &mut written).unwrap();
            prop_assert_eq!(d.encode(), written);
        }

        #[test]
        fn any_tool_reads_what_is_encoded(values in prop::collection::vec(0u64..(1 << 45), 0..60)) {
            let read: Histogram<u64> = hdrhistogram::serialization::Deserializer::new()
                .deserialize(&mut std::io::Cursor::new(of(&values).encode()))
                .unwrap();
            let counted = read.iter_recorded().map(|v| (read.lowest_equivalent(v.value_iterated_to()), v.count_at_value()));
            prop_assert_eq!(counted.collect::<Vec<_>>(), of(&values).cells().collect::<Vec<_>>());
        }

        #[test]
        fn merging_is_recording_both(a in prop::collection::vec(0u64..100_000, 0..40), b in prop::collection::vec(0u64..100_000, 0..40)) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let both: Vec<u64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(merged, of(&both));
        }

        #[test]
        fn damaged_encodings_are_refused_or_read(mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _read = Distribution::decode(&bytes);
            let mut good = of(&[1, 500, 70_000]).encode();
            good.truncate(good.len() / 2);
            bytes.splice(0..0, good);
            let _read = Distribution::decode(&bytes);
        }
    }
}
