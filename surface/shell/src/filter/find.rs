//! `find`: names below directories, by name and kind.

use super::FilterContext;
use super::options::{Grammar, Parsed};
use super::process::{self, Process, Stop};
use crate::evaluate::matches;
use crate::files::{FileKind, TreePath};

static GRAMMAR: Grammar = Grammar {
    program: "find",
    synopsis: "find Path ... [-name Pattern] [-type f|d]",
    flags: &[],
    hint: "",
    trouble: 1,
};

/// Entries looked at in one run.
const ENTRIES: usize = 1_000_000;
/// Steps that one name may take to be compared.
const STEPS: usize = 100_000;

/// Runs `find`. Its options have one dash and stand behind the paths, so that they are read here.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    let (arguments, mut given) = (context.arguments.to_vec(), vec!["--".to_owned()]);
    given.extend(arguments);
    process::run_with(context, &GRAMMAR, &given, find)
}

struct Wanted<'a> {
    name: Option<&'a str>,
    kind: Option<FileKind>,
}

fn find(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    let first =
        parsed.operands.iter().position(|word| word.starts_with('-')).unwrap_or(parsed.operands.len());
    let (paths, conditions) = parsed.operands.split_at(first);
    let mut wanted = Wanted { name: None, kind: None };
    let mut words = conditions.iter();
    while let Some(word) = words.next() {
        match (word.as_str(), words.as_slice().first().map(String::as_str)) {
            ("-print", _) => continue,
            ("-name", Some(pattern)) => wanted.name = Some(pattern),
            ("-type", Some("f")) => wanted.kind = Some(FileKind::File),
            ("-type", Some("d")) => wanted.kind = Some(FileKind::Directory),
            _ => return Err(process.fail(&format!("0652-017 {word} is not a valid option."))),
        }
        words.next();
    }
    if paths.is_empty() {
        return Err(process.fail("0652-009 There is a missing conjunction"));
    }
    let (mut status, mut looked_at) = (0, 0);
    for name in paths {
        match process.path(name).and_then(|path| Ok((process.context.files.metadata(&path)?.kind, path))) {
            Ok((kind, path)) => look(process, &wanted, (name.clone(), path, kind), &mut looked_at)?,
            Err(error) => {
                process.complain(&format!("bad status-- {name}\n{}", error.in_words_of_aix()))?;
                status = 1;
            }
        }
    }
    Ok(status)
}

fn look(
    process: &mut Process<'_>,
    wanted: &Wanted<'_>,
    start: (String, TreePath, FileKind),
    looked_at: &mut usize,
) -> Result<(), Stop> {
    let mut waiting = vec![start];
    while let Some((shown, path, kind)) = waiting.pop() {
        process.check()?;
        *looked_at += 1;
        if *looked_at > ENTRIES {
            return Err(process.fail(&format!("more than {ENTRIES} entries")));
        }
        let last = shown.trim_end_matches('/').rsplit('/').next().unwrap_or(&shown);
        let named = wanted.name.is_none_or(|pattern| matches(pattern, last, &mut { STEPS }) == Some(true));
        if named && wanted.kind.is_none_or(|wanted| wanted == kind) {
            process.write(format!("{shown}\n").as_bytes())?;
        }
        if kind == FileKind::Directory {
            let mut names = process.context.files.list(&path).unwrap_or_default();
            names.sort();
            for name in names.into_iter().rev() {
                let child = path.join(&name);
                if let Ok(metadata) = process.context.files.metadata(&child) {
                    waiting.push((format!("{}/{name}", shown.trim_end_matches('/')), child, metadata.kind));
                }
            }
        }
    }
    Ok(())
}
