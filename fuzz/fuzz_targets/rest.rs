//! Fuzzes the readers of REST requests: `cargo fuzz run rest fuzz/rest-corpus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_rest::fuzz_one(data));
