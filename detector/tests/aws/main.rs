//! The deployed shape, end to end: `bootstrap` behind Lambda's runtime interface, S3, SNS and SQS as moto plays them.

mod agree;
mod bad_input;
mod cloud;
mod faults;
mod http;
mod inventory;
mod measure;
mod proxy;
mod redelivery;
mod runtime;
mod sample;
