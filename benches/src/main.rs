//! `benches`: makes traffic, evaluates the detector on it, measures it against its peers.

use std::path::PathBuf;

use benches::{Comparison, Evaluation, FleetOptions, Goals, Large};
use clap::{Parser, Subcommand};

/// Seeded traffic, evaluation and comparison for the call-out detector
#[derive(Debug, Parser)]
#[command(name = "benches", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a random fleet's flow logs, inventory and ground truth
    Fleet {
        #[command(flatten)]
        options: FleetOptions,
        /// Case folder to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Write bulk rows for benchmarks, as many as wanted
    Large {
        #[command(flatten)]
        options: Large,
        /// Case folder to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Judge the detector's findings on random fleets, beside simple reference methods
    Evaluate(Evaluation),
    /// Measure `callout replay` against Polars and `DuckDB` on the same records
    Compare(Comparison),
    /// Make the inputs, measure everything and print each speed goal beside the figure reached
    Goals(Goals),
    /// Write the cases of `sample-logs/`
    SampleLogs {
        /// Folder that holds the case folders
        #[arg(long, default_value = "sample-logs")]
        out: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Fleet { options, out } => say(&benches::write_fleet(&options, &out)?),
        Command::Large { options, out } => say(&benches::write_large(&options, &out)?),
        Command::Evaluate(evaluation) => say(&benches::evaluate(&evaluation)?),
        Command::Compare(comparison) => say(&benches::compare(&comparison)?),
        Command::Goals(options) => say(&benches::goals(&options)?),
        Command::SampleLogs { out } => say(&benches::write_sample_logs(&out)?),
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn say(text: &str) {
    println!("{text}");
}
