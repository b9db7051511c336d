//! What a QEMU says about its own commands and events.

use std::collections::HashMap;

use serde_json::Value;

/// A command or event that a program uses.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A command with the arguments that are given.
    Command {
        /// Name.
        name: &'static str,
        /// Arguments.
        arguments: &'static [&'static str],
        /// Members of its answer that are read; of a list, members of its elements.
        returns: &'static [&'static str],
    },
    /// An event with the members of its data that are read.
    Event {
        /// Name.
        name: &'static str,
        /// Members.
        data: &'static [&'static str],
    },
}

/// The answer to `query-qmp-schema`: type and command descriptions by name.
#[derive(Debug)]
pub struct Schema {
    entities: HashMap<String, Value>,
}

impl Schema {
    /// Reads the answer; what has no name is left out.
    #[must_use]
    pub fn new(answer: Value) -> Self {
        let Value::Array(list) = answer else { return Self { entities: HashMap::new() } };
        let named =
            |entity: Value| entity.get("name")?.as_str().map(str::to_owned).map(|name| (name, entity));
        Self { entities: list.into_iter().filter_map(named).collect() }
    }

    /// What of `needs` this QEMU does not have, in words; empty where it has everything.
    #[must_use]
    pub fn missing(&self, needs: &[Need]) -> Vec<String> {
        needs.iter().flat_map(|need| self.missing_of(need)).collect()
    }

    fn missing_of(&self, need: &Need) -> Vec<String> {
        match need {
            Need::Command { name, arguments, returns } => {
                let Some(command) = self.entity(name, "command") else {
                    return vec![format!("command {name}")];
                };
                let members = self.members(command, "arg-type");
                let absent = arguments.iter().filter(|one| !members.iter().any(|(member, _)| member == *one));
                let mut missing: Vec<String> =
                    absent.map(|one| format!("argument {one} of command {name}")).collect();
                let unfed =
                    members.iter().filter(|(member, optional)| !optional && !arguments.contains(member));
                missing.extend(
                    unfed.map(|(member, _)| format!("command {name} also demands argument {member}")),
                );
                let answered = self.members(command, "ret-type");
                let unread = returns.iter().filter(|one| !answered.iter().any(|(member, _)| member == *one));
                missing.extend(unread.map(|one| format!("member {one} in the answer to {name}")));
                missing
            }
            Need::Event { name, data } => {
                let Some(event) = self.entity(name, "event") else { return vec![format!("event {name}")] };
                let members = self.members(event, "arg-type");
                let absent = data.iter().filter(|one| !members.iter().any(|(member, _)| member == *one));
                absent.map(|one| format!("member {one} of event {name}")).collect()
            }
        }
    }

    fn entity(&self, name: &str, kind: &str) -> Option<&Value> {
        self.entities.get(name).filter(|entity| text(entity, "meta-type") == Some(kind))
    }

    /// Members of the object type that `entity` refers to by `key`, and whether they may be absent.
    fn members<'a>(&'a self, entity: &'a Value, key: &str) -> Vec<(&'a str, bool)> {
        let mut found = text(entity, key).and_then(|name| self.entities.get(name));
        if let Some(element) = found.filter(|one| text(one, "meta-type") == Some("array")) {
            found = text(element, "element-type").and_then(|name| self.entities.get(name));
        }
        let members = found.and_then(|object| object.get("members")).and_then(Value::as_array);
        let named = |member: &'a Value| Some((text(member, "name")?, member.get("default").is_some()));
        members.map(|list| list.iter().filter_map(named).collect()).unwrap_or_default()
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::new(serde_json::json!([
            { "name": "query-status", "meta-type": "command", "arg-type": "0", "ret-type": "1" },
            { "name": "send-key", "meta-type": "command", "arg-type": "2", "ret-type": "0" },
            { "name": "query-list", "meta-type": "command", "arg-type": "0", "ret-type": "[1]" },
            { "name": "SHUTDOWN", "meta-type": "event", "arg-type": "3" },
            { "name": "0", "meta-type": "object", "members": [] },
            { "name": "1", "meta-type": "object", "members": [{ "name": "status", "type": "str" }] },
            { "name": "[1]", "meta-type": "array", "element-type": "1" },
            { "name": "2", "meta-type": "object", "members": [
                { "name": "keys", "type": "str" }, { "name": "hold", "type": "int", "default": null }] },
            { "name": "3", "meta-type": "object", "members": [{ "name": "reason", "type": "str" }] },
            17
        ]))
    }

    #[test]
    fn what_is_there_is_not_missed() {
        let needs = [
            Need::Command { name: "query-status", arguments: &[], returns: &["status"] },
            Need::Command { name: "query-list", arguments: &[], returns: &["status"] },
            Need::Command { name: "send-key", arguments: &["keys"], returns: &[] },
            Need::Event { name: "SHUTDOWN", data: &["reason"] },
        ];
        assert_eq!(schema().missing(&needs), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let needs = [
            Need::Command { name: "stop", arguments: &[], returns: &[] },
            Need::Command { name: "SHUTDOWN", arguments: &[], returns: &[] },
            Need::Command { name: "send-key", arguments: &["speed"], returns: &["x"] },
            Need::Event { name: "RESET", data: &[] },
            Need::Event { name: "SHUTDOWN", data: &["guest"] },
        ];
        let expected = [
            "command stop",
            "command SHUTDOWN",
            "argument speed of command send-key",
            "command send-key also demands argument keys",
            "member x in the answer to send-key",
            "event RESET",
            "member guest of event SHUTDOWN",
        ];
        assert_eq!(schema().missing(&needs), expected);
        assert_eq!(Schema::new(Value::Null).missing(&needs[..1]), ["command stop"]);
    }
}
