//! The words of `varan fault`, which scenarios use as well.

use std::path::Path;

use varan_contract::fault::{Fault, FaultId, FaultReply, FaultRequest};
use varan_contract::system::Selector;
use varan_model::ids::PartitionId;

use super::{process, socket};

/// The words, for the usage text.
pub const USAGE: &str = "\
    power-fail SYSTEM             the frame loses its power
    crash SYSTEM [PARTITION]      the hypervisor, or a partition, ends abnormally
    hang SYSTEM PARTITION         a partition stands still
    disk SYSTEM PARTITION         a partition loses its boot disk
    unit DISK                     a disk of the storage network vanishes
    port PORT                     a Fibre Channel port loses its link
    service-processor SYSTEM      no console reaches the frame; partitions run on
    link CONSOLE SYSTEM           one console's link is cut
    processors SYSTEM COUNT       processors fail
    memory SYSTEM MB              memory fails
    kill PROCESS, stop PROCESS    with --split: a managed system's or a console's process
    list | clear ID... | clear --all
";

/// What the words ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultCommand {
    /// Something for the site's control.
    Ask(Vec<FaultRequest>),
    /// Kill a process of a site that was started with `--split`.
    Kill(String),
    /// Stop one, until it is cleared.
    Stop(String),
    /// List, processes that are stopped included.
    List,
    /// Clear everything, processes that are stopped first.
    ClearAll,
    /// Let stopped processes go on.
    Continue(Vec<String>),
}

/// How a stopped process is listed and cleared.
pub const PROCESS_PREFIX: &str = "process:";

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not {what}"))
}

/// A partition by its name; digits alone are its number, as no name is.
fn partition(text: &str) -> Selector {
    match text.parse() {
        Ok(id) => Selector::Id(PartitionId(id)),
        Err(_) => Selector::Name(text.to_owned()),
    }
}

fn inject(fault: Fault) -> Result<FaultCommand, String> {
    Ok(FaultCommand::Ask(vec![FaultRequest::Inject(fault)]))
}

/// Reads the words after `varan fault`.
///
/// # Errors
/// A text for the person.
pub fn parse(words: &[&str]) -> Result<FaultCommand, String> {
    let system = |text: &str| text.to_owned();
    match words {
        ["list"] => Ok(FaultCommand::List),
        ["clear", "--all"] => Ok(FaultCommand::ClearAll),
        ["clear", ids @ ..] if !ids.is_empty() => clear(ids),
        ["power-fail", name] => inject(Fault::PowerFailure { system: system(name) }),
        ["crash", name] => inject(Fault::SystemCrash { system: system(name) }),
        ["crash", name, of] => {
            inject(Fault::PartitionCrash { system: system(name), partition: partition(of) })
        }
        ["hang", name, of] => inject(Fault::PartitionHang { system: system(name), partition: partition(of) }),
        ["disk", name, of] => inject(Fault::Disk { system: system(name), partition: partition(of) }),
        ["unit", disk] => inject(Fault::Unit { disk: (*disk).to_owned() }),
        ["port", port] => inject(Fault::Port { port: (*port).to_owned() }),
        ["service-processor", name] => inject(Fault::ServiceProcessor { system: system(name) }),
        ["link", console, name] => {
            inject(Fault::ConsoleLink { console: (*console).to_owned(), system: system(name) })
        }
        ["processors", name, count] => match number(count, "a number of processors")? {
            0 => Err("at least one processor fails".to_owned()),
            count => inject(Fault::Processors { system: system(name), count }),
        },
        ["memory", name, megabytes] => match number(megabytes, "a number of megabytes")? {
            0 => Err("at least one memory block fails".to_owned()),
            megabytes => inject(Fault::Memory { system: system(name), megabytes }),
        },
        ["kill", process] => Ok(FaultCommand::Kill((*process).to_owned())),
        ["stop", process] => Ok(FaultCommand::Stop((*process).to_owned())),
        [] => Err("fault needs to know what breaks".to_owned()),
        [word, ..] => Err(format!("`fault {word}` with {} more words is not known", words.len() - 1)),
    }
}

fn clear(ids: &[&str]) -> Result<FaultCommand, String> {
    let process = |id: &&str| id.strip_prefix(PROCESS_PREFIX).map(str::to_owned);
    let processes: Vec<String> = ids.iter().filter_map(process).collect();
    if processes.is_empty() {
        let request = |id: &&str| Ok(FaultRequest::Clear(FaultId(number(id, "the number of a fault")?)));
        return Ok(FaultCommand::Ask(ids.iter().map(request).collect::<Result<_, String>>()?));
    }
    if processes.len() < ids.len() {
        return Err(format!("clear faults by number and {PROCESS_PREFIX} apart"));
    }
    Ok(FaultCommand::Continue(processes))
}

/// A fault in the words by which it is injected.
#[must_use]
pub fn words(fault: &Fault) -> String {
    let of = |partition: &Selector| match partition {
        Selector::Name(name) => name.clone(),
        Selector::Id(id) => id.to_string(),
        Selector::Uuid(uuid) => uuid.to_string(),
    };
    match fault {
        Fault::PowerFailure { system } => format!("power-fail {system}"),
        Fault::SystemCrash { system } => format!("crash {system}"),
        Fault::ServiceProcessor { system } => format!("service-processor {system}"),
        Fault::ConsoleLink { console, system } => format!("link {console} {system}"),
        Fault::PartitionCrash { system, partition } => format!("crash {system} {}", of(partition)),
        Fault::PartitionHang { system, partition } => format!("hang {system} {}", of(partition)),
        Fault::Disk { system, partition } => format!("disk {system} {}", of(partition)),
        Fault::Unit { disk } => format!("unit {disk}"),
        Fault::Port { port } => format!("port {port}"),
        Fault::Processors { system, count } => format!("processors {system} {count}"),
        Fault::Memory { system, megabytes } => format!("memory {system} {megabytes}"),
    }
}

/// Carries words out at the site whose sockets are in `directory`. Returns what is printed.
///
/// # Errors
/// No site runs there, or a refusal.
pub fn run(directory: &Path, command: &FaultCommand) -> Result<String, String> {
    let ask = |request: &FaultRequest| text(&socket::call(directory, request)?);
    match command {
        FaultCommand::Ask(requests) => requests.iter().map(ask).collect(),
        FaultCommand::Kill(name) => process::kill(directory, name).map(|()| String::new()),
        FaultCommand::Stop(name) => {
            process::stop(directory, name).map(|()| format!("{PROCESS_PREFIX}{name}\n"))
        }
        FaultCommand::List => {
            let stopped = process::stopped(directory);
            let lines: String =
                stopped.iter().map(|name| format!("{PROCESS_PREFIX}{name} stop {name}\n")).collect();
            // The process that knows the other faults may be among them.
            let known = ask(&FaultRequest::List);
            if stopped.is_empty() { known } else { Ok(lines + &known.unwrap_or_default()) }
        }
        FaultCommand::ClearAll => {
            for name in process::stopped(directory) {
                process::resume(directory, &name)?;
            }
            ask(&FaultRequest::ClearAll)
        }
        FaultCommand::Continue(names) => {
            names.iter().try_for_each(|name| process::resume(directory, name)).map(|()| String::new())
        }
    }
}

/// What a reply prints.
///
/// # Errors
/// The reason of a refusal.
pub fn text(reply: &FaultReply) -> Result<String, String> {
    match reply {
        FaultReply::Injected(id) => Ok(format!("{id}\n")),
        FaultReply::Cleared(_) => Ok(String::new()),
        FaultReply::Active(active) => {
            Ok(active.iter().map(|active| format!("{} {}\n", active.id, words(&active.fault))).collect())
        }
        FaultReply::Refused(reason) => Err(reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FaultCommand, String> {
        parse(&text.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn every_fault_is_read_as_it_is_listed() {
        for line in [
            "power-fail p814-1",
            "crash p814-1",
            "crash p814-1 lpar1",
            "crash p814-1 3",
            "hang p814-1 vios1",
            "unit san1",
            "port U78C9.001.WZS21AF-P1-C2-T1",
            "service-processor p814-1",
            "link myhmc p814-1",
            "processors p814-1 2",
            "memory p814-1 1024",
        ] {
            let Ok(FaultCommand::Ask(requests)) = read(line) else { panic!("{line}") };
            let [FaultRequest::Inject(fault)] = &requests[..] else { panic!("{line}") };
            assert_eq!(words(fault), line);
        }
    }

    #[test]
    fn wrong_words_are_refused() {
        for (line, expected) in [
            ("", "needs to know"),
            ("crash", "not known"),
            ("hang p814-1", "not known"),
            ("explode p814-1", "not known"),
            ("processors p814-1 x", "not a number of processors"),
            ("processors p814-1 0", "at least one"),
            ("memory p814-1 -5", "not a number of megabytes"),
            ("disk san1", "with 1 more words is not known"),
            ("clear", "not known"),
            ("clear x", "not the number of a fault"),
            ("clear 1 process:console", "apart"),
            ("list all", "not known"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
        assert_eq!(read("clear process:console"), Ok(FaultCommand::Continue(vec!["console".to_owned()])));
    }
}
