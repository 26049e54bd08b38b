//! Oddities: what a check found odd in one window, before anybody decides whether it is worth a finding.

use baselines::ladder::Ladder;
use baselines::newcomer::{Contacted, Subject};

use crate::finding::{CheckId, Evidence};

/// Bans taken off what stays inside the VPC and its peers: its own services come and go.
pub(super) const PRIVATE_BANS: f64 = 1.2;

/// What an oddity is about. Oddities of different checks about the same topic add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Topic {
    /// Something new.
    Newcomer(Subject),
    /// A port of a network that is known: network, port, protocol.
    Service(u32, u16, u8),
    /// Addresses of the user's lists or of public resolvers: number of the address.
    Peer(u32),
    /// The owner as a whole.
    Owner,
}

impl Topic {
    /// Whether it is about a destination.
    pub(super) fn holds(self, ladder: &Ladder, contacted: &Contacted) -> bool {
        let rungs = ladder.rungs(contacted.peer);
        match self {
            Self::Newcomer(Subject::Network(network)) => network == rungs.network,
            Self::Newcomer(Subject::Prefix(prefix)) => prefix == rungs.prefix,
            Self::Newcomer(Subject::Service(network, port, protocol)) | Self::Service(network, port, protocol) => {
                (network, port, protocol) == (rungs.network, contacted.port, contacted.protocol)
            }
            Self::Peer(peer) => peer == contacted.peer,
            Self::Owner => true,
        }
    }
}

/// What one check says about one topic in one window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Oddity {
    /// Who says it.
    pub(super) check: CheckId,
    /// About what.
    pub(super) topic: Topic,
    /// How much it speaks against chance, in bans; below zero it speaks for a harmless explanation.
    pub(super) bans: f64,
    /// How bad it is if true, 1 to 10.
    pub(super) severity: f64,
    /// The numbers.
    pub(super) evidence: Vec<Evidence>,
    /// The destinations it concerns. Of a newcomer, everything since the first contact; else of this window.
    pub(super) destinations: Vec<Contacted>,
}
