//! Where the door meets the engine: the one file that names the pipeline, the baselines' store and the knowledge.
//!
//! Everything else of the door works on the types here.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use baselines::Baselines;
use baselines::store::Version;
use bytes::Bytes;
use detector::config::Config;
use detector::coverage::Coverage;
pub(crate) use detector::drill::Error as DrillError;
use detector::drill::letters::Shape;
use detector::finding::{Finding, Fingerprint};
use detector::pipeline::{self, FileScratch, Job, Memory, Mode, Scratch, Shelved};
pub(crate) use detector::pipeline::{Held, Progress};
use detector::read::Object;
use detector::resolve::{Inventory, Lists, Loaded, Networks};
use detector::write::drill::Drill;
use detector::write::{inspect, rfc3339};

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
    /// The files as the engine asks for them. Their bytes are let go of, each as soon as it is parsed.
    ///
    /// Gives notes of what in them was left out, too.
    fn parse(self, all_interfaces: bool) -> anyhow::Result<(pipeline::Knowledge, Vec<String>)> {
        let Self { enis, functions, asn, aws_ranges, threat_lists, trusted_lists } = self;
        let (inventory, others) = rayon::join(
            || -> anyhow::Result<Inventory> {
                let mut inventory = Inventory::default();
                let (has_enis, has_functions) = (!enis.is_empty(), !functions.is_empty());
                for Document { origin, bytes } in enis {
                    inventory.add_enis(&origin, &bytes)?;
                }
                for Document { origin, bytes } in functions {
                    inventory.add_functions(&origin, &bytes)?;
                }
                // Nothing would be attributed then, which looks like a quiet night.
                anyhow::ensure!(
                    !(has_enis && inventory.is_empty()),
                    "--enis: no interface in it; was it another region?"
                );
                let is_without = has_functions && inventory.functions().next().is_none();
                anyhow::ensure!(!is_without, "--functions: no function in it; was it another region?");
                Ok(inventory)
            },
            || -> anyhow::Result<(Networks, Lists, Lists, Vec<String>)> {
                let (mut networks, mut notes) = (Networks::default(), Vec::new());
                if let Some(Document { origin, bytes }) = asn {
                    notes.extend(rejected(&origin, &networks.add_asn(&origin, &bytes)?));
                }
                if let Some(Document { origin, bytes }) = aws_ranges {
                    networks.add_aws_ranges(&origin, &bytes)?;
                }
                Ok((networks, lists(threat_lists, &mut notes)?, lists(trusted_lists, &mut notes)?, notes))
            },
        );
        let inventory = inventory?;
        let (networks, threat_lists, trusted_lists, mut notes) = others?;
        notes.extend(unfinished(&inventory));
        notes.extend(undated(&inventory));
        notes.extend(unattributed(&inventory));
        Ok((pipeline::Knowledge { inventory, networks, threat_lists, trusted_lists, all_interfaces }, notes))
    }
}

/// Lists by name.
fn lists(named: Vec<(String, Document)>, notes: &mut Vec<String>) -> anyhow::Result<Lists> {
    let mut lists = Lists::default();
    for (name, Document { origin, bytes }) in named {
        notes.extend(rejected(&origin, &lists.add(&name, &origin, &bytes)?));
    }
    Ok(lists)
}

/// Says how many lines of a file were left out, if any were.
fn rejected(origin: &str, loaded: &Loaded) -> Option<String> {
    let (line, example) = loaded.first_reject.as_ref()?;
    let n = loaded.rejected;
    Some(format!("{origin}: {n} of its lines left out, the first is line {line}: {example}"))
}

/// Says so if files of the inventory end before what they list does.
fn unfinished(inventory: &Inventory) -> Option<String> {
    let n = inventory.unfinished_files();
    let hint = "the AWS CLI pages on by itself, unless --max-items or --no-paginate is given";
    (n > 0).then(|| format!("{n} of the inventory's files say that more pages follow and do not hold them; {hint}"))
}

/// Says so if dates of the inventory cannot be read.
fn undated(inventory: &Inventory) -> Option<String> {
    let n = inventory.rejected_times();
    let lost = "a deployment without one is named in no finding, and an interface with other owners since keeps both";
    (n > 0).then(|| format!("{n} of the inventory's LastModified and AttachTime are no dates; {lost}"))
}

/// Says so if there are functions and no interface that could be theirs.
fn unattributed(inventory: &Inventory) -> Option<String> {
    (inventory.is_empty() && inventory.functions().next().is_some()).then(|| {
        "--functions without --enis explains no interface, and each is judged by its own; give what `aws ec2 \
         describe-network-interfaces` printed, too"
            .to_owned()
    })
}

/// What the engine is asked to do.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) config: &'a Config,
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
    /// Those that an earlier run told and that just go on.
    pub(crate) going_on: BTreeSet<Fingerprint>,
    pub(crate) coverage: Coverage,
    /// What whoever asked should know of the files given.
    pub(crate) notes: Vec<String>,
    /// Why what was learned could not be stored; what was found is told all the same.
    pub(crate) unsaved: Option<anyhow::Error>,
}

/// Walks history, learning and judging; leaves what it learned at `save`.
pub(crate) fn replay(
    request: &Request<'_>,
    knowledge: Knowledge,
    save: Option<&Path>,
    progress: &dyn Progress,
) -> anyhow::Result<Outcome> {
    if let Some(save) = save {
        make(save)?;
    }
    let (mut outcome, learned, version) = run(request, knowledge, Mode::Replay, request.baseline, progress)?;
    if let Some(save) = save {
        // Over what it started from, only if that is still what is there.
        let is_start = request.baseline.is_some_and(|start| is_same(start, save));
        let is_replaced = !is_start && baselines::store::version(save).is_ok_and(|there| there.is_some());
        if is_replaced && outcome.coverage.n_owners == 0 {
            leave(learned);
            outcome.notes.push(format!("nothing was learned; {} holds what it held", save.display()));
            return Ok(outcome);
        }
        let learned = learned.stored();
        let stored = if is_start { store_over(save, &learned, version.as_ref()) } else { store(save, &learned) };
        if is_replaced && stored.is_ok() {
            outcome.notes.push(format!(
                "the baseline that {} held is replaced; --baseline {0} would have gone on from it",
                save.display()
            ));
        }
        outcome.unsaved = stored.err();
        leave(learned);
    } else {
        leave(learned);
    }
    Ok(outcome)
}

/// Creates or extends the baseline the request names.
pub(crate) fn learn(request: &Request<'_>, knowledge: Knowledge, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    let dir = request.baseline.context("`learn` needs --baseline DIR to learn into")?;
    make(dir)?;
    let start = baselines::store::version(dir).with_context(|| unusable(dir))?.map(|_| dir);
    let (mut outcome, learned, version) = run(request, knowledge, Mode::Learn, start, progress)?;
    let learned = learned.stored();
    outcome.unsaved = store_over(dir, &learned, version.as_ref()).err();
    leave(learned);
    Ok(outcome)
}

/// Judges against the baseline the request names.
pub(crate) fn scan(request: &Request<'_>, knowledge: Knowledge, progress: &dyn Progress) -> anyhow::Result<Outcome> {
    let start = request.baseline.context("`scan` needs --baseline DIR to judge against")?;
    let (outcome, known, _) = run(request, knowledge, Mode::Scan, Some(start), progress)?;
    leave(known);
    Ok(outcome)
}

/// Lets the end of the process take what was learned: to take a million entries apart one by one helps nobody.
fn leave<T>(learned: T) {
    std::mem::forget(learned);
}

/// Plays call-outs on the functions of the logs, in memory; gives what came of it, or why there is nobody to play on,
/// and what the logs give as they are.
pub(crate) fn drill(
    request: &Request<'_>,
    knowledge: Knowledge,
    shapes: &[Shape],
    function: Option<&str>,
    seed: u64,
    min_severity: f64,
    progress: &dyn Progress,
) -> anyhow::Result<(Result<Vec<Drill>, DrillError>, Outcome)> {
    let start = request.baseline.map(load).transpose()?.unwrap_or_default().baselines;
    let (mut knowledge, mut notes) = knowledge.parse(request.all_interfaces)?;
    let asked =
        detector::drill::Request { config: request.config, span: span(request), shapes, function, seed, min_severity };
    let drilled = threads(request)?
        .install(|| detector::drill::run(&asked, &mut knowledge, objects(request), &start, &scratch, progress));
    let drilled = drilled.context("observations could not be kept; is there room in the folder TMPDIR names?")?;
    notes.extend(unnamed(knowledge.networks.kinds(), &drilled.coverage));
    notes.extend(outdated(knowledge.networks.aws_written(), drilled.coverage.span));
    notes.extend(unexplained(&drilled.coverage));
    let outcome = Outcome { findings: drilled.findings, coverage: drilled.coverage, notes, ..Outcome::default() };
    Ok((drilled.drills, outcome))
}

/// What the baseline knows, one entry a function, in the order to print.
pub(crate) fn inspect(baseline: &Path, config: &Config) -> anyhow::Result<Vec<inspect::Detail>> {
    Ok(pipeline::details(&load(baseline)?.baselines, config))
}

/// A baseline with what findings hold back in it, to accept some of it.
pub(crate) struct Open {
    baselines: Baselines,
    version: Version,
    /// What each finding holds back, by finding.
    pub(crate) held: Vec<Held>,
}

impl Open {
    /// Loads a baseline.
    pub(crate) fn load(dir: &Path) -> anyhow::Result<Self> {
        let (baselines, version) = baselines::store::load_version(dir).with_context(|| unusable(dir))?;
        let held = pipeline::held(&baselines);
        Ok(Self { baselines, version, held })
    }

    /// Whether a finding whose id begins with the digits was accepted before.
    pub(crate) fn is_accepted(&self, digits: &str) -> bool {
        self.baselines.accepted().any(|id| format!("{id:032x}").starts_with(digits))
    }

    /// Accepts a finding and stores the baseline, unless somebody else changed it meanwhile.
    pub(crate) fn accept(mut self, dir: &Path, finding: u128) -> anyhow::Result<()> {
        self.baselines.accept(finding);
        baselines::store::save_if_unchanged(dir, &self.baselines, Some(&self.version))
            .with_context(|| unchanged(dir))?;
        Ok(())
    }
}

/// Whether two paths name one folder that is there.
fn is_same(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
}

fn unusable(dir: &Path) -> String {
    format!("the baseline {} cannot be used", dir.display())
}

fn unchanged(dir: &Path) -> String {
    format!("the baseline {} was not changed", dir.display())
}

fn load(dir: &Path) -> anyhow::Result<Memory> {
    load_version(dir).map(|(memory, _)| memory)
}

fn load_version(dir: &Path) -> anyhow::Result<(Memory, Version)> {
    let (baselines, version) = baselines::store::load_version(dir).with_context(|| unusable(dir))?;
    Ok((Memory::loaded(baselines).with_context(|| unusable(dir))?, version))
}

/// Makes the folder of a baseline before a run: a wrong path costs a second, not an hour.
fn make(dir: &Path) -> anyhow::Result<()> {
    baselines::store::check_holder(dir).context("give another folder")?;
    fs::create_dir_all(dir).with_context(|| format!("the folder {} cannot be made", dir.display()))
}

/// Stores over the version a run started from, `None` for none: who changed it meanwhile must not lose that.
fn store_over(dir: &Path, baselines: &Baselines, start: Option<&Version>) -> anyhow::Result<()> {
    baselines::store::save_if_unchanged(dir, baselines, start).with_context(|| unchanged(dir))?;
    Ok(())
}

fn store(dir: &Path, baselines: &Baselines) -> anyhow::Result<()> {
    baselines::store::save(dir, baselines).with_context(|| unchanged(dir))?;
    Ok(())
}

/// Reads the objects while the baseline to start from is loaded, then walks. What the objects are read by comes before
/// both.
fn run(
    request: &Request<'_>,
    knowledge: Knowledge,
    mode: Mode,
    start: Option<&Path>,
    progress: &dyn Progress,
) -> anyhow::Result<(Outcome, Memory, Option<Version>)> {
    let is_unusable = Arc::new(AtomicBool::new(false));
    let load = || {
        let loaded = start.map(load_version).transpose();
        is_unusable.store(loaded.is_err(), Ordering::Relaxed);
        loaded
    };
    let (config, span) = (request.config, span(request));
    let (outcome, learned_until, version, mut notes) = threads(request)?.install(|| {
        // Forgotten like what was learned: see `leave`.
        let (knowledge, notes) = knowledge.parse(request.all_interfaces)?;
        let knowledge = ManuallyDrop::new(knowledge);
        let job = Job { config, knowledge: &knowledge, mode, span, progress };
        let read = || {
            let objects = objects(request).into_iter();
            let objects = objects.map(|object| Arc::new(Needed { object, is_unneeded: Arc::clone(&is_unusable) }) as _);
            Shelved::read(&job, objects.collect(), scratch())
        };
        let (loaded, shelved) = rayon::join(load, read);
        let (memory, version) = loaded?.unzip();
        let memory = memory.unwrap_or_default();
        let learned_until = memory.baselines.learned_from.span.map(|(_, until)| until);
        let names = memory.baselines.ladder.networks();
        let kinds = knowledge.networks.kinds();
        let renamed = renamed(names.iter().map(AsRef::as_ref), kinds);
        let outcome = shelved
            .and_then(|shelved| shelved.walk(&job, memory))
            .context("temporary files could not be kept; is there room in the folder TMPDIR names?")?;
        let mut notes = notes;
        notes.extend(renamed.or_else(|| unnamed(kinds, &outcome.coverage)));
        notes.extend(outdated(knowledge.networks.aws_written(), outcome.coverage.span));
        anyhow::Ok((outcome, learned_until, version, notes))
    })?;
    let pipeline::Outcome { findings, coverage, memory } = outcome;
    let going_on = memory.incidents.going_on();
    notes.extend(overlap(learned_until, coverage.span));
    notes.extend(unexplained(&coverage));
    if mode != Mode::Learn {
        notes.extend(unjudged(&coverage));
    }
    Ok((Outcome { findings, going_on, coverage, notes, unsaved: None }, memory, version))
}

/// Says so where rows were left out because the inventory does not tell whose their interfaces are, and with them
/// whatever call-outs they told of: Lambda recycles interfaces, and today's list does not know those of last week.
fn unexplained(coverage: &Coverage) -> Option<String> {
    /// Below it a share would be told as none.
    const LEAST_PERCENT: f64 = 0.1;
    let (n_rows, n_interfaces) = (coverage.n_unknown_interface, coverage.unknown_interfaces.len());
    let of_all = coverage.n_rows.saturating_sub(coverage.n_outside_span).max(1);
    let percent = 100.0 * n_rows as f64 / of_all as f64;
    let share = if percent < LEAST_PERCENT { format!("under {LEAST_PERCENT}") } else { format!("{percent:.1}") };
    let interfaces = match n_interfaces {
        // Known ones, of which nobody knows whose they were at the time.
        0 => "interfaces".to_owned(),
        1 => "1 interface".to_owned(),
        n if coverage.names_all_unknown() => format!("{n} interfaces"),
        n => format!("{n} interfaces or more"),
    };
    let rows = if n_rows == 1 { "row" } else { "rows" };
    (n_rows > 0).then(|| {
        format!(
            "{n_rows} {rows} ({share} %) of {interfaces} that --enis and --functions do not explain are left out: \
             --all-interfaces judges each by its own; lists of the account, the Region and the time of these logs tell whose \
             they are"
        )
    })
}

/// Says so where no function was known for long enough to be judged by its past: no finding means little then.
fn unjudged(coverage: &Coverage) -> Option<String> {
    (coverage.n_owners > 0 && coverage.n_learning >= coverage.n_owners).then(|| {
        "only lists and sweeps were judged: every function is still learning, which takes `warm_up` (a week) of its logs; give \
         logs from earlier on, or a --baseline that was learned from them"
            .to_owned()
    })
}

/// Says so where the baseline knows networks by names that the files given now do not have, or by none where these have
/// some: only a prefix that is known stays known then. `given`: whether there are names of systems, and of AWS's
/// services.
fn renamed<'a>(known: impl Iterator<Item = &'a str>, given: [bool; 2]) -> Option<String> {
    /// Amazon's own systems: what is known by these was met without AWS's list.
    const AMAZON: [&str; 3] = ["AS16509", "AS14618", "AS8987"];
    let (mut of_systems, mut of_services, mut of_none, mut of_amazon) = (false, false, false, false);
    for key in known.filter(|key| !key.starts_with("private ")) {
        // A log that names services itself says no Region.
        of_services |= key.starts_with("AWS ") && key.split(' ').count() > 2;
        of_systems |= key.starts_with("AS");
        of_none |= key.starts_with(|first: char| first.is_ascii_hexdigit()) && !key.starts_with('A');
        of_amazon |= AMAZON.contains(&key);
    }
    let [has_asn, has_ranges] = given;
    let differences = [
        (has_asn && of_none && !of_systems, "without --asn"),
        (has_ranges && of_amazon && !of_services, "without --aws-ranges"),
        (!has_asn && of_systems, "with --asn"),
        (!has_ranges && of_services, "with --aws-ranges"),
    ];
    let words: Vec<&str> = differences.into_iter().filter(|(differs, _)| *differs).map(|(_, words)| words).collect();
    (!words.is_empty()).then(|| {
        format!(
            "the baseline was learned {}: known prefixes stay known, but others of networks it knows by other names may be told \
             as new once; give the same files, or learn it anew",
            words.join(" and ")
        )
    })
}

/// Says so where something was observed and no file names networks. `given` as for [`renamed`].
fn unnamed(given: [bool; 2], coverage: &Coverage) -> Option<String> {
    (given == [false, false] && coverage.n_observations > 0).then(|| {
        "without --asn and --aws-ranges networks are told apart by prefix only, and more call-outs are missed; either file helps"
            .to_owned()
    })
}

/// Says so where AWS wrote its list long before the logs end: a block it took into use since is a stranger's.
fn outdated(written: Option<i64>, read: Option<(i64, i64)>) -> Option<String> {
    /// AWS adds blocks every week, most of them before they are used.
    const MOST_DAYS: i64 = 28;
    let (written, (_, until)) = written.zip(read)?;
    let n_days = (until - written) / 86_400;
    (n_days > MOST_DAYS).then(|| {
        format!(
            "--aws-ranges was written {n_days} days before these logs end: what AWS added since may be told as new; \
             fetch ip-ranges.json again"
        )
    })
}

/// Says so where logs begin well before what the baseline has learned ends: it does not know one by one what it was
/// told.
fn overlap(learned_until: Option<i64>, read: Option<(i64, i64)>) -> Option<String> {
    /// Logs of one day tell of the last minutes of the day before.
    const USUAL_SECS: i64 = 3600;
    let (until, (from, _)) = learned_until.zip(read)?;
    (from + USUAL_SECS < until).then(|| {
        format!(
            "these logs begin at {}, and the baseline has learned up to {}: what it learned of them before counts again; \
             --from {1} leaves it out",
            rfc3339(from),
            rfc3339(until)
        )
    })
}

/// An object that is read no further once nobody needs what it tells.
struct Needed {
    object: Arc<dyn Object>,
    is_unneeded: Arc<AtomicBool>,
}

impl Object for Needed {
    fn name(&self) -> &str {
        self.object.name()
    }

    fn size(&self) -> u64 {
        self.object.size()
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        if self.is_unneeded.load(Ordering::Relaxed) {
            return Err(io::Error::other("the baseline cannot be used"));
        }
        self.object.read_at(offset, len)
    }
}

fn span(request: &Request<'_>) -> Option<(i64, i64)> {
    match request.span {
        (None, None) => None,
        (from, until) => Some((from.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX))),
    }
}

fn objects(request: &Request<'_>) -> Vec<Arc<dyn Object>> {
    request.objects.iter().map(|object| Arc::new(object.clone()) as Arc<dyn Object>).collect()
}

fn threads(request: &Request<'_>) -> anyhow::Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().num_threads(request.threads).build().map_err(|error| not_started(&error))
}

/// The error prints its cause itself: as a source of another it would be told twice.
fn not_started(error: &rayon::ThreadPoolBuildError) -> anyhow::Error {
    anyhow::anyhow!("the threads could not be started; try a smaller --threads: {error}")
}

/// Observations that do not fit into memory lie in a nameless temporary file.
fn scratch() -> Box<dyn Scratch> {
    Box::new(FileScratch::new(tempfile::tempfile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_finding_of_functions_that_are_all_learning_is_explained() {
        let of = |n_owners, n_learning| unjudged(&Coverage { n_owners, n_learning, ..Coverage::default() }).is_some();
        assert_eq!([of(0, 0), of(5, 4), of(5, 5), of(5, 6)], [false, false, true, true]);
    }

    #[test]
    fn what_names_networks_is_missed_where_there_are_networks_to_name() {
        let of = |n_observations, given| unnamed(given, &Coverage { n_observations, ..Coverage::default() }).is_some();
        let given = [[false, false], [true, false], [false, true], [true, true]];
        assert_eq!(given.map(|given| of(1, given)), [true, false, false, false]);
        assert_eq!(given.map(|given| of(0, given)), [false; 4], "nothing could be read");
    }

    #[test]
    fn why_no_thread_starts_is_told_once() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
        let none = pool.spawn_handler(|_| Err(io::Error::other("no room"))).build().expect_err("no thread");
        let told = format!("{:#}", not_started(&none));
        assert_eq!(told, "the threads could not be started; try a smaller --threads: no room");
    }

    #[test]
    fn an_old_list_of_aws_is_noticed() {
        const DAY: i64 = 86_400;
        let of = |written, until| outdated(written, Some((0, until))).unwrap_or_default();
        assert_eq!([of(Some(9 * DAY), 37 * DAY), of(Some(90 * DAY), 37 * DAY), of(None, 37 * DAY)], ["", "", ""]);
        assert!(of(Some(9 * DAY), 38 * DAY).starts_with("--aws-ranges was written 29 days before these logs end"));
        assert_eq!(outdated(Some(9 * DAY), None), None, "there are no logs");
    }

    #[test]
    fn dates_that_are_none_are_noticed() {
        let of = |time: &str| {
            let mut inventory = Inventory::default();
            let enis = format!(
                r#"{{"NetworkInterfaces":[{{"NetworkInterfaceId":"eni-1","Attachment":{{"AttachTime":"{time}"}}}}]}}"#
            );
            inventory.add_enis("enis.json", enis.as_bytes()).expect("a list");
            undated(&inventory).unwrap_or_default()
        };
        assert_eq!(of("2026-03-31T08:58:00+00:00"), "");
        assert!(of("31 March").starts_with("1 of the inventory's LastModified and AttachTime are no dates"));
    }

    #[test]
    fn rows_of_interfaces_nobody_knows_are_told_with_what_to_do() {
        let of = |n_unknown_interface, n_interfaces: usize, n_rows, n_outside_span| {
            let unknown_interfaces = (0..n_interfaces).map(|n| format!("eni-{n}")).collect();
            let coverage =
                Coverage { n_unknown_interface, unknown_interfaces, n_rows, n_outside_span, ..Coverage::default() };
            unexplained(&coverage).unwrap_or_default()
        };
        assert_eq!(of(0, 0, 900, 0), "");
        assert_eq!(of(0, 3, 900, 900), "", "of the span there is nothing of them");
        assert_eq!(
            of(23, 1, 1000, 0),
            "23 rows (2.3 %) of 1 interface that --enis and --functions do not explain are left out: --all-interfaces \
             judges each by its own; lists of the account, the Region and the time of these logs tell whose they are"
        );
        for (told, words) in [
            (of(23, 2, 1000, 900), "23 rows (23.0 %) of 2 interfaces that"),
            (of(1, 1, 66_000, 0), "1 row (under 0.1 %) of 1 interface that"),
            (of(900, 1000, 1000, 0), "900 rows (90.0 %) of 1000 interfaces or more that"),
            (of(9, 0, 90, 0), "9 rows (10.0 %) of interfaces that"),
        ] {
            assert!(told.starts_with(words), "{told}");
        }
    }

    #[test]
    fn files_that_were_not_there_when_a_baseline_was_learned_are_noticed() {
        let of = |known: &[&str], given| renamed(known.iter().copied(), given).unwrap_or_default();
        let (blocks, all) = (["203.0.0.0/16", "private 10.0.0.0/16"], ["AS64500", "AWS S3 eu-west-1", "2001:db8::/32"]);
        for (known, given) in [(&blocks[..], [false, false]), (&all, [true, true]), (&[], [true, true])] {
            assert_eq!(of(known, given), "", "{known:?}");
        }
        assert_eq!(of(&["private 10.0.0.0/16"], [true, true]), "", "inside there are no other names");
        assert_eq!(of(&["AS64500"], [true, true]), "", "nothing of AWS was met");
        assert_eq!(of(&["AS64500", "AWS S3"], [true, false]), "", "the log itself named the service");
        assert!(of(&blocks, [true, true]).contains("learned without --asn:"));
        assert!(of(&["AS64500", "AS16509"], [true, true]).contains("learned without --aws-ranges:"));
        assert!(of(&all, [false, true]).contains("learned with --asn:"));
        assert!(of(&["AS16509"], [false, true]).contains("learned without --aws-ranges and with --asn:"));
    }
}
