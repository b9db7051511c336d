use std::sync::Arc;

use super::*;
use crate::hardware::{Hardware, sample};
use crate::partition::{ReferenceCodes, Usage};
use crate::system::SystemSettings;

fn machine(level: &str) -> ManagedSystem {
    let mut hardware: Hardware = sample();
    hardware.deliver(level.parse().expect("level"), level.parse().expect("level"), "FW830.00".to_owned());
    let settings = SystemSettings::new(&hardware, true);
    ManagedSystem {
        hardware: Arc::new(hardware),
        settings,
        state: SystemState::Operating,
        usage: Usage::default(),
        reference_codes: ReferenceCodes::default(),
        partition_count: 0,
    }
}

fn package(level: &str, last_disruptive: u16) -> FirmwarePackage {
    FirmwarePackage {
        image: FirmwareImage {
            level: level.parse().expect("level"),
            service_pack: "FW830.10".to_owned(),
            last_disruptive,
            deferred: false,
        },
        machines: vec!["8286-41A".to_owned()],
        minimum_console: (8, 8, 3, 0),
        required_fixes: Vec::new(),
        image_file: "image".to_owned(),
        image_sha256: "0".repeat(64),
    }
}

fn reason(result: Result<Option<FirmwarePlan>, Refusal>) -> String {
    let refusal = result.expect_err("refused");
    assert_eq!(refusal.key, MessageKey::FirmwareOperationFailed);
    refusal.details.join("\n")
}

#[test]
fn an_update_within_the_release_is_concurrent_where_the_package_allows_it() {
    let system = machine("01SV830_048");
    let activate = |package| FirmwareOperation::Activate(Box::new(package));
    let of = |operation: &FirmwareOperation| plan(&system, operation).expect("plan").expect("a plan");
    assert_eq!(of(&activate(package("01SV830_068", 48))).activation, Activation::Concurrent);
    assert_eq!(of(&activate(package("01SV830_068", 60))).activation, Activation::PowerCycle);
    let install = FirmwareOperation::Install(Box::new(package("01SV830_068", 48)));
    assert_eq!(of(&install).activation, Activation::None);
    let upgrade = FirmwareOperation::Upgrade(Box::new(package("01SV830_068", 48)));
    assert_eq!(of(&upgrade).activation, Activation::PowerCycle);
}

#[test]
fn an_upgrade_goes_to_another_release_and_an_update_does_not() {
    let system = machine("01SV810_101");
    let new = Box::new(package("01SV830_048", 48));
    assert!(plan(&system, &FirmwareOperation::Upgrade(new.clone())).is_ok());
    let refused = reason(plan(&system, &FirmwareOperation::Activate(new)));
    assert!(refused.contains("01SV830_048"), "{refused}");
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason() {
    let system = machine("01SV830_048");
    let upgrade = |package| plan(&system, &FirmwareOperation::Upgrade(Box::new(package)));
    let mut other = package("01SV830_068", 48);
    other.machines = vec!["9119-MME".to_owned()];
    assert!(reason(upgrade(other)).contains("8286-41A"));
    assert!(reason(upgrade(package("01SV810_101", 81))).contains("01SV830_048"));
    assert_eq!(reason(upgrade(package("01SV830_048", 48))), "No updates available.");
    let mut starting = machine("01SV830_048");
    starting.state = SystemState::Initializing;
    let operation = FirmwareOperation::Upgrade(Box::new(package("01SV830_068", 48)));
    assert!(reason(plan(&starting, &operation)).contains("Initializing"));
}

#[test]
fn nothing_to_do_is_a_refusal() {
    let system = machine("01SV830_048");
    for operation in
        [FirmwareOperation::Remove, FirmwareOperation::Accept, FirmwareOperation::ActivateDisruptively]
    {
        assert!(plan(&system, &operation).is_err(), "{operation:?}");
    }
}

#[test]
fn an_operating_system_in_control_keeps_the_console_out() {
    let mut system = machine("01SV830_048");
    let mut levels = system.firmware().clone();
    levels.console_controls = false;
    system.settings.firmware = Some(levels);
    let operation = FirmwareOperation::Upgrade(Box::new(package("01SV830_068", 48)));
    assert!(plan(&system, &operation).is_err());
    assert_eq!(plan(&system, &FirmwareOperation::Control { console: true }), Ok(None));
}

#[test]
fn wishes_are_read() {
    for (text, wish) in [
        ("latest", Some(LevelWish::Latest)),
        ("latestconcurrent", Some(LevelWish::LatestConcurrent)),
        ("48", Some(LevelWish::Level(48))),
        ("048,none", Some(LevelWish::Level(48))),
        ("01SV830_048", Some(LevelWish::Named(vec!["01SV830_048".parse().expect("level")]))),
        ("48,12", None),
        ("", None),
        ("oldest", None),
        ("01SV830_048,é1SV830_048", None),
    ] {
        assert_eq!(LevelWish::parse(text), wish, "{text}");
    }
}

#[test]
fn the_latest_package_for_the_machine_is_chosen() {
    let packages = [
        package("01SV830_075", 60),
        package("01SV830_068", 48),
        package("01SV840_056", 56),
        FirmwarePackage { machines: vec!["9119-MME".to_owned()], ..package("01SC860_056", 56) },
    ];
    let system = machine("01SV830_048");
    let found = |wish, upgrade| choose(&system, &packages, &wish, upgrade).map(FirmwarePackage::name);
    assert_eq!(found(LevelWish::Latest, false), Ok("01SV830_075_060".to_owned()));
    assert_eq!(found(LevelWish::Latest, true), Ok("01SV840_056_056".to_owned()));
    assert_eq!(found(LevelWish::LatestConcurrent, false), Ok("01SV830_068_048".to_owned()));
    assert_eq!(found(LevelWish::Level(68), false), Ok("01SV830_068_048".to_owned()));
    assert!(found(LevelWish::Level(56), false).is_err());
    assert_eq!(found(LevelWish::Level(56), true), Ok("01SV840_056_056".to_owned()));
    let named = LevelWish::Named(vec!["01SC860_056".parse().expect("level")]);
    assert!(found(named, true).is_err());
    let none = choose(&system, &packages[3..], &LevelWish::Latest, true).expect_err("wrong machine");
    assert!(none.details[0].contains("8286-41A"), "{none}");
    let empty = choose(&system, &[], &LevelWish::Latest, true).expect_err("nothing");
    assert_eq!(empty.details, ["No updates available."]);
}
