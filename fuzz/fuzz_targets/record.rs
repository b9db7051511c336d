//! Fuzzes the record parser: `cargo fuzz run record fuzz/record-corpus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_model::record::fuzz_one(data));
