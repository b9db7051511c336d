//! Adapters that come and go while a guest runs.

mod common;

use common::{World, disk, reports, specification};
use varan_contract::engine::{
    AdapterAddress, AdapterChange, DeviceAdapterKind, EngineError, EngineEventKind, Generation, GuestAdapter,
    GuestDeviceAdapter, GuestIoSlot, GuestNetworkAdapter, PartitionEngine, Personality,
};
use varan_model::ids::{MacAddress, PartitionUuid, VirtualSlot};

fn ethernet(slot: u16) -> GuestAdapter {
    GuestAdapter::Network(GuestNetworkAdapter::untagged(
        VirtualSlot(slot),
        MacAddress(0xFA11_0000_0000 + u64::from(slot)),
        "ETHERNET0",
        900,
    ))
}

fn device(slot: u16, kind: DeviceAdapterKind, server: bool) -> GuestAdapter {
    let port_name = (kind == DeviceAdapterKind::FibreChannel && !server)
        .then(|| "c050760000000010".parse().expect("port name"));
    GuestAdapter::Device(GuestDeviceAdapter {
        slot: VirtualSlot(slot),
        kind,
        server,
        port_name,
        remote: None,
    })
}

fn slot(number: u16) -> AdapterAddress {
    AdapterAddress::Virtual(VirtualSlot(number))
}

/// Asks and returns whether it was done, with the guest's words.
fn change(world: &World, partition: PartitionUuid, change: AdapterChange) -> (bool, Vec<String>) {
    world.take_events();
    world.engine.change_adapter(partition, change, 7).expect("powered on");
    world.seconds(0);
    let answers = world.take_events().into_iter().filter_map(|event| match event {
        EngineEventKind::AdapterChanged { token: 7, done, details } => Some((done, details)),
        _ => None,
    });
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers.len(), 1, "one answer");
    answers.into_iter().next().expect("answer")
}

#[test]
fn aix_discovers_an_adapter_by_cfgmgr_and_gives_it_up_after_rmdev() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    let dialogue = world.terminal(aix.partition);
    dialogue.login("root", "abc123");
    assert_eq!(
        dialogue.command("lsdev -Cc adapter"),
        "ent0 Available   Virtual I/O Ethernet Adapter (l-lan)\n"
    );
    for adapter in [
        ethernet(6),
        device(7, DeviceAdapterKind::Scsi, false),
        device(8, DeviceAdapterKind::FibreChannel, false),
    ] {
        assert_eq!(change(&world, aix.partition, AdapterChange::Put(adapter)), (true, Vec::new()));
    }
    assert_eq!(dialogue.command("lsdev -C | grep -c Available"), "1\n", "nothing is discovered yet");
    let slots = dialogue.command("lsslot -c slot");
    assert!(slots.contains("U9119.MME.659707C-V5-C6"), "{slots}");
    assert!(slots.ends_with("-C8   Virtual I/O Slot  Unknown\n"), "{slots}");
    assert_eq!(dialogue.command("cfgmgr"), "");
    assert_eq!(
        dialogue.command("lsdev"),
        "ent0   Available   Virtual I/O Ethernet Adapter (l-lan)\n\
         ent1   Available   Virtual I/O Ethernet Adapter (l-lan)\n\
         vscsi0 Available   Virtual SCSI Client Adapter\n\
         fcs0   Available   Virtual Fibre Channel Client Adapter\n"
    );
    let shown = dialogue.command("lscfg -vl fcs0");
    assert!(shown.contains("U9119.MME.659707C-V5-C8-T1"), "{shown}");
    assert!(shown.contains("Network Address.............C050760000000010"), "{shown}");
    // In use: refused, with the reason.
    let (done, details) = change(&world, aix.partition, AdapterChange::Remove(slot(6)));
    assert!(!done);
    assert!(details[0].ends_with("caDlparCommand:execv to drmgr"), "{details:?}");
    assert!(details.iter().any(|line| line.contains("ent1")), "{details:?}");
    assert_eq!(dialogue.command("rmdev -l ent1"), "ent1 Defined\n");
    assert_eq!(dialogue.command("lsdev -Cl ent1"), "ent1 Defined     Virtual I/O Ethernet Adapter (l-lan)\n");
    assert_eq!(dialogue.command("mkdev -l ent1"), "ent1 Available\n");
    assert_eq!(dialogue.command("rmdev -l ent1"), "ent1 Defined\n");
    assert_eq!(change(&world, aix.partition, AdapterChange::Remove(slot(6))), (true, Vec::new()));
    assert_eq!(dialogue.command("lsdev -Cl ent1"), "ent1 Defined     N/A\n");
    assert_eq!(dialogue.command("cfgmgr"), "");
    assert_eq!(dialogue.command("lsdev -l ent1"), "ent1 Defined     N/A\n");
    assert_eq!(dialogue.command("rmdev -dl ent1"), "ent1 deleted\n");
    assert!(dialogue.command("lsdev -Cl ent1").contains("0514-519"));
    assert!(dialogue.command("rmdev -l ent9").contains("0514-519"));
    // A repeat is harmless.
    assert_eq!(change(&world, aix.partition, AdapterChange::Remove(slot(6))), (true, Vec::new()));
    // The adapter that carries the address is busy until the interface is detached.
    assert!(dialogue.command("rmdev -l ent0").contains("0514-062"));
    assert!(!change(&world, aix.partition, AdapterChange::Remove(slot(2))).0);
    dialogue.command("ifconfig en0 detach");
    assert_eq!(dialogue.command("rmdev -l ent0"), "ent0 Defined\n");
    assert!(change(&world, aix.partition, AdapterChange::Remove(slot(2))).0);
}

#[test]
fn devices_keep_their_names_over_a_restart_and_the_address_stays_where_it_was() {
    let world = World::new(1);
    let mut aix = specification(5, Personality::Aix, Some(disk()));
    aix.network_adapters[0].slot = VirtualSlot(4);
    world.boot(&aix);
    let dialogue = world.terminal(aix.partition);
    dialogue.login("root", "abc123");
    assert!(change(&world, aix.partition, AdapterChange::Put(ethernet(3))).0);
    dialogue.command("cfgmgr");
    assert_eq!(reports(&world.take_events())[0].addresses[0].0, VirtualSlot(4));
    // The next activation has the new adapter in the lower slot.
    let mut again = aix.clone();
    again.generation = Generation(2);
    if let GuestAdapter::Network(adapter) = ethernet(3) {
        again.network_adapters.insert(0, adapter);
    }
    let events = world.boot(&again);
    assert_eq!(reports(&events)[0].addresses[0].0, VirtualSlot(4));
    dialogue.login("root", "abc123");
    assert!(dialogue.command("lscfg -l ent0").contains("-C4-T1"));
    assert!(dialogue.command("lscfg -l ent1").contains("-C3-T1"));
}

#[test]
fn a_virtual_io_server_discovers_by_cfgdev() {
    let world = World::new(1);
    let server = specification(1, Personality::VirtualIoServer, Some(disk()));
    world.boot(&server);
    let dialogue = world.terminal(server.partition);
    dialogue.login("padmin", "padmin");
    for (number, kind) in [(11, DeviceAdapterKind::Scsi), (12, DeviceAdapterKind::FibreChannel)] {
        assert!(change(&world, server.partition, AdapterChange::Put(device(number, kind, true))).0);
    }
    let physical = GuestIoSlot {
        drc_index: 0x2101_0206,
        location: "U78C9.001.WZS8141-P1-C10".to_owned(),
        description: "Ethernet controller".to_owned(),
        occupied: true,
        ethernet_ports: Vec::new(),
    };
    assert!(change(&world, server.partition, AdapterChange::Put(GuestAdapter::Physical(physical))).0);
    assert!(!dialogue.command("lsdev -virtual").contains("vhost0"));
    assert_eq!(dialogue.command("cfgdev"), "");
    let shown = dialogue.command("lsdev -virtual");
    assert!(shown.contains("vhost0          Available   Virtual SCSI Server Adapter\n"), "{shown}");
    assert!(shown.contains("vfchost0        Available   Virtual FC Server Adapter\n"), "{shown}");
    assert!(!shown.contains("Ethernet controller"), "{shown}");
    assert!(dialogue.command("lsdev -dev ent1").contains("Ethernet controller"));
    let (done, details) = change(&world, server.partition, AdapterChange::Remove(slot(11)));
    assert!(!done && details.iter().any(|line| line.contains("vhost0")), "{details:?}");
    assert_eq!(dialogue.command("rmdev -dev vhost0"), "vhost0 deleted\n");
    assert!(change(&world, server.partition, AdapterChange::Remove(slot(11))).0);
    assert!(
        !change(&world, server.partition, AdapterChange::Remove(AdapterAddress::Physical(0x2101_0206))).0
    );
    assert_eq!(dialogue.command("rmdev -dev ent1 -ucfg"), "ent1 Defined\n");
    assert!(change(&world, server.partition, AdapterChange::Remove(AdapterAddress::Physical(0x2101_0206))).0);
}

#[test]
fn a_withdrawn_adapter_is_gone_with_its_device() {
    let world = World::new(1);
    let server = specification(6, Personality::VirtualIoServer, Some(disk()));
    world.boot(&server);
    let dialogue = world.terminal(server.partition);
    dialogue.login("padmin", "padmin");
    assert!(
        change(&world, server.partition, AdapterChange::Put(device(11, DeviceAdapterKind::Scsi, true))).0
    );
    dialogue.command("cfgdev");
    assert!(dialogue.command("lsdev -virtual").contains("vhost0          Available"));
    assert!(!change(&world, server.partition, AdapterChange::Remove(slot(11))).0);
    assert_eq!(change(&world, server.partition, AdapterChange::Withdraw(slot(11))), (true, Vec::new()));
    assert!(!dialogue.command("lsdev -virtual").contains("vhost0"));
    // Once more is the same.
    assert!(change(&world, server.partition, AdapterChange::Withdraw(slot(11))).0);
}

#[test]
fn linux_takes_and_gives_at_once() {
    let world = World::new(1);
    let linux = specification(5, Personality::Linux, Some(disk()));
    world.boot(&linux);
    let dialogue = world.terminal(linux.partition);
    dialogue.login("root", "abc123");
    assert!(change(&world, linux.partition, AdapterChange::Put(ethernet(6))).0);
    assert!(dialogue.command("ip addr").contains("eth1: "));
    assert!(change(&world, linux.partition, AdapterChange::Remove(slot(6))).0);
    assert!(!dialogue.command("ip addr").contains("eth1: "));
}

#[test]
fn a_guest_without_a_system_refuses_and_one_that_is_off_is_not_asked() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, None);
    let put = || AdapterChange::Put(ethernet(6));
    assert!(matches!(world.engine.change_adapter(aix.partition, put(), 1), Err(EngineError::NotRunning(_))));
    world.boot(&aix);
    let (done, details) = change(&world, aix.partition, put());
    assert!(!done && details[0].contains("does not respond"), "{details:?}");
}
