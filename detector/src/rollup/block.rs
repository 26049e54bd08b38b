//! A block: a few hundred records, column by column.
//!
//! All columns of a block lie one after the other in the first-level cache, each of a length that is known when this is
//! compiled: a value is one load, wherever its batch had it, and a row is a byte, for which nothing has to be checked.

#![expect(
    clippy::indexing_slicing,
    reason = "a byte is below `N_ROWS`; numbers have an entry for each code of their column"
)]

use std::hint::select_unpredictable;

use super::group::Key;
use super::initiator::{Said, Sense};
use super::{Flow, OTHER, Record, UNKNOWN, is_within, key};
use crate::flow::{ACCEPT, DIRECTION_UNKNOWN, EGRESS, FlowBatch, REJECT};

/// Records, and the keys of those that are grouped.
#[derive(Debug)]
pub(super) struct Block {
    n_rows: usize,
    /// Numbers of `Groups`, as are `src` and `dst`.
    interface: [u32; Block::N_ROWS],
    src: [u32; Block::N_ROWS],
    dst: [u32; Block::N_ROWS],
    direction: [u8; Block::N_ROWS],
    src_port: [u16; Block::N_ROWS],
    dst_port: [u16; Block::N_ROWS],
    protocol: [u8; Block::N_ROWS],
    flags: [u8; Block::N_ROWS],
    action: [u8; Block::N_ROWS],
    packets: [u64; Block::N_ROWS],
    bytes: [u64; Block::N_ROWS],
    start: [i64; Block::N_ROWS],
    end: [i64; Block::N_ROWS],
    /// What each record says of who asks.
    said: [Said; Block::N_ROWS],
    /// The rows that are grouped, with their keys.
    n_taken: usize,
    taken: [u8; Block::N_ROWS],
    keys: [Key; Block::N_ROWS],
    /// The rows that are not grouped by themselves.
    n_left: usize,
    left: [u8; Block::N_ROWS],
}

impl Default for Block {
    fn default() -> Self {
        Self {
            n_rows: 0,
            interface: [0; Self::N_ROWS],
            src: [0; Self::N_ROWS],
            dst: [0; Self::N_ROWS],
            direction: [DIRECTION_UNKNOWN; Self::N_ROWS],
            src_port: [0; Self::N_ROWS],
            dst_port: [0; Self::N_ROWS],
            protocol: [0; Self::N_ROWS],
            flags: [0; Self::N_ROWS],
            action: [0; Self::N_ROWS],
            packets: [0; Self::N_ROWS],
            bytes: [0; Self::N_ROWS],
            start: [0; Self::N_ROWS],
            end: [0; Self::N_ROWS],
            said: [Said::default(); Self::N_ROWS],
            n_taken: 0,
            taken: [0; Self::N_ROWS],
            keys: [Key::default(); Self::N_ROWS],
            n_left: 0,
            left: [0; Self::N_ROWS],
        }
    }
}

/// The numbers of what a batch's codes stand for, by code.
pub(super) struct Numbers<'a> {
    pub(super) interface: &'a [u32],
    pub(super) src: &'a [u32],
    pub(super) dst: &'a [u32],
}

impl Block {
    /// As many as a byte can tell apart.
    pub(super) const N_ROWS: usize = 256;

    /// Takes the rows of a batch from one on, as many as there are and fit; none of them are grouped yet.
    pub(super) fn load(&mut self, batch: &FlowBatch, first: usize, numbers: &Numbers<'_>) {
        self.n_rows = Self::N_ROWS.min(batch.n_rows() - first);
        self.n_taken = 0;
        renumber(&mut self.interface, batch.interface().codes(), first, numbers.interface);
        if let Some(nulls) = batch.interface().nulls() {
            for (row, to) in self.interface.iter_mut().enumerate().take(self.n_rows) {
                if nulls.is_null(first + row) {
                    *to = OTHER;
                }
            }
        }
        renumber(&mut self.src, batch.src().codes(), first, numbers.src);
        renumber(&mut self.dst, batch.dst().codes(), first, numbers.dst);
        load_or_zero(&mut self.direction, batch.direction(), first);
        load(&mut self.src_port, batch.src_port(), first);
        load(&mut self.dst_port, batch.dst_port(), first);
        load(&mut self.protocol, batch.protocol(), first);
        load_or_zero(&mut self.flags, batch.tcp_flags(), first);
        load(&mut self.action, batch.action(), first);
        load(&mut self.packets, batch.packets(), first);
        load(&mut self.bytes, batch.bytes(), first);
        load(&mut self.start, batch.start(), first);
        load(&mut self.end, batch.end(), first);
        let ports = self.src_port.iter().zip(&self.dst_port);
        let said = ports.zip(&self.protocol).zip(&self.flags);
        for (to, (((src_port, dst_port), protocol), flags)) in self.said.iter_mut().zip(said) {
            *to = Said::of(*src_port, *dst_port, *protocol, *flags);
        }
    }

    /// Groups the rows of a span that say which way they go; the others are left: see [`Block::left`].
    ///
    /// Without a branch, so that a row that is left costs no more than another.
    pub(super) fn group_plain(&mut self, span: (i64, i64)) {
        let (mut n_taken, mut n_left) = (0, 0);
        for row in self.rows() {
            let at = usize::from(row);
            let (interface, said, start) = (self.interface[at], self.said[at], self.start[at]);
            self.keys[n_taken % Self::N_ROWS] = self.key(row, said.or_asks());
            self.taken[n_taken % Self::N_ROWS] = row;
            self.left[n_left % Self::N_ROWS] = row;
            let is_plain = (interface < UNKNOWN) & said.is_plain() & is_within(span, start);
            n_taken += usize::from(is_plain);
            n_left += usize::from(!is_plain);
        }
        (self.n_taken, self.n_left) = (n_taken, n_left);
    }

    /// The rows there are.
    #[inline]
    pub(super) fn rows(&self) -> impl Iterator<Item = u8> + use<> {
        (0..=u8::MAX).take(self.n_rows)
    }

    /// The record at a row.
    #[inline]
    pub(super) fn record(&self, row: u8) -> Record {
        let at = usize::from(row);
        Record { interface: self.interface[at], src: self.src[at], dst: self.dst[at], flow: self.flow(row) }
    }

    /// What the record at a row tells beside interface and addresses.
    #[inline]
    pub(super) fn flow(&self, row: u8) -> Flow {
        let at = usize::from(row);
        Flow {
            src_port: self.src_port[at],
            dst_port: self.dst_port[at],
            protocol: self.protocol[at],
            flags: self.flags[at],
            rejected: self.action[at] == REJECT,
            packets: self.packets[at],
            bytes: self.bytes[at],
            start: self.start[at],
            end: self.end[at],
        }
    }

    /// What the record at a row says of who asks.
    pub(super) fn said(&self, row: u8) -> Said {
        self.said[usize::from(row)]
    }

    /// Where the record at a row goes.
    #[inline]
    pub(super) fn direction(&self, row: u8) -> u8 {
        self.direction[usize::from(row)]
    }

    /// The interface at a row with the address that the record's direction shows to be its own; [`OTHER`] without
    /// direction.
    #[inline]
    pub(super) fn own(&self, row: u8) -> (u32, u32) {
        let at = usize::from(row);
        let interface = select_unpredictable(self.direction[at] == DIRECTION_UNKNOWN, OTHER, self.interface[at]);
        (interface, select_unpredictable(self.direction[at] == EGRESS, self.src[at], self.dst[at]))
    }

    /// Sets sender and receiver at a row.
    pub(super) fn set_sides(&mut self, row: u8, (src, dst): (u32, u32)) {
        (self.src[usize::from(row)], self.dst[usize::from(row)]) = (src, dst);
    }

    /// The key of the record at a row, if it goes this way.
    #[inline]
    fn key(&self, row: u8, sense: Sense) -> Key {
        let at = usize::from(row);
        let ports = (self.src_port[at], self.dst_port[at]);
        key(self.interface[at], (self.src[at], self.dst[at]), ports, self.protocol[at], self.start[at], sense)
    }

    /// Has a row grouped.
    pub(super) fn group(&mut self, row: u8, sense: Sense) {
        self.keys[self.n_taken % Self::N_ROWS] = self.key(row, sense);
        self.taken[self.n_taken % Self::N_ROWS] = row;
        self.n_taken += 1;
    }

    /// The rows that were not grouped: of interfaces that are not judged, outside the span, or with more to them.
    pub(super) fn left(&self) -> impl Iterator<Item = u8> + use<> {
        self.left.into_iter().take(self.n_left)
    }

    /// The keys of the rows that are grouped.
    pub(super) fn keys(&self) -> &[Key] {
        &self.keys[..self.n_taken]
    }

    /// The same rows, with the way each goes.
    #[inline]
    pub(super) fn taken(&self) -> impl Iterator<Item = (u8, Sense)> {
        self.taken[..self.n_taken].iter().map(|row| (*row, self.said[usize::from(*row)].or_asks()))
    }

    /// Puts a record that is grouped.
    pub(super) fn put(&mut self, Record { interface, src, dst, flow }: &Record, sense: Sense) {
        let row = self.n_taken as u8;
        let at = usize::from(row);
        self.interface[at] = *interface;
        self.src[at] = *src;
        self.dst[at] = *dst;
        self.src_port[at] = flow.src_port;
        self.dst_port[at] = flow.dst_port;
        self.protocol[at] = flow.protocol;
        self.flags[at] = flow.flags;
        self.action[at] = if flow.rejected { REJECT } else { ACCEPT };
        self.packets[at] = flow.packets;
        self.bytes[at] = flow.bytes;
        self.start[at] = flow.start;
        self.end[at] = flow.end;
        self.said[at] = sense.into();
        self.group(row, sense);
    }

    /// Forgets the rows that are grouped.
    pub(super) fn clear(&mut self) {
        self.n_taken = 0;
    }
}

/// Copies the rows of a column from one on, as many as there are and fit.
#[inline]
fn load<T: Copy>(to: &mut [T; Block::N_ROWS], column: &[T], first: usize) {
    let rest = column.get(first..).unwrap_or_default();
    match rest.first_chunk() {
        Some(rows) => *to = *rows,
        None => to[..rest.len()].copy_from_slice(rest),
    }
}

/// The same of a column that a batch may lack; 0 stands for nothing there.
#[inline]
fn load_or_zero(to: &mut [u8; Block::N_ROWS], column: Option<&[u8]>, first: usize) {
    match column {
        Some(column) => load(to, column, first),
        None => to.fill(0),
    }
}

/// The same of codes, of which the numbers are taken.
#[inline]
fn renumber(to: &mut [u32; Block::N_ROWS], codes: &[i32], first: usize, numbers: &[u32]) {
    for (to, &code) in to.iter_mut().zip(codes.get(first..).unwrap_or_default()) {
        *to = numbers[code as usize];
    }
}
