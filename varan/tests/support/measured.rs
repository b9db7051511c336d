//! Sites of any size, made on the fly, in this process: for counting and for measuring.

#![allow(dead_code, missing_docs, reason = "each user takes its part")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use varan::frame::Layout;
use varan::site::{host_for, make_home_directories, open_console};
use varan_console::Console;
use varan_contract::system::SystemLink;
use varan_environment::Environment;
use varan_model::site::Site;
use varan_shell::{Cancellation, Capture, Channels, Input, Output, Shell};

/// Frames of every site made here.
pub const FRAMES: usize = 10;
/// Profile that a generated partition is activated with.
pub const PROFILE: &str = "default_profile";
/// The user of every site made here.
pub const USER: &str = "hscroot";
/// Name of the console.
pub const CONSOLE: &str = "myhmc";
/// Most partitions of one frame: what a site file may ask for.
const PARTITIONS_MAX: usize = 4_096;
const OUTPUT_BYTES_MAX: usize = 64 << 20;

/// Attributes of a small partition; a thousand of them fit into one frame while they run.
pub const SMALL: &str = "min_mem=256,desired_mem=1024,max_mem=2048,proc_mode=shared,min_procs=1,desired_procs=1,\
    max_procs=1,min_proc_units=0.05,desired_proc_units=0.05,max_proc_units=0.1,sharing_mode=uncap,uncap_weight=128,\
    max_virtual_slots=10,virtual_eth_adapters=2/0/1//0/0/ETHERNET0//all/none";

/// The same with four virtual Ethernet adapters.
pub const FOUR_ADAPTERS: &str = "min_mem=256,desired_mem=1024,max_mem=2048,proc_mode=shared,min_procs=1,desired_procs=1,\
    max_procs=1,min_proc_units=0.05,desired_proc_units=0.05,max_proc_units=0.1,sharing_mode=uncap,uncap_weight=128,\
    max_virtual_slots=10,\"virtual_eth_adapters=2/0/1//0/0/ETHERNET0//all/none,3/0/10//0/0/ETHERNET0//all/none,4/0/20//0/0/ETHERNET0//all/none,\"\"5/1/30/31,32/0/0/ETHERNET0//all/none\"\"\"";

/// Name of a frame, counted from 0.
pub fn frame_name(index: usize) -> String {
    format!("frame-{:02}", index + 1)
}

/// The text of a site with ten frames that hold `partitions` small partitions together, named p1, p2 ... on each.
pub fn site_text(partitions: usize, time_scale: u32, authorized_key: Option<&str>) -> String {
    let on_frame = |index: usize| partitions / FRAMES + usize::from(index < partitions % FRAMES);
    site_text_of(std::array::from_fn(on_frame), SMALL, time_scale, authorized_key)
}

/// The same with a number of partitions for each frame, all with one profile.
pub fn site_text_of(
    counts: [usize; FRAMES],
    profile: &str,
    time_scale: u32,
    authorized_key: Option<&str>,
) -> String {
    site_text_with(&[CONSOLE], counts, profile, time_scale, authorized_key)
}

/// The same with several consoles, all of which manage every frame.
pub fn site_text_with(
    consoles: &[&str],
    counts: [usize; FRAMES],
    profile: &str,
    time_scale: u32,
    authorized_key: Option<&str>,
) -> String {
    let partitions: usize = counts.iter().sum();
    let mut text = format!(
        "[site]\nname = \"figures-{partitions}\"\ntime_scale = {time_scale}.0\ndemonstration = true\n"
    );
    for console in consoles {
        let _ = writeln!(
            text,
            "\n[[console]]\nname = \"{console}\"\n\n\
             [[console.user]]\nname = \"{USER}\"\npassword = \"abc123\"\ntaskrole = \"hmcsuperadmin\""
        );
        if let Some(key) = authorized_key {
            let _ = writeln!(text, "authorized_keys = [\"{key}\"]");
        }
    }
    for (index, count) in counts.into_iter().enumerate() {
        let _ = write!(
            text,
            "\n[[managed_system]]\nname = \"{}\"\ntype_model_serial = \"9119-MHE*10F{:04}\"\n\
             processor_family = \"POWER8\"\ninstalled_processors = 64\ninstalled_memory = 2097152\n\
             firmware_level = \"01SC860_056\"\nservice_pack_name = \"FW860.10\"\n\
             maximum_partitions = {PARTITIONS_MAX}\n",
            frame_name(index),
            index + 1,
        );
        if count > 0 {
            let _ = write!(
                text,
                "\n[[managed_system.generate_partitions]]\ncount = {count}\nname = \"p{{n}}\"\nprofile = '{profile}'\n"
            );
        }
    }
    text
}

/// A site from its text.
pub fn parse(text: &str) -> Site {
    Site::parse(text, "generated").unwrap_or_else(|error| panic!("{error}"))
}

/// A directory of its own under the build's, empty; removed when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("scratch directory");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A console over links to the site's frames.
pub fn console(
    site: &Site,
    layout: &Layout,
    environment: &Arc<dyn Environment>,
    links: &[Arc<dyn SystemLink>],
) -> Arc<Console> {
    make_home_directories(&site.consoles[0], layout).expect("homes");
    open_console(site, &site.consoles[0], layout, environment, links).expect("console")
}

/// The user's shell on a console, as a script over exec has it.
pub struct UserShell(Shell);

impl UserShell {
    pub fn open(console: &Arc<Console>, layout: &Layout) -> Self {
        let homes = layout.console(&console.description().name).join("homes");
        let host = host_for(console, USER, "127.0.0.1", &homes, &varan::vios_shell::ViosServers::none())
            .expect("user");
        let home = host.home.clone();
        Self(Shell::new(Arc::new(host), home))
    }

    /// Runs a command line; what it printed and its exit status.
    pub fn run(&mut self, command: &str) -> (String, u8) {
        let cancellation = Cancellation::new();
        let capture = Capture::new(OUTPUT_BYTES_MAX);
        let output = Output::new(capture.clone(), &cancellation);
        let channels = Channels {
            input: Input::empty(),
            output: output.clone(),
            error: output,
            terminal: None,
            cancellation,
        };
        let status = self.0.run_script(command, channels);
        (String::from_utf8_lossy(&capture.take()).into_owned(), status)
    }

    /// Runs a command line that must work.
    ///
    /// # Panics
    /// When it fails.
    pub fn done(&mut self, command: &str) -> String {
        let (output, status) = self.run(command);
        assert_eq!(status, 0, "{command}: {output}");
        output
    }
}
