//! `lssyscfg -r lpar`.

use std::sync::Arc;

use super::{Attribute, Change, Release, Table, Value};
use crate::configuration::PartitionEnvironment;
use crate::hardware::ProcessorFamily;
use crate::partition::{PartitionEntry, PartitionState, RmcState};
use crate::system::ManagedSystem;

/// A row of `lssyscfg -r lpar`.
#[derive(Clone, Debug)]
pub struct PartitionRow {
    /// Managed system that hosts the partition.
    pub system: Arc<ManagedSystem>,
    /// The partition.
    pub entry: PartitionEntry,
}

impl PartitionRow {
    /// The state that is shown: a frame that is down shows all its partitions as `Not Available`.
    #[must_use]
    pub fn state(&self) -> PartitionState {
        if self.system.state.shows_partitions() {
            self.entry.runtime.state
        } else {
            PartitionState::NotAvailable
        }
    }

    fn environment(&self) -> PartitionEnvironment {
        self.entry.partition.environment
    }

    /// A digit or letter of the partition number, as the logical serial number ends with it.
    #[must_use]
    pub fn logical_serial_number(&self) -> String {
        // The real algorithm is not public: the machine's serial number and one character per partition number.
        const DIGITS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUVWXYZ";
        let mut number = usize::from(self.entry.partition.id.0);
        let mut suffix = String::new();
        while number > 0 {
            suffix.insert(0, char::from(DIGITS[number % DIGITS.len()]));
            number /= DIGITS.len();
        }
        format!("{}{suffix}", self.system.hardware.identity.serial_number)
    }

    /// Processor compatibility mode in force.
    #[must_use]
    pub fn current_mode(&self) -> &str {
        match self.entry.partition.settings.compatibility_mode.as_str() {
            "default" => self.system.hardware.family.native_mode(),
            mode => mode,
        }
    }

    fn rmc_active(&self) -> bool {
        self.entry.runtime.rmc == RmcState::Active
    }
}

fn not_for_servers(row: &PartitionRow, value: Value) -> Value {
    if row.environment() == PartitionEnvironment::VirtualIoServer { Value::NotApplicable } else { value }
}

fn only_servers(row: &PartitionRow, value: Value) -> Value {
    if row.environment() == PartitionEnvironment::VirtualIoServer { value } else { Value::NotApplicable }
}

fn ids(row: &PartitionRow) -> Value {
    Value::list(row.entry.partition.settings.power_control.iter().map(ToString::to_string).collect())
}

/// Attributes of a partition, in the order captured from a V8 console with a POWER8 system.
pub static PARTITION: Table<PartitionRow> = Table {
    name: "lpar",
    attributes: &[
        Attribute::new("name", "Name.", |row: &PartitionRow| Value::of(&row.entry.partition.name))
            .change(Change::AtCreation),
        Attribute::new("lpar_id", "Number within the managed system.", |row: &PartitionRow| {
            Value::of(row.entry.partition.id)
        })
        .change(Change::AtCreation),
        Attribute::new("lpar_env", "Kind: aixlinux, vioserver, os400.", |row: &PartitionRow| {
            Value::of(row.environment().word())
        })
        .change(Change::AtCreation),
        Attribute::new("state", "State.", |row: &PartitionRow| Value::of(row.state().word())),
        Attribute::new("resource_config", "1: has a current configuration.", |row: &PartitionRow| {
            Value::flag(row.entry.partition.current.is_some())
        }),
        Attribute::new("os_version", "Operating system as it told through RMC.", |row: &PartitionRow| {
            let system = row.entry.runtime.operating_system.as_ref();
            Value::of(system.map_or("Unknown", |system| system.version.as_str()))
        }),
        Attribute::new("logical_serial_num", "Serial number of the partition.", |row: &PartitionRow| {
            Value::of(row.logical_serial_number())
        }),
        Attribute::new("default_profile", "Profile used when none is named.", |row: &PartitionRow| {
            Value::of(&row.entry.partition.default_profile)
        }),
        Attribute::new(
            "curr_profile",
            "Profile that was last applied or activated.",
            |row: &PartitionRow| Value::of(&row.entry.partition.current_profile),
        ),
        Attribute::new("work_group_id", "Workload group.", |row: &PartitionRow| {
            Value::or_none(row.entry.partition.settings.work_group)
        })
        .change(Change::Anytime),
        Attribute::new(
            "shared_proc_pool_util_auth",
            "1: may see the pool's utilization.",
            |row: &PartitionRow| Value::flag(row.entry.partition.settings.pool_utilization_authority),
        )
        .change(Change::Anytime),
        Attribute::new(
            "allow_perf_collection",
            "1: may collect performance information.",
            |row: &PartitionRow| Value::flag(row.entry.partition.settings.allow_performance_collection),
        )
        .change(Change::Anytime),
        Attribute::new("power_ctrl_lpar_ids", "Partitions that may power this one on and off.", ids)
            .change(Change::Anytime),
        Attribute::new("boot_mode", "Boot mode: norm, dd, ds, of, sms.", |row: &PartitionRow| {
            not_for_servers(row, Value::of(row.entry.partition.settings.boot_mode.word()))
        })
        .change(Change::Anytime),
        Attribute::new("ipl_source", "IPL source (IBM i).", |_: &PartitionRow| Value::NotApplicable)
            .on_request(),
        Attribute::new("lpar_keylock", "Keylock position.", |row: &PartitionRow| {
            Value::of(row.entry.partition.settings.keylock.word())
        }),
        Attribute::new("auto_start", "1: starts with the managed system.", |row: &PartitionRow| {
            Value::flag(row.entry.partition.settings.auto_start)
        })
        .change(Change::Anytime),
        Attribute::new(
            "redundant_err_path_reporting",
            "1: reports common server errors.",
            |row: &PartitionRow| Value::flag(row.entry.partition.settings.redundant_error_path),
        )
        .change(Change::Anytime),
        Attribute::new("rmc_state", "RMC connection: active, inactive.", |row: &PartitionRow| {
            Value::of(if row.rmc_active() { "active" } else { "inactive" })
        }),
        Attribute::new("rmc_ipaddr", "Address that RMC uses.", |row: &PartitionRow| {
            let system = row.entry.runtime.operating_system.as_ref().filter(|_| row.rmc_active());
            Value::of(
                system
                    .and_then(|system| system.address)
                    .map(|address| address.to_string())
                    .unwrap_or_default(),
            )
        }),
        Attribute::new("rmc_osshutdown_capable", "1: osshutdown works.", |row: &PartitionRow| {
            Value::flag(row.rmc_active())
        })
        .on_request(),
        Attribute::new("dlpar_mem_capable", "1: memory changes while running.", |row: &PartitionRow| {
            Value::flag(row.rmc_active())
        })
        .on_request(),
        Attribute::new("dlpar_proc_capable", "1: processors change while running.", |row: &PartitionRow| {
            Value::flag(row.rmc_active())
        })
        .on_request(),
        Attribute::new("dlpar_io_capable", "1: I/O changes while running.", |row: &PartitionRow| {
            Value::flag(row.rmc_active())
        })
        .on_request(),
        Attribute::new("time_ref", "1: time reference of the frame.", |row: &PartitionRow| {
            Value::flag(row.entry.partition.settings.time_reference)
        })
        .change(Change::Anytime),
        Attribute::new(
            "lpar_avail_priority",
            "Priority when processors fail, 0 to 255.",
            |row: &PartitionRow| Value::of(row.entry.partition.settings.availability_priority),
        )
        .change(Change::Anytime),
        Attribute::new("msp", "1: mover service partition.", |row: &PartitionRow| {
            only_servers(row, Value::flag(row.entry.partition.settings.mover_service_partition))
        })
        .change(Change::Anytime),
        Attribute::new(
            "desired_lpar_proc_compat_mode",
            "Wanted processor compatibility mode.",
            |row: &PartitionRow| Value::of(&row.entry.partition.settings.compatibility_mode),
        ),
        Attribute::new(
            "curr_lpar_proc_compat_mode",
            "Processor compatibility mode in force.",
            |row: &PartitionRow| Value::of(row.current_mode()),
        ),
        Attribute::new("suspend_capable", "1: can be suspended.", |row: &PartitionRow| {
            not_for_servers(row, Value::flag(row.entry.partition.settings.suspend_capable))
        })
        .change(Change::WhenShutDown),
        Attribute::new(
            "remote_restart_capable",
            "1: remote restart with a reserved device.",
            |row: &PartitionRow| Value::flag(row.entry.partition.settings.remote_restart_capable),
        )
        .change(Change::WhenShutDown),
        Attribute::new(
            "simplified_remote_restart_capable",
            "1: simplified remote restart.",
            |row: &PartitionRow| Value::flag(row.entry.partition.settings.simplified_remote_restart_capable),
        )
        .change(Change::WhenShutDown)
        .since(Release(8, 8, 2, 0)),
        Attribute::new(
            "sync_curr_profile",
            "Dynamic changes reach the current profile: 0 never, 1 always, 2 from the next activation.",
            |row: &PartitionRow| Value::of(row.entry.partition.settings.synchronization.word()),
        )
        .change(Change::Anytime),
        Attribute::new("affinity_group_id", "Affinity group.", |row: &PartitionRow| {
            Value::or_none(row.entry.partition.settings.affinity_group)
        })
        .change(Change::Anytime),
        Attribute::new("vtpm_enabled", "1: has a virtual trusted platform module.", |row: &PartitionRow| {
            if row.system.hardware.family >= ProcessorFamily::Power7 {
                Value::flag(false)
            } else {
                Value::NotApplicable
            }
        }),
        Attribute::new(
            "powervm_mgmt_capable",
            "1: may become the managing partition.",
            |row: &PartitionRow| Value::flag(row.entry.partition.settings.management_capable),
        )
        .change(Change::Anytime)
        .on_request()
        .since(Release(8, 8, 4, 0)),
        Attribute::new("migration_disabled", "1: may not be moved.", |row: &PartitionRow| {
            Value::flag(row.entry.partition.settings.migration_disabled)
        })
        .change(Change::Anytime)
        .on_request(),
        Attribute::new("description", "Free text.", |row: &PartitionRow| {
            Value::of(&row.entry.partition.settings.description)
        })
        .change(Change::Anytime)
        .on_request(),
        Attribute::new("uuid", "UUID.", |row: &PartitionRow| Value::of(row.entry.partition.uuid))
            .on_request(),
        Attribute::new("new_name", "New name.", |_: &PartitionRow| Value::NotApplicable)
            .unlisted()
            .change(Change::Anytime),
        Attribute::new(
            "profile_name",
            "At creation, the name of the first profile; later, the new default profile.",
            |_: &PartitionRow| Value::NotApplicable,
        )
        .unlisted()
        .change(Change::Anytime),
    ],
};
