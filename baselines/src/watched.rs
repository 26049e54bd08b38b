//! Watched: a newcomer as it is kept, in as few bytes as it takes.
//!
//! In an owner's first days all it meets is under watch, so there are as many files as there are networks of all
//! owners. A [`Newcomer`] takes some 700 bytes with what it points to, most of them zeros, small numbers and room to
//! grow; packed it takes some 150. Who reads or adds to one opens it.

use crate::known::Known;
use crate::newcomer::{Circumstances, Contacted, Held, Newcomer};
use crate::packed::{Packer, Unpacker};
use crate::window::Window;

/// A [`Newcomer`], closed. What ageing and learning ask of each one is legible without opening it.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    known: Known,
    /// The finding it is under; hardly any is.
    finding: Option<Box<u128>>,
    file: Box<[u8]>,
}

impl Watched {
    /// When it was met.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// The finding it is under, 0 for none.
    pub(crate) fn finding(&self) -> u128 {
        self.finding.as_deref().copied().unwrap_or(0)
    }

    /// Puts it under a finding, or takes it from under one (0).
    pub(crate) fn set_finding(&mut self, finding: u128) {
        self.finding = (finding != 0).then(|| Box::new(finding));
    }

    /// Whether it has aged unremarkably: see [`Newcomer::has_settled`].
    pub(crate) fn has_settled(&self) -> bool {
        Newcomer::settles(&self.known, self.finding())
    }

    /// A placeholder for a newcomer first met in this window. Its details are in the open file
    /// ([`crate::follow::Open`]) that whoever met it holds; [`crate::baseline::Baseline::close`] puts them here.
    pub(crate) fn taken_out(window: Window) -> Self {
        Self { known: Known::new(window), finding: None, file: Box::default() }
    }

    /// Closes a newcomer.
    pub(crate) fn close(newcomer: &Newcomer) -> Self {
        Self::close_in(&mut Vec::new(), newcomer)
    }

    /// The same where there is room to put the file together, whatever is there.
    pub(crate) fn close_in(file: &mut Vec<u8>, newcomer: &Newcomer) -> Self {
        let Newcomer { known, met, contacts, counts, destinations, held, .. } = newcomer;
        file.clear();
        let mut out = Packer::new(file);
        pack_met(&mut out, met);
        for amount in [newcomer.n_flows, newcomer.n_rejected, newcomer.bytes_out, newcomer.bytes_in] {
            out.put(amount);
        }
        out.put(newcomer.latest_bytes_out);
        let last = i64::from(known.last.0);
        out.put_from(last, newcomer.before.0.into());
        out.put(held.bits);
        out.put_from(last, held.since.0.into());
        out.put_from(last, held.until.0.into());
        out.put_f64(held.against_chance);
        let first = known.first;
        out.put(contacts.len() as u64);
        let mut before = first.start() / 60;
        for &minute in contacts {
            out.put_from(before, minute.into());
            before = minute.into();
        }
        out.put(counts.len() as u64);
        let mut before = i64::from(first.0);
        for &(window, n_flows) in counts {
            out.put_from(before, window.0.into());
            out.put(n_flows);
            before = window.0.into();
        }
        out.put(destinations.len() as u64);
        for to in destinations {
            pack_contacted(&mut out, to, first);
        }
        let finding = (newcomer.finding != 0).then(|| Box::new(newcomer.finding));
        Self { known: *known, finding, file: file.as_slice().into() }
    }

    /// Opens it to be read.
    pub(crate) fn open(&self) -> Newcomer {
        let mut newcomer = Newcomer::default();
        self.open_in(&mut newcomer);
        newcomer
    }

    /// Opens it in the memory of another one.
    pub(crate) fn open_in(&self, newcomer: &mut Newcomer) {
        let Newcomer { mut contacts, mut counts, mut destinations, .. } = std::mem::take(newcomer);
        let from = &mut Unpacker::new(&self.file);
        let met = unpack_met(from);
        let [n_flows, n_rejected, bytes_out, bytes_in] = std::array::from_fn(|_| from.take());
        let latest_bytes_out = from.take();
        let last = i64::from(self.known.last.0);
        let window = |from: &mut Unpacker<'_>, base: i64| Window(from.take_from(base) as u32);
        let before = window(from, last);
        let (bits, since, until) = (from.take(), window(from, last), window(from, last));
        let held = Held { bits, since, until, against_chance: from.take_f64() };
        let first = self.known.first;
        let mut minute = first.start() / 60;
        contacts.clear();
        contacts.extend((0..from.take()).map(|_| {
            minute = from.take_from(minute);
            minute as u32
        }));
        let mut counted = first;
        counts.clear();
        counts.extend((0..from.take()).map(|_| {
            counted = window(from, counted.0.into());
            (counted, from.take_u32())
        }));
        destinations.clear();
        destinations.extend((0..from.take()).map(|_| unpack_contacted(from, first)));
        *newcomer = Newcomer {
            known: self.known,
            met,
            contacts,
            counts,
            n_flows,
            n_rejected,
            bytes_out,
            bytes_in,
            latest_bytes_out,
            before,
            destinations,
            held,
            finding: self.finding(),
        };
    }
}

fn pack_met(out: &mut Packer<'_>, met: &Circumstances) {
    for number in [met.n_days, met.n_owners_knowing, met.n_owners, met.age] {
        out.put(number);
    }
    out.put(u8::from(met.port_known));
    for number in
        [met.n_new, met.exposure, met.n_new_networks, met.network_exposure, met.n_new_ports, met.port_exposure]
    {
        out.put_f64(number);
    }
}

fn unpack_met(from: &mut Unpacker<'_>) -> Circumstances {
    let [n_days, n_owners_knowing, n_owners, age] = std::array::from_fn(|_| from.take_u32());
    let port_known = from.take() != 0;
    let [n_new, exposure, n_new_networks, network_exposure, n_new_ports, port_exposure] =
        std::array::from_fn(|_| from.take_f64());
    Circumstances {
        n_days,
        n_new,
        exposure,
        n_owners_knowing,
        n_owners,
        port_known,
        n_new_networks,
        network_exposure,
        n_new_ports,
        port_exposure,
        age,
    }
}

fn pack_contacted(out: &mut Packer<'_>, to: &Contacted, first: Window) {
    out.put(to.peer);
    out.put(to.port);
    out.put(to.protocol);
    for amount in [to.n_flows, to.bytes_out, to.bytes_in] {
        out.put(amount);
    }
    out.put_from(first.start(), to.first);
    out.put_from(to.first, to.last);
}

fn unpack_contacted(from: &mut Unpacker<'_>, start: Window) -> Contacted {
    let (peer, port, protocol) = (from.take_u32(), from.take() as u16, from.take() as u8);
    let [n_flows, bytes_out, bytes_in] = std::array::from_fn(|_| from.take());
    let first = from.take_from(start.start());
    let last = from.take_from(first);
    Contacted { peer, port, protocol, n_flows, bytes_out, bytes_in, first, last }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Observation;
    use proptest::prelude::*;

    fn row() -> impl Strategy<Value = Observation> {
        let to = (any::<u32>(), any::<u16>(), any::<u8>());
        let amounts = (any::<[u32; 2]>(), any::<[u64; 4]>(), any::<[i64; 2]>());
        (to, 0..1024u16, amounts).prop_map(|((peer, port, protocol), minutes, (flows, amounts, span))| Observation {
            peer,
            port,
            protocol,
            minutes,
            n_flows: flows[0],
            n_rejected: flows[1],
            bytes_out: amounts[0],
            bytes_in: amounts[1],
            ports_early: amounts[2],
            ports_late: amounts[3],
            first: span[0],
            last: span[1],
            ..Observation::default()
        })
    }

    proptest! {
        #[test]
        fn what_is_opened_is_what_was_closed(
            met in (any::<[u32; 4]>(), any::<[u32; 6]>(), any::<bool>()),
            rows in prop::collection::vec((0..400_000_000u32, row()), 0..40),
            finding in any::<u128>(),
        ) {
            let ([n_days, n_owners_knowing, n_owners, age], numbers, port_known) = met;
            let [n_new, exposure, n_new_networks, network_exposure, n_new_ports, port_exposure] =
                numbers.map(|number| f64::from(number) / 7.0);
            let met = Circumstances {
                n_days, n_new, exposure, n_owners_knowing, n_owners, port_known, n_new_networks, network_exposure,
                n_new_ports, port_exposure, age,
            };
            let mut newcomer = Newcomer::new(rows.first().map_or(Window(0), |row| Window(row.0)), met);
            let mut other = Newcomer::default();
            for (window, row) in rows {
                newcomer.add(&Observation { window: Window(window), ..row });
                newcomer.held.extend(Window(window), row.ports_early, row.ports_late);
                let watched = Watched::close(&newcomer);
                prop_assert_eq!(&watched.open(), &newcomer);
                watched.open_in(&mut other);
                prop_assert_eq!(&other, &newcomer);
            }
            newcomer.finding = finding;
            let mut watched = Watched::close(&newcomer);
            prop_assert_eq!(watched.has_settled(), newcomer.has_settled());
            watched.set_finding(0);
            prop_assert_eq!(watched.open(), Newcomer { finding: 0, ..newcomer });
        }
    }

    #[test]
    fn a_file_of_a_first_hour_is_small() {
        let start = Window(2_960_000);
        let mut newcomer = Newcomer::new(start, Circumstances { n_owners: 10_000, ..Circumstances::default() });
        for window in 0..6 {
            let window = Window(start.0 + window);
            let span = (window.start() + 7, window.start() + 550);
            newcomer.add(&Observation {
                window,
                peer: 1_000_000,
                port: 443,
                protocol: 6,
                n_flows: 9,
                bytes_out: 70_000,
                bytes_in: 900_000,
                minutes: 0b10_0001_0001,
                first: span.0,
                last: span.1,
                ..Observation::default()
            });
        }
        let n_bytes = Watched::close(&newcomer).file.len();
        assert!(n_bytes < 110, "{n_bytes} bytes");
    }
}
