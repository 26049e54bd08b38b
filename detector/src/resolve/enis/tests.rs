//! Tests of `enis`: one hand-made inventory a rule.

use serde_json::{Value, json};

use super::super::testing::ip;
use super::*;

const T1: i64 = 1_774_947_480;
const T2: i64 = T1 + 3600;
const T3: i64 = T2 + 3600;

fn eni(id: &str, subnet: &str, groups: &[&str]) -> Value {
    let groups: Vec<_> = groups.iter().map(|group| json!({"GroupId": group, "GroupName": "x"})).collect();
    json!({
        "NetworkInterfaceId": id, "SubnetId": subnet, "Groups": groups, "InterfaceType": "lambda", "VpcId": "vpc-1",
        "Description": "AWS Lambda VPC ENI-somebody-else-0f3c", "RequesterManaged": false, "Status": "in-use",
        "PrivateIpAddress": "10.0.1.5",
        "PrivateIpAddresses": [{"Primary": true, "PrivateIpAddress": "10.0.1.5"}, {"PrivateIpAddress": "10.0.1.6"}],
        "Ipv6Addresses": [{"Ipv6Address": "2001:db8::5"}],
    })
}

fn with(mut value: Value, field: &str, to: Value) -> Value {
    value[field] = to;
    value
}

fn function(name: &str, version: &str, subnets: &[&str], groups: &[&str]) -> Value {
    json!({
        "FunctionName": name, "Version": version, "Runtime": "nodejs22.x", "CodeSha256": format!("{name}{version}"),
        "FunctionArn": format!("arn:aws:lambda:eu-west-1:111122223333:function:{name}:{version}"),
        "LastModified": "2026-03-31T08:58:02.000+0000",
        "VpcConfig": {"SubnetIds": subnets, "SecurityGroupIds": groups, "VpcId": "vpc-1", "Ipv6AllowedForDualStack": false},
    })
}

fn cli(enis: &[Value], functions: &[Value]) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.add_enis("enis.json", json!({"NetworkInterfaces": enis}).to_string().as_bytes()).unwrap();
    inventory.add_functions("functions.json", json!({"Functions": functions}).to_string().as_bytes()).unwrap();
    inventory
}

fn snapshot(at: i64, enis: &[Value], functions: &[Value]) -> String {
    let taken_at = jiff::Timestamp::from_second(at).unwrap().to_string();
    json!({"schema": "callout.inventory/1", "taken_at": taken_at, "NetworkInterfaces": enis, "Functions": functions})
        .to_string()
}

/// The owner in a word: function names with `+`, another service in brackets, or `?`.
fn owner(inventory: &Inventory, id: &str, at: i64) -> String {
    let then = inventory.spans(id).iter().rfind(|span| span.from <= at);
    match then.map_or(Attribution::Unknown, |span| span.owner.clone()) {
        Attribution::Functions(functions) => {
            functions.iter().map(|function| &*function.name).collect::<Vec<_>>().join("+")
        }
        Attribution::Other(service) => format!("[{service}]"),
        Attribution::Unknown => "?".to_owned(),
    }
}

/// Owners at and around the three times, for snapshots added in every order.
fn check_over_time(snapshots: &[String], id: &str, expected: [&str; 4]) {
    let mut snapshots = snapshots.to_vec();
    for _ in 0..snapshots.len() {
        snapshots.rotate_left(1);
        let mut inventory = Inventory::default();
        for (index, text) in snapshots.iter().enumerate() {
            inventory.add_enis(&index.to_string(), text.as_bytes()).unwrap();
            inventory.add_functions(&index.to_string(), text.as_bytes()).unwrap();
        }
        let found = [T1 - 1, T1, T2, T3].map(|at| owner(&inventory, id, at));
        assert_eq!(found, expected);
        assert_eq!(owner(&inventory, id, i64::MIN), expected[0]);
        assert_eq!(owner(&inventory, id, i64::MAX), expected[3]);
        let spans = inventory.spans(id);
        assert_eq!(spans[0].from, i64::MIN);
        assert!(spans.windows(2).all(|pair| pair[0].from < pair[1].from && pair[0].owner != pair[1].owner));
    }
}

#[test]
fn subnet_and_whole_group_set_decide() {
    let inventory = cli(
        &[
            eni("eni-1", "subnet-a", &["sg-2", "sg-1"]),
            eni("eni-2", "subnet-b", &["sg-1", "sg-2"]),
            eni("eni-3", "subnet-a", &["sg-1"]),
            eni("eni-4", "subnet-c", &["sg-1", "sg-2"]),
        ],
        &[function("api", "$LATEST", &["subnet-a", "subnet-b"], &["sg-1", "sg-2"])],
    );
    for (id, expected) in [("eni-1", "api"), ("eni-2", "api"), ("eni-3", "?"), ("eni-4", "?"), ("eni-9", "?")] {
        assert_eq!(owner(&inventory, id, T1), expected, "{id}");
    }
    let counts = inventory.counts();
    assert_eq!((counts.enis, counts.enis_of_one_function, counts.enis_stale, counts.functions), (4, 2, 2, 1));
    assert!(inventory.spans("eni-9").is_empty());
    assert_eq!(inventory.spans("eni-1").len(), 1);
}

#[test]
fn functions_with_the_same_pair_share_versions_do_not_count_twice() {
    let pair = (&["subnet-a"][..], &["sg-1"][..]);
    let inventory = cli(
        &[eni("eni-1", "subnet-a", &["sg-1"])],
        &[
            function("web", "$LATEST", pair.0, pair.1),
            function("api", "1", pair.0, pair.1),
            function("api", "2", pair.0, pair.1),
            // Moved away since, but version 1 pins the interface.
            function("old", "1", pair.0, pair.1),
            function("old", "$LATEST", &["subnet-z"], pair.1),
        ],
    );
    assert_eq!(owner(&inventory, "eni-1", T1), "api+old+web");
    assert_eq!(inventory.counts().enis_shared, 1);
    let [Span { owner: Attribution::Functions(functions), .. }] = inventory.spans("eni-1") else { panic!("no owner") };
    assert_eq!(&*functions[0].arn, "arn:aws:lambda:eu-west-1:111122223333:function:api");
    assert_eq!(functions[0].vpc.as_deref(), Some("vpc-1"));
    assert_eq!(inventory.deployments(&functions[0].arn).len(), 2);
}

#[test]
fn one_name_in_two_regions_is_two_functions() {
    let here = function("api", "1", &["subnet-a"], &["sg-1"]);
    let there = with(here.clone(), "FunctionArn", json!("arn:aws:lambda:us-east-1:111122223333:function:api:1"));
    assert_eq!(cli(&[], &[here, there]).functions().count(), 2);
}

#[test]
fn other_interfaces_are_named_by_their_service() {
    let base = || with(eni("eni-1", "subnet-a", &["sg-1"]), "Description", json!(""));
    let kind = |kind: &str| with(base(), "InterfaceType", json!(kind));
    let described = |text: &str| with(kind("interface"), "Description", json!(text));
    for (value, expected) in [
        (kind("lambda"), "api"),
        (described("AWS Lambda VPC ENI-api-0f3c"), "api"),
        (described("AWS Lambda VPC ENI: 0f3c"), "api"),
        (described("arn:aws-cn:lambda:cn-north-1:111122223333:function:api"), "api"),
        (described("arn:aws-us-gov:ecs:us-gov-west-1:111122223333:attachment/a"), "[ecs_task]"),
        // Same subnet and groups, but a database's or a person's.
        (described("RDSNetworkInterface"), "[rds]"),
        (described("my own"), "[interface]"),
        (described("about AWS Lambda VPC ENI"), "[interface]"),
        (with(described("bastion"), "Attachment", json!({"InstanceId": "i-1"})), "[instance]"),
        (described("ELB app/web/50dc6c495c0c9188"), "[application_load_balancer]"),
        (described("ELB web"), "[load_balancer]"),
        (kind("nat_gateway"), "[nat_gateway]"),
        (kind("natGateway"), "[nat_gateway]"),
        (kind("vpc_endpoint"), "[vpc_endpoint]"),
        (with(kind("vpc_endpoint"), "Description", json!("AWS Lambda VPC ENI")), "[vpc_endpoint]"),
    ] {
        let inventory = cli(std::slice::from_ref(&value), &[function("api", "1", &["subnet-a"], &["sg-1"])]);
        assert_eq!(owner(&inventory, "eni-1", T1), expected, "{value}");
    }
}

#[test]
fn functions_outside_a_vpc_own_nothing() {
    let mut absent = function("absent", "1", &[], &[]);
    absent.as_object_mut().unwrap().remove("VpcConfig");
    let inventory = cli(
        &[eni("eni-1", "subnet-a", &["sg-1"]), with(eni("eni-2", "", &[]), "Groups", json!(null))],
        &[
            absent,
            with(function("null", "1", &[], &[]), "VpcConfig", json!(null)),
            with(
                function("empty", "1", &[], &[]),
                "VpcConfig",
                json!({"SubnetIds": [], "SecurityGroupIds": [], "VpcId": ""}),
            ),
            with(function("bare", "1", &[], &[]), "VpcConfig", json!({})),
        ],
    );
    assert_eq!((owner(&inventory, "eni-1", T1), owner(&inventory, "eni-2", T1)), ("?".into(), "?".into()));
    assert!(inventory.functions().all(|function| function.vpc.is_none()));
    assert_eq!(inventory.counts().functions, 4);
}

#[test]
fn addresses_are_all_of_the_interface() {
    let inventory = cli(&[eni("eni-1", "subnet-a", &["sg-1"])], &[]);
    let addresses: Vec<_> = inventory.own_addresses("eni-1").collect();
    assert_eq!(addresses, [ip("10.0.1.5"), ip("10.0.1.6"), ip("2001:db8::5")]);
    assert_eq!(inventory.own_addresses("eni-2").count(), 0);
    assert!(!inventory.is_empty() && Inventory::default().is_empty());
}

#[test]
fn an_interface_changes_owner_at_the_later_snapshot() {
    let functions = [function("api", "1", &["subnet-a"], &["sg-1"]), function("web", "1", &["subnet-a"], &["sg-2"])];
    let first = snapshot(T1, &[eni("eni-1", "subnet-a", &["sg-1"])], &functions);
    let second = snapshot(T2, &[eni("eni-1", "subnet-a", &["sg-2"])], &functions);
    let third = snapshot(T3, &[eni("eni-1", "subnet-a", &["sg-2"])], &functions);
    check_over_time(&[first, second, third], "eni-1", ["api", "api", "web", "web"]);
}

#[test]
fn a_function_that_joins_shares_from_the_snapshot_that_shows_it() {
    let eni = [eni("eni-1", "subnet-a", &["sg-1"])];
    let (api, web) = (function("api", "1", &["subnet-a"], &["sg-1"]), function("web", "1", &["subnet-a"], &["sg-1"]));
    let first = snapshot(T1, &eni, std::slice::from_ref(&api));
    let second = snapshot(T2, &eni, &[api, web.clone()]);
    let third = snapshot(T3, &eni, &[web]);
    check_over_time(&[first, second, third], "eni-1", ["api", "api", "api+web", "web"]);
}

#[test]
fn a_snapshot_without_the_function_or_the_interface_says_nothing() {
    let api = function("api", "1", &["subnet-a"], &["sg-1"]);
    let here = [eni("eni-1", "subnet-a", &["sg-1"])];
    // The interface came before the function was listed, and outlives it.
    let snapshots =
        [snapshot(T1, &here, &[]), snapshot(T2, &here, std::slice::from_ref(&api)), snapshot(T3, &here, &[])];
    check_over_time(&snapshots, "eni-1", ["api"; 4]);
    // The function stays, the interface is gone: replayed logs still refer to it.
    let snapshots = [snapshot(T1, &here, std::slice::from_ref(&api)), snapshot(T2, &[], &[api])];
    check_over_time(&snapshots, "eni-1", ["api"; 4]);
}

#[test]
fn edited_security_groups_do_not_hide_the_owner() {
    let api = [function("api", "1", &["subnet-a"], &["sg-1"])];
    let before = snapshot(T1, &[eni("eni-1", "subnet-a", &["sg-1"])], &api);
    let edited = snapshot(T2, &[eni("eni-1", "subnet-a", &["sg-1", "sg-edit"])], &api);
    check_over_time(&[before, edited], "eni-1", ["api"; 4]);
}

#[test]
fn cli_files_that_differ_change_at_the_attach_time() {
    let attached = |value: Value, text: &str| with(value, "Attachment", json!({"AttachTime": text, "DeviceIndex": 1}));
    let functions = [function("api", "1", &["subnet-a"], &["sg-1"]), function("web", "1", &["subnet-a"], &["sg-2"])];
    // T2 is 2026-03-31T09:58:00Z.
    let (old, new) = ("2026-01-01T00:00:00+00:00", "2026-03-31T09:58:00+00:00");
    let first = attached(eni("eni-1", "subnet-a", &["sg-1"]), old);
    let second = attached(eni("eni-1", "subnet-a", &["sg-2"]), new);
    let inventory = cli(&[second.clone(), first], &functions);
    assert_eq!([T1, T2].map(|at| owner(&inventory, "eni-1", at)), ["api", "web"]);
    // Alone it holds always.
    assert_eq!(owner(&cli(&[second], &functions), "eni-1", 0), "web");
    // Without a time both may be meant, so both are named.
    let both = cli(&[eni("eni-1", "subnet-a", &["sg-1"]), eni("eni-1", "subnet-a", &["sg-2"])], &functions);
    assert_eq!(owner(&both, "eni-1", T1), "api+web");
}

#[test]
fn cli_functions_hold_always_beside_snapshots() {
    let mut inventory = cli(&[], &[function("cli", "1", &["subnet-a"], &["sg-1"])]);
    let text = snapshot(T2, &[eni("eni-1", "subnet-a", &["sg-1"])], &[function("api", "1", &["subnet-a"], &["sg-1"])]);
    inventory.add_enis("snapshot.json", text.as_bytes()).unwrap();
    assert_eq!([T1, T3].map(|at| owner(&inventory, "eni-1", at)), ["api+cli", "api+cli"]);
}

#[test]
fn functions_of_another_account_use_no_interface_of_this_one() {
    // Of a subnet that several accounts share.
    let theirs = with(
        function("theirs", "1", &["subnet-a"], &["sg-1"]),
        "FunctionArn",
        json!("arn:aws:lambda:eu-west-1:444455556666:function:theirs"),
    );
    let functions = [function("api", "1", &["subnet-a"], &["sg-1"]), theirs];
    let of = |id: &str, account: &str| with(eni(id, "subnet-a", &["sg-1"]), "OwnerId", json!(account));
    let enis = [of("eni-1", "111122223333"), of("eni-2", "444455556666"), of("eni-3", "777788889999")];
    let inventory = cli(&[&enis[..], &[eni("eni-4", "subnet-a", &["sg-1"])]].concat(), &functions);
    let owners = ["eni-1", "eni-2", "eni-3", "eni-4"].map(|id| owner(&inventory, id, T1));
    assert_eq!(owners, ["api", "theirs", "?", "api+theirs"], "of the last nobody says whose it is");
    assert_eq!(["111122223333", "777788889999", "", "1"].map(|of| inventory.tells_of(of)), [true, true, true, false]);
}

#[test]
fn adding_after_asking_is_seen() {
    let mut inventory = cli(&[eni("eni-1", "subnet-a", &["sg-1"])], &[]);
    assert_eq!(owner(&inventory, "eni-1", T1), "?");
    let text = json!({"Functions": [function("api", "1", &["subnet-a"], &["sg-1"])], "NextMarker": "more"}).to_string();
    inventory.add_functions("more.json", text.as_bytes()).unwrap();
    assert_eq!(owner(&inventory, "eni-1", T1), "api");
    assert_eq!(inventory.counts().unfinished_files, 1);
}

#[test]
fn a_refused_file_leaves_nothing_behind() {
    let nameless = with(function("web", "1", &["subnet-a"], &["sg-1"]), "FunctionArn", json!("web"));
    let text = snapshot(
        T1,
        &[eni("eni-1", "subnet-a", &["sg-1"])],
        &[function("api", "1", &["subnet-a"], &["sg-1"]), nameless],
    );
    let mut inventory = Inventory::default();
    assert!(matches!(inventory.add_functions("f", text.as_bytes()), Err(Error::FunctionArn { .. })));
    assert_eq!((inventory.is_empty(), inventory.counts()), (true, Counts::default()));
}

#[test]
fn another_account_is_believed_of_itself_only() {
    let owned = |id: &str, account: &str| with(eni(id, "subnet-a", &["sg-1"]), "OwnerId", json!(account));
    let functions = [function("api", "1", &["subnet-a"], &["sg-1"])];
    let mut inventory = Inventory::default();
    let home = snapshot(T1, &[owned("eni-home", "111122223333")], &functions);
    inventory.add_enis("home", home.as_bytes()).unwrap();
    let theirs = with(
        function("theirs", "1", &["subnet-a"], &["sg-1"]),
        "FunctionArn",
        json!("arn:aws:lambda:eu-west-1:444455556666:function:theirs"),
    );
    let theirs = [theirs, function("web", "1", &["subnet-a"], &["sg-1"])];
    let enis = [owned("eni-theirs", "444455556666"), owned("eni-home", "444455556666"), owned("eni-3", "111122223333")];
    let text = snapshot(T2, &[&enis[..], &[eni("eni-4", "subnet-a", &["sg-1"])]].concat(), &theirs);
    assert_eq!(inventory.add_snapshot_of("444455556666", "theirs", text.as_bytes()).unwrap(), 4);
    assert_eq!((inventory.counts().enis, inventory.counts().functions), (2, 2));
    assert_eq!(["eni-theirs", "eni-3", "eni-4"].map(|id| owner(&inventory, id, T2)), ["theirs", "?", "?"]);
    let again = snapshot(T3, &enis[..1], &theirs[..1]);
    assert_eq!(inventory.add_snapshot_of("444455556666", "again", again.as_bytes()).unwrap(), 0);
}
