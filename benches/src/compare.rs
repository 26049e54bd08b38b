//! Comparison: `callout replay` against general engines doing less.
//!
//! Polars (streaming) and `DuckDB` only group egress records by interface, destination and ten minutes, the heaviest
//! step of the detector; `callout` does its whole work. The programs take turns, so that a busy machine slows all of
//! them, and ratios are medians of pairs.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// What to compare.
#[derive(Clone, Debug, clap::Args)]
pub struct Comparison {
    /// Case folder, as `fleet` and `large` write them
    #[arg(long)]
    pub data: PathBuf,
    /// Numbers of threads
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    pub threads: Vec<usize>,
    /// Turns
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// The `callout` program; without it only the peers run
    #[arg(long)]
    pub callout: Option<PathBuf>,
    /// A Python that has polars and duckdb
    #[arg(long, default_value = "target/venv/bin/python")]
    pub python: PathBuf,
    /// Folder of the scripts that run the peers
    #[arg(long, default_value = "benches/peers")]
    pub peers: PathBuf,
}

/// What `measure.py` prints about one run.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    pub(crate) peak_bytes: f64,
}

/// One program and its runs, in the order of turns.
#[derive(Debug)]
pub(crate) struct Contender {
    name: &'static str,
    pub(crate) command: Vec<String>,
    pub(crate) runs: Vec<Run>,
}

/// Compares and gives the table as text.
pub fn compare(comparison: &Comparison) -> anyhow::Result<String> {
    if comparison.runs == 0 {
        bail!("--runs 0 measures nothing; give 1 or more");
    }
    let n_rows = count_rows(comparison)?;
    let mut out = String::new();
    for &threads in &comparison.threads {
        let mut contenders = contenders(comparison, threads);
        for _ in 0..comparison.runs {
            for contender in &mut contenders {
                let run = measure(comparison, &contender.command)?;
                contender.runs.push(run);
            }
        }
        // Writing to a String cannot fail.
        table(&mut out, &contenders, n_rows, threads).ok();
    }
    Ok(out.trim_end().to_owned())
}

pub(crate) fn contenders(comparison: &Comparison, threads: usize) -> Vec<Contender> {
    let data = &comparison.data;
    let mut contenders = Vec::new();
    if let Some(callout) = &comparison.callout {
        let command = callout_command(callout, "replay", data, &data.join("logs"), threads);
        contenders.push(Contender { name: "callout replay", command, runs: Vec::new() });
    }
    for (name, script) in [("Polars group-by", "polars_group_by.py"), ("DuckDB group-by", "duckdb_group_by.py")] {
        let script = comparison.peers.join(script);
        let command = vec![text(&comparison.python), text(&script), text(&data.join("logs")), threads.to_string()];
        contenders.push(Contender { name, command, runs: Vec::new() });
    }
    contenders
}

/// A command of `callout` on logs, with what a case folder knows.
pub(crate) fn callout_command(callout: &Path, verb: &str, data: &Path, logs: &Path, threads: usize) -> Vec<String> {
    let mut command = vec![text(callout), verb.to_owned(), text(logs)];
    for (option, file) in [
        ("--enis", "enis.json"),
        ("--functions", "functions.json"),
        ("--asn", "asn.tsv"),
        ("--aws-ranges", "ip-ranges.json"),
    ] {
        command.extend([option.to_owned(), text(&data.join(file))]);
    }
    // `learn` has no findings.
    let findings: &[&str] = if verb == "learn" { &[] } else { &["--format", "json", "--output", "/dev/null"] };
    command.extend(["--progress", "never"].iter().chain(findings).map(|word| (*word).to_owned()));
    command.extend(["--threads".to_owned(), threads.to_string()]);
    command
}

pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Runs a command through `measure.py`, which reads its resource usage from the kernel.
pub(crate) fn measure(comparison: &Comparison, command: &[String]) -> anyhow::Result<Run> {
    let scratch = comparison.peers.join("measure.py");
    let output = Command::new(&comparison.python)
        .arg(&scratch)
        .args(command)
        .output()
        .with_context(|| format!("running `{}`", comparison.python.display()))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", command.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    serde_json::from_str(&last).with_context(|| format!("reading what `{}` measured", scratch.display()))
}

/// Counts the flow records below the folder with the peers' own reader, outside of the measured runs.
fn count_rows(comparison: &Comparison) -> anyhow::Result<f64> {
    let logs = comparison.data.join("logs");
    if !fs::exists(&logs).unwrap_or(false) {
        bail!("`{}` has no folder `logs`; write one with `benches large`", comparison.data.display());
    }
    let output = Command::new(&comparison.python)
        .arg(comparison.peers.join("count_rows.py"))
        .arg(&logs)
        .output()
        .with_context(|| format!("running `{}`", comparison.python.display()))?;
    if !output.status.success() {
        bail!("counting rows failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().context("reading the number of rows")
}

fn table(out: &mut String, contenders: &[Contender], n_rows: f64, threads: usize) -> std::fmt::Result {
    let heading = format!("{n_rows} rows, threads: {threads}");
    writeln!(out, "{heading:<30}{:>10}{:>12}{:>10}{:>16}", "seconds", "M rows/s", "peak MB", "time / first's")?;
    for c in contenders {
        let seconds = median(c.runs.iter().map(|r| r.seconds));
        let peak = median(c.runs.iter().map(|r| r.peak_bytes));
        // Each run against the first contender's of the same turn.
        let first = contenders.first().map_or(&c.runs, |f| &f.runs);
        let ratio = median(c.runs.iter().zip(first).map(|(own, first)| own.seconds / first.seconds));
        let speed = n_rows / seconds / 1e6;
        writeln!(out, "  {:<28}{seconds:>10.2}{speed:>12.2}{:>10.0}{ratio:>16.2}", c.name, peak / 1e6)?;
    }
    writeln!(out)
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_turns() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0].into_iter()) - 2.5).abs() < 1e-9);
        assert!(median([].into_iter()).is_nan());
    }
}
