//! Scratch: where the shelf puts what does not fit into memory.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Where the shelf puts what does not fit into memory.
pub trait Scratch: Send {
    /// Appends bytes to those of a part.
    fn append(&mut self, part: u64, bytes: &[u8]) -> io::Result<()>;
    /// Takes all bytes appended to a part.
    fn take(&mut self, part: u64) -> io::Result<Vec<u8>>;
}

/// Keeps everything in memory after all, for inputs known to be small.
#[derive(Debug, Default)]
pub struct InMemoryScratch(BTreeMap<u64, Vec<u8>>);

impl Scratch for InMemoryScratch {
    fn append(&mut self, part: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.entry(part).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn take(&mut self, part: u64) -> io::Result<Vec<u8>> {
        Ok(self.0.remove(&part).unwrap_or_default())
    }
}

/// Keeps everything in one file, which the door opens once there is something to keep: a year has more hours than a
/// process may have files.
#[derive(Debug)]
pub struct FileScratch<F> {
    open: fn() -> io::Result<F>,
    file: Option<F>,
    n_bytes: u64,
    /// Where the bytes of each part lie, in the order they were appended.
    parts: BTreeMap<u64, Vec<(u64, usize)>>,
}

impl<F> FileScratch<F> {
    /// With nothing kept.
    pub fn new(open: fn() -> io::Result<F>) -> Self {
        Self { open, file: None, n_bytes: 0, parts: BTreeMap::new() }
    }
}

impl<F: Read + Write + Seek + Send> Scratch for FileScratch<F> {
    fn append(&mut self, part: u64, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert((self.open)()?),
        };
        file.seek(SeekFrom::Start(self.n_bytes))?;
        file.write_all(bytes)?;
        self.parts.entry(part).or_default().push((self.n_bytes, bytes.len()));
        self.n_bytes += bytes.len() as u64;
        Ok(())
    }

    fn take(&mut self, part: u64) -> io::Result<Vec<u8>> {
        let pieces = self.parts.remove(&part).unwrap_or_default();
        let mut bytes = Vec::with_capacity(pieces.iter().map(|(_, len)| len).sum());
        for (at, len) in pieces {
            let Some(file) = &mut self.file else { break };
            file.seek(SeekFrom::Start(at))?;
            if file.take(len as u64).read_to_end(&mut bytes)? < len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_more_parts_than_a_process_may_have_files() {
        let mut scratch = FileScratch::new(tempfile::tempfile);
        for part in (0..20_000).chain(5..10) {
            scratch.append(part, &[part as u8; 4]).unwrap();
        }
        assert_eq!(scratch.take(7).unwrap(), [7; 8]);
        assert_eq!(scratch.take(19_999).unwrap(), [19_999_u64 as u8; 4]);
        assert!(scratch.take(7).unwrap().is_empty(), "it was taken");
    }
}
