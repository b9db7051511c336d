//! Devices: names, states, attributes, removal.

#![allow(missing_docs)]

mod support;

use support::{GIB, Server, TestArray, name};
use varan_contract::vios::{DeviceOutcome, DeviceQuery, Removal, Select, ViosAnswer, ViosChange, ViosQuery};
use varan_model::vios::{DeviceState, ViosMessage};

fn devices(server: &Server) -> Vec<(String, DeviceState, String)> {
    match server.ask(ViosQuery::Devices(DeviceQuery::All)) {
        ViosAnswer::Devices(devices) => devices
            .iter()
            .map(|device| (device.name.to_string(), device.state, device.location.clone()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn devices_have_the_names_and_places_of_the_real_thing() {
    let array = TestArray::new(3, GIB);
    let server = Server::running(1, &array);
    let all = devices(&server);
    for (name, location) in [
        ("fcs0", "U78C9.001.WZS8141-P1-C2-T1"),
        ("fscsi1", "U78C9.001.WZS8141-P1-C3-T1"),
        ("vhost0", "U8286.41A.21AFF8V-V1-C40"),
        ("vfchost1", "U8286.41A.21AFF8V-V1-C61"),
        ("ent0", "U8286.41A.21AFF8V-V1-C2-T1"),
        ("vsa0", "U8286.41A.21AFF8V-V1-C0"),
        ("hdisk0", "U78C9.001.WZS8141-P2-D1"),
        ("hdisk1", "U78C9.001.WZS8141-P1-C2-T1-W500507680140F32C-L1000000000000"),
        ("sas0", "U78C9.001.WZS8141-P1"),
        ("sys0", ""),
        ("vasi0", ""),
        ("vioslpm0", ""),
        ("proc4", ""),
    ] {
        let found = all.iter().find(|device| device.0 == name).unwrap_or_else(|| panic!("{name} in {all:?}"));
        assert_eq!((found.1, found.2.as_str()), (DeviceState::Available, location), "{name}");
    }
    assert!(all.iter().any(|device| device.0 == "en0" && device.1 == DeviceState::Defined));
}

#[test]
fn names_stay_over_restarts_and_what_is_gone_is_defined() {
    let array = TestArray::new(3, GIB);
    let mut server = Server::running(1, &array);
    let before = devices(&server);
    server.reopen();
    assert_eq!(devices(&server), before);
    array.set_vanished(0, true);
    server.adapters.retain(|adapter| adapter.slot.0 != 41);
    server.get().stop(true);
    server.boot();
    let now = devices(&server);
    let state = |name: &str| now.iter().find(|device| device.0 == name).map(|device| device.1);
    assert_eq!(state("hdisk1"), Some(DeviceState::Defined));
    assert_eq!(state("vhost1"), Some(DeviceState::Defined));
    assert_eq!(state("vhost2"), Some(DeviceState::Available));
    array.set_vanished(0, false);
    let done = server.done(ViosChange::ConfigureDevices(None));
    assert_eq!(done.devices, [("hdisk1".parse().expect("name"), DeviceOutcome::Available)]);
}

#[test]
fn removal_refuses_what_is_used_and_cfgdev_brings_devices_back() {
    let array = TestArray::new(2, GIB);
    let mut server = Server::running(1, &array);
    let remove = |device: &str, recursive, keep| ViosChange::RemoveDevice {
        device: name(device),
        removal: Removal { recursive, keep_definition: keep, ..Removal::default() },
    };
    assert_eq!(server.refused(remove("sys0", false, false)), ViosMessage::DeviceRequired);
    assert_eq!(server.refused(remove("hdisk0", false, false)), ViosMessage::DeviceBusy);
    assert_eq!(server.refused(remove("nothing", false, false)), ViosMessage::DeviceUnknown);
    server.map("hdisk1", "vhost0", false).expect("maps");
    assert_eq!(server.refused(remove("hdisk1", false, false)), ViosMessage::DeviceBusy);
    assert_eq!(server.refused(remove("fcs0", true, false)), ViosMessage::DeviceBusy);
    assert_eq!(server.refused(remove("vhost0", false, false)), ViosMessage::DeviceHasChildren);
    let done = server.done(remove("vhost0", true, false));
    assert_eq!(done.devices.len(), 2);
    server.done(remove("hdisk1", false, true));
    assert_eq!(server.refused(remove("fcs0", false, false)), ViosMessage::DeviceHasChildren);
    server.done(remove("fcs0", true, false));
    server.done(ViosChange::ConfigureDevices(None));
    let state = |server: &Server, name: &str| {
        devices(server).into_iter().find(|device| device.0 == name).map(|device| device.1)
    };
    for device in ["vhost0", "hdisk1", "fcs0", "fscsi0", "hdisk2"] {
        assert_eq!(state(&server, device), Some(DeviceState::Available), "{device}");
    }
}

#[test]
fn attributes_are_checked_and_wait_where_the_disk_is_in_use() {
    let array = TestArray::new(2, GIB);
    let mut server = Server::running(1, &array);
    let change = |attribute: &str, value: &str, permanent_only| ViosChange::ChangeDevice {
        device: name("hdisk1"),
        attributes: vec![(attribute.into(), value.into())],
        permanent_only,
    };
    let value = |server: &Server, attribute: &str| match server.ask(ViosQuery::Attributes(name("hdisk1"))) {
        ViosAnswer::Attributes(all) => {
            all.into_iter().find(|one| one.name == attribute).map(|one| one.value).unwrap_or_default()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(server.refused(change("nothing", "1", false)), ViosMessage::AttributeUnknown);
    assert_eq!(server.refused(change("unique_id", "1", false)), ViosMessage::AttributeFixed);
    assert_eq!(server.refused(change("queue_depth", "0", false)), ViosMessage::AttributeValueInvalid);
    assert_eq!(value(&server, "pvid"), "none");
    server.done(change("pv", "yes", false));
    let pvid = value(&server, "pvid");
    assert_eq!(pvid.len(), 32);
    server.map("hdisk1", "vhost0", false).expect("maps");
    assert_eq!(server.refused(change("reserve_policy", "no_reserve", false)), ViosMessage::DeviceBusy);
    assert_eq!(server.refused(change("pv", "clear", false)), ViosMessage::DeviceBusy);
    server.done(change("reserve_policy", "no_reserve", true));
    assert_eq!(value(&server, "reserve_policy"), "single_path");
    server.get().stop(true);
    server.boot();
    assert_eq!(value(&server, "reserve_policy"), "no_reserve");
    assert_eq!(value(&server, "pvid"), pvid, "the identifier is on the disk");
    // Another server reads the same one.
    let other = Server::running(2, &array);
    match other.ask(ViosQuery::PhysicalVolumes(Select::One(name("hdisk1")))) {
        ViosAnswer::PhysicalVolumes(disks) => {
            assert_eq!(disks[0].pvid.expect("has one").to_string(), pvid[..16]);
        }
        answer => panic!("{answer:?}"),
    }
}
