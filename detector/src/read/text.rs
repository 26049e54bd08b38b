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
use crate::read::field::{Places, is_known};
use crate::read::rule::{self, Rule};
use crate::read::sink::{Kind, SharedAddresses, Sink};
use crate::read::source::Source;
use crate::read::{Error, Limits};

/// The longest header accepted; all of AWS's fields together have a thousand bytes.
pub(super) const MAX_HEADER_BYTES: usize = 16 << 10;

/// The byte-order mark some editors and shells put before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A header, checked.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Its bytes without the line end, for knowing it again in concatenated objects.
    line: Vec<u8>,
    places: Places,
}

impl Header {
    /// Reads the header from the first bytes of an object.
    ///
    /// # Errors
    /// [`Error::NotFlowLog`] when the first line is no header, [`Error::MissingField`].
    pub(super) fn parse(object: &Arc<str>, start: &[u8]) -> Result<Self, Error> {
        let start = start.strip_prefix(BOM).unwrap_or(start);
        let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let refuse = |what: &str| Error::NotFlowLog { object: Arc::clone(object), what: what.to_owned() };
        let text = std::str::from_utf8(line).ok().filter(|line| line.len() <= MAX_HEADER_BYTES);
        let names: Vec<String> = text.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
        if !is_header(&names) {
            return Err(refuse(what_else(start, &names)));
        }
        let places = Places::find(object, names.iter().map(String::as_str))?;
        Ok(Self { line: line.to_vec(), places })
    }
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
    /// One for each field of the header, in its order.
    sinks: Vec<Sink>,
    addresses: SharedAddresses,
    n_rows: usize,
    account: Account,
    each: &'a mut dyn FnMut(FlowBatch),
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        object: &'a Arc<str>,
        header: &'a Header,
        limits: &'a Limits,
        each: &'a mut dyn FnMut(FlowBatch),
    ) -> Self {
        let places = &header.places;
        let sink_at = |at| {
            let field = Field::ALL.into_iter().find(|field| places.of(*field) == Some(at));
            Sink::new(field, places.status == Some(at), limits.max_batch_rows)
        };
        let sinks = (0..places.n_columns).map(sink_at).collect();
        let (addresses, account) = (SharedAddresses::new(), Account::default());
        Self { object, header, limits, sinks, addresses, n_rows: 0, account, each }
    }

    /// Reads all lines of a source.
    ///
    /// # Errors
    /// Those of the source, and [`Error::NotFlowLog`] for a second header that names other fields.
    pub(super) fn read(mut self, mut source: Source) -> Result<Account, Error> {
        while let Some(block) = source.next_block()? {
            if let Some(position) = block.long_line {
                self.account.reject(Reason::LineTooLong, self.object, position, || shown(block.lines));
                continue;
            }
            let mut rest = block.lines;
            while !rest.is_empty() {
                if let Some(length) = self.clean_line(rest) {
                    rest = rest.get(length..).unwrap_or_default();
                    self.count_row()?;
                    continue;
                }
                for sink in &mut self.sinks {
                    sink.truncate(self.n_rows);
                }
                let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
                let (line, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                self.line(line, block.position + (block.lines.len() - rest.len()) as u64)?;
                rest = after;
            }
        }
        self.flush()?;
        Ok(self.account)
    }

    /// Takes a line that is a record of traffic with nothing odd about it, in one pass, and says how long it is. Everything
    /// else, and every rejection, is left to [`Reader::line`].
    fn clean_line(&mut self, lines: &[u8]) -> Option<usize> {
        let mut rest = lines;
        for sink in &mut self.sinks {
            let length = sink.take(rest, &mut self.addresses).filter(|length| *length > 0)?;
            rest = rest.get(length..)?;
            match rest {
                [b' ' | b'\t', after @ ..] => rest = after,
                [b'\n' | b'\r', ..] => {}
                _ => return None,
            }
        }
        while let [b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
        let after = rest.strip_prefix(b"\r").unwrap_or(rest).strip_prefix(b"\n")?;
        let length = lines.len() - after.len();
        (length <= self.limits.max_line_bytes && !self.ends_before_start()).then_some(length)
    }

    fn count_row(&mut self) -> Result<(), Error> {
        self.n_rows += 1;
        self.account.rows_read += 1;
        self.account.rows_ok += 1;
        if self.n_rows == self.limits.max_batch_rows { self.flush() } else { Ok(()) }
    }

    fn line(&mut self, line: &[u8], position: u64) -> Result<(), Error> {
        let n_bytes = line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(());
        }
        if n_bytes > self.limits.max_line_bytes {
            self.account.reject(Reason::LineTooLong, self.object, position, || shown(line));
            return Ok(());
        }
        match self.row(line) {
            Ok(rule::OK) => return self.count_row(),
            Ok(rule::NODATA) => {
                self.account.rows_read += 1;
                self.account.rows_nodata += 1;
            }
            Ok(_) => {
                self.account.rows_read += 1;
                self.account.rows_skipdata += 1;
            }
            Err(reason) => self.reject(reason, line, position)?,
        }
        for sink in &mut self.sinks {
            sink.truncate(self.n_rows);
        }
        Ok(())
    }

    /// Takes the values of a line and says what kind of record it is; only those of traffic stay.
    fn row(&mut self, line: &[u8]) -> Result<u8, Reason> {
        let tokens = || line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|token| !token.is_empty());
        let (mut n_tokens, mut status) = (0, Ok(u64::from(rule::OK)));
        for (at, token) in tokens().enumerate() {
            n_tokens = at + 1;
            if self.header.places.status == Some(at) {
                status = Rule::STATUS.text(token);
            }
        }
        if n_tokens != self.sinks.len() {
            return Err(Reason::WrongFieldCount);
        }
        let status = status? as u8;
        if status != rule::OK {
            return Ok(status);
        }
        // Of several bad values the first field's counts, whatever the order in the log: the same as in Parquet.
        let mut first_bad: Option<(Option<Field>, Reason)> = None;
        for (sink, token) in self.sinks.iter_mut().zip(tokens()) {
            if let Err(reason) = sink.push(token, &mut self.addresses) {
                let bad = (sink.field, reason);
                first_bad = Some(first_bad.map_or(bad, |first| first.min(bad)));
            }
        }
        match first_bad {
            Some((_, reason)) => Err(reason),
            None if self.ends_before_start() => Err(Reason::EndBeforeStart),
            None => Ok(status),
        }
    }

    fn ends_before_start(&self) -> bool {
        let last = |field| match &self.sinks.get(self.header.places.of(field)?)?.kind {
            Kind::I64(_, values) => values.last().copied(),
            _ => None,
        };
        matches!((last(Field::Start), last(Field::End)), (Some(start), Some(end)) if end < start)
    }

    /// Counts a line that is no record, unless it is a header again, as in objects put together from several.
    #[cold]
    fn reject(&mut self, reason: Reason, line: &[u8], position: u64) -> Result<(), Error> {
        if line == self.header.line {
            return Ok(());
        }
        let names: Vec<String> = String::from_utf8_lossy(line).split_ascii_whitespace().map(str::to_owned).collect();
        if names.len() > 1 && is_header(&names) && names.iter().any(|name| name == "srcaddr") {
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
        let columns = self.columns().map_err(|error| corrupt(error.to_string()))?;
        let batch = batch::finish(self.n_rows, columns, &[]).map_err(|error| corrupt(error.to_string()))?;
        self.n_rows = 0;
        (self.each)(batch);
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

fn shown(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line.get(..line.len().min(512)).unwrap_or_default())
}
