//! Task roles and what each may do.
//!
//! The names of roles and tasks are the field's own (`lsaccfg -t taskrole`). Which task each role has is known only in
//! outline for the roles other than `hmcsuperadmin` and `hmcviewer`: operators run what is defined and do not create or
//! remove it, service roles deal with power and consoles, the live update role makes and removes the surrogate partition.

use std::fmt;

use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

/// A task role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskRole {
    /// Everything.
    SuperAdministrator,
    /// Daily operation.
    Operator,
    /// Listings.
    Viewer,
    /// Support of problems.
    ProductEngineer,
    /// Repair of machines.
    ServiceRepresentative,
    /// AIX live kernel update.
    ClientLiveUpdate,
}

impl TaskRole {
    /// Every role, in the order of the columns below.
    pub const ALL: [Self; 6] = [
        Self::SuperAdministrator,
        Self::Operator,
        Self::Viewer,
        Self::ProductEngineer,
        Self::ServiceRepresentative,
        Self::ClientLiveUpdate,
    ];

    /// The word of the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SuperAdministrator => "hmcsuperadmin",
            Self::Operator => "hmcoperator",
            Self::Viewer => "hmcviewer",
            Self::ProductEngineer => "hmcpe",
            Self::ServiceRepresentative => "hmcservicerep",
            Self::ClientLiveUpdate => "hmcclientliveupdate",
        }
    }

    /// Finds the role that a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl fmt::Display for TaskRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

macro_rules! tasks {
    ($($(#[$documentation:meta])* $name:ident = $word:literal: $columns:literal;)+) => {
        /// Something that a command does, as far as authority is concerned.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Task { $($(#[$documentation])* $name),+ }

        impl Task {
            /// Every task.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name of the task in `lsaccfg`.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// One letter for each role in the order of [`TaskRole::ALL`], `-` where the role lacks the task.
            fn columns(self) -> &'static str {
                match self { $(Self::$name => $columns),+ }
            }
        }
    };
}

tasks! {
    /// List managed systems.
    ListSystems = "ListCECProperty": "SOVPRL";
    /// List partitions.
    ListPartitions = "ListLPARProperty": "SOVPRL";
    /// List profiles.
    ListProfiles = "ListProfileProperty": "SOVPRL";
    /// List hardware resources and reference codes.
    ListHardware = "ListHardwareResources": "SOVPRL";
    /// List the console's own settings.
    ListConsole = "ListHMCConfiguration": "SOVPRL";
    /// List connections to systems.
    ListConnections = "ListConnections": "SOVPRL";
    /// List users.
    ListUsers = "ListUsers": "S-----";
    /// Change a managed system.
    ChangeSystem = "ChangeCECProperty": "SO-P--";
    /// Power a managed system on.
    PowerOnSystem = "CECPowerOn": "SO-PR-";
    /// Power a managed system off.
    PowerOffSystem = "CECPowerOff": "SO-PR-";
    /// Read a managed system again.
    RebuildSystem = "RebuildCEC": "SO-PR-";
    /// Create a partition.
    CreatePartition = "CreateLPAR": "S----L";
    /// Remove a partition.
    DeletePartition = "DeleteLPAR": "S----L";
    /// Change a partition, apply a profile.
    ChangePartition = "ChangeLPARProperty": "SO-P-L";
    /// Create a profile.
    CreateProfile = "CreateProfile": "S----L";
    /// Change a profile.
    ChangeProfile = "ChangeProfileProperty": "SO-P-L";
    /// Remove a profile.
    DeleteProfile = "DeleteProfile": "S----L";
    /// Activate a partition, turn its key.
    ActivatePartition = "ActivateLPAR": "SO-PRL";
    /// Shut a partition down.
    ShutdownPartition = "ShutdownLPAR": "SO-PRL";
    /// Suspend and resume a partition.
    SuspendPartition = "HibernateLPAR": "SO-P--";
    /// Change resources of a partition dynamically.
    DynamicChange = "DlparOperation": "SO-P-L";
    /// Open a virtual terminal.
    OpenTerminal = "OpenVTerm": "SO-PR-";
    /// Close a virtual terminal.
    CloseTerminal = "CloseVTerm": "SO-PR-";
}

/// Whether a role may do a task.
///
/// # Errors
/// [`MessageKey::NotAuthorized`].
pub fn authorize(role: TaskRole, task: Task) -> Result<(), Refusal> {
    let column = TaskRole::ALL.iter().position(|one| *one == role);
    let letter = column.and_then(|column| task.columns().as_bytes().get(column));
    match letter {
        Some(b'-') | None => Err(Refusal::new(MessageKey::NotAuthorized)),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTINGS: [Task; 6] = [
        Task::ListSystems,
        Task::ListPartitions,
        Task::ListProfiles,
        Task::ListHardware,
        Task::ListConsole,
        Task::ListConnections,
    ];

    #[test]
    fn every_task_has_a_letter_or_a_dash_for_every_role() {
        for task in Task::ALL {
            assert_eq!(task.columns().len(), TaskRole::ALL.len(), "{task:?}");
            for (letter, expected) in task.columns().chars().zip("SOVPRL".chars()) {
                assert!(letter == '-' || letter == expected, "{task:?}: {letter}");
            }
        }
    }

    #[test]
    fn the_super_administrator_may_everything_and_the_viewer_only_list() {
        for &task in Task::ALL {
            assert_eq!(authorize(TaskRole::SuperAdministrator, task), Ok(()), "{task:?}");
            let viewer = authorize(TaskRole::Viewer, task);
            assert_eq!(viewer.is_ok(), LISTINGS.contains(&task), "{task:?}");
        }
        let refusal = authorize(TaskRole::Viewer, Task::CreatePartition).expect_err("refused");
        assert_eq!(refusal.to_string(), "HSCL350B The user does not have the appropriate authority.");
    }

    #[test]
    fn each_other_role_lacks_exactly_these_tasks() {
        use Task::*;
        let lacking = |role: TaskRole| -> Vec<Task> {
            Task::ALL.iter().copied().filter(|task| authorize(role, *task).is_err()).collect()
        };
        let makes = [CreatePartition, DeletePartition, CreateProfile, DeleteProfile];
        assert_eq!(
            lacking(TaskRole::Operator),
            [ListUsers, CreatePartition, DeletePartition, CreateProfile, DeleteProfile]
        );
        assert_eq!(
            lacking(TaskRole::ProductEngineer),
            [ListUsers, CreatePartition, DeletePartition, CreateProfile, DeleteProfile]
        );
        assert!(makes.iter().all(|task| lacking(TaskRole::ServiceRepresentative).contains(task)));
        assert_eq!(
            lacking(TaskRole::ServiceRepresentative),
            [
                ListUsers,
                ChangeSystem,
                CreatePartition,
                DeletePartition,
                ChangePartition,
                CreateProfile,
                ChangeProfile,
                DeleteProfile,
                SuspendPartition,
                DynamicChange
            ]
        );
        assert_eq!(
            lacking(TaskRole::ClientLiveUpdate),
            [
                ListUsers,
                ChangeSystem,
                PowerOnSystem,
                PowerOffSystem,
                RebuildSystem,
                SuspendPartition,
                OpenTerminal,
                CloseTerminal
            ]
        );
    }

    #[test]
    fn roles_have_the_fields_names() {
        for role in TaskRole::ALL {
            assert_eq!(TaskRole::from_word(role.word()), Some(role));
        }
        assert_eq!(TaskRole::from_word("root"), None);
    }
}
