//! The footer, looked at before the library decodes it: that every list in it is there, and that its schema is no trap.
//!
//! Where it sits: between the bytes of the footer and `parquet`, which reserves what lists claim and goes down into
//! nested columns as deep as they nest. A stack that overflows or memory that is not there ends the process; nothing
//! can catch it.
//! What it does not do: it says nothing of whether the footer is right.

use baselines::thrift::{I32, LIST, STRUCT, Stop, Thrift};

use super::Fault;

/// How deep columns may nest. A flow log's do not.
const MAX_NESTING: usize = 32;

/// How many columns and groups a schema may have. A flow log has some forty.
const MAX_ELEMENTS: u64 = 4096;

/// How many column chunks an object may have, columns times row groups: the library keeps a kilobyte of each. A
/// thousand row groups of sixty columns have fewer.
const MAX_CHUNKS: u64 = 1 << 16;

/// Fields of `FileMetaData` and `SchemaElement` in parquet-format's `parquet.thrift`.
const SCHEMA: u8 = 2;
const ROW_GROUPS: u8 = 4;
const N_CHILDREN: u8 = 5;

/// Refuses a footer that the library must not see.
pub(super) fn check(bytes: &[u8]) -> Result<(), Fault> {
    let mut trap = None;
    let mut n_columns = 0;
    let walked = Thrift { left: bytes }.fields(|thrift, id, wire| {
        match (id, wire) {
            (SCHEMA, LIST) => {
                n_columns = Thrift { left: thrift.left }.list()?.0;
                trap = nesting(thrift)?.err();
            }
            (ROW_GROUPS, LIST) => {
                let (n_groups, _) = Thrift { left: thrift.left }.list()?;
                if n_groups.saturating_mul(n_columns) > MAX_CHUNKS {
                    trap = Some(format!(
                        "it claims {n_groups} row groups of {n_columns} columns; at most {MAX_CHUNKS} chunks are read"
                    ));
                } else {
                    thrift.skip(wire)?;
                }
            }
            _ => thrift.skip(wire)?,
        }
        // The rest need not be looked at.
        if trap.is_some() { Err(Stop::Corrupt) } else { Ok(()) }
    });
    match (trap, walked) {
        (Some(trap), _) => Err(Fault::Corrupt(trap)),
        (None, Err(_)) => Err(Fault::Corrupt("the footer does not hold what it claims".to_owned())),
        (None, Ok(())) => Ok(()),
    }
}

/// Walks the schema, a list of elements each followed by its children; says what is wrong with it.
fn nesting(thrift: &mut Thrift<'_>) -> Result<Result<(), String>, Stop> {
    let (n, of) = thrift.list()?;
    if of != STRUCT || n > MAX_ELEMENTS {
        return Ok(Err(format!("its schema claims {n} columns")));
    }
    // Children still to come of each group that is open.
    let mut open: Vec<i32> = Vec::new();
    for _ in 0..n {
        let mut n_children = 0;
        thrift.fields(|thrift, id, wire| {
            if (id, wire) == (N_CHILDREN, I32) {
                n_children = thrift.i32()?;
                return Ok(());
            }
            thrift.skip(wire)
        })?;
        if u64::try_from(n_children).map_or(true, |n_children| n_children >= n) {
            return Ok(Err(format!("a group of {n} columns claims {n_children}")));
        }
        if let Some(parent) = open.last_mut() {
            *parent -= 1;
        }
        open.push(n_children);
        while open.last() == Some(&0) {
            open.pop();
        }
        if open.len() > MAX_NESTING {
            return Ok(Err(format!("its columns nest more than {MAX_NESTING} deep")));
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer with a schema of so many elements, each with so many children.
    fn footer(claimed: u8, children: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x15, 2, 0x19, 0xfc, claimed];
        for n_children in children {
            bytes.extend([0x55, n_children * 2, 0]);
        }
        bytes.push(0);
        bytes
    }

    /// The same with so many row groups, each without fields.
    fn footer_of(n_groups: usize, n_columns: u8) -> Vec<u8> {
        let mut children = vec![0; usize::from(n_columns)];
        children[0] = n_columns - 1;
        let mut bytes = footer(n_columns, &children);
        bytes.pop();
        // Two fields on: a list of structs, with its length.
        bytes.extend([0x29, 0xfc]);
        baselines::leb128::put(&mut bytes, n_groups as u64);
        bytes.extend(std::iter::repeat_n(0, n_groups + 1));
        bytes
    }

    fn words(bytes: &[u8]) -> Option<String> {
        match check(bytes) {
            Ok(()) => None,
            Err(Fault::Corrupt(what)) => Some(what),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_flow_log_has_passes() {
        assert_eq!(words(&footer(4, &[3, 0, 0, 0])), None);
        assert_eq!(words(&footer(4, &[1, 1, 1, 0])), None);
    }

    #[test]
    fn traps_are_refused() {
        let deep: Vec<u8> = (0..60).map(|at| u8::from(at < 59)).collect();
        assert!(words(&footer(60, &deep)).is_some_and(|words| words.contains("nest more than 32 deep")));
        assert!(words(&footer(2, &[50, 0])).is_some_and(|words| words.contains("claims 50")));
        assert!(words(&footer(9, &[1, 0])).is_some(), "elements that are not there");
        let mut many = vec![0x29, 0xfc, 0xff, 0xff, 0x7f];
        many.extend([0; 64]);
        assert!(words(&many).is_some_and(|words| words.contains("2097151 columns")));
        assert!(words(&[0x59, 0xfc, 0xff, 0x7f, 0]).is_some(), "another list longer than the bytes");
        assert!(words(&[]).is_some());
        assert_eq!(words(&footer_of(9000, 7)), None);
        assert!(words(&footer_of(40_000, 26)).is_some_and(|words| words.contains("40000 row groups of 26 columns")));
    }
}
