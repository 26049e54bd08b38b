//! Which deployment a finding names.

use detector::write::table;

use crate::incidents::{ANOTHER, findings};
use crate::log::{FUNCTIONS, Log, STRANGER, at, knowledge};

/// The version of the deployment that the one finding of a log names, and the last sentence of its description, where
/// versions after the first were deployed at some times.
fn deployed(log: &Log, times: &[&str]) -> (Option<String>, String) {
    let version = |(n, time): (usize, &str)| {
        format!(
            r#"{{"FunctionName":"api","FunctionArn":"arn:aws:lambda:eu-west-1:111122223333:function:api:{n}",
            "Version":"{n}","CodeSha256":"code {n}","LastModified":"{time}.000+0000","VpcConfig":
            {{"SubnetIds":["subnet-1"],"SecurityGroupIds":["sg-1"],"VpcId":"vpc-1"}}}}"#
        )
    };
    let times = ["2026-01-01T00:00:00"].into_iter().chain(times.iter().copied());
    let versions: Vec<String> = (1..).zip(times).map(version).collect();
    let found = findings(log, "", &knowledge(&format!(r#"{{"Functions":[{}]}}"#, versions.join(","))));
    let [finding] = &found[..] else { panic!("one finding: {found:?}") };
    let version = finding.deployment.as_ref().map(|deployment| deployment.version.to_string());
    (version, finding.description.split(". ").last().unwrap_or_default().to_owned())
}

#[test]
fn a_deployment_after_the_call_is_not_its_cause() {
    let mut log = Log::steady();
    log.call(at(10, 9, 31), STRANGER, 443, 20_000, 5000);
    assert_eq!(deployed(&log, &["2026-03-12T09:30:00"]).0.as_deref(), Some("2"));
    assert_eq!(deployed(&log, &["2026-03-12T09:36:00"]).0, None);
}

#[test]
fn the_deployment_named_is_the_one_before_what_weighs_most() {
    let of = |times: &[&str], bytes: u64| {
        let mut log = Log::steady();
        log.call(at(10, 9, 31), STRANGER, 443, 20_000, 5000);
        log.call(at(11, 9, 31), ANOTHER, 443, bytes, 5000);
        deployed(&log, times)
    };
    let (first, second) = ("2026-03-12T09:20:00", "2026-03-13T09:20:00");
    let early = "Version 2 was deployed shortly before.";
    assert_eq!(of(&[first], 900), (Some("2".to_owned()), early.to_owned()), "what comes a day later weighs less");
    assert_eq!(of(&[first], 2_000_000).0, None, "it was not deployed before what weighs most");
    let late = "Version 3 was deployed on 2026-03-13.";
    assert_eq!(of(&[first, second], 2_000_000), (Some("3".to_owned()), late.to_owned()));
}

#[test]
fn what_grows_for_days_keeps_the_deployment_it_began_after() {
    let mut log = Log::steady();
    for window in 0..18 {
        for n in 0..10 + 4 * window {
            log.call(at(10, 9 + 2 * window, 31) + n, &format!("192.168.{window}.{}", 4 + n), 3389, 180, 0);
        }
    }
    assert_eq!(deployed(&log, &["2026-03-12T09:20:00"]).0.as_deref(), Some("2"));
}

#[test]
fn of_functions_that_share_an_interface_the_one_that_was_deployed_is_named() {
    let of = |name: &str, time: &str| {
        let of_name = FUNCTIONS.replace("\"api\"", &format!("{name:?}")).replace(":api", &format!(":{name}"));
        of_name.replace("$LATEST", "3").replace("2026-01-01T00:00:00", time)
    };
    let mut knowledge = knowledge(&of("api", "2026-01-01T00:00:00"));
    for functions in [of("maps", "2026-01-01T00:00:00"), of("maps", "2026-03-12T09:20:00").replace("\"x\"", "\"y\"")] {
        knowledge.inventory.add_functions("maps.json", functions.as_bytes()).expect("functions");
    }
    let mut log = Log::steady();
    log.call(at(10, 9, 31), STRANGER, 443, 20_000, 5000);
    let found = findings(&log, "", &knowledge);
    let [finding] = &found[..] else { panic!("one finding: {found:?}") };
    assert!(finding.description.contains("Version 3 of maps was deployed shortly before."), "{}", finding.description);
    let told = table::finding(finding, table::Look::PLAIN);
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["after deployment of version 3 of maps, ", "the dependencies of version 3 of maps with"] {
        assert!(told.contains(words), "{told}");
    }
}
