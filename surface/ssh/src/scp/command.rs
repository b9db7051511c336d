//! Recognizing the command line that an scp client sends in its old protocol.

/// Which side of the copy the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// `-t`: files come from the client.
    Receive,
    /// `-f`: files go to the client.
    Send,
}

/// A word of the command line: its bytes, and for each whether it stands for itself (quoted).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) bytes: Vec<u8>,
    pub(crate) literal: Vec<bool>,
}

/// An `scp -t` or `scp -f` that a client runs on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScpCommand {
    pub(crate) direction: Direction,
    /// `-r`
    pub(crate) recursive: bool,
    /// `-p`
    pub(crate) preserve: bool,
    /// `-d`
    pub(crate) target_is_directory: bool,
    pub(crate) paths: Vec<Word>,
}

/// Reads a command line. `None` when it is not for the scp server: another command, or `scp`
/// without `-t` and `-f`; an error when it is, but cannot be done.
pub(crate) fn parse_command(line: &str) -> Option<Result<ScpCommand, String>> {
    let first = line.split_ascii_whitespace().next()?;
    if !matches!(first, "scp" | "/usr/bin/scp") {
        return None;
    }
    let words = split_words(line);
    let words = match words {
        Ok(words) => words,
        // Something with more than words in it: only if it looks like a server's call.
        Err(reason) => {
            let mut words = line.split_ascii_whitespace();
            let server = words.any(|word| word.starts_with('-') && word.contains(['t', 'f']));
            return server.then_some(Err(reason));
        }
    };
    let mut command = ScpCommand {
        direction: Direction::Send,
        recursive: false,
        preserve: false,
        target_is_directory: false,
        paths: Vec::new(),
    };
    let mut direction = None;
    let mut options = true;
    for word in words.into_iter().skip(1) {
        match word.bytes.as_slice() {
            b"--" if options => options = false,
            [b'-', letters @ ..] if options && !letters.is_empty() => {
                for letter in letters {
                    match letter {
                        b't' => direction = Some(Direction::Receive),
                        b'f' => direction = Some(Direction::Send),
                        b'r' => command.recursive = true,
                        b'p' => command.preserve = true,
                        b'd' => command.target_is_directory = true,
                        // Verbose and quiet change nothing here.
                        b'v' | b'q' => {}
                        _ => return Some(Err(format!("unknown option -{}", char::from(*letter)))),
                    }
                }
            }
            _ => {
                options = false;
                command.paths.push(word);
            }
        }
    }
    command.direction = direction?;
    Some(check(command))
}

fn check(command: ScpCommand) -> Result<ScpCommand, String> {
    match (command.direction, command.paths.len()) {
        (_, 0) => Err("no path is given".to_owned()),
        (Direction::Receive, 2..) => Err("more than one target is given".to_owned()),
        _ => Ok(command),
    }
}

/// Splits a line as a shell does, with quotes and backslashes; no other feature of a shell.
fn split_words(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut bytes = line.bytes();
    let push = |word: &mut Option<Word>, byte, literal| {
        let word = word.get_or_insert_with(|| Word { bytes: Vec::new(), literal: Vec::new() });
        word.bytes.push(byte);
        word.literal.push(literal);
    };
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(b'"'), b'$' | b'`') => return Err(unsupported(byte)),
            (Some(b'"'), b'\\') => match bytes.next() {
                Some(next @ (b'"' | b'\\' | b'$' | b'`')) => push(&mut word, next, true),
                Some(next) => {
                    push(&mut word, b'\\', true);
                    push(&mut word, next, true);
                }
                None => return Err("a quote is not closed".to_owned()),
            },
            (Some(_), _) => push(&mut word, byte, true),
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                word.get_or_insert_with(|| Word { bytes: Vec::new(), literal: Vec::new() });
            }
            (None, b'\\') => push(&mut word, bytes.next().ok_or("the line ends with a backslash")?, true),
            (None, b' ' | b'\t') => words.extend(word.take()),
            (None, b'$' | b'`' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' | b'\n') => {
                return Err(unsupported(byte));
            }
            (None, _) => push(&mut word, byte, false),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

fn unsupported(byte: u8) -> String {
    format!("{:?} is not supported in an scp path", char::from(byte))
}

impl Word {
    /// Whether a component of this word, from `start`, is a pattern.
    pub(crate) fn is_pattern(&self) -> bool {
        self.bytes.iter().zip(&self.literal).any(|(byte, literal)| !literal && matches!(byte, b'*' | b'?'))
    }

    /// The components of the word, split at `/`.
    pub(crate) fn components(&self) -> Vec<Word> {
        let mut components = vec![Word { bytes: Vec::new(), literal: Vec::new() }];
        for (byte, literal) in self.bytes.iter().zip(&self.literal) {
            match (byte, components.last_mut()) {
                (b'/', _) | (_, None) => {
                    components.push(Word { bytes: Vec::new(), literal: Vec::new() });
                }
                (_, Some(last)) => {
                    last.bytes.push(*byte);
                    last.literal.push(*literal);
                }
            }
        }
        components
    }

    /// Whether this component, taken as a pattern of `*` and `?`, matches `name`. A leading dot
    /// is matched only by a dot. Time is at most the product of the lengths.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        if name.first() == Some(&b'.') && self.bytes.first() != Some(&b'.') {
            return false;
        }
        let (mut at, mut in_name) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while in_name < name.len() {
            let wild = at < self.bytes.len() && !self.literal[at];
            if wild && self.bytes[at] == b'*' {
                star = Some((at, in_name));
                at += 1;
            } else if at < self.bytes.len()
                && (self.bytes[at] == name[in_name] || wild && self.bytes[at] == b'?')
            {
                at += 1;
                in_name += 1;
            } else if let Some((star_at, star_name)) = star {
                at = star_at + 1;
                in_name = star_name + 1;
                star = Some((star_at, in_name));
            } else {
                return false;
            }
        }
        self.bytes[at..].iter().zip(&self.literal[at..]).all(|(byte, literal)| *byte == b'*' && !literal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(line: &str) -> Option<Result<Vec<String>, String>> {
        parse_command(line).map(|command| {
            command.map(|command| {
                command.paths.iter().map(|path| String::from_utf8_lossy(&path.bytes).into_owned()).collect()
            })
        })
    }

    #[test]
    fn server_calls_are_recognized_and_nothing_else() {
        for line in ["lssyscfg -r sys", "scp a b", "scp", "", "  ", "scpx -t a", "echo scp -t a"] {
            assert_eq!(parse_command(line), None, "{line:?}");
        }
        let command = parse_command("scp -r -p -d -t -- -odd").unwrap().unwrap();
        assert_eq!(command.direction, Direction::Receive);
        assert!(command.recursive && command.preserve && command.target_is_directory);
        assert!(paths("scp -pf 'a b' c\\ d \"e$\"").unwrap().is_err());
        assert_eq!(paths("scp -pf 'a b' c\\ d").unwrap().unwrap(), ["a b", "c d"]);
        assert_eq!(paths("scp -f \"a\\\"b\"").unwrap().unwrap(), ["a\"b"]);
        for line in ["scp -t", "scp -t a b", "scp -t a; rm b", "scp -f `id`", "scp -x -t a", "scp -t 'a"] {
            assert!(paths(line).unwrap().is_err(), "{line:?}");
        }
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        let table = [
            ("*", "a", true),
            ("*", ".a", false),
            (".*", ".a", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.txt", "x.txt", true),
            ("**a**", "bab", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("'*'x", "*x", true),
            ("", "", true),
        ];
        for (pattern, name, expected) in table {
            let line = format!("scp -f x {pattern}");
            let words = split_words(&line).unwrap();
            let empty = Word { bytes: Vec::new(), literal: Vec::new() };
            let word = words.get(3).unwrap_or(&empty);
            assert_eq!(word.matches(name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
