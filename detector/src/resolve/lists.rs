//! Lists: addresses the user calls bad or good, and which list says so.
//!
//! Where it sits: asked by the engine for each new peer, once for the threat lists and once for the trusted ones.
//! What it does not do: it does not know which of the two it holds.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::ranges::{Blocks, Ranges};
use super::unpack::unpack;
use super::{Error, Loaded};

/// Named lists of addresses and blocks.
#[derive(Debug, Default)]
pub struct Lists {
    /// In the order they were first named; `blocks` refers to them by place.
    names: Vec<Arc<str>>,
    blocks: Blocks,
    ranges: Ranges,
    /// The names as `ranges` numbers them: sorted, so that of equal blocks the first name answers.
    ranked: Vec<Arc<str>>,
}

impl Lists {
    /// Adds a file to the list `name`; a list may have several files.
    ///
    /// One address or CIDR block a line, IPv4 or IPv6. `#` and `;` start a comment, what follows the first word or
    /// comma is ignored, blank lines too; a second address is an error of the line. Host bits of a block are ignored.
    /// Plain or gzip.
    ///
    /// # Errors
    /// [`Error::EmptyList`] when no line is an address or a block.
    pub fn add(&mut self, name: &str, origin: &str, bytes: &[u8]) -> Result<Loaded, Error> {
        let bytes = unpack(origin, bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let known = self.names.iter().position(|known| &**known == name);
        let number = known.unwrap_or(self.names.len()) as u32;
        let mut loaded = Loaded::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let content = line.split(['#', ';']).next().unwrap_or("").trim();
            let mut words = content.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
            let Some(word) = words.next() else { continue };
            let next = words.next();
            // Two addresses are two entries, or a range, and a length may stand apart: taken for one address it would
            // be a list with holes.
            let is_more = next.is_some_and(|next| block(next).is_some() || next.starts_with(['/', '-']));
            match block(word) {
                Some(block) if !is_more => {
                    self.blocks.add(block, number);
                    loaded.entries += 1;
                }
                _ => loaded.reject(index, line),
            }
        }
        if loaded.entries == 0 {
            return Err(Error::EmptyList { origin: origin.to_owned(), rejected: loaded.rejected });
        }
        if known.is_none() {
            self.names.push(name.into());
        }
        self.rebuild();
        Ok(loaded)
    }

    fn rebuild(&mut self) {
        self.ranked.clone_from(&self.names);
        self.ranked.sort_unstable();
        let rank = |number: u32| {
            let name = self.names.get(number as usize);
            name.map_or(number, |name| self.ranked.partition_point(|other| other < name) as u32)
        };
        let ranks: Vec<u32> = (0..self.names.len() as u32).map(rank).collect();
        self.ranges = self.blocks.renumbered(|number| ranks.get(number as usize).copied().unwrap_or(number)).into();
    }

    /// Whether no list was added.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names of the lists, sorted.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.ranked.iter()
    }

    /// The list an address is on: the one with the narrowest block around it, and of several the first by name.
    pub fn listed(&self, address: Ipv6Addr) -> Option<&Arc<str>> {
        self.ranked.get(self.ranges.get(address)? as usize)
    }
}

fn block(word: &str) -> Option<IpNet> {
    match word.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical().into()),
        Err(_) => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ip, shared_data};
    use super::super::unpack::gzip;
    use super::*;

    fn check(lists: &Lists, address: &str, expected: Option<&str>) {
        assert_eq!(lists.listed(ip(address)).map(|name| &**name), expected, "{address}");
    }

    #[test]
    fn a_line_of_two_addresses_is_left_out_and_counted() {
        let mut lists = Lists::default();
        let text = "192.0.2.1\n203.0.113.70 203.0.113.90\n198.51.100.0/24,198.51.101.0/24\n203.0.113.0 /24\n\
                    203.0.113.70 - 203.0.113.90\n";
        let loaded = lists.add("bad", "f", text.as_bytes()).unwrap();
        assert_eq!((loaded.entries, loaded.rejected), (1, 4));
        check(&lists, "203.0.113.70", None);
    }

    #[test]
    fn every_written_form_of_a_line_is_read() {
        let text = "\u{feff}# header\r\n192.0.2.1\r\n\r\n192.0.2.16/28 ; comment\n  198.51.100.7\t12\n; note\n2001:db8::1 # x\n\
                    2001:db8:1::/48\n203.0.113.9,seen,3\n203.0.113.77/25\n::ffff:192.0.2.200\n\
                    64:ff9b::c612:1\n::ffff:198.18.7.0/120\n";
        for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
            let mut lists = Lists::default();
            let loaded = lists.add("bad", "f", &bytes).unwrap();
            assert_eq!((loaded.entries, loaded.rejected), (10, 0), "{loaded:?}");
            for address in [
                "192.0.2.1",
                "192.0.2.31",
                "198.51.100.7",
                "2001:db8::1",
                "2001:db8:1:2::3",
                "203.0.113.1",
                "192.0.2.200",
                "198.18.0.1",
                "64:ff9b::c612:1",
                "198.18.7.9",
            ] {
                check(&lists, address, Some("bad"));
            }
            for address in ["192.0.2.2", "192.0.2.32", "203.0.113.128", "2001:db8::2", "198.18.8.0"] {
                check(&lists, address, None);
            }
        }
    }

    #[test]
    fn lines_that_are_no_address_are_counted() {
        let mut lists = Lists::default();
        let loaded = lists.add("bad", "f", b"# x\n192.0.2.1\nexample.com\n192.0.2.300\n192.0.2.0/33\n").unwrap();
        assert_eq!((loaded.entries, loaded.rejected), (1, 3));
        assert_eq!(loaded.first_reject, Some((3, "example.com".to_owned())));
        assert!(matches!(lists.add("web", "f", b"<html>\n"), Err(Error::EmptyList { rejected: 1, .. })));
        assert!(matches!(lists.add("none", "f", b"# nothing\n"), Err(Error::EmptyList { rejected: 0, .. })));
        assert_eq!(lists.names().count(), 1);
    }

    #[test]
    fn narrowest_block_then_first_name_answers_in_any_order() {
        let files = [
            ("c", "10.0.0.0/8\n"),
            ("a", "10.1.0.0/16\n"),
            ("b", "10.1.0.0/16\n"),
            ("z", "10.1.2.3\n"),
            ("a", "10.2.0.1\n"),
        ];
        for rotation in 0..files.len() {
            let mut lists = Lists::default();
            let mut files = files;
            files.rotate_left(rotation);
            for (name, text) in files {
                lists.add(name, "f", text.as_bytes()).unwrap();
            }
            check(&lists, "10.9.9.9", Some("c"));
            check(&lists, "10.1.9.9", Some("a"));
            check(&lists, "10.1.2.3", Some("z"));
            check(&lists, "10.2.0.1", Some("a"));
            check(&lists, "11.0.0.0", None);
        }
    }

    #[test]
    fn published_lists_are_read_whole() {
        let mut lists = Lists::default();
        for (name, path, n_entries) in [
            ("ipsum", "ipsum-threat-list/ipsum.txt.gz", 120_000..121_000),
            ("ipsum-3", "ipsum-threat-list/levels/3.txt", 14_217..14_218),
            ("tor-exit", "tor-ip-lists/tor-exit-nodes.lst", 1_740..1_747),
            ("tor", "tor-ip-lists/tor-nodes.lst", 8_040..8_055),
        ] {
            let Some(bytes) = shared_data(path) else { return };
            let loaded = lists.add(name, path, &bytes).unwrap();
            assert!(n_entries.contains(&(loaded.entries as i32)) && loaded.rejected == 0, "{path}: {loaded:?}");
        }
        check(&lists, "77.90.185.20", Some("ipsum"));
        check(&lists, "1.1.168.51", Some("tor"));
        check(&lists, "10.0.0.1", None);
    }
}
