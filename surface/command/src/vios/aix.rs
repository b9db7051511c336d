//! Commands of AIX, as root has them beside ioscli: options of one letter.
//!
//! A name that both have (`lsdev`, `lspv`) is AIX's for root unless its options are those of ioscli.

use std::sync::Arc;

use varan_contract::vios::{DeviceQuery, Removal, ViosChange, ViosQuery};
use varan_model::vios::{Device, DeviceClass, ErrorTemplate, ViosMessage};

use super::devices::{attribute_rows, vpd};
use super::error::{Ended, refused};
use super::grammar::Parsed;
use super::invocation::{ViosInvocation, answer, by_name};
use super::listing::fitted;
use super::{disks, errors, find, grammar, network, volume_groups};

/// Commands of AIX, in order: name, letters (a colon behind those that take a word).
const COMMANDS: &[(&str, &str)] = &[
    ("arp", "an"),
    ("bootinfo", "s:"),
    ("cfgmgr", "vl:"),
    ("chdev", "l:a:PU"),
    ("chpath", "l:p:w:s:"),
    ("entstat", "drt"),
    ("errclear", "N:"),
    ("errlogger", ""),
    ("errpt", "aj:N:l:d:T:c"),
    ("getconf", ""),
    ("ifconfig", "al"),
    ("iptrace", "ai:p:s:d:bu"),
    ("lsattr", "EDHRl:a:F:"),
    ("lscfg", "vpl:"),
    ("lsdev", "CPHl:c:s:t:S:F:p:"),
    ("lslv", "lm"),
    ("lspath", "Hl:p:s:F:"),
    ("lspv", "lmp"),
    ("lsvg", "oplM"),
    ("mkdev", "l:c:s:t:p:w:a:S"),
    ("netstat", "ainrsvf:p:I:D"),
    ("oslevel", "rs"),
    ("ping", "c:s:i:I:S:nqr"),
    ("rmdev", "dl:p:RSU"),
    ("tcpdump", "i:c:w:r:s:nvxelqtXA"),
    ("vnicstat", "bdr"),
];

/// Their names.
pub(crate) const NAMES: [&str; COMMANDS.len()] = {
    let mut names = [""; COMMANDS.len()];
    let mut index = 0;
    while index < COMMANDS.len() {
        names[index] = COMMANDS[index].0;
        index += 1;
    }
    names
};

/// Whether AIX has a command of this name here.
pub(crate) fn knows(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Whether root's command line is meant as AIX's: a word with a dash that ioscli's command does not know decides, and
/// without any dash AIX does.
pub(crate) fn wants(name: &str, arguments: &[String]) -> bool {
    if !knows(name) {
        return false;
    }
    let Some(command) = find(name) else { return true };
    let mut dashed = arguments.iter().filter_map(|word| word.strip_prefix('-')).peekable();
    if dashed.peek().is_none() {
        return true;
    }
    let known = |word: &str| word == "help" || command.options.iter().any(|(option, _)| *option == word);
    !dashed.all(|word| known(word) || word.len() > 3)
}

type Letters = Vec<(char, Option<String>)>;

/// Reads letters as `getopt` does, and the words behind them.
fn read(name: &str, known: &str, arguments: &[String]) -> Result<(Letters, Vec<String>), Ended> {
    let (mut letters, mut operands) = (Vec::new(), Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) else {
            operands.push(word.clone());
            continue;
        };
        for (index, letter) in cluster.char_indices() {
            let place = known.find(letter).filter(|_| letter.is_ascii_alphabetic());
            let Some(place) = place else {
                return Err(refused(ViosMessage::OptionUnknown, format!("{name} -{letter}")).into());
            };
            if known.as_bytes().get(place + 1) != Some(&b':') {
                letters.push((letter, None));
                continue;
            }
            let rest = &cluster[index + letter.len_utf8()..];
            let value = if rest.is_empty() { words.next().cloned() } else { Some(rest.to_owned()) };
            let missing = || refused(ViosMessage::OptionValueMissing, format!("{name} -{letter}"));
            letters.push((letter, Some(value.ok_or_else(missing)?)));
            break;
        }
    }
    Ok((letters, operands))
}

struct Words {
    letters: Letters,
    operands: Vec<String>,
}

impl Words {
    fn has(&self, letter: char) -> bool {
        self.letters.iter().any(|(given, _)| *given == letter)
    }

    fn get(&self, letter: char) -> Option<&str> {
        self.letters.iter().find(|(given, _)| *given == letter).and_then(|(_, value)| value.as_deref())
    }

    fn need(&self, letter: char) -> Result<&str, Ended> {
        self.get(letter).ok_or_else(|| refused(ViosMessage::OptionMissing, format!("-{letter}")).into())
    }
}

/// Runs a command of AIX.
pub(crate) fn run(name: &str, invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    let known = COMMANDS.iter().find(|(known, _)| *known == name).map_or("", |(_, letters)| letters);
    if name == "errlogger" {
        return log(invocation);
    }
    let (letters, operands) = read(name, known, invocation.arguments)?;
    let words = Words { letters, operands };
    let changes = matches!(name, "cfgmgr" | "chdev" | "chpath" | "errclear" | "mkdev" | "rmdev");
    let status = match name {
        "lsdev" => devices(invocation, &words),
        "lsattr" => attributes(invocation, &words),
        "lscfg" => configuration(invocation, &words),
        "lspv" => physical_volumes(invocation, &words),
        "lsvg" => groups(invocation, &words),
        "lslv" => volume(invocation, &words),
        "lspath" => paths(invocation, &words),
        "errpt" => errors::report(invocation, &words.letters),
        "errclear" => clear(invocation, &words),
        "rmdev" => remove(invocation, &words),
        "mkdev" => make(invocation, &words),
        "chdev" => change(invocation, &words),
        "chpath" => change_path(invocation, &words),
        "cfgmgr" => {
            let device = words.get('l').map(by_name);
            invocation.change_silently(ViosChange::ConfigureDevices(device))
        }
        "arp" | "entstat" | "ifconfig" | "netstat" | "ping" | "vnicstat" => {
            network_command(name, invocation, &words)
        }
        "oslevel" => level(invocation),
        "bootinfo" => size(invocation, words.need('s')?),
        "getconf" => disk_size(invocation, &words),
        _ => Err(refused(ViosMessage::NotSupported, name).into()),
    }?;
    if changes && status == 0 {
        invocation.note(name);
    }
    Ok(status)
}

/// Commands of the network.
fn network_command(name: &str, invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    let has = |letter: char| words.has(letter);
    let operand = |name: &str| {
        words.operands.first().ok_or_else(|| Ended::from(refused(ViosMessage::OptionMissing, name)))
    };
    match name {
        "arp" if has('a') => network::arp(invocation, has('n')),
        "arp" => Err(refused(ViosMessage::OptionMissing, "-a").into()),
        "entstat" => {
            let device = operand("Device")?.clone();
            network::statistics(invocation, &device, has('d'), has('d'), has('r'))
        }
        "ifconfig" => network::ifconfig(invocation, has('a'), &words.operands),
        "netstat" => network::netstat(invocation, &has),
        "ping" => {
            let host = operand("Host")?.clone();
            let mut operands = words.operands.iter().skip(1).map(String::as_str);
            let size = operands.next().or(words.get('s'));
            let count = operands.next().or(words.get('c'));
            network::ping(invocation, &host, count, size, words.get('i'))
        }
        _ => network::vnic_statistics(invocation, &has, &words.operands),
    }
}

/// The location column of AIX: of a physical adapter or disk its bus, of everything else nothing.
fn bus_location(device: &Device) -> String {
    let class = device.kind.class();
    let physical = matches!(class, DeviceClass::Adapter | DeviceClass::Disk | DeviceClass::Driver);
    if device.kind.row().is_virtual || !physical {
        return String::new();
    }
    // AIX numbers buses; the place in the unit says as much: P1-C2-T1 is 02-00.
    let number = |mark: char| {
        let parts = device.location.split('-');
        let found = parts.filter_map(|part| part.strip_prefix(mark)?.parse::<u32>().ok()).next();
        found.unwrap_or(0)
    };
    let port = number('T').saturating_sub(1);
    let suffix = if class == DeviceClass::Adapter { "" } else { "-01" };
    format!("{:02}-{port:02}{suffix}", number('C'))
}

fn devices(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    if words.has('P') {
        return Err(refused(ViosMessage::NotSupported, "lsdev -P").into());
    }
    let query = match (words.get('l'), words.get('p')) {
        (Some(name), _) => DeviceQuery::One(by_name(name)),
        (None, Some(parent)) => DeviceQuery::Children(by_name(parent)),
        (None, None) => DeviceQuery::All,
    };
    let mut found = invocation.devices(query)?;
    let state = words.get('S').map(|state| match state {
        "a" | "available" => "Available",
        "d" | "defined" => "Defined",
        _ => "",
    });
    found.retain(|device| {
        let row = device.kind.row();
        words.get('c').is_none_or(|class| row.class.word() == class)
            && words.get('s').is_none_or(|subclass| row.subclass == subclass)
            && words.get('t').is_none_or(|kind| row.unique_type == kind)
            && state.is_none_or(|state| device.state.word() == state)
    });
    let columns: Vec<&str> = match words.get('F') {
        Some(format) => format.split([' ', ',', ':', ';']).filter(|word| !word.is_empty()).collect(),
        None => vec!["name", "status", "physloc", "description"],
    };
    let mut rows = Vec::new();
    for device in &found {
        let cells: Result<Vec<String>, Ended> = columns.iter().map(|column| cell(device, column)).collect();
        rows.push(cells?);
    }
    if let Some(format) = words.get('F') {
        let separator = format.chars().find(|one| !one.is_ascii_alphanumeric()).unwrap_or(' ');
        for row in rows {
            writeln!(invocation.output, "{}", row.join(&separator.to_string()))?;
        }
        return Ok(0);
    }
    if words.has('H') {
        rows.insert(0, ["name", "status", "location", "description"].map(str::to_owned).to_vec());
    }
    for row in fitted(&rows) {
        writeln!(invocation.output, "{row}")?;
    }
    Ok(0)
}

fn cell(device: &Arc<Device>, column: &str) -> Result<String, Ended> {
    let row = device.kind.row();
    Ok(match column {
        "name" => device.name.to_string(),
        "status" => device.state.word().to_owned(),
        "physloc" | "location" => bus_location(device),
        "description" => device.description().to_owned(),
        "parent" => device.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        "class" => row.class.word().to_owned(),
        "subclass" => row.subclass.to_owned(),
        "type" => row.unique_type.to_owned(),
        other => return Err(refused(ViosMessage::FieldUnknown, other).into()),
    })
}

fn attributes(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    let name = words.need('l')?;
    let mut rows = answer!(invocation, ViosQuery::Attributes(by_name(name)), Attributes);
    let given = words.letters.iter().filter(|(letter, _)| *letter == 'a');
    let wanted: Vec<&str> =
        given.filter_map(|(_, value)| value.as_deref()).flat_map(|text| text.split(',')).collect();
    if !wanted.is_empty() {
        for one in &wanted {
            if !rows.iter().any(|row| row.name == *one) {
                return Err(refused(ViosMessage::AttributeUnknown, name).with(one).into());
            }
        }
        rows.retain(|row| wanted.contains(&row.name.as_str()));
    }
    if words.has('R') {
        for value in rows.iter().flat_map(|row| &row.range) {
            writeln!(invocation.output, "{value}")?;
        }
        return Ok(0);
    }
    if let Some(format) = words.get('F') {
        for row in &rows {
            let value = |column: &str| match column {
                "attribute" => row.name.clone(),
                "value" => row.value.clone(),
                "description" => row.description.clone(),
                _ => if row.settable { "True" } else { "False" }.to_owned(),
            };
            let columns: Vec<String> = format.split([' ', ',']).map(value).collect();
            writeln!(invocation.output, "{}", columns.join(" "))?;
        }
        return Ok(0);
    }
    let mut table = attribute_rows(&rows);
    if words.has('H') {
        table.insert(0, ["attribute", "value", "description", "user_settable"].map(str::to_owned).to_vec());
    }
    for (number, row) in fitted(&table).into_iter().enumerate() {
        writeln!(invocation.output, "{row}")?;
        if number == 0 && words.has('H') {
            writeln!(invocation.output)?;
        }
    }
    Ok(0)
}

fn configuration(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    match words.get('l') {
        Some(name) => {
            let device = invocation.device(by_name(name))?;
            write!(invocation.output, "{}", vpd(&device))?;
        }
        None => {
            writeln!(invocation.output, "INSTALLED RESOURCE LIST\n")?;
            writeln!(invocation.output, "The following resources are installed on the machine.\n")?;
            for device in invocation.devices(DeviceQuery::All)? {
                writeln!(
                    invocation.output,
                    "+ {:<16} {:<49} {}",
                    device.name.as_str(),
                    device.location,
                    device.description()
                )?;
            }
        }
    }
    Ok(0)
}

fn physical_volumes(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    let name = words.operands.first().map(String::as_str);
    let volumes = disks::volumes(invocation, name)?;
    if let Some(volume) = name.and_then(|_| volumes.first()) {
        let parsed = as_ioscli("lspv", words, &[('l', "-lv"), ('m', "-map"), ('p', "-map")])?;
        return disks::describe(invocation, &parsed, volume);
    }
    for volume in &volumes {
        let pvid = volume.pvid.as_ref().map_or("none".to_owned(), ToString::to_string);
        let group = volume.volume_group.clone().unwrap_or_else(|| "None".to_owned());
        let state = if volume.volume_group.is_some() && volume.active { "active" } else { "" };
        writeln!(invocation.output, "{:<15} {pvid:<35} {group:<15} {state:<11}", volume.name.as_str())?;
    }
    Ok(0)
}

/// The same words in ioscli's grammar.
fn as_ioscli(name: &str, words: &Words, letters: &[(char, &str)]) -> Result<Parsed, Ended> {
    let mut arguments: Vec<String> = letters
        .iter()
        .filter(|(letter, _)| words.has(*letter))
        .map(|(_, option)| (*option).to_owned())
        .collect();
    arguments.extend(words.operands.iter().cloned());
    let Some(command) = find(name) else { return Ok(Parsed::default()) };
    Ok(grammar::parse(command.options, command.forms, &arguments)?)
}

fn groups(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    if words.operands.is_empty() {
        for group in answer!(invocation, ViosQuery::VolumeGroups(None), VolumeGroups) {
            if !words.has('o') || group.active {
                writeln!(invocation.output, "{}", group.name)?;
            }
        }
        return Ok(0);
    }
    let parsed = as_ioscli("lsvg", words, &[('p', "-pv"), ('l', "-lv"), ('M', "-map")])?;
    for name in &words.operands {
        volume_groups::describe_group(invocation, &parsed, name)?;
    }
    Ok(0)
}

fn volume(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    let parsed = as_ioscli("lslv", words, &[('m', "-map"), ('l', "-map")])?;
    (volume_groups::VOLUME.run)(invocation, &parsed)
}

fn paths(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    let paths = disks::paths_of(invocation, words.get('l'), words.get('p'), words.get('s'))?;
    let columns: Vec<&str> = match words.get('F') {
        Some(format) => format.split([' ', ',', ':']).filter(|word| !word.is_empty()).collect(),
        None => vec!["status", "name", "parent"],
    };
    let mut rows = Vec::new();
    if words.has('H') {
        rows.push(columns.iter().map(|column| (*column).to_owned()).collect());
    }
    for path in &paths {
        let mut row = Vec::new();
        for column in &columns {
            row.push(match *column {
                "status" => path.state.word().to_owned(),
                "name" => path.disk.to_string(),
                "parent" => path.parent.to_string(),
                "path_id" => path.number.to_string(),
                "connection" => path.connection.clone(),
                other => return Err(refused(ViosMessage::FieldUnknown, other).into()),
            });
        }
        rows.push(row);
    }
    for row in fitted(&rows) {
        writeln!(invocation.output, "{row}")?;
    }
    Ok(0)
}

fn clear(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    let [days] = words.operands.as_slice() else {
        return Err(refused(ViosMessage::OptionMissing, "Days").into());
    };
    let days = days.parse().map_err(|_| refused(ViosMessage::ArgumentInvalid, days))?;
    invocation.change_silently(ViosChange::ClearErrors { days })
}

fn log(invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    if invocation.arguments.is_empty() {
        return Err(refused(ViosMessage::OptionMissing, "Message").into());
    }
    let change = ViosChange::LogError {
        template: ErrorTemplate::OperatorNotification,
        resource: "OPERATOR".to_owned(),
        details: vec![("MESSAGE FROM ERRLOGGER COMMAND".to_owned(), invocation.arguments.join(" "))],
    };
    invocation.change_silently(change)
}

fn remove(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    let (name, children_only) = match (words.get('l'), words.get('p')) {
        (Some(name), _) => (name, false),
        (None, Some(parent)) => (parent, true),
        (None, None) => return Err(refused(ViosMessage::OptionMissing, "-l").into()),
    };
    let removal =
        Removal { recursive: words.has('R'), keep_definition: !words.has('d'), children_only, force: false };
    invocation.change_and_print(ViosChange::RemoveDevice { device: by_name(name), removal })
}

fn make(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    if words.has('c') || words.has('t') || words.has('s') {
        return Err(refused(ViosMessage::NotSupported, "mkdev -c").into());
    }
    let device = by_name(words.need('l')?);
    invocation.change_and_print(ViosChange::MakeAvailable(device))
}

fn change(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    let device = by_name(words.need('l')?);
    words.need('a')?;
    let mut attributes = Vec::new();
    for (_, value) in words.letters.iter().filter(|(letter, _)| *letter == 'a') {
        let text = value.as_deref().unwrap_or_default();
        for pair in text.split([',', ' ']).filter(|pair| !pair.is_empty()) {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| refused(ViosMessage::ArgumentInvalid, pair))?;
            attributes.push((name.to_owned(), value.to_owned()));
        }
    }
    let permanent_only = words.has('P');
    invocation.change_and_print(ViosChange::ChangeDevice { device, attributes, permanent_only })
}

fn change_path(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    let (parent, connection) = (words.get('p').map(str::to_owned), words.get('w').map(str::to_owned));
    let operation = words.need('s')?;
    disks::change_path(invocation, words.need('l')?, parent, connection, operation)
}

fn level(invocation: &mut ViosInvocation<'_>) -> Result<u8, Ended> {
    let level = invocation.identity()?.platform_level;
    writeln!(invocation.output, "{level}")?;
    Ok(0)
}

/// `bootinfo -s hdisk0`: the size of a disk in MB.
fn size(invocation: &mut ViosInvocation<'_>, name: &str) -> Result<u8, Ended> {
    for volume in disks::volumes(invocation, Some(name))? {
        writeln!(invocation.output, "{}", volume.megabytes)?;
    }
    Ok(0)
}

/// `getconf DISK_SIZE /dev/hdisk0`: the same by a path.
fn disk_size(invocation: &mut ViosInvocation<'_>, words: &Words) -> Result<u8, Ended> {
    match words.operands.as_slice() {
        [what, path] if what == "DISK_SIZE" => size(invocation, path.strip_prefix("/dev/").unwrap_or(path)),
        _ => Err(refused(ViosMessage::NotSupported, "getconf").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn root_means_aix_unless_the_options_are_those_of_ioscli() {
        for (line, aix) in [
            ("lsdev", true),
            ("lsdev -Cc disk", true),
            ("lsdev -C -c disk", true),
            ("lsdev -type adapter -field name physloc", false),
            ("lsdev -virtual", false),
            ("lsdev -dev vioslpm0 -attr", false),
            ("lsdev -bogus", false),
            ("lspv", true),
            ("lspv -size", false),
            ("lspv -l hdisk0", true),
            ("lsvg -p rootvg", true),
            ("lsvg -pv rootvg", false),
            ("rmdev -dl hdisk1", true),
            ("rmdev -dev hdisk1", false),
            ("chdev -l hdisk1 -a reserve_policy=no_reserve", true),
            ("errpt -aj 60D73419", true),
            ("lsmap -all", false),
        ] {
            let words = split(line);
            assert_eq!(wants(&words[0], &words[1..]), aix, "{line}");
        }
    }

    #[test]
    fn letters_are_read_together_and_apart() {
        let (letters, operands) = read("rmdev", "dl:R", &split("-Rdl hdisk1 x")).expect("read");
        assert_eq!(letters, [('R', None), ('d', None), ('l', Some("hdisk1".to_owned()))]);
        assert_eq!(operands, ["x"]);
        assert!(read("rmdev", "dl:R", &split("-z")).is_err() && read("rmdev", "dl:R", &split("-l")).is_err());
        assert!(read("rmdev", "dl:R", &split("-:")).is_err());
    }

    #[test]
    fn names_are_in_order() {
        assert!(NAMES.is_sorted());
    }
}
