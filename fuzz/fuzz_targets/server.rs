//! Fuzzes the network of a Virtual I/O Server: `cargo fuzz run server fuzz/server-corpus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_fabric::server::fuzz_one(data));
