//! Fuzzes the reader of firmware packages: `cargo fuzz run firmware fuzz/firmware-corpus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_model::firmware::fuzz_one(data));
