//! The internet of a fleet: networks with an owner, an autonomous system number and prefixes.
//!
//! Takes dice, gives [`Internet`]: networks by class, from which benign destinations and call-outs draw alike, and
//! AWS's published ranges. Owners are made up and their numbers reserved for documentation or private use (RFC 5398,
//! RFC 6996); AWS and the public resolvers keep their real ones, because the detector may know them.

pub(crate) mod aws;
pub(crate) mod tables;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dice::Dice;

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    pub(crate) base: IpAddr,
    pub(crate) len: u8,
}

impl Prefix {
    pub(crate) const fn v4(a: u8, b: u8, c: u8, d: u8, len: u8) -> Self {
        Self { base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), len }
    }

    /// The block of length `len` that holds an IPv4 address.
    pub(crate) fn around(address: Ipv4Addr, len: u8) -> Self {
        let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
        Self { base: IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask)), len }
    }

    /// Number of host addresses; IPv6 prefixes count as 2^32, more than any pool needs.
    pub(crate) fn n_addresses(self) -> u64 {
        match self.base {
            IpAddr::V4(_) => 1 << (32 - self.len),
            IpAddr::V6(_) => 1 << 32,
        }
    }

    /// The `n`-th address, counted round when `n` is beyond the end; never the first or last of an IPv4 block.
    pub(crate) fn host(self, n: u64) -> IpAddr {
        match self.base {
            IpAddr::V4(base) => {
                let room = self.n_addresses().saturating_sub(2).max(1);
                IpAddr::V4(Ipv4Addr::from(u32::from(base) + (1 + n % room) as u32))
            }
            IpAddr::V6(base) => IpAddr::V6(Ipv6Addr::from(u128::from(base) + u128::from(1 + n % (1 << 32)))),
        }
    }

    /// The last address of the block.
    pub(crate) fn last(self) -> IpAddr {
        match self.base {
            IpAddr::V4(base) => {
                IpAddr::V4(Ipv4Addr::from(u32::from(base) | u32::MAX.checked_shr(u32::from(self.len)).unwrap_or(0)))
            }
            IpAddr::V6(base) => {
                IpAddr::V6(Ipv6Addr::from(u128::from(base) | u128::MAX.checked_shr(u32::from(self.len)).unwrap_or(0)))
            }
        }
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                self.base <= address && address <= self.last()
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.len)
    }
}

/// What a network is mostly used for. Call-outs and benign traffic draw from the same classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Content delivery: hundreds of addresses for one name.
    Cdn,
    /// Companies that run their own service on their own addresses.
    Saas,
    /// Upload-heavy vendors of logs, metrics and traces.
    Telemetry,
    /// Rented servers; small services live here, and so do most attackers.
    Hosting,
    /// Access providers and offices; webhook receivers and scanners.
    Access,
    /// Public DNS resolvers.
    Resolver,
}

/// One network owner.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) asn: u32,
    pub(crate) owner: String,
    pub(crate) country: &'static str,
    pub(crate) class: Class,
    pub(crate) prefixes: Vec<Prefix>,
    pub(crate) prefix6: Option<Prefix>,
}

/// All networks of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Internet {
    pub(crate) networks: Vec<Network>,
}

/// First octets of public unicast space without AWS ranges of ours in them, and without space reserved by RFC 6890.
const FIRST_OCTETS: [u8; 48] = [
    23, 31, 37, 45, 46, 62, 66, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 103, 104,
    109, 128, 138, 141, 145, 146, 151, 158, 159, 176, 178, 185, 188, 193, 194, 195, 204, 209, 212, 217,
];

const COUNTRIES: [&str; 12] = ["US", "DE", "NL", "GB", "FR", "IE", "SE", "PL", "SG", "IN", "BR", "CA"];

const FIRST_WORDS: [&str; 32] = [
    "Amber", "Birch", "Cobalt", "Delta", "Ember", "Fjord", "Garnet", "Harbour", "Indigo", "Juniper", "Kestrel",
    "Lumen", "Meadow", "Nimbus", "Orchard", "Pine", "Quarry", "Ridge", "Saffron", "Tidal", "Umbra", "Vector", "Willow",
    "Xenon", "Yarrow", "Zephyr", "Alder", "Basalt", "Cedar", "Dune", "Elm", "Flint",
];

/// Known public resolvers: number, owner, prefix. Real facts, because detectors keep lists of them.
const RESOLVERS: [(u32, &str, Prefix); 5] = [
    (13335, "CLOUDFLARENET", Prefix::v4(1, 1, 1, 0, 24)),
    (13335, "CLOUDFLARENET", Prefix::v4(1, 0, 0, 0, 24)),
    (15169, "GOOGLE", Prefix::v4(8, 8, 8, 0, 24)),
    (15169, "GOOGLE", Prefix::v4(8, 8, 4, 0, 24)),
    (19281, "QUAD9-AS-1", Prefix::v4(9, 9, 9, 0, 24)),
];

impl Internet {
    /// Lays out about 600 networks over public address space.
    pub(crate) fn new(dice: &Dice) -> Self {
        let mut dice = dice.fork("internet", 0);
        let mut slots: Vec<(u8, u8)> = FIRST_OCTETS.iter().flat_map(|&a| (0..=255).map(move |b| (a, b))).collect();
        dice.shuffle(&mut slots);
        let classes = [
            (Class::Cdn, 10, "Edge Delivery", 6..=14, 18..=22),
            (Class::Saas, 70, "Software", 1..=3, 22..=24),
            (Class::Telemetry, 10, "Observability", 2..=5, 20..=23),
            (Class::Hosting, 130, "Hosting", 2..=12, 17..=22),
            (Class::Access, 380, "Communications", 1..=8, 16..=21),
        ];
        let mut networks = Vec::new();
        for (class, n, trade, n_prefixes, len) in classes {
            for i in 0..n {
                let number = networks.len() as u32;
                let prefixes = (0..dice.between(*n_prefixes.start(), *n_prefixes.end()))
                    .filter_map(|_| {
                        slots.pop().map(|slot| carve(slot, dice.between(*len.start(), *len.end()) as u8, &mut dice))
                    })
                    .collect();
                let word = FIRST_WORDS[i % FIRST_WORDS.len()];
                let owner = match i / FIRST_WORDS.len() {
                    0 => format!("{word} {trade}"),
                    round => format!("{word} {trade} {}", round + 1),
                };
                let &country = dice.pick(&COUNTRIES);
                networks.push(Network {
                    asn: if number < 16 { 64_496 + number } else { 4_200_000_000 + number },
                    owner,
                    country,
                    class,
                    prefixes,
                    prefix6: (class == Class::Cdn).then(|| Prefix {
                        base: IpAddr::V6(Ipv6Addr::new(0x2a0e, 0x4000 + number as u16, 0, 0, 0, 0, 0, 0)),
                        len: 32,
                    }),
                });
            }
        }
        for (asn, owner, prefix) in RESOLVERS {
            networks.push(Network {
                asn,
                owner: owner.to_owned(),
                country: "US",
                class: Class::Resolver,
                prefixes: vec![prefix],
                prefix6: None,
            });
        }
        Self { networks }
    }

    /// A random network of a class.
    pub(crate) fn pick(&self, class: Class, dice: &mut Dice) -> &Network {
        let of_class: Vec<&Network> = self.networks.iter().filter(|n| n.class == class).collect();
        of_class[dice.below(of_class.len() as u64) as usize]
    }
}

impl Network {
    /// A random address of the network.
    pub(crate) fn address(&self, dice: &mut Dice) -> IpAddr {
        dice.pick(&self.prefixes).host(dice.word())
    }
}

/// Takes an aligned block of length `len` out of a /16.
fn carve((a, b): (u8, u8), len: u8, dice: &mut Dice) -> Prefix {
    let block = dice.below(1 << (len - 16)) as u32;
    let base = u32::from(Ipv4Addr::new(a, b, 0, 0)) + (block << (32 - u32::from(len)));
    Prefix { base: IpAddr::V4(Ipv4Addr::from(base)), len }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_do_not_overlap() {
        let internet = Internet::new(&Dice::new(3));
        let mut prefixes: Vec<Prefix> = internet.networks.iter().flat_map(|n| n.prefixes.clone()).collect();
        prefixes.extend(aws::RANGES.iter().map(|r| r.prefix));
        prefixes.sort();
        for pair in prefixes.windows(2) {
            assert!(pair[0].last() < pair[1].base, "{} and {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn hosts_stay_inside() {
        let prefix = Prefix::v4(203, 0, 113, 0, 24);
        assert_eq!(prefix.host(0).to_string(), "203.0.113.1");
        assert_eq!(prefix.host(253).to_string(), "203.0.113.254");
        assert_eq!(prefix.host(254).to_string(), "203.0.113.1");
        assert_eq!(Prefix::around(Ipv4Addr::new(203, 0, 113, 77), 24), prefix);
        assert_eq!(prefix.last().to_string(), "203.0.113.255");
        assert!(prefix.contains(prefix.host(u64::MAX)));
    }
}
