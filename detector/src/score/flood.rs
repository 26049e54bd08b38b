//! Flood: so many destinations never met in one window that they are judged and told as one, and none is learned.
//!
//! A function that scans the internet meets more in an hour than in all its life before. Followed and learned one by
//! one, they would fill what is kept of the function, and each later stranger would be one of thousands. So they are
//! set apart before anything is followed: [`super::fan_out`] counts them, and nothing else sees them. What comes after
//! the flood is judged by what was known before it.
//!
//! Most of a flood is not answered. What a crawler or a sender of webhooks meets answers, and is learned however much
//! it is.
//!
//! A call may hide in a flood. What stands out of it, or is on a threat list, is judged like any other.

use std::borrow::Cow;
use std::cmp::Reverse;

use baselines::Fleet;
use baselines::baseline::Baseline;
use baselines::ladder::is_private;
use baselines::newcomer::Subject;
use baselines::observation::Observation;
use baselines::standing::{Found, Standing};
use baselines::window::Day;

use super::view::is_run_by_aws;
use super::{Facts, MAX_TOPICS_A_WINDOW, novelty};

/// Destinations never met in one window that make a flood: eight times as many as make a sweep.
const MIN_FLOOD: usize = 64;

/// As many do of a function however many strangers it meets in a day, and inside the VPC, where whoever takes stock
/// calls a whole subnet and has to be known after its first runs.
const MIN_FLOOD_OF_WIDE: usize = 256;

/// Bytes from which something stands out of a flood, and how many times what half of it sends: a TLS handshake sends a
/// kilobyte, a scan some packets without any data.
const CALL_BYTES: u64 = 1000;
const TIMES_USUAL: u64 = 10;

/// What was set apart of a window.
#[derive(Debug, Default)]
pub struct Flood(Vec<Observation>);

impl Flood {
    /// The rows, in their order.
    pub(super) fn rows(&self) -> &[Observation] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Nobody was there, or let anything through.
pub(super) fn is_unanswered(row: &Observation) -> bool {
    row.n_flows == 0 || row.packets_in == 0
}

/// Whether a row counts towards a sweep, a scan or a flood. A provider that rotates its addresses answers.
pub(super) fn is_news(fleet: Fleet<'_>, baseline: &Baseline, row: &Observation, found: &Found) -> bool {
    if baseline.destination_of(found).is_some() {
        return false;
    }
    let rungs = fleet.ladder.rungs(row.peer);
    is_private(rungs.address)
        || match found.standing {
            Standing::Settled => false,
            // A service of AWS's that is down answers at none of its addresses.
            Standing::New(Subject::Prefix(_)) | Standing::Watched(Subject::Prefix(_)) => {
                is_unanswered(row) && !is_run_by_aws(fleet.ladder, rungs.network)
            }
            Standing::New(_) | Standing::Watched(_) => true,
        }
}

/// The most networks that were new, or in something new, on one day before.
pub(super) fn strangers_in_a_day(fleet: Fleet<'_>, baseline: &Baseline, now: Day) -> usize {
    novelty::most_in_a_day(baseline, fleet.ladder, now, |network| !is_run_by_aws(fleet.ladder, network))
}

/// Sets the flood in a window apart, if it is one; `rows` are sorted by address, port and protocol, `found` says where
/// each stood.
pub(super) fn set_apart<'a>(
    fleet: Fleet<'_>,
    baseline: &Baseline,
    facts: &dyn Facts,
    rows: Cow<'a, [Observation]>,
    found: Vec<Found>,
) -> (Cow<'a, [Observation]>, Vec<Found>, Flood) {
    if rows.len() < MIN_FLOOD {
        return (rows, found, Flood::default());
    }
    let mut is_apart: Vec<bool> =
        rows.iter().zip(&found).map(|(row, found)| is_news(fleet, baseline, row, found)).collect();
    let news = || rows.iter().zip(&is_apart).filter(|(_, is_news)| **is_news).map(|(row, _)| row);
    let (n, n_unanswered) = (news().count(), news().filter(|row| is_unanswered(row)).count());
    let is_inside = |row: &Observation| is_private(fleet.ladder.rungs(row.peer).address);
    let least = || match rows.first() {
        Some(first) if !news().all(is_inside) => strangers_in_a_day(fleet, baseline, first.window.day()) + 1,
        _ => MIN_FLOOD_OF_WIDE,
    };
    if n < MIN_FLOOD || n_unanswered * 2 < n || n < least().min(MIN_FLOOD_OF_WIDE) {
        return (rows, found, Flood::default());
    }
    let least = loud_from(news().map(|row| row.bytes_out).collect());
    let mut loud: Vec<(Reverse<u64>, usize)> = Vec::new();
    for (at, (row, is_apart)) in rows.iter().zip(&mut is_apart).enumerate().filter(|(_, (_, is_apart))| **is_apart) {
        if facts.threat_list(fleet.ladder.rungs(row.peer).address).is_some() {
            *is_apart = false;
        } else if row.bytes_out >= least {
            loud.push((Reverse(row.bytes_out), at));
        }
    }
    // As many as are told of a window, those that send most.
    loud.sort_unstable();
    for (_, at) in loud.into_iter().take(MAX_TOPICS_A_WINDOW) {
        if let Some(is_apart) = is_apart.get_mut(at) {
            *is_apart = false;
        }
    }
    let (mut left, mut left_found, mut flood) = (Vec::new(), Vec::new(), Vec::with_capacity(n));
    for ((row, found), is_apart) in rows.iter().zip(found).zip(is_apart) {
        if is_apart {
            flood.push(*row);
        } else {
            left.push(*row);
            left_found.push(found);
        }
    }
    (Cow::Owned(left), left_found, Flood(flood))
}

/// Bytes sent from which something stands out among others.
fn loud_from(mut bytes_out: Vec<u64>) -> u64 {
    let middle = bytes_out.len() / 2;
    if middle == 0 {
        return CALL_BYTES;
    }
    let (_, median, _) = bytes_out.select_nth_unstable(middle);
    median.saturating_mul(TIMES_USUAL).max(CALL_BYTES)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use baselines::Baselines;
    use baselines::ladder::{Network, from_ip};
    use baselines::window::{WINDOWS_PER_DAY, Window};

    use super::*;
    use crate::finding::Deployment;

    /// Knows one listed address.
    struct Listed(u128);

    impl Facts for Listed {
        fn has_threat_lists(&self) -> bool {
            true
        }
        fn threat_list(&self, address: u128) -> Option<Arc<str>> {
            (address == self.0).then(|| "bad".into())
        }
        fn trusted_list(&self, _: u128) -> Option<Arc<str>> {
            None
        }
        fn public_resolver(&self, _: u128) -> Option<&'static str> {
            None
        }
        fn deployment(&self, _: &str, _: i64, _: i64) -> Option<Deployment> {
            None
        }
        fn deployed<'a>(&self, _: &'a [Arc<str>], _: &Deployment) -> Option<&'a Arc<str>> {
            None
        }
        fn vpc(&self, _: &str) -> Option<Arc<str>> {
            None
        }
        fn aws_service(&self, _: u128) -> Option<Arc<str>> {
            None
        }
    }

    /// Number so many of the addresses that are met, each in a network of its own, or all in one inside the VPC.
    fn address(n: usize, is_inside: bool) -> [u8; 4] {
        if is_inside {
            [10, 0, (n / 250) as u8, (n % 250) as u8]
        } else {
            [20 + (n / 250) as u8, (n % 250) as u8, 0, 7]
        }
    }

    /// What is left of a window of so many calls, each as `change` makes it, by number; nothing where it is no flood.
    /// The function met `a_day` networks on each of five days before.
    fn left(n: usize, is_inside: bool, a_day: usize, change: impl Fn(usize, &mut Observation)) -> Option<Vec<u32>> {
        let mut baselines = Baselines::default();
        let owner = baselines.owner("api");
        let call = |baselines: &mut Baselines, n, day| {
            let bits = from_ip(address(n, is_inside).into());
            let key: Arc<str> = if is_inside { "vpc".into() } else { n.to_string().into() };
            let peer = baselines.ladder.peer(bits, || Network { label: Arc::clone(&key), key });
            let window = Window((20_000 + day) * WINDOWS_PER_DAY);
            Observation {
                owner,
                peer,
                port: 443,
                protocol: 6,
                window,
                n_flows: 1,
                bytes_out: 60,
                ..Observation::default()
            }
        };
        let rows: Vec<Observation> = (0..n)
            .map(|at| {
                let mut row = call(&mut baselines, at, 5);
                change(at, &mut row);
                row
            })
            .collect();
        for day in 0..5u32 {
            let of_day: Vec<Observation> =
                (0..a_day).map(|at| call(&mut baselines, 30_000 + day as usize * a_day + at, day)).collect();
            baselines.learn(owner, Window((20_000 + day) * WINDOWS_PER_DAY), &of_day);
        }
        let baseline = baselines.baseline(owner).unwrap();
        let found = rows.iter().map(|row| baseline.find(&baselines.ladder, row)).collect();
        let facts = Listed(from_ip(address(3, false).into()));
        let (left, found, flood) = set_apart(baselines.fleet(), baseline, &facts, Cow::Borrowed(&rows), found);
        assert_eq!((left.len(), left.len() + flood.rows().len()), (found.len(), n), "each is in one place");
        (!flood.is_empty()).then(|| left.iter().map(|row| row.peer).collect())
    }

    #[test]
    fn a_flood_is_many_and_most_of_it_unanswered() {
        let of = |n, is_inside, a_day| left(n, is_inside, a_day, |_, _| {}).is_some();
        assert_eq!([63, 64].map(|n| of(n, false, 0)), [false, true]);
        assert_eq!([100, 101].map(|n| of(n, false, 100)), [false, true], "of who meets a hundred networks a day");
        assert_eq!([255, 256].map(|n| of(n, false, 400)), [false, true], "however many they are");
        assert_eq!([255, 256].map(|n| of(n, true, 0)), [false, true], "inside the VPC");
        let answered = |n_answered| left(100, false, 0, |at, row| row.packets_in = u64::from(at < n_answered));
        assert!(answered(50).is_some() && answered(51).is_none());
    }

    #[test]
    fn what_stands_out_of_a_flood_or_is_listed_is_left() {
        let sending = |of: &'static [(usize, u64)], others: u64| {
            left(200, false, 0, |at, row| {
                row.bytes_out = of.iter().find(|(loud, _)| *loud == at).map_or(others, |(_, bytes)| *bytes);
            })
        };
        assert_eq!(sending(&[(7, 1000), (8, 999)], 60), Some(vec![3, 7]));
        assert_eq!(sending(&[(7, 4999), (8, 5000)], 500), Some(vec![3, 8]), "ten times what half of it sends");
        let all_loud = left(300, false, 0, |at, row| row.bytes_out = if at < 140 { 2000 + at as u64 } else { 60 });
        let expected: Vec<u32> = [3].into_iter().chain(76..140).collect();
        assert_eq!(all_loud, Some(expected), "of too many those that send most");
    }
}
