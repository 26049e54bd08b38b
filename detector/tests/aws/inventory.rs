//! The inventory role against EC2 and Lambda as moto plays them.

use serde_json::{Value, json};

use crate::cloud::{Cloud, STATE};
use crate::runtime::Function;

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
    let snapshot: Value = serde_json::from_slice(&cloud.get(STATE, &keys[1])).expect("JSON");
    assert_eq!(snapshot["NetworkInterfaces"].as_array().map(Vec::len), Some(8));
    let mut read = detector::resolve::Inventory::default();
    read.add_enis("snapshot", snapshot.to_string().as_bytes()).expect("a snapshot");
    assert_eq!(read.counts().enis, 8);
}
