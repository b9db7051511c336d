//! `monhmc`: what the console's computer is busy with, once or again and again.
//!
//! The lines are those that monitoring programs read: of `df`, and of `top` as it was on consoles of release 7 and 8.

use std::time::Duration;

use varan_console::{ConsoleMachine, MemoryFigures, ProcessorTimes, Task, unreadable};

use crate::catalog::CommandDefinition;
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{Optional, When};
use crate::invocation::Invocation;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::time;

/// Seconds between two updates, as captured.
const INTERVAL_DEFAULT: u64 = 4;
/// Time over which processors are watched for one line: too short for a person to notice, long enough for some ticks.
const WATCHED: Duration = Duration::from_millis(500);
/// Columns of the line above an update, as `watch` fills them.
const HEAD_COLUMNS: usize = 80;

pub(crate) static COMMAND: CommandDefinition = CommandDefinition {
    name: "monhmc",
    summary: "monitor what the console's computer is busy with",
    options: &[
        OptionDefinition::new(
            "-r",
            OptionValue::Word(&["disk", "hmcsvr", "mem", "proc", "rmcsr", "swap"]),
            "disk: the file system of the console's data; hmcsvr: the process that serves the console; mem: memory; proc: processors; swap: swap space.",
        ),
        OptionDefinition::new(
            "-n",
            OptionValue::Number("seconds", 0, 86_400),
            "Seconds between updates, 4 when not given; 0 prints once.",
        ),
        HELP,
    ],
    forms: &[
        Form::new(&[When("-r", &["disk", "hmcsvr", "mem", "proc", "swap"]), Optional("-n")]),
        Form::later(&[When("-r", &["rmcsr"])]),
    ],
    filters: &[],
    attributes: &[],
    run,
};

fn run(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListConsole)?;
    let resource = options.require("-r")?.to_owned();
    let seconds = options.number::<u64>("-n")?.unwrap_or(INTERVAL_DEFAULT);
    loop {
        let lines = lines(invocation, &resource)?;
        if seconds > 0 {
            let now = time::date_line(invocation.console.environment().wall_clock().seconds());
            let head = format!("Every {seconds}.0s: MONHmc {resource}");
            let columns = HEAD_COLUMNS.saturating_sub(now.len());
            writeln!(invocation.output, "{head:<columns$}{now}\n")?;
        }
        for line in lines {
            writeln!(invocation.output, "{line}")?;
        }
        if seconds == 0 {
            return Ok(0);
        }
        writeln!(invocation.output)?;
        invocation.output.flush()?;
        invocation.pause(Duration::from_secs(seconds))?;
    }
}

fn lines(invocation: &Invocation<'_>, resource: &str) -> Result<Vec<String>, CommandError> {
    let machine = invocation.console.machine()?;
    Ok(match resource {
        "disk" => disk(machine)?,
        "hmcsvr" => process(invocation, machine)?,
        "mem" => vec![memory(&machine.memory().map_err(unreadable)?)],
        "swap" => vec![swap(&machine.memory().map_err(unreadable)?)],
        _ => {
            let before = machine.processors().map_err(unreadable)?;
            invocation.pause(WATCHED)?;
            let after = machine.processors().map_err(unreadable)?;
            before.iter().zip(&after).enumerate().map(|(number, pair)| processor(number, pair)).collect()
        }
    })
}

fn disk(machine: &dyn ConsoleMachine) -> Result<Vec<String>, CommandError> {
    let volume = machine.volume().map_err(unreadable)?;
    let shared = volume.used + volume.available;
    // Rounded up, as df does.
    let percent = (volume.used * 100).div_ceil(shared.max(1));
    Ok(vec![
        format!(
            "{:<20} {:>12} {:>10} {:>10} Use% Mounted on",
            "Filesystem", "1K-blocks", "Used", "Available"
        ),
        format!(
            "{:<20} {:>12} {:>10} {:>10} {percent:>3}% /",
            volume.device, volume.total, volume.used, volume.available
        ),
    ])
}

fn memory(figures: &MemoryFigures) -> String {
    let used = figures.total.saturating_sub(figures.free);
    format!(
        "Mem:  {:>8}k total, {used:>8}k used, {:>8}k free, {:>8}k buffers",
        figures.total, figures.free, figures.buffers
    )
}

fn swap(figures: &MemoryFigures) -> String {
    let used = figures.swap_total.saturating_sub(figures.swap_free);
    format!(
        "Swap: {:>8}k total, {used:>8}k used, {:>8}k free, {:>8}k cached",
        figures.swap_total, figures.swap_free, figures.cached
    )
}

/// What one processor did between two looks.
fn processor(number: usize, (before, after): (&ProcessorTimes, &ProcessorTimes)) -> String {
    let spent = |read: fn(&ProcessorTimes) -> u64| read(after).saturating_sub(read(before));
    let parts = [
        ("us", spent(|times| times.user)),
        ("sy", spent(|times| times.system)),
        ("ni", spent(|times| times.nice)),
        ("id", spent(|times| times.idle)),
        ("wa", spent(|times| times.wait)),
        ("hi", spent(|times| times.hardware)),
        ("si", spent(|times| times.software)),
        ("st", spent(|times| times.stolen)),
    ];
    let total: u64 = parts.iter().map(|(_, ticks)| ticks).sum();
    let share = |(name, ticks): &(&str, u64)| {
        let tenths = (ticks * 1_000 + total / 2) / total.max(1);
        format!("{:>3}.{}%{name}", tenths / 10, tenths % 10)
    };
    let shares: Vec<String> = parts.iter().map(share).collect();
    format!("Cpu{number:<3}:{}", shares.join(","))
}

fn process(invocation: &Invocation<'_>, machine: &dyn ConsoleMachine) -> Result<Vec<String>, CommandError> {
    let before = machine.process().map_err(unreadable)?;
    let processors = machine.processors().map_err(unreadable)?;
    invocation.pause(WATCHED)?;
    let figures = machine.process().map_err(unreadable)?;
    let total: u64 = machine
        .processors()
        .map_err(unreadable)?
        .iter()
        .zip(&processors)
        .map(|(after, before)| all(after).saturating_sub(all(before)))
        .sum();
    let count = processors.len().max(1) as u64;
    let ticks = figures.ticks.saturating_sub(before.ticks);
    // Of one processor, as top counts.
    let tenths = ticks * 1_000 * count / total.max(1);
    let memory = machine.memory().map_err(unreadable)?.total.max(1);
    let share = figures.resident_kilobytes * 1_000 / memory;
    Ok(vec![
        format!("{:>8} {:>10} {:>10} {:>4} {:>5} {:>5} COMMAND", "PID", "VIRT", "RES", "THR", "%CPU", "%MEM"),
        format!(
            "{:>8} {:>9}k {:>9}k {:>4} {:>5} {:>5} hmcsvr",
            figures.id,
            figures.virtual_kilobytes,
            figures.resident_kilobytes,
            figures.threads,
            format!("{}.{}", tenths / 10, tenths % 10),
            format!("{}.{}", share / 10, share % 10),
        ),
    ])
}

fn all(times: &ProcessorTimes) -> u64 {
    times.user
        + times.nice
        + times.system
        + times.idle
        + times.wait
        + times.hardware
        + times.software
        + times.stolen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that public monitoring programs quote.
    #[test]
    fn lines_are_those_of_the_console() {
        let figures = MemoryFigures {
            total: 4_095_732,
            free: 1_105_784,
            buffers: 445_448,
            cached: 1_808_320,
            swap_total: 2_040_244,
            swap_free: 1_997_408,
        };
        assert_eq!(
            memory(&figures),
            "Mem:   4095732k total,  2989948k used,  1105784k free,   445448k buffers"
        );
        assert_eq!(swap(&figures), "Swap:  2040244k total,    42836k used,  1997408k free,  1808320k cached");
        let before = ProcessorTimes::default();
        let after = ProcessorTimes { user: 3, system: 3, idle: 994, ..before };
        assert_eq!(
            processor(1, (&before, &after)),
            "Cpu1  :  0.3%us,  0.3%sy,  0.0%ni, 99.4%id,  0.0%wa,  0.0%hi,  0.0%si,  0.0%st"
        );
        let idle = ProcessorTimes { idle: 5, ..before };
        assert!(processor(0, (&before, &idle)).contains("0.0%ni,100.0%id"));
        assert!(processor(0, (&before, &before)).contains("  0.0%id"), "no tick passed");
    }
}
