//! `callout`, the door for people: reads files, prints findings.

mod args;

fn main() {}
