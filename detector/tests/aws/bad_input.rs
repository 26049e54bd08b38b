//! What should not come: a clear error naming the thing, and the next object is still worked on.

use std::process::Command;

use serde_json::json;

use crate::cloud::{Cloud, LOGS, STATE};
use crate::runtime::Function;
use crate::sample::{batch, explain, notification, objects, replayed};

#[test]
fn bad_messages_fail_alone() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let mut detect = Function::new(&cloud, "detect", &[]);
    let (key, bytes) = &objects()[0];
    cloud.put(LOGS, key, bytes.clone());
    cloud.put(LOGS, "notes.txt", "buy milk\n");
    cloud.put(LOGS, "empty", "");
    cloud.put(LOGS, "a b=c+é.log.parquet", bytes.clone());
    let foreign = json!({"source": "aws.s3", "detail": {"bucket": {"name": "somebody-elses"}, "object": {"key": "k"}}});
    let event = batch([
        &json!("poison"),
        &notification("notes.txt", 9),
        &notification("gone.log.gz", 9),
        &foreign,
        &json!({"Event": "s3:TestEvent"}),
        &notification("empty", 0),
        &notification("a b=c+é.log.parquet", bytes.len()),
        &notification(key, bytes.len()),
        &json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": LOGS},
            "object": {"key": "a b=c+é.log.parquet"}}}),
    ]);
    let failed = detect.invoke(&event).given();
    let ids = ["m0", "m1", "m2", "m3"].map(|id| json!({"itemIdentifier": id}));
    assert_eq!(failed, json!({"batchItemFailures": ids}), "{}", detect.log());
    assert_eq!(cloud.list(STATE, "observations/").len(), 2, "two keys, whichever way their names came");
    let log = detect.log();
    for said in ["unknown event form", "notes.txt", "gone.log.gz: there is no such object", "somebody-elses"] {
        assert!(log.contains(said), "{said} in {log}");
    }
    assert!(detect.invoke(&json!({"hello": "world"})).error().contains("unknown event form (an object with `hello`)"));
    assert!(detect.invoke(&notification("notes.txt", 9)).error().contains("s3://flow-logs/notes.txt"));
    // News of our own state must not make us write more of it.
    let own = json!({"source": "aws.s3", "detail": {"bucket": {"name": STATE}, "object": {"key": "findings/1.json"}}});
    detect.invoke(&own).given();
}

#[test]
fn oversized_events_fail_alone_and_quietly() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let (key, bytes) = &objects()[0];
    cloud.put(LOGS, key, bytes.clone());
    let mut detect = Function::new(&cloud, "detect", &[]);
    let record = &notification("gone.log.gz", 9)["Records"][0];
    let mut event = batch([
        &json!("x".repeat(1 << 20)),
        &json!("replaced below"),
        // As many objects as no event of S3 names.
        &json!({"Records": vec![record; 1000]}),
        &json!({"k".repeat(100_000): 1}),
        &notification(&"k".repeat(100_000), 9),
        &notification(key, bytes.len()),
    ]);
    event["Records"][1]["body"] = json!("[".repeat(100_000));
    let failed = detect.invoke(&event).given();
    let ids = ["m0", "m1", "m2", "m3", "m4"].map(|id| json!({"itemIdentifier": id}));
    assert_eq!(failed, json!({"batchItemFailures": ids}), "{}", detect.log());
    assert_eq!(cloud.list(STATE, "observations/").len(), 1, "the next object is still worked on");
    let longest = detect.log().lines().map(str::len).max();
    assert!(longest.is_some_and(|n_bytes| n_bytes < 10_000), "a log line of {longest:?} bytes");
}

#[test]
fn logs_of_transit_gateways_are_left_out_and_fail_nothing() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let key = "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/03/31/111122223333_vpcflowlogs_eu-west-1_fl-1_20260331T0910Z_1.log";
    let header = "version resource-type account-id tgw-id tgw-attachment-id srcaddr dstaddr srcport dstport protocol \
                  packets bytes start end log-status";
    let record = "6 TransitGateway 111122223333 tgw-1 tgw-attach-1 10.0.0.1 10.1.0.1 1024 443 6 1 40 1774948200 \
                  1774948260 OK";
    let text = format!("{header}\n{record}\n");
    cloud.put(LOGS, key, text.clone());
    let mut detect = Function::new(&cloud, "detect", &[]);
    let answer = detect.invoke(&batch([&notification(key, text.len())])).given();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let log = detect.log();
    assert!(log.contains("\"OtherLogs\":1") && log.contains("a transit gateway flow log"), "{log}");
    assert_eq!(cloud.list(STATE, "observations/").len(), 0);
}

#[test]
fn state_that_cannot_be_used_is_named() {
    let cloud = Cloud::start(&json!({}));
    let objects = objects();
    let (key, bytes) = &objects[0];
    cloud.put(LOGS, key, bytes.clone());
    let mut detect = Function::new(&cloud, "detect", &[]);
    let mut learn = Function::new(&cloud, "learn", &[]);
    let event = notification(key, bytes.len());
    assert!(detect.invoke(&event).error().contains("there is no inventory under s3://callout-state/inventory/"));
    explain(&cloud);
    cloud.put(STATE, "baselines/current.json", "{\"schema\":\"callout.state/2\"}");
    for error in [detect.invoke(&event).error(), learn.invoke(&json!({})).error()] {
        assert!(error.contains("`callout.state/2`; this callout reads `callout.state/1`"), "{error}");
    }
    cloud.put(STATE, "baselines/current.json", "{");
    assert!(learn.invoke(&json!({})).error().contains("s3://callout-state/baselines/current.json is damaged"));
    cloud.delete(STATE, "baselines/current.json");
    detect.invoke(&event).given();
    learn.invoke(&json!({})).given();
    let folder = cloud.pointer()["folder"].as_str().expect("a folder").to_owned();
    cloud.put(STATE, &format!("{folder}incidents.json"), "{}");
    learn.stop();
    assert!(learn.invoke(&json!({})).error().contains("incidents.json is damaged"));
    let mut lost = Function::new(&cloud, "learn", &[("CALLOUT_STATE_BUCKET", "nowhere")]);
    assert!(lost.invoke(&json!({})).error().contains("check `CALLOUT_STATE_BUCKET`"));
}

#[test]
fn a_list_that_cannot_be_read_is_left_out() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let (key, bytes) = &objects()[0];
    cloud.put(LOGS, key, bytes.clone());
    let event = notification(key, bytes.len());
    for list in ["threat-lists/feed.txt", "trusted-lists/ours.txt", "accepted.txt"] {
        cloud.put(STATE, &format!("knowledge/{list}"), "# the feed was empty today\nnot an id, not an address\n");
    }
    cloud.put(STATE, "inventory/999900001111/eu-west-1/2026-03-31T00:00:00Z.json", "{");
    let mut detect = Function::new(&cloud, "detect", &[]);
    detect.invoke(&event).given();
    let log = detect.log();
    assert!(log.contains("\"KnowledgeRefused\":4"), "{log}");
    assert!(log.contains("inventory/999900001111/eu-west-1/"), "{log}");
    assert!(log.contains("knowledge/threat-lists/feed.txt"), "{log}");
}

#[test]
fn without_a_table_of_networks_objects_are_kept_and_judged_once_it_is_mended() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let table = cloud.get(STATE, "knowledge/asn.tsv");
    cloud.put(STATE, "knowledge/asn.tsv", "no table\n");
    let objects = objects();
    let mut detect = Function::new(&cloud, "detect", &[]);
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
        let answer = detect.invoke(&batch([&notification(key, bytes.len())])).given();
        assert_eq!(answer, json!({"batchItemFailures": []}), "no dead letter");
    }
    assert_eq!(cloud.list(STATE, "observations/").len(), objects.len());
    let log = detect.log();
    for said in ["knowledge/asn.tsv", "\"KnowledgeRefused\":1", "\"JudgingDeferred\":1"] {
        assert!(log.contains(said), "{said} in {log}");
    }
    let error = Function::new(&cloud, "learn", &[]).invoke(&json!({})).error();
    assert!(error.contains("knowledge/asn.tsv"), "{error}");
    assert!(cloud.findings().is_empty() && cloud.list(STATE, "baselines/").is_empty(), "nothing is judged or learned");
    cloud.put(STATE, "knowledge/asn.tsv", table);
    Function::new(&cloud, "learn", &[]).invoke(&json!({})).given();
    assert_eq!(cloud.findings(), replayed(&objects), "nothing is lost");
}

#[test]
fn a_deleted_baseline_is_learned_anew() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let objects = objects();
    let (mut detect, mut learn) = (Function::new(&cloud, "detect", &[]), Function::new(&cloud, "learn", &[]));
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
        detect.invoke(&notification(key, bytes.len())).given();
    }
    learn.invoke(&json!({})).given();
    let (before, n_told) = (cloud.pointer(), cloud.alerts().len());
    cloud.delete(STATE, "baselines/current.json");
    learn.invoke(&json!({})).given();
    assert!(learn.log().contains("BaselineMissing"));
    assert_eq!(cloud.pointer()["files"], before["files"], "the observations hold everything");
    assert_eq!((cloud.findings(), cloud.alerts().len()), (replayed(&objects), 0), "{n_told} were told before");
}

#[test]
fn a_missing_environment_stops_the_start() {
    let program = env!("CARGO_BIN_EXE_bootstrap");
    let output = Command::new(program).env_clear().output().expect("it runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("`CALLOUT_ROLE` is not set"));
    let set = [("CALLOUT_ROLE", "detect"), ("CALLOUT_STATE_BUCKET", "b"), ("CALLOUT_TOPIC_ARN", "arn:aws:sns:e:1:t")];
    let output = Command::new(program).env_clear().envs(set).env("CALLOUT_CONFIG", "warm_up = 7").output();
    let output = output.expect("it runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("CALLOUT_CONFIG"), "{output:?}");
}
