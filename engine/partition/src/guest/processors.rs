//! Processor time, computed when somebody asks: an idle guest costs no work.

use varan_contract::engine::{GuestStatistics, ProcessorAllocation};
use varan_environment::Monotonic;

/// Nanoseconds of one processor, times 10,000: hundredths of a processor times percent of load.
const UNIT: u128 = 10_000;

/// Totals up to `since`, and the load since then.
#[derive(Default)]
pub(super) struct ProcessorMeter {
    since: Option<Monotonic>,
    load_percent: u32,
    capped: u128,
    uncapped: u128,
    idle: u128,
    donated: u128,
}

/// Consumption per nanosecond, in hundredths of a processor times percent.
struct Rates {
    capped: u128,
    uncapped: u128,
    idle: u128,
    donated: u128,
}

fn rates(load_percent: u32, processors: &ProcessorAllocation) -> Rates {
    let all = u128::from(processors.processors) * 100;
    let demand = all * u128::from(load_percent.min(100));
    let entitled = u128::from(processors.entitlement_hundredths) * 100;
    let capped = demand.min(entitled);
    let may_exceed = processors.uncapped && !processors.dedicated;
    let uncapped = if may_exceed { demand - capped } else { 0 };
    let idle = entitled - capped;
    Rates { capped, uncapped, idle, donated: if processors.donating { idle } else { 0 } }
}

impl ProcessorMeter {
    /// Power comes on.
    pub(super) fn start(&mut self, now: Monotonic) {
        *self = Self { since: Some(now), ..Self::default() };
    }

    /// Accounts up to `now` with the processors that the guest had until then.
    pub(super) fn account(&mut self, now: Monotonic, processors: &ProcessorAllocation) {
        let Some(since) = self.since else {
            return;
        };
        let elapsed = now.since(since).as_nanos();
        let rates = rates(self.load_percent, processors);
        self.capped += elapsed * rates.capped;
        self.uncapped += elapsed * rates.uncapped;
        self.idle += elapsed * rates.idle;
        self.donated += elapsed * rates.donated;
        self.since = Some(since.max(now));
    }

    /// The load from `now` on, in percent of all the guest's processors.
    pub(super) fn set_load(&mut self, now: Monotonic, percent: u32, processors: &ProcessorAllocation) {
        self.account(now, processors);
        self.load_percent = percent.min(100);
    }

    pub(super) fn load_percent(&self) -> u32 {
        self.load_percent
    }

    /// Counters at `now`.
    pub(super) fn statistics(&self, now: Monotonic, processors: &ProcessorAllocation) -> GuestStatistics {
        let elapsed = self.since.map_or(0, |since| now.since(since).as_nanos());
        let rates = rates(self.load_percent, processors);
        let total =
            |before: u128, rate: u128| u64::try_from((before + elapsed * rate) / UNIT).unwrap_or(u64::MAX);
        GuestStatistics {
            capped_nanoseconds: total(self.capped, rates.capped),
            uncapped_nanoseconds: total(self.uncapped, rates.uncapped),
            idle_nanoseconds: total(self.idle, rates.idle),
            donated_nanoseconds: total(self.donated, rates.donated),
            resident_bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shared(processors: u32, entitlement_hundredths: u32, uncapped: bool) -> ProcessorAllocation {
        ProcessorAllocation {
            processors,
            entitlement_hundredths,
            dedicated: false,
            uncapped,
            uncapped_weight: 128,
            donating: false,
        }
    }

    #[test]
    fn load_divides_into_capped_uncapped_and_idle() {
        let dedicated = ProcessorAllocation { dedicated: true, ..shared(2, 200, false) };
        let donating = ProcessorAllocation { donating: true, ..dedicated };
        for (processors, load, expected) in [
            (shared(2, 50, true), 0, [0, 0, 50, 0]),
            (shared(2, 50, true), 10, [20, 0, 30, 0]),
            (shared(2, 50, true), 100, [50, 150, 0, 0]),
            (shared(2, 50, false), 100, [50, 0, 0, 0]),
            (dedicated, 25, [50, 0, 150, 0]),
            (donating, 25, [50, 0, 150, 150]),
        ] {
            let at = |seconds| Monotonic(Duration::from_secs(seconds));
            let mut meter = ProcessorMeter::default();
            meter.start(at(5));
            meter.set_load(at(5), load, &processors);
            // Accounting in between changes nothing.
            meter.account(at(60), &processors);
            let statistics = meter.statistics(at(105), &processors);
            let found = [
                statistics.capped_nanoseconds,
                statistics.uncapped_nanoseconds,
                statistics.idle_nanoseconds,
                statistics.donated_nanoseconds,
            ];
            assert_eq!(found, expected.map(|share: u64| share * 1_000_000_000), "{processors:?} {load}");
        }
    }
}
