//! A management console's own state: users, task roles, keys, audit, and the managed systems that it is connected to.
//!
//! A console holds no copy of a system's partitions. It keeps the systems' user-defined names, which events
//! invalidate, and asks for everything else.

mod administration;
mod audit;
mod console;
mod description;
mod link;
mod password;
mod resource_roles;
mod role;
mod sessions;
mod settings;
mod store;
mod systems;
mod task_roles;
mod users;
mod writer;

pub use administration::{
    KEYS_MAX, NAME_LENGTH_MAX, NewUser, PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, RESOURCE_ROLES_MAX,
    RESOURCES_MAX, TASK_ROLES_MAX, USERS_MAX, UserChange,
};
pub use audit::{AUDIT_COMMAND_BYTES_MAX, AUDIT_ENTRIES_KEPT, AuditEntry, masked_command, masked_line};
pub use console::{Console, ConsoleError};
pub use description::{ConsoleDescription, Secret, UserDescription, release_number};
pub use link::SwitchedLink;
pub use password::PasswordError;
pub use resource_roles::{ManagedResource, ResourcePart, ResourceRole, ResourceScope};
pub use role::{Task, TaskRole, TaskSet, authorize};
pub use sessions::{LoginSession, SessionGuard};
pub use settings::{Setting, UserSettings};
pub use store::StoreError;
pub use systems::SystemConnection;
pub use task_roles::{TaskRoleDefinition, TaskRoleEntry, format_tasks, parse_tasks};
pub use users::{LOCK_SECONDS, LoginOutcome, OfferedKey, User, WRONG_PASSWORDS_MAX};
