//! A row on the shelf, in few bytes: most amounts are small, most times close to their window.
//!
//! ```text
//!  length  digest  what it is of, and who told it                amounts
//!  1       8       owner peer eni source port protocol window    …        (varints, and two masks of 8)
//!                  4     4    4   4      2    1        1
//! ```
//!
//! What a row is of is asked more often than its amounts: it lies at fixed places.

use std::iter;

use baselines::observation::Observation;
use baselines::packed::{Packer, Unpacker};
use baselines::window::Window;

use super::Hour;

/// An observation with the flow log it was told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) struct Row {
    pub(in crate::pipeline) source: u32,
    pub(in crate::pipeline) observation: Observation,
}

impl Row {
    /// Appends the row to its hour's.
    pub(super) fn encode(&self, hour: Hour, out: &mut Vec<u8>) {
        let o = &self.observation;
        let start = out.len();
        out.push(0);
        let mut packer = Packer::new(out);
        packer.put_bits(o.digest);
        packer.put_bits(u64::from(o.owner) << 32 | u64::from(o.peer));
        packer.put_bits(u64::from(o.eni) << 32 | u64::from(self.source));
        let window = (o.window.0 - hour.first_window()) & 0xff;
        packer.put_half(u32::from(o.port) << 16 | u32::from(o.protocol) << 8 | window);
        for number in [o.n_flows, o.n_rejected, o.n_opened, o.minutes.into()] {
            packer.put(number);
        }
        for amount in [o.packets_out, o.bytes_out, o.packets_in, o.bytes_in] {
            packer.put(amount);
        }
        packer.put_from(o.window.start(), o.first);
        packer.put_from(o.first, o.last);
        packer.put_bits(o.ports_early);
        packer.put_bits(o.ports_late);
        let length = out.len() - start;
        if let Some(first) = out.get_mut(start) {
            // Below 160: 29 bytes before the amounts, eight twice, and at most ten for each number.
            *first = length as u8;
        }
    }
}

/// All rows of a part of an hour, as they were put down.
#[derive(Debug)]
pub(in crate::pipeline) struct PartRows {
    hour: Hour,
    bytes: Vec<u8>,
}

/// Where a row of a part lies.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct At(usize);

impl PartRows {
    pub(super) fn new(hour: Hour, bytes: Vec<u8>) -> Self {
        Self { hour, bytes }
    }

    /// Where each row lies, as they were put down.
    pub(in crate::pipeline) fn all(&self) -> impl Iterator<Item = At> {
        let length = |at: usize| self.bytes.get(at).map(|&length| usize::from(length).max(1));
        let first = (!self.bytes.is_empty()).then_some(0);
        iter::successors(first, move |&at| Some(at + length(at)?).filter(|&next| next < self.bytes.len())).map(At)
    }

    /// What a row is of, its digest and who told it.
    pub(in crate::pipeline) fn subject(&self, at: At) -> Row {
        self.read(at).0
    }

    /// A row.
    pub(in crate::pipeline) fn row(&self, at: At) -> Row {
        let (mut row, mut rest) = self.read(at);
        let o = &mut row.observation;
        [o.n_flows, o.n_rejected, o.n_opened] = [(); 3].map(|()| rest.take_u32());
        o.minutes = rest.take() as u16;
        [o.packets_out, o.bytes_out, o.packets_in, o.bytes_in] = [(); 4].map(|()| rest.take());
        o.first = rest.take_from(o.window.start());
        o.last = rest.take_from(o.first);
        [o.ports_early, o.ports_late] = [(); 2].map(|()| rest.take_bits());
        row
    }

    fn read(&self, At(at): At) -> (Row, Unpacker<'_>) {
        let mut rest = Unpacker::new(self.bytes.get(at + 1..).unwrap_or_default());
        let digest = rest.take_bits();
        let [(owner, peer), (eni, source)] = [(); 2].map(|()| {
            let pair = rest.take_bits();
            ((pair >> 32) as u32, pair as u32)
        });
        let destination = rest.take_half();
        let (port, protocol) = ((destination >> 16) as u16, (destination >> 8) as u8);
        let window = Window(self.hour.first_window().saturating_add(destination & 0xff));
        let observation = Observation { window, owner, peer, port, protocol, eni, digest, ..Observation::default() };
        (Row { source, observation }, rest)
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

    fn row() -> impl Strategy<Value = Row> {
        (prop::array::uniform20(number()), 0..6u32).prop_map(|(n, window)| Row {
            source: n[0] as u32,
            observation: Observation {
                owner: n[1] as u32,
                eni: n[2] as u32,
                peer: n[3] as u32,
                port: n[4] as u16,
                protocol: n[5] as u8,
                window: Window(600 + window),
                n_flows: n[6] as u32,
                n_rejected: n[7] as u32,
                n_opened: n[8] as u32,
                packets_out: n[9],
                bytes_out: n[10],
                packets_in: n[11],
                bytes_in: n[12],
                first: n[13] as i64,
                last: n[14] as i64,
                minutes: n[15] as u16,
                ports_early: n[16],
                ports_late: n[17],
                digest: n[18],
            },
        })
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were_put_down(rows in prop::collection::vec(row(), 0..20)) {
            let mut hour = PartRows::new(Hour::of(Window(600)), Vec::new());
            for row in &rows {
                row.encode(hour.hour, &mut hour.bytes);
            }
            prop_assert_eq!(hour.all().map(|at| hour.row(at)).collect::<Vec<_>>(), rows);
        }
    }

    #[test]
    fn damaged_rows_end() {
        for bytes in [vec![], vec![0], vec![0; 40], vec![200, 1, 2], vec![255; 300]] {
            let hour = PartRows::new(Hour::of(Window(600)), bytes);
            let rows: Vec<Row> = hour.all().map(|at| hour.row(at)).collect();
            assert!(rows.len() <= 40);
        }
    }
}
