//! Tests of the table: findings as a terminal shows them.

use super::*;
use crate::write::sample;
use crate::write::words::columns;
use proptest::prelude::*;

fn check(shown: &Finding, expected: &str) {
    let got = finding(shown, Look::PLAIN);
    assert_eq!(got, expected.trim_matches('\n'), "got:\n{got}\n");
}

#[test]
fn a_new_destination_after_a_deployment() {
    check(
        &sample::new_destination(),
        "
HIGH 7.4  new-destination  activities-api                   2026-03-31 09:12 UTC
  activities-api reached 203.0.113.7:8000, a network nothing in its past
  explains

  to    203.0.113.7:8000/tcp  AS64500 Example Hosting  18.2 kB out  2.1 kB in
  why   - In 3024 windows since 2026-03-10 the function never reached AS64500;
          it meets a new network about once in 19 days.
        - None of the 11 other functions knows this network.
  when  2026-03-31 09:12:44 to 09:13:40 UTC, 1 window
  after deployment of version 17, 14 min before (2026-03-31 08:58 UTC)
  next  - Compare the dependencies of version 17 with those of the version
          before.
        - Ask the function's owner whether it should talk to AS64500 Example
          Hosting.
        - If nobody can explain it, set the function's reserved concurrency to
          0, then rotate the secrets in its environment and its role's sessions.
  id    9f2c41d70be85a1366f092ced481377b, confidence 93 %
",
    );
}

#[test]
fn what_goes_on_as_told_before_is_short() {
    let shown = going_on(&sample::new_destination(), Look::PLAIN);
    let expected = "
HIGH 7.4  new-destination  activities-api                   2026-03-31 09:12 UTC
  activities-api reached 203.0.113.7:8000, a network nothing in its past
  explains

  when  2026-03-31 09:12:44 to 09:13:40 UTC, 1 window; goes on as told before
  id    9f2c41d70be85a1366f092ced481377b, confidence 93 %
";
    assert_eq!(shown, expected.trim_matches('\n'), "got:\n{shown}\n");
}

#[test]
fn a_burst_of_functions_that_share_an_interface() {
    check(
        &sample::shared_burst(),
        "
CRITICAL 9.1  novelty-burst                                 2026-03-31 09:12 UTC
  activities-api or routes-api reached 3 new networks within a minute

  in    one of activities-api, routes-api
  to    203.0.113.7:443/tcp    AS64500 Example Hosting    18.2 kB out  2.1 kB in
        198.51.100.23:443/tcp  AS64501 A Content Networ…  18.2 kB out  2.1 kB in
        192.0.2.250:8443/tcp   AWS EC2 eu-west-1          84.0 MB out  2.1 kB in
  why   - In 3024 windows since 2026-03-10 the function never reached AS64500;
          it meets a new network about once in 19 days.
        - None of the 11 other functions knows this network.
  when  2026-03-31 09:12:44 to 09:13:40 UTC, 1 window
  next  - Ask the owners of the functions whether one of them should talk to
          these 3 networks.
        - If nobody can explain it, set the functions' reserved concurrency to
          0, then rotate the secrets in their environments and their roles'
          sessions.
  id    0000000000000000000000000000002b, confidence 93 %
",
    );
}

#[test]
fn a_poll_over_two_days_to_an_ipv6_address() {
    check(
        &sample::beacon(),
        "
MEDIUM 5.0  beacon  support-bot                             2026-03-31 09:12 UTC
  support-bot contacts 2001:db8:77::5 about every 50 minutes

  to    [2001:db8:77::5]:443/tcp  AS64502 Tunnels Ltd  18.2 kB out  2.1 kB in
  why   55 of 57 contacts came 50 min apart (±2 min); the function itself runs
        about every 20 s.
  when  2026-03-31 09:12:44 to 2026-04-02 08:13:44 UTC, 57 windows
  next  Look for a poller among the dependencies; a new telemetry client is the
        usual innocent cause.
  id    0000000000000000000000000000003c, confidence 71 %
",
    );
}

#[test]
fn what_finds_no_room_goes_below() {
    let mut shown = sample::beacon();
    shown.owner.functions = vec!["a-function-with-a-name-of-sixty-four-characters-as-lambda-allows".into()];
    let block = finding(&shown, Look { width: 60, ..Look::PLAIN });
    assert_eq!(
        block.lines().take(7).collect::<Vec<_>>(),
        [
            "MEDIUM 5.0  beacon                      2026-03-31 09:12 UTC",
            "  support-bot contacts 2001:db8:77::5 about every 50 minutes",
            "",
            "  in    a-function-with-a-name-of-sixty-four-characters-as-l",
            "        ambda-allows",
            "  to    [2001:db8:77::5]:443/tcp",
            "          AS64502 Tunnels Ltd  18.2 kB out  2.1 kB in",
        ]
    );
}

#[test]
fn many_destinations_are_counted() {
    let mut shown = sample::new_destination();
    let one = shown.destinations[0].clone();
    shown.destinations = vec![one; 50];
    let block = finding(&shown, Look::PLAIN);
    assert_eq!(block.matches("AS64500 Example Hosting  18.2").count(), SHOWN_DESTINATIONS);
    assert!(block.contains("\n        and 42 destinations more; --format json lists them\n"), "{block}");
}

#[test]
fn hidden_findings_say_by_what() {
    let mut shown = sample::beacon();
    shown.suppressed_by = Some("the new geocoder, ticket 4711".into());
    assert!(finding(&shown, Look::PLAIN).contains("\n  hid   the new geocoder, ticket 4711\n"));
}

#[test]
fn colour_repeats_the_severity_and_changes_no_text() {
    for (shown, code) in [
        (sample::new_destination(), "\u{1b}[1;31mHIGH 7.4\u{1b}[0m  new"),
        (sample::shared_burst(), "\u{1b}[1;97;41mCRITICAL 9.1\u{1b}[0m  nov"),
        (sample::beacon(), "\u{1b}[1;33mMEDIUM 5.0\u{1b}[0m  bea"),
        (sample::bare_interface(), "\u{1b}[1;36mLOW 3.0\u{1b}[0m  rej"),
    ] {
        let colored = finding(&shown, Look { color: true, ..Look::PLAIN });
        assert!(colored.starts_with(code), "{colored}");
        let mut plain = colored;
        for code in ["1;31", "1;97;41", "1;33", "1;36", "1", "0"] {
            plain = plain.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(plain, finding(&shown, Look::PLAIN));
    }
}

#[test]
fn names_cannot_move_the_cursor() {
    let block = finding(&sample::hostile(), Look::PLAIN);
    assert!(!block.contains(|c: char| c.is_control() && c != '\n'), "{block:?}");
    assert!(!block.contains(['\u{202e}', '\u{2028}']), "{block:?}");
    assert!(block.contains(r"\u{1b}[2Jall is well\r\n\u{202e}lortnoc"), "{block}");
}

proptest! {
    #[test]
    fn no_line_is_wider_than_asked(width in 0usize..200, which in 0usize..5, name in "\\PC{0,80}", network in any::<String>()) {
        let mut shown = sample::all().swap_remove(which);
        shown.owner.functions = vec![name.as_str().into()];
        for destination in &mut shown.destinations {
            destination.network = network.as_str().into();
            destination.bytes_out = u64::MAX;
        }
        let held = width.max(NARROWEST);
        for line in finding(&shown, Look { width, ..Look::PLAIN }).lines() {
            prop_assert!(columns(line) <= held, "{} columns of {held}: {line}", columns(line));
        }
    }
}

#[test]
fn of_several_accounts_each_is_named() {
    let block = finding(&sample::new_destination(), Look { names_place: true, ..Look::PLAIN });
    assert!(block.contains("\n  of    account 111122223333, Region eu-west-1\n"), "{block}");
    assert!(!finding(&sample::new_destination(), Look::PLAIN).contains("account"));
}
