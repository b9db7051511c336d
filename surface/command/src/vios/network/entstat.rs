//! `entstat`: counters and states of Ethernet devices, in the layout of AIX 6.1 and 7.1 below the server (captures; the
//! reference on VIOS commands, section 4.2).

use std::fmt::Write as _;

use varan_contract::network::{
    AggregationMode, BridgeState, HighAvailabilityMode, NetworkDeviceStatistics, PortStatistics,
};
use varan_contract::vios::ViosChange;
use varan_contract::vios::ViosQuery;
use varan_contract::vios_network::{
    EthernetRole, EthernetStatistics, NetworkAnswer, NetworkChange, NetworkQuery,
};
use varan_model::vios::DeviceKind;

use super::super::ViosCommand;
use super::super::error::Ended;
use super::super::grammar::{Takes, form_with};
use super::super::invocation::{ViosInvocation, by_name, confused};

/// Where the receive column begins.
const COLUMN: usize = 46;
/// Thread queue that untagged traffic has without quality of service.
const DEFAULT_QUEUE: u32 = 8;

pub(crate) static STATISTICS: ViosCommand = ViosCommand {
    name: "entstat",
    usage: "entstat [-all] [-reset] Name",
    summary: "Displays the statistics of an Ethernet device, with -all those of all devices that it is made of too; with -reset they begin anew.",
    options: &[("all", Takes::Nothing), ("reset", Takes::Nothing)],
    forms: &[form_with(&[], &[], &["all", "reset"], (1, 1))],
    changes: false,
    run: |invocation, parsed| {
        let name = parsed.operands.first().ok_or_else(confused)?.clone();
        show(invocation, &name, true, parsed.has("all"), parsed.has("reset"))
    },
};

/// Prints the statistics of a device; `details` adds the part of its driver, `below` what it is made of.
pub(crate) fn show(
    invocation: &mut ViosInvocation<'_>,
    name: &str,
    details: bool,
    below: bool,
    reset: bool,
) -> Result<u8, Ended> {
    if reset {
        invocation.change(ViosChange::Network(NetworkChange::ResetStatistics(by_name(name))))?;
    }
    let all = statistics(invocation, name, below)?;
    let mut text = String::new();
    for (index, one) in all.iter().enumerate() {
        section(&mut text, one, if index == 0 { Some(name) } else { None }, details);
    }
    invocation.output.write_all(text.as_bytes())?;
    Ok(0)
}

pub(crate) fn statistics(
    invocation: &ViosInvocation<'_>,
    name: &str,
    below: bool,
) -> Result<Vec<EthernetStatistics>, Ended> {
    let query = NetworkQuery::Statistics { device: by_name(name), below };
    match invocation.ask(ViosQuery::Network(query))? {
        varan_contract::vios::ViosAnswer::Network(NetworkAnswer::Statistics(all)) => Ok(all),
        _ => Err(confused()),
    }
}

/// One line; nothing can fail while a string is written.
macro_rules! line {
    ($text:expr) => { $text.push('\n') };
    ($text:expr, $($format:tt)*) => {{
        let _ = writeln!($text, $($format)*);
    }};
}

/// A heading line and the statistics of one device.
fn section(text: &mut String, one: &EthernetStatistics, asked: Option<&str>, details: bool) {
    let name = one.device.name.as_str();
    let role = match one.role {
        EthernetRole::Itself => None,
        EthernetRole::Real => Some("Real Adapter"),
        EthernetRole::Virtual => Some("Virtual Adapter"),
        EthernetRole::ControlChannel => Some("Control Adapter"),
        EthernetRole::Primary | EthernetRole::Backup => {
            line!(text, "{}\n", "-".repeat(61));
            None
        }
    };
    match role {
        Some(role) => line!(text, "{}\n{role}: {name}\n", "-".repeat(62)),
        None if one.role == EthernetRole::Itself => line!(text, "{}", "-".repeat(61)),
        None => {}
    }
    line!(text, "ETHERNET STATISTICS ({}) :", asked.unwrap_or(name));
    head(text, one);
    generic(text, one);
    if details {
        driver(text, one);
    }
}

/// `3 days 5 hours 15 minutes 41 seconds`.
fn elapsed(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{days} days {hours} hours {minutes} minutes {} seconds", seconds % 60)
}

pub(super) fn colons(address: varan_model::ids::MacAddress) -> String {
    let digits = format!("{:012x}", address.0);
    let pairs: Vec<&str> = (0..6).map(|pair| &digits[pair * 2..pair * 2 + 2]).collect();
    pairs.join(":")
}

fn head(text: &mut String, one: &EthernetStatistics) {
    let kind = match (&one.aggregation, one.device.kind) {
        (Some(aggregation), _) if aggregation.mode == AggregationMode::Ieee8023ad => {
            "IEEE 802.3ad Link Aggregation"
        }
        (Some(_), _) => "EtherChannel",
        // So the driver of VLAN devices leaves it.
        (None, DeviceKind::VlanDevice) => "",
        (None, _) => one.device.description(),
    };
    line!(text, "Device Type: {kind}");
    line!(text, "Hardware Address: {}", colons(one.mac_address));
    line!(text, "Elapsed Time: {}\n", elapsed(one.statistics.elapsed_seconds));
}

fn both(text: &mut String, left: &str, right: &str) {
    if right.is_empty() {
        line!(text, "{left}");
    } else {
        line!(text, "{left:<COLUMN$}{right}");
    }
}

fn generic(text: &mut String, one: &EthernetStatistics) {
    let port = &one.statistics.port;
    both(text, "Transmit Statistics:", "Receive Statistics:");
    both(text, "--------------------", "-------------------");
    let pair = |text: &mut String, left: &str, sent: u64, right: &str, received: u64| {
        both(text, &format!("{left}: {sent}"), &format!("{right}: {received}"));
    };
    pair(text, "Packets", port.transmitted_frames, "Packets", port.received_frames);
    pair(text, "Bytes", port.transmitted_bytes, "Bytes", port.received_bytes);
    pair(text, "Interrupts", 0, "Interrupts", port.received_frames);
    pair(text, "Transmit Errors", 0, "Receive Errors", 0);
    pair(text, "Packets Dropped", port.transmit_drops, "Packets Dropped", port.receive_drops);
    both(text, "", "Bad Packets: 0");
    line!(text);
    line!(text, "{:<45}", "Max Packets on S/W Transmit Queue: 0");
    line!(text, "S/W Transmit Queue Overflow: 0\nCurrent S/W+H/W Transmit Queue Length: 0\n");
    if matches!(one.device.kind, DeviceKind::SharedEthernetAdapter | DeviceKind::VlanDevice) {
        line!(text, "Elapsed Time: {}", elapsed(0));
    }
    let (sent, got) = ("Broadcast Packets", "Broadcast Packets");
    pair(text, sent, port.transmitted_broadcasts, got, port.received_broadcasts);
    let (sent, got) = ("Multicast Packets", "Multicast Packets");
    pair(text, sent, port.transmitted_multicasts, got, port.received_multicasts);
    for (left, right) in [
        ("No Carrier Sense: 0", "CRC Errors: 0"),
        ("DMA Underrun: 0", "DMA Overrun: 0"),
        ("Lost CTS Errors: 0", "Alignment Errors: 0"),
    ] {
        both(text, left, right);
    }
    pair(text, "Max Collision Errors", 0, "No Resource Errors", port.receive_drops);
    for (left, right) in [
        ("Late Collision Errors: 0", "Receive Collision Errors: 0"),
        ("Deferred: 0", "Packet Too Short Errors: 0"),
        ("SQE Test: 0", "Packet Too Long Errors: 0"),
        ("Timeout Errors: 0", "Packets Discarded by Adapter: 0"),
        ("Single Collision Count: 0", "Receiver Start Count: 0"),
        ("Multiple Collision Count: 0", ""),
        ("Current HW Transmit Queue Length: 0", ""),
    ] {
        both(text, left, right);
    }
    line!(text, "\nGeneral Statistics:\n-------------------\nNo mbuf Errors: 0\nAdapter Reset Count: 0");
    line!(text, "Adapter Data Rate: {}", data_rate(one));
    flags(text, one);
    line!(text);
}

/// Twice the speed in Mbit/s: both directions count.
fn data_rate(one: &EthernetStatistics) -> u32 {
    match one.device.kind {
        DeviceKind::VirtualEthernetAdapter | DeviceKind::LogicalPort => 20_000,
        DeviceKind::EthernetAdapter if !one.device.description().contains("10Gb") => 2_000,
        DeviceKind::EthernetAdapter | DeviceKind::LinkAggregation => 20_000,
        _ => 0,
    }
}

/// The driver's flags, three a line.
fn flags(text: &mut String, one: &EthernetStatistics) {
    let trunk = one.port.as_ref().is_some_and(|port| port.trunk_priority.is_some());
    let up = one.device.kind.is_made_of_ethernet() || one.statistics.port.link_up;
    let mut words = vec!["Up", "Broadcast"];
    words.push(if up { "Running" } else { "Simplex" });
    words.push(if up { "Simplex" } else { "Limbo" });
    if trunk || matches!(one.role, EthernetRole::Real) {
        words.push("Promiscuous");
    }
    if trunk {
        words.push("AllMulticast");
    }
    words.extend(["64BitSupport", "ChecksumOffload"]);
    if one.device.kind != DeviceKind::VirtualEthernetAdapter {
        words.push("LargeSend");
    }
    words.push("DataRateSet");
    match (one.device.kind, one.role) {
        (DeviceKind::LinkAggregation, _) => words.push("ETHERCHANNEL"),
        (_, EthernetRole::Primary | EthernetRole::Backup) => words.push("ECHAN_ELEM"),
        _ => {}
    }
    for (number, row) in words.chunks(3).enumerate() {
        let lead = if number == 0 { "Driver Flags: " } else { "\t" };
        line!(text, "{lead}{} ", row.join(" "));
    }
}

fn driver(text: &mut String, one: &EthernetStatistics) {
    match one.device.kind {
        DeviceKind::VirtualEthernetAdapter => virtual_ethernet(text, one),
        DeviceKind::LogicalPort => logical_port(text, one),
        DeviceKind::EthernetAdapter => physical(text, one),
        DeviceKind::SharedEthernetAdapter => bridge(text, one),
        DeviceKind::LinkAggregation => aggregation(text, one),
        _ => {}
    }
}

/// VLANs nine a line, six wide.
fn vlan_rows(text: &mut String, vlans: &[u16]) {
    if vlans.is_empty() {
        line!(text, "VLAN Tag IDs:  None\n");
        return;
    }
    for (number, row) in vlans.chunks(9).enumerate() {
        let lead = if number == 0 { "VLAN Tag IDs:" } else { "             " };
        let row: String = row.iter().map(|vlan| format!("{vlan:>6}")).collect();
        line!(text, "{lead}{row}");
    }
}

/// Buffers of one size: name, bytes, attributes of fewest and most.
const BUFFERS: [(&str, &str, u64); 5] = [
    ("min_buf_tiny", "max_buf_tiny", 512),
    ("min_buf_small", "max_buf_small", 2_048),
    ("min_buf_medium", "max_buf_medium", 16_384),
    ("min_buf_large", "max_buf_large", 32_768),
    ("min_buf_huge", "max_buf_huge", 65_536),
];
/// Fixed parts in KB: of the hypervisor's lists, and of transmit buffers, each at least, wanted and at most.
const HYPERVISOR_MEMORY: [u64; 3] = [100, 100, 128];
const TRANSMIT_MEMORY: [u64; 3] = [2_176, 16_384, 16_384];

fn row(text: &mut String, label: &str, values: &[u64]) {
    let mut values = values.iter();
    let first = values.next().copied().unwrap_or(0);
    let rest: String = values.map(|value| format!("{value:>9}")).collect();
    line!(text, "    {label:<19}{first:>10}{rest}");
}

fn virtual_ethernet(text: &mut String, one: &EthernetStatistics) {
    let Some(port) = &one.port else { return };
    let counters = &one.statistics.port;
    let number = |name: &str| one.device.attribute(name).and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    let fewest: Vec<u64> = BUFFERS.iter().map(|(least, _, _)| number(least)).collect();
    let most: Vec<u64> = BUFFERS.iter().map(|(_, most, _)| number(most)).collect();
    line!(text, "Virtual I/O Ethernet Adapter (l-lan) Specific Statistics:\n{}", "-".repeat(57));
    line!(text, "RQ Length: {}", most.iter().sum::<u64>() + 1);
    let word = |is: bool| if is { "True" } else { "False" };
    line!(text, "Trunk Adapter: {}", word(port.trunk_priority.is_some()));
    if let Some(priority) = port.trunk_priority {
        line!(text, "  Priority: {priority}  Active: {}", word(counters.trunk_active));
    }
    line!(text, "Filter MCast Mode: False\nFilters: 255\n  Enabled: 1  Queued: 0  Overflow: 0");
    line!(text, "LAN State: {}\n", if counters.link_up { "Operational" } else { "Not Operational" });
    line!(text, "Hypervisor Send Failures: {}", counters.transmit_drops);
    line!(text, "  Receiver Failures: {}\n  Send Errors: 0", counters.transmit_drops);
    line!(text, "Hypervisor Receive Failures: {}\n", counters.receive_drops);
    line!(text, "Invalid VLAN ID Packets: {}\n", counters.invalid_vlan_frames);
    let (now, wanted) = match port.trunk_priority {
        Some(priority) => {
            let base = 0x3002 | u64::from(priority & 15) << 8;
            (base | u64::from(counters.trunk_active), base | 1)
        }
        None => (0x3002, 0x2000),
    };
    line!(text, "ILLAN Attributes: {now:016X} [{wanted:016X}]\n");
    line!(text, "Port VLAN ID:{:>6}", port.port_vlan_id);
    vlan_rows(text, &port.tagged_vlan_ids);
    line!(text, "\nSwitch ID: {}\n", port.virtual_switch);
    memory(text, &fewest, &most);
}

fn memory(text: &mut String, fewest: &[u64], most: &[u64]) {
    let kilobytes = |counts: &[u64]| -> Vec<u64> {
        counts.iter().zip(&BUFFERS).map(|(count, (_, _, bytes))| count * bytes / 1_024).collect()
    };
    // Of each buffer the I/O memory maps whole pages, and one more where the data starts within a page.
    let mapped = |counts: &[u64]| -> Vec<u64> {
        let each = |bytes: u64| (bytes / 1_024 + 4).max(8);
        counts.iter().zip(&BUFFERS).map(|(count, (_, _, bytes))| count * each(*bytes)).collect()
    };
    let (least, wanted) = (mapped(fewest), mapped(most));
    let largest: Vec<u64> = wanted.iter().map(|size| size.next_power_of_two()).collect();
    let part = |text: &mut String, title: &str, lines: [(&str, u64); 4]| {
        line!(text, "{title}");
        line!(text, "  Virtual Memory        ");
        row(text, lines[0].0, &[lines[0].1]);
        line!(text, "  I/O Memory            ");
        for (label, value) in &lines[1..] {
            row(text, label, &[*value]);
        }
        line!(text);
    };
    let [low, middle, high] = HYPERVISOR_MEMORY;
    let lines = [
        ("Total (KB)", 79),
        ("VRM Minimum (KB)", low),
        ("VRM Desired (KB)", middle),
        ("DMA Max Min (KB)", high),
    ];
    part(text, "Hypervisor Information  ", lines);
    let [low, middle, high] = TRANSMIT_MEMORY;
    line!(text, "Transmit Information    \n  Transmit Buffers       ");
    row(text, "Buffer Size", &[65_536]);
    row(text, "Buffers", &[32]);
    line!(text, "    History             ");
    row(text, "  No Buffers", &[0]);
    line!(text, "  Virtual Memory        ");
    row(text, "Total (KB)", &[2_048]);
    line!(text, "  I/O Memory            ");
    for (label, value) in
        [("VRM Minimum (KB)", low), ("VRM Desired (KB)", middle), ("DMA Max Min (KB)", high)]
    {
        row(text, label, &[value]);
    }
    line!(text, "\nReceive Information     \n  Receive Buffers        ");
    line!(text, "    Buffer Type              Tiny    Small   Medium    Large     Huge");
    row(text, "Min Buffers", fewest);
    row(text, "Max Buffers", most);
    row(text, "Allocated", fewest);
    row(text, "Registered", fewest);
    line!(text, "    History             ");
    row(text, "  Max Allocated", fewest);
    row(text, "  Lowest Registered", fewest);
    line!(text, "  Virtual Memory        ");
    row(text, "Minimum (KB)", &kilobytes(fewest));
    row(text, "Maximum (KB)", &kilobytes(most));
    line!(text, "  I/O Memory            ");
    row(text, "VRM Minimum (KB)", &least);
    row(text, "VRM Desired (KB)", &wanted);
    row(text, "DMA Max Min (KB)", &largest);
    line!(text, "\nI/O Memory Information  ");
    let total = |fixed: usize, sizes: &[u64]| {
        HYPERVISOR_MEMORY[fixed] + TRANSMIT_MEMORY[fixed] + sizes.iter().sum::<u64>()
    };
    for (label, value) in [
        ("Total VRM Minimum (KB)", total(0, &least)),
        ("Total VRM Desired (KB)", total(1, &wanted)),
        ("Total DMA Max Min (KB)", total(2, &largest)),
    ] {
        line!(text, "  {label:<22}{value:>9}");
    }
    line!(text);
}

fn up_or_down(up: bool) -> &'static str {
    if up { "Up" } else { "Down" }
}

/// A logical port's own part; what `vnicstat -b` shows of the port behind a virtual NIC too.
pub(super) fn logical_port_part(
    text: &mut String,
    description: &str,
    port: &PortStatistics,
    (vlan, priority): (u16, u8),
    jumbo: bool,
) {
    line!(text, "{description}\n{}\n\nDevice Statistics:\n------------------", "-".repeat(61));
    line!(text, "Device ID: {}\nVersion: 1", DeviceKind::LogicalPort.row().unique_type);
    line!(text, "Physical Port Link Status: {0}\nLogical Port Link Status: {0}", up_or_down(port.link_up));
    let speed = if port.link_up { "10 Gbps Full Duplex" } else { "Unknown" };
    line!(text, "Physical Port Speed: {speed}\nPCI Mode: PCI-Express Unknown");
    line!(
        text,
        "\tPCIe Link Speed: Unknown\n\tTLP Size: 512\n\tMRR Size: 4096\n\tRelaxed Ordering: Disabled"
    );
    line!(text, "External Loopback Changeable: No\nExternal Loopback: Disabled\nInternal Loopback: Disabled");
    line!(text, "Physical Port Promiscuous Mode Changeable: Yes\nPhysical Port Promiscuous Mode: Disabled");
    line!(text, "Logical Port Promiscuous Mode: Disabled");
    let mtu = if jumbo { 9_014 } else { 1_514 };
    line!(text, "Physical Port MTU Changeable: Yes\nPhysical Port MTU: {mtu}\nLogical Port MTU: {mtu}");
    line!(text, "Jumbo Frames: {}", if jumbo { "Enabled" } else { "Disabled" });
    line!(text, "Port VLAN (Priority:ID): {priority}:{vlan:04}");
    line!(text, "MAC ACL Status: Disabled\nVLAN ACL Status: Disabled\nEnabled VLAN IDs: None");
    line!(text, "Transmit Q0 Statistics:");
    for (label, value) in [
        ("Transmit Q Packets", port.transmitted_frames),
        ("Transmit Q Multicast Packets", port.transmitted_multicasts),
        ("Transmit Q Broadcast Packets", port.transmitted_broadcasts),
        ("Transmit Q Bytes", port.transmitted_bytes),
        ("Transmit Q Dropped Packets", port.transmit_drops),
    ] {
        line!(text, "\t{label}: {value}");
    }
    line!(text, "Receive Q0 Statistics:");
    for (label, value) in [
        ("Receive Q Packets", port.received_frames),
        ("Receive Q Multicast Packets", port.received_multicasts),
        ("Receive Q Broadcast Packets", port.received_broadcasts),
        ("Receive Q Bytes", port.received_bytes),
        ("Receive Q Dropped Packets", port.receive_drops),
    ] {
        line!(text, "\t{label}: {value}");
    }
    line!(text);
}

fn logical_port(text: &mut String, one: &EthernetStatistics) {
    let jumbo = one.port.as_ref().is_some_and(|port| port.jumbo_frames);
    let vlan = one.port.as_ref().map_or(0, |port| port.port_vlan_id);
    logical_port_part(text, one.device.description(), &one.statistics.port, (vlan, 0), jumbo);
}

fn physical(text: &mut String, one: &EthernetStatistics) {
    let up = one.statistics.port.link_up;
    let description = one.device.description();
    let title = format!("{description} Specific Statistics:");
    line!(text, "{title}\n{}", "-".repeat(title.len()));
    line!(text, "Link Status: {}\nMedia Speed Selected: Auto negotiation", up_or_down(up));
    let speed = format!("{} Mbps Full Duplex", data_rate(one) / 2);
    line!(text, "Media Speed Running: {}", if up { speed.as_str() } else { "Unknown" });
    let enabled = |name: &str| if one.device.attribute(name) == Some("yes") { "Enabled" } else { "Disabled" };
    line!(text, "Jumbo Frames: {}", enabled("jumbo_frames"));
    line!(text, "TCP Segmentation Offload: {}", enabled("large_send"));
    line!(text, "Transmit and Receive Flow Control Status: {}\n", enabled("flow_ctrl"));
}

fn bridge(text: &mut String, one: &EthernetStatistics) {
    let Some(bridge) = &one.bridge else { return };
    let counters = one.statistics.bridge.as_ref();
    let rule = "-".repeat(62);
    line!(text, "{rule}\nStatistics for adapters in the Shared Ethernet Adapter {}\n{rule}", bridge.device);
    line!(text, "Number of adapters: {}", 1 + bridge.virtuals.len());
    let flags: Vec<(u32, &str)> = [
        (0x01, "THREAD", bridge.threads),
        (0x02, "LARGESEND", bridge.large_send),
        (0x04, "JUMBO_FRAMES", bridge.jumbo_frames),
        (0x10, "LARGE_RECEIVE", bridge.large_receive),
        (0x20, "ACCOUNTING", bridge.accounting),
    ]
    .into_iter()
    .filter(|(_, _, on)| *on)
    .map(|(bit, name, _)| (bit, name))
    .collect();
    line!(text, "SEA Flags: {:08X}", flags.iter().map(|(bit, _)| bit).sum::<u32>());
    for (_, name) in flags {
        line!(text, "    < {name} >");
    }
    line!(text, "VLAN Ids :");
    for (name, port_vlan, tagged) in &one.trunks {
        let mut vlans: Vec<u16> = std::iter::once(*port_vlan).chain(tagged.iter().copied()).collect();
        vlans.sort_unstable();
        let vlans: Vec<String> = vlans.iter().map(ToString::to_string).collect();
        line!(text, "    {name}: {}", vlans.join(" "));
    }
    let none = [0; 8];
    line!(text, "Real Side Statistics:");
    let real = counters.map_or(&none, |counters| &counters.real_side);
    side(text, real, 8);
    line!(text, "Virtual Side Statistics:");
    side(text, counters.map_or(&none, |counters| &counters.virtual_side), 7);
    line!(text, "Other Statistics:");
    for (label, value) in [
        ("Output packets generated", counters.map_or(0, |counters| counters.generated)),
        ("Output packets dropped", counters.map_or(0, |counters| counters.generated_drops)),
        ("Device output failures", 0),
        ("Memory allocation failures", 0),
        ("ICMP error packets sent", counters.map_or(0, |counters| counters.icmp_errors)),
        ("Non IP packets larger than MTU", counters.map_or(0, |counters| counters.too_large)),
        ("Thread queue overflow packets", 0),
    ] {
        line!(text, "    {label}: {value}");
    }
    line!(text);
    if bridge.threads {
        line!(text, "\n\tSEA THREADS INFORMATION");
        if real[0] > 0 {
            threads(text, bridge.thread_count);
        }
    }
    if bridge.mode != HighAvailabilityMode::Disabled {
        failover(text, one);
    }
}

fn side(text: &mut String, counters: &[u64; 8], shown: usize) {
    let labels = [
        "received",
        "bridged",
        "consumed",
        "fragmented",
        "transmitted",
        "dropped",
        "filtered(VlanId)",
        "filtered(Reserved address)",
    ];
    for (label, value) in labels.iter().zip(counters).take(shown) {
        line!(text, "    Packets {label}: {value}");
    }
}

/// Frames are handed on where they come in: no queue of a thread ever holds one.
fn threads(text: &mut String, count: u32) {
    for thread in 0..count {
        line!(text, "\n\tThread .............. #{thread}\n    SEA Default Queue #{DEFAULT_QUEUE} ");
        for label in [
            "Queue full dropped packets",
            "Queue packets queued",
            "Queue average packets queued",
            "Queue packets count",
            "Queue max packets queued",
        ] {
            line!(text, "    {label}: 0");
        }
    }
    line!(text);
}

fn failover(text: &mut String, one: &EthernetStatistics) {
    let Some(bridge) = &one.bridge else { return };
    let counters = one.statistics.bridge.as_ref();
    let number =
        |value: &dyn Fn(&varan_contract::network::BridgeStatistics) -> u64| counters.map_or(0, value);
    line!(text, "High Availability Statistics:");
    line!(text, "    Control Channel PVID: {}", number(&|counters| counters.control_vlan.into()));
    line!(text, "    Control Packets in: {}", number(&|counters| counters.control_packets.0));
    line!(text, "    Control Packets out: {}", number(&|counters| counters.control_packets.1));
    line!(text, "Type of Packets Received:");
    for (index, label) in ["Keep-Alive", "Recovery", "Notify", "Limbo"].into_iter().enumerate() {
        line!(text, "    {label} Packets: {}", number(&|counters| counters.control_kinds[index]));
    }
    let state = counters.map_or(BridgeState::Init, |counters| counters.state);
    let bridging = counters.map(|counters| counters.bridging.as_slice()).unwrap_or_default();
    let mode = match bridging.len() {
        0 => "None",
        count if count >= bridge.virtuals.len() => "All",
        _ => "Partial",
    };
    line!(text, "    State: {}\n    Bridge Mode: {mode}", state.word());
    if mode == "Partial" {
        let trunks = one.trunks.iter().filter(|(name, _, _)| bridging.iter().any(|one| name.as_str() == one));
        let shared: Vec<String> = trunks
            .flat_map(|(_, vlan, tagged)| std::iter::once(vlan).chain(tagged))
            .map(ToString::to_string)
            .collect();
        line!(text, "    VID shared: {}", shared.join(" "));
    }
    line!(text, "    Number of Times Server became Backup: {}", number(&|counters| counters.changes.0));
    line!(text, "    Number of Times Server became Primary: {}", number(&|counters| counters.changes.1));
    let mode = match bridge.mode {
        HighAvailabilityMode::Disabled => "Disabled",
        HighAvailabilityMode::Auto => "Auto",
        HighAvailabilityMode::Standby => "Standby",
        HighAvailabilityMode::Sharing => "Sharing",
    };
    line!(text, "    High Availability Mode: {mode}");
    line!(text, "    Priority: {}", number(&|counters| counters.priority.into()));
}

fn aggregation(text: &mut String, one: &EthernetStatistics) {
    let Some(aggregation) = &one.aggregation else { return };
    let is_negotiated = aggregation.mode == AggregationMode::Ieee8023ad;
    let what = if is_negotiated { "IEEE 802.3ad Link Aggregation" } else { "EtherChannel" };
    let title = format!("Statistics for every adapter in the {what}:");
    line!(text, "{0}\n{0}\n\n{title}\n{1}\n", "=".repeat(61), "-".repeat(title.len()));
    line!(text, "Number of primary adapters: {}", aggregation.adapters.len());
    line!(text, "Number of backup adapters: {}", usize::from(aggregation.backup.is_some()));
    let none = NetworkDeviceStatistics::default();
    let in_use = one.statistics.aggregation.as_ref().or(none.aggregation.as_ref());
    let on_backup = in_use
        .is_some_and(|(links, _)| aggregation.backup.as_ref().is_some_and(|backup| links.contains(backup)));
    line!(text, "Active channel: {} channel", if on_backup { "backup" } else { "primary" });
    let mode = match aggregation.mode {
        AggregationMode::Ieee8023ad => "Standard mode (IEEE 802.3ad)",
        AggregationMode::Standard => "Standard mode",
        AggregationMode::RoundRobin => "Round-robin mode",
    };
    line!(text, "Operating mode: {mode}");
    if is_negotiated {
        let aggregated = in_use.is_some_and(|(links, _)| !links.is_empty());
        line!(text, "IEEE 802.3ad Link Aggregation Statistics:");
        let status = if aggregated { "Aggregated" } else { "Negotiating" };
        let interval = if one.device.attribute("interval") == Some("short") { "Short" } else { "Long" };
        line!(text, "Primary Aggregation status: {status}\n\tLACPDU Interval: {interval}");
    }
    let hash = match aggregation.hash_mode.as_str() {
        "src_dst_port" => "Source and destination TCP/UDP ports",
        "src_port" => "Source TCP/UDP port",
        "dst_port" => "Destination TCP/UDP port",
        _ => "Destination IP address",
    };
    line!(text, "Hash mode: {hash}\nMAC swap: disabled");
    let rule = "=".repeat(61);
    line!(text, "{rule}\n\n                     PRIMARY ADAPTERS\n\n{rule}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_memory_are_those_of_the_captured_adapter() {
        let mut text = String::new();
        memory(&mut text, &[512, 512, 128, 24, 24], &[2_048, 2_048, 256, 64, 64]);
        for line in [
            "    Total (KB)                 79\n",
            "    Buffer Size             65536\n",
            "      No Buffers                0\n",
            "    Min Buffers               512      512      128       24       24\n",
            "    Minimum (KB)              256     1024     2048      768     1536\n",
            "    VRM Minimum (KB)         4096     4096     2560      864     1632\n",
            "    DMA Max Min (KB)        16384    16384     8192     4096     8192\n",
            "      Max Allocated           512      512      128       24       24\n",
            "  Total VRM Minimum (KB)    15524\n",
            "  Total VRM Desired (KB)    61028\n",
            "  Total DMA Max Min (KB)    69760\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn tags_stand_nine_a_line() {
        let mut text = String::new();
        vlan_rows(&mut text, &[205, 298, 299, 1510, 1600, 1601, 3520, 3521, 3551, 3552]);
        let expected =
            "VLAN Tag IDs:   205   298   299  1510  1600  1601  3520  3521  3551\n               3552\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn times_are_counted_down_to_seconds() {
        assert_eq!(elapsed(3 * 86_400 + 5 * 3_600 + 15 * 60 + 41), "3 days 5 hours 15 minutes 41 seconds");
    }
}
