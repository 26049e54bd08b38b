//! Alerts: each topic's form, filter policies, repeats, and what the function tells of itself.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::cloud::{Cloud, LOGS, STATE};
use crate::runtime::Function;
use crate::sample::{batch, explain, explain_below, notification, objects, replayed};

/// All objects in one batch, put into the log bucket.
fn all_objects(cloud: &Cloud) -> Value {
    let objects = objects();
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
    }
    let events: Vec<Value> = objects.iter().map(|(key, bytes)| notification(key, bytes.len())).collect();
    batch(&events)
}

#[test]
fn people_get_mail_and_a_channel_its_notification() {
    let cloud = Cloud::start(&json!({}));
    let event = all_objects(&cloud);
    let n_findings = replayed(&objects()).len();
    let told = |format: &str| {
        let prefix = format!("{format}/");
        explain_below(&cloud, &prefix, "");
        let env = [("CALLOUT_ALERT_FORMAT", format), ("CALLOUT_STATE_PREFIX", prefix.as_str())];
        Function::new(&cloud, "detect", &env).invoke(&event).given();
        assert_eq!(
            cloud.findings_below(&prefix),
            replayed(&objects()),
            "the form of the alert is not that of the finding"
        );
        let alerts = cloud.alerts();
        assert_eq!(alerts.len(), n_findings);
        alerts
    };
    for alert in told("mail") {
        let subject = alert["Subject"].as_str().expect("a subject");
        // Source: Amazon SNS API reference, `Publish`.
        assert!(subject.len() < 100 && subject.is_ascii() && !subject.contains(char::is_control), "{subject}");
        assert!(subject.contains("support-agent") && subject.contains("203.0.113.77"), "{subject}");
        let body = alert["Message"].as_str().expect("a body");
        for part in ["support-agent", "203.0.113.77", "callout inspect", "Severity"] {
            assert!(body.contains(part), "{part} in {body}");
        }
    }
    for alert in told("chat") {
        assert!(alert.get("Subject").is_none());
        let message: Value = serde_json::from_str(alert["Message"].as_str().expect("text")).expect("JSON");
        assert_eq!((&message["version"], &message["source"]), (&json!("1.0"), &json!("custom")));
        assert!(message["content"]["title"].as_str().is_some_and(|title| title.contains("support-agent")));
    }
}

#[test]
fn subscribers_get_what_their_filter_policy_asks_for() {
    let wanted = |filter: &Value| {
        let cloud = Cloud::start(filter);
        explain(&cloud);
        let event = all_objects(&cloud);
        Function::new(&cloud, "detect", &[]).invoke(&event).given();
        assert_eq!(cloud.findings().len(), replayed(&objects()).len());
        cloud.alerts()
    };
    let alerts =
        wanted(&json!({"function": ["support-agent"], "type": ["new-destination"], "account": ["111122223333"],
        "severity": [{"numeric": [">=", 7, "<", 9]}], "activity": ["create"]}));
    assert!(!alerts.is_empty(), "every attribute a policy may ask for is there");
    // Source: Amazon SNS developer guide, "Message attributes": raw delivery to a queue drops a message with more than
    // ten.
    assert!(alerts.iter().all(|alert| alert["MessageAttributes"].as_object().is_some_and(|all| all.len() <= 10)));
    assert_eq!(wanted(&json!({"function": ["activities-api"]})), Vec::<Value>::new());
}

#[test]
fn what_goes_on_is_told_again_once_an_interval() {
    // The sample's call-out shows on two days, in two objects.
    for (interval, expected) in [("30d", vec!["create"]), ("1h", vec!["create", "update"])] {
        let cloud = Cloud::start(&json!({}));
        explain(&cloud);
        let config = format!("repeat_interval = \"{interval}\"");
        let mut detect = Function::new(&cloud, "detect", &[("CALLOUT_CONFIG", &config)]);
        let mut learn = Function::new(&cloud, "learn", &[("CALLOUT_CONFIG", &config)]);
        for (key, bytes) in objects() {
            cloud.put(LOGS, &key, bytes.clone());
            // Whether told by one or by the other, and however often they run.
            for _ in 0..2 {
                detect.invoke(&batch([&notification(&key, bytes.len())])).given();
                learn.invoke(&json!({})).given();
            }
        }
        let alerts = cloud.alerts();
        let told: Vec<&str> =
            alerts.iter().filter_map(|alert| alert["MessageAttributes"]["activity"]["Value"].as_str()).collect();
        assert_eq!(told, expected, "repeated after {interval} at the earliest");
    }
}

#[test]
fn an_alert_begun_by_one_who_died_is_sent_though_another_stored_more_meanwhile() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let mut detect = Function::new(&cloud, "detect", &[]);
    let mut learn = Function::new(&cloud, "learn", &[]);
    let mut detected = |(key, bytes): (String, Vec<u8>)| {
        cloud.put(LOGS, &key, bytes.clone());
        detect.invoke(&batch([&notification(&key, bytes.len())])).given();
    };
    let mut objects = objects().into_iter();
    while cloud.findings().is_empty() {
        detected(objects.next().expect("an object in which something is found"));
    }
    cloud.alerts();
    let (id, first) = cloud.findings().pop_first().expect("a finding");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_millis();
    let until = (now + 10_000).to_string();
    let notes = [("alert", "pending"), ("by", "one who died"), ("until", until.as_str())];
    cloud.put_noted(STATE, &format!("findings/{id}.json"), first.clone(), &notes);
    objects.for_each(&mut detected);
    learn.invoke(&json!({})).given();
    assert_ne!(cloud.findings()[&id], first, "more was stored");
    assert_eq!(cloud.alerts(), Vec::<Value>::new(), "it may be alive");
    thread::sleep(Duration::from_secs(11));
    learn.invoke(&json!({})).given();
    let activities: Vec<Value> =
        cloud.alerts().iter().map(|alert| alert["MessageAttributes"]["activity"]["Value"].clone()).collect();
    assert_eq!(activities, ["create"]);
}

#[test]
fn each_object_is_a_line_and_each_invocation_a_set_of_metrics() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let event = all_objects(&cloud);
    let mut detect = Function::new(&cloud, "detect", &[]);
    detect.invoke(&event).given();
    let log = detect.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let read: Vec<&Value> = lines.iter().filter(|line| line["message"] == "object read").collect();
    let named: BTreeSet<&str> = read.iter().filter_map(|line| line["object"].as_str()).collect();
    assert_eq!((read.len(), named.len()), (objects().len(), objects().len()), "one line an object");
    for line in &read {
        assert!(line["span"]["requestId"].is_string(), "{line}");
        assert!(line["span"]["xrayTraceId"].as_str().is_some_and(|id| id.starts_with("Root=1-5bef4de7")), "{line}");
    }
    let metrics = lines.iter().find(|line| line.get("_aws").is_some()).expect("embedded metrics");
    for name in
        ["Objects", "Rows", "RowsRejected", "UnknownInterfaces", "SkipData", "Lag", "AlertLag", "FindingsChanged"]
    {
        assert!(metrics[name].is_number(), "{name} in {metrics}");
    }
    assert_eq!(metrics["Objects"], json!(10.0));
    let declared = metrics["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().expect("declared");
    assert!(declared.iter().all(|metric| metrics[metric["Name"].as_str().expect("a name")].is_number()));
}
