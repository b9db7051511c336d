//! Random commands, and what each does to the definitions when it is acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use varan_simulator::Randomness;

use super::definitions::{Definitions, Partition, Profile};

/// Names that partitions of one client have, after its prefix.
const NAMES: u64 = 7;
const PROFILES: [&str; 3] = ["default_profile", "normal", "large"];
/// Virtual server that no partition has as its number, so that listings do not depend on other partitions.
const FAR_SERVER: u16 = 150;

#[derive(Clone, Debug)]
pub enum Operation {
    CreatePartition {
        name: String,
        id: u16,
        id_given: bool,
        profile_name: String,
        partition: Box<Partition>,
    },
    CreateProfile {
        partition: String,
        name: String,
        profile: Profile,
    },
    ChangePartition {
        name: String,
        changes: Vec<PartitionChange>,
    },
    ChangeProfile {
        partition: String,
        name: String,
        changes: Vec<ProfileChange>,
    },
    RemovePartition(String),
    RemoveProfile {
        partition: String,
        name: String,
    },
    Activate {
        name: String,
        profile: Option<String>,
    },
    ShutDown(String),
    Apply {
        name: String,
        profile: String,
    },
    Memory {
        name: String,
        add: bool,
        megabytes: u64,
    },
    Processors {
        name: String,
        add: bool,
        processors: u64,
        units: u64,
    },
    Weight {
        name: String,
        weight: u64,
    },
    /// A virtual Ethernet adapter with that VLAN is added, or what is in the slot is removed.
    Adapter {
        name: String,
        slot: u16,
        vlan: Option<u16>,
    },
    ChangeSystem {
        name: String,
        description: String,
    },
    /// Must be refused.
    Wrong {
        name: String,
        arguments: String,
    },
}

#[derive(Clone, Debug)]
pub enum PartitionChange {
    Name(String),
    AutoStart(bool),
    WorkGroup(Option<u64>),
    Priority(u64),
    Description(String),
    DefaultProfile(String),
}

#[derive(Clone, Debug)]
pub enum ProfileChange {
    Name(String),
    Memory([u64; 3]),
    Processors(u64, u64),
    Weight(u64),
    AutoStart(bool),
    AddEthernet(u16, u16),
    RemoveEthernet(u16, u16),
    FibreChannel(BTreeSet<u16>),
}

fn units(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn flag(value: bool) -> u8 {
    u8::from(value)
}

fn ethernet(slot: u16, vlan: u16) -> String {
    format!("{slot}/0/{vlan}//0/0/ETHERNET0//all/none")
}

fn fibre_channel(slots: &BTreeSet<u16>) -> String {
    let elements: Vec<String> =
        slots.iter().map(|slot| format!("{slot}/client/{FAR_SERVER}//{slot}//0")).collect();
    // A list of several elements is one quoted attribute.
    match elements.as_slice() {
        [] => "virtual_fc_adapters=none".to_owned(),
        elements => format!("\"virtual_fc_adapters={}\"", elements.join(",")),
    }
}

fn profile_record(profile: &Profile) -> String {
    let [least, wished, most] = profile.memory;
    let mut record = format!(
        "min_mem={least},desired_mem={wished},max_mem={most},proc_mode=shared,sharing_mode=uncap,uncap_weight={},\
         min_procs=1,desired_procs={},max_procs=4,min_proc_units=0.1,desired_proc_units={},max_proc_units=4.0,auto_start={}",
        profile.weight,
        profile.processors,
        units(profile.units),
        flag(profile.auto_start)
    );
    let adapters: Vec<String> = profile.ethernet.iter().map(|(&slot, &vlan)| ethernet(slot, vlan)).collect();
    if !adapters.is_empty() {
        let _ = write!(record, ",\"virtual_eth_adapters={}\"", adapters.join(","));
    }
    if !profile.fibre_channel.is_empty() {
        let _ = write!(record, ",{}", fibre_channel(&profile.fibre_channel));
    }
    record
}

impl PartitionChange {
    fn record(&self) -> String {
        match self {
            Self::Name(name) => format!("new_name={name}"),
            Self::AutoStart(value) => format!("auto_start={}", flag(*value)),
            Self::WorkGroup(Some(group)) => format!("work_group_id={group}"),
            Self::WorkGroup(None) => "work_group_id=none".to_owned(),
            Self::Priority(priority) => format!("lpar_avail_priority={priority}"),
            Self::Description(text) => format!("\"description={text}\""),
            Self::DefaultProfile(name) => format!("profile_name={name}"),
        }
    }

    fn apply(&self, partition: &mut Partition) {
        match self {
            Self::Name(_) => {}
            Self::AutoStart(value) => partition.auto_start = *value,
            Self::WorkGroup(group) => partition.work_group = *group,
            Self::Priority(priority) => partition.priority = *priority,
            Self::Description(text) => partition.description.clone_from(text),
            Self::DefaultProfile(name) => partition.default_profile.clone_from(name),
        }
    }
}

impl ProfileChange {
    fn record(&self) -> String {
        match self {
            Self::Name(name) => format!("new_name={name}"),
            Self::Memory([least, wished, most]) => {
                format!("min_mem={least},desired_mem={wished},max_mem={most}")
            }
            Self::Processors(processors, hundredths) => {
                format!("desired_procs={processors},desired_proc_units={}", units(*hundredths))
            }
            Self::Weight(weight) => format!("uncap_weight={weight}"),
            Self::AutoStart(value) => format!("auto_start={}", flag(*value)),
            Self::AddEthernet(slot, vlan) => format!("virtual_eth_adapters+={}", ethernet(*slot, *vlan)),
            Self::RemoveEthernet(slot, vlan) => format!("virtual_eth_adapters-={}", ethernet(*slot, *vlan)),
            Self::FibreChannel(slots) => fibre_channel(slots),
        }
    }

    fn apply(&self, profile: &mut Profile) {
        match self {
            Self::Name(_) => {}
            Self::Memory(memory) => profile.memory = *memory,
            Self::Processors(processors, units) => {
                profile.processors = *processors;
                profile.units = *units;
            }
            Self::Weight(weight) => profile.weight = *weight,
            Self::AutoStart(value) => profile.auto_start = *value,
            Self::AddEthernet(slot, vlan) => {
                profile.ethernet.insert(*slot, *vlan);
            }
            Self::RemoveEthernet(slot, _) => {
                profile.ethernet.remove(slot);
            }
            Self::FibreChannel(slots) => profile.fibre_channel.clone_from(slots),
        }
    }
}

fn records<T>(changes: &[T], record: impl Fn(&T) -> String) -> String {
    changes.iter().map(record).collect::<Vec<_>>().join(",")
}

impl Operation {
    /// The command line that asks for it.
    pub fn command(&self, system: &str) -> String {
        let signed = |add: &bool| if *add { "a" } else { "r" };
        match self {
            Self::CreatePartition { name, id, id_given, profile_name, partition } => {
                let id = if *id_given { format!(",lpar_id={id}") } else { String::new() };
                format!(
                    "mksyscfg -r lpar -m '{system}' -i 'name={name}{id},lpar_env={},profile_name={profile_name},lpar_avail_priority={},\"description={}\",{}'",
                    partition.environment,
                    partition.priority,
                    partition.description,
                    profile_record(&partition.profiles[profile_name])
                )
            }
            Self::CreateProfile { partition, name, profile } => format!(
                "mksyscfg -r prof -m '{system}' -i 'name={name},lpar_name={partition},{}'",
                profile_record(profile)
            ),
            Self::ChangePartition { name, changes } => format!(
                "chsyscfg -r lpar -m '{system}' -i 'name={name},{}'",
                records(changes, PartitionChange::record)
            ),
            Self::ChangeProfile { partition, name, changes } => format!(
                "chsyscfg -r prof -m '{system}' -i 'name={name},lpar_name={partition},{}'",
                records(changes, ProfileChange::record)
            ),
            Self::RemovePartition(name) => format!("rmsyscfg -r lpar -m '{system}' -n {name}"),
            Self::RemoveProfile { partition, name } => {
                format!("rmsyscfg -r prof -m '{system}' -n {name} -p {partition}")
            }
            Self::Activate { name, profile } => {
                let profile = profile.as_ref().map(|profile| format!(" -f {profile}")).unwrap_or_default();
                format!("chsysstate -r lpar -m '{system}' -o on -n {name}{profile}")
            }
            Self::ShutDown(name) => format!("chsysstate -r lpar -m '{system}' -o shutdown --immed -n {name}"),
            Self::Apply { name, profile } => {
                format!("chsyscfg -r lpar -m '{system}' -o apply -p {name} -n {profile}")
            }
            Self::Memory { name, add, megabytes } => {
                format!("chhwres -r mem -m '{system}' -o {} -p {name} -q {megabytes}", signed(add))
            }
            Self::Processors { name, add, processors, units: hundredths } => format!(
                "chhwres -r proc -m '{system}' -o {} -p {name} --procs {processors} --procunits {}",
                signed(add),
                units(*hundredths)
            ),
            Self::Weight { name, weight } => {
                format!("chhwres -r proc -m '{system}' -o s -p {name} -a uncap_weight={weight}")
            }
            // Where RMC does not reach the partition, the change goes past its operating system.
            Self::Adapter { name, slot, vlan: Some(vlan) } => format!(
                "chhwres -r virtualio --rsubtype eth -m '{system}' -o a -p {name} -s {slot} -w 1 --force -a port_vlan_id={vlan}"
            ),
            Self::Adapter { name, slot, vlan: None } => {
                format!("chhwres -r virtualio -m '{system}' -o r -p {name} -s {slot} -w 1 --force")
            }
            Self::ChangeSystem { name, description } => {
                format!("chsyscfg -r sys -m '{system}' -i 'new_name={name},\"description={description}\"'")
            }
            Self::Wrong { arguments, .. } => arguments.replace("SYSTEM", &format!("'{system}'")),
        }
    }

    /// The names that the operation concerns.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::ChangePartition { name, changes } => {
                let renamed = changes.iter().filter_map(|change| match change {
                    PartitionChange::Name(name) => Some(name.clone()),
                    _ => None,
                });
                std::iter::once(name.clone()).chain(renamed).collect()
            }
            Self::CreateProfile { partition: name, .. }
            | Self::ChangeProfile { partition: name, .. }
            | Self::RemoveProfile { partition: name, .. }
            | Self::CreatePartition { name, .. }
            | Self::RemovePartition(name)
            | Self::Activate { name, .. }
            | Self::ShutDown(name)
            | Self::Apply { name, .. }
            | Self::Memory { name, .. }
            | Self::Processors { name, .. }
            | Self::Adapter { name, .. }
            | Self::Weight { name, .. } => vec![name.clone()],
            Self::ChangeSystem { .. } | Self::Wrong { .. } => Vec::new(),
        }
    }

    /// Does to the definitions what the acknowledged command does.
    pub fn apply(&self, definitions: &mut Definitions) {
        let partitions = &mut definitions.partitions;
        match self {
            Self::CreatePartition { name, partition, .. } => {
                partitions.insert(name.clone(), (**partition).clone());
            }
            Self::ChangePartition { name, changes } => {
                let Some(mut partition) = partitions.remove(name) else { return };
                changes.iter().for_each(|change| change.apply(&mut partition));
                let renamed = changes.iter().find_map(|change| match change {
                    PartitionChange::Name(name) => Some(name.clone()),
                    _ => None,
                });
                partitions.insert(renamed.unwrap_or_else(|| name.clone()), partition);
            }
            Self::RemovePartition(name) => {
                partitions.remove(name);
            }
            Self::ChangeSystem { name, description } => {
                definitions.system = Some((name.clone(), description.clone()));
            }
            Self::Wrong { .. } => {}
            other => {
                let name = other.names().pop().unwrap_or_default();
                if let Some(partition) = partitions.get_mut(&name) {
                    other.apply_to(partition);
                }
            }
        }
    }

    fn apply_to(&self, partition: &mut Partition) {
        match self {
            Self::CreateProfile { name, profile, .. } => {
                partition.profiles.insert(name.clone(), profile.clone());
            }
            Self::ChangeProfile { name, changes, .. } => change_profile(partition, name, changes),
            Self::RemoveProfile { name, .. } => {
                partition.profiles.remove(name);
            }
            Self::Activate { profile: Some(profile), .. } | Self::Apply { profile, .. }
                if partition.profiles.contains_key(profile) =>
            {
                partition.take(profile);
            }
            Self::Memory { add, megabytes, .. } => {
                if let Some(current) = &mut partition.current {
                    current.memory = changed(current.memory, *add, *megabytes);
                }
            }
            Self::Processors { add, processors, units, .. } => {
                if let Some(current) = &mut partition.current {
                    current.processors = changed(current.processors, *add, *processors);
                    current.units = changed(current.units, *add, *units);
                }
            }
            Self::Adapter { slot, vlan, .. } => {
                if let Some(current) = &mut partition.current {
                    match vlan {
                        Some(vlan) => current.ethernet.insert(*slot, *vlan),
                        None => current.ethernet.remove(slot),
                    };
                }
            }
            Self::Weight { weight, .. } => {
                if let Some(current) = &mut partition.current {
                    current.weight = *weight;
                }
            }
            _ => {}
        }
    }
}

fn changed(value: u64, add: bool, by: u64) -> u64 {
    if add { value + by } else { value.saturating_sub(by) }
}

fn change_profile(partition: &mut Partition, name: &str, changes: &[ProfileChange]) {
    let Some(mut profile) = partition.profiles.remove(name) else { return };
    changes.iter().for_each(|change| change.apply(&mut profile));
    let renamed = changes.iter().find_map(|change| match change {
        ProfileChange::Name(name) => Some(name.clone()),
        _ => None,
    });
    let new_name = renamed.unwrap_or_else(|| name.to_owned());
    for reference in [&mut partition.default_profile, &mut partition.current_profile] {
        if reference == name {
            reference.clone_from(&new_name);
        }
    }
    partition.profiles.insert(new_name, profile);
}

/// What a client draws its operations from.
pub struct Draw<'a> {
    pub random: &'a mut Randomness,
    pub definitions: &'a Definitions,
    pub prefix: char,
    /// Numbers that new partitions get by their names; `None` where the system gives the lowest free one.
    pub first_id: Option<u16>,
    /// Partitions that run, as far as is known.
    pub on: &'a BTreeSet<String>,
}

impl Draw<'_> {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.chance(percent * 10_000)
    }

    fn name(&mut self) -> String {
        let names: Vec<String> = (0..NAMES).map(|number| format!("{}{number}", self.prefix)).collect();
        let used = self.definitions.partitions.keys().cloned().collect();
        self.fresh(&names, &used)
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        self.random.choose(items).cloned()
    }

    /// A partition.
    fn partition(&mut self) -> Option<(String, &Partition)> {
        let names: Vec<String> = self.definitions.partitions.keys().cloned().collect();
        let name = self.pick(&names)?;
        let partition = &self.definitions.partitions[&name];
        Some((name, partition))
    }

    /// A partition that runs, or that is off, if there is one; now and then any.
    fn partition_that(&mut self, runs: bool) -> Option<(String, &Partition)> {
        let names = self.definitions.partitions.keys();
        let names: Vec<String> = names.filter(|name| self.on.contains(*name) == runs).cloned().collect();
        match self.pick(&names) {
            Some(name) if self.chance(90) => {
                let partition = &self.definitions.partitions[&name];
                Some((name, partition))
            }
            _ => self.partition(),
        }
    }

    /// A name that is not in `used`, if there is one; now and then any.
    fn fresh(&mut self, names: &[String], used: &BTreeSet<String>) -> String {
        let free: Vec<String> = names.iter().filter(|name| !used.contains(*name)).cloned().collect();
        match self.pick(&free) {
            Some(name) if self.chance(90) => name,
            _ => self.pick(names).unwrap_or_default(),
        }
    }

    fn fresh_profile(&mut self, partition: &str) -> String {
        let used = self.definitions.partitions[partition].profiles.keys().cloned().collect();
        self.fresh(&PROFILES.map(str::to_owned), &used)
    }

    fn profile(&mut self) -> Profile {
        let memory = self.memory();
        let (processors, units) = self.processors();
        let mut ethernet = BTreeMap::new();
        for slot in 2..4 {
            if self.chance(50) {
                ethernet.insert(slot, self.vlan());
            }
        }
        let fibre_channel = self.fibre_channel();
        Profile {
            memory,
            processors,
            units,
            weight: self.random.below(256),
            auto_start: self.chance(25),
            ethernet,
            fibre_channel,
        }
    }

    fn fibre_channel(&mut self) -> BTreeSet<u16> {
        (6..9).filter(|_| self.random.chance(300_000)).collect()
    }

    fn vlan(&mut self) -> u16 {
        u16::try_from(self.random.between(1, 4_094)).unwrap_or(1)
    }

    fn memory(&mut self) -> [u64; 3] {
        let mut sizes = [(); 3].map(|()| 256 * self.random.between(1, 16));
        sizes.sort_unstable();
        sizes
    }

    fn processors(&mut self) -> (u64, u64) {
        let processors = self.random.between(1, 4);
        (processors, processors * 5 * self.random.between(2, 12))
    }

    fn text(&mut self) -> String {
        let words = ["web", "data base", "test, later", "a=b", "under construction", ""];
        let word = self.pick(&words).unwrap_or_default();
        format!("{word} {}", self.random.below(1_000)).trim().to_owned()
    }

    pub fn operation(&mut self) -> Operation {
        let few = self.definitions.partitions.len() < 2;
        let drawn = if few { self.random.below(20) } else { self.random.below(100) };
        let operation = match drawn {
            0..=14 => Some(self.create_partition()),
            15..=19 if self.definitions.system.is_some() => Some(self.change_system()),
            15..=24 => self.create_profile(),
            25..=39 => self.change_partition(),
            40..=56 => self.change_profile(),
            57..=61 => self.remove_partition(),
            62..=66 => self.remove_profile(),
            67..=73 => self.activate(),
            74..=79 => self.partition_that(true).map(|(name, _)| Operation::ShutDown(name)),
            80..=84 => self.apply(),
            85..=91 => self.resources(),
            92..=96 => self.adapter(),
            _ => self.wrong(),
        };
        operation.unwrap_or_else(|| self.create_partition())
    }

    fn create_partition(&mut self) -> Operation {
        let name = self.name();
        let id = match self.first_id {
            Some(first) => first + u16::try_from(self.random.below(4 * NAMES)).unwrap_or(0),
            None => {
                let used: BTreeSet<u16> = self.definitions.partitions.values().map(|one| one.id).collect();
                (1..).find(|id| !used.contains(id)).unwrap_or(1)
            }
        };
        let profile_name = self.pick(&PROFILES).unwrap_or_default().to_owned();
        let profile = self.profile();
        let environment = if self.chance(20) { "vioserver" } else { "aixlinux" };
        let partition = Partition {
            uuid: None,
            id,
            environment: environment.to_owned(),
            default_profile: profile_name.clone(),
            current_profile: String::new(),
            current: None,
            auto_start: profile.auto_start,
            work_group: None,
            priority: self.random.below(256),
            description: self.text(),
            profiles: BTreeMap::from([(profile_name.clone(), profile)]),
        };
        let id_given = self.first_id.is_some();
        Operation::CreatePartition { name, id, id_given, profile_name, partition: Box::new(partition) }
    }

    fn create_profile(&mut self) -> Option<Operation> {
        let (partition, _) = self.partition()?;
        let name = self.fresh_profile(&partition);
        Some(Operation::CreateProfile { partition, name, profile: self.profile() })
    }

    fn change_partition(&mut self) -> Option<Operation> {
        let (name, partition) = self.partition()?;
        let profiles: Vec<String> = partition.profiles.keys().cloned().collect();
        let mut changes = Vec::new();
        if self.chance(25) {
            changes.push(PartitionChange::Name(self.name()));
        }
        if self.chance(40) {
            changes.push(PartitionChange::AutoStart(self.chance(30)));
        }
        if self.chance(40) {
            let group = self.random.between(1, 32);
            changes.push(PartitionChange::WorkGroup(self.chance(70).then_some(group)));
        }
        if self.chance(40) {
            changes.push(PartitionChange::Description(self.text()));
        }
        if self.chance(25) {
            changes.push(PartitionChange::DefaultProfile(self.pick(&profiles)?));
        }
        if changes.is_empty() || self.chance(40) {
            changes.push(PartitionChange::Priority(self.random.below(256)));
        }
        Some(Operation::ChangePartition { name, changes })
    }

    fn change_profile(&mut self) -> Option<Operation> {
        let (name, partition) = self.partition()?;
        let profiles: Vec<(String, Profile)> =
            partition.profiles.iter().map(|(name, profile)| (name.clone(), profile.clone())).collect();
        let (profile_name, profile) = self.pick(&profiles)?;
        let mut changes = Vec::new();
        if self.chance(15) {
            changes.push(ProfileChange::Name(self.fresh_profile(&name)));
        }
        if self.chance(40) {
            changes.push(ProfileChange::Memory(self.memory()));
        }
        if self.chance(30) {
            let (processors, units) = self.processors();
            changes.push(ProfileChange::Processors(processors, units));
        }
        if self.chance(20) {
            changes.push(ProfileChange::AutoStart(self.chance(30)));
        }
        if self.chance(20) {
            changes.push(ProfileChange::FibreChannel(self.fibre_channel()));
        }
        let adapters: Vec<(u16, u16)> = profile.ethernet.iter().map(|(&slot, &vlan)| (slot, vlan)).collect();
        match self.pick(&adapters) {
            Some((slot, vlan)) if self.chance(30) => changes.push(ProfileChange::RemoveEthernet(slot, vlan)),
            _ if self.chance(40) => {
                let free: Vec<u16> = (2..6).filter(|slot| !profile.ethernet.contains_key(slot)).collect();
                let slot = self.pick(&free).unwrap_or(2);
                changes.push(ProfileChange::AddEthernet(slot, self.vlan()));
            }
            _ => {}
        }
        if changes.is_empty() {
            changes.push(ProfileChange::Weight(self.random.below(256)));
        }
        Some(Operation::ChangeProfile { partition: name, name: profile_name, changes })
    }

    fn remove_partition(&mut self) -> Option<Operation> {
        self.partition_that(false).map(|(name, _)| Operation::RemovePartition(name))
    }

    fn remove_profile(&mut self) -> Option<Operation> {
        let (name, partition) = self.partition()?;
        let others = partition.profiles.keys().filter(|name| **name != partition.default_profile);
        let profiles: Vec<String> = others.cloned().collect();
        Some(Operation::RemoveProfile { partition: name, name: self.pick(&profiles)? })
    }

    fn activate(&mut self) -> Option<Operation> {
        let (name, partition) = self.partition_that(false)?;
        let profiles: Vec<String> = partition.profiles.keys().cloned().collect();
        let with = partition.current.is_none() || self.chance(50);
        Some(Operation::Activate { name, profile: if with { self.pick(&profiles) } else { None } })
    }

    fn apply(&mut self) -> Option<Operation> {
        let (name, partition) = self.partition_that(false)?;
        let profiles: Vec<String> = partition.profiles.keys().cloned().collect();
        Some(Operation::Apply { name, profile: self.pick(&profiles)? })
    }

    /// A change of resources of a partition that is off and has some.
    fn resources(&mut self) -> Option<Operation> {
        let off = |(name, partition): (&String, &Partition)| {
            (partition.current.is_some() && !self.on.contains(name)).then(|| name.clone())
        };
        let names: Vec<String> = self.definitions.partitions.iter().filter_map(off).collect();
        let name = self.pick(&names)?;
        let add = self.chance(50);
        Some(match self.random.below(5) {
            0..=2 => Operation::Memory { name, add, megabytes: 256 * self.random.between(1, 3) },
            3 => Operation::Processors { name, add, processors: 1, units: 5 * self.random.between(1, 10) },
            _ => Operation::Weight { name, weight: self.random.below(256) },
        })
    }

    /// A change of the adapters of a partition that has some configuration; mostly of one that runs.
    fn adapter(&mut self) -> Option<Operation> {
        let runs = self.chance(70);
        let (name, partition) = self.partition_that(runs)?;
        let present: Vec<u16> = partition.current.as_ref()?.ethernet.keys().copied().collect();
        let slots: Vec<u16> = (2..6).chain(9..10).collect();
        let free: Vec<u16> = slots.iter().filter(|slot| !present.contains(slot)).copied().collect();
        let remove = self.chance(40);
        match self.pick(if remove { &present } else { &free }) {
            Some(slot) if remove => Some(Operation::Adapter { name, slot, vlan: None }),
            Some(slot) => Some(Operation::Adapter { name, slot, vlan: Some(self.vlan()) }),
            None => None,
        }
    }

    fn change_system(&mut self) -> Operation {
        let name = format!("frame-{}{}", self.prefix, self.random.below(4));
        Operation::ChangeSystem { name, description: self.text() }
    }

    /// Commands with one mistake, so that nothing of them may be done.
    fn wrong(&mut self) -> Option<Operation> {
        let (name, partition) = self.partition()?;
        let profile = partition.default_profile.clone();
        let arguments = match self.random.below(6) {
            0 => format!("chsyscfg -r lpar -m SYSTEM -i 'name={name},lpar_avail_priority=1,no_such=1'"),
            1 => format!(
                "chsyscfg -r prof -m SYSTEM -i 'name={profile},lpar_name={name},uncap_weight=7,max_mem=255'"
            ),
            2 => {
                format!("chsyscfg -r lpar -m SYSTEM -i 'name={name},description=x,lpar_avail_priority=many'")
            }
            3 => format!("rmsyscfg -r prof -m SYSTEM -n {profile} -p {name}"),
            4 => "rmsyscfg -r lpar -m SYSTEM -n nobody".to_owned(),
            _ => format!(
                "chsyscfg -r prof -m SYSTEM -i 'name={profile},lpar_name={name},virtual_eth_adapters-=9/0/9//0/0'"
            ),
        };
        Some(Operation::Wrong { name, arguments })
    }
}
