//! A management console's own state: users, task roles, keys, audit, and the managed systems that it is connected to.
//!
//! A console holds no copy of a system's partitions. It keeps the systems' user-defined names, which events
//! invalidate, and asks for everything else.

mod audit;
mod console;
mod description;
mod password;
mod role;
mod store;
mod systems;
mod users;
mod writer;

pub use audit::{AUDIT_COMMAND_BYTES_MAX, AUDIT_ENTRIES_KEPT, AuditEntry};
pub use console::{Console, ConsoleError};
pub use description::{ConsoleDescription, Secret, UserDescription, release_number};
pub use password::PasswordError;
pub use role::{Task, TaskRole, authorize};
pub use store::StoreError;
pub use systems::SystemConnection;
pub use users::{LOCK_SECONDS, LoginOutcome, OfferedKey, User, WRONG_PASSWORDS_MAX};
