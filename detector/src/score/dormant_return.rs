//! `dormant-return`: a destination met once, long ago, silent since, and back.
//!
//! Why it matters: a sleeper probes during warm-up, when everything is new, and calls a week later, when it would be
//! known. So what was met on a day or two only stays a newcomer ([`baselines::newcomer`]), and its return is judged
//! like a first contact: by how often this function meets anything new. What grew since the probe weighs more.
//!
//! False positives: a weekly or monthly job. It comes back at its hour of the week with its usual size, which is taken
//! off.

use baselines::newcomer::Subject;
use baselines::window::{WINDOW_SECS, WINDOWS_PER_DAY};

use super::oddity::{Oddity, PRIVATE_BANS, Topic};
use super::view::{RARE_DAYS, View};
use super::{Check, novelty};
use crate::amounts::{bytes, count, span_words};
use crate::finding::{CheckId, Evidence, Quantity};

/// Days of silence after which a return is a return, all but the last of them days on which the function was active:
/// one that was silent itself comes back to all it calls.
const SILENT_DAYS: u32 = 3;

/// Factor by which the call must exceed what was sent before to count as grown, and the bans for it; else the bans
/// taken off, more where it was needed on several days before: what is needed seldom comes back as it was, and a
/// sleeper comes for more.
const GROWN: u64 = 4;
const GROWN_BANS: f64 = 0.7;
const ALIKE_BANS: f64 = 0.9;
const ALIKE_AGAIN_BANS: f64 = 1.4;

/// Bytes sent to open a connection: a TLS handshake and the headers of a request. They are taken off before two calls
/// are compared. Otherwise a probe, and the call after it, would both be mostly handshake, and the call would not be
/// seen to say more.
const HANDSHAKE_BYTES: u64 = 1200;
/// What was said before is taken to be at least so much.
const LEAST_BYTES: u64 = 500;

/// Bans taken off a return at the same hour of the week with a like size.
const SCHEDULED_BANS: f64 = 1.5;

/// Bans taken off a prefix of a known network: addresses that rotate come back too.
const PREFIX_BANS: f64 = 0.6;

/// Severity of a return, that of a first contact; and of one that sends more than the probe did, as who calls out does.
const SEVERITY: f64 = 5.0;
const GROWN_SEVERITY: f64 = 6.0;

/// Silence that is nothing odd, for comparison: a day, since most of what is used at all is used daily.
const USUAL_SILENCE_SECS: f64 = 86_400.0;

/// The check.
pub(super) struct DormantReturn;

impl Check for DormantReturn {
    fn id(&self) -> CheckId {
        CheckId::DormantReturn
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let mut out = Vec::new();
        let until = novelty::Until::default();
        for (subject, newcomer) in view.newcomers() {
            let silent = newcomer.known.last.0.saturating_sub(newcomer.before.0);
            let n_active = || novelty::n_days_between(view.baseline, newcomer.before.day(), newcomer.known.last.day());
            if silent < SILENT_DAYS * WINDOWS_PER_DAY
                || newcomer.known.n_days > RARE_DAYS
                || newcomer.known.last != view.window
                || matches!(subject, Subject::Service(..))
                || n_active() + 1 < SILENT_DAYS as usize
            {
                continue;
            }
            let Some(row) = newcomer.destinations.last() else { continue };
            let today = novelty::circumstances(
                view.fleet,
                view.baseline,
                &until,
                subject,
                &baselines::observation::Observation {
                    peer: row.peer,
                    port: row.port,
                    protocol: row.protocol,
                    ..Default::default()
                },
                view.window,
            );
            let today =
                novelty::without_itself(view.baseline, subject, newcomer.known.first.day(), view.window.day(), today);
            let mut bans = novelty::surprise(subject, &today, view.prior);
            if view.is_inside(newcomer) {
                bans -= PRIVATE_BANS;
            }
            if matches!(subject, Subject::Prefix(_)) {
                bans -= PREFIX_BANS;
            }
            let earlier = newcomer.bytes_out.saturating_sub(newcomer.latest_bytes_out);
            let n_earlier = u64::from(newcomer.known.n_windows.saturating_sub(1).max(1));
            let n_flows = u64::from(newcomer.counts.last().map_or(0, |&(_, n)| n));
            let n_flows_earlier = newcomer.n_flows.saturating_sub(n_flows) / n_earlier;
            let earlier = earlier / n_earlier;
            let said_earlier = said(earlier, n_flows_earlier).max(LEAST_BYTES);
            let has_grown = said(newcomer.latest_bytes_out, n_flows) > said_earlier.saturating_mul(GROWN);
            let same_hour = view.window.hours_of_week_to(newcomer.before) <= 1;
            bans += match (has_grown, same_hour) {
                (true, _) => GROWN_BANS,
                (false, true) => -SCHEDULED_BANS,
                (false, false) if newcomer.known.n_days <= 2 => -ALIKE_BANS - novelty::familiarity(&today),
                (false, false) => -ALIKE_AGAIN_BANS - novelty::familiarity(&today),
            };
            let silent_secs = i64::from(silent) * WINDOW_SECS;
            out.push(Oddity {
                check: CheckId::DormantReturn,
                topic: Topic::Newcomer(subject),
                bans,
                severity: if has_grown { GROWN_SEVERITY } else { SEVERITY },
                evidence: vec![Evidence {
                    check: CheckId::DormantReturn,
                    measure: "silence",
                    observed: Quantity::Secs(silent_secs as f64),
                    expected: Quantity::Secs(USUAL_SILENCE_SECS),
                    surprise: bans,
                    statement: format!(
                        "back after {} of silence, met on {} before; {} sent now, {} a time before",
                        span_words(silent_secs),
                        count(newcomer.known.n_days.saturating_sub(1).max(1).into(), "day"),
                        bytes(newcomer.latest_bytes_out),
                        bytes(earlier),
                    ),
                }],
                destinations: newcomer.destinations.clone(),
            });
        }
        out
    }
}
/// What was sent beyond opening so many connections.
fn said(bytes_out: u64, n_flows: u64) -> u64 {
    bytes_out.saturating_sub(n_flows.saturating_mul(HANDSHAKE_BYTES))
}
