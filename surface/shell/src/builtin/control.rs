//! Builtins that decide what runs next.

use std::sync::Arc;

use super::fail;
use crate::evaluate::{Eval, Evaluator, Halt};
use crate::files::{FileKind, TreePath};
use crate::host::Feature;

/// `:` and `true`.
pub(crate) fn nothing(_: &mut Evaluator, _: &[String]) -> Eval<u8> {
    Ok(0)
}

pub(crate) fn fails(_: &mut Evaluator, _: &[String]) -> Eval<u8> {
    Ok(1)
}

pub(crate) fn exit(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    match exit_status(shell, "exit", arguments)? {
        Some(status) => Err(Halt::Exit(status)),
        None => Ok(1),
    }
}

pub(crate) fn logout(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    if !shell.run.interactive {
        return fail(shell, "logout", "not login shell: use `exit'", 1);
    }
    exit(shell, arguments)
}

/// The status that `exit` and `return` are given; `None` after a message that ends nothing.
fn exit_status(shell: &Evaluator, name: &str, arguments: &[String]) -> Eval<Option<u8>> {
    let arguments = arguments.strip_prefix(&["--".to_string()]).unwrap_or(arguments);
    match arguments {
        [] => Ok(Some(shell.state.status)),
        [number, more @ ..] => match number.trim().parse::<i64>() {
            Ok(_) if !more.is_empty() => {
                fail(shell, name, "too many arguments", 1)?;
                Ok(None)
            }
            Ok(number) => Ok(Some(number.rem_euclid(256) as u8)),
            Err(_) => fail(shell, name, &format!("{number}: numeric argument required"), 2).map(Some),
        },
    }
}

pub(crate) fn return_from(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    if shell.functions == 0 {
        return fail(shell, "return", "can only `return' from a function or sourced script", 1);
    }
    match exit_status(shell, "return", arguments)? {
        Some(status) => Err(Halt::Return(status)),
        None => Ok(1),
    }
}

pub(crate) fn break_loop(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    leave_loop(shell, "break", arguments, Halt::Break)
}

pub(crate) fn continue_loop(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    leave_loop(shell, "continue", arguments, Halt::Continue)
}

fn leave_loop(shell: &mut Evaluator, name: &str, arguments: &[String], halt: fn(usize) -> Halt) -> Eval<u8> {
    if shell.loops == 0 {
        return fail(shell, name, "only meaningful in a `for', `while', or `until' loop", 0);
    }
    shell.state.status = 0;
    let Some(text) = arguments.first() else { return Err(halt(1)) };
    match text.parse::<i64>() {
        Err(_) => {
            fail(shell, name, &format!("{text}: numeric argument required"), 1)?;
            Err(Halt::Abort(128))
        }
        Ok(count) if count < 1 => {
            shell.state.status = fail(shell, name, &format!("{text}: loop count out of range"), 1)?;
            Err(Halt::Break(shell.loops))
        }
        Ok(count) => Err(halt(usize::try_from(count).unwrap_or(usize::MAX).min(shell.loops))),
    }
}

pub(crate) fn shift(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let count = match arguments.first().map(|text| (text, text.parse::<usize>())) {
        None => 1,
        Some((_, Ok(count))) => count,
        Some((text, Err(_))) if text.parse::<i64>().is_ok() => {
            return fail(shell, "shift", &format!("{text}: shift count out of range"), 1);
        }
        Some((text, Err(_))) => {
            return fail(shell, "shift", &format!("{text}: numeric argument required"), 1);
        }
    };
    if count > shell.state.positional.len() {
        return Ok(1);
    }
    shell.state.positional = Arc::new(shell.state.positional[count..].to_vec());
    Ok(0)
}

/// `cd`: refused unless the host allows it.
pub(crate) fn change_directory(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    if !shell.run.host.allows(Feature::ChangeDirectory) {
        shell.complain(&shell.run.dialect.builtin_refused("cd"))?;
        return Ok(1);
    }
    let target = match arguments {
        [] => shell.run.files.home().as_str().to_string(),
        [target] if target == "-" => shell.state.variables.get("OLDPWD").unwrap_or(".").to_string(),
        [target] => target.clone(),
        _ => return fail(shell, "cd", "too many arguments", 1),
    };
    let entered = TreePath::resolve(&shell.state.directory, &target).and_then(|path| {
        let kind = shell.run.files.metadata(&path)?.kind;
        if kind == FileKind::Directory { Ok(path) } else { Err(crate::files::FileError::NotDirectory) }
    });
    match entered {
        Err(error) => {
            shell.complain(&shell.run.dialect.not_entered(&target, &error))?;
            Ok(1)
        }
        Ok(path) if !shell.run.host.may_enter(&path) => {
            shell.complain(&shell.run.dialect.entry_refused(&path))?;
            Ok(1)
        }
        Ok(path) => {
            shell.assign("OLDPWD", shell.state.directory.to_string())?;
            shell.assign("PWD", path.to_string())?;
            shell.state.directory = path;
            Ok(0)
        }
    }
}

/// `let`: true when the last expression is not zero.
pub(crate) fn let_expressions(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    if arguments.is_empty() {
        return fail(shell, "let", "expression expected", 1);
    }
    let mut value = 0;
    for argument in arguments {
        value = shell.arithmetic(argument)?;
    }
    Ok(u8::from(value == 0))
}
