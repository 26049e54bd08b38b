//! Seeded fleets of Lambda functions, their flow logs, and the measurements made with them.
//!
//! The data's way: `internet` (who owns which address) ─▶ `fleet` (functions, interfaces, destinations)
//! ─▶ `traffic` and `attacks` (connections) ─▶ `traffic::capture` (flow records) ─▶ `write` (objects in S3 layout).
//! `evaluate`, `compare` and `goals` run the detector and its peers over what was written.
//!
//! What it does not do: read a clock but to measure, iterate in hash order, or call the engine (call-outs and their
//! packets are those of `detector::drill`, so that what is evaluated is what users drill). The same seed gives the same
//! bytes.
#![expect(clippy::indexing_slicing, reason = "indexes tables this crate filled itself; no index comes from input")]

mod attacks;
mod calendar;
mod cases;
mod compare;
mod evaluate;
mod fleet;
mod goals;
mod internet;
mod traffic;
mod truth;
mod write;

use detector::drill::dice;

pub use cases::{FleetOptions, Large, write_fleet, write_large, write_sample_logs};
pub use compare::{Comparison, compare};
pub use evaluate::{Evaluation, Sensitivity, evaluate};
pub use goals::{Goals, goals};
pub use write::{Fields, Granularity, ObjectFormat};
