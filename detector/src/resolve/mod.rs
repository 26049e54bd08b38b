//! Resolve: who owns an interface at a time, and whose network an address is in.
//!
//! Where it sits: takes the strings and addresses that `read` found in flow records, gives owners and networks to
//! `rollup` and `score`. The engine asks once for each distinct interface and address, never for each row.
//! What it does not do: it opens no file and asks no service; knowledge comes as the bytes of files, and what is in
//! none of them is `Unknown`, never guessed.
//!
//! | knowledge | loaded by | answers |
//! |---|---|---|
//! | interfaces and functions of an account | [`Inventory`] | interface and time → [`Attribution`]; function → [`Deployment`]s |
//! | databases of autonomous systems, AWS's ranges | [`Networks`] | address → [`Network`] |
//! | threat and trusted lists | [`Lists`] | address → name of the list |
//! | public resolvers (built in) | [`public_resolver`] | address → operator |
//!
//! Addresses are `Ipv6Addr` throughout; IPv4 is mapped (`::ffff:a.b.c.d`), and an address reached through NAT64
//! (`64:ff9b::/96`) is the IPv4 address behind it.

mod asn;
mod aws_ranges;
mod enis;
mod error;
mod functions;
mod inventory;
mod lists;
mod networks;
mod ranges;
mod resolvers;
mod unpack;

pub use aws_ranges::AwsBlock;
pub use enis::{Attribution, Counts, Inventory, Span};
pub use error::Error;
pub use functions::{Deployment, Function};
pub use lists::Lists;
pub use networks::{Kind, Network, Networks, Owner};
pub use resolvers::public_resolver;

/// What was taken from a file of lines (or networks), and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Lines or networks taken.
    pub entries: u64,
    /// Lines that are neither an entry nor a comment.
    pub rejected: u64,
    /// The first of those: its line number, from 1, and its beginning.
    pub first_reject: Option<(u64, String)>,
}

impl Loaded {
    /// Most characters of a rejected line that are kept: it is an example for a message, not data.
    const EXAMPLE_CHARS: usize = 80;

    fn reject(&mut self, index: usize, line: &str) {
        self.rejected += 1;
        if self.first_reject.is_none() {
            self.first_reject = Some((index as u64 + 1, line.chars().take(Self::EXAMPLE_CHARS).collect()));
        }
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_a_loader_panic(
            start in prop::sample::select(vec![&b""[..], b"{\"NetworkInterfaces\":[{", b"1.0.0.0\t", b"\x1f\x8b\x08"]),
            bytes: Vec<u8>,
        ) {
            let bytes = [start, &bytes].concat();
            let _outcomes = (
                Inventory::default().add_enis("f", &bytes),
                Inventory::default().add_functions("f", &bytes),
                Networks::default().add_asn("f", &bytes),
                Networks::default().add_aws_ranges("f", &bytes),
                Lists::default().add("list", "f", &bytes),
            );
        }
    }
}
