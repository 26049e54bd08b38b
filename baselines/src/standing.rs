//! Standing: where a contact stands on its owner's ladder before its window is learned.
//!
//! Takes a row and what was known of its rungs; answers which of them is new or watched. Learns nothing.

use crate::baseline::{Baseline, NetworkKnown, ServiceKnown};
use crate::ladder::{Ladder, Rungs, is_private};
use crate::newcomer::Subject;
use crate::observation::Observation;

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

impl Standing {
    /// The rung that is new or watched, if one is.
    pub(crate) fn subject(self) -> Option<Subject> {
        match self {
            Self::Settled => None,
            Self::Watched(subject) | Self::New(subject) => Some(subject),
        }
    }
}

/// Where a row stands, and the number of its destination, if it has one.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Where it stands.
    pub standing: Standing,
    pub(crate) destination: Option<u32>,
}

impl Baseline {
    /// Where a destination stands: the highest rung that is new or watched.
    ///
    /// Inside the VPC a new address is no news (a database fails over, an endpoint moves), only a new port is. Nor is a
    /// network whose name alone is new ([`Baseline::former_network`]).
    pub fn find(&self, ladder: &Ladder, row: &Observation) -> Found {
        let destination = self.destinations.id(&(row.peer, row.port, row.protocol));
        let is_settled = destination.is_some_and(|id| self.settled_entries(id).is_some());
        let standing = if is_settled { Standing::Settled } else { self.standing_by_rungs(ladder.rungs(row.peer), row) };
        Found { standing, destination }
    }

    fn standing_by_rungs(&self, rungs: Rungs, row: &Observation) -> Standing {
        let (network, port, protocol) = (rungs.network, row.port, row.protocol);
        let former = || self.former_network(rungs);
        let is_network_known = || self.network(network).is_some() || former().is_some();
        let is_service_known = || {
            let is_known = |network| self.service(network, port, protocol).is_some();
            is_known(network) || former().is_some_and(is_known)
        };
        let is_prefix_known = || is_private(rungs.address) || self.prefixes.id(&rungs.prefix).is_some();
        self.standing_of(Subject::Network(network), is_network_known)
            .or_else(|| self.standing_of(Subject::Service(network, port, protocol), is_service_known))
            .or_else(|| self.standing_of(Subject::Prefix(rungs.prefix), is_prefix_known))
            .unwrap_or(Standing::Settled)
    }

    /// Where one rung stands; `None` where it is settled.
    fn standing_of(&self, subject: Subject, is_known: impl FnOnce() -> bool) -> Option<Standing> {
        if self.is_watched(subject) {
            Some(Standing::Watched(subject))
        } else if is_known() || self.is_full(subject) {
            None
        } else {
            Some(Standing::New(subject))
        }
    }

    /// The settled network that an address's prefix is known in, where it is another one than the address's: whoever
    /// names networks calls it otherwise now. A system is renumbered, AWS lists a block under another service, or the
    /// names come from another file; who is called stays the same.
    fn former_network(&self, rungs: Rungs) -> Option<u32> {
        let prefix = self.prefixes.get(&rungs.prefix)?;
        let is_settled = |subject| !self.is_watched(subject);
        let is_other = prefix.network != rungs.network && self.network(prefix.network).is_some();
        (is_other && is_settled(Subject::Network(prefix.network)) && is_settled(Subject::Prefix(rungs.prefix)))
            .then_some(prefix.network)
    }

    /// What a network that is new by name only goes on from.
    pub(crate) fn former_network_known(&self, rungs: Rungs) -> Option<&NetworkKnown> {
        self.network(self.former_network(rungs)?)
    }

    /// The same of a port of it.
    pub(crate) fn former_service_known(&self, rungs: Rungs, port: u16, protocol: u8) -> Option<&ServiceKnown> {
        self.service(self.former_network(rungs)?, port, protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Baselines;
    use crate::ladder::{Network, from_ip};
    use crate::newcomer::Circumstances;
    use crate::window::{WINDOWS_PER_DAY, Window};

    const OWNER: &str = "api";

    /// A row to a host, whose network is called by a name.
    fn row(baselines: &mut Baselines, address: [u8; 4], network: &str, day: u32) -> Observation {
        let network = || Network { key: network.into(), label: network.into() };
        let peer = baselines.ladder.peer(from_ip(address.into()), network);
        let window = Window((20_000 + day) * WINDOWS_PER_DAY);
        Observation { peer, port: 443, protocol: 6, window, n_flows: 1, bytes_out: 900, ..Observation::default() }
    }

    fn learn(baselines: &mut Baselines, row: Observation) {
        let owner = baselines.owner(OWNER);
        baselines.follow(owner, row.window, &[row], |_, _, _| Circumstances::default());
        baselines.learn(owner, row.window, &[row]);
    }

    /// What calls a host of one network for some days.
    fn known(n_days: u32) -> Baselines {
        let mut baselines = Baselines::default();
        for day in 0..n_days {
            let row = row(&mut baselines, [203, 0, 113, 7], "203.0.0.0/16", day);
            learn(&mut baselines, row);
            baselines.age(row.window, 90);
        }
        baselines
    }

    #[test]
    fn a_network_whose_name_alone_is_new_goes_on_as_it_was() {
        let mut baselines = known(9);
        let owner = baselines.owner(OWNER);
        let renamed = row(&mut baselines, [203, 0, 113, 8], "AS64500", 9);
        assert_eq!(baselines.standing(owner, &renamed), Standing::Settled);
        let other_port = Observation { port: 8000, ..renamed };
        let network = baselines.ladder.rungs(renamed.peer).network;
        assert_eq!(baselines.standing(owner, &other_port), Standing::New(Subject::Service(network, 8000, 6)));
        learn(&mut baselines, renamed);
        let baseline = baselines.baseline(owner).unwrap();
        assert_eq!(baseline.diary.last().map(|day| (day.networks, day.services)), Some((0, 0)), "no news");
        assert_eq!(baseline.network(network).unwrap().known.n_days, 10);
        let service = baseline.service(network, 443, 6).unwrap();
        assert_eq!((service.known.n_days, service.volumes.day_bytes().n()), (10, 9));
        let elsewhere = row(&mut baselines, [203, 0, 114, 8], "AS64500", 10);
        let prefix = baselines.ladder.rungs(elsewhere.peer).prefix;
        assert_eq!(baselines.standing(owner, &elsewhere), Standing::New(Subject::Prefix(prefix)));
    }

    #[test]
    fn what_is_still_watched_vouches_for_no_other_name() {
        let mut baselines = known(1);
        let owner = baselines.owner(OWNER);
        let renamed = row(&mut baselines, [203, 0, 113, 8], "AS64500", 1);
        let network = baselines.ladder.rungs(renamed.peer).network;
        assert_eq!(baselines.standing(owner, &renamed), Standing::New(Subject::Network(network)));
    }
}
