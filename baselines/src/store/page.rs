//! Pages: batches of a stored table, their columns proven to be the declared ones.
//!
//! Where it sits: decodes Parquet written by [`super::columns`], or by anybody, and gives typed columns to the tables.
//! What it does not do: it trusts no byte. Whatever the file holds, the answer is pages or an error.

use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int32Type, TimestampMillisecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BinaryArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use rayon::prelude::*;

use super::columns::{Column, Kind, MAX_ROWS, schema};
use super::error::Error;
use super::headers;
use crate::distribution::Distribution;
use crate::known::{Known, Totals, Volumes};
use crate::ladder::from_ip;
use crate::names::Names;
use crate::past::Past;
use crate::table::Table;
use crate::window::{Day, WINDOW_SECS, Window};

/// Rows decoded at a time: what is made of them stays in the cache of a core, and is no allocation that goes back to
/// the system each time. With whole row groups loading took a third longer.
const PAGE_ROWS: usize = 1 << 13;

/// The last window of the year 9999: later ones are no moments, and numbers near the end of their range overflow.
const LAST_WINDOW: Window = Window(422_337_167);

/// A file being read.
pub(super) struct Reader<'a> {
    origin: &'a str,
    bytes: &'a Bytes,
    metadata: ArrowReaderMetadata,
    columns: &'a [Column],
}

impl<'a> Reader<'a> {
    /// A fact of a file of any columns.
    pub(super) fn fact_of(origin: &str, bytes: &Bytes, key: &str) -> Result<Option<String>, Error> {
        guarded(origin, || {
            let metadata = ArrowReaderMetadata::load(bytes, ArrowReaderOptions::new().with_skip_arrow_metadata(true))?;
            let facts = metadata.metadata().file_metadata().key_value_metadata();
            Ok(facts.and_then(|facts| facts.iter().find(|fact| fact.key == key)?.value.clone()))
        })
    }

    /// Opens a file whose columns must be the declared ones, in name, type and order.
    pub(super) fn open(origin: &'a str, bytes: &'a Bytes, columns: &'a [Column]) -> Result<Self, Error> {
        let metadata = guarded(origin, || {
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let plain = ArrowReaderMetadata::load(bytes, options.clone())?;
            let (found, declared) = (plain.schema().fields(), schema(columns));
            if found != declared.fields() {
                let differing = found.iter().zip(declared.fields()).find(|(found, declared)| found != declared);
                return Err(Fault::Why(match differing {
                    Some((found, declared)) => {
                        format!(
                            "column `{}` stands where `{}` belongs, or has another type",
                            found.name(),
                            declared.name()
                        )
                    }
                    None => format!("it has {} columns instead of {}", found.len(), declared.fields().len()),
                }));
            }
            headers::check(bytes, plain.metadata()).map_err(Fault::Why)?;
            Ok(ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options.with_schema(hinted(columns)))?)
        })?;
        let file = metadata.metadata().file_metadata();
        // The sum over the row groups is what would be read; both must agree and be sane.
        let n_rows = metadata.metadata().row_groups().iter().try_fold(0i64, |n, group| {
            let rows = group.num_rows();
            (rows >= 0).then(|| n.checked_add(rows)).flatten()
        });
        if n_rows != Some(file.num_rows()) || n_rows.is_none_or(|n| n > MAX_ROWS as i64) {
            return Err(Error::damaged(origin, format!("it says it has {} rows", file.num_rows())));
        }
        Ok(Self { origin, bytes, metadata, columns })
    }

    /// How many rows the file says it has.
    pub(super) fn n_rows(&self) -> usize {
        self.metadata.metadata().file_metadata().num_rows() as usize
    }

    /// Rows worth reserving memory for: a file cannot make us reserve much more than it brings.
    pub(super) fn n_reserved(&self) -> usize {
        self.n_rows().min(self.bytes.len() * 8)
    }

    /// What messages call the file.
    pub(super) fn origin(&self) -> &str {
        self.origin
    }

    pub(super) fn damaged(&self, why: impl Into<String>) -> Error {
        Error::damaged(self.origin, why)
    }

    /// Puts rows, each with its owner, into the owners' tables; one that is there already is refused. `place` is what
    /// the file is sorted by: where it rises from row to row, no row is there twice, and none is looked for.
    pub(super) fn put<K: Copy + Eq + Hash, V, P: PartialOrd>(
        &self,
        tables: &mut [Table<K, V>],
        rise: &mut Rise<P>,
        rows: Vec<(P, (u32, K, V))>,
    ) -> Result<(), Error> {
        // What grows bit by bit keeps room to grow.
        for rows in rows.chunk_by(|(_, a), (_, b)| a.0 == b.0) {
            if let Some(table) = rows.first().and_then(|(_, (owner, ..))| tables.get_mut(*owner as usize)) {
                table.reserve(rows.len());
            }
        }
        for (place, (owner, key, value)) in rows {
            let Some(table) = tables.get_mut(owner as usize) else { continue };
            if rise.goes_on(place) {
                table.put_absent(key, value);
            } else if table.put_new(key, value).is_none() {
                return Err(self.damaged("a row is there twice"));
            }
        }
        Ok(())
    }

    /// Decodes all pages into the owners' tables, sorted by owner and key.
    pub(super) fn fill<K, V>(
        &self,
        tables: &mut [Table<K, V>],
        decode: impl Fn(&Page<'_>) -> Result<Vec<(u32, K, V)>, Error> + Sync,
    ) -> Result<(), Error>
    where
        K: Copy + Ord + Hash + Send,
        V: Send,
    {
        let mut rise = Rise::default();
        self.read(decode, |rows| {
            let placed = rows.into_iter().map(|(owner, key, value)| ((owner, key), (owner, key, value))).collect();
            self.put(tables, &mut rise, placed)
        })
    }

    /// A fact of the file's key-value metadata.
    pub(super) fn fact(&self, key: &str) -> Option<&str> {
        let facts = self.metadata.metadata().file_metadata().key_value_metadata()?;
        facts.iter().find(|fact| fact.key == key)?.value.as_deref()
    }

    /// Decodes all pages, several at a time, and folds them in order. Decoding is ahead of folding by as many row
    /// groups as there are threads, so that memory is bounded by those.
    pub(super) fn read<T: Send>(
        &self,
        decode: impl Fn(&Page<'_>) -> Result<T, Error> + Sync,
        mut fold: impl FnMut(T) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let groups: Vec<usize> = (0..self.metadata.metadata().num_row_groups()).collect();
        let decode = |groups: &[usize]| -> Vec<Result<Vec<T>, Error>> {
            groups.par_iter().map(|&group| self.read_group(group, &decode)).collect()
        };
        let mut waves = groups.chunks(rayon::current_num_threads().max(1));
        let mut ready = waves.next().map(&decode).unwrap_or_default();
        let mut has_more = true;
        while has_more {
            let wave = waves.next();
            has_more = wave.is_some();
            let (folded, next) = rayon::join(
                || ready.into_iter().try_for_each(|pages| pages?.into_iter().try_for_each(&mut fold)),
                || wave.map(&decode).unwrap_or_default(),
            );
            folded?;
            ready = next;
        }
        Ok(())
    }

    fn read_group<T>(
        &self,
        group: usize,
        decode: &(impl Fn(&Page<'_>) -> Result<T, Error> + Sync),
    ) -> Result<Vec<T>, Error> {
        guarded(self.origin, || {
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone())
                .with_row_groups(vec![group])
                .with_batch_size(PAGE_ROWS)
                .build()?;
            let mut out = Vec::new();
            let before = self.metadata.metadata().row_groups().iter().take(group).map(RowGroupMetaData::num_rows);
            let before = before.sum::<i64>() as usize;
            let mut n_rows = 0;
            for batch in reader {
                let batch = batch?;
                let first_row = before + n_rows as usize;
                n_rows += batch.num_rows() as i64;
                out.push(decode(&Page { origin: self.origin, columns: self.columns, first_row, batch })?);
            }
            let declared = self.metadata.metadata().row_groups().get(group).map_or(0, RowGroupMetaData::num_rows);
            if n_rows != declared {
                return Err(Fault::Why(format!("{n_rows} rows are there of {declared}")));
            }
            Ok(out)
        })
    }
}

/// Whether places have risen from each one to the next so far.
pub(super) struct Rise<P>(Option<P>, bool);

impl<P> Default for Rise<P> {
    fn default() -> Self {
        Self(None, true)
    }
}

impl<P: PartialOrd> Rise<P> {
    fn goes_on(&mut self, place: P) -> bool {
        self.1 &= self.0.as_ref().is_none_or(|last| *last < place);
        self.0 = Some(place);
        self.1
    }
}

/// All values, or `None` where one is lacking. As collecting does, but into memory taken once.
pub(super) fn all<T>(values: impl ExactSizeIterator<Item = Option<T>>) -> Option<Vec<T>> {
    let mut out = Vec::with_capacity(values.len());
    for value in values {
        out.push(value?);
    }
    Some(out)
}

/// The schema to read with: names as dictionary codes.
fn hinted(columns: &[Column]) -> Arc<Schema> {
    let field = |column: &Column| {
        let data_type = match column.kind {
            Kind::Name => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            kind => kind.data_type(),
        };
        Field::new(column.name, data_type, column.optional)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

enum Fault {
    Why(String),
    Ours(Error),
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        Self::Why(error.to_string())
    }
}

impl From<arrow_schema::ArrowError> for Fault {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Why(error.to_string())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// Runs a decoder that may panic on hostile bytes.
fn guarded<T>(origin: &str, run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Error> {
    let run = catch_unwind(AssertUnwindSafe(run));
    match run.unwrap_or_else(|_| Err(Fault::Why("its pages contradict themselves".into()))) {
        Ok(read) => Ok(read),
        Err(Fault::Why(why)) => Err(Error::damaged(origin, why)),
        Err(Fault::Ours(error)) => Err(error),
    }
}

/// Some rows of a table.
pub(super) struct Page<'a> {
    origin: &'a str,
    columns: &'a [Column],
    first_row: usize,
    batch: RecordBatch,
}

impl Page<'_> {
    /// The place of its first row in the table.
    pub(super) fn first_row(&self) -> usize {
        self.first_row
    }

    pub(super) fn damaged(&self, why: impl Into<String>) -> Error {
        Error::damaged(self.origin, why)
    }

    fn column(&self, name: &str) -> Result<&ArrayRef, Error> {
        let at = self.columns.iter().position(|column| column.name == name);
        at.and_then(|at| self.batch.columns().get(at)).ok_or_else(|| self.damaged(format!("it lacks `{name}`")))
    }

    fn wrong(&self, name: &str) -> Error {
        self.damaged(format!("`{name}` has another type"))
    }

    fn numbers<T: ArrowPrimitiveType>(&self, name: &str) -> Result<&[T::Native], Error> {
        let array = self.column(name)?.as_primitive_opt::<T>().ok_or_else(|| self.wrong(name))?;
        if array.null_count() > 0 {
            return Err(self.damaged(format!("`{name}` is lacking in a row")));
        }
        Ok(array.values())
    }

    pub(super) fn u8(&self, name: &str) -> Result<&[u8], Error> {
        self.numbers::<UInt8Type>(name)
    }

    pub(super) fn u16(&self, name: &str) -> Result<&[u16], Error> {
        self.numbers::<UInt16Type>(name)
    }

    pub(super) fn u32(&self, name: &str) -> Result<&[u32], Error> {
        self.numbers::<UInt32Type>(name)
    }

    pub(super) fn u64(&self, name: &str) -> Result<&[u64], Error> {
        self.numbers::<UInt64Type>(name)
    }

    pub(super) fn f64(&self, name: &str) -> Result<&[f64], Error> {
        self.numbers::<Float64Type>(name)
    }

    /// Unix seconds.
    pub(super) fn secs(&self, name: &str) -> Result<Vec<i64>, Error> {
        let whole = |&millis: &i64| (millis % 1000 == 0).then_some(millis / 1000);
        let secs = all(self.numbers::<TimestampMillisecondType>(name)?.iter().map(whole));
        secs.ok_or_else(|| self.damaged(format!("`{name}` holds parts of a second")))
    }

    pub(super) fn windows(&self, name: &str) -> Result<Vec<Window>, Error> {
        let windows = all(self.numbers::<TimestampMillisecondType>(name)?.iter().map(|&millis| window(millis)));
        windows.ok_or_else(|| self.damaged(format!("`{name}` is no start of a window")))
    }

    pub(super) fn optional_windows(&self, name: &str) -> Result<Vec<Option<Window>>, Error> {
        let array =
            self.column(name)?.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(|| self.wrong(name))?;
        let read = |millis: Option<i64>| match millis {
            Some(millis) => window(millis).map(Some),
            None => Some(None),
        };
        let windows: Option<Vec<Option<Window>>> = array.iter().map(read).collect();
        windows.ok_or_else(|| self.damaged(format!("`{name}` is no start of a window")))
    }

    pub(super) fn days(&self, name: &str) -> Result<Vec<Day>, Error> {
        let days = all(self.numbers::<Date32Type>(name)?.iter().map(|&day| u32::try_from(day).ok().map(Day)));
        let days = days.filter(|days| days.iter().all(|&day| day <= LAST_WINDOW.day()));
        days.ok_or_else(|| self.damaged(format!("`{name}` is no day since 1970")))
    }

    pub(super) fn texts(&self, name: &str) -> Result<&StringArray, Error> {
        self.column(name)?.as_string_opt::<i32>().ok_or_else(|| self.wrong(name))
    }

    pub(super) fn bytes(&self, name: &str) -> Result<&BinaryArray, Error> {
        self.column(name)?.as_binary_opt::<i32>().ok_or_else(|| self.wrong(name))
    }

    /// The numbers that a column of names has in a set; a name the set lacks is refused.
    pub(super) fn codes(&self, name: &str, names: &Names) -> Result<Vec<u32>, Error> {
        let (codes, numbers) = self.translated(name, |value| self.number(name, names, value))?;
        if codes.null_count() > 0 {
            return Err(self.damaged(format!("`{name}` is lacking in a row")));
        }
        let read = codes.values().iter().map(|&code| numbers.get(code as usize).copied().flatten());
        all(read).ok_or_else(|| self.wrong(name))
    }

    pub(super) fn optional_codes(&self, name: &str, names: &Names) -> Result<Vec<Option<u32>>, Error> {
        self.mapped(name, |value| self.number(name, names, value))
    }

    fn number(&self, name: &str, names: &Names, value: &str) -> Result<u32, Error> {
        names.id(value).ok_or_else(|| self.damaged(format!("`{name}` says `{value}`, which no table explains")))
    }

    /// A column of names, each distinct one translated once.
    pub(super) fn mapped<T: Copy>(
        &self,
        name: &str,
        translate: impl FnMut(&str) -> Result<T, Error>,
    ) -> Result<Vec<Option<T>>, Error> {
        let (codes, translated) = self.translated(name, translate)?;
        let read = |code: Option<i32>| match code {
            Some(code) => translated.get(code as usize).copied(),
            None => Some(None),
        };
        all(codes.iter().map(read)).ok_or_else(|| self.wrong(name))
    }

    /// The codes of a column of names, and what each code's name is translated into; of a code in no row, nothing.
    fn translated<T>(
        &self,
        name: &str,
        mut translate: impl FnMut(&str) -> Result<T, Error>,
    ) -> Result<(&PrimitiveArray<Int32Type>, Vec<Option<T>>), Error> {
        let wrong = || self.wrong(name);
        let coded = self.column(name)?.as_dictionary_opt::<Int32Type>().ok_or_else(wrong)?;
        let values = coded.values().as_string_opt::<i32>().ok_or_else(wrong)?;
        // Where every row is null the decoder makes a dictionary of one entry that no row means.
        let mut is_used = vec![false; values.len()];
        for code in coded.keys().iter().flatten() {
            if let Some(is_used) = is_used.get_mut(code as usize) {
                *is_used = true;
            }
        }
        let value = |(value, is_used): (Option<&str>, bool)| match value.filter(|_| is_used) {
            Some(value) => translate(value).map(Some),
            None => Ok(None),
        };
        let translated = values.iter().zip(is_used).map(value).collect::<Result<_, Error>>()?;
        Ok((coded.keys(), translated))
    }

    /// Bits of addresses.
    pub(super) fn addresses(&self, name: &str) -> Result<Vec<u128>, Error> {
        let parse = |text: Option<&str>| text.and_then(address);
        let addresses = all(self.texts(name)?.iter().map(parse));
        addresses.ok_or_else(|| self.damaged(format!("`{name}` is no address")))
    }

    pub(super) fn distributions(&self, name: &str) -> Result<Vec<Distribution>, Error> {
        let read = |bytes: Option<&[u8]>| Distribution::decode(bytes.unwrap_or_default()).ok();
        let distributions: Option<Vec<Distribution>> = self.bytes(name)?.iter().map(read).collect();
        distributions.ok_or_else(|| self.damaged(format!("`{name}` is no HdrHistogram in V2 encoding")))
    }

    /// The columns [`super::columns::KNOWN`].
    pub(super) fn known(&self) -> Result<Vec<Known>, Error> {
        let spans = self.windows("first")?.into_iter().zip(self.windows("last")?);
        let counts = self.u32("n_windows")?.iter().zip(self.u32("n_days")?);
        let known = spans.zip(counts).map(|((first, last), (&n_windows, &n_days))| {
            let is_whole = first <= last && n_windows > 0 && n_days > 0;
            is_whole.then_some(Known { first, last, n_windows, n_days })
        });
        all(known).ok_or_else(|| self.damaged("`last` is before `first`, or nothing was counted between them"))
    }

    /// The columns [`super::columns::VOLUMES`].
    pub(super) fn volumes(&self) -> Result<Vec<Volumes>, Error> {
        let [a, b, c, d] = [
            self.bytes("window_bytes")?,
            self.bytes("window_flows")?,
            self.bytes("flow_bytes_out")?,
            self.bytes("day_bytes")?,
        ];
        let encoded = a.iter().zip(b).zip(c).zip(d);
        let mut words = Vec::new();
        let decode = |(((a, b), c), d)| Past::decode([a, b, c, d].map(Option::unwrap_or_default), &mut words).ok();
        let pasts =
            all(encoded.map(decode)).ok_or_else(|| self.damaged("a distribution is no HdrHistogram in V2 encoding"))?;
        let windows = self.windows("open_window")?.into_iter().zip(self.totals([
            "open_window_flows",
            "open_window_bytes_out",
            "open_window_bytes_in",
            "open_window_peers",
        ])?);
        let open_days = self.days("open_day")?.into_iter().zip(self.totals([
            "open_day_flows",
            "open_day_bytes_out",
            "open_day_bytes_in",
            "open_day_peers",
        ])?);
        let first_days = self.days("first_day")?.into_iter().zip(self.totals([
            "first_day_flows",
            "first_day_bytes_out",
            "first_day_bytes_in",
            "first_day_peers",
        ])?);
        let volumes =
            pasts.into_iter().zip(self.u64("most_flow_bytes_in")?).zip(windows).zip(open_days).zip(first_days);
        Ok(volumes
            .map(|((((past, &most_in), open_window), open_day), first_day)| {
                Volumes::new(past, most_in, open_window, open_day, first_day)
            })
            .collect())
    }

    fn totals(&self, names: [&str; 4]) -> Result<Vec<Totals>, Error> {
        let [flows, out, into, peers] = names;
        let sent = self.u64(flows)?.iter().zip(self.u64(out)?);
        let others = self.u64(into)?.iter().zip(self.u64(peers)?);
        let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(sent
            .zip(others)
            .map(|((&n_flows, &bytes_out), (&bytes_in, &n_peers))| Totals {
                n_flows: count(n_flows),
                bytes_out,
                bytes_in,
                n_peers: count(n_peers),
            })
            .collect())
    }
}

/// The window that starts at a stored moment.
fn window(millis: i64) -> Option<Window> {
    let len = WINDOW_SECS * 1000;
    (millis >= 0 && millis % len == 0)
        .then(|| u32::try_from(millis / len).ok().map(Window))
        .flatten()
        .filter(|&window| window <= LAST_WINDOW)
}

/// The bits of an address.
pub(super) fn address(text: &str) -> Option<u128> {
    ipv4(text).or_else(|| text.parse().ok().map(from_ip))
}

/// The bits of an IPv4 address in the four numbers it is written in: most addresses, and the standard parser, which is
/// ready for any other, takes several times as long.
fn ipv4(text: &str) -> Option<u128> {
    let (mut bits, mut part, mut n_digits, mut n_dots) = (0u32, 0u32, 0, 0);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' if n_digits < 3 && (n_digits == 0 || part > 0) => {
                part = part * 10 + u32::from(byte - b'0');
                n_digits += 1;
            }
            b'.' if n_digits > 0 && n_dots < 3 && part < 256 => {
                bits = bits << 8 | part;
                (part, n_digits, n_dots) = (0, 0, n_dots + 1);
            }
            _ => return None,
        }
    }
    (n_dots == 3 && n_digits > 0 && part < 256).then(|| 0xffff << 32 | u128::from(bits << 8 | part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    proptest! {
        #[test]
        fn addresses_are_read_as_the_standard_parser_does(
            text in prop_oneof!["[0-9.]{0,16}", "([0-9]{1,3}\\.){3}[0-9]{1,3}", "[0-9a-f:.]{0,20}"],
            bits in any::<u128>(),
        ) {
            prop_assert_eq!(address(&text), text.parse::<IpAddr>().ok().map(from_ip));
            for bits in [bits, 0xffff << 32 | bits >> 96] {
                prop_assert_eq!(address(&crate::ladder::to_ip(bits).to_string()), Some(bits));
            }
        }
    }
}
