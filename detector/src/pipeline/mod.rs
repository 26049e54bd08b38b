//! The pipeline: strings the stages together, from objects to findings.
//!
//! Where it sits: above the stages, below the doors. Both doors call [`run`]; what differs between the commands is the
//! [`Mode`]. It starts no thread of its own: it works in the rayon pool it is called in.
//!
//! ```text
//!  objects ─▶ read ─▶ rollup ─▶ shelf, by hour ─▶ walk: hour by hour, owners side by side: judge, then learn ─▶ findings
//!  (any order, in parallel)                       (event time, in order)
//! ```

mod changes;
mod details;
mod gather;
mod judge;
mod own;
mod scratch;
mod settle;
mod shelf;
mod strays;
mod unowned;
mod walk;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use baselines::Baselines;
use baselines::observation::Observations;
use baselines::window::Day;

use crate::config::Config;
use crate::coverage::Coverage;
use crate::finding::Finding;
use crate::read::{self, Object};
use crate::resolve::{Inventory, Lists, Networks};
use crate::score::{Incidents, StoredError};

pub(crate) use details::short_names;
pub use details::{Held, details, held};
pub use scratch::{FileScratch, InMemoryScratch, Scratch};

/// What the user's files say of interfaces, functions, networks and addresses.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// Interfaces and functions.
    pub inventory: Inventory,
    /// Network owners.
    pub networks: Networks,
    /// Known bad addresses.
    pub threat_lists: Lists,
    /// Known good addresses.
    pub trusted_lists: Lists,
    /// Judge every interface, not only Lambda's.
    pub all_interfaces: bool,
}

/// What to do with the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Judge each window against what was known before it, then learn it.
    Replay,
    /// Learn, judge nothing.
    Learn,
    /// Judge against a fixed baseline, learn nothing.
    Scan,
}

/// Told while objects are read.
pub trait Progress: Sync {
    /// An object is done: its size and the rows it held.
    fn object_done(&self, n_bytes: u64, n_rows: u64);
}

/// Nobody watches.
impl Progress for () {
    fn object_done(&self, _: u64, _: u64) {}
}

/// One run.
pub struct Job<'a> {
    /// The settings.
    pub config: &'a Config,
    /// What the user's files say.
    pub knowledge: &'a Knowledge,
    /// What to do.
    pub mode: Mode,
    /// Only records starting in this span of Unix seconds, half-open.
    pub span: Option<(i64, i64)>,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// What a run gives.
#[derive(Debug)]
pub struct Outcome {
    /// The findings that this run told or that went on in it, by time of the first record; suppressed ones too.
    pub findings: Vec<Finding>,
    /// The account.
    pub coverage: Coverage,
    /// What is known and was told now. A scan learns nothing, but what it followed is watched in it: not to be stored.
    pub memory: Memory,
}

impl Outcome {
    /// With the findings counted.
    fn new(findings: Vec<Finding>, mut coverage: Coverage, memory: Memory) -> Self {
        coverage.n_suppressed = findings.iter().filter(|finding| finding.suppressed_by.is_some()).count() as u64;
        coverage.n_findings = findings.len() as u64 - coverage.n_suppressed;
        Self { findings, coverage, memory }
    }
}

/// Reads objects, judges and learns.
///
/// # Guarantees
/// The order of objects, the size of batches, the number of threads and the scratch change nothing. An object that
/// cannot be read is named in the coverage and contributes nothing; the others are read.
///
/// # Errors
/// Only when `scratch` fails to keep or return what it was given.
pub fn run(
    job: &Job<'_>,
    objects: Vec<Arc<dyn Object>>,
    memory: Memory,
    scratch: Box<dyn Scratch>,
) -> std::io::Result<Outcome> {
    Shelved::read(job, objects, scratch)?.walk(job, memory)
}

/// Observations of all objects, on the shelf: the first half of [`run`], for a door that has other things to do
/// meanwhile.
///
/// Reading asks the knowledge for interfaces only.
pub struct Shelved {
    shelf: shelf::Shelf,
    coverage: Coverage,
}

impl Shelved {
    /// Reads objects.
    ///
    /// # Errors
    /// Those of [`run`].
    pub fn read(job: &Job<'_>, objects: Vec<Arc<dyn Object>>, scratch: Box<dyn Scratch>) -> std::io::Result<Self> {
        let mut shelf = shelf::Shelf::new(scratch);
        let coverage = gather::gather(job, objects, |flow_log, set| shelf.add(flow_log, &set))?;
        Ok(Self { shelf, coverage })
    }

    /// Judges and learns, from where a memory stands.
    ///
    /// # Errors
    /// Those of [`run`].
    pub fn walk(self, job: &Job<'_>, memory: Memory) -> std::io::Result<Outcome> {
        walk_all(job, self.shelf, self.coverage, memory)
    }
}

/// Walks a shelf from where a memory stands to its end.
fn walk_all(
    job: &Job<'_>,
    shelf: shelf::Shelf,
    mut coverage: Coverage,
    mut memory: Memory,
) -> std::io::Result<Outcome> {
    memory.incidents.begin_run();
    let (mut findings, mut memory) = walk::walk(job, shelf, memory, &mut coverage)?;
    // What an earlier run told and nothing came to in this one is not told again. Of this one all is, however long ago.
    let lasting = memory.incidents.lasting();
    findings.retain(|finding| lasting.contains(&finding.id));
    if let Some(day) = memory.open_day.take() {
        memory.incidents.forget(day.min(memory.baselines.confirmed_day()), job.config);
    }
    Ok(Outcome::new(findings, coverage, memory))
}

/// Observations of all objects, kept to be walked more than once.
#[derive(Debug, Default)]
pub struct Gathered {
    /// With the flow log each was told by, in no order that means anything.
    sets: Vec<(String, Observations)>,
    coverage: Coverage,
}

impl Gathered {
    /// Reads objects and keeps what they tell in memory: some 120 bytes for each function, destination and window.
    ///
    /// # Errors
    /// Never: an object that cannot be read is named in the coverage, and nothing else can fail.
    pub fn read(job: &Job<'_>, objects: Vec<Arc<dyn Object>>) -> std::io::Result<Self> {
        let mut sets = Vec::new();
        let coverage = gather::gather(job, objects, |flow_log, set| {
            sets.push((flow_log.to_owned(), set));
            Ok(())
        })?;
        Ok(Self { sets, coverage })
    }

    /// What was read, with the flow log each part was told by.
    pub fn sets(&self) -> impl Iterator<Item = (&str, &Observations)> {
        self.sets.iter().map(|(flow_log, set)| (flow_log.as_str(), set))
    }

    /// Walks all of it from where a memory stands, and `more` besides: what [`run`] would give over the objects of
    /// both.
    ///
    /// # Errors
    /// Only when `scratch` fails.
    pub fn walk(
        &self,
        job: &Job<'_>,
        more: &[(String, Observations)],
        memory: Memory,
        scratch: Box<dyn Scratch>,
    ) -> std::io::Result<Outcome> {
        let mut shelf = shelf::Shelf::new(scratch);
        for (flow_log, set) in self.sets.iter().chain(more) {
            shelf.add(flow_log, set)?;
        }
        walk_all(job, shelf, self.coverage.clone(), memory)
    }
}

/// Where a walk stands: all that is needed to go on later as if it had never stopped.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Everything learned so far.
    pub baselines: Baselines,
    /// Incidents told so far.
    pub incidents: Incidents,
    /// The latest day walked, which may still go on; `None` before the first.
    pub open_day: Option<Day>,
}

/// The name under which incidents are kept beside baselines.
const INCIDENTS: &str = "incidents.json";

impl From<Baselines> for Memory {
    /// What is known, with nothing told.
    fn from(baselines: Baselines) -> Self {
        Self { baselines, ..Self::default() }
    }
}

impl Memory {
    /// What [`Memory::stored`] gave, loaded.
    ///
    /// # Errors
    /// When the incidents beside the baselines are not ours, or of another version.
    pub fn loaded(mut baselines: Baselines) -> Result<Self, StoredError> {
        let incidents = match baselines.beside.remove(INCIDENTS) {
            Some(text) => Incidents::from_json(&String::from_utf8_lossy(&text), &mut baselines)?,
            None => Incidents::default(),
        };
        Ok(Self { baselines, incidents, open_day: None })
    }

    /// The baselines, with the incidents beside them, so that a later run goes on with them.
    pub fn stored(self) -> Baselines {
        let Self { mut baselines, incidents, .. } = self;
        if !incidents.is_empty() {
            let text = incidents.to_json(&baselines);
            baselines.beside.insert(INCIDENTS.to_owned(), text.into());
        }
        baselines
    }
}

/// What one object told.
#[derive(Debug)]
pub struct Observed {
    /// The flow log it was delivered by, from AWS's file name; empty for another name.
    pub flow_log: String,
    /// Its observations.
    pub observations: Observations,
    /// The account of reading it.
    pub coverage: Coverage,
    /// Accounts that sent some of it and of which the inventory tells nothing: what they did is left out.
    pub unknown_accounts: BTreeSet<Arc<str>>,
}

/// Why an object gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRead {
    /// In words, causes included.
    pub why: String,
    /// Whether it is another kind of log, in order as such: nothing is missing without it.
    pub is_other_log: bool,
}

/// Reads one object, for a door that keeps observations itself and walks them later. What an interface did that the
/// inventory does not know yet is kept under its id; [`walk_observations`] asks again whose it is.
///
/// # Errors
/// [`NotRead`]: nothing of the object may be used then.
pub fn observe(job: &Job<'_>, object: &Arc<dyn Object>) -> Result<Observed, NotRead> {
    gather::observe(job, object)
}

/// Walks observations kept before, each set with its flow log, from where `memory` stands; judges and learns as
/// [`run`] does, but gives the findings of all incidents so far and leaves the last day open, so that a later walk goes
/// on with it. What interfaces sent that nobody owns by now is left out and counted.
///
/// # Guarantees
/// Sets walked at once or one span of whole hours after the other, in order of event time, give the same findings:
/// those of [`run`] over the objects the sets were read from.
///
/// # Errors
/// Only when `scratch` fails.
pub fn walk_observations<'a>(
    job: &Job<'_>,
    sets: impl IntoIterator<Item = (&'a str, &'a Observations)>,
    memory: Memory,
    scratch: Box<dyn Scratch>,
) -> std::io::Result<Outcome> {
    let mut shelf = shelf::Shelf::new(scratch);
    let mut coverage = Coverage::default();
    for (flow_log, observations) in sets {
        shelf.add(flow_log, &unowned::owned(job.knowledge, observations, &mut coverage))?;
        coverage.n_objects += 1;
    }
    let (findings, memory) = walk::walk(job, shelf, memory, &mut coverage)?;
    Ok(Outcome::new(findings, coverage, memory))
}

/// The limits of reading that the settings ask for.
fn limits(config: &Config) -> read::Limits {
    read::Limits {
        max_rejected_share: config.max_rejected_share,
        max_inflated_ratio: config.max_inflated_ratio,
        max_inflated_bytes: config.max_inflated_bytes,
        max_line_bytes: config.max_line_bytes,
        ..read::Limits::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_defaults_are_the_readers() {
        assert_eq!(limits(&Config::defaults()), read::Limits::DEFAULT);
    }
}
