//! The name of a storage array's export: which unit, through which ports, for whom.
//!
//! ```text
//!   unit=UDID;initiator=WWPN;target=WWPN;client=UUID;epoch=NUMBER;path=NAME;generation=NUMBER;reserve=POLICY
//!   POLICY: no_reserve | single_path | PR_exclusive:KEY | PR_shared:KEY      KEY: 16 hexadecimal digits
//!   in UDID, `;` and `%` are written as % and two hexadecimal digits
//! ```
//!
//! The fields come in this order, each once. A name says who its client claims to be: sockets are protected by the
//! permissions of their directory, and all who reach one belong to the same site.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use varan_contract::block::{Epoch, Nexus, PathGeneration};

use crate::san::{ReservePolicy, SanPath};

/// What is wrong with a name: the field that is missing or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the export name's field `{0}` is missing or malformed")]
pub struct InvalidExportName(pub &'static str);

/// The export of a unit for one nexus on one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitName {
    /// The way through the fabric.
    pub path: SanPath,
    /// Who does I/O.
    pub nexus: Nexus,
    /// How the unit is reserved as long as the connection lasts.
    pub policy: ReservePolicy,
}

impl fmt::Display for UnitName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.path.unit.as_str().replace('%', "%25").replace(';', "%3B");
        let Nexus { client, epoch, path, generation } = &self.nexus;
        write!(formatter, "unit={unit};initiator={};target={};", self.path.initiator, self.path.target)?;
        write!(formatter, "client={client};epoch={};path={path};generation={};", epoch.0, generation.0)?;
        match self.policy {
            ReservePolicy::NoReserve => write!(formatter, "reserve=no_reserve"),
            ReservePolicy::SinglePath => write!(formatter, "reserve=single_path"),
            ReservePolicy::PersistentExclusive(key) => write!(formatter, "reserve=PR_exclusive:{key:016x}"),
            ReservePolicy::PersistentShared(key) => write!(formatter, "reserve=PR_shared:{key:016x}"),
        }
    }
}

fn policy(text: &str) -> Option<ReservePolicy> {
    let key = |text: &str| (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
    match text.split_once(':') {
        None if text == "no_reserve" => Some(ReservePolicy::NoReserve),
        None if text == "single_path" => Some(ReservePolicy::SinglePath),
        Some(("PR_exclusive", digits)) => key(digits).map(ReservePolicy::PersistentExclusive),
        Some(("PR_shared", digits)) => key(digits).map(ReservePolicy::PersistentShared),
        _ => None,
    }
}

impl FromStr for UnitName {
    type Err = InvalidExportName;

    fn from_str(text: &str) -> Result<Self, InvalidExportName> {
        let mut fields = text.split(';');
        let mut field = |name: &'static str| {
            let (found, value) = fields.next().and_then(|field| field.split_once('=')).unwrap_or_default();
            if found == name { Ok(value) } else { Err(InvalidExportName(name)) }
        };
        fn parse<T: FromStr>(name: &'static str, value: &str) -> Result<T, InvalidExportName> {
            value.parse().map_err(|_| InvalidExportName(name))
        }
        let unit = field("unit")?.replace("%3B", ";").replace("%25", "%");
        let path = SanPath {
            unit: parse("unit", &unit)?,
            initiator: parse("initiator", field("initiator")?)?,
            target: parse("target", field("target")?)?,
        };
        let nexus = Nexus {
            client: parse("client", field("client")?)?,
            epoch: Epoch(parse("epoch", field("epoch")?)?),
            path: parse("path", field("path")?)?,
            generation: PathGeneration(parse("generation", field("generation")?)?),
        };
        let policy = policy(field("reserve")?).ok_or(InvalidExportName("reserve"))?;
        if fields.next().is_some() {
            return Err(InvalidExportName("reserve"));
        }
        Ok(Self { path, nexus, policy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_what_they_print() {
        let text = "unit=33%2521360%3BIBMfcp;initiator=c050760727c5007a;target=500507680b21ac7e;\
                    client=0A1B2C3D-0000-4000-8000-00000000000F;epoch=3;path=vios1:vhost0;generation=7;reserve=";
        for policy in
            ["no_reserve", "single_path", "PR_exclusive:00000000000000ff", "PR_shared:0123456789abcdef"]
        {
            let name: UnitName = format!("{text}{policy}").parse().expect("valid");
            assert_eq!(name.path.unit.as_str(), "33%21360;IBMfcp");
            assert_eq!(name.to_string(), format!("{text}{policy}"));
        }
        let whole = format!("{text}no_reserve");
        for (from, to, field) in [
            ("unit=", "udid=", "unit"),
            ("unit=33%2521360%3BIBMfcp", "unit=", "unit"),
            ("c050760727c5007a", "c0507607", "initiator"),
            ("epoch=3", "epoch=-3", "epoch"),
            ("vios1:", "vios1/", "path"),
            ("no_reserve", "maybe", "reserve"),
            ("no_reserve", "PR_shared:1", "reserve"),
            ("no_reserve", "no_reserve;x=1", "reserve"),
            (";target=500507680b21ac7e", "", "target"),
        ] {
            let text = whole.replace(from, to);
            assert_eq!(text.parse::<UnitName>(), Err(InvalidExportName(field)), "{text}");
        }
    }
}
