//! Knowledge: what the state bucket says of interfaces, networks, addresses and settings, loaded once and kept while warm.
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
use detector::pipeline::Knowledge;

use crate::door::whole;
use crate::settings::{ConfigSource, Settings};
use crate::state::{Listed, State};
use crate::watch::now_secs;

/// Seconds for which what was listed holds: a snapshot or list put into the bucket counts within a minute.
const FRESH_SECS: i64 = 60;

/// Snapshots loaded of each account and region, the newest. Older ones speak of interfaces that are gone; what is still stored of their traffic has
/// its owner already.
const MAX_SNAPSHOTS: usize = 500;

/// The settings and knowledge of a run.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) config: Arc<Config>,
    pub(crate) knowledge: Arc<Knowledge>,
    /// Ids of findings a person accepted.
    pub(crate) accepted: Arc<[u128]>,
}

/// What was loaded, and from which objects.
#[derive(Default)]
pub(crate) struct Cache {
    world: Option<World>,
    sources: Vec<Listed>,
    looked_at: i64,
}

impl Cache {
    /// The world, loaded anew when something in the bucket changed.
    pub(crate) async fn world(&mut self, state: &State, settings: &Settings) -> anyhow::Result<World> {
        let now = now_secs();
        if let Some(world) = self.world.as_ref().filter(|_| now - self.looked_at < FRESH_SECS) {
            return Ok(world.clone());
        }
        let mut sources = newest(&state.list("inventory/", "").await?);
        sources.extend(state.list("knowledge/", "").await?);
        if let ConfigSource::Key(key) = &settings.config {
            sources.extend(state.list(key, "").await?.into_iter().filter(|listed| listed.key == *key));
        }
        if let Some(world) = self.world.as_ref().filter(|_| sources == self.sources) {
            self.looked_at = now;
            return Ok(world.clone());
        }
        let world = load(state, settings, &sources).await?;
        *self = Self { world: Some(world.clone()), sources, looked_at: now };
        Ok(world)
    }
}

/// The newest snapshots of each folder, this account's own first: they are believed where another account says otherwise.
fn newest(listed: &[Listed]) -> Vec<Listed> {
    let folder = |listed: &Listed| listed.key.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let mut of_folders: BTreeMap<_, Vec<&Listed>> = BTreeMap::new();
    for listed in listed {
        of_folders.entry(folder(listed)).or_default().push(listed);
    }
    let newest = of_folders.into_values().flat_map(|all| all.into_iter().rev().take(MAX_SNAPSHOTS).rev());
    newest.cloned().collect()
}

/// Checks settings that need no bucket.
pub(crate) fn inline_config(source: &ConfigSource) -> anyhow::Result<Option<Config>> {
    match source {
        ConfigSource::Defaults => Ok(Some(Config::defaults())),
        ConfigSource::Inline(text) => Ok(Some(Config::from_toml(text).context("`CALLOUT_CONFIG`")?)),
        ConfigSource::Key(_) => Ok(None),
    }
}

async fn load(state: &State, settings: &Settings, sources: &[Listed]) -> anyhow::Result<World> {
    let mut knowledge = Knowledge { all_interfaces: settings.all_interfaces, ..Knowledge::default() };
    let mut config = inline_config(&settings.config)?;
    let mut accepted: Arc<[u128]> = Arc::default();
    for source in sources {
        let origin = state.uri(&source.key);
        // Deleted since it was listed: the next look does without it.
        let Some(stored) = state.get(&source.key).await? else { continue };
        let bytes = &stored.bytes;
        let mut parts = source.key.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            _ if settings.config == ConfigSource::Key(source.key.clone()) => {
                let text = std::str::from_utf8(bytes).with_context(|| format!("{origin} is no text"))?;
                config = Some(Config::from_toml(text).with_context(|| origin.clone())?);
            }
            (Some("inventory"), Some(name), None) if name.strip_suffix(".json").is_some() => {
                knowledge.inventory.add_enis(&origin, bytes)?;
            }
            // Another account wrote it. What is wrong there must not stop the judging here: its interfaces stay unknown, which
            // every object's account tells.
            (Some("inventory"), Some(account), Some(name)) if name.strip_suffix(".json").is_some() => {
                match knowledge.inventory.add_snapshot_of(account, &origin, bytes) {
                    Ok(0) => {}
                    Ok(n) => tracing::warn!(
                        object = origin,
                        n_left_out = n,
                        "an account is believed of its own interfaces and functions only"
                    ),
                    Err(error) => tracing::error!(
                        object = origin,
                        error = whole(&error.into()),
                        "another account's snapshot is refused"
                    ),
                }
            }
            (Some("knowledge"), Some("accepted.txt"), None) => {
                let text = std::str::from_utf8(bytes).with_context(|| format!("{origin} is no text"))?;
                accepted = ids(text).with_context(|| origin.clone())?;
            }
            (Some("knowledge"), Some("ip-ranges.json"), None) => {
                knowledge.networks.add_aws_ranges(&origin, bytes)?;
            }
            (Some("knowledge"), Some(name), None) if name.starts_with("asn.") => {
                knowledge.networks.add_asn(&origin, bytes)?;
            }
            (Some("knowledge"), Some("threat-lists"), Some(name)) if !name.is_empty() => {
                knowledge.threat_lists.add(list_name(name), &origin, bytes)?;
            }
            (Some("knowledge"), Some("trusted-lists"), Some(name)) if !name.is_empty() => {
                knowledge.trusted_lists.add(list_name(name), &origin, bytes)?;
            }
            _ => tracing::warn!(object = origin, "nothing of this name is looked for here; see docs/deploy.md"),
        }
    }
    if knowledge.inventory.is_empty() && !settings.all_interfaces {
        return Err(anyhow!(
            "there is no inventory under {}: invoke the inventory function once, or set `CALLOUT_ALL_INTERFACES=true` to \
             judge every interface by its id",
            state.uri("inventory/")
        ));
    }
    let config = config.ok_or_else(|| match &settings.config {
        ConfigSource::Key(key) => anyhow!("`CALLOUT_CONFIG` names {}, which is not there", state.uri(key)),
        _ => anyhow!("the settings are missing"),
    })?;
    Ok(World { config: Arc::new(config), knowledge: Arc::new(knowledge), accepted })
}

/// Ids of findings, one a line, with `#` comments.
fn ids(text: &str) -> anyhow::Result<Arc<[u128]>> {
    let lines = (1..).zip(text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()));
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            let id = (line.len() == 32).then(|| u128::from_str_radix(line, 16).ok()).flatten();
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
        let newest = newest(&all);
        assert_eq!(newest.len(), MAX_SNAPSHOTS + 1);
        assert_eq!(
            newest.last(),
            Some(&other[0]),
            "an account whose inventory rests is not crowded out, and comes after"
        );
        assert!(newest.contains(&all[4]) && !newest.contains(&all[3]), "the oldest of the others are left out");
    }

    #[test]
    fn ids_are_read_a_line_each() {
        let text = "# ours\n0000000000000000000000000000002a  # ticket 7\n\n";
        assert_eq!(ids(text).expect("an id").to_vec(), [42]);
        let error = ids("2a\n").expect_err("too short").to_string();
        assert!(error.starts_with("line 1: `2a` is no finding"), "{error}");
    }
}
