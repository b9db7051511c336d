//! A client that sends random commands to one managed system and knows what must come of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use varan_simulator::Randomness;

use super::definitions::{Definitions, Reading, read};
use super::operations::{Draw, Operation};
use super::{Outcome, SYSTEMS, run};

/// Looks at a managed system before a difference counts; each is some listings long. What starts with the system starts
/// shortly after its first answers.
const LOOKS_MAX: u32 = 200;
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(20);

/// Commands that the report of a failure shows.
const LOG_SHOWN: usize = 40;

/// What is known of a command after it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Acknowledged,
    Refused,
    /// No exit status, or the console lost its managed system: done or not done.
    Uncertain,
}

/// Numbers for the report of a test.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub acknowledged: u64,
    pub refused: u64,
    /// Uncertain commands that turned out to be done.
    pub done: u64,
    /// Uncertain commands that turned out not to be done, or that changed nothing.
    pub absent: u64,
}

pub struct Lane {
    /// Index of the managed system.
    pub frame: usize,
    prefix: char,
    first_id: Option<u16>,
    random: Randomness,
    definitions: Definitions,
    uncertain: Option<Operation>,
    touched: BTreeSet<String>,
    on: BTreeSet<String>,
    /// The last commands and what came of them, for the report of a failure.
    log: Vec<String>,
    pub counts: Counts,
}

/// What was seen of a managed system before.
#[derive(Default)]
pub struct History {
    raw: BTreeMap<String, String>,
    port_names: BTreeMap<String, String>,
}

impl Lane {
    /// A client whose partitions have names that begin with `prefix`. It gives their numbers from `first_id` on, or, as the
    /// only client of its system, leaves that to the system and changes the system's name as well.
    pub fn new(frame: usize, prefix: char, first_id: Option<u16>, random: Randomness) -> Self {
        let system = first_id.is_none().then(Default::default);
        Self {
            frame,
            prefix,
            first_id,
            random,
            definitions: Definitions { system, ..Definitions::default() },
            uncertain: None,
            touched: BTreeSet::new(),
            on: BTreeSet::new(),
            log: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Sends one command and notes what came of it.
    pub fn step(&mut self, sockets: &Path) -> Step {
        let operation = Draw {
            random: &mut self.random,
            definitions: &self.definitions,
            prefix: self.prefix,
            first_id: self.first_id,
            on: &self.on,
        }
        .operation();
        let own_name = self.definitions.system.as_ref().map(|(name, _)| name.clone());
        let system = match own_name {
            Some(name) if self.random.chance(300_000) => name,
            _ => SYSTEMS[self.frame].to_owned(),
        };
        let command = operation.command(&system);
        let outcome = run(sockets, &command);
        let step = match &outcome {
            Outcome::Answered(0, _) => Step::Acknowledged,
            Outcome::Answered(..) if !outcome.no_connection() => Step::Refused,
            _ => Step::Uncertain,
        };
        if self.log.len() >= 2 * LOG_SHOWN {
            self.log.drain(..LOG_SHOWN);
        }
        self.log.push(format!("{step:?} {command} {}", outcome.output().trim()));
        self.note(operation, step);
        step
    }

    fn note(&mut self, operation: Operation, step: Step) {
        match step {
            Step::Refused => self.counts.refused += 1,
            Step::Acknowledged => {
                let wrong = matches!(operation, Operation::Wrong { .. });
                assert!(!wrong, "a command with a mistake was acknowledged:\n{}", self.report());
                operation.apply(&mut self.definitions);
                self.counts.acknowledged += 1;
                self.touched.extend(operation.names());
                match &operation {
                    Operation::Activate { name, .. } => {
                        self.on.insert(name.clone());
                    }
                    Operation::ShutDown(name) | Operation::RemovePartition(name) => {
                        self.on.remove(name);
                    }
                    _ => {}
                }
                // A partition that was given another name is the last of the names.
                if let [name, new_name] = operation.names().as_slice()
                    && self.on.remove(name)
                {
                    self.on.insert(new_name.clone());
                }
            }
            Step::Uncertain => {
                self.touched.extend(operation.names());
                self.uncertain = Some(operation);
            }
        }
    }

    /// What may be there now, each with whether the uncertain command is part of it.
    fn candidates(&self, restarted: bool) -> Vec<(Definitions, bool)> {
        let with = |definitions: &Definitions| {
            let mut definitions = definitions.clone();
            self.uncertain.as_ref().map(|operation| {
                operation.apply(&mut definitions);
                (definitions, true)
            })
        };
        let mut found = vec![(self.definitions.clone(), false)];
        found.extend(with(&self.definitions));
        if restarted {
            for (definitions, _) in &mut found {
                *definitions = std::mem::take(definitions).restarted();
            }
            // A command that was sent again after the restart.
            found.extend(with(&self.definitions.clone().restarted()));
        }
        found
    }

    /// The part of a reading that this client changes.
    fn own(&self, reading: &Reading) -> Definitions {
        let mut own = reading.definitions.clone();
        own.partitions.retain(|name, _| name.starts_with(self.prefix));
        if self.definitions.system.is_none() {
            own.system = None;
        }
        own
    }

    fn report(&self) -> String {
        let first = self.log.len().saturating_sub(LOG_SHOWN);
        format!("the last commands on {}:\n  {}", SYSTEMS[self.frame], self.log[first..].join("\n  "))
    }

    /// Takes over what was read, if it is what may be there.
    fn compare(&self, reading: &Reading, restarted: bool) -> Result<bool, String> {
        let own = self.own(reading);
        let mut differences = Vec::new();
        for (definitions, with) in self.candidates(restarted) {
            match definitions.difference(&own) {
                None => return Ok(with),
                Some(difference) => differences.push(difference),
            }
        }
        Err(format!("{}\n{}", differences.join("\nor, with the command in flight:\n"), self.report()))
    }

    fn adopt(&mut self, reading: &Reading, with: bool) {
        if self.uncertain.take().is_some() {
            if with { self.counts.done += 1 } else { self.counts.absent += 1 }
        }
        self.definitions = self.own(reading);
        self.on.clone_from(&reading.on);
        self.touched.clear();
    }

    /// Takes over what a new system begins with.
    pub fn begin(&mut self, sockets: &Path) {
        let reading = read(sockets, SYSTEMS[self.frame]).expect("a site that is ready answers");
        self.definitions = self.own(&reading);
    }
}

/// Reads a managed system and compares it with what its clients expect; `restarted` says that it lost its power since
/// the last time. Panics with the difference.
pub fn verify(sockets: &Path, lanes: &mut [&mut Lane], history: &mut History, restarted: bool) {
    let system = SYSTEMS[lanes[0].frame];
    let mut last = "it cannot be reached".to_owned();
    for _ in 0..LOOKS_MAX {
        match read(sockets, system)
            .map(|reading| compare_all(&reading, lanes, restarted).map(|with| (reading, with)))
        {
            Some(Ok((reading, with))) => {
                history.compare(&reading, lanes, restarted);
                for (lane, with) in lanes.iter_mut().zip(with) {
                    lane.adopt(&reading, with);
                }
                return;
            }
            Some(Err(difference)) => last = difference,
            None => {}
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    panic!("{system} is not what its clients were told: {last}");
}

fn compare_all(reading: &Reading, lanes: &[&mut Lane], restarted: bool) -> Result<Vec<bool>, String> {
    lanes.iter().map(|lane| lane.compare(reading, restarted)).collect()
}

impl History {
    fn compare(&mut self, reading: &Reading, lanes: &[&mut Lane], restarted: bool) {
        for (port_name, uuid) in &reading.port_names {
            let before = self.port_names.insert(port_name.clone(), uuid.clone());
            let same = before.is_none_or(|before| before == *uuid);
            assert!(same, "the port name {port_name} was given to two partitions");
        }
        for (name, partition) in &reading.definitions.partitions {
            let uuid = partition.uuid.clone().unwrap_or_default();
            let touched = lanes.iter().any(|lane| {
                // A partition that got its first configuration at the start of the system changed by that.
                let model = lane.definitions.partitions.get(name);
                let started = model.is_some_and(|model| model.auto_start && model.current.is_none());
                lane.touched.contains(name) || (restarted && started)
            });
            if let Some(before) = self.raw.get(&uuid).filter(|_| !touched) {
                assert_eq!(*before, reading.raw[&uuid], "{name} was not changed and is not what it was");
            }
        }
        self.raw.clone_from(&reading.raw);
    }
}
