//! The definitions of a managed system, as a test predicts them and as the console lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Outcome, run};

/// Attributes of a partition that say how it is doing, not how it is defined.
const VOLATILE: [&str; 4] = ["state", "os_version", "rmc_state", "rmc_ipaddr"];

/// What a profile says. Memory in MB, units in hundredths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub memory: [u64; 3],
    pub processors: u64,
    pub units: u64,
    pub weight: u64,
    pub auto_start: bool,
    /// VLANs of virtual Ethernet adapters by slot.
    pub ethernet: BTreeMap<u16, u16>,
    /// Slots of virtual Fibre Channel adapters.
    pub fibre_channel: BTreeSet<u16>,
}

/// The current configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    pub memory: u64,
    pub processors: u64,
    pub units: u64,
    pub weight: u64,
    /// VLANs of virtual Ethernet adapters by slot.
    pub ethernet: BTreeMap<u16, u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// `None` until it was read.
    pub uuid: Option<String>,
    pub id: u16,
    pub environment: String,
    pub default_profile: String,
    pub current_profile: String,
    pub current: Option<Current>,
    pub auto_start: bool,
    pub work_group: Option<u64>,
    pub priority: u64,
    pub description: String,
    pub profiles: BTreeMap<String, Profile>,
}

impl Partition {
    /// What applying or activating a profile does to the definition.
    pub fn take(&mut self, name: &str) {
        let profile = &self.profiles[name];
        self.current = Some(Current {
            memory: profile.memory[1],
            processors: profile.processors,
            units: profile.units,
            weight: profile.weight,
            ethernet: profile.ethernet.clone(),
        });
        self.auto_start = profile.auto_start;
        // No profile of these tests names a group.
        self.work_group = None;
        name.clone_into(&mut self.current_profile);
    }
}

/// All that is defined, as far as one client changes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    pub partitions: BTreeMap<String, Partition>,
    /// The system's user-defined name and description, where the client changes them.
    pub system: Option<(String, String)>,
}

impl Definitions {
    /// What the start of the managed system does: partitions that start with it and have no configuration yet take
    /// their default profile.
    pub fn restarted(mut self) -> Self {
        for partition in self.partitions.values_mut() {
            let name = partition.default_profile.clone();
            if partition.auto_start && partition.current.is_none() && partition.profiles.contains_key(&name) {
                partition.take(&name);
                partition.auto_start = true;
            }
        }
        self
    }

    /// The partitions that start with the managed system.
    pub fn starting(&self) -> usize {
        self.partitions.values().filter(|partition| partition.auto_start).count()
    }

    /// The first difference from what was read; `None` if there is none. Identities not known yet match any.
    pub fn difference(&self, seen: &Self) -> Option<String> {
        if self.system != seen.system {
            return Some(format!("system: expected {:?}, seen {:?}", self.system, seen.system));
        }
        let names: BTreeSet<&String> = self.partitions.keys().chain(seen.partitions.keys()).collect();
        for name in names {
            match (self.partitions.get(name), seen.partitions.get(name)) {
                (Some(expected), Some(present)) => {
                    let mut expected = expected.clone();
                    if expected.uuid.is_none() {
                        expected.uuid.clone_from(&present.uuid);
                    }
                    if expected != *present {
                        return Some(format!("{name}:\n  expected {expected:?}\n  seen     {present:?}"));
                    }
                }
                (Some(_), None) => return Some(format!("{name} is missing")),
                _ => return Some(format!("{name} should not be there")),
            }
        }
        None
    }
}

/// What was read of one managed system.
#[derive(Debug, Default)]
pub struct Reading {
    pub definitions: Definitions,
    /// Every listed attribute of a partition and its profiles but the volatile ones, by UUID.
    pub raw: BTreeMap<String, String>,
    /// Port names of virtual Fibre Channel adapters, with the UUID of their partition.
    pub port_names: Vec<(String, String)>,
    /// Partitions that are not off.
    pub on: BTreeSet<String>,
}

/// Splits a line of values at commas, with the quotes taken off.
fn values(line: &str) -> Vec<String> {
    let (mut values, mut value, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                value.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(std::mem::take(&mut value)),
            other => value.push(other),
        }
    }
    values.push(value);
    values
}

/// Units as listed, in hundredths.
fn hundredths(text: &str) -> u64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction: u64 = format!("{fraction:0<2}")[..2].parse().expect("units");
    whole.parse::<u64>().expect("units") * 100 + fraction
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is a number"))
}

/// Elements of a list attribute; each may be quoted once more.
fn elements(text: &str) -> Vec<String> {
    if text == "none" { Vec::new() } else { values(text) }
}

fn ethernet(text: &str) -> BTreeMap<u16, u16> {
    let slot = |element: String| {
        let parts: Vec<&str> = element.split('/').collect();
        let (slot, vlan) = (parts[0].parse().expect("slot"), parts[2].parse().expect("VLAN"));
        assert_eq!(element, format!("{slot}/0/{vlan}//0/0/ETHERNET0//all/none"));
        (slot, vlan)
    };
    elements(text).into_iter().map(slot).collect()
}

const PARTITION: &str = "name,uuid,lpar_id,lpar_env,default_profile,curr_profile,auto_start,work_group_id,lpar_avail_priority,description,state";
const PROFILE: &str = "lpar_name,name,min_mem,desired_mem,max_mem,desired_procs,desired_proc_units,uncap_weight,auto_start,virtual_eth_adapters,virtual_fc_adapters";

/// Reads everything that a managed system has. `None` if it cannot be reached, or if the console went away.
pub fn read(sockets: &Path, system: &str) -> Option<Reading> {
    let mut reading = Reading::default();
    let part = |command: String| listing(sockets, &command);
    let line = part(format!("lssyscfg -r sys -m '{system}' -F name,description,state"))?;
    let line = values(line.first()?);
    if line[2] != "Operating" {
        return None;
    }
    reading.definitions.system = Some((line[0].clone(), line[1].clone()));
    for line in part(format!("lssyscfg -r lpar -m '{system}' -F {PARTITION}"))? {
        partition(&values(&line), &mut reading);
    }
    for line in part(format!("lssyscfg -r prof -m '{system}' -F {PROFILE}"))? {
        profile(&values(&line), &mut reading);
    }
    let memory = part(format!("lshwres -r mem -m '{system}' --level lpar -F lpar_name,pend_mem"))?;
    let processors = "lpar_name,pend_procs,pend_proc_units,pend_uncap_weight";
    let processors = part(format!("lshwres -r proc -m '{system}' --level lpar -F {processors}"))?;
    for (memory, processors) in memory.iter().zip(&processors) {
        let (memory, processors) = (values(memory), values(processors));
        assert_eq!(memory[0], processors[0], "both listings have the same order");
        // Units are null where there is no current configuration.
        if processors[2] != "null" {
            let partition = reading.definitions.partitions.get_mut(&memory[0])?;
            partition.current = Some(Current {
                memory: number(&memory[1]),
                processors: number(&processors[1]),
                units: hundredths(&processors[2]),
                weight: number(&processors[3]),
                ethernet: BTreeMap::new(),
            });
        }
    }
    let adapters = "--rsubtype eth --level lpar -F lpar_name,slot_num,port_vlan_id";
    for line in part(format!("lshwres -r virtualio -m '{system}' {adapters}"))? {
        let line = values(&line);
        let partition = reading.definitions.partitions.get_mut(&line[0])?;
        let current = partition.current.as_mut()?;
        let (slot, vlan) = (line[1].parse().expect("slot"), line[2].parse().expect("VLAN"));
        assert_eq!(current.ethernet.insert(slot, vlan), None, "slot {slot} of {} is listed twice", line[0]);
    }
    read_raw(sockets, system, &mut reading)?;
    Some(reading)
}

fn listing(sockets: &Path, command: &str) -> Option<Vec<String>> {
    match run(sockets, command) {
        Outcome::Answered(0, output) if output.starts_with("No results were found.") => Some(Vec::new()),
        Outcome::Answered(0, output) => Some(output.lines().map(str::to_owned).collect()),
        _ => None,
    }
}

fn partition(values: &[String], reading: &mut Reading) {
    let partition = Partition {
        uuid: Some(values[1].clone()),
        id: u16::try_from(number(&values[2])).expect("number of a partition"),
        environment: values[3].clone(),
        default_profile: values[4].clone(),
        current_profile: values[5].clone(),
        current: None,
        auto_start: values[6] == "1",
        work_group: (values[7] != "none").then(|| number(&values[7])),
        priority: number(&values[8]),
        description: values[9].clone(),
        profiles: BTreeMap::new(),
    };
    if values[10] != "Not Activated" {
        reading.on.insert(values[0].clone());
    }
    let twice = reading.definitions.partitions.insert(values[0].clone(), partition);
    assert!(twice.is_none(), "{} is listed twice", values[0]);
}

fn profile(values: &[String], reading: &mut Reading) {
    let partition = reading.definitions.partitions.get_mut(&values[0]).expect("partition of a profile");
    let uuid = partition.uuid.clone().unwrap_or_default();
    let mut fibre_channel = BTreeSet::new();
    for element in elements(&values[10]) {
        let parts: Vec<&str> = element.split('/').collect();
        fibre_channel.insert(parts[0].parse().expect("slot"));
        for name in parts[5].split(',') {
            assert_eq!(name.len(), 16, "{element} has two port names");
            reading.port_names.push((name.to_owned(), uuid.clone()));
        }
    }
    let profile = Profile {
        memory: [number(&values[2]), number(&values[3]), number(&values[4])],
        processors: number(&values[5]),
        units: hundredths(&values[6]),
        weight: number(&values[7]),
        auto_start: values[8] == "1",
        ethernet: ethernet(&values[9]),
        fibre_channel,
    };
    let twice = partition.profiles.insert(values[1].clone(), profile);
    assert!(twice.is_none(), "profile {} of {} is listed twice", values[1], values[0]);
}

fn read_raw(sockets: &Path, system: &str, reading: &mut Reading) -> Option<()> {
    let mut uuids = BTreeMap::new();
    for (name, partition) in &reading.definitions.partitions {
        uuids.insert(name.clone(), partition.uuid.clone()?);
    }
    for (command, owner) in [("lssyscfg -r lpar -m", "name="), ("lssyscfg -r prof -m", "lpar_name=")] {
        for line in listing(sockets, &format!("{command} '{system}'"))? {
            let values = values(&line);
            let name = values.iter().find_map(|value| value.strip_prefix(owner))?;
            let kept = |value: &&String| {
                let name = value.split_once('=').map_or("", |(name, _)| name);
                !VOLATILE.contains(&name)
            };
            let kept: Vec<&str> = values.iter().filter(kept).map(String::as_str).collect();
            let raw = reading.raw.entry(uuids.get(name)?.clone()).or_default();
            raw.push_str(&kept.join("\n"));
        }
    }
    Some(())
}
