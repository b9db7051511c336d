//! Boot to login, firmware menus, stops and restarts, under virtual time.

mod common;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{World, codes, disk, reports, specification, states};
use varan_contract::engine::{
    BootDisk, BootMode, EngineError, EngineEventKind, Generation, GuestFault, GuestState, PartitionEngine,
    Personality, StopRequest,
};
use varan_model::ids::{PartitionId, VirtualSlot};
use varan_partition_engine::MemoryBootDisk;
use varan_partition_engine::disk::{BootConfiguration, Loaded, load};

const FIRMWARE: &str = "C2001010 C2001100 C2004011 CA000020 CA000040 CA000050 CA000060 CA000070 CA00E101 CA00E130 CA00E134 CA00E1F1 CA00E139";

fn installed(disk: &dyn BootDisk) -> BootConfiguration {
    match load(disk).expect("readable") {
        Loaded::Installed(configuration, _) => *configuration,
        other => panic!("not installed: {other:?}"),
    }
}

fn logged(disk: &dyn BootDisk) -> Vec<u32> {
    installed(disk).error_log.iter().map(|entry| entry.identifier).collect()
}

#[test]
fn every_personality_boots_to_its_console() {
    for (personality, kernel, shown, name, version) in [
        (
            Personality::Aix,
            "CA00E14D 0510 0511 0551 0517 0553 0538 0c33 0581 0c31 ",
            "AIX Version 7\nConsole login: ",
            "AIX",
            "AIX 7.1 7100-03-05-1524",
        ),
        (
            Personality::Linux,
            "CA00E14D CF000012 CF000015 Linux ppc64le",
            "Red Hat Enterprise Linux 8.10\nKernel 4.18.0-553.el8_10.ppc64le on an ppc64le\n\nhost5 login: ",
            "Linux/Red Hat",
            "Linux/Red Hat 4.18.0-553.el8_10.ppc64le 8.10",
        ),
        (
            Personality::VirtualIoServer,
            "CA00E14D 0510 0511 0551 0517 0553 0538 0c33 0581 0c31 ",
            "\nlogin: ",
            "VIOS",
            "VIOS 2.2.6.21",
        ),
        (
            Personality::IbmI,
            "C6004031 C6004057 C6004065 C9002910 C9002AA3 C9002C25 C9002F00 ",
            "no 5250 console. Use osshutdown on the management console.\n",
            "IBM i",
            "IBM i 7.4",
        ),
    ] {
        let world = World::new(1);
        let specification = specification(5, personality, Some(disk()));
        let events = world.boot(&specification);
        assert_eq!(codes(&events).join(" "), format!("{FIRMWARE} {kernel}"), "{personality:?}");
        assert_eq!(states(&events), [GuestState::Starting, GuestState::Running], "{personality:?}");
        let [report] = &reports(&events)[..] else { panic!("{personality:?}: {events:?}") };
        assert_eq!((report.name.as_str(), report.version.as_str()), (name, version));
        assert_eq!(report.hostname, "host5");
        assert_eq!(report.addresses, [(VirtualSlot(2), Ipv4Addr::new(10, 10, 0, 7))]);
        assert!(report.rmc_running && report.rsct_node_id.len() == 16, "{report:?}");
        let text = world.terminal(specification.partition).bytes(b"");
        assert!(text.ends_with(shown), "{personality:?}: {text:?}");
        assert_eq!(world.engine.timers(), 0, "an idle guest has no timer");
    }
}

#[test]
fn a_boot_takes_its_real_time_divided_by_the_scale() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.engine.start(aix).expect("room");
    world.seconds(80);
    assert!(reports(&world.take_events()).is_empty());
    world.seconds(20);
    assert_eq!(reports(&world.take_events()).len(), 1);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let world = World::new(seed);
        for number in 1..20 {
            let personality = if number % 2 == 0 { Personality::Aix } else { Personality::Linux };
            world.engine.start(specification(number, personality, Some(disk()))).expect("room");
        }
        world.seconds(200);
        std::mem::take(&mut *world.recorder.events.lock().expect("no panic"))
    };
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4), "node ids come from the seed");
}

#[test]
fn without_a_bootable_disk_the_firmware_stops() {
    let foreign = MemoryBootDisk::new(1 << 20);
    foreign.write_at(0, b"some other system").expect("fits");
    let small = MemoryBootDisk::new(4096);
    let none: Option<Arc<dyn BootDisk>> = None;
    for boot_disk in [none, Some(Arc::new(foreign)), Some(Arc::new(small))] {
        let world = World::new(1);
        let specification = specification(5, Personality::Aix, boot_disk);
        let events = world.boot(&specification);
        assert_eq!(codes(&events).last(), Some(&"AA06000B"));
        assert_eq!(states(&events), [GuestState::Starting, GuestState::OpenFirmware]);
        world.engine.set_memory(specification.partition, 2048, 9).expect("powered on");
        world.run(std::time::Duration::ZERO);
        let [EngineEventKind::MemorySet { token: 9, megabytes: 4096, details }] = &world.take_events()[..]
        else {
            panic!("no answer")
        };
        assert!(details[0].contains("does not respond"), "{details:?}");
        world.engine.stop(specification.partition, StopRequest::Delayed, false).expect("powered on");
        world.run(std::time::Duration::ZERO);
        assert_eq!(states(&world.take_events()), [GuestState::Stopped { restart: false }]);
    }
}

#[test]
fn firmware_menus_boot_and_shut_down() {
    let world = World::new(1);
    let mut aix = specification(5, Personality::Aix, Some(disk()));
    aix.boot_mode = BootMode::SystemManagementServices;
    let events = world.boot(&aix);
    assert_eq!(codes(&events).last(), Some(&"AA00E1A9"));
    assert_eq!(states(&events).last(), Some(&GuestState::OpenFirmware));
    let dialogue = world.terminal(aix.partition);
    assert!(dialogue.line("").contains("5.   Select Boot Options"));
    assert!(dialogue.line("3").contains("Logical LAN  slot 2  facc157c3e05"));
    assert!(dialogue.line("8").contains("Invalid choice"));
    assert!(dialogue.line("0").ends_with("\n0 > "));
    assert!(dialogue.line("frobnicate").contains("frobnicate unknown word\n\n0 > "));
    assert!(dialogue.line("printenv").contains("boot-command             boot"));
    dialogue.line("reset-all");
    world.seconds(100);
    dialogue.line("0");
    dialogue.line("boot");
    world.seconds(100);
    assert_eq!(states(&world.take_events()).last(), Some(&GuestState::Running));

    aix.boot_mode = BootMode::OpenFirmware;
    aix.generation = Generation(2);
    assert_eq!(codes(&world.boot(&aix)).last(), Some(&"AA00E1A8"));
    dialogue.terminal.write(b"shut-down\r");
    world.seconds(1);
    assert_eq!(states(&world.take_events()), [GuestState::Stopped { restart: false }]);
}

#[test]
fn diagnostics_run_without_rmc() {
    let world = World::new(1);
    let mut aix = specification(5, Personality::Aix, Some(disk()));
    aix.boot_mode = BootMode::DiagnosticsStored;
    let events = world.boot(&aix);
    assert_eq!((states(&events).last(), reports(&events).len()), (Some(&GuestState::Running), 0));
    world.terminal(aix.partition).terminal.write(b"0\r");
    world.seconds(20);
    assert_eq!(states(&world.take_events()).last(), Some(&GuestState::Stopped { restart: false }));
}

#[test]
fn stops_log_what_they_should_before_power_goes() {
    const UP: [u32; 2] = [0x9DBC_FDEE, 0xA6DF_45AA];
    const DOWN: [u32; 2] = [0x192A_C071, 0x2BFA_76F6];
    for (request, seconds, orderly) in [
        (StopRequest::Immediate, 0, false),
        (StopRequest::Delayed, 10, true),
        (StopRequest::OperatingSystem, 30, true),
        (StopRequest::OperatingSystemImmediate, 10, true),
    ] {
        let (world, disk) = (World::new(1), disk());
        let aix = specification(5, Personality::Aix, Some(disk.clone()));
        world.boot(&aix);
        world.engine.stop(aix.partition, request, true).expect("on");
        world.seconds(seconds);
        let states = states(&world.take_events());
        let going = if orderly { vec![GuestState::ShuttingDown] } else { vec![] };
        assert_eq!(states, [going, vec![GuestState::Stopped { restart: true }]].concat(), "{request:?}");
        let expected = if orderly { [UP, DOWN].concat() } else { UP.to_vec() };
        assert_eq!(logged(&*disk), expected, "{request:?}");
        let gone = world.engine.stop(aix.partition, request, true);
        assert_eq!(gone, Err(EngineError::NotRunning(aix.partition)));
        // The next activation keeps the log.
        world.boot(&varan_contract::engine::GuestSpecification { generation: Generation(2), ..aix });
        assert_eq!(logged(&*disk), [expected, UP.to_vec()].concat(), "{request:?}");
    }
}

#[test]
fn generations_are_idempotent_and_replace() {
    let world = World::new(1);
    let mut aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    assert!(world.boot(&aix).is_empty(), "a repeat is harmless");
    world.engine.stop(aix.partition, StopRequest::Immediate, false).expect("on");
    world.seconds(1);
    world.take_events();
    assert!(world.boot(&aix).is_empty(), "a repeat after the stop does not start it again");
    aix.generation = Generation(7);
    assert_eq!(states(&world.boot(&aix)), [GuestState::Starting, GuestState::Running]);
    aix.generation = Generation(8);
    assert_eq!(states(&world.boot(&aix)), [GuestState::Starting, GuestState::Running]);
    aix.generation = Generation(3);
    assert!(world.boot(&aix).is_empty(), "a late repeat of an earlier activation");
}

#[test]
fn power_loss_is_silent_and_forgets_generations() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    let terminal = world.engine.open_terminal(aix.partition).expect("free");
    world.engine.power_loss();
    world.seconds(100);
    assert!(world.take_events().is_empty());
    let mut rest = Vec::new();
    while terminal.read(&mut rest) {}
    assert_eq!(world.engine.arena_usage().used_bytes, 0);
    assert!(world.engine.statistics(aix.partition).is_err());
    assert_eq!(states(&world.boot(&aix)), [GuestState::Starting, GuestState::Running]);
}

#[test]
fn a_full_site_refuses_to_start_one_more() {
    let world = World::with_memory(1, 2 * 4096);
    for number in 1..=2 {
        world.engine.start(specification(number, Personality::Aix, Some(disk()))).expect("room");
    }
    let third = specification(3, Personality::Aix, Some(disk()));
    assert!(matches!(world.engine.start(third.clone()), Err(EngineError::NoRoom(_))));
    world
        .engine
        .stop(specification(1, Personality::Aix, None).partition, StopRequest::Immediate, false)
        .expect("on");
    world.seconds(1);
    world.engine.start(third).expect("room again");
}

#[test]
fn another_partition_id_keeps_or_wipes_the_odm() {
    for ghostdev in [false, true] {
        let (world, disk) = (World::new(1), disk());
        let mut aix = specification(5, Personality::Aix, Some(disk.clone()));
        aix.installation.address = Some((Ipv4Addr::new(10, 1, 1, 9), 24));
        world.boot(&aix);
        let dialogue = world.terminal(aix.partition);
        dialogue.login("root", "abc123");
        dialogue.command("chdev -l sys0 -a maxuproc=4096");
        if ghostdev {
            assert_eq!(dialogue.command("chdev -l sys0 -a ghostdev=1"), "sys0 changed\n");
        }
        drop(dialogue);
        world.engine.stop(aix.partition, StopRequest::OperatingSystem, false).expect("on");
        world.seconds(60);
        aix.id = PartitionId(11);
        aix.generation = Generation(2);
        let events = world.boot(&aix);
        let identifiers = logged(&*disk);
        let newest: Vec<u32> = identifiers.into_iter().rev().take(6).collect();
        assert_eq!(newest, [0xA6DF_45AA, 0x1BA7_DF4E, 0xCB4A_951F, 0xCB4A_951F, 0xD872_C399, 0x9DBC_FDEE]);
        let report = &reports(&events)[0];
        let configuration = installed(&*disk);
        if ghostdev {
            assert_eq!((report.hostname.as_str(), report.addresses.len()), ("localhost", 0));
            assert!(configuration.attributes.is_empty() && !configuration.ghostdev);
        } else {
            assert_eq!((report.hostname.as_str(), report.addresses.len()), ("host5", 1));
            assert_eq!(configuration.attributes, [("maxuproc".to_owned(), "4096".to_owned())]);
        }
    }
}

#[test]
fn a_clone_boots_as_its_source() {
    let (world, disk) = (World::new(1), disk());
    let source = world.boot(&specification(5, Personality::Linux, Some(disk.clone())));
    let copy = Arc::new(MemoryBootDisk::from_bytes(disk.contents()));
    let clone = world.boot(&specification(6, Personality::Aix, Some(copy)));
    let (source, clone) = (&reports(&source)[0], &reports(&clone)[0]);
    assert_eq!((&clone.hostname, &clone.name), (&source.hostname, &source.name));
    assert_eq!(clone.rsct_node_id, source.rsct_node_id);
}

/// Fails every write while it is broken.
struct BreakableDisk {
    disk: MemoryBootDisk,
    broken: AtomicBool,
}

impl BootDisk for BreakableDisk {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.disk.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("path failed"));
        }
        self.disk.write_at(offset, data)
    }

    fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_change_that_the_disk_refuses_is_not_acknowledged() {
    let disk = Arc::new(BreakableDisk { disk: MemoryBootDisk::new(1 << 20), broken: AtomicBool::new(false) });
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk.clone()));
    world.boot(&aix);
    let dialogue = world.terminal(aix.partition);
    dialogue.login("root", "abc123");
    disk.broken.store(true, Ordering::Relaxed);
    let shown = dialogue.command("chdev -l sys0 -a ghostdev=1");
    assert!(shown.contains("path failed") && !shown.contains("changed"), "{shown}");
    disk.broken.store(false, Ordering::Relaxed);
    assert_eq!(dialogue.command("chdev -l sys0 -a ghostdev=1"), "sys0 changed\n");
    assert!(installed(&disk.disk).ghostdev);
    // A disk that fails during the boot ends it.
    disk.broken.store(true, Ordering::Relaxed);
    let again = varan_contract::engine::GuestSpecification { generation: Generation(2), ..aix };
    assert_eq!(states(&world.boot(&again)).last(), Some(&GuestState::Failed));
}

#[test]
fn an_operating_system_that_is_not_up_does_not_hear_and_says_so() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.engine.start(aix.clone()).expect("room");
    let not_heard = EngineEventKind::StopNotHeard(StopRequest::OperatingSystem);
    for _ in 0..10 {
        world.take_events();
        world.engine.stop(aix.partition, StopRequest::OperatingSystem, false).expect("on");
        world.seconds(0);
        assert_eq!(world.take_events().last(), Some(&not_heard));
        world.seconds(7);
    }
    world.seconds(100);
    world.take_events();
    // Heard once; the second request finds it at work.
    for _ in 0..2 {
        world.engine.stop(aix.partition, StopRequest::OperatingSystem, false).expect("on");
        world.seconds(1);
    }
    assert!(!world.take_events().contains(&not_heard));
    world.seconds(100);
    assert_eq!(states(&world.take_events()), [GuestState::Stopped { restart: false }]);
}

#[test]
fn a_full_mailbox_does_not_keep_the_power_on() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    let taken = (0..100).filter(|&token| world.engine.set_memory(aix.partition, 4096, token).is_ok()).count();
    assert_eq!(taken, 64);
    assert!(matches!(
        world.engine.stop(aix.partition, StopRequest::Delayed, false),
        Err(EngineError::NoRoom(_))
    ));
    world.engine.stop(aix.partition, StopRequest::Immediate, false).expect("on");
    world.seconds(1);
    assert_eq!(states(&world.take_events()), [GuestState::Stopped { restart: false }]);
}

#[test]
fn a_crash_ends_the_guest_at_once() {
    let world = World::new(71);
    let specification = specification(71, Personality::Aix, Some(disk()));
    world.boot(&specification);
    world.engine.fault(specification.partition, GuestFault::Crash).expect("powered on");
    world.seconds(1);
    assert_eq!(states(&world.take_events()), [GuestState::Failed]);
    let gone = world.engine.fault(specification.partition, GuestFault::Hang);
    assert_eq!(gone, Err(EngineError::NotRunning(specification.partition)));
}

#[test]
fn a_guest_that_stands_still_goes_on_where_it_was() {
    let world = World::new(72);
    let specification = specification(72, Personality::Aix, Some(disk()));
    let partition = specification.partition;
    world.boot(&specification);
    let terminal = world.terminal(partition);
    assert!(terminal.login("root", "abc123").contains('#'));
    world.engine.fault(partition, GuestFault::Hang).expect("powered on");
    world.engine.fault(partition, GuestFault::Hang).expect("twice is once");
    terminal.terminal.write(b"shutdown -r\r");
    world.engine.set_memory(partition, 1_024, 9).expect("powered on");
    world.engine.stop(partition, StopRequest::OperatingSystem, false).expect("powered on");
    world.seconds(3_600);
    assert!(world.take_events().is_empty(), "silence");
    world.engine.fault(partition, GuestFault::Resume).expect("powered on");
    world.seconds(3_600);
    let events = world.take_events();
    assert!(events.iter().any(|event| matches!(event, EngineEventKind::MemorySet { token: 9, .. })));
    assert_eq!(states(&events), [GuestState::ShuttingDown, GuestState::Stopped { restart: false }]);
}

#[test]
fn the_power_of_a_guest_that_stands_still_can_be_cut() {
    for (number, request, seconds) in [(73_u16, StopRequest::Immediate, 1), (74, StopRequest::Delayed, 61)] {
        let world = World::new(number.into());
        let specification = specification(number, Personality::Linux, Some(disk()));
        world.boot(&specification);
        world.engine.fault(specification.partition, GuestFault::Hang).expect("powered on");
        world.engine.stop(specification.partition, request, true).expect("powered on");
        world.seconds(seconds);
        assert_eq!(states(&world.take_events()), [GuestState::Stopped { restart: true }], "{request:?}");
    }
}

/// A guest that stands still while it boots does not lose what its disk answered.
#[test]
fn a_boot_goes_on_after_a_hang() {
    let world = World::new(75);
    let specification = specification(75, Personality::Aix, Some(disk()));
    world.engine.start(specification.clone()).expect("started");
    for _ in 0..40 {
        world.seconds(3);
        world.engine.fault(specification.partition, GuestFault::Hang).expect("powered on");
        world.seconds(2);
        world.engine.fault(specification.partition, GuestFault::Resume).expect("powered on");
    }
    world.seconds(300);
    assert!(!reports(&world.take_events()).is_empty(), "it is up");
}
