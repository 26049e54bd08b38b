//! What a field's values may be, whatever format they come in.
//!
//! Where it sits: the lowest part of `read`; text tokens, Parquet numbers and Parquet strings all pass through here, so
//! both formats accept and reject the same values for the same reasons.
//! What it does not do: it sees one value at a time; what concerns two fields (`end` before `start`) is
//! where rows are put together, in `text` and `parquet`.

use std::net::Ipv6Addr;

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
fn ipv4(text: &[u8]) -> Option<u32> {
    let (mut address, mut part, mut n_digits, mut n_dots) = (0_u32, 0_u32, 0_u32, 0_u32);
    for byte in text {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit <= 9 {
            if n_digits == 3 || (n_digits > 0 && part == 0) {
                return None;
            }
            part = part * 10 + digit;
            n_digits += 1;
        } else if *byte == b'.' && n_digits > 0 && part <= 255 && n_dots < 3 {
            address = address << 8 | part;
            (part, n_digits) = (0, 0);
            n_dots += 1;
        } else {
            return None;
        }
    }
    (n_dots == 3 && n_digits > 0 && part <= 255).then_some(address << 8 | part)
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
    use super::*;

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
