//! What a guest says it is: machine id, operating system names and levels.

use std::net::Ipv4Addr;

use varan_contract::engine::{EngineEventKind, OperatingSystemReport, Personality};
use varan_model::ids::{MacAddress, VirtualSlot};

use super::error_log::errors;
use super::{Guest, Moment};
use crate::disk::Network;

impl Guest {
    pub(super) fn level(&self) -> &str {
        let installed = self.configuration.as_ref().map(|configuration| configuration.level.as_str());
        installed.unwrap_or(&self.specification.installation.level)
    }

    pub(super) fn hostname(&self) -> &str {
        let installed = self.configuration.as_ref().map(|configuration| configuration.hostname.as_str());
        installed.unwrap_or(&self.specification.installation.hostname)
    }

    /// AIX version and release (`7`, `1`), from `7100-03-05-1524` or from the AIX under a VIOS level.
    pub(super) fn aix_version(&self) -> (char, char) {
        let level = self.level();
        if self.personality() == Personality::VirtualIoServer {
            return match level.chars().next() {
                Some('2') => ('6', '1'),
                Some('4') => ('7', '3'),
                _ => ('7', '2'),
            };
        }
        let mut digits = level.chars();
        (digits.next().unwrap_or('7'), digits.next().unwrap_or('1'))
    }

    /// Distribution name and version of a Linux, from the suffix of its kernel's release.
    pub(super) fn linux_distribution(&self) -> (&'static str, String) {
        let level = self.level();
        match level.split_once(".el") {
            Some((_, rest)) => {
                let version: String = rest
                    .chars()
                    .take_while(|character| character.is_ascii_digit() || *character == '_')
                    .collect();
                ("Red Hat", version.replace('_', "."))
            }
            None if level.contains("default") => ("SuSE", String::new()),
            None if level.contains("generic") => ("Ubuntu", String::new()),
            None => ("", String::new()),
        }
    }

    fn system_names(&self) -> (String, String) {
        let level = self.level();
        match self.personality() {
            Personality::Aix => {
                let (version, release) = self.aix_version();
                ("AIX".to_owned(), format!("AIX {version}.{release} {level}"))
            }
            Personality::VirtualIoServer => ("VIOS".to_owned(), format!("VIOS {level}")),
            Personality::IbmI => ("IBM i".to_owned(), format!("IBM i {level}")),
            Personality::Linux => {
                let (distribution, version) = self.linux_distribution();
                let name = if distribution.is_empty() {
                    "Linux".to_owned()
                } else {
                    format!("Linux/{distribution}")
                };
                let text = format!("{name} {level} {version}").trim_end().to_owned();
                (name, text)
            }
        }
    }

    /// The configured address: adapter slot, address, prefix length.
    pub(super) fn address(&self) -> Option<(VirtualSlot, Ipv4Addr, u8)> {
        let (slot, offered, _) = self.primary_adapter()?;
        let (address, prefix) = match self.configuration.as_ref()?.network {
            Network::Fixed(address, prefix) => (address, prefix),
            Network::Dhcp => offered?,
            Network::Unconfigured => return None,
        };
        Some((slot, address, prefix))
    }

    /// Tells the console's RMC who is there.
    pub(super) fn report(&mut self) {
        let (name, version) = self.system_names();
        let node_id = self.configuration.as_ref().map_or(0, |configuration| configuration.rsct_node_id);
        self.event(EngineEventKind::OperatingSystem(OperatingSystemReport {
            name,
            version,
            hostname: self.hostname().to_owned(),
            addresses: self.reported_addresses(),
            rsct_node_id: format!("{node_id:016x}"),
            rmc_running: self.rmc_runs(),
            rmc_sessions: self.rmc_sessions(),
        }));
    }

    pub(super) fn machine_id(&self) -> u64 {
        self.specification.machine.machine_id()
    }

    /// Appends to the error log. Only AIX and VIOS have one.
    pub(super) fn log_error(&mut self, now: Moment, identifier: u32) {
        self.log_error_of(now, identifier, None, None);
    }

    /// Logs an error of a disk.
    pub(super) fn log_disk_error(&mut self, now: Moment, identifier: u32, disk: &str) {
        self.log_error_of(now, identifier, Some(disk.to_owned()), None);
    }

    /// Logs what became of the link of a virtual NIC: physical link, logical link, its address.
    pub(super) fn log_link(
        &mut self,
        now: Moment,
        identifier: u32,
        device: String,
        (physical, logical, address): (bool, bool, Option<MacAddress>),
    ) {
        let word = |up: bool| if up { "UP" } else { "DOWN" };
        let address = address.map_or_else(String::new, |address| format!("{:012X}", address.0));
        let groups: Vec<&str> = (0..3).filter_map(|at| address.get(4 * at..4 * at + 4)).collect();
        let (physical, logical) = (word(physical), word(logical));
        let detail =
            format!("MAC ADDRESS\n{}\nphysical link: {physical}   logical link: {logical}", groups.join(" "));
        self.log_error_of(now, identifier, Some(device), Some(detail));
        self.save();
    }

    fn log_error_of(
        &mut self,
        now: Moment,
        identifier: u32,
        resource: Option<String>,
        detail: Option<String>,
    ) {
        if !matches!(self.personality(), Personality::Aix | Personality::VirtualIoServer) {
            return;
        }
        let machine = self.machine_id();
        if let Some(configuration) = &mut self.configuration {
            configuration.log_error_of(identifier, now.wall.seconds(), machine, (resource, detail));
        }
    }

    /// Device configuration and first error log entries of a boot, before the disk is written.
    pub(super) fn record_boot(&mut self, now: Moment) {
        let identity = (self.specification.machine.clone(), self.specification.id);
        let last = self.configuration.as_ref().and_then(|configuration| configuration.last_identity.clone());
        let changed = last.as_ref().is_some_and(|last| *last != identity);
        let partition_changed = last.is_some_and(|last| last.1 != identity.1);
        let aix = matches!(self.personality(), Personality::Aix | Personality::VirtualIoServer);
        self.log_error(now, errors::LOGGING_TURNED_ON);
        if let Some(configuration) = &mut self.configuration {
            configuration.last_identity = Some(identity);
            if changed && aix && configuration.ghostdev {
                configuration.recreate_odm();
            }
        }
        if partition_changed {
            // Subsystems that start with the old identity end once and are started again.
            self.log_error(now, errors::PARTITION_ID_CHANGED);
            self.log_error(now, errors::SUBSYSTEM_INFORMATION);
            self.log_error(now, errors::SUBSYSTEM_INFORMATION);
            self.log_error(now, errors::SUBSYSTEM_ERROR);
        }
        self.configure_devices();
        self.log_error(now, errors::RMC_STARTED);
    }
}
