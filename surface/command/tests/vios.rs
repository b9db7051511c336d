//! Listings of a Virtual I/O Server against the seeds' and captured ones, from a server that has one answer for each
//! question, and the refusals of bad command lines.

#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use varan_command::vios::{self, ServerFiles, ViosInvocation};
use varan_contract::vios::{
    AttributeValue, CommandLogEntry, DeviceOutcome, DeviceQuery, DeviceSelector, NpivPort, RequestId, Select,
    ViosAnswer, ViosCallError, ViosChange, ViosDone, ViosIdentity, ViosLink, ViosQuery,
};
use varan_model::ids::{PartitionId, PartitionUuid, WorldWidePortName};
use varan_model::vios::device::DeviceDetail;
use varan_model::vios::{
    Backing, Device, DeviceKind, DeviceName, DeviceState, DiskPath, ErrorEntry, ErrorTemplate,
    FibreChannelMapping, MediaAccess, Medium, PathState, PhysicalVolume, PortStatus, Repository, ScsiMapping,
    TargetMapping, ViosMessage, ViosRefusal, VirtualFibreChannelFlags,
};

struct Server {
    changes: Mutex<Vec<ViosChange>>,
    licence_accepted: bool,
}

fn name(text: &str) -> DeviceName {
    text.parse().expect("device name")
}

fn device(text: &str, kind: DeviceKind, location: &str) -> Arc<Device> {
    Arc::new(Device {
        name: name(text),
        kind,
        state: DeviceState::Available,
        location: location.to_owned(),
        parent: None,
        description: (kind == DeviceKind::EthernetAdapter)
            .then(|| "PCIe3 4-Port 10GbE SR Adapter VF(df1028e21410e304)".to_owned()),
        attributes: BTreeMap::new(),
        pending: BTreeMap::new(),
        detail: DeviceDetail::None,
    })
}

fn devices() -> Vec<Arc<Device>> {
    vec![
        device("ent3", DeviceKind::EthernetAdapter, "U78CA.001.CSS08ZN-P1-C3-C1-T2-S5"),
        device("vasi0", DeviceKind::Vasi, "U9119.MME.659707C-V1-C32769"),
        device("vhost0", DeviceKind::VirtualScsiServer, "U8286.41A.21AFF8V-V2-C40"),
        device("vioslpm0", DeviceKind::LivePartitionMobility, ""),
    ]
}

fn target(text: &str, lun: u64, backing: Backing) -> TargetMapping {
    TargetMapping {
        name: name(text),
        state: DeviceState::Available,
        lun,
        backing,
        backing_location: String::new(),
        mirrored: None,
    }
}

fn scsi() -> Vec<ScsiMapping> {
    let unit =
        Backing::Unit { name: "nova_b1".to_owned(), identifier: 0x7f86_3bac_b45e_3b32_2588_64e4_9943_3b52 };
    let medium = Backing::Medium(Some("PowerVM_NovaLink_V1.1_122015.iso".to_owned()));
    let first = ScsiMapping {
        adapter: name("vhost0"),
        location: "U8286.41A.21AFF8V-V2-C40".to_owned(),
        client: Some(PartitionId(3)),
        targets: vec![
            target("nova_b1", 0x8100_0000_0000_0000, unit),
            target("vtopt0", 0x8200_0000_0000_0000, medium),
        ],
    };
    let empty = ScsiMapping {
        adapter: name("vhost6"),
        location: "U9119.FHB.8297FCR-V3-C111".to_owned(),
        client: None,
        targets: Vec::new(),
    };
    vec![first, empty]
}

fn fibre_channel() -> FibreChannelMapping {
    FibreChannelMapping {
        adapter: name("vfchost3"),
        location: "U9119.FHB.8297FCR-V3-C311".to_owned(),
        client: Some(PartitionId(11)),
        client_name: "AIX1".to_owned(),
        client_operating_system: "AIX".to_owned(),
        status: PortStatus::LoggedIn,
        port: Some((name("fcs0"), "U5873.001.992014K-P1-C6-T1".to_owned())),
        names_logged_in: vec![WorldWidePortName(0xc050_7607_27c5_007a)],
        ports_logged_in: 2,
        flags: VirtualFibreChannelFlags(0xa),
        client_device: "fcs0".to_owned(),
        client_location: "U9119.FHB.8297FCR-V11-C33".to_owned(),
    }
}

fn volumes() -> Vec<PhysicalVolume> {
    let volume = |text: &str, pvid: Option<&str>, group: Option<&str>, lun: u8| PhysicalVolume {
        name: name(text),
        pvid: pvid.map(|pvid| pvid.parse().expect("PVID")),
        volume_group: group.map(str::to_owned),
        active: group.is_some(),
        megabytes: 61_440,
        udid: format!("33213600507680C80000000000000000{lun:02X}04214503IBMfcp").parse().expect("UDID"),
        location: String::new(),
        used: group.is_some(),
    };
    vec![
        volume("hdisk0", Some("00fa32e092a2bb20"), Some("rootvg"), 0),
        volume("hdisk988", Some("00ced82ce999d6f3"), None, 1),
        volume("hdisk989", None, None, 2),
    ]
}

fn attribute(text: &str, value: &str, description: &str, settable: bool) -> AttributeValue {
    AttributeValue {
        name: text.to_owned(),
        value: value.to_owned(),
        description: description.to_owned(),
        settable,
        range: vec!["1...8 (+1)".to_owned()],
    }
}

fn unknown(selector: &DeviceSelector) -> ViosCallError {
    let (DeviceSelector::Name(text) | DeviceSelector::Location(text)) = selector;
    ViosRefusal::new(ViosMessage::DeviceUnknown).with(text).into()
}

fn identity(licence_accepted: bool) -> ViosIdentity {
    ViosIdentity {
        hostname: "vios2".to_owned(),
        partition_name: "vios2".to_owned(),
        partition_id: PartitionId(2),
        partition: PartitionUuid::from_random(1),
        machine: "9119-MME*659707C".parse().expect("machine"),
        level: "2.2.5.10".to_owned(),
        platform_level: "6.1.0.0".to_owned(),
        licence_accepted,
        seconds: 0,
    }
}

impl ViosLink for Server {
    fn ask(&self, query: ViosQuery) -> Result<ViosAnswer, ViosCallError> {
        let one = |selector: &DeviceSelector| {
            let DeviceSelector::Name(text) = selector else { return Err(unknown(selector)) };
            let found = devices().into_iter().find(|device| device.name.as_str() == text);
            found.ok_or_else(|| unknown(selector))
        };
        Ok(match query {
            ViosQuery::Identity => ViosAnswer::Identity(identity(self.licence_accepted)),
            ViosQuery::Devices(DeviceQuery::One(selector)) => ViosAnswer::Devices(vec![one(&selector)?]),
            ViosQuery::Devices(DeviceQuery::Virtual) => ViosAnswer::Devices(
                devices().into_iter().filter(|device| device.kind.row().is_virtual).collect(),
            ),
            ViosQuery::Devices(_) => ViosAnswer::Devices(devices()),
            ViosQuery::Attributes(selector) => {
                one(&selector)?;
                ViosAnswer::Attributes(vec![
                    attribute(
                        "cfg_msp_lpm_ops",
                        "8",
                        "Configured number of concurrent LPM operations for this MSP",
                        true,
                    ),
                    attribute(
                        "max_lpm_vasi",
                        "1",
                        "Maximum number of VASI adapters used for LPM operations",
                        false,
                    ),
                ])
            }
            ViosQuery::ScsiMappings(query) => ViosAnswer::ScsiMappings(match query.adapters {
                Select::All => scsi(),
                Select::One(selector) => {
                    let DeviceSelector::Name(text) = &selector else { return Err(unknown(&selector)) };
                    let found: Vec<_> =
                        scsi().into_iter().filter(|row| row.adapter.as_str() == text).collect();
                    if found.is_empty() {
                        return Err(unknown(&selector));
                    }
                    found
                }
            }),
            ViosQuery::FibreChannelMappings(_) => ViosAnswer::FibreChannelMappings(vec![fibre_channel()]),
            ViosQuery::PhysicalVolumes(Select::All) => ViosAnswer::PhysicalVolumes(volumes()),
            ViosQuery::PhysicalVolumes(Select::One(selector)) => {
                let DeviceSelector::Name(text) = &selector else { return Err(unknown(&selector)) };
                let found: Vec<_> = volumes().into_iter().filter(|one| one.name.as_str() == text).collect();
                if found.is_empty() {
                    return Err(unknown(&selector));
                }
                ViosAnswer::PhysicalVolumes(found)
            }
            ViosQuery::Paths(_) => ViosAnswer::Paths(vec![DiskPath {
                disk: name("hdisk988"),
                parent: name("fscsi0"),
                number: 0,
                connection: "500507680140f32c,3e5000000000000".to_owned(),
                state: PathState::Enabled,
            }]),
            ViosQuery::NpivPorts => ViosAnswer::NpivPorts(vec![NpivPort {
                name: name("fcs0"),
                location: "U789D.001.DQDYKYW-P1-C1-T1".to_owned(),
                fabric: true,
                total_ports: 64,
                available_ports: 64,
                total_names: 2048,
                available_names: 2047,
            }]),
            ViosQuery::Repository => ViosAnswer::Repository(Repository {
                parent: "rootvg".to_owned(),
                megabytes: 1017,
                free_megabytes: 1015,
                parent_megabytes: 279_552,
                parent_free_megabytes: 171_776,
                media: vec![
                    Medium {
                        name: "cd_image_19267708".to_owned(),
                        bytes: 428_032,
                        access: MediaAccess::ReadWrite,
                        drives: Vec::new(),
                    },
                    Medium {
                        name: "vopt_c07e6e0bab6048dfb23586aa90e514e6".to_owned(),
                        bytes: 428_032,
                        access: MediaAccess::ReadOnly,
                        drives: vec![name("vtopt1")],
                    },
                ],
            }),
            ViosQuery::Errors(query) => {
                let entry = |template, resource: &str, seconds, sequence| ErrorEntry {
                    sequence,
                    seconds,
                    template,
                    resource: resource.to_owned(),
                    location: String::new(),
                    details: Vec::new(),
                };
                let mut entries = vec![
                    entry(ErrorTemplate::VnicTransportEvent, "vnicserver1", 1_480_708_320, 10_568),
                    entry(ErrorTemplate::VnicClientLogin, "vnicserver1", 1_480_708_086, 10_567),
                ];
                entries.retain(|entry| {
                    query.identifiers.is_empty()
                        || query.identifiers.contains(&entry.template.row().identifier)
                });
                ViosAnswer::Errors(entries)
            }
            ViosQuery::CommandLog => ViosAnswer::CommandLog(vec![CommandLogEntry {
                seconds: 0,
                user: "padmin".to_owned(),
                command: "cfgdev".to_owned(),
            }]),
            _ => return Err(ViosCallError::NoAnswer),
        })
    }

    fn change(&self, _: RequestId, change: ViosChange) -> Result<ViosDone, ViosCallError> {
        let mut done = ViosDone::default();
        match &change {
            ViosChange::MapDevice { force: false, .. } => {
                return Err(ViosRefusal::new(ViosMessage::BackingInUse).with("hdisk7").into());
            }
            ViosChange::MapOptical { .. } => done.devices.push((name("vtopt0"), DeviceOutcome::Available)),
            ViosChange::ChangeDevice { attributes, .. } if attributes.iter().any(|one| one.0 == "pv") => {
                return Err(ViosRefusal::new(ViosMessage::DeviceBusy)
                    .with("pv")
                    .with("/usr/lib/methods/chgdisk")
                    .into());
            }
            ViosChange::ChangeDevice { .. } => done.devices.push((name("vioslpm0"), DeviceOutcome::Changed)),
            ViosChange::CreateLogicalVolume { .. } => done.name = Some("lv00".to_owned()),
            _ => {}
        }
        self.changes.lock().expect("changes").push(change);
        Ok(done)
    }
}

struct NoServerFiles;

impl ServerFiles for NoServerFiles {
    fn upload(&self, _: &str) -> Result<String, ViosMessage> {
        Err(ViosMessage::FileUnreadable)
    }

    fn read(&self, _: &str, _: u64) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Splits words; those in double quotes are one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('"').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn run_on(server: &Server, root: bool, line: &str, input: &str) -> (u8, String, String) {
    let words = words(line);
    let (command, arguments) = words.split_first().expect("command");
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let mut input: Box<dyn Read> = Box::new(std::io::Cursor::new(input.as_bytes().to_vec()));
    let mut invocation = ViosInvocation {
        server,
        request_id: &|| RequestId(1),
        root,
        arguments,
        input: &mut input,
        output: &mut output,
        errors: &mut errors,
        files: &NoServerFiles,
    };
    let status = vios::run(command, &mut invocation);
    (status, String::from_utf8(output).expect("text"), String::from_utf8(errors).expect("text"))
}

fn run(root: bool, line: &str) -> (u8, String, String) {
    run_on(&Server { changes: Mutex::default(), licence_accepted: true }, root, line, "")
}

#[test]
fn listings_are_those_of_the_seeds() {
    for (root, line, expected) in [
        (false, "ioslevel", "2.2.5.10\n"),
        (false, "hostname", "vios2\n"),
        (false, "lslparinfo", "2 vios2\n"),
        (
            true,
            "lsdev -type adapter -field name physloc description",
            "name             physloc                                                           description\n\
             ent3             U78CA.001.CSS08ZN-P1-C3-C1-T2-S5                                  PCIe3 4-Port 10GbE SR Adapter VF(df1028e21410e304)\n\
             vasi0            U9119.MME.659707C-V1-C32769                                       Virtual Asynchronous Services Interface (VASI)\n\
             vhost0           U8286.41A.21AFF8V-V2-C40                                          Virtual SCSI Server Adapter\n",
        ),
        (
            false,
            "lsdev -virtual -field NAME Status",
            "name             status\nvasi0            Available\nvhost0           Available\n",
        ),
        (
            false,
            "lsdev -dev vioslpm0 -attr",
            "attribute       value description                                                 user_settable\n\n\
             cfg_msp_lpm_ops 8     Configured number of concurrent LPM operations for this MSP True\n\
             max_lpm_vasi    1     Maximum number of VASI adapters used for LPM operations     False\n",
        ),
        (false, "lsdev -dev vioslpm0 -attr max_lpm_vasi", "value\n\n1\n"),
        (false, "lsdev -dev vioslpm0 -range cfg_msp_lpm_ops", "1...8 (+1)\n"),
        (
            true,
            "lsattr -El vioslpm0 -a max_lpm_vasi",
            "max_lpm_vasi 1 Maximum number of VASI adapters used for LPM operations False\n",
        ),
        (
            true,
            "lsmap -vadapter vhost0 -fmt :",
            "vhost0:U8286.41A.21AFF8V-V2-C40:0x00000003:nova_b1:Available:0x8100000000000000:nova_b1.7f863bacb45e3b32258864e499433b52: :N/A:vtopt0:Available:0x8200000000000000:/var/vio/VMLibrary/PowerVM_NovaLink_V1.1_122015.iso: :N/A\n",
        ),
        (
            false,
            "lsmap -vadapter vhost0 -field svsa backing -fmt2 ,",
            "vhost0,nova_b1.7f863bacb45e3b32258864e499433b52,/var/vio/VMLibrary/PowerVM_NovaLink_V1.1_122015.iso\n",
        ),
        (false, "lsmap -vadapter vhost0 -dec -field ClientID -fmt :", "3\n"),
        (
            false,
            "lsmap -vadapter vhost6",
            "SVSA            Physloc                                      Client Partition ID\n\
             --------------- -------------------------------------------- ------------------\n\
             vhost6          U9119.FHB.8297FCR-V3-C111                    0x00000000\n\n\
             VTD                   NO VIRTUAL TARGET DEVICE FOUND\n\n",
        ),
        (
            false,
            "lsmap -all -npiv",
            "Name          Physloc                            ClntID ClntName       ClntOS\n\
             ------------- ---------------------------------- ------ -------------- -------\n\
             vfchost3      U9119.FHB.8297FCR-V3-C311              11 AIX1           AIX\n\n\
             Status:LOGGED_IN\n\
             FC name:fcs0                    FC loc code:U5873.001.992014K-P1-C6-T1\n\
             Ports logged in:2\n\
             Flags:a<LOGGED_IN,STRIP_MERGE>\n\
             VFC client name:fcs0            VFC client DRC:U9119.FHB.8297FCR-V11-C33\n\n",
        ),
        (
            false,
            "lsmap -all -npiv -fmt :",
            "vfchost3:U9119.FHB.8297FCR-V3-C311:11:AIX1:AIX:LOGGED_IN:fcs0:U5873.001.992014K-P1-C6-T1:2:a:fcs0:U9119.FHB.8297FCR-V11-C33\n",
        ),
        (false, "lsmap -all -ams", ""),
        (
            false,
            "lspv",
            "NAME             PVID                                 VG               STATUS\n\
             hdisk0           00fa32e092a2bb20                     rootvg           active\n\
             hdisk988         00ced82ce999d6f3                     None              \n\
             hdisk989         none                                 None              \n",
        ),
        (
            true,
            "lspv",
            "hdisk0          00fa32e092a2bb20                    rootvg          active     \nhdisk988        00ced82ce999d6f3                    None                       \nhdisk989        none                                None                       \n",
        ),
        (false, "lspv -size hdisk0", "61440\n"),
        (false, "lspv -free -fmt :", "hdisk988:00ced82ce999d6f3:61440\nhdisk989:none:61440\n"),
        (false, "lspath -dev hdisk988 -fmt :", "Enabled:hdisk988:fscsi0:500507680140f32c,3e5000000000000\n"),
        (true, "lspath -l hdisk988", "Enabled hdisk988 fscsi0\n"),
        (
            false,
            "lsnports",
            "name             physloc                        fabric tports aports swwpns  awwpns\n\
             fcs0             U789D.001.DQDYKYW-P1-C1-T1          1     64     64   2048    2047\n",
        ),
        (false, "lsnports -fmt ::", "fcs0::U789D.001.DQDYKYW-P1-C1-T1::1::64::64::2048::2047\n"),
        (
            false,
            "lsrep",
            "Size(mb) Free(mb) Parent Pool         Parent Size      Parent Free\n\
             \u{20}   1017     1015 rootvg                   279552           171776\n\n\
             Name                                                  File Size Optical         Access\n\
             cd_image_19267708                                             1 None            rw\n\
             vopt_c07e6e0bab6048dfb23586aa90e514e6                         1 vtopt1          ro\n",
        ),
        (
            false,
            "lsrep -field name access -fmt :",
            "cd_image_19267708:rw\nvopt_c07e6e0bab6048dfb23586aa90e514e6:ro\n",
        ),
        (false, "lsvopt", "VTD             Media                                   Size(mb)\n"),
        (
            true,
            "errpt",
            "IDENTIFIER TIMESTAMP  T C RESOURCE_NAME  DESCRIPTION\n\
             8C577CB6   1202195216 I S vnicserver1    VNIC Transport Event\n\
             60D73419   1202194816 I S vnicserver1    VNIC Client Login\n",
        ),
        (false, "mkvdev -fbo -vadapter vhost0", "vtopt0 Available\n"),
        (false, "chdev -dev vioslpm0 -attr cfg_msp_lpm_ops=5", "vioslpm0 changed\n"),
        (false, "loadopt -vtd vtopt0 -disk cd_image_19267708", ""),
        (false, "mklv rootvg 20G", "lv00\n"),
        (false, "lsgcl", "Jan 01 1970, 00:00:00 padmin     cfgdev\n"),
        (true, "ioscli lsrep -field size -fmt :", "1017\n"),
    ] {
        assert_eq!(run(root, line), (0, expected.to_owned(), String::new()), "{line}");
    }
}

#[test]
fn a_long_error_entry_is_that_of_the_seeds() {
    let (status, output, _) = run(true, "errpt -aj 60D73419");
    assert_eq!(status, 0);
    for line in [
        "IDENTIFIER:     60D73419",
        "Date/Time:       Fri Dec  2 19:48:06 2016",
        "Sequence Number: 10567",
        "Machine Id:      00C9707C4C00",
        "Node Id:         vios2",
        "Class:           S",
        "Type:            INFO",
        "WPAR:            Global",
        "Resource Name:   vnicserver1     ",
        "VNIC Client Login",
        "Probable Causes",
        "Failure Causes",
    ] {
        assert!(output.lines().any(|one| one == line), "{line} is not in:\n{output}");
    }
}

#[test]
fn bad_command_lines_have_their_statuses_and_change_nothing() {
    let server = Server { changes: Mutex::default(), licence_accepted: true };
    for (line, status, first) in [
        ("lsmap", 1, "The command requires option -vadapter -plc -all."),
        ("lsmap -all -vadapter vhost0", 1, "Invalid combination of option flags: -vadapter -plc -all."),
        ("lsmap -all -bogus", 1, "Option flag is not valid: -bogus"),
        ("lsmap -all -type nosuch", 1, "Invalid argument: nosuch"),
        ("lsmap -all -field nosuch", 1, "Field name is not valid: nosuch"),
        ("lsmap -all -fmt2 x", 1, "Invalid delimiter: x"),
        ("lsmap -all -cpid x", 1, "Invalid argument: x"),
        ("lsmap -vadapter vhost99", 2, "Device \"vhost99\" is not in the device configuration database."),
        ("lsmap -clustername c -all", 1, "lsmap -clustername c is not supported at this level."),
        ("lsdev -dev nosuch", 2, "Device \"nosuch\" is not in the device configuration database."),
        ("lsdev -dev vioslpm0 -attr nosuch", 1, "Attribute \"nosuch\" of device \"vioslpm0\" was not found."),
        ("lsdev -type nosuch", 1, "Invalid argument: nosuch"),
        ("lsdev -state nosuch", 1, "Invalid argument: nosuch"),
        ("chdev -dev vioslpm0", 1, "The command requires option -attr."),
        ("chdev -dev vioslpm0 -attr x", 1, "Invalid argument: x"),
        ("chdev -dev vioslpm0 -attr a=1 a=2", 1, "Option flag a is repeated."),
        (
            "mkvdev -vdev hdisk7 -vadapter vhost0",
            4,
            "\"hdisk7\" is already being used as a backing device.  Specify the -f flag",
        ),
        ("mkvdev -vdev hdisk7", 1, "The command requires option -vadapter -aplc."),
        ("mkvopt -name x -file /nosuch", 2, "/nosuch: A file or directory in the path name does not exist."),
        ("mkrep -sp rootvg -size 10", 1, "Invalid argument: 10"),
        ("loadopt -vtd vtopt0", 1, "The command requires option -disk."),
        ("chvopt -name x -access no", 1, "Invalid argument: no"),
        ("lspv hdisk7", 2, "Device \"hdisk7\" is not in the device configuration database."),
        ("chpath -dev hdisk0 -op stop", 1, "Invalid argument: stop"),
        ("errlog -rm x", 1, "Invalid argument: x"),
        ("viosbr -backup -file x", 1, "viosbr is not supported at this level."),
        ("hostname newname", 3, "Access to run command is not valid."),
        ("updateios -dev /mnt -accept", 4, "The update in \"/mnt\" cannot be installed: entity not found."),
    ] {
        let (seen, output, errors) = run_on(&server, false, line, "");
        assert_eq!((seen, errors.lines().next().unwrap_or_default()), (status, first), "{line}: {output}");
    }
    assert!(server.changes.lock().expect("changes").is_empty());
}

#[test]
fn what_comes_from_below_is_introduced_to_padmin_alone() {
    let (status, _, errors) = run(false, "chdev -dev hdisk0 -attr pv=yes");
    assert_eq!(status, 4);
    assert!(errors.starts_with(
        "\nSome error messages may contain invalid information\nfor the Virtual I/O Server environment.\n\nMethod error (/usr/lib/methods/chgdisk):\n"
    ), "{errors}");
    let (_, _, errors) = run(true, "chdev -l hdisk0 -a pv=yes");
    assert!(errors.starts_with("Method error"), "{errors}");
}

#[test]
fn a_command_that_asks_does_nothing_without_a_yes() {
    let server = Server { changes: Mutex::default(), licence_accepted: true };
    let (status, output, _) = run_on(&server, false, "shutdown -restart", "n\n");
    assert_eq!(status, 1);
    assert_eq!(output, "Shutting down the VIO Server could affect Client Partitions. Continue [y|n]?\n\n");
    assert!(server.changes.lock().expect("changes").is_empty());
    assert_eq!(run_on(&server, false, "shutdown -restart", "y\n").0, 0);
    let changes = server.changes.lock().expect("changes");
    assert!(changes.contains(&ViosChange::Shutdown { force: false, restart: true }), "{changes:?}");
}

#[test]
fn nothing_runs_before_the_licence_is_accepted() {
    let server = Server { changes: Mutex::default(), licence_accepted: false };
    assert_eq!(run_on(&server, false, "lsdev", "").0, 3);
    assert_eq!(run_on(&server, false, "license", "").1, "The license has not been accepted.\n");
    assert_eq!(run_on(&server, false, "license -accept", "").0, 0);
    assert!(server.changes.lock().expect("changes").contains(&ViosChange::AcceptLicence));
}

#[test]
fn every_command_has_a_usage() {
    for command in vios::commands() {
        let (status, usage, _) = run(false, &format!("help {}", command.name));
        assert_eq!(status, 0);
        assert!(usage.starts_with(&format!("Usage: {}", command.name)), "{usage}");
        assert_eq!(run(false, &format!("{} -help", command.name)).1, usage);
    }
    let (_, all, _) = run(false, "help");
    assert!(vios::commands().all(|command| all.contains(command.name)));
}

/// The corpus of the fuzz target.
#[test]
fn the_fuzz_corpus_is_read() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/ioscli-corpus");
    let entries = std::fs::read_dir(directory).expect("corpus");
    let inputs = entries.map(|entry| std::fs::read(entry.expect("entry").path()).expect("input"));
    assert!(inputs.inspect(|input| vios::fuzz_one(input)).count() > 5);
}

/// Random words are refused or carried out; nothing panics.
#[test]
fn random_command_lines_end() {
    let mut state = 20_261_121;
    let names: Vec<&str> = vios::names(true);
    let pieces = [
        "-all",
        "-dev",
        "-fmt",
        ":",
        "-field",
        "name",
        "vhost0",
        "-attr",
        "a=b",
        "-C",
        "-l",
        "hdisk0",
        "-",
        "--",
        "",
        "-vadapter",
        "-type",
        "disk",
        "-Cc",
        "-size",
        "1G",
        "-f",
        "rootvg",
        "-help",
    ];
    for _ in 0..5_000 {
        let mut next = |bound: usize| {
            state =
                u64::wrapping_mul(state, 6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap_or(0) % bound
        };
        let name = names[next(names.len())];
        let count = next(6);
        let line: Vec<&str> =
            std::iter::once(name).chain((0..count).map(|_| pieces[next(pieces.len())])).collect();
        let line = line.join(" ");
        for root in [false, true] {
            let (status, _, errors) = run(root, &line);
            assert!(
                status == 0
                    || !errors.is_empty()
                    || ["shutdown", "rmlv", "rmtcpip"].iter().any(|name| line.contains(name)),
                "{line}: {status}"
            );
        }
    }
}
