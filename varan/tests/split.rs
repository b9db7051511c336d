//! Consoles in processes of their own: one may die without the other, and its cut links stay cut.

#![allow(missing_docs)]

mod support_process;

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use support_process::{Outcome, Scratch, Start, Watchdog, run_on, send, until};
use varan::fault::socket;
use varan_contract::fault::{Fault, FaultReply, FaultRequest};

const SYSTEM: &str = "p814-1";
/// Longest time of the test, far above what a slow machine needs.
const TEST_MAX: Duration = Duration::from_secs(600);

fn states(sockets: &Path, console: &str) -> Option<String> {
    match run_on(sockets, Some(console), "lssyscfg -r sys -F name,state") {
        Outcome::Answered(0, output) => Some(output),
        _ => None,
    }
}

fn ask(sockets: &Path, request: &FaultRequest) -> FaultReply {
    socket::call(sockets, request).expect("the site answers")
}

#[test]
fn a_console_dies_alone_and_its_cut_links_stay_cut() {
    let (scratch, watchdog) = (Scratch::new("split-consoles"), Watchdog::new(TEST_MAX));
    let site = scratch.path().join("site.toml");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sites/two-consoles.toml");
    std::fs::copy(shipped, &site).expect("site file");
    let start = Start { site, data: scratch.path().join("data"), split: true };
    let running = start.up(&watchdog);
    let sockets = running.sockets();
    let connected = format!("{SYSTEM},Operating\np814-2,Operating\n");
    assert_eq!(states(&sockets, "myhmc2").as_deref(), Some(&*connected));
    let config = std::fs::read_to_string(start.data.join("ssh_config")).expect("ssh_config");
    let cut = Fault::ConsoleLink { console: "myhmc2".to_owned(), system: SYSTEM.to_owned() };
    let FaultReply::Injected(id) = ask(&sockets, &FaultRequest::Inject(cut)) else { panic!("not cut") };
    let without = format!("{SYSTEM},No Connection\np814-2,Operating\n");
    assert_eq!(states(&sockets, "myhmc2").as_deref(), Some(&*without));

    let (first, second) = (running.process("myhmc"), running.process("myhmc2"));
    assert_ne!(first, second);
    send(second, Signal::KILL);
    let with_all = format!("{connected}p814-3,Pending Authentication\n");
    assert_eq!(states(&sockets, "myhmc").as_deref(), Some(&*with_all), "the other console goes on");
    until("the console again", || (running.process("myhmc2") != second).then_some(()));
    until("its cut link", || (states(&sockets, "myhmc2")? == without).then_some(()));
    assert!(matches!(ask(&sockets, &FaultRequest::Clear(id)), FaultReply::Cleared(_)));
    assert_eq!(states(&sockets, "myhmc2").as_deref(), Some(&*connected));
    assert_eq!(running.process("myhmc"), first);
    // It is reached as before.
    assert_eq!(std::fs::read_to_string(start.data.join("ssh_config")).expect("ssh_config"), config);
    let port = |name: &str| -> u16 {
        let part =
            config.split("Host ").find(|part| part.starts_with(&format!("{name}\n"))).expect("console");
        let line = part.lines().find_map(|line| line.trim().strip_prefix("Port ")).expect("port");
        line.parse().expect("a number")
    };
    for name in ["myhmc", "myhmc2"] {
        std::net::TcpStream::connect(("127.0.0.1", port(name))).expect("the console's SSH server");
    }
}

#[test]
fn a_user_reaches_another_console_without_a_password() {
    let (scratch, watchdog) = (Scratch::new("split-keys"), Watchdog::new(TEST_MAX));
    let site = scratch.path().join("site.toml");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sites/two-consoles.toml");
    std::fs::copy(shipped, &site).expect("site file");
    let running = Start { site, data: scratch.path().join("data"), split: true }.up(&watchdog);
    let on = |console: &str, command: &str| run_on(&running.sockets(), Some(console), command);
    let missing = |outcome: Outcome| {
        assert_eq!(outcome.status(), Some(1));
        assert!(outcome.output().starts_with("HSCL3653 "), "{}", outcome.output());
    };
    let test = "mkauthkeys --ip myhmc2 -u operator --test";
    missing(on("myhmc", test));
    let wrong = on("myhmc", "mkauthkeys --ip myhmc2 -u operator --passwd wrong");
    assert!(wrong.output().contains("not correct"), "{}", wrong.output());
    missing(on("myhmc", test));
    let set = on("myhmc", "mkauthkeys --ip myhmc2 -u operator --passwd abc123");
    assert_eq!((set.status(), set.output()), (Some(0), ""));
    assert_eq!(on("myhmc", test).status(), Some(0));
    missing(on("myhmc", "mkauthkeys --ip myhmc2 --test"));
    let audit = on("myhmc", "lssvcevents -t console -F text");
    assert!(audit.output().contains("mkauthkeys --ip myhmc2") && !audit.output().contains("abc123"));
    // Whoever may change the user there takes the key away.
    assert_eq!(on("myhmc2", "mkauthkeys -r -u operator hscroot@myhmc").status(), Some(0));
    missing(on("myhmc", test));
    // Another machine at the address is told from the one that was set up.
    let hosts = scratch.path().join("data/consoles/myhmc/identities/hscroot/hosts");
    let text = std::fs::read_to_string(&hosts).expect("host keys");
    std::fs::write(&hosts, text.replacen("AAAA", "AAAB", 1)).expect("host keys");
    let changed = on("myhmc", test);
    assert!(changed.output().contains("another host key"), "{}", changed.output());
}
