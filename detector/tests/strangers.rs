//! Who is a stranger to a function that meets new networks all the time.

use detector::finding::{CheckId, Finding};

use crate::log::{Log, STRANGER, at};

/// A steady function that reaches a network it never met before on a port, four times a day.
fn meeting(port: u16) -> Log {
    let mut log = Log::steady();
    for n in 0..48 {
        log.call(at(0, 6 * n, 17), &format!("{}.20.30.40", 60 + n), port, 1500, 4500);
    }
    log
}

#[test]
fn who_mails_ever_new_networks_is_surprised_by_one_on_a_port_of_the_web() {
    let findings = |port, to_port| {
        let mut log = meeting(port);
        log.call(at(10, 9, 31), STRANGER, to_port, 30_000, 5000);
        log.replay()
    };
    for port in [25, 123] {
        let findings = findings(port, 443);
        let [finding] = findings.as_slice() else { panic!("port {port}: {} findings", findings.len()) };
        assert_eq!((finding.check, &*finding.destinations[0].address.to_string()), (CheckId::NewDestination, STRANGER));
        let statement = &finding.evidence[0].statement;
        assert!(statement.contains("8 of its 8 active days brought new networks"), "{statement}");
        assert!(statement.contains("not counted), none of them by port 80, 443 or above 1023"), "{statement}");
    }
    assert_eq!((findings(25, 25), findings(443, 443)), (vec![], vec![]), "one more of those it meets daily");
}

#[test]
fn name_servers_that_were_told_hide_no_later_one() {
    let mut log = Log::steady();
    for n in 0..40 {
        log.call(at(8, 9, 31) + n, &format!("5{}.{n}.8.9", n % 10), 53, 130, 160);
    }
    log.call(at(11, 9, 31), STRANGER, 53, 130, 160);
    let findings = log.replay();
    let is_of = |finding: &&Finding| finding.destinations.iter().any(|to| to.address.to_string() == STRANGER);
    let finding = findings.iter().find(is_of).expect("told");
    assert!(finding.evidence.iter().any(|evidence| evidence.check == CheckId::UnusualResolver), "{finding:?}");
}
