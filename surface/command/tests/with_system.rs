//! The command language over a real managed system authority; only the engine below it is a stand-in.

mod common;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use common::{FixedWorld, World, directory, hardware, partition};
use varan_console::SystemConnection;
use varan_contract::engine::*;
use varan_contract::network::NoNetwork;
use varan_contract::system::SystemLink;
use varan_model::hardware::ProcessorFamily;
use varan_model::ids::PartitionUuid;
use varan_model::system::SystemSettings;
use varan_system::guest::{BootDisks, GuestSettings};
use varan_system::inbox::Inbox;
use varan_system::{Opening, SystemHandle, open, start};

/// Guests that never get beyond their firmware and stop at once.
struct Engine {
    inbox: Arc<Inbox>,
    running: Mutex<HashMap<PartitionUuid, Generation>>,
}

impl PartitionEngine for Engine {
    fn admit(&self, _: GuestSpecification) -> Result<(), EngineError> {
        Ok(())
    }
    fn power_on(&self, partition: PartitionUuid, generation: Generation) -> Result<(), EngineError> {
        self.running.lock().expect("lock").insert(partition, generation);
        Ok(())
    }
    fn dismiss(&self, _: PartitionUuid, _: Generation) {}
    fn stop(&self, partition: PartitionUuid, _: StopRequest, restart: bool) -> Result<(), EngineError> {
        let generation = self.running.lock().expect("lock").remove(&partition);
        let generation = generation.ok_or(EngineError::NotRunning(partition))?;
        let kind = EngineEventKind::State(GuestState::Stopped { restart });
        self.inbox.engine_event(EngineEvent { partition, generation, kind });
        Ok(())
    }
    fn power_loss(&self) {
        self.running.lock().expect("lock").clear();
    }
    fn set_memory(&self, partition: PartitionUuid, _: u64, _: u64) -> Result<(), EngineError> {
        Err(EngineError::NotRunning(partition))
    }
    fn set_processors(&self, id: PartitionUuid, _: ProcessorAllocation, _: u64) -> Result<(), EngineError> {
        Err(EngineError::NotRunning(id))
    }
    fn change_adapter(&self, id: PartitionUuid, _: AdapterChange, _: u64) -> Result<(), EngineError> {
        Err(EngineError::NotRunning(id))
    }
    fn open_terminal(&self, partition: PartitionUuid) -> Result<Box<dyn GuestTerminal>, EngineError> {
        Err(EngineError::TerminalBusy(partition))
    }
    fn close_terminal(&self, _: PartitionUuid) -> bool {
        false
    }
    fn forget(&self, _: PartitionUuid) {}
    fn statistics(&self, partition: PartitionUuid) -> Result<GuestStatistics, EngineError> {
        Err(EngineError::NotRunning(partition))
    }
}

struct NoDisks;

impl BootDisks for NoDisks {
    fn open(&self, _: PartitionUuid) -> io::Result<Arc<dyn BootDisk>> {
        struct Nothing;
        impl BootDisk for Nothing {
            fn size(&self) -> u64 {
                0
            }
            fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            fn flush(&self) -> io::Result<()> {
                Ok(())
            }
        }
        Ok(Arc::new(Nothing))
    }
    fn remove(&self, _: PartitionUuid) {}
}

fn system(path: &std::path::Path) -> (Arc<SystemHandle>, SystemConnection) {
    let machine = Arc::new(hardware("p814-1", "8286-41A*2166666", ProcessorFamily::Power8, "01SV830_048"));
    let environment = Arc::new(FixedWorld::seeded(11));
    let opening = Opening {
        directory: path,
        hardware: machine.clone(),
        settings: SystemSettings::new(&machine, true),
        partitions: &[],
        environment: &*environment,
    };
    let engine =
        |inbox| Ok(Arc::new(Engine { inbox, running: Mutex::default() }) as Arc<dyn PartitionEngine>);
    let guests =
        GuestSettings { boot_disks: Arc::new(NoDisks), network: None, hypervisor: Arc::new(NoNetwork) };
    let opened = open(opening).expect("opened");
    let handle = Arc::new(start(opened, engine, guests, environment.clone(), 1.0).expect("started"));
    let link = handle.clone() as Arc<dyn SystemLink>;
    (handle, SystemConnection { hardware: machine, address: "10.0.0.1".to_owned(), link })
}

#[test]
fn a_partition_lives_from_creation_to_removal() {
    let nvram = directory();
    let (handle, connection) = system(&nvram.0);
    let world = World::over(vec![connection]);
    let record = partition("lpar1");
    world.ok(&format!("mksyscfg -r lpar -m p814-1 -i '{record}'"), "");
    world.refused(&format!("mksyscfg -r lpar -m p814-1 -i '{record}'"), "HSCL05DE");
    world.refused("chsysstate -r lpar -m p814-1 -n lpar1 -o on", "HSCL3680");
    world.ok("chsysstate -r lpar -m p814-1 -n lpar1 -o on -f default_profile", "");
    world.ok("lssyscfg -r lpar -m p814-1 -F name,state,curr_profile", "lpar1,Starting,default_profile\n");
    world.refused("chsysstate -r lpar -m p814-1 -n lpar1 -o on", "HSCL05EA");
    world.refused(
        "chsyscfg -r lpar -m p814-1 -i name=lpar1,simplified_remote_restart_capable=1",
        "An error occurred while changing the partition named lpar1.\nHSCLA9F8 ",
    );
    world.refused("rmsyscfg -r lpar -m p814-1 -n lpar1", "HSCL05EA");
    world.ok(
        "lssyscfg -r prof -m p814-1 --lastvalidcfg -F name,lpar_name,desired_mem",
        "last*valid*configuration,lpar1,512\n",
    );
    world.ok("chsysstate -r lpar -m p814-1 --id 1 -o shutdown --immed", "");
    world.ok("lssyscfg -r lpar -m p814-1 -F name,state", "lpar1,Not Activated\n");
    world.ok("chhwres -r mem -m p814-1 -o a -p lpar1 -q 256", "");
    world.ok("lshwres -r mem -m p814-1 --level lpar -F lpar_name,curr_mem", "lpar1,768\n");
    world.ok("mksyscfg -r prof -m p814-1 -o save -p lpar1 -n saved", "");
    world.ok("chsyscfg -r sys -m p814-1 -i new_name=box", "");
    world.ok(
        "lssyscfg -r prof -m box --filter profile_names=saved -F lpar_name,name,desired_mem",
        "lpar1,saved,768\n",
    );
    world.ok("rmsyscfg -r prof -m box -n saved -p lpar1", "");
    drop(world);
    drop(handle);
    let (_handle, connection) = system(&nvram.0);
    let world = World::over(vec![connection]);
    world.ok("lssyscfg -r prof -m box -F lpar_name,name", "lpar1,default_profile\n");
    world.ok("rmsyscfg -r lpar -m box --id 1", "");
    world.ok("lssyscfg -r lpar -m box", "No results were found.\n");
}
