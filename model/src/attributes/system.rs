//! `lssyscfg -r sys`.

use std::sync::Arc;

use super::{Attribute, Change, Table, Value};
use crate::system::{ManagedSystem, SystemState};

/// A row of `lssyscfg -r sys`.
#[derive(Clone, Debug)]
pub struct SystemRow {
    /// The system.
    pub system: Arc<ManagedSystem>,
    /// Wall-clock time of the system, `MM/DD/YYYY HH:MM:SS`.
    pub time: String,
    /// Address of the service processor.
    pub address: String,
}

/// What the service processor cannot tell while the system is off.
fn live(row: &SystemRow, value: impl FnOnce(&ManagedSystem) -> Value) -> Value {
    if matches!(row.system.state, SystemState::PowerOff | SystemState::NoConnection) {
        Value::of("unavailable")
    } else {
        value(&row.system)
    }
}

macro_rules! capability {
    ($name:literal, $help:literal) => {
        Attribute::new($name, $help, |row: &SystemRow| Value::flag(row.system.hardware.capable($name)))
    };
    ($name:literal, $help:literal, older) => {
        // Listed only for machines that can have it: POWER7 and before.
        Attribute::new($name, $help, |row: &SystemRow| {
            if row.system.hardware.family < crate::hardware::ProcessorFamily::Power8 {
                Value::flag(row.system.hardware.capable($name))
            } else {
                Value::NotApplicable
            }
        })
    };
}

macro_rules! constant {
    ($name:literal, $value:literal, $help:literal) => {
        Attribute::new($name, $help, |_: &SystemRow| Value::of($value))
    };
}

/// Attributes of a managed system, in the order captured from a V10R3 console with a POWER9 system; what only older
/// machines have stands where a V7R7.9 console showed it.
pub static SYSTEM: Table<SystemRow> = Table {
    name: "sys",
    attributes: &[
        Attribute::new("name", "User-defined name of the managed system.", |row: &SystemRow| {
            Value::of(&row.system.settings.name)
        }),
        Attribute::new("type_model", "Machine type and model.", |row: &SystemRow| {
            Value::of(&row.system.hardware.identity.type_model)
        }),
        Attribute::new("serial_num", "Serial number.", |row: &SystemRow| {
            Value::of(&row.system.hardware.identity.serial_number)
        }),
        Attribute::new("ipaddr", "Address of the service processor.", |row: &SystemRow| {
            Value::of(&row.address)
        }),
        constant!("sp_type", "fsp", "Kind of service processor."),
        Attribute::new("state", "State of the managed system.", |row: &SystemRow| {
            Value::of(row.system.state.word())
        }),
        constant!("state_detail", "", "More about the state."),
        constant!("detailed_state", "None", "More about the state."),
        Attribute::new("sys_time", "Time of day of the managed system.", |row: &SystemRow| {
            live(row, |_| Value::of(&row.time))
        }),
        Attribute::new(
            "power_off_policy",
            "1: power off after all partitions are shut down.",
            |row: &SystemRow| live(row, |system| Value::flag(system.settings.power_off_policy)),
        )
        .change(Change::Anytime),
        capability!("active_lpar_mobility_capable", "Can take part in live migrations."),
        capability!("inactive_lpar_mobility_capable", "Can take part in inactive migrations."),
        capability!(
            "active_lpar_share_idle_procs_capable",
            "Running partitions can lend dedicated processors."
        ),
        capability!("active_mem_expansion_capable", "Active memory expansion."),
        capability!("hardware_active_mem_expansion_capable", "Active memory expansion in hardware."),
        capability!("active_mem_mirroring_hypervisor_capable", "Mirrored hypervisor memory."),
        capability!("active_mem_sharing_capable", "Active memory sharing."),
        capability!("addr_broadcast_perf_policy_capable", "Address broadcast policy."),
        capability!("aix_capable", "AIX and Linux partitions."),
        capability!("bsr_capable", "Barrier synchronization registers.", older),
        capability!("capi_capable", "Coherent accelerators."),
        capability!("cod_mem_capable", "Capacity on demand for memory."),
        capability!("cod_proc_capable", "Capacity on demand for processors."),
        capability!("dynamic_platform_optimization_capable", "Dynamic platform optimizer."),
        capability!("electronic_err_reporting_capable", "Electronic error reporting."),
        capability!("firmware_power_saver_capable", "Power saving by firmware."),
        capability!("hardware_power_saver_capable", "Power saving by hardware."),
        capability!("hardware_discovery_capable", "Hardware discovery."),
        capability!("hca_capable", "Host channel adapters.", older),
        capability!("huge_page_mem_capable", "Huge pages."),
        capability!("lhea_capable", "Logical host Ethernet adapters.", older),
        capability!("lpar_avail_priority_capable", "Partition availability priority."),
        capability!("lpar_proc_compat_mode_capable", "Processor compatibility modes."),
        capability!("lpar_remote_restart_capable", "Remote restart."),
        capability!("powervm_lpar_simplified_remote_restart_capable", "Simplified remote restart."),
        capability!(
            "dynamic_simplified_remote_restart_toggle_capable",
            "Simplified remote restart changes while running."
        ),
        capability!("powervm_lpar_remote_restart_capable", "Remote restart with reserved storage devices."),
        capability!("lpar_suspend_capable", "Suspend and resume."),
        capability!("micro_lpar_capable", "Shared processors."),
        capability!("os400_capable", "IBM i partitions."),
        capability!("5250_application_capable", "5250 applications."),
        capability!("os400_native_io_capable", "IBM i with native I/O."),
        capability!("redundant_err_path_reporting_capable", "Redundant error path reporting."),
        capability!("shared_eth_failover_capable", "Shared Ethernet adapter failover."),
        capability!("sni_msg_passing_capable", "Switch network interface.", older),
        capability!("sp_failover_capable", "Service processor failover."),
        capability!("vet_activation_capable", "Virtualization engine technology codes."),
        capability!("virtual_fc_capable", "Virtual Fibre Channel."),
        capability!("virtual_io_server_capable", "Virtual I/O Servers."),
        capability!("virtual_switch_capable", "More than one virtual switch."),
        capability!("vsn_phase2_capable", "Virtual station interfaces, phase 2."),
        capability!("vsi_on_veth_capable", "Virtual station interfaces on virtual Ethernet."),
        constant!("assign_5250_cpw_percent", "null", "5250 capacity to assign."),
        Attribute::new("max_lpars", "Most partitions.", |row: &SystemRow| {
            Value::of(row.system.hardware.maximum_partitions)
        }),
        constant!("max_power_ctrl_lpars", "1", "Most power controlling partitions of one partition."),
        constant!("service_lpar_id", "none", "Service partition."),
        Attribute::new(
            "lpar_proc_compat_modes",
            "Processor compatibility modes that partitions may ask for.",
            |row: &SystemRow| {
                Value::List(
                    row.system
                        .hardware
                        .family
                        .compatibility_modes()
                        .iter()
                        .map(|&mode| mode.to_owned())
                        .collect(),
                )
            },
        ),
        Attribute::new("curr_sys_keylock", "Keylock position.", |row: &SystemRow| {
            live(row, |system| Value::of(system.settings.keylock.word()))
        }),
        Attribute::new("pend_sys_keylock", "Keylock position at the next power-on.", |row: &SystemRow| {
            live(row, |system| Value::of(system.settings.keylock.word()))
        }),
        Attribute::new("curr_power_on_side", "Side of the firmware in use.", |row: &SystemRow| {
            Value::of(if row.system.firmware().runs_temporary { "temp" } else { "perm" })
        }),
        Attribute::new(
            "pend_power_on_side",
            "Side of the firmware at the next power-on.",
            |row: &SystemRow| Value::of(if row.system.settings.temporary_side { "temp" } else { "perm" }),
        )
        .change(Change::Anytime),
        constant!("curr_power_on_speed", "fast", "Power-on speed in use."),
        constant!("pend_power_on_speed", "fast", "Power-on speed at the next power-on."),
        constant!("power_on_type", "power on", "Cause of the last power-on."),
        constant!("power_on_option", "standby", "State that the last power-on led to."),
        Attribute::new(
            "power_on_lpar_start_policy",
            "What starts at power-on: autostart, userinit, autorecovery.",
            |row: &SystemRow| Value::of(row.system.settings.start_policy.word()),
        )
        .change(Change::Anytime),
        constant!("pend_power_on_option", "standby", "State that the next power-on leads to."),
        Attribute::new(
            "pend_power_on_lpar_start_policy",
            "What starts at the next power-on.",
            |row: &SystemRow| Value::of(row.system.settings.start_policy.word()),
        )
        .change(Change::Anytime),
        constant!("power_on_method", "02", "How the last power-on was asked for."),
        constant!("power_on_attr", "0000", "Attributes of the last power-on."),
        constant!("sp_boot_attr", "0000", "Attributes of the service processor's boot."),
        constant!("sp_boot_major_type", "08", "Kind of the service processor's boot."),
        constant!("sp_boot_minor_type", "01", "Kind of the service processor's boot."),
        Attribute::new("sp_version", "Version of the service processor's interface.", |row: &SystemRow| {
            Value::of(match row.system.hardware.family {
                family if family >= crate::hardware::ProcessorFamily::Power9 => "00090005",
                family if family >= crate::hardware::ProcessorFamily::Power8 => "00080000",
                _ => "00070000",
            })
        })
        .unverified(),
        constant!("mfg_default_config", "0", "1: the system is as it left the factory."),
        constant!("curr_mfg_default_ipl_source", "a", "IPL source of a factory-default system."),
        constant!("pend_mfg_default_ipl_source", "a", "IPL source at the next power-on."),
        constant!("curr_mfg_default_boot_mode", "norm", "Boot mode of a factory-default system."),
        constant!("pend_mfg_default_boot_mode", "norm", "Boot mode at the next power-on."),
        constant!("max_vtpm_lpars", "0", "Most partitions with a virtual trusted platform module."),
        constant!("supported_vtpm_versions", "none", "Versions of virtual trusted platform modules."),
        constant!("cluster_serial_num", "none", "Serial number of the cluster."),
        constant!("peer_collective_serial_num", "none", "Serial number of the collective."),
        constant!("lpar_keystore_min_kbytes", "0", "Smallest platform keystore.")
            .since(super::Release(9, 1, 9, 40)),
        constant!("lpar_keystore_max_kbytes", "0", "Largest platform keystore.")
            .since(super::Release(9, 1, 9, 40)),
        Attribute::new("description", "Free text.", |row: &SystemRow| {
            Value::of(&row.system.settings.description)
        })
        .change(Change::Anytime),
        Attribute::new("uuid", "UUID.", |row: &SystemRow| Value::of(row.system.hardware.uuid)).on_request(),
        Attribute::new("new_name", "New user-defined name.", |_: &SystemRow| Value::NotApplicable)
            .unlisted()
            .change(Change::Anytime),
    ],
};
