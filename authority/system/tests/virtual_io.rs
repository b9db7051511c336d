//! Virtual adapters, virtual switches and shared processor pools: what is recorded, and what a refusal leaves.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;

use support::*;
use varan_contract::engine::*;
use varan_contract::system::*;
use varan_model::ids::VirtualSlot;
use varan_model::record::parse_record;
use varan_model::rules::virtual_io::AdapterKind;

fn adapter(
    name: &str,
    operation: ListOperation,
    kind: Option<AdapterKind>,
    slot: Option<u16>,
    record: &str,
) -> SystemRequest {
    SystemRequest::ChangeAdapter(AdapterRequest {
        partition: named(name),
        operation,
        kind,
        slot: slot.map(VirtualSlot),
        record: parse_record(record).unwrap(),
        force: false,
        wait_minutes: 5,
    })
}

fn add(name: &str, kind: AdapterKind, slot: Option<u16>, record: &str) -> SystemRequest {
    adapter(name, ListOperation::Add, Some(kind), slot, record)
}

fn switch(name: &str, operation: ListOperation, record: &str) -> SystemRequest {
    let record = parse_record(record).unwrap();
    SystemRequest::ChangeVirtualSwitch { name: name.to_owned(), operation, record }
}

fn pool(id: u16, record: &str) -> SystemRequest {
    SystemRequest::ChangeProcessorPool { pool: PoolSelector::Id(id), record: parse_record(record).unwrap() }
}

fn assign(name: &str, record: &str) -> SystemRequest {
    SystemRequest::AssignProcessorPool { partition: named(name), record: parse_record(record).unwrap() }
}

fn apply(bench: &mut Bench, name: &str) {
    let profile = "default_profile".to_owned();
    bench.call(SystemRequest::ApplyProfile { partition: named(name), profile }).expect("applied");
}

/// A bench with partitions that have a current configuration and are off.
fn bench(name: &str, seed: u64) -> Bench {
    let mut bench = Bench::open(&directory(name), seed);
    for partition in ["lpar1", "lpar2"] {
        bench.create(partition).expect("created");
        apply(&mut bench, partition);
    }
    bench
}

#[test]
fn adapters_of_a_partition_that_is_off_change_at_once_and_durably() {
    let mut bench = bench("adapters", 1);
    let before = bench.authority.counters().transactions;
    bench.call(add("lpar1", AdapterKind::Ethernet, None, "port_vlan_id=900")).expect("added");
    assert_eq!(bench.authority.counters().transactions - before, 1, "one durable write");
    let text = "adapter_type=client,remote_lpar_name=lpar2,remote_slot_num=7";
    bench.call(add("lpar1", AdapterKind::FibreChannel, Some(5), text)).expect("added");
    bench.call(add("lpar2", AdapterKind::Scsi, None, "adapter_type=server")).expect("added");
    let set = adapter(
        "lpar1",
        ListOperation::Set,
        Some(AdapterKind::Ethernet),
        Some(3),
        "ieee_virtual_eth=1,addl_vlan_ids+=342",
    );
    bench.call(set).expect("changed");
    let partition = bench.entry("lpar1").partition;
    let current = partition.current.clone().expect("current");
    let added = &current.ethernet_adapters[1];
    assert_eq!(
        (added.slot.0, added.port_vlan_id, added.additional_vlan_ids.as_slice()),
        (3, 900, &[342][..])
    );
    assert!(added.mac_address.is_some() && current.fibre_channel_adapters[0].port_names.is_some());
    assert_eq!(partition.profiles[0].configuration.ethernet_adapters.len(), 1, "the profile stays");
    bench.authority.world().check_invariants();
    let directory = bench.directory.clone();
    drop(bench);
    let mut bench = Bench::open(&directory, 2);
    assert_eq!(bench.entry("lpar1").partition.current, Some(current));
    bench.call(adapter("lpar1", ListOperation::Remove, None, Some(3), "")).expect("removed");
    assert_eq!(bench.entry("lpar1").partition.current.as_ref().unwrap().ethernet_adapters.len(), 1);
    bench.authority.world().check_invariants();
}

#[test]
fn generated_addresses_are_never_given_twice() {
    let mut bench = bench("generated", 3);
    let (mut addresses, mut names) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..20 {
        for name in ["lpar1", "lpar2"] {
            bench.call(add(name, AdapterKind::Ethernet, Some(6), "port_vlan_id=2")).expect("added");
            let text = "adapter_type=client,remote_lpar_id=1,remote_slot_num=7";
            bench.call(add(name, AdapterKind::FibreChannel, Some(7), text)).expect("added");
            let current = bench.entry(name).partition.current.clone().expect("current");
            assert!(addresses.insert(current.ethernet_adapters[1].mac_address), "round {round}");
            assert!(names.insert(current.fibre_channel_adapters[0].port_names), "round {round}");
            for slot in [6, 7] {
                bench.call(adapter(name, ListOperation::Remove, None, Some(slot), "")).expect("removed");
            }
        }
    }
    bench.authority.world().check_invariants();
}

#[test]
fn a_refusal_changes_nothing() {
    use AdapterKind::{Ethernet, FibreChannel, Scsi, Serial};
    let mut bench = bench("refusals", 4);
    bench.create("fresh").expect("created");
    let address = bench.entry("lpar2").partition.current.as_ref().unwrap().ethernet_adapters[0].mac_address;
    let taken = format!("port_vlan_id=1,mac_addr={}", address.expect("generated"));
    let set = |record| adapter("lpar1", ListOperation::Set, Some(Ethernet), Some(2), record);
    let remove = |kind, slot| adapter("lpar1", ListOperation::Remove, kind, Some(slot), "");
    let before = bench.authority.counters().transactions;
    let system = bench.authority.world().system().clone();
    let entry = bench.entry("lpar1");
    for (request, expected) in [
        (add("nosuch", Ethernet, None, "port_vlan_id=1"), "HSCL8012"),
        (add("fresh", Ethernet, None, "port_vlan_id=1"), "HSCL3680"),
        (add("lpar1", Ethernet, Some(2), "port_vlan_id=1"), "HSCL0561"),
        (add("lpar1", Ethernet, Some(10), "port_vlan_id=1"), "HSCL0560"),
        (add("lpar1", Ethernet, None, "port_vlan_id=1,vswitch=nosuch"), "HSCL0562"),
        (add("lpar1", Ethernet, None, &taken), "HSCL0564"),
        (add("lpar1", Ethernet, None, "port_vlan_id=0"), "from 1 to 4094"),
        (add("lpar1", Scsi, None, "adapter_type=client"), "missing attributes"),
        (add("lpar1", FibreChannel, None, "adapter_type=server"), "names its remote partition"),
        (add("lpar1", Serial, Some(0), ""), "HSCL0561"),
        (set("foo=1"), "The invalid attribute is foo"),
        (set("addl_vlan_ids-=9"), "HSCL0569"),
        (remove(None, 5), "HSCL0570"),
        (remove(Some(Scsi), 2), "HSCL0570"),
        (remove(None, 1), "HSCL0571"),
        (switch("ETHERNET0", ListOperation::Add, ""), "HSCL0573"),
        (switch("ETHERNET0", ListOperation::Remove, ""), "HSCL0574"),
        (switch("nosuch", ListOperation::Remove, ""), "HSCL0562"),
        (switch("a/b", ListOperation::Add, ""), "HSCL05D9"),
        (pool(0, "new_name=x"), "HSCL0579"),
        (pool(64, "new_name=x"), "HSCL0577"),
        (pool(1, "reserved_pool_proc_units=1.0"), "HSCL057A"),
        (assign("lpar1", "shared_proc_pool_id=9"), "there is no such shared processor pool"),
        (assign("lpar1", "uncap_weight=9"), "The invalid attribute is uncap_weight"),
    ] {
        let refused = bench.refused(request.clone());
        assert!(refused.contains(expected), "{request:?}: {refused}");
    }
    assert_eq!(bench.authority.counters().transactions, before, "nothing was written");
    assert_eq!(*bench.authority.world().system(), system);
    assert_eq!(bench.entry("lpar1"), entry);
    bench.authority.world().check_invariants();
}

fn ethernets(bench: &Bench, name: &str) -> Vec<u16> {
    let entry = bench.entry(name);
    entry.partition.current.iter().flat_map(|one| &one.ethernet_adapters).map(|one| one.slot.0).collect()
}

/// The token of the last adapter request to the engine.
fn token(bench: &Bench) -> u64 {
    match bench.last_call() {
        Call::Adapter(_, _, token) => token,
        other => panic!("no adapter was asked for: {other:?}"),
    }
}

fn answer(bench: &mut Bench, name: &str, details: &[&str]) {
    let token = token(bench);
    let details: Vec<String> = details.iter().map(|line| (*line).to_owned()).collect();
    bench.event(name, EngineEventKind::AdapterChanged { token, done: details.is_empty(), details });
}

fn forced(request: SystemRequest) -> SystemRequest {
    match request {
        SystemRequest::ChangeAdapter(change) => {
            SystemRequest::ChangeAdapter(AdapterRequest { force: true, ..change })
        }
        other => other,
    }
}

#[test]
fn a_running_partition_without_rmc_refuses_adapters_unless_forced() {
    let mut bench = bench("running", 5);
    bench.power_on("lpar1");
    let request = || add("lpar1", AdapterKind::Ethernet, None, "port_vlan_id=2");
    let remove = || adapter("lpar1", ListOperation::Remove, None, Some(2), "");
    assert!(bench.refused(request()).starts_with("HSCL05DF"));
    bench.event("lpar1", EngineEventKind::State(GuestState::Running));
    assert!(bench.refused(request()).starts_with("HSCL294C"));
    assert!(bench.refused(remove()).starts_with("HSCL294D"));
    assert_eq!(ethernets(&bench, "lpar1"), [2]);
    // Past the guest: recorded, and nobody is asked.
    let calls = bench.engine.calls.lock().unwrap().len();
    bench.call(forced(request())).expect("forced");
    bench.call(forced(remove())).expect("forced");
    assert_eq!(ethernets(&bench, "lpar1"), [3]);
    assert_eq!(bench.engine.calls.lock().unwrap().len(), calls);
}

#[test]
fn a_running_partition_takes_an_adapter_that_is_recorded_once() {
    let mut bench = bench("running-add", 6);
    bench.power_on("lpar1");
    bench.boot("lpar1");
    let before = bench.authority.counters().transactions;
    let reply = bench.send(add("lpar1", AdapterKind::Ethernet, None, "port_vlan_id=900"));
    bench.step();
    assert!(reply.try_recv().is_err(), "answered by the guest only");
    assert!(bench.refused(add("lpar1", AdapterKind::Scsi, None, "adapter_type=server")).starts_with("HSCL"));
    let recorded = bench.entry("lpar1").partition.current.clone().unwrap().ethernet_adapters[1].clone();
    match bench.last_call() {
        Call::Adapter(_, AdapterChange::Put(GuestAdapter::Network(given)), _) => {
            assert_eq!((given.slot.0, given.port_vlan_id), (3, 900));
            assert_eq!(Some(given.mac_address), recorded.mac_address, "the guest has the recorded address");
        }
        other => panic!("{other:?}"),
    }
    answer(&mut bench, "lpar1", &[]);
    assert!(matches!(reply.try_recv(), Ok(Ok(SystemReply::Done))));
    assert_eq!(bench.authority.counters().transactions - before, 1, "one durable write");
    assert!(bench.entry("lpar1").runtime.lock.is_none());
    // The profile keeps what it has: synchronization is off.
    let profile = bench.entry("lpar1").partition.profiles[0].configuration.clone();
    assert_eq!(profile.ethernet_adapters.len(), 1);
    // Refused by the guest: nothing is left of it, and its address is not given again.
    let reply = bench.send(add("lpar1", AdapterKind::Ethernet, None, "port_vlan_id=901"));
    bench.step();
    answer(&mut bench, "lpar1", &["The operating system does not respond."]);
    match reply.try_recv() {
        Ok(Err(CallError::Refused(refusal))) => {
            assert!(refusal.to_string().starts_with("HSCL294C"), "{refusal}");
            assert!(refusal.to_string().ends_with("does not respond."), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(ethernets(&bench, "lpar1"), [2, 3]);
    bench.authority.world().check_invariants();
    // An attribute of the hypervisor's changes at once.
    let kind = Some(AdapterKind::Ethernet);
    bench
        .call(adapter("lpar1", ListOperation::Set, kind, Some(3), "ieee_virtual_eth=1,addl_vlan_ids+=7"))
        .expect("set");
    assert!(matches!(bench.last_call(), Call::Adapter(_, AdapterChange::Put(_), _)));
    answer(&mut bench, "lpar1", &[]);
    let directory = bench.directory.clone();
    drop(bench);
    let bench = Bench::open(&directory, 7);
    assert_eq!(ethernets(&bench, "lpar1"), [2, 3]);
}

#[test]
fn a_running_partition_gives_an_adapter_up_when_it_does_not_use_it() {
    let mut bench = bench("running-remove", 8);
    bench.call(change("lpar1", "sync_curr_profile=1")).expect("changed");
    bench.power_on("lpar1");
    bench.boot("lpar1");
    let before = bench.authority.counters().transactions;
    let remove = || adapter("lpar1", ListOperation::Remove, None, Some(2), "");
    let reply = bench.send(remove());
    bench.step();
    assert_eq!(bench.authority.counters().transactions, before, "nothing is recorded yet");
    answer(&mut bench, "lpar1", &["Unconfigure the following device(s) and try again.", "\tent0"]);
    match reply.try_recv() {
        Ok(Err(CallError::Refused(refusal))) => {
            assert!(refusal.to_string().starts_with("HSCL294D"), "{refusal}");
            assert!(refusal.to_string().ends_with("\tent0"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((ethernets(&bench, "lpar1"), bench.entry("lpar1").runtime.lock.is_some()), (vec![2], false));
    // It cannot be recorded: the guest gets it back.
    let reply = bench.send(remove());
    bench.step();
    bench.recording(false);
    answer(&mut bench, "lpar1", &[]);
    assert!(matches!(reply.try_recv(), Ok(Err(CallError::Refused(_)))));
    assert!(matches!(bench.last_call(), Call::Adapter(_, AdapterChange::Put(_), 0)));
    assert_eq!((ethernets(&bench, "lpar1"), bench.entry("lpar1").runtime.lock.is_some()), (vec![2], false));
    bench.recording(true);
    // The guest ends before it answers.
    let reply = bench.send(remove());
    bench.step();
    bench.event("lpar1", EngineEventKind::State(GuestState::Stopped { restart: false }));
    assert!(matches!(reply.try_recv(), Ok(Err(CallError::Refused(_)))));
    assert_eq!(ethernets(&bench, "lpar1"), [2]);
    bench.authority.world().check_invariants();
    bench.power_on("lpar1");
    bench.boot("lpar1");
    let reply = bench.send(remove());
    bench.step();
    answer(&mut bench, "lpar1", &[]);
    assert!(matches!(reply.try_recv(), Ok(Ok(SystemReply::Done))));
    assert!(ethernets(&bench, "lpar1").is_empty());
    let profile = bench.entry("lpar1").partition.profiles[0].configuration.clone();
    assert!(profile.ethernet_adapters.is_empty(), "synchronization is on");
}

fn slot_of(name: &str, operation: DynamicOperation, drc_index: u32) -> SystemRequest {
    let partition = named(name);
    SystemRequest::ChangeIoSlot { partition, operation, drc_index, pool: None, force: false, wait_minutes: 5 }
}

#[test]
fn a_physical_slot_has_one_owner_and_moves_between_running_partitions() {
    let mut bench = bench("io-slots", 9);
    let index = bench.authority.world().system().hardware.slots[0].drc_index;
    let owners = |bench: &Bench| -> Vec<String> {
        ["lpar1", "lpar2"]
            .into_iter()
            .filter(|name| {
                let entry = bench.entry(name);
                entry
                    .partition
                    .current
                    .iter()
                    .any(|one| one.physical_slots.iter().any(|slot| slot.drc_index == index))
            })
            .map(str::to_owned)
            .collect()
    };
    assert!(bench.refused(slot_of("lpar1", DynamicOperation::Add, 1)).starts_with("HSCL0563"));
    assert!(
        bench
            .refused(slot_of("lpar1", DynamicOperation::Remove, index))
            .contains("does not have the I/O slot")
    );
    bench.call(slot_of("lpar1", DynamicOperation::Add, index)).expect("off: at once");
    assert!(
        bench.refused(slot_of("lpar1", DynamicOperation::Add, index)).contains("already has the I/O slot")
    );
    for name in ["lpar1", "lpar2"] {
        bench.power_on(name);
        bench.boot(name);
    }
    // The activation took the profile, which has no slot.
    let reply = bench.send(slot_of("lpar1", DynamicOperation::Add, index));
    bench.step();
    answer(&mut bench, "lpar1", &[]);
    assert!(matches!(reply.try_recv(), Ok(Ok(SystemReply::Done))));
    assert!(bench.refused(slot_of("lpar2", DynamicOperation::Add, index)).starts_with("HSCL03F6"));
    let reply = bench.send(slot_of("lpar1", DynamicOperation::Move(named("lpar2")), index));
    bench.step();
    answer(&mut bench, "lpar1", &["\tpci0"]);
    match reply.try_recv() {
        Ok(Err(CallError::Refused(refusal))) => {
            assert!(refusal.to_string().starts_with("HSCL2929"), "{refusal}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(owners(&bench), ["lpar1"]);
    let reply = bench.send(slot_of("lpar1", DynamicOperation::Move(named("lpar2")), index));
    bench.step();
    answer(&mut bench, "lpar1", &[]);
    assert!(reply.try_recv().is_err(), "the taker has to answer");
    assert_eq!(owners(&bench), ["lpar2"], "both in one transaction");
    answer(&mut bench, "lpar2", &[]);
    assert!(matches!(reply.try_recv(), Ok(Ok(SystemReply::Done))));
    bench.authority.world().check_invariants();
}

#[test]
fn virtual_switches_are_durable_and_kept_while_in_use() {
    let mut bench = bench("switches", 7);
    bench.call(switch("prod", ListOperation::Add, "")).expect("added");
    bench.call(switch("prod", ListOperation::Set, "new_name=production")).expect("renamed");
    let text = "port_vlan_id=2,vswitch=production";
    bench.call(add("lpar1", AdapterKind::Ethernet, None, text)).expect("added");
    assert!(bench.refused(switch("production", ListOperation::Remove, "")).starts_with("HSCL0575"));
    assert!(bench.refused(switch("production", ListOperation::Set, "new_name=x")).starts_with("HSCL0575"));
    let directory = bench.directory.clone();
    drop(bench);
    let mut bench = Bench::open(&directory, 8);
    assert!(bench.authority.world().system().has_virtual_switch("production"));
    bench.call(adapter("lpar1", ListOperation::Remove, None, Some(3), "")).expect("removed");
    bench.call(switch("production", ListOperation::Remove, "")).expect("removed");
    assert_eq!(bench.authority.world().system().virtual_switches().count(), 1);
    for number in 0..15 {
        bench.call(switch(&format!("s{number}"), ListOperation::Add, "")).expect("added");
    }
    assert!(bench.refused(switch("more", ListOperation::Add, "")).starts_with("HSCL0576"));
}

#[test]
fn pools_hold_their_partitions_to_a_maximum() {
    let mut bench = bench("pools", 9);
    bench.call(pool(1, "new_name=fast,max_pool_proc_units=0.2,reserved_pool_proc_units=0.1")).expect("set");
    let free = bench.authority.world().system().available_units();
    assert_eq!(free.0, 790, "what is reserved is not free");
    for name in ["lpar1", "lpar2"] {
        bench.call(assign(name, "shared_proc_pool_name=fast")).expect("assigned");
    }
    let options = PowerOnOptions::default;
    let on = |name| SystemRequest::PowerOn { partition: named(name), options: options() };
    bench.call(on("lpar1")).expect("0.1 of 0.2, 0.1 are reserved");
    assert!(bench.refused(on("lpar2")).starts_with("HSCL057A"));
    assert!(bench.refused(pool(1, "max_pool_proc_units=0.1")).starts_with("HSCL057A"));
    bench.call(pool(1, "max_pool_proc_units=0.3")).expect("raised");
    bench.call(on("lpar2")).expect("fits now");
    let refused = bench.refused(pool(1, "max_pool_proc_units=0,reserved_pool_proc_units=0"));
    assert!(refused.starts_with("HSCL057"), "{refused}");
    bench.authority.world().check_invariants();
}
