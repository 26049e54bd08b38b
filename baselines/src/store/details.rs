//! The tables of what newcomers have several of: their `contacts` and `counts`, and the destinations they `contacted`.
//!
//! Each row says its newcomer, by the row of the table `newcomers`, and the rows of one newcomer are together and in
//! order: so all four tables are read side by side.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::Order;
use super::columns::{Column, GROUP_ROWS, Kind, Sheet, Writer, column};
use super::error::Error;
use super::page::{Page, Reader, all};
use crate::baselines::Baselines;
use crate::ladder::{Ladder, to_ip};
use crate::names::Names;
use crate::newcomer::{Contacted, Newcomer};
use crate::window::Window;

pub(super) fn contact_columns() -> Vec<Column> {
    // `newcomer`: row of the table `newcomers`, from 0. `minute`: a minute in which contact was made.
    vec![column("newcomer", Kind::U32), column("minute", Kind::Time)]
}

pub(super) fn encode_contacts(_: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    details(
        order,
        file,
        &contact_columns(),
        |newcomer| newcomer.contacts,
        |sheet, rows: &[(u32, u32)]| {
            sheet.u32(rows.iter().map(|row| row.0));
            sheet.secs(rows.iter().map(|row| i64::from(row.1) * 60));
        },
    )
}

/// Encodes a table of what each newcomer has several of, with its row of the table `newcomers`.
fn details<T>(
    order: &Order<'_>,
    file: &str,
    columns: &[Column],
    pick: impl Fn(Newcomer) -> Vec<T>,
    fill: impl Fn(&mut Sheet<'_>, &[(u32, T)]),
) -> Result<Bytes, Error> {
    let mut writer = Writer::new(file, columns, &super::facts())?;
    let mut write = |rows: &[(u32, T)]| {
        let mut sheet = writer.sheet();
        fill(&mut sheet, rows);
        writer.write(sheet)
    };
    let mut rows: Vec<(u32, T)> = Vec::with_capacity(GROUP_ROWS);
    for (row, (.., newcomer)) in (0..).zip(&order.newcomers) {
        for detail in pick(newcomer.open()) {
            rows.push((row, detail));
            if rows.len() == GROUP_ROWS {
                write(&rows)?;
                rows.clear();
            }
        }
    }
    write(&rows)?;
    writer.finish()
}

pub(super) fn count_columns() -> Vec<Column> {
    // `newcomer`: row of the table `newcomers`, from 0.
    vec![column("newcomer", Kind::U32), column("window", Kind::Time), column("n_flows", Kind::U32)]
}

pub(super) fn encode_counts(_: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let fill = |sheet: &mut Sheet<'_>, rows: &[(u32, (Window, u32))]| {
        sheet.u32(rows.iter().map(|row| row.0));
        sheet.windows(rows.iter().map(|row| row.1.0));
        sheet.u32(rows.iter().map(|row| row.1.1));
    };
    details(order, file, &count_columns(), |newcomer| newcomer.counts, fill)
}

pub(super) fn contacted_columns() -> Vec<Column> {
    vec![
        // Row of the table `newcomers`, from 0; its rows are in order of first contact.
        column("newcomer", Kind::U32),
        column("address", Kind::Address),
        column("port", Kind::U16),
        column("protocol", Kind::U8),
        column("network", Kind::Name),
        column("n_flows", Kind::U64),
        column("bytes_out", Kind::U64),
        column("bytes_in", Kind::U64),
        column("first", Kind::Time),
        column("last", Kind::Time),
    ]
}

pub(super) fn encode_contacted(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let rungs = |contacted: &Contacted| from.ladder.rungs(contacted.peer);
    let fill = |sheet: &mut Sheet<'_>, rows: &[(u32, Contacted)]| {
        let all = || rows.iter().map(|row| &row.1);
        sheet.u32(rows.iter().map(|row| row.0));
        sheet.text(all().map(|to| to_ip(rungs(to).address).to_string()));
        sheet.u16(all().map(|to| to.port));
        sheet.u8(all().map(|to| to.protocol));
        sheet.text(all().map(|to| from.ladder.networks().name(rungs(to).network)));
        sheet.u64(all().map(|to| to.n_flows));
        sheet.u64(all().map(|to| to.bytes_out));
        sheet.u64(all().map(|to| to.bytes_in));
        sheet.secs(all().map(|to| to.first));
        sheet.secs(all().map(|to| to.last));
    };
    details(order, file, &contacted_columns(), |newcomer| newcomer.destinations, fill)
}

/// A table read: values, and the newcomer of each, in order.
#[derive(Default)]
struct Rows<T> {
    newcomers: Vec<u32>,
    values: Vec<T>,
}

impl<T: Clone + Send> Rows<T> {
    /// Reads a table. `may_follow`: whether a value may stand behind another one of the same newcomer.
    fn read(
        reader: &Reader<'_>,
        decode: impl Fn(&Page<'_>) -> Result<Vec<T>, Error> + Sync,
        may_follow: impl Fn(&T, &T) -> bool + Sync,
    ) -> Result<Self, Error> {
        let (mut newcomers, mut values) = (Vec::<u32>::new(), Vec::<T>::new());
        newcomers.reserve_exact(reader.n_reserved());
        values.reserve_exact(reader.n_reserved());
        reader.read(
            |page| Ok((page.u32("newcomer")?.to_vec(), decode(page)?)),
            |(of, page)| {
                for (newcomer, value) in of.into_iter().zip(page) {
                    if let (Some(&last), Some(before)) = (newcomers.last(), values.last())
                        && (last > newcomer || (last == newcomer && !may_follow(before, &value)))
                    {
                        return Err(reader.damaged("the rows of a newcomer are out of order"));
                    }
                    newcomers.push(newcomer);
                    values.push(value);
                }
                Ok(())
            },
        )?;
        Ok(Self { newcomers, values })
    }

    /// Where the rows of a newcomer, or of the next one that has any, begin.
    fn begin(&self, newcomer: u32) -> usize {
        self.newcomers.partition_point(|&other| other < newcomer)
    }

    /// The values of a newcomer, which begin at a place; the place moves behind them.
    fn take(&self, newcomer: u32, at: &mut usize) -> Vec<T> {
        let rest = self.newcomers.get(*at..).unwrap_or_default();
        let n = rest.iter().take_while(|&&other| other == newcomer).count();
        let values = self.values.get(*at..*at + n).unwrap_or_default().to_vec();
        *at += n;
        values
    }

    /// Refuses rows of a newcomer that is not there.
    fn check(&self, origin: &str, n_newcomers: usize) -> Result<(), Error> {
        match self.newcomers.last() {
            Some(&last) if last as usize >= n_newcomers => Err(Error::damaged(origin, "a row is nobody's")),
            _ => Ok(()),
        }
    }
}

/// What the tables say of all newcomers.
pub(super) struct Details {
    contacts: Rows<u32>,
    counts: Rows<(Window, u32)>,
    contacted: Rows<Contacted>,
    /// What messages call the tables.
    origins: [String; 3],
}

impl Details {
    /// Reads the tables `contacts`, `counts` and `contacted`.
    pub(super) fn read(readers: [&Reader<'_>; 3], networks: &Names, ladder: &mut Ladder) -> Result<Self, Error> {
        let [contacts, counts, contacted] = readers;
        let origins = readers.map(|reader| reader.origin().to_owned());
        let (times, contacted) = rayon::join(
            || Ok((read_contacts(contacts)?, read_counts(counts)?)),
            || read_contacted(contacted, networks, ladder),
        );
        let (contacts, counts) = times?;
        Ok(Self { contacts, counts, contacted: contacted?, origins })
    }

    /// Refuses what is told of newcomers that are not there.
    pub(super) fn check(&self, n_newcomers: usize) -> Result<(), Error> {
        let [contacts, counts, contacted] = &self.origins;
        self.contacts.check(contacts, n_newcomers)?;
        self.counts.check(counts, n_newcomers)?;
        self.contacted.check(contacted, n_newcomers)
    }

    /// What is told of newcomers from one on, one after the other.
    pub(super) fn from(&self, newcomer: usize) -> Following<'_> {
        let next = u32::try_from(newcomer).unwrap_or(u32::MAX);
        let places = [self.contacts.begin(next), self.counts.begin(next), self.contacted.begin(next)];
        Following { details: self, next, places }
    }
}

/// See [`Details::from`].
pub(super) struct Following<'a> {
    details: &'a Details,
    next: u32,
    places: [usize; 3],
}

impl Following<'_> {
    /// Adds to a newcomer what is told of it, and goes on to the next.
    pub(super) fn add_next(&mut self, newcomer: &mut Newcomer) {
        let [contacts, counts, contacted] = &mut self.places;
        newcomer.contacts = self.details.contacts.take(self.next, contacts);
        newcomer.counts = self.details.counts.take(self.next, counts);
        newcomer.destinations = self.details.contacted.take(self.next, contacted);
        self.next = self.next.saturating_add(1);
    }
}

fn read_contacts(reader: &Reader<'_>) -> Result<Rows<u32>, Error> {
    let minute = |secs: i64| (secs % 60 == 0).then(|| u32::try_from(secs / 60).ok()).flatten();
    let decode = |page: &Page<'_>| {
        all(page.secs("minute")?.into_iter().map(minute)).ok_or_else(|| page.damaged("`minute` is no minute"))
    };
    Rows::read(reader, decode, |before, minute| before < minute)
}

fn read_counts(reader: &Reader<'_>) -> Result<Rows<(Window, u32)>, Error> {
    let decode =
        |page: &Page<'_>| Ok(page.windows("window")?.into_iter().zip(page.u32("n_flows")?.iter().copied()).collect());
    Rows::read(reader, decode, |before: &(Window, u32), count| before.0 < count.0)
}

fn read_contacted(reader: &Reader<'_>, networks: &Names, ladder: &mut Ladder) -> Result<Rows<Contacted>, Error> {
    let two_networks = |address: u128| reader.damaged(format!("{} is in two networks", to_ip(address)));
    // Addresses that no table told before, with their networks and rows: hardly any.
    let unknown = Mutex::new(Vec::new());
    let known = &*ladder;
    let decode = |page: &Page<'_>| {
        let peers = page.addresses("address")?.into_iter().zip(page.codes("network", networks)?);
        let ports = page.u16("port")?.iter().zip(page.u8("protocol")?);
        let amounts = page.u64("n_flows")?.iter().zip(page.u64("bytes_out")?).zip(page.u64("bytes_in")?);
        let spans = page.secs("first")?.into_iter().zip(page.secs("last")?);
        let rows = peers.zip(ports.zip(amounts)).zip(spans).zip(page.first_row()..);
        rows.map(|(((peer, (port, amounts)), (first, last)), row)| {
            let ((address, network), (&port, &protocol)) = (peer, port);
            let ((&n_flows, &bytes_out), &bytes_in) = amounts;
            let peer = known.peer_id(address);
            match peer {
                Some(peer) if known.rungs(peer).network != network => return Err(two_networks(address)),
                Some(_) => {}
                None => unknown.lock().unwrap_or_else(PoisonError::into_inner).push((row, address, network)),
            }
            let peer = peer.unwrap_or(u32::MAX);
            Ok(Contacted { peer, port, protocol, n_flows, bytes_out, bytes_in, first, last })
        })
        .collect()
    };
    let mut rows = Rows::read(reader, decode, |_, _| true)?;
    let mut unknown = unknown.into_inner().unwrap_or_else(PoisonError::into_inner);
    unknown.sort_unstable();
    for (row, address, network) in unknown {
        let peer = ladder.peer_in(address, network).ok_or_else(|| two_networks(address))?;
        if let Some(contacted) = rows.values.get_mut(row) {
            contacted.peer = peer;
        }
    }
    Ok(rows)
}
