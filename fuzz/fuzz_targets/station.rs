//! Fuzzes a station with frames, and the reader of RMC messages: `cargo fuzz run station`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| varan_station::fuzz_one(data));
