//! The shelf: observations of all objects, by hour, until they are walked in event time.
//!
//! Objects come in any order, hours are walked in order, so everything must be put down in between. What does not fit
//! into the memory granted goes to a [`Scratch`] of the door, hour by hour; memory follows functions × destinations of
//! an hour, not the input.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use baselines::names::Names;
use baselines::observation::{Collector, Observation, Observations};
use baselines::window::{Day, Window};

/// Bytes of observations kept in memory before some go to the scratch.
const MAX_IN_MEMORY: usize = 48 << 20;

/// An hour of event time, counted since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hour(u32);

/// Windows in an hour.
const WINDOWS_PER_HOUR: u32 = 6;

impl Hour {
    fn of(window: Window) -> Self {
        Self(window.0 / WINDOWS_PER_HOUR)
    }

    /// The day it lies in.
    pub(super) fn day(self) -> Day {
        Day(self.0 / 24)
    }
}

/// Where the shelf puts what does not fit into memory.
pub trait Scratch: Send {
    /// Appends bytes to an hour's.
    fn append(&mut self, hour: u32, bytes: &[u8]) -> io::Result<()>;
    /// Takes all bytes appended to an hour.
    fn take(&mut self, hour: u32) -> io::Result<Vec<u8>>;
}

/// Keeps everything in memory after all, for inputs known to be small.
#[derive(Debug, Default)]
pub struct InMemoryScratch(BTreeMap<u32, Vec<u8>>);

impl Scratch for InMemoryScratch {
    fn append(&mut self, hour: u32, bytes: &[u8]) -> io::Result<()> {
        self.0.entry(hour).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn take(&mut self, hour: u32) -> io::Result<Vec<u8>> {
        Ok(self.0.remove(&hour).unwrap_or_default())
    }
}

/// An observation with the flow log it was told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) source: u32,
    pub(super) observation: Observation,
}

/// What the numbers of the rows point into.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Owners, interfaces, peers; no rows.
    pub(super) set: Observations,
    /// Flow logs.
    pub(super) sources: Names,
}

/// All observations, by hour.
pub(super) struct Shelf {
    collector: Collector,
    sources: Names,
    hours: Hours,
}

/// The rows, encoded: in memory, or on the scratch.
pub(super) struct Hours {
    in_memory: BTreeMap<Hour, Vec<u8>>,
    n_bytes: usize,
    on_scratch: BTreeSet<Hour>,
    scratch: Box<dyn Scratch>,
}

impl Shelf {
    pub(super) fn new(scratch: Box<dyn Scratch>) -> Self {
        let hours = Hours { in_memory: BTreeMap::new(), n_bytes: 0, on_scratch: BTreeSet::new(), scratch };
        Self { collector: Collector::default(), sources: Names::default(), hours }
    }

    /// Puts down an object's observations.
    pub(super) fn add(&mut self, source: &str, observations: &Observations) -> io::Result<()> {
        let source = self.sources.intern(source);
        self.collector.add(observations);
        let rows = self.collector.take_rows();
        let Hours { in_memory, n_bytes, .. } = &mut self.hours;
        for rows in rows.chunk_by(|a, b| Hour::of(a.window) == Hour::of(b.window)) {
            let Some(first) = rows.first() else { continue };
            let hour = in_memory.entry(Hour::of(first.window)).or_default();
            hour.reserve(rows.len() * ENCODED_BYTES);
            for &observation in rows {
                encode(&Row { source, observation }, hour);
            }
            *n_bytes += rows.len() * ENCODED_BYTES;
        }
        if self.hours.n_bytes > MAX_IN_MEMORY { self.hours.spill() } else { Ok(()) }
    }

    /// The tables and the rows, which are taken hour by hour.
    pub(super) fn finish(self) -> (Tables, Hours) {
        (Tables { set: self.collector.finish(Vec::new()), sources: self.sources }, self.hours)
    }
}

impl Hours {
    /// Moves the fullest hours to the scratch until half of the memory is free.
    fn spill(&mut self) -> io::Result<()> {
        let mut hours: Vec<(usize, Hour)> = self.in_memory.iter().map(|(hour, rows)| (rows.len(), *hour)).collect();
        hours.sort_unstable();
        while self.n_bytes > MAX_IN_MEMORY / 2
            && let Some((_, hour)) = hours.pop()
        {
            let bytes = self.in_memory.remove(&hour).unwrap_or_default();
            self.scratch.append(hour.0, &bytes)?;
            self.on_scratch.insert(hour);
            self.n_bytes -= bytes.len();
        }
        Ok(())
    }

    /// The hours there are, in order.
    pub(super) fn all(&self) -> Vec<Hour> {
        let mut hours: Vec<Hour> = self.in_memory.keys().chain(&self.on_scratch).copied().collect();
        hours.sort_unstable();
        hours.dedup();
        hours
    }

    /// Takes an hour's rows, those of each object as they were put down.
    pub(super) fn take(&mut self, hour: Hour) -> io::Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut add = |bytes: &[u8]| rows.extend(bytes.chunks_exact(ENCODED_BYTES).filter_map(decode));
        if self.on_scratch.remove(&hour) {
            add(&self.scratch.take(hour.0)?);
        }
        let bytes = self.in_memory.remove(&hour).unwrap_or_default();
        self.n_bytes -= bytes.len();
        add(&bytes);
        Ok(rows)
    }
}

/// Bytes of an encoded row.
const ENCODED_BYTES: usize = 109;

fn encode(row: &Row, out: &mut Vec<u8>) {
    let o = &row.observation;
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
