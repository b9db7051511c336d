//! Guests in a network.

mod common;
mod switch;

use std::net::Ipv4Addr;
use std::time::Duration;

use common::{disk, reports, specification};
use switch::Site;
use varan_contract::engine::{
    AdapterAddress, AdapterChange, AllowedAddresses, AllowedVlans, Generation, GuestAdapter, GuestFault,
    GuestNetworkAdapter, GuestSpecification, GuestTerminal, GuestVnicAdapter, PartitionEngine, Personality,
    StopRequest,
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
}
