//! Flow log text: a header that names the fields, then a record a line.
//!
//! Where it sits: takes bytes from an object or from `gzip`, gives batches.
//! What it does not do: it never goes by position or token count; a line that does not fit the header is a counted
//! reject.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_schema::ArrowError;

use crate::flow::{Field, FlowBatch};
use crate::read::account::{Account, Reason};
use crate::read::batch::{self, Column};
use crate::read::cut::{Cuts, Joined, Piece, Rows};
use crate::read::field::{Places, is_known, spelled};
use crate::read::sink::{Marks, Odd, SharedAddresses, Sink};
use crate::read::source::{Block, Source};
use crate::read::{Each, Error, Limits, rule};

/// The longest header accepted; all of AWS's fields together have a thousand bytes.
pub(super) const MAX_HEADER_BYTES: usize = 16 << 10;

/// The most blank lines in an object, or a part of it: what is read in about a second.
const MAX_BLANK_LINES: u64 = 10_000_000;

/// The byte-order mark some editors and shells put before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A header, checked.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Its names, for knowing it again in concatenated objects.
    names: Vec<String>,
    places: Places,
}

impl Header {
    /// Reads the header from the first bytes of an object.
    ///
    /// # Errors
    /// [`Error::NotFlowLog`] when the first line is no header, [`Error::OtherLog`], [`Error::MissingField`].
    pub(super) fn parse(object: &Arc<str>, start: &[u8]) -> Result<Self, Error> {
        let mut lines = start.split(|byte| *byte == b'\n');
        let line = lines.find(|line| !without_bom(line).trim_ascii().is_empty()).unwrap_or_default();
        let refuse = |what: &str| Error::NotFlowLog { object: Arc::clone(object), what: what.to_owned() };
        let names = if line.len() <= MAX_HEADER_BYTES { words(line) } else { Vec::new() };
        if !is_header(&names) {
            return Err(refuse(what_else(without_bom(start), &names)));
        }
        let places = Places::find(object, names.iter().map(String::as_str))?;
        Ok(Self { names, places })
    }

    /// Whether the words of a line are the same names.
    fn is_again(&self, words: &[String]) -> bool {
        words.iter().map(|word| spelled(word)).eq(self.names.iter().map(|name| spelled(name)))
    }
}

fn without_bom(line: &[u8]) -> &[u8] {
    line.strip_prefix(BOM).unwrap_or(line)
}

/// The words of a line that may be a header.
fn words(line: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(without_bom(line)).split_ascii_whitespace().map(str::to_owned).collect()
}

/// Whether the words of a line are field names: all look like names and one is known.
fn is_header(names: &[String]) -> bool {
    let is_name = |name: &String| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    names.iter().all(is_name) && names.iter().any(|name| is_known(name))
}

/// Says what an object is that does not start with a header.
fn what_else(start: &[u8], names: &[String]) -> &'static str {
    let holds = |needle: &[u8]| memchr::memmem::find(start, needle).is_some();
    let first = start.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    if matches!(first, Some(b'{' | b'[')) {
        if holds(b"\"messageType\"") || holds(b"\"logEvents\"") {
            "a CloudWatch Logs envelope (JSON), not a flow log object; let the flow log deliver to S3"
        } else {
            "JSON, not a flow log object"
        }
    } else if names.len() > 1 && names.iter().any(|name| name.starts_with("eni-")) {
        "flow records without a header line, as CloudWatch Logs holds them; put the field names in a first line"
    } else if names.is_empty() && first.is_none() {
        "nothing but blanks, not a flow log object"
    } else {
        "neither Parquet, nor gzip, nor text that starts with flow log field names"
    }
}

/// Reads text into batches.
pub(super) struct Reader<'a> {
    object: &'a Arc<str>,
    header: &'a Header,
    limits: &'a Limits,
    /// The status first, then the fields in their order: of several bad values the first one's counts, whatever the
    /// order in the log, the same as in Parquet.
    sinks: Vec<Sink>,
    addresses: SharedAddresses,
    marks: Marks,
    n_rows: usize,
    n_blank: u64,
    account: Account,
    /// Batches to be given.
    ready: Vec<FlowBatch>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(object: &'a Arc<str>, header: &'a Header, limits: &'a Limits) -> Self {
        let places = &header.places;
        let fields = Field::ALL.into_iter().filter_map(|field| Some((places.of(field)?, field)));
        let fields = fields.map(|(column, field)| Sink::new(column, field, limits.max_batch_rows));
        let sinks = places.status.map(Sink::status).into_iter().chain(fields).collect();
        let (addresses, marks, account) =
            (SharedAddresses::new(), Marks::new(places.status.is_some()), Account::default());
        Self { object, header, limits, sinks, addresses, marks, n_rows: 0, n_blank: 0, account, ready: Vec::new() }
    }

    /// Reads all lines of a source. Where a thread is free, it parses lines while batches are taken.
    ///
    /// # Errors
    /// Those of the source, and [`Error::NotFlowLog`] for a second header that names other fields.
    pub(super) fn read(mut self, source: Source, each: Each<'_>) -> Result<Account, Error> {
        let (mut cuts, mut joined) = (Cuts::default(), Joined::default());
        source.read(&mut |block| {
            let ready = std::mem::take(&mut self.ready);
            let parse = || self.block(&block, &mut cuts, &mut joined);
            rayon::join(|| ready.into_iter().for_each(&mut *each), parse).1
        })?;
        self.flush()?;
        self.ready.into_iter().for_each(each);
        Ok(self.account)
    }

    fn block(&mut self, block: &Block<'_>, cuts: &mut Cuts, joined: &mut Joined) -> Result<(), Error> {
        let Block { lines: mut rest, mut position, is_too_long } = *block;
        if is_too_long {
            self.account.reject(Reason::LineTooLong, self.object, position, || shown(rest));
            return Ok(());
        }
        while !rest.is_empty() {
            let mut lines = cuts.lines(rest, self.header.places.n_columns, self.limits.max_line_bytes);
            while let Some((piece, offset)) = lines.next() {
                let position = position + offset as u64;
                match piece {
                    Piece::Rows(rows) => self.rows(rows, &|row| rows.line(row, position))?,
                    Piece::Line(line) => self.line(line, position, joined)?,
                }
            }
            position += lines.used() as u64;
            rest = rest.get(lines.used()..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes a line that needs a closer look.
    fn line(&mut self, line: &[u8], position: u64, joined: &mut Joined) -> Result<(), Error> {
        let n_bytes = line.len();
        let line = without_end(line);
        if line.trim_ascii().is_empty() {
            return self.blank(position);
        }
        if n_bytes > self.limits.max_line_bytes {
            self.account.reject(Reason::LineTooLong, self.object, position, || shown(line));
            return Ok(());
        }
        let tokens = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|token| !token.is_empty());
        let tokens: Vec<&[u8]> = tokens.collect();
        if tokens.len() != self.header.places.n_columns {
            return self.reject(Reason::WrongFieldCount, line, position);
        }
        self.rows(joined.row(&tokens), &|_| (line, position))
    }

    /// Counts a line of nothing: text of little else takes long to read and says nothing.
    fn blank(&mut self, position: u64) -> Result<(), Error> {
        self.n_blank += 1;
        if self.n_blank <= MAX_BLANK_LINES {
            return Ok(());
        }
        let what = format!("more than {MAX_BLANK_LINES} blank lines before byte {position}");
        Err(Error::Corrupt { object: Arc::clone(self.object), format: "text", what })
    }

    /// Takes lines of as many tokens as the header; `line` gives one of them as it was, and its position.
    fn rows<'b>(&mut self, rows: Rows<'_>, line: &dyn Fn(usize) -> (&'b [u8], u64)) -> Result<(), Error> {
        let mut n_taken = 0;
        while n_taken < rows.len() {
            let part = rows.part(n_taken, self.limits.max_batch_rows.saturating_sub(self.n_rows).max(1));
            for sink in &mut self.sinks {
                sink.take(part, &mut self.addresses, &mut self.marks);
            }
            self.mark_odd_windows();
            let odd = self.marks.take();
            let n_ok = part.len() - odd.len();
            if !odd.is_empty() {
                for sink in &mut self.sinks {
                    sink.drop_rows(self.n_rows, &odd);
                }
                for (row, odd) in odd {
                    let (line, position) = line(n_taken + row);
                    self.odd(odd, line, position)?;
                }
            }
            self.n_rows += n_ok;
            self.account.rows_read += n_ok as u64;
            self.account.rows_ok += n_ok as u64;
            if self.n_rows >= self.limits.max_batch_rows {
                self.flush()?;
            }
            n_taken += part.len();
        }
        Ok(())
    }

    /// Marks the rows taken last whose window ends before it starts, or lasts too long.
    fn mark_odd_windows(&mut self) {
        let times = |wanted| {
            let sink = self.sinks.iter().find(|sink| sink.field == Some(wanted));
            sink.and_then(|sink| sink.times().get(self.n_rows..)).unwrap_or_default()
        };
        for (row, (start, end)) in times(Field::Start).iter().zip(times(Field::End)).enumerate() {
            if let Some(reason) = rule::odd_window(*start, *end) {
                self.marks.mark(row, Odd::Rejected(reason));
            }
        }
    }

    #[cold]
    fn odd(&mut self, odd: Odd, line: &[u8], position: u64) -> Result<(), Error> {
        match odd {
            Odd::Nodata => self.account.rows_nodata += 1,
            Odd::Skipdata => self.account.rows_skipdata += 1,
            Odd::Rejected(reason) => return self.reject(reason, line, position),
        }
        self.account.rows_read += 1;
        Ok(())
    }

    /// Counts a line that is no record, unless it is a header again, as in objects put together from several.
    #[cold]
    fn reject(&mut self, reason: Reason, line: &[u8], position: u64) -> Result<(), Error> {
        let names = words(line);
        if self.header.is_again(&names) {
            return Ok(());
        }
        // No value of a record is called like a field.
        if names.iter().filter(|name| is_known(name)).count() > 1 {
            let what = format!("a second header at byte {position} names other fields; split the object there");
            return Err(Error::NotFlowLog { object: Arc::clone(self.object), what });
        }
        self.account.reject(reason, self.object, position, || shown(line));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.n_rows == 0 {
            return Ok(());
        }
        let corrupt = |what| Error::Corrupt { object: Arc::clone(self.object), format: "text", what };
        let mut columns = self.columns().map_err(|error| corrupt(error.to_string()))?;
        let twins = batch::take_twins(&mut columns);
        let batch = batch::finish(self.n_rows, columns, &twins).map_err(|error| corrupt(error.to_string()))?;
        self.n_rows = 0;
        self.ready.push(batch);
        Ok(())
    }

    fn columns(&mut self) -> Result<Vec<(Field, Column)>, ArrowError> {
        let mut columns = Vec::with_capacity(Field::COUNT);
        for sink in &mut self.sinks {
            let column = sink.finish(self.limits.max_batch_rows, &mut self.addresses)?;
            columns.extend(sink.field.zip(column));
        }
        self.addresses.start_batch();
        Ok(columns)
    }
}

/// A line without its line end.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn shown(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line.get(..line.len().min(512)).unwrap_or_default())
}
