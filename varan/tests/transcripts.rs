//! Recorded command dialogues in the seeds' form, run against a site of the embedded engine.
//!
//! A transcript is a text file in `tests/transcripts/`:
//!
//! ```text
//! # what it shows
//! site: demo
//! covers: P002 P084
//!
//! hscroot@myhmc:~> lssyscfg -r sys -F name,state
//! p814-1,Operating
//! ```
//!
//! The lines after a command are its whole output, standard error included. Holes in it are typed: `<number>`, `<units>`,
//! `<time>`, `<date>`, `<stamp>`, `<uuid>`, `<mac>`, `<wwpn>`, `<address>`, `<hex>`, `<os>`. Directives: `@wait SYSTEM PARTITION STATE [active]`
//! and `@wait SYSTEM STATE` wait for an event; `@user NAME [CONSOLE]` changes the user; `@file NAME` and the indented lines after it
//! write a file of the user's home; `@power-loss` cuts and restores the power of the site; `@terminal COMMAND` with
//! `@expect TEXT`, `@type TEXT`, `@end` talks to a command that has a terminal, `@meanwhile COMMAND` runs one in another
//! session and `@shows TEXT` is what it must have printed, among other things. `@server SYSTEM PARTITION` logs in to a Virtual
//! I/O Server: from there on prompts end with `$` for padmin and `#` for root, as in the seeds; `@console` comes back.
//!
//! `VARAN_TRANSCRIPTS=update cargo test -p varan --test transcripts` writes what was seen into the files, for review.

#![allow(missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use support::{Link, Session, TestSite};

/// One item of a transcript.
enum Item {
    Command { prompt: String, command: String, expected: Vec<String> },
    Directive(String),
    Other(String),
}

struct Transcript {
    path: PathBuf,
    site: String,
    covers: Vec<String>,
    items: Vec<Item>,
}

/// A prompt of a Virtual I/O Server: `$`, `#`, `vios1$`, `root@vios1:/home/padmin#`.
fn server_prompt_of(line: &str) -> Option<(&str, &str)> {
    let at = line.find(' ')?;
    let (prompt, command) = line.split_at(at + 1);
    let name = prompt.strip_suffix("$ ").or_else(|| prompt.strip_suffix("# "))?;
    let fits = name.chars().all(|one| one.is_ascii_alphanumeric() || "@:/._-*".contains(one));
    (fits && !command.is_empty()).then_some((prompt, command))
}

fn prompt_of(line: &str) -> Option<(&str, &str)> {
    let at = line.find(":~> ")?;
    let (prompt, command) = line.split_at(at + 4);
    prompt.contains('@').then_some((prompt, command))
}

fn read(path: &Path) -> Transcript {
    let text = std::fs::read_to_string(path).expect("transcript");
    let mut transcript =
        Transcript { path: path.to_owned(), site: "demo".to_owned(), covers: Vec::new(), items: Vec::new() };
    let mut on_server = false;
    for line in text.lines() {
        if line.starts_with("@server ") || line == "@console" {
            on_server = line != "@console";
        }
        if let Some(site) = line.strip_prefix("site: ") {
            transcript.site = site.trim().to_owned();
        } else if let Some(ids) = line.strip_prefix("covers: ") {
            transcript.covers.extend(ids.split_whitespace().map(str::to_owned));
        }
        let prompt = if on_server { server_prompt_of(line) } else { prompt_of(line) };
        if let Some((prompt, command)) = prompt {
            let (prompt, command) = (prompt.to_owned(), command.to_owned());
            transcript.items.push(Item::Command { prompt, command, expected: Vec::new() });
        } else if line.starts_with('@') {
            transcript.items.push(Item::Directive(line.to_owned()));
        } else if let Some(Item::Command { expected, .. }) = transcript.items.last_mut() {
            expected.push(line.to_owned());
        } else {
            transcript.items.push(Item::Other(line.to_owned()));
        }
    }
    transcript
}

fn holes() -> Vec<(&'static str, regex::Regex)> {
    let regex = |text: &str| regex::Regex::new(&format!("^{text}")).expect("regex");
    vec![
        ("<number>", regex(r"[0-9]+")),
        ("<units>", regex(r"[0-9]+\.[0-9]{1,2}")),
        ("<time>", regex(r"[0-9]{2}/[0-9]{2}/[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}")),
        ("<uuid>", regex(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")),
        ("<mac>", regex(r"[0-9a-f]{12}")),
        ("<wwpn>", regex(r"[0-9a-f]{16}")),
        ("<address>", regex(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")),
        ("<hex>", regex(r"[0-9A-Fa-f]+")),
        (
            "<date>",
            regex(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [A-Z]+ [0-9]{4}"),
        ),
        ("<stamp>", regex(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}")),
        ("<os>", regex(r"(AIX|VIOS|Linux/[A-Za-z ]+) [0-9][0-9A-Za-z. -]*")),
    ]
}

/// Whether a line matches its expectation, holes included.
fn line_matches(mut expected: &str, mut seen: &str, holes: &[(&str, regex::Regex)]) -> bool {
    loop {
        let next = holes
            .iter()
            .filter_map(|(name, regex)| Some((expected.find(name)?, name, regex)))
            .min_by_key(|found| found.0);
        let Some((at, name, regex)) = next else { return expected == seen };
        if !seen.is_char_boundary(at) || seen.len() < at || expected[..at] != seen[..at] {
            return false;
        }
        let Some(found) = regex.find(&seen[at..]) else { return false };
        expected = &expected[at + name.len()..];
        seen = &seen[at + found.end()..];
    }
}

fn trimmed(lines: &[String]) -> &[String] {
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    &lines[..end]
}

/// Runs a transcript; returns what differs, and writes the file anew when asked to.
fn run(transcript: &Transcript, update: bool, link: Link) -> Result<(), String> {
    let name = transcript.path.file_stem().expect("name").to_string_lossy().into_owned();
    let directory = match link {
        Link::Direct => name.clone(),
        Link::Encoded => format!("{name}-encoded"),
        Link::Troubled(seed) => format!("{name}-troubled-{seed}"),
    };
    let mut site = TestSite::start_linked(&transcript.site, &directory, link);
    let mut session = site.session("hscroot");
    let mut server: Option<[Session; 2]> = None;
    let holes = holes();
    let (mut written, mut differences) = (Vec::new(), Vec::new());
    let mut position = 0;
    while position < transcript.items.len() {
        match &transcript.items[position] {
            Item::Other(line) => written.push(line.clone()),
            Item::Directive(line) => {
                written.push(line.clone());
                match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                    ["@server", system, partition] => {
                        server = Some(site.server_sessions(system, partition)?);
                    }
                    ["@console"] => server = None,
                    _ => {
                        position =
                            directive(line, transcript, position, &mut site, &mut session, &mut written)?;
                    }
                }
            }
            Item::Command { prompt, command, expected } => {
                written.push(format!("{prompt}{command}"));
                let output = match &mut server {
                    Some(shells) => shells[usize::from(prompt.ends_with("# "))].run(command),
                    None => session.run(command),
                };
                let seen: Vec<String> = output.lines().map(str::to_owned).collect();
                // A blank line parts commands here, so that blank lines at an output's end do not count.
                let (expected, seen) = (trimmed(expected), trimmed(&seen));
                let same = expected.len() == seen.len()
                    && expected.iter().zip(seen).all(|(one, two)| line_matches(one, two, &holes));
                if same {
                    written.extend(expected.iter().cloned());
                } else {
                    differences.push(format!(
                        "{}\n  expected:\n    {}\n  seen:\n    {}",
                        command,
                        expected.join("\n    "),
                        seen.join("\n    ")
                    ));
                    written.extend(seen.iter().cloned());
                }
                let after_blank = matches!(transcript.items.get(position), Some(Item::Command { expected, .. }) if expected.last().is_some_and(String::is_empty));
                if after_blank {
                    written.push(String::new());
                }
            }
        }
        position += 1;
    }
    if update && !differences.is_empty() {
        std::fs::write(&transcript.path, written.join("\n") + "\n").expect("written");
        println!("{name}: {} outputs were written for review", differences.len());
        return Ok(());
    }
    if differences.is_empty() { Ok(()) } else { Err(format!("{name}:\n{}", differences.join("\n"))) }
}

fn directive(
    line: &str,
    transcript: &Transcript,
    position: usize,
    site: &mut TestSite,
    session: &mut Session,
    written: &mut Vec<String>,
) -> Result<usize, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["@wait", system, partition, rest @ ..] if !rest.is_empty() => {
            let active = rest.last() == Some(&"active");
            let state = if active { &rest[..rest.len() - 1] } else { rest };
            site.wait_partition(system, partition, &state.join(" "), active)?;
        }
        ["@wait", system, state] => site.wait_system(system, state)?,
        ["@user", user] => *session = site.session(user),
        ["@user", user, console] => *session = site.session_on(site.console_named(console), user),
        // What it prints is a number, which the transcript does not need.
        ["@fault", words @ ..] => site.fault(words).map(|_| ())?,
        ["@power-loss"] => {
            let user = session.user.clone();
            site.power_loss();
            *session = site.session(&user);
        }
        ["@file", name] => {
            let mut content = String::new();
            let mut next = position + 1;
            while let Some(Item::Other(text)) = transcript.items.get(next) {
                let Some(indented) = text.strip_prefix("    ") else { break };
                content.push_str(indented);
                content.push('\n');
                written.push(text.clone());
                next += 1;
            }
            session.write_file(name, &content);
            return Ok(next - 1);
        }
        ["@terminal", ..] => {
            let mut other = site.session(&session.user);
            return terminal(line, transcript, position, (session, &mut other), written);
        }
        _ => return Err(format!("unknown directive {line}")),
    }
    Ok(position)
}

fn terminal(
    line: &str,
    transcript: &Transcript,
    position: usize,
    (session, other): (&mut Session, &mut Session),
    written: &mut Vec<String>,
) -> Result<usize, String> {
    let mut meanwhile = String::new();
    let mut dialogue = session.terminal(line.trim_start_matches("@terminal "));
    let mut next = position + 1;
    while let Some(Item::Directive(line)) = transcript.items.get(next) {
        written.push(line.clone());
        if let Some(text) = line.strip_prefix("@expect ") {
            dialogue.expect(text)?;
        } else if let Some(text) = line.strip_prefix("@type ") {
            dialogue.type_text(text);
        } else if let Some(command) = line.strip_prefix("@meanwhile ") {
            meanwhile = other.run(command);
        } else if let Some(text) = line.strip_prefix("@shows ") {
            if !meanwhile.contains(text) {
                return Err(format!("`{text}` was not printed meanwhile, but: {meanwhile}"));
            }
        } else if line == "@end" {
            dialogue.end()?;
            return Ok(next);
        } else {
            return Err(format!("{line} within a terminal dialogue"));
        }
        next += 1;
    }
    Err("a terminal dialogue without @end".to_owned())
}

fn transcripts() -> Vec<Transcript> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("transcripts")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

#[test]
fn every_transcript_runs_as_recorded() {
    let update = std::env::var("VARAN_TRANSCRIPTS").is_ok_and(|value| value == "update");
    run_all(update, Link::Direct);
}

/// The same with frames reached over sockets: what crosses a process boundary is the same as what does not.
#[test]
fn every_transcript_runs_with_every_message_encoded() {
    run_all(false, Link::Encoded);
}

/// The same with messages lost, doubled and delayed: a request that is repeated is done once.
#[test]
fn every_transcript_runs_with_replies_lost_doubled_and_delayed() {
    let seed = std::env::var("VARAN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_101);
    println!("VARAN_SEED={seed}");
    run_all(false, Link::Troubled(seed));
}

fn run_all(update: bool, link: Link) {
    let only = std::env::var("VARAN_TRANSCRIPT").ok();
    let transcripts = transcripts();
    assert!(!transcripts.is_empty());
    let mut failures = Vec::new();
    for transcript in &transcripts {
        let name = transcript.path.file_stem().expect("name").to_string_lossy();
        // A console learns of a new name by an event, which such a link loses as well; the user asks again.
        if matches!(link, Link::Troubled(_)) && name == "profiles" {
            continue;
        }
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        if let Err(failure) = run(transcript, update, link) {
            failures.push(failure);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The seeds' passages: id and area. The file lists them with the lines of the seeds that hold them.
fn passages() -> BTreeMap<String, String> {
    include_str!("seed_passages.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        })
        .collect()
}

#[test]
fn every_passage_of_the_areas_site_and_vios_is_covered() {
    let passages = passages();
    assert_eq!(passages.len(), 240);
    let mut covered = BTreeSet::new();
    for transcript in transcripts() {
        for id in transcript.covers {
            assert!(passages.contains_key(&id), "{} is not a passage", id);
            covered.insert(id);
        }
    }
    let mut areas: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (id, area) in &passages {
        let entry = areas.entry(area).or_default();
        entry.1 += 1;
        entry.0 += usize::from(covered.contains(id));
    }
    println!("seed passages covered: {} of {}", covered.len(), passages.len());
    for (area, (done, all)) in &areas {
        println!("  {area}: {done} of {all}");
    }
    let missing: Vec<&String> = passages
        .iter()
        .filter(|(id, area)| ["site", "vios"].contains(&area.as_str()) && !covered.contains(*id))
        .map(|(id, _)| id)
        .collect();
    assert!(missing.is_empty(), "passages of the areas site and vios without a transcript: {missing:?}");
}

/// Every word of the transcripts' commands and outputs.
fn words_of_transcripts() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut add = |text: &str| {
        for word in
            text.split(|character: char| !(character.is_ascii_alphanumeric() || "_-".contains(character)))
        {
            words.insert(word.to_owned());
        }
    };
    for transcript in transcripts() {
        for item in &transcript.items {
            match item {
                Item::Command { command, expected, .. } => {
                    add(command);
                    expected.iter().for_each(|line| add(line));
                }
                Item::Directive(line) | Item::Other(line) => add(line),
            }
        }
    }
    words
}

#[test]
fn every_command_option_and_attribute_appears_in_a_transcript() {
    let words = words_of_transcripts();
    let mut missing = Vec::new();
    let coverage = varan_command::coverage(varan_model::attributes::Release(8, 8, 6, 0));
    let mut check = |owner: &str, name: &str| {
        if !words.contains(name) {
            missing.push(format!("{owner}:{name}"));
        }
    };
    for command in &coverage.commands {
        check("command", command.name);
        command.options.iter().for_each(|option| check(command.name, option));
        for (_, names) in command.filters.iter().chain(&command.attributes) {
            names.iter().for_each(|name| check(command.name, name));
        }
    }
    for command in varan_command::vios::commands() {
        check("ioscli", command.name);
        command.options.iter().for_each(|(option, _)| check(command.name, &format!("-{option}")));
    }
    assert!(missing.is_empty(), "in no transcript: {}", missing.join(" "));
}

#[test]
fn holes_match_only_their_type() {
    let holes = holes();
    assert!(line_matches("a=<number>,b=<mac>", "a=12,b=fa0102030405", &holes));
    assert!(!line_matches("a=<number>,b=<mac>", "a=x,b=fa0102030405", &holes));
    assert!(!line_matches("a=<number>", "a=12x", &holes));
    assert!(!line_matches("abc", "abcd", &holes));
}
