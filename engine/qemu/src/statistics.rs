//! What the host counts for a guest's process.

use varan_contract::engine::{GuestStatistics, ProcessorAllocation};

const NANOSECONDS: u64 = 1_000_000_000;

/// One look at `/proc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Processor time of the process, in nanoseconds.
    pub(crate) used: u64,
    /// Time since the process started, in nanoseconds.
    pub(crate) elapsed: u64,
    /// Bytes of it that are in real memory.
    pub(crate) resident_bytes: u64,
}

/// Looks at a process; `None` when it is gone.
pub(crate) fn sample(pid: i32) -> Option<Sample> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    parse(&stat, &uptime, rustix::param::clock_ticks_per_second(), rustix::param::page_size() as u64)
}

/// Fields by their numbers in proc_pid_stat(5); the second, the name, may hold anything up to the last parenthesis.
fn parse(stat: &str, uptime: &str, ticks_per_second: u64, page_size: u64) -> Option<Sample> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<u64>().ok();
    let nanoseconds = |ticks: u64| ticks.saturating_mul(NANOSECONDS / ticks_per_second.max(1));
    let up: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let up = (up * NANOSECONDS as f64) as u64;
    Some(Sample {
        used: nanoseconds(field(14)?.saturating_add(field(15)?)),
        elapsed: up.saturating_sub(nanoseconds(field(22)?)),
        resident_bytes: field(24)?.saturating_mul(page_size),
    })
}

/// Sums of what was used within and beyond the entitlement, from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    last: Sample,
    sums: GuestStatistics,
}

impl Meter {
    pub(crate) fn add(&mut self, sample: Sample, processors: &ProcessorAllocation) -> GuestStatistics {
        let used = sample.used.saturating_sub(self.last.used);
        let elapsed = sample.elapsed.saturating_sub(self.last.elapsed);
        let entitled = u128::from(elapsed) * u128::from(processors.entitlement_hundredths) / 100;
        let entitled = u64::try_from(entitled).unwrap_or(u64::MAX);
        let capped = used.min(entitled);
        self.sums.capped_nanoseconds += capped;
        self.sums.uncapped_nanoseconds += used - capped;
        self.sums.idle_nanoseconds += entitled - capped;
        if processors.donating {
            self.sums.donated_nanoseconds += entitled - capped;
        }
        self.sums.resident_bytes = sample.resident_bytes;
        // A clock that went back must not be counted twice.
        self.last.used = self.last.used.max(sample.used);
        self.last.elapsed = self.last.elapsed.max(sample.elapsed);
        self.sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "29392 (qemu) system) ppc) R 29339 29336 12278 0 -1 138412416 18766 0 0 0 913 36 0 0 20 0 4 0 \
                        1304412 1990488064 63561 18446744073709551615 1 1 0 0 0 0 268444224 4096 16451 0 0 0 17 0 0 0";

    #[test]
    fn fields_are_found_behind_any_name() {
        let sample = parse(STAT, "13054.12 20000.00\n", 100, 4_096).expect("sample");
        assert_eq!(
            sample,
            Sample { used: 9_490_000_000, elapsed: 10_000_000_000, resident_bytes: 63_561 * 4_096 }
        );
        assert_eq!(parse("1 (x", "1", 100, 4_096), None);
        assert_eq!(parse("1 (x) R 1", "1", 100, 4_096), None);
        assert!(sample.used > 0 && super::sample(i32::MAX).is_none());
        assert!(super::sample(i32::try_from(std::process::id()).expect("pid")).is_some());
    }

    #[test]
    fn time_is_divided_at_the_entitlement_of_each_interval() {
        let half = ProcessorAllocation {
            processors: 1,
            entitlement_hundredths: 50,
            dedicated: false,
            uncapped: true,
            uncapped_weight: 128,
            donating: false,
        };
        let mut meter = Meter::default();
        let first = meter.add(Sample { used: 100, elapsed: 1_000, resident_bytes: 5 }, &half);
        assert_eq!(
            (first.capped_nanoseconds, first.uncapped_nanoseconds, first.idle_nanoseconds),
            (100, 0, 400)
        );
        let second = meter.add(Sample { used: 1_000, elapsed: 2_000, resident_bytes: 7 }, &half);
        assert_eq!(
            (second.capped_nanoseconds, second.uncapped_nanoseconds, second.idle_nanoseconds),
            (600, 400, 400)
        );
        assert_eq!(second.resident_bytes, 7);
        assert_eq!(meter.add(Sample { used: 900, elapsed: 1_900, resident_bytes: 7 }, &half), second);
    }
}
