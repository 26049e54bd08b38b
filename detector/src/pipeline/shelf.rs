//! The shelf: observations of all objects, by hour, until they are walked in event time.
//!
//! Objects come in any order, hours are walked in order, so everything must be put down in between. What does not fit
//! into the memory granted goes to a [`Scratch`] of the door. An hour is put down in parts of some owners each, and
//! taken up part by part: memory follows the destinations of so many owners in an hour, not the input and not the
//! fleet.

mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use baselines::names::Names;
use baselines::near::near;
use baselines::observation::{Collector, Observation, Observations};
use baselines::window::{Day, WINDOWS_PER_HOUR, Window};

use self::row::Pieces;
pub(super) use self::row::{At, PartRows, Run};
use super::Scratch;
use super::own::{Candidates, OwnPeers};

/// Bytes of observations kept in memory before some go to the scratch. With 16 MiB, 8 million rows took 7 % longer and
/// 8 MB less; a fifth of what a Lambda may have is left to them.
const MAX_IN_MEMORY: usize = 48 << 20;

/// An hour of event time, counted since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Hour(u32);

impl Hour {
    /// After all hours there are.
    const NEVER: Self = Self(u32::MAX);

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

/// Rows that are asked for ahead of the one being encoded.
const N_AHEAD: usize = 16;

/// Owners whose rows of an hour lie together. Changes speed and memory, never results.
const OWNERS_PER_PART: u32 = 128;

/// An hour of some owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) hour: Hour,
    owners: u32,
}

impl Part {
    /// What a [`Scratch`] knows it by.
    fn key(self) -> u64 {
        u64::from(self.hour.0) << 32 | u64::from(self.owners)
    }
}

/// What the numbers of the rows point into.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Owners, interfaces, peers; no rows.
    pub(super) set: Observations,
    /// Flow logs.
    pub(super) sources: Names,
    /// Own addresses of interfaces that rows go to: others called.
    pub(super) own: OwnPeers,
}

/// The hour in which each owner and each peer is met first.
#[derive(Debug, Default)]
pub(super) struct First {
    pub(super) owners: Vec<Hour>,
    pub(super) peers: Vec<Hour>,
}

/// All observations, by hour.
pub(super) struct Shelf {
    collector: Collector,
    sources: Names,
    candidates: Candidates,
    first: First,
    owners_per_part: u32,
    /// The rows of an object in the order they are put down, and those of one owner in an hour, encoded. Their memory
    /// serves one object after the other.
    order: Vec<Placed>,
    run: Vec<u8>,
    parts: Parts,
}

/// A row of an object, by the hour and the owner it goes to.
#[derive(Clone, Copy)]
struct Placed {
    /// Hour and owner.
    run: u64,
    /// Among the object's.
    row: u32,
}

impl Placed {
    fn new(row: u32, of: &Observation) -> Self {
        Self { run: u64::from(Hour::of(of.window).0) << 32 | u64::from(of.owner), row }
    }

    fn hour(self) -> Hour {
        Hour((self.run >> 32) as u32)
    }

    fn owner(self) -> u32 {
        self.run as u32
    }
}

/// The rows, encoded: in memory, or on the scratch.
pub(super) struct Parts {
    in_memory: BTreeMap<Part, Pieces>,
    n_bytes: usize,
    /// What lies on the scratch, and how many rows of each.
    on_scratch: BTreeMap<Part, usize>,
    scratch: Box<dyn Scratch>,
}

impl Shelf {
    pub(super) fn new(scratch: Box<dyn Scratch>) -> Self {
        let parts = Parts { in_memory: BTreeMap::new(), n_bytes: 0, on_scratch: BTreeMap::new(), scratch };
        Self {
            collector: Collector::default(),
            sources: Names::default(),
            candidates: Candidates::default(),
            first: First::default(),
            owners_per_part: OWNERS_PER_PART,
            order: Vec::new(),
            run: Vec::new(),
            parts,
        }
    }

    /// Puts down an object's observations.
    pub(super) fn add(&mut self, source: &str, observations: &Observations) -> io::Result<()> {
        let source = self.sources.intern(source);
        let numbers = self.collector.renumber(observations);
        let Self { collector, candidates, first, owners_per_part, order, run, parts, .. } = self;
        observations.shared.iter().for_each(|of| candidates.note(numbers.eni(of.eni), of));
        first.owners.resize(collector.set().owners.len(), Hour::NEVER);
        first.peers.resize(collector.set().peers.len(), Hour::NEVER);
        // First by the object's own numbers: those of all objects are far apart, so each is gone to once.
        let mut met = vec![Hour::NEVER; observations.peers.len()];
        order.clear();
        order.extend((0..).zip(&observations.rows).map(|(n, row)| {
            let placed = Placed::new(n, row);
            note(&mut met, row.peer, placed.hour());
            placed
        }));
        (0..).zip(met).for_each(|(peer, hour)| note(&mut first.peers, numbers.peer(peer), hour));
        order.sort_unstable_by_key(|placed| placed.run);
        let row = |placed: &Placed| observations.rows.get(placed.row as usize);
        let mut ahead = order.iter().skip(N_AHEAD);
        for of_run in order.chunk_by(|a, b| a.run == b.run) {
            let Some((hour, owner)) = of_run.first().map(|placed| (placed.hour(), placed.owner())) else { continue };
            run.clear();
            for placed in of_run {
                ahead.next().and_then(row).map(near);
                let Some(row) = row(placed) else { continue };
                let (eni, peer) = (numbers.eni(row.eni), numbers.peer(row.peer));
                row::encode(row, eni, peer, hour, run);
            }
            let owner = numbers.owner(owner);
            note(&mut first.owners, owner, hour);
            let pieces = parts.in_memory.entry(Part { hour, owners: owner / *owners_per_part }).or_default();
            let before = pieces.n_bytes();
            pieces.add(owner, source, of_run.len(), run);
            parts.n_bytes += pieces.n_bytes() - before;
        }
        if parts.n_bytes > MAX_IN_MEMORY { parts.spill() } else { Ok(()) }
    }

    /// The tables, and the rows, which are taken part by part.
    pub(super) fn finish(self) -> (Tables, First, Parts) {
        let Self { collector, sources, candidates, first, parts, .. } = self;
        let set = collector.finish(Vec::new());
        let own = candidates.decided(&set.peers);
        (Tables { set, sources, own }, first, parts)
    }
}

/// Notes that a number was met in an hour.
fn note(first: &mut [Hour], id: u32, hour: Hour) {
    if let Some(first) = first.get_mut(id as usize) {
        *first = hour.min(*first);
    }
}

impl Parts {
    /// Moves the fullest parts to the scratch until half of the memory is free.
    fn spill(&mut self) -> io::Result<()> {
        let mut parts: Vec<(usize, Part)> = self.in_memory.iter().map(|(part, rows)| (rows.n_bytes(), *part)).collect();
        parts.sort_unstable();
        while self.n_bytes > MAX_IN_MEMORY / 2
            && let Some((_, part)) = parts.pop()
        {
            let rows = self.in_memory.remove(&part).unwrap_or_default();
            for piece in rows.iter() {
                self.scratch.append(part.key(), piece)?;
            }
            *self.on_scratch.entry(part).or_default() += rows.n_rows();
            self.n_bytes -= rows.n_bytes();
        }
        Ok(())
    }

    /// The parts there are, by hour.
    pub(super) fn all(&self) -> BTreeMap<Hour, Vec<Part>> {
        let parts: BTreeSet<Part> = self.in_memory.keys().chain(self.on_scratch.keys()).copied().collect();
        let mut hours: BTreeMap<Hour, Vec<Part>> = BTreeMap::new();
        for part in parts {
            hours.entry(part.hour).or_default().push(part);
        }
        hours
    }

    /// How many rows were put down of a part.
    pub(super) fn n_rows_of(&self, part: Part) -> usize {
        let in_memory = self.in_memory.get(&part).map_or(0, Pieces::n_rows);
        in_memory + self.on_scratch.get(&part).copied().unwrap_or(0)
    }

    /// Takes a part's rows.
    pub(super) fn take(&mut self, part: Part) -> io::Result<PartRows> {
        let elsewhere =
            if self.on_scratch.remove(&part).is_some() { self.scratch.take(part.key())? } else { Vec::new() };
        let in_memory = self.in_memory.remove(&part).unwrap_or_default();
        self.n_bytes -= in_memory.n_bytes();
        Ok(PartRows::new(part.hour, in_memory, elsewhere))
    }
}

#[cfg(test)]
mod tests {
    use baselines::observation::Eni;
    use baselines::window::WINDOWS_PER_DAY;

    use super::*;
    use crate::config::Config;
    use crate::coverage::Coverage;
    use crate::pipeline::walk::walk;
    use crate::pipeline::{InMemoryScratch, Job, Knowledge, Memory, Mode};

    const N_DAYS: u32 = 22;

    /// What twelve functions did on a day: each called a service of its own every hour; of each pair one began a day
    /// later than the other; on the last day two met a stranger.
    fn day(n: u32) -> Observations {
        let mut collector = Collector::default();
        let mut rows = Vec::new();
        for function in 0..12 {
            let owner = collector.owner(&format!("arn:aws:lambda:eu-west-1:111122223333:function:f{function:02}"));
            let eni = collector.eni(&Eni { id: format!("eni-{function:02}").into(), ..Eni::default() });
            let own = collector.peer(0xffff_cb00_7100 + u128::from(function) * 0x1_0000, "");
            let stranger = collector.peer(0xffff_c633_6442, "");
            let hours = if n < function % 2 { 0..0 } else { 0..24 };
            for hour in hours {
                let window = Window((20_000 + n) * WINDOWS_PER_DAY + hour * WINDOWS_PER_HOUR + 2);
                let row = |peer, bytes| Observation {
                    owner,
                    eni,
                    peer,
                    port: 443,
                    protocol: 6,
                    window,
                    n_flows: 3,
                    bytes_out: bytes,
                    packets_in: 30,
                    bytes_in: 9_000,
                    first: window.start() + 10,
                    last: window.start() + 90,
                    minutes: 3,
                    digest: bytes,
                    ..Observation::default()
                };
                rows.push(row(own, 4_000 + u64::from(hour)));
                if n == N_DAYS - 1 && matches!(function, 4 | 9) {
                    rows.push(row(stranger, 700_000));
                }
            }
        }
        collector.finish(rows).sorted()
    }

    /// What a walk finds and learns.
    fn walked(days: impl Iterator<Item = u32>, owners_per_part: u32) -> (Vec<String>, Vec<bytes::Bytes>) {
        let mut shelf = Shelf { owners_per_part, ..Shelf::new(Box::<InMemoryScratch>::default()) };
        for n in days {
            shelf.add("fl-1", &day(n)).unwrap();
        }
        let (config, knowledge) = (Config::defaults(), Knowledge::default());
        let job = Job { config: &config, knowledge: &knowledge, mode: Mode::Replay, span: None, progress: &() };
        let (findings, memory) = walk(&job, shelf, Memory::default(), &mut Coverage::default()).unwrap();
        let stored = baselines::store::encode(&memory.baselines).unwrap();
        let findings = findings.iter().map(|finding| format!("{finding:?}")).collect();
        (findings, stored.into_iter().map(|(_, bytes)| bytes).collect())
    }

    #[test]
    fn how_an_hour_is_parted_and_in_which_order_days_come_says_nothing() {
        let (findings, stored) = walked(0..N_DAYS, OWNERS_PER_PART);
        assert!(findings.iter().any(|finding| finding.contains("f04")) && findings.iter().any(|f| f.contains("f09")));
        assert!(walked(0..N_DAYS, 1) == (findings.clone(), stored.clone()));
        assert!(walked((0..N_DAYS).rev(), 5) == (findings, stored));
    }
}
