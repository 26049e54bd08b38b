//! Text cut into lines and tokens: where the tokens are is found for many lines at once, before any of them is read.
//!
//! Where it sits: between `source` and `text`.
//! What it does not do: it reads no token. A line that is anything but the header's number of tokens with one separator
//! after each is handed on as it is.

use memchr::memchr;
use wide::u8x16;

use crate::read::text::without_end;
use crate::read::token::Token;

/// How much text is cut at a time: it and its cuts stay in the first- and second-level cache while column after column
/// is read.
const SPAN_BYTES: usize = 64 << 10;

/// How much text is looked at at once.
const STEP_BYTES: usize = 64;

/// The cuts of a span of text.
#[derive(Default)]
pub(super) struct Cuts {
    /// 0, and the place after each separator: where tokens start.
    starts: Vec<u32>,
    /// How many of them there are; what comes after is left over from other spans.
    n_starts: usize,
    /// Whether a separator follows another one or comes first.
    has_empty: bool,
}

/// What comes next in a span.
pub(super) enum Piece<'a> {
    /// Lines that each have as many tokens as the header.
    Rows(Rows<'a>),
    /// A line that needs a closer look, with its line end if it has one.
    Line(&'a [u8]),
}

/// Lines that each have as many tokens as the header, none of them empty.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    text: &'a [u8],
    /// Where the tokens of all lines start, and where the next line does; then at least as many more places as a line
    /// has tokens, which mean nothing.
    starts: &'a [u32],
    n_lines: usize,
    n_columns: usize,
}

/// A line put together from its tokens.
#[derive(Default)]
pub(super) struct Joined {
    text: Vec<u8>,
    starts: Vec<u32>,
}

/// The lines of a span.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    cuts: &'a Cuts,
    /// Which of the cuts starts the next line.
    first: usize,
    n_columns: usize,
    max_line_bytes: usize,
    /// How much of the text was given out.
    used: usize,
}

impl Cuts {
    /// Cuts the beginning of a text, at least its first line.
    pub(super) fn lines<'a>(&'a mut self, text: &'a [u8], n_columns: usize, max_line_bytes: usize) -> Lines<'a> {
        let span = text.get(..SPAN_BYTES).unwrap_or(text);
        self.starts.resize((span.len() + 2 * STEP_BYTES + n_columns).max(self.starts.len()), 0);
        self.find(span);
        Lines { text, cuts: self, first: 0, n_columns, max_line_bytes, used: 0 }
    }

    fn find(&mut self, span: &[u8]) {
        let (mut n, mut before, mut empty) = (1, 1, 0);
        let mut step = |at: usize, bytes: &[u8; STEP_BYTES]| {
            let found = separators(bytes);
            empty |= found & (found << 1 | before);
            before = found >> (STEP_BYTES - 1);
            let into = self.starts.get_mut(n..).and_then(|starts| starts.first_chunk_mut::<STEP_BYTES>());
            put_ones(found, at as u32 + 1, into);
            n += found.count_ones() as usize;
        };
        let (steps, tail) = span.as_chunks::<STEP_BYTES>();
        for (at, bytes) in steps.iter().enumerate() {
            step(at * STEP_BYTES, bytes);
        }
        let mut last = [0; STEP_BYTES];
        for (to, byte) in last.iter_mut().zip(tail) {
            *to = *byte;
        }
        step(span.len() - tail.len(), &last);
        if let Some(first) = self.starts.first_mut() {
            *first = 0;
        }
        (self.n_starts, self.has_empty) = (n, empty != 0);
    }
}

/// Which of the bytes are separators, the first byte in the lowest bit.
#[inline]
fn separators(bytes: &[u8; STEP_BYTES]) -> u64 {
    bytes.as_chunks::<16>().0.iter().rev().fold(0, |found, bytes| {
        let bytes = u8x16::new(*bytes);
        let is = |byte| bytes.simd_eq(u8x16::splat(byte));
        found << 16 | u64::from((is(b' ') | is(b'\t') | is(b'\n')).to_bitmask())
    })
}

/// Writes the place of each one, counted from `base`; what comes after them is left undefined.
#[inline]
fn put_ones(mut ones: u64, base: u32, into: Option<&mut [u32; STEP_BYTES]>) {
    /// Written without asking: more than most steps have, so that how many there are is seldom guessed wrong.
    const N_UNASKED: usize = 12;
    let Some((unasked, asked)) = into.and_then(|into| into.split_first_chunk_mut::<N_UNASKED>()) else { return };
    for to in unasked {
        // The highest bit changes nothing but that there is one.
        *to = base + (ones | 1 << 63).trailing_zeros();
        ones &= ones.wrapping_sub(1);
    }
    for to in asked {
        if ones == 0 {
            return;
        }
        *to = base + ones.trailing_zeros();
        ones &= ones - 1;
    }
}

impl<'a> Lines<'a> {
    /// How much of the text was given out.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// The next lines and where they start; `None` when there is no whole line left in the span.
    pub(super) fn next(&mut self) -> Option<(Piece<'a>, usize)> {
        let (start, first) = (self.used, self.first);
        let mut end = self.line_end();
        while let Some(row_end) = end.filter(|end| self.is_row(*end)) {
            self.used = row_end;
            self.first += self.n_columns;
            end = self.line_end();
        }
        if self.used > start {
            let n_lines = (self.first - first) / self.n_columns;
            let starts = self.cuts.starts.get(first..)?;
            return Some((Piece::Rows(Rows { text: self.text, starts, n_lines, n_columns: self.n_columns }), start));
        }
        // The first line may be longer than the span, or the last of all and without a line end.
        let end = match end {
            Some(end) => end,
            None if start == 0 => memchr(b'\n', self.text).map_or(self.text.len(), |at| at + 1),
            None => return None,
        };
        let line = self.text.get(start..end)?;
        self.used = end;
        let later = self.cuts.starts.get(first..self.cuts.n_starts).unwrap_or_default();
        self.first += later.partition_point(|start| (*start as usize) < end);
        Some((Piece::Line(line), start))
    }

    /// Where the line ends that starts after what was given out, if the span has its end.
    fn line_end(&self) -> Option<usize> {
        let span = self.text.get(self.used..self.text.len().min(SPAN_BYTES))?;
        memchr(b'\n', span).map(|at| self.used + at + 1)
    }

    /// Whether the next line, which ends there, is one of [`Rows`]. A carriage return at its end makes it none.
    fn is_row(&self, end: usize) -> bool {
        let starts = self.cuts.starts.get(self.first..self.cuts.n_starts).unwrap_or_default();
        let starts = starts.get(..=self.n_columns).unwrap_or_default();
        let is_empty = |pair: &[u32]| matches!(pair, [start, next] if start + 1 == *next);
        starts.last().is_some_and(|next| *next as usize == end)
            && end - self.used <= self.max_line_bytes
            && self.text.get(..end - 1).and_then(<[u8]>::last) != Some(&b'\r')
            && !(self.cuts.has_empty && starts.windows(2).any(is_empty))
    }
}

impl Joined {
    /// Such tokens as if they had been cut from a line with nothing odd about it.
    pub(super) fn row(&mut self, tokens: &[&[u8]]) -> Rows<'_> {
        self.text.clear();
        self.starts.clear();
        self.starts.push(0);
        for token in tokens {
            self.text.extend_from_slice(token);
            self.text.push(b'\n');
            self.starts.push(self.text.len() as u32);
        }
        self.starts.resize(self.starts.len() + tokens.len(), 0);
        Rows { text: &self.text, starts: &self.starts, n_lines: 1, n_columns: tokens.len() }
    }
}

impl<'a> Rows<'a> {
    /// How many lines.
    pub(super) fn len(self) -> usize {
        self.n_lines
    }

    /// At most so many of the lines from some line on.
    pub(super) fn part(self, from: usize, n_lines: usize) -> Self {
        let starts = self.starts.get(from * self.n_columns..).unwrap_or_default();
        Self { starts, n_lines: n_lines.min(self.n_lines - from), ..self }
    }

    /// The tokens of one column.
    #[inline]
    pub(super) fn tokens(self, column: usize) -> impl Iterator<Item = Token<'a>> {
        let starts = self.starts.get(column..).unwrap_or_default();
        starts.chunks_exact(self.n_columns).take(self.n_lines).map(move |starts| match *starts {
            [start, next, ..] => Token::new(self.text, start as usize, (next - start) as usize - 1),
            _ => Token::default(),
        })
    }

    /// A line without its line end, and where it starts when the first one starts there.
    pub(super) fn line(self, row: usize, position: u64) -> (&'a [u8], u64) {
        let start = |row: usize| self.starts.get(row * self.n_columns).map_or(0, |start| *start as usize);
        let line = self.text.get(start(row)..start(row + 1)).unwrap_or_default();
        (without_end(line), position + (start(row) - start(0)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the lines of a text are: the tokens of those that are rows, the others as they are.
    fn cut(text: &[u8], n_columns: usize, max_line_bytes: usize) -> Vec<Result<Vec<Vec<u8>>, Vec<u8>>> {
        let (mut cuts, mut found, mut at) = (Cuts::default(), Vec::new(), 0);
        while at < text.len() {
            let rest = &text[at..];
            let mut lines = cuts.lines(rest, n_columns, max_line_bytes);
            let before = found.len();
            while let Some((piece, start)) = lines.next() {
                match piece {
                    Piece::Line(line) => {
                        assert_eq!(&rest[start..start + line.len()], line);
                        found.push(Err(line.to_vec()));
                    }
                    Piece::Rows(rows) => {
                        let tokens: Vec<Vec<_>> = (0..n_columns).map(|column| rows.tokens(column).collect()).collect();
                        for row in 0..rows.len() {
                            let tokens: Vec<_> = tokens.iter().map(|column| column[row].bytes().to_vec()).collect();
                            let (line, position) = rows.part(row, 1).line(0, start as u64);
                            assert_eq!((line, position), (&tokens.join(&b' ')[..], start as u64));
                            assert_eq!(rows.line(row, 0).0, line);
                            found.push(Ok(tokens));
                        }
                    }
                }
            }
            assert!(found.len() > before, "every span gives a line");
            at += lines.used();
        }
        found
    }

    /// The same line by line.
    fn expected(text: &[u8], n_columns: usize, max_line_bytes: usize) -> Vec<Result<Vec<Vec<u8>>, Vec<u8>>> {
        let lines = text.split_inclusive(|byte| *byte == b'\n').map(|line| {
            let tokens: Vec<_> = line.split(|byte| matches!(byte, b' ' | b'\t' | b'\n')).map(<[u8]>::to_vec).collect();
            let is_row = line.ends_with(b"\n")
                && !line.ends_with(b"\r\n")
                && line.len() <= max_line_bytes
                && tokens.len() == n_columns + 1
                && tokens.iter().filter(|token| token.is_empty()).count() == 1;
            if is_row { Ok(tokens[..n_columns].to_vec()) } else { Err(line.to_vec()) }
        });
        lines.collect()
    }

    proptest! {
        #[test]
        fn lines_are_cut_as_one_by_one(
            lines in prop::collection::vec("[a\0]{1,70} [a]{1,9} [a]{1,9}(| |\r| a|\u{e9})\n|[ a\n\r]{0,9}\n", 0..40),
            last in "[ a]{0,80}",
        ) {
            let text = lines.concat() + &last;
            prop_assert_eq!(cut(text.as_bytes(), 3, 75), expected(text.as_bytes(), 3, 75));
        }
    }

    #[test]
    fn lines_longer_than_a_span() {
        let long = "a".repeat(2 * SPAN_BYTES);
        for text in [format!("a b\n{long} b\na b\n"), format!("{long} b\n{long}"), long.clone()] {
            let max = 3 * SPAN_BYTES;
            let lines: Vec<_> = cut(text.as_bytes(), 2, max);
            let shapes: Vec<_> = lines.iter().map(|line| line.as_ref().map(Vec::len).map_err(Vec::len)).collect();
            let wanted = expected(text.as_bytes(), 2, max).into_iter().map(|line| match line {
                Ok(tokens) if tokens[0].len() > SPAN_BYTES => Err(tokens.join(&b' ').len() + 1),
                Ok(tokens) => Ok(tokens.len()),
                Err(line) => Err(line.len()),
            });
            assert_eq!(shapes, wanted.collect::<Vec<_>>());
        }
    }
}
