//! The sample logs, whole way: what must be found is found, what must be quiet is quiet, and nothing that should not
//! matter does (order, threads, format, copies).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use detector::config::Config;
use detector::finding::CheckId;
use detector::pipeline::{InMemoryScratch, Job, Knowledge, Memory, Mode, Outcome, run};
use detector::read::{InMemory, Object};
use detector::write::json;
use serde_json::Value;

pub(crate) fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample-logs").join(name)
}

pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder as objects, named by their path below it.
pub(crate) fn objects(folder: &Path) -> Vec<Arc<dyn Object>> {
    let mut paths = vec![folder.to_owned()];
    let mut out: Vec<Arc<dyn Object>> = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(path.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else {
            let name = path.strip_prefix(folder).expect("below").to_string_lossy().into_owned();
            out.push(Arc::new(InMemory::new(name, bytes(&path))));
        }
    }
    out.sort_by(|a, b| a.name().cmp(b.name()));
    assert!(!out.is_empty(), "{} holds objects", folder.display());
    out
}

pub(crate) fn knowledge(case: &Path) -> Knowledge {
    let mut knowledge = Knowledge::default();
    knowledge.inventory.add_enis("enis.json", &bytes(&case.join("enis.json"))).expect("interfaces");
    knowledge.inventory.add_functions("functions.json", &bytes(&case.join("functions.json"))).expect("functions");
    knowledge.networks.add_asn("asn.tsv", &bytes(&case.join("asn.tsv"))).expect("networks");
    knowledge.networks.add_aws_ranges("ip-ranges.json", &bytes(&case.join("ip-ranges.json"))).expect("ranges");
    knowledge
}

pub(crate) fn replay(knowledge: &Knowledge, objects: Vec<Arc<dyn Object>>) -> Outcome {
    let config = Config::defaults();
    let job = Job { config: &config, knowledge, mode: Mode::Replay, span: None, progress: &() };
    run(&job, objects, Memory::default(), Box::new(InMemoryScratch::default())).expect("the scratch holds")
}

pub(crate) fn lines(outcome: &Outcome) -> Vec<String> {
    outcome.findings.iter().map(json::render).collect()
}

#[test]
fn the_compromised_dependency_is_found_and_nothing_else() {
    let case = case("fitness-tracker");
    let truth: Value = serde_json::from_slice(&bytes(&case.join("truth.json"))).expect("JSON");
    let attack = &truth["attacks"][0];
    let outcome = replay(&knowledge(&case), objects(&case.join("logs")));
    let [finding] = &outcome.findings[..] else { panic!("one incident, one finding: {:?}", lines(&outcome)) };
    assert_eq!(
        finding.owner.functions.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        [attack["function"].as_str().unwrap()]
    );
    let addresses: Vec<String> = finding.destinations.iter().map(|d| d.address.to_string()).collect();
    assert_eq!(addresses, [attack["destinations"][0]["address"].as_str().unwrap()]);
    assert!(finding.severity.value() >= 7.0 && finding.confidence >= 0.9, "{finding:?}");
    let deployment = finding.deployment.as_ref().expect("the update that brought it in");
    assert_eq!(&*deployment.version, "2");
    let checks: Vec<CheckId> = finding.evidence.iter().map(|evidence| evidence.check).collect();
    for check in [CheckId::NewDestination, CheckId::Beacon] {
        assert!(checks.contains(&check), "{check} speaks: {checks:?}");
    }
    // The first contact, to the minute: within what a capture window rounds.
    let start: jiff::Timestamp = attack["start"].as_str().unwrap().parse().expect("a time");
    assert!((finding.first_seen - start.as_second()).abs() <= 60);
}

#[test]
fn the_quiet_twin_is_quiet() {
    let case = case("fitness-tracker-quiet");
    let outcome = replay(&knowledge(&case), objects(&case.join("logs")));
    assert_eq!(lines(&outcome), Vec::<String>::new());
    assert!(outcome.coverage.n_observed > 10_000, "it was looked at");
}

#[test]
fn text_and_parquet_give_the_same() {
    let case = case("fitness-tracker");
    let knowledge = knowledge(&case);
    let (parquet, text) =
        (replay(&knowledge, objects(&case.join("logs"))), replay(&knowledge, objects(&case.join("logs-text"))));
    assert_eq!(lines(&parquet), lines(&text));
    assert_eq!(parquet.coverage, text.coverage);
}

#[test]
fn order_threads_and_copies_change_nothing() {
    let case = case("fitness-tracker");
    let knowledge = knowledge(&case);
    let expected = replay(&knowledge, objects(&case.join("logs")));
    for (n_threads, copies) in [(1, false), (3, true)] {
        let mut given = objects(&case.join("logs"));
        given.reverse();
        given.rotate_left(3);
        if copies {
            let copy = |object: &Arc<dyn Object>| {
                let all = object.read_at(0, object.size() as usize).expect("in memory");
                Arc::new(InMemory::new(format!("copy/{}", object.name()), all)) as Arc<dyn Object>
            };
            given.extend(given.iter().map(copy).collect::<Vec<_>>());
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("threads");
        let outcome = pool.install(|| replay(&knowledge, given));
        assert_eq!(lines(&outcome), lines(&expected));
        assert_eq!(outcome.coverage.n_objects_duplicate, if copies { 10 } else { 0 });
    }
}

#[test]
fn a_second_flow_log_is_not_added_up() {
    // The same records told by another flow log, as text: other bytes, another `fl-` id.
    let case = case("fitness-tracker");
    let knowledge = knowledge(&case);
    let expected = replay(&knowledge, objects(&case.join("logs")));
    let second = objects(&case.join("logs-text")).into_iter().map(|object| {
        let all = object.read_at(0, object.size() as usize).expect("in memory");
        let from = object.name().find("fl-").expect("AWS's file name");
        let name = format!("{}fl-0second{}", &object.name()[..from], &object.name()[from + 8..]);
        Arc::new(InMemory::new(name, all)) as Arc<dyn Object>
    });
    let outcome = replay(&knowledge, objects(&case.join("logs")).into_iter().chain(second).collect());
    assert_eq!(lines(&outcome), lines(&expected));
    assert!(outcome.coverage.n_repeated > 10_000);
}

#[test]
fn without_inventory_the_interface_is_the_owner() {
    let case = case("fitness-tracker");
    let outcome = replay(&Knowledge::default(), objects(&case.join("logs")));
    let told = outcome.findings.iter().find(|f| f.destinations.iter().any(|d| d.address.to_string() == "203.0.113.77"));
    let finding = told.expect("the call-out is found without any file but the logs");
    assert!(finding.owner.functions.is_empty() && finding.owner.eni_ids[0].starts_with("eni-"));
}

#[test]
fn a_broken_object_is_told_and_the_rest_is_judged() {
    let case = case("fitness-tracker");
    let knowledge = knowledge(&case);
    let mut given = objects(&case.join("logs"));
    // The first day carries nothing of the incident; cut it in half, and add what is no flow log.
    let first = given.remove(0);
    let half = first.read_at(0, first.size() as usize / 2).expect("in memory");
    given.push(Arc::new(InMemory::new("cut.parquet", half)));
    given.push(Arc::new(InMemory::new("notes.txt", &b"these are my notes\nand no flow log\n"[..])));
    let outcome = replay(&knowledge, given);
    let named: Vec<&str> = outcome.coverage.unreadable.iter().map(|unreadable| unreadable.object.as_str()).collect();
    assert_eq!(named, ["cut.parquet", "notes.txt"]);
    assert_eq!((outcome.findings.len(), outcome.coverage.n_objects), (1, 9));
}
