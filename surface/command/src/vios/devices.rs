//! `lsdev`, `chdev`, `cfgdev`, `rmdev`.

use std::sync::Arc;

use varan_contract::vios::{AttributeValue, DeviceQuery, DeviceSelector, Removal, ViosChange, ViosQuery};
use varan_model::vios::device::DeviceDetail;
use varan_model::vios::{Device, DeviceClass, DeviceKind, DeviceState, ViosMessage};

use super::error::{Ended, refused};
use super::grammar::{Form, OptionRow, Parsed, Takes, form, form_with};
use super::invocation::{ViosInvocation, answer, selector};
use super::listing::{Field, chosen, delimiter, field, fitted, line, print};
use super::{ViosCommand, listing};

const DEVICE_FIELDS: &[Field<Arc<Device>>] = &[
    field("name", "name", 16, |device| device.name.to_string()),
    field("status", "status", 11, |device| device.state.word().to_owned()),
    field("description", "description", 40, |device| device.description().to_owned()),
    // The width of the seeds' listing.
    field("physloc", "physloc", 65, |device| device.location.clone()),
    field("parent", "parent", 15, |device| {
        device.parent.as_ref().map(ToString::to_string).unwrap_or_default()
    }),
    field("class", "class", 15, |device| device.kind.class().word().to_owned()),
    field("subclass", "subclass", 15, |device| device.kind.row().subclass.to_owned()),
    field("type", "type", 15, |device| device.kind.row().unique_type.to_owned()),
];
const DEVICE_DEFAULT: &[&str] = &["name", "status", "description"];

const ATTRIBUTE_FIELDS: &[&str] = &["attribute", "value", "description", "user_settable"];

const LIST_OPTIONS: &[OptionRow] = &[
    ("dev", Takes::One),
    ("plc", Takes::One),
    ("type", Takes::Many),
    ("virtual", Takes::Nothing),
    ("state", Takes::One),
    ("field", Takes::Many),
    ("fmt", Takes::One),
    ("attr", Takes::Maybe),
    ("range", Takes::One),
    ("slot", Takes::Nothing),
    ("slots", Takes::Nothing),
    ("vpd", Takes::Nothing),
    ("parent", Takes::Nothing),
    ("child", Takes::Nothing),
];

const DEVICE: &[&str] = &["dev", "plc"];

const LIST_FORMS: &[Form] = &[
    form(&[], &[], &["type", "virtual", "state", "field", "fmt"]),
    form(&["dev"], &[], &["field", "fmt"]),
    form(&["plc"], &[], &["field", "fmt"]),
    form(&["child"], &[DEVICE], &["field", "fmt"]),
    form(&["attr"], &[DEVICE], &["fmt"]),
    form(&["range"], &[DEVICE], &[]),
    form(&["slot"], &[DEVICE], &[]),
    form(&["parent"], &[DEVICE], &[]),
    form(&["vpd"], &[], &["dev", "plc"]),
    form(&["slots"], &[], &[]),
];

pub(crate) static LIST: ViosCommand = ViosCommand {
    name: "lsdev",
    usage: "lsdev [-type DeviceType...] [-virtual] [-state State]
             [-field FieldName...] [-fmt Delimiter]
lsdev {-dev DeviceName | -plc PhysicalLocationCode} [-child]
             [-field FieldName...] [-fmt Delimiter]
lsdev {-dev DeviceName | -plc PhysicalLocationCode}
             [-attr [Attribute] | -range Attribute | -slot | -vpd | -parent]
lsdev -vpd
lsdev -slots",
    summary: "Displays Virtual I/O Server devices and their characteristics.",
    options: LIST_OPTIONS,
    forms: LIST_FORMS,
    changes: false,
    run: list,
};

fn list(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let device = selector(parsed, "dev", "plc");
    if parsed.has("slots") {
        return slots(invocation);
    }
    let Some(device) = device else {
        if parsed.has("vpd") {
            return vpd_of_all(invocation);
        }
        return list_all(invocation, parsed);
    };
    if parsed.has("attr") {
        attributes(invocation, parsed, device)
    } else if let Some(name) = parsed.get("range") {
        let rows = answer!(invocation, ViosQuery::Attributes(device.clone()), Attributes);
        let row = attribute(&rows, &device, name)?;
        for value in &row.range {
            writeln!(invocation.output, "{value}")?;
        }
        Ok(0)
    } else if parsed.has("vpd") {
        let device = invocation.device(device)?;
        write!(invocation.output, "{}", vpd(&device))?;
        Ok(0)
    } else if parsed.has("slot") {
        let device = invocation.device(device)?;
        print_slots(invocation, &[device])
    } else if parsed.has("parent") {
        let device = invocation.device(device)?;
        let parent = device.parent.as_ref().map(ToString::to_string).unwrap_or_default();
        writeln!(invocation.output, "parent\n\n{parent}")?;
        Ok(0)
    } else if parsed.has("child") {
        let children = invocation.devices(DeviceQuery::Children(device))?;
        print_devices(invocation, parsed, children)
    } else {
        let devices = invocation.devices(DeviceQuery::One(device))?;
        print_devices(invocation, parsed, devices)
    }
}

fn print_devices(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    devices: Vec<Arc<Device>>,
) -> Result<u8, Ended> {
    let fields = chosen(DEVICE_FIELDS, DEVICE_DEFAULT, parsed)?;
    let delimiter = delimiter(parsed)?;
    print(invocation.output, &fields, devices, delimiter.as_ref())?;
    Ok(0)
}

/// The devices that a word of `-type` means.
fn of_type(word: &str) -> Option<fn(&Device) -> bool> {
    // Those that a Shared Ethernet Adapter is made of, and those that an interface can be on.
    let for_bridges = |device: &Device| {
        device.kind.is_ethernet()
            && !matches!(device.kind, DeviceKind::SharedEthernetAdapter | DeviceKind::VlanDevice)
    };
    let for_addresses = |device: &Device| device.kind.is_ethernet();
    Some(match word {
        "adapter" => |device| device.kind.class() == DeviceClass::Adapter,
        "disk" => |device| device.kind.class() == DeviceClass::Disk,
        "optical" => |device| device.kind.class() == DeviceClass::Optical,
        "tty" => |device| device.kind.class() == DeviceClass::Terminal,
        "sea" => |device| device.kind == DeviceKind::SharedEthernetAdapter,
        "ent4sea" => for_bridges,
        "ent4ip" => for_addresses,
        "util" => |device| matches!(device.kind.class(), DeviceClass::Pseudo | DeviceClass::System),
        // There are none of these.
        "tape" | "tape_server" | "usb_disk" | "lv" => |_| false,
        _ => return None,
    })
}

fn list_all(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let mut wanted = Vec::new();
    for word in parsed.list("type") {
        wanted.push(of_type(word).ok_or_else(|| refused(ViosMessage::ArgumentInvalid, word))?);
    }
    let state = match parsed.get("state").map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("available") => Some(DeviceState::Available),
        Some("defined") => Some(DeviceState::Defined),
        Some(other) => return Err(refused(ViosMessage::ArgumentInvalid, other).into()),
    };
    let query = if parsed.has("virtual") { DeviceQuery::Virtual } else { DeviceQuery::All };
    let mut devices = invocation.devices(query)?;
    devices.retain(|device| {
        state.is_none_or(|state| device.state == state)
            && (wanted.is_empty() || wanted.iter().any(|is| is(device)))
    });
    print_devices(invocation, parsed, devices)
}

fn attribute<'a>(
    rows: &'a [AttributeValue],
    device: &DeviceSelector,
    name: &str,
) -> Result<&'a AttributeValue, Ended> {
    let shown = match device {
        DeviceSelector::Name(text) | DeviceSelector::Location(text) => text,
    };
    let unknown = || refused(ViosMessage::AttributeUnknown, shown).with(name);
    Ok(rows.iter().find(|row| row.name == name).ok_or_else(unknown)?)
}

/// The rows of `lsattr`: attribute, value, description, whether a user may set it.
pub(crate) fn attribute_rows(rows: &[AttributeValue]) -> Vec<Vec<String>> {
    let settable = |row: &AttributeValue| if row.settable { "True" } else { "False" };
    rows.iter()
        .map(|row| {
            vec![row.name.clone(), row.value.clone(), row.description.clone(), settable(row).to_owned()]
        })
        .collect()
}

fn attributes(
    invocation: &mut ViosInvocation<'_>,
    parsed: &Parsed,
    device: DeviceSelector,
) -> Result<u8, Ended> {
    let rows = answer!(invocation, ViosQuery::Attributes(device.clone()), Attributes);
    if let Some(name) = parsed.get("attr") {
        let row = attribute(&rows, &device, name)?;
        match delimiter(parsed)? {
            Some(_) => writeln!(invocation.output, "{}", row.value)?,
            None => writeln!(invocation.output, "value\n\n{}", row.value)?,
        }
        return Ok(0);
    }
    let mut table = attribute_rows(&rows);
    if let Some(delimiter) = delimiter(parsed)? {
        for row in table {
            writeln!(invocation.output, "{}", listing::joined(row, &delimiter))?;
        }
        return Ok(0);
    }
    table.insert(0, ATTRIBUTE_FIELDS.iter().map(|title| (*title).to_owned()).collect());
    for (number, row) in fitted(&table).into_iter().enumerate() {
        writeln!(invocation.output, "{row}")?;
        if number == 0 {
            writeln!(invocation.output)?;
        }
    }
    Ok(0)
}

/// A row of vital product data: the label is filled with dots to the place where values begin.
fn vpd_row(label: &str, value: &str) -> String {
    format!("        {label:.<28}{value}\n")
}

/// What `lsdev -vpd` and `lscfg -vl` show of a device.
pub(crate) fn vpd(device: &Device) -> String {
    let mut text =
        format!("  {:<16} {}  {}\n\n", device.name.as_str(), device.location, device.description());
    match &device.detail {
        DeviceDetail::FibreChannel(port) => {
            text.push_str(&vpd_row("Network Address", &port.port_name.to_string().to_uppercase()));
        }
        DeviceDetail::Ethernet { mac_address, slot, .. } => {
            text.push_str(&vpd_row("Network Address", &mac_address.to_string().to_uppercase()));
            if slot.is_some() {
                text.push_str(&vpd_row("Displayable Message", device.description()));
            }
        }
        DeviceDetail::Disk(disk) => {
            text.push_str(&vpd_row("Manufacturer", "IBM"));
            text.push_str(&vpd_row("Device Specific.(Z0)", &disk.udid.to_string()));
        }
        _ => {}
    }
    if !device.location.is_empty() {
        text.push_str(&vpd_row("Hardware Location Code", &device.location));
    }
    text.push('\n');
    text
}

fn vpd_of_all(invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    let identity = invocation.identity()?;
    let devices = invocation.devices(DeviceQuery::All)?;
    writeln!(invocation.output, "INSTALLED RESOURCE LIST WITH VPD\n")?;
    writeln!(invocation.output, "The following resources are installed on your machine.\n")?;
    writeln!(invocation.output, "  Model Architecture: chrp")?;
    writeln!(
        invocation.output,
        "  Model Implementation: Multiple Processor, PCI bus ({})\n",
        identity.machine
    )?;
    for device in devices.iter().filter(|device| device.state == DeviceState::Available) {
        write!(invocation.output, "{}", vpd(device))?;
    }
    Ok(0)
}

/// The slot of a location code: what is before the port.
fn slot_of(location: &str) -> &str {
    match location.rfind("-T") {
        Some(at) if location[at + 2..].bytes().all(|byte| byte.is_ascii_digit()) => &location[..at],
        _ => location,
    }
}

fn print_slots(invocation: &mut ViosInvocation<'_>, devices: &[Arc<Device>]) -> Result<u8, Ended> {
    let mut slots: Vec<(&str, bool, Vec<&str>)> = Vec::new();
    for device in devices.iter().filter(|device| !device.location.is_empty()) {
        let slot = slot_of(&device.location);
        match slots.iter_mut().find(|(known, _, _)| *known == slot) {
            Some((_, _, names)) => names.push(device.name.as_str()),
            None => slots.push((slot, device.kind.row().is_virtual, vec![device.name.as_str()])),
        }
    }
    let row = |slot: &str, description: &str, names: &str| {
        line(&[
            (slot.to_owned(), 25, false),
            (description.to_owned(), 17, false),
            (names.to_owned(), 0, false),
        ])
    };
    writeln!(invocation.output, "{}", row("# Slot", "Description", "Device(s)"))?;
    for (slot, is_virtual, names) in slots {
        let description = if is_virtual { "Virtual I/O Slot" } else { "PCI-E capable slot" };
        writeln!(invocation.output, "{}", row(slot, description, &names.join(" ")))?;
    }
    Ok(0)
}

fn slots(invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    let adapters = invocation.devices(DeviceQuery::Classes(vec![DeviceClass::Adapter]))?;
    print_slots(invocation, &adapters)
}

pub(crate) static CHANGE: ViosCommand = ViosCommand {
    name: "chdev",
    usage: "chdev -dev Name -attr Attribute=Value... [-perm]",
    summary: "Changes the attributes of a device. With -perm the change is only recorded, and in force once the device is configured again.",
    options: &[("dev", Takes::One), ("attr", Takes::Many), ("perm", Takes::Nothing)],
    forms: &[form(&["dev"], &[&["attr"]], &["perm"])],
    changes: true,
    run: change,
};

fn change(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let pairs = parsed.pairs("attr")?;
    let attributes = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let device = selector(parsed, "dev", "dev").ok_or_else(super::invocation::confused)?;
    invocation.change_and_print(ViosChange::ChangeDevice {
        device,
        attributes,
        permanent_only: parsed.has("perm"),
    })
}

pub(crate) static CONFIGURE: ViosCommand = ViosCommand {
    name: "cfgdev",
    usage: "cfgdev [-dev Name]",
    summary: "Configures devices: finds those that were added since the server started.",
    options: &[("dev", Takes::One)],
    forms: &[form(&[], &[], &["dev"])],
    changes: true,
    run: |invocation, parsed| {
        let device = selector(parsed, "dev", "dev");
        invocation.change_silently(ViosChange::ConfigureDevices(device))
    },
};

pub(crate) static REMOVE: ViosCommand = ViosCommand {
    name: "rmdev",
    usage: "rmdev {-dev | -pdev} Name [-recursive] [-ucfg] [-f]",
    summary: "Removes a device. With -ucfg it stays defined; with -pdev only the devices below it are removed.",
    options: &[
        ("dev", Takes::One),
        ("pdev", Takes::One),
        ("recursive", Takes::Nothing),
        ("ucfg", Takes::Nothing),
        ("f", Takes::Nothing),
    ],
    forms: &[form_with(&[], &[&["dev", "pdev"]], &["recursive", "ucfg", "f"], (0, 0))],
    changes: true,
    run: remove,
};

fn remove(invocation: &mut ViosInvocation<'_>, parsed: &Parsed) -> Result<u8, Ended> {
    let device = selector(parsed, "dev", "dev").or_else(|| selector(parsed, "pdev", "pdev"));
    let device = device.ok_or_else(super::invocation::confused)?;
    let removal = Removal {
        recursive: parsed.has("recursive"),
        keep_definition: parsed.has("ucfg"),
        children_only: parsed.has("pdev"),
        force: parsed.has("f"),
    };
    invocation.change_and_print(ViosChange::RemoveDevice { device, removal })
}

#[cfg(test)]
mod tests {
    use super::{slot_of, vpd_row};

    #[test]
    fn slots_are_what_is_before_the_port() {
        for (location, slot) in [
            ("U8247.22L.10112CA-V1-C2-T1", "U8247.22L.10112CA-V1-C2"),
            ("U78A0.001.DNWHYB9-P1-C2-T1", "U78A0.001.DNWHYB9-P1-C2"),
            ("U8247.22L.10112CA-V1-C0", "U8247.22L.10112CA-V1-C0"),
            ("", ""),
        ] {
            assert_eq!(slot_of(location), slot);
        }
    }

    #[test]
    fn vital_product_data_is_filled_with_dots() {
        let row = vpd_row("Hardware Location Code", "U78A0.001.DNWHYB9-P1-C2-T1");
        assert_eq!(row, "        Hardware Location Code......U78A0.001.DNWHYB9-P1-C2-T1\n");
    }
}
