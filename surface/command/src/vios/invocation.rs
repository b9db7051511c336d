//! What a command of a Virtual I/O Server is given.

use std::io::{self, Read, Write};
use std::sync::Arc;

use varan_contract::vios::{
    DeviceOutcome, DeviceQuery, DeviceSelector, RequestId, Select, ViosAnswer, ViosChange, ViosDone,
    ViosIdentity, ViosLink, ViosQuery,
};
use varan_model::vios::{Device, DeviceName, ViosMessage};

use super::error::{Ended, refused};

/// The server's files, for commands that take one.
pub trait ServerFiles {
    /// Moves or copies a file into the server's upload directory and returns its name there.
    ///
    /// # Errors
    /// Which refusal it is: [`ViosMessage::FileUnreadable`], [`ViosMessage::NoSpace`].
    fn upload(&self, path: &str) -> Result<String, ViosMessage>;

    /// A small file whole.
    ///
    /// # Errors
    /// Not there, not readable, larger than `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;
}

/// One run of a command.
pub struct ViosInvocation<'a> {
    /// Way to the server.
    pub server: &'a dyn ViosLink,
    /// Makes identities of requests.
    pub request_id: &'a dyn Fn() -> RequestId,
    /// Whether root runs it, else padmin.
    pub root: bool,
    /// Arguments without the command's name.
    pub arguments: &'a [String],
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Standard output.
    pub output: &'a mut dyn Write,
    /// Standard error.
    pub errors: &'a mut dyn Write,
    /// The server's files.
    pub files: &'a dyn ServerFiles,
}

/// A device as users name it on the command line: names and locations do not look alike.
pub(crate) fn by_name(name: &str) -> DeviceSelector {
    DeviceSelector::Name(name.to_owned())
}

/// A device by one of two options: its name or its location code.
pub(crate) fn selector(parsed: &super::Parsed, name: &str, location: &str) -> Option<DeviceSelector> {
    let by_location = || parsed.get(location).map(|code| DeviceSelector::Location(code.to_owned()));
    parsed.get(name).map(by_name).or_else(by_location)
}

/// Takes the answer that a question has, or says that the server answered something else.
macro_rules! answer {
    ($invocation:expr, $query:expr, $kind:ident) => {
        match $invocation.ask($query)? {
            ::varan_contract::vios::ViosAnswer::$kind(answer) => answer,
            _ => return Err($crate::vios::invocation::confused()),
        }
    };
}
pub(crate) use answer;

/// An answer to another question.
pub(crate) fn confused() -> Ended {
    refused(ViosMessage::HostFailed, "the answer belongs to another question").into()
}

impl ViosInvocation<'_> {
    /// Asks the server.
    pub(crate) fn ask(&self, query: ViosQuery) -> Result<ViosAnswer, Ended> {
        Ok(self.server.ask(query)?)
    }

    /// Has the server change something.
    pub(crate) fn change(&self, change: ViosChange) -> Result<ViosDone, Ended> {
        Ok(self.server.change((self.request_id)(), change)?)
    }

    /// The server itself.
    pub(crate) fn identity(&self) -> Result<ViosIdentity, Ended> {
        Ok(answer!(self, ViosQuery::Identity, Identity))
    }

    /// Devices.
    pub(crate) fn devices(&self, query: DeviceQuery) -> Result<Vec<Arc<Device>>, Ended> {
        Ok(answer!(self, ViosQuery::Devices(query), Devices))
    }

    /// One device, which must exist.
    pub(crate) fn device(&self, selector: DeviceSelector) -> Result<Arc<Device>, Ended> {
        self.devices(DeviceQuery::One(selector))?.into_iter().next().ok_or_else(confused)
    }

    /// Prints what became of devices: `vtscsi0 Available`.
    pub(crate) fn print_done(&mut self, done: &ViosDone) -> Result<(), Ended> {
        for (name, outcome) in &done.devices {
            writeln!(self.output, "{}", outcome_line(name, *outcome))?;
        }
        self.print_notes(done)
    }

    /// Prints what an operation has to say besides, to standard error.
    pub(crate) fn print_notes(&mut self, done: &ViosDone) -> Result<(), Ended> {
        if !done.notes.is_empty() {
            self.output.flush()?;
        }
        for note in &done.notes {
            // The command has done its work; a note that nobody reads changes nothing.
            let _ = writeln!(self.errors, "{note}");
        }
        Ok(())
    }

    /// Changes something and prints the devices that it is about.
    pub(crate) fn change_and_print(&mut self, change: ViosChange) -> Result<u8, Ended> {
        let done = self.change(change)?;
        self.print_done(&done)?;
        Ok(0)
    }

    /// Changes something silently.
    pub(crate) fn change_silently(&mut self, change: ViosChange) -> Result<u8, Ended> {
        let done = self.change(change)?;
        self.print_notes(&done)?;
        Ok(0)
    }

    /// Notes a command that changed something in the command log. One that cannot be noted is done all the same.
    pub(crate) fn note(&self, name: &str) {
        let user = if self.root { "root" } else { "padmin" };
        let mut command = name.to_owned();
        for argument in self.arguments {
            command.push(' ');
            command.push_str(argument);
        }
        let _ = self.change(ViosChange::LogCommand { user: user.to_owned(), command });
    }

    /// Asks the user; anything but `y` or `yes` is a no, as is the end of the input.
    pub(crate) fn confirm(&mut self, question: &str) -> Result<bool, Ended> {
        write!(self.output, "{question}")?;
        self.output.flush()?;
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < 64 && matches!(self.input.read(&mut byte), Ok(1)) && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&line).trim().to_ascii_lowercase();
        Ok(answer == "y" || answer == "yes")
    }
}

/// What a command prints of a device that it was about.
pub(crate) fn outcome_line(name: &DeviceName, outcome: DeviceOutcome) -> String {
    let word = match outcome {
        DeviceOutcome::Available => "Available",
        DeviceOutcome::Defined => "Defined",
        DeviceOutcome::Deleted => "deleted",
        DeviceOutcome::Changed => "changed",
    };
    format!("{name} {word}")
}

/// One or all, by an option.
pub(crate) fn select(name: Option<&str>) -> Select {
    name.map_or(Select::All, |name| Select::One(by_name(name)))
}

/// A size such as `20G`, `512m`, `1024M`, in MB; a bare number has the unit that the caller says.
pub(crate) fn megabytes(text: &str) -> Result<Option<u64>, Ended> {
    let wrong = || Ended::from(refused(ViosMessage::ArgumentInvalid, text));
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        'm' | 'M' => 1,
        'g' | 'G' => 1_024,
        't' | 'T' => 1_024 * 1_024,
        digit if digit.is_ascii_digit() => return Ok(None),
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    match number.checked_mul(factor) {
        Some(size) if size > 0 => Ok(Some(size)),
        _ => Err(wrong()),
    }
}

/// A positive number.
pub(crate) fn count(text: &str) -> Result<u32, Ended> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(refused(ViosMessage::ArgumentInvalid, text).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::megabytes;

    #[test]
    fn sizes_have_units() {
        for (text, size) in [("20G", Some(20_480)), ("512m", Some(512)), ("1024M", Some(1_024)), ("16", None)]
        {
            assert_eq!(megabytes(text).expect(text), size);
        }
        for text in ["", "G", "0G", "-1G", "1.5G", "1X", "99999999999999999999G", "9999999999999999T"] {
            assert!(megabytes(text).is_err(), "{text}");
        }
    }
}
