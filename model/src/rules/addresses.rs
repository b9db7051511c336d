//! MAC addresses and WWPN pairs: generated once, never again. Removing an adapter, a profile or a partition returns
//! nothing; each addition consumes.
//!
//! Both carry 18 bits that stand for the machine and 22 bits that count, so that machines of one site never collide
//! (the site is checked for that when it is read).

use crate::adapters::AdapterSide;
use crate::configuration::Configuration;
use crate::ids::{MacAddress, MachineIdentity, WorldWidePortName};
use crate::sriov::LogicalPort;
use crate::system::SystemSettings;

/// Bits of the counter.
const COUNTER_BITS: u32 = 22;

/// 18 bits that stand for a machine: FNV-1a over its identity, folded.
#[must_use]
pub fn machine_bits(identity: &MachineIdentity) -> u64 {
    let mut hash: u64 = 0xCBF2_9CE4_8422_2325;
    for byte in identity.to_string().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    (hash ^ (hash >> 18) ^ (hash >> 36)) & 0x3_FFFF
}

/// A generated MAC address: locally administered, first byte `fa`.
#[must_use]
pub fn mac_address(identity: &MachineIdentity, counter: u32) -> MacAddress {
    MacAddress(
        (0xFA << 40)
            | (machine_bits(identity) << COUNTER_BITS)
            | u64::from(counter & ((1 << COUNTER_BITS) - 1)),
    )
}

/// A generated pair of port names: `c05076`, machine, counter.
#[must_use]
pub fn port_name_pair(identity: &MachineIdentity, counter: u32) -> (WorldWidePortName, WorldWidePortName) {
    let base = (0x00C0_5076 << 40) | (machine_bits(identity) << COUNTER_BITS);
    let first = base | u64::from((counter * 2) & ((1 << COUNTER_BITS) - 1));
    (WorldWidePortName(first), WorldWidePortName(first + 1))
}

/// Gives every Fibre Channel client adapter without port names a new pair. `taken` says whether a name is in use, because
/// a pair given explicitly may lie ahead of the counter.
pub fn generate_port_names(
    content: &mut Configuration,
    identity: &MachineIdentity,
    settings: &mut SystemSettings,
    taken: &dyn Fn(WorldWidePortName) -> bool,
) {
    for adapter in &mut content.fibre_channel_adapters {
        if adapter.side == AdapterSide::Client && adapter.port_names.is_none() {
            loop {
                let pair = port_name_pair(identity, settings.port_name_pairs_generated);
                settings.port_name_pairs_generated += 1;
                if !taken(pair.0) && !taken(pair.1) {
                    adapter.port_names = Some(pair);
                    break;
                }
            }
        }
    }
}

/// Gives every network adapter of a current configuration without a MAC address one: the one that the same slot
/// had before (`previous`), or a new one.
pub fn generate_mac_addresses(
    content: &mut Configuration,
    previous: Option<&Configuration>,
    identity: &MachineIdentity,
    settings: &mut SystemSettings,
    taken: &dyn Fn(MacAddress) -> bool,
) {
    let mut generate = |place: &mut Option<MacAddress>, before: Option<MacAddress>| {
        *place = place.or(before);
        while place.is_none() {
            let address = mac_address(identity, settings.mac_addresses_generated);
            settings.mac_addresses_generated += 1;
            if !taken(address) {
                *place = Some(address);
            }
        }
    };
    for adapter in &mut content.ethernet_adapters {
        let before = previous
            .and_then(|before| before.ethernet_adapters.iter().find(|earlier| earlier.slot == adapter.slot));
        generate(&mut adapter.mac_address, before.and_then(|earlier| earlier.mac_address));
    }
    for port in content.ethernet_logical_ports.iter_mut().chain(&mut content.roce_logical_ports) {
        let same = |earlier: &&LogicalPort| earlier.id == port.id && port.id.is_some();
        let before = previous.and_then(|before| before.logical_ports().find(same));
        generate(&mut port.mac_address, before.and_then(|earlier| earlier.mac_address));
    }
    for nic in &mut content.virtual_nics {
        let before =
            previous.and_then(|before| before.virtual_nics.iter().find(|earlier| earlier.slot == nic.slot));
        generate(&mut nic.mac_address, before.and_then(|earlier| earlier.mac_address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::{Element, VirtualEthernetAdapter, VirtualFibreChannelAdapter};

    #[test]
    fn addresses_are_generated_once_and_kept_by_slot() {
        let hardware = crate::hardware::sample();
        let mut settings = SystemSettings::new(&hardware, true);
        let mut content = Configuration::default();
        for slot in ["2/0/1//0/0", "3/0/1//0/0"] {
            content.ethernet_adapters.push(VirtualEthernetAdapter::parse(slot).expect("adapter"));
        }
        let mut first = content.clone();
        generate_mac_addresses(&mut first, None, &hardware.identity, &mut settings, &|_| false);
        let mut again = content.clone();
        generate_mac_addresses(&mut again, Some(&first), &hardware.identity, &mut settings, &|_| false);
        assert_eq!(first, again);
        assert_eq!(settings.mac_addresses_generated, 2);
        let text = first.ethernet_adapters[0].mac_address.expect("generated").to_string();
        assert!(text.starts_with("fa"), "{text}");
        generate_mac_addresses(&mut content, None, &hardware.identity, &mut settings, &|_| false);
        assert_ne!(content.ethernet_adapters[0].mac_address, first.ethernet_adapters[0].mac_address);
    }

    #[test]
    fn pairs_in_use_are_skipped() {
        let hardware = crate::hardware::sample();
        let mut settings = SystemSettings::new(&hardware, true);
        let mut content = Configuration::default();
        let client = VirtualFibreChannelAdapter::parse("4/client/1//5//0").expect("adapter");
        content.fibre_channel_adapters.push(client);
        let used = port_name_pair(&hardware.identity, 0).1;
        generate_port_names(&mut content, &hardware.identity, &mut settings, &|name| name == used);
        assert_eq!(content.fibre_channel_adapters[0].port_names, Some(port_name_pair(&hardware.identity, 1)));
        assert_eq!(settings.port_name_pairs_generated, 2);
        assert!(used.to_string().starts_with("c05076"));
    }
}
