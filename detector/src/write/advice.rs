//! What to do next: one or two sentences for whoever reads a finding first, and the commands that show more.
//!
//! Shared by the forms with a place for it, so that a mail, a chat and a table say the same.

use crate::finding::{CheckId, Evidence, Finding, Level, OwnerKind, Quantity};

use super::remarks;
use super::words::shell_word;
use crate::amounts::{bytes, count, span};

/// The next steps, most useful first; plain text, foreign names still raw.
pub(super) fn steps(finding: &Finding) -> Vec<String> {
    let mut steps = Vec::new();
    if let Some(version) = remarks::version(finding) {
        steps.push(format!("Compare the dependencies of {version} with those of the version before."));
    }
    steps.push(by_check(finding));
    if finding.severity.level() >= Level::High && finding.check != CheckId::RejectedEgress {
        steps.push(match finding.owner.kind {
            OwnerKind::Interface => {
                "If nobody can explain it, cut the interface off with an empty security group and treat what it could \
                 read as leaked."
                    .into()
            }
            OwnerKind::Shared => "If nobody can explain it, set the functions' reserved concurrency to 0, then rotate \
                                  the secrets in their environments and their roles' sessions."
                .into(),
            OwnerKind::Function => {
                "If nobody can explain it, set the function's reserved concurrency to 0, then rotate the secrets in \
                  its environment and its role's sessions."
                    .into()
            }
        });
    }
    steps
}

/// What distinguishes the innocent from the bad, for this kind of finding.
fn by_check(finding: &Finding) -> String {
    let who = asked(finding);
    match finding.check {
        CheckId::NewDestination | CheckId::NoveltyBurst => {
            let it = if finding.owner.kind == OwnerKind::Shared { "one of them" } else { "it" };
            format!("Ask {who} whether {it} should talk to {}.", there(finding))
        }
        CheckId::NewPort => format!("Ask {who} what it does on that port; the network itself is known."),
        CheckId::EgressVolume => {
            let sent = odd_bytes(finding).map_or_else(|| "bytes".to_owned(), bytes);
            format!("Find out what the {sent} were: ask {who} about an export or a retry storm.")
        }
        CheckId::Beacon => {
            "Look for a poller among the dependencies; a new telemetry client is the usual innocent cause.".into()
        }
        CheckId::LongConnection => format!("Ask {who} whether it holds a connection open; a miner or a tunnel does."),
        CheckId::UnusualResolver => {
            "Look for a dependency that sets its own resolver; lookups there leave no trace in the VPC's query logs."
                .into()
        }
        CheckId::FanOut => {
            format!("Ask {who} about a discovery or health check; else treat it as a search of the network.")
        }
        CheckId::RejectedEgress => {
            "Nothing left: it was refused. Find what tries, before somebody opens the rule.".into()
        }
        CheckId::ThreatList => {
            "Check the list's reason for the address; if it stands, treat the function as compromised.".into()
        }
        CheckId::DormantReturn => {
            format!("Ask {who} why {} came back after so long; code that sleeps first does that.", there(finding))
        }
    }
}

/// The largest amount that a statement about a volume names: a day's, of which the destinations named are a part, or a
/// window's.
fn odd_bytes(finding: &Finding) -> Option<u64> {
    let of_check = finding.evidence.iter().filter(|evidence| evidence.check == CheckId::EgressVolume);
    let bytes =
        |evidence: &Evidence| if let Quantity::Bytes(bytes) = evidence.observed { Some(bytes as u64) } else { None };
    of_check.filter_map(bytes).max()
}

fn asked(finding: &Finding) -> &'static str {
    match finding.owner.kind {
        OwnerKind::Function => "the function's owner",
        OwnerKind::Shared => "the owners of the functions",
        OwnerKind::Interface => "the interface's owner",
    }
}

fn there(finding: &Finding) -> String {
    let mut networks: Vec<&str> = finding.destinations.iter().map(|d| d.network.as_ref()).collect();
    networks.sort_unstable();
    networks.dedup();
    match networks.as_slice() {
        [] => "it".into(),
        [one] => (*one).to_owned(),
        [..] => format!("these {}", count(networks.len() as u64, "network")),
    }
}

/// A command of this program that shows what is known of the finding's owner.
pub(super) fn inspect_command(finding: &Finding) -> String {
    let names = if finding.owner.functions.is_empty() { &finding.owner.eni_ids } else { &finding.owner.functions };
    format!("callout inspect --baseline DIR {}", shell_word(names.first().map_or("", AsRef::as_ref)))
}

/// The commands that stop a function and let it run again, if the finding names exactly one.
pub(super) fn stop_commands(finding: &Finding) -> Option<[String; 2]> {
    let [name] = finding.owner.functions.as_slice() else { return None };
    let name = finding.owner.arns.first().unwrap_or(name);
    let name = shell_word(name);
    Some([
        format!("aws lambda put-function-concurrency --function-name {name} --reserved-concurrent-executions 0"),
        format!("aws lambda delete-function-concurrency --function-name {name}"),
    ])
}

/// What to do where the finding turns out to be all right, in AWS. Volumes, scans and lists hold nothing back to
/// accept.
pub(super) fn accept_step(finding: &Finding) -> Option<String> {
    let holds_nothing = matches!(finding.check, CheckId::EgressVolume | CheckId::FanOut | CheckId::ThreatList);
    let id = finding.id;
    (!holds_nothing).then(|| {
        format!("If it is all right, add {id} to knowledge/accepted.txt below the stack's StateUri: it is normal then.")
    })
}

/// How long before the finding's first record the deployment was, in words; `None` without one. What weighs most may
/// have come later, and the deployment before that.
pub(super) fn deployed(finding: &Finding) -> Option<String> {
    let deployment = finding.deployment.as_ref()?;
    let away = span(finding.first_seen.abs_diff(deployment.at));
    let when = if deployment.at <= finding.first_seen { "before" } else { "after it began" };
    Some(format!("{away} {when}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Evidence;
    use crate::write::sample;

    #[test]
    fn advice_on_a_volume_names_what_the_statement_names() {
        let mut finding = sample::new_destination();
        finding.check = CheckId::EgressVolume;
        finding.evidence = vec![Evidence {
            check: CheckId::EgressVolume,
            measure: "bytes_out_day",
            observed: Quantity::Bytes(5_700_000.0),
            expected: Quantity::Bytes(100_000.0),
            surprise: 2.5,
            statement: "5.7 MB sent to AS64500 in a day".into(),
        }];
        assert_eq!(
            by_check(&finding),
            "Find out what the 5.7 MB were: ask the function's owner about an export or a retry storm."
        );
    }

    #[test]
    fn a_deployment_is_before_a_finding_or_after_its_beginning() {
        let mut finding = sample::new_destination();
        assert_eq!(deployed(&finding).as_deref(), Some("14 min before"));
        finding.first_seen -= 86_400;
        assert_eq!(deployed(&finding).as_deref(), Some("23 h 45 min after it began"));
        finding.deployment = None;
        assert_eq!(deployed(&finding), None);
    }
}
