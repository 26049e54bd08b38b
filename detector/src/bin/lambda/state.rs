//! The state bucket: objects read, listed, and written by conditional put. The one file that knows how S3 says no.
//!
//! What it does not do: it knows nothing of what the objects hold.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream};
use bytes::Bytes;

/// Times a put is tried that S3 did not decide on: another one was under way, or what was there is gone.
const PUT_TRIES: u32 = 8;

/// Objects read side by side.
pub(crate) const AT_ONCE: usize = 16;

/// The bucket and prefix under which everything is kept.
#[derive(Clone, Debug)]
pub(crate) struct State {
    client: Client,
    bucket: String,
    prefix: String,
}

/// An object with the tag that names this very version of it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) tag: String,
    /// The user metadata, lower-case names.
    pub(crate) notes: Vec<(String, String)>,
}

impl Stored {
    pub(crate) fn note(&self, name: &str) -> Option<&str> {
        self.notes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What a listing says of an object; the key is below the prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) tag: String,
}

/// On what condition an object is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Condition<'a> {
    /// There must be none.
    Absent,
    /// It must still be this version.
    Is(&'a str),
}

/// What became of a conditional put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// Written; this is its tag.
    Written(String),
    /// Somebody else was there first.
    Conflict,
}

/// Why the state could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{doing} s3://{bucket}/{key} failed: {why}")]
pub(crate) struct Error {
    doing: &'static str,
    bucket: String,
    key: String,
    why: String,
}

/// Tries at a body that breaks off. The SDK retries requests, not bodies.
#[derive(Debug, Default)]
pub(crate) struct BodyTries(u32);

impl BodyTries {
    /// How many there are.
    pub(crate) const MAX: u32 = 5;

    /// Waits a while, each time longer; `false` when it was tried often enough.
    pub(crate) async fn again(&mut self) -> bool {
        self.0 += 1;
        if self.0 < Self::MAX {
            tokio::time::sleep(Duration::from_millis(50 << self.0)).await;
        }
        self.0 < Self::MAX
    }
}

impl State {
    pub(crate) fn new(client: Client, bucket: &str, prefix: &str) -> Self {
        Self { client, bucket: bucket.to_owned(), prefix: prefix.to_owned() }
    }

    /// The client, for objects outside the state.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// `s3://bucket/key` of a key below the prefix.
    pub(crate) fn uri(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.bucket, self.prefix)
    }

    /// Whether an object of the log bucket is one of ours: news of what we wrote would make us write again.
    pub(crate) fn is_ours(&self, bucket: &str, key: &str) -> bool {
        bucket == self.bucket
            && ["observations/", "baselines/", "findings/", "inventory/", "knowledge/"]
                .iter()
                .any(|folder| key.strip_prefix(&self.prefix).is_some_and(|key| key.starts_with(folder)))
    }

    /// Reads an object; `None` when there is none.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Stored>, Error> {
        Ok(self.get_unless(key, None).await?.flatten())
    }

    /// Reads an object unless it is still the version that is known; then `None`.
    pub(crate) async fn get_unless(&self, key: &str, known: Option<&str>) -> Result<Option<Option<Stored>>, Error> {
        let mut tries = BodyTries::default();
        loop {
            let request = self.client.get_object().bucket(&self.bucket).key(format!("{}{key}", self.prefix));
            let answer = match request.set_if_none_match(known.map(str::to_owned)).send().await {
                Ok(answer) => answer,
                Err(error) => {
                    return match (status(&error), error.code()) {
                        (Some(304), _) => Ok(None),
                        (_, Some("NoSuchKey")) | (Some(404), None | Some("NotFound")) => Ok(Some(None)),
                        _ => Err(self.error("reading", key, &error)),
                    };
                }
            };
            let tag = answer.e_tag().unwrap_or_default().to_owned();
            let notes = answer.metadata().into_iter().flatten();
            let mut notes: Vec<(String, String)> = notes.map(|(name, value)| (name.clone(), value.clone())).collect();
            notes.sort();
            let expected = answer.content_length();
            let why = match answer.body.collect().await.map(AggregatedBytes::into_bytes) {
                Ok(bytes) if expected.is_none_or(|expected| expected == bytes.len() as i64) => {
                    return Ok(Some(Some(Stored { bytes, tag, notes })));
                }
                Ok(_) => String::new(),
                Err(error) => format!(": {error}"),
            };
            if !tries.again().await {
                return Err(self.said("reading", key, &format!("the body broke off{why}")));
            }
        }
    }

    /// Reads objects side by side, [`AT_ONCE`] at most; gives those that are there, by key.
    pub(crate) async fn get_each(&self, keys: impl Iterator<Item = &str>) -> anyhow::Result<BTreeMap<String, Stored>> {
        let mut reads = tokio::task::JoinSet::new();
        for key in keys.take(AT_ONCE) {
            let (state, key) = (self.clone(), key.to_owned());
            reads.spawn(async move { (state.get(&key).await, key) });
        }
        let mut found = BTreeMap::new();
        while let Some(read) = reads.join_next().await {
            let (stored, key) = read.context("reading from the state stopped")?;
            found.extend(stored?.map(|stored| (key, stored)));
        }
        Ok(found)
    }

    /// Writes an object on a condition.
    ///
    /// A put whose answer was lost is repeated by the SDK and then meets what it wrote itself: it is a conflict only
    /// when what is there differs. Where S3 decided nothing (409, `ConditionalRequestConflict`) it is tried again, as
    /// AWS says in "Conditional writes".
    pub(crate) async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        notes: &[(&str, &str)],
        condition: Condition<'_>,
    ) -> Result<Put, Error> {
        let mut tries = 0;
        loop {
            let error = match self.put_once(key, &bytes, notes, condition).await {
                Ok(tag) => return Ok(Put::Written(tag)),
                Err(error) => error,
            };
            // 404 answers an `If-Match` on what was deleted meanwhile.
            if !matches!(status(&error), Some(404 | 409 | 412)) || error.code() == Some("NoSuchBucket") {
                return Err(self.error("writing", key, &error));
            }
            let there = self.get(key).await?;
            let is_own = |there: &Stored| {
                there.bytes == bytes && notes.iter().all(|(name, value)| there.note(name) == Some(value))
            };
            let is_open = status(&error) == Some(409) || there.is_none() && matches!(condition, Condition::Absent);
            match there {
                Some(there) if is_own(&there) && !notes.is_empty() => return Ok(Put::Written(there.tag)),
                _ if !is_open => return Ok(Put::Conflict),
                _ => tries += 1,
            }
            if tries == PUT_TRIES {
                return Err(self.error("writing", key, &error));
            }
            tokio::time::sleep(Duration::from_millis(25 << tries)).await;
        }
    }

    async fn put_once(
        &self,
        key: &str,
        bytes: &Bytes,
        notes: &[(&str, &str)],
        condition: Condition<'_>,
    ) -> Result<String, SdkError<PutObjectError, HttpResponse>> {
        let kind =
            if key.strip_suffix(".json").is_some() { "application/json" } else { "application/vnd.apache.parquet" };
        let mut request = self.client.put_object().bucket(&self.bucket).key(format!("{}{key}", self.prefix));
        request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Is(tag) => request.if_match(tag),
        };
        for (name, value) in notes {
            request = request.metadata(*name, *value);
        }
        let answer = request.content_type(kind).body(ByteStream::from(bytes.clone())).send().await?;
        Ok(answer.e_tag().unwrap_or_default().to_owned())
    }

    /// Deletes an object; one that is not there is deleted already.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Error> {
        let request = self.client.delete_object().bucket(&self.bucket).key(format!("{}{key}", self.prefix));
        request.send().await.map_err(|error| self.error("deleting", key, &error))?;
        Ok(())
    }

    /// All objects of a folder after a key, sorted.
    pub(crate) async fn list(&self, folder: &str, after: &str) -> Result<Vec<Listed>, Error> {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let mut request =
                self.client.list_objects_v2().bucket(&self.bucket).prefix(format!("{}{folder}", self.prefix));
            if !after.is_empty() {
                request = request.start_after(format!("{}{after}", self.prefix));
            }
            let answer = request.set_continuation_token(token).send().await;
            let answer = answer.map_err(|error| self.error("listing", folder, &error))?;
            found.extend(answer.contents().iter().filter_map(|object| {
                Some(Listed {
                    key: object.key()?.strip_prefix(&self.prefix)?.to_owned(),
                    size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    tag: object.e_tag().unwrap_or_default().to_owned(),
                })
            }));
            token = answer.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// An error about an object of the state, for what is wrong with its content.
    pub(crate) fn said(&self, doing: &'static str, key: &str, why: &str) -> Error {
        Error { doing, bucket: self.bucket.clone(), key: format!("{}{key}", self.prefix), why: why.to_owned() }
    }

    fn error<E: std::error::Error + 'static>(
        &self,
        doing: &'static str,
        key: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> Error
    where
        SdkError<E, HttpResponse>: ProvideErrorMetadata,
    {
        let why = match (status(error), error.code()) {
            (_, Some("NoSuchBucket")) => "there is no such bucket; check `CALLOUT_STATE_BUCKET`".to_owned(),
            (Some(403), _) => "access denied; check the permissions of the function's role".to_owned(),
            _ => DisplayErrorContext(error).to_string(),
        };
        self.said(doing, key, &why)
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|raw| raw.status().as_u16())
}
