//! The tables of the API against what recorded answers of real consoles hold: names, order, attributes.

#![allow(missing_docs)]

use std::collections::HashMap;

use varan_rest::{Outline, outline};

#[derive(Debug)]
struct Recorded {
    path: String,
    behaviour: String,
    shape: String,
    volatile: bool,
    since: Option<String>,
    group: Option<String>,
}

/// The recorded lines of each type, in their order.
fn recorded() -> HashMap<String, Vec<Recorded>> {
    let mut found: HashMap<String, Vec<Recorded>> = HashMap::new();
    let (mut kind, mut path) = (String::new(), Vec::new());
    for line in include_str!("recorded_elements.txt").lines().filter(|line| !line.starts_with('#')) {
        let depth = (line.len() - line.trim_start().len()) / 2;
        let mut words = line.split_whitespace();
        let name = words.next().expect("a name").trim_end_matches('*').to_owned();
        if depth == 0 {
            (kind, path) = (name, Vec::new());
            continue;
        }
        path.truncate(depth - 1);
        path.push(name);
        let (behaviour, shape) = (words.next().expect("kb"), words.next().expect("a shape"));
        let rest: Vec<&str> = words.collect();
        let value = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key)).map(str::to_owned);
        found.entry(kind.clone()).or_default().push(Recorded {
            path: path.join("/"),
            behaviour: behaviour.trim_start_matches('-').to_owned(),
            shape: shape.to_owned(),
            volatile: rest.contains(&"volatile"),
            since: value("since="),
            group: value("group="),
        });
    }
    found
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn differences(line: &Outline, known: &Recorded) -> Vec<String> {
    let mut wrong = Vec::new();
    if known.behaviour != "?" && known.behaviour != line.behaviour {
        wrong.push(format!("kb {} instead of {}", line.behaviour, known.behaviour));
    }
    if known.volatile != line.volatile {
        wrong.push(format!("kxe {} instead of {}", line.volatile, known.volatile));
    }
    if known.since != line.since {
        wrong.push(format!("ksv {:?} instead of {:?}", line.since, known.since));
    }
    if known.group.as_deref() != line.group {
        wrong.push(format!("group {:?} instead of {:?}", line.group, known.group));
    }
    if (known.shape == "section") != line.complex {
        wrong.push(format!("{} although recorded as {}", line.complex, known.shape));
    }
    wrong
}

#[test]
fn tables_have_the_names_order_and_attributes_of_recorded_answers() {
    let recorded = recorded();
    let mut wrong = Vec::new();
    for (kind, lines) in outline() {
        let own = &recorded[kind];
        // Both kinds of partition share a table; an element that only clients have is left out of a server's document.
        let shared = if kind == "VirtualIOServer" { recorded["LogicalPartition"].as_slice() } else { &[] };
        let mut last: HashMap<&str, usize> = HashMap::new();
        for line in &lines {
            let Some(place) = own.iter().position(|known| known.path == line.path) else {
                if !shared.iter().any(|known| known.path == line.path) {
                    wrong.push(format!("{kind}: {} is not recorded", line.path));
                }
                continue;
            };
            wrong.extend(
                differences(line, &own[place]).iter().map(|one| format!("{kind}: {}: {one}", line.path)),
            );
            let before = last.insert(parent(&line.path), place);
            if let Some(before) = before.filter(|before| *before > place) {
                wrong.push(format!("{kind}: {} stands after {}", line.path, own[before].path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_type_of_the_list_has_a_table() {
    let tables: Vec<&str> = outline().into_iter().map(|(kind, _)| kind).collect();
    for kind in recorded().keys() {
        assert!(tables.contains(&kind.as_str()), "{kind}");
    }
}
