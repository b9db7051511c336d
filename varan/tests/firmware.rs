//! kill -9 in the middle of a firmware update leaves the old level or the new one, wholly.
//!
//! `VARAN_SEED` repeats the draws of a run; the instant of a kill is the machine's.

#![allow(missing_docs)]

mod support_process;

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use support_process::{FRAMES, Outcome, ProcessSite, Scratch, Start, Watchdog, run, seed, send};
use varan_simulator::Randomness;

/// Kills of the whole site, and of one frame's process.
const ROUNDS: u16 = 24;
const TEST_MAX: Duration = Duration::from_secs(600);
/// An update of the test's site takes about a tenth of a second.
const LATEST_KILL: Duration = Duration::from_millis(180);
const IMAGE: &[u8] = b"an image";
/// SHA-256 of [`IMAGE`].
const IMAGE_SHA256: &str = include_str!("firmware_image.sha256");

/// Puts a package of that level of release 830 or 840 into the user's home.
fn package(data: &Path, release: u16, level: u16) {
    let directory = data.join("consoles/myhmc/homes/hscroot/fw");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("directory");
    let description = format!(
        "level=01SV{release}_{level:03}\nlast_disruptive_level=48\nservice_pack_name=FW{release}.10\n\
         machines=8286-41A\nminimum_console_release=V8R8.3.0\nimage=image\nimage_sha256={}\n",
        IMAGE_SHA256.trim()
    );
    std::fs::write(directory.join("image"), IMAGE).expect("image");
    std::fs::write(directory.join("package.fwpkg"), description).expect("description");
}

fn levels(site: &ProcessSite) -> (u16, u16) {
    let line = site.done("lslic -m left -F activated_level,installed_level");
    let numbers: Vec<u16> = line.trim().split(',').map(|number| number.parse().expect("a level")).collect();
    (numbers[0], numbers[1])
}

fn rounds(test: &str, split: bool) {
    let mut random = Randomness::new(seed(test));
    let (watchdog, scratch) = (Watchdog::new(TEST_MAX), Scratch::new(test));
    let start = Start::new(&scratch, split);
    let mut site = start.up(&watchdog);
    let (mut release, mut level) = (830, 48);
    let (mut done, mut undone) = (0, 0);
    for round in 0..ROUNDS {
        // Every fourth update is a release upgrade with its power cycle.
        let upgrade = round % 4 == 3;
        let (to_release, next) = (release + u16::from(upgrade), level + 1);
        package(&start.data, to_release, next);
        let letter = if upgrade { "u" } else { "a" };
        let command = format!("updlic -o {letter} -m left -l latest -r mountpoint -d /home/hscroot/fw");
        let sockets = site.sockets();
        let client = std::thread::spawn(move || run(&sockets, &command));
        std::thread::sleep(Duration::from_micros(random.below(LATEST_KILL.as_micros() as u64)));
        if split {
            send(site.process(FRAMES[0]), Signal::KILL);
        } else {
            site.kill();
        }
        let outcome = client.join().expect("client");
        if !split {
            site = start.up(&watchdog);
        }
        site.until("lssyscfg -r sys -m left -F state", "Operating");
        let found = levels(&site);
        assert_eq!(found.0, found.1, "round {round}: {found:?} after {outcome:?}");
        assert!(found.0 == level || found.0 == next, "round {round}: {found:?} after {outcome:?}");
        match &outcome {
            Outcome::Answered(0, _) => assert_eq!(found.0, next, "round {round}: acknowledged and lost"),
            // The console asks again when the frame is back; what it says then is true.
            Outcome::Answered(_, text) if text.contains("undone") => assert_eq!(found.0, level, "{text}"),
            _ => {}
        }
        if found.0 == next {
            (release, level, done) = (to_release, next, done + 1);
        } else {
            undone += 1;
        }
    }
    println!("{test}: {done} updates done, {undone} undone");
}

#[test]
fn a_killed_site_keeps_one_level() {
    rounds("a_killed_site_keeps_one_level", false);
}

#[test]
fn a_killed_frame_keeps_one_level() {
    rounds("a_killed_frame_keeps_one_level", true);
}
