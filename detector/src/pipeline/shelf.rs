//! The shelf: observations of all objects, by day, until they are walked in event time.
//!
//! Objects come in any order, days are walked in order, so everything must be put down in between. What does not fit
//! into the memory granted goes to a [`Scratch`] of the door, day by day; memory follows functions × destinations of
//! a day, not the input.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use baselines::observation::{Collector, Observation, Observations};
use baselines::window::{Day, Window};

/// Observations kept in memory before some go to the scratch: 48 MiB of them.
const MAX_IN_MEMORY: usize = 48 * 1024 * 1024 / size_of::<Row>();

/// Where the shelf puts what does not fit into memory.
pub trait Scratch: Send {
    /// Appends bytes to a day's.
    fn append(&mut self, day: u32, bytes: &[u8]) -> io::Result<()>;
    /// Takes all bytes appended to a day.
    fn take(&mut self, day: u32) -> io::Result<Vec<u8>>;
}

/// Keeps everything in memory after all, for inputs known to be small.
#[derive(Debug, Default)]
pub struct InMemoryScratch(BTreeMap<u32, Vec<u8>>);

impl Scratch for InMemoryScratch {
    fn append(&mut self, day: u32, bytes: &[u8]) -> io::Result<()> {
        self.0.entry(day).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn take(&mut self, day: u32) -> io::Result<Vec<u8>> {
        Ok(self.0.remove(&day).unwrap_or_default())
    }
}

/// An observation with the flow log it was told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) source: u32,
    pub(super) observation: Observation,
}

/// All observations, by day.
pub(super) struct Shelf {
    collector: Collector,
    days: BTreeMap<Day, Vec<Row>>,
    n_in_memory: usize,
    scratched: BTreeMap<Day, usize>,
    scratch: Box<dyn Scratch>,
    sources: baselines::names::Names,
}

impl Shelf {
    pub(super) fn new(scratch: Box<dyn Scratch>) -> Self {
        Self {
            collector: Collector::default(),
            days: BTreeMap::new(),
            n_in_memory: 0,
            scratched: BTreeMap::new(),
            scratch,
            sources: baselines::names::Names::default(),
        }
    }

    /// Puts down an object's observations.
    pub(super) fn add(&mut self, source: &str, observations: &Observations) -> io::Result<()> {
        let source = self.sources.intern(source);
        self.collector.add(observations);
        let rows = self.collector.take_rows();
        self.n_in_memory += rows.len();
        for observation in rows {
            self.days.entry(observation.window.day()).or_default().push(Row { source, observation });
        }
        if self.n_in_memory > MAX_IN_MEMORY {
            self.spill()?;
        }
        Ok(())
    }

    /// Moves the fullest days to the scratch until half of the memory is free.
    fn spill(&mut self) -> io::Result<()> {
        let mut days: Vec<(usize, Day)> = self.days.iter().map(|(day, rows)| (rows.len(), *day)).collect();
        days.sort_unstable();
        while self.n_in_memory > MAX_IN_MEMORY / 2
            && let Some((_, day)) = days.pop()
        {
            let rows = self.days.remove(&day).unwrap_or_default();
            let mut bytes = Vec::with_capacity(rows.len() * ENCODED_BYTES);
            for row in &rows {
                encode(row, &mut bytes);
            }
            self.scratch.append(day.0, &bytes)?;
            *self.scratched.entry(day).or_default() += rows.len();
            self.n_in_memory -= rows.len();
        }
        Ok(())
    }

    /// The days there are, in order.
    pub(super) fn days(&self) -> Vec<Day> {
        let mut days: Vec<Day> = self.days.keys().chain(self.scratched.keys()).copied().collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    /// The tables the rows' numbers point into.
    pub(super) fn tables(&self) -> &Observations {
        self.collector.set()
    }

    /// The name of a flow log.
    pub(super) fn source(&self, id: u32) -> Arc<str> {
        self.sources.name(id)
    }

    /// Takes a day's rows, in no order that means anything.
    pub(super) fn take(&mut self, day: Day) -> io::Result<Vec<Row>> {
        let mut rows = self.days.remove(&day).unwrap_or_default();
        self.n_in_memory -= rows.len();
        if self.scratched.remove(&day).is_some() {
            let bytes = self.scratch.take(day.0)?;
            rows.extend(bytes.chunks_exact(ENCODED_BYTES).filter_map(decode));
        }
        Ok(rows)
    }
}

/// Bytes of an encoded row.
const ENCODED_BYTES: usize = 118;

fn encode(row: &Row, out: &mut Vec<u8>) {
    let o = &row.observation;
    let from = out.len();
    for n in [row.source, o.owner, o.eni, o.peer, o.window.0, o.n_flows, o.n_rejected, o.n_opened] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    let wide = [o.packets_out, o.bytes_out, o.packets_in, o.bytes_in, o.ports_early, o.ports_late, o.digest];
    for n in wide.into_iter().chain([o.first as u64, o.last as u64]) {
        out.extend_from_slice(&n.to_le_bytes());
    }
    out.extend_from_slice(&o.port.to_le_bytes());
    out.extend_from_slice(&o.minutes.to_le_bytes());
    out.push(o.protocol);
    out.resize(from + ENCODED_BYTES, 0);
}

fn decode(bytes: &[u8]) -> Option<Row> {
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(32 + at * 8..40 + at * 8)?.try_into().ok()?));
    let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    Some(Row {
        source: u32_at(0)?,
        observation: Observation {
            owner: u32_at(4)?,
            eni: u32_at(8)?,
            peer: u32_at(12)?,
            window: Window(u32_at(16)?),
            n_flows: u32_at(20)?,
            n_rejected: u32_at(24)?,
            n_opened: u32_at(28)?,
            packets_out: u64_at(0)?,
            bytes_out: u64_at(1)?,
            packets_in: u64_at(2)?,
            bytes_in: u64_at(3)?,
            ports_early: u64_at(4)?,
            ports_late: u64_at(5)?,
            digest: u64_at(6)?,
            first: u64_at(7)? as i64,
            last: u64_at(8)? as i64,
            port: u16_at(104)?,
            minutes: u16_at(106)?,
            protocol: *bytes.get(108)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_undoes_encode() {
        let row = Row {
            source: 1,
            observation: Observation {
                owner: 2,
                eni: 3,
                peer: 4,
                port: 443,
                protocol: 6,
                window: Window(77),
                n_flows: 5,
                n_rejected: 6,
                n_opened: 7,
                packets_out: 8,
                bytes_out: u64::MAX,
                packets_in: 10,
                bytes_in: 11,
                first: -12,
                last: 13,
                minutes: 0x3ff,
                ports_early: 14,
                ports_late: 15,
                digest: 16,
            },
        };
        let mut bytes = Vec::new();
        encode(&row, &mut bytes);
        assert_eq!((bytes.len(), decode(&bytes)), (ENCODED_BYTES, Some(row)));
    }
}
