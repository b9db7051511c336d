//! `lsnportlogin`, `chnportlogin`: logins of virtual Fibre Channel ports.

use varan_console::Task;
use varan_contract::system::{SystemReply, SystemRequest};
use varan_model::attributes::port_login::PORT_LOGINS;
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use super::{DETAIL, FIELDS, FILTER, HEADER, MANAGED_SYSTEM, PARTITION_ID, PARTITION_NAME, WAIT};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{OneOf, Optional, Required, When};
use crate::invocation::{Invocation, selector};
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::select::Filters;

const FILTERS: &[&str] = &["lpar_names", "lpar_ids", "profile_names"];

pub(crate) static LIST: CommandDefinition = CommandDefinition {
    name: "lsnportlogin",
    summary: "list the logins of virtual Fibre Channel ports",
    options: &[MANAGED_SYSTEM, WAIT, DETAIL, FILTER, FIELDS, HEADER, HELP],
    forms: &[Form::listing(&[Required("-m"), Optional("-w"), Optional("-d"), Required("--filter")])],
    filters: &[("lsnportlogin", FILTERS)],
    attributes: &[AttributeGroup {
        title: "lsnportlogin",
        attributes: |release| attributes(&PORT_LOGINS, release),
    }],
    run: list,
};

pub(crate) static CHANGE: CommandDefinition = CommandDefinition {
    name: "chnportlogin",
    summary: "log virtual Fibre Channel ports in and out",
    options: &[
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["login", "logout"]),
            "login: activate every port that is not in use; logout: deactivate them again.",
        ),
        MANAGED_SYSTEM,
        PARTITION_NAME,
        PARTITION_ID,
        OptionDefinition::new(
            "-n",
            OptionValue::Text("profile-name"),
            "The adapters of this profile; without it those of the current configuration.",
        ),
        WAIT,
        DETAIL,
        OptionDefinition::new("-v", OptionValue::Flag, "Print what is being done."),
        HELP,
    ],
    forms: &[Form::new(&[
        When("-o", &["login", "logout"]),
        Required("-m"),
        OneOf(&["-p", "--id"]),
        Optional("-n"),
        Optional("-w"),
        Optional("-d"),
        Optional("-v"),
    ])],
    filters: &[],
    attributes: &[],
    run: change,
};

fn list(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListPartitions)?;
    let layout = Layout::new(&PORT_LOGINS, options, invocation.console.release())?;
    let filters = Filters::parse(options, FILTERS)?;
    let system = invocation.system(options)?;
    let profiles = filters.get("profile_names").unwrap_or_default().to_vec();
    let request = SystemRequest::ListPortLogins { partitions: filters.partitions()?, profiles };
    match invocation.ask(&system, request)? {
        SystemReply::PortLogins(rows) => layout.print(rows, invocation.output),
        _ => Err(Refusal::new(MessageKey::SystemNoConnection).with(system.name()).into()),
    }
}

fn change(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ChangePortLogin)?;
    let system = invocation.system(options)?;
    let partition = selector(options, "-p", "--id")?;
    let login = options.require("-o")? == "login";
    let profile = options.get("-n").map(str::to_owned);
    invocation.ask_long(&system, SystemRequest::ChangePortLogins { partition, profile, login })?;
    if options.has("-v") {
        let how = if login { "login" } else { "logout" };
        writeln!(invocation.output, "The {how} operation completed.")?;
    }
    Ok(0)
}
