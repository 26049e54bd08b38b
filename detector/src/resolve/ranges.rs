//! Ranges: which number belongs to an address, when blocks nest and the narrowest wins.
//!
//! Where it sits: under everything in `resolve` that looks an address up (network owners, AWS blocks, lists,
//! resolvers).
//! What it does not do: it keeps no blocks; they are cut once into disjoint pieces, so a lookup is one binary search.

use std::net::Ipv6Addr;

use ipnet::IpNet;

/// The number of a piece no block covers.
const NOBODY: u32 = u32::MAX;

/// NAT64's well-known prefix `64:ff9b::/96` (RFC 6052); a VPC's DNS64 answers with it, and the last 32 bits are the
/// true peer.
const NAT64_PREFIX: u128 = 0x0064_ff9b << 96;

/// Bits of the prefixes that stand before an IPv4 address.
const IPV4_FROM_BITS: u8 = 96;

/// The IPv4 address behind an address: mapped (`::ffff:a.b.c.d`) or reached through NAT64 (`64:ff9b::a.b.c.d`).
pub(super) fn ipv4_bits(address: Ipv6Addr) -> Option<u32> {
    let bits = address.to_bits();
    let high = bits >> 32;
    (high == 0xffff || high == NAT64_PREFIX >> 32).then_some(bits as u32)
}

/// Blocks of addresses with a number each, on their way to [`Ranges`].
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    ipv4: Vec<Block<u32>>,
    ipv6: Vec<Block<u128>>,
}

/// First address, last address, number.
type Block<A> = (A, A, u32);

impl Blocks {
    /// Adds a block; one of mapped addresses or of NAT64's is the IPv4 block it stands for.
    pub(super) fn add(&mut self, block: IpNet, number: u32) {
        match block {
            IpNet::V4(block) => self.add_ipv4(block.network().to_bits(), block.broadcast().to_bits(), number),
            IpNet::V6(block) => match (ipv4_bits(block.network()), ipv4_bits(block.broadcast())) {
                (Some(first), Some(last)) if block.prefix_len() >= IPV4_FROM_BITS => self.add_ipv4(first, last, number),
                _ => self.add_ipv6(block.network().to_bits(), block.broadcast().to_bits(), number),
            },
        }
    }

    /// Adds the addresses `first` to `last`, both included.
    pub(super) fn add_ipv4(&mut self, first: u32, last: u32, number: u32) {
        self.ipv4.push((first, last, number));
    }

    /// Adds the addresses `first` to `last`, both included.
    pub(super) fn add_ipv6(&mut self, first: u128, last: u128, number: u32) {
        self.ipv6.push((first, last, number));
    }

    /// The same blocks under other numbers.
    pub(super) fn renumbered(&self, number: impl Fn(u32) -> u32) -> Self {
        Self {
            ipv4: self.ipv4.iter().map(|&(first, last, old)| (first, last, number(old))).collect(),
            ipv6: self.ipv6.iter().map(|&(first, last, old)| (first, last, number(old))).collect(),
        }
    }
}

/// Address → number.
///
/// # Guarantees
/// The narrowest block that holds the address answers; of equal blocks the one with the lowest number. Where two blocks
/// overlap without one holding the other, the one that starts later answers. The order of the blocks does not matter.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    ipv4: Pieces<u32>,
    ipv6: Pieces<u128>,
}

impl From<Blocks> for Ranges {
    fn from(blocks: Blocks) -> Self {
        Self { ipv4: Pieces::cut(blocks.ipv4), ipv6: Pieces::cut(blocks.ipv6) }
    }
}

impl Ranges {
    pub(super) fn get(&self, address: Ipv6Addr) -> Option<u32> {
        match ipv4_bits(address) {
            Some(bits) => self.ipv4.get(bits),
            None => self.ipv6.get(address.to_bits()),
        }
    }
}

trait Address: Copy + Ord {
    fn next(self) -> Option<Self>;
}

impl Address for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Address for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// Disjoint pieces: each starts at `starts[i]`, ends before the next one, and has `numbers[i]`.
///
/// ```text
/// blocks   |------------- 7 -------------|
///              |--- 3 ---|
/// pieces   7   3         7               nobody
/// ```
#[derive(Debug)]
struct Pieces<A> {
    starts: Vec<A>,
    numbers: Vec<u32>,
}

impl<A> Default for Pieces<A> {
    fn default() -> Self {
        Self { starts: Vec::new(), numbers: Vec::new() }
    }
}

impl<A: Address> Pieces<A> {
    fn cut(mut blocks: Vec<Block<A>>) -> Self {
        // Outer blocks first; of equal ones the lowest number last, where it covers the others.
        blocks.sort_unstable_by(|a, b| (a.0, b.1, b.2).cmp(&(b.0, a.1, a.2)));
        let mut pieces = Self::default();
        let mut open: Vec<(A, u32)> = Vec::new();
        for (first, last, number) in blocks {
            pieces.close(&mut open, Some(first));
            pieces.push(first, number);
            open.push((last, number));
        }
        pieces.close(&mut open, None);
        pieces.starts.shrink_to_fit();
        pieces.numbers.shrink_to_fit();
        pieces
    }

    /// Ends the open blocks that end before `until`, innermost first; what lies under each goes on after it.
    fn close(&mut self, open: &mut Vec<(A, u32)>, until: Option<A>) {
        while let Some(&(last, _)) = open.last()
            && until.is_none_or(|until| last < until)
        {
            while open.pop_if(|(end, _)| *end <= last).is_some() {}
            if let Some(after) = last.next() {
                self.push(after, open.last().map_or(NOBODY, |&(_, number)| number));
            }
        }
    }

    fn push(&mut self, start: A, number: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.numbers.pop();
        }
        if self.numbers.last().copied().unwrap_or(NOBODY) != number {
            self.starts.push(start);
            self.numbers.push(number);
        }
    }

    fn get(&self, address: A) -> Option<u32> {
        let piece = self.starts.partition_point(|start| *start <= address).checked_sub(1)?;
        self.numbers.get(piece).copied().filter(|number| *number != NOBODY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(blocks: &[(&str, u32)]) -> Ranges {
        let mut all = Blocks::default();
        for (block, number) in blocks {
            all.add(block.parse().unwrap(), *number);
        }
        all.into()
    }

    fn check(blocks: &[(&str, u32)], address: &str, expected: Option<u32>) {
        let address = match address.parse().unwrap() {
            std::net::IpAddr::V4(address) => address.to_ipv6_mapped(),
            std::net::IpAddr::V6(address) => address,
        };
        assert_eq!(ranges(blocks).get(address), expected, "{address} in {blocks:?}");
    }

    #[test]
    fn narrowest_block_wins() {
        let blocks =
            [("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.1.2.3/32", 3), ("2001:db8::/32", 4), ("2001:db8:1::/48", 5)];
        check(&blocks, "10.0.255.255", Some(1));
        check(&blocks, "10.1.0.0", Some(2));
        check(&blocks, "10.1.2.3", Some(3));
        check(&blocks, "10.1.2.4", Some(2));
        check(&blocks, "10.2.0.0", Some(1));
        check(&blocks, "11.0.0.0", None);
        check(&blocks, "9.255.255.255", None);
        check(&blocks, "2001:db8:1::9", Some(5));
        check(&blocks, "2001:db8:2::9", Some(4));
        check(&blocks, "2001:db9::", None);
    }

    #[test]
    fn equal_blocks_go_to_the_lowest_number() {
        check(&[("10.0.0.0/8", 9), ("10.0.0.0/8", 2), ("10.0.0.0/8", 5)], "10.1.1.1", Some(2));
    }

    #[test]
    fn the_ends_of_the_address_space_belong_to_blocks_too() {
        check(&[("0.0.0.0/0", 1), ("255.255.255.255/32", 2)], "255.255.255.255", Some(2));
        check(&[("0.0.0.0/0", 1), ("0.0.0.0/32", 2)], "0.0.0.0", Some(2));
        check(&[("0.0.0.0/0", 1), ("0.0.0.0/32", 2)], "0.0.0.1", Some(1));
        check(&[("::/0", 1)], "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(1));
        check(&[], "1.2.3.4", None);
    }

    #[test]
    fn nat64_and_mapped_addresses_are_the_ipv4_address() {
        check(&[("192.0.2.0/24", 1)], "::ffff:192.0.2.7", Some(1));
        check(&[("192.0.2.0/24", 1)], "64:ff9b::192.0.2.7", Some(1));
        check(&[("192.0.2.0/24", 1)], "64:ff9b:1::192.0.2.7", None);
        // A block over all of IPv6 says nothing about IPv4.
        check(&[("::/0", 1)], "192.0.2.7", None);
    }

    #[test]
    fn overlapping_ranges_go_to_the_later_start() {
        let mut blocks = Blocks::default();
        blocks.add_ipv4(0, 10, 1);
        blocks.add_ipv4(5, 15, 2);
        let ranges = Ranges::from(blocks);
        let at = |bits: u32| ranges.ipv4.get(bits);
        assert_eq!([at(4), at(5), at(10), at(15), at(16)], [Some(1), Some(2), Some(2), Some(2), None]);
    }

    proptest! {
        #[test]
        fn longest_match_equals_a_naive_scan(
            // Few distinct bits, so that blocks nest, touch and repeat.
            blocks in proptest::collection::vec((0_u32..64, 26_u8..=32, 0_u32..9), 0..40),
        ) {
            let mut all = Blocks::default();
            let mut nets = Vec::new();
            for (bits, length, number) in blocks {
                let net = ipnet::Ipv4Net::new(bits.into(), length).unwrap().trunc();
                all.add(net.into(), number);
                nets.push((net, number));
            }
            let ranges = Ranges::from(all);
            for bits in 0..80_u32 {
                let expected = nets
                    .iter()
                    .filter(|(net, _)| net.contains(&std::net::Ipv4Addr::from(bits)))
                    .max_by_key(|(net, number)| (net.prefix_len(), u32::MAX - number))
                    .map(|(_, number)| *number);
                prop_assert_eq!(ranges.ipv4.get(bits), expected);
            }
        }
    }
}
