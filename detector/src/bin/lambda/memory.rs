//! Memory: everything the learner knows, in the state bucket, version by version behind one pointer.
//!
//! ```text
//!  baselines/current.json        the pointer: number, folder and SHA-256 of every file; swapped by conditional put
//!  baselines/v00000012-9f2c…/    one version, never changed: the baseline's tables, incidents.json, walk.json
//!  observations/{day}/{flow log}_{hash of bucket and key}.parquet
//! ```
//!
//! A pointer that is not there is a beginning: all observations that are still stored are folded in anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use baselines::observation::Observations;
use baselines::window::{Day, Window};
use baselines::{Baselines, store};
use bytes::Bytes;
use detector::pipeline::Memory;
use detector::score::Incidents;
use serde::{Deserialize, Serialize};

use crate::state::{Condition, Listed, Put, State};

const POINTER: &str = "baselines/current.json";
const POINTER_SCHEMA: &str = "callout.state/1";
const WALK: &str = "walk.json";
const WALK_SCHEMA: &str = "callout.walk/1";
const INCIDENTS: &str = "incidents.json";

/// Days for which it is remembered which observations were folded in. What comes later than that is too late.
pub(crate) const REMEMBERED_DAYS: u32 = 40;

/// Versions kept beside the one that holds: an invocation that loads one while it is replaced must find it whole.
const KEPT_VERSIONS: u64 = 5;

/// What the learner left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned {
    /// How many versions came before.
    pub(crate) number: u64,
    pub(crate) memory: Memory,
    /// The first window that is not folded in yet.
    pub(crate) until: Window,
    /// Observations folded in whole: by day, the beginnings of their hashes.
    pub(crate) folded: BTreeMap<u32, BTreeSet<u64>>,
    /// Keys of observations folded in up to `until`, with more to come.
    pub(crate) begun: BTreeSet<String>,
    /// Findings that need nothing more: their id, and a hash of what was told.
    pub(crate) told: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Pointer {
    schema: String,
    number: u64,
    folder: String,
    files: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Walk {
    schema: String,
    open_day: Option<u32>,
    until: u32,
    folded: BTreeMap<u32, String>,
    begun: BTreeSet<String>,
    told: BTreeMap<String, String>,
}

/// The newest version that was loaded, kept while warm and known by the pointer's tag.
#[derive(Default)]
pub(crate) struct Cache {
    loaded: Option<(Option<String>, Arc<Learned>)>,
}

impl Cache {
    /// The learner's memory and the tag of its pointer; `None` for the tag when there is none.
    pub(crate) async fn learned(&mut self, state: &State) -> anyhow::Result<(Option<String>, Arc<Learned>)> {
        let known = self.loaded.as_ref().and_then(|(tag, _)| tag.as_deref());
        let Some(stored) = state.get_unless(POINTER, known).await? else {
            return self.loaded.clone().context("nothing changed and nothing was loaded");
        };
        let loaded = match stored {
            None => (None, Arc::new(Learned::default())),
            Some(stored) => (Some(stored.tag), Arc::new(load(state, &stored.bytes).await?)),
        };
        self.loaded = Some(loaded.clone());
        Ok(loaded)
    }
}

fn check_schema(state: &State, key: &str, bytes: &[u8], ours: &str) -> anyhow::Result<()> {
    let uri = state.uri(key);
    let found = store::schema_of(bytes).with_context(|| format!("{uri} is damaged"))?;
    anyhow::ensure!(
        found == ours,
        "{uri} is `{found}`; this callout reads `{ours}`: another version wrote it; is this function up to date?"
    );
    Ok(())
}

async fn load(state: &State, pointer: &[u8]) -> anyhow::Result<Learned> {
    check_schema(state, POINTER, pointer, POINTER_SCHEMA)?;
    let pointer: Pointer =
        serde_json::from_slice(pointer).with_context(|| format!("{} is damaged", state.uri(POINTER)))?;
    let mut files: Vec<(String, Bytes)> = Vec::new();
    for (name, sha256) in &pointer.files {
        let key = format!("{}{name}", pointer.folder);
        let stored = state.get(&key).await?;
        let stored = stored.ok_or_else(|| {
            anyhow!("{} is missing; restore it, or delete {} to learn anew", state.uri(&key), state.uri(POINTER))
        })?;
        if store::sha256(&stored.bytes) != *sha256 {
            bail!(
                "{} is damaged: its SHA-256 is not the pointer's; restore it, or delete {}",
                state.uri(&key),
                state.uri(POINTER)
            );
        }
        files.push((name.clone(), stored.bytes));
    }
    let find = |name: &str| {
        let file = files.iter().find(|(found, _)| found == name).map(|(_, bytes)| bytes.clone());
        file.ok_or_else(|| anyhow!("{} does not name `{name}`", state.uri(POINTER)))
    };
    let (walk, incidents) = (find(WALK)?, find(INCIDENTS)?);
    check_schema(state, &format!("{}{WALK}", pointer.folder), &walk, WALK_SCHEMA)?;
    let walk: Walk = serde_json::from_slice(&walk).context("the walk's place is damaged")?;
    let mut baselines: Baselines = store::decode(&files).with_context(|| state.uri(&pointer.folder))?;
    let incidents = std::str::from_utf8(&incidents).context("incidents are no text")?;
    let incidents = Incidents::from_json(incidents, &mut baselines)?;
    let folded = walk.folded.into_iter().map(|(day, hashes)| Ok((day, unpack(&hashes)?)));
    Ok(Learned {
        number: pointer.number,
        memory: Memory { baselines, incidents, open_day: walk.open_day.map(Day) },
        until: Window(walk.until),
        folded: folded.collect::<anyhow::Result<_>>()?,
        begun: walk.begun,
        told: walk.told,
    })
}

impl Learned {
    /// Stores a version and swaps the pointer from the one with `tag`; `false` when another learner was first.
    pub(crate) async fn store(&self, state: &State, tag: Option<&str>) -> anyhow::Result<bool> {
        let mut files = store::encode(&self.memory.baselines)?;
        files.push((INCIDENTS.to_owned(), self.memory.incidents.to_json(&self.memory.baselines).into()));
        let walk = Walk {
            schema: WALK_SCHEMA.to_owned(),
            open_day: self.memory.open_day.map(|day| day.0),
            until: self.until.0,
            folded: self.folded.iter().map(|(day, hashes)| (*day, pack(hashes))).collect(),
            begun: self.begun.clone(),
            told: self.told.clone(),
        };
        files.push((WALK.to_owned(), serde_json::to_vec(&walk)?.into()));
        let sums: BTreeMap<String, String> =
            files.iter().map(|(name, bytes)| (name.clone(), store::sha256(bytes))).collect();
        let whole: String = sums.iter().flat_map(|(name, sum)| [name, " ", sum, "\n"]).collect();
        let folder = format!("baselines/v{:08}-{:.16}/", self.number, store::sha256(whole.as_bytes()));
        for (name, bytes) in files {
            // The folder is named by its content: what is there already is what would be written.
            state.put(&format!("{folder}{name}"), bytes, &[], Condition::Absent).await?;
        }
        let pointer = Pointer { schema: POINTER_SCHEMA.to_owned(), number: self.number, folder, files: sums };
        let condition = tag.map_or(Condition::Absent, Condition::Is);
        let put = state.put(POINTER, serde_json::to_vec_pretty(&pointer)?.into(), &[], condition).await?;
        Ok(put != Put::Conflict)
    }

    /// Deletes versions long replaced.
    pub(crate) async fn clear_old(&self, state: &State) -> anyhow::Result<()> {
        for listed in state.list("baselines/v", "").await? {
            let number = listed.key.strip_prefix("baselines/v").and_then(|rest| rest.get(..8)?.parse::<u64>().ok());
            if number.is_some_and(|number| number + KEPT_VERSIONS < self.number) {
                state.delete(&listed.key).await?;
            }
        }
        Ok(())
    }

    /// Observations not folded in, or not whole, in order of their days.
    pub(crate) async fn pending(&self, state: &State) -> anyhow::Result<Vec<Listed>> {
        self.pending_since(state, REMEMBERED_DAYS).await
    }

    /// What judging objects just stored looks at: them, and what is not folded in of the day of `until`, the day before
    /// and later. What else came late waits for the learner: listing all days for each object takes longer than judging
    /// it.
    pub(crate) async fn pending_beside(&self, state: &State, stored: &[String]) -> anyhow::Result<Vec<Listed>> {
        let mut all = self.pending_since(state, 1).await?;
        let is_listed = |key: &String| all.binary_search_by(|listed| listed.key.cmp(key)).is_ok();
        let is_too_late = |key: &String| day_of(key).is_none_or(|day| self.is_too_late(day));
        let others = stored.iter().chain(&self.begun).filter(|key| !is_listed(key));
        let late = others.filter(|key| self.is_pending(key) && !is_too_late(key)).collect::<BTreeSet<_>>().into_iter();
        let late: Vec<Listed> = late.map(|key| Listed { key: key.clone(), size: 0, tag: String::new() }).collect();
        all.extend(late);
        all.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(all)
    }

    /// What is pending, listed from so many days before the first window that is not folded in.
    async fn pending_since(&self, state: &State, n_days: u32) -> anyhow::Result<Vec<Listed>> {
        let day = self.until.day().0.saturating_sub(n_days);
        let after = if day == 0 { String::new() } else { format!("observations/{}", day_name(Day(day))) };
        let mut all = state.list("observations/", &after).await?;
        all.retain(|listed| self.is_pending(&listed.key));
        Ok(all)
    }

    fn is_pending(&self, key: &str) -> bool {
        place(key).is_some() && (self.begun.contains(key) || !self.holds(key))
    }

    /// Whether observations of a key are folded in, whole or up to `until`.
    pub(crate) fn holds(&self, key: &str) -> bool {
        let is_whole = |(day, hash): (Day, u64)| self.folded.get(&day.0).is_some_and(|hashes| hashes.contains(&hash));
        self.begun.contains(key) || place(key).is_some_and(is_whole)
    }

    /// Notes that observations are folded in, whole or up to `until`.
    pub(crate) fn fold(&mut self, key: &str, is_whole: bool) {
        if !is_whole {
            self.begun.insert(key.to_owned());
        } else if let Some((day, hash)) = place(key) {
            self.begun.remove(key);
            self.folded.entry(day.0).or_default().insert(hash);
        }
    }

    /// Forgets what is too old to come again.
    pub(crate) fn forget(&mut self) {
        let horizon = self.until.day().0.saturating_sub(REMEMBERED_DAYS);
        self.folded.retain(|day, _| *day >= horizon);
        self.begun.retain(|key| day_of(key).is_some_and(|day| day.0 >= horizon));
    }

    /// Whether observations of a day come too late to be told from those folded in.
    pub(crate) fn is_too_late(&self, day: Day) -> bool {
        day.0 < self.until.day().0.saturating_sub(REMEMBERED_DAYS)
    }
}

/// The key of an object's observations: the same for every delivery of the object.
pub(crate) fn observations_key(bucket: &str, key: &str, flow_log: &str, observations: &Observations) -> Option<String> {
    let latest = latest_day(observations.rows.iter().map(|row| row.window).collect())?;
    let day = named_day(key).unwrap_or(latest);
    let parts = [bucket, key].map(|part| [&(part.len() as u64).to_be_bytes()[..], part.as_bytes()].concat());
    let flow_log: String = flow_log.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
    Some(format!("observations/{}/{flow_log}_{}.parquet", day_name(day), store::sha256(&parts.concat())))
}

/// The flow log of an observations key; empty when it had no name.
pub(crate) fn flow_log(key: &str) -> &str {
    key.rsplit('/').next().and_then(|name| name.rsplit_once('_')).map_or("", |(flow_log, _)| flow_log)
}

/// The day of the latest window but a tenth: a row of long ago, or of a clock that is fast, decides nothing.
fn latest_day(mut windows: Vec<Window>) -> Option<Day> {
    let at = windows.len().checked_sub(1 + windows.len() / 10)?;
    let (_, latest, _) = windows.select_nth_unstable(at);
    Some(latest.day())
}

/// The day AWS's file name tells: `…_20260331T0910Z_9c.log.gz`. It only chooses a folder.
fn named_day(key: &str) -> Option<Day> {
    let name = key.rsplit('/').next()?;
    name.split('_').find_map(|part| {
        let is_time = part.len() == 14 && part.as_bytes().get(8) == Some(&b'T') && part.ends_with('Z');
        let date = part.get(..8).filter(|_| is_time)?;
        let time = jiff::civil::Date::strptime("%Y%m%d", date).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        let secs = time.timestamp().as_second();
        (secs >= 0).then(|| Window::of(secs).day())
    })
}

/// A day as `yyyy-mm-dd`.
pub(crate) fn day_name(day: Day) -> String {
    let secs = day.first_window().start();
    jiff::Timestamp::from_second(secs).map(|time| time.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

/// Day and beginning of the hash of an observations key.
fn place(key: &str) -> Option<(Day, u64)> {
    let (day, name) = key.strip_prefix("observations/")?.split_once('/')?;
    let time = jiff::civil::Date::strptime("%Y-%m-%d", day).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let hash = name.strip_suffix(".parquet")?.rsplit('_').next()?.get(..16)?;
    Some((Window::of(time.timestamp().as_second()).day(), u64::from_str_radix(hash, 16).ok()?))
}

/// The day of an observations key.
pub(crate) fn day_of(key: &str) -> Option<Day> {
    place(key).map(|(day, _)| day)
}

fn pack(hashes: &BTreeSet<u64>) -> String {
    hashes.iter().map(|hash| format!("{hash:016x}")).collect::<Vec<_>>().concat()
}

fn unpack(text: &str) -> anyhow::Result<BTreeSet<u64>> {
    let chunks = text.as_bytes().chunks(16);
    let hash = |chunk: &[u8]| u64::from_str_radix(std::str::from_utf8(chunk).ok()?, 16).ok();
    chunks.map(|chunk| hash(chunk).context("the list of folded observations is damaged")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use baselines::observation::Observation;

    fn observations() -> Observations {
        let row = Observation { window: Window::of(1_774_951_964), ..Observation::default() };
        Observations { rows: vec![row], ..Observations::default() }
    }

    #[test]
    fn observations_are_named_after_their_source() {
        let source = "AWSLogs/1/111122223333_vpcflowlogs_eu-west-1_fl-0a1b_20260330T2355Z_9c.log.gz";
        let key = observations_key("logs", source, "fl-0a1b", &observations()).unwrap();
        assert!(key.starts_with("observations/2026-03-30/fl-0a1b_"), "{key}: the day of the name");
        assert_eq!(flow_log(&key), "fl-0a1b");
        assert_eq!(place(&key).unwrap().0, Window::of(1_774_828_800).day());
        let bare = observations_key("logs", "flows.parquet", "", &observations()).unwrap();
        assert!(bare.starts_with("observations/2026-03-31/_"), "{bare}: the day of the latest windows");
        assert_eq!(flow_log(&bare), "");
        assert_ne!(
            key.rsplit('_').next(),
            observations_key("log", "s", "", &observations()).unwrap().rsplit('_').next()
        );
        assert_eq!(observations_key("logs", source, "", &Observations::default()), None);
    }

    #[test]
    fn a_name_that_tells_no_day_leaves_it_to_the_latest_rows() {
        let day =
            |windows: Vec<u32>| latest_day(windows.into_iter().map(|n| Window(n * 144)).collect()).map(|day| day.0);
        assert_eq!(day(vec![]), None);
        assert_eq!((day(vec![7]), day(vec![8, 7])), (Some(7), Some(8)), "what crosses midnight lies where it ends");
        assert_eq!(day([vec![8; 20], vec![1]].concat()), Some(8), "a row of long ago");
        assert_eq!(day([vec![9_999], vec![8; 20]].concat()), Some(8), "a clock that is fast");
    }

    #[test]
    fn what_was_folded_is_remembered_and_bounded() {
        let mut learned = Learned { until: Window::of(1_774_951_964), ..Learned::default() };
        let key = observations_key("logs", "flows.parquet", "", &observations()).unwrap();
        learned.fold(&key, false);
        assert!(learned.begun.contains(&key) && learned.folded.is_empty());
        learned.fold(&key, true);
        let day = learned.until.day();
        assert!(learned.begun.is_empty() && learned.folded.contains_key(&day.0));
        let begun = key.replace("/_", "/fl-1_");
        learned.fold(&begun, false);
        learned.until = Day(day.0 + REMEMBERED_DAYS).first_window();
        learned.forget();
        assert!(learned.folded.contains_key(&day.0) && learned.begun.contains(&begun) && !learned.is_too_late(day));
        learned.until = Day(day.0 + REMEMBERED_DAYS + 1).first_window();
        learned.forget();
        assert!(learned.folded.is_empty() && learned.begun.is_empty() && learned.is_too_late(day));
    }

    #[test]
    fn hashes_survive_packing() {
        let hashes = BTreeSet::from([0, 7, u64::MAX]);
        assert_eq!(unpack(&pack(&hashes)).unwrap(), hashes);
        assert!(unpack("xyz").is_err());
    }
}
