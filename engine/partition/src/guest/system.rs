//! Commands that show and change the system: attributes, levels, allocation, addresses.

use std::net::Ipv4Addr;

use varan_contract::engine::Personality;

use super::shell::{Reply, text};
use super::{Guest, Moment};
use crate::disk::{Network, ODM_ATTRIBUTES, OdmInterface};

/// Longest value of an attribute.
const VALUE_BYTES: usize = 128;

/// Attributes of sys0 that are kept on the boot disk: name, default, description.
const SYS0_ATTRIBUTES: &[(&str, &str, &str)] = &[
    ("autorestart", "true", "Automatically REBOOT OS after a crash"),
    ("fullcore", "false", "Enable full CORE dump"),
    ("iostat", "false", "Continuously maintain DISK I/O history"),
    ("maxpout", "8193", "HIGH water mark for pending write I/Os per file"),
    ("maxuproc", "128", "Maximum number of PROCESSES allowed per user"),
    ("minpout", "4096", "LOW water mark for pending write I/Os per file"),
];

const GHOSTDEV: &str = "Recreate ODM devices on system change / modify PVID";

struct Attribute {
    name: String,
    value: String,
    description: &'static str,
    settable: bool,
}

impl Attribute {
    fn fixed(name: &str, value: String, description: &'static str) -> Self {
        Self { name: name.to_owned(), value, description, settable: false }
    }
}

fn netmask(prefix: u8) -> Ipv4Addr {
    let bits = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    Ipv4Addr::from(bits)
}

fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    let bits = u32::from(mask);
    (bits.leading_ones() + bits.trailing_zeros() == 32).then_some(bits.leading_ones() as u8)
}

impl Guest {
    fn sys0(&self) -> Vec<Attribute> {
        let machine = &self.specification.machine;
        let stored = self.configuration.as_ref();
        let mut attributes: Vec<Attribute> = SYS0_ATTRIBUTES
            .iter()
            .map(|(name, default, description)| {
                let changed = stored
                    .and_then(|stored| stored.attributes.iter().find(|(known, _)| known == name))
                    .map(|(_, value)| value.clone());
                Attribute {
                    name: (*name).to_owned(),
                    value: changed.unwrap_or_else(|| (*default).to_owned()),
                    description,
                    settable: true,
                }
            })
            .collect();
        attributes.push(Attribute {
            name: "ghostdev".to_owned(),
            value: u8::from(stored.is_some_and(|stored| stored.ghostdev)).to_string(),
            description: GHOSTDEV,
            settable: true,
        });
        let serial = format!("IBM,02{}", machine.serial_number);
        let model = format!("IBM,{}", machine.type_model);
        let memory = (self.memory.size() / 1024).to_string();
        attributes.push(Attribute::fixed("modelname", model, "Machine name"));
        attributes.push(Attribute::fixed("realmem", memory, "Amount of usable physical memory in Kbytes"));
        attributes.push(Attribute::fixed("systemid", serial, "Hardware system identifier"));
        attributes.sort_by(|left, right| left.name.cmp(&right.name));
        attributes
    }

    fn interface_attributes(&self, device: &str) -> Vec<Attribute> {
        let address = self.configured_address(device);
        let settable = |name: &str, value: String, description| Attribute {
            name: name.to_owned(),
            value,
            description,
            settable: true,
        };
        let (netaddr, mask) = match address {
            Some((address, prefix)) => (address.to_string(), netmask(prefix).to_string()),
            None => (String::new(), String::new()),
        };
        let state = if address.is_some() { "up" } else { "down" };
        vec![
            settable("netaddr", netaddr, "Internet Address"),
            settable("netmask", mask, "Subnet Mask"),
            settable("state", state.to_owned(), "Current Interface Status"),
        ]
    }

    fn attributes_of(&self, device: &str) -> Option<Vec<Attribute>> {
        match device {
            "sys0" => Some(self.sys0()),
            "inet0" => {
                let gateway = self.configuration.as_ref().and_then(|configuration| configuration.gateway);
                let route =
                    gateway.map_or_else(String::new, |gateway| format!("net,-hopcount,0,,0,{gateway}"));
                let attribute = |name: &str, value: String, description| Attribute {
                    name: name.to_owned(),
                    value,
                    description,
                    settable: true,
                };
                let hostname = attribute("hostname", self.hostname().to_owned(), "Host Name");
                Some(vec![hostname, attribute("route", route, "Route")])
            }
            _ if self.device_of_interface(device).is_some() => {
                Some(self.interface_attributes(&self.device_of_interface(device)?))
            }
            _ => {
                let attributes = self.disk_attributes(device)?.into_iter();
                let attribute = |(name, value, description, settable): (&str, String, _, _)| Attribute {
                    name: name.to_owned(),
                    value,
                    description,
                    settable,
                };
                Some(attributes.map(attribute).collect())
            }
        }
    }

    /// `lsattr -El DEVICE [-a ATTRIBUTE]`, with columns as wide as their widest content.
    pub(super) fn lsattr(&self, arguments: &[&str]) -> String {
        let (device, wanted) = match arguments {
            ["-El", device] | ["-E", "-l", device] => (*device, None),
            ["-El", device, "-a", name] | ["-E", "-l", device, "-a", name] => (*device, Some(*name)),
            _ => return "usage: lsattr -El Name [-a Attribute]\n".to_owned(),
        };
        let Some(mut attributes) = self.attributes_of(device) else {
            return format!(
                "lsattr: 0514-519 The following device was not found in the customized\n\tdevice configuration database:\n\t{device}\n"
            );
        };
        if let Some(wanted) = wanted {
            attributes.retain(|attribute| attribute.name == wanted);
            if attributes.is_empty() {
                return format!(
                    "lsattr: 0514-528 The \"{wanted}\" attribute does not exist in the\n\tpredefined device configuration database.\n"
                );
            }
        }
        let width = |length: fn(&Attribute) -> usize| attributes.iter().map(length).max().unwrap_or(0);
        let name_width = width(|attribute| attribute.name.len());
        let value_width = width(|attribute| attribute.value.len());
        let description_width = width(|attribute| attribute.description.len());
        let line = |attribute: &Attribute| {
            format!(
                "{:name_width$} {:value_width$} {:description_width$} {}\n",
                attribute.name,
                attribute.value,
                attribute.description,
                if attribute.settable { "True" } else { "False" }
            )
        };
        attributes.iter().map(line).collect()
    }

    /// `chdev -l DEVICE -a ATTRIBUTE=VALUE ...`: all or nothing.
    pub(super) fn chdev(&mut self, now: Moment, arguments: &[&str]) -> Reply {
        let ["-l", device, rest @ ..] = arguments else {
            return text("Usage: chdev -l Name -a Attribute=Value ...\n");
        };
        let pairs: Option<Vec<(&str, &str)>> = rest
            .chunks(2)
            .map(|pair| match pair {
                ["-a", assignment] => assignment.split_once('='),
                _ => None,
            })
            .collect();
        let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) else {
            return text("Usage: chdev -l Name -a Attribute=Value ...\n");
        };
        let Some(attributes) = self.attributes_of(device) else {
            return text(format!("chdev: 0514-519 The device {device} was not found.\n"));
        };
        let Some(before) = self.configuration.clone() else {
            return text("");
        };
        for (name, value) in pairs {
            let settable = attributes.iter().any(|attribute| attribute.name == name && attribute.settable);
            let valid = value.len() <= VALUE_BYTES && self.set_attribute(now, device, name, value);
            if !settable || !valid {
                self.configuration = Some(before);
                return text(format!(
                    "Method error (/usr/lib/methods/chg{device}):\n\t0514-018 The values specified for the following attributes \n\t         are not valid:\n     {name}\n"
                ));
            }
        }
        let report = *device != "sys0";
        if let Some(ethernet) = self.device_of_interface(device) {
            self.apply_configuration(now, &ethernet);
        }
        Reply::Durable { text: format!("{device} changed\n"), report }
    }

    fn set_attribute(&mut self, now: Moment, device: &str, name: &str, value: &str) -> bool {
        if name == "hcheck_interval" {
            return self.set_health_check(now, device, value);
        }
        let present = self.address();
        let ethernet = self.device_of_interface(device);
        let primary = self.primary_adapter().map(|(_, _, primary)| primary);
        if let Some(ethernet) = ethernet.filter(|ethernet| Some(ethernet) != primary.as_ref()) {
            return self.set_further_interface(&ethernet, name, value);
        }
        let Some(configuration) = &mut self.configuration else {
            return false;
        };
        match (device, name) {
            ("sys0", "ghostdev") => match value {
                "0" | "1" => configuration.ghostdev = value == "1",
                _ => return false,
            },
            ("sys0", _) => {
                if !SYS0_ATTRIBUTES.iter().any(|(known, _, _)| *known == name) || value.is_empty() {
                    return false;
                }
                configuration.attributes.retain(|(known, _)| known != name);
                if configuration.attributes.len() >= ODM_ATTRIBUTES {
                    return false;
                }
                configuration.attributes.push((name.to_owned(), value.to_owned()));
            }
            ("inet0", "route") => {
                // `net,-hopcount,0,,0,GATEWAY`, as `mktcpip` and `smitty route` write it.
                let gateway = value.rsplit(',').next().and_then(|gateway| gateway.parse().ok());
                if !value.starts_with("net,") || gateway.is_none() {
                    return false;
                }
                configuration.gateway = gateway;
            }
            ("inet0", "hostname") => {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
                if value.is_empty() || !value.bytes().all(allowed) {
                    return false;
                }
                configuration.hostname = value.to_owned();
            }
            (_, "netaddr") => match (value.parse(), configuration.network) {
                (Ok(address), Network::Fixed(_, prefix)) => {
                    configuration.network = Network::Fixed(address, prefix);
                }
                (Ok(address), _) => {
                    let prefix = present.map_or(24, |(_, _, prefix)| prefix);
                    configuration.network = Network::Fixed(address, prefix);
                }
                (Err(_), _) => return false,
            },
            (_, "netmask") => {
                let mask = value.parse().ok().and_then(prefix_of);
                match (mask, configuration.network, present) {
                    (Some(prefix), Network::Fixed(address, _), _)
                    | (Some(prefix), _, Some((_, address, _))) => {
                        configuration.network = Network::Fixed(address, prefix);
                    }
                    _ => return false,
                }
            }
            (_, "state") => match value {
                "up" => {}
                "down" | "detach" => configuration.network = Network::Unconfigured,
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    /// The Ethernet device in use below an AIX interface.
    fn device_of_interface(&self, interface: &str) -> Option<String> {
        let number = interface.strip_prefix("en").filter(|number| number.parse::<u16>().is_ok())?;
        let wanted = format!("ent{number}");
        self.ethernet_devices().into_iter().map(|(device, _)| device.name).find(|name| *name == wanted)
    }

    /// Sets an attribute of an interface that is not the first one.
    fn set_further_interface(&mut self, device: &str, name: &str, value: &str) -> bool {
        let present = self.configured_address(device);
        let Some(configuration) = &mut self.configuration else { return false };
        let next = match (name, value) {
            ("netaddr", value) => match value.parse() {
                Ok(address) => Some((address, present.map_or(24, |(_, prefix)| prefix))),
                Err(_) => return false,
            },
            ("netmask", value) => match (value.parse().ok().and_then(prefix_of), present) {
                (Some(prefix), Some((address, _))) => Some((address, prefix)),
                _ => return false,
            },
            ("state", "up") => present,
            ("state", "down" | "detach") => None,
            _ => return false,
        };
        configuration.interfaces.retain(|interface| interface.device != device);
        if let Some((address, prefix)) = next {
            configuration.interfaces.push(OdmInterface { device: device.to_owned(), address, prefix });
        }
        true
    }

    /// Name of the interface of the first adapter: `en0` on `ent0`.
    pub(super) fn first_interface(&self) -> Option<String> {
        Some(self.primary_adapter()?.2.replacen("ent", "en", 1))
    }

    /// The `oslevel -s` of the AIX, or of the AIX under a VIOS as far as its level tells.
    pub(super) fn aix_level(&self) -> String {
        if self.personality() == Personality::VirtualIoServer {
            let (version, release) = self.aix_version();
            return format!("{version}{release}00-00-00-0000");
        }
        self.level().to_owned()
    }

    pub(super) fn uname(&self, flags: &[&str]) -> Reply {
        let linux = self.personality() == Personality::Linux;
        let machine = &self.specification.machine;
        let node = self.hostname().to_owned();
        let (system, release, version, hardware) = if linux {
            let version = "#1 SMP".to_owned();
            ("Linux", self.level().to_owned(), version, "ppc64le".to_owned())
        } else {
            let (version, release) = self.aix_version();
            ("AIX", release.to_string(), version.to_string(), format!("{:012X}", self.machine_id()))
        };
        let value = match flags {
            [] | ["-s"] => system.to_owned(),
            ["-n"] => node,
            ["-r"] => release,
            ["-v"] => version,
            ["-m"] => hardware,
            ["-a"] if linux => {
                format!("{system} {node} {release} {version} {hardware} {hardware} {hardware} GNU/Linux")
            }
            ["-a"] => format!("{system} {node} {release} {version} {hardware}"),
            ["-M"] if !linux => format!("IBM,{}", machine.type_model),
            ["-L"] if !linux => format!("{} {}", self.specification.id, self.specification.name),
            ["-u"] if !linux => format!("IBM,02{}", machine.serial_number),
            ["-p"] if !linux => "powerpc".to_owned(),
            _ => return text("Usage: uname [-a] [-m] [-n] [-r] [-s] [-v] [-M] [-L] [-u] [-p]\n"),
        };
        text(format!("{value}\n"))
    }

    pub(super) fn os_release(&self) -> String {
        let (distribution, version) = self.linux_distribution();
        match distribution {
            "Red Hat" => format!(
                "NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"{version}\"\nID=\"rhel\"\nVERSION_ID=\"{version}\"\n\
                 PRETTY_NAME=\"Red Hat Enterprise Linux {version}\"\n"
            ),
            "SuSE" => "NAME=\"SLES\"\nID=\"sles\"\n".to_owned(),
            "Ubuntu" => "NAME=\"Ubuntu\"\nID=ubuntu\n".to_owned(),
            _ => "NAME=\"Linux\"\nID=linux\n".to_owned(),
        }
    }

    /// `lparstat -i`, from the present allocation.
    pub(super) fn lparstat(&self) -> String {
        let specification = &self.specification;
        let processors = &self.processors;
        let shared = !processors.dedicated;
        let units = |hundredths: u32| format!("{}.{:02}", hundredths / 100, hundredths % 100);
        let mode = match (processors.dedicated, processors.uncapped) {
            (false, true) => "Uncapped",
            _ => "Capped",
        };
        let weight = if shared { processors.uncapped_weight.to_string() } else { "-".to_owned() };
        let kind = if shared { "Shared-SMT" } else { "Dedicated-SMT" };
        let rows = [
            ("Node Name", self.hostname().to_owned()),
            ("Partition Name", specification.name.clone()),
            ("Partition Number", specification.id.to_string()),
            ("Type", kind.to_owned()),
            ("Mode", mode.to_owned()),
            ("Entitled Capacity", units(processors.entitlement_hundredths)),
            ("Online Virtual CPUs", processors.processors.to_string()),
            ("Online Memory", format!("{} MB", self.memory_megabytes())),
            ("Maximum Memory", format!("{} MB", specification.maximum_memory_megabytes)),
            ("Variable Capacity Weight", weight),
            ("Memory Mode", "Dedicated".to_owned()),
            ("Processor Compatibility Mode", specification.processor_mode.clone()),
        ];
        rows.into_iter().map(|(name, value)| format!("{name:<43}: {value}\n")).collect()
    }

    pub(super) fn ifconfig(&self) -> String {
        let mut lines = String::new();
        if let (Some(name), Some((_, address, prefix))) = (self.first_interface(), self.address()) {
            let mask = u32::from(netmask(prefix));
            let broadcast = Ipv4Addr::from(u32::from(address) | !mask);
            lines.push_str(&format!(
                "{name}: flags=1e084863,480<UP,BROADCAST,NOTRAILERS,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT>\n\
                 \tinet {address} netmask 0x{mask:08x} broadcast {broadcast}\n"
            ));
        }
        lines.push_str(
            "lo0: flags=e08084b,c0<UP,BROADCAST,LOOPBACK,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT>\n\
             \tinet 127.0.0.1 netmask 0xff000000 broadcast 127.255.255.255\n",
        );
        lines
    }

    pub(super) fn ip_addresses(&self) -> String {
        let mut lines =
            "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536\n    inet 127.0.0.1/8 scope host lo\n".to_owned();
        let devices = self.configuration.as_ref().map(|known| known.devices.as_slice()).unwrap_or_default();
        for (number, adapter) in self.specification.network_adapters.iter().enumerate() {
            let device = devices.iter().find(|device| device.mac_address == adapter.mac_address);
            let name =
                device.map_or_else(|| format!("eth{number}"), |device| device.name.replacen("ent", "eth", 1));
            let mac = adapter.mac_address.to_string();
            let octets: Vec<&str> = (0..6).filter_map(|at| mac.get(2 * at..2 * at + 2)).collect();
            let index = number + 2;
            lines.push_str(&format!(
                "{index}: {name}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500\n    link/ether {} brd ff:ff:ff:ff:ff:ff\n",
                octets.join(":")
            ));
            if let Some((_, address, prefix)) = self.address().filter(|(slot, _, _)| *slot == adapter.slot) {
                let broadcast = Ipv4Addr::from(u32::from(address) | !u32::from(netmask(prefix)));
                lines.push_str(&format!("    inet {address}/{prefix} brd {broadcast} scope global {name}\n"));
            }
        }
        lines
    }
}
