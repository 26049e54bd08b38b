//! `cargo xtask test`: everything CI runs, with its set-up, on a Debian machine that has Rust and nothing else.
//!
//! Each step is a command of its own, `cargo xtask fmt`; `test` runs them in order and stops at the first that fails.
//! The last line counts what was checked: every Rust test, and each of the steps' own checks.

mod aws;
mod generated;
mod grants;
mod rust;
mod shell;
mod tally;
mod template;
mod tools;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::shell::{Workspace, say};
use crate::tally::Tally;

/// One step: its command, what it checks, and how.
struct Step {
    name: &'static str,
    says: &'static str,
    run: fn(&Workspace, &mut Tally) -> Result<()>,
}

/// The steps of `test`, cheapest answer first where the order is free.
const STEPS: [Step; 9] = [
    Step { name: "fmt", says: "the code is formatted", run: rust::fmt },
    Step { name: "clippy", says: "no lint fires", run: rust::clippy },
    Step { name: "test-rust", says: "the tests, the libraries' also over optimised low floors", run: rust::test },
    Step { name: "features", says: "without the feature `aws` no AWS crate is linked", run: rust::features },
    Step { name: "doc", says: "the documentation builds without a warning", run: rust::doc },
    Step { name: "deny", says: "licences, sources and banned crates", run: rust::deny },
    Step { name: "generated", says: "what the README shows is what the program prints", run: generated::fresh },
    Step { name: "template", says: "the SAM templates lint, and grant what they should", run: template::check },
    Step { name: "aws", says: "the deployed roles against an emulated AWS", run: aws::end_to_end },
];

/// Steps that are part of another one, that change something, or that take long: by their own command only.
const EXTRA: [Step; 5] = [
    Step { name: "release", says: "builds what is deployed; its size, start, memory and time", run: aws::release },
    Step { name: "tidy", says: "the house rules (part of test-rust)", run: rust::tidy },
    Step { name: "generate", says: "rewrites what `generated` compares", run: generated::rewrite },
    Step { name: "grants", says: "writes down what the templates grant, for review", run: template::accept },
    Step { name: "setup", says: "installs every tool the steps need", run: tools::everything },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => Ok(STEPS.iter().collect()),
        [name] => STEPS.iter().chain(&EXTRA).find(|step| step.name == name).map(|step| vec![step]).ok_or_else(usage),
        _ => Err(usage()),
    };
    match outcome {
        Ok(steps) => run(&steps),
        Err(usage) => {
            say(&usage);
            ExitCode::from(2)
        }
    }
}

/// Runs the steps, then prints their times and, alone on the last line, the count.
fn run(steps: &[&Step]) -> ExitCode {
    let mut tally = Tally::default();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let outcome = Workspace::find().and_then(|workspace| {
        for step in steps {
            say(&format!("\n=== {}: {}", step.name, step.says));
            let begun = Instant::now();
            let outcome = (step.run)(&workspace, &mut tally);
            times.push((step.name, begun.elapsed()));
            if let Err(error) = outcome {
                // A failed test has been counted where its result line was read.
                tally.failed = tally.failed.max(1);
                return Err(error.context(format!("`cargo xtask {}` failed", step.name)));
            }
        }
        Ok(())
    });
    say("");
    for (name, time) in &times {
        say(&format!("{name:<10} {:>7.1} s", time.as_secs_f64()));
    }
    if let Err(error) = &outcome {
        say(&format!("\nerror: {error:#}"));
    }
    say(&format!("\n{tally}"));
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> String {
    let lines = |steps: &[Step]| {
        let lines = steps.iter().map(|step| format!("    {:<10} {}", step.name, step.says));
        lines.collect::<Vec<_>>().join("\n")
    };
    format!(
        "usage: cargo xtask COMMAND\n\n  test       all of these, in this order:\n{}\n\n  besides:\n{}",
        lines(&STEPS),
        lines(&EXTRA)
    )
}
