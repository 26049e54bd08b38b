//! What becomes of a run: findings to stdout or a file, the account to `--report` and stderr, and the exit status.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use detector::coverage::{Coverage, Unreadable};
use detector::finding::{Finding, Fingerprint};
use detector::write::drill::{self, Drill};
use detector::write::{self, Format, report, table, visible};

use crate::console::{Console, Failure, Hint as _, Status, to_stderr};
use crate::engine::Outcome;
use crate::objects::{FileId, Listing};

/// Unreadable objects told one by one; `--report` lists all.
const TOLD: usize = 20;

/// Where findings go, and which.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) format: Format,
    pub(crate) look: table::Look,
    pub(crate) output: Option<PathBuf>,
    pub(crate) report: Option<PathBuf>,
    pub(crate) min_severity: Option<f64>,
    pub(crate) fail_on: Option<f64>,
}

/// The files a run writes, created before it starts: a wrong path costs a second, not an hour. What is in them stays
/// until there is something to write.
#[derive(Debug)]
pub(crate) struct Opened {
    output: Option<(PathBuf, File)>,
    report: Option<(PathBuf, File)>,
}

impl Delivery {
    /// Creates the files the run will write; none of them may be one that it reads, or that a stream goes to: what the
    /// stream got would be lost.
    pub(crate) fn open(&self, listing: &Listing) -> Result<Opened, Failure> {
        let files = [("--output", self.output.as_deref()), ("--report", self.report.as_deref())];
        let streams = [("stdout", FileId::of_stream(io::stdout())), ("stderr", FileId::of_stream(io::stderr()))];
        for (option, path) in files {
            let Some(file) = path.and_then(FileId::of) else { continue };
            if let Some(read) = listing.reading(file) {
                return Err(anyhow!("`{option}` names {}, which is to be read", read.display()))
                    .hint("give another file: this one would be overwritten");
            }
            if let Some((stream, _)) = streams.iter().find(|(_, of_stream)| *of_stream == Some(file)) {
                return Err(anyhow!("`{option}` names the file that {stream} goes to"))
                    .hint("give another file; without --output findings go to stdout");
            }
        }
        let output = create("--output", self.output.as_deref())?;
        // Of one file under two names the second tells only when the first is there.
        let file = |path: &Option<PathBuf>| path.as_deref().and_then(FileId::of);
        if file(&self.output).is_some_and(|output| file(&self.report) == Some(output)) {
            return Err(anyhow!("`--output` and `--report` name one file")).hint("give each its own");
        }
        Ok(Opened { output, report: create("--report", self.report.as_deref())? })
    }

    /// Writes everything a run gave, and says how it ended.
    ///
    /// Suppressed findings and those below `--min-severity` are counted, not written. `--fail-on` looks at every
    /// finding that is not suppressed, also at those `--min-severity` leaves out.
    pub(crate) fn deliver(&self, mut outcome: Outcome, listing: &Listing, opened: Opened, console: Console) -> Status {
        let going_on = std::mem::take(&mut outcome.going_on);
        self.deliver_as(outcome, listing, opened, console, |shown, sink| self.write(shown, &going_on, sink))
    }

    /// Writes drills in place of findings, and says how the run over the logs as they are ended.
    pub(crate) fn deliver_drills(
        &self,
        drills: &[Drill],
        outcome: Outcome,
        listing: &Listing,
        opened: Opened,
        console: Console,
    ) -> Status {
        self.deliver_as(outcome, listing, opened, console, |_, sink| {
            if self.format == Format::Json {
                drills.iter().try_for_each(|one| writeln!(sink, "{}", drill::json(one)))?;
            } else if !drills.is_empty() {
                writeln!(sink, "{}", drill::table(drills, self.look))?;
            }
            sink.flush()
        })
    }

    /// The findings to write, all of them counted, and whether one met `--fail-on`.
    fn shown<'a>(&self, findings: &'a [Finding], coverage: &mut Coverage) -> (Vec<&'a Finding>, Status) {
        let (told, suppressed): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.suppressed_by.is_none());
        let is_met = |finding: &&Finding| self.fail_on.is_some_and(|limit| finding.severity.value() >= limit);
        let status = if told.iter().any(is_met) { Status::FailOn } else { Status::Done };
        let is_below = |finding: &&Finding| self.min_severity.is_some_and(|limit| finding.severity.value() < limit);
        let (below, shown): (Vec<_>, Vec<_>) = told.into_iter().partition(is_below);
        let counts = [shown.len(), suppressed.len(), below.len()].map(|n| n as u64);
        [coverage.n_findings, coverage.n_suppressed, coverage.n_below_severity] = counts;
        (shown, status)
    }

    fn deliver_as(
        &self,
        mut outcome: Outcome,
        listing: &Listing,
        opened: Opened,
        console: Console,
        write: impl Fn(&[&Finding], &mut dyn Write) -> io::Result<()>,
    ) -> Status {
        let coverage = &mut outcome.coverage;
        let (shown, mut status) = self.shown(&outcome.findings, coverage);
        for unreadable in coverage.unreadable.iter().take(TOLD) {
            // A name with a line end must not look like another error.
            console.error(&format!("{}: {}", visible(&unreadable.object), unreadable.error));
        }
        if let Some(more) = coverage.unreadable.len().checked_sub(TOLD).filter(|more| *more > 0) {
            console.error(&format!("and {more} unreadable objects more"));
            console.hint("--report FILE lists all of them");
        }
        for note in outcome.notes.drain(..).chain(coverage.changes.iter().map(report::change)) {
            console.note(&note);
        }
        coverage
            .unreadable
            .extend(listing.problems.iter().map(|p| Unreadable { object: p.path.clone(), error: p.error.clone() }));
        coverage.unreadable.sort();
        if !coverage.unreadable.is_empty() {
            status = Status::Unfinished;
        }

        let written = match opened.output {
            Some((path, file)) => emptied(&file)
                .and_then(|()| write(&shown, &mut BufWriter::new(file)))
                .with_context(|| format!("could not write {}", path.display())),
            // A reader who has gone away has read enough.
            None => match write(&shown, &mut BufWriter::new(io::stdout().lock())) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written.context("could not write to stdout"),
            },
        };
        let reported = opened.report.map_or(Ok(()), |(path, mut file)| {
            emptied(&file)
                .and_then(|()| writeln!(file, "{}", report::json(coverage)))
                .with_context(|| format!("could not write {}", path.display()))
        });
        let stored = outcome.unsaved.map_or(Ok(()), Err);
        for lost in [written, reported, stored].into_iter().filter_map(Result::err) {
            console.error(&format!("{lost:#}"));
            status = Status::Unfinished;
        }
        to_stderr(&report::line(coverage));
        status
    }

    /// Writes findings. For a person, those that just go on come last and are short.
    fn write(&self, findings: &[&Finding], going_on: &BTreeSet<Fingerprint>, sink: &mut dyn Write) -> io::Result<()> {
        if self.format != Format::Table {
            findings.iter().try_for_each(|finding| writeln!(sink, "{}", write::finding(self.format, finding)))?;
            return sink.flush();
        }
        let places: BTreeSet<_> = findings.iter().map(|finding| (&finding.account_id, &finding.region)).collect();
        let look = table::Look { names_place: places.len() > 1, ..self.look };
        let (known, news): (Vec<&Finding>, Vec<&Finding>) =
            findings.iter().partition(|finding| going_on.contains(&finding.id));
        let blocks = news.iter().map(|finding| table::finding(finding, look));
        let blocks = blocks.chain(known.iter().map(|finding| table::going_on(finding, look)));
        for (index, block) in blocks.enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            writeln!(sink, "{gap}{block}")?;
        }
        sink.flush()
    }
}

/// Takes out what an earlier run wrote. A pipe or a device holds nothing.
fn emptied(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}

fn create(option: &str, path: Option<&Path>) -> Result<Option<(PathBuf, File)>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("could not create `{option} {}`", path.display()))
        .hint("the folder must exist and be writable")?;
    Ok(Some((path.to_owned(), file)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::When;
    use crate::objects::Problem;
    use detector::finding::Severity;
    use detector::write::json;
    use std::fs;

    const FINDING: &str = r#"{"schema":"callout.finding/1","id":"0000000000000000000000000000002a","type":"beacon",
        "activity":"create","severity":7.4,"severity_label":"High","confidence":0.9,"title":"t","description":"d",
        "account_id":null,"region":null,"vpc_id":null,
        "owner":{"kind":"function","functions":["activities-api"],"arns":[],"eni_ids":[]},"destinations":[],
        "window":{"start":"2026-03-31T09:10:00Z","end":"2026-03-31T09:20:00Z"},
        "first_seen":"2026-03-31T09:12:44Z","last_seen":"2026-03-31T09:13:40Z","count":1,"evidence":[],
        "deployment":null,"suppressed_by":null}"#;

    fn finding(severity: f64, suppressed: bool) -> Finding {
        let mut finding = json::parse(FINDING).expect("a finding");
        finding.severity = Severity::new(severity);
        finding.suppressed_by = suppressed.then(|| "known".into());
        finding
    }

    struct Ran {
        status: Status,
        output: String,
        report: serde_json::Value,
    }

    fn run(findings: Vec<Finding>, coverage: Coverage, listing: &Listing, set: impl FnOnce(&mut Delivery)) -> Ran {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        let mut delivery = Delivery {
            format: Format::Json,
            look: table::Look::PLAIN,
            output: Some(path("output")),
            report: Some(path("report")),
            min_severity: None,
            fail_on: None,
        };
        set(&mut delivery);
        let before = "of an earlier run\n".repeat(999);
        for name in ["output", "report"] {
            fs::write(path(name), &before).expect("a file");
        }
        let opened = delivery.open(listing).unwrap_or_else(|failure| panic!("{:#}", failure.error));
        let kept = fs::read_to_string(path("output")).expect("the output");
        assert_eq!(kept, before, "until there is something to write");
        let outcome = Outcome { findings, coverage, ..Outcome::default() };
        let status = delivery.deliver(outcome, listing, opened, Console::new(When::Never));
        Ran {
            status,
            output: fs::read_to_string(path("output")).expect("the output"),
            report: serde_json::from_str(&fs::read_to_string(path("report")).expect("the report")).expect("JSON"),
        }
    }

    #[test]
    fn every_finding_is_shown_suppressed_or_below() {
        let findings = vec![finding(2.0, false), finding(7.4, false), finding(9.0, true), finding(4.0, false)];
        let ran = run(findings, Coverage::default(), &Listing::default(), |d| d.min_severity = Some(4.0));
        assert_eq!(ran.status, Status::Done);
        assert_eq!(ran.output.lines().count(), 2);
        assert_eq!(ran.report["n_findings"], 2);
        assert_eq!(ran.report["n_suppressed"], 1);
        assert_eq!(ran.report["n_below_severity"], 1);
    }

    #[test]
    fn fail_on_counts_what_is_not_suppressed() {
        let met = |findings: Vec<Finding>| {
            let set = |d: &mut Delivery| (d.fail_on, d.min_severity) = (Some(7.0), Some(9.5));
            run(findings, Coverage::default(), &Listing::default(), set).status
        };
        assert_eq!(met(vec![finding(6.9, false)]), Status::Done);
        assert_eq!(met(vec![finding(9.0, true)]), Status::Done);
        assert_eq!(met(vec![finding(7.0, false)]), Status::FailOn);
    }

    #[test]
    fn what_could_not_be_read_wins_over_fail_on() {
        let unreadable = Unreadable { object: "b.gz".into(), error: "not gzip".into() };
        let coverage = Coverage { unreadable: vec![unreadable], ..Coverage::default() };
        let problem = Problem { path: "a".into(), error: "no such file or folder".into(), hint: "" };
        let listing = Listing { problems: vec![problem], ..Listing::default() };
        let ran = run(vec![finding(9.0, false)], coverage, &listing, |d| d.fail_on = Some(7.0));
        assert_eq!(ran.status, Status::Unfinished);
        assert_eq!(ran.output.lines().count(), 1, "what was found is still told");
        let objects = [&ran.report["unreadable"][0]["object"], &ran.report["unreadable"][1]["object"]];
        assert_eq!(objects, ["a", "b.gz"]);
    }

    #[test]
    fn blocks_of_a_table_are_set_apart() {
        let findings = vec![finding(7.4, false), finding(7.4, false)];
        let ran = run(findings, Coverage::default(), &Listing::default(), |d| d.format = Format::Table);
        assert_eq!(ran.output.matches("\n\nHIGH 7.4  beacon").count(), 1, "{}", ran.output);
        assert!(ran.output.starts_with("HIGH") && ran.output.ends_with(" %\n"), "{}", ran.output);
    }

    #[test]
    fn what_just_goes_on_comes_last_and_is_short_for_a_person() {
        let (known, new) = (finding(9.0, false), Finding { id: Fingerprint(7), ..finding(5.0, false) });
        let written = |format| {
            let (mut sink, look) = (Vec::new(), table::Look::PLAIN);
            let delivery = Delivery { format, look, output: None, report: None, min_severity: None, fail_on: None };
            delivery.write(&[&known, &new], &BTreeSet::from([known.id]), &mut sink).expect("memory has room");
            String::from_utf8(sink).expect("text")
        };
        let blocks = written(Format::Table);
        let blocks: Vec<&str> = blocks.split("\n\nCRITICAL").collect();
        assert!(blocks[0].starts_with("MEDIUM 5.0") && blocks[0].contains("\n  next"), "{blocks:?}");
        assert!(blocks[1].contains("goes on as told before") && !blocks[1].contains("\n  next"), "{blocks:?}");
        assert!(written(Format::Json).starts_with(&json::render(&known)), "a machine is told as ever");
    }

    #[test]
    fn a_file_that_cannot_be_created_ends_the_run_before_it_starts() {
        let delivery = Delivery {
            format: Format::Json,
            look: table::Look::PLAIN,
            output: Some("/nonexistent/folder/file".into()),
            report: None,
            min_severity: None,
            fail_on: None,
        };
        let failure = delivery.open(&Listing::default()).expect_err("no such folder");
        assert!(failure.error.to_string().starts_with("could not create `--output "), "{:#}", failure.error);
        assert!(failure.hint.is_some());
    }

    #[test]
    fn nothing_that_is_read_is_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        let log = dir.path().join("flows.log");
        fs::write(&log, "a log").expect("written");
        let mut listing = Listing::of(&[dir.path().to_owned()]);
        let to = |output: &Path, report: &Path| Delivery {
            format: Format::Json,
            look: table::Look::PLAIN,
            output: Some(output.to_owned()),
            report: Some(report.to_owned()),
            min_severity: None,
            fail_on: None,
        };
        let new = dir.path().join("new");
        let [link, also_new] = ["link", "also_new"].map(|name| dir.path().join(name));
        fs::hard_link(&log, &link).expect("a link");
        std::os::unix::fs::symlink(&new, &also_new).expect("a link");
        let enis = dir.path().join("enis.json");
        fs::write(&enis, "{}").expect("written");
        listing.beside.push(enis.clone());
        for (output, report) in
            [(&log, &new), (&link, &new), (&new, &log), (&new, &enis), (&new, &new), (&new, &also_new)]
        {
            assert!(to(output, report).open(&listing).is_err(), "{} {}", output.display(), report.display());
        }
        assert_eq!(fs::read_to_string(&log).ok().as_deref(), Some("a log"));
        assert!(to(&dir.path().join("a"), &dir.path().join("b")).open(&listing).is_ok());
    }
}
