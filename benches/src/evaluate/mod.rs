//! Evaluation: how many call-outs the detector finds, how soon, and how often it cries wolf.
//!
//! Takes seeds, gives tables. For each seed a fleet is written (once, then kept), `callout replay` is run over it as a
//! user would, and its findings are judged against the truth. `reference` computes simple known methods on the same
//! records for comparison.

mod alert;
mod judge;
mod reference;
mod rita;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::{
    cases::{FleetOptions, for_each_day, random_fleet, write_fleet},
    fleet::Fleet,
};
use judge::Verdicts;

/// How the detector is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sensitivity {
    /// As it comes.
    Default,
    /// With a configuration file that says `sensitivity = "high"`.
    High,
}

/// What to evaluate.
#[derive(Clone, Debug, clap::Args)]
pub struct Evaluation {
    /// The `callout` program; without it only the reference methods are computed
    #[arg(long)]
    pub callout: Option<PathBuf>,
    /// Seeds, such as `1-5` or `3,8`
    #[arg(long, default_value = "1-3")]
    pub seeds: String,
    /// How the detector is set
    #[arg(long, value_enum, default_value = "default")]
    pub sensitivity: Sensitivity,
    /// Where fleets are kept between runs
    #[arg(long, default_value = "target/evaluate")]
    pub work: PathBuf,
    /// Leave out the reference methods
    #[arg(long)]
    pub no_reference: bool,
    /// What kind of fleets; `--seed` is set by `--seeds`
    #[command(flatten)]
    pub fleet: FleetOptions,
}

/// Evaluates and gives the tables as text.
pub fn evaluate(evaluation: &Evaluation) -> anyhow::Result<String> {
    let mut methods: Vec<(String, Verdicts)> = Vec::new();
    let mut add = |name: &str, verdicts: Verdicts| match methods.iter_mut().find(|(n, _)| n == name) {
        Some((_, sum)) => sum.append(verdicts),
        None => methods.push((name.to_owned(), verdicts)),
    };
    for seed in seeds(&evaluation.seeds)? {
        let options = FleetOptions { seed, ..evaluation.fleet.clone() };
        let fleet = random_fleet(&options)?;
        if let Some(callout) = &evaluation.callout {
            let case = kept_fleet(&options, &evaluation.work)?;
            let findings = replay(callout, &case, evaluation)?;
            let text = fs::read_to_string(&findings).with_context(|| format!("reading `{}`", findings.display()))?;
            add("callout", judge::judge(&fleet, &alert::parse(&fleet, &text)?));
        }
        if !evaluation.no_reference {
            for (name, alerts) in references(&fleet, options.interval)? {
                add(name, judge::judge(&fleet, &alerts));
            }
        }
    }
    Ok(tables::render(&methods))
}

fn references(fleet: &Fleet, interval_secs: i64) -> anyhow::Result<Vec<(&'static str, Vec<alert::Alert>)>> {
    let mut methods = reference::Methods::new(fleet);
    for_each_day(fleet, interval_secs, |_, records| {
        methods.observe(&records);
        Ok(())
    })?;
    Ok(methods.finish())
}

/// Reads `1-5` or `3,8` or both.
fn seeds(text: &str) -> anyhow::Result<Vec<u64>> {
    let number = |s: &str| s.trim().parse::<u64>().with_context(|| format!("`{s}` in --seeds is no number"));
    let mut seeds = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) => seeds.extend(number(first)?..=number(last)?),
            None => seeds.push(number(part)?),
        }
    }
    if seeds.is_empty() {
        bail!("--seeds `{text}` names no seed");
    }
    Ok(seeds)
}

/// The case folder of a fleet, written unless an earlier run left it.
fn kept_fleet(options: &FleetOptions, work: &Path) -> anyhow::Result<PathBuf> {
    let name = format!(
        "fleet-{}-{}f-{}d-{}-{:?}-{:?}-{}s-{:?}",
        options.seed,
        options.functions,
        options.days,
        options.shapes.replace(',', ""),
        options.format,
        options.fields,
        options.interval,
        options.files
    );
    let case = work.join(name.to_lowercase());
    let complete = case.join("complete");
    // A generator that has changed since must not be answered with old records.
    let generator = env!("CARGO_PKG_VERSION").to_owned() + " " + &generator_mark()?;
    if fs::read_to_string(&complete).is_ok_and(|mark| mark == generator) {
        return Ok(case);
    }
    if case.exists() {
        fs::remove_dir_all(&case).with_context(|| format!("clearing `{}`", case.display()))?;
    }
    write_fleet(options, &case)?;
    fs::write(&complete, generator).with_context(|| format!("writing `{}`", complete.display()))?;
    Ok(case)
}

/// Tells one build of this program from another: its size and time of change.
fn generator_mark() -> anyhow::Result<String> {
    let program = std::env::current_exe().context("finding this program")?;
    let metadata = fs::metadata(&program).context("looking at this program")?;
    let changed = metadata.modified().context("looking at this program")?;
    Ok(format!("{} {:?}", metadata.len(), changed))
}

/// Runs `callout replay` over a case folder and gives the file of findings.
fn replay(callout: &Path, case: &Path, evaluation: &Evaluation) -> anyhow::Result<PathBuf> {
    let findings = case.join("findings.jsonl");
    let mut command = Command::new(callout);
    command.arg("replay").arg(case.join("logs")).args(["--format", "json", "--progress", "never"]);
    command.arg("--output").arg(&findings).arg("--report").arg(case.join("report.json"));
    let mut inventories: Vec<PathBuf> = fs::read_dir(case)
        .with_context(|| format!("listing `{}`", case.display()))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("enis")))
        .collect();
    inventories.sort();
    for inventory in inventories {
        command.arg("--enis").arg(inventory);
    }
    command.arg("--functions").arg(case.join("functions.json"));
    command.arg("--asn").arg(case.join("asn.tsv")).arg("--aws-ranges").arg(case.join("ip-ranges.json"));
    if evaluation.sensitivity == Sensitivity::High {
        let config = case.join("high.toml");
        fs::write(&config, "sensitivity = \"high\"\n").with_context(|| format!("writing `{}`", config.display()))?;
        command.arg("--config").arg(config);
    }
    let status = command.status().with_context(|| format!("running `{}`", callout.display()))?;
    if !status.success() {
        bail!("`{}` ended with {status} on `{}`", callout.display(), case.display());
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_ranges_and_lists() {
        let check = |text: &str, expected: &[u64]| assert_eq!(seeds(text).unwrap(), expected, "{text}");
        check("1-3", &[1, 2, 3]);
        check("7", &[7]);
        check("1-2,9", &[1, 2, 9]);
        assert!(seeds("x").is_err());
        assert!(seeds("3-1").is_err());
    }
}
