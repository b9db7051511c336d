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

    /// The tasks of the role.
    #[must_use]
    pub fn tasks(self) -> TaskSet {
        Task::ALL.iter().copied().filter(|task| authorize(self, *task).is_ok()).collect()
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
    ($($(#[$documentation:meta])* $name:ident = $group:ident $word:literal: $columns:literal;)+) => {
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

            /// The group of resources that `lsaccfg` lists the task under.
            #[must_use]
            pub fn group(self) -> &'static str {
                match self { $(Self::$name => stringify!($group)),+ }
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
    ListSystems = cec "ListCECProperty": "SOVPRL";
    /// List partitions.
    ListPartitions = lpar "ListLPARProperty": "SOVPRL";
    /// List profiles.
    ListProfiles = lpar "ListProfileProperty": "SOVPRL";
    /// List hardware resources and reference codes.
    ListHardware = cec "ListHardwareResources": "SOVPRL";
    /// List the console's own settings.
    ListConsole = HMCConsole "ListHMCConfiguration": "SOVPRL";
    /// Change the console's own settings.
    ChangeConsole = HMCConsole "ChangeHMCConfiguration": "SO--R-";
    /// List connections to systems.
    ListConnections = HMCConsole "ListConnections": "SOVPRL";
    /// Add, reset and remove connections to systems.
    ManageConnections = HMCConsole "ManageConnections": "S---R-";
    /// Change the password by which consoles reach a service processor.
    ChangeAccessPassword = cec "ChangeCECPassword": "S---R-";
    /// List users.
    ListUsers = HMCConsole "ListUsers": "S-----";
    /// Change a managed system.
    ChangeSystem = cec "ChangeCECProperty": "SO-P--";
    /// Power a managed system on.
    PowerOnSystem = cec "CECPowerOn": "SO-PR-";
    /// Power a managed system off.
    PowerOffSystem = cec "CECPowerOff": "SO-PR-";
    /// Read a managed system again.
    RebuildSystem = cec "RebuildCEC": "SO-PR-";
    /// End operations that hold a lock.
    RemoveLock = cec "RemoveLock": "S--PR-";
    /// Update the firmware of a managed system.
    UpdateFirmware = cec "ChangeLIC": "S--PR-";
    /// Create a partition.
    CreatePartition = cec "CreateLPAR": "S----L";
    /// Remove a partition.
    DeletePartition = lpar "DeleteLPAR": "S----L";
    /// Change a partition, apply a profile.
    ChangePartition = lpar "ChangeLPARProperty": "SO-P-L";
    /// Create a profile.
    CreateProfile = lpar "CreateProfile": "S----L";
    /// Change a profile.
    ChangeProfile = lpar "ChangeProfileProperty": "SO-P-L";
    /// Remove a profile.
    DeleteProfile = lpar "DeleteProfile": "S----L";
    /// List system profiles.
    ListSystemProfiles = cec "ListSystemProfileProperty": "SOVPRL";
    /// Create a system profile.
    CreateSystemProfile = cec "CreateSystemProfile": "S-----";
    /// Change a system profile.
    ChangeSystemProfile = cec "ChangeSystemProfileProperty": "SO-P--";
    /// Remove a system profile.
    RemoveSystemProfile = cec "DeleteSystemProfile": "S-----";
    /// Activate a system profile.
    ActivateSystemProfile = cec "ActivateSystemProfile": "SO-PR-";
    /// List the space for profile data.
    ListProfileSpace = cec "LSProfileSpace": "SOVPRL";
    /// Back up profile data.
    BackUpProfileData = cec "BackupProfileData": "SO-PR-";
    /// Restore or initialize profile data.
    RestoreProfileData = cec "RestoreProfileData": "S--P--";
    /// Remove a backup of profile data.
    RemoveProfileData = cec "RemoveProfileData": "SO-P--";
    /// Activate a partition, turn its key.
    ActivatePartition = lpar "ActivateLPAR": "SO-PRL";
    /// Shut a partition down.
    ShutdownPartition = lpar "ShutdownLPAR": "SO-PRL";
    /// Suspend and resume a partition.
    SuspendPartition = lpar "HibernateLPAR": "SO-P--";
    /// Change resources of a partition dynamically.
    DynamicChange = lpar "DlparOperation": "SO-P-L";
    /// Restore hardware resources: since version 7.3 of the console only hmcsuperadmin may.
    RestoreHardware = cec "RestoreHWResources": "S-----";
    /// Log virtual Fibre Channel ports in and out.
    ChangePortLogin = lpar "ChangeNPortLogin": "SO-P--";
    /// Open a virtual terminal.
    OpenTerminal = lpar "OpenVTerm": "SO-PR-";
    /// Close a virtual terminal.
    CloseTerminal = lpar "CloseVTerm": "SO-PR-";
    /// Run commands on a Virtual I/O Server.
    RunServerCommand = lpar "ViosAdminOp": "SO-P--";
    /// Create, change and remove users, and their keys.
    ManageUsers = HMCConsole "ManageUserProfiles": "S-----";
    /// Change the own password and the own keys.
    ChangeOwnPassword = HMCConsole "ChangeUserPasswords": "SOVPRL";
    /// List task roles and resource roles.
    ListRoles = HMCConsole "ListRoles": "S-----";
    /// Create, change and remove task roles.
    ManageRoles = HMCConsole "ManageRoles": "S-----";
    /// List what was run on the console.
    ListEvents = HMCConsole "ViewConsoleEvents": "S--PR-";
    /// List serviceable events.
    ListServiceEvents = HMCConsole "ListServiceableEvents": "SOVPRL";
    /// Make and close serviceable events.
    ManageServiceEvents = HMCConsole "ManageServiceableEvents": "SO-PR-";
    /// Turn indicators on and off.
    ChangeIndicators = cec "ChangeIndicators": "SO-PR-";
    /// List utilization data.
    ListUtilization = cec "ListUtilizationData": "SOVPRL";
    /// Change and remove utilization data.
    ChangeUtilization = cec "ChangeUtilizationData": "SO-P--";
    /// List who is logged in.
    ListSessions = HMCConsole "ListLogonSessions": "S--PR-";
    /// End sessions and commands of users.
    EndSessions = HMCConsole "TerminateTasks": "S--PR-";
    /// List file systems.
    ListFileSystems = HMCConsole "ViewHMCFileSystems": "SOVPRL";
    /// Remove temporary files.
    FreeFileSystems = HMCConsole "ManageHMCFileSystems": "SO-PR-";
    /// Shut the console down.
    ShutDownConsole = HMCConsole "RebootHMC": "SO-PR-";
}

/// A set of tasks: what one user may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TaskSet(u64);

// One bit for each task.
const _: () = assert!(Task::ALL.len() <= 64);

impl TaskSet {
    /// No task.
    pub const NONE: Self = Self(0);

    /// Whether the task is in the set.
    #[must_use]
    pub fn contains(self, task: Task) -> bool {
        self.0 & 1 << (task as u32) != 0
    }

    /// The tasks of both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The tasks in the order of [`Task::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Task> {
        Task::ALL.iter().copied().filter(move |task| self.contains(*task))
    }

    /// Refuses a task that is not in the set.
    ///
    /// # Errors
    /// [`MessageKey::NotAuthorized`].
    pub fn authorize(self, task: Task) -> Result<(), Refusal> {
        if self.contains(task) { Ok(()) } else { Err(Refusal::new(MessageKey::NotAuthorized)) }
    }
}

impl FromIterator<Task> for TaskSet {
    fn from_iter<Tasks: IntoIterator<Item = Task>>(tasks: Tasks) -> Self {
        Self(tasks.into_iter().fold(0, |bits, task| bits | 1 << (task as u32)))
    }
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

    const VIEWER: [Task; 12] = [
        Task::ListFileSystems,
        Task::ListServiceEvents,
        Task::ListUtilization,
        Task::ListSystemProfiles,
        Task::ListProfileSpace,
        Task::ChangeOwnPassword,
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
            assert_eq!(viewer.is_ok(), VIEWER.contains(&task), "{task:?}");
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
            [
                ManageConnections,
                ChangeAccessPassword,
                ListUsers,
                RemoveLock,
                UpdateFirmware,
                CreatePartition,
                DeletePartition,
                CreateProfile,
                DeleteProfile,
                CreateSystemProfile,
                RemoveSystemProfile,
                RestoreProfileData,
                RestoreHardware,
                ManageUsers,
                ListRoles,
                ManageRoles,
                ListEvents,
                ListSessions,
                EndSessions
            ]
        );
        assert_eq!(
            lacking(TaskRole::ProductEngineer),
            [
                ChangeConsole,
                ManageConnections,
                ChangeAccessPassword,
                ListUsers,
                CreatePartition,
                DeletePartition,
                CreateProfile,
                DeleteProfile,
                CreateSystemProfile,
                RemoveSystemProfile,
                RestoreHardware,
                ManageUsers,
                ListRoles,
                ManageRoles
            ]
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
                CreateSystemProfile,
                ChangeSystemProfile,
                RemoveSystemProfile,
                RestoreProfileData,
                RemoveProfileData,
                SuspendPartition,
                DynamicChange,
                RestoreHardware,
                ChangePortLogin,
                RunServerCommand,
                ManageUsers,
                ListRoles,
                ManageRoles,
                ChangeUtilization
            ]
        );
        assert_eq!(
            lacking(TaskRole::ClientLiveUpdate),
            [
                ChangeConsole,
                ManageConnections,
                ChangeAccessPassword,
                ListUsers,
                ChangeSystem,
                PowerOnSystem,
                PowerOffSystem,
                RebuildSystem,
                RemoveLock,
                UpdateFirmware,
                CreateSystemProfile,
                ChangeSystemProfile,
                RemoveSystemProfile,
                ActivateSystemProfile,
                BackUpProfileData,
                RestoreProfileData,
                RemoveProfileData,
                SuspendPartition,
                RestoreHardware,
                ChangePortLogin,
                OpenTerminal,
                CloseTerminal,
                RunServerCommand,
                ManageUsers,
                ListRoles,
                ManageRoles,
                ListEvents,
                ManageServiceEvents,
                ChangeIndicators,
                ChangeUtilization,
                ListSessions,
                EndSessions,
                FreeFileSystems,
                ShutDownConsole
            ]
        );
    }

    #[test]
    fn a_set_holds_what_its_role_may() {
        for role in TaskRole::ALL {
            for &task in Task::ALL {
                assert_eq!(role.tasks().authorize(task), authorize(role, task), "{role} {task:?}");
            }
            assert_eq!(role.tasks().iter().collect::<TaskSet>(), role.tasks());
        }
        assert_eq!(TaskSet::NONE.iter().next(), None);
        assert_eq!(
            TaskRole::SuperAdministrator.tasks().intersection(TaskRole::Viewer.tasks()),
            TaskRole::Viewer.tasks()
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
