//! Walk: the hours in event time, their owners side by side: see `judge`.

use std::collections::BTreeMap;
use std::io;

use baselines::baseline::span_of;
use baselines::window::{Day, Window};

use super::changes::Changes;
use super::judge::Judge;
use super::shelf::{Hour, Part, Run, Shelf};
use super::{Job, Memory, Mode, settle, strays};
use crate::coverage::Coverage;
use crate::finding::Finding;
use crate::score::Scorer;

/// Walks all hours of the shelf from where `memory` stands.
///
/// The last day stays open: what ages at a day's end ages when a later day begins, in this walk or in another one.
pub(super) fn walk(
    job: &Job<'_>,
    shelf: Shelf,
    memory: Memory,
    coverage: &mut Coverage,
) -> io::Result<(Vec<Finding>, Memory)> {
    let Memory { mut baselines, incidents, mut open_day } = memory;
    let mut scorer = Scorer::new(job.config, job.knowledge);
    scorer.incidents = incidents;
    let (tables, first, mut shelved) = shelf.finish();
    let ranks = tables.set.ranks();
    let hours: Vec<(Hour, Vec<Part>)> = shelved.all().into_iter().collect();
    let n_rows = |parts: &[Part]| parts.iter().map(|part| shelved.n_rows_of(*part)).sum();
    let told: Vec<(Day, usize)> = hours.iter().map(|(hour, parts)| (hour.day(), n_rows(parts))).collect();
    let walked = strays::without(&told, job.config.novelty_memory_days);
    let strays = hours.iter().enumerate().filter(|(at, _)| !walked.contains(at));
    for part in strays.flat_map(|(_, (_, parts))| parts) {
        let rows = shelved.take(*part)?;
        let n_records = |run: Run<'_>| run.rows().map(|row| settle::n_records(&row)).sum::<u64>();
        coverage.n_stray += rows.runs().map(n_records).sum::<u64>();
    }
    let hours = hours.get(walked).unwrap_or_default();
    // What was read told of strays too.
    coverage.span = None;
    let mut judge = Judge::new(job, &tables, first, &ranks);
    let mut changes = Changes::default();
    let warm_up = Scorer::warm_up(job.config);
    for (hour, parts) in hours {
        let day = hour.day();
        let ended = match open_day {
            Some(open) => Some(open).filter(|open| *open < day && job.mode != Mode::Scan),
            None => baselines.ended_before(day),
        };
        if let Some(ended) = ended {
            baselines.age(ended.first_window(), job.config.novelty_memory_days);
        }
        if open_day < Some(day) && job.mode != Mode::Scan {
            changes.note(&baselines, day.first_window(), warm_up);
        }
        open_day = open_day.max(Some(day));
        scorer.begin(&baselines, day);
        let parts = parts.iter().map(|part| shelved.take(*part));
        let account = judge.hour(&mut scorer, &mut baselines, *hour, parts)?;
        coverage.n_observations += account.n_observations;
        coverage.n_repeated += account.n_repeated;
        coverage.span = span_of(coverage.span, account.span);
        coverage.n_observed -= account.n_inbound.min(coverage.n_observed);
        coverage.n_not_egress += account.n_inbound;
    }
    let findings = scorer.findings(&baselines);
    let last = open_day.map_or(Window(0), Day::last_window);
    let known = baselines.iter().filter(|(_, baseline)| baseline.known.is_some());
    let known: BTreeMap<&str, bool> =
        known.map(|(owner, baseline)| (&**owner, baseline.is_ready(last, warm_up))).collect();
    coverage.n_owners = known.len() as u64;
    // A scan learns nothing: what the baseline does not know it does not judge either.
    let n_unlearned = tables.set.owners.iter().filter(|owner| !known.contains_key(&***owner)).count();
    coverage.n_learning = (n_unlearned + known.values().filter(|is_ready| !**is_ready).count()) as u64;
    coverage.n_novelty_abstained = scorer.n_restless(&baselines);
    if job.mode != Mode::Scan {
        coverage.changes = changes.finish(&baselines);
    }
    baselines.learned_from.n_objects += coverage.n_objects;
    let incidents = scorer.incidents;
    Ok((findings, Memory { baselines, incidents, open_day }))
}
