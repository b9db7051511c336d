//! `df`: how full the file systems are.

use super::FilterContext;
use super::options::{Grammar, Parsed, flag};
use super::process::{self, Process, Stop};
use crate::files::FileSystem;

static GRAMMAR: Grammar = Grammar {
    program: "df",
    synopsis: "df [-k | -m | -g] [File ...]",
    flags: &[flag('k', ""), flag('m', ""), flag('g', ""), flag('P', ""), flag('v', "")],
    hint: "Usage: df [-P] | [-IMitv] [-gkm] [-s] [filesystem ...] [file ...]\n",
    trouble: 2,
};

/// Runs `df`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, show)
}

/// The file system that holds a path: the one with the longest directory.
fn holds<'f>(systems: &'f [FileSystem], path: &str) -> Option<&'f FileSystem> {
    let covers = |system: &&FileSystem| {
        let directory = system.directory.as_str();
        directory == "/"
            || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    systems.iter().filter(covers).max_by_key(|system| system.directory.as_str().len())
}

fn percent(used: u64, all: u64) -> u64 {
    if all == 0 {
        0
    } else {
        u64::try_from((u128::from(used) * 100).div_ceil(u128::from(all))).unwrap_or(100)
    }
}

fn show(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let systems = process.context.files.file_systems();
    let unit = parsed.options.iter().rev().find(|(key, _)| matches!(key, 'k' | 'm' | 'g'));
    let (title, bytes, whole) = match unit.map(|(key, _)| *key) {
        Some('k') => ("1024-blocks", 1u64 << 10, true),
        Some('m') => ("MB blocks", 1 << 20, false),
        Some('g') => ("GB blocks", 1 << 30, false),
        _ => ("512-blocks", 512, true),
    };
    let amount = |size: u64| {
        if whole { (size / bytes).to_string() } else { format!("{:.2}", size as f64 / bytes as f64) }
    };
    let mut status = 0;
    let mut chosen: Vec<&FileSystem> = systems.iter().collect();
    if !parsed.operands.is_empty() {
        chosen.clear();
        for name in &parsed.operands {
            let path =
                process.path(name).and_then(|path| process.context.files.metadata(&path).map(|_| path));
            match path.map(|path| holds(&systems, path.as_str())) {
                Ok(Some(system)) => chosen.push(system),
                Ok(None) => {}
                Err(error) => {
                    process.complain(&format!("{name}: {}", error.in_words_of_aix()))?;
                    status = 1;
                }
            }
        }
    }
    if !chosen.is_empty() {
        let head = format!(
            "{:<14}{title:>11} {:>9} {:>5} {:>8} {:>6} Mounted on\n",
            "Filesystem", "Free", "%Used", "Iused", "%Iused"
        );
        process.write(head.as_bytes())?;
    }
    for system in chosen {
        let row = format!(
            "{:<14}{:>11} {:>9} {:>4}% {:>8} {:>5}% {}\n",
            system.device,
            amount(system.size),
            amount(system.free),
            percent(system.size.saturating_sub(system.free), system.size),
            system.files,
            percent(system.files, system.files_max),
            system.directory,
        );
        process.write(row.as_bytes())?;
    }
    Ok(status)
}
