//! Frames that nobody should send: the corpus of the fuzz target, and what is near it.

#![allow(missing_docs)]

use varan_environment::split_mix;

fn corpus() -> Vec<Vec<u8>> {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fabric-corpus");
    let mut files: Vec<_> =
        std::fs::read_dir(corpus).expect("corpus").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    assert!(files.len() >= 12, "{} files", files.len());
    files.iter().map(|path| std::fs::read(path).expect("read")).collect()
}

#[test]
fn the_corpus_breaks_nothing() {
    for data in corpus() {
        for end in (0..data.len().min(200)).chain([data.len()]) {
            varan_fabric::fuzz_one(&data[..end]);
        }
    }
}

/// The corpus with bytes changed, dropped and put together, in an order that comes from a seed.
#[test]
fn what_is_near_the_corpus_breaks_nothing() {
    let files = corpus();
    let rounds = if std::env::var_os("VARAN_SOAK").is_some() { 1_000_000 } else { 4_000 };
    for seed in 0..rounds {
        let mut state = seed;
        let mut random = |below: usize| usize::try_from(split_mix(&mut state) % below as u64).expect("small");
        let mut data = files[random(files.len())].clone();
        for _ in 0..=random(8) {
            let at = random(data.len());
            match random(6) {
                0 => data[at] = random(256).to_le_bytes()[0],
                1 => data[at] ^= 1 << random(8),
                2 => data.truncate(at.max(1)),
                // Another port, or something else happens.
                3 => data[at] = random(20).to_le_bytes()[0],
                4 => {
                    let other = &files[random(files.len())];
                    data.extend(&other[random(other.len())..]);
                }
                _ => {
                    let other = &files[random(files.len())];
                    data.extend(other);
                }
            }
        }
        let result = std::panic::catch_unwind(|| varan_fabric::fuzz_one(&data));
        if let Err(panic) = result {
            println!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
