//! The shape of a GuardDuty finding, as EventBridge carries it in `detail`, for rules and tools that read that shape.
//!
//! The types are this program's own (`Behavior:Lambda/NewDestination`) in GuardDuty's naming pattern, and
//! `service.serviceName` is `callout`: nobody should take such a finding for one of GuardDuty's.
//! Source: GuardDuty API reference, `Finding` and the objects it names; user guide, "GuardDuty finding format".

use serde_json::{Value, json};

use crate::finding::{CheckId, Destination, Finding, OwnerKind, protocol_name};

use super::{Place, autonomous_system, json as own, json_line, rfc3339, without_absent};

/// Writes a finding as one line of JSON.
pub(super) fn render(finding: &Finding) -> String {
    let Place { partition, region, account } = Place::of(finding);
    let id = finding.id.to_string();
    json_line(&without_absent(json!({
        "schemaVersion": "2.0",
        "accountId": account,
        "region": region,
        "partition": partition,
        "id": id,
        "arn": format!("arn:{partition}:callout:{region}:{account}:finding/{id}"),
        "type": type_of(finding),
        "title": finding.title,
        "description": finding.description,
        "severity": finding.severity.value(),
        "confidence": (finding.confidence * 100.0).round(),
        "createdAt": rfc3339(finding.first_seen),
        "updatedAt": rfc3339(finding.last_seen),
        "resource": resource(finding),
        "service": {
            "serviceName": "callout",
            "detectorId": "callout",
            "resourceRole": "ACTOR",
            "archived": finding.suppressed_by.is_some(),
            "count": finding.count,
            "eventFirstSeen": rfc3339(finding.first_seen),
            "eventLastSeen": rfc3339(finding.last_seen),
            "action": finding.destinations.first().map(|to| action(finding, to)),
            "evidence": list_matches(finding),
            // GuardDuty keeps what has no field of its own here, as JSON inside a string.
            "additionalInfo": { "type": "callout.finding/1", "value": own::render(finding) },
        },
    })))
}

/// `ThreatPurpose:ResourceTypeAffected/ThreatFamilyName`.
fn type_of(finding: &Finding) -> String {
    let purpose = match finding.check {
        CheckId::FanOut => "Recon",
        CheckId::ThreatList => "UnauthorizedAccess",
        _ => "Behavior",
    };
    let resource = match finding.owner.kind {
        OwnerKind::Interface => "NetworkInterface",
        _ => "Lambda",
    };
    let family: String = finding
        .check
        .as_str()
        .split('-')
        .flat_map(|word| {
            let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
            [first.to_uppercase(), rest.to_owned()]
        })
        .collect();
    format!("{purpose}:{resource}/{family}")
}

/// The first function stands for all that share an interface; `additionalInfo` names them all.
fn resource(finding: &Finding) -> Value {
    let owner = &finding.owner;
    if owner.kind == OwnerKind::Interface {
        let interface = |eni| json!({ "networkInterfaceId": eni, "vpcId": finding.vpc_id });
        return json!({
            "resourceType": "NetworkInterface",
            "instanceDetails": { "networkInterfaces": owner.eni_ids.iter().map(interface).collect::<Vec<_>>() },
        });
    }
    let deployment = finding.own_deployment();
    json!({
        "resourceType": "Lambda",
        "lambdaDetails": {
            "functionArn": owner.arns.first(),
            "functionName": owner.functions.first(),
            "functionVersion": deployment.map(|deployment| deployment.version.as_ref()),
            "lastModifiedAt": deployment.map(|deployment| rfc3339(deployment.at)),
            "vpcConfig": { "vpcId": finding.vpc_id },
        },
    })
}

fn action(finding: &Finding, to: &Destination) -> Value {
    let (v4, v6) = if to.address.is_ipv4() { (Some(to.address), None) } else { (None, Some(to.address)) };
    let organization = autonomous_system(&to.network).map_or_else(
        || json!({ "org": to.network }),
        |(number, name)| json!({ "asn": number.to_string(), "asnOrg": name, "org": name }),
    );
    json!({
        "actionType": "NETWORK_CONNECTION",
        "networkConnectionAction": {
            "blocked": finding.check == CheckId::RejectedEgress,
            "connectionDirection": "OUTBOUND",
            "protocol": protocol_name(to.protocol).to_uppercase(),
            "remotePortDetails": { "port": to.port, "portName": "Unknown" },
            "localNetworkInterface": finding.owner.only_eni(),
            "remoteIpDetails": { "ipAddressV4": v4, "ipAddressV6": v6, "organization": organization },
        },
    })
}

/// GuardDuty tells by which list an address was known; the evidence of the check names it.
fn list_matches(finding: &Finding) -> Value {
    let lists: Vec<Value> = finding
        .evidence
        .iter()
        .filter(|evidence| evidence.check == CheckId::ThreatList)
        .map(|evidence| json!({ "threatListName": evidence.statement, "threatNames": [] }))
        .collect();
    json!({ "threatIntelligenceDetails": lists })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::sample;

    fn rendered(finding: &Finding) -> Value {
        serde_json::from_str(&render(finding)).expect("JSON")
    }

    /// The required members of `Finding` in the API reference.
    const REQUIRED: [&str; 10] =
        ["accountId", "arn", "createdAt", "id", "region", "resource", "schemaVersion", "severity", "type", "updatedAt"];

    #[test]
    fn what_the_shape_requires_is_there() {
        for finding in sample::all() {
            let detail = rendered(&finding);
            for key in REQUIRED {
                assert!(!detail[key].is_null(), "{key} in {detail}");
            }
            let severity = detail["severity"].as_f64().expect("a number");
            assert!((1.0..=10.0).contains(&severity));
            let kind = detail["type"].as_str().expect("a string");
            assert!(kind.len() <= 50 && kind.split(':').count() == 2 && kind.split('/').count() == 2, "{kind}");
            assert_eq!(detail["service"]["action"]["actionType"], "NETWORK_CONNECTION");
        }
    }

    #[test]
    fn every_check_has_a_type_that_is_not_guardduty_s() {
        let mut finding = sample::new_destination();
        let types: Vec<String> = CheckId::ALL
            .into_iter()
            .map(|check| {
                finding.check = check;
                type_of(&finding)
            })
            .collect();
        assert_eq!(
            types,
            [
                "Behavior:Lambda/NewDestination",
                "Behavior:Lambda/NewPort",
                "Behavior:Lambda/EgressVolume",
                "Behavior:Lambda/Beacon",
                "Behavior:Lambda/LongConnection",
                "Behavior:Lambda/UnusualResolver",
                "Behavior:Lambda/NoveltyBurst",
                "Recon:Lambda/FanOut",
                "Behavior:Lambda/RejectedEgress",
                "UnauthorizedAccess:Lambda/ThreatList",
                "Behavior:Lambda/DormantReturn",
            ]
        );
    }

    #[test]
    fn rules_find_function_and_address_where_guardduty_puts_them() {
        let detail = rendered(&sample::new_destination());
        let connection = &detail["service"]["action"]["networkConnectionAction"];
        assert_eq!(detail["resource"]["lambdaDetails"]["functionName"], "activities-api");
        assert_eq!(connection["remoteIpDetails"]["ipAddressV4"], "203.0.113.7");
        assert_eq!(connection["remoteIpDetails"]["organization"]["asn"], "64500");
        assert_eq!(connection["connectionDirection"], "OUTBOUND");
        assert_eq!(connection["blocked"], false);
        assert_eq!(rendered(&sample::bare_interface())["resource"]["resourceType"], "NetworkInterface");
        for (share, percent) in [(0.57, 57.0), (0.29, 29.0)] {
            let finding = Finding { confidence: share, ..sample::new_destination() };
            assert_eq!(rendered(&finding)["confidence"], percent);
        }
    }

    #[test]
    fn the_whole_finding_travels_along() {
        let finding = sample::shared_burst();
        let detail = rendered(&finding);
        let inside = detail["service"]["additionalInfo"]["value"].as_str().expect("a string");
        assert_eq!(own::parse(inside).expect("a finding"), finding);
    }
}
