//! Error: why a knowledge file could not be taken.

use super::inventory::SCHEMA;

/// Why a knowledge file could not be taken. Each is the file's fault or its choice, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The inventory is not JSON of the form the CLI prints.
    #[error(
        "`{origin}` is not what `{command}` prints: a JSON object with `{field}`; run `{command} --output json > FILE`"
    )]
    NotInventory {
        /// The file.
        origin: String,
        /// The field that must be there.
        field: &'static str,
        /// What prints it.
        command: &'static str,
        /// What the parser met; none when the field is missing.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The inventory snapshot is of another version.
    #[error("`{origin}` has the schema `{schema}`; this version reads `{SCHEMA}`")]
    Schema {
        /// The file.
        origin: String,
        /// The schema it names.
        schema: String,
    },
    /// The inventory snapshot does not say when it was taken.
    #[error("`taken_at` of `{origin}` is `{value}`; it must be a time as in `2026-03-31T08:58:02Z`")]
    TakenAt {
        /// The file.
        origin: String,
        /// What it says instead.
        value: String,
    },
    /// A function has no ARN of the known form.
    #[error(
        "`{origin}` has the function ARN `{value}`; it must be `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME`"
    )]
    FunctionArn {
        /// The file.
        origin: String,
        /// What stands in its place.
        value: String,
    },
    /// The file is not AWS's list of ranges.
    #[error(
        "`{origin}` is not AWS's `ip-ranges.json`; download it from https://ip-ranges.amazonaws.com/ip-ranges.json"
    )]
    NotAwsRanges {
        /// The file.
        origin: String,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// A block of AWS's ranges is none.
    #[error("`{origin}` lists `{value}`, which is not a CIDR block")]
    NotBlock {
        /// The file.
        origin: String,
        /// What stands in its place.
        value: String,
        /// What the parser met.
        source: ipnet::AddrParseError,
    },
    /// The file is neither a MaxMind-format database nor an iptoasn table.
    #[error(
        "`{origin}` is neither a MaxMind-format database nor a table of `start end asn country name`, tab-separated \
         (lines rejected: {rejected})"
    )]
    NotAsn {
        /// The file.
        origin: String,
        /// Its lines.
        rejected: u64,
    },
    /// The MaxMind-format database cannot be read.
    #[error("`{origin}` is a damaged MaxMind-format database; download it again")]
    Mmdb {
        /// The file.
        origin: String,
        /// What the reader met.
        source: maxminddb::MaxMindDbError,
    },
    /// The search tree of the MaxMind-format database meets itself or leaves the file.
    #[error("`{origin}` is a MaxMind-format database with a damaged search tree; download it again")]
    MmdbTree {
        /// The file.
        origin: String,
    },
    /// The MaxMind-format database is about something else.
    #[error("`{origin}` names no autonomous systems (it is a `{database}` database); use one such as GeoLite2-ASN")]
    NoAsn {
        /// The file.
        origin: String,
        /// Its type, as it names itself.
        database: String,
    },
    /// A list has no entry.
    #[error("`{origin}` has no line that is an address or a CIDR block (lines rejected: {rejected})")]
    EmptyList {
        /// The file.
        origin: String,
        /// Its lines that are no comment.
        rejected: u64,
    },
    /// The gzip around a file is damaged.
    #[error("`{origin}` is damaged gzip")]
    Gzip {
        /// The file.
        origin: String,
        /// What the decoder met.
        source: std::io::Error,
    },
    /// The gzip around a file holds more than any knowledge file has.
    #[error("`{origin}` unpacks to more than {limit_bytes} bytes")]
    TooLarge {
        /// The file.
        origin: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// The file is text of two bytes a character.
    #[error("`{origin}` is UTF-16, as some shells on Windows write what they are told to print; save it as UTF-8")]
    Utf16 {
        /// The file.
        origin: String,
    },
    /// The file is a tar archive.
    #[error("`{origin}` is a tar archive; unpack it and pass the file inside")]
    Archive {
        /// The file.
        origin: String,
    },
}
