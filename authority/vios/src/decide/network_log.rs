//! What happens in the network, as the error log tells it.

use varan_contract::network::{BridgeState, ServerNetworkEvent};
use varan_model::vios::{DeviceDetail, ErrorTemplate};

use super::Draft;
use crate::world::Snapshot;

type Details = Vec<(String, String)>;

fn detail(title: &str, text: impl ToString) -> (String, String) {
    (title.to_owned(), text.to_string())
}

/// The address of a port as detail data shows it: `56FB 2DB8 A406`.
fn address(world: &Snapshot, device: &str) -> Option<String> {
    let DeviceDetail::Ethernet { mac_address, .. } = &world.device(device)?.detail else { return None };
    let digits = format!("{:012X}", mac_address.0);
    Some(format!("{} {} {}", &digits[..4], &digits[4..8], &digits[8..]))
}

/// Template, resource and details of an event; nothing for a step between two states that no log tells.
fn entry(world: &Snapshot, event: &ServerNetworkEvent) -> Option<(ErrorTemplate, String, Details)> {
    use ServerNetworkEvent as E;
    Some(match event {
        E::Bridge { device, state } => {
            let (template, details) = match state {
                BridgeState::Primary | BridgeState::PrimarySharing => {
                    (ErrorTemplate::BridgePrimary, Vec::new())
                }
                BridgeState::Backup | BridgeState::BackupSharing => (ErrorTemplate::BridgeBackup, Vec::new()),
                BridgeState::Limbo => {
                    (ErrorTemplate::BridgeLimbo, vec![detail("ABSTRACT", "Adapter link down")])
                }
                _ => return None,
            };
            (template, device.clone(), details)
        }
        E::Storm { device, vlan } => {
            let text = format!(
                "Frames of VLAN {vlan} came back through {device}. It does not bridge until the loop is gone."
            );
            (ErrorTemplate::BridgeLoop, device.clone(), vec![detail("ABSTRACT", text)])
        }
        E::Misconfigured { device, reason } => {
            (ErrorTemplate::BridgeMisconfigured, device.clone(), vec![detail("ABSTRACT", reason)])
        }
        E::Link { device, up } => {
            let template = if *up { ErrorTemplate::LinkUp } else { ErrorTemplate::LinkDown };
            let details = address(world, device).map(|address| detail("MAC ADDRESS", address));
            (template, device.clone(), details.into_iter().collect())
        }
        E::Backup { device, on_backup: true } => {
            let text = "All primary EtherChannel adapters failed: switching over to backup adapter";
            (ErrorTemplate::AggregationFailover, device.clone(), vec![detail("ABSTRACT", text)])
        }
        E::Backup { device, on_backup: false } => {
            (ErrorTemplate::AggregationRecovery, device.clone(), Vec::new())
        }
        E::VnicLogin { device } => (ErrorTemplate::VnicClientLogin, device.clone(), Vec::new()),
        E::VnicTransport { device } => (ErrorTemplate::VnicTransportEvent, device.clone(), Vec::new()),
    })
}

/// Logs events, in their order.
pub(crate) fn network_events(draft: &mut Draft, events: &[ServerNetworkEvent], now: i64) {
    for event in events {
        if let Some((template, resource, details)) = entry(&draft.world, event) {
            draft.log(now, template, &resource, details);
        }
    }
}
