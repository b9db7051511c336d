//! Users, roles, keys and the audit on the command line; what each task role may run.

#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{World, split};
use varan_command::{Form, Invocation, NoFiles, ParsedOptions, PartOfForm, commands, run};
use varan_console::{LoginOutcome, OfferedKey, Task, TaskRole, TaskSet};

const REFUSED: &str = "HSCL350B The user does not have the appropriate authority.\n";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqs me@there";

/// Runs a line as a user with what is on standard input.
fn run_for(world: &World, user: &str, tasks: TaskSet, line: &str, input: &str) -> (u8, String) {
    let words = split(line);
    let mut output = Vec::new();
    let mut invocation = Invocation {
        console: &world.console,
        user,
        tasks,
        arguments: &words[1..],
        input: &mut input.as_bytes(),
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

fn as_user(world: &World, user: &str, line: &str, input: &str) -> (u8, String) {
    run_for(world, user, world.console.tasks_of(user), line, input)
}

fn logs_in(world: &World, user: &str, password: &str) -> bool {
    matches!(world.console.check_password(user, password, "peer"), LoginOutcome::Accepted(_))
}

/// Every kind of operation of every command, with the task that it needs: a row for each form of each command. None changes
/// anything: the names are of nothing.
const OPERATIONS: &[(&str, Task)] = &[
    ("lssyscfg -r sys -m no", Task::ListSystems),
    ("lssyscfg -r lpar -m no", Task::ListPartitions),
    ("lssyscfg -r prof -m no", Task::ListProfiles),
    ("lshwres -r mem -m no --level sys", Task::ListHardware),
    ("lsrefcode -r sys -m no", Task::ListHardware),
    ("lssyscfg -r sysprof -m no", Task::ListSystemProfiles),
    ("mksyscfg -r sysprof -m no -i name=x", Task::CreateSystemProfile),
    ("chsyscfg -r sysprof -m no -i name=x", Task::ChangeSystemProfile),
    ("rmsyscfg -r sysprof -m no -n x", Task::RemoveSystemProfile),
    ("chsysstate -r sysprof -m no -o on -n x", Task::ActivateSystemProfile),
    ("bkprofdata -m no -f x", Task::BackUpProfileData),
    ("rstprofdata -m no -l 1 -f x", Task::RestoreProfileData),
    ("rstprofdata -m no -l 4", Task::RestoreProfileData),
    ("mkprofdata -r sys -o recreate -m no -s sys", Task::RestoreProfileData),
    ("rmprofdata -m no -f x", Task::RemoveProfileData),
    ("lsprofspace -m no", Task::ListProfileSpace),
    ("monhmc -r mem -n 0", Task::ListConsole),
    ("lshmcfs", Task::ListFileSystems),
    ("lshmcfs -o c -d 0", Task::ListFileSystems),
    ("chhmcfs -o f -d 0", Task::FreeFileSystems),
    ("hmcshutdown -t now", Task::ShutDownConsole),
    ("termtask -r ssh -s 99 -t all", Task::EndSessions),
    ("lssyscfg -r frame", Task::ListSystems),
    ("lshwres -r mem -m no --level lpar", Task::ListHardware),
    ("lshwres -r proc -m no --level sys", Task::ListHardware),
    ("lshwres -r proc -m no --level lpar", Task::ListHardware),
    ("lshwres -r mempool -m no", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype eth --level lpar", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype eth --level sys", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype scsi --level lpar", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype slot --level slot", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype vswitch", Task::ListHardware),
    ("lshwres -r io -m no --rsubtype slot --level sys", Task::ListHardware),
    ("lshwres -r io -m no --rsubtype taggedio", Task::ListHardware),
    ("lshwres -r io -m no --rsubtype iopool --level pool", Task::ListHardware),
    ("lshwres -r io -m no --rsubtype iopool --level sys", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype scsi", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype vnetwork", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype vnic", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype vnicbkdev --level lpar", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype hsl", Task::ListHardware),
    ("lshwres -r virtualio -m no --rsubtype virtualopti --level lpar", Task::ListHardware),
    ("lshwres -r mempool -m no --rsubtype pgdev", Task::ListHardware),
    ("lshwres -r hea -m no --rsubtype phys --level sys", Task::ListHardware),
    ("lshwres -r procpool -m no", Task::ListHardware),
    ("lshwres -r sriov -m no --rsubtype adapter", Task::ListHardware),
    ("lshwres -r sriov -m no --rsubtype physport --level eth", Task::ListHardware),
    ("lshwres -r sriov -m no --rsubtype logport", Task::ListHardware),
    ("lshwres -r sriov -m no --rsubtype logport --level eth", Task::ListHardware),
    ("lspartition -dlpar", Task::ListPartitions),
    ("lspartition -c 9119-MME_0000000", Task::ListPartitions),
    ("lspartition -i", Task::ListPartitions),
    ("lspartition -ix", Task::ListPartitions),
    ("diagrmc -m no -p x", Task::ListPartitions),
    ("chhwres -r sriov -m no --rsubtype adapter -o a -a slot_id=21010200", Task::ChangeSystem),
    ("chhwres -r sriov -m no --rsubtype physport -o s -a adapter_id=1,phys_port_id=0", Task::ChangeSystem),
    ("chhwres -r sriov -m no --rsubtype logport -o r -p x -a logical_port_id=27004001", Task::DynamicChange),
    ("chhwres -r sriov -m no --rsubtype logport -o c -a logical_port_id=27004001", Task::ChangeSystem),
    ("chhwres -r virtualio -m no -o r --rsubtype vswitch --vswitch x", Task::ChangeSystem),
    ("chhwres -r virtualio -m no -o e -p x --rsubtype vnic -s 6", Task::DynamicChange),
    (
        "chhwres -r virtualio -m no -o s -p x --rsubtype vnicbkdev -s 6 --logport 27004001 -a failover_priority=1",
        Task::DynamicChange,
    ),
    (
        "chhwres -r virtualio -m no -o act -p x --rsubtype vnicbkdev -s 6 --logport 27004001",
        Task::DynamicChange,
    ),
    (
        "chhwres -r virtualio -m no -o a --rsubtype vnetwork --vnetwork VLAN5-ETHERNET0 -a load_group=1",
        Task::ChangeSystem,
    ),
    ("lsrefcode -r lpar -m no", Task::ListHardware),
    ("lssysconn -r all", Task::ListConnections),
    ("lshmcusr -t user --filter names=nobody", Task::ListUsers),
    ("lspwdpolicy -t p", Task::ListUsers),
    ("lspwdpolicy -t s", Task::ListUsers),
    ("chhmc -c network -s modify -h not_a_name_", Task::ChangeConsole),
    ("chhmc -c ssh -s enable", Task::ChangeConsole),
    ("mkpwdpolicy -i min_length=8", Task::ManageUsers),
    ("chpwdpolicy -o a -n x", Task::ManageUsers),
    ("chpwdpolicy -o d", Task::ManageUsers),
    ("chpwdpolicy -o m -i name=x", Task::ManageUsers),
    ("rmpwdpolicy -n x", Task::ManageUsers),
    ("lssvcevents -t hardware -m no", Task::ListServiceEvents),
    ("lssvcevents -t fru --filter problem_nums=1", Task::ListServiceEvents),
    ("lssvcevents -t comment --filter problem_nums=1", Task::ListServiceEvents),
    ("chsvcevent -o close -p 1", Task::ManageServiceEvents),
    ("mksvcevent -d x --reporting_mtms no", Task::ManageServiceEvents),
    ("lslock -m no", Task::ListHardware),
    ("rmlock -m no -p x", Task::RemoveLock),
    ("rmlock -m no", Task::RemoveLock),
    ("lsled -m no -r sa -t phys", Task::ListHardware),
    ("lsled -m no -r sa -t virtuallpar", Task::ListHardware),
    ("lsled -m no -r ident -t phys", Task::ListHardware),
    ("chled -m no -r sa -t phys -o off", Task::ChangeIndicators),
    ("chled -m no -r sa -t virtuallpar -o off -p x", Task::ChangeIndicators),
    ("chled -m no -r ident -t phys -o on -l x", Task::ChangeIndicators),
    ("lslparutil -r config -m no", Task::ListUtilization),
    ("lslparutil -r lpar -m no", Task::ListUtilization),
    ("chlparutil -r config -s 60 -m no", Task::ChangeUtilization),
    ("rmlparutil -m no", Task::ChangeUtilization),
    ("chsysstate -r sys -m no -o chkey -k norm", Task::ChangeSystem),
    ("chsyscfg -r lpar -m no -o apply -p x -n y", Task::ChangePartition),
    ("mksyscfg -r prof -m no -o save -p x -n y", Task::CreateProfile),
    ("chsysstate -r lpar -m no -n x -o osshutdown", Task::ShutdownPartition),
    ("chsysstate -r lpar -m no -n x -o chkey -k norm", Task::ActivatePartition),
    ("chlparstate -o osshutdown -m no -p x", Task::ShutdownPartition),
    ("chhwres -r mem -m no -o m -p x -t y -q 256", Task::DynamicChange),
    ("chhwres -r mem -m no -o s -a a=b", Task::ChangeSystem),
    ("chhwres -r proc -m no -o a -p x --procs 1", Task::DynamicChange),
    ("chhwres -r proc -m no -o m -p x -t y --procs 1", Task::DynamicChange),
    ("chhwres -r proc -m no -o s -p x -a uncap_weight=1", Task::DynamicChange),
    ("chhwres -r mempool -m no -o s -a a=b", Task::DynamicChange),
    ("chhwres -r virtualio -m no -o a -p x --rsubtype eth -a port_vlan_id=1", Task::DynamicChange),
    ("chhwres -r virtualio -m no -o r -p x -s 5", Task::DynamicChange),
    ("chhwres -r virtualio -m no -o r -p x --rsubtype scsi -s 5", Task::DynamicChange),
    ("chhwres -r virtualio -m no -o s -p x --rsubtype eth -s 5 -a port_vlan_id=1", Task::DynamicChange),
    ("chhwres -r virtualio -m no -o a --rsubtype vswitch --vswitch x", Task::ChangeSystem),
    ("chhwres -r virtualio -m no -o s --rsubtype vswitch --vswitch x -a new_name=y", Task::ChangeSystem),
    ("chhwres -r io -m no -o a -p x -l 21010200", Task::DynamicChange),
    ("chhwres -r io -m no -o r -p x -l 21010200", Task::DynamicChange),
    ("chhwres -r io -m no -o m -p x -t y -l 21010200", Task::DynamicChange),
    ("chhwres -r mem -m no -o s -p x -a mem_expansion=1.5", Task::DynamicChange),
    ("chhwres -r mempool -m no -o a --rsubtype pgdev --device x", Task::DynamicChange),
    ("chhwres -r hea -m no -o s -a a=b", Task::DynamicChange),
    ("chhwres -r io -m no -o s --rsubtype iopool -p x -a lpar_io_pool_ids=1", Task::DynamicChange),
    ("chhwres -r io -m no -o c", Task::ChangeSystem),
    ("chhwres -r io -m no -o c --rsubtype bus", Task::ChangeSystem),
    ("chhwres -r virtualio -m no -o s --rsubtype hsl -p x -a hsl_pool_id=1", Task::DynamicChange),
    ("rsthwres -r io -m no", Task::RestoreHardware),
    ("rsthwres -r mem -m no -p x", Task::RestoreHardware),
    ("chhwres -r procpool -m no -o s --poolid 1 -a max_pool_proc_units=1", Task::ChangeSystem),
    ("chhwres -r procpool -m no -o s -p x -a shared_proc_pool_id=1", Task::DynamicChange),
    ("lshmc -V", Task::ListConsole),
    ("lssysconn -r sys -m no", Task::ListConnections),
    ("mksysconn --ip nowhere", Task::ManageConnections),
    ("mksysconn -r sys --ip nowhere", Task::ManageConnections),
    ("mksysconn -o auto", Task::ManageConnections),
    ("rmsysconn -o remove --ip 10.1.1.1", Task::ManageConnections),
    ("chsyspwd -t access -m no --passwd abc123", Task::ChangeAccessPassword),
    ("lshmcusr", Task::ListUsers),
    ("lshmcusr -t default", Task::ListUsers),
    ("chhmcusr -t default -i max_webui_login_attempts=0", Task::ManageUsers),
    ("chhmcusr -u nobody -t name -v x", Task::ManageUsers),
    ("rmhmcusr -t kerberos", Task::ManageUsers),
    ("chsyscfg -r sys -m no -i new_name=x", Task::ChangeSystem),
    ("chsysstate -r sys -m no -o on", Task::PowerOnSystem),
    ("chsysstate -r sys -m no -o onsysprof -f x", Task::PowerOnSystem),
    ("chsysstate -r sys -m no -o off", Task::PowerOffSystem),
    ("chsysstate -r sys -m no -o rebuild", Task::RebuildSystem),
    ("mksyscfg -r lpar -m no -i name=x", Task::CreatePartition),
    ("rmsyscfg -r lpar -m no -n x", Task::DeletePartition),
    ("chsyscfg -r lpar -m no -i name=x", Task::ChangePartition),
    ("mksyscfg -r prof -m no -i name=x", Task::CreateProfile),
    ("chsyscfg -r prof -m no -i name=x", Task::ChangeProfile),
    ("rmsyscfg -r prof -m no -n x -p y", Task::DeleteProfile),
    ("chsysstate -r lpar -m no -n x -o on", Task::ActivatePartition),
    ("chsysstate -r lpar -m no -n x -o shutdown", Task::ShutdownPartition),
    ("chlparstate -o shutdown -m no -p x", Task::ShutdownPartition),
    ("chlparstate -o suspend -m no -p x", Task::SuspendPartition),
    ("chhwres -r mem -m no -o a -p x -q 256", Task::DynamicChange),
    ("mkvterm -m no -p x", Task::OpenTerminal),
    ("rmvterm -m no -p x", Task::CloseTerminal),
    ("viosvrcmd -m no -p x -c ioslevel", Task::RunServerCommand),
    ("mkhmcusr -u x -a norole --passwd abcd1234", Task::ManageUsers),
    ("mkhmcusr -i name=x,taskrole=norole", Task::ManageUsers),
    ("chhmcusr -u nobody -t desc -v x", Task::ManageUsers),
    ("chhmcusr -u nobody -t passwd -v abcd1234", Task::ManageUsers),
    ("chhmcusr -o e -u nobody", Task::ManageUsers),
    ("chhmcusr -i name=hscroot,pwage=0", Task::ManageUsers),
    ("rmhmcusr -u nobody", Task::ManageUsers),
    ("mkauthkeys -a -u nobody key", Task::ManageUsers),
    ("mkauthkeys -a key", Task::ChangeOwnPassword),
    ("chhmcusr -u hscroot -t passwd -v abcd1234", Task::ChangeOwnPassword),
    ("lsaccfg -t taskrole", Task::ListRoles),
    ("lsaccfg -t resourcerole", Task::ListRoles),
    ("lsaccfg -t resource", Task::ListRoles),
    ("mkaccfg -t taskrole -i name=x", Task::ManageRoles),
    ("mkaccfg -t resourcerole -i name=x", Task::ManageRoles),
    ("chaccfg -t resourcerole -i name=x", Task::ManageRoles),
    ("rmaccfg -t resourcerole -n x", Task::ManageRoles),
    ("chaccfg -t taskrole -i name=x", Task::ManageRoles),
    ("rmaccfg -t taskrole -n x", Task::ManageRoles),
    ("lssvcevents -t console", Task::ListEvents),
    ("lslogon -r ssh", Task::ListSessions),
    ("lslic -m nosuch", Task::ListSystems),
    ("updlic -o c -m nosuch", Task::UpdateFirmware),
    ("updlic -o a -m nosuch -r disk -l latest", Task::UpdateFirmware),
    ("updlic -o h -m nosuch", Task::UpdateFirmware),
    ("updlic -o p", Task::UpdateFirmware),
    ("lsnportlogin -m nosuch --filter lpar_ids=1", Task::ListPartitions),
    ("chnportlogin -o login -m nosuch -p x", Task::ChangePortLogin),
];

/// Whether a line is of a form, as far as the options that choose the form say.
fn is_of(form: &Form, options: &ParsedOptions) -> bool {
    form.parts().all(|part| match part {
        PartOfForm::When(option, values) => options.get(option).is_some_and(|value| values.contains(&value)),
        _ => true,
    })
}

#[test]
fn every_form_of_every_command_has_an_operation() {
    let mut missing = Vec::new();
    for command in commands() {
        let lines: Vec<ParsedOptions> = OPERATIONS
            .iter()
            .map(|(line, _)| split(line))
            .filter(|words| words[0] == command.name)
            .map(|words| {
                ParsedOptions::parse(command.options, &words[1..])
                    .unwrap_or_else(|refusal| panic!("{words:?}: {refusal}"))
            })
            .collect();
        for form in command.forms.iter().filter(|form| form.supported) {
            if !lines.iter().any(|options| is_of(form, options)) {
                missing.push(format!("{} {:?}", command.name, form.parts().collect::<Vec<_>>()));
            }
        }
    }
    assert!(missing.is_empty(), "forms without an operation:\n{}", missing.join("\n"));
}

/// Commands come to systems through functions that keep to what the user may reach.
#[test]
fn no_command_goes_around_the_resource_roles() {
    fn files(directory: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(directory).expect("directory") {
            let path = entry.expect("entry").path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    files(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands"), &mut found);
    assert!(found.len() > 20);
    for path in found {
        let text: String =
            std::fs::read_to_string(&path).expect("file").split_whitespace().collect::<Vec<_>>().concat();
        for around in
            ["console.find_system(", "console.systems()", "console.call(", "console.open_terminal(", ".link."]
        {
            assert!(!text.contains(around), "{}: {around}", path.display());
        }
    }
}

#[test]
fn every_role_may_run_what_its_tasks_say() {
    let seen: BTreeSet<Task> = OPERATIONS.iter().map(|(_, task)| *task).collect();
    assert_eq!(seen.len(), Task::ALL.len(), "each task is tried");
    let named: BTreeSet<&str> = OPERATIONS.iter().filter_map(|(line, _)| line.split(' ').next()).collect();
    let missing: Vec<&str> =
        commands().iter().map(|command| command.name).filter(|name| !named.contains(name)).collect();
    assert!(missing.is_empty(), "commands without an operation: {missing:?}");
    // No operation succeeds, so one world does for all.
    let world = World::over(Vec::new());
    for role in TaskRole::ALL {
        for (line, task) in OPERATIONS {
            let (_, output) = run_for(&world, "hscroot", role.tasks(), line, "");
            assert_eq!(output != REFUSED, role.tasks().contains(*task), "{role}: {line}: {output}");
        }
    }
    for task in Task::ALL {
        // A role with one task alone may do that and nothing else.
        for (line, needed) in OPERATIONS {
            let (_, output) = run_for(&world, "hscroot", [*task].into_iter().collect(), line, "");
            if task != needed {
                assert_eq!(output, REFUSED, "{task:?}: {line}");
            }
        }
    }
}

#[test]
fn users_come_change_and_go() {
    let world = World::over(Vec::new());
    world.ok("mkhmcusr -u bob -a hmcviewer -d 'Bob B' --passwd abcd1234 -M 30", "");
    world.ok(
        "lshmcusr --filter names=bob -F name,taskrole,description,pwage,disabled",
        "bob,hmcviewer,Bob B,30,0\n",
    );
    assert!(logs_in(&world, "bob", "abcd1234"));
    assert_eq!(as_user(&world, "bob", "lshmcusr", ""), (1, REFUSED.to_owned()));
    world.ok("chhmcusr -i 'name=bob,taskrole=hmcsuperadmin,description=Boss'", "");
    assert_eq!(as_user(&world, "bob", "lshmcusr --filter names=bob -F description", "").1, "Boss\n");
    world.ok("chhmcusr -u bob -t passwd -v efgh5678", "");
    assert!(!logs_in(&world, "bob", "abcd1234") && logs_in(&world, "bob", "efgh5678"));
    world.ok("rmhmcusr -u bob", "");
    assert!(!logs_in(&world, "bob", "efgh5678"));
    assert_eq!(as_user(&world, "bob", "lssyscfg -r sys", ""), (1, REFUSED.to_owned()));
}

#[test]
fn the_old_password_is_asked_for_on_standard_input() {
    let world = World::over(Vec::new());
    world.ok("mkhmcusr -i name=bob,taskrole=hmcviewer,passwd=abcd1234", "");
    let line = "chhmcusr -u bob -t passwd -v efgh5678";
    let wrong = "The current password is not correct.\n".to_owned();
    assert_eq!(as_user(&world, "bob", line, ""), (1, wrong.clone()));
    assert_eq!(as_user(&world, "bob", line, "nonsense\n"), (1, wrong));
    assert_eq!(as_user(&world, "bob", line, "abcd1234\n"), (0, String::new()));
    let line = "chhmcusr -u bob -t passwd";
    let differ = "The passwords do not match.\n".to_owned();
    assert_eq!(as_user(&world, "bob", line, "efgh5678\nijkl9012\nijkl\n"), (1, differ));
    assert_eq!(as_user(&world, "bob", line, "efgh5678\r\nijkl9012\nijkl9012"), (0, String::new()));
    let line = "chhmcusr -i name=bob,current_passwd=ijkl9012,passwd=abcd1234";
    assert_eq!(as_user(&world, "bob", line, ""), (0, String::new()));
    assert!(logs_in(&world, "bob", "abcd1234"));
    let short = "The password must have at least 7 characters.\n".to_owned();
    assert_eq!(as_user(&world, "bob", "chhmcusr -u bob -t passwd -v abc", "abcd1234\n"), (1, short));
    // Nothing of it is in the audit.
    for entry in world.console.audit(100).expect("audit") {
        for secret in ["abcd1234", "efgh5678", "ijkl9012", "abc "] {
            assert!(!entry.command.contains(secret), "{}", entry.command);
        }
    }
    assert_eq!(as_user(&world, "hscroot", "mkhmcusr -u eve -a hmcpe", "abcd1234\nabcd1234\n").0, 0);
    assert!(logs_in(&world, "eve", "abcd1234"));
}

#[test]
fn nobody_gives_or_takes_more_than_it_has() {
    let world = World::over(Vec::new());
    world.ok("mkaccfg -t taskrole -i 'name=clerk,parent=hmcsuperadmin,resources=HMCConsole:ManageUserProfiles+ListRoles+ManageRoles'", "");
    world.ok("mkhmcusr -i name=clara,taskrole=clerk,passwd=abcd1234", "");
    world.ok("mkhmcusr -i name=bob,taskrole=hmcviewer,passwd=abcd1234", "");
    for line in [
        "mkhmcusr -i name=x,taskrole=hmcsuperadmin,passwd=abcd1234",
        "mkhmcusr -u x -a hmcviewer --passwd abcd1234",
        "chhmcusr -u hscroot -t passwd -v abcd1234",
        "chhmcusr -u clara -t taskrole -v hmcsuperadmin",
        "chhmcusr -u bob -t desc -v x",
        "rmhmcusr -u bob",
        "mkauthkeys -a -u hscroot 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqs x'",
        "mkaccfg -t taskrole -i name=all,parent=hmcsuperadmin,resources=cec:CECPowerOff",
        "chaccfg -t taskrole -i name=clerk,resources=cec:CECPowerOff",
        "lssyscfg -r sys",
    ] {
        assert_eq!(as_user(&world, "clara", line, ""), (1, REFUSED.to_owned()), "{line}");
    }
    assert_eq!(
        as_user(&world, "clara", "mkhmcusr -i name=x,taskrole=clerk,passwd=abcd1234", ""),
        (0, String::new())
    );
}

#[test]
fn task_roles_are_listed_as_they_can_be_made() {
    let world = World::over(Vec::new());
    world.ok(
        "mkaccfg -t taskrole -i 'name=one,parent=hmcoperator,\"resources=\"\"cec:CECPowerOn,lpar:ActivateLPAR+ShutdownLPAR\"\"\"'",
        "",
    );
    let listed =
        "name=one,parent=hmcoperator,\"resources=\"\"cec:CECPowerOn,lpar:ActivateLPAR+ShutdownLPAR\"\"\"\n";
    world.ok("lsaccfg -t taskrole --filter taskroles=one", listed);
    // What is listed can be given back, under another name.
    let again = listed.trim().replace("name=one", "name=two");
    world.ok(&format!("mkaccfg -t taskrole -i '{again}'"), "");
    assert_eq!(world.console.role_tasks("one"), world.console.role_tasks("two"));
    world.ok("chaccfg -t taskrole -i name=one,resources=lpar:ActivateLPAR", "");
    world.ok("lsaccfg -t taskrole --filter taskroles=one -F resources", "lpar:ActivateLPAR\n");
    world.ok("rmaccfg -t taskrole -n one", "");
    world.ok("lsaccfg -t taskrole --filter taskroles=one", "No results were found.\n");
}

#[test]
fn keys_let_in_at_once() {
    let world = World::over(Vec::new());
    world.ok("mkhmcusr -i name=bob,taskrole=hmcviewer,passwd=abcd1234", "");
    let key = OfferedKey { line: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqs", proven: true };
    let enters = || matches!(world.console.check_key("bob", key, "peer"), LoginOutcome::Accepted(_));
    for (add, remove) in [
        (format!("mkauthkeys -a -u bob '{KEY}'"), format!("mkauthkeys -r -u bob '{KEY}'")),
        (format!("mkauthkeys --add '{KEY}' -u bob"), "mkauthkeys --remove me@there -u bob".to_owned()),
    ] {
        assert!(!enters());
        world.ok(&add, "");
        world.ok(&add, "");
        assert!(enters());
        world.ok(&remove, "");
    }
    assert!(!enters());
    assert_eq!(as_user(&world, "bob", &format!("mkauthkeys -a '{KEY}'"), ""), (0, String::new()));
    assert!(enters());
    world.ok("chhmcusr -i name=bob,remote_ssh_access=0", "");
    assert!(!enters());
}
