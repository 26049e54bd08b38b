//! `beacon`: contact with a newcomer at a regular interval that the function's own rhythm does not explain.
//!
//! Why it matters: an implant polls. What it weighs: how much closer together the intervals between contacts lie than
//! chance would have them, for periods from minutes to hours, with jitter. A function that itself runs at that rhythm,
//! one contact a run, explains it. Being busy does not: a poll in each window of a function that is active in each is a
//! poll. Contacts and runs are compared over the same times: since the last long silence, without pauses, and where it
//! is known when the function ran.
//!
//! Statistic ([`mod@rhythm`]): how many intervals lie within a share of their median, against the binomial chance of
//! contacts at random (shifted exponential intervals of the same median, or, where contacts are dense, those that are
//! left when near ones are taken for one); the two that fixed the median are not counted. Compare RITA's beacon score
//! (activecm/rita), which measures skew and dispersion of the same intervals over a day, without asking what the host
//! itself does.
//!
//! What is not a poll: a connection that is held gives a record in every aggregation interval;
//! [`super::long_connection`] tells of it.
//!
//! False positives: a scheduled report to a new service; it is told once.

mod rhythm;

use std::collections::BTreeSet;

use baselines::baseline::Baseline;
use baselines::distribution::Counts;
use baselines::newcomer::{Newcomer, Subject};
use baselines::window::{WINDOW_MINUTES, Window};

use super::oddity::{Oddity, Topic};
use super::view::View;
use super::{Check, novelty};
use crate::finding::{CheckId, Evidence, Quantity};
use rhythm::{MIN_PERIOD_MINUTES, ONE_CONTACT_MINUTES, Rhythm, SPREAD_FLOOR, rhythm, since_silence, spells, steady};

/// Shortest period judged by intervals where flow logs aggregate over ten minutes: what is used all the time has a
/// record in each of them.
const MIN_COARSE_MINUTES: f64 = 15.0;

/// Share of the function's own runs with contact above which the function's rhythm explains it, where hardly a run has
/// two and nearly each contact falls into one.
const EXPLAINED_SHARE: f64 = 0.5;
const CONTACTS_PER_RUN: f64 = 1.5;
const IN_RUNS_SHARE: f64 = 0.8;

/// Share of the period that a run may last at the most to be taken for one although it rests in between: when in a
/// longer one there is contact, the run does not say.
const RUN_SHARE: f64 = 0.25;

/// Periods without contact that are a pause: runs in it say nothing of the rhythm outside. A judgement: a poll that
/// skips a run or two goes on.
const PAUSE_PERIODS: f64 = 3.0;

/// Share of its active windows with contact above which a function may use a new service in all it does: less severe,
/// and of a part of a known network no poll.
const BUSY_SHARE: f64 = 0.5;

/// Share of minutes below which a function rests in most of them, so that its own runs can be told from its pauses.
const RESTING_SHARE: f64 = 0.4;

/// Least share of connections in the records of a poll: one that lasts from one aggregation interval into the next
/// gives two.
const CONNECTIONS_PER_RECORD: f64 = 0.5;

/// Least dispersion of a poll that is assumed: windows cut it now before a record, now after.
const LEAST_DISPERSION: f64 = 0.01;

/// The function's own records explain a poll's rhythm if they are at most this many times as dispersed as the poll. A
/// judgement, not a measurement: records of connections that a function keeps open vary by far more than a poll's,
/// those of a schedule by about as much.
const DISPERSED_TIMES: f64 = 4.0;

/// Something is part of the function's runs if it is met at most this many times as often as the function makes records
/// of its own. A judgement: a run that calls two or three others does not call a fourth ten times.
const MOST_OFTENER: f64 = 2.0;

/// Bans taken off a prefix of a known network besides: there are many of them, and one will look regular. Chosen on
/// development fleets (see *Where fitted numbers come from* in `docs/detection.md`): it was half as much, until parts
/// of known networks were most of the false alerts on those of the second generator.
const PREFIX_TRIALS_BANS: f64 = 1.2;

/// A window has unusually many records if no more than this share of the network's past windows had as many. Every
/// window with contact is looked at, so the share is divided by their number.
const UNUSUAL_SHARE: f64 = 0.1;

/// Bans a contact can bring at the most: four contacts suggest, a dozen convince.
const BANS_PER_CONTACT: f64 = 0.25;

/// Bans at the most: regular is not yet malicious.
const MOST_BANS: f64 = 3.0;

/// Bans from which a rhythm is spoken of at all: with fewer a reader would not see one.
const MIN_BANS: f64 = 0.3;

/// Severity of a slow poll and of one that is fast for its function, which is as often a new service in steady use; and
/// what is taken off for each ban of familiarity: what many functions know is more often a service that moved.
const SLOW_SEVERITY: f64 = 7.2;
const FAST_SEVERITY: f64 = 6.2;
const FAMILIAR_SEVERITY: f64 = 2.0;

/// The check.
pub(super) struct Beacon;

impl Check for Beacon {
    fn id(&self) -> CheckId {
        CheckId::Beacon
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let newcomers = view.newcomers_that_may_last().filter(|(_, newcomer)| !view.is_inside(newcomer));
        newcomers
            .filter_map(|(subject, newcomer)| {
                let is_part_of_known = matches!(subject, Subject::Prefix(_));
                if is_part_of_known && is_replaced(view, newcomer) {
                    return None;
                }
                let contacts = since_silence(&newcomer.contacts);
                let is_busy = || is_busy(view.baseline, contacts, view.window);
                let is_none = || (is_part_of_known && is_busy()) || is_one_connection(newcomer, contacts);
                let is_coarse = view.baseline.records.are_coarse(view.fleet_records);
                let least = if is_coarse { MIN_COARSE_MINUTES } else { MIN_PERIOD_MINUTES };
                let by_interval = rhythm(contacts).filter(|rhythm| rhythm.period_minutes >= least);
                let is_explained =
                    |rhythm: &Rhythm| is_explained(view.baseline, contacts, rhythm.period_minutes, view.window);
                // What is explained contact by contact is no poll either when its records are counted.
                if by_interval.as_ref().is_some_and(is_explained) {
                    return None;
                }
                let by_interval = by_interval.filter(|_| !is_none());
                let by_count = || {
                    steady(&newcomer.counts).filter(|steady| {
                        !is_held(newcomer, steady) && !is_steady_itself(view, subject, newcomer, steady)
                    })
                };
                let rhythm = by_interval.or_else(by_count)?;
                let candidates = if is_part_of_known { PREFIX_TRIALS_BANS } else { 0.0 };
                let is_fast = rhythm.is_fast() || is_busy();
                let severity = if is_fast { FAST_SEVERITY } else { SLOW_SEVERITY };
                let bans = (rhythm.bans - candidates).min(rhythm.n_contacts as f64 * BANS_PER_CONTACT).min(MOST_BANS);
                (bans > MIN_BANS).then(|| Oddity {
                    check: CheckId::Beacon,
                    topic: Topic::Newcomer(subject),
                    bans,
                    severity: severity - novelty::familiarity(&newcomer.met) * FAMILIAR_SEVERITY,
                    evidence: vec![Evidence {
                        check: CheckId::Beacon,
                        measure: "interval",
                        observed: Quantity::Secs((rhythm.period_minutes * 60.0).round()),
                        expected: Quantity::Secs(0.0),
                        surprise: bans,
                        statement: format!(
                            "{}, about {}, give or take {}{:.0} %; nothing else the {} does explains this rhythm",
                            rhythm.counted_words(newcomer),
                            rhythm.rate_words(),
                            if rhythm.spread > SPREAD_FLOOR { "" } else { "at most " },
                            rhythm.spread * 100.0,
                            view.owner_word(),
                        ),
                    }],
                    destinations: newcomer.destinations.clone(),
                })
            })
            .collect()
    }
}

/// Whether there is contact in most windows that the function is active in: it may be how it uses a new service.
fn is_busy(baseline: &Baseline, contacts: &[u32], now: Window) -> bool {
    let contacts = comparable(baseline, contacts);
    let Some(&first) = contacts.first() else { return false };
    let active = baseline.active.windows(Window::of_minute(first), now).filter(|&(_, minutes)| minutes != 0);
    let contact_windows: BTreeSet<u32> = contacts.iter().map(|minute| minute / WINDOW_MINUTES).collect();
    contact_windows.len() as f64 > active.count().max(1) as f64 * BUSY_SHARE
}

/// Whether the contacts are records of one connection that was held through most of them: not one of them is a poll.
fn is_one_connection(newcomer: &Newcomer, contacts: &[u32]) -> bool {
    let [Some(first), Some(last)] = [contacts.first(), contacts.last()] else { return false };
    let is_held = newcomer.held.is_one_connection();
    is_held && newcomer.held.secs() * 2 > i64::from(last - first) * 60
}

/// The contacts at times of which it is known whether the function was active: to compare others with its activity
/// would be to take what is not known of it for rest.
fn comparable<'a>(baseline: &Baseline, contacts: &'a [u32]) -> &'a [u32] {
    let since = baseline.active_since();
    contacts.get(contacts.partition_point(|&minute| Window::of_minute(minute) < since)..).unwrap_or_default()
}

/// Whether the function's own activity explains contacts: they come once a run of it, or in the minutes it runs in
/// while it rests in most others.
fn is_explained(baseline: &Baseline, contacts: &[u32], period_minutes: f64, now: Window) -> bool {
    let contacts = comparable(baseline, contacts);
    let Some(&first) = contacts.first() else { return false };
    let active = || baseline.active.windows(Window::of_minute(first), now).filter(|&(_, minutes)| minutes != 0);
    let n_active_windows = active().count() as u32;
    let n_active_minutes: u32 = active().map(|(_, minutes)| minutes.count_ones()).sum();
    // The window under judgement is not in the ring yet.
    let past = || contacts.iter().copied().filter(|&minute| Window::of_minute(minute) < now);
    let minutes = |(window, minutes): (Window, u16)| {
        (0..WINDOW_MINUTES).filter(move |at| minutes >> at & 1 == 1).map(move |at| window.0 * WINDOW_MINUTES + at)
    };
    let pauses = pauses(contacts, period_minutes);
    let is_in_pause = |run: &(u32, u32)| pauses.iter().any(|pause| pause.0 < run.0 && run.1 < pause.1);
    let polls = spells(past(), ONE_CONTACT_MINUTES);
    let is_long = |run: &(u32, u32)| f64::from(run.1 - run.0) > period_minutes * RUN_SHARE;
    let explains = |apart: u32| {
        let mut runs = spells(active().flat_map(minutes), apart);
        runs.retain(|run| !is_in_pause(run));
        let are_runs = apart == ONE_CONTACT_MINUTES || !runs.iter().any(is_long);
        are_runs && is_once_a_run(&polls, &runs, apart / 2)
    };
    // Within as much as a rhythm may be off, a run is one though it rests in between.
    let apart = (period_minutes * SPREAD_FLOOR) as u32;
    if explains(ONE_CONTACT_MINUTES) || (apart > ONE_CONTACT_MINUTES && explains(apart)) {
        return true;
    }
    let (n_past, n_with_others) = past().fold((0u32, 0u32), |(n, n_with), minute| {
        let around = minute.saturating_sub(1)..=minute + 1;
        let is_active = |minute: u32| {
            let minutes = baseline.active.minutes(Window(minute / WINDOW_MINUTES));
            minutes >> (minute % WINDOW_MINUTES) & 1 == 1
        };
        (n + 1, n_with + u32::from(around.into_iter().any(is_active)))
    });
    let rests = f64::from(n_active_minutes) < f64::from(n_active_windows * WINDOW_MINUTES) * RESTING_SHARE;
    rests && n_past > 0 && f64::from(n_with_others) >= f64::from(n_past) * IN_RUNS_SHARE
}

/// The last minutes before and the first after pauses of contact, so wide apart that runs beside them are in none.
fn pauses(contacts: &[u32], period_minutes: f64) -> Vec<(u32, u32)> {
    let pairs = contacts.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)));
    let pauses = pairs.filter(|(before, after)| f64::from(after - before) > period_minutes * PAUSE_PERIODS);
    pauses.map(|(before, after)| (before + 1, after - 1)).collect()
}

/// Whether contacts come and go with a function's runs, as what it does in each of them would. A run begins and ends
/// so many minutes before and after those it was seen in.
fn is_once_a_run(contacts: &[(u32, u32)], runs: &[(u32, u32)], around: u32) -> bool {
    let run_of = |&(minute, _): &(u32, u32)| {
        let at = runs.partition_point(|&(_, last)| last + around < minute);
        runs.get(at).filter(|&&(first, _)| first <= minute + around).map(|_| at)
    };
    let in_runs: Vec<usize> = contacts.iter().filter_map(run_of).collect();
    let n_hit = in_runs.iter().collect::<BTreeSet<_>>().len() as f64;
    let (n_in_runs, n_contacts) = (in_runs.len() as f64, contacts.len() as f64);
    n_in_runs >= n_contacts.max(1.0) * IN_RUNS_SHARE
        && n_in_runs <= n_hit * CONTACTS_PER_RUN
        && n_hit > runs.len() as f64 * EXPLAINED_SHARE
}

/// Whether a newcomer inside a known network takes a share of what was always sent there: no more records go to the
/// network in this window than in nearly all before, the fewer of which may have had more the more windows there was
/// contact in. A balancer's new node polled as the old one was is no beacon.
fn is_replaced(view: &View<'_>, newcomer: &Newcomer) -> bool {
    let Some(first) = newcomer.destinations.first() else { return true };
    let network = view.rungs(first.peer).network;
    let Some(service) = view.baseline.service(network, first.port, first.protocol) else { return false };
    let rows = view.rows.iter().filter(|row| {
        (row.port, row.protocol) == (first.port, first.protocol) && view.rungs(row.peer).network == network
    });
    let n_flows: u64 = rows.map(|row| u64::from(row.n_flows)).sum();
    let windows: BTreeSet<u32> = newcomer.contacts.iter().map(|minute| minute / WINDOW_MINUTES).collect();
    is_usual(n_flows, service.volumes.window_flows(), windows.len())
}

/// Whether so many records are usual for a window, of those with contact the one that was looked at last.
fn is_usual(n_flows: u64, past: Counts<'_>, n_windows: usize) -> bool {
    n_flows <= past.value_at(1.0 - UNUSUAL_SHARE / n_windows.max(1) as f64)
}

/// Whether steady records are those of connections that are held: each gives one in every aggregation interval by
/// nature. A poll has a connection, and a local port, for each record or two; what is held has one for all.
fn is_held(newcomer: &Newcomer, steady: &Rhythm) -> bool {
    let records_in_half_window = f64::from(WINDOW_MINUTES) / steady.period_minutes / 2.0;
    newcomer.held.n_connections() < records_in_half_window * CONNECTIONS_PER_RECORD
}

/// Whether the function's own flow records in the same windows are as steady: then steadiness is its own.
fn is_steady_itself(view: &View<'_>, subject: Subject, newcomer: &Newcomer, poll: &Rhythm) -> bool {
    let active = &view.baseline.active;
    let own: Vec<(Window, u32)> = newcomer.counts.iter().map(|&(window, _)| (window, active.n_flows(window))).collect();
    // Part of a known network is asked as steadily as that is.
    let times = if matches!(subject, Subject::Prefix(_)) { f64::INFINITY } else { DISPERSED_TIMES };
    lends_rhythm(&own, poll, times)
}

/// Whether a function with so many records of its own may be what is steady in a poll: they are steady, no more than so
/// many times as dispersed, and not far fewer. Connections that it holds make a steady number of records, but a poll's
/// is steadier by far; a run that calls two or three others does not call a fourth ten times.
fn lends_rhythm(own: &[(Window, u32)], poll: &Rhythm, times: f64) -> bool {
    // A function that hardly spoke in those windows has no rhythm to lend.
    steady(own).is_some_and(|own| {
        let is_frequent = own.period_minutes <= poll.period_minutes * MOST_OFTENER || times.is_infinite();
        is_frequent && own.bans > 0.0 && own.dispersion() <= poll.dispersion().max(LEAST_DISPERSION) * times
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use baselines::distribution::Distribution;
    use baselines::window::Day;

    #[test]
    fn the_more_windows_are_looked_at_the_rarer_is_what_counts_as_more() {
        let mut past = Distribution::default();
        // One record a window, two in one of thirty, and once three.
        (0..300).for_each(|window| past.record(if window % 30 == 0 { 2 } else { 1 }));
        past.record(3);
        let usual = |n_flows| [1, 10, 32].map(|n_windows| is_usual(n_flows, past.view(), n_windows));
        assert_eq!(usual(1), [true, true, true]);
        assert_eq!(usual(2), [false, true, true], "one of thirty is met in ten");
        assert_eq!(usual(4), [false, false, false], "what was never sent is more");
    }

    /// Of a function that runs for some minutes in each period, and of a network that it calls in each run in some
    /// hours of some days: whether the runs explain the rhythm, in each window of the last of these days with a call.
    /// `None` where there is no rhythm.
    fn explained(period: u32, run: u32, days: &[u32], hours: std::ops::Range<u32>) -> Vec<Option<bool>> {
        const DAY: u32 = 24 * 60;
        let last_day = *days.last().unwrap();
        let mut baseline = Baseline::default();
        let mut newcomer = Newcomer::new(Window(days[0] * 144), baselines::newcomer::Circumstances::default());
        baseline.diary =
            (0..=last_day).map(|day| baselines::baseline::DiaryDay { day: Day(day), ..Default::default() }).collect();
        let mut said = Vec::new();
        for window in 0..(last_day + 1) * 144 {
            let (mut mask, mut calls) = (0u16, 0u16);
            for at in 0..10 {
                let minute = window * 10 + at;
                mask |= u16::from(minute % period < run) << at;
                let is_call = minute % period == 0 && days.contains(&(minute / DAY));
                calls |= u16::from(is_call && hours.contains(&(minute % DAY / 60))) << at;
            }
            let row = baselines::observation::Observation {
                window: Window(window),
                minutes: calls,
                n_flows: calls.count_ones(),
                ..Default::default()
            };
            if calls != 0 {
                newcomer.add(&row);
                let contacts = since_silence(&newcomer.contacts);
                if window / 144 == last_day {
                    let rhythm = rhythm(contacts);
                    said.push(rhythm.map(|r| is_explained(&baseline, contacts, r.period_minutes, Window(window))));
                }
            }
            // Before the fourth day nothing has settled.
            if window >= 3 * 144 {
                baseline.active.mark(Window(window), mask, mask.count_ones());
            }
        }
        said
    }

    #[test]
    fn a_network_that_comes_back_is_explained_by_runs_since_as_a_new_one_is() {
        let check = |period: u32, run: u32, days: &[u32], hours: std::ops::Range<u32>| {
            let said = explained(period, run, days, hours.clone());
            assert!(said.contains(&Some(true)), "{period} {run} {days:?} {hours:?}: {said:?}");
            assert!(!said.contains(&Some(false)), "{period} {run} {days:?} {hours:?}: {said:?}");
        };
        for run in [1, 2] {
            check(5, run, &[9], 0..24);
            check(5, run, &[1, 9], 0..24);
            check(5, run, &[2, 7], 0..24);
            check(5, run, &[9, 13, 17], 0..24);
            check(10, run, &[1, 9], 9..17);
            check(60, run, &[1, 2, 9], 0..24);
            check(60, run, &[2, 4, 7], 0..24);
        }
        // It rests in less than most minutes.
        for run in [2, 3] {
            check(5, run - 1, &[1, 8], 0..24);
            check(6, run, &[9, 10], 9..17);
            check(6, run, &[5, 9], 9..17);
        }
    }

    /// Whether a function that is seen in these minutes of each day explains a call in this one, after nine days.
    fn is_daily_call_explained(seen: impl Fn(u32) -> bool, call: impl Fn(u32) -> u32) -> bool {
        const DAY: u32 = 24 * 60;
        let mut baseline = Baseline::default();
        baseline.diary =
            (0..9).map(|day| baselines::baseline::DiaryDay { day: Day(day), ..Default::default() }).collect();
        for window in 3 * 144..9 * 144 {
            let mask = (0..10).fold(0u16, |mask, at| mask | u16::from(seen((window * 10 + at) % DAY)) << at);
            baseline.active.mark(Window(window), mask, mask.count_ones());
        }
        let contacts: Vec<u32> = (3..9).map(|day| day * DAY + call(day)).collect();
        let rhythm = rhythm(&contacts).unwrap();
        is_explained(&baseline, &contacts, rhythm.period_minutes, Window(9 * 144))
    }

    #[test]
    fn what_a_nightly_job_calls_once_has_the_rhythm_of_the_job() {
        let night = |minute: u32| [287, 289, 294, 299].contains(&minute);
        assert!(is_daily_call_explained(night, |day| 285 + day * 5 % 17), "before, between and after what is known");
        assert!(!is_daily_call_explained(night, |day| 600 + day % 3), "at noon");
        let all_day = |minute: u32| minute.is_multiple_of(20);
        assert!(!is_daily_call_explained(all_day, |day| 287 + day % 3), "one of many runs");
        let office = |minute: u32| (480..1080).contains(&minute) && minute.is_multiple_of(20);
        assert!(!is_daily_call_explained(office, |day| 606 + day % 3), "a run of ten hours says no moment");
    }

    #[test]
    fn records_of_a_held_connection_are_no_poll() {
        let newcomer = |ports: fn(u32) -> [u64; 2]| {
            let mut newcomer = Newcomer::new(Window(100), baselines::newcomer::Circumstances::default());
            for window in 100..124 {
                newcomer.counts.push((Window(window), 10));
                let [early, late] = ports(window);
                newcomer.held.extend(Window(window), early, late);
            }
            newcomer
        };
        let is_held = |newcomer: &Newcomer| is_held(newcomer, &steady(&newcomer.counts).unwrap());
        assert!(is_held(&newcomer(|_| [1 << 9; 2])));
        assert!(is_held(&newcomer(|window| [1 << (window / 6); 2])), "opened anew every hour");
        assert!(is_held(&newcomer(|window| if window == 123 { [1, 2] } else { [1; 2] })), "opened anew just now");
        let own = newcomer(|window| [0b1_1111u64.rotate_left(window * 10), 0b1_1111u64.rotate_left(window * 10 + 5)]);
        assert!(!is_held(&own), "each with a connection of its own");
        assert!(!is_held(&newcomer(|_| [0; 2])), "no ports told");
    }

    #[test]
    fn held_connections_lend_no_rhythm_to_a_poll_a_minute_and_a_schedule_does() {
        let counts = |counts: &[u32]| counts.iter().zip(0..).map(|(&n, w)| (Window(w), n)).collect::<Vec<_>>();
        let poll = steady(&counts(&[3, 10, 10, 10, 11, 10, 10, 10, 10, 10, 11, 4])).unwrap();
        let held = counts(&[8, 11, 13, 12, 13, 12, 14, 13, 10, 12, 13, 9]);
        assert!(steady(&held).is_some_and(|held| held.bans > 0.0));
        assert!(!lends_rhythm(&held, &poll, DISPERSED_TIMES));
        let scheduled = counts(&[8, 20, 20, 20, 20, 20, 21, 20, 20, 20, 20, 9]);
        assert!(lends_rhythm(&scheduled, &poll, DISPERSED_TIMES));
        assert!(!lends_rhythm(&counts(&[0; 12]), &poll, DISPERSED_TIMES), "asleep");
        let seldom = counts(&[4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4]);
        assert!(!lends_rhythm(&seldom, &poll, DISPERSED_TIMES), "ten calls where it makes four");
        let exact = steady(&counts(&[10; 12])).unwrap();
        assert!(lends_rhythm(&scheduled, &exact, DISPERSED_TIMES) && lends_rhythm(&held, &exact, f64::INFINITY));
    }
}
