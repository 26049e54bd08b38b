//! The encodings that a page is rewritten from into plain values before anything else sees it.
//!
//! Where it sits: under `page`. Not the parquet crate's decoders, because hostile bytes make those allocate without
//! bound, which ends the process instead of the object.
//! What it does not do: it is not fast; AWS writes dictionary and plain pages.

use baselines::leb128;

use crate::read::parquet::Fault;
use crate::read::parquet::page::Physical;

pub(super) const DELTA_BINARY_PACKED: i32 = 5;
pub(super) const DELTA_LENGTH_BYTE_ARRAY: i32 = 6;
pub(super) const DELTA_BYTE_ARRAY: i32 = 7;
pub(super) const BYTE_STREAM_SPLIT: i32 = 9;

/// The largest block of deltas accepted; writers use 128 or 256 values.
const MAX_BLOCK: u64 = 1 << 16;

/// Rewrites at most `n` values as plain ones of at most `max_bytes`; `None` for an encoding that is none of these, or
/// does not go with the type.
pub(super) fn to_plain(
    encoding: i32,
    physical: Physical,
    bytes: &[u8],
    n: usize,
    max_bytes: usize,
) -> Result<Option<Vec<u8>>, Fault> {
    // Deltas that are all the same take no bytes, so their number is what bounds the memory.
    let n = n.min(max_bytes / size_of::<i64>());
    let mut plain = Vec::new();
    match (encoding, physical.width()) {
        (DELTA_BINARY_PACKED, Some(4)) => {
            // 32-bit deltas wrap around at 32 bits, which cutting off does.
            plain.extend(deltas(bytes, n)?.0.iter().flat_map(|number| (*number as i32).to_le_bytes()));
        }
        (DELTA_BINARY_PACKED, Some(8)) => {
            plain.extend(deltas(bytes, n)?.0.iter().flat_map(|number| number.to_le_bytes()));
        }
        (BYTE_STREAM_SPLIT, Some(width)) => {
            let n = bytes.len() / width;
            for at in 0..n {
                plain.extend(bytes.iter().skip(at).step_by(n.max(1)).take(width));
            }
        }
        (DELTA_LENGTH_BYTE_ARRAY, None) => {
            let (lengths, mut rest) = deltas(bytes, n)?;
            for length in lengths {
                let text = take(&mut rest, length)?;
                push(&mut plain, &[text], max_bytes)?;
            }
        }
        (DELTA_BYTE_ARRAY, None) => {
            let (prefixes, rest) = deltas(bytes, n)?;
            let (suffixes, mut rest) = deltas(rest, n)?;
            let mut before: Vec<u8> = Vec::new();
            for (prefix, suffix) in prefixes.into_iter().zip(suffixes) {
                let prefix =
                    usize::try_from(prefix).ok().filter(|prefix| *prefix <= before.len()).ok_or_else(damaged)?;
                before.truncate(prefix);
                before.extend_from_slice(take(&mut rest, suffix)?);
                push(&mut plain, &[&before], max_bytes)?;
            }
        }
        _ => return Ok(None),
    }
    Ok(Some(plain))
}

fn take<'a>(rest: &mut &'a [u8], length: i64) -> Result<&'a [u8], Fault> {
    let length = usize::try_from(length).map_err(|_| damaged())?;
    let (taken, after) = rest.split_at_checked(length).ok_or_else(damaged)?;
    *rest = after;
    Ok(taken)
}

fn push(plain: &mut Vec<u8>, parts: &[&[u8]], max_bytes: usize) -> Result<(), Fault> {
    let n: usize = parts.iter().map(|part| part.len()).sum();
    if plain.len() + 4 + n > max_bytes {
        return Err(Fault::Corrupt(format!("a page unfolds to more than {max_bytes} bytes")));
    }
    plain.extend((n as u32).to_le_bytes());
    for part in parts {
        plain.extend_from_slice(part);
    }
    Ok(())
}

/// Reads all values of `DELTA_BINARY_PACKED`, at most `n`, and gives what comes after them.
fn deltas(mut rest: &[u8], n: usize) -> Result<(Vec<i64>, &[u8]), Fault> {
    let (block, n_parts, n_values) = (varint(&mut rest)?, varint(&mut rest)?, varint(&mut rest)?);
    let first = leb128::unzigzag(varint(&mut rest)?);
    let n_values = usize::try_from(n_values).ok().filter(|n_values| *n_values <= n).ok_or_else(damaged)?;
    let per_part = block.checked_div(n_parts).filter(|per_part| *per_part > 0 && per_part % 8 == 0);
    let per_part = per_part.filter(|_| block <= MAX_BLOCK && block % n_parts == 0).ok_or_else(damaged)? as usize;
    // Grows with what is there: a page may claim more values than it has bytes for only where they take none.
    let mut values = Vec::new();
    if n_values > 0 {
        values.push(first);
    }
    let mut last = first;
    while values.len() < n_values {
        let least = leb128::unzigzag(varint(&mut rest)?);
        let widths = take(&mut rest, n_parts as i64)?;
        for width in widths {
            if values.len() == n_values {
                break;
            }
            if *width > 64 {
                return Err(damaged());
            }
            let packed = take(&mut rest, (per_part / 8 * usize::from(*width)) as i64)?;
            let n_now = per_part.min(n_values - values.len());
            for at in 0..n_now {
                last = last.wrapping_add(least).wrapping_add(unpacked(packed, usize::from(*width), at) as i64);
                values.push(last);
            }
        }
    }
    Ok((values, rest))
}

fn varint(rest: &mut &[u8]) -> Result<u64, Fault> {
    leb128::take(rest).map_err(|_| damaged())
}

/// The `at`-th of values packed into so many bits each, least significant bit first.
fn unpacked(packed: &[u8], width: usize, at: usize) -> u64 {
    if width == 0 {
        return 0;
    }
    let bit = at * width;
    let bytes = packed.iter().skip(bit / 8).take(9).enumerate();
    let window = bytes.fold(0_u128, |window, (i, byte)| window | u128::from(*byte) << (8 * i));
    (window >> (bit % 8)) as u64 & (u64::MAX >> (64 - width))
}

fn damaged() -> Fault {
    Fault::Corrupt("a page of deltas is damaged".to_owned())
}
