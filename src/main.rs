//! The `ringferry` program.
#![forbid(unsafe_code)]

fn main() {}
