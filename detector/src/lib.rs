//! The engine.

pub mod resolve;
