//! Clients on virtual SCSI and virtual Fibre Channel through two Virtual I/O Servers, with servers that crash, hang and
//! lose their disks. What a client wrote and was told is written is there.

#![allow(missing_docs)]

mod support;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use support::{Link, TestSite};
use varan::servers::ServerDirectory;
use varan_contract::block::BlockDevice;
use varan_contract::engine::GuestTerminal;
use varan_contract::system::{Selector, SystemLink};
use varan_contract::vios::{
    BackingRequest, DeviceQuery, DeviceSelector, LogicalVolumeSize, RequestId, Select, ViosAnswer,
    ViosChange, ViosDone, ViosLink, ViosQuery,
};
use varan_environment::{Environment, Monotonic, RealEnvironment};
use varan_model::ids::PartitionId;

/// Longest wait for something that must come; only a defect reaches it.
const PATIENCE: Duration = Duration::from_secs(90);
const SYSTEM: &str = "s814";

/// When a wait began.
struct Begun(RealEnvironment, Monotonic);

impl Begun {
    fn now() -> Self {
        let clock = RealEnvironment::new();
        let now = clock.monotonic();
        Self(clock, now)
    }

    fn is_patient(&self) -> bool {
        self.0.monotonic().since(self.1) < PATIENCE
    }
}

/// What a terminal showed, and a bell.
#[derive(Default)]
struct Shown {
    text: Mutex<String>,
    more: Condvar,
}

/// A partition's virtual terminal with somebody logged in.
struct Console {
    terminal: Arc<dyn GuestTerminal>,
    shown: Arc<Shown>,
    prompt: &'static str,
}

impl Console {
    fn open(site: &TestSite, partition: &str, user: &str, password: &str, prompt: &'static str) -> Self {
        let link = &site.frames[0];
        let terminal = link.open_terminal(Selector::Name(partition.to_owned())).expect("terminal");
        let terminal: Arc<dyn GuestTerminal> = Arc::from(terminal);
        let shown = Arc::new(Shown::default());
        let (reader, writer) = (terminal.clone(), shown.clone());
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while reader.read(&mut bytes) {
                let mut text = writer.text.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&String::from_utf8_lossy(&bytes));
                bytes.clear();
                writer.more.notify_all();
            }
        });
        let console = Self { terminal, shown, prompt };
        console.wait_for("ogin:");
        console.exchange(user, "assword:");
        console.exchange(password, prompt);
        console
    }

    /// Waits until the end of what was shown is `end`; returns all of it.
    fn wait_for(&self, end: &str) -> String {
        let text = self.shown.text.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, waited) = self
            .shown
            .more
            .wait_timeout_while(text, PATIENCE, |text| !text.trim_end_matches(' ').ends_with(end.trim_end()))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "`{end}` did not come after:\n{text}");
        text.clone()
    }

    fn exchange(&self, line: &str, end: &str) -> String {
        self.shown.text.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.terminal.write(format!("{line}\r").as_bytes());
        self.wait_for(end)
    }

    /// Runs a command; its output without its echo and the prompt.
    fn run(&self, line: &str) -> String {
        let text = self.exchange(line, self.prompt).replace('\r', "");
        let output = text.strip_prefix(line).unwrap_or(&text).trim_start_matches('\n');
        output.strip_suffix(&format!("{} ", self.prompt.trim_end())).unwrap_or(output).to_owned()
    }

    /// Runs a command again and again until what it says passes.
    fn until(&self, line: &str, check: impl Fn(&str) -> bool) -> String {
        let begun = Begun::now();
        loop {
            let output = self.run(line);
            if check(&output) {
                return output;
            }
            assert!(begun.is_patient(), "{line} still says {output}");
            std::thread::yield_now();
        }
    }
}

struct Rig {
    site: TestSite,
    next_request: u128,
}

impl Rig {
    fn start(test: &str) -> Self {
        let site = TestSite::start_scaled("storage", test, Link::Direct, 20_000.0);
        let rig = Self { site, next_request: 1 };
        rig.wait_for_server("vios1");
        rig.wait_for_server("vios2");
        rig
    }

    fn link(&self, server: &str) -> Option<Arc<dyn ViosLink>> {
        let frame = &self.site.frames[0];
        let snapshot = frame.snapshot();
        let id = snapshot.names.get(server).expect("server");
        let uuid = snapshot.partitions.get(id).expect("partition").partition.uuid;
        self.site.servers[0].link(uuid)
    }

    fn wait_for_server(&self, server: &str) {
        self.site.wait_partition(SYSTEM, server, "Running", true).expect("server");
        let begun = Begun::now();
        while self.link(server).is_none() {
            assert!(begun.is_patient(), "{server} does not serve");
            std::thread::yield_now();
        }
    }

    fn ask(&self, server: &str, query: ViosQuery) -> ViosAnswer {
        self.link(server).expect("serves").ask(query).expect("answer")
    }

    fn change(&mut self, server: &str, change: ViosChange) -> ViosDone {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let link = self.link(server).expect("serves");
        link.change(id, change.clone()).unwrap_or_else(|error| panic!("{server}: {change:?}: {error}"))
    }

    /// The device name of the SAN disk of this name in the site.
    fn disk(&self, server: &str, san_disk: &str) -> String {
        let disk = self.site.site.san_disks.iter().find(|disk| disk.name == san_disk).expect("disk");
        let ViosAnswer::PhysicalVolumes(disks) = self.ask(server, ViosQuery::PhysicalVolumes(Select::All))
        else {
            panic!("disks")
        };
        let found = disks.iter().find(|one| one.udid == disk.udid).expect("seen by the server");
        found.name.to_string()
    }

    fn adapter(&self, server: &str, kind: &str, slot: u16) -> String {
        let ViosAnswer::Devices(devices) = self.ask(server, ViosQuery::Devices(DeviceQuery::Virtual)) else {
            panic!("devices")
        };
        let found = devices.iter().find(|device| {
            device.virtual_slot().is_some_and(|own| own.0 == slot) && device.name.as_str().starts_with(kind)
        });
        found.unwrap_or_else(|| panic!("{server} has no {kind} in slot {slot}")).name.to_string()
    }

    /// Maps a SAN disk to the client in a slot, through one server.
    fn map(&mut self, server: &str, san_disk: &str, slot: u16) {
        let disk = DeviceSelector::Name(self.disk(server, san_disk));
        let attributes = vec![("reserve_policy".to_owned(), "no_reserve".to_owned())];
        self.change(
            server,
            ViosChange::ChangeDevice { device: disk.clone(), attributes, permanent_only: false },
        );
        let adapter = DeviceSelector::Name(self.adapter(server, "vhost", slot));
        let map =
            ViosChange::MapDevice { backing: disk, adapter, target: None, force: false, mirrored: false };
        self.change(server, map);
    }

    fn hmc(&self, command: &str) {
        let output = self.site.session("hscroot").run(command);
        assert_eq!(output, "", "{command}");
    }

    fn activate(&self, partition: &str) -> Console {
        self.hmc(&format!("chsysstate -r lpar -m {SYSTEM} -o on -n {partition} -f default_profile"));
        self.site.wait_partition(SYSTEM, partition, "Running", true).expect("client");
        Console::open(&self.site, partition, "root", "abc123", "#")
    }

    fn restart_server(&mut self, server: &str) {
        self.hmc(&format!("chsysstate -r lpar -m {SYSTEM} -o on -n {server} -f default_profile"));
        self.wait_for_server(server);
    }
}

/// Blocks that the workload has written.
fn written(status: &str) -> u64 {
    let words: Vec<&str> = status.split_whitespace().collect();
    let position = words.iter().position(|word| *word == "blocks").expect("status");
    words[position - 1].parse().expect("number")
}

fn verify(console: &Console) {
    console.run("diskload verify");
    let status = console.until("diskload status", |status| status.contains("verified"));
    assert!(status.contains("verified, 0 wrong blocks") && status.contains(" 0 errors"), "{status}");
}

fn go_on_writing(console: &Console) {
    let before = written(&console.run("diskload status"));
    console.until("diskload status", |status| written(status) > before + 500);
}

#[test]
fn a_client_loses_no_write_when_one_server_crashes_hangs_or_is_shut_down() {
    let mut rig = Rig::start("storage-failover");
    rig.map("vios1", "san1", 30);
    rig.map("vios2", "san1", 30);
    let client = rig.activate("lpar1");
    let disks = client.until("lspath", |paths| paths.matches("Enabled").count() == 2);
    assert_eq!(disks, "Enabled hdisk1 vscsi0\nEnabled hdisk1 vscsi1\n");
    client.run("diskload start hdisk1 96 4000");
    go_on_writing(&client);
    // Crash: the first server's operating system ends.
    rig.site.fault(&["crash", SYSTEM, "vios1"]).expect("crash");
    go_on_writing(&client);
    let paths = client.run("lspath");
    assert_eq!(paths, "Failed  hdisk1 vscsi0\nEnabled hdisk1 vscsi1\n");
    assert!(client.run("errpt").contains("DE3B8540"), "the error log names the path");
    rig.site.fault(&["clear", "--all"]).expect("clear");
    rig.wait_for_server("vios1");
    // A failed path stays failed until it is enabled.
    assert!(client.run("lspath").starts_with("Failed "));
    client.run("chpath -l hdisk1 -p vscsi0 -s enable");
    client.until("lspath", |paths| paths.matches("Enabled").count() == 2);
    // Hang: the second one stands still with requests in hand, and goes on later.
    client.run("chpath -l hdisk1 -p vscsi0 -s disable");
    go_on_writing(&client);
    rig.site.fault(&["hang", SYSTEM, "vios2"]).expect("hang");
    client.run("chpath -l hdisk1 -p vscsi0 -s enable");
    go_on_writing(&client);
    client.run("diskload stop");
    client.until("diskload status", |status| status.contains("stopped"));
    rig.site.fault(&["clear", "--all"]).expect("clear");
    verify(&client);
}

#[test]
fn losing_both_servers_stalls_a_client_that_then_goes_on() {
    let mut rig = Rig::start("storage-both");
    rig.map("vios1", "san2", 31);
    rig.map("vios2", "san2", 31);
    let client = rig.activate("lpar2");
    client.until("lspath", |paths| paths.matches("Enabled").count() == 2);
    client.run("diskload start hdisk1 64 4000");
    go_on_writing(&client);
    rig.hmc(&format!("chsysstate -r lpar -m {SYSTEM} -o shutdown --immed -n vios1"));
    rig.hmc(&format!("chsysstate -r lpar -m {SYSTEM} -o shutdown --immed -n vios2"));
    client.until("diskload status", |status| status.contains("stalled"));
    rig.site.wait_partition(SYSTEM, "vios1", "Not Activated", false).expect("off");
    rig.site.wait_partition(SYSTEM, "vios2", "Not Activated", false).expect("off");
    rig.restart_server("vios2");
    go_on_writing(&client);
    verify(&client);
}

#[test]
fn a_disk_that_vanishes_under_load_comes_back_with_all_that_was_acknowledged() {
    let mut rig = Rig::start("storage-vanish");
    rig.map("vios1", "san3", 30);
    rig.map("vios2", "san3", 30);
    let client = rig.activate("lpar1");
    client.until("lspath", |paths| paths.matches("Enabled").count() == 2);
    client.run("diskload start hdisk1 64 4000");
    go_on_writing(&client);
    rig.site.fault(&["unit", "san3"]).expect("vanish");
    client.until("diskload status", |status| status.contains("stalled"));
    rig.site.fault(&["clear", "--all"]).expect("back");
    go_on_writing(&client);
    verify(&client);
}

#[test]
fn a_client_on_virtual_fibre_channel_sees_its_own_disks_through_a_mapped_port() {
    let mut rig = Rig::start("storage-npiv");
    for server in ["vios1", "vios2"] {
        let adapter = DeviceSelector::Name(rig.adapter(server, "vfchost", 50));
        rig.change(server, ViosChange::MapFibreChannel { adapter, port: Some("fcs0".to_owned()) });
    }
    let client = rig.activate("npiv1");
    client.until("lspath", |paths| paths.matches("Enabled").count() == 4);
    let ViosAnswer::FibreChannelMappings(mappings) = rig.ask(
        "vios1",
        ViosQuery::FibreChannelMappings(varan_contract::vios::MappingQuery {
            adapters: Select::All,
            client: Some(PartitionId(6)),
            kinds: Vec::new(),
        }),
    ) else {
        panic!("mappings")
    };
    assert_eq!(mappings[0].status.word(), "LOGGED_IN");
    assert_eq!((mappings[0].client_name.as_str(), mappings[0].client_device.as_str()), ("npiv1", "fcs0"));
    client.run("diskload start hdisk1 64 4000");
    go_on_writing(&client);
    // The port of the first server loses its link.
    rig.site.fault(&["port", "U78C9.001.WZS21AF-P1-C2-T1"]).expect("port");
    go_on_writing(&client);
    rig.site.fault(&["clear", "--all"]).expect("back");
    verify(&client);
}

#[test]
fn targets_are_block_devices_for_other_programs() {
    let mut rig = Rig::start("storage-export");
    rig.map("vios1", "san4", 30);
    rig.map("vios2", "san4", 30);
    let sockets = rig.site.layout.sockets();
    let socket = |server: &str| varan::servers::target_socket(&sockets, SYSTEM, server);
    let connect = |server: &str| {
        varan_block_engine::NbdDevice::connect(&socket(server), "vtscsi0", 512).expect("target")
    };
    let one = connect("vios1");
    assert_eq!(one.geometry().size, 20_480 << 20);
    one.write_at(1 << 20, b"through one server", true).expect("write");
    let other = connect("vios2");
    assert_eq!(&other.read_at(1 << 20, 18).expect("read")[..], b"through one server");
    assert!(varan_block_engine::NbdDevice::connect(&socket("vios1"), "vtscsi9", 512).is_err());
    // The server crashes: what was acknowledged is there when it is back.
    rig.site.fault(&["crash", SYSTEM, "vios1"]).expect("crash");
    assert!(one.read_at(0, 512).is_err());
    rig.site.fault(&["clear", "--all"]).expect("clear");
    rig.wait_for_server("vios1");
    assert_eq!(&connect("vios1").read_at(1 << 20, 18).expect("read")[..], b"through one server");
}

#[test]
fn a_client_writes_to_a_logical_volume_and_to_a_file_of_one_server() {
    let mut rig = Rig::start("storage-local");
    let volume = ViosChange::CreateLogicalVolume {
        volume_group: "rootvg".to_owned(),
        name: Some("lpar1_lv".to_owned()),
        kind: String::new(),
        size: LogicalVolumeSize::Megabytes(512),
        disks: Vec::new(),
    };
    rig.change("vios1", volume);
    let pool = ViosChange::CreateFilePool { name: "files".to_owned(), parent: None, megabytes: 1_024 };
    rig.change("vios1", pool);
    let adapter = DeviceSelector::Name(rig.adapter("vios1", "vhost", 30));
    let backing = DeviceSelector::Name("lpar1_lv".to_owned());
    let map = ViosChange::MapDevice {
        backing,
        adapter: adapter.clone(),
        target: None,
        force: false,
        mirrored: false,
    };
    rig.change("vios1", map);
    let file = BackingRequest {
        pool: Some("files".to_owned()),
        name: Some("lpar1_file".to_owned()),
        megabytes: Some(256),
        adapter: Some(adapter),
        target: None,
    };
    rig.change("vios1", ViosChange::CreateBackingDevice(file));
    let client = rig.activate("lpar1");
    client.until("lspath", |paths| paths.matches("Enabled").count() == 2);
    for disk in ["hdisk1", "hdisk2"] {
        client.run(&format!("diskload start {disk} 64 4000"));
        go_on_writing(&client);
        verify(&client);
    }
    // The only server restarts under load: the client stalls and goes on.
    client.run("diskload start hdisk1 64 4000");
    go_on_writing(&client);
    rig.site.fault(&["crash", SYSTEM, "vios1"]).expect("crash");
    client.until("diskload status", |status| status.contains("stalled"));
    rig.site.fault(&["clear", "--all"]).expect("clear");
    rig.wait_for_server("vios1");
    go_on_writing(&client);
    verify(&client);
}
