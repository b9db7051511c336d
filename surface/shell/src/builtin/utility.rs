//! Small programs of a real system that need the shell's own state or its host.

use std::io::{Read, Write};

use super::{options, utility_failed};
use crate::evaluate::{Eval, Evaluator};
use crate::files::TreePath;
use crate::filter;

/// Bytes that `tee` moves at once.
const COPY_BYTES: usize = 8 * 1024;

/// The status of `man` when there is no such page.
const NO_PAGE: u8 = 16;

pub(crate) fn basename(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let (paths, suffix) = match arguments {
        [] => return utility_failed(shell, "basename", "missing operand", 1),
        [option, suffix, paths @ ..] if option == "-s" => (paths, suffix.as_str()),
        [option, paths @ ..] if option == "-a" => (paths, ""),
        [path] => (std::slice::from_ref(path), ""),
        [path, suffix] => (std::slice::from_ref(path), suffix.as_str()),
        [_, _, extra, ..] => {
            return utility_failed(shell, "basename", &format!("extra operand '{extra}'"), 1);
        }
    };
    for path in paths {
        let trimmed = path.trim_end_matches('/');
        let base = if trimmed.is_empty() && !path.is_empty() {
            "/"
        } else {
            trimmed.rsplit('/').next().unwrap_or(trimmed)
        };
        let short = base.strip_suffix(suffix).filter(|short| !short.is_empty()).unwrap_or(base);
        shell.print(format!("{short}\n").as_bytes())?;
    }
    Ok(0)
}

pub(crate) fn dirname(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    if arguments.is_empty() {
        return utility_failed(shell, "dirname", "missing operand", 1);
    }
    for path in arguments {
        let trimmed = path.trim_end_matches('/');
        let directory = match trimmed.rfind('/') {
            None if trimmed.is_empty() && !path.is_empty() => "/",
            None => ".",
            Some(index) => match trimmed[..index].trim_end_matches('/') {
                "" => "/",
                directory => directory,
            },
        };
        shell.print(format!("{directory}\n").as_bytes())?;
    }
    Ok(0)
}

pub(crate) fn clear(shell: &mut Evaluator, _: &[String]) -> Eval<u8> {
    shell.print(b"\x1b[H\x1b[2J")?;
    Ok(0)
}

pub(crate) fn host_name(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    match options(arguments, "sf") {
        Ok((_, [])) => {
            shell.print(format!("{}\n", shell.run.host.host_name()).as_bytes())?;
            Ok(0)
        }
        Ok(_) => utility_failed(shell, "hostname", "you must be root to change the host name", 1),
        Err(letter) => utility_failed(shell, "hostname", &format!("invalid option -- '{letter}'"), 1),
    }
}

pub(crate) fn user_name(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    if let Some(extra) = arguments.first() {
        return utility_failed(shell, "whoami", &format!("extra operand '{extra}'"), 1);
    }
    shell.print(format!("{}\n", shell.run.host.user_name()).as_bytes())?;
    Ok(0)
}

pub(crate) fn identity(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let user = shell.run.host.user_name();
    let (letters, rest) = match options(arguments, "ugGn") {
        Ok(parsed) => parsed,
        Err(letter) => return utility_failed(shell, "id", &format!("invalid option -- '{letter}'"), 1),
    };
    if let Some(other) = rest.iter().find(|name| **name != user) {
        return utility_failed(shell, "id", &format!("'{other}': no such user"), 1);
    }
    let identity = shell.run.host.identity();
    let by_name = letters.contains(&'n');
    let group = |(number, name): &(u32, String)| if by_name { name.clone() } else { number.to_string() };
    let text = match letters.iter().find(|letter| **letter != 'n') {
        Some('u') if by_name => user,
        Some('u') => identity.user_id.to_string(),
        Some('g') => identity.groups.first().map(group).unwrap_or_default(),
        Some(_) => identity.groups.iter().map(group).collect::<Vec<_>>().join(" "),
        None if by_name => {
            return utility_failed(shell, "id", "cannot print only names or real IDs in default format", 1);
        }
        None => {
            let groups: Vec<String> =
                identity.groups.iter().map(|(number, name)| format!("{number}({name})")).collect();
            let primary = groups.first().cloned().unwrap_or_default();
            format!("uid={}({user}) gid={primary} groups={}", identity.user_id, groups.join(","))
        }
    };
    shell.print(format!("{text}\n").as_bytes())?;
    Ok(0)
}

/// `man`: page by page on a terminal, plain elsewhere.
pub(crate) fn manual(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let names: Vec<&String> = arguments.iter().filter(|argument| argument.parse::<u8>().is_err()).collect();
    if names.is_empty() {
        shell.message("What manual page do you want?\n")?;
        return Ok(1);
    }
    let mut status = 0;
    for name in names {
        match shell.run.host.manual(name) {
            None => {
                shell.message(&format!("No manual entry for {name}\n"))?;
                status = NO_PAGE;
            }
            Some(page) => match filter::lookup("more").filter(|_| shell.output.is_terminal()) {
                Some(more) => {
                    let page = crate::streams::Input::from_bytes(page.into_bytes());
                    shell.run_filter(more, &page, &[])?;
                }
                None => shell.print(page.as_bytes())?,
            },
        }
    }
    Ok(status)
}

/// `tee`, where the host allows it.
pub(crate) fn tee(shell: &mut Evaluator, arguments: &[String]) -> Eval<u8> {
    let (letters, paths) = match options(arguments, "ai") {
        Ok(parsed) => parsed,
        Err(letter) => return utility_failed(shell, "tee", &format!("invalid option -- '{letter}'"), 1),
    };
    let mut status = 0;
    let mut files: Vec<Box<dyn Write + Send>> = Vec::new();
    for path in paths {
        let created = TreePath::resolve(&shell.state.directory, path)
            .and_then(|resolved| shell.run.files.create(&resolved, letters.contains(&'a')));
        match created {
            Ok(file) => files.push(file),
            Err(error) => status = utility_failed(shell, "tee", &format!("{path}: {error}"), 1)?,
        }
    }
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let count = (&shell.input).read(&mut buffer).map_err(|error| shell.failed(&error))?;
        if count == 0 {
            break;
        }
        // The file counts like any output: it must not be a way around the limit.
        if !files.is_empty() && !shell.run.meter.charge_output(count * files.len()) {
            return Err(crate::evaluate::Halt::Stopped);
        }
        for file in &mut files {
            if let Err(error) = file.write_all(&buffer[..count]) {
                status = utility_failed(shell, "tee", &error.to_string(), 1)?;
            }
        }
        shell.print(&buffer[..count])?;
    }
    for file in &mut files {
        if let Err(error) = file.flush() {
            status = utility_failed(shell, "tee", &error.to_string(), 1)?;
        }
    }
    Ok(status)
}
