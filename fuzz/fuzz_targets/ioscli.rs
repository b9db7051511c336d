//! Fuzzes the grammar of ioscli, one word on each line: `cargo fuzz run ioscli fuzz/ioscli-corpus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_command::vios::fuzz_one(data));
