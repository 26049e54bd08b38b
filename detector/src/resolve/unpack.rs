//! Unpack: a knowledge file as it lay on disk, without its gzip.
//!
//! Where it sits: in front of every loader of `resolve`.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::Error;

/// Most bytes a knowledge file may unpack to; the largest known (a full network-owner database) has about 100 MB.
const MAX_UNPACKED_BYTES: u64 = 512 << 20;

/// The bytes themselves, or what their gzip holds.
pub(super) fn unpack<'a>(origin: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Error> {
    unpack_at_most(origin, bytes, MAX_UNPACKED_BYTES)
}

/// Text without the byte-order mark that some editors and shells put before it.
pub(super) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

fn unpack_at_most<'a>(origin: &str, bytes: &'a [u8], limit_bytes: u64) -> Result<Cow<'a, [u8]>, Error> {
    let unpacked = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(bytes)
            .take(limit_bytes + 1)
            .read_to_end(&mut unpacked)
            .map_err(|source| Error::Gzip { origin: origin.to_owned(), source })?;
        if unpacked.len() as u64 > limit_bytes {
            return Err(Error::TooLarge { origin: origin.to_owned(), limit_bytes });
        }
        Cow::Owned(unpacked)
    } else {
        Cow::Borrowed(bytes)
    };
    // Databases are handed out as `.tar.gz`; the database inside must not be read at the archive's offsets.
    if unpacked.get(257..262) == Some(b"ustar") {
        return Err(Error::Archive { origin: origin.to_owned() });
    }
    if unpacked.starts_with(b"\xff\xfe") || unpacked.starts_with(b"\xfe\xff") {
        return Err(Error::Utf16 { origin: origin.to_owned() });
    }
    Ok(unpacked)
}

#[cfg(test)]
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_gzip_are_the_same() {
        assert_eq!(unpack("f", b"plain").unwrap().as_ref(), b"plain");
        assert_eq!(unpack("f", &gzip(b"plain")).unwrap().as_ref(), b"plain");
        assert_eq!(unpack("f", &[gzip(b"two "), gzip(b"members")].concat()).unwrap().as_ref(), b"two members");
        assert_eq!(unpack("f", b"").unwrap().as_ref(), b"");
    }

    #[test]
    fn damage_excess_and_archives_are_refused() {
        let packed = gzip(&[7; 1000]);
        assert!(matches!(unpack("f", &packed[..packed.len() - 4]), Err(Error::Gzip { .. })));
        assert!(matches!(unpack_at_most("f", &packed, 999), Err(Error::TooLarge { limit_bytes: 999, .. })));
        assert!(unpack_at_most("f", &packed, 1000).is_ok());
        let mut archive = vec![0; 1024];
        archive[257..262].copy_from_slice(b"ustar");
        assert!(matches!(unpack("f", &archive), Err(Error::Archive { .. })));
    }

    #[test]
    fn what_a_windows_shell_wrote_is_named() {
        let text: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(matches!(unpack("f", &text), Err(Error::Utf16 { .. })));
        assert!(matches!(unpack("f", &gzip(&text)), Err(Error::Utf16 { .. })));
    }
}
