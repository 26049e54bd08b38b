//! Simple known methods on the same records, as a yardstick.
//!
//! - *first-seen destination*: an address and port the function never reached before.
//! - *first-seen owner*: a network owner the function never reached before; AWS counts by service and region.
//! - *3 sigma of hourly bytes*: an hour with more bytes out than mean plus three standard deviations of all hours
//!   before it; the alert names the hour's largest destination, which is where one would look.
//! - *RITA beacon*: see [`super::rita`].
//!
//! Each is given what it can know: owners of interfaces, the network table, egress only, and the same week of warm-up.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{alert::Alert, rita};
use crate::{
    calendar::{DAY, HOUR, Secs},
    fleet::{Fleet, InterfaceKind},
    internet::{Prefix, aws},
    traffic::{Record, Status},
};

const WARM_UP_SECS: Secs = 7 * DAY;
/// RITA's threshold for its category "high" (`score_thresholds.medium` of its default configuration).
const RITA_HIGH: f64 = 0.9;

/// State of all methods over the records of one fleet.
#[derive(Debug)]
pub(super) struct Methods<'a> {
    fleet: &'a Fleet,
    /// Who uses an interface, by its number: a number of `owners`.
    owner_of: Vec<Option<usize>>,
    owners: Vec<Vec<usize>>,
    networks: Vec<(Prefix, String)>,
    known: BTreeSet<(usize, IpAddr, u16)>,
    known_networks: BTreeSet<(usize, String)>,
    /// Bytes of an owner in an hour to an address.
    hours: BTreeMap<(usize, Secs), BTreeMap<IpAddr, u64>>,
    /// Starts and bytes of connections, by day.
    contacts: BTreeMap<(Secs, usize, IpAddr), rita::Contacts>,
    first_destination: Vec<Alert>,
    first_network: Vec<Alert>,
}

impl<'a> Methods<'a> {
    pub(super) fn new(fleet: &'a Fleet) -> Self {
        let mut owners: Vec<Vec<usize>> = Vec::new();
        let mut owner_of = vec![None; fleet.place.interfaces.len()];
        for (p, pair) in fleet.place.pairs.iter().enumerate() {
            let users: Vec<usize> =
                (0..fleet.functions.len()).filter(|&f| fleet.functions[f].pairs.contains(&p)).collect();
            let owner = owners.iter().position(|o| *o == users).unwrap_or_else(|| {
                owners.push(users);
                owners.len() - 1
            });
            for &i in &pair.interfaces {
                owner_of[i] = Some(owner);
            }
        }
        let mut networks: Vec<(Prefix, String)> = Vec::new();
        for network in &fleet.internet.networks {
            networks
                .extend(network.prefixes.iter().chain(&network.prefix6).map(|p| (*p, format!("AS{}", network.asn))));
        }
        networks.extend(aws::RANGES.iter().map(|r| (r.prefix, format!("{} {}", r.service, r.region))));
        networks.sort();
        Self {
            fleet,
            owner_of,
            owners,
            networks,
            known: BTreeSet::new(),
            known_networks: BTreeSet::new(),
            hours: BTreeMap::new(),
            contacts: BTreeMap::new(),
            first_destination: Vec::new(),
            first_network: Vec::new(),
        }
    }

    /// Takes one day's records, in order of time.
    pub(super) fn observe(&mut self, records: &[Record]) {
        for r in records {
            let lambda = self.fleet.place.interfaces[r.interface as usize].kind == InterfaceKind::Lambda;
            let Some(owner) = self.owner_of[r.interface as usize] else { continue };
            if !lambda || r.status != Status::Ok || !r.egress {
                continue;
            }
            let learned = r.end >= self.fleet.span.start + WARM_UP_SECS;
            if self.known.insert((owner, r.dst, r.dst_port)) {
                if learned {
                    self.first_destination.push(self.alert(owner, r.dst, r.dst_port, r.start, r.end, "first-seen"));
                }
                let network = self.network(r.dst);
                if self.known_networks.insert((owner, network)) && learned {
                    self.first_network.push(self.alert(owner, r.dst, r.dst_port, r.start, r.end, "first-owner"));
                }
            }
            let hour = self.hours.entry((owner, r.end / HOUR)).or_default();
            *hour.entry(r.dst).or_default() += r.bytes;
            if r.tcp_flags & 2 != 0 || r.tcp_flags == 0 && r.protocol != crate::fleet::destination::TCP {
                let contacts = self.contacts.entry((r.start / DAY, owner, r.dst)).or_default();
                contacts.push(r.start, r.bytes);
            }
        }
    }

    /// Alerts of each method.
    pub(super) fn finish(self) -> Vec<(&'static str, Vec<Alert>)> {
        let (volume, beacons) = (self.volume(), self.beacons());
        vec![
            ("first-seen destination", self.first_destination),
            ("first-seen owner", self.first_network),
            ("3 sigma of hourly bytes", volume),
            ("RITA beacon >= 0.9", beacons),
        ]
    }

    fn volume(&self) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let (first, last) = (self.fleet.span.start / HOUR, self.fleet.span.end / HOUR);
        for owner in 0..self.owners.len() {
            let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
            for hour in first..last {
                let peers = self.hours.get(&(owner, hour));
                let bytes = peers.map_or(0, |p| p.values().sum::<u64>()) as f64;
                let mean = sum / f64::max(n, 1.0);
                let sigma = (squares / f64::max(n, 1.0) - mean * mean).max(0.0).sqrt();
                let largest = peers.and_then(|p| p.iter().max_by_key(|&(_, bytes)| *bytes));
                if let (true, Some((&address, _))) = (hour >= first + WARM_UP_SECS / HOUR, largest)
                    && bytes > 3.0_f64.mul_add(sigma, mean)
                {
                    alerts.push(self.alert(owner, address, 0, hour * HOUR, (hour + 1) * HOUR, "3-sigma"));
                }
                n += 1.0;
                sum += bytes;
                squares += bytes * bytes;
            }
        }
        alerts
    }

    fn beacons(&self) -> Vec<Alert> {
        let mut raised = BTreeSet::new();
        let mut alerts = Vec::new();
        for (&(day, owner, address), contacts) in &self.contacts {
            let midnight = day * DAY;
            let learned = midnight >= self.fleet.span.start + WARM_UP_SECS;
            let is_beacon = || rita::score(contacts, midnight).is_some_and(|score| score >= RITA_HIGH);
            if learned && !raised.contains(&(owner, address)) && is_beacon() {
                raised.insert((owner, address));
                alerts.push(self.alert(owner, address, 0, contacts.first(), midnight + DAY, "beacon"));
            }
        }
        alerts
    }

    fn alert(&self, owner: usize, address: IpAddr, port: u16, first_seen: Secs, last_seen: Secs, check: &str) -> Alert {
        Alert {
            functions: self.owners[owner].clone(),
            destinations: vec![(address, port)],
            first_seen,
            last_seen,
            raised: last_seen,
            confidence: None,
            severity: None,
            check: check.to_owned(),
        }
    }

    fn network(&self, address: IpAddr) -> String {
        let after = self.networks.partition_point(|(p, _)| p.base <= address);
        let candidate = after.checked_sub(1).map(|n| &self.networks[n]);
        candidate.filter(|(p, _)| p.contains(address)).map_or_else(|| "private".to_owned(), |(_, owner)| owner.clone())
    }
}
