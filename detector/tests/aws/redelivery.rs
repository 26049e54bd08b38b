//! Every event twice, in any order, with the process killed at any moment: nothing lost, nothing told twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cloud::{Cloud, LOGS};
use crate::runtime::{Answer, Function};
use crate::sample::{Logged, batch, explain, notification, objects, replayed};

/// A small generator, so that a failing run can be run again: its seed is in the test.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            values.swap(at, self.roll(at as u64 + 1) as usize);
        }
    }
}

/// Puts all objects and sends their events once, in order, undisturbed; gives the files of the baseline.
pub(crate) fn undisturbed(objects: &[Logged]) -> Value {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let (mut detect, mut learn) = (Function::new(&cloud, "detect", &[]), Function::new(&cloud, "learn", &[]));
    for (key, bytes) in objects {
        cloud.put(LOGS, key, bytes.clone());
    }
    let events: Vec<Value> = objects.iter().map(|(key, bytes)| notification(key, bytes.len())).collect();
    detect.invoke(&batch(&events)).given();
    learn.invoke(&json!({})).given();
    learned(&cloud)
}

/// Name and SHA-256 of each file of the baseline.
pub(crate) fn learned(cloud: &Cloud) -> Value {
    cloud.pointer()["files"].clone()
}

/// A moment of what takes so long, however fast the machine is; one in nine is after its end.
fn some_time_of(usual: Duration, dice: &mut Dice) -> Duration {
    usual * dice.roll(900) as u32 / 800
}

#[test]
fn shuffled_doubled_and_killed_gives_the_same() {
    let objects = objects();
    // Who dies between the topic's answer and noting it cannot but tell again; a FIFO topic drops that.
    let cloud = Cloud::start_fifo();
    explain(&cloud);
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
    }
    let mut dice = Dice(20_260_331);
    let mut events: Vec<Value> =
        objects.iter().chain(&objects).map(|(key, bytes)| notification(key, bytes.len())).collect();
    dice.shuffle(&mut events);
    let mut detect = Function::new(&cloud, "detect", &[]);
    // Who dies is dead by then, and another one may take over.
    detect.timeout = Duration::from_secs(6);
    let mut n_killed = 0;
    let mut usual = Duration::from_millis(900);
    for some in events.chunks(2) {
        // The queue gives a message again until it is answered.
        let event = batch(some);
        let mut killed = 0;
        loop {
            let kill_after = (killed < 2).then(|| some_time_of(usual, &mut dice));
            let began = Instant::now();
            match detect.invoke_and_kill(&event, kill_after) {
                Answer::Given(answer) => {
                    usual = usual.min(began.elapsed());
                    if answer == json!({"batchItemFailures": []}) {
                        break;
                    }
                }
                Answer::Died => killed += 1,
                Answer::Failed(error) => panic!("{error}"),
            }
        }
        n_killed += killed;
    }
    let mut learn = Function::new(&cloud, "learn", &[]);
    learn.timeout = Duration::from_secs(6);
    let mut usual = Duration::from_millis(1500);
    for _ in 0..4 {
        let began = Instant::now();
        match learn.invoke_and_kill(&json!({}), Some(some_time_of(usual, &mut dice))) {
            Answer::Died => n_killed += 1,
            _ => usual = usual.min(began.elapsed()),
        }
    }
    // What a dead one began to tell is told by the next learner after its time.
    std::thread::sleep(Duration::from_secs(6));
    learn.timeout = Duration::from_mins(1);
    learn.invoke(&json!({})).given();
    println!("{n_killed} processes killed");
    assert!(n_killed > 5, "the kills came too late to matter");
    assert_eq!(cloud.findings(), replayed(&objects));
    let mut told: BTreeMap<(String, String), u32> = BTreeMap::new();
    for alert in cloud.alerts() {
        let finding: Value = serde_json::from_str(alert["Message"].as_str().expect("text")).expect("a finding");
        let word = |name: &str| finding[name].to_string();
        *told.entry((word("id"), word("activity"))).or_default() += 1;
    }
    assert!(told.values().all(|n| *n == 1), "{told:?}");
    assert_eq!(told.keys().filter(|(_, activity)| activity.contains("create")).count(), cloud.findings().len());
    let mut learned = learned(&cloud);
    let mut expected = undisturbed(&objects);
    for files in [&mut learned, &mut expected] {
        // It says what was told by which run, besides where the walk stands.
        files.as_object_mut().expect("files").remove("walk.json");
    }
    assert_eq!(learned, expected, "the same baseline, byte for byte");
}

#[test]
fn late_objects_are_folded_in_and_nothing_counts_twice() {
    let objects = objects();
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let (mut detect, mut learn) = (Function::new(&cloud, "detect", &[]), Function::new(&cloud, "learn", &[]));
    // One object comes when the learner has passed its day.
    let (late, in_time): (Vec<&Logged>, Vec<&Logged>) = objects.iter().partition(|(key, _)| key.contains("20260326T"));
    for (key, bytes) in in_time {
        cloud.put(LOGS, key, bytes.clone());
        detect.invoke(&notification(key, bytes.len())).given();
        learn.invoke(&json!({})).given();
    }
    for (key, bytes) in late {
        cloud.put(LOGS, key, bytes.clone());
        detect.invoke(&notification(key, bytes.len())).given();
    }
    let (without, said) = (cloud.pointer(), learn.log().len());
    learn.invoke(&json!({})).given();
    assert_ne!(cloud.pointer(), without, "it was folded in");
    let log = learn.log();
    let late =
        log[said..].lines().find_map(|line| line.split("\"Late\":").nth(1)?.split(',').next()?.parse::<f64>().ok());
    assert!(late.is_some_and(|n_late| n_late > 1000.0), "all of it was late: {late:?}");
    let ids = |findings: BTreeMap<String, String>| findings.into_keys().collect::<Vec<_>>();
    assert_eq!(ids(cloud.findings()), ids(replayed(&objects)));

    // A second flow log of the same interfaces tells the same again, under other names.
    let before = learned(&cloud);
    for (key, bytes) in &objects {
        let key = key.replace("fl-018936b8b9165c7cf", "fl-2");
        cloud.put(LOGS, &key, bytes.clone());
        detect.invoke(&notification(&key, bytes.len())).given();
    }
    learn.invoke(&json!({})).given();
    let mut after = learned(&cloud);
    let mut before = before;
    for files in [&mut after, &mut before] {
        // It names the new observations, and manifests count what was read.
        files.as_object_mut().expect("files").retain(|name, _| name.ends_with(".parquet"));
    }
    assert_eq!(after, before);
}

#[test]
fn two_invocations_at_once_tell_each_finding_once() {
    let objects = objects();
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
    }
    let events: Vec<Value> = objects.iter().map(|(key, bytes)| notification(key, bytes.len())).collect();
    let event = batch(&events);
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let run = || {
            let mut detect = Function::new(&cloud, "detect", &[]);
            // An alert that the other one is telling is left to it.
            detect.invoke(&event).given()
        };
        let all: Vec<_> = (0..3).map(|_| scope.spawn(run)).collect();
        all.into_iter().map(|one| one.join().expect("an invocation")).collect()
    });
    assert_eq!(answers, vec![json!({"batchItemFailures": []}); 3]);
    Function::new(&cloud, "learn", &[]).invoke(&json!({})).given();
    assert_eq!(cloud.findings(), replayed(&objects));
    assert_eq!(cloud.alerts().len(), cloud.findings().len());
    assert_eq!(learned(&cloud), undisturbed(&objects));
}
