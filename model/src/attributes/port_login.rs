//! `lsnportlogin`.
//!
//! Names: `wwpn` and `wwpn_status` with its values 0, 1 and 2 as published scripts read them; the others are not verified.

use super::{Attribute, Table, Value};
use crate::rules::port_login::{PortLogin, PortState};

/// Attributes of a port of a virtual Fibre Channel client adapter.
pub static PORT_LOGINS: Table<PortLogin> = Table {
    name: "port login",
    attributes: &[
        Attribute::new("lpar_name", "Partition.", |row: &PortLogin| Value::of(&row.partition_name))
            .unverified(),
        Attribute::new("lpar_id", "Number of the partition.", |row: &PortLogin| Value::of(row.partition_id))
            .unverified(),
        Attribute::new(
            "profile_name",
            "Profile with the adapter; none for the current configuration.",
            |row: &PortLogin| Value::or_none(row.profile.as_ref()),
        )
        .unverified(),
        Attribute::new("slot_num", "Virtual slot.", |row: &PortLogin| Value::of(row.slot)).unverified(),
        Attribute::new("wwpn", "World-wide port name.", |row: &PortLogin| Value::of(row.port_name)),
        Attribute::new("wwpn_status", "0: not activated, 1: activated, 2: unknown.", |row: &PortLogin| {
            Value::of(match row.state {
                PortState::NotActivated(_) => "0",
                PortState::Client | PortState::Server => "1",
                PortState::Unknown(_) => "2",
            })
        }),
        Attribute::new(
            "logged_in",
            "Who activated it: client for the partition, vios for chnportlogin.",
            |row: &PortLogin| {
                Value::of(match row.state {
                    PortState::NotActivated(_) => "none",
                    PortState::Client => "client",
                    PortState::Server => "vios",
                    PortState::Unknown(_) => "unknown",
                })
            },
        )
        .unverified(),
        Attribute::new("wwpn_status_reason", "Why it is not activated, or not known.", |row: &PortLogin| {
            match row.state {
                PortState::NotActivated(Some(reason)) | PortState::Unknown(reason) => {
                    Value::of(reason.text())
                }
                _ => Value::of("none"),
            }
        })
        .unverified(),
    ],
};
