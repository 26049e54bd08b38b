//! `callout drill`: play call-outs of known shapes on the user's own functions, and tell which are found.

use anyhow::anyhow;

use crate::args;
use crate::console::{Failure, Hint as _, Status, offered};
use crate::engine::{self, DrillError, Outcome};
use crate::settings::Settings;

pub(crate) fn run(typed: args::Drill) -> Result<Status, Failure> {
    let (shapes, function, seed) = (typed.shape.0.clone(), typed.function.clone(), typed.seed);
    if !matches!(typed.judging.format, args::Form::Table | args::Form::Json) {
        return Err(anyhow!("a drill is no finding")).hint("it is written as `--format table` or `--format json`");
    }
    let mut settings = Settings::of_drill(typed)?;
    let opened = settings.delivery.open(&settings.listing)?;
    if settings.listing.objects.is_empty() {
        let nothing = Outcome::default();
        return Ok(settings.delivery.deliver_drills(&[], nothing, &settings.listing, opened, settings.console));
    }
    let bar = settings.bar();
    let min_severity = settings.delivery.min_severity.unwrap_or(1.0);
    let knowledge = std::mem::take(&mut settings.knowledge);
    let drilled = engine::drill(&settings.request(), knowledge, &shapes, function.as_deref(), seed, min_severity, &bar);
    bar.clear();
    let (drills, outcome) = drilled?;
    let (drills, refused) = match drills {
        Ok(drills) => (drills, Status::Done),
        Err(error) => {
            settings.console.failure(&explain(error));
            (Vec::new(), Status::Unfinished)
        }
    };
    let status = settings.delivery.deliver_drills(&drills, outcome, &settings.listing, opened, settings.console);
    Ok(status.max(refused))
}

/// Why nothing was drilled, and what to do about it.
fn explain(error: DrillError) -> Failure {
    let hint = match &error {
        DrillError::NotReady | DrillError::FunctionNotReady { .. } => {
            "give more days of logs, a shorter --warm-up, or the --baseline of an earlier run".to_owned()
        }
        DrillError::UnknownFunction { known, .. } => {
            format!("they hold {}", offered(known.iter().map(String::as_str)))
        }
    };
    Failure { error: error.into(), hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_to_do() {
        let unknown = DrillError::UnknownFunction {
            function: "route".into(),
            known: (0..9).map(|n| format!("routes-{n}")).collect(),
        };
        let failure = explain(unknown);
        assert_eq!(failure.error.to_string(), "`route` is not in these logs");
        assert_eq!(
            failure.hint.as_deref(),
            Some("they hold routes-0; routes-1; routes-2; routes-3; routes-4; routes-5; routes-6; routes-7 …")
        );
        assert!(explain(DrillError::NotReady).hint.is_some_and(|hint| hint.contains("--warm-up")));
    }
}
