//! Shared processor pools: names, maxima and reserves. Pools 1 to 63 are there from the factory without capacity, and listed
//! so; only those that are different are recorded.

use super::edit::{only_set, value_invalid};
use super::partition::check_name;
use crate::codes::MessageKey;
use crate::record::Assignment;
use crate::refusal::Refusal;
use crate::system::{ManagedSystem, SharedProcessorPool};
use crate::units::ProcessingUnits;

/// Pools of a managed system, the default one included.
pub const POOLS_MAX: u16 = 64;

/// The pool of a number as it leaves the factory.
fn factory(id: u16) -> SharedProcessorPool {
    SharedProcessorPool {
        id,
        name: format!("SharedPool{id:02}"),
        maximum_units: Some(ProcessingUnits(0)),
        reserved_units: ProcessingUnits(0),
    }
}

fn not_found(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(MessageKey::ProcessorPoolNotFound).with(what)
}

/// All pools in the order of their numbers, as consoles list them.
pub fn all(system: &ManagedSystem) -> impl Iterator<Item = SharedProcessorPool> {
    (0..POOLS_MAX).filter_map(|id| by_id(system, id).ok())
}

/// Finds a pool by number, factory pools included.
///
/// # Errors
/// [`MessageKey::ProcessorPoolNotFound`].
pub fn by_id(system: &ManagedSystem, id: u16) -> Result<SharedProcessorPool, Refusal> {
    if id >= POOLS_MAX {
        return Err(not_found(id));
    }
    Ok(system.processor_pool(id).cloned().unwrap_or_else(|| factory(id)))
}

/// Finds a pool by name, factory pools included.
///
/// # Errors
/// [`MessageKey::ProcessorPoolNotFound`].
pub fn by_name(system: &ManagedSystem, name: &str) -> Result<SharedProcessorPool, Refusal> {
    all(system).find(|pool| pool.name == name).ok_or_else(|| not_found(name))
}

fn units(assignment: &Assignment) -> Result<ProcessingUnits, Refusal> {
    only_set(assignment)?;
    assignment.value.parse().map_err(|error| value_invalid(assignment, error))
}

/// Applies `new_name`, `max_pool_proc_units` and `reserved_pool_proc_units` to a pool. `used` is the entitlement of its
/// partitions that hold resources.
///
/// # Errors
/// The default pool, an unknown attribute, a value out of range, a name that another pool has, a maximum below what is
/// used and reserved, or a reserve that is not free.
pub fn change(
    mut pool: SharedProcessorPool,
    record: &[Assignment],
    used: ProcessingUnits,
    system: &ManagedSystem,
) -> Result<SharedProcessorPool, Refusal> {
    if pool.id == 0 {
        return Err(Refusal::new(MessageKey::ProcessorPoolFixed));
    }
    let before = pool.reserved_units;
    for assignment in record {
        match assignment.name.as_str() {
            "new_name" => {
                only_set(assignment)?;
                check_name(&assignment.value)?;
                if by_name(system, &assignment.value).is_ok_and(|other| other.id != pool.id) {
                    return Err(Refusal::new(MessageKey::ProcessorPoolNameUsed).with(&assignment.value));
                }
                pool.name.clone_from(&assignment.value);
            }
            "max_pool_proc_units" => {
                let most = units(assignment)?;
                if most > system.configurable_units() {
                    let reason = format!("the managed system has {}", system.configurable_units());
                    return Err(value_invalid(assignment, reason));
                }
                pool.maximum_units = Some(most);
            }
            "reserved_pool_proc_units" => pool.reserved_units = units(assignment)?,
            name => return Err(Refusal::new(MessageKey::AttributeInvalid).with(name)),
        }
    }
    let more = pool.reserved_units.minus(before);
    if more > system.available_units() {
        let refusal = Refusal::new(MessageKey::DlparNotEnough).with(system.available_units());
        return Err(refusal.with("processing units").with(more));
    }
    check_fit(&pool, used)?;
    Ok(pool)
}

/// Whether partitions with that entitlement together fit a pool beside its reserve.
///
/// # Errors
/// [`MessageKey::ProcessorPoolTooSmall`].
pub fn check_fit(pool: &SharedProcessorPool, used: ProcessingUnits) -> Result<(), Refusal> {
    let needed = used.plus(pool.reserved_units);
    match pool.maximum_units {
        Some(most) if most < needed => {
            Err(Refusal::new(MessageKey::ProcessorPoolTooSmall).with(&pool.name).with(most).with(needed))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::system;
    use super::*;
    use crate::record::parse_record;

    #[test]
    fn pools_are_found_by_number_and_factory_name() {
        let system = system();
        assert_eq!(by_id(&system, 0).expect("default").name, "DefaultPool");
        assert_eq!(by_id(&system, 63).expect("last").name, "SharedPool63");
        assert_eq!(by_name(&system, "SharedPool05").expect("named").id, 5);
        assert!(by_id(&system, 64).is_err() && by_name(&system, "nosuch").is_err());
    }

    #[test]
    fn changes_are_checked() {
        let system = system();
        for (id, used, text, expected) in [
            (1, 0, "max_pool_proc_units=2.0,reserved_pool_proc_units=1.0,new_name=fast", None),
            (1, 100, "max_pool_proc_units=2.0,reserved_pool_proc_units=1.0", None),
            (1, 101, "max_pool_proc_units=2.0,reserved_pool_proc_units=1.0", Some("HSCL057A")),
            (1, 0, "reserved_pool_proc_units=0.1", Some("HSCL057A")),
            (1, 0, "max_pool_proc_units=9.0", Some("the managed system has 8.0")),
            (1, 0, "max_pool_proc_units=8.0,reserved_pool_proc_units=8.1", Some("HSCL0611")),
            (1, 0, "new_name=SharedPool02", Some("HSCL0578")),
            (1, 0, "max_pool_proc_units+=1.0", Some("+= and -=")),
            (1, 0, "foo=1", Some("The invalid attribute is foo")),
            (0, 0, "new_name=x", Some("HSCL0579")),
        ] {
            let pool = by_id(&system, id).expect("pool");
            let record = parse_record(text).expect("record");
            match (change(pool, &record, ProcessingUnits(used), &system), expected) {
                (Ok(_), None) => {}
                (Err(refusal), Some(part)) if refusal.to_string().contains(part) => {}
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
    }
}
