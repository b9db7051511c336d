//! The AIX error log: the entries that this guest makes, and `errpt`.

use super::Guest;
use super::date::Date;
use crate::disk::ErrorLogEntry;

/// Identifiers of error log entries, as AIX defines them.
pub(super) mod errors {
    pub const LOGGING_TURNED_ON: u32 = 0x9DBC_FDEE;
    pub const LOGGING_TURNED_OFF: u32 = 0x192A_C071;
    pub const SHUTDOWN_BY_USER: u32 = 0x2BFA_76F6;
    pub const RMC_STARTED: u32 = 0xA6DF_45AA;
    pub const PARTITION_ID_CHANGED: u32 = 0xD872_C399;
    pub const SUBSYSTEM_INFORMATION: u32 = 0xCB4A_951F;
    pub const SUBSYSTEM_ERROR: u32 = 0x1BA7_DF4E;
    pub const PATH_FAILED: u32 = 0xDE3B_8540;
    pub const PATH_RECOVERED: u32 = 0xA6F5_AE7C;
    pub const DISK_ERROR: u32 = 0xDCB4_7997;
    pub const VIRTUAL_NIC_LINK_UP: u32 = 0x4FB9_389C;
    pub const VIRTUAL_NIC_LINK_DOWN: u32 = 0xF655_DA07;
}

struct Template {
    identifier: u32,
    label: &'static str,
    /// T temporary, P permanent, I informational.
    kind: char,
    /// O operator (errlogger and the like), S software.
    class: char,
    resource: &'static str,
    description: &'static str,
    causes: &'static str,
}

const TEMPLATES: &[Template] = &[
    Template {
        identifier: errors::LOGGING_TURNED_ON,
        label: "ERRLOG_ON",
        kind: 'T',
        class: 'O',
        resource: "errdemon",
        description: "ERROR LOGGING TURNED ON",
        causes: "ERRDEMON STARTED AUTOMATICALLY",
    },
    Template {
        identifier: errors::LOGGING_TURNED_OFF,
        label: "ERRLOG_OFF",
        kind: 'T',
        class: 'O',
        resource: "errdemon",
        description: "ERROR LOGGING TURNED OFF",
        causes: "ERRSTOP COMMAND",
    },
    Template {
        identifier: errors::SHUTDOWN_BY_USER,
        label: "REBOOT_ID",
        kind: 'T',
        class: 'S',
        resource: "SYSPROC",
        description: "SYSTEM SHUTDOWN BY USER",
        causes: "SYSTEM SHUTDOWN",
    },
    Template {
        identifier: errors::RMC_STARTED,
        label: "RMCD_INFO_0_ST",
        kind: 'I',
        class: 'O',
        resource: "RMCdaemon",
        description: "The daemon is started.",
        causes: "The Resource Monitoring and Control daemon has been started.",
    },
    Template {
        identifier: errors::PARTITION_ID_CHANGED,
        label: "PARTID_CHANGED",
        kind: 'I',
        class: 'O',
        resource: "sys0",
        description: "Partition ID changed and devices recreat",
        causes: "The partition was started with another partition ID.",
    },
    Template {
        identifier: errors::SUBSYSTEM_INFORMATION,
        label: "SRC_RSTRT",
        kind: 'I',
        class: 'S',
        resource: "SRC",
        description: "SOFTWARE PROGRAM ERROR",
        causes: "APPLICATION PROGRAM",
    },
    Template {
        identifier: errors::PATH_FAILED,
        label: "SC_DISK_ERR7",
        kind: 'P',
        class: 'H',
        resource: "hdisk",
        description: "PATH HAS FAILED",
        causes: "ADAPTER HARDWARE OR CABLE",
    },
    Template {
        identifier: errors::PATH_RECOVERED,
        label: "SC_DISK_PCM_ERR9",
        kind: 'I',
        class: 'H',
        resource: "hdisk",
        description: "PATH HAS RECOVERED",
        causes: "UNDETERMINED",
    },
    Template {
        identifier: errors::DISK_ERROR,
        label: "SC_DISK_ERR4",
        kind: 'T',
        class: 'H',
        resource: "hdisk",
        description: "DISK OPERATION ERROR",
        causes: "MEDIA",
    },
    Template {
        identifier: errors::VIRTUAL_NIC_LINK_UP,
        label: "VNIC_LINK_UP",
        kind: 'I',
        class: 'S',
        resource: "ent",
        description: "VNIC Link Up",
        causes: "VNIC Link Up",
    },
    Template {
        identifier: errors::VIRTUAL_NIC_LINK_DOWN,
        label: "VNIC_LINK_DOWN",
        kind: 'I',
        class: 'S',
        resource: "ent",
        description: "VNIC Link Down",
        causes: "VNIC Link Down",
    },
    Template {
        identifier: errors::SUBSYSTEM_ERROR,
        label: "SRC_SVKO",
        kind: 'P',
        class: 'S',
        resource: "SRC",
        description: "SOFTWARE PROGRAM ERROR",
        causes: "APPLICATION PROGRAM",
    },
];

fn template(identifier: u32) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.identifier == identifier)
}

const USAGE: &str = "Usage: errpt [-a] [-j identifier[,identifier]]\n";

const SEPARATOR: &str = "---------------------------------------------------------------------------\n";

impl Guest {
    /// `errpt`, `errpt -a`, `errpt -j ID`, `errpt -aj ID`.
    pub(super) fn errpt(&self, arguments: &[&str]) -> String {
        let mut detailed = false;
        let mut wanted: Option<Vec<u32>> = None;
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let Some(flags) = argument.strip_prefix('-').filter(|flags| !flags.is_empty()) else {
                return USAGE.to_owned();
            };
            for (position, flag) in flags.char_indices() {
                match flag {
                    'a' => detailed = true,
                    'j' => {
                        let attached = &flags[position + 1..];
                        let list = if attached.is_empty() { rest.next().copied() } else { Some(attached) };
                        let identifiers: Option<Vec<u32>> = list.and_then(|list| {
                            list.split(',').map(|one| u32::from_str_radix(one, 16).ok()).collect()
                        });
                        let Some(identifiers) = identifiers else {
                            return USAGE.to_owned();
                        };
                        wanted = Some(identifiers);
                        break;
                    }
                    _ => return USAGE.to_owned(),
                }
            }
        }
        self.error_report(detailed, wanted.as_deref())
    }

    fn error_report(&self, detailed: bool, wanted: Option<&[u32]>) -> String {
        let log = self.configuration.as_ref().map_or(&[][..], |configuration| &configuration.error_log);
        let entries =
            log.iter().rev().filter(|entry| wanted.is_none_or(|list| list.contains(&entry.identifier)));
        let described = entries.filter_map(|entry| Some((entry, template(entry.identifier)?)));
        let mut text = String::new();
        for (entry, template) in described {
            if detailed {
                text.push_str(SEPARATOR);
                text.push_str(&self.detailed_entry(entry, template));
                continue;
            }
            if text.is_empty() {
                text.push_str("IDENTIFIER TIMESTAMP  T C RESOURCE_NAME  DESCRIPTION\n");
            }
            text.push_str(&format!(
                "{:08X}   {} {} {} {:<14} {}\n",
                entry.identifier,
                Date::from_seconds(entry.seconds).error_log_stamp(),
                template.kind,
                template.class,
                entry.resource.as_deref().unwrap_or(template.resource),
                template.description
            ));
        }
        text
    }

    fn detailed_entry(&self, entry: &ErrorLogEntry, template: &Template) -> String {
        let date = Date::from_seconds(entry.seconds);
        let kind = match template.kind {
            'P' => "PERM",
            'I' => "INFO",
            _ => "TEMP",
        };
        format!(
            "LABEL:\t\t{}\nIDENTIFIER:\t{:08X}\n\nDate/Time:       {} {} {:2} {:02}:{:02}:{:02} {}\n\
             Sequence Number: {}\nMachine Id:      {:012X}\nNode Id:         {}\nClass:           {}\n\
             Type:            {kind}\nWPAR:            Global\nResource Name:   {}\n\n\
             Description\n{}\n\nProbable Causes\n{}\n\n{}",
            template.label,
            entry.identifier,
            date.weekday_name(),
            date.month_name(),
            date.day,
            date.hour,
            date.minute,
            date.second,
            date.year,
            entry.sequence,
            entry.machine,
            self.hostname(),
            template.class,
            entry.resource.as_deref().unwrap_or(template.resource),
            template.description,
            template.causes,
            entry.detail.as_ref().map_or_else(String::new, |detail| format!("Detail Data\n{detail}\n"))
        )
    }
}
