//! The table of `destinations`, the one that grows with traffic, and the addresses of the ladder with it.

use bytes::Bytes;

use super::Order;
use super::columns::{Column, KNOWN, Kind, Writer, column};
use super::error::Error;
use super::page::{Reader, Rise};
use crate::baseline::{DestinationKey, DestinationKnown};
use crate::baselines::Baselines;
use crate::ladder::{Ladder, to_ip};
use crate::names::Names;
use crate::table::Table;

/// Place of the owner, address, port, protocol: what rows are sorted by.
type Place = (u32, u128, u16, u8);

pub(super) fn columns() -> Vec<Column> {
    let keys = [
        column("owner", Kind::Name),
        column("address", Kind::Address),
        column("port", Kind::U16),
        column("protocol", Kind::U8),
        column("network", Kind::Name),
    ];
    let amounts = [column("bytes_out", Kind::U64), column("bytes_in", Kind::U64)];
    [&keys, KNOWN, &amounts].concat()
}

pub(super) fn encode(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let columns = columns();
    let mut rows: Vec<(Place, u32, &DestinationKnown)> = from
        .numbered()
        .flat_map(|(owner, of)| of.destinations.iter().map(move |(key, known)| (owner, *key, known)))
        .map(|(owner, (peer, port, protocol), known)| {
            let rungs = from.ladder.rungs(peer);
            ((order.owner(owner), rungs.address, port, protocol), rungs.network, known)
        })
        .collect();
    rows.sort_unstable_by_key(|row| row.0);
    Writer::new(file, &columns, &super::facts())?.table(&rows, |sheet, rows| {
        sheet.text(rows.iter().map(|row| order.owner_name(from, row.0.0)));
        sheet.text(rows.iter().map(|row| to_ip(row.0.1).to_string()));
        sheet.u16(rows.iter().map(|row| row.0.2));
        sheet.u8(rows.iter().map(|row| row.0.3));
        sheet.text(rows.iter().map(|row| from.ladder.networks().name(row.1)));
        sheet.known(rows.iter().map(|row| &row.2.known));
        sheet.u64(rows.iter().map(|row| row.2.bytes_out));
        sheet.u64(rows.iter().map(|row| row.2.bytes_in));
    })
}

pub(super) fn decode(
    reader: &Reader<'_>,
    (owners, names): (&Names, &Names),
    ladder: &mut Ladder,
    destinations: &mut [Table<DestinationKey, DestinationKnown>],
) -> Result<(), Error> {
    ladder.reserve_peers(reader.n_reserved());
    let mut rise = Rise::default();
    reader.read(
        |page| {
            let peers = page.addresses("address")?.into_iter().zip(page.codes("network", names)?);
            let ports = page.u16("port")?.iter().zip(page.u8("protocol")?);
            let amounts = page.u64("bytes_out")?.iter().zip(page.u64("bytes_in")?);
            let keys = page.codes("owner", owners)?.into_iter().zip(peers).zip(ports);
            Ok(keys
                .zip(page.known()?)
                .zip(amounts)
                .map(|((((owner, peer), (&port, &protocol)), known), (&bytes_out, &bytes_in))| {
                    (owner, peer, (port, protocol), DestinationKnown { known, bytes_out, bytes_in })
                })
                .collect::<Vec<_>>())
        },
        |rows| {
            let on_ladder = |(owner, (address, network), (port, protocol), known)| {
                let peer = ladder.peer_in(address, network);
                let peer = peer.ok_or_else(|| reader.damaged(format!("{} is in two networks", to_ip(address))))?;
                Ok(((owner, address, port, protocol), (owner, (peer, port, protocol), known)))
            };
            let rows = rows.into_iter().map(on_ladder).collect::<Result<Vec<(Place, _)>, Error>>()?;
            reader.put(destinations, &mut rise, rows)
        },
    )
}
