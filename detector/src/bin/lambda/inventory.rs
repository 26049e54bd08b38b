//! Inventory: who owns which interface now, as a snapshot in the state bucket when it differs from the last.
//!
//! The one role that may describe the whole account. Environment variables, which may hold secrets, come with Lambda's
//! answer and go no further: a snapshot is built from named fields only.
//!
//! Other accounts and regions that deliver into one log bucket have an inventory function of their own, which writes
//! into a folder of its own: `inventory/ACCOUNT/REGION/`.

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::account::Account;
use crate::door::{Door, Invocation};
use crate::state::{Condition, Put};
use crate::watch::now_secs;

/// The schema of a snapshot, see `detector::resolve`.
const SCHEMA: &str = "callout.inventory/1";

/// What a snapshot keeps of a function.
const FUNCTION_FIELDS: [&str; 8] =
    ["FunctionName", "FunctionArn", "Version", "Runtime", "CodeSha256", "LastModified", "VpcConfig", "Layers"];

/// How old a snapshot may be and stand for one taken now. The bucket's lifecycle clears old ones away, the last one
/// too.
const RESTS_SECS: i64 = 86_400;

/// Takes a snapshot; stores it when something changed, and once a day.
pub(crate) async fn run(door: &Door, invocation: &mut Invocation, account: &Account) -> anyhow::Result<Value> {
    let interfaces = sorted(account.interfaces().await?, &["NetworkInterfaceId"]);
    let functions = sorted(account.functions(function).await?, &["FunctionArn", "Version"]);
    invocation.metrics.count("Interfaces", interfaces.len() as u64);
    invocation.metrics.count("Functions", functions.len() as u64);
    let (n_interfaces, n_functions) = (interfaces.len(), functions.len());
    let snapshot =
        [("schema", SCHEMA.into()), ("NetworkInterfaces", interfaces.into()), ("Functions", functions.into())];
    let mut snapshot: Map<String, Value> = snapshot.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let folder = format!("inventory/{}", door.settings.inventory_folder);
    let mut listed = door.state.list(&folder, "").await?;
    listed.retain(|listed| listed.key.strip_prefix(&folder).is_some_and(|name| !name.contains('/')));
    let last = listed.pop();
    let is_same = match &last {
        None => false,
        Some(last) => {
            let stored = door.state.get(&last.key).await?;
            let known: Option<Map<_, _>> = stored.and_then(|stored| serde_json::from_slice(&stored.bytes).ok());
            // What cannot be read is not the same.
            let taken_at = |known: &mut Map<String, Value>| -> Option<jiff::Timestamp> {
                known.remove("taken_at")?.as_str()?.parse().ok()
            };
            let is_fresh = |at: jiff::Timestamp| now_secs() - at.as_second() < RESTS_SECS;
            known.is_some_and(|mut known| taken_at(&mut known).is_some_and(is_fresh) && known == snapshot)
        }
    };
    let mut is_stored = false;
    if !is_same {
        let taken_at = jiff::Timestamp::from_second(now_secs()).context("the clock")?.to_string();
        snapshot.insert("taken_at".to_owned(), taken_at.clone().into());
        let bytes = serde_json::to_vec(&snapshot)?;
        // Two in one second say the same.
        let put = door.state.put(&format!("{folder}{taken_at}.json"), bytes.into(), &[], Condition::Absent).await?;
        is_stored = matches!(put, Put::Written(_));
    }
    invocation.metrics.count("Snapshots", u64::from(is_stored));
    tracing::info!(n_interfaces, n_functions, is_stored, "inventory taken");
    Ok(json!({"interfaces": n_interfaces, "functions": n_functions, "stored": is_stored}))
}

/// What is kept of a function; nothing of one outside any VPC, which has no interface.
fn function(from: &Value) -> Option<Value> {
    let subnets = from.pointer("/VpcConfig/SubnetIds").and_then(Value::as_array);
    subnets.filter(|subnets| !subnets.is_empty())?;
    let kept = FUNCTION_FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), from.get(name)?.clone())));
    Some(Value::Object(kept.collect::<Map<String, Value>>()))
}

/// Sorted by fields, so that the same answer in another order is the same snapshot.
fn sorted(mut values: Vec<Value>, by: &[&str]) -> Vec<Value> {
    values.sort_by_cached_key(|value| {
        by.iter().map(|name| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_the_environment_go_no_further() {
        let from = json!({"FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:f", "Version": "3",
            "Environment": {"Variables": {"STRIPE_KEY": "sk_live_123"}}, "VpcConfig": {"SubnetIds": ["subnet-1"]}});
        let kept = function(&from).unwrap();
        assert!(!kept.to_string().contains("sk_live") && !kept.to_string().contains("STRIPE"));
        assert_eq!(kept["VpcConfig"]["SubnetIds"], json!(["subnet-1"]));
    }

    #[test]
    fn a_snapshot_is_what_resolve_reads() {
        let listed = |subnets: &[&str]| json!({"FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:f", "VpcConfig": {"SubnetIds": subnets}});
        let functions = [function(&listed(&["subnet-1"])).unwrap()];
        assert_eq!(function(&listed(&[])), None, "outside any VPC it has no interface");
        let snapshot = json!({"schema": SCHEMA, "taken_at": "2026-03-31T08:58:02Z",
            "NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}], "Functions": functions});
        let mut inventory = detector::resolve::Inventory::default();
        inventory.add_enis("snapshot", snapshot.to_string().as_bytes()).unwrap();
        assert_eq!((inventory.counts().enis, inventory.counts().functions), (1, 1));
    }

    #[test]
    fn order_says_nothing() {
        let (a, b) = (json!({"FunctionArn": "a", "Version": "1"}), json!({"FunctionArn": "a", "Version": "2"}));
        let by = ["FunctionArn", "Version"];
        assert_eq!(sorted(vec![b.clone(), a.clone()], &by), sorted(vec![a, b], &by));
    }
}
