//! The table of what is under watch: `newcomers`. What there is several of for each lies in [`super::details`].

use bytes::Bytes;

use super::Order;
use super::columns::{Column, KNOWN, Kind, Writer, column, optional};
use super::details::Details;
use super::error::Error;
use super::page::{Page, Reader, Rise};
use crate::baselines::Baselines;
use crate::ladder::{Ladder, Prefix};
use crate::names::Names;
use crate::newcomer::{Circumstances, Held, Newcomer, Subject};
use crate::table::Table;
use crate::watched::Watched;

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
pub(super) fn sorted<'a>(from: &'a Baselines, order: &Order<'_>) -> Vec<(u32, Subject, &'a Watched)> {
    let place = |owner: u32, subject: Subject| {
        let rung = match subject {
            Subject::Network(network) => (0u8, order.network(network), Prefix::default(), 0, 0),
            Subject::Service(network, port, protocol) => (1, order.network(network), Prefix::default(), port, protocol),
            Subject::Prefix(prefix) => (2, 0, from.ladder.prefix(prefix), 0, 0),
        };
        (order.owner(owner), rung)
    };
    let mut rows: Vec<(u32, Subject, &Watched)> = from.watched().collect();
    rows.sort_unstable_by_key(|&(owner, subject, _)| place(owner, subject));
    rows
}

pub(super) fn encode(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let columns = columns();
    let service = |subject: Subject| match subject {
        Subject::Service(_, port, protocol) => (port, protocol),
        _ => (0, 0),
    };
    Writer::new(file, &columns, &super::facts())?.table(&order.newcomers, |sheet, rows| {
        let opened: Vec<Newcomer> = rows.iter().map(|row| row.2.open()).collect();
        let newcomers = || opened.iter();
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
        sheet.known(newcomers().map(|newcomer| &newcomer.known));
        sheet.u32(newcomers().map(|newcomer| newcomer.met.n_days));
        sheet.f64(newcomers().map(|newcomer| newcomer.met.n_new));
        sheet.f64(newcomers().map(|newcomer| newcomer.met.exposure));
        sheet.u32(newcomers().map(|newcomer| newcomer.met.n_owners_knowing));
        sheet.u32(newcomers().map(|newcomer| newcomer.met.n_owners));
        sheet.u8(newcomers().map(|newcomer| newcomer.met.port_known.into()));
        sheet.f64(newcomers().map(|newcomer| newcomer.met.n_new_networks));
        sheet.f64(newcomers().map(|newcomer| newcomer.met.network_exposure));
        sheet.f64(newcomers().map(|newcomer| newcomer.met.n_new_ports));
        sheet.f64(newcomers().map(|newcomer| newcomer.met.port_exposure));
        sheet.u32(newcomers().map(|newcomer| newcomer.met.age));
        sheet.u64(newcomers().map(|newcomer| newcomer.n_flows));
        sheet.u64(newcomers().map(|newcomer| newcomer.n_rejected));
        sheet.u64(newcomers().map(|newcomer| newcomer.bytes_out));
        sheet.u64(newcomers().map(|newcomer| newcomer.bytes_in));
        sheet.u64(newcomers().map(|newcomer| newcomer.latest_bytes_out));
        sheet.windows(newcomers().map(|newcomer| newcomer.before));
        sheet.u64(newcomers().map(|newcomer| newcomer.held.bits));
        sheet.windows(newcomers().map(|newcomer| newcomer.held.since));
        sheet.windows(newcomers().map(|newcomer| newcomer.held.until));
        sheet.f64(newcomers().map(|newcomer| newcomer.held.against_chance));
        sheet.optional_text(
            newcomers().map(|newcomer| (newcomer.finding != 0).then(|| format!("{:032x}", newcomer.finding))),
        );
    })
}

/// A subject whose prefix has no number yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Read {
    Known(Subject),
    Prefix(Prefix),
}

fn subjects(page: &Page<'_>, names: &Names) -> Result<Vec<Read>, Error> {
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

/// Reads newcomers with what is told of them in the other tables.
pub(super) fn decode(
    reader: &Reader<'_>,
    (owners, networks): (&Names, &Names),
    details: &Details,
    ladder: &mut Ladder,
    into: &mut [Table<Subject, Watched>],
) -> Result<(), Error> {
    details.check(reader.n_rows())?;
    let mut rise = Rise::default();
    reader.read(
        |page| {
            let keys = page.codes("owner", owners)?.into_iter().zip(subjects(page, networks)?);
            let mut of = details.from(page.first_row());
            let closed = newcomers(page)?.into_iter().map(|mut newcomer| {
                of.add_next(&mut newcomer);
                Watched::close(&newcomer)
            });
            Ok(keys.zip(closed).collect::<Vec<_>>())
        },
        |rows| {
            let on_ladder = |((owner, read), newcomer): ((u32, Read), Watched)| {
                let subject = match read {
                    Read::Known(subject) => subject,
                    Read::Prefix(prefix) => Subject::Prefix(ladder.prefix_id(prefix)),
                };
                ((owner, read), (owner, subject, newcomer))
            };
            reader.put(into, &mut rise, rows.into_iter().map(on_ladder).collect())
        },
    )
}
