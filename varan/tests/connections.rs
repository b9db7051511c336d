//! Connections of consoles to managed systems, as a user of the console sees them.

#![allow(missing_docs)]

mod support;

use support::{Link, TestSite};

const SYSTEM: &str = "p814-1";

fn switch(site: &TestSite) -> std::sync::Arc<varan_console::SwitchedLink> {
    let system = site.console.find_system(SYSTEM).expect("system");
    site.console.link_switch(system.identity()).expect("switch")
}

#[test]
fn a_link_that_is_down_shows_and_changes_nothing() {
    for link in [Link::Direct, Link::Encoded] {
        let site = TestSite::start_linked("demo", &format!("link-down-{link:?}"), link);
        let mut session = site.session("hscroot");
        site.wait_partition(SYSTEM, "vios1", "Running", false).expect("running");
        let state = format!("lssyscfg -r sys -m {SYSTEM} -F state");
        let create = format!(
            "mksyscfg -r lpar -m {SYSTEM} -i name=new,profile_name=p,lpar_env=aixlinux,min_mem=256,desired_mem=256,\
             max_mem=256,proc_mode=shared,min_procs=1,desired_procs=1,max_procs=1,min_proc_units=0.1,\
             desired_proc_units=0.1,max_proc_units=0.1,sharing_mode=uncap,uncap_weight=128"
        );
        assert_eq!(session.run(&state), "Operating\n");
        assert!(switch(&site).cut());
        assert_eq!(session.run(&state), "No Connection\n");
        for refused in [&create, &format!("lssyscfg -r lpar -m {SYSTEM} -F name")] {
            let output = session.run(refused);
            assert!(output.starts_with("HSCL0001 "), "{output}");
            assert_ne!(session.status(), 0);
        }
        assert_eq!(session.run("lssyscfg -r sys -m p814-2 -F state"), "Operating\n");
        assert!(switch(&site).restore());
        assert_eq!(session.run(&state), "Operating\n");
        assert_eq!(session.run(&format!("lssyscfg -r lpar -m {SYSTEM} -F name")), "vios1\nvios2\n");
        assert_eq!(session.run(&create), "");
    }
}

#[test]
fn a_cut_closes_the_terminals_that_go_over_the_link() {
    let site = TestSite::start("demo", "link-terminal");
    site.wait_partition(SYSTEM, "vios1", "Running", false).expect("running");
    let mut session = site.session("hscroot");
    let mut dialogue = session.terminal(&format!("mkvterm -m {SYSTEM} -p vios1"));
    dialogue.expect("Open Completed.").expect("open");
    switch(&site).cut();
    dialogue.end().expect("the command ends");
    switch(&site).restore();
    let mut dialogue = session.terminal(&format!("mkvterm -m {SYSTEM} -p vios1"));
    dialogue.expect("Open Completed.").expect("open again");
}

#[test]
fn two_consoles_meet_at_the_lock_of_a_firmware_update() {
    // Slow enough for the other console to look before the update is over.
    let site = TestSite::start_scaled("two-consoles", "two-consoles-lock", Link::Direct, 2_000.0);
    let other = site.console_named("myhmc2").clone();
    site.wait_partition(SYSTEM, "vios1", "Running", false).expect("running");
    let (mut first, mut second) = (site.session("hscroot"), site.session_on(&other, "hscroot"));
    let update =
        format!("updlic -o a -t all -l latestconcurrent -m {SYSTEM} -r mountpoint -d SV830_068 -v; echo $?");
    let mut dialogue = first.terminal(&update);
    dialogue.expect("concurrently").expect("begun");
    // The lock is there from when the system has taken the update until it has ended.
    let list = format!("lslock -m {SYSTEM} -F resource_type,lpar_name,operation,hmc_name");
    let held = site.wait_until(|| second.run(&list) == "sys,null,lic,myhmc\n");
    assert!(held, "{}", second.run(&list));
    let refused = second.run(&format!("rmlock -m {SYSTEM}"));
    let ended = refused.starts_with("No operation holds a lock");
    assert!(ended || refused.contains("cannot be interrupted"), "{refused}");
    assert_ne!(second.status(), 0);
    dialogue.expect("The operation completed").expect("done");
    dialogue.end().expect("the command ends");
    assert!(site.wait_until(|| second.run(&list) == "No results were found.\n"));
}
