//! A management console's own state: users, task roles, keys, audit, and the managed systems that it is connected to.
//!
//! A console holds no copy of a system's partitions. It keeps the systems' user-defined names, which events
//! invalidate, and asks for everything else.

mod administration;
mod audit;
mod claims;
mod connections;
mod console;
mod console_settings;
mod description;
mod link;
mod machine;
mod observation;
mod password;
mod password_policy;
mod profile_files;
mod resource_roles;
mod role;
mod service_events;
mod sessions;
mod settings;
mod store;
mod systems;
mod task_roles;
mod temporary_files;
mod users;
mod utilization;
mod writer;

pub use administration::{
    KEYS_MAX, NAME_LENGTH_MAX, NewUser, PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, RESOURCE_ROLES_MAX,
    RESOURCES_MAX, TASK_ROLES_MAX, USERS_MAX, UserChange,
};
pub use audit::{
    AUDIT_COMMAND_BYTES_MAX, AUDIT_ENTRIES_KEPT, AuditEntry, masked_command, masked_line, plain_command,
};
pub use connections::{ConnectionEntry, ConnectionState, ConnectionTarget, UNANSWERED_MAX};
pub use console::{Console, ConsoleError};
pub use console_settings::{ConsoleSettings, WebLogins};
pub use description::{ConsoleDescription, Secret, UserDescription, release_number};
pub use link::SwitchedLink;
pub use machine::{ConsoleMachine, MemoryFigures, ProcessFigures, ProcessorTimes, VolumeFigures, unreadable};
pub use password::{PasswordError, verify as verify_password};
pub use password_policy::{
    MEDIUM_POLICY, PASSWORD_HISTORY_MAX, PASSWORD_POLICIES_MAX, PasswordPolicy, PolicyRule,
};
pub use resource_roles::{ManagedResource, ResourcePart, ResourceRole, ResourceScope};
pub use role::{Task, TaskRole, TaskSet, authorize};
pub use service_events::{
    COMMENT_LENGTH_MAX, COMMENTS_MAX, SERVICE_EVENTS_KEPT, ServiceComment, ServiceEvent,
};
pub use sessions::{LoginSession, SessionGuard, SessionKind, SessionTask, TaskGuard};
pub use settings::{Setting, UserSettings};
pub use store::StoreError;
pub use systems::{NetworkSystem, SystemConnection};
pub use task_roles::{TaskRoleDefinition, TaskRoleEntry, format_tasks, parse_tasks};
pub use temporary_files::TemporaryFile;
pub use users::{LOCK_SECONDS, LoginOutcome, OfferedKey, User, WRONG_PASSWORDS_MAX};
pub use utilization::{
    CHANGES_KEPT, PoolUtilization, Rank, SAMPLE_BYTES_MAX, SAMPLE_RATE_DEFAULT, SAMPLE_RATES, SAMPLES_KEPT,
    SystemUtilization, UtilizationEvent, UtilizationKind, UtilizationResource, partition_states,
    system_states,
};
