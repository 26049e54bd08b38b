//! A cloud that fails: nothing is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{Cloud, LOGS};
use crate::http::Message;
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
    for _ in 0..20 {
        if matches!(learn.invoke(&json!({})), Answer::Given(_)) {
            break;
        }
    }
    println!("{} faults, {n_tries} tries for {} objects", faults.load(Ordering::Relaxed), objects.len());
    assert!(faults.load(Ordering::Relaxed) > 10);
    assert_eq!(cloud.findings(), replayed(&objects));
    let created = |alerts: &[Value]| {
        alerts.iter().filter(|alert| alert["MessageAttributes"]["activity"]["Value"] == "create").count()
    };
    assert_eq!(created(&cloud.alerts()), cloud.findings().len());
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
    let (both, n_swaps) = (Barrier::new(2), AtomicU64::new(0));
    let (address, _) = proxy::start(
        cloud.address,
        Arc::new(move |_, request: &Message| {
            let is_swap = request.method() == "PUT" && request.path().contains("current.json");
            let nth = if is_swap { n_swaps.fetch_add(1, Ordering::Relaxed) } else { u64::MAX };
            if nth < 2 {
                both.wait();
                // S3 decides between two at once; moto lets both through.
                std::thread::sleep(Duration::from_millis(nth * 500));
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
