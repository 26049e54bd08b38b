//! Merging: what two learners know, as one.
//!
//! Where it sits: puts baselines together that were learned apart, of other owners or of times that follow each other.
//! What it does not do: it learns nothing and forgets nothing. Call [`Baselines::age`] afterwards, as after learning.
//!
//! What is new to one learner may be old to the other, so whatever was derived from novelty is derived anew: of each
//! owner, the part that is later in time is read as if the earlier had been known.

use std::collections::BTreeMap;

use crate::baseline::{Baseline, Baselines, DIARY_DAYS, DiaryDay};
use crate::known::Known;
use crate::newcomer::Subject;
use crate::watched::Watched;
use crate::window::{Day, WINDOWS_PER_DAY, Window};

impl Baselines {
    /// Adds what another set of baselines knows.
    ///
    /// # Guarantees
    /// Commutative; the empty set changes nothing. Merging what was learned of parts of time that follow each other, or
    /// of different owners, gives what learning all of it at once gives, in distributions, ladder, diary, hours and all
    /// that was derived from them, whatever the parts' number and order; parts may meet within a day. Exact so long as:
    ///
    /// - no window of an owner is in both parts. One that is counts twice, its peers too.
    /// - nothing was forgotten in between: what was silent for the days of memory and then met again is new when
    ///   learned at once, and known for long when merged. Where the same spans were learned twice, they count twice.
    /// - addresses were explained the same way; where not, the network told first stays.
    ///
    /// Not exact, since a part alone watches and does not know what another part had settled:
    ///
    /// - of what is watched: when the earlier part knew a rung, what the later part met below it is known, not
    ///   watched; a held connection that spans the parts is continued if some port bit survived both. Which networks
    ///   are watched, since when and with what amounts and contacts is exact.
    /// - `active` lacks what the later part did while it did not know that the destination was settled.
    /// - what stood under a finding in one part and not in the other: what entered the distributions stays in them.
    pub fn merge(&mut self, other: &Self) {
        let (theirs, owners, peers) = self.renumbered(other);
        // Of each owner known to both: whether they saw it later than we did.
        let is_late: Vec<bool> =
            self.of_owner.iter().zip(&theirs.of_owner).map(|(a, b)| place(a) <= place(b)).collect();
        let corrections = Corrections::of(self, &theirs, &is_late);
        self.merge_newcomers(&theirs, &is_late);
        self.merge_rungs(&theirs);
        self.merge_destinations(other, &owners, &peers);
        for (key, correction) in &corrections.networks {
            if let Some(network) = self.networks.get_mut(key) {
                network.n_prefixes = network.n_prefixes.saturating_add_signed(correction.n_prefixes);
                network.n_late_prefixes = network.n_late_prefixes.saturating_add_signed(correction.n_late_prefixes);
            }
        }
        for ((id, mine), theirs) in (0..).zip(&mut self.of_owner).zip(&theirs.of_owner) {
            mine.merge(theirs, corrections.diary.range((id, Day(0))..=(id, Day(u32::MAX))).map(|(key, c)| (key.1, c)));
        }
        self.learned_from.n_objects += other.learned_from.n_objects;
        self.learned_from.n_observations += other.learned_from.n_observations;
        self.learned_from.span = match (self.learned_from.span, other.learned_from.span) {
            (Some(mine), Some(theirs)) => Some((mine.0.min(theirs.0), mine.1.max(theirs.1))),
            (mine, theirs) => mine.or(theirs),
        };
        self.accepted.extend(&other.accepted);
        self.recount();
    }

    /// What another set knows, except of destinations, under our numbers; and our numbers of its owners and addresses.
    fn renumbered(&mut self, other: &Self) -> (Self, Vec<u32>, Vec<u32>) {
        let owners: Vec<u32> = other.owners.iter().map(|name| self.owner(name)).collect();
        let began = |set: &Self| set.learned_from.span.map_or(i64::MAX, |span| span.0);
        let is_earlier = began(other) < began(self);
        let networks: Vec<u32> = (0..)
            .zip(other.ladder.networks().iter())
            .map(|(id, key)| self.ladder.network_told(key, &other.ladder.label(id), is_earlier))
            .collect();
        let peers: Vec<u32> = (0..other.ladder.n_peers() as u32)
            .map(|id| {
                let rungs = other.ladder.rungs(id);
                self.ladder.peer_or(rungs.address, at(&networks, rungs.network))
            })
            .collect();
        let prefix = |ladder: &mut crate::ladder::Ladder, id: u32| ladder.prefix_id(other.ladder.prefix(id));
        let mut out = Self { of_owner: vec![Baseline::default(); self.of_owner.len()], ..Self::default() };
        for (&owner, baseline) in owners.iter().zip(&other.of_owner) {
            if let Some(slot) = out.of_owner.get_mut(owner as usize) {
                slot.clone_from(baseline);
            }
        }
        for (key, known) in other.networks.iter() {
            out.networks.put((at(&owners, key.0), at(&networks, key.1)), *known);
        }
        for (key, known) in other.services.iter() {
            out.services.put((at(&owners, key.0), at(&networks, key.1), key.2, key.3), known.clone());
        }
        for (key, known) in other.prefixes.iter() {
            let mut known = *known;
            known.network = at(&networks, known.network);
            out.prefixes.put((at(&owners, key.0), prefix(&mut self.ladder, key.1)), known);
        }
        for (key, known) in other.ports.iter() {
            out.ports.put((at(&owners, key.0), key.1, key.2), *known);
        }
        for (&(owner, subject), newcomer) in other.newcomers.iter() {
            let subject = match subject {
                Subject::Network(id) => Subject::Network(at(&networks, id)),
                Subject::Service(id, port, protocol) => Subject::Service(at(&networks, id), port, protocol),
                Subject::Prefix(id) => Subject::Prefix(prefix(&mut self.ladder, id)),
            };
            let mut newcomer = newcomer.open();
            for contacted in &mut newcomer.destinations {
                contacted.peer = at(&peers, contacted.peer);
            }
            out.newcomers.put((at(&owners, owner), subject), Watched::close(&newcomer));
        }
        (out, owners, peers)
    }

    /// When a rung was met.
    fn rung(&self, owner: u32, subject: Subject) -> Option<&Known> {
        match subject {
            Subject::Network(network) => self.networks.get(&(owner, network)).map(|n| &n.known),
            Subject::Service(network, port, protocol) => {
                self.services.get(&(owner, network, port, protocol)).map(|s| &s.known)
            }
            Subject::Prefix(prefix) => self.prefixes.get(&(owner, prefix)).map(|p| &p.known),
        }
    }

    /// What both watch is one file; what one watches and the other had settled before is not new; what the other settled
    /// after goes on.
    fn merge_newcomers(&mut self, theirs: &Self, is_late: &[bool]) {
        let they_are_late = |owner: u32| is_late.get(owner as usize) == Some(&true);
        let mut mine = std::mem::take(&mut self.newcomers);
        mine.retain(|&(owner, subject), _| {
            let both_watch = theirs.newcomers.id(&(owner, subject)).is_some();
            both_watch || they_are_late(owner) || theirs.rung(owner, subject).is_none()
        });
        for (&(owner, subject), file) in theirs.newcomers.iter() {
            if let Some(known) = mine.get_mut(&(owner, subject)) {
                let (early, late) = if they_are_late(owner) { (&*known, file) } else { (file, &*known) };
                let mut merged = early.open();
                merged.merge(&late.open());
                *known = Watched::close(&merged);
                continue;
            }
            let settled = self.rung(owner, subject);
            if they_are_late(owner) && settled.is_some() {
                continue;
            }
            let mut file = file.open();
            if let Some(known) = settled {
                file.known.merge(known);
            }
            mine.put((owner, subject), Watched::close(&file));
        }
        let going_on: Vec<((u32, Subject), Known)> = mine
            .iter()
            .filter(|(key, _)| they_are_late(key.0) && theirs.newcomers.id(key).is_none())
            .filter_map(|(key, _)| Some((*key, *theirs.rung(key.0, key.1)?)))
            .collect();
        for (key, known) in going_on {
            if let Some(watched) = mine.get_mut(&key) {
                let mut file = watched.open();
                file.known.merge(&known);
                *watched = Watched::close(&file);
            }
        }
        self.newcomers = mine;
    }

    fn merge_rungs(&mut self, theirs: &Self) {
        for (key, known) in theirs.networks.iter() {
            if let Some(mine) = self.networks.get_mut(key) {
                mine.known.merge(&known.known);
                mine.n_prefixes += known.n_prefixes;
                mine.n_late_prefixes += known.n_late_prefixes;
            } else {
                self.networks.put(*key, *known);
            }
        }
        for (key, known) in theirs.services.iter() {
            if let Some(mine) = self.services.get_mut(key) {
                mine.known.merge(&known.known);
                mine.volumes.merge(&known.volumes);
            } else {
                self.services.put(*key, known.clone());
            }
        }
        for (key, known) in theirs.prefixes.iter() {
            if let Some(mine) = self.prefixes.get_mut(key) {
                if (known.known.first, known.network) < (mine.known.first, mine.network) {
                    mine.network = known.network;
                }
                mine.known.merge(&known.known);
            } else {
                self.prefixes.put(*key, *known);
            }
        }
        for (key, known) in theirs.ports.iter() {
            if let Some(mine) = self.ports.get_mut(key) {
                mine.merge(known);
            } else {
                self.ports.put(*key, *known);
            }
        }
    }

    fn merge_destinations(&mut self, other: &Self, owners: &[u32], peers: &[u32]) {
        for (&(owner, peer, port, protocol), known) in other.destinations.iter() {
            let key = (at(owners, owner), at(peers, peer), port, protocol);
            if let Some(mine) = self.destinations.get_mut(&key) {
                mine.known.merge(&known.known);
                mine.bytes_out = mine.bytes_out.saturating_add(known.bytes_out);
                mine.bytes_in = mine.bytes_in.saturating_add(known.bytes_in);
            } else {
                self.destinations.put(key, *known);
            }
        }
    }
}

/// The number given instead of a number.
fn at(numbers: &[u32], id: u32) -> u32 {
    numbers.get(id as usize).copied().unwrap_or(u32::MAX)
}

/// Which of one owner's two parts is the earlier one. Parts that span the same time are told apart by how much they hold,
/// so that the answer does not depend on who merges whom.
fn place(baseline: &Baseline) -> (Window, Window, u32, u64) {
    let known = baseline.known.unwrap_or(Known { first: Window(u32::MAX), ..Known::default() });
    (known.first, known.last, known.n_windows, baseline.volumes.open_day.1.bytes_out)
}

/// What counted as new in the later part and was not, or the other way round.
#[derive(Default)]
struct Corrections {
    /// Of networks, by owner and network.
    networks: BTreeMap<(u32, u32), NetworkCorrection>,
    /// Of diaries, by owner and day.
    diary: BTreeMap<(u32, Day), DiaryCorrection>,
}

#[derive(Clone, Copy, Default)]
struct NetworkCorrection {
    n_prefixes: i32,
    n_late_prefixes: i32,
}

#[derive(Clone, Copy, Default)]
struct DiaryCorrection {
    networks: i32,
    services: i32,
    prefixes: i32,
    ports: i32,
}

impl Corrections {
    fn of(mine: &Baselines, theirs: &Baselines, is_late: &[bool]) -> Self {
        let mut out = Self::default();
        for (early, late, theirs_is_late) in [(mine, theirs, true), (theirs, mine, false)] {
            let is_later = |owner: u32| is_late.get(owner as usize) == Some(&theirs_is_late);
            out.add_networks(early, late, is_later);
            out.add_services(early, late, is_later);
            out.add_prefixes(early, late, is_later);
            for (key, known) in late.ports.iter().filter(|(key, _)| is_later(key.0)) {
                if early.ports.id(key).is_some() {
                    out.day(key.0, known.first).ports -= 1;
                }
            }
        }
        out
    }

    fn day(&mut self, owner: u32, window: Window) -> &mut DiaryCorrection {
        self.diary.entry((owner, window.day())).or_default()
    }

    fn add_networks(&mut self, early: &Baselines, late: &Baselines, is_later: impl Fn(u32) -> bool) {
        for (key, network) in late.networks.iter().filter(|(key, _)| is_later(key.0)) {
            if early.networks.id(key).is_some() {
                self.day(key.0, network.known.first).networks -= 1;
            }
        }
    }

    /// A port is news in a network known before. The later part did not count the one that came with the network, and
    /// should have, had it known the network; which one of those of the first window it was makes no difference.
    fn add_services(&mut self, early: &Baselines, late: &Baselines, is_later: impl Fn(u32) -> bool) {
        let mut came_with: BTreeMap<(u32, u32), Window> = BTreeMap::new();
        for (key, service) in late.services.iter().filter(|(key, _)| is_later(key.0)) {
            let network = (key.0, key.1);
            let (Some(here), true) = (late.networks.get(&network), early.networks.id(&network).is_some()) else {
                continue;
            };
            if early.services.id(key).is_some() {
                self.day(key.0, service.known.first).services -= 1;
            }
            if service.known.first == here.known.first {
                came_with.insert(network, here.known.first);
            }
        }
        for ((owner, _), window) in came_with {
            self.day(owner, window).services += 1;
        }
    }

    fn add_prefixes(&mut self, early: &Baselines, late: &Baselines, is_later: impl Fn(u32) -> bool) {
        for (key, prefix) in late.prefixes.iter().filter(|(key, _)| is_later(key.0)) {
            let network = (key.0, prefix.network);
            let first = prefix.known.first;
            let Some(here) = late.networks.get(&network) else { continue };
            let is_late_from = |start: Window| first.0 >= start.0.saturating_add(WINDOWS_PER_DAY);
            let was_counted = is_late_from(here.known.first);
            let is_news = early.prefixes.id(key).is_none();
            let begin = early.networks.get(&network).map_or(here.known.first, |e| e.known.first.min(here.known.first));
            let counts = is_news && is_late_from(begin);
            let correction = i32::from(counts) - i32::from(was_counted);
            if correction != 0 {
                self.day(key.0, first).prefixes += correction;
            }
            if correction != 0 || !is_news {
                let network = self.networks.entry(network).or_default();
                network.n_prefixes -= i32::from(!is_news);
                network.n_late_prefixes += correction;
            }
        }
    }
}

impl Baseline {
    fn merge<'a>(&mut self, other: &Self, corrections: impl Iterator<Item = (Day, &'a DiaryCorrection)>) {
        let shares_window = match (&mut self.known, other.known) {
            (Some(mine), Some(theirs)) => {
                let shared = [(mine.last, theirs.first), (theirs.last, mine.first)].into_iter().find(|(a, b)| a == b);
                mine.merge(&theirs);
                shared.map(|(window, _)| window)
            }
            (mine, theirs) => {
                *mine = mine.or(theirs);
                None
            }
        };
        self.hours.resize(self.hours.len().max(other.hours.len()), 0);
        self.hours.iter_mut().zip(&other.hours).for_each(|(mine, theirs)| *mine += theirs);
        if let Some(twice) = shares_window.and_then(|w| self.hours.get_mut(usize::from(w.hour_of_week()))) {
            *twice = twice.saturating_sub(1);
        }
        self.window_peers.merge(&other.window_peers);
        let (mine, theirs) = (self.volumes.open_window, other.volumes.open_window);
        let ended = if mine.0 < theirs.0 { mine.1 } else { theirs.1 };
        if mine.0 != theirs.0 && ended.n_peers > 0 {
            self.window_peers.record(ended.n_peers);
        }
        self.volumes.merge(&other.volumes);
        self.active.merge(&other.active);
        self.merge_diary(&other.diary, corrections);
    }

    fn merge_diary<'a>(&mut self, other: &[DiaryDay], corrections: impl Iterator<Item = (Day, &'a DiaryCorrection)>) {
        self.diary.extend_from_slice(other);
        self.diary.sort_by_key(|entry| entry.day);
        self.diary.dedup_by(|next, kept| {
            let is_same = next.day == kept.day;
            if is_same {
                kept.networks += next.networks;
                kept.services += next.services;
                kept.prefixes += next.prefixes;
                kept.ports += next.ports;
            }
            is_same
        });
        for (day, correction) in corrections {
            if let Ok(at) = self.diary.binary_search_by_key(&day, |entry| entry.day)
                && let Some(entry) = self.diary.get_mut(at)
            {
                entry.networks = entry.networks.saturating_add_signed(correction.networks);
                entry.services = entry.services.saturating_add_signed(correction.services);
                entry.prefixes = entry.prefixes.saturating_add_signed(correction.prefixes);
                entry.ports = entry.ports.saturating_add_signed(correction.ports);
            }
        }
        self.diary.drain(..self.diary.len().saturating_sub(DIARY_DAYS as usize));
    }
}

#[cfg(test)]
mod tests;
