//! The table of kinds. Attributes of `vioslpm0` as in the seeds' slide and captures; the others as captured from AIX.

use super::network::{
    AGGREGATION, BRIDGE, ETHERNET, INTERFACE, INTERNET, LOGICAL_PORT, LOOPBACK, NIC_SERVER, VIRTUAL_ETHERNET,
    VLAN,
};
use super::{AttributeDefinition, DeviceClass, DeviceKind, Kind, Values};
use crate::codes::Evidence::{self, Captured, Seed, Unverified};

pub(super) const YES_NO: Values = Values::OneOf(&["yes", "no"]);

pub(super) const fn fixed(
    name: &'static str,
    default: &'static str,
    description: &'static str,
) -> AttributeDefinition {
    AttributeDefinition {
        name,
        default,
        description,
        settable: false,
        values: Values::Text,
        when_closed: false,
    }
}

pub(super) const fn set(
    name: &'static str,
    default: &'static str,
    description: &'static str,
    values: Values,
) -> AttributeDefinition {
    AttributeDefinition { name, default, description, settable: true, values, when_closed: false }
}

pub(super) const fn closed(
    name: &'static str,
    default: &'static str,
    description: &'static str,
    values: Values,
) -> AttributeDefinition {
    AttributeDefinition { name, default, description, settable: true, values, when_closed: true }
}

const fn kind(
    class: DeviceClass,
    types: (&'static str, &'static str),
    prefix: &'static str,
    description: &'static str,
    attributes: &'static [AttributeDefinition],
    evidence: Evidence,
) -> Kind {
    let is_virtual = matches!(class, DeviceClass::VirtualTarget);
    Kind {
        class,
        subclass: types.0,
        unique_type: types.1,
        prefix,
        description,
        is_virtual,
        attributes,
        evidence,
    }
}

const fn virtual_kind(mut kind: Kind) -> Kind {
    kind.is_virtual = true;
    kind
}

static MOBILITY: [AttributeDefinition; 7] = [
    set(
        "cfg_msp_lpm_ops",
        "8",
        "Configured number of concurrent LPM operations for this MSP",
        Values::Number(1, 8, 1),
    ),
    set("concurrency_lvl", "3", "Concurrency level", Values::Number(1, 5, 1)),
    set("lpm_msnap_succ", "1", "Create mini-snap for successful migrations", Values::Number(0, 1, 1)),
    fixed("max_lpm_vasi", "1", "Maximum number of VASI adapters used for LPM operations"),
    fixed("max_vasi_ops", "8", "Maximum number of concurrent LPM operations per VASI"),
    set("tcp_port_high", "0", "TCP highest ephemeral port", Values::Number(0, 65_535, 1)),
    set("tcp_port_low", "0", "TCP lowest ephemeral port", Values::Number(0, 65_535, 1)),
];

static FIBRE_CHANNEL: [AttributeDefinition; 12] = [
    fixed("DIF_enabled", "no", "DIF (T10 protection) enabled"),
    fixed("bus_intr_lvl", "", "Bus interrupt level"),
    fixed("bus_io_addr", "0xff800", "Bus I/O address"),
    fixed("bus_mem_addr", "0xffe7e000", "Bus memory address"),
    closed("init_link", "auto", "INIT Link flags", Values::OneOf(&["auto", "al", "pt2pt"])),
    fixed("intr_msi_1", "", "Bus interrupt level"),
    fixed("intr_priority", "3", "Interrupt priority"),
    closed("lg_term_dma", "0x800000", "Long term DMA", Values::Hexadecimal(0x10_0000, 0x800_0000)),
    closed(
        "max_xfer_size",
        "0x100000",
        "Maximum Transfer Size",
        Values::OneOf(&["0x100000", "0x200000", "0x400000", "0x800000", "0x1000000"]),
    ),
    closed(
        "num_cmd_elems",
        "500",
        "Maximum number of COMMANDS to queue to the adapter",
        Values::Number(20, 4_096, 1),
    ),
    set("pref_alpa", "0x1", "Preferred AL_PA", Values::Hexadecimal(1, 0xef)),
    closed("sw_fc_class", "2", "FC Class for Fabric", Values::OneOf(&["2", "3"])),
];

static FIBRE_CHANNEL_PROTOCOL: [AttributeDefinition; 5] = [
    fixed("attach", "switch", "How this adapter is CONNECTED"),
    closed("dyntrk", "yes", "Dynamic Tracking of FC Devices", YES_NO),
    closed(
        "fc_err_recov",
        "fast_fail",
        "FC Fabric Event Error RECOVERY Policy",
        Values::OneOf(&["delayed_fail", "fast_fail"]),
    ),
    fixed("scsi_id", "0x10000", "Adapter SCSI ID"),
    closed("sw_fc_class", "3", "FC Class for Fabric", Values::OneOf(&["2", "3"])),
];

static FIBRE_CHANNEL_DISK: [AttributeDefinition; 28] = [
    fixed("PCM", "PCM/friend/fcpother", "Path Control Module"),
    closed("PR_key_value", "none", "Persistant Reserve Key Value", Values::Text),
    closed(
        "algorithm",
        "fail_over",
        "Algorithm",
        Values::OneOf(&["fail_over", "round_robin", "shortest_queue"]),
    ),
    closed("clr_q", "no", "Device CLEARS its Queue on error", YES_NO),
    fixed("dist_err_pcnt", "0", "Distributed Error Percentage"),
    fixed("dist_tw_width", "50", "Distributed Error Sample Time"),
    set("hcheck_cmd", "test_unit_rdy", "Health Check Command", Values::OneOf(&["test_unit_rdy", "inquiry"])),
    set("hcheck_interval", "60", "Health Check Interval", Values::Number(0, 3_600, 1)),
    set("hcheck_mode", "nonactive", "Health Check Mode", Values::OneOf(&["enabled", "failed", "nonactive"])),
    fixed("location", "", "Location Label"),
    fixed("lun_id", "", "Logical Unit Number ID"),
    closed("lun_reset_spt", "yes", "LUN Reset Supported", YES_NO),
    closed(
        "max_coalesce",
        "0x40000",
        "Maximum Coalesce Size",
        Values::OneOf(&["0x10000", "0x20000", "0x40000", "0x80000", "0x100000"]),
    ),
    closed("max_retry_delay", "60", "Maximum Quiesce Time", Values::Number(1, 300, 1)),
    closed(
        "max_transfer",
        "0x80000",
        "Maximum TRANSFER Size",
        Values::OneOf(&[
            "0x20000",
            "0x40000",
            "0x80000",
            "0x100000",
            "0x200000",
            "0x400000",
            "0x800000",
            "0x1000000",
        ]),
    ),
    fixed("node_name", "", "FC Node Name"),
    fixed("pvid", "none", "Physical volume identifier"),
    closed("q_err", "yes", "Use QERR bit", YES_NO),
    closed("q_type", "simple", "Queuing TYPE", Values::OneOf(&["none", "simple"])),
    closed("queue_depth", "20", "Queue DEPTH", Values::Number(1, 256, 1)),
    closed("reassign_to", "120", "REASSIGN time out value", Values::Number(60, 300, 1)),
    closed(
        "reserve_policy",
        "single_path",
        "Reserve Policy",
        Values::OneOf(&["no_reserve", "PR_exclusive", "PR_shared", "single_path"]),
    ),
    closed("rw_timeout", "30", "READ/WRITE time out value", Values::Number(30, 180, 1)),
    fixed("scsi_id", "", "SCSI ID"),
    closed("start_timeout", "60", "START unit time out value", Values::Number(60, 300, 1)),
    closed(
        "timeout_policy",
        "fail_path",
        "Timeout Policy",
        Values::OneOf(&["retry_path", "fail_path", "disable_path"]),
    ),
    fixed("unique_id", "", "Unique device identifier"),
    fixed("ww_name", "", "FC World Wide Name"),
];

static SAS_DISK: [AttributeDefinition; 10] = [
    fixed("PCM", "PCM/friend/sasother", "Path Control Module"),
    closed("algorithm", "fail_over", "Algorithm", Values::OneOf(&["fail_over", "round_robin"])),
    set("hcheck_cmd", "test_unit_rdy", "Health Check Command", Values::OneOf(&["test_unit_rdy", "inquiry"])),
    set("hcheck_interval", "0", "Health Check Interval", Values::Number(0, 3_600, 1)),
    set("hcheck_mode", "nonactive", "Health Check Mode", Values::OneOf(&["enabled", "failed", "nonactive"])),
    closed(
        "max_transfer",
        "0x40000",
        "Maximum TRANSFER Size",
        Values::OneOf(&["0x20000", "0x40000", "0x80000", "0x100000"]),
    ),
    fixed("pvid", "none", "Physical volume identifier"),
    closed("queue_depth", "64", "Queue DEPTH", Values::Number(1, 255, 1)),
    closed("reserve_policy", "no_reserve", "Reserve Policy", Values::OneOf(&["no_reserve", "single_path"])),
    fixed("unique_id", "", "Unique device identifier"),
];

static VIRTUAL_FIBRE_CHANNEL_SERVER: [AttributeDefinition; 6] = [
    set("alt_site_wwpn", "", "WWPN to use - Only set after migration", Values::Text),
    set("current_wwpn", "0", "WWPN to use - Only set after migration", Values::Text),
    set("enable_npiv", "yes", "Enable or disable NPIV", YES_NO),
    set("label", "", "User defined label", Values::Text),
    fixed("limit_intr", "false", "Limit NPIV Interrupt Sources"),
    set("map_port", "", "Physical FC Port", Values::Text),
];

static VIRTUAL_SCSI_SERVER: [AttributeDefinition; 2] =
    [set("label", "", "User defined label", Values::Text), fixed("mirrored", "false", "Mirrored")];

static TARGET: [AttributeDefinition; 6] = [
    fixed("LogicalUnitAddr", "", "Logical Unit Address"),
    fixed("aix_tdev", "", "Target Device Name"),
    set("allow520blocks", "no", "Allow backing devices with 520 block size", YES_NO),
    set("client_reserve", "no", "Client Reserve", YES_NO),
    fixed("mirrored", "false", "Support Data Mirroring"),
    set("vsdesc", "", "Virtual Storage Description", Values::Text),
];

static TARGET_MEDIA: [AttributeDefinition; 4] = [
    fixed("LogicalUnitAddr", "", "Logical Unit Address"),
    fixed("aix_tdev", "", "Target Device Name"),
    fixed("client_reserve", "no", "Client Reserve"),
    set("vsdesc", "", "Virtual Storage Description", Values::Text),
];

static SYSTEM: [AttributeDefinition; 8] = [
    set("autorestart", "true", "Automatically REBOOT OS after a crash", Values::OneOf(&["true", "false"])),
    set("fullcore", "false", "Enable full CORE dump", Values::OneOf(&["true", "false"])),
    fixed("fwversion", "", "Firmware version and revision levels"),
    set("iostat", "false", "Continuously maintain DISK I/O history", Values::OneOf(&["true", "false"])),
    set("maxuproc", "4096", "Maximum number of PROCESSES allowed per user", Values::Number(1, 131_072, 1)),
    fixed("modelname", "", "Machine name"),
    fixed("realmem", "", "Amount of usable physical memory in Kbytes"),
    fixed("systemid", "", "Hardware system identifier"),
];

static MEMORY: [AttributeDefinition; 2] = [
    fixed("goodsize", "", "Amount of usable physical memory in Mbytes"),
    fixed("size", "", "Total amount of physical memory in Mbytes"),
];

static PROCESSOR: [AttributeDefinition; 4] = [
    fixed("frequency", "", "Processor Speed"),
    fixed("smt_enabled", "true", "Processor SMT enabled"),
    fixed("state", "enable", "Processor state"),
    fixed("type", "", "Processor type"),
];

pub(super) fn row(wanted: DeviceKind) -> &'static Kind {
    use DeviceClass as Class;
    match wanted {
        DeviceKind::System => {
            const { &kind(Class::System, ("node", "chrp"), "sys", "System Object", &SYSTEM, Captured) }
        }
        DeviceKind::Memory => {
            const { &kind(Class::Memory, ("sys", "totmem"), "mem", "Memory", &MEMORY, Captured) }
        }
        DeviceKind::Cache => {
            const { &kind(Class::Memory, ("sys", "L2cache_rspc"), "L2cache", "L2 Cache", &[], Captured) }
        }
        DeviceKind::Processor => {
            const { &kind(Class::Processor, ("sys", "proc_rspc"), "proc", "Processor", &PROCESSOR, Captured) }
        }
        DeviceKind::VirtualBus => {
            const { &kind(Class::Bus, ("chrp", "vio"), "vio", "Virtual I/O Bus", &[], Captured) }
        }
        DeviceKind::PciBus => {
            const { &kind(Class::Bus, ("chrp", "pciex"), "pci", "PCI Express Bus", &[], Captured) }
        }
        DeviceKind::FibreChannelAdapter => {
            const {
                &kind(
                    Class::Adapter,
                    ("pciex", "df1000f114108a03"),
                    "fcs",
                    "8Gb PCI Express Dual Port FC Adapter (df1000f114108a03)",
                    &FIBRE_CHANNEL,
                    Captured,
                )
            }
        }
        DeviceKind::FibreChannelProtocol => {
            const {
                &kind(
                    Class::Driver,
                    ("efc", "efscsi"),
                    "fscsi",
                    "FC SCSI I/O Controller Protocol Device",
                    &FIBRE_CHANNEL_PROTOCOL,
                    Captured,
                )
            }
        }
        DeviceKind::EthernetAdapter => {
            const {
                &kind(
                    Class::Adapter,
                    ("pciex", "e414571614102004"),
                    "ent",
                    "4-Port Gigabit Ethernet PCI-Express Adapter (e414571614102004)",
                    &ETHERNET,
                    Captured,
                )
            }
        }
        DeviceKind::VirtualEthernetAdapter => {
            const {
                &virtual_kind(kind(
                    Class::Adapter,
                    ("vdevice", "IBM,l-lan"),
                    "ent",
                    "Virtual I/O Ethernet Adapter (l-lan)",
                    &VIRTUAL_ETHERNET,
                    Captured,
                ))
            }
        }
        DeviceKind::EthernetInterface => {
            const {
                &kind(
                    Class::Interface,
                    ("EN", "en"),
                    "en",
                    "Standard Ethernet Network Interface",
                    &INTERFACE,
                    Captured,
                )
            }
        }
        DeviceKind::Ieee8023Interface => {
            const {
                &kind(
                    Class::Interface,
                    ("EN", "ie3"),
                    "et",
                    "IEEE 802.3 Ethernet Network Interface",
                    &INTERFACE,
                    Captured,
                )
            }
        }
        DeviceKind::Internet => {
            const {
                &kind(
                    Class::Internet,
                    ("TCPIP", "inet"),
                    "inet",
                    "Internet Network Extension",
                    &INTERNET,
                    Captured,
                )
            }
        }
        DeviceKind::Loopback => {
            const { &kind(Class::Interface, ("LO", "lo"), "lo", "Loopback Network Interface", &LOOPBACK, Captured) }
        }
        DeviceKind::SasAdapter => {
            const {
                &kind(
                    Class::Adapter,
                    ("pciex", "14103d0314108f03"),
                    "sissas",
                    "PCIe2 1.8GB Cache RAID SAS Adapter Tri-port 6Gb",
                    &[],
                    Unverified,
                )
            }
        }
        DeviceKind::SasProtocol => {
            const { &kind(Class::Sas, ("sisasa", "sas"), "sas", "Controller SAS Protocol", &[], Captured) }
        }
        DeviceKind::VirtualSerialAdapter => {
            const {
                &virtual_kind(kind(
                    Class::Adapter,
                    ("vdevice", "hvterm1"),
                    "vsa",
                    "LPAR Virtual Serial Adapter",
                    &[],
                    Captured,
                ))
            }
        }
        DeviceKind::VirtualTerminal => {
            const { &kind(Class::Terminal, ("rs232", "tty"), "vty", "Asynchronous Terminal", &[], Captured) }
        }
        DeviceKind::VirtualScsiServer => {
            const {
                &virtual_kind(kind(
                    Class::Adapter,
                    ("vdevice", "IBM,v-scsi-host"),
                    "vhost",
                    "Virtual SCSI Server Adapter",
                    &VIRTUAL_SCSI_SERVER,
                    Captured,
                ))
            }
        }
        DeviceKind::VirtualFibreChannelServer => {
            const {
                &virtual_kind(kind(
                    Class::Adapter,
                    ("vdevice", "IBM,vfc-server"),
                    "vfchost",
                    "Virtual FC Server Adapter",
                    &VIRTUAL_FIBRE_CHANNEL_SERVER,
                    Captured,
                ))
            }
        }
        DeviceKind::Vasi => {
            const {
                &virtual_kind(kind(
                    Class::Adapter,
                    ("vdevice", "IBM,VASI-1"),
                    "vasi",
                    "Virtual Asynchronous Services Interface (VASI)",
                    &[],
                    Seed,
                ))
            }
        }
        DeviceKind::VirtualBlockStorage => {
            const {
                &virtual_kind(kind(
                    Class::Pseudo,
                    ("node", "vbsd"),
                    "vbsd",
                    "Virtual Block Storage Device (VBSD)",
                    &[],
                    Captured,
                ))
            }
        }
        DeviceKind::LivePartitionMobility => {
            const {
                &kind(
                    Class::Pseudo,
                    ("node", "vioslpm"),
                    "vioslpm",
                    "VIOS Live Partition Mobility Pseudo Device",
                    &MOBILITY,
                    Seed,
                )
            }
        }
        DeviceKind::VirtualNicServer => {
            const {
                &virtual_kind(kind(
                    Class::Adapter,
                    ("vdevice", "IBM,vnic-server"),
                    "vnicserver",
                    "Virtual NIC Server Device (vnicserver)",
                    &NIC_SERVER,
                    Seed,
                ))
            }
        }
        DeviceKind::SharedEthernetAdapter => {
            const {
                &virtual_kind(kind(
                    Class::Adapter,
                    ("pseudo", "sea"),
                    "ent",
                    "Shared Ethernet Adapter",
                    &BRIDGE,
                    Captured,
                ))
            }
        }
        DeviceKind::LogicalPort => {
            const {
                &kind(
                    Class::Adapter,
                    ("pciex", "df1028e21410e304"),
                    "ent",
                    "PCIe3 4-Port 10GbE SR Adapter VF(df1028e21410e304)",
                    &LOGICAL_PORT,
                    Seed,
                )
            }
        }
        DeviceKind::LinkAggregation => {
            const {
                &virtual_kind(kind(
                    Class::Adapter,
                    ("pseudo", "ibm_ech"),
                    "ent",
                    "EtherChannel / IEEE 802.3ad Link Aggregation",
                    &AGGREGATION,
                    Captured,
                ))
            }
        }
        DeviceKind::VlanDevice => {
            const { &virtual_kind(kind(Class::Adapter, ("vlan", "eth"), "ent", "VLAN", &VLAN, Captured)) }
        }
        DeviceKind::FibreChannelDisk => {
            const {
                &kind(
                    Class::Disk,
                    ("fcp", "mpioosdisk"),
                    "hdisk",
                    "MPIO Other FC SCSI Disk Drive",
                    &FIBRE_CHANNEL_DISK,
                    Captured,
                )
            }
        }
        DeviceKind::SasDisk => {
            const { &kind(Class::Disk, ("sas", "scsd"), "hdisk", "SAS Disk Drive", &SAS_DISK, Captured) }
        }
        DeviceKind::OpticalDrive => {
            const { &kind(Class::Optical, ("sata", "cdrom1"), "cd", "SATA DVD-RAM Drive", &[], Captured) }
        }
        DeviceKind::TargetDisk => {
            const {
                &kind(
                    Class::VirtualTarget,
                    ("vtdev", "scdisk"),
                    "vtscsi",
                    "Virtual Target Device - Disk",
                    &TARGET,
                    Captured,
                )
            }
        }
        DeviceKind::TargetLogicalVolume => {
            const {
                &kind(
                    Class::VirtualTarget,
                    ("vtdev", "lvdisk"),
                    "vtscsi",
                    "Virtual Target Device - Logical Volume",
                    &TARGET,
                    Unverified,
                )
            }
        }
        DeviceKind::TargetFile => {
            const {
                &kind(
                    Class::VirtualTarget,
                    ("vtdev", "filedisk"),
                    "vtscsi",
                    "Virtual Target Device - File-backed Disk",
                    &TARGET,
                    Unverified,
                )
            }
        }
        DeviceKind::TargetFileOptical => {
            const {
                &kind(
                    Class::VirtualTarget,
                    ("vtdev", "fileopt"),
                    "vtopt",
                    "Virtual Target Device - File-backed Optical",
                    &TARGET_MEDIA,
                    Unverified,
                )
            }
        }
        DeviceKind::TargetOptical => {
            const {
                &kind(
                    Class::VirtualTarget,
                    ("vtdev", "scopt"),
                    "vtopt",
                    "Virtual Target Device - Optical Media",
                    &TARGET_MEDIA,
                    Unverified,
                )
            }
        }
        DeviceKind::TargetUnit => {
            const {
                &kind(
                    Class::VirtualTarget,
                    ("vtdev", "ngdisk"),
                    "vtscsi",
                    "Virtual Target Device - Cluster LU",
                    &TARGET,
                    Unverified,
                )
            }
        }
    }
}
