//! The queue before the function, as Lambda polls it: what fails comes back, and what fails too often is put aside.

use serde_json::{Value, json};

use crate::cloud::{Cloud, LOGS, REGION};
use crate::runtime::Function;
use crate::sample::{explain, notification, objects, replayed};

/// One receive of Lambda's poller: a batch to the function, and what the answer does not name is deleted. Gives how
/// many messages there were.
fn poll(cloud: &Cloud, queue: &str, detect: &mut Function) -> usize {
    let receive = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0});
    let messages = cloud.sqs("ReceiveMessage", &receive)["Messages"].as_array().cloned().unwrap_or_default();
    if messages.is_empty() {
        return 0;
    }
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            json!({"messageId": message["MessageId"], "body": message["Body"], "eventSource": "aws:sqs",
                "receiptHandle": message["ReceiptHandle"]})
        })
        .collect();
    let answer = detect.invoke(&json!({"Records": records})).given();
    let failed = answer["batchItemFailures"].as_array().expect("a partial answer");
    for message in &messages {
        if !failed.iter().any(|failure| failure["itemIdentifier"] == message["MessageId"]) {
            cloud.sqs("DeleteMessage", &json!({"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}));
        }
    }
    messages.len()
}

#[test]
fn poison_ends_among_the_dead_letters_and_all_else_is_worked_on() {
    let cloud = Cloud::start(&json!({}));
    explain(&cloud);
    let dead = cloud.make_queue("dead-letters", &json!({}));
    let redrive =
        json!({"deadLetterTargetArn": format!("arn:aws:sqs:{REGION}:123456789012:dead-letters"), "maxReceiveCount": 3});
    let queue = cloud.make_queue("objects", &json!({"RedrivePolicy": redrive.to_string()}));
    let send = |body: &str| cloud.sqs("SendMessage", &json!({"QueueUrl": queue, "MessageBody": body}));
    let objects = objects();
    send(&json!({"Event": "s3:TestEvent", "Bucket": LOGS}).to_string());
    send("not even JSON");
    send(&notification("gone.log.gz", 9).to_string());
    for (key, bytes) in &objects {
        cloud.put(LOGS, key, bytes.clone());
        send(&notification(key, bytes.len()).to_string());
    }
    let mut detect = Function::new(&cloud, "detect", &[]);
    let mut n_polls = 0;
    while poll(&cloud, &queue, &mut detect) > 0 {
        n_polls += 1;
        assert!(n_polls < 30, "the queue is never empty");
    }
    let receive = json!({"QueueUrl": dead, "MaxNumberOfMessages": 10});
    let letters = cloud.sqs("ReceiveMessage", &receive)["Messages"].clone();
    let mut letters: Vec<&str> =
        letters.as_array().expect("dead letters").iter().filter_map(|letter| letter["Body"].as_str()).collect();
    letters.sort_by_key(|letter| letter.len());
    assert_eq!(letters, ["not even JSON", &notification("gone.log.gz", 9).to_string()]);
    assert_eq!(cloud.findings(), replayed(&objects));
}
