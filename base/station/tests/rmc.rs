//! Partitions and consoles.

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::Cable;
use varan_environment::Monotonic;
use varan_station::rmc::{Client, Identity, Reason, Server, ServerEvent};
use varan_station::{Direction, Rule};

/// One console at the first station, partitions at the others.
struct Site {
    cable: Cable,
    console: Server,
    partitions: Vec<Client>,
    changes: Vec<u32>,
}

fn identity(node_id: u64, partition: u16) -> Identity {
    Identity {
        node_id,
        partition,
        name: format!("lpar{partition}"),
        system: "8286-42A*1234567".into(),
        operating_system: "AIX 7.2".into(),
    }
}

impl Site {
    fn new(nodes: &[u64], console: &str) -> Self {
        let mut cable = Cable::new(11);
        cable.add();
        let mut server = Server::new("hmc1", 99);
        let now = cable.now;
        server.set_running(now, &mut cable.stations[0], true);
        let address: IpAddr = console.parse().expect("an address");
        let mut partitions = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            let station = cable.add();
            let mut client = Client::new(identity(*node, at as u16 + 1));
            client.set_consoles(now, &mut cable.stations[station], &[("hmc1".into(), address)]);
            client.set_running(now, &mut cable.stations[station], true);
            partitions.push(client);
        }
        let changes = vec![0; nodes.len()];
        Self { cable, console: server, partitions, changes }
    }

    fn work(&mut self) {
        let now = self.cable.now;
        self.console.poll(now, &mut self.cable.stations[0]);
        for (at, client) in self.partitions.iter_mut().enumerate() {
            if client.poll(now, &mut self.cable.stations[at + 1]) {
                self.changes[at] += 1;
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.cable.now.after(time);
        while self.cable.now < end {
            self.work();
            let dues = self.partitions.iter().map(Client::next_due).chain([self.console.next_due()]);
            let next: Monotonic = dues.flatten().min().map_or(end, |due| due.min(end)).max(self.cable.now);
            self.cable.step(next);
        }
        self.work();
    }

    fn sessions(&self) -> Vec<usize> {
        self.partitions.iter().map(|client| client.established().len()).collect()
    }
}

#[test]
fn sessions_come_up_by_both_protocols_and_last() {
    for console in ["10.0.0.1", "fe80::ff:fe00:1"] {
        let mut site = Site::new(&[1, 2, 3], console);
        site.run(Duration::from_secs(5));
        assert_eq!(site.sessions(), [1, 1, 1], "{console}");
        assert_eq!(site.console.sessions().count(), 3);
        site.run(Duration::from_secs(3_600));
        assert_eq!((site.sessions(), &site.changes[..]), (vec![1, 1, 1], &[1, 1, 1][..]));
        let names: Vec<_> = site.console.sessions().map(|session| session.partition.name.clone()).collect();
        assert_eq!(names, ["lpar1", "lpar2", "lpar3"]);
    }
}

#[test]
fn the_capture_has_the_lengths_of_the_novalink_listing() {
    let mut site = Site::new(&[1], "fe80::ff:fe00:1");
    site.cable.stations[1].capture_start(None, 2_000, 1_000);
    site.run(Duration::from_secs(5));
    let mut tcp = Vec::new();
    let mut udp = Vec::new();
    for frame in site.cable.stations[1].capture_take() {
        let Some(packet) = varan_station::packet::read(&frame.bytes[14..]) else {
            continue; // ARP
        };
        match packet.protocol {
            6 => {
                let data = packet.payload.len() - usize::from(packet.payload[12] >> 4) * 4;
                if data > 0 {
                    tcp.push((frame.outgoing, data));
                }
            }
            17 => udp.push((frame.outgoing, packet.payload.len() - 8)),
            _ => {}
        }
    }
    let wanted = [208, 168, 80, 72, 152].map(|length| [(true, length), (false, 96)]).concat();
    assert_eq!(tcp, wanted);
    assert_eq!(udp, [(false, 88), (true, 88)]);
}

#[test]
fn a_way_that_is_cut_ends_the_session_on_both_sides_and_it_comes_back() {
    let mut site = Site::new(&[1, 2], "10.0.0.1");
    site.run(Duration::from_secs(5));
    site.console.take_events();
    site.cable.cut = vec![1];
    site.run(Duration::from_secs(60));
    assert_eq!(site.sessions(), [0, 1]);
    let events = site.console.take_events();
    assert!(
        matches!(&events[..], [ServerEvent::Lost(session, Reason::Silent)] if session.partition.name == "lpar1")
    );
    site.cable.cut.clear();
    site.run(Duration::from_secs(120));
    assert_eq!(site.sessions(), [1, 1]);
}

#[test]
fn a_firewall_that_drops_either_protocol_leaves_no_session() {
    for protocol in [6, 17] {
        let mut site = Site::new(&[1], "10.0.0.1");
        let mut rule = Rule::new(Direction::In, false);
        rule.protocol = Some(protocol);
        site.cable.stations[1].set_rules(vec![rule]);
        site.run(Duration::from_secs(300));
        assert_eq!((site.sessions(), site.console.sessions().count()), (vec![0], 0), "protocol {protocol}");
        assert_eq!(site.changes, [0]);
        assert!(matches!(
            site.partitions[0].sessions()[0].state,
            Err(Reason::NoAnswer | Reason::Silent | Reason::Ended)
        ));
        site.cable.stations[1].set_rules(Vec::new());
        site.run(Duration::from_secs(120));
        assert_eq!(site.sessions(), [1]);
    }
}

#[test]
fn two_with_one_node_id_never_keep_a_session_until_one_gets_its_own() {
    let mut site = Site::new(&[7, 7], "10.0.0.1");
    // Frames keep their order, so that the word why comes before the end of the connection.
    site.cable.delay = Duration::ZERO;
    site.run(Duration::from_secs(600));
    assert!(site.changes.iter().all(|changes| *changes > 10), "both flap: {:?}", site.changes);
    assert!(
        site.partitions.iter().any(|client| {
            client.sessions().iter().any(|session| session.state == Err(Reason::SameNodeId))
        })
    );
    let now = site.cable.now;
    site.partitions[1].set_identity(now, &mut site.cable.stations[2], identity(8, 2));
    site.run(Duration::from_secs(120));
    let before = site.changes.clone();
    assert_eq!(site.sessions(), [1, 1]);
    site.run(Duration::from_secs(600));
    assert_eq!(site.changes, before, "it lasts");
}

#[test]
fn a_console_that_is_started_anew_finds_its_partitions_again() {
    let mut site = Site::new(&[1, 2], "10.0.0.1");
    site.run(Duration::from_secs(5));
    let now = site.cable.now;
    site.console.set_running(now, &mut site.cable.stations[0], false);
    site.run(Duration::from_secs(30));
    assert_eq!(site.sessions(), [0, 0]);
    let now = site.cable.now;
    site.console.set_running(now, &mut site.cable.stations[0], true);
    site.run(Duration::from_secs(120));
    assert_eq!(site.sessions(), [1, 1]);
}
