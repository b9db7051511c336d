//! Attributes of network devices. Names, defaults and texts are those of captured listings where `Evidence` of their kind
//! says so; those of Shared Ethernet Adapters whose text no source shows are as administrators know them (unverified).

use super::table::{YES_NO, closed, fixed, set};
use super::{AttributeDefinition, Values};

pub(super) static ETHERNET: [AttributeDefinition; 5] = [
    set("alt_addr", "0x000000000000", "Alternate ethernet address", Values::Text),
    closed("flow_ctrl", "yes", "Request Transmit and Receive Flow Control", YES_NO),
    closed("jumbo_frames", "no", "Request jumbo frames", YES_NO),
    closed("large_receive", "yes", "Request Rx TCP segment aggregation", YES_NO),
    closed("large_send", "yes", "Request Tx TCP segment offload", YES_NO),
];

/// As a physical port's, without what the hypervisor decides.
pub(super) static LOGICAL_PORT: [AttributeDefinition; 5] = [
    closed("alt_addr", "0x000000000000", "Alternate Ethernet address", Values::Text),
    closed("chksum_offload", "yes", "Request checksum offload", YES_NO),
    closed("jumbo_frames", "no", "Request jumbo frames", YES_NO),
    closed("large_receive", "yes", "Request Rx TCP segment aggregation", YES_NO),
    closed("large_send", "yes", "Request Tx TCP segment offload", YES_NO),
];

pub(super) static VIRTUAL_ETHERNET: [AttributeDefinition; 16] = [
    closed("alt_addr", "0x000000000000", "Alternate Ethernet Address", Values::Text),
    closed("chksum_offload", "yes", "Enable Checksum Offload for IPv4 packets", YES_NO),
    closed("max_buf_huge", "64", "Maximum Huge Buffers", Values::Number(24, 128, 1)),
    closed("max_buf_large", "64", "Maximum Large Buffers", Values::Number(24, 256, 1)),
    closed("max_buf_medium", "256", "Maximum Medium Buffers", Values::Number(128, 2_048, 1)),
    closed("max_buf_small", "2048", "Maximum Small Buffers", Values::Number(512, 4_096, 1)),
    closed("max_buf_tiny", "2048", "Maximum Tiny Buffers", Values::Number(512, 4_096, 1)),
    closed("min_buf_huge", "24", "Minimum Huge Buffers", Values::Number(24, 128, 1)),
    closed("min_buf_large", "24", "Minimum Large Buffers", Values::Number(24, 256, 1)),
    closed("min_buf_medium", "128", "Minimum Medium Buffers", Values::Number(128, 2_048, 1)),
    closed("min_buf_small", "512", "Minimum Small Buffers", Values::Number(512, 4_096, 1)),
    closed("min_buf_tiny", "512", "Minimum Tiny Buffers", Values::Number(512, 4_096, 1)),
    closed("poll_uplink", "no", "Enable Uplink Polling", YES_NO),
    closed("poll_uplink_int", "1000", "Time interval for Uplink Polling", Values::Number(100, 5_000, 10)),
    fixed("trace_debug", "no", "Trace debug enable"),
    fixed("use_alt_addr", "no", "Enable Alternate Ethernet Address"),
];

/// Shared Ethernet Adapter.
pub(super) static BRIDGE: [AttributeDefinition; 25] = [
    set(
        "accounting",
        "disabled",
        "Enable per-client accounting of network statistics",
        Values::OneOf(&["enabled", "disabled"]),
    ),
    set("adapter_reset", "yes", "Reset real adapter on HA takeover", YES_NO),
    set("ctl_chan", "", "Control Channel adapter for SEA failover", Values::Text),
    set("fb_delay", "10", "Delay before failback occurs (seconds)", Values::Number(1, 3_600, 1)),
    set("gvrp", "no", "Enable GARP VLAN Registration Protocol (GVRP)", YES_NO),
    set(
        "ha_mode",
        "disabled",
        "High Availability Mode",
        Values::OneOf(&["disabled", "auto", "standby", "sharing"]),
    ),
    set("hash_algo", "0", "Hash algorithm used to select a SEA thread", Values::Number(0, 1, 1)),
    set(
        "health_time",
        "60",
        "Time in seconds required for the system to be declared healthy",
        Values::Number(1, 3_600, 1),
    ),
    set("jumbo_frames", "no", "Enable Gigabit Ethernet Jumbo Frames", YES_NO),
    set("large_receive", "no", "Enable receive TCP segment aggregation", YES_NO),
    set("largesend", "1", "Enable Hardware Transmit TCP Resegmentation", Values::Number(0, 1, 1)),
    set(
        "link_time",
        "120",
        "Time in seconds required for the link to be declared healthy after a status change",
        Values::Number(1, 3_600, 1),
    ),
    set("lldpsvc", "no", "Enable IEEE 802.1qbg services", YES_NO),
    set("netaddr", "0", "Address to ping", Values::Text),
    set("noauto_failback", "no", "Disable auto failback", YES_NO),
    set("nthreads", "7", "Number of SEA threads in Thread mode", Values::Number(1, 128, 1)),
    set("poll_uplink", "no", "Tell client adapters whether the uplink is up", YES_NO),
    set("pvid", "1", "PVID to use for the SEA device", Values::Number(1, 4_094, 1)),
    set("pvid_adapter", "", "Default virtual adapter to use for non-VLAN-tagged packets", Values::Text),
    set(
        "qos_mode",
        "disabled",
        "Quality of service mode of tagged packets",
        Values::OneOf(&["disabled", "strict", "loose"]),
    ),
    set("queue_size", "8192", "Queue size for a SEA thread", Values::Number(1, 65_536, 1)),
    set("real_adapter", "", "Physical adapter associated with the SEA", Values::Text),
    set("send_RARP", "yes", "Transmit Reverse ARP after HA takeover", YES_NO),
    set("thread", "1", "Thread mode enabled (1) or disabled (0)", Values::Number(0, 1, 1)),
    set(
        "virt_adapters",
        "",
        "List of virtual adapters associated with the SEA (comma separated)",
        Values::Text,
    ),
];

/// Link aggregation, as captured.
pub(super) static AGGREGATION: [AttributeDefinition; 18] = [
    set("adapter_names", "", "EtherChannel Adapters", Values::Text),
    closed("alt_addr", "0x000000000000", "Alternate EtherChannel Address", Values::Text),
    set("auto_recovery", "yes", "Enable automatic recovery after failover", YES_NO),
    closed("auto_set_mtu", "yes", "Auto set jumbo mtu if jumbo frames is set", YES_NO),
    set("backup_adapter", "NONE", "Adapters to use when the primary channel fails", Values::Text),
    set("delay_log", "0", "Delay error logging (in seconds) during open", Values::Number(0, 300, 1)),
    set(
        "hash_mode",
        "default",
        "Determines how outgoing adapter is chosen",
        Values::OneOf(&["default", "src_dst_port", "src_port", "dst_port"]),
    ),
    fixed("hcn_id", "0", "Hybrid Converged Network ID"),
    closed(
        "interval",
        "long",
        "Determines interval value for IEEE 802.3ad mode",
        Values::OneOf(&["long", "short"]),
    ),
    closed(
        "lldp_mode",
        "none",
        "LLDP packet special processing",
        Values::OneOf(&["none", "primary", "both"]),
    ),
    closed("mac_swap", "no", "Enable MAC address swap between primary and backup on failover", YES_NO),
    closed(
        "mode",
        "standard",
        "EtherChannel mode of operation",
        Values::OneOf(&["standard", "round_robin", "8023ad"]),
    ),
    set("netaddr", "0", "Address to ping", Values::Text),
    closed("noloss_failover", "yes", "Enable lossless failover after ping failure", YES_NO),
    set("num_retries", "3", "Times to retry ping before failing", Values::Number(2, 100, 1)),
    set("retry_time", "1", "Wait time (in seconds) between pings", Values::Number(1, 100, 1)),
    closed("use_alt_addr", "no", "Enable Alternate EtherChannel Address", YES_NO),
    closed("use_jumbo_frame", "no", "Enable Gigabit Ethernet Jumbo Frames", YES_NO),
];

/// VLAN device.
pub(super) static VLAN: [AttributeDefinition; 3] = [
    fixed("base_adapter", "", "VLAN Base Adapter"),
    closed("vlan_priority", "0", "VLAN User Priority", Values::Number(0, 7, 1)),
    fixed("vlan_tag_id", "", "VLAN Tag ID"),
];

const ON_OFF: Values = Values::OneOf(&["on", "off"]);

/// Interface, as captured.
pub(super) static INTERFACE: [AttributeDefinition; 21] = [
    fixed("alias4", "", "IPv4 Alias including Subnet Mask"),
    fixed("alias6", "", "IPv6 Alias including Prefix Length"),
    set("arp", "on", "Address Resolution Protocol (ARP)", ON_OFF),
    set("authority", "", "Authorized Users", Values::Text),
    set("broadcast", "", "Broadcast Address", Values::Text),
    set("monitor", "off", "Enable/Disable monitor attribute", ON_OFF),
    set("mtu", "1500", "Maximum IP Packet Size for This Device", Values::Number(60, 65_390, 1)),
    set("mtu_bypass", "off", "Enable/Disable largesend for virtual Ethernet", ON_OFF),
    set("netaddr", "", "Internet Address", Values::Text),
    fixed("netaddr6", "", "IPv6 Internet Address"),
    set("netmask", "", "Subnet Mask", Values::Text),
    fixed("prefixlen", "", "Prefix Length for IPv6 Internet Address"),
    set("remmtu", "576", "Maximum IP Packet Size for REMOTE Networks", Values::Number(60, 65_394, 1)),
    set("rfc1323", "", "Enable/Disable TCP RFC 1323 Window Scaling", Values::OneOf(&["", "0", "1"])),
    set("security", "none", "Security Level", Values::OneOf(&["none", "ipso"])),
    set("state", "down", "Current Interface Status", Values::OneOf(&["up", "down", "detach"])),
    set("tcp_mssdflt", "", "Set TCP Maximum Segment Size", Values::Text),
    set("tcp_nodelay", "", "Enable/Disable TCP_NODELAY Option", Values::OneOf(&["", "0", "1"])),
    set("tcp_recvspace", "", "Set Socket Buffer Space for Receiving", Values::Text),
    set("tcp_sendspace", "", "Set Socket Buffer Space for Sending", Values::Text),
    set("thread", "off", "Enable/Disable thread attribute", ON_OFF),
];

/// Loopback interface.
pub(super) static LOOPBACK: [AttributeDefinition; 4] = [
    fixed("mtu", "16896", "Maximum IP Packet Size for This Device"),
    fixed("netaddr", "127.0.0.1", "Internet Address"),
    fixed("netmask", "255.0.0.0", "Subnet Mask"),
    fixed("state", "up", "Current Interface Status"),
];

/// `inet0`.
pub(super) static INTERNET: [AttributeDefinition; 6] = [
    fixed("authm", "65536", "Authentication Methods"),
    fixed("bootup_option", "no", "Use BSD-style Network Configuration"),
    fixed("gateway", "", "Gateway"),
    set("hostname", "", "Host Name", Values::Text),
    fixed("rout6", "", "IPv6 Route"),
    fixed("route", "", "Route"),
];

pub(super) static NIC_SERVER: [AttributeDefinition; 1] = [fixed("label", "", "User defined label")];
