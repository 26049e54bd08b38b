//! Parquet's RLE and bit-packing hybrid: dictionary codes and definition levels.
//!
//! Where it sits: under `page`.
//! What it does not do: it does not know what the codes mean; a code past the dictionary's end is found by its reader.

use baselines::leb128::{self, Stop};

use crate::read::parquet::Fault;

/// Values are unpacked so many at a time: as many 32-bit words as the values have bits, so that no value straddles the
/// end.
const BLOCK: usize = 32;

/// How many blocks are unpacked in one call. parquet-mr ends a packed run after 504 values, so more would seldom be
/// used.
const MAX_BLOCKS: usize = 16;

/// Unpacks whole blocks.
type Unpack = fn(&[u8], &mut [[u32; BLOCK]]);

/// What takes the codes.
pub(super) trait Sink {
    /// The same code many times.
    fn repeated(&mut self, code: u32, n: usize);
    /// Codes one by one.
    fn packed(&mut self, codes: &[u32]);
}

/// Throws codes away.
pub(super) struct Skip;

impl Sink for Skip {
    fn repeated(&mut self, _: u32, _: usize) {}
    fn packed(&mut self, _: &[u32]) {}
}

impl Sink for Vec<u32> {
    fn repeated(&mut self, code: u32, n: usize) {
        self.resize(self.len() + n, code);
    }

    fn packed(&mut self, codes: &[u32]) {
        self.extend_from_slice(codes);
    }
}

enum Run {
    Repeated {
        code: u32,
        n_left: usize,
    },
    /// So many values are packed from `at` on.
    Packed {
        n_left: usize,
    },
}

/// A reader of codes; the bytes are given with each call.
pub(super) struct Hybrid {
    width: usize,
    unpack: Unpack,
    /// The next byte.
    at: usize,
    run: Run,
    /// Unpacked values that were not asked for yet.
    ready: [u32; BLOCK],
    n_used: usize,
    n_ready: usize,
}

impl Hybrid {
    /// Reads codes of so many bits from the byte `at` on.
    pub(super) fn new(width: u8, at: usize) -> Result<Self, Fault> {
        let unpack = UNPACK.get(usize::from(width)).copied();
        let unpack = unpack.ok_or_else(|| Fault::Corrupt(format!("codes of {width} bits")))?;
        let run = Run::Packed { n_left: 0 };
        Ok(Self { width: usize::from(width), unpack, at, run, ready: [0; BLOCK], n_used: 0, n_ready: 0 })
    }

    /// Whether the next `n` values are all this code, by one run. Does not move on.
    pub(super) fn is_all(&mut self, bytes: &[u8], code: u32, n: usize) -> Result<bool, Fault> {
        if self.n_used < self.n_ready {
            return Ok(false);
        }
        if matches!(self.run, Run::Packed { n_left: 0 } | Run::Repeated { n_left: 0, .. }) {
            self.next_run(bytes)?;
        }
        Ok(matches!(self.run, Run::Repeated { code: found, n_left } if found == code && n_left >= n))
    }

    /// Gives the next `n` codes to the sink.
    pub(super) fn read(&mut self, bytes: &[u8], mut n: usize, sink: &mut impl Sink) -> Result<(), Fault> {
        while n > 0 {
            if self.n_used < self.n_ready {
                let to = self.n_ready.min(self.n_used + n);
                let ready = self.ready.get(self.n_used..to).unwrap_or_default();
                sink.packed(ready);
                n -= ready.len();
                self.n_used = to;
                continue;
            }
            match &mut self.run {
                Run::Repeated { n_left: 0, .. } | Run::Packed { n_left: 0 } => self.next_run(bytes)?,
                Run::Repeated { code, n_left } => {
                    let n_now = n.min(*n_left);
                    sink.repeated(*code, n_now);
                    *n_left -= n_now;
                    n -= n_now;
                }
                Run::Packed { n_left } => {
                    let n_blocks = (n.min(*n_left) / BLOCK).min(MAX_BLOCKS);
                    if n_blocks == 0 {
                        let n_now = (*n_left).min(BLOCK);
                        *n_left -= n_now;
                        self.refill(bytes, n_now)?;
                        continue;
                    }
                    *n_left -= n_blocks * BLOCK;
                    let n_bytes = n_blocks * BLOCK / 8 * self.width;
                    let packed = bytes.get(self.at..self.at + n_bytes).ok_or_else(ends_early)?;
                    let mut blocks = [[0; BLOCK]; MAX_BLOCKS];
                    let blocks = blocks.get_mut(..n_blocks).unwrap_or_default();
                    (self.unpack)(packed, blocks);
                    sink.packed(blocks.as_flattened());
                    self.at += n_bytes;
                    n -= n_blocks * BLOCK;
                }
            }
        }
        Ok(())
    }

    /// Unpacks less than is asked for at once: a block, or what is left of the run.
    fn refill(&mut self, bytes: &[u8], n: usize) -> Result<(), Fault> {
        let left = bytes.get(self.at..).unwrap_or_default();
        // The last group of a column may be cut short: its missing values are never asked for.
        let n_bytes = (n.div_ceil(8) * self.width).min(left.len());
        let mut padded = [0; BLOCK * 4];
        if let (Some(to), Some(from)) = (padded.get_mut(..n_bytes), left.get(..n_bytes)) {
            to.copy_from_slice(from);
        }
        let packed = padded.get(..BLOCK / 8 * self.width).unwrap_or_default();
        (self.unpack)(packed, std::array::from_mut(&mut self.ready));
        self.at += n_bytes;
        self.n_used = 0;
        self.n_ready = (n_bytes * 8).checked_div(self.width).unwrap_or(n).min(n);
        if self.n_ready == 0 { Err(ends_early()) } else { Ok(()) }
    }

    fn next_run(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut rest = bytes.get(self.at..).unwrap_or_default();
        let header = leb128::take(&mut rest).map_err(|stop| match stop {
            Stop::NeedsMore => ends_early(),
            Stop::Corrupt => without_end(),
        })?;
        let header = u32::try_from(header).map_err(|_| without_end())?;
        self.at = bytes.len() - rest.len();
        let n = (header >> 1) as usize;
        if header & 1 == 1 {
            self.run = Run::Packed { n_left: n.saturating_mul(8) };
            return Ok(());
        }
        let n_bytes = self.width.div_ceil(8);
        let stored = bytes.get(self.at..self.at + n_bytes).ok_or_else(ends_early)?;
        let code = stored.iter().rev().fold(0, |code, byte| code << 8 | u32::from(*byte));
        self.at += n_bytes;
        self.run = Run::Repeated { code, n_left: n };
        Ok(())
    }
}

fn ends_early() -> Fault {
    Fault::Corrupt("a page ends early".to_owned())
}

fn without_end() -> Fault {
    Fault::Corrupt("a run without end".to_owned())
}

/// Unpacks blocks of 32 values of `W` bits, least significant bit first.
///
/// Unrolled by hand, because the compiler does not: with constant shifts a value costs three instructions instead of
/// fifteen, which is a tenth of reading dictionary-coded columns.
fn unpack<const W: usize>(packed: &[u8], blocks: &mut [[u32; BLOCK]]) {
    macro_rules! unrolled {
        ($words:ident, $block:ident, $($i:literal)*) => {
            $({
                let (at, shift) = ($i * W / 32, $i * W % 32);
                let low = u32::from_le_bytes($words[at]) >> shift;
                let high = if shift + W > 32 { u32::from_le_bytes($words[at + 1]) << (32 - shift) } else { 0 };
                $block[$i] = (low | high) & (u32::MAX >> (32 - W));
            })*
        };
    }
    let (words, _) = packed.as_chunks::<4>();
    let (words, _) = words.as_chunks::<W>();
    for (words, block) in words.iter().zip(blocks) {
        unrolled!(words, block, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    }
}

fn unpack_zeros(_: &[u8], blocks: &mut [[u32; BLOCK]]) {
    blocks.as_flattened_mut().fill(0);
}

/// By width.
static UNPACK: [Unpack; 33] = [
    unpack_zeros,
    unpack::<1>,
    unpack::<2>,
    unpack::<3>,
    unpack::<4>,
    unpack::<5>,
    unpack::<6>,
    unpack::<7>,
    unpack::<8>,
    unpack::<9>,
    unpack::<10>,
    unpack::<11>,
    unpack::<12>,
    unpack::<13>,
    unpack::<14>,
    unpack::<15>,
    unpack::<16>,
    unpack::<17>,
    unpack::<18>,
    unpack::<19>,
    unpack::<20>,
    unpack::<21>,
    unpack::<22>,
    unpack::<23>,
    unpack::<24>,
    unpack::<25>,
    unpack::<26>,
    unpack::<27>,
    unpack::<28>,
    unpack::<29>,
    unpack::<30>,
    unpack::<31>,
    unpack::<32>,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Packs the plain way, bit by bit; runs as given, each either repeated or packed.
    fn write(width: usize, runs: &[(bool, Vec<u32>)]) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut codes) = (Vec::new(), Vec::new());
        let mask = if width == 32 { u32::MAX } else { (1 << width) - 1 };
        for (is_packed, run) in runs {
            let run: Vec<u32> = run.iter().map(|code| code & mask).collect();
            if *is_packed {
                let n_groups = run.len().div_ceil(8);
                leb128::put(&mut bytes, (n_groups << 1 | 1) as u64);
                let mut packed = vec![0_u8; n_groups * width];
                for (i, code) in run.iter().chain(std::iter::repeat_n(&0, n_groups * 8 - run.len())).enumerate() {
                    for bit in 0..width {
                        packed[(i * width + bit) / 8] |= ((code >> bit & 1) as u8) << ((i * width + bit) % 8);
                    }
                    codes.push(*code);
                }
                bytes.extend(packed);
            } else if let Some(code) = run.first() {
                leb128::put(&mut bytes, (run.len() << 1) as u64);
                bytes.extend(code.to_le_bytes().iter().take(width.div_ceil(8)));
                codes.extend(std::iter::repeat_n(code, run.len()));
            }
        }
        (bytes, codes)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_whatever_is_asked_for_at_a_time(
            width in 0_usize..=32,
            runs in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u32>(), 1..1200)), 0..6),
            step in 1_usize..700,
        ) {
            let (bytes, codes) = write(width, &runs);
            let (mut hybrid, mut read) = (Hybrid::new(width as u8, 0).unwrap(), Vec::<u32>::new());
            while read.len() < codes.len() {
                hybrid.read(&bytes, step.min(codes.len() - read.len()), &mut read).unwrap();
            }
            prop_assert_eq!(read, codes);
            prop_assert!(hybrid.read(&bytes, 1, &mut Skip).is_err());
        }

        #[test]
        fn any_bytes_give_codes_or_an_error(width in 0_u8..=40, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut codes = Vec::<u32>::new();
            if let Ok(mut hybrid) = Hybrid::new(width, 0) {
                let result = hybrid.read(&bytes, 1000, &mut codes);
                prop_assert!(codes.len() == 1000 || result.is_err());
            }
        }
    }
}
