use proptest::prelude::*;

use super::*;

fn image(level: &str, last_disruptive: u16) -> FirmwareImage {
    let level: FirmwareLevel = level.parse().expect("level");
    FirmwareImage { level, service_pack: "FW830.10".to_owned(), last_disruptive, deferred: false }
}

fn levels(level: &str) -> FirmwareLevels {
    FirmwareLevels::delivered(image(level, 48), image(level, 48))
}

const DESCRIPTION: &str = "# A package\nlevel=01SV830_068\nlast_disruptive_level=48\nservice_pack_name=FW830.10\n\
    machines=8286-41A, 8286-42A\nminimum_console_release=V8R8.3.0\nrequired_fixes=MH01514\ndeferred=1\n\
    image=01SV830_068_048.img\n\
    image_sha256=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";

#[test]
fn a_description_is_read() {
    let package = FirmwarePackage::parse(DESCRIPTION).expect("package");
    assert_eq!(package.name(), "01SV830_068_048");
    assert!(package.image.deferred);
    assert_eq!(package.console_needed(), "V8R8.3.0 MH01514");
    assert!(package.is_for("8286-42A", "01SV810"));
    assert!(!package.is_for("8286-42A", "01SC860"));
    assert!(!package.is_for("9119-MME", "01SV810"));
    assert_eq!(FirmwarePackage::parse(&package.description()), Ok(package));
}

#[test]
fn the_fuzzers_corpus_replays() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/firmware-corpus");
    let mut inputs = 0;
    for entry in std::fs::read_dir(directory).expect("corpus") {
        fuzz_one(&std::fs::read(entry.expect("entry").path()).expect("input"));
        inputs += 1;
    }
    assert!(inputs >= 10);
}

proptest! {
    #[test]
    fn damaged_descriptions_never_panic(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..20, "[\\PC\n=,]{0,8}"), 1..4),
    ) {
        let mut text: Vec<char> = DESCRIPTION.chars().collect();
        for (at, length, insert) in cuts {
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, insert.chars());
        }
        fuzz_one(text.into_iter().collect::<String>().as_bytes());
    }
}

#[test]
fn what_is_wrong_in_a_description_is_named() {
    let with = |from: &str, to: &str| FirmwarePackage::parse(&DESCRIPTION.replace(from, to));
    for (from, to, error) in [
        ("level=01SV830_068\n", "", PackageError::Missing("level")),
        ("01SV830_068\n", "SV830_068\n", PackageError::Value("level", "SV830_068".to_owned())),
        ("level=01SV830_068", "level=01é830_068", PackageError::Value("level", "01é830_068".to_owned())),
        ("_level=48", "_level=69", PackageError::Value("last_disruptive_level", "69".to_owned())),
        ("deferred=1", "deferred=yes", PackageError::Value("deferred", "yes".to_owned())),
        ("machines=8286-41A, 8286-42A", "machines= ,", PackageError::Missing("machines")),
        ("V8R8.3.0", "8.3.0", PackageError::Value("minimum_console_release", "8.3.0".to_owned())),
        ("image=01", "image=../01", PackageError::Value("image", "../01SV830_068_048.img".to_owned())),
        ("deferred=1", "deferred=1\ndeferred=1", PackageError::Key("deferred".to_owned())),
        ("deferred=1", "price=1", PackageError::Key("price".to_owned())),
        ("deferred=1", "deferred", PackageError::Line(8)),
    ] {
        assert_eq!(with(from, to), Err(error), "{to}");
    }
    assert_eq!(
        FirmwarePackage::parse(&"#".repeat(PACKAGE_DESCRIPTION_BYTES_MAX + 1)),
        Err(PackageError::TooLong)
    );
}

#[test]
fn a_console_needs_the_release_and_at_just_that_release_the_fixes() {
    let package = FirmwarePackage::parse(DESCRIPTION).expect("package");
    let fix = ["MH01514: Required fix".to_owned()];
    assert!(package.allows_console(Release(8, 8, 3, 0), &fix));
    assert!(!package.allows_console(Release(8, 8, 3, 0), &[]));
    assert!(package.allows_console(Release(8, 8, 4, 0), &[]));
    assert!(!package.allows_console(Release(8, 8, 2, 0), &fix));
    assert!(package.allows_console(Release(9, 1, 9, 42), &[]));
}

#[test]
fn within_a_release_an_image_above_its_last_disruptive_level_is_concurrent() {
    for (from, to, last_disruptive, concurrent) in [
        ("01SV830_048", "01SV830_068", 48, true),
        ("01SV830_048", "01SV830_075", 68, false),
        ("01SV830_068", "01SV830_075", 68, true),
        ("01SV810_101", "01SV830_048", 48, false),
    ] {
        let to = image(to, last_disruptive);
        assert_eq!(levels(from).activates_concurrently(&to), concurrent, "{from} {to:?}");
    }
    let mut from = levels("01SV830_048");
    from.start(false);
    assert!(!from.activates_concurrently(&image("01SV830_068", 48)));
}

#[test]
fn a_deferred_part_waits_for_the_next_start() {
    let mut levels = levels("01SV830_048");
    let mut new = image("01SV830_068", 48);
    new.deferred = true;
    levels.temporary = new.clone();
    levels.activate_concurrently();
    assert_eq!((&levels.activated, levels.deferred.as_ref()), (&new, Some(&new)));
    assert_eq!(levels.platform_ipl.level.level, 48);
    // A later concurrent image without a deferred part leaves the earlier one waiting.
    levels.temporary = image("01SV830_075", 48);
    levels.activate_concurrently();
    assert_eq!(levels.deferred.as_ref(), Some(&new));
    levels.start(true);
    assert_eq!((levels.platform_ipl.level.level, &levels.deferred), (75, &None));
}

#[test]
fn going_back_is_concurrent_to_the_last_disruptive_level() {
    let mut levels = levels("01SV830_048");
    levels.temporary = image("01SV830_068", 48);
    levels.activate_concurrently();
    assert!(levels.activates_concurrently(&levels.permanent));
    levels.activated = image("01SV830_068", 60);
    assert!(!levels.activates_concurrently(&levels.permanent));
}
