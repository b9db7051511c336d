//! Burned-in addresses of ports for which the file gives none. They depend on the port's location code
//! only, so they stay the same when the file grows.

use super::checks::{Checks, NameSpace};
use super::error::SiteError;
use super::identifiers::{LocationCode, stable_bits};
use super::io::{Adapter, Unit};
use super::reader::Place;
use crate::ids::{MacAddress, WorldWidePortName};

/// First octet of made-up addresses: locally administered, so that they meet no real adapter's.
const LOCAL_OCTET: u64 = 0xA2 << 40;
/// The 40 bits behind it.
const LOW_BITS: u64 = (1 << 40) - 1;
/// Network address authority 1 (IEEE 48-bit) in front of a MAC address makes a world-wide port name.
const AUTHORITY_IEEE: u64 = 0x1000 << 48;

/// Gives every port of the units an address. Called when all given ones are known.
pub(super) fn complete(units: &mut [Unit], place: &Place, checks: &mut Checks<'_>) -> Result<(), SiteError> {
    for slot in units.iter_mut().flat_map(|unit| &mut unit.slots) {
        match &mut slot.adapter {
            None | Some(Adapter::Sas { .. }) => {}
            Some(Adapter::Ethernet { ports }) => {
                for port in ports {
                    complete_mac_address(&mut port.mac_address, &port.location_code, place, checks)?;
                }
            }
            Some(Adapter::Sriov(adapter)) => {
                for port in &mut adapter.ports {
                    complete_mac_address(&mut port.mac_address, &port.location_code, place, checks)?;
                }
            }
            Some(Adapter::FibreChannel { ports }) => {
                for port in ports {
                    complete_port_name(&mut port.port_name, &port.location_code, place, checks)?;
                }
            }
        }
    }
    Ok(())
}

fn complete_mac_address(
    address: &mut MacAddress,
    location: &LocationCode,
    place: &Place,
    checks: &mut Checks<'_>,
) -> Result<(), SiteError> {
    if address.0 != 0 {
        return Ok(());
    }
    let mut low = stable_bits(&location.to_string()) & LOW_BITS;
    loop {
        *address = MacAddress(LOCAL_OCTET | low);
        if !checks.is_claimed(NameSpace::MacAddress, "", &address.to_string()) {
            return checks.claim(NameSpace::MacAddress, "", &address.to_string(), place);
        }
        low = (low + 1) & LOW_BITS;
    }
}

fn complete_port_name(
    name: &mut WorldWidePortName,
    location: &LocationCode,
    place: &Place,
    checks: &mut Checks<'_>,
) -> Result<(), SiteError> {
    if name.0 != 0 {
        return Ok(());
    }
    let mut low = stable_bits(&location.to_string()) & LOW_BITS;
    loop {
        *name = WorldWidePortName(AUTHORITY_IEEE | LOCAL_OCTET | low);
        if !checks.is_claimed(NameSpace::WorldWidePortName, "", &name.to_string()) {
            return checks.claim(NameSpace::WorldWidePortName, "", &name.to_string(), place);
        }
        low = (low + 1) & LOW_BITS;
    }
}
