//! `entstat`: what an Ethernet device counts, and what kind of device it is.

use varan_contract::engine::AllowedVlans;
use varan_contract::network::PortStatistics;
use varan_station::{Counters, Interface};

use super::super::adapters::Adapter;
use super::super::shell::{Reply, text};
use super::super::{Guest, Moment};
use super::Ip;

const RULE: &str = "-------------------------------------------------------------\n";
const USAGE: &str = "usage: entstat [-drt] interface\n";

/// Two columns; the right one begins at 46 characters.
fn row(left: &str, right: &str) -> String {
    format!("{}\n", format!("{left:<46}{right}").trim_end())
}

impl Guest {
    /// `entstat [-d] [-r] DEVICE`; an interface's name does as well.
    pub(in super::super) fn entstat(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let (detailed, device) = match arguments {
            [device] if !device.starts_with('-') => (false, *device),
            ["-d" | "-dt" | "-td", device] => (true, *device),
            ["-t", device] => (false, *device),
            _ => return text(USAGE),
        };
        match self.adapter_statistics(now, device, detailed) {
            Some(listing) => text(listing),
            None => text(format!("entstat: 0909-003 Unable to connect to device {device}, errno = 19\n")),
        }
    }

    /// The listing of one device.
    pub(super) fn adapter_statistics(&self, now: Moment, device: &str, detailed: bool) -> Option<String> {
        let ip = self.ip()?;
        let port = ip.ports.iter().find(|port| port.device == device || port.name == device)?;
        let interface = ip.interface(port)?;
        let adapter = self.adapter_at(port.at.0, port.at.1)?;
        let at = self.guest_port(port);
        let hypervisor = ip.counters.iter().find(|(port, _)| *port == at).map(|(_, counted)| *counted);
        let hypervisor = hypervisor.unwrap_or_default();
        let kind = match adapter {
            Adapter::LogicalPort(port) => format!("{} VF", port.description),
            other => other.description().to_owned(),
        };
        let mut listing = format!(
            "{RULE}ETHERNET STATISTICS ({device}) :\nDevice Type: {kind}\nHardware Address: {}\n{}\n",
            interface.address(),
            elapsed(now, ip)
        );
        listing.push_str(&table(interface.counters(), ip.dropped));
        listing.push_str(&general(&adapter));
        if detailed {
            listing.push_str(&details(&adapter, interface, &hypervisor));
        }
        listing.push('\n');
        Some(listing)
    }
}

fn elapsed(now: Moment, ip: &Ip) -> String {
    let seconds = now.monotonic.since(ip.started).as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("Elapsed Time: {days} days {hours} hours {minutes} minutes {} seconds\n", seconds % 60)
}

fn table(counters: &Counters, dropped: u64) -> String {
    let two = |left: &str, transmitted: u64, right: &str, received: u64| {
        row(&format!("{left}: {transmitted}"), &format!("{right}: {received}"))
    };
    let mut lines = row("Transmit Statistics:", "Receive Statistics:");
    lines.push_str(&row("--------------------", "-------------------"));
    lines.push_str(&two("Packets", counters.transmitted_frames, "Packets", counters.received_frames));
    lines.push_str(&two("Bytes", counters.transmitted_bytes, "Bytes", counters.received_bytes));
    lines.push_str(&two("Interrupts", 0, "Interrupts", counters.received_frames));
    lines.push_str(&two("Transmit Errors", 0, "Receive Errors", counters.receive_errors));
    lines.push_str(&two(
        "Packets Dropped",
        counters.transmit_drops,
        "Packets Dropped",
        counters.receive_drops + dropped,
    ));
    lines.push_str(&row("", "Bad Packets: 0"));
    lines.push_str("\nMax Packets on S/W Transmit Queue: 0         \nS/W Transmit Queue Overflow: 0\n");
    lines.push_str("Current S/W+H/W Transmit Queue Length: 0\n\n");
    lines.push_str(&two(
        "Broadcast Packets",
        counters.transmitted_broadcasts,
        "Broadcast Packets",
        counters.received_broadcasts,
    ));
    lines.push_str(&two(
        "Multicast Packets",
        counters.transmitted_multicasts,
        "Multicast Packets",
        counters.received_multicasts,
    ));
    for (left, right) in [
        ("No Carrier Sense", "CRC Errors"),
        ("DMA Underrun", "DMA Overrun"),
        ("Lost CTS Errors", "Alignment Errors"),
    ] {
        lines.push_str(&two(left, 0, right, 0));
    }
    lines.push_str(&two("Max Collision Errors", 0, "No Resource Errors", dropped));
    for (left, right) in [
        ("Late Collision Errors", "Receive Collision Errors"),
        ("Deferred", "Packet Too Short Errors"),
        ("SQE Test", "Packet Too Long Errors"),
        ("Timeout Errors", "Packets Discarded by Adapter"),
        ("Single Collision Count", "Receiver Start Count"),
    ] {
        lines.push_str(&two(left, 0, right, 0));
    }
    lines.push_str("Multiple Collision Count: 0\nCurrent HW Transmit Queue Length: 0\n\n");
    lines
}

fn general(adapter: &Adapter<'_>) -> String {
    let (rate, flags) = match adapter {
        Adapter::Network(_) => (20_000, "\tSimplex 64BitSupport ChecksumOffload \n\tDataRateSet VIOENT \n"),
        _ => (20_000, "\tSimplex 64BitSupport ChecksumOffload \n\tLargeSend DataRateSet \n"),
    };
    format!(
        "General Statistics:\n-------------------\nNo mbuf Errors: 0\nAdapter Reset Count: 0\nAdapter Data Rate: {rate}\nDriver Flags: Up Broadcast Running \n{flags}\n"
    )
}

fn details(adapter: &Adapter<'_>, interface: &Interface, hypervisor: &PortStatistics) -> String {
    match adapter {
        Adapter::Network(adapter) => {
            let trunk = match adapter.trunk_priority {
                Some(priority) => {
                    let active = if hypervisor.trunk_active { "True" } else { "False" };
                    format!("Trunk Adapter: True\n  Priority: {priority}  Active: {active}\n")
                }
                None => "Trunk Adapter: False\n".to_owned(),
            };
            format!(
                "Virtual I/O Ethernet Adapter (l-lan) Specific Statistics:\n---------------------------------------------------------\n\
                 RQ Length: 4481\n{trunk}Filter MCast Mode: False\nFilters: 255\n  Enabled: {}  Queued: 0  Overflow: 0\n\
                 LAN State: {}\n\nHypervisor Send Failures: {}\n  Receiver Failures: {}\n  Send Errors: 0\n\
                 Hypervisor Receive Failures: {}\n\nInvalid VLAN ID Packets: {}\n\nILLAN Attributes: 0000000000003002 [0000000000002000]\n\n\
                 Port VLAN ID: {:>5}\n{}\n\nSwitch ID: {}\n",
                usize::from(interface.addresses().iter().any(|own| own.address.is_ipv6())) + 1,
                if interface.has_carrier() { "Operational" } else { "Inoperational" },
                hypervisor.transmit_drops,
                hypervisor.transmit_drops,
                hypervisor.receive_drops,
                hypervisor.invalid_vlan_frames,
                adapter.port_vlan_id,
                tags(&adapter.tagged_vlan_ids),
                adapter.virtual_switch
            )
        }
        Adapter::Vnic(adapter) => {
            let word = if interface.has_carrier() { "Up" } else { "Down" };
            format!(
                "{}\n{RULE}\nCurrent Link State: {word}\nCurrent Operational State: {}\n{}\n{}",
                "Virtual NIC Client Adapter (vnic) Specific Statistics:",
                if interface.has_carrier() { "Running" } else { "Stopped" },
                vlan_lines(adapter.port_vlan_priority, adapter.port_vlan_id, &adapter.allowed_vlans),
                drops(hypervisor)
            )
        }
        Adapter::LogicalPort(port) => format!(
            "{} VF \n{RULE}\nDevice Statistics:\n------------------\nDevice ID: df1028e21410e304\nVersion: 1\n\
             Physical Port Link Status: {}\nLogical Port Link Status: {}\nPhysical Port Speed: 10 Gbps Full Duplex\n\
             PCI Mode: PCI-Express Unknown\n{}\n{}",
            port.description,
            if interface.has_carrier() { "Up" } else { "Down" },
            if interface.has_carrier() { "Up" } else { "Down" },
            vlan_lines(port.port_vlan_priority, port.port_vlan_id, &port.allowed_vlans),
            drops(hypervisor)
        ),
        _ => format!(
            "{} Specific Statistics:\n{RULE}\nLink Status: {}\nMedia Speed Running: 10000 Mbps Full Duplex\n",
            adapter.description(),
            if interface.has_carrier() { "Up" } else { "Down" }
        ),
    }
}

fn tags(vlans: &[u16]) -> String {
    if vlans.is_empty() {
        return "VLAN Tag IDs:  None\n".to_owned();
    }
    let rows: Vec<String> =
        vlans.chunks(9).map(|row| row.iter().map(|vlan| format!("{vlan:>6}")).collect::<String>()).collect();
    format!("VLAN Tag IDs:{}\n", rows.join(&format!("\n{:13}", "")))
}

fn vlan_lines(priority: u8, vlan: u16, allowed: &AllowedVlans) -> String {
    let allowed = match allowed {
        AllowedVlans::All => "All".to_owned(),
        AllowedVlans::None => "None".to_owned(),
        AllowedVlans::Only(list) => {
            list.iter().map(|vlan| format!("{vlan:04}")).collect::<Vec<_>>().join("  ")
        }
    };
    format!("Port VLAN (Priority:ID): {priority}:{vlan:04}\nEnabled VLAN IDs: {allowed}")
}

fn drops(hypervisor: &PortStatistics) -> String {
    format!(
        "Transmit Dropped Packets: {}\nReceive Dropped Packets: {}\n",
        hypervisor.transmit_drops, hypervisor.receive_drops
    )
}
