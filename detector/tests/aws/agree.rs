//! The deployed pair finds what a replay finds.

use serde_json::json;

use crate::cloud::{Cloud, LOGS, STATE};
use crate::runtime::Function;
use crate::sample::{batch, explain, notification, objects, replayed};

#[test]
fn the_deployed_pair_finds_what_a_replay_finds() {
    let cloud = Cloud::start(&json!({"severity": [{"numeric": [">=", 4]}], "activity": ["create", "update"]}));
    explain(&cloud);
    let (mut detect, mut learn) = (Function::new(&cloud, "detect", &[]), Function::new(&cloud, "learn", &[]));
    let objects = objects();
    let mut told_at = None;
    for (n, (key, bytes)) in objects.iter().enumerate() {
        cloud.put(LOGS, key, bytes.clone());
        let answer = detect.invoke(&batch([&notification(key, bytes.len())])).given();
        assert_eq!(answer, json!({"batchItemFailures": []}));
        if told_at.is_none() && !cloud.findings().is_empty() {
            told_at = Some(n);
        }
        // On its schedule, which has nothing to do with the objects.
        if n % 3 == 1 {
            learn.invoke(&json!({}));
        }
        let replayed = replayed(&objects[..=n]);
        assert_eq!(cloud.findings(), replayed, "after {} objects", n + 1);
    }
    learn.invoke(&json!({})).given();
    let expected = replayed(&objects);
    assert_eq!(cloud.findings(), expected);
    assert!(!expected.is_empty(), "the sample holds a call-out");
    assert_eq!(
        told_at,
        objects.iter().position(|(key, _)| key.contains("20260330T")),
        "told with the object that shows it"
    );

    let alerts = cloud.alerts();
    let created: Vec<&str> = alerts
        .iter()
        .filter(|alert| alert["MessageAttributes"]["activity"]["Value"] == "create")
        .map(|alert| alert["MessageAttributes"]["finding_id"]["Value"].as_str().expect("an id"))
        .collect();
    assert_eq!(created, expected.keys().collect::<Vec<_>>(), "each finding is told once: {alerts:?}");
    assert!(alerts.len() <= created.len() + 1, "an ongoing one at most once a day: {alerts:?}");
    assert!(alerts.iter().all(|alert| alert["MessageAttributes"]["function"]["Value"] == "support-agent"));

    // A new invocation of a new process, after everything: nothing changes, nothing is told.
    let before = cloud.pointer();
    detect.stop();
    learn.stop();
    let (key, bytes) = &objects[8];
    detect.invoke(&notification(key, bytes.len())).given();
    learn.invoke(&json!({})).given();
    assert_eq!((cloud.findings(), cloud.alerts().len()), (expected, 0));
    assert_eq!(cloud.pointer(), before);
    assert_eq!(cloud.list(STATE, "observations/").len(), objects.len());
    println!("told with object {told_at:?}, {} findings, {} alerts", cloud.findings().len(), alerts.len());
}
