//! `mkvdev`, `rmvdev`, `vfcmap`, `lsnports`: virtual target devices and virtual Fibre Channel.

use varan_contract::vios::{NpivPort, ViosChange, ViosQuery};
use varan_model::vios::ViosMessage;

use super::error::{Ended, refused};
use super::grammar::{Parsed, Takes, form};
use super::invocation::{ViosInvocation, answer, confused, selector};
use super::listing::{Field, chosen, delimiter, field, print};
use super::{ViosCommand, network};

const ADAPTER: &[&str] = &["vadapter", "aplc"];

pub(crate) static MAKE: ViosCommand = ViosCommand {
    name: "mkvdev",
    usage: "mkvdev [-f] {-vdev TargetDevice | -dplc TDPhysicalLocationCode}
              {-vadapter VirtualServerAdapter | -aplc VSAPhysicalLocationCode}
              [-attr mirrored=true] [-dev DeviceName]
mkvdev -fbo {-vadapter VirtualServerAdapter | -aplc VSAPhysicalLocationCode}
              [-dev DeviceName]
mkvdev -sea TargetDevice -vadapter VirtualEthernetAdapter...
              -default DefaultVirtualEthernetAdapter -defaultid SEADefaultPVID
              [-attr Attribute=Value...] [-migrate [-auto]]
mkvdev -lnagg TargetAdapter... [-attr Attribute=Value...]
              [-migrate -auto [-interface TargetInterface]]
mkvdev -vlan TargetAdapter -tagid TagID",
    summary: "Adds a virtual device to the system.",
    options: &[
        ("f", Takes::Nothing),
        ("vdev", Takes::One),
        ("dplc", Takes::One),
        ("vadapter", Takes::Many),
        ("aplc", Takes::One),
        ("dev", Takes::One),
        ("fbo", Takes::Nothing),
        ("attr", Takes::Many),
        ("sea", Takes::One),
        ("default", Takes::One),
        ("defaultid", Takes::One),
        ("lnagg", Takes::Many),
        ("vlan", Takes::One),
        ("tagid", Takes::One),
        ("migrate", Takes::Nothing),
        ("auto", Takes::Nothing),
        ("interface", Takes::One),
    ],
    forms: &[
        form(&["vdev"], &[ADAPTER], &["f", "attr", "dev"]),
        form(&["dplc"], &[ADAPTER], &["f", "attr", "dev"]),
        form(&["fbo"], &[ADAPTER], &["dev"]),
        form(&["sea"], &[&["vadapter"], &["default"], &["defaultid"]], &["attr", "migrate", "auto"]),
        form(&["lnagg"], &[], &["attr", "migrate", "auto", "interface"]),
        form(&["vlan"], &[&["tagid"]], &[]),
    ],
    changes: true,
    run: make,
};

fn make(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    if let Some(status) = network::make(invocation, parsed)? {
        return Ok(status);
    }
    if let Some(extra) = parsed.words("vadapter").get(1) {
        return Err(refused(ViosMessage::ArgumentUnexpected, extra).into());
    }
    let adapter = selector(parsed, "vadapter", "aplc").ok_or_else(confused)?;
    let target = parsed.get("dev").map(str::to_owned);
    if parsed.has("fbo") {
        return invocation.change_and_print(ViosChange::MapOptical { adapter, target });
    }
    let mut mirrored = false;
    for (name, value) in parsed.pairs("attr")? {
        mirrored = match (name, value) {
            ("mirrored", "true") => true,
            ("mirrored", "false") => false,
            ("mirrored", _) => return Err(refused(ViosMessage::ArgumentInvalid, value).into()),
            _ => return Err(refused(ViosMessage::ArgumentInvalid, name).into()),
        };
    }
    let backing = selector(parsed, "vdev", "dplc").ok_or_else(confused)?;
    let force = parsed.has("f");
    invocation.change_and_print(ViosChange::MapDevice { backing, adapter, target, force, mirrored })
}

pub(crate) static REMOVE: ViosCommand = ViosCommand {
    name: "rmvdev",
    usage: "rmvdev [-f] {-vdev TargetDevice | -vtd VirtualTargetDevice} [-rmlv]
rmvdev -sea SEAdevice [-migrate -auto]
rmvdev -lnagg LnaggDevice [-migrate -auto [-interface TargetInterface]]
rmvdev -vlan VlanDevice",
    summary: "Removes the connection between a physical device and its virtual SCSI adapter, or a virtual network device.",
    options: &[
        ("f", Takes::Nothing),
        ("vdev", Takes::One),
        ("vtd", Takes::One),
        ("rmlv", Takes::Nothing),
        ("sea", Takes::One),
        ("lnagg", Takes::One),
        ("vlan", Takes::One),
        ("migrate", Takes::Nothing),
        ("auto", Takes::Nothing),
        ("interface", Takes::One),
    ],
    forms: &[
        form(&["vdev"], &[], &["f", "rmlv"]),
        form(&["vtd"], &[], &["f", "rmlv"]),
        form(&["sea"], &[], &["migrate", "auto"]),
        form(&["lnagg"], &[], &["migrate", "auto", "interface"]),
        form(&["vlan"], &[], &[]),
    ],
    changes: true,
    run: remove,
};

fn remove(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    if let Some(status) = network::remove(invocation, parsed)? {
        return Ok(status);
    }
    let by_backing = parsed.has("vdev");
    let device = selector(parsed, "vdev", "vdev").or_else(|| selector(parsed, "vtd", "vtd"));
    invocation.change_and_print(ViosChange::RemoveMapping {
        device: device.ok_or_else(confused)?,
        by_backing,
        force: parsed.has("f"),
        remove_logical_volume: parsed.has("rmlv"),
    })
}

pub(crate) static MAP_PORT: ViosCommand = ViosCommand {
    name: "vfcmap",
    usage: "vfcmap -vadapter VFCServerAdapter -fcp [FCPName]",
    summary: "Maps a virtual Fibre Channel server adapter to a physical port; without a port it is mapped to none.",
    options: &[("vadapter", Takes::One), ("fcp", Takes::Maybe)],
    forms: &[form(&[], &[&["vadapter"], &["fcp"]], &[])],
    changes: true,
    run: |invocation, parsed| {
        let adapter = selector(parsed, "vadapter", "vadapter").ok_or_else(confused)?;
        let port = parsed.get("fcp").filter(|port| !port.is_empty()).map(str::to_owned);
        invocation.change_and_print(ViosChange::MapFibreChannel { adapter, port })
    },
};

const fn number(key: &'static str, width: usize, value: fn(&NpivPort) -> String) -> Field<NpivPort> {
    Field { key, title: key, width, right: true, value }
}

const PORT_FIELDS: &[Field<NpivPort>] = &[
    field("name", "name", 16, |port| port.name.to_string()),
    field("physloc", "physloc", 30, |port| port.location.clone()),
    number("fabric", 6, |port| u8::from(port.fabric).to_string()),
    number("tports", 6, |port| port.total_ports.to_string()),
    number("aports", 6, |port| port.available_ports.to_string()),
    number("swwpns", 6, |port| port.total_names.to_string()),
    number("awwpns", 7, |port| port.available_names.to_string()),
];

pub(crate) static PORTS: ViosCommand = ViosCommand {
    name: "lsnports",
    usage: "lsnports [-field FieldName...] [-fmt Delimiter]",
    summary: "Displays the Fibre Channel ports that can be virtualized.",
    options: &[("field", Takes::Many), ("fmt", Takes::One)],
    forms: &[form(&[], &[], &["field", "fmt"])],
    changes: false,
    run: ports,
};

fn ports(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let all: Vec<&str> = PORT_FIELDS.iter().map(|field| field.key).collect();
    let fields = chosen(PORT_FIELDS, &all, parsed)?;
    let delimiter = delimiter(parsed)?;
    let ports = answer!(invocation, ViosQuery::NpivPorts, NpivPorts);
    if ports.is_empty() {
        return Err(varan_model::vios::ViosRefusal::new(ViosMessage::NoNpivPorts).into());
    }
    print(invocation.output, &fields, ports, delimiter.as_ref())?;
    Ok(0)
}
