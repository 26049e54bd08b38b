//! An S3 object as the engine reads it: by ranges, ahead of the decoder, with bounded memory.
//!
//! Where it sits: under `detect`, gives [`detector::read::Object`].
//! What it does not do: it never holds the object as a whole, and it never mixes two versions of it: every range after
//! the first is asked for with the entity tag of the first.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::{Bytes, BytesMut};
use detector::read::Object;
use tokio::runtime::Handle;

use crate::events::Created;
use crate::state::BodyTries;

/// Bytes asked for at a time: large enough that the first byte's latency (some 30 ms) is bridged by the blocks on their
/// way, small enough that the columns of a Parquet object, read side by side, fit into memory together.
const BLOCK_BYTES: u64 = 512 << 10;

/// Blocks kept: 48 MiB. Two threads read twenty columns each, and of each column one block is used and one on its way.
const MAX_BLOCKS: usize = 96;

/// A range longer than this is fetched in one piece and not kept.
const MAX_KEPT_RANGE: u64 = 8 * BLOCK_BYTES;

/// Why an object could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing is there any more, or never was.
    #[error("{uri}: there is no such object; it was deleted, or the key is not decoded")]
    Vanished { uri: String },
    /// The role may not read it.
    #[error(
        "{uri}: access denied; the function's role needs s3:GetObject on it, and kms:Decrypt on its key. Or it is gone: S3 says so \
             only to who may list the bucket"
    )]
    Denied { uri: String },
    /// No such bucket.
    #[error("{uri}: there is no such bucket")]
    NoBucket { uri: String },
    /// Anything else, after all retries.
    #[error("{uri}: reading failed: {why}")]
    Failed { uri: String, why: String },
}

/// The shared half: what fetching needs.
#[derive(Debug)]
struct Source {
    client: Client,
    bucket: String,
    key: String,
    etag: Option<String>,
    size: u64,
    n_fetched: AtomicU64,
}

/// A block, being fetched or there.
#[derive(Debug, Default)]
struct Block {
    bytes: Mutex<Option<Result<Bytes, String>>>,
    is_there: Condvar,
}

/// Blocks by number, the one used longest ago first.
#[derive(Debug, Default)]
struct Blocks {
    all: BTreeMap<u64, Arc<Block>>,
    used: VecDeque<u64>,
}

/// An object of a bucket.
#[derive(Debug)]
pub(crate) struct S3Object {
    name: String,
    source: Arc<Source>,
    blocks: Mutex<Blocks>,
    runtime: Handle,
}

impl S3Object {
    /// Asks for the object's beginning, which also tells its size and version.
    pub(crate) async fn open(client: &Client, created: &Created) -> Result<Self, Error> {
        let uri = created.uri();
        let mut source = Source {
            client: client.clone(),
            bucket: created.bucket.clone(),
            key: created.key.clone(),
            etag: None,
            size: 0,
            n_fetched: AtomicU64::new(1),
        };
        let first = match created.size {
            // No range of nothing can be had.
            Some(0) => None,
            _ => first_block(&source, &uri).await?,
        };
        let blocks = Mutex::default();
        let Some((size, etag, bytes)) = first else {
            return Ok(Self { name: uri, source: Arc::new(source), blocks, runtime: Handle::current() });
        };
        (source.size, source.etag) = (size, etag);
        let object = Self { name: uri, source: Arc::new(source), blocks, runtime: Handle::current() };
        let block = Block { bytes: Mutex::new(Some(Ok(bytes))), is_there: Condvar::new() };
        object.blocks.lock().unwrap_or_else(PoisonError::into_inner).all.insert(0, Arc::new(block));
        Ok(object)
    }

    /// How many ranges were asked for so far.
    pub(crate) fn n_fetched(&self) -> u64 {
        self.source.n_fetched.load(Ordering::Relaxed)
    }

    /// The block of this number, fetched if it is not kept. If the block before it is kept, somebody is reading on, as
    /// one does with a column or a text; then the next block is fetched ahead.
    fn block(&self, number: u64) -> io::Result<Bytes> {
        let block = {
            let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            let last = self.source.size.saturating_sub(1) / BLOCK_BYTES;
            let goes_on = number.checked_sub(1).is_some_and(|before| blocks.all.contains_key(&before));
            let block = blocks.get_or_fetch(number, &self.source, &self.runtime);
            if goes_on && number < last {
                blocks.get_or_fetch(number + 1, &self.source, &self.runtime);
            }
            blocks.shrink(number);
            block
        };
        let mut bytes = block.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*bytes {
                Some(Ok(bytes)) => return Ok(bytes.clone()),
                Some(Err(why)) => return Err(io::Error::other(why.clone())),
                None => bytes = block.is_there.wait(bytes).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Blocks {
    fn get_or_fetch(&mut self, number: u64, source: &Arc<Source>, runtime: &Handle) -> Arc<Block> {
        self.used.retain(|used| *used != number);
        self.used.push_back(number);
        if let Some(block) = self.all.get(&number) {
            return Arc::clone(block);
        }
        let block = Arc::new(Block::default());
        self.all.insert(number, Arc::clone(&block));
        let (source, filled) = (Arc::clone(source), Arc::clone(&block));
        runtime.spawn(async move {
            let from = number * BLOCK_BYTES;
            let got = source.fetch(from, BLOCK_BYTES.min(source.size - from)).await;
            *filled.bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(got);
            filled.is_there.notify_all();
        });
        block
    }

    /// Forgets the blocks used longest ago, never the one asked for.
    fn shrink(&mut self, asked: u64) {
        while self.all.len() > MAX_BLOCKS
            && let Some(oldest) = self.used.pop_front()
        {
            if oldest == asked {
                self.used.push_back(oldest);
            } else {
                self.all.remove(&oldest);
            }
        }
    }
}

impl Object for S3Object {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.source.size
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let until = offset.checked_add(len as u64).filter(|until| *until <= self.source.size);
        let until = until.ok_or(io::ErrorKind::UnexpectedEof)?;
        if len == 0 {
            return Ok(Bytes::new());
        }
        if len as u64 > MAX_KEPT_RANGE {
            // A caller is never a thread of the runtime: the engine works in its own pool.
            return self.runtime.block_on(self.source.fetch(offset, len as u64)).map_err(io::Error::other);
        }
        let (first, last) = (offset / BLOCK_BYTES, (until - 1) / BLOCK_BYTES);
        let mut out = BytesMut::new();
        for number in first..=last {
            let block = self.block(number)?;
            let at = number * BLOCK_BYTES;
            let (from, to) = (offset.max(at) - at, until.min(at + BLOCK_BYTES) - at);
            let part = block.slice(from as usize..to as usize);
            if first == last {
                return Ok(part);
            }
            out.extend_from_slice(&part);
        }
        Ok(out.freeze())
    }
}

impl Source {
    /// Fetches a range of the version that was opened; a body that breaks off is asked for again.
    async fn fetch(&self, from: u64, len: u64) -> Result<Bytes, String> {
        let range = format!("bytes={from}-{}", from + len - 1);
        self.n_fetched.fetch_add(1, Ordering::Relaxed);
        let mut tries = BodyTries::default();
        loop {
            let request = self.client.get_object().bucket(&self.bucket).key(&self.key).range(&range);
            let answer = request.set_if_match(self.etag.clone()).send().await;
            let answer = answer.map_err(|error| match error.raw_response().map(|raw| raw.status().as_u16()) {
                Some(412) => "it was replaced while it was read".to_owned(),
                Some(404) => "it was deleted while it was read".to_owned(),
                _ => DisplayErrorContext(&error).to_string(),
            })?;
            let why = match collect(answer, len).await {
                Ok(bytes) => return Ok(bytes),
                Err(why) => why,
            };
            if !tries.again().await {
                return Err(format!("the body broke off {} times: {why}", BodyTries::MAX));
            }
        }
    }
}

/// Size, entity tag and first bytes of an object; `None` when it has none.
async fn first_block(source: &Source, uri: &str) -> Result<Option<(u64, Option<String>, Bytes)>, Error> {
    let mut tries = BodyTries::default();
    loop {
        let range = format!("bytes=0-{}", BLOCK_BYTES - 1);
        let answer = source.client.get_object().bucket(&source.bucket).key(&source.key).range(range).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let uri = uri.to_owned();
                let status = error.raw_response().map(|raw| raw.status().as_u16());
                return match (status, error.code()) {
                    (Some(416), _) => Ok(None),
                    (_, Some("NoSuchBucket")) => Err(Error::NoBucket { uri }),
                    (Some(404), _) => Err(Error::Vanished { uri }),
                    (Some(403), _) => Err(Error::Denied { uri }),
                    _ => Err(Error::Failed { uri, why: DisplayErrorContext(&error).to_string() }),
                };
            }
        };
        let size = answer.content_range().and_then(|range| range.rsplit('/').next()?.parse().ok());
        let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
        let etag = answer.e_tag().map(str::to_owned);
        let Some(size) = size.or(length) else {
            return Err(Error::Failed { uri: uri.to_owned(), why: "the answer names no size".to_owned() });
        };
        let why = match collect(answer, size.min(BLOCK_BYTES)).await {
            Ok(bytes) => return Ok(Some((size, etag, bytes))),
            Err(why) => why,
        };
        if !tries.again().await {
            return Err(Error::Failed { uri: uri.to_owned(), why: format!("the body broke off: {why}") });
        }
    }
}

/// The body of an answer, which must have so many bytes.
async fn collect(answer: GetObjectOutput, len: u64) -> Result<Bytes, String> {
    let mut body = answer.body;
    let mut out = BytesMut::with_capacity(usize::try_from(len).map_err(|error| error.to_string())?);
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| error.to_string())?;
        if out.len() as u64 + part.len() as u64 > len {
            return Err("more bytes than were asked for".to_owned());
        }
        out.extend_from_slice(&part);
    }
    if out.len() as u64 == len { Ok(out.freeze()) } else { Err(format!("{} of {len} bytes", out.len())) }
}
