//! The deployed shape, end to end: `bootstrap` behind Lambda's runtime interface, S3, SNS and SQS as moto plays them.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that fails by indexing says all there is to say"
)]

mod agree;
mod alerts;
mod bad_input;
mod cargo_lambda;
mod cloud;
mod faults;
mod http;
mod inventory;
mod measure;
mod proxy;
mod queue;
mod redelivery;
mod runtime;
mod sample;
