//! Past: the distributions of one rung of one owner's ladder, side by side in one piece of memory.
//!
//! Each of them has a handful of cells at first and some dozens after weeks. As vectors of their own they took more for
//! their addresses, lengths and room to grow than for what they count.

use std::fmt;
use std::ops::Range;

use crate::distribution::{Counted, Counts, DecodeError, decode_into};
use crate::near::near;

/// What is counted, in the order of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    WindowBytes,
    WindowFlows,
    FlowBytesOut,
    DayBytes,
}

/// How many there are.
const N_MEASURES: usize = 4;

/// Words before those of the first distribution: where each one ends. Four have at most 3012 cells and a count at most
/// six digits, so an end fits into a word.
const N_ENDS: usize = N_MEASURES;

/// Words by which the memory grows: the C library hands it out in pieces of so many, so that room to grow takes none,
/// less four that hold its own size.
const STEP: usize = 8;
const NOT_OURS: usize = 4;

/// One distribution of each measure.
#[derive(Clone, Default)]
pub(crate) struct Past {
    /// ```text
    ///  ends (4 words) │ window bytes │ window flows │ flow bytes out │ day bytes │ room
    /// ```
    /// Nothing at all before something was counted.
    words: Box<[u16]>,
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("words", &self.used()).finish()
    }
}

impl PartialEq for Past {
    fn eq(&self, other: &Self) -> bool {
        self.used() == other.used()
    }
}

impl Eq for Past {}

impl Past {
    /// The distribution of a measure.
    pub(crate) fn of(&self, measure: Measure) -> Counts<'_> {
        Counts::over(self.words.get(self.range(measure as usize)).unwrap_or_default())
    }

    /// Counts a value once.
    pub(crate) fn record(&mut self, measure: Measure, value: u64) {
        let part = self.range(measure as usize);
        let words = self.words.get_mut(part.clone()).unwrap_or_default();
        match Counts::record_in_place(words, value) {
            Counted::InPlace => {}
            Counted::Absent { at, word } => self.insert(measure, part.start + at, word),
            Counted::Full => self.change(measure, |words| Counts::record_in(words, part, value)),
        }
    }

    /// Puts a word into a distribution; of what is kept only that behind it moves.
    fn insert(&mut self, measure: Measure, at: usize, word: u16) {
        let n_used = self.n_used();
        if n_used >= self.words.len() {
            let n_words = (n_used + NOT_OURS) / STEP * STEP + STEP - NOT_OURS;
            let mut words = std::mem::take(&mut self.words).into_vec();
            words.reserve_exact(n_words - words.len());
            words.resize(n_words, 0);
            self.words = words.into_boxed_slice();
        }
        self.words.copy_within(at..n_used, at + 1);
        if let Some(slot) = self.words.get_mut(at) {
            *slot = word;
        }
        move_ends(&mut self.words, measure as usize, 1);
    }

    /// Changes the words of a distribution by something that gives how many more there are.
    fn change(&mut self, measure: Measure, change: impl FnOnce(&mut Vec<u16>) -> i32) {
        let mut words = std::mem::take(&mut self.words).into_vec();
        let n_more = change(&mut words);
        move_ends(&mut words, measure as usize, n_more);
        self.words = words.into_boxed_slice();
    }

    /// Prefetches all words.
    pub(crate) fn bring_near(&self) {
        near(&*self.words);
    }

    /// Takes back a value counted before.
    pub(crate) fn forget(&mut self, measure: Measure, value: u64) {
        let part = self.range(measure as usize);
        self.change(measure, |words| Counts::forget_in(words, part, value));
        if self.n_used() == N_ENDS {
            *self = Self::default();
        }
    }

    /// Adds all counts of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        let mut words = vec![0; N_ENDS];
        for at in 0..N_MEASURES {
            let [mine, theirs] =
                [self, other].map(|past| Counts::over(past.words.get(past.range(at)).unwrap_or_default()));
            let mut merged = mine.detached();
            merged.merge(&theirs);
            words.extend(merged.words());
            move_ends(&mut words, at, merged.words().len() as i32);
        }
        *self = Self::of_words(&words);
    }

    /// What was stored of each measure; `words` is where they are put together, whatever it holds.
    pub(crate) fn decode(encoded: [&[u8]; N_MEASURES], words: &mut Vec<u16>) -> Result<Self, DecodeError> {
        words.clear();
        words.resize(N_ENDS, 0);
        for (at, bytes) in encoded.into_iter().enumerate() {
            let before = words.len();
            decode_into(bytes, words)?;
            let n_cells = words.len() - before;
            move_ends(words, at, n_cells as i32);
        }
        Ok(Self::of_words(words))
    }

    fn of_words(words: &[u16]) -> Self {
        Self { words: if words.len() > N_ENDS { words.into() } else { Box::default() } }
    }

    fn range(&self, at: usize) -> Range<usize> {
        range(&self.words, at)
    }

    /// The ends, and the words of all distributions.
    fn used(&self) -> &[u16] {
        self.words.get(..self.n_used()).unwrap_or_default()
    }

    /// How many words these are; as many as the ends where there are none yet.
    fn n_used(&self) -> usize {
        self.range(N_MEASURES - 1).end
    }
}

/// Where the words of a distribution lie.
fn range(words: &[u16], at: usize) -> Range<usize> {
    let end = |at: usize| N_ENDS + usize::from(words.get(at).copied().unwrap_or(0));
    at.checked_sub(1).map_or(N_ENDS, end)..end(at)
}

/// Notes that a distribution has so many words more, or less.
fn move_ends(words: &mut [u16], from: usize, by: i32) {
    for end in words.iter_mut().take(N_MEASURES).skip(from) {
        *end = end.wrapping_add_signed(by as i16);
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::distribution::Distribution;
    use proptest::prelude::*;

    const MEASURES: [Measure; N_MEASURES] =
        [Measure::WindowBytes, Measure::WindowFlows, Measure::FlowBytesOut, Measure::DayBytes];

    /// A past and the same distributions apart.
    fn of(values: &[(usize, u64)]) -> (Past, [Distribution; N_MEASURES]) {
        let (mut past, mut apart) = (Past::default(), <[Distribution; N_MEASURES]>::default());
        for &(at, value) in values {
            past.record(MEASURES[at], value);
            apart[at].record(value);
        }
        (past, apart)
    }

    fn assert_same(past: &Past, apart: &[Distribution; N_MEASURES]) {
        for (measure, alone) in MEASURES.into_iter().zip(apart) {
            assert_eq!(past.of(measure).detached(), *alone, "{measure:?}");
        }
    }

    fn values() -> impl Strategy<Value = Vec<(usize, u64)>> {
        let value = (0..N_MEASURES, prop_oneof![0..200u64, any::<u64>()]);
        // Some so often that their counts take several words.
        let times = prop_oneof![8 => Just(1), 1 => 1..200usize];
        prop::collection::vec((value, times), 0..60)
            .prop_map(|values| values.iter().flat_map(|&(value, times)| iter::repeat_n(value, times)).collect())
    }

    proptest! {
        #[test]
        fn side_by_side_is_as_apart(a in values(), b in values()) {
            let (mut past, mut apart) = of(&a);
            assert_same(&past, &apart);
            let (other, others) = of(&b);
            past.merge(&other);
            apart.iter_mut().zip(&others).for_each(|(mine, theirs)| mine.merge(theirs));
            assert_same(&past, &apart);
            let encoded = MEASURES.map(|measure| past.of(measure).encode());
            prop_assert_eq!(Past::decode([0, 1, 2, 3].map(|at| &*encoded[at]), &mut vec![7]).unwrap(), past.clone());
            for &(at, value) in a.iter().chain(&b) {
                past.forget(MEASURES[at], value);
            }
            prop_assert_eq!(past, Past::default(), "all was taken back");
        }
    }

    #[test]
    fn nothing_counted_takes_no_memory() {
        let (past, apart) = of(&[]);
        assert_same(&past, &apart);
        assert_eq!(past.words.len(), 0);
    }
}
