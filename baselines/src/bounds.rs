//! Bounds: what is forgotten with time, and how much of one owner is kept at all.
//!
//! Time forgets what was silent for the days of memory ([`Baselines::age`]). Within that time a scanner in a function can reach
//! more than is worth remembering: a million ports, every address of a cloud. So each owner has room for so many entries on each
//! rung; on a rung that is full nothing is new any more, and nothing more is kept of it. That it came so far is told long before:
//! by the scan.

use crate::baseline::Baselines;
use crate::known::Known;
use crate::newcomer::{Newcomer, Subject};
use crate::watched::Watched;
use crate::window::{WINDOWS_PER_DAY, Window};

/// Entries an owner has room for. A function that sends webhooks to fifty new customers a day fills none of them within the days of
/// memory; together they take some 20 MiB when all are full.
const MAX_NETWORKS: u32 = 1 << 14;
/// See [`MAX_NETWORKS`].
const MAX_SERVICES: u32 = 1 << 13;
/// See [`MAX_NETWORKS`].
const MAX_PREFIXES: u32 = 1 << 16;
/// See [`MAX_NETWORKS`].
const MAX_DESTINATIONS: u32 = 1 << 17;

/// Newcomers watched of an owner. When there are more, the half of them goes that says the least.
const MAX_NEWCOMERS: u32 = 1 << 13;

/// The number of no entry.
const NOWHERE: u32 = u32::MAX;

/// How much one owner holds of each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    networks: u32,
    services: u32,
    prefixes: u32,
    destinations: u32,
    newcomers: u32,
}

/// Takes one of the places there are; the number of no entry when none is left.
fn take(n: &mut u32, most: u32) -> Option<u32> {
    if *n >= most {
        return Some(NOWHERE);
    }
    *n += 1;
    None
}

impl Sizes {
    /// Whether a rung is full, so that nothing is new on it.
    pub(crate) fn is_full(self, subject: Subject) -> bool {
        match subject {
            Subject::Network(_) => self.networks >= MAX_NETWORKS,
            Subject::Service(..) => self.services >= MAX_SERVICES,
            Subject::Prefix(_) => self.prefixes >= MAX_PREFIXES,
        }
    }

    /// Takes a place for another network: `None`, or the number of no entry when there is none left.
    pub(crate) fn take_network(&mut self) -> Option<u32> {
        take(&mut self.networks, MAX_NETWORKS)
    }

    /// See [`Sizes::take_network`].
    pub(crate) fn take_service(&mut self) -> Option<u32> {
        take(&mut self.services, MAX_SERVICES)
    }

    /// See [`Sizes::take_network`].
    pub(crate) fn take_prefix(&mut self) -> Option<u32> {
        take(&mut self.prefixes, MAX_PREFIXES)
    }

    /// See [`Sizes::take_network`].
    pub(crate) fn take_destination(&mut self) -> Option<u32> {
        take(&mut self.destinations, MAX_DESTINATIONS)
    }
}

/// How much an owner holds, to change.
pub(crate) fn size_of(sizes: &mut Vec<Sizes>, owner: u32) -> &mut Sizes {
    let slot = owner as usize;
    if sizes.len() <= slot {
        sizes.resize(slot + 1, Sizes::default());
    }
    #[expect(clippy::indexing_slicing, reason = "the vector was just made long enough")]
    &mut sizes[slot]
}

impl Baselines {
    /// How much an owner holds.
    pub(crate) fn sizes(&self, owner: u32) -> Sizes {
        self.sizes.get(owner as usize).copied().unwrap_or_default()
    }

    /// Whether an owner has as many newcomers as are watched of one.
    pub(crate) fn is_watch_full(&self, owner: u32) -> bool {
        self.sizes(owner).newcomers >= MAX_NEWCOMERS
    }

    /// Puts something new under watch; where an owner has too many newcomers, half of them are watched no longer.
    pub(crate) fn watch(&mut self, owner: u32, subject: Subject, newcomer: &Newcomer) {
        self.newcomers.put((owner, subject), Watched::close(newcomer));
        let sizes = size_of(&mut self.sizes, owner);
        sizes.newcomers += 1;
        if sizes.newcomers > MAX_NEWCOMERS {
            self.thin_newcomers(owner);
        }
    }

    /// Lets go of the newcomers of an owner that say the least: ports before prefixes before networks, what was told last, what was
    /// met in the fewest windows and the longest ago first.
    fn thin_newcomers(&mut self, owner: u32) {
        let rung = |subject: Subject| match subject {
            Subject::Service(..) => 0,
            Subject::Prefix(_) => 1,
            Subject::Network(_) => 2,
        };
        let mine = self.newcomers.iter().filter(|((of, _), _)| *of == owner);
        let mut ranked: Vec<_> = mine
            .map(|(&(_, subject), newcomer)| {
                let is_told = newcomer.finding() != 0;
                let known = newcomer.known();
                let newcomer = newcomer.open();
                let to = newcomer.destinations.first();
                let to = to.map(|to| (self.ladder.rungs(to.peer).address, to.port, to.protocol));
                ((is_told, rung(subject), known.n_windows, known.last, to), subject)
            })
            .collect();
        ranked.sort_unstable();
        ranked.truncate(MAX_NEWCOMERS as usize / 2);
        let gone: std::collections::BTreeSet<Subject> = ranked.into_iter().map(|(_, subject)| subject).collect();
        self.newcomers.retain(|&(of, subject), _| of != owner || !gone.contains(&subject));
        size_of(&mut self.sizes, owner).newcomers -= gone.len() as u32;
    }

    /// Forgets what was not met for `memory_days` and settles newcomers that aged unremarkably; once a day is enough.
    /// Numbers of [`crate::table::Table`]s given before are void afterwards; those of owners and the ladder stay.
    pub fn age(&mut self, now: Window, memory_days: u32) {
        let horizon = memory_days.saturating_mul(WINDOWS_PER_DAY);
        let is_old = |known: &Known| now.0.saturating_sub(known.last.0) > horizon;
        self.newcomers.retain(|_, newcomer| !newcomer.has_settled() && !is_old(newcomer.known()));
        if self.destinations.iter().any(|(_, d)| is_old(&d.known)) {
            self.destinations.retain(|_, d| !is_old(&d.known));
        }
        if self.prefixes.iter().any(|(_, p)| is_old(&p.known)) {
            self.prefixes.retain(|_, p| !is_old(&p.known));
        }
        if self.services.iter().any(|(_, s)| is_old(&s.known)) {
            self.services.retain(|_, s| !is_old(&s.known));
        }
        if self.networks.iter().any(|(_, n)| is_old(&n.known)) {
            self.networks.retain(|_, n| !is_old(&n.known));
        }
        self.recount();
    }

    /// Derives anew how much each owner holds, what is settled, and the prevalence of networks and prefixes.
    pub(crate) fn recount(&mut self) {
        let Self { networks, prefixes, newcomers, prevalence, prefix_prevalence, sizes, settled, .. } = self;
        settled.clear();
        sizes.clear();
        prevalence.clear();
        for (&(owner, network), _) in networks.iter() {
            size_of(sizes, owner).networks += 1;
            count(prevalence, network);
        }
        prefix_prevalence.clear();
        for (&(owner, prefix), _) in prefixes.iter() {
            size_of(sizes, owner).prefixes += 1;
            count(prefix_prevalence, prefix);
        }
        self.services.iter().for_each(|(key, _)| size_of(sizes, key.0).services += 1);
        self.destinations.iter().for_each(|(key, _)| size_of(sizes, key.0).destinations += 1);
        newcomers.iter().for_each(|(key, _)| size_of(sizes, key.0).newcomers += 1);
    }
}

/// Adds one to a counter in a vector that grows as needed.
pub(crate) fn count(counters: &mut Vec<u32>, id: u32) {
    let slot = id as usize;
    if counters.len() <= slot {
        counters.resize(slot + 1, 0);
    }
    if let Some(n) = counters.get_mut(slot) {
        *n += 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::baseline::Standing;
    use crate::ladder::{Network, from_ip};
    use crate::newcomer::Circumstances;
    use crate::observation::Observation;

    use super::*;

    /// Follows and learns rows of one owner, one window each day.
    fn learn(baselines: &mut Baselines, day: u32, to: impl Iterator<Item = ([u8; 4], u16)>) -> u32 {
        let owner = baselines.owner("f");
        let window = Window((20_000 + day) * WINDOWS_PER_DAY);
        let rows: Vec<Observation> = to
            .map(|(address, port)| {
                let [a, b, ..] = address;
                let key: std::sync::Arc<str> = format!("{a}.{b}.0.0/16").into();
                let network = || Network { label: key.clone(), key: key.clone() };
                let peer = baselines.ladder.peer(from_ip(address.into()), network);
                Observation { owner, peer, port, protocol: 6, window, n_flows: 1, ..Observation::default() }
            })
            .collect();
        baselines.follow(owner, window, &rows, |_, _, _| Circumstances::default());
        baselines.learn(owner, window, &rows);
        owner
    }

    #[test]
    fn a_scan_of_ports_fills_no_more_than_its_room() {
        let mut baselines = Baselines::default();
        for day in 0..4 {
            learn(&mut baselines, day, (0..9000).map(|n| ([203, 0, 113, 7], (day * 9000 + n) as u16 + 1)));
        }
        let sizes = baselines.sizes(0);
        assert_eq!((sizes.networks, sizes.services), (1, MAX_SERVICES));
        assert!(sizes.newcomers <= MAX_NEWCOMERS, "{sizes:?}");
        let counted = baselines.sizes(0);
        baselines.recount();
        assert_eq!(baselines.sizes(0), counted, "kept as it goes and derived anew are the same");
    }

    #[test]
    fn a_flood_of_ports_drives_no_network_from_watch() {
        let mut baselines = Baselines::default();
        learn(&mut baselines, 0, [([198, 51, 100, 7], 443)].into_iter());
        learn(&mut baselines, 1, [([198, 51, 100, 7], 443)].into_iter());
        learn(&mut baselines, 2, [([198, 51, 100, 7], 443)].into_iter());
        baselines.age(Window(20_003 * WINDOWS_PER_DAY), 90);
        learn(&mut baselines, 3, [([203, 0, 113, 7], 443)].into_iter());
        for day in 4..6 {
            learn(&mut baselines, day, (0..60_000).map(|n| ([198, 51, 100, 7], n as u16)));
        }
        let peer = baselines.ladder.peer(from_ip([203, 0, 113, 7].into()), || unreachable!("it is known"));
        let row = Observation { peer, port: 443, protocol: 6, ..Observation::default() };
        assert!(matches!(baselines.standing(0, &row), Standing::Watched(Subject::Network(_))));
        assert!(baselines.newcomers().count() <= MAX_NEWCOMERS as usize);
    }
}
