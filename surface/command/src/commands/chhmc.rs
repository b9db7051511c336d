//! `chhmc`: changes the console itself.

use varan_console::Task;

use crate::catalog::CommandDefinition;
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{SomeOf, When};
use crate::invocation::Invocation;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};

/// What the real console can change and this one has no thing for: time comes from the host, and so do routes, log servers
/// and boot disks.
const LATER: &[&str] =
    &["altdiskboot", "date", "kerberos", "locale", "netroute", "remotewebui", "security", "syslog", "xntp"];

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "chhmc",
    summary: "change the configuration of the console",
    options: &[
        OptionDefinition::new(
            "-c",
            OptionValue::Word(&[
                "network",
                "ssh",
                "altdiskboot",
                "date",
                "kerberos",
                "locale",
                "netroute",
                "remotewebui",
                "security",
                "syslog",
                "xntp",
            ]),
            "What to change: network for host name and domain, ssh for logins over SSH.",
        ),
        OptionDefinition::new(
            "-s",
            OptionValue::Word(&["modify", "enable", "disable", "add", "remove"]),
            "What happens to it.",
        ),
        OptionDefinition::new("-h", OptionValue::Text("host-name"), "New host name without domain."),
        OptionDefinition::new("-d", OptionValue::Text("network-domain-name"), "New domain."),
        OptionDefinition::later("-i", OptionValue::Text("interface"), "Network interface."),
        OptionDefinition::later(
            "-a",
            OptionValue::Text("IP-address"),
            "Address of an interface or a server.",
        ),
        OptionDefinition::later("-nm", OptionValue::Text("network-mask"), "Network mask."),
        OptionDefinition::later("-g", OptionValue::Text("gateway"), "Default gateway."),
        OptionDefinition::later("-ds", OptionValue::Text("domain-suffix"), "Domain suffix."),
        OptionDefinition::later("-l", OptionValue::Text("locale"), "Locale."),
        OptionDefinition::later("--force", OptionValue::Flag, "Do not ask for a restart."),
        HELP,
    ],
    forms: &[
        Form::new(&[When("-c", &["network"]), When("-s", &["modify"]), SomeOf(&["-h", "-d"])]),
        Form::new(&[When("-c", &["ssh"]), When("-s", &["enable", "disable"])]),
        Form::later(&[When("-c", &["network"]), When("-s", &["add", "remove"])]),
        Form::later(&[When("-c", LATER)]),
    ],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ChangeConsole)?;
    if options.get("-c") == Some("network") {
        invocation.console.set_names(options.get("-h"), options.get("-d"))?;
    } else {
        invocation.console.set_remote_commands(options.get("-s") == Some("enable"))?;
    }
    Ok(0)
}
