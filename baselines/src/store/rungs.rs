//! The tables of the ladder's upper rungs: `labels`, `networks`, `services`, `prefixes`, `ports`.

use bytes::Bytes;

use super::Order;
use super::columns::{Column, KNOWN, Kind, Sheet, VOLUMES, Writer, column};
use super::error::Error;
use super::page::{Reader, Rise, address};
use crate::baseline::{NetworkKnown, PrefixKnown, ServiceKey, ServiceKnown};
use crate::baselines::Baselines;
use crate::known::Known;
use crate::ladder::{Ladder, Network, Prefix};
use crate::names::Names;
use crate::table::Table;

pub(super) fn label_columns() -> Vec<Column> {
    vec![column("network", Kind::Text), column("label", Kind::Text)]
}

pub(super) fn encode_labels(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let columns = label_columns();
    let mut sheet = Sheet::new(file, &columns);
    sheet.text(order.networks_in_use.iter().map(|&network| from.ladder.networks().name(network)));
    sheet.text(order.networks_in_use.iter().map(|&network| from.ladder.label(network)));
    sheet.finish(&super::facts())
}

pub(super) fn decode_labels(reader: &Reader<'_>, ladder: &mut Ladder) -> Result<(), Error> {
    reader.read(
        |page| {
            let pairs = page.texts("network")?.iter().zip(page.texts("label")?);
            Ok(pairs
                .map(|(key, label)| Network {
                    key: key.unwrap_or_default().into(),
                    label: label.unwrap_or_default().into(),
                })
                .collect::<Vec<_>>())
        },
        |networks| {
            for network in networks {
                if ladder.networks().id(&network.key).is_some() {
                    return Err(reader.damaged(format!("`{}` is there twice", network.key)));
                }
                ladder.network(&network);
            }
            Ok(())
        },
    )
}

pub(super) fn network_columns() -> Vec<Column> {
    let keys = [column("owner", Kind::Name), column("network", Kind::Name)];
    let counts = [column("n_prefixes", Kind::U32), column("n_late_prefixes", Kind::U32)];
    [&keys, KNOWN, &counts].concat()
}

pub(super) fn encode_networks(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let columns = network_columns();
    let mut rows: Vec<(u32, u32, &NetworkKnown)> = from
        .numbered()
        .flat_map(|(owner, of)| of.networks.iter().map(move |(&network, known)| (owner, network, known)))
        .collect();
    rows.sort_unstable_by_key(|&(owner, network, _)| (order.owner(owner), order.network(network)));
    Writer::new(file, &columns, &super::facts())?.table(&rows, |sheet, rows| {
        sheet.text(rows.iter().map(|row| from.owners.name(row.0)));
        sheet.text(rows.iter().map(|row| from.ladder.networks().name(row.1)));
        sheet.known(rows.iter().map(|row| &row.2.known));
        sheet.u32(rows.iter().map(|row| row.2.n_prefixes));
        sheet.u32(rows.iter().map(|row| row.2.n_late_prefixes));
    })
}

pub(super) fn decode_networks(
    reader: &Reader<'_>,
    (owners, names): (&Names, &Names),
    networks: &mut [Table<u32, NetworkKnown>],
) -> Result<(), Error> {
    reader.fill(networks, |page| {
        let keys = page.codes("owner", owners)?.into_iter().zip(page.codes("network", names)?);
        let counts = page.u32("n_prefixes")?.iter().zip(page.u32("n_late_prefixes")?);
        Ok(keys
            .zip(page.known()?)
            .zip(counts)
            .map(|(((owner, network), known), (&n_prefixes, &n_late_prefixes))| {
                (owner, network, NetworkKnown { known, n_prefixes, n_late_prefixes })
            })
            .collect::<Vec<_>>())
    })
}

pub(super) fn service_columns() -> Vec<Column> {
    let keys = [
        column("owner", Kind::Name),
        column("network", Kind::Name),
        column("port", Kind::U16),
        column("protocol", Kind::U8),
    ];
    [&keys, KNOWN, VOLUMES].concat()
}

pub(super) fn encode_services(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let columns = service_columns();
    let mut rows: Vec<(u32, &ServiceKey, &ServiceKnown)> = from
        .numbered()
        .flat_map(|(owner, of)| of.services.iter().map(move |(key, known)| (owner, key, known)))
        .collect();
    rows.sort_unstable_by_key(|&(owner, &(network, port, protocol), _)| {
        (order.owner(owner), order.network(network), port, protocol)
    });
    Writer::new(file, &columns, &super::facts())?.table(&rows, |sheet, rows| {
        sheet.text(rows.iter().map(|row| from.owners.name(row.0)));
        sheet.text(rows.iter().map(|row| from.ladder.networks().name(row.1.0)));
        sheet.u16(rows.iter().map(|row| row.1.1));
        sheet.u8(rows.iter().map(|row| row.1.2));
        sheet.known(rows.iter().map(|row| &row.2.known));
        sheet.volumes(rows.iter().map(|row| &row.2.volumes));
    })
}

pub(super) fn decode_services(
    reader: &Reader<'_>,
    (owners, names): (&Names, &Names),
    services: &mut [Table<ServiceKey, ServiceKnown>],
) -> Result<(), Error> {
    reader.fill(services, |page| {
        let keys = page.codes("owner", owners)?.into_iter().zip(page.codes("network", names)?);
        let ports = page.u16("port")?.iter().zip(page.u8("protocol")?);
        let known = page.known()?.into_iter().zip(page.volumes()?);
        Ok(keys
            .zip(ports)
            .zip(known)
            .map(|(((owner, network), (&port, &protocol)), (known, volumes))| {
                (owner, (network, port, protocol), ServiceKnown { known, volumes })
            })
            .collect::<Vec<_>>())
    })
}

pub(super) fn prefix_columns() -> Vec<Column> {
    // `network`: the one it was met in first; a prefix may hold addresses of several.
    let keys = [column("owner", Kind::Name), column("prefix", Kind::Address), column("network", Kind::Name)];
    [&keys, KNOWN].concat()
}

pub(super) fn encode_prefixes(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let columns = prefix_columns();
    let mut rows: Vec<(u32, Prefix, &PrefixKnown)> = from
        .numbered()
        .flat_map(|(owner, of)| of.prefixes.iter().map(move |(prefix, known)| (owner, *prefix, known)))
        .map(|(owner, prefix, known)| (order.owner(owner), from.ladder.prefix(prefix), known))
        .collect();
    rows.sort_unstable_by_key(|&(owner, prefix, _)| (owner, prefix));
    Writer::new(file, &columns, &super::facts())?.table(&rows, |sheet, rows| {
        sheet.text(rows.iter().map(|row| order.owner_name(from, row.0)));
        sheet.text(rows.iter().map(|row| row.1.to_string()));
        sheet.text(rows.iter().map(|row| from.ladder.networks().name(row.2.network)));
        sheet.known(rows.iter().map(|row| &row.2.known));
    })
}

pub(super) fn decode_prefixes(
    reader: &Reader<'_>,
    (owners, names): (&Names, &Names),
    ladder: &mut Ladder,
    prefixes: &mut [Table<u32, PrefixKnown>],
) -> Result<(), Error> {
    ladder.reserve_prefixes(reader.n_reserved());
    let mut rise = Rise::default();
    reader.read(
        |page| {
            let parse = |text: Option<&str>| text.and_then(prefix);
            let blocks: Option<Vec<Prefix>> = page.texts("prefix")?.iter().map(parse).collect();
            let blocks = blocks.ok_or_else(|| page.damaged("`prefix` is no block"))?;
            let known = page.codes("network", names)?.into_iter().zip(page.known()?);
            let keys = page.codes("owner", owners)?.into_iter().zip(blocks);
            Ok(keys.zip(known.map(|(network, known)| PrefixKnown { known, network })).collect::<Vec<_>>())
        },
        |rows| {
            let rows = rows.into_iter().map(|(place, known)| (place, (place.0, ladder.prefix_id(place.1), known)));
            reader.put(prefixes, &mut rise, rows.collect())
        },
    )
}

/// A block as it is written, its address and length those of a [`Prefix`].
pub(super) fn prefix(text: &str) -> Option<Prefix> {
    let (start, n_bits) = text.split_once('/')?;
    let start = address(start)?;
    let block = Prefix::of(start);
    (block.0 == start && n_bits.parse() == Ok(block.n_bits())).then_some(block)
}

pub(super) fn port_columns() -> Vec<Column> {
    [&[column("owner", Kind::Name), column("port", Kind::U16), column("protocol", Kind::U8)], KNOWN].concat()
}

pub(super) fn encode_ports(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let columns = port_columns();
    let mut sheet = Sheet::new(file, &columns);
    let mut rows: Vec<(u32, &(u16, u8), &Known)> =
        from.numbered().flat_map(|(owner, of)| of.ports.iter().map(move |(key, known)| (owner, key, known))).collect();
    rows.sort_unstable_by_key(|&(owner, &key, _)| (order.owner(owner), key));
    sheet.text(rows.iter().map(|row| from.owners.name(row.0)));
    sheet.u16(rows.iter().map(|row| row.1.0));
    sheet.u8(rows.iter().map(|row| row.1.1));
    sheet.known(rows.iter().map(|row| row.2));
    sheet.finish(&super::facts())
}

pub(super) fn decode_ports(
    reader: &Reader<'_>,
    owners: &Names,
    ports: &mut [Table<(u16, u8), Known>],
) -> Result<(), Error> {
    reader.fill(ports, |page| {
        let keys = page.codes("owner", owners)?.into_iter().zip(page.u16("port")?).zip(page.u8("protocol")?);
        Ok(keys
            .zip(page.known()?)
            .map(|(((owner, &port), &protocol), known)| (owner, (port, protocol), known))
            .collect::<Vec<_>>())
    })
}
