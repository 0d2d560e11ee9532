//! `cargo +nightly fuzz run proxy_protocol`, from the directory `parser`.
#![no_main]

#[path = "../properties.rs"]
#[allow(dead_code, reason = "each target checks one of the properties")]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::proxy_protocol(data));
