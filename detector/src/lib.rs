//! The engine.

pub mod flow;
pub mod read;
