//! `mkdir`, `rmdir`, `rm` and `touch`.

use super::FilterContext;
use super::options::{Grammar, Parsed, flag, value};
use super::process::{self, Process, Stop};
use crate::files::{FileError, FileKind, TreePath};

static MAKE: Grammar = Grammar {
    program: "mkdir",
    synopsis: "mkdir [-p] [-m Mode] Directory ...",
    flags: &[flag('p', ""), value('m', "")],
    hint: "Usage: mkdir [-p] [-m mode] Directory ...\n",
    trouble: 2,
};

static REMOVE_DIRECTORY: Grammar = Grammar {
    program: "rmdir",
    synopsis: "rmdir [-p] Directory ...",
    flags: &[flag('p', "")],
    hint: "Usage: rmdir [-ps] DirectoryName ...\n",
    trouble: 2,
};

static REMOVE: Grammar = Grammar {
    program: "rm",
    synopsis: "rm [-firRe] File ...",
    flags: &[flag('f', ""), flag('r', ""), flag('R', ""), flag('e', ""), flag('i', "")],
    hint: "Usage: rm [-firRe] [--] File...\n",
    trouble: 2,
};

static TOUCH: Grammar = Grammar {
    program: "touch",
    synopsis: "touch [-c] File ...",
    flags: &[flag('c', "")],
    hint: "Usage: touch [-c] File ...\n",
    trouble: 2,
};

/// Directories below each other that are removed at most.
const DEPTH: usize = 200;

pub(crate) fn make_directories(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &MAKE, |process, parsed| {
        each(
            process,
            &parsed,
            |process, name| {
                let path = process.path(name)?;
                if parsed.has('p') {
                    make_with_parents(process, &path)
                } else {
                    process.context.files.make_directory(&path)
                }
            },
            |name, error| format!("0653-358 Cannot create {name}.\n{name}: {}", error.in_words_of_aix()),
        )
    })
}

fn make_with_parents(process: &Process<'_>, path: &TreePath) -> Result<(), FileError> {
    let files = process.context.files;
    let mut directory = TreePath::root();
    for part in path.as_str().split('/').filter(|part| !part.is_empty()) {
        directory = directory.join(part);
        match files.metadata(&directory) {
            Ok(metadata) if metadata.kind == FileKind::Directory => {}
            Ok(_) => return Err(FileError::NotDirectory),
            Err(FileError::NotFound) => files.make_directory(&directory)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(crate) fn remove_directories(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &REMOVE_DIRECTORY, |process, parsed| {
        each(
            process,
            &parsed,
            |process, name| process.context.files.remove(&process.path(name)?, true),
            |name, error| match error {
                FileError::NotEmpty => format!("0653-611 Directory {name} is not empty."),
                error => format!("0653-609 Cannot remove {name}.\n{}", error.in_words_of_aix()),
            },
        )
    })
}

pub(crate) fn touch(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &TOUCH, |process, parsed| {
        each(
            process,
            &parsed,
            |process, name| {
                let path = process.path(name)?;
                if parsed.has('c') && process.context.files.metadata(&path) == Err(FileError::NotFound) {
                    return Ok(());
                }
                process.context.files.create(&path, true).map(|_| ())
            },
            |name, error| format!("0652-046 Cannot create {name}: {}", error.in_words_of_aix()),
        )
    })
}

pub(crate) fn remove(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &REMOVE, |process, parsed| {
        if parsed.operands.is_empty() && parsed.has('f') {
            return Ok(0);
        }
        let recursive = parsed.has('r') || parsed.has('R');
        each(
            process,
            &parsed,
            |process, name| {
                let path = process.path(name)?;
                match process.context.files.metadata(&path) {
                    Err(FileError::NotFound) if parsed.has('f') => Ok(()),
                    Err(error) => Err(error),
                    Ok(metadata) if metadata.kind == FileKind::Directory && !recursive => {
                        Err(FileError::IsDirectory)
                    }
                    Ok(metadata) => remove_all(process, &path, metadata.kind, 0),
                }
            },
            |name, error| match error {
                FileError::IsDirectory => format!("{name} is a directory."),
                FileError::NotFound => format!("{name}: {}", error.in_words_of_aix()),
                error => format!("0653-609 Cannot remove {name}.\n{}", error.in_words_of_aix()),
            },
        )
    })
}

/// Removes an entry with everything below it, the deepest first.
pub(crate) fn remove_all(
    process: &Process<'_>,
    path: &TreePath,
    kind: FileKind,
    depth: usize,
) -> Result<(), FileError> {
    let files = process.context.files;
    if kind != FileKind::Directory {
        return files.remove(path, false);
    }
    if depth > DEPTH {
        return Err(FileError::NameTooLong);
    }
    for name in files.list(path)? {
        if process.context.cancellation.is_cancelled() {
            return Err(FileError::InputOutput);
        }
        let entry = path.join(&name);
        let kind = files.metadata(&entry)?.kind;
        remove_all(process, &entry, kind, depth + 1)?;
    }
    files.remove(path, true)
}

/// Does something for each operand. What fails is said, the others are done all the same.
fn each(
    process: &mut Process<'_>,
    parsed: &Parsed,
    mut action: impl FnMut(&mut Process<'_>, &str) -> Result<(), FileError>,
    message: impl Fn(&str, &FileError) -> String,
) -> Result<u8, Stop> {
    if parsed.operands.is_empty() {
        return Err(process.usage_error("missing operand"));
    }
    let mut status = 0;
    for name in &parsed.operands {
        process.check()?;
        if let Err(error) = action(process, name) {
            process.complain(&message(name, &error))?;
            status = 2;
        }
    }
    Ok(status)
}
