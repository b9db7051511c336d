//! What a system is capable of, from the same flags as `lssyscfg -r sys` shows.

use super::SystemView;
use crate::element::{Element, text};
use crate::resource::{boolean, some};

macro_rules! capability {
    ($name:literal, $flag:literal) => {
        text($name, "ROO", |view: &SystemView| view.capable($flag))
    };
}

/// `AssociatedSystemCapabilities`.
pub static CAPABILITIES: &[Element<SystemView>] = &[
    capability!("ActiveLogicalPartitionMobilityCapable", "active_lpar_mobility_capable"),
    capability!("ActiveLogicalPartitionSharedIdeProcessorsCapable", "active_lpar_share_idle_procs_capable"),
    capability!("ActiveMemoryExpansionCapable", "active_mem_expansion_capable"),
    capability!("ActiveMemoryMirroringCapable", "active_mem_mirroring_hypervisor_capable"),
    capability!("ActiveMemorySharingCapable", "active_mem_sharing_capable"),
    capability!("AddressBroadcastPolicyCapable", "addr_broadcast_perf_policy_capable"),
    text("AIXCapable", "ROO", |view| {
        some(if view.system.hardware.capable("aix_capable") { "Active" } else { "Inactive" })
    }),
    capability!("BarrierSynchronizationRegisterCapable", "bsr_capable"),
    capability!("CapacityOnDemandMemoryCapable", "cod_mem_capable"),
    capability!("CapacityOnDemandProcessorCapable", "cod_proc_capable"),
    text("CAPICapable", "ROR", |view: &SystemView| view.capable("capi_capable")).since(3, 0),
    capability!("ElectronicErrorReportingCapable", "electronic_err_reporting_capable"),
    capability!("FirmwarePowerSaverCapable", "firmware_power_saver_capable"),
    capability!("HardwareDiscoveryCapable", "hardware_discovery_capable"),
    capability!("HardwareMemoryCompressionCapable", "hardware_active_mem_expansion_capable"),
    capability!("HardwarePowerSaverCapable", "hardware_power_saver_capable"),
    capability!("HostChannelAdapterCapable", "hca_capable"),
    capability!("HugePageMemoryCapable", "huge_page_mem_capable"),
    capability!("IBMiCapable", "os400_capable"),
    capability!("IBMiLogicalPartitionMobilityCapable", "os400_lpar_mobility_capable"),
    capability!("IBMiLogicalPartitionSuspendCapable", "os400_lpar_suspend_capable"),
    capability!("IBMiRestrictedIOModeCapable", "os400_restricted_io_mode_capable"),
    capability!("InactiveLogicalPartitionMobilityCapable", "inactive_lpar_mobility_capable"),
    capability!("LinuxCapable", "linux_capable"),
    capability!("LogicalHostEthernetAdapterCapable", "lhea_capable"),
    capability!("LogicalPartitionAffinityGroupCapable", "lpar_affinity_group_capable"),
    capability!("LogicalPartitionAvailabilityPriorityCapable", "lpar_avail_priority_capable"),
    capability!("LogicalPartitionProcessorCompatibilityModeCapable", "lpar_proc_compat_mode_capable"),
    capability!("LogicalPartitionRemoteRestartCapable", "lpar_remote_restart_capable"),
    capability!("LogicalPartitionSuspendCapable", "lpar_suspend_capable"),
    capability!("MicroLogicalPartitionCapable", "micro_lpar_capable"),
    text("PowerVMLogicalPartitionSimplifiedRemoteRestartCapable", "ROO", |view: &SystemView| {
        view.capable("powervm_lpar_simplified_remote_restart_capable")
    })
    .since(2, 0),
    capability!("RedundantErrorPathReportingCapable", "redundant_err_path_reporting_capable"),
    capability!("ServiceProcessorFailoverCapable", "sp_failover_capable"),
    capability!("SharedEthernetFailoverCapable", "shared_eth_failover_capable"),
    capability!("SharedProcessorPoolCapable", "shared_proc_pool_capable"),
    capability!("SRIOVCapable", "sriov_capable"),
    capability!("SwitchNetworkInterfaceMessagePassingCapable", "sni_msg_passing_capable"),
    capability!("Telnet5250ApplicationCapable", "5250_application_capable"),
    capability!("VirtualFiberChannelCapable", "virtual_fc_capable"),
    capability!("VirtualIOServerCapable", "virtual_io_server_capable"),
    capability!("VirtualizationEngineTechnologiesActivationCapable", "vet_activation_capable"),
    capability!("VirtualServerNetworkingPhase2Capable", "vsn_phase2_capable"),
    capability!("VirtualSwitchCapable", "virtual_switch_capable"),
    capability!("VirtualTrustedPlatformModuleCapable", "vtpm_capable"),
    text("VirtualEthernetCustomMACAddressCapable", "ROR", |view: &SystemView| {
        view.capable("virtual_eth_custom_mac_addr_capable")
    }),
    text("VirtualNICDedicatedSRIOVCapable", "ROO", |view: &SystemView| {
        boolean(view.firmware_gives_vnic(840))
    })
    .since(3, 0),
    text("DynamicPlatformOptimizationCapable", "ROO", |view: &SystemView| {
        view.capable("dynamic_platform_optimization_capable")
    })
    .since(3, 0),
    text("VirtualNICFailOverCapable", "ROO", |view: &SystemView| boolean(view.firmware_gives_vnic(860)))
        .since(4, 0),
    text("DynamicSimplifiedRemoteRestartToggleCapable", "ROO", |view: &SystemView| {
        view.capable("dynamic_simplified_remote_restart_toggle_capable")
    })
    .since(5, 0),
    text("IBMiNativeIOCapable", "ROO", |view: &SystemView| view.capable("os400_native_io_capable"))
        .since(5, 0),
];
