//! Disks: those of the SAN, seen by many systems, and those inside a unit.

use serde::{Deserialize, Serialize};

use super::checks::{Checks, NameSpace};
use super::error::{SiteError, SiteProblem};
use super::identifiers::{LocationCode, LogicalUnitNumber, PhysicalVolumeIdentifier, Udid, stable_bits};
use super::reader::{Located, TableReader};
use crate::ids::WorldWidePortName;

/// Most disks of the SAN.
pub const SAN_DISKS_MAX: usize = 16_384;
/// Largest disk in MB: 64 TB, above what storage servers of the time export.
pub const DISK_SIZE_MAX: u32 = 64 * 1024 * 1024;
/// The storage port in location codes where the file gives none.
const TARGET_PORT: WorldWidePortName = WorldWidePortName(0x5005_0768_0140_F32C);

/// A disk of the SAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SanDisk {
    /// Name in the site file; state refers to the disk by it.
    pub name: String,
    /// Unique identifier, the same wherever the disk is seen.
    pub udid: Udid,
    /// Size in MB.
    pub size: u32,
    /// Physical volume identifier that is on the disk; `None` for a disk that never had one.
    pub physical_volume_identifier: Option<PhysicalVolumeIdentifier>,
    /// Logical unit number at the storage port.
    pub logical_unit_number: LogicalUnitNumber,
    /// Storage port through which it is seen.
    pub target_port: WorldWidePortName,
    /// Names of the managed systems that see it; `None` for all.
    pub managed_systems: Option<Vec<String>>,
    /// Port names, besides those of the managed systems' adapters, that see it: of clients on virtual Fibre Channel.
    pub port_names: Vec<WorldWidePortName>,
    /// Name that every Virtual I/O Server gives it; `None` for the server's next free `hdisk` number.
    pub device_name: Option<String>,
    /// Names that single Virtual I/O Servers give it instead.
    pub device_names: Vec<DeviceName>,
}

/// The name of a SAN disk on one Virtual I/O Server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceName {
    /// Name of the managed system.
    pub managed_system: String,
    /// Name of the partition.
    pub partition: String,
    /// The disk's name there (`hdisk988`).
    pub name: String,
}

impl SanDisk {
    /// True where the managed system of this name sees the disk.
    #[must_use]
    pub fn visible_to(&self, managed_system: &str) -> bool {
        match &self.managed_systems {
            None => true,
            Some(names) => names.iter().any(|name| name == managed_system),
        }
    }

    /// The name that the file gives the disk on a Virtual I/O Server, if it gives one.
    #[must_use]
    pub fn device_name_on(&self, managed_system: &str, partition: &str) -> Option<&str> {
        let own = self
            .device_names
            .iter()
            .find(|name| name.managed_system == managed_system && name.partition == partition);
        own.map(|name| name.name.as_str()).or(self.device_name.as_deref())
    }
}

/// A disk in a unit of a managed system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalDisk {
    /// Where it is (`U78AA.001.WZSKM8U-P2-D4`).
    pub location_code: LocationCode,
    /// Size in MB.
    pub size: u32,
    /// The slot of the SAS adapter that it hangs on; `None` for a disk that no adapter reaches yet.
    pub adapter: Option<LocationCode>,
    /// Physical volume identifier that is on the disk.
    pub physical_volume_identifier: Option<PhysicalVolumeIdentifier>,
}

/// Reads one `[[san_disk]]`, which stands for `count` disks where it has that key.
pub(super) fn read_san_disks(
    table: TableReader<'_>,
    disks: &mut Vec<SanDisk>,
    checks: &mut Checks<'_>,
) -> Result<(), SiteError> {
    let mut first = table.clone();
    let count = first.integer("count", 1, 4_096)?;
    let name = first.required_string("name")?;
    if count.is_some() != name.value.contains("{n}") {
        let problem = "`count` and a name with `{n}` go together".to_owned();
        return Err(checks.error(&name.place, SiteProblem::Conflict(problem)));
    }
    if count.is_some() {
        for key in ["udid", "pvid", "lun"] {
            if let Some(given) = first.string(key)? {
                let problem = "this key is for one disk, not for a `count` of them".to_owned();
                return Err(checks.error(&given.place, SiteProblem::Conflict(problem)));
            }
        }
    }
    for number in 1..=count.map_or(1, |count| count.value) {
        let mut table = table.clone();
        table.integer("count", 1, 4_096)?;
        disks.push(read_san_disk(table, number, disks.len(), checks)?);
        if disks.len() > SAN_DISKS_MAX {
            return Err(
                checks.error(&name.place, SiteProblem::TooMuch { what: "SAN disks", limit: SAN_DISKS_MAX })
            );
        }
    }
    Ok(())
}

fn read_san_disk(
    mut table: TableReader<'_>,
    number: u32,
    index: usize,
    checks: &mut Checks<'_>,
) -> Result<SanDisk, SiteError> {
    let name = table.required_string("name")?;
    let name = Located { value: name.value.replace("{n}", &number.to_string()), place: name.place };
    check_device_name(&name, "disk name", checks)?;
    checks.claim(NameSpace::SanDisk, "", &name.value, &name.place)?;
    let udid = read_udid(&mut table, &name, checks)?;
    let size = table.required_integer("size", 1, DISK_SIZE_MAX)?.value;
    let pvid = table.parsed::<PhysicalVolumeIdentifier>("pvid")?;
    if let Some(pvid) = &pvid {
        checks.claim(NameSpace::PhysicalVolumeIdentifier, "", &pvid.value.to_string(), &pvid.place)?;
    }
    let managed_systems = table.strings("managed_systems")?;
    for system in managed_systems.iter().flatten() {
        checks.refer(NameSpace::ManagedSystemName, "", &system.value, &system.place);
    }
    let target_port = table.parsed("target_port")?.map_or(TARGET_PORT, |port| port.value);
    let lun = read_lun(&mut table, index, target_port, checks)?;
    let port_names = read_port_names(&mut table, checks)?;
    let device_name = table.string("device_name")?;
    if let Some(device_name) = &device_name {
        check_device_name(device_name, "device name", checks)?;
        checks.claim(NameSpace::DeviceName, "", &device_name.value, &device_name.place)?;
    }
    let mut device_names = Vec::new();
    for device in table.tables("device_names", "partition")? {
        device_names.push(read_device_name(device, checks)?);
    }
    table.finish()?;
    Ok(SanDisk {
        name: name.value,
        udid,
        size,
        physical_volume_identifier: pvid.map(|pvid| pvid.value),
        logical_unit_number: lun,
        target_port,
        managed_systems: managed_systems.map(|names| names.into_iter().map(|name| name.value).collect()),
        port_names,
        device_name: device_name.map(|name| name.value),
        device_names,
    })
}

fn read_port_names(
    table: &mut TableReader<'_>,
    checks: &Checks<'_>,
) -> Result<Vec<WorldWidePortName>, SiteError> {
    let names = table.strings("port_names")?.unwrap_or_default();
    names.into_iter().map(|name| super::reader::parse_at(checks.file(), &name.value, &name.place)).collect()
}

fn read_udid(
    table: &mut TableReader<'_>,
    name: &Located<String>,
    checks: &mut Checks<'_>,
) -> Result<Udid, SiteError> {
    let (udid, place) = match table.parsed::<Udid>("udid")? {
        Some(given) => (given.value, given.place),
        None => {
            // The form that the seeds show for a Fibre Channel disk: length, NAA 6 identifier, product.
            let bits = stable_bits(&name.value);
            let text = format!("33213600507680C800000{bits:016X}04214503IBMfcp");
            (super::reader::parse_at(checks.file(), &text, &name.place)?, name.place.clone())
        }
    };
    checks.claim(NameSpace::Udid, "", &udid.to_string(), &place)?;
    Ok(udid)
}

fn read_lun(
    table: &mut TableReader<'_>,
    index: usize,
    target_port: WorldWidePortName,
    checks: &mut Checks<'_>,
) -> Result<LogicalUnitNumber, SiteError> {
    let place = table.place().clone();
    let (lun, place) = match table.parsed::<LogicalUnitNumber>("lun")? {
        Some(given) => (given.value, given.place),
        // Two-byte addressing puts the number into the first of four levels.
        None => (LogicalUnitNumber((index as u64 + 1) << 48), place),
    };
    checks.claim(NameSpace::LogicalUnitNumber, &target_port.to_string(), &lun.to_string(), &place)?;
    Ok(lun)
}

fn read_device_name(mut table: TableReader<'_>, checks: &mut Checks<'_>) -> Result<DeviceName, SiteError> {
    let managed_system = table.required_string("managed_system")?;
    let partition = table.required_string("partition")?;
    let name = table.required_string("name")?;
    check_device_name(&name, "device name", checks)?;
    checks.refer(NameSpace::ManagedSystemName, "", &managed_system.value, &managed_system.place);
    checks.refer(NameSpace::Partition, &managed_system.value, &partition.value, &partition.place);
    let scope = format!("{}/{}", managed_system.value, partition.value);
    checks.claim(NameSpace::DeviceName, &scope, &name.value, &name.place)?;
    table.finish()?;
    Ok(DeviceName { managed_system: managed_system.value, partition: partition.value, name: name.value })
}

fn check_device_name(
    name: &Located<String>,
    kind: &'static str,
    checks: &Checks<'_>,
) -> Result<(), SiteError> {
    /// Longest device name of AIX.
    const LENGTH_MAX: usize = 15;
    let text = &name.value;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let fits = (1..=LENGTH_MAX).contains(&text.len()) && text.as_bytes()[0].is_ascii_alphabetic();
    if !fits || !text.bytes().all(letter) {
        return Err(checks.error(&name.place, SiteProblem::Malformed { kind, text: text.clone() }));
    }
    Ok(())
}

pub(super) fn read_local_disk(
    mut table: TableReader<'_>,
    checks: &mut Checks<'_>,
) -> Result<LocalDisk, SiteError> {
    let location = table.required_parsed::<LocationCode>("location")?;
    checks.claim(NameSpace::DiskLocation, "", &location.value.to_string(), &location.place)?;
    checks.refer(NameSpace::Unit, "", &location.value.unit.to_string(), &location.place);
    let size = table.required_integer("size", 1, DISK_SIZE_MAX)?.value;
    let adapter = table.parsed::<LocationCode>("adapter")?;
    if let Some(adapter) = &adapter {
        checks.refer(NameSpace::Slot, "", &adapter.value.to_string(), &adapter.place);
    }
    let pvid = table.parsed::<PhysicalVolumeIdentifier>("pvid")?;
    if let Some(pvid) = &pvid {
        checks.claim(NameSpace::PhysicalVolumeIdentifier, "", &pvid.value.to_string(), &pvid.place)?;
    }
    table.finish()?;
    Ok(LocalDisk {
        location_code: location.value,
        size,
        adapter: adapter.map(|adapter| adapter.value),
        physical_volume_identifier: pvid.map(|pvid| pvid.value),
    })
}
