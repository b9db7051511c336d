//! The figures of our NBD server: a raw file beside `qemu-nbd`, and memory beside `nbdkit memory`. Nothing here asserts a
//! duration.
//!
//! ```text
//! cargo bench --profile dev -p varan-block-engine --bench nbd              all rows
//! cargo bench --profile dev -p varan-block-engine --bench nbd -- memory    some: file memory; quick: two short rounds
//! ```
//!
//! fio's nbd engine drives both sides, each a process of its own. Rounds of the two alternate, and so does which is first, so
//! that a change of the machine's speed meets both. Both servers of the file have it open all the time, without the host's
//! cache (`O_DIRECT`), and both use io_uring.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use varan_block_engine::{Cache, DeviceTable, FileDevice, FileOptions, MemoryDevice};
use varan_nbd::{Limits, Server, listen};

/// Bytes of either export.
const SIZE: u64 = 256 << 20;
/// The first argument of a process that serves.
const SERVE: &str = "serve-for-figures";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, kind, socket, file] = arguments.as_slice()
        && role == SERVE
    {
        return serve(kind, Path::new(socket), Path::new(file));
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("SKIP: NBD figures: only `cargo bench` takes them");
        return;
    }
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    let (rounds, seconds) = if asked("quick") { (2, 0.5) } else { (9, 1.0) };
    let directory = std::env::temp_dir().join(format!("varan-nbd-figures-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("directory");
    let file = directory.join("disk");
    let neither = !asked("file") && !asked("memory");
    if (neither || asked("file")) && has("qemu-nbd") && has("fio") {
        prepare(&file);
        compare(&directory, "file", &file, rounds, seconds);
    }
    if (neither || asked("memory")) && has("nbdkit") && has("fio") {
        compare(&directory, "memory", &file, rounds, seconds);
    }
    std::fs::remove_dir_all(&directory).expect("removed");
}

fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        println!("SKIP: NBD figures: {tool} is not installed");
    }
    found
}

fn serve(kind: &str, socket: &Path, file: &Path) {
    let table = DeviceTable::new();
    if kind == "memory" {
        table.insert_in_memory("", Arc::new(MemoryDevice::new(SIZE)));
    } else {
        let options = FileOptions { cache: Cache::Direct, ..FileOptions::default() };
        let device = FileDevice::open(file, options).expect("opened");
        println!("serving, io_uring: {}", device.uses_io_uring());
        table.insert("", Arc::new(device));
    }
    let server = Server::start(listen(socket).expect("bound"), table, Limits::default()).expect("started");
    loop {
        std::thread::park();
        std::hint::black_box(server.connections());
    }
}

/// A file whose room is taken and written, so that no row measures the file system making room.
fn prepare(file: &Path) {
    let block: Vec<u8> = (0..1 << 20).map(|byte: u32| (byte % 251) as u8).collect();
    let bytes: Vec<u8> = block.iter().copied().cycle().take(SIZE as usize).collect();
    std::fs::write(file, bytes).expect("written");
    std::fs::File::open(file).and_then(|file| file.sync_all()).expect("synced");
}

/// A server that ends with this value.
struct Running(Child, PathBuf);

impl Running {
    fn start(mut command: Command, socket: PathBuf) -> Self {
        let child = command.stdout(Stdio::null()).spawn().expect("started");
        let mut running = Self(child, socket);
        while std::os::unix::net::UnixStream::connect(&running.1).is_err() {
            assert!(running.0.try_wait().expect("asked").is_none(), "{command:?} ended");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ours(directory: &Path, kind: &str, file: &Path) -> Running {
    let socket = directory.join(format!("varan-{kind}"));
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([SERVE, kind]).arg(&socket).arg(file);
    Running::start(command, socket)
}

fn theirs(directory: &Path, kind: &str, file: &Path) -> Running {
    let socket = directory.join(format!("other-{kind}"));
    let mut command;
    if kind == "memory" {
        command = Command::new("nbdkit");
        command.arg("-f").arg("-U").arg(&socket).arg("memory").arg(format!("{SIZE}"));
    } else {
        command = Command::new("qemu-nbd");
        command.args(["-f", "raw", "--cache=none", "--aio=io_uring", "--persistent", "--shared=8", "-k"]);
        command.arg(&socket).arg(file);
    }
    Running::start(command, socket)
}

/// Requests a second, as fio counts them.
fn measure(socket: &Path, write: bool, block: &str, depth: u32, seconds: f64) -> f64 {
    let output = Command::new("fio")
        .args(["--name=figure", "--ioengine=nbd", "--time_based", "--output-format=json"])
        .arg(format!("--uri=nbd+unix:///?socket={}", socket.display()))
        .arg(format!("--rw={}", if write { "randwrite" } else { "randread" }))
        .arg(format!("--bs={block}"))
        .arg(format!("--iodepth={depth}"))
        .arg(format!("--size={SIZE}"))
        .arg(format!("--runtime={}ms", (seconds * 1_000.0) as u64))
        .args(["--randrepeat=1", "--norandommap", "--refill_buffers=0"])
        .output()
        .expect("fio");
    let text = String::from_utf8_lossy(&output.stdout);
    let start =
        text.find('{').unwrap_or_else(|| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)));
    let report: serde_json::Value = serde_json::from_str(&text[start..]).expect("json");
    let job = &report["jobs"][0][if write { "write" } else { "read" }];
    assert_eq!(report["jobs"][0]["error"], 0, "{text}");
    job["iops"].as_f64().expect("a number")
}

/// Median, lowest and highest.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[sorted.len() / 2], sorted[0], sorted[sorted.len() - 1])
}

/// Writes the whole export: what was never written is not sent when it is read, and would flatter.
fn fill(socket: &Path) {
    let output = Command::new("fio")
        .args(["--name=fill", "--ioengine=nbd", "--rw=write", "--bs=1M", "--iodepth=4"])
        .arg(format!("--uri=nbd+unix:///?socket={}", socket.display()))
        .arg(format!("--size={SIZE}"))
        .output()
        .expect("fio");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn compare(directory: &Path, kind: &str, file: &Path, rounds: usize, seconds: f64) {
    let sides = [ours(directory, kind, file), theirs(directory, kind, file)];
    sides.iter().for_each(|side| fill(&side.1));
    let other = if kind == "memory" { "nbdkit memory" } else { "qemu-nbd" };
    println!("| {kind} | depth | Varan, requests/s | {other}, requests/s | Varan / {other} |");
    println!("|---|---|---|---|---|");
    for block in ["4k", "1M"] {
        for write in [false, true] {
            for depth in [1, 32] {
                let mut values = [Vec::new(), Vec::new()];
                // The first of each is not counted: memory that was never touched, caches of the host's.
                for side in &sides {
                    measure(&side.1, write, block, depth, seconds / 2.0);
                }
                for round in 0..rounds {
                    for turn in 0..2 {
                        let side = (round + turn) % 2;
                        values[side].push(measure(&sides[side].1, write, block, depth, seconds));
                    }
                }
                let ratios: Vec<f64> =
                    values[0].iter().zip(&values[1]).map(|(ours, theirs)| ours / theirs).collect();
                let show = |values: &[f64], digits: usize| {
                    let (median, low, high) = spread(values);
                    format!("{median:.digits$} ({low:.digits$}-{high:.digits$})")
                };
                let what = if write { "write" } else { "read" };
                let [ours, theirs] = &values;
                println!(
                    "| {block} {what} | {depth} | {} | {} | {} |",
                    show(ours, 0),
                    show(theirs, 0),
                    show(&ratios, 2)
                );
            }
        }
    }
}
