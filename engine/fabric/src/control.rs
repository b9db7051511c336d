//! What the hypervisor and a Virtual I/O Server tell each other in frames, beside those of their networks.
//!
//! On the real machine these are hypervisor calls and control queues. Here the two are places of their own, perhaps in two
//! processes, joined by nothing but links that carry frames in order; so what they say travels as frames of the type that
//! IEEE leaves to local experiments, between the hypervisor's address and the port's own.
//!
//! | message | way | port | meaning |
//! |---|---|---|---|
//! | [`Control::Trunk`] | server to hypervisor | a trunk adapter | the Shared Ethernet Adapter over it bridges, or does not; how its uplink is |
//! | [`Control::Gone`] | hypervisor to server | a trunk or control channel adapter | another such adapter left this VLAN |
//! | [`Control::AskLife`] | hypervisor to server | the server's control port | asks for a sign of life |
//! | [`Control::Alive`] | server to hypervisor | the server's control port | the answer, with the same number |
//! | [`Control::VnicServer`] | hypervisor to server | the server's control port | a virtual NIC's backing device, when it changes and when the carrier comes |
//! | [`Control::VnicClient`] | hypervisor to server | the server's control port | what that NIC's client says of itself |
//!
//! Which trunk adapter of a VLAN is in use:
//! - A trunk is usable while its port has a carrier from the server: the server sets it up while something uses the device.
//! - A usable trunk whose server said `Trunk { bridges: true, .. }` is active. Several may be: that is how Shared Ethernet
//!   Adapters without a common control channel make a loop.
//! - Where no server has said anything about a VLAN's trunks (a trunk adapter without a Shared Ethernet Adapter), the usable
//!   one with the lowest priority number is active.
//! - What was said is forgotten when the carrier goes or the adapter is taken out: the server says it again. A change of the
//!   adapter while it is plugged in keeps it.
//!
//! A trunk that is not active gets and sends only frames to and from the adapter's own address, and those of VLAN 4095, on
//! which all usable trunks of a virtual switch hear each other: there Shared Ethernet Adapters without a control channel
//! adapter find each other.

use varan_ethernet::{EthernetAddress, Frame, VlanTag};

/// Type field of control frames (IEEE 802, local experimental type 1).
pub const TYPE_CONTROL: u16 = 0x88B5;
/// The hypervisor, as control frames address it: a reserved address, so that no bridge passes one on.
pub const HYPERVISOR_ADDRESS: EthernetAddress = EthernetAddress([0x01, 0x80, 0xC2, 0x00, 0x00, 0x0E]);
/// VLAN on which the trunk adapters of a virtual switch hear each other.
pub const DISCOVERY_VLAN: u16 = 4_095;

/// First bytes of the payload, to tell these frames from other uses of the type.
const MAGIC: [u8; 4] = *b"VHYP";
/// Bytes of a payload: magic, kind, flags, VLAN, number; padded to the shortest frame.
const PAYLOAD_BYTES: usize = 46;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Whether frames of the trunk adapter's VLANs go through it.
    Trunk {
        /// The Shared Ethernet Adapter bridges over this adapter.
        bridges: bool,
        /// Whether its uplink works; `None` if it does not watch it (`poll_uplink`). Clients see it as their physical link.
        uplink: Option<bool>,
    },
    /// A trunk or control channel adapter is not in this VLAN of the virtual switch any more, or nobody uses it any more.
    Gone {
        /// VLAN.
        vlan: u16,
    },
    /// Asks for a sign of life.
    AskLife {
        /// Number of the question.
        number: u32,
    },
    /// A sign of life.
    Alive {
        /// Number of the question that is answered.
        number: u32,
    },
    /// How a virtual NIC's backing device is, at its server.
    VnicServer {
        /// Virtual slot of the server adapter.
        slot: u16,
        /// The client's frames go over it: the client is logged in.
        active: bool,
        /// It works.
        operational: bool,
        /// The client has been logged in since the server adapter was made.
        client_known: bool,
        /// Failover priority.
        priority: u8,
    },
    /// What the client of a virtual NIC said of itself when it logged in, at its server.
    VnicClient {
        /// Virtual slot of the server adapter.
        slot: u16,
        /// The client.
        client: VnicClient,
    },
}

/// The client of a virtual NIC as it describes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VnicClient {
    /// Operating system.
    pub system: ClientSystem,
    /// Number of its device: 0 for `ent0`.
    pub device: u16,
}

/// The operating system of a virtual NIC's client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSystem {
    /// AIX; its devices are `ent0`, `ent1`, ...
    Aix,
    /// Linux; its devices are `eth0`, `eth1`, ...
    Linux,
    /// IBM i; its devices are `CMN01`, ...
    IbmI,
}

impl VnicClient {
    /// The operating system's name and the device's.
    #[must_use]
    pub fn names(self) -> (&'static str, String) {
        match self.system {
            ClientSystem::Aix => ("AIX", format!("ent{}", self.device)),
            ClientSystem::Linux => ("Linux", format!("eth{}", self.device)),
            ClientSystem::IbmI => ("IBM i", format!("CMN{:02}", self.device + 1)),
        }
    }
}

impl Control {
    /// Fills an empty frame with the message. `port` is the address of the server's port, for either way.
    pub fn write(self, port: EthernetAddress, frame: &mut Frame) {
        let (kind, flags, vlan, number) = match self {
            Self::Trunk { bridges, uplink } => {
                let watched = uplink.map_or(0, |up| 2 | u8::from(up) << 2);
                (1, u8::from(bridges) | watched, 0, 0)
            }
            Self::Gone { vlan } => (2, 0, vlan, 0),
            Self::AskLife { number } => (3, 0, 0, number),
            Self::Alive { number } => (4, 0, 0, number),
            Self::VnicServer { slot, active, operational, client_known, priority } => {
                let flags = u8::from(active) | u8::from(operational) << 1 | u8::from(client_known) << 2;
                (5, flags, slot, u32::from(priority))
            }
            Self::VnicClient { slot, client } => (6, client.system as u8, slot, u32::from(client.device)),
        };
        let to_server = !matches!(self, Self::Trunk { .. } | Self::Alive { .. });
        let (destination, source) =
            if to_server { (port, HYPERVISOR_ADDRESS) } else { (HYPERVISOR_ADDRESS, port) };
        frame.tag = None;
        let bytes = frame.buffer();
        bytes.clear();
        bytes.extend_from_slice(&destination.0);
        bytes.extend_from_slice(&source.0);
        bytes.extend_from_slice(&TYPE_CONTROL.to_be_bytes());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[kind, flags]);
        bytes.extend_from_slice(&vlan.to_be_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.resize(varan_ethernet::HEADER_BYTES + PAYLOAD_BYTES, 0);
    }

    /// Reads a message; `None` for any other frame, whatever is in it.
    #[must_use]
    pub fn read(frame: &Frame) -> Option<Self> {
        if frame.ethernet_type() != TYPE_CONTROL || frame.tag.is_some_and(|tag: VlanTag| tag.id != 0) {
            return None;
        }
        let payload = frame.payload();
        if payload.get(..4)? != MAGIC {
            return None;
        }
        let [kind, flags, vlan_high, vlan_low, a, b, c, d] = *payload.get(4..12)?.first_chunk::<8>()?;
        let (vlan, number) = (u16::from_be_bytes([vlan_high, vlan_low]), u32::from_be_bytes([a, b, c, d]));
        let from_server = frame.destination() == HYPERVISOR_ADDRESS;
        let from_hypervisor = frame.source() == HYPERVISOR_ADDRESS;
        match kind {
            1 if from_server => {
                let uplink = (flags & 2 != 0).then_some(flags & 4 != 0);
                Some(Self::Trunk { bridges: flags & 1 != 0, uplink })
            }
            2 if from_hypervisor && (1..=4_095).contains(&vlan) => Some(Self::Gone { vlan }),
            3 if from_hypervisor => Some(Self::AskLife { number }),
            4 if from_server => Some(Self::Alive { number }),
            5 if from_hypervisor => Some(Self::VnicServer {
                slot: vlan,
                active: flags & 1 != 0,
                operational: flags & 2 != 0,
                client_known: flags & 4 != 0,
                priority: u8::try_from(number).ok()?,
            }),
            6 if from_hypervisor => {
                let system = match flags {
                    0 => ClientSystem::Aix,
                    1 => ClientSystem::Linux,
                    2 => ClientSystem::IbmI,
                    _ => return None,
                };
                let client = VnicClient { system, device: u16::try_from(number).ok()? };
                Some(Self::VnicClient { slot: vlan, client })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: EthernetAddress = EthernetAddress([0xFA, 1, 2, 3, 4, 0x20]);

    #[test]
    fn what_is_written_is_read() {
        let messages = [
            Control::Trunk { bridges: true, uplink: None },
            Control::Trunk { bridges: false, uplink: Some(false) },
            Control::Trunk { bridges: true, uplink: Some(true) },
            Control::Gone { vlan: 4_095 },
            Control::AskLife { number: u32::MAX },
            Control::Alive { number: 7 },
            Control::VnicServer {
                slot: 32_897,
                active: true,
                operational: true,
                client_known: false,
                priority: 100,
            },
            Control::VnicClient {
                slot: 32_898,
                client: VnicClient { system: ClientSystem::Linux, device: 300 },
            },
        ];
        for message in messages {
            let mut frame = Frame::default();
            message.write(PORT, &mut frame);
            assert_eq!(Control::read(&frame), Some(message));
            assert_eq!(frame.bytes().len(), 60, "the shortest frame of a wire without its checksum");
        }
    }

    #[test]
    fn any_cut_or_other_frame_is_no_message() {
        let mut frame = Frame::default();
        Control::Trunk { bridges: true, uplink: None }.write(PORT, &mut frame);
        for length in 0..26 {
            let mut cut = frame.clone();
            cut.buffer().truncate(length);
            assert_eq!(Control::read(&cut), None, "{length} bytes");
        }
        let mut elsewhere = frame.clone();
        elsewhere.buffer()[5] ^= 1;
        assert_eq!(Control::read(&elsewhere), None, "to another address");
        frame.tag = Some(VlanTag::of(5));
        assert_eq!(Control::read(&frame), None, "in a VLAN");
    }
}
