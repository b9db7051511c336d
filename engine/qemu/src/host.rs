//! The QEMU of this host: whether it is there, new enough, and has what is needed.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use varan_qmp::{Client, Need, QmpError, Schema, Version};

use crate::tied;

/// Older ones lose the decrementer when a guest migrates under TCG, and the guest hangs.
const MINIMUM: Version = Version { major: 8, minor: 2, micro: 0 };
/// Longest time that QEMU may take to say something about itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// How the package is installed on Debian.
const HINT: &str = "on Debian: apt-get install qemu-system-ppc; on Debian 12 from its backports: \
                    apt-get install -t bookworm-backports qemu-system-ppc";

/// Everything that is used of the machine protocol.
const NEEDS: &[Need] = &[
    Need::Command { name: "qmp_capabilities", arguments: &[], returns: &[] },
    Need::Command { name: "query-status", arguments: &[], returns: &["status"] },
    Need::Command { name: "cont", arguments: &[], returns: &[] },
    Need::Command { name: "system_powerdown", arguments: &[], returns: &[] },
    Need::Command { name: "human-monitor-command", arguments: &["command-line"], returns: &[] },
    Need::Event { name: "SHUTDOWN", data: &["guest"] },
    Need::Event { name: "RESET", data: &["guest"] },
    Need::Event { name: "GUEST_PANICKED", data: &[] },
];

/// A QEMU that can run partitions.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// The program.
    pub program: PathBuf,
    /// Its version.
    pub version: Version,
    /// Whether it can deny system calls to itself.
    pub sandbox: bool,
}

/// Looks at the program by running it without a machine.
///
/// # Errors
/// A text for the person: not there, too old, or without something that is needed; with a hint how to install it.
pub fn find(program: &Path) -> Result<Qemu, String> {
    let name = program.display();
    let fail = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(|error| fail(&error))?;
    let input = theirs.try_clone().map_err(|error| fail(&error))?;
    // Killed together with us, it would wait for ever for a question.
    let spawned = tied::spawn(
        Command::new(program)
            .args(["-M", "none", "-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-chardev", "stdio,id=qmp,signal=off", "-mon", "chardev=qmp,mode=control"])
            .stdin(Stdio::from(OwnedFd::from(input)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .process_group(0),
    );
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(format!("QEMU {MINIMUM} or newer is not installed ({name} is not there); {HINT}"));
        }
        Err(error) => return Err(fail(&error)),
    };
    let answer = Client::over(ours, PATIENCE)
        .map_err(|error| format!("{name} does not answer as QEMU does: {error}"))
        .and_then(|mut client| examine(program, &mut client));
    // It has no machine: nothing is lost by ending it.
    let _ = child.kill();
    let _ = child.wait();
    answer
}

fn examine(program: &Path, client: &mut Client) -> Result<Qemu, String> {
    let name = program.display();
    let version = client.greeting().version;
    if version < MINIMUM {
        return Err(format!("{name} is QEMU {version}, and {MINIMUM} or newer is needed; {HINT}"));
    }
    let fail = |error: QmpError| format!("{name}: {error}");
    let schema = Schema::new(client.execute("query-qmp-schema", Value::Null).map_err(fail)?);
    let mut missing = schema.missing(NEEDS);
    let machines = client.execute("query-machines", Value::Null).map_err(fail)?;
    let is_pseries = |machine: &Value| machine["name"] == "pseries" || machine["alias"] == "pseries";
    if !machines.as_array().is_some_and(|list| list.iter().any(is_pseries)) {
        missing.push("machine pseries".to_owned());
    }
    if !missing.is_empty() {
        return Err(format!("{name}, QEMU {version}, lacks {}", missing.join(", ")));
    }
    // A QEMU that was built without seccomp does not know the option.
    let sandbox = client.execute("query-command-line-options", json!({ "option": "sandbox" }));
    let sandbox = sandbox.is_ok_and(|options| {
        let parameters = options.get(0).and_then(|option| option["parameters"].as_array());
        parameters.is_some_and(|list| list.iter().any(|parameter| parameter["name"] == "spawn"))
    });
    Ok(Qemu { program: program.to_owned(), version, sandbox })
}
