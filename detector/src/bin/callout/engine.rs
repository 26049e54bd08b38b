//! Where the door meets the engine: the one file that names the pipeline, the baselines' store and the knowledge.
//!
//! Everything else of the door works on the types here.

#![expect(dead_code, reason = "the pipeline that reads these is not called yet")]

use std::path::Path;

use bytes::Bytes;
use detector::config::Config;
use detector::coverage::Coverage;
use detector::finding::Finding;
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

/// Walks history, learning and judging; leaves what it learned at `save`.
pub(crate) fn replay(request: &Request<'_>, save: Option<&Path>, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    let _ = save;
    absent(request, progress)
}

/// Creates or extends the baseline the request names.
pub(crate) fn learn(request: &Request<'_>, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    absent(request, progress)
}

/// Judges against the baseline the request names.
pub(crate) fn scan(request: &Request<'_>, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    absent(request, progress)
}

/// What the baseline knows, one entry a function, in the order to print.
pub(crate) fn inspect(baseline: &Path) -> anyhow::Result<Vec<inspect::Detail>> {
    anyhow::bail!("reading {} is not built into this program yet", baseline.display())
}

fn absent(request: &Request<'_>, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    progress.advance(0, 0);
    anyhow::bail!("reading {} objects is not built into this program yet", request.objects.len())
}
