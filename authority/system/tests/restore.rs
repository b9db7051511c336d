//! `rsthwres`, `chhwres -o s` on a current configuration, and what `rmsyscfg --vioscfg` takes from servers.

#![allow(missing_docs)]

mod support;

use support::*;
use varan_contract::engine::*;
use varan_contract::system::*;
use varan_model::ids::VirtualSlot;
use varan_model::record::parse_record;

fn running(name: &str, seed: u64, partitions: &[&str]) -> Bench {
    let mut bench = Bench::open(&directory(name), seed);
    for name in partitions {
        bench.create(name).expect("created");
        bench.power_on(name);
        bench.boot(name);
    }
    bench
}

fn restore(name: Option<&str>, resource: Restorable) -> SystemRequest {
    SystemRequest::RestoreResources { partition: name.map(named), resource }
}

fn slot(name: &str, operation: DynamicOperation, drc_index: u32, force: bool) -> SystemRequest {
    let partition = named(name);
    SystemRequest::ChangeIoSlot { partition, operation, drc_index, pool: None, force, wait_minutes: 5 }
}

fn without_rmc(bench: &mut Bench, name: &str) {
    let silent = OperatingSystemReport { rmc_running: false, ..report(name) };
    bench.event(name, EngineEventKind::OperatingSystem(silent));
}

#[test]
fn memory_that_could_not_be_recorded_is_restored_from_the_operating_system() {
    for named_partition in [true, false] {
        let mut bench = running("restore-memory", 1, &["lpar1", "lpar2"]);
        let before = bench.entry("lpar2");
        let answer = bench.send(memory("lpar1", DynamicOperation::Add, 1_024));
        bench.step();
        bench.recording(false);
        bench.answer_memory(None, &[]);
        bench.answer_memory(Some(1_024), &["0930-033 busy"]);
        assert!(answer.try_recv().expect("answered").is_err());
        assert!(bench.entry("lpar1").memory_differs());
        assert!(bench.refused(restore(Some("lpar1"), Restorable::Memory)).starts_with("HSCL0002"));
        bench.recording(true);
        let writes = bench.authority.counters().transactions;
        bench.call(restore(named_partition.then_some("lpar1"), Restorable::Memory)).expect("restored");
        assert_eq!(bench.authority.counters().transactions - writes, 1, "one durable write");
        let entry = bench.entry("lpar1");
        assert_eq!(entry.partition.current.as_ref().expect("current").desired_memory, 1_024);
        assert!(!entry.memory_differs());
        assert_eq!(bench.entry("lpar2"), before, "what agrees is not touched");
        bench.authority.world().check_invariants();
    }
}

#[test]
fn where_both_agree_nothing_is_done() {
    let mut bench = running("restore-nothing", 2, &["lpar1"]);
    let before = bench.entry("lpar1");
    let writes = bench.authority.counters().transactions;
    let index = bench.authority.world().system().hardware.slots[0].drc_index;
    for resource in [Restorable::Memory, Restorable::Processors, Restorable::IoSlots(None)] {
        bench.call(restore(Some("lpar1"), resource)).expect("nothing to do");
        bench.call(restore(None, resource)).expect("nothing to do");
    }
    bench.call(restore(None, Restorable::IoSlots(Some(index)))).expect("nothing to do");
    bench.call(SystemRequest::ClearIoSlots { drc_index: None }).expect("nothing to do");
    assert_eq!(bench.entry("lpar1"), before);
    assert_eq!(bench.authority.counters().transactions, writes);
    assert!(bench.refused(restore(Some("nosuch"), Restorable::Memory)).starts_with("HSCL8012"));
    assert!(bench.refused(restore(None, Restorable::IoSlots(Some(9)))).starts_with("HSCL0563"));
    assert!(bench.refused(SystemRequest::ClearIoSlots { drc_index: Some(9) }).starts_with("HSCL0563"));
    assert!(bench.refused(SystemRequest::ClearIoSlots { drc_index: Some(index) }).contains("is present"));
}

#[test]
fn a_slot_that_was_forced_past_an_operating_system_is_restored_when_rmc_is_back() {
    let mut bench = running("restore-slots", 3, &["lpar1"]);
    let index = bench.authority.world().system().hardware.slots[0].drc_index;
    let past = |bench: &Bench| bench.entry("lpar1").runtime.slots_past_guest.clone();
    without_rmc(&mut bench, "lpar1");
    assert!(bench.refused(slot("lpar1", DynamicOperation::Add, index, false)).starts_with("HSCL2957"));
    bench.call(slot("lpar1", DynamicOperation::Add, index, true)).expect("forced");
    assert_eq!(past(&bench), [index].into());
    // Taken back before anybody noticed: the operating system never knew.
    bench.call(slot("lpar1", DynamicOperation::Remove, index, true)).expect("forced");
    assert_eq!(past(&bench), [].into());
    bench.call(slot("lpar1", DynamicOperation::Add, index, true)).expect("forced");
    assert!(bench.refused(restore(Some("lpar1"), Restorable::IoSlots(None))).starts_with("HSCL2957"));
    assert_eq!(past(&bench), [index].into());
    bench.boot("lpar1");
    bench.call(restore(None, Restorable::IoSlots(Some(index)))).expect("restored");
    assert_eq!(past(&bench), [].into());
    let Call::Adapter(_, AdapterChange::Put(GuestAdapter::Physical(given)), _) = bench.last_call() else {
        panic!("{:?}", bench.last_call())
    };
    assert_eq!(given.drc_index, index);
    // A slot that was taken past the operating system is withdrawn.
    without_rmc(&mut bench, "lpar1");
    bench.call(slot("lpar1", DynamicOperation::Remove, index, true)).expect("forced");
    bench.boot("lpar1");
    bench.call(restore(Some("lpar1"), Restorable::IoSlots(None))).expect("restored");
    let withdrawn = AdapterChange::Withdraw(AdapterAddress::Physical(index));
    assert!(matches!(bench.last_call(), Call::Adapter(_, change, _) if change == withdrawn));
    bench.authority.world().check_invariants();
}

fn set(name: &str, attributes: AttributeSet, record: &str) -> SystemRequest {
    SystemRequest::SetAttributes {
        partition: named(name),
        attributes,
        record: parse_record(record).expect("record"),
    }
}

#[test]
fn attributes_of_a_current_configuration_are_set_and_synchronized() {
    let mut bench = running("attributes", 4, &["lpar1"]);
    bench.call(set("lpar1", AttributeSet::IoPools, r#""lpar_io_pool_ids=1,2""#)).expect("set");
    let entry = bench.entry("lpar1");
    assert_eq!(entry.partition.current.as_ref().expect("current").io_pools, [1, 2]);
    assert!(entry.partition.profiles[0].configuration.io_pools.is_empty(), "not synchronized");
    bench.call(change("lpar1", "sync_curr_profile=1")).expect("synchronized from now on");
    bench.call(set("lpar1", AttributeSet::IoPools, "lpar_io_pool_ids=3")).expect("set");
    assert_eq!(bench.entry("lpar1").partition.profiles[0].configuration.io_pools, [3]);
    let before = bench.entry("lpar1");
    for (attributes, record, text) in [
        (AttributeSet::IoPools, "load_source_slot=3", "The invalid attribute is load_source_slot."),
        (AttributeSet::TaggedIo, "load_source_slot=3", "valid for IBM i partitions only"),
        (AttributeSet::VirtualOptiConnect, "virtual_opti_pool_id=4", "valid for IBM i partitions only"),
        (AttributeSet::HslOptiConnect, "hsl_pool_id=1", "valid for IBM i partitions only"),
        (AttributeSet::Memory, "mem_expansion=1.5", "switched on and off by activation only"),
        (AttributeSet::Memory, "mem_weight=1", "The invalid attribute is mem_weight."),
        (AttributeSet::Memory, "min_mem=256", "The invalid attribute is min_mem."),
    ] {
        let refusal = bench.refused(set("lpar1", attributes, record));
        assert!(refusal.contains(text), "{record}: {refusal}");
    }
    assert_eq!(bench.entry("lpar1"), before, "a refusal changes nothing");
    without_rmc(&mut bench, "lpar1");
    let refusal = bench.refused(set("lpar1", AttributeSet::Memory, "mem_expansion=0"));
    assert!(refusal.starts_with("HSCL2957"), "{refusal}");
    bench.authority.world().check_invariants();
}

const SERVER: &str = "profile_name=default_profile,lpar_env=vioserver,min_mem=256,desired_mem=512,max_mem=4096,proc_mode=shared,sharing_mode=cap,min_procs=1,desired_procs=1,max_procs=4,min_proc_units=0.05,desired_proc_units=0.1,max_proc_units=2.0,max_virtual_slots=20";

/// Two servers with adapters for the partition and for others, and the partition.
fn served(name: &str, seed: u64) -> Bench {
    let mut bench = Bench::open(&directory(name), seed);
    for (server, id) in [("vios1", 1), ("vios2", 2)] {
        let record = format!(
            "name={server},lpar_id={id},{SERVER},virtual_eth_adapters=2/0/1//0/0,\"virtual_scsi_adapters=5/server/9//4/0,6/server/8//4/0,7/server/any//any/0\",virtual_fc_adapters=8/server/9//5//0"
        );
        let request = SystemRequest::CreatePartition { record: parse_record(&record).expect("record") };
        bench.call(request).expect("created");
        bench.power_on(server);
        bench.boot(server);
    }
    let clients =
        "\"virtual_scsi_adapters=4/client/1//5/0,6/client/2//5/0\",virtual_fc_adapters=5/client/2//8//0";
    let record = format!("name=client,lpar_id=9,{SMALL},max_virtual_slots=20,{clients}");
    let request = SystemRequest::CreatePartition { record: parse_record(&record).expect("record") };
    bench.call(request).expect("created");
    bench
}

fn server_slots(bench: &Bench, name: &str) -> Vec<u16> {
    let content = bench.entry(name).partition.current.clone().expect("current");
    let slots = content.virtual_slots().into_iter().filter(|(_, kind)| matches!(*kind, "scsi" | "fc"));
    slots.map(|(slot, _)| slot.0).collect()
}

fn remove(server_adapters: bool) -> SystemRequest {
    SystemRequest::RemovePartition { partition: named("client"), server_adapters }
}

#[test]
fn a_removed_partition_leaves_its_server_adapters_unless_asked() {
    let mut bench = served("leaves", 5);
    bench.call(remove(false)).expect("removed");
    assert_eq!(server_slots(&bench, "vios1"), [5, 6, 7, 8]);
    bench.authority.world().check_invariants();

    let mut bench = served("takes", 6);
    let writes = bench.authority.counters().transactions;
    bench.call(remove(true)).expect("removed");
    assert_eq!(bench.authority.counters().transactions - writes, 1, "one durable write");
    for server in ["vios1", "vios2"] {
        assert_eq!(server_slots(&bench, server), [6, 7], "what serves others stays");
        let uuid = bench.uuid(server);
        let calls = bench.engine.calls.lock().unwrap();
        let withdrawn: Vec<AdapterAddress> = calls
            .iter()
            .filter_map(|call| match call {
                Call::Adapter(partition, AdapterChange::Withdraw(address), _) if *partition == uuid => {
                    Some(*address)
                }
                _ => None,
            })
            .collect();
        assert_eq!(withdrawn, [5, 8].map(|slot| AdapterAddress::Virtual(VirtualSlot(slot))));
    }
    // The profile is as it was: server adapters come back with it.
    let profile = bench.entry("vios1").partition.profiles[0].clone();
    assert_eq!(profile.configuration.scsi_adapters.len(), 3);
    bench.authority.world().check_invariants();
}

#[test]
fn a_server_that_cannot_be_asked_keeps_the_partition() {
    let mut bench = served("silent-server", 7);
    without_rmc(&mut bench, "vios2");
    let before = (bench.entry("vios1"), bench.entry("vios2"), bench.entry("client"));
    let refusal = bench.refused(remove(true));
    let text = "An error occurred while removing the partition named client.\nHSCL294D ";
    assert!(refusal.starts_with(text), "{refusal}");
    assert_eq!(before, (bench.entry("vios1"), bench.entry("vios2"), bench.entry("client")));
    bench.call(remove(false)).expect("removed");
    // The servers are off, or gone: nobody has to be asked.
    let mut bench = served("server-off", 8);
    for server in ["vios1", "vios2"] {
        let partition = named(server);
        bench.send(SystemRequest::Stop { partition, request: StopRequest::Immediate, restart: false });
        bench.step();
        bench.event(server, EngineEventKind::State(GuestState::Stopped { restart: false }));
    }
    bench
        .call(SystemRequest::RemovePartition { partition: named("vios2"), server_adapters: true })
        .expect("removed");
    bench.call(remove(true)).expect("removed");
    assert_eq!(server_slots(&bench, "vios1"), [6, 7]);
    bench.authority.world().check_invariants();
}
