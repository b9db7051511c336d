//! Commands that the shell itself knows.
//!
//! Builtins come before the console's commands, as in bash. Utilities are what a real system has as small
//! programs (`seq`, `id`); a console command of the same name wins over them.

mod control;
mod declare;
mod inquire;
mod number;
mod output;
mod read;
mod set;
mod test;
mod utility;

use crate::evaluate::{Eval, Evaluator};
use crate::host::{CommandHost, Feature};

/// A builtin: takes the shell and the arguments, returns the exit status.
pub(crate) type Builtin = fn(&mut Evaluator, &[String]) -> Eval<u8>;

const BUILTINS: &[(&str, Builtin)] = &[
    (":", control::nothing),
    ("[", test::bracket),
    ("break", control::break_loop),
    ("builtin", inquire::builtin),
    ("cd", control::change_directory),
    ("command", inquire::command),
    ("continue", control::continue_loop),
    ("declare", declare::declare),
    ("echo", output::echo),
    ("exit", control::exit),
    ("export", declare::export),
    ("false", control::fails),
    ("history", inquire::history),
    ("let", control::let_expressions),
    ("local", declare::local),
    ("logout", control::logout),
    ("printf", output::printf),
    ("pwd", inquire::working_directory),
    ("read", read::read),
    ("readonly", declare::read_only),
    ("return", control::return_from),
    ("set", set::set),
    ("shift", control::shift),
    ("test", test::test),
    ("true", control::nothing),
    ("type", inquire::type_of),
    ("typeset", declare::declare),
    ("unset", declare::unset),
];

/// Builtins of bash that a restricted console refuses. Some would lead out of the restrictions; the others
/// control jobs and processes, and here there are none.
const REFUSED: &[&str] = &[
    ".",
    "alias",
    "bg",
    "bind",
    "caller",
    "compgen",
    "complete",
    "compopt",
    "dirs",
    "disown",
    "enable",
    "eval",
    "exec",
    "fc",
    "fg",
    "getopts",
    "hash",
    "help",
    "jobs",
    "kill",
    "mapfile",
    "popd",
    "pushd",
    "readarray",
    "shopt",
    "source",
    "suspend",
    "times",
    "trap",
    "ulimit",
    "umask",
    "unalias",
    "wait",
];

const UTILITIES: &[(&str, Builtin)] = &[
    ("basename", utility::basename),
    ("clear", utility::clear),
    ("dirname", utility::dirname),
    ("hostname", utility::host_name),
    ("id", utility::identity),
    ("man", utility::manual),
    ("seq", number::sequence),
    ("sleep", number::sleep),
    ("tee", utility::tee),
    ("which", inquire::which),
    ("whoami", utility::user_name),
];

/// The builtin of a name.
pub(crate) fn find(name: &str) -> Option<Builtin> {
    let index = BUILTINS.binary_search_by_key(&name, |(known, _)| known).ok()?;
    Some(BUILTINS[index].1)
}

/// Whether bash has a builtin of this name that is refused here.
pub(crate) fn is_refused(name: &str) -> bool {
    REFUSED.binary_search(&name).is_ok()
}

/// Whether the name is bash's own, allowed or not.
pub(crate) fn is_builtin(name: &str) -> bool {
    find(name).is_some() || is_refused(name)
}

/// The utility of a name, when the host allows it.
pub(crate) fn utility(name: &str, host: &dyn CommandHost) -> Option<Builtin> {
    let index = UTILITIES.binary_search_by_key(&name, |(known, _)| known).ok()?;
    (name != "tee" || host.allows(Feature::Tee)).then_some(UTILITIES[index].1)
}

/// The names that the first word of a command can be completed to, besides the console's commands.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().chain(UTILITIES).map(|(name, _)| *name)
}

/// Text in single quotes where a shell needs them, as `set -x` shows it.
pub(crate) fn quote(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./,:=+@%^".contains(&byte) || byte >= 0x80;
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Text with a backslash before each special character, as `printf %q` writes it.
pub(crate) fn backslash_quote(text: &str) -> String {
    if text.is_empty() || text.contains(char::is_control) {
        return quote(text);
    }
    let special = |character: char| character.is_ascii_punctuation() && !"_-./:=+@%".contains(character);
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        if special(character) || character == ' ' {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

/// The options at the beginning of the arguments, one letter each, and where the rest begins. The error is
/// the first letter that is not in `known`.
pub(crate) fn options<'a>(arguments: &'a [String], known: &str) -> Result<(Vec<char>, &'a [String]), char> {
    let mut letters = Vec::new();
    let mut rest = arguments;
    while let Some((first, others)) = rest.split_first() {
        if first == "--" {
            rest = others;
            break;
        }
        let Some(cluster) = first.strip_prefix('-').filter(|cluster| !cluster.is_empty()) else { break };
        for letter in cluster.chars() {
            if !known.contains(letter) {
                return Err(letter);
            }
            letters.push(letter);
        }
        rest = others;
    }
    Ok((letters, rest))
}

/// A line that ends with the given status: `NAME: message` behind the shell's name.
pub(crate) fn fail(shell: &Evaluator, name: &str, message: &str, status: u8) -> Eval<u8> {
    shell.complain(&format!("{name}: {message}"))?;
    Ok(status)
}

/// As [`fail`], in the form of a program: without the shell's name.
pub(crate) fn utility_failed(shell: &Evaluator, name: &str, message: &str, status: u8) -> Eval<u8> {
    shell.message(&format!("{name}: {message}\n"))?;
    Ok(status)
}

pub(crate) fn invalid_option(shell: &Evaluator, name: &str, letter: char) -> Eval<u8> {
    fail(shell, name, &format!("-{letter}: invalid option"), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_for_the_search() {
        assert!(BUILTINS.is_sorted_by_key(|(name, _)| *name));
        assert!(UTILITIES.is_sorted_by_key(|(name, _)| *name));
        assert!(REFUSED.is_sorted());
        assert!(BUILTINS.iter().all(|(name, _)| !is_refused(name)));
    }

    #[test]
    fn quoting_keeps_plain_words_and_protects_the_others() {
        let table = [("a=b", "a=b"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$x", "'$x'")];
        for (text, quoted) in table {
            assert_eq!(quote(text), quoted);
        }
    }
}
