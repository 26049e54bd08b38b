//! Writing: from flow records to flow log objects in AWS's layout.
//!
//! Takes records in any order, gives objects whose name carries a span of time; a record lies in the object of its end
//! time, or, when it came late, in a later one.

mod fields;
mod parquet;
mod text;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rayon::prelude::*;

use crate::{
    calendar::{MINUTE, Secs, written},
    dice::mix,
    fleet::Fleet,
    traffic::Record,
};

pub(crate) use fields::Labels;

/// One record in this many is delivered late.
const LATE_ONE_IN: u64 = 400;
/// The longest delay of a late record. AWS says best effort; observers report minutes to tens of minutes.
const LATE_MAX_SECS: u64 = 40 * 60;

/// How objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ObjectFormat {
    /// Parquet with AWS's types, gzip pages.
    Parquet,
    /// Lines with a header, inside gzip.
    Text,
}

/// Which fields a record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fields {
    /// The fourteen of version 2.
    Default,
    /// Those and what the detector can use of versions 3 to 5.
    Recommended,
}

/// How much time one object spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Granularity {
    /// Five minutes, as AWS delivers.
    #[value(name = "5m")]
    FiveMinutes,
    /// An hour: fewer objects, same records.
    #[value(name = "1h")]
    Hour,
    /// A day.
    #[value(name = "1d")]
    Day,
}

impl Granularity {
    pub(crate) fn secs(self) -> Secs {
        match self {
            Self::FiveMinutes => 5 * MINUTE,
            Self::Hour => 60 * MINUTE,
            Self::Day => 24 * 60 * MINUTE,
        }
    }
}

/// What one flow log is and how it is delivered.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The folder that stands for the bucket.
    pub(crate) bucket: PathBuf,
    pub(crate) flow_log_id: String,
    pub(crate) labels: Labels,
    pub(crate) format: ObjectFormat,
    pub(crate) fields: Fields,
    /// Seed of lateness and of the hashes in object names.
    pub(crate) key: u64,
}

impl Delivery {
    pub(crate) fn new(fleet: &Fleet, bucket: &Path, format: ObjectFormat, fields: Fields) -> Self {
        let key = fleet.dice.fork("delivery", 0).key();
        Self {
            bucket: bucket.to_path_buf(),
            flow_log_id: format!("fl-0{}", fleet.dice.fork("flow-log", 0).hex(16)),
            labels: Labels::of(fleet),
            format,
            fields,
            key,
        }
    }

    /// Where the object of the span that begins at `start` goes, below the bucket.
    pub(crate) fn object_path(&self, start: Secs, part: u64) -> PathBuf {
        let (account, region) = (&self.labels.account, &self.labels.region);
        let hash = mix(mix(self.key, start as u64), part) >> 32;
        let suffix = match self.format {
            ObjectFormat::Parquet => "log.parquet",
            ObjectFormat::Text => "log.gz",
        };
        let day = written(start, "%Y/%m/%d");
        let stamp = written(start, "%Y%m%dT%H%MZ");
        self.bucket.join(format!(
            "AWSLogs/{account}/vpcflowlogs/{region}/{day}/{account}_vpcflowlogs_{region}_{}_{stamp}_{hash:08x}.{suffix}",
            self.flow_log_id
        ))
    }

    /// Writes one object and gives its size in bytes.
    pub(crate) fn write(&self, path: &Path, records: &[Record]) -> anyhow::Result<u64> {
        let folder = path.parent().context("an object has a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("making the folder `{}`", folder.display()))?;
        let columns = fields::columns(self.fields);
        let bytes = match self.format {
            ObjectFormat::Parquet => parquet::render(&self.labels, columns, records)?,
            ObjectFormat::Text => text::render(&self.labels, columns, records)?,
        };
        fs::write(path, &bytes).with_context(|| format!("writing the object `{}`", path.display()))?;
        Ok(bytes.len() as u64)
    }
}

/// Records waiting for the end of their object's span.
#[derive(Debug)]
pub(crate) struct Outbox {
    granularity_secs: Secs,
    key: u64,
    waiting: BTreeMap<Secs, Vec<Record>>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) n_objects: u64,
    pub(crate) n_records: u64,
    pub(crate) bytes: u64,
}

impl Outbox {
    pub(crate) fn new(granularity: Granularity, key: u64) -> Self {
        Self { granularity_secs: granularity.secs(), key, waiting: BTreeMap::new() }
    }

    /// Puts records into the objects they will be delivered with.
    pub(crate) fn add(&mut self, records: Vec<Record>) {
        for record in records {
            let delivered = record.end + self.lateness_secs(&record);
            let object = delivered.div_euclid(self.granularity_secs) * self.granularity_secs;
            self.waiting.entry(object).or_default().push(record);
        }
    }

    /// How late a record is delivered; a function of the record, so that every writing of it agrees.
    fn lateness_secs(&self, r: &Record) -> Secs {
        let tuple = mix(u64::from(r.src_port) << 16 | u64::from(r.dst_port), r.bytes);
        let word = mix(mix(self.key, tuple), mix(r.end as u64, u64::from(r.interface)));
        if word.is_multiple_of(LATE_ONE_IN) { ((word >> 20) % LATE_MAX_SECS) as Secs } else { 0 }
    }

    /// Takes out the objects whose span ended by `until`.
    pub(crate) fn take(&mut self, until: Secs) -> Vec<(Secs, Vec<Record>)> {
        let later = self.waiting.split_off(&(until - self.granularity_secs + 1));
        std::mem::replace(&mut self.waiting, later).into_iter().collect()
    }
}

/// Writes objects in parallel.
pub(crate) fn deliver(delivery: &Delivery, objects: &[(Secs, Vec<Record>)]) -> anyhow::Result<Written> {
    let sizes: Vec<u64> = objects
        .par_iter()
        .map(|(start, records)| delivery.write(&delivery.object_path(*start, 0), records))
        .collect::<anyhow::Result<_>>()?;
    Ok(Written {
        n_objects: objects.len() as u64,
        n_records: objects.iter().map(|(_, r)| r.len() as u64).sum(),
        bytes: sizes.iter().sum(),
    })
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        self.n_objects += other.n_objects;
        self.n_records += other.n_records;
        self.bytes += other.bytes;
    }
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} records in {} objects, {:.1} MB", self.n_records, self.n_objects, self.bytes as f64 / 1e6)
    }
}
