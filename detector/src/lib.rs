

pub mod coverage;
pub mod finding;
pub mod flow;
pub mod resolve;
pub mod rollup;
