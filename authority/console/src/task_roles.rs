//! Task roles of the console's own: a part of the tasks of a parent.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use crate::role::{Task, TaskRole, TaskSet};

/// What `lsaccfg` shows as the parent of a predefined role.
const PREDEFINED: &str = "Predefined";
/// The groups of resources in the order in which they are listed.
const GROUPS: [&str; 4] = ["frame", "cec", "lpar", "HMCConsole"];

/// A task role as the database keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRoleDefinition {
    /// Name.
    pub name: String,
    /// Name of the role whose tasks it has a part of.
    pub parent: String,
    /// Words of its tasks.
    pub tasks: Vec<String>,
}

impl TaskRoleDefinition {
    pub(crate) fn new(name: &str, parent: &str, tasks: TaskSet) -> Self {
        let tasks = tasks.iter().map(|task| task.word().to_owned()).collect();
        Self { name: name.to_owned(), parent: parent.to_owned(), tasks }
    }

    fn own_tasks(&self) -> TaskSet {
        let named = |task: &Task| self.tasks.iter().any(|word| word == task.word());
        Task::ALL.iter().copied().filter(named).collect()
    }
}

/// A task role with what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRoleEntry {
    /// Name.
    pub name: String,
    /// Name of the parent, `Predefined` for the roles that every console has.
    pub parent: String,
    /// Tasks.
    pub tasks: TaskSet,
}

/// The task roles of the console's own.
pub(crate) struct TaskRoles(RwLock<BTreeMap<String, TaskRoleDefinition>>);

impl TaskRoles {
    pub fn new(roles: Vec<TaskRoleDefinition>) -> Self {
        Self(RwLock::new(roles.into_iter().map(|role| (role.name.clone(), role)).collect()))
    }

    /// The tasks of a role: its own, as far as every parent above it has them too.
    pub fn tasks(&self, name: &str) -> Option<TaskSet> {
        if let Some(role) = TaskRole::from_word(name) {
            return Some(role.tasks());
        }
        let roles = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut role = roles.get(name)?;
        let mut tasks = role.own_tasks();
        // A role's parent is older than the role, so the way up ends; a damaged database must not make it endless.
        for _ in 0..=roles.len() {
            tasks = tasks.intersection(match TaskRole::from_word(&role.parent) {
                Some(parent) => return Some(tasks.intersection(parent.tasks())),
                None => match roles.get(&role.parent) {
                    Some(parent) => {
                        role = parent;
                        parent.own_tasks()
                    }
                    None => TaskSet::NONE,
                },
            });
        }
        Some(TaskSet::NONE)
    }

    /// The definition of a role that is not predefined.
    pub fn get(&self, name: &str) -> Option<TaskRoleDefinition> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All roles: the predefined ones first, the others by name.
    pub fn all(&self) -> Vec<TaskRoleEntry> {
        let predefined = TaskRole::ALL.into_iter().map(|role| TaskRoleEntry {
            name: role.word().to_owned(),
            parent: PREDEFINED.to_owned(),
            tasks: role.tasks(),
        });
        let own: Vec<TaskRoleDefinition> =
            self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let own = own.into_iter().map(|role| TaskRoleEntry {
            tasks: self.tasks(&role.name).unwrap_or_default(),
            name: role.name,
            parent: role.parent,
        });
        predefined.chain(own).collect()
    }

    /// Number of roles that are not predefined.
    pub fn count(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A role whose parent is the named one.
    pub fn child_of(&self, parent: &str) -> Option<String> {
        let roles = self.0.read().unwrap_or_else(PoisonError::into_inner);
        roles.values().find(|role| role.parent == parent).map(|role| role.name.clone())
    }

    pub fn put(&self, role: TaskRoleDefinition) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(role.name.clone(), role);
    }

    pub fn remove(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// Tasks as `lsaccfg` lists them: `cec:CECPowerOn+CECPowerOff,lpar:ActivateLPAR`.
#[must_use]
pub fn format_tasks(tasks: TaskSet) -> String {
    let of_group = |group: &&str| {
        let words: Vec<&str> = tasks.iter().filter(|task| task.group() == *group).map(Task::word).collect();
        (!words.is_empty()).then(|| format!("{group}:{}", words.join("+")))
    };
    GROUPS.iter().filter_map(of_group).collect::<Vec<_>>().join(",")
}

/// Reads what [`format_tasks`] writes.
///
/// # Errors
/// [`MessageKey::AttributeValueInvalid`] of `resources`, [`MessageKey::TaskNotAvailable`] for a task that is not known or
/// not of its group.
pub fn parse_tasks(text: &str) -> Result<TaskSet, Refusal> {
    let mut found = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let group = part.split_once(':').filter(|(group, _)| GROUPS.contains(group));
        let Some((group, words)) = group else {
            let form = "each group is frame, cec, lpar or HMCConsole, a colon, and tasks with + between";
            let refusal = Refusal::new(MessageKey::AttributeValueInvalid);
            return Err(refusal.with("resources").with(text).with(form));
        };
        for word in words.split('+').filter(|word| !word.is_empty()) {
            let known = Task::ALL.iter().find(|task| task.word() == word && task.group() == group);
            let Some(task) = known else {
                let reason = format!("the group {group} has no such task at this level");
                return Err(Refusal::new(MessageKey::TaskNotAvailable).with(word).with(reason));
            };
            found.push(*task);
        }
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_read_as_they_are_written() {
        for role in TaskRole::ALL {
            let text = format_tasks(role.tasks());
            assert_eq!(parse_tasks(&text), Ok(role.tasks()), "{text}");
        }
        assert_eq!(parse_tasks(""), Ok(TaskSet::NONE));
        for text in ["cec", "x:ListCECProperty", "cec:Nothing", "lpar:ListCECProperty", "cec:A,,b"] {
            assert!(parse_tasks(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_role_has_no_task_that_a_parent_lacks() {
        let everything = TaskRole::SuperAdministrator.tasks();
        let roles = TaskRoles::new(vec![
            TaskRoleDefinition::new("outer", "hmcoperator", everything),
            TaskRoleDefinition::new("inner", "outer", everything),
            TaskRoleDefinition::new("orphan", "gone", everything),
            TaskRoleDefinition::new("ring", "ring", everything),
        ]);
        assert_eq!(roles.tasks("inner"), Some(TaskRole::Operator.tasks()));
        assert_eq!(roles.tasks("orphan"), Some(TaskSet::NONE));
        assert_eq!(roles.tasks("ring"), Some(TaskSet::NONE));
        assert_eq!(roles.tasks("nothing"), None);
        roles.put(TaskRoleDefinition::new("outer", "hmcoperator", TaskRole::Viewer.tasks()));
        assert_eq!(roles.tasks("inner"), Some(TaskRole::Viewer.tasks()));
    }
}
