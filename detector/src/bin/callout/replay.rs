//! `callout replay`: walk history in event time, learning and judging.

use crate::args;
use crate::console::{Failure, Status};
use crate::engine;
use crate::run;
use crate::settings::Settings;

pub(crate) fn run(typed: args::Replay) -> Result<Status, Failure> {
    let mut settings = Settings::of_replay(typed)?;
    let save = settings.save_baseline.take();
    run::run(settings, |request, knowledge, progress| engine::replay(request, knowledge, save.as_deref(), progress))
}
