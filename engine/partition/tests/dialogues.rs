//! Terminal dialogues as tables.

mod common;

use common::{World, disk, reports, specification, states};
use std::time::Duration;
use varan_contract::engine::{EngineError, Generation, GuestState, PartitionEngine, Personality};

#[test]
fn aix_commands() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    let dialogue = world.terminal(aix.partition);
    let shown = dialogue.login("root", "wrong");
    assert!(
        shown.contains("3004-007 You entered an invalid login name or password.\nConsole login: "),
        "{shown}"
    );
    assert_eq!(dialogue.line("root"), "root\nroot's Password: ");
    assert_eq!(dialogue.line("abc123"), "\n\n# ", "the password is not echoed");
    for (command, expected) in [
        ("", ""),
        (
            "lsattr -El sys0 -a ghostdev",
            "ghostdev 0 Recreate ODM devices on system change / modify PVID True\n",
        ),
        ("chdev -l sys0 -a ghostdev=1", "sys0 changed\n"),
        (
            "lsattr -El sys0 -a ghostdev",
            "ghostdev 1 Recreate ODM devices on system change / modify PVID True\n",
        ),
        ("lsattr -El sys0 -a modelname", "modelname IBM,9119-MME Machine name False\n"),
        ("lsattr -El sys0 -a systemid", "systemid IBM,02659707C Hardware system identifier False\n"),
        ("lsattr -El sys0 -a realmem", "realmem 4194304 Amount of usable physical memory in Kbytes False\n"),
        ("lsattr -El sys0 | grep -c True", "7\n"),
        (
            "lsattr -El en0",
            "netaddr 10.10.0.7   Internet Address         True\nnetmask 255.255.0.0 Subnet Mask              True\nstate   up          Current Interface Status True\n",
        ),
        ("uname", "AIX\n"),
        ("uname -a", "AIX host5 1 7 00C9707C4C00\n"),
        ("uname -m", "00C9707C4C00\n"),
        ("uname -n", "host5\n"),
        ("uname -M", "IBM,9119-MME\n"),
        ("uname -L", "5 lpar5\n"),
        ("oslevel", "7.1.0.0\n"),
        ("oslevel -s", "7100-03-05-1524\n"),
        ("hostname", "host5\n"),
        ("whoami", "root\n"),
        ("id", "uid=0(root) gid=0(system) groups=0(system)\n"),
        ("date", "Thu Jun 18 17:17:30 UTC 2015\n"),
        ("echo a  b", "a b\n"),
        ("errpt | head -1", "IDENTIFIER TIMESTAMP  T C RESOURCE_NAME  DESCRIPTION\n"),
        (
            "errpt | more",
            "IDENTIFIER TIMESTAMP  T C RESOURCE_NAME  DESCRIPTION\nA6DF45AA   0618171615 I O RMCdaemon      The daemon is started.\n9DBCFDEE   0618171615 T O errdemon       ERROR LOGGING TURNED ON\n",
        ),
        ("errpt -j 9DBCFDEE | tail -1", "9DBCFDEE   0618171615 T O errdemon       ERROR LOGGING TURNED ON\n"),
        ("errpt | mroe", "ksh: mroe:  not found.\n"),
        ("foo", "ksh: foo:  not found.\n"),
        ("lparstat -i | grep Entitled", "Entitled Capacity                          : 0.50\n"),
        (
            "lparstat -i | grep Online",
            "Online Virtual CPUs                        : 2\nOnline Memory                              : 4096 MB\n",
        ),
        ("ifconfig -a | head -2 | tail -1", "\tinet 10.10.0.7 netmask 0xffff0000 broadcast 10.10.255.255\n"),
        ("cfgmgr", ""),
        ("load 40", ""),
        ("load 101", "Usage: load PERCENT (0 to 100, of all the partition's processors)\n"),
        ("dirty verify", "dirty: no workload was started\n"),
        ("chdev -l inet0 -a hostname=lizard", "inet0 changed\n"),
        ("hostname", "lizard\n"),
        ("chdev -l en0 -a netaddr=10.9.0.1 -a netmask=255.255.255.0", "en0 changed\n"),
        ("ifconfig -a | head -2 | tail -1", "\tinet 10.9.0.1 netmask 0xffffff00 broadcast 10.9.0.255\n"),
    ] {
        assert_eq!(dialogue.command(command), expected, "{command}");
    }
    for command in
        ["chdev -l sys0 -a realmem=1", "chdev -l sys0 -a ghostdev=2", "chdev -l inet0 -a hostname=a/b"]
    {
        assert!(dialogue.command(command).contains("0514-018"), "{command}");
    }
    let detailed = dialogue.command("errpt -aj A6DF45AA");
    for line in [
        "IDENTIFIER:\tA6DF45AA\n",
        "Date/Time:       Thu Jun 18 17:16:30 2015\n",
        "Machine Id:      00C9707C4C00\n",
        "Node Id:         lizard\n",
        "Resource Name:   RMCdaemon\n",
    ] {
        assert!(detailed.contains(line), "{line:?} in {detailed}");
    }
    let last = reports(&world.take_events()).pop().expect("the report changed");
    assert_eq!((last.hostname.as_str(), last.addresses[0].1.to_string().as_str()), ("lizard", "10.9.0.1"));
    assert!(dialogue.command("recfgct").is_empty());
    assert_ne!(reports(&world.take_events())[0].rsct_node_id, last.rsct_node_id);
    assert!(dialogue.line("exit").ends_with("Console login: "));
}

#[test]
fn linux_commands() {
    let world = World::new(1);
    let linux = specification(5, Personality::Linux, Some(disk()));
    world.boot(&linux);
    let dialogue = world.terminal(linux.partition);
    assert!(dialogue.login("root", "abc").ends_with("Login incorrect\n\nhost5 login: "));
    assert!(dialogue.login("root", "abc123").ends_with("[root@host5 ~]# "));
    for (command, expected) in [
        ("uname -r", "4.18.0-553.el8_10.ppc64le\n"),
        ("uname -m", "ppc64le\n"),
        ("errpt", "-bash: errpt: command not found\n"),
        ("lsattr -El sys0", "-bash: lsattr: command not found\n"),
        ("cat /etc/os-release | grep VERSION_ID", "VERSION_ID=\"8.10\"\n"),
        ("cat /etc/passwd", "cat: /etc/passwd: No such file or directory\n"),
        ("ip addr | grep 10.10", "    inet 10.10.0.7/16 brd 10.10.255.255 scope global eth0\n"),
    ] {
        assert_eq!(dialogue.command(command), expected, "{command}");
    }
    dialogue.terminal.write(b"shutdown -r now\r");
    world.seconds(20);
    assert_eq!(states(&world.take_events()).last(), Some(&GuestState::Stopped { restart: true }));
}

#[test]
fn virtual_io_server_commands() {
    let world = World::new(1);
    let server = specification(1, Personality::VirtualIoServer, Some(disk()));
    world.boot(&server);
    let dialogue = world.terminal(server.partition);
    assert!(dialogue.login("padmin", "padmin").ends_with("\n$ "));
    assert_eq!(dialogue.command("ioslevel"), "2.2.6.21\n");
    assert_eq!(dialogue.command("lsattr"), "rksh: lsattr:  not found.\n");
    assert!(dialogue.command("errlog").starts_with("IDENTIFIER TIMESTAMP"));
    assert_eq!(dialogue.line("oem_setup_env"), "oem_setup_env\n# ");
    assert_eq!(dialogue.command("oslevel"), "6.1.0.0\n");
    assert_eq!(dialogue.line("exit"), "exit\n$ ");
    dialogue.terminal.write(b"shutdown -force\r");
    world.seconds(20);
    assert_eq!(states(&world.take_events()).last(), Some(&GuestState::Stopped { restart: false }));
}

#[test]
fn line_editing_interrupts_and_end_of_file() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    let dialogue = world.terminal(aix.partition);
    dialogue.login("root", "abc123");
    assert_eq!(dialogue.bytes(b"hostnamx\x08e\r"), "hostnamx\x08 \x08e\nhost5\n# ");
    assert_eq!(dialogue.bytes(b"hostname\x03"), "hostname^C\n# ");
    assert!(dialogue.bytes(b"\x04").ends_with("Console login: "));
    // Typed ahead of a command whose result is being written.
    dialogue.login("root", "abc123");
    let shown = dialogue.bytes(b"chdev -l sys0 -a ghostdev=1\rhostname\r");
    assert!(shown.ends_with("sys0 changed\n# hostname\nhost5\n# "), "{shown}");
}

#[test]
fn one_terminal_at_a_time() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    let first = world.engine.open_terminal(aix.partition).expect("free");
    assert!(matches!(world.engine.open_terminal(aix.partition), Err(EngineError::TerminalBusy(_))));
    assert!(world.engine.close_terminal(aix.partition));
    assert!(!world.engine.close_terminal(aix.partition));
    let mut shown = Vec::new();
    while first.read(&mut shown) {}
    first.write(b"x");
    let second = world.engine.open_terminal(aix.partition).expect("free again");
    second.closer()();
    let third = world.engine.open_terminal(aix.partition).expect("free after the closer");
    drop(third);
    world.engine.open_terminal(aix.partition).map(drop).expect("free after the drop");
}

#[test]
fn a_terminal_belongs_to_the_partition_and_shows_every_boot() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    let dialogue = world.terminal(aix.partition);
    dialogue.terminal.write(b"lost\r");
    dialogue.terminal.resize(132, 43);
    world.boot(&aix);
    let boot = dialogue.bytes(b"");
    assert!(boot.contains("error daemon") && boot.ends_with("Console login: "), "{boot}");
    dialogue.login("root", "abc123");
    assert_eq!(dialogue.command("stty size"), "43 132\n");
    dialogue.terminal.resize(100, 30);
    assert_eq!(dialogue.command("stty size"), "30 100\n");
    assert_eq!(dialogue.command("echo $LINES $COLUMNS"), "30 100\n");
    assert_eq!(dialogue.command("stty rows 24 columns 80"), "");
    assert_eq!(dialogue.command("resize | head -2"), "COLUMNS=80;\nLINES=24;\n");
    // It stays open over the end of the guest, and shows the next one.
    dialogue.terminal.write(b"shutdown -F\r");
    world.seconds(60);
    assert_eq!(
        states(&world.take_events()),
        [GuestState::ShuttingDown, GuestState::Stopped { restart: false }]
    );
    assert!(matches!(world.engine.open_terminal(aix.partition), Err(EngineError::TerminalBusy(_))));
    let end = dialogue.bytes(b"");
    assert!(end.ends_with("....Halt completed....\n"), "{end}");
    let mut again = aix.clone();
    again.generation = Generation(2);
    world.boot(&again);
    let boot = dialogue.bytes(b"");
    assert!(boot.contains("error daemon") && boot.ends_with("Console login: "), "{boot}");
    // A partition that is removed takes its terminal with it.
    world.engine.forget(aix.partition);
    let mut rest = Vec::new();
    assert!(!dialogue.terminal.read(&mut rest));
}

#[test]
fn power_loss_closes_the_terminal_of_a_partition_that_is_off() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    let terminal = world.engine.open_terminal(aix.partition).expect("free");
    world.engine.power_loss();
    assert!(!terminal.read(&mut Vec::new()));
    assert!(world.engine.open_terminal(aix.partition).is_ok());
}

#[test]
fn the_dirtying_workload_verifies_and_holds_its_memory() {
    let world = World::new(1);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    let dialogue = world.terminal(aix.partition);
    dialogue.login("root", "abc123");
    assert_eq!(dialogue.command("dirty start 1000 2000"), "1000 pages, 2000 pages per second\n");
    world.run(Duration::from_millis(1_250));
    assert_eq!(dialogue.command("dirty verify"), "0 wrong pages after 2400 pages written\n");
    let resident = world.engine.statistics(aix.partition).expect("on").resident_bytes;
    assert_eq!(resident, 1001 * 4096);
    assert_eq!(dialogue.command("dirty stop"), "2400 pages written, 0 stalls\n");
    assert_eq!(world.engine.timers(), 0);
    dialogue.command("dirty free");
    assert_eq!(world.engine.statistics(aix.partition).expect("on").resident_bytes, 4096);
}

#[test]
fn a_full_site_stalls_the_workload_but_kills_nothing() {
    let world = World::with_memory(1, 50 * 4096);
    let aix = specification(5, Personality::Aix, Some(disk()));
    world.boot(&aix);
    let dialogue = world.terminal(aix.partition);
    dialogue.login("root", "abc123");
    dialogue.command("dirty start 100 1000");
    world.seconds(1);
    assert_eq!(dialogue.command("dirty verify"), "0 wrong pages after 49 pages written\n");
    assert_eq!(dialogue.command("hostname"), "host5\n");
}
