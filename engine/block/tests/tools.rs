//! Other people's clients against our server: each of them has an opinion about the protocol.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use varan_block_engine::{Cache, DeviceTable, FileDevice, FileOptions, MemoryDevice, ReadOnly};
use varan_contract::block::BlockDevice;
use varan_nbd::{Limits, Server, listen};

static NUMBER: AtomicU32 = AtomicU32::new(0);
const SIZE: u64 = 16 << 20;

/// A server with an export in memory, one on a file, one on a file without the host's cache, and one that is read-only.
struct Served {
    directory: PathBuf,
    devices: Vec<(&'static str, Arc<dyn BlockDevice>)>,
    server: Option<Server>,
}

impl Served {
    fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("varan-tools-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let file = |name: &str, cache| -> Arc<dyn BlockDevice> {
            let path = directory.join(name);
            FileDevice::create(&path, SIZE, false).expect("created");
            let options = FileOptions { cache, ..FileOptions::default() };
            Arc::new(FileDevice::open(&path, options).expect("opened"))
        };
        let devices: Vec<(&str, Arc<dyn BlockDevice>)> = vec![
            ("memory", Arc::new(MemoryDevice::new(SIZE))),
            ("file", file("file", Cache::Buffered)),
            ("direct", file("direct", Cache::Direct)),
        ];
        let table = DeviceTable::new();
        table.insert_in_memory(devices[0].0, Arc::clone(&devices[0].1));
        for (name, device) in &devices[1..] {
            table.insert(name, Arc::clone(device));
        }
        table.insert("read-only", Arc::new(ReadOnly(MemoryDevice::new(SIZE))));
        let listener = listen(&directory.join("socket")).expect("bound");
        let server = Some(Server::start(listener, table, Limits::default()).expect("started"));
        Self { directory, devices, server }
    }

    fn uri(&self, export: &str) -> String {
        format!("nbd+unix:///{export}?socket={}", self.directory.join("socket").display())
    }

    fn writable(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.devices.iter().map(|(name, _)| (*name, self.uri(name)))
    }

    /// Data, zeros and holes, as an image has them.
    fn image(&self, seed: u64) -> PathBuf {
        let path = self.directory.join(format!("image-{seed}"));
        let mut state = seed;
        let mut bytes = vec![0_u8; SIZE as usize];
        for piece in bytes.chunks_mut(64 << 10) {
            if !varan_environment::split_mix(&mut state).is_multiple_of(3) {
                for word in piece.chunks_mut(8) {
                    word.copy_from_slice(&varan_environment::split_mix(&mut state).to_le_bytes());
                }
            }
        }
        std::fs::write(&path, bytes).expect("written");
        path
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.server.take());
        self.devices.clear();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        println!("SKIP: {tool} against the NBD server: not installed");
    }
    found
}

#[track_caller]
fn run(tool: &str, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = Command::new(tool).args(arguments).output().expect("started");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{tool} {arguments:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn nbdinfo_sees_what_is_served() {
    if !has("nbdinfo") {
        return;
    }
    let served = Served::new();
    let json = run("nbdinfo", &["--json", &served.uri("direct")]);
    for expected in [
        "\"protocol\": \"newstyle-fixed\"",
        "\"structured\": true",
        "\"base:allocation\"",
        "\"export-size\": 16777216",
        "\"can_multi_conn\": true",
        "\"can_fast_zero\": true",
        "\"can_df\": true",
        "\"can_fua\": true",
        "\"block_size_minimum\": 512",
        "\"block_size_maximum\": 33554432",
    ] {
        assert!(json.contains(expected), "{expected} is not in {json}");
    }
    assert!(run("nbdinfo", &["--json", &served.uri("read-only")]).contains("\"is_read_only\": true"));
    assert_eq!(run("nbdinfo", &["--size", &served.uri("memory")]).trim(), "16777216");
    let list = run("nbdinfo", &["--list", "--json", &served.uri("")]);
    for name in ["memory", "file", "direct", "read-only"] {
        assert!(list.contains(&format!("\"export-name\": \"{name}\"")), "{list}");
    }
    served.devices[0].1.write_at(1 << 20, &[1; 65_536], false).expect("written");
    let map = run("nbdinfo", &["--map", &served.uri("memory")]);
    let lines: Vec<Vec<&str>> = map.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    assert_eq!(lines, [["0", "1048576", "3"], ["1048576", "65536", "0"], ["1114112", "15663104", "3"]]);
    let absent = Command::new("nbdinfo").arg(served.uri("absent")).output().expect("started");
    assert!(!absent.status.success());
}

#[test]
fn nbdcopy_copies_there_and_back() {
    if !has("nbdcopy") {
        return;
    }
    let served = Served::new();
    for (seed, (name, uri)) in served.writable().enumerate() {
        let image = served.image(seed as u64);
        run("nbdcopy", &["--flush", text(&image), &uri]);
        let back = served.directory.join(format!("back-{name}"));
        run("nbdcopy", &[&uri, text(&back)]);
        assert!(std::fs::read(&image).expect("read") == std::fs::read(&back).expect("read"), "{name}");
        // Over what is there, without sparseness, with large requests.
        let image = served.image(seed as u64 + 100);
        run(
            "nbdcopy",
            &["--request-size=33554432", "--destination-is-zero", text(&back), &served.uri("memory")],
        );
        run("nbdcopy", &["--allocated", "--sparse=0", text(&image), &uri]);
        run("nbdcopy", &["--synchronous", &uri, text(&back)]);
        assert!(std::fs::read(&image).expect("read") == std::fs::read(&back).expect("read"), "{name}");
    }
}

#[test]
fn qemu_img_converts_and_compares() {
    if !has("qemu-img") {
        return;
    }
    let served = Served::new();
    for (seed, (name, uri)) in served.writable().enumerate() {
        let image = served.image(seed as u64 + 7);
        run("qemu-img", &["convert", "-n", "-f", "raw", "-O", "raw", text(&image), &uri]);
        let same = run("qemu-img", &["compare", "-f", "raw", "-F", "raw", text(&image), &uri]);
        assert!(same.contains("Images are identical"), "{name}: {same}");
        let back = served.directory.join("back.qcow2");
        run("qemu-img", &["convert", "-f", "raw", "-O", "qcow2", &uri, text(&back)]);
        run("qemu-img", &["compare", "-f", "raw", "-F", "qcow2", text(&image), text(&back)]);
        let map = run("qemu-img", &["map", "--output=json", "-f", "raw", &uri]);
        assert!(map.contains("\"zero\": true") && map.contains("\"data\": true"), "{name}: {map}");
    }
}

#[test]
fn qemu_io_reads_what_it_wrote() {
    if !has("qemu-io") {
        return;
    }
    let served = Served::new();
    for (name, uri) in served.writable() {
        let commands = [
            "write -P 0x5a 0 1M",
            "write -f -P 0x5b 1M 64k",
            "aio_write -P 0x5c 2M 1M",
            "aio_write -P 0x5d 3M 512k",
            "aio_flush",
            "flush",
            "write -z 64k 64k",
            "write -z -u 256k 64k",
            "discard 512k 64k",
            "read -P 0x5a 0 64k",
            "read -P 0 64k 64k",
            "read -P 0x5a 128k 128k",
            "read -P 0 256k 64k",
            "read -P 0x5b 1M 64k",
            "read -P 0x5c 2M 1M",
            "read -P 0x5d 3M 512k",
            "read -P 0 4M 12M",
        ];
        let mut arguments = vec!["-f", "raw", uri.as_str()];
        for command in commands {
            arguments.extend(["-c", command]);
        }
        let output = run("qemu-io", &arguments);
        assert!(!output.contains("failed"), "{name}: {output}");
    }
    let refused = Command::new("qemu-io")
        .args(["-f", "raw", "-c", "write 0 64k", &served.uri("read-only")])
        .output()
        .expect("started");
    assert!(!refused.status.success());
}

#[test]
fn fio_verifies_what_it_wrote() {
    let engines = Command::new("fio").arg("--enghelp").output();
    let Ok(engines) = engines else {
        println!("SKIP: fio against the NBD server: not installed");
        return;
    };
    if !String::from_utf8_lossy(&engines.stdout).contains("nbd") {
        println!("SKIP: fio against the NBD server: built without its nbd engine");
        return;
    }
    let served = Served::new();
    for (name, uri) in served.writable() {
        let uri = format!("--uri={uri}");
        let common =
            ["--name=verify", "--ioengine=nbd", &uri, "--size=16m", "--verify=crc32c", "--verify_fatal=1"];
        let random = ["--rw=randwrite", "--bs=4k", "--iodepth=32", "--io_size=8m"];
        let large = ["--rw=randrw", "--bsrange=512-1m", "--bs_unaligned=0", "--iodepth=8", "--io_size=32m"];
        for kind in [random.as_slice(), large.as_slice()] {
            let arguments: Vec<&str> = common.iter().chain(kind).copied().collect();
            // In the scratch directory: fio leaves a file about what it verified.
            let fio = Command::new("fio").args(&arguments).current_dir(&served.directory).output();
            let Output { stdout, stderr, .. } = fio.expect("started");
            let output = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
            assert!(output.contains("err= 0"), "{name}: {output}");
        }
    }
}
