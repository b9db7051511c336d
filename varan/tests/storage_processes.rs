//! With `--split`: servers and the world are killed, and stopped and continued, under a load that is checked.

#![allow(missing_docs, dead_code)]

mod support_process;

use std::time::Duration;

use rustix::process::Signal;
use support_process::{ProcessSite, Scratch, Start, Terminal, Watchdog, send, until};

/// Longest time of the test.
const TEST_MAX: Duration = Duration::from_secs(400);
const SYSTEM: &str = "s814";

/// A command in the guest; its output.
fn run(terminal: &mut Terminal, command: &str) -> String {
    let shown = terminal.talk(command, "# ").expect("answer").replace('\r', "");
    let output = shown.split_once('\n').map_or("", |(_, output)| output);
    output.trim_end_matches("# ").to_owned()
}

fn until_output(terminal: &mut Terminal, command: &str, check: impl Fn(&str) -> bool) -> String {
    until(command, || {
        let output = run(terminal, command);
        check(&output).then_some(output)
    })
}

fn written(status: &str) -> u64 {
    let words: Vec<&str> = status.split_whitespace().collect();
    let position = words.iter().position(|word| *word == "blocks");
    position.and_then(|position| words[position - 1].parse().ok()).unwrap_or(0)
}

fn go_on_writing(terminal: &mut Terminal) {
    let before = written(&run(terminal, "diskload status"));
    until_output(terminal, "diskload status", |status| written(status) > before + 300);
}

fn server_is_up(site: &ProcessSite, server: &str) {
    let state = format!("lssyscfg -r lpar -m {SYSTEM} --filter lpar_names={server} -F state,rmc_state");
    site.until(&state, "Running,active");
    let level = format!("viosvrcmd -m {SYSTEM} -p {server} -c ioslevel");
    until("the server's command line", || (site.run(&level).status() == Some(0)).then_some(()));
}

fn server_command(site: &ProcessSite, server: &str, command: &str) {
    site.done(&format!("viosvrcmd -m {SYSTEM} -p {server} -c \"{command}\""));
}

#[test]
fn killed_and_stopped_processes_lose_no_write_and_write_nothing_stale() {
    let scratch = Scratch::new("storage-split");
    let start = Start { site: "storage".into(), data: scratch.path().join("data"), split: true };
    let watchdog = Watchdog::new(TEST_MAX);
    let site = start.up(&watchdog);
    for server in ["vios1", "vios2"] {
        server_is_up(&site, server);
        server_command(&site, server, "chdev -dev hdisk1 -attr reserve_policy=no_reserve");
        server_command(&site, server, "mkvdev -vdev hdisk1 -vadapter vhost0");
    }
    site.done(&format!("chsysstate -r lpar -m {SYSTEM} -o on -n lpar1 -f default_profile"));
    let mut terminal = site.terminal(SYSTEM, "lpar1");
    terminal.talk("", "ogin:").expect("login");
    terminal.talk("root", "assword:").expect("password");
    terminal.talk("abc123", "# ").expect("shell");
    until_output(&mut terminal, "lspath", |paths| paths.matches("Enabled").count() == 2);
    run(&mut terminal, "diskload start hdisk1 96 4000");
    go_on_writing(&mut terminal);

    // kill -9 of the first server: its partition has crashed, the client goes on.
    send(site.process("s814.vios1"), Signal::KILL);
    go_on_writing(&mut terminal);
    let state = format!("lssyscfg -r lpar -m {SYSTEM} --filter lpar_names=vios1 -F state");
    site.until(&state, "Error");
    site.done(&format!("chsysstate -r lpar -m {SYSTEM} -o shutdown --immed -n vios1"));
    site.until(&state, "Not Activated");
    site.done(&format!("chsysstate -r lpar -m {SYSTEM} -o on -n vios1 -f default_profile"));
    server_is_up(&site, "vios1");
    run(&mut terminal, "chpath -l hdisk1 -p vscsi0 -s enable");
    until_output(&mut terminal, "lspath", |paths| paths.matches("Enabled").count() == 2);

    // SIGSTOP of the one that is in use, with requests in hand; the client moves on, then it continues.
    let stopped = site.process("s814.vios1");
    go_on_writing(&mut terminal);
    send(stopped, Signal::STOP);
    go_on_writing(&mut terminal);
    run(&mut terminal, "diskload stop");
    until_output(&mut terminal, "diskload status", |status| status.contains("stopped"));
    send(stopped, Signal::CONT);
    server_is_up(&site, "vios1");
    run(&mut terminal, "diskload verify");
    let status = until_output(&mut terminal, "diskload status", |status| status.contains("verified"));
    assert!(status.contains("verified, 0 wrong blocks") && status.contains(" 0 errors"), "{status}");

    // The world is killed: the load stalls and goes on, with all that was acknowledged.
    run(&mut terminal, "diskload start hdisk1 96 4000");
    go_on_writing(&mut terminal);
    send(site.process("world"), Signal::KILL);
    go_on_writing(&mut terminal);
    run(&mut terminal, "diskload verify");
    let status = until_output(&mut terminal, "diskload status", |status| status.contains("verified"));
    assert!(status.contains("verified, 0 wrong blocks"), "{status}");
}
