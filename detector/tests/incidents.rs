//! What is told together, what apart, and what may be hidden.

use std::collections::BTreeMap;

use baselines::{Baselines, store};
use detector::amounts::day;
use detector::config::Config;
use detector::finding::{CheckId, Evidence, Finding};
use detector::pipeline::{Knowledge, Memory};
use detector::write::{self, Format, json};

use crate::checks::CASES;
use crate::log::{ENIS, FUNCTIONS, Log, PROVIDER, STRANGER, at, knowledge, with_list};

/// Another nobody knows, in another network.
pub(crate) const ANOTHER: &str = "192.0.2.99";

pub(crate) fn findings(log: &Log, config: &str, knowledge: &Knowledge) -> Vec<Finding> {
    let config = Config::from_toml(config).expect("a sound configuration");
    log.replay_from(Baselines::default(), &config, knowledge).findings
}

fn addresses(finding: &Finding) -> Vec<String> {
    finding.destinations.iter().map(|destination| destination.address.to_string()).collect()
}

/// A function that calls a new endpoint every three hours from the eighth day to the eighteenth.
fn with_new_endpoint() -> Log {
    let mut log = Log::steady();
    for n in 0..80 {
        log.call(at(8, 3 * n, 31), STRANGER, 443, 20_000, 5000);
    }
    log
}

#[test]
fn the_daily_use_of_a_new_endpoint_does_not_hide_the_next_stranger() {
    for day in [11, 16] {
        let mut log = with_new_endpoint();
        log.call(at(day, 9, 31), ANOTHER, 8000, 20_000, 5000);
        let found = findings(&log, "", &knowledge(FUNCTIONS));
        assert_eq!(found.iter().map(addresses).collect::<Vec<_>>(), [[STRANGER], [ANOTHER]]);
        assert!(found[0].last_seen > at(16, 20, 0), "the first one goes on");
    }
}

#[test]
fn what_else_the_same_stranger_shows_days_later_is_the_same_finding() {
    let mut log = with_new_endpoint();
    log.call(at(14, 9, 31), STRANGER, 8000, 20_000, 5000);
    let found = findings(&log, "", &knowledge(FUNCTIONS));
    let [finding] = &found[..] else { panic!("one finding: {found:?}") };
    assert_eq!(finding.destinations.iter().map(|to| to.port).collect::<Vec<_>>(), [443, 8000]);
}

#[test]
fn what_goes_on_in_a_later_run_is_news_only_with_something_new() {
    let of_two_runs = |log: &Log| {
        log.cut(at(11, 0, 0)).iter().fold((Memory::default(), Vec::new()), |(memory, mut told), part| {
            let outcome = part.replay_from(memory, &Config::defaults(), &knowledge(FUNCTIONS));
            told.push((outcome.findings.len(), outcome.memory.incidents.going_on().len()));
            (outcome.memory, told)
        })
    };
    let mut log = with_new_endpoint();
    assert_eq!(of_two_runs(&log).1, [(1, 0), (1, 1)]);
    log.call(at(12, 9, 31), STRANGER, 443, 50_000_000, 5000);
    assert_eq!(of_two_runs(&log).1, [(1, 0), (1, 0)], "far more than ever");
    log.call(at(16, 9, 31), ANOTHER, 8000, 20_000, 5000);
    assert_eq!(of_two_runs(&log).1, [(1, 0), (2, 0)], "another stranger");
    let mut log = with_new_endpoint();
    log.call(at(12, 9, 31), "203.0.113.201", 443, 20_000, 5000);
    assert_eq!(of_two_runs(&log).1, [(1, 0), (1, 0)], "twice as many hosts of it");
    let mut log = Log::steady();
    log.call(at(10, 9, 31), STRANGER, 443, 50_000_000, 5000);
    for n in 0..40 {
        log.call(at(11, 9, 15 * n), STRANGER, 443, 900, 5000);
    }
    assert_eq!(of_two_runs(&log).1, [(1, 0), (1, 0)], "a rhythm");
}

#[test]
fn a_run_that_ends_in_the_middle_of_a_day_ends_no_day() {
    // Met on two days of the first week, it polls on a third: at that day's end it would be known.
    let mut log = Log::steady();
    log.call(at(1, 3, 7), STRANGER, 443, 900, 5000);
    log.call(at(2, 5, 7), STRANGER, 443, 900, 5000);
    for n in 0..40 {
        log.call(at(10, 9, 15 * n), STRANGER, 443, 900, 5000);
    }
    let whole: Vec<String> = log.replay().iter().map(json::render).collect();
    assert!(whole.len() == 1 && whole[0].contains("beacon"), "{whole:?}");
    for cut in [at(10, 0, 0), at(10, 9, 10), at(10, 9, 25), at(11, 0, 0)] {
        let (_, told) = log.cut(cut).iter().fold((Memory::default(), BTreeMap::new()), |(memory, told), part| {
            let outcome = part.replay_from(memory, &Config::defaults(), &with_list());
            let stored = store::encode(&outcome.memory.stored()).expect("it is stored");
            let memory = Memory::loaded(store::decode(&stored).expect("it is sound")).expect("incidents");
            let findings = outcome.findings.iter().map(|finding| (finding.id, json::render(finding)));
            (memory, told.into_iter().chain(findings).collect::<BTreeMap<_, _>>())
        });
        assert_eq!(told.into_values().collect::<Vec<_>>(), whole, "cut at {cut}");
    }
}

#[test]
fn of_things_told_together_the_weightiest_comes_first_and_each_statement_says_of_which_it_is() {
    let mut log = with_new_endpoint();
    log.call(at(8, 9, 41), ANOTHER, 8000, 9000, 5000);
    let found = findings(&log, "", &knowledge(FUNCTIONS));
    let [finding] = &found[..] else { panic!("one finding: {found:?}") };
    assert_eq!(addresses(finding), [ANOTHER, STRANGER], "more was sent to the other one");
    assert!(finding.title.contains(ANOTHER), "{}", finding.title);
    for evidence in &finding.evidence {
        let named = ["192.0.0.0", "203.0.0.0"].iter().filter(|net| evidence.statement.contains(**net)).count();
        assert!(named == 1 || evidence.check == CheckId::NoveltyBurst, "{}", evidence.statement);
    }
}

#[test]
fn an_upload_is_told_of_the_host_it_went_to_not_of_one_that_took_more_in_days() {
    let mut log = with_new_endpoint();
    let beside = "203.0.113.200";
    log.call(at(11, 10, 1), beside, 443, 1_200_000, 5000);
    let found = findings(&log, "", &knowledge(FUNCTIONS));
    let [finding] = &found[..] else { panic!("one network, one finding: {found:?}") };
    assert_eq!(finding.title, "api sent far more than ever: 203.0.113.200 port 443/tcp");
    let sent = finding.destinations.iter().map(|to| (&*to.address.to_string() == beside, to.bytes_out));
    assert_eq!(sent.collect::<Vec<_>>(), [(true, 1_200_000), (false, 1_600_000)]);
    let is_dated = |one: &Evidence| one.statement.starts_with(&format!("on {}: ", day(at(11, 0, 0))));
    let dated = finding.evidence.iter().map(|one| (one.check == CheckId::EgressVolume, is_dated(one)));
    assert_eq!(dated.collect::<BTreeMap<_, _>>(), BTreeMap::from([(true, true), (false, false)]));
}

#[test]
fn a_foreign_resolver_is_told_of_the_resolver_not_of_what_else_its_operator_runs() {
    let mut log = Log::steady();
    for day in 8..11 {
        log.call(at(day, 9, 31), "8.8.200.9", 443, 40_000, 5000);
    }
    log.call(at(11, 2, 1), "8.8.8.8", 443, 700, 900);
    let found = findings(&log, "", &knowledge(FUNCTIONS));
    let [finding] = &found[..] else { panic!("one network, one finding: {found:?}") };
    assert_eq!(finding.title, "api asks a foreign resolver: 8.8.8.8 port 443/tcp");
    assert_eq!(addresses(finding), ["8.8.8.8", "8.8.200.9"]);
}

#[test]
fn a_poll_is_told_of_the_host_that_is_polled_not_of_one_met_in_the_first_week() {
    let mut log = Log::steady();
    for day in [1, 2] {
        log.call(at(day, 3, 7), STRANGER, 443, 90_000, 5000);
    }
    let beside = "203.0.113.200";
    for n in 0..40 {
        log.call(at(10, 9, 15 * n), beside, 443, 900, 5000);
    }
    let found = findings(&log, "", &knowledge(FUNCTIONS));
    let [finding] = &found[..] else { panic!("one network, one finding: {found:?}") };
    assert_eq!(finding.title, "api polls a stranger: 203.0.113.200 port 443/tcp and 1 more");
}

#[test]
fn a_scan_is_told_of_the_host_it_went_to_whatever_joins_it() {
    let mut log = Log::steady();
    for port in 2000..2040 {
        log.refused(at(8, 9, 31), "10.0.3.99", port);
    }
    for n in 0..20 {
        log.call(at(8, 10 + n / 6, 10 * (n % 6)), STRANGER, 443, 20_000, 5000);
    }
    let whole = findings(&log, "", &knowledge(FUNCTIONS));
    let [finding] = &whole[..] else { panic!("one finding: {whole:?}") };
    assert_eq!(finding.title, "api looks around: 10.0.3.99 port 2000/tcp and 39 more");
    assert_eq!((finding.destinations.len(), &*addresses(finding)[1]), (41, STRANGER), "one of each topic comes first");
    assert!(finding.description.starts_with("40 ports never used before on 10.0.3.99 within"));
    let mut knowledge = knowledge(FUNCTIONS);
    knowledge.trusted_lists.add("checked", "hosts.txt", b"10.0.3.99").expect("a list");
    let left = findings(&log, "", &knowledge);
    assert_eq!(
        left.iter().map(|f| (f.check, &*addresses(f)[0] == STRANGER)).collect::<Vec<_>>(),
        [(CheckId::NewDestination, true)]
    );
}

#[test]
fn what_is_trusted_hides_nothing_else() {
    let mut knowledge = knowledge(FUNCTIONS);
    knowledge.trusted_lists.add("cdn", "cdn.txt", STRANGER.as_bytes()).expect("a list");
    let mut log = Log::steady();
    log.call(at(10, 9, 31), STRANGER, 443, 900_000, 5000);
    let hidden = findings(&log, "", &knowledge);
    assert_eq!(hidden.iter().map(|f| f.suppressed_by.as_deref()).collect::<Vec<_>>(), [Some("cdn")]);
    log.call(at(10, 9, 33), ANOTHER, 8000, 20_000, 5000);
    for config in ["", "max_destinations_per_finding = 1"] {
        let shown = findings(&log, config, &knowledge);
        assert_eq!(shown.iter().map(|f| f.suppressed_by.as_deref()).collect::<Vec<_>>(), [None], "{config}");
        assert!(shown[0].title.contains(ANOTHER), "what is trusted does not lead: {}", shown[0].title);
        assert!(shown[0].evidence.iter().all(|said| !said.statement.contains("203.0.0.0")), "{:?}", shown[0].evidence);
    }
}

#[test]
fn a_suppressed_check_hides_nothing_that_others_say() {
    let config = "[[suppressions]]\ncheck = \"egress-volume\"\nuntil = 2030-01-01\nreason = \"an export\"";
    let mut log = Log::steady();
    log.call(at(10, 9, 31), PROVIDER, 443, 3_000_000_000, 5000);
    let hidden = findings(&log, config, &knowledge(FUNCTIONS));
    assert_eq!(hidden.iter().map(|f| f.suppressed_by.as_deref()).collect::<Vec<_>>(), [Some("an export")]);
    log.call(at(10, 9, 33), ANOTHER, 8000, 20_000, 5000);
    let shown = findings(&log, config, &knowledge(FUNCTIONS));
    assert_eq!(shown.iter().map(|f| f.check).collect::<Vec<_>>(), [CheckId::NewDestination], "the other one is hidden");
    assert_eq!(shown[0].suppressed_by, None);
}

#[test]
fn what_several_topics_tell_of_a_destination_counts_once() {
    let mut log = Log::steady();
    for n in 0..12 {
        log.call(at(10, 9, 31) + n, &format!("192.168.7.{}", 4 + n), 3389, 180, 0);
    }
    let found = findings(&log, "", &knowledge(FUNCTIONS));
    let [finding] = &found[..] else { panic!("one finding: {found:?}") };
    let checks: Vec<CheckId> = finding.evidence.iter().map(|evidence| evidence.check).collect();
    assert!(checks.contains(&CheckId::FanOut) && checks.contains(&CheckId::NewDestination), "{checks:?}");
    let told: Vec<(u64, u64)> = finding.destinations.iter().map(|to| (to.n_flows, to.bytes_out)).collect();
    assert_eq!(told, [(1, 180); 12]);
}

#[test]
fn a_later_run_goes_on_under_the_same_id() {
    let mut log = Log::steady();
    log.call(at(10, 9, 31), STRANGER, 443, 20_000, 5000);
    let first = log.replay_from(Baselines::default(), &Config::defaults(), &knowledge(FUNCTIONS));
    let mut later = Log::empty();
    later.call(at(12, 9, 31), STRANGER, 443, 20_000, 5000);
    let second = later.replay_from(first.memory, &Config::defaults(), &knowledge(FUNCTIONS));
    let [before, after] = [first.findings, second.findings].map(|found| found.iter().map(|f| f.id).collect::<Vec<_>>());
    assert_eq!((before.len(), after), (1, before));
}

#[test]
fn a_replay_in_two_goes_on_as_one() {
    let (config, knowledge) = (Config::defaults(), with_list());
    let by_id = |findings: &[Finding]| -> BTreeMap<_, _> {
        findings.iter().map(|finding| (finding.id, json::render(finding))).collect()
    };
    for case in CASES.iter().filter(|case| case.caught.is_some()) {
        let log = (case.log)();
        let whole = log.replay_from(Memory::default(), &config, &knowledge);
        let [before, after] = log.cut(at(10, 10, 0));
        let first = before.replay_from(Memory::default(), &config, &knowledge);
        let told = by_id(&first.findings);
        let files = store::encode(&first.memory.stored()).expect("it fits");
        let memory = Memory::loaded(store::decode(&files).expect("as written")).expect("as written");
        let second = after.replay_from(memory, &config, &knowledge);
        let together: BTreeMap<_, _> = told.into_iter().chain(by_id(&second.findings)).collect();
        assert_eq!(together, by_id(&whole.findings), "{}, {}", case.check, case.what);
    }
}

#[test]
fn what_is_over_is_not_told_again() {
    let (config, knowledge) = (Config::defaults(), knowledge(FUNCTIONS));
    let mut log = Log::steady();
    log.call(at(10, 9, 31), STRANGER, 443, 20_000, 5000);
    let [before, after] = log.cut(at(11, 0, 0));
    let first = before.replay_from(Memory::default(), &config, &knowledge);
    assert_eq!(first.findings.len(), 1);
    assert_eq!(after.replay_from(first.memory, &config, &knowledge).findings, []);
}

#[test]
fn a_stranger_after_an_accepted_one_is_told_apart() {
    let knowledge = knowledge(FUNCTIONS);
    let mut log = Log::steady();
    log.call(at(11, 9, 31), STRANGER, 443, 20_000, 5000);
    let mut later = Log::empty();
    later.call(at(12, 2, 31), ANOTHER, 8000, 20_000, 5000);
    let mut memory = Memory::default();
    let told = log.walk(&mut memory, &knowledge);
    let [first] = &told[..] else { panic!("one finding: {told:?}") };
    let together = later.walk(&mut memory.clone(), &knowledge);
    assert_eq!(together.iter().map(|f| f.id).collect::<Vec<_>>(), [first.id], "hours later it belongs to it");
    assert_eq!(memory.baselines.accept(first.id.0).len(), 1);
    let apart = later.walk(&mut memory, &knowledge);
    assert_eq!(apart.iter().map(addresses).collect::<Vec<_>>(), [[STRANGER], [ANOTHER]]);
    assert_ne!(apart[1].id, first.id);
}

#[test]
fn who_accepts_an_upload_accepts_the_next_one_of_its_size() {
    let knowledge = knowledge(FUNCTIONS);
    let mut log = Log::steady();
    log.call(at(10, 9, 31), STRANGER, 443, 3_000_000, 5000);
    let mut memory = Memory::default();
    let told = log.walk(&mut memory, &knowledge);
    let [first] = &told[..] else { panic!("one finding: {told:?}") };
    assert_eq!(memory.baselines.accept(first.id.0).len(), 1);
    for (bytes, expected) in [(3_000_000, 0), (90_000_000, 1)] {
        let mut later = Log::empty();
        later.call(at(12, 9, 31), STRANGER, 443, bytes, 5000);
        let mut memory = memory.clone();
        let told = later.walk(&mut memory, &knowledge).into_iter().filter(|finding| finding.last_seen > at(12, 0, 0));
        assert_eq!(told.count(), expected, "{bytes}");
    }
}

#[test]
fn records_that_arrive_later_make_no_other_finding_of_it() {
    let mut log = Log::steady();
    log.call(at(10, 9, 31), STRANGER, 443, 20_000, 5000);
    let first = findings(&log, "", &knowledge(FUNCTIONS));
    log.call(at(10, 9, 11), STRANGER, 443, 20_000, 5000);
    let whole = findings(&log, "", &knowledge(FUNCTIONS));
    let [first, whole] = [first, whole].map(|found| found.iter().map(|f| (f.id, f.count)).collect::<Vec<_>>());
    assert_eq!((first.len(), whole), (1, vec![(first[0].0, 2)]));
}

#[test]
fn an_incident_has_one_id_whichever_of_its_strangers_is_told_first() {
    let ids = |strangers: &[(&str, i64)]| {
        let mut log = Log::steady();
        for (stranger, minute) in strangers {
            log.call(at(10, 23, *minute), stranger, 443, 20_000, 5000);
        }
        findings(&log, "", &knowledge(FUNCTIONS)).iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    let both = ids(&[(STRANGER, 32), (ANOTHER, 47)]);
    assert_eq!(both.len(), 1);
    assert_eq!(both, ids(&[(ANOTHER, 47)]), "the object of the second one may come first");
    assert_eq!(both, ids(&[(STRANGER, 32)]));
}

#[test]
fn what_is_said_again_is_dated_to_when_it_was_said_first() {
    let dated = |log: &Log| -> Vec<String> {
        let found = findings(log, "", &knowledge(FUNCTIONS));
        let [finding] = &found[..] else { panic!("one finding: {found:?}") };
        let statements = finding.evidence.iter().map(|one| one.statement.as_str());
        statements.filter(|said| said.contains(" 2026-03-")).map(|said| said[..said.len().min(13)].to_owned()).collect()
    };
    let mut refused = Log::steady();
    for n in 0..30 {
        refused.refused(at(8, 9, 31) + n * 3 * 3600, STRANGER, 8080);
    }
    assert_eq!(dated(&refused), [""; 0], "the first attempt is none of a later day");
    // A poll that ends at one in the night of 2026-03-11; its numbers are those of its end.
    let polled = |later: &[i64]| {
        let mut log = Log::steady();
        for minute in (0..20).map(|n| n * 47).chain(later.iter().copied()) {
            log.call(at(8, 9, 31) + minute * 60, STRANGER, 443, 900, 5000);
        }
        log
    };
    assert_eq!(dated(&polled(&[])), [""; 0]);
    let rest = |n: i64| n * n * 37 % 71 + 1;
    let irregular: Vec<i64> = (0..90).map(|n| 20 * 47 + (0..=n).map(rest).sum::<i64>()).collect();
    assert_eq!(dated(&polled(&irregular)), ["by 2026-03-11"], "what comes later is none of it");
}

#[test]
fn a_shortened_list_shortens_neither_title_nor_times() {
    let mut log = Log::steady();
    for n in 0..12 {
        log.call(at(10, 9, 31) + 9 * n, &format!("192.168.7.{}", 4 + n), 3389, 180, 0);
    }
    let [whole, short] = ["", "max_destinations_per_finding = 1"].map(|config| {
        let found = findings(&log, config, &knowledge(FUNCTIONS));
        let is_said = |f: &Finding| f.description.contains("11 more destinations are not listed");
        assert_eq!(found.iter().map(is_said).collect::<Vec<_>>(), [!config.is_empty()]);
        for format in [Format::Table, Format::Asff, Format::Chat] {
            let told = write::finding(format, &found[0]);
            assert_eq!(told.contains("11 more destinations are not listed"), !config.is_empty(), "{told}");
        }
        found.iter().map(|f| (f.title.clone(), f.first_seen, f.last_seen, f.destinations.len())).collect::<Vec<_>>()
    });
    assert!(whole[0].0.contains("and 11 more"), "{}", whole[0].0);
    assert_eq!(whole[0].3, 12);
    assert_eq!(short, [(whole[0].0.clone(), whole[0].1, whole[0].2, 1)]);
}

#[test]
fn what_was_refused_never_leads_what_got_through() {
    let mut log = Log::steady();
    for n in 0..30 {
        log.refused(at(10, 9, 31) + n, ANOTHER, 8080);
    }
    let check = |log: &Log| {
        let found = findings(log, "", &knowledge(FUNCTIONS));
        let [finding] = &found[..] else { panic!("one finding: {found:?}") };
        (finding.check, addresses(finding), finding.title.clone())
    };
    assert_eq!(check(&log).0, CheckId::RejectedEgress);
    log.call(at(10, 9, 32), STRANGER, 443, 20_000, 5000);
    let (check, addresses, title) = check(&log);
    assert_eq!((check, addresses), (CheckId::NewDestination, vec![STRANGER.to_owned(), ANOTHER.to_owned()]));
    assert!(title.ends_with(&format!("{STRANGER} port 443/tcp")), "the refused one is not of what it says: {title}");
}

#[test]
fn every_address_of_a_stranger_is_kept_and_the_latest_one_dates_it() {
    let mut log = Log::steady();
    for n in 0..40 {
        log.call(at(10, 9, 10 * (n / 2) + 1), &format!("203.0.{}.9", 100 + n), 443, 900_000, 5000);
    }
    let found = findings(&log, "", &knowledge(FUNCTIONS));
    let [finding] = &found[..] else { panic!("one finding: {found:?}") };
    let sent: u64 = finding.destinations.iter().map(|to| to.bytes_out).sum();
    assert_eq!((finding.destinations.len(), sent), (40, 40 * 900_000));
    assert_eq!(finding.last_seen, at(10, 9, 191) + 20);
}

#[test]
fn what_comes_late_belongs_to_nothing_that_began_weeks_after_it() {
    let config = Config::defaults();
    let run = |memory: Memory, log: &Log| {
        let outcome = log.replay_from(memory, &config, &knowledge(FUNCTIONS));
        (outcome.findings, outcome.memory)
    };
    let mut log = Log::steady();
    log.call(at(11, 9, 31), STRANGER, 443, 20_000, 5000);
    let (_, memory) = run(Memory::default(), &log);
    let mut later = Log::empty();
    later.call(at(30, 9, 31), "198.18.0.1", 8000, 90_000, 5000);
    let (found, memory) = run(memory, &later);
    assert_eq!(found.iter().map(addresses).collect::<Vec<_>>(), [["198.18.0.1"]]);
    let mut late = Log::empty();
    late.call(at(16, 9, 31), ANOTHER, 8000, 90_000, 5000);
    let (found, _) = run(memory, &late);
    assert_eq!(found.iter().map(addresses).collect::<Vec<_>>(), [[ANOTHER]]);
}

#[test]
fn an_account_that_is_not_said_is_that_of_the_function() {
    let mut log = Log::steady();
    log.call(at(10, 9, 31), STRANGER, 443, 20_000, 5000);
    let with = |account: &str| {
        let lines = log.text.lines().enumerate();
        let lines = lines.map(|(n, line)| format!("{line} {}\n", if n == 0 { "account-id" } else { account }));
        let mut told = Log::empty();
        told.text = lines.collect();
        findings(&told, "", &knowledge(FUNCTIONS)).into_iter().map(|finding| finding.account_id).collect::<Vec<_>>()
    };
    assert_eq!(with("unknown"), [Some("111122223333".into())]);
    assert_eq!(with("444455556666"), [Some("444455556666".into())]);
}

/// The functions of the steady log's interface, by name.
fn sharing(names: &[&str]) -> Knowledge {
    let function =
        |name: &&str| FUNCTIONS.replace("\"api\"", &format!("{name:?}")).replace(":api", &format!(":{name}"));
    let mut knowledge = Knowledge::default();
    knowledge.inventory.add_enis("enis.json", ENIS.as_bytes()).expect("interfaces");
    for name in names {
        knowledge.inventory.add_functions("more.json", function(name).as_bytes()).expect("functions");
    }
    knowledge
}

/// A steady function for sixteen days; others share its interface before and after the tenth. Whom a stranger who is
/// called once on a day is found with.
fn owner_of_stranger(day: i64, before: &[&str], after: &[&str]) -> Vec<String> {
    let mut log = Log::steady();
    for n in 0..4 * 144 {
        log.call(at(12, 0, n * 10) + n * 37 % 300, PROVIDER, 443, 900, 5000);
    }
    log.call(at(day, 9, 31), STRANGER, 8000, 20_000, 5000);
    let [first, second] = log.cut(at(10, 0, 0));
    let config = Config::defaults();
    let known = first.replay_from(Baselines::default(), &config, &sharing(before)).memory;
    let found = second.replay_from(known, &config, &sharing(after)).findings;
    found.iter().flat_map(|finding| &finding.owner.functions).map(ToString::to_string).collect()
}

#[test]
fn a_function_that_joins_or_leaves_an_interface_does_not_blind_the_watch_over_it() {
    let alone: &[&str] = &["api"];
    assert_eq!(owner_of_stranger(10, &["api", "maps"], alone), ["api"], "on the day on which one left");
    assert_eq!(owner_of_stranger(10, alone, &["api", "maps"]), [""; 0], "what one brings is learned for three days");
    assert_eq!(owner_of_stranger(14, alone, &["api", "maps"]), ["api", "maps"]);
    assert_eq!(owner_of_stranger(14, alone, &["news"]), [""; 0], "another function's interface is another's");
}

#[test]
fn what_one_function_did_is_not_told_of_those_that_came_later() {
    let mut log = Log::steady();
    for n in 0..4 * 144 {
        log.call(at(12, 0, n * 10) + n * 37 % 300, PROVIDER, 443, 900, 5000);
    }
    log.call(at(9, 9, 31), STRANGER, 8000, 20_000, 5000);
    let [first, rest] = log.cut(at(10, 0, 0));
    let [second, third] = rest.cut(at(12, 0, 0));
    let mut memory = Memory::default();
    for (part, names) in [(first, &["api"][..]), (second, &["api", "maps"]), (third, &["maps"])] {
        let found = part.walk(&mut memory, &sharing(names));
        let owners: Vec<_> = found.iter().map(|finding| finding.owner.functions.clone()).collect();
        assert_eq!(owners, [["api".into()]], "while {names:?} share the interface");
    }
}

#[test]
fn what_was_found_long_ago_is_told_and_what_comes_back_after_all_was_forgotten_is_another() {
    let mut log = Log::steady();
    for day in 12..140 {
        log.call(at(day, 9, 0), PROVIDER, 443, 900, 5000);
    }
    log.call(at(9, 9, 31), STRANGER, 8000, 20_000, 5000);
    let config = Config::defaults();
    let replay = |log: &Log, known| log.replay_from(known, &config, &knowledge(FUNCTIONS));
    let [once] = &replay(&log, Memory::default()).findings[..] else { panic!("told, however long ago") };
    assert_eq!(once.first_seen, at(9, 9, 31));
    log.call(at(130, 9, 31), STRANGER, 8000, 90_000, 5000);
    let whole = replay(&log, Memory::default()).findings;
    let times: Vec<_> = whole.iter().map(|finding| (finding.first_seen, finding.count)).collect();
    assert_eq!(times, [(at(9, 9, 31), 1), (at(130, 9, 31), 1)]);
    assert_eq!(whole[0], *once);
    let [before, after] = log.cut(at(125, 0, 0));
    let parts = replay(&after, replay(&before, Memory::default()).memory).findings;
    assert_eq!(parts, whole[1..]);
}

#[test]
fn what_is_told_of_functions_goes_on_under_its_id_when_one_leaves_them() {
    let mut log = Log::steady();
    for n in 0..12 {
        log.call(at(9, 4 * n, 31), STRANGER, 8000, 20_000, 5000);
    }
    let [first, second] = log.cut(at(10, 0, 0));
    let config = Config::defaults();
    let first = first.replay_from(Baselines::default(), &config, &sharing(&["api", "maps"]));
    let second = second.replay_from(first.memory, &config, &sharing(&["api"]));
    let told = |findings: &[Finding]| -> Vec<(String, usize)> {
        findings.iter().map(|finding| (finding.id.to_string(), finding.owner.functions.len())).collect()
    };
    let [(id, 2)] = &told(&first.findings)[..] else { panic!("{:?}", first.findings) };
    assert_eq!(told(&second.findings), [(id.clone(), 1)]);
    assert_eq!(second.findings[0].count, 12, "all of it");
}
