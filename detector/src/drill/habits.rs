//! Habits: what each function does in the user's own logs, as far as a drill must know it to play a call-out on it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use baselines::Baselines;
use baselines::heirs::{WarmUp, functions};
use baselines::ladder::{from_ip, is_private, to_ip};
use baselines::window::{Day, Window};

use crate::pipeline::{Gathered, short_names};

/// Seconds of a day.
const DAY_SECS: i64 = 86_400;

/// One function, or one interface where there is no inventory.
#[derive(Debug, Default)]
pub(super) struct Habits {
    /// The owner's name: ARNs, or the interface.
    pub(super) owner: Arc<str>,
    /// Minutes of activity by window.
    pub(super) active: BTreeMap<Window, u16>,
    /// What it called.
    pub(super) called: BTreeMap<Destination, Called>,
    /// Its interfaces, each with the last window it was seen in and the flow log that tells most of it.
    pub(super) enis: BTreeMap<Arc<str>, (Window, Arc<str>)>,
    /// The first second from which on it can be played on, judged by its behaviour; `None` when the logs end before.
    pub(super) ready_at: Option<i64>,
}

/// Address, port and protocol.
pub(super) type Destination = (IpAddr, u16, u8);

/// What is known of a destination.
#[derive(Debug, Default)]
pub(super) struct Called {
    /// Days it was called on.
    pub(super) days: BTreeSet<Day>,
    /// Windows it was called in.
    pub(super) n_windows: u64,
}

impl Habits {
    /// Every owner in the logs, by name.
    ///
    /// An owner that `start` knows is as old and as ready as it says.
    pub(super) fn of(gathered: &Gathered, start: &Baselines, warm_up: WarmUp) -> Vec<Self> {
        let mut all: BTreeMap<Arc<str>, Self> = BTreeMap::new();
        let mut n_told: BTreeMap<(Arc<str>, Arc<str>), u64> = BTreeMap::new();
        for (flow_log, set) in gathered.sets() {
            let flow_log: Arc<str> = flow_log.into();
            // Answers alone are no call.
            for row in set.rows.iter().filter(|row| row.n_flows > 0 || row.n_rejected > 0) {
                let owner = set.owners.name(row.owner);
                let (Some(eni), Some(peer)) = (set.enis.get(row.eni as usize), set.peers.get(row.peer as usize)) else {
                    continue;
                };
                let habits = all.entry(Arc::clone(&owner)).or_insert_with(|| Self { owner, ..Self::default() });
                *habits.active.entry(row.window).or_default() |= row.minutes;
                let called = habits.called.entry((to_ip(peer.address), row.port, row.protocol)).or_default();
                called.days.insert(row.window.day());
                called.n_windows += 1;
                let n = n_told.entry((Arc::clone(&eni.id), Arc::clone(&flow_log))).or_default();
                *n += u64::from(row.n_flows);
                let seen = habits.enis.entry(Arc::clone(&eni.id)).or_default();
                seen.0 = seen.0.max(row.window);
            }
        }
        let mut all: Vec<Self> = all.into_values().collect();
        for habits in &mut all {
            for (eni, (_, flow_log)) in &mut habits.enis {
                let told = n_told.range((Arc::clone(eni), "".into())..).take_while(|((of, _), _)| of == eni);
                let best = told.max_by_key(|&((_, flow_log), &n)| (n, std::cmp::Reverse(Arc::clone(flow_log))));
                *flow_log = best.map(|((_, flow_log), _)| Arc::clone(flow_log)).unwrap_or_default();
            }
            habits.ready_at = habits.ready(start, warm_up);
        }
        all
    }

    fn ready(&self, start: &Baselines, warm_up: WarmUp) -> Option<i64> {
        let before = start.owners.id(&self.owner).and_then(|owner| start.baseline(owner)).and_then(|b| b.known);
        let first = self.active.keys().next()?.start();
        let (begins, n_days) = before.map_or((first, 0), |known| (known.first.start().min(first), known.n_days));
        // Judging begins on the last of the days needed, with what is learned of it; a drill waits for the next one.
        let days: BTreeSet<Day> = self.active.keys().map(|window| window.day()).collect();
        let seen_enough = match warm_up.n_days.saturating_sub(n_days) {
            0 => first,
            n_more => days.iter().nth(n_more as usize)?.first_window().start(),
        };
        Some(seen_enough.max(begins + warm_up.secs))
    }

    /// The first second it was seen in the logs.
    pub(super) fn begins(&self) -> i64 {
        self.active.keys().next().map_or(0, |window| window.start())
    }

    /// Whether it runs about once an hour or more often on the days it runs on.
    pub(super) fn is_busy(&self) -> bool {
        let days: BTreeSet<Day> = self.active.keys().map(|window| window.day()).collect();
        self.active.len() >= days.len() * 24
    }

    /// The first second of activity from `at` on, within two days.
    pub(super) fn awake(&self, at: i64) -> Option<i64> {
        let until = Window::of(at + 2 * DAY_SECS);
        let minutes = self.active.range(Window::of(at)..=until).flat_map(|(window, &mask)| {
            (0..10).filter(move |minute| mask >> minute & 1 == 1).map(|minute| window.start() + minute * 60)
        });
        minutes
            .map(|minute| (minute, minute.max(at)))
            .find(|(minute, start)| minute + 60 > *start)
            .map(|(_, start)| start)
    }

    /// The interface it uses at a time: the one that ends soonest after it, else the last.
    pub(super) fn eni(&self, at: i64) -> Option<(&Arc<str>, &Arc<str>)> {
        let window = Window::of(at);
        let open = self.enis.iter().filter(|(_, (last, _))| *last >= window).min_by_key(|(_, (last, _))| *last);
        let any = || self.enis.iter().max_by_key(|(_, (last, _))| *last);
        open.or_else(any).map(|(eni, (_, flow_log))| (eni, flow_log))
    }

    /// Addresses outside that it called.
    pub(super) fn outside(&self) -> impl Iterator<Item = (&Destination, &Called)> {
        self.called.iter().filter(|((address, ..), _)| !is_private(from_ip(*address)))
    }

    /// The names of its functions, without the rest of their ARNs; the interface where there are none.
    pub(super) fn name(&self) -> String {
        short_names(&self.owner)
    }

    /// Whether the owner is called so: by name or by ARN, whole or one of those that share an interface.
    pub(super) fn is_called(&self, typed: &str) -> bool {
        functions(&self.owner).any(|arn| arn == typed || arn.rsplit(':').next() == Some(typed))
    }
}
