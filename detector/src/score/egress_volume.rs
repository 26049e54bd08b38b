//! `egress-volume`: far more bytes out to a known network and port than this function ever sent it, in a window or a
//! day.
//!
//! Why it matters: stolen data that leaves through a provider the function already uses shows in nothing else.
//! What it weighs: by which factor the past's largest window is exceeded, under the past's own tail. A retry storm or a
//! busy hour makes more records of the usual size, so the bytes of one record must be exceeded as well, unless the
//! factor is beyond what load explains; and what all that is called rises by together, or the answers rise by, is load
//! at any factor. What stays inside the VPC has not left: it weighs less, and load explains any factor. What is asked
//! of a resolver has left, wherever the resolver is: it asks on.
//!
//! Statistic: beyond the largest of *n* past values the tail is taken as Pareto, P(X > r · max) = r^−α / (n + 1). What
//! α is, the values above the 90 % quantile say, as in Hill's estimate; so that few values say little, every α of the
//! range is weighed by how likely it makes them. Reference: Hill (1975), "A simple general approach to inference about
//! the tail of a distribution", for the likelihood. What the windows, or days, of a week in which the function does
//! anything bring by chance is taken off.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use baselines::distribution::Counts;
use baselines::known::{Totals, Volumes};
use baselines::ladder::is_private;
use baselines::newcomer::Contacted;
use baselines::observation::Observation;
use baselines::standing::Standing;
use baselines::window::Window;

use super::Check;
use super::oddity::{Oddity, PRIVATE_BANS, Topic};
use super::view::View;
use crate::amounts::bytes;
use crate::finding::{CheckId, Evidence, Quantity};

/// Bytes a window, and a day, below which no volume is judged. An archive of credentials is larger; what is less is the
/// ups and downs of requests.
const WINDOW_FLOOR_BYTES: u64 = 48 << 10;
/// The same for DNS, where a lookup is a hundred bytes and a window of them a few kilobytes.
const DNS_FLOOR_BYTES: u64 = 24 << 10;
const DAY_FLOOR_BYTES: u64 = 4 << 20;

/// Past windows, or days, needed before the largest of them means something: the days of a function that runs once a
/// day. That few of them say little is for the tail to say.
const MIN_PAST: u64 = 5;

/// Range of α: below 1 a tail has no mean and any factor would be ordinary; above 3 a factor of three would be
/// certainty.
const ALPHA_RANGE: (f64, f64) = (1.0, 3.0);

/// Steps in which the range is gone through; twice as many change no fiftieth of a ban.
const N_ALPHAS: u32 = 64;

/// Factor over the largest past value up to which it is not exceeded: values are kept by cells, and traffic grows.
const EXCEEDS: f64 = 1.5;

/// Seconds of a week, and of a day.
const WEEK_SECS: f64 = 7.0 * DAY_SECS;
const DAY_SECS: f64 = 86_400.0;

/// Factor over the largest window or day from which load alone explains nothing, whatever the size of a record.
const BEYOND_LOAD: f64 = 30.0;

/// Bytes sent for each byte that acknowledges them: one header of 40 bytes for two segments of some 1400, and room for
/// more.
const BYTES_PER_ACKNOWLEDGED: u64 = 30;

/// Others that must be called in the same window to tell load from one of them rising alone.
const LOAD_OTHERS: usize = 3;

/// Bans by which a day must have become odder to be told again: three times as unlikely, by half as many bytes again or
/// more.
const AGAIN_BANS: f64 = 0.5;

/// Share of the past above which a value belongs to the tail.
const TAIL_QUANTILE: f64 = 0.9;

/// Severity: Medium, as most of what is more than ever is a new job to a service in use; and where so many bytes left
/// that it is much whatever they are, the least that is High.
const SEVERITY: f64 = 6.0;
const LARGE_SEVERITY: f64 = 7.0;
const LARGE_BYTES: u64 = 50 << 20;

/// The check.
pub(super) struct EgressVolume;

impl Check for EgressVolume {
    fn id(&self) -> CheckId {
        CheckId::EgressVolume
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let Some(known) = view.baseline.known else { return Vec::new() };
        let weeks = ((view.window.start() - known.first.start()) as f64 / WEEK_SECS).max(DAY_SECS / WEEK_SECS);
        let a_week = [known.n_windows, known.n_days].map(|n| f64::from(n) / weeks);
        let service_of = |row, found| view.baseline.service_id(view.fleet.ladder, row, found);
        let judged = view.rows().filter(|(_, found)| match found.standing {
            Standing::Settled => true,
            Standing::Watched(subject) => view.baseline.is_told(subject),
            Standing::New(_) => false,
        });
        let may_be_seldom: BTreeSet<u32> = judged.filter_map(|(row, found)| service_of(row, found)).collect();
        let mut sent: Vec<(u32, &Observation)> =
            view.rows().filter_map(|(row, found)| Some((service_of(row, found)?, row))).collect();
        sent.sort_by_key(|(service, _)| *service);
        let rises = LazyCell::new(|| Rises::of(view, &sent));
        let of_service = sent.chunk_by(|a, b| a.0 == b.0).filter_map(|rows| {
            let &(service, _) = rows.first()?;
            let load = |span| rises.of_others(service, span);
            judge(view, service, rows.iter().map(|(_, row)| *row), may_be_seldom.contains(&service), a_week, &load)
        });
        of_service.collect()
    }
}

/// Judges what a window's `rows` send to one port of a network, where the port is known. `may_be_seldom`: whether some
/// of it goes to what is no newcomer any more, or under a finding; `a_week` and `load`: see [`Past`].
fn judge<'a>(
    view: &View<'_>,
    service: u32,
    rows: impl Iterator<Item = &'a Observation> + Clone,
    may_be_seldom: bool,
    a_week: [f64; 2],
    load: &dyn Fn(Span) -> f64,
) -> Option<Oddity> {
    let (&(network, port, protocol), service) = view.baseline.service_at(service)?;
    let volumes = &service.volumes;
    let sent = totals(rows.clone());
    let before = earlier_today(view, volumes);
    let mut today = before;
    today.add(&sent);
    let floor = if port == 53 { DNS_FLOOR_BYTES } else { WINDOW_FLOOR_BYTES };
    if sent.bytes_out == 0 || (sent.bytes_out < floor && today.bytes_out < DAY_FLOOR_BYTES) {
        return None;
    }
    // What has no past of its own is held to all the function sends: it was met too seldom and is no newcomer any more,
    // or a finding keeps its amounts from being learned.
    let is_seldom = may_be_seldom && volumes.window_bytes().n() < MIN_PAST;
    let volumes = if is_seldom { &view.baseline.volumes } else { volumes };
    let is_inside = |row: &Observation| is_private(view.rungs(row.peer).address);
    let past = Past { volumes, now: view.window, a_week, is_inside: port != 53 && rows.clone().all(is_inside), load };
    let window = past.window_bans(&sent, floor);
    let times_told = |bans: Option<f64>| bans.map_or(0, |bans| n_told(bans, view.needed_bans));
    let day = past.day_bans(&today).filter(|bans| times_told(Some(*bans)) > times_told(past.day_bans(&before)));
    let odd =
        [window.map(|bans| (bans, Span::Window, sent.bytes_out)), day.map(|bans| (bans, Span::Day, today.bytes_out))];
    let (bans, span, observed) = odd.into_iter().flatten().max_by(|a, b| a.0.total_cmp(&b.0))?;
    let (compared, most) = (span.past(volumes), span.most(volumes, view.window));
    let (one, many) = span.words();
    let mut destinations: Vec<Contacted> = rows.map(Contacted::of).collect();
    destinations.sort_by_key(|destination| std::cmp::Reverse(destination.bytes_out));
    Some(Oddity {
        check: CheckId::EgressVolume,
        topic: Topic::Service(network, port, protocol),
        bans,
        severity: if observed > LARGE_BYTES { LARGE_SEVERITY } else { SEVERITY },
        evidence: vec![Evidence {
            check: CheckId::EgressVolume,
            measure: span.measure(),
            observed: Quantity::Bytes(observed as f64),
            expected: Quantity::Bytes(most as f64),
            surprise: bans,
            statement: format!(
                "{} sent to {} in {one}; the most {}in {} {many} before was about {}",
                bytes(observed),
                view.network(network),
                if is_seldom { "to all destinations " } else { "" },
                compared.n() + u64::from(span.has_open(volumes, view.window)),
                bytes(most),
            ),
        }],
        destinations,
    })
}

/// What rows send.
fn totals<'a>(rows: impl Iterator<Item = &'a Observation>) -> Totals {
    rows.fold(Totals::default(), |mut totals, row| {
        let Observation { bytes_out, bytes_in, n_flows, .. } = *row;
        totals.add(&Totals { bytes_out, bytes_in, n_flows, ..Totals::default() });
        totals
    })
}

/// What was sent on the window's day before it.
fn earlier_today(view: &View<'_>, volumes: &Volumes) -> Totals {
    if volumes.open_day.0 == view.window.day() { volumes.open_day.1 } else { Totals::default() }
}

/// By which factor of its largest before each of what is called in a window is exceeded, in the window and on its day.
struct Rises(Vec<(u32, [f64; 2])>);

impl Rises {
    /// Those of what a window sends, sorted by the numbers of ports of networks.
    fn of(view: &View<'_>, sent: &[(u32, &Observation)]) -> Self {
        let of_service = |rows: &[(u32, &Observation)]| {
            let &(service, _) = rows.first()?;
            let (_, known) = view.baseline.service_at(service)?;
            let volumes = &known.volumes;
            let sent = totals(rows.iter().map(|(_, row)| *row)).bytes_out;
            let today = earlier_today(view, volumes).bytes_out.saturating_add(sent);
            Some((service, [rise(sent, volumes.window_bytes()), rise(today, volumes.day_bytes())]))
        };
        Self(sent.chunk_by(|a, b| a.0 == b.0).filter_map(of_service).collect())
    }

    /// The factor that at least half of the others rise by; 1 where they rise by less, or are too few to say.
    fn of_others(&self, service: u32, span: Span) -> f64 {
        let of_span = |&(_, [window, day]): &(u32, [f64; 2])| match span {
            Span::Window => window,
            Span::Day => day,
        };
        let mut others: Vec<f64> = self.0.iter().filter(|(other, _)| *other != service).map(of_span).collect();
        others.sort_by(f64::total_cmp);
        let middle = others.get(others.len().saturating_sub(1) / 2);
        middle.filter(|_| others.len() >= LOAD_OTHERS).map_or(1.0, |rise| rise.max(1.0))
    }
}

/// By which factor bytes exceed the largest of the past; 0 where there is too little past to say.
fn rise(bytes: u64, past: Counts<'_>) -> f64 {
    if past.n() < MIN_PAST { 0.0 } else { bytes as f64 / past.max().max(1) as f64 }
}

/// A span of time whose bytes are compared with those of such spans before.
#[derive(Clone, Copy)]
enum Span {
    Window,
    Day,
}

impl Span {
    /// What is measured of it.
    fn measure(self) -> &'static str {
        match self {
            Self::Window => "bytes_out_window",
            Self::Day => "bytes_out_day",
        }
    }

    /// One of it, and many, in words.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Window => ("ten minutes", "windows of ten minutes"),
            Self::Day => ("a day", "days"),
        }
    }

    /// The bytes of such spans before.
    fn past(self, volumes: &Volumes) -> Counts<'_> {
        match self {
            Self::Window => volumes.window_bytes(),
            Self::Day => volumes.day_bytes(),
        }
    }

    /// Whether the latest such span with traffic has ended before a window and is not counted yet.
    fn has_open(self, volumes: &Volumes, now: Window) -> bool {
        match self {
            Self::Window => volumes.open_window.0 < now,
            Self::Day => volumes.open_day.0 < now.day(),
        }
    }

    /// The most bytes of such a span before a window.
    fn most(self, volumes: &Volumes, now: Window) -> u64 {
        let open = match self {
            Self::Window => volumes.open_window.1.bytes_out,
            Self::Day => volumes.open_day.1.bytes_out,
        };
        self.past(volumes).max().max(if self.has_open(volumes, now) { open } else { 0 })
    }
}

/// How often a day will have been told once it has so many bans: once when it reaches the `needed` ones, and once more
/// for each [`AGAIN_BANS`] beyond.
///
/// A window tells the day only if it raises this number. Otherwise one window that made the day odd would have every
/// later one tell it again, with whatever destinations that later window happened to call.
fn n_told(bans: f64, needed: f64) -> u32 {
    if bans < needed { 0 } else { 1 + ((bans - needed) / AGAIN_BANS) as u32 }
}

/// What volumes are compared with.
struct Past<'a> {
    volumes: &'a Volumes,
    /// The window that is judged.
    now: Window,
    /// Windows, and days, of a week in which the function does anything.
    a_week: [f64; 2],
    /// Whether they stay inside the VPC and its peers.
    is_inside: bool,
    /// By which factor everything else that is called rises; asked only of what is more than ever.
    load: &'a dyn Fn(Span) -> f64,
}

impl Past<'_> {
    /// Bans of a window's bytes, less what the windows of a week bring by chance.
    fn window_bans(&self, sent: &Totals, floor: u64) -> Option<f64> {
        let [n_trials, _] = self.a_week;
        self.bans(Span::Window, n_trials, sent, floor, || self.volumes.flow_bytes_out().max())
    }

    /// Bans of a day's bytes so far, less what the days of a week bring by chance.
    fn day_bans(&self, today: &Totals) -> Option<f64> {
        let [_, n_trials] = self.a_week;
        self.bans(Span::Day, n_trials, today, DAY_FLOOR_BYTES, || self.record_bytes_of_days())
    }

    /// Bans of what was sent in a span, where `record_bytes` tells how large a record of such spans is.
    fn bans(
        &self,
        span: Span,
        n_trials: f64,
        sent: &Totals,
        floor: u64,
        record_bytes: impl Fn() -> u64,
    ) -> Option<f64> {
        let past = span.past(self.volumes);
        let record = sent.bytes_out.checked_div(sent.n_flows.into())?;
        if sent.bytes_out < floor || past.n() < MIN_PAST {
            return None;
        }
        let ratio = sent.bytes_out as f64 / span.most(self.volumes, self.now).max(1) as f64;
        if ratio <= EXCEEDS {
            return None;
        }
        let ratio = ratio / (self.load)(span) / self.answers_rise(sent, record);
        let record_ratio = record as f64 / record_bytes().max(1) as f64;
        // Inside the VPC a backfill or a migration is load beyond any factor.
        let is_beyond_load = ratio >= BEYOND_LOAD && !self.is_inside;
        let ratio = if is_beyond_load { ratio } else { ratio.min(record_ratio) };
        let inside = if self.is_inside { PRIVATE_BANS } else { 0.0 };
        Some(beyond_max(past, ratio, n_trials)? - inside)
    }

    /// By which factor the largest answers before are exceeded, 1 where they are not: who is asked more often, or more
    /// at once, answers as much more, and who takes an upload acknowledges it. `record`: the bytes of a record sent.
    fn answers_rise(&self, sent: &Totals, record: u64) -> f64 {
        let answered = sent.bytes_in.checked_div(sent.n_flows.into()).unwrap_or(0);
        let beyond = answered.saturating_sub(record / BYTES_PER_ACKNOWLEDGED);
        (beyond as f64 / self.volumes.most_flow_bytes_in.max(1) as f64).max(1.0)
    }

    /// The usual size of a record, in bytes, against which the records of a day are held: the mean over all past days,
    /// or the size that nine windows in ten stay below, where that is larger. The largest size of any window would be
    /// no measure for days: among thousands of windows one had a single large record.
    ///
    /// An example of what this does: a day is r times as large as usual, and what it has more came in records of k
    /// times the usual size. Then its mean record is r / (1 + (r − 1) / k) times the usual one. Where load made the day
    /// large (k = 1), that is 1; where few large records did, it is nearly r.
    fn record_bytes_of_days(&self) -> u64 {
        let Volumes { open_day: (_, day), open_window: (_, window), .. } = self.volumes;
        let sum = |past: Counts<'_>| {
            past.cells().map(|(value, count)| value.saturating_mul(count)).fold(0, u64::saturating_add)
        };
        // Windows of the open day that are over count already, the day does not.
        let n_flows_open = u64::from(day.n_flows.saturating_sub(window.n_flows));
        let n_flows = sum(self.volumes.window_flows()).saturating_sub(n_flows_open);
        let mean = sum(self.volumes.day_bytes()).checked_div(n_flows).unwrap_or(0);
        mean.max(self.volumes.flow_bytes_out().value_at(TAIL_QUANTILE))
    }
}

/// Bans of exceeding the largest past value by a factor, less those of `n_trials` tries; `None` when it does not
/// exceed.
fn beyond_max(past: Counts<'_>, ratio: f64, n_trials: f64) -> Option<f64> {
    if ratio <= EXCEEDS {
        return None;
    }
    let n = past.n() as f64;
    let by_chance = (n_trials / (n + 1.0)).max(1.0).log10();
    Some(-tail(past, ratio).log10() - by_chance)
}

/// Probability that what exceeds the largest past value does so by a factor: r^−α, averaged over the range of α with
/// weights by the likelihood of the values above the 90 % quantile, α^k · e^(−α · Σ ln(x / base)). Values equal to the
/// base are among them: many equals make a steep tail, few say nothing.
fn tail(past: Counts<'_>, ratio: f64) -> f64 {
    let base = past.value_at(TAIL_QUANTILE).max(1) as f64;
    let n = past.n() as f64;
    let n_tail = n - (TAIL_QUANTILE * n).ceil();
    let above = past.cells().filter(|&(value, _)| value as f64 > base);
    let sum: f64 = above.map(|(value, count)| count as f64 * (value as f64 / base).ln()).sum();
    let (from, to) = ALPHA_RANGE;
    let alphas = (0..N_ALPHAS).map(|step| from + (to - from) * (f64::from(step) + 0.5) / f64::from(N_ALPHAS));
    let log_weight = |alpha: f64| n_tail * alpha.ln() - alpha * sum;
    // The likeliest weighs 1, so that thousands of values do not underflow.
    let likeliest = alphas.clone().map(log_weight).fold(f64::NEG_INFINITY, f64::max);
    let (weighed, weights) = alphas.fold((0.0, 0.0), |(weighed, weights), alpha| {
        let weight = (log_weight(alpha) - likeliest).exp();
        (weighed + weight * ratio.powf(-alpha), weights + weight)
    });
    weighed / weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use baselines::distribution::Distribution;

    fn past(values: &[u64]) -> Distribution {
        let mut out = Distribution::default();
        for &value in values {
            out.record(value);
        }
        out
    }

    /// The index of a tail that is as probable at a factor of ten.
    fn index(values: &[u64]) -> f64 {
        -tail(past(values).view(), 10.0).log10()
    }

    #[test]
    fn what_has_just_ended_was_before_and_what_goes_on_was_not() {
        let mut volumes = Volumes::default();
        for (window, bytes_out) in [(144, 256), (288, 1024)] {
            volumes.add(Window(window), &Totals { n_flows: 1, bytes_out, ..Totals::default() });
        }
        for (span, now, most, has_open) in [
            (Span::Window, 288, 256, false),
            (Span::Window, 289, 1024, true),
            (Span::Day, 431, 256, false),
            (Span::Day, 432, 1024, true),
        ] {
            assert_eq!(
                (span.most(&volumes, Window(now)), span.has_open(&volumes, Window(now))),
                (most, has_open),
                "{now}"
            );
        }
    }

    #[test]
    fn a_past_of_many_equals_has_the_steepest_tail() {
        assert!(index(&[5000; 1500]) > 2.9);
    }

    #[test]
    fn a_wide_past_has_a_flat_tail() {
        let wide: Vec<u64> = (0..20u32).flat_map(|k| vec![1u64 << k; 10]).collect();
        assert!(index(&wide) < 1.5, "{}", index(&wide));
    }

    #[test]
    fn few_values_say_little_of_the_tail() {
        let [none, few, many] = [0, 20, 2000].map(|n| index(&vec![5000; n]));
        assert!(ALPHA_RANGE.0 < none && none < few && few < many && many < ALPHA_RANGE.1, "{none} {few} {many}");
    }

    #[test]
    fn more_beyond_is_more_surprising() {
        let past = past(&[300_000; 2000]);
        assert_eq!(beyond_max(past.view(), 1.2, 1008.0), None);
        assert!(beyond_max(past.view(), 20.0, 1008.0) > beyond_max(past.view(), 5.0, 1008.0));
    }

    #[test]
    fn a_busy_function_brings_more_by_chance_than_a_daily_job() {
        let past = past(&[300_000; 20]);
        assert!(beyond_max(past.view(), 20.0, 500.0) < beyond_max(past.view(), 20.0, 7.0));
    }

    /// Volumes of so many days with `n_windows` windows each, of so many records and bytes.
    fn days(n_days: u32, n_windows: u32, n_flows: u32, bytes_out: u64) -> Volumes {
        let mut out = Volumes::default();
        for window in (0..n_days).flat_map(|day| (0..n_windows).map(move |n| Window((day + 1) * 144 + n))) {
            out.add(window, &Totals { n_flows, bytes_out, ..Totals::default() });
        }
        out
    }

    fn past_of(volumes: &Volumes) -> Past<'_> {
        Past { volumes, now: volumes.open_window.0, a_week: [144.0, 7.0], is_inside: false, load: &|_| 1.0 }
    }

    fn sent(n_flows: u32, bytes_out: u64) -> Totals {
        Totals { n_flows, bytes_out, ..Totals::default() }
    }

    #[test]
    fn a_job_that_runs_once_a_day_is_judged() {
        let one = sent(1, 3_500_000);
        assert!(past_of(&days(20, 1, 1, 5000)).window_bans(&one, WINDOW_FLOOR_BYTES) > Some(2.5));
        assert_eq!(past_of(&days(4, 1, 1, 5000)).window_bans(&one, WINDOW_FLOOR_BYTES), None);
    }

    #[test]
    fn a_day_of_many_records_of_the_usual_size_is_load() {
        // 1.44 MB a day in records of 1 kB.
        let volumes = days(14, 144, 10, 10_000);
        let past = past_of(&volumes);
        assert_eq!(past.day_bans(&sent(20_000, 20_000_000)), None);
        assert!(past.day_bans(&sent(60_000, 60_000_000)) > Some(1.6), "no load makes forty times as much");
    }

    #[test]
    fn a_day_of_larger_records_is_no_load() {
        // The usual day, and 100 kB every ten minutes: no window is odd by itself.
        let volumes = days(14, 144, 10, 10_000);
        assert!(past_of(&volumes).day_bans(&sent(1440 + 144, 1_440_000 + 14_400_000)) > Some(1.6));
    }

    #[test]
    fn the_windows_of_a_drip_do_not_hide_its_day() {
        let mut volumes = days(14, 144, 10, 10_000);
        for n in 0..100 {
            volumes.add(Window(15 * 144 + n), &sent(11, 110_000));
        }
        assert!(past_of(&volumes).day_bans(&volumes.open_day.1) > Some(1.6));
    }

    #[test]
    fn what_everything_else_rises_by_is_load() {
        let volumes = days(14, 144, 10, 10_000);
        let burst = sent(100, 2_000_000);
        assert!(past_of(&volumes).window_bans(&burst, WINDOW_FLOOR_BYTES) > Some(1.6), "two hundred times as much");
        let rises = |others: [f64; 4]| Rises((0..).zip(others.map(|rise| [rise, 1.0])).collect());
        let bans = |rises: &Rises| {
            let load = |span| rises.of_others(0, span);
            Past { load: &load, ..past_of(&volumes) }.window_bans(&burst, WINDOW_FLOOR_BYTES)
        };
        assert_eq!(bans(&rises([200.0, 150.0, 180.0, 0.5])), None, "most of the others do as much");
        assert_eq!(bans(&rises([200.0, 0.5, 0.9, 0.5])), past_of(&volumes).window_bans(&burst, WINDOW_FLOOR_BYTES));
        assert!(
            (Rises(vec![(1, [200.0; 2]), (2, [200.0; 2])]).of_others(0, Span::Window) - 1.0).abs() < 1e-9,
            "too few"
        );
        let young = days(2, 4, 1, 10_000);
        assert!(rise(1 << 20, young.window_bytes()) > 1.0);
        assert!(rise(1 << 20, young.day_bytes()) < 1.0, "two days say nothing of a day");
    }

    #[test]
    fn a_day_is_told_once_until_it_is_odder() {
        assert_eq!([0.0, 1.59, 1.6, 2.0, 2.11, 2.59, 2.61].map(|bans| n_told(bans, 1.6)), [0, 0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn a_backfill_inside_the_vpc_is_load() {
        let volumes = days(14, 144, 10, 10_000);
        let inside = Past { is_inside: true, ..past_of(&volumes) };
        assert_eq!(inside.day_bans(&sent(60_000, 60_000_000)), None);
        let larger = sent(14_000, 60_000_000);
        assert!(inside.day_bans(&larger).unwrap() < past_of(&volumes).day_bans(&larger).unwrap() - PRIVATE_BANS + 1e-9);
    }
}
