//! Virtual adapters: `ClientNetworkAdapter`, `VirtualSCSIClientAdapter`, `VirtualFibreChannelClientAdapter`, and the
//! trunk adapters of a Virtual I/O Server.

use varan_model::adapters::{
    Remote, RemoteSlot, VirtualEthernetAdapter, VirtualFibreChannelAdapter, VirtualScsiAdapter,
};
use varan_model::ids::{PartitionId, VirtualSlot};
use varan_model::partition::RmcState;

use super::{Hosted, Object, adapter_id, boolean, network_id, partition_path, some, switch_id, system_path};
use crate::element::{Element, links, section_if, text, write, write_inner};
use crate::query::Groups;
use crate::xml::XmlWriter;

/// One adapter of a partition.
pub struct AdapterView<A> {
    /// Partition.
    pub hosted: Hosted,
    /// Adapter.
    pub adapter: A,
}

/// What the adapter kinds have in common.
pub trait Adapter: Clone + Send + std::fmt::Debug + 'static {
    /// Type in the API.
    const KIND: &'static str;
    /// Virtual slot.
    fn slot(&self) -> VirtualSlot;
    /// Whether the partition needs it.
    fn required(&self) -> bool;
    /// The table.
    fn elements() -> &'static [Element<AdapterView<Self>>];
}

impl<A: Adapter> AdapterView<A> {
    fn location(&self) -> Option<String> {
        Some(location(&self.hosted, self.hosted.entry.partition.id, self.adapter.slot()))
    }
}

/// Location code of a virtual slot: `U8286.41A.2166661-V3-C2`.
fn location(hosted: &Hosted, partition: PartitionId, slot: VirtualSlot) -> String {
    let identity = &hosted.system.hardware.identity;
    format!("U{}.{}-V{partition}-C{slot}", identity.type_model.replace('-', "."), identity.serial_number)
}

fn connector<A: Adapter>(view: &AdapterView<A>) -> Option<String> {
    view.location()
}

fn local_partition<A: Adapter>(view: &AdapterView<A>) -> Option<String> {
    some(view.hosted.entry.partition.id)
}

fn required<A: Adapter>(view: &AdapterView<A>) -> Option<String> {
    boolean(view.adapter.required())
}

fn varied_on<A: Adapter>(view: &AdapterView<A>) -> Option<String> {
    boolean(view.hosted.entry.runtime.state.holds_resources())
}

fn slot<A: Adapter>(view: &AdapterView<A>) -> Option<String> {
    some(view.adapter.slot())
}

type Ethernet = AdapterView<VirtualEthernetAdapter>;

impl Ethernet {
    fn switch_path(&self) -> Option<String> {
        let id = switch_id(&self.hosted.system, &self.adapter.virtual_switch);
        Some(self.hosted.links.to(&format!("{}/VirtualSwitch/{id}", system_path(&self.hosted.system))))
    }

    fn switch_number(&self) -> Option<String> {
        let mut names = self.hosted.system.virtual_switches();
        some(names.position(|name| *name == self.adapter.virtual_switch)?)
    }

    fn network_links(&self) -> Vec<String> {
        let system = &self.hosted.system;
        let vlans =
            [self.adapter.port_vlan_id].into_iter().chain(self.adapter.additional_vlan_ids.iter().copied());
        let id = |vlan| network_id(system, &self.adapter.virtual_switch, vlan);
        vlans
            .map(|vlan| self.hosted.links.to(&format!("{}/VirtualNetwork/{}", system_path(system), id(vlan))))
            .collect()
    }
}

fn mac_address(view: &Ethernet) -> Option<String> {
    view.adapter.mac_address.map(|address| address.to_string().to_uppercase())
}

fn allowed_addresses(view: &Ethernet) -> Option<String> {
    some(match view.adapter.allowed_mac_addresses.as_str() {
        "" | "all" => "ALL".to_owned(),
        "none" => "NONE".to_owned(),
        list => list.replace('/', " ").to_uppercase(),
    })
}

fn priority_enabled(view: &Ethernet) -> Option<String> {
    boolean(!matches!(view.adapter.quality_of_service.as_str(), "" | "none"))
}

fn tagged(view: &Ethernet) -> Option<String> {
    let vlans: Vec<String> = view.adapter.additional_vlan_ids.iter().map(ToString::to_string).collect();
    Some(vlans.join(" ")).filter(|vlans| !vlans.is_empty())
}

/// Elements of a client network adapter in the order of recorded answers.
pub static CLIENT_NETWORK_ADAPTER: &[Element<Ethernet>] = &[
    text("DynamicReconfigurationConnectorName", "CUD", connector),
    text("LocationCode", "ROR", connector),
    text("LocalPartitionID", "CUR", local_partition),
    text("RequiredAdapter", "CUD", required),
    text("VariedOn", "CUD", varied_on).excluded(),
    text("VirtualSlotNumber", "COD", slot),
    text("AllowedOperatingSystemMACAddresses", "CUD", allowed_addresses),
    text("MACAddress", "CUR", mac_address),
    text("PortVLANID", "CUR", |view| some(view.adapter.port_vlan_id)),
    text("QualityOfServicePriority", "CUD", |view| {
        view.adapter.quality_of_service.parse::<u8>().ok().and_then(some)
    }),
    text("QualityOfServicePriorityEnabled", "CUD", priority_enabled),
    text("TaggedVLANIDs", "CUA", tagged),
    text("TaggedVLANSupported", "CUA", |view| boolean(view.adapter.ieee)),
    links("AssociatedVirtualSwitch", "CUD", |view| view.switch_path().into_iter().collect()),
    text("VirtualSwitchID", "ROR", Ethernet::switch_number),
    links("VirtualNetworks", "CUR", Ethernet::network_links),
];

static TRUNK: &[Element<Ethernet>] = &[
    text("DynamicReconfigurationConnectorName", "CUD", connector),
    text("LocationCode", "ROR", connector),
    text("LocalPartitionID", "CUR", local_partition),
    text("RequiredAdapter", "CUD", required),
    text("VariedOn", "CUD", varied_on).excluded(),
    text("VirtualSlotNumber", "COD", slot),
    text("AllowedOperatingSystemMACAddresses", "CUD", allowed_addresses),
    text("MACAddress", "CUR", mac_address),
    text("PortVLANID", "CUR", |view| some(view.adapter.port_vlan_id)),
    text("QualityOfServicePriorityEnabled", "CUD", priority_enabled),
    text("TaggedVLANIDs", "CUA", tagged),
    text("TaggedVLANSupported", "CUA", |view| boolean(view.adapter.ieee)),
    links("AssociatedVirtualSwitch", "CUD", |view| view.switch_path().into_iter().collect()),
    text("VirtualSwitchID", "ROR", Ethernet::switch_number),
    text("TrunkPriority", "CUD", |view| view.adapter.trunk_priority.and_then(some)),
];

/// Writes the trunk adapters of a Virtual I/O Server.
pub fn write_trunks(hosted: &Hosted, writer: &mut XmlWriter, groups: Groups) {
    let current = hosted.entry.partition.current.iter();
    for adapter in current.flat_map(|content| &content.ethernet_adapters) {
        if adapter.trunk_priority.is_some() {
            let view = AdapterView { hosted: hosted.clone(), adapter: adapter.clone() };
            write_inner("TrunkAdapter", TRUNK, &view, groups, writer);
        }
    }
}

fn remote_id(remote: &Remote) -> Option<String> {
    match remote {
        Remote::Partition { id, .. } => id.and_then(some),
        Remote::Any => None,
    }
}

fn remote_slot(slot: RemoteSlot) -> Option<String> {
    match slot {
        RemoteSlot::Slot(slot) => some(slot),
        RemoteSlot::Any | RemoteSlot::Unset => None,
    }
}

type Scsi = AdapterView<VirtualScsiAdapter>;

/// Elements of a virtual SCSI client adapter.
pub static SCSI_CLIENT: &[Element<Scsi>] = &[
    text("AdapterType", "ROR", |_| some("Client")),
    text("DynamicReconfigurationConnectorName", "CUD", connector),
    text("LocationCode", "ROR", connector),
    text("LocalPartitionID", "CUR", local_partition),
    text("RequiredAdapter", "CUD", required),
    text("VariedOn", "CUD", varied_on).excluded(),
    text("VirtualSlotNumber", "COD", slot),
    text("RemoteLogicalPartitionID", "CUR", |view| remote_id(&view.adapter.remote)),
    text("RemoteSlotNumber", "CUR", |view| remote_slot(view.adapter.remote_slot)),
];

type FibreChannel = AdapterView<VirtualFibreChannelAdapter>;

fn server_location(view: &FibreChannel) -> Option<String> {
    match (&view.adapter.remote, view.adapter.remote_slot) {
        (Remote::Partition { id: Some(id), .. }, RemoteSlot::Slot(slot)) => {
            Some(location(&view.hosted, *id, slot))
        }
        _ => None,
    }
}

static FIBRE_CHANNEL_SERVER: &[Element<FibreChannel>] = &[
    text("AdapterType", "ROR", |_| some("Server")),
    text("DynamicReconfigurationConnectorName", "CUD", server_location),
    text("LocationCode", "ROR", server_location),
    text("LocalPartitionID", "CUR", |view| remote_id(&view.adapter.remote)),
    text("VirtualSlotNumber", "COD", |view| remote_slot(view.adapter.remote_slot)),
    text("ConnectingPartitionID", "CUR", local_partition),
    text("ConnectingVirtualSlotNumber", "CUR", slot),
    text("UniqueDeviceID", "CUR", |view| server_location(view).map(|location| format!("1d{location}"))),
];

/// Elements of a virtual Fibre Channel client adapter in the order of recorded answers.
pub static FIBRE_CHANNEL_CLIENT: &[Element<FibreChannel>] = &[
    text("AdapterType", "ROR", |_| some("Client")),
    text("DynamicReconfigurationConnectorName", "CUD", connector),
    text("LocationCode", "ROR", connector),
    text("LocalPartitionID", "CUR", local_partition),
    text("RequiredAdapter", "CUD", required),
    text("VariedOn", "CUD", varied_on).excluded(),
    text("VirtualSlotNumber", "COD", slot),
    text("ConnectingPartitionID", "CUR", |view| remote_id(&view.adapter.remote)),
    text("ConnectingVirtualSlotNumber", "CUR", |view| remote_slot(view.adapter.remote_slot)),
    section_if("ServerAdapter", "CUR", |view| server_location(view).is_some(), FIBRE_CHANNEL_SERVER),
    text("WWPNs", "CUR", |view| view.adapter.port_names.map(|(one, two)| format!("{one} {two}"))),
];

macro_rules! adapter {
    ($type:ty, $kind:literal, $table:ident) => {
        impl Adapter for $type {
            const KIND: &'static str = $kind;

            fn slot(&self) -> VirtualSlot {
                self.slot
            }

            fn required(&self) -> bool {
                self.required
            }

            fn elements() -> &'static [Element<AdapterView<Self>>] {
                $table
            }
        }
    };
}

adapter!(VirtualEthernetAdapter, "ClientNetworkAdapter", CLIENT_NETWORK_ADAPTER);
adapter!(VirtualScsiAdapter, "VirtualSCSIClientAdapter", SCSI_CLIENT);
adapter!(VirtualFibreChannelAdapter, "VirtualFibreChannelClientAdapter", FIBRE_CHANNEL_CLIENT);

impl<A: Adapter> Object for AdapterView<A> {
    fn kind(&self) -> &'static str {
        A::KIND
    }

    fn id(&self) -> String {
        adapter_id(A::KIND, self.hosted.entry.partition.uuid, self.adapter.slot())
    }

    fn path(&self) -> String {
        let partition = &self.hosted.entry.partition;
        format!("{}/{}/{}", partition_path(partition.environment, partition.uuid), A::KIND, self.id())
    }

    fn version(&self) -> String {
        let running = self.hosted.entry.runtime.rmc == RmcState::Active;
        format!("{:?} {} {}", self.adapter, self.hosted.entry.runtime.state.holds_resources(), running)
    }

    fn write(&self, writer: &mut XmlWriter, groups: Groups) {
        write(A::elements(), self, groups, writer);
    }
}
