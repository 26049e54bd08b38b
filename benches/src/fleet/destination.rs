//! Destinations: what a function calls, and from which addresses it answers at a time.
//!
//! An address is a pure function of time and one throw, so that days can be generated independently.

use std::net::IpAddr;

use serde::Serialize;

use crate::{
    calendar::Secs,
    dice::{Dice, mix},
    internet::Prefix,
};

pub(crate) use detector::drill::connection::{ICMP, TCP, UDP};

/// What a destination is; also the cause a false alert is attributed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    FixedSaas,
    CdnRotation,
    LoadBalancerRotation,
    GatewayEndpoint,
    InterfaceEndpoint,
    Database,
    Telemetry,
    WebhookTargets,
    PublicResolver,
}

/// A service some functions call.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    pub(crate) protocol: u8,
    /// Where it lives, by the time it moved there; the first entry is from the beginning.
    pub(crate) homes: Vec<(Secs, Addresses)>,
    /// Its IPv6 addresses, used half the time by dual-stack functions.
    pub(crate) home6: Option<Addresses>,
    /// Code of the address range in `ip-ranges.json` terms, shown for public addresses only.
    pub(crate) aws_service: Option<&'static str>,
    /// No answer between these times.
    pub(crate) outages: Vec<super::Span>,
}

/// A rule for the addresses behind a name.
#[derive(Clone, Debug)]
pub(crate) enum Addresses {
    /// Always these, equally often.
    Fixed(Vec<IpAddr>),
    /// A pool whose members drift through prefixes; DNS hands out a few of them at a time.
    Pool(Pool),
}

/// Rotating addresses.
///
/// # Units
/// `epoch_secs`: how long one DNS answer holds; `drift_secs`: how long one member keeps its address.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) prefixes: Vec<Prefix>,
    pub(crate) n_members: u64,
    /// Members in one DNS answer.
    pub(crate) n_answers: u64,
    pub(crate) epoch_secs: Secs,
    pub(crate) drift_secs: Secs,
    /// 1 makes all members equally popular; 3 makes a few take most of the calls.
    pub(crate) skew: f64,
    pub(crate) key: u64,
}

impl Pool {
    fn address(&self, at: Secs, dice: &mut Dice) -> IpAddr {
        let answer = (dice.unit().powf(self.skew) * self.n_answers as f64) as u64;
        let epoch = (at / self.epoch_secs.max(1)) as u64;
        let member = if self.n_answers >= self.n_members {
            answer % self.n_members
        } else {
            mix(mix(self.key, epoch), answer) % self.n_members
        };
        let phase = mix(self.key, member) % self.drift_secs.max(1) as u64;
        let generation = (at as u64 + phase) / self.drift_secs.max(1) as u64;
        let place = mix(mix(self.key, member), generation);
        self.prefixes[(place % self.prefixes.len() as u64) as usize].host(mix(place, 1))
    }
}

impl Addresses {
    pub(crate) fn address(&self, at: Secs, dice: &mut Dice) -> IpAddr {
        match self {
            Self::Fixed(addresses) => *dice.pick(addresses),
            Self::Pool(pool) => pool.address(at, dice),
        }
    }

    /// The blocks these addresses come from; single addresses as /32 or /128.
    pub(crate) fn prefixes(&self) -> Vec<Prefix> {
        match self {
            Self::Fixed(addresses) => {
                addresses.iter().map(|&base| Prefix { base, len: if base.is_ipv4() { 32 } else { 128 } }).collect()
            }
            Self::Pool(pool) => pool.prefixes.clone(),
        }
    }
}

impl Destination {
    /// The address a lookup at `at` leads to.
    pub(crate) fn address(&self, at: Secs, dual_stack: bool, dice: &mut Dice) -> IpAddr {
        if let (true, Some(home)) = (dual_stack, &self.home6)
            && dice.chance(0.5)
        {
            return home.address(at, dice);
        }
        let home = self.homes.iter().rev().find(|(from, _)| *from <= at).or_else(|| self.homes.first());
        match home {
            Some((_, addresses)) => addresses.address(at, dice),
            None => unreachable!("a destination has at least one home"),
        }
    }

    pub(crate) fn is_out(&self, at: Secs) -> bool {
        self.outages.iter().any(|o| o.contains(at))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::calendar::DAY;

    #[test]
    fn a_cdn_shows_new_addresses_each_day_inside_its_prefixes() {
        let pool = Pool {
            prefixes: vec![Prefix::v4(198, 18, 0, 0, 22), Prefix::v4(198, 18, 64, 0, 22)],
            n_members: 200,
            n_answers: 4,
            epoch_secs: 60,
            drift_secs: 5 * DAY,
            skew: 1.0,
            key: 9,
        };
        let mut dice = Dice::new(1);
        let day = |d: i64, dice: &mut Dice| -> BTreeSet<IpAddr> {
            (0..300).map(|i| pool.address(d * DAY + i * 280, dice)).collect()
        };
        let (first, second) = (day(0, &mut dice), day(1, &mut dice));
        assert!(first.len() > 100);
        assert!(second.difference(&first).count() > 30);
        assert!(second.iter().all(|&a| pool.prefixes.iter().any(|p| p.contains(a))));
    }
}
