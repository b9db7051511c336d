//! Mixed commands on two consoles that manage the same systems, and a checker of what they did.
//!
//! ```text
//! lane ── command ──> one console or the other ── answer ──> ledger
//!                                                              │
//! end ──> listings of both consoles ──> compared with what the ledger says was acknowledged
//! ```
//!
//! A change that is acknowledged is done once: sums, names and adapters in the end are exactly those of the ledger. A reading,
//! on whichever console, shows every change that was acknowledged before it began, and none that was not begun when it
//! ended. Of the values written to one attribute the last one stands: none that another, begun after its end, overwrote.

#![allow(dead_code, missing_docs, reason = "each user takes its part")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use varan::frame::Layout;
use varan_console::Console;
use varan_simulator::Randomness;

use crate::measured::{SMALL, UserShell};

/// Memory of one step, in MB.
const STEP: i64 = 256;
/// Memory that a shared partition begins with, in MB.
const INITIAL: i64 = 1_024;
/// Names for which the lanes compete on each system.
const CONTESTED: u64 = 4;

/// What is shared by all lanes.
pub struct Arena {
    pub consoles: Vec<Arc<Console>>,
    layout: Layout,
    /// Names of the managed systems.
    pub systems: Vec<String>,
    /// Partitions of each system that every lane changes: those that are off, and those that run.
    pub off: Vec<String>,
    pub running: Vec<String>,
    ledger: BTreeMap<(String, String), Ledger>,
    contested: BTreeMap<(String, String), AtomicI64>,
    clock: AtomicU64,
    counts: Counts,
}

/// How commands ended.
#[derive(Debug, Default)]
pub struct Counts {
    pub changes: AtomicU64,
    pub refusals: AtomicU64,
    pub locked: AtomicU64,
    pub readings: AtomicU64,
}

/// What was asked of one partition.
#[derive(Default)]
struct Ledger {
    /// Steps of memory that were begun and not refused, and those that were acknowledged.
    added: [AtomicI64; 2],
    removed: [AtomicI64; 2],
    /// VLANs of the adapters that were added and not removed.
    adapters: Mutex<Vec<u64>>,
    /// Texts that were written, with their begin and end.
    texts: Mutex<Vec<(u64, u64, String)>>,
}

/// Counts a step while it is under way, and for good when it is acknowledged.
fn step(counters: &[AtomicI64; 2], carry_out: impl FnOnce() -> bool) {
    counters[0].fetch_add(1, Ordering::SeqCst);
    if carry_out() {
        counters[1].fetch_add(1, Ordering::SeqCst);
    } else {
        counters[0].fetch_sub(1, Ordering::SeqCst);
    }
}

impl Arena {
    pub fn new(
        consoles: &[Arc<Console>],
        layout: &Layout,
        systems: Vec<String>,
        off: Vec<String>,
        running: Vec<String>,
    ) -> Self {
        let each =
            |name: &String| systems.iter().map(|system| (system.clone(), name.clone())).collect::<Vec<_>>();
        let ledger = off.iter().chain(&running).flat_map(each).map(|key| (key, Ledger::default())).collect();
        let names: Vec<String> = (0..CONTESTED).map(|number| format!("contested{number}")).collect();
        let contested = names.iter().flat_map(each).map(|key| (key, AtomicI64::new(0))).collect();
        let (clock, counts) = (AtomicU64::new(0), Counts::default());
        let (consoles, layout) = (consoles.to_vec(), layout.clone());
        Self { consoles, layout, systems, off, running, ledger, contested, clock, counts }
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Commands that were answered.
    pub fn commands(&self) -> u64 {
        let Counts { changes, refusals, locked, readings } = &self.counts;
        [changes, refusals, locked, readings].into_iter().map(|one| one.load(Ordering::Relaxed)).sum()
    }

    /// Gives every shared partition a current configuration of one size.
    pub fn prepare(&self) {
        let mut shell = UserShell::open(&self.consoles[0], &self.layout);
        for system in &self.systems {
            for name in &self.off {
                shell.done(&format!(
                    "chsyscfg -r lpar -m {system} -o apply -p {name} -n default_profile && \
                     chsyscfg -r lpar -m {system} -i 'name={name},description=first'"
                ));
            }
            for name in &self.running {
                shell.done(&format!("chsysstate -r lpar -m {system} -o on -n {name} -f default_profile"));
            }
        }
    }

    /// Runs a command that may be refused for one of the reasons that others can cause.
    fn change(&self, shell: &mut UserShell, command: &str, reasons: &[&str]) -> bool {
        let (output, status) = shell.run(command);
        if status == 0 {
            assert_eq!(output, "", "{command}");
            self.counts.changes.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let expected = reasons.iter().any(|reason| output.contains(reason));
        let locked = output.contains("HSCL0405");
        assert!(expected || locked, "{command}: {output}");
        let count = if locked { &self.counts.locked } else { &self.counts.refusals };
        count.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn read(&self, shell: &mut UserShell, command: &str) -> String {
        self.counts.readings.fetch_add(1, Ordering::Relaxed);
        shell.done(command)
    }
}

/// One who gives commands, now on this console, now on that.
pub struct Lane<'a> {
    arena: &'a Arena,
    number: u64,
    shells: Vec<UserShell>,
    random: Randomness,
    made: u64,
}

impl<'a> Lane<'a> {
    pub fn new(arena: &'a Arena, number: u64, seed: u64) -> Self {
        let shells = arena.consoles.iter().map(|one| UserShell::open(one, &arena.layout)).collect();
        Self { arena, number, shells, random: Randomness::new(seed ^ number << 32), made: 0 }
    }

    fn console(&mut self) -> usize {
        usize::try_from(self.random.below(self.shells.len() as u64)).unwrap_or(0)
    }

    fn choose(&mut self, names: &[String]) -> String {
        let place = self.random.below(names.len() as u64);
        names[usize::try_from(place).unwrap_or(0)].clone()
    }

    /// A number that no other change of any lane has.
    fn fresh(&mut self) -> u64 {
        self.made += 1;
        self.made << 8 | self.number
    }

    /// Gives one command.
    pub fn turn(&mut self) {
        let arena = self.arena;
        let system = self.choose(&arena.systems);
        match self.random.below(12) {
            0 | 1 => self.memory(&system, &arena.off),
            2 if !arena.running.is_empty() => self.memory(&system, &arena.running),
            3 => self.adapter(&system),
            4 => self.text(&system),
            5 | 6 => self.contest(&system),
            7 => self.both_list(&system),
            _ => self.look(&system),
        }
    }

    fn memory(&mut self, system: &str, names: &[String]) {
        let name = self.choose(names);
        let ledger = &self.arena.ledger[&(system.to_owned(), name.clone())];
        let (operation, counters) =
            if self.random.below(2) == 0 { ("a", &ledger.added) } else { ("r", &ledger.removed) };
        let command = format!("chhwres -r mem -m {system} -o {operation} -p {name} -q {STEP}");
        let (arena, console) = (self.arena, self.console());
        let shell = &mut self.shells[console];
        // Only the limits of the partition are in the way.
        step(counters, || arena.change(shell, &command, &["HSCL294A"]));
    }

    fn adapter(&mut self, system: &str) {
        let (arena, console, vlan) = (self.arena, self.console(), 100 + self.random.below(3_900));
        let name = self.choose(&arena.off);
        let ledger = &arena.ledger[&(system.to_owned(), name.clone())];
        let command =
            format!("chhwres -r virtualio -m {system} -o a -p {name} --rsubtype eth -a port_vlan_id={vlan}");
        // A partition has only so many slots.
        let added = arena.change(&mut self.shells[console], &command, &["HSCL", "slot"]);
        if added {
            ledger.adapters.lock().expect("lock").push(vlan);
        }
    }

    fn text(&mut self, system: &str) {
        let (arena, console, text) = (self.arena, self.console(), format!("text{}", self.fresh()));
        let name = self.choose(&arena.off);
        let ledger = &arena.ledger[&(system.to_owned(), name.clone())];
        let command = format!("chsyscfg -r lpar -m {system} -i 'name={name},description={text}'");
        let begin = arena.now();
        if arena.change(&mut self.shells[console], &command, &[]) {
            ledger.texts.lock().expect("lock").push((begin, arena.now(), text));
        }
    }

    /// Creates or removes a partition that others create and remove as well.
    fn contest(&mut self, system: &str) {
        let (arena, console) = (self.arena, self.console());
        let name = format!("contested{}", self.random.below(CONTESTED));
        let balance = &arena.contested[&(system.to_owned(), name.clone())];
        let shell = &mut self.shells[console];
        if self.random.below(2) == 0 {
            let record = format!("name={name},profile_name=default_profile,lpar_env=aixlinux,{SMALL}");
            let command = format!("mksyscfg -r lpar -m {system} -i '{record}'");
            if arena.change(shell, &command, &["already"]) {
                balance.fetch_add(1, Ordering::SeqCst);
            }
        } else if arena.change(shell, &format!("rmsyscfg -r lpar -m {system} -n {name}"), &["HSCL8012"]) {
            balance.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// What one console lists of a partition that nobody changes the other lists as well.
    fn both_list(&mut self, system: &str) {
        let command = format!("lssyscfg -r lpar -m {system} --filter lpar_names=p1 -F name,lpar_id,uuid");
        let lines: Vec<String> =
            self.shells.iter_mut().map(|shell| self.arena.read(shell, &command)).collect();
        assert!(lines.windows(2).all(|pair| pair[0] == pair[1]), "{lines:?}");
    }

    /// Reads the memory of a shared partition and holds it against what was begun and acknowledged.
    fn look(&mut self, system: &str) {
        let (arena, console) = (self.arena, self.console());
        let name = self.choose(&arena.off);
        let ledger = &arena.ledger[&(system.to_owned(), name.clone())];
        let load = |counter: &AtomicI64| counter.load(Ordering::SeqCst);
        let (added, removed) = (load(&ledger.added[1]), load(&ledger.removed[1]));
        let command =
            format!("lshwres -r mem -m {system} --level lpar --filter lpar_names={name} -F pend_mem");
        let seen: i64 =
            arena.read(&mut self.shells[console], &command).trim().parse().expect("a number of megabytes");
        let (begun, taken) = (load(&ledger.added[0]), load(&ledger.removed[0]));
        let (least, most) = (INITIAL + STEP * (added - taken), INITIAL + STEP * (begun - removed));
        assert!((least..=most).contains(&seen), "{name} of {system}: {least} <= {seen} <= {most}");
    }
}

/// Holds what both consoles list in the end against the ledger.
pub fn check(arena: &Arena) {
    for console in &arena.consoles {
        let mut shell = UserShell::open(console, &arena.layout);
        for system in &arena.systems {
            check_partitions(arena, &mut shell, system);
            let names = shell.done(&format!("lssyscfg -r lpar -m {system} -F name"));
            for ((of, name), balance) in arena.contested.iter().filter(|((of, _), _)| of == system) {
                let listed = names.lines().filter(|line| line == name).count();
                let balance = balance.load(Ordering::SeqCst);
                assert_eq!(i64::try_from(listed), Ok(balance), "{name} of {of}");
            }
        }
    }
}

fn check_partitions(arena: &Arena, shell: &mut UserShell, system: &str) {
    for ((_, name), ledger) in arena.ledger.iter().filter(|((of, _), _)| of == system) {
        let filter = format!("--filter lpar_names={name}");
        let memory = shell.done(&format!("lshwres -r mem -m {system} --level lpar {filter} -F pend_mem"));
        let load = |counters: &[AtomicI64; 2]| {
            let [begun, acknowledged] = counters.each_ref().map(|one| one.load(Ordering::SeqCst));
            assert_eq!(begun, acknowledged, "nothing is under way");
            acknowledged
        };
        let expected = INITIAL + STEP * (load(&ledger.added) - load(&ledger.removed));
        assert_eq!(memory.trim().parse(), Ok(expected), "memory of {name} of {system}");
        if arena.running.contains(name) {
            continue;
        }
        let listing =
            format!("lshwres -r virtualio --rsubtype eth -m {system} --level lpar {filter} -F port_vlan_id");
        let mut seen: Vec<u64> =
            shell.done(&listing).lines().map(|line| line.parse().expect("a VLAN")).collect();
        let mut expected = ledger.adapters.lock().expect("lock").clone();
        // The one of the profile.
        expected.push(1);
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected, "adapters of {name} of {system}");
        let text = shell.done(&format!("lssyscfg -r lpar -m {system} {filter} -F description"));
        check_text(text.trim(), &ledger.texts.lock().expect("lock"));
    }
}

/// The text that stands was written, and no other write began after its end.
fn check_text(seen: &str, written: &[(u64, u64, String)]) {
    if written.is_empty() {
        assert_eq!(seen, "first");
        return;
    }
    let found = written.iter().find(|(.., text)| text == seen);
    let (_, end, _) = found.unwrap_or_else(|| panic!("{seen} was never acknowledged"));
    let later = written.iter().find(|(begin, ..)| begin > end);
    assert!(later.is_none(), "{seen} stands, but {later:?} was written after it");
}
