//! A session driven by bytes, as a transport drives it.

mod support;

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use support::{RecordingHost, files};
use varan_shell::{ByteSink, Cancellation, Capture, Channels, Input, Output, Shell, Terminal};

const PROMPT: &str = "hscroot@hmc1:~> ";

/// How long nothing may be shown before a test that waits for something gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the person sees; a test waits for a text to appear.
#[derive(Default)]
struct Screen {
    shown: Mutex<String>,
    changed: Condvar,
}

impl ByteSink for Screen {
    fn write_all(&self, bytes: &[u8], _: &Arc<Cancellation>) -> io::Result<()> {
        self.shown.lock().expect("screen").push_str(&String::from_utf8_lossy(bytes));
        self.changed.notify_all();
        Ok(())
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

struct Session {
    screen: Arc<Screen>,
    terminal: Arc<Terminal>,
    cancellation: Arc<Cancellation>,
    host: Arc<RecordingHost>,
    thread: JoinHandle<u8>,
}

impl Session {
    fn start() -> Self {
        let screen = Arc::new(Screen::default());
        let terminal = Terminal::new(screen.clone(), 80, 24);
        let cancellation = Cancellation::new();
        let host = RecordingHost::new();
        let mut shell = Shell::new(host.clone(), files());
        let thread = std::thread::spawn({
            let (terminal, cancellation) = (terminal.clone(), cancellation.clone());
            move || shell.interactive(&terminal, &cancellation)
        });
        Self { screen, terminal, cancellation, host, thread }
    }

    fn type_in(&self, text: &str) {
        self.terminal.feed(text.as_bytes(), &self.cancellation).expect("the terminal is there");
    }

    /// Waits until the text is shown, takes everything up to its end, and returns that.
    fn expect(&self, text: &str) -> String {
        let mut shown = self.screen.shown.lock().expect("screen");
        loop {
            if let Some(index) = shown.find(text) {
                let rest = shown.split_off(index + text.len());
                return std::mem::replace(&mut shown, rest);
            }
            // A text that never comes must fail the test with what came instead of it.
            let (next, waited) = self.screen.changed.wait_timeout(shown, PATIENCE).expect("screen");
            assert!(!waited.timed_out(), "waiting for {text:?}, shown {next:?}");
            shown = next;
        }
    }

    /// Types a line at a prompt and returns what is shown up to the next prompt.
    fn line(&self, line: &str) -> String {
        self.type_in(&format!("{line}\r"));
        let echoed = self.expect("\r\n");
        assert!(echoed.ends_with(&format!("{line}\r\n")), "{echoed:?}");
        let shown = self.expect(PROMPT);
        shown.strip_suffix(PROMPT).expect("the prompt").to_string()
    }

    fn end(self) -> (String, u8) {
        let status = self.thread.join().expect("the session");
        let shown = self.screen.shown.lock().expect("screen").clone();
        (shown, status)
    }
}

#[test]
fn lines_are_run_and_remembered() {
    let session = Session::start();
    session.expect(PROMPT);
    assert_eq!(session.line("lssyscfg -r sys -F name"), "p824-1\r\np824-2\r\n");
    assert_eq!(session.line("x=5"), "");
    assert_eq!(session.line("echo $x $?"), "5 0\r\n");
    assert_eq!(session.line("fails"), "HSCL8012 The partition named lpar9 was not found.\r\n");
    assert_eq!(session.line("echo $?"), "1\r\n");
    assert_eq!(session.line("awk 1"), "-bash: awk: command not found\r\n");
    assert_eq!(
        session.line("/bin/ls"),
        "-bash: /bin/ls: restricted: cannot specify `/' in command names\r\n"
    );
    assert_eq!(session.line("cd /"), "-bash: cd: restricted\r\n");
    assert_eq!(session.line("echo a > f"), "-bash: f: restricted: cannot redirect output\r\n");
    assert_eq!(session.line("echo a )"), "-bash: syntax error near unexpected token `)'\r\n");
    assert_eq!(session.line("PATH=x; echo no"), "-bash: PATH: readonly variable\r\n");
    assert_eq!(session.line("f() { echo \"f $1\"; }"), "");
    assert_eq!(session.line("f 2"), "f 2\r\n");
    assert_eq!(session.line("history 2"), "   13  f 2\r\n   14  history 2\r\n");
    session.type_in("exit 7\r");
    let (shown, status) = session.end();
    assert_eq!((shown.as_str(), status), ("exit 7\r\nlogout\r\n", 7));
}

#[test]
fn keys_edit_and_recall() {
    let session = Session::start();
    session.expect(PROMPT);
    assert_eq!(session.line("echo one"), "one\r\n");
    session.type_in("\x1b[A\x1b[D\x1b[D\x1b[DX\r");
    session.expect("\r\n");
    assert_eq!(session.expect(PROMPT), format!("Xone\r\n{PROMPT}"));
    session.type_in("echo abc\x7fd\x01\x05\r");
    session.expect("\r\n");
    assert_eq!(session.expect("\r\n"), "abd\r\n");
    session.expect(PROMPT);
    // The Tab key completes commands and files.
    session.type_in("lssys\t-r sys\r");
    session.expect("p824-2\r\n");
    session.expect(PROMPT);
    session.type_in("cat na\t\r");
    assert!(session.expect("lpar1\r\n").contains("cat names.txt "));
    session.expect(PROMPT);
    session.type_in("\x04");
    let (shown, status) = session.end();
    assert_eq!((shown.as_str(), status), ("logout\r\n", 0));
}

#[test]
fn a_command_goes_on_over_several_lines() {
    let session = Session::start();
    session.expect(PROMPT);
    session.type_in("for i in 1 2\r");
    assert_eq!(session.expect("> "), "for i in 1 2\r\n> ");
    session.type_in("do\recho n$i\rdone\r");
    assert_eq!(session.expect(PROMPT), format!("do\r\n> echo n$i\r\n> done\r\nn1\r\nn2\r\n{PROMPT}"));
    // History holds it as one line that means the same.
    session.type_in("\x1b[A\r");
    let shown = session.expect("n2\r\n");
    assert!(shown.contains("for i in 1 2; do echo n$i; done\r\nn1\r\n"), "{shown:?}");
    session.expect(PROMPT);
    session.type_in("echo 'a\r");
    session.expect("> ");
    session.type_in("b'\r");
    assert_eq!(session.expect(PROMPT), format!("b'\r\na\r\nb\r\n{PROMPT}"));
    session.type_in("echo a \\\rb |\rcat\r");
    assert!(session.expect(PROMPT).ends_with(&format!("a b\r\n{PROMPT}")));
    session.type_in("cat <<E\rx $((1+1))\rE\r");
    assert!(session.expect(PROMPT).ends_with(&format!("x 2\r\n{PROMPT}")));
    // Ctrl-C gives the whole command up; Ctrl-D within one is its end.
    session.type_in("if true\r");
    session.expect("> ");
    session.type_in("then\x03");
    assert_eq!(session.expect(PROMPT), format!("then^C\r\n{PROMPT}"));
    assert_eq!(session.line("echo $?"), "130\r\n");
    session.type_in("echo \"a\r\x04");
    let shown = session.expect(PROMPT);
    assert!(shown.contains("unexpected EOF while looking for matching `\"'\r\n"), "{shown:?}");
    assert_eq!(session.line("echo $?"), "2\r\n");
    session.type_in("\x04");
    assert_eq!(session.end().1, 0);
}

#[test]
fn control_c_stops_what_runs() {
    let session = Session::start();
    session.expect(PROMPT);
    // A command that waits, a loop, a pipeline, a sleep, a builtin that reads.
    for line in [
        "sleep 1000",
        "while :; do :; done",
        "sleep 1000 | cat",
        "sleep 1000 | sleep 1000; echo no",
        "cat | cat",
    ] {
        session.type_in(&format!("{line}; echo never\r"));
        session.expect("never\r\n");
        // Whether the command has begun or not: a Ctrl-C behind its line stops it.
        session.type_in("\x03");
        session.expect("^C\r\n");
        session.expect(PROMPT);
        assert_eq!(session.line("echo $?"), "130\r\n", "{line}");
    }
    session.type_in("wait; echo never\r");
    session.expect("waiting\r\n");
    session.type_in("\x03");
    assert_eq!(session.expect(PROMPT), format!("^C\r\n{PROMPT}"));
    assert_eq!(session.line("echo $?"), "130\r\n");
    session.type_in("read x\r");
    session.expect("\r\n");
    session.type_in("abc\x03");
    session.expect("^C\r\n");
    session.expect(PROMPT);
    assert_eq!(session.line("echo \"$? $x.\""), "130 .\r\n");
    session.type_in("\x04");
    assert_eq!(session.end().1, 0);
}

#[test]
fn commands_read_what_is_typed() {
    let session = Session::start();
    session.expect(PROMPT);
    session.type_in("read -p 'Name: ' a b\r");
    session.expect("Name: ");
    session.type_in("x y z\r");
    session.expect(PROMPT);
    assert_eq!(session.line("echo \"$a|$b\""), "x|y z\r\n");
    session.type_in("cat\r");
    session.expect("cat\r\n");
    session.type_in("abc\r");
    assert_eq!(session.expect("abc\r\nabc\r\n"), "abc\r\nabc\r\n");
    session.type_in("\x04");
    session.expect(PROMPT);
    assert_eq!(session.line("echo on"), "on\r\n");
    session.type_in("read -s -p 'Password: ' p\r");
    session.expect("Password: ");
    session.type_in("secret\r");
    assert!(!session.expect(PROMPT).contains("secret"));
    assert_eq!(session.line("echo ${#p}"), "6\r\n");
    session.type_in("\x04");
    session.end();
}

#[test]
fn raw_bytes_pass_untouched() {
    let session = Session::start();
    session.expect(PROMPT);
    session.type_in("raw\r");
    // No carriage return is added while the command holds the terminal.
    assert_eq!(session.expect("open\n"), "raw\r\nopen\n");
    session.type_in("\x03\r\n\x1ba~");
    assert_eq!(session.expect(PROMPT), format!("<3><13><10><27><97>{PROMPT}"));
    assert_eq!(session.line("echo back"), "back\r\n");
    session.type_in("\x04");
    session.end();
}

#[test]
fn a_prompt_can_be_chosen() {
    let session = Session::start();
    session.expect(PROMPT);
    session.type_in("PS1='[PEXPECT]\\$ '\r");
    session.expect("\r\n");
    session.expect("[PEXPECT]$ ");
    session.type_in("PS1='\\u \\W# '\r");
    session.expect("\r\nhscroot ~# ");
    session.terminal.hang_up();
    assert_eq!(session.end().1, 0);
}

#[test]
fn a_hang_up_or_a_cancelled_session_ends_everything() {
    let session = Session::start();
    session.expect(PROMPT);
    session.terminal.hang_up();
    assert_eq!(session.end(), ("logout\r\n".to_string(), 0));

    let session = Session::start();
    session.expect(PROMPT);
    session.type_in("wait\r");
    session.expect("waiting\r\n");
    session.cancellation.cancel();
    assert_eq!(session.host.calls().len(), 1);
    assert_eq!(session.end().1, 129);

    let session = Session::start();
    session.expect(PROMPT);
    session.cancellation.cancel();
    assert_eq!(session.end().1, 129);
}

#[test]
fn a_script_on_a_terminal_has_its_line_ends_and_its_control_c() {
    let screen = Arc::new(Screen::default());
    let terminal = Terminal::new(screen.clone(), 80, 24);
    let cancellation = Cancellation::new();
    let thread = std::thread::spawn({
        let channels = terminal.channels(&cancellation);
        move || Shell::new(RecordingHost::new(), files()).run_script("echo a; wait; echo b", channels)
    });
    let mut shown = screen.shown.lock().expect("screen");
    while !shown.contains("waiting\r\n") {
        shown = screen.changed.wait(shown).expect("screen");
    }
    assert_eq!(*shown, "a\r\nwaiting\r\n");
    drop(shown);
    terminal.feed(b"\x03", &cancellation).expect("fed");
    assert_eq!(thread.join().expect("the script"), 130);
}

#[test]
fn cancelling_a_script_ends_each_of_its_stages() {
    for script in
        ["wait", "wait | cat", "endless | wait", "while :; do :; done", "x=$(wait)", "wait | { wait; }"]
    {
        let (reader_end, input) = varan_shell::pipe(10);
        let cancellation = Cancellation::new();
        let host = RecordingHost::new();
        let output = Capture::new(1 << 30);
        let channels = Channels {
            input: Input::new(Arc::new(input), &cancellation),
            output: Output::new(output.clone(), &cancellation),
            error: Output::discard(),
            terminal: None,
            cancellation: cancellation.clone(),
        };
        let thread = std::thread::spawn({
            let host = host.clone();
            move || Shell::new(host, files()).run_script(script, channels)
        });
        cancellation.cancel();
        assert_eq!(thread.join().expect("the script"), 130, "{script}");
        drop(reader_end);
    }
}
