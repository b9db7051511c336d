//! Messages of QEMU, and how they are made from bytes.

use serde_json::{Map, Value};
use thiserror::Error;

/// A version of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Micro number.
    pub micro: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// What QEMU says first.
#[derive(Clone, Debug, PartialEq)]
pub struct Greeting {
    /// Version.
    pub version: Version,
    /// The distributor's words about it; may be empty.
    pub package: String,
    /// Capabilities that can be enabled.
    pub capabilities: Vec<String>,
}

/// Why QEMU refused a command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{class}: {description}")]
pub struct CommandError {
    /// `GenericError`, `CommandNotFound`, `DeviceNotFound`...
    pub class: String,
    /// In words.
    pub description: String,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Id that the command had; `None` where QEMU could not read the command.
    pub id: Option<u64>,
    /// What it returned.
    pub outcome: Result<Value, CommandError>,
}

/// Something that happened in QEMU.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Name, in capitals.
    pub name: String,
    /// Its data; an empty object where it has none.
    pub data: Value,
    /// When, in seconds since 1970 UTC; -1 where the host has no clock.
    pub seconds: i64,
}

/// A message of QEMU.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The greeting.
    Greeting(Greeting),
    /// An answer.
    Reply(Reply),
    /// An event.
    Event(Event),
}

/// Why bytes are not messages of QEMU. There is no way on after one of these: the connection is to be closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// A line does not end.
    #[error("a line of more than {0} bytes")]
    LineTooLong(usize),
    /// A line is not a JSON object.
    #[error("this is not a JSON object: {0}")]
    NotAnObject(String),
    /// An object that the protocol does not know.
    #[error("this is no message of the protocol: {0}")]
    Unknown(String),
}

/// Makes messages from bytes as they come.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that are known to hold no end of line.
    searched: usize,
    limit: usize,
}

/// Bytes of a wrong line that an error shows.
const SHOWN_BYTES: usize = 120;

impl Decoder {
    /// A decoder for lines of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), searched: 0, limit }
    }

    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait for the rest of their line.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// The next message; `None` until its line is complete. Empty lines are skipped.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn next_message(&mut self) -> Result<Option<Message>, ReadError> {
        loop {
            let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            let Some(end) = end.map(|end| end + self.searched) else {
                self.searched = self.buffer.len();
                let too_long = self.buffer.len() > self.limit;
                return if too_long { Err(ReadError::LineTooLong(self.limit)) } else { Ok(None) };
            };
            if end > self.limit {
                return Err(ReadError::LineTooLong(self.limit));
            }
            let message = match self.buffer[..end].trim_ascii() {
                [] => None,
                line => Some(message(line)),
            };
            self.buffer.drain(..=end);
            self.searched = 0;
            if let Some(message) = message {
                return message.map(Some);
            }
        }
    }
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]).into_owned()
}

fn message(line: &[u8]) -> Result<Message, ReadError> {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(line) else {
        return Err(ReadError::NotAnObject(shown(line)));
    };
    let message = if object.contains_key("QMP") {
        greeting(&object).map(Message::Greeting)
    } else if object.contains_key("event") {
        event(&mut object).map(Message::Event)
    } else {
        reply(&mut object).map(Message::Reply)
    };
    message.ok_or_else(|| ReadError::Unknown(shown(line)))
}

fn greeting(object: &Map<String, Value>) -> Option<Greeting> {
    let about = object.get("QMP")?;
    let version = about.get("version")?;
    let number =
        |name: &str| -> Option<u32> { u32::try_from(version.get("qemu")?.get(name)?.as_u64()?).ok() };
    let capabilities = about.get("capabilities").and_then(Value::as_array);
    Some(Greeting {
        version: Version { major: number("major")?, minor: number("minor")?, micro: number("micro")? },
        package: version.get("package").and_then(Value::as_str).unwrap_or_default().to_owned(),
        capabilities: capabilities
            .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
    })
}

fn event(object: &mut Map<String, Value>) -> Option<Event> {
    let name = object.get("event")?.as_str()?.to_owned();
    let seconds = object.get("timestamp").and_then(|stamp| stamp.get("seconds")).and_then(Value::as_i64);
    let data = object.remove("data").unwrap_or_else(|| Value::Object(Map::new()));
    Some(Event { name, data, seconds: seconds.unwrap_or(-1) })
}

fn reply(object: &mut Map<String, Value>) -> Option<Reply> {
    let id = object.get("id").and_then(Value::as_u64);
    if let Some(value) = object.remove("return") {
        return Some(Reply { id, outcome: Ok(value) });
    }
    let error = object.get("error")?;
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    let error = CommandError { class: text("class")?, description: text("desc").unwrap_or_default() };
    Some(Reply { id, outcome: Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Message>, ReadError> {
        let mut decoder = Decoder::new(4_096);
        decoder.push(text.as_bytes());
        let mut found = Vec::new();
        while let Some(message) = decoder.next_message()? {
            found.push(message);
        }
        Ok(found)
    }

    #[test]
    fn what_qemu_writes_is_read() {
        let found = all(concat!(
            r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "Debian 1:10.0.2"}, "capabilities": ["oob"]}}"#,
            "\r\n\r\n",
            r#"{"return": {}, "id": 7}"#,
            "\r\n",
            r#"{"id": 8, "error": {"class": "CommandNotFound", "desc": "The command x has not been found"}}"#,
            "\r\n",
            r#"{"timestamp": {"seconds": 1795271253, "microseconds": 273366}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#,
            "\r\n",
            r#"{"timestamp": {"seconds": -1, "microseconds": -1}, "event": "STOP"}"#,
            "\r\n",
        ));
        let found = found.expect("messages");
        let Message::Greeting(greeting) = &found[0] else { panic!("{found:?}") };
        assert_eq!(
            (greeting.version.to_string().as_str(), greeting.package.as_str()),
            ("10.0.2", "Debian 1:10.0.2")
        );
        assert_eq!(greeting.capabilities, ["oob"]);
        assert_eq!(found[1], Message::Reply(Reply { id: Some(7), outcome: Ok(serde_json::json!({})) }));
        let Message::Reply(Reply { id: Some(8), outcome: Err(error) }) = &found[2] else {
            panic!("{found:?}")
        };
        assert_eq!(error.to_string(), "CommandNotFound: The command x has not been found");
        let Message::Event(event) = &found[3] else { panic!("{found:?}") };
        assert_eq!((event.name.as_str(), event.seconds), ("SHUTDOWN", 1_795_271_253));
        assert_eq!(event.data["reason"], "guest-shutdown");
        let Message::Event(event) = &found[4] else { panic!("{found:?}") };
        assert_eq!((event.name.as_str(), &event.data, event.seconds), ("STOP", &serde_json::json!({}), -1));
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for (text, expected) in [
            ("hello\n", "this is not a JSON object: hello"),
            ("[1]\n", "this is not a JSON object: [1]"),
            ("{\"a\": 1}\n", "this is no message of the protocol: {\"a\": 1}"),
            ("{\"QMP\": 1}\n", "this is no message of the protocol: {\"QMP\": 1}"),
            ("{\"event\": 1}\n", "this is no message of the protocol: {\"event\": 1}"),
            ("{\"error\": {}}\n", "this is no message of the protocol: {\"error\": {}}"),
        ] {
            assert_eq!(all(text).expect_err(text).to_string(), expected);
        }
        let mut decoder = Decoder::new(16);
        decoder.push(&[b' '; 16]);
        assert_eq!(decoder.next_message(), Ok(None));
        decoder.push(b" ");
        assert_eq!(decoder.next_message(), Err(ReadError::LineTooLong(16)));
    }
}
