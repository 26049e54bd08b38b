//! Ground truth: what a perfect detector would say about a fleet, written beside the logs as `truth.json`.

use std::{collections::BTreeSet, net::IpAddr};

use detector::drill::letters::{Form, Shape};
use serde::Serialize;

use crate::{
    calendar::{Secs, rfc3339},
    fleet::{Addresses, Fleet, Kind, destination},
};

/// An address, port and protocol reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Reached {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) protocol: &'static str,
}

impl Reached {
    pub(crate) fn new(address: IpAddr, port: u16, protocol: u8) -> Self {
        let protocol = match protocol {
            destination::TCP => "tcp",
            destination::UDP => "udp",
            _ => "icmp",
        };
        Self { address, port, protocol }
    }
}

/// One call-out of a compromised dependency.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    pub(crate) shape: Shape,
    /// For `S`, what followed the deployment.
    pub(crate) form: Form,
    pub(crate) function: usize,
    pub(crate) destinations: BTreeSet<Reached>,
    pub(crate) start: Secs,
    pub(crate) end: Secs,
}

/// Something ordinary that could be mistaken for a call-out; `kind` starts with its letter in the list of incidents.
#[derive(Clone, Debug)]
pub(crate) struct Benign {
    pub(crate) kind: &'static str,
    pub(crate) function: Option<usize>,
    /// Number of the destination concerned, when it is one.
    pub(crate) destination: Option<usize>,
    pub(crate) start: Secs,
    pub(crate) end: Secs,
}

/// The written form.
#[derive(Debug, Serialize)]
pub(crate) struct Truth {
    start: String,
    end: String,
    attacks: Vec<WrittenAttack>,
    benign: Vec<WrittenBenign>,
    /// Everything each function calls of its own accord, so that any false alert has a cause.
    habits: Vec<Habit>,
}

#[derive(Debug, Serialize)]
struct WrittenAttack {
    shape: char,
    form: char,
    function: String,
    destinations: Vec<Reached>,
    start: String,
    end: String,
}

#[derive(Debug, Serialize)]
struct WrittenBenign {
    kind: &'static str,
    function: Option<String>,
    destinations: Vec<Blocks>,
    start: String,
    end: String,
}

#[derive(Debug, Serialize)]
struct Habit {
    function: String,
    destination: String,
    kind: Kind,
    #[serde(flatten)]
    blocks: Blocks,
}

/// A destination as the blocks its addresses come from.
#[derive(Debug, Serialize)]
struct Blocks {
    prefixes: Vec<String>,
    port: u16,
    protocol: u8,
}

fn blocks(fleet: &Fleet, number: usize) -> Blocks {
    let d = &fleet.destinations[number];
    let homes = d.homes.iter().map(|(_, a)| a).chain(&d.home6);
    let prefixes: BTreeSet<String> = homes.flat_map(Addresses::prefixes).map(|p| p.to_string()).collect();
    Blocks { prefixes: prefixes.into_iter().collect(), port: d.port, protocol: d.protocol }
}

impl Truth {
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let name = |f: usize| fleet.functions[f].name.clone();
        Self {
            start: rfc3339(fleet.span.start),
            end: rfc3339(fleet.span.end),
            attacks: fleet
                .attacks
                .iter()
                .map(|a| WrittenAttack {
                    shape: a.shape.letter(),
                    form: a.form.letter(),
                    function: name(a.function),
                    destinations: a.destinations.iter().cloned().collect(),
                    start: rfc3339(a.start),
                    end: rfc3339(a.end),
                })
                .collect(),
            benign: fleet
                .benign
                .iter()
                .map(|b| WrittenBenign {
                    kind: b.kind,
                    function: b.function.map(name),
                    destinations: b.destination.map(|d| blocks(fleet, d)).into_iter().collect(),
                    start: rfc3339(b.start),
                    end: rfc3339(b.end),
                })
                .collect(),
            habits: fleet
                .functions
                .iter()
                .flat_map(|f| f.calls.iter().map(move |c| (f, c)))
                .map(|(f, c)| Habit {
                    function: f.name.clone(),
                    destination: fleet.destinations[c.destination].name.clone(),
                    kind: fleet.destinations[c.destination].kind,
                    blocks: blocks(fleet, c.destination),
                })
                .collect(),
        }
    }
}
