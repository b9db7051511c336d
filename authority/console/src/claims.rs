//! Changes that state names which are unique in the world: the console claims them at every system that it reaches before
//! the change is made at one. `varan-system` describes the dialogue (`decide/claim.rs`).
//!
//! A system without connection cannot be asked and is passed over: a partition of a machine that is lost may be built
//! again elsewhere with its addresses.

use varan_contract::system::{CLAIM_PHASE, CallError, ClaimId, SystemReply, SystemRequest};
use varan_environment::Monotonic;
use varan_model::codes::MessageKey;
use varan_model::refusal::{Refusal, Subject};
use varan_model::rules::unique::{Holder, UniqueName};

use crate::console::Console;
use crate::systems::SystemConnection;

/// Times that names are claimed for one change. A second time is needed when the target lost its claims by a restart, or
/// when the change states other names than a moment before.
const ATTEMPTS: u32 = 3;

impl Console {
    /// Asks a system; claims what the change states.
    pub(crate) fn call_claiming(
        &self,
        system: &SystemConnection,
        request: SystemRequest,
    ) -> Result<SystemReply, CallError> {
        if request.is_read() {
            return system.link.call(self.request_id(), request);
        }
        let mut reply = system.link.call(self.request_id(), request.clone())?;
        for _ in 0..ATTEMPTS {
            let SystemReply::ClaimNeeded { names, subject } = reply else { return Ok(reply) };
            reply = self.call_with_claim(system, &request, &names, subject)?;
        }
        match reply {
            SystemReply::ClaimNeeded { .. } => Err(CallError::Busy),
            reply => Ok(reply),
        }
    }

    fn call_with_claim(
        &self,
        system: &SystemConnection,
        request: &SystemRequest,
        names: &[(Holder, UniqueName)],
        subject: Option<Subject>,
    ) -> Result<SystemReply, CallError> {
        let claim = ClaimId(self.request_id().0);
        let deadline = self.environment().monotonic().after(CLAIM_PHASE);
        let mut granted = Vec::new();
        let claimed = self.claim(claim, names, deadline, &mut granted);
        let result = match claimed {
            Ok(()) => {
                let request = SystemRequest::WithClaim { claim, request: Box::new(request.clone()) };
                system.link.call(self.request_id(), request)
            }
            Err(CallError::Refused(refusal)) => {
                Err(CallError::Refused(Box::new(Refusal { subject, ..*refusal })))
            }
            Err(error) => Err(error),
        };
        if !matches!(result, Err(CallError::NoConnection)) {
            for connection in granted {
                // A claim that cannot be released ends by itself.
                let _ = connection.link.call(self.request_id(), SystemRequest::ReleaseClaim { claim });
            }
        }
        // Without an answer nobody knows whether the change is made; the claims last until it cannot be any more.
        result
    }

    /// Claims at every system in the order of their identities, so that of two who want a name one gets it.
    fn claim<'a>(
        &'a self,
        claim: ClaimId,
        names: &[(Holder, UniqueName)],
        deadline: Monotonic,
        granted: &mut Vec<&'a SystemConnection>,
    ) -> Result<(), CallError> {
        for connection in self.systems_by_identity() {
            let request = SystemRequest::Claim { claim, names: names.to_vec() };
            match connection.link.call(self.request_id(), request) {
                Ok(_) => granted.push(connection),
                // Nor can a system be asked whose service processor does not let this console in.
                Err(CallError::Refused(refusal))
                    if matches!(refusal.key, MessageKey::AccessPending | MessageKey::AccessFailed) => {}
                Err(CallError::NoConnection) => {}
                Err(error) => return Err(error),
            }
            if self.environment().monotonic() > deadline {
                return Err(CallError::Busy);
            }
        }
        Ok(())
    }
}
