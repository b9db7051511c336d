//! `set`: switches, positional parameters, and the list of variables.

use std::sync::Arc;

use super::{fail, quote};
use crate::evaluate::{Eval, Evaluator};

pub(crate) fn set(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    if arguments.is_empty() {
        let mut text = String::new();
        for (name, value, _) in shell.state.variables.iter() {
            text.push_str(&format!(
                "{name}={}\n",
                if value.is_empty() { String::new() } else { quote(value) }
            ));
        }
        shell.print(text.as_bytes())?;
        return Ok(0);
    }
    let mut rest = arguments;
    while let Some((first, others)) = rest.split_first() {
        if first == "--" {
            return positional(shell, others);
        }
        let on = first.starts_with('-');
        let Some(letters) = first.strip_prefix(['-', '+']).filter(|letters| !letters.is_empty()) else {
            break;
        };
        rest = others;
        for letter in letters.chars() {
            let known = match letter {
                'o' => {
                    let Some((name, others)) = rest.split_first() else { return show_switches(shell) };
                    rest = others;
                    if !switch_named(shell, name, on) {
                        return fail(shell, "set", &format!("{name}: invalid option name"), 1);
                    }
                    true
                }
                'h' | 'B' => on,
                'r' if on => true,
                letter => switch(shell, letter, on),
            };
            if !known {
                let sign = if on { '-' } else { '+' };
                return fail(shell, "set", &format!("{sign}{letter}: invalid option"), 2);
            }
        }
    }
    if rest.is_empty() { Ok(0) } else { positional(shell, rest) }
}

fn positional(shell: &mut Evaluator, values: &[String]) -> Eval<u8> {
    shell.state.positional = Arc::new(values.to_vec());
    Ok(0)
}

fn switch(shell: &mut Evaluator, letter: char, on: bool) -> bool {
    let switches = &mut shell.state.switches;
    match letter {
        'e' => switches.exit_on_error = on,
        'u' => switches.unset_is_error = on,
        'f' => switches.no_glob = on,
        'x' => switches.trace = on,
        _ => return false,
    }
    true
}

fn switch_named(shell: &mut Evaluator, name: &str, on: bool) -> bool {
    match name {
        "errexit" => switch(shell, 'e', on),
        "nounset" => switch(shell, 'u', on),
        "noglob" => switch(shell, 'f', on),
        "xtrace" => switch(shell, 'x', on),
        "pipefail" => {
            shell.state.switches.pipe_fail = on;
            true
        }
        // The line editor has one set of keys; asking for the set that it has is no error.
        "emacs" => on,
        _ => false,
    }
}

fn show_switches(shell: &Evaluator) -> Eval<u8> {
    let switches = shell.state.switches;
    let table = [
        ("errexit", switches.exit_on_error),
        ("noglob", switches.no_glob),
        ("nounset", switches.unset_is_error),
        ("pipefail", switches.pipe_fail),
        ("xtrace", switches.trace),
    ];
    let mut text = String::new();
    for (name, on) in table {
        text.push_str(&format!("{name:<15}\t{}\n", if on { "on" } else { "off" }));
    }
    shell.print(text.as_bytes())?;
    Ok(0)
}
