//! The tables of owners as a whole: `owners`, `hours`, `activity`, `diary`.

use std::sync::Arc;

use bytes::Bytes;

use super::Order;
use super::columns::{Column, Kind, Sheet, VOLUMES, column, optional};
use super::error::Error;
use super::page::Reader;
use crate::baseline::{Baseline, DiaryDay};
use crate::baselines::Baselines;
use crate::known::{Known, RecordLengths};
use crate::names::Names;
use crate::window::{HOURS_PER_WEEK, Window};

pub(super) fn columns() -> Vec<Column> {
    let own = [
        column("owner", Kind::Text),
        // An owner that was met and never learned has no span.
        optional("first", Kind::Time),
        optional("last", Kind::Time),
        column("n_windows", Kind::U32),
        column("n_days", Kind::U32),
        column("window_peers", Kind::Bytes),
        column("longest_held_secs", Kind::U32),
        column("n_single_records", Kind::U32),
        column("n_long_records", Kind::U32),
    ];
    [&own, VOLUMES].concat()
}

pub(super) fn encode(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
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
    sheet.u32(all().map(|baseline| baseline.longest_held_secs));
    sheet.u32(all().map(|baseline| baseline.records.n_single));
    sheet.u32(all().map(|baseline| baseline.records.n_long));
    sheet.volumes(all().map(|baseline| &baseline.volumes));
    sheet.finish(&super::facts())
}

pub(super) fn decode(reader: &Reader<'_>, owners: &mut Names, of_owner: &mut Vec<Baseline>) -> Result<(), Error> {
    let mut is_new = true;
    reader.read(
        |page| {
            let names: Vec<Box<str>> =
                page.texts("owner")?.iter().map(|name| name.unwrap_or_default().into()).collect();
            let spans = page.optional_windows("first")?.into_iter().zip(page.optional_windows("last")?);
            let counts = page.u32("n_windows")?.iter().zip(page.u32("n_days")?);
            let spans = spans.zip(counts).map(|(span, (&n_windows, &n_days))| match span {
                (Some(first), Some(last)) if first <= last => Ok(Some(Known { first, last, n_windows, n_days })),
                (None, None) => Ok(None),
                _ => Err(page.damaged("`first` and `last` do not agree")),
            });
            let volumes = page.distributions("window_peers")?.into_iter().zip(page.volumes()?);
            let records = page.u32("n_single_records")?.iter().zip(page.u32("n_long_records")?);
            let lasting = page.u32("longest_held_secs")?.iter().zip(records);
            let baselines = spans.zip(volumes).zip(lasting).map(|((known, (window_peers, volumes)), lasting)| {
                let known = known?;
                let (&longest_held_secs, (&n_single, &n_long)) = lasting;
                let hours = if known.is_some() { vec![0; HOURS_PER_WEEK.into()] } else { Vec::new() };
                let own = Baseline { known, volumes, window_peers, hours, ..Baseline::default() };
                Ok(Baseline { longest_held_secs, records: RecordLengths { n_single, n_long }, ..own })
            });
            let baselines = baselines.collect::<Result<Vec<Baseline>, Error>>()?;
            Ok((names, baselines))
        },
        |(names, baselines)| {
            for (name, baseline) in names.iter().zip(baselines) {
                is_new &= owners.id(name).is_none();
                owners.intern(name);
                of_owner.push(baseline);
            }
            Ok(())
        },
    )?;
    if is_new { Ok(()) } else { Err(reader.damaged("an owner is there twice")) }
}

pub(super) fn activity_columns() -> Vec<Column> {
    // Windows of the latest week with activity; bit *m* of `minutes` is minute *m* of the window.
    vec![
        column("owner", Kind::Name),
        column("window", Kind::Time),
        column("minutes", Kind::U16),
        column("n_flows", Kind::U32),
    ]
}

pub(super) fn encode_activity(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let columns = activity_columns();
    let mut sheet = Sheet::new(file, &columns);
    let owners = order.owners(from);
    let rows: Vec<(&Arc<str>, (Window, u16), u32)> = owners
        .iter()
        .flat_map(|(name, baseline)| {
            let windows = baseline.active.windows(Window(0), Window(u32::MAX));
            windows.map(move |at| (name, at, baseline.active.n_flows(at.0)))
        })
        .filter(|&(_, (_, minutes), _)| minutes != 0)
        .collect();
    sheet.text(rows.iter().map(|row| row.0));
    sheet.windows(rows.iter().map(|row| row.1.0));
    sheet.u16(rows.iter().map(|row| row.1.1));
    sheet.u32(rows.iter().map(|row| row.2));
    sheet.finish(&super::facts())
}

pub(super) fn decode_activity(reader: &Reader<'_>, owners: &Names, of_owner: &mut [Baseline]) -> Result<(), Error> {
    reader.read(
        |page| {
            let rows = page.codes("owner", owners)?.into_iter().zip(page.windows("window")?);
            let amounts = page.u16("minutes")?.iter().zip(page.u32("n_flows")?);
            let rows =
                rows.zip(amounts).map(|((owner, window), (&minutes, &n_flows))| (owner, window, minutes, n_flows));
            Ok(rows.collect::<Vec<_>>())
        },
        |rows| {
            for (owner, window, minutes, n_flows) in rows {
                if let Some(baseline) = of_owner.get_mut(owner as usize) {
                    baseline.active.mark(window, minutes, n_flows);
                }
            }
            Ok(())
        },
    )
}

pub(super) fn hours_columns() -> Vec<Column> {
    // From Monday 00:00 UTC; hours without activity are left out.
    vec![column("owner", Kind::Name), column("hour_of_week", Kind::U8), column("n_windows", Kind::U16)]
}

pub(super) fn encode_hours(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let columns = hours_columns();
    let mut sheet = Sheet::new(file, &columns);
    let owners = order.owners(from);
    let rows: Vec<(&Arc<str>, u8, u16)> = owners
        .iter()
        .flat_map(|(name, baseline)| (0..).zip(&baseline.hours).map(move |(hour, &n)| (name, hour, n)))
        .filter(|&(.., n)| n > 0)
        .collect();
    sheet.text(rows.iter().map(|row| row.0));
    sheet.u8(rows.iter().map(|row| row.1));
    sheet.u16(rows.iter().map(|row| row.2));
    sheet.finish(&super::facts())
}

pub(super) fn decode_hours(reader: &Reader<'_>, owners: &Names, of_owner: &mut [Baseline]) -> Result<(), Error> {
    reader.read(
        |page| {
            let rows =
                page.codes("owner", owners)?.into_iter().zip(page.u8("hour_of_week")?).zip(page.u16("n_windows")?);
            Ok(rows.map(|((owner, &hour), &n)| (owner, hour, n)).collect::<Vec<_>>())
        },
        |rows| {
            for (owner, hour, n) in rows {
                let Some(Baseline { hours, .. }) = of_owner.get_mut(owner as usize) else { continue };
                hours.resize(HOURS_PER_WEEK.into(), 0);
                let slot = hours.get_mut(usize::from(hour));
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
        column("new_ports", Kind::U32),
    ]
}

pub(super) fn encode_diary(from: &Baselines, order: &Order<'_>, file: &str) -> Result<Bytes, Error> {
    let columns = diary_columns();
    let mut sheet = Sheet::new(file, &columns);
    let owners = order.owners(from);
    let rows = || owners.iter().flat_map(|(name, baseline)| baseline.diary.iter().map(move |day| (name, day)));
    sheet.text(rows().map(|(name, _)| name));
    sheet.days(rows().map(|(_, day)| day.day));
    sheet.u32(rows().map(|(_, day)| day.networks));
    sheet.u32(rows().map(|(_, day)| day.services));
    sheet.u32(rows().map(|(_, day)| day.prefixes));
    sheet.u32(rows().map(|(_, day)| day.ports));
    sheet.finish(&super::facts())
}

pub(super) fn decode_diary(reader: &Reader<'_>, owners: &Names, of_owner: &mut [Baseline]) -> Result<(), Error> {
    reader.read(
        |page| {
            let days = page.codes("owner", owners)?.into_iter().zip(page.days("day")?);
            let news = page.u32("new_networks")?.iter().zip(page.u32("new_services")?);
            let more = page.u32("new_prefixes")?.iter().zip(page.u32("new_ports")?);
            Ok(days
                .zip(news.zip(more))
                .map(|((owner, day), ((&networks, &services), (&prefixes, &ports)))| {
                    (owner, DiaryDay { day, networks, services, prefixes, ports })
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
