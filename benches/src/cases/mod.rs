//! Cases: concrete fleets, and writing them to a folder.
//!
//! `catalogue`, `population` and `disturbances` make a random fleet from a seed; `fitness_tracker` tells the
//! hand-written story of `sample-logs/`; `large` makes bulk input for benchmarks.
//!
//! # Layout of a case folder
//! `logs/` the bucket (nothing but flow log objects), `enis.json` and, when interfaces have come and gone, earlier
//! `enis-DATE.json`, `functions.json`, `asn.tsv`, `ip-ranges.json`, `truth.json`.

mod catalogue;
mod disturbances;
mod fitness_tracker;
mod large;
mod population;
#[cfg(test)]
mod tests;

use std::{fs, path::Path};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    calendar::{DAY, Secs, written},
    fleet::{Fleet, inventory},
    internet::tables,
    traffic,
    truth::Truth,
    write::{Delivery, Fields, Granularity, ObjectFormat, Outbox, Written, deliver},
};

pub use fitness_tracker::write_sample_logs;
pub use large::{Large, write_large};
pub(crate) use population::random_fleet;

/// What to generate and how to write it.
#[derive(Clone, Debug, clap::Args)]
pub struct FleetOptions {
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Number of Lambda functions
    #[arg(long, default_value_t = 40)]
    pub functions: usize,
    /// Days of event time; call-outs begin after the eighth
    #[arg(long, default_value_t = 28)]
    pub days: i64,
    /// `all`, `none`, or letters of shapes such as `A,B,Q`
    #[arg(long, default_value = "all")]
    pub shapes: String,
    /// Form of the objects
    #[arg(long, value_enum, default_value = "parquet")]
    pub format: ObjectFormat,
    /// Fields of a record
    #[arg(long, value_enum, default_value = "recommended")]
    pub fields: Fields,
    /// Aggregation interval in seconds, 60 or 600
    #[arg(long, default_value_t = 60)]
    pub interval: i64,
    /// Time one object spans
    #[arg(long, value_enum, default_value = "1h")]
    pub files: Granularity,
}

/// Generates a random fleet and writes its case folder.
pub fn write_fleet(options: &FleetOptions, out: &Path) -> anyhow::Result<String> {
    let fleet = random_fleet(options)?;
    let delivery = Delivery::new(&fleet, &out.join("logs"), options.format, options.fields);
    let written = write_logs(&fleet, &delivery, options.interval, options.files)?;
    write_knowledge(&fleet, out)?;
    write_json(&out.join("truth.json"), &Truth::of(&fleet))?;
    Ok(format!(
        "{written}; {} functions, {} call-outs, {} benign oddities",
        fleet.functions.len(),
        fleet.attacks.len(),
        fleet.benign.len()
    ))
}

/// Hands each day's records of a fleet to `each`, in order of days, and keeps them inside the fleet's span.
pub(crate) fn for_each_day(
    fleet: &Fleet,
    interval_secs: Secs,
    mut each: impl FnMut(Secs, Vec<traffic::Record>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut midnight = fleet.span.start;
    while midnight < fleet.span.end {
        let mut records = traffic::day(fleet, midnight, interval_secs);
        records.retain(|r| r.end >= fleet.span.start && r.end < fleet.span.end);
        each(midnight, records)?;
        midnight += DAY;
    }
    Ok(())
}

fn write_logs(fleet: &Fleet, delivery: &Delivery, interval_secs: Secs, files: Granularity) -> anyhow::Result<Written> {
    let mut outbox = Outbox::new(files, delivery.key);
    let mut written = Written::default();
    for_each_day(fleet, interval_secs, |midnight, records| {
        outbox.add(records);
        // Tomorrow's connections may still end in the last window before midnight.
        written += deliver(delivery, &outbox.take(midnight + DAY - interval_secs))?;
        Ok(())
    })?;
    written += deliver(delivery, &outbox.take(Secs::MAX))?;
    Ok(written)
}

/// Writes what the detector is told beside the logs: inventory and address tables.
fn write_knowledge(fleet: &Fleet, out: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(out).with_context(|| format!("making the folder `{}`", out.display()))?;
    for (i, moment) in inventory::moments(fleet).into_iter().enumerate() {
        let name = if i == 0 { "enis.json".to_owned() } else { written(moment, "enis-%Y-%m-%d.json") };
        write_json(&out.join(name), &inventory::network_interfaces(fleet, moment))?;
    }
    write_json(&out.join("functions.json"), &inventory::functions(fleet))?;
    write_json(&out.join("ip-ranges.json"), &tables::ip_ranges(fleet.span.start))?;
    write_file(&out.join("asn.tsv"), &tables::asn_tsv(&fleet.internet))
}

fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value).with_context(|| format!("rendering `{}`", path.display()))?;
    write_file(path, &(text + "\n"))
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("writing `{}`", path.display()))
}
