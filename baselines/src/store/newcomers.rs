//! The tables of what is under watch: `newcomers`, their `contacts` and `counts`, and the destinations they `contacted`.

use bytes::Bytes;

use super::Order;
use super::columns::{Column, KNOWN, Kind, Sheet, column, optional};
use super::error::Error;
use super::page::{Page, Reader};
use crate::baseline::Baselines;
use crate::ladder::{Prefix, to_ip};
use crate::newcomer::{Circumstances, Contacted, Held, Newcomer, Subject};

pub(super) fn columns() -> Vec<Column> {
    let keys = [
        column("owner", Kind::Name),
        // `network`, `service` or `prefix`: what of the following is lacking follows.
        column("rung", Kind::Name),
        optional("network", Kind::Name),
        column("port", Kind::U16),
        column("protocol", Kind::U8),
        optional("prefix", Kind::Text),
    ];
    let rest = [
        column("met_n_days", Kind::U32),
        column("met_n_new", Kind::F64),
        column("met_exposure", Kind::F64),
        column("met_n_owners_knowing", Kind::U32),
        column("met_n_owners", Kind::U32),
        column("met_port_known", Kind::U8),
        column("met_n_new_networks", Kind::F64),
        column("met_network_exposure", Kind::F64),
        column("met_n_new_ports", Kind::F64),
        column("met_port_exposure", Kind::F64),
        column("met_age_windows", Kind::U32),
        column("n_flows", Kind::U64),
        column("n_rejected", Kind::U64),
        column("bytes_out", Kind::U64),
        column("bytes_in", Kind::U64),
        column("latest_bytes_out", Kind::U64),
        column("before", Kind::Time),
        column("held_bits", Kind::U64),
        column("held_since", Kind::Time),
        column("held_until", Kind::Time),
        column("held_against_chance", Kind::F64),
        // The id of the finding it is under, in hex.
        optional("finding", Kind::Text),
    ];
    [&keys, KNOWN, &rest].concat()
}

/// Newcomers in the order they are stored in: by owner, rung, then name or block.
fn sorted<'a>(from: &'a Baselines, order: &Order) -> Vec<(u32, Subject, &'a Newcomer)> {
    let place = |owner: u32, subject: Subject| {
        let rung = match subject {
            Subject::Network(network) => (0u8, order.network(network), Prefix::default(), 0, 0),
            Subject::Service(network, port, protocol) => (1, order.network(network), Prefix::default(), port, protocol),
            Subject::Prefix(prefix) => (2, 0, from.ladder.prefix(prefix), 0, 0),
        };
        (order.owner(owner), rung)
    };
    let mut rows: Vec<(u32, Subject, &Newcomer)> =
        from.newcomers.iter().map(|(&(owner, subject), newcomer)| (owner, subject, newcomer)).collect();
    rows.sort_unstable_by_key(|&(owner, subject, _)| place(owner, subject));
    rows
}

pub(super) fn encode(from: &Baselines, order: &Order, file: &str) -> Result<Bytes, Error> {
    let columns = columns();
    let mut sheet = Sheet::new(file, &columns);
    let rows = sorted(from, order);
    let all = || rows.iter().map(|row| row.2);
    let service = |subject: Subject| match subject {
        Subject::Service(_, port, protocol) => (port, protocol),
        _ => (0, 0),
    };
    sheet.text(rows.iter().map(|row| from.owners.name(row.0)));
    sheet.text(rows.iter().map(|row| match row.1 {
        Subject::Network(_) => "network",
        Subject::Service(..) => "service",
        Subject::Prefix(_) => "prefix",
    }));
    sheet.optional_text(rows.iter().map(|row| match row.1 {
        Subject::Network(network) | Subject::Service(network, ..) => Some(from.ladder.networks().name(network)),
        Subject::Prefix(_) => None,
    }));
    sheet.u16(rows.iter().map(|row| service(row.1).0));
    sheet.u8(rows.iter().map(|row| service(row.1).1));
    sheet.optional_text(rows.iter().map(|row| match row.1 {
        Subject::Prefix(prefix) => Some(from.ladder.prefix(prefix).to_string()),
        _ => None,
    }));
    sheet.known(all().map(|newcomer| &newcomer.known));
    sheet.u32(all().map(|newcomer| newcomer.met.n_days));
    sheet.f64(all().map(|newcomer| newcomer.met.n_new));
    sheet.f64(all().map(|newcomer| newcomer.met.exposure));
    sheet.u32(all().map(|newcomer| newcomer.met.n_owners_knowing));
    sheet.u32(all().map(|newcomer| newcomer.met.n_owners));
    sheet.u8(all().map(|newcomer| newcomer.met.port_known.into()));
    sheet.f64(all().map(|newcomer| newcomer.met.n_new_networks));
    sheet.f64(all().map(|newcomer| newcomer.met.network_exposure));
    sheet.f64(all().map(|newcomer| newcomer.met.n_new_ports));
    sheet.f64(all().map(|newcomer| newcomer.met.port_exposure));
    sheet.u32(all().map(|newcomer| newcomer.met.age));
    sheet.u64(all().map(|newcomer| newcomer.n_flows));
    sheet.u64(all().map(|newcomer| newcomer.n_rejected));
    sheet.u64(all().map(|newcomer| newcomer.bytes_out));
    sheet.u64(all().map(|newcomer| newcomer.bytes_in));
    sheet.u64(all().map(|newcomer| newcomer.latest_bytes_out));
    sheet.windows(all().map(|newcomer| newcomer.before));
    sheet.u64(all().map(|newcomer| newcomer.held.bits));
    sheet.windows(all().map(|newcomer| newcomer.held.since));
    sheet.windows(all().map(|newcomer| newcomer.held.until));
    sheet.f64(all().map(|newcomer| newcomer.held.against_chance));
    sheet.optional_text(all().map(|newcomer| (newcomer.finding != 0).then(|| format!("{:032x}", newcomer.finding))));
    sheet.finish(&super::facts())
}

/// A subject whose prefix has no number yet.
#[derive(Clone, Copy)]
enum Read {
    Known(Subject),
    Prefix(Prefix),
}

fn subjects(page: &Page<'_>, names: &crate::names::Names) -> Result<Vec<Read>, Error> {
    let rungs = page.mapped("rung", |rung| match rung {
        "network" => Ok(0),
        "service" => Ok(1),
        "prefix" => Ok(2),
        other => Err(page.damaged(format!("`rung` says `{other}`"))),
    })?;
    let networks = page.optional_codes("network", names)?;
    let services = page.u16("port")?.iter().zip(page.u8("protocol")?);
    let prefixes = page.texts("prefix")?.iter();
    let read: Option<Vec<Read>> = rungs
        .into_iter()
        .zip(networks)
        .zip(services)
        .zip(prefixes)
        .map(|(((rung, network), (&port, &protocol)), prefix)| {
            Some(match (rung?, network, prefix) {
                (0, Some(network), None) => Read::Known(Subject::Network(network)),
                (1, Some(network), None) => Read::Known(Subject::Service(network, port, protocol)),
                (2, None, Some(prefix)) => Read::Prefix(super::rungs::prefix(prefix)?),
                _ => return None,
            })
        })
        .collect();
    read.ok_or_else(|| page.damaged("a newcomer's rung and what is told of it do not agree"))
}

fn findings(page: &Page<'_>) -> Result<Vec<u128>, Error> {
    let parse = |text: Option<&str>| match text {
        Some(hex) => u128::from_str_radix(hex, 16).ok().filter(|&id| id != 0 && format!("{id:032x}") == hex),
        None => Some(0),
    };
    let ids: Option<Vec<u128>> = page.texts("finding")?.iter().map(parse).collect();
    ids.ok_or_else(|| page.damaged("`finding` is no id of a finding"))
}

fn circumstances(page: &Page<'_>) -> Result<Vec<Circumstances>, Error> {
    let fleet = page.u32("met_n_owners_knowing")?.iter().zip(page.u32("met_n_owners")?);
    let ports = page.f64("met_n_new_ports")?.iter().zip(page.f64("met_port_exposure")?).zip(page.u8("met_port_known")?);
    let news = page.f64("met_n_new")?.iter().zip(page.f64("met_exposure")?);
    let networks = page.f64("met_n_new_networks")?.iter().zip(page.f64("met_network_exposure")?);
    let ages = page.u32("met_n_days")?.iter().zip(page.u32("met_age_windows")?);
    let met = fleet.zip(ports).zip(news.zip(ages)).zip(networks).map(|(((fleet, ports), (news, ages)), networks)| {
        let ((&n_new_ports, &port_exposure), &port_known) = ports;
        Circumstances {
            n_days: *ages.0,
            n_new: *news.0,
            exposure: *news.1,
            n_owners_knowing: *fleet.0,
            n_owners: *fleet.1,
            port_known: port_known != 0,
            n_new_networks: *networks.0,
            network_exposure: *networks.1,
            n_new_ports,
            port_exposure,
            age: *ages.1,
        }
    });
    Ok(met.collect())
}

fn held(page: &Page<'_>) -> Result<Vec<Held>, Error> {
    let spans = page.windows("held_since")?.into_iter().zip(page.windows("held_until")?);
    let runs = page.u64("held_bits")?.iter().zip(page.f64("held_against_chance")?);
    Ok(spans
        .zip(runs)
        .map(|((since, until), (&bits, &against_chance))| Held { bits, since, until, against_chance })
        .collect())
}

fn newcomers(page: &Page<'_>) -> Result<Vec<Newcomer>, Error> {
    let known = page.known()?.into_iter().zip(circumstances(page)?);
    let flows = page.u64("n_flows")?.iter().zip(page.u64("n_rejected")?);
    let bytes = page.u64("bytes_out")?.iter().zip(page.u64("bytes_in")?).zip(page.u64("latest_bytes_out")?);
    let state = page.windows("before")?.into_iter().zip(held(page)?).zip(findings(page)?);
    Ok(known
        .zip(flows.zip(bytes))
        .zip(state)
        .map(
            |(
                ((known, met), ((&n_flows, &n_rejected), ((&bytes_out, &bytes_in), &latest_bytes_out))),
                ((before, held), finding),
            )| Newcomer {
                known,
                met,
                contacts: Vec::new(),
                counts: Vec::new(),
                destinations: Vec::new(),
                n_flows,
                n_rejected,
                bytes_out,
                bytes_in,
                latest_bytes_out,
                before,
                held,
                finding,
            },
        )
        .collect())
}

pub(super) fn decode(reader: &Reader<'_>, into: &mut Baselines) -> Result<(), Error> {
    let names = into.ladder.networks().clone();
    let Baselines { owners, ladder, newcomers: table, .. } = into;
    reader.read(
        |page| {
            let keys = page.codes("owner", owners)?.into_iter().zip(subjects(page, &names)?);
            Ok(keys.zip(newcomers(page)?).collect::<Vec<_>>())
        },
        |rows| {
            for ((owner, subject), newcomer) in rows {
                let subject = match subject {
                    Read::Known(subject) => subject,
                    Read::Prefix(prefix) => Subject::Prefix(ladder.prefix_id(prefix)),
                };
                reader.put(table, (owner, subject), newcomer)?;
            }
            Ok(())
        },
    )
}

pub(super) fn contact_columns() -> Vec<Column> {
    // `newcomer`: row of the table `newcomers`, from 0. `minute`: a minute in which contact was made.
    vec![column("newcomer", Kind::U32), column("minute", Kind::Time)]
}

pub(super) fn encode_contacts(from: &Baselines, order: &Order, file: &str) -> Result<Bytes, Error> {
    let columns = contact_columns();
    let mut sheet = Sheet::new(file, &columns);
    let rows = sorted(from, order);
    let contacts =
        || (0..).zip(&rows).flat_map(|(row, (.., newcomer))| newcomer.contacts.iter().map(move |&m| (row, m)));
    sheet.u32(contacts().map(|(row, _)| row));
    sheet.secs(contacts().map(|(_, minute)| i64::from(minute) * 60));
    sheet.finish(&super::facts())
}

pub(super) fn decode_contacts(reader: &Reader<'_>, into: &mut Baselines) -> Result<(), Error> {
    reader.read(
        |page| {
            let minute = |secs: i64| (secs % 60 == 0).then(|| u32::try_from(secs / 60).ok()).flatten();
            let minutes: Option<Vec<u32>> = page.secs("minute")?.into_iter().map(minute).collect();
            let minutes = minutes.ok_or_else(|| page.damaged("`minute` is no minute"))?;
            Ok((page.u32("newcomer")?.to_vec(), minutes))
        },
        |(rows, minutes)| {
            for (row, minute) in rows.into_iter().zip(minutes) {
                let newcomer = into.newcomers.at_mut(row).ok_or_else(|| reader.damaged("a contact is nobody's"))?;
                if newcomer.contacts.last().is_some_and(|&last| last >= minute) {
                    return Err(reader.damaged("the contacts of a newcomer are out of order"));
                }
                newcomer.contacts.push(minute);
            }
            Ok(())
        },
    )
}

pub(super) fn count_columns() -> Vec<Column> {
    // `newcomer`: row of the table `newcomers`, from 0.
    vec![column("newcomer", Kind::U32), column("window", Kind::Time), column("n_flows", Kind::U32)]
}

pub(super) fn encode_counts(from: &Baselines, order: &Order, file: &str) -> Result<Bytes, Error> {
    let columns = count_columns();
    let mut sheet = Sheet::new(file, &columns);
    let rows = sorted(from, order);
    let counts = || (0..).zip(&rows).flat_map(|(row, (.., newcomer))| newcomer.counts.iter().map(move |&c| (row, c)));
    sheet.u32(counts().map(|(row, _)| row));
    sheet.windows(counts().map(|(_, (window, _))| window));
    sheet.u32(counts().map(|(_, (_, n))| n));
    sheet.finish(&super::facts())
}

pub(super) fn decode_counts(reader: &Reader<'_>, into: &mut Baselines) -> Result<(), Error> {
    reader.read(
        |page| {
            let counts = page.windows("window")?.into_iter().zip(page.u32("n_flows")?);
            let rows = page.u32("newcomer")?.iter().zip(counts);
            Ok(rows.map(|(&row, (window, &n))| (row, (window, n))).collect::<Vec<_>>())
        },
        |rows| {
            for (row, count) in rows {
                let newcomer = into.newcomers.at_mut(row).ok_or_else(|| reader.damaged("a count is nobody's"))?;
                if newcomer.counts.last().is_some_and(|last| last.0 >= count.0) {
                    return Err(reader.damaged("the counts of a newcomer are out of order"));
                }
                newcomer.counts.push(count);
            }
            Ok(())
        },
    )
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

pub(super) fn encode_contacted(from: &Baselines, order: &Order, file: &str) -> Result<Bytes, Error> {
    let columns = contacted_columns();
    let mut sheet = Sheet::new(file, &columns);
    let rows = sorted(from, order);
    let all: Vec<(u32, &Contacted)> = (0..)
        .zip(&rows)
        .flat_map(|(row, (.., newcomer))| newcomer.destinations.iter().map(move |d| (row, d)))
        .collect();
    let rungs = |contacted: &Contacted| from.ladder.rungs(contacted.peer);
    sheet.u32(all.iter().map(|row| row.0));
    sheet.text(all.iter().map(|row| to_ip(rungs(row.1).address).to_string()));
    sheet.u16(all.iter().map(|row| row.1.port));
    sheet.u8(all.iter().map(|row| row.1.protocol));
    sheet.text(all.iter().map(|row| from.ladder.networks().name(rungs(row.1).network)));
    sheet.u64(all.iter().map(|row| row.1.n_flows));
    sheet.u64(all.iter().map(|row| row.1.bytes_out));
    sheet.u64(all.iter().map(|row| row.1.bytes_in));
    sheet.secs(all.iter().map(|row| row.1.first));
    sheet.secs(all.iter().map(|row| row.1.last));
    sheet.finish(&super::facts())
}

pub(super) fn decode_contacted(reader: &Reader<'_>, into: &mut Baselines) -> Result<(), Error> {
    let names = into.ladder.networks().clone();
    let Baselines { ladder, newcomers, .. } = into;
    reader.read(
        |page| {
            let peers = page.addresses("address")?.into_iter().zip(page.codes("network", &names)?);
            let ports = page.u16("port")?.iter().zip(page.u8("protocol")?);
            let amounts = page.u64("n_flows")?.iter().zip(page.u64("bytes_out")?).zip(page.u64("bytes_in")?);
            let spans = page.secs("first")?.into_iter().zip(page.secs("last")?);
            Ok(page
                .u32("newcomer")?
                .iter()
                .zip(peers)
                .zip(ports.zip(amounts))
                .zip(spans)
                .map(|(((&row, peer), ((&port, &protocol), ((&n_flows, &bytes_out), &bytes_in))), (first, last))| {
                    (row, peer, Contacted { peer: 0, port, protocol, n_flows, bytes_out, bytes_in, first, last })
                })
                .collect::<Vec<_>>())
        },
        |rows| {
            for (row, (address, network), contacted) in rows {
                let peer = ladder.peer_in(address, network);
                let peer = peer.ok_or_else(|| reader.damaged(format!("{} is in two networks", to_ip(address))))?;
                let newcomer = newcomers.at_mut(row).ok_or_else(|| reader.damaged("a contact is nobody's"))?;
                newcomer.destinations.push(Contacted { peer, ..contacted });
            }
            Ok(())
        },
    )
}
