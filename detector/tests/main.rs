//! The tests that look at the whole from outside, one binary for all.

mod accept;
mod checks;
mod deployments;
mod doors;
mod drills;
mod fleets;
mod incidents;
mod initiator;
mod log;
mod oracle;
mod samples;
mod sleepers;
mod strangers;
mod tidy;
