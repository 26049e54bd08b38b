//! The speed goals: makes the inputs, measures in turns, prints each goal beside the figure reached.
//!
//! Inputs are kept below one folder and made once. Where programs are compared they take turns, and a figure is the
//! median of the ratios of one turn. What a stage alone takes is Criterion's to say: its estimates are read where
//! `cargo bench` left them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    cases::{Large, write_large},
    compare::{Comparison, Run, callout_command, contenders, measure, median, text},
    write::ObjectFormat,
};

/// Rows of an object where nothing else is said.
const ROWS_PER_OBJECT: u64 = 500_000;
/// Rows of a small one, some 50 KB of Parquet: what a quiet account's flow log delivers in five minutes.
const ROWS_PER_SMALL_OBJECT: u64 = 2_000;
/// How far the long inputs reach, and how many objects of five minutes that is.
const DAYS: u64 = 28;
const OBJECTS_PER_DAY: u64 = 288;

/// How to measure the goals.
#[derive(Clone, Debug, clap::Args)]
pub struct Goals {
    /// The `callout` program
    #[arg(long)]
    pub callout: PathBuf,
    /// A Python that has polars and duckdb
    #[arg(long, default_value = "target/venv/bin/python")]
    pub python: PathBuf,
    /// Folder of the scripts that run the peers
    #[arg(long, default_value = "benches/peers")]
    pub peers: PathBuf,
    /// Folder the inputs are kept in
    #[arg(long, default_value = "target/performance")]
    pub inputs: PathBuf,
    /// Folder of Criterion's estimates, as `cargo bench -p benches` leaves it
    #[arg(long, default_value = "target/criterion")]
    pub criterion: PathBuf,
    /// Turns, where programs are compared
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// A tenth of the rows, for a quick look
    #[arg(long)]
    pub small: bool,
}

/// One line of the table.
struct Row {
    work: String,
    goal: String,
    reached: String,
    met: Option<bool>,
}

/// Measures all goals and gives the table as text.
pub fn goals(options: &Goals) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for (what, format, n_rows, rows_per_object) in [
        ("gzip Parquet", ObjectFormat::Parquet, 8_000_000, ROWS_PER_OBJECT),
        ("gzip Parquet in small objects", ObjectFormat::Parquet, 5_000_000, ROWS_PER_SMALL_OBJECT),
        ("gzip text", ObjectFormat::Text, 4_000_000, ROWS_PER_OBJECT),
    ] {
        let n_rows = options.scaled(n_rows);
        engines(options, what, &Large::new(n_rows, n_rows.div_ceil(rows_per_object), format), &mut rows)?;
    }
    volume(options, &mut rows)?;
    small_objects(options, &mut rows)?;
    growth(options, &mut rows)?;
    stages(options, &mut rows);
    Ok(table(&rows))
}

impl Goals {
    fn scaled(&self, n: u64) -> u64 {
        if self.small { n / 10 } else { n }
    }

    /// The folder of an input, which is made unless it is there.
    fn input(&self, large: &Large) -> anyhow::Result<PathBuf> {
        let format = if large.format == ObjectFormat::Text { "text" } else { "parquet" };
        let days = large.days.map(|days| format!("-{days}d")).unwrap_or_default();
        let name =
            format!("{format}-{}x{}{days}-{}x{}", large.rows, large.objects, large.functions, large.destinations);
        let folder = self.inputs.join(name);
        // Made elsewhere and then renamed, so that a half is never taken for the whole.
        if !fs::exists(&folder)? {
            let incoming = folder.with_extension("incoming");
            fs::remove_dir_all(&incoming).ok();
            write_large(large, &incoming)?;
            fs::rename(&incoming, &folder).with_context(|| format!("keeping `{}`", folder.display()))?;
        }
        Ok(folder)
    }

    fn comparison(&self, data: &Path) -> Comparison {
        Comparison {
            data: data.to_owned(),
            threads: vec![1, 2],
            runs: self.runs,
            callout: Some(self.callout.clone()),
            python: self.python.clone(),
            peers: self.peers.clone(),
        }
    }

    fn replay(&self, data: &Path) -> anyhow::Result<Run> {
        let command = callout_command(&self.callout, "replay", data, &data.join("logs"), 2);
        measure(&self.comparison(data), &command)
    }

    /// `learn` or `scan` with a baseline.
    fn command(&self, verb: &str, data: &Path, logs: &Path, baseline: &Path) -> Vec<String> {
        let mut command = callout_command(&self.callout, verb, data, logs, 2);
        command.extend(["--baseline".to_owned(), text(baseline)]);
        command
    }
}

/// Replay beside the engines, and two threads beside one.
fn engines(options: &Goals, what: &str, input: &Large, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let (data, n_rows) = (options.input(input)?, input.rows);
    let comparison = options.comparison(&data);
    let mut all: Vec<_> = comparison.threads.iter().map(|&threads| contenders(&comparison, threads)).collect();
    for _ in 0..options.runs {
        for contender in all.iter_mut().flatten() {
            contender.runs.push(measure(&comparison, &contender.command)?);
        }
    }
    for (threads, contenders) in comparison.threads.iter().zip(&all) {
        let own = &contenders[0].runs;
        for (i, (peer, goal)) in [("Polars", 2.0), ("DuckDB", 3.0)].into_iter().enumerate() {
            let ratio = paired(&contenders[i + 1].runs, own);
            rows.push(Row {
                work: format!("replay of {what} over {peer} group-by, {threads} threads"),
                goal: format!("≥ {goal} ×"),
                reached: format!(
                    "{ratio:.2} × ({} against {})",
                    rate(own, n_rows),
                    rate(&contenders[i + 1].runs, n_rows)
                ),
                met: Some(ratio >= goal),
            });
        }
    }
    let ratio = paired(&all[0][0].runs, &all[1][0].runs);
    rows.push(Row {
        work: format!("replay of {what}, 2 threads over 1"),
        goal: "≥ 1.8 ×".to_owned(),
        reached: format!("{ratio:.2} ×"),
        met: Some(ratio >= 1.8),
    });
    Ok(())
}

/// Ten, thirty and a hundred million rows over 28 days of objects as AWS delivers them, once each.
fn volume(options: &Goals, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let mut first_rate = None;
    for millions in [10, 30, 100] {
        let n_rows = options.scaled(millions * 1_000_000);
        let n_objects = options.scaled(DAYS * OBJECTS_PER_DAY);
        let data = options.input(&Large::new(n_rows, n_objects, ObjectFormat::Parquet))?;
        let run = options.replay(&data)?;
        let per_second = n_rows as f64 / run.seconds;
        let change = per_second / *first_rate.get_or_insert(per_second);
        rows.push(Row {
            work: format!("replay of {:.0} million rows, {n_objects} objects", n_rows as f64 / 1e6),
            goal: "≤ 256 MiB, linear".to_owned(),
            reached: format!(
                "{:.0} MiB, {:.1} s, {}, {change:.2} × the first's rate",
                mib(run.peak_bytes),
                run.seconds,
                rate(&[run], n_rows)
            ),
            met: Some(mib(run.peak_bytes) <= 256.0 && change >= 0.8),
        });
    }
    Ok(())
}

/// As many rows in small objects as in large ones, over the same days.
fn small_objects(options: &Goals, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let n_rows = options.scaled(20_000_000);
    let n_objects = n_rows.div_ceil(ROWS_PER_SMALL_OBJECT);
    let large = |objects| Large::new(n_rows, objects, ObjectFormat::Parquet);
    let days = Some(n_objects.div_ceil(OBJECTS_PER_DAY));
    let few = options.input(&Large { days, ..large(n_rows.div_ceil(ROWS_PER_OBJECT)) })?;
    let many = options.input(&large(n_objects))?;
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..options.runs {
        of_few.push(options.replay(&few)?);
        of_many.push(options.replay(&many)?);
    }
    let ratio = paired(&of_few, &of_many);
    rows.push(Row {
        work: format!("{n_objects} small objects, over as many rows in few large ones"),
        goal: "≥ 0.5 ×".to_owned(),
        reached: format!("{ratio:.2} × ({} against {})", rate(&of_many, n_rows), rate(&of_few, n_rows)),
        met: Some(ratio >= 0.5),
    });
    Ok(())
}

/// The same rows over more functions and destinations; then `scan` with the largest baseline. Fewer functions are
/// observed for longer, so that each row meets as many that tell of the same: what is asked is what growth costs, not
/// what thin traffic does.
fn growth(options: &Goals, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let n_rows = options.scaled(8_000_000);
    let fleets = [(400, 80, 500), (2_000, 100, 80), (10_000, 100, 16)];
    let data = fleets.map(|(functions, destinations, n_objects)| {
        let n_objects = options.scaled(n_objects).max(1);
        options.input(&Large { functions, destinations, ..Large::new(n_rows, n_objects, ObjectFormat::Parquet) })
    });
    let data: Vec<PathBuf> = data.into_iter().collect::<anyhow::Result<_>>()?;
    let mut runs = vec![Vec::new(); data.len()];
    for _ in 0..options.runs {
        for (runs, data) in runs.iter_mut().zip(&data) {
            runs.push(options.replay(data)?);
        }
    }
    let peak = |runs: &[Run]| median(runs.iter().map(|run| run.peak_bytes));
    let mut base_kept = None;
    for ((data, own), (functions, destinations, _)) in data.iter().zip(&runs).zip(fleets) {
        // Learned anew: an older baseline would be extended.
        let baseline = data.join("baseline");
        if fs::exists(&baseline)? {
            fs::remove_dir_all(&baseline)?;
        }
        measure(&options.comparison(data), &options.command("learn", data, &data.join("logs"), &baseline))?;
        let kept = kept_destinations(&baseline)?;
        let cost = paired(own, &runs[0]);
        let bytes = (peak(own) - peak(&runs[0])) / (kept - *base_kept.get_or_insert(kept));
        let each = if bytes.is_finite() { format!(", {bytes:.0} bytes each more") } else { String::new() };
        rows.push(Row {
            work: format!("{functions} functions, {destinations} destinations each"),
            goal: "flat cost, ≤ 400 bytes each".to_owned(),
            reached: format!("{cost:.2} × the first's cost per row, {:.0} MiB for {kept} kept{each}", mib(peak(own))),
            met: bytes.is_finite().then_some(cost <= 1.2 && bytes <= 400.0),
        });
        if functions == 10_000 {
            scan_start(options, data, &baseline, kept, rows)?;
        }
    }
    Ok(())
}

/// `scan` of one row: nearly all of it is the start.
fn scan_start(options: &Goals, data: &Path, baseline: &Path, kept: f64, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let tiny = options.input(&Large::new(1, 1, ObjectFormat::Text))?;
    let object = only_file(&tiny.join("logs"))?;
    let command = options.command("scan", data, &tiny.join("logs"), baseline);
    let runs: Vec<(f64, f64)> =
        (0..options.runs).map(|_| first_read(&command, &object)).collect::<anyhow::Result<_>>()?;
    let (first, whole) = (median(runs.iter().map(|run| run.0)), median(runs.iter().map(|run| run.1)));
    rows.push(Row {
        work: format!("scan of one row, baseline of {kept} destinations: first byte of the log"),
        goal: "≤ 0.3 s".to_owned(),
        reached: format!("{first:.2} s; {whole:.2} s to its end"),
        met: Some(first <= 0.3),
    });
    Ok(())
}

/// The one file below a folder.
fn only_file(dir: &Path) -> anyhow::Result<PathBuf> {
    let entry = fs::read_dir(dir)?.next().with_context(|| format!("`{}` is empty", dir.display()))??;
    if entry.file_type()?.is_dir() { only_file(&entry.path()) } else { Ok(entry.path()) }
}

/// Seconds from the start of a command until it first reads a file, and until it ends.
#[cfg(target_os = "linux")]
fn first_read(command: &[String], file: &Path) -> anyhow::Result<(f64, f64)> {
    use inotify::{Inotify, WatchMask};
    let (program, arguments) = command.split_first().context("a command names a program")?;
    let mut watch = Inotify::init()?;
    watch.watches().add(file, WatchMask::ACCESS)?;
    let start = Instant::now();
    let mut child = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut first = None;
    let mut events = [0; 1024];
    while child.try_wait()?.is_none() {
        if first.is_none() && watch.read_events(&mut events).is_ok_and(|mut events| events.next().is_some()) {
            first = Some(start.elapsed().as_secs_f64());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let first = first.with_context(|| format!("`{program}` did not read `{}`", file.display()))?;
    Ok((first, start.elapsed().as_secs_f64()))
}

/// See above: elsewhere nothing tells when a file is read.
#[cfg(not(target_os = "linux"))]
fn first_read(_: &[String], _: &Path) -> anyhow::Result<(f64, f64)> {
    anyhow::bail!("when a file is read can be measured on Linux only")
}

/// How many destinations the manifest of a baseline's version counts.
fn kept_destinations(baseline: &Path) -> anyhow::Result<f64> {
    let read = |path: PathBuf| -> anyhow::Result<Value> {
        let bytes = fs::read(&path).with_context(|| format!("reading `{}`", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("reading `{}`", path.display()))
    };
    let pointer = read(baseline.join("current.json"))?;
    let version = pointer["version"].as_str().context("a baseline's pointer names a version")?;
    let manifest = read(baseline.join("versions").join(version).join("manifest.json"))?;
    manifest["n_destinations"].as_f64().context("a manifest counts its destinations")
}

/// What Criterion measured of the stages; without its estimates the rows say so.
fn stages(options: &Goals, rows: &mut Vec<Row>) {
    let nanos = |name: &str| -> Option<f64> {
        // Criterion writes `_` for `/`.
        let path = options.criterion.join("stages").join(name.replace('/', "_")).join("new/estimates.json");
        let estimates: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        estimates["median"]["point_estimate"].as_f64()
    };
    let missing = "not measured: run `cargo bench -p benches` first";
    let reading = nanos("inflate/parquet-gzip").zip(nanos("read/parquet-gzip")).map(|(least, read)| least / read);
    rows.push(Row {
        work: "reading alone, over inflating the same pages".to_owned(),
        goal: "≥ 0.8 ×".to_owned(),
        reached: reading.map_or_else(|| missing.to_owned(), |r| format!("{r:.2} ×")),
        met: reading.map(|r| r >= 0.8),
    });
    let share = nanos("read/parquet-gzip")
        .zip(nanos("rollup-and-finish/400-functions"))
        .zip(nanos("whole/replay"))
        .map(|((read, rollup), whole)| 1.0 - (read + rollup) / whole);
    rows.push(Row {
        work: "scoring and learning, of the whole (one object, every destination new)".to_owned(),
        goal: "≤ 25 %".to_owned(),
        reached: share.map_or_else(|| missing.to_owned(), |s| format!("{:.0} %", s * 100.0)),
        met: share.map(|s| s <= 0.25),
    });
}

/// The median of how much longer the first took, turn by turn.
fn paired(runs: &[Run], own: &[Run]) -> f64 {
    median(runs.iter().zip(own).map(|(run, own)| run.seconds / own.seconds))
}

fn rate(runs: &[Run], n_rows: u64) -> String {
    format!("{:.2} M rows/s", n_rows as f64 / median(runs.iter().map(|r| r.seconds)) / 1e6)
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

fn table(rows: &[Row]) -> String {
    let mut out = "| work | goal | reached | |\n| --- | --- | --- | --- |".to_owned();
    for Row { work, goal, reached, met } in rows {
        let verdict = met.map_or("", |met| if met { "met" } else { "missed" });
        // Writing to a String cannot fail.
        write!(out, "\n| {work} | {goal} | {reached} | {verdict} |").ok();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_one_turn() {
        let run = |seconds| Run { seconds, peak_bytes: 0.0 };
        assert!((paired(&[run(2.0), run(9.0), run(4.0)], &[run(1.0), run(3.0), run(4.0)]) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_row_without_a_figure_has_no_verdict() {
        let row = |met| Row { work: "w".to_owned(), goal: "g".to_owned(), reached: "r".to_owned(), met };
        let lines = table(&[row(Some(false)), row(None)]);
        assert!(lines.ends_with("| w | g | r | missed |\n| w | g | r |  |"));
    }
}
