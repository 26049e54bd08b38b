//! Tests of events: every way AWS has of naming an object, and whatever else may come.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const KEY: &str = "AWSLogs/aws-account-id=111122223333/a b+c/é.log.parquet";
const ENCODED: &str = "AWSLogs/aws-account-id%3D111122223333/a+b%2Bc/%C3%A9.log.parquet";

fn s3() -> Value {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1",
        "eventTime": "2026-03-31T09:15:04.000Z", "eventName": "ObjectCreated:Put",
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "logs", "arn": "arn:aws:s3:::logs"},
               "object": {"key": ENCODED, "size": 1024, "eTag": "d41d8", "sequencer": "0A1B"}},
    }]})
}

fn bridge() -> Value {
    json!({"version": "0", "id": "1", "detail-type": "Object Created", "source": "aws.s3", "account": "111122223333",
        "time": "2026-03-31T09:15:04Z", "region": "eu-west-1", "resources": ["arn:aws:s3:::logs"],
        "detail": {"version": "0", "bucket": {"name": "logs"},
            "object": {"key": KEY, "size": 1024, "etag": "d41d8", "sequencer": "0A1B"}, "reason": "PutObject"}})
}

fn test_event() -> Value {
    json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-03-31T09:15:04.000Z", "Bucket": "logs",
        "RequestId": "1", "HostId": "2"})
}

fn sns(message: &Value) -> Value {
    json!({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0",
        "Sns": {"Type": "Notification", "Message": message.to_string(), "MessageAttributes": {}}}]})
}

fn envelope(message: &Value) -> Value {
    json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:t",
        "Message": message.to_string()})
}

fn sqs(bodies: &[String]) -> Value {
    let records = bodies.iter().zip(0..).map(|(body, n)| {
        json!({"messageId": format!("m{n}"), "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:111122223333:q", "attributes": {}, "messageAttributes": {}})
    });
    json!({"Records": records.collect::<Vec<_>>()})
}

fn created() -> Created {
    Created { bucket: "logs".into(), key: KEY.into(), size: Some(1024), at: Some(1_774_948_504) }
}

fn direct(objects: Result<Vec<Created>, Error>) -> Event {
    Event { is_batch: false, messages: vec![Message { id: None, objects }] }
}

fn batch(objects: Vec<Result<Vec<Created>, Error>>) -> Event {
    let messages = objects.into_iter().zip(0..).map(|(objects, n)| Message { id: Some(format!("m{n}")), objects });
    Event { is_batch: true, messages: messages.collect() }
}

#[test]
fn every_way_names_the_same_object() {
    for event in [s3(), sns(&s3()), bridge()] {
        assert_eq!(parse(&event), direct(Ok(vec![created()])), "{event}");
    }
    for body in [s3(), envelope(&s3()), bridge()] {
        assert_eq!(parse(&sqs(&[body.to_string()])), batch(vec![Ok(vec![created()])]), "{body}");
    }
}

#[test]
fn test_events_name_nothing_and_are_no_error() {
    assert_eq!(parse(&test_event()), direct(Ok(vec![])));
    assert_eq!(parse(&sns(&test_event())), direct(Ok(vec![])));
    let bodies = [test_event().to_string(), envelope(&test_event()).to_string()];
    assert_eq!(parse(&sqs(&bodies)), batch(vec![Ok(vec![]), Ok(vec![])]));
}

#[test]
fn a_poisoned_message_stands_alone() {
    let event = parse(&sqs(&["poison".to_owned(), s3().to_string(), "{}".to_owned(), String::new()]));
    let good: Vec<bool> = event.messages.iter().map(|message| message.objects.is_ok()).collect();
    assert_eq!(good, [false, true, false, false]);
    let error = |at: usize| event.messages[at].objects.as_ref().unwrap_err().to_string();
    assert!(error(0).starts_with("the body of the SQS message is no JSON"), "{}", error(0));
    assert!(error(2).starts_with("unknown event form (an empty object)"), "{}", error(2));
    assert_eq!(error(3), "the SQS message lacks `body`");
}

#[test]
fn several_records_and_objects() {
    let mut event = s3();
    let mut second = event["Records"][0].clone();
    second["s3"]["object"]["key"] = json!("plain");
    event["Records"].as_array_mut().unwrap().push(second);
    let keys: Vec<String> = parse(&event).messages[0].objects.clone().unwrap().into_iter().map(|c| c.key).collect();
    assert_eq!(keys, [KEY, "plain"]);
}

#[test]
fn fields_nobody_needs_may_be_missing() {
    let event = json!({"Records": [{"eventSource": "aws:s3", "eventName": "s3:ObjectCreated:CompleteMultipartUpload",
        "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]});
    let bare = Created { bucket: "b".into(), key: "k".into(), size: None, at: None };
    assert_eq!(parse(&event), direct(Ok(vec![bare.clone()])));
    // Security Lake sends EventBridge events without `detail-type`, `id` and `version`.
    let lake = json!({"source": "aws.s3", "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}});
    assert_eq!(parse(&lake), direct(Ok(vec![bare])));
}

#[test]
fn what_is_wrong_is_named() {
    let check = |event: Value, expected: &str| {
        let error = parse(&event).messages[0].objects.clone().unwrap_err().to_string();
        assert!(error.contains(expected), "{error} does not say {expected}");
    };
    let broken = |pointer: &str, value: Value| {
        let mut event = s3();
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    check(broken("/Records/0/eventName", json!("ObjectRemoved:Delete")), "`ObjectRemoved:Delete`");
    check(broken("/Records/0/eventVersion", json!("3.0")), "version `3.0`");
    check(broken("/Records/0/s3/object/key", json!("a%3")), "key `a%3`");
    check(broken("/Records/0/s3/object/key", json!("%ff")), "key `%ff`");
    check(broken("/Records/0/s3/object/key", json!(7)), "lacks `s3.object.key`");
    check(broken("/Records/0/s3/bucket", json!(null)), "lacks `s3.bucket.name`");
    check(broken("/Records/0/eventSource", json!("aws:dynamodb")), "a record of `aws:dynamodb`");
    check(json!({"Records": []}), "`Records` is empty");
    check(json!({"Records": [{}]}), "an empty object");
    check(json!({"hello": "world"}), "an object with `hello`");
    check(json!([1]), "a list");
    check(json!(null), "null");
    check(json!({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}}), "`Object Deleted`");
    check(json!({"source": "aws.s3", "detail": {}}), "lacks `detail.bucket.name`");
    check(json!({"source": "aws.ec2", "detail": {}}), "unknown event form");
    check(sns(&sns(&s3())), "unknown event form");
    check(json!({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}), "lacks `Sns.Message`");
}

#[test]
fn a_message_without_an_id_still_has_a_place() {
    let event = json!({"Records": [{"eventSource": "aws:sqs", "body": s3().to_string()}]});
    assert_eq!(parse(&event).messages[0].id, None);
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(key: String) {
        let encoded: String = key
            .bytes()
            .map(|byte| match byte {
                b' ' => "+".to_owned(),
                b if b.is_ascii_alphanumeric() || b"-_./*".contains(&b) => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            })
            .collect();
        prop_assert_eq!(form_decoded(&encoded), Some(key));
    }

    #[test]
    fn no_text_makes_parsing_panic(body: String, bytes: Vec<u8>) {
        let _event = parse(&sqs(&[body]));
        if let Ok(value) = serde_json::from_slice::<Value>(&bytes) {
            let _event = parse(&value);
        }
    }

    #[test]
    fn cut_events_never_panic(cut in 0usize..600) {
        let text = sqs(&[envelope(&s3()).to_string()]).to_string();
        let short: String = text.chars().take(cut).collect();
        let _event = parse(&json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": short}]}));
    }
}
