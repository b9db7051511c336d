//! Two network namespaces joined by the fabric (a switch of `OutsideFabric` between two TAP devices, with offloaded work), by
//! `vde_switch` from Debian's package vde2, and by the kernel's bridge: TCP throughput and small UDP packets, measured with
//! iperf3 in turns. `cargo bench -p varan-fabric --bench taps`; needs root, `ip`, `iperf3`, and `vde_switch` for its row.

#![allow(missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use varan_environment::RealEnvironment;
use varan_fabric::PortNumber;
use varan_fabric::driver::Driver;
use varan_fabric::host::{TapDevice, TapPeer, attach_tap};

const ROUNDS: usize = 5;
const SECONDS: &str = "2";

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output().map_err(|error| error.to_string())?;
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("ip {arguments}: {message}")) }
}

/// A child that is ended when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, arguments: &[&str]) -> Result<Running, String> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.map(Running).map_err(|error| format!("{program}: {error}"))
}

/// What joins two namespaces; all of it goes when this is dropped.
struct Joined {
    name: &'static str,
    spaces: [String; 2],
    bridge: Option<String>,
    _server: Option<Running>,
    _switch: Option<Running>,
    _fabric: Option<([TapPeer; 2], Driver)>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        for space in &self.spaces {
            let _ = ip(&format!("netns del {space}"));
        }
        if let Some(bridge) = &self.bridge {
            let _ = ip(&format!("link del {bridge}"));
        }
    }
}

impl Joined {
    fn new(name: &'static str) -> Result<Self, String> {
        let id = std::process::id();
        let spaces = [format!("{name}-{id}a"), format!("{name}-{id}b")];
        for space in &spaces {
            ip(&format!("netns add {space}"))?;
        }
        Ok(Self { name, spaces, bridge: None, _server: None, _switch: None, _fabric: None })
    }

    fn put(&self, device: &str, side: usize) -> Result<(), String> {
        let space = &self.spaces[side];
        ip(&format!("link set {device} netns {space}"))?;
        ip(&format!("-n {space} addr add 10.99.0.{}/24 dev {device}", side + 1))?;
        ip(&format!("-n {space} link set {device} up"))?;
        ip(&format!("-n {space} link set lo up"))
    }

    fn serve(&mut self) -> Result<(), String> {
        self._server = Some(start("ip", &["netns", "exec", &self.spaces[1], "iperf3", "-s"])?);
        Ok(())
    }

    fn fabric() -> Result<Self, String> {
        let mut joined = Self::new("varan")?;
        let driver = Driver::threaded(Arc::new(RealEnvironment::new())).map_err(|error| error.to_string())?;
        let place = driver.add(support::outside_of(2), |_| {});
        let mut peers = Vec::new();
        for side in 0..2 {
            let name = format!("vf{}{side}", std::process::id());
            let device = TapDevice::open(&name, true).map_err(|error| error.to_string())?;
            joined.put(&name, side)?;
            let port = place.port(PortNumber(u32::try_from(side).unwrap_or(0)));
            peers.push(attach_tap(&driver.wiring(), port, device, true).map_err(|error| error.to_string())?);
        }
        let peers = <[TapPeer; 2]>::try_from(peers).map_err(|_| "two devices".to_owned())?;
        joined._fabric = Some((peers, driver));
        joined.serve()?;
        Ok(joined)
    }

    fn bridge() -> Result<Self, String> {
        let mut joined = Self::new("bridge")?;
        let bridge = format!("br{}", std::process::id());
        ip(&format!("link add {bridge} type bridge"))?;
        joined.bridge = Some(bridge.clone());
        for side in 0..2 {
            let (near, far) =
                (format!("n{}{side}", std::process::id()), format!("f{}{side}", std::process::id()));
            ip(&format!("link add {near} type veth peer name {far}"))?;
            ip(&format!("link set {near} master {bridge}"))?;
            ip(&format!("link set {near} up"))?;
            joined.put(&far, side)?;
        }
        ip(&format!("link set {bridge} up"))?;
        joined.serve()?;
        Ok(joined)
    }

    fn vde() -> Result<Self, String> {
        let mut joined = Self::new("vde")?;
        let names = [0, 1].map(|side| format!("vd{}{side}", std::process::id()));
        for name in &names {
            ip(&format!("tuntap add dev {name} mode tap"))?;
        }
        let socket = std::env::temp_dir().join(format!("vde-{}", std::process::id()));
        let socket = socket.to_string_lossy().into_owned();
        let switch = start("vde_switch", &["-s", &socket, "-tap", &names[0], "-tap", &names[1]]);
        if switch.is_err() {
            names.iter().for_each(|name| drop(ip(&format!("link del {name}"))));
        }
        let switch = switch?;
        joined._switch = Some(switch);
        // It opens the devices by their names here, before they move.
        std::thread::sleep(std::time::Duration::from_secs(1));
        for (side, name) in names.iter().enumerate() {
            joined.put(name, side)?;
        }
        joined.serve()?;
        Ok(joined)
    }

    /// Runs iperf3; the number after a key of its answer's sum.
    fn measure(&self, arguments: &[&str], section: &str, key: &str) -> Option<f64> {
        let fixed = ["netns", "exec", &self.spaces[0], "iperf3", "-J", "-c", "10.99.0.2", "-t", SECONDS];
        let output = Command::new("ip").args([&fixed[..], arguments].concat()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let rest = &text[text.rfind(&format!("\"{section}\":"))?..];
        let rest = &rest[rest.find(&format!("\"{key}\":"))? + key.len() + 3..];
        rest.split([',', '}', '\n']).next()?.trim().parse().ok()
    }

    fn throughput(&self) -> Option<f64> {
        self.measure(&[], "sum_received", "bits_per_second").map(|bits| bits / 1e9)
    }

    /// Thousands of packets of 64 bytes that arrived in a second.
    fn packets(&self) -> Option<f64> {
        let arguments = ["-u", "-b", "0", "-l", "22"];
        let bits = self.measure(&arguments, "sum_received", "bits_per_second");
        bits.or_else(|| self.measure(&arguments, "sum", "bits_per_second"))
            .map(|bits| bits / 8.0 / 22.0 / 1e3)
    }
}

fn row(name: &str, mut values: Vec<f64>, unit: &str) {
    if values.is_empty() {
        println!("{name:<10} no answer");
        return;
    }
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    println!("{name:<10}{:>10.2} {unit} ({least:.2}-{most:.2})", values[values.len() / 2]);
}

fn main() {
    let mut all = Vec::new();
    for joined in [Joined::fabric(), Joined::vde(), Joined::bridge()] {
        match joined {
            Ok(joined) => all.push(joined),
            Err(reason) => println!("SKIP: {reason}"),
        }
    }
    std::thread::sleep(std::time::Duration::from_secs(1));
    let mut results = vec![(Vec::new(), Vec::new()); all.len()];
    for _ in 0..ROUNDS {
        for (joined, (throughput, packets)) in all.iter().zip(&mut results) {
            throughput.extend(joined.throughput());
            packets.extend(joined.packets());
        }
    }
    println!("TCP");
    for (joined, (throughput, _)) in all.iter().zip(&results) {
        row(joined.name, throughput.clone(), "Gbit/s");
    }
    println!("UDP, frames of 64 bytes");
    for (joined, (_, packets)) in all.iter().zip(&results) {
        row(joined.name, packets.clone(), "thousand/s");
    }
}
