//! Where the door meets the engine: the one file that names the pipeline, the baselines' store and the knowledge.
//!
//! Everything else of the door works on the types here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use baselines::Baselines;
use bytes::Bytes;
use detector::config::Config;
use detector::coverage::Coverage;
use detector::finding::Finding;
use detector::pipeline::{self, Job, Mode, Scratch};
use detector::read::Object;
use detector::write::inspect;

use crate::objects::FileObject;

/// A file of knowledge, read whole: what messages call it, and its bytes.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) origin: String,
    pub(crate) bytes: Bytes,
}

/// What explains addresses and interfaces, still as the bytes of its files.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    pub(crate) enis: Vec<Document>,
    pub(crate) functions: Vec<Document>,
    pub(crate) asn: Option<Document>,
    pub(crate) aws_ranges: Option<Document>,
    /// Name and file of each list.
    pub(crate) threat_lists: Vec<(String, Document)>,
    pub(crate) trusted_lists: Vec<(String, Document)>,
}

impl Knowledge {
    /// The files as the engine asks for them.
    fn parse(&self, all_interfaces: bool) -> anyhow::Result<pipeline::Knowledge> {
        let mut knowledge = pipeline::Knowledge { all_interfaces, ..pipeline::Knowledge::default() };
        for document in &self.enis {
            knowledge.inventory.add_enis(&document.origin, &document.bytes)?;
        }
        for document in &self.functions {
            knowledge.inventory.add_functions(&document.origin, &document.bytes)?;
        }
        if let Some(document) = &self.asn {
            knowledge.networks.add_asn(&document.origin, &document.bytes)?;
        }
        if let Some(document) = &self.aws_ranges {
            knowledge.networks.add_aws_ranges(&document.origin, &document.bytes)?;
        }
        for (name, document) in &self.threat_lists {
            knowledge.threat_lists.add(name, &document.origin, &document.bytes)?;
        }
        for (name, document) in &self.trusted_lists {
            knowledge.trusted_lists.add(name, &document.origin, &document.bytes)?;
        }
        Ok(knowledge)
    }
}

/// What the engine is asked to do.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) config: &'a Config,
    pub(crate) knowledge: &'a Knowledge,
    /// First and past-the-last second of event time.
    pub(crate) span: (Option<i64>, Option<i64>),
    /// Judge every interface, not only Lambda's.
    pub(crate) all_interfaces: bool,
    pub(crate) threads: usize,
    /// The baseline to start from.
    pub(crate) baseline: Option<&'a Path>,
    pub(crate) objects: &'a [FileObject],
}

/// What a run gave. Findings hold the suppressed ones too.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    pub(crate) coverage: Coverage,
}

/// Told how far the run is, from any thread.
pub(crate) trait Progress: Sync {
    /// Bytes read from objects and rows decoded since the last call.
    fn advance(&self, n_bytes: u64, n_rows: u64);
}

/// Passes on what the pipeline tells.
struct Passed<'a>(&'a dyn Progress);

impl pipeline::Progress for Passed<'_> {
    fn object_done(&self, n_bytes: u64, n_rows: u64) {
        self.0.advance(n_bytes, n_rows);
    }
}

/// Walks history, learning and judging; leaves what it learned at `save`.
pub(crate) fn replay(request: &Request<'_>, save: Option<&Path>, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    let start = request.baseline.map(load).transpose()?.unwrap_or_default();
    let (outcome, learned) = run(request, Mode::Replay, start, progress)?;
    if let Some(save) = save {
        store(save, &learned)?;
    }
    Ok(outcome)
}

/// Creates or extends the baseline the request names.
pub(crate) fn learn(request: &Request<'_>, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    let dir = request.baseline.context("`learn` needs --baseline DIR to learn into")?;
    let start = if dir.join("current.json").exists() { load(dir)? } else { Baselines::default() };
    let (outcome, learned) = run(request, Mode::Learn, start, progress)?;
    store(dir, &learned)?;
    Ok(outcome)
}

/// Judges against the baseline the request names.
pub(crate) fn scan(request: &Request<'_>, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    let start = load(request.baseline.context("`scan` needs --baseline DIR to judge against")?)?;
    Ok(run(request, Mode::Scan, start, progress)?.0)
}

/// What the baseline knows, one entry a function, in the order to print.
pub(crate) fn inspect(baseline: &Path) -> anyhow::Result<Vec<inspect::Detail>> {
    Ok(pipeline::details(&load(baseline)?, Config::defaults().warm_up_secs as i64))
}

fn load(dir: &Path) -> anyhow::Result<Baselines> {
    baselines::store::load(dir).with_context(|| format!("the baseline {} cannot be used", dir.display()))
}

fn store(dir: &Path, baselines: &Baselines) -> anyhow::Result<()> {
    baselines::store::save(dir, baselines)
        .with_context(|| format!("the baseline {} was not changed", dir.display()))?;
    Ok(())
}

fn run(
    request: &Request<'_>,
    mode: Mode,
    start: Baselines,
    progress: &dyn Progress,
) -> anyhow::Result<(Outcome, Baselines)> {
    let knowledge = request.knowledge.parse(request.all_interfaces)?;
    let span = match request.span {
        (None, None) => None,
        (from, until) => Some((from.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX))),
    };
    let job = Job { config: request.config, knowledge: &knowledge, mode, span, progress: &Passed(progress) };
    let objects = request.objects.iter().map(|object| Arc::new(object.clone()) as Arc<dyn Object>).collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(request.threads)
        .build()
        .context("the threads could not be started; try a smaller --threads")?;
    let outcome = pool
        .install(|| pipeline::run(&job, objects, start, Box::new(TempScratch::default())))
        .context("temporary files could not be kept; is there room in the folder TMPDIR names?")?;
    let pipeline::Outcome { findings, coverage, baselines } = outcome;
    Ok((Outcome { findings, coverage }, baselines))
}

/// Observations that do not fit into memory, in nameless temporary files, one an hour.
#[derive(Default)]
struct TempScratch(BTreeMap<u32, File>);

impl Scratch for TempScratch {
    fn append(&mut self, hour: u32, bytes: &[u8]) -> io::Result<()> {
        let file = match self.0.entry(hour) {
            std::collections::btree_map::Entry::Occupied(file) => file.into_mut(),
            std::collections::btree_map::Entry::Vacant(slot) => slot.insert(tempfile::tempfile()?),
        };
        file.write_all(bytes)
    }

    fn take(&mut self, hour: u32) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(mut file) = self.0.remove(&hour) {
            file.rewind()?;
            file.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }
}
