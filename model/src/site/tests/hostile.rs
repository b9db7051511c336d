//! Input that nobody wrote by hand: damaged files, arbitrary text, and the fuzzer's corpus.

use std::path::Path;

use proptest::prelude::*;

use super::super::fuzz_one;

const BASE: &str = include_str!("base.toml");

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, "[\\PC\n]{0,12}"), 1..4),
    ) {
        let mut text: Vec<char> = BASE.chars().collect();
        for (at, length, insert) in cuts {
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, insert.chars());
        }
        fuzz_one(text.into_iter().collect::<String>().as_bytes());
    }

    #[test]
    fn exchanged_values_never_panic(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        // A line's value behind another line's key: right TOML, wrong meaning.
        let mut lines: Vec<String> = BASE.lines().map(str::to_owned).collect();
        let source = lines[from.index(lines.len())].clone();
        let target = to.index(lines.len());
        if let (Some((_, value)), Some((key, _))) =
            (source.split_once(" = "), lines[target].clone().split_once(" = "))
        {
            lines[target] = format!("{key} = {value}");
        }
        fuzz_one(lines.join("\n").as_bytes());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_one(&bytes);
    }

    #[test]
    fn arbitrary_values_never_panic(line in any::<prop::sample::Index>(), value in "\\PC{0,30}") {
        let mut lines: Vec<String> = BASE.lines().map(str::to_owned).collect();
        let line = line.index(lines.len());
        if let Some((key, _)) = lines[line].clone().split_once(" = ") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            lines[line] = format!("{key} = \"{quoted}\"");
        }
        fuzz_one(lines.join("\n").as_bytes());
    }
}

#[test]
fn the_corpus_is_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/site-corpus");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("fuzz/site-corpus") {
        fuzz_one(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
        count += 1;
    }
    assert!(count >= 20, "{count} inputs in {}", folder.display());
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("site = {}{}", "[".repeat(20_000), "]".repeat(20_000));
    fuzz_one(text.as_bytes());
    let keys = vec!["a"; 20_000].join(".");
    fuzz_one(format!("{keys} = 1").as_bytes());
    fuzz_one(format!("[{keys}]").as_bytes());
}

#[test]
fn a_small_file_cannot_ask_for_much_memory() {
    // 256 systems with 4,096 partitions each, from one generator in a template of the text.
    let mut text = String::from("[site]\nname = \"big\"\n");
    for number in 1..=256 {
        text.push_str(&format!(
            "[[managed_system]]\nname = \"f{number}\"\ntype_model_serial = \"9119-MHE*10A{number:04}\"\n\
             processor_family = \"POWER8\"\ninstalled_processors = 1\ninstalled_memory = 1024\n\
             firmware_level = \"01SC860_056\"\nmaximum_partitions = 4096\n\
             [[managed_system.generate_partitions]]\ncount = 4096\nname = \"p{{n}}\"\n\
             profile = 'all_resources=1'\n"
        ));
    }
    let error = super::super::Site::parse(&text, "big.toml").expect_err("too many");
    assert!(error.to_string().ends_with("more than 50000 partitions in the site"), "{error}");
}
