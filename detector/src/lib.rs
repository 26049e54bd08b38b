//! The engine: from the bytes of VPC flow logs to explained findings.
//!
//! Nouns ([`flow`], [`finding`], [`coverage`], …) first, then the five stages in the data's order, then the pipeline
//! that strings them together, and above it the drill. The engine does no I/O, reads no clock and no environment; its
//! two doors do.

pub mod amounts;
pub mod config;
pub mod coverage;
pub mod drill;
pub mod finding;
pub mod flow;
pub mod pipeline;
pub mod read;
pub mod resolve;
pub mod rollup;
pub mod score;
pub mod write;
