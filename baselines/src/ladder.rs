//! The destination ladder: address → prefix → network owner, and port. Novelty is judged rung by rung.
//!
//! A cloud or a CDN rotates addresses all day: on a quiet server more than half of each day's (address, port) pairs are
//! new. So a new address alone says little; a new address in a network the function never met says much. Naming the
//! network owner is the detector's knowledge; the rest is arithmetic on the address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use crate::names::Names;
use crate::near::near;
use crate::table::Index;

/// A network owner: who it is, and how to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its identity, the same after it was renamed: `AS64500`, `AWS S3 eu-west-1`, or a prefix where nothing is known.
    pub key: Arc<str>,
    /// The key with its name: `AS64500 Example Hosting`.
    pub label: Arc<str>,
}

/// NAT64's well-known prefix `64:ff9b::/96`, RFC 6052: behind it is all of IPv4.
const NAT64: u128 = 0x0064_ff9b << 96;

/// The CIDR block an address is folded into: /24 for IPv4, reached through NAT64 or not, /48 for IPv6, the sizes that
/// are routed and leased as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(pub u128);

impl Prefix {
    /// The block of an address given as bits of its IPv6 form.
    pub fn of(address: u128) -> Self {
        let host_bits = if is_ipv4(address) || is_nat64(address) { 8 } else { 80 };
        Self(address >> host_bits << host_bits)
    }
}

impl Prefix {
    /// How many bits are the block's, as it is written: an IPv4 block is written as such.
    pub fn n_bits(self) -> u8 {
        match self.0 {
            block if is_ipv4(block) => 24,
            block if is_nat64(block) => 120,
            _ => 48,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", to_ip(self.0), self.n_bits())
    }
}

/// Whether the bits are those of an IPv4 address in IPv6 form.
pub fn is_ipv4(address: u128) -> bool {
    address >> 32 == 0xffff
}

/// Whether the bits are those of an IPv4 address behind NAT64.
fn is_nat64(address: u128) -> bool {
    address >> 32 == NAT64 >> 32
}

/// The address of the bits, IPv4 as such.
pub fn to_ip(address: u128) -> IpAddr {
    Ipv6Addr::from_bits(address).to_canonical()
}

/// The bits of an address in IPv6 form.
pub fn from_ip(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Whether an address is inside: private, shared, link-local or unique local space, never the internet.
pub fn is_private(address: u128) -> bool {
    let behind = if is_nat64(address) { 0xffff << 32 | address & 0xffff_ffff } else { address };
    match to_ip(behind) {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

/// One address and the rungs above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rungs {
    /// Bits of the IPv6 form.
    pub address: u128,
    /// Number of its prefix in [`Ladder::prefixes`].
    pub prefix: u32,
    /// Number of its network owner in [`Ladder::networks`].
    pub network: u32,
}

/// Every address met, each named once.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    ids: Index,
    addresses: Vec<u128>,
    /// Prefix and network of each address, apart from it: together they would take a quarter more.
    above: Vec<(u32, u32)>,
    prefix_ids: Index,
    prefixes: Vec<Prefix>,
    networks: Names,
    labels: Vec<Arc<str>>,
}

impl Ladder {
    /// The number of an address; on first sight its network is asked for.
    pub fn peer(&mut self, address: u128, network: impl FnOnce() -> Network) -> u32 {
        self.peer_numbered(address, |ladder| ladder.network(&network()))
    }

    /// The same for who knows the numbers of networks.
    pub fn peer_numbered(&mut self, address: u128, network: impl FnOnce(&mut Self) -> u32) -> u32 {
        if let Some(id) = self.peer_id(address) {
            return id;
        }
        let network = network(self);
        self.push_peer(address, network)
    }

    /// The number of an address, if it was met.
    pub(crate) fn peer_id(&self, address: u128) -> Option<u32> {
        self.ids.find(address, &self.addresses, |&address| address)
    }

    /// Prefetches what is known of an address.
    pub(crate) fn near(&self, peer: u32) {
        self.addresses.get(peer as usize).map(near);
        self.above.get(peer as usize).map(near);
    }

    fn push_peer(&mut self, address: u128, network: u32) -> u32 {
        let prefix = Prefix::of(address);
        // A stored baseline tells addresses in order, and their prefixes before them in the same order: most often this
        // one's is that of the address before, or the next. Looking there first takes a third off loading.
        let latest = self.above.last().map_or(0, |&(prefix, _)| prefix);
        let is_it = |&id: &u32| self.prefixes.get(id as usize) == Some(&prefix);
        let prefix = [latest, latest.wrapping_add(1)].into_iter().find(is_it).unwrap_or_else(|| self.prefix_id(prefix));
        let id = self.addresses.len() as u32;
        self.addresses.push(address);
        self.above.push((prefix, network));
        self.ids.add_last(&self.addresses, |&address| address);
        id
    }

    /// The number of an address whose network's number is known; `None` when the address is known in another network.
    pub(crate) fn peer_in(&mut self, address: u128, network: u32) -> Option<u32> {
        match self.peer_id(address) {
            Some(id) => (self.rungs(id).network == network).then_some(id),
            None => Some(self.push_peer(address, network)),
        }
    }

    /// Makes room in the index for more prefixes: growing it later reads every prefix again, in random order.
    pub(crate) fn reserve_prefixes(&mut self, additional: usize) {
        self.prefix_ids.reserve(additional, &self.prefixes, |&prefix| prefix);
    }

    /// Makes room for more addresses.
    pub(crate) fn reserve_peers(&mut self, additional: usize) {
        self.ids.reserve(additional, &self.addresses, |&address| address);
        self.addresses.reserve_exact(additional);
        self.above.reserve_exact(additional);
    }

    /// The rungs of an address's number.
    pub fn rungs(&self, peer: u32) -> Rungs {
        let address = self.addresses.get(peer as usize).copied().unwrap_or(0);
        let (prefix, network) = self.above.get(peer as usize).copied().unwrap_or((u32::MAX, u32::MAX));
        Rungs { address, prefix, network }
    }

    /// The block of a prefix's number.
    pub fn prefix(&self, id: u32) -> Prefix {
        self.prefixes.get(id as usize).copied().unwrap_or_default()
    }

    /// Keys of the network owners met, by number.
    pub fn networks(&self) -> &Names {
        &self.networks
    }

    /// The label of a network owner's number.
    pub fn label(&self, network: u32) -> Arc<str> {
        self.labels.get(network as usize).cloned().unwrap_or_default()
    }

    /// The number of a network owner. A label told later for a key known already is ignored.
    pub fn network(&mut self, network: &Network) -> u32 {
        let id = self.networks.intern(&network.key);
        if self.labels.len() <= id as usize {
            self.labels.push(Arc::clone(&network.label));
        }
        id
    }

    /// The number of a prefix.
    pub fn prefix_id(&mut self, prefix: Prefix) -> u32 {
        if let Some(id) = self.prefix_ids.find(prefix, &self.prefixes, |&prefix| prefix) {
            return id;
        }
        let id = self.prefixes.len() as u32;
        self.prefixes.push(prefix);
        self.prefix_ids.add_last(&self.prefixes, |&prefix| prefix);
        id
    }

    /// How many addresses were met.
    pub fn n_peers(&self) -> usize {
        self.addresses.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(address: &str) -> u128 {
        from_ip(address.parse().unwrap())
    }

    #[test]
    fn prefixes_are_24_and_48() {
        assert_eq!(Prefix::of(bits("203.0.113.77")).to_string(), "203.0.113.0/24");
        assert_eq!(Prefix::of(bits("2001:db8:1:2::3")).to_string(), "2001:db8:1::/48");
        assert_eq!(Prefix::of(bits("64:ff9b::203.0.113.77")).to_string(), "64:ff9b::cb00:7100/120", "behind NAT64");
    }

    #[test]
    fn private_space() {
        for inside in
            ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "169.254.1.1", "fd00::1", "fe80::1", "::1"]
        {
            assert!(is_private(bits(inside)), "{inside}");
        }
        assert!(is_private(bits("64:ff9b::10.1.2.3")));
        for outside in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "203.0.113.1", "64:ff9b::8.8.8.8"] {
            assert!(!is_private(bits(outside)), "{outside}");
        }
    }

    #[test]
    fn an_address_is_named_once() {
        let mut ladder = Ladder::default();
        let network = || Network { key: "AS1".into(), label: "AS1 One".into() };
        let a = ladder.peer(bits("203.0.113.1"), network);
        let b = ladder.peer(bits("203.0.113.2"), network);
        assert_eq!(ladder.peer(bits("203.0.113.1"), || unreachable!()), a);
        assert_eq!(ladder.rungs(a).prefix, ladder.rungs(b).prefix);
        assert_eq!((ladder.n_peers(), ladder.networks().len()), (2, 1));
    }
}
