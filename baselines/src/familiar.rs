//! Familiar: which networks and prefixes an owner vouches for.
//!
//! The more owners know a network, the less suspicious it is to the others. An owner whose contact with it is under a
//! finding does not count, or what attacked one function would look familiar at the next. This file judges nothing and
//! counts nothing: [`crate::Baselines`] counts.

use crate::baseline::{Baseline, Learned};
use crate::newcomer::Subject;

impl Baseline {
    /// Whether a rung is under a finding.
    pub fn is_told(&self, subject: Subject) -> bool {
        self.finding(subject) != 0
    }

    /// Whether a prefix, or the network it was met in, is under a finding.
    pub(crate) fn is_prefix_told(&self, prefix: u32, network: u32) -> bool {
        self.is_told(Subject::Prefix(prefix)) || self.is_told(Subject::Network(network))
    }

    /// Whether anything is under a finding; mostly nothing is, and nobody need be asked one by one.
    fn tells_of_any(&self) -> bool {
        self.newcomers.iter().any(|(_, newcomer)| newcomer.finding() != 0)
    }

    /// The networks known that are under no finding: those others may think familiar. Who was called out to from one
    /// function after the other is no acquaintance of theirs.
    pub(crate) fn familiar_networks(&self) -> impl Iterator<Item = u32> {
        let any = self.tells_of_any();
        self.networks().filter(move |&network| !any || !self.is_told(Subject::Network(network)))
    }

    /// The prefixes known that are under no finding, nor is their network.
    pub(crate) fn familiar_prefixes(&self) -> impl Iterator<Item = u32> {
        let any = self.tells_of_any();
        let familiar =
            self.prefixes().filter(move |&(prefix, known)| !any || !self.is_prefix_told(prefix, known.network));
        familiar.map(|(prefix, _)| prefix)
    }

    /// Notes what is familiar no longer once a newcomer comes under a finding. Call before it does.
    pub(crate) fn note_told(&self, subject: Subject, learned: &mut Learned) {
        match subject {
            _ if self.is_told(subject) => {}
            Subject::Network(network) if self.networks.id(&network).is_some() => {
                learned.strange_networks.push(network);
                let within = self.prefixes().filter(|(_, known)| known.network == network);
                let familiar = within.filter(|&(prefix, _)| !self.is_told(Subject::Prefix(prefix)));
                learned.strange_prefixes.extend(familiar.map(|(prefix, _)| prefix));
            }
            Subject::Prefix(prefix) => {
                let known = self.prefixes.get(&prefix);
                if known.is_some_and(|known| !self.is_told(Subject::Network(known.network))) {
                    learned.strange_prefixes.push(prefix);
                }
            }
            Subject::Network(_) | Subject::Service(..) => {}
        }
    }
}
