//! Golden cases: for each check something small that it must catch, and a near miss that it must not.
//!
//! A case is one function's [`Log`], replayed whole way.

use std::sync::Arc;

use baselines::Baselines;
use detector::config::Config;
use detector::finding::{CheckId, Evidence};
use detector::pipeline::{InMemoryScratch, Job, Mode, run};
use detector::read::{InMemory, Object};
use detector::write::json;

use crate::log::{DATABASE, FUNCTIONS, Log, PROVIDER, STRANGER, at, knowledge, with_list};

#[test]
fn a_day_of_an_upload_is_told_once() {
    let mut log = Log::steady();
    log.call(at(10, 3, 1), PROVIDER, 443, 30_000_000, 20_000);
    let findings = log.replay();
    let [finding] = findings.as_slice() else { panic!("{} findings", findings.len()) };
    assert_eq!((finding.check, finding.count), (CheckId::EgressVolume, 1), "the calls of the hours after are as ever");
}

/// One case: what happens, and the destination the check must name; `None` where it must stay quiet.
pub(crate) struct Case {
    pub(crate) check: CheckId,
    pub(crate) caught: Option<&'static str>,
    pub(crate) what: &'static str,
    pub(crate) log: fn() -> Log,
}

/// What the check must catch.
const fn caught(check: CheckId, to: &'static str, what: &'static str, log: fn() -> Log) -> Case {
    Case { check, caught: Some(to), what, log }
}

/// What nobody must be told about.
const fn near_miss(check: CheckId, what: &'static str, log: fn() -> Log) -> Case {
    Case { check, caught: None, what, log }
}

pub(crate) const CASES: [Case; 52] = [
    caught(CheckId::NewDestination, STRANGER, "one small upload to a stranger", || {
        let mut log = Log::steady();
        log.call(at(10, 9, 31), STRANGER, 443, 20_000, 5000);
        log
    }),
    near_miss(CheckId::NewDestination, "the provider answers from another address of its prefix", || {
        let mut log = Log::steady();
        log.call(at(10, 9, 31), "198.51.100.99", 443, 20_000, 5000);
        log
    }),
    caught(CheckId::NewPort, PROVIDER, "the provider on a port never used", || {
        let mut log = Log::steady();
        log.call(at(10, 9, 31), PROVIDER, 8443, 900, 5000);
        log
    }),
    near_miss(CheckId::NewPort, "the database's second port", || {
        let mut log = Log::steady();
        log.call(at(10, 9, 31), DATABASE, 5433, 900, 5000);
        log
    }),
    caught(CheckId::EgressVolume, PROVIDER, "60 MB in one connection to the provider", || {
        let mut log = Log::steady();
        log.call(at(10, 9, 31), PROVIDER, 443, 60_000_000, 20_000);
        log
    }),
    caught(CheckId::EgressVolume, PROVIDER, "80 kB, an archive of credentials, to the provider", || {
        let mut log = Log::steady();
        log.call(at(10, 9, 31), PROVIDER, 443, 80_000, 5000);
        log
    }),
    near_miss(CheckId::EgressVolume, "30 kB to the provider", || {
        let mut log = Log::steady();
        log.call(at(10, 9, 31), PROVIDER, 443, 30_000, 5000);
        log
    }),
    near_miss(CheckId::EgressVolume, "twenty times the usual calls, of the usual size", || {
        let mut log = Log::steady();
        for n in 0..20 {
            log.call(at(10, 9, 31) + n * 10, PROVIDER, 443, 900, 5000);
        }
        log
    }),
    caught(CheckId::EgressVolume, PROVIDER, "3.5 MB from a job that runs once a day and sends 5 kB", || {
        let mut log = Log::empty();
        for day in 0..16 {
            log.call(at(day, 3, 0), PROVIDER, 443, 5000, 20_000);
        }
        log.call(at(15, 3, 1), PROVIDER, 443, 3_500_000, 9000);
        log
    }),
    near_miss(
        CheckId::EgressVolume,
        "a thousand times as much over one connection, and as much more in the answers",
        || {
            let mut log = Log::steady();
            log.call(at(10, 9, 31), PROVIDER, 443, 900_000, 5_000_000);
            log
        },
    ),
    near_miss(CheckId::EgressVolume, "a day of four times the usual calls, of the usual size", || {
        let mut log = Log::empty();
        for n in 0..12 * 144 {
            log.call(at(0, 0, n * 10) + n * 37 % 300, PROVIDER, 443, 9000, 5000);
        }
        for n in 0..432 {
            log.call(at(10, 9, 0) + n * 33, PROVIDER, 443, 9000, 5000);
        }
        log
    }),
    caught(CheckId::EgressVolume, PROVIDER, "40 kB every ten minutes for a day, far above what a call sends", || {
        let mut log = Log::steady();
        for n in 0..144 {
            log.call(at(10, 0, n * 10) + 400, PROVIDER, 443, 40_000, 500);
        }
        log
    }),
    caught(CheckId::EgressVolume, STRANGER, "50 MB to what was met on three days, among the webhooks", || {
        let mut log = Log::webhooks();
        for day in 1..4 {
            log.call(at(day, 9, 31), STRANGER, 443, 1500, 4500);
        }
        log.call(at(10, 9, 31), STRANGER, 443, 50_000_000, 5000);
        log
    }),
    caught(
        CheckId::EgressVolume,
        "10.0.0.53",
        "ten thousand lookups in an hour at the function's own resolver",
        || {
            let mut log = Log::steady();
            for n in 0..12 * 144 {
                log.call(at(0, 0, n * 10) + n * 37 % 300, "10.0.0.53", 53, 320, 480);
            }
            for n in 0..3600 {
                log.call(at(10, 9, 0) + n, "10.0.0.53", 53, 450, 450);
            }
            log
        },
    ),
    near_miss(CheckId::EgressVolume, "a hundred times as much to all that it calls, for a quarter of an hour", || {
        let providers = [PROVIDER, "80.20.30.8", "81.20.30.9", "82.20.30.10"];
        let mut log = Log::empty();
        for n in 0..12 * 144 {
            let times = if n == 10 * 144 { 200 } else { 1 };
            for (provider, k) in providers.into_iter().zip(0..).flat_map(|of| std::iter::repeat_n(of, times)) {
                log.call(at(0, 0, n * 10) + n * 37 % 300 + k, provider, 443, 3000, 5000);
            }
        }
        log
    }),
    caught(CheckId::EgressVolume, PROVIDER, "as much to one of them", || {
        let providers = [PROVIDER, "80.20.30.8", "81.20.30.9", "82.20.30.10"];
        let mut log = Log::empty();
        for n in 0..12 * 144 {
            for (provider, k) in providers.into_iter().zip(0..) {
                let times = if n == 10 * 144 && provider == PROVIDER { 200 } else { 1 };
                for _ in 0..times {
                    log.call(at(0, 0, n * 10) + n * 37 % 300 + k, provider, 443, 3000, 5000);
                }
            }
        }
        log
    }),
    near_miss(CheckId::EgressVolume, "a backfill into the database", || {
        let mut log = Log::steady();
        for n in 0..2000 {
            log.call(at(10, 9, 0) + n * 20, DATABASE, 5432, 2500, 3000);
        }
        log
    }),
    caught(CheckId::Beacon, STRANGER, "a poll every 40 minutes among the webhooks", || {
        let mut log = Log::webhooks();
        for n in 0..36 {
            log.call(at(10, 0, 5 + n * 40) + n * 53 % 90, STRANGER, 443, 1500, 4500);
        }
        log
    }),
    near_miss(CheckId::Beacon, "a customer in constant use, in flow logs of ten minutes", || {
        let mut log = Log::webhooks();
        for n in 0..12 * 144 {
            log.use_of_ten_minutes(at(0, 0, n * 10) + 7, "198.51.100.9");
        }
        for n in 0..72 {
            log.use_of_ten_minutes(at(10, 0, n * 10) + n * 53 % 25, STRANGER);
        }
        log
    }),
    near_miss(CheckId::Beacon, "as many contacts among the webhooks, whenever they come", || {
        let mut log = Log::webhooks();
        for n in 0..36 {
            log.call(at(10, 0, 5 + n * n * 7919 % 1400), STRANGER, 443, 1500, 4500);
        }
        log
    }),
    caught(CheckId::Beacon, STRANGER, "a poll every ten minutes of a function that is busy in each of them", || {
        let mut log = Log::webhooks();
        for n in 0..12 * 1440 {
            log.call(at(0, 0, n) + n * 37 % 50, PROVIDER, 443, 900, 5000);
        }
        for n in 0..144 {
            log.call(at(10, 0, 5 + n * 10) + n * 53 % 90, STRANGER, 443, 1500, 4500);
        }
        log
    }),
    near_miss(CheckId::Beacon, "a call in each of the runs of a job among the webhooks", || {
        let mut log = Log::empty();
        for n in 0..12 * 72 {
            log.call(at(0, 0, n * 20), PROVIDER, 443, 900, 5000);
            if n % 12 == 0 {
                log.call(at(0, 0, n * 20) + 3, &format!("{}.20.30.40", 60 + n / 12), 443, 1500, 4500);
            }
            if n >= 10 * 72 {
                log.call(at(0, 0, n * 20) + 7, STRANGER, 443, 1500, 4500);
            }
        }
        log
    }),
    caught(CheckId::LongConnection, STRANGER, "a connection held for six hours among the webhooks", || {
        let mut log = Log::webhooks();
        for n in 0..72 {
            log.call_from(3333, at(10, 9, n * 5) + n * n * 31 % 240, STRANGER, 443, 400, 600);
        }
        log
    }),
    near_miss(CheckId::LongConnection, "a customer's connection, held as long as another's was", || {
        let mut log = Log::webhooks();
        for (day, to, port) in [(3, "99.20.30.40", 3322), (10, STRANGER, 3333)] {
            for n in 0..72 {
                log.call_from(port, at(day, 9, n * 5) + n * n * 31 % 240, to, 443, 400, 600);
            }
            log.call_from(port + 1, at(day, 16, 1), to, 443, 400, 600);
        }
        log
    }),
    near_miss(CheckId::LongConnection, "six hours of connections among the webhooks, each a new one", || {
        let mut log = Log::webhooks();
        for n in 0..72 {
            log.call(at(10, 9, 0) + n * n * 7919 % 21_600, STRANGER, 443, 400, 600);
        }
        log
    }),
    caught(CheckId::UnusualResolver, "9.9.9.9", "lookups at a public resolver among the webhooks", || {
        let mut log = Log::webhooks();
        for n in 0..20 {
            log.call(at(10, 9, 31) + n, "9.9.9.9", 53, 130, 160);
        }
        log
    }),
    near_miss(CheckId::UnusualResolver, "lookups at the resolver it always asked", || {
        let mut log = Log::steady();
        for day in 0..12 {
            log.call(at(day, 9, 31), "9.9.9.9", 53, 130, 160);
        }
        log
    }),
    near_miss(CheckId::UnusualResolver, "lookups at another address of the resolver it always asked", || {
        let mut log = Log::steady();
        for day in 0..12 {
            log.call(at(day, 9, 31), "9.9.9.9", 53, 130, 160);
        }
        log.call(at(10, 9, 32), "149.112.112.112", 53, 130, 160);
        log
    }),
    near_miss(CheckId::UnusualResolver, "one more of the name servers of all the world", || {
        let mut log = Log::steady();
        for day in 0..12 {
            for n in 0..8 {
                log.call(at(day, 9, 31), &format!("5{}.{n}.8.9", day % 10), 53, 130, 160);
            }
        }
        log
    }),
    caught(CheckId::UnusualResolver, "149.112.112.112", "the operator it always asked, now over HTTPS", || {
        let mut log = Log::webhooks();
        for day in 0..12 {
            log.call(at(day, 9, 31), "9.9.9.9", 53, 130, 160);
        }
        for n in 0..20 {
            log.call(at(10, 9, 32) + n, "149.112.112.112", 443, 1300, 1600);
        }
        log
    }),
    caught(CheckId::NoveltyBurst, "60.1.2.3", "four strangers within a minute", || {
        let mut log = Log::steady();
        for n in 0..4 {
            log.call(at(10, 9, 31) + n * 9, &format!("{}.1.2.3", 60 + n), 443, 500, 5000);
        }
        log
    }),
    near_miss(CheckId::NoveltyBurst, "two strangers within a minute among the webhooks", || {
        let mut log = Log::webhooks();
        for n in 0..2 {
            log.call(at(10, 9, 31) + n * 9, &format!("{}.1.2.3", 160 + n), 443, 1500, 4500);
        }
        log
    }),
    caught(CheckId::Beacon, STRANGER, "a sleeper that probed during warm-up and polls", || {
        let mut log = Log::steady();
        log.call(at(3, 5, 7), STRANGER, 443, 700, 5000);
        for n in 0..48 {
            log.call(at(9, 8, 30 * n) + n * 37 % 300, STRANGER, 443, 700, 5000);
        }
        log
    }),
    near_miss(CheckId::Beacon, "a weekly job that calls every half hour of its night", || {
        let mut log = Log::steady();
        for n in 0..24 {
            log.call(at(2 + n / 12 * 7, 1, 30 * (n % 12)) + n * 37 % 300, STRANGER, 443, 700, 5000);
        }
        log
    }),
    caught(CheckId::FanOut, "10.0.7.1", "one port on forty addresses of the VPC", || {
        let mut log = Log::steady();
        for n in 1..41 {
            log.call(at(10, 9, 31) + n, &format!("10.0.7.{n}"), 22, 60, 0);
        }
        log
    }),
    caught(CheckId::FanOut, "198.51.101.7", "twelve addresses of the provider that nobody answers at", || {
        let mut log = Log::steady();
        for n in 1..13 {
            log.call(at(10, 9, 31) + n, &format!("198.51.{}.7", 100 + n), 443, 60, 0);
        }
        log
    }),
    near_miss(
        CheckId::NewDestination,
        "a nightly job that sends five times as much to the next address its store rotates",
        || {
            let mut log = Log::steady();
            for night in 0..11 {
                let bytes = if night == 10 { 40_000_000 } else { 8_000_000 };
                log.call(at(night, 2, 11), &format!("198.51.{}.7", 101 + night), 443, bytes, 50_000);
            }
            log
        },
    ),
    near_miss(CheckId::FanOut, "a nightly job over more of the addresses its store rotates than ever", || {
        let mut log = Log::steady();
        for night in 0..10 {
            for n in 0..if night == 9 { 12 } else { 6 } {
                log.call(at(night, 2, 11) + n, &format!("198.51.{}.7", 101 + night * 6 + n), 443, 900, 5000);
            }
        }
        log
    }),
    near_miss(CheckId::FanOut, "five customers of the webhooks that are down at once", || {
        let mut log = Log::webhooks();
        for n in 0..5 {
            log.call(at(10, 9, 31) + n, &format!("{}.20.30.40", 150 + n), 443, 60, 0);
        }
        log
    }),
    near_miss(CheckId::FanOut, "the database's four new hosts", || {
        let mut log = Log::steady();
        for n in 1..5 {
            log.call(at(10, 9, 31) + n, &format!("10.0.3.{}", 40 + n), 5432, 400, 3000);
        }
        log
    }),
    caught(CheckId::RejectedEgress, STRANGER, "attempts that a security group refuses, among the webhooks", || {
        let mut log = Log::webhooks();
        for n in 0..10 {
            log.refused(at(10, 9, 31) + n * 30, STRANGER, 443);
        }
        log
    }),
    caught(
        CheckId::RejectedEgress,
        STRANGER,
        "one attempt a security group refuses, of a function that meets nobody",
        || {
            let mut log = Log::steady();
            log.refused(at(10, 9, 31), STRANGER, 443);
            log
        },
    ),
    caught(CheckId::RejectedEgress, "60.1.2.3", "four strangers within a minute, each refused", || {
        let mut log = Log::steady();
        for n in 0..4 {
            log.refused(at(10, 9, 31) + n * 9, &format!("{}.1.2.3", 60 + n), 443);
        }
        log
    }),
    caught(CheckId::NewDestination, STRANGER, "attempts that are refused until one gets through", || {
        let mut log = Log::steady();
        for n in 0..10 {
            log.refused(at(10, 9, 31) + n * 30, STRANGER, 8443);
        }
        log.call(at(10, 9, 52), STRANGER, 443, 900, 5000);
        log
    }),
    near_miss(CheckId::RejectedEgress, "the provider refused by mistake", || {
        let mut log = Log::steady();
        for n in 0..10 {
            log.refused(at(10, 9, 31) + n * 30, PROVIDER, 443);
        }
        log
    }),
    caught(CheckId::ThreatList, "192.0.2.66", "a listed address, on the second day", || {
        let mut log = Log::steady();
        log.call(at(1, 9, 31), "192.0.2.66", 443, 900, 5000);
        log
    }),
    near_miss(CheckId::ThreatList, "an answer to a listed scanner", || {
        let mut log = Log::steady();
        log.called_by(at(1, 9, 31), "192.0.2.66", 443);
        log
    }),
    caught(CheckId::DormantReturn, STRANGER, "a probe in the first week, an upload in the second", || {
        let mut log = Log::steady();
        log.call(at(2, 14, 2), STRANGER, 443, 900, 5000);
        log.call(at(10, 9, 31), STRANGER, 443, 40_000, 5000);
        log
    }),
    caught(
        CheckId::DormantReturn,
        STRANGER,
        "a probe on the fourth day, and a call that says more than a handshake",
        || {
            let mut log = Log::steady();
            log.call(at(3, 14, 2), STRANGER, 443, 1500, 5000);
            log.call(at(10, 9, 31), STRANGER, 443, 5400, 5000);
            log
        },
    ),
    near_miss(CheckId::DormantReturn, "a path that is needed now and then", || {
        let mut log = Log::steady();
        log.call(at(0, 14, 2), STRANGER, 443, 1500, 5000);
        log.call(at(1, 17, 2), STRANGER, 443, 1900, 5000);
        log.call(at(10, 9, 31), STRANGER, 443, 2300, 5000);
        log
    }),
    near_miss(CheckId::DormantReturn, "a weekly job at its hour", || {
        let mut log = Log::steady();
        log.call(at(2, 14, 2), STRANGER, 443, 900, 5000);
        log.call(at(9, 14, 3), STRANGER, 443, 950, 5000);
        log
    }),
    near_miss(CheckId::DormantReturn, "a weekly job a little before midnight on Sunday, then a little after", || {
        let mut log = Log::steady();
        log.call(at(6, 23, 57), STRANGER, 443, 900, 5000);
        log.call(at(14, 0, 2), STRANGER, 443, 950, 5000);
        log
    }),
];

#[test]
fn each_check_catches_its_case_and_lets_the_near_miss_pass() {
    let mut wrong = Vec::new();
    for case in &CASES {
        let findings = (case.log)().replay();
        let told: Vec<String> = findings.iter().map(json::render).collect();
        let is_right = match case.caught {
            None => findings.is_empty(),
            Some(to) => matches!(&findings[..], [only] if only.check == case.check
                && only.owner.functions.iter().map(AsRef::as_ref).eq(["api"])
                && only.destinations.iter().any(|destination| destination.address.to_string() == to)),
        };
        if !is_right {
            let wanted = case.caught.map_or("nothing", |_| "one finding");
            wrong.push(format!("{}, {}: {wanted} wanted, told:\n  {}", case.check, case.what, told.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn known_networks_at_new_addresses_are_no_burst() {
    let mut log = Log::steady();
    for n in 0..4 {
        for day in 0..10 {
            log.call(at(day, 9, 31) + n * 9, &format!("{}.1.2.3", 60 + n), 443, 500, 5000);
        }
        log.call(at(11, 9, 31) + n * 9, &format!("{}.1.77.3", 60 + n), 443, 500, 5000);
    }
    let burst = |log: &Log| log.replay().iter().any(|finding| finding.check == CheckId::NoveltyBurst);
    assert!(!burst(&log), "a job that paused finds all its providers at other ones");
    log.call(at(11, 9, 31) + 5, STRANGER, 443, 500, 5000);
    assert!(burst(&log));
}

#[test]
fn a_stranger_that_was_told_before_does_not_hide_the_burst_it_is_part_of() {
    let burst = |told: Option<&str>, hosts: [&str; 3]| {
        let mut log = Log::steady();
        // It meets others now and then, so two strangers by themselves are no news.
        for n in 0..5 {
            log.call(at(2 + n, 15, 7), &format!("{}.20.30.40", 60 + n), 443, 900, 5000);
        }
        if let Some(told) = told {
            log.call(at(8, 3, 11), told, 8000, 60_000_000, 500);
        }
        for (n, host) in hosts.into_iter().enumerate() {
            log.call(at(11, 9, 31) + 20 * n as i64, host, 443, 900, 5000);
        }
        let found = log.replay();
        let is_told = |told: &str| found.iter().any(|finding| finding.title.contains(told));
        assert!(told.is_none_or(is_told), "{found:?}");
        let burst = found.into_iter().find(|finding| finding.check == CheckId::NoveltyBurst);
        burst.map(|finding| finding.destinations.len())
    };
    let hosts = ["203.0.113.99", "192.0.2.99", "198.18.0.9"];
    assert_eq!(burst(None, hosts), Some(3));
    assert_eq!(burst(Some(STRANGER), hosts), Some(3), "one of them is in the network told of three days before");
    let one_inside = ["192.168.7.99", "192.0.2.99", "198.18.0.9"];
    assert_eq!(burst(Some("192.168.7.9"), one_inside), None, "what is inside the VPC is none");
}

#[test]
fn a_service_of_aws_that_is_down_is_no_sweep() {
    let told = |service: &str| {
        let mut log = Log::steady();
        for n in 0..12 * 24 {
            log.call(at(0, n, 17), "52.218.0.7", 443, 900, 5000);
        }
        for n in 1..13 {
            log.call(at(10, 9, 31) + n, &format!("52.218.{n}.7"), 443, 60, 0);
        }
        let mut knowledge = knowledge(FUNCTIONS);
        let ranges = format!(
            r#"{{"syncToken":"1","createDate":"2026-03-01-00-00-00","prefixes":[{{"ip_prefix":"52.218.0.0/17",
            "region":"eu-west-1","service":"{service}","network_border_group":"eu-west-1"}}],"ipv6_prefixes":[]}}"#
        );
        knowledge.networks.add_aws_ranges("ip-ranges.json", ranges.as_bytes()).expect("ranges");
        let findings = log.replay_from(Baselines::default(), &Config::defaults(), &knowledge).findings;
        findings.iter().map(|finding| finding.check).collect::<Vec<_>>()
    };
    assert_eq!(told("S3"), []);
    assert_eq!(told("EC2"), [CheckId::FanOut], "anybody may be there");
}

#[test]
fn what_is_switched_off_says_nothing() {
    for case in CASES.iter().filter(|case| case.caught.is_some()) {
        let mut config = Config::defaults();
        config.checks.retain(|check| *check != case.check);
        let outcome = (case.log)().replay_from(Baselines::default(), &config, &with_list());
        let mut said = outcome
            .findings
            .iter()
            .flat_map(|finding| finding.evidence.iter().map(|evidence| evidence.check).chain([finding.check]));
        assert!(said.all(|check| check != case.check), "{}, {}", case.check, case.what);
    }
}

#[test]
fn far_more_than_ever_to_what_was_told_and_nobody_accepted_makes_it_worse() {
    let told = |sent: u64| {
        let mut log = Log::steady();
        // Hardly anything goes out beside what comes in, until the last call.
        for n in 0..60 {
            log.call(at(9, 9, n * 60), STRANGER, 443, 4000, 600_000);
        }
        log.call(at(11, 21, 31), STRANGER, 443, sent, 20_000);
        let findings = log.replay();
        let [finding] = findings.as_slice() else { panic!("{} findings", findings.len()) };
        let is_volume = |evidence: &Evidence| evidence.check == CheckId::EgressVolume;
        (finding.severity, finding.evidence.iter().any(is_volume))
    };
    let ((usual, false), (more, true)) = (told(4000), told(50_000_000)) else {
        panic!("volumes speak of the last only")
    };
    assert!(more > usual, "{more:?} {usual:?}");
}

#[test]
fn a_function_the_baseline_does_not_know_is_still_learning() {
    let other = FUNCTIONS.replace(":function:api", ":function:web");
    let learned = Log::steady().replay_from(Baselines::default(), &Config::defaults(), &knowledge(&other));
    let knowledge = knowledge(FUNCTIONS);
    let config = Config::defaults();
    let job = Job { config: &config, knowledge: &knowledge, mode: Mode::Scan, span: None, progress: &() };
    let mut log = Log::empty();
    log.call(at(12, 9, 31), STRANGER, 443, 40_000, 5000);
    let object: Arc<dyn Object> = Arc::new(InMemory::new("case.log", log.text.into_bytes()));
    let scratch = Box::new(InMemoryScratch::default());
    let outcome = run(&job, vec![object], learned.memory, scratch).expect("the scratch holds");
    assert_eq!((outcome.findings.len(), outcome.coverage.n_learning), (0, 1));
}
