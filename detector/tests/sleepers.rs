//! What was met long before and is back: when its finding begins, and what belongs to it.

use baselines::Baselines;
use detector::config::Config;
use detector::finding::CheckId;

use crate::log::{Log, PROVIDER, STRANGER, at, with_list};

#[test]
fn what_is_back_is_dated_to_its_return() {
    let mut log = Log::steady();
    log.call(at(2, 14, 2), STRANGER, 443, 900, 5000);
    log.call(at(10, 9, 31), STRANGER, 443, 40_000, 5000);
    let findings = log.replay();
    let [finding] = findings.as_slice() else { panic!("{} findings", findings.len()) };
    assert_eq!((finding.first_seen, finding.window.0), (at(10, 9, 31), at(10, 9, 30)));
    assert_eq!(finding.destinations[0].first_seen, at(2, 14, 2), "the probe is told with the destination");
}

#[test]
fn what_a_sleeper_sends_once_it_is_told_belongs_to_its_finding() {
    let mut log = Log::steady();
    log.call(at(2, 14, 2), STRANGER, 443, 900, 5000);
    for (hour, minute) in [(9, 31), (9, 44), (11, 5)] {
        log.call(at(10, hour, minute), STRANGER, 443, 40_000, 5000);
    }
    let findings = log.replay();
    let [finding] = findings.as_slice() else { panic!("{} findings", findings.len()) };
    assert_eq!((finding.count, finding.last_seen), (3, at(10, 11, 5) + 20));
    let to = &finding.destinations[0];
    assert_eq!((to.n_flows, to.bytes_out, to.bytes_in), (4, 120_900, 20_000));
}

#[test]
fn of_a_sleeper_whose_finding_is_gone_nothing_is_told_without_a_reason() {
    let mut log = Log::steady();
    log.call(at(2, 14, 2), STRANGER, 443, 900, 5000);
    log.call(at(10, 9, 31), STRANGER, 443, 40_000, 5000);
    log.call(at(11, 9, 31), STRANGER, 443, 40_000, 5000);
    let [first, second] = log.cut(at(11, 0, 0));
    let mut memory = first.replay_from(Baselines::default(), &Config::defaults(), &with_list()).memory;
    assert_eq!(second.replay_from(memory.clone(), &Config::defaults(), &with_list()).findings.len(), 1, "goes on");
    memory.incidents = detector::score::Incidents::default();
    assert_eq!(second.replay_from(memory, &Config::defaults(), &with_list()).findings, []);
}

#[test]
fn of_a_function_that_was_silent_itself_nothing_is_back() {
    // A host that one run of some calls, and sends more to, of a function that runs on some days only.
    let run_on = |days: &[i64]| {
        let mut log = Log::empty();
        for &day in days {
            for minute in [0, 10, 20] {
                log.call(at(day, 4, minute), PROVIDER, 443, 900, 5000);
            }
        }
        log.call(at(0, 4, 1), STRANGER, 443, 2_000, 5000);
        log.call(at(14, 4, 1), STRANGER, 443, 60_000, 5000);
        log.replay()
    };
    assert_eq!(run_on(&[0, 7, 14]), [], "a run that did without it is no silence");
    let daily: Vec<i64> = (0..15).collect();
    let findings = run_on(&daily);
    let [finding] = findings.as_slice() else { panic!("{} findings", findings.len()) };
    assert_eq!(finding.check, CheckId::DormantReturn);
}
