//! Physical I/O of a managed system: units, their slots, and the adapters in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::checks::{Checks, NameSpace};
use super::error::{SiteError, SiteProblem};
use super::identifiers::{DrcIndex, LocationCode, LocationLabels, UnitLocationCode};
use super::reader::{Located, Place, TableReader};
use crate::ids::{MacAddress, WorldWidePortName};

/// Most units of a managed system.
pub const UNITS_MAX: usize = 64;
/// Most slots of a managed system; the largest machines with all expansion drawers have a few hundred.
pub const SLOTS_MAX: usize = 1_024;
/// Most ports of one adapter.
pub const ADAPTER_PORTS_MAX: u32 = 16;
/// The bus ID of the first slot that gives none, as on machines with one bus for each slot.
const FIRST_BUS_ID: u32 = 512;
/// What a DRC index of a physical slot is counted from; the bus ID is added.
const DRC_INDEX_BASE: u32 = 0x2101_0000;

/// A unit (enclosure) of a managed system with its slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The unit's location code.
    pub location_code: UnitLocationCode,
    /// Its slots, in the file's order.
    pub slots: Vec<Slot>,
}

/// A physical I/O slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Where it is (`U78CA.001.CSS08ZN-P1-C6`).
    pub location_code: LocationCode,
    /// Bus ID, decimal in listings.
    pub bus_id: u32,
    /// DRC index, the slot's name in `io_slots` and `chhwres -l`.
    pub drc_index: DrcIndex,
    /// What `lshwres -r io --rsubtype slot` prints as description.
    pub description: String,
    /// Name of the initial partition that owns the slot; `None` for a slot that is free or the hypervisor's.
    pub owner: Option<String>,
    /// The adapter in the slot; `None` for an empty slot.
    pub adapter: Option<Adapter>,
}

/// An adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Adapter {
    /// Ethernet ports used directly by the partition that owns the slot.
    Ethernet {
        /// The ports, `T1` first.
        ports: Vec<EthernetPort>,
    },
    /// Fibre Channel ports.
    FibreChannel {
        /// The ports, `T1` first.
        ports: Vec<FibreChannelPort>,
    },
    /// A SAS controller; local disks name the slot.
    Sas {
        /// Number of SAS ports.
        ports: u32,
    },
    /// An SR-IOV capable Ethernet adapter.
    Sriov(SriovAdapter),
}

/// A port of an Ethernet adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EthernetPort {
    /// Where it is; cables name it.
    pub location_code: LocationCode,
    /// Burned-in address, unique in the site.
    pub mac_address: MacAddress,
    /// Speed in Mbit/s.
    pub speed: u32,
    /// Label for the choice of ports in mobility; empty for none.
    pub label: String,
}

/// A port of a Fibre Channel adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FibreChannelPort {
    /// Where it is; cables name it.
    pub location_code: LocationCode,
    /// Burned-in port name, unique in the site.
    pub port_name: WorldWidePortName,
    /// Speed in Mbit/s.
    pub speed: u32,
    /// Label for the choice of ports in mobility; empty for none.
    pub label: String,
}

/// Whether an SR-IOV adapter is shared by the hypervisor or owned by one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SriovMode {
    /// The hypervisor owns it and gives out logical ports (`config_state=sriov`).
    Shared,
    /// An ordinary adapter for one partition (`config_state=dedicated`).
    Dedicated,
}

/// Protocols of an SR-IOV physical port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SriovPortType {
    /// Ethernet (`eth`).
    Ethernet,
    /// Converged Ethernet (`ethc`).
    ConvergedEthernet,
    /// RDMA over converged Ethernet (`roce`).
    RdmaOverConvergedEthernet,
}

impl SriovPortType {
    /// The word of the command line: `eth`, `ethc` or `roce`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ethernet => "eth",
            Self::ConvergedEthernet => "ethc",
            Self::RdmaOverConvergedEthernet => "roce",
        }
    }
}

/// An SR-IOV adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SriovAdapter {
    /// Adapter ID, from 1, unique in the managed system.
    pub adapter_id: u32,
    /// Mode at first start.
    pub mode: SriovMode,
    /// Most logical ports of the whole adapter.
    pub maximum_logical_ports: u32,
    /// Smallest step of a logical port's capacity, in hundredths of a percent (200 is 2 %).
    pub capacity_granularity: u32,
    /// Physical ports; the port at index 0 is `phys_port_id` 0 and location `T1`.
    pub ports: Vec<SriovPort>,
}

/// A physical port of an SR-IOV adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SriovPort {
    /// Where it is; cables name it.
    pub location_code: LocationCode,
    /// Burned-in address, unique in the site.
    pub mac_address: MacAddress,
    /// Speed in Mbit/s.
    pub speed: u32,
    /// `phys_port_label`; empty for none. Mobility pairs ports by it.
    pub label: String,
    /// `phys_port_sub_label`; empty for none.
    pub sub_label: String,
    /// Protocol.
    pub port_type: SriovPortType,
    /// Most logical ports on this port.
    pub maximum_logical_ports: u32,
}

/// What units of one managed system share while they are read.
pub(super) struct SlotCounter {
    next_bus_id: u32,
    slots: usize,
}

impl SlotCounter {
    pub(super) fn new() -> Self {
        Self { next_bus_id: FIRST_BUS_ID, slots: 0 }
    }
}

/// Where a unit is read: its system, the templates, and the names that templates' partitions have there.
pub(super) struct UnitContext<'a, 'f> {
    pub(super) system: &'a str,
    pub(super) templates: &'a BTreeMap<String, Vec<TableReader<'f>>>,
    pub(super) template_names: &'a BTreeMap<String, String>,
}

pub(super) fn read_unit(
    mut table: TableReader<'_>,
    context: &UnitContext<'_, '_>,
    counter: &mut SlotCounter,
    checks: &mut Checks<'_>,
) -> Result<Unit, SiteError> {
    let location = table.required_parsed::<UnitLocationCode>("location")?;
    checks.claim(NameSpace::Unit, "", &location.value.to_string(), &location.place)?;
    let mut slots = Vec::new();
    if let Some(template) = table.string("slots_from")? {
        let Some(tables) = context.templates.get(&template.value) else {
            return Err(checks.unknown(NameSpace::UnitTemplate, &template.value, &template.place));
        };
        for slot in tables {
            let names = Some(context.template_names);
            slots.push(read_slot(slot.clone(), &location.value, (context.system, names), counter, checks)?);
        }
    }
    for slot in table.tables("slot", "location")? {
        slots.push(read_slot(slot, &location.value, (context.system, None), counter, checks)?);
    }
    table.finish()?;
    Ok(Unit { location_code: location.value, slots })
}

pub(super) fn read_slot(
    mut table: TableReader<'_>,
    unit: &UnitLocationCode,
    (system, names): (&str, Option<&BTreeMap<String, String>>),
    counter: &mut SlotCounter,
    checks: &mut Checks<'_>,
) -> Result<Slot, SiteError> {
    let labels = table.required_parsed::<LocationLabels>("location")?;
    let location_code = unit.place(&labels.value);
    checks.claim(NameSpace::Slot, "", &location_code.to_string(), &labels.place)?;
    counter.slots += 1;
    if counter.slots > SLOTS_MAX {
        let problem = SiteProblem::TooMuch { what: "slots in a managed system", limit: SLOTS_MAX };
        return Err(checks.error(table.place(), problem));
    }
    let bus_id = table.integer("bus_id", 1, 0xFFFF)?.map(|bus| bus.value);
    let bus_id = bus_id.unwrap_or(counter.next_bus_id);
    counter.next_bus_id = counter.next_bus_id.max(bus_id.saturating_add(1));
    let drc_index = read_drc_index(&mut table, bus_id, system, checks)?;
    let description = table.string("description")?.map(|description| description.value);
    let owner = table.string("owner")?.map(|owner| {
        let renamed = names.and_then(|names| names.get(&owner.value));
        Located { value: renamed.unwrap_or(&owner.value).clone(), place: owner.place }
    });
    let adapter = match table.table("adapter")? {
        None => None,
        Some(adapter) => Some(read_adapter(adapter, &location_code, system, checks)?),
    };
    if let Some(owner) = &owner {
        check_owner(owner, adapter.as_ref(), system, checks)?;
    }
    table.finish()?;
    let description = description.unwrap_or_else(|| default_description(adapter.as_ref()).to_owned());
    let owner = owner.map(|owner| owner.value);
    Ok(Slot { location_code, bus_id, drc_index, description, owner, adapter })
}

fn read_drc_index(
    table: &mut TableReader<'_>,
    bus_id: u32,
    system: &str,
    checks: &mut Checks<'_>,
) -> Result<DrcIndex, SiteError> {
    let (drc_index, place) = match table.parsed::<DrcIndex>("drc_index")? {
        Some(given) => (given.value, given.place),
        None => (DrcIndex(DRC_INDEX_BASE | bus_id), table.place().clone()),
    };
    checks.claim(NameSpace::DrcIndex, system, &drc_index.to_string(), &place)?;
    Ok(drc_index)
}

fn check_owner(
    owner: &Located<String>,
    adapter: Option<&Adapter>,
    system: &str,
    checks: &mut Checks<'_>,
) -> Result<(), SiteError> {
    if let Some(Adapter::Sriov(SriovAdapter { mode: SriovMode::Shared, .. })) = adapter {
        let problem = "the hypervisor owns an SR-IOV adapter in shared mode";
        return Err(checks.error(&owner.place, SiteProblem::Conflict(problem.to_owned())));
    }
    checks.refer(NameSpace::Partition, system, &owner.value, &owner.place);
    Ok(())
}

fn default_description(adapter: Option<&Adapter>) -> &'static str {
    match adapter {
        None => "Empty slot",
        Some(Adapter::Ethernet { .. }) => "Ethernet controller",
        Some(Adapter::FibreChannel { .. }) => "Fibre Channel Serial Bus",
        Some(Adapter::Sas { .. }) => "PCI-E SAS Controller",
        Some(Adapter::Sriov(_)) => "SR-IOV Ethernet controller",
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Ethernet,
    FibreChannel,
    Sas,
    Sriov,
}

fn read_adapter(
    mut table: TableReader<'_>,
    location: &LocationCode,
    system: &str,
    checks: &mut Checks<'_>,
) -> Result<Adapter, SiteError> {
    let kinds = [
        ("ethernet", Kind::Ethernet),
        ("fibre_channel", Kind::FibreChannel),
        ("sas", Kind::Sas),
        ("sriov", Kind::Sriov),
    ];
    let kind = table.choice("kind", &kinds)?;
    let kind = kind.ok_or_else(|| table.error_of_key("kind", SiteProblem::MissingKey))?.value;
    let adapter = match kind {
        Kind::Ethernet => {
            let read = |port: &mut PortReader<'_, '_>, checks: &mut Checks<'_>| port.ethernet(checks);
            Adapter::Ethernet { ports: read_ports(&mut table, location, 1_000, checks, read)? }
        }
        Kind::FibreChannel => {
            let read = |port: &mut PortReader<'_, '_>, checks: &mut Checks<'_>| port.fibre_channel(checks);
            Adapter::FibreChannel { ports: read_ports(&mut table, location, 8_000, checks, read)? }
        }
        Kind::Sas => Adapter::Sas { ports: table.integer_or("ports", (1, ADAPTER_PORTS_MAX), 1)? },
        Kind::Sriov => Adapter::Sriov(read_sriov(&mut table, location, system, checks)?),
    };
    table.finish()?;
    Ok(adapter)
}

fn read_sriov(
    table: &mut TableReader<'_>,
    location: &LocationCode,
    system: &str,
    checks: &mut Checks<'_>,
) -> Result<SriovAdapter, SiteError> {
    let adapter_id = table.required_integer("adapter_id", 1, 127)?;
    let text = adapter_id.value.to_string();
    checks.claim(NameSpace::SriovAdapter, system, &text, &adapter_id.place)?;
    let modes = [("shared", SriovMode::Shared), ("dedicated", SriovMode::Dedicated)];
    let mode = table.choice("mode", &modes)?.map_or(SriovMode::Shared, |mode| mode.value);
    let maximum_logical_ports = table.integer_or("maximum_logical_ports", (1, 1_024), 48)?;
    let capacity_granularity = read_granularity(table, checks)?;
    let read =
        |port: &mut PortReader<'_, '_>, checks: &mut Checks<'_>| port.sriov(maximum_logical_ports, checks);
    let ports = read_ports(table, location, 10_000, checks, read)?;
    let adapter_id = adapter_id.value;
    Ok(SriovAdapter { adapter_id, mode, maximum_logical_ports, capacity_granularity, ports })
}

fn read_granularity(table: &mut TableReader<'_>, checks: &Checks<'_>) -> Result<u32, SiteError> {
    let Some(granularity) = table.float("capacity_granularity")? else { return Ok(200) };
    let percent = granularity.value;
    if !(0.01..=100.0).contains(&percent) {
        let kind = "percentage from 0.01 to 100";
        let problem = SiteProblem::Malformed { kind, text: percent.to_string() };
        return Err(checks.error(&granularity.place, problem));
    }
    // The range above makes the product fit.
    Ok((percent * 100.0).round() as u32)
}

/// One port while it is read. A port without a table of its own has defaults only.
struct PortReader<'f, 'p> {
    table: Option<TableReader<'f>>,
    place: &'p Place,
    location: LocationCode,
    speed: u32,
}

impl PortReader<'_, '_> {
    fn text(&mut self, key: &str) -> Result<String, SiteError> {
        self.table.as_mut().map_or(Ok(String::new()), |table| table.string_or(key, ""))
    }

    /// A MAC address of 0 stands for one that is made up after all given ones are known.
    fn mac_address(&mut self, checks: &mut Checks<'_>) -> Result<MacAddress, SiteError> {
        let given = match &mut self.table {
            None => None,
            Some(table) => table.parsed::<MacAddress>("mac_address")?,
        };
        let Some(given) = given else { return Ok(MacAddress(0)) };
        claim_mac_address(given.value, &given.place, checks)?;
        Ok(given.value)
    }

    fn ethernet(&mut self, checks: &mut Checks<'_>) -> Result<EthernetPort, SiteError> {
        Ok(EthernetPort {
            mac_address: self.mac_address(checks)?,
            label: self.text("label")?,
            speed: self.speed,
            location_code: self.location.clone(),
        })
    }

    fn fibre_channel(&mut self, checks: &mut Checks<'_>) -> Result<FibreChannelPort, SiteError> {
        let given = match &mut self.table {
            None => None,
            Some(table) => table.parsed::<WorldWidePortName>("wwpn")?,
        };
        if let Some(given) = &given {
            claim_port_name(given.value, &given.place, checks)?;
        }
        Ok(FibreChannelPort {
            port_name: given.map_or(WorldWidePortName(0), |given| given.value),
            label: self.text("label")?,
            speed: self.speed,
            location_code: self.location.clone(),
        })
    }

    fn sriov(&mut self, adapter_ports: u32, checks: &mut Checks<'_>) -> Result<SriovPort, SiteError> {
        let types = [
            ("eth", SriovPortType::Ethernet),
            ("ethc", SriovPortType::ConvergedEthernet),
            ("roce", SriovPortType::RdmaOverConvergedEthernet),
        ];
        let (mut port_type, mut maximum_logical_ports) = (SriovPortType::Ethernet, adapter_ports);
        if let Some(table) = &mut self.table {
            port_type = table.choice("type", &types)?.map_or(port_type, |port_type| port_type.value);
            maximum_logical_ports =
                table.integer_or("maximum_logical_ports", (1, adapter_ports), adapter_ports)?;
        }
        Ok(SriovPort {
            mac_address: self.mac_address(checks)?,
            label: self.text("label")?,
            sub_label: self.text("sub_label")?,
            speed: self.speed,
            port_type,
            maximum_logical_ports,
            location_code: self.location.clone(),
        })
    }

    fn finish(self, checks: &mut Checks<'_>) -> Result<(), SiteError> {
        checks.claim(NameSpace::AdapterPort, "", &self.location.to_string(), self.place)?;
        self.table.map_or(Ok(()), TableReader::finish)
    }
}

fn read_ports<'f, Port>(
    table: &mut TableReader<'f>,
    location: &LocationCode,
    default_speed: u32,
    checks: &mut Checks<'_>,
    mut read: impl FnMut(&mut PortReader<'f, '_>, &mut Checks<'_>) -> Result<Port, SiteError>,
) -> Result<Vec<Port>, SiteError> {
    let speed = table.integer_or("speed", (10, 400_000), default_speed)?;
    let tables: Vec<Option<TableReader<'f>>> = if table.holds_integer("ports") {
        let count = table.required_integer("ports", 1, ADAPTER_PORTS_MAX)?.value;
        (0..count).map(|_| None).collect()
    } else {
        table.tables("ports", "")?.into_iter().map(Some).collect()
    };
    if tables.is_empty() {
        let problem = SiteProblem::Conflict("an adapter has at least one port".to_owned());
        return Err(table.error_of_key("ports", problem));
    }
    if tables.len() > ADAPTER_PORTS_MAX as usize {
        let problem =
            SiteProblem::TooMuch { what: "ports on one adapter", limit: ADAPTER_PORTS_MAX as usize };
        return Err(table.error_of_key("ports", problem));
    }
    let place = table.place().clone();
    let mut ports = Vec::with_capacity(tables.len());
    for (index, mut port) in tables.into_iter().enumerate() {
        let own_speed = match &mut port {
            None => speed,
            Some(port) => port.integer_or("speed", (10, 400_000), speed)?,
        };
        let port_place = port.as_ref().map_or_else(|| place.clone(), |port| port.place().clone());
        let location = location.port(index + 1);
        let mut reader = PortReader { table: port, place: &port_place, location, speed: own_speed };
        ports.push(read(&mut reader, checks)?);
        reader.finish(checks)?;
    }
    Ok(ports)
}

/// Takes a MAC address that the file gives. It must be one station's: not 0, not a group address.
pub(super) fn claim_mac_address(
    address: MacAddress,
    place: &Place,
    checks: &mut Checks<'_>,
) -> Result<(), SiteError> {
    /// The group bit of the first octet (IEEE 802).
    const GROUP: u64 = 1 << 40;
    if address.0 == 0 || address.0 & GROUP != 0 {
        let problem =
            SiteProblem::Malformed { kind: "MAC address of one station", text: address.to_string() };
        return Err(checks.error(place, problem));
    }
    checks.claim(NameSpace::MacAddress, "", &address.to_string(), place)
}

/// Takes a world-wide port name that the file gives; 0 names no port.
pub(super) fn claim_port_name(
    name: WorldWidePortName,
    place: &Place,
    checks: &mut Checks<'_>,
) -> Result<(), SiteError> {
    if name.0 == 0 {
        let problem = SiteProblem::Malformed { kind: "world-wide port name", text: name.to_string() };
        return Err(checks.error(place, problem));
    }
    checks.claim(NameSpace::WorldWidePortName, "", &name.to_string(), place)
}
