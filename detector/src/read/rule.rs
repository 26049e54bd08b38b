//! What a field's values may be, whatever format they come in.
//!
//! Where it sits: the lowest part of `read`; text tokens, Parquet numbers and Parquet strings all pass through here, so
//! both formats accept and reject the same values for the same reasons.
//! What it does not do: it sees one value at a time; what concerns two fields (`end` before `start`) is
//! where rows are put together, in `text` and `parquet`.

use std::net::Ipv6Addr;

use wide::u8x16;

use crate::flow::{ACCEPT, ADDRESS_BYTES, EGRESS, Field, INGRESS, REJECT};
use crate::read::Reason;

/// The last second of the year 9999: later "seconds" are milliseconds by mistake.
const MAX_TIME: u64 = 253_402_300_799;

/// How a missing value is spelled.
pub(super) const MISSING: &str = "-";

/// The longest capture window accepted: AWS's are ten minutes at the most. One of years would make a function look old.
pub(super) const MAX_WINDOW_SECS: u64 = 86_400;

/// The longest id or name accepted, in bytes; AWS's longest here, a service's name, have some 30.
pub(super) const MAX_TEXT_BYTES: usize = 255;

/// `log-status` of a record of traffic.
pub(super) const OK: u8 = 0;
/// `log-status` of a record that says there was no traffic.
pub(super) const NODATA: u8 = 1;
/// `log-status` of a record that says records were lost.
pub(super) const SKIPDATA: u8 = 2;

/// Words that stand for numbers in some fields.
type Words = &'static [(&'static str, u8)];

/// What the values of a numeric column may be. Every one of them fits `u64`: times before 1970 are rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The largest number.
    pub(super) max: u64,
    /// What a missing value means; `None` where it must not be missing.
    missing: Option<u64>,
    /// Why other values are rejected.
    pub(super) reason: Reason,
    /// The words, for a field that has words instead of numbers.
    words: Option<Words>,
}

impl Rule {
    /// The rule of `log-status`.
    pub(super) const STATUS: Self = Self {
        max: 0,
        missing: None,
        reason: Reason::BadStatus,
        words: Some(&[("OK", OK), ("NODATA", NODATA), ("SKIPDATA", SKIPDATA)]),
    };

    /// The rule of a numeric field; `None` for addresses and text.
    pub(super) fn of(field: Field) -> Option<Self> {
        let number = |max, reason| Self { max, missing: None, reason, words: None };
        Some(match field {
            Field::SrcPort | Field::DstPort => number(0xffff, Reason::BadPort),
            Field::Protocol => number(0xff, Reason::BadProtocol),
            Field::Packets => number(u64::MAX, Reason::BadNumber),
            // Records of VPC Block Public Access come without bytes: AWS "Flow log limitations".
            Field::Bytes => Self { missing: Some(0), ..number(u64::MAX, Reason::BadNumber) },
            Field::Start | Field::End => number(MAX_TIME, Reason::BadTime),
            Field::TcpFlags => Self { missing: Some(0), ..number(0xff, Reason::BadNumber) },
            Field::Action => {
                Self { words: Some(&[("ACCEPT", ACCEPT), ("REJECT", REJECT)]), ..number(0, Reason::BadAction) }
            }
            Field::Direction => Self {
                missing: Some(0),
                words: Some(&[("ingress", INGRESS), ("egress", EGRESS)]),
                ..number(0, Reason::BadDirection)
            },
            Field::Interface
            | Field::Src
            | Field::Dst
            | Field::PktSrc
            | Field::PktDst
            | Field::AwsService
            | Field::Account
            | Field::Region
            | Field::Vpc => return None,
        })
    }

    /// Whether the field has words instead of numbers.
    pub(super) fn has_words(self) -> bool {
        self.words.is_some()
    }

    /// The words of such a field, and what each stands for.
    pub(super) fn spellings(self) -> impl Iterator<Item = (&'static str, u8)> {
        let missing = self.missing.map(|missing| (MISSING, missing as u8));
        self.words.into_iter().flatten().copied().chain(missing)
    }

    /// A number as it came.
    pub(super) fn number(self, number: u64) -> Result<u64, Reason> {
        if number <= self.max && self.words.is_none() { Ok(number) } else { Err(self.reason) }
    }

    /// The rule for signed numbers whose bits come as unsigned ones: negative ones are too large.
    pub(super) fn for_signed(self) -> Self {
        Self { max: self.max.min(i64::MAX as u64), ..self }
    }

    /// A number of single precision.
    pub(super) fn single(self, number: f32) -> Result<u64, Reason> {
        /// 2^24: up to here every integer has its own `f32`; beyond, the number is not the one that was written.
        const EXACT: f32 = 16_777_216.0;
        if number > EXACT { Err(self.reason) } else { self.double(number.into()) }
    }

    /// A floating-point number, as pandas writes integer columns with missing values.
    pub(super) fn double(self, number: f64) -> Result<u64, Reason> {
        /// 2^53: up to here every integer has its own `f64`.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.is_nan() {
            return self.missing();
        }
        if !(0.0..=EXACT).contains(&number) || number.fract() > 0.0 {
            return Err(self.reason);
        }
        self.number(number as u64)
    }

    /// A value as text.
    pub(super) fn text(self, text: &[u8]) -> Result<u64, Reason> {
        if is_missing(text) {
            return self.missing();
        }
        let Some(words) = self.words else {
            return digits(text).ok_or(self.reason).and_then(|number| self.number(number));
        };
        let word = words.iter().find(|(word, _)| word.as_bytes() == text);
        word.map(|(_, number)| u64::from(*number)).ok_or(self.reason)
    }

    /// What stands for a missing value.
    pub(super) fn missing(self) -> Result<u64, Reason> {
        self.missing.ok_or(self.reason)
    }
}

/// Whether text stands for a missing value: AWS writes `-`, pandas `None`.
pub(super) fn is_missing(text: &[u8]) -> bool {
    matches!(text, b"-" | b"" | b"None")
}

/// Whether text is fit to be an id or a name: printable ASCII, so that no terminal or message is harmed by it.
pub(super) fn is_text(text: &[u8]) -> bool {
    text.len() <= MAX_TEXT_BYTES && text.iter().all(|byte| (0x20..0x7f).contains(byte))
}

/// A whole number in decimal digits.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// An address, IPv4 or IPv6, in IPv6 form.
pub(super) fn address(text: &[u8]) -> Option<[u8; ADDRESS_BYTES]> {
    if let Some(v4) = ipv4(text) {
        return Some(mapped(v4));
    }
    // Longer text is no address; the standard parser would say so too, after checking all of it as UTF-8.
    if text.len() > 45 {
        return None;
    }
    let v6: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(v6.octets())
}

/// An IPv4 address in IPv6 form, `::ffff:a.b.c.d`.
pub(super) fn mapped(v4: u32) -> [u8; ADDRESS_BYTES] {
    (0xffff_0000_0000 | u128::from(v4)).to_be_bytes()
}

/// An IPv4 address in dotted decimal without leading zeros (which other programs read as octal).
///
/// Where its dots are, nobody can predict: so all bytes are compared at once, and only whether it is one is asked, at
/// the end.
fn ipv4(text: &[u8]) -> Option<u32> {
    const MAX_DIGITS: usize = 3;
    /// The least number of so many digits: what is less begins with a zero.
    const LEAST: [u32; MAX_DIGITS + 1] = [0, 0, 10, 100];
    /// Bytes before the text, so that four that end in a number can be read wherever it lies.
    const BEFORE: usize = 4;
    let bytes = short(text)?.to_le_bytes();
    let mut room = [0; BEFORE + 16];
    *room.last_chunk_mut()? = bytes;
    // Of each number the byte behind it; behind the last one the text ends.
    let dots = u8x16::new(bytes).simd_eq(u8x16::splat(b'.')).to_bitmask();
    let mut ends = dots | 1 << text.len();
    let (mut address, mut start, mut end, mut other, mut is_address) = (0, 0, 0, 0, true);
    for _ in 0..4 {
        end = ends.trailing_zeros() as usize;
        ends &= ends.wrapping_sub(1);
        let n_digits = end.wrapping_sub(start);
        start = end + 1;
        // Its digits as bytes, the last one highest, and nothing before the first.
        let before = 8 * (4_u32.wrapping_sub(n_digits as u32) % 4);
        let four = room.get(end % 16..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_le_bytes(*four));
        let digits = (four ^ 0x3030_3030) >> before << before;
        other |= ((digits & 0x7f7f_7f7f) + 0x7676_7676) | digits;
        let [_, hundreds, tens, ones] = digits.to_le_bytes().map(u32::from);
        let number = 100 * hundreds + 10 * tens + ones;
        let least = LEAST.get(n_digits % LEAST.len()).copied().unwrap_or(0);
        is_address &= n_digits.wrapping_sub(1) < MAX_DIGITS && (least..=255).contains(&number);
        address = address << 8 | number;
    }
    (is_address && end == text.len() && other & 0x8080_8080 == 0).then_some(address)
}

/// Text of the length of an IPv4 address as one number, the first byte lowest.
fn short(text: &[u8]) -> Option<u128> {
    let behind = |n: usize| 8 * (text.len() - n);
    match text.len() {
        7 => {
            let (first, last) = (text.first_chunk()?, text.last_chunk()?);
            Some(u128::from(u32::from_le_bytes(*first)) | u128::from(u32::from_le_bytes(*last)) << behind(4))
        }
        8..=15 => {
            let (first, last) = (text.first_chunk()?, text.last_chunk()?);
            Some(u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << behind(8))
        }
        _ => None,
    }
}

/// Whether a capture window ends before it starts, or lasts longer than [`MAX_WINDOW_SECS`]: one comparison, which
/// vectorises.
pub(super) fn is_odd_window(start: i64, end: i64) -> bool {
    end.wrapping_sub(start).cast_unsigned() > MAX_WINDOW_SECS
}

/// Why a record with such a capture window is rejected; `None` for a good one.
pub(super) fn odd_window(start: i64, end: i64) -> Option<Reason> {
    is_odd_window(start, end).then_some(if end < start { Reason::EndBeforeStart } else { Reason::BadTime })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use proptest::prelude::*;

    fn check_address(text: &str, expected: Option<&str>) {
        let expected: Option<Ipv6Addr> = expected.map(|text| text.parse().unwrap());
        assert_eq!(address(text.as_bytes()), expected.map(|address| address.octets()), "{text}");
    }

    #[test]
    fn addresses() {
        check_address("10.0.0.1", Some("::ffff:10.0.0.1"));
        check_address("255.255.255.255", Some("::ffff:255.255.255.255"));
        check_address("0.0.0.0", Some("::ffff:0.0.0.0"));
        check_address("::ffff:10.0.0.1", Some("::ffff:10.0.0.1"));
        check_address("2001:db8::1", Some("2001:db8::1"));
        check_address("::", Some("::"));
        for bad in [
            "",
            "-",
            "1",
            "1.2.3",
            "1.2.3.",
            ".1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "01.2.3.4",
            "1.2.3.0004",
            "1..2.3",
            "1.2.3.4 ",
            "fe80::1%eth0",
            "12345::",
            ":::",
            "١.2.3.4",
        ] {
            check_address(bad, None);
        }
    }

    proptest! {
        /// Both parsers agree on what is nearly an IPv4 address.
        #[test]
        fn an_ipv4_address_is_what_the_standard_library_takes_for_one(text in "[0-9]{0,4}([.][0-9]{0,3}){2,4}|[0-9./:a]{5,17}") {
            let expected = text.parse::<Ipv4Addr>().ok().map(u32::from);
            prop_assert_eq!(ipv4(text.as_bytes()), expected);
        }

        #[test]
        fn every_ipv4_address_is_read(address in any::<u32>()) {
            prop_assert_eq!(ipv4(Ipv4Addr::from(address).to_string().as_bytes()), Some(address));
        }
    }

    #[test]
    fn numbers() {
        let port = Rule::of(Field::SrcPort).unwrap();
        assert_eq!(port.text(b"65535"), Ok(65535));
        for bad in
            ["65536", "-1", "+1", " 1", "1 ", "1.0", "-", "", "18446744073709551616", "99999999999999999999999999"]
        {
            assert_eq!(port.text(bad.as_bytes()), Err(Reason::BadPort), "{bad}");
        }
        assert_eq!(port.number(u64::MAX), Err(Reason::BadPort));
        assert_eq!(port.double(443.0), Ok(443));
        assert_eq!([443.0, 1.7e9].map(|number| port.single(number)), [Ok(443), Err(Reason::BadPort)]);
        for bad in [443.5, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(port.double(bad), Err(Reason::BadPort), "{bad}");
        }
        let bytes = Rule::of(Field::Bytes).unwrap();
        assert_eq!(bytes.text(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(bytes.text(b"-"), Ok(0));
        let start = Rule::of(Field::Start).unwrap();
        assert_eq!(start.text(b"1742570089000"), Err(Reason::BadTime));
    }

    #[test]
    fn words() {
        let action = Rule::of(Field::Action).unwrap();
        assert_eq!(action.text(b"REJECT"), Ok(1));
        assert_eq!(action.text(b"-"), Err(Reason::BadAction));
        assert_eq!(action.number(0), Err(Reason::BadAction));
        assert_eq!(Rule::STATUS.text(b"SKIPDATA"), Ok(2));
        assert_eq!(Rule::STATUS.text(b"ok"), Err(Reason::BadStatus));
        assert_eq!(Rule::of(Field::Direction).unwrap().text(b"-"), Ok(0));
    }
}
