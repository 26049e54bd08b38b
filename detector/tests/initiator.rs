//! Who opened a connection: hand-made cases of every kind, with and without the fields of version 5.
//!
//! Each case is a few lines of a flow log and the destinations that must come out as call-outs. The interface is
//! `eni-1` at 10.0.0.5; there is no inventory, so its own address has to be found too, but where the case is about a
//! function's interface: that is what an inventory tells.

#![expect(clippy::indexing_slicing, reason = "a test that fails by indexing says all there is to say")]

use std::sync::Arc;

use baselines::ladder::{from_ip, to_ip};
use detector::config::Config;
use detector::pipeline::{InMemoryScratch, Job, Knowledge, Memory, Mode, details, run};
use detector::read::{InMemory, Limits, Object, open};
use detector::rollup::{Account, Interface, Known, Rollup};

/// The default fields of version 2, and the ones that tell more.
const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
const FLAGS: &str =
    "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags";
const V5: &str = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags flow-direction pkt-srcaddr pkt-dstaddr";

/// The destinations of the call-outs in a log, sorted, and the account of its rows.
fn call_outs(is_lambda: bool, header: &str, lines: &[&str]) -> (Vec<String>, Account) {
    let own: &[&str] = if is_lambda { &[OWN, OWN_IPV6] } else { &[] };
    call_outs_of(own, is_lambda, header, lines)
}

/// The same where an inventory tells these addresses of the interface.
fn call_outs_of(own: &[&str], is_lambda: bool, header: &str, lines: &[&str]) -> (Vec<String>, Account) {
    let text = format!("{header}\n{}\n", lines.join("\n"));
    let object = Arc::new(InMemory::new("case.log", text.into_bytes()));
    let mut rollup = Rollup::new(None);
    let opened = open(object, &Limits::DEFAULT).expect("a flow log");
    let own: Vec<u128> = own.iter().map(|own| from_ip(own.parse().expect("an address"))).collect();
    let mut judge = |id: &str| Interface::Judged(Known { is_lambda, own: own.clone(), ..Known::itself(id) }.into());
    let account = opened.read_all(&mut |batch| rollup.push(&batch, &mut judge)).expect("readable");
    assert_eq!(account.n_rejected(), 0, "the case itself is in order");
    let (observations, rows) = rollup.finish();
    let mut out: Vec<String> = observations
        .rows
        .iter()
        .map(|row| format!("{}:{}", to_ip(observations.peers[row.peer as usize].address), row.port))
        .collect();
    out.sort();
    out.dedup();
    (out, rows)
}

fn check(header: &str, lines: &[&str], expected: &[&str]) {
    check_of(false, header, lines, expected);
}

fn check_of(is_lambda: bool, header: &str, lines: &[&str], expected: &[&str]) {
    let (found, account) = call_outs(is_lambda, header, lines);
    assert_eq!(found, expected);
    let n = account.n_observed + account.n_not_egress;
    assert_eq!(n, lines.len() as u64, "every row is in exactly one place");
    let mut turned: Vec<&str> = lines.to_vec();
    turned.reverse();
    assert_eq!(call_outs(is_lambda, header, &turned).0, expected, "the order of records decides nothing");
}

/// A version 2 record.
fn v2(src: &str, dst: &str, ports: (u16, u16), protocol: u8) -> String {
    format!("2 1 eni-1 {src} {dst} {} {} {protocol} 5 500 1774948300 1774948330 ACCEPT OK", ports.0, ports.1)
}

fn flags(src: &str, dst: &str, ports: (u16, u16), flags: u8) -> String {
    format!("eni-1 {src} {dst} {} {} 6 5 500 1774948300 1774948330 ACCEPT OK {flags}", ports.0, ports.1)
}

fn v5(src: &str, dst: &str, ports: (u16, u16), flags: u8, direction: &str, packet: (&str, &str)) -> String {
    format!(
        "eni-1 {src} {dst} {} {} 6 5 500 1774948300 1774948330 ACCEPT OK {flags} {direction} {} {}",
        ports.0, ports.1, packet.0, packet.1
    )
}

fn all(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

const OWN: &str = "10.0.0.5";
const OWN_IPV6: &str = "2001:db8::5";
const HOST: &str = "203.0.113.7";

#[test]
fn a_client_is_told_by_the_port_it_calls() {
    let lines =
        [v2(OWN, HOST, (40_001, 443), 6), v2(HOST, OWN, (443, 40_001), 6), v2(OWN, "203.0.113.8", (40_002, 443), 6)];
    check(V2, &all(&lines), &["203.0.113.7:443", "203.0.113.8:443"]);
}

#[test]
fn a_scanned_server_calls_nobody() {
    let lines: Vec<String> = (1..20u8)
        .flat_map(|n| {
            let stranger = format!("198.51.100.{n}");
            let port = 50_000 + u16::from(n);
            [v2(&stranger, OWN, (port, 22), 6), v2(OWN, &stranger, (22, port), 6)]
        })
        .collect();
    check(V2, &all(&lines), &[]);
}

#[test]
fn answers_alone_are_no_call_outs() {
    // The inbound half was dropped or came in another object: only the replies are here.
    let lines: Vec<String> =
        (1..9u8).map(|n| v2(OWN, &format!("198.51.100.{n}"), (443, 50_000 + u16::from(n)), 6)).collect();
    check(V2, &all(&lines), &[]);
}

#[test]
fn a_port_many_share_is_the_servers() {
    // Neither port is known: 9333 serves three clients, so the interface that owns it answers.
    let lines: Vec<String> = (1..4u16)
        .flat_map(|n| {
            let client = format!("10.0.1.{n}");
            [v2(&client, OWN, (40_000 + n, 9333), 6), v2(OWN, &client, (9333, 40_000 + n), 6)]
        })
        .collect();
    check(V2, &all(&lines), &[]);
}

#[test]
fn a_port_many_connections_go_to_is_the_servers() {
    let lines: Vec<String> =
        (1..4u16).flat_map(|n| [v2(OWN, HOST, (40_000 + n, 9333), 6), v2(HOST, OWN, (9333, 40_000 + n), 6)]).collect();
    check(V2, &all(&lines), &["203.0.113.7:9333"]);
}

#[test]
fn pools_and_second_stages_are_called_from_whatever_port() {
    // From the lowest port an interface takes: of two ports that say nothing the lower is the server's.
    for port in [1224, 1337, 3333, 4444, 5556, 7777, 14_433, 14_444, 31_337, 50_050] {
        let lines = [v2(OWN, HOST, (1024, port), 6), v2(HOST, OWN, (port, 1024), 6)];
        check(V2, &all(&lines), &[&format!("{HOST}:{port}")]);
    }
}

#[test]
fn the_syn_outweighs_the_ports() {
    // From port 443 of the interface to a high port outside: the SYN says who asks.
    let lines = [flags(OWN, HOST, (443, 50_123), 2), flags(HOST, OWN, (50_123, 443), 18)];
    check(FLAGS, &all(&lines), &["203.0.113.7:50123"]);
    let lines = [flags(HOST, OWN, (443, 50_123), 2), flags(OWN, HOST, (50_123, 443), 18)];
    check(FLAGS, &all(&lines), &[]);
}

#[test]
fn the_syn_of_one_record_speaks_for_the_connection() {
    let lines = [
        flags(OWN, HOST, (40_001, 50_123), 2),
        flags(HOST, OWN, (50_123, 40_001), 0),
        flags(OWN, HOST, (40_001, 50_123), 0),
    ];
    check(FLAGS, &all(&lines), &["203.0.113.7:50123"]);
    let lines = [flags(HOST, OWN, (50_123, 40_001), 3), flags(OWN, HOST, (40_001, 50_123), 0)];
    check(FLAGS, &all(&lines), &[]);
}

#[test]
fn direction_tells_the_own_side() {
    // Two private addresses: without direction either could be the interface's own.
    let pair = ("10.0.0.5", "10.0.7.9");
    let lines = [
        v5(pair.0, pair.1, (40_001, 5432), 2, "egress", pair),
        v5(pair.1, pair.0, (5432, 40_001), 18, "ingress", (pair.1, pair.0)),
    ];
    check(V5, &all(&lines), &["10.0.7.9:5432"]);
    let lines = [
        v5(pair.1, pair.0, (40_001, 5432), 2, "ingress", (pair.1, pair.0)),
        v5(pair.0, pair.1, (5432, 40_001), 18, "egress", pair),
    ];
    check(V5, &all(&lines), &[]);
}

#[test]
fn a_nat_gateways_copy_is_not_counted_again() {
    // The gateway at 10.0.0.5 passes on what 10.0.1.9 sends to the host.
    let lines = [
        v5("10.0.1.9", OWN, (40_001, 443), 2, "ingress", ("10.0.1.9", HOST)),
        v5(OWN, HOST, (1025, 443), 2, "egress", (OWN, HOST)),
        v5(HOST, OWN, (443, 1025), 18, "ingress", (HOST, OWN)),
        v5(OWN, "10.0.1.9", (443, 40_001), 18, "egress", (HOST, "10.0.1.9")),
    ];
    check(V5, &all(&lines), &[]);
}

#[test]
fn a_ping_is_answered_not_made() {
    let lines = [v2("198.51.100.9", OWN, (0, 0), 1), v2(OWN, "198.51.100.9", (0, 0), 1)];
    check(V2, &all(&lines), &[]);
    check(V2, &[&v2(OWN, HOST, (0, 0), 1), &v2(OWN, HOST, (40_001, 443), 6)], &["203.0.113.7:0", "203.0.113.7:443"]);
}

#[test]
fn a_functions_interface_asks_where_both_sides_speak_in_one_second() {
    // A tunnel in pings, and in GRE: the reply is told of the same second.
    for protocol in [1, 47] {
        let lines = [v2(OWN, HOST, (0, 0), protocol), v2(HOST, OWN, (0, 0), protocol)];
        check_of(true, V2, &all(&lines), &["203.0.113.7:0"]);
        check(V2, &all(&lines), &[]);
    }
}

#[test]
fn a_ping_that_brings_much_more_than_it_gets_asks() {
    // Whose interface it is nobody knows, and both sides are told of the same second.
    let sent =
        |packets: u32, src, dst| format!("2 - eni-1 {src} {dst} 0 0 1 {packets} {} 0 50 ACCEPT OK", packets * 90);
    let lines = |out, back| [sent(out, OWN, HOST), sent(back, HOST, OWN)];
    check(V2, &all(&lines(600, 30)), &["203.0.113.7:0"]);
    check(V2, &all(&lines(600, 400)), &[]);
    check(V2, &all(&lines(30, 600)), &[]);
}

#[test]
fn an_unreachable_message_is_an_answer() {
    let lines = [v2("198.51.100.9", OWN, (53_000, 161), 17), v2(OWN, "198.51.100.9", (0, 0), 1)];
    check(V2, &all(&lines), &[]);
}

#[test]
fn a_functions_interface_asks_also_from_a_lower_port() {
    // Ports from 1024 up are given to a function's connections: below or above that of the host means nothing.
    for port in [20_000, 45_000] {
        let tcp = [v2(OWN, HOST, (port, 31_007), 6), v2(HOST, OWN, (31_007, port), 6)];
        check_of(true, V2, &all(&tcp), &["203.0.113.7:31007"]);
        let udp = [v2(OWN, HOST, (port, 31_007), 17), v2(HOST, OWN, (31_007, port), 17)];
        check_of(true, V2, &all(&udp), &["203.0.113.7:31007"]);
        let ipv6 = [v2(OWN_IPV6, "2001:db8:f::7", (port, 31_007), 6), v2("2001:db8:f::7", OWN_IPV6, (31_007, port), 6)];
        check_of(true, V2, &all(&ipv6), &["2001:db8:f::7:31007"]);
    }
    // Later records of a connection, whose SYN another object holds.
    let held = [
        v5(OWN, HOST, (9999, 14_007), 0, "egress", (OWN, HOST)),
        v5(HOST, OWN, (14_007, 9999), 0, "ingress", (HOST, OWN)),
    ];
    check_of(true, V5, &all(&held), &["203.0.113.7:14007"]);
    check(V5, &all(&held), &[]);
}

#[test]
fn a_functions_interface_asks_also_from_a_port_it_shares() {
    // One local port to three hosts: elsewhere that is a server's.
    let lines: Vec<String> = (1..4u8).map(|n| v2(OWN, &format!("203.0.113.{n}"), (20_000, 31_007), 6)).collect();
    check_of(true, V2, &all(&lines), &["203.0.113.1:31007", "203.0.113.2:31007", "203.0.113.3:31007"]);
    check(V2, &all(&lines), &[]);
}

#[test]
fn flags_speak_against_a_functions_interface_too() {
    let scan = [flags(HOST, OWN, (50_123, 20_000), 2), flags(OWN, HOST, (20_000, 50_123), 0)];
    check_of(true, FLAGS, &all(&scan), &[]);
    check_of(true, FLAGS, &[&flags(OWN, HOST, (20_000, 50_123), 18)], &[]);
}

#[test]
fn both_families_have_an_own_address() {
    let lines = [
        v2("2001:db8::5", "2001:db8:ffff::7", (40_001, 443), 6),
        v2("2001:db8::5", "2001:db8:ffff::8", (40_001, 443), 6),
        v2("2001:db8:ffff::7", "2001:db8::5", (443, 40_001), 6),
        v2(OWN, HOST, (40_001, 443), 6),
        v2(HOST, OWN, (443, 40_001), 6),
    ];
    check(V2, &all(&lines), &["2001:db8:ffff::7:443", "2001:db8:ffff::8:443", "203.0.113.7:443"]);
}

#[test]
fn packets_without_options_ask_for_nothing() {
    // Somebody knocks at a high port from a lower one, and is refused. The SYN is in another object, or not told.
    let refusal = |src: &str, dst: &str, bytes, packets| {
        format!("2 1 eni-1 {src} {dst} 60732 20772 6 {packets} {bytes} 1774948300 1774948330 ACCEPT OK")
    };
    let call = v2(OWN, HOST, (40_001, 443), 6);
    let stranger = "198.51.100.9";
    check(V2, &[&call, &refusal(OWN, stranger, 40, 1)], &["203.0.113.7:443"]);
    check(V2, &[&call, &refusal(OWN, stranger, 120, 3)], &["203.0.113.7:443"]);
    check(V2, &[&call, &refusal(OWN, stranger, 44, 1)], &["198.51.100.9:20772", "203.0.113.7:443"]);
    let call = v2(OWN_IPV6, "2a00:1450::1", (40_001, 443), 6);
    let others = v2(OWN_IPV6, "2a00:1450::2", (40_001, 443), 6);
    let expected = ["2a00:1450::1:443", "2a00:1450::2:443"];
    check(V2, &[&call, &others, &refusal(OWN_IPV6, "2001:db8:f::7", 60, 1)], &expected);
    // Who knocks without options is no server that an interface called.
    let knocked = [refusal(stranger, OWN, 40, 1), refusal(OWN, stranger, 40, 1)];
    let (_, account) = call_outs(false, V2, &all(&knocked));
    assert_eq!(account.n_observed + account.n_not_egress, 2);
    check_of(true, V2, &[&refusal(OWN, HOST, 40, 1)], &["203.0.113.7:20772"]);
}

/// What logs in so many objects of default fields come to: counts of observations, of records observed and of those
/// that are no egress, and what is known then.
fn learned_of(objects: &[String]) -> (u64, u64, u64, String) {
    let objects = (1..).zip(objects).map(|(n, lines)| {
        Arc::new(InMemory::new(format!("{n}.log"), format!("{V2}\n{lines}").into_bytes())) as Arc<dyn Object>
    });
    let (config, knowledge) = (Config::defaults(), Knowledge::default());
    let job = Job { config: &config, knowledge: &knowledge, mode: Mode::Learn, span: None, progress: &() };
    let scratch = Box::new(InMemoryScratch::default());
    let outcome = run(&job, objects.collect(), Memory::default(), scratch).expect("the scratch holds");
    let known = details(&outcome.memory.baselines, &config);
    let coverage = outcome.coverage;
    (coverage.n_observations, coverage.n_observed, coverage.n_not_egress, format!("{known:?}"))
}

#[test]
fn whose_address_an_interface_s_is_all_objects_say_together() {
    let call = |to: &str, minute: i64| {
        let start = 1_774_948_300 + 60 * minute;
        let line = |hosts: [&str; 2], ports: [u16; 2]| {
            let ([src, dst], [from, to]) = (hosts, ports);
            format!("2 1 eni-1 {src} {dst} {from} {to} 6 5 500 {start} {} ACCEPT OK\n", start + 30)
        };
        line([OWN, to], [40_001, 5432]) + &line([to, OWN], [5432, 40_001])
    };
    // A scanner inside the VPC knocks where nothing else is told, and a database is all that is called elsewhere.
    let scan: String = [21, 22, 23, 80, 443, 3306, 5432]
        .map(|port| format!("2 1 eni-1 10.0.7.9 {OWN} 50000 {port} 6 1 44 1774948300 1774948330 REJECT OK\n"))
        .concat();
    let parts = [call("10.0.3.4", 0), scan, call("10.0.3.4", 9) + &call("198.51.100.7", 9)];
    let at_once = learned_of(&[parts.concat()]);
    assert_eq!((at_once.0, at_once.1, at_once.2), (3, 6, 7));
    assert_eq!(learned_of(&parts), at_once);
    let [first, second, third] = parts;
    assert_eq!(learned_of(&[second, third, first]), at_once, "whichever comes first");
}

#[test]
fn a_private_ipv6_address_is_no_more_an_interface_s_own_than_a_public_one() {
    // One object tells of a call inside alone; of the others' records the interface's own address is on all.
    let call = |to: &str| v2(OWN_IPV6, to, (40_001, 443), 6) + "\n" + &v2(to, OWN_IPV6, (443, 40_001), 6) + "\n";
    for inside in ["fd00::7", "fe80::1", "64:ff9b::10.0.3.4"] {
        let parts = [call(inside), call("2a00:1450::1"), call("2a00:1450::2")];
        let at_once = learned_of(&[parts.concat()]);
        assert_eq!((at_once.0, at_once.1, at_once.2), (3, 6, 0));
        assert_eq!(learned_of(&parts), at_once, "{inside}");
        assert_eq!(learned_of(&parts[..1]).0, 1, "where nothing else is told, who asks is the interface");
    }
}

#[test]
fn refused_attempts_are_call_outs() {
    let line = "2 1 eni-1 10.0.0.5 203.0.113.7 40001 443 6 1 40 1774948300 1774948330 REJECT OK";
    check(V2, &[line], &["203.0.113.7:443"]);
}

#[test]
fn an_inventory_that_tells_one_family_hides_no_call_of_the_other() {
    let host = "2a00:1450::1";
    let lines = [
        v2(OWN, HOST, (40_000, 443), 6),
        v2(HOST, OWN, (443, 40_000), 6),
        v2(OWN_IPV6, host, (40_001, 443), 6),
        v2(host, OWN_IPV6, (443, 40_001), 6),
    ];
    let (found, account) = call_outs_of(&[OWN], true, V2, &all(&lines));
    assert_eq!(found, ["203.0.113.7:443", "2a00:1450::1:443"]);
    assert_eq!(account.n_not_egress, 0);
}
