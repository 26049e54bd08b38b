//! Rows on the shelf, in few bytes: most amounts are small, most times close to their window.
//!
//! ```text
//!  run   n_bytes  owner  source   rows
//!        4        4      4        …
//!
//!  row   lengths  interface, amounts, times, ports early and late   digest  window, destination
//!        6        0 to 8 bytes each                                  8       8
//! ```
//!
//! A run is what one object told of one owner. Numbers are put down and read eight bytes at a time, whatever their
//! length: what lies behind them is long enough. Window and destination, which a row is sorted by, are found without
//! reading the rest.

use std::iter;

use baselines::observation::Observation;
use baselines::window::Window;

use super::Hour;

/// Bytes before the rows of a run.
const HEADER_BYTES: usize = 12;

/// Numbers of a row that take as many bytes as they need.
const N_NUMBERS: usize = 11;

/// Bytes that say how many each number takes: four bits each.
const LENGTHS_BYTES: usize = 6;

/// Bytes behind the numbers.
const FIXED_BYTES: usize = 16;

/// Bytes of a row at most.
const MAX_ROW_BYTES: usize = LENGTHS_BYTES + 8 * N_NUMBERS + FIXED_BYTES;

/// A power of two that no row reaches, less one, and bytes to read eight from below it.
const ROW_MASK: usize = 0x7f;
const ROW_ROOM: usize = ROW_MASK + 8;
const _: () = assert!(MAX_ROW_BYTES <= ROW_MASK);

/// Bytes a piece has room for: the first of a part, and later ones, but for a longer run. In between each has room for
/// as much as those before it.
const PIECE_BYTES: (usize, usize) = (1 << 10, 256 << 10);

/// Runs put down one after the other, in pieces: one vector would be copied whenever it grows.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    all: Vec<Vec<u8>>,
    /// All that the pieces have room for.
    n_bytes: usize,
    n_rows: usize,
}

impl Pieces {
    /// Bytes of memory they take.
    pub(super) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Rows put down in them.
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(Vec::as_slice)
    }

    /// Puts down the rows that an object told of one owner in an hour, so many of them.
    pub(super) fn add(&mut self, owner: u32, source: u32, n_rows: usize, rows: &[u8]) {
        self.n_rows += n_rows;
        let piece = self.with_room(HEADER_BYTES + rows.len());
        for number in [rows.len() as u32, owner, source] {
            piece.extend_from_slice(&number.to_le_bytes());
        }
        piece.extend_from_slice(rows);
    }

    /// The latest piece with room for so many bytes.
    fn with_room(&mut self, n_bytes: usize) -> &mut Vec<u8> {
        if self.all.last().is_none_or(|piece| piece.capacity() - piece.len() < n_bytes) {
            let (least, most) = PIECE_BYTES;
            let piece = Vec::with_capacity(self.n_bytes.clamp(least, most).max(n_bytes));
            self.n_bytes += piece.capacity();
            self.all.push(piece);
        }
        self.all.last_mut().expect("one was pushed if there was none")
    }
}

/// What a row is of, in one number that sorts by window first: the window in its hour, peer, port and protocol.
fn place(window: u32, peer: u32, port: u16, protocol: u8) -> u64 {
    u64::from(window) << 56 | u64::from(peer) << 24 | u64::from(port) << 8 | u64::from(protocol)
}

/// Appends a row to those of its hour, with the shelf's numbers of its interface and peer.
pub(super) fn encode(row: &Observation, eni: u32, peer: u32, hour: Hour, out: &mut Vec<u8>) {
    let numbers: [u64; N_NUMBERS] = [
        eni.into(),
        row.n_flows.into(),
        row.n_rejected.into(),
        row.minutes.into(),
        row.bytes_out,
        row.packets_in,
        row.bytes_in,
        row.first.wrapping_sub(row.window.start()) as u64,
        row.last.wrapping_sub(row.first) as u64,
        row.ports_early,
        row.ports_late,
    ];
    let start = out.len();
    out.extend_from_slice(&[0; ROW_ROOM]);
    let Some(bytes) = out.last_chunk_mut::<ROW_ROOM>() else { return };
    let (mut at, mut lengths) = (LENGTHS_BYTES, 0);
    for (number, shift) in numbers.into_iter().zip((0..).step_by(4)) {
        put(bytes, at, number);
        let length = 8 - number.leading_zeros() / 8;
        lengths |= u64::from(length) << shift;
        at += length as usize;
    }
    if let Some(slot) = bytes.first_chunk_mut::<LENGTHS_BYTES>() {
        let [a, b, c, d, e, f, ..] = lengths.to_le_bytes();
        *slot = [a, b, c, d, e, f];
    }
    let window = (row.window.0 - hour.first_window()) & 0xff;
    for number in [row.digest, place(window, peer, row.port, row.protocol)] {
        put(bytes, at, number);
        at += 8;
    }
    out.truncate(start + at);
}

/// Puts eight bytes into a row, at a place below [`ROW_MASK`].
#[inline]
fn put(bytes: &mut [u8; ROW_ROOM], at: usize, number: u64) {
    // Masked, so that there is no looking whether it is inside.
    if let Some(slot) = bytes.get_mut(at & ROW_MASK..).and_then(|rest| rest.first_chunk_mut()) {
        *slot = number.to_le_bytes();
    }
}

/// Eight bytes from a place on; 0 where there are not as many.
#[inline]
fn eight(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |eight| u64::from_le_bytes(*eight))
}

/// The number of so many bytes that begins with others.
#[inline]
fn number(eight: u64, n_bytes: u64) -> u64 {
    /// Bits of a number of each length; none has more than eight bytes.
    #[expect(clippy::indexing_slicing, reason = "eight is below sixteen, and a constant is made when compiled")]
    const BITS: [u64; 16] = {
        let mut bits = [u64::MAX; 16];
        let mut n_bytes = 0;
        while n_bytes < 8 {
            bits[n_bytes] = (1 << (8 * n_bytes)) - 1;
            n_bytes += 1;
        }
        bits
    };
    eight & BITS.get(n_bytes as usize & 0xf).copied().unwrap_or(0)
}

/// How many bytes the numbers of a row take together: the sum of its lengths.
fn n_bytes(lengths: u64) -> usize {
    const EVEN: u64 = 0x0f0f_0f0f_0f0f;
    // Sums of two lengths each, added up in the highest byte.
    let of_two = (lengths & EVEN) + (lengths >> 4 & EVEN >> 8);
    (of_two.wrapping_mul(0x0101_0101_0101_0101) >> 56) as usize
}

/// All rows of a part of an hour.
#[derive(Debug)]
pub(in crate::pipeline) struct PartRows {
    hour: Hour,
    pieces: Vec<Vec<u8>>,
}

impl PartRows {
    /// Those in memory, and those put down elsewhere.
    pub(super) fn new(hour: Hour, in_memory: Pieces, elsewhere: Vec<u8>) -> Self {
        let mut pieces = in_memory.all;
        pieces.push(elsewhere);
        Self { hour, pieces }
    }

    /// What each object told of each owner.
    pub(in crate::pipeline) fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let first_window = self.hour.first_window();
        self.pieces.iter().flat_map(move |piece| {
            let mut rest = piece.as_slice();
            iter::from_fn(move || {
                let (header, behind) = rest.split_at_checked(HEADER_BYTES)?;
                let (n_bytes_and_owner, source) = (eight(header, 0), eight(header, 4) >> 32);
                let (rows, after) = behind.split_at_checked(n_bytes_and_owner as u32 as usize)?;
                rest = after;
                let owner = (n_bytes_and_owner >> 32) as u32;
                Some(Run { owner, source: source as u32, first_window, rows })
            })
        })
    }
}

/// What one object told of one owner in an hour.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct Run<'a> {
    pub(in crate::pipeline) owner: u32,
    /// The flow log it was told by.
    pub(in crate::pipeline) source: u32,
    first_window: u32,
    rows: &'a [u8],
}

/// Where in its run a row lies.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct At(u32);

impl Run<'_> {
    /// Where each row lies, and what it is sorted by, peers by their rank: window, peer, port and protocol.
    pub(in crate::pipeline) fn places(&self, rank: impl Fn(u32) -> u32) -> impl Iterator<Item = (u64, At)> {
        const PEER: u64 = 0xffff_ffff << 24;
        let mut start = 0;
        iter::from_fn(move || {
            let at = At(start as u32);
            start = self.fixed(at) + FIXED_BYTES;
            let told = eight(self.rows, start - 8);
            let place = told & !PEER | u64::from(rank((told >> 24) as u32)) << 24;
            (start <= self.rows.len()).then_some((place, at))
        })
    }

    /// Where the bytes of a row begin that lie behind its numbers.
    fn fixed(&self, At(start): At) -> usize {
        let start = start as usize;
        start + LENGTHS_BYTES + n_bytes(eight(self.rows, start))
    }

    /// Interface and digest of a row.
    pub(in crate::pipeline) fn eni_and_digest(&self, at: At) -> (u32, u64) {
        let start = at.0 as usize;
        let eni = number(eight(self.rows, start + LENGTHS_BYTES), eight(self.rows, start) & 0xf);
        (eni as u32, eight(self.rows, self.fixed(at)))
    }

    /// A row.
    pub(in crate::pipeline) fn row(&self, At(start): At) -> Observation {
        let rest = self.rows.get(start as usize..).unwrap_or_default();
        // With room behind it for what the numbers of no row exceed, where each lies needs no looking at.
        let mut short = [0; ROW_ROOM];
        let bytes: &[u8; ROW_ROOM] = rest.first_chunk().unwrap_or_else(|| {
            short.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            &short
        });
        let mut lengths = eight(bytes, 0);
        let mut at = LENGTHS_BYTES;
        let mut next = |n_bytes: u64| {
            let number = number(eight(bytes, at & ROW_MASK), n_bytes);
            at += n_bytes as usize;
            number
        };
        let numbers = [(); N_NUMBERS].map(|()| {
            let n_bytes = lengths & 0xf;
            lengths >>= 4;
            next(n_bytes)
        });
        let [eni, n_flows, n_rejected, minutes, bytes_out, packets_in, bytes_in, ..] = numbers;
        let [.., first, last, ports_early, ports_late] = numbers;
        let [digest, place] = [(); 2].map(|()| next(8));
        let window = Window(self.first_window.saturating_add((place >> 56) as u32));
        let first = window.start().wrapping_add(first as i64);
        Observation {
            owner: self.owner,
            eni: eni as u32,
            peer: (place >> 24) as u32,
            port: (place >> 8) as u16,
            protocol: place as u8,
            window,
            n_flows: n_flows as u32,
            n_rejected: n_rejected as u32,
            bytes_out,
            packets_in,
            bytes_in,
            first,
            last: first.wrapping_add(last as i64),
            minutes: minutes as u16,
            ports_early,
            ports_late,
            digest,
        }
    }

    /// All rows, as they were put down.
    pub(in crate::pipeline) fn rows(&self) -> impl Iterator<Item = Observation> {
        self.places(|peer| peer).map(|(_, at)| self.row(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Small numbers, as most are, and any.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..300u64, any::<u64>()]
    }

    fn row() -> impl Strategy<Value = Observation> {
        (prop::array::uniform17(number()), 0..6u32).prop_map(|(n, window)| Observation {
            owner: n[0] as u32 % 3,
            eni: n[2] as u32,
            peer: n[3] as u32,
            port: n[4] as u16,
            protocol: n[5] as u8,
            window: Window(600 + window),
            n_flows: n[6] as u32,
            n_rejected: n[7] as u32,
            bytes_out: n[8],
            packets_in: n[9],
            bytes_in: n[10],
            first: n[11] as i64,
            last: n[12] as i64,
            minutes: n[13] as u16,
            ports_early: n[14],
            ports_late: n[15],
            digest: n[16],
        })
    }

    /// The rows put down in runs, part of them elsewhere.
    fn put_down(rows: &[Observation], n_elsewhere: usize) -> PartRows {
        let hour = Hour::of(Window(600));
        let put_down = |rows: &[Observation]| {
            let mut pieces = Pieces::default();
            for run in rows.chunk_by(|a, b| a.owner == b.owner) {
                let mut bytes = Vec::new();
                for row in run {
                    encode(row, row.eni, row.peer, hour, &mut bytes);
                }
                pieces.add(run[0].owner, 7, run.len(), &bytes);
            }
            assert_eq!(pieces.n_bytes(), pieces.all.iter().map(Vec::capacity).sum::<usize>());
            pieces
        };
        let (elsewhere, in_memory) = rows.split_at(n_elsewhere.min(rows.len()));
        let elsewhere: Vec<u8> = put_down(elsewhere).iter().flatten().copied().collect();
        PartRows::new(hour, put_down(in_memory), elsewhere)
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were_put_down(
            rows in prop::collection::vec(row(), 0..60),
            n_elsewhere in 0..60usize,
        ) {
            let part = put_down(&rows, n_elsewhere);
            let mut back: Vec<Observation> = part.runs().flat_map(|run| run.rows().collect::<Vec<_>>()).collect();
            // What lies elsewhere was put down first.
            let n_in_memory = rows.len() - n_elsewhere.min(rows.len());
            back.rotate_left(n_in_memory);
            prop_assert_eq!(&back, &rows);
            for run in part.runs() {
                prop_assert_eq!(run.source, 7);
                for (place, at) in run.places(|peer| !peer) {
                    let row = run.row(at);
                    prop_assert_eq!(run.eni_and_digest(at), (row.eni, row.digest));
                    prop_assert_eq!(place, super::place(row.window.0 - 600, !row.peer, row.port, row.protocol));
                }
            }
        }
    }

    #[test]
    fn damaged_rows_end() {
        let bytes = [
            vec![],
            vec![0],
            vec![0; 40],
            vec![200, 1, 2],
            vec![255; 300],
            [vec![44, 0, 0, 0], vec![255; 90]].concat(),
        ];
        for bytes in bytes {
            let part = PartRows::new(Hour::of(Window(600)), Pieces::default(), bytes);
            assert!(part.runs().flat_map(|run| run.rows().collect::<Vec<_>>()).count() <= 4);
        }
    }
}
