//! Login and the prompt on the virtual terminal.

use varan_contract::engine::Personality;

use super::line::LineEvent;
use super::shell::{Reply, split_unquoted};
use super::{Effect, Guest, Moment};

/// Who is at the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    Root,
    /// padmin's restricted shell.
    Padmin,
    /// The root shell under padmin's (`oem_setup_env`).
    PadminAsRoot,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Session {
    #[default]
    LoginName,
    Password(String),
    Shell(User),
}

impl Guest {
    pub(super) fn raw_output(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self.effects.last_mut() {
            Some(Effect::Output(earlier)) => earlier.extend_from_slice(&bytes),
            _ => self.effects.push(Effect::Output(bytes)),
        }
    }

    fn login_prompt(&self) -> String {
        match self.personality() {
            Personality::Linux => format!("{} login: ", self.hostname()),
            Personality::VirtualIoServer => "\nIBM Virtual I/O Server\n\nlogin: ".to_owned(),
            Personality::Aix => "Console login: ".to_owned(),
            Personality::IbmI => {
                "\nThe partition has no 5250 console. Use osshutdown on the management console.\n".to_owned()
            }
        }
    }

    pub(super) fn show_login(&mut self) {
        let banner = match self.personality() {
            Personality::Linux => {
                let (distribution, version) = self.linux_distribution();
                let product = match distribution {
                    "Red Hat" => format!("Red Hat Enterprise Linux {version}"),
                    "" => "Linux".to_owned(),
                    other => format!("{other} Linux"),
                };
                format!("\n{product}\nKernel {} on an ppc64le\n\n", self.level())
            }
            Personality::Aix => format!("\n\nAIX Version {}\n", self.aix_version().0),
            Personality::VirtualIoServer | Personality::IbmI => String::new(),
        };
        let prompt = self.login_prompt();
        self.output(&banner);
        self.output(&prompt);
    }

    pub(super) fn prompt(&mut self) {
        let text = match &self.session {
            Session::LoginName => self.login_prompt(),
            Session::Password(_) => match self.personality() {
                Personality::Linux => "Password: ".to_owned(),
                _ => format!("{}'s Password: ", self.login_name()),
            },
            Session::Shell(User::Padmin) => "$ ".to_owned(),
            Session::Shell(_) if self.personality() == Personality::Linux => {
                format!("[root@{} ~]# ", self.hostname().split('.').next().unwrap_or_default())
            }
            Session::Shell(_) => "# ".to_owned(),
        };
        self.output(&text);
    }

    fn login_name(&self) -> &str {
        match &self.session {
            Session::Password(name) => name,
            Session::LoginName | Session::Shell(_) => "",
        }
    }

    pub(super) fn session_byte(&mut self, now: Moment, byte: u8) {
        if self.personality() == Personality::IbmI {
            if byte == b'\r' {
                self.prompt();
            }
            return;
        }
        let echo = !matches!(self.session, Session::Password(_));
        let mut shown = Vec::new();
        let event = self.line.feed(byte, echo, &mut shown);
        self.raw_output(shown);
        match event {
            LineEvent::Nothing => {}
            LineEvent::Line(line) => self.session_line(now, &line),
            LineEvent::Interrupt => {
                if !matches!(self.session, Session::Shell(_)) {
                    self.session = Session::LoginName;
                }
                self.prompt();
            }
            LineEvent::EndOfFile => {
                self.output("\n");
                self.leave_shell();
            }
        }
    }

    fn session_line(&mut self, now: Moment, line: &str) {
        match std::mem::take(&mut self.session) {
            Session::LoginName => {
                let name = line.trim();
                if !name.is_empty() {
                    self.session = Session::Password(name.to_owned());
                }
                self.prompt();
            }
            Session::Password(name) => self.check_password(&name, line),
            Session::Shell(user) => {
                self.session = Session::Shell(user);
                if self.personality() == Personality::VirtualIoServer {
                    return self.run_line(now, user, line);
                }
                self.queued = split_unquoted(line, ';').into_iter().map(str::to_owned).collect();
                self.next_command(now);
            }
        }
    }

    fn run_line(&mut self, now: Moment, user: User, line: &str) {
        let reply = self.execute(now, user, line);
        if reply == Reply::Elsewhere {
            self.elsewhere = Some(line.to_owned());
            let root = user != User::Padmin;
            self.effects.push(Effect::Console { root, line: line.to_owned() });
            return;
        }
        self.show_reply(now, reply);
    }

    /// A command is over: the next one of its line, or the prompt.
    pub(super) fn next_command(&mut self, now: Moment) {
        let Session::Shell(user) = self.session else { return self.prompt() };
        match self.queued.pop_front() {
            Some(command) => self.run_line(now, user, &command),
            None => {
                // An idle guest keeps no queue.
                self.queued = std::collections::VecDeque::new();
                self.prompt();
            }
        }
    }

    /// What came of a line that somebody else ran.
    pub(super) fn console_answered(&mut self, now: Moment, answer: Option<String>) {
        let Some(line) = self.elsewhere.take() else { return };
        let Session::Shell(user) = self.session else { return };
        match answer {
            Some(output) => {
                self.output(&output);
                self.prompt();
            }
            None => {
                let reply = self.execute_here(now, user, &line);
                self.show_reply(now, reply);
            }
        }
        let typed: Vec<u8> = std::mem::take(&mut self.typed_ahead).into();
        self.typed(now, &typed);
    }

    fn check_password(&mut self, name: &str, password: &str) {
        let virtual_io_server = self.personality() == Personality::VirtualIoServer;
        let configuration = self.configuration.as_ref();
        let user = match name {
            "root" => configuration.map(|known| (User::Root, &known.root_password)),
            "padmin" if virtual_io_server => {
                configuration.map(|known| (User::Padmin, &known.padmin_password))
            }
            _ => None,
        };
        match user {
            Some((user, expected)) if expected == password => {
                self.session = Session::Shell(user);
                self.output("\n");
            }
            _ => {
                self.session = Session::LoginName;
                self.output(match self.personality() {
                    Personality::Linux => "Login incorrect\n\n",
                    _ => "3004-007 You entered an invalid login name or password.\n",
                });
            }
        }
        self.prompt();
    }

    pub(super) fn show_reply(&mut self, now: Moment, reply: Reply) {
        match reply {
            Reply::Text(text) => {
                self.output(&text);
                self.next_command(now);
            }
            Reply::Waiting => {}
            Reply::Durable { text, report } => self.save_then_show(text, report),
            Reply::Become(user) => {
                self.session = Session::Shell(user);
                self.prompt();
            }
            Reply::Elsewhere => self.prompt(),
            Reply::Leave => {
                self.queued.clear();
                self.leave_shell();
            }
            Reply::ShutDown { fast, restart } => {
                self.session = Session::LoginName;
                self.shut_down_by_command(now, fast, restart);
            }
        }
    }

    fn leave_shell(&mut self) {
        self.session = match self.session {
            Session::Shell(User::PadminAsRoot) => Session::Shell(User::Padmin),
            _ => Session::LoginName,
        };
        match self.session {
            Session::LoginName => self.show_login(),
            _ => self.prompt(),
        }
    }
}
