//! Learn: folds what was observed into the baseline, in event time, once it has settled.
//!
//! ```text
//!  observations  ──▶ folded so far │ settled: judge, then learn, for good │ may still grow: looked at on a copy
//!                              until                            newest − grace, whole hours
//! ```
//!
//! What is folded in changes the memory, which is stored as a new version; the pointer is swapped by conditional put,
//! and who loses that race starts over from the winner's version. Findings are delivered before the swap: a crash
//! between repeats the fold, and delivering twice changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use baselines::store::sha256;
use baselines::window::{WINDOWS_PER_HOUR, Window};
use detector::config::Config;
use detector::finding::Finding;
use detector::pipeline::Outcome;
use detector::write::json;
use serde_json::{Value, json};

use crate::door::{Door, Invocation};
use crate::knowledge::World;
use crate::memory::Learned;
use crate::state::Listed;
use crate::walk::{self, Set, rows_between, without_told};
use crate::watch::now_secs;

/// Stored bytes of observations folded in at a time. More than that, and the earliest days come first.
const MAX_FOLD_BYTES: u64 = 32 << 20;

/// How often a lost race for the pointer is begun anew.
const MAX_RACES: u32 = 10;

/// Time within which nothing new is begun.
const RESERVED_MILLIS: i64 = 60_000;

/// Folds until nothing settled is left or time runs out.
pub(crate) async fn run(door: &mut Door, invocation: &mut Invocation) -> anyhow::Result<Value> {
    let (mut n_folded, mut races) = (0, 0);
    loop {
        match fold(door, invocation).await? {
            Folded::All(n) => {
                n_folded += n;
                break;
            }
            Folded::Some(n) => n_folded += n,
            Folded::Lost => {
                races += 1;
                invocation.metrics.count("PointerConflicts", 1);
                anyhow::ensure!(races < MAX_RACES, "{races} times another learner stored its version first");
            }
        }
        if invocation.millis_left() < RESERVED_MILLIS.min(invocation.millis_granted / 4) {
            tracing::warn!("time is up with more to fold in; the next run goes on");
            invocation.metrics.count("LearnUnfinished", 1);
            break;
        }
    }
    invocation.metrics.count("Folded", n_folded);
    Ok(json!({"folded": n_folded}))
}

/// What one round did.
enum Folded {
    /// Everything there is, so many observations.
    All(u64),
    /// The earliest days.
    Some(u64),
    /// Another learner was first.
    Lost,
}

/// What a round learned, and what it has to tell.
struct Round {
    next: Learned,
    findings: Vec<Finding>,
    n_folded: u64,
    n_repeated: u64,
    n_late: usize,
    n_accepted: usize,
    /// Records of interfaces that nobody owns: left out for good.
    n_unowned: u64,
}

async fn fold(door: &mut Door, invocation: &mut Invocation) -> anyhow::Result<Folded> {
    let world = door.world().await?;
    if world.n_refused > 0 {
        invocation.metrics.count("KnowledgeRefused", world.n_refused);
    }
    if let Some(why) = &world.networks_refused {
        anyhow::bail!("nothing is folded in until there are networks to judge by: {why}");
    }
    let (tag, learned) = door.memory.learned(&door.state).await?;
    if tag.is_none() {
        invocation.metrics.count("BaselineMissing", 1);
        tracing::warn!("there is no baseline, or it was deleted: learning anew from all stored observations");
    }
    let pending = learned.pending(&door.state).await?;
    let (chosen, rest) = chosen(&pending, &learned.begun, MAX_FOLD_BYTES);
    let sets = door.sets.load(&door.state, chosen).await?;
    let until = settled_until(&sets, rest.first(), &learned, door.settings.grace_secs);
    let mut round = settle_and_walk(door, invocation, &world, &learned, &sets, until).await?;
    if rest.is_empty() {
        round.findings = look_ahead(&world, &round.next, &sets).await?;
    }
    invocation.newest = sets.iter().flat_map(|(_, set)| set.rows.iter().map(|row| row.last)).max();
    let (told, delivered) = door.deliver(invocation, &world, &round.findings, &learned.told).await;
    round.note_told(told, &world.config);
    let is_changed = round.has_changed(&learned);
    // The next round would choose the same again, and so would every run after this one.
    anyhow::ensure!(
        is_changed || rest.is_empty(),
        "no progress: {} objects' observations changed nothing, and {} more wait behind them; this is a bug",
        chosen.len(),
        rest.len()
    );
    if is_changed && !store(door, &mut round.next, tag.as_deref()).await? {
        return Ok(Folded::Lost);
    }
    if round.n_unowned > 0 {
        invocation.metrics.count("Unowned", round.n_unowned);
    }
    // Only now: what cannot be told must not keep the baseline from learning.
    delivered?;
    let Round { next, findings, n_folded, n_repeated, n_late, n_accepted, n_unowned } = round;
    tracing::info!(
        version = next.number,
        is_changed,
        n_pending = pending.len(),
        n_read = sets.len(),
        n_observations = n_folded,
        n_repeated,
        n_late,
        n_accepted,
        n_unowned,
        until = until.start(),
        n_owners = next.memory.baselines.owners.len(),
        n_incidents = next.memory.incidents.len(),
        n_findings = findings.len(),
        "folded"
    );
    Ok(if rest.is_empty() { Folded::All(n_folded) } else { Folded::Some(n_folded) })
}

/// Judges and learns what has settled, for good.
async fn settle_and_walk(
    door: &mut Door,
    invocation: &mut Invocation,
    world: &World,
    learned: &Learned,
    sets: &[Set],
    until: Window,
) -> anyhow::Result<Round> {
    let mut settled = rows_between(sets, learned, Window(0), until);
    let told = without_told(&mut door.sets, &door.state, learned, &mut settled, u64::MAX).await?;
    let n_repeated = told.unwrap_or_default();
    let n_late = settled.iter().flat_map(|(_, set)| &set.rows).filter(|row| row.window < learned.until).count();
    invocation.metrics.count("Late", n_late as u64);
    let n_folded: u64 = settled.iter().map(|(_, set)| set.rows.len() as u64).sum();
    let mut next = learned.clone();
    // Before the walk, so that nothing more is told of it; and after, for what the walk itself told.
    let mut n_accepted = accept(world, &mut next);
    let Outcome { findings, coverage, memory } = walk::walk(world, settled, next.memory).await?;
    next.memory = memory;
    n_accepted += accept(world, &mut next);
    next.until = until;
    for (key, set) in sets {
        next.fold(key, set.rows.iter().all(|row| row.window < until));
    }
    next.forget();
    let n_unowned = coverage.n_unknown_interface;
    Ok(Round { next, findings, n_folded, n_repeated, n_late, n_accepted, n_unowned })
}

/// Judges what may still grow, on a copy of what was learned; gives all findings.
async fn look_ahead(world: &World, next: &Learned, sets: &[Set]) -> anyhow::Result<Vec<Finding>> {
    let open = rows_between(sets, next, next.until, Window(u32::MAX));
    Ok(walk::walk(world, open, next.memory.clone()).await?.findings)
}

impl Round {
    /// Remembers what was told of the findings there are, and forgets incidents as the baseline forgets.
    fn note_told(&mut self, told: BTreeMap<String, String>, config: &Config) {
        let ids: BTreeSet<String> = self.findings.iter().map(|finding| finding.id.to_string()).collect();
        self.next.told = told;
        self.next.told.retain(|id, _| ids.contains(id));
        self.next.memory.incidents.forget(self.next.until.day(), config);
    }

    /// Whether there is anything to store.
    fn has_changed(&self, learned: &Learned) -> bool {
        let next = &self.next;
        self.n_folded > 0
            || self.n_accepted > 0
            || next.begun != learned.begun
            || next.folded != learned.folded
            || next.told != learned.told
    }
}

/// Stores what was learned as the next version, unless another learner was first; says whether it did.
async fn store(door: &Door, next: &mut Learned, tag: Option<&str>) -> anyhow::Result<bool> {
    next.number += 1;
    if !next.store(&door.state, tag).await? {
        return Ok(false);
    }
    next.clear_old(&door.state).await?;
    Ok(true)
}

/// Accepts what a person accepted, once: the list of ids stays, and what comes under one of them later nobody has seen.
/// Says how many findings held something back.
fn accept(world: &World, next: &mut Learned) -> usize {
    let baselines = &mut next.memory.baselines;
    world.accepted.iter().filter(|&&id| !baselines.is_accepted(id) && !baselines.accept(id).is_empty()).count()
}

/// The earliest days' observations, as many as are folded in at a time, and the rest. At least one whole day that is
/// not begun: what is begun settles only when something newer is read beside it.
fn chosen<'a>(pending: &'a [Listed], begun: &BTreeSet<String>, max_bytes: u64) -> (&'a [Listed], &'a [Listed]) {
    let day = |listed: &Listed| listed.key.get(..23).unwrap_or_default().to_owned();
    let (mut n_bytes, mut at, mut is_any_new) = (0, 0, false);
    for of_day in pending.chunk_by(|a, b| day(a) == day(b)) {
        n_bytes += of_day.iter().map(|listed| listed.size).sum::<u64>();
        if is_any_new && n_bytes > max_bytes {
            break;
        }
        at += of_day.len();
        is_any_new |= of_day.iter().any(|listed| !begun.contains(&listed.key));
    }
    pending.split_at(at)
}

/// The first window that may still grow: whole hours, a grace after the newest record, never before what is folded in.
fn settled_until(sets: &[Set], rest: Option<&Listed>, learned: &Learned, grace_secs: i64) -> Window {
    let newest = sets.iter().flat_map(|(_, set)| set.rows.iter().map(|row| row.window)).max();
    // A record dated in the future must not close the hours before it.
    let end = newest.map_or(0, |newest| newest.end().min(now_secs()));
    // The engine walks whole hours.
    let mut until = Window::of(end - grace_secs).0 / WINDOWS_PER_HOUR * WINDOWS_PER_HOUR;
    if let Some(rest) = rest
        && let Some(day) = crate::memory::day_of(&rest.key)
    {
        until = until.min(day.first_window().0);
    }
    Window(until).max(learned.until)
}

/// A hash of a finding as it is stored, for knowing whether there is anything new to deliver.
pub(crate) fn digest(finding: &Finding) -> String {
    sha256(json::render(finding).as_bytes())[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use baselines::observation::{Observation, Observations};

    fn listed(key: &str, size: u64) -> Listed {
        Listed { key: key.to_owned(), size, tag: String::new() }
    }

    fn set(windows: &[u32]) -> Set {
        let rows = windows.iter().map(|&window| Observation { window: Window(window), ..Observation::default() });
        ("k".to_owned(), Arc::new(Observations { rows: rows.collect(), ..Observations::default() }))
    }

    #[test]
    fn whole_days_are_chosen_the_earliest_first() {
        let pending = [
            listed("observations/2026-03-01/_a.parquet", 10),
            listed("observations/2026-03-01/_b.parquet", 9),
            listed("observations/2026-03-02/_a.parquet", 1),
            listed("observations/2026-03-03/_a.parquet", 1),
        ];
        let n_chosen = |pending| chosen(pending, &BTreeSet::new(), 10).0.len();
        assert_eq!(n_chosen(&pending), 2, "a day is never split");
        assert_eq!(n_chosen(&pending[2..]), 2);
        assert_eq!(n_chosen(&[]), 0);
    }

    /// What the learner folds in round by round, at most 10 bytes at a time, of observations with their windows.
    fn rounds(stored: &[(Listed, &[u32])]) -> Vec<u32> {
        let (mut learned, mut untils) = (Learned::default(), Vec::new());
        loop {
            let pending: Vec<_> = stored.iter().map(|(listed, _)| listed.clone()).collect();
            let pending: Vec<_> =
                pending.into_iter().filter(|at| learned.begun.contains(&at.key) || !learned.holds(&at.key)).collect();
            let (chosen, rest) = chosen(&pending, &learned.begun, 10);
            let windows = |key: &str| stored.iter().find(|(listed, _)| listed.key == key).map_or(&[][..], |of| of.1);
            let sets: Vec<Set> = chosen.iter().map(|at| (at.key.clone(), set(windows(&at.key)).1)).collect();
            let until = settled_until(&sets, rest.first(), &learned, 1800);
            let before = (learned.until, learned.begun.clone(), learned.folded.clone());
            learned.until = until;
            for (key, set) in &sets {
                learned.fold(key, set.rows.iter().all(|row| row.window < until));
            }
            untils.push(until.0);
            if rest.is_empty() {
                return untils;
            }
            assert!(before != (until, learned.begun.clone(), learned.folded.clone()), "round {untils:?}");
        }
    }

    #[test]
    fn what_a_day_left_over_does_not_hold_up_a_large_day_after_it() {
        let of_day =
            |day: u32, size| listed(&format!("observations/1970-03-0{day}/_00112233445566{day}8.parquet"), size);
        // To the last window of its day: within the grace nothing of the last hour settles.
        let [first, second, third]: [u32; 3] = [60, 61, 62].map(|day| day * 144 + 143);
        let stored = [(of_day(2, 1), &[first][..]), (of_day(3, 11), &[second]), (of_day(4, 11), &[third])];
        assert_eq!(rounds(&stored), [first - 5, second - 5, third - 5]);
    }

    #[test]
    fn hours_settle_a_grace_after_the_newest_record() {
        let learned = Learned { until: Window(12), ..Learned::default() };
        let until = |windows: &[u32], grace| settled_until(&[set(windows)], None, &learned, grace).0;
        assert_eq!(until(&[100], 0), 96);
        assert_eq!(until(&[101], 0), 102);
        assert_eq!(until(&[101], 600), 96);
        assert_eq!(until(&[3], 0), 12, "never back");
        assert_eq!(settled_until(&[], None, &learned, 0).0, 12);
        let far = until(&[u32::MAX], 0);
        assert!(i64::from(far) * 600 <= now_secs(), "the future settles nothing");
        let rest = listed("observations/1970-01-01/_00112233445566778899.parquet", 1);
        assert_eq!(settled_until(&[set(&[500])], Some(&rest), &learned, 0).0, 12, "days not read yet do not settle");
    }
}
