//! The cloud: moto's server on a free port, with the buckets, the topic and the queue of a deployment.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Value, json};

use crate::http;

pub(crate) const LOGS: &str = "flow-logs";
pub(crate) const STATE: &str = "callout-state";
pub(crate) const REGION: &str = "eu-west-1";

/// What ends with the test, whatever the test came to.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// A server, and what was set up in it.
pub(crate) struct Cloud {
    pub(crate) address: SocketAddr,
    pub(crate) topic: String,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) config: SdkConfig,
    pub(crate) s3: aws_sdk_s3::Client,
    queue_url: String,
    _server: Process,
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The folder with the programs tests need besides Rust's, see `xtask`.
pub(crate) fn venv() -> PathBuf {
    std::env::var_os("CALLOUT_TEST_VENV").map_or_else(|| root().join("target/venv"), PathBuf::from)
}

/// Starts moto's server on a port it chooses itself: one chosen for it might be taken until it gets there.
fn start_server() -> (Process, SocketAddr) {
    let python = venv().join("bin/python");
    let server = Command::new(&python)
        .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask test` sets it up", python.display()));
    let mut server = Process(server);
    let mut said = BufReader::new(server.0.stderr.take().expect("its messages")).lines().map_while(Result::ok);
    let address = said.by_ref().find_map(|line| line.split_once("Running on http://")?.1.trim().parse().ok());
    // It logs each request; nobody reads that, and it must not wait for a reader.
    std::thread::spawn(move || said.for_each(drop));
    (server, address.expect("moto's server says where it listens"))
}

impl Cloud {
    /// Starts a server with everything a deployment has. `filter` is the filter policy of the subscribed queue.
    pub(crate) fn start(filter: &Value) -> Self {
        Self::with_topic(filter, "")
    }

    /// The same with a FIFO topic and queue, which drop what was sent before.
    pub(crate) fn start_fifo() -> Self {
        Self::with_topic(&json!({}), ".fifo")
    }

    fn with_topic(filter: &Value, ending: &str) -> Self {
        let (server, address) = start_server();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let config = runtime.block_on(
            aws_config::defaults(BehaviorVersion::latest())
                .region(Region::new(REGION))
                .endpoint_url(format!("http://{address}"))
                .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .load(),
        );
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let s3 = aws_sdk_s3::Client::from_conf(s3);
        let mut cloud =
            Self { address, topic: String::new(), runtime, config, s3, queue_url: String::new(), _server: server };
        cloud.set_up(filter, ending);
        cloud
    }

    fn set_up(&mut self, filter: &Value, ending: &str) {
        for bucket in [LOGS, STATE] {
            self.make_bucket(bucket);
        }
        let sns = aws_sdk_sns::Client::new(&self.config);
        let mut attributes = json!({});
        if !ending.is_empty() {
            attributes["FifoQueue"] = json!("true");
        }
        let name = format!("alerts{ending}");
        self.queue_url = self.make_queue(&name, &attributes);
        let queue_arn = format!("arn:aws:sqs:{REGION}:123456789012:{name}");
        self.topic = self.runtime.block_on(async {
            let mut topic = sns.create_topic().name(format!("callout{ending}"));
            if !ending.is_empty() {
                topic = topic.attributes("FifoTopic", "true");
            }
            let topic = topic.send().await.expect("a topic");
            let topic = topic.topic_arn().expect("its name").to_owned();
            let subscription = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(queue_arn);
            subscription.attributes("FilterPolicy", filter.to_string()).send().await.expect("a subscription");
            topic
        });
    }

    fn make_bucket(&self, bucket: &str) {
        use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
        let place =
            CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(REGION)).build();
        let made = self.s3.create_bucket().bucket(bucket).create_bucket_configuration(place).send();
        self.runtime.block_on(made).expect("a bucket");
    }

    /// Asks SQS, in its JSON protocol; an SDK for four calls would be one more to build.
    pub(crate) fn sqs(&self, action: &str, body: &Value) -> Value {
        let target = format!("AmazonSQS.{action}");
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/sqs/aws4_request, SignedHeaders=host, Signature=0"
        );
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", target.as_str()),
            ("authorization", &scope),
        ];
        let answer = http::call(self.address, "POST", "/", &headers, body.to_string().as_bytes()).expect("an answer");
        assert_eq!(answer.status(), 200, "{action}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    /// Makes a queue; gives its URL.
    pub(crate) fn make_queue(&self, name: &str, attributes: &Value) -> String {
        let queue = self.sqs("CreateQueue", &json!({"QueueName": name, "Attributes": attributes}));
        queue["QueueUrl"].as_str().expect("a queue").to_owned()
    }

    /// Asks EC2, in its query protocol; gives the XML.
    pub(crate) fn ec2(&self, query: &str) -> String {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/ec2/aws4_request, SignedHeaders=host, Signature=0"
        );
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", scope.as_str())];
        let body = format!("{query}&Version=2016-11-15");
        let answer = http::call(self.address, "POST", "/", &headers, body.as_bytes()).expect("an answer");
        assert_eq!(answer.status(), 200, "{query}: {}", answer.text());
        answer.text()
    }

    /// Takes all alerts out of the subscribed queue: the notifications as SNS sends them.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let receive = json!({"QueueUrl": self.queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0});
            let answer = self.sqs("ReceiveMessage", &receive);
            let Some(messages) = answer["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
                return all;
            };
            for message in messages {
                let delete = json!({"QueueUrl": self.queue_url, "ReceiptHandle": message["ReceiptHandle"]});
                self.sqs("DeleteMessage", &delete);
                all.push(serde_json::from_str(message["Body"].as_str().expect("a body")).expect("a notification"));
            }
        }
    }

    pub(crate) fn put(&self, bucket: &str, key: &str, bytes: impl Into<Vec<u8>>) {
        let put = self.s3.put_object().bucket(bucket).key(key).body(ByteStream::from(bytes.into()));
        self.runtime.block_on(put.send()).expect("an object");
    }

    /// Stores an object with user metadata.
    pub(crate) fn put_noted(&self, bucket: &str, key: &str, bytes: impl Into<Vec<u8>>, notes: &[(&str, &str)]) {
        let put = self.s3.put_object().bucket(bucket).key(key).body(ByteStream::from(bytes.into()));
        let put = notes.iter().fold(put, |put, (name, value)| put.metadata(*name, *value));
        self.runtime.block_on(put.send()).expect("an object");
    }

    pub(crate) fn get(&self, bucket: &str, key: &str) -> Vec<u8> {
        self.runtime.block_on(async {
            let got = self.s3.get_object().bucket(bucket).key(key).send().await.expect(key);
            got.body.collect().await.expect("a body").to_vec()
        })
    }

    pub(crate) fn delete(&self, bucket: &str, key: &str) {
        self.runtime.block_on(self.s3.delete_object().bucket(bucket).key(key).send()).expect("deleted");
    }

    pub(crate) fn list(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let mut pages = self.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        self.runtime.block_on(async {
            let mut keys = Vec::new();
            while let Some(page) = pages.next().await {
                keys.extend(
                    page.expect("a page").contents().iter().filter_map(|object| object.key().map(str::to_owned)),
                );
            }
            keys
        })
    }

    /// The findings stored, by id.
    pub(crate) fn findings(&self) -> BTreeMap<String, String> {
        self.findings_below("")
    }

    /// The findings stored below a prefix, by id.
    pub(crate) fn findings_below(&self, prefix: &str) -> BTreeMap<String, String> {
        let folder = format!("{prefix}findings/");
        let keys = self.list(STATE, &folder);
        let id = |key: &str| key.trim_start_matches(&folder).trim_end_matches(".json").to_owned();
        keys.iter().map(|key| (id(key), String::from_utf8(self.get(STATE, key)).expect("text"))).collect()
    }

    /// The pointer to the baseline.
    pub(crate) fn pointer(&self) -> Value {
        serde_json::from_slice(&self.get(STATE, "baselines/current.json")).expect("a pointer")
    }
}
