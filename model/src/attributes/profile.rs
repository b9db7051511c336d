//! `lssyscfg -r prof`: what a profile or the last valid configuration holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ibm_i::of_ibm_i;
use super::{Attribute, Change, Release, Table, Value};
use crate::configuration::{Configuration, PartitionEnvironment, ProcessorMode, SharedMemory};
use crate::hardware::ProcessorFamily;
use crate::ids::PartitionId;
use crate::partition::{Partition, Profile};
use crate::system::ManagedSystem;

/// Names of the partitions that the rows' adapters refer to.
pub type RemoteNames = BTreeMap<PartitionId, String>;

/// A row of `lssyscfg -r prof`.
#[derive(Clone, Debug)]
pub struct ProfileRow {
    /// Managed system.
    pub system: Arc<ManagedSystem>,
    /// Partition of the profile.
    pub partition: Arc<Partition>,
    /// The profile.
    pub profile: Arc<Profile>,
    /// Names of remote partitions.
    pub names: Arc<RemoteNames>,
}

impl ProfileRow {
    fn content(&self) -> &Configuration {
        &self.profile.configuration
    }

    fn name_of(&self, id: PartitionId) -> String {
        self.names.get(&id).cloned().unwrap_or_default()
    }

    /// Memory and processors are not stated by a profile that takes everything.
    fn stated(&self, value: Value) -> Value {
        if self.content().all_resources { Value::NotApplicable } else { value }
    }

    fn shared(&self, value: Value) -> Value {
        let shared = self.content().processor_mode == ProcessorMode::Shared;
        if shared { self.stated(value) } else { Value::NotApplicable }
    }

    fn shared_memory(&self, read: impl FnOnce(&SharedMemory) -> Value) -> Value {
        self.content().shared_memory.as_deref().map_or(Value::NotApplicable, read)
    }

    fn aix_linux(&self, value: Value) -> Value {
        if self.partition.environment == PartitionEnvironment::AixLinux {
            value
        } else {
            Value::NotApplicable
        }
    }

    fn family(&self) -> ProcessorFamily {
        self.system.hardware.family
    }

    fn since_family(&self, family: ProcessorFamily, value: Value) -> Value {
        if self.family() >= family { value } else { Value::NotApplicable }
    }

    fn until_family(&self, family: ProcessorFamily, value: Value) -> Value {
        if self.family() <= family { value } else { Value::NotApplicable }
    }
}

fn none() -> Value {
    Value::of("none")
}

fn expansion(content: &Configuration) -> Value {
    Value::of(crate::units::ProcessingUnits(content.memory_expansion))
}

macro_rules! paging {
    ($attribute:literal, $field:ident, name) => {
        Attribute::new($attribute, "Paging Virtual I/O Server of shared memory.", |row: &ProfileRow| {
            row.shared_memory(|shared| Value::or_none(shared.$field.map(|id| row.name_of(id))))
        })
        .change(Change::Anytime)
    };
    ($attribute:literal, $field:ident, id) => {
        Attribute::new($attribute, "Paging Virtual I/O Server of shared memory.", |row: &ProfileRow| {
            row.shared_memory(|shared| Value::or_none(shared.$field))
        })
        .change(Change::Anytime)
    };
}

macro_rules! adapters {
    ($name:literal, $field:ident, $help:literal) => {
        Attribute::new($name, $help, |row: &ProfileRow| {
            Value::list(Configuration::print_all(&row.content().$field, &|id| row.name_of(id)))
        })
        .change(Change::Anytime)
    };
}

macro_rules! tag {
    ($name:literal, $field:ident, $help:literal) => {
        Attribute::new($name, $help, |row: &ProfileRow| {
            of_ibm_i(row.partition.environment, row.content(), |stated| Value::of(stated.$field))
        })
        .change(Change::Anytime)
        .unverified()
    };
}

/// Attributes of a profile. The order is that of seed passage P201 (POWER7); what only newer machines or consoles have
/// stands where a V10R3 console showed it.
pub static PROFILE: Table<ProfileRow> = Table {
    name: "prof",
    attributes: &[
        Attribute::new("name", "Name of the profile.", |row: &ProfileRow| Value::of(&row.profile.name))
            .change(Change::AtCreation),
        Attribute::new("lpar_name", "Partition.", |row: &ProfileRow| Value::of(&row.partition.name)),
        Attribute::new("lpar_id", "Number of the partition.", |row: &ProfileRow| Value::of(row.partition.id)),
        Attribute::new("lpar_env", "Kind of the partition.", |row: &ProfileRow| {
            Value::of(row.partition.environment.word())
        }),
        Attribute::new("all_resources", "1: everything the machine has.", |row: &ProfileRow| {
            Value::flag(row.content().all_resources)
        })
        .change(Change::Anytime),
        Attribute::new("min_mem", "Least memory in MB.", |row: &ProfileRow| {
            row.stated(Value::of(row.content().minimum_memory))
        })
        .change(Change::Anytime),
        Attribute::new("desired_mem", "Wished memory in MB.", |row: &ProfileRow| {
            row.stated(Value::of(row.content().desired_memory))
        })
        .change(Change::Anytime),
        Attribute::new("max_mem", "Most memory in MB.", |row: &ProfileRow| {
            row.stated(Value::of(row.content().maximum_memory))
        })
        .change(Change::Anytime),
        Attribute::new("min_num_huge_pages", "Least number of huge pages.", |row: &ProfileRow| {
            row.aix_linux(Value::of(row.content().minimum_huge_pages))
        })
        .change(Change::Anytime),
        Attribute::new("desired_num_huge_pages", "Wished number of huge pages.", |row: &ProfileRow| {
            row.aix_linux(Value::of(row.content().desired_huge_pages))
        })
        .change(Change::Anytime),
        Attribute::new("max_num_huge_pages", "Most huge pages.", |row: &ProfileRow| {
            row.aix_linux(Value::of(row.content().maximum_huge_pages))
        })
        .change(Change::Anytime),
        Attribute::new("mem_mode", "Memory mode: ded, shared.", |row: &ProfileRow| {
            row.stated(Value::of(row.content().memory_mode.word()))
        })
        .change(Change::Anytime),
        Attribute::new("mem_expansion", "Active memory expansion factor; 0.0 is off.", |row: &ProfileRow| {
            row.since_family(ProcessorFamily::Power7, expansion(row.content()))
        })
        .change(Change::Anytime),
        Attribute::new("hpt_ratio", "Hardware page table ratio.", |row: &ProfileRow| {
            Value::of(format_args!("1:{}", row.content().hpt_ratio))
        })
        .change(Change::Anytime),
        Attribute::new("ppt_ratio", "Physical page table ratio.", |row: &ProfileRow| {
            row.since_family(
                ProcessorFamily::Power8,
                Value::of(format_args!("1:{}", row.content().ppt_ratio)),
            )
        })
        .change(Change::Anytime)
        .since(Release(9, 1, 0, 0)),
        Attribute::new(
            "desired_io_entitled_mem",
            "Memory in MB that I/O is entitled to with shared memory, or auto.",
            |row: &ProfileRow| {
                row.shared_memory(|shared| match shared.io_entitled_memory {
                    Some(megabytes) => Value::of(megabytes),
                    None => Value::of("auto"),
                })
            },
        )
        .change(Change::Anytime),
        Attribute::new("mem_weight", "Share of the shared memory pool, 0 to 255.", |row: &ProfileRow| {
            row.shared_memory(|shared| Value::of(shared.weight))
        })
        .change(Change::Anytime),
        paging!("primary_paging_vios_name", primary_paging_server, name),
        paging!("primary_paging_vios_id", primary_paging_server, id),
        paging!("secondary_paging_vios_name", secondary_paging_server, name),
        paging!("secondary_paging_vios_id", secondary_paging_server, id),
        Attribute::new("proc_mode", "Processor mode: ded, shared.", |row: &ProfileRow| {
            row.stated(Value::of(row.content().processor_mode.word()))
        })
        .change(Change::Anytime),
        Attribute::new("min_proc_units", "Least processing units.", |row: &ProfileRow| {
            row.shared(Value::of(row.content().minimum_units))
        })
        .change(Change::Anytime),
        Attribute::new("desired_proc_units", "Wished processing units.", |row: &ProfileRow| {
            row.shared(Value::of(row.content().desired_units))
        })
        .change(Change::Anytime),
        Attribute::new("max_proc_units", "Most processing units.", |row: &ProfileRow| {
            row.shared(Value::of(row.content().maximum_units))
        })
        .change(Change::Anytime),
        Attribute::new("min_procs", "Least processors.", |row: &ProfileRow| {
            row.stated(Value::of(row.content().minimum_processors))
        })
        .change(Change::Anytime),
        Attribute::new("desired_procs", "Wished processors.", |row: &ProfileRow| {
            row.stated(Value::of(row.content().desired_processors))
        })
        .change(Change::Anytime),
        Attribute::new("max_procs", "Most processors.", |row: &ProfileRow| {
            row.stated(Value::of(row.content().maximum_processors))
        })
        .change(Change::Anytime),
        Attribute::new("sharing_mode", "Sharing mode.", |row: &ProfileRow| {
            row.stated(Value::of(row.content().sharing_mode.word()))
        })
        .change(Change::Anytime),
        Attribute::new("uncap_weight", "Weight when uncapped, 0 to 255.", |row: &ProfileRow| {
            row.shared(Value::of(row.content().uncapped_weight))
        })
        .change(Change::Anytime),
        Attribute::new("shared_proc_pool_id", "Shared processor pool.", |row: &ProfileRow| {
            row.shared(Value::of(row.content().processor_pool))
        })
        .change(Change::Anytime),
        Attribute::new("shared_proc_pool_name", "Shared processor pool.", |row: &ProfileRow| {
            let pool = row.system.processor_pool(row.content().processor_pool);
            row.shared(Value::of(pool.map_or("", |pool| pool.name.as_str())))
        })
        .change(Change::Anytime),
        Attribute::new("affinity_group_id", "Affinity group.", |row: &ProfileRow| {
            Value::or_none(row.content().affinity_group)
        })
        .change(Change::Anytime),
        adapters!("io_slots", physical_slots, "Physical I/O slots: drc-index/[io-pool-id]/is-required."),
        Attribute::new("lpar_io_pool_ids", "I/O pools.", |row: &ProfileRow| {
            Value::list(row.content().io_pools.iter().map(u16::to_string).collect())
        })
        .change(Change::Anytime),
        tag!(
            "load_source_slot",
            load_source,
            "IBM i: slot of the load source: DRC index, virtual slot, none."
        ),
        tag!("alt_restart_device_slot", alternate_restart, "IBM i: slot of the alternate restart device."),
        tag!("console_slot", console, "IBM i: slot of the console, or hmc."),
        tag!("alt_console_slot", alternate_console, "IBM i: slot of the alternate console."),
        tag!("op_console_slot", operations_console, "IBM i: slot of the operations console."),
        tag!("min_5250_cpw_percent", minimum_interactive, "IBM i: least share of 5250 capacity, in percent."),
        tag!("desired_5250_cpw_percent", desired_interactive, "IBM i: wished share of 5250 capacity."),
        tag!("max_5250_cpw_percent", maximum_interactive, "IBM i: most share of 5250 capacity."),
        Attribute::new(
            "virtual_opti_pool_id",
            "IBM i: virtual OptiConnect pool, 0 for none.",
            |row: &ProfileRow| {
                of_ibm_i(row.partition.environment, row.content(), |stated| {
                    Value::of(stated.virtual_opticonnect_pool)
                })
            },
        )
        .change(Change::Anytime)
        .unverified(),
        Attribute::new("hsl_pool_id", "IBM i: 1 with HSL OptiConnect.", |row: &ProfileRow| {
            of_ibm_i(row.partition.environment, row.content(), |stated| Value::flag(stated.hsl_opticonnect))
        })
        .change(Change::Anytime)
        .unverified(),
        Attribute::new("max_virtual_slots", "One more than the highest virtual slot.", |row: &ProfileRow| {
            Value::of(row.content().maximum_virtual_slots)
        })
        .change(Change::Anytime),
        adapters!("virtual_serial_adapters", serial_adapters, "Virtual serial adapters."),
        adapters!("virtual_scsi_adapters", scsi_adapters, "Virtual SCSI adapters."),
        adapters!("virtual_eth_adapters", ethernet_adapters, "Virtual Ethernet adapters."),
        Attribute::new("virtual_eth_vsi_profiles", "Virtual station interfaces.", |row: &ProfileRow| {
            row.since_family(ProcessorFamily::Power7, none())
        })
        .change(Change::Anytime),
        adapters!("virtual_fc_adapters", fibre_channel_adapters, "Virtual Fibre Channel adapters."),
        Attribute::new("vnic_adapters", "vNICs.", |row: &ProfileRow| {
            let nics = Configuration::print_all(&row.content().virtual_nics, &|id| row.name_of(id));
            row.since_family(ProcessorFamily::Power8, Value::list(nics))
        })
        .change(Change::Anytime)
        .since(Release(9, 1, 0, 0)),
        Attribute::new("vtpm_adapters", "Virtual trusted platform modules.", |row: &ProfileRow| {
            row.since_family(ProcessorFamily::Power7, none())
        })
        .change(Change::Anytime),
        Attribute::new("hca_adapters", "Host channel adapters.", |row: &ProfileRow| {
            row.until_family(ProcessorFamily::Power7Plus, none())
        })
        .change(Change::Anytime),
        Attribute::new("boot_mode", "Boot mode: norm, dd, ds, of, sms.", |row: &ProfileRow| {
            Value::of(row.content().boot_mode.word())
        })
        .change(Change::Anytime),
        Attribute::new("conn_monitoring", "1: reports lost connections.", |row: &ProfileRow| {
            Value::flag(row.content().connection_monitoring)
        })
        .change(Change::Anytime),
        Attribute::new("auto_start", "1: starts with the managed system.", |row: &ProfileRow| {
            Value::flag(row.content().auto_start)
        })
        .change(Change::Anytime),
        Attribute::new(
            "power_ctrl_lpar_ids",
            "Partitions that may power this one on and off.",
            |row: &ProfileRow| {
                Value::list(row.content().power_control.iter().map(ToString::to_string).collect())
            },
        )
        .change(Change::Anytime),
        Attribute::new(
            "power_ctrl_lpar_names",
            "Partitions that may power this one on and off.",
            |row: &ProfileRow| {
                Value::list(row.content().power_control.iter().map(|&id| row.name_of(id)).collect())
            },
        )
        .on_request(),
        Attribute::new("work_group_id", "Workload group.", |row: &ProfileRow| {
            Value::or_none(row.content().work_group)
        })
        .change(Change::Anytime),
        Attribute::new(
            "redundant_err_path_reporting",
            "1: reports common server errors.",
            |row: &ProfileRow| Value::flag(row.content().redundant_error_path),
        )
        .change(Change::Anytime),
        Attribute::new("bsr_arrays", "Barrier synchronization register arrays.", |row: &ProfileRow| {
            row.until_family(ProcessorFamily::Power7Plus, row.aix_linux(Value::of(row.content().bsr_arrays)))
        })
        .change(Change::Anytime),
        Attribute::new(
            "virtual_vasi_adapters",
            "Virtual asynchronous services interfaces.",
            |row: &ProfileRow| {
                if row.partition.environment == PartitionEnvironment::VirtualIoServer {
                    none()
                } else {
                    Value::NotApplicable
                }
            },
        ),
        Attribute::new(
            "lpar_proc_compat_mode",
            "Wanted processor compatibility mode.",
            |row: &ProfileRow| Value::of(&row.content().compatibility_mode),
        )
        .change(Change::Anytime),
        Attribute::new("electronic_err_reporting", "Electronic error reporting.", |row: &ProfileRow| {
            row.aix_linux(Value::of("null"))
        }),
        adapters!("sriov_eth_logical_ports", ethernet_logical_ports, "SR-IOV Ethernet logical ports."),
        Attribute::new("sriov_roce_logical_ports", "SR-IOV RoCE logical ports.", |row: &ProfileRow| {
            let ports = Configuration::print_all(&row.content().roce_logical_ports, &|id| row.name_of(id));
            row.since_family(ProcessorFamily::Power9, Value::list(ports))
        })
        .change(Change::Anytime)
        .since(Release(9, 1, 9, 40)),
        Attribute::new("new_name", "New name of the profile.", |_: &ProfileRow| Value::NotApplicable)
            .unlisted()
            .change(Change::Anytime),
    ],
};
