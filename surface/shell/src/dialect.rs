//! Which shell a user believes to have: its name, its prompt, its words when something is refused.
//!
//! The console's is bash in restricted mode. A Virtual I/O Server has the Korn shell of AIX: restricted for `padmin`, whole
//! for root. What the language can do is the same in all of them; the differences are here.

use crate::files::{FileError, TreePath};
use crate::syntax::SyntaxError;

/// A kind of shell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// bash on a management console.
    #[default]
    Console,
    /// The restricted Korn shell: no paths in command names, no files written, few directories entered.
    RestrictedKorn,
    /// The Korn shell.
    Korn,
}

/// AIX's number and text of what a restricted Korn shell does not do. The number is unverified.
const NOT_ALLOWED: &str = "0403-019 The operation is not allowed in a restricted shell.";

impl Dialect {
    /// Whether it is one of the Korn shells.
    #[must_use]
    pub fn is_korn(self) -> bool {
        self != Self::Console
    }

    /// How messages begin.
    pub(crate) fn name(self, login: bool) -> &'static str {
        match self {
            Self::Console if login => "-bash",
            Self::Console => "/bin/bash",
            Self::RestrictedKorn => "rksh",
            Self::Korn => "ksh",
        }
    }

    /// `$SHELL`.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Console => "/bin/bash",
            Self::RestrictedKorn => "/usr/bin/rksh",
            Self::Korn => "/usr/bin/ksh",
        }
    }

    /// `$PATH`.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Console => "/opt/hsc/bin:/usr/hmcrbin",
            Self::RestrictedKorn => "/usr/ios/cli:/usr/ios/utils:/usr/ios/lpm/bin:/usr/ios/oem:/home/padmin",
            Self::Korn => "/usr/bin:/etc:/usr/sbin:/usr/ucb:/usr/bin/X11:/sbin:/usr/ios/cli:/usr/ios/utils",
        }
    }

    /// The prompt when the user has not set `PS1`.
    pub(crate) fn prompt(self) -> &'static str {
        match self {
            Self::Console => "\\u@\\h:\\w> ",
            Self::RestrictedKorn => "$ ",
            Self::Korn => "# ",
        }
    }

    /// Directories whose commands may be named with their path.
    pub(crate) fn command_directories(self, interactive: bool) -> &'static [&'static str] {
        match self {
            Self::Console => &["/opt/hsc/bin/", "/usr/hmcrbin/"],
            // Scripts name the one program behind all commands by its path; a person is refused.
            Self::RestrictedKorn if !interactive => &["/usr/ios/cli/"],
            Self::RestrictedKorn => &[],
            Self::Korn => &[
                "/usr/ios/cli/",
                "/usr/ios/sbin/",
                "/usr/ios/utils/",
                "/usr/ios/oem/",
                "/usr/bin/",
                "/usr/sbin/",
                "/usr/lib/methods/",
                "/bin/",
                "/sbin/",
                "/etc/",
            ],
        }
    }

    /// A name that is no command.
    pub(crate) fn not_found(self, name: &str) -> String {
        if self.is_korn() { format!("{name}:  not found.") } else { format!("{name}: command not found") }
    }

    /// A command that is named with a path that nothing is found at.
    pub(crate) fn path_refused(self, name: &str) -> String {
        match self {
            Self::Console => format!("{name}: restricted: cannot specify `/' in command names"),
            Self::RestrictedKorn => format!("{name}: {NOT_ALLOWED}"),
            Self::Korn => self.not_found(name),
        }
    }

    /// A builtin that does not do what it does elsewhere.
    pub(crate) fn builtin_refused(self, name: &str) -> String {
        if self.is_korn() { format!("{name}: {NOT_ALLOWED}") } else { format!("{name}: restricted") }
    }

    /// A file that may not be written.
    pub(crate) fn redirection_refused(self, path: &str) -> String {
        if self.is_korn() {
            format!("{path}: {NOT_ALLOWED}")
        } else {
            format!("{path}: restricted: cannot redirect output")
        }
    }

    /// A file that cannot be read.
    pub(crate) fn unreadable(self, path: &str, error: &FileError) -> String {
        if self.is_korn() {
            format!("{path}: 0403-016 Cannot find or open the file.")
        } else {
            format!("{path}: {error}")
        }
    }

    /// A file that cannot be made.
    pub(crate) fn not_created(self, path: &str, error: &FileError) -> String {
        if self.is_korn() {
            format!("{path}: 0403-005 Cannot create the specified file.")
        } else {
            format!("{path}: {error}")
        }
    }

    /// A directory that cannot be entered.
    pub(crate) fn not_entered(self, path: &str, error: &FileError) -> String {
        match error {
            _ if !self.is_korn() => format!("cd: {path}: {error}"),
            FileError::NotFound => format!("{path}:  not found."),
            FileError::PermissionDenied => format!("{path}: 0403-020 The permissions do not allow entry."),
            _ => format!("{path}: 0403-036 The specified directory is not valid."),
        }
    }

    /// A directory that the shell does not let its user enter.
    pub(crate) fn entry_refused(self, path: &TreePath) -> String {
        if self.is_korn() { format!("{path}: {NOT_ALLOWED}") } else { "cd: restricted".to_owned() }
    }

    /// A script that is none, as the Korn shells say it; `None` where it is said as bash does.
    pub(crate) fn syntax_error(self, error: &SyntaxError) -> Option<String> {
        let what = match error {
            _ if !self.is_korn() => return None,
            SyntaxError::Unexpected { token, .. } => format!("`{token}' is not expected."),
            SyntaxError::Unterminated { quote, .. } => format!("`{quote}' is not matched."),
            SyntaxError::EndOfInput { .. } => "`end of file' is not expected.".to_owned(),
            _ => return None,
        };
        Some(format!("0403-057 Syntax error at line {} : {what}", error.line().max(1)))
    }
}
