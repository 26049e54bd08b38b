//! The shelf: observations of all objects, by hour, until they are walked in event time.
//!
//! Objects come in any order, hours are walked in order, so everything must be put down in between. What does not fit
//! into the memory granted goes to a [`Scratch`] of the door, hour by hour; memory follows functions × destinations of
//! an hour, not the input.

mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use baselines::names::Names;
use baselines::observation::{Collector, Observations};
use baselines::window::{Day, Window};

pub(super) use self::row::{At, HourRows, Row};

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

    fn first_window(self) -> u32 {
        self.0 * WINDOWS_PER_HOUR
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
        let numbers = self.collector.renumber(observations);
        let Hours { in_memory, n_bytes, .. } = &mut self.hours;
        for rows in observations.rows.chunk_by(|a, b| Hour::of(a.window) == Hour::of(b.window)) {
            let Some(hour) = rows.first().map(|row| Hour::of(row.window)) else { continue };
            let bytes = in_memory.entry(hour).or_default();
            let before = bytes.len();
            for row in rows {
                Row { source, observation: numbers.of(row) }.encode(hour, bytes);
            }
            *n_bytes += bytes.len() - before;
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
    pub(super) fn take(&mut self, hour: Hour) -> io::Result<HourRows> {
        let mut bytes = if self.on_scratch.remove(&hour) { self.scratch.take(hour.0)? } else { Vec::new() };
        let in_memory = self.in_memory.remove(&hour).unwrap_or_default();
        self.n_bytes -= in_memory.len();
        if bytes.is_empty() {
            bytes = in_memory;
        } else {
            // Of a large fleet an hour is most of what is in memory: no room to grow beside it.
            bytes.reserve_exact(in_memory.len());
            bytes.extend_from_slice(&in_memory);
        }
        Ok(HourRows::new(hour, bytes))
    }
}
