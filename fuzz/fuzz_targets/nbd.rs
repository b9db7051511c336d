//! Fuzzes both sides of the network block device protocol: `cargo fuzz run nbd fuzz/nbd-corpus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_nbd::fuzz_one(data));
