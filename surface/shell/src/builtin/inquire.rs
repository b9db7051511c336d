//! Builtins that tell about commands, the session and the working directory.

use super::{fail, find, invalid_option, is_refused, options, utility};
use crate::evaluate::{Eval, Evaluator};
use crate::filter;
use crate::syntax::KEYWORDS;

/// What a name means.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Keyword,
    Function,
    Builtin,
    /// A command, with its path.
    Program(String),
}

impl Meaning {
    fn kind(&self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Function => "function",
            Self::Builtin => "builtin",
            Self::Program(_) => "file",
        }
    }

    fn sentence(&self, name: &str) -> String {
        match self {
            Self::Keyword => format!("{name} is a shell keyword\n"),
            Self::Function => format!("{name} is a function\n"),
            Self::Builtin => format!("{name} is a shell builtin\n"),
            Self::Program(path) => format!("{name} is {path}\n"),
        }
    }
}

fn meaning(shell: &Evaluator, name: &str) -> Option<Meaning> {
    if KEYWORDS.contains(&name) {
        return Some(Meaning::Keyword);
    }
    if shell.state.functions.contains_key(name) {
        return Some(Meaning::Function);
    }
    if find(name).is_some() || is_refused(name) {
        return Some(Meaning::Builtin);
    }
    program(shell, name).map(Meaning::Program)
}

/// The path of a command: the console's own, or one of the small programs beside them.
fn program(shell: &Evaluator, name: &str) -> Option<String> {
    if shell.run.host.lookup(name) {
        return Some(format!("/opt/hsc/bin/{name}"));
    }
    let known = filter::lookup(name).is_some() || utility(name, shell.run.host.as_ref()).is_some();
    known.then(|| format!("/usr/hmcrbin/{name}"))
}

pub(crate) fn type_of(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let (letters, names) = match options(arguments, "tpaP") {
        Ok(parsed) => parsed,
        Err(letter) => return invalid_option(shell, "type", letter),
    };
    let mut status = 0;
    for name in names {
        let text = match meaning(shell, name) {
            None if letters.is_empty() || letters.contains(&'a') => {
                status = fail(shell, "type", &format!("{name}: not found"), 1)?;
                continue;
            }
            None => {
                status = 1;
                continue;
            }
            Some(meaning) if letters.contains(&'t') => format!("{}\n", meaning.kind()),
            Some(Meaning::Program(path)) if letters.contains(&'p') || letters.contains(&'P') => {
                format!("{path}\n")
            }
            Some(_) if letters.contains(&'p') || letters.contains(&'P') => continue,
            Some(meaning) => meaning.sentence(name),
        };
        shell.print(text.as_bytes())?;
    }
    Ok(status)
}

pub(crate) fn command(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let (letters, rest) = match options(arguments, "vVp") {
        Ok(parsed) => parsed,
        Err(letter) => return invalid_option(shell, "command", letter),
    };
    if letters.contains(&'p') {
        return fail(shell, "command", "-p: restricted", 1);
    }
    let Some((name, others)) = rest.split_first() else { return Ok(0) };
    if letters.is_empty() {
        return shell.dispatch_command(name, others);
    }
    let mut status = 0;
    for name in rest {
        let text = match meaning(shell, name) {
            None if letters.contains(&'V') => {
                status = fail(shell, "command", &format!("{name}: not found"), 1)?;
                continue;
            }
            None => {
                status = 1;
                continue;
            }
            Some(meaning) if letters.contains(&'V') => meaning.sentence(name),
            Some(Meaning::Program(path)) => format!("{path}\n"),
            Some(_) => format!("{name}\n"),
        };
        shell.print(text.as_bytes())?;
    }
    Ok(status)
}

pub(crate) fn builtin(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let Some((name, others)) = arguments.split_first() else { return Ok(0) };
    match find(name) {
        Some(run) => run(shell, others),
        None if is_refused(name) => fail(shell, name, "restricted", 1),
        None => fail(shell, "builtin", &format!("{name}: not a shell builtin"), 1),
    }
}

pub(crate) fn which(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let mut status = 0;
    for name in arguments {
        // Builtins that also exist as programs, such as echo, are found where programs are.
        let path = program(shell, name).or_else(|| find(name).map(|_| format!("/usr/hmcrbin/{name}")));
        match path {
            Some(path) => shell.print(format!("{path}\n").as_bytes())?,
            None => {
                let path = shell.state.variables.get("PATH").unwrap_or("").to_string();
                shell.message(&format!("which: no {name} in ({path})\n"))?;
                status = 1;
            }
        }
    }
    Ok(status)
}

pub(crate) fn working_directory(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    if let Err(letter) = options(arguments, "LP") {
        return invalid_option(shell, "pwd", letter);
    }
    shell.print(format!("{}\n", shell.state.directory).as_bytes())?;
    Ok(0)
}

pub(crate) fn history(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let Some(terminal) = shell.run.terminal.clone().filter(|_| shell.run.interactive) else { return Ok(0) };
    let count = match arguments {
        [] => usize::MAX,
        [option] if option == "-c" => {
            terminal.with_editor(|editor| editor.history_mut().clear());
            return Ok(0);
        }
        [number] => match number.parse() {
            Ok(count) => count,
            Err(_) if number.starts_with('-') => {
                return invalid_option(shell, "history", number.chars().nth(1).unwrap_or('-'));
            }
            Err(_) => return fail(shell, "history", &format!("{number}: numeric argument required"), 1),
        },
        _ => return fail(shell, "history", "too many arguments", 1),
    };
    let text = terminal.with_editor(|editor| {
        let skipped = editor.history().len().saturating_sub(count);
        let lines = editor.history().numbered().skip(skipped);
        lines.map(|(number, line)| format!("{number:>5}  {line}\n")).collect::<String>()
    });
    shell.print(text.as_bytes())?;
    Ok(0)
}
