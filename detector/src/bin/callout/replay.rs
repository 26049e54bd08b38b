//! `callout replay`: walk history in event time, learning and judging.

use crate::args;
use crate::console::{Failure, Status};
use crate::engine;
use crate::run;
use crate::settings::Settings;

pub(crate) fn run(typed: args::Replay) -> Result<Status, Failure> {
    let settings = Settings::of_replay(typed)?;
    run::run(&settings, |request, progress| engine::replay(request, settings.save_baseline.as_deref(), progress))
}
