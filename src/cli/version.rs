//! `ringferry version`: what this binary is.

use super::Exit;
use std::env::consts::{ARCH, OS};

pub(super) fn version() -> Exit {
    println!("ringferry {} ({ARCH}-{OS})", env!("CARGO_PKG_VERSION"));
    Exit::Ok
}
