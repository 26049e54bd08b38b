//! OCSF Detection Finding: class 2004 of the Open Cybersecurity Schema Framework, version 1.5.0.
//!
//! 1.5.0 is the first version with `anomaly_analyses`, which carries the evidence: observed beside baseline.
//! Source: `events/findings/detection_finding.json` and the objects it names, repository ocsf/ocsf-schema; the
//! requirements and enumerations are repeated in the tests. Times are milliseconds since the epoch there.

use serde_json::{Value, json};

use crate::finding::{Activity, CheckId, Destination, Evidence, Finding, Level, OwnerKind, Quantity, protocol_name};

use super::{Place, advice, autonomous_system, json_line, rfc3339, without_absent};

/// The class this form fills, and its category.
const CLASS: u32 = 2004;
const CATEGORY: u32 = 2;

/// Writes a finding as one line of JSON.
pub(super) fn render(finding: &Finding) -> String {
    let (activity_id, activity) = match finding.activity {
        Activity::Create => (1, "Create"),
        Activity::Update => (2, "Update"),
    };
    let severity_id = match finding.severity.level() {
        Level::Critical => 5,
        Level::High => 4,
        Level::Medium => 3,
        Level::Low => 2,
    };
    let severity = finding.severity.label();
    let (status_id, status) = if finding.suppressed_by.is_some() { (3, "Suppressed") } else { (1, "New") };
    let (confidence_id, confidence) = match finding.confidence {
        c if c >= 0.8 => (3, "High"),
        c if c >= 0.5 => (2, "Medium"),
        _ => (1, "Low"),
    };
    let place = Place::of(finding);
    json_line(&without_absent(json!({
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": CATEGORY,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "type_uid": CLASS * 100 + activity_id,
        "type_name": format!("Detection Finding: {activity}"),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_detail": finding.suppressed_by,
        "confidence_id": confidence_id,
        "confidence": confidence,
        "confidence_score": percent(finding.confidence),
        "is_alert": finding.suppressed_by.is_none(),
        "time": millis(finding.last_seen),
        "start_time": millis(finding.first_seen),
        "end_time": millis(finding.last_seen),
        "count": finding.count,
        "message": finding.title,
        "metadata": {
            "version": "1.5.0",
            "profiles": ["cloud"],
            "event_code": finding.check.as_str(),
            "product": {
                "name": "Callout",
                "vendor_name": "Callout",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
        "cloud": {
            "provider": "AWS",
            "region": place.region,
            "cloud_partition": place.partition,
            "account": { "uid": place.account, "type_id": 10, "type": "AWS Account" },
        },
        "finding_info": finding_info(finding),
        "anomaly_analyses": analyses(finding),
        "evidences": finding.destinations.iter().map(|to| evidence(finding, to)).collect::<Vec<_>>(),
        "resources": resources(finding),
        "remediation": { "desc": advice::steps(finding).join(" ") },
        "unmapped": {
            "severity_score": finding.severity.value(),
            "window": { "start": rfc3339(finding.window.0), "end": rfc3339(finding.window.1) },
            "networks": finding.destinations.iter().map(|to| to.network.as_ref()).collect::<Vec<_>>(),
            "owner_kind": finding.owner.kind.as_str(),
            "deployment": finding.deployment.as_ref().map(|deployment| json!({
                "version": deployment.version,
                "code_sha256": deployment.code_sha256,
                "at": rfc3339(deployment.at),
            })),
        },
    })))
}

fn finding_info(finding: &Finding) -> Value {
    // A list match is a rule; everything else compares with the function's own past.
    let (type_id, kind) = match finding.check {
        CheckId::ThreatList => (1, "Rule"),
        _ => (3, "Statistical"),
    };
    json!({
        "uid": finding.id.to_string(),
        "title": finding.title,
        "desc": finding.description,
        "types": [finding.check.as_str()],
        "analytic": { "uid": finding.check.as_str(), "name": finding.check.as_str(), "type_id": type_id, "type": kind },
        "data_sources": ["Amazon VPC Flow Logs"],
        "created_time": millis(finding.first_seen),
        "first_seen_time": millis(finding.first_seen),
        "last_seen_time": millis(finding.last_seen),
        "modified_time": millis(finding.last_seen),
    })
}

/// One analysis of the owner: each piece of evidence is an anomaly, and what was expected its baseline.
fn analyses(finding: &Finding) -> Value {
    if finding.evidence.is_empty() {
        return Value::Null;
    }
    let kind = match finding.owner.kind {
        OwnerKind::Interface => "AWS::EC2::NetworkInterface",
        _ => "AWS::Lambda::Function",
    };
    let names = if finding.owner.functions.is_empty() { &finding.owner.eni_ids } else { &finding.owner.functions };
    let mut targets: Vec<Value> = names.iter().map(|name| json!({ "name": name, "type": kind })).collect();
    if targets.is_empty() {
        // `analysis_targets` is required.
        targets.push(json!({ "name": "unknown", "type": kind }));
    }
    let anomaly = |evidence: &Evidence| {
        json!({
            "observation_parameter": evidence.measure,
            "observation_type": evidence.check.as_str(),
            "observed_pattern": evidence.statement,
            "observations": [{
                "value": value(evidence.observed),
                "timespan": {
                    "start_time": millis(finding.window.0),
                    "end_time": millis(finding.window.1),
                },
            }],
        })
    };
    let baseline = |evidence: &Evidence| {
        json!({
            "observation_parameter": evidence.measure,
            "observation_type": evidence.check.as_str(),
            "observations": [{ "value": value(evidence.expected) }],
        })
    };
    json!([{
        "analysis_targets": targets,
        "anomalies": finding.evidence.iter().map(anomaly).collect::<Vec<_>>(),
        "baselines": finding.evidence.iter().map(baseline).collect::<Vec<_>>(),
    }])
}

fn evidence(finding: &Finding, to: &Destination) -> Value {
    let system = autonomous_system(&to.network);
    json!({
        "src_endpoint": {
            "interface_uid": finding.owner.only_eni(),
            "vpc_uid": finding.vpc_id,
            "svc_name": (finding.owner.kind != OwnerKind::Interface).then_some("lambda"),
        },
        "dst_endpoint": {
            "ip": to.address,
            "port": (to.port != 0).then_some(to.port),
            "svc_name": to.aws_service,
            "autonomous_system": system.map(|(number, name)| json!({
                "number": number,
                "name": (!name.is_empty()).then_some(name),
            })),
        },
        "connection_info": {
            "direction_id": 2,
            "direction": "Outbound",
            "protocol_num": to.protocol,
            "protocol_name": protocol_name(to.protocol),
            "protocol_ver_id": if to.address.is_ipv4() { 4 } else { 6 },
        },
        "data": {
            "network": to.network,
            "n_flows": to.n_flows,
            "bytes_out": to.bytes_out,
            "bytes_in": to.bytes_in,
            "first_seen": rfc3339(to.first_seen),
            "last_seen": rfc3339(to.last_seen),
        },
    })
}

fn resources(finding: &Finding) -> Vec<Value> {
    let place = Place::of(finding);
    let mut resources: Vec<Value> = finding
        .owner
        .functions
        .iter()
        .enumerate()
        .map(|(index, name)| {
            json!({
                "type": "AWS::Lambda::Function",
                "name": name,
                "uid": finding.owner.arns.get(index),
                "version": finding.own_deployment().map(|deployment| deployment.version.as_ref()),
                "region": place.region,
                "cloud_partition": place.partition,
            })
        })
        .collect();
    resources.extend(finding.owner.eni_ids.iter().map(|eni| {
        json!({
            "type": "AWS::EC2::NetworkInterface",
            "uid": eni,
            "region": place.region,
            "cloud_partition": place.partition,
        })
    }));
    resources
}

/// A quantity with its unit: `value` of an observation is a string.
fn value(quantity: Quantity) -> String {
    format!("{} {}", quantity.value(), quantity.unit())
}

fn millis(unix_secs: i64) -> i64 {
    unix_secs.saturating_mul(1000)
}

fn percent(share: f64) -> i64 {
    (share.clamp(0.0, 1.0) * 100.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::sample;

    fn rendered(finding: &Finding) -> Value {
        serde_json::from_str(&render(finding)).expect("JSON")
    }

    /// Attributes with requirement `required` of base event, finding and detection finding, OCSF 1.5.0, profile cloud.
    const REQUIRED: [&str; 10] = [
        "/activity_id",
        "/category_uid",
        "/class_uid",
        "/type_uid",
        "/severity_id",
        "/time",
        "/metadata/product",
        "/metadata/version",
        "/finding_info/uid",
        "/cloud/provider",
    ];

    #[test]
    fn what_the_class_requires_is_there() {
        for finding in sample::all() {
            let event = rendered(&finding);
            for pointer in REQUIRED {
                assert!(event.pointer(pointer).is_some(), "{pointer} in {event}");
            }
            assert_eq!(event["class_uid"], 2004);
            assert_eq!(event["category_uid"], 2);
            assert_eq!(event["type_uid"], 2004 * 100 + event["activity_id"].as_i64().expect("a number"));
            assert!([1, 2].contains(&event["activity_id"].as_i64().expect("a number")));
            assert!((2..=5).contains(&event["severity_id"].as_i64().expect("a number")));
            assert!((0..=100).contains(&event["confidence_score"].as_i64().expect("a number")));
        }
    }

    #[test]
    fn anomalies_stand_beside_their_baselines() {
        let event = rendered(&sample::new_destination());
        let analysis = &event["anomaly_analyses"][0];
        assert_eq!(analysis["analysis_targets"][0]["name"], "activities-api");
        assert_eq!(analysis["anomalies"][0]["observation_parameter"], "peers_of_network");
        assert_eq!(analysis["anomalies"][0]["observations"][0]["value"], "1 peers");
        assert_eq!(analysis["baselines"][0]["observations"][0]["value"], "0 peers");
        assert_eq!(analysis["baselines"][1]["observations"][0]["value"], "4.5 functions");
    }

    #[test]
    fn every_destination_is_evidence() {
        let event = rendered(&sample::shared_burst());
        let evidences = event["evidences"].as_array().expect("a list");
        assert_eq!(evidences.len(), 3);
        for evidence in evidences {
            // `evidences` wants at least one of its objects, `connection_info` wants a direction.
            assert_eq!(evidence["connection_info"]["direction_id"], 2);
            assert!(evidence["dst_endpoint"]["ip"].is_string());
        }
        assert_eq!(evidences[0]["dst_endpoint"]["autonomous_system"]["number"], 64500);
        assert_eq!(evidences[2]["dst_endpoint"]["svc_name"], "EC2");
        assert_eq!(event["resources"].as_array().map(Vec::len), Some(4));
    }

    #[test]
    fn of_several_functions_none_is_said_to_be_deployed() {
        let deployment = sample::new_destination().deployment;
        let shared = rendered(&Finding { deployment, ..sample::shared_burst() });
        assert_eq!(rendered(&sample::new_destination())["resources"][0]["version"], "17");
        assert_eq!(shared["resources"][0].get("version"), None);
    }

    #[test]
    fn states_of_a_finding_are_states_of_the_event() {
        assert_eq!(rendered(&sample::new_destination())["type_uid"], 200_401);
        assert_eq!(rendered(&sample::beacon())["type_uid"], 200_402);
        let mut hidden = sample::new_destination();
        hidden.suppressed_by = Some("known".into());
        let event = rendered(&hidden);
        assert_eq!((&event["status_id"], &event["is_alert"]), (&json!(3), &json!(false)));
    }

    #[test]
    fn nothing_is_null() {
        for finding in sample::all() {
            assert!(!render(&finding).contains("null"));
        }
    }
}
