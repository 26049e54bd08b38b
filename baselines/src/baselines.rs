//! Baselines: those of all owners, and what the owners share: the ladder, and how many of them know what.
//!
//! Owners are learned and judged side by side, see [`Baselines::side_by_side`]: what one learns of itself is in its own
//! [`Baseline`], what others may ask of it comes back as [`Learned`] and is noted later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use rayon::prelude::*;

use crate::baseline::{Baseline, Learned, span_of};
use crate::follow::Open;
use crate::ladder::Ladder;
use crate::names::Names;
use crate::newcomer::{Circumstances, Newcomer, Subject};
use crate::observation::Observation;
use crate::standing::{Found, Standing};
use crate::watched::Watched;
use crate::window::{Day, Window};

/// Everything learned.
#[derive(Clone, Debug, Default)]
pub struct Baselines {
    /// Owners by number.
    pub owners: Names,
    /// Addresses, prefixes and networks by number.
    pub ladder: Ladder,
    pub(crate) of_owner: Vec<Baseline>,
    /// Derived from what the owners know.
    prevalence: Prevalence,
    /// Findings a person accepted: see [`Baselines::accept`].
    pub(crate) accepted: BTreeSet<u128>,
    /// What was learned from, in all.
    pub learned_from: LearnedFrom,
    /// Extra files, by name, stored and loaded together with the tables. This crate never looks inside: the detector
    /// keeps its `incidents.json` here, which says what was told.
    pub beside: BTreeMap<String, Bytes>,
}

/// What a baseline was learned from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnedFrom {
    /// Objects read.
    pub n_objects: u64,
    /// Observations learned: destinations by window, one told in two parts counted once; what stands under a finding is
    /// not.
    pub n_observations: u64,
    /// First second of the first window and first second after the last; `None` before the first.
    pub span: Option<(i64, i64)>,
}

/// How many owners know each network and each prefix, watched ones too, but none where it is under a finding.
#[derive(Clone, Debug, Default)]
struct Prevalence {
    networks: Vec<u32>,
    prefixes: Vec<u32>,
}

/// What owners share: what an owner is judged by beside its own baseline.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// Owners by number.
    pub owners: &'a Names,
    /// Addresses, prefixes and networks by number.
    pub ladder: &'a Ladder,
    prevalence: &'a Prevalence,
    accepted: &'a BTreeSet<u128>,
}

impl Fleet<'_> {
    /// Whether a person accepted a finding.
    pub fn is_accepted(&self, finding: u128) -> bool {
        self.accepted.contains(&finding)
    }

    /// How many owners know a network, other than under a finding.
    pub fn n_owners_knowing(&self, network: u32) -> u32 {
        self.prevalence.networks.get(network as usize).copied().unwrap_or(0)
    }

    /// How many owners know a prefix, other than under a finding.
    pub fn n_owners_knowing_prefix(&self, prefix: u32) -> u32 {
        self.prevalence.prefixes.get(prefix as usize).copied().unwrap_or(0)
    }
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

    /// What is known of an owner.
    pub fn baseline(&self, owner: u32) -> Option<&Baseline> {
        self.of_owner.get(owner as usize)
    }

    /// What is known of an owner, to change.
    pub(crate) fn baseline_mut(&mut self, owner: u32) -> Option<&mut Baseline> {
        self.of_owner.get_mut(owner as usize)
    }

    /// What owners share.
    pub fn fleet(&self) -> Fleet<'_> {
        let Self { owners, ladder, prevalence, accepted, .. } = self;
        Fleet { owners, ladder, prevalence, accepted }
    }

    /// The baselines of some owners, to change side by side, and what they share. `owners` rise; of one that is not
    /// known there is none.
    pub fn side_by_side(&mut self, owners: impl IntoIterator<Item = u32>) -> (Fleet<'_>, Vec<&mut Baseline>) {
        let Self { owners: names, ladder, prevalence, accepted, .. } = self;
        let fleet = Fleet { owners: names, ladder, prevalence, accepted };
        let (mut rest, mut next) = (self.of_owner.iter_mut(), 0);
        let take = |owner: u32| {
            let skipped = owner.checked_sub(next)?;
            next = owner.saturating_add(1);
            rest.nth(skipped as usize)
        };
        (fleet, owners.into_iter().filter_map(take).collect())
    }

    /// Notes what was learned of an owner: after it other owners may ask how many know a network.
    pub fn note(&mut self, learned: &Learned) {
        for &network in &learned.networks {
            count(&mut self.prevalence.networks, network);
        }
        for &prefix in &learned.prefixes {
            count(&mut self.prevalence.prefixes, prefix);
        }
        for &network in &learned.strange_networks {
            uncount(&mut self.prevalence.networks, network);
        }
        for &prefix in &learned.strange_prefixes {
            uncount(&mut self.prevalence.prefixes, prefix);
        }
        self.learned_from.n_observations = self.learned_from.n_observations.saturating_add(learned.n_observations);
        self.learned_from.span = span_of(self.learned_from.span, learned.span);
    }

    /// Follows one owner's newcomers: see [`Baseline::follow`]. What there is no room to watch stays known.
    pub fn follow(
        &mut self,
        owner: u32,
        window: Window,
        rows: &[Observation],
        met: impl FnMut(&Baseline, Subject, &Observation) -> Circumstances,
    ) -> Vec<Subject> {
        let Some(baseline) = self.of_owner.get_mut(owner as usize) else { return Vec::new() };
        let found: Vec<Found> = rows.iter().map(|row| baseline.find(&self.ladder, row)).collect();
        let mut open = Open::default();
        let touched = baseline.follow(&self.ladder, window, rows, &found, &mut open, met);
        baseline.close_files(&mut open);
        touched
    }

    /// Puts a newcomer of an owner under a finding, or takes it from under one (0): see [`Baseline::set_finding`].
    #[cfg(test)]
    pub(crate) fn set_finding(&mut self, owner: u32, subject: Subject, finding: u128) {
        let mut learned = Learned::default();
        if let Some(baseline) = self.of_owner.get_mut(owner as usize) {
            baseline.set_finding(&mut Open::default(), subject, finding, &mut learned);
        }
        if finding == 0 {
            self.recount();
        } else {
            self.note(&learned);
        }
    }

    /// Learns one owner's window: see [`Baseline::learn`].
    pub fn learn(&mut self, owner: u32, window: Window, rows: &[Observation]) {
        let Some(baseline) = self.of_owner.get_mut(owner as usize) else { return };
        let found: Vec<Found> = rows.iter().map(|row| baseline.find(&self.ladder, row)).collect();
        let mut learned = Learned::default();
        baseline.learn(&self.ladder, window, rows, &found, &mut learned);
        self.note(&learned);
    }

    /// Where a destination of an owner stands: see [`Baseline::find`].
    pub fn standing(&self, owner: u32, row: &Observation) -> Standing {
        self.baseline(owner).map_or(Standing::Settled, |baseline| baseline.find(&self.ladder, row).standing)
    }

    /// A destination under watch, opened: see [`crate::watched`].
    pub fn newcomer(&self, owner: u32, subject: Subject) -> Option<Newcomer> {
        self.baseline(owner)?.newcomer(subject)
    }

    /// All owners with what is known of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Baseline)> {
        self.owners.iter().zip(&self.of_owner)
    }

    /// Baselines with the numbers of their owners.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &Baseline)> {
        (0..).zip(&self.of_owner)
    }

    /// The newcomers of all owners.
    pub(crate) fn watched(&self) -> impl Iterator<Item = (u32, Subject, &Watched)> {
        self.numbered().flat_map(|(owner, baseline)| {
            baseline.newcomers.iter().map(move |(&subject, newcomer)| (owner, subject, newcomer))
        })
    }

    /// How many destinations are known.
    pub fn n_destinations(&self) -> usize {
        self.of_owner.iter().map(|baseline| baseline.destinations.len()).sum()
    }

    /// The third latest day on which any owner was active: the latest one that two later days confirm.
    ///
    /// The date of a record may be wrong. One dated into the far future must not make everything before it look old
    /// enough to be forgotten, so the latest day alone is not believed. Where there are fewer than three days of
    /// activity, this is day 0, and nothing is old.
    pub fn confirmed_day(&self) -> Day {
        let mut latest = [Day(0); 3];
        let n = latest.len();
        let days = self.of_owner.iter().flat_map(|baseline| baseline.diary.iter().rev().take(n));
        for day in days.map(|entry| entry.day) {
            if latest[0] < day && !latest.contains(&day) {
                latest[0] = day;
                latest.sort_unstable();
            }
        }
        latest[0]
    }

    /// The latest day before another of which anything was learned; `None` where that one has begun too.
    pub fn ended_before(&self, day: Day) -> Option<Day> {
        let mut latest = None;
        for Baseline { diary, .. } in &self.of_owner {
            let at = diary.binary_search_by_key(&day, |entry| entry.day).err()?;
            latest = latest.max(at.checked_sub(1).and_then(|at| diary.get(at)).map(|entry| entry.day));
        }
        latest
    }

    /// Forgets what was not met for `memory_days` and settles newcomers that aged unremarkably; once a day is enough.
    /// Numbers of [`crate::table::Table`]s given before are void afterwards; those of owners and the ladder stay.
    ///
    /// A day is believed when two later ones were told of, or one record with a wrong date would have all forgotten.
    pub fn age(&mut self, now: Window, memory_days: u32) {
        let now = now.min(self.confirmed_day().first_window());
        self.of_owner.par_iter_mut().for_each(|baseline| baseline.age(now, memory_days));
        self.recount();
    }

    /// Derives anew how many owners know what.
    pub(crate) fn recount(&mut self) {
        let Prevalence { networks, prefixes } = &mut self.prevalence;
        networks.clear();
        prefixes.clear();
        for baseline in &self.of_owner {
            baseline.familiar_networks().for_each(|network| count(networks, network));
            baseline.familiar_prefixes().for_each(|prefix| count(prefixes, prefix));
        }
    }
}

/// Adds one to a counter in a vector that grows as needed.
fn count(counters: &mut Vec<u32>, id: u32) {
    let slot = id as usize;
    if counters.len() <= slot {
        counters.resize(slot + 1, 0);
    }
    if let Some(n) = counters.get_mut(slot) {
        *n += 1;
    }
}

/// Takes one from a counter again.
fn uncount(counters: &mut [u32], id: u32) {
    if let Some(n) = counters.get_mut(id as usize) {
        *n = n.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::DiaryDay;
    use crate::ladder::{Network, from_ip};

    /// Three owners and an observation of one address.
    fn fleet() -> (Baselines, Observation) {
        let mut baselines = Baselines::default();
        for name in ["a", "b", "c"] {
            baselines.owner(name);
        }
        let network = || Network { key: "AS1".into(), label: "AS1 One".into() };
        let peer = baselines.ladder.peer(from_ip([203, 0, 113, 7].into()), network);
        let row = Observation { peer, port: 443, protocol: 6, window: Window(2_950_000), ..Observation::default() };
        (baselines, row)
    }

    #[test]
    fn what_owners_learn_side_by_side_others_know_once_it_is_noted() {
        let (mut baselines, row) = fleet();
        let (fleet, own) = baselines.side_by_side([0, 2]);
        let learned: Vec<Learned> = own
            .into_iter()
            .map(|baseline| {
                let found = [baseline.find(fleet.ladder, &row)];
                assert_eq!(found[0].standing, Standing::New(Subject::Network(0)));
                let mut learned = Learned::default();
                baseline.learn(fleet.ladder, row.window, &[row], &found, &mut learned);
                assert_eq!(fleet.n_owners_knowing(0), 0, "the order of owners says nothing");
                learned
            })
            .collect();
        for learned in &learned {
            baselines.note(learned);
        }
        let fleet = baselines.fleet();
        assert_eq!((fleet.n_owners_knowing(0), fleet.n_owners_knowing_prefix(0)), (2, 2));
        let knowing: Vec<bool> = baselines.iter().map(|(_, baseline)| baseline.network(0).is_some()).collect();
        assert_eq!((knowing, baselines.learned_from.n_observations), (vec![true, false, true], 2));
        baselines.recount();
        assert_eq!(baselines.fleet().n_owners_knowing(0), 2, "kept as it goes and derived anew are the same");
    }

    #[test]
    fn a_day_that_goes_on_has_not_ended() {
        let (mut baselines, _) = fleet();
        assert_eq!(baselines.ended_before(Day(9)), None, "nothing was learned");
        for (owner, days) in [(0, &[3, 5][..]), (1, &[4, 8])] {
            baselines.baseline_mut(owner).unwrap().diary =
                days.iter().map(|&day| DiaryDay { day: Day(day), ..DiaryDay::default() }).collect();
        }
        let ended = [3, 4, 6, 8, 9].map(|day| baselines.ended_before(Day(day)).map(|ended| ended.0));
        assert_eq!(ended, [None, None, Some(5), None, Some(8)], "of 3, 4 and 8 there is something already");
    }

    #[test]
    fn what_is_under_a_finding_makes_nobody_familiar() {
        let (mut baselines, row) = fleet();
        let meet = |baselines: &mut Baselines, owner: u32, finding: u128| {
            baselines.follow(owner, row.window, &[row], |_, _, _| Circumstances::default());
            if finding != 0 {
                baselines.set_finding(owner, Subject::Network(0), finding);
            }
            baselines.learn(owner, row.window, &[row]);
        };
        let knowing = |baselines: &mut Baselines| {
            let fleet = baselines.fleet();
            let kept = (fleet.n_owners_knowing(0), fleet.n_owners_knowing_prefix(0));
            baselines.recount();
            let fleet = baselines.fleet();
            assert_eq!(kept, (fleet.n_owners_knowing(0), fleet.n_owners_knowing_prefix(0)), "as derived anew");
            kept
        };
        meet(&mut baselines, 0, 7);
        assert_eq!(knowing(&mut baselines), (0, 0), "told when it was met");
        meet(&mut baselines, 1, 0);
        meet(&mut baselines, 2, 0);
        assert_eq!(knowing(&mut baselines), (2, 2));
        baselines.set_finding(2, Subject::Network(0), 8);
        assert_eq!(knowing(&mut baselines), (1, 1), "told later");
        baselines.set_finding(2, Subject::Network(0), 8);
        assert_eq!(knowing(&mut baselines), (1, 1), "and again");
        baselines.set_finding(2, Subject::Prefix(0), 8);
        assert_eq!(knowing(&mut baselines), (1, 1), "and a part of it");
        baselines.accept(7);
        assert_eq!(knowing(&mut baselines), (2, 2), "accepted");
    }

    #[test]
    fn side_by_side_are_those_asked_for() {
        let (mut baselines, _) = fleet();
        for (owner, n) in [(0, 7), (1, 8), (2, 9)] {
            baselines.baseline_mut(owner).unwrap().hours = vec![n];
        }
        let mut hours = |owners: &[u32]| -> Vec<u16> {
            baselines.side_by_side(owners.iter().copied()).1.iter().map(|of| of.hours[0]).collect()
        };
        assert_eq!(
            [hours(&[0, 1, 2]), hours(&[1]), hours(&[0, 2, 3]), hours(&[])],
            [vec![7, 8, 9], vec![8], vec![7, 9], vec![]]
        );
    }

    #[test]
    fn what_a_row_was_found_at_is_what_its_key_leads_to() {
        let (mut baselines, row) = fleet();
        let key = (row.peer, row.port, row.protocol);
        // Strange, known but not yet settled, settled.
        for n in 0..3 {
            let row = Observation { window: Window(row.window.0 + n), bytes_out: 10, n_flows: 1, ..row };
            let baseline = baselines.baseline(0).unwrap();
            baseline.bring_near(&baselines.ladder, &[row]);
            let found = baseline.find(&baselines.ladder, &row);
            assert_eq!(baseline.destination_of(&found), baseline.destination(&key));
            let service = baseline.service_id(&baselines.ladder, &row, &found).and_then(|id| baseline.service_at(id));
            assert_eq!(service, baseline.service(0, 443, 6).map(|service| (&(0, 443, 6), service)));
            assert_eq!(service.map(|(_, service)| service.known.n_windows), (n > 0).then_some(n));
            baselines.learn(0, row.window, &[row]);
        }
    }
}
