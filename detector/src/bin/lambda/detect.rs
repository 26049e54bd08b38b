//! Detect: new objects become observations, and what these show at once becomes findings.
//!
//! Each object is read and its observations are stored under a name made from the object's own, so that a redelivery
//! writes nothing new. Then they and the observations of the last days that the learner has not folded in yet are
//! walked from its memory, on a copy that is thrown away: the findings are those a replay of all this gives, with the
//! ids the learner will give them. The learner looks at what came late from other invocations, too.

use std::sync::Arc;

use anyhow::Context as _;
use baselines::store;
use baselines::window::Window;
use detector::pipeline::{self, NotRead, Observed};
use detector::read::Object;
use serde_json::{Value, json};

use crate::door::{Door, Invocation, chain};
use crate::events::{self, Created, Message};
use crate::knowledge::World;
use crate::memory::{REMEMBERED_DAYS, day_of, observations_key};
use crate::object::S3Object;
use crate::state::{Condition, Put};
use crate::walk::{self, rows_between, without_told};
use crate::watch::now_secs;

/// Stored bytes of observations up to which a single invocation looks ahead; beyond, as after a long absence of the
/// learner, judging is left to the learner. And the share of the function's memory that they may be: to judge what is
/// all new takes up to 35 times as much.
const MAX_AHEAD_BYTES: u64 = 32 << 20;
const AHEAD_SHARE: u64 = 64;

/// The share of that which is read of observations already folded in, to see whether what came late only repeats them;
/// beyond, that is left to the learner. A judgement: until the learner has folded in what came late, each new object
/// has them read again.
const TOLD_SHARE: u64 = 4;

/// Time kept for judging and answering; a message not begun by then goes back to the queue.
const RESERVED_MILLIS: i64 = 20_000;

/// What a function of so much memory looks ahead at the most.
fn max_ahead_bytes(memory_bytes: Option<u64>) -> u64 {
    memory_bytes.map_or(MAX_AHEAD_BYTES, |memory| MAX_AHEAD_BYTES.min(memory / AHEAD_SHARE))
}

/// Works on an invocation; the answer names the messages that failed.
pub(crate) async fn run(door: &mut Door, invocation: &mut Invocation, event: &Value) -> anyhow::Result<Value> {
    let event = events::parse(event);
    let mut failed: Vec<Option<String>> = Vec::new();
    let mut done: Vec<Option<String>> = Vec::new();
    let mut first_error = None;
    for message in &event.messages {
        match work(door, invocation, message).await {
            Ok(()) => done.push(message.id.clone()),
            Err(error) => {
                invocation.metrics.count("FailedMessages", 1);
                tracing::error!(
                    message_id = message.id,
                    error = chain(&error),
                    "a message failed; it stays in the queue"
                );
                failed.push(message.id.clone());
                first_error.get_or_insert(error);
            }
        }
    }
    if !invocation.stored.is_empty()
        && let Err(error) = judge(door, invocation).await
    {
        invocation.metrics.count("FailedMessages", done.len() as u64);
        tracing::error!(error = chain(&error), "judging failed; the messages stay in the queue");
        failed.append(&mut done);
        first_error.get_or_insert(error);
    }
    match (event.is_batch, first_error) {
        // A message without an id cannot be named: the whole batch comes back.
        (true, Some(error)) if failed.iter().any(Option::is_none) => Err(error),
        (true, _) => {
            let failed: Vec<Value> = failed.into_iter().map(|id| json!({"itemIdentifier": id})).collect();
            Ok(json!({"batchItemFailures": failed}))
        }
        (false, Some(error)) => Err(error),
        (false, None) => Ok(json!({})),
    }
}

async fn work(door: &mut Door, invocation: &mut Invocation, message: &Message) -> anyhow::Result<()> {
    if invocation.millis_left() < RESERVED_MILLIS.min(invocation.millis_granted / 4) {
        anyhow::bail!("no time left in this invocation");
    }
    let objects = message.objects.as_ref().map_err(Clone::clone)?;
    for created in objects {
        if door.state.is_ours(&created.bucket, &created.key) {
            tracing::warn!(
                object = created.uri(),
                "written by callout itself; exclude its prefix from the notification"
            );
            continue;
        }
        observe(door, invocation, created).await.inspect_err(|_| invocation.metrics.count("FailedObjects", 1))?;
    }
    Ok(())
}

/// Reads an object and stores its observations.
async fn observe(door: &mut Door, invocation: &mut Invocation, created: &Created) -> anyhow::Result<()> {
    let began = std::time::Instant::now();
    let world = door.world().await?;
    let object = Arc::new(S3Object::open(door.state.client(), created).await?);
    let (size, name) = (object.size(), created.uri());
    let observed = match read(&world, Arc::clone(&object) as Arc<dyn Object>).await? {
        Ok(observed) => observed,
        // Transit gateways deliver into the same folders, under names like those of VPCs.
        Err(NotRead { why, is_other_log: true }) => {
            invocation.metrics.count("OtherLogs", 1);
            tracing::warn!(object = name, why, "no VPC flow log: left out");
            return Ok(());
        }
        Err(NotRead { why, .. }) => anyhow::bail!(why),
    };
    let coverage = &observed.coverage;
    let metrics = &mut invocation.metrics;
    metrics.count("Objects", 1);
    metrics.count("Rows", coverage.n_rows);
    metrics.count("RowsRejected", coverage.n_rejected());
    metrics.count("SkipData", coverage.n_skipdata);
    metrics.count("UnknownInterfaces", coverage.unknown_interfaces.len() as u64);
    if !observed.unknown_accounts.is_empty() {
        metrics.count("UnknownAccounts", observed.unknown_accounts.len() as u64);
        tracing::warn!(
            object = name,
            accounts = ?observed.unknown_accounts,
            "accounts that have no inventory: nothing of them is judged; see `InventoryAccounts`"
        );
    }
    if let Some((_, last)) = coverage.span {
        metrics.secs("Lag", (now_secs() - last).max(0) as f64);
    }
    let key = observations_key(&created.bucket, &created.key, &observed.flow_log, &observed.observations);
    let n_observations = observed.observations.rows.len();
    let mut is_redelivery = false;
    if let Some(key) = key {
        let bytes = store::encode_observations(&observed.observations, &name)?;
        let put = door.state.put(&key, bytes, &[], Condition::Absent).await?;
        is_redelivery = put == Put::Conflict;
        // Of a redelivery what is stored counts: the inventory may say something else by now.
        if !is_redelivery {
            door.sets.insert(key.clone(), Arc::new(observed.observations));
        }
        invocation.stored.push(key);
    }
    invocation.newest = invocation.newest.max(coverage.span.map(|(_, last)| last));
    tracing::info!(
        object = name,
        n_bytes = size,
        n_ranges = object.n_fetched(),
        n_rows = coverage.n_rows,
        n_rejected = coverage.n_rejected(),
        rejected = serde_json::to_string(&coverage.rejected).unwrap_or_default(),
        n_nodata = coverage.n_nodata,
        n_skipdata = coverage.n_skipdata,
        n_not_egress = coverage.n_not_egress,
        n_other_interface = coverage.n_other_interface,
        n_unknown_interface = coverage.n_unknown_interface,
        unknown_interfaces = coverage.unknown_interfaces.len(),
        n_observations,
        is_redelivery,
        millis = began.elapsed().as_millis() as u64,
        "object read"
    );
    Ok(())
}

/// Reads an object in the engine's threads.
async fn read(world: &World, object: Arc<dyn Object>) -> anyhow::Result<Result<Observed, NotRead>> {
    let world = world.clone();
    let read = tokio::task::spawn_blocking(move || pipeline::observe(&world.job(), &object));
    read.await.context("the engine stopped; this is a bug")
}

/// Looks ahead from the learner's memory over all that was observed since, and delivers what shows.
async fn judge(door: &mut Door, invocation: &mut Invocation) -> anyhow::Result<()> {
    let world = door.world().await?;
    if world.n_refused > 0 {
        invocation.metrics.count("KnowledgeRefused", world.n_refused);
    }
    if world.n_stale > 0 {
        invocation.metrics.count("StaleInventories", world.n_stale);
    }
    if let Some(why) = &world.networks_refused {
        invocation.metrics.count("JudgingDeferred", 1);
        tracing::warn!(
            why = &**why,
            "no networks to judge by: what was read is kept, and judged once they can be used"
        );
        return Ok(());
    }
    let (tag, learned) = door.memory.learned(&door.state).await?;
    if tag.is_none() {
        invocation.metrics.count("BaselineMissing", 1);
        tracing::warn!(
            "there is no baseline yet, or it was deleted; the learner makes one from the stored observations"
        );
    }
    let is_too_late = |key: &&String| day_of(key).is_some_and(|day| learned.is_too_late(day));
    for key in invocation.stored.iter().filter(is_too_late) {
        invocation.metrics.count("TooLate", 1);
        tracing::warn!(
            key,
            "more than {REMEMBERED_DAYS} days before what was learned: stored, not folded in; replay it by hand"
        );
    }
    let pending = learned.pending_beside(&door.state, &invocation.stored).await?;
    let n_bytes: u64 = pending.iter().map(|listed| listed.size).sum();
    let max_bytes = max_ahead_bytes(door.settings.memory_bytes);
    if n_bytes > max_bytes {
        invocation.metrics.count("JudgingDeferred", 1);
        tracing::warn!(
            n_bytes,
            n_pending = pending.len(),
            "more was observed than fits one look; judging is left to the learner"
        );
        return Ok(());
    }
    let sets = door.sets.load(&door.state, &pending).await?;
    let mut rows = rows_between(&sets, &learned, Window(0), Window(u32::MAX));
    if without_told(&mut door.sets, &door.state, &learned, &mut rows, max_bytes / TOLD_SHARE).await?.is_err() {
        invocation.metrics.count("LateDeferred", 1);
        tracing::info!("what came late is left to the learner: too much is folded in of its days");
    }
    let findings = walk::walk(&world, rows, learned.memory.clone()).await?.findings;
    // What could not be told is logged and counted. The object is stored, so that whoever looks next, the learner at
    // the latest, tells it: coming back to the object would change nothing.
    let _tried_again = door.deliver(invocation, &world, &findings, &learned.told).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_function_looks_less_far_ahead() {
        let of_mb = |mb: Option<u64>| max_ahead_bytes(mb.map(|mb| mb << 20)) >> 20;
        assert_eq!([Some(512), Some(1024), Some(2048), Some(10_240), None].map(of_mb), [8, 16, 32, 32, 32]);
    }
}
