//! Traffic: from a fleet's plan to flow records, one day of event time at a time.
//!
//! `function_day` (what functions do) and `surroundings` (what else the network shows) make connections; `capture`
//! turns each into flow records as the VPC's capture would. A day depends on the seed and its date alone, so days and
//! functions can be made in any order and in parallel.

mod capture;
mod function_day;
mod record;
mod surroundings;

use rayon::prelude::*;

pub(crate) use capture::Capture;
pub(crate) use detector::drill::connection::{Connection, Ending, Exchange, ephemeral_port};
pub(crate) use record::{Record, Status};

use crate::{
    calendar::{DAY, Secs},
    fleet::Fleet,
};

/// All records whose connections open on the day that begins at `midnight`, sorted.
///
/// # Guarantees
/// No record ends more than one aggregation interval before `midnight`; a long connection's may end on later days.
pub(crate) fn day(fleet: &Fleet, midnight: Secs, interval_secs: Secs) -> Vec<Record> {
    let capture = Capture { fleet, interval_secs };
    let dice = fleet.dice.fork("capture", midnight as u64);
    let mut records: Vec<Record> = (0..fleet.functions.len())
        .into_par_iter()
        .flat_map_iter(|f| {
            let mut dice = dice.fork("function", f as u64);
            let mut records = Vec::new();
            for connection in function_day::connections(fleet, f, midnight) {
                capture.record(&connection, &mut dice, &mut records);
            }
            records
        })
        .collect();
    let mut others = surroundings::connections(fleet, midnight);
    let today = |c: &&Connection| (midnight..midnight + DAY).contains(&c.opens());
    others.extend(fleet.attack_connections.iter().filter(today).cloned());
    let mut rest = dice.fork("others", 0);
    for connection in others {
        capture.record(&connection, &mut rest, &mut records);
    }
    surroundings::silence(&capture, midnight, &mut records);
    records.sort_unstable_by_key(Record::sort_key);
    records
}
