//! AWS Security Finding Format, as Security Hub imports it (`BatchImportFindings`).
//!
//! Source: Security Hub user guide, "Required top-level ASFF attributes", "Optional top-level ASFF attributes" and
//! "Types taxonomy for ASFF"; the limits are constants here and facts in the tests.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::finding::{CheckId, Destination, Finding, protocol_name};

use super::words::cut_chars;
use super::{Place, advice, autonomous_system, json_line, remarks, rfc3339, without_absent};
use crate::amounts::count;

/// Most characters of `Title`, `Description` and `Remediation.Recommendation.Text`.
const TITLE_CHARS: usize = 256;
const DESCRIPTION_CHARS: usize = 1024;
const RECOMMENDATION_CHARS: usize = 512;
/// Most objects in `Resources`.
const RESOURCES: usize = 32;
/// `ProductFields` holds 50 pairs, 128 characters a key, 2048 a value. What is listed leaves room for the fixed ones.
const LISTED_EVIDENCE: usize = 12;
const LISTED_DESTINATIONS: usize = 24;
const FIELD_CHARS: usize = 2048;

/// Writes a finding as one line of JSON.
pub(super) fn render(finding: &Finding) -> String {
    let place = Place::of(finding);
    let Place { partition, region, account } = place;
    let label = finding.severity.label().to_uppercase();
    json_line(&without_absent(json!({
        "SchemaVersion": "2018-10-08",
        "Id": format!("callout/{region}/{account}/{}", finding.id),
        // The default product of an account: where custom integrations write.
        "ProductArn": format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
        "ProductName": "Callout",
        "CompanyName": "Callout",
        "GeneratorId": format!("callout/{}", finding.check),
        "AwsAccountId": account,
        "Region": region,
        "Types": types(finding.check),
        "FirstObservedAt": rfc3339(finding.first_seen),
        "LastObservedAt": rfc3339(finding.last_seen),
        "CreatedAt": rfc3339(finding.first_seen),
        "UpdatedAt": rfc3339(finding.last_seen),
        "Severity": {
            "Label": label,
            // Security Hub's 0 to 100 has its steps where this scale has them: 40, 70, 90.
            "Normalized": (finding.severity.value() * 10.0).round() as i64,
            "Original": format!("{:.1}", finding.severity.value()),
        },
        "Confidence": (finding.confidence.clamp(0.0, 1.0) * 100.0).round() as i64,
        "Title": filled(&finding.title, TITLE_CHARS),
        "Description": filled(&finding.description, DESCRIPTION_CHARS),
        "Remediation": { "Recommendation": { "Text": cut_chars(&advice::steps(finding).join(" "), RECOMMENDATION_CHARS) } },
        "ProductFields": product_fields(finding),
        "Network": finding.destinations.first().map(network),
        "Action": finding.destinations.first().map(|to| action(finding, to)),
        "Resources": resources(finding, &place),
        "RecordState": if finding.suppressed_by.is_some() { "ARCHIVED" } else { "ACTIVE" },
    })))
}

/// An attribute that must not be empty.
fn filled(text: &str, chars: usize) -> String {
    if text.trim().is_empty() { "unknown".into() } else { cut_chars(text, chars).into_owned() }
}

/// `namespace/category/classifier`; the classifier is the check.
fn types(check: CheckId) -> Vec<String> {
    let tactic = match check {
        CheckId::Beacon | CheckId::LongConnection | CheckId::UnusualResolver | CheckId::ThreatList => {
            Some("TTPs/Command and Control")
        }
        CheckId::EgressVolume => Some("Effects/Data Exfiltration"),
        CheckId::FanOut => Some("TTPs/Discovery"),
        CheckId::NewDestination
        | CheckId::NewPort
        | CheckId::NoveltyBurst
        | CheckId::RejectedEgress
        | CheckId::DormantReturn => None,
    };
    std::iter::once("Unusual Behaviors/Network Flow").chain(tactic).map(|path| format!("{path}/{check}")).collect()
}

fn network(to: &Destination) -> Value {
    let (v4, v6) = by_version(to.address);
    json!({
        "Direction": "OUT",
        "Protocol": protocol_name(to.protocol).to_uppercase(),
        "DestinationIpV4": v4,
        "DestinationIpV6": v6,
        "DestinationPort": to.port,
    })
}

fn action(finding: &Finding, to: &Destination) -> Value {
    let system = autonomous_system(&to.network);
    json!({
        "ActionType": "NETWORK_CONNECTION",
        "NetworkConnectionAction": {
            "ConnectionDirection": "OUTBOUND",
            "Blocked": finding.check == CheckId::RejectedEgress,
            "Protocol": protocol_name(to.protocol).to_uppercase(),
            "RemotePortDetails": { "Port": to.port },
            "RemoteIpDetails": {
                // The format has no IPv6 here.
                "IpAddressV4": by_version(to.address).0,
                "Organization": system.map(|(number, name)| json!({
                    "Asn": number,
                    "AsnOrg": (!name.is_empty()).then_some(name),
                })),
            },
        },
    })
}

fn by_version(address: IpAddr) -> (Option<String>, Option<String>) {
    match address {
        IpAddr::V4(address) => (Some(address.to_string()), None),
        IpAddr::V6(address) => (None, Some(address.to_string())),
    }
}

fn product_fields(finding: &Finding) -> Value {
    let mut fields = Map::new();
    let mut put = |key: String, value: String| {
        fields.insert(key, cut_chars(&value, FIELD_CHARS).into_owned().into());
    };
    put("callout/Type".into(), finding.check.to_string());
    put("callout/Activity".into(), finding.activity.as_str().into());
    put("callout/OwnerKind".into(), finding.owner.kind.as_str().into());
    put("callout/Windows".into(), finding.count.to_string());
    put("callout/WindowStart".into(), rfc3339(finding.window.0));
    put("callout/WindowEnd".into(), rfc3339(finding.window.1));
    put("callout/Destinations".into(), finding.destinations.len().to_string());
    if let Some(unlisted) = remarks::unlisted(finding) {
        put("callout/DestinationsNotListed".into(), unlisted.to_owned());
    }
    // The format has a place for it at functions only.
    if let Some(vpc) = &finding.vpc_id {
        put("callout/VpcId".into(), vpc.to_string());
    }
    if let (Some(deployment), Some(version)) = (&finding.deployment, remarks::version(finding)) {
        put("callout/Deployment".into(), format!("{version} at {}", rfc3339(deployment.at)));
    }
    if let Some(by) = &finding.suppressed_by {
        put("callout/SuppressedBy".into(), by.to_string());
    }
    for (index, evidence) in finding.evidence.iter().take(LISTED_EVIDENCE).enumerate() {
        let (observed, expected, unit) =
            (evidence.observed.value(), evidence.expected.value(), evidence.observed.unit());
        put(
            format!("callout/Evidence/{index:02}"),
            format!("{}: observed {observed}, expected {expected} {unit}. {}", evidence.measure, evidence.statement),
        );
    }
    for (index, to) in finding.destinations.iter().take(LISTED_DESTINATIONS).enumerate() {
        put(
            format!("callout/Destination/{index:02}"),
            format!(
                "{}, {}, {}, {} bytes out, {} bytes in, {} to {}",
                super::table::endpoint(to),
                to.network,
                count(to.n_flows, "flow"),
                to.bytes_out,
                to.bytes_in,
                rfc3339(to.first_seen),
                rfc3339(to.last_seen)
            ),
        );
    }
    Value::Object(fields)
}

fn resources(finding: &Finding, place: &Place<'_>) -> Vec<Value> {
    let Place { partition, region, account } = place;
    let owner = &finding.owner;
    let functions = owner.functions.iter().enumerate().map(|(index, name)| {
        let id = owner.arns.get(index).map_or_else(
            || format!("arn:{partition}:lambda:{region}:{account}:function:{name}"),
            |arn| arn.as_ref().to_owned(),
        );
        let deployment = finding.own_deployment();
        json!({
            "Type": "AwsLambdaFunction",
            "Id": id,
            "Partition": partition,
            "Region": region,
            "Details": { "AwsLambdaFunction": {
                "FunctionName": name,
                "Version": deployment.map(|deployment| deployment.version.as_ref()),
                "CodeSha256": deployment.map(|deployment| deployment.code_sha256.as_ref()),
                "VpcConfig": finding.vpc_id.as_ref().map(|vpc| json!({ "VpcId": vpc })),
            } },
        })
    });
    let interfaces = owner.eni_ids.iter().map(|eni| {
        json!({
            "Type": "AwsEc2NetworkInterface",
            "Id": format!("arn:{partition}:ec2:{region}:{account}:network-interface/{eni}"),
            "Partition": partition,
            "Region": region,
            "Details": { "AwsEc2NetworkInterface": { "NetworkInterfaceId": eni } },
        })
    });
    let mut resources: Vec<Value> = functions.chain(interfaces).take(RESOURCES).collect();
    if resources.is_empty() {
        // At least one is required.
        resources.push(json!({ "Type": "Other", "Id": "unknown", "Partition": partition, "Region": region }));
    }
    resources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::sample;

    fn rendered(finding: &Finding) -> Value {
        serde_json::from_str(&render(finding)).expect("JSON")
    }

    fn chars(value: &Value) -> usize {
        value.as_str().expect("a string").chars().count()
    }

    /// The required attributes of the format.
    const REQUIRED: [&str; 11] = [
        "AwsAccountId",
        "CreatedAt",
        "Description",
        "GeneratorId",
        "Id",
        "ProductArn",
        "Resources",
        "SchemaVersion",
        "Severity",
        "Title",
        "UpdatedAt",
    ];

    fn holds(finding: &Finding) {
        let asff = rendered(finding);
        for key in REQUIRED {
            assert!(!asff[key].is_null(), "{key} in {asff}");
        }
        assert_eq!(asff["SchemaVersion"], "2018-10-08");
        assert!(["LOW", "MEDIUM", "HIGH", "CRITICAL"].contains(&asff["Severity"]["Label"].as_str().expect("a label")));
        assert!((0..=100).contains(&asff["Severity"]["Normalized"].as_i64().expect("a number")));
        assert!((0..=100).contains(&asff["Confidence"].as_i64().expect("a number")));
        assert!((1..=256).contains(&chars(&asff["Title"])));
        assert!((1..=1024).contains(&chars(&asff["Description"])));
        assert!((1..=512).contains(&chars(&asff["Remediation"]["Recommendation"]["Text"])));
        assert!((1..=512).contains(&chars(&asff["Id"])));
        let account = asff["AwsAccountId"].as_str().expect("a string");
        assert!(account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()));
        let resources = asff["Resources"].as_array().expect("a list");
        assert!((1..=32).contains(&resources.len()));
        assert!(resources.iter().all(|resource| resource["Type"].is_string() && resource["Id"].is_string()));
        let fields = asff["ProductFields"].as_object().expect("an object");
        assert!(fields.len() <= 50, "{} fields", fields.len());
        assert!(fields.iter().all(|(key, value)| key.len() <= 128 && chars(value) <= 2048));
        for kind in asff["Types"].as_array().expect("a list") {
            let path: Vec<&str> = kind.as_str().expect("a string").split('/').collect();
            assert!(path.len() == 3 && ["TTPs", "Effects", "Unusual Behaviors"].contains(&path[0]), "{path:?}");
        }
        assert!(asff["Network"].is_null() || asff["Network"]["Direction"] == "OUT");
        // BatchImportFindings takes findings of at most 240 KB.
        assert!(render(finding).len() < 240_000);
    }

    #[test]
    fn every_sample_keeps_the_limits() {
        sample::all().iter().for_each(holds);
    }

    #[test]
    fn the_largest_finding_keeps_the_limits() {
        let mut finding = sample::shared_burst();
        finding.title = "ü".repeat(1000);
        finding.description = "description ".repeat(1000);
        finding.owner.functions = (0..100).map(|n| format!("function-{n}").into()).collect();
        finding.owner.eni_ids = (0..100).map(|n| format!("eni-{n:017x}").into()).collect();
        finding.destinations = vec![finding.destinations[0].clone(); 1000];
        finding.evidence = vec![finding.evidence[0].clone(); 100];
        finding.evidence[0].statement = "statement ".repeat(1000);
        finding.deployment = sample::new_destination().deployment;
        finding.suppressed_by = Some("x".into());
        finding.description += ". 7 more destinations are not listed: x";
        holds(&finding);
        finding.title.clear();
        finding.description.clear();
        finding.owner.functions.clear();
        finding.owner.eni_ids.clear();
        holds(&finding);
    }

    #[test]
    fn a_finding_is_told_in_its_own_words() {
        let asff = rendered(&sample::new_destination());
        assert_eq!(asff["ProductArn"], "arn:aws:securityhub:eu-west-1:111122223333:product/111122223333/default");
        assert_eq!(asff["Types"], json!(["Unusual Behaviors/Network Flow/new-destination"]));
        assert_eq!(asff["Severity"], json!({ "Label": "HIGH", "Normalized": 74, "Original": "7.4" }));
        assert_eq!(asff["Network"]["DestinationIpV4"], "203.0.113.7");
        assert_eq!(asff["Resources"][0]["Id"], "arn:aws:lambda:eu-west-1:111122223333:function:activities-api");
        assert_eq!(asff["Resources"][0]["Details"]["AwsLambdaFunction"]["Version"], "17");
        let vpc = &asff["Resources"][0]["Details"]["AwsLambdaFunction"]["VpcConfig"]["VpcId"];
        assert_eq!((vpc, vpc), (&json!("vpc-0a1b2c3d4e5f60718"), &asff["ProductFields"]["callout/VpcId"]));
        assert_eq!(
            asff["ProductFields"]["callout/Destination/00"],
            "203.0.113.7:8000/tcp, AS64500 Example Hosting, 3 flows, 18211 bytes out, 2110 bytes in, \
             2026-03-31T09:12:44Z to 2026-03-31T09:13:40Z"
        );
        assert_eq!(asff["UpdatedAt"], "2026-03-31T09:13:40Z");
        let beacon = rendered(&sample::beacon());
        assert_eq!(beacon["Network"]["DestinationIpV6"], "2001:db8:77::5");
        assert_eq!(beacon["Types"][1], "TTPs/Command and Control/beacon");
        assert_eq!(rendered(&sample::bare_interface())["Action"]["NetworkConnectionAction"]["Blocked"], true);
    }
}
