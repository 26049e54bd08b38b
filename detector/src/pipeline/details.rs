//! Details: a baseline as `inspect` shows it.

use std::collections::BTreeMap;

use baselines::Baselines;
use baselines::baseline::Baseline;
use baselines::distribution::Counts;
use baselines::ladder::to_ip;
use baselines::newcomer::Subject;

use crate::finding::protocol_name;
use crate::score::Scorer;
use crate::write::inspect::{Detail, Function, Network, State, Volume};

/// What is known of each owner, by name. A function is ready when it was observed through `warm_up_secs`.
pub fn details(baselines: &Baselines, warm_up_secs: i64) -> Vec<Detail> {
    let mut networks = networks(baselines);
    let mut notes = notes(baselines);
    // Warm-up is a matter of the time the whole baseline reaches to, not of the function's own last call.
    let now = baselines.iter().filter_map(|(_, b)| b.known).map(|known| known.last).max().unwrap_or_default();
    let mut details: Vec<Detail> = baselines
        .iter()
        .zip(0..)
        .filter_map(|((name, baseline), owner)| {
            let (n_destinations, networks) = networks.remove(&owner).unwrap_or_default();
            let is_ready = Scorer::is_ready(baseline, now, warm_up_secs);
            let function = function(name, baseline, is_ready, n_destinations, networks.len())?;
            Some(Detail {
                function,
                networks,
                volumes: volumes(baseline),
                hours: hours(baseline),
                notes: notes.remove(&owner).unwrap_or_default(),
            })
        })
        .collect();
    details.sort_by(|a, b| a.function.name.cmp(&b.function.name));
    details
}

fn function(
    name: &str,
    baseline: &Baseline,
    is_ready: bool,
    n_destinations: u64,
    n_networks: usize,
) -> Option<Function> {
    let known = baseline.known?;
    Some(Function {
        name: short_names(name),
        state: if is_ready { State::Ready } else { State::Learning },
        since: known.first.start(),
        last_seen: known.last.end() - 1,
        n_windows: u64::from(known.n_windows),
        n_destinations,
        n_networks: n_networks as u64,
    })
}

/// What is worth a note of each owner.
fn notes(baselines: &Baselines) -> BTreeMap<u32, Vec<String>> {
    let mut watched: BTreeMap<u32, u64> = BTreeMap::new();
    for ((owner, _), _) in baselines.newcomers() {
        *watched.entry(*owner).or_default() += 1;
    }
    let words = |n: u64| vec![format!("{n} of its destinations are new or rare and still watched")];
    let mut notes: BTreeMap<u32, Vec<String>> = watched.into_iter().map(|(owner, n)| (owner, words(n))).collect();
    for held in held(baselines) {
        let words = format!("under finding {:032x}: {}", held.finding, held.words);
        notes.entry(held.owner).or_default().push(words);
    }
    notes
}

/// Something a finding keeps from being learned as normal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The finding's id.
    pub finding: u128,
    /// Number of the owner.
    pub owner: u32,
    /// The owner's functions, or its interface.
    pub function: String,
    /// What is held, with the destinations met of it: `AS64500 Example Hosting (203.0.113.77 port 443/tcp)`.
    pub words: String,
}

/// Everything findings hold back, by finding.
pub fn held(baselines: &Baselines) -> Vec<Held> {
    let under_finding = baselines.newcomers().filter(|&(_, finding)| finding != 0);
    let mut held: Vec<Held> = under_finding
        .filter_map(|(&(owner, subject), finding)| {
            let what = match subject {
                Subject::Network(network) => baselines.ladder.label(network).to_string(),
                Subject::Service(network, port, protocol) => {
                    format!("{} port {port}/{}", baselines.ladder.label(network), protocol_name(protocol))
                }
                Subject::Prefix(prefix) => baselines.ladder.prefix(prefix).to_string(),
            };
            let met: Vec<String> = baselines
                .newcomer(owner, subject)?
                .destinations
                .iter()
                .map(|to| {
                    let address = to_ip(baselines.ladder.rungs(to.peer).address);
                    format!("{address} port {}/{}", to.port, protocol_name(to.protocol))
                })
                .collect();
            let function = short_names(&baselines.owners.name(owner));
            Some(Held { finding, owner, function, words: format!("{what} ({})", met.join(", ")) })
        })
        .collect();
    held.sort();
    held
}

/// The names of an owner's functions, without the rest of their ARNs.
pub(super) fn short_names(owner: &str) -> String {
    let names: Vec<&str> = owner.split(',').map(|arn| arn.rsplit(':').next().unwrap_or(arn)).collect();
    names.join(", ")
}

/// Bytes sent to one network, and the ports used with it.
type Sum = (u64, Vec<(u16, u8)>);

/// Destinations by number, and networks, those with the most bytes first, of each owner.
fn networks(baselines: &Baselines) -> BTreeMap<u32, (u64, Vec<Network>)> {
    let mut sums: BTreeMap<(u32, u32), Sum> = BTreeMap::new();
    let mut out: BTreeMap<u32, (u64, Vec<Network>)> = BTreeMap::new();
    for (&(owner, peer, port, protocol), known) in baselines.destinations() {
        let sum = sums.entry((owner, baselines.ladder.rungs(peer).network)).or_default();
        sum.0 += known.bytes_out;
        if !sum.1.contains(&(port, protocol)) {
            sum.1.push((port, protocol));
        }
        out.entry(owner).or_default().0 += 1;
    }
    for ((owner, network), (bytes_out, mut ports)) in sums {
        let Some(known) = baselines.network(owner, network) else { continue };
        ports.sort_unstable();
        out.entry(owner).or_default().1.push(Network {
            label: baselines.ladder.label(network).to_string(),
            first_seen: known.known.first.start(),
            last_seen: known.known.last.end() - 1,
            n_days: u64::from(known.known.n_days),
            bytes_out,
            ports: ports.into_iter().map(|(port, protocol)| format!("{port}/{}", protocol_name(protocol))).collect(),
        });
    }
    for (_, networks) in out.values_mut() {
        networks.sort_by(|a, b| b.bytes_out.cmp(&a.bytes_out).then_with(|| a.label.cmp(&b.label)));
    }
    out
}

fn volumes(baseline: &Baseline) -> Vec<Volume> {
    let volume = |measure: &str, is_bytes: bool, past: Counts<'_>| Volume {
        measure: measure.to_owned(),
        is_bytes,
        p50: past.value_at(0.5),
        p99: past.value_at(0.99),
        max: past.max(),
    };
    vec![
        volume("bytes sent", true, baseline.volumes.window_bytes()),
        volume("flows", false, baseline.volumes.window_flows()),
        volume("destinations", false, baseline.window_peers.view()),
    ]
}

fn hours(baseline: &Baseline) -> [u64; 24] {
    let mut hours = [0; 24];
    for day in baseline.hours.chunks(hours.len()) {
        for (sum, &n) in hours.iter_mut().zip(day) {
            *sum += u64::from(n);
        }
    }
    hours
}
