//! What normal looks like: observations, the destination ladder, distributions, learning, merging, the stored form.
//!
//! The lower floor: knows nothing of flow log formats, of AWS's APIs or of what is odd. The `detector` stands on it.

pub mod accept;
pub mod activity;
pub mod baseline;
mod baselines;
mod bounds;
pub mod distribution;
mod familiar;
pub mod follow;
pub mod heirs;
pub mod known;
pub mod ladder;
pub mod leb128;
mod merge;
pub mod names;
pub mod near;
pub mod newcomer;
pub mod observation;
mod packed;
mod past;
pub mod slots;
pub mod standing;
pub mod store;
pub mod table;
#[cfg(test)]
mod testing;
pub mod thrift;
mod watched;
pub mod window;

pub use baselines::{Baselines, Fleet, LearnedFrom};
