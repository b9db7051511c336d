//! The server's side of the handshake.
//!
//! ```text
//!   greeting sent --client's flags--> Options --GO, EXPORT_NAME--> Transmission
//!                                      |   ^
//!                                      +---+ LIST, INFO, STRUCTURED_REPLY, ..._META_CONTEXT, unknown ones
//!                                      |
//!                                      +--ABORT, nonsense, too many--> Closed
//! ```

use crate::export::Export as _;
use crate::export::{ExportInformation, Exports, OpenError, OpenErrorKind};
use crate::protocol::{
    ALLOCATION, ALLOCATION_ID, FLAG_FIXED_NEWSTYLE, FLAG_NO_ZEROES, Fields, INITIAL_MAGIC, MAXIMUM_TEXT,
    OPTION_MAGIC, OPTION_REPLY_MAGIC, information, option, option_reply,
};

/// Longest data of an option: some names and queries.
const MAXIMUM_OPTION: usize = 64 << 10;
/// Options that a client may send before it must have chosen.
const MAXIMUM_OPTIONS: u32 = 128;
/// Longest reply to `NBD_OPT_LIST`.
const MAXIMUM_LIST: usize = 4 << 20;

/// What was agreed on for the transmission phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Session {
    /// Replies are structured.
    pub structured: bool,
    /// `base:allocation` may be asked for.
    pub allocation: bool,
}

/// How a handshake goes on after some bytes.
pub enum Outcome<E> {
    /// More bytes are needed.
    More,
    /// One message was taken; perhaps there is another.
    Again,
    /// The client has chosen.
    Transmission(E, ExportInformation, Session),
    /// The connection ends, after what is to be sent.
    Closed,
}

/// One handshake. Bytes in, bytes out.
pub struct Handshake {
    flags_seen: bool,
    no_zeroes: bool,
    structured: bool,
    /// The export for which `base:allocation` was selected.
    allocation: Option<String>,
    options: u32,
    outgoing: Vec<u8>,
}

impl Default for Handshake {
    fn default() -> Self {
        Self::new()
    }
}

impl Handshake {
    /// Begins with the server's greeting.
    #[must_use]
    pub fn new() -> Self {
        let mut outgoing = Vec::new();
        outgoing.extend(INITIAL_MAGIC.to_be_bytes());
        outgoing.extend(OPTION_MAGIC.to_be_bytes());
        outgoing.extend((FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES).to_be_bytes());
        Self {
            flags_seen: false,
            no_zeroes: false,
            structured: false,
            allocation: None,
            options: 0,
            outgoing,
        }
    }

    /// What is to be sent now.
    #[must_use]
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// Takes one message off the front of `input`.
    pub fn receive<X: Exports>(&mut self, input: &mut Vec<u8>, exports: &X) -> Outcome<X::Export> {
        let Some((taken, outcome)) = self.step(input, exports) else { return Outcome::More };
        input.drain(..taken);
        outcome
    }

    /// One message, and how long it was; `None` while it is not complete.
    fn step<X: Exports>(&mut self, input: &[u8], exports: &X) -> Option<(usize, Outcome<X::Export>)> {
        let mut fields = Fields(input);
        if !self.flags_seen {
            let flags = fields.u32()?;
            self.flags_seen = true;
            self.no_zeroes = flags & u32::from(FLAG_NO_ZEROES) != 0;
            let known = u32::from(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES);
            return Some((4, if flags & !known == 0 { Outcome::Again } else { Outcome::Closed }));
        }
        let (magic, option, length) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.options += 1;
        if magic != OPTION_MAGIC || self.options > MAXIMUM_OPTIONS {
            return Some((16, Outcome::Closed));
        }
        if length > MAXIMUM_OPTION {
            self.reply(option, option_reply::TOO_BIG, b"the option is too long");
            return Some((16, Outcome::Closed));
        }
        let Some(data) = fields.bytes(length) else {
            self.options -= 1;
            return None;
        };
        Some((16 + length, self.option(option, data, exports)))
    }

    fn option<X: Exports>(&mut self, number: u32, data: &[u8], exports: &X) -> Outcome<X::Export> {
        match number {
            option::EXPORT_NAME => return self.export_name(data, exports),
            option::ABORT => {
                self.reply(number, option_reply::ACKNOWLEDGE, &[]);
                return Outcome::Closed;
            }
            option::LIST => self.list(data, exports),
            option::INFO => {
                if let Some((name, wanted)) = self.parse_information(number, data) {
                    match exports.describe(name) {
                        Ok(information) => self.inform(number, name, &information, &wanted),
                        Err(error) => self.refuse(number, &error),
                    }
                }
            }
            option::GO => {
                let Some((name, wanted)) = self.parse_information(number, data) else {
                    return Outcome::Again;
                };
                match exports.open(name) {
                    Ok(export) => {
                        let information = export.information();
                        self.inform(number, name, &information, &wanted);
                        return Outcome::Transmission(export, information, self.session(name));
                    }
                    Err(error) => self.refuse(number, &error),
                }
            }
            option::STRUCTURED_REPLY if data.is_empty() => {
                self.structured = true;
                self.reply(number, option_reply::ACKNOWLEDGE, &[]);
            }
            option::STRUCTURED_REPLY => self.reply(number, option_reply::INVALID, b"data is not expected"),
            option::LIST_META_CONTEXT | option::SET_META_CONTEXT => self.meta_context(number, data, exports),
            _ => self.reply(number, option_reply::UNSUPPORTED, b"the option is not supported"),
        }
        Outcome::Again
    }

    fn session(&self, name: &str) -> Session {
        let allocation = self.structured && self.allocation.as_deref() == Some(name);
        Session { structured: self.structured, allocation }
    }

    fn reply(&mut self, option: u32, kind: u32, data: &[u8]) {
        self.outgoing.extend(OPTION_REPLY_MAGIC.to_be_bytes());
        self.outgoing.extend(option.to_be_bytes());
        self.outgoing.extend(kind.to_be_bytes());
        self.outgoing.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.outgoing.extend(data);
    }

    fn refuse(&mut self, option: u32, error: &OpenError) {
        let kind = match error.kind {
            OpenErrorKind::Unknown => option_reply::UNKNOWN,
            OpenErrorKind::Denied => option_reply::POLICY,
            OpenErrorKind::Shutdown => option_reply::SHUTDOWN,
        };
        let message = error.message.as_bytes();
        self.reply(option, kind, &message[..message.len().min(MAXIMUM_TEXT)]);
    }

    /// This option has no way to say no but the end of the connection.
    fn export_name<X: Exports>(&mut self, data: &[u8], exports: &X) -> Outcome<X::Export> {
        let name = std::str::from_utf8(data).ok().filter(|name| name.len() <= MAXIMUM_TEXT);
        let Some((name, Ok(export))) = name.map(|name| (name, exports.open(name))) else {
            return Outcome::Closed;
        };
        let information = export.information();
        self.outgoing.extend(information.size.to_be_bytes());
        self.outgoing.extend(information.flags(self.structured).to_be_bytes());
        if !self.no_zeroes {
            self.outgoing.extend([0; 124]);
        }
        Outcome::Transmission(export, information, self.session(name))
    }

    fn list<X: Exports>(&mut self, data: &[u8], exports: &X) {
        if !data.is_empty() {
            return self.reply(option::LIST, option_reply::INVALID, b"data is not expected");
        }
        let mut length = 0;
        for name in exports.names() {
            length += name.len() + 24;
            if length > MAXIMUM_LIST {
                return self.reply(option::LIST, option_reply::TOO_BIG, b"there are too many exports");
            }
            let mut data = u32::try_from(name.len()).unwrap_or(0).to_be_bytes().to_vec();
            data.extend(name.as_bytes());
            self.reply(option::LIST, option_reply::SERVER, &data);
        }
        self.reply(option::LIST, option_reply::ACKNOWLEDGE, &[]);
    }

    /// Name and wanted kinds of `NBD_OPT_INFO` and `NBD_OPT_GO`.
    fn parse_information<'a>(&mut self, option: u32, data: &'a [u8]) -> Option<(&'a str, Vec<u16>)> {
        let parse = || {
            let mut fields = Fields(data);
            let name = fields.text()?;
            let count = usize::from(fields.u16()?);
            let kinds: Option<Vec<u16>> = (0..count).map(|_| fields.u16()).collect();
            fields.0.is_empty().then_some((name, kinds?))
        };
        let parsed = parse();
        if parsed.is_none() {
            self.reply(option, option_reply::INVALID, b"the option's data is malformed");
        }
        parsed
    }

    fn inform(&mut self, option: u32, name: &str, export: &ExportInformation, wanted: &[u16]) {
        let mut data = information::EXPORT.to_be_bytes().to_vec();
        data.extend(export.size.to_be_bytes());
        data.extend(export.flags(self.structured).to_be_bytes());
        self.reply(option, option_reply::INFO, &data);
        let mut data = information::BLOCK_SIZE.to_be_bytes().to_vec();
        for size in [export.minimum_block, export.preferred_block, export.maximum_payload] {
            data.extend(size.to_be_bytes());
        }
        self.reply(option, option_reply::INFO, &data);
        let text = |kind: u16, text: &str| [&kind.to_be_bytes()[..], text.as_bytes()].concat();
        if wanted.contains(&information::NAME) {
            self.reply(option, option_reply::INFO, &text(information::NAME, name));
        }
        if let Some(description) = &export.description
            && wanted.contains(&information::DESCRIPTION)
        {
            self.reply(option, option_reply::INFO, &text(information::DESCRIPTION, description));
        }
        self.reply(option, option_reply::ACKNOWLEDGE, &[]);
    }

    fn meta_context<X: Exports>(&mut self, number: u32, data: &[u8], exports: &X) {
        let set = number == option::SET_META_CONTEXT;
        if set {
            self.allocation = None;
        }
        if !self.structured {
            return self.reply(number, option_reply::INVALID, b"structured replies come first");
        }
        let parse = || {
            let mut fields = Fields(data);
            let name = fields.text()?;
            let count = fields.u32()?;
            let mut queries = Vec::new();
            for _ in 0..count {
                // Ends with the data, whatever the count claims.
                queries.push(fields.text()?);
            }
            fields.0.is_empty().then_some((name, queries))
        };
        let Some((name, queries)) = parse() else {
            return self.reply(number, option_reply::INVALID, b"the option's data is malformed");
        };
        if let Err(error) = exports.describe(name) {
            return self.refuse(number, &error);
        }
        let selected = queries.contains(&ALLOCATION);
        if selected || !set && (queries.is_empty() || queries.contains(&"base:")) {
            let id = if set { ALLOCATION_ID } else { 0 };
            let reply = [&id.to_be_bytes()[..], ALLOCATION.as_bytes()].concat();
            self.reply(number, option_reply::META_CONTEXT, &reply);
        }
        if set && selected {
            self.allocation = Some(name.to_owned());
        }
        self.reply(number, option_reply::ACKNOWLEDGE, &[]);
    }
}
