//! The engine.

pub mod flow;
