//! A fleet: one AWS account's functions, the interfaces they speak through, and the destinations they call.
//!
//! Takes dice or a hand-written story (`cases`), gives the plan from which `traffic` makes connections and `inventory`
//! makes what the AWS APIs would print.

pub(crate) mod destination;
pub(crate) mod function;
pub(crate) mod inventory;
pub(crate) mod place;

use std::net::IpAddr;

use crate::{
    calendar::Secs,
    dice::Dice,
    internet::{Internet, aws},
    truth::{Attack, Benign},
};

pub(crate) use destination::{Addresses, Destination, Kind};
pub(crate) use detector::drill::connection::Sizes;
pub(crate) use function::{Call, Function, Rhythm, Span, Version};
pub(crate) use place::{Interface, InterfaceKind, Place};

/// Everything about one account over one span of time.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) dice: Dice,
    pub(crate) account: String,
    pub(crate) region: &'static str,
    pub(crate) span: Span,
    pub(crate) internet: Internet,
    pub(crate) place: Place,
    pub(crate) destinations: Vec<Destination>,
    pub(crate) functions: Vec<Function>,
    /// Interfaces strangers of the internet knock at.
    pub(crate) scanned: Vec<usize>,
    pub(crate) benign: Vec<Benign>,
    pub(crate) attacks: Vec<Attack>,
    /// Connections of the attacks, in order of their opening.
    pub(crate) attack_connections: Vec<crate::traffic::Connection>,
}

impl Fleet {
    /// An account without anything in it.
    pub(crate) fn empty(account: String, span: Span, internet: Internet, dice: Dice) -> Self {
        Self {
            dice,
            account,
            region: aws::REGION,
            span,
            internet,
            place: Place::default(),
            destinations: Vec::new(),
            functions: Vec::new(),
            scanned: Vec::new(),
            benign: Vec::new(),
            attacks: Vec::new(),
            attack_connections: Vec::new(),
        }
    }

    /// The interface through which environment `environment` of a function speaks at a time.
    ///
    /// An environment lives in one subnet; where its pair has several interfaces, Lambda spreads environments over
    /// them.
    pub(crate) fn interface(&self, function: usize, environment: u32, at: Secs) -> Option<usize> {
        let pairs = &self.functions[function].pairs;
        let pair = &self.place.pairs[pairs[environment as usize % pairs.len()]];
        let alive: Vec<usize> =
            pair.interfaces.iter().copied().filter(|&i| self.place.interfaces[i].life.contains(at)).collect();
        alive.get((environment as usize / pairs.len()) % alive.len().max(1)).copied()
    }

    /// The logged interface of our own that has this address at a time, if any.
    pub(crate) fn interface_at(&self, address: IpAddr, at: Secs) -> Option<usize> {
        let place = &self.place;
        place.by_address.get(&address)?.iter().copied().find(|&i| place.interfaces[i].life.contains(at))
    }

    /// Adds a destination and gives its number.
    pub(crate) fn add_destination(&mut self, destination: Destination) -> usize {
        self.destinations.push(destination);
        self.destinations.len() - 1
    }
}
