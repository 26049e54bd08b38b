//! The scene of a drill: one function of the user's own logs, from one moment on.
//!
//! Strangers are addresses whose network nothing in the logs met: with `--asn` somebody's, else merely unused by anyone
//! here. Nothing is sent to anybody: they are numbers in records made up in memory.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use baselines::Baselines;
use baselines::ladder::{Prefix, from_ip, is_private};
use baselines::window::Window;

use super::connection::{Connection, TCP};
use super::dice::{Dice, mix};
use super::habits::{Destination, Habits};
use super::shapes::{Rotation, Scene};
use crate::pipeline::{Gathered, Knowledge};
use crate::resolve::{Kind, Network};
use crate::score::RENTED_BLOCKS;

/// Throws for an address that is wanted to be somebody's; then anybody's will do.
const NAMED_TRIES: u32 = 512;

/// Throws for a stranger: where all these hit nobody, lists and tables leave no room for one.
const STRANGER_TRIES: u32 = 1 << 16;

/// Throws for an address in a network that is known.
const CLOUD_TRIES: u32 = 256;

/// Prefixes under which a function must know a network for it to be one whose addresses wander, as those of a cloud do.
const CLOUD_PREFIXES: usize = 3;

/// Days on which a provider must have been called to be one of the function's habits.
const HABIT_DAYS: usize = 5;

/// What the logs and a baseline have met.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// First second after the logs.
    pub(super) ends: i64,
    networks: BTreeSet<String>,
    prefixes: BTreeSet<Prefix>,
}

impl Met {
    /// What was met, by the networks the user's files name.
    pub(super) fn of(gathered: &Gathered, start: &Baselines, knowledge: &Knowledge) -> Self {
        let mut met = Self::default();
        for (_, set) in gathered.sets() {
            let last = set.rows.iter().map(|row| row.window.end()).max().unwrap_or(0);
            met.ends = met.ends.max(last);
            for peer in &set.peers {
                met.networks.insert(knowledge.networks.network(peer.address.into()).key());
                met.prefixes.insert(Prefix::of(peer.address));
            }
        }
        met.networks.extend(start.ladder.networks().iter().map(ToString::to_string));
        met
    }
}

/// Where all drills are played.
#[derive(Clone, Copy)]
pub(super) struct Stage<'a> {
    pub(super) knowledge: &'a Knowledge,
    pub(super) met: &'a Met,
}

impl Stage<'_> {
    fn network(&self, address: u128) -> Network {
        self.knowledge.networks.network(address.into())
    }

    /// Whether somebody else's host may be at an address of a known network.
    fn is_rented(&self, address: u128) -> bool {
        self.network(address).aws.is_none_or(|block| RENTED_BLOCKS.contains(&&*block.service))
    }

    /// Whether nobody here ever had to do with an address.
    fn is_strange(&self, address: Ipv4Addr) -> bool {
        let mapped = address.to_ipv6_mapped();
        let network = self.knowledge.networks.network(mapped);
        network.kind == Kind::Public
            && network.aws.is_none()
            && !self.met.networks.contains(&network.key())
            && self.knowledge.threat_lists.listed(mapped).is_none()
            && self.knowledge.trusted_lists.listed(mapped).is_none()
    }

    /// Whether there are strangers: lists may name everybody, and the logs may have met all networks of a table.
    pub(super) fn has_strangers(&self, dice: &mut Dice) -> bool {
        (0..STRANGER_TRIES).any(|_| self.is_strange(thrown(dice)))
    }

    /// A host nobody here ever had to do with, of somebody's if one is soon found; anybody's host where there are no
    /// strangers.
    fn stranger(&self, dice: &mut Dice) -> Ipv4Addr {
        for tries in 0..STRANGER_TRIES {
            let address = thrown(dice);
            let is_named = || self.network(address.to_ipv6_mapped().to_bits()).asn.is_some();
            if self.is_strange(address) && (tries >= NAMED_TRIES || is_named()) {
                return address;
            }
        }
        thrown(dice)
    }

    /// An address nobody met, in a network that a function knows under several prefixes; `None` where it knows none
    /// such.
    pub(super) fn cloud_host(&self, habits: &Habits, dice: &mut Dice) -> Option<Ipv4Addr> {
        let known: BTreeSet<(String, Prefix)> = habits
            .outside()
            .map(|((address, ..), _)| from_ip(*address))
            .filter(|&address| self.is_rented(address))
            .map(|address| (self.network(address).key(), Prefix::of(address)))
            .collect();
        let mut hosts: Vec<Ipv4Addr> = Vec::new();
        for same in known.iter().collect::<Vec<_>>().chunk_by(|a, b| a.0 == b.0).filter(|c| c.len() >= CLOUD_PREFIXES) {
            for (key, prefix) in same {
                let IpAddr::V4(base) = baselines::ladder::to_ip(prefix.0) else { continue };
                // From far to near: a cloud's blocks are large, and a neighbour of a known one is the last resort.
                let mut tried = (0..CLOUD_TRIES).map(|n| {
                    let low_bits = 20 - n * 12 / CLOUD_TRIES;
                    let mask = (1 << low_bits) - 1;
                    Ipv4Addr::from_bits(base.to_bits() & !mask | dice.word() as u32 & mask)
                });
                hosts.extend(tried.find(|address| {
                    let bits = address.to_ipv6_mapped().to_bits();
                    !self.met.prefixes.contains(&Prefix::of(bits)) && self.network(bits).key() == **key
                }));
            }
        }
        (!hosts.is_empty()).then(|| *dice.pick(&hosts))
    }
}

fn thrown(dice: &mut Dice) -> Ipv4Addr {
    Ipv4Addr::from_bits(dice.word() as u32)
}

/// The destination outside that a function calls most, of those that were its habit before a time.
pub(super) fn provider(habits: &Habits, before: i64) -> Option<Destination> {
    let day = Window::of(before).day();
    let habit = habits
        .outside()
        .filter(|((.., protocol), called)| *protocol == TCP && called.days.range(..day).count() >= HABIT_DAYS);
    habit.max_by_key(|(destination, called)| (called.n_windows, std::cmp::Reverse(**destination))).map(|(to, _)| *to)
}

/// One drill being played.
pub(super) struct Played<'s, 'a> {
    stage: Stage<'s>,
    dice: Dice,
    scenario: Scenario<'a>,
}

impl<'s, 'a> Played<'s, 'a> {
    /// A function at a time, with nothing played yet.
    pub(super) fn new(stage: Stage<'s>, habits: &'a Habits, start: i64, dice: Dice) -> Self {
        Self { stage, dice, scenario: Scenario { habits, start, enis: Vec::new(), connections: Vec::new() } }
    }

    /// What was played; `None` when nothing was, from its start on.
    pub(super) fn finish(self) -> Option<Scenario<'a>> {
        let start = self.scenario.start;
        let happens = self.scenario.connections.iter().any(|connection| connection.opens() >= start);
        happens.then_some(self.scenario)
    }
}

/// What was played, and on whom.
pub(super) struct Scenario<'a> {
    pub(super) habits: &'a Habits,
    pub(super) start: i64,
    /// Interfaces that connections were made from, by the number they were given.
    pub(super) enis: Vec<Arc<str>>,
    pub(super) connections: Vec<Connection>,
}

/// The first IPv4 address of an interface that the inventory knows.
pub(super) fn own_address(knowledge: &Knowledge, eni: &str) -> Option<Ipv4Addr> {
    knowledge.inventory.own_addresses(eni).find_map(|address| address.to_ipv4_mapped())
}

impl Scene for Played<'_, '_> {
    fn start(&self) -> i64 {
        self.scenario.start
    }

    fn begins(&self) -> i64 {
        self.scenario.habits.begins()
    }

    fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    fn awake(&mut self, at: i64) -> Option<i64> {
        self.scenario.habits.awake(at)
    }

    fn stranger(&mut self) -> IpAddr {
        self.stage.stranger(&mut self.dice).into()
    }

    fn cloud_host(&mut self) -> IpAddr {
        let host = self.stage.cloud_host(self.scenario.habits, &mut self.dice);
        host.unwrap_or_else(|| self.stage.stranger(&mut self.dice)).into()
    }

    fn known_provider(&mut self) -> Option<(IpAddr, (u16, u8))> {
        provider(self.scenario.habits, self.scenario.start).map(|(address, port, protocol)| (address, (port, protocol)))
    }

    fn new_cdn(&mut self) -> Rotation {
        let home = self.stage.stranger(&mut self.dice).to_bits();
        let members: Vec<IpAddr> = (0..self.dice.between(2, 30))
            .map(|_| Ipv4Addr::from_bits(home & !0x3ff | self.dice.word() as u32 & 0x3ff).into())
            .collect();
        let key = self.dice.word();
        // A name answers with two of its addresses, others every five minutes.
        Box::new(move |at, dice| {
            let answer = mix(key, (at / 300) as u64).wrapping_add(dice.below(2)) % members.len() as u64;
            members.get(answer as usize).copied().unwrap_or(IpAddr::V4(Ipv4Addr::from_bits(home)))
        })
    }

    fn neighbour(&self, n: u64) -> IpAddr {
        let own =
            self.scenario.habits.eni(self.scenario.start).and_then(|(eni, _)| own_address(self.stage.knowledge, eni));
        let inside = self.scenario.habits.called.iter().filter(|((address, ..), _)| is_private(from_ip(*address)));
        let inside = inside.filter_map(|((address, ..), called)| match address {
            IpAddr::V4(address) => Some((called.n_windows, *address)),
            IpAddr::V6(_) => None,
        });
        let base = own.or_else(|| inside.max().map(|(_, address)| address)).unwrap_or(Ipv4Addr::new(10, 0, 0, 0));
        Ipv4Addr::from_bits(base.to_bits() & !0xff | (n as u32 & 0xff)).into()
    }

    fn connect(&mut self, at: i64, make: impl FnOnce(usize, &mut Dice) -> Connection) {
        if at >= self.stage.met.ends {
            return;
        }
        let Some((eni, _)) = self.scenario.habits.eni(at) else { return };
        let number = self.scenario.enis.iter().position(|known| known == eni).unwrap_or_else(|| {
            self.scenario.enis.push(Arc::clone(eni));
            self.scenario.enis.len() - 1
        });
        self.scenario.connections.push(make(number, &mut self.dice));
    }
}
