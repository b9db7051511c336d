//! The error log of a Virtual I/O Server: entries and the templates that describe them.
//!
//! A template's identifier, class, type and description are those of AIX (the seeds' listings; captures).

use serde::{Deserialize, Serialize};

use crate::codes::Evidence::{self, Captured, Own, Seed, Unverified};

/// Entries that a server keeps; the oldest go first.
pub const ENTRIES_KEPT: usize = 2_000;

/// Class of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorClass {
    /// `H`.
    Hardware,
    /// `S`.
    Software,
    /// `O`: `errlogger` and the like.
    Operator,
    /// `U`.
    Undetermined,
}

impl ErrorClass {
    /// The letter of listings.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Hardware => 'H',
            Self::Software => 'S',
            Self::Operator => 'O',
            Self::Undetermined => 'U',
        }
    }
}

/// Type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorType {
    /// `PERM`.
    Permanent,
    /// `TEMP`.
    Temporary,
    /// `INFO`.
    Informational,
    /// `UNKN`.
    Unknown,
}

impl ErrorType {
    /// The letter of short listings.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Permanent => 'P',
            Self::Temporary => 'T',
            Self::Informational => 'I',
            Self::Unknown => 'U',
        }
    }

    /// The word of long listings.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Permanent => "PERM",
            Self::Temporary => "TEMP",
            Self::Informational => "INFO",
            Self::Unknown => "UNKN",
        }
    }
}

/// What entries of one identifier have in common.
#[derive(Debug)]
pub struct ErrorDescription {
    /// Identifier, printed as eight hexadecimal digits.
    pub identifier: u32,
    /// Label.
    pub label: &'static str,
    /// Class.
    pub class: ErrorClass,
    /// Type.
    pub kind: ErrorType,
    /// Description; short listings cut it at 40 characters.
    pub description: &'static str,
    /// Probable causes, a line each.
    pub probable_causes: &'static [&'static str],
    /// Failure causes, a line each; `User Causes` where the class is operator or the cause is a user.
    pub failure_causes: &'static [&'static str],
    /// How sure all of it is.
    pub evidence: Evidence,
}

/// What a server logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorTemplate {
    /// Logging begins with every start.
    LoggingOn,
    /// Logging ends with every orderly stop.
    LoggingOff,
    /// A user stopped or restarted the server.
    ShutdownByUser,
    /// A crash before this start.
    Dump,
    /// RMC is up.
    RmcStarted,
    /// A path to a disk failed.
    PathFailed,
    /// A failed path works again.
    PathRecovered,
    /// A disk operation failed for good.
    DiskError,
    /// A disk operation was repeated.
    DiskTemporaryError,
    /// The link of a Fibre Channel port was lost.
    LinkError,
    /// A command of a virtual SCSI client failed.
    VirtualScsiHost,
    /// Something with a virtual Fibre Channel client.
    VirtualFibreChannelHost,
    /// A client logged in to a virtual NIC.
    VnicClientLogin,
    /// A virtual NIC's transport was reset.
    VnicTransportEvent,
    /// A file system has no room.
    FileSystemFull,
    /// A move ended well.
    MigrationCompleted,
    /// `errlogger`.
    OperatorNotification,
    /// A Shared Ethernet Adapter bridges now.
    BridgePrimary,
    /// The other Shared Ethernet Adapter bridges now.
    BridgeBackup,
    /// A Shared Ethernet Adapter lost its uplink.
    BridgeLimbo,
    /// Frames went in a circle through a Shared Ethernet Adapter.
    BridgeLoop,
    /// The two Shared Ethernet Adapters of a control channel do not fit.
    BridgeMisconfigured,
    /// The link of a port was lost.
    LinkDown,
    /// The link of a port is back.
    LinkUp,
    /// A link aggregation uses its backup.
    AggregationFailover,
    /// A link aggregation uses its main links again.
    AggregationRecovery,
}

impl ErrorTemplate {
    /// Every template.
    pub const ALL: &'static [Self] = &[
        Self::LoggingOn,
        Self::LoggingOff,
        Self::ShutdownByUser,
        Self::Dump,
        Self::RmcStarted,
        Self::PathFailed,
        Self::PathRecovered,
        Self::DiskError,
        Self::DiskTemporaryError,
        Self::LinkError,
        Self::VirtualScsiHost,
        Self::VirtualFibreChannelHost,
        Self::VnicClientLogin,
        Self::VnicTransportEvent,
        Self::FileSystemFull,
        Self::MigrationCompleted,
        Self::OperatorNotification,
        Self::BridgePrimary,
        Self::BridgeBackup,
        Self::BridgeLimbo,
        Self::BridgeLoop,
        Self::BridgeMisconfigured,
        Self::LinkDown,
        Self::LinkUp,
        Self::AggregationFailover,
        Self::AggregationRecovery,
    ];

    /// The template's row.
    #[must_use]
    pub fn row(self) -> &'static ErrorDescription {
        &TABLE[self as usize]
    }

    /// Recommended actions below the failure causes, a line each.
    #[must_use]
    pub fn recommended_actions(self) -> &'static [&'static str] {
        match self {
            Self::BridgeLimbo => &["SWITCHING TO LIMBO STATE"],
            Self::BridgeLoop => &["CHECK THE CONTROL CHANNELS OF THE SHARED ETHERNET ADAPTERS"],
            Self::BridgeMisconfigured => &["COMPARE THE ATTRIBUTES OF BOTH SHARED ETHERNET ADAPTERS"],
            Self::LinkDown => &["PERFORM PROBLEM DETERMINATION PROCEDURES"],
            _ => &[],
        }
    }
}

const fn row(
    (identifier, label): (u32, &'static str),
    (class, kind): (ErrorClass, ErrorType),
    description: &'static str,
    (probable_causes, failure_causes): (&'static [&'static str], &'static [&'static str]),
    evidence: Evidence,
) -> ErrorDescription {
    ErrorDescription {
        identifier,
        label,
        class,
        kind,
        description,
        probable_causes,
        failure_causes,
        evidence,
    }
}

use ErrorClass::{Hardware, Operator, Software};
use ErrorType::{Informational, Permanent, Temporary, Unknown};

static TABLE: [ErrorDescription; 26] = [
    row(
        (0x9DBC_FDEE, "ERRLOG_ON"),
        (Operator, Temporary),
        "ERROR LOGGING TURNED ON",
        (&["ERRDEMON STARTED AUTOMATICALLY"], &["/USR/LIB/ERRDEMON COMMAND"]),
        Captured,
    ),
    row(
        (0x192A_C071, "ERRLOG_OFF"),
        (Operator, Temporary),
        "ERROR LOGGING TURNED OFF",
        (&["ERRSTOP COMMAND"], &["ERRSTOP COMMAND"]),
        Captured,
    ),
    row(
        (0x2BFA_76F6, "REBOOT_ID"),
        (Software, Temporary),
        "SYSTEM SHUTDOWN BY USER",
        (&["SYSTEM SHUTDOWN"], &["SYSTEM SHUTDOWN"]),
        Captured,
    ),
    row(
        (0x6730_1CFE, "DUMP_STATS"),
        (Software, Unknown),
        "SYSTEM DUMP",
        (&["UNEXPECTED SYSTEM HALT"], &["UNEXPECTED SYSTEM HALT"]),
        Unverified,
    ),
    row(
        (0xA6DF_45AA, "RMCD_INFO_0_ST"),
        (Operator, Informational),
        "The daemon is started.",
        (
            &["The Resource Monitoring and Control daemon has been started."],
            &["The startsrc command has been executed or the system was started."],
        ),
        Seed,
    ),
    row(
        (0xDE3B_8540, "SC_DISK_ERR7"),
        (Hardware, Permanent),
        "PATH HAS FAILED",
        (&["ADAPTER HARDWARE OR CABLE", "DASD DEVICE"], &["UNDETERMINED"]),
        Captured,
    ),
    row(
        (0xA6F5_AE7C, "SC_DISK_PCM_ERR9"),
        (Hardware, Informational),
        "PATH HAS RECOVERED",
        (&["UNDETERMINED"], &["UNDETERMINED"]),
        Captured,
    ),
    row(
        (0xB626_7342, "SC_DISK_ERR2"),
        (Hardware, Permanent),
        "DISK OPERATION ERROR",
        (&["DASD DEVICE"], &["DISK DRIVE", "DISK DRIVE ELECTRONICS"]),
        Captured,
    ),
    row(
        (0xDCB4_7997, "SC_DISK_ERR4"),
        (Hardware, Temporary),
        "DISK OPERATION ERROR",
        (&["MEDIA", "DASD DEVICE"], &["MEDIA", "DISK DRIVE"]),
        Captured,
    ),
    row(
        (0x4B43_6A3D, "FCP_ERR4"),
        (Hardware, Temporary),
        "LINK ERROR",
        (&["CABLE, CONNECTOR OR FIBRE CHANNEL SWITCH"], &["CABLE", "FIBRE CHANNEL ADAPTER"]),
        Captured,
    ),
    row(
        (0x0A14_1F7B, "VSCSI_HOST"),
        (Software, Temporary),
        "Virtual SCSI Host Adapter detected an error",
        (&["Underlying adapter or device"], &["Underlying adapter or device"]),
        Unverified,
    ),
    row(
        (0x7870_C5A4, "VFC_HOST"),
        (Software, Temporary),
        "Virtual FC Host Adapter detected an error",
        (&["Underlying adapter or device"], &["Underlying adapter or device"]),
        Captured,
    ),
    row(
        (0x60D7_3419, "VNICSERVER_LOGIN"),
        (Software, Informational),
        "VNIC Client Login",
        (&["VNIC Client Login"], &["VNIC Client Login"]),
        Seed,
    ),
    row(
        (0x8C57_7CB6, "VNICSERVER_TRANSPORT"),
        (Software, Informational),
        "VNIC Transport Event",
        (&["VNIC Transport Event"], &["VNIC Transport Event"]),
        Seed,
    ),
    row(
        (0x369D_049B, "J2_FS_FULL"),
        (Operator, Informational),
        "UNABLE TO ALLOCATE SPACE IN FILE SYSTEM",
        (&["FILE SYSTEM FULL"], &["FILE SYSTEM FULL"]),
        Unverified,
    ),
    row(
        (0x3EB0_9F5A, "MIGRATION_DONE"),
        (Software, Informational),
        "Migration completed successfully",
        (&["Migration completed successfully"], &["Migration completed successfully"]),
        Seed,
    ),
    row(
        (0xAA8A_B241, "OPMSG"),
        (Operator, Temporary),
        "OPERATOR NOTIFICATION",
        (&["ERRLOGGER COMMAND"], &["ERRLOGGER COMMAND"]),
        Own,
    ),
    row(
        (0x40D9_7644, "SEAHA_PRIMARY"),
        (Hardware, Informational),
        "BECOME PRIMARY",
        (&[], &["BECOME PRIMARY"]),
        Unverified,
    ),
    row(
        (0xE48A_73A4, "SEAHA_BACKUP"),
        (Hardware, Informational),
        "BECOME BACKUP",
        (&[], &["BECOME BACKUP"]),
        Unverified,
    ),
    row(
        (0x8D42_4E06, "VIOS_SEA_ADAP_FAIL"),
        (Hardware, Informational),
        "ADAPTER FAILURE",
        (&[], &["ADAPTER FAILURE"]),
        Captured,
    ),
    row(
        (0x5EA0_100B, "SEA_LOOP"),
        (Software, Permanent),
        "NETWORK LOOP DETECTED",
        (&["CONTROL CHANNEL MISSING OR DIFFERENT"], &["TWO SHARED ETHERNET ADAPTERS BRIDGE THE SAME VLAN"]),
        Own,
    ),
    row(
        (0x5EA0_C0F6, "SEAHA_CONFIG"),
        (Software, Permanent),
        "SHARED ETHERNET ADAPTERS DO NOT MATCH",
        (&["CONFIGURATION"], &["CONFIGURATION"]),
        Own,
    ),
    row(
        (0xDD2E_9242, "LNCENT_PLINK_DOWN"),
        (Hardware, Temporary),
        "Physical link down",
        (&[], &[]),
        Captured,
    ),
    row(
        (0xB50A_3F81, "LNCENT_PLINK_UP"),
        (Hardware, Informational),
        "Physical link up",
        (&[], &[]),
        Unverified,
    ),
    row((0xF384_6E13, "ECH_CHAN_FAIL"), (Hardware, Permanent), "ETHERCHANNEL FAILOVER", (&[], &[]), Captured),
    row(
        (0x8650_BE3F, "ECH_CHAN_RCVRY"),
        (Hardware, Informational),
        "ETHERCHANNEL RECOVERY",
        (&[], &[]),
        Captured,
    ),
];

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// Sequence number, from 1, never used twice.
    pub sequence: u64,
    /// When, in seconds since 1970 UTC.
    pub seconds: i64,
    /// Template.
    pub template: ErrorTemplate,
    /// Resource that it is about (`hdisk3`, `errdemon`).
    pub resource: String,
    /// Location code of the resource; empty where it has none.
    pub location: String,
    /// Detail data: title and text lines.
    pub details: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_has_its_row() {
        let mut identifiers = std::collections::BTreeSet::new();
        for (number, template) in ErrorTemplate::ALL.iter().enumerate() {
            assert_eq!(*template as usize, number);
            assert!(identifiers.insert(template.row().identifier), "{template:?}");
        }
        assert_eq!(ErrorTemplate::ALL.len(), TABLE.len());
        assert_eq!(ErrorTemplate::PathFailed.row().label, "SC_DISK_ERR7");
        assert_eq!(ErrorTemplate::MigrationCompleted.row().identifier, 0x3EB0_9F5A);
    }
}
