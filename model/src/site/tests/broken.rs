//! Broken site files, each the base file with one replacement, and the exact answer.

use super::super::{Site, SiteProblem};

const BASE: &str = include_str!("base.toml");

/// A text of the base file, what takes its place (its first occurrence), and the error.
type Case = (&'static str, &'static str, &'static str);

fn answer(from: &str, to: &str) -> String {
    assert!(BASE.contains(from), "the base file has no {from:?}");
    match Site::parse(&BASE.replacen(from, to, 1), "sites/x.toml") {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (from, to, expected) in cases {
        let found = answer(from, to);
        if found != format!("sites/x.toml:{expected}") {
            wrong.push(format!("{from:?} -> {to:?}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_base_file_is_whole() {
    assert!(Site::parse(BASE, "base.toml").is_ok());
}

#[test]
fn form() {
    check(&[
        ("[site]", "[site", "1: this is not TOML: unclosed table, expected `]`"),
        ("name = \"lab\"", "name = \"lab", "2: this is not TOML: invalid basic string, expected `\"`"),
        ("time_scale = 60", "time_scale = 60\ntime_scale = 61", "4: this is not TOML: duplicate key"),
        ("time_scale = 60", "time_scal = 60", "3: site.time_scal: unknown key"),
        ("[site]", "[sit]", "1: site: this key is missing"),
        ("name = \"lab\"", "", "1: site.name: this key is missing"),
        ("name = \"lab\"", "name = 5", "2: site.name: expected a string, found an integer"),
        ("name = \"lab\"", "name = \"a b\"", "2: site.name: `a b` is not a valid site name"),
        ("time_scale = 60", "time_scale = 0.5", "3: site.time_scale: 0.5 is not between 1 and 1000000"),
        ("time_scale = 60", "time_scale = nan", "3: site.time_scale: NaN is not between 1 and 1000000"),
        ("time_scale = 60", "time_scale = \"60\"", "3: site.time_scale: expected a number, found a string"),
        (
            "demonstration = true",
            "demonstration = 1",
            "4: site.demonstration: expected a boolean, found an integer",
        ),
        (
            "demonstration = true",
            "demonstration = false",
            "11: console.myhmc.user.hscroot.password: a password in plain text is only for a site with `demonstration = true`; give an Argon2 hash",
        ),
        (
            "demonstration = true",
            "management_network = \"10.20.0.1/16\"",
            "4: site.management_network: `10.20.0.1/16` is not a valid IPv4 network",
        ),
        (
            "demonstration = true",
            "awk = true",
            "11: console.myhmc.user.hscroot.password: a password in plain text is only for a site with `demonstration = true`; give an Argon2 hash",
        ),
        ("[[console]]", "[console]", "6: console: expected an array of tables, found a table"),
        ("[[outside_host]]", "[[outside_hosts]]", "84: outside_hosts: unknown key"),
        (
            "[[console]]\nname = \"myhmc\"",
            "[[console]]\nname = \"\"",
            "7: console[1].name: `` is not a valid console name",
        ),
    ]);
}

#[test]
fn consoles() {
    check(&[
        (
            "managed_systems = [\"frame-1\"]",
            "managed_systems = [\"frame-9\"]",
            "8: console.myhmc.managed_systems: there is no managed system `frame-9`",
        ),
        (
            "managed_systems = [\"frame-1\"]",
            "managed_systems = [\"first\"]",
            "8: console.myhmc.managed_systems: there is no managed system `first`",
        ),
        (
            "managed_systems = [\"frame-1\"]",
            "managed_systems = [1]",
            "8: console.myhmc.managed_systems: expected a string, found an integer",
        ),
        (
            "managed_systems = [\"frame-1\"]",
            "release = \"8.6.0\"",
            "8: console.myhmc.release: `8.6.0` is not a valid console release",
        ),
        (
            "managed_systems = [\"frame-1\"]",
            "listen_address = \"192.168.1.1\"",
            "8: console.myhmc.listen_address: `192.168.1.1` is not a valid loopback address",
        ),
        (
            "managed_systems = [\"frame-1\"]",
            "home_directories = [\"../x\"]",
            "8: console.myhmc.home_directories: `../x` is not a valid directory name",
        ),
        (
            "managed_systems = [\"frame-1\"]",
            "type_model_serial = \"7042-CR9\"",
            "8: console.myhmc.type_model_serial: `7042-CR9` is not a valid type-model*serial",
        ),
        (
            "password = \"abc123\"",
            "",
            "9: console.myhmc.user.hscroot.password: a user needs a password or an authorized key",
        ),
        (
            "password = \"abc123\"",
            "password = \"$argon2id\"",
            "11: console.myhmc.user.hscroot.password: this is not a whole Argon2 hash",
        ),
        (
            "password = \"abc123\"",
            "authorized_keys = [\"ssh-ed25519 no\"]",
            "11: console.myhmc.user.hscroot.authorized_keys: `ssh-ed25519 no` is not a valid SSH public key",
        ),
        (
            "taskrole = \"hmcsuperadmin\"",
            "taskrole = \"root\"",
            "12: console.myhmc.user.hscroot.taskrole: `root` is none of hmcsuperadmin, hmcoperator, hmcviewer, hmcpe, hmcservicerep, hmcclientliveupdate",
        ),
        ("taskrole = \"hmcsuperadmin\"", "", "9: console.myhmc.user.hscroot.taskrole: this key is missing"),
        (
            "name = \"hscroot\"",
            "name = \"Hscroot\"",
            "10: console.myhmc.user.Hscroot.name: `Hscroot` is not a valid user name",
        ),
        (
            "taskrole = \"hmcsuperadmin\"",
            "taskrole = \"hmcsuperadmin\"\n[[console.user]]\nname = \"hscroot\"",
            "14: console.myhmc.user.hscroot.name: the user `hscroot` is already used at line 10",
        ),
    ]);
}

#[test]
fn managed_systems() {
    check(&[
        (
            "name = \"frame-2\"",
            "name = \"frame-1\"",
            "64: managed_system.frame-1.name: the managed system `frame-1` is already used at line 29",
        ),
        (
            "name = \"frame-2\"",
            "name = \"first\"",
            "64: managed_system.first.name: the managed system `first` is already used at line 30",
        ),
        (
            "name = \"frame-2\"",
            "name = \"8286-41A*2100001\"",
            "64: managed_system.8286-41A*2100001.name: the managed system `8286-41A*2100001` is already used at line 31",
        ),
        ("name = \"frame-2\"", "", "63: managed_system[2].name: this key is missing"),
        (
            "name = \"frame-2\"",
            "name = \"a name that is longer than 31 letters\"",
            "64: managed_system.a name that is longer than 31 letters.name: `a name that is longer than 31 letters` is not a valid managed system name",
        ),
        (
            "aliases = [\"first\"]",
            "aliases = \"first\"",
            "30: managed_system.frame-1.aliases: expected an array, found a string",
        ),
        (
            "8202-E4C*2100002",
            "8286-41A*2100001",
            "65: managed_system.frame-2.type_model_serial: the managed system `8286-41A*2100001` is already used at line 31",
        ),
        (
            "8202-E4C*2100002",
            "8202-E4C*2100001",
            "65: managed_system.frame-2.type_model_serial: the serial number `2100001` is already used at line 31",
        ),
        (
            "8202-E4C*2100002",
            "8202-E4C",
            "65: managed_system.frame-2.type_model_serial: `8202-E4C` is not a valid type-model*serial",
        ),
        (
            "processor_family = \"POWER7\"",
            "processor_family = \"POWER5\"",
            "66: managed_system.frame-2.processor_family: `POWER5` is not a valid processor family",
        ),
        (
            "processor_family = \"POWER7\"",
            "",
            "63: managed_system.frame-2.processor_family: this key is missing",
        ),
        (
            "installed_processors = 4",
            "installed_processors = 0",
            "67: managed_system.frame-2.installed_processors: 0 is not between 1 and 256",
        ),
        (
            "installed_processors = 4",
            "installed_processors = -1",
            "67: managed_system.frame-2.installed_processors: -1 is not between 1 and 256",
        ),
        (
            "installed_processors = 4",
            "installed_processors = 99999999999999999999",
            "67: managed_system.frame-2.installed_processors: 99999999999999999999 is not between 1 and 256",
        ),
        (
            "installed_processors = 4",
            "installed_processors = 4\nconfigurable_processors = 5",
            "68: managed_system.frame-2.configurable_processors: 5 is above installed_processors",
        ),
        (
            "installed_memory = 32768",
            "installed_memory = 32769",
            "68: managed_system.frame-2.installed_memory: 32769 MB is not a multiple of the memory region size, 256 MB",
        ),
        (
            "installed_memory = 32768",
            "installed_memory = 32768\nconfigurable_memory = 33024",
            "69: managed_system.frame-2.configurable_memory: 33024 is above installed_memory",
        ),
        (
            "installed_memory = 32768",
            "installed_memory = 32768\nmemory_region_size = 100",
            "69: managed_system.frame-2.memory_region_size: 100 is not a power of two",
        ),
        (
            "installed_memory = 32768",
            "installed_memory = 32768\nmemory_region_size = 8",
            "69: managed_system.frame-2.memory_region_size: 8 is not between 16 and 1024",
        ),
        ("installed_memory = 32768", "", "63: managed_system.frame-2.installed_memory: this key is missing"),
        (
            "01AL770_063",
            "AL770_063",
            "69: managed_system.frame-2.firmware_level: `AL770_063` is not a valid firmware level",
        ),
        (
            "01AL770_063",
            "01aé770_063",
            "69: managed_system.frame-2.firmware_level: `01aé770_063` is not a valid firmware level",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\nminimum_processing_units = 0.2",
            "70: managed_system.frame-2.minimum_processing_units: `0.2` is none of 0.05, 0.1",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\nmaximum_partitions = 5000",
            "70: managed_system.frame-2.maximum_partitions: 5000 is not between 1 and 4096",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\npower_on_side = \"left\"",
            "70: managed_system.frame-2.power_on_side: `left` is none of temp, perm",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\ninitial_state = \"Operatin\"",
            "70: managed_system.frame-2.initial_state: `Operatin` is none of Operating, Standby, Power Off, Error",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\nservice_processor_address = \"10.255.0\"",
            "70: managed_system.frame-2.service_processor_address: `10.255.0` is not a valid IPv4 address",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\naccess_password_set = \"no\"",
            "70: managed_system.frame-2.access_password_set: expected a boolean, found a string",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\nlicences = [\"everything\"]",
            "70: managed_system.frame-2.licences: `everything` is none of simplified_remote_restart, active_memory_expansion, active_memory_mirroring, dynamic_platform_optimization",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\npower_off_policy = 2",
            "70: managed_system.frame-2.power_off_policy: 2 is not between 0 and 1",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\nmac_address_prefix = \"98be9400\"",
            "70: managed_system.frame-2.mac_address_prefix: `98be9400` is not a valid locally administered MAC prefix",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\nmanagement_vlan = 4095",
            "70: managed_system.frame-2.management_vlan: 4095 is not between 1 and 4094",
        ),
        (
            "01AL770_063\"",
            "01AL770_063\"\nmanagement_virtual_switch = \"vdct\"",
            "70: managed_system.frame-2.management_virtual_switch: there is no virtual switch `vdct`",
        ),
        (
            "vnic_capable = 0",
            "vnic_capabel = 0",
            "38: managed_system.frame-1.capabilities.vnic_capabel: `vnic_capabel` is not a valid capability of a managed system",
        ),
        (
            "vnic_capable = 0",
            "vnic_capable = 2",
            "38: managed_system.frame-1.capabilities.vnic_capable: 2 is not between 0 and 1",
        ),
        (
            "name = \"vdct\"",
            "name = \"vdct\"\nmode = \"veb\"",
            "54: managed_system.frame-1.virtual_switch.vdct.mode: `veb` is none of VEB, VEPA",
        ),
    ]);
}

#[test]
fn adapters() {
    check(&[
        (
            "location = \"U78C9.001.WZS0001\"",
            "location = \"U78C9.001\"",
            "40: managed_system.frame-1.unit.U78C9.001.location: `U78C9.001` is not a valid unit location code",
        ),
        (
            "slots_from = \"small\"",
            "slots_from = \"big\"",
            "41: managed_system.frame-1.unit.U78C9.001.WZS0001.slots_from: there is no unit template `big`",
        ),
        (
            "location = \"P1-C6\"",
            "location = \"P1-C2\"",
            "43: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C2.location: the slot `U78C9.001.WZS0001-P1-C2` is already used at line 17",
        ),
        (
            "location = \"P1-C6\"",
            "location = \"C6\"",
            "43: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.C6.location: `C6` is not a valid location in a unit",
        ),
        (
            "location = \"P1-C6\"",
            "location = \"P1-C6\"\ndrc_index = \"21010200\"",
            "44: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C6.drc_index: the DRC index `21010200` is already used at line 17",
        ),
        (
            "location = \"P1-C6\"",
            "location = \"P1-C6\"\ndrc_index = \"2101020\"",
            "44: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C6.drc_index: `2101020` is not a valid DRC index",
        ),
        (
            "location = \"P1-C6\"\nowner = \"vios1\"",
            "location = \"P1-C6\"\nowner = \"vios9\"",
            "44: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C6.owner: there is no partition `vios9`",
        ),
        (
            "location = \"P1-C7\"",
            "location = \"P1-C7\"\nowner = \"vios1\"",
            "48: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C7.owner: the hypervisor owns an SR-IOV adapter in shared mode",
        ),
        (
            "kind = \"fibre_channel\", ports = 2",
            "kind = \"fibre_channel\", ports = 99",
            "17: unit_template.small.slot.P1-C2.adapter.ports: 99 is not between 1 and 16",
        ),
        (
            "kind = \"fibre_channel\", ports = 2",
            "kind = \"fibre\", ports = 2",
            "17: unit_template.small.slot.P1-C2.adapter.kind: `fibre` is none of ethernet, fibre_channel, sas, sriov",
        ),
        (
            "kind = \"fibre_channel\", ports = 2",
            "kind = \"fibre_channel\"",
            "17: unit_template.small.slot.P1-C2.adapter.ports: an adapter has at least one port",
        ),
        (
            "kind = \"fibre_channel\", ports = 2",
            "kind = \"fibre_channel\", ports = [{ wwpn = \"5005\" }]",
            "17: unit_template.small.slot.P1-C2.adapter.ports[1].wwpn: `5005` is not a valid world-wide port name",
        ),
        (
            "kind = \"fibre_channel\", ports = 2",
            "kind = \"fibre_channel\", ports = [{ mac_address = \"98be94000002\" }]",
            "17: unit_template.small.slot.P1-C2.adapter.ports[1].mac_address: unknown key",
        ),
        (
            "mac_address = \"98be94000001\"",
            "mac_address = \"98be940000\"",
            "45: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C6.adapter.ports[1].mac_address: `98be940000` is not a valid MAC address",
        ),
        (
            "mac_address = \"98be94000001\"",
            "mac_address = \"010000000001\"",
            "45: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C6.adapter.ports[1].mac_address: `010000000001` is not a valid MAC address of one station",
        ),
        (
            "{ label = \"second\" }",
            "{ mac_address = \"98be94000001\" }",
            "45: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C6.adapter.ports[2].mac_address: the MAC address `98be94000001` is already used at line 45",
        ),
        (
            "ports = [{ mac_address = \"98be94000001\" }, { label = \"second\" }]",
            "ports = []",
            "45: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C6.adapter.ports: an adapter has at least one port",
        ),
        (
            "adapter_id = 1, ports = 2",
            "adapter_id = 0, ports = 2",
            "48: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C7.adapter.adapter_id: 0 is not between 1 and 127",
        ),
        (
            "adapter_id = 1, ports = 2",
            "adapter_id = 1, ports = [{ type = \"ib\" }]",
            "48: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C7.adapter.ports[1].type: `ib` is none of eth, ethc, roce",
        ),
        (
            "adapter_id = 1, ports = 2",
            "adapter_id = 1, capacity_granularity = 0, ports = 2",
            "48: managed_system.frame-1.unit.U78C9.001.WZS0001.slot.P1-C7.adapter.capacity_granularity: `0` is not a valid percentage from 0.01 to 100",
        ),
        (
            "slots_from = \"small\"\n",
            "slots_from = \"small\"\n[[managed_system.unit]]\nlocation = \"U78C9.001.WZS0001\"\n",
            "43: managed_system.frame-1.unit.U78C9.001.WZS0001.location: the unit `U78C9.001.WZS0001` is already used at line 40",
        ),
    ]);
}

#[test]
fn partitions() {
    check(&[
        (
            "partitions_from = [\"vios\"]",
            "partitions_from = [\"four-vios\"]",
            "36: managed_system.frame-1.partitions_from: there is no partition template `four-vios`",
        ),
        (
            "partitions_from = [\"vios\"]",
            "partitions_from = [\"vios\", \"vios\"]",
            "23: partition_template.vios.partition.vios1.name: the partition `vios1` is already used at line 23",
        ),
        (
            "environment = \"vioserver\"",
            "environment = \"vios\"",
            "25: partition_template.vios.partition.vios1.environment: `vios` is none of aixlinux, vioserver, os400",
        ),
        (
            "environment = \"vioserver\"",
            "environment = \"vioserver\"\noperating_system = \"aix\"",
            "26: partition_template.vios.partition.vios1.operating_system: this operating system runs in environment aixlinux, not vioserver",
        ),
        (
            "attributes = 'auto_start=1'",
            "id = 1",
            "57: managed_system.frame-1.partition.lpar1.id: the partition ID `1` is already used at line 24",
        ),
        (
            "attributes = 'auto_start=1'",
            "id = 0",
            "57: managed_system.frame-1.partition.lpar1.id: 0 is not between 1 and 65534",
        ),
        (
            "attributes = 'auto_start=1'",
            "attributes = 'max_mem=1'",
            "57: managed_system.frame-1.partition.lpar1.attributes: the profile gives the attribute max_mem already",
        ),
        (
            "attributes = 'auto_start=1'",
            "attributes = 'auto_start'",
            "57: managed_system.frame-1.partition.lpar1.attributes: `auto_start` is not of the form name=value",
        ),
        (
            "attributes = 'auto_start=1'",
            "start = 1",
            "57: managed_system.frame-1.partition.lpar1.start: expected a boolean, found an integer",
        ),
        (
            "attributes = 'auto_start=1'",
            "ip_address = \"10.20.0.300\"",
            "57: managed_system.frame-1.partition.lpar1.ip_address: `10.20.0.300` is not a valid IPv4 host address",
        ),
        (
            "attributes = 'auto_start=1'",
            "ip_address = \"10.30.0.10\"",
            "86: outside_host.nim.ip_address: the IP address `10.30.0.10` is already used at line 57",
        ),
        (
            "attributes = 'auto_start=1'",
            "profile_name = \"a,b\"",
            "57: managed_system.frame-1.partition.lpar1.profile_name: `a,b` is not a valid profile name",
        ),
        (
            "profile = 'all_resources=1'",
            "",
            "58: managed_system.frame-1.generate_partitions.p{n}.profile: this key is missing",
        ),
        (
            "profile = 'all_resources=1'",
            "profile = 'all_resources=1,name=x'",
            "61: managed_system.frame-1.generate_partitions.p{n}.profile: the attribute name is given by the key `name`",
        ),
        (
            "profile = 'all_resources=1'",
            "profile = 'all_resources=1,all_resources=1'",
            "61: managed_system.frame-1.generate_partitions.p{n}.profile: the attribute all_resources is given twice",
        ),
        (
            "profile = 'all_resources=1'",
            "profile = 'all_resources=1,\"io_slots=21010200'",
            "61: managed_system.frame-1.generate_partitions.p{n}.profile: a quotation mark is not closed in `io_slots=21010200`",
        ),
        (
            "profile = 'all_resources=1'",
            "profile = 'all_resources=1,io_slots=2101ffff/none/0'",
            "61: managed_system.frame-1.generate_partitions.p{n}.profile: there is no DRC index `2101ffff`",
        ),
        (
            "profile = 'all_resources=1'",
            "profile = 'all_resources=1'\nid = 5",
            "62: managed_system.frame-1.generate_partitions.p{n}.id: generated partitions take the lowest free IDs",
        ),
        (
            "profile = 'all_resources=1'",
            "profile = 'all_resources=1'\nfirst = 2000000",
            "62: managed_system.frame-1.generate_partitions.p{n}.first: 2000000 is not between 0 and 1000000",
        ),
        (
            "name = \"p{n}\"",
            "name = \"p\"",
            "60: managed_system.frame-1.generate_partitions.p.name: the name of generated partitions contains `{n}`",
        ),
        (
            "count = 3",
            "count = 200",
            "58: managed_system.frame-1.generate_partitions.p{n}: more than 160 partitions on a managed system",
        ),
        (
            "min_mem=256,desired_mem=1024",
            "min_mem=100,desired_mem=1024",
            "56: managed_system.frame-1.partition.lpar1.profile: 100 MB is not a multiple of the memory region size, 256 MB",
        ),
        (
            "min_mem=256,desired_mem=1024",
            "min_mem=1280,desired_mem=1024",
            "56: managed_system.frame-1.partition.lpar1.profile: min_mem is above desired_mem",
        ),
        (
            "min_mem=256,desired_mem=1024",
            "desired_mem=1024",
            "56: managed_system.frame-1.partition.lpar1.profile: the attribute min_mem is missing",
        ),
        (
            "min_mem=256,desired_mem=1024",
            "min_mem=lots,desired_mem=1024",
            "56: managed_system.frame-1.partition.lpar1.profile: min_mem: `lots` is not a whole number",
        ),
        (
            "min_mem=256,desired_mem=1024",
            "min_mem+=256,desired_mem=1024",
            "56: managed_system.frame-1.partition.lpar1.profile: the attribute min_mem is set with = here, not += or -=",
        ),
        (
            "desired_procs=2,max_procs=4",
            "desired_procs=5,max_procs=4",
            "56: managed_system.frame-1.partition.lpar1.profile: desired_procs is above max_procs",
        ),
        (
            "min_proc_units=0.05",
            "min_proc_units=0.04",
            "56: managed_system.frame-1.partition.lpar1.profile: min_proc_units: 0.04 is below 0.05 for each of 1 processors",
        ),
        (
            "min_proc_units=0.1",
            "min_proc_units=0.05",
            "72: managed_system.frame-2.partition.lpar1.profile: min_proc_units: 0.05 is below 0.1 for each of 1 processors",
        ),
        (
            "min_proc_units=0.05",
            "min_proc_units=x",
            "56: managed_system.frame-1.partition.lpar1.profile: min_proc_units: `x` is not a number of processing units",
        ),
        (
            "max_proc_units=4.0",
            "max_proc_units=4.1",
            "56: managed_system.frame-1.partition.lpar1.profile: max_proc_units: 4.1 is more than 4 processors hold",
        ),
        (
            "proc_mode=shared",
            "proc_mode=sharing",
            "56: managed_system.frame-1.partition.lpar1.profile: proc_mode: `sharing` is neither ded nor shared",
        ),
        (
            "max_virtual_slots=20",
            "max_virtual_slots=2",
            "56: managed_system.frame-1.partition.lpar1.profile: virtual slot 2 is not below max_virtual_slots",
        ),
        (
            "2/0/1//0/0/vdct/0a0000000001/all/none",
            "2/0/1//0/0/vdca/0a0000000001/all/none",
            "56: managed_system.frame-1.partition.lpar1.profile: there is no virtual switch `vdca`",
        ),
        (
            "2/0/1//0/0/vdct/0a0000000001/all/none",
            "2/0/1//0/0/vdct/98be94000001/all/none",
            "56: managed_system.frame-1.partition.lpar1.profile: the MAC address `98be94000001` is already used at line 45",
        ),
        (
            "2/0/1//0/0/vdct/0a0000000001/all/none",
            "2/0/1//0",
            "56: managed_system.frame-1.partition.lpar1.profile: virtual_eth_adapters: `2/0/1//0` is not a valid element: it has 5 parts separated by /",
        ),
        (
            "c050760000000010,c050760000000011",
            "c050760000000010,c050760000000010",
            "72: managed_system.frame-2.partition.lpar1.profile: virtual_fc_adapters: `3/client/1/vios1/3/c050760000000010,c050760000000010/0` is not a valid element: the two WWPNs of a pair are the same",
        ),
        (
            "c050760000000010,c050760000000011",
            "c05076000000001,c050760000000010",
            "72: managed_system.frame-2.partition.lpar1.profile: virtual_fc_adapters: `3/client/1/vios1/3/c05076000000001,c050760000000010/0` is not a valid element: `c05076000000001` is not a valid world-wide port name",
        ),
        (
            "max_procs=2,sharing_mode=keep_idle_procs",
            "max_procs=2,io_slots=none",
            "26: partition_template.vios.partition.vios1.profile: the profile gives io_slots, but slots name the partition as their owner",
        ),
    ]);
}

#[test]
fn storage_and_fabric() {
    check(&[
        (
            "pvid = \"00ced82ce999d6f3\"",
            "pvid = \"ced82ce999d6f3\"",
            "77: san_disk.data.pvid: `ced82ce999d6f3` is not a valid physical volume identifier",
        ),
        (
            "pvid = \"00ced82ce999d6f3\"",
            "managed_systems = [\"frame-3\"]",
            "77: san_disk.data.managed_systems: there is no managed system `frame-3`",
        ),
        (
            "pvid = \"00ced82ce999d6f3\"",
            "udid = \"short\"",
            "77: san_disk.data.udid: `short` is not a valid UDID",
        ),
        (
            "pvid = \"00ced82ce999d6f3\"",
            "lun = \"2000000000000\"",
            "79: san_disk.free{n}: the logical unit number `2000000000000` is already used at line 77",
        ),
        (
            "count = 2\nsize = 1000",
            "count = 2\nsize = 0",
            "82: san_disk.free{n}.size: 0 is not between 1 and 67108864",
        ),
        (
            "count = 2\nsize = 1000",
            "size = 1000",
            "80: san_disk.free{n}.name: `count` and a name with `{n}` go together",
        ),
        (
            "count = 2\nsize = 1000",
            "count = 2\nsize = 1000\npvid = \"00ced82ce999d6f4\"",
            "83: san_disk.free{n}.pvid: this key is for one disk, not for a `count` of them",
        ),
        (
            "name = \"data\"",
            "name = \"free1\"",
            "80: san_disk.free{n}.name: the SAN disk `free1` is already used at line 75",
        ),
        (
            "partition = \"vios1\", name = \"hdisk9\"",
            "partition = \"vios7\", name = \"hdisk9\"",
            "78: san_disk.data.device_names.vios7.partition: there is no partition `vios7`",
        ),
        (
            "partition = \"vios1\", name = \"hdisk9\"",
            "partition = \"vios1\", name = \"9disk\"",
            "78: san_disk.data.device_names.vios1.name: `9disk` is not a valid device name",
        ),
        (
            "location = \"U78C9.001.WZS0001-P2-D1\"",
            "location = \"U78C9.001.WZS0002-P2-D1\"",
            "50: managed_system.frame-1.local_disk.U78C9.001.WZS0002-P2-D1.location: there is no unit `U78C9.001.WZS0002`",
        ),
        (
            "adapter_port = \"U78C9.001.WZS0001-P1-C6-T1\"",
            "adapter_port = \"U78C9.001.WZS0001-P1-C6-T9\"",
            "91: switch.switch-a.port.1.adapter_port: there is no adapter port `U78C9.001.WZS0001-P1-C6-T9`",
        ),
        (
            "adapter_port = \"U78C9.001.WZS0001-P1-C6-T1\"",
            "switch_port = \"switch-a\"",
            "91: switch.switch-a.port.1.switch_port: `switch-a` is not a valid switch port (`switch:port`)",
        ),
        (
            "adapter_port = \"U78C9.001.WZS0001-P1-C6-T1\"",
            "switch_port = \"switch-a:2\"",
            "95: switch.switch-a.port.2.outside_host: the cable end `switch-a:2` is already used at line 91",
        ),
        (
            "outside_host = \"nim\"",
            "outside_host = \"nem\"",
            "95: switch.switch-a.port.2.outside_host: there is no outside host `nem`",
        ),
        (
            "outside_host = \"nim\"",
            "adapter_port = \"U78C9.001.WZS0001-P1-C6-T1\"",
            "95: switch.switch-a.port.2.adapter_port: the cable end `U78C9.001.WZS0001-P1-C6-T1` is already used at line 91",
        ),
        (
            "outside_host = \"nim\"",
            "outside_host = \"nim\"\nadapter_port = \"U78C9.001.WZS0001-P1-C6-T2\"",
            "95: switch.switch-a.port.2.outside_host: a port has one cable",
        ),
        (
            "name = \"2\"\n",
            "name = \"1\"\n",
            "94: switch.switch-a.port.1.name: the switch port `switch-a:1` is already used at line 90",
        ),
        (
            "tagged_vlans = [5, 6]",
            "tagged_vlans = [5, 5]",
            "92: switch.switch-a.port.1.tagged_vlans: VLAN 5 is given twice",
        ),
        (
            "tagged_vlans = [5, 6]",
            "tagged_vlans = [5, 4095]",
            "92: switch.switch-a.port.1.tagged_vlans: 4095 is not between 1 and 4094",
        ),
        (
            "tagged_vlans = [5, 6]",
            "tagged_vlans = 5",
            "92: switch.switch-a.port.1.tagged_vlans: expected an array, found an integer",
        ),
        (
            "tagged_vlans = [5, 6]",
            "native_vlan = 0",
            "92: switch.switch-a.port.1.native_vlan: 0 is not between 1 and 4094",
        ),
        (
            "tagged_vlans = [5, 6]",
            "blocked_ports = [0]",
            "92: switch.switch-a.port.1.blocked_ports: 0 is not between 1 and 65535",
        ),
        (
            "tagged_vlans = [5, 6]",
            "console = \"nobody\"",
            "92: switch.switch-a.port.1.console: a port has one cable",
        ),
        (
            "outside_host = \"nim\"",
            "console = \"nobody\"",
            "95: switch.switch-a.port.2.console: there is no console `nobody`",
        ),
        (
            "outside_host = \"nim\"",
            "tap = \"a/b\"",
            "95: switch.switch-a.port.2.tap: `a/b` is not a valid name of a TAP device",
        ),
        (
            "ip_address = \"10.30.0.10\"",
            "ip_address = \"10.30.0.10\"\nprefix_length = 31",
            "87: outside_host.nim.prefix_length: 31 is not between 1 and 30",
        ),
        (
            "ip_address = \"10.30.0.10\"",
            "ip_address = \"10.30.0.10\"\nvlan_address = [{ vlan = 5, ip_address = \"10.30.0.10\" }]",
            "87: outside_host.nim.vlan_address[1].ip_address: the IP address `10.30.0.10` is already used at line 86",
        ),
        (
            "ip_address = \"10.30.0.10\"",
            "ip_address = \"0.0.0.0\"",
            "86: outside_host.nim.ip_address: `0.0.0.0` is not a valid IPv4 host address",
        ),
    ]);
}

#[test]
fn too_large() {
    let text = format!("{BASE}\n# {}", "x".repeat(super::super::SITE_FILE_BYTES_MAX));
    let error = Site::parse(&text, "x.toml").expect_err("too large");
    assert!(matches!(error.problem, SiteProblem::TooMuch { what: "bytes", .. }));
    assert_eq!(error.to_string(), "x.toml:1: more than 4194304 bytes");
}

#[test]
fn partitions_on_qemu() {
    let name = "name = \"lpar1\"\nprofile = 'min_mem=256";
    let with = |keys: &str| format!("name = \"lpar1\"\n{keys}\nprofile = 'min_mem=256");
    for (keys, expected) in [
        ("engine = \"qemu\"", "no error"),
        ("engine = \"embedded\"", "no error"),
        ("engine = \"qemu\"\nkernel = \"/boot/vmlinux\"\nkernel_arguments = \"quiet\"", "no error"),
        (
            "engine = \"xen\"",
            "sites/x.toml:56: managed_system.frame-1.partition.lpar1.engine: `xen` is none of embedded, qemu",
        ),
        (
            "kernel = \"/boot/vmlinux\"",
            "sites/x.toml:56: managed_system.frame-1.partition.lpar1.kernel: only a partition with `engine = \"qemu\"` boots a kernel of the host",
        ),
        (
            "engine = \"qemu\"\ninitial_ramdisk = \"/boot/initrd\"",
            "sites/x.toml:57: managed_system.frame-1.partition.lpar1.initial_ramdisk: this is of no use without a kernel",
        ),
        (
            "engine = \"qemu\"\noperating_system = \"aix\"",
            "sites/x.toml:57: managed_system.frame-1.partition.lpar1.operating_system: a partition on QEMU runs Linux",
        ),
        (
            "environment = \"os400\"\nengine = \"qemu\"",
            "sites/x.toml:54: managed_system.frame-1.partition.lpar1: a partition on QEMU runs Linux",
        ),
    ] {
        assert_eq!(answer(name, &with(keys)), expected, "{keys}");
    }
    let region = BASE.replacen(name, &with("engine = \"qemu\""), 1);
    let region = region.replacen(
        "name = \"frame-1\"\naliases",
        "name = \"frame-1\"\nmemory_region_size = 128\naliases",
        1,
    );
    let error = Site::parse(&region, "sites/x.toml").expect_err("refused").to_string();
    assert!(
        error.ends_with("lpar1.engine: partitions on QEMU need a memory region size of 256 MB"),
        "{error}"
    );
}
