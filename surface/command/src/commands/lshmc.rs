//! `lshmc`: the console about itself.

use varan_console::{ConsoleDescription, Task};
use varan_model::attributes::{Attribute, Table, Value};

use super::{FIELDS, HEADER};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::OneOf;
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::time::date_line;

/// The options that choose what is listed, each with its table. Lists of things that this console never has are empty.
static KINDS: &[(&str, &Table<Row>)] = &[
    ("-b", &BIOS),
    ("-D", &NOTHING),
    ("-l", &LOCALE),
    ("-L", &LOCALE),
    ("-n", &NETWORK),
    ("-r", &REMOTE_ACCESS),
    ("-v", &VITAL_PRODUCT_DATA),
    ("-V", &VERSION),
    ("--netroute", &ROUTES),
    ("--ntpserver", &TIME_SERVERS),
    ("--syslog", &NOTHING),
];

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "lshmc",
    summary: "list the configuration of the console",
    options: &[
        OptionDefinition::new("-b", OptionValue::Flag, "BIOS level."),
        OptionDefinition::new("-D", OptionValue::Flag, "DHCP servers; this console is none."),
        OptionDefinition::later("-e", OptionValue::Flag, "Event Manager for Call Home."),
        OptionDefinition::later("-h", OptionValue::Flag, "Hardware of the console."),
        OptionDefinition::later("-i", OptionValue::Flag, "Integrated Management Module."),
        OptionDefinition::new("-l", OptionValue::Flag, "Locale in use."),
        OptionDefinition::new("-L", OptionValue::Flag, "Locales that there are."),
        OptionDefinition::new("-n", OptionValue::Flag, "Network settings."),
        OptionDefinition::new("-r", OptionValue::Flag, "Remote access settings."),
        OptionDefinition::new("-v", OptionValue::Flag, "Vital product data of the console."),
        OptionDefinition::new("-V", OptionValue::Flag, "Version of the console."),
        OptionDefinition::later("--bmc", OptionValue::Flag, "Baseboard management controller."),
        OptionDefinition::later("--firewall", OptionValue::Flag, "Firewall settings."),
        OptionDefinition::new(
            "--netroute",
            OptionValue::Flag,
            "Network routes; this console has none of its own.",
        ),
        OptionDefinition::new(
            "--ntpserver",
            OptionValue::Flag,
            "Time servers; the time is that of the host.",
        ),
        OptionDefinition::new("--syslog", OptionValue::Flag, "Log servers; there are none."),
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[Form::listing(&[OneOf(&[
        "-b",
        "-D",
        "-l",
        "-L",
        "-n",
        "-r",
        "-v",
        "-V",
        "--netroute",
        "--ntpserver",
        "--syslog",
    ])])],
    filters: &[],
    attributes: &[
        AttributeGroup { title: "-b", attributes: |release| attributes(&BIOS, release) },
        AttributeGroup { title: "-l, -L", attributes: |release| attributes(&LOCALE, release) },
        AttributeGroup { title: "-n", attributes: |release| attributes(&NETWORK, release) },
        AttributeGroup { title: "-r", attributes: |release| attributes(&REMOTE_ACCESS, release) },
        AttributeGroup { title: "-v", attributes: |release| attributes(&VITAL_PRODUCT_DATA, release) },
        AttributeGroup { title: "-V", attributes: |release| attributes(&VERSION, release) },
        AttributeGroup { title: "--netroute", attributes: |release| attributes(&ROUTES, release) },
        AttributeGroup { title: "--ntpserver", attributes: |release| attributes(&TIME_SERVERS, release) },
    ],
    run,
};

/// The console as it is when it is listed.
struct Row {
    description: ConsoleDescription,
    hostname: String,
    domain: String,
    remote_commands: bool,
    /// Seconds since 1970 UTC.
    now: i64,
}

static NOTHING: Table<Row> = Table { name: "nothing", attributes: &[] };

macro_rules! never {
    ($name:literal, $help:literal) => {
        Attribute::new($name, $help, |_: &Row| Value::NotApplicable)
    };
}

static ROUTES: Table<Row> = Table {
    name: "hmc routes",
    attributes: &[
        never!("position", "Place in the list."),
        never!("destination", "Destination."),
        never!("gateway", "Gateway."),
        never!("networkmask", "Network mask."),
        never!("interface", "Network interface."),
    ],
};

static TIME_SERVERS: Table<Row> = Table {
    name: "hmc time servers",
    attributes: &[
        never!("xntp", "Whether network time is used."),
        never!("xntpserver", "Time server."),
        never!("xntpstatus", "State of the server."),
    ],
};

static BIOS: Table<Row> = Table {
    name: "hmc bios",
    attributes: &[Attribute::new("bios", "BIOS level.", |row: &Row| Value::of(&row.description.bios_level))],
};

/// The version as it is printed: several lines, the last one ended.
fn version(row: &Row) -> String {
    let row = &row.description;
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
            Value::of(format_args!("{}\n", row.description.base_version))
        }),
    ],
};

/// Vital product data: several lines, the last one ended. Memory is left out where it is not known.
fn vital_product_data(row: &Row) -> String {
    let ConsoleDescription { identity, address, release_text, memory_bytes, .. } = &row.description;
    let memory = if *memory_bytes == 0 { String::new() } else { format!("*SZ {memory_bytes}\n") };
    format!(
        "*FC ????????\n*VC 20.0\n*N2 {}\n*DS Hardware Management Console\n*TM {}\n*SE {}\n*MN IBM\n*PN N/A\n{memory}*OS Embedded Operating Systems\n*NA {address}\n*DS Platform Firmware\n*RM {release_text}\n",
        date_line(row.now),
        identity.type_model,
        identity.serial_number,
    )
}

static VITAL_PRODUCT_DATA: Table<Row> = Table {
    name: "hmc vpd",
    attributes: &[Attribute::new("vpd", "Vital product data.", |row: &Row| {
        Value::of(vital_product_data(row))
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
        Attribute::new("ipaddr", "Addresses.", |row: &Row| Value::of(&row.description.address)),
        fixed!("networkmask", "", "Network masks."),
        fixed!("gateway", "", "Default gateway."),
        fixed!("nameserver", "", "Name servers."),
        fixed!("domainsuffix", "", "Domain suffixes."),
        fixed!("slipipaddr", "", "Address of the serial line."),
        fixed!("slipnetmask", "", "Network mask of the serial line."),
        Attribute::new("ipaddrlpar", "Address for partitions.", |row: &Row| {
            Value::of(&row.description.address)
        }),
        fixed!("networkmasklpar", "", "Network mask for partitions."),
        fixed!("clients", "", "Clients that got an address."),
        fixed!("ipv6addrlpar", "", "IPv6 addresses for partitions."),
        fixed!("slpipaddrs", "", "Addresses that service processors find the console by."),
        Attribute::new("ipv4addr_eth0", "IPv4 address of eth0.", |row: &Row| {
            Value::of(&row.description.address)
        }),
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
        Attribute::new("ssh", "Logins over SSH.", |row: &Row| {
            Value::of(if row.remote_commands { "enable" } else { "disable" })
        }),
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
        fixed!("kerberos_default_realm", "", "Default realm."),
        fixed!("kerberos_realm_kdc", "", "Key distribution center."),
        fixed!("kerberos_clockskew", "", "Clock skew that is allowed."),
        fixed!("kerberos_ticket_lifetime", "", "Lifetime of a ticket."),
        fixed!("kpasswd_admin", "", "Server for passwords."),
        fixed!("trace", "", "Trace settings."),
        fixed!("kerberos_keyfile_present", "", "Whether there is a key file."),
        fixed!("kerberos_allow_weak_crypto", "", "Whether weak encryption is allowed."),
        fixed!("legacyhmccomm", "disable", "Communication with older consoles."),
        fixed!("security", "legacy", "Security mode."),
        fixed!("sol", "disabled", "Serial over LAN."),
    ],
};

static LOCALE: Table<Row> = Table { name: "hmc locale", attributes: &[fixed!("locale", "en_US", "Locale.")] };

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListConsole)?;
    let table = KINDS.iter().find(|(option, _)| options.has(option)).map_or(&VERSION, |(_, table)| *table);
    let console = invocation.console;
    let row = Row {
        description: console.description().clone(),
        hostname: console.hostname(),
        domain: console.domain(),
        remote_commands: console.settings().remote_commands,
        now: console.environment().wall_clock().seconds(),
    };
    if !options.has("-F") && (options.has("-V") || options.has("-v")) {
        return print_blocks(table, &row, invocation);
    }
    // Nobody has set up a route, a server of any kind: there is no command for it here.
    let empty = ["-D", "--netroute", "--ntpserver", "--syslog"].iter().any(|option| options.has(option));
    let rows = (!empty).then_some(row);
    Layout::new(table, options, console.release())?.print(rows, invocation.output)
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
