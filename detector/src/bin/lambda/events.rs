//! Events: whatever way S3's news came, the objects it names, message by message.
//!
//! Takes the JSON of an invocation, gives messages to the roles. Pure; reads no object.
//! What it does not do: it never guesses. A message that is none of the known forms is an error of its own, so that one
//! poisoned message cannot hold up the others.
//!
//! | way | outer form | the key is |
//! |---|---|---|
//! | S3 | `Records[].eventSource` = `aws:s3` | form-urlencoded |
//! | S3, SQS | `Records[].eventSource` = `aws:sqs`, the S3 event in `body` | form-urlencoded |
//! | S3, SNS | `Records[].EventSource` = `aws:sns`, the S3 event in `Sns.Message` | form-urlencoded |
//! | S3, SNS, SQS | `aws:sqs`, in `body` the notification with `Type` and `Message`, or the raw S3 event | form-urlencoded |
//! | S3, EventBridge | `source` = `aws.s3`, `detail.object` | plain |
//! | S3, EventBridge, SQS | `aws:sqs`, in `body` the EventBridge event | plain |
//!
//! The forms are told apart by their discriminators, one after the other; structs in which every field is optional
//! would take one form for another.

use serde_json::Value;

/// An object that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Created {
    /// The bucket's name.
    pub(crate) bucket: String,
    /// The key, decoded.
    pub(crate) key: String,
    /// Its size, where the event says it.
    pub(crate) size: Option<u64>,
    /// When S3 wrote it, Unix seconds, where the event says it.
    pub(crate) at: Option<i64>,
}

impl Created {
    /// `s3://bucket/key`
    pub(crate) fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// One message: what fails or succeeds as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// How the answer names it; only a queue's messages have a name.
    pub(crate) id: Option<String>,
    /// The objects it names, none for S3's test event; or why it cannot be understood.
    pub(crate) objects: Result<Vec<Created>, Error>,
}

/// An invocation's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Whether a queue sent them: then the answer names the failed ones.
    pub(crate) is_batch: bool,
    /// The messages, in the order of the event.
    pub(crate) messages: Vec<Message>,
}

/// Why a message cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// Not one of the forms.
    #[error(
        "unknown event form ({found}); expected an S3 notification, straight or through SQS, SNS or both, or an \
         EventBridge `Object Created`, straight or through SQS"
    )]
    UnknownForm {
        /// What it looks like instead.
        found: String,
    },
    /// One of the forms, with a field missing or of the wrong kind.
    #[error("the {form} lacks `{field}`")]
    Missing {
        /// Which form.
        form: &'static str,
        /// The path of the field.
        field: &'static str,
    },
    /// The text of a message is no JSON.
    #[error("the {form} is no JSON: {why}")]
    NotJson {
        /// Which form.
        form: &'static str,
        /// What the reader said.
        why: String,
    },
    /// News of something else than a new object.
    #[error("event `{name}` is not about an object that was created; subscribe to `s3:ObjectCreated:*` only")]
    NotCreated {
        /// The event's name.
        name: String,
    },
    /// A version of S3's event this program does not know.
    #[error("S3 event version `{version}`; this program reads version 2")]
    Version {
        /// The version it says it is.
        version: String,
    },
    /// The key's encoding is broken.
    #[error("key `{key}` is not form-urlencoded UTF-8")]
    Key {
        /// The key as it came, its beginning.
        key: String,
    },
    /// A name longer than S3 gives.
    #[error("{what} `{name}…` has {n_bytes} bytes; S3 names none of more than {max_bytes}")]
    TooLong {
        /// Bucket or key.
        what: &'static str,
        /// Its beginning.
        name: String,
        /// Its length.
        n_bytes: usize,
        /// The most there can be.
        max_bytes: usize,
    },
}

/// The most bytes of a key and of a bucket's name. Source: Amazon S3 user guide, "Naming Amazon S3 objects" and
/// "General purpose bucket naming rules" (255 before 2018).
const MAX_KEY_BYTES: usize = 1024;
const MAX_BUCKET_BYTES: usize = 255;

/// Characters of foreign text that an error repeats.
const SHOWN_CHARS: usize = 100;

/// Takes an invocation apart.
pub(crate) fn parse(event: &Value) -> Event {
    let records = event.get("Records").and_then(Value::as_array);
    let is_from = |record: &Value, service: &str| {
        let source = record.get("eventSource").or_else(|| record.get("EventSource"));
        source.and_then(Value::as_str) == Some(service)
    };
    if let Some(records) = records
        && records.first().is_some_and(|record| is_from(record, "aws:sqs"))
    {
        let messages = records.iter().map(|record| {
            let id = record.get("messageId").and_then(Value::as_str).map(str::to_owned);
            let body = text(record, &["body"], "SQS message", "body");
            Message { id, objects: body.and_then(queued) }
        });
        return Event { is_batch: true, messages: messages.collect() };
    }
    Event { is_batch: false, messages: vec![Message { id: None, objects: notified(event) }] }
}

/// The objects of an SQS message's body.
fn queued(body: &str) -> Result<Vec<Created>, Error> {
    let body = json(body, "body of the SQS message")?;
    let is_notification = body.get("Type").and_then(Value::as_str) == Some("Notification");
    if is_notification && body.get("TopicArn").is_some() {
        let message = text(&body, &["Message"], "SNS notification", "Message")?;
        return notified(&json(message, "message of the SNS notification")?);
    }
    notified(&body)
}

/// The objects of an event that is not a queue's.
fn notified(event: &Value) -> Result<Vec<Created>, Error> {
    if event.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    if let Some(records) = event.get("Records").and_then(Value::as_array) {
        let objects: Result<Vec<Vec<Created>>, Error> = records.iter().map(recorded).collect();
        let objects: Vec<Created> = objects?.into_iter().flatten().collect();
        if records.is_empty() {
            return Err(Error::UnknownForm { found: "`Records` is empty".to_owned() });
        }
        return Ok(objects);
    }
    // Security Lake's copies of EventBridge events have no `detail-type`.
    if event.get("source").and_then(Value::as_str) == Some("aws.s3") && event.get("detail").is_some() {
        return bridged(event).map(|created| vec![created]);
    }
    Err(Error::UnknownForm { found: looks(event) })
}

/// The objects of one record: S3's own, or SNS's with S3's event inside.
fn recorded(record: &Value) -> Result<Vec<Created>, Error> {
    if record.get("EventSource").and_then(Value::as_str) == Some("aws:sns") {
        let message = text(record, &["Sns", "Message"], "SNS record", "Sns.Message")?;
        let inner = json(message, "message of the SNS record")?;
        let is_nested = inner.pointer("/Records/0/EventSource").is_some();
        return if is_nested { Err(Error::UnknownForm { found: looks(&inner) }) } else { notified(&inner) };
    }
    match record.get("eventSource").and_then(Value::as_str) {
        Some("aws:s3") => notification(record).map(|created| vec![created]),
        Some(other) => Err(Error::UnknownForm { found: format!("a record of `{}`", shown(other)) }),
        None => Err(Error::UnknownForm { found: format!("a record that is {}", looks(record)) }),
    }
}

/// The object of an S3 notification's record.
fn notification(record: &Value) -> Result<Created, Error> {
    const FORM: &str = "S3 notification";
    // Only a new major version may change what is there.
    if let Some(version) = record.get("eventVersion").and_then(Value::as_str)
        && version.split('.').next() != Some("2")
    {
        return Err(Error::Version { version: shown(version) });
    }
    let name = text(record, &["eventName"], FORM, "eventName")?;
    if !name.trim_start_matches("s3:").starts_with("ObjectCreated:") {
        return Err(Error::NotCreated { name: shown(name) });
    }
    let key = text(record, &["s3", "object", "key"], FORM, "s3.object.key")?;
    Ok(Created {
        bucket: within("bucket", text(record, &["s3", "bucket", "name"], FORM, "s3.bucket.name")?, MAX_BUCKET_BYTES)?,
        key: within("key", &form_decoded(key).ok_or_else(|| Error::Key { key: shown(key) })?, MAX_KEY_BYTES)?,
        size: record.pointer("/s3/object/size").and_then(Value::as_u64),
        at: record.get("eventTime").and_then(Value::as_str).and_then(unix_secs),
    })
}

/// The object of an EventBridge event. Its key is not encoded.
fn bridged(event: &Value) -> Result<Created, Error> {
    const FORM: &str = "EventBridge event";
    if let Some(kind) = event.get("detail-type").and_then(Value::as_str)
        && kind != "Object Created"
    {
        return Err(Error::NotCreated { name: shown(kind) });
    }
    Ok(Created {
        bucket: within(
            "bucket",
            text(event, &["detail", "bucket", "name"], FORM, "detail.bucket.name")?,
            MAX_BUCKET_BYTES,
        )?,
        key: within("key", text(event, &["detail", "object", "key"], FORM, "detail.object.key")?, MAX_KEY_BYTES)?,
        size: event.pointer("/detail/object/size").and_then(Value::as_u64),
        at: event.get("time").and_then(Value::as_str).and_then(unix_secs),
    })
}

fn text<'a>(value: &'a Value, path: &[&str], form: &'static str, field: &'static str) -> Result<&'a str, Error> {
    let found = path.iter().try_fold(value, |value, name| value.get(name)).and_then(Value::as_str);
    found.filter(|text| !text.is_empty()).ok_or(Error::Missing { form, field })
}

fn within(what: &'static str, name: &str, max_bytes: usize) -> Result<String, Error> {
    let n_bytes = name.len();
    if n_bytes > max_bytes {
        return Err(Error::TooLong { what, name: shown(name), n_bytes, max_bytes });
    }
    Ok(name.to_owned())
}

/// The beginning of a foreign text.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

fn json(text: &str, form: &'static str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|why| Error::NotJson { form, why: why.to_string() })
}

/// What a value looks like, for a message: its kind and the names of its first fields, never its content.
fn looks(value: &Value) -> String {
    match value {
        Value::Object(map) if map.is_empty() => "an empty object".to_owned(),
        Value::Object(map) => {
            let names: Vec<String> = map.keys().take(5).map(|name| name.chars().take(40).collect()).collect();
            format!("an object with `{}`", names.join("`, `"))
        }
        Value::Array(_) => "a list".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::Bool(_) => "a truth value".to_owned(),
        Value::Null => "null".to_owned(),
    }
}

/// Undoes `application/x-www-form-urlencoded`; `None` when a `%` is not followed by two digits or the bytes are no
/// UTF-8.
fn form_decoded(key: &str) -> Option<String> {
    let mut bytes = key.bytes();
    let mut out = Vec::with_capacity(key.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn unix_secs(text: &str) -> Option<i64> {
    text.parse().ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests;
