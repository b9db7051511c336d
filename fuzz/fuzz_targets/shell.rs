//! Fuzzes the shell parser: `cargo fuzz run shell fuzz/shell-corpus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_shell::fuzz_one(data));
