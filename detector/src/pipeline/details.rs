//! Details: a baseline as `inspect` shows it.

use std::collections::BTreeMap;

use baselines::Baselines;
use baselines::baseline::Baseline;
use baselines::distribution::Counts;
use baselines::heirs::functions;
use baselines::ladder::to_ip;

use crate::amounts::count;
use crate::config::Config;
use crate::finding::{port_name, port_words};
use crate::score::{Scorer, subject_words};
use crate::write::inspect::{Detail, Function, Network, State, Volume};

/// What is known of each owner, by name. Whether a function is ready is a matter of the settings.
pub fn details(baselines: &Baselines, config: &Config) -> Vec<Detail> {
    let mut networks = networks(baselines);
    let mut notes = notes(baselines);
    // Warm-up is a matter of the time the whole baseline reaches to, not of the function's own last call.
    let now = baselines.iter().filter_map(|(_, b)| b.known).map(|known| known.last).max().unwrap_or_default();
    let mut details: Vec<Detail> = baselines
        .iter()
        .zip(0..)
        .filter_map(|((name, baseline), owner)| {
            let (n_destinations, networks) = networks.remove(&owner).unwrap_or_default();
            let is_ready = baseline.is_ready(now, Scorer::warm_up(config));
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
    name_apart(&mut details);
    details.sort_by(|a, b| a.function.name.cmp(&b.function.name));
    details
}

/// Calls functions of one name by what tells them apart.
fn name_apart(details: &mut [Detail]) {
    let mut n_of_name: BTreeMap<String, u32> = BTreeMap::new();
    for detail in details.iter() {
        *n_of_name.entry(detail.function.name.clone()).or_default() += 1;
    }
    for detail in details.iter_mut().filter(|detail| n_of_name.get(&detail.function.name) > Some(&1)) {
        let arn: Vec<&str> = detail.function.ids.first().map(|id| id.split(':').collect()).unwrap_or_default();
        if let [_, _, _, region, account, ..] = arn[..] {
            detail.function.name = format!("{} of {account} in {region}", detail.function.name);
        }
    }
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
        ids: functions(name).map(str::to_owned).collect(),
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
    let mut notes: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for ((_, baseline), owner) in baselines.iter().zip(0..) {
        let n = baseline.newcomers().count();
        if n > 0 {
            notes.insert(
                owner,
                vec![format!(
                    "{} still watched: met on fewer than three days, or under a finding",
                    count(n as u64, "newcomer")
                )],
            );
        }
    }
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
    /// When it was met first, to the window.
    pub since: i64,
}

/// Everything findings hold back, by finding.
pub fn held(baselines: &Baselines) -> Vec<Held> {
    let under_finding = baselines.iter().zip(0..).flat_map(|((_, baseline), owner)| {
        let newcomers = baseline.newcomers().filter(|&(_, finding)| finding != 0);
        newcomers.map(move |(subject, finding)| (owner, baseline, subject, finding))
    });
    let mut held: Vec<Held> = under_finding
        .filter_map(|(owner, baseline, subject, finding)| {
            let what = subject_words(&baselines.ladder, subject);
            let newcomer = baseline.newcomer(subject)?;
            let met: Vec<String> = newcomer
                .destinations
                .iter()
                .map(|to| {
                    let address = to_ip(baselines.ladder.rungs(to.peer).address);
                    format!("{address} {}", port_words(to.port, to.protocol))
                })
                .collect();
            let function = short_names(&baselines.owners.name(owner));
            let since = newcomer.known.first.start();
            Some(Held { finding, owner, function, words: format!("{what} ({})", met.join(", ")), since })
        })
        .collect();
    held.sort();
    held
}

/// The names of an owner's functions, without the rest of their ARNs.
pub(crate) fn short_names(owner: &str) -> String {
    let names: Vec<&str> = functions(owner).map(|arn| arn.rsplit(':').next().unwrap_or(arn)).collect();
    names.join(", ")
}

/// Bytes sent to one network, and the ports used with it.
type Sum = (u64, Vec<(u16, u8)>);

/// Destinations by number, and networks, those with the most bytes first, of each owner.
fn networks(baselines: &Baselines) -> BTreeMap<u32, (u64, Vec<Network>)> {
    let mut out: BTreeMap<u32, (u64, Vec<Network>)> = BTreeMap::new();
    for ((_, baseline), owner) in baselines.iter().zip(0..) {
        let mut sums: BTreeMap<u32, Sum> = BTreeMap::new();
        let mut n_destinations = 0;
        for (&(peer, port, protocol), known) in baseline.destinations() {
            let sum = sums.entry(baselines.ladder.rungs(peer).network).or_default();
            sum.0 += known.bytes_out;
            if !sum.1.contains(&(port, protocol)) {
                sum.1.push((port, protocol));
            }
            n_destinations += 1;
        }
        let networks = sums.into_iter().filter_map(|(network, (bytes_out, mut ports))| {
            let known = baseline.network(network)?;
            ports.sort_unstable();
            Some(Network {
                label: baselines.ladder.label(network).to_string(),
                first_seen: known.known.first.start(),
                last_seen: known.known.last.end() - 1,
                n_days: u64::from(known.known.n_days),
                bytes_out,
                ports: ports.into_iter().map(|(port, protocol)| port_name(port, protocol)).collect(),
            })
        });
        let networks = networks.collect();
        if n_destinations > 0 {
            out.insert(owner, (n_destinations, networks));
        }
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

#[cfg(test)]
mod tests {
    use baselines::ladder::Network;
    use baselines::observation::Observation;
    use baselines::window::Window;

    use super::{Baselines, Config, details};

    #[test]
    fn functions_of_one_name_are_told_apart() {
        let mut baselines = Baselines::default();
        let peer = baselines.ladder.peer(1, || Network { key: "AS1".into(), label: "AS1".into() });
        for of in ["eu-west-1:111122223333:function:api", "us-east-1:111122223333:function:api", "x:1:function:web"] {
            let owner = baselines.owner(&format!("arn:aws:lambda:{of}"));
            let row = Observation { owner, peer, window: Window(600), ..Observation::default() };
            baselines.learn(owner, Window(600), &[row]);
        }
        let names: Vec<String> =
            details(&baselines, &Config::defaults()).into_iter().map(|detail| detail.function.name).collect();
        assert_eq!(names, ["api of 111122223333 in eu-west-1", "api of 111122223333 in us-east-1", "web"]);
    }
}
