//! What one function does on one day: invocations, the calls they make, and connections kept between them.

use super::{Connection, Ending, Exchange};
use crate::{
    calendar::{DAY, HOUR, Secs},
    dice::{Dice, mix},
    fleet::{
        Call, Fleet,
        destination::{TCP, UDP},
    },
};

/// Share of finished connections after which a stray packet of the peer is still refused.
const STRAY_SHARE: f64 = 0.001;

/// All connections a function opens on the day that begins at `midnight`.
///
/// Kept connections are closed at midnight, so that days stay independent.
pub(super) fn connections(fleet: &Fleet, number: usize, midnight: Secs) -> Vec<Connection> {
    let function = &fleet.functions[number];
    if function.pairs.is_empty() {
        return Vec::new();
    }
    let mut dice = fleet.dice.fork(&function.name, midnight as u64);
    let mut done = Vec::new();
    // One kept connection for each call of each environment.
    let mut kept: Vec<Option<Connection>> = vec![None; function.calls.len() * function.n_environments as usize];
    for at in function.invocations(midnight, fleet.span.start, &fleet.dice) {
        let environment = dice.below(u64::from(function.n_environments)) as u32;
        let Some(interface) = fleet.interface(number, environment, at) else { continue };
        for (n, call) in function.calls.iter().enumerate() {
            if !call.active.contains(at) || !dice.chance(call.share) {
                continue;
            }
            let slot = &mut kept[environment as usize * function.calls.len() + n];
            for _ in 0..call.n_calls {
                one_call(fleet, function.dual_stack, call, interface, at, slot, &mut dice, &mut done);
            }
        }
    }
    done.extend(kept.into_iter().flatten().map(|mut c| {
        c.closes = c.closes.min(midnight + DAY - 1).max(last_packet(&c));
        c
    }));
    let strays: Vec<Connection> = done.iter().filter(|_| dice.chance(STRAY_SHARE)).filter_map(stray).collect();
    done.extend(strays);
    done
}

#[expect(clippy::too_many_arguments, reason = "one step of the loop above, split for reading")]
fn one_call(
    fleet: &Fleet,
    dual_stack: bool,
    call: &Call,
    interface: usize,
    at: Secs,
    kept: &mut Option<Connection>,
    dice: &mut Dice,
    done: &mut Vec<Connection>,
) {
    let destination = &fleet.destinations[call.destination];
    let exchange = Exchange::thrown(at, call.sizes, dice);
    if let Some(mut open) = kept.take() {
        // Environments live for some hours; then the connection goes with them.
        let life = 2 * HOUR + (mix(u64::from(open.local_port), open.opens() as u64) % (4 * HOUR as u64)) as Secs;
        let idle_since = last_packet(&open);
        let usable = at <= idle_since + call.keep_alive_secs && at < open.opens() + life && open.interface == interface;
        if usable && !destination.is_out(at) {
            open.exchanges
                .push(Exchange { at: exchange.at.max(open.exchanges.last().map_or(at, |e| e.at)), ..exchange });
            open.closes = last_packet(&open) + call.keep_alive_secs;
            *kept = Some(open);
            return;
        }
        open.closes = if usable { at } else { open.closes };
        done.push(open);
    }
    let address = destination.address(at, dual_stack, dice);
    let to = (destination.port, destination.protocol);
    if destination.is_out(at) && destination.protocol == TCP {
        for retry in 0..=dice.below(3) as Secs {
            let at = at + retry * dice.between(2, 9);
            done.push(Connection::failed(interface, address, destination.port, at, Ending::NoAnswer, dice));
        }
        return;
    }
    if call.storms.iter().any(|s| s.contains(at)) {
        // Retries without back-off: the answer is an error each time, or a reset.
        for _ in 0..dice.between(8, 40) {
            let retry = Exchange { at: at + dice.between(0, 50), in_bytes: 300, ..exchange };
            let mut c = Connection::single(interface, address, to, retry, dice).with_service(destination.aws_service);
            if c.protocol == TCP && dice.chance(0.4) {
                c.ending = Ending::Reset;
            }
            done.push(c);
        }
    }
    let mut c = Connection::single(interface, address, to, exchange, dice).with_service(destination.aws_service);
    if call.keep_alive_secs > 0 && destination.protocol != UDP {
        c.closes += call.keep_alive_secs;
        if dice.chance(0.15) {
            c.ending = Ending::Left;
        }
        *kept = Some(c);
    } else {
        done.push(c);
    }
}

fn last_packet(c: &Connection) -> Secs {
    c.exchanges.iter().map(|e| e.at + e.lasts).max().unwrap_or(c.closes)
}

/// A packet that arrives after the connection is gone, refused at our interface.
fn stray(c: &Connection) -> Option<Connection> {
    let at = c.closes + 20;
    (c.protocol == TCP && c.ending == Ending::Closed).then(|| Connection {
        exchanges: vec![Exchange { at, lasts: 0, out_bytes: 0, in_bytes: 0 }],
        closes: at,
        ending: Ending::Refused,
        inbound: true,
        ..c.clone()
    })
}
