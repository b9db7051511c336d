//! A console over managed systems that live in memory and follow the model's rules.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use varan_command::{HomeFiles, Invocation, RawTerminal, run};
use varan_console::{Console, ConsoleDescription, Secret, SystemConnection, TaskRole, UserDescription};
use varan_contract::engine::GuestTerminal;
use varan_contract::system::*;
use varan_environment::{Environment, Monotonic, WallClock, split_mix};
use varan_model::attributes::Release;
use varan_model::codes::MessageKey;
use varan_model::hardware::{Hardware, ProcessorFamily};
use varan_model::ids::*;
use varan_model::partition::*;
use varan_model::refusal::Refusal;
use varan_model::rules::creation::{Creation, create_partition, create_profile};
use varan_model::rules::partition::PartitionEdit;
use varan_model::rules::profile::{EditContext, apply_all};
use varan_model::rules::{PartitionLookup, partition as partition_rules};
use varan_model::system::{ManagedSystem, SystemSettings, SystemState};
use varan_model::units::ProcessingUnits;

/// 10/01/2026 03:43:04 UTC.
pub const NOW: i64 = 1_790_826_184;

pub struct FixedWorld {
    state: Mutex<u64>,
}

impl Environment for FixedWorld {
    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::from_secs(1))
    }
    fn wall_clock(&self) -> WallClock {
        WallClock(i128::from(NOW) * 1_000_000_000)
    }
    fn random(&self) -> u64 {
        split_mix(&mut self.state.lock().expect("lock"))
    }
}

pub fn hardware(name: &str, identity: &str, family: ProcessorFamily, firmware: &str) -> Hardware {
    Hardware {
        site_name: name.to_owned(),
        aliases: Vec::new(),
        identity: identity.parse().expect("identity"),
        uuid: SystemUuid::from_random(name.len() as u128),
        family,
        installed_processors: ProcessingUnits::whole(16),
        configurable_processors: ProcessingUnits::whole(16),
        installed_memory: 131_072,
        memory_region_size: 256,
        firmware: firmware.parse().expect("firmware"),
        delivered_firmware: varan_model::firmware::FirmwareLevels::of(firmware.parse().expect("firmware")),
        minimum_units_per_processor: ProcessingUnits(5),
        maximum_partitions: 1_000,
        capability_overrides: Vec::new(),
        enterprise_edition: true,
        virtual_switches: vec!["ETHERNET0".to_owned(), "vdct".to_owned()],
        management_vlan: (1, "ETHERNET0".to_owned()),
        slots: Vec::new(),
        vepa_switches: Vec::new(),
        sriov_adapters: Vec::new(),
    }
}

/// Called when a system is asked.
type OnCall = Arc<dyn Fn(&SystemRequest) + Send + Sync>;
type OpenTerminal = Box<dyn Fn(Selector) -> Result<Box<dyn GuestTerminal>, CallError> + Send>;

pub struct FakeSystem {
    pub terminals: Mutex<Option<OpenTerminal>>,
    pub on_call: Mutex<Option<OnCall>>,
    pub hardware: Arc<Hardware>,
    pub settings: Mutex<SystemSettings>,
    pub entries: Mutex<BTreeMap<u16, PartitionEntry>>,
    pub requests: Mutex<Vec<SystemRequest>>,
    /// Entries that listings returned.
    pub listed: AtomicUsize,
    pub connected: AtomicBool,
    pub state: Mutex<SystemState>,
    pub refusal: Mutex<Option<Refusal>>,
    pub events: Mutex<Vec<Arc<dyn SystemEvents>>>,
    pub sequence: AtomicU64,
}

struct Lookup<'a>(&'a BTreeMap<u16, PartitionEntry>);

impl PartitionLookup for Lookup<'_> {
    fn id_of(&self, name: &str) -> Option<PartitionId> {
        self.0.values().find(|entry| entry.partition.name == name).map(|entry| entry.partition.id)
    }
    fn name_of(&self, id: PartitionId) -> Option<String> {
        self.0.get(&id.0).map(|entry| entry.partition.name.clone())
    }
    fn mac_address_holder(&self, _: MacAddress) -> Option<PartitionUuid> {
        None
    }
    fn port_name_holder(&self, _: WorldWidePortName) -> Option<PartitionUuid> {
        None
    }
    fn slot_holder(&self, _: u32) -> Option<PartitionId> {
        None
    }
    fn free_id(&self) -> Option<PartitionId> {
        (1..u16::MAX).find(|id| !self.0.contains_key(id)).map(PartitionId)
    }
}

impl FakeSystem {
    pub fn new(hardware: Hardware) -> Arc<Self> {
        let hardware = Arc::new(hardware);
        Arc::new(Self {
            settings: Mutex::new(SystemSettings::new(&hardware, true)),
            hardware,
            entries: Mutex::default(),
            terminals: Mutex::default(),
            on_call: Mutex::default(),
            requests: Mutex::default(),
            listed: AtomicUsize::new(0),
            connected: AtomicBool::new(true),
            state: Mutex::new(SystemState::Operating),
            refusal: Mutex::default(),
            events: Mutex::default(),
            sequence: AtomicU64::new(0),
        })
    }

    pub fn system(&self) -> Arc<ManagedSystem> {
        Arc::new(ManagedSystem {
            hardware: self.hardware.clone(),
            settings: self.settings.lock().expect("lock").clone(),
            state: *self.state.lock().expect("lock"),
            usage: Usage::default(),
            reference_codes: ReferenceCodes::default(),
            partition_count: self.entries.lock().expect("lock").len() as u16,
        })
    }

    pub fn requests(&self) -> Vec<SystemRequest> {
        std::mem::take(&mut *self.requests.lock().expect("lock"))
    }

    pub fn rename(&self, name: &str) {
        self.settings.lock().expect("lock").name = name.to_owned();
        let event = SystemEvent {
            sequence: self.sequence.fetch_add(1, Ordering::SeqCst) + 1,
            kind: SystemEventKind::SystemChanged,
        };
        for receiver in self.events.lock().expect("lock").iter() {
            receiver.system_event(&event);
        }
    }

    pub fn runtime(&self, id: u16, change: impl FnOnce(&mut Runtime)) {
        let mut entries = self.entries.lock().expect("lock");
        let entry = entries.get_mut(&id).expect("partition");
        change(Arc::make_mut(&mut entry.runtime));
    }

    fn find(entries: &BTreeMap<u16, PartitionEntry>, selector: &Selector) -> Result<PartitionEntry, Refusal> {
        match selector {
            Selector::Id(id) => {
                let found = entries.get(&id.0).cloned();
                found.ok_or_else(|| Refusal::new(MessageKey::PartitionIdNotFound).with(id))
            }
            Selector::Name(name) => {
                let found = entries.values().find(|entry| entry.partition.name == *name).cloned();
                found.ok_or_else(|| Refusal::new(MessageKey::PartitionNotFound).with(name))
            }
            Selector::Uuid(uuid) => {
                let found = entries.values().find(|entry| entry.partition.uuid == *uuid).cloned();
                found.ok_or_else(|| Refusal::new(MessageKey::PartitionNotFound).with(uuid))
            }
        }
    }

    fn select(&self, filter: &PartitionFilter) -> Result<Vec<PartitionEntry>, Refusal> {
        let entries = self.entries.lock().expect("lock");
        let found: Vec<PartitionEntry> = match filter {
            PartitionFilter::All => entries.values().cloned().collect(),
            PartitionFilter::Only(selectors) => {
                selectors.iter().map(|selector| Self::find(&entries, selector)).collect::<Result<_, _>>()?
            }
        };
        self.listed.fetch_add(found.len(), Ordering::SeqCst);
        Ok(found)
    }

    fn answer(&self, request: SystemRequest) -> Result<SystemReply, Refusal> {
        let system = self.system();
        match request {
            SystemRequest::GetSystem => Ok(SystemReply::System(system)),
            SystemRequest::ListPartitions(filter) => {
                Ok(SystemReply::Partitions { entries: self.select(&filter)?, system })
            }
            SystemRequest::ListProfiles { partitions, names, .. } => {
                let mut profiles = Vec::new();
                for entry in self.select(&partitions)? {
                    for profile in &entry.partition.profiles {
                        if names.is_empty() || names.contains(&profile.name) {
                            profiles.push((entry.partition.clone(), profile.clone()));
                        }
                    }
                }
                let entries = self.entries.lock().expect("lock");
                let names = entries.values().map(|entry| (entry.partition.id, entry.partition.name.clone()));
                Ok(SystemReply::Profiles { system, profiles, names: Arc::new(names.collect()) })
            }
            SystemRequest::CreatePartition { record } => {
                let mut entries = self.entries.lock().expect("lock");
                let uuid = PartitionUuid::from_random(entries.len() as u128 + 1);
                let lookup = Lookup(&entries);
                let creation = Creation { system: &system, lookup: &lookup, uuid, installation: None };
                let (partition, settings) = create_partition(&record, &creation)?;
                *self.settings.lock().expect("lock") = settings;
                let entry = PartitionEntry { partition: Arc::new(partition), runtime: Arc::default() };
                entries.insert(entry.partition.id.0, entry);
                Ok(SystemReply::Done)
            }
            SystemRequest::CreateProfile { partition, record } => {
                let mut entries = self.entries.lock().expect("lock");
                let mut entry = Self::find(&entries, &partition)?;
                let (profile, _) = create_profile(&record, &entry.partition, &system, &Lookup(&entries))?;
                Arc::make_mut(&mut entry.partition).put_profile(profile);
                entries.insert(entry.partition.id.0, entry);
                Ok(SystemReply::Done)
            }
            SystemRequest::ChangePartition { partition, record } => {
                let mut entries = self.entries.lock().expect("lock");
                let mut entry = Self::find(&entries, &partition)?;
                let lookup = Lookup(&entries);
                let context = EditContext { system: &system, lookup: &lookup };
                let edit = PartitionEdit { context, creating: false, off: entry.runtime.state.is_off() };
                let name = entry.partition.name.clone();
                for assignment in &record {
                    partition_rules::apply(Arc::make_mut(&mut entry.partition), assignment, &edit)
                        .map_err(|refusal| refusal.about("changing", "partition", &name))?;
                }
                entries.insert(entry.partition.id.0, entry);
                Ok(SystemReply::Done)
            }
            SystemRequest::ChangeProfile { partition, profile, record } => {
                let mut entries = self.entries.lock().expect("lock");
                let mut entry = Self::find(&entries, &partition)?;
                let present = entry.partition.profile(&profile).cloned();
                let present =
                    present.ok_or_else(|| Refusal::new(MessageKey::ProfileNotFound).with(&profile))?;
                let mut content = present.configuration.clone();
                let lookup = Lookup(&entries);
                apply_all(&mut content, &record, &EditContext { system: &system, lookup: &lookup })?;
                Arc::make_mut(&mut entry.partition)
                    .put_profile(Profile { name: profile, configuration: content });
                entries.insert(entry.partition.id.0, entry);
                Ok(SystemReply::Done)
            }
            SystemRequest::RemovePartition { partition, .. } => {
                let mut entries = self.entries.lock().expect("lock");
                let entry = Self::find(&entries, &partition)?;
                entries.remove(&entry.partition.id.0);
                Ok(SystemReply::Done)
            }
            SystemRequest::CloseTerminal { .. } => Ok(SystemReply::TerminalClosed(false)),
            _ => match self.refusal.lock().expect("lock").clone() {
                Some(refusal) => Err(refusal),
                None => Ok(SystemReply::Done),
            },
        }
    }
}

impl SystemLink for FakeSystem {
    fn call(&self, _: RequestId, request: SystemRequest) -> Result<SystemReply, CallError> {
        if !self.connected.load(Ordering::SeqCst) {
            return Err(CallError::NoConnection);
        }
        self.requests.lock().expect("lock").push(request.clone());
        let on_call = self.on_call.lock().expect("lock").clone();
        if let Some(on_call) = on_call {
            on_call(&request);
        }
        self.answer(request).map_err(CallError::from)
    }

    fn open_terminal(&self, partition: Selector) -> Result<Box<dyn GuestTerminal>, CallError> {
        match &*self.terminals.lock().expect("lock") {
            Some(open) => open(partition),
            None => Err(CallError::NoConnection),
        }
    }

    fn subscribe(&self, receiver: Arc<dyn SystemEvents>) {
        self.events.lock().expect("lock").push(receiver);
    }
}

pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl HomeFiles for Files {
    fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "No such file or directory"))
    }
}

pub struct World {
    pub console: Console,
    pub systems: Vec<Arc<FakeSystem>>,
    pub files: Files,
    pub cancelled: AtomicBool,
    _directory: Directory,
}

pub fn description() -> ConsoleDescription {
    let user = |name: &str, role: &str| UserDescription {
        name: name.to_owned(),
        password: Some(Secret::Plain("abc123".to_owned())),
        task_role: role.to_owned(),
        resource_role: "ALL:".to_owned(),
        description: "HMC Super User".to_owned(),
        authorized_keys: Vec::new(),
    };
    ConsoleDescription {
        name: "myhmc".to_owned(),
        hostname: "myhmc".to_owned(),
        domain: "domain.test".to_owned(),
        address: "127.0.0.1".to_owned(),
        release_text: "V8R8.6.0".to_owned(),
        release: Release(8, 8, 6, 0),
        base_version: "V8R8.6.0".to_owned(),
        service_pack: "0".to_owned(),
        build_level: "20161101.1".to_owned(),
        bios_level: "1.0".to_owned(),
        memory_bytes: 1 << 34,
        fixes: vec!["MH01655: Required fix for HMC V8R8.6.0 (11-01-2016)".to_owned()],
        identity: "7042-CR7*1234567".parse().expect("identity"),
        users: vec![user("hscroot", "hmcsuperadmin")],
    }
}

impl World {
    pub fn new(hardware: Vec<Hardware>) -> Self {
        let systems: Vec<Arc<FakeSystem>> = hardware.into_iter().map(FakeSystem::new).collect();
        let connections = systems.iter().map(|system| SystemConnection {
            hardware: system.hardware.clone(),
            address: "10.0.0.1".to_owned(),
            link: system.clone(),
        });
        Self { systems: systems.clone(), ..Self::over(connections.collect()) }
    }

    /// A console over any systems.
    pub fn over(connections: Vec<SystemConnection>) -> Self {
        let directory = directory();
        let environment = Arc::new(FixedWorld { state: Mutex::new(7) });
        let console = Console::open(&directory.0, description(), environment, connections).expect("console");
        let files = Files(BTreeMap::new());
        Self { console, systems: Vec::new(), files, cancelled: AtomicBool::new(false), _directory: directory }
    }

    /// One POWER8 system `p814-1` with a server and partitions `lpar1`.. up to `count`.
    pub fn small(count: usize) -> Self {
        let world = Self::new(vec![
            hardware("p720-1", "8202-E4D*1000001", ProcessorFamily::Power7Plus, "01AL770_032"),
            hardware("p814-1", "8286-41A*1000002", ProcessorFamily::Power8, "01SV830_048"),
        ]);
        world.ok("mksyscfg -r lpar -m p814-1 -i 'name=vios1,profile_name=default_profile,lpar_env=vioserver,min_mem=1024,desired_mem=4096,max_mem=8192,proc_mode=ded,sharing_mode=keep_idle_procs,min_procs=1,desired_procs=1,max_procs=1'", "");
        for number in 1..=count {
            world.ok(&format!("mksyscfg -r lpar -m p814-1 -i '{}'", partition(&format!("lpar{number}"))), "");
        }
        for system in &world.systems {
            system.requests();
            system.listed.store(0, Ordering::SeqCst);
        }
        world
    }

    pub fn run_as(&self, role: TaskRole, line: &str) -> (u8, String) {
        self.run_with(role, line, None)
    }

    pub fn run_with(
        &self,
        role: TaskRole,
        line: &str,
        terminal: Option<Arc<dyn RawTerminal>>,
    ) -> (u8, String) {
        self.run_split(role, &split(line), terminal)
    }

    pub fn run_words(&self, words: &[String]) -> (u8, String) {
        self.run_split(TaskRole::SuperAdministrator, words, None)
    }

    fn run_split(
        &self,
        role: TaskRole,
        words: &[String],
        terminal: Option<Arc<dyn RawTerminal>>,
    ) -> (u8, String) {
        let mut output = Vec::new();
        let mut errors = Vec::new();
        let mut invocation = Invocation {
            console: &self.console,
            user: "hscroot",
            tasks: role.tasks(),
            arguments: &words[1..],
            input: &mut io::empty(),
            output: &mut output,
            errors: &mut errors,
            terminal,
            files: &self.files,
            remote: &varan_command::NoConsoles,
            servers: &varan_command::NoServers,
            cancelled: &|| self.cancelled.load(Ordering::SeqCst),
            peer: "127.0.0.1:4711",
        };
        let status = run(&words[0], &mut invocation);
        assert!(errors.is_empty(), "{words:?}: errors go to standard output");
        (status, String::from_utf8(output).expect("UTF-8"))
    }

    pub fn run(&self, line: &str) -> (u8, String) {
        self.run_as(TaskRole::SuperAdministrator, line)
    }

    pub fn ok(&self, line: &str, expected: &str) {
        assert_eq!(self.run(line), (0, expected.to_owned()), "{line}");
    }

    pub fn refused(&self, line: &str, beginning: &str) {
        let (status, output) = self.run(line);
        assert_eq!(status, 1, "{line}: {output}");
        assert!(output.contains(beginning), "{line}: {output}");
        assert!(output.ends_with('\n'), "{line}: {output}");
    }
}

/// A directory that goes away with its owner.
pub struct Directory(pub PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn directory() -> Directory {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let path = std::env::temp_dir().join(format!("varan-command-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    Directory(path)
}

impl FixedWorld {
    pub fn seeded(seed: u64) -> Self {
        Self { state: Mutex::new(seed) }
    }
}

pub fn partition(name: &str) -> String {
    format!(
        "name={name},profile_name=default_profile,lpar_env=aixlinux,min_mem=256,desired_mem=512,max_mem=1024,proc_mode=shared,sharing_mode=uncap,uncap_weight=128,min_procs=1,desired_procs=1,max_procs=2,min_proc_units=0.1,desired_proc_units=0.1,max_proc_units=1.0"
    )
}

/// Splits a line as a shell does: blanks, single and double quotes, backslash.
pub fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, ' ') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), '\\') => {
                if let Some(next) = characters.next() {
                    word.get_or_insert_default().push(next);
                }
            }
            (_, character) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}
