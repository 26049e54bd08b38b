//! `callout scan`: judge against a fixed baseline; learn nothing.

use crate::args;
use crate::console::{Failure, Status};
use crate::engine;
use crate::run;
use crate::settings::Settings;

pub(crate) fn run(typed: args::Scan) -> Result<Status, Failure> {
    let settings = Settings::of_scan(typed)?;
    run::run(settings, engine::scan)
}
