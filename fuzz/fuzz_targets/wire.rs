//! Fuzzes the wire parser: `cargo fuzz run wire fuzz/wire-corpus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_wire::fuzz_one(data));
