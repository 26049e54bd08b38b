//! Merging: what is known of several owners, as of one.
//!
//! Where it sits: makes of the pasts an heir comes from the one it begins with: see [`crate::heirs`].
//! What it does not do: it learns nothing and forgets nothing.
//!
//! What is new to one may be old to the other, so whatever was derived from novelty is derived anew: the part that is
//! later in time is read as if the earlier had been known.

use std::collections::BTreeMap;

use crate::baseline::{Baseline, DIARY_DAYS, DiaryDay};
use crate::known::Known;
use crate::names::Names;
use crate::newcomer::Subject;
use crate::watched::Watched;
use crate::window::{Day, WINDOWS_PER_DAY, Window};

impl Baseline {
    /// Adds what another baseline knows, under the same numbers. `networks`: the names of their networks.
    ///
    /// # Guarantees
    /// Commutative; an empty one changes nothing. Merging what was learned of parts of time that follow each other
    /// gives what learning all of it at once gives, in distributions, ladder, diary, hours and all that was derived
    /// from them, whatever the parts' number and order; parts may meet within a day. Exact so long as:
    ///
    /// - no window is in both parts. One that is counts twice, its peers too.
    /// - nothing was forgotten in between: what was silent for the days of memory and then met again is new when
    ///   learned at once, and known for long when merged. Where the same spans were learned twice, they count twice.
    ///
    /// Not exact, since a part alone watches and does not know what another part had settled:
    ///
    /// - of what is watched: when the earlier part knew a rung, what the later part met below it is known, not
    ///   watched; a held connection that spans the parts is continued if some port bit survived both. Which networks
    ///   are watched, since when and with what amounts and contacts is exact.
    /// - `active` lacks what the later part did while it did not know that the destination was settled.
    /// - what stood under a finding in one part and not in the other: what entered the distributions stays in them.
    pub(crate) fn merge(&mut self, theirs: &Self, networks: &Names) {
        let they_are_late = order_in_time(self) <= order_in_time(theirs);
        let corrections = if they_are_late { Corrections::of(self, theirs) } else { Corrections::of(theirs, self) };
        self.merge_newcomers(theirs, they_are_late);
        self.longest_held_secs = self.longest_held_secs.max(theirs.longest_held_secs);
        self.records.add(theirs.records);
        self.merge_rungs(theirs, networks);
        for (network, correction) in &corrections.networks {
            if let Some(network) = self.networks.get_mut(network) {
                network.n_prefixes = network.n_prefixes.saturating_add_signed(correction.n_prefixes);
                network.n_late_prefixes = network.n_late_prefixes.saturating_add_signed(correction.n_late_prefixes);
            }
        }
        self.merge_whole(theirs, &corrections.diary);
        self.settled.clear();
    }

    /// When a rung was met.
    fn rung(&self, subject: Subject) -> Option<&Known> {
        match subject {
            Subject::Network(network) => self.network(network).map(|n| &n.known),
            Subject::Service(network, port, protocol) => self.service(network, port, protocol).map(|s| &s.known),
            Subject::Prefix(prefix) => self.prefixes.get(&prefix).map(|p| &p.known),
        }
    }

    /// What both watch is one file; what one watches and the other had settled before is not new; what the other
    /// settled after goes on.
    fn merge_newcomers(&mut self, theirs: &Self, they_are_late: bool) {
        let mut mine = std::mem::take(&mut self.newcomers);
        mine.retain(|&subject, _| they_are_late || theirs.is_watched(subject) || theirs.rung(subject).is_none());
        for (&subject, file) in theirs.newcomers.iter() {
            if let Some(known) = mine.get_mut(&subject) {
                let (early, late) = if they_are_late { (&*known, file) } else { (file, &*known) };
                let mut merged = early.open();
                merged.merge(&late.open());
                *known = Watched::close(&merged);
                continue;
            }
            let settled = self.rung(subject);
            if they_are_late && settled.is_some() {
                continue;
            }
            let mut file = file.open();
            if let Some(known) = settled {
                file.known.merge(known);
            }
            mine.put(subject, Watched::close(&file));
        }
        let going_on: Vec<(Subject, Known)> = mine
            .iter()
            .filter(|(subject, _)| they_are_late && !theirs.is_watched(**subject))
            .filter_map(|(&subject, _)| Some((subject, *theirs.rung(subject)?)))
            .collect();
        for (subject, known) in going_on {
            if let Some(watched) = mine.get_mut(&subject) {
                let mut file = watched.open();
                file.known.merge(&known);
                *watched = Watched::close(&file);
            }
        }
        self.newcomers = mine;
    }

    fn merge_rungs(&mut self, theirs: &Self, networks: &Names) {
        self.networks.merge(&theirs.networks, |mine, known| {
            mine.known.merge(&known.known);
            mine.n_prefixes = mine.n_prefixes.saturating_add(known.n_prefixes);
            mine.n_late_prefixes = mine.n_late_prefixes.saturating_add(known.n_late_prefixes);
        });
        self.services.merge(&theirs.services, |mine, known| {
            mine.known.merge(&known.known);
            mine.volumes.merge(&known.volumes);
        });
        self.prefixes.merge(&theirs.prefixes, |mine, known| {
            // Where both met it at once, names decide: numbers are given in order of arrival.
            let order = known.known.first.cmp(&mine.known.first);
            if order.then_with(|| networks.name(known.network).cmp(&networks.name(mine.network))).is_lt() {
                mine.network = known.network;
            }
            mine.known.merge(&known.known);
        });
        self.ports.merge(&theirs.ports, Known::merge);
        self.destinations.merge(&theirs.destinations, |mine, known| {
            mine.known.merge(&known.known);
            mine.bytes_out = mine.bytes_out.saturating_add(known.bytes_out);
            mine.bytes_in = mine.bytes_in.saturating_add(known.bytes_in);
        });
    }
}

/// What one owner's two parts are ordered by, the earlier one first. Parts that span the same time are told apart by
/// how much they hold, so that the answer does not depend on who merges whom.
fn order_in_time(baseline: &Baseline) -> (Window, Window, u32, u64) {
    let known = baseline.known.unwrap_or(Known { first: Window(u32::MAX), ..Known::default() });
    (known.first, known.last, known.n_windows, baseline.volumes.open_day.1.bytes_out)
}

/// What counted as new in the later part and was not, or the other way round.
#[derive(Default)]
struct Corrections {
    /// Of networks, by number.
    networks: BTreeMap<u32, NetworkCorrection>,
    diary: BTreeMap<Day, DiaryCorrection>,
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
    fn of(early: &Baseline, late: &Baseline) -> Self {
        let mut out = Self::default();
        for (_, network) in late.networks.iter().filter(|(key, _)| early.networks.id(key).is_some()) {
            out.day(network.known.first).networks -= 1;
        }
        out.add_services(early, late);
        out.add_prefixes(early, late);
        for (_, known) in late.ports.iter().filter(|(key, _)| early.ports.id(key).is_some()) {
            out.day(known.first).ports -= 1;
        }
        out
    }

    fn day(&mut self, window: Window) -> &mut DiaryCorrection {
        self.diary.entry(window.day()).or_default()
    }

    /// A port is news in a network known before. The later part did not count the one that came with the network, and
    /// should have, had it known the network; which one of those of the first window it was makes no difference.
    fn add_services(&mut self, early: &Baseline, late: &Baseline) {
        let mut came_with: BTreeMap<u32, Window> = BTreeMap::new();
        for (key, service) in late.services.iter() {
            let network = key.0;
            let (Some(here), true) = (late.networks.get(&network), early.networks.id(&network).is_some()) else {
                continue;
            };
            if early.services.id(key).is_some() {
                self.day(service.known.first).services -= 1;
            }
            if service.known.first == here.known.first {
                came_with.insert(network, here.known.first);
            }
        }
        for window in came_with.into_values() {
            self.day(window).services += 1;
        }
    }

    fn add_prefixes(&mut self, early: &Baseline, late: &Baseline) {
        for (key, prefix) in late.prefixes.iter() {
            let network = prefix.network;
            let first = prefix.known.first;
            let Some(here) = late.networks.get(&network) else { continue };
            let is_late_from = |start: Window| first.0 >= start.0.saturating_add(WINDOWS_PER_DAY);
            let was_counted = is_late_from(here.known.first);
            let is_news = early.prefixes.id(key).is_none();
            let begin = early.networks.get(&network).map_or(here.known.first, |e| e.known.first.min(here.known.first));
            let counts = is_news && is_late_from(begin);
            let correction = i32::from(counts) - i32::from(was_counted);
            if correction != 0 {
                self.day(first).prefixes += correction;
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
    /// Adds what is known of the owner as a whole.
    fn merge_whole(&mut self, other: &Self, corrections: &BTreeMap<Day, DiaryCorrection>) {
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
        self.hours.iter_mut().zip(&other.hours).for_each(|(mine, theirs)| *mine = mine.saturating_add(*theirs));
        if let Some(twice) = shares_window.and_then(|w| self.hours.get_mut(usize::from(w.hour_of_week()))) {
            *twice = twice.saturating_sub(1);
        }
        self.window_peers.merge(&other.window_peers);
        let (mine, theirs) = (self.volumes.open_window, other.volumes.open_window);
        let ended = if mine.0 < theirs.0 { mine.1 } else { theirs.1 };
        if mine.0 != theirs.0 && ended.n_peers > 0 {
            self.window_peers.record(ended.n_peers.into());
        }
        self.volumes.merge(&other.volumes);
        self.active.merge(&other.active);
        self.merge_diary(&other.diary, corrections);
    }

    fn merge_diary(&mut self, other: &[DiaryDay], corrections: &BTreeMap<Day, DiaryCorrection>) {
        self.diary.extend_from_slice(other);
        self.diary.sort_by_key(|entry| entry.day);
        self.diary.dedup_by(|next, kept| {
            let is_same = next.day == kept.day;
            if is_same {
                kept.add(next);
            }
            is_same
        });
        for (day, correction) in corrections {
            if let Ok(at) = self.diary.binary_search_by_key(day, |entry| entry.day)
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
