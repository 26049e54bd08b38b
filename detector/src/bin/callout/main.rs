//! `callout`, the door for people: reads files, prints findings.
//!
//! `args` is what was typed, `settings` what it means; one file a command; `engine` is where they meet the pipeline.
//! Data goes to stdout, everything else to stderr; a closed pipe is no error.

mod accept;
mod args;
mod console;
mod deliver;
mod drill;
mod engine;
mod inspect;
mod learn;
mod objects;
mod pages;
mod progress;
mod replay;
mod run;
mod scan;
mod settings;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command, When};
use crate::console::{Console, Status};

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // Help and version are answers, on stdout; nobody is left to tell when that is closed.
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { Status::Unfinished } else { Status::Done });
        }
    };
    let console = Console::new(color(&command));
    let status = match catch_unwind(AssertUnwindSafe(|| answer(command))) {
        Ok(Ok(status)) => status,
        Ok(Err(failure)) => {
            console.failure(&failure);
            Status::Unfinished
        }
        // The panic itself has been printed where it happened.
        Err(_) => {
            console.error("internal: this is a bug of callout");
            console.hint("please report it with the lines above; the input that causes it helps most");
            Status::Unfinished
        }
    };
    ExitCode::from(status)
}

fn answer(command: Command) -> Result<Status, console::Failure> {
    match command {
        Command::Replay(typed) => replay::run(typed),
        Command::Learn(typed) => learn::run(typed),
        Command::Scan(typed) => scan::run(typed),
        Command::Inspect(typed) => inspect::run(&typed),
        Command::Drill(typed) => drill::run(typed),
        Command::Accept(typed) => accept::run(&typed),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { command } => pages::man(command.as_deref()),
    }
}

fn color(command: &Command) -> When {
    match command {
        Command::Replay(typed) => typed.run.color,
        Command::Learn(typed) => typed.run.color,
        Command::Scan(typed) => typed.run.color,
        Command::Inspect(typed) => typed.color,
        Command::Drill(typed) => typed.run.color,
        Command::Accept(typed) => typed.color,
        Command::Completions { .. } | Command::Man { .. } => When::Auto,
    }
}
