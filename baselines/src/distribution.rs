//! Distributions: how often each magnitude of a measure was seen, in constant relative precision.
//!
//! An `HdrHistogram` of a function's bytes a window touches a few dozen of its thousands of cells, and there is one
//! for every function and network. So the counts are kept sparse, under the cell bounds `HdrHistogram` itself would use
//! for one significant digit, and leave the process as its own V2 encoding, which any HDR tool reads.
//!
//! Reference: <https://github.com/HdrHistogram/HdrHistogram>, "`HdrHistogram` V2 encoding".

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};

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

/// Lower half of the lowest value told apart.
const LOWEST_TOLD_APART: u32 = 1;

/// A value that is no encoded histogram.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the bytes are no HdrHistogram in V2 encoding")]
pub struct DecodeError;

/// Counts of values by cell, sorted by cell. Adding is commutative, merging adds counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Number of each cell in use, and its count.
    cells: Vec<(u16, u32)>,
}

impl Distribution {
    /// Counts a value once.
    pub fn record(&mut self, value: u64) {
        self.add(cell(value), 1);
    }

    fn add(&mut self, cell: u16, count: u32) {
        match self.cells.binary_search_by_key(&cell, |&(cell, _)| cell) {
            Ok(at) => {
                if let Some((_, n)) = self.cells.get_mut(at) {
                    *n = n.saturating_add(count);
                }
            }
            Err(at) => self.cells.insert(at, (cell, count)),
        }
    }

    /// Takes back a value counted before.
    pub(crate) fn forget(&mut self, value: u64) {
        let cell = cell(value);
        if let Ok(at) = self.cells.binary_search_by_key(&cell, |&(cell, _)| cell) {
            match self.cells.get_mut(at) {
                Some((_, n)) if *n > 1 => *n -= 1,
                _ => drop(self.cells.remove(at)),
            }
        }
    }

    /// Adds all counts of another one.
    pub fn merge(&mut self, other: &Self) {
        for &(cell, count) in &other.cells {
            self.add(cell, count);
        }
    }

    /// How many values were counted.
    pub fn n(&self) -> u64 {
        self.cells.iter().map(|&(_, n)| u64::from(n)).sum()
    }

    /// How many values lie in the cell of `value` or above.
    pub fn n_at_least(&self, value: u64) -> u64 {
        let cell = cell(value);
        self.cells.iter().rev().take_while(|&&(c, _)| c >= cell).map(|&(_, n)| u64::from(n)).sum()
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
        self.cells.last().map_or(0, |&(cell, _)| lowest(cell))
    }

    /// Mean and standard deviation of ln(value + 1), by which magnitudes compare; `None` of an empty distribution.
    pub fn log_moments(&self) -> Option<(f64, f64)> {
        let n = self.n() as f64;
        if n <= 0.0 {
            return None;
        }
        let log = |value: u64| (value as f64).ln_1p();
        let mean = self.cells().map(|(v, c)| log(v) * c as f64).sum::<f64>() / n;
        let variance = self.cells().map(|(v, c)| (log(v) - mean).powi(2) * c as f64).sum::<f64>() / n;
        Some((mean, variance.sqrt()))
    }

    /// Lowest value of each cell in use and its count, lowest first.
    pub fn cells(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.cells.iter().map(|&(cell, count)| (lowest(cell), u64::from(count)))
    }

    /// The `HdrHistogram` V2 encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Ok(mut histogram) = Histogram::<u64>::new_with_bounds(1, (self.max() * 2).max(256), SIGNIFICANT_DIGITS)
        else {
            return bytes;
        };
        for (value, count) in self.cells() {
            histogram.saturating_record_n(value, count);
        }
        // Writing into a vector of a histogram within its own bounds has nothing to fail on; an empty answer would
        // be refused by `decode`.
        if V2Serializer::new().serialize(&histogram, &mut bytes).is_err() {
            bytes.clear();
        }
        bytes
    }

    /// The distribution of a `HdrHistogram` V2 encoding made by [`Distribution::encode`], or by any HDR tool at one
    /// significant digit from 1 upwards.
    ///
    /// Read directly rather than through a histogram: that one takes what a hostile header asks for, megabytes a value.
    /// The counts are those of our cells, one by one, in the same order.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are none, or end early.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (header, mut counts) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(DecodeError)?;
        let payload_len = u32::try_from(counts.len()).map_err(|_| DecodeError)?;
        let mut expected = [0; HEADER_LEN];
        let words = [V2_COOKIE, payload_len, 0, u32::from(SIGNIFICANT_DIGITS), 0, LOWEST_TOLD_APART];
        for (bytes, word) in expected.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *bytes = word.to_be_bytes();
        }
        let is_same = |at: std::ops::Range<usize>| header.get(at.clone()) == expected.get(at);
        // Between lie the bounds' upper one, which the counts say better, and behind it the factor 1.0.
        if !is_same(0..24) || header.get(32..) != Some(&1f64.to_be_bytes()) {
            return Err(DecodeError);
        }
        let mut out = Self::default();
        let mut cell = 0u16;
        while !counts.is_empty() {
            match signed_varint(&mut counts)? {
                0 => cell += 1,
                count @ 1.. => {
                    out.cells.push((cell, u32::try_from(count).map_err(|_| DecodeError)?));
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
        Ok(out)
    }
}

/// The number of the cell of a value: as many cells to an octave as [`KEPT_BITS`] tell apart, in order of value.
const fn cell(value: u64) -> u16 {
    let value = if value < MAX_VALUE { value } else { MAX_VALUE };
    let bits = u64::BITS - value.leading_zeros();
    let octave = bits.saturating_sub(KEPT_BITS);
    (((octave as u64) << (KEPT_BITS - 1)) + (value >> octave)) as u16
}

/// Takes a number off the front: LEB128 of at most nine bytes, the ninth whole, in zigzag.
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
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}

/// The lowest value of a cell: what `HdrHistogram` calls the lowest equivalent value.
fn lowest(cell: u16) -> u64 {
    let octave = u64::from(cell >> (KEPT_BITS - 1)).saturating_sub(1);
    (u64::from(cell) - (octave << (KEPT_BITS - 1))) << octave
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(of(&[]).log_moments(), None);
        assert_eq!((of(&[0]).value_at(0.0), of(&[0]).value_at(1.0)), (0, 0));
        assert_eq!(of(&[7; 9]).value_at(0.99), 7);
        assert_eq!(of(&[7; 9]).log_moments().map(|(_, sd)| sd.abs() < 1e-12), Some(true));
        assert_eq!(of(&[u64::MAX]).max(), MAX_VALUE);
    }

    #[test]
    fn quantiles_by_nearest_rank() {
        let d = of(&[1, 2, 3, 4, 100]);
        assert_eq!((d.value_at(0.2), d.value_at(0.5), d.value_at(0.8), d.value_at(0.81)), (1, 3, 4, 100));
        assert_eq!((d.n_at_least(4), d.n_at_least(200), d.n_at_least(0)), (2, 0, 5));
    }

    proptest! {
        #[test]
        fn cells_are_those_of_hdrhistogram(value in 0u64..MAX_VALUE) {
            let histogram = Histogram::<u64>::new_with_bounds(1, MAX_VALUE * 2, SIGNIFICANT_DIGITS).unwrap();
            prop_assert_eq!(lowest(cell(value)), histogram.lowest_equivalent(value));
        }

        #[test]
        fn decode_undoes_encode(values in prop::collection::vec(0u64..(1 << 45), 0..60)) {
            let d = of(&values);
            prop_assert_eq!(Distribution::decode(&d.encode()), Ok(d));
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
