//! The offline door.
fn main() {}
