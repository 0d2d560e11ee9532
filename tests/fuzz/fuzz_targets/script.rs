//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz script`.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target checks one of the properties")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::script(data));
