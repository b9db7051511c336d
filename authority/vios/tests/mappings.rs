//! Virtual SCSI and virtual Fibre Channel mappings, and the work of answers.

#![allow(missing_docs)]

mod support;

use support::{GIB, Server, TestArray, client, name, port};
use varan_contract::storage::{StorageArray, StorageError, StorageServer};
use varan_contract::vios::{
    MappingQuery, RequestId, Select, ViosAnswer, ViosCallError, ViosChange, ViosLink, ViosQuery,
};
use varan_model::ids::{VirtualSlot, WorldWidePortName};
use varan_model::vios::{PortStatus, ScsiMapping, ViosMessage};
use varan_vios::{AdapterChange, AdapterKind, ServerAdapter};

fn query(adapters: Select) -> MappingQuery {
    MappingQuery { adapters, client: None, kinds: Vec::new() }
}

fn mapping(server: &Server, adapter: &str) -> ScsiMapping {
    match server.ask(ViosQuery::ScsiMappings(query(Select::One(name(adapter))))) {
        ViosAnswer::ScsiMappings(mut mappings) => mappings.remove(0),
        other => panic!("{other:?}"),
    }
}

fn luns(server: &Server, adapter: &str) -> Vec<(String, u64)> {
    mapping(server, adapter)
        .targets
        .iter()
        .map(|target| (target.name.to_string(), target.lun >> 56))
        .collect()
}

fn unmap(target: &str) -> ViosChange {
    ViosChange::RemoveMapping {
        device: name(target),
        by_backing: false,
        force: false,
        remove_logical_volume: false,
    }
}

#[test]
fn numbers_are_the_lowest_free_ones_and_refusals_change_nothing() {
    let array = TestArray::new(6, GIB);
    let mut server = Server::running(1, &array);
    for disk in ["hdisk1", "hdisk2", "hdisk3"] {
        server.map(disk, "vhost0", false).expect("maps");
    }
    let expected =
        |all: &[(&str, u64)]| all.iter().map(|(name, lun)| ((*name).to_owned(), *lun)).collect::<Vec<_>>();
    assert_eq!(luns(&server, "vhost0"), expected(&[("vtscsi0", 0x81), ("vtscsi1", 0x82), ("vtscsi2", 0x83)]));
    let transactions = server.get().transactions();
    let refusal = |result: Result<_, ViosCallError>| match result {
        Err(ViosCallError::Refused(refusal)) => refusal.message,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(server.map("hdisk2", "vhost1", false)), ViosMessage::BackingInUse);
    assert_eq!(refusal(server.map("hdisk0", "vhost1", false)), ViosMessage::DiskInVolumeGroup);
    assert_eq!(refusal(server.map("hdisk99", "vhost1", false)), ViosMessage::DeviceUnknown);
    assert_eq!(refusal(server.map("hdisk4", "vhost99", false)), ViosMessage::DeviceUnknown);
    assert_eq!(refusal(server.map("hdisk4", "fcs0", false)), ViosMessage::NotScsiServer);
    assert_eq!(refusal(server.map("fcs0", "vhost0", false)), ViosMessage::BackingInvalid);
    assert_eq!(refusal(server.map("hd6", "vhost0", false)), ViosMessage::BackingInvalid);
    assert_eq!(server.refused(unmap("hdisk1")), ViosMessage::TargetUnknown);
    assert_eq!(server.get().transactions(), transactions, "a refusal writes nothing");
    server.done(unmap("vtscsi1"));
    server.map("hdisk4", "vhost0", false).expect("maps");
    assert_eq!(luns(&server, "vhost0"), expected(&[("vtscsi0", 0x81), ("vtscsi1", 0x82), ("vtscsi2", 0x83)]));
    assert_eq!(server.get().transactions(), transactions + 2, "each change is one durable write");
    server.map("hdisk4", "vhost1", true).expect("forced");
    let by_backing = |force| ViosChange::RemoveMapping {
        device: name("hdisk4"),
        by_backing: true,
        force,
        remove_logical_volume: false,
    };
    assert_eq!(server.refused(by_backing(false)), ViosMessage::SeveralTargets);
    assert_eq!(server.done(by_backing(true)).devices.len(), 2);
    let location = mapping(&server, "vhost0").targets[0].backing_location.clone();
    assert_eq!(location, "U78C9.001.WZS8141-P1-C2-T1-W500507680140F32C-L1000000000000");
}

#[test]
fn a_repeat_is_done_once_also_after_a_crash() {
    let array = TestArray::new(3, GIB);
    let mut server = Server::running(1, &array);
    let map = || ViosChange::MapDevice {
        backing: name("hdisk1"),
        adapter: name("vhost0"),
        target: Some("lpar2_root".into()),
        force: false,
        mirrored: false,
    };
    let first = server.get().change(RequestId(77), map()).expect("maps");
    assert_eq!(server.get().change(RequestId(77), map()), Ok(first.clone()));
    server.reopen();
    assert_eq!(server.get().change(RequestId(77), map()), Ok(first));
    assert_eq!(luns(&server, "vhost0"), [("lpar2_root".to_owned(), 0x81)]);
}

#[test]
fn one_adapter_of_a_thousand_is_looked_at_alone() {
    let array = TestArray::new(1, GIB);
    let mut server = Server::new(1, &array);
    for slot in 100..1_100 {
        let kind = AdapterKind::ScsiServer;
        server.adapters.push(ServerAdapter {
            slot: VirtualSlot(slot),
            kind,
            remote: None,
            remote_slot: None,
        });
    }
    server.boot();
    for number in 0..1_000 {
        let adapter = name(&format!("vhost{number}"));
        server.done(ViosChange::MapOptical { adapter, target: None });
    }
    let before = server.get().nouns_visited();
    assert_eq!(luns(&server, "vhost777"), [("vtopt777".to_owned(), 0x81)]);
    let visited = server.get().nouns_visited() - before;
    assert!(visited <= 3, "{visited} nouns for one adapter");
    match server.ask(ViosQuery::ScsiMappings(query(Select::All))) {
        ViosAnswer::ScsiMappings(mappings) => assert_eq!(mappings.len(), 1_010),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_second_server_needs_a_disk_that_is_not_reserved() {
    let array = TestArray::new(2, GIB);
    let mut one = Server::running(1, &array);
    let mut two = Server::running(2, &array);
    one.map("hdisk1", "vhost0", false).expect("maps");
    assert_eq!(array.holder(0), Some(port(1, 2)));
    let refused = two.map("hdisk1", "vhost0", false);
    assert!(
        matches!(refused, Err(ViosCallError::Refused(ref refusal))
        if refusal.message == ViosMessage::ReservationConflict),
        "{refused:?}"
    );
    // A lost link takes the reservation; the next look makes it again, through the other port.
    array.set_link(port(1, 2), false);
    assert_eq!(array.holder(0), None);
    one.get().check_paths();
    assert_eq!(array.holder(0), Some(port(1, 3)));
    array.set_link(port(1, 2), true);
    one.get().check_paths();
    one.done(unmap("vtscsi0"));
    assert_eq!(array.holder(0), None);
    for server in [&mut one, &mut two] {
        server.share("hdisk1");
        server.map("hdisk1", "vhost0", false).expect("maps");
    }
    assert_eq!(array.holder(0), None);
}

#[test]
fn a_port_serves_clients_by_their_own_names() {
    let array = TestArray::new(2, GIB);
    let mut server = Server::running(1, &array);
    let map = |port: Option<&str>| ViosChange::MapFibreChannel {
        adapter: name("vfchost0"),
        port: port.map(str::to_owned),
    };
    let shown = |server: &Server| match server
        .ask(ViosQuery::FibreChannelMappings(query(Select::One(name("vfchost0")))))
    {
        ViosAnswer::FibreChannelMappings(mut mappings) => mappings.remove(0),
        other => panic!("{other:?}"),
    };
    let ports = |server: &Server| match server.ask(ViosQuery::NpivPorts) {
        ViosAnswer::NpivPorts(ports) => ports.iter().map(|port| port.available_ports).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let names = [WorldWidePortName(0xC050_7607_27C5_007A), WorldWidePortName(0xC050_7607_27C5_007B)];
    let slot = VirtualSlot(60);
    assert_eq!(shown(&server).flags.to_string(), "1<NOT_MAPPED,NOT_CONNECTED>");
    let refused = server.get().connect_fibre_channel(slot, &client(11, 2), &names[..1]);
    assert_eq!(refused, Err(StorageError::LinkDown));
    assert_eq!(server.refused(map(Some("ent0"))), ViosMessage::PortWithoutNpiv);
    server.done(map(Some("fcs1")));
    // The client that waited logs in when its adapter is mapped.
    assert_eq!(array.logged_in(port(1, 3)), [port(1, 3), names[0]]);
    assert_eq!(ports(&server), [64, 63]);
    server.get().connect_fibre_channel(slot, &client(11, 2), &names).expect("connects");
    let now = shown(&server);
    assert_eq!(
        (now.status, now.flags.to_string()),
        (PortStatus::LoggedIn, "a<LOGGED_IN,STRIP_MERGE>".to_owned())
    );
    assert_eq!((now.client_name.as_str(), now.ports_logged_in), ("lpar11", 3));
    assert_eq!(now.client_location, "U8286.41A.21AFF8V-V11-C2");
    assert_eq!(server.get().fabric_units(slot, names[1]).expect("sees").len(), 2);
    assert_eq!(server.refused(map(Some("fcs0"))), ViosMessage::PortBusy);
    // The port is lost and comes back.
    array.set_link(port(1, 3), false);
    server.get().check_paths();
    assert_eq!(shown(&server).status, PortStatus::NotLoggedIn);
    assert_eq!(server.get().fabric_units(slot, names[0]).err(), Some(StorageError::LinkDown));
    array.set_link(port(1, 3), true);
    server.get().check_paths();
    assert_eq!(shown(&server).names_logged_in, names);
    let other = server.get().connect_fibre_channel(slot, &client(12, 2), &names[..1]);
    assert_eq!(other, Err(StorageError::OtherClient));
    server.get().disconnect(slot, client(11, 2).partition);
    assert_eq!(array.logged_in(port(1, 3)), [port(1, 3)]);
    assert_eq!(shown(&server).flags.to_string(), "4<NOT_LOGGED>");
    server.done(map(None));
    assert_eq!(ports(&server), [64, 64]);
}

#[test]
fn an_adapter_comes_with_cfgdev_and_goes_when_its_device_is_gone() {
    let array = TestArray::new(1, GIB);
    let mut server = Server::running(1, &array);
    let kind = AdapterKind::ScsiServer;
    let adapter = ServerAdapter { slot: VirtualSlot(90), kind, remote: None, remote_slot: None };
    server.get().adapter_change(AdapterChange::Add(adapter.clone())).expect("added");
    assert!(server.get().ask(ViosQuery::Attributes(name("vhost10"))).is_err());
    assert!(server.get().connect_scsi(VirtualSlot(90), &client(3, 2)).is_err());
    server.done(ViosChange::ConfigureDevices(None));
    server.get().connect_scsi(VirtualSlot(90), &client(3, 2)).expect("connects");
    let remove = AdapterChange::Remove(VirtualSlot(90));
    let lines = server.get().adapter_change(remove.clone()).expect_err("configured");
    assert!(lines[0].ends_with(" caDlparCommand:execv to drmgr"), "{lines:?}");
    assert_eq!(lines[1], "U8286.41A.21AFF8V-V1-C90");
    assert_eq!(&lines[4..], ["\tvhost10", "The OS return code is 3."]);
    server.done(ViosChange::RemoveDevice { device: name("vhost10"), removal: Default::default() });
    server.get().adapter_change(remove).expect("removed");
    server.done(ViosChange::ConfigureDevices(None));
    assert!(server.get().ask(ViosQuery::Attributes(name("vhost10"))).is_err());
}
