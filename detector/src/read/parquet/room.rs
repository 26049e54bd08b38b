//! How much memory the pages of a unit may take, all of its columns together.
//!
//! Where it sits: under `pages`, of which each has a share.
//! What it does not do: it holds no bytes; it counts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::read::parquet::Fault;

/// What the columns of a unit may take together.
#[derive(Clone, Debug)]
pub(super) struct Room {
    n_taken: Arc<AtomicUsize>,
    max_bytes: usize,
}

/// What one of them takes.
#[derive(Debug)]
pub(super) struct Share {
    room: Room,
    n_bytes: usize,
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { n_taken: Arc::default(), max_bytes }
    }

    /// A share of nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { room: self.clone(), n_bytes: 0 }
    }
}

impl Share {
    /// Makes the share at least so large: buffers are used again, and never shrink.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] when there is no room for it.
    pub(super) fn reach(&mut self, n_bytes: usize) -> Result<(), Fault> {
        let n_more = n_bytes.saturating_sub(self.n_bytes);
        if n_more == 0 {
            return Ok(());
        }
        // One thread at a time reads a unit.
        let others = self.room.n_taken.load(Ordering::Relaxed);
        let n_taken = others.saturating_add(n_more);
        if n_taken > self.room.max_bytes {
            let max = self.room.max_bytes;
            return Err(Fault::Corrupt(format!(
                "a page claims {n_bytes} bytes, {n_taken} with those of other columns; at most {max} are read"
            )));
        }
        self.room.n_taken.store(n_taken, Ordering::Relaxed);
        self.n_bytes = n_bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.n_taken.fetch_sub(self.n_bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_room_together() {
        let room = Room::new(100);
        let (mut one, mut other) = (room.share(), room.share());
        assert!(one.reach(60).is_ok() && one.reach(10).is_ok(), "what was taken stays");
        assert!(other.reach(40).is_ok());
        let error = other.reach(41).unwrap_err();
        assert!(matches!(error, Fault::Corrupt(what) if what.contains("claims 41 bytes, 101 with")));
        assert!(other.reach(usize::MAX).is_err());
        drop(one);
        assert!(other.reach(100).is_ok());
    }
}
