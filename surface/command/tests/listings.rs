//! Listings against the seeds and captured lines.

mod common;

use std::sync::atomic::Ordering;

use common::{World, hardware, partition};
use varan_command::{coverage, manual, usage};
use varan_console::TaskRole;
use varan_model::attributes::Release;
use varan_model::hardware::ProcessorFamily;
use varan_model::partition::{PartitionState, RmcState};
use varan_model::system::SystemState;

/// The answer of seed passage P201.
const P201: &str = r#"name=default_profile,lpar_name=temp3-b642c120-00000133,lpar_id=11,lpar_env=aixlinux,all_resources=0,min_mem=8192,desired_mem=8192,max_mem=8192,min_num_huge_pages=0,desired_num_huge_pages=0,max_num_huge_pages=0,mem_mode=ded,mem_expansion=0.0,hpt_ratio=1:128,proc_mode=shared,min_proc_units=2.0,desired_proc_units=2.0,max_proc_units=2.0,min_procs=4,desired_procs=4,max_procs=4,sharing_mode=uncap,uncap_weight=128,shared_proc_pool_id=0,shared_proc_pool_name=DefaultPool,affinity_group_id=none,io_slots=none,lpar_io_pool_ids=none,max_virtual_slots=64,"virtual_serial_adapters=0/server/1/any//any/1,1/server/1/any//any/1",virtual_scsi_adapters=3/client/2/s00ia9927560/32/0,virtual_eth_adapters=32/0/1659//0/0/vdct/facc157c3e20/all/0,virtual_eth_vsi_profiles=none,"virtual_fc_adapters=""2/client/1/s00ia9927559/32/c050760727c5007a,c050760727c5007b/0"",""4/client/1/s00ia9927559/35/c050760727c5007c,c050760727c5007d/0"",""5/client/2/s00ia9927560/34/c050760727c5007e,c050760727c5007f/0"",""6/client/2/s00ia9927560/35/c050760727c50080,c050760727c50081/0""",vtpm_adapters=none,hca_adapters=none,boot_mode=norm,conn_monitoring=1,auto_start=0,power_ctrl_lpar_ids=none,work_group_id=none,redundant_err_path_reporting=0,bsr_arrays=0,lpar_proc_compat_mode=default,electronic_err_reporting=null,sriov_eth_logical_ports=none
"#;

/// Seed passage P204.
const P204: &str = r#"mksyscfg -r lpar -m s00ka9927558-9117-MMD-658B2AD -i 'name=temp3-b642c120-00000133,profile_name=default_profile,remote_restart_capable=1,lpar_id=11,lpar_env=aixlinux,all_resources=0,min_mem=8192,desired_mem=8192,max_mem=8192,min_num_huge_pages=0,desired_num_huge_pages=0,max_num_huge_pages=0,mem_mode=ded,mem_expansion=0.0,hpt_ratio=1:128,proc_mode=shared,min_proc_units=2.0,desired_proc_units=2.0,max_proc_units=2.0,min_procs=4,desired_procs=4,max_procs=4,sharing_mode=uncap,uncap_weight=128,shared_proc_pool_name=DefaultPool,affinity_group_id=none,io_slots=none,lpar_io_pool_ids=none,max_virtual_slots=64,"virtual_serial_adapters=0/server/1/any//any/1,1/server/1/any//any/1",virtual_scsi_adapters=3/client/2/s00ia9927560/32/0,virtual_eth_adapters=32/0/1659//0/0/vdct/facc157c3e20/all/0,virtual_eth_vsi_profiles=none,"virtual_fc_adapters=""2/client/1/s00ia9927559/32/c050760727c5007a,c050760727c5007b/0"",""4/client/1/s00ia9927559/35/c050760727c5007c,c050760727c5007d/0"",""5/client/2/s00ia9927560/34/c050760727c5007e,c050760727c5007f/0"",""6/client/2/s00ia9927560/35/c050760727c50080,c050760727c50081/0""",vtpm_adapters=none,hca_adapters=none,boot_mode=norm,conn_monitoring=1,auto_start=0,power_ctrl_lpar_ids=none,work_group_id=none,redundant_err_path_reporting=0,bsr_arrays=0,lpar_proc_compat_mode=default,sriov_eth_logical_ports=none'"#;

#[test]
fn the_seeds_profile_is_listed_as_it_was_created() {
    let name = "s00ka9927558-9117-MMD-658B2AD";
    let mut machine = hardware(name, "9117-MMD*658B2AD", ProcessorFamily::Power7Plus, "01AM780_056");
    machine.aliases = vec!["source-server".to_owned()];
    let world = World::new(vec![machine]);
    for (id, server) in [(1, "s00ia9927559"), (2, "s00ia9927560")] {
        let record = partition(server).replace("aixlinux", "vioserver");
        world.ok(&format!("mksyscfg -r lpar -m {name} -i '{record},lpar_id={id}'"), "");
    }
    world.ok(P204, "");
    let list = format!(r#"lssyscfg -r prof -m {name} --filter "lpar_names=temp3-b642c120-00000133""#);
    world.ok(&list, P201);
    world.ok("lssyscfg -r prof -m 9117-MMD*658B2AD --filter lpar_ids=11,profile_names=default_profile -F name,lpar_id --header", "name,lpar_id\ndefault_profile,11\n");
    world.ok(
        &format!("lssyscfg -r lpar -m {name} -F name,remote_restart_capable"),
        "s00ia9927559,0\ns00ia9927560,0\ntemp3-b642c120-00000133,1\n",
    );
    let text = "The managed system does not support changing the remote restart capability of a partition. You must delete the partition and recreate it with the desired remote restart capability.";
    let change = format!("chsyscfg -r lpar -m {name} -i name=s00ia9927559,remote_restart_capable=1");
    let (status, output) = world.run(&change);
    assert_eq!(status, 1);
    assert_eq!(
        output,
        format!("An error occurred while changing the partition named s00ia9927559.\n{text}\n")
    );
    world.ok("rmsyscfg -r lpar -m source-server -n temp3-b642c120-00000133", "");
    world.refused(&list, "HSCL8012 The partition named temp3-b642c120-00000133 was not found.  Please check your entry and retry the command.");
}

#[test]
fn lshmc_prints_what_the_seed_shows() {
    let world = World::new(Vec::new());
    world.ok(
        "lshmc -V",
        "\"version= Version: 8\n Release: 8.6.0\n Service Pack: 0\nHMC Build level 20161101.1\nMH01655: Required fix for HMC V8R8.6.0 (11-01-2016)\n\",\"base_version=V8R8.6.0\n\"\n",
    );
    world.ok(
        "lshmc -n -F hostname,domain,ipaddr --header",
        "hostname,domain,ipaddr\nmyhmc,domain.test,127.0.0.1\n",
    );
    world.ok("lshmc -r -F ssh:sshprotocol", "enable:2\n");
    world.ok("lshmc -l", "locale=en_US\n");
    assert!(world.run("lshmc -v").1.contains("*SE 1234567\n"));
    world.refused("lshmc -V -r", "The parameters -r, -V cannot be specified together.");
    world.refused(
        "lshmc",
        "invalid value are -b or -D or -l or -L or -n or -r or -v or -V or --netroute or --ntpserver or --syslog.",
    );
    world.refused("lshmc -e", "lshmc -e is not supported at this level.");
}

#[test]
fn systems_are_listed_in_the_order_of_their_connection() {
    let world = World::small(0);
    world.ok("lssyscfg -r sys -F name,state", "p720-1,Operating\np814-1,Operating\n");
    *world.systems[1].state.lock().expect("lock") = SystemState::PowerOff;
    world.ok("lssyscfg -r sys -F name,state", "p720-1,Operating\np814-1,Power Off\n");
    world
        .ok("lssyscfg -r sys -F name,powervm_lpar_simplified_remote_restart_capable", "p720-1,0\np814-1,1\n");
    world.ok(
        "lssyscfg -r sys -m p720-1 -F name:type_model:serial_num:ipaddr:sys_time --header",
        "name:type_model:serial_num:ipaddr:sys_time\np720-1:8202-E4D:1000001:10.0.0.1:\"10/01/2026 03:43:04\"\n",
    );
    let line = world.run("lssyscfg -r sys -m 8202-E4D*1000001").1;
    assert!(
        line.starts_with("name=p720-1,type_model=8202-E4D,serial_num=1000001,ipaddr=10.0.0.1,"),
        "{line}"
    );
    world.systems[0].connected.store(false, Ordering::SeqCst);
    world.ok("lssyscfg -r sys -F name,state", "p720-1,No Connection\np814-1,Power Off\n");
    world.refused(
        "lssyscfg -r lpar -m p720-1",
        "HSCL0001 The management console has no connection to managed system p720-1.",
    );
    world.refused("lshwres -r mem -m p720-1 --level sys", "HSCL0001");
    world.refused("chsysstate -r sys -m p720-1 -o off --immed", "HSCL0001");
    world.ok(
        "lssysconn -r all -F type_model_serial_num,state",
        "8202-E4D*1000001,No Connection\n8286-41A*1000002,Connected\n",
    );
}

#[test]
fn a_space_is_a_delimiter_and_quotes_what_has_one() {
    let world = World::small(1);
    world.ok(
        "lssyscfg -r lpar -m p814-1 --filter lpar_names=lpar1 -F 'name state'",
        "lpar1 \"Not Activated\"\n",
    );
    world.ok(
        "lssyscfg -r lpar -m p814-1 --filter lpar_ids=2 -F name,lpar_id,state,rmc_state --header",
        "name,lpar_id,state,rmc_state\nlpar1,2,Not Activated,inactive\n",
    );
}

#[test]
fn filters_choose_and_refuse() {
    let world = World::small(3);
    let names = |filter: &str| world.run(&format!("lssyscfg -r lpar -m p814-1 --filter {filter} -F name")).1;
    assert_eq!(names(r#""lpar_names=lpar1,lpar3""#), "lpar1\nlpar3\n");
    assert_eq!(names(r#""\"lpar_names=lpar3,lpar1\"""#), "lpar3\nlpar1\n");
    assert_eq!(names("lpar_ids=1"), "vios1\n");
    assert_eq!(names("work_groups=none"), "vios1\nlpar1\nlpar2\nlpar3\n");
    assert_eq!(names("work_groups=7"), "No results were found.\n");
    let prefix = "lssyscfg -r lpar -m p814-1 --filter";
    world.refused(&format!("{prefix} names=lpar1"), "The invalid filter is names.");
    world.refused(&format!("{prefix} profile_names=x"), "The invalid filter is profile_names.");
    world.refused(
        &format!("{prefix} lpar_names=a,lpar_ids=1"),
        "The parameters lpar_names, lpar_ids cannot be specified together.",
    );
    world.refused(&format!("{prefix} lpar_names="), "invalid value are --filter.");
    world.refused(&format!("{prefix} lpar_ids=x"), "invalid value are --filter.");
    world.refused(&format!("{prefix} work_groups=x"), "invalid value are --filter.");
    world.refused(&format!("{prefix} lpar1"), "The format of the configuration data is invalid.");
    world.refused(&format!("{prefix} lpar_names=zz-no-such-lpar"), "HSCL8012 The partition named zz-no-such-lpar was not found.  Please check your entry and retry the command.");
    world.refused(&format!("{prefix} lpar_ids=99"), "HSCL8013");
}

#[test]
fn empty_listings_say_so_and_succeed() {
    let world = World::small(0);
    for line in [
        "lssyscfg -r lpar -m p720-1",
        "lssyscfg -r lpar -m p720-1 -F name --header",
        "lssyscfg -r prof -m p720-1",
        "lssyscfg -r sysprof -m p720-1",
        "lssyscfg -r frame",
        "lssyscfg -r cage -e f1",
        "lshwres -r mem -m p720-1 --level lpar",
        "lshwres -r proc -m p814-1 --level lpar -R",
        "lsrefcode -r lpar -m p814-1",
        "lsrefcode -r sys -m p814-1 -s s",
        "lshmcusr --filter names=nobody",
    ] {
        world.ok(line, "No results were found.\n");
    }
}

#[test]
fn wrong_listings_are_refused() {
    let world = World::small(0);
    for (line, text) in [
        ("lssyscfg", "are -r."),
        ("lssyscfg -r", "are -r."),
        ("lssyscfg -r lpars", "are -r."),
        (
            "lssyscfg -r lpar",
            "The command entered is either missing a required parameter or a parameter value is invalid. The parameters that are missing or have an invalid value are -m. Please check your entry and retry the command.",
        ),
        ("lssyscfg -r lpar -m", "are -m."),
        ("lssyscfg -r lpar -m p814-1 --header", "are -F."),
        ("lssyscfg -r sys --filter lpar_names=x", "The invalid parameter is --filter."),
        ("lssyscfg -r lpar -m p814-1 --lastvalidcfg", "The invalid parameter is --lastvalidcfg."),
        ("lssyscfg -r lpar -m p814-1 -m p814-1", "The repeated parameter is -m."),
        ("lssyscfg -r lpar -m p814-1 -x", "The invalid parameter is -x."),
        (
            "lssyscfg -r sys -F type_serial",
            "An invalid attribute was entered.  The invalid attribute is type_serial.  Please check your entry and retry the command.",
        ),
        ("lssyscfg -r lpar -m p814-1 -F UUID", "The invalid attribute is UUID."),
        ("lssyscfg -r lpar -m p814-1 -F new_name", "The invalid attribute is new_name."),
        ("lssyscfg -r lpar -m nosuch", "HSCL8003 The managed system nosuch was not found."),
        ("lssyscfg -r sysprof -m p814-1 --filter lpar_names=x", "lpar_names"),
        ("lsprofspace -m nosuch", "HSCL8003"),
        ("monhmc -r mem -n 0", "The information is not available"),
        ("lshmcfs", "The information is not available"),
        ("lshwres -r mem -m p814-1", "are --level."),
        ("lshwres -r mem -m p814-1 --level pool", "are --level."),
        ("lshwres -r proc -m p814-1 --level sys --filter lpar_ids=1", "The invalid parameter is --filter."),
        ("lshwres -r io --rsubtype iopool -m p814-1", "are --level."),
        ("lshwres -r io --rsubtype slot -m p814-1 --level pool", "are --level."),
        ("lshwres -r io --rsubtype taggedio -m p814-1 -R", "The invalid parameter is -R."),
        ("lshwres -r virtualio --rsubtype serial -m p814-1", "are --level."),
        ("lshwres -r pmem -m p814-1", "The managed system does not support persistent memory volumes."),
        ("lshwres -r hea -m p814-1", "The managed system does not support Host Ethernet Adapters."),
        ("lshwres -r sriov -m p814-1", "are --rsubtype."),
        ("lshwres -r virtualio -m p814-1", "are --rsubtype."),
        ("lshwres -r virtualio --rsubtype eth -m p814-1", "are --level."),
        ("lshwres -r virtualio --rsubtype eth -m p814-1 --level slot", "are --level."),
        ("lshwres -r virtualio --rsubtype vnic -m p814-1 --level sys", "are --level."),
        (
            "lshwres -r resgroup -m p814-1",
            "HSCLCA00 The managed system does not support multiple resource groups.",
        ),
        ("lshwres -r mem -m p814-1 --level sys --hptratio 1:64", "are --maxmem."),
        ("lsrefcode -r lpar -m p814-1 -n 0", "are -n."),
        ("lsrefcode -r lpar -m p814-1 -s p", "The invalid parameter is -s."),
    ] {
        world.refused(line, text);
    }
}

#[test]
fn hardware_is_listed_in_the_captured_order() {
    let world = World::small(1);
    let memory = world.run("lshwres -r mem -m p814-1 --level sys").1;
    assert!(memory.starts_with("configurable_sys_mem=131072,curr_avail_sys_mem="), "{memory}");
    let memory = world.run("lshwres -r mem -m p814-1 --level lpar --filter lpar_names=lpar1").1;
    assert_eq!(
        memory,
        "lpar_name=lpar1,lpar_id=2,curr_min_mem=0,curr_mem=0,curr_max_mem=0,pend_min_mem=0,pend_mem=0,pend_max_mem=0,run_min_mem=0,run_mem=0,curr_min_num_huge_pages=0,curr_num_huge_pages=0,curr_max_num_huge_pages=0,pend_min_num_huge_pages=0,pend_num_huge_pages=0,pend_max_num_huge_pages=0,run_num_huge_pages=0,mem_mode=ded,curr_hpt_ratio=\n"
    );
    world.ok("lshwres -r mem -m p814-1 --level sys -F configurable_sys_mem,mem_region_size", "131072,256\n");
    world.ok("lshwres -r proc -m p814-1 --level sys -F installed_sys_proc_units", "16.0\n");
    assert_eq!(world.run("lshwres -r proc -m p814-1 --level pool").0, 0);
    world.ok(
        "lshwres -r mem -m p814-1 --level sys --maxmem 65536 --hptratio 1:64 -F required_min_mem_aix_linux",
        "1280\n",
    );
}

#[test]
fn reference_codes_are_listed_newest_first() {
    let world = World::small(1);
    world.systems[1].runtime(2, |runtime| {
        runtime.state = PartitionState::Running;
        runtime.rmc = RmcState::Active;
        for code in ["D200C300", "D200C301", "B2001230 LP=00002"] {
            runtime.reference_codes.post(1_790_800_891, code.to_owned());
        }
    });
    world.ok(
        "lsrefcode -r lpar -m p814-1 --filter lpar_names=lpar1 -n 3 -F lpar_name,time_stamp,refcode --header",
        "lpar_name,time_stamp,refcode\nlpar1,09/30/2026 20:41:31,B2001230 LP=00002\nlpar1,09/30/2026 20:41:31,D200C301\nlpar1,09/30/2026 20:41:31,D200C300\n",
    );
    world.ok("lsrefcode -r lpar -m p814-1", "lpar_name=lpar1,lpar_id=2,time_stamp=09/30/2026 20:41:31,refcode=B2001230 LP=00002,word2=,fru_call_out_loc_codes=\n");
    world.ok(
        "lsrefcode -r lpar -m p814-1 -F 'time_stamp refcode'",
        "\"09/30/2026 20:41:31\" \"B2001230 LP=00002\"\n",
    );
}

#[test]
fn one_partition_costs_the_same_in_a_full_system() {
    let world = World::small(300);
    world.ok("lssyscfg -r lpar -m p814-1 --filter lpar_names=lpar250 -F name", "lpar250\n");
    world.ok("lshwres -r mem -m p814-1 --level lpar --filter lpar_names=lpar250 -F lpar_name", "lpar250\n");
    world.ok("lssyscfg -r prof -m p814-1 --filter lpar_ids=7 -F lpar_name", "lpar6\n");
    world.ok("chsyscfg -r lpar -m p814-1 -i name=lpar9,work_group_id=3", "");
    assert_eq!(world.systems[1].listed.load(Ordering::SeqCst), 3);
    let requests = world.systems[1].requests();
    assert_eq!(requests.len(), 4, "each command asked once: {requests:?}");
}

#[test]
fn the_audit_has_every_command() {
    let world = World::small(0);
    world.run("lssyscfg -r sys -F name");
    world.run("lssyscfg -r nothing");
    let audit = world.console.audit(2).expect("audit");
    let seen: Vec<(&str, u8)> = audit.iter().map(|entry| (entry.command.as_str(), entry.status)).collect();
    assert_eq!(seen, [("lssyscfg -r nothing", 1), ("lssyscfg -r sys -F name", 0)]);
    assert_eq!(
        (audit[0].user.as_str(), audit[0].peer.as_str(), audit[0].seconds),
        ("hscroot", "127.0.0.1:4711", common::NOW)
    );
}

#[test]
fn every_command_has_help_and_a_manual_page() {
    let world = World::small(0);
    for command in varan_command::commands() {
        let (status, help) = world.run(&format!("{} --help -x", command.name));
        assert_eq!((status, &help), (0, &usage(command)));
        let page = manual(command.name, Release(8, 8, 6, 0)).expect("page");
        for option in command.options.iter().filter(|option| option.supported) {
            assert!(
                help.contains(option.name) && page.contains(option.name),
                "{} {}",
                command.name,
                option.name
            );
        }
        for line in page.lines().chain(help.lines()) {
            assert!(line.len() <= 110, "{line}");
        }
    }
    assert!(manual("last", Release::ANY).is_none());
    let page = manual("lssyscfg", Release(8, 8, 6, 0)).expect("page");
    assert!(page.contains("lssyscfg -r lpar -m managed-system [--osrefresh]"), "{page}");
    let all = coverage(Release(8, 8, 6, 0));
    assert_eq!(all.commands.len(), varan_command::commands().len());
    assert!(all.later.contains(&"migrlpar"));
    world.refused("migrlpar -o v", "migrlpar is not supported at this level.");
    assert_eq!(world.run("last").0, 127);
}

#[test]
fn users_are_listed_for_who_may_see_them() {
    let world = World::small(0);
    let line = world.run("lshmcusr").1;
    assert!(line.starts_with("name=hscroot,taskrole=hmcsuperadmin,description=HMC Super User,pwage=99999,resourcerole=ALL:,authentication_type=local,"), "{line}");
    world.ok("lshmcusr --filter taskroles=hmcsuperadmin -F name", "hscroot\n");
    let refused = world.run_as(TaskRole::Viewer, "lshmcusr");
    assert_eq!(refused, (1, "HSCL350B The user does not have the appropriate authority.\n".to_owned()));
}
