//! A walk over a TOML document that knows the line of each value and which keys have been read.
//!
//! Serde loses positions where they are needed most, in checks between sections. So the document is
//! turned once into nodes that carry their line, and each section takes its keys out of its table; what is
//! left at the end is an unknown key.

use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{SiteError, SiteProblem};
use crate::ids::InvalidIdentifier;

/// Where a value stands: its line and its dotted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) key: String,
}

impl Place {
    fn child(&self, name: &str, line: usize) -> Self {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) };
        Self { line, key }
    }
}

/// A value together with its place.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

#[derive(Clone, Debug)]
enum Value {
    String(String),
    /// `None` where the number does not fit 64 bits; the text is kept for the error.
    Integer(Option<i64>, String),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

impl Value {
    fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(..) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

#[derive(Clone, Debug)]
struct Node {
    line: usize,
    value: Value,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    node: Node,
}

/// Byte offsets of the starts of lines, to turn spans into line numbers.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }
}

fn node(value: &Spanned<DeValue<'_>>, key_start: usize, lines: &Lines) -> Node {
    // The span of a table made by dotted keys or headers may lie before its key; the key is what a
    // reader looks for.
    let line = lines.line(value.span().start.max(key_start));
    let value = match value.get_ref() {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok(), number.to_string())
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(elements) => {
            Value::Array(elements.iter().map(|element| node(element, element.span().start, lines)).collect())
        }
        DeValue::Table(table) => Value::Table(entries(table, lines)),
    };
    Node { line, value }
}

fn entries(table: &DeTable<'_>, lines: &Lines) -> Vec<Entry> {
    let mut entries: Vec<(usize, Entry)> = table
        .iter()
        .map(|(key, value)| {
            let start = key.span().start;
            (start, Entry { name: key.get_ref().clone().into_owned(), node: node(value, start, lines) })
        })
        .collect();
    // The parser sorts by name; the file's order makes the first error the uppermost one.
    entries.sort_by_key(|(start, _)| *start);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// One table of the file, from which keys are taken.
#[derive(Clone, Debug)]
pub(super) struct TableReader<'f> {
    file: &'f str,
    place: Place,
    entries: Vec<Entry>,
}

impl<'f> TableReader<'f> {
    /// Reads a whole document. Fails on text that is not TOML.
    pub(super) fn document(text: &str, file: &'f str) -> Result<Self, SiteError> {
        let lines = Lines::new(text);
        let table = DeTable::parse(text).map_err(|error| SiteError {
            file: file.to_owned(),
            line: lines.line(error.span().map_or(0, |span| span.start)),
            key: String::new(),
            problem: SiteProblem::Syntax(error.message().lines().next().unwrap_or_default().to_owned()),
        })?;
        let place = Place { line: 1, key: String::new() };
        Ok(Self { file, place, entries: entries(table.get_ref(), &lines) })
    }

    /// This table's own place.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// An error at a place of this file.
    pub(super) fn error(&self, place: &Place, problem: SiteProblem) -> SiteError {
        error_at(self.file, place, problem)
    }

    /// An error at this table's own line about one of its keys, present or not.
    pub(super) fn error_of_key(&self, key: &str, problem: SiteProblem) -> SiteError {
        self.error(&self.place.child(key, self.place.line), problem)
    }

    fn take(&mut self, key: &str) -> Option<Located<Value>> {
        let index = self.entries.iter().position(|entry| entry.name == key)?;
        let node = self.entries.remove(index).node;
        Some(Located { place: self.place.child(key, node.line), value: node.value })
    }

    fn wrong_type(&self, found: &Located<Value>, expected: &'static str) -> SiteError {
        self.error(&found.place, SiteProblem::WrongType { expected, found: found.value.type_name() })
    }

    /// Takes an optional string.
    pub(super) fn string(&mut self, key: &str) -> Result<Option<Located<String>>, SiteError> {
        match self.take(key) {
            None => Ok(None),
            Some(Located { value: Value::String(value), place }) => Ok(Some(Located { value, place })),
            Some(other) => Err(self.wrong_type(&other, "a string")),
        }
    }

    /// Takes an optional string or gives the default.
    pub(super) fn string_or(&mut self, key: &str, default: &str) -> Result<String, SiteError> {
        Ok(self.string(key)?.map_or_else(|| default.to_owned(), |text| text.value))
    }

    /// Takes a string that must be there.
    pub(super) fn required_string(&mut self, key: &str) -> Result<Located<String>, SiteError> {
        self.string(key)?.ok_or_else(|| self.error_of_key(key, SiteProblem::MissingKey))
    }

    /// Takes an optional string and parses it as an identifier.
    pub(super) fn parsed<T>(&mut self, key: &str) -> Result<Option<Located<T>>, SiteError>
    where
        T: FromStr<Err = InvalidIdentifier>,
    {
        let Some(Located { value, place }) = self.string(key)? else { return Ok(None) };
        let value = parse_at(self.file, &value, &place)?;
        Ok(Some(Located { value, place }))
    }

    /// Takes a string that must be there and parses it as an identifier.
    pub(super) fn required_parsed<T>(&mut self, key: &str) -> Result<Located<T>, SiteError>
    where
        T: FromStr<Err = InvalidIdentifier>,
    {
        self.parsed(key)?.ok_or_else(|| self.error_of_key(key, SiteProblem::MissingKey))
    }

    /// Takes an optional word of a list of choices.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<Located<T>>, SiteError> {
        let Some(Located { value, place }) = self.string(key)? else { return Ok(None) };
        match choices.iter().find(|(word, _)| *word == value) {
            Some((_, choice)) => Ok(Some(Located { value: *choice, place })),
            None => {
                let choices = choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
                Err(self.error(&place, SiteProblem::NotAChoice { text: value, choices }))
            }
        }
    }

    /// Takes an optional integer from `minimum` to `maximum`, both included.
    pub(super) fn integer(
        &mut self,
        key: &str,
        minimum: u32,
        maximum: u32,
    ) -> Result<Option<Located<u32>>, SiteError> {
        match self.take(key) {
            None => Ok(None),
            Some(Located { value: Value::Integer(number, text), place }) => number
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| (minimum..=maximum).contains(number))
                .map(|value| Some(Located { value, place: place.clone() }))
                .ok_or_else(|| {
                    let (minimum, maximum) = (i64::from(minimum), i64::from(maximum));
                    self.error(&place, SiteProblem::OutOfRange { value: text, minimum, maximum })
                }),
            Some(other) => Err(self.wrong_type(&other, "an integer")),
        }
    }

    /// Takes an integer that must be there.
    pub(super) fn required_integer(
        &mut self,
        key: &str,
        minimum: u32,
        maximum: u32,
    ) -> Result<Located<u32>, SiteError> {
        self.integer(key, minimum, maximum)?.ok_or_else(|| self.error_of_key(key, SiteProblem::MissingKey))
    }

    /// Takes an optional integer or gives the default.
    pub(super) fn integer_or(
        &mut self,
        key: &str,
        (minimum, maximum): (u32, u32),
        default: u32,
    ) -> Result<u32, SiteError> {
        Ok(self.integer(key, minimum, maximum)?.map_or(default, |number| number.value))
    }

    /// Takes an optional float; an integer is accepted too.
    pub(super) fn float(&mut self, key: &str) -> Result<Option<Located<f64>>, SiteError> {
        match self.take(key) {
            None => Ok(None),
            Some(Located { value: Value::Float(value), place }) => Ok(Some(Located { value, place })),
            Some(Located { value: Value::Integer(_, text), place }) => {
                Ok(Some(Located { value: text.parse().unwrap_or(f64::NAN), place }))
            }
            Some(other) => Err(self.wrong_type(&other, "a number")),
        }
    }

    /// Takes an optional boolean or gives the default.
    pub(super) fn boolean_or(&mut self, key: &str, default: bool) -> Result<bool, SiteError> {
        match self.take(key) {
            None => Ok(default),
            Some(Located { value: Value::Boolean(value), .. }) => Ok(value),
            Some(other) => Err(self.wrong_type(&other, "a boolean")),
        }
    }

    /// Takes an optional array of strings; `None` where the key is absent.
    pub(super) fn strings(&mut self, key: &str) -> Result<Option<Vec<Located<String>>>, SiteError> {
        let Some(elements) = self.array(key, "an array")? else { return Ok(None) };
        let mut strings = Vec::with_capacity(elements.len());
        for element in elements {
            match element {
                Located { value: Value::String(value), place } => strings.push(Located { value, place }),
                other => return Err(self.wrong_type(&other, "a string")),
            }
        }
        Ok(Some(strings))
    }

    /// Takes an optional array of integers.
    pub(super) fn integers(
        &mut self,
        key: &str,
        minimum: u32,
        maximum: u32,
    ) -> Result<Vec<Located<u32>>, SiteError> {
        let mut integers = Vec::new();
        for element in self.array(key, "an array")?.unwrap_or_default() {
            // A one-key table puts the element through the same range check and error as a single value.
            let node = Node { line: element.place.line, value: element.value };
            let mut single = TableReader {
                file: self.file,
                place: self.place.clone(),
                entries: vec![Entry { name: key.to_owned(), node }],
            };
            integers.extend(single.integer(key, minimum, maximum)?);
        }
        Ok(integers)
    }

    fn array(&mut self, key: &str, expected: &'static str) -> Result<Option<Vec<Located<Value>>>, SiteError> {
        match self.take(key) {
            None => Ok(None),
            Some(Located { value: Value::Array(elements), place }) => Ok(Some(
                elements
                    .into_iter()
                    .map(|node| Located {
                        value: node.value,
                        place: Place { line: node.line, key: place.key.clone() },
                    })
                    .collect(),
            )),
            Some(other) => Err(self.wrong_type(&other, expected)),
        }
    }

    /// Takes an optional table.
    pub(super) fn table(&mut self, key: &str) -> Result<Option<Self>, SiteError> {
        match self.take(key) {
            None => Ok(None),
            Some(Located { value: Value::Table(entries), place }) => {
                Ok(Some(Self { file: self.file, place, entries }))
            }
            Some(other) => Err(self.wrong_type(&other, "a table")),
        }
    }

    /// Takes an array of tables, empty where the key is absent. Each element's key is the value of its own
    /// key `identity` (`managed_system.p814-1`), or its number from 1 where it has none
    /// (`managed_system[2]`).
    pub(super) fn tables(&mut self, key: &str, identity: &str) -> Result<Vec<Self>, SiteError> {
        let elements = self.array(key, "an array of tables")?.unwrap_or_default();
        let mut tables = Vec::with_capacity(elements.len());
        for (index, element) in elements.into_iter().enumerate() {
            let Located { value: Value::Table(entries), place } = element else {
                return Err(self.wrong_type(&element, "a table"));
            };
            let own_name = entries.iter().find_map(|entry| match &entry.node.value {
                Value::String(text) if entry.name == identity && !text.is_empty() => Some(text.clone()),
                _ => None,
            });
            let key = match own_name {
                Some(name) => format!("{}.{name}", place.key),
                None => format!("{}[{}]", place.key, index + 1),
            };
            tables.push(Self { file: self.file, place: Place { line: place.line, key }, entries });
        }
        Ok(tables)
    }

    /// True where the key is present and holds an integer.
    pub(super) fn holds_integer(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == key && matches!(entry.node.value, Value::Integer(..)))
    }

    /// The names of the keys that are left, in the file's order.
    pub(super) fn remaining_keys(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.name.clone()).collect()
    }

    /// Ends the table: a key that nobody took is unknown.
    pub(super) fn finish(self) -> Result<(), SiteError> {
        match self.entries.first() {
            None => Ok(()),
            Some(entry) => {
                let place = self.place.child(&entry.name, entry.node.line);
                Err(self.error(&place, SiteProblem::UnknownKey))
            }
        }
    }
}

/// Builds the error of one place.
pub(super) fn error_at(file: &str, place: &Place, problem: SiteProblem) -> SiteError {
    SiteError { file: file.to_owned(), line: place.line, key: place.key.clone(), problem }
}

/// Parses an identifier; a text of another form is an error at `place`.
pub(super) fn parse_at<T>(file: &str, text: &str, place: &Place) -> Result<T, SiteError>
where
    T: FromStr<Err = InvalidIdentifier>,
{
    text.parse().map_err(|invalid: InvalidIdentifier| {
        let problem = SiteProblem::Malformed { kind: invalid.kind, text: invalid.text };
        error_at(file, place, problem)
    })
}
