//! Fuzzes the reader of QEMU's messages: `cargo fuzz run qmp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_qmp::fuzz_one(data));
