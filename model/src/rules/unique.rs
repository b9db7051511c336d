//! What is unique in the world and not only on one managed system: MAC addresses and port names that a definition
//! states, and the names of managed systems.
//!
//! A machine knows only its own. Whoever asks it for a change that states a new one asks the other machines first; each
//! holds the name for that change until it is made. What a machine will generate later must not be given away on another
//! machine: a number that lies ahead of its counter is reserved, and the generators pass over it.

use serde::{Deserialize, Serialize};

use super::addresses::{mac_address, port_name_pair};
use super::{PartitionLookup, validity};
use crate::codes::MessageKey;
use crate::configuration::Configuration;
use crate::ids::{MacAddress, MachineIdentity, PartitionUuid, SystemUuid, WorldWidePortName};
use crate::refusal::Refusal;
use crate::system::{ManagedSystem, SystemSettings};

/// Numbers ahead of a machine's counters that other machines may use: far above what people type, small enough for the
/// record of the settings.
pub const RESERVED_MAX: usize = 4_096;

/// Something that only one noun of the world may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UniqueName {
    /// A MAC address of a virtual Ethernet adapter.
    MacAddress(MacAddress),
    /// A port name of a virtual Fibre Channel adapter.
    PortName(WorldWidePortName),
    /// The name of a managed system.
    System(String),
}

/// Who may have a unique name more than once: source and target definition of one partition share theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Holder {
    /// A partition, wherever it is defined.
    Partition(PartitionUuid),
    /// A managed system.
    System(SystemUuid),
}

impl UniqueName {
    /// The refusal of one that is used.
    #[must_use]
    pub fn used(&self) -> Refusal {
        match self {
            Self::MacAddress(address) => Refusal::new(MessageKey::MacAddressUsed).with(address),
            Self::PortName(name) => Refusal::new(MessageKey::PortNameUsed).with(name),
            Self::System(name) => Refusal::new(MessageKey::SystemNameUsed).with(name),
        }
    }

    /// The place in the machine's series that generates this one; `None` where the machine never generates it.
    fn counter(&self, identity: &MachineIdentity) -> Option<u32> {
        let after = |number: u64, first: u64, last: u64| {
            (first..=last).contains(&number).then(|| u32::try_from(number - first).unwrap_or(u32::MAX))
        };
        match self {
            Self::MacAddress(address) => {
                let first = mac_address(identity, 0).0;
                after(address.0, first, mac_address(identity, u32::MAX).0)
            }
            Self::PortName(name) => {
                let first = port_name_pair(identity, 0).0.0;
                let last = port_name_pair(identity, u32::MAX >> 1).1.0;
                after(name.0, first, last).map(|number| number / 2)
            }
            Self::System(_) => None,
        }
    }

    fn generated(&self, settings: &SystemSettings) -> u32 {
        match self {
            Self::PortName(_) => settings.port_name_pairs_generated,
            _ => settings.mac_addresses_generated,
        }
    }

    /// Whether the machine generated this one between two states of its settings.
    #[must_use]
    pub fn generated_between(
        &self,
        identity: &MachineIdentity,
        before: &SystemSettings,
        after: &SystemSettings,
    ) -> bool {
        self.counter(identity)
            .is_some_and(|counter| (self.generated(before)..self.generated(after)).contains(&counter))
            && !before.reserved_names.contains(self)
    }
}

/// The unique names that a configuration states and that `owner` does not have yet.
pub fn newly_stated<'a>(
    content: &'a Configuration,
    owner: PartitionUuid,
    lookup: &'a dyn PartitionLookup,
) -> impl Iterator<Item = UniqueName> + 'a {
    let addresses = validity::mac_addresses(content)
        .filter(move |address| lookup.mac_address_holder(*address) != Some(owner))
        .map(UniqueName::MacAddress);
    let names = validity::port_names(content)
        .filter(move |name| lookup.port_name_holder(*name) != Some(owner))
        .map(UniqueName::PortName);
    addresses.chain(names)
}

/// Checks that nobody on this machine has one of the names but who is to have it.
///
/// # Errors
/// The first that is used.
pub fn check_free(
    names: &[(Holder, UniqueName)],
    system: &ManagedSystem,
    lookup: &dyn PartitionLookup,
) -> Result<(), Refusal> {
    for (holder, name) in names {
        let another = |found: Option<PartitionUuid>| {
            found.is_some_and(|partition| Holder::Partition(partition) != *holder)
        };
        let used = match name {
            UniqueName::MacAddress(address) => another(lookup.mac_address_holder(*address)),
            UniqueName::PortName(port) => another(lookup.port_name_holder(*port)),
            UniqueName::System(name) => {
                Holder::System(system.hardware.uuid) != *holder && system.answers_to(name)
            }
        };
        if used {
            return Err(name.used());
        }
    }
    Ok(())
}

/// The settings after names that this machine would generate later were given to somebody else; `None` where it would
/// generate none of them.
///
/// # Errors
/// The name beyond [`RESERVED_MAX`] is refused as used.
pub fn reserve(
    system: &ManagedSystem,
    names: &[(Holder, UniqueName)],
) -> Result<Option<SystemSettings>, Refusal> {
    let (identity, settings) = (&system.hardware.identity, &system.settings);
    let ahead = |name: &&UniqueName| {
        name.counter(identity).is_some_and(|counter| counter >= name.generated(settings))
            && !settings.reserved_names.contains(*name)
    };
    let fresh: Vec<&UniqueName> = names.iter().map(|(_, name)| name).filter(ahead).collect();
    let Some(first) = fresh.first() else { return Ok(None) };
    let mut changed = settings.clone();
    // What the counters have passed is never generated again.
    changed
        .reserved_names
        .retain(|name| name.counter(identity).is_some_and(|counter| counter >= name.generated(settings)));
    if changed.reserved_names.len() + fresh.len() > RESERVED_MAX {
        return Err(first.used());
    }
    changed.reserved_names.extend(fresh.into_iter().cloned());
    Ok(Some(changed))
}

#[cfg(test)]
mod tests {
    use super::super::addresses::{generate_mac_addresses, generate_port_names};
    use super::super::tests_support::{TwoServers, system};
    use super::*;
    use crate::adapters::{Element, VirtualEthernetAdapter, VirtualFibreChannelAdapter};

    fn mac(text: &str) -> UniqueName {
        UniqueName::MacAddress(text.parse().expect("address"))
    }

    #[test]
    fn a_name_is_free_used_or_shared() {
        let system = system();
        let nine = Holder::Partition(PartitionUuid::from_random(9));
        let other = Holder::Partition(PartitionUuid::from_random(8));
        let own = Holder::System(system.hardware.uuid);
        let site_name = UniqueName::System(system.hardware.site_name.clone());
        let machine = UniqueName::System(system.hardware.identity.to_string());
        let port = UniqueName::PortName(WorldWidePortName(0xBEEF));
        for (name, holder, refused) in [
            (mac("00000000beef"), other, None),
            (mac("00000000dead"), other, Some("HSCL0564")),
            (mac("00000000dead"), nine, None),
            (port.clone(), other, Some("HSCL0565")),
            (port, nine, None),
            (site_name.clone(), other, Some("HSCL0580")),
            (site_name, own, None),
            (machine, other, Some("HSCL0580")),
            (UniqueName::System("another".to_owned()), other, None),
        ] {
            let result = check_free(&[(holder, name.clone())], &system, &TwoServers);
            match (result, refused) {
                (Ok(()), None) => {}
                (Err(refusal), Some(code)) if refusal.to_string().starts_with(code) => {}
                (result, _) => panic!("{name:?}: {result:?}"),
            }
        }
    }

    #[test]
    fn what_another_machine_got_is_never_generated() {
        let mut system = system();
        let identity = system.hardware.identity.clone();
        let ahead = mac_address(&identity, 1);
        let pair = port_name_pair(&identity, 0);
        let somebody = |name| (Holder::Partition(PartitionUuid::from_random(5)), name);
        let names = [UniqueName::MacAddress(ahead), UniqueName::PortName(pair.1), mac("0a0102030405")];
        let names = names.map(somebody);
        let settings = reserve(&system, &names).expect("reserved").expect("changed");
        assert_eq!(settings.reserved_names.len(), 2);
        system.settings = settings.clone();
        assert_eq!(reserve(&system, &names), Ok(None), "once is enough");
        let mut content = Configuration::default();
        for slot in ["2/0/1//0/0", "3/0/1//0/0"] {
            content.ethernet_adapters.push(VirtualEthernetAdapter::parse(slot).expect("adapter"));
        }
        content
            .fibre_channel_adapters
            .push(VirtualFibreChannelAdapter::parse("4/client/1//5//0").expect("adapter"));
        let mut after = settings.clone();
        let reserved = |name: UniqueName| settings.reserved_names.contains(&name);
        generate_mac_addresses(&mut content, None, &identity, &mut after, &|address| {
            reserved(UniqueName::MacAddress(address))
        });
        generate_port_names(&mut content, &identity, &mut after, &|name| {
            reserved(UniqueName::PortName(name))
        });
        assert!(validity::mac_addresses(&content).all(|address| address != ahead));
        assert_eq!(content.fibre_channel_adapters[0].port_names, Some(port_name_pair(&identity, 1)));
        for address in validity::mac_addresses(&content) {
            assert!(UniqueName::MacAddress(address).generated_between(&identity, &settings, &after));
        }
        // The reserved one lies between the counters, and was not generated all the same.
        assert!(!UniqueName::MacAddress(ahead).generated_between(&identity, &settings, &after));
        // The next reservation forgets what was passed.
        system.settings = after;
        let later = UniqueName::MacAddress(mac_address(&identity, 77));
        let settings = reserve(&system, &[somebody(later.clone())]).expect("reserved").expect("changed");
        assert_eq!(settings.reserved_names.into_iter().collect::<Vec<_>>(), [later]);
    }

    #[test]
    fn reservations_have_a_bound() {
        let mut system = system();
        let identity = system.hardware.identity.clone();
        let somebody = Holder::Partition(PartitionUuid::from_random(5));
        let names: Vec<(Holder, UniqueName)> = (0..u32::try_from(RESERVED_MAX).expect("small"))
            .map(|counter| (somebody, UniqueName::MacAddress(mac_address(&identity, counter))))
            .collect();
        system.settings = reserve(&system, &names).expect("reserved").expect("changed");
        let beyond = [(somebody, UniqueName::MacAddress(mac_address(&identity, 100_000)))];
        assert!(reserve(&system, &beyond).is_err());
    }
}
