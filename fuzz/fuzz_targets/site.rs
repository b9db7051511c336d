//! Fuzzes the site parser: `cargo fuzz run site fuzz/site-corpus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_model::site::fuzz_one(data));
