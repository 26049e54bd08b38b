//! What was typed, interpreted: files read, settings checked, defaults filled in. Nothing here runs the engine.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use detector::config::Config;
use detector::write::table::Look;
use detector::write::{Format, visible};

use crate::args;
use crate::console::{Console, Failure, Hint as _, stdout_look};
use crate::deliver::Delivery;
use crate::engine::{Document, Knowledge, Request};
use crate::objects::Listing;
use crate::progress::Bar;

/// Everything a run over objects needs.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) knowledge: Knowledge,
    pub(crate) listing: Listing,
    pub(crate) span: (Option<i64>, Option<i64>),
    pub(crate) all_interfaces: bool,
    pub(crate) threads: usize,
    pub(crate) baseline: Option<PathBuf>,
    pub(crate) save_baseline: Option<PathBuf>,
    pub(crate) delivery: Delivery,
    pub(crate) console: Console,
    progress: args::When,
}

impl Settings {
    /// What `replay` was asked.
    pub(crate) fn of_replay(typed: args::Replay) -> Result<Self, Failure> {
        if let Some(dir) = &typed.baseline {
            existing_baseline(dir)?;
        }
        if let Some(dir) = &typed.save_baseline {
            is_outside(dir, &typed.input.paths)?;
        }
        let mut settings = Self::new(&typed.input, &typed.knowledge, &typed.judging, &typed.run)?;
        settings.listing.beside.extend(typed.save_baseline.as_deref().map(files_below).into_iter().flatten());
        settings.save_baseline = typed.save_baseline;
        Ok(settings.starting_from(typed.baseline))
    }

    /// What `drill` was asked.
    pub(crate) fn of_drill(typed: args::Drill) -> Result<Self, Failure> {
        if let Some(dir) = &typed.baseline {
            existing_baseline(dir)?;
        }
        let settings = Self::new(&typed.input, &typed.knowledge, &typed.judging, &typed.run)?;
        Ok(settings.starting_from(typed.baseline))
    }

    /// What `learn` was asked. The baseline may be new.
    pub(crate) fn of_learn(typed: args::Learn) -> Result<Self, Failure> {
        // It would be emptied.
        if typed.judging.output.is_some() {
            return Err(anyhow!("`learn` judges nothing and has no findings for `--output`"))
                .hint("--report FILE gets the account of the run");
        }
        is_outside(&typed.baseline, &typed.input.paths)?;
        let settings = Self::new(&typed.input, &typed.knowledge, &typed.judging, &typed.run)?;
        Ok(settings.starting_from(Some(typed.baseline)))
    }

    /// What `scan` was asked.
    pub(crate) fn of_scan(typed: args::Scan) -> Result<Self, Failure> {
        existing_baseline(&typed.baseline)?;
        let settings = Self::new(&typed.input, &typed.knowledge, &typed.judging, &typed.run)?;
        Ok(settings.starting_from(Some(typed.baseline)))
    }

    fn new(
        input: &args::Input,
        files: &args::Knowledge,
        judging: &args::Judging,
        run: &args::Run,
    ) -> Result<Self, Failure> {
        let console = Console::new(run.color);
        let span = span(input)?;
        let config = config(run.config.as_deref(), judging.warm_up.as_deref())?;
        let knowledge = knowledge(files)?;
        let mut listing = Listing::of(&input.paths);
        listing.beside = files.paths().chain(run.config.as_deref()).map(Path::to_owned).collect();
        for problem in &listing.problems {
            console.error(&format!("{}: {}", visible(&problem.path), problem.error));
            console.hint(problem.hint);
        }
        if listing.n_hidden > 0 {
            console.note(&format!("{} files and folders with names beginning with a dot left out", listing.n_hidden));
        }
        Ok(Self {
            config,
            // Without an inventory nothing says which interfaces are Lambda's.
            all_interfaces: input.all_interfaces || knowledge.enis.is_empty(),
            knowledge,
            listing,
            span,
            threads: run.threads.map_or_else(|| thread::available_parallelism().map_or(1, NonZero::get), usize::from),
            baseline: None,
            save_baseline: None,
            delivery: delivery(judging, run),
            console,
            progress: run.progress,
        })
    }

    /// The same from a baseline on: no file of it may be written to.
    fn starting_from(mut self, baseline: Option<PathBuf>) -> Self {
        self.listing.beside.extend(baseline.as_deref().map(files_below).into_iter().flatten());
        self.baseline = baseline;
        self
    }

    /// What the engine is asked.
    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            config: &self.config,
            span: self.span,
            all_interfaces: self.all_interfaces,
            threads: self.threads,
            baseline: self.baseline.as_deref(),
            objects: &self.listing.objects,
        }
    }

    /// The bar that shows how far the run is.
    pub(crate) fn bar(&self) -> Bar {
        Bar::new(self.progress, self.listing.n_bytes())
    }
}

fn delivery(judging: &args::Judging, run: &args::Run) -> Delivery {
    Delivery {
        format: match judging.format {
            args::Form::Table => Format::Table,
            args::Form::Json => Format::Json,
            args::Form::Ocsf => Format::Ocsf,
            args::Form::Asff => Format::Asff,
            args::Form::Guardduty => Format::Guardduty,
            args::Form::Chat => Format::Chat,
        },
        look: if judging.output.is_some() { Look::PLAIN } else { stdout_look(run.color) },
        output: judging.output.clone(),
        report: run.report.clone(),
        min_severity: judging.min_severity,
        fail_on: judging.fail_on,
    }
}

fn span(input: &args::Input) -> Result<(Option<i64>, Option<i64>), Failure> {
    if let (Some(from), Some(until)) = (input.from, input.until)
        && from >= until
    {
        return Err(anyhow!("`--from` is {from}, which is not before `--until` {until}"))
            .hint("records from the first time on and before the second are read");
    }
    // Records have whole seconds: the first one not before the time.
    let second = |time: jiff::Timestamp| time.as_second() + i64::from(time.subsec_nanosecond() > 0);
    Ok((input.from.map(second), input.until.map(second)))
}

/// The files of a folder and of its folders; none of one that is not there.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        // Never through links, which may lead back.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// The most bytes of a file of settings, hundreds of times what it has, and of one of the others: an inventory of a
/// million interfaces has as many.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
const MAX_DOCUMENT_BYTES: u64 = 1 << 30;

/// Reads a file or a pipe.
///
/// # Errors
/// Those of reading, and when there is more of it than `max_bytes`.
fn read_at_most(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::other(format!("it has more than {} MiB", max_bytes >> 20)));
    }
    Ok(bytes)
}

/// The settings of a file, if one is given, with the warm-up that was typed.
pub(crate) fn config(file: Option<&Path>, warm_up: Option<&str>) -> Result<Config, Failure> {
    const HINT: &str = "callout.toml of the repository lists every key with its default, range and reason";
    let config = match file {
        None => Config::defaults(),
        Some(path) => {
            let text = read_at_most(path, MAX_CONFIG_BYTES)
                .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
                .with_context(|| format!("could not read the settings {}", path.display()))
                .hint("--config takes a TOML file; every key is optional")?;
            Config::from_toml(&text).with_context(|| path.display().to_string()).hint(HINT)?
        }
    };
    match warm_up {
        None => Ok(config),
        Some(text) => config.with_warm_up("--warm-up", text).hint("write a number and a unit, such as 7d"),
    }
}

fn knowledge(files: &args::Knowledge) -> Result<Knowledge, Failure> {
    let all = |option: &str, paths: &[PathBuf]| {
        paths.iter().map(|path| document(option, path)).collect::<Result<Vec<_>, Failure>>()
    };
    let one = |option: &str, path: &Option<PathBuf>| path.as_deref().map(|path| document(option, path)).transpose();
    let lists = |option: &str, files: &[args::NamedFile]| {
        files.iter().map(|list| Ok((list.name.clone(), document(option, &list.file)?))).collect::<Result<_, Failure>>()
    };
    Ok(Knowledge {
        enis: all("--enis", &files.enis)?,
        functions: all("--functions", &files.functions)?,
        asn: one("--asn", &files.asn)?,
        aws_ranges: one("--aws-ranges", &files.aws_ranges)?,
        threat_lists: lists("--threat-list", &files.threat_list)?,
        trusted_lists: lists("--trusted-list", &files.trusted_list)?,
    })
}

fn document(option: &str, path: &Path) -> Result<Document, Failure> {
    let bytes = read_at_most(path, MAX_DOCUMENT_BYTES)
        .with_context(|| format!("could not read `{option} {}`", path.display()))
        .hint(format!("`callout replay --help` says what {option} takes"))?;
    Ok(Document { origin: path.to_string_lossy().into_owned(), bytes: Bytes::from(bytes) })
}

/// Refuses a folder for a baseline that lies in one of the logs: the next run would read it as logs. Names that begin
/// with a dot are not read.
fn is_outside(dir: &Path, logs: &[PathBuf]) -> Result<(), Failure> {
    let here = || std::env::current_dir().unwrap_or_default();
    let there = dir.ancestors().find_map(|path| Some((fs::canonicalize(path).ok()?, dir.strip_prefix(path).ok()?)));
    let (there, more) = there.unwrap_or_else(|| (here(), dir));
    let whole = there.join(more);
    let is_read = |path: &Path| !path.iter().any(|name| name.as_encoded_bytes().starts_with(b"."));
    let holds = |path: &&PathBuf| {
        let folder = fs::canonicalize(path).ok().filter(|path| path.is_dir());
        folder.is_some_and(|folder| whole.strip_prefix(folder).is_ok_and(is_read))
    };
    logs.iter().find(holds).map_or(Ok(()), |path| {
        Err(anyhow!("{} lies in {}, whose files are read as flow logs", dir.display(), path.display()))
            .hint("keep the baseline somewhere else")
    })
}

/// Refuses a baseline that is not there, before anything is read.
pub(crate) fn existing_baseline(dir: &Path) -> Result<(), Failure> {
    if dir.is_dir() {
        return Ok(());
    }
    Err(anyhow!("{}: there is no baseline", dir.display()))
        .hint("`callout learn PATH... --baseline DIR` creates one, and so does `callout replay --save-baseline DIR`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_of_a_baseline_are_known() {
        let root = tempfile::tempdir().unwrap();
        let [pointer, table] = ["current.json", "versions/9f2c/owners.parquet"].map(|name| root.path().join(name));
        fs::create_dir_all(table.parent().unwrap()).unwrap();
        for file in [&pointer, &table] {
            fs::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
        let files = files_below(root.path());
        assert!(files.contains(&pointer) && files.contains(&table), "{files:?}");
        assert_eq!(files.len(), 3, "{files:?}");
        assert_eq!(files_below(&root.path().join("new")), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let error = read_at_most(Path::new("/dev/zero"), MAX_CONFIG_BYTES).expect_err("more than there is room for");
        assert_eq!(error.to_string(), "it has more than 1 MiB");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), [7; 99]).unwrap();
        assert_eq!(read_at_most(file.path(), 99).unwrap(), [7; 99]);
        assert!(read_at_most(file.path(), 98).is_err());
    }

    #[test]
    fn a_baseline_among_logs_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let logs = root.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let file = root.path().join("one.log");
        fs::write(&file, "").unwrap();
        let inputs = [file.clone(), logs.clone()];
        let is_refused = |dir: &Path| is_outside(dir, &inputs).is_err();
        assert!(is_refused(&logs) && is_refused(&logs.join("baseline")) && is_refused(&logs.join("2026/baseline")));
        assert!(!is_refused(&logs.join(".baseline")), "what is hidden is not read");
        assert!(!is_refused(&root.path().join("baseline")) && !is_refused(Path::new("baseline")));
    }
}
