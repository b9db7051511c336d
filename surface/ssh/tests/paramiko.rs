//! Paramiko, when it can be had.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{PASSWORD, TestServer, USER, run, text};

/// A Python that has Paramiko: the system's, or that of an environment of our own.
fn python() -> Result<PathBuf, String> {
    let has_paramiko = |python: &Path| {
        Command::new(python)
            .args(["-c", "import paramiko"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if has_paramiko(Path::new("python3")) {
        return Ok("python3".into());
    }
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("paramiko-environment");
    let python = environment.join("bin/python");
    if has_paramiko(&python) {
        return Ok(python);
    }
    let steps = [
        Command::new("python3").args(["-m", "venv"]).arg(&environment).output(),
        Command::new(&python).args(["-m", "pip", "install", "-q", "--retries", "1", "paramiko"]).output(),
    ];
    for step in steps {
        match step {
            Ok(output) if output.status.success() => {}
            Ok(output) => return Err(text(&output.stderr)),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(python)
}

/// Runs a script against a fresh server; prints why when Paramiko cannot be had.
fn drive(script: &str) {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            println!("SKIP: Paramiko cannot be installed: {}", reason.lines().last().unwrap_or_default());
            return;
        }
    };
    let server = TestServer::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let output = run(Command::new("timeout")
        .arg(support::SECONDS_BEFORE_A_CLIENT_IS_KILLED)
        .arg(python)
        .arg(script)
        .args([&server.address.port().to_string(), USER, PASSWORD])
        .arg(&server.directory));
    println!("{}", text(&output.stdout));
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn paramiko_works() {
    drive("drive_paramiko.py");
}

/// Paramiko asks for the authentication service again before each method that it tries.
#[test]
#[ignore = "russh 0.65.1 leaves a second SERVICE_REQUEST unanswered: the client waits until it gives up"]
fn paramiko_falls_back_from_a_refused_key_to_a_password() {
    drive("drive_fallback.py");
}
