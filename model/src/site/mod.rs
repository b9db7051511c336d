//! The site file: a TOML description of hardware, consoles and first partitions.
//!
//! [`Site::parse`] reads a whole file and checks it. Each error names the file, the line and the key. What
//! a site file may hold is described in `docs/site-file.md`; the defaults are stated at the fields here.
//!
//! A site describes what exists and what a new data directory starts with. It holds no state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod addresses;
mod checks;
mod console;
mod device;
mod error;
mod fabric;
mod identifiers;
mod io;
mod partition;
mod profile;
mod reader;
mod storage;
mod system;
mod system_reader;
#[cfg(test)]
mod tests;
pub mod topology;

pub use console::{CONSOLES_MAX, ConsoleDescription, ConsoleUser, PREDEFINED_TASK_ROLES, Password};
pub use error::{SiteError, SiteProblem};
pub use fabric::{CableEnd, OutsideHost, SWITCH_PORTS_MAX, Switch, SwitchPort, VLAN_ID_MAX, all_vlans};
pub use identifiers::{
    DrcIndex, Ipv4Network, LocationCode, LocationLabels, LogicalUnitNumber, PhysicalVolumeIdentifier, Udid,
    UnitLocationCode,
};
pub use io::{
    ADAPTER_PORTS_MAX, Adapter, EthernetPort, FibreChannelPort, SLOTS_MAX, Slot, SriovAdapter, SriovMode,
    SriovPort, SriovPortType, UNITS_MAX, Unit,
};
pub use partition::{
    InitialBridge, InitialPartition, OperatingSystem, PARTITIONS_MAX, SITE_PARTITIONS_MAX,
    SITE_RECORD_BYTES_MAX,
};
pub use storage::{DISK_SIZE_MAX, DeviceName, LocalDisk, SAN_DISKS_MAX, SanDisk};
pub use system::{
    CAPABILITIES, DEFAULT_VIRTUAL_SWITCH, Licence, ManagedSystemDescription, ManagementNetwork, PowerOnSide,
    PowerVmEdition, VirtualSwitchDescription, VirtualSwitchMode,
};

use checks::{Checks, NameSpace};
use console::{check_host_name, read_console, read_password};
use fabric::{read_outside_host, read_switch};
use io::{SlotCounter, read_slot};
use partition::SiteTotals;
use reader::TableReader;
use storage::read_san_disks;
use system_reader::{SystemContext, read_system};

/// Largest site file in bytes; the file of ten large frames has a few thousand.
pub const SITE_FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most managed systems of a site.
pub const MANAGED_SYSTEMS_MAX: usize = 256;
/// Largest time scale: ten minutes pass in less than a millisecond.
const TIME_SCALE_MAX: f64 = 1_000_000.0;

/// A whole site file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Name of the site.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What real waits are divided by; 1 is real time.
    pub time_scale: f64,
    /// A demonstration: passwords may stand in plain text.
    pub demonstration: bool,
    /// Whether consoles have `awk`.
    pub awk: bool,
    /// First password of `padmin` on the Virtual I/O Servers; `None` for no password login.
    pub virtual_io_server_password: Option<Password>,
    /// Consoles; at least one.
    pub consoles: Vec<ConsoleDescription>,
    /// Managed systems; at least one. Their order is that of listings.
    pub managed_systems: Vec<ManagedSystemDescription>,
    /// Disks of the SAN.
    pub san_disks: Vec<SanDisk>,
    /// Switches.
    pub switches: Vec<Switch>,
    /// Hosts outside.
    pub outside_hosts: Vec<OutsideHost>,
}

impl Site {
    /// Reads and checks a site file. `file_name` is only used in errors.
    ///
    /// # Errors
    /// The first error found: text that is not TOML, then what is wrong within a section, from the top of the
    /// section down, then references that lead nowhere.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, SiteError> {
        if text.len() > SITE_FILE_BYTES_MAX {
            let problem = SiteProblem::TooMuch { what: "bytes", limit: SITE_FILE_BYTES_MAX };
            return Err(SiteError { file: file_name.to_owned(), line: 1, key: String::new(), problem });
        }
        let mut document = TableReader::document(text, file_name)?;
        let mut checks = Checks::new(file_name);
        let (mut site, network) = read_header(&mut document, &checks)?;
        read_systems(&mut document, &mut site, network, &mut checks)?;
        read_rest(&mut document, &mut site, &mut checks)?;
        for (key, missing) in
            [("console", site.consoles.is_empty()), ("managed_system", site.managed_systems.is_empty())]
        {
            if missing {
                return Err(document.error_of_key(key, SiteProblem::MissingKey));
            }
        }
        document.finish()?;
        checks.resolve()?;
        Ok(site)
    }

    /// Finds a managed system as `-m` does: by name, alias or type-model*serial.
    #[must_use]
    pub fn managed_system(&self, text: &str) -> Option<&ManagedSystemDescription> {
        self.managed_systems.iter().find(|system| system.answers_to(text))
    }

    /// Finds a console by its name.
    #[must_use]
    pub fn console(&self, name: &str) -> Option<&ConsoleDescription> {
        self.consoles.iter().find(|console| console.name == name)
    }
}

/// Reads `[site]`. The second value is the network of managed systems that give none.
fn read_header(
    document: &mut TableReader<'_>,
    checks: &Checks<'_>,
) -> Result<(Site, Ipv4Network), SiteError> {
    let header = document.table("site")?;
    let mut header = header.ok_or_else(|| document.error_of_key("site", SiteProblem::MissingKey))?;
    let name = header.required_string("name")?;
    check_host_name(&name, "site name", checks)?;
    let demonstration = header.boolean_or("demonstration", false)?;
    let network = match header.parsed("management_network")? {
        Some(network) => network.value,
        None => Ipv4Network { address: std::net::Ipv4Addr::new(10, 20, 0, 0), prefix_length: 16 },
    };
    let site = Site {
        name: name.value,
        description: header.string_or("description", "")?,
        time_scale: read_time_scale(&mut header, checks)?,
        demonstration,
        awk: header.boolean_or("awk", false)?,
        virtual_io_server_password: read_password(
            &mut header,
            "virtual_io_server_password",
            demonstration,
            checks,
        )?,
        consoles: Vec::new(),
        managed_systems: Vec::new(),
        san_disks: Vec::new(),
        switches: Vec::new(),
        outside_hosts: Vec::new(),
    };
    header.finish()?;
    Ok((site, network))
}

fn read_time_scale(header: &mut TableReader<'_>, checks: &Checks<'_>) -> Result<f64, SiteError> {
    let Some(scale) = header.float("time_scale")? else { return Ok(1.0) };
    if !(1.0..=TIME_SCALE_MAX).contains(&scale.value) {
        let (value, maximum) = (scale.value.to_string(), TIME_SCALE_MAX as i64);
        return Err(checks.error(&scale.place, SiteProblem::OutOfRange { value, minimum: 1, maximum }));
    }
    Ok(scale.value)
}

fn read_systems(
    document: &mut TableReader<'_>,
    site: &mut Site,
    management_network: Ipv4Network,
    checks: &mut Checks<'_>,
) -> Result<(), SiteError> {
    let unit_templates =
        read_templates(document, ("unit_template", "slot", "location"), NameSpace::UnitTemplate, checks)?;
    check_unit_templates(&unit_templates, checks)?;
    let partition_templates = read_templates(
        document,
        ("partition_template", "partition", "name"),
        NameSpace::PartitionTemplate,
        checks,
    )?;
    let context = SystemContext {
        unit_templates: &unit_templates,
        partition_templates: &partition_templates,
        management_network,
    };
    let systems = document.tables("managed_system", "name")?;
    if systems.len() > MANAGED_SYSTEMS_MAX {
        let problem = SiteProblem::TooMuch { what: "managed systems", limit: MANAGED_SYSTEMS_MAX };
        return Err(document.error_of_key("managed_system", problem));
    }
    let mut totals = SiteTotals::default();
    for system in systems {
        site.managed_systems.push(read_system(system, &context, &mut totals, checks)?);
    }
    Ok(())
}

/// Reads consoles, disks and the fabric, after the managed systems that they refer to.
fn read_rest(
    document: &mut TableReader<'_>,
    site: &mut Site,
    checks: &mut Checks<'_>,
) -> Result<(), SiteError> {
    let place = document.place().clone();
    for system in &mut site.managed_systems {
        addresses::complete(&mut system.units, &place, checks)?;
    }
    let consoles = document.tables("console", "name")?;
    if consoles.len() > CONSOLES_MAX {
        let problem = SiteProblem::TooMuch { what: "consoles", limit: CONSOLES_MAX };
        return Err(document.error_of_key("console", problem));
    }
    for (index, console) in consoles.into_iter().enumerate() {
        let console = read_console(console, index, site.demonstration, checks)?;
        site.consoles.push(console);
    }
    for disk in document.tables("san_disk", "name")? {
        read_san_disks(disk, &mut site.san_disks, checks)?;
    }
    for host in document.tables("outside_host", "name")? {
        site.outside_hosts.push(read_outside_host(host, checks)?);
    }
    for switch in document.tables("switch", "name")? {
        site.switches.push(read_switch(switch, checks)?);
    }
    Ok(())
}

/// Takes templates by name. Their parts stay unread tables: each use reads them anew, so that errors name
/// the template's own lines.
fn read_templates<'f>(
    document: &mut TableReader<'f>,
    (key, part, identity): (&str, &str, &str),
    space: NameSpace,
    checks: &mut Checks<'_>,
) -> Result<BTreeMap<String, Vec<TableReader<'f>>>, SiteError> {
    let mut templates = BTreeMap::new();
    for mut template in document.tables(key, "name")? {
        let name = template.required_string("name")?;
        check_host_name(&name, "template name", checks)?;
        checks.claim(space, "", &name.value, &name.place)?;
        let parts = template.tables(part, identity)?;
        template.finish()?;
        templates.insert(name.value, parts);
    }
    Ok(templates)
}

/// Reads each unit template once by itself, so that an error in one that nothing uses is found too.
fn check_unit_templates(
    templates: &BTreeMap<String, Vec<TableReader<'_>>>,
    checks: &Checks<'_>,
) -> Result<(), SiteError> {
    let unit = UnitLocationCode::of_template();
    for slots in templates.values() {
        let mut alone = Checks::new(checks.file());
        let mut counter = SlotCounter::new();
        for slot in slots {
            read_slot(slot.clone(), &unit, ("", None), &mut counter, &mut alone)?;
        }
    }
    Ok(())
}

/// Reads arbitrary bytes as a site file: for a fuzzer and for the corpus in `fuzz/site-corpus`.
///
/// # Panics
/// Where a site that was accepted breaks a promise of this module, or an error points outside the file.
pub fn fuzz_one(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Site::parse(text, "fuzz.toml") {
        Err(error) => {
            let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
            assert!((1..=lines).contains(&error.line), "line {} of {lines}", error.line);
            assert!(error.to_string().starts_with("fuzz.toml:"), "{error}");
        }
        Ok(site) => {
            assert!(!site.consoles.is_empty() && !site.managed_systems.is_empty());
            for system in &site.managed_systems {
                assert!(site.managed_system(&system.name).is_some_and(|found| found.name == system.name));
                for partition in &system.partitions {
                    assert!(partition.id.0 != 0);
                    let record = system.creation_record(partition);
                    assert!(crate::record::parse_record(&record).is_ok(), "{record}");
                }
            }
        }
    }
}
