//! Reads managed systems.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::checks::{Checks, NameSpace};
use super::error::{SiteError, SiteProblem};
use super::fabric::VLAN_ID_MAX;
use super::identifiers::Ipv4Network;
use super::io::{SlotCounter, UNITS_MAX, Unit, UnitContext, read_unit};
use super::partition::{
    PARTITIONS_MAX, PartitionContext, ReadPartition, SiteTotals, check_name, read_partitions,
};
use super::profile::ProfileRules;
use super::reader::{Located, Place, TableReader};
use super::storage::{LocalDisk, read_local_disk};
use super::system::{
    CAPABILITIES, DEFAULT_VIRTUAL_SWITCH, Licence, ManagedSystemDescription, ManagementNetwork, PowerOnSide,
    PowerVmEdition, VirtualSwitchDescription, VirtualSwitchMode,
};
use crate::hardware::{FirmwareLevel, ProcessorFamily};
use crate::ids::{MacAddress, MachineIdentity};
use crate::rules::virtual_io::VIRTUAL_SWITCHES_MAX;
use crate::system::{StartPolicy, SystemState};
use crate::units::ProcessingUnits;

/// Most processors of a managed system: the largest POWER8 and POWER10 machines have fewer.
const PROCESSORS_MAX: u32 = 256;
/// Most memory of a managed system in MB: 64 TB, the largest POWER10 machine.
const MEMORY_MAX: u32 = 64 * 1024 * 1024;
/// Most partitions that firmware supports; POWER6 machines stop at 254.
const FIRMWARE_PARTITIONS_MAX: u32 = 1_000;
const LICENCES: [(&str, Licence); 4] = [
    ("simplified_remote_restart", Licence::SimplifiedRemoteRestart),
    ("active_memory_expansion", Licence::ActiveMemoryExpansion),
    ("active_memory_mirroring", Licence::ActiveMemoryMirroring),
    ("dynamic_platform_optimization", Licence::DynamicPlatformOptimization),
];

/// What all managed systems of the file share while they are read.
pub(super) struct SystemContext<'a, 'f> {
    pub(super) unit_templates: &'a BTreeMap<String, Vec<TableReader<'f>>>,
    pub(super) partition_templates: &'a BTreeMap<String, Vec<TableReader<'f>>>,
    pub(super) management_network: Ipv4Network,
}

pub(super) fn read_system(
    mut table: TableReader<'_>,
    context: &SystemContext<'_, '_>,
    totals: &mut SiteTotals,
    checks: &mut Checks<'_>,
) -> Result<ManagedSystemDescription, SiteError> {
    let (name, aliases, identity) = read_names(&mut table, checks)?;
    let template_names = read_template_names(&mut table, checks)?;
    let machine = read_machine(&mut table, &identity, checks)?;
    let (firmware_level, permanent_firmware_level) = read_firmware(&mut table, checks)?;
    let virtual_switches = read_virtual_switches(&mut table, &name, checks)?;
    let management = read_management(&mut table, &name, context.management_network, checks)?;
    let (powervm_edition, licences) = read_licences(&mut table, checks)?;
    let units = read_units(&mut table, &name, &template_names, context, checks)?;
    let rules =
        ProfileRules { memory_region_size: machine.memory_region_size, minimum_units: machine.minimum_units };
    let partition_context = PartitionContext {
        system: &name,
        rules: &rules,
        maximum_partitions: machine.maximum_partitions,
        templates: context.partition_templates,
        template_names: &template_names,
    };
    let partitions = read_partitions(&mut table, &partition_context, totals, checks)?;
    check_slot_owners(&units, &partitions, checks)?;
    let system = ManagedSystemDescription {
        description: table.string_or("description", "")?,
        service_pack_name: read_service_pack(&mut table, &firmware_level)?,
        capabilities: read_capabilities(&mut table, checks)?,
        power_off_policy: table.integer_or("power_off_policy", (0, 1), 0)? == 1,
        partition_start_policy: read_start_policy(&mut table)?,
        power_on_side: read_side(&mut table)?,
        initial_state: read_state(&mut table)?,
        mac_address_prefix: read_prefix(&mut table, checks)?,
        partitions: partitions.into_iter().map(|read| read.partition).collect(),
        name,
        aliases,
        identity,
        processor_family: machine.family,
        installed_processors: machine.processors.0,
        configurable_processors: machine.processors.1,
        installed_memory: machine.memory.0,
        configurable_memory: machine.memory.1,
        memory_region_size: machine.memory_region_size,
        firmware_level,
        permanent_firmware_level,
        minimum_units_per_processor: machine.minimum_units,
        maximum_partitions: machine.maximum_partitions,
        powervm_edition,
        licences,
        units,
        local_disks: read_local_disks(&mut table, checks)?,
        virtual_switches,
        management,
        service_processor_address: read_service_processor(&mut table, checks)?,
        access_password_set: table.boolean_or("access_password_set", true)?,
    };
    table.finish()?;
    Ok(system)
}

/// Processors, memory and what follows from them.
struct Machine {
    family: ProcessorFamily,
    /// Installed and configurable cores.
    processors: (u32, u32),
    /// Installed and configurable MB.
    memory: (u64, u64),
    memory_region_size: u64,
    minimum_units: ProcessingUnits,
    maximum_partitions: u32,
}

fn read_machine(
    table: &mut TableReader<'_>,
    identity: &MachineIdentity,
    checks: &Checks<'_>,
) -> Result<Machine, SiteError> {
    let family = table.required_parsed::<ProcessorFamily>("processor_family")?.value;
    let keys = ("installed_processors", "configurable_processors");
    let processors = read_amounts(table, keys, PROCESSORS_MAX, checks)?;
    let memory_region_size = read_region_size(table, checks)?;
    let memory = read_memory(table, memory_region_size, checks)?;
    let minimum_units = read_minimum_units(table, family, identity, checks)?;
    let maximum_partitions = read_maximum(table, family, processors.0, minimum_units)?;
    Ok(Machine { family, processors, memory, memory_region_size, minimum_units, maximum_partitions })
}

fn read_local_disks(
    table: &mut TableReader<'_>,
    checks: &mut Checks<'_>,
) -> Result<Vec<LocalDisk>, SiteError> {
    let tables = table.tables("local_disk", "location")?;
    tables.into_iter().map(|disk| read_local_disk(disk, checks)).collect()
}

fn read_names(
    table: &mut TableReader<'_>,
    checks: &mut Checks<'_>,
) -> Result<(String, Vec<String>, MachineIdentity), SiteError> {
    let name = table.required_string("name")?;
    check_system_name(&name, checks)?;
    checks.claim(NameSpace::ManagedSystem, "", &name.value, &name.place)?;
    checks.claim(NameSpace::ManagedSystemName, "", &name.value, &name.place)?;
    let aliases = table.strings("aliases")?.unwrap_or_default();
    for alias in &aliases {
        check_system_name(alias, checks)?;
        checks.claim(NameSpace::ManagedSystem, "", &alias.value, &alias.place)?;
    }
    let identity = table.required_parsed::<MachineIdentity>("type_model_serial")?;
    let text = identity.value.to_string();
    if text != name.value {
        checks.claim(NameSpace::ManagedSystem, "", &text, &identity.place)?;
    }
    checks.claim(NameSpace::SerialNumber, "", &identity.value.serial_number, &identity.place)?;
    Ok((name.value, aliases.into_iter().map(|alias| alias.value).collect(), identity.value))
}

/// A name as partitions have, but `*` may stand in it: type-model*serial is the name of a system that was
/// never named.
fn check_system_name(name: &Located<String>, checks: &Checks<'_>) -> Result<(), SiteError> {
    let plain = Located { value: name.value.replacen('*', "-", 1), place: name.place.clone() };
    let problem = SiteProblem::Malformed { kind: "managed system name", text: name.value.clone() };
    check_name(&plain, "managed system name", checks).map_err(|_| checks.error(&name.place, problem))
}

fn read_template_names(
    table: &mut TableReader<'_>,
    checks: &Checks<'_>,
) -> Result<BTreeMap<String, String>, SiteError> {
    let mut names = BTreeMap::new();
    let Some(mut table) = table.table("template_names")? else { return Ok(names) };
    for key in table.remaining_keys() {
        let name = table.required_string(&key)?;
        check_name(&name, "partition name", checks)?;
        names.insert(key, name.value);
    }
    Ok(names)
}

fn read_amounts(
    table: &mut TableReader<'_>,
    (installed_key, configurable_key): (&str, &str),
    maximum: u32,
    checks: &Checks<'_>,
) -> Result<(u32, u32), SiteError> {
    let installed = table.required_integer(installed_key, 1, maximum)?.value;
    let Some(configurable) = table.integer(configurable_key, 1, maximum)? else {
        return Ok((installed, installed));
    };
    if configurable.value > installed {
        let problem = SiteProblem::Conflict(format!("{} is above {installed_key}", configurable.value));
        return Err(checks.error(&configurable.place, problem));
    }
    Ok((installed, configurable.value))
}

fn read_region_size(table: &mut TableReader<'_>, checks: &Checks<'_>) -> Result<u64, SiteError> {
    let Some(size) = table.integer("memory_region_size", 16, 1_024)? else { return Ok(256) };
    if !size.value.is_power_of_two() {
        let problem = SiteProblem::Conflict(format!("{} is not a power of two", size.value));
        return Err(checks.error(&size.place, problem));
    }
    Ok(u64::from(size.value))
}

fn read_memory(
    table: &mut TableReader<'_>,
    region: u64,
    checks: &Checks<'_>,
) -> Result<(u64, u64), SiteError> {
    let mut sizes = Vec::with_capacity(2);
    for key in ["installed_memory", "configurable_memory"] {
        let size = table.integer(key, 1, MEMORY_MAX)?;
        if let Some(size) = &size
            && !u64::from(size.value).is_multiple_of(region)
        {
            let value = u64::from(size.value);
            return Err(checks.error(&size.place, SiteProblem::NotWholeRegions { value, region }));
        }
        sizes.push(size);
    }
    let (configurable, installed) = (sizes.pop().flatten(), sizes.pop().flatten());
    let installed =
        installed.ok_or_else(|| table.error_of_key("installed_memory", SiteProblem::MissingKey))?;
    match configurable {
        Some(configurable) if configurable.value > installed.value => {
            let problem = format!("{} is above installed_memory", configurable.value);
            Err(checks.error(&configurable.place, SiteProblem::Conflict(problem)))
        }
        Some(configurable) => Ok((u64::from(installed.value), u64::from(configurable.value))),
        None => Ok((u64::from(installed.value), u64::from(installed.value))),
    }
}

fn read_minimum_units(
    table: &mut TableReader<'_>,
    family: ProcessorFamily,
    identity: &MachineIdentity,
    checks: &Checks<'_>,
) -> Result<ProcessingUnits, SiteError> {
    let Some(units) = table.float("minimum_processing_units")? else {
        // The two models are POWER7+ machines of which files often say POWER7.
        let fine = family >= ProcessorFamily::Power7Plus
            || matches!(identity.type_model.as_str(), "8202-E4D" | "9117-MMD");
        return Ok(ProcessingUnits(if fine { 5 } else { 10 }));
    };
    match (units.value * 100.0).round() {
        5.0 => Ok(ProcessingUnits(5)),
        10.0 => Ok(ProcessingUnits(10)),
        _ => {
            let problem =
                SiteProblem::NotAChoice { text: units.value.to_string(), choices: "0.05, 0.1".to_owned() };
            Err(checks.error(&units.place, problem))
        }
    }
}

fn read_maximum(
    table: &mut TableReader<'_>,
    family: ProcessorFamily,
    processors: u32,
    minimum: ProcessingUnits,
) -> Result<u32, SiteError> {
    let supported = if family < ProcessorFamily::Power7 { 254 } else { FIRMWARE_PARTITIONS_MAX };
    let default = (processors * 100 / minimum.0.max(1)).min(supported);
    table.integer_or("maximum_partitions", (1, PARTITIONS_MAX), default)
}

fn read_firmware(
    table: &mut TableReader<'_>,
    checks: &Checks<'_>,
) -> Result<(FirmwareLevel, FirmwareLevel), SiteError> {
    let level = read_level(table, "firmware_level", checks)?;
    let level = level.ok_or_else(|| table.error_of_key("firmware_level", SiteProblem::MissingKey))?;
    let permanent = read_level(table, "permanent_firmware_level", checks)?;
    let permanent = permanent.unwrap_or_else(|| level.clone());
    Ok((level, permanent))
}

fn read_level(
    table: &mut TableReader<'_>,
    key: &str,
    checks: &Checks<'_>,
) -> Result<Option<FirmwareLevel>, SiteError> {
    let Some(text) = table.string(key)? else { return Ok(None) };
    // The level's own reader counts bytes.
    let level = if text.value.is_ascii() { text.value.parse().ok() } else { None };
    let problem = SiteProblem::Malformed { kind: "firmware level", text: text.value };
    level.map(Some).ok_or_else(|| checks.error(&text.place, problem))
}

fn read_service_pack(table: &mut TableReader<'_>, level: &FirmwareLevel) -> Result<String, SiteError> {
    table.string_or("service_pack_name", &format!("FW{}.00", level.release()))
}

fn read_virtual_switches(
    table: &mut TableReader<'_>,
    system: &str,
    checks: &mut Checks<'_>,
) -> Result<Vec<VirtualSwitchDescription>, SiteError> {
    let tables = table.tables("virtual_switch", "name")?;
    if tables.len() > VIRTUAL_SWITCHES_MAX {
        let problem = SiteProblem::TooMuch { what: "virtual switches", limit: VIRTUAL_SWITCHES_MAX };
        return Err(table.error_of_key("virtual_switch", problem));
    }
    let modes = [("VEB", VirtualSwitchMode::Veb), ("VEPA", VirtualSwitchMode::Vepa)];
    let mut switches = Vec::new();
    for mut switch in tables {
        let name = switch.required_string("name")?;
        check_name(&name, "virtual switch name", checks)?;
        checks.claim(NameSpace::VirtualSwitch, system, &name.value, &name.place)?;
        let mode = switch.choice("mode", &modes)?.map_or(VirtualSwitchMode::Veb, |mode| mode.value);
        switch.finish()?;
        switches.push(VirtualSwitchDescription { name: name.value, mode });
    }
    match switches.iter().position(|switch| switch.name == DEFAULT_VIRTUAL_SWITCH) {
        Some(index) => switches[..=index].rotate_right(1),
        None => {
            checks.claim(NameSpace::VirtualSwitch, system, DEFAULT_VIRTUAL_SWITCH, table.place())?;
            let name = DEFAULT_VIRTUAL_SWITCH.to_owned();
            switches.insert(0, VirtualSwitchDescription { name, mode: VirtualSwitchMode::Veb });
        }
    }
    Ok(switches)
}

/// Reads `service_processor_address`, unique in the site.
fn read_service_processor(
    table: &mut TableReader<'_>,
    checks: &mut Checks<'_>,
) -> Result<Option<Ipv4Addr>, SiteError> {
    let Some(text) = table.string("service_processor_address")? else { return Ok(None) };
    let Ok(address) = text.value.parse::<Ipv4Addr>() else {
        let problem = SiteProblem::Malformed { kind: "IPv4 address", text: text.value };
        return Err(checks.error(&text.place, problem));
    };
    checks.claim(NameSpace::IpAddress, "service processor", &address.to_string(), &text.place)?;
    Ok(Some(address))
}

fn read_management(
    table: &mut TableReader<'_>,
    system: &str,
    default_network: Ipv4Network,
    checks: &mut Checks<'_>,
) -> Result<ManagementNetwork, SiteError> {
    let vlan = table.integer_or("management_vlan", (1, VLAN_ID_MAX), 1)?;
    let virtual_switch = match table.string("management_virtual_switch")? {
        None => DEFAULT_VIRTUAL_SWITCH.to_owned(),
        Some(name) => {
            checks.refer(NameSpace::VirtualSwitch, system, &name.value, &name.place);
            name.value
        }
    };
    let network = table.parsed("management_network")?.map_or(default_network, |network| network.value);
    // The range above fits 16 bits.
    Ok(ManagementNetwork { virtual_switch, vlan: vlan as u16, network })
}

fn read_licences(
    table: &mut TableReader<'_>,
    checks: &Checks<'_>,
) -> Result<(PowerVmEdition, Vec<Licence>), SiteError> {
    let editions = [
        ("none", PowerVmEdition::None),
        ("standard", PowerVmEdition::Standard),
        ("enterprise", PowerVmEdition::Enterprise),
    ];
    let edition = table.choice("powervm_edition", &editions)?;
    let edition = edition.map_or(PowerVmEdition::Enterprise, |edition| edition.value);
    let Some(words) = table.strings("licences")? else {
        let all = LICENCES.iter().map(|(_, licence)| *licence);
        return Ok((edition, all.filter(|_| edition == PowerVmEdition::Enterprise).collect()));
    };
    let mut licences = Vec::new();
    for word in words {
        let Some((_, licence)) = LICENCES.iter().find(|(name, _)| *name == word.value) else {
            let choices = LICENCES.map(|(name, _)| name).join(", ");
            return Err(checks.error(&word.place, SiteProblem::NotAChoice { text: word.value, choices }));
        };
        if licences.contains(licence) {
            let problem = SiteProblem::Conflict(format!("the licence {} is given twice", word.value));
            return Err(checks.error(&word.place, problem));
        }
        licences.push(*licence);
    }
    licences.sort_unstable();
    Ok((edition, licences))
}

fn read_units(
    table: &mut TableReader<'_>,
    system: &str,
    template_names: &BTreeMap<String, String>,
    context: &SystemContext<'_, '_>,
    checks: &mut Checks<'_>,
) -> Result<Vec<Unit>, SiteError> {
    let tables = table.tables("unit", "location")?;
    if tables.len() > UNITS_MAX {
        let problem = SiteProblem::TooMuch { what: "units", limit: UNITS_MAX };
        return Err(table.error_of_key("unit", problem));
    }
    let context = UnitContext { system, templates: context.unit_templates, template_names };
    let mut counter = SlotCounter::new();
    let mut units = Vec::new();
    for unit in tables {
        units.push(read_unit(unit, &context, &mut counter, checks)?);
    }
    Ok(units)
}

/// A partition gets its slots from their owners or from its profile, not from both.
fn check_slot_owners(
    units: &[Unit],
    partitions: &[ReadPartition],
    checks: &Checks<'_>,
) -> Result<(), SiteError> {
    let owners: Vec<&str> =
        units.iter().flat_map(|unit| &unit.slots).filter_map(|slot| slot.owner.as_deref()).collect();
    for read in partitions.iter().filter(|read| read.names_slots) {
        if owners.contains(&read.partition.name.as_str()) {
            let problem = "the profile gives io_slots, but slots name the partition as their owner";
            return Err(checks.error(&read.profile_place, SiteProblem::Conflict(problem.to_owned())));
        }
    }
    Ok(())
}

fn read_capabilities(
    table: &mut TableReader<'_>,
    checks: &Checks<'_>,
) -> Result<BTreeMap<String, bool>, SiteError> {
    let mut capabilities = BTreeMap::new();
    let Some(mut table) = table.table("capabilities")? else { return Ok(capabilities) };
    for key in table.remaining_keys() {
        if !CAPABILITIES.contains(&key.as_str()) {
            // Nobody takes the key, so the end of the table reports it with its line.
            continue;
        }
        let value = table.required_integer(&key, 0, 1)?;
        capabilities.insert(key, value.value == 1);
    }
    table.finish().map_err(|error| {
        let place = Place { line: error.line, key: error.key };
        let flag = place.key.rsplit('.').next().unwrap_or_default().to_owned();
        checks.error(&place, SiteProblem::Malformed { kind: "capability of a managed system", text: flag })
    })?;
    Ok(capabilities)
}

fn read_start_policy(table: &mut TableReader<'_>) -> Result<StartPolicy, SiteError> {
    let policies: Vec<(&str, StartPolicy)> =
        StartPolicy::ALL.iter().map(|policy| (policy.word(), *policy)).collect();
    let policy = table.choice("power_on_lpar_start_policy", &policies)?;
    Ok(policy.map_or(StartPolicy::AutoStart, |policy| policy.value))
}

fn read_side(table: &mut TableReader<'_>) -> Result<PowerOnSide, SiteError> {
    let sides = [("temp", PowerOnSide::Temporary), ("perm", PowerOnSide::Permanent)];
    Ok(table.choice("power_on_side", &sides)?.map_or(PowerOnSide::Temporary, |side| side.value))
}

fn read_state(table: &mut TableReader<'_>) -> Result<SystemState, SiteError> {
    // The other states pass, or come from faults.
    let states = [SystemState::Operating, SystemState::Standby, SystemState::PowerOff, SystemState::Error]
        .map(|state| (state.word(), state));
    Ok(table.choice("initial_state", &states)?.map_or(SystemState::Operating, |state| state.value))
}

/// Reads eight hexadecimal digits. They start an address that is one station's and locally administered.
fn read_prefix(table: &mut TableReader<'_>, checks: &Checks<'_>) -> Result<Option<u32>, SiteError> {
    let Some(prefix) = table.string("mac_address_prefix")? else { return Ok(None) };
    let address = format!("{}0000", prefix.value).parse::<MacAddress>();
    match address {
        Ok(MacAddress(bits)) if bits >> 40 & 0b11 == 0b10 => Ok(Some((bits >> 16) as u32)),
        _ => {
            let problem =
                SiteProblem::Malformed { kind: "locally administered MAC prefix", text: prefix.value };
            Err(checks.error(&prefix.place, problem))
        }
    }
}
