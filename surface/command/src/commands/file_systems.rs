//! `lshmcfs`, `chhmcfs`: the console's file systems and the temporary files in them.
//!
//! The names are those of the real console, in its order. Here one volume holds them all, so all have its size and free space;
//! temporary files are in `/var`.

use varan_console::{Console, Task, TemporaryFile, VolumeFigures, unreadable};
use varan_model::attributes::{Attribute, Table, Value};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use super::{FIELDS, HEADER};
use crate::catalog::{AttributeGroup, CommandDefinition};
use crate::failure::CommandError;
use crate::form::Form;
use crate::form::PartOfForm::{OneOf, Optional, When};
use crate::invocation::Invocation;
use crate::listing::Layout;
use crate::manual::attributes;
use crate::options::{HELP, OptionDefinition, OptionValue, ParsedOptions};
use crate::time;

/// Source: the manual pages of POWER9.
const FILE_SYSTEMS: [&str; 6] = ["/var", "/var/hsc/log", "/dump", "/extra", "/data", "/"];
/// The one in which the console's temporary files are.
const WITH_TEMPORARY_FILES: &str = FILE_SYSTEMS[0];
const SECONDS_PER_HOUR: i64 = 3_600;
const SECONDS_PER_DAY: i64 = 86_400;

const DAYS: OptionDefinition = OptionDefinition::new(
    "-d",
    OptionValue::Number("days", 0, 99_999),
    "Files that were not changed in so many days; 0 for all.",
);
const HOURS: OptionDefinition = OptionDefinition::new(
    "-h",
    OptionValue::Number("hours", 0, 999_999),
    "Files that were not changed in so many hours; 0 for all.",
);
const SIZE: OptionDefinition = OptionDefinition::new(
    "-s",
    OptionValue::Number("size", 1, 1 << 30),
    "The oldest files, to free up to so many megabytes in each file system.",
);
const FILE_SYSTEM: OptionDefinition =
    OptionDefinition::new("-f", OptionValue::Text("file-system"), "Only this file system.");

pub(crate) static LIST: CommandDefinition = CommandDefinition {
    name: "lshmcfs",
    summary: "list the file systems of the console",
    options: &[
        OptionDefinition::new(
            "-o",
            OptionValue::Word(&["c"]),
            "c: list what would be if temporary files were removed.",
        ),
        DAYS,
        HOURS,
        SIZE,
        FILE_SYSTEM,
        FIELDS,
        HEADER,
        HELP,
    ],
    forms: &[
        Form::listing(&[Optional("-f")]),
        Form::listing(&[When("-o", &["c"]), OneOf(&["-d", "-h", "-s"]), Optional("-f")]),
    ],
    filters: &[],
    attributes: &[AttributeGroup {
        title: "",
        attributes: |release| attributes(&FILE_SYSTEM_TABLE, release),
    }],
    run: list,
};

pub(crate) static FREE: CommandDefinition = CommandDefinition {
    name: "chhmcfs",
    summary: "free space in the file systems of the console",
    options: &[
        OptionDefinition::new("-o", OptionValue::Word(&["f"]), "f: remove temporary files that nobody uses."),
        DAYS,
        HOURS,
        SIZE,
        FILE_SYSTEM,
        HELP,
    ],
    forms: &[Form::new(&[When("-o", &["f"]), OneOf(&["-d", "-h", "-s"]), Optional("-f")])],
    filters: &[],
    attributes: &[],
    run: free,
};

/// A file system at a moment, sizes in megabytes.
struct Row {
    name: &'static str,
    size: u64,
    available: u64,
    oldest_seconds: Option<i64>,
    temporary: u64,
}

static FILE_SYSTEM_TABLE: Table<Row> = Table {
    name: "file system",
    attributes: &[
        Attribute::new("filesystem", "Name.", |row: &Row| Value::of(row.name)),
        Attribute::new("filesystem_size", "Size in megabytes.", |row: &Row| Value::of(row.size)),
        Attribute::new("filesystem_avail", "Free space in megabytes.", |row: &Row| Value::of(row.available)),
        Attribute::new(
            "temp_files_start_time",
            "When the oldest temporary file was changed.",
            |row: &Row| match row.oldest_seconds {
                Some(seconds) => Value::of(time::format(seconds)),
                None => Value::of(""),
            },
        ),
        Attribute::new("temp_files_size", "Size of the temporary files in megabytes.", |row: &Row| {
            Value::of(row.temporary)
        }),
    ],
};

/// The file systems that `-f` leaves.
fn chosen(options: &ParsedOptions) -> Result<Vec<&'static str>, Refusal> {
    let Some(wanted) = options.get("-f") else { return Ok(FILE_SYSTEMS.to_vec()) };
    let found = FILE_SYSTEMS.iter().find(|name| **name == wanted);
    found.map(|name| vec![*name]).ok_or_else(|| Refusal::new(MessageKey::FileSystemNotFound).with(wanted))
}

/// How many of the files, oldest first, `-d`, `-h` or `-s` mean.
fn removable(options: &ParsedOptions, files: &[TemporaryFile], now_seconds: i64) -> Result<usize, Refusal> {
    let age = match (options.number::<i64>("-d")?, options.number::<i64>("-h")?) {
        (Some(days), _) => Some(days * SECONDS_PER_DAY),
        (_, Some(hours)) => Some(hours * SECONDS_PER_HOUR),
        _ => None,
    };
    if let Some(age) = age {
        return Ok(files.iter().take_while(|file| age == 0 || file.seconds <= now_seconds - age).count());
    }
    let most = options.number::<u64>("-s")?.unwrap_or(0) << 20;
    let mut freed = 0;
    let fits = |file: &&TemporaryFile| {
        freed += file.bytes;
        freed <= most
    };
    Ok(files.iter().take_while(fits).count())
}

fn look(console: &Console) -> Result<(VolumeFigures, Vec<TemporaryFile>, i64), CommandError> {
    let volume = console.machine()?.volume().map_err(unreadable)?;
    let files = console.temporary_files().map_err(unreadable)?;
    Ok((volume, files, console.environment().wall_clock().seconds()))
}

fn bytes(files: &[TemporaryFile]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}

fn list(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::ListFileSystems)?;
    let layout = Layout::new(&FILE_SYSTEM_TABLE, options, invocation.console.release())?;
    let names = chosen(options)?;
    let (volume, files, now_seconds) = look(invocation.console)?;
    let gone = match options.get("-o") {
        Some(_) if names.contains(&WITH_TEMPORARY_FILES) => removable(options, &files, now_seconds)?,
        _ => 0,
    };
    let available = (volume.available + (bytes(&files[..gone]) >> 10)).min(volume.total) >> 10;
    let rows = names.into_iter().map(|name| {
        let left = if name == WITH_TEMPORARY_FILES { &files[gone..] } else { &[] };
        Row {
            name,
            size: volume.total >> 10,
            available,
            oldest_seconds: left.first().map(|file| file.seconds),
            temporary: bytes(left).div_ceil(1 << 20),
        }
    });
    layout.print(rows, invocation.output)
}

fn free(invocation: &mut Invocation<'_>, options: &ParsedOptions) -> Result<u8, CommandError> {
    invocation.authorize(Task::FreeFileSystems)?;
    if !chosen(options)?.contains(&WITH_TEMPORARY_FILES) {
        // There is nothing temporary in the others.
        return Ok(0);
    }
    let (_, files, now_seconds) = look(invocation.console)?;
    for file in &files[..removable(options, &files, now_seconds)?] {
        invocation
            .console
            .remove_temporary_file(file)
            .map_err(|error| Refusal::new(MessageKey::FileSystemNotFreed).with(error))?;
    }
    Ok(0)
}
