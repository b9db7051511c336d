//! `lslic`.
//!
//! Names: `ecnumber`, `activated_level`, `activated_spname`, `installed_level` as a field report runs them, the `_primary`
//! names, `accepted_level`, `deferred_level` and `platform_ipl_level` as published scripts read them. Their order in the
//! default listing is not known.

use std::sync::Arc;

use super::{Attribute, Table, Value};
use crate::firmware::{FirmwareImage, FirmwarePackage};
use crate::hardware::ProcessorFamily;
use crate::system::ManagedSystem;

/// What a repository has for a system.
#[derive(Clone, Debug)]
pub struct Retrievable {
    /// The highest level for the machine.
    pub latest: Option<FirmwareImage>,
    /// The highest level that it can activate while partitions run.
    pub concurrent: Option<FirmwareImage>,
}

/// A row of `lslic`.
#[derive(Clone, Debug)]
pub struct FirmwareRow {
    /// The system.
    pub system: Arc<ManagedSystem>,
    /// What the repository has, if one was named.
    pub retrievable: Option<Retrievable>,
}

fn level(image: &FirmwareImage) -> Value {
    Value::of(image.level.level)
}

fn service_pack(image: &FirmwareImage) -> Value {
    Value::of(&image.service_pack)
}

fn ec_number(image: &FirmwareImage) -> Value {
    Value::of(&image.level.ec_number)
}

fn side(temporary: bool) -> Value {
    Value::of(if temporary { "temp" } else { "perm" })
}

fn retrievable(
    row: &FirmwareRow,
    image: fn(&Retrievable) -> &Option<FirmwareImage>,
    value: fn(&FirmwareImage) -> Value,
) -> Value {
    match &row.retrievable {
        None => Value::NotApplicable,
        Some(found) => image(found).as_ref().map_or_else(|| Value::of("none"), value),
    }
}

/// Attributes of the firmware of a managed system.
pub static FIRMWARE: Table<FirmwareRow> = Table {
    name: "lic",
    attributes: &[
        Attribute::new("lic_type", "Kind of firmware.", |_: &FirmwareRow| Value::of("Managed System"))
            .unverified(),
        Attribute::new(
            "management_status",
            "Whether concurrent updates are enabled.",
            |row: &FirmwareRow| {
                let disabled = row.system.firmware().concurrent_update_disabled().is_some();
                Value::of(if disabled { "Disabled" } else { "Enabled" })
            },
        )
        .unverified(),
        Attribute::new("disabled_reason", "Why concurrent updates are disabled.", |row: &FirmwareRow| {
            Value::of(row.system.firmware().concurrent_update_disabled().unwrap_or_default())
        })
        .unverified(),
        Attribute::new("activated_level", "Level at work.", |row: &FirmwareRow| {
            level(&row.system.firmware().activated)
        }),
        Attribute::new("activated_spname", "Service pack of the level at work.", |row: &FirmwareRow| {
            service_pack(&row.system.firmware().activated)
        }),
        Attribute::new("installed_level", "Level of the next start.", |row: &FirmwareRow| {
            level(&row.system.firmware().temporary)
        }),
        Attribute::new("installed_spname", "Service pack of the next start.", |row: &FirmwareRow| {
            service_pack(&row.system.firmware().temporary)
        })
        .unverified(),
        Attribute::new("accepted_level", "Level that updlic -o r goes back to.", |row: &FirmwareRow| {
            level(&row.system.firmware().permanent)
        }),
        Attribute::new(
            "accepted_spname",
            "Service pack that updlic -o r goes back to.",
            |row: &FirmwareRow| service_pack(&row.system.firmware().permanent),
        )
        .unverified(),
        Attribute::new("ecnumber", "Release of the level at work.", |row: &FirmwareRow| {
            ec_number(&row.system.firmware().activated)
        }),
        Attribute::new("mtms", "Type, model and serial number.", |row: &FirmwareRow| {
            Value::of(&row.system.hardware.identity)
        })
        .unverified(),
        Attribute::new(
            "deferred_level",
            "Level at work with a part that waits for the next start.",
            |row: &FirmwareRow| {
                let deferred = row.system.firmware().deferred.as_ref();
                Value::or_none(deferred.map(|image| image.level.level))
            },
        ),
        Attribute::new("deferred_spname", "Service pack of that level.", |row: &FirmwareRow| {
            let deferred = row.system.firmware().deferred.as_ref();
            Value::or_none(deferred.map(|image| &image.service_pack))
        })
        .unverified(),
        Attribute::new(
            "unactivated_deferred_level",
            "Level whose deferred part is not activated.",
            |row: &FirmwareRow| {
                let deferred = row.system.firmware().deferred.as_ref();
                Value::or_none(deferred.map(|image| image.level.level))
            },
        )
        .unverified(),
        Attribute::new("platform_ipl_level", "Level of the last start.", |row: &FirmwareRow| {
            level(&row.system.firmware().platform_ipl)
        }),
        Attribute::new("platform_ipl_spname", "Service pack of the last start.", |row: &FirmwareRow| {
            service_pack(&row.system.firmware().platform_ipl)
        })
        .unverified(),
        Attribute::new("curr_level_primary", "Level of the service processor.", |row: &FirmwareRow| {
            level(&row.system.firmware().activated)
        }),
        Attribute::new("curr_ecnumber_primary", "Release of the service processor.", |row: &FirmwareRow| {
            ec_number(&row.system.firmware().activated)
        }),
        Attribute::new("curr_power_on_side_primary", "Side of the last start.", |row: &FirmwareRow| {
            side(row.system.firmware().runs_temporary)
        }),
        Attribute::new("pend_power_on_side_primary", "Side of the next start.", |row: &FirmwareRow| {
            side(row.system.settings.temporary_side)
        }),
        Attribute::new("temp_level_primary", "Level of the temporary side.", |row: &FirmwareRow| {
            level(&row.system.firmware().temporary)
        })
        .unverified(),
        Attribute::new("temp_ecnumber_primary", "Release of the temporary side.", |row: &FirmwareRow| {
            ec_number(&row.system.firmware().temporary)
        })
        .unverified(),
        Attribute::new("perm_level_primary", "Level of the permanent side.", |row: &FirmwareRow| {
            level(&row.system.firmware().permanent)
        })
        .unverified(),
        Attribute::new("perm_ecnumber_primary", "Release of the permanent side.", |row: &FirmwareRow| {
            ec_number(&row.system.firmware().permanent)
        })
        .unverified(),
        Attribute::new(
            "update_control_primary",
            "Who controls updates: HMC, or OS for an operating system.",
            |row: &FirmwareRow| Value::of(if row.system.firmware().console_controls { "HMC" } else { "OS" }),
        )
        .unverified(),
        Attribute::new(
            "update_access_key_exp_date",
            "Expiration of the update access key; none where updates need no key.",
            |row: &FirmwareRow| {
                if row.system.hardware.family >= ProcessorFamily::Power8 {
                    Value::of("none")
                } else {
                    Value::NotApplicable
                }
            },
        )
        .unverified(),
        Attribute::new(
            "retrievable_ecnumber",
            "With -r, release of the highest level in the repository.",
            |row: &FirmwareRow| retrievable(row, |found| &found.latest, ec_number),
        )
        .unverified(),
        Attribute::new(
            "retrievable_level",
            "With -r, highest level in the repository.",
            |row: &FirmwareRow| retrievable(row, |found| &found.latest, level),
        )
        .unverified(),
        Attribute::new(
            "retrievable_spname",
            "With -r, service pack of the highest level in the repository.",
            |row: &FirmwareRow| retrievable(row, |found| &found.latest, service_pack),
        )
        .unverified(),
        Attribute::new(
            "retrievable_concurrent_level",
            "With -r, highest level in the repository that activates concurrently.",
            |row: &FirmwareRow| retrievable(row, |found| &found.concurrent, level),
        )
        .unverified(),
    ],
};

/// Attributes of a level in the console's own repository.
pub static FIRMWARE_REPOSITORY: Table<FirmwarePackage> = Table {
    name: "lic repository",
    attributes: &[
        Attribute::new("ecnumber", "Release.", |row: &FirmwarePackage| ec_number(&row.image)),
        Attribute::new("level", "Level.", |row: &FirmwarePackage| level(&row.image)).unverified(),
        Attribute::new("spname", "Service pack.", |row: &FirmwarePackage| service_pack(&row.image))
            .unverified(),
        Attribute::new(
            "last_disruptive_level",
            "The last level of the release whose installation disrupts.",
            |row: &FirmwarePackage| Value::of(row.image.last_disruptive),
        )
        .unverified(),
        Attribute::new("machine_types", "Types and models that it is for.", |row: &FirmwarePackage| {
            Value::list(row.machines.clone())
        })
        .unverified(),
    ],
};
