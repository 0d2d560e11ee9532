//! `ringferry version`: what this binary is.

use super::{Exit, say};
use std::env::consts::{ARCH, OS};

pub(super) fn version() -> Exit {
    say(format_args!("ringferry {} ({ARCH}-{OS})", env!("CARGO_PKG_VERSION")));
    Exit::Ok
}
