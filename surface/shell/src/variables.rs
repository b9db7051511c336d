//! Shell variables.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits::LimitReached;

/// Names that a restricted shell does not let its user change.
const READ_ONLY: &[&str] =
    &["PATH", "SHELL", "ENV", "BASH_ENV", "HISTFILE", "UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS"];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    value: String,
    exported: bool,
    read_only: bool,
}

/// Why a variable could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// The variable cannot be changed.
    #[error("{0}: readonly variable")]
    ReadOnly(String),
    /// The variables hold too much.
    #[error(transparent)]
    Limit(#[from] LimitReached),
}

/// The variables of one shell. A clone is cheap: it shares the content until one side changes it.
#[derive(Debug, Clone)]
pub struct Variables {
    content: Arc<BTreeMap<String, Variable>>,
    bytes: usize,
    limit: usize,
    /// Whether the user may change what a restricted shell protects.
    free: bool,
}

impl Variables {
    pub(crate) fn new(limit: usize, free: bool) -> Self {
        Self { content: Arc::default(), bytes: 0, limit, free }
    }

    /// The value, if the variable is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.content.get(name).map(|variable| variable.value.as_str())
    }

    /// The value, if the variable is set and exported: what a program sees.
    pub fn exported(&self, name: &str) -> Option<&str> {
        self.content.get(name).filter(|variable| variable.exported).map(|variable| variable.value.as_str())
    }

    /// All variables by name: name, value, exported.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.content
            .iter()
            .map(|(name, variable)| (name.as_str(), variable.value.as_str(), variable.exported))
    }

    pub(crate) fn set(&mut self, name: &str, value: String) -> Result<(), VariableError> {
        self.check(name)?;
        let old = self.content.get(name).map(|variable| variable.value.len() + name.len());
        let bytes = self.bytes - old.unwrap_or(0) + value.len() + name.len();
        if bytes > self.limit {
            return Err(LimitReached::Variables(self.limit).into());
        }
        self.bytes = bytes;
        let content = Arc::make_mut(&mut self.content);
        if let Some(variable) = content.get_mut(name) {
            variable.value = value;
        } else {
            content.insert(name.to_string(), Variable { value, exported: false, read_only: false });
        }
        Ok(())
    }

    /// Sets a variable that the user cannot change afterwards when its name is one of the protected ones.
    pub(crate) fn initialize(&mut self, name: &str, value: &str, exported: bool) {
        self.bytes += name.len() + value.len();
        let variable = Variable { value: value.to_string(), exported, read_only: false };
        if let Some(old) = Arc::make_mut(&mut self.content).insert(name.to_string(), variable) {
            self.bytes -= name.len() + old.value.len();
        }
    }

    pub(crate) fn export(&mut self, name: &str, exported: bool) {
        if self.content.get(name).is_some_and(|variable| variable.exported != exported)
            && let Some(variable) = Arc::make_mut(&mut self.content).get_mut(name)
        {
            variable.exported = exported;
        }
    }

    pub(crate) fn protect(&mut self, name: &str) {
        if let Some(variable) = Arc::make_mut(&mut self.content).get_mut(name) {
            variable.read_only = true;
        }
    }

    pub(crate) fn check(&self, name: &str) -> Result<(), VariableError> {
        let protected = self.content.get(name).is_some_and(|variable| variable.read_only);
        if protected || !self.free && READ_ONLY.contains(&name) {
            return Err(VariableError::ReadOnly(name.to_string()));
        }
        Ok(())
    }

    pub(crate) fn unset(&mut self, name: &str) -> Result<(), VariableError> {
        self.check(name)?;
        if self.content.contains_key(name)
            && let Some(old) = Arc::make_mut(&mut self.content).remove(name)
        {
            self.bytes -= name.len() + old.value.len();
        }
        Ok(())
    }
}

/// Whether the text is a variable's name.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
