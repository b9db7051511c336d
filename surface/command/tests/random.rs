//! Random command lines: none may panic, and each ends with a status that the real console has.

mod common;

use common::World;
use varan_command::{OptionValue, commands};
use varan_environment::split_mix;

const VALUES: &[&str] = &[
    "lpar",
    "prof",
    "sys",
    "sysprof",
    "frame",
    "mem",
    "proc",
    "mempool",
    "resgroup",
    "pool",
    "on",
    "off",
    "shutdown",
    "osshutdown",
    "chkey",
    "apply",
    "save",
    "a",
    "r",
    "m",
    "s",
    "p814-1",
    "p720-1",
    "8286-41A*1000002",
    "nosuch",
    "lpar1",
    "lpar1,lpar2",
    "vios1",
    "1",
    "2",
    "0",
    "-1",
    "65535",
    "99999999999999999999",
    "0.5",
    "1.005",
    "norm",
    "sms",
    "default_profile",
    "name=lpar1,work_group_id=2",
    "name=x",
    "lpar_id=2,lpar_name=lpar1,name=default_profile",
    "\"",
    "",
    "lpar_names=lpar1",
    "lpar_ids=1,2",
    "\"lpar_names=lpar1,lpar2\",profile_names=default_profile",
    "name,state",
    "name:",
    " ",
    "é",
    "=",
    "a=b,",
    "sharing_mode=cap",
    "1:64",
    "all",
    "--header",
    "-F",
    "--immed",
];

fn word(state: &mut u64) -> String {
    VALUES[(split_mix(state) % VALUES.len() as u64) as usize].to_owned()
}

fn line(state: &mut u64) -> Vec<String> {
    let command = commands()[(split_mix(state) % commands().len() as u64) as usize];
    let mut words = vec![command.name.to_owned()];
    for _ in 0..split_mix(state) % 7 {
        let option = &command.options[(split_mix(state) % command.options.len() as u64) as usize];
        if option.name == "--help" {
            continue;
        }
        words.push(option.name.to_owned());
        match option.value {
            OptionValue::Flag => {}
            OptionValue::Word(choices) if !split_mix(state).is_multiple_of(8) => {
                words.push(choices[(split_mix(state) % choices.len() as u64) as usize].to_owned());
            }
            _ if option.name == "-m" && !split_mix(state).is_multiple_of(8) => {
                words.push("p814-1".to_owned())
            }
            _ => words.push(word(state)),
        }
    }
    words
}

#[test]
fn random_lines_end_well() {
    let seed = std::env::var("VARAN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_121);
    let world = World::small(2);
    let mut state = seed;
    let mut statuses = [0_u32; 2];
    for round in 0..9_000 {
        let words = line(&mut state);
        let (status, output) = world.run_words(&words);
        let place = format!("seed {seed}, round {round}: {words:?} gave {status}: {output}");
        assert!(status <= 1, "{place}");
        assert!(output.is_empty() && status == 0 || output.ends_with('\n'), "{place}");
        statuses[usize::from(status)] += 1;
    }
    assert!(statuses.iter().all(|count| *count > 100), "seed {seed}: {statuses:?}");
}
