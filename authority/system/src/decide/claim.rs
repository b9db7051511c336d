//! Claims: unique names that a change states are held at every system before the change is made at one.
//!
//! ```text
//! asker                      target                    every connected system, target included, in the order of identity
//!   ── change ──────────────> states new names
//!   <─ ClaimNeeded ──────────
//!   ── Claim ────────────────────────────────────────> free here, and no other claim: held
//!   ── WithClaim(change) ───> held by this claim: made
//!   ── ReleaseClaim ─────────────────────────────────> forgotten
//! ```
//!
//! Two askers who want one name meet at the first system that both reach; one of them gets it. A claim lives in memory
//! and ends by itself, so that an asker who dies blocks nothing for long.

use varan_contract::system::SystemRequest;
use varan_model::refusal::{Refusal, Subject};
use varan_model::rules::unique::{self, Holder, UniqueName};

use super::Decision;
use crate::world::{Change, World};

/// Checks that the names are free here, and sees to it that this system does not generate them later.
pub(super) fn claim(world: &World, names: &[(Holder, UniqueName)]) -> Result<Decision, Refusal> {
    unique::check_free(names, world.system(), world)?;
    let settings = unique::reserve(world.system(), names)?;
    let changes = settings.map(|settings| Change::PutSettings(Box::new(settings))).into_iter().collect();
    Ok(Decision { changes, ..Decision::default() })
}

/// The unique names that a change would bring and that this system did not generate for it, each with who is to have it.
#[must_use]
pub fn unique_names(world: &World, changes: &[Change]) -> Vec<(Holder, UniqueName)> {
    let system = world.system();
    let before = &system.settings;
    let settings = changes.iter().find_map(|change| match change {
        Change::PutSettings(settings) => Some(&**settings),
        _ => None,
    });
    let after = settings.unwrap_or(before);
    let mut names = Vec::new();
    if after.name != before.name {
        names.push((Holder::System(system.hardware.uuid), UniqueName::System(after.name.clone())));
    }
    let identity = &system.hardware.identity;
    for change in changes {
        let Change::PutPartition(partition) = change else { continue };
        let holder = Holder::Partition(partition.uuid);
        let contents = partition.profiles.iter().map(|profile| &profile.configuration);
        let mut stated: Vec<UniqueName> = contents
            .chain(&partition.current)
            .flat_map(|content| unique::newly_stated(content, partition.uuid, world))
            .filter(|name| !name.generated_between(identity, before, after))
            .collect();
        stated.sort_unstable();
        stated.dedup();
        names.extend(stated.into_iter().map(|name| (holder, name)));
    }
    names
}

/// The first line of a refusal of this request, as its other refusals have it.
#[must_use]
pub fn subject(world: &World, request: &SystemRequest) -> Option<Subject> {
    let subject = |doing: &str, noun: &str, name: &str| {
        Some(Subject { doing: doing.to_owned(), noun: noun.to_owned(), name: name.to_owned() })
    };
    let named = |record: &[varan_model::record::Assignment]| {
        record.iter().find(|one| one.name == "name").map(|one| one.value.clone()).unwrap_or_default()
    };
    match request {
        SystemRequest::CreatePartition { record } => subject("creating", "partition", &named(record)),
        SystemRequest::CreateProfile { record, .. } => {
            subject("creating", "partition profile", &named(record))
        }
        SystemRequest::ChangeProfile { profile, .. } => subject("changing", "partition profile", profile),
        SystemRequest::ChangeSystem { .. } => {
            subject("changing", "managed system", &world.system().settings.name)
        }
        _ => None,
    }
}
