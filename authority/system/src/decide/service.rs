//! Failures and indicators.

use varan_contract::system::Indicator;
use varan_model::codes::MessageKey;
use varan_model::ids::PartitionId;
use varan_model::partition::PartitionEntry;
use varan_model::refusal::Refusal;
use varan_model::service::Failure;

use super::{Decision, Moment};
use crate::world::{Change, World};

/// Code of a partition's failure where its operating system or firmware posted none.
const PARTITION_FAILED: &str = "BA000000";

/// The change by which a failure is logged. Whatever detects or injects one ends here: the log is what consoles make their
/// serviceable events from.
#[must_use]
pub fn failure(failure: Failure, moment: Moment) -> Change {
    Change::LogError(moment.wall_seconds, Box::new(failure))
}

/// A partition ended abnormally.
pub(super) fn partition_failed(entry: &PartitionEntry, moment: Moment) -> Change {
    let newest = entry.runtime.reference_codes.newest_first().find(|code| !code.code.trim().is_empty());
    let code = newest.and_then(|code| code.code.split_whitespace().next()).unwrap_or(PARTITION_FAILED);
    let name = entry.partition.name.clone();
    let text = format!("The partition {name} ended abnormally.");
    failure(
        Failure {
            reference_code: code.to_owned(),
            text,
            partition: Some((entry.partition.id, name)),
            part: None,
        },
        moment,
    )
}

pub(super) fn set_indicator(world: &World, indicator: &Indicator, on: bool) -> Result<Decision, Refusal> {
    let system = world.system();
    let mut settings = system.settings.clone();
    let indicators = &mut settings.indicators;
    match indicator {
        Indicator::Attention => indicators.attention = on,
        Indicator::VirtualAttention => indicators.virtual_attention = on,
        Indicator::Partition(selector) => {
            let id = world.snapshot.find(selector)?.partition.id;
            if on {
                indicators.partitions.insert(id);
            } else {
                indicators.partitions.remove(&id);
            }
        }
        Indicator::AllPartitions => {
            let all = world.snapshot.partitions.iter().map(|(id, _)| PartitionId(id));
            indicators.partitions = if on { all.collect() } else { std::collections::BTreeSet::new() };
        }
        Indicator::Identify(location) => {
            if !system.hardware.locations().any(|known| known == *location) {
                return Err(Refusal::new(MessageKey::LocationNotFound).with(location));
            }
            if on {
                indicators.identify.insert(location.clone());
            } else {
                indicators.identify.remove(location);
            }
        }
    }
    if settings == system.settings {
        return Ok(Decision::default());
    }
    Ok(Decision::change(Change::PutSettings(Box::new(settings))))
}
