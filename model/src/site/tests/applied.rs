//! The shipped sites' partitions pass the rules of creation, as the first start applies them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ManagedSystemDescription, SHIPPED, shipped_site};
use crate::ids::{MacAddress, PartitionId, PartitionUuid, SystemUuid, WorldWidePortName};
use crate::partition::{ReferenceCodes, Usage};
use crate::rules::PartitionLookup;
use crate::rules::creation::{Creation, create_partition};
use crate::system::{ManagedSystem, SystemSettings};

/// The partitions created so far, by name and by ID.
#[derive(Default)]
struct Created {
    ids: BTreeMap<String, PartitionId>,
    names: BTreeMap<PartitionId, String>,
}

impl PartitionLookup for Created {
    fn id_of(&self, name: &str) -> Option<PartitionId> {
        self.ids.get(name).copied()
    }

    fn name_of(&self, id: PartitionId) -> Option<String> {
        self.names.get(&id).cloned()
    }

    fn mac_address_holder(&self, _address: MacAddress) -> Option<PartitionUuid> {
        None
    }

    fn port_name_holder(&self, _name: WorldWidePortName) -> Option<PartitionUuid> {
        None
    }

    fn slot_holder(&self, _drc_index: u32) -> Option<PartitionId> {
        None
    }

    fn free_id(&self) -> Option<PartitionId> {
        (1..u16::MAX).map(PartitionId).find(|id| !self.names.contains_key(id))
    }
}

fn apply(site: &str, description: &ManagedSystemDescription) {
    let hardware = Arc::new(description.hardware(SystemUuid::from_random(1)));
    let mut system = ManagedSystem {
        settings: SystemSettings::new(&hardware, true),
        hardware,
        state: description.initial_state,
        usage: Usage::default(),
        reference_codes: ReferenceCodes::default(),
        partition_count: 0,
    };
    let mut created = Created::default();
    for (index, initial) in description.partitions.iter().enumerate() {
        let record = description.creation_record(initial);
        let assignments = crate::record::parse_record(&record).expect("a record");
        let creation = Creation {
            system: &system,
            lookup: &created,
            uuid: PartitionUuid::from_random(index as u128),
            installation: Some(initial.installation(description.management.network)),
        };
        let (partition, settings) = match create_partition(&assignments, &creation) {
            Ok(made) => made,
            Err(refusal) => panic!("{site}: {}: {}: {refusal:?}", description.name, initial.name),
        };
        assert_eq!((partition.id, &partition.name), (initial.id, &initial.name));
        assert_eq!(partition.environment, initial.environment);
        created.ids.insert(partition.name.clone(), partition.id);
        created.names.insert(partition.id, partition.name);
        system.settings = settings;
        system.partition_count += 1;
    }
}

#[test]
fn every_initial_partition_of_every_shipped_site_can_be_created() {
    for (name, _) in SHIPPED {
        for system in &shipped_site(name).managed_systems {
            apply(name, system);
        }
    }
}
