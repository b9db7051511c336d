//! The nouns of the platform and the rules over them: nothing here does input or output.

pub mod adapters;
pub mod attributes;
pub mod codes;
pub mod configuration;
pub mod firmware;
pub mod hardware;
pub mod ibm_i;
pub mod ids;
pub mod lock;
pub mod partition;
pub mod profile_data;
pub mod record;
pub mod refusal;
pub mod rules;
pub mod service;
pub mod site;
pub mod sriov;
pub mod system;
pub mod units;
pub mod utilization;
pub mod vios;
pub mod vnic;
