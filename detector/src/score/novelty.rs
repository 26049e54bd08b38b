//! Novelty: how unlikely it is that this owner meets something new today.
//!
//! Definition: the chance that a day of this owner brings something new on a rung of the ladder, as the posterior mean
//! of a Beta-Bernoulli model over its past days. The prior is what the quieter three quarters of the fleet meet, worth
//! [`PRIOR_DAYS`] days: a week of history alone cannot tell once a month from never, a fleet of them can.
//!
//! Recent days count more (half-life [`HALF_LIFE_DAYS`]); the first days, when everything is new, count nothing.
//!
//! Reference: the rate of new entities for a scope, as in the `detect_anomalous_new_entity_fl` function of the Kusto
//! library (Poisson); Gelman et al., Bayesian Data Analysis, 2.4 (Beta-Bernoulli), 5 (priors from a population).

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use baselines::baseline::{Baseline, DiaryDay, ServiceKey};
use baselines::ladder::{Ladder, is_private};
use baselines::newcomer::{Circumstances, Subject};
use baselines::observation::Observation;
use baselines::window::{Day, Window};
use baselines::{Baselines, Fleet};

/// Days the fleet's prior is worth.
const PRIOR_DAYS: f64 = 8.0;

/// Days after which a past day counts half.
const HALF_LIFE_DAYS: f64 = 14.0;

/// First active days that count nothing: what is met then is how the owner works, not news.
const RAMP_DAYS: usize = 2;

/// The least and the most the fleet may be thought to meet, in chances a day: no fleet is so quiet that nothing ever
/// changes, and one so restless teaches nothing about a quiet owner.
const PRIOR_RANGE: (f64, f64) = (0.01, 0.25);

/// The fleet's chance of a day with something new, before it has a past: a change a quarter.
const PRIOR_WITHOUT_FLEET: f64 = 0.02;

/// Owners that their spread is measured over at the least, and days of each.
const SPREAD_OWNERS: usize = 8;
const SPREAD_DAYS: f64 = 3.0;

/// Networks of an owner from which on the share of them that a port is used with says how likely it is with another.
const MANY_NETWORKS: usize = 20;

/// What the fleet meets that is new, by rung.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Prior {
    network: Rung,
    service: Rung,
    prefix: Rung,
    port: Rung,
}

/// What the fleet meets that is new on one rung.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rung {
    /// The chance a day.
    chance: f64,
    /// How many days of an owner's own that is worth.
    days: f64,
}

impl Default for Rung {
    fn default() -> Self {
        Self { chance: PRIOR_WITHOUT_FLEET, days: PRIOR_DAYS }
    }
}

impl Rung {
    /// The chance a day of an owner, from its days with news and all its days.
    fn of(self, news: f64, exposure: f64) -> f64 {
        ((news + self.chance * self.days) / (exposure + self.days)).clamp(1e-6, 1.0)
    }
}

impl Prior {
    /// The prior of a fleet as of a day.
    ///
    /// How much it is worth is measured for networks only: which prefixes a function meets is the network's doing, and
    /// new ports are too few to show how functions differ.
    pub(super) fn of(baselines: &Baselines, now: Day) -> Self {
        let owners: Vec<News> = baselines.iter().map(|(_, baseline)| News::of(baseline, now)).collect();
        let shares = |pick: fn(&News) -> (f64, f64)| owners.iter().map(pick);
        let rung = |pick| Rung { chance: chance_of_fleet(shares(pick)), days: PRIOR_DAYS };
        Self {
            network: Rung { days: worth(shares(News::of_networks)), ..rung(News::of_networks) },
            service: rung(News::of_services),
            prefix: rung(|news| (news.prefixes, news.days)),
            port: rung(News::of_ports),
        }
    }
}

/// Which of an owner's days lie before a day: while these are the same, so is what they tell. They change in the midst
/// of a day when an owner begins with another's past, or has no room for another day.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Past {
    owner: u32,
    first: Day,
    n_days: usize,
}

impl Past {
    /// `None` without days that [`News`] are taken from. Most interfaces that nobody knows live for less, so their
    /// diaries, of which there may be a hundred thousand, are not looked into.
    pub(super) fn before(owner: u32, baseline: &Baseline, day: Day) -> Option<Self> {
        let diary = Some(&baseline.diary).filter(|diary| diary.len() > RAMP_DAYS)?;
        let n_days = diary.partition_point(|entry| entry.day < day);
        (n_days > RAMP_DAYS).then_some(Self { owner, first: diary.first()?.day, n_days })
    }
}

/// The chance a day of a fleet's quieter three quarters, from the days with news and all days of each owner.
fn chance_of_fleet(owners: impl Iterator<Item = (f64, f64)>) -> f64 {
    let mut past: Vec<(f64, f64)> = owners.filter(|&(_, exposure)| exposure >= 1.0).collect();
    sort_by_share(&mut past);
    // Of few no more than three quarters either: one that meets something new daily would speak for all.
    past.truncate((past.len() * 3 / 4).max(1));
    let (news, exposure) = past.iter().fold((0.0, 0.0), |sum, day| (sum.0 + day.0, sum.1 + day.1));
    let weight = PRIOR_DAYS * 4.0;
    ((news + PRIOR_WITHOUT_FLEET * weight) / (exposure + weight)).clamp(PRIOR_RANGE.0, PRIOR_RANGE.1)
}

/// Sorts days with news and all days in an order that speaks of them only.
fn sort_by_share(owners: &mut [(f64, f64)]) {
    owners.sort_unstable_by(|a, b| {
        (a.0 / a.1).total_cmp(&(b.0 / b.1)).then(a.1.total_cmp(&b.1)).then(a.0.total_cmp(&b.0))
    });
}

/// How many days of an owner's own its fleet is worth: many where owners are alike, few where some meet something new
/// daily and others never, for then the others say little of one. From the days with news and all days of each owner.
///
/// Statistic: the strength of the beta distribution whose variance is that of the owners' shares beyond what so many
/// days bring by chance (method of moments).
fn worth(owners: impl Iterator<Item = (f64, f64)>) -> f64 {
    let mut owners: Vec<(f64, f64)> = owners.filter(|&(_, exposure)| exposure >= SPREAD_DAYS).collect();
    // A sum depends on its order, and owners are numbered anew at each reload.
    sort_by_share(&mut owners);
    let n = owners.len();
    let (news, exposure) = owners.iter().fold((0.0, 0.0), |sum, owner| (sum.0 + owner.0, sum.1 + owner.1));
    let mean = news / exposure;
    if n < SPREAD_OWNERS || mean <= 0.0 || mean >= 1.0 {
        return PRIOR_DAYS;
    }
    let spread = owners.iter().map(|(news, exposure)| (news / exposure - mean).powi(2)).sum::<f64>() / n as f64;
    let by_chance = owners.iter().map(|(_, exposure)| mean * (1.0 - mean) / exposure).sum::<f64>() / n as f64;
    let between = spread - by_chance;
    if between <= 0.0 { PRIOR_DAYS } else { (mean * (1.0 - mean) / between - 1.0).clamp(1.0, PRIOR_DAYS) }
}

/// How much a past day counts: see [`HALF_LIFE_DAYS`].
fn weight(day: Day, now: Day) -> f64 {
    /// Of most ages there are: each day of each owner is asked for before every hour.
    static WEIGHTS: LazyLock<Vec<f64>> = LazyLock::new(|| (0..256).map(at_age).collect());
    fn at_age(n_days: u32) -> f64 {
        0.5f64.powf(f64::from(n_days) / HALF_LIFE_DAYS)
    }
    let age = now.0 - day.0;
    WEIGHTS.get(age as usize).copied().unwrap_or_else(|| at_age(age))
}

/// What an owner's past days brought that was new, all weighted by age.
#[derive(Debug, Default)]
struct News {
    /// Days in all, and those that brought a new network, a new service, a new prefix.
    days: f64,
    networks: f64,
    services: f64,
    prefixes: f64,
    /// How often a port never used before came, and how often one might have: at each new network, and once a day. Who
    /// met a hundred networks on the web's ports only is as surprised by another port as one who met none in a hundred
    /// days.
    ports: f64,
    occasions: f64,
}

impl News {
    fn of(baseline: &Baseline, now: Day) -> Self {
        let past = baseline.diary.iter().skip(RAMP_DAYS).filter(|entry| entry.day < now);
        past.fold(Self::default(), |mut news, entry| {
            let weight = weight(entry.day, now);
            let of = |n: u32| if n > 0 { weight } else { 0.0 };
            news.days += weight;
            news.networks += of(entry.networks);
            news.services += of(entry.services);
            news.prefixes += of(entry.prefixes);
            news.ports += weight * f64::from(entry.ports);
            news.occasions += weight * f64::from(entry.networks.max(entry.ports).max(1));
            news
        })
    }

    fn of_networks(&self) -> (f64, f64) {
        (self.networks, self.days)
    }

    fn of_services(&self) -> (f64, f64) {
        (self.services, self.days)
    }

    fn of_ports(&self) -> (f64, f64) {
        (self.ports, self.occasions)
    }
}

/// Whether a port is one of the web's, or one that anything may listen on. The others below 1024 tell another service:
/// mail, time, names, files.
fn may_be_web(port: u16) -> bool {
    matches!(port, 80 | 443 | 1024..)
}

/// The share of an owner's days with a first use of some port with some network on which that port may have been the
/// web's; 1 before there were any. Who delivers mail to ever new networks, or asks ever new servers for the time, is as
/// surprised by a web server as one that meets no networks at all. But who sends to ever new customers meets some of
/// them on ports of their own.
fn share_by_web(baseline: &Baseline, now: Day) -> f64 {
    let n_days = |is_of: fn(u16) -> bool| days_of_ports(baseline, now, |(port, _)| is_of(port));
    let all = n_days(|_| true);
    if all > 0.0 { n_days(may_be_web) / all } else { 1.0 }
}

/// Days on which one of some ports was first used with some network, weighted by age; not under a finding.
fn days_of_ports(baseline: &Baseline, now: Day, is_of: impl Fn((u16, u8)) -> bool) -> f64 {
    let past = baseline.diary.get(RAMP_DAYS..).unwrap_or_default();
    let Some(begin) = past.first().map(|entry| entry.day.first_window()) else { return 0.0 };
    let mut has_some = vec![false; past.len()];
    // Most were met in the first days: that is asked before anything is looked up.
    for (&key, service) in baseline.services().filter(|(_, service)| service.known.first >= begin) {
        let day = past.binary_search_by_key(&service.known.first.day(), |entry| entry.day);
        if let Some(has_some) = day.ok().and_then(|day| has_some.get_mut(day)).filter(|has_some| !**has_some) {
            *has_some = is_of((key.1, key.2)) && !is_told(baseline, key);
        }
    }
    let days = past.iter().zip(has_some).filter(|(entry, has_some)| *has_some && entry.day < now);
    days.map(|(entry, _)| weight(entry.day, now)).sum()
}

/// Whether a port of a network is under a finding.
pub(super) fn is_told(baseline: &Baseline, (network, port, protocol): ServiceKey) -> bool {
    baseline.is_told(Subject::Network(network)) || baseline.is_told(Subject::Service(network, port, protocol))
}

/// The share of an owner's networks that it uses a port with; 0 where it knows too few for that to mean anything. Who
/// serves a hundred customers, ten of them on port 8080, meets the eleventh in a network of the others some day.
fn share_of_port(baseline: &Baseline, port: (u16, u8)) -> f64 {
    let n_networks = baseline.networks().count();
    let uses = baseline.services().filter(|(key, _)| (key.1, key.2) == port && !is_told(baseline, **key));
    if n_networks < MANY_NETWORKS { 0.0 } else { uses.count() as f64 / n_networks as f64 }
}

/// On how many of an owner's active days before a day something new came that was not told, and of how many: counted,
/// not weighed, for a person to read.
pub(super) fn days_counted(baseline: &Baseline, before: Day, pick: fn(&DiaryDay) -> u32) -> (usize, usize) {
    let past = || baseline.diary.iter().skip(RAMP_DAYS).filter(|entry| entry.day < before);
    (past().filter(|entry| pick(entry) > 0).count(), past().count())
}

/// How many days an owner was active on between two days.
pub(super) fn n_days_between(baseline: &Baseline, after: Day, before: Day) -> usize {
    baseline.diary.iter().filter(|entry| after < entry.day && entry.day < before).count()
}

/// An owner's past as of a window, of which all that it meets there is judged.
#[derive(Debug, Default)]
pub(super) struct Until {
    news: OnceCell<News>,
    share_by_web: OnceCell<f64>,
}

/// What is known of an owner's news at the moment it meets a subject.
pub(super) fn circumstances(
    fleet: Fleet<'_>,
    baseline: &Baseline,
    until: &Until,
    subject: Subject,
    row: &Observation,
    now: Window,
) -> Circumstances {
    let rungs = fleet.ladder.rungs(row.peer);
    let news = until.news.get_or_init(|| News::of(baseline, now.day()));
    let share_by_web = || *until.share_by_web.get_or_init(|| share_by_web(baseline, now.day()));
    let (n_new, exposure) = match subject {
        Subject::Network(_) => {
            let (n_new, exposure) = news.of_networks();
            let share = if n_new > 0.0 && may_be_web(row.port) { share_by_web() } else { 1.0 };
            (n_new * share, exposure)
        }
        // A port that the function uses with one network after the other is no news with the next.
        Subject::Service(_, port, protocol) => {
            let (n_new, exposure) = news.of_services();
            let by_port = days_of_ports(baseline, now.day(), |of| of == (port, protocol));
            (n_new.max(by_port).max(share_of_port(baseline, (port, protocol)) * exposure), exposure)
        }
        // How this very network wanders, not how others do.
        Subject::Prefix(_) => baseline.network(rungs.network).map_or((0.0, 0.0), |network| {
            (f64::from(network.n_late_prefixes), f64::from(network.known.n_days.saturating_sub(1)))
        }),
    };
    let (n_new_networks, network_exposure) = news.of_networks();
    let known = baseline.known;
    let n_owners_knowing = match subject {
        Subject::Prefix(prefix) => fleet.n_owners_knowing_prefix(prefix),
        _ => fleet.n_owners_knowing(rungs.network),
    };
    let (n_new_ports, port_exposure) = news.of_ports();
    Circumstances {
        n_days: known.map_or(0, |known| known.n_days),
        n_new,
        exposure,
        n_owners_knowing,
        n_owners: fleet.owners.len() as u32,
        port_known: baseline.knows_port(row.port, row.protocol),
        n_new_networks,
        network_exposure,
        n_new_ports,
        port_exposure,
        age: began(baseline).map_or(0, |first| now.0.saturating_sub(first.0)),
    }
}

/// The first window told of in a baseline. An owner that began with another's past has news from before it was active
/// itself.
fn began(baseline: &Baseline) -> Option<Window> {
    let diary = baseline.diary.first().map(|entry| entry.day.first_window());
    let known = baseline.known.map(|known| known.first);
    known.filter(|known| diary.is_none_or(|diary| known.day() <= diary.day())).or(diary)
}

/// The same without what the subject itself brought on the day it was first met: it is no news of its own kind.
pub(super) fn without_itself(
    baseline: &Baseline,
    subject: Subject,
    first: Day,
    now: Day,
    met: Circumstances,
) -> Circumstances {
    let entry = baseline.diary.iter().skip(RAMP_DAYS).find(|entry| entry.day == first && first < now);
    let is_alone = |pick: fn(&DiaryDay) -> u32| entry.is_some_and(|entry| pick(entry) == 1);
    let less = |n: f64, is_alone: bool| if is_alone { (n - weight(first, now)).max(0.0) } else { n };
    match subject {
        Subject::Network(_) => {
            let is_alone = is_alone(|day| day.networks);
            let n_new_networks = less(met.n_new_networks, is_alone);
            Circumstances { n_new: less(met.n_new, is_alone), n_new_networks, ..met }
        }
        Subject::Service(..) => Circumstances { n_new: less(met.n_new, is_alone(|day| day.services)), ..met },
        Subject::Prefix(_) => Circumstances { n_new: (met.n_new - 1.0).max(0.0), ..met },
    }
}

/// The chance a day that something like the subject is met.
pub(super) fn chance(subject: Subject, met: &Circumstances, prior: &Prior) -> f64 {
    match subject {
        Subject::Network(_) => prior.network.of(met.n_new, met.exposure),
        Subject::Service(..) => prior.service.of(met.n_new, met.exposure),
        // Who meets new networks all day has hardly been to most of those it knows: a part of one not met yet is no
        // news.
        Subject::Prefix(_) => {
            let network = prior.network.of(met.n_new_networks, met.network_exposure);
            prior.prefix.of(met.n_new, met.exposure).max(network)
        }
    }
}

/// How surprising a port never used before was, in bans; 0 for a known one.
pub(super) fn port_surprise(met: &Circumstances, prior: &Prior) -> f64 {
    if met.port_known {
        return 0.0;
    }
    -prior.port.of(met.n_new_ports, met.port_exposure).log10()
}

/// The largest number of networks that brought something new on any one past day. A burst is held to it: what a
/// function meets in a day it may also meet in a minute.
///
/// Counted as a burst counts: each network once a day, whether the network itself was new, or one prefix of it, or
/// many. Networks that `by_prefix_too` says no to count only when they were new themselves. Nothing inside the VPC
/// counts, and nothing under a finding.
pub(super) fn most_in_a_day(
    baseline: &Baseline,
    ladder: &Ladder,
    now: Day,
    by_prefix_too: impl Fn(u32) -> bool,
) -> usize {
    let past = baseline.diary.iter().skip(RAMP_DAYS).map(|entry| entry.day).filter(|&day| day < now);
    let past: BTreeSet<Day> = past.collect();
    let mut news: BTreeSet<(Day, u32)> = BTreeSet::new();
    for (prefix, known) in baseline.prefixes() {
        let (day, network) = (known.known.first.day(), known.network);
        let is_new = |network: u32| baseline.network(network).is_some_and(|network| network.known.first.day() == day);
        if past.contains(&day)
            && !is_private(ladder.prefix(prefix).0)
            && !baseline.is_told(Subject::Network(network))
            && !baseline.is_told(Subject::Prefix(prefix))
            && (is_new(network) || by_prefix_too(network))
        {
            news.insert((day, network));
        }
    }
    let days: Vec<Day> = news.into_iter().map(|(day, _)| day).collect();
    days.chunk_by(|a, b| a == b).map(<[Day]>::len).max().unwrap_or(0)
}

/// Bans taken off where other functions know the network: per doubling of their number, and at the most.
const FAMILIAR_BANS: f64 = 0.15;
const FAMILIAR_MOST: f64 = 0.5;

/// How familiar the rest of the fleet is with what was met, in bans to take off.
pub(super) fn familiarity(met: &Circumstances) -> f64 {
    ((1.0 + f64::from(met.n_owners_knowing)).log2() * FAMILIAR_BANS).min(FAMILIAR_MOST)
}

/// How surprising the first contact was, in bans: −log10 of [`chance`].
pub(super) fn surprise(subject: Subject, met: &Circumstances, prior: &Prior) -> f64 {
    -chance(subject, met, prior).log10()
}

/// Surprise of a new network, in bans, below which novelty hardly says anything of an owner: it meets one every six
/// days.
const RESTLESS_BANS: f64 = 0.8;

/// How many owners meet new networks so often that one more hardly says anything.
pub(super) fn n_restless(baselines: &Baselines, now: Day) -> u64 {
    let chance_of = |baseline: &Baseline| {
        let (news, exposure) = News::of(baseline, now).of_networks();
        if exposure > 0.0 { news / exposure } else { 0.0 }
    };
    baselines.iter().filter(|(_, baseline)| -chance_of(baseline).max(1e-9).log10() < RESTLESS_BANS).count() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use baselines::ladder::{Network, from_ip};
    use baselines::window::WINDOWS_PER_DAY;

    use super::*;

    fn met(n_new: f64, exposure: f64) -> Circumstances {
        Circumstances { n_new, exposure, ..Circumstances::default() }
    }

    fn surprise_of(n_new: f64, exposure: f64) -> f64 {
        surprise(Subject::Network(0), &met(n_new, exposure), &Prior::default())
    }

    #[test]
    fn the_order_of_owners_decides_nothing() {
        let owners: Vec<(f64, f64)> =
            (0..50).map(|n| (f64::from(n % 3) * 7.37 + 0.1, 20.0 + f64::from(n) * 0.13)).collect();
        let ways = [owners.clone(), owners.into_iter().rev().collect()];
        let [one, other] = ways.map(|owners| (worth(owners.iter().copied()), chance_of_fleet(owners.into_iter())));
        assert_eq!([one.0, one.1].map(f64::to_bits), [other.0, other.1].map(f64::to_bits));
        assert!(one.0 < PRIOR_DAYS, "they differ");
    }

    #[test]
    fn a_longer_quiet_past_surprises_more() {
        assert!(surprise_of(0.0, 30.0) > surprise_of(0.0, 5.0));
        assert!(surprise_of(0.0, 5.0) > surprise_of(1.0, 5.0));
    }

    #[test]
    fn degenerate_pasts() {
        assert!((surprise_of(0.0, 0.0) - 1.699).abs() < 0.01, "no past: the prior speaks");
        assert!(surprise_of(50.0, 50.0) < 0.1, "news every day surprises nobody");
        assert!(surprise_of(500.0, 5.0) >= 0.0, "more news than days stays a chance");
    }

    #[test]
    fn a_port_surprises_who_met_many_networks_on_the_same_ports() {
        let of = |networks: u32, ports: u32| {
            let day = |day| DiaryDay { day: Day(day), networks, ports, ..DiaryDay::default() };
            let mut baseline = Baseline::default();
            baseline.diary = (1..=10).map(day).collect();
            let (n_new_ports, port_exposure) = News::of(&baseline, Day(11)).of_ports();
            port_surprise(&Circumstances { n_new_ports, port_exposure, ..Circumstances::default() }, &Prior::default())
        };
        assert!(of(20, 0) > of(0, 0) + 0.8, "{} {}", of(20, 0), of(0, 0));
        assert!((of(1, 0) - of(0, 0)).abs() < 1e-9, "a day is an occasion without a new network, too");
        assert!(of(20, 1) < of(20, 0), "a port a day surprises nobody");
    }

    #[test]
    fn a_day_counts_its_networks_not_their_rotating_addresses() {
        let mut baselines = Baselines::default();
        let owner = baselines.owner("f");
        let at = |day: u32| Window((20_000 + day) * WINDOWS_PER_DAY);
        let mut call = |day: u32, (network, prefix): (u8, u8)| {
            let key: Arc<str> = format!("AS{network}").into();
            let network = Network { label: key.clone(), key };
            let address = [203, network.key.len() as u8 + 7, prefix, 1];
            let peer = baselines.ladder.peer(from_ip(address.into()), || network);
            let row =
                Observation { peer, port: 443, protocol: 6, window: at(day), n_flows: 1, ..Observation::default() };
            baselines.learn(owner, at(day), &[row]);
            baselines.ladder.rungs(peer).network
        };
        let (rotating, other) = (call(0, (1, 0)), call(1, (11, 100)));
        for day in 2..6 {
            for n in 0..9 {
                assert_eq!(call(day, (1, day as u8 * 10 + n)), rotating);
            }
        }
        call(4, (11, 104));
        call(5, (111, 105));
        let baseline = baselines.baseline(owner).unwrap();
        let most = |now: u32, by_prefix_too: &dyn Fn(u32) -> bool| {
            most_in_a_day(baseline, &baselines.ladder, at(now).day(), by_prefix_too)
        };
        assert_eq!((most(5, &|_| true), most(6, &|_| true)), (2, 2));
        assert_eq!((most(5, &|network| network != rotating), most(5, &|network| network != other)), (1, 1));
        assert_eq!((most(5, &|_| false), most(6, &|_| false)), (0, 1), "a new network always counts");
        assert_eq!(most(2, &|_| true), 0, "the first days are no news");
    }

    #[test]
    fn a_port_used_with_a_share_of_many_networks_is_as_likely_with_another() {
        let mut baselines = Baselines::default();
        let owner = baselines.owner("f");
        let window = Window(20_000 * WINDOWS_PER_DAY);
        let mut call = |network: u8, port: u16| {
            let key: Arc<str> = format!("AS{network}").into();
            let peer =
                baselines.ladder.peer(from_ip([203, network, 113, 7].into()), || Network { label: key.clone(), key });
            let row = Observation { peer, port, protocol: 6, window, n_flows: 1, ..Observation::default() };
            baselines.learn(owner, window, &[row]);
            let baseline = baselines.baseline(owner).unwrap();
            [8080, 443, 22].map(|port| (share_of_port(baseline, (port, 6)) * 100.0).round() as u32)
        };
        for network in 0..18 {
            call(network, 443);
        }
        assert_eq!((call(0, 8080), call(18, 8080)), ([0; 3], [0; 3]), "of few networks a share says nothing");
        assert_eq!(call(19, 443), [10, 95, 0], "hundredths");
        let surprise = |n_new| surprise(Subject::Service(0, 8080, 6), &met(n_new, 10.0), &Prior::default());
        assert!(surprise(0.1 * 10.0) < 1.6 && surprise(0.0) > 1.6, "no finding by itself any more");
    }

    #[test]
    fn news_on_other_ports_is_none_of_the_web() {
        let mut baselines = Baselines::default();
        let owner = baselines.owner("f");
        let at = |day: u32| Window((20_000 + day) * WINDOWS_PER_DAY);
        let mut call = |day: u32, network: u8, port: u16| {
            let key: Arc<str> = format!("AS{network}").into();
            let peer =
                baselines.ladder.peer(from_ip([203, network, 113, 7].into()), || Network { label: key.clone(), key });
            let row = Observation { peer, port, protocol: 6, window: at(day), n_flows: 1, ..Observation::default() };
            baselines.learn(owner, at(day), &[row]);
            (share_by_web(baselines.baseline(owner).unwrap(), at(day).day()) * 100.0).round() as u32
        };
        assert_eq!([call(0, 0, 443), call(1, 1, 443), call(2, 2, 25)], [100; 3], "there was no news");
        assert_eq!([call(3, 3, 25), call(4, 4, 25)], [0; 2]);
        assert_eq!((call(5, 4, 443), call(5, 5, 80)), (0, 0), "of today nothing counts");
        assert_eq!((call(6, 6, 8080), call(7, 6, 25)), (27, 43), "recent days count more");
    }

    #[test]
    fn a_fleet_of_none_has_the_default_prior() {
        let prior = Prior::of(&Baselines::default(), Day(20_000));
        assert_eq!(prior, Prior::default());
    }

    #[test]
    fn one_restless_function_does_not_speak_for_a_small_fleet() {
        let of = |n_quiet: usize, n_restless: usize| {
            let quiet = std::iter::repeat_n((0.0, 10.0), n_quiet);
            chance_of_fleet(quiet.chain(std::iter::repeat_n((10.0, 10.0), n_restless)))
        };
        for n_quiet in 2..12 {
            assert!(of(n_quiet, 1) <= PRIOR_WITHOUT_FLEET, "{n_quiet} and one: {}", of(n_quiet, 1));
        }
        assert!(of(6, 2) <= PRIOR_WITHOUT_FLEET && of(4, 4) > 0.05);
    }

    #[test]
    fn a_fleet_of_two_kinds_says_less_of_one_function() {
        let of = |kinds: [f64; 2]| worth(kinds.into_iter().cycle().map(|news| (news, 10.0)).take(20));
        assert!((of([1.0, 1.0]) - PRIOR_DAYS).abs() < 1e-9, "all alike");
        assert!(of([0.0, 9.0]) < 1.5, "half of it meets something new nearly daily");
        assert!(of([0.0, 6.0]) > of([0.0, 9.0]) && of([0.0, 6.0]) < PRIOR_DAYS);
        assert!(
            (worth([(0.0, 10.0), (9.0, 10.0)].into_iter()) - PRIOR_DAYS).abs() < 1e-9,
            "two functions are no fleet"
        );
    }
}
