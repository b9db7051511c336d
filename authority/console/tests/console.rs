//! A console: its database, its users, and how it finds managed systems.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use varan_console::*;
use varan_contract::engine::GuestTerminal;
use varan_contract::system::*;
use varan_environment::{Environment, Monotonic, WallClock, split_mix};
use varan_model::attributes::Release;
use varan_model::hardware::{Hardware, ProcessorFamily};
use varan_model::ids::SystemUuid;
use varan_model::partition::{ReferenceCodes, Usage};
use varan_model::system::{ManagedSystem, SystemSettings, SystemState};
use varan_model::units::ProcessingUnits;

/// A world whose clock stands until it is set.
#[derive(Default)]
struct Still {
    seconds: AtomicU64,
    random: Mutex<u64>,
}

impl Environment for Still {
    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::from_secs(self.seconds.load(Ordering::SeqCst)))
    }
    fn wall_clock(&self) -> WallClock {
        WallClock(i128::from(self.seconds.load(Ordering::SeqCst)) * 1_000_000_000)
    }
    fn random(&self) -> u64 {
        split_mix(&mut self.random.lock().expect("lock"))
    }
}

struct Frame {
    hardware: Arc<Hardware>,
    name: Mutex<String>,
    calls: AtomicUsize,
    connected: AtomicBool,
    sequence: AtomicU64,
    events: Mutex<Vec<Arc<dyn SystemEvents>>>,
}

impl Frame {
    fn new(name: &str, identity: &str, aliases: &[&str]) -> Arc<Self> {
        let hardware = Hardware {
            site_name: name.to_owned(),
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            identity: identity.parse().expect("identity"),
            uuid: SystemUuid::from_random(1),
            family: ProcessorFamily::Power8,
            installed_processors: ProcessingUnits::whole(8),
            configurable_processors: ProcessingUnits::whole(8),
            installed_memory: 65_536,
            memory_region_size: 256,
            firmware: "01SV830_048".parse().expect("level"),
            minimum_units_per_processor: ProcessingUnits(5),
            maximum_partitions: 200,
            capability_overrides: Vec::new(),
            enterprise_edition: true,
            virtual_switches: vec!["ETHERNET0".to_owned()],
            management_vlan: (1, "ETHERNET0".to_owned()),
            slots: Vec::new(),
        };
        Arc::new(Self {
            hardware: Arc::new(hardware),
            name: Mutex::new(name.to_owned()),
            calls: AtomicUsize::new(0),
            connected: AtomicBool::new(true),
            sequence: AtomicU64::new(0),
            events: Mutex::default(),
        })
    }

    fn announce(&self, skipped: u64, kind: SystemEventKind) {
        let sequence = self.sequence.fetch_add(skipped + 1, Ordering::SeqCst) + skipped + 1;
        for receiver in self.events.lock().expect("lock").iter() {
            receiver.system_event(&SystemEvent { sequence, kind: kind.clone() });
        }
    }

    fn rename(&self, name: &str) {
        *self.name.lock().expect("lock") = name.to_owned();
        self.announce(0, SystemEventKind::SystemChanged);
    }
}

impl SystemLink for Frame {
    fn call(&self, _: RequestId, _: SystemRequest) -> Result<SystemReply, CallError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if !self.connected.load(Ordering::SeqCst) {
            return Err(CallError::NoConnection);
        }
        let mut settings = SystemSettings::new(&self.hardware, true);
        settings.name.clone_from(&self.name.lock().expect("lock"));
        Ok(SystemReply::System(Arc::new(ManagedSystem {
            hardware: self.hardware.clone(),
            settings,
            state: SystemState::Operating,
            usage: Usage::default(),
            reference_codes: ReferenceCodes::default(),
            partition_count: 0,
        })))
    }
    fn open_terminal(&self, _: Selector) -> Result<Box<dyn GuestTerminal>, CallError> {
        Err(CallError::NoConnection)
    }
    fn subscribe(&self, receiver: Arc<dyn SystemEvents>) {
        self.events.lock().expect("lock").push(receiver);
    }
}

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("varan-console-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn user(name: &str, password: &str) -> UserDescription {
    UserDescription {
        name: name.to_owned(),
        password: Some(Secret::Plain(password.to_owned())),
        task_role: "hmcsuperadmin".to_owned(),
        resource_role: "ALL:".to_owned(),
        description: "HMC User".to_owned(),
        authorized_keys: vec!["ssh-ed25519 AAAAC3Nza me@here".to_owned()],
    }
}

fn description(users: Vec<UserDescription>) -> ConsoleDescription {
    ConsoleDescription {
        name: "myhmc".to_owned(),
        hostname: "myhmc".to_owned(),
        domain: String::new(),
        address: String::new(),
        release_text: "V8R8.6.0".to_owned(),
        release: Release(8, 8, 6, 0),
        base_version: "V8R8.6.0".to_owned(),
        service_pack: "0".to_owned(),
        build_level: "20161101.1".to_owned(),
        fixes: Vec::new(),
        identity: "7042-CR7*1234567".parse().expect("identity"),
        users,
    }
}

fn connections(frames: &[&Arc<Frame>]) -> Vec<SystemConnection> {
    let connect = |frame: &&Arc<Frame>| SystemConnection {
        hardware: frame.hardware.clone(),
        address: "10.0.0.1".to_owned(),
        link: Arc::clone(frame) as Arc<dyn SystemLink>,
    };
    frames.iter().map(connect).collect()
}

fn open(directory: &Directory, users: Vec<UserDescription>) -> Result<Console, ConsoleError> {
    Console::open(&directory.0, description(users), Arc::new(Still::default()), Vec::new())
}

fn accepted(outcome: &LoginOutcome) -> bool {
    matches!(outcome, LoginOutcome::Accepted(_))
}

#[test]
fn users_are_described_once_and_then_kept() {
    let directory = Directory::new("users");
    let console = open(&directory, vec![user("hscroot", "abc123")]).expect("console");
    assert!(accepted(&console.check_password("hscroot", "abc123", "peer")));
    console.put_user(&user("hscpe", "secret")).expect("user");
    drop(console);
    let console = open(&directory, vec![user("hscroot", "other"), user("third", "x")]).expect("console");
    assert!(accepted(&console.check_password("hscroot", "abc123", "peer")));
    assert!(accepted(&console.check_password("hscpe", "secret", "peer")));
    assert!(console.user("third").is_none());
    let key = OfferedKey { line: "ssh-ed25519 AAAAC3Nza", proven: true };
    assert!(accepted(&console.check_key("hscpe", key, "peer")));
    assert!(console.remove_user("hscpe").expect("removed"));
    assert!(!console.remove_user("hscpe").expect("gone"));
    drop(console);
    let console = open(&directory, Vec::new()).expect("console");
    let names: Vec<String> = console.users().iter().map(|user| user.name.clone()).collect();
    assert_eq!(names, ["hscroot"]);
}

#[test]
fn last_logins_are_kept_and_the_lock_ends() {
    let directory = Directory::new("logins");
    let world = Arc::new(Still::default());
    world.seconds.store(1_000, Ordering::SeqCst);
    let open = |world: &Arc<Still>| {
        let users = vec![user("hscroot", "abc123")];
        Console::open(&directory.0, description(users), world.clone(), Vec::new()).expect("console")
    };
    let console = open(&world);
    assert_eq!(console.user("hscroot").expect("user").last_login_seconds, None);
    assert!(accepted(&console.check_password("hscroot", "abc123", "peer")));
    world.seconds.store(2_000, Ordering::SeqCst);
    let asked = OfferedKey { line: "ssh-ed25519 AAAAC3Nza", proven: false };
    assert!(accepted(&console.check_key("hscroot", asked, "peer")));
    assert_eq!(console.user("hscroot").expect("user").last_login_seconds, Some(1_000));
    for _ in 0..3 {
        assert!(!accepted(&console.check_password("hscroot", "wrong", "peer")));
    }
    assert_eq!(console.check_password("hscroot", "abc123", "peer"), LoginOutcome::Locked { minutes_left: 5 });
    world.seconds.store(2_000 + LOCK_SECONDS, Ordering::SeqCst);
    assert!(accepted(&console.check_password("hscroot", "abc123", "peer")));
    drop(console);
    assert_eq!(
        open(&world).user("hscroot").expect("user").last_login_seconds,
        Some(2_000 + LOCK_SECONDS as i64)
    );
}

#[test]
fn a_user_that_no_console_can_have_is_refused() {
    for (name, spoil, text) in [
        (
            "role",
            (|user: &mut UserDescription| user.task_role = "root".to_owned()) as fn(&mut _),
            "no task role root",
        ),
        ("resource", |user| user.resource_role = "some".to_owned(), "resource role some is not supported"),
        ("hash", |user| user.password = Some(Secret::Hash("abc".to_owned())), "not an Argon2 hash"),
    ] {
        let directory = Directory::new(name);
        let mut wrong = user("x", "y");
        spoil(&mut wrong);
        let error = open(&directory, vec![user("hscroot", "abc123"), wrong]).err().expect("refused");
        assert!(error.to_string().contains(text), "{error}");
        // The database is still new: what is corrected is taken.
        assert_eq!(open(&directory, vec![user("hscroot", "abc123")]).expect("console").users().len(), 1);
    }
}

#[test]
fn another_format_is_refused() {
    let directory = Directory::new("format");
    drop(open(&directory, Vec::new()).expect("console"));
    let database = rusqlite::Connection::open(directory.0.join("console.db")).expect("database");
    database.execute("UPDATE meta SET value = '99' WHERE key = 'format'", []).expect("update");
    let error = open(&directory, Vec::new()).err().expect("refused");
    assert!(matches!(error, ConsoleError::Store(StoreError::Format { .. })), "{error}");
}

#[test]
fn the_audit_is_kept_in_order_and_cut() {
    let directory = Directory::new("audit");
    let console = open(&directory, Vec::new()).expect("console");
    for number in 0..3_000 {
        console.record("hscroot", "peer", &format!("command {number}"), 0);
    }
    console.record("hscroot", "peer", &"é".repeat(AUDIT_COMMAND_BYTES_MAX), 1);
    drop(console);
    let console = open(&directory, Vec::new()).expect("console");
    let audit = console.audit(4_000).expect("audit");
    assert_eq!(audit.len(), 3_001);
    assert_eq!(audit[0].command.len(), AUDIT_COMMAND_BYTES_MAX);
    assert_eq!((audit[1].command.as_str(), audit[3_000].command.as_str()), ("command 2999", "command 0"));
    assert_eq!(console.audit(2).expect("audit").len(), 2);
    assert_eq!(console.lost_records(), 0);
}

#[test]
fn systems_are_found_by_every_name_without_asking_again() {
    let directory = Directory::new("systems");
    let source = Frame::new("source-machine", "9117-MMD*658B2AD", &["source-server"]);
    let dest = Frame::new("dest-machine", "9117-MMD*658B2AE", &["same"]);
    let other = Frame::new("other", "8286-41A*2166666", &["same"]);
    let systems = connections(&[&source, &dest, &other]);
    let console = Console::open(&directory.0, description(Vec::new()), Arc::new(Still::default()), systems);
    let console = console.expect("console");
    let found = |name: &str| {
        console
            .find_system(name)
            .map(|system| system.name().to_owned())
            .map_err(|refusal| refusal.to_string())
    };
    for name in ["source-machine", "source-server", "9117-MMD*658B2AD"] {
        assert_eq!(found(name).as_deref(), Ok("source-machine"));
    }
    assert!(found("same").expect_err("ambiguous").starts_with("HSCL8004"));
    for name in ["", "nosuch", "9117-MMD", "SOURCE-MACHINE"] {
        assert!(found(name).expect_err("unknown").starts_with("HSCL8003"), "{name:?}");
    }
    let asked = |frame: &Frame| frame.calls.load(Ordering::SeqCst);
    assert_eq!((asked(&source), asked(&dest), asked(&other)), (1, 1, 1), "each name is read once");
    source.announce(0, SystemEventKind::SystemState(SystemState::Operating));
    found("source-machine").expect("found");
    assert_eq!(asked(&source), 1, "a state says nothing about a name");
    source.rename("box");
    assert_eq!(found("box").as_deref(), Ok("source-machine"));
    assert_eq!((asked(&source), asked(&dest)), (2, 1), "only the changed one is read");
    // A user-defined name wins over another system's alias.
    dest.rename("source-server");
    assert_eq!(found("source-server").as_deref(), Ok("dest-machine"));
    dest.announce(3, SystemEventKind::SystemState(SystemState::Operating));
    found("box").expect("found");
    assert_eq!(asked(&dest), 3, "a gap in the events may hide a change");
}

#[test]
fn a_system_that_cannot_be_reached_is_still_known() {
    let directory = Directory::new("unreachable");
    let frame = Frame::new("p814-1", "8286-41A*2166666", &[]);
    let never = Frame::new("p814-2", "8286-41A*2166667", &[]);
    never.connected.store(false, Ordering::SeqCst);
    let systems = connections(&[&frame, &never]);
    let world = Arc::new(Still::default());
    let console =
        Console::open(&directory.0, description(Vec::new()), world.clone(), systems).expect("console");
    frame.rename("box");
    let connection = console.find_system("box").expect("found");
    frame.connected.store(false, Ordering::SeqCst);
    let system = console.describe(&connection).expect("described");
    assert_eq!((system.settings.name.as_str(), system.state), ("box", SystemState::NoConnection));
    let connection = console.find_system("p814-2").expect("by its site name");
    let system = console.describe(&connection).expect("described");
    assert_eq!((system.settings.name.as_str(), system.state), ("p814-2", SystemState::NoConnection));
    let refusal = console.call(&connection, SystemRequest::GetSystem).expect_err("no connection");
    assert!(refusal.to_string().starts_with("HSCL0001"), "{refusal}");
    // It is not asked again for its name at every lookup, but after a while.
    let before = never.calls.load(Ordering::SeqCst);
    console.find_system("box").expect("found");
    console.find_system("box").expect("found");
    assert_eq!(never.calls.load(Ordering::SeqCst), before);
    world.seconds.store(60, Ordering::SeqCst);
    console.find_system("box").expect("found");
    assert_eq!(never.calls.load(Ordering::SeqCst), before + 1);
}

#[test]
fn request_ids_differ() {
    let directory = Directory::new("ids");
    let console = open(&directory, Vec::new()).expect("console");
    let ids: std::collections::HashSet<RequestId> = (0..1_000).map(|_| console.request_id()).collect();
    assert_eq!(ids.len(), 1_000);
}

#[test]
fn the_oldest_audit_entries_go_first() {
    let directory = Directory::new("trim");
    let console = open(&directory, Vec::new()).expect("console");
    console.record("hscroot", "peer", "first", 0);
    drop(console);
    let database = rusqlite::Connection::open(directory.0.join("console.db")).expect("database");
    let insert =
        "INSERT INTO audit (sequence, seconds, user, peer, command, status) VALUES (?1, 0, 'u', 'p', ?2, 0)";
    database.execute(insert, rusqlite::params![AUDIT_ENTRIES_KEPT, "second"]).expect("insert");
    drop(database);
    let commands = |console: &Console| -> Vec<String> {
        console.audit(10).expect("audit").into_iter().map(|entry| entry.command).collect()
    };
    let console = open(&directory, Vec::new()).expect("console");
    assert_eq!(commands(&console), ["second", "first"]);
    console.record("hscroot", "peer", "third", 0);
    assert_eq!(commands(&console), ["third", "second"]);
}
