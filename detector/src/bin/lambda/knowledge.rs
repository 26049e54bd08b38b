//! Knowledge: what the state bucket says of interfaces, networks, addresses and settings, loaded once and kept while
//! warm.
//!
//! ```text
//!  inventory/{taken_at}.json     snapshots of the inventory role
//!  inventory/{account}/{region}/{taken_at}.json    the same of another account or region
//!  knowledge/asn.*               who owns which addresses: MaxMind form or iptoasn TSV
//!  knowledge/ip-ranges.json      AWS's own list
//!  knowledge/threat-lists/NAME   known bad
//!  knowledge/trusted-lists/NAME  known good
//!  knowledge/accepted.txt        ids of findings that are all right
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use detector::config::Config;
use detector::finding::Fingerprint;
use detector::pipeline::{Job, Knowledge, Mode};

use crate::door::chain;
use crate::settings::{ConfigSource, Settings};
use crate::state::{AT_ONCE, Listed, State};
use crate::watch::now_secs;

/// Seconds for which what was listed holds: a snapshot or list put into the bucket counts within a minute.
const FRESH_SECS: i64 = 60;

/// Snapshots loaded of each account and region, the newest. Older ones speak of interfaces that are gone; what is still
/// stored of their traffic has its owner already.
const MAX_SNAPSHOTS: usize = 500;

/// Seconds after which the newest snapshot of an account and region is stale: one is stored each day at least.
const STALE_SECS: i64 = 2 * 86_400;

/// Stored bytes of them, of an account. Where functions are deployed all day, each snapshot differs from the one
/// before: of 10,000 functions this is the last half hour. This account's newest is loaded whatever it takes.
const MAX_ACCOUNT_BYTES: u64 = 64 << 20;

/// Stored bytes of those of all accounts, each of which may have its share: no one of them may take the room of
/// another.
const MAX_SNAPSHOT_BYTES: u64 = 128 << 20;

/// The settings and knowledge of a run.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) config: Arc<Config>,
    pub(crate) knowledge: Arc<Knowledge>,
    /// Ids of findings a person accepted.
    pub(crate) accepted: Arc<[u128]>,
    /// Objects that could not be used.
    pub(crate) n_refused: u64,
    /// Why there are no networks to judge by: a table of theirs cannot be used, and none was loaded before. Objects can
    /// be read, but nothing may be judged or learned, because everything known would be new.
    pub(crate) networks_refused: Option<Arc<str>>,
    /// Accounts and regions whose inventory rests.
    pub(crate) n_stale: u64,
}

impl World {
    /// What the engine is asked: to walk on in event time.
    pub(crate) fn job(&self) -> Job<'_> {
        Job { config: &self.config, knowledge: &self.knowledge, mode: Mode::Replay, span: None, progress: &() }
    }
}

/// What was loaded, and from which objects.
#[derive(Default)]
pub(crate) struct Cache {
    world: Option<World>,
    sources: Vec<Listed>,
    looked_at: i64,
    /// Whether the bucket held something else at the last look that could not be loaded.
    is_refused: bool,
}

impl Cache {
    /// The world, loaded anew when something in the bucket changed.
    pub(crate) async fn world(&mut self, state: &State, settings: &Settings) -> anyhow::Result<World> {
        let now = now_secs();
        if let Some(world) = self.known().filter(|_| now - self.looked_at < FRESH_SECS) {
            return Ok(world);
        }
        let inventory = state.list("inventory/", "").await?;
        let n_stale = n_stale(&inventory, now);
        if let Some(world) = &mut self.world {
            world.n_stale = n_stale;
        }
        let (mut sources, n_left_out) = newest(&inventory);
        sources.extend(state.list("knowledge/", "").await?);
        if let ConfigSource::Key(key) = &settings.config {
            sources.extend(state.list(key, "").await?.into_iter().filter(|listed| listed.key == *key));
        }
        if let Some(world) = self.unchanged(&sources, now) {
            return Ok(world);
        }
        let loaded = load(state, settings, &sources, n_left_out, self.world.as_ref()).await;
        self.take(loaded.map(|world| World { n_stale, ..world }), sources, now)
    }

    /// What was loaded last, and whether something was refused since.
    fn known(&self) -> Option<World> {
        let world = self.world.clone()?;
        Some(World { n_refused: world.n_refused + u64::from(self.is_refused), ..world })
    }

    /// The world when it was loaded from these sources: what was refused meanwhile is gone.
    fn unchanged(&mut self, sources: &[Listed], now: i64) -> Option<World> {
        if self.world.is_none() || sources != self.sources {
            return None;
        }
        (self.looked_at, self.is_refused) = (now, false);
        self.known()
    }

    /// Takes what was loaded from sources; where that failed, what was loaded before.
    fn take(&mut self, loaded: anyhow::Result<World>, sources: Vec<Listed>, now: i64) -> anyhow::Result<World> {
        match loaded {
            Ok(world) => {
                *self = Self { world: Some(world.clone()), sources, looked_at: now, is_refused: false };
                Ok(world)
            }
            Err(error) => {
                (self.looked_at, self.is_refused) = (now, true);
                let Some(world) = self.known() else { return Err(error) };
                tracing::error!(
                    error = chain(&error),
                    "what changed in the bucket is refused; what was loaded before holds"
                );
                Ok(world)
            }
        }
    }
}

/// Account and region that a snapshot's key names, both empty for this account's own.
fn place(key: &str) -> Option<(&str, &str)> {
    match key.split('/').collect::<Vec<_>>()[..] {
        [_, _] => Some(("", "")),
        [_, account, region, _] => Some((account, region)),
        _ => None,
    }
}

/// Of how many accounts and regions the newest snapshot is stale. A key that names no time tells nothing.
fn n_stale(listed: &[Listed], now: i64) -> u64 {
    let mut newest: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for listed in listed {
        let name = listed.key.rsplit('/').next().and_then(|name| name.strip_suffix(".json"));
        let taken_at = name.and_then(|name| name.parse::<jiff::Timestamp>().ok());
        if let (Some(place), Some(taken_at)) = (place(&listed.key), taken_at) {
            let newest = newest.entry(place).or_insert(i64::MIN);
            *newest = taken_at.as_second().max(*newest);
        }
    }
    newest.values().filter(|taken_at| **taken_at < now - STALE_SECS).count() as u64
}

/// The newest snapshots of each account and region, this account's own first: they are believed where another account
/// says otherwise; and of how many there is no room for any.
fn newest(listed: &[Listed]) -> (Vec<Listed>, u64) {
    // By account, empty for this one, and region.
    let mut of_accounts: BTreeMap<&str, BTreeMap<&str, Vec<&Listed>>> = BTreeMap::new();
    for listed in listed {
        let Some((account, region)) = place(&listed.key) else {
            tracing::warn!(object = listed.key, "no snapshot's place; see docs/deploy.md");
            continue;
        };
        of_accounts.entry(account).or_default().entry(region).or_default().push(listed);
    }
    let of_account = MAX_ACCOUNT_BYTES.min(MAX_SNAPSHOT_BYTES / of_accounts.len().max(1) as u64);
    let (mut newest, mut n_left_out) = (Vec::new(), 0);
    for (account, of_regions) in of_accounts {
        let most = of_account / of_regions.len().max(1) as u64;
        for (region, all) in of_regions {
            let mut n_bytes = 0;
            let is_room = |(n_newer, listed): &(usize, &&Listed)| {
                n_bytes += listed.size;
                n_bytes <= most || account.is_empty() && *n_newer == 0
            };
            let n_kept = all.iter().rev().take(MAX_SNAPSHOTS).enumerate().take_while(is_room).count();
            if n_kept == 0 {
                n_left_out += 1;
                tracing::error!(account, region, "another account's snapshot is larger than {most} bytes and left out");
            }
            newest.extend(all.into_iter().rev().take(n_kept).rev().cloned());
        }
    }
    (newest, n_left_out)
}

/// Checks settings that need no bucket.
pub(crate) fn inline_config(source: &ConfigSource) -> anyhow::Result<Option<Config>> {
    match source {
        ConfigSource::Defaults => Ok(Some(Config::defaults())),
        ConfigSource::Inline(text) => Ok(Some(Config::from_toml(text).context("`CALLOUT_CONFIG`")?)),
        ConfigSource::Key(_) => Ok(None),
    }
}

async fn load(
    state: &State,
    settings: &Settings,
    sources: &[Listed],
    n_left_out: u64,
    before: Option<&World>,
) -> anyhow::Result<World> {
    let knowledge = Knowledge { all_interfaces: settings.all_interfaces, ..Knowledge::default() };
    let config = inline_config(&settings.config)?;
    let mut loaded = Loaded { config, knowledge, n_refused: n_left_out, ..Loaded::default() };
    for some in sources.chunks(AT_ONCE) {
        let read = state.get_each(some.iter().map(|source| source.key.as_str())).await?;
        // In the order of the sources. What was deleted since it was listed is not there: the next look does without
        // it.
        for (key, stored) in some.iter().filter_map(|source| Some((&source.key, read.get(&source.key)?))) {
            loaded.add(&settings.config, key, &state.uri(key), &stored.bytes)?;
        }
    }
    if loaded.knowledge.inventory.is_empty() && !settings.all_interfaces {
        return Err(anyhow!(
            "there is no inventory under {}: invoke the inventory function once, or set `CALLOUT_ALL_INTERFACES=true` to \
             judge every interface by its id",
            state.uri("inventory/")
        ));
    }
    if let (None, ConfigSource::Key(key)) = (&loaded.config, &settings.config) {
        return Err(anyhow!("`CALLOUT_CONFIG` names {}, which is not there", state.uri(key)));
    }
    loaded.into_world(before)
}

/// What was loaded so far.
#[derive(Default)]
struct Loaded {
    config: Option<Config>,
    knowledge: Knowledge,
    accepted: Arc<[u128]>,
    n_refused: u64,
    networks_refused: Option<Arc<str>>,
}

impl Loaded {
    /// Adds an object of the bucket, known by its key.
    ///
    /// A list that cannot be read is left out, since the others and all checks work without it. Without the table of
    /// networks, or Amazon's ranges, everything known would be new: see [`Loaded::into_world`].
    fn add(&mut self, config: &ConfigSource, key: &str, origin: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let mut parts = key.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            _ if *config == ConfigSource::Key(key.to_owned()) => {
                let text = std::str::from_utf8(bytes).with_context(|| format!("{origin} is no text"))?;
                self.config = Some(Config::from_toml(text).with_context(|| origin.to_owned())?);
            }
            (Some("inventory"), Some(name), None) if name.strip_suffix(".json").is_some() => {
                self.knowledge.inventory.add_enis(origin, bytes)?;
            }
            // Another account wrote it. What is wrong there must not stop the judging here: its interfaces stay
            // unknown, which every object's account tells.
            (Some("inventory"), Some(account), Some(name)) if name.strip_suffix(".json").is_some() => {
                match self.knowledge.inventory.add_snapshot_of(account, origin, bytes) {
                    Ok(0) => {}
                    Ok(n) => tracing::warn!(
                        object = origin,
                        n_left_out = n,
                        "an account is believed of its own interfaces and functions only"
                    ),
                    Err(error) => self.refuse(origin, &error.into()),
                }
            }
            (Some("knowledge"), Some("accepted.txt"), None) => match ids(bytes) {
                Ok(accepted) => self.accepted = accepted,
                Err(error) => self.refuse(origin, &error),
            },
            (Some("knowledge"), Some("ip-ranges.json"), None) => {
                if let Err(error) = self.knowledge.networks.add_aws_ranges(origin, bytes) {
                    self.refuse_networks(&error.into());
                }
            }
            (Some("knowledge"), Some(name), None) if name.starts_with("asn.") => {
                if let Err(error) = self.knowledge.networks.add_asn(origin, bytes) {
                    self.refuse_networks(&error.into());
                }
            }
            (Some("knowledge"), Some("threat-lists"), Some(name)) if !name.is_empty() => {
                if let Err(error) = self.knowledge.threat_lists.add(list_name(name), origin, bytes) {
                    self.refuse(origin, &error.into());
                }
            }
            (Some("knowledge"), Some("trusted-lists"), Some(name)) if !name.is_empty() => {
                if let Err(error) = self.knowledge.trusted_lists.add(list_name(name), origin, bytes) {
                    self.refuse(origin, &error.into());
                }
            }
            _ => tracing::warn!(object = origin, "nothing of this name is looked for here; see docs/deploy.md"),
        }
        Ok(())
    }

    fn refuse(&mut self, origin: &str, error: &anyhow::Error) {
        self.n_refused += 1;
        tracing::error!(object = origin, error = chain(error), "refused; judging goes on without it");
    }

    fn refuse_networks(&mut self, error: &anyhow::Error) {
        self.n_refused += 1;
        self.networks_refused = Some(chain(error).into());
    }

    /// The world as it was loaded.
    ///
    /// In place of a table of networks that cannot be used all networks that were loaded before hold, if there are any:
    /// the tables that can be read do not make up for the one that cannot.
    fn into_world(self, before: Option<&World>) -> anyhow::Result<World> {
        let Self { config, mut knowledge, accepted, n_refused, mut networks_refused } = self;
        let before = before.filter(|world| world.networks_refused.is_none());
        match (networks_refused.as_deref(), before) {
            (None, _) => {}
            (Some(error), Some(before)) => {
                tracing::error!(error, "refused; the networks that were loaded before hold");
                (knowledge.networks, networks_refused) = (before.knowledge.networks.clone(), None);
            }
            (error, None) => {
                tracing::error!(error, "refused; what comes is read and kept, and judged once this is mended");
            }
        }
        let config = Arc::new(config.context("the settings are missing")?);
        Ok(World { config, knowledge: Arc::new(knowledge), accepted, n_refused, networks_refused, n_stale: 0 })
    }
}

/// Ids of findings, one a line, with `#` comments.
fn ids(bytes: &[u8]) -> anyhow::Result<Arc<[u128]>> {
    let text = std::str::from_utf8(bytes).context("it is no text")?;
    let lines = (1..).zip(text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()));
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            let id = Fingerprint::parse(line).map(|Fingerprint(id)| id);
            id.ok_or_else(|| anyhow!("line {number}: `{line}` is no finding's id: it must be 32 hex digits"))
        })
        .collect()
}

/// The name of a list: its file's, without the ending.
fn list_name(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_account_the_newest_snapshots_count() {
        let listed = |key: String| Listed { key, size: 1, tag: String::new() };
        let home = (0..MAX_SNAPSHOTS + 3).map(|n| listed(format!("inventory/2026-03-31T{n:04}Z.json")));
        let other = [listed("inventory/111122223333/eu-west-1/2020-01-01T00:00:00Z.json".to_owned())];
        let all: Vec<Listed> = other.iter().cloned().chain(home).collect();
        let (newest, 0) = newest(&all) else { panic!("there is room for all") };
        assert_eq!(newest.len(), MAX_SNAPSHOTS + 1);
        assert_eq!(
            newest.last(),
            Some(&other[0]),
            "an account whose inventory rests is not crowded out, and comes after"
        );
        assert!(newest.contains(&all[4]) && !newest.contains(&all[3]), "the oldest of the others are left out");
    }

    #[test]
    fn large_snapshots_are_few_and_of_others_may_be_none() {
        let listed = |key: &str, size| Listed { key: format!("inventory/{key}.json"), size, tag: String::new() };
        let newest = |sizes: [u64; 3], folder: &str| {
            let all: Vec<Listed> = (0..).zip(sizes).map(|(n, size)| listed(&format!("{folder}{n}"), size)).collect();
            let (newest, n_left_out) = super::newest(&all);
            (newest.iter().map(|listed| listed.size).collect::<Vec<_>>(), n_left_out)
        };
        let max = MAX_ACCOUNT_BYTES;
        assert_eq!(newest([max / 2, max / 2, max / 2], ""), (vec![max / 2, max / 2], 0));
        assert_eq!(newest([1, max, 1], ""), (vec![1], 0), "one before a gap says nothing of the time between");
        assert_eq!(newest([1, 1, max + 1], ""), (vec![max + 1], 0), "this account's newest always counts");
        assert_eq!(newest([1, 1, max + 1], "111122223333/eu-west-1/"), (Vec::new(), 1));
    }

    #[test]
    fn an_account_takes_the_room_of_no_other() {
        let listed =
            |place: String, size| Listed { key: format!("inventory/{place}/1.json"), size, tag: String::new() };
        // One that fills as many folders as it likes, and nine that have as much as each may.
        let mut all: Vec<Listed> = (0..99).map(|n| listed(format!("000000000000/r-{n}"), 60 << 20)).collect();
        all.extend((1..10).map(|n| listed(format!("00000000000{n}/eu-west-1"), MAX_SNAPSHOT_BYTES / 10)));
        all.push(listed("000000000001/eu-west-1/deeper".to_owned(), 1));
        let (newest, n_left_out) = newest(&all);
        assert_eq!(n_left_out, 99);
        let kept: Vec<String> = newest.into_iter().map(|listed| listed.key).collect();
        assert_eq!(kept.len(), 9, "{kept:?}");
        assert!(kept.iter().all(|key| !key.contains("000000000000") && !key.contains("deeper")), "{kept:?}");
    }

    #[test]
    fn an_inventory_is_stale_when_its_newest_snapshot_is() {
        let listed = |key: &str| Listed { key: format!("inventory/{key}.json"), size: 1, tag: String::new() };
        let all = [
            listed("2026-03-01T00:00:00Z"),
            listed("2026-03-30T12:00:00Z"),
            listed("444455556666/eu-west-1/2026-03-28T00:00:00Z"),
            listed("444455556666/eu-west-2/2026-03-31T00:00:00Z"),
            listed("777788889999/eu-west-1/by-hand"),
        ];
        let now = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_second();
        assert_eq!(n_stale(&all, now("2026-03-31T00:00:00Z")), 1);
        assert_eq!(n_stale(&all, now("2026-04-01T13:00:00Z")), 2);
    }

    /// What is loaded of the objects of a bucket, after what was loaded before.
    fn world(objects: &[(&str, &str)], before: Option<&World>) -> World {
        let mut loaded = Loaded { config: Some(Config::defaults()), ..Loaded::default() };
        for (key, text) in objects {
            loaded.add(&ConfigSource::Defaults, key, key, text.as_bytes()).expect(key);
        }
        loaded.into_world(before).expect("settings")
    }

    #[test]
    fn what_is_refused_is_told_of_until_it_is_gone() {
        let loaded = || Ok(world(&[("knowledge/accepted.txt", "no id\n")], None));
        let sources = |tag: &str| vec![Listed { key: "inventory/1.json".to_owned(), size: 1, tag: tag.to_owned() }];
        let mut cache = Cache::default();
        assert!(cache.take(Err(anyhow!("damaged")), sources("bad"), 0).is_err(), "nothing was loaded before");
        assert_eq!(cache.take(loaded(), sources("good"), 60).expect("a world").n_refused, 1);
        for now in [120, 180] {
            assert!(cache.unchanged(&sources("bad"), now).is_none(), "it is tried at each look");
            assert_eq!(cache.take(Err(anyhow!("damaged")), sources("bad"), now).expect("the last").n_refused, 2);
            assert_eq!(cache.known().expect("the last").n_refused, 2);
        }
        assert_eq!(cache.unchanged(&sources("good"), 240).expect("the last").n_refused, 1, "the bad version is gone");
    }

    #[test]
    fn a_damaged_table_of_networks_keeps_nothing_else_back() {
        let snapshot = |id: &str| format!(r#"{{"NetworkInterfaces":[{{"NetworkInterfaceId":"{id}"}}]}}"#);
        let old = ("inventory/1.json", &*snapshot("eni-1"));
        let new = ("inventory/2.json", &*snapshot("eni-2"));
        let table = ("knowledge/asn.tsv", "203.0.113.0\t203.0.113.255\t64500\tUS\tExample Hosting\n");
        let damaged = ("knowledge/asn.tsv", "no table\n");
        let key = |world: &World| world.knowledge.networks.network("::ffff:203.0.113.7".parse().expect("one")).key();

        let before = world(&[old, table], None);
        assert_eq!((before.n_refused, key(&before)), (0, "AS64500".to_owned()));
        let warm = world(&[old, new, damaged], Some(&before));
        assert_eq!((warm.n_refused, key(&warm), warm.networks_refused.clone()), (1, "AS64500".to_owned(), None));
        assert_eq!(warm.knowledge.inventory.counts().enis, 2, "what else changed counts");
        let later = world(&[new, damaged], Some(&warm));
        assert_eq!((later.n_refused, key(&later), later.networks_refused), (1, "AS64500".to_owned(), None));

        let cold = world(&[old, damaged], None);
        let why = cold.networks_refused.clone().expect("there are no networks");
        assert!(cold.n_refused == 1 && why.contains("knowledge/asn.tsv"), "{why}");
        let still = world(&[old, new, damaged], Some(&cold));
        assert!(still.networks_refused.is_some(), "nothing was there before");
        let ranges = ("knowledge/ip-ranges.json", "{");
        assert!(world(&[old, table, ranges], None).networks_refused.is_some());
        assert_eq!(world(&[old, table], Some(&still)).networks_refused, None, "mended");
    }

    #[test]
    fn ids_are_read_a_line_each() {
        let text = "# ours\n0000000000000000000000000000002a  # ticket 7\n\n";
        assert_eq!(ids(text.as_bytes()).expect("an id").to_vec(), [42]);
        let error = ids(b"2a\n").expect_err("too short").to_string();
        assert!(error.starts_with("line 1: `2a` is no finding"), "{error}");
    }
}
