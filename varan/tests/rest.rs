//! The REST API as its clients reach it: the binary, a plain HTTP client, and pypowervm in console and NovaLink mode.

#![allow(missing_docs)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Seconds after which a client that hangs is killed.
const CLIENT_SECONDS: &str = "240";

/// How often a connection is looked for, and the pause between.
const READY_TRIES: usize = 600;
const READY_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

struct Program {
    child: Child,
    data: PathBuf,
    console: String,
    management_partition: String,
}

impl Program {
    fn start(name: &str) -> Self {
        Self::start_site(name, Path::new("demo"))
    }

    /// The shipped site with a console of another release.
    fn start_release(name: &str, release: &str, service_pack: &str) -> Self {
        let console = format!(
            "[[console]]\nrelease = \"{release}\"\nbase_version = \"{release}\"\nservice_pack = \"{service_pack}\"\n"
        );
        let text = include_str!("../../sites/demo.toml").replacen("[[console]]\n", &console, 1);
        let site = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.toml", std::process::id()));
        std::fs::write(&site, text).expect("site file");
        let program = Self::start_site(name, &site);
        let _ = std::fs::remove_file(site);
        program
    }

    fn start_site(name: &str, site: &Path) -> Self {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        let mut child = Command::new(env!("CARGO_BIN_EXE_varan"))
            .args(["up", "--ssh-port", "0", "--rest-port", "0", "--site"])
            .arg(site)
            .args(["--novalink", "p814-1", "--novalink-port", "0", "--data"])
            .arg(&data)
            .stdout(Stdio::piped())
            .spawn()
            .expect("program");
        let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
        let mut addresses = Vec::new();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| {
            addresses.extend(line.split_once("REST: ").map(|(_, address)| address.to_owned()));
            line.starts_with("ready:")
        });
        std::thread::spawn(move || lines.for_each(drop));
        assert!(ready, "the program did not become ready");
        let of = |scheme: &str| addresses.iter().find(|one| one.starts_with(scheme)).expect(scheme).clone();
        let (console, management_partition) = (of("https:"), of("http:"));
        Self { child, data, console, management_partition }
    }

    fn hmc(&self, line: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_varan"))
            .args(["hmc", "--data"])
            .arg(&self.data)
            .arg(line)
            .output()
            .expect("varan hmc");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{line}: {text}");
        text
    }

    /// The same once the partitions' connections are there.
    fn hmc_when_ready(&self, line: &str) {
        let servers = "lssyscfg -r lpar -m p814-1 --filter lpar_names=vios1 -F rmc_state";
        for _ in 0..READY_TRIES {
            if self.hmc(servers).trim() == "active" {
                self.hmc(line);
                return;
            }
            std::thread::sleep(READY_PAUSE);
        }
        panic!("vios1 has no RMC connection");
    }

    /// Two partitions with adapters of every kind; one runs, and a server serves it.
    fn populate(&self) {
        let record = |name: &str, more: &str| {
            format!(
                "mksyscfg -r lpar -m p814-1 -i 'name={name},profile_name=default_profile,lpar_env=aixlinux,min_mem=1024,desired_mem=2048,max_mem=4096,proc_mode=shared,min_procs=1,desired_procs=1,max_procs=2,min_proc_units=0.1,desired_proc_units=0.5,max_proc_units=1.0,sharing_mode=uncap,uncap_weight=128{more}'"
            )
        };
        let adapters = ",\"virtual_eth_adapters=2/0/1//0/0,\"\"3/1/2/100,200/0/0\"\"\",virtual_scsi_adapters=5/client//vios1/20/0,virtual_fc_adapters=6/client//vios1/21//0";
        self.hmc(&record("lpar1", adapters));
        self.hmc(&record("lpar2", ""));
        self.hmc("chsysstate -r lpar -m p814-1 -o on -n lpar1 -f default_profile");
        self.hmc_when_ready("chhwres -r virtualio --rsubtype scsi -m p814-1 -o a -p vios1 -s 20 -a adapter_type=server,remote_lpar_name=lpar1,remote_slot_num=5");
        self.hmc("chhwres -r virtualio --rsubtype fc -m p814-1 -o a -p vios1 -s 21 -a adapter_type=server,remote_lpar_name=lpar1,remote_slot_num=6");
    }

    fn drive(&self, python: &Path, script: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
        let output = Command::new("timeout")
            .arg(CLIENT_SECONDS)
            .arg(python)
            .arg(script)
            .args([&self.console, &self.management_partition, env!("CARGO_BIN_EXE_varan")])
            .arg(&self.data)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../surface/rest/tests/recorded_elements.txt"))
            // A client's own trust settings would refuse the console's certificate.
            .env_remove("REQUESTS_CA_BUNDLE")
            .env_remove("CURL_CA_BUNDLE")
            .output()
            .expect("client");
        println!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// A Python that has pypowervm, in an environment of our own.
fn python_with_pypowervm() -> Result<PathBuf, String> {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pypowervm-environment");
    let python = environment.join("bin/python");
    let usable = |python: &Path| {
        let import = Command::new(python).args(["-c", "import pypowervm.adapter"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if usable(&python) {
        return Ok(python);
    }
    let steps = [
        Command::new("python3").args(["-m", "venv"]).arg(&environment).output(),
        Command::new(&python).args(["-m", "pip", "install", "-q", "--retries", "1", "pypowervm"]).output(),
    ];
    for step in steps {
        match step {
            Ok(output) if output.status.success() => {}
            Ok(output) => return Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => return Err(error.to_string()),
        }
    }
    if usable(&python) { Ok(python) } else { Err("pypowervm does not import".to_owned()) }
}

#[test]
fn a_plain_client_reads_and_bad_input_gets_one_clear_error() {
    let program = Program::start("rest-plain");
    program.populate();
    program.drive(Path::new("python3"), "drive_rest.py");
}

#[test]
fn bad_input_takes_nothing_from_others() {
    Program::start("rest-bad-input").drive(Path::new("python3"), "drive_bad_input.py");
}

#[test]
fn documents_hold_what_recorded_answers_hold() {
    let program = Program::start("rest-documents");
    program.populate();
    program.drive(Path::new("python3"), "drive_documents.py");
}

#[test]
fn documents_of_a_later_console_hold_what_came_with_it() {
    let program = Program::start_release("rest-documents-10", "V10R3", "1060");
    program.populate();
    program.drive(Path::new("python3"), "drive_documents.py");
}

/// The commands of the documentation, as a person types them.
fn documented_commands() -> String {
    let page = include_str!("../../docs/rest.md");
    page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("commands").to_owned()
}

#[test]
fn a_person_lists_with_curl_as_documented() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("SKIP: curl is not installed");
        return;
    }
    let program = Program::start("rest-curl");
    program.populate();
    let script = documented_commands().replace("https://127.0.0.1:12443/rest/api", &program.console);
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash");
    let text = String::from_utf8_lossy(&output.stdout);
    let systems = program.hmc("lssyscfg -r sys -F name");
    let named: String = systems.lines().map(|name| format!("\"SystemName\":\"{name}\"\n")).collect();
    let rest = "\"PartitionName\":\"lpar1\"\n\"PartitionName\":\"lpar2\"\n                    \
                <PartitionState kb=\"ROO\" kxe=\"false\">running</PartitionState>\n            \
                <Message kb=\"ROO\" kxe=\"false\">REST000B The URL presented to the Management Console REST Web \
                Services is not valid.</Message>\n204\n";
    assert_eq!(strip(&text), strip(&(named + rest)), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Lines without the blanks before them.
fn strip(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}

#[test]
fn pypowervm_reads_what_the_command_line_says() {
    let python = match python_with_pypowervm() {
        Ok(python) => python,
        Err(reason) => {
            println!("SKIP: pypowervm cannot be installed: {}", reason.lines().last().unwrap_or_default());
            return;
        }
    };
    let program = Program::start("rest-pypowervm");
    program.populate();
    program.drive(&python, "drive_pypowervm.py");
}
