//! `VirtualSwitch` and `VirtualNetwork`.

use std::sync::Arc;

use serde_json::json;
use varan_model::partition::PartitionEntry;
use varan_model::rules::virtual_network;
use varan_model::system::ManagedSystem;

use super::{Links, Object, QuickValue, boolean, network_id, some, switch_id, system_path};
use crate::element::{Element, links, reference, text, write};
use crate::query::Groups;
use crate::xml::XmlWriter;

pub use varan_model::rules::virtual_network::VirtualNetwork as Network;

/// The virtual networks of a system, by switch and VLAN.
pub fn networks(entries: &[PartitionEntry]) -> Vec<Network> {
    virtual_network::networks(entries.iter().filter_map(|entry| entry.partition.current.as_ref()))
}

/// A virtual switch.
pub struct SwitchView {
    /// Links.
    pub links: Arc<Links>,
    /// System.
    pub system: Arc<ManagedSystem>,
    /// Number.
    pub number: usize,
    /// Name.
    pub name: String,
    /// Its networks.
    pub networks: Vec<Network>,
}

/// Elements of a virtual switch in the order of recorded answers.
pub static SWITCH: &[Element<SwitchView>] = &[
    text("SwitchID", "ROR", |view| some(view.number)),
    // Other modes come with the fabric.
    text("SwitchMode", "CUD", |_| some("Veb")),
    text("SwitchName", "CUD", |view| some(&view.name)),
    links("VirtualNetworks", "CUD", |view| {
        let path = system_path(&view.system);
        let id = |network: &Network| network_id(&view.system, &network.switch, network.vlan);
        view.networks.iter().map(|one| view.links.to(&format!("{path}/VirtualNetwork/{}", id(one)))).collect()
    }),
];

impl Object for SwitchView {
    fn kind(&self) -> &'static str {
        "VirtualSwitch"
    }

    fn id(&self) -> String {
        switch_id(&self.system, &self.name)
    }

    fn path(&self) -> String {
        format!("{}/VirtualSwitch/{}", system_path(&self.system), self.id())
    }

    fn version(&self) -> String {
        format!("{} {} {:?}", self.number, self.name, self.networks)
    }

    fn write(&self, writer: &mut XmlWriter, groups: Groups) {
        write(SWITCH, self, groups, writer);
    }

    fn quick(&self) -> Option<Vec<QuickValue>> {
        Some(vec![
            ("UUID", json!(self.id())),
            ("SwitchName", json!(self.name)),
            ("SwitchID", json!(self.number)),
            ("SwitchMode", json!("Veb")),
        ])
    }
}

/// A virtual network of a system.
pub struct NetworkView {
    /// Links.
    pub links: Arc<Links>,
    /// System.
    pub system: Arc<ManagedSystem>,
    /// Number of the switch.
    pub switch_number: usize,
    /// Network.
    pub network: Network,
}

/// Elements of a virtual network in the order of recorded answers.
pub static NETWORK: &[Element<NetworkView>] = &[
    reference("AssociatedSwitch", "COD", |view| {
        let id = switch_id(&view.system, &view.network.switch);
        Some(view.links.to(&format!("{}/VirtualSwitch/{id}", system_path(&view.system))))
    }),
    text("NetworkName", "CUR", |view| some(view.network.name())),
    text("NetworkVLANID", "COD", |view| some(view.network.vlan)),
    text("VswitchID", "ROR", |view| some(view.switch_number)),
    text("VirtualSwitchName", "ROR", |view: &NetworkView| some(&view.network.switch)).since(12, 0),
    text("TaggedNetwork", "COD", |view| boolean(view.network.tagged)),
];

impl Object for NetworkView {
    fn kind(&self) -> &'static str {
        "VirtualNetwork"
    }

    fn id(&self) -> String {
        network_id(&self.system, &self.network.switch, self.network.vlan)
    }

    fn path(&self) -> String {
        format!("{}/VirtualNetwork/{}", system_path(&self.system), self.id())
    }

    fn version(&self) -> String {
        format!("{} {:?}", self.switch_number, self.network)
    }

    fn write(&self, writer: &mut XmlWriter, groups: Groups) {
        write(NETWORK, self, groups, writer);
    }

    fn quick(&self) -> Option<Vec<QuickValue>> {
        Some(vec![
            ("UUID", json!(self.id())),
            ("NetworkName", json!(self.network.name())),
            ("NetworkVLANID", json!(self.network.vlan)),
            ("VswitchID", json!(self.switch_number)),
            ("TaggedNetwork", json!(self.network.tagged.to_string())),
        ])
    }
}
