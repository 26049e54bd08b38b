//! A run over objects, the same for every command that makes one: open, read, deliver.

use crate::console::{Failure, Status};
use crate::engine::{Knowledge, Outcome, Progress, Request};
use crate::settings::Settings;

/// Runs the engine over what was found and delivers what it gave.
///
/// Without a single object the engine is not asked, and the run still accounts for itself.
pub(crate) fn run(
    mut settings: Settings,
    engine: impl FnOnce(&Request<'_>, Knowledge, &dyn Progress) -> anyhow::Result<Outcome>,
) -> Result<Status, Failure> {
    let opened = settings.delivery.open(&settings.listing)?;
    let outcome = if settings.listing.objects.is_empty() {
        Outcome::default()
    } else {
        let bar = settings.bar();
        // Large files: nobody else may hold on to them.
        let knowledge = std::mem::take(&mut settings.knowledge);
        let outcome = engine(&settings.request(), knowledge, &bar);
        bar.clear();
        outcome?
    };
    Ok(settings.delivery.deliver(outcome, &settings.listing, opened, settings.console))
}
