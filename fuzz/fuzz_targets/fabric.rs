//! Fuzzes a machine's network and the switches outside: `cargo fuzz run fabric fuzz/fabric-corpus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_fabric::fuzz_one(data));
