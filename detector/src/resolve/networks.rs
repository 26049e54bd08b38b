//! Networks: whose network an address is in.
//!
//! Where it sits: asked by the engine for each new peer; the answer is the rung "network owner" of the destination
//! ladder.
//! What it does not do: it does not say whether an owner is trusted; that is what `lists` are for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::asn::AsnTable;
use super::aws_ranges::{AwsBlock, AwsRanges};
use super::ranges::ipv4_bits;
use super::{Error, Loaded};

/// Block that stands for the owner of an IPv4 address when nothing names one. A choice, not a measurement: a rung above
/// the /24 of the destination ladder, wide enough that one provider's addresses mostly fall together.
const IPV4_OWNER_LENGTH: u8 = 16;

/// The same for IPv6: the smallest block a registry allocates to a network (RIPE NCC, "IPv6 Address Allocation and
/// Assignment Policy").
const IPV6_OWNER_LENGTH: u8 = 32;

/// The block of a private IPv6 address: one site (RFC 4193, 3.1: a 48-bit prefix).
const IPV6_SITE_LENGTH: u8 = 48;

/// What the registries say about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Routed on the internet, or free to be. Documentation and benchmark blocks count as such: nothing real uses them,
    /// and examples and generated traffic need somebody to call.
    Public,
    /// RFC 1918, or a unique local IPv6 address: the VPC itself, a peered one, or a data centre behind a gateway.
    Private,
    /// 100.64.0.0/10 (RFC 6598), between a carrier and its customers; AWS lets VPCs use it.
    Shared,
    /// 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// 127.0.0.0/8, `::1`.
    Loopback,
    /// 224.0.0.0/4, `ff00::/8`.
    Multicast,
    /// Never a destination on the internet: 0.0.0.0/8, 192.0.0.0/24, 240.0.0.0/4, `::`, `100::/64`.
    Reserved,
}

impl Kind {
    /// Tells the kind of an address.
    ///
    /// # Source
    /// IANA IPv4 and IPv6 Special-Purpose Address Registries.
    pub fn of(address: Ipv6Addr) -> Self {
        match ipv4_bits(address) {
            Some(bits) => Self::of_ipv4(Ipv4Addr::from_bits(bits)),
            None => Self::of_ipv6(address),
        }
    }

    fn of_ipv4(address: Ipv4Addr) -> Self {
        match address.octets() {
            _ if address.is_private() => Self::Private,
            _ if address.is_link_local() => Self::LinkLocal,
            _ if address.is_multicast() => Self::Multicast,
            [127, ..] => Self::Loopback,
            [100, 64..=127, ..] => Self::Shared,
            [0 | 240.., ..] | [192, 0, 0, _] => Self::Reserved,
            _ => Self::Public,
        }
    }

    fn of_ipv6(address: Ipv6Addr) -> Self {
        match address.segments() {
            _ if address.is_unique_local() => Self::Private,
            _ if address.is_unicast_link_local() => Self::LinkLocal,
            _ if address.is_multicast() => Self::Multicast,
            _ if address.is_loopback() => Self::Loopback,
            [0, 0, 0, 0, 0, 0, 0, 0] | [0x100, 0, 0, 0, ..] => Self::Reserved,
            _ => Self::Public,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
        }
    }
}

/// The network an address is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// What the registries say.
    pub kind: Kind,
    /// Number of the autonomous system that announces the address.
    pub asn: Option<u32>,
    /// That system's name, in the words of the database.
    pub name: Option<Arc<str>>,
    /// AWS service and region, when AWS lists the address.
    pub aws: Option<AwsBlock>,
    /// Block of the address that stands for the owner when nothing names one.
    pub block: IpNet,
}

/// Whose a network is: what its [key](Network::key) is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A service of AWS.
    Aws(AwsBlock),
    /// An autonomous system, by number.
    System(u32),
    /// Nobody who is named: a block stands for its owner.
    Block(Kind, IpNet),
}

impl Network {
    /// Whose the network is.
    pub fn owner(&self) -> Owner {
        match (&self.aws, self.asn) {
            (Some(aws), _) => Owner::Aws(aws.clone()),
            (None, Some(asn)) => Owner::System(asn),
            (None, None) => Owner::Block(self.kind, self.block),
        }
    }

    /// The owner's identity, fit to be stored: equal for all addresses of one owner, and the same after the owner was
    /// renamed.
    ///
    /// `AWS EC2 eu-west-1`; `AS64500`; `203.0.0.0/16` or `2001:db8::/32` when nobody is named; `private 10.0.0.0/16`.
    pub fn key(&self) -> String {
        match self.owner() {
            Owner::Aws(AwsBlock { service, region }) if region.is_empty() => format!("AWS {service}"),
            Owner::Aws(AwsBlock { service, region }) => format!("AWS {service} {region}"),
            Owner::System(asn) => format!("AS{asn}"),
            Owner::Block(Kind::Public, block) => block.to_string(),
            Owner::Block(kind, block) => format!("{} {block}", kind.word()),
        }
    }
}

/// The [key](Network::key) with the system's name: `AS64500 Example Hosting`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())?;
        match (&self.aws, self.name.as_deref()) {
            (None, Some(name)) if !name.is_empty() => write!(f, " {name}"),
            _ => Ok(()),
        }
    }
}

/// Address → network owner, from the files the user brought; without any, from the address alone. A clone shares the
/// tables.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    asn: Vec<Arc<AsnTable>>,
    aws: Vec<Arc<AwsRanges>>,
}

impl Networks {
    /// Adds a database of autonomous systems: `MaxMind` format or iptoasn's table, plain or gzip.
    ///
    /// Several may be added (iptoasn has one for each address family); the first that knows an address answers.
    ///
    /// # Errors
    /// When the file is neither form, is damaged, or names no system.
    pub fn add_asn(&mut self, origin: &str, bytes: &[u8]) -> Result<Loaded, Error> {
        let (table, loaded) = AsnTable::load(origin, bytes)?;
        self.asn.push(Arc::new(table));
        Ok(loaded)
    }

    /// Adds AWS's `ip-ranges.json`, plain or gzip. Of several the first that knows an address answers.
    ///
    /// # Errors
    /// When the file is not AWS's.
    pub fn add_aws_ranges(&mut self, origin: &str, bytes: &[u8]) -> Result<(), Error> {
        self.aws.push(Arc::new(AwsRanges::load(origin, bytes)?));
        Ok(())
    }

    /// Whether a file names the systems of addresses, and whether one names AWS's services.
    pub fn kinds(&self) -> [bool; 2] {
        [!self.asn.is_empty(), !self.aws.is_empty()]
    }

    /// When AWS wrote the latest of its lists, in Unix seconds; `None` where none says.
    pub fn aws_written(&self) -> Option<i64> {
        self.aws.iter().filter_map(|ranges| ranges.written).max()
    }

    /// Whether no file was added, so that every owner is a block.
    pub fn is_empty(&self) -> bool {
        self.asn.is_empty() && self.aws.is_empty()
    }

    /// Tells whose network an address is in. IPv4 is given mapped (`::ffff:a.b.c.d`); NAT64 addresses are the IPv4
    /// behind them.
    pub fn network(&self, address: Ipv6Addr) -> Network {
        let kind = Kind::of(address);
        let (system, aws) = if kind == Kind::Public {
            (self.asn.iter().find_map(|table| table.get(address)), self.aws.iter().find_map(|table| table.get(address)))
        } else {
            (None, None)
        };
        Network {
            kind,
            asn: system.map(|(asn, _)| *asn),
            name: system.map(|(_, name)| Arc::clone(name)),
            aws: aws.cloned(),
            block: owner_block(kind, address),
        }
    }
}

fn owner_block(kind: Kind, address: Ipv6Addr) -> IpNet {
    let (address, length) = match ipv4_bits(address) {
        Some(bits) => (IpAddr::from(Ipv4Addr::from_bits(bits)), IPV4_OWNER_LENGTH),
        None if kind == Kind::Private => (address.into(), IPV6_SITE_LENGTH),
        None => (address.into(), IPV6_OWNER_LENGTH),
    };
    IpNet::new(address, length).map_or(address.into(), |block| block.trunc())
}

#[cfg(test)]
mod tests {
    use super::super::testing::ip;
    use super::*;

    fn networks() -> Networks {
        let mut networks = Networks::default();
        let ipv4 = "203.0.113.0\t203.0.113.255\t64500\tUS\tExample Hosting\n198.51.100.0\t198.51.100.255\t16509\tUS\tAMAZON-02\n";
        networks.add_asn("v4.tsv", ipv4.as_bytes()).unwrap();
        networks.add_asn("v6.tsv", b"2001:db8::\t2001:db8::ffff\t64501\tUS\t\n").unwrap();
        let aws =
            r#"{"prefixes":[{"ip_prefix":"198.51.100.0/25","region":"eu-west-1","service":"EC2"}],"ipv6_prefixes":[]}"#;
        networks.add_aws_ranges("ip-ranges.json", aws.as_bytes()).unwrap();
        networks
    }

    fn check(networks: &Networks, address: &str, key: &str, shown: &str) {
        let network = networks.network(ip(address));
        assert_eq!((network.key().as_str(), network.to_string().as_str()), (key, shown), "{address}");
    }

    #[test]
    fn owners_have_a_stable_key_and_a_readable_form() {
        let networks = networks();
        check(&networks, "203.0.113.7", "AS64500", "AS64500 Example Hosting");
        check(&networks, "64:ff9b::203.0.113.7", "AS64500", "AS64500 Example Hosting");
        check(&networks, "198.51.100.7", "AWS EC2 eu-west-1", "AWS EC2 eu-west-1");
        check(&networks, "198.51.100.200", "AS16509", "AS16509 AMAZON-02");
        check(&networks, "2001:db8::7", "AS64501", "AS64501");
        check(&networks, "2001:db9::7", "2001:db9::/32", "2001:db9::/32");
        check(&networks, "192.0.2.7", "192.0.0.0/16", "192.0.0.0/16");
        assert_eq!(networks.network(ip("198.51.100.7")).asn, Some(16509));
    }

    #[test]
    fn addresses_that_are_not_public_have_no_owner() {
        let networks = Networks::default();
        assert!(networks.is_empty());
        check(&networks, "10.0.3.4", "private 10.0.0.0/16", "private 10.0.0.0/16");
        check(&networks, "172.31.3.4", "private 172.31.0.0/16", "private 172.31.0.0/16");
        check(&networks, "172.32.3.4", "172.32.0.0/16", "172.32.0.0/16");
        check(&networks, "192.168.3.4", "private 192.168.0.0/16", "private 192.168.0.0/16");
        check(&networks, "100.64.3.4", "shared 100.64.0.0/16", "shared 100.64.0.0/16");
        check(&networks, "100.128.3.4", "100.128.0.0/16", "100.128.0.0/16");
        check(&networks, "169.254.169.254", "link-local 169.254.0.0/16", "link-local 169.254.0.0/16");
        check(&networks, "127.0.0.1", "loopback 127.0.0.0/16", "loopback 127.0.0.0/16");
        check(&networks, "224.0.0.251", "multicast 224.0.0.0/16", "multicast 224.0.0.0/16");
        check(&networks, "255.255.255.255", "reserved 255.255.0.0/16", "reserved 255.255.0.0/16");
        check(&networks, "0.0.0.0", "reserved 0.0.0.0/16", "reserved 0.0.0.0/16");
        check(&networks, "fd00:1:2:3::4", "private fd00:1:2::/48", "private fd00:1:2::/48");
        check(&networks, "fe80::1", "link-local fe80::/32", "link-local fe80::/32");
        check(&networks, "::1", "loopback ::/32", "loopback ::/32");
        check(&networks, "::", "reserved ::/32", "reserved ::/32");
        check(&networks, "ff02::1", "multicast ff02::/32", "multicast ff02::/32");
    }
}
