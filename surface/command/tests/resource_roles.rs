//! What a user with a managed resource role sees and may do.

#![allow(missing_docs)]

mod common;

use common::{World, split};
use varan_command::{Invocation, NoFiles, run};
use varan_contract::system::SystemRequest;

const REFUSED: &str = "HSCL350B The user does not have the appropriate authority.\n";
/// The system `p814-1` of the small world.
const SYSTEM: &str = "8286-41A*1000002";

fn run_as(world: &World, user: &str, line: &str) -> (u8, String) {
    let words = split(line);
    let mut output = Vec::new();
    let mut invocation = Invocation {
        console: &world.console,
        user,
        tasks: world.console.tasks_of(user),
        arguments: &words[1..],
        input: &mut std::io::empty(),
        output: &mut output,
        errors: &mut std::io::sink(),
        terminal: None,
        files: &NoFiles,
        remote: &varan_command::NoConsoles,
        servers: &varan_command::NoServers,
        cancelled: &|| false,
        peer: "10.0.0.7",
    };
    let status = run(&words[0], &mut invocation);
    (status, String::from_utf8(output).expect("UTF-8"))
}

fn partition(id: &str) -> String {
    format!("lpar:root/ibmhscS1_0|{id}*{SYSTEM}|IBMHSC_Partition")
}

fn system() -> String {
    format!("cec:root/ibmhscS1_0|{SYSTEM}|IBMHSC_ComputerSystem")
}

/// A world with partitions vios1 (1), lpar1 (2), lpar2 (3), lpar3 (4), and users `one` (lpar1), `all` (all partitions of
/// p814-1) and `whole` (p814-1), who may do every task.
fn world() -> World {
    let world = World::small(3);
    for (name, resources) in
        [("one", partition("2")), ("all", partition("ALL_PARTITIONS")), ("whole", system())]
    {
        world.ok(&format!("mkaccfg -t resourcerole -i 'name=r{name},resources={resources}'"), "");
        world.ok(
            &format!("mkhmcusr -i 'name={name},taskrole=hmcsuperadmin,resourcerole=r{name},passwd=abcd1234'"),
            "",
        );
    }
    for system in &world.systems {
        system.requests();
    }
    world
}

fn changes(world: &World) -> Vec<SystemRequest> {
    let requests = world.systems.iter().flat_map(|system| system.requests());
    requests.filter(|request| !request.is_read()).collect()
}

#[test]
fn listings_show_what_the_role_names() {
    let world = world();
    for (user, line, expected) in [
        ("hscroot", "lssyscfg -r sys -F name", "p720-1\np814-1\n"),
        ("one", "lssyscfg -r sys -F name", "p814-1\n"),
        ("one", "lssysconn -r all -F type_model_serial_num", "8286-41A*1000002\n"),
        ("one", "lssyscfg -r lpar -m p814-1 -F name", "lpar1\n"),
        ("all", "lssyscfg -r lpar -m p814-1 -F name", "vios1\nlpar1\nlpar2\nlpar3\n"),
        ("whole", "lssyscfg -r lpar -m p814-1 -F name", "vios1\nlpar1\nlpar2\nlpar3\n"),
        ("one", "lssyscfg -r lpar -m p814-1 --filter lpar_names=lpar1 -F name", "lpar1\n"),
        ("one", "lssyscfg -r lpar -m p814-1 --filter lpar_ids=2 -F name", "lpar1\n"),
        ("one", "lssyscfg -r prof -m p814-1 -F lpar_name", "lpar1\n"),
        ("one", "lshwres -r mem -m p814-1 --level lpar -F lpar_name", "lpar1\n"),
    ] {
        assert_eq!(run_as(&world, user, line), (0, expected.to_owned()), "{user}: {line}");
    }
    for line in [
        "lssyscfg -r lpar -m p814-1 --filter lpar_names=lpar2",
        "lssyscfg -r lpar -m p814-1 --filter lpar_ids=2,3",
        "lssyscfg -r prof -m p814-1 --filter lpar_names=lpar2",
        "lshwres -r proc -m p814-1 --level lpar --filter lpar_names=vios1",
        "lsrefcode -r lpar -m p814-1 --filter lpar_names=lpar2",
        "lssyscfg -r sys -m p720-1",
        "lssyscfg -r lpar -m p720-1",
        "lshwres -r mem -m 8202-E4D*1000001 --level sys",
    ] {
        assert_eq!(run_as(&world, "one", line), (1, REFUSED.to_owned()), "{line}");
    }
}

#[test]
fn nothing_outside_the_role_is_changed() {
    let world = world();
    let partition_lines = |name: &str, id: &str| {
        [
            format!("chsyscfg -r lpar -m p814-1 -i name={name},auto_start=1"),
            format!("chsyscfg -r lpar -m p814-1 -i lpar_id={id},auto_start=1"),
            format!("chsyscfg -r prof -m p814-1 -i name=default_profile,lpar_name={name},auto_start=1"),
            format!("mksyscfg -r prof -m p814-1 -i name=new,lpar_name={name}"),
            format!("rmsyscfg -r prof -m p814-1 -n default_profile -p {name}"),
            format!("rmsyscfg -r lpar -m p814-1 -n {name}"),
            format!("chsysstate -r lpar -m p814-1 -o on -n {name}"),
            format!("chsysstate -r lpar -m p814-1 -o shutdown --immed --id {id}"),
            format!("chhwres -r mem -m p814-1 -o a -p {name} -q 256"),
            format!("chhwres -r proc -m p814-1 -o s -p {name} -a uncap_weight=1"),
            format!("chhwres -r mem -m p814-1 -o m -p lpar1 -t {name} -q 256"),
            format!("chhwres -r virtualio --rsubtype scsi -m p814-1 -o r -p {name} -s 5"),
            format!("rmvterm -m p814-1 -p {name}"),
        ]
    };
    let system_lines = [
        "chsyscfg -r sys -m p814-1 -i new_name=x",
        "chsysstate -r sys -m p814-1 -o off --immed",
        "chhwres -r mem -m p814-1 -o s -a requested_num_sys_huge_pages=1",
        "chhwres -r procpool -m p814-1 -o s --poolid 1 -a max_pool_proc_units=1",
        "chhwres -r virtualio --rsubtype vswitch -m p814-1 -o a --vswitch x",
        "mksyscfg -r lpar -m p814-1 -i name=x,profile_name=p,lpar_env=aixlinux",
    ];
    for line in partition_lines("lpar2", "3") {
        assert_eq!(run_as(&world, "one", &line), (1, REFUSED.to_owned()), "{line}");
        assert_eq!(changes(&world), [], "{line}");
    }
    for user in ["one", "all"] {
        for line in system_lines {
            assert_eq!(run_as(&world, user, line), (1, REFUSED.to_owned()), "{user}: {line}");
            assert_eq!(changes(&world), [], "{user}: {line}");
        }
    }
    // What the role names is changed: no refusal of authority, and the request reaches the system.
    for (user, name, id) in [("one", "lpar1", "2"), ("all", "lpar2", "3"), ("whole", "lpar3", "4")] {
        let mut lines = partition_lines(name, id).to_vec();
        // The removals come last.
        lines.sort_by_key(|line| line.starts_with("rmsyscfg"));
        for line in lines {
            let (_, output) = run_as(&world, user, &line);
            assert_ne!(output, REFUSED, "{user}: {line}");
        }
        assert!(!changes(&world).is_empty(), "{user}");
    }
    for line in system_lines {
        let (_, output) = run_as(&world, "whole", line);
        assert_ne!(output, REFUSED, "whole: {line}");
        assert_eq!(run_as(&world, "whole", &line.replace("p814-1", "p720-1")).1, REFUSED);
    }
    let (status, output) = run_as(&world, "one", "chsysstate -r sys --all -o off --immed");
    assert_eq!((status, output.as_str()), (1, REFUSED), "a system of which only a partition may be reached");
}

#[test]
fn nobody_gives_more_than_it_may_reach() {
    let world = world();
    let refused = |user: &str, line: &str| {
        assert_eq!(run_as(&world, user, line), (1, REFUSED.to_owned()), "{user}: {line}");
    };
    refused("one", "mkhmcusr -u x -a hmcviewer --passwd abcd1234");
    refused("one", "mkhmcusr -i name=x,taskrole=hmcviewer,resourcerole=rall,passwd=abcd1234");
    refused("all", "mkhmcusr -i name=x,taskrole=hmcviewer,resourcerole=rwhole,passwd=abcd1234");
    refused("one", "chhmcusr -u hscroot -t passwd -v efgh5678");
    refused("one", "chhmcusr -i name=one,resourcerole=ALL:");
    refused("one", "rmhmcusr -u whole");
    refused("one", &format!("mkaccfg -t resourcerole -i 'name=x,resources={}'", partition("3")));
    refused("one", &format!("chaccfg -t resourcerole -i 'name=rone,resources+={}'", system()));
    refused("all", "rmaccfg -t resourcerole -n rwhole");
    assert_eq!(
        run_as(&world, "whole", "mkhmcusr -i name=x,taskrole=hmcviewer,resourcerole=rone,passwd=abcd1234").0,
        0
    );
    assert_eq!(run_as(&world, "x", "lssyscfg -r lpar -m p814-1 -F name").1, "lpar1\n");
}

#[test]
fn roles_are_made_changed_and_removed() {
    let world = world();
    let both = format!("{},{}", partition("2"), partition("3"));
    world.ok(&format!("chaccfg -t resourcerole -i 'name=rone,resources+={}'", partition("3")), "");
    world.ok(
        "lsaccfg -t resourcerole --filter resourceroles=rone",
        &format!("name=rone,\"resources={both}\"\n"),
    );
    assert_eq!(run_as(&world, "one", "lssyscfg -r lpar -m p814-1 -F name").1, "lpar1\nlpar2\n");
    world.ok(
        "lshmcusr --filter names=one -F resourcerole,resources",
        &format!(
            "rone,\"<ResourceID = {}><UserDefinedName = lpar1>,<ResourceID = {}><UserDefinedName = lpar2>\"\n",
            partition("2"),
            partition("3")
        ),
    );
    world.ok(&format!("lshmcusr --filter 'resources={}' -F name", partition("3")), "one\n");
    world.ok(&format!("chaccfg -t resourcerole -i 'name=rone,resources-={}'", partition("3")), "");
    assert_eq!(run_as(&world, "one", "lssyscfg -r lpar -m p814-1 -F name").1, "lpar1\n");
    world.refused("rmaccfg -t resourcerole -n rone", "is used by user one");
    world.ok("chhmcusr -i name=one,resourcerole=rall", "");
    world.ok("rmaccfg -t resourcerole -n rone", "");
    for (line, text) in [
        ("mkaccfg -t resourcerole -i name=x", "missing attributes are name, resources"),
        (
            "mkaccfg -t resourcerole -i name=x,resources=cec:p814-1",
            "The managed resource cec:p814-1 is not valid",
        ),
        ("mkaccfg -t resourcerole -i name=ALL:,resources=cec:p814-1", "is not valid"),
        ("chaccfg -t resourcerole -i name=ALL:,resources=x", "predefined"),
        ("rmaccfg -t resourcerole -n ALL:", "predefined"),
        ("rmaccfg -t resourcerole -n none", "The managed resource role none was not found"),
        ("mkhmcusr -i name=x,taskrole=hmcviewer,resourcerole=none,passwd=abcd1234", "was not found"),
    ] {
        world.refused(line, text);
    }
    world.refused(&format!("mkaccfg -t resourcerole -i 'name=x,resources={}'", partition("9")), "HSCL8013");
    world.refused(&format!("mkaccfg -t resourcerole -i 'name=rall,resources={}'", system()), "already used");
    world.refused(
        "mkaccfg -t resourcerole -i 'name=x,resources=cec:root/ibmhscS1_0|8286-41A*9999999|IBMHSC_ComputerSystem'",
        "is not valid",
    );
    // The last one that may everything everywhere keeps it, though `whole` is an administrator too.
    world.refused("chhmcusr -i name=hscroot,resourcerole=rwhole", "by itself");
}
