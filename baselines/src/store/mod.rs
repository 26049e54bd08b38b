//! The stored form of a baseline and of observations.
//!
//! Where it sits: takes [`Baselines`] and [`crate::observation::Observations`], gives bytes, and back. [`encode`] and
//! [`decode`] are pure, for any place that keeps files; [`save`] and [`load`] keep them in a folder.
//! What it does not do: it never gives half of what was stored. Bytes that are not exactly what was written are
//! refused.
//!
//! # Shape
//! A stored baseline is a set of Parquet tables and `manifest.json`, which names each table's file, rows and SHA-256.
//! The tables carry names and addresses, never the numbers of one process, and are sorted, so that equal baselines are
//! equal bytes. Times are UTC timestamps of milliseconds (Parquet has no seconds), windows by their start.
//!
//! | table | a row for each | columns beside the key |
//! | --- | --- | --- |
//! | `owners` | owner | first, last, windows, days, volumes |
//! | `hours` | owner, hour of the week | windows of activity |
//! | `activity` | owner, window of the latest week | active minutes, flow records sent |
//! | `diary` | owner, day | networks, services, prefixes, ports met for the first time |
//! | `labels` | network | how to call it |
//! | `networks` | owner, network | first, last, windows, days, prefixes |
//! | `services` | owner, network, port, protocol | first, last, windows, days, volumes |
//! | `prefixes` | owner, prefix | network, first, last, windows, days |
//! | `ports` | owner, port, protocol | first, last, windows, days |
//! | `destinations` | owner, address, port, protocol | network, first, last, windows, days, bytes |
//! | `newcomers` | owner, network or service or prefix under watch | circumstances, amounts, held connections, finding |
//! | `contacts` | newcomer, minute | |
//! | `counts` | newcomer, window | flow records sent |
//! | `contacted` | newcomer, destination | amounts, first, last |
//!
//! Observations are one Parquet file an object, with the object's name: see [`encode_observations`].
//!
//! Volumes are distributions in `HdrHistogram` V2 encoding and the amounts of the first day and of the window and day
//! still open.

mod columns;
mod destinations;
mod details;
mod disk;
mod error;
mod headers;
mod manifest;
mod newcomers;
mod observations;
mod owners;
mod page;
mod rungs;
#[cfg(test)]
mod tests;

use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use rayon::prelude::*;

pub use self::disk::{Version, check_holder, load, load_version, save, save_if_unchanged, version};
pub use self::error::Error;
pub use self::manifest::{schema_of, sha256};
pub use self::observations::{OBSERVATIONS_SCHEMA, Sourced, decode_observations, encode_observations};

use self::columns::{Column, SCHEMA_KEY};
use self::details::Details;
use self::manifest::{BesideFile, Manifest, TableFile};
use self::page::Reader;
use crate::baseline::Baseline;
use crate::baselines::Baselines;
use crate::names::at;
use crate::newcomer::Subject;
use crate::watched::Watched;

/// The format's version. A change of any table or of the manifest is a new one.
pub const SCHEMA: &str = "callout.baseline/1";

/// The name of the manifest among the files of a baseline.
pub const MANIFEST: &str = "manifest.json";

/// A table of the stored form.
struct Table {
    name: &'static str,
    columns: fn() -> Vec<Column>,
    encode: fn(&Baselines, &Order<'_>, &str) -> Result<Bytes, Error>,
}

/// All tables, in the order the manifest names them.
#[rustfmt::skip]
const TABLES: [Table; 14] = [
    Table { name: "owners", columns: owners::columns, encode: owners::encode },
    Table { name: "labels", columns: rungs::label_columns, encode: rungs::encode_labels },
    Table { name: "hours", columns: owners::hours_columns, encode: owners::encode_hours },
    Table { name: "activity", columns: owners::activity_columns, encode: owners::encode_activity },
    Table { name: "diary", columns: owners::diary_columns, encode: owners::encode_diary },
    Table { name: "networks", columns: rungs::network_columns, encode: rungs::encode_networks },
    Table { name: "services", columns: rungs::service_columns, encode: rungs::encode_services },
    Table { name: "prefixes", columns: rungs::prefix_columns, encode: rungs::encode_prefixes },
    Table { name: "ports", columns: rungs::port_columns, encode: rungs::encode_ports },
    Table { name: "destinations", columns: destinations::columns, encode: destinations::encode },
    Table { name: "newcomers", columns: newcomers::columns, encode: newcomers::encode },
    Table { name: "contacts", columns: details::contact_columns, encode: details::encode_contacts },
    Table { name: "counts", columns: details::count_columns, encode: details::encode_counts },
    Table { name: "contacted", columns: details::contacted_columns, encode: details::encode_contacted },
];

impl Table {
    fn file(&self) -> String {
        format!("{}.parquet", self.name)
    }
}

/// The files of a baseline beside its manifest.
///
/// # Errors
/// Those of a manifest that is damaged or newer.
fn file_names(manifest: &[u8]) -> Result<Vec<String>, Error> {
    let beside = Manifest::parse(MANIFEST, manifest)?.beside.into_iter().map(|beside| beside.file);
    Ok(TABLES.iter().map(Table::file).chain(beside).collect())
}

/// The key-value metadata of each table.
fn facts() -> [(&'static str, &'static str); 1] {
    [(SCHEMA_KEY, SCHEMA)]
}

/// The order rows are stored in: that of names, not of the numbers of one process.
struct Order<'a> {
    /// Those of whom anything is known.
    owners: Vec<u32>,
    owner_ranks: Vec<u32>,
    network_ranks: Vec<u32>,
    /// Networks some table refers to, by name. The ladder remembers others.
    networks_in_use: Vec<u32>,
    /// Newcomers, of which four tables tell.
    newcomers: Vec<(u32, Subject, &'a Watched)>,
}

impl<'a> Order<'a> {
    fn of(from: &'a Baselines) -> Self {
        let names = from.ladder.networks();
        let mut is_in_use = vec![false; names.len()];
        let mut uses = |network: u32| {
            if let Some(slot) = is_in_use.get_mut(network as usize) {
                *slot = true;
            }
        };
        for (_, of) in from.numbered() {
            of.networks.iter().for_each(|(&network, _)| uses(network));
            of.services.iter().for_each(|(key, _)| uses(key.0));
            of.prefixes.iter().for_each(|(_, prefix)| uses(prefix.network));
            of.destinations.iter().for_each(|(key, _)| uses(from.ladder.rungs(key.0).network));
            for (&subject, newcomer) in of.newcomers.iter() {
                if let Subject::Network(network) | Subject::Service(network, ..) = subject {
                    uses(network);
                }
                for contacted in newcomer.open().destinations {
                    uses(from.ladder.rungs(contacted.peer).network);
                }
            }
        }
        let (mut owners, mut owner_ranks) = ranked(from.owners.iter());
        owners.retain(|&owner| from.baseline(owner).is_some_and(|baseline| !baseline.is_forgotten()));
        for (rank, &owner) in (0..).zip(&owners) {
            if let Some(slot) = owner_ranks.get_mut(owner as usize) {
                *slot = rank;
            }
        }
        let (mut networks_in_use, network_ranks) = ranked(names.iter());
        networks_in_use.retain(|&network| is_in_use.get(network as usize) == Some(&true));
        let order = Self { owners, owner_ranks, network_ranks, networks_in_use, newcomers: Vec::new() };
        let newcomers = newcomers::sorted(from, &order);
        Self { newcomers, ..order }
    }

    /// The place of an owner.
    fn owner(&self, id: u32) -> u32 {
        at(&self.owner_ranks, id)
    }

    /// The owner of a place.
    fn owner_name(&self, from: &Baselines, rank: u32) -> Arc<str> {
        self.owners.get(rank as usize).map(|&id| from.owners.name(id)).unwrap_or_default()
    }

    /// The place of a network.
    fn network(&self, id: u32) -> u32 {
        at(&self.network_ranks, id)
    }

    /// Owners by name, with what is known of them as a whole.
    fn owners<'b>(&self, from: &'b Baselines) -> Vec<(Arc<str>, &'b Baseline)> {
        self.owners.iter().filter_map(|&id| Some((from.owners.name(id), from.baseline(id)?))).collect()
    }
}

/// The numbers of names sorted by name, and the place of each number.
fn ranked<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> (Vec<u32>, Vec<u32>) {
    let mut sorted: Vec<(&Arc<str>, u32)> = names.zip(0..).collect();
    sorted.sort_unstable();
    let mut ranks = vec![0; sorted.len()];
    for (rank, &(_, id)) in (0..).zip(&sorted) {
        if let Some(slot) = ranks.get_mut(id as usize) {
            *slot = rank;
        }
    }
    (sorted.into_iter().map(|(_, id)| id).collect(), ranks)
}

/// Encodes a baseline into files: the tables by name, what is kept beside them, the manifest last.
///
/// # Guarantees
/// Equal baselines give equal bytes, whatever the order they were learned in.
///
/// # Errors
/// [`Error::TooLarge`] when a table has more rows than the format holds.
pub fn encode(baselines: &Baselines) -> Result<Vec<(String, Bytes)>, Error> {
    let order = Order::of(baselines);
    let mut files = TABLES
        .par_iter()
        .map(|table| Ok((table.file(), (table.encode)(baselines, &order, &table.file())?)))
        .collect::<Result<Vec<(String, Bytes)>, Error>>()?;
    let mut tables = Vec::with_capacity(TABLES.len());
    for (table, (file, bytes)) in TABLES.iter().zip(&files) {
        let rows = Reader::open(file, bytes, &(table.columns)())?.n_rows() as u64;
        let (name, file, sha256) = (table.name.to_owned(), file.clone(), manifest::sha256(bytes));
        tables.push(TableFile { name, file, rows, sha256 });
    }
    let beside = baselines.beside.iter();
    let beside = beside.map(|(file, bytes)| BesideFile { file: file.clone(), sha256: manifest::sha256(bytes) });
    let manifest = Manifest {
        schema: SCHEMA.into(),
        learned_from: (&baselines.learned_from).into(),
        n_owners: order.owners.len() as u64,
        n_destinations: baselines.n_destinations() as u64,
        accepted: baselines.accepted.iter().map(|id| format!("{id:032x}")).collect(),
        tables,
        beside: beside.collect(),
        checksum: String::new(),
    };
    files.extend(baselines.beside.iter().map(|(file, bytes)| (file.clone(), bytes.clone())));
    files.push((MANIFEST.into(), manifest.render().into()));
    Ok(files)
}

/// Decodes the files of a baseline; others among them are ignored.
///
/// # Guarantees
/// All of what was encoded, or an error; any bytes, no panic.
///
/// # Errors
/// [`Error::Newer`] when a later version wrote it, [`Error::Missing`] and [`Error::Damaged`] when a file is not there
/// or not what the manifest says, [`Error::Foreign`] when it is something else.
pub fn decode(files: &[(String, Bytes)]) -> Result<Baselines, Error> {
    let find = |name: &str| {
        let file = files.iter().find(|(found, _)| found == name);
        file.map(|(_, bytes)| bytes).ok_or_else(|| Error::Missing { origin: name.into() })
    };
    let manifest = Manifest::parse(MANIFEST, find(MANIFEST)?)?;
    if !manifest.tables.iter().map(|table| &*table.name).eq(TABLES.iter().map(|table| table.name)) {
        return Err(Error::damaged(MANIFEST, "its tables are not those of the format"));
    }
    let intact = |file: &str, sha256: &str| {
        let bytes = find(file)?;
        if manifest::sha256(bytes) == sha256 {
            Ok(bytes)
        } else {
            Err(Error::damaged(file, "its SHA-256 is not the one in the manifest"))
        }
    };
    let beside = manifest.beside.iter().map(|it| Ok((it.file.clone(), intact(&it.file, &it.sha256)?.clone())));
    let beside = beside.collect::<Result<_, Error>>()?;
    let intact = manifest.tables.par_iter().map(|table| intact(&table.file, &table.sha256));
    let intact = intact.collect::<Result<Vec<&Bytes>, Error>>()?;
    let columns = TABLES.each_ref().map(|table| (table.columns)());
    let open = |((stored, bytes), columns)| {
        let stored: &TableFile = stored;
        let reader = Reader::open(&stored.file, bytes, columns)?;
        if reader.fact(SCHEMA_KEY) != Some(SCHEMA) || reader.n_rows() as u64 != stored.rows {
            return Err(Error::damaged(&stored.file, "it is not the table the manifest names"));
        }
        Ok(reader)
    };
    let stored = manifest.tables.iter().zip(intact).zip(columns.iter().map(Vec::as_slice));
    let readers = stored.map(open).collect::<Result<Vec<Reader<'_>>, Error>>()?;
    let mut baselines = Baselines::default();
    read(&readers, &mut baselines)?;
    baselines.recount();
    baselines.learned_from = (&manifest.learned_from).into();
    baselines.beside = beside;
    let id = |hex: &String| u128::from_str_radix(hex, 16).map_err(|error| Error::damaged(MANIFEST, error.to_string()));
    baselines.accepted = manifest.accepted.iter().map(id).collect::<Result<_, Error>>()?;
    Ok(baselines)
}

/// Reads the tables, those side by side that do not need each other: owners and labels give the numbers all others
/// refer to, prefixes and destinations the ladder that newcomers stand on.
fn read(readers: &[Reader<'_>], into: &mut Baselines) -> Result<(), Error> {
    let [of_owners, labels, hours, activity, diary, of_networks, of_services, of_prefixes, of_ports, rest @ ..] =
        readers
    else {
        return Ok(());
    };
    let [of_destinations, of_newcomers, contacts, counts, contacted] = rest else { return Ok(()) };
    let Baselines { owners, ladder, of_owner, .. } = into;
    owners::decode(of_owners, owners, of_owner)?;
    let n_owners = of_owner.len();
    let (mut networks, mut services, mut prefixes) = (empty(n_owners), empty(n_owners), empty(n_owners));
    let (mut ports, mut destinations, mut newcomers) = (empty(n_owners), empty(n_owners), empty(n_owners));
    rungs::decode_labels(labels, ladder)?;
    // The names are read while addresses are added to the same ladder.
    let (owners, known_networks) = (&*owners, ladder.networks().clone());
    let names = (owners, &known_networks);
    let (on_ladder, (of_ports_and_networks, others)) = rayon::join(
        || {
            rungs::decode_prefixes(of_prefixes, names, ladder, &mut prefixes)?;
            destinations::decode(of_destinations, names, ladder, &mut destinations)?;
            let details = Details::read([contacts, counts, contacted], names.1, ladder)?;
            newcomers::decode(of_newcomers, names, &details, ladder, &mut newcomers)
        },
        || {
            rayon::join(
                || {
                    rungs::decode_services(of_services, names, &mut services)?;
                    rungs::decode_networks(of_networks, names, &mut networks)
                },
                || {
                    owners::decode_hours(hours, owners, of_owner)?;
                    owners::decode_activity(activity, owners, of_owner)?;
                    owners::decode_diary(diary, owners, of_owner)?;
                    rungs::decode_ports(of_ports, owners, &mut ports)
                },
            )
        },
    );
    on_ladder.and(of_ports_and_networks).and(others)?;
    give(of_owner, networks, |of| &mut of.networks);
    give(of_owner, services, |of| &mut of.services);
    give(of_owner, prefixes, |of| &mut of.prefixes);
    give(of_owner, ports, |of| &mut of.ports);
    give(of_owner, destinations, |of| &mut of.destinations);
    give(of_owner, newcomers, |of| &mut of.newcomers);
    Ok(())
}

/// A table for each owner, to be filled beside other tables of the same owners.
fn empty<K: Copy + Eq + Hash, V>(n_owners: usize) -> Vec<crate::table::Table<K, V>> {
    std::iter::repeat_with(Default::default).take(n_owners).collect()
}

/// Gives each owner its table.
fn give<T>(of_owner: &mut [Baseline], tables: Vec<T>, place: fn(&mut Baseline) -> &mut T) {
    for (of, table) in of_owner.iter_mut().zip(tables) {
        *place(of) = table;
    }
}
