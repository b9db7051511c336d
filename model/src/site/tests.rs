//! Tests of the site file: the shipped sites, what they must hold, and what broken files are answered.

use super::*;
use crate::configuration::PartitionEnvironment;
use crate::ids::PartitionId;
use crate::units::ProcessingUnits;

mod applied;
mod broken;
mod hostile;

macro_rules! shipped {
    ($($name:literal),*) => {
        &[$(($name, include_str!(concat!("../../../sites/", $name, ".toml")))),*]
    };
}

const SHIPPED: &[(&str, &str)] = shipped!(
    "demo",
    "simplified-remote-restart",
    "vnic",
    "remote-restart",
    "novalink",
    "pools",
    "mobility-deck",
    "toolkit",
    "two-consoles",
    "storage",
    "bridges",
    "large"
);

fn shipped_site(name: &str) -> Site {
    let (_, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name).expect("a shipped site");
    match Site::parse(text, &format!("sites/{name}.toml")) {
        Ok(site) => site,
        Err(error) => panic!("{error}"),
    }
}

fn system<'s>(site: &'s Site, name: &str) -> &'s ManagedSystemDescription {
    site.managed_system(name).unwrap_or_else(|| panic!("no managed system {name}"))
}

/// Names and IDs of a system's partitions.
fn roster(site: &Site, name: &str) -> Vec<(String, u16)> {
    system(site, name).partitions.iter().map(|partition| (partition.name.clone(), partition.id.0)).collect()
}

fn partition<'s>(site: &'s Site, system_name: &str, name: &str) -> &'s InitialPartition {
    let partitions = &system(site, system_name).partitions;
    partitions.iter().find(|partition| partition.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn attribute(partition: &InitialPartition, name: &str) -> Option<u64> {
    let assignments = crate::record::parse_record(&partition.profile).expect("a record");
    assignments.iter().find(|assignment| assignment.name == name)?.value.parse().ok()
}

#[test]
fn every_shipped_site_has_two_servers_on_each_frame_and_the_three_users() {
    for (name, _) in SHIPPED {
        let site = shipped_site(name);
        assert_eq!(site.name, *name);
        assert_eq!(site.virtual_io_server_password, Some(Password::Plain("padmin".to_owned())));
        for system in &site.managed_systems {
            let servers: Vec<&InitialPartition> = system
                .partitions
                .iter()
                .filter(|partition| partition.environment == PartitionEnvironment::VirtualIoServer)
                .collect();
            assert_eq!(servers.len(), 2, "{name}: {}", system.name);
            assert!(servers.iter().all(|server| server.start && server.id.0 <= 2), "{name}: {}", system.name);
            assert_eq!((system.management.vlan, system.management.virtual_switch.as_str()), (1, "ETHERNET0"));
            assert_eq!(system.virtual_switches[0].name, DEFAULT_VIRTUAL_SWITCH);
        }
        let console = site.console("myhmc").expect("myhmc");
        let users: Vec<(&str, &str)> =
            console.users.iter().map(|user| (user.name.as_str(), user.task_role.as_str())).collect();
        assert_eq!(users, [("hscroot", "hmcsuperadmin"), ("hscpe", "hmcpe"), ("viewer", "hmcviewer")]);
        assert_eq!(console.users[0].password, Some(Password::Plain("abc123".to_owned())));
        assert_eq!(console.home_directories, ["SV830_048", "SV830_068", "860_056"]);
        assert_eq!((console.release.as_str(), console.build_level.as_str()), ("V8R8.6.0", "20161101.1"));
        assert_eq!(console.fixes, ["MH01655: Required fix for HMC V8R8.6.0 (11-01-2016)"]);
    }
}

#[test]
fn demo_has_its_frames() {
    let site = shipped_site("demo");
    let frames: Vec<String> = site
        .managed_systems
        .iter()
        .map(|system| format!("{} {} {}", system.name, system.identity.type_model, system.firmware_level))
        .collect();
    assert_eq!(
        frames,
        [
            "p814-1 8286-41A 01SV830_048",
            "p814-2 8286-41A 01SV830_048",
            "p720-1 8202-E4D 01AL770_063",
            "reptilian-9119-MME-65BA46F 9119-MME 01SC860_056",
            "reptilian-9119-MME-659707C 9119-MME 01SC860_042",
        ]
    );
    let free = site.san_disks.iter().filter(|disk| disk.managed_systems.is_none()).count();
    assert!(free >= 8);
    for system in &site.managed_systems {
        assert_eq!(system.minimum_units_per_processor, ProcessingUnits(5), "{}", system.name);
        assert_eq!(roster(&site, &system.name), [("vios1".to_owned(), 1), ("vios2".to_owned(), 2)]);
    }
}

#[test]
fn demo_has_sriov_adapters_one_to_four_on_both_enterprise_frames() {
    for (site, frames) in [("demo", 2), ("vnic", 2)] {
        let site = shipped_site(site);
        let enterprise =
            site.managed_systems.iter().filter(|system| system.identity.type_model == "9119-MME");
        let mut seen = 0;
        for system in enterprise {
            let adapters: Vec<(u32, usize, SriovMode)> = system
                .units
                .iter()
                .flat_map(|unit| &unit.slots)
                .filter_map(|slot| match &slot.adapter {
                    Some(Adapter::Sriov(adapter)) => {
                        Some((adapter.adapter_id, adapter.ports.len(), adapter.mode))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(adapters, [1, 2, 3, 4].map(|id| (id, 4, SriovMode::Shared)), "{}", system.name);
            seen += 1;
        }
        assert_eq!(seen, frames);
    }
}

#[test]
fn what_starts_fits_its_frame_and_leaves_room_for_twenty_small_partitions() {
    for (name, _) in SHIPPED {
        for system in &shipped_site(name).managed_systems {
            let started = system.partitions.iter().filter(|partition| partition.start);
            let (mut memory, mut units) = (0, ProcessingUnits(0));
            for partition in started {
                memory += attribute(partition, "desired_mem").expect("desired_mem");
                let record = crate::record::parse_record(&partition.profile).expect("a record");
                let desired = record.iter().find(|pair| pair.name == "desired_proc_units").expect("units");
                units = units.plus(desired.value.parse().expect("units"));
            }
            // The hypervisor takes a few percent; an eighth is on the safe side.
            let usable = system.configurable_memory - system.configurable_memory / 8;
            let units_left = ProcessingUnits::whole(system.configurable_processors).minus(units);
            let small = ProcessingUnits(system.minimum_units_per_processor.0 * 20);
            if *name == "demo" {
                assert!(memory + 20 * 2_048 <= usable && small <= units_left, "{}", system.name);
                assert!(system.maximum_partitions >= 22);
            }
            assert!(memory <= usable, "{name}: {}: {memory} MB of {usable} MB", system.name);
            assert!(units.0 <= system.configurable_processors * 100, "{name}: {}", system.name);
        }
    }
}

#[test]
fn simplified_remote_restart_starts_as_the_seed_shows() {
    let site = shipped_site("simplified-remote-restart");
    let names: Vec<&str> = site.managed_systems.iter().map(|system| system.name.as_str()).collect();
    assert_eq!(names, ["p720-1", "p814-1", "p720-2", "p814-2", "p824-2", "p824-1"]);
    assert!(system(&site, "p814-1").firmware_level.release() < 830);
    assert!(system(&site, "p814-2").firmware_level.release() < 830);
    assert_eq!(system(&site, "p824-1").firmware_level.to_string(), "01SV830_048");
    for (frame, number, runs, capable) in [
        ("p814-1", 1, false, false),
        ("p814-1", 6, true, false),
        ("p824-2", 2, false, false),
        ("p824-2", 6, true, false),
        ("p824-2", 7, true, false),
        ("p824-1", 1, true, true),
        ("p824-1", 5, false, true),
        ("p824-1", 6, true, false),
        ("p824-1", 7, true, false),
    ] {
        let lpar = partition(&site, frame, &format!("lpar{number}"));
        assert_eq!(lpar.start, runs, "{frame} lpar{number}");
        assert_eq!(!lpar.attributes.is_empty(), capable, "{frame} lpar{number}");
    }
    assert!(roster(&site, "p824-2").iter().all(|(name, _)| name != "lpar1"));
}

#[test]
fn remote_restart_has_the_seeds_names_profile_and_disks() {
    let site = shipped_site("remote-restart");
    assert_eq!(system(&site, "source-server").name, "source-machine");
    let source = roster(&site, "source-machine");
    assert_eq!(source[..2], [("vios1".to_owned(), 1), ("vios2".to_owned(), 2)]);
    assert!(source.contains(&("temp3-b642c120-00000133".to_owned(), 11)));
    assert!(source.iter().any(|(name, _)| name == "rrlpar"));
    assert_eq!(roster(&site, "dest-machine"), [("vios3".to_owned(), 1), ("vios4".to_owned(), 2)]);
    let third = "s00ka9927558-9117-MMD-658B2AD";
    let servers = [("s00ia9927559".to_owned(), 1), ("s00ia9927560".to_owned(), 2)];
    assert_eq!(roster(&site, third)[..2], servers);
    assert!(system(&site, third).virtual_switches.iter().any(|switch| switch.name == "vdct"));
    let temp = partition(&site, third, "temp3-b642c120-00000133");
    assert_eq!(temp.id, PartitionId(11));
    assert!(temp.profile.contains("virtual_eth_adapters=32/0/1659//0/0/vdct/facc157c3e20/all/0,"));
    assert!(temp.profile.contains(
        "\"virtual_fc_adapters=\"\"2/client/1/s00ia9927559/32/c050760727c5007a,c050760727c5007b/0\"\","
    ));
    for (name, pvid, lun) in [
        ("hdisk988", "00ced82ce999d6f3", "3E5000000000000"),
        ("hdisk989", "00ced82ce999d960", "3E6000000000000"),
        ("hdisk990", "00ced82ce999dbec", "3E7000000000000"),
    ] {
        let disk = site.san_disks.iter().find(|disk| disk.name == name).expect(name);
        assert_eq!(disk.physical_volume_identifier.expect("PVID").to_string(), pvid);
        assert_eq!(disk.logical_unit_number.to_string(), lun);
        assert_eq!((disk.size, disk.target_port.to_string().as_str()), (61_440, "500507680140f32c"));
        assert_eq!(disk.device_name_on("dest-machine", "vios4"), Some(name));
    }
}

#[test]
fn other_sites_have_the_seeds_names() {
    let site = shipped_site("vnic");
    assert_eq!(partition(&site, "reptilian-9119-MME-65BA46F", "lizard").id, PartitionId(6));
    assert!(
        system(&site, "reptilian-9119-MME-659707C")
            .units
            .iter()
            .any(|unit| { unit.location_code.to_string() == "U78CA.001.CSS08ZN" && !unit.slots.is_empty() })
    );
    let site = shipped_site("novalink");
    let frame = roster(&site, "br-8286-41A-2166666");
    assert_eq!(frame[..2], [("s00ia9940825".to_owned(), 1), ("s00ia9940826".to_owned(), 2)]);
    assert!(frame.contains(&("nova".to_owned(), 9)));
    let site = shipped_site("pools");
    for (frame, first, second) in [
        ("8202-E4C*064099R", "vios1.domain.test", "vios2.domain.test"),
        ("8202-E4C*064011R", "vios3.domain.test", "vios4.domain.test"),
    ] {
        assert_eq!(roster(&site, frame), [(first.to_owned(), 2), (second.to_owned(), 1)]);
        assert_eq!(system(&site, frame).minimum_units_per_processor, ProcessingUnits(10));
    }
    assert!(
        site.managed_system("8203-E4A*060CE74").is_some()
            && site.managed_system("9117-MMD*658B2AD").is_some()
    );
    let site = shipped_site("mobility-deck");
    assert_eq!(roster(&site, "8205-E6B*10934CP"), [("b740vio1".to_owned(), 1), ("b740vio2".to_owned(), 2)]);
    assert_eq!(
        roster(&site, "8233-E8B*069348P")[..2],
        [("b750vio1".to_owned(), 1), ("b750vio2".to_owned(), 2)]
    );
    assert!(partition(&site, "8233-E8B*069348P", "b750vio1").attributes.starts_with("msp=1"));
    let site = shipped_site("toolkit");
    assert_eq!(roster(&site, "8202-E4D*845B2CV"), [("labvios1".to_owned(), 1), ("labvios2".to_owned(), 2)]);
}

#[test]
fn large_has_ten_thousand_small_partitions() {
    let site = shipped_site("large");
    assert_eq!(site.managed_systems.len(), 10);
    for system in &site.managed_systems {
        assert_eq!(system.partitions.len(), 1_002);
        let last = system.partitions.last().expect("partitions");
        assert_eq!((last.name.as_str(), last.id, last.start), ("p1000", PartitionId(1_002), false));
        // All of them can run at once.
        let memory: u64 =
            system.partitions.iter().filter_map(|partition| attribute(partition, "desired_mem")).sum();
        assert!(memory <= system.configurable_memory - system.configurable_memory / 8);
    }
}

#[test]
fn creation_records_are_whole() {
    let site = shipped_site("toolkit");
    let frame = &site.managed_systems[0];
    let record = frame.creation_record(&frame.partitions[0]);
    assert!(record.starts_with(
        "name=labvios1,profile_name=default_profile,lpar_id=1,lpar_env=vioserver,min_mem=1024,"
    ));
    let assignments = crate::record::parse_record(&record).expect("a record");
    let slots = assignments.iter().find(|assignment| assignment.name == "io_slots").expect("io_slots");
    assert_eq!(crate::record::parse_list(&slots.value).expect("a list").len(), 6);
    let site = shipped_site("simplified-remote-restart");
    let frame = system(&site, "p824-1");
    let lpar = partition(&site, "p824-1", "lpar1");
    assert!(frame.creation_record(lpar).ends_with(",simplified_remote_restart_capable=1"));
}

#[test]
fn addresses_made_up_are_unique_stable_and_local() {
    let site = shipped_site("demo");
    let mut seen = std::collections::BTreeSet::new();
    let slots = site.managed_systems.iter().flat_map(|system| &system.units).flat_map(|unit| &unit.slots);
    for slot in slots {
        match &slot.adapter {
            Some(Adapter::Ethernet { ports }) => {
                for port in ports {
                    assert!(seen.insert(port.mac_address.to_string()));
                    assert!(port.mac_address.to_string().starts_with("a2"));
                }
            }
            Some(Adapter::FibreChannel { ports }) => {
                for port in ports {
                    assert!(seen.insert(port.port_name.to_string()));
                    assert!(port.port_name.to_string().starts_with("1000a2"));
                }
            }
            Some(Adapter::Sriov(adapter)) => {
                assert!(adapter.ports.iter().all(|port| seen.insert(port.mac_address.to_string())));
            }
            Some(Adapter::Sas { .. }) | None => {}
        }
    }
    assert!(seen.len() > 80);
    assert_eq!(site, shipped_site("demo"));
}

#[test]
fn sites_survive_serialization() {
    for (name, _) in SHIPPED {
        let site = shipped_site(name);
        let text = serde_json::to_string(&site).expect("serializes");
        assert_eq!(serde_json::from_str::<Site>(&text).expect("deserializes"), site);
    }
}

#[test]
fn passwords_do_not_show_in_debug_output() {
    assert!(!format!("{:?}", shipped_site("demo")).contains("abc123"));
}

#[test]
fn identifiers_read_back_what_they_print() {
    let location: LocationCode = "U78CA.001.CSS08ZN-P1-C3-C1-T2".parse().expect("location");
    assert_eq!(location.to_string(), "U78CA.001.CSS08ZN-P1-C3-C1-T2");
    for text in
        ["U78CA.001.CSS08ZN", "U78CA.001.CSS08ZN-C3", "U78CA.001.CSS08ZN-P1-", "78CA.001.CSS08ZN-P1", ""]
    {
        assert!(text.parse::<LocationCode>().is_err(), "{text:?}");
    }
    let network: Ipv4Network = "10.20.0.0/16".parse().expect("network");
    assert_eq!((network.to_string().as_str(), network.host_count()), ("10.20.0.0/16", 65_534));
    assert_eq!(network.host(1), Some(std::net::Ipv4Addr::new(10, 20, 0, 1)));
    assert_eq!((network.host(0), network.host(65_535)), (None, None));
    assert!(network.holds_host(std::net::Ipv4Addr::new(10, 20, 255, 254)));
    assert!(!network.holds_host(std::net::Ipv4Addr::new(10, 20, 255, 255)));
    assert!(!network.holds_host(std::net::Ipv4Addr::new(10, 21, 0, 1)));
    for text in ["10.20.0.0", "10.20.0.0/33", "10.20.0.0/31", "10.20.0.0/016", "10.20.0.0/+16", "0.0.0.0/0"] {
        assert!(text.parse::<Ipv4Network>().is_err(), "{text:?}");
    }
}

#[test]
fn documentation_names_every_key_of_the_base_file() {
    const DOCUMENT: &str = include_str!("../../../docs/site-file.md");
    let base = include_str!("tests/base.toml");
    for line in base.lines().chain(SHIPPED.iter().flat_map(|(_, text)| text.lines())) {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        let key = key.trim_start_matches(['{', ' ']);
        let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if is_key && key != "vnic_capable" {
            assert!(DOCUMENT.contains(&format!("`{key}`")), "docs/site-file.md lacks `{key}`");
        }
    }
}
