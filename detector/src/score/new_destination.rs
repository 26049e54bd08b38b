//! `new-destination`: the function reached a network, or a part of one, that nothing in its past explains.
//!
//! Why it matters: every call-out begins with it. What it weighs: how often this function meets something new on that
//! rung ([`super::novelty`]); whether the rest of the fleet knows the network; whether it is an upload; whether the port
//! was ever used.
//!
//! False positives: a deployment that adds an endpoint, a service that moves to another network owner. Both are told
//! once, with the deployment named where there was one.

use baselines::newcomer::{Newcomer, Subject};

use super::oddity::{Oddity, Topic};
use super::view::{View, bytes_words};
use super::{Check, novelty};
use crate::finding::{CheckId, Evidence, Quantity};

/// Bans taken off where other functions know the network: per doubling of their number, and at the most.
const FAMILIAR_BANS: f64 = 0.3;
const FAMILIAR_MOST: f64 = 0.9;

/// Bans for a port the function never used: more where it is none of the web's.
const STRANGE_PORT_BANS: f64 = 0.4;
const ODD_PORT_BANS: f64 = 0.5;

/// Bytes sent from which on more out than in is an upload and not a handshake.
const UPLOAD_FLOOR_BYTES: u64 = 6000;
/// Bans for an upload.
const UPLOAD_BANS: f64 = 0.4;

/// The check.
pub(super) struct NewDestination;

impl Check for NewDestination {
    fn id(&self) -> CheckId {
        CheckId::NewDestination
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        view.newcomers()
            .filter(|(subject, newcomer)| !matches!(subject, Subject::Service(..)) && was_met_ready(view, newcomer))
            .map(|(subject, newcomer)| judge(view, subject, newcomer))
            .collect()
    }
}

/// Whether the newcomer was met after the owner's warm-up: what was met before is part of how it works, unless it sleeps.
pub(super) fn was_met_ready(view: &View<'_>, newcomer: &Newcomer) -> bool {
    view.baseline().and_then(|baseline| baseline.known).is_some_and(|known| {
        newcomer.met.n_days >= super::READY_DAYS
            && newcomer.known.first.start() - known.first.start() >= view.warm_up_secs
    })
}

fn judge(view: &View<'_>, subject: Subject, newcomer: &Newcomer) -> Oddity {
    let met = &newcomer.met;
    let surprise = novelty::surprise(subject, met, view.prior);
    let what = match subject {
        Subject::Network(_) => "network",
        _ => "prefix",
    };
    let familiar = (f64::from(met.n_owners_knowing).ln_1p() / std::f64::consts::LN_2 * FAMILIAR_BANS).min(FAMILIAR_MOST);
    let mut evidence = vec![Evidence {
        check: CheckId::NewDestination,
        measure: if what == "network" { "new_networks" } else { "new_prefixes" },
        observed: Quantity::Networks(1.0),
        expected: Quantity::Networks((novelty::chance(subject, met, view.prior) * 1000.0).round() / 1000.0),
        surprise,
        statement: format!(
            "first contact with {} in {}; this function met something new on {:.0} of {:.0} days before; {} of {} \
             functions know the network",
            view.subject_words(subject),
            view.age_words(),
            met.n_new,
            met.exposure.max(met.n_new),
            met.n_owners_knowing,
            met.n_owners,
        ),
    }];
    let mut bans = surprise - familiar;
    let mut severity = 5.0;
    if newcomer.bytes_out >= UPLOAD_FLOOR_BYTES && newcomer.bytes_out > newcomer.bytes_in {
        bans += UPLOAD_BANS;
        severity += 0.7;
        evidence.push(Evidence {
            check: CheckId::NewDestination,
            measure: "bytes_out",
            observed: Quantity::Bytes(newcomer.bytes_out as f64),
            expected: Quantity::Bytes(0.0),
            surprise: UPLOAD_BANS,
            statement: format!(
                "more was sent than received: {} out, {} in",
                bytes_words(newcomer.bytes_out),
                bytes_words(newcomer.bytes_in)
            ),
        });
    }
    let port = newcomer.destinations.first().map_or(0, |destination| destination.port);
    if !met.port_known {
        let odd = !matches!(port, 443 | 80);
        let port_bans = STRANGE_PORT_BANS + if odd { ODD_PORT_BANS } else { 0.0 };
        bans += port_bans;
        severity += if odd { 1.2 } else { 0.5 };
        evidence.push(Evidence {
            check: CheckId::NewDestination,
            measure: "ports_used_before",
            observed: Quantity::Ports(1.0),
            expected: Quantity::Ports(0.0),
            surprise: port_bans,
            statement: format!("port {port} was never used by this function, with any network"),
        });
    }
    Oddity {
        check: CheckId::NewDestination,
        topic: Topic::Newcomer(subject),
        bans,
        severity,
        evidence,
        destinations: newcomer.destinations.clone(),
    }
}
