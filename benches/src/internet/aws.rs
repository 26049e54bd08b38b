//! AWS's address ranges as far as the fleets use them.
//!
//! A few of AWS's own published prefixes (`ip-ranges.json`).

use super::Prefix;

/// One entry of `ip-ranges.json`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) prefix: Prefix,
    pub(crate) region: &'static str,
    pub(crate) service: &'static str,
}

const fn range(a: u8, b: u8, c: u8, len: u8, region: &'static str, service: &'static str) -> Range {
    Range { prefix: Prefix::v4(a, b, c, 0, len), region, service }
}

pub(crate) const REGION: &str = "eu-west-1";

/// IPv4 ranges, each under its service; AWS lists each under `AMAZON` too.
pub(crate) const RANGES: [Range; 17] = [
    range(52, 218, 0, 17, REGION, "S3"),
    range(3, 5, 64, 21, REGION, "S3"),
    range(52, 92, 0, 17, REGION, "S3"),
    range(52, 94, 5, 24, REGION, "DYNAMODB"),
    range(52, 119, 240, 21, REGION, "DYNAMODB"),
    range(52, 94, 24, 23, REGION, "DYNAMODB"),
    range(54, 247, 0, 16, REGION, "EC2"),
    range(18, 200, 0, 16, REGION, "EC2"),
    range(54, 74, 0, 15, REGION, "EC2"),
    range(18, 97, 192, 18, REGION, "EC2"),
    range(52, 4, 0, 14, "us-east-1", "EC2"),
    range(50, 16, 0, 15, "us-east-1", "EC2"),
    range(18, 232, 0, 14, "us-east-1", "EC2"),
    range(108, 128, 160, 23, REGION, "API_GATEWAY"),
    range(13, 32, 0, 15, "GLOBAL", "CLOUDFRONT"),
    range(18, 64, 0, 14, "GLOBAL", "CLOUDFRONT"),
    range(99, 84, 0, 16, "GLOBAL", "CLOUDFRONT"),
];

/// Prefixes of one service in one region (or `GLOBAL`).
pub(crate) fn prefixes(service: &str, region: &str) -> Vec<Prefix> {
    RANGES.iter().filter(|r| r.service == service && r.region == region).map(|r| r.prefix).collect()
}
