//! Expansion of words.

use std::borrow::Cow;

use super::transform::{change_case, slice};
use super::{Eval, Evaluator, Halt, NOT_FOUND};
use crate::limits::LimitReached;
use crate::streams::{Capture, Output};
use crate::syntax::tree::{List, Operation, Parameter, Part, Word};

/// Characters that quote or match in a pattern.
const PATTERN_CHARACTERS: &[char] = &['*', '?', '[', ']', '\\'];

/// What the expansion is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Arguments: split and globbed.
    Fields,
    /// One text.
    Text,
    /// A pattern: quoted characters stand for themselves.
    Pattern,
    /// A regular expression: likewise.
    Expression,
}

/// A field that may have to be globbed: its text, and the pattern when it has a wildcard.
#[derive(Debug, Default)]
struct Field {
    text: String,
    pattern: Option<String>,
}

/// Collects the fields of one or more words.
struct Builder<'a> {
    purpose: Purpose,
    separators: Cow<'a, str>,
    fields: Vec<Field>,
    current: Option<Field>,
    bytes: usize,
}

impl Builder<'_> {
    fn current(&mut self) -> &mut Field {
        self.current.get_or_insert_default()
    }

    fn quoted(&mut self, text: &str) {
        self.bytes += text.len();
        match self.purpose {
            Purpose::Text => self.current().text.push_str(text),
            Purpose::Pattern => push_escaped(&mut self.current().text, text),
            Purpose::Expression => push_literal(&mut self.current().text, text),
            Purpose::Fields => {
                let field = self.current();
                field.text.push_str(text);
                if let Some(pattern) = &mut field.pattern {
                    push_escaped(pattern, text);
                }
            }
        }
    }

    fn unquoted(&mut self, text: &str) {
        self.bytes += text.len();
        let fields = self.purpose == Purpose::Fields;
        let field = self.current();
        if fields && field.pattern.is_none() && text.contains(['*', '?', '[']) {
            let mut pattern = String::new();
            push_escaped(&mut pattern, &field.text);
            field.pattern = Some(pattern);
        }
        field.text.push_str(text);
        if let Some(pattern) = &mut field.pattern {
            // A backslash that comes from a variable stands for itself.
            pattern.push_str(&text.replace('\\', "\\\\"));
        }
    }

    /// An unquoted expansion's value: split where arguments are made.
    fn split(&mut self, text: &str) {
        if self.purpose != Purpose::Fields {
            return self.unquoted(text);
        }
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|character| self.separators.contains(character)).unwrap_or(rest.len());
            if end > 0 {
                let (piece, after) = rest.split_at(end);
                self.unquoted(piece);
                rest = after;
            }
            if rest.is_empty() {
                return;
            }
            rest = self.separator(rest);
        }
    }

    /// Takes one separator: blanks, at most one other character, and blanks.
    fn separator<'t>(&mut self, text: &'t str) -> &'t str {
        let separators = self.separators.clone();
        let blank =
            |character: char| matches!(character, ' ' | '\t' | '\n') && separators.contains(character);
        let mut rest = text.trim_start_matches(blank);
        let other = rest.chars().next().filter(|character| separators.contains(*character));
        if let Some(character) = other {
            rest = rest[character.len_utf8()..].trim_start_matches(blank);
            self.current();
        }
        self.finish_field();
        rest
    }

    fn finish_field(&mut self) {
        if let Some(field) = self.current.take() {
            self.bytes += 1;
            self.fields.push(field);
        }
    }
}

fn push_escaped(pattern: &mut String, text: &str) {
    if !text.contains(PATTERN_CHARACTERS) {
        return pattern.push_str(text);
    }
    for character in text.chars() {
        if PATTERN_CHARACTERS.contains(&character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
}

/// Adds text that stands for itself in an extended regular expression.
fn push_literal(expression: &mut String, text: &str) {
    for character in text.chars() {
        if "\\^$.[]|()*+?{}".contains(character) {
            expression.push('\\');
        }
        expression.push(character);
    }
}

impl Evaluator {
    /// Expands words to arguments.
    pub(crate) fn expand_words(&mut self, words: &[Word]) -> Eval<Vec<String>> {
        let mut arguments = Vec::with_capacity(words.len());
        let mut bytes = 0;
        self.work(words.len() / WORDS_PER_UNIT)?;
        for word in words {
            // Plain text without a wildcard is by far the most common word.
            match word.parts.as_slice() {
                [Part::Literal(text)] if !text.contains(['*', '?', '[']) => arguments.push(text.clone()),
                [Part::Quoted(text)] => arguments.push(text.clone()),
                _ => self.expand_fields(word, &mut arguments, &mut bytes)?,
            }
        }
        Ok(arguments)
    }

    fn expand_fields(&mut self, word: &Word, arguments: &mut Vec<String>, bytes: &mut usize) -> Eval<()> {
        let mut builder = self.builder(Purpose::Fields);
        builder.bytes = *bytes;
        self.expand_parts(&word.parts, false, false, &mut builder)?;
        builder.finish_field();
        self.work((builder.bytes - *bytes) / BYTES_PER_UNIT)?;
        *bytes = builder.bytes;
        for field in builder.fields {
            match field.pattern {
                Some(pattern) if !self.state.switches.no_glob => {
                    let names = self.glob(&pattern)?;
                    if names.is_empty() {
                        arguments.push(field.text);
                    } else {
                        arguments.extend(names);
                    }
                }
                _ => arguments.push(field.text),
            }
        }
        Ok(())
    }

    fn builder(&self, purpose: Purpose) -> Builder<'static> {
        let separators = match self.state.variables.get("IFS") {
            None | Some(" \t\n") => Cow::Borrowed(" \t\n"),
            Some(other) => Cow::Owned(other.to_string()),
        };
        Builder { purpose, separators, fields: Vec::new(), current: None, bytes: 0 }
    }

    fn expand_one(&mut self, word: &Word, purpose: Purpose) -> Eval<String> {
        let mut builder = self.builder(purpose);
        self.expand_parts(&word.parts, false, false, &mut builder)?;
        Ok(builder.current.unwrap_or_default().text)
    }

    /// Expands a word to one text: no splitting, no file names.
    pub(crate) fn expand_text(&mut self, word: &Word) -> Eval<String> {
        match word.parts.as_slice() {
            [] => Ok(String::new()),
            [Part::Literal(text) | Part::Quoted(text)] => Ok(text.clone()),
            _ => self.expand_one(word, Purpose::Text),
        }
    }

    /// Expands a word to a pattern for [`super::matches`].
    pub(crate) fn expand_pattern(&mut self, word: &Word) -> Eval<String> {
        self.expand_one(word, Purpose::Pattern)
    }

    /// Expands a word to a regular expression.
    pub(crate) fn expand_expression(&mut self, word: &Word) -> Eval<String> {
        self.expand_one(word, Purpose::Expression)
    }

    fn expand_parts(
        &mut self,
        parts: &[Part],
        quoted: bool,
        operand: bool,
        builder: &mut Builder<'_>,
    ) -> Eval<()> {
        let limit = self.run.meter.limits.expansion_bytes;
        for part in parts {
            match part {
                Part::Literal(text) if quoted => builder.quoted(text),
                Part::Literal(text) if operand => builder.split(text),
                Part::Literal(text) => builder.unquoted(text),
                Part::Quoted(text) => builder.quoted(text),
                Part::Double(inner) => self.expand_double(inner, builder)?,
                Part::Tilde(name) => {
                    let home = self.tilde(name);
                    builder.quoted(&home);
                }
                Part::Parameter(parameter) => {
                    self.nested(|shell| shell.expand_parameter(parameter, quoted, builder))?
                }
                Part::Substitution(list) => {
                    let text = self.nested(|shell| shell.substitute(list))?;
                    push_value(&text, quoted, builder);
                }
                Part::Arithmetic(word) => {
                    let value = self.nested(|shell| shell.arithmetic_word(word))?;
                    push_value(&value.to_string(), quoted, builder);
                }
                Part::BadSubstitution(text) => return Err(self.abort(&format!("{text}: bad substitution"))?),
            }
            if builder.bytes > limit {
                return Err(self.limit(LimitReached::Expansion(limit)));
            }
        }
        Ok(())
    }

    /// `"..."`: one field even when empty, unless it is only a `"$@"` without arguments.
    fn expand_double(&mut self, parts: &[Part], builder: &mut Builder<'_>) -> Eval<()> {
        let only_arguments = matches!(parts, [Part::Parameter(parameter)] if parameter.name == "@");
        if !only_arguments || !self.state.positional.is_empty() {
            builder.quoted("");
        }
        self.expand_parts(parts, true, false, builder)
    }

    fn tilde(&self, name: &str) -> String {
        let home = self.state.variables.get("HOME").unwrap_or("/").to_string();
        if name.is_empty() || name == self.run.host.user_name() { home } else { format!("~{name}") }
    }

    /// Ends the command line with a message.
    fn abort(&self, message: &str) -> Eval<Halt> {
        self.complain(message)?;
        Ok(Halt::Abort(1))
    }

    /// Ends the command line because of a parameter that is not set. Only a script gets bash's odd status.
    fn unset(&self, message: &str) -> Eval<Halt> {
        self.complain(message)?;
        Ok(Halt::Abort(if self.run.interactive { 1 } else { NOT_FOUND }))
    }

    /// A parameter's value; `None` when it is not set.
    pub(crate) fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(value) = self.state.variables.get(name) {
            return Some(Cow::Borrowed(value));
        }
        let positional = &self.state.positional;
        Some(match name {
            "?" => Cow::Owned(self.state.status.to_string()),
            "#" => Cow::Owned(positional.len().to_string()),
            "@" | "*" if positional.is_empty() => return None,
            "@" => Cow::Owned(positional.join(" ")),
            "*" => {
                let separators = self.state.variables.get("IFS").unwrap_or(" ");
                let separator = separators.chars().next().map(String::from).unwrap_or_default();
                Cow::Owned(positional.join(&separator))
            }
            "0" => Cow::Borrowed(self.run.shell_name),
            // There is no process to name; a constant keeps answers the same in every run.
            "$" => Cow::Borrowed("1"),
            "-" => Cow::Borrowed(if self.run.interactive { "himrBH" } else { "hrBc" }),
            _ => {
                let index: usize = name.parse().ok()?;
                Cow::Borrowed(positional.get(index.checked_sub(1)?)?)
            }
        })
    }

    fn expand_parameter(
        &mut self,
        parameter: &Parameter,
        quoted: bool,
        builder: &mut Builder<'_>,
    ) -> Eval<()> {
        let name = parameter.name.as_str();
        if matches!(parameter.operation, Operation::Value) && matches!(name, "@" | "*") {
            return self.expand_arguments(name == "@", quoted, builder);
        }
        let value = match &parameter.operation {
            Operation::Default { kind, colon, word } => {
                let value = self.parameter(name).map(Cow::into_owned);
                return match value.filter(|value| !colon || !value.is_empty()) {
                    Some(_) if *kind == '+' => self.expand_parts(&word.parts, quoted, true, builder),
                    Some(value) => {
                        push_value(&value, quoted, builder);
                        Ok(())
                    }
                    None => self.expand_missing(name, *kind, word, quoted, builder),
                };
            }
            Operation::Length if matches!(name, "@" | "*") => self.state.positional.len().to_string(),
            Operation::Length => self.value(name)?.chars().count().to_string(),
            Operation::Value => {
                match self.parameter(name) {
                    Some(value) => push_value(&value, quoted, builder),
                    None => self.check_unset(name)?,
                }
                return Ok(());
            }
            Operation::Indirect => {
                let target = self.value(name)?;
                self.value(&target)?
            }
            Operation::Remove { suffix, longest, pattern } => {
                let value = self.value(name)?;
                let pattern = self.expand_pattern(pattern)?;
                self.remove_match(&value, &pattern, *suffix, *longest)?
            }
            Operation::Replace { mode, pattern, replacement } => {
                let value = self.value(name)?;
                let pattern = self.expand_pattern(pattern)?;
                let replacement = self.expand_text(replacement)?;
                self.replace_match(&value, &pattern, &replacement, *mode)?
            }
            Operation::Slice { offset, length } => {
                let value = self.value(name)?;
                let offset = self.arithmetic_word(offset)?;
                let length = length.as_ref().map(|length| self.arithmetic_word(length)).transpose()?;
                match slice(&value, offset, length) {
                    Some(text) => text,
                    None => {
                        return Err(
                            self.abort(&format!("{}: substring expression < 0", length.unwrap_or(0)))?
                        );
                    }
                }
            }
            Operation::Case { upper, all } => change_case(&self.value(name)?, *upper, *all),
        };
        push_value(&value, quoted, builder);
        Ok(())
    }

    fn expand_arguments(&mut self, each: bool, quoted: bool, builder: &mut Builder<'_>) -> Eval<()> {
        let positional = self.state.positional.clone();
        if quoted && !each || builder.purpose != Purpose::Fields {
            let joined = self.parameter(if each { "@" } else { "*" }).unwrap_or_default().into_owned();
            push_value(&joined, quoted, builder);
            return Ok(());
        }
        for (index, argument) in positional.iter().enumerate() {
            if index > 0 {
                builder.finish_field();
            }
            push_value(argument, quoted, builder);
        }
        Ok(())
    }

    fn value(&mut self, name: &str) -> Eval<String> {
        match self.parameter(name) {
            Some(value) => Ok(value.into_owned()),
            None => self.check_unset(name).map(|()| String::new()),
        }
    }

    fn check_unset(&self, name: &str) -> Eval<()> {
        if self.state.switches.unset_is_error && !matches!(name, "@" | "*") {
            return Err(self.unset(&format!("{name}: unbound variable"))?);
        }
        Ok(())
    }

    /// What stands for a value that is missing, by the character behind the name.
    fn expand_missing(
        &mut self,
        name: &str,
        kind: char,
        word: &Word,
        quoted: bool,
        builder: &mut Builder<'_>,
    ) -> Eval<()> {
        match kind {
            '-' => self.expand_parts(&word.parts, quoted, true, builder),
            '=' => {
                let text = self.expand_text(word)?;
                if !crate::variables::is_name(name) {
                    return Err(self.abort(&format!("${name}: cannot assign in this way"))?);
                }
                self.assign(name, text.clone())?;
                push_value(&text, quoted, builder);
                Ok(())
            }
            '?' => {
                let text = self.expand_text(word)?;
                let reason = if text.is_empty() { "parameter null or not set" } else { &text };
                Err(self.unset(&format!("{name}: {reason}"))?)
            }
            _ => Ok(()),
        }
    }

    /// Runs a command substitution and returns what it wrote, without the line ends behind it.
    fn substitute(&mut self, list: &List) -> Eval<String> {
        let capture = Capture::new(self.run.meter.limits.expansion_bytes);
        let mut shell = self.subshell();
        // As in bash: a failure within a substitution is for whoever uses it.
        shell.state.switches.exit_on_error = false;
        shell.output = Output::new(capture.clone(), self.run.cancellation()).metered(&self.run.meter);
        let status = match file_contents(list) {
            Some(word) => shell.copy_file(word)?,
            None => shell.run_process(list)?,
        };
        self.state.status = status;
        self.substitution_status = Some(status);
        let mut bytes = capture.take();
        bytes.retain(|byte| *byte != 0);
        while bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }
}

/// Words of one command line that count as one more command.
const WORDS_PER_UNIT: usize = 64;

/// Bytes of an expansion that count as one more command.
const BYTES_PER_UNIT: usize = 1024;

fn push_value(value: &str, quoted: bool, builder: &mut Builder<'_>) {
    if quoted {
        builder.quoted(value);
    } else {
        builder.split(value);
    }
}

/// `$(< file)`.
fn file_contents(list: &List) -> Option<&Word> {
    use crate::syntax::tree::{Command, Target};
    let [statement] = list.statements.as_slice() else { return None };
    let [stage] = statement.first.stages.as_slice() else { return None };
    let Command::Simple(simple) = &stage.command else { return None };
    let plain = statement.rest.is_empty() && simple.words.is_empty() && simple.assignments.is_empty();
    match simple.redirections.as_slice() {
        [redirection] if plain && redirection.descriptor == 0 => match &redirection.target {
            Target::Read(word) => Some(word),
            _ => None,
        },
        _ => None,
    }
}
