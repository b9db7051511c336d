//! Commands about devices: `lsdev`, `lscfg`, `lsslot`, `rmdev`, `mkdev`, `cfgmgr`.

use varan_contract::engine::{AdapterAddress, Personality};

use super::adapters::{Adapter, Device};
use super::shell::{Reply, text};
use super::{Guest, Moment};

fn not_found(command: &str, name: &str) -> Reply {
    text(format!(
        "{command}: 0514-519 The following device was not found in the customized\n\tdevice configuration database:\n\t{name}\n"
    ))
}

impl Guest {
    fn adapter_of(&self, device: &Device) -> Option<Adapter<'_>> {
        if device.present { self.adapter_at(device.address, device.index) } else { None }
    }

    fn description_of(&self, device: &Device) -> String {
        self.adapter_of(device).map_or_else(|| "N/A".to_owned(), |adapter| adapter.description().to_owned())
    }

    /// Location code of a device, with its port.
    pub(super) fn device_location(&self, device: &Device) -> String {
        match self.adapter_of(device) {
            Some(Adapter::EthernetPort(_, port, _)) => port.location.clone(),
            Some(Adapter::LogicalPort(port)) => port.location.clone(),
            _ => format!("{}-T1", self.location(device.address)),
        }
    }

    fn device(&self, name: &str) -> Option<Device> {
        self.devices().into_iter().find(|device| device.name == name)
    }

    fn device_lines(&self, devices: &[Device]) -> String {
        let width = devices.iter().map(|device| device.name.len()).max().unwrap_or(0);
        let line = |device: &Device| {
            let state = if device.available { "Available" } else { "Defined" };
            format!("{:width$} {state:9}   {}\n", device.name, self.description_of(device))
        };
        devices.iter().map(line).collect()
    }

    /// AIX's `lsdev`.
    pub(super) fn lsdev(&self, arguments: &[&str]) -> Reply {
        match arguments {
            ["-Cc", "disk"] | ["-C", "-c", "disk"] | ["-c", "disk"] => self.lsdev_disks(),
            [] | ["-C"] | ["-Cc", "adapter"] | ["-C", "-c", "adapter"] | ["-c", "adapter"] => {
                text(self.device_lines(&self.devices()))
            }
            ["-Cl", name] | ["-C", "-l", name] | ["-l", name] => match self.device(name) {
                Some(device) => text(self.device_lines(&[device])),
                None => not_found("lsdev", name),
            },
            _ => text("Usage: lsdev [-C] [-c adapter | -c disk | -l Name]\n"),
        }
    }

    /// The Virtual I/O Server's `lsdev`.
    pub(super) fn lsdev_padmin(&self, arguments: &[&str]) -> Reply {
        let mut devices = self.devices();
        match arguments {
            [] | ["-type", "adapter"] => {}
            ["-virtual"] => {
                devices.retain(|device| matches!(device.address, AdapterAddress::Virtual(_)));
            }
            ["-dev", name] => {
                let Some(device) = self.device(name) else { return not_found("lsdev", name) };
                devices = vec![device];
            }
            _ => return text("Usage: lsdev [-type adapter | -virtual | -dev Name]\n"),
        }
        let line = |device: &Device| {
            let state = if device.available { "Available" } else { "Defined" };
            format!("{:15} {state:11} {}\n", device.name, self.description_of(device))
        };
        let lines: String = devices.iter().map(line).collect();
        text(format!("{:15} {:11} {}\n{lines}", "name", "status", "description"))
    }

    /// `lscfg`, `lscfg -l NAME`, `lscfg -vl NAME`.
    pub(super) fn lscfg(&self, arguments: &[&str]) -> Reply {
        let line = |device: &Device| {
            let location = self.device_location(device);
            format!("  {:16} {location:30}  {}\n", device.name, self.description_of(device))
        };
        match arguments {
            [] => text(self.devices().iter().map(line).collect::<String>()),
            ["-l", name] => match self.device(name) {
                Some(device) => text(line(&device)),
                None => not_found("lscfg", name),
            },
            ["-vl" | "-vpl", name] | ["-v", "-l", name] => {
                let Some(device) = self.device(name) else { return not_found("lscfg", name) };
                let mut lines = line(&device);
                lines.push('\n');
                let address = match self.adapter_of(&device) {
                    Some(Adapter::Device(adapter)) => {
                        adapter.port_name.map(|name| name.to_string().to_uppercase())
                    }
                    Some(adapter) => adapter.mac_address().map(|address| address.to_string().to_uppercase()),
                    None => None,
                };
                if let Some(address) = address {
                    lines.push_str(&format!("        Network Address.............{address}\n"));
                }
                lines.push_str(&format!(
                    "        Hardware Location Code......{}\n\n",
                    self.device_location(&device)
                ));
                text(lines)
            }
            _ => text("Usage: lscfg [-v] [-p] [-l Name]\n"),
        }
    }

    /// `lsslot -c slot`: every virtual slot, also those without a device yet.
    pub(super) fn lsslot(&self, arguments: &[&str]) -> Reply {
        if arguments != ["-c", "slot"] {
            return text("Usage: lsslot -c slot\n");
        }
        let devices = self.devices();
        let mut lines = "# Slot                    Description       Device(s)\n".to_owned();
        for adapter in self.hardware() {
            let address = adapter.address();
            let at = |device: &&Device| {
                device.present && device.address == address && device.index == adapter.index()
            };
            let device = devices.iter().find(at);
            let kind = match address {
                AdapterAddress::Virtual(_) => "Virtual I/O Slot",
                AdapterAddress::Physical(_) => "PCI-E slot",
                AdapterAddress::LogicalPort(_) => "Logical PCI-E slot",
            };
            let name = device.map_or("Unknown", |device| device.name.as_str());
            lines.push_str(&format!("{:25} {kind:17} {name}\n", self.location(address)));
        }
        text(lines)
    }

    /// `cfgmgr` and `cfgdev`: every adapter that is there gets an Available device.
    pub(super) fn cfgmgr(&mut self, now: Moment) -> Reply {
        let changed = self.configure_devices();
        self.configure_storage(now);
        self.attach_interfaces(now);
        if changed.is_empty() {
            return text("");
        }
        Reply::Durable { text: String::new(), report: true }
    }

    /// `mkdev -l NAME`: a Defined device becomes Available.
    pub(super) fn mkdev(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let ["-l", name] = arguments else { return text("Usage: mkdev -l Name\n") };
        let Some(device) = self.device(name) else { return not_found("mkdev", name) };
        if !device.present {
            return text(format!(
                "Method error (/usr/lib/methods/cfg{}):\n\t0514-040 Error initializing a device into the kernel.\n",
                name.trim_end_matches(char::is_numeric)
            ));
        }
        if let Some(configuration) = &mut self.configuration {
            configuration.defined.retain(|defined| defined != name);
        }
        self.attach_interfaces(now);
        Reply::Durable { text: format!("{name} Available\n"), report: true }
    }

    /// `rmdev -l NAME` and `rmdev -dl NAME`; padmin's `rmdev -dev NAME [-ucfg]`.
    pub(super) fn rmdev(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let (name, delete) = match arguments {
            ["-l", name] | ["-Rl", name] | ["-R", "-l", name] => (*name, false),
            ["-dl" | "-Rdl" | "-dRl", name] | ["-d", "-l", name] | ["-l", name, "-d"] => (*name, true),
            ["-dev", name] | ["-dev", name, "-recursive"] => (*name, true),
            ["-dev", name, "-ucfg"] => (*name, false),
            _ => return text("Usage: rmdev [-d] [-R] -l Name\n"),
        };
        let Some(device) = self.device(name) else { return not_found("rmdev", name) };
        let interface =
            self.address().is_some() && self.primary_adapter().is_some_and(|(_, _, primary)| primary == name);
        let interface = self.is_attached(name).unwrap_or(interface);
        if device.available && interface {
            return text(format!(
                "Method error (/usr/lib/methods/ucfgent):\n\t0514-062 Cannot perform the requested function because the\n\t         specified device is busy.\n{name}\n"
            ));
        }
        if delete {
            self.delete_devices(&[name.to_owned()]);
            self.attach_interfaces(now);
            return Reply::Durable { text: format!("{name} deleted\n"), report: true };
        }
        if let Some(configuration) = &mut self.configuration
            && !configuration.defined.iter().any(|defined| defined == name)
        {
            configuration.defined.push(name.to_owned());
        }
        self.attach_interfaces(now);
        Reply::Durable { text: format!("{name} Defined\n"), report: true }
    }

    /// `ifconfig INTERFACE detach`: the address of the first interface goes.
    pub(super) fn detach(&mut self, interface: &str) -> Reply {
        if self.personality() == Personality::Linux || self.first_interface().as_deref() != Some(interface) {
            return text(format!("0821-555 ioctl (SIOCIFDETACH).: The device {interface} does not exist.\n"));
        }
        if let Some(configuration) = &mut self.configuration {
            configuration.network = crate::disk::Network::Unconfigured;
        }
        Reply::Durable { text: String::new(), report: true }
    }
}
