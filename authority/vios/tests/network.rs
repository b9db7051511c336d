//! Network devices: names, rules, what the network engine is told, virtual NICs' server adapters, the site's network.

#![allow(missing_docs)]

mod support;

use support::{GIB, Server, TestArray, ethernet, name};
use varan_contract::engine::{AllowedAddresses, AllowedVlans, GuestLogicalPort, GuestVnicServer};
use varan_contract::network::{
    BridgeState, HighAvailabilityMode, PortPlace, PortStatistics, ServerNetworkEvent, ServerNetworkEvents,
    VnicServerState,
};
use varan_contract::vios::{
    DeviceOutcome, DeviceQuery, ErrorQuery, Removal, Select, ViosAnswer, ViosChange, ViosQuery,
};
use varan_contract::vios_network::{
    AddressSetup, NetworkAnswer, NetworkChange, NetworkDeviceKind, NetworkQuery, VirtualNicMapping,
};
use varan_model::ids::{LogicalPortId, MacAddress, PartitionId, VirtualSlot};
use varan_model::vios::{Device, DeviceState, ErrorTemplate, ViosMessage};
use varan_vios::{AdapterChange, AdapterKind, InitialBridge, InitialNetwork, ServerAdapter};

/// Three physical ports ent0 to ent2; trunks in slots 10 (VLAN 10), 11 (VLAN 11), 12 (VLAN 12, priority 2); a control channel
/// in slot 20 (VLAN 99), another one with a trunk's VLAN in slot 21, and the plain adapter in slot 2: ent3 is slot 2, ent4 to
/// ent6 the trunks, ent7 and ent8 the others.
fn prepare(server: &mut Server) {
    server.ports = vec![0x00C0_0000_0001, 0x00C0_0000_0002, 0x00C0_0000_0003];
    server.adapters.push(ethernet(10, 0x0A10, 10, Some(1)));
    server.adapters.push(ethernet(11, 0x0A11, 11, Some(1)));
    server.adapters.push(ethernet(12, 0x0A12, 12, Some(2)));
    server.adapters.push(ethernet(20, 0x0A20, 99, None));
    server.adapters.push(ethernet(21, 0x0A21, 10, None));
}

fn running(array: &std::sync::Arc<TestArray>) -> Server {
    let mut server = Server::new(1, array);
    prepare(&mut server);
    server.boot();
    server
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').expect("pair"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn bridge(real: &str, virtuals: &str, default: &str, vlan: &str, attributes: &str) -> ViosChange {
    ViosChange::Network(NetworkChange::CreateBridge {
        real: name(real),
        virtuals: virtuals.split(',').map(str::to_owned).collect(),
        default: default.to_owned(),
        default_vlan: vlan.to_owned(),
        attributes: pairs(attributes),
        migrate: false,
    })
}

fn address(interface: &str, address: &str, gateway: Option<&str>) -> ViosChange {
    ViosChange::Network(NetworkChange::Address(AddressSetup {
        hostname: Some("vios1".into()),
        interface: interface.into(),
        address: address.parse().expect("address"),
        prefix: Some(24),
        gateway: gateway.map(|gateway| gateway.parse().expect("address")),
        name_server: None,
    }))
}

fn set(device: &str, attributes: &str) -> ViosChange {
    ViosChange::ChangeDevice { device: name(device), attributes: pairs(attributes), permanent_only: false }
}

fn remove(device: &str, kind: NetworkDeviceKind) -> ViosChange {
    ViosChange::Network(NetworkChange::Remove { device: name(device), kind, migrate: false })
}

fn device(server: &Server, wanted: &str) -> Option<std::sync::Arc<Device>> {
    match server.ask(ViosQuery::Devices(DeviceQuery::All)) {
        ViosAnswer::Devices(devices) => devices.into_iter().find(|device| device.name.as_str() == wanted),
        other => panic!("{other:?}"),
    }
}

fn made(server: &mut Server, change: ViosChange) -> String {
    let done = server.done(change);
    let (name, outcome) = &done.devices[0];
    assert_eq!(*outcome, DeviceOutcome::Available);
    name.to_string()
}

#[test]
fn a_bridge_gets_the_next_name_and_the_engine_is_told() {
    let array = TestArray::new(0, GIB);
    let mut server = running(&array);
    let first = server.network.last();
    let ports: Vec<(&str, &PortPlace)> =
        first.ports.iter().map(|port| (port.device.as_str(), &port.place)).collect();
    assert_eq!(ports[0], ("ent0", &PortPlace::Physical("U78C9.001.WZS8141-P1-C7-T1".into())));
    assert_eq!(ports[4], ("ent4", &PortPlace::Virtual(VirtualSlot(10))));
    assert!(first.rmc_running && first.bridges.is_empty());
    let create = bridge("ent0", "ent4,ent5", "ent4", "10", "ha_mode=sharing ctl_chan=ent7 largesend=1");
    assert_eq!(made(&mut server, create), "ent9");
    let told = server.network.last();
    let bridge = &told.bridges[0];
    assert_eq!((bridge.device.as_str(), bridge.real.as_str()), ("ent9", "ent0"));
    assert_eq!(bridge.virtuals, ["ent4", "ent5"]);
    assert_eq!(bridge.mode, HighAvailabilityMode::Sharing);
    assert_eq!(bridge.control_channel.as_deref(), Some("ent7"));
    assert_eq!((bridge.default_vlan, bridge.thread_count), (10, 7));
    for interface in ["en9", "et9"] {
        assert_eq!(device(&server, interface).expect("made").state, DeviceState::Defined);
    }
    server.done(address("en9", "10.0.0.1", Some("10.0.0.254")));
    let told = server.network.last();
    assert_eq!(told.interfaces[0].name, "en9");
    assert_eq!(told.interfaces[0].address, Some(("10.0.0.1".parse().expect("address"), 24)));
    assert_eq!(told.gateway, Some("10.0.0.254".parse().expect("address")));
    // The same after a crash of its process; nothing while it does not run.
    let count = |server: &Server| server.network.configurations.lock().expect("unpoisoned").len();
    server.get().stop(true);
    assert_eq!(server.network.last(), Default::default());
    server.boot();
    assert_eq!(server.network.last(), told);
    server.reopen();
    assert_eq!(server.network.last(), told);
    // What concerns no network tells it nothing.
    let before = count(&server);
    server.done(ViosChange::CreateRepository { pool: None, megabytes: 100 });
    assert_eq!(count(&server), before);
    assert_eq!(server.refused(remove("ent9", NetworkDeviceKind::Bridge)), ViosMessage::EthernetBusy);
    server.done(ViosChange::Network(NetworkChange::RemoveAddresses {
        interfaces: None,
        hostname: false,
        routing: true,
        name_service: false,
    }));
    assert_eq!(server.refused(remove("ent9", NetworkDeviceKind::Aggregation)), ViosMessage::NotAggregation);
    server.done(remove("ent9", NetworkDeviceKind::Bridge));
    assert!(device(&server, "ent9").is_none() && device(&server, "en9").is_none());
    assert_eq!(server.network.last(), first);
}

#[test]
fn what_cannot_be_bridged_is_refused() {
    use ViosMessage as M;
    let array = TestArray::new(0, GIB);
    let mut server = running(&array);
    let before = server.network.last();
    for (real, virtuals, default, vlan, attributes, refusal) in [
        ("ent99", "ent4", "ent4", "10", "", M::DeviceUnknown),
        ("hdisk0", "ent4", "ent4", "10", "", M::EthernetInvalid),
        ("ent3", "ent4", "ent4", "10", "", M::EthernetInvalid),
        ("ent0", "ent1", "ent1", "10", "", M::EthernetInvalid),
        ("ent0", "ent99", "ent99", "10", "", M::DeviceUnknown),
        ("ent0", "ent3", "ent3", "1", "", M::NotTrunk),
        ("ent0", "ent4,ent4", "ent4", "10", "", M::OptionRepeated),
        ("ent0", "ent4,ent6", "ent4", "10", "", M::TrunkPrioritiesDiffer),
        ("ent0", "ent4", "ent5", "10", "", M::DefaultNotBridged),
        ("ent0", "ent4", "ent4", "11", "", M::DefaultVlanDiffers),
        ("ent0", "ent4", "ent4", "0", "", M::VlanInvalid),
        ("ent0", "ent4", "ent4", "4095", "", M::VlanInvalid),
        ("ent0", "ent4", "ent4", "x", "", M::VlanInvalid),
        ("ent0", "ent4", "ent4", "10", "ha_mode=sharing ctl_chan=ent7", M::SharingNeedsTrunks),
        ("ent0", "ent4", "ent4", "10", "ctl_chan=ent7", M::ModeNeeded),
        ("ent0", "ent4", "ent4", "10", "ha_mode=auto ctl_chan=ent4", M::ControlChannelInvalid),
        ("ent0", "ent4", "ent4", "10", "ha_mode=auto ctl_chan=ent5", M::ControlChannelInvalid),
        ("ent0", "ent4", "ent4", "10", "ha_mode=auto ctl_chan=ent8", M::ControlChannelInvalid),
        ("ent0", "ent4", "ent4", "10", "ha_mode=auto ctl_chan=ent1", M::EthernetInvalid),
        ("ent0", "ent4", "ent4", "10", "ha_mode=never", M::AttributeValueInvalid),
        ("ent0", "ent4", "ent4", "10", "thread=2", M::AttributeValueInvalid),
        ("ent0", "ent4", "ent4", "10", "nthreads=0", M::AttributeValueInvalid),
        ("ent0", "ent4", "ent4", "10", "nothing=1", M::AttributeUnknown),
        ("ent0", "ent4", "ent4", "10", "real_adapter=ent1", M::AttributeFixed),
        ("ent0", "ent4", "ent4", "10", "netaddr=somewhere", M::AttributeValueInvalid),
    ] {
        let change = bridge(real, virtuals, default, vlan, attributes);
        assert_eq!(server.refused(change), refusal, "{real} {virtuals} {default} {vlan} {attributes}");
    }
    assert_eq!(server.network.last(), before);
    server.done(address("en1", "10.1.0.1", None));
    let taken = bridge("ent1", "ent4", "ent4", "10", "");
    assert_eq!(server.refused(taken), M::AdapterHasAddress);
    made(&mut server, bridge("ent0", "ent4", "ent4", "10", "ha_mode=auto"));
    assert_eq!(server.refused(bridge("ent0", "ent5", "ent5", "11", "")), M::AdapterOwned);
    assert_eq!(server.refused(bridge("ent2", "ent4", "ent4", "10", "")), M::AdapterOwned);
    assert_eq!(server.refused(address("en0", "10.2.0.1", None)), M::AdapterOwned);
    assert_eq!(server.refused(set("ent9", "ctl_chan=ent8")), M::ControlChannelInvalid);
    assert_eq!(server.refused(set("ent9", "ha_mode=sharing")), M::SharingNeedsTrunks);
    assert_eq!(server.refused(set("ent9", "pvid=11")), M::DefaultVlanDiffers);
    server.done(set("ent9", "virt_adapters=ent4,ent5 ctl_chan=ent7 ha_mode=standby"));
    assert_eq!(server.network.last().bridges[0].mode, HighAvailabilityMode::Standby);
    let removal = ViosChange::RemoveDevice { device: name("ent5"), removal: Removal::default() };
    assert_eq!(server.refused(removal), M::DeviceBusy);
}

#[test]
fn early_levels_need_a_control_channel() {
    let array = TestArray::new(0, GIB);
    let mut server = Server::new(1, &array);
    prepare(&mut server);
    server.level = "2.2.2.1".into();
    server.open();
    server.boot();
    let without = bridge("ent0", "ent4", "ent4", "10", "ha_mode=auto");
    assert_eq!(server.refused(without), ViosMessage::ControlChannelNeeded);
    made(&mut server, bridge("ent0", "ent4", "ent4", "10", "ha_mode=auto ctl_chan=ent7"));
}

#[test]
fn links_are_aggregated_and_carry_vlans() {
    use ViosMessage as M;
    let array = TestArray::new(0, GIB);
    let mut server = running(&array);
    let aggregate = |adapters: &str, attributes: &str| {
        ViosChange::Network(NetworkChange::CreateAggregation {
            adapters: adapters.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            attributes: pairs(attributes),
            migrate: None,
        })
    };
    for (adapters, attributes, refusal) in [
        ("", "", M::LinksInvalid),
        ("ent0,ent0", "", M::OptionRepeated),
        ("ent99", "", M::DeviceUnknown),
        ("ent0,hdisk0", "", M::EthernetInvalid),
        ("ent0", "mode=fast", M::AttributeValueInvalid),
        ("ent0", "backup_adapter=ent0", M::OptionRepeated),
    ] {
        assert_eq!(server.refused(aggregate(adapters, attributes)), refusal, "{adapters} {attributes}");
    }
    let change = aggregate("ent0,ent1", "mode=8023ad hash_mode=src_dst_port");
    assert_eq!(made(&mut server, change), "ent9");
    assert_eq!(server.network.last().aggregations[0].adapters, ["ent0", "ent1"]);
    assert_eq!(server.refused(aggregate("ent1,ent2", "")), M::AdapterOwned);
    assert_eq!(made(&mut server, bridge("ent9", "ent4", "ent4", "10", "")), "ent10");
    let links = |add: &[&str], remove: &[&str], backup| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ViosChange::Network(NetworkChange::ChangeAggregation {
            device: name("ent9"),
            add: owned(add),
            remove: owned(remove),
            backup,
        })
    };
    server.done(links(&["ent2"], &[], true));
    assert_eq!(server.network.last().aggregations[0].backup.as_deref(), Some("ent2"));
    server.done(links(&[], &["ent2"], true));
    assert_eq!(server.refused(links(&[], &["ent2"], true)), M::EthernetInvalid);
    assert_eq!(server.refused(links(&[], &["ent0", "ent1"], false)), M::LinksInvalid);
    assert_eq!(server.refused(remove("ent9", NetworkDeviceKind::Aggregation)), M::EthernetBusy);
    let vlan = |base: &str, tag: &str| {
        ViosChange::Network(NetworkChange::CreateVlan { base: name(base), tag: tag.into() })
    };
    assert_eq!(server.refused(vlan("ent10", "4095")), M::VlanInvalid);
    assert_eq!(server.refused(vlan("ent9", "5")), M::AdapterOwned);
    assert_eq!(made(&mut server, vlan("ent10", "5")), "ent11");
    assert_eq!(server.refused(vlan("ent10", "5")), M::VlanTaken);
    assert_eq!(server.refused(vlan("ent11", "6")), M::EthernetInvalid);
    assert_eq!(server.refused(remove("ent10", NetworkDeviceKind::Bridge)), M::EthernetBusy);
    let told = server.network.last();
    server.reopen();
    assert_eq!(server.network.last(), told);
    // A link that is gone takes what is made of it with it, until it is back.
    let ports = std::mem::take(&mut server.ports);
    server.get().stop(true);
    server.boot();
    let state = |server: &Server, wanted: &str| device(server, wanted).expect("known").state;
    for gone in ["ent0", "ent9", "ent10", "ent11"] {
        assert_eq!(state(&server, gone), DeviceState::Defined, "{gone}");
    }
    assert!(server.network.last().bridges.is_empty());
    server.ports = ports;
    server.get().stop(true);
    server.boot();
    assert_eq!(server.network.last(), told);
}

#[test]
fn addresses_routes_and_names() {
    use ViosMessage as M;
    let array = TestArray::new(0, GIB);
    let mut server = running(&array);
    for (interface, text, gateway, refusal) in [
        ("en99", "10.0.0.1", None, M::InterfaceUnknown),
        ("ent0", "10.0.0.1", None, M::InterfaceUnknown),
        ("en0", "10.0.0.0", None, M::AddressInvalid),
        ("en0", "127.0.0.1", None, M::AddressInvalid),
        ("en0", "10.0.0.1", Some("10.0.1.254"), M::GatewayUnreachable),
    ] {
        assert_eq!(server.refused(address(interface, text, gateway)), refusal, "{interface} {text}");
    }
    server.done(address("en0", "10.0.0.1", Some("10.0.0.254")));
    assert_eq!(server.refused(address("en1", "10.0.0.1", None)), M::AddressTaken);
    assert_eq!(server.refused(set("en1", "netaddr=10.0.0.1 state=up")), M::AddressTaken);
    assert_eq!(server.refused(set("en0", "netmask=255.0.255.0")), M::NetmaskInvalid);
    assert_eq!(server.refused(set("en0", "mtu=9000")), M::AttributeValueInvalid);
    server.done(set("en0", "netaddr=10.0.0.2"));
    let other = ViosChange::Network(NetworkChange::Routes {
        remove: vec![([0, 0, 0, 0].into(), 0, [10, 0, 0, 254].into())],
        add: vec![([0, 0, 0, 0].into(), 0, [10, 0, 0, 253].into())],
    });
    server.done(other.clone());
    assert_eq!(server.refused(other), M::RouteUnknown);
    let host = ViosChange::Network(NetworkChange::AddHost {
        address: [10, 0, 0, 9].into(),
        names: vec!["server1".into(), "alias".into()],
    });
    server.done(host);
    let gone = ViosChange::Network(NetworkChange::RemoveHost([10, 0, 0, 8].into()));
    assert_eq!(server.refused(gone), M::HostUnknown);
    server.reopen();
    match server.ask(ViosQuery::Network(NetworkQuery::Configuration)) {
        ViosAnswer::Network(NetworkAnswer::Configuration(names)) => {
            assert_eq!(names.gateway, Some([10, 0, 0, 253].into()));
            let hosts: Vec<&str> =
                names.hosts.iter().flat_map(|(_, names)| names).map(|name| &**name).collect();
            assert_eq!(hosts, ["vios1", "server1", "alias"]);
        }
        other => panic!("{other:?}"),
    }
    match server.ask(ViosQuery::Network(NetworkQuery::Interfaces)) {
        ViosAnswer::Network(NetworkAnswer::Interfaces(interfaces)) => {
            assert_eq!(interfaces[0].address, Some(([10, 0, 0, 2].into(), 24)));
            assert_eq!(interfaces[0].mac_address, Some(MacAddress(0x00C0_0000_0001)));
            assert_eq!(interfaces[1].name.as_str(), "lo0");
        }
        other => panic!("{other:?}"),
    }
}

fn logical_port(number: u32, location: &str, promiscuous: bool) -> GuestLogicalPort {
    GuestLogicalPort {
        id: LogicalPortId(number),
        location: location.into(),
        physical_port: location.rsplit_once('-').expect("a port").0.into(),
        description: "PCIe3 4-Port 10GbE SR Adapter".into(),
        mac_address: MacAddress(u64::from(number)),
        port_vlan_id: 3_455,
        port_vlan_priority: 0,
        allowed_vlans: AllowedVlans::All,
        allowed_addresses: AllowedAddresses::All,
        promiscuous,
        capacity: 200,
        maximum_capacity: 10_000,
        offered_address: None,
    }
}

fn vnic(slot: u16, port: u32, location: &str) -> AdapterChange {
    let server = GuestVnicServer {
        slot: VirtualSlot(slot),
        client: PartitionId(6),
        client_name: "lizard".into(),
        client_slot: VirtualSlot(6),
        priority: 10,
        logical_port: logical_port(port, location, false),
    };
    AdapterChange::Add(ServerAdapter {
        slot: VirtualSlot(slot),
        kind: AdapterKind::VnicServer(Box::new(server)),
        remote: Some(PartitionId(6)),
        remote_slot: Some(VirtualSlot(6)),
    })
}

fn nics(server: &Server) -> Vec<VirtualNicMapping> {
    let query = NetworkQuery::VirtualNics { adapters: Select::All, client: None };
    match server.ask(ViosQuery::Network(query)) {
        ViosAnswer::Network(NetworkAnswer::VirtualNics(all)) => all,
        other => panic!("{other:?}"),
    }
}

#[test]
fn virtual_nics_configure_themselves_and_go_without_a_trace() {
    let array = TestArray::new(0, GIB);
    let mut server = running(&array);
    let before = server.network.last();
    let count = |server: &Server| match server.ask(ViosQuery::Devices(DeviceQuery::All)) {
        ViosAnswer::Devices(devices) => devices.len(),
        other => panic!("{other:?}"),
    };
    let devices = count(&server);
    let place = "U78CA.001.CSS08ZN-P1-C3-C1-T2-S5";
    server
        .get()
        .adapter_change(vnic(32_897, 0x2700_4001, "U78CA.001.CSS08ZN-P1-C3-C1-T1-S1"))
        .expect("added");
    server.get().adapter_change(vnic(32_898, 0x2700_4002, place)).expect("added");
    let backing = device(&server, "ent10").expect("made");
    assert_eq!(backing.location, place);
    assert_eq!(backing.description(), "PCIe3 4-Port 10GbE SR Adapter VF(df1028e21410e304)");
    let adapter = device(&server, "vnicserver1").expect("made");
    assert_eq!(adapter.location, "U8286.41A.21AFF8V-V1-C32898");
    let told = server.network.last();
    assert_eq!(told.vnic_servers[1], ("vnicserver1".into(), VirtualSlot(32_898), "ent10".into()));
    // Nobody logged in yet.
    let first = &nics(&server)[1];
    assert!(first.client_login.is_none() && first.client == PartitionId(6));
    assert_eq!(first.client_location, "U8286.41A.21AFF8V-V6-C6");
    let state = VnicServerState {
        active: true,
        operational: true,
        client_known: true,
        priority: 10,
        statistics: PortStatistics::default(),
    };
    server.network.vnics.lock().expect("unpoisoned").insert(32_898, state);
    let login = nics(&server)[1].client_login.clone().expect("logged in");
    assert_eq!(
        (login.name.as_str(), login.operating_system.as_str(), login.device.as_str()),
        ("lizard", "AIX", "ent0")
    );
    // A port behind a virtual NIC is nobody else's.
    assert_eq!(server.refused(bridge("ent10", "ent4", "ent4", "10", "")), ViosMessage::AdapterOwned);
    server.get().adapter_change(AdapterChange::Remove(VirtualSlot(32_897))).expect("removed");
    server.get().adapter_change(AdapterChange::Remove(VirtualSlot(32_898))).expect("removed");
    assert_eq!(server.network.last(), before);
    assert_eq!(count(&server), devices);
    server.reopen();
    assert_eq!(count(&server), devices);
}

#[test]
fn a_logical_port_is_bridged_only_when_it_is_promiscuous() {
    let array = TestArray::new(0, GIB);
    let mut server = Server::new(1, &array);
    prepare(&mut server);
    server.logical_ports = vec![
        logical_port(0x2700_4001, "U78CA.001.CSS08ZN-P1-C3-C1-T1-S1", true),
        logical_port(0x2700_4002, "U78CA.001.CSS08ZN-P1-C3-C1-T1-S2", false),
    ];
    server.boot();
    assert_eq!(server.refused(bridge("ent10", "ent4", "ent4", "10", "")), ViosMessage::NotPromiscuous);
    made(&mut server, bridge("ent9", "ent4", "ent4", "10", ""));
    let gone = server.get().adapter_change(AdapterChange::RemoveLogicalPort(LogicalPortId(0x2700_4001)));
    assert!(gone.expect_err("in use").iter().any(|line| line.contains("ent9")));
}

#[test]
fn the_network_of_the_site_is_made_once() {
    let array = TestArray::new(0, GIB);
    let mut server = Server::new(1, &array);
    prepare(&mut server);
    server.initial_network = Some(InitialNetwork {
        bridges: vec![
            InitialBridge {
                real: vec!["U78C9.001.WZS8141-P1-C7-T1".into(), "U78C9.001.WZS8141-P1-C7-T2".into()],
                trunks: vec![VirtualSlot(10), VirtualSlot(11)],
                default: VirtualSlot(10),
                control_channel: Some(VirtualSlot(20)),
                mode: Some("sharing".into()),
                attributes: pairs("largesend=1"),
                address: Some(([10, 0, 0, 1].into(), 24)),
            },
            InitialBridge {
                real: vec!["U78C9.001.WZS8141-P1-C9-T1".into()],
                trunks: vec![VirtualSlot(12)],
                default: VirtualSlot(12),
                control_channel: None,
                mode: None,
                attributes: Vec::new(),
                address: None,
            },
        ],
        gateway: Some([10, 0, 0, 254].into()),
    });
    server.open();
    server.boot();
    let told = server.network.last();
    assert_eq!(told.aggregations[0].device, "ent9");
    assert_eq!(told.bridges.len(), 1, "the second one has no port");
    assert_eq!((told.bridges[0].device.as_str(), told.bridges[0].real.as_str()), ("ent10", "ent9"));
    assert_eq!(told.interfaces[0].name, "en10");
    assert_eq!(told.gateway, Some([10, 0, 0, 254].into()));
    server.done(ViosChange::Network(NetworkChange::RemoveAddresses {
        interfaces: None,
        hostname: false,
        routing: false,
        name_service: false,
    }));
    server.done(remove("ent10", NetworkDeviceKind::Bridge));
    server.reopen();
    assert!(server.network.last().bridges.is_empty(), "what a person removed stays away");
}

#[test]
fn events_of_the_network_become_entries_of_the_error_log() {
    let array = TestArray::new(0, GIB);
    let mut server = running(&array);
    made(&mut server, bridge("ent0", "ent4", "ent4", "10", "ha_mode=auto"));
    for state in [BridgeState::Init, BridgeState::Primary, BridgeState::Limbo] {
        server.get().network_event(ServerNetworkEvent::Bridge { device: "ent9".into(), state });
    }
    server.get().network_event(ServerNetworkEvent::Link { device: "ent0".into(), up: false });
    // An answer comes after what was there before it.
    server.get().check_paths();
    let query = ErrorQuery { resource: Some("ent9".into()), ..ErrorQuery::default() };
    let templates = |query| match server.ask(ViosQuery::Errors(query)) {
        ViosAnswer::Errors(entries) => entries.into_iter().map(|entry| entry.template).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(templates(query), [ErrorTemplate::BridgeLimbo, ErrorTemplate::BridgePrimary]);
    let query = ErrorQuery { resource: Some("ent0".into()), ..ErrorQuery::default() };
    assert_eq!(templates(query), [ErrorTemplate::LinkDown]);
}
