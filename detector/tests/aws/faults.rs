//! A cloud that fails: nothing is lost.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Cloud, LOGS};
use crate::http::{self, Message};
use crate::proxy::{self, Fault};
use crate::redelivery::{learned, undisturbed};
use crate::runtime::{Answer, Function};
use crate::sample::{batch, explain, notification, objects, replayed};

/// One request in five meets a fault, each kind in its turn.
fn every_fifth(n: u64, request: &Message) -> Fault {
    let kind = n.wrapping_mul(2_654_435_761) >> 7;
    if !kind.is_multiple_of(5) {
        return Fault::None;
    }
    let is_publish = request.path() == "/";
    match kind / 5 % 5 {
        0 => Fault::Refused(503),
        1 => Fault::Refused(500),
        2 => Fault::Slow,
        3 => Fault::Cut,
        // A lost answer to a publish repeats the alert, which no sender can know.
        _ if is_publish => Fault::Refused(400),
        _ => Fault::Lost,
    }
}

#[test]
fn a_failing_cloud_loses_nothing() {
    let objects = objects();
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
    }
    let (address, faults) = proxy::start(cloud.address, Arc::new(every_fifth));
    let mut detect = Function::behind(&cloud, address, "detect", &[]);
    let mut learn = Function::behind(&cloud, address, "learn", &[]);
    for function in [&mut detect, &mut learn] {
        function.timeout = Duration::from_mins(1);
    }
    let mut n_tries = 0;
    for (key, bytes) in &objects {
        let event = batch([&notification(key, bytes.len())]);
        loop {
            n_tries += 1;
            assert!(n_tries < 60, "it never gets through");
            if detect.invoke(&event) == Answer::Given(json!({"batchItemFailures": []})) {
                break;
            }
        }
    }
    let is_learned = (0..20).any(|_| matches!(learn.invoke(&json!({})), Answer::Given(_)));
    assert!(is_learned, "the learner never comes to its end");
    println!("{} faults, {n_tries} tries for {} objects", faults.load(Ordering::Relaxed), objects.len());
    assert!(faults.load(Ordering::Relaxed) > 10);
    assert_eq!(cloud.findings(), replayed(&objects));
    let created = |alerts: &[Value]| {
        alerts.iter().filter(|alert| alert["MessageAttributes"]["activity"]["Value"] == "create").count()
    };
    assert_eq!(created(&cloud.alerts()), cloud.findings().len());
}

#[test]
fn puts_that_s3_did_not_decide_on_are_tried_again() {
    let objects = objects();
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
    }
    let seen = Mutex::new(BTreeSet::new());
    let body =
        "<Error><Code>ConditionalRequestConflict</Code><Message>A conflicting operation occurred.</Message></Error>";
    let (address, faults) = proxy::start(
        cloud.address,
        Arc::new(move |_, request: &Message| {
            // The first put of each object.
            let is_first =
                request.method() == "PUT" && seen.lock().is_ok_and(|mut seen| seen.insert(request.path().to_owned()));
            if is_first { Fault::Answered(409, body) } else { Fault::None }
        }),
    );
    let events: Vec<Value> = objects.iter().map(|(key, bytes)| notification(key, bytes.len())).collect();
    let answer = Function::behind(&cloud, address, "detect", &[]).invoke(&batch(&events)).given();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    Function::behind(&cloud, address, "learn", &[]).invoke(&json!({})).given();
    assert!(faults.load(Ordering::Relaxed) as usize > objects.len());
    assert_eq!(cloud.findings(), replayed(&objects));
    assert_eq!(learned(&cloud), undisturbed(&objects));
}

/// Whether the pointer was stored.
fn is_swapped(moto: SocketAddr) -> bool {
    let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let path = format!("/{}/baselines/current.json", crate::cloud::STATE);
    let answer = http::call(moto, "GET", &path, &[("authorization", scope)], b"");
    answer.is_ok_and(|answer| answer.status() == 200)
}

#[test]
fn of_two_learners_one_wins_and_nothing_is_learned_twice() {
    let objects = objects();
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
    }
    let events: Vec<Value> = objects.iter().map(|(key, bytes)| notification(key, bytes.len())).collect();
    Function::new(&cloud, "detect", &[]).invoke(&batch(&events)).given();
    // The first two swaps of the pointer wait for each other, so that both learners have read the same one.
    let (both, n_swaps, moto) = (Barrier::new(2), AtomicU64::new(0), cloud.address);
    let (address, _) = proxy::start(
        cloud.address,
        Arc::new(move |_, request: &Message| {
            let is_swap = request.method() == "PUT" && request.path().contains("current.json");
            let nth = if is_swap { n_swaps.fetch_add(1, Ordering::Relaxed) } else { u64::MAX };
            if nth < 2 {
                both.wait();
            }
            // S3 decides between two at once; moto lets both through unless one is done.
            while nth == 1 && !is_swapped(moto) {
                std::thread::sleep(Duration::from_millis(50));
            }
            Fault::None
        }),
    );
    let logs: Vec<String> = std::thread::scope(|scope| {
        let run = || {
            let mut learn = Function::behind(&cloud, address, "learn", &[]);
            learn.invoke(&json!({})).given();
            learn.log()
        };
        let both = [scope.spawn(run), scope.spawn(run)];
        both.map(|learner| learner.join().expect("a learner")).into()
    });
    let n_conflicts = logs.iter().filter(|log| log.contains("PointerConflicts")).count();
    assert_eq!(n_conflicts, 1, "one lost the race and began anew");
    assert_eq!(cloud.findings(), replayed(&objects));
    assert_eq!(learned(&cloud), undisturbed(&objects));
    assert_eq!(cloud.alerts().len(), cloud.findings().len());
}

/// Rows of the long object.
const LONG_ROWS: u32 = 30_000;

/// A text object of some mebibytes, so that it takes several ranges.
fn long_text() -> (String, Vec<u8>) {
    let fields =
        "account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
    let lines = (0..LONG_ROWS).map(|n| {
        let (eni, peer, port, at) = (n % 3, n % 250, 1024 + n % 60_000, 1_774_137_600 + n / 20);
        format!("2 111122223333 eni-{eni:017x} 10.0.0.9 198.51.100.{peer} {port} 443 6 9 4000 {at} {at} ACCEPT OK\n")
    });
    let text = [format!("version {fields}\n")].into_iter().chain(lines).collect::<String>();
    ("AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/03/22/long.log".to_owned(), text.into_bytes())
}

#[test]
fn a_long_object_comes_through_cut_and_slow_bodies_whole() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let (key, bytes) = long_text();
    cloud.put(LOGS, &key, bytes.clone());
    let of_log = |request: &Message| request.method() == "GET" && request.path().contains("long.log");
    let (address, faults) = proxy::start(
        cloud.address,
        Arc::new(move |n, request: &Message| match n % 3 {
            0 if of_log(request) => Fault::Cut,
            1 if of_log(request) => Fault::Refused(503),
            _ => Fault::None,
        }),
    );
    let mut detect = Function::behind(&cloud, address, "detect", &[("CALLOUT_ALL_INTERFACES", "true")]);
    let answer = detect.invoke(&notification(&key, bytes.len())).given();
    assert_eq!(answer, json!({}));
    let log = detect.log();
    let line = log.lines().find(|line| line.contains("object read")).expect("one line an object");
    let line: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["n_rows"], json!(LONG_ROWS));
    assert!(line["n_ranges"].as_u64().is_some_and(|n| n as usize >= bytes.len() >> 19), "by ranges: {line}");
    assert!(faults.load(Ordering::Relaxed) >= 3);
}

#[test]
fn an_object_that_may_not_be_read_or_changes_meanwhile_is_named() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let (key, bytes) = long_text();
    cloud.put(LOGS, &key, bytes.clone());
    let event = notification(&key, bytes.len());
    let failing = |fault: Fault| {
        let (address, _) = proxy::start(
            cloud.address,
            Arc::new(move |_, request: &Message| {
                let is_first = request.header("range").is_some_and(|range| range.starts_with("bytes=0-"));
                let is_meant = request.path().contains("long.log") && (is_first == (fault == Fault::Refused(403)));
                if is_meant { fault.clone() } else { Fault::None }
            }),
        );
        Function::behind(&cloud, address, "detect", &[]).invoke(&event).error()
    };
    let denied = failing(Fault::Refused(403));
    assert!(denied.contains("long.log: access denied; the function's role needs s3:GetObject on it"), "{denied}");
    let replaced = failing(Fault::Refused(412));
    assert!(replaced.contains("long.log") && replaced.contains("it was replaced while it was read"), "{replaced}");
    let deleted = failing(Fault::Refused(404));
    assert!(deleted.contains("long.log") && deleted.contains("it was deleted while it was read"), "{deleted}");
    assert_eq!(cloud.list(crate::cloud::STATE, "observations/"), Vec::<String>::new(), "half an object is none");
}
