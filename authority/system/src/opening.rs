//! Opening a managed system: its database and the site's hardware become the state to begin with.

use std::path::Path;
use std::sync::Arc;

use thiserror::Error;
use varan_environment::Environment;
use varan_model::hardware::Hardware;
use varan_model::ids::PartitionUuid;
use varan_model::partition::{GuestInstallation, Partition, ReferenceCodes, Usage};
use varan_model::record::parse_record;
use varan_model::rules::creation::{Creation, create_partition};
use varan_model::rules::profile::record_refusal;
use varan_model::service::ErrorLog;
use varan_model::system::{ManagedSystem, SystemSettings, SystemState};
use varan_task::TaskError;

use crate::firmware::{FirmwareTasks, Flash};
use crate::store::{Batch, Store, StoreError};
use crate::world::{Change, World};
use varan_contract::system::RequestId;

/// A partition that a new data directory begins with.
#[derive(Clone, Debug)]
pub struct InitialPartition {
    /// Record as `mksyscfg -r lpar -i` takes it.
    pub record: String,
    /// What its boot disk is installed with.
    pub installation: GuestInstallation,
    /// It runs when the system is first opened.
    pub start: bool,
}

/// Why a managed system cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record of firmware updates.
    #[error(transparent)]
    Firmware(#[from] TaskError),
    /// An initial partition of the site file is refused.
    #[error("managed system {system}: initial partition `{record}` is refused: {reason}")]
    InitialPartition {
        /// System.
        system: String,
        /// Its record.
        record: String,
        /// The refusal.
        reason: String,
    },
    /// State refers to hardware that the site file no longer has.
    #[error(
        "managed system {system}: partition {partition} refers to {missing}, which the site file does not have"
    )]
    MissingHardware {
        /// System.
        system: String,
        /// Partition that refers to it.
        partition: String,
        /// What is missing.
        missing: String,
    },
}

/// What a managed system is opened with.
pub struct Opening<'a> {
    /// Directory of its database.
    pub directory: &'a Path,
    /// Hardware.
    pub hardware: Arc<Hardware>,
    /// Settings of a system that is opened for the first time.
    pub settings: SystemSettings,
    /// Partitions of a system that is opened for the first time.
    pub partitions: &'a [InitialPartition],
    /// Clock and randomness.
    pub environment: &'a dyn Environment,
}

/// What was opened.
pub struct Opened {
    /// State: every partition is off.
    pub world: World,
    /// Database.
    pub store: Store,
    /// Updates of its firmware.
    pub firmware: FirmwareTasks,
    /// Requests that were carried out before.
    pub requests: Vec<RequestId>,
    /// Initial partitions that are to be started, in a system that was opened for the first time.
    pub start: Vec<varan_model::ids::PartitionId>,
}

/// Opens a managed system.
///
/// # Errors
/// [`OpenError`].
pub fn open(opening: Opening<'_>) -> Result<Opened, OpenError> {
    let mut store = Store::open(opening.directory, &opening.hardware.identity.to_string())?;
    let contents = store.load()?;
    let fresh = contents.settings.is_none();
    let mut settings = contents.settings.unwrap_or_else(|| opening.settings.clone());
    let firmware = open_firmware(&opening, &mut settings, &mut store, fresh)?;
    let state = if settings.powered_on { SystemState::Operating } else { SystemState::PowerOff };
    let mut world = World::new(ManagedSystem {
        hardware: hardware_at(&opening.hardware, &settings),
        settings,
        state,
        usage: Usage::default(),
        reference_codes: ReferenceCodes::default(),
        partition_count: 0,
    });
    let mut start = Vec::new();
    if fresh {
        start = create_initial(&mut world, &opening)?;
        let snapshot = world.snapshot.clone();
        let put: Vec<&Partition> = snapshot.partitions.iter().map(|(_, entry)| &*entry.partition).collect();
        let batch = Batch { settings: Some(&snapshot.system.settings), put, ..Batch::default() };
        store.write(&batch)?;
    } else {
        world.snapshot.errors = Arc::new(ErrorLog::of(contents.errors));
        for partition in contents.partitions {
            check_hardware(world.system(), &partition)?;
            world.apply(Change::PutPartition(Box::new(partition)));
        }
    }
    Ok(Opened { world, store, firmware, requests: contents.requests, start })
}

/// Opens the updates of the firmware, undoes one that was cut off, and starts the machine from its side of the flash if it
/// is on.
fn open_firmware(
    opening: &Opening<'_>,
    settings: &mut SystemSettings,
    store: &mut Store,
    fresh: bool,
) -> Result<FirmwareTasks, OpenError> {
    let recorded = settings.clone();
    let levels = recorded.firmware.clone().unwrap_or_else(|| opening.hardware.delivered_firmware.clone());
    let state = if settings.powered_on { SystemState::Operating } else { SystemState::PowerOff };
    let flash = Flash::new(levels, settings.temporary_side, state);
    let write = |store: &mut Store, settings: &SystemSettings| -> Result<(), OpenError> {
        Ok(store.write(&Batch { settings: Some(settings), ..Batch::default() })?)
    };
    let tasks = FirmwareTasks::open(opening.directory, flash, opening.environment.monotonic().0, |levels| {
        write(store, &SystemSettings { firmware: Some(levels.clone()), ..recorded.clone() })
    })?;
    let mut levels = tasks.flash.levels.clone();
    if settings.powered_on {
        levels.start(settings.temporary_side);
    }
    settings.firmware = Some(levels);
    if !fresh && *settings != recorded {
        write(store, settings)?;
    }
    Ok(tasks)
}

/// The hardware with the firmware level that is in force.
fn hardware_at(delivered: &Arc<Hardware>, settings: &SystemSettings) -> Arc<Hardware> {
    match &settings.firmware {
        Some(levels) if levels.activated.level != delivered.firmware => {
            let firmware = levels.activated.level.clone();
            Arc::new(Hardware { firmware, ..(**delivered).clone() })
        }
        _ => delivered.clone(),
    }
}

fn create_initial(
    world: &mut World,
    opening: &Opening<'_>,
) -> Result<Vec<varan_model::ids::PartitionId>, OpenError> {
    let mut start = Vec::new();
    for initial in opening.partitions {
        let refused = |reason: String| OpenError::InitialPartition {
            system: opening.hardware.site_name.clone(),
            record: initial.record.clone(),
            reason,
        };
        let record =
            parse_record(&initial.record).map_err(|error| refused(record_refusal(&error).to_string()))?;
        let random =
            u128::from(opening.environment.random()) << 64 | u128::from(opening.environment.random());
        let creation = Creation {
            system: world.system(),
            lookup: world,
            uuid: PartitionUuid::from_random(random),
            installation: Some(initial.installation.clone()),
        };
        let (partition, settings) =
            create_partition(&record, &creation).map_err(|refusal| refused(refusal.to_string()))?;
        if initial.start {
            start.push(partition.id);
        }
        world.apply(Change::PutPartition(Box::new(partition)));
        if settings != world.system().settings {
            world.apply(Change::PutSettings(Box::new(settings)));
        }
    }
    Ok(start)
}

fn check_hardware(system: &ManagedSystem, partition: &Partition) -> Result<(), OpenError> {
    let hardware = &system.hardware;
    let contents = partition.profiles.iter().map(|profile| &profile.configuration).chain(&partition.current);
    for content in contents {
        let slot = content.physical_slots.iter().find(|slot| hardware.slot(slot.drc_index).is_none());
        let switch = content
            .ethernet_adapters
            .iter()
            .map(|adapter| &adapter.virtual_switch)
            .find(|name| !system.has_virtual_switch(name));
        let missing = match (slot, switch) {
            (Some(slot), _) => format!("the I/O slot with DRC index {:08X}", slot.drc_index),
            (None, Some(name)) => format!("the virtual switch {name}"),
            (None, None) => continue,
        };
        return Err(OpenError::MissingHardware {
            system: hardware.site_name.clone(),
            partition: partition.name.clone(),
            missing,
        });
    }
    Ok(())
}
