//! `cp` and `mv`.

use std::io::{Read, Write};

use super::FilterContext;
use super::manage::remove_all;
use super::options::{Grammar, Parsed, flag};
use super::process::{self, Process, Stop};
use crate::files::{FileError, FileKind, TreePath};

static COPY: Grammar = Grammar {
    program: "cp",
    synopsis: "cp [-fhipr] SourceFile ... Target",
    flags: &[flag('r', ""), flag('R', ""), flag('f', ""), flag('h', ""), flag('i', ""), flag('p', "")],
    hint: "Usage: cp [-fhip] [-r|-R] [--] src target\n   or: cp [-fhip] [-r|-R] [--] src1 ... srcN directory\n",
    trouble: 1,
};

static MOVE: Grammar = Grammar {
    program: "mv",
    synopsis: "mv [-fi] SourceFile ... Target",
    flags: &[flag('f', ""), flag('i', "")],
    hint: "Usage: mv [-i | -f] [--] src target\n   or: mv [-i | -f] [--] src1 ... srcN directory\n",
    trouble: 1,
};

/// Bytes moved at once.
const BLOCK: usize = 64 * 1024;
/// Directories below each other that are copied at most.
const DEPTH: usize = 200;

pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &COPY, |process, parsed| {
        let recursive = parsed.has('r') || parsed.has('R');
        each_source(process, &parsed, |process, name, from, to| {
            let kind = match process.context.files.metadata(from) {
                Ok(metadata) => metadata.kind,
                Err(error) => {
                    return process.complain(&format!("{name}: {}", error.in_words_of_aix())).map(|()| false);
                }
            };
            if kind == FileKind::Directory && !recursive {
                process.complain(&format!("0653-436 {name} is a directory. Specify -r or -R to copy."))?;
                return Ok(false);
            }
            match copy_all(process, from, to, kind, 0)? {
                Ok(()) => Ok(true),
                Err((path, error)) => {
                    process.complain(&format!("{path}: {}", error.in_words_of_aix()))?;
                    Ok(false)
                }
            }
        })
    })
}

pub(crate) fn run_move(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &MOVE, |process, parsed| {
        each_source(process, &parsed, |process, name, from, to| {
            let moved = match process.context.files.rename(from, to) {
                Err(FileError::CrossDevice) => move_by_copy(process, from, to)?,
                result => result,
            };
            match moved {
                Ok(()) => Ok(true),
                Err(error) => {
                    let words = error.in_words_of_aix();
                    process
                        .complain(&format!("0653-401 Cannot rename {name} to {to}:\n             {words}"))?;
                    Ok(false)
                }
            }
        })
    })
}

/// To another file system: what cannot be copied whole leaves the source and nothing at the target.
fn move_by_copy(
    process: &mut Process<'_>,
    from: &TreePath,
    to: &TreePath,
) -> Result<Result<(), FileError>, Stop> {
    let files = process.context.files;
    let kind = match files.metadata(from) {
        Ok(metadata) => metadata.kind,
        Err(error) => return Ok(Err(error)),
    };
    if let Err((_, error)) = copy_all(process, from, to, kind, 0)? {
        return Ok(Err(error));
    }
    Ok(remove_all(process, from, kind, 0))
}

/// Runs an action with each source and its target. The action says whether it was done.
fn each_source(
    process: &mut Process<'_>,
    parsed: &Parsed,
    mut action: impl FnMut(&mut Process<'_>, &str, &TreePath, &TreePath) -> Result<bool, Stop>,
) -> Result<u8, Stop> {
    let Some((target, sources)) = parsed.operands.split_last().filter(|(_, sources)| !sources.is_empty())
    else {
        return Err(process.usage_error("missing operand"));
    };
    let directory = match process.path(target) {
        Ok(path) => path,
        Err(error) => return Err(process.fail(&format!("{target}: {}", error.in_words_of_aix()))),
    };
    let into = process.context.files.metadata(&directory).is_ok_and(|one| one.kind == FileKind::Directory);
    if sources.len() > 1 && !into {
        return Err(process.usage_error(&format!("{target}: {}", FileError::NotDirectory.in_words_of_aix())));
    }
    let mut status = 0;
    for name in sources {
        process.check()?;
        let from = match process.path(name) {
            Ok(path) => path,
            Err(error) => {
                process.complain(&format!("{name}: {}", error.in_words_of_aix()))?;
                status = 1;
                continue;
            }
        };
        let last = from.as_str().rsplit('/').next().unwrap_or_default();
        let to = if into { directory.join(last) } else { directory.clone() };
        if from == to {
            process.complain(&format!("{name} and {to} are identical."))?;
            status = 1;
        } else if to.as_str().starts_with(from.join("").as_str()) {
            process.complain(&format!("{name}: A directory cannot be put into itself."))?;
            status = 1;
        } else if !action(process, name, &from, &to)? {
            status = 1;
        }
    }
    Ok(status)
}

type Copied = Result<(), (TreePath, FileError)>;

fn copy_all(
    process: &mut Process<'_>,
    from: &TreePath,
    to: &TreePath,
    kind: FileKind,
    depth: usize,
) -> Result<Copied, Stop> {
    process.check()?;
    let files = process.context.files;
    if kind != FileKind::Directory {
        return copy_file(process, from, to);
    }
    if depth > DEPTH {
        return Ok(Err((from.clone(), FileError::NameTooLong)));
    }
    let made = match files.metadata(to) {
        Ok(metadata) if metadata.kind == FileKind::Directory => Ok(()),
        Ok(_) => Err(FileError::NotDirectory),
        Err(_) => files.make_directory(to),
    };
    if let Err(error) = made {
        return Ok(Err((to.clone(), error)));
    }
    let names = match files.list(from) {
        Ok(mut names) => {
            names.sort();
            names
        }
        Err(error) => return Ok(Err((from.clone(), error))),
    };
    for name in names {
        let entry = from.join(&name);
        let kind = match files.metadata(&entry) {
            Ok(metadata) => metadata.kind,
            Err(error) => return Ok(Err((entry, error))),
        };
        let copied = copy_all(process, &entry, &to.join(&name), kind, depth + 1)?;
        if copied.is_err() {
            return Ok(copied);
        }
    }
    Ok(Ok(()))
}

/// Copies one file. A copy that ends early is removed.
fn copy_file(process: &mut Process<'_>, from: &TreePath, to: &TreePath) -> Result<Copied, Stop> {
    let files = process.context.files;
    let mut reader = match files.open(from) {
        Ok(reader) => reader,
        Err(error) => return Ok(Err((from.clone(), error))),
    };
    let mut writer = match files.create(to, false) {
        Ok(writer) => writer,
        Err(error) => return Ok(Err((to.clone(), error))),
    };
    let mut block = vec![0; BLOCK];
    let ended: Result<(), (TreePath, FileError)> = loop {
        if let Err(stop) = process.check() {
            drop(writer);
            let _ = files.remove(to, false);
            return Err(stop);
        }
        match reader.read(&mut block) {
            Ok(0) => break writer.flush().map_err(|error| (to.clone(), written(&error))),
            Ok(count) => {
                if let Err(error) = writer.write_all(&block[..count]) {
                    break Err((to.clone(), written(&error)));
                }
            }
            Err(_) => break Err((from.clone(), FileError::InputOutput)),
        }
    };
    if ended.is_err() {
        drop(writer);
        let _ = files.remove(to, false);
    }
    Ok(ended)
}

/// What a failed write to a file means.
pub(crate) fn written(error: &std::io::Error) -> FileError {
    match error.kind() {
        std::io::ErrorKind::StorageFull => FileError::NoSpace,
        std::io::ErrorKind::QuotaExceeded => FileError::QuotaExceeded,
        _ => FileError::InputOutput,
    }
}
