//! What a console keeps survives: password policies, resource roles and connections under random commands, and the password
//! of a service processor, which console and frame both keep. Processes are killed at random points.
//!
//! `VARAN_SEED` repeats the draws of a run (the instant of a kill is the machine's); `VARAN_SOAK=1` runs longer.

#![allow(missing_docs)]

mod support_process;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use support_process::{Outcome, ProcessSite, SYSTEMS, Scratch, Start, Watchdog, run, seed, spend, until};
use varan_simulator::Randomness;

const SEQUENCES: u64 = 120;
const PASSWORD_ROUNDS: u64 = 30;
/// About as long as two changes of a password take.
const PASSWORD_MICROSECONDS: u64 = 120_000;
const SOAK_FACTOR: u64 = 10;
const TEST_MAX: Duration = Duration::from_secs(600);
const TEST_MAX_SOAK: Duration = Duration::from_secs(3 * 3_600);
/// Commands that the report of a failure shows.
const LOG_SHOWN: usize = 40;
/// Commands of a sequence; the kill comes earlier.
const COMMANDS_MAX: u64 = 10_000;

fn factor() -> u64 {
    if std::env::var("VARAN_SOAK").is_ok_and(|value| value == "1") { SOAK_FACTOR } else { 1 }
}

fn watchdog() -> Watchdog {
    Watchdog::new(if factor() > 1 { TEST_MAX_SOAK } else { TEST_MAX })
}

/// What the console keeps, as far as these tests change it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kept {
    /// Least length of passwords by password policy.
    policies: BTreeMap<String, u64>,
    active_policy: Option<String>,
    /// Which of the managed systems a resource role names.
    roles: BTreeMap<String, [bool; 2]>,
    /// Addresses at which no managed system is.
    addresses: BTreeSet<String>,
}

#[derive(Clone, Debug)]
enum Operation {
    CreatePolicy(String, u64),
    ChangePolicy(String, u64),
    RemovePolicy(String),
    ActivatePolicy(String),
    DeactivatePolicy,
    CreateRole(String, [bool; 2]),
    ChangeRole(String, [bool; 2]),
    RemoveRole(String),
    Connect(String),
    Disconnect(String),
}

fn resources(systems: [bool; 2]) -> String {
    let named = SYSTEMS.iter().zip(systems).filter(|(_, named)| *named);
    let texts: Vec<String> =
        named.map(|(system, _)| format!("cec:root/ibmhscS1_0|{system}|IBMHSC_ComputerSystem")).collect();
    format!("\"resources={}\"", texts.join(","))
}

impl Operation {
    fn draw(random: &mut Randomness) -> Self {
        let policy = format!("policy{}", random.below(3));
        let role = format!("role{}", random.below(3));
        let address = format!("10.99.0.{}", random.between(1, 3));
        let length = random.between(8, 20);
        let systems =
            [[true, false], [false, true], [true, true]][usize::try_from(random.below(3)).unwrap_or(0)];
        match random.below(12) {
            0 | 1 => Self::CreatePolicy(policy, length),
            2 => Self::ChangePolicy(policy, length),
            3 => Self::RemovePolicy(policy),
            4 => Self::ActivatePolicy(policy),
            5 => Self::DeactivatePolicy,
            6 | 7 => Self::CreateRole(role, systems),
            8 => Self::ChangeRole(role, systems),
            9 => Self::RemoveRole(role),
            10 => Self::Connect(address),
            _ => Self::Disconnect(address),
        }
    }

    fn command(&self) -> String {
        match self {
            Self::CreatePolicy(name, length) => format!("mkpwdpolicy -i 'name={name},min_length={length}'"),
            Self::ChangePolicy(name, length) => {
                format!("chpwdpolicy -o m -i 'name={name},min_length={length}'")
            }
            Self::RemovePolicy(name) => format!("rmpwdpolicy -n {name}"),
            Self::ActivatePolicy(name) => format!("chpwdpolicy -o a -n {name}"),
            Self::DeactivatePolicy => "chpwdpolicy -o d".to_owned(),
            Self::CreateRole(name, systems) => {
                format!("mkaccfg -t resourcerole -i 'name={name},{}'", resources(*systems))
            }
            Self::ChangeRole(name, systems) => {
                format!("chaccfg -t resourcerole -i 'name={name},{}'", resources(*systems))
            }
            Self::RemoveRole(name) => format!("rmaccfg -t resourcerole -n {name}"),
            Self::Connect(address) => format!("mksysconn --ip {address} --passwd abc123"),
            Self::Disconnect(address) => format!("rmsysconn -o remove --ip {address}"),
        }
    }

    fn apply(&self, kept: &mut Kept) {
        match self {
            Self::CreatePolicy(name, length) | Self::ChangePolicy(name, length) => {
                kept.policies.insert(name.clone(), *length);
            }
            Self::RemovePolicy(name) => {
                kept.policies.remove(name);
            }
            Self::ActivatePolicy(name) => kept.active_policy = Some(name.clone()),
            Self::DeactivatePolicy => kept.active_policy = None,
            Self::CreateRole(name, systems) | Self::ChangeRole(name, systems) => {
                kept.roles.insert(name.clone(), *systems);
            }
            Self::RemoveRole(name) => {
                kept.roles.remove(name);
            }
            Self::Connect(address) => {
                kept.addresses.insert(address.clone());
            }
            Self::Disconnect(address) => {
                kept.addresses.remove(address);
            }
        }
    }

    /// Whether the console must accept it.
    fn is_right(&self, kept: &Kept) -> bool {
        match self {
            Self::CreatePolicy(name, _) => !kept.policies.contains_key(name),
            Self::ChangePolicy(name, _) | Self::ActivatePolicy(name) => kept.policies.contains_key(name),
            Self::RemovePolicy(name) => {
                kept.policies.contains_key(name) && kept.active_policy.as_ref() != Some(name)
            }
            Self::DeactivatePolicy => kept.active_policy.is_some(),
            Self::CreateRole(name, _) => !kept.roles.contains_key(name),
            Self::ChangeRole(name, _) | Self::RemoveRole(name) => kept.roles.contains_key(name),
            Self::Connect(address) => !kept.addresses.contains(address),
            Self::Disconnect(address) => kept.addresses.contains(address),
        }
    }
}

fn lines(sockets: &Path, command: &str) -> Vec<String> {
    match run(sockets, command) {
        Outcome::Answered(0, output) if output.starts_with("No results were found.") => Vec::new(),
        Outcome::Answered(0, output) => output.lines().map(str::to_owned).collect(),
        other => panic!("{command}: {other:?}"),
    }
}

fn read(sockets: &Path) -> Kept {
    let mut kept = Kept::default();
    for line in lines(sockets, "lspwdpolicy -t p -F name,min_length") {
        let (name, length) = line.rsplit_once(',').expect("two values");
        if name.starts_with("policy") {
            kept.policies.insert(name.to_owned(), length.parse().expect("a number"));
        }
    }
    for line in lines(sockets, "lspwdpolicy -t s -F status,name") {
        if let Some(name) = line.strip_prefix("1,") {
            kept.active_policy = Some(name.to_owned());
        }
    }
    for line in lines(sockets, "lsaccfg -t resourcerole -F name:resources") {
        let (name, resources) = line.split_once(':').expect("two values");
        if name.starts_with("role") {
            let named = SYSTEMS.map(|system| resources.contains(system));
            kept.roles.insert(name.to_owned(), named);
        }
    }
    for line in lines(sockets, "lssysconn -r all -F ipaddr") {
        if line.starts_with("10.99.") {
            kept.addresses.insert(line);
        }
    }
    kept
}

/// Sends commands until the site is gone; the command that nobody knows the end of, if there is one.
fn commands(
    sockets: &Path,
    kept: &mut Kept,
    random: &mut Randomness,
    log: &mut Vec<String>,
    mut begins: impl FnMut(u64),
) -> Option<Operation> {
    for number in 0..COMMANDS_MAX {
        let operation = Operation::draw(random);
        begins(number);
        let outcome = run(sockets, &operation.command());
        log.push(format!("{} -> {outcome:?}", operation.command()));
        let right = operation.is_right(kept);
        match outcome {
            Outcome::Answered(0, _) => {
                assert!(right, "accepted: {operation:?} on {kept:?}");
                operation.apply(kept);
            }
            Outcome::Answered(_, output) => {
                assert!(!right, "refused: {operation:?} on {kept:?}: {output}");
            }
            Outcome::Broken => return Some(operation),
        }
    }
    None
}

#[test]
fn what_a_console_keeps_survives_kill_nine() {
    let test = "what_a_console_keeps_survives_kill_nine";
    let mut random = Randomness::new(seed(test));
    let mut draws = random.fork();
    let (watchdog, scratch) = (watchdog(), Scratch::new("kill-console-kept"));
    let mut start = Start::new(&scratch, false);
    let mut site = start.up(&watchdog);
    let (mut kept, mut log) = (Kept::default(), Vec::new());
    let (mut done, mut absent) = (0, 0);
    for sequence in 0..SEQUENCES * factor() {
        let sockets = site.sockets();
        let after = random.below(12);
        let (reached, begun) = sync_channel(1);
        let uncertain = std::thread::scope(|scope| {
            let (kept, log, draws) = (&mut kept, &mut log, &mut draws);
            let client = scope.spawn(move || {
                commands(&sockets, kept, draws, log, |number| {
                    if number == after {
                        let _ = reached.try_send(());
                    }
                })
            });
            // An error means that the client met a defect, which its end shows.
            let _ = begun.recv();
            spend(&mut random);
            site.kill();
            client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        start.split = sequence % 8 == 7;
        site = start.up(&watchdog);
        let seen = read(&site.sockets());
        let mut with = kept.clone();
        if let Some(operation) = uncertain.as_ref().filter(|operation| operation.is_right(&kept)) {
            operation.apply(&mut with);
        }
        let shown = log[log.len().saturating_sub(LOG_SHOWN)..].join("\n");
        assert!(seen == kept || seen == with, "expected {kept:?}\nor {with:?}\nseen {seen:?}\n{shown}");
        if with != kept {
            *(if seen == with { &mut done } else { &mut absent }) += 1;
        }
        kept = seen;
    }
    println!("{test}: {} commands, in flight {done} done, {absent} absent", log.len());
}

/// Whether the password is the one of the service processor; if it is, the console knows it from now on.
fn try_password(site: &ProcessSite, password: &str) -> bool {
    let command = format!("chsyspwd -t access -m '{}' --passwd {password}", SYSTEMS[0]);
    match site.run(&command) {
        Outcome::Answered(0, _) => true,
        Outcome::Answered(_, output) => {
            assert!(output.contains("is not the one that was entered"), "{output}");
            false
        }
        Outcome::Broken => panic!("{command}: no answer"),
    }
}

#[test]
fn a_password_that_two_keep_is_the_old_one_or_the_new_one_after_kill_nine() {
    let test = "a_password_that_two_keep_is_the_old_one_or_the_new_one_after_kill_nine";
    let mut random = Randomness::new(seed(test));
    let (watchdog, scratch) = (watchdog(), Scratch::new("kill-console-password"));
    let mut start = Start::new(&scratch, false);
    let mut site = start.up(&watchdog);
    let mut password = "abc123".to_owned();
    let (mut acknowledged, mut made, mut not_made) = (0, 0, 0);
    let state = format!("lssyscfg -r sys -m '{}' -F state", SYSTEMS[0]);
    for round in 0..PASSWORD_ROUNDS * factor() {
        let new = format!("passw0rd{round}");
        let command = format!("chsyspwd -t access -m '{}' --passwd {password} --newpasswd {new}", SYSTEMS[0]);
        let sockets = site.sockets();
        let (reached, begun) = sync_channel(1);
        let outcome = std::thread::scope(|scope| {
            let client = scope.spawn(move || {
                let _ = reached.try_send(());
                run(&sockets, &command)
            });
            let _ = begun.recv();
            // Deriving keys from two passwords takes its time, on purpose.
            std::thread::sleep(Duration::from_micros(random.below(PASSWORD_MICROSECONDS)));
            site.kill();
            client.join().expect("the client ends")
        });
        start.split = round % 2 == 1;
        site = start.up(&watchdog);
        // The console says at once whether it knows the password, and it is the one or the other.
        let shown = until("the state of the system", || match site.run(&state) {
            Outcome::Answered(0, output)
                if output == "Operating\n" || output == "Failed Authentication\n" =>
            {
                Some(output)
            }
            _ => None,
        });
        let is_new = try_password(&site, &new);
        let is_old = try_password(&site, &password);
        assert!(is_new != is_old, "round {round}: new {is_new}, old {is_old}");
        match outcome {
            Outcome::Answered(0, _) => {
                assert!(is_new, "round {round}: what was acknowledged is lost");
                assert_eq!(shown, "Operating\n", "round {round}: the console knows what it acknowledged");
                acknowledged += 1;
            }
            // The frame of a site in several processes may go first.
            Outcome::Answered(_, output) if !output.contains("HSCL0001") => panic!("round {round}: {output}"),
            _ if is_new => made += 1,
            _ => not_made += 1,
        }
        if is_new {
            password = new;
        }
        // Whatever was known before, now the console can work with the system.
        site.until(&state, "Operating");
    }
    println!("{test}: {acknowledged} acknowledged, in flight {made} made, {not_made} not made");
}
