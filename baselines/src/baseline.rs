//! Baselines: everything learned, of all owners, with the ladder they share.
//!
//! Takes windows of observations through [`Baselines::learn`]; answers what was known before, rung by rung. Judges
//! nothing: what is odd is the detector's to say.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::activity::Activity;
use crate::bounds::{Sizes, count, size_of};
use crate::known::{Known, Totals, Volumes};
use crate::ladder::{Ladder, is_private};
use crate::names::Names;
use crate::newcomer::{Newcomer, Subject};
use crate::observation::Observation;
use crate::table::Table;
use crate::watched::Watched;
use crate::window::{Day, WINDOWS_PER_DAY, Window};

/// Days of which an owner's first contacts are remembered one by one.
pub(crate) const DIARY_DAYS: u32 = 90;

/// What one day of an owner brought that was new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiaryDay {
    /// The day.
    pub day: Day,
    /// Network owners met for the first time.
    pub networks: u32,
    /// Ports of known network owners met for the first time.
    pub services: u32,
    /// Prefixes met for the first time, in networks known before.
    pub prefixes: u32,
    /// Ports used for the first time, with any network.
    pub ports: u32,
}

/// What is known of one owner as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// When it was active; `None` until it was.
    pub known: Option<Known>,
    /// Totals over all destinations.
    pub volumes: Volumes,
    /// Distinct destinations a window.
    pub window_peers: crate::distribution::Distribution,
    /// Windows of activity by hour of the week, from Monday 00:00 UTC.
    pub hours: Vec<u32>,
    /// Minutes of activity in the latest week, with settled destinations: what newcomers do is no habit yet.
    pub active: Activity,
    /// What each active day brought that was new, the latest [`DIARY_DAYS`].
    pub diary: Vec<DiaryDay>,
}

impl Baseline {
    /// Whether it was observed long enough to be judged by its behaviour: since the warm-up, and on several days.
    pub fn is_ready(&self, now: Window, warm_up_secs: i64, min_days: u32) -> bool {
        self.known.is_some_and(|known| now.start() - known.first.start() >= warm_up_secs && known.n_days >= min_days)
    }

    /// Counts a window of activity in its hour of the week.
    fn note_hour(&mut self, window: Window) {
        self.hours.resize(168, 0);
        if let Some(n) = self.hours.get_mut(usize::from(window.hour_of_week())) {
            *n += 1;
        }
    }

    fn diary_of(&mut self, day: Day) -> &mut DiaryDay {
        let at = match self.diary.binary_search_by_key(&day, |entry| entry.day) {
            Ok(at) => at,
            Err(at) => {
                self.diary.insert(at, DiaryDay { day, ..DiaryDay::default() });
                at
            }
        };
        let surplus = self.diary.len().saturating_sub(DIARY_DAYS as usize);
        self.diary.drain(..surplus);
        let at = at.saturating_sub(surplus).min(self.diary.len().saturating_sub(1));
        #[expect(clippy::indexing_slicing, reason = "the entry was found or inserted above and is within the length")]
        &mut self.diary[at]
    }
}

/// What is known of one network owner of one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkKnown {
    /// When it was met.
    pub known: Known,
    /// Prefixes met in it.
    pub n_prefixes: u32,
    /// Prefixes first met a day or more after the network itself: how it wanders.
    pub n_late_prefixes: u32,
}

/// What is known of one prefix of one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixKnown {
    /// When it was met.
    pub known: Known,
    /// The network it was met in first: a prefix may hold addresses of several. Number in the [`Ladder`].
    pub network: u32,
}

/// What is known of one port of one network owner of one owner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceKnown {
    /// When it was met.
    pub known: Known,
    /// How much it carries.
    pub volumes: Volumes,
}

/// One destination of one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DestinationKnown {
    /// When it was met.
    pub known: Known,
    /// Bytes sent to it.
    pub bytes_out: u64,
    /// Bytes received from it.
    pub bytes_in: u64,
}

impl DestinationKnown {
    fn add(&mut self, row: &Observation) {
        self.known.touch(row.window);
        self.bytes_out = self.bytes_out.saturating_add(row.bytes_out);
        self.bytes_in = self.bytes_in.saturating_add(row.bytes_in);
    }
}

/// What a row says was exchanged.
fn sent(row: &Observation) -> Totals {
    Totals {
        n_flows: u64::from(row.n_flows),
        packets_out: row.packets_out,
        bytes_out: row.bytes_out,
        bytes_in: row.bytes_in,
        n_peers: 0,
    }
}

/// The minutes in which something was sent, and the flow records.
fn activity<'a>(rows: impl Iterator<Item = &'a Observation>) -> (u16, u32) {
    rows.fold((0, 0u32), |(minutes, n), row| (minutes | row.minutes, n.saturating_add(row.n_flows)))
}

/// Owner and peer, port, protocol; numbers of [`Baselines::owners`] and [`Ladder`].
pub type DestinationKey = (u32, u32, u16, u8);
/// Owner and network, port, protocol.
pub type ServiceKey = (u32, u32, u16, u8);

/// Where a row stands on its owner's ladder before its window is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Every rung is known and settled.
    Settled,
    /// A rung is being watched.
    Watched(Subject),
    /// A rung was never met.
    New(Subject),
}

/// The numbers of the entries that learn of a destination, so that a settled one needs one look-up instead of five.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries {
    network: u32,
    service: u32,
    prefix: u32,
    port: u32,
}

impl Entries {
    /// Those of a destination that is not settled. Whatever was learned has a port.
    const NONE: Self = Self { network: u32::MAX, service: u32::MAX, prefix: u32::MAX, port: u32::MAX };
}

/// Where a row stands, and the number of its destination, if it has one.
#[derive(Clone, Copy, Debug)]
struct Found {
    standing: Standing,
    destination: Option<u32>,
}

/// Everything learned.
#[derive(Clone, Debug, Default)]
pub struct Baselines {
    /// Owners by number.
    pub owners: Names,
    /// Addresses, prefixes and networks by number.
    pub ladder: Ladder,
    pub(crate) of_owner: Vec<Baseline>,
    pub(crate) networks: Table<(u32, u32), NetworkKnown>,
    pub(crate) services: Table<ServiceKey, ServiceKnown>,
    pub(crate) prefixes: Table<(u32, u32), PrefixKnown>,
    pub(crate) ports: Table<(u32, u16, u8), Known>,
    pub(crate) destinations: Table<DestinationKey, DestinationKnown>,
    /// The entries of destinations found settled since the last [`Baselines::age`], by number: they stay so until then.
    pub(crate) settled: Vec<Entries>,
    pub(crate) newcomers: Table<(u32, Subject), Watched>,
    /// Owners knowing each network: derived from `networks` and `newcomers`.
    pub(crate) prevalence: Vec<u32>,
    /// Owners knowing each prefix: derived from `prefixes` and `newcomers`.
    pub(crate) prefix_prevalence: Vec<u32>,
    /// How much each owner holds: derived from the tables.
    pub(crate) sizes: Vec<Sizes>,
    /// Findings a person accepted: see [`Baselines::accept`].
    pub(crate) accepted: BTreeSet<u128>,
    /// Interfaces, objects and rows are the detector's business; this says what was learned from.
    pub learned_from: LearnedFrom,
}

/// What a baseline was learned from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnedFrom {
    /// Objects read.
    pub n_objects: u64,
    /// Observations learned: destinations by window, one told in two parts counted once.
    pub n_observations: u64,
    /// First second of the first window and first second after the last; `None` before the first.
    pub span: Option<(i64, i64)>,
}

impl Baselines {
    /// The number of an owner, given on first sight.
    pub fn owner(&mut self, name: &str) -> u32 {
        let id = self.owners.intern(name);
        if self.of_owner.len() <= id as usize {
            self.of_owner.resize_with(id as usize + 1, Baseline::default);
        }
        id
    }

    /// What is known of an owner as a whole.
    pub fn baseline(&self, owner: u32) -> Option<&Baseline> {
        self.of_owner.get(owner as usize)
    }

    /// What is known of a network owner.
    pub fn network(&self, owner: u32, network: u32) -> Option<&NetworkKnown> {
        self.networks.get(&(owner, network))
    }

    /// What is known of a port of a network owner.
    pub fn service(&self, owner: u32, network: u32, port: u16, protocol: u8) -> Option<&ServiceKnown> {
        self.services.get(&(owner, network, port, protocol))
    }

    /// When a port was used, with any network.
    pub fn port(&self, owner: u32, port: u16, protocol: u8) -> Option<&Known> {
        self.ports.get(&(owner, port, protocol))
    }

    /// What is known of a destination.
    pub fn destination(&self, key: &DestinationKey) -> Option<&DestinationKnown> {
        self.destinations.get(key)
    }

    /// A destination under watch, opened: see [`crate::watched`].
    pub fn newcomer(&self, owner: u32, subject: Subject) -> Option<Newcomer> {
        self.newcomers.get(&(owner, subject)).map(Watched::open)
    }

    /// Whether a destination is under watch.
    pub fn is_watched(&self, owner: u32, subject: Subject) -> bool {
        self.newcomers.id(&(owner, subject)).is_some()
    }

    /// The finding a destination is under; 0 for none.
    pub fn finding(&self, owner: u32, subject: Subject) -> u128 {
        self.newcomers.get(&(owner, subject)).map_or(0, Watched::finding)
    }

    /// Puts a destination under a finding, or takes it from under one (0).
    pub fn set_finding(&mut self, owner: u32, subject: Subject, finding: u128) {
        if let Some(newcomer) = self.newcomers.get_mut(&(owner, subject)) {
            newcomer.set_finding(finding);
        }
    }

    /// How many owners know a network.
    pub fn n_owners_knowing(&self, network: u32) -> u32 {
        self.prevalence.get(network as usize).copied().unwrap_or(0)
    }

    /// How many owners know a prefix.
    pub fn n_owners_knowing_prefix(&self, prefix: u32) -> u32 {
        self.prefix_prevalence.get(prefix as usize).copied().unwrap_or(0)
    }

    /// All owners with what is known of them as a whole, by number.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Baseline)> {
        self.owners.iter().zip(&self.of_owner)
    }

    /// The destinations of all owners.
    pub fn destinations(&self) -> impl Iterator<Item = (&DestinationKey, &DestinationKnown)> {
        self.destinations.iter()
    }

    /// The network owners each owner has met, watched ones too.
    pub fn networks(&self) -> impl Iterator<Item = &(u32, u32)> {
        self.networks.iter().map(|(key, _)| key)
    }

    /// The prefixes each owner has met, watched ones too, with the network each was met in.
    pub fn prefixes(&self) -> impl Iterator<Item = (&(u32, u32), u32)> {
        self.prefixes.iter().map(|(key, known)| (key, known.network))
    }

    /// The newcomers of all owners, each with the finding it is under (0 for none).
    pub fn newcomers(&self) -> impl Iterator<Item = (&(u32, Subject), u128)> {
        self.newcomers.iter().map(|(key, newcomer)| (key, newcomer.finding()))
    }

    /// How many destinations are known.
    pub fn n_destinations(&self) -> usize {
        self.destinations.len()
    }

    /// Where a destination stands: the highest rung that is new or watched.
    ///
    /// Inside the VPC a new address is no news (a database fails over, an endpoint moves), only a new port is.
    pub fn standing(&self, owner: u32, row: &Observation) -> Standing {
        self.find(owner, row).standing
    }

    fn find(&self, owner: u32, row: &Observation) -> Found {
        let destination = self.destinations.id(&(owner, row.peer, row.port, row.protocol));
        let is_settled = destination.is_some_and(|id| self.settled_entries(id).is_some());
        let standing = if is_settled { Standing::Settled } else { self.standing_by_rungs(owner, row) };
        Found { standing, destination }
    }

    /// The entries of a destination that was found settled.
    fn settled_entries(&self, destination: u32) -> Option<Entries> {
        self.settled.get(destination as usize).copied().filter(|entries| entries.port != Entries::NONE.port)
    }

    fn standing_by_rungs(&self, owner: u32, row: &Observation) -> Standing {
        let rungs = self.ladder.rungs(row.peer);
        let service = Subject::Service(rungs.network, row.port, row.protocol);
        let rung = |subject: Subject, is_known: bool| {
            if self.is_watched(owner, subject) {
                Some(Standing::Watched(subject))
            } else if is_known || self.sizes(owner).is_full(subject) {
                None
            } else {
                Some(Standing::New(subject))
            }
        };
        rung(Subject::Network(rungs.network), self.networks.id(&(owner, rungs.network)).is_some())
            .or_else(|| rung(service, self.services.id(&(owner, rungs.network, row.port, row.protocol)).is_some()))
            .or_else(|| {
                if is_private(rungs.address) {
                    return None;
                }
                rung(Subject::Prefix(rungs.prefix), self.prefixes.id(&(owner, rungs.prefix)).is_some())
            })
            .unwrap_or(Standing::Settled)
    }

    /// Learns one owner's observations of one window. Windows of an owner come in order of event time; late ones are
    /// folded in where they belong.
    ///
    /// `rows` are of this owner and window, their `peer` a number of [`Baselines::ladder`]; several of one destination
    /// (on several interfaces) are allowed. What stands under a finding does not enter the distributions.
    pub fn learn(&mut self, owner: u32, window: Window, rows: &[Observation]) {
        let Some(baseline) = self.of_owner.get_mut(owner as usize) else { return };
        match &mut baseline.known {
            Some(known) => {
                let is_another = window != known.last;
                known.touch(window);
                if is_another {
                    baseline.note_hour(window);
                }
            }
            none => {
                *none = Some(Known::new(window));
                baseline.note_hour(window);
            }
        }
        baseline.diary_of(window.day());
        let mut total = Totals::default();
        let found: Vec<Found> = rows.iter().map(|row| self.find(owner, row)).collect();
        let settled = rows.iter().zip(&found).filter(|(_, found)| found.standing == Standing::Settled);
        self.mark_activity(owner, window, activity(settled.map(|(row, _)| row)));
        for (row, found) in rows.iter().zip(found) {
            let entries = found.destination.and_then(|id| Some((id, self.settled_entries(id)?)));
            let under_finding = if let Some((destination, entries)) = entries {
                self.learn_settled(row, destination, entries, &mut total);
                false
            } else {
                self.learn_row(owner, row, found.standing, &mut total)
            };
            if !under_finding {
                total.add(&sent(row));
            }
        }
        if let Some(baseline) = self.of_owner.get_mut(owner as usize) {
            let (open, totals) = baseline.volumes.open_window;
            if open != window && totals.n_peers > 0 {
                baseline.window_peers.record(totals.n_peers);
            }
            baseline.volumes.add(window, &total);
        }
        self.learned_from.n_observations += total.n_peers;
        let (from, until) = self.learned_from.span.unwrap_or((window.start(), window.end()));
        self.learned_from.span = Some((from.min(window.start()), until.max(window.end())));
    }

    /// Notes in which minutes an owner was active with what it knows, and nothing else.
    pub fn note_activity(&mut self, owner: u32, window: Window, rows: &[Observation]) {
        let settled = rows.iter().filter(|row| self.standing(owner, row) == Standing::Settled);
        self.mark_activity(owner, window, activity(settled));
    }

    fn mark_activity(&mut self, owner: u32, window: Window, (minutes, n_flows): (u16, u32)) {
        if minutes != 0
            && let Some(baseline) = self.of_owner.get_mut(owner as usize)
        {
            baseline.active.mark(window, minutes, n_flows);
        }
    }

    /// Learns one row of a settled destination.
    fn learn_settled(&mut self, row: &Observation, destination: u32, entries: Entries, total: &mut Totals) {
        if let Some(prefix) = self.prefixes.at_mut(entries.prefix) {
            prefix.known.touch(row.window);
        }
        if let Some(network) = self.networks.at_mut(entries.network) {
            network.known.touch(row.window);
        }
        if let Some(service) = self.services.at_mut(entries.service) {
            service.known.touch(row.window);
            service.volumes.add(row.window, &sent(row));
        }
        if let Some(known) = self.ports.at_mut(entries.port) {
            known.touch(row.window);
        }
        if let Some(entry) = self.destinations.at_mut(destination) {
            total.n_peers += u64::from(entry.known.last != row.window);
            entry.add(row);
        }
    }

    /// Learns one row on every rung; says whether it stands under a finding.
    fn learn_row(&mut self, owner: u32, row: &Observation, standing: Standing, total: &mut Totals) -> bool {
        let window = row.window;
        let rungs = self.ladder.rungs(row.peer);
        let under_finding = match standing {
            Standing::Watched(subject) => self.finding(owner, subject) != 0,
            _ => false,
        };
        let mut new = DiaryDay::default();
        let sizes = size_of(&mut self.sizes, owner);
        let network_id = self.networks.id(&(owner, rungs.network));
        let network = network_id.or_else(|| sizes.take_network()).unwrap_or_else(|| {
            new.networks += 1;
            count(&mut self.prevalence, rungs.network);
            self.networks
                .put((owner, rungs.network), NetworkKnown { known: Known::new(window), ..NetworkKnown::default() })
        });
        let service_key = (owner, rungs.network, row.port, row.protocol);
        let service = self.services.id(&service_key).or_else(|| sizes.take_service()).unwrap_or_else(|| {
            new.services += u32::from(network_id.is_some());
            self.services.put(service_key, ServiceKnown { known: Known::new(window), volumes: Volumes::default() })
        });
        let mut prefix = self.prefixes.id(&(owner, rungs.prefix));
        if let Some(entry) = prefix.and_then(|id| self.prefixes.at_mut(id)) {
            entry.known.touch(window);
        } else if sizes.take_prefix().is_none() {
            let entry = PrefixKnown { known: Known::new(window), network: rungs.network };
            prefix = Some(self.prefixes.put((owner, rungs.prefix), entry));
            count(&mut self.prefix_prevalence, rungs.prefix);
            if let Some(entry) = self.networks.at_mut(network) {
                entry.n_prefixes += 1;
                if window.0 >= entry.known.first.0 + WINDOWS_PER_DAY {
                    entry.n_late_prefixes += 1;
                    new.prefixes += 1;
                }
            }
        }
        if let Some(entry) = self.networks.at_mut(network) {
            entry.known.touch(window);
        }
        if let Some(entry) = self.services.at_mut(service) {
            entry.known.touch(window);
            if !under_finding {
                entry.volumes.add(window, &sent(row));
            }
        }
        let port_key = (owner, row.port, row.protocol);
        let port = self.ports.id(&port_key).unwrap_or_else(|| {
            new.ports += 1;
            self.ports.put(port_key, Known::new(window))
        });
        if let Some(known) = self.ports.at_mut(port) {
            known.touch(window);
        }
        let key = (owner, row.peer, row.port, row.protocol);
        let destination = if let Some(id) = self.destinations.id(&key) {
            let seen = self.destinations.at(id).is_some_and(|d| d.known.last == window);
            total.n_peers += u64::from(!seen);
            id
        } else {
            total.n_peers += 1;
            sizes.take_destination().unwrap_or_else(|| {
                let entry = DestinationKnown { known: Known::new(window), bytes_out: 0, bytes_in: 0 };
                self.destinations.put(key, entry)
            })
        };
        if let Some(entry) = self.destinations.at_mut(destination) {
            entry.add(row);
            if standing == Standing::Settled {
                self.settled.resize(self.settled.len().max(destination as usize + 1), Entries::NONE);
                if let Some(settled) = self.settled.get_mut(destination as usize) {
                    *settled = Entries { network, service, prefix: prefix.unwrap_or(u32::MAX), port };
                }
            }
        }
        // What is told is no habit: it must not make the next stranger of this function less of one.
        if !under_finding
            && new != DiaryDay::default()
            && let Some(baseline) = self.of_owner.get_mut(owner as usize)
        {
            let day = baseline.diary_of(window.day());
            day.networks += new.networks;
            day.services += new.services;
            day.prefixes += new.prefixes;
            day.ports += new.ports;
        }
        under_finding
    }
}
