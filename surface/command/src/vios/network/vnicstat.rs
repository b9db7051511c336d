//! `vnicstat`, a command of root's: the server adapter of a virtual NIC.

use varan_contract::vios::{Select, ViosChange};
use varan_contract::vios_network::{NetworkChange, NetworkQuery, VirtualNicMapping};
use varan_model::vios::ViosMessage;

use super::super::error::{Ended, refused};
use super::super::invocation::{ViosInvocation, by_name};
use super::entstat::logical_port_part;
use super::network;

/// Where the right column begins.
const COLUMN: usize = 40;

/// `vnicstat [-b] [-d] [-r] vnicserverN`.
pub(in super::super) fn run(
    invocation: &mut ViosInvocation<'_>,
    has: &dyn Fn(char) -> bool,
    operands: &[String],
) -> Result<u8, Ended> {
    let [name] = operands else {
        return Err(refused(ViosMessage::OptionMissing, "vnicserver").into());
    };
    let query = NetworkQuery::VirtualNics { adapters: Select::One(by_name(name)), client: None };
    let found = network!(invocation, query, VirtualNics);
    let unknown = || refused(ViosMessage::DeviceNotAvailable, name);
    let nic = found.into_iter().next().ok_or_else(unknown)?;
    if has('r') {
        if let Some(backing) = &nic.backing {
            let change = NetworkChange::ResetStatistics(by_name(backing.name.as_str()));
            invocation.change(ViosChange::Network(change))?;
        }
        return Ok(0);
    }
    let mut text = device_part(&nic);
    if has('d') || has('b') {
        queues(&mut text, &nic, has('d'));
    }
    if let (true, Some(backing), Some(state)) = (has('b'), &nic.backing, &nic.state) {
        text.push_str(&format!("\n{}\n\n", "-".repeat(61)));
        let jumbo = backing.attribute("jumbo_frames") == Some("yes");
        logical_port_part(&mut text, backing.description(), &state.statistics, nic.port_vlan, jumbo);
    }
    invocation.output.write_all(text.as_bytes())?;
    Ok(0)
}

/// The parts that every form shows; what the client said of itself only once it did.
fn device_part(nic: &VirtualNicMapping) -> String {
    let rule = "-".repeat(80);
    let active = nic.state.as_ref().is_some_and(|state| state.active);
    let operational = nic.state.as_ref().is_some_and(|state| state.operational);
    let link_up = nic.state.as_ref().is_some_and(|state| state.statistics.link_up);
    let readiness = match (operational, link_up) {
        (true, _) => "operational",
        (false, false) => "link down",
        (false, true) => "not operational",
    };
    let backing = nic.backing.as_ref().map_or("N/A", |device| device.name.as_str());
    let priority = nic.state.as_ref().map_or(nic.priority, |state| state.priority);
    let mut text = format!("\n{rule}\nVNIC Server Statistics: {}\n{rule}\n", nic.adapter);
    text.push_str(&format!("Device Statistics:\n{:<COLUMN$}\n", "------------------"));
    text.push_str(&format!("State: {}\n", if active { "active" } else { "config_2" }));
    text.push_str(&format!("Backing Device Name: {backing}\n\n"));
    text.push_str(&format!("Failover State: {}\n", if active { "active" } else { "inactive" }));
    text.push_str(&format!("Failover Readiness: {readiness}\nFailover Priority: {priority}\n"));
    if let Some(client) = nic.client_login.as_ref().filter(|_| active) {
        let known = |text: &str| if text.is_empty() { "N/A".to_owned() } else { text.to_owned() };
        text.push_str(&format!("\nClient Partition ID: {}\n", nic.client));
        text.push_str(&format!("Client Partition Name: {}\n", known(&client.name)));
        text.push_str(&format!("Client Operating System: {}\n", known(&client.operating_system)));
        text.push_str(&format!("Client Device Name: {}\n", known(&client.device)));
        text.push_str(&format!("Client Device Location Code: {}\n", nic.client_location));
    }
    text
}

fn columns(text: &mut String, rows: &[(String, String)]) {
    for (left, right) in rows {
        if right.is_empty() {
            text.push_str(&format!("{left}\n"));
        } else {
            text.push_str(&format!("{left:<COLUMN$}{right}\n"));
        }
    }
}

/// Descriptors are frames: each is one, handed on as it comes.
fn queues(text: &mut String, nic: &VirtualNicMapping, details: bool) {
    let port = nic.state.as_ref().map(|state| state.statistics).unwrap_or_default();
    let logins = u64::from(nic.client_login.is_some());
    let row = |left: String, right: String| (left, right);
    text.push_str(&format!("\nMain CRQ Statistics:\n{:<COLUMN$}\n", "--------------------"));
    let state = if nic.client_login.is_some() { "open" } else { "closed" };
    columns(
        text,
        &[
            row(format!("State: {state}"), "Error Indications: 0".to_owned()),
            row(format!("Login Requests: {logins}"), "Low Memory: 0".to_owned()),
        ],
    );
    text.push_str(&format!("\nRX/TX statistics:\n{:<COLUMN$}\n", "-----------------"));
    columns(text, &[row("TX:".to_owned(), "RX:".to_owned())]);
    text.push_str(&format!("{:<COLUMN$}{:<COLUMN$}\n", "---", "---"));
    let counts = |text: &mut String| {
        let (sent, got) = (port.transmitted_frames, port.received_frames);
        columns(
            text,
            &[
                row(format!("Client Descriptors: {sent}"), format!("Client Descriptors: {got}")),
                row(format!("VF Descriptors: {sent}"), format!("VF Descriptors: {got}")),
                row(format!("Client Completions: {sent}"), format!("Client Completions: {got}")),
                row(format!("VF Completions: {sent}"), format!("VF Completions: {got}")),
                row(
                    format!("VF Completions Error: {}", port.transmit_drops),
                    format!("VF Completions Error: {}", port.receive_drops),
                ),
            ],
        );
    };
    counts(text);
    if details {
        text.push_str(&format!("\nPer Sub-CRQ Statistics: \n{:<COLUMN$}\n", "------------------------"));
        columns(text, &[row("TX Sub-CRQ:".to_owned(), "RX Sub-CRQ: ".to_owned())]);
        text.push_str(&format!("{:<COLUMN$}{:<COLUMN$}\n", "------------", "------------"));
        columns(text, &[row("Nb Sub-CRQ: 1".to_owned(), "Nb Sub-CRQ: 1".to_owned())]);
        text.push('\n');
        columns(text, &[row("TX Sub-CRQ 1:".to_owned(), "RX Sub-CRQ 1:".to_owned())]);
        text.push_str(&format!("{:<COLUMN$}{:<COLUMN$}\n", "-------------", "-------------"));
        counts(text);
    }
}
