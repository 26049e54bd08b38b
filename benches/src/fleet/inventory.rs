//! The inventory as AWS's own commands print it.
//!
//! Takes a fleet and a moment, gives the JSON of `aws ec2 describe-network-interfaces` and
//! `aws lambda list-functions --function-version ALL`.

use serde_json::{Value, json};

use super::{Fleet, Function, Interface, InterfaceKind, Version};
use crate::calendar::{self, Secs};

/// What `describe-network-interfaces` prints at `at`.
pub(crate) fn network_interfaces(fleet: &Fleet, at: Secs) -> Value {
    let interfaces: Vec<Value> =
        fleet.place.interfaces.iter().filter(|i| i.life.contains(at)).map(|i| interface(fleet, i)).collect();
    json!({ "NetworkInterfaces": interfaces })
}

/// Moments at which an inventory must have been taken so that every interface was seen at least once: the end of the
/// span, and before that just ahead of each disappearance that no later moment covers.
pub(crate) fn moments(fleet: &Fleet) -> Vec<Secs> {
    let mut moments = vec![fleet.span.end - 1];
    let mut ends: Vec<&Interface> = fleet.place.interfaces.iter().filter(|i| i.life.end < fleet.span.end).collect();
    ends.sort_by_key(|i| -i.life.end);
    for interface in ends {
        if !moments.iter().any(|&m| interface.life.contains(m)) {
            moments.push(interface.life.end - 1);
        }
    }
    moments
}

fn interface(fleet: &Fleet, i: &Interface) -> Value {
    let subnet = &fleet.place.subnets[i.subnet];
    let (kind, requester_managed, owner, device) = match i.kind {
        InterfaceKind::Lambda => ("lambda", false, "amazon-aws", 1),
        InterfaceKind::NatGateway => ("nat_gateway", true, "amazon-aws", 1),
        InterfaceKind::Database => ("interface", true, "amazon-rds", 1),
        InterfaceKind::Endpoint => ("vpc_endpoint", true, "amazon-aws", 1),
        InterfaceKind::Instance => ("interface", false, fleet.account.as_str(), 0),
    };
    let groups: Vec<Value> = i
        .groups
        .iter()
        .map(|id| json!({"GroupId": id, "GroupName": format!("group-{}", &id[id.len() - 6..])}))
        .collect();
    let attached =
        calendar::written(i.life.start.max(fleet.span.start - 40 * calendar::DAY), "%Y-%m-%dT%H:%M:%S+00:00");
    let tail = &i.id["eni-".len()..];
    let mut attachment = json!({
        "AttachTime": attached, "AttachmentId": format!("ela-attach-{tail}"), "DeleteOnTermination": false,
        "DeviceIndex": device, "InstanceOwnerId": owner, "Status": "attached",
    });
    if i.kind == InterfaceKind::Instance {
        attachment["AttachmentId"] = json!(format!("eni-attach-{tail}"));
        attachment["InstanceId"] = json!(format!("i-{tail}"));
    }
    let ipv6: Vec<Value> = i.address6.iter().map(|a| json!({"Ipv6Address": a.to_string()})).collect();
    json!({
        "Attachment": attachment,
        "AvailabilityZone": subnet.zone,
        "Description": i.description,
        "Groups": groups,
        "InterfaceType": kind,
        "Ipv6Addresses": ipv6,
        "MacAddress": format!("0a:{}:{}:{}:{}:{}", &tail[0..2], &tail[2..4], &tail[4..6], &tail[6..8], &tail[8..10]),
        "NetworkInterfaceId": i.id,
        "OwnerId": fleet.account,
        "PrivateIpAddress": i.address.to_string(),
        "PrivateIpAddresses": [{"Primary": true, "PrivateIpAddress": i.address.to_string()}],
        "RequesterManaged": requester_managed,
        "SourceDestCheck": i.kind != InterfaceKind::NatGateway,
        "Status": "in-use",
        "SubnetId": subnet.id,
        "TagSet": [],
        "VpcId": subnet.vpc_id,
    })
}

/// What `list-functions --function-version ALL` prints at the end of the span.
pub(crate) fn functions(fleet: &Fleet) -> Value {
    let mut all = Vec::new();
    for function in &fleet.functions {
        let published: Vec<(usize, &Version)> =
            function.versions.iter().enumerate().filter(|(_, v)| v.at < fleet.span.end).collect();
        if let Some((_, newest)) = published.last() {
            all.push(configuration(fleet, function, "$LATEST", newest));
        }
        for (n, version) in published {
            all.push(configuration(fleet, function, &(n + 1).to_string(), version));
        }
    }
    json!({ "Functions": all })
}

fn configuration(fleet: &Fleet, function: &Function, version: &str, published: &Version) -> Value {
    let pairs: Vec<_> = function.pairs.iter().map(|&p| &fleet.place.pairs[p]).collect();
    let vpc = match pairs.first() {
        Some(first) => json!({
            "SubnetIds": pairs.iter().map(|p| fleet.place.subnets[p.subnet].id.as_str()).collect::<Vec<_>>(),
            "SecurityGroupIds": first.groups,
            "VpcId": fleet.place.subnets[first.subnet].vpc_id,
            "Ipv6AllowedForDualStack": function.dual_stack,
        }),
        None => json!({"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": false}),
    };
    let mut dice = fleet.dice.fork(&function.name, published.at as u64);
    let code_bytes = dice.between(40_000, 30_000_000);
    let revision = [8, 4, 4, 4, 12].map(|n| dice.hex(n)).join("-");
    json!({
        "FunctionName": function.name,
        "FunctionArn": format!("arn:aws:lambda:{}:{}:function:{}:{version}", fleet.region, fleet.account, function.name),
        "Runtime": function.runtime,
        "Role": format!("arn:aws:iam::{}:role/{}", fleet.account, function.name),
        "Handler": "app.handler",
        "CodeSize": code_bytes,
        "Description": function.description,
        "Timeout": 30,
        "MemorySize": 512,
        "LastModified": calendar::last_modified(published.at),
        "CodeSha256": published.code_sha256,
        "Version": version,
        "VpcConfig": vpc,
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": revision,
        "PackageType": "Zip",
        "Architectures": ["arm64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": format!("/aws/lambda/{}", function.name)},
    })
}
