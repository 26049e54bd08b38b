//! The inventory role against EC2 and Lambda as moto plays them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::cloud::{Cloud, LOGS, STATE};
use crate::http::Message;
use crate::proxy::{self, Fault};
use crate::runtime::Function;
use crate::sample::{explain, explain_below, notification, objects, replayed};

#[test]
fn snapshots_are_stored_when_something_changed() {
    let cloud = Cloud::start(&json!({}));
    let subnets = cloud.ec2("Action=DescribeSubnets");
    let subnet =
        subnets.split("<subnetId>").nth(1).and_then(|rest| rest.split('<').next()).expect("a subnet").to_owned();
    let make = |n: usize| {
        for n in 0..n {
            let what = format!("SubnetId={subnet}&InterfaceType=lambda&Description=AWS%20Lambda%20VPC%20ENI-f{n}");
            cloud.ec2(&format!("Action=CreateNetworkInterface&{what}"));
        }
    };
    make(7);
    let mut inventory = Function::new(&cloud, "inventory", &[("CALLOUT_TOPIC_ARN", "")]);
    let answer = inventory.invoke(&json!({})).given();
    assert_eq!((&answer["interfaces"], &answer["stored"]), (&json!(7), &json!(true)), "{}", inventory.log());
    assert_eq!(inventory.invoke(&json!({})).given()["stored"], json!(false), "nothing changed");
    make(1);
    // A snapshot's name has seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(inventory.invoke(&json!({})).given()["stored"], json!(true));
    let keys = cloud.list(STATE, "inventory/");
    assert_eq!(keys.len(), 2);
    // The lifecycle clears old ones away, so that what rests must be said again.
    let mut old: Value = serde_json::from_slice(&cloud.get(STATE, &keys[1])).expect("JSON");
    old["taken_at"] = json!("2026-03-22T00:00:00Z");
    cloud.put(STATE, "inventory/9999-old.json", old.to_string());
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(inventory.invoke(&json!({})).given()["stored"], json!(true), "months old");
    cloud.delete(STATE, "inventory/9999-old.json");
    let snapshot: Value = serde_json::from_slice(&cloud.get(STATE, &keys[1])).expect("JSON");
    assert_eq!(snapshot["NetworkInterfaces"].as_array().map(Vec::len), Some(8));
    let mut read = detector::resolve::Inventory::default();
    read.add_enis("snapshot", snapshot.to_string().as_bytes()).expect("a snapshot");
    assert_eq!(read.counts().enis, 8);
}

/// What the two services answer, page by page, each refusing the first time.
fn paged(n: u64, request: &Message) -> Fault {
    const ENIS: &str = "<DescribeNetworkInterfacesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
        <networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId></item></networkInterfaceSet>\
        <nextToken>a+b/c=</nextToken></DescribeNetworkInterfacesResponse>";
    const MORE_ENIS: &str = "<DescribeNetworkInterfacesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
        <networkInterfaceSet><item><networkInterfaceId>eni-2</networkInterfaceId></item></networkInterfaceSet>\
        </DescribeNetworkInterfacesResponse>";
    const FUNCTIONS: &str = r#"{"Functions":[{"FunctionArn":"arn:aws:lambda:eu-west-1:123456789012:function:f:1",
        "VpcConfig":{"SubnetIds":["subnet-1"]},"Environment":{"Variables":{"STRIPE_KEY":"sk_live_123"}}}],"NextMarker":"m 1"}"#;
    const MORE_FUNCTIONS: &str = r#"{"Functions":[{"FunctionArn":"arn:aws:lambda:eu-west-1:123456789012:function:g:1","VpcConfig":{"SubnetIds":["subnet-1"]}}]}"#;
    let form = request.text();
    if form.contains("Action=DescribeNetworkInterfaces") {
        return match n {
            0 => Fault::Answered(
                503,
                "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>",
            ),
            _ if form.contains("NextToken=a%2Bb%2Fc%3D") => Fault::Answered(200, MORE_ENIS),
            _ => Fault::Answered(200, ENIS),
        };
    }
    if request.path().starts_with("/2015-03-31/functions/") {
        return match n {
            0..=3 => Fault::Answered(429, r#"{"Reason":"CallerRateLimitExceeded"}"#),
            _ if request.path().contains("Marker=m%201") => Fault::Answered(200, MORE_FUNCTIONS),
            _ => Fault::Answered(200, FUNCTIONS),
        };
    }
    Fault::None
}

#[test]
fn all_pages_are_read_with_back_off_into_the_account_s_folder() {
    let cloud = Cloud::start(&json!({}));
    let (address, _) = proxy::start(cloud.address, Arc::new(paged));
    let env = [
        ("CALLOUT_TOPIC_ARN", ""),
        ("CALLOUT_INVENTORY_FOLDER", "123456789012/eu-west-1"),
        ("CALLOUT_STATE_REGION", "eu-west-1"),
    ];
    let mut inventory = Function::behind(&cloud, address, "inventory", &env);
    let answer = inventory.invoke(&json!({})).given();
    assert_eq!(answer, json!({"interfaces": 2, "functions": 2, "stored": true}));
    assert_eq!(inventory.invoke(&json!({})).given()["stored"], json!(false), "nothing changed since");
    let keys = cloud.list(STATE, "");
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(keys[0].starts_with("inventory/123456789012/eu-west-1/"), "{keys:?}");
    assert!(!String::from_utf8_lossy(&cloud.get(STATE, &keys[0])).contains("sk_live"), "secrets go no further");
}

#[test]
fn a_refused_call_is_named() {
    let cloud = Cloud::start(&json!({}));
    let n_asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&n_asked);
    let (address, _) = proxy::start(
        cloud.address,
        Arc::new(move |_, _: &Message| {
            counted.fetch_add(1, Ordering::Relaxed);
            Fault::Answered(
                403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>",
            )
        }),
    );
    let error = Function::behind(&cloud, address, "inventory", &[]).invoke(&json!({})).error();
    assert!(error.contains("ec2:DescribeNetworkInterfaces: status 403"), "{error}");
    assert_eq!(n_asked.load(Ordering::Relaxed), 1, "asking again would not help");
}

#[test]
fn an_interface_younger_than_the_inventory_is_judged_when_it_is_known() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let key = "inventory/2026-03-22T00:00:00Z.json";
    let mut snapshot: Value = serde_json::from_slice(&cloud.get(STATE, key)).expect("JSON");
    let whole = snapshot.clone();
    let interfaces = snapshot["NetworkInterfaces"].as_array_mut().expect("a list");
    interfaces.truncate(1);
    cloud.put(STATE, key, snapshot.to_string());
    let objects = objects();
    let mut detect = Function::new(&cloud, "detect", &[]);
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
        detect.invoke(&notification(key, bytes.len())).given();
    }
    assert!(cloud.findings().is_empty(), "nobody knows whose the calls are");
    cloud.put(STATE, key, whole.to_string());
    let mut learn = Function::new(&cloud, "learn", &[]);
    learn.invoke(&json!({})).given();
    assert_eq!(cloud.findings(), replayed(&objects));
    assert!(!cloud.alerts().is_empty() && !learn.log().contains("\"Unowned\""));
    // What is learned anew before anybody knows them is lost, and counted.
    cloud.delete(STATE, "baselines/current.json");
    cloud.put(STATE, key, snapshot.to_string());
    let mut learn = Function::new(&cloud, "learn", &[]);
    learn.invoke(&json!({})).given();
    assert!(learn.log().contains("\"Unowned\""), "{}", learn.log());
}

#[test]
fn interfaces_of_other_accounts_are_known_from_their_folders() {
    let cloud = Cloud::start(&json!({}));
    explain_below(&cloud, "", "111122223333/eu-west-1/");
    // What another account wrote must not stop the judging.
    cloud.put(STATE, "inventory/444455556666/eu-west-1/2026-03-22T00:00:00Z.json", "{");
    // Nor may it say whose the interfaces of others are.
    explain_below(&cloud, "", "777788889999/eu-west-1/");
    let objects = objects();
    let mut detect = Function::new(&cloud, "detect", &[]);
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
        detect.invoke(&notification(key, bytes.len())).given();
    }
    assert_eq!(cloud.findings(), replayed(&objects));
    let log = detect.log();
    for account in ["444455556666", "777788889999"] {
        let told = format!("s3://callout-state/inventory/{account}/eu-west-1/2026-03-22T00:00:00Z.json");
        assert!(log.contains(&told), "{log}");
    }
}

#[test]
fn an_account_without_an_inventory_is_told_of() {
    let cloud = Cloud::start(&json!({}));
    cloud.put(
        STATE,
        "inventory/2026-03-22T00:00:00Z.json",
        r#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-1","OwnerId":"999900001111"}]}"#,
    );
    let objects = objects();
    let (key, bytes) = &objects[0];
    cloud.put(LOGS, key, bytes.clone());
    let mut detect = Function::new(&cloud, "detect", &[]);
    detect.invoke(&notification(key, bytes.len())).given();
    let log = detect.log();
    assert!(log.contains("\"UnknownAccounts\":1") && log.contains("accounts that have no inventory"), "{log}");
    explain(&cloud);
    let mut detect = Function::new(&cloud, "detect", &[]);
    detect.invoke(&notification(key, bytes.len())).given();
    let log = detect.log();
    assert!(!log.contains("UnknownAccounts") && log.contains("\"StaleInventories\":1"), "months old: {log}");
}
