//! The columns of a text being filled, each for many lines at once.
//!
//! Where it sits: under `text`, one for each field of the header that is kept.
//! What it does not do: it drops no line itself; it marks those that are odd.

use arrow_array::ArrayRef;
use arrow_schema::ArrowError;

use crate::flow::{Field, Layout};
use crate::read::Reason;
use crate::read::batch::{Column, NULL};
use crate::read::cut::Rows;
use crate::read::intern::{Addresses, Dictionary, Texts};
use crate::read::rule::{self, Rule};
use crate::read::token::{Key, Pattern, Token};

/// Why a line is no record of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    Nodata,
    Skipdata,
    Rejected(Reason),
}

/// Which of some lines are odd: nothing is stored until there is one.
pub(super) struct Marks {
    /// By line, as far as there are marks.
    by_row: Vec<Option<Odd>>,
    /// Whether `log-status` says what is no traffic.
    has_status: bool,
}

impl Marks {
    pub(super) fn new(has_status: bool) -> Self {
        Self { by_row: Vec::new(), has_status }
    }

    /// Marks a line, unless it is marked already.
    #[cold]
    pub(super) fn mark(&mut self, row: usize, odd: Odd) {
        if self.by_row.len() <= row {
            self.by_row.resize(row + 1, None);
        }
        if let Some(mark) = self.by_row.get_mut(row) {
            mark.get_or_insert(odd);
        }
    }

    /// Marks a line that names no sender, where no `log-status` says so: this is how `NODATA` looks.
    #[cold]
    fn mark_without_sender(&mut self, row: usize) {
        if !self.has_status {
            self.mark(row, Odd::Nodata);
        }
    }

    /// The lines marked so far, and forgets them.
    pub(super) fn take(&mut self) -> Vec<(usize, Odd)> {
        self.by_row.drain(..).enumerate().filter_map(|(row, odd)| Some((row, odd?))).collect()
    }

    /// The value, or the least one and a mark.
    fn value<T>(&mut self, row: usize, value: Result<T, Reason>, least: T) -> T {
        value.unwrap_or_else(|reason| {
            self.mark(row, Odd::Rejected(reason));
            least
        })
    }
}

/// Where the values of one column go.
pub(super) struct Sink {
    /// Where the column stands in the header.
    column: usize,
    /// `None` for the status.
    pub(super) field: Option<Field>,
    values: Values,
}

/// The values of one column so far.
enum Values {
    Status,
    U8(Rule, Vec<u8>),
    U16(Rule, Vec<u16>),
    U64(Rule, Vec<u64>),
    I64(Rule, Vec<i64>),
    /// Words for numbers.
    Words(Words, Vec<u8>),
    /// Codes into the dictionary that all columns of addresses share.
    Address {
        side: Side,
        is_wire: bool,
        codes: Vec<i32>,
    },
    Text(Box<RecentTexts>, Vec<i32>),
}

/// Few words that stand for numbers.
struct Words {
    rule: Rule,
    /// The short ones, and what they mean.
    known: [(Key<1>, u8); 3],
}

impl Words {
    fn new(rule: Rule) -> Self {
        let key = |(word, value): (&str, u8)| Some((Key::of(Token::new(&padded(word), 0, word.len()))?, value));
        let mut known = rule.spellings().filter_map(key);
        Self { rule, known: std::array::from_fn(|_| known.next().unwrap_or((Key::NONE, 0))) }
    }

    /// What a short word stands for, if it is one of them.
    #[inline]
    fn value(&self, token: Token<'_>) -> Option<u8> {
        let key = Key::of(token)?;
        self.known.iter().find(|(known, _)| key.is(*known)).map(|(_, value)| *value)
    }
}

fn padded(word: &str) -> [u8; 16] {
    let mut bytes = [b' '; 16];
    for (to, byte) in bytes.iter_mut().zip(word.bytes()) {
        *to = byte;
    }
    bytes
}

/// A table from token to code of what was met lately.
struct Recent<const WORDS: usize> {
    /// As many as a power of two.
    slots: Vec<(Key<WORDS>, i32)>,
}

impl<const WORDS: usize> Recent<WORDS> {
    /// In how many slots, from its own on, a token may be: of two that share one, each would put the other out.
    const N_WAYS: usize = 4;

    fn new(n_slots: usize) -> Self {
        Self { slots: vec![(Key::NONE, 0); n_slots] }
    }

    /// Where a token may be.
    #[inline]
    fn ways(&self, key: Key<WORDS>) -> &[(Key<WORDS>, i32)] {
        let slots = self.slots.get(key.slot(self.slots.len())..).unwrap_or_default();
        slots.get(..Self::N_WAYS).unwrap_or(slots)
    }

    /// The code of a token met lately.
    #[inline]
    fn code(&self, key: Key<WORDS>) -> Option<i32> {
        self.ways(key).iter().find(|(other, _)| key.is(*other)).map(|(_, code)| *code)
    }

    /// Remembers a token where there is room, or in place of the one whose slot is its own.
    fn put(&mut self, key: Key<WORDS>, code: i32) {
        let free = self.ways(key).iter().position(|(other, _)| Key::NONE.is(*other));
        let at = key.slot(self.slots.len()) + free.unwrap_or(0);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = (key, code);
        }
    }

    /// Makes the table twice as large.
    fn grow(&mut self) {
        let larger = Self::new(2 * self.slots.len());
        for (key, code) in std::mem::replace(self, larger).slots {
            if !key.is(Key::NONE) {
                self.put(key, code);
            }
        }
    }

    fn clear(&mut self) {
        self.slots.fill((Key::NONE, 0));
    }
}

/// The dictionary of addresses and, before it, what spares parsing them.
///
/// One for all columns: the same few interfaces are senders and receivers, on the wire and in the packet.
pub(super) struct SharedAddresses {
    dictionary: Addresses,
    recent: Recent<2>,
    /// The lines' addresses on the wire: most packets have the same.
    senders: Vec<(Key<2>, i32)>,
    receivers: Vec<(Key<2>, i32)>,
}

/// Whose address it is.
#[derive(Clone, Copy)]
enum Side {
    Sender,
    Receiver,
}

/// Entries of the table of recent addresses at first, and at most, 768 KiB: it grows with the dictionary, so that a
/// small object does not pay for a large one.
const MIN_RECENT: usize = 1 << 10;
const MAX_RECENT: usize = 1 << 15;

impl SharedAddresses {
    pub(super) fn new() -> Self {
        let recent = Recent::new(MIN_RECENT);
        Self { dictionary: Addresses::default(), recent, senders: Vec::new(), receivers: Vec::new() }
    }

    /// Takes the addresses of lines on the wire.
    fn take_wire(&mut self, side: Side, rows: Rows<'_>, column: usize, codes: &mut Vec<i32>, marks: &mut Marks) {
        let mut wire = std::mem::take(self.wire(side));
        wire.clear();
        wire.extend(rows.tokens(column).enumerate().map(|(row, token)| {
            let key = Key::of(token);
            let code = key.and_then(|key| self.recent.code(key));
            let code = code.unwrap_or_else(|| {
                if matches!(side, Side::Sender) && rule::is_missing(token.bytes()) {
                    marks.mark_without_sender(row);
                }
                marks.value(row, self.code(token, false), NULL)
            });
            (key.unwrap_or(Key::NONE), code)
        }));
        codes.extend(wire.iter().map(|(_, code)| *code));
        *self.wire(side) = wire;
    }

    /// Takes the addresses of the same lines in the packet.
    fn take_packet(&mut self, side: Side, rows: Rows<'_>, column: usize, codes: &mut Vec<i32>, marks: &mut Marks) {
        let wire = std::mem::take(self.wire(side));
        let tokens = rows.tokens(column).enumerate();
        codes.extend(tokens.zip(&wire).map(|((row, token), (wire, code))| {
            match Key::of(token) {
                Some(key) if key.is(*wire) && *code != NULL => *code,
                key => key
                    .and_then(|key| self.recent.code(key))
                    .unwrap_or_else(|| marks.value(row, self.code(token, true), NULL)),
            }
        }));
        *self.wire(side) = wire;
    }

    fn wire(&mut self, side: Side) -> &mut Vec<(Key<2>, i32)> {
        match side {
            Side::Sender => &mut self.senders,
            Side::Receiver => &mut self.receivers,
        }
    }

    /// The code of any address.
    #[cold]
    fn code(&mut self, token: Token<'_>, is_nullable: bool) -> Result<i32, Reason> {
        let code = self.dictionary.code(token.bytes(), is_nullable)?;
        // What is missing is not in the table: it has no code in other columns.
        if code != NULL
            && let Some(key) = Key::of(token)
        {
            let n_slots = self.recent.slots.len();
            if self.dictionary.len() > n_slots && n_slots < MAX_RECENT {
                self.recent.grow();
            }
            self.recent.put(key, code);
        }
        Ok(code)
    }

    /// Forgets all when there is too much to carry on to the next batch.
    pub(super) fn start_batch(&mut self) {
        if self.dictionary.start_batch() {
            self.recent.clear();
        }
    }
}

/// A dictionary of texts and, before it, what spares looking them up.
struct RecentTexts {
    dictionary: Texts,
    /// The last one, of a field that seldom changes.
    last: Option<(Pattern<4>, i32)>,
    changes_seldom: bool,
    recent: Recent<4>,
}

/// Entries of the table of recent texts, of which there are several: 40 KiB each, of which only the slots in use
/// matter.
const N_RECENT_TEXTS: usize = 1024;

impl RecentTexts {
    fn new(field: Field) -> Self {
        let changes_seldom = matches!(field, Field::Account | Field::Region | Field::Vpc);
        let recent = Recent::new(N_RECENT_TEXTS);
        Self { dictionary: Texts::default(), last: None, changes_seldom, recent }
    }

    /// The code of a text met lately.
    #[inline]
    fn known(&mut self, token: Token<'_>) -> Option<i32> {
        if let Some((_, code)) = self.last.as_ref().filter(|(last, _)| last.is(token)) {
            return Some(*code);
        }
        let key = Key::of(token)?;
        let code = self.recent.code(key)?;
        if self.changes_seldom {
            self.last = Pattern::of(token).map(|pattern| (pattern, code));
        }
        Some(code)
    }

    /// The code of any text.
    #[cold]
    fn code(&mut self, token: Token<'_>) -> Result<i32, Reason> {
        let code = self.dictionary.code(token.bytes())?;
        if let Some(key) = Key::of(token) {
            self.recent.put(key, code);
        }
        Ok(code)
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let values = self.dictionary.values()?;
        if self.dictionary.start_batch() {
            self.recent.clear();
            self.last = None;
        }
        Ok(values)
    }
}

impl Sink {
    /// A sink for the status.
    pub(super) fn status(column: usize) -> Self {
        Self { column, field: None, values: Values::Status }
    }

    /// A sink for a field's column.
    pub(super) fn new(column: usize, field: Field, n_rows: usize) -> Self {
        let values = match (field.layout(), Rule::of(field)) {
            (_, Some(rule)) if rule.has_words() => Values::Words(Words::new(rule), Vec::with_capacity(n_rows)),
            (Layout::U8, Some(rule)) => Values::U8(rule, Vec::with_capacity(n_rows)),
            (Layout::U16, Some(rule)) => Values::U16(rule, Vec::with_capacity(n_rows)),
            (Layout::U64, Some(rule)) => Values::U64(rule, Vec::with_capacity(n_rows)),
            (Layout::I64, Some(rule)) => Values::I64(rule, Vec::with_capacity(n_rows)),
            (Layout::Address, _) => Values::Address {
                side: if matches!(field, Field::Src | Field::PktSrc) { Side::Sender } else { Side::Receiver },
                is_wire: matches!(field, Field::Src | Field::Dst),
                codes: Vec::with_capacity(n_rows),
            },
            _ => Values::Text(Box::new(RecentTexts::new(field)), Vec::with_capacity(n_rows)),
        };
        Self { column, field: Some(field), values }
    }

    /// Takes the column's values in all of the rows; a row with a bad one gets some value and a mark.
    pub(super) fn take(&mut self, rows: Rows<'_>, addresses: &mut SharedAddresses, marks: &mut Marks) {
        let tokens = rows.tokens(self.column).enumerate();
        match &mut self.values {
            Values::Status => tokens.for_each(|(row, token)| take_status(row, token, marks)),
            Values::U8(rule, values) => values.extend(tokens.map(|at| number(rule, at, marks) as u8)),
            Values::U16(rule, values) => values.extend(tokens.map(|at| number(rule, at, marks) as u16)),
            Values::U64(rule, values) => values.extend(tokens.map(|at| number(rule, at, marks))),
            Values::I64(rule, values) => values.extend(tokens.map(|at| number(rule, at, marks) as i64)),
            Values::Words(words, values) => values.extend(tokens.map(|(row, token)| {
                words.value(token).unwrap_or_else(|| odd_number(&words.rule, row, token, marks) as u8)
            })),
            Values::Address { side, is_wire: true, codes } => {
                addresses.take_wire(*side, rows, self.column, codes, marks);
            }
            Values::Address { side, is_wire: false, codes } => {
                addresses.take_packet(*side, rows, self.column, codes, marks);
            }
            Values::Text(texts, codes) => {
                codes.extend(tokens.map(|(row, token)| {
                    texts.known(token).unwrap_or_else(|| marks.value(row, texts.code(token), NULL))
                }));
            }
        }
    }

    /// The values, if they are times.
    pub(super) fn times(&self) -> &[i64] {
        if let Values::I64(_, values) = &self.values { values } else { &[] }
    }

    /// Drops some of the rows taken last; `rows` counts from row `base` on, in order.
    pub(super) fn drop_rows(&mut self, base: usize, rows: &[(usize, Odd)]) {
        match &mut self.values {
            Values::Status => {}
            Values::U8(_, values) | Values::Words(_, values) => drop_rows(values, base, rows),
            Values::U16(_, values) => drop_rows(values, base, rows),
            Values::U64(_, values) => drop_rows(values, base, rows),
            Values::I64(_, values) => drop_rows(values, base, rows),
            Values::Address { codes, .. } | Values::Text(_, codes) => drop_rows(codes, base, rows),
        }
    }

    /// Gives the column and starts a new one.
    pub(super) fn finish(
        &mut self,
        n_rows: usize,
        addresses: &mut SharedAddresses,
    ) -> Result<Option<Column>, ArrowError> {
        fn taken<T>(values: &mut Vec<T>, n_rows: usize) -> Vec<T> {
            std::mem::replace(values, Vec::with_capacity(n_rows))
        }
        Ok(Some(match &mut self.values {
            Values::Status => return Ok(None),
            Values::U8(_, values) | Values::Words(_, values) => Column::U8(taken(values, n_rows)),
            Values::U16(_, values) => Column::U16(taken(values, n_rows)),
            Values::U64(_, values) => Column::U64(taken(values, n_rows)),
            Values::I64(_, values) => Column::I64(taken(values, n_rows)),
            Values::Address { is_wire, codes, .. } => {
                let values = addresses.dictionary.values()?;
                Column::Codes { has_nulls: !*is_wire && have_nulls(codes), codes: taken(codes, n_rows), values }
            }
            Values::Text(texts, codes) => {
                let values = texts.finish()?;
                Column::Codes { has_nulls: have_nulls(codes), codes: taken(codes, n_rows), values }
            }
        }))
    }
}

#[inline]
fn take_status(row: usize, token: Token<'_>, marks: &mut Marks) {
    if token.bytes() != b"OK" {
        match Rule::STATUS.text(token.bytes()) {
            Ok(status) if status == u64::from(rule::OK) => {}
            Ok(status) if status == u64::from(rule::NODATA) => marks.mark(row, Odd::Nodata),
            Ok(_) => marks.mark(row, Odd::Skipdata),
            Err(reason) => marks.mark(row, Odd::Rejected(reason)),
        }
    }
}

#[expect(clippy::inline_always, reason = "a call and a result through memory for each number doubles its time")]
#[inline(always)]
fn number(rule: &Rule, (row, token): (usize, Token<'_>), marks: &mut Marks) -> u64 {
    match token.number() {
        Some(number) if number <= rule.max => number,
        _ => odd_number(rule, row, token, marks),
    }
}

#[cold]
fn odd_number(rule: &Rule, row: usize, token: Token<'_>, marks: &mut Marks) -> u64 {
    marks.value(row, rule.text(token.bytes()), 0)
}

fn have_nulls(codes: &[i32]) -> bool {
    codes.iter().fold(0, |least, code| *code.min(&least)) < 0
}

fn drop_rows<T: Copy>(values: &mut Vec<T>, base: usize, rows: &[(usize, Odd)]) {
    let mut to = rows.first().map_or(values.len(), |(first, _)| base + first);
    let ends = rows.iter().skip(1).map(|(next, _)| base + next).chain([values.len()]);
    for ((row, _), end) in rows.iter().zip(ends) {
        let kept = base + row + 1..end;
        let n_kept = kept.len();
        values.copy_within(kept, to);
        to += n_kept;
    }
    values.truncate(to);
}
