//! `new-port`: a network owner the function knows, on a port or protocol it never used with it.
//!
//! Why it matters: a cloud is one network owner for the payment provider and for a stranger's server on port 8080.
//! False positives: a provider that adds a port; a database that is upgraded to another.

use baselines::newcomer::Subject;

use super::oddity::{Oddity, Topic};
use super::view::{View, is_all_refused};
use super::{Check, novelty};
use crate::finding::{CheckId, Evidence, Quantity, port_name};

/// What a port never used with any network weighs, of its own surprise.
const PORT_WEIGHT: f64 = 0.4;

/// Bans taken off inside the VPC: its own services come and go.
const PRIVATE_BANS: f64 = 1.4;

/// Severity of a port that is used with other networks, below that of a network never met; and of one never used, above
/// it.
const SEVERITY: f64 = 4.5;
const NEVER_USED_SEVERITY: f64 = 5.5;

/// The check.
pub(super) struct NewPort;

impl Check for NewPort {
    fn id(&self) -> CheckId {
        CheckId::NewPort
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let mut out = Vec::new();
        for (subject, newcomer) in view.newcomers() {
            let Subject::Service(network, port, protocol) = subject else { continue };
            if !view.was_met_ready(newcomer) {
                continue;
            }
            let met = &newcomer.met;
            let surprise = novelty::surprise(subject, met, view.prior);
            let mut bans = surprise + novelty::port_surprise(met, view.prior) * PORT_WEIGHT;
            if view.is_inside(newcomer) {
                bans -= PRIVATE_BANS;
            }
            let name = port_name(port, protocol);
            let what = if port == 0 { name } else { format!("port {name}") };
            out.push(Oddity {
                check: CheckId::NewPort,
                topic: Topic::Newcomer(subject),
                bans,
                severity: if met.port_known { SEVERITY } else { NEVER_USED_SEVERITY },
                evidence: vec![Evidence {
                    check: CheckId::NewPort,
                    measure: "new_ports_of_network",
                    observed: Quantity::Ports(1.0),
                    expected: Quantity::Ports((novelty::chance(subject, met, view.prior) * 1000.0).round() / 1000.0),
                    surprise: bans,
                    statement: format!(
                        "first {} {what} with {} in {}; {}",
                        if is_all_refused(newcomer) { "attempt to use" } else { "use of" },
                        view.network(network),
                        View::age_words(newcomer),
                        if met.port_known {
                            "it is used with other networks"
                        } else {
                            "it was never used with any network"
                        },
                    ),
                }],
                destinations: newcomer.destinations.clone(),
            });
        }
        out
    }
}
