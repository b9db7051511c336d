//! `sed`: edits lines by a script of `s`, `d`, `p`, `q` and `=`.

mod execute;
mod parser;
mod script;
mod substitute;

use super::FilterContext;
use super::options::{Grammar, Parsed, flag, value};
use super::process::{self, Process, Stop};

static GRAMMAR: Grammar = Grammar {
    program: "sed",
    synopsis: "sed [OPTION]... {script-only-if-no-other-script} [input-file]...",
    flags: &[
        flag('n', "quiet"),
        flag('n', "silent"),
        value('e', "expression"),
        flag('E', "regexp-extended"),
        flag('r', ""),
        flag('u', "unbuffered"),
    ],
    hint: HINT,
    trouble: 1,
};

const HINT: &str = "Usage: sed [OPTION]... {script-only-if-no-other-script} [input-file]...\n";

/// Runs `sed`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, sed)
}

fn sed(process: &mut Process<'_>, mut parsed: Parsed) -> Result<u8, Stop> {
    let given = parsed.options.iter().filter(|(key, _)| *key == 'e').filter_map(|(_, text)| text.clone());
    let mut expressions: Vec<String> = given.collect();
    if expressions.is_empty() {
        if parsed.operands.is_empty() {
            process.complain_raw(HINT)?;
            return Err(Stop::Status(1));
        }
        expressions.push(parsed.operands.remove(0));
    }
    let extended = parsed.has('E') || parsed.has('r');
    let script = match parser::parse(&expressions, extended) {
        Ok(script) => script,
        Err(message) => return Err(process.fail(&message)),
    };
    let quiet = parsed.has('n') || (expressions[0] == "#n" || expressions[0].starts_with("#n\n"));
    execute::execute(process, script, quiet, parsed.inputs())
}
