//! The computer that Varan runs on, as a console's: figures of Linux, and a power switch.
//!
//! ```text
//!          shut down, due                          power button, or the time that a start takes when it restarts
//!   on ────────────────────> off ─────────────────────────────────────────────────────────────────────────────> on
//!    \───────────────────────────────────────── the program ends ─────────────────────────────────────────────> ended
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use varan_console::{ConsoleMachine, MemoryFigures, ProcessFigures, ProcessorTimes, VolumeFigures};
use varan_environment::{Environment, Monotonic};

/// Real seconds that a console takes to start.
const START_SECONDS: f64 = 300.0;
/// Time that passes at least before services end, so that the answer to who asked for it goes out.
const GRACE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    due: Monotonic,
    restart: bool,
}

#[derive(Debug, Default)]
struct State {
    off: bool,
    ended: bool,
    button: bool,
    wish: Option<Wish>,
}

/// The power of one console.
pub struct Power {
    state: Mutex<State>,
    changed: Condvar,
    environment: Arc<dyn Environment>,
    time_scale: f64,
}

impl Power {
    /// A console that is on.
    #[must_use]
    pub fn new(environment: Arc<dyn Environment>, time_scale: f64) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            environment,
            time_scale: time_scale.max(1.0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn shut_down(&self, after: Duration, restart: bool) {
        let wait = after.div_f64(self.time_scale).max(GRACE);
        let due = self.environment.monotonic().after(wait);
        self.change(|state| {
            state.button = false;
            state.wish = Some(Wish { due, restart });
        });
    }

    /// Waits until services are to end. Returns whether they are to start again; `None` when the program ends.
    pub fn wait_for_end(&self) -> Option<bool> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            let now = self.environment.monotonic();
            state = match state.wish {
                Some(wish) if wish.due <= now => {
                    (state.wish, state.off) = (None, true);
                    return Some(wish.restart);
                }
                Some(wish) => {
                    let waited = self.changed.wait_timeout(state, wish.due.since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Waits until services are to start: for the button, or (`restart`) for the time that a start takes. Returns false
    /// when the program ends.
    #[must_use]
    pub fn wait_for_start(&self, restart: bool) -> bool {
        let start = Duration::from_secs_f64(START_SECONDS / self.time_scale);
        let due = self.environment.monotonic().after(start);
        let mut state = self.state();
        loop {
            let now = self.environment.monotonic();
            if state.ended || state.button || restart && due <= now {
                state.button = false;
                return !state.ended;
            }
            state = if restart {
                self.changed.wait_timeout(state, due.since(now)).unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// The services run again.
    pub fn started(&self) {
        self.change(|state| state.off = false);
    }

    /// The program ends.
    pub fn end(&self) {
        self.change(|state| state.ended = true);
    }
}

/// The computer of one console.
pub struct HostMachine {
    directory: PathBuf,
    power: Arc<Power>,
}

impl HostMachine {
    /// The computer whose volume holds `directory`.
    #[must_use]
    pub fn new(directory: &Path, power: Arc<Power>) -> Self {
        Self { directory: directory.to_owned(), power }
    }
}

fn odd(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{file} is not as expected"))
}

impl ConsoleMachine for HostMachine {
    fn memory(&self) -> io::Result<MemoryFigures> {
        memory(&std::fs::read_to_string("/proc/meminfo")?).ok_or_else(|| odd("/proc/meminfo"))
    }

    fn processors(&self) -> io::Result<Vec<ProcessorTimes>> {
        processors(&std::fs::read_to_string("/proc/stat")?).ok_or_else(|| odd("/proc/stat"))
    }

    fn volume(&self) -> io::Result<VolumeFigures> {
        let figures = rustix::fs::statvfs(&self.directory)?;
        let kilobytes = |blocks: u64| {
            u64::try_from(u128::from(blocks) * u128::from(figures.f_frsize) / 1_024).unwrap_or(u64::MAX)
        };
        let status = rustix::fs::stat(&self.directory)?;
        let number = (rustix::fs::major(status.st_dev), rustix::fs::minor(status.st_dev));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        Ok(VolumeFigures {
            device: device(&mounts, number).unwrap_or_else(|| "-".to_owned()),
            total: kilobytes(figures.f_blocks),
            used: kilobytes(figures.f_blocks.saturating_sub(figures.f_bfree)),
            available: kilobytes(figures.f_bavail),
        })
    }

    fn process(&self) -> io::Result<ProcessFigures> {
        let (status, stat) =
            (std::fs::read_to_string("/proc/self/status")?, std::fs::read_to_string("/proc/self/stat")?);
        process(&status, &stat).ok_or_else(|| odd("/proc/self/status"))
    }

    fn shut_down(&self, after: Duration, restart: bool) {
        self.power.shut_down(after, restart);
    }

    fn power_on(&self) {
        self.power.change(|state| state.button = state.off);
    }

    fn is_on(&self) -> bool {
        !self.power.state().off
    }
}

/// The number after `name:` in a file of such lines.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

fn memory(text: &str) -> Option<MemoryFigures> {
    Some(MemoryFigures {
        total: field(text, "MemTotal")?,
        free: field(text, "MemFree")?,
        buffers: field(text, "Buffers")?,
        cached: field(text, "Cached")?,
        swap_total: field(text, "SwapTotal")?,
        swap_free: field(text, "SwapFree")?,
    })
}

fn processors(text: &str) -> Option<Vec<ProcessorTimes>> {
    let lines = text.lines().filter(|line| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    });
    let times = |line: &str| {
        let numbers: Vec<u64> =
            line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>().ok()?;
        let number = |index: usize| numbers.get(index).copied();
        Some(ProcessorTimes {
            user: number(0)?,
            nice: number(1)?,
            system: number(2)?,
            idle: number(3)?,
            wait: number(4)?,
            hardware: number(5)?,
            software: number(6)?,
            stolen: number(7).unwrap_or(0),
        })
    };
    let all: Vec<ProcessorTimes> = lines.map(times).collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}

/// The source of the mount with that device number, as `mountinfo` has it.
fn device(mounts: &str, (major, minor): (u32, u32)) -> Option<String> {
    let number = format!("{major}:{minor}");
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&number))?;
    let (_, rest) = line.split_once(" - ")?;
    rest.split(' ').nth(1).map(str::to_owned)
}

fn process(status: &str, stat: &str) -> Option<ProcessFigures> {
    // The name is in parentheses and may hold anything; fields are counted from the state after it.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(ProcessFigures {
        id: u32::try_from(field(status, "Pid")?).ok()?,
        virtual_kilobytes: field(status, "VmSize")?,
        resident_kilobytes: field(status, "VmRSS")?,
        threads: field(status, "Threads")?,
        ticks: ticks(11)? + ticks(12)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use varan_environment::RealEnvironment;

    fn power() -> Arc<Power> {
        Arc::new(Power::new(Arc::new(RealEnvironment::new()), 1e9))
    }

    #[test]
    fn files_of_the_kernel_are_read() {
        let text = "MemTotal:  4096048 kB\nMemFree: 747560 kB\nMemAvailable: 1 kB\nBuffers: 338672 kB\nCached: 10 kB\nSwapCached: 3 kB\nSwapTotal: 2040244 kB\nSwapFree: 1774244 kB\n";
        let expected = MemoryFigures {
            total: 4_096_048,
            free: 747_560,
            buffers: 338_672,
            cached: 10,
            swap_total: 2_040_244,
            swap_free: 1_774_244,
        };
        assert_eq!(memory(text), Some(expected));
        assert_eq!(memory("MemTotal: many kB\n"), None);
        let text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 1 2 3 4 5 6 7\nintr 5\n";
        let times = processors(text).expect("read");
        assert_eq!((times.len(), times[0].stolen, times[1].software), (2, 8, 7));
        assert_eq!(processors("cpu0 1 2\n"), None);
        assert_eq!(processors(""), None);
        let mounts =
            "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n30 21 0:25 / /tmp rw - tmpfs tmpfs rw\n";
        assert_eq!(device(mounts, (254, 0)).as_deref(), Some("/dev/vda"));
        assert_eq!(device(mounts, (0, 25)).as_deref(), Some("tmpfs"));
        assert_eq!(device(mounts, (8, 1)), None);
        let status = "Name: x\nPid:\t42\nVmSize:\t 100 kB\nVmRSS:\t 50 kB\nThreads:\t7\n";
        let stat = "42 (a) b) S 1 1 1 0 -1 4194304 1 2 3 4 30 12 0 0 20 0 7 0 100";
        let figures = process(status, stat).expect("read");
        assert_eq!((figures.id, figures.resident_kilobytes, figures.threads, figures.ticks), (42, 50, 7, 42));
        assert_eq!(process(status, "42"), None);
    }

    #[test]
    fn this_computer_can_be_read() {
        let machine = HostMachine::new(&std::env::temp_dir(), power());
        let memory = machine.memory().expect("memory");
        assert!(memory.total > 0 && memory.free <= memory.total);
        assert!(!machine.processors().expect("processors").is_empty());
        let volume = machine.volume().expect("volume");
        assert!(volume.total > 0 && volume.used <= volume.total && volume.available <= volume.total);
        assert_eq!(machine.process().expect("process").id, std::process::id());
    }

    #[test]
    fn power_goes_off_and_on_as_it_is_told() {
        let power = power();
        let machine = HostMachine::new(&std::env::temp_dir(), power.clone());
        machine.power_on();
        assert!(machine.is_on());
        machine.shut_down(Duration::from_secs(3_600), false);
        assert!(machine.is_on(), "not yet");
        machine.shut_down(Duration::ZERO, true);
        assert_eq!(power.wait_for_end(), Some(true), "the later wish counts");
        assert!(!machine.is_on());
        assert!(power.wait_for_start(true));
        power.started();
        assert!(machine.is_on());
        machine.shut_down(Duration::ZERO, false);
        assert_eq!(power.wait_for_end(), Some(false));
        machine.power_on();
        assert!(power.wait_for_start(false), "the button was pressed");
        power.end();
        assert_eq!(power.wait_for_end(), None);
        assert!(!power.wait_for_start(false));
    }
}
