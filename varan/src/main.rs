//! Varan: the binary.
fn main() {}
