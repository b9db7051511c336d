//! Real programs of the host's kernel behind TAP devices: a network namespace pings hosts of the outside, and another
//! namespace, through the fabric.

#![allow(missing_docs)]

use std::process::{Command, Output};
use std::sync::Arc;

use varan_environment::RealEnvironment;
use varan_fabric::PortNumber;
use varan_fabric::driver::Driver;
use varan_fabric::host::{TapDevice, attach_tap};
use varan_fabric::outside::OutsideFabric;
use varan_model::site::topology::{Host, Topology};
use varan_model::site::{CableEnd, Switch, SwitchPort};

fn run(program: &str, arguments: &[&str]) -> Result<Output, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// A network namespace, gone when this is dropped.
struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Result<Self, String> {
        run("ip", &["netns", "add", name])?;
        Ok(Self(name.to_owned()))
    }

    fn ip(&self, arguments: &[&str]) -> Result<Output, String> {
        run("ip", &[&["-n", &self.0], arguments].concat())
    }

    /// Asks an address three times; whether all were answered.
    fn reaches(&self, address: &str, size: &str) -> bool {
        let ping = ["netns", "exec", &self.0, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", "-s", size];
        let answer = run("ip", &[&ping[..], &[address]].concat());
        answer.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(" 0% packet loss"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What is left of it would only be in the way of the next run.
        let _ = run("ip", &["netns", "del", &self.0]);
    }
}

/// A TAP device whose host's end is in a namespace with this address.
fn device(namespace: &Namespace, name: &str, address: &str, offload: bool) -> Result<TapDevice, String> {
    let device = TapDevice::open(name, offload).map_err(|error| format!("{name}: {error}"))?;
    run("ip", &["link", "set", name, "netns", &namespace.0])?;
    namespace.ip(&["addr", "add", address, "dev", name])?;
    namespace.ip(&["link", "set", name, "up"])?;
    Ok(device)
}

fn outside() -> OutsideFabric {
    let port = |name: &str, peer: CableEnd, native: u16, tagged: &[u16]| SwitchPort {
        name: name.to_owned(),
        peer: Some(peer),
        native_vlan: native,
        tagged_vlans: tagged.to_vec(),
        blocked_ports: Vec::new(),
    };
    let host = |name: &str, address: [u8; 4]| Host {
        end: CableEnd::OutsideHost(name.to_owned()),
        addresses: vec![(None, address.into(), 24)],
        router: false,
    };
    let ports = vec![
        port("1", CableEnd::Tap("0".to_owned()), 10, &[20]),
        port("2", CableEnd::Tap("1".to_owned()), 10, &[]),
        port("3", CableEnd::OutsideHost("ten".to_owned()), 10, &[]),
        port("4", CableEnd::OutsideHost("twenty".to_owned()), 20, &[]),
    ];
    let topology = Topology {
        switches: vec![Switch { name: "leaf".to_owned(), ports }],
        hosts: vec![host("ten", [10, 77, 10, 1]), host("twenty", [10, 77, 20, 1])],
    };
    OutsideFabric::new(&topology, 1, |end| match end {
        CableEnd::Tap(number) => number.parse().ok().map(PortNumber),
        _ => None,
    })
}

fn pings(offload: bool) -> Result<(), String> {
    let id = std::process::id();
    let mark = if offload { "o" } else { "p" };
    run("ping", &["-V"])?;
    let one = Namespace::new(&format!("varan-{id}{mark}1"))?;
    let other = Namespace::new(&format!("varan-{id}{mark}2"))?;
    let (first, second) = (format!("vt{id}{mark}1"), format!("vt{id}{mark}2"));
    let device_one = device(&one, &first, "10.77.10.11/24", offload)?;
    let device_other = device(&other, &second, "10.77.10.12/24", offload)?;
    // A VLAN of the host's kernel over the first one.
    let vlan = one.ip(&["link", "add", "link", &first, "name", "v20", "type", "vlan", "id", "20"]);
    if vlan.is_ok() {
        one.ip(&["addr", "add", "10.77.20.11/24", "dev", "v20"])?;
        one.ip(&["link", "set", "v20", "up"])?;
    }

    let driver = Driver::threaded(Arc::new(RealEnvironment::new())).map_err(|error| error.to_string())?;
    let place = driver.add(outside(), |_| {});
    let attach = |number: u32, device: TapDevice| {
        attach_tap(&driver.wiring(), place.port(PortNumber(number)), device, offload)
    };
    let _one = attach(0, device_one).expect("a thread");
    let _other = attach(1, device_other).expect("a thread");
    assert!(one.reaches("10.77.10.1", "56"), "a host of the outside");
    match vlan {
        Ok(_) => assert!(one.reaches("10.77.20.1", "56"), "one in a tagged VLAN"),
        Err(reason) => println!("SKIP: tagged frames of the kernel: {reason}"),
    }
    assert!(other.reaches("10.77.10.11", "1400"), "another kernel");
    assert!(other.reaches("10.77.10.1", "4000"), "in fragments");
    assert!(!other.reaches("10.77.20.1", "56"), "another VLAN is out of reach");
    Ok(())
}

#[test]
fn the_kernel_pings_through_tap_devices() {
    for offload in [false, true] {
        if let Err(reason) = pings(offload) {
            println!("SKIP: TAP devices: {reason}");
            return;
        }
    }
}
