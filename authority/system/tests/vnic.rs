//! Virtual NICs, SR-IOV logical ports and load groups: who is asked in which order, and what is left when somebody refuses.

#![allow(missing_docs)]

mod support;

use std::sync::{Arc, Mutex};

use support::*;
use varan_contract::engine::*;
use varan_contract::network::*;
use varan_contract::system::*;
use varan_model::ids::{LogicalPortId, PartitionUuid, VirtualSlot};
use varan_model::record::parse_record;
use varan_model::rules::sriov::{logical_port_ids, server_slots};
use varan_model::rules::virtual_io::AdapterKind;

/// A network that remembers what it is told.
#[derive(Default)]
struct FakeNetwork {
    told: Mutex<Vec<String>>,
    states: Mutex<Vec<BackingDeviceState>>,
}

impl FakeNetwork {
    fn tell(&self, text: String) {
        self.told.lock().unwrap().push(text);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

impl HypervisorNetwork for FakeNetwork {
    fn put_switch(&self, name: &str, mode: VirtualSwitchMode) {
        self.tell(format!("switch {name} {mode:?}"));
    }
    fn remove_switch(&self, name: &str) {
        self.tell(format!("no switch {name}"));
    }
    fn put_shared_port(&self, setup: PhysicalPortSetup) {
        self.tell(format!("port {} {} {}", setup.location, setup.maximum_payload, setup.bridge));
    }
    fn remove_shared_port(&self, location: &str) {
        self.tell(format!("no port {location}"));
    }
    fn physical_port(&self, _: &str) -> Option<PhysicalPortState> {
        None
    }
    fn logical_port(&self, _: LogicalPortId) -> Option<PortStatistics> {
        None
    }
    fn clear_statistics(&self, port: &str, logical: Option<LogicalPortId>) {
        self.tell(format!("clear {port} {logical:?}"));
    }
    fn backing_devices(&self, _: PartitionUuid, _: VirtualSlot) -> Vec<BackingDeviceState> {
        self.states.lock().unwrap().clone()
    }
    fn activate(&self, _: PartitionUuid, slot: VirtualSlot, port: LogicalPortId) -> bool {
        self.tell(format!("activate {slot} {port}"));
        true
    }
}

fn record(text: &str) -> Vec<varan_model::record::Assignment> {
    parse_record(text).unwrap()
}

fn request(operation: ListOperation, slot: Option<u16>, text: &str) -> SystemRequest {
    SystemRequest::ChangeAdapter(AdapterRequest {
        partition: named("client"),
        operation,
        kind: Some(AdapterKind::Vnic),
        slot: slot.map(VirtualSlot),
        record: record(text),
        force: false,
        wait_minutes: 5,
    })
}

const BOTH: &str = "port_vlan_id=20,\"backing_devices=sriov/vios1//1/0/2.0/10,sriov/vios2//2/0/2.0/20\"";

/// Two running servers and a running client.
fn bench(name: &str, seed: u64) -> (Bench, Arc<FakeNetwork>) {
    let network = Arc::new(FakeNetwork::default());
    let mut bench = Bench::open_network(&directory(name), seed, network.clone());
    for name in ["vios1", "vios2"] {
        let trunk = "max_virtual_slots=50,\"virtual_eth_adapters=2/0/1//0/0/ETHERNET0//all/none";
        let priority = if name == "vios1" { 1 } else { 2 };
        let text = SMALL
            .replace("aixlinux", "vioserver")
            .replace("virtual_eth_adapters=2/0/1//0/0/ETHERNET0//all/none", "");
        let record =
            record(&format!("name={name},{text}{trunk},10/1/100//{priority}/0/ETHERNET0//all/none\""));
        bench.call(SystemRequest::CreatePartition { record }).expect("created");
    }
    bench.create("client").expect("created");
    for name in ["vios1", "vios2", "client"] {
        bench.power_on(name);
        bench.boot(name);
    }
    bench.engine.calls.lock().unwrap().clear();
    (bench, network)
}

/// What guests were asked or told since the last time: partition, what, token.
fn asked(bench: &Bench) -> Vec<(String, String, u64)> {
    let calls = std::mem::take(&mut *bench.engine.calls.lock().unwrap());
    let name = |uuid| bench.authority.world().by_uuid(uuid).expect("a partition").partition.name.clone();
    let text = |change: &AdapterChange| match change {
        AdapterChange::Put(GuestAdapter::Vnic(nic)) => format!("put vnic {}", nic.backing_devices.len()),
        AdapterChange::Put(GuestAdapter::VnicServer(server)) => format!("put server {}", server.slot),
        AdapterChange::Put(GuestAdapter::LogicalPort(port)) => format!("put port {}", port.id),
        AdapterChange::Put(GuestAdapter::Network(adapter)) => {
            format!("put vlans {:?}", adapter.tagged_vlan_ids)
        }
        AdapterChange::Put(other) => format!("put {other:?}"),
        AdapterChange::Remove(address) => format!("remove {address:?}"),
        AdapterChange::Withdraw(address) => format!("withdraw {address:?}"),
    };
    let adapter = |call: Call| match call {
        Call::Adapter(partition, change, token) => Some((name(partition), text(&change), token)),
        _ => None,
    };
    calls.into_iter().filter_map(adapter).collect()
}

fn answer(bench: &mut Bench, who: &str, token: u64, done: bool) {
    let details = if done { Vec::new() } else { vec!["no".to_owned()] };
    bench.event(who, EngineEventKind::AdapterChanged { token, done, details });
}

fn one(bench: &Bench) -> (String, String, u64) {
    let mut all = asked(bench);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn servers_are_asked_one_after_another_and_the_client_last() {
    let (mut bench, _) = bench("vnic-order", 1);
    let reply = bench.send(request(ListOperation::Add, Some(6), BOTH));
    bench.step();
    for (who, what) in
        [("vios1", "put server 32897"), ("vios2", "put server 32897"), ("client", "put vnic 2")]
    {
        assert!(reply.try_recv().is_err(), "{who} has not answered");
        let (partition, text, token) = one(&bench);
        assert_eq!((partition.as_str(), text.as_str()), (who, what));
        answer(&mut bench, who, token, true);
    }
    assert_eq!(reply.try_recv().expect("answered"), Ok(SystemReply::Done));
    assert!(asked(&bench).is_empty());
    let current = bench.entry("client").partition.current.clone().expect("current");
    let ids: Vec<String> = logical_port_ids(&current).map(|id| id.to_string()).collect();
    assert_eq!(ids, ["27004001", "27008001"]);
    assert!(current.virtual_nics[0].mac_address.is_some());
    assert_eq!(bench.entry("client").runtime.lock, None);
    bench.authority.world().check_invariants();
}

#[test]
fn whoever_refuses_leaves_everything_as_it_was() {
    for refusing in 0..3 {
        for gone in [false, true] {
            let (mut bench, _) = bench(&format!("vnic-refused-{refusing}-{gone}"), 2);
            let before = bench.entry("client").partition.current.clone();
            let reply = bench.send(request(ListOperation::Add, Some(6), BOTH));
            bench.step();
            for turn in 0..=refusing {
                let (who, _, token) = one(&bench);
                if turn == refusing && gone {
                    bench.event(&who, EngineEventKind::State(GuestState::Failed));
                } else {
                    answer(&mut bench, &who, token, turn < refusing);
                }
            }
            let refusal = reply.try_recv().expect("answered").expect_err("refused").to_string();
            let code = if gone { "HSCL05DF" } else { "HSCL294C" };
            assert!(refusal.starts_with(code), "{refusal}");
            assert_eq!(bench.entry("client").partition.current, before, "{refusing} {gone}");
            assert_eq!(bench.entry("client").runtime.lock, None);
            let undone = asked(&bench);
            assert!(undone.iter().all(|(_, what, _)| what.starts_with("withdraw")), "{undone:?}");
            assert!(undone.len() >= refusing, "{undone:?}");
            bench.authority.world().check_invariants();
            let directory = bench.directory.clone();
            drop(bench);
            let again = Bench::open_network(&directory, 3, Arc::new(FakeNetwork::default()));
            assert_eq!(again.entry("client").partition.current, before);
        }
    }
}

/// Adds the virtual NIC of slot 6, everybody agreeing.
fn added(bench: &mut Bench) {
    let reply = bench.send(request(ListOperation::Add, Some(6), BOTH));
    bench.step();
    while let Some((who, _, token)) = asked(bench).pop() {
        answer(bench, &who, token, true);
    }
    assert_eq!(reply.try_recv().expect("answered"), Ok(SystemReply::Done));
}

#[test]
fn the_client_gives_up_first_and_then_its_servers_lose_their_part() {
    let (mut bench, _) = bench("vnic-remove", 4);
    added(&mut bench);
    let reply = bench.send(request(ListOperation::Remove, Some(6), ""));
    bench.step();
    let (who, what, token) = one(&bench);
    assert_eq!((who.as_str(), what.starts_with("remove")), ("client", true));
    answer(&mut bench, "client", token, true);
    assert_eq!(reply.try_recv().expect("answered"), Ok(SystemReply::Done));
    let after = asked(&bench);
    assert_eq!(after.iter().map(|(who, ..)| who.as_str()).collect::<Vec<_>>(), ["vios1", "vios2"]);
    assert!(bench.entry("client").partition.current.as_ref().unwrap().virtual_nics.is_empty());
    bench.authority.world().check_invariants();
}

#[test]
fn a_server_that_starts_again_has_its_part_again() {
    let (mut bench, _) = bench("vnic-restart", 5);
    added(&mut bench);
    bench.event("vios1", EngineEventKind::State(GuestState::Failed));
    let remove = SystemRequest::RemovePartition { partition: named("vios1"), server_adapters: false };
    let refusal = bench.refused(remove);
    assert!(refusal.contains("HSCL12A6") && refusal.contains("client"), "{refusal}");
    let options = PowerOnOptions::default();
    bench.call(SystemRequest::PowerOn { partition: named("vios1"), options }).expect("powered on");
    let specification = bench.engine.specification.lock().unwrap().clone().expect("admitted");
    assert_eq!(specification.vnic_servers.len(), 1);
    let server = &specification.vnic_servers[0];
    assert_eq!((server.slot.0, server.client_name.as_str(), server.priority), (32_897, "client", 10));
    assert_eq!(server.logical_port.location, "U78C9.001.WZS8141-P1-C5-T1-S1");
    assert_eq!(server.logical_port.port_vlan_id, 20);
}

#[test]
fn devices_come_and_go_while_the_client_runs() {
    let (mut bench, _) = bench("vnic-devices", 6);
    added(&mut bench);
    let reply =
        bench.send(request(ListOperation::Set, Some(6), "\"backing_devices+=sriov/vios2//1/1/2.0/30\""));
    bench.step();
    let (who, what, token) = one(&bench);
    assert_eq!((who.as_str(), what.as_str()), ("vios2", "put server 32898"));
    answer(&mut bench, "vios2", token, true);
    assert_eq!(reply.try_recv().expect("answered"), Ok(SystemReply::Done));
    assert!(asked(&bench).iter().any(|(who, what, _)| who == "client" && what == "put vnic 3"));
    bench.call(request(ListOperation::Set, Some(6), "backing_devices-=sriov/vios1//1/0")).expect("removed");
    let told = asked(&bench);
    assert!(told.iter().any(|(who, what, _)| who == "vios1" && what.starts_with("withdraw")), "{told:?}");
    assert!(told.iter().any(|(who, what, _)| who == "client" && what == "put vnic 2"), "{told:?}");
    // A server that refuses an addition leaves the two that are there.
    let reply =
        bench.send(request(ListOperation::Set, Some(6), "\"backing_devices+=sriov/vios1//2/1/2.0/5\""));
    bench.step();
    let (_, _, token) = one(&bench);
    answer(&mut bench, "vios1", token, false);
    assert!(reply.try_recv().expect("answered").is_err());
    assert_eq!(
        bench.entry("client").partition.current.as_ref().unwrap().virtual_nics[0].backing_devices.len(),
        2
    );
    bench.authority.world().check_invariants();
}

#[test]
fn a_backing_device_that_is_down_is_not_made_active() {
    let (mut bench, network) = bench("vnic-activate", 7);
    added(&mut bench);
    let port: LogicalPortId = "27008001".parse().unwrap();
    let activate = |keep_automatic| SystemRequest::ChangeVnic {
        partition: named("client"),
        slot: VirtualSlot(6),
        change: VnicChange::Activate { port, keep_automatic },
    };
    let state = |status| vec![BackingDeviceState { logical_port: port, active: false, status }];
    *network.states.lock().unwrap() = state(BackingDeviceStatus::LinkDown);
    network.told();
    let refusal = bench.refused(activate(false));
    assert!(refusal.starts_with("HSCL12A9") && refusal.contains("Link Down"), "{refusal}");
    let nic =
        |bench: &Bench| bench.entry("client").partition.current.as_ref().unwrap().virtual_nics[0].clone();
    assert!(
        nic(&bench).auto_priority_failover && nic(&bench).preferred.is_none() && network.told().is_empty()
    );
    *network.states.lock().unwrap() = state(BackingDeviceStatus::Operational);
    bench.call(activate(true)).expect("activated");
    assert!(nic(&bench).auto_priority_failover);
    bench.call(activate(false)).expect("activated");
    assert_eq!((nic(&bench).auto_priority_failover, nic(&bench).preferred), (false, Some(port)));
    assert_eq!(network.told(), ["activate 6 27008001"; 2]);
    bench.call(request(ListOperation::Set, Some(6), "auto_priority_failover=1")).expect("set");
    assert_eq!((nic(&bench).auto_priority_failover, nic(&bench).preferred), (true, None));
}

#[test]
fn the_network_is_set_up_at_the_start_and_with_each_change() {
    let (mut bench, network) = bench("vnic-set-up", 8);
    let told = network.told();
    assert!(told.contains(&"switch ETHERNET0 Veb".to_owned()) && told.len() == 5, "{told:?}");
    let text = "adapter_id=2,phys_port_id=1,config_max_recv_packet_size=9000,veb_mode=0";
    bench.call(SystemRequest::ChangeSriovPort { record: record(text) }).expect("set");
    assert!(network.told().contains(&"port U78C9.001.WZS8141-P1-C6-T2 9000 false".to_owned()));
    let switch = |operation, text: &str| SystemRequest::ChangeVirtualSwitch {
        name: "other".to_owned(),
        operation,
        record: record(text),
    };
    bench.call(switch(ListOperation::Add, "mode=VEPA")).expect("added");
    bench.call(switch(ListOperation::Set, "new_name=third")).expect("renamed");
    assert_eq!(network.told(), ["switch other Vepa", "no switch other", "switch third Vepa"]);
    let gone = SystemRequest::ChangeSriovAdapter {
        operation: ListOperation::Remove,
        record: record("adapter_id=2"),
    };
    bench.call(gone).expect("dedicated");
    assert_eq!(network.told().len(), 2);
}

fn network(operation: ListOperation, vlan: u16) -> SystemRequest {
    let name = format!("VLAN{vlan}-ETHERNET0");
    SystemRequest::ChangeVirtualNetwork { name, operation, record: record("load_group=100"), wait_minutes: 5 }
}

fn vlans(bench: &Bench, server: &str) -> Vec<u16> {
    let current = bench.entry(server).partition.current.clone().expect("current");
    current.ethernet_adapters.iter().flat_map(|adapter| adapter.additional_vlan_ids.clone()).collect()
}

#[test]
fn a_vlan_is_on_both_servers_or_on_none() {
    let (mut bench, _) = bench("vnic-group", 9);
    let reply = bench.send(network(ListOperation::Add, 200));
    bench.step();
    for who in ["vios1", "vios2"] {
        let (partition, what, token) = one(&bench);
        assert_eq!((partition.as_str(), what.as_str()), (who, "put vlans [200]"));
        answer(&mut bench, who, token, true);
    }
    assert_eq!(reply.try_recv().expect("answered"), Ok(SystemReply::Done));
    let reply = bench.send(network(ListOperation::Add, 300));
    bench.step();
    let (_, _, token) = one(&bench);
    answer(&mut bench, "vios1", token, true);
    let (_, _, token) = one(&bench);
    answer(&mut bench, "vios2", token, false);
    assert!(reply.try_recv().expect("answered").is_err());
    assert_eq!((vlans(&bench, "vios1"), vlans(&bench, "vios2")), (vec![200], vec![200]));
    assert!(asked(&bench).iter().all(|(_, what, _)| what == "put vlans [200]"));
    bench.event("vios2", EngineEventKind::State(GuestState::OpenFirmware));
    let refusal = bench.refused(network(ListOperation::Remove, 200));
    assert!(refusal.contains("vios2"), "{refusal}");
    assert_eq!(vlans(&bench, "vios1"), [200]);
    bench.authority.world().check_invariants();
}

#[test]
fn rmc_follows_the_sessions_that_a_guest_reports() {
    use varan_model::partition::RmcState;
    let (mut bench, _) = bench("vnic-rmc", 10);
    let tell = |bench: &mut Bench, sessions: &[&str]| {
        let sessions = sessions.iter().map(|one| (*one).to_owned()).collect();
        let report = OperatingSystemReport { rmc_sessions: Some(sessions), ..report("client") };
        bench.event("client", EngineEventKind::OperatingSystem(report));
        bench.entry("client").runtime.rmc
    };
    assert_eq!(tell(&mut bench, &[]), RmcState::Inactive);
    bench.environment.advance(std::time::Duration::from_secs(3_600));
    bench.step();
    assert_eq!(bench.entry("client").runtime.rmc, RmcState::Inactive, "time alone brings no session");
    let refusal = bench.refused(memory("client", DynamicOperation::Add, 256));
    assert!(refusal.starts_with("HSCL2957"), "{refusal}");
    assert_eq!(tell(&mut bench, &["myhmc"]), RmcState::Active);
}

/// Random changes of virtual NICs and logical ports, random answers: what is recorded is what the indexes say, no logical
/// port and no server slot has two owners, and another start finds the same.
#[test]
fn random_changes_keep_every_port_with_one_owner() {
    let seed = std::env::var("VARAN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_122);
    println!("VARAN_SEED={seed}");
    let (mut bench, _) = bench("vnic-random", seed);
    bench.create("second").expect("created");
    bench.power_on("second");
    bench.boot("second");
    let mut state = seed;
    for round in 0..400 {
        let draw = varan_environment::split_mix(&mut state);
        let name = ["client", "second"][(draw >> 4) as usize % 2];
        let request = random_change(draw, name);
        let reply = bench.send(request.clone());
        bench.step();
        loop {
            let open: Vec<_> = asked(&bench).into_iter().filter(|(.., token)| *token != 0).collect();
            if reply.try_recv().is_ok() {
                break;
            }
            let Some((who, _, token)) = open.last().cloned() else { break };
            match varan_environment::split_mix(&mut state) % 8 {
                0 => answer(&mut bench, &who, token, false),
                1 => {
                    bench.event(&who, EngineEventKind::State(GuestState::Failed));
                    let options = PowerOnOptions::default();
                    bench.call(SystemRequest::PowerOn { partition: named(&who), options }).expect("on again");
                    bench.boot(&who);
                    asked(&bench);
                }
                _ => answer(&mut bench, &who, token, true),
            }
        }
        bench.authority.world().check_invariants();
        let current = |name: &str| bench.entry(name).partition.current.clone().expect("current");
        let contents = [current("client"), current("second")];
        let mut ports: Vec<LogicalPortId> = contents.iter().flat_map(logical_port_ids).collect();
        let mut slots: Vec<_> = contents.iter().flat_map(server_slots).collect();
        let (count, hosted) = (ports.len(), slots.len());
        ports.sort_unstable();
        ports.dedup();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!((ports.len(), slots.len()), (count, hosted), "seed {seed}, round {round}: {request:?}");
        for name in ["client", "second", "vios1", "vios2"] {
            assert_eq!(
                bench.entry(name).runtime.lock,
                None,
                "seed {seed}, round {round}: {name} {request:?}"
            );
        }
    }
    let before = bench.entry("client").partition.current.clone();
    let directory = bench.directory.clone();
    drop(bench);
    let again = Bench::open_network(&directory, seed, Arc::new(FakeNetwork::default()));
    assert_eq!(again.entry("client").partition.current, before);
    again.authority.world().check_invariants();
}

fn random_change(draw: u64, name: &str) -> SystemRequest {
    let partition = named(name);
    let (server, adapter, port) = (draw >> 8 & 1, draw >> 9 & 1, draw >> 10 & 1);
    let device = format!(
        "sriov/vios{}//{}/{port}/{}.0/{}",
        server + 1,
        adapter + 1,
        2 * (draw >> 12 & 15),
        draw >> 16 & 63
    );
    let slot = VirtualSlot(3 + (draw >> 24 & 3) as u16);
    let nic = |operation, text: &str| {
        SystemRequest::ChangeAdapter(AdapterRequest {
            partition: named(name),
            operation,
            kind: Some(AdapterKind::Vnic),
            slot: Some(slot),
            record: record(text),
            force: false,
            wait_minutes: 5,
        })
    };
    let logical = |operation, text: String| SystemRequest::ChangeLogicalPort {
        partition: named(name),
        operation,
        record: record(&text),
        force: false,
        wait_minutes: 5,
    };
    match draw % 9 {
        0 | 1 => nic(ListOperation::Add, &format!("backing_devices={device}")),
        2 => nic(ListOperation::Set, &format!("backing_devices+={device}")),
        3 => nic(ListOperation::Set, &format!("backing_devices-={device}")),
        4 => nic(ListOperation::Remove, ""),
        5 | 6 => logical(
            ListOperation::Add,
            format!("adapter_id={},phys_port_id={port},logical_port_type=eth", adapter + 1),
        ),
        7 => logical(
            ListOperation::Remove,
            format!("logical_port_id={:08x}", 0x2700_0000 + 0x4000 * (adapter + 1) + 1 + (draw >> 32) % 6),
        ),
        _ => SystemRequest::ChangeVnic { partition, slot, change: VnicChange::Enable(server == 0) },
    }
}
