//! The guest's disks behind Virtual I/O Servers: when they are looked for, commands about them, and the workload that
//! writes to them.

use varan_contract::block::Udid;
use varan_contract::engine::{AdapterAddress, DeviceAdapterKind, GuestDeviceAdapter, Personality};
use varan_contract::storage::{ServedKind, StorageClient};
use varan_model::ids::VirtualSlot;

use super::adapters::Adapter;
use super::error_log::errors;
use super::machine::Stage;
use super::shell::{Reply, text};
use super::{Effect, Guest, Moment};
use crate::disk::OdmDisk;
use crate::storage::{
    Answer, Disk, DiskWorkload, FIRST_BYTE, Initiator, Notice, PathState, Phase, WORKLOAD_BLOCK,
};

/// Most blocks per second that the workload writes.
const WORKLOAD_RATE: u64 = 100_000;

/// Disks and what is done with them.
pub(super) struct Storage {
    disks: Initiator,
    workload: Option<DiskWorkload>,
}

impl Storage {
    pub(super) fn due(&self) -> Option<varan_environment::Monotonic> {
        let workload = self.workload.as_ref().and_then(DiskWorkload::due);
        workload.into_iter().chain(self.disks.due()).min()
    }
}

/// Who a guest is to the servers that it asks, and its adapters.
#[derive(Clone)]
pub(crate) struct StorageAsker {
    pub(crate) client: StorageClient,
    pub(crate) adapters: Vec<GuestDeviceAdapter>,
}

impl Guest {
    /// What the driver needs to carry out this guest's storage commands.
    pub(crate) fn storage_asker(&self) -> StorageAsker {
        let operating_system = match self.personality() {
            Personality::Aix | Personality::VirtualIoServer => "AIX",
            Personality::Linux => "Linux",
            Personality::IbmI => "IBM i",
        };
        let specification = &self.specification;
        let client = StorageClient {
            partition: specification.partition,
            id: specification.id,
            name: specification.name.clone(),
            operating_system: operating_system.to_owned(),
            machine: specification.machine.clone(),
            slot: VirtualSlot(0),
            device: String::new(),
        };
        StorageAsker { client, adapters: specification.device_adapters.clone() }
    }

    /// Client adapters whose devices are in use, with their devices' names.
    fn client_adapters(&self) -> Vec<(VirtualSlot, String)> {
        let devices = self.devices();
        let name = |slot: VirtualSlot| {
            let mut devices = devices.iter();
            devices
                .find(|device| device.available && device.address == AdapterAddress::Virtual(slot))
                .map(|device| device.name.clone())
        };
        let clients = self.hardware().filter_map(|adapter| match adapter {
            Adapter::Device(adapter) if !adapter.server && adapter.kind != DeviceAdapterKind::Serial => {
                Some(adapter.slot)
            }
            _ => None,
        });
        clients.filter_map(|slot| Some((slot, name(slot)?))).collect()
    }

    /// Looks for disks: at boot and with `cfgmgr`.
    pub(super) fn configure_storage(&mut self, now: Moment) {
        let adapters = self.client_adapters();
        if adapters.is_empty() && self.storage.is_none() {
            return;
        }
        let mut storage = self.storage.take().unwrap_or_else(|| Box::new(self.new_storage(now)));
        storage.disks.configure(adapters);
        self.storage = Some(storage);
        self.settle_storage(now);
    }

    fn new_storage(&self, now: Moment) -> Storage {
        let known = self.configuration.as_ref().map_or(&[][..], |configuration| &configuration.disks);
        let mut names: Vec<(String, Udid)> =
            known.iter().map(|disk| (disk.name.clone(), disk.udid.clone())).collect();
        // The boot disk has the first name.
        if let Ok(own) = format!("boot.{}", self.specification.partition).parse() {
            names.push((self.boot_disk_name().to_owned(), own));
        }
        let prefix = if self.personality() == Personality::Linux { "sd" } else { "hdisk" };
        // Each boot begins above all generations of the boots before it: a guest takes far fewer than 2^16 in a second. What
        // is left of 64 bits is the server's, see `generation_at_array`.
        let seconds = u64::try_from(now.wall.seconds()).unwrap_or(0);
        Storage {
            disks: Initiator::new(prefix, names, seconds << 16, self.options.time_scale),
            workload: None,
        }
    }

    fn boot_disk_name(&self) -> &'static str {
        if self.personality() == Personality::Linux { "sda" } else { "hdisk0" }
    }

    /// An answer of the driver.
    pub(super) fn storage_answered(&mut self, now: Moment, answer: Answer) {
        if let Some(storage) = &mut self.storage {
            storage.disks.answer(now.monotonic, answer);
            self.settle_storage(now);
        }
    }

    /// Does what is due with disks.
    pub(super) fn run_storage(&mut self, now: Moment) {
        let Some(storage) = &mut self.storage else { return };
        if storage.disks.due().is_some_and(|due| due <= now.monotonic) {
            storage.disks.run_due(now.monotonic);
        }
        if let Some(workload) = &mut storage.workload
            && workload.due().is_some_and(|due| due <= now.monotonic)
        {
            workload.tick(now.monotonic, &mut storage.disks);
        }
        self.settle_storage(now);
    }

    /// Hands on what the disks want done and what they have to say.
    fn settle_storage(&mut self, now: Moment) {
        let Some(storage) = &mut self.storage else { return };
        let (commands, notices, finished) = storage.disks.take();
        if let Some(workload) = &mut storage.workload {
            finished.iter().for_each(|finished| workload.takes(now.monotonic, finished));
        }
        self.effects.extend(commands.into_iter().map(Effect::Storage));
        let changed = !notices.is_empty();
        for notice in notices {
            self.noticed(now, notice);
        }
        if changed && self.stage == Stage::Multiuser {
            self.save();
        }
    }

    fn noticed(&mut self, now: Moment, notice: Notice) {
        match notice {
            Notice::NewDisk(name, udid) => {
                if let Some(configuration) = &mut self.configuration {
                    configuration.disks.push(OdmDisk { name, udid, health_check_seconds: 0 });
                }
            }
            Notice::PathFailed(disk) => self.log_disk_error(now, errors::PATH_FAILED, &disk),
            Notice::PathRecovered(disk) => self.log_disk_error(now, errors::PATH_RECOVERED, &disk),
            Notice::DiskError(disk) => self.log_disk_error(now, errors::DISK_ERROR, &disk),
        }
    }

    /// Disks of virtual adapters; none before the operating system has looked.
    fn disks(&self) -> &[Disk] {
        self.storage.as_ref().map_or(&[], |storage| storage.disks.disks())
    }

    fn adapter_name(&self, slot: VirtualSlot) -> String {
        let adapters = self.storage.as_ref().map_or(&[][..], |storage| storage.disks.adapters());
        let known = adapters.iter().find(|adapter| adapter.slot == slot);
        known.map_or_else(|| "none".to_owned(), |adapter| adapter.device.clone())
    }

    /// AIX's `lspv`.
    pub(super) fn lspv(&self) -> Reply {
        let mut lines = String::new();
        if self.has_boot_disk {
            let pvid = format!("00f{:013x}", self.specification.partition.0 as u64 & 0xF_FFFF_FFFF_FFFF);
            lines.push_str(&format!("{:<16}{pvid:<36}{:<16}{:<8}\n", "hdisk0", "rootvg", "active"));
        }
        for disk in self.disks().iter().filter(|disk| disk.kind == ServedKind::Disk) {
            lines.push_str(&format!("{:<16}{:<36}{:<16}{:<8}\n", disk.name, "none", "None", ""));
        }
        text(lines)
    }

    /// AIX's `lspath [-l DISK]`.
    pub(super) fn lspath(&self, arguments: &[&str]) -> Reply {
        let wanted = match arguments {
            [] => None,
            ["-l", name] if self.disks().iter().any(|disk| disk.name == *name) => Some(*name),
            ["-l", name] => {
                return text(format!(
                    "lspath: 0514-519 The following device was not found in the customized\n\tdevice configuration database:\n\t{name}\n"
                ));
            }
            _ => return text("Usage: lspath [-l Name]\n"),
        };
        let disks = self.disks().iter().filter(|disk| wanted.is_none_or(|wanted| disk.name == wanted));
        let width = self.disks().iter().map(|disk| disk.name.len()).max().unwrap_or(0);
        let lines = disks.flat_map(|disk| {
            disk.paths.iter().map(move |path| {
                format!("{:<7} {:width$} {}\n", path.state.word(), disk.name, self.adapter_name(path.adapter))
            })
        });
        text(lines.collect::<String>())
    }

    /// AIX's `lsdev -Cc disk`.
    pub(super) fn lsdev_disks(&self) -> Reply {
        let mut lines = Vec::new();
        if self.has_boot_disk {
            lines.push(("hdisk0".to_owned(), "Available", "SAS Disk Drive"));
        }
        for disk in self.disks().iter().filter(|disk| disk.kind == ServedKind::Disk) {
            let state = if disk.paths.iter().all(|path| path.state == PathState::Missing) {
                "Defined"
            } else {
                "Available"
            };
            lines.push((disk.name.clone(), state, "Virtual SCSI Disk Drive"));
        }
        let width = lines.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        let line = |(name, state, description): &(String, &str, &str)| {
            format!("{name:width$} {state:<9}  {description}\n")
        };
        text(lines.iter().map(line).collect::<String>())
    }

    /// Linux's `lsblk`.
    pub(super) fn lsblk(&self) -> Reply {
        let mut lines = "NAME   SIZE TYPE\n".to_owned();
        if self.has_boot_disk {
            lines.push_str("sda       - disk\n");
        }
        for disk in self.disks() {
            let kind = if disk.kind == ServedKind::Optical { "rom" } else { "disk" };
            lines.push_str(&format!("{:<4} {:>5}M {kind}\n", disk.name, disk.bytes >> 20));
        }
        text(lines)
    }

    /// `chpath -l DISK -p ADAPTER -s enable|disable`.
    pub(super) fn chpath(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let usage = "Usage: chpath -s enable|disable -l Name -p Parent\n";
        let mut values = [None, None, None];
        for pair in arguments.chunks(2) {
            let ([flag, value], Some(place)) = (pair, ["-l", "-p", "-s"].iter().position(|f| *f == pair[0]))
            else {
                return text(usage);
            };
            let _ = flag;
            values[place] = Some(*value);
        }
        let [Some(disk), Some(parent), Some(state @ ("enable" | "disable"))] = values else {
            return text(usage);
        };
        let slot = self.storage.as_ref().and_then(|storage| {
            storage
                .disks
                .adapters()
                .iter()
                .find(|adapter| adapter.device == parent)
                .map(|adapter| adapter.slot)
        });
        let (Some(slot), Some(storage)) = (slot, &mut self.storage) else {
            return text(format!(
                "chpath: 0514-519 The following device was not found in the customized\n\tdevice configuration database:\n\t{parent}\n"
            ));
        };
        let changed = storage.disks.change_path(now.monotonic, disk, slot, state == "enable");
        self.settle_storage(now);
        if changed {
            text("paths Changed\n")
        } else {
            text("chpath: 0514-081 An error occurred while trying to change the state of a path.\n")
        }
    }

    /// Sets `hcheck_interval` of a disk; false when there is no such disk or the value is none.
    pub(super) fn set_health_check(&mut self, now: Moment, disk: &str, value: &str) -> bool {
        let Some(seconds) = value.parse().ok().filter(|seconds| *seconds <= 3_600) else { return false };
        let Some(storage) = &mut self.storage else { return false };
        if !storage.disks.set_health_check(now.monotonic, disk, seconds) {
            return false;
        }
        if let Some(configuration) = &mut self.configuration
            && let Some(known) = configuration.disks.iter_mut().find(|known| known.name == disk)
        {
            known.health_check_seconds = seconds;
        }
        true
    }

    /// Attributes of a disk: name, value, description, whether a user may set it.
    pub(super) fn disk_attributes(
        &self,
        name: &str,
    ) -> Option<Vec<(&'static str, String, &'static str, bool)>> {
        let storage = self.storage.as_ref()?;
        let disk = storage.disks.disk(name)?;
        Some(vec![
            ("PCM", "PCM/friend/vscsi".to_owned(), "Path Control Module", false),
            ("algorithm", "fail_over".to_owned(), "Algorithm", false),
            ("hcheck_cmd", "test_unit_rdy".to_owned(), "Health Check Command", false),
            ("hcheck_interval", disk.health_check_seconds.to_string(), "Health Check Interval", true),
            ("hcheck_mode", "nonactive".to_owned(), "Health Check Mode", false),
            ("pvid", "none".to_owned(), "Physical volume identifier", false),
            ("queue_depth", "8".to_owned(), "Queue DEPTH", false),
            ("reserve_policy", "no_reserve".to_owned(), "Reserve Policy", false),
            ("unique_id", disk.udid.to_string(), "Unique device identifier", false),
        ])
    }

    /// `diskload`: this platform's own command that writes a pattern to a disk and checks it.
    pub(super) fn diskload(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        match arguments {
            ["start", disk, rest @ ..] if rest.len() <= 2 => self.start_diskload(now, disk, rest),
            ["stop" | "verify" | "status"] => {
                let Some(workload) = self.storage.as_mut().and_then(|storage| storage.workload.as_mut())
                else {
                    return text("diskload: no workload was started\n");
                };
                match arguments {
                    ["stop"] => workload.stop(now.monotonic, false),
                    ["verify"] => workload.stop(now.monotonic, true),
                    _ => {}
                }
                self.diskload_status()
            }
            _ => text("Usage: diskload start DISK [BLOCKS [BLOCKS_PER_SECOND]] | stop | verify | status\n"),
        }
    }

    fn start_diskload(&mut self, now: Moment, name: &str, rest: &[&str]) -> Reply {
        let disk = self.disks().iter().find(|disk| disk.name == name && disk.kind == ServedKind::Disk);
        let Some(disk) = disk else {
            return text(format!("diskload: {name} is not a disk of a Virtual I/O Server\n"));
        };
        let most = disk.bytes.saturating_sub(FIRST_BYTE) / WORKLOAD_BLOCK as u64;
        let number = |index: usize, default: u64| {
            rest.get(index).map_or(Some(default), |word| word.parse::<u64>().ok())
        };
        let (blocks, rate) = (number(0, most.min(256)), number(1, 1_000));
        let (Some(blocks), Some(rate)) = (blocks, rate) else {
            return text("diskload: blocks and rate are numbers\n");
        };
        if !(1..=most).contains(&blocks) || !(1..=WORKLOAD_RATE).contains(&rate) {
            return text(format!(
                "diskload: blocks must be 1 to {most}, the rate 1 to {WORKLOAD_RATE} blocks per second\n"
            ));
        }
        let seed = self.options.seed ^ now.monotonic.0.as_nanos() as u64;
        if let Some(storage) = &mut self.storage {
            storage.workload = Some(DiskWorkload::start(now.monotonic, name, seed, blocks, rate));
        }
        text(format!("{name}: {blocks} blocks of {WORKLOAD_BLOCK} bytes, {rate} blocks per second\n"))
    }

    fn diskload_status(&self) -> Reply {
        let Some(storage) = &self.storage else { return text("") };
        let Some(workload) = &storage.workload else { return text("") };
        let progress = workload.progress();
        let stalled = storage.disks.disk(&workload.disk).is_some_and(Disk::stalled);
        let phase = match progress.phase {
            Phase::Running if stalled => "stalled".to_owned(),
            Phase::Running => "running".to_owned(),
            Phase::Draining { .. } if stalled => "stopping, stalled".to_owned(),
            Phase::Draining { .. } => "stopping".to_owned(),
            Phase::Stopped => "stopped".to_owned(),
            Phase::Verifying { read, .. } => format!("verifying, {read} blocks read"),
            Phase::Verified { wrong } => format!("verified, {wrong} wrong blocks"),
        };
        text(format!(
            "{}: {phase}; {} blocks written, {} under way, {} errors\n",
            workload.disk, progress.written, progress.under_way, progress.errors
        ))
    }
}
