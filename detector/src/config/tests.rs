//! Tests of settings: each key, its range, and what a suppression hides.

use super::*;
use crate::finding::Activity;
use crate::write::sample;

const SAMPLE: &str = include_str!("../../callout.toml");

fn refused(toml: &str, message: &str) {
    let error = Config::from_toml(toml).expect_err(toml).to_string();
    assert_eq!(error, message, "for {toml}");
}

fn suppression(toml: &str) -> Suppression {
    let toml = format!("[[suppressions]]\n{toml}\nuntil = 2026-04-30\nreason = \"r\"");
    Config::from_toml(&toml).expect("a sound suppression").suppressions.remove(0)
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let config = Config::defaults();
    assert_eq!(Config::from_toml(""), Ok(config.clone()));
    assert_eq!(config.warm_up_secs, 7 * DAY);
    assert_eq!(config.repeat_interval_secs, DAY);
    assert_eq!(config.checks.len(), CheckId::ALL.len());
    assert!(config.suppressions.is_empty());
}

#[test]
fn the_sample_file_holds_every_key_with_its_default() {
    assert_eq!(Config::from_toml(SAMPLE), Ok(Config::defaults()));
    // No `..`: a new key does not compile until it is asked for here, and so stands in the sample.
    let RawConfig {
        sensitivity,
        warm_up,
        max_rejected_share,
        max_inflated_ratio,
        max_inflated_bytes,
        max_line_bytes,
        novelty_memory_days,
        incident_gap,
        deployment_window,
        repeat_interval,
        max_destinations_per_finding,
        checks,
        suppressions: _,
    } = toml::from_str(SAMPLE).expect("the sample is TOML");
    assert!(sensitivity.is_some() && warm_up.is_some() && incident_gap.is_some() && deployment_window.is_some());
    assert!(max_inflated_ratio.is_some() && max_inflated_bytes.is_some() && max_line_bytes.is_some());
    assert!(max_rejected_share.is_some() && novelty_memory_days.is_some() && repeat_interval.is_some());
    assert!(max_destinations_per_finding.is_some());
    assert_eq!(checks.map(|checks| checks.len()), Some(CheckId::ALL.len()));
}

#[test]
fn the_suppression_in_the_sample_is_sound() {
    let (_, commented) = SAMPLE.split_once("# [[suppressions]]\n").expect("the sample shows a suppression");
    let toml = commented.lines().map(|line| line.trim_start_matches("# ")).collect::<Vec<_>>().join("\n");
    let config = Config::from_toml(&format!("[[suppressions]]\n{toml}")).expect("a sound suppression");
    assert_eq!(config.suppressions.len(), 1);
}

#[test]
fn a_value_out_of_range_is_refused_with_its_range() {
    refused("warm_up = \"0s\"", "`warm_up` is 0s; it must be between 1h and 90d");
    refused("warm_up = \"13w\"", "`warm_up` is 13w; it must be between 1h and 90d");
    refused("max_rejected_share = 1.5", "`max_rejected_share` is 1.5; it must be between 0 and 1");
    refused("max_rejected_share = nan", "`max_rejected_share` is NaN; it must be between 0 and 1");
    refused("max_inflated_ratio = -1", "`max_inflated_ratio` is -1; it must be between 2 and 1100");
    refused("max_line_bytes = 0", "`max_line_bytes` is 0; it must be between 1024 and 1048576");
    refused("novelty_memory_days = 0", "`novelty_memory_days` is 0; it must be between 1 and 3650");
    refused("incident_gap = \"9m\"", "`incident_gap` is 9m; it must be between 10m and 30d");
    refused("max_destinations_per_finding = 0", "`max_destinations_per_finding` is 0; it must be between 1 and 1000");
}

#[test]
fn a_word_that_means_nothing_is_refused_with_those_that_do() {
    refused("sensitivity = \"max\"", "`sensitivity` is `max`; it must be `default`, `high` or `low`");
    refused(
        "warm_up = \"a week\"",
        "`warm_up` is `a week`; it must be a duration such as `7d`, `24h`, `90m`, `2w` or `3600s`",
    );
    let error = Config::from_toml("[checks]\nbeacons = false").expect_err("no such check").to_string();
    assert!(error.starts_with("`checks` is `beacons`; it must be one of new-destination, "), "{error}");
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    let error = Config::from_toml("# a\nwarmup = \"7d\"").expect_err("no such key").to_string();
    assert!(error.contains("line 2") && error.contains("warmup"), "{error}");
    assert!(Config::from_toml("[[suppressions]]\nfunktion = \"a\"").is_err());
    assert!(Config::from_toml("warm_up = 7").is_err(), "a duration has a unit");
}

#[test]
fn the_warm_up_of_a_door_is_checked_like_the_file() {
    assert_eq!(Config::defaults().with_warm_up("--warm-up", "36h").map(|c| c.warm_up_secs), Ok(36 * HOUR));
    let error = Config::defaults().with_warm_up("--warm-up", "91d").expect_err("too long").to_string();
    assert_eq!(error, "`--warm-up` is 91d; it must be between 1h and 90d");
}

#[test]
fn checks_are_switched_off_one_by_one() {
    let config = Config::from_toml("[checks]\nbeacon = false\nnew-port = true").expect("sound");
    assert!(!config.checks.contains(&CheckId::Beacon));
    assert_eq!(config.checks.len(), CheckId::ALL.len() - 1);
}

#[test]
fn a_suppression_needs_a_target_an_end_and_a_reason() {
    let of = |body: &str| format!("[[suppressions]]\n{body}");
    refused(
        &of("until = 2026-04-30\nreason = \"r\""),
        "`suppressions[0]` is missing; give at least one of `check`, `function` and `network`: it would hide every finding",
    );
    refused(
        &of("function = \"a\"\nreason = \"r\""),
        "`suppressions[0].until` is missing; give the last day it holds, such as 2027-03-31: no decision holds for ever",
    );
    refused(
        &of("function = \"a\"\nuntil = 2026-04-30\nreason = \" \""),
        "`suppressions[0].reason` is missing; say why these findings may be hidden",
    );
    refused(
        &of("function = \"a\"\nuntil = 2026-04-30T10:00:00Z\nreason = \"r\""),
        "`suppressions[0].until` is `2026-04-30T10:00:00Z`; it must be a date such as 2027-03-31",
    );
    refused(
        &of("network = \"203.0.113.0/33\"\nuntil = \"2026-04-30\"\nreason = \"r\""),
        "`suppressions[0].network` is `203.0.113.0/33`; it must be a CIDR block such as `203.0.113.0/24`, an address, \
         or a network label such as `AS64500`",
    );
}

#[test]
fn a_suppression_hides_what_it_names_and_nothing_else() {
    let finding = sample::new_destination();
    for toml in [
        "check = \"new-destination\"",
        "function = \"activities-api\"",
        "function = \"activities-*\"",
        "function = \"arn:aws:lambda:eu-west-1:111122223333:function:activities-api\"",
        "network = \"AS64500\"",
        "network = \"AS64500 Example Hosting\"",
        "network = \"203.0.113.7\"",
        "network = \"203.0.113.99/24\"",
        "check = \"new-destination\"\nfunction = \"*\"\nnetwork = \"0.0.0.0/0\"",
    ] {
        assert!(suppression(toml).hides(&finding), "{toml}");
    }
    for toml in [
        "check = \"beacon\"",
        "function = \"activities\"",
        "network = \"AS6450\"",
        "network = \"198.51.100.0/24\"",
        "network = \"::/0\"",
        "check = \"new-destination\"\nfunction = \"routes-api\"",
    ] {
        assert!(!suppression(toml).hides(&finding), "{toml}");
    }
}

#[test]
fn a_suppression_ends() {
    let mut finding = sample::new_destination();
    finding.activity = Activity::Update;
    // 2026-04-30T23:59:59Z is the last second of the last day.
    finding.last_seen = 1_777_593_599;
    assert!(suppression("function = \"*\"").hides(&finding));
    finding.last_seen += 1;
    assert!(!suppression("function = \"*\"").hides(&finding));
}

#[test]
fn a_suppression_holds_for_all_functions_and_destinations_or_not_at_all() {
    let shared = sample::shared_burst();
    assert!(!suppression("function = \"routes-api\"").hides(&shared), "the other function may be the caller");
    assert!(suppression("function = \"*\"").hides(&shared));
    assert!(!suppression("network = \"AS64500\"").hides(&shared), "another destination is elsewhere");
}
