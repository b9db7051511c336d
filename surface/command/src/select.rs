//! `--filter`: which filters a resource has, and what the user filters by.

use varan_contract::system::{PartitionFilter, Selector};
use varan_model::codes::MessageKey;
use varan_model::ids::PartitionId;
use varan_model::record::parse_filter;
use varan_model::refusal::Refusal;
use varan_model::rules::profile::record_refusal;

use crate::failure::invalid_parameters;
use crate::options::ParsedOptions;

/// Values of the filters that the user gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters {
    given: Vec<(String, Vec<String>)>,
}

impl Filters {
    /// Reads `--filter` against the filters of the resource.
    ///
    /// # Errors
    /// Wrong grammar, an unknown or repeated filter, a filter without a value, names and numbers of partitions together.
    pub fn parse(options: &ParsedOptions, known: &[&str]) -> Result<Self, Refusal> {
        let Some(text) = options.get("--filter") else { return Ok(Self::default()) };
        let given = parse_filter(text).map_err(|error| record_refusal(&error))?;
        for (index, (name, values)) in given.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Refusal::new(MessageKey::FilterInvalid).with(name));
            }
            if given[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Refusal::new(MessageKey::ParameterRepeated).with(name));
            }
            if values.is_empty() || values.iter().any(String::is_empty) {
                return Err(invalid_parameters(&["--filter"]));
            }
        }
        let filters = Self { given };
        if filters.get("lpar_names").is_some() && filters.get("lpar_ids").is_some() {
            return Err(Refusal::new(MessageKey::ParametersExclusive).with("lpar_names, lpar_ids"));
        }
        if filters.given.is_empty() {
            return Err(invalid_parameters(&["--filter"]));
        }
        Ok(filters)
    }

    /// Values of a filter.
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, values)| values.as_slice())
    }

    /// The partitions that `lpar_names` or `lpar_ids` name, all if neither was given.
    ///
    /// # Errors
    /// A number that is not one.
    pub fn partitions(&self) -> Result<PartitionFilter, Refusal> {
        if let Some(names) = self.get("lpar_names") {
            return Ok(PartitionFilter::Only(names.iter().cloned().map(Selector::Name).collect()));
        }
        let Some(ids) = self.get("lpar_ids") else { return Ok(PartitionFilter::All) };
        let read = |id: &String| id.parse::<PartitionId>().map(Selector::Id);
        let ids: Result<Vec<Selector>, _> = ids.iter().map(read).collect();
        Ok(PartitionFilter::Only(ids.map_err(|_| invalid_parameters(&["--filter"]))?))
    }
}
