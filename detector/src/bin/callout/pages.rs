//! `callout completions` and `callout man`: what a package installs beside the program.

use anyhow::anyhow;
use clap::CommandFactory as _;

use crate::args::Cli;
use crate::console::{Failure, Hint as _, Status, to_stdout};

/// Prints the completion script of a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<Status, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "callout", &mut script);
    to_stdout(&script)?;
    Ok(Status::Done)
}

/// Prints the manual page of the program, or of one command.
pub(crate) fn man(of: Option<&str>) -> Result<Status, Failure> {
    let mut program = Cli::command();
    program.build();
    let page = match of {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| anyhow!("there is no command `{name}`"))
            .hint("`callout --help` lists them")?,
    };
    let mut roff = Vec::new();
    clap_mangen::Man::new(page).render(&mut roff).map_err(anyhow::Error::from)?;
    to_stdout(&roff)?;
    Ok(Status::Done)
}
