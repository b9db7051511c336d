//! Who may ask: the password by which consoles reach the service processor.
//!
//! ```text
//!          set                     set by another console
//! Unset ────────> authenticated ──────────────────────────> failed: all but SetAccessPassword is refused
//! (pending)            ^                                       │
//!                      └────────── the console is told ────────┘
//! ```

use std::sync::Arc;

use varan_contract::system::{Origin, SystemRequest};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;
use varan_model::system::{AccessPassword, ManagedSystem};

use super::Decision;
use crate::world::{Change, World};

/// Checks that a console knows the password. The machine itself needs none.
///
/// # Errors
/// [`MessageKey::AccessPending`], [`MessageKey::AccessFailed`].
pub fn check_access(
    system: &ManagedSystem,
    origin: Option<&Arc<Origin>>,
    request: &SystemRequest,
) -> Result<(), Refusal> {
    let Some(origin) = origin else { return Ok(()) };
    let key = match &system.settings.access {
        _ if matches!(request, SystemRequest::SetAccessPassword { .. }) => return Ok(()),
        AccessPassword::Unset => MessageKey::AccessPending,
        access if *access != origin.access => MessageKey::AccessFailed,
        _ => return Ok(()),
    };
    Err(Refusal::new(key).with(&system.settings.name))
}

pub(super) fn set_password(
    world: &World,
    current: &AccessPassword,
    new: &AccessPassword,
) -> Result<Decision, Refusal> {
    let settings = &world.system().settings;
    let proven = settings.access == AccessPassword::Unset || settings.access == *current;
    if !proven || *new == AccessPassword::Unset {
        return Err(Refusal::new(MessageKey::AccessPasswordWrong).with(&settings.name));
    }
    if settings.access == *new {
        return Ok(Decision::default());
    }
    let mut settings = settings.clone();
    settings.access = new.clone();
    Ok(Decision::change(Change::PutSettings(Box::new(settings))))
}
