//! Names that are held for changes which are about to be made, here or on another system.

use std::collections::{HashMap, HashSet, VecDeque};

use varan_contract::system::{CLAIM_LIFETIME, CLAIM_PHASE, ClaimId};
use varan_environment::Monotonic;
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;
use varan_model::rules::unique::{Holder, UniqueName};

/// Most names held at a time: many times what all sessions of a few consoles can ask for.
pub const NAMES_MAX: usize = 65_536;

struct Claim {
    granted: Monotonic,
    names: HashSet<UniqueName>,
}

/// The claims of one system. Time passes only by the `now` that each call gets.
#[derive(Default)]
pub struct Claims {
    claims: HashMap<ClaimId, Claim>,
    holders: HashMap<UniqueName, ClaimId>,
    /// Claims in the order in which they were granted; some were released meanwhile.
    granted: VecDeque<ClaimId>,
}

impl Claims {
    /// Holds names for a claim. A repeat changes nothing.
    ///
    /// # Errors
    /// The first name that another claim holds; [`MessageKey::Busy`] beyond [`NAMES_MAX`].
    pub fn grant(
        &mut self,
        claim: ClaimId,
        names: &[(Holder, UniqueName)],
        now: Monotonic,
    ) -> Result<(), Refusal> {
        self.forget_old(now);
        if self.claims.contains_key(&claim) {
            return Ok(());
        }
        if let Some((_, name)) = names.iter().find(|(_, name)| self.holders.contains_key(name)) {
            return Err(name.used());
        }
        if self.holders.len() + names.len() > NAMES_MAX {
            return Err(Refusal::new(MessageKey::Busy));
        }
        let names: HashSet<UniqueName> = names.iter().map(|(_, name)| name.clone()).collect();
        self.holders.extend(names.iter().map(|name| (name.clone(), claim)));
        self.claims.insert(claim, Claim { granted: now, names });
        self.granted.push_back(claim);
        Ok(())
    }

    /// Whether the claim holds all the names and is young enough for a change to be made with it.
    #[must_use]
    pub fn covers(&self, claim: ClaimId, names: &[(Holder, UniqueName)], now: Monotonic) -> bool {
        self.claims.get(&claim).is_some_and(|found| {
            now.since(found.granted) <= CLAIM_PHASE
                && names.iter().all(|(_, name)| found.names.contains(name))
        })
    }

    /// Ends a claim; one that is not there has ended.
    pub fn release(&mut self, claim: ClaimId) {
        if let Some(found) = self.claims.remove(&claim) {
            for name in &found.names {
                self.holders.remove(name);
            }
        }
        // The usual claim is released soon and in order, so that the queue stays as short as the table.
        while self.granted.front().is_some_and(|oldest| !self.claims.contains_key(oldest)) {
            self.granted.pop_front();
        }
    }

    fn forget_old(&mut self, now: Monotonic) {
        while let Some(&oldest) = self.granted.front() {
            let over = self.claims.get(&oldest).is_none_or(|claim| now.since(claim.granted) > CLAIM_LIFETIME);
            if !over {
                break;
            }
            self.granted.pop_front();
            self.release(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn name(number: u64) -> (Holder, UniqueName) {
        let holder = Holder::Partition(varan_model::ids::PartitionUuid::from_random(1));
        (holder, UniqueName::MacAddress(varan_model::ids::MacAddress(number)))
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn one_of_two_gets_a_name_until_it_is_released_or_old() {
        let (one, two) = (ClaimId(1), ClaimId(2));
        let mut claims = Claims::default();
        claims.grant(one, &[name(1), name(2)], at(0)).expect("granted");
        claims.grant(one, &[name(1), name(2)], at(1)).expect("a repeat");
        assert!(claims.grant(two, &[name(3), name(2)], at(1)).is_err());
        // What is refused holds nothing.
        claims.grant(ClaimId(3), &[name(3)], at(1)).expect("granted");
        claims.release(one);
        claims.release(one);
        claims.grant(two, &[name(2)], at(1)).expect("free again");
        assert!(claims.covers(two, &[name(2)], at(1)));
        assert!(!claims.covers(two, &[name(2), name(3)], at(1)), "not all of them");
        assert!(!claims.covers(one, &[name(1)], at(1)), "released");
        let late = 1 + CLAIM_PHASE.as_secs() + 1;
        assert!(!claims.covers(two, &[name(2)], at(late)), "too old to use");
        assert!(claims.grant(one, &[name(2)], at(late)).is_err(), "still held");
        claims.grant(one, &[name(2)], at(2 + CLAIM_LIFETIME.as_secs())).expect("void");
    }

    #[test]
    fn tables_are_bounded_and_end_empty() {
        let mut claims = Claims::default();
        let all: Vec<_> = (0..NAMES_MAX as u64).map(name).collect();
        claims.grant(ClaimId(0), &all, at(0)).expect("granted");
        assert!(claims.grant(ClaimId(1), &[name(u64::MAX)], at(0)).is_err());
        claims.release(ClaimId(0));
        assert!(claims.holders.is_empty() && claims.claims.is_empty() && claims.granted.is_empty());
    }
}
