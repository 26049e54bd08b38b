//! `callout learn`: create or extend a baseline; judge nothing.

use crate::args;
use crate::console::{Failure, Status};
use crate::engine;
use crate::run;
use crate::settings::Settings;

pub(crate) fn run(typed: args::Learn) -> Result<Status, Failure> {
    let settings = Settings::of_learn(typed)?;
    run::run(settings, engine::learn)
}
