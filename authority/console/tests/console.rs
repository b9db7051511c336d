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
use varan_model::codes::MessageKey;
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
            delivered_firmware: varan_model::firmware::FirmwareLevels::of(
                "01SV830_048".parse().expect("level"),
            ),
            minimum_units_per_processor: ProcessingUnits(5),
            maximum_partitions: 200,
            capability_overrides: Vec::new(),
            enterprise_edition: true,
            virtual_switches: vec!["ETHERNET0".to_owned()],
            management_vlan: (1, "ETHERNET0".to_owned()),
            slots: Vec::new(),
            vepa_switches: Vec::new(),
            sriov_adapters: Vec::new(),
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
        bios_level: "1.0".to_owned(),
        memory_bytes: 1 << 34,
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
    assert_eq!(
        console.check_password("hscroot", "abc123", "peer"),
        LoginOutcome::Locked { minutes_left: 5, attempts: 3 }
    );
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
    assert!(found("source-machine").expect_err("the old name").starts_with("HSCL8003"));
    assert_eq!(found("source-server").as_deref(), Ok("source-machine"), "an alias stays");
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

fn new_user(name: &str, role: &str) -> NewUser {
    NewUser {
        name: name.to_owned(),
        task_role: role.to_owned(),
        resource_role: "ALL:".to_owned(),
        description: "HMC User".to_owned(),
        password: "abcd1234".to_owned(),
        settings: Vec::new(),
    }
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqs me@there";

fn refused(result: Result<(), varan_model::refusal::Refusal>) -> MessageKey {
    result.expect_err("refused").key
}

#[test]
fn what_is_changed_survives_a_restart() {
    let directory = Directory::new("administration");
    let console = open(&directory, vec![user("hscroot", "abc123")]).expect("console");
    let tasks = parse_tasks("cec:ListCECProperty,lpar:ActivateLPAR").expect("tasks");
    console.create_task_role("starter", "hmcoperator", tasks).expect("role");
    console.create_user(&new_user("bob", "starter")).expect("user");
    console.add_key("bob", KEY).expect("key");
    let change = UserChange {
        description: Some("Bob".to_owned()),
        settings: vec![(Setting::PasswordDays, 30)],
        ..UserChange::default()
    };
    console.change_user("hscroot", "bob", &change).expect("changed");
    console.create_user(&new_user("gone", "hmcviewer")).expect("user");
    console.delete_user("hscroot", "gone").expect("removed");
    drop(console);
    let console = open(&directory, Vec::new()).expect("console");
    let bob = console.user("bob").expect("bob");
    assert_eq!((bob.description.as_str(), bob.settings.get(Setting::PasswordDays)), ("Bob", 30));
    assert_eq!(console.tasks_of("bob"), tasks);
    assert_eq!(console.tasks_of("gone"), TaskSet::NONE);
    assert!(accepted(&console.check_password("bob", "abcd1234", "peer")));
    let offered = OfferedKey { line: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqs", proven: true };
    assert!(accepted(&console.check_key("bob", offered, "peer")));
    console.remove_keys("bob", "me@there").expect("removed");
    assert!(!accepted(&console.check_key("bob", offered, "peer")));
    assert_eq!(refused(console.remove_keys("bob", "me@there")), MessageKey::KeyNotFound);
    assert_eq!(refused(console.remove_task_role("starter")), MessageKey::TaskRoleInUse);
    console.delete_user("hscroot", "bob").expect("removed");
    assert!(!accepted(&console.check_password("bob", "abcd1234", "peer")));
    console.remove_task_role("starter").expect("removed");
    drop(console);
    let console = open(&directory, Vec::new()).expect("console");
    assert!(console.user("bob").is_none());
    assert_eq!(console.task_roles().len(), TaskRole::ALL.len());
}

#[test]
fn users_that_cannot_be_are_refused() {
    let directory = Directory::new("refused");
    let console = open(&directory, vec![user("hscroot", "abc123")]).expect("console");
    let long = "x".repeat(NAME_LENGTH_MAX + 1);
    for name in ["", "1a", "-a", "a/b", "a b", "a..\n", "é", long.as_str()] {
        assert_eq!(
            refused(console.create_user(&new_user(name, "hmcviewer"))),
            MessageKey::UserNameInvalid,
            "{name:?}"
        );
    }
    for (spoil, key) in [
        (
            (|user: &mut NewUser| user.password = "abc123".to_owned()) as fn(&mut NewUser),
            MessageKey::PasswordTooShort,
        ),
        (|user| user.password = "x".repeat(PASSWORD_LENGTH_MAX + 1), MessageKey::PasswordInvalid),
        (|user| user.password = "abcd1234\u{7}".to_owned(), MessageKey::PasswordInvalid),
        (|user| user.task_role = "root".to_owned(), MessageKey::TaskRoleNotFound),
        (|user| user.resource_role = "some".to_owned(), MessageKey::ResourceRoleNotFound),
        (|user| user.description = "a\nb".to_owned(), MessageKey::AttributeValueInvalid),
        (|user| user.settings.push((Setting::PasswordDays, 0)), MessageKey::AttributeValueInvalid),
        (|user| user.settings.push((Setting::RemoteShellAccess, 2)), MessageKey::AttributeValueInvalid),
        (|user| user.name = "hscroot".to_owned(), MessageKey::UserNameUsed),
    ] {
        let mut new = new_user("bob", "hmcviewer");
        spoil(&mut new);
        assert_eq!(refused(console.create_user(&new)), key);
    }
    let role = |role: &str| UserChange { task_role: Some(role.to_owned()), ..UserChange::default() };
    assert_eq!(refused(console.change_user("hscroot", "hscroot", &role("hmcpe"))), MessageKey::UserIsOneself);
    assert_eq!(
        refused(console.change_user("x", "hscroot", &role("hmcpe"))),
        MessageKey::UserLastAdministrator
    );
    assert_eq!(refused(console.change_user("x", "nobody", &role("hmcpe"))), MessageKey::UserNotFound);
    assert_eq!(refused(console.delete_user("hscroot", "hscroot")), MessageKey::UserIsOneself);
    assert_eq!(refused(console.delete_user("x", "hscroot")), MessageKey::UserLastAdministrator);
    for key in ["", "ssh-ed25519", "ssh-ed25519 BBBB", "ssh-dss AAAA", "ssh-rsa AAAA!AAA", "ssh-rsa AAAA\nx"]
    {
        assert_eq!(refused(console.add_key("hscroot", key)), MessageKey::KeyInvalid, "{key:?}");
    }
    assert_eq!(console.users().len(), 1);
}

#[test]
fn task_roles_stay_within_their_parent() {
    let directory = Directory::new("roles");
    let console = open(&directory, vec![user("hscroot", "abc123")]).expect("console");
    let creates = parse_tasks("cec:CreateLPAR").expect("tasks");
    assert_eq!(
        refused(console.create_task_role("maker", "hmcoperator", creates)),
        MessageKey::TaskNotAvailable
    );
    assert_eq!(refused(console.create_task_role("maker", "no", creates)), MessageKey::TaskRoleNotFound);
    assert_eq!(refused(console.create_task_role("hmcpe", "hmcpe", creates)), MessageKey::TaskRoleNameUsed);
    console.create_task_role("maker", "hmcsuperadmin", creates).expect("role");
    console.create_task_role("below", "maker", creates).expect("role");
    assert_eq!(refused(console.remove_task_role("maker")), MessageKey::TaskRoleInUse);
    console.change_task_role("maker", TaskSet::NONE).expect("changed");
    assert_eq!(console.role_tasks("below"), Ok(TaskSet::NONE));
    for role in TaskRole::ALL {
        assert_eq!(refused(console.remove_task_role(role.word())), MessageKey::TaskRolePredefined);
        assert_eq!(
            refused(console.change_task_role(role.word(), TaskSet::NONE)),
            MessageKey::TaskRolePredefined
        );
    }
}

#[test]
fn ages_and_access_decide_on_logins() {
    const DAY: u64 = 86_400;
    let directory = Directory::new("ages");
    let world = Arc::new(Still::default());
    let users = vec![user("hscroot", "abc123")];
    let console =
        Console::open(&directory.0, description(users), world.clone(), Vec::new()).expect("console");
    let key = OfferedKey { line: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqs", proven: true };
    let set = |settings: &[(Setting, u32)]| {
        let change = UserChange { settings: settings.to_vec(), ..UserChange::default() };
        console.change_user("hscroot", "bob", &change).expect("changed");
    };
    let logins = || {
        (
            accepted(&console.check_password("bob", "abcd1234", "peer")),
            accepted(&console.check_key("bob", key, "peer")),
        )
    };
    console.create_user(&new_user("bob", "hmcviewer")).expect("user");
    console.add_key("bob", KEY).expect("key");
    set(&[(Setting::PasswordDays, 10)]);
    world.seconds.store(10 * DAY, Ordering::SeqCst);
    assert_eq!(logins(), (true, true));
    world.seconds.store(10 * DAY + 1, Ordering::SeqCst);
    assert_eq!(logins(), (false, true), "the password is too old, the key is not");
    set(&[(Setting::PasswordDays, 99_999), (Setting::RemoteShellAccess, 0)]);
    assert_eq!(logins(), (false, false));
    set(&[(Setting::RemoteShellAccess, 1), (Setting::InactivityDays, 5)]);
    assert_eq!(logins(), (true, true));
    world.seconds.store(16 * DAY, Ordering::SeqCst);
    assert_eq!(logins(), (false, false), "no login for more than five days");
    let enable = UserChange { enable: true, ..UserChange::default() };
    console.change_user("hscroot", "bob", &enable).expect("enabled");
    assert_eq!(logins(), (true, true));
    set(&[(Setting::PasswordDaysLeast, 40)]);
    assert_eq!(refused(console.confirm_password("bob", "abcd1234")), MessageKey::PasswordTooYoung);
    set(&[(Setting::PasswordDaysLeast, 3)]);
    console.confirm_password("bob", "abcd1234").expect("right");
    for _ in 0..3 {
        assert_eq!(refused(console.confirm_password("bob", "wrong")), MessageKey::PasswordWrong);
    }
    assert!(matches!(console.check_password("bob", "abcd1234", "peer"), LoginOutcome::Locked { .. }));
}

#[test]
fn a_renamed_user_is_the_same_after_a_restart() {
    let directory = Directory::new("renamed");
    let world = Arc::new(Still::default());
    world.seconds.store(5_000, Ordering::SeqCst);
    let open = || {
        let users = vec![user("hscroot", "abc123")];
        Console::open(&directory.0, description(users), world.clone(), Vec::new()).expect("console")
    };
    let console = open();
    console.create_user(&new_user("bob", "hmcviewer")).expect("user");
    assert!(accepted(&console.check_password("bob", "abcd1234", "peer")));
    let rename = |to: &str, description: Option<&str>| UserChange {
        new_name: Some(to.to_owned()),
        description: description.map(str::to_owned),
        ..UserChange::default()
    };
    let used = console.change_user("hscroot", "bob", &rename("hscroot", Some("changed")));
    assert_eq!(refused(used), MessageKey::UserNameUsed);
    assert_ne!(console.user("bob").expect("user").description, "changed", "nothing of it was done");
    let oneself = console.change_user("bob", "bob", &rename("robert", None));
    assert_eq!(refused(oneself), MessageKey::UserIsOneself);
    console.change_user("hscroot", "bob", &rename("robert", Some("changed"))).expect("renamed");
    assert!(console.tasks_of("bob").iter().next().is_none(), "its sessions may do nothing");
    drop(console);
    let console = open();
    assert!(console.user("bob").is_none());
    let robert = console.user("robert").expect("user");
    assert_eq!((robert.description.as_str(), robert.last_login_seconds), ("changed", Some(5_000)));
    assert!(accepted(&console.check_password("robert", "abcd1234", "peer")));
}

#[test]
fn web_logins_are_suspended_as_the_defaults_say() {
    let directory = Directory::new("web-logins");
    let world = Arc::new(Still::default());
    let open = || {
        let users = vec![user("hscroot", "abc123")];
        Console::open(&directory.0, description(users), world.clone(), Vec::new()).expect("console")
    };
    let logins = WebLogins { attempts: 1, suspend_minutes: 10, suspend_minutes_max: 20 };
    let console = open();
    assert_eq!(console.settings().web_logins, WebLogins::default());
    for wrong in [
        WebLogins { attempts: 0, ..logins },
        WebLogins { suspend_minutes: 0, ..logins },
        WebLogins { suspend_minutes_max: 9, ..logins },
    ] {
        assert_eq!(refused(console.set_web_logins(wrong)), MessageKey::AttributeValueInvalid);
    }
    console.set_web_logins(logins).expect("set");
    drop(console);
    let console = open();
    let wrong = || console.check_web_password("hscroot", "wrong", "peer");
    let locked = |minutes_left| LoginOutcome::Locked { minutes_left, attempts: 1 };
    assert_eq!(wrong(), locked(10));
    world.seconds.store(600, Ordering::SeqCst);
    assert_eq!(wrong(), locked(20));
    assert_eq!(console.check_password("hscroot", "abc123", "peer"), locked(20), "for SSH as well");
}

#[test]
fn lines_with_passwords_are_recorded_without_them() {
    let directory = Directory::new("masked");
    let console = open(&directory, Vec::new()).expect("console");
    console.record_line("u", "peer", "mkhmcusr -u x -a y --passwd Secret77", 0);
    console.record_line("u", "peer", "echo Secret77 | chhmcusr -u x -t passwd -v Secret78", 0);
    console.record_line("u", "peer", "lssyscfg -r sys", 0);
    let commands: Vec<String> =
        console.audit(9).expect("audit").into_iter().map(|entry| entry.command).collect();
    assert!(commands.iter().all(|command| !command.contains("Secret")), "{commands:?}");
    assert_eq!(commands[0], "lssyscfg -r sys");
}
