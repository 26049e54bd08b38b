//! The account of a run: the last line on stderr, and `--report` as one JSON object.
//!
//! Numbers are plain digits and the words never change with them, so that scripts may read the line.

use serde::Serialize;

use super::{json_line, rfc3339};
use crate::amounts::{bytes, day};
use crate::coverage::{Change, Coverage, Measure};

/// The form's name and version.
const SCHEMA: &str = "callout.report/1";

/// Writes the closing line, without a line end.
///
/// What belongs to every run is always told, what is rare only when it happened.
pub fn line(coverage: &Coverage) -> String {
    let n_unowned = coverage.unknown_interfaces.len() as u64;
    let unowned = if coverage.names_all_unknown() {
        "interfaces without an owner"
    } else {
        "interfaces or more without an owner"
    };
    let mut seen = vec![
        (coverage.n_not_egress, "no egress"),
        (coverage.n_nodata, "NODATA"),
        (coverage.n_skipdata, "SKIPDATA"),
        (n_unowned, unowned),
        (coverage.n_learning, "functions still learning"),
    ];
    let rare = [
        (coverage.unreadable.len() as u64, "objects unreadable"),
        (coverage.n_objects_duplicate, "objects read before"),
        (coverage.n_repeated, "rows told twice"),
        (coverage.n_stray, "rows years from all others"),
        (coverage.n_outside_span, "rows outside the span"),
        (coverage.n_other_interface, "rows of other services"),
        (coverage.n_novelty_abstained, "functions meeting new networks too often to judge by them"),
    ];
    seen.extend(rare.into_iter().filter(|(n, _)| *n > 0));
    let mut told = vec![(coverage.n_findings, "findings"), (coverage.n_suppressed, "suppressed")];
    told.extend(Some((coverage.n_below_severity, "below --min-severity")).filter(|(n, _)| *n > 0));
    let list =
        |parts: Vec<(u64, &str)>| parts.into_iter().map(|(n, what)| count_of(n, what)).collect::<Vec<_>>().join(", ");
    format!(
        "read {}, {} ({} rejected); {}; {}",
        count_of(coverage.n_objects, "objects"),
        count_of(coverage.n_rows, "rows"),
        coverage.n_rejected(),
        list(seen),
        list(told)
    )
}

/// `1 object unreadable`, `3 objects unreadable`: what is counted is the first word, in the plural if it is a noun.
fn count_of(n: u64, what: &str) -> String {
    let (noun, rest) = what.split_once(' ').map_or((what, String::new()), |(noun, rest)| (noun, format!(" {rest}")));
    let noun = if n == 1 { noun.strip_suffix('s').unwrap_or(noun) } else { noun };
    format!("{n} {noun}{rest}")
}

/// A large change of a baseline, in one line without a line end.
pub fn change(change: &Change) -> String {
    let (what, before, after) = match change.measure {
        Measure::Networks => ("known networks", change.before.to_string(), change.after.to_string()),
        Measure::Prefixes => ("known prefixes", change.before.to_string(), change.after.to_string()),
        Measure::DayBytes => ("bytes sent on a typical day", bytes(change.before), bytes(change.after)),
    };
    format!(
        "what is normal for {} changed since {}: {what} {before} before, {after} now",
        change.function,
        day(change.since)
    )
}

/// The written form: every counter by its name in [`Coverage`].
#[derive(Serialize)]
struct Form<'a> {
    schema: &'static str,
    n_objects: u64,
    n_objects_duplicate: u64,
    n_objects_unreadable: u64,
    n_rows: u64,
    n_rejected: u64,
    n_nodata: u64,
    n_skipdata: u64,
    n_outside_span: u64,
    n_not_egress: u64,
    n_observed: u64,
    n_other_interface: u64,
    n_unknown_interface: u64,
    n_repeated: u64,
    n_stray: u64,
    n_observations: u64,
    n_owners: u64,
    n_learning: u64,
    n_novelty_abstained: u64,
    n_findings: u64,
    n_suppressed: u64,
    n_below_severity: u64,
    span: Option<ToldSpan>,
    changes: Vec<ToldChange<'a>>,
    rejected: &'a std::collections::BTreeMap<&'static str, u64>,
    reject_examples: &'a [String],
    unknown_interfaces: &'a [String],
    unreadable: Vec<ToldObject<'a>>,
}

#[derive(Serialize)]
struct ToldSpan {
    start: String,
    end: String,
}

#[derive(Serialize)]
struct ToldChange<'a> {
    function: &'a str,
    measure: &'static str,
    before: u64,
    after: u64,
    since: String,
}

#[derive(Serialize)]
struct ToldObject<'a> {
    object: &'a str,
    error: &'a str,
}

/// Writes the account as one JSON object on one line, without a line end: every counter by its name in [`Coverage`].
///
/// # Panics
/// Never: strings, numbers and lists always have a JSON form.
pub fn json(coverage: &Coverage) -> String {
    // No `..`: a new counter does not compile until it is written here.
    let Coverage {
        n_objects,
        n_objects_duplicate,
        unreadable,
        n_rows,
        rejected,
        reject_examples,
        n_nodata,
        n_skipdata,
        n_outside_span,
        n_not_egress,
        n_observed,
        n_other_interface,
        n_unknown_interface,
        n_repeated,
        n_stray,
        unknown_interfaces,
        n_observations,
        n_owners,
        n_learning,
        n_novelty_abstained,
        n_findings,
        n_suppressed,
        n_below_severity,
        changes,
        span,
    } = coverage;
    let form = Form {
        schema: SCHEMA,
        n_objects: *n_objects,
        n_objects_duplicate: *n_objects_duplicate,
        n_objects_unreadable: unreadable.len() as u64,
        n_rows: *n_rows,
        n_rejected: coverage.n_rejected(),
        n_nodata: *n_nodata,
        n_skipdata: *n_skipdata,
        n_outside_span: *n_outside_span,
        n_not_egress: *n_not_egress,
        n_observed: *n_observed,
        n_other_interface: *n_other_interface,
        n_unknown_interface: *n_unknown_interface,
        n_repeated: *n_repeated,
        n_stray: *n_stray,
        n_observations: *n_observations,
        n_owners: *n_owners,
        n_learning: *n_learning,
        n_novelty_abstained: *n_novelty_abstained,
        n_findings: *n_findings,
        n_suppressed: *n_suppressed,
        n_below_severity: *n_below_severity,
        span: span.map(|(start, end)| ToldSpan { start: rfc3339(start), end: rfc3339(end) }),
        changes: changes
            .iter()
            .map(|change| ToldChange {
                function: &change.function,
                measure: change.measure.as_str(),
                before: change.before,
                after: change.after,
                since: rfc3339(change.since),
            })
            .collect(),
        rejected,
        reject_examples,
        unknown_interfaces,
        unreadable: unreadable.iter().map(|u| ToldObject { object: &u.object, error: &u.error }).collect(),
    };
    json_line(&form)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Unreadable;

    fn coverage() -> Coverage {
        Coverage {
            n_objects: 42,
            n_rows: 1_203_944,
            rejected: [("port", 2), ("address", 1)].into(),
            n_not_egress: 801,
            n_nodata: 12,
            n_skipdata: 0,
            unknown_interfaces: vec!["eni-1".into(), "eni-2".into()],
            n_learning: 3,
            n_findings: 2,
            n_suppressed: 1,
            ..Coverage::default()
        }
    }

    #[test]
    fn the_line_tells_what_every_run_has() {
        assert_eq!(
            line(&coverage()),
            "read 42 objects, 1203944 rows (3 rejected); 801 no egress, 12 NODATA, 0 SKIPDATA, \
             2 interfaces without an owner, 3 functions still learning; 2 findings, 1 suppressed"
        );
        assert_eq!(
            line(&Coverage::default()),
            "read 0 objects, 0 rows (0 rejected); 0 no egress, 0 NODATA, 0 SKIPDATA, \
             0 interfaces without an owner, 0 functions still learning; 0 findings, 0 suppressed"
        );
    }

    #[test]
    fn one_is_told_as_one() {
        let one =
            Coverage { n_objects: 1, n_rows: 1, n_learning: 1, n_findings: 1, n_nodata: 1, ..Coverage::default() };
        assert_eq!(
            line(&one),
            "read 1 object, 1 row (0 rejected); 0 no egress, 1 NODATA, 0 SKIPDATA, \
             0 interfaces without an owner, 1 function still learning; 1 finding, 0 suppressed"
        );
    }

    #[test]
    fn the_rare_is_told_when_it_happened() {
        let mut coverage = coverage();
        coverage.unreadable = vec![Unreadable { object: "a".into(), error: "b".into() }];
        coverage.n_objects_duplicate = 4;
        coverage.n_below_severity = 7;
        coverage.unknown_interfaces = vec![String::new(); Coverage::MAX_UNKNOWN_NAMED];
        let line = line(&coverage);
        assert!(line.contains(", 1000 interfaces or more without an owner, 3 functions"), "{line}");
        assert!(line.contains("learning, 1 object unreadable, 4 objects read before; 2"), "{line}");
        assert!(line.ends_with("2 findings, 1 suppressed, 7 below --min-severity"), "{line}");
    }

    #[test]
    fn a_change_is_told_in_one_line() {
        let one = |measure, before, after| {
            change(&Change { function: "api".into(), measure, before, after, since: 1_773_100_800 })
        };
        assert_eq!(
            one(Measure::Networks, 4, 12),
            "what is normal for api changed since 2026-03-10: known networks 4 before, 12 now"
        );
        assert_eq!(
            one(Measure::DayBytes, 8_000_000, 80_000_000),
            "what is normal for api changed since 2026-03-10: bytes sent on a typical day 8.0 MB before, 80.0 MB now"
        );
    }

    #[test]
    fn the_report_names_every_counter() {
        let mut coverage = coverage();
        let function = "api".to_owned();
        coverage.changes = vec![Change { function, measure: Measure::Prefixes, before: 4, after: 40, since: 0 }];
        coverage.span = Some((0, 86_399));
        coverage.unreadable = vec![Unreadable { object: "a/b.gz".into(), error: "not gzip".into() }];
        let report: serde_json::Value = serde_json::from_str(&json(&coverage)).expect("JSON");
        assert_eq!(report["schema"], "callout.report/1");
        assert_eq!(report["n_rejected"], 3);
        assert_eq!(report["rejected"]["port"], 2);
        assert_eq!(report["span"]["end"], "1970-01-01T23:59:59Z");
        assert_eq!(report["changes"][0]["measure"], "prefixes");
        assert_eq!((&report["changes"][0]["before"], &report["changes"][0]["after"]), (&4.into(), &40.into()));
        assert_eq!(report["unreadable"][0]["object"], "a/b.gz");
        assert_eq!(report["unreadable"][0]["error"], "not gzip");
        let counters = report.as_object().expect("an object").keys().filter(|key| key.starts_with("n_")).count();
        assert_eq!(counters, 21);
        assert_eq!(json(&coverage).lines().count(), 1);
    }
}
