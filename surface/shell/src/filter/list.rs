//! `ls`: the names in directories, with what is known about them.

use super::FilterContext;
use super::date::formatted;
use super::options::{Grammar, Parsed, flag};
use super::process::{self, Process, Stop};
use crate::files::{FileError, FileKind, Metadata, TreePath};
use crate::host::WallClock;

static GRAMMAR: Grammar = Grammar {
    program: "ls",
    synopsis: "ls [OPTION]... [FILE]...",
    flags: &[
        flag('l', ""),
        flag('a', "all"),
        flag('A', "almost-all"),
        flag('1', ""),
        flag('d', "directory"),
        flag('h', "human-readable"),
        flag('r', "reverse"),
        flag('t', ""),
        flag('S', ""),
    ],
    hint: "Try 'ls --help' for more information.\n",
    trouble: 2,
};

/// Entries of one directory at most. Each takes about 200 bytes.
const ENTRIES: usize = 100_000;

/// Half a mean year: the time of day is shown for changes that are not older.
const RECENT_SECONDS: i64 = 31_556_952 / 2;

/// Disk space is counted in blocks of this size, and shown in KiB.
const BLOCK_BYTES: u64 = 4096;

/// Columns of a terminal that does not tell its size.
const DEFAULT_COLUMNS: usize = 80;

/// Runs `ls`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, list)
}

struct Rules {
    long: bool,
    human: bool,
    columns: Option<usize>,
    reverse: bool,
    by_time: bool,
    by_size: bool,
}

struct Entry {
    name: String,
    metadata: Metadata,
}

fn list(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let rules = rules(process, &parsed);
    let names = if parsed.operands.is_empty() { vec![".".to_string()] } else { parsed.operands.clone() };
    let mut status = 0;
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    for name in &names {
        let path = process.path(name);
        let found = path.and_then(|path| Ok((process.context.files.metadata(&path)?, path)));
        match found {
            Err(error) => {
                let message = match error {
                    FileError::NotFound if process.is_korn() => {
                        format!("0653-341 The file {name} does not exist.")
                    }
                    error if process.is_korn() => format!("{name}: {}", error.in_words_of_aix()),
                    error => format!("cannot access '{name}': {error}"),
                };
                process.complain(&message)?;
                status = 2;
            }
            Ok((metadata, path)) => {
                let entry = Entry { name: name.clone(), metadata };
                if entry.metadata.kind == FileKind::Directory && !parsed.has('d') {
                    directories.push((entry, path));
                } else {
                    files.push(entry);
                }
            }
        }
    }
    rules.sort(&mut files);
    rules.show(process, &files)?;
    let mut gap = !files.is_empty();
    directories.sort_by(|one, other| rules.compare(&one.0, &other.0));
    for (directory, path) in directories {
        if gap {
            process.write(b"\n")?;
        }
        gap = true;
        let entries = match read_directory(process, &path, &parsed) {
            Ok(entries) => entries,
            Err(error) => {
                process.complain(&format!("cannot open directory '{}': {error}", directory.name))?;
                status = 2;
                continue;
            }
        };
        if names.len() > 1 {
            process.write(format!("{}:\n", directory.name).as_bytes())?;
        }
        show_directory(process, &rules, entries)?;
    }
    Ok(status)
}

fn rules(process: &Process<'_>, parsed: &Parsed) -> Rules {
    let last = parsed.options.iter().rev().find(|(key, _)| matches!(key, 'l' | '1')).map(|(key, _)| *key);
    // `-l1` and `-1l` are both long.
    let long = parsed.has('l');
    let known = process.context.keyboard.map_or(0, |terminal| usize::from(terminal.columns()));
    let columns = if known == 0 { DEFAULT_COLUMNS } else { known };
    let order = parsed.options.iter().rev().find(|(key, _)| matches!(key, 't' | 'S')).map(|(key, _)| *key);
    Rules {
        long,
        human: parsed.has('h'),
        columns: (process.context.terminal && last.is_none()).then_some(columns),
        reverse: parsed.has('r'),
        by_time: order == Some('t'),
        by_size: order == Some('S'),
    }
}

fn read_directory(process: &Process<'_>, path: &TreePath, parsed: &Parsed) -> Result<Vec<Entry>, FileError> {
    let files = process.context.files;
    let all = parsed.options.iter().rev().find(|(key, _)| matches!(key, 'a' | 'A')).map(|(key, _)| *key);
    let mut entries = Vec::new();
    if all == Some('a') {
        entries.push(Entry { name: ".".to_string(), metadata: files.metadata(path)? });
        entries.push(Entry { name: "..".to_string(), metadata: files.metadata(&path.parent())? });
    }
    for name in files.list(path)? {
        if all.is_none() && name.starts_with('.') {
            continue;
        }
        if entries.len() >= ENTRIES {
            return Err(FileError::Other(format!("more than {ENTRIES} entries")));
        }
        // An entry that has gone meanwhile is not shown.
        if let Ok(metadata) = files.metadata(&path.join(&name)) {
            entries.push(Entry { name, metadata });
        }
    }
    Ok(entries)
}

fn show_directory(process: &mut Process<'_>, rules: &Rules, mut entries: Vec<Entry>) -> Result<(), Stop> {
    if rules.long {
        let bytes = entries.iter().map(|entry| entry.metadata.size.div_ceil(BLOCK_BYTES) * BLOCK_BYTES).sum();
        let total = if process.is_korn() {
            aix_blocks(&entries).to_string()
        } else if rules.human {
            human(bytes)
        } else {
            (bytes / 1024).to_string()
        };
        process.write(format!("total {total}\n").as_bytes())?;
    }
    rules.sort(&mut entries);
    rules.show(process, &entries)
}

impl Rules {
    fn compare(&self, one: &Entry, other: &Entry) -> std::cmp::Ordering {
        let by_name = one.name.cmp(&other.name);
        let ordering = if self.by_time {
            other.metadata.modified_seconds.cmp(&one.metadata.modified_seconds).then(by_name)
        } else if self.by_size {
            other.metadata.size.cmp(&one.metadata.size).then(by_name)
        } else {
            by_name
        };
        if self.reverse { ordering.reverse() } else { ordering }
    }

    fn sort(&self, entries: &mut [Entry]) {
        entries.sort_by(|one, other| self.compare(one, other));
    }

    fn show(&self, process: &mut Process<'_>, entries: &[Entry]) -> Result<(), Stop> {
        if self.long {
            return self.show_long(process, entries);
        }
        if let Some(columns) = self.columns {
            return show_columns(process, entries, columns);
        }
        for entry in entries {
            process.write(format!("{}\n", entry.name).as_bytes())?;
        }
        Ok(())
    }

    fn show_long(&self, process: &mut Process<'_>, entries: &[Entry]) -> Result<(), Stop> {
        let clock = process.context.host.wall_clock();
        let size = |entry: &Entry| {
            if self.human { human(entry.metadata.size) } else { entry.metadata.size.to_string() }
        };
        let widest = |text: &dyn Fn(&Entry) -> String| {
            entries.iter().map(|entry| text(entry).len()).max().unwrap_or(0)
        };
        let links = widest(&|entry| entry.metadata.links.to_string());
        let owners = widest(&|entry| entry.metadata.owner.clone());
        let groups = widest(&|entry| entry.metadata.group.clone());
        let sizes = widest(&size);
        if process.is_korn() {
            return self.show_long_as_aix(process, entries, &clock);
        }
        for entry in entries {
            let Entry { name, metadata } = entry;
            let row = format!(
                "{} {:>links$} {:<owners$} {:<groups$} {:>sizes$} {} {name}\n",
                mode(metadata),
                metadata.links,
                metadata.owner,
                metadata.group,
                size(entry),
                time(&clock, metadata.modified_seconds),
            );
            process.write(row.as_bytes())?;
        }
        Ok(())
    }
}

impl Rules {
    /// The columns of AIX, which do not go by their content.
    fn show_long_as_aix(
        &self,
        process: &mut Process<'_>,
        entries: &[Entry],
        clock: &WallClock,
    ) -> Result<(), Stop> {
        for Entry { name, metadata } in entries {
            let size = match metadata.kind {
                // Major and minor number, of which only the place is of interest.
                FileKind::Device | FileKind::BlockDevice => "0,  0".to_owned(),
                _ if self.human => human(metadata.size),
                _ => metadata.size.to_string(),
            };
            let row = format!(
                "{} {:>4} {:<8} {:<8} {size:>10} {} {name}\n",
                mode(metadata),
                metadata.links,
                metadata.owner,
                metadata.group,
                time(clock, metadata.modified_seconds),
            );
            process.write(row.as_bytes())?;
        }
        Ok(())
    }
}

/// Blocks of 512 bytes that files take; a small directory takes none.
fn aix_blocks(entries: &[Entry]) -> u64 {
    let files = entries.iter().filter(|entry| entry.metadata.kind == FileKind::File);
    files.map(|entry| entry.metadata.size.div_ceil(BLOCK_BYTES) * (BLOCK_BYTES / 512)).sum()
}

/// `drwxr-xr-x`
fn mode(metadata: &Metadata) -> String {
    let kind = match metadata.kind {
        FileKind::File => '-',
        FileKind::Directory => 'd',
        FileKind::Link => 'l',
        FileKind::Device => 'c',
        FileKind::BlockDevice => 'b',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = metadata.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (metadata.mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
        });
    }
    text
}

/// The time of the last change: with the time of day for the last half year, else with the year.
fn time(clock: &WallClock, modified: i64) -> String {
    let recent = modified <= clock.unix_seconds && modified > clock.unix_seconds - RECENT_SECONDS;
    let changed = WallClock { unix_seconds: modified, nanoseconds: 0, ..clock.clone() };
    formatted(&changed, if recent { "%b %e %H:%M" } else { "%b %e  %Y" })
}

/// A size in at most four characters: `123`, `1.5K`, `20M`. Rounded up.
fn human(bytes: u64) -> String {
    let mut divisor = 1u64;
    let mut units = ["", "K", "M", "G", "T", "P", "E"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while bytes.div_ceil(divisor) >= 1024 {
        let Some(next) = units.next() else { break };
        unit = next;
        divisor *= 1024;
    }
    if divisor == 1 {
        return bytes.to_string();
    }
    let tenths = (u128::from(bytes) * 10).div_ceil(u128::from(divisor));
    if tenths < 100 {
        format!("{}.{}{unit}", tenths / 10, tenths % 10)
    } else {
        format!("{}{unit}", tenths.div_ceil(10))
    }
}

/// Names in columns from top to bottom, as many as fit.
fn show_columns(process: &mut Process<'_>, entries: &[Entry], columns: usize) -> Result<(), Stop> {
    const GAP: usize = 2;
    let widths: Vec<usize> = entries.iter().map(|entry| varan_terminal::text_width(&entry.name)).collect();
    let layout = |rows: usize| -> Vec<usize> {
        widths.chunks(rows).map(|chunk| chunk.iter().copied().max().unwrap_or(0) + GAP).collect()
    };
    // No more columns than names of one character and their gaps fit.
    let least = entries.len().div_ceil((columns / (GAP + 1)).max(1)).max(1);
    let fits = |rows: &usize| layout(*rows).iter().sum::<usize>() <= columns + GAP;
    let rows = (least..entries.len().max(1)).find(fits).unwrap_or(entries.len().max(1));
    let layout = layout(rows);
    for row in 0..rows.min(entries.len()) {
        let mut text = String::new();
        let mut padding = 0;
        for (column, width) in layout.iter().enumerate() {
            let index = column * rows + row;
            let Some(entry) = entries.get(index) else { break };
            text.push_str(&" ".repeat(padding));
            text.push_str(&entry.name);
            padding = width - widths[index];
        }
        text.push('\n');
        process.write(text.as_bytes())?;
    }
    Ok(())
}
