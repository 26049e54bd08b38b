//! Drills on the quiet sample logs: what must be found is, chance is the seed's alone, and nothing is left behind.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use baselines::Baselines;
use detector::config::Config;
use detector::drill::letters::Shape;
use detector::drill::{Error, Outcome, Request, run};
use detector::pipeline::{InMemoryScratch, Scratch};
use detector::write::drill::{Drill, json};

use crate::samples::{case, knowledge, objects};

const QUIET: &str = "fitness-tracker-quiet";

fn of_letters(letters: &str) -> Vec<Shape> {
    letters.chars().map(|letter| letter.to_string().parse().expect("a shape")).collect()
}

/// Drills shapes on the first days of the quiet logs, all of them in the order of the files or against it.
fn drill(shapes: &str, function: Option<&str>, seed: u64, n_days: usize, is_reversed: bool) -> Outcome {
    let case = case(QUIET);
    let config = Config::defaults();
    let shapes = of_letters(shapes);
    let request = Request { config: &config, span: None, shapes: &shapes, function, seed, min_severity: 1.0 };
    let mut given = objects(&case.join("logs"));
    given.truncate(n_days);
    if is_reversed {
        given.reverse();
    }
    let scratch = || Box::new(InMemoryScratch::default()) as Box<dyn Scratch>;
    run(&request, &mut knowledge(&case), given, &Baselines::default(), &scratch, &()).expect("the scratch holds")
}

fn drills(shapes: &str, seed: u64) -> Vec<Drill> {
    drill(shapes, None, seed, 10, false).drills.expect("functions are ready")
}

#[test]
fn what_an_analyst_would_see_is_found() {
    let outcome = drill("BCFHIQ", None, 1, 10, false);
    assert!(outcome.findings.is_empty(), "the logs as they are are quiet");
    let drills = outcome.drills.expect("functions are ready");
    assert_eq!(drills.iter().map(|drill| drill.shape).collect::<String>(), "BCFHIQ");
    for drill in drills {
        let play = drill.play.as_ref().expect("it was played");
        let found = play.found.as_ref().unwrap_or_else(|| panic!("{}", json(&drill)));
        let at_the_latest = if drill.shape == 'H' { 3600 * 3 } else { 1200 };
        assert!(found.after_secs.is_some_and(|secs| (0..=at_the_latest).contains(&secs)), "{}", json(&drill));
        assert!(play.added.is_empty() && play.hidden.is_empty(), "{}", json(&drill));
    }
}

#[test]
fn a_deployment_before_is_named_and_a_sleeper_sleeps() {
    let played = drills("SL", 2);
    let [after_deployment, sleeper] = &played[..] else { panic!("two drills") };
    let found = after_deployment.play.as_ref().ok().and_then(|play| play.found.as_ref());
    assert!(found.is_some_and(|found| found.names_deployment), "{}", json(after_deployment));
    assert!(sleeper.play.is_ok(), "{}", json(sleeper));
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let lines = |outcome: Outcome| outcome.drills.expect("functions are ready").iter().map(json).collect::<Vec<_>>();
    let of = |seed, is_reversed| lines(drill("AIP", None, seed, 10, is_reversed));
    assert_eq!(of(5, false), of(5, true), "the order of objects decides nothing");
    assert_ne!(of(5, false), of(6, false));
}

#[test]
fn the_function_asked_for_is_played_on() {
    let drills = drill("AR", Some("routes-api"), 1, 10, false).drills.expect("it is ready");
    for drill in &drills {
        assert_eq!(drill.play.as_ref().map(|play| play.function.as_str()), Ok("routes-api"), "{}", json(drill));
    }
    match drill("A", Some("routes"), 1, 10, false).drills {
        Err(Error::UnknownFunction { function, known }) => {
            assert_eq!(function, "routes");
            assert!(known.contains(&"routes-api".to_owned()), "{known:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_ready_function_nothing_is_drilled() {
    let outcome = drill("A", None, 1, 5, false);
    assert!(matches!(outcome.drills, Err(Error::NotReady)));
    assert_eq!(outcome.coverage.n_objects, 5, "what was read is told all the same");
    assert!(matches!(drill("A", Some("routes-api"), 1, 5, false).drills, Err(Error::FunctionNotReady { .. })));
}

#[test]
fn where_a_list_names_everybody_no_stranger_is_waited_for() {
    let case = case(QUIET);
    let config = Config::defaults();
    let mut knowledge = knowledge(&case);
    knowledge.threat_lists.add("all", "all", b"0.0.0.0/0").expect("a list");
    let shapes = of_letters("AQ");
    let request = Request { config: &config, span: None, shapes: &shapes, function: None, seed: 1, min_severity: 1.0 };
    let mut given = objects(&case.join("logs"));
    given.truncate(10);
    let scratch = || Box::new(InMemoryScratch::default()) as Box<dyn Scratch>;
    let outcome =
        run(&request, &mut knowledge, given, &Baselines::default(), &scratch, &()).expect("the scratch holds");
    let drills = outcome.drills.expect("functions are ready");
    let [stranger, neighbours] = &drills[..] else { panic!("two drills") };
    assert_eq!(stranger.play.as_ref().err(), Some(&"every address is on a list, or in a network these logs have met"));
    assert!(neighbours.play.is_ok(), "{}", json(neighbours));
}

/// Runs the program over the quiet logs, in a folder of its own.
fn callout(command: &str, more: &[&str], inside: &Path) -> Output {
    let case = case(QUIET).canonicalize().expect("it is there");
    let mut program = Command::new(env!("CARGO_BIN_EXE_callout"));
    program.env_clear().current_dir(inside).arg(command).arg(case.join("logs"));
    for (option, file) in [("--enis", "enis.json"), ("--functions", "functions.json"), ("--asn", "asn.tsv")] {
        program.arg(option).arg(case.join(file));
    }
    program.args(more).output().expect("the program runs")
}

#[test]
fn the_door_prints_one_line_a_shape_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = callout("drill", &["--shape", "c,q", "--format", "json"], folder.path());
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(
        stdout.lines().filter(|line| line.starts_with("{\"schema\":\"callout.drill/1\"")).count(),
        2,
        "{stdout}"
    );
    assert!(stderr.ends_with("; 0 findings, 0 suppressed\n"), "{stderr}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing was written");
}

#[test]
fn the_door_refuses_with_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    for (more, parts) in [
        (
            &["--shape", "X"][..],
            ["there is no shape `X`; known are `all` and A to L, P to S: ", "`callout drill --help`"],
        ),
        (&["--function", "nobody"], ["error: `nobody` is not in these logs", "hint: they hold activities-api; "]),
        (
            &["--until", "2026-03-25T00:00:00Z"],
            ["the warm-up and on 3 days before its last\n", "hint: give more days of logs"],
        ),
        (&["--format", "ocsf"], ["error: a drill is no finding", "`--format table` or `--format json`"]),
    ] {
        let output = callout("drill", more, folder.path());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {stderr}");
        assert!(output.stdout.is_empty() && parts.iter().all(|part| stderr.contains(part)), "{more:?}: {stderr}");
    }
}
