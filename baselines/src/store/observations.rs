//! Observation files: what was seen in one flow log object, as Parquet.
//!
//! Where it sits: written beside each object read, read back by learning and by checks that need hours or days. One row
//! per owner × interface × destination × window; any engine may produce the same.
//! What it does not do: it carries none of the numbers of [`Observations`]' tables; the rows hold names and addresses.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::columns::{Column, Kind, SCHEMA_KEY, Sheet, column, optional};
use super::error::Error;
use super::manifest::compare_schema;
use super::page::{Page, Reader};
use crate::ladder::to_ip;
use crate::observation::{Collector, Eni, Observation, Observations, Renumbering};

/// The version of the format of observation files. A change of their columns is a new one.
pub const OBSERVATIONS_SCHEMA: &str = "callout.observations/1";

/// Key of the source object's name in the key-value metadata.
const SOURCE_KEY: &str = "callout.source";

/// Observations and the object they were made of.
#[derive(Clone, Debug, Default)]
pub struct Sourced {
    /// Name of the flow log object.
    pub source: String,
    /// What was seen.
    pub observations: Observations,
}

const COLUMNS: &[Column] = &[
    column("owner", Kind::Name),
    // What the log did not say of the interface is lacking.
    optional("eni_id", Kind::Name),
    optional("account_id", Kind::Name),
    optional("region", Kind::Name),
    optional("vpc_id", Kind::Name),
    column("address", Kind::Address),
    column("port", Kind::U16),
    column("protocol", Kind::U8),
    optional("aws_service", Kind::Name),
    column("window_start", Kind::Time),
    column("n_flows", Kind::U32),
    column("n_rejected", Kind::U32),
    column("bytes_out", Kind::U64),
    column("packets_in", Kind::U64),
    column("bytes_in", Kind::U64),
    column("first", Kind::Time),
    column("last", Kind::Time),
    column("minutes", Kind::U16),
    column("ports_early", Kind::U64),
    column("ports_late", Kind::U64),
    column("digest", Kind::U64),
];

/// Encodes observations made of one flow log object.
///
/// # Guarantees
/// Equal observations give equal bytes, whatever the order they were made in.
///
/// # Errors
/// [`Error::TooLarge`] when there are more rows than the format holds.
pub fn encode_observations(observations: &Observations, source: &str) -> Result<Bytes, Error> {
    let set = in_order(observations);
    let mut sheet = Sheet::new(source, COLUMNS);
    let rows = || set.rows.iter();
    let no_eni = Eni::default();
    let enis = || rows().map(|row| set.enis.get(row.eni as usize).unwrap_or(&no_eni));
    let said = |text: &Arc<str>| (!text.is_empty()).then(|| Arc::clone(text));
    let peers = || rows().map(|row| set.peers.get(row.peer as usize));
    sheet.text(rows().map(|row| set.owners.name(row.owner)));
    sheet.optional_text(enis().map(|eni| said(&eni.id)));
    sheet.optional_text(enis().map(|eni| said(&eni.account)));
    sheet.optional_text(enis().map(|eni| said(&eni.region)));
    sheet.optional_text(enis().map(|eni| said(&eni.vpc)));
    sheet.text(peers().map(|peer| to_ip(peer.map_or(0, |peer| peer.address)).to_string()));
    sheet.u16(rows().map(|row| row.port));
    sheet.u8(rows().map(|row| row.protocol));
    sheet.optional_text(peers().map(|peer| said(&set.services.name(peer?.service))));
    sheet.windows(rows().map(|row| row.window));
    sheet.u32(rows().map(|row| row.n_flows));
    sheet.u32(rows().map(|row| row.n_rejected));
    sheet.u64(rows().map(|row| row.bytes_out));
    sheet.u64(rows().map(|row| row.packets_in));
    sheet.u64(rows().map(|row| row.bytes_in));
    sheet.secs(rows().map(|row| row.first));
    sheet.secs(rows().map(|row| row.last));
    sheet.u16(rows().map(|row| row.minutes));
    sheet.u64(rows().map(|row| row.ports_early));
    sheet.u64(rows().map(|row| row.ports_late));
    sheet.u64(rows().map(|row| row.digest));
    sheet.finish(&[(SCHEMA_KEY, OBSERVATIONS_SCHEMA), (SOURCE_KEY, source)])
}

/// Decodes an observation file; `origin` is what messages call it.
///
/// The rows are sorted by [`Observation::key`] and interface, the tables by name and address.
///
/// # Errors
/// [`Error::Newer`] when a later version wrote it, [`Error::Foreign`] when it is no observation file, else
/// [`Error::Damaged`]; any bytes, no panic. There is no checksum: what was altered and is still Parquet of these
/// columns is taken for what was seen.
pub fn decode_observations(origin: &str, bytes: &Bytes) -> Result<Sourced, Error> {
    let schema = Reader::fact_of(origin, bytes, SCHEMA_KEY)?;
    let schema = schema.ok_or_else(|| Error::Foreign {
        origin: origin.into(),
        why: format!("it does not say it is `{OBSERVATIONS_SCHEMA}`"),
    })?;
    compare_schema(origin, &schema, OBSERVATIONS_SCHEMA)?;
    let reader = Reader::open(origin, bytes, COLUMNS)?;
    let source = reader.fact(SOURCE_KEY).ok_or_else(|| reader.damaged("it does not name its source"))?.to_owned();
    let mut collector = Collector::default();
    let mut rows = Vec::with_capacity(reader.n_reserved());
    reader.read(Part::of, |part| {
        part.collect(&mut collector, &mut rows);
        Ok(())
    })?;
    Ok(Sourced { source, observations: in_order(&collector.finish(rows)) })
}

/// Words of a column, each once, and which of them a row has.
struct Words {
    words: Vec<Arc<str>>,
    codes: Vec<Option<u32>>,
}

impl Words {
    fn of(page: &Page<'_>, name: &str) -> Result<Self, Error> {
        let mut words: Vec<Arc<str>> = Vec::new();
        let codes = page.mapped(name, |word| {
            words.push(word.into());
            Ok((words.len() - 1) as u32)
        })?;
        Ok(Self { words, codes })
    }

    /// The word of a row; empty where it is lacking.
    fn at(&self, code: Option<u32>) -> Arc<str> {
        code.and_then(|code| self.words.get(code as usize)).cloned().unwrap_or_default()
    }
}

/// Some rows of a file, their names not yet numbers of a set.
struct Part {
    owners: Words,
    enis: [Words; 4],
    services: Words,
    addresses: Vec<u128>,
    rows: Vec<Observation>,
}

impl Part {
    fn of(page: &Page<'_>) -> Result<Self, Error> {
        let enis = [
            Words::of(page, "eni_id")?,
            Words::of(page, "account_id")?,
            Words::of(page, "region")?,
            Words::of(page, "vpc_id")?,
        ];
        let ports = page.u16("port")?.iter().zip(page.u8("protocol")?).zip(page.windows("window_start")?);
        let flows = page.u32("n_flows")?.iter().zip(page.u32("n_rejected")?);
        let into = page.u64("packets_in")?.iter().zip(page.u64("bytes_in")?);
        let spans = page.secs("first")?.into_iter().zip(page.secs("last")?).zip(page.u16("minutes")?);
        let masks = page.u64("ports_early")?.iter().zip(page.u64("ports_late")?).zip(page.u64("digest")?);
        let amounts = flows.zip(page.u64("bytes_out")?.iter().zip(into));
        let rows = ports.zip(amounts).zip(spans.zip(masks)).map(|((destination, amounts), (span, masks))| {
            let ((&port, &protocol), window) = destination;
            let ((&n_flows, &n_rejected), (&bytes_out, (&packets_in, &bytes_in))) = amounts;
            let ((first, last), &minutes) = span;
            let ((&ports_early, &ports_late), &digest) = masks;
            Observation {
                owner: 0,
                eni: 0,
                peer: 0,
                port,
                protocol,
                window,
                n_flows,
                n_rejected,
                bytes_out,
                packets_in,
                bytes_in,
                first,
                last,
                minutes,
                ports_early,
                ports_late,
                digest,
            }
        });
        Ok(Self {
            owners: Words::of(page, "owner")?,
            enis,
            services: Words::of(page, "aws_service")?,
            addresses: page.addresses("address")?,
            rows: rows.collect(),
        })
    }

    fn collect(self, collector: &mut Collector, rows: &mut Vec<Observation>) {
        let owners: Vec<u32> = self.owners.words.iter().map(|name| collector.owner(name)).collect();
        let owner = |code: Option<u32>| code.and_then(|code| owners.get(code as usize)).copied().unwrap_or(u32::MAX);
        let [ids, accounts, regions, vpcs] = &self.enis;
        let codes = ids.codes.iter().zip(&accounts.codes).zip(&regions.codes).zip(&vpcs.codes);
        let mut enis: HashMap<[Option<u32>; 4], u32, FixedState> = HashMap::default();
        let names = self.owners.codes.iter().zip(codes).zip(self.addresses.iter().zip(&self.services.codes));
        for (row, ((&of, (((&id, &account), &region), &vpc)), (&address, &service))) in self.rows.into_iter().zip(names)
        {
            let eni = *enis.entry([id, account, region, vpc]).or_insert_with(|| {
                let (id, account) = (ids.at(id), accounts.at(account));
                collector.eni(&Eni { id, account, region: regions.at(region), vpc: vpcs.at(vpc) })
            });
            let peer = collector.peer(address, &self.services.at(service));
            rows.push(Observation { owner: owner(of), eni, peer, ..row });
        }
    }
}

/// The same observations, their tables by name and address and without what no row refers to, the rows sorted.
fn in_order(observations: &Observations) -> Observations {
    let mut kept = Collector::default();
    kept.add(observations);
    let rows = kept.take_rows();
    let set = kept.finish(rows);
    let owners = places(&set.owners.iter().collect::<Vec<_>>(), set.rows.iter().map(|row| row.owner));
    let enis = places(&set.enis.iter().collect::<Vec<_>>(), set.rows.iter().map(|row| row.eni));
    let addresses: Vec<u128> = set.peers.iter().map(|peer| peer.address).collect();
    let peers = places(&addresses, set.rows.iter().map(|row| row.peer));
    let mut out = Observations::default();
    for id in owners.sorted {
        out.owners.intern(&set.owners.name(id));
    }
    out.enis = enis.sorted.iter().filter_map(|&id| set.enis.get(id as usize).cloned()).collect();
    let sorted = peers.sorted.iter().filter_map(|&id| set.peers.get(id as usize));
    let mut services: Vec<Arc<str>> = sorted.clone().map(|peer| set.services.name(peer.service)).collect();
    services.sort_unstable();
    for service in &services {
        out.services.intern(service);
    }
    out.peers = sorted
        .map(|peer| crate::observation::Peer {
            address: peer.address,
            service: out.services.id(&set.services.name(peer.service)).unwrap_or(0),
        })
        .collect();
    let places = Renumbering { owners: owners.places, enis: enis.places, peers: peers.places };
    out.rows = set.rows.iter().map(|row| places.of(row)).collect();
    out.rows.sort_unstable_by_key(|row| {
        let amounts = (row.digest, row.n_flows, row.n_rejected, row.bytes_out, row.bytes_in);
        (row.key(), row.eni, amounts, (row.first, row.last, row.minutes, row.ports_early, row.ports_late))
    });
    out
}

/// What is in use of a table: its numbers in order of value, and the place of each number in that order.
struct Places {
    sorted: Vec<u32>,
    places: Vec<u32>,
}

fn places<T: Ord>(values: &[T], in_use: impl Iterator<Item = u32>) -> Places {
    let mut is_in_use = vec![false; values.len()];
    for id in in_use {
        if let Some(slot) = is_in_use.get_mut(id as usize) {
            *slot = true;
        }
    }
    let used = (0..).zip(&is_in_use).filter(|&(_, &used)| used);
    let mut sorted: Vec<u32> = used.map(|(id, _)| id).collect();
    sorted.sort_unstable_by_key(|&id| values.get(id as usize));
    let mut places = vec![u32::MAX; values.len()];
    for (place, &id) in (0..).zip(&sorted) {
        if let Some(slot) = places.get_mut(id as usize) {
            *slot = place;
        }
    }
    Places { sorted, places }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::from_ip;
    use crate::window::Window;
    use proptest::prelude::*;

    /// What observations say, in names.
    fn dump(set: &Observations) -> Vec<String> {
        let mut lines: Vec<String> = set
            .rows
            .iter()
            .map(|row| {
                let (eni, peer) = (&set.enis[row.eni as usize], set.peers[row.peer as usize]);
                let amounts = Observation { owner: 0, eni: 0, peer: 0, ..*row };
                let service = set.services.name(peer.service);
                format!("{} {eni:?} {} {service} {amounts:?}", set.owners.name(row.owner), to_ip(peer.address))
            })
            .collect();
        lines.sort();
        lines
    }

    fn observations() -> impl Strategy<Value = Observations> {
        let names = (0..4u8, 0..5u8, 0..9u8, 0..3u8, any::<bool>());
        let place = (any::<u16>(), any::<u8>(), 0..300_000_000u32);
        let amounts = (any::<[u32; 2]>(), any::<[u64; 6]>(), any::<u16>(), any::<[u32; 2]>());
        prop::collection::vec((names, place, amounts), 0..40).prop_map(|rows| {
            let mut collector = Collector::default();
            let rows = rows.into_iter().map(|(names, place, (flows, amounts, minutes, times))| {
                let (owner, eni, peer, service, is_ipv6) = names;
                let eni = Eni {
                    id: format!("eni-{eni}").into(),
                    account: if eni == 0 { "".into() } else { "111122223333".into() },
                    region: if eni == 1 { "".into() } else { "eu-west-1".into() },
                    vpc: "vpc-1".into(),
                };
                let address = if is_ipv6 {
                    from_ip([0x2600, 1, 2, 3, 0, 0, 0, peer.into()].into())
                } else {
                    from_ip([203, 0, 113, peer].into())
                };
                Observation {
                    owner: collector.owner(&format!("f{owner}")),
                    eni: collector.eni(&eni),
                    peer: collector.peer(address, ["", "S3", "DYNAMODB"][usize::from(service)]),
                    port: place.0,
                    protocol: place.1,
                    window: Window(place.2),
                    n_flows: flows[0],
                    n_rejected: flows[1],
                    bytes_out: amounts[0],
                    packets_in: amounts[1],
                    bytes_in: amounts[2],
                    first: times[0].into(),
                    last: times[1].into(),
                    minutes,
                    ports_early: amounts[3],
                    ports_late: amounts[4],
                    digest: amounts[5],
                }
            });
            let rows = rows.collect();
            collector.finish(rows)
        })
    }

    fn some() -> Observations {
        let mut collector = Collector::default();
        let rows = (0..300u32).map(|n| Observation {
            owner: collector.owner(&format!("f{}", n % 7)),
            eni: collector.eni(&Eni { id: format!("eni-{}", n % 11).into(), ..Eni::default() }),
            peer: collector.peer(from_ip((n * 977).to_be_bytes().into()), if n % 3 == 0 { "S3" } else { "" }),
            window: Window(2_954_016 + n / 9),
            bytes_out: u64::from(n) * 100,
            ..Observation::default()
        });
        let rows = rows.collect();
        collector.finish(rows)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn decode_undoes_encode(set in observations()) {
            let bytes = encode_observations(&set, "logs/a.parquet").unwrap();
            let back = decode_observations("o.parquet", &bytes).unwrap();
            prop_assert_eq!(&back.source, "logs/a.parquet");
            prop_assert_eq!(dump(&back.observations), dump(&set));
            prop_assert!(back.observations.rows.is_sorted_by_key(|row| (row.key(), row.eni)));
            prop_assert_eq!(encode_observations(&back.observations, "logs/a.parquet").unwrap(), bytes);
        }

        #[test]
        fn the_order_rows_were_made_in_does_not_show(set in observations(), at in 0..40usize) {
            let (mut other, mut rows) = (Collector::default(), set.rows.clone());
            rows.rotate_left(at.min(set.rows.len()));
            other.add(&Observations { rows, ..set.clone() });
            let encode = |set: &Observations| encode_observations(set, "a").unwrap();
            prop_assert_eq!(encode(other.set()), encode(&set));
        }

        #[test]
        fn any_bytes_are_refused_or_read(position in 0.0..1.0f64, junk in prop::collection::vec(any::<u8>(), 1..30)) {
            let mut bytes = encode_observations(&some(), "a").unwrap().to_vec();
            let at = (position * (bytes.len() - junk.len()) as f64) as usize;
            bytes[at..at + junk.len()].copy_from_slice(&junk);
            let _read = decode_observations("o", &bytes.into());
            let _read = decode_observations("o", &junk.into());
        }
    }

    #[test]
    fn any_altered_byte_is_refused_or_read() {
        let bytes = encode_observations(&some(), "a").unwrap();
        let mut n_refused = 0;
        let tried = || (0..bytes.len()).step_by(13);
        for at in tried() {
            let mut altered = bytes.to_vec();
            altered[at] ^= 0x55;
            n_refused += usize::from(decode_observations("o", &altered.into()).is_err());
        }
        assert!(n_refused > tried().count() / 4, "{n_refused} of {}", tried().count());
        for len in tried() {
            assert!(decode_observations("o", &bytes.slice(..len)).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn what_no_row_has_is_lacking_in_all() {
        let mut collector = Collector::default();
        let (owner, eni) = (collector.owner("f"), collector.eni(&Eni::default()));
        let row = Observation { owner, eni, peer: collector.peer(7, ""), ..Observation::default() };
        let set = collector.finish(vec![row]);
        let back = decode_observations("o", &encode_observations(&set, "a").unwrap()).unwrap().observations;
        assert_eq!(dump(&back), dump(&set));
        assert_eq!((back.services.len(), back.enis), (1, vec![Eni::default()]));
    }

    #[test]
    fn what_is_newer_or_foreign_is_refused_by_name() {
        let check = |facts: &[(&str, &str)], expected: &str| {
            let mut sheet = Sheet::new("x", &COLUMNS[6..7]);
            sheet.u16([1, 2].into_iter());
            let error = decode_observations("o.parquet", &sheet.finish(facts).unwrap()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(
            &[(SCHEMA_KEY, "callout.observations/9")],
            "o.parquet was written by a newer callout; it is `callout.observations/9`, this callout reads \
             `callout.observations/1`: update callout",
        );
        check(&[], "o.parquet is not callout's: it does not say it is `callout.observations/1`");
        check(
            &[(SCHEMA_KEY, "callout.baseline/1")],
            "o.parquet is not callout's: it says it is `callout.baseline/1`, not `callout.observations/1`",
        );
        check(
            &[(SCHEMA_KEY, OBSERVATIONS_SCHEMA)],
            "o.parquet is damaged: column `port` stands where `owner` belongs, or has another type; restore it, or learn \
             it anew",
        );
    }
}
