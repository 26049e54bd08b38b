//! Which rows of a batch are no traffic or no valid record: nothing is stored until there is one.
//!
//! Where it sits: the columns of a Parquet batch mark rows, the first mark counts; the batch is made of what is
//! unmarked.
//! What it does not do: it drops no row itself.

use std::borrow::Cow;
use std::sync::Arc;

use crate::read::rule::OK;
use crate::read::{Account, Reason, rule};

/// The mark of a rejected row; `NODATA` and `SKIPDATA` mark as themselves.
const REJECTED: u8 = 3;

/// The marks of one batch.
pub(super) struct Marks<'a> {
    object: &'a Arc<str>,
    /// The batch's first row in the object.
    position: u64,
    n_rows: usize,
    /// Whether `log-status` says what is no traffic.
    has_status: bool,
    account: &'a mut Account,
    /// One per row, 0 for a good one; empty while all are good.
    by_row: Vec<u8>,
}

/// How many rows have this mark.
pub(super) fn count(marks: &[u8], wanted: u8) -> usize {
    memchr::memchr_iter(wanted, marks).count()
}

impl<'a> Marks<'a> {
    pub(super) fn new(
        object: &'a Arc<str>,
        position: u64,
        n_rows: usize,
        has_status: bool,
        account: &'a mut Account,
    ) -> Self {
        Self { object, position, n_rows, has_status, account, by_row: Vec::new() }
    }

    /// Marks what is no traffic. Comes before all other columns, because records without traffic have no valid values.
    pub(super) fn status(&mut self, mut statuses: Vec<u8>) {
        // Rejected rows have the mark already, and `OK` as their status.
        let n_nodata = count(&statuses, rule::NODATA);
        let n_skipdata = count(&statuses, rule::SKIPDATA);
        if n_nodata + n_skipdata == 0 {
            return;
        }
        let n = (n_nodata + n_skipdata) as u64;
        self.account.rows_read += n;
        self.account.rows_nodata += n_nodata as u64;
        self.account.rows_skipdata += n_skipdata as u64;
        for (status, mark) in statuses.iter_mut().zip(&self.by_row) {
            *status = (*status).max(*mark);
        }
        self.by_row = statuses;
    }

    /// Rejects a row that names no sender; where no `log-status` says so, such a row is how `NODATA` looks.
    #[cold]
    pub(super) fn reject_without_sender(&mut self, row: usize) {
        if self.has_status {
            return self.reject(row, Reason::BadAddress, || "srcaddr missing".into());
        }
        self.by_row.resize(self.n_rows, OK);
        if let Some(mark) = self.by_row.get_mut(row).filter(|mark| **mark == OK) {
            *mark = rule::NODATA;
            self.account.rows_read += 1;
            self.account.rows_nodata += 1;
        }
    }

    /// Rejects a row, unless it is marked already.
    #[cold]
    pub(super) fn reject<'b>(&mut self, row: usize, reason: Reason, describe: impl FnOnce() -> Cow<'b, str>) {
        self.by_row.resize(self.n_rows, OK);
        if let Some(mark) = self.by_row.get_mut(row).filter(|mark| **mark == OK) {
            *mark = REJECTED;
            self.account.reject(reason, self.object, self.position + row as u64, describe);
        }
    }

    /// Counts the unmarked rows and gives the marks, if there are any.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        let n_ok = if self.by_row.is_empty() { self.n_rows } else { count(&self.by_row, OK) };
        self.account.rows_read += n_ok as u64;
        self.account.rows_ok += n_ok as u64;
        (n_ok < self.n_rows).then_some(self.by_row)
    }
}
