//! Resolvers: the addresses of well-known public DNS resolvers.
//!
//! Where it sits: asked by the engine for each new peer. A resolver answers plain DNS, DNS over TLS and DNS over HTTPS
//! at the same address, so the table has no ports; HTTPS to one of these is a lookup even though the port says nothing.
//! What it does not do: it is not a list of all resolvers. It holds those that libraries, tools and known malware use
//! by default; a user's own threat or trusted list says the rest.
//!
//! Checked against "Known DNS Providers" of 2026-07-21 (<https://adguard-dns.io/kb/general/dns-providers/>) and the
//! resolved addresses of DNS-over-HTTPS hosts of 2026-08-22 (<https://github.com/dibdot/DoH-IP-blocklists>); the
//! operator's own page stands beside each.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use super::ranges::{Blocks, Ranges};

/// Operator and its addresses. A block is given where the operator hands out addresses of it one by one (`NextDNS`,
/// Control D: one for each customer profile) or uses it for nothing else.
const RESOLVERS: &[(&str, &[&str])] = &[
    // https://developers.google.com/speed/public-dns/docs/using; ::64 and ::6464 are its DNS64.
    (
        "Google Public DNS",
        &[
            "8.8.8.8/32",
            "8.8.4.4/32",
            "2001:4860:4860::8888/128",
            "2001:4860:4860::8844/128",
            "2001:4860:4860::64/128",
            "2001:4860:4860::6464/128",
        ],
    ),
    // https://developers.cloudflare.com/1.1.1.1/ip-addresses/; then the hosts that browsers use: cloudflare-dns.com,
    // chrome., mozilla., opera., odoh. and dooh.cloudflare-dns.com, dns.cloudflare.com.
    (
        "Cloudflare DNS",
        &[
            "1.1.1.1/32",
            "1.1.1.2/31",
            "1.0.0.1/32",
            "1.0.0.2/31",
            "2606:4700:4700::/48",
            "104.16.248.249/32",
            "104.16.249.249/32",
            "2606:4700::6810:f8f9/128",
            "2606:4700::6810:f9f9/128",
            "162.159.61.0/24",
            "162.159.62.0/24",
            "172.64.41.0/24",
            "172.64.42.0/24",
            "2803:f800:53::/48",
            "2803:f800:54::/48",
            "2a06:98c1:52::/48",
            "2a06:98c1:53::/48",
        ],
    ),
    // <account>.cloudflare-gateway.com.
    ("Cloudflare Gateway", &["162.159.36.0/24", "2606:4700:54::/48", "2606:4700:5c::/48"]),
    // https://www.quad9.net/service/service-addresses-and-features/
    ("Quad9", &["9.9.9.9/32", "9.9.9.10/31", "9.9.9.12/31", "149.112.112.0/24", "149.112.149.112/32", "2620:fe::/48"]),
    // https://www.opendns.com/setupguide/ and doh.opendns.com, doh.umbrella.com.
    (
        "OpenDNS",
        &[
            "208.67.222.0/24",
            "208.67.220.0/24",
            "146.112.41.0/24",
            "2620:119:35::/48",
            "2620:119:53::/48",
            "2620:119:fc::/48",
            "2620:0:ccc::/48",
            "2620:0:ccd::/48",
        ],
    ),
    // https://adguard-dns.io/en/public-dns.html; personal servers have addresses of the same blocks, and the last two
    // are its addresses before 2021, which old clients still carry.
    ("AdGuard DNS", &["94.140.14.0/24", "94.140.15.0/24", "2a10:50c0::/48", "176.103.130.128/29"]),
    // https://nextdns.io; a profile has an address of each of these blocks.
    ("NextDNS", &["45.90.28.0/24", "45.90.30.0/24", "2a07:a8c0::/48", "2a07:a8c1::/48"]),
    // https://cleanbrowsing.org/filters/
    ("CleanBrowsing", &["185.228.168.0/24", "185.228.169.0/24", "2a0d:2a00:1::/48", "2a0d:2a00:2::/48"]),
    // https://controld.com/free-dns
    ("Control D", &["76.76.2.0/24", "76.76.10.0/24", "2606:1a40::/48", "2606:1a40:1::/48"]),
    // https://mullvad.net/en/help/dns-over-https-and-dns-over-tls
    ("Mullvad DNS", &["194.242.2.0/24", "2a07:e340::/48"]),
    // https://dns.sb
    ("DNS.SB", &["185.222.222.222/32", "45.11.45.11/32", "2a09::/128", "2a11::/128"]),
    // https://dns.yandex.com
    (
        "Yandex DNS",
        &[
            "77.88.8.1/32",
            "77.88.8.2/31",
            "77.88.8.7/32",
            "77.88.8.8/32",
            "77.88.8.88/32",
            "2a02:6b8::feed:ff/128",
            "2a02:6b8::feed:bad/128",
            "2a02:6b8::feed:a11/128",
            "2a02:6b8:0:1::feed:ff/128",
            "2a02:6b8:0:1::feed:bad/128",
            "2a02:6b8:0:1::feed:a11/128",
        ],
    ),
    // https://alidns.com
    ("AliDNS", &["223.5.5.5/32", "223.6.6.6/32", "2400:3200::1/128", "2400:3200:baba::1/128"]),
    // https://www.dnspod.cn/products/publicdns, dns.pub, doh.pub.
    ("DNSPod", &["119.29.29.29/32", "1.12.12.12/32", "120.53.53.53/32", "2402:4e00::/128"]),
    // https://www.114dns.com
    (
        "114DNS",
        &[
            "114.114.114.114/32",
            "114.114.115.115/32",
            "114.114.114.119/32",
            "114.114.115.119/32",
            "114.114.114.110/32",
            "114.114.115.110/32",
        ],
    ),
    // https://sdns.360.net, doh.360.cn.
    (
        "360 Secure DNS",
        &[
            "101.226.4.6/32",
            "218.30.118.6/32",
            "123.125.81.6/32",
            "140.207.198.6/32",
            "101.198.192.33/32",
            "101.198.193.29/32",
        ],
    ),
    // https://www.joindns4.eu/for-public
    ("DNS4EU", &["86.54.11.0/24", "2a13:1001::86:54:11:0/112"]),
    // https://meta.wikimedia.org/wiki/Wikimedia_DNS
    ("Wikimedia DNS", &["185.71.138.138/32", "2001:67c:930::1/128"]),
    // https://dns.he.net
    ("Hurricane Electric", &["74.82.42.42/32", "2001:470:20::2/128"]),
    // https://www.comodo.com/secure-dns/
    ("Comodo Secure DNS", &["8.26.56.26/32", "8.20.247.20/32"]),
    // https://vercara.digicert.com/ultra-dns-public, formerly Neustar and Verisign.
    (
        "UltraDNS Public",
        &[
            "156.154.70.1/32",
            "156.154.70.2/31",
            "156.154.70.4/31",
            "156.154.71.1/32",
            "156.154.71.2/31",
            "156.154.71.4/31",
            "64.6.64.6/32",
            "64.6.65.6/32",
            "2610:a1:1018::/48",
            "2610:a1:1019::/48",
            "2620:74:1b::1:1/128",
            "2620:74:1c::2:2/128",
        ],
    ),
    // https://www.dns.watch
    (
        "DNS.WATCH",
        &["84.200.69.80/32", "84.200.70.40/32", "2001:1608:10:25::1c04:b12f/128", "2001:1608:10:25::9249:d69b/128"],
    ),
    // Level 3's, unofficial and in countless tools since the nineties.
    ("Level 3", &["4.2.2.1/32", "4.2.2.2/31", "4.2.2.4/31", "4.2.2.6/32", "209.244.0.3/32", "209.244.0.4/32"]),
    // https://www.cira.ca/en/canadian-shield/
    (
        "CIRA Canadian Shield",
        &[
            "149.112.121.10/32",
            "149.112.122.10/32",
            "149.112.121.20/32",
            "149.112.122.20/32",
            "149.112.121.30/32",
            "149.112.122.30/32",
            "2620:10a:80bb::/48",
            "2620:10a:80bc::/48",
        ],
    ),
    // https://www.nic.cz/odvr/
    ("CZ.NIC ODVR", &["193.17.47.1/32", "185.43.135.1/32", "2001:148f:ffff::1/128", "2001:148f:fffe::1/128"]),
    // https://101.101.101.101
    ("Quad101", &["101.101.101.101/32", "101.102.103.104/32", "2001:de4::101/128", "2001:de4::102/128"]),
];

static TABLE: LazyLock<Ranges> = LazyLock::new(|| {
    let mut blocks = Blocks::default();
    for (number, (_, addresses)) in (0..).zip(RESOLVERS) {
        for block in addresses.iter().filter_map(|block| block.parse().ok()) {
            blocks.add(block, number);
        }
    }
    blocks.into()
});

/// The operator of the public resolver at an address.
///
/// # Example
/// ```
/// let address = std::net::Ipv4Addr::new(8, 8, 8, 8).to_ipv6_mapped();
/// assert_eq!(detector::resolve::public_resolver(address), Some("Google Public DNS"));
/// ```
pub fn public_resolver(address: Ipv6Addr) -> Option<&'static str> {
    RESOLVERS.get(TABLE.get(address)? as usize).map(|(operator, _)| *operator)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ipnet::IpNet;

    use super::super::testing::ip;
    use super::*;

    #[test]
    fn every_block_of_the_table_is_written_right_and_once() {
        let mut seen = HashSet::new();
        for (operator, blocks) in RESOLVERS {
            for text in *blocks {
                let block: IpNet = text.parse().unwrap_or_else(|error| panic!("{operator} {text}: {error}"));
                assert_eq!(block, block.trunc(), "{operator} {text}");
                assert_eq!(block.to_string(), *text, "{operator}");
                assert!(seen.insert(block), "{operator} {text} twice");
                let length = if block.addr().is_ipv4() { 24 } else { 48 };
                assert!(block.prefix_len() >= length, "{operator} {text} is wider than a resolver");
            }
        }
    }

    #[test]
    fn resolvers_are_named_and_their_neighbours_are_not() {
        for (address, expected) in [
            ("8.8.8.8", Some("Google Public DNS")),
            ("8.8.8.9", None),
            ("1.0.0.1", Some("Cloudflare DNS")),
            ("1.1.1.3", Some("Cloudflare DNS")),
            ("1.1.1.4", None),
            ("104.16.248.249", Some("Cloudflare DNS")),
            ("104.16.248.250", None),
            ("9.9.9.11", Some("Quad9")),
            ("208.67.222.222", Some("OpenDNS")),
            ("94.140.15.15", Some("AdGuard DNS")),
            ("45.90.28.131", Some("NextDNS")),
            ("185.228.168.10", Some("CleanBrowsing")),
            ("76.76.10.11", Some("Control D")),
            ("194.242.2.3", Some("Mullvad DNS")),
            ("45.11.45.11", Some("DNS.SB")),
            ("77.88.8.88", Some("Yandex DNS")),
            ("223.6.6.6", Some("AliDNS")),
            ("120.53.53.53", Some("DNSPod")),
            ("114.114.115.115", Some("114DNS")),
            ("2001:4860:4860::8844", Some("Google Public DNS")),
            ("2606:4700:4700::1111", Some("Cloudflare DNS")),
            ("2620:fe::fe", Some("Quad9")),
            ("2a11::", Some("DNS.SB")),
            ("2a11::1", None),
            ("64:ff9b::8.8.8.8", Some("Google Public DNS")),
            // The VPC's own resolver and the metadata service are nobody's.
            ("10.0.0.2", None),
            ("169.254.169.253", None),
        ] {
            assert_eq!(public_resolver(ip(address)), expected, "{address}");
        }
    }
}
