//! Virtual adapters: `ClientNetworkAdapter`, `VirtualSCSIClientAdapter`, `VirtualFibreChannelClientAdapter`, and those that
//! stand in the document of a Virtual I/O Server: trunk adapters and both ends of its mappings.

use varan_model::adapters::{
    AdapterSide, Remote, RemoteSlot, VirtualEthernetAdapter, VirtualFibreChannelAdapter, VirtualScsiAdapter,
};
use varan_model::configuration::Configuration;
use varan_model::ids::{PartitionId, VirtualSlot};

use super::{Hosted, Object, adapter_id, boolean, network_id, partition_path, some, switch_id, system_path};
use crate::element::{Element, Outline, links, objects, outline_inner, reference, text, write, write_inner};
use crate::query::Groups;
use crate::xml::XmlWriter;

/// What stands for any partition and any slot.
const ANY: &str = "65535";

/// One adapter of a partition.
#[derive(Clone)]
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
    /// Those of a configuration.
    fn all(content: &Configuration) -> &[Self];
    /// Virtual slot.
    fn slot(&self) -> VirtualSlot;
    /// Whether the partition needs it.
    fn required(&self) -> bool;
    /// Its side, partition and slot at the other end; `None` for a kind without.
    fn pairing(&self) -> Option<(AdapterSide, &Remote, RemoteSlot)>;
    /// The table.
    fn elements() -> &'static [Element<AdapterView<Self>>];
}

impl<A: Adapter> AdapterView<A> {
    fn location(&self) -> Option<String> {
        Some(location(&self.hosted, self.hosted.entry.partition.id, self.adapter.slot()))
    }

    /// Location code of the other end, if it is known.
    fn remote_location(&self) -> Option<String> {
        match self.adapter.pairing()? {
            (_, Remote::Partition { id: Some(id), .. }, RemoteSlot::Slot(slot)) => {
                Some(location(&self.hosted, *id, slot))
            }
            _ => None,
        }
    }

    /// The adapter at the other end, if the partition there has one.
    pub fn counterpart(&self) -> Option<Self> {
        let (side, Remote::Partition { id: Some(id), .. }, RemoteSlot::Slot(slot)) =
            self.adapter.pairing()?
        else {
            return None;
        };
        let entry = self.hosted.peers.find(*id)?;
        let content = entry.partition.current.as_ref()?;
        let fits =
            |one: &&A| one.slot() == slot && one.pairing().is_some_and(|(other_side, ..)| other_side != side);
        let adapter = A::all(content).iter().find(fits)?.clone();
        Some(Self { hosted: Hosted { entry, ..self.hosted.clone() }, adapter })
    }

    /// Link to the partition at the other end, below its system.
    pub(super) fn connecting_partition(&self) -> Option<String> {
        let (_, Remote::Partition { id: Some(id), .. }, _) = self.adapter.pairing()? else { return None };
        let entry = self.hosted.peers.find(*id)?;
        let path = partition_path(entry.partition.environment, entry.partition.uuid);
        Some(self.hosted.links.to(&format!("{}/{path}", system_path(&self.hosted.system))))
    }

    fn unique_id(&self, prefix: &str) -> Option<String> {
        self.location().map(|location| format!("{prefix}{location}"))
    }
}

/// Location code of a virtual slot: `U8286.41A.2166661-V3-C2`.
fn location(hosted: &Hosted, partition: PartitionId, slot: VirtualSlot) -> String {
    let identity = &hosted.system.hardware.identity;
    format!("U{}.{}-V{partition}-C{slot}", identity.type_model.replace('-', "."), identity.serial_number)
}

fn remote_partition<A: Adapter>(view: &AdapterView<A>) -> Option<String> {
    match view.adapter.pairing()?.1 {
        Remote::Partition { id, .. } => id.and_then(some),
        Remote::Any => some(ANY),
    }
}

fn remote_slot<A: Adapter>(view: &AdapterView<A>) -> Option<String> {
    match view.adapter.pairing()?.2 {
        RemoteSlot::Slot(slot) => some(slot),
        RemoteSlot::Any => some(ANY),
        RemoteSlot::Unset => None,
    }
}

fn varied_on<A: Adapter>(view: &AdapterView<A>) -> Option<String> {
    boolean(view.hosted.entry.runtime.state.holds_resources())
}

fn has_counterpart<A: Adapter>(view: &AdapterView<A>) -> bool {
    view.counterpart().is_some()
}

/// A table: what comes first, what every adapter has, and the rest.
macro_rules! adapter_elements {
    ([$($first:expr),*], $($further:expr),* $(,)?) => {
        &[
            $($first,)*
            text("DynamicReconfigurationConnectorName", "CUD", AdapterView::location),
            text("LocationCode", "ROR", AdapterView::location),
            text("LocalPartitionID", "CUR", |view| some(view.hosted.entry.partition.id)),
            text("RequiredAdapter", "CUD", |view| boolean(view.adapter.required())),
            text("VariedOn", "CUD", varied_on).excluded(),
            text("VirtualSlotNumber", "COD", |view| some(view.adapter.slot())),
            $($further),*
        ]
    };
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

    /// The network of the port VLAN; those of tagged VLANs are not listed, as recorded.
    fn network_links(&self) -> Vec<String> {
        let system = &self.hosted.system;
        let id = network_id(system, &self.adapter.virtual_switch, self.adapter.port_vlan_id);
        vec![self.hosted.links.to(&format!("{}/VirtualNetwork/{id}", system_path(system)))]
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
pub static CLIENT_NETWORK_ADAPTER: &[Element<Ethernet>] = adapter_elements![
    [],
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

static TRUNK: &[Element<Ethernet>] = adapter_elements![
    [],
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

/// What [`write_trunks`] writes.
pub fn outline_trunks(prefix: &str, found: &mut Vec<Outline>) {
    outline_inner("TrunkAdapter", TRUNK, prefix, found);
}

type Scsi = AdapterView<VirtualScsiAdapter>;
type FibreChannel = AdapterView<VirtualFibreChannelAdapter>;

fn side<A: Adapter>(view: &AdapterView<A>) -> Option<String> {
    view.adapter
        .pairing()
        .and_then(|(side, ..)| some(if side == AdapterSide::Client { "Client" } else { "Server" }))
}

pub(super) static SCSI_END: &[Element<Scsi>] = adapter_elements![
    [text("AdapterType", "ROR", side)],
    text("RemoteLogicalPartitionID", "CUR", remote_partition),
    text("RemoteSlotNumber", "CUA", remote_slot),
    text("ServerLocationCode", "CUR", AdapterView::remote_location),
];

pub(super) static SCSI_SERVER: &[Element<Scsi>] = adapter_elements![
    [text("AdapterType", "ROR", side)],
    text("RemoteLogicalPartitionID", "CUR", remote_partition),
    text("RemoteSlotNumber", "CUA", remote_slot),
    text("ServerLocationCode", "CUR", AdapterView::remote_location),
    text("UniqueDeviceID", "ROR", |view| view.unique_id("1e")),
];

/// Elements of a virtual SCSI client adapter in the order of recorded answers.
pub static SCSI_CLIENT: &[Element<Scsi>] = adapter_elements![
    [text("AdapterType", "ROR", side)],
    text("RemoteLogicalPartitionID", "CUR", remote_partition),
    text("RemoteSlotNumber", "CUA", remote_slot),
    text("ServerLocationCode", "CUR", AdapterView::remote_location),
    objects(
        "ServerAdapter",
        "CUD",
        |view: &Scsi, writer, groups| {
            if let Some(server) = view.counterpart() {
                write(SCSI_END, &server, groups, writer);
            }
        },
        |prefix, found| crate::element::outline(SCSI_END, prefix, found),
    )
    .present(has_counterpart),
    reference("ConnectingPartition", "CUR", AdapterView::connecting_partition).since(3, 0),
];

pub(super) static FIBRE_CHANNEL_CLIENT_END: &[Element<FibreChannel>] = adapter_elements![
    [text("AdapterType", "ROR", side)],
    text("ConnectingPartitionID", "CUR", remote_partition),
    text("ConnectingVirtualSlotNumber", "CUR", remote_slot),
    text("WWPNs", "CUR", port_names),
];

pub(super) static FIBRE_CHANNEL_SERVER: &[Element<FibreChannel>] = adapter_elements![
    [text("AdapterType", "ROR", side)],
    text("ConnectingPartitionID", "CUR", remote_partition),
    text("ConnectingVirtualSlotNumber", "CUR", remote_slot),
    text("UniqueDeviceID", "CUR", |view| view.unique_id("1d")),
];

fn port_names(view: &FibreChannel) -> Option<String> {
    view.adapter.port_names.map(|(one, two)| format!("{one} {two}"))
}

/// Elements of a virtual Fibre Channel client adapter in the order of recorded answers.
pub static FIBRE_CHANNEL_CLIENT: &[Element<FibreChannel>] = adapter_elements![
    [text("AdapterType", "ROR", side)],
    reference("ConnectingPartition", "CUR", AdapterView::connecting_partition),
    text("ConnectingPartitionID", "CUR", remote_partition),
    text("ConnectingVirtualSlotNumber", "CUR", remote_slot),
    objects(
        "ServerAdapter",
        "CUR",
        |view: &FibreChannel, writer, groups| {
            if let Some(server) = view.counterpart() {
                write(FIBRE_CHANNEL_SERVER, &server, groups, writer);
            }
        },
        |prefix, found| crate::element::outline(FIBRE_CHANNEL_SERVER, prefix, found),
    )
    .present(has_counterpart),
    text("WWPNs", "CUR", port_names),
];

macro_rules! adapter {
    ($type:ty, $kind:literal, $table:ident, $list:ident, $pairing:expr) => {
        impl Adapter for $type {
            const KIND: &'static str = $kind;

            fn all(content: &Configuration) -> &[Self] {
                &content.$list
            }

            fn slot(&self) -> VirtualSlot {
                self.slot
            }

            fn required(&self) -> bool {
                self.required
            }

            fn pairing(&self) -> Option<(AdapterSide, &Remote, RemoteSlot)> {
                let pairing: fn(&Self) -> Option<(AdapterSide, &Remote, RemoteSlot)> = $pairing;
                pairing(self)
            }

            fn elements() -> &'static [Element<AdapterView<Self>>] {
                $table
            }
        }
    };
}

adapter!(VirtualEthernetAdapter, "ClientNetworkAdapter", CLIENT_NETWORK_ADAPTER, ethernet_adapters, |_| None);
adapter!(VirtualScsiAdapter, "VirtualSCSIClientAdapter", SCSI_CLIENT, scsi_adapters, |one| Some((
    one.side,
    &one.remote,
    one.remote_slot
)));
adapter!(
    VirtualFibreChannelAdapter,
    "VirtualFibreChannelClientAdapter",
    FIBRE_CHANNEL_CLIENT,
    fibre_channel_adapters,
    |one| Some((one.side, &one.remote, one.remote_slot))
);

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
        let own = |view: &Self| {
            let runs = view.hosted.entry.runtime.state.holds_resources();
            format!("{:?} {runs} {}", view.adapter, view.hosted.entry.partition.uuid)
        };
        let other = self.counterpart().as_ref().map(own);
        format!("{} {:?} {:?}", own(self), other, self.connecting_partition())
    }

    fn write(&self, writer: &mut XmlWriter, groups: Groups) {
        write(A::elements(), self, groups, writer);
    }
}
