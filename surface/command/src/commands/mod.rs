//! One module for each command or pair of commands.

mod access;
mod chhmc;
mod chhwres;
mod chlparstate;
mod chsyscfg;
mod chsysstate;
mod connections;
mod events;
mod file_systems;
mod indicators;
mod keys;
pub(crate) mod later;
mod locks;
mod lshmc;
mod lshwres;
mod lslic;
mod lsrefcode;
mod lssyscfg;
mod mksyscfg;
mod monitor;
mod password_policies;
mod port_login;
mod profile_data;
mod resource_roles;
mod rmc;
mod rmsyscfg;
mod rsthwres;
mod secret;
mod service_events;
mod shutdown;
mod system_profiles;
mod terminal;
mod updlic;
mod user_list;
mod users;
mod utilization;
mod virtual_io_server;

use crate::catalog::CommandDefinition;
use crate::options::{OptionDefinition, OptionValue};

/// Every command that is there, in the order of their names.
pub(crate) static ALL: &[&CommandDefinition] = &[
    &profile_data::BACK_UP,
    &access::CHANGE,
    &chhmc::COMMAND,
    &file_systems::FREE,
    &users::CHANGE,
    &chhwres::COMMAND,
    &indicators::CHANGE,
    &chlparstate::COMMAND,
    &utilization::CHANGE,
    &port_login::CHANGE,
    &password_policies::CHANGE,
    &service_events::CHANGE,
    &chsyscfg::COMMAND,
    &connections::PASSWORD,
    &chsysstate::COMMAND,
    &rmc::DIAGNOSE,
    &shutdown::COMMAND,
    &access::LIST,
    &lshmc::COMMAND,
    &file_systems::LIST,
    &user_list::COMMAND,
    &lshwres::COMMAND,
    &indicators::LIST,
    &lslic::COMMAND,
    &locks::LIST,
    &events::SESSIONS,
    &utilization::LIST,
    &port_login::LIST,
    &rmc::LIST,
    &profile_data::SPACE,
    &password_policies::LIST,
    &lsrefcode::COMMAND,
    &events::EVENTS,
    &lssyscfg::COMMAND,
    &connections::LIST,
    &access::CREATE,
    &keys::COMMAND,
    &users::CREATE,
    &profile_data::RECREATE,
    &password_policies::CREATE,
    &service_events::CREATE,
    &mksyscfg::COMMAND,
    &connections::CREATE,
    &terminal::OPEN,
    &monitor::COMMAND,
    &access::REMOVE,
    &users::REMOVE,
    &locks::REMOVE,
    &utilization::REMOVE,
    &profile_data::REMOVE,
    &password_policies::REMOVE,
    &rmsyscfg::COMMAND,
    &connections::REMOVE,
    &terminal::CLOSE,
    &rsthwres::COMMAND,
    &profile_data::RESTORE,
    &events::END_TASK,
    &updlic::COMMAND,
    &virtual_io_server::COMMAND,
];

const MANAGED_SYSTEM: OptionDefinition = OptionDefinition::new(
    "-m",
    OptionValue::Text("managed-system"),
    "User-defined name of the managed system, or tttt-mmm*sssssss.",
);
const PARTITION_NAME: OptionDefinition =
    OptionDefinition::new("-p", OptionValue::Text("partition-name"), "Name of the partition.");
const PARTITION_ID: OptionDefinition =
    OptionDefinition::new("--id", OptionValue::PartitionId("partition-ID"), "ID of the partition.");
const FILTER: OptionDefinition = OptionDefinition::new(
    "--filter",
    OptionValue::Text("\"filter-data\""),
    "List only what the filters name: \"name=value[,name=value...]\".",
);
const FIELDS: OptionDefinition = OptionDefinition::new(
    "-F",
    OptionValue::OptionalText("attribute-names"),
    "Print only the values of these attributes, separated as the names are; of all attributes when none is named.",
);
const HEADER: OptionDefinition = OptionDefinition::new(
    "--header",
    OptionValue::Flag,
    "With -F, print a line with the attribute names first.",
);
const RECORD: OptionDefinition = OptionDefinition::new(
    "-i",
    OptionValue::Text("\"configuration-data\""),
    "The data: \"attribute=value,attribute=value,...\"; a value with commas is quoted.",
);
const RECORD_FILE: OptionDefinition = OptionDefinition::new(
    "-f",
    OptionValue::Text("configuration-file"),
    "A file of the user's home with one record on each line.",
);
const ATTRIBUTES: OptionDefinition = OptionDefinition::new(
    "-a",
    OptionValue::Text("\"attributes\""),
    "The attributes: \"name=value,name=value,...\".",
);
const WAIT: OptionDefinition = OptionDefinition::new(
    "-w",
    OptionValue::Number("wait-time", 0, 999),
    "Minutes to wait for the operating system, 5 when not given; 0 waits without limit.",
);
const DETAIL: OptionDefinition = OptionDefinition::new(
    "-d",
    OptionValue::Number("detail-level", 0, 5),
    "Detail that the partition gives when a change fails, 0 to 5.",
);
const IMMEDIATE: OptionDefinition =
    OptionDefinition::new("--immed", OptionValue::Flag, "Do not wait for what runs.");
const RESTART: OptionDefinition =
    OptionDefinition::new("--restart", OptionValue::Flag, "Start again afterwards.");
