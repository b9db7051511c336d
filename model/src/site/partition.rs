//! Partitions that a new data directory starts with.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

use super::checks::{Checks, NameSpace};
use super::console::{check_host_name, read_listen_address};
use super::error::{SiteError, SiteProblem};
use super::fabric::read_ip_address;
use super::identifiers::{Ipv4Network, LocationCode};
use super::profile::{ProfileRules, check_attributes, check_profile};
use super::reader::{Located, Place, TableReader};
use crate::configuration::PartitionEnvironment;
use crate::ids::{PartitionId, VirtualSlot};
use crate::partition::{GuestEngine, GuestInstallation, KernelBoot};

/// Most partitions of one managed system, the Virtual I/O Servers included. Real frames stop at 1,000
/// client partitions; this leaves room above for measurements.
pub const PARTITIONS_MAX: u32 = 4_096;
/// Most partitions of a site.
pub const SITE_PARTITIONS_MAX: usize = 50_000;
/// Most bytes of attribute records of a site after generation, so that a small file cannot fill memory.
pub const SITE_RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest partition and profile name, as on the console.
const NAME_LENGTH_MAX: usize = 31;

/// The operating system on a partition's boot disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OperatingSystem {
    /// AIX; the level is what `oslevel -s` prints.
    Aix,
    /// Linux; the level is free text.
    Linux,
    /// Virtual I/O Server; the level is what `ioslevel` prints.
    VirtualIoServer,
    /// IBM i; the level is version, release and modification.
    IbmI,
}

impl OperatingSystem {
    /// The word of the site file: `aix`, `linux`, `vios` or `ibmi`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Aix => "aix",
            Self::Linux => "linux",
            Self::VirtualIoServer => "vios",
            Self::IbmI => "ibmi",
        }
    }

    fn environment(self) -> PartitionEnvironment {
        match self {
            Self::Aix | Self::Linux => PartitionEnvironment::AixLinux,
            Self::VirtualIoServer => PartitionEnvironment::VirtualIoServer,
            Self::IbmI => PartitionEnvironment::IbmI,
        }
    }

    fn default_level(self) -> &'static str {
        match self {
            Self::Aix => "7200-01-01-1642",
            Self::Linux => "7.3",
            Self::VirtualIoServer => "2.2.5.10",
            Self::IbmI => "V7R3M0",
        }
    }
}

/// A partition as a new data directory gets it. Later starts ignore it: the managed system's own record
/// holds from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialPartition {
    /// Name, unique in the managed system.
    pub name: String,
    /// Partition ID; the lowest free one where the file gives none.
    pub id: PartitionId,
    /// Environment.
    pub environment: PartitionEnvironment,
    /// Operating system on the boot disk.
    pub operating_system: OperatingSystem,
    /// Level of the operating system.
    pub operating_system_level: String,
    /// Name of the default profile.
    pub profile_name: String,
    /// The profile as an attribute record in the form of `mksyscfg -i`, without the attributes that the
    /// other fields hold.
    pub profile: String,
    /// Further attributes of the partition in the same form (`msp=1,...`); may be empty.
    pub attributes: String,
    /// Running after the first start of the site.
    pub start: bool,
    /// Host name inside the operating system.
    pub hostname: String,
    /// Fixed address on the management network; `None` for one that the network gives.
    pub ip_address: Option<Ipv4Addr>,
    /// A loopback address and port on which the partition's operating system takes SSH logins.
    pub listen_address: Option<SocketAddrV4>,
    /// Engine that runs it. Paths are as the file gives them.
    pub engine: GuestEngine,
    /// Shared Ethernet Adapters that a Virtual I/O Server is installed with; `None` for the usual one: the first Ethernet
    /// port and the trunk adapters of the management switch.
    pub bridges: Option<Vec<InitialBridge>>,
}

/// A Shared Ethernet Adapter that a Virtual I/O Server is installed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialBridge {
    /// Location code of the Ethernet port.
    pub real: String,
    /// Virtual slots of the trunk adapters; the first one takes untagged frames.
    pub trunks: Vec<VirtualSlot>,
    /// Virtual slot of the control channel adapter.
    pub control_channel: Option<VirtualSlot>,
    /// Attributes with the values that `mkvdev -attr` takes.
    pub attributes: Vec<(String, String)>,
}

impl InitialPartition {
    /// What the partition's boot disk is installed with. A fixed address gets the prefix length of the
    /// management network.
    #[must_use]
    pub fn installation(&self, network: Ipv4Network) -> GuestInstallation {
        GuestInstallation {
            personality: self.operating_system.word().to_owned(),
            level: self.operating_system_level.clone(),
            hostname: self.hostname.clone(),
            address: self.ip_address.map(|address| (address, network.prefix_length)),
            engine: self.engine.clone(),
        }
    }
}

/// A partition while its managed system is read, with the place of its profile.
pub(super) struct ReadPartition {
    pub(super) partition: InitialPartition,
    pub(super) profile_place: Place,
    /// True where the profile itself says which physical slots the partition has.
    pub(super) names_slots: bool,
}

/// What has been generated in the whole site so far.
#[derive(Default)]
pub(super) struct SiteTotals {
    partitions: usize,
    record_bytes: usize,
}

/// What partitions of one managed system share while they are read.
pub(super) struct PartitionContext<'a, 'f> {
    pub(super) system: &'a str,
    pub(super) rules: &'a ProfileRules,
    pub(super) maximum_partitions: u32,
    pub(super) templates: &'a BTreeMap<String, Vec<TableReader<'f>>>,
    pub(super) template_names: &'a BTreeMap<String, String>,
}

/// Takes all partition keys of a managed system: templates first, then its own, then generated ones.
pub(super) fn read_partitions(
    table: &mut TableReader<'_>,
    context: &PartitionContext<'_, '_>,
    totals: &mut SiteTotals,
    checks: &mut Checks<'_>,
) -> Result<Vec<ReadPartition>, SiteError> {
    let mut partitions = Vec::new();
    for template in table.strings("partitions_from")?.unwrap_or_default() {
        let Some(tables) = context.templates.get(&template.value) else {
            return Err(checks.unknown(NameSpace::PartitionTemplate, &template.value, &template.place));
        };
        for partition in tables {
            let names = Some(context.template_names);
            push(partition.clone(), None, names, context, &mut partitions, (totals, checks))?;
        }
    }
    for partition in table.tables("partition", "name")? {
        push(partition, None, None, context, &mut partitions, (totals, checks))?;
    }
    for mut pattern in table.tables("generate_partitions", "name")? {
        let count = pattern.required_integer("count", 1, PARTITIONS_MAX)?.value;
        let first = pattern.integer_or("first", (0, 1_000_000), 1)?;
        for number in first..first + count {
            push(pattern.clone(), Some(number), None, context, &mut partitions, (totals, checks))?;
        }
    }
    assign_ids(&mut partitions, context.system, table.place(), checks)?;
    Ok(partitions)
}

fn push(
    table: TableReader<'_>,
    number: Option<u32>,
    names: Option<&BTreeMap<String, String>>,
    context: &PartitionContext<'_, '_>,
    partitions: &mut Vec<ReadPartition>,
    (totals, checks): (&mut SiteTotals, &mut Checks<'_>),
) -> Result<(), SiteError> {
    let place = table.place().clone();
    let too_much = |what, limit| checks.error(&place, SiteProblem::TooMuch { what, limit });
    if partitions.len() >= context.maximum_partitions as usize {
        return Err(too_much("partitions on a managed system", context.maximum_partitions as usize));
    }
    totals.partitions += 1;
    if totals.partitions > SITE_PARTITIONS_MAX {
        return Err(too_much("partitions in the site", SITE_PARTITIONS_MAX));
    }
    let read = read_partition(table, number, names, context, checks)?;
    totals.record_bytes += read.partition.profile.len() + read.partition.attributes.len();
    if totals.record_bytes > SITE_RECORD_BYTES_MAX {
        let problem = SiteProblem::TooMuch { what: "bytes of profiles", limit: SITE_RECORD_BYTES_MAX };
        return Err(checks.error(&place, problem));
    }
    partitions.push(read);
    Ok(())
}

/// Gives each partition without an ID the lowest one that is free.
fn assign_ids(
    partitions: &mut [ReadPartition],
    system: &str,
    place: &Place,
    checks: &mut Checks<'_>,
) -> Result<(), SiteError> {
    let mut next: u16 = 1;
    for read in partitions.iter_mut().filter(|read| read.partition.id.0 == 0) {
        while checks.is_claimed(NameSpace::PartitionId, system, &next.to_string()) {
            next += 1;
        }
        checks.claim(NameSpace::PartitionId, system, &next.to_string(), place)?;
        read.partition.id = PartitionId(next);
    }
    Ok(())
}

fn read_partition(
    mut table: TableReader<'_>,
    number: Option<u32>,
    names: Option<&BTreeMap<String, String>>,
    context: &PartitionContext<'_, '_>,
    checks: &mut Checks<'_>,
) -> Result<ReadPartition, SiteError> {
    let system = context.system;
    let name = read_name(&mut table, number, names, system, checks)?;
    let id = read_id(&mut table, number, system, checks)?;
    let engine = read_engine(&mut table, context.rules, checks)?;
    let (environment, operating_system) = read_environment(&mut table, &engine, checks)?;
    let level = table.string_or("operating_system_level", operating_system.default_level())?;
    let profile_name = match table.string("profile_name")? {
        None => "default_profile".to_owned(),
        Some(profile_name) => {
            check_name(&profile_name, "profile name", checks)?;
            profile_name.value
        }
    };
    let (profile, attributes, names_slots) = read_records(&mut table, number, context, checks)?;
    let hostname = match table.string("hostname")? {
        None => name.clone(),
        Some(hostname) => {
            let hostname = numbered(hostname, number);
            check_host_name(&hostname, "host name", checks)?;
            hostname.value
        }
    };
    let ip_address = read_ip_address(&mut table, "ip_address", checks)?;
    if let Some(address) = &ip_address {
        checks.claim(NameSpace::IpAddress, "", &address.value.to_string(), &address.place)?;
    }
    let partition = InitialPartition {
        name,
        id,
        environment,
        operating_system,
        operating_system_level: level,
        profile_name,
        profile: profile.value,
        attributes,
        start: table.boolean_or("start", false)?,
        hostname,
        ip_address: ip_address.map(|address| address.value),
        listen_address: read_listen_address(&mut table, checks)?,
        engine,
        bridges: read_bridges(&mut table, system, checks)?,
    };
    table.finish()?;
    Ok(ReadPartition { partition, profile_place: profile.place, names_slots })
}

/// Reads `bridged` and `shared_ethernet_adapter`.
fn read_bridges(
    table: &mut TableReader<'_>,
    system: &str,
    checks: &mut Checks<'_>,
) -> Result<Option<Vec<InitialBridge>>, SiteError> {
    let bridged = table.boolean_or("bridged", true)?;
    let tables = table.tables("shared_ethernet_adapter", "adapter_port")?;
    if tables.is_empty() {
        return Ok((!bridged).then(Vec::new));
    }
    let slot = |number: &Located<u32>| VirtualSlot(u16::try_from(number.value).unwrap_or(u16::MAX));
    let mut bridges = Vec::new();
    for mut bridge in tables {
        let port = bridge.required_parsed::<LocationCode>("adapter_port")?;
        let real = port.value.to_string();
        checks.refer(NameSpace::AdapterPort, "", &real, &port.place);
        checks.claim(NameSpace::Bridge, system, &real, &port.place)?;
        let trunks: Vec<VirtualSlot> =
            bridge.integers("virtual_slots", 2, u32::from(u16::MAX) - 1)?.iter().map(slot).collect();
        if trunks.is_empty() {
            return Err(bridge.error_of_key("virtual_slots", SiteProblem::MissingKey));
        }
        let control_channel = bridge.integer("control_channel", 2, u32::from(u16::MAX) - 1)?;
        let mut attributes = Vec::new();
        for pair in bridge.strings("attributes")?.unwrap_or_default() {
            let Some((name, value)) = pair.value.split_once('=') else {
                let problem = SiteProblem::Malformed { kind: "attribute (`name=value`)", text: pair.value };
                return Err(checks.error(&pair.place, problem));
            };
            attributes.push((name.to_owned(), value.to_owned()));
        }
        bridge.finish()?;
        bridges.push(InitialBridge {
            real,
            trunks,
            control_channel: control_channel.as_ref().map(slot),
            attributes,
        });
    }
    Ok(Some(bridges))
}

/// Puts a generated partition's number in the place of `{n}`.
fn numbered(text: Located<String>, number: Option<u32>) -> Located<String> {
    match number {
        None => text,
        Some(number) => Located { value: text.value.replace("{n}", &number.to_string()), place: text.place },
    }
}

fn read_name(
    table: &mut TableReader<'_>,
    number: Option<u32>,
    names: Option<&BTreeMap<String, String>>,
    system: &str,
    checks: &mut Checks<'_>,
) -> Result<String, SiteError> {
    let mut pattern = table.required_string("name")?;
    if number.is_some() && !pattern.value.contains("{n}") {
        let problem = SiteProblem::Conflict("the name of generated partitions contains `{n}`".to_owned());
        return Err(checks.error(&pattern.place, problem));
    }
    if let Some(renamed) = names.and_then(|names| names.get(&pattern.value)) {
        pattern.value.clone_from(renamed);
    }
    let name = numbered(pattern, number);
    check_name(&name, "partition name", checks)?;
    checks.claim(NameSpace::Partition, system, &name.value, &name.place)?;
    Ok(name.value)
}

/// Reads the profile and the further attributes. The last value is true where the profile gives `io_slots`.
fn read_records(
    table: &mut TableReader<'_>,
    number: Option<u32>,
    context: &PartitionContext<'_, '_>,
    checks: &mut Checks<'_>,
) -> Result<(Located<String>, String, bool), SiteError> {
    let profile = numbered(table.required_string("profile")?, number);
    let names_slots = check_profile(&profile, context.rules, context.system, checks)?;
    let Some(attributes) = table.string("attributes")? else {
        return Ok((profile, String::new(), names_slots));
    };
    let attributes = numbered(attributes, number);
    check_attributes(&attributes, &profile, checks)?;
    Ok((profile, attributes.value, names_slots))
}

/// Reads the ID; 0 stands for one that is assigned after all given ones are known.
fn read_id(
    table: &mut TableReader<'_>,
    number: Option<u32>,
    system: &str,
    checks: &mut Checks<'_>,
) -> Result<PartitionId, SiteError> {
    let Some(id) = table.integer("id", 1, u32::from(u16::MAX) - 1)? else { return Ok(PartitionId(0)) };
    if number.is_some() {
        let problem = SiteProblem::Conflict("generated partitions take the lowest free IDs".to_owned());
        return Err(checks.error(&id.place, problem));
    }
    checks.claim(NameSpace::PartitionId, system, &id.value.to_string(), &id.place)?;
    // The range above fits 16 bits.
    Ok(PartitionId(id.value as u16))
}

/// Sizes of memory regions that QEMU's machine has: it takes memory in blocks of 256 MB.
const QEMU_MEMORY_REGION: u64 = 256;

fn read_engine(
    table: &mut TableReader<'_>,
    rules: &ProfileRules,
    checks: &Checks<'_>,
) -> Result<GuestEngine, SiteError> {
    let conflict = |place: &Place, text: &str| checks.error(place, SiteProblem::Conflict(text.to_owned()));
    let engine = table.choice("engine", &[("embedded", false), ("qemu", true)])?;
    let kernel = table.string("kernel")?;
    let initial_ramdisk = table.string("initial_ramdisk")?;
    let arguments = table.string("kernel_arguments")?;
    let Some(engine) = engine.filter(|engine| engine.value) else {
        return match kernel.or(initial_ramdisk).or(arguments) {
            Some(given) => Err(conflict(
                &given.place,
                "only a partition with `engine = \"qemu\"` boots a kernel of the host",
            )),
            None => Ok(GuestEngine::Embedded),
        };
    };
    if rules.memory_region_size != QEMU_MEMORY_REGION {
        return Err(conflict(&engine.place, "partitions on QEMU need a memory region size of 256 MB"));
    }
    if kernel.is_none()
        && let Some(given) = initial_ramdisk.as_ref().or(arguments.as_ref())
    {
        return Err(conflict(&given.place, "this is of no use without a kernel"));
    }
    let text = |given: Option<Located<String>>| given.map(|given| given.value);
    Ok(GuestEngine::Qemu(KernelBoot {
        kernel: text(kernel),
        initial_ramdisk: text(initial_ramdisk),
        arguments: text(arguments).unwrap_or_default(),
    }))
}

fn read_environment(
    table: &mut TableReader<'_>,
    engine: &GuestEngine,
    checks: &Checks<'_>,
) -> Result<(PartitionEnvironment, OperatingSystem), SiteError> {
    let environments: Vec<(&str, PartitionEnvironment)> =
        PartitionEnvironment::ALL.iter().map(|environment| (environment.word(), *environment)).collect();
    let systems = [
        OperatingSystem::Aix,
        OperatingSystem::Linux,
        OperatingSystem::VirtualIoServer,
        OperatingSystem::IbmI,
    ]
    .map(|system| (system.word(), system));
    let environment = table.choice("environment", &environments)?;
    let environment = environment.map_or(PartitionEnvironment::AixLinux, |environment| environment.value);
    let default = match environment {
        PartitionEnvironment::AixLinux if *engine != GuestEngine::Embedded => OperatingSystem::Linux,
        PartitionEnvironment::AixLinux => OperatingSystem::Aix,
        PartitionEnvironment::VirtualIoServer => OperatingSystem::VirtualIoServer,
        PartitionEnvironment::IbmI => OperatingSystem::IbmI,
    };
    let given = table.choice("operating_system", &systems)?;
    if *engine != GuestEngine::Embedded
        && given.as_ref().map_or(default, |given| given.value) != OperatingSystem::Linux
    {
        let place = given.map_or_else(|| table.place().clone(), |given| given.place);
        let problem = "a partition on QEMU runs Linux".to_owned();
        return Err(checks.error(&place, SiteProblem::Conflict(problem)));
    }
    let Some(system) = given else {
        return Ok((environment, default));
    };
    if system.value.environment() != environment {
        let problem = format!(
            "this operating system runs in environment {}, not {}",
            system.value.environment().word(),
            environment.word()
        );
        return Err(checks.error(&system.place, SiteProblem::Conflict(problem)));
    }
    Ok((environment, system.value))
}

/// Checks a partition or profile name: what the console accepts and an attribute record can hold unquoted.
pub(super) fn check_name(
    name: &Located<String>,
    kind: &'static str,
    checks: &Checks<'_>,
) -> Result<(), SiteError> {
    /// Characters that the console refuses in names, and those that separate fields in records.
    const REFUSED: &str = "()<>*$&?|[]'\"`,=/\\";
    let text = &name.value;
    let printable = text.chars().all(|character| !character.is_control() && !REFUSED.contains(character));
    let fits = !text.is_empty() && text.chars().count() <= NAME_LENGTH_MAX && text.trim() == text;
    if !fits || !printable {
        return Err(checks.error(&name.place, SiteProblem::Malformed { kind, text: text.clone() }));
    }
    Ok(())
}
