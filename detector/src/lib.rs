

pub mod config;
pub mod coverage;
pub mod finding;
pub mod flow;
pub mod read;
pub mod resolve;
pub mod rollup;
pub mod write;
