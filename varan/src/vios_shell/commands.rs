//! Commands of a server that work with its files: mounts and images, and `uname`.

use std::io::Write;
use std::sync::Arc;

use varan_contract::vios::ViosChange;
use varan_shell::{FileError, FileKind, FileTree, Streams, TreePath};

use super::files::Mount;
use super::host::ViosHost;
use super::image::{ImageTree, image_of};

/// Where media of the repository are.
const LIBRARY: &str = "/var/vio/VMLibrary";
/// Where `mkdvd` puts images.
const IMAGES: &str = "/mkcd/cd_images";

/// Runs a command.
pub(super) type Run = fn(&ViosHost, &[String], &Streams<'_>) -> u8;

/// Commands, and whether padmin has them too.
const COMMANDS: &[(&str, bool, Run)] = &[
    ("loopmount", true, loop_mount),
    ("loopumount", true, loop_unmount),
    ("mkcd", false, make_image),
    ("mkdvd", false, make_image),
    ("mount", true, mount),
    ("su", false, switch_user),
    ("sync", true, |_, _, _| 0),
    ("umount", true, unmount),
    ("uname", true, system_name),
    ("unmount", true, unmount),
];

/// The command of that name for root or padmin.
pub(super) fn find(name: &str, root: bool) -> Option<Run> {
    let found = COMMANDS.iter().find(|(known, padmin, _)| *known == name && (root || *padmin))?;
    Some(found.2)
}

/// Names for root or padmin.
pub(super) fn names(root: bool) -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().filter(move |(_, padmin, _)| root || *padmin).map(|(name, _, _)| *name)
}

/// Says what is wrong, and ends with a status.
fn complain(streams: &Streams<'_>, status: u8, text: impl std::fmt::Display) -> u8 {
    let mut errors = streams.error;
    // A message that nobody reads changes nothing.
    let _ = writeln!(errors, "{text}");
    status
}

fn print(streams: &Streams<'_>, text: &str) -> u8 {
    u8::from(streams.output.write_bytes(text.as_bytes()).is_err())
}

/// Letters with the words behind them, and the other words.
type Words<'a> = (Vec<(char, &'a str)>, Vec<&'a str>);

/// Letters with or without a word behind them, and the other words. `None` for a letter that is not known.
fn letters<'a>(known: &str, arguments: &'a [String]) -> Option<Words<'a>> {
    let (mut given, mut operands) = (Vec::new(), Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) else {
            operands.push(word.as_str());
            continue;
        };
        for (index, letter) in cluster.char_indices() {
            let place = known.find(letter).filter(|_| letter.is_ascii_alphabetic())?;
            if known.as_bytes().get(place + 1) != Some(&b':') {
                given.push((letter, ""));
                continue;
            }
            let rest = &cluster[index + letter.len_utf8()..];
            given.push((letter, if rest.is_empty() { words.next()?.as_str() } else { rest }));
            break;
        }
    }
    Some((given, operands))
}

fn value<'a>(given: &[(char, &'a str)], letter: char) -> Option<&'a str> {
    given.iter().find(|(known, _)| *known == letter).map(|(_, value)| *value)
}

/// `loopmount -i image [-o "-V cdrfs -o ro"] -m directory`. A name without a directory that is not here is a medium.
fn loop_mount(host: &ViosHost, arguments: &[String], streams: &Streams<'_>) -> u8 {
    let usage = "Usage: loopmount {-l loopdev | -i imagefile} [-o mount options] -m mountpoint";
    let Some((given, operands)) = letters("i:o:m:l:", arguments) else {
        return complain(streams, 1, usage);
    };
    let (Some(image), Some(point), []) = (value(&given, 'i'), value(&given, 'm'), operands.as_slice()) else {
        return complain(streams, 1, usage);
    };
    let options = value(&given, 'o').unwrap_or("-V cdrfs -o ro");
    if !options.contains("cdrfs") || !options.split([' ', ',']).any(|word| word == "ro") {
        return complain(streams, 1, "loopmount: only -o \"-V cdrfs -o ro\" is supported");
    }
    match mount_image(host, streams, image, point) {
        Ok(()) => 0,
        Err((what, error)) => complain(streams, 1, format!("loopmount: {what}: {}", error.in_words_of_aix())),
    }
}

fn mount_image(
    host: &ViosHost,
    streams: &Streams<'_>,
    image: &str,
    point: &str,
) -> Result<(), (String, FileError)> {
    let named = |name: &str| {
        let name = name.to_owned();
        move |error: FileError| (name, error)
    };
    let directory = host.directory(streams);
    let point = TreePath::resolve(&directory, point).map_err(named(point))?;
    match host.files().metadata(&point).map_err(named(point.as_str()))?.kind {
        FileKind::Directory => {}
        _ => return Err((point.to_string(), FileError::NotDirectory)),
    }
    let mut source = TreePath::resolve(&directory, image).map_err(named(image))?;
    if !image.contains('/') && host.files().metadata(&source).is_err() {
        source = TreePath::resolve(&TreePath::root(), &format!("{LIBRARY}/{image}")).map_err(named(image))?;
    }
    let size = host.files().metadata(&source).map_err(named(image))?.size;
    let file = host.files().host_file(&source).map_err(named(image))?;
    let tree = ImageTree::open(file).map_err(named(image))?;
    let mount = Mount {
        source: "/dev/loop0".to_owned(),
        directory: point.clone(),
        kind: "cdrfs".to_owned(),
        options: "ro".to_owned(),
        since: host.server().environment.wall_clock().seconds(),
        tree: Arc::new(tree),
        size,
    };
    host.files().server().mount(mount).map_err(named(point.as_str()))
}

/// `loopumount -m directory`, `loopumount -l loop0`.
fn loop_unmount(host: &ViosHost, arguments: &[String], streams: &Streams<'_>) -> u8 {
    let parsed = letters("l:m:", arguments);
    let name = parsed.as_ref().and_then(|(given, _)| value(given, 'm').or_else(|| value(given, 'l')));
    match name {
        Some(name) => unmount(host, &[name.to_owned()], streams),
        None => complain(streams, 1, "Usage: loopumount [-l loopdev] -m mountpoint"),
    }
}

/// `umount directory`.
fn unmount(host: &ViosHost, arguments: &[String], streams: &Streams<'_>) -> u8 {
    let names: Vec<&String> = arguments.iter().filter(|word| *word != "-f").collect();
    let [name] = names.as_slice() else {
        return complain(streams, 1, "Usage: umount [-f] directory");
    };
    let resolved = TreePath::resolve(&host.directory(streams), name);
    let path = resolved.map_or_else(|_| (*name).clone(), |path| path.to_string());
    let server = host.files().server();
    match server.unmount(&path).or_else(|_| server.unmount(name)) {
        Ok(()) => 0,
        Err(_) => complain(streams, 1, format!("umount: 0506-347 Cannot find anything to unmount: {name}")),
    }
}

/// `mount` lists; mounting from other hosts needs a network that this server does not have.
fn mount(host: &ViosHost, arguments: &[String], streams: &Streams<'_>) -> u8 {
    if !arguments.is_empty() {
        return complain(streams, 1, "mount: only images can be mounted at this level: see loopmount");
    }
    let mut text = String::from(
        "  node       mounted        mounted over    vfs       date        options      \n\
         -------- ---------------  ---------------  ------ ------------ --------------- \n",
    );
    let mut row = |source: &str, over: &str, kind: &str, since: i64, options: &str| {
        let date = date(host, since);
        text.push_str(&format!("{:<8} {source:<16} {over:<16} {kind:<6} {date} {options}\n", ""));
    };
    row("/dev/hd4", "/", "jfs2", 0, "rw,log=/dev/hd8");
    for mount in host.files().server().mounts() {
        row(&mount.source, mount.directory.as_str(), &mount.kind, mount.since, &mount.options);
    }
    print(streams, &text)
}

/// `Nov 21 20:20`; the start of the epoch for what was always there.
fn date(host: &ViosHost, seconds: i64) -> String {
    let mut clock = varan_shell::CommandHost::wall_clock(host);
    clock.unix_seconds = seconds;
    varan_shell::formatted_time(&clock, "%b %d %H:%M")
}

/// `uname`: the operating system below the server.
fn system_name(host: &ViosHost, arguments: &[String], streams: &Streams<'_>) -> u8 {
    let Some((given, operands)) = letters("amnprsvxMLF", arguments) else {
        return complain(streams, 1, "Usage: uname [-S Name] [-alnmMprsvuxLTW]");
    };
    if !operands.is_empty() {
        return complain(streams, 1, "Usage: uname [-S Name] [-alnmMprsvuxLTW]");
    }
    let identity = match host.server().identity() {
        Ok(identity) => identity,
        Err(reason) => return complain(streams, 1, reason),
    };
    let mut level = identity.platform_level.split('.');
    let (version, release) = (level.next().unwrap_or("6"), level.next().unwrap_or("1"));
    let machine = varan_command::vios::machine_id(&identity);
    let wanted: Vec<char> = given.iter().map(|(letter, _)| *letter).collect();
    let has = |letter: char| wanted.contains(&letter) || wanted.contains(&'a') && "snrvm".contains(letter);
    let mut words = Vec::new();
    if has('s') || wanted.is_empty() {
        words.push("AIX".to_owned());
    }
    if has('n') {
        words.push(identity.hostname.clone());
    }
    if has('r') {
        words.push(release.to_owned());
    }
    if has('v') {
        words.push(version.to_owned());
    }
    if has('m') {
        words.push(machine);
    }
    if has('p') {
        words.push("powerpc".to_owned());
    }
    if has('M') {
        words.push(format!("IBM,{}", identity.machine.to_string().split('*').next().unwrap_or_default()));
    }
    if has('L') {
        words.push(format!("{} {}", identity.partition_id, identity.partition_name));
    }
    if has('F') || has('x') {
        words.push(identity.machine.to_string());
    }
    print(streams, &format!("{}\n", words.join(" ")))
}

/// `su - padmin -c "commands"`: root works as padmin.
fn switch_user(host: &ViosHost, arguments: &[String], streams: &Streams<'_>) -> u8 {
    let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| *word != "-").collect();
    let ["padmin", "-c", script] = words.as_slice() else {
        return complain(streams, 1, "Usage: su - padmin -c Commands");
    };
    let padmin = match ViosHost::open(host.server(), false) {
        Ok(padmin) => padmin,
        Err(reason) => return complain(streams, 1, reason),
    };
    let channels = varan_shell::Channels {
        input: streams.input.clone(),
        output: streams.output.clone(),
        error: streams.error.clone(),
        terminal: None,
        cancellation: streams.cancellation.clone(),
    };
    padmin.shell().run_script(script, channels)
}

/// `mkdvd -r directory -S`: an image of a directory, kept in `/mkcd/cd_images`.
fn make_image(host: &ViosHost, arguments: &[String], streams: &Streams<'_>) -> u8 {
    let usage = "Usage: mkdvd -r Directory -S [-I Directory]";
    let Some((given, operands)) = letters("r:SI:", arguments) else { return complain(streams, 1, usage) };
    let (Some(source), []) = (value(&given, 'r'), operands.as_slice()) else {
        return complain(streams, 1, usage);
    };
    if value(&given, 'S').is_none() {
        return complain(streams, 1, "mkdvd: there is no drive that writes: only -S is supported");
    }
    let shown = value(&given, 'I').unwrap_or(IMAGES);
    let head = "Initializing mkdvd log: /var/adm/ras/mkcd.log...\nVerifying command parameters...\n";
    print(streams, head);
    let result = write_image(host, streams, source, shown);
    match result {
        Ok(()) => 0,
        Err((what, error)) => {
            complain(streams, 1, format!("0512-321 mkdvd: {what}: {}", error.in_words_of_aix()))
        }
    }
}

fn write_image(
    host: &ViosHost,
    streams: &Streams<'_>,
    source: &str,
    images: &str,
) -> Result<(), (String, FileError)> {
    let named = |name: &str| {
        let name = name.to_owned();
        move |error: FileError| (name, error)
    };
    let (files, directory) = (host.files(), host.directory(streams));
    let source_path = TreePath::resolve(&directory, source).map_err(named(source))?;
    match files.metadata(&source_path).map_err(named(source))?.kind {
        FileKind::Directory => {}
        _ => return Err((source.to_owned(), FileError::NotDirectory)),
    }
    let images = TreePath::resolve(&directory, images).map_err(named(images))?;
    if files.metadata(&images) == Err(FileError::NotFound) {
        files.make_directory(&images).map_err(named(images.as_str()))?;
    }
    print(streams, &format!("Creating temporary file system: {images}...\n"));
    // The number of a process on the real thing.
    let number = host.server().environment.random() % 90_000_000 + 10_000_000;
    let target = images.join(&format!("cd_image_{number}"));
    print(streams, &format!("Creating Rock Ridge format image: {target}\nRunning mkisofs ...\n"));
    let image = image_of(files, &source_path).map_err(named(source))?;
    let mut writer = files.create(&target, false).map_err(named(target.as_str()))?;
    let written = writer.write_all(&image).and_then(|()| writer.flush());
    drop(writer);
    if written.is_err() {
        // What was written so far is no image.
        let _ = files.remove(&target, false);
        return Err((target.to_string(), FileError::NoSpace));
    }
    log(host, &target);
    print(streams, "mkrr_fs was successful.\n");
    Ok(())
}

/// Appends to the log that the command names.
fn log(host: &ViosHost, target: &TreePath) {
    let Ok(path) = TreePath::resolve(&TreePath::root(), "/var/adm/ras/mkcd.log") else { return };
    let Ok(mut writer) = host.files().create(&path, true) else { return };
    let now = host.server().environment.wall_clock().seconds();
    let _ = writeln!(writer, "{} {target} was made", date(host, now));
    let _ = host.server().link.change(
        host.server().request_id(),
        ViosChange::LogCommand { user: "root".to_owned(), command: format!("mkdvd {target}") },
    );
}
