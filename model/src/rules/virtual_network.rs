//! Virtual networks: the VLANs of virtual switches that adapters are in. They are not defined, they follow from adapters.

use std::collections::BTreeMap;

use crate::configuration::Configuration;

/// A virtual network: a VLAN of a virtual switch that some adapter is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualNetwork {
    /// Virtual switch.
    pub switch: String,
    /// VLAN.
    pub vlan: u16,
    /// Whether frames of it carry a tag at some adapter.
    pub tagged: bool,
}

impl VirtualNetwork {
    /// Its name, as the console makes it: `VLAN1-ETHERNET0`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("VLAN{}-{}", self.vlan, self.switch)
    }
}

/// The virtual networks of these configurations, by switch and VLAN.
pub fn networks<'a>(contents: impl IntoIterator<Item = &'a Configuration>) -> Vec<VirtualNetwork> {
    let mut found: BTreeMap<(&str, u16), bool> = BTreeMap::new();
    for adapter in contents.into_iter().flat_map(|content| &content.ethernet_adapters) {
        found.entry((&adapter.virtual_switch, adapter.port_vlan_id)).or_insert(false);
        for vlan in &adapter.additional_vlan_ids {
            found.insert((&adapter.virtual_switch, *vlan), true);
        }
    }
    let network = |((switch, vlan), tagged): ((&str, u16), bool)| VirtualNetwork {
        switch: switch.to_owned(),
        vlan,
        tagged,
    };
    found.into_iter().map(network).collect()
}
