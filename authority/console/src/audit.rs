//! The audit: who ran what, and how it ended. Passwords are masked before anything is recorded.

/// Entries kept; the oldest go first. At a line of 200 bytes this is about 20 MB.
pub const AUDIT_ENTRIES_KEPT: u32 = 100_000;
/// Longest command line recorded, in bytes; the rest is cut, so that a record of 256 KiB does not fill the database.
pub const AUDIT_COMMAND_BYTES_MAX: usize = 4_096;

/// One command that a user ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it ended, in seconds since 1970 UTC.
    pub seconds: i64,
    /// User.
    pub user: String,
    /// Other end of the connection; empty for a local command.
    pub peer: String,
    /// Command line, passwords masked.
    pub command: String,
    /// Exit status.
    pub status: u8,
}

impl AuditEntry {
    /// Cuts the command line to [`AUDIT_COMMAND_BYTES_MAX`].
    pub(crate) fn cut(&mut self) {
        if self.command.len() > AUDIT_COMMAND_BYTES_MAX {
            let mut end = AUDIT_COMMAND_BYTES_MAX;
            while !self.command.is_char_boundary(end) {
                end -= 1;
            }
            self.command.truncate(end);
        }
    }
}

/// What stands in place of a password.
const MASK: &str = "****";
/// Commands that take passwords on standard input or in records.
const PASSWORD_COMMANDS: [&str; 4] = ["chhmcusr", "chsyspwd", "mkhmcusr", "mksysconn"];

/// A command with its arguments as the audit keeps it: passwords are masked.
#[must_use]
pub fn masked_command(name: &str, arguments: &[String]) -> String {
    let password_change = arguments.windows(2).any(|pair| pair[0] == "-t" && pair[1] == "passwd");
    let mut line = name.to_owned();
    let mut secret = false;
    for argument in arguments {
        line.push(' ');
        if secret {
            line.push_str(MASK);
        } else {
            line.push_str(&masked_record(argument));
        }
        secret =
            matches!(argument.as_str(), "--passwd" | "--newpasswd") || (argument == "-v" && password_change);
    }
    line
}

/// Masks all that follows `passwd=`, whatever its case; where the value ends depends on quotes that may be wrong.
fn masked_record(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let found = ["passwd=", "passwd+=", "passwd-=", "passwd ="].iter().filter_map(|word| {
        let at = lower.find(word)?;
        Some(at + word.len())
    });
    found.min().map_or_else(|| text.to_owned(), |end| format!("{}{MASK}", &text[..end]))
}

/// A line of the shell as the audit keeps it. A line that runs a command with passwords and is more than that one command
/// may hold a password anywhere (`echo old | chhmcusr ...`), so nothing of it is kept: its commands are recorded one by
/// one when they end.
#[must_use]
pub fn masked_line(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let with_passwords = PASSWORD_COMMANDS.iter().any(|command| line.contains(command));
    if !with_passwords && !lower.contains("passwd") {
        return line.to_owned();
    }
    match simple_words(line) {
        Some(words) if !words.is_empty() => masked_command(&words[0], &words[1..]),
        _ => "(a line that may hold a password)".to_owned(),
    }
}

/// The name of the command, of a line that is one plain command.
#[must_use]
pub fn plain_command(line: &str) -> Option<String> {
    simple_words(line)?.into_iter().next()
}

/// The words of a line that is one plain command; `None` where the shell does more than to split it.
fn simple_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.trim().chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '#' | '\n' | '\r') => return None,
            (None | Some('"'), '$' | '`') => return None,
            (_, character) => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return None;
    }
    words.extend(word);
    // `PASSWORD=x command`: an assignment is not a command.
    if words.first().is_some_and(|first| first.contains('=')) { None } else { Some(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_keeps_a_password() {
        for line in [
            "mkhmcusr -u x -a hmcviewer --passwd Secret77",
            "mkhmcusr -i 'name=x,passwd=Secret77,taskrole=hmcviewer'",
            "mkhmcusr -i \"name=x,\\\"passwd=a,Secret77\\\"\"",
            "chhmcusr -u x -t passwd -v Secret77",
            "chhmcusr -v Secret77 -t passwd -u x",
            "chhmcusr -i name=x,current_passwd=Secret77,passwd=y",
            "chhmcusr -i 'name=x,PASSWD=Secret77'",
            "chhmcusr -i 'name=x, passwd = Secret77'",
            "echo Secret77 | chhmcusr -u x -t passwd -v other",
            "P=Secret77; chhmcusr -u x -t passwd -v $P",
            "P=Secret77 mkhmcusr -u x",
            "chhmcusr -u x -t passwd -v 'Secret77",
            "chhmcusr -u x -t passwd -v other <<< Secret77",
            "chhmcusr -u x -t passwd -v \\\nSecret77",
            "mkauthkeys --ip 1.2.3.4 -u x --passwd Secret77",
        ] {
            let masked = masked_line(line);
            assert!(!masked.contains("Secret77"), "{line}: {masked}");
        }
    }

    #[test]
    fn other_lines_are_kept() {
        for line in ["lssyscfg -r sys | head -1", "chhmcusr -u x -t desc -v words", "", "mkhmcusr -u x"] {
            assert_eq!(masked_line(line), line);
        }
        assert_eq!(masked_line("chhmcusr -u x -t passwd -v 'a b' "), "chhmcusr -u x -t passwd -v ****");
        assert_eq!(masked_line("mkhmcusr -i 'name=x,passwd=a'"), "mkhmcusr -i name=x,passwd=****");
    }
}
