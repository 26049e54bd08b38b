//! Gather: objects into observations on the shelf, in parallel, each object all or nothing.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use baselines::baseline::span_of;
use baselines::observation::Observations;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{Job, NotRead, Observed, limits, own, settle, unowned};
use crate::coverage::{Coverage, Unreadable};
use crate::read::{self, Object};
use crate::rollup::{self, Interface, Known, Rollup};

/// Bytes hashed at a time.
const HASH_CHUNK: usize = 1 << 20;

/// What one object gave.
struct Read {
    observations: Observations,
    rows: rollup::Account,
    account: read::Account,
    unknown: BTreeSet<String>,
}

/// An object with the same bytes as another one, which is read instead.
#[derive(Debug, PartialEq, Eq)]
struct Duplicate {
    object: String,
    of: String,
}

/// Reads all objects; what each gave goes to `keep` with its flow log, in no order that means anything.
pub(super) fn gather(
    job: &Job<'_>,
    objects: Vec<Arc<dyn Object>>,
    keep: impl FnMut(&str, Observations) -> io::Result<()> + Send,
) -> io::Result<Coverage> {
    let (objects, duplicates) = distinct(objects);
    let mut coverage = Coverage::default();
    let gathered = Mutex::new((keep, &mut coverage, Ok(())));
    let reader = Reader::new(job, limits(job.config), rayon::current_num_threads());
    objects.par_iter().for_each(|object| {
        let read = reader.read(object);
        let n_rows = read.as_ref().map_or(0, |read| read.account.rows_read);
        let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let (keep, coverage, kept) = &mut *gathered;
        match read {
            Ok(read) => {
                coverage.add(&read);
                if kept.is_ok() {
                    *kept = keep(flow_log(object.name()), read.observations);
                }
            }
            Err(NotRead { why, .. }) => {
                let name = object.name();
                // The account names the object itself.
                let why = why.strip_prefix(name).and_then(|why| why.strip_prefix(": ")).unwrap_or(&why);
                coverage.unreadable.push(Unreadable { object: name.to_owned(), error: why.to_owned() });
            }
        }
        drop(gathered);
        job.progress.object_done(object.size(), n_rows);
    });
    let (_, _, kept) = gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
    kept?;
    coverage.note_duplicates(&duplicates);
    coverage.unreadable.sort();
    keep_first(&mut coverage.unknown_interfaces, Coverage::MAX_UNKNOWN_NAMED);
    Ok(coverage)
}

/// Reads one object for a door that keeps observations itself.
///
/// Whoever keeps them reads from afar and has about one core. A row group is one unit then: a second one, that begins
/// in its middle, would walk the pages before it, which are fetched again. Of 6 million rows in one row group 3.7 times
/// the object was fetched.
pub(super) fn observe(job: &Job<'_>, object: &Arc<dyn Object>) -> Result<Observed, NotRead> {
    let limits = read::Limits { max_unit_rows: u64::MAX, ..limits(job.config) };
    let mut read = Reader { keeps_unowned: true, ..Reader::new(job, limits, 0) }.read(object)?;
    let n_inbound = own::keep_calls(&mut read.observations);
    read.rows.n_observed -= n_inbound.min(read.rows.n_observed);
    read.rows.n_not_egress += n_inbound;
    // They were taken for their own owners.
    let (n_unowned, unknown_accounts) = unowned::keep_expected(job.knowledge, &mut read.observations);
    read.rows.n_observed -= n_unowned.min(read.rows.n_observed);
    read.rows.n_unknown_interface += n_unowned;
    let mut coverage = Coverage::default();
    coverage.add(&read);
    job.progress.object_done(object.size(), coverage.n_rows);
    let flow_log = flow_log(object.name()).to_owned();
    Ok(Observed { flow_log, observations: read.observations.sorted(), coverage, unknown_accounts })
}

/// Reads objects, several at a time.
struct Reader<'a> {
    job: &'a Job<'a>,
    limits: read::Limits,
    /// Empty ones with the memory of an object before. Taking it anew for each object, page by page from the system,
    /// costs more than grouping.
    spare: Mutex<Vec<Rollup>>,
    /// As many are kept at most.
    max_spare: usize,
    /// Whether what unknown interfaces did is kept, under their ids: see `unowned`.
    keeps_unowned: bool,
}

/// A unit read.
struct UnitRead {
    rollup: Rollup,
    account: read::Account,
    unknown: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn new(job: &'a Job<'a>, limits: read::Limits, max_spare: usize) -> Self {
        Self { job, limits, spare: Mutex::default(), max_spare, keeps_unowned: false }
    }

    fn read(&self, object: &Arc<dyn Object>) -> Result<Read, NotRead> {
        // Formats are guarded where they are decoded; this holds the door against what nobody foresaw.
        catch_unwind(AssertUnwindSafe(|| self.units(object))).unwrap_or_else(|_| {
            let why = "an internal error; the other objects are not affected".to_owned();
            Err(NotRead { why, is_other_log: false })
        })
    }

    fn units(&self, object: &Arc<dyn Object>) -> Result<Read, NotRead> {
        let said = |error: read::Error| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            NotRead { why: text, is_other_log: matches!(error, read::Error::OtherLog { .. }) }
        };
        let opened = read::open(Arc::clone(object), &self.limits).map_err(said)?;
        let units: Result<Vec<_>, read::Error> =
            (0..opened.n_units()).into_par_iter().map(|unit| self.unit(&opened, unit)).collect();
        let mut units = units.map_err(said)?.into_iter();
        let mut whole = units.next().unwrap_or_else(|| UnitRead {
            rollup: self.rollup(),
            account: read::Account::default(),
            unknown: BTreeSet::new(),
        });
        for unit in units {
            whole.rollup.merge(unit.rollup);
            whole.account.add(&unit.account);
            whole.unknown.extend(unit.unknown);
        }
        let UnitRead { mut rollup, account, unknown } = whole;
        opened.check(&account).map_err(said)?;
        if rollup.is_full() {
            let why = format!("{}: a million interfaces, or 64 million addresses, in one object", object.name());
            return Err(NotRead { why, is_other_log: false });
        }
        let (observations, rows) = rollup.finish();
        self.spare(rollup);
        Ok(Read { observations, rows, account, unknown })
    }

    fn unit(&self, opened: &read::Opened, unit: usize) -> Result<UnitRead, read::Error> {
        let mut rollup = self.rollup();
        let mut unknown = BTreeSet::new();
        let mut judge = |id: &str| {
            let interface = self.job.knowledge.interface(id);
            if matches!(interface, Interface::Unknown) {
                unknown.insert(id.to_owned());
                if unknown.len() > Coverage::MAX_UNKNOWN_NAMED {
                    unknown.pop_last();
                }
                if self.keeps_unowned {
                    return Interface::Judged(Known::itself(id).into());
                }
            }
            interface
        };
        let account = opened.read_unit(unit, &mut |batch| rollup.push(&batch, &mut judge))?;
        Ok(UnitRead { rollup, account, unknown })
    }

    fn rollup(&self) -> Rollup {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Rollup::new(self.job.span))
    }

    fn spare(&self, rollup: Rollup) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < self.max_spare {
            spare.push(rollup);
        }
    }
}

impl Coverage {
    /// Notes duplicates: what could not be read of the object read instead cannot be read of them either.
    fn note_duplicates(&mut self, duplicates: &[Duplicate]) {
        let before = std::mem::take(&mut self.unreadable);
        let errors: HashMap<&str, &str> = before.iter().map(|one| (&*one.object, &*one.error)).collect();
        for Duplicate { object, of } in duplicates {
            match errors.get(of.as_str()) {
                Some(&error) => {
                    self.unreadable.push(Unreadable { object: object.clone(), error: error.to_owned() });
                }
                None => self.n_objects_duplicate += 1,
            }
        }
        self.unreadable.extend(before);
    }

    fn add(&mut self, read: &Read) {
        let (account, rows) = (&read.account, &read.rows);
        self.n_objects += 1;
        self.n_rows += account.rows_read;
        self.n_nodata += account.rows_nodata;
        self.n_skipdata += account.rows_skipdata;
        for (reason, rejected) in &account.rows_rejected {
            *self.rejected.entry(reason.name()).or_default() += rejected.n_rows;
            self.reject_examples.extend(rejected.examples.iter().map(|example| {
                format!("{} at {}: {}: {}", example.object, example.position, reason.name(), example.text)
            }));
        }
        keep_first(&mut self.reject_examples, read::MAX_EXAMPLES);
        self.n_outside_span += rows.n_outside_span;
        self.n_not_egress += rows.n_not_egress;
        self.n_observed += rows.n_observed;
        self.n_other_interface += rows.n_other_interface;
        self.n_unknown_interface += rows.n_unknown_interface;
        self.unknown_interfaces.extend(read.unknown.iter().cloned());
        if self.unknown_interfaces.len() > 4 * Coverage::MAX_UNKNOWN_NAMED {
            keep_first(&mut self.unknown_interfaces, Coverage::MAX_UNKNOWN_NAMED);
        }
        self.span = span_of(self.span, settle::span(&read.observations.rows));
    }
}

/// Keeps the first of what there is, in order, each once: the same ones whatever came first.
fn keep_first<T: Ord>(values: &mut Vec<T>, most: usize) {
    values.sort();
    values.dedup();
    values.truncate(most);
}

/// Objects with different bytes, by name, and their duplicates. What another flow log delivered is none: of two that
/// record an interface the one with more records is kept, and they would be missing there. Only objects alike in size
/// and end are compared: a gzip ends in its checksum, Parquet in where the pages of each column lie, before its
/// writer's name.
fn distinct(mut objects: Vec<Arc<dyn Object>>) -> (Vec<Arc<dyn Object>>, Vec<Duplicate>) {
    const END_BYTES: u64 = 4 << 10;
    objects.sort_by(|a, b| a.name().cmp(b.name()));
    let sizes: Vec<_> = objects.iter().map(|object| Some(object.size())).collect();
    let ends = digests_of_alike(&objects, &sizes, END_BYTES);
    let digests = digests_of_alike(&objects, &ends, u64::MAX);
    let mut seen: HashMap<(String, [u8; 32]), String> = HashMap::new();
    let (mut kept, mut duplicates) = (Vec::with_capacity(objects.len()), Vec::new());
    for (object, digest) in objects.into_iter().zip(digests) {
        match digest.map(|digest| seen.entry((flow_log(object.name()).to_owned(), digest))) {
            Some(Entry::Occupied(of)) => {
                duplicates.push(Duplicate { object: object.name().to_owned(), of: of.get().clone() });
            }
            first => {
                first.map(|first| first.or_insert_with(|| object.name().to_owned()));
                kept.push(object);
            }
        }
    }
    (kept, duplicates)
}

/// The SHA-256 of each object's last bytes that is like another one so far; `None` for the others and for what cannot
/// be read, which reading will report.
fn digests_of_alike<T: Copy + Eq + Hash + Sync>(
    objects: &[Arc<dyn Object>],
    alike: &[Option<T>],
    n_bytes: u64,
) -> Vec<Option<[u8; 32]>> {
    let mut counts: HashMap<T, u32> = HashMap::new();
    for likeness in alike.iter().flatten() {
        *counts.entry(*likeness).or_default() += 1;
    }
    let is_alike = |likeness: &Option<T>| likeness.is_some_and(|likeness| counts.get(&likeness) > Some(&1));
    let digest = |(object, likeness): (&Arc<dyn Object>, _)| {
        if is_alike(likeness) { end_digest(&**object, n_bytes) } else { None }
    };
    objects.par_iter().zip(alike).map(digest).collect()
}

/// SHA-256 of an object's size and last bytes; `None` when it cannot be read.
fn end_digest(object: &dyn Object, n_bytes: u64) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(object.size().to_le_bytes());
    let mut at = object.size().saturating_sub(n_bytes);
    while at < object.size() {
        let len = usize::try_from(object.size() - at).unwrap_or(HASH_CHUNK).min(HASH_CHUNK);
        hash.update(object.read_at(at, len).ok()?);
        at += len as u64;
    }
    Some(hash.finalize().into())
}

/// The flow log an object was delivered by, from AWS's file name; empty for another name.
///
/// Two flow logs may record the same interface; their records must not be added up. Format and content are never taken
/// from the name.
fn flow_log(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or_default();
    file.split('_').find(|part| part.starts_with("fl-")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::InMemory;

    #[test]
    fn the_flow_log_is_in_awss_file_name() {
        assert_eq!(flow_log("a/1_vpcflowlogs_eu-west-1_fl-0a1b_20260331T0910Z_9c.log.gz"), "fl-0a1b");
        assert_eq!(flow_log("a/fl-1_x/flows.parquet"), "");
    }

    fn duplicate(object: &str, of: &str) -> Duplicate {
        Duplicate { object: object.to_owned(), of: of.to_owned() }
    }

    #[test]
    fn an_object_given_twice_is_read_once() {
        let object = |name: &str, bytes: &'static [u8]| Arc::new(InMemory::new(name, bytes)) as Arc<dyn Object>;
        let (kept, duplicates) =
            distinct(vec![object("b", b"same"), object("a", b"same"), object("c", b"else"), object("d", b"longer")]);
        let names: Vec<&str> = kept.iter().map(|object| object.name()).collect();
        assert_eq!((names, duplicates), (vec!["a", "c", "d"], vec![duplicate("b", "a")]));
    }

    #[test]
    fn what_another_flow_log_delivered_is_no_duplicate() {
        let names = ["1_fl-1_a.log", "1_fl-1_b.log", "1_fl-2_a.log", "a", "b"];
        let objects = names.map(|name| Arc::new(InMemory::new(name, &b"same"[..])) as Arc<dyn Object>);
        let (kept, duplicates) = distinct(objects.to_vec());
        let names: Vec<&str> = kept.iter().map(|object| object.name()).collect();
        let both = vec![duplicate("1_fl-1_b.log", "1_fl-1_a.log"), duplicate("b", "a")];
        assert_eq!((names, duplicates), (vec!["1_fl-1_a.log", "1_fl-2_a.log", "a"], both));
    }

    #[test]
    fn a_duplicate_of_what_cannot_be_read_cannot_be_read() {
        let unreadable = Unreadable { object: "b".to_owned(), error: "cut off".to_owned() };
        let mut coverage = Coverage { unreadable: vec![unreadable], ..Coverage::default() };
        coverage.note_duplicates(&[duplicate("c", "a"), duplicate("d", "b")]);
        let told: Vec<_> = coverage.unreadable.iter().map(|one| (&*one.object, &*one.error)).collect();
        assert_eq!((told, coverage.n_objects_duplicate), (vec![("d", "cut off"), ("b", "cut off")], 1));
    }

    #[test]
    fn objects_that_end_alike_are_compared_as_a_whole() {
        let object = |name: &str, first: u8| {
            let bytes = [&[first][..], &[7; 5000]].concat();
            Arc::new(InMemory::new(name, bytes)) as Arc<dyn Object>
        };
        let (kept, duplicates) = distinct(vec![object("a", 1), object("b", 2), object("c", 1)]);
        let names: Vec<&str> = kept.iter().map(|object| object.name()).collect();
        assert_eq!((names, duplicates), (vec!["a", "b"], vec![duplicate("c", "a")]));
    }
}
