//! The object of a drill: its connections as AWS would have logged them, read like everything else.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use baselines::observation::Observations;

use super::connection::{Connection, Ending, ICMP};
use super::habits::Habits;
use super::scene::own_address;
use super::wire::{self, Totals};
use crate::pipeline::{Gathered, Job, observe};
use crate::read::{InMemory, Object};

/// What says who asked whom, whatever fields the user's own logs have.
const HEADER: &str = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status \
                      tcp-flags flow-direction";

/// Addresses of an interface the inventory knows nothing of.
const SOME_OWN: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(10, 255, 255, 250), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xfa));

/// The aggregation interval of the user's logs: 600 s when a single flow record lasts longer than a minute allows.
pub(super) fn interval_secs(gathered: &Gathered) -> i64 {
    let mut rows = gathered.sets().flat_map(|(_, set)| &set.rows);
    if rows.any(|row| row.n_flows == 1 && row.n_rejected == 0 && row.last - row.first > 90) { 600 } else { 60 }
}

/// What reading the connections gives, with the flow log of the function's own interface: two flow logs must not both
/// tell of it.
pub(super) fn observations(
    job: &Job<'_>,
    habits: &Habits,
    enis: &[Arc<str>],
    connections: &[Connection],
    interval_secs: i64,
) -> Vec<(String, Observations)> {
    let mut read = Vec::new();
    for (number, eni) in enis.iter().enumerate() {
        let flow_log = habits.enis.get(eni).map(|(_, flow_log)| Arc::clone(flow_log)).unwrap_or_default();
        let mut text = format!("{HEADER}\n");
        for connection in connections.iter().filter(|connection| connection.interface == number) {
            let own = match connection.peer {
                IpAddr::V4(_) => own_address(job.knowledge, eni).unwrap_or(SOME_OWN.0).into(),
                IpAddr::V6(_) => IpAddr::V6(SOME_OWN.1),
            };
            records(&mut text, eni, own, connection, interval_secs);
        }
        let object: Arc<dyn Object> = Arc::new(InMemory::new(format!("drill_{flow_log}_.log"), text.into_bytes()));
        read.extend(observe(job, &object).map(|observed| (flow_log.to_string(), observed.observations)));
    }
    read
}

/// Appends a connection's records, both directions, window by window.
fn records(text: &mut String, eni: &str, own: IpAddr, connection: &Connection, interval_secs: i64) {
    let action = if connection.ending == Ending::Refused { "REJECT" } else { "ACCEPT" };
    let protocol = connection.protocol;
    let (own_port, port) = if protocol == ICMP { (0, 0) } else { (connection.local_port, connection.peer_port) };
    for (window, passed) in wire::windows(connection, interval_secs, |at| at.div_euclid(interval_secs)) {
        let start = (window * interval_secs).min(passed.first);
        let end = (window * interval_secs + interval_secs - 1).max(passed.last);
        let mut record = |totals: Totals, from: (IpAddr, u16), to: (IpAddr, u16), direction: &str| {
            if totals.packets > 0 {
                let Totals { packets, bytes, flags } = totals;
                let _infallible = writeln!(
                    text,
                    "{eni} {} {} {} {} {protocol} {packets} {bytes} {start} {end} {action} OK {flags} {direction}",
                    from.0, to.0, from.1, to.1
                );
            }
        };
        record(passed.out, (own, own_port), (connection.peer, port), "egress");
        record(passed.into, (connection.peer, port), (own, own_port), "ingress");
    }
}
