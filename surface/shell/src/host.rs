//! What a shell asks its surroundings for.

use std::time::Duration;

use crate::cancellation::Cancellation;
use crate::dialect::Dialect;
use crate::files::TreePath;
use crate::streams::Streams;

/// Abilities that a restricted console does not have, and another kind of shell may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// The `tee` filter, which writes files of the user's file tree.
    Tee,
    /// `>` and `>>` to files of the user's file tree.
    OutputRedirection,
    /// `cd`.
    ChangeDirectory,
    /// The small programs that make, copy, move and remove files: `cp`, `mv`, `rm`, `mkdir`, `rmdir`, `dd`.
    FileCommands,
}

/// The wall clock as a user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WallClock {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub unix_seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
    /// Seconds east of UTC.
    pub offset_seconds: i32,
    /// The zone's abbreviation, such as `UTC` or `CET`.
    pub zone: String,
}

/// Who a user is, for `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's number.
    pub user_id: u32,
    /// The user's groups, the primary one first: number and name. Never empty.
    pub groups: Vec<(u32, String)>,
}

/// The console behind a shell: its commands, its user, its clock.
pub trait CommandHost: Send + Sync {
    /// Whether the name is a command of the console.
    fn lookup(&self, name: &str) -> bool;

    /// Runs a command to its end and returns its exit status. Called on the shell's own thread, or on the
    /// thread of a pipeline's stage. It must return soon after `streams.cancellation` is set.
    fn run(&self, name: &str, arguments: &[String], streams: Streams<'_>) -> u8;

    /// The names of all commands, in order.
    fn command_names(&self) -> Vec<String>;

    /// The user's name.
    fn user_name(&self) -> String;

    /// The host's name, without a domain for the prompt's sake.
    fn host_name(&self) -> String;

    /// The user's number and groups.
    fn identity(&self) -> Identity;

    /// Whether this shell has an ability that a restricted console lacks.
    fn allows(&self, _feature: Feature) -> bool {
        false
    }

    /// Which shell this is.
    fn dialect(&self) -> Dialect {
        Dialect::Console
    }

    /// Whether `cd` may go there, where it is allowed at all.
    fn may_enter(&self, _directory: &TreePath) -> bool {
        true
    }

    /// The time now.
    fn wall_clock(&self) -> WallClock;

    /// Sleeps for the given time, or until the cancellation is set.
    fn sleep(&self, duration: Duration, cancellation: &Cancellation);

    /// The manual page of a command as plain text, if there is one.
    fn manual(&self, name: &str) -> Option<String>;
}

/// A host without commands, where no time passes: for tools that only evaluate scripts, and for tests.
#[derive(Debug, Clone)]
pub struct StillHost {
    user: String,
    host: String,
    dialect: Dialect,
}

impl StillHost {
    /// A host with the given user and host name.
    pub fn new(user: &str, host: &str) -> Self {
        Self { user: user.to_string(), host: host.to_string(), dialect: Dialect::Console }
    }

    /// The same host with another shell; a Korn shell may do all that such a shell can.
    #[must_use]
    pub fn speaking(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }
}

impl CommandHost for StillHost {
    fn lookup(&self, _: &str) -> bool {
        false
    }

    fn run(&self, _: &str, _: &[String], _: Streams<'_>) -> u8 {
        127
    }

    fn command_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn user_name(&self) -> String {
        self.user.clone()
    }

    fn host_name(&self) -> String {
        self.host.clone()
    }

    fn identity(&self) -> Identity {
        Identity { user_id: 500, groups: vec![(500, self.user.clone())] }
    }

    fn allows(&self, feature: Feature) -> bool {
        match self.dialect {
            Dialect::Console => false,
            Dialect::RestrictedKorn => feature != Feature::OutputRedirection,
            Dialect::Korn => true,
        }
    }

    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn wall_clock(&self) -> WallClock {
        WallClock { unix_seconds: 0, nanoseconds: 0, offset_seconds: 0, zone: "UTC".to_string() }
    }

    fn sleep(&self, _: Duration, _: &Cancellation) {}

    fn manual(&self, _: &str) -> Option<String> {
        None
    }
}
