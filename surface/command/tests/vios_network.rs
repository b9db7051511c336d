//! Commands of the network on a server's authority with a network engine that says what the test wants.

#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use varan_block_engine::Fence;
use varan_command::vios::{self, ServerFiles, ViosInvocation};
use varan_contract::block::{BlockDevice, Epoch, Nexus, PathGeneration, Udid};
use varan_contract::engine::{
    AllowedAddresses, AllowedVlans, GuestLogicalPort, GuestNetworkAdapter, GuestVnicServer,
};
use varan_contract::network::{
    BridgeState, BridgeStatistics, ClientStatistics, NetworkDeviceStatistics, PingResult, PortStatistics,
    ServerNetwork, ServerNetworkConfiguration, ServerNetworkEvent, ServerNetworkEvents, VnicServerState,
};
use varan_contract::storage::{FabricUnit, Reservation, StorageArray, StorageError};
use varan_contract::vios::RequestId;
use varan_environment::{Environment, Monotonic, WallClock};
use varan_model::hardware::{PciFunction, SlotDescription, SlotPort};
use varan_model::ids::{
    LogicalPortId, MacAddress, PartitionId, PartitionUuid, VirtualSlot, WorldWidePortName,
};
use varan_model::vios::ViosMessage;
use varan_vios::{
    AdapterChange, AdapterKind, LocalDisk, ServerAdapter, ShutdownRequests, ViosAuthority, ViosSettings,
    ViosSpecification,
};

/// A storage network without disks.
struct NoArray;

impl StorageArray for NoArray {
    fn login(&self, _: WorldWidePortName, _: WorldWidePortName) -> Result<(), StorageError> {
        Err(StorageError::LinkDown)
    }

    fn logout(&self, _: WorldWidePortName) {}

    fn logged_in(&self, _: WorldWidePortName) -> Vec<WorldWidePortName> {
        Vec::new()
    }

    fn report_units(&self, _: WorldWidePortName) -> Result<Vec<FabricUnit>, StorageError> {
        Err(StorageError::LinkDown)
    }

    fn would_see(&self, _: WorldWidePortName) -> Result<Vec<FabricUnit>, StorageError> {
        Err(StorageError::LinkDown)
    }

    fn open(&self, _: WorldWidePortName, _: &Udid, _: &Nexus) -> Result<Arc<dyn BlockDevice>, StorageError> {
        Err(StorageError::LinkDown)
    }

    fn reserve(&self, _: WorldWidePortName, _: &Udid, _: Reservation) -> Result<(), StorageError> {
        Err(StorageError::LinkDown)
    }

    fn release(&self, _: WorldWidePortName, _: &Udid) {}

    fn epoch(&self, _: PartitionUuid) -> Result<Option<Epoch>, StorageError> {
        Ok(None)
    }

    fn revoke(&self, _: &Udid, _: &Nexus, _: PathGeneration) -> Result<(), StorageError> {
        Ok(())
    }
}

struct Nobody;

impl ShutdownRequests for Nobody {
    fn shutdown_requested(&self, _: bool, _: bool) {}
}

/// Time stands still at 2 December 2016, 19:48:06.
struct Still(AtomicU64);

impl Environment for Still {
    fn monotonic(&self) -> Monotonic {
        Monotonic::default()
    }

    fn wall_clock(&self) -> WallClock {
        WallClock(1_480_708_086_000_000_000)
    }

    fn random(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// What the engine says.
#[derive(Default)]
struct Engine {
    last: Mutex<ServerNetworkConfiguration>,
    vnics: Mutex<BTreeMap<u16, VnicServerState>>,
    resets: Mutex<Vec<String>>,
}

fn port() -> PortStatistics {
    PortStatistics {
        transmitted_frames: 359_754,
        transmitted_bytes: 35_975_400,
        received_frames: 272_450,
        received_bytes: 27_245_000,
        trunk_active: true,
        link_up: true,
        ..PortStatistics::default()
    }
}

impl ServerNetwork for Engine {
    fn configure(&self, configuration: ServerNetworkConfiguration) {
        *self.last.lock().expect("unpoisoned") = configuration;
    }

    fn statistics(&self, device: &str) -> Option<NetworkDeviceStatistics> {
        let last = self.last.lock().expect("unpoisoned");
        let bridge = last.bridges.iter().find(|bridge| bridge.device == device);
        let aggregation = last.aggregations.iter().find(|one| one.device == device);
        Some(NetworkDeviceStatistics {
            port: port(),
            elapsed_seconds: 10_361,
            bridge: bridge.map(|bridge| BridgeStatistics {
                state: BridgeState::PrimarySharing,
                bridging: bridge.virtuals.iter().take(1).cloned().collect(),
                priority: 1,
                real_side: [1, 2, 3, 4, 5, 6, 7, 8],
                virtual_side: [9, 10, 11, 12, 13, 14, 15, 0],
                generated: 16,
                generated_drops: 0,
                icmp_errors: 17,
                too_large: 18,
                control_packets: (605, 44_164),
                control_kinds: [456, 0, 1, 0],
                changes: (1, 2),
                control_vlan: 1_300,
                storms: 0,
            }),
            aggregation: aggregation.map(|one| (one.adapters.clone(), 0)),
        })
    }

    fn reset_statistics(&self, device: &str) {
        self.resets.lock().expect("unpoisoned").push(device.to_owned());
    }

    fn accounting(&self, _: &str) -> Vec<ClientStatistics> {
        vec![
            ClientStatistics {
                mac_address: MacAddress(0x5A0E_E6D2_E2C2),
                vlan: Some(706),
                priority: 0,
                address: Some("10.29.12.13".parse().expect("address")),
                transmitted: (19, 2_845),
                received: (20, 2_869),
            },
            ClientStatistics {
                mac_address: MacAddress(0x5A0E_E6D2_E2C3),
                vlan: None,
                priority: 0,
                address: None,
                transmitted: (1, 60),
                received: (3, 230),
            },
        ]
    }

    fn reset_accounting(&self, device: &str) {
        self.resets.lock().expect("unpoisoned").push(format!("{device} accounting"));
    }

    fn vnic_server(&self, slot: VirtualSlot) -> Option<VnicServerState> {
        self.vnics.lock().expect("unpoisoned").get(&slot.0).cloned()
    }

    fn vnic_client(&self, _: VirtualSlot) -> Option<(String, String)> {
        Some(("AIX".to_owned(), "ent0".to_owned()))
    }

    fn neighbours(&self) -> Vec<(Ipv4Addr, MacAddress, String)> {
        vec![([10, 0, 0, 254].into(), MacAddress(0x6E87_7000_4003), "en9".to_owned())]
    }

    fn interface(&self, name: &str) -> Option<PortStatistics> {
        (name != "lo0").then(port)
    }

    fn ping(&self, address: Ipv4Addr, count: u32, _: u16, _: Duration) -> PingResult {
        if address.octets()[3] == 9 {
            return PingResult { sent: count, answers: Vec::new(), unreachable: false };
        }
        let answers = (0..count).map(|number| (u16::try_from(number).expect("few"), 64, 1_200)).collect();
        PingResult { sent: count, answers, unreachable: false }
    }
}

/// A server with ports ent0 to ent2, a plain adapter ent3 (VLAN 1), trunks ent4 to ent7 (VLANs 10, 11, 12, 13; the first one
/// with VLANs 20 and 21 too), and a control channel ent8 (VLAN 99).
struct Server {
    vios: ViosAuthority,
    engine: Arc<Engine>,
    directory: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn ethernet(slot: u16, vlan: u16, tagged: &[u16], trunk: bool) -> ServerAdapter {
    let mac = MacAddress(0xFACC_1500_0000 + u64::from(slot));
    let mut adapter = GuestNetworkAdapter::untagged(VirtualSlot(slot), mac, "ETHERNET0", vlan);
    adapter.tagged_vlan_ids = tagged.to_vec();
    adapter.trunk_priority = trunk.then_some(1);
    let kind = AdapterKind::Ethernet(Box::new(adapter));
    ServerAdapter { slot: VirtualSlot(slot), kind, remote: None, remote_slot: None }
}

fn vnic(slot: u16, number: u32, location: &str, priority: u8) -> AdapterChange {
    let logical_port = GuestLogicalPort {
        id: LogicalPortId(number),
        location: location.into(),
        physical_port: location.rsplit_once('-').expect("a port").0.into(),
        description: "PCIe3 4-Port 10GbE SR Adapter".into(),
        mac_address: MacAddress(u64::from(number)),
        port_vlan_id: 3_455,
        port_vlan_priority: 0,
        allowed_vlans: AllowedVlans::All,
        allowed_addresses: AllowedAddresses::All,
        promiscuous: false,
        capacity: 200,
        maximum_capacity: 10_000,
        offered_address: None,
    };
    let kind = AdapterKind::VnicServer(Box::new(GuestVnicServer {
        slot: VirtualSlot(slot),
        client: PartitionId(6),
        client_name: "lizard".into(),
        client_slot: VirtualSlot(6),
        priority,
        logical_port,
    }));
    AdapterChange::Add(ServerAdapter {
        slot: VirtualSlot(slot),
        kind,
        remote: Some(PartitionId(6)),
        remote_slot: Some(VirtualSlot(6)),
    })
}

fn server_with(adapters: Vec<ServerAdapter>, ports: u64) -> Server {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("varan-vios-commands-{}-{number}", std::process::id()));
    let engine = Arc::new(Engine::default());
    let settings = ViosSettings {
        partition: PartitionUuid(0xA001),
        directory: directory.join("vios"),
        level: "2.2.5.10".into(),
        platform_level: "6.1.0.0".into(),
        time_scale: 1.0,
        initial_network: None,
    };
    let environment = Arc::new(Still(AtomicU64::new(1)));
    let vios = ViosAuthority::open(
        &settings,
        environment,
        Arc::new(NoArray),
        Fence::new(),
        Arc::new(Nobody),
        engine.clone(),
    )
    .expect("opens");
    let location = "U78CA.001.CSS08ZN-P1-C7".to_owned();
    let slot = SlotDescription {
        drc_index: 0x2101_0300,
        bus: 514,
        unit: "U78CA.001.CSS08ZN".into(),
        description: "Ethernet".into(),
        occupied: ports > 0,
        function: PciFunction::default(),
        ports: (1..=ports)
            .map(|number| SlotPort {
                location: format!("{location}-T{number}"),
                mac_address: Some(MacAddress(0x00C0_0000_0000 + number)),
                port_name: None,
            })
            .collect(),
        location,
    };
    let specification = ViosSpecification {
        generation: 1,
        hostname: "vios1".into(),
        name: "vios1".into(),
        id: PartitionId(1),
        machine: "9119-MME*659707C".parse().expect("machine"),
        firmware: "IBM,FW860.10 (SC860_056)".into(),
        memory: 8_192,
        processors: 2,
        adapters,
        logical_ports: Vec::new(),
        slots: vec![slot],
        local_disks: vec![LocalDisk {
            location: "U78CA.001.CSS08ZN-P2-D1".into(),
            adapter: None,
            megabytes: 139_264,
            file: directory.join("boot.disk"),
            identifier: None,
            boot: true,
        }],
        disk_names: Vec::new(),
    };
    vios.boot(specification).expect("boots");
    Server { vios, engine, directory }
}

fn server() -> Server {
    let adapters = vec![
        ethernet(2, 1, &[], false),
        ethernet(10, 10, &[20, 21], true),
        ethernet(11, 11, &[], true),
        ethernet(12, 12, &[], true),
        ethernet(13, 13, &[], true),
        ethernet(20, 99, &[], false),
    ];
    server_with(adapters, 3)
}

struct NoFiles;

impl ServerFiles for NoFiles {
    fn upload(&self, _: &str) -> Result<String, ViosMessage> {
        Err(ViosMessage::FileUnreadable)
    }

    fn read(&self, _: &str, _: u64) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

fn run_with(server: &Server, root: bool, line: &str, input: &str) -> (u8, String, String) {
    static REQUEST: AtomicU64 = AtomicU64::new(1);
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let (command, arguments) = words.split_first().expect("command");
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let mut input: Box<dyn Read> = Box::new(std::io::Cursor::new(input.as_bytes().to_vec()));
    let mut invocation = ViosInvocation {
        server: &server.vios,
        request_id: &|| RequestId(REQUEST.fetch_add(1, Ordering::Relaxed).into()),
        root,
        arguments,
        input: &mut input,
        output: &mut output,
        errors: &mut errors,
        files: &NoFiles,
    };
    let status = vios::run(command, &mut invocation);
    (status, String::from_utf8(output).expect("text"), String::from_utf8(errors).expect("text"))
}

/// What a command prints that must succeed.
fn ok(server: &Server, root: bool, line: &str) -> String {
    let (status, output, errors) = run_with(server, root, line, "");
    assert_eq!((status, errors.as_str()), (0, ""), "{line}: {output}");
    output
}

/// First line and status of a command that is refused.
fn refused(server: &Server, line: &str) -> (u8, String) {
    let (status, output, errors) = run_with(server, false, line, "");
    assert!(status != 0 && output.is_empty(), "{line}: {output}");
    (status, errors.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn shared_ethernet_adapters_as_in_the_seeds() {
    let server = server();
    // P240.
    let line = "mkvdev -sea ent1 -vadapter ent4,ent5,ent6,ent7 -default ent4 -defaultid 10 -attr ctl_chan=ent8 ha_mode=sharing largesend=1 large_receive=yes";
    assert_eq!(ok(&server, false, line), "ent9 Available\nen9\net9\n");
    assert_eq!(
        ok(&server, false, "lsmap -vadapter ent4 -net"),
        "SVEA   Physloc\n\
         ------ --------------------------------------------\n\
         ent4   U9119.MME.659707C-V1-C10-T1\n\n\
         SEA                   ent9\nBacking device        ent1\nStatus                Available\n\
         Physloc               U78CA.001.CSS08ZN-P1-C7-T2\n\n"
    );
    assert_eq!(
        ok(&server, false, "lsmap -all -net -fmt :").lines().next(),
        Some("ent3:U9119.MME.659707C-V1-C2-T1: : : : ")
    );
    assert_eq!(
        ok(&server, false, "lsmap -all -net -field svea sea -fmt2 ,"),
        "ent3,\nent4,ent9\nent5,ent9\nent6,ent9\nent7,ent9\nent8,\n"
    );
    assert_eq!(ok(&server, false, "lsdev -dev ent9 -attr ha_mode"), "value\n\nsharing\n");
    assert_eq!(ok(&server, false, "lsdev -dev ent9 -range ha_mode"), "disabled\nauto\nstandby\nsharing\n");
    let attributes = ok(&server, true, "lsattr -El ent9");
    let words: Vec<&str> = attributes
        .lines()
        .find(|line| line.starts_with("virt_adapters"))
        .expect("there")
        .split(' ')
        .collect();
    assert_eq!((words[0], words.contains(&"ent4,ent5,ent6,ent7")), ("virt_adapters", true));
    assert_eq!(ok(&server, false, "chdev -dev ent9 -attr ha_mode=standby"), "ent9 changed\n");
    assert_eq!(ok(&server, false, "rmvdev -sea ent9"), "ent9 deleted\n");
    // P233.
    let one = server_with(
        vec![
            ethernet(2, 2, &[], false),
            ethernet(10, 1, &[], true),
            ethernet(11, 5, &[], false),
            ethernet(20, 99, &[], false),
        ],
        3,
    );
    let devices = ok(&one, false, "lsdev -type ent4sea -field name");
    assert!(devices.ends_with("ent4\nent5\nent6\n"), "{devices}");
    let line = "mkvdev -sea ent0 -vadapter ent4 -default ent4 -defaultid 1 -attr ha_mode=auto ctl_chan=ent6";
    assert_eq!(ok(&one, false, line), "ent7 Available\nen7\net7\n");
}

#[test]
fn the_state_of_a_shared_ethernet_adapter() {
    let server = server();
    ok(
        &server,
        false,
        "mkvdev -sea ent0 -vadapter ent4 ent5 -default ent4 -defaultid 10 -attr ha_mode=sharing ctl_chan=ent8 large_receive=yes accounting=enabled",
    );
    let text = ok(&server, false, "entstat -all ent9");
    let start = "-------------------------------------------------------------\n\
        ETHERNET STATISTICS (ent9) :\n\
        Device Type: Shared Ethernet Adapter\n\
        Hardware Address: 00:c0:00:00:00:01\n\
        Elapsed Time: 0 days 2 hours 52 minutes 41 seconds\n\n\
        Transmit Statistics:                          Receive Statistics:\n\
        --------------------                          -------------------\n\
        Packets: 359754                               Packets: 272450\n\
        Bytes: 35975400                               Bytes: 27245000\n\
        Interrupts: 0                                 Interrupts: 272450\n";
    assert!(text.starts_with(start), "{text}");
    let failover = "High Availability Statistics:\n    Control Channel PVID: 1300\n    Control Packets in: 605\n    \
        Control Packets out: 44164\nType of Packets Received:\n    Keep-Alive Packets: 456\n    Recovery Packets: 0\n    \
        Notify Packets: 1\n    Limbo Packets: 0\n    State: PRIMARY_SH\n    Bridge Mode: Partial\n    VID shared: 10 20 21\n    \
        Number of Times Server became Backup: 1\n    Number of Times Server became Primary: 2\n    \
        High Availability Mode: Sharing\n    Priority: 1\n\
        --------------------------------------------------------------\nReal Adapter: ent0\n\n\
        ETHERNET STATISTICS (ent0) :\n";
    assert!(text.contains(failover), "{text}");
    for part in [
        "Number of adapters: 3\nSEA Flags: 00000033\n    < THREAD >\n    < LARGESEND >\n    < LARGE_RECEIVE >\n    < ACCOUNTING >\nVLAN Ids :\n    ent4: 10 20 21\n    ent5: 11\nReal Side Statistics:\n    Packets received: 1\n",
        "    Packets filtered(VlanId): 7\n    Packets filtered(Reserved address): 8\nVirtual Side Statistics:\n    Packets received: 9\n",
        "Virtual Adapter: ent4\n\nETHERNET STATISTICS (ent4) :\nDevice Type: Virtual I/O Ethernet Adapter (l-lan)\nHardware Address: fa:cc:15:00:00:0a\n",
        "Trunk Adapter: True\n  Priority: 1  Active: True\n",
        "Port VLAN ID:    10\nVLAN Tag IDs:    20    21\n\nSwitch ID: ETHERNET0\n",
        "Control Adapter: ent8\n\nETHERNET STATISTICS (ent8) :\n",
        "Trunk Adapter: False\nFilter MCast Mode: False\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // Without -d, AIX's command leaves the drivers' own parts out; the name is the one that was given.
    let short = ok(&server, true, "entstat en9");
    assert!(short.contains("ETHERNET STATISTICS (en9) :") && !short.contains("High Availability"), "{short}");
    assert!(ok(&server, true, "netstat -v").contains("  Priority: 1  Active: True"));
    ok(&server, false, "entstat -reset ent9");
    let accounted = ok(&server, false, "seastat -d ent9 -n");
    assert!(
        accounted.starts_with(&format!(
            "\n{0}\n\nAdvanced Statistics for SEA\nDevice Name: ent9 \n\n{0}\nMAC: 5A:0E:E6:D2:E2:C2\n",
            "=".repeat(80)
        )),
        "{accounted}"
    );
    assert!(accounted.contains("VLAN: None\nVLAN Priority: 0\n\nTransmit"), "{accounted}");
    assert!(!ok(&server, false, "seastat -d ent9 -s vlan=706").contains("E2:C3"));
    ok(&server, false, "seastat -d ent9 -c");
    assert_eq!(*server.engine.resets.lock().expect("unpoisoned"), ["ent9", "ent9 accounting"]);
    assert_eq!(refused(&server, "seastat -d ent0"), (1, "\"ent0\" is not a Shared Ethernet Adapter.".into()));
    assert_eq!(refused(&server, "entstat hdisk0").0, 4);
    assert_eq!(refused(&server, "entstat -all nosuch").0, 2);
}

#[test]
fn aggregations_and_vlans() {
    let server = server();
    let line = "mkvdev -lnagg ent0 ent1 -attr mode=8023ad hash_mode=src_dst_port";
    assert_eq!(ok(&server, false, line), "ent9 Available\nen9\net9\n");
    let text = ok(&server, true, "entstat -d ent9");
    for part in [
        "Device Type: IEEE 802.3ad Link Aggregation\nHardware Address: 00:c0:00:00:00:01\n",
        "Statistics for every adapter in the IEEE 802.3ad Link Aggregation:\n------------------------------------------------------------------\n\nNumber of primary adapters: 2\nNumber of backup adapters: 0\nActive channel: primary channel\nOperating mode: Standard mode (IEEE 802.3ad)\nIEEE 802.3ad Link Aggregation Statistics:\nPrimary Aggregation status: Aggregated\n",
        "Hash mode: Source and destination TCP/UDP ports\n",
        "                     PRIMARY ADAPTERS\n",
        "ETHERNET STATISTICS (ent1) :\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(ok(&server, false, "cfglnagg -add -backup ent9 ent2"), "ent9 changed\n");
    assert_eq!(ok(&server, false, "lsdev -dev ent9 -attr backup_adapter"), "value\n\nent2\n");
    assert_eq!(ok(&server, false, "cfglnagg -rm -backup ent9 ent2"), "ent9 changed\n");
    assert_eq!(refused(&server, "cfglnagg -failover ent9").0, 1);
    assert_eq!(ok(&server, false, "mkvdev -vlan ent9 -tagid 3"), "ent10 Available\nen10\net10\n");
    assert!(ok(&server, true, "entstat ent10").contains("Device Type: \n"));
    assert_eq!(
        refused(&server, "mkvdev -vlan ent9 -tagid 4095").1,
        "\"4095\" is not a valid VLAN ID. Valid IDs are 1 to 4094."
    );
    assert_eq!(ok(&server, false, "rmvdev -vlan ent10"), "ent10 deleted\n");
    let removed = ok(&server, false, "rmdev -dev ent9");
    assert_eq!(removed, "en9 deleted\net9 deleted\nent9 deleted\n");
}

#[test]
fn addresses_names_and_routes() {
    let server = server();
    let line = "mktcpip -hostname di-vios1 -inetaddr 10.0.12.83 -netmask 255.255.255.0 -interface en0 -start -gateway 10.0.12.254";
    assert_eq!(ok(&server, false, line), "en0\ninet0 changed\nen0 changed\n");
    assert_eq!(ok(&server, false, "hostname"), "di-vios1\n");
    let rows = ok(&server, false, "lstcpip -interfaces");
    assert_eq!(rows.lines().nth(3), Some("en0  10.0.12.83 255.255.255.0 up    00:c0:00:00:00:01"), "{rows}");
    assert_eq!(
        ok(&server, false, "lstcpip -interfaces -fmt :"),
        "en0:10.0.12.83:255.255.255.0:up:00:c0:00:00:00:01\n"
    );
    assert!(
        ok(&server, false, "lstcpip -stored")
            .contains("    Address = 10.0.12.83\n    Netmask = 255.255.255.0\n    State = up\n")
    );
    let states = ok(&server, false, "lstcpip -num");
    assert_eq!(
        states.lines().nth(2),
        Some("en0   1500  10.0.12     10.0.12.83          272450     0   359754     0     0")
    );
    assert!(ok(&server, false, "netstat -state").contains(" di-vios1 "));
    assert_eq!(ok(&server, true, "netstat -in"), states);
    let routes = ok(&server, false, "netstat -routinfo");
    assert!(
        routes.contains("default            10.0.12.254       UG        0         0 en0      -      -\n"),
        "{routes}"
    );
    assert_eq!(ok(&server, true, "netstat -rn"), ok(&server, false, "lstcpip -routtable -num"));
    assert_eq!(
        ok(&server, false, "chtcpip -gateway -add 10.0.12.253 -remove 10.0.12.254"),
        "inet0 changed\n"
    );
    assert_eq!(ok(&server, false, "chtcpip -gateway -network 10.9.0.0/16 -add 10.0.12.1"), "inet0 changed\n");
    assert!(ok(&server, true, "netstat -rn").contains("10.9/16            10.0.12.1         UG"));
    ok(&server, false, "hostmap -addr 10.0.12.9 -hosts server1 alias");
    assert!(ok(&server, false, "hostmap -ls").ends_with("10.0.12.83\tdi-vios1\n10.0.12.9\tserver1 alias\n"));
    ok(&server, false, "cfgnamesrv -add -ipaddr 10.0.12.2");
    ok(&server, false, "cfgnamesrv -add -dname example.com");
    assert_eq!(ok(&server, false, "lstcpip -namesrv"), "nameserver 10.0.12.2\ndomain example.com\n");
    assert_eq!(
        ok(&server, true, "ping -c 2 10.0.12.254"),
        "PING 10.0.12.254: (10.0.12.254): 56 data bytes\n\
         64 bytes from 10.0.12.254: icmp_seq=0 ttl=64 time=1 ms\n\
         64 bytes from 10.0.12.254: icmp_seq=1 ttl=64 time=1 ms\n\n\
         --- 10.0.12.254 ping statistics ---\n\
         2 packets transmitted, 2 packets received, 0% packet loss\n\
         round-trip min/avg/max = 1/1/1 ms\n"
    );
    let (status, lost, _) = run_with(&server, false, "ping server1 56 3", "");
    assert_eq!(status, 1);
    assert!(lost.ends_with("3 packets transmitted, 0 packets received, 100% packet loss\n"), "{lost}");
    assert_eq!(run_with(&server, false, "ping nowhere", "").0, 1);
    assert!(
        ok(&server, true, "arp -a")
            .starts_with("  ? (10.0.0.254) at 6e:87:70:0:40:3 [ethernet] stored in bucket ")
    );
    let shown = ok(&server, true, "ifconfig -a");
    assert!(shown.contains("        inet 10.0.12.83 netmask 0xffffff00 broadcast 10.0.12.255\n"), "{shown}");
    assert_eq!(ok(&server, false, "chdev -dev en0 -attr netaddr=10.0.12.84 state=up"), "en0 changed\n");
    let (status, question, _) = run_with(&server, false, "rmtcpip -all", "n\n");
    assert_eq!((status, question.lines().count()), (1, 1));
    ok(&server, false, "rmtcpip -f -all");
    assert_eq!(ok(&server, false, "lstcpip -interfaces").lines().count(), 3);
}

#[test]
fn virtual_nics_as_in_the_seeds() {
    let server = server_with(Vec::new(), 3);
    server
        .vios
        .adapter_change(vnic(32_897, 0x2700_4001, "U78CA.001.CSS08ZN-P1-C3-C1-T1-S1", 30))
        .expect("added");
    let removed = AdapterChange::Remove(VirtualSlot(32_897));
    server
        .vios
        .adapter_change(vnic(32_898, 0x2700_4005, "U78CA.001.CSS08ZN-P1-C3-C1-T2-S5", 10))
        .expect("added");
    server
        .vios
        .adapter_change(vnic(32_899, 0x2700_c006, "U78CA.001.CSS08EL-P1-C3-C1-T2-S6", 20))
        .expect("added");
    server.vios.adapter_change(removed).expect("removed");
    let state = VnicServerState {
        active: true,
        operational: true,
        client_known: true,
        priority: 10,
        statistics: port(),
    };
    let ready = VnicServerState { active: false, client_known: false, priority: 20, ..state.clone() };
    server.engine.vnics.lock().expect("unpoisoned").extend([(32_898, state), (32_899, ready)]);
    // P005, P006.
    let listed = ok(&server, true, "lsdev -type adapter -field name physloc description");
    assert!(listed.contains("ent4             U78CA.001.CSS08ZN-P1-C3-C1-T2-S5                                  PCIe3 4-Port 10GbE SR Adapter VF(df1028e21410e304)\n"), "{listed}");
    let listed = ok(&server, true, "lsdev -type adapter -virtual");
    assert!(
        listed.contains(
            "vnicserver1      Available   Virtual NIC Server Device (vnicserver)\nvnicserver2      Available"
        ),
        "{listed}"
    );
    // P007, P008.
    assert_eq!(
        ok(&server, true, "lsmap -all -vnic -fmt :"),
        "vnicserver1:U9119.MME.659707C-V1-C32898:6:lizard:AIX:ent4:Available:U78CA.001.CSS08ZN-P1-C3-C1-T2-S5:ent0:U9119.MME.659707C-V6-C6\n\
         vnicserver2:U9119.MME.659707C-V1-C32899:6:N/A:N/A:ent5:Available:U78CA.001.CSS08EL-P1-C3-C1-T2-S6:N/A:U9119.MME.659707C-V6-C6\n"
    );
    let long = ok(&server, true, "lsmap -all -vnic");
    let second = "Name          Physloc                            ClntID ClntName       ClntOS \n\
        ------------- ---------------------------------- ------ -------------- -------\n\
        vnicserver2   U9119.MME.659707C-V1-C32899             6 N/A            N/A\n\n\
        Backing device:ent5\nStatus:Available\nPhysloc:U78CA.001.CSS08EL-P1-C3-C1-T2-S6\n\
        Client device name:N/A\nClient device physloc:U9119.MME.659707C-V6-C6\n\n";
    assert!(long.ends_with(second), "{long}");
    assert_eq!(ok(&server, true, "lsmap -all -vnic -cpid 7").lines().count(), 2);
    assert_eq!(
        ok(&server, true, "lsmap -vadapter vnicserver1 -vnic -field name backing clntname -fmt ,"),
        "vnicserver1,ent4,lizard\n"
    );
    assert_eq!(
        ok(&server, true, "lsmap -plc U9119.MME.659707C-V1-C32898 -vnic -field Name -fmt :"),
        "vnicserver1\n"
    );
    // P009, mistyped by its author.
    assert_eq!(
        refused(&server, "lsmap -all -vnic -vadapter"),
        (1, "Option flag -vadapter requires an argument.".into())
    );
    assert_eq!(refused(&server, "lsmap -vadapter ent4 -vnic").0, 88);
    // P010.
    let rule = "-".repeat(80);
    let under = format!("{:<40}", "------------------");
    assert_eq!(
        ok(&server, true, "vnicstat vnicserver1"),
        format!(
            "\n{rule}\nVNIC Server Statistics: vnicserver1\n{rule}\nDevice Statistics:\n{under}\nState: active\n\
             Backing Device Name: ent4\n\nFailover State: active\nFailover Readiness: operational\nFailover Priority: 10\n\n\
             Client Partition ID: 6\nClient Partition Name: lizard\nClient Operating System: AIX\nClient Device Name: ent0\n\
             Client Device Location Code: U9119.MME.659707C-V6-C6\n"
        )
    );
    let inactive = ok(&server, true, "vnicstat vnicserver2");
    assert!(
        inactive.contains("State: config_2\n")
            && inactive.ends_with(
                "Failover State: inactive\nFailover Readiness: operational\nFailover Priority: 20\n"
            ),
        "{inactive}"
    );
    assert!(
        ok(&server, true, "vnicstat -d vnicserver1")
            .contains("TX Sub-CRQ 1:                           RX Sub-CRQ 1:\n")
    );
    assert!(ok(&server, true, "vnicstat -b vnicserver1").contains("Physical Port Link Status: Up\n"));
    // vnicstat is a command of root's.
    assert!(!vios::knows("vnicstat", false) && vios::knows("vnicstat", true));
    // P021, as it was meant.
    for device in ["vnicserver1", "vnicserver2"] {
        server.vios.network_event(ServerNetworkEvent::VnicLogin { device: device.into() });
    }
    server.vios.check_paths();
    let log = ok(&server, true, "errpt");
    assert!(log.contains("60D73419   1202194816 I S vnicserver1    VNIC Client Login\n"), "{log}");
}
