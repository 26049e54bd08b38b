//! A baseline: everything learned of one owner.
//!
//! Takes windows of observations through [`Baseline::learn`]; answers what was known before, rung by rung. What owners
//! share, the ladder first of all, is in [`crate::baselines`]. Judges nothing: what is odd is the detector's to say.

use crate::activity::Activity;
use crate::bounds::NOWHERE;
use crate::distribution::Distribution;
use crate::known::{Known, RecordLengths, Totals, Volumes};
use crate::ladder::{Ladder, Rungs};
use crate::near::near;
use crate::newcomer::{Newcomer, SETTLED_DAYS, Subject};
use crate::observation::Observation;
use crate::slots::Place;
use crate::standing::{Found, Standing};
use crate::table::Table;
use crate::watched::Watched;
use crate::window::{Day, HOURS_PER_WEEK, WINDOWS_PER_DAY, Window};

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

impl DiaryDay {
    /// Adds what else the day brought.
    pub(crate) fn add(&mut self, new: &Self) {
        self.networks = self.networks.saturating_add(new.networks);
        self.services = self.services.saturating_add(new.services);
        self.prefixes = self.prefixes.saturating_add(new.prefixes);
        self.ports = self.ports.saturating_add(new.ports);
    }
}

/// Everything learned of one owner. Its tables are its own, so that owners are learned side by side, and what one
/// window asks of them lies close together.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// When it was active; `None` until it was.
    pub known: Option<Known>,
    /// Totals over all destinations.
    pub volumes: Volumes,
    /// Distinct destinations a window.
    pub window_peers: Distribution,
    /// The longest that one connection was held to a newcomer outside private space that nothing was told of, in
    /// seconds.
    pub longest_held_secs: u32,
    /// How long its flow records last.
    pub records: RecordLengths,
    /// Windows of activity by hour of the week, from Monday 00:00 UTC.
    pub hours: Vec<u16>,
    /// Minutes of activity in the latest week, with settled destinations: what newcomers do is no habit yet.
    pub active: Activity,
    /// What each active day brought that was new, the latest [`DIARY_DAYS`].
    pub diary: Vec<DiaryDay>,
    pub(crate) networks: Table<u32, NetworkKnown>,
    pub(crate) services: Table<ServiceKey, ServiceKnown>,
    pub(crate) prefixes: Table<u32, PrefixKnown>,
    pub(crate) ports: Table<(u16, u8), Known>,
    pub(crate) destinations: Table<DestinationKey, DestinationKnown>,
    /// A cache, by destination number: the entries of each destination whose network, service and prefix are all
    /// settled. [`Baseline::age`] clears it, because what it forgets changes the numbers of entries.
    pub(crate) settled: Vec<Entries>,
    pub(crate) newcomers: Table<Subject, Watched>,
}

impl Baseline {
    /// Counts a window of activity in its hour of the week.
    fn note_hour(&mut self, window: Window) {
        self.hours.resize(HOURS_PER_WEEK.into(), 0);
        if let Some(n) = self.hours.get_mut(usize::from(window.hour_of_week())) {
            *n = n.saturating_add(1);
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
    Totals { n_flows: row.n_flows, bytes_out: row.bytes_out, bytes_in: row.bytes_in, n_peers: 0 }
}

/// Peer, port, protocol; numbers of [`Ladder`].
pub type DestinationKey = (u32, u16, u8);
/// Network, port, protocol.
pub type ServiceKey = (u32, u16, u8);

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
    const NONE: Self = Self { network: NOWHERE, service: NOWHERE, prefix: NOWHERE, port: NOWHERE };
}

/// What was learned of one owner that concerns the fleet: see [`crate::Baselines::note`].
#[derive(Debug, Default)]
pub struct Learned {
    pub(crate) n_observations: u64,
    /// First second of the first window and first second after the last.
    pub(crate) span: Option<(i64, i64)>,
    /// Networks its owner met for the first time, other than under a finding.
    pub(crate) networks: Vec<u32>,
    /// The same of prefixes.
    pub(crate) prefixes: Vec<u32>,
    /// Networks that are familiar to its owner no longer: they came under a finding, or were forgotten.
    pub(crate) strange_networks: Vec<u32>,
    /// The same of prefixes.
    pub(crate) strange_prefixes: Vec<u32>,
}

/// The span of time two spans cover together.
pub fn span_of(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

impl Baseline {
    /// The first window from which on it is known when the owner was active: earlier ones are forgotten, and on its
    /// first days nothing had settled yet.
    pub fn active_since(&self) -> Window {
        let first_settled = self.diary.get(SETTLED_DAYS as usize).map(|entry| entry.day.first_window());
        first_settled.unwrap_or_default().max(self.active.since())
    }

    /// What is known of a network owner.
    pub fn network(&self, network: u32) -> Option<&NetworkKnown> {
        self.networks.get(&network)
    }

    /// What is known of a port of a network owner.
    pub fn service(&self, network: u32, port: u16, protocol: u8) -> Option<&ServiceKnown> {
        self.services.get(&(network, port, protocol))
    }

    /// The number of the port of the network that a row goes to, if it is known; `found` says where the row stood.
    pub fn service_id(&self, ladder: &Ladder, row: &Observation, found: &Found) -> Option<u32> {
        let settled = found.destination.and_then(|id| self.settled_entries(id));
        settled.map_or_else(
            || self.services.id(&(ladder.rungs(row.peer).network, row.port, row.protocol)),
            |entries| Some(entries.service),
        )
    }

    /// What is known of a number's port of a network owner.
    pub fn service_at(&self, id: u32) -> Option<(&ServiceKey, &ServiceKnown)> {
        self.services.entry(id)
    }

    /// Whether a port was used, with any network.
    pub fn knows_port(&self, port: u16, protocol: u8) -> bool {
        self.ports.id(&(port, protocol)).is_some() || self.has_all_ports()
    }

    /// What is known of a destination.
    pub fn destination(&self, key: &DestinationKey) -> Option<&DestinationKnown> {
        self.destinations.get(key)
    }

    /// What is known of a row's destination, by where the row stood.
    pub fn destination_of(&self, found: &Found) -> Option<&DestinationKnown> {
        self.destinations.at(found.destination?)
    }

    /// The destinations met.
    pub fn destinations(&self) -> impl Iterator<Item = (&DestinationKey, &DestinationKnown)> {
        self.destinations.iter()
    }

    /// The network owners met, watched ones too.
    pub fn networks(&self) -> impl Iterator<Item = u32> {
        self.networks.iter().map(|(&network, _)| network)
    }

    /// The ports of networks met, watched ones too.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceKey, &ServiceKnown)> {
        self.services.iter()
    }

    /// The prefixes met, watched ones too.
    pub fn prefixes(&self) -> impl Iterator<Item = (u32, &PrefixKnown)> {
        self.prefixes.iter().map(|(&prefix, known)| (prefix, known))
    }

    /// The newcomers, each with the finding it is under (0 for none).
    pub fn newcomers(&self) -> impl Iterator<Item = (Subject, u128)> {
        self.newcomers.iter().map(|(&subject, newcomer)| (subject, newcomer.finding()))
    }

    /// A destination under watch, opened: see [`crate::watched`].
    pub fn newcomer(&self, subject: Subject) -> Option<Newcomer> {
        self.newcomers.get(&subject).map(Watched::open)
    }

    /// Whether a destination is under watch.
    pub fn is_watched(&self, subject: Subject) -> bool {
        self.newcomers.id(&subject).is_some()
    }

    /// The finding a destination is under; 0 for none.
    pub fn finding(&self, subject: Subject) -> u128 {
        self.newcomers.get(&subject).map_or(0, Watched::finding)
    }

    /// Prefetches all that is known of the destinations of some rows, before these are judged and learned.
    ///
    /// An owner comes up once an hour, and what is known of it is far from the cache by then. In steps: each asks for
    /// what tells the next one where to go on.
    pub fn bring_near(&self, ladder: &Ladder, rows: &[Observation]) {
        let key = |row: &Observation| (row.peer, row.port, row.protocol);
        let place = |row: &Observation| {
            ladder.near(row.peer);
            self.destinations.near_place(&key(row))
        };
        let places: Vec<Place> = rows.iter().map(place).collect();
        for place in places {
            self.destinations.near_shown(place);
        }
        let ids: Vec<u32> = rows.iter().filter_map(|row| self.destinations.id(&key(row))).collect();
        for &id in &ids {
            self.settled.get(id as usize).map(near);
        }
        let services = || ids.iter().filter_map(|&id| self.settled_entries(id));
        for Entries { network, service, prefix, .. } in services() {
            self.networks.near(network);
            self.services.near(service);
            self.prefixes.near(prefix);
        }
        for Entries { service, .. } in services() {
            if let Some(service) = self.services.at(service) {
                service.volumes.bring_near();
            }
        }
    }

    /// The entries of a destination that was found settled.
    pub(crate) fn settled_entries(&self, destination: u32) -> Option<Entries> {
        self.settled.get(destination as usize).copied().filter(|entries| entries.port != NOWHERE)
    }

    /// Learns the observations of one window. Windows come in order of event time. Late ones count too, but what a
    /// window or a day brings in two parts enters the distributions as two.
    ///
    /// `rows` are of this owner and window, their `peer` a number of the ladder; several of one destination (on several
    /// interfaces) are allowed. `found` says where each stood before the window. What stands under a finding does not
    /// enter the distributions. What concerns the fleet is added to `learned`.
    pub fn learn(
        &mut self,
        ladder: &Ladder,
        window: Window,
        rows: &[Observation],
        found: &[Found],
        learned: &mut Learned,
    ) {
        match &mut self.known {
            Some(known) => {
                let is_another = window != known.last;
                known.touch(window);
                if is_another {
                    self.note_hour(window);
                }
            }
            none => {
                *none = Some(Known::new(window));
                self.note_hour(window);
            }
        }
        let n_entries = self.diary.len();
        self.diary_of(window.day());
        // After a record with a wrong date all days lie before the last one, and count all the same.
        let is_another_day = self.diary.len() > n_entries;
        if let Some(known) = self.known.as_mut().filter(|_| is_another_day)
            && known.first.day() < window.day()
            && window.day() < known.last.day()
        {
            known.n_days = known.n_days.saturating_add(1);
        }
        self.note_activity(window, rows, found);
        let mut total = Totals::default();
        for (row, found) in rows.iter().zip(found) {
            let entries = found.destination.and_then(|id| Some((id, self.settled_entries(id)?)));
            let under_finding = if let Some((destination, entries)) = entries {
                self.learn_settled(row, destination, entries, &mut total);
                false
            } else {
                self.learn_row(ladder, row, found, &mut total, learned)
            };
            if !under_finding {
                total.add(&sent(row));
            }
            self.records.note(row);
        }
        let (open, totals) = self.volumes.open_window;
        if open != window && totals.n_peers > 0 {
            self.window_peers.record(totals.n_peers.into());
        }
        self.volumes.add(window, &total);
        learned.n_observations += u64::from(total.n_peers);
        learned.span = span_of(learned.span, Some((window.start(), window.end())));
    }

    /// Notes in which minutes of a window the owner was active with what it knows, and nothing else.
    pub fn note_activity(&mut self, window: Window, rows: &[Observation], found: &[Found]) {
        let settled = rows.iter().zip(found).filter(|(_, found)| found.standing == Standing::Settled);
        let (minutes, n_flows) =
            settled.fold((0, 0u32), |(minutes, n), (row, _)| (minutes | row.minutes, n.saturating_add(row.n_flows)));
        if minutes != 0 {
            self.active.mark(window, minutes, n_flows);
        }
    }

    /// Learns one row of a settled destination.
    fn learn_settled(&mut self, row: &Observation, destination: u32, entries: Entries, total: &mut Totals) {
        self.touch(row, entries, false);
        if let Some(entry) = self.destinations.at_mut(destination) {
            total.n_peers += u32::from(entry.known.last != row.window);
            entry.add(row);
        }
    }

    /// Learns one row on every rung; says whether it stands under a finding.
    fn learn_row(
        &mut self,
        ladder: &Ladder,
        row: &Observation,
        &Found { standing, destination }: &Found,
        total: &mut Totals,
        learned: &mut Learned,
    ) -> bool {
        let under_finding = standing.subject().is_some_and(|subject| self.is_told(subject));
        let mut new = DiaryDay::default();
        let entries = self.enter(ladder.rungs(row.peer), row, &mut new, learned);
        self.touch(row, entries, under_finding);
        let key = (row.peer, row.port, row.protocol);
        // Another row of the window may have brought it.
        let known = destination.or_else(|| self.destinations.id(&key));
        let is_seen = |id| self.destinations.at(id).is_some_and(|d| d.known.last == row.window);
        // What is told enters no distribution.
        total.n_peers += u32::from(!under_finding && !known.is_some_and(is_seen));
        let destination = known.unwrap_or_else(|| self.enter_destination(key, row.window));
        if let Some(entry) = self.destinations.at_mut(destination) {
            entry.add(row);
            if standing == Standing::Settled {
                self.settle(destination, entries);
            }
        }
        // What is told is no habit: it must not make the next stranger of this function less of one.
        if !under_finding && new != DiaryDay::default() {
            self.diary_of(row.window.day()).add(&new);
        }
        under_finding
    }

    /// Counts a row's window on every rung, and what it says was exchanged unless it stands under a finding.
    #[inline]
    fn touch(&mut self, row: &Observation, entries: Entries, under_finding: bool) {
        if let Some(prefix) = self.prefixes.at_mut(entries.prefix) {
            prefix.known.touch(row.window);
        }
        if let Some(network) = self.networks.at_mut(entries.network) {
            network.known.touch(row.window);
        }
        if let Some(service) = self.services.at_mut(entries.service) {
            service.known.touch(row.window);
            if !under_finding {
                service.volumes.add(row.window, &sent(row));
            }
        }
        if let Some(known) = self.ports.at_mut(entries.port) {
            known.touch(row.window);
        }
    }

    /// The entries of a row's rungs. Those that are not there yet are made, and what is news about them is added to
    /// `new`.
    fn enter(&mut self, rungs: Rungs, row: &Observation, new: &mut DiaryDay, learned: &mut Learned) -> Entries {
        let window = row.window;
        let known_network = self.networks.id(&rungs.network);
        let network = known_network.unwrap_or_else(|| self.enter_network(rungs, window, new, learned));
        let service_key = (rungs.network, row.port, row.protocol);
        let service = self.services.id(&service_key).unwrap_or_else(|| {
            let is_news = known_network.is_some();
            self.enter_service(rungs, row, is_news, new)
        });
        let prefix =
            self.prefixes.id(&rungs.prefix).unwrap_or_else(|| self.enter_prefix(rungs, network, window, new, learned));
        let port_key = (row.port, row.protocol);
        let port = match self.ports.id(&port_key) {
            Some(port) => port,
            None if self.has_all_ports() => NOWHERE,
            None => {
                new.ports += 1;
                self.ports.put_absent(port_key, Known::new(window))
            }
        };
        Entries { network, service, prefix, port }
    }

    /// Makes the entry of a network, unless there is no room. One that is new by name only goes on from what was known
    /// of it.
    fn enter_network(&mut self, rungs: Rungs, window: Window, new: &mut DiaryDay, learned: &mut Learned) -> u32 {
        let subject = Subject::Network(rungs.network);
        if self.is_full(subject) {
            return NOWHERE;
        }
        if !self.is_told(subject) {
            learned.networks.push(rungs.network);
        }
        let known = self.former_network_known(rungs).copied().unwrap_or_else(|| {
            new.networks += 1;
            NetworkKnown { known: Known::new(window), ..NetworkKnown::default() }
        });
        self.networks.put_absent(rungs.network, known)
    }

    /// The same of a port of a network, which is news where the network is none.
    fn enter_service(&mut self, rungs: Rungs, row: &Observation, is_news: bool, new: &mut DiaryDay) -> u32 {
        let (port, protocol) = (row.port, row.protocol);
        if self.is_full(Subject::Service(rungs.network, port, protocol)) {
            return NOWHERE;
        }
        let known = self.former_service_known(rungs, port, protocol).cloned().unwrap_or_else(|| {
            new.services += u32::from(is_news);
            ServiceKnown { known: Known::new(row.window), volumes: Volumes::default() }
        });
        self.services.put_absent((rungs.network, port, protocol), known)
    }

    /// The same of a prefix, which is news where its network, of the entry `network`, was met a day or more ago.
    fn enter_prefix(
        &mut self,
        rungs: Rungs,
        network: u32,
        window: Window,
        new: &mut DiaryDay,
        learned: &mut Learned,
    ) -> u32 {
        if self.is_full(Subject::Prefix(rungs.prefix)) {
            return NOWHERE;
        }
        if !self.is_prefix_told(rungs.prefix, rungs.network) {
            learned.prefixes.push(rungs.prefix);
        }
        if let Some(entry) = self.networks.at_mut(network) {
            entry.n_prefixes = entry.n_prefixes.saturating_add(1);
            if window.0 >= entry.known.first.0 + WINDOWS_PER_DAY {
                entry.n_late_prefixes = entry.n_late_prefixes.saturating_add(1);
                new.prefixes += 1;
            }
        }
        self.prefixes.put_absent(rungs.prefix, PrefixKnown { known: Known::new(window), network: rungs.network })
    }

    /// The same of a destination.
    fn enter_destination(&mut self, key: DestinationKey, window: Window) -> u32 {
        if self.has_all_destinations() {
            return NOWHERE;
        }
        self.destinations.put_absent(key, DestinationKnown { known: Known::new(window), bytes_out: 0, bytes_in: 0 })
    }

    /// Keeps the entries of a settled destination at hand.
    fn settle(&mut self, destination: u32, entries: Entries) {
        self.settled.resize(self.settled.len().max(destination as usize + 1), Entries::NONE);
        if let Some(settled) = self.settled.get_mut(destination as usize) {
            *settled = entries;
        }
    }
}
