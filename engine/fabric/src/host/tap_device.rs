//! Opens TAP devices. This module has unsafe code, because the kernel takes what a TAP device shall be in ioctls whose
//! argument no safe interface describes.
#![allow(unsafe_code)]

use std::ffi::c_short;
use std::fs::File;
use std::io;

use rustix::ioctl::{IntegerSetter, Setter, ioctl};

/// `TUNSETIFF`, `TUNSETOFFLOAD` (linux/if_tun.h), the same on all machines that have the generic ioctl numbers.
const SET_INTERFACE: rustix::ioctl::Opcode = 0x4004_54CA;
const SET_OFFLOAD: rustix::ioctl::Opcode = 0x4004_54D0;
/// A device of frames, without packet information, with the header of offloaded work (`IFF_TAP`, `IFF_NO_PI`,
/// `IFF_VNET_HDR`).
const FLAGS: c_short = 0x0002 | 0x1000 | 0x4000;
/// Work that the kernel may leave to us: checksums, TCP segments over IPv4 and IPv6.
const OFFLOAD: usize = 0x01 | 0x02 | 0x04;

/// `struct ifreq` as `TUNSETIFF` reads it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: c_short,
    rest: [u8; 22],
}

/// Opens the TAP device of that name; makes it if it is not there. With `offload`, frames may come with work left to do.
pub(super) fn open(name: &str, offload: bool) -> io::Result<File> {
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    let mut request = InterfaceRequest { name: [0; 16], flags: FLAGS, rest: [0; 22] };
    if name.is_empty() || name.len() > 15 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a TAP device's name has 1 to 15 characters",
        ));
    }
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: the request has the layout and size of `struct ifreq`, which the kernel reads for this number.
    unsafe { ioctl(&file, Setter::<SET_INTERFACE, InterfaceRequest>::new(request)) }?;
    // SAFETY: the argument of this number is an integer.
    unsafe { ioctl(&file, IntegerSetter::<SET_OFFLOAD>::new_usize(if offload { OFFLOAD } else { 0 })) }?;
    rustix::io::ioctl_fionbio(&file, true)?;
    Ok(file)
}
