//! The tables of owners as a whole: `owners`, `hours`, `diary`.

use std::sync::Arc;

use bytes::Bytes;

use super::Order;
use super::columns::{Column, Kind, Sheet, VOLUMES, column, optional};
use super::error::Error;
use super::page::Reader;
use crate::baseline::{Activity, Baseline, Baselines, DiaryDay};
use crate::known::Known;
use crate::window::Window;

/// Hours of a week.
const WEEK_HOURS: usize = 168;

/// Bytes of the ring of active windows.
const RING_BYTES: usize = Activity::REACH as usize / 8;

pub(super) fn columns() -> Vec<Column> {
    let own = [
        column("owner", Kind::Text),
        // An owner that was met and never learned has no span.
        optional("first", Kind::Time),
        optional("last", Kind::Time),
        column("n_windows", Kind::U32),
        column("n_days", Kind::U32),
        column("window_peers", Kind::Bytes),
        // One bit a window of the latest week: bit `window mod 1024`, least significant bit of the first byte first.
        column("active", Kind::Bytes),
        column("active_until", Kind::Time),
    ];
    [&own, VOLUMES].concat()
}

pub(super) fn encode(from: &Baselines, order: &Order, file: &str) -> Result<Bytes, Error> {
    let columns = columns();
    let mut sheet = Sheet::new(file, &columns);
    let owners = order.owners(from);
    let all = || owners.iter().map(|(_, baseline)| *baseline);
    let known = || all().map(|baseline| baseline.known);
    sheet.text(owners.iter().map(|(name, _)| name));
    sheet.optional_secs(known().map(|known| known.map(|known| known.first.start())));
    sheet.optional_secs(known().map(|known| known.map(|known| known.last.start())));
    sheet.u32(known().map(|known| known.map_or(0, |known| known.n_windows)));
    sheet.u32(known().map(|known| known.map_or(0, |known| known.n_days)));
    sheet.bytes(all().map(|baseline| baseline.window_peers.encode()));
    sheet.bytes(all().map(|baseline| {
        let (words, _) = baseline.active.parts();
        words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()
    }));
    sheet.windows(all().map(|baseline| baseline.active.parts().1));
    sheet.volumes(all().map(|baseline| &baseline.volumes));
    sheet.finish(&super::facts())
}

pub(super) fn decode(reader: &Reader<'_>, into: &mut Baselines) -> Result<(), Error> {
    let mut is_new = true;
    reader.read(
        |page| {
            let names: Vec<Box<str>> =
                page.texts("owner")?.iter().map(|name| name.unwrap_or_default().into()).collect();
            let spans = page.optional_windows("first")?.into_iter().zip(page.optional_windows("last")?);
            let counts = page.u32("n_windows")?.iter().zip(page.u32("n_days")?);
            let rings = page.bytes("active")?.iter().zip(page.windows("active_until")?);
            let mut baselines = Vec::with_capacity(names.len());
            for ((((span, (&n_windows, &n_days)), window_peers), (ring, until)), volumes) in
                spans.zip(counts).zip(page.distributions("window_peers")?).zip(rings).zip(page.volumes()?)
            {
                let known = match span {
                    (Some(first), Some(last)) if first <= last => Some(Known { first, last, n_windows, n_days }),
                    (None, None) => None,
                    _ => return Err(page.damaged("`first` and `last` do not agree")),
                };
                let active = activity(ring.unwrap_or_default(), until)
                    .ok_or_else(|| page.damaged(format!("`active` is not {RING_BYTES} bytes")))?;
                let hours = if known.is_some() { vec![0; WEEK_HOURS] } else { Vec::new() };
                baselines.push(Baseline { known, volumes, window_peers, hours, active, diary: Vec::new() });
            }
            let expected = names.len();
            if baselines.len() != expected {
                return Err(page.damaged("its columns differ in length"));
            }
            Ok((names, baselines))
        },
        |(names, baselines)| {
            for (name, baseline) in names.iter().zip(baselines) {
                is_new &= into.owners.id(name).is_none();
                into.owners.intern(name);
                into.of_owner.push(baseline);
            }
            Ok(())
        },
    )?;
    if is_new { Ok(()) } else { Err(reader.damaged("an owner is there twice")) }
}

fn activity(ring: &[u8], until: Window) -> Option<Activity> {
    let (words, rest) = ring.as_chunks::<8>();
    let mut bits = [0; RING_BYTES / 8];
    if words.len() != bits.len() || !rest.is_empty() {
        return None;
    }
    bits.iter_mut().zip(words).for_each(|(bits, word)| *bits = u64::from_le_bytes(*word));
    Some(Activity::from_parts(bits, until))
}

pub(super) fn hours_columns() -> Vec<Column> {
    // From Monday 00:00 UTC; hours without activity are left out.
    vec![column("owner", Kind::Name), column("hour_of_week", Kind::U8), column("n_windows", Kind::U32)]
}

pub(super) fn encode_hours(from: &Baselines, order: &Order, file: &str) -> Result<Bytes, Error> {
    let columns = hours_columns();
    let mut sheet = Sheet::new(file, &columns);
    let owners = order.owners(from);
    let rows: Vec<(&Arc<str>, u8, u32)> = owners
        .iter()
        .flat_map(|(name, baseline)| (0..).zip(&baseline.hours).map(move |(hour, &n)| (name, hour, n)))
        .filter(|&(.., n)| n > 0)
        .collect();
    sheet.text(rows.iter().map(|row| row.0));
    sheet.u8(rows.iter().map(|row| row.1));
    sheet.u32(rows.iter().map(|row| row.2));
    sheet.finish(&super::facts())
}

pub(super) fn decode_hours(reader: &Reader<'_>, into: &mut Baselines) -> Result<(), Error> {
    let Baselines { owners, of_owner, .. } = into;
    reader.read(
        |page| {
            let rows =
                page.codes("owner", owners)?.into_iter().zip(page.u8("hour_of_week")?).zip(page.u32("n_windows")?);
            Ok(rows.map(|((owner, &hour), &n)| (owner, hour, n)).collect::<Vec<_>>())
        },
        |rows| {
            for (owner, hour, n) in rows {
                let hours = of_owner.get_mut(owner as usize).map(|baseline| &mut baseline.hours);
                let slot = hours.and_then(|hours| hours.get_mut(usize::from(hour)));
                *slot.ok_or_else(|| reader.damaged("an hour is outside the week"))? = n;
            }
            Ok(())
        },
    )
}

pub(super) fn diary_columns() -> Vec<Column> {
    vec![
        column("owner", Kind::Name),
        column("day", Kind::Day),
        column("new_networks", Kind::U32),
        column("new_services", Kind::U32),
        column("new_prefixes", Kind::U32),
    ]
}

pub(super) fn encode_diary(from: &Baselines, order: &Order, file: &str) -> Result<Bytes, Error> {
    let columns = diary_columns();
    let mut sheet = Sheet::new(file, &columns);
    let owners = order.owners(from);
    let rows = || owners.iter().flat_map(|(name, baseline)| baseline.diary.iter().map(move |day| (name, day)));
    sheet.text(rows().map(|(name, _)| name));
    sheet.days(rows().map(|(_, day)| day.day));
    sheet.u32(rows().map(|(_, day)| day.networks));
    sheet.u32(rows().map(|(_, day)| day.services));
    sheet.u32(rows().map(|(_, day)| day.prefixes));
    sheet.finish(&super::facts())
}

pub(super) fn decode_diary(reader: &Reader<'_>, into: &mut Baselines) -> Result<(), Error> {
    let Baselines { owners, of_owner, .. } = into;
    reader.read(
        |page| {
            let days = page.codes("owner", owners)?.into_iter().zip(page.days("day")?);
            let news = page.u32("new_networks")?.iter().zip(page.u32("new_services")?).zip(page.u32("new_prefixes")?);
            Ok(days
                .zip(news)
                .map(|((owner, day), ((&networks, &services), &prefixes))| {
                    (owner, DiaryDay { day, networks, services, prefixes })
                })
                .collect::<Vec<_>>())
        },
        |days| {
            for (owner, day) in days {
                let Some(baseline) = of_owner.get_mut(owner as usize) else { continue };
                if baseline.diary.last().is_some_and(|last| last.day >= day.day) {
                    return Err(reader.damaged("the days of an owner are out of order"));
                }
                baseline.diary.push(day);
            }
            Ok(())
        },
    )
}
