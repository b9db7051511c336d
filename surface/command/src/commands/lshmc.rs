//! `lshmc`: the console about itself.

use varan_console::{ConsoleDescription, Task};
use varan_model::attributes::{Attribute, Table, Value};

use super::{FIELDS, HEADER};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{Needs, OneOf, Optional};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "lshmc",
    summary: "list the configuration of the console",
    options: &[
        OptionDefinition::new("-V", OptionValue::Flag, "Version of the console."),
        OptionDefinition::new("-v", OptionValue::Flag, "Vital product data of the console."),
        OptionDefinition::new("-n", OptionValue::Flag, "Network settings."),
        OptionDefinition::new("-r", OptionValue::Flag, "Remote access settings."),
        OptionDefinition::new("-l", OptionValue::Flag, "Locale in use."),
        OptionDefinition::later("-b", OptionValue::Flag, "BIOS level."),
        OptionDefinition::later("-D", OptionValue::Flag, "Hardware data."),
        OptionDefinition::later("-e", OptionValue::Flag, "Events for the electronic service."),
        OptionDefinition::later("-h", OptionValue::Flag, "Hardware of the console."),
        OptionDefinition::later("-i", OptionValue::Flag, "Network interfaces."),
        OptionDefinition::later("-L", OptionValue::Flag, "All locales."),
        OptionDefinition::later("--bmc", OptionValue::Flag, "Baseboard management controller."),
        OptionDefinition::later("--firewall", OptionValue::Flag, "Firewall settings."),
        OptionDefinition::later("--netroute", OptionValue::Flag, "Network routes."),
        OptionDefinition::later("--ntpserver", OptionValue::Flag, "Time servers."),
        OptionDefinition::later("--syslog", OptionValue::Flag, "Log servers."),
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[Form::new(&[OneOf(&["-V", "-v", "-n", "-r", "-l"]), Optional("-F"), Needs("--header", "-F")])],
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-V", attributes: |release| attributes(&VERSION, release) },
        AttributeGroup { title: "-v", attributes: |release| attributes(&VITAL_PRODUCT_DATA, release) },
        AttributeGroup { title: "-n", attributes: |release| attributes(&NETWORK, release) },
        AttributeGroup { title: "-r", attributes: |release| attributes(&REMOTE_ACCESS, release) },
        AttributeGroup { title: "-l", attributes: |release| attributes(&LOCALE, release) },
    ],
    run,
};

type Row = ConsoleDescription;

/// The version as it is printed: several lines, the last one ended.
fn version(row: &Row) -> String {
    let (version, release) = row.version_and_release();
    let mut text = format!(
        " Version: {version}\n Release: {release}\n Service Pack: {}\nHMC Build level {}\n",
        row.service_pack, row.build_level
    );
    for fix in &row.fixes {
        text.push_str(fix);
        text.push('\n');
    }
    text
}

static VERSION: Table<Row> = Table {
    name: "hmc version",
    attributes: &[
        Attribute::new("version", "Version, release, service pack, build level and fixes.", |row: &Row| {
            Value::of(version(row))
        }),
        Attribute::new("base_version", "Version that was installed first.", |row: &Row| {
            Value::of(format_args!("{}\n", row.base_version))
        }),
    ],
};

static VITAL_PRODUCT_DATA: Table<Row> = Table {
    name: "hmc vpd",
    attributes: &[Attribute::new("vpd", "Vital product data.", |row: &Row| {
        let type_model = &row.identity.type_model;
        let serial = &row.identity.serial_number;
        let address = &row.address;
        let level = &row.release_text;
        Value::of(format_args!(
            "*FC ????????\n*VC 20.0\n*DS Hardware Management Console\n*TM {type_model}\n*SE {serial}\n*MN IBM\n*PN N/A\n*OS Embedded Operating Systems\n*NA {address}\n*DS Platform Firmware\n*RM {level}\n"
        ))
    })],
};

macro_rules! fixed {
    ($name:literal, $value:literal, $help:literal) => {
        Attribute::new($name, $help, |_: &Row| Value::of($value))
    };
}

static NETWORK: Table<Row> = Table {
    name: "hmc network",
    attributes: &[
        Attribute::new("hostname", "Host name.", |row: &Row| Value::of(&row.hostname)),
        Attribute::new("domain", "Domain.", |row: &Row| Value::of(&row.domain)),
        Attribute::new("ipaddr", "Addresses.", |row: &Row| Value::of(&row.address)),
        fixed!("networkmask", "", "Network masks."),
        fixed!("gateway", "", "Default gateway."),
        fixed!("nameserver", "", "Name servers."),
        fixed!("domainsuffix", "", "Domain suffixes."),
        fixed!("slipipaddr", "", "Address of the serial line."),
        fixed!("slipnetmask", "", "Network mask of the serial line."),
        Attribute::new("ipaddrlpar", "Address for partitions.", |row: &Row| Value::of(&row.address)),
        fixed!("networkmasklpar", "", "Network mask for partitions."),
        fixed!("clients", "", "Clients that got an address."),
        fixed!("ipv6addrlpar", "", "IPv6 addresses for partitions."),
        Attribute::new("ipv4addr_eth0", "IPv4 address of eth0.", |row: &Row| Value::of(&row.address)),
        fixed!("ipv4netmask_eth0", "", "IPv4 network mask of eth0."),
        fixed!("ipv4dhcp_eth0", "off", "DHCP on eth0."),
        fixed!("ipv6addr_eth0", "", "IPv6 addresses of eth0."),
        fixed!("ipv6auto_eth0", "off", "IPv6 autoconfiguration of eth0."),
        fixed!("ipv6privacy_eth0", "off", "IPv6 privacy extension of eth0."),
        fixed!("ipv6dhcp_eth0", "off", "DHCP for IPv6 on eth0."),
        fixed!("lparcomm_eth0", "on", "Communication with partitions on eth0."),
        fixed!("jumboframe_eth0", "off", "Jumbo frames on eth0."),
        fixed!("speed_eth0", "auto", "Speed of eth0."),
        fixed!("duplex_eth0", "auto", "Duplex mode of eth0."),
        fixed!("tso_eth0", "off", "Segmentation offload of eth0."),
    ],
};

static REMOTE_ACCESS: Table<Row> = Table {
    name: "hmc remote access",
    attributes: &[
        fixed!("ssh", "enable", "Remote command execution by SSH."),
        fixed!("sshprotocol", "2", "Version of the SSH protocol."),
        fixed!("remotewebui", "disable", "Remote web interface."),
        fixed!("xntp", "disable", "Network time."),
        fixed!("xntpserver", "", "Time servers."),
        fixed!("syslogserver", "", "Log servers by UDP."),
        fixed!("syslogtcpserver", "", "Log servers by TCP."),
        fixed!("syslogtlsserver", "", "Log servers by TLS."),
        fixed!("altdiskboot", "disable", "Boot from the alternate disk."),
        fixed!("ldap", "disable", "LDAP."),
        fixed!("kerberos", "disable", "Kerberos."),
        fixed!("legacyhmccomm", "disable", "Communication with older consoles."),
        fixed!("security", "legacy", "Security mode."),
        fixed!("sol", "disabled", "Serial over LAN."),
    ],
};

static LOCALE: Table<Row> =
    Table { name: "hmc locale", attributes: &[fixed!("locale", "en_US", "Locale in use.")] };

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListConsole)?;
    let chosen = [
        ("-V", &VERSION),
        ("-v", &VITAL_PRODUCT_DATA),
        ("-n", &NETWORK),
        ("-r", &REMOTE_ACCESS),
        ("-l", &LOCALE),
    ];
    let table =
        chosen.into_iter().find(|(option, _)| options.has(option)).map_or(&VERSION, |(_, table)| table);
    let description = invocation.console.description().clone();
    if !options.has("-F") && (options.has("-V") || options.has("-v")) {
        return print_blocks(table, &description, invocation);
    }
    Layout::new(table, options, invocation.console.release())?.print([description], invocation.output)
}

/// Values of several lines are quoted although they hold no comma.
fn print_blocks(
    table: &'static Table<Row>,
    description: &Row,
    invocation: &mut Invocation<'_>,
) -> Result<u8, CommandError> {
    let mut fields = Vec::new();
    for attribute in table.attributes {
        let value = (attribute.read)(description).text().unwrap_or_default();
        fields.push(format!("\"{}={}\"", attribute.name, value.replace('"', "\"\"")));
    }
    writeln!(invocation.output, "{}", fields.join(","))?;
    Ok(0)
}
