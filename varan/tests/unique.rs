//! Names that are unique in the world, asked for at the same time on two consoles and several systems.

#![allow(missing_docs)]

mod support;

use std::sync::Barrier;

use support::{Link, TestSite};

const ROUNDS: usize = 12;

fn create(system: &str, name: &str, address: &str) -> String {
    format!(
        "mksyscfg -r lpar -m {system} -i \"name={name},profile_name=normal,lpar_env=aixlinux,min_mem=256,desired_mem=256,max_mem=256,proc_mode=shared,sharing_mode=cap,min_procs=1,desired_procs=1,max_procs=1,min_proc_units=0.1,desired_proc_units=0.1,max_proc_units=0.1,virtual_eth_adapters=2/0/1//0/0/ETHERNET0/{address}/all/none\""
    )
}

fn race(link: Link, test: &str) {
    let site = TestSite::start_linked("demo", test, link);
    let second = site.second_console();
    let lanes =
        [("p814-1", &site.console), ("p814-2", &second), ("p814-1", &second), ("p720-1", &site.console)];
    let barrier = Barrier::new(lanes.len());
    let outputs: Vec<Vec<String>> = std::thread::scope(|scope| {
        let run = |(lane, (system, console)): (usize, (&'static str, _))| {
            let (site, barrier) = (&site, &barrier);
            scope.spawn(move || {
                let mut session = site.session_on(console, "hscroot");
                let mut outputs = Vec::new();
                for round in 0..ROUNDS {
                    barrier.wait();
                    let command =
                        create(system, &format!("r{round}l{lane}"), &format!("0a00000000{round:02x}"));
                    outputs.push(session.run(&command));
                }
                outputs
            })
        };
        let threads: Vec<_> = lanes.into_iter().enumerate().map(run).collect();
        threads.into_iter().map(|thread| thread.join().expect("lane")).collect()
    });
    let mut winners = 0;
    for round in 0..ROUNDS {
        let won = outputs.iter().filter(|lane| lane[round].is_empty()).count();
        assert!(won <= 1, "round {round}: {:?}", outputs.iter().map(|lane| &lane[round]).collect::<Vec<_>>());
        winners += won;
        for refused in outputs.iter().map(|lane| &lane[round]).filter(|text| !text.is_empty()) {
            assert!(refused.contains("HSCL0564"), "{refused}");
        }
        let held: usize = site
            .frames
            .iter()
            .map(|frame| {
                let snapshot = frame.snapshot();
                let names = (0..lanes.len()).map(|lane| format!("r{round}l{lane}"));
                names.filter(|name| snapshot.names.get(name).is_some()).count()
            })
            .sum();
        assert_eq!(held, won, "round {round}");
    }
    assert_eq!(winners, ROUNDS, "of two who meet at the first system one goes on");
}

#[test]
fn one_of_several_consoles_and_systems_gets_an_address() {
    race(Link::Direct, "unique-direct");
}

#[test]
fn over_sockets_as_well() {
    race(Link::Encoded, "unique-encoded");
}

#[test]
fn a_new_name_of_a_system_stays_after_a_restart() {
    let mut site = TestSite::start("demo", "unique-name");
    let mut session = site.session("hscroot");
    assert_eq!(session.run("chsyscfg -r sys -m p814-1 -i new_name=box"), "");
    site.power_loss();
    let mut session = site.session("hscroot");
    assert!(session.run("lssyscfg -r sys -m p814-1 -F name").starts_with("HSCL8003"));
    assert_eq!(session.run("lssyscfg -r sys -m box -F name,type_model,serial_num"), "box,8286-41A,2166661\n");
}
