//! `varan tour`: an administrator's day in a minute, on one screen. Everything shown is run: a site in a process of its
//! own, commands on its console, a real `kill -9`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::control::{Running, begin};
use crate::frame::Layout;
use crate::{simulation, sites};

/// Time to read what the last scene showed.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(3);
/// The partition that the tour makes.
const NAME: &str = "varan1";
const SYSTEM: &str = "p814-1";

struct Stage {
    data: PathBuf,
    plain: bool,
    site: Option<Child>,
}

impl Stage {
    fn say(&self, text: &str) {
        if self.plain {
            println!("\n-- {text}");
        } else {
            // A person reads along.
            std::thread::sleep(PAUSE);
            println!("\n\x1b[1;36m-- {text}\x1b[0m");
        }
    }

    fn start(&mut self) -> Result<(), String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .args(["up", "--site", "demo", "--ssh-port", "0", "--data"])
            .arg(&self.data)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("the site has no output")?;
        self.site = Some(child);
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
            if line.starts_with("ready:") {
                return Ok(());
            }
        }
        Err("the site did not start".to_owned())
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.site.take() {
            // SIGKILL: the site gets no chance to write anything.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn sockets(&self) -> PathBuf {
        Layout::new(&self.data).sockets()
    }

    /// Runs a command line and shows it with its output.
    fn show(&self, command: &str) -> Result<(u8, String), String> {
        println!("hscroot@myhmc:~> {command}");
        let (status, output) = self.quiet(command)?;
        print!("{output}");
        Ok((status, output))
    }

    fn quiet(&self, command: &str) -> Result<(u8, String), String> {
        let mut running = begin(&self.sockets(), "hscroot", command, false)?;
        let mut output = String::new();
        loop {
            match running.next_output()? {
                Ok((_, bytes)) => output.push_str(&String::from_utf8_lossy(&bytes)),
                Err(status) => return Ok((status, output)),
            }
        }
    }

    /// Repeats a command until its output holds `wanted`.
    fn until(&self, command: &str, wanted: &str) -> Result<(), String> {
        for _ in 0..ATTEMPTS_MAX {
            if self.quiet(command)?.1.contains(wanted) {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        Err(format!("`{command}` never showed {wanted}"))
    }
}

/// A minute of looking ten times a second.
const ATTEMPTS_MAX: u32 = 600;

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Shows a terminal's output until it holds `wanted`.
fn watch(running: &mut Running, wanted: &str) -> Result<(), String> {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        match running.next_output()? {
            Ok((_, bytes)) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                print!("{text}");
                std::io::stdout().flush().map_err(|error| error.to_string())?;
                seen.push_str(&text);
            }
            Err(status) => return Err(format!("the terminal ended with status {status}")),
        }
    }
    Ok(())
}

/// Plays the tour on standard output.
///
/// # Errors
/// What did not work.
pub fn play(plain: bool) -> Result<(), String> {
    let data = std::env::temp_dir().join(format!("varan-tour-{}", std::process::id()));
    let mut stage = Stage { data, plain, site: None };
    stage.say("A site of five Power frames starts (demo, time runs faster than real)");
    stage.start()?;
    stage.show("lssyscfg -r sys -F name,type_model,serial_num,state")?;

    stage.say("A partition is created with a line as the field reports show them");
    create(&stage)?;
    stage.say("It is activated and boots on its virtual terminal");
    boot(&stage)?;
    stage.say("It gets memory while it runs, and the profile does not change");
    grow(&stage)?;
    stage.say("A mistake gets one clear error with its code, and changes nothing");
    stage.show(&format!(
        "chsyscfg -r lpar -m {SYSTEM} -i \"name={NAME},simplified_remote_restart_capable=1\"; echo $?"
    ))?;
    stage.show(&format!("lssyscfg -r lpar -m {SYSTEM} --filter lpar_names=nobody -F name; echo $?"))?;

    stage.say("kill -9 of the whole site: the power goes, in the middle of the day");
    let (_, before) = stage.quiet(&format!("lssyscfg -r prof -m {SYSTEM}"))?;
    stage.kill();
    stage.start()?;
    let (_, after) = stage.quiet(&format!("lssyscfg -r prof -m {SYSTEM}"))?;
    if before != after {
        return Err("a profile differs after the restart".to_owned());
    }
    println!("every profile of {SYSTEM} is as it was: {} bytes compared", before.len());
    stage.show(&format!("lssyscfg -r lpar -m {SYSTEM} -F name,lpar_id,state,curr_profile"))?;
    stage.kill();

    stage.say("The same code in simulation: virtual time, losses of power, one seed (42)");
    simulate(&stage.data.join("simulation"))?;
    stage.say("That was it. Start your own with ./run");
    Ok(())
}

fn create(stage: &Stage) -> Result<(), String> {
    let record = format!(
        "name={NAME},profile_name=default_profile,lpar_env=aixlinux,min_mem=1024,desired_mem=2048,max_mem=4096,\
         proc_mode=shared,min_procs=1,desired_procs=1,max_procs=4,min_proc_units=0.1,desired_proc_units=0.5,\
         max_proc_units=2.0,sharing_mode=uncap,uncap_weight=128,max_virtual_slots=64,\
         \"virtual_eth_adapters=2/0/1//0/0/ETHERNET0//all/none\",virtual_scsi_adapters=3/client/1//32/0"
    );
    stage.show(&format!("mksyscfg -r lpar -m {SYSTEM} -i '{record}'"))?;
    stage.show(&format!("lssyscfg -r prof -m {SYSTEM} --filter \"lpar_names={NAME}\"")).map(|_| ())
}

fn boot(stage: &Stage) -> Result<(), String> {
    stage.show(&format!("chsysstate -r lpar -m {SYSTEM} -o on -n {NAME} -f default_profile"))?;
    println!("hscroot@myhmc:~> mkvterm -m {SYSTEM} -p {NAME}");
    let mut terminal = begin(&stage.sockets(), "hscroot", &format!("mkvterm -m {SYSTEM} -p {NAME}"), true)?;
    watch(&mut terminal, "login:")?;
    terminal.type_bytes(b"root\r");
    watch(&mut terminal, "assword:")?;
    terminal.type_bytes(b"abc123\r");
    watch(&mut terminal, "# ")?;
    for line in ["oslevel -s", "lparstat -i | head -3", "errpt | head -3"] {
        terminal.type_bytes(format!("{line}\r").as_bytes());
        watch(&mut terminal, "# ")?;
    }
    terminal.type_bytes(b"exit\r");
    watch(&mut terminal, "login:")?;
    terminal.type_bytes(b"~.");
    watch(&mut terminal, "[y/n]")?;
    terminal.type_bytes(b"y");
    while let Ok(Ok(_)) = terminal.next_output() {}
    println!();
    Ok(())
}

fn grow(stage: &Stage) -> Result<(), String> {
    let state = format!("lssyscfg -r lpar -m {SYSTEM} --filter lpar_names={NAME} -F state,rmc_state");
    stage.until(&state, "Running,active")?;
    let mem =
        format!("lshwres -r mem -m {SYSTEM} --level lpar --filter lpar_names={NAME} -F curr_mem,run_mem");
    stage.show(&mem)?;
    stage.show(&format!("chhwres -r mem -m {SYSTEM} -o a -p {NAME} -q 1024; echo $?"))?;
    stage.show(&mem).map(|_| ())
}

fn simulate(directory: &Path) -> Result<(), String> {
    const SEED: u64 = 42;
    const STEPS: u64 = 400;
    const SHOWN: usize = 14;
    const SKIPPED: usize = 150;
    let site = sites::load("demo")?;
    let (mut lines, mut losses) = (Vec::new(), 0);
    simulation::run(&site, directory, SEED, STEPS, &mut |line| {
        losses += usize::from(line.contains("power loss"));
        lines.push(line.to_owned());
    })?;
    println!("seconds step  what                               outcome   states");
    lines.iter().skip(SKIPPED).take(SHOWN).for_each(|line| println!("{line}"));
    println!(
        "... {} more lines; {STEPS} steps, {losses} losses of power, nothing lost",
        lines.len().saturating_sub(SHOWN)
    );
    println!("again: varan simulate --seed {SEED} --steps {STEPS}");
    Ok(())
}
