//! The sample logs as S3 holds them, and what a replay finds in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use detector::config::Config;
use detector::pipeline::{self, InMemoryScratch, Job, Knowledge, Mode};
use detector::read::{InMemory, Object};
use detector::write::json;
use serde_json::{Value, json};

use crate::cloud::{Cloud, LOGS, STATE, root};

/// One object: its key and its bytes.
pub(crate) type Logged = (String, Vec<u8>);

fn case() -> PathBuf {
    root().join("sample-logs/fitness-tracker")
}

/// All objects of the sample, in the order AWS delivered them.
pub(crate) fn objects() -> Vec<Logged> {
    objects_of(&case())
}

/// All objects of a case.
pub(crate) fn objects_of(case: &Path) -> Vec<Logged> {
    let logs = case.join("logs");
    let mut objects = Vec::new();
    search(&logs, &mut |path| {
        let key = path.strip_prefix(&logs).expect("below").to_string_lossy().into_owned();
        objects.push((key, fs::read(path).expect("a file")));
    });
    objects.sort();
    objects
}

fn search(folder: &Path, each: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { search(&path, each) } else { each(&path) }
    }
}

fn snapshot(case: &Path) -> Vec<u8> {
    let read = |name: &str| -> Value { serde_json::from_slice(&fs::read(case.join(name)).expect(name)).expect(name) };
    let (enis, functions) = (read("enis.json"), read("functions.json"));
    let snapshot = json!({"schema": "callout.inventory/1", "taken_at": "2026-03-22T00:00:00Z",
        "NetworkInterfaces": enis["NetworkInterfaces"], "Functions": functions["Functions"]});
    snapshot.to_string().into_bytes()
}

fn knowledge_files(case: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let read = |name: &str| fs::read(case.join(name)).expect(name);
    vec![
        ("inventory/2026-03-22T00:00:00Z.json", snapshot(case)),
        ("knowledge/asn.tsv", read("asn.tsv")),
        ("knowledge/ip-ranges.json", read("ip-ranges.json")),
    ]
}

/// Puts what explains the logs into the state bucket.
pub(crate) fn explain(cloud: &Cloud) {
    explain_with(cloud, &case());
}

/// Puts what explains a case's logs into the state bucket.
pub(crate) fn explain_with(cloud: &Cloud, case: &Path) {
    for (key, bytes) in knowledge_files(case) {
        cloud.put(STATE, key, bytes);
    }
}

/// Puts what explains the logs below a prefix, the snapshot of the interfaces in a folder of the inventory.
pub(crate) fn explain_below(cloud: &Cloud, prefix: &str, folder: &str) {
    for (key, bytes) in knowledge_files(&case()) {
        let key =
            key.strip_prefix("inventory/").map_or_else(|| key.to_owned(), |name| format!("inventory/{folder}{name}"));
        cloud.put(STATE, &format!("{prefix}{key}"), bytes);
    }
}

/// What a replay of objects finds, by id.
pub(crate) fn replayed(objects: &[Logged]) -> BTreeMap<String, String> {
    let mut knowledge = Knowledge::default();
    for (name, bytes) in knowledge_files(&case()) {
        let done = match name {
            "knowledge/asn.tsv" => knowledge.networks.add_asn(name, &bytes).map(|_| ()),
            "knowledge/ip-ranges.json" => knowledge.networks.add_aws_ranges(name, &bytes),
            _ => knowledge.inventory.add_enis(name, &bytes),
        };
        done.expect(name);
    }
    let config = Config::defaults();
    let job = Job { config: &config, knowledge: &knowledge, mode: Mode::Replay, span: None, progress: &() };
    let objects = objects
        .iter()
        .map(|(key, bytes)| Arc::new(InMemory::new(format!("s3://{LOGS}/{key}"), bytes.clone())) as Arc<dyn Object>);
    let outcome =
        pipeline::run(&job, objects.collect(), pipeline::Memory::default(), Box::new(InMemoryScratch::default()));
    let outcome = outcome.expect("a replay");
    assert_eq!(outcome.coverage.unreadable, []);
    outcome.findings.iter().map(|finding| (finding.id.to_string(), json::render(finding))).collect()
}

/// The notification of an object, as S3 sends it: the key form-urlencoded.
pub(crate) fn notification(key: &str, size: usize) -> Value {
    let encoded: String = key
        .bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            b if b.is_ascii_alphanumeric() || b"-_./*".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1",
        "eventTime": "2026-03-31T09:15:04.000Z", "eventName": "ObjectCreated:Put",
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": LOGS, "arn": format!("arn:aws:s3:::{LOGS}")},
               "object": {"key": encoded, "size": size, "eTag": "d41d8", "sequencer": "0A1B"}}}]})
}

/// A queue's batch of messages.
pub(crate) fn batch<'a>(bodies: impl IntoIterator<Item = &'a Value>) -> Value {
    let records = bodies.into_iter().enumerate().map(|(n, body)| {
        json!({"messageId": format!("m{n}"), "receiptHandle": "r", "body": body.to_string(),
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:flow-logs"})
    });
    json!({"Records": records.collect::<Vec<_>>()})
}
