//! Builtins that change variables.

use std::sync::Arc;

use super::{fail, invalid_option, options};
use crate::evaluate::{Eval, Evaluator};
use crate::variables::is_name;

/// What a declaring builtin does to each name.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    export: Option<bool>,
    read_only: bool,
    local: bool,
}

pub(crate) fn export(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let (letters, rest) = match options(arguments, "npf") {
        Ok(parsed) => parsed,
        Err(letter) => return invalid_option(shell, "export", letter),
    };
    if letters.contains(&'f') {
        return fail(shell, "export", "-f: restricted", 1);
    }
    if rest.is_empty() {
        return list(shell, true);
    }
    apply(shell, "export", rest, Change { export: Some(!letters.contains(&'n')), ..Change::default() })
}

pub(crate) fn read_only(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    match options(arguments, "p") {
        Ok((_, [])) => Ok(0),
        Ok((_, rest)) => apply(shell, "readonly", rest, Change { read_only: true, ..Change::default() }),
        Err(letter) => invalid_option(shell, "readonly", letter),
    }
}

pub(crate) fn declare(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let (letters, rest) = match options(arguments, "xrpg") {
        Ok(parsed) => parsed,
        Err(letter) => return invalid_option(shell, "declare", letter),
    };
    if rest.is_empty() {
        return list(shell, letters.contains(&'x'));
    }
    let change = Change {
        export: letters.contains(&'x').then_some(true),
        read_only: letters.contains(&'r'),
        local: shell.functions > 0 && !letters.contains(&'g'),
    };
    apply(shell, "declare", rest, change)
}

pub(crate) fn local(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    if shell.functions == 0 {
        return fail(shell, "local", "can only be used in a function", 1);
    }
    match options(arguments, "xr") {
        Ok((letters, rest)) => {
            let export = letters.contains(&'x').then_some(true);
            apply(shell, "local", rest, Change { export, read_only: false, local: true })
        }
        Err(letter) => invalid_option(shell, "local", letter),
    }
}

fn apply(shell: &mut Evaluator, builtin: &str, arguments: &[String], change: Change) -> Eval<u8> {
    let mut status = 0;
    for argument in arguments {
        let (target, value) = match argument.split_once('=') {
            Some((target, value)) => (target, Some(value)),
            None => (argument.as_str(), None),
        };
        let (name, append) = match target.strip_suffix('+').filter(|_| value.is_some()) {
            Some(name) => (name, true),
            None => (target, false),
        };
        if !is_name(name) {
            status = fail(shell, builtin, &format!("`{argument}': not a valid identifier"), 1)?;
            continue;
        }
        // A refused assignment is this builtin's failure, not the line's end.
        if (value.is_some() || change.read_only)
            && let Err(error) = shell.state.variables.check(name)
        {
            if value.is_some() {
                shell.complain(&error.to_string())?;
                status = 1;
            }
            continue;
        }
        if change.local {
            hide(shell, name)?;
        }
        if let Some(value) = value {
            let before = if append { shell.state.variables.get(name).unwrap_or("") } else { "" };
            let value = format!("{before}{value}");
            shell.assign(name, value)?;
        }
        if change.export.is_some() || change.read_only {
            mark(shell, name, change);
        }
    }
    Ok(status)
}

/// Remembers a variable for the end of the function that is running, and takes it away until then.
fn hide(shell: &mut Evaluator, name: &str) -> Eval<()> {
    let old = shell.remember(name);
    let Some(frame) = shell.hidden.last_mut() else { return Ok(()) };
    if frame.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    frame.push((name.to_string(), old));
    // A protected variable stays visible.
    let _ = shell.state.variables.unset(name);
    Ok(())
}

fn mark(shell: &mut Evaluator, name: &str, change: Change) {
    let variables = &mut shell.state.variables;
    if let Some(exported) = change.export {
        variables.export(name, exported);
    }
    if change.read_only {
        variables.protect(name);
    }
}

/// Lists variables as commands that would set them.
fn list(shell: &Evaluator, only_exported: bool) -> Eval<u8> {
    let mut text = String::new();
    for (name, value, exported) in shell.state.variables.iter() {
        if only_exported && !exported {
            continue;
        }
        let escaped =
            value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`");
        let flag = if exported { "-x" } else { "--" };
        text.push_str(&format!("declare {flag} {name}=\"{escaped}\"\n"));
    }
    shell.print(text.as_bytes())?;
    Ok(0)
}

pub(crate) fn unset(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let (letters, rest) = match options(arguments, "vf") {
        Ok(parsed) => parsed,
        Err(letter) => return invalid_option(shell, "unset", letter),
    };
    let mut status = 0;
    for name in rest {
        if !letters.contains(&'f') && !is_name(name) {
            status = fail(shell, "unset", &format!("`{name}': not a valid identifier"), 1)?;
            continue;
        }
        let is_variable = shell.state.variables.get(name).is_some();
        if letters.contains(&'f') || (!is_variable && !letters.contains(&'v')) {
            Arc::make_mut(&mut shell.state.functions).remove(name);
        } else if shell.state.variables.unset(name).is_err() {
            status = fail(shell, "unset", &format!("{name}: cannot unset: readonly variable"), 1)?;
        }
    }
    Ok(status)
}
