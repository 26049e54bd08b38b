//! The pipeline: strings the stages together, from objects to findings.
//!
//! Where it sits: above the stages, below the doors. Both doors call [`run`]; what differs between the commands is the
//! [`Mode`]. It starts no thread of its own: it works in the rayon pool it is called in.
//!
//! ```text
//!  objects ─▶ read ─▶ rollup ─▶ shelf, by day ─▶ walk: window by window, owner by owner: judge, then learn ─▶ findings
//!  (any order, in parallel)                       (event time, in order)
//! ```

mod details;
mod gather;
mod shelf;
mod walk;
mod world;

use std::sync::Arc;

use baselines::Baselines;

use crate::config::Config;
use crate::coverage::Coverage;
use crate::finding::Finding;
use crate::read::{self, Object};
use crate::resolve::{Inventory, Lists, Networks};

pub use details::details;
pub use shelf::{InMemoryScratch, Scratch};

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
    /// Reading is done; the days walked and those to walk.
    fn day_done(&self, n_done: usize, n_days: usize);
}

/// Nobody watches.
impl Progress for () {
    fn object_done(&self, _: u64, _: u64) {}
    fn day_done(&self, _: usize, _: usize) {}
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
    /// The findings, by time of the first record; suppressed ones too.
    pub findings: Vec<Finding>,
    /// The account.
    pub coverage: Coverage,
    /// What is known now; of a scan, what was known before.
    pub baselines: Baselines,
}

/// Reads objects, judges and learns.
///
/// # Guarantees
/// The order of objects, the size of batches, the number of threads and the scratch change nothing. An object that cannot
/// be read is named in the coverage and contributes nothing; the others are read.
///
/// # Errors
/// Only when `scratch` fails to keep or return what it was given.
pub fn run(
    job: &Job<'_>,
    objects: Vec<Arc<dyn Object>>,
    baselines: Baselines,
    scratch: Box<dyn Scratch>,
) -> std::io::Result<Outcome> {
    let (shelf, mut coverage) = gather::gather(job, objects, scratch)?;
    let (findings, baselines) = walk::walk(job, shelf, baselines, &mut coverage)?;
    coverage.n_suppressed = findings.iter().filter(|finding| finding.suppressed_by.is_some()).count() as u64;
    coverage.n_findings = findings.len() as u64 - coverage.n_suppressed;
    Ok(Outcome { findings, coverage, baselines })
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
