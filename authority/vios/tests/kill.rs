//! kill -9 of a server's process at any instant: what was acknowledged is there, and files and state agree.

#![allow(missing_docs)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use support::{Directory, GIB, Server, TestArray};
use varan_contract::vios::{
    BackingRequest, BackingSelector, MediumSource, ViosAnswer, ViosChange, ViosLink, ViosQuery,
};
use varan_contract::vios_network::{NetworkAnswer, NetworkChange, NetworkQuery};
use varan_model::vios::MediaAccess;

const CHILD: &str = "VARAN_VIOS_KILL_DIRECTORY";

fn medium(number: u32) -> String {
    format!("m{number}")
}

/// What the child does at each step; the last step that it said it did is done.
fn steps(number: u32) -> Vec<ViosChange> {
    let mut changes = vec![
        ViosChange::CreateMedium {
            name: medium(number),
            source: MediumSource::Blank(1),
            access: MediaAccess::ReadOnly,
        },
        ViosChange::CreateBackingDevice(BackingRequest {
            pool: Some("files".into()),
            name: Some(medium(number)),
            megabytes: Some(1),
            adapter: Some(support::name("vhost0")),
            target: None,
        }),
    ];
    if number >= 4 {
        let old = medium(number - 4);
        changes.push(ViosChange::RemoveMedium { name: old.clone(), force: true });
        let device = BackingSelector::Name(old);
        changes.push(ViosChange::RemoveBackingDevice { pool: Some("files".into()), device, keep: false });
    }
    let [.., high, low] = number.to_be_bytes();
    changes.push(ViosChange::Network(NetworkChange::AddHost {
        address: [10, 1, high, low.max(1)].into(),
        names: vec![medium(number)],
    }));
    changes
}

/// Not a test by itself: the process that is killed.
#[test]
fn child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let array = TestArray::new(0, GIB);
    let directory = Arc::new(Directory::kept(Path::new(&directory)));
    let mut server = Server::at(1, &array, directory);
    server.boot();
    if server.get().ask(ViosQuery::Repository).is_err() {
        server.done(ViosChange::CreateRepository { pool: None, megabytes: 200 });
        server.done(ViosChange::CreateFilePool { name: "files".into(), parent: None, megabytes: 512 });
    }
    let first: u32 = std::env::var("VARAN_VIOS_KILL_FIRST").expect("given").parse().expect("number");
    for number in first..first + 10_000 {
        for (index, change) in steps(number).into_iter().enumerate() {
            // A step that the last child did before it was killed is refused now.
            let _ = server.change(change);
            let mut output = std::io::stdout().lock();
            writeln!(output, "did {number} {index}").expect("written");
            output.flush().expect("flushed");
        }
    }
}

fn names(server: &Server) -> (Vec<String>, Vec<String>) {
    let media = match server.ask(ViosQuery::Repository) {
        ViosAnswer::Repository(repository) => {
            repository.media.into_iter().map(|medium| medium.name).collect()
        }
        other => panic!("{other:?}"),
    };
    let files = match server.ask(ViosQuery::BackingDevices(Some("files".into()))) {
        ViosAnswer::BackingDevices(files) => files.into_iter().map(|file| file.name).collect(),
        other => panic!("{other:?}"),
    };
    (media, files)
}

fn listed(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let seed = 42;
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = Arc::new(Directory::new());
    let mut first = 0;
    for round in 0..8 {
        let context = format!("seed {seed} round {round}");
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
            .env(CHILD, &directory.0)
            .env("VARAN_VIOS_KILL_FIRST", first.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut acknowledged = None;
        let wanted = random.usize(1..40);
        let mut seen = 0;
        while seen < wanted {
            let line = lines.next().expect("the child runs").expect("text");
            let Some(at) = line.find("did ") else { continue };
            let numbers: Vec<u32> =
                line[at + 4..].split(' ').map(|word| word.parse().expect("number")).collect();
            acknowledged = Some((numbers[0], numbers[1]));
            seen += 1;
        }
        process.kill().expect("killed");
        process.wait().expect("ended");
        // What it wrote before it died counts too.
        for line in lines.map_while(Result::ok) {
            let Some(at) = line.find("did ") else { continue };
            let numbers: Vec<u32> = line[at + 4..].split(' ').filter_map(|word| word.parse().ok()).collect();
            if let [number, index] = numbers[..] {
                acknowledged = Some((number, index));
            }
        }
        let (number, index) = acknowledged.expect("did something");
        let array = TestArray::new(0, GIB);
        let mut server = Server::at(1, &array, directory.clone());
        server.boot();
        let (media, files) = names(&server);
        let root = server.get().root_directory().to_owned();
        let mut sorted = media.clone();
        sorted.sort();
        assert_eq!(listed(&root.join("var/vio/VMLibrary")), sorted, "{context}");
        let mut sorted = files.clone();
        sorted.sort();
        assert_eq!(listed(&root.join("var/vio/storagepools/files")), sorted, "{context}");
        assert_eq!(listed(&directory.0.join("vios/staging")), [""; 0], "{context}");
        assert!(media.contains(&medium(number)), "{context}: {number} {index} {media:?}");
        assert!(index < 1 || files.contains(&medium(number)), "{context}: {number} {index} {files:?}");
        if let (Some(before), ViosAnswer::Network(NetworkAnswer::Configuration(names))) =
            (number.checked_sub(1), server.ask(ViosQuery::Network(NetworkQuery::Configuration)))
        {
            let known = names.hosts.iter().any(|(_, names)| names.contains(&medium(before)));
            assert!(known, "{context}: {before} in {:?}", names.hosts);
        }
        if number >= 4 {
            assert!(index < 2 || !media.contains(&medium(number - 4)), "{context}: {media:?}");
            assert!(index < 3 || !files.contains(&medium(number - 4)), "{context}: {files:?}");
        }
        first = number;
    }
}
