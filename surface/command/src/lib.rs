//! The command language of the management console: static descriptions of commands, option parsing, listings, and the
//! translation of words into requests to managed systems.
//!
//! [`run`] runs one command for one user. A surface (SSH, a local shell) gives it streams, a terminal where there is one,
//! and the user's files, through the small traits of [`Invocation`].

mod catalog;
mod commands;
mod failure;
mod firmware;
mod form;
mod invocation;
mod listing;
mod manual;
mod options;
mod records;
mod select;
mod time;
pub mod vios;

pub use catalog::{CommandDefinition, CommandKind, command_names, commands, lookup, run};
pub use failure::CommandError;
pub use form::{Form, PartOfForm};
pub use invocation::{
    HomeFiles, Invocation, NoConsoles, NoFiles, NoServers, RawTerminal, RemoteConsoles, VirtualIoServers,
};
pub use manual::{AttributeHelp, Coverage, CoveredCommand, coverage, manual, usage};
pub use options::{OptionDefinition, OptionValue, ParsedOptions};
