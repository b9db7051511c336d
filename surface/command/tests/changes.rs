//! Changing commands: what they ask of a system, and what they refuse themselves.

mod common;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use common::{World, partition};
use varan_command::RawTerminal;
use varan_console::TaskRole;
use varan_contract::engine::{GuestTerminal, StopRequest};
use varan_contract::system::*;
use varan_model::codes::MessageKey;
use varan_model::configuration::BootMode;
use varan_model::ids::PartitionId;
use varan_model::partition::{Keylock, PartitionState};
use varan_model::record::Assignment;
use varan_model::refusal::Refusal;
use varan_model::units::ProcessingUnits;

fn name(text: &str) -> Selector {
    Selector::Name(text.to_owned())
}

fn id(number: u16) -> Selector {
    Selector::Id(PartitionId(number))
}

#[test]
fn words_become_requests() {
    let stop = |partition, request, restart| SystemRequest::Stop { partition, request, restart };
    let on = |partition, options| SystemRequest::PowerOn { partition, options };
    let memory = |partition, operation, wait_minutes| SystemRequest::ChangeResource {
        partition,
        operation,
        resource: Resource::Memory(1_024),
        wait_minutes,
    };
    let processors = |operation, processors, units| SystemRequest::ChangeResource {
        partition: name("lpar1"),
        operation,
        resource: Resource::Processors { processors, units: ProcessingUnits(units) },
        wait_minutes: 5,
    };
    let set = |attributes, name: &str, value: &str| SystemRequest::SetAttributes {
        partition: Selector::Name("lpar1".to_owned()),
        attributes,
        record: vec![Assignment::set(name, value)],
    };
    let power = SystemRequest::PowerSystem;
    let off = |immediate, restart| SystemPower::Off { immediate, restart };
    let key = |partition| SystemRequest::TurnKey { partition, keylock: Keylock::Manual };
    let cases: Vec<(&str, Vec<SystemRequest>)> = vec![
        ("chsysstate -m p814-1 -r sys  -o off --immed", vec![power(off(true, false))]),
        ("chsysstate -m p814-1 -r sys -o off", vec![power(off(false, false))]),
        ("chsysstate -m p814-1 -r sys -o off --immed --restart", vec![power(off(true, true))]),
        ("chsysstate -m p814-1 -r sys -o on", vec![power(SystemPower::On)]),
        ("chsysstate -m p814-1 -r sys -o onstartpolicy", vec![power(SystemPower::On)]),
        (
            "chsysstate -m p814-1 -r sys -o onstandby -k manual",
            vec![power(SystemPower::OnStandby), key(None)],
        ),
        ("chsysstate -m p720-1,p814-1 -r sys -o rebuild", vec![power(SystemPower::Rebuild)]),
        ("chsysstate --all -r sys -o rebuild", vec![power(SystemPower::Rebuild)]),
        ("chsysstate -m p814-1 -r sys -o chkey -k manual", vec![key(None)]),
        ("chsysstate -m p814-1 -r lpar -o chkey -k manual --id 2", vec![key(Some(id(2)))]),
        (
            "chsysstate -r lpar -m p814-1 -n vios1 -o on -f default_profile",
            vec![on(
                name("vios1"),
                PowerOnOptions { profile: Some("default_profile".to_owned()), ..PowerOnOptions::default() },
            )],
        ),
        (
            "chsysstate -r lpar -m p814-1 --id 2 -o on -b sms -k norm",
            vec![on(
                id(2),
                PowerOnOptions {
                    profile: None,
                    boot_mode: Some(BootMode::SystemManagementServices),
                    keylock: Some(Keylock::Normal),
                },
            )],
        ),
        (
            "chsysstate -r lpar -o shutdown --immed -m p814-1 -n lpar1",
            vec![stop(name("lpar1"), StopRequest::Immediate, false)],
        ),
        (
            "chsysstate -r lpar -o shutdown --immed --restart -m p814-1 -n lpar1,lpar2",
            vec![
                stop(name("lpar1"), StopRequest::Immediate, true),
                stop(name("lpar2"), StopRequest::Immediate, true),
            ],
        ),
        (
            "chsysstate -r lpar -o shutdown -m p814-1 --id 2,3",
            vec![stop(id(2), StopRequest::Delayed, false), stop(id(3), StopRequest::Delayed, false)],
        ),
        (
            "chsysstate -r lpar -o osshutdown -m p814-1 -n lpar1 --restart",
            vec![stop(name("lpar1"), StopRequest::OperatingSystem, true)],
        ),
        (
            "chsysstate -r lpar -o osshutdown --immed -m p814-1 -n lpar1",
            vec![stop(name("lpar1"), StopRequest::OperatingSystemImmediate, false)],
        ),
        (
            "chlparstate -o shutdown -m p814-1 --id 9 --immed",
            vec![stop(id(9), StopRequest::Immediate, false)],
        ),
        (
            "chlparstate -o osshutdown -m p814-1 -p lpar1",
            vec![stop(name("lpar1"), StopRequest::OperatingSystem, false)],
        ),
        (
            "chhwres -m p814-1 -r mem -o a -q 1024 -p lpar1 -w 0",
            vec![memory(name("lpar1"), DynamicOperation::Add, 0)],
        ),
        (
            "chhwres -r mem -m p814-1 -o r --id 2 -q 1024 -d 3 --force",
            vec![memory(id(2), DynamicOperation::Remove, 5)],
        ),
        (
            "chhwres -r mem -m p814-1 -o m -p lpar1 -t lpar2 -q 1024",
            vec![memory(name("lpar1"), DynamicOperation::Move(name("lpar2")), 5)],
        ),
        (
            "chhwres -r proc -m p814-1 -o m -p lpar1 --tid 3 --procs 1",
            vec![processors(DynamicOperation::Move(id(3)), 1, 0)],
        ),
        (
            "chhwres -r proc -m p814-1 -o a -p lpar1 --procs 1 --procunits 0.5",
            vec![processors(DynamicOperation::Add, 1, 50)],
        ),
        (
            "chhwres -r proc -m p814-1 -o s -p lpar1 -a sharing_mode=cap",
            vec![SystemRequest::SetSharing {
                partition: name("lpar1"),
                record: vec![Assignment::set("sharing_mode", "cap")],
            }],
        ),
        (
            "chhwres -r mem -m p814-1 -o s -a pend_mem_region_size=256",
            vec![SystemRequest::SetSystemMemory {
                record: vec![Assignment::set("pend_mem_region_size", "256")],
            }],
        ),
        (
            "chhwres -r mem -m p814-1 -o s -p lpar1 -a mem_expansion=1.5",
            vec![set(AttributeSet::Memory, "mem_expansion", "1.5")],
        ),
        (
            "chhwres -r io -m p814-1 -o s --rsubtype taggedio -p lpar1 -a console_slot=hmc",
            vec![set(AttributeSet::TaggedIo, "console_slot", "hmc")],
        ),
        (
            "chhwres -r io -m p814-1 -o s --rsubtype iopool -p lpar1 -a lpar_io_pool_ids=4",
            vec![set(AttributeSet::IoPools, "lpar_io_pool_ids", "4")],
        ),
        (
            "chhwres -r virtualio -m p814-1 -o s --rsubtype hsl -p lpar1 -a hsl_pool_id=1",
            vec![set(AttributeSet::HslOptiConnect, "hsl_pool_id", "1")],
        ),
        (
            "chhwres -r virtualio -m p814-1 -o s --rsubtype virtualopti -p lpar1 -a virtual_opti_pool_id=7",
            vec![set(AttributeSet::VirtualOptiConnect, "virtual_opti_pool_id", "7")],
        ),
        (
            "chhwres -r io -m p814-1 -o c --rsubtype slot -l 21010200",
            vec![SystemRequest::ClearIoSlots { drc_index: Some(0x2101_0200) }],
        ),
        ("chhwres -r io -m p814-1 -o c", vec![SystemRequest::ClearIoSlots { drc_index: None }]),
        (
            "rsthwres -r io -m p814-1 -p lpar1 -l 21010200",
            vec![SystemRequest::RestoreResources {
                partition: Some(name("lpar1")),
                resource: Restorable::IoSlots(Some(0x2101_0200)),
            }],
        ),
        (
            "rsthwres -r mem -m p814-1",
            vec![SystemRequest::RestoreResources { partition: None, resource: Restorable::Memory }],
        ),
        (
            "rsthwres -r proc -m p814-1 --id 2",
            vec![SystemRequest::RestoreResources {
                partition: Some(id(2)),
                resource: Restorable::Processors,
            }],
        ),
        (
            "chsyscfg -r lpar -m p814-1 -o apply -p lpar1 -n default_profile",
            vec![SystemRequest::ApplyProfile {
                partition: name("lpar1"),
                profile: "default_profile".to_owned(),
            }],
        ),
        (
            "chsyscfg -r sys -m p814-1 -i 'power_off_policy=1'",
            vec![SystemRequest::ChangeSystem { record: vec![Assignment::set("power_off_policy", "1")] }],
        ),
        (
            "mksyscfg -r prof -m p814-1 -o save -p lpar1 -n default --force",
            vec![SystemRequest::SaveProfile {
                partition: name("lpar1"),
                profile: "default".to_owned(),
                force: true,
            }],
        ),
        (
            "rmsyscfg -r prof -m p814-1 -n a,b -p lpar1",
            ["a", "b"]
                .map(|profile| SystemRequest::RemoveProfile {
                    partition: name("lpar1"),
                    profile: profile.to_owned(),
                })
                .to_vec(),
        ),
        ("rmvterm -m p814-1 --id 2", vec![SystemRequest::CloseTerminal { partition: id(2) }]),
    ];
    let world = World::small(2);
    for (line, expected) in cases {
        world.ok(line, "");
        assert_eq!(world.systems[1].requests(), expected, "{line}");
    }
}

#[test]
fn wrong_changes_are_refused_before_a_system_is_asked() {
    let world = World::small(2);
    for (line, text) in [
        ("chsysstate -r lpar -m p814-1 -n lpar1 -o restart", "are -o."),
        ("chsysstate -r lpar -m p814-1 -n lpar1 -o osrestart", "are -o."),
        ("chsysstate -r lpar -m p814-1 -n lpar1", "are -o."),
        ("chsysstate -r lpar -o on", "are -m, -n or --id."),
        (
            "chsysstate -r lpar -m p814-1 -n lpar1 --id 2 -o on",
            "The parameters -n, --id cannot be specified together.",
        ),
        ("chsysstate -r lpar -m p814-1 -n lpar1 -o shutdown --restart", "are --immed."),
        ("chsysstate -r sys -m p814-1 -o off --restart", "are --immed."),
        ("chsysstate -r sys -m p814-1 -o shutdown", "are -o."),
        ("chsysstate -r lpar -m p814-1 -n lpar1 -o on -b xyz", "are -b."),
        ("chsysstate -r lpar -m p814-1 -n lpar1 -o on -k x", "are -k."),
        ("chsysstate -r lpar -m p814-1 -n lpar1 -o chkey", "are -k."),
        ("chsysstate -r lpar -m p814-1 -n lpar1 -o on --immed", "The invalid parameter is --immed."),
        ("chsysstate -r lpar -m p814-1 -n lpar1 -o on -i a", "chsysstate -i is not supported at this level."),
        (
            "chsysstate -r lpar -m p814-1 -n lpar1 -o dumprestart",
            "chsysstate -r lpar -o dumprestart is not supported at this level.",
        ),
        (
            "chlparstate -o suspend -m p814-1 -p lpar1",
            "chlparstate -o suspend is not supported at this level.",
        ),
        ("chlparstate -m p814-1 -p lpar1", "are -o."),
        ("chhwres -r mem -m p814-1 -o a -p lpar1", "are -q."),
        ("chhwres -r mem -m p814-1 -o a -p lpar1 -q 0", "are -q."),
        ("chhwres -r mem -m p814-1 -o a -p lpar1 -q 1.5", "are -q."),
        ("chhwres -r mem -m p814-1 -o m -p lpar1 -q 256", "are -t or --tid."),
        ("chhwres -r mem -m p814-1 -o a -p lpar1 -t lpar2 -q 256", "The invalid parameter is -t."),
        ("chhwres -r proc -m p814-1 -o a -p lpar1", "are --procs or --procunits."),
        ("chhwres -r proc -m p814-1 -o a -p lpar1 --procunits 0", "are --procunits."),
        ("chhwres -r mem -m p814-1 -o x -p lpar1 -q 256", "are -o."),
        ("chhwres -r mem -m p814-1 -o e -p lpar1", "are -o."),
        ("chhwres -r mem -m p814-1 -o s -p lpar1", "are -a."),
        ("chhwres -r io -m p814-1 -o s -p lpar1 -a x=1", "are --rsubtype."),
        ("chhwres -r io -m p814-1 -o s --rsubtype taggedio -p lpar1", "are -a."),
        ("chhwres -r io -m p814-1 -o s --rsubtype slot -p lpar1 -a x=1", "are --rsubtype."),
        ("chhwres -r io -m p814-1 -o c --rsubtype unit", "are --rsubtype."),
        ("chhwres -r io -m p814-1 -o c -p lpar1", "The invalid parameter is -p."),
        ("chhwres -r io -m p814-1 -o c -l +1010200", "are -l."),
        ("chhwres -r virtualio -m p814-1 -o a --rsubtype hsl -p lpar1", "are --rsubtype."),
        ("chhwres -r mempool -m p814-1 -o s -a pend_pool_mem=1", "does not have a shared memory pool."),
        ("chhwres -r mempool -m p814-1 -o r", "does not have a shared memory pool."),
        ("chhwres -r mempool -m p814-1 -o a --rsubtype pgdev", "are --device."),
        (
            "chhwres -r mempool -m p814-1 -o r --rsubtype pgdev --device hdisk1",
            "not have a shared memory pool.",
        ),
        ("chhwres -r mempool -m p814-1 -o a -a pend_pool_mem=1", "chhwres -r mempool is not supported"),
        ("chhwres -r hea -m p814-1 -o s -p lpar1 -a x=1", "does not support Host Ethernet Adapters."),
        ("chhwres -r pmem -m p814-1 -o a", "does not support persistent memory volumes."),
        ("rsthwres -m p814-1", "are -r."),
        ("rsthwres -r io", "are -m."),
        ("rsthwres -r virtualio -m p814-1", "are -r."),
        ("rsthwres -r mem -m p814-1 -l 21010200", "The invalid parameter is -l."),
        ("rsthwres -r io -m p814-1 -l 2101", "are -l."),
        ("rsthwres -r proc -m p814-1 -p a --id 1", "The parameters -p, --id cannot be specified together."),
        ("rsthwres -r sriov -m p814-1", "rsthwres -r sriov is not supported at this level."),
        ("chhwres -r io -m p814-1 -o r -p lpar1", "are -l."),
        ("chhwres -r io -m p814-1 -o r -p lpar1 -l 2102001", "are -l."),
        ("chhwres -r io -m p814-1 -o m -p lpar1 -l 21020013", "are -t or --tid."),
        ("chhwres -r virtualio -m p814-1 -o r -p lpar1", "are -s."),
        ("chhwres -r virtualio -m p814-1 -o a -p lpar1 --rsubtype eth -s x", "are -s."),
        ("chhwres -r virtualio -m p814-1 -o a -p lpar1 --rsubtype ethernet", "are --rsubtype."),
        ("chhwres -r virtualio -m p814-1 -o d -p lpar1 --rsubtype vnic", "are -s."),
        (
            "chhwres -r mem -m p814-1 -o s -a pend_mem_region_size",
            "The format of the configuration data is invalid.",
        ),
        ("mksyscfg -r lpar -m p814-1", "are -f or -i."),
        ("mksyscfg -r lpar -m p814-1 -i name=x -f y", "The parameters -f, -i cannot be specified together."),
        ("mksyscfg -r lpar -m p814-1 -o save -p lpar1 -n x", "are -f or -i."),
        (
            "mksyscfg -r lpar -m p814-1 -f nosuch",
            "The file nosuch cannot be read: No such file or directory.",
        ),
        ("mksyscfg -r lpar -m p814-1 -i 'name=\"x'", "The format of the configuration data is invalid."),
        ("mksyscfg -r prof -m p814-1 -i name=x", "The missing attributes are lpar_name."),
        ("chsyscfg -r sysprof -m p814-1 -i lpar_names=x", "The missing attributes are name."),
        ("rstprofdata -m p814-1 -l 1", "are -f."),
        ("rstprofdata -m p814-1 -l 4 -f x", "The invalid parameter is -f."),
        ("rmsyscfg -r sysprof -m p814-1", "are -n."),
        ("hmcshutdown -t now", "The information is not available"),
        ("chsyscfg -r lpar -m p814-1 -i work_group_id=1", "The missing attributes are name."),
        ("chsyscfg -r prof -m p814-1 -i lpar_name=lpar1", "The missing attributes are name."),
        ("chsyscfg -r prof -m p814-1 -i name=x", "The missing attributes are lpar_name."),
        ("chsyscfg -r lpar -m p814-1 -i name=a,name=b", "The repeated attribute is name."),
        (
            "chsyscfg -r lpar -m p814-1 -i lpar_id=x,work_group_id=1",
            "The value x for attribute lpar_id is not valid",
        ),
        ("chsyscfg -r lpar -m p814-1 -o apply -p lpar1", "are -n."),
        (
            "chsyscfg -r lpar -m XXXX-9117-MMD-658B2AD -p test_lpar-i remote_restart_capable=1",
            "The invalid parameter is remote_restart_capable=1.",
        ),
        ("rmsyscfg -r lpar -m p814-1", "are -n or --id."),
        ("rmsyscfg -r lpar -m p814-1 -n lpar1 --vdisk", "are --vioscfg."),
        ("rmsyscfg -r prof -m p814-1 -n x -p lpar1 --vioscfg", "The invalid parameter is --vioscfg."),
        ("rmsyscfg -r prof -m p814-1 -n x", "are -p or --id."),
        ("rmsyscfg -r prof -m p814-1 -n x --id 1,2", "are --id."),
        ("mkvterm -m p814-1", "are -p or --id."),
    ] {
        world.refused(line, text);
        assert_eq!(world.systems[1].requests(), [], "{line}");
    }
    world.refused("chlparstate -o suspend -m p720-1 -p x", "not supported");
}

#[test]
fn each_target_is_tried() {
    let world = World::small(7);
    for id in [7, 8] {
        world.systems[1].runtime(id, |runtime| runtime.state = PartitionState::Running);
    }
    let mut shown = String::new();
    for number in 2..=7 {
        let line =
            format!("chsyscfg -r lpar -m p814-1 -i name=lpar{number},simplified_remote_restart_capable=1");
        let (status, output) = world.run(&line);
        assert_eq!(status, u8::from(number >= 6), "{line}");
        shown.push_str(&output);
    }
    let text = "HSCLA9F8 The remote restart capability of the partition can only be changed when the partition is shutdown.";
    assert_eq!(
        shown,
        format!(
            "An error occurred while changing the partition named lpar6.\n{text}\nAn error occurred while changing the partition named lpar7.\n{text}\n"
        )
    );
    let (status, output) = world.run("rmsyscfg -r lpar -m p814-1 -n lpar1,nosuch,lpar2");
    assert_eq!(status, 1);
    assert_eq!(
        output,
        "HSCL8012 The partition named nosuch was not found.  Please check your entry and retry the command.\n"
    );
    world.ok("lssyscfg -r lpar -m p814-1 --filter \"lpar_names=vios1,lpar3\" -F name", "vios1\nlpar3\n");
    world.refused("lssyscfg -r lpar -m p814-1 --filter lpar_names=lpar2", "HSCL8012");
}

#[test]
fn a_file_has_a_record_on_each_line() {
    let mut world = World::small(0);
    let records = format!("{}\n\n{}\nname=bad\n{}\n", partition("a"), partition("b"), partition("c"));
    world.files.0.insert("records".to_owned(), records.into_bytes());
    world.files.0.insert("empty".to_owned(), b"\n\n".to_vec());
    world.files.0.insert("binary".to_owned(), vec![0xFF, 0xFE]);
    let (status, output) = world.run("mksyscfg -r lpar -m p814-1 -f records");
    assert_eq!(status, 1);
    assert!(output.starts_with("An error occurred while creating the partition named bad.\n"), "{output}");
    world.ok("lssyscfg -r lpar -m p814-1 -F name", "vios1\na\nb\nc\n");
    world.refused("mksyscfg -r lpar -m p814-1 -f empty", "it has no records");
    world.refused("mksyscfg -r lpar -m p814-1 -f binary", "it is not a text in UTF-8");
}

#[test]
fn profiles_are_named_with_their_partition() {
    let world = World::small(1);
    let record = partition("p2").replace("profile_name=default_profile,lpar_env=aixlinux,", "");
    world.ok(&format!("mksyscfg -r prof -m p814-1 -i '{record},lpar_name=lpar1,lpar_id=2'"), "");
    world.refused(&format!("mksyscfg -r prof -m p814-1 -i '{record},lpar_name=lpar1,lpar_id=1'"), "HSCL8012");
    world.ok("chsyscfg -r prof -m p814-1 -i name=p2,lpar_id=2,desired_mem+=256", "");
    world.ok(
        "lssyscfg -r prof -m p814-1 --filter lpar_names=lpar1 -F name:desired_mem",
        "default_profile:512\np2:768\n",
    );
    let add =
        r#"chsyscfg -r prof -m p814-1 -i 'lpar_name=lpar1,name=p2,"virtual_eth_adapters+=""4/0/900///0"""'"#;
    world.ok(add, "");
    let listed = world
        .run("lssyscfg -r prof -m p814-1 --filter lpar_names=lpar1,profile_names=p2 -F virtual_eth_adapters")
        .1;
    assert!(listed.starts_with("4/0/900//"), "{listed}");
    world.refused("chsyscfg -r prof -m p814-1 -i name=nosuch,lpar_name=lpar1,desired_mem=512", "HSCL800F");
}

#[test]
fn roles_limit_what_may_be_done() {
    let world = World::small(1);
    let text = "HSCL350B The user does not have the appropriate authority.\n".to_owned();
    for (role, line, allowed) in [
        (TaskRole::Viewer, "lssyscfg -r lpar -m p814-1 -F name", true),
        (TaskRole::Viewer, "chsysstate -r lpar -m p814-1 -n lpar1 -o on", false),
        (TaskRole::Viewer, "mkvterm -m p814-1 -p lpar1", false),
        (TaskRole::Operator, "chsysstate -r lpar -m p814-1 -n lpar1 -o on", true),
        (TaskRole::Operator, "chhwres -r mem -m p814-1 -o a -p lpar1 -q 256", true),
        (TaskRole::Operator, "mksyscfg -r lpar -m p814-1 -i name=x", false),
        (TaskRole::Operator, "rmsyscfg -r lpar -m p814-1 -n lpar1", false),
        (TaskRole::Operator, "rmsyscfg -r prof -m p814-1 -n x -p lpar1", false),
        (TaskRole::ServiceRepresentative, "chsysstate -r sys -m p814-1 -o off --immed", true),
        (TaskRole::ServiceRepresentative, "chhwres -r proc -m p814-1 -o a -p lpar1 --procs 1", false),
        (TaskRole::ClientLiveUpdate, "chsysstate -r sys -m p814-1 -o on", false),
        (TaskRole::ProductEngineer, "chsyscfg -r sys -m p814-1 -i power_off_policy=1", true),
    ] {
        world.systems[1].requests();
        let (status, output) = world.run_as(role, line);
        if allowed {
            assert_eq!(status, 0, "{role} {line}: {output}");
        } else {
            assert_eq!((status, &output), (1, &text), "{role} {line}");
            assert_eq!(world.systems[1].requests(), [], "{role} {line}");
        }
    }
}

#[test]
fn a_system_is_found_by_its_new_name() {
    let world = World::small(0);
    world.ok("lssyscfg -r sys -m p814-1 -F name", "p814-1\n");
    world.systems[1].rename("box");
    world.ok("lssyscfg -r sys -m box -F name", "box\n");
    world.refused("lssyscfg -r sys -m p814-2 -F name", "HSCL8003");
    world.systems[0].rename("box");
    world
        .refused("lssyscfg -r sys -m box -F name", "HSCL8004 More than one managed system has the name box.");
    world.ok("lssyscfg -r sys -m 8286-41A*1000002 -F serial_num", "1000002\n");
}

#[test]
fn a_refusal_of_the_system_is_shown_as_it_is() {
    let world = World::small(1);
    let refusal = Refusal::new(MessageKey::NotActivatedRequired);
    *world.systems[1].refusal.lock().expect("lock") = Some(refusal);
    world.refused(
        "chsysstate -r lpar -m p814-1 -n lpar1 -o on",
        "HSCL05EA The partition must be in the Not Activated state to perform this operation.\n",
    );
}

#[derive(Default)]
struct Line {
    bytes: Mutex<(VecDeque<u8>, bool)>,
    changed: Condvar,
}

impl Line {
    fn push(&self, bytes: &[u8]) {
        self.bytes.lock().expect("lock").0.extend(bytes);
        self.changed.notify_all();
    }
    fn end(&self) {
        self.bytes.lock().expect("lock").1 = true;
        self.changed.notify_all();
    }
    fn take(&self) -> (Vec<u8>, bool) {
        let guard = self.bytes.lock().expect("lock");
        let mut guard = self.changed.wait_while(guard, |state| state.0.is_empty() && !state.1).expect("lock");
        let ended = guard.1;
        (guard.0.drain(..).collect(), ended)
    }
}

/// A guest that shows in upper case what it is sent, and goes away when told to `quit`.
#[derive(Clone, Default)]
struct Guest {
    shows: Arc<Line>,
    dropped: Arc<AtomicBool>,
}

impl GuestTerminal for Guest {
    fn read(&self, buffer: &mut Vec<u8>) -> bool {
        let (bytes, ended) = self.shows.take();
        buffer.extend(bytes);
        !ended
    }
    fn write(&self, bytes: &[u8]) {
        self.shows.push(&bytes.to_ascii_uppercase());
        if bytes == b"quit" {
            self.shows.end();
        }
    }
    fn resize(&self, _: u16, _: u16) {}
    fn closer(&self) -> Box<dyn Fn() + Send + Sync> {
        let shows = self.shows.clone();
        Box::new(move || shows.end())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

/// What a person "types" whose connection breaks.
const GONE: &str = "\u{4}";

/// A person: types one piece after what it waits for has been shown.
struct Person {
    script: Mutex<VecDeque<(&'static str, &'static str)>>,
    shown: Mutex<String>,
    changed: Condvar,
    interrupted: Mutex<bool>,
}

impl Person {
    fn new(script: &[(&'static str, &'static str)]) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.iter().copied().collect()),
            shown: Mutex::default(),
            changed: Condvar::new(),
            interrupted: Mutex::default(),
        })
    }
}

impl RawTerminal for Person {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let next = self.script.lock().expect("lock").pop_front();
        let awaited = next.map_or("\u{0}", |(awaited, _)| awaited);
        let shown = self.shown.lock().expect("lock");
        let waiting =
            |shown: &mut String| !shown.contains(awaited) && !*self.interrupted.lock().expect("lock");
        drop(self.changed.wait_while(shown, waiting).expect("lock"));
        match next {
            Some((_, GONE)) => Err(io::ErrorKind::ConnectionAborted.into()),
            Some((_, typed)) if !*self.interrupted.lock().expect("lock") => {
                buffer[..typed.len()].copy_from_slice(typed.as_bytes());
                Ok(typed.len())
            }
            _ => Ok(0),
        }
    }
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.shown.lock().expect("lock").push_str(std::str::from_utf8(bytes).expect("UTF-8"));
        self.changed.notify_all();
        Ok(())
    }
    fn interrupt(&self) {
        let _shown = self.shown.lock().expect("lock");
        *self.interrupted.lock().expect("lock") = true;
        self.changed.notify_all();
    }
}

fn converse(partition: &str, script: &[(&'static str, &'static str)]) -> (u8, String, String) {
    let world = World::small(1);
    let person = Person::new(script);
    let dropped = Arc::new(AtomicBool::new(false));
    let gone = dropped.clone();
    let open = move |partition: Selector| -> Result<Box<dyn GuestTerminal>, CallError> {
        if partition == name("lpar1") {
            Ok(Box::new(Guest { shows: Arc::default(), dropped: gone.clone() }))
        } else {
            Err(Refusal::new(MessageKey::TerminalOpen).into())
        }
    };
    *world.systems[1].terminals.lock().expect("lock") = Some(Box::new(open));
    let line = format!("mkvterm -m p814-1 -p {partition}");
    let (status, output) = world.run_with(TaskRole::SuperAdministrator, &line, Some(person.clone()));
    assert_eq!(dropped.load(Ordering::SeqCst), partition == "lpar1", "an opened terminal is given back");
    let shown = person.shown.lock().expect("lock").clone();
    (status, output, shown)
}

#[test]
fn a_terminal_ends_with_tilde_dot() {
    let (status, output, shown) =
        converse("lpar1", &[("Completed", "root\r"), ("ROOT", "~."), ("Terminate session? [y/n]", "y")]);
    assert_eq!((status, output.as_str()), (0, ""));
    assert!(shown.starts_with("\r\n Open in progress  \r\n \r\n Open Completed. \r\n  "), "{shown:?}");
    assert!(shown.ends_with("ROOT\r\r\nTerminate session? [y/n] \r\n"), "{shown:?}");
    let (_, _, shown) = converse("lpar1", &[("Completed", "~."), ("[y/n]", "nroot\r"), ("ROOT", "~.\r")]);
    assert!(shown.contains("[y/n] \r\nROOT\r"), "{shown:?}");
}

#[test]
fn a_terminal_that_is_closed_elsewhere_says_so() {
    let (status, output, shown) = converse("lpar1", &[("Completed", "quit")]);
    assert_eq!((status, output.as_str()), (0, ""));
    assert!(
        shown.ends_with("QUIT\r\n Connection has closed \r\n\r\n\r\n This session is no longer connected. Please close this window.\n\n\n "),
        "{shown:?}"
    );
}

#[test]
fn a_second_terminal_is_refused() {
    let (status, output, shown) = converse("other", &[]);
    assert_eq!((status, output.as_str()), (0, ""));
    assert_eq!(
        shown,
        "\r\n A terminal session is already open for this partition. \r\n Only one open session is allowed for a partition. \r\n Exiting.... \r\n"
    );
}

#[test]
fn the_end_of_the_input_gives_the_terminal_back() {
    let (status, output, shown) = converse("lpar1", &[("Completed", "x"), ("X", "")]);
    assert_eq!((status, output.as_str()), (0, ""));
    assert!(shown.ends_with("X The write socket has closed. Exiting.\n"), "{shown:?}");
}

#[test]
fn a_person_whose_connection_breaks_leaves_the_terminal_open() {
    let world = World::small(1);
    let person = Person::new(&[("Completed", "x"), ("X", GONE)]);
    let (dropped, shows) = (Arc::new(AtomicBool::new(false)), Arc::<Line>::default());
    let (gone, line) = (dropped.clone(), shows.clone());
    let open = move |_: Selector| -> Result<Box<dyn GuestTerminal>, CallError> {
        Ok(Box::new(Guest { shows: line.clone(), dropped: gone.clone() }))
    };
    *world.systems[1].terminals.lock().expect("lock") = Some(Box::new(open));
    let command = "mkvterm -m p814-1 -p lpar1";
    let (status, _) = world.run_with(TaskRole::SuperAdministrator, command, Some(person));
    assert_eq!(status, 130);
    assert!(!dropped.load(Ordering::SeqCst), "the session stays open");
    shows.push(b"nobody reads this");
    // rmvterm.
    shows.end();
    while !dropped.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
}

#[test]
fn a_command_that_waits_for_a_system_can_be_cancelled() {
    let world = World::small(1);
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let answered = Arc::new(AtomicBool::new(false));
    let done = answered.clone();
    let hold = move |request: &SystemRequest| {
        if matches!(request, SystemRequest::Stop { .. }) {
            // Ends when the sender is dropped.
            let _ = held.lock().expect("lock").recv();
            done.store(true, Ordering::SeqCst);
        }
    };
    *world.systems[1].on_call.lock().expect("lock") = Some(Arc::new(hold));
    world.console.find_system("p814-1").expect("system");
    std::thread::scope(|scope| {
        let command = scope.spawn(|| world.run("chsysstate -r lpar -m p814-1 -n lpar1,lpar2 -o osshutdown"));
        while world.systems[1].requests.lock().expect("lock").is_empty() {
            std::thread::yield_now();
        }
        world.cancelled.store(true, Ordering::SeqCst);
        assert_eq!(command.join().expect("command"), (130, String::new()));
    });
    assert!(!answered.load(Ordering::SeqCst), "the command did not wait for the answer");
    assert_eq!(world.systems[1].requests().len(), 1, "the second partition was not asked for");
    drop(release);
}
