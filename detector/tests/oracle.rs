//! The oracle: a row-by-row reference, slow and plain, that the group-by on integer keys must equal on random records;
//! and the same records in any order, split, batched or repeated must give the same observations.

#![expect(clippy::indexing_slicing, reason = "a test that fails by indexing says all there is to say")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use baselines::ladder::to_ip;
use baselines::observation::Observations;
use detector::read::{InMemory, Limits, open};
use detector::rollup::{Interface, Known, Rollup};
use proptest::prelude::*;

const HEADER: &str = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags flow-direction";

/// One record as the reference sees it. Ports are such that flags or ports always decide who asks.
#[derive(Clone, Debug)]
struct Record {
    eni: u8,
    peer: IpAddr,
    local_port: u16,
    port: u16,
    outbound: bool,
    asked_by_us: bool,
    packets: u32,
    bytes: u32,
    start: i64,
    secs: i64,
    rejected: bool,
}

impl Record {
    fn line(&self) -> String {
        let own = match self.peer {
            IpAddr::V4(_) => format!("10.0.0.{}", self.eni),
            IpAddr::V6(_) => format!("fd00::{}", self.eni),
        };
        let (ours, theirs) = if self.asked_by_us { (self.local_port, self.port) } else { (self.port, self.local_port) };
        let peer = self.peer.to_string();
        let (src, dst, ports) =
            if self.outbound { (&own, &peer, (ours, theirs)) } else { (&peer, &own, (theirs, ours)) };
        let action = if self.rejected { "REJECT" } else { "ACCEPT" };
        let direction = if self.outbound { "egress" } else { "ingress" };
        format!(
            "eni-{} {src} {dst} {} {} 6 {} {} {} {} {action} OK 0 {direction}",
            self.eni,
            ports.0,
            ports.1,
            self.packets,
            self.bytes,
            self.start,
            self.start + self.secs
        )
    }
}

fn record() -> impl Strategy<Value = Record> {
    let peer = prop_oneof![
        (1u8..6).prop_map(|n| IpAddr::from([203, 0, 113, n])),
        (1u16..4).prop_map(|n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n])),
    ];
    let ports = (20_000u16..20_006, prop::sample::select(vec![443u16, 80, 22, 5432]));
    let amounts = (1u32..1000, 40u32..1_000_000);
    let time = (1_774_948_000i64..1_774_952_000, 0i64..60);
    let bools = (any::<bool>(), prop::bool::weighted(0.8), prop::bool::weighted(0.1));
    (1u8..4, peer, ports, amounts, time, bools).prop_map(|(eni, peer, ports, amounts, time, bools)| Record {
        eni,
        peer,
        local_port: ports.0,
        port: ports.1,
        outbound: bools.0,
        asked_by_us: bools.1,
        packets: amounts.0,
        bytes: amounts.1,
        start: time.0,
        secs: time.1,
        rejected: bools.2,
    })
}

/// Interface, address, port and window; flows, rejected, bytes out, packets and bytes in, first, last, minutes.
type Dump = BTreeMap<(String, IpAddr, u16, i64), (u32, u32, u64, u64, u64, i64, i64, u16)>;

/// What the observations must be, record by record.
fn reference(records: &[Record]) -> Dump {
    let mut out = Dump::new();
    for r in records.iter().filter(|r| r.asked_by_us) {
        let window = r.start - r.start.rem_euclid(600);
        let entry = out.entry((format!("eni-{}", r.eni), r.peer, r.port, window)).or_insert((
            0,
            0,
            0,
            0,
            0,
            i64::MAX,
            i64::MIN,
            0,
        ));
        entry.5 = entry.5.min(r.start);
        entry.6 = entry.6.max(r.start + r.secs);
        match (r.outbound, r.rejected) {
            (true, rejected) => {
                entry.7 |= 1 << ((r.start - window) / 60);
                if rejected {
                    entry.1 += 1;
                } else {
                    entry.0 += 1;
                    entry.2 += u64::from(r.bytes);
                }
            }
            (false, false) => {
                entry.3 += u64::from(r.packets);
                entry.4 += u64::from(r.bytes);
            }
            (false, true) => {}
        }
    }
    // What only came in is kept for what asked, which another object may tell of; what was refused to come in says
    // nothing.
    out.retain(|_, v| v.0 + v.1 > 0 || v.3 > 0);
    out
}

fn dump(observations: &Observations) -> Dump {
    let rows = observations.rows.iter().map(|row| {
        let eni = observations.enis[row.eni as usize].id.to_string();
        let peer = to_ip(observations.peers[row.peer as usize].address);
        let values = (
            row.n_flows,
            row.n_rejected,
            row.bytes_out,
            row.packets_in,
            row.bytes_in,
            row.first,
            row.last,
            row.minutes,
        );
        ((eni, peer, row.port, row.window.start()), values)
    });
    let n = observations.rows.len();
    let out: Dump = rows.collect();
    assert_eq!(out.len(), n, "one row a key");
    out
}

/// Adds records in batches of a size.
fn push(rollup: &mut Rollup, records: &[Record], batch_rows: usize) {
    let limits = Limits { max_batch_rows: batch_rows, ..Limits::DEFAULT };
    let text =
        std::iter::once(HEADER.to_owned()).chain(records.iter().map(Record::line)).collect::<Vec<_>>().join("\n");
    let opened = open(Arc::new(InMemory::new("part.log", text.into_bytes())), &limits).expect("a flow log");
    let mut judge = |id: &str| Interface::Judged(Known::itself(id).into());
    opened.read_all(&mut |batch| rollup.push(&batch, &mut judge)).expect("readable");
}

/// Rolls records up in batches of a size, as so many units of one object.
fn rolled(records: &[Record], batch_rows: usize, n_units: usize) -> Observations {
    let mut whole: Option<Rollup> = None;
    for part in records.chunks(records.len().div_ceil(n_units).max(1)) {
        let mut rollup = Rollup::new(None);
        push(&mut rollup, part, batch_rows);
        match &mut whole {
            Some(whole) => whole.merge(rollup),
            None => whole = Some(rollup),
        }
    }
    finished(&mut whole.unwrap_or_default())
}

#[test]
fn nobodys_rows_describe_no_interface() {
    let text = "interface-id account-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n\
        - 999999999999 10.0.0.1 203.0.113.7 40000 443 6 5 500 1774948300 1774948330 ACCEPT OK\n\
        eni-1 111122223333 10.0.0.1 203.0.113.7 40000 443 6 5 500 1774948300 1774948330 ACCEPT OK\n";
    let opened = open(Arc::new(InMemory::new("a.log", text)), &Limits::DEFAULT).expect("a flow log");
    let mut rollup = Rollup::new(None);
    let mut judge = |id: &str| Interface::Judged(Known::itself(id).into());
    opened.read_all(&mut |batch| rollup.push(&batch, &mut judge)).expect("readable");
    let accounts: Vec<_> = finished(&mut rollup).enis.iter().map(|eni| eni.account.to_string()).collect();
    assert_eq!(accounts, ["111122223333"]);
}

#[test]
fn what_comes_back_without_ports_is_counted() {
    let text = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n\
        eni-1 10.0.0.1 203.0.113.7 0 0 1 5 500 1774948300 1774948330 ACCEPT OK\n\
        eni-1 203.0.113.7 10.0.0.1 0 0 1 4 400 1774948301 1774948331 ACCEPT OK\n";
    let opened = open(Arc::new(InMemory::new("a.log", text)), &Limits::DEFAULT).expect("a flow log");
    let mut rollup = Rollup::new(None);
    let own = vec![baselines::ladder::from_ip("10.0.0.1".parse().expect("an address"))];
    let mut judge = |id: &str| Interface::Judged(Known { own: own.clone(), ..Known::itself(id) }.into());
    opened.read_all(&mut |batch| rollup.push(&batch, &mut judge)).expect("readable");
    let amounts: Vec<_> = finished(&mut rollup).rows.iter().map(|row| (row.bytes_out, row.bytes_in)).collect();
    assert_eq!(amounts, [(500, 400)]);
}

fn finished(rollup: &mut Rollup) -> Observations {
    rollup.finish().0.sorted()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_group_by_equals_the_reference(records in prop::collection::vec(record(), 1..200)) {
        prop_assert_eq!(dump(&rolled(&records, 4096, 1)), reference(&records));
    }

    #[test]
    fn an_object_before_says_nothing(
        before in prop::collection::vec(record(), 1..100),
        records in prop::collection::vec(record(), 1..100),
    ) {
        let mut rollup = Rollup::new(None);
        push(&mut rollup, &before, 4096);
        prop_assert_eq!(dump(&finished(&mut rollup)), reference(&before));
        push(&mut rollup, &records, 4096);
        prop_assert_eq!(dump(&finished(&mut rollup)), reference(&records));
    }

    #[test]
    fn order_batches_and_units_change_nothing(
        (records, shuffled) in prop::collection::vec(record(), 1..120).prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle())),
        batch_rows in 1usize..40,
        n_units in 1usize..5,
    ) {
        let (once, again) = (rolled(&records, 4096, 1), rolled(&shuffled, batch_rows, n_units));
        prop_assert_eq!(&once.rows, &again.rows);
        prop_assert_eq!(&once.peers, &again.peers);
        prop_assert_eq!(&once.enis, &again.enis);
    }
}
