//! Accepting a finding, as a person does it: replay, accept, scan again.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::samples::case;

/// The poisoned package's host, and another nobody knows.
const STRANGER: &str = "203.0.113.77";
const ANOTHER: &str = "192.0.2.99";

fn callout(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_callout")).env_clear().args(arguments).output().expect("the program runs")
}

/// Runs a command over logs with the knowledge of the sample logs, and gives its findings.
fn findings(command: &str, logs: &Path, more: &[&str]) -> Vec<serde_json::Value> {
    let case = case("fitness-tracker");
    let file = |name: &str| case.join(name).to_str().expect("UTF-8").to_owned();
    let knowledge = [file("enis.json"), file("functions.json"), file("asn.tsv"), file("ip-ranges.json")];
    let [enis, functions, asn, ranges] = &knowledge;
    let mut arguments = vec![command, logs.to_str().expect("UTF-8"), "--format", "json"];
    arguments.extend(["--enis", enis, "--functions", functions, "--asn", asn, "--aws-ranges", ranges]);
    arguments.extend(more);
    let output = callout(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn addresses(findings: &[serde_json::Value]) -> Vec<&str> {
    findings.iter().filter_map(|finding| finding.pointer("/destinations/0/address")?.as_str()).collect()
}

#[test]
fn what_was_accepted_is_silent_and_another_stranger_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("baseline");
    let baseline = dir.to_str().expect("UTF-8");
    let found = findings("replay", &case("fitness-tracker").join("logs"), &["--save-baseline", baseline]);
    assert_eq!(addresses(&found), [STRANGER]);
    let id = found[0]["id"].as_str().expect("an id");

    // The day after: the same stranger again, and another; from the interface the finding names.
    let eni = found[0]["owner"]["eni_ids"][0].as_str().expect("an interface");
    let after = folder.path().join("after.log");
    let header = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status \
                  tcp-flags flow-direction";
    let start = 1_775_001_600 + 3600;
    let line =
        |to: &str| format!("{eni} 10.0.0.250 {to} 40001 443 6 30 30000 {start} {} ACCEPT OK 2 egress", start + 20);
    fs::write(&after, format!("{header}\n{}\n{}\n", line(STRANGER), line(ANOTHER))).expect("a file");
    let scan = || {
        let mut found = findings("scan", &after, &["--baseline", baseline]);
        found.sort_by_key(|finding| finding["destinations"][0]["address"].to_string());
        found.iter().flat_map(|f| f["destinations"].as_array().cloned().unwrap_or_default()).collect::<Vec<_>>()
    };
    let named = |to: &str| scan().iter().any(|destination| destination["address"] == to);
    assert!(named(STRANGER) && named(ANOTHER), "{:?}", scan());

    let shown = callout(&["accept", &id[..8], "--baseline", baseline, "--dry-run"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.starts_with(&format!("{id} would be accepted; normal would be:\n  support-agent to")), "{shown}");
    assert!(named(STRANGER), "nothing is changed");

    let output = callout(&["accept", &id[..8], "--baseline", baseline]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with(&format!("accepted {id}; normal from now on:\n  support-agent to AS64500")), "{said}");
    assert!(said.contains(STRANGER), "{said}");
    assert_eq!(said.lines().skip(1).collect::<Vec<_>>(), shown.lines().skip(1).collect::<Vec<_>>());
    assert!(!named(STRANGER) && named(ANOTHER), "{:?}", scan());

    let again = callout(&["accept", id, "--baseline", baseline]);
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&again.stdout), format!("{id} was accepted before; nothing to do\n"));
    let again = callout(&["accept", &id[..8], "--baseline", baseline]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), format!("{} was accepted before; nothing to do\n", &id[..8]));
}

#[test]
fn an_unknown_id_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let baseline = folder.path().to_str().expect("UTF-8");
    let found = findings("replay", &case("fitness-tracker").join("logs"), &["--save-baseline", baseline]);
    let id = found[0]["id"].as_str().expect("an id");
    let before = fs::read(folder.path().join("current.json")).expect("the pointer");
    let near = format!("{}00000000", &id[..4]);
    for (typed, hint) in [
        (near.as_str(), format!("hint: did you mean {id} of support-agent?")),
        ("0123456789abcdef", "hint: the id is the last line of a finding".to_owned()),
        ("support-agent", "hint: the id is the last line of a finding".to_owned()),
    ] {
        let output = callout(&["accept", typed, "--baseline", baseline]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{typed}: {stderr}");
        assert!(output.stdout.is_empty() && stderr.contains(&hint), "{typed}: {stderr}");
    }
    assert_eq!(fs::read(folder.path().join("current.json")).expect("the pointer"), before);
    // What is under a finding is shown with the function.
    let shown = callout(&["inspect", "--baseline", baseline, "support-agent"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&format!("under finding {id}: AS64500")));
}
