//! What the site file itself checks in a partition's profile: that the record can be read, that sizes fit
//! the machine, and that addresses and references agree with the rest of the file. Everything else is
//! checked where the record is applied, by the rules of `mksyscfg`.

use std::collections::HashSet;

use super::checks::{Checks, NameSpace};
use super::error::{SiteError, SiteProblem};
use super::identifiers::DrcIndex;
use super::io::{claim_mac_address, claim_port_name};
use super::reader::{Located, Place};
use crate::adapters::{
    Element, PhysicalSlot, VirtualEthernetAdapter, VirtualFibreChannelAdapter, VirtualScsiAdapter,
    VirtualSerialAdapter,
};
use crate::record::{Assignment, Operation, parse_list, parse_record};
use crate::units::ProcessingUnits;

/// Attributes that have keys of their own in the site file.
const ATTRIBUTES_WITH_KEYS: [(&str, &str); 5] = [
    ("name", "name"),
    ("lpar_name", "name"),
    ("lpar_id", "id"),
    ("lpar_env", "environment"),
    ("profile_name", "profile_name"),
];

/// What profiles of one managed system must fit.
pub(super) struct ProfileRules {
    /// MB.
    pub(super) memory_region_size: u64,
    pub(super) minimum_units: ProcessingUnits,
}

/// A profile's record while it is checked.
struct Profile<'a, 'f, 'c> {
    pairs: Vec<Assignment>,
    place: &'a Place,
    system: &'a str,
    checks: &'c mut Checks<'f>,
}

/// Checks a profile. Returns true where it says which physical slots the partition has.
pub(super) fn check_profile(
    record: &Located<String>,
    rules: &ProfileRules,
    system: &str,
    checks: &mut Checks<'_>,
) -> Result<bool, SiteError> {
    let pairs = parse(record, checks)?;
    let mut profile = Profile { pairs, place: &record.place, system, checks };
    if profile.value("all_resources") != Some("1") {
        profile.check_memory(rules.memory_region_size)?;
        profile.check_processors(rules.minimum_units)?;
    }
    profile.check_adapters()?;
    Ok(profile.value("io_slots").is_some())
}

/// Checks the record of further attributes. It must not repeat what the profile gives.
pub(super) fn check_attributes(
    record: &Located<String>,
    profile: &Located<String>,
    checks: &Checks<'_>,
) -> Result<(), SiteError> {
    let of_profile = parse(profile, checks)?;
    for pair in parse(record, checks)? {
        if of_profile.iter().any(|other| other.name == pair.name) {
            let problem = format!("the profile gives the attribute {} already", pair.name);
            return Err(checks.error(&record.place, SiteProblem::Record(problem)));
        }
    }
    Ok(())
}

fn parse(record: &Located<String>, checks: &Checks<'_>) -> Result<Vec<Assignment>, SiteError> {
    let error = |text: String| checks.error(&record.place, SiteProblem::Record(text));
    let pairs = parse_record(&record.value).map_err(|problem| error(problem.to_string()))?;
    let mut names = HashSet::new();
    for pair in &pairs {
        let name = pair.name.as_str();
        if pair.operation != Operation::Set {
            return Err(error(format!("the attribute {name} is set with = here, not += or -=")));
        }
        if let Some((_, key)) = ATTRIBUTES_WITH_KEYS.iter().find(|(attribute, _)| *attribute == name) {
            return Err(error(format!("the attribute {name} is given by the key `{key}`")));
        }
        if !names.insert(name) {
            return Err(error(format!("the attribute {name} is given twice")));
        }
    }
    Ok(pairs)
}

impl Profile<'_, '_, '_> {
    fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.name == name).map(|pair| pair.value.as_str())
    }

    fn error(&self, text: String) -> SiteError {
        self.checks.error(self.place, SiteProblem::Record(text))
    }

    fn required(&self, name: &str) -> Result<&str, SiteError> {
        self.value(name).ok_or_else(|| self.error(format!("the attribute {name} is missing")))
    }

    fn number(&self, name: &str) -> Result<u64, SiteError> {
        let text = self.required(name)?;
        let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.ok_or_else(|| self.error(format!("{name}: `{text}` is not a whole number")))
    }

    fn units(&self, name: &str) -> Result<ProcessingUnits, SiteError> {
        let text = self.required(name)?;
        text.parse().map_err(|_| self.error(format!("{name}: `{text}` is not a number of processing units")))
    }

    fn check_order<T: PartialOrd + Copy>(&self, names: [&str; 3], values: [T; 3]) -> Result<(), SiteError> {
        for (index, pair) in values.windows(2).enumerate() {
            if pair[0] > pair[1] {
                return Err(self.error(format!("{} is above {}", names[index], names[index + 1])));
            }
        }
        Ok(())
    }

    fn check_memory(&self, region: u64) -> Result<(), SiteError> {
        let names = ["min_mem", "desired_mem", "max_mem"];
        let values = [self.number(names[0])?, self.number(names[1])?, self.number(names[2])?];
        self.check_order(names, values)?;
        for value in values {
            if value == 0 || !value.is_multiple_of(region) {
                return Err(self.checks.error(self.place, SiteProblem::NotWholeRegions { value, region }));
            }
        }
        Ok(())
    }

    fn check_processors(&self, minimum: ProcessingUnits) -> Result<(), SiteError> {
        let names = ["min_procs", "desired_procs", "max_procs"];
        let processors = [self.number(names[0])?, self.number(names[1])?, self.number(names[2])?];
        self.check_order(names, processors)?;
        if processors[0] == 0 {
            return Err(self.error("min_procs is 0".to_owned()));
        }
        match self.required("proc_mode")? {
            "ded" => return Ok(()),
            "shared" => {}
            other => return Err(self.error(format!("proc_mode: `{other}` is neither ded nor shared"))),
        }
        let names = ["min_proc_units", "desired_proc_units", "max_proc_units"];
        let units = [self.units(names[0])?, self.units(names[1])?, self.units(names[2])?];
        self.check_order(names, units)?;
        for (processors, (name, units)) in processors.into_iter().zip(names.into_iter().zip(units)) {
            if u64::from(units.0) < processors.saturating_mul(u64::from(minimum.0)) {
                let problem =
                    format!("{name}: {units} is below {minimum} for each of {processors} processors");
                return Err(self.error(problem));
            }
            if u64::from(units.0) > processors.saturating_mul(100) {
                let problem = format!("{name}: {units} is more than {processors} processors hold");
                return Err(self.error(problem));
            }
        }
        Ok(())
    }

    fn elements<T: Element>(&self, name: &str) -> Result<Vec<T>, SiteError> {
        let list = match self.value(name) {
            None | Some("" | "none") => return Ok(Vec::new()),
            Some(list) => parse_list(list).map_err(|problem| self.error(format!("{name}: {problem}")))?,
        };
        list.iter()
            .map(|element| T::parse(element).map_err(|problem| self.error(format!("{name}: {problem}"))))
            .collect()
    }

    fn check_adapters(&mut self) -> Result<(), SiteError> {
        let ethernet: Vec<VirtualEthernetAdapter> = self.elements("virtual_eth_adapters")?;
        let fibre_channel: Vec<VirtualFibreChannelAdapter> = self.elements("virtual_fc_adapters")?;
        let physical: Vec<PhysicalSlot> = self.elements("io_slots")?;
        self.check_virtual_slots(&ethernet, &fibre_channel)?;
        for adapter in ethernet {
            let switch =
                if adapter.virtual_switch.is_empty() { "ETHERNET0" } else { &adapter.virtual_switch };
            self.checks.refer(NameSpace::VirtualSwitch, self.system, switch, self.place);
            if let Some(address) = adapter.mac_address {
                claim_mac_address(address, self.place, self.checks)?;
            }
        }
        for (first, second) in fibre_channel.into_iter().filter_map(|adapter| adapter.port_names) {
            claim_port_name(first, self.place, self.checks)?;
            claim_port_name(second, self.place, self.checks)?;
        }
        for slot in physical {
            let drc_index = DrcIndex(slot.drc_index).to_string();
            self.checks.refer(NameSpace::DrcIndex, self.system, &drc_index, self.place);
        }
        Ok(())
    }

    fn check_virtual_slots(
        &self,
        ethernet: &[VirtualEthernetAdapter],
        fibre_channel: &[VirtualFibreChannelAdapter],
    ) -> Result<(), SiteError> {
        let serial: Vec<VirtualSerialAdapter> = self.elements("virtual_serial_adapters")?;
        let scsi: Vec<VirtualScsiAdapter> = self.elements("virtual_scsi_adapters")?;
        let slots = serial
            .iter()
            .map(|adapter| adapter.slot)
            .chain(scsi.iter().map(|adapter| adapter.slot))
            .chain(ethernet.iter().map(|adapter| adapter.slot))
            .chain(fibre_channel.iter().map(|adapter| adapter.slot));
        let limit = match self.value("max_virtual_slots") {
            None => None,
            Some(_) => Some(self.number("max_virtual_slots")?),
        };
        let mut taken = HashSet::new();
        for slot in slots {
            if !taken.insert(slot) {
                return Err(self.error(format!("virtual slot {slot} is given twice")));
            }
            if limit.is_some_and(|limit| u64::from(slot.0) >= limit) {
                return Err(self.error(format!("virtual slot {slot} is not below max_virtual_slots")));
            }
        }
        Ok(())
    }
}
