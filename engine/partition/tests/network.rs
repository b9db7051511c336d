//! Guests in a network.

mod common;
mod switch;

use std::net::Ipv4Addr;
use std::time::Duration;

use common::{disk, reports, specification};
use switch::Site;
use varan_contract::engine::{
    AdapterAddress, AdapterChange, AllowedAddresses, AllowedVlans, Generation, GuestAdapter,
    GuestEthernetPort, GuestFault, GuestIoSlot, GuestLogicalPort, GuestNetworkAdapter, GuestSpecification,
    GuestTerminal, GuestVnicAdapter, PartitionEngine, Personality, StopRequest,
};
use varan_contract::network::GuestPort;
use varan_model::ids::{MacAddress, VirtualSlot};

const SHORT: Duration = Duration::from_millis(100);

/// A guest `10.1.1.<number>` in VLAN 1 of ETHERNET0.
fn guest(number: u16, personality: Personality) -> GuestSpecification {
    let mut specification = specification(number, personality, Some(disk()));
    specification.installation.address = Some((Ipv4Addr::new(10, 1, 1, number as u8), 24));
    specification
}

fn start(site: &mut Site, specification: &GuestSpecification) {
    site.world.engine.start(specification.clone()).expect("room");
    site.seconds(150);
}

fn login(site: &mut Site, specification: &GuestSpecification) -> Box<dyn GuestTerminal> {
    let terminal = site.world.engine.open_terminal(specification.partition).expect("free");
    site.line(&*terminal, "root", SHORT);
    let shown = site.line(&*terminal, "abc123", SHORT);
    assert!(shown.ends_with("# "), "{shown}");
    terminal
}

/// What a command shows, without its own line and the prompt.
fn command(site: &mut Site, terminal: &dyn GuestTerminal, line: &str, time: Duration) -> String {
    let shown = site.line(terminal, line, time);
    let shown = shown.strip_prefix(&format!("{line}\n")).expect(&shown).to_owned();
    let prompt = shown.rfind('\n').map_or(0, |end| end + 1);
    assert!(shown[prompt..].ends_with("# "), "{shown:?}");
    shown[..prompt].to_owned()
}

fn sessions(site: &Site) -> Vec<Option<Vec<String>>> {
    reports(&site.world.take_events()).into_iter().map(|report| report.rmc_sessions).collect()
}

#[test]
fn guests_ping_each_other_in_their_ways() {
    let mut site = Site::new(1);
    let (aix, linux) = (guest(5, Personality::Aix), guest(6, Personality::Linux));
    start(&mut site, &aix);
    start(&mut site, &linux);
    let (one, two) = (login(&mut site, &aix), login(&mut site, &linux));
    assert_eq!(
        command(&mut site, &*one, "ping -c 3 10.1.1.6", Duration::from_secs(5)),
        "PING 10.1.1.6: (10.1.1.6): 56 data bytes\n\
         64 bytes from 10.1.1.6: icmp_seq=0 ttl=64 time=0 ms\n\
         64 bytes from 10.1.1.6: icmp_seq=1 ttl=64 time=0 ms\n\
         64 bytes from 10.1.1.6: icmp_seq=2 ttl=64 time=0 ms\n\
         \n--- 10.1.1.6 ping statistics ---\n\
         3 packets transmitted, 3 packets received, 0% packet loss\n\
         round-trip min/avg/max = 0/0/0 ms\n"
    );
    let shown = command(&mut site, &*two, "ping -c 2 10.1.1.5", Duration::from_secs(5));
    assert!(shown.starts_with("PING 10.1.1.5 (10.1.1.5) 56(84) bytes of data.\n64 bytes from 10.1.1.5: icmp_seq=1 ttl=255 time=0.0"), "{shown}");
    assert!(shown.contains("\n\n--- 10.1.1.5 ping statistics ---\n2 packets transmitted, 2 received, 0% packet loss, time 100"), "{shown}");
    assert!(shown.contains("\nrtt min/avg/max/mdev = 0.0"), "{shown}");
    // Nobody there: it runs until it is interrupted.
    let shown = site.line(&*one, "ping 10.1.1.77", Duration::from_secs(3));
    assert_eq!(shown, "ping 10.1.1.77\nPING 10.1.1.77: (10.1.1.77): 56 data bytes\n");
    let shown = site.keys(&*one, "\x03", SHORT);
    assert!(shown.starts_with("^C\n--- 10.1.1.77 ping statistics ---\n4 packets transmitted, 0 packets received, 100% packet loss\n# "), "{shown}");
    let shown = command(&mut site, &*two, "ping -c 1 10.1.1.77", Duration::from_secs(15));
    assert!(shown.contains("From 10.1.1.6 icmp_seq=1 Destination Host Unreachable\n"), "{shown}");
    assert!(
        shown.contains("1 packets transmitted, 0 received, +1 errors, 100% packet loss, time "),
        "{shown}"
    );
    // Bad input.
    for (line, expected) in [
        ("ping nosuchhost", "0821-062 ping: host name nosuchhost NOT FOUND\n"),
        ("ping -c 0 10.1.1.6", "usage: ping"),
        ("ping", "usage: ping"),
        (
            "ping -c 1 10.9.9.9",
            "PING 10.9.9.9: (10.9.9.9): 56 data bytes\n0821-069 ping: sendto: Cannot reach the destination network.\nping: wrote 10.9.9.9 64 chars, ret=-1\n",
        ),
        ("ping -c 1 localhost | tail -1", "round-trip min/avg/max = 0/0/0 ms\n"),
        ("ping -c 1 10.1.1.6 | grep -c icmp_seq", "1\n"),
    ] {
        let shown = command(&mut site, &*one, line, Duration::from_secs(11));
        assert!(shown.starts_with(expected), "{line}: {shown}");
    }
    let shown = command(&mut site, &*two, "ping -c 1 10.9.9.9", SHORT);
    assert_eq!(shown, "connect: Network is unreachable\n");
    // A command that waits takes what is typed meanwhile afterwards.
    let shown = site.keys(&*one, "ping -c 2 10.1.1.6\rhostname\r", Duration::from_secs(3));
    assert!(shown.ends_with("/0/0 ms\n# hostname\nhost5\n# "), "{shown}");
    let shown = command(&mut site, &*one, "hostname; whoami ; echo a", SHORT);
    assert_eq!(shown, "host5\nroot\na\n");
}

#[test]
fn another_vlan_is_another_network() {
    let mut site = Site::new(2);
    let one = guest(5, Personality::Aix);
    let mut two = guest(6, Personality::Aix);
    two.network_adapters[0].port_vlan_id = 20;
    start(&mut site, &one);
    start(&mut site, &two);
    let terminal = login(&mut site, &one);
    let shown = command(&mut site, &*terminal, "ping -c 2 -w 2 10.1.1.6", Duration::from_secs(8));
    assert!(shown.contains("2 packets transmitted, 0 packets received, 100% packet loss\n"), "{shown}");
}

#[test]
fn rmc_comes_with_the_operating_system_and_follows_the_network() {
    let mut site = Site::new(3);
    site.add_console("hmc1", 1, "10.1.1.250/24", "ETHERNET0", 1);
    site.add_console("hmc2", 2, "10.1.1.251/24", "ETHERNET0", 7);
    let aix = guest(5, Personality::Aix);
    site.world.engine.start(aix.clone()).expect("room");
    site.seconds(150);
    // The second console is in another VLAN.
    assert_eq!(sessions(&site), [Some(vec![]), Some(vec!["hmc1".to_owned()])]);
    site.cut.insert(aix.partition);
    site.seconds(60);
    assert_eq!(sessions(&site), [Some(vec![])]);
    site.cut.clear();
    site.seconds(90);
    assert_eq!(sessions(&site), [Some(vec!["hmc1".to_owned()])]);
    // A guest that stands still has no sign of life.
    site.world.engine.fault(aix.partition, GuestFault::Hang).expect("on");
    site.seconds(1);
    assert!(!site.is_listening(aix.partition));
    site.seconds(60);
    assert_eq!(site.outside[0].server.as_ref().expect("a console").sessions().count(), 0);
    site.world.engine.fault(aix.partition, GuestFault::Resume).expect("on");
    site.seconds(90);
    assert_eq!(sessions(&site).last(), Some(&Some(vec!["hmc1".to_owned()])));
    site.world.engine.stop(aix.partition, StopRequest::Immediate, false).expect("on");
    site.seconds(1);
    assert_eq!(site.plugged(), 0);
}

#[test]
fn clones_lose_their_sessions_until_one_is_made_anew() {
    let mut site = Site::new(4);
    site.add_console("hmc1", 1, "10.1.1.250/24", "ETHERNET0", 1);
    let original = guest(5, Personality::Aix);
    start(&mut site, &original);
    site.world.engine.stop(original.partition, StopRequest::OperatingSystem, false).expect("on");
    site.seconds(60);
    // The clone's disk is a copy.
    let copy = disk();
    let mut bytes = vec![0; 1 << 20];
    let source = original.boot_disk.clone().expect("a disk");
    source.read_at(0, &mut bytes).expect("read");
    varan_contract::engine::BootDisk::write_at(&*copy, 0, &bytes).expect("written");
    let mut clone = guest(6, Personality::Aix);
    clone.boot_disk = Some(copy);
    let mut again = original.clone();
    again.generation = Generation(2);
    // It has its source's address too, on a new device because its adapter is another one; it gets its own address before the
    // source is there again.
    start(&mut site, &clone);
    let terminal = login(&mut site, &clone);
    command(&mut site, &*terminal, "chdev -l en1 -a netaddr=10.1.1.6", SHORT);
    start(&mut site, &again);
    site.world.take_events();
    site.seconds(600);
    let changes = sessions(&site).len();
    assert!(changes > 10, "both flap: {changes}");
    command(&mut site, &*terminal, "recfgct", SHORT);
    site.seconds(120);
    site.world.take_events();
    site.seconds(600);
    assert_eq!(sessions(&site), [], "it lasts");
    assert_eq!(site.outside[0].server.as_ref().expect("a console").sessions().count(), 2);
}

#[test]
fn the_management_switch_of_a_novalink_frame() {
    let mut site = Site::new(5);
    site.vepa.insert("MGMTSWITCH".to_owned());
    let novalink = site.add_console("novalink", 3, "", "MGMTSWITCH", 4094);
    let management = |number: u64| {
        GuestNetworkAdapter::untagged(
            VirtualSlot(9),
            MacAddress(0xC232_5234_6E00 + number),
            "MGMTSWITCH",
            4094,
        )
    };
    let (mut one, mut two) = (guest(5, Personality::Aix), guest(6, Personality::Aix));
    one.network_adapters.push(management(5));
    two.network_adapters.push(management(6));
    start(&mut site, &one);
    start(&mut site, &two);
    assert_eq!(site.outside[novalink].server.as_ref().expect("a console").sessions().count(), 2);
    let terminal = login(&mut site, &one);
    let target = site.address_of(novalink);
    let shown = command(&mut site, &*terminal, &format!("ping -c 3 {target}"), Duration::from_secs(4));
    assert!(
        shown.starts_with(&format!(
            "PING {target} ({target}): 56 data bytes\n64 bytes from {target}: icmp_seq=0 ttl=64 time=0."
        )),
        "{shown}"
    );
    assert!(
        shown.ends_with(
            "3 packets transmitted, 3 packets received, 0% packet loss\nround-trip min/avg/max = 0/0/0 ms\n"
        ),
        "{shown}"
    );
    let shown =
        command(&mut site, &*terminal, "ping -c 2 -w 1 fe80::c032:52ff:fe34:6e06", Duration::from_secs(4));
    assert!(shown.contains("2 packets transmitted, 0 packets received, 100% packet loss\n"), "{shown}");
}

#[test]
fn a_virtual_nic_configures_itself_and_logs_its_link() {
    let mut site = Site::new(6);
    let aix = guest(5, Personality::Aix);
    start(&mut site, &aix);
    let terminal = login(&mut site, &aix);
    let vnic = GuestVnicAdapter {
        slot: VirtualSlot(6),
        mac_address: MacAddress(0x56FB_2DB8_A406),
        port_vlan_id: 0,
        port_vlan_priority: 0,
        allowed_vlans: AllowedVlans::All,
        allowed_addresses: AllowedAddresses::All,
        disabled: false,
        auto_priority_failover: true,
        backing_devices: Vec::new(),
        preferred: None,
        probe_targets: Vec::new(),
        offered_address: None,
    };
    let change = AdapterChange::Put(GuestAdapter::Vnic(vnic));
    site.world.engine.change_adapter(aix.partition, change, 1).expect("on");
    site.seconds(1);
    assert_eq!(site.plugged(), 2);
    assert_eq!(
        command(&mut site, &*terminal, "lsdev -Cl ent1", SHORT),
        "ent1 Available   Virtual NIC Client Adapter (vnic)\n"
    );
    let port =
        GuestPort { partition: aix.partition, adapter: AdapterAddress::Virtual(VirtualSlot(6)), index: 0 };
    for up in [false, true] {
        site.link(port, up, up);
        site.seconds(1);
    }
    let shown = command(&mut site, &*terminal, "errpt | grep VNIC", SHORT);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[0].starts_with("4FB9389C   ") && lines[0].ends_with(" I S ent1           VNIC Link Up"),
        "{shown}"
    );
    assert!(
        lines[1].starts_with("F655DA07   ") && lines[1].ends_with(" I S ent1           VNIC Link Down"),
        "{shown}"
    );
    let shown = command(&mut site, &*terminal, "errpt -aj F655DA07", SHORT);
    assert!(shown.contains("56FB 2DB8 A406\nphysical link: DOWN   logical link: DOWN\n"), "{shown}");
    // It goes by itself too, unless an interface is on it.
    let remove = AdapterChange::Remove(AdapterAddress::Virtual(VirtualSlot(6)));
    command(&mut site, &*terminal, "ifconfig en1 10.5.5.5 netmask 255.255.255.0", SHORT);
    site.world.engine.change_adapter(aix.partition, remove.clone(), 2).expect("on");
    site.seconds(1);
    assert_eq!(site.plugged(), 2);
    command(&mut site, &*terminal, "ifconfig en1 detach", SHORT);
    site.world.engine.change_adapter(aix.partition, remove, 3).expect("on");
    site.seconds(1);
    assert_eq!(site.plugged(), 1);
    assert_eq!(command(&mut site, &*terminal, "lsdev -Cc adapter | grep -c ent", SHORT), "1\n");
}

#[test]
fn aix_commands_about_the_network() {
    let mut site = Site::new(7);
    site.add_console("hmc1", 1, "10.1.1.250/24", "ETHERNET0", 1);
    let mut aix = guest(5, Personality::Aix);
    aix.network_adapters.push(GuestNetworkAdapter::untagged(
        VirtualSlot(9),
        MacAddress(0xC232_5234_6E4F),
        "MGMTSWITCH",
        4094,
    ));
    start(&mut site, &aix);
    let terminal = login(&mut site, &aix);
    let flags = "UP,BROADCAST,NOTRAILERS,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT,CHECKSUM_OFFLOAD(ACTIVE),LARGESEND,CHAIN";
    let space = "         tcp_sendspace 262144 tcp_recvspace 262144 rfc1323 1\n";
    let first = format!(
        "en0: flags=1e084863,14c0<{flags}>\n        inet 10.1.1.5 netmask 0xffffff00 broadcast 10.1.1.255\n{space}"
    );
    let second =
        format!("en1: flags=1e084863,14c0<{flags}>\n        inet6 fe80::c032:52ff:fe34:6e4f/64\n{space}");
    let shown = command(&mut site, &*terminal, "ifconfig -a", SHORT);
    let wanted = format!(
        "{first}{second}sit0: flags=8100041<UP,RUNNING,LINK0>\n        inet6 ::10.1.1.5/96\nlo0: flags=e08084b,c0<"
    );
    assert!(shown.starts_with(&wanted), "{shown}");
    for (line, expected) in [
        ("ifconfig en0", first.as_str()),
        ("ifconfig -l", "en0 en1 lo0\n"),
        ("ifconfig en7", "0821-555 ioctl (SIOCIFDETACH).: The device en7 does not exist.\n"),
        (
            "entstat -d ent1 | grep -iE \"invalid|port vlan|tag\"",
            "Invalid VLAN ID Packets: 0\nPort VLAN ID:  4094\nVLAN Tag IDs:  None\n",
        ),
        ("entstat ent0 | grep Hardware", "Hardware Address: fa:cc:15:7c:3e:05\n"),
        ("entstat ent7", "entstat: 0909-003 Unable to connect to device ent7, errno = 19\n"),
        ("netstat -v | grep -c STATISTICS", "2\n"),
        ("lsnodeid | wc -l", "       1\n"),
        (
            "rmcdomainstatus -s ctrmc",
            "\nManagement Domain Status: Management Control Points\n  I A  0x0000000000000001  0001  10.1.1.250\n",
        ),
        ("lsrsrc IBM.MCP | grep KeyToken", "        KeyToken          = \"hmc1\"\n"),
        ("lssrc -g rsct_rm | grep -c active", "4\n"),
        ("lssrc -s nosuch", "0513-085 The nosuch Subsystem is not on file.\n"),
        (
            "rmcctrl",
            "rmcctrl: 2610-604 Option is missing or not known.\nUsage: rmcctrl {-a | -A | -d | -D | -k | -K | -s | -z | -p | -P | -m | -M}\n",
        ),
        ("route add 0 10.1.1.254", "10.1.1.254 net 0: gateway 10.1.1.254\n"),
        (
            "netstat -rn | grep default",
            "default            10.1.1.254        UG        0         0 en0      -      -\n",
        ),
        (
            "mktcpip -h lizard -a 10.1.1.9 -m 255.255.255.0 -i en0 -g 10.1.1.254 | tail -1",
            "en0\nlizard\ninet0 changed\nen0 changed\n",
        ),
        ("ifconfig en0 | grep inet", "        inet 10.1.1.9 netmask 0xffffff00 broadcast 10.1.1.255\n"),
        ("lsattr -El inet0 -a route", "route net,-hopcount,0,,0,10.1.1.254 Route True\n"),
        ("ifconfig en0 10.1.1.5 netmask 255.255.255.0", ""),
        ("ifconfig en0 10.1.1.6 netmask 255.255.255.0 alias", ""),
        ("ifconfig en0 | grep -c inet", "2\n"),
        ("ifconfig en0 10.1.1.6 delete", ""),
        ("ifconfig en0 nonsense", "ifconfig: nonsense: bad value\n"),
        ("ifconfig en0 down", ""),
        ("ifconfig en0 | head -1 | grep -c flags=1e084862,14c0<BROADCAST", "1\n"),
        ("ifconfig en0 up", ""),
        ("rmdev -l ent0 | head -1", "Method error (/usr/lib/methods/ucfgent):\n"),
        ("ifconfig en0 detach", ""),
        ("rmdev -l ent0", "ent0 Defined\n"),
        ("mkdev -l ent0", "ent0 Available\n"),
    ] {
        let shown = command(&mut site, &*terminal, line, SHORT);
        if line.contains("nonsense") {
            assert!(shown.starts_with(expected), "{line}: {shown}");
        } else {
            assert_eq!(shown, expected, "{line}");
        }
    }
    // The device came back with its configured address.
    assert!(command(&mut site, &*terminal, "ifconfig en0", SHORT).contains("10.1.1.9"));
    command(&mut site, &*terminal, "ping -c 1 10.1.1.250", Duration::from_secs(2));
    let shown = command(&mut site, &*terminal, "arp -a", SHORT);
    assert!(shown.starts_with("  ? (10.1.1.250) at d2:9e:a:cf:a8:1 [ethernet] stored in bucket "), "{shown}");
    assert!(shown.ends_with("There are 1 entries in the arp table.\n"), "{shown}");
    let shown = command(&mut site, &*terminal, "netstat -in", SHORT);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "Name  Mtu   Network     Address           Ipkts Ierrs    Opkts Oerrs  Coll");
    assert!(lines.iter().any(|line| line.starts_with("en0   1500  link#2      fa.cc.15.7c.3e.5")), "{shown}");
    assert!(
        lines.iter().any(|line| line.starts_with("en0   1500  10.1.1      10.1.1.9          ")),
        "{shown}"
    );
    assert!(lines.iter().any(|line| line.starts_with("en1   1500  fe80::c032:52ff:fe34:6e4f")), "{shown}");
}

#[test]
fn the_daemons_are_stopped_and_started() {
    let mut site = Site::new(8);
    site.add_console("hmc1", 1, "10.1.1.250/24", "ETHERNET0", 1);
    let aix = guest(5, Personality::Aix);
    start(&mut site, &aix);
    let terminal = login(&mut site, &aix);
    site.world.take_events();
    assert_eq!(command(&mut site, &*terminal, "/usr/sbin/rsct/bin/rmcctrl -z", SHORT), "");
    let stopped = reports(&site.world.take_events()).pop().expect("a report");
    assert_eq!((stopped.rmc_running, stopped.rmc_sessions), (false, Some(Vec::new())));
    assert_eq!(command(&mut site, &*terminal, "lssrc -s ctrmc | grep -c inoperative", SHORT), "1\n");
    site.seconds(120);
    assert_eq!(site.outside[0].server.as_ref().expect("a console").sessions().count(), 0);
    assert_eq!(command(&mut site, &*terminal, "rmcctrl -A; rmcctrl -p", SHORT), "");
    site.seconds(20);
    let started = reports(&site.world.take_events()).pop().expect("a report");
    assert_eq!((started.rmc_running, started.rmc_sessions), (true, Some(vec!["hmc1".to_owned()])));
    let shown = command(
        &mut site,
        &*terminal,
        "stopsrc -s ctrmc; stopsrc -s ctrmc; startsrc -s ctrmc | grep -c started",
        SHORT,
    );
    assert_eq!(
        shown,
        "0513-044 The ctrmc Subsystem was requested to stop.\n0513-004 The Subsystem or Group, ctrmc, is currently inoperative.\n1\n"
    );
    let before = command(&mut site, &*terminal, "lsnodeid", SHORT);
    let shown = command(&mut site, &*terminal, "recfgct", SHORT);
    assert!(shown.starts_with("0513-071 The ctcas Subsystem has been added.\n"), "{shown}");
    assert_ne!(command(&mut site, &*terminal, "lsnodeid", SHORT), before);
}

#[test]
fn firewalls_cut_rmc_and_let_it_through_again() {
    let mut site = Site::new(9);
    site.add_console("hmc1", 1, "10.1.1.250/24", "ETHERNET0", 1);
    let (aix, linux) = (guest(5, Personality::Aix), guest(6, Personality::Linux));
    start(&mut site, &aix);
    start(&mut site, &linux);
    let (one, two) = (login(&mut site, &aix), login(&mut site, &linux));
    let sessions = |site: &Site| site.outside[0].server.as_ref().expect("a console").sessions().count();
    assert_eq!(sessions(&site), 2);
    assert_eq!(command(&mut site, &*two, "iptables -A INPUT -p udp --dport 657 -j DROP", SHORT), "");
    let rule = "genfilt -v 4 -a D -s 0.0.0.0 -m 0.0.0.0 -c tcp -O eq -P 657 -w O";
    assert_eq!(
        command(&mut site, &*one, rule, SHORT),
        "Filter rule 2 for IPv4 has been added successfully.\n"
    );
    site.seconds(120);
    // AIX's rules are not in force yet.
    assert_eq!(sessions(&site), 1);
    assert_eq!(command(&mut site, &*one, "mkfilt -v 4 -u", SHORT), "");
    command(&mut site, &*one, "stopsrc -s ctrmc ; startsrc -s ctrmc", SHORT);
    site.seconds(120);
    assert_eq!(sessions(&site), 0);
    let shown = command(&mut site, &*two, "iptables -S", SHORT);
    assert!(shown.ends_with("-A INPUT -p udp --dport 657 -j DROP\n"), "{shown}");
    for (terminal, line) in [(&two, "iptables -D INPUT -p udp --dport 657 -j DROP"), (&one, "mkfilt -v 4 -d")]
    {
        assert_eq!(command(&mut site, &**terminal, line, SHORT), "");
    }
    site.seconds(120);
    assert_eq!(sessions(&site), 2);
    for (line, expected) in [
        ("iptables -A INPUT --dport 657 -j DROP", "iptables: unknown option \"--dport\"\n"),
        ("iptables -A INPUT -p tcp --dport x -j DROP", "iptables: invalid port/service `x' specified\n"),
        ("iptables -A INPUT -p tcp", "iptables: no target specified\n"),
        ("iptables -D INPUT -p tcp -j DROP", "iptables: Bad rule"),
    ] {
        let shown = command(&mut site, &*two, line, SHORT);
        assert!(shown.starts_with(expected), "{line}: {shown}");
    }
    for line in ["genfilt -v 5", "genfilt -v 4 -a X -s 0.0.0.0", "mkfilt", "rmfilt -v 4 -n 7"] {
        assert!(!command(&mut site, &*one, line, SHORT).is_empty(), "{line}");
    }
    assert_eq!(
        command(&mut site, &*one, "rmfilt -v 4 -n all", SHORT),
        "All filter rules for IPv4 have been removed successfully.\n"
    );
}

#[test]
fn tcpdump_shows_the_dialogue_with_the_console() {
    let mut site = Site::new(10);
    let console = site.add_console("novalink", 3, "", "MGMTSWITCH", 4094);
    let mut aix = guest(5, Personality::Aix);
    aix.network_adapters.push(GuestNetworkAdapter::untagged(
        VirtualSlot(9),
        MacAddress(0x9A50_F69C_5739),
        "MGMTSWITCH",
        4094,
    ));
    start(&mut site, &aix);
    let terminal = login(&mut site, &aix);
    let other = site.address_of(console);
    let own = "fe80::9850:f6ff:fe9c:5739";
    command(&mut site, &*terminal, "rmcctrl -z", SHORT);
    // Both on one line, as people type them: the daemons start while the capture runs on the terminal.
    let shown = site.line(&*terminal, "ifconfig en0 down detach ; tcpdump -i en1 port 657", SHORT);
    assert!(
        shown.ends_with(
            "tcpdump: WARNING: en1: no IPv4 address assigned\n\
             tcpdump: verbose output suppressed, use -v or -vv for full protocol decode\n\
             listening on en1, link-type 1, capture size 96 bytes\n"
        ),
        "{shown}"
    );
    let shown = site.keys(&*terminal, "\x03", SHORT);
    assert!(
        shown.starts_with("^C\n0 packets received by filter\n0 packets dropped by kernel\n# "),
        "{shown}"
    );
    command(&mut site, &*terminal, "rmcctrl -A", Duration::ZERO);
    let shown = site.line(&*terminal, "tcpdump -i en1 -c 2 udp and port rmc", Duration::from_secs(15));
    let lines: Vec<&str> =
        shown.lines().filter(|line| line.contains("IP6")).map(|line| &line[16..]).collect();
    assert_eq!(
        lines,
        [
            format!("IP6 {other}.rmc > {own}.rmc: UDP, length 88"),
            format!("IP6 {own}.rmc > {other}.rmc: UDP, length 88"),
        ],
        "{shown}"
    );
    // The whole beginning of a session.
    command(&mut site, &*terminal, "stopsrc -s ctrmc", SHORT);
    terminal.write(b"startsrc -s ctrmc ; tcpdump -i en1 tcp and port 657\r");
    let shown = site.keys(&*terminal, "", Duration::from_secs(5));
    let lines: Vec<&str> =
        shown.lines().filter(|line| line.contains(" IP6 ")).map(|line| &line[16..]).collect();
    let from = |line: &str| line.starts_with(&format!("IP6 {own}."));
    assert!(from(lines[0]) && lines[0].contains(&format!(" > {other}.rmc: S ")), "{shown}");
    assert!(lines[0].contains("(0) win ") && lines[0].ends_with(' '), "{shown}");
    assert!(lines[1].contains(": S ") && lines[1].contains("(0) ack "), "{shown}");
    assert!(lines.iter().any(|line| line.contains(": P 1:209(208) ack 1 win ")), "{shown}");
    assert!(lines.iter().any(|line| line.contains(": P 1:97(96) ack 209 win ")), "{shown}");
    assert!(lines.iter().any(|line| line.contains(": P 529:681(152) ack 385 win ")), "{shown}");
    site.keys(&*terminal, "\x03", SHORT);
    for (line, expected) in [
        ("tcpdump -i en9", "tcpdump: en9: No such device exists (BIOCSETIF failed)\n"),
        ("tcpdump -i en1 port", "tcpdump: syntax error in \"port\"\n"),
        ("tcpdump -z", "Usage: tcpdump"),
    ] {
        let shown = command(&mut site, &*terminal, line, SHORT);
        assert!(shown.starts_with(expected), "{line}: {shown}");
    }
}

#[test]
fn linux_commands_about_the_network() {
    let mut site = Site::new(11);
    site.add("one".len() as u8, "10.1.1.250/24", "ETHERNET0", 1);
    let linux = guest(6, Personality::Linux);
    start(&mut site, &linux);
    let terminal = login(&mut site, &linux);
    command(&mut site, &*terminal, "ping -c 1 10.1.1.250", Duration::from_secs(2));
    for (line, expected) in [
        (
            "ip addr show eth0 | grep inet",
            "    inet 10.1.1.6/24 brd 10.1.1.255 scope global eth0\n    inet6 fe80::f8cc:15ff:fe7c:3e06/64 scope link \n",
        ),
        (
            "ip link show dev eth0 | head -1",
            "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP mode DEFAULT group default qlen 1000\n",
        ),
        ("ip route", "10.1.1.0/24 dev eth0 proto kernel scope link src 10.1.1.6 \n"),
        ("ip neigh", "10.1.1.250 dev eth0 lladdr d2:9e:0a:cf:a8:03 REACHABLE\n"),
        ("ip addr add 10.2.2.2/24 dev eth0", ""),
        ("ip addr add 10.2.2.2/24 dev eth0", "RTNETLINK answers: File exists\n"),
        ("ip route add default via 10.2.2.1", ""),
        ("ip route | head -1", "default via 10.2.2.1 dev eth0 \n"),
        ("ip addr del 10.2.2.2/24 dev eth0", ""),
        ("ip route add 10.5.0.0/16 via 10.2.2.1", "Error: Nexthop has invalid gateway.\n"),
        ("ip route del default", ""),
        ("ip link set eth0 down", ""),
        ("ip link show eth0 | grep -c UP", "0\n"),
        ("ip link set eth0 up", ""),
        ("ip addr show eth9", "Device \"eth9\" does not exist.\n"),
        ("ip link set eth9 up", "Cannot find device \"eth9\"\n"),
        ("ip nonsense", "Object \"nonsense\" is unknown, try \"ip help\".\n"),
        ("ethtool -i eth0 | head -1", "driver: ibmveth\n"),
        ("ethtool -S eth0 | grep -c x_", "8\n"),
        ("ethtool eth0 | tail -1", "\tLink detected: yes\n"),
        (
            "ifconfig eth0 | head -2",
            "eth0      Link encap:Ethernet  HWaddr fa:cc:15:7c:3e:06  \n          inet addr:10.1.1.6  Bcast:10.1.1.255  Mask:255.255.255.0\n",
        ),
        ("ifconfig eth9", "eth9: error fetching interface information: Device not found\n"),
        ("errpt", "-bash: errpt: command not found\n"),
        ("entstat eth0", "-bash: entstat: command not found\n"),
    ] {
        assert_eq!(command(&mut site, &*terminal, line, SHORT), expected, "{line}");
    }
}

#[test]
fn a_probe_tells_what_was_lost() {
    let mut site = Site::new(12);
    site.add(1, "10.1.1.250/24", "ETHERNET0", 1);
    let aix = guest(5, Personality::Aix);
    start(&mut site, &aix);
    let terminal = login(&mut site, &aix);
    assert_eq!(
        command(&mut site, &*terminal, "netprobe start 10.1.1.250", SHORT),
        "10.1.1.250: a packet every 1 ms\n"
    );
    site.run(Duration::from_millis(1_000));
    let shown = command(&mut site, &*terminal, "netprobe status", SHORT);
    assert!(shown.contains(" 0 lost, 0 duplicates, longest outage 0.000 ms (0 packets)\n"), "{shown}");
    site.cut.insert(aix.partition);
    site.run(Duration::from_millis(20));
    site.cut.clear();
    site.seconds(2);
    let shown = command(&mut site, &*terminal, "netprobe stop", SHORT);
    assert!(shown.contains(" 20 lost, 0 duplicates, longest outage 20.000 ms (20 packets)\n"), "{shown}");
    for line in ["netprobe", "netprobe stop", "netprobe start nosuch", "netprobe start 10.1.1.250 0"] {
        assert!(!command(&mut site, &*terminal, line, SHORT).is_empty(), "{line}");
    }
}

#[test]
fn an_idle_guest_needs_little_memory_and_few_wake_ups() {
    let mut site = Site::new(13);
    site.add_console("hmc1", 1, "10.1.1.250/24", "ETHERNET0", 1);
    let guests: Vec<GuestSpecification> = (5..15).map(|number| guest(number, Personality::Aix)).collect();
    for guest in &guests {
        site.world.engine.start(guest.clone()).expect("room");
    }
    site.seconds(200);
    let report = site.world.engine.resident();
    let each = report.state_bytes / report.guests;
    println!("state of an idle guest in a network: {each} bytes; all: {report:?}");
    assert!(each < 6_144, "{each}");
    assert_eq!(site.world.engine.timers(), guests.len(), "one timer each");
    let now = varan_environment::Environment::monotonic(&*site.world.environment);
    let next = site.world.engine.next_due().expect("a timer");
    assert!(next.since(now) > Duration::from_millis(1));
}

#[test]
fn ports_of_physical_adapters_and_logical_ports_are_devices() {
    let mut site = Site::new(14);
    let mut aix = guest(5, Personality::Aix);
    let port = |number: u64| GuestEthernetPort {
        location: format!("U78C9.001.WZS8141-P1-C2-T{number}"),
        mac_address: MacAddress(0x98BE_9400_0000 + number),
    };
    aix.io_slots.push(GuestIoSlot {
        drc_index: 0x2101_0010,
        location: "U78C9.001.WZS8141-P1-C2".to_owned(),
        description: "PCIe2 2-port 10GbE SR Adapter".to_owned(),
        occupied: true,
        ethernet_ports: vec![port(1), port(2)],
    });
    aix.logical_ports.push(GuestLogicalPort {
        id: "27004002".parse().expect("a number"),
        location: "U78CA.001.CSS08ZN-P1-C3-C1-T2-S5".to_owned(),
        physical_port: "U78CA.001.CSS08ZN-P1-C3-C1-T2".to_owned(),
        description: "PCIe3 4-Port 10GbE SR Adapter".to_owned(),
        mac_address: MacAddress(0x2E84_0000_0001),
        port_vlan_id: 153,
        port_vlan_priority: 0,
        allowed_vlans: AllowedVlans::None,
        allowed_addresses: AllowedAddresses::All,
        promiscuous: false,
        capacity: 200,
        maximum_capacity: 10_000,
        offered_address: None,
    });
    start(&mut site, &aix);
    assert_eq!(site.plugged(), 4);
    let terminal = login(&mut site, &aix);
    for (line, expected) in [
        (
            "lsdev -Cc adapter",
            "ent0 Available   Virtual I/O Ethernet Adapter (l-lan)\n\
             ent1 Available   PCIe3 4-Port 10GbE SR Adapter\n\
             ent2 Available   PCIe2 2-port 10GbE SR Adapter\n\
             ent3 Available   PCIe2 2-port 10GbE SR Adapter\n",
        ),
        (
            "lscfg -l ent3",
            "  ent3             U78C9.001.WZS8141-P1-C2-T2      PCIe2 2-port 10GbE SR Adapter\n",
        ),
        ("lscfg -vl ent1 | grep Network", "        Network Address.............2E8400000001\n"),
        (
            "lscfg -l ent1",
            "  ent1             U78CA.001.CSS08ZN-P1-C3-C1-T2-S5  PCIe3 4-Port 10GbE SR Adapter\n",
        ),
        ("entstat -d ent1 | grep \"Port VLAN\"", "Port VLAN (Priority:ID): 0:0153\n"),
        ("chdev -l en3 -a netaddr=10.3.3.5 -a netmask=255.255.0.0", "en3 changed\n"),
        ("ifconfig en3 | grep inet", "        inet 10.3.3.5 netmask 0xffff0000 broadcast 10.3.255.255\n"),
        ("chdev -l en3 -a netmask=255.0.255.0 | head -1", "Method error (/usr/lib/methods/chgen3):\n"),
        ("lsattr -El en3 -a netaddr", "netaddr 10.3.3.5 Internet Address True\n"),
    ] {
        assert_eq!(command(&mut site, &*terminal, line, SHORT), expected, "{line}");
    }
    // All is there again after a restart.
    terminal.write(b"shutdown -Fr\r");
    site.seconds(60);
    drop(terminal);
    let mut again = aix.clone();
    again.generation = Generation(2);
    start(&mut site, &again);
    let terminal = login(&mut site, &again);
    assert_eq!(command(&mut site, &*terminal, "ifconfig en3 | grep -c 10.3.3.5", SHORT), "1\n");
    assert_eq!(site.plugged(), 4);
}

#[test]
fn an_adapter_that_is_added_while_aix_runs_waits_for_cfgmgr() {
    let mut site = Site::new(15);
    let (aix, linux) = (guest(5, Personality::Aix), guest(6, Personality::Linux));
    start(&mut site, &aix);
    start(&mut site, &linux);
    let (one, two) = (login(&mut site, &aix), login(&mut site, &linux));
    for (number, guest) in [(5, &aix), (6, &linux)] {
        let adapter = GuestNetworkAdapter::untagged(
            VirtualSlot(9),
            MacAddress(0xFACC_0000_0000 + number),
            "ETHERNET0",
            20,
        );
        let change = AdapterChange::Put(GuestAdapter::Network(adapter));
        site.world.engine.change_adapter(guest.partition, change, 1).expect("on");
    }
    site.seconds(1);
    assert_eq!(site.plugged(), 4);
    assert!(
        command(&mut site, &*one, "chdev -l en1 -a netaddr=10.20.0.5", SHORT).contains("en1 was not found")
    );
    assert_eq!(
        command(&mut site, &*one, "cfgmgr; chdev -l en1 -a netaddr=10.20.0.5", SHORT),
        "en1 changed\n"
    );
    assert_eq!(command(&mut site, &*two, "ip addr add 10.20.0.6/24 dev eth1", SHORT), "");
    let shown = command(&mut site, &*one, "ping -c 1 10.20.0.6 | grep -c icmp_seq", Duration::from_secs(2));
    assert_eq!(shown, "1\n");
    // It is in use, and then it is not.
    let change = AdapterChange::Remove(AdapterAddress::Virtual(VirtualSlot(9)));
    site.world.take_events();
    site.world.engine.change_adapter(aix.partition, change.clone(), 2).expect("on");
    site.seconds(1);
    assert_eq!(site.plugged(), 4);
    assert_eq!(command(&mut site, &*one, "ifconfig en1 detach; rmdev -dl ent1", SHORT), "ent1 deleted\n");
    site.world.engine.change_adapter(aix.partition, change.clone(), 3).expect("on");
    site.world.engine.change_adapter(linux.partition, change, 4).expect("on");
    site.seconds(1);
    assert_eq!(site.plugged(), 2);
    assert_eq!(command(&mut site, &*two, "ip link show eth1", SHORT), "Device \"eth1\" does not exist.\n");
}

#[test]
fn a_virtual_io_server_plugs_in_and_others_speak_for_it() {
    let mut site = Site::new(16);
    let server = guest(1, Personality::VirtualIoServer);
    start(&mut site, &server);
    assert!(site.is_listening(server.partition));
    assert_eq!(site.plugged(), 1);
    assert_eq!(sessions(&site), [Some(vec![])]);
    site.ports.server_sessions(server.partition, &["hmc1".to_owned()]);
    site.ports.server_sessions(server.partition, &["hmc1".to_owned()]);
    site.seconds(1);
    assert_eq!(sessions(&site), [Some(vec!["hmc1".to_owned()])]);
    site.world.engine.fault(server.partition, GuestFault::Crash).expect("on");
    site.seconds(1);
    assert_eq!(site.plugged(), 0);
    assert!(!site.is_listening(server.partition));
}

#[test]
fn frames_for_which_a_guest_has_no_room_are_dropped_and_counted() {
    let mut site = Site::new(17);
    site.add(1, "10.1.1.250/24", "ETHERNET0", 1);
    let aix = guest(5, Personality::Aix);
    start(&mut site, &aix);
    let terminal = login(&mut site, &aix);
    let port =
        GuestPort { partition: aix.partition, adapter: AdapterAddress::Virtual(VirtualSlot(2)), index: 0 };
    let mut bytes = vec![0xFF; 6];
    bytes.extend([2, 0, 0, 0, 0, 1, 0x12, 0x34]);
    let mut frames = vec![varan_ethernet::Frame::new(bytes).expect("a frame"); 5_000];
    site.ports.receive(port, &mut frames);
    assert!(frames.is_empty());
    site.run(SHORT);
    let shown = command(&mut site, &*terminal, "entstat ent0 | grep -c 'No Resource Errors: 3976'", SHORT);
    assert_eq!(shown, "1\n");
}
