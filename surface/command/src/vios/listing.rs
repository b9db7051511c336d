//! Listings of ioscli: columns with a header, or values with a delimiter, of fields that the user may choose.

use std::io::{self, Write};

use varan_model::vios::{ViosMessage, ViosRefusal};

use super::error::refused;
use super::grammar::Parsed;

/// One column of a listing.
pub struct Field<Row: ?Sized> {
    /// What `-field` calls it.
    pub key: &'static str,
    /// Its heading, by which `-field` finds it, too.
    pub title: &'static str,
    /// Width; the last column of a line is not filled.
    pub width: usize,
    /// Whether it stands at the right.
    pub right: bool,
    /// Its text.
    pub value: fn(&Row) -> String,
}

/// A column at the left.
pub const fn field<Row: ?Sized>(
    key: &'static str,
    title: &'static str,
    width: usize,
    value: fn(&Row) -> String,
) -> Field<Row> {
    Field { key, title, width, right: false, value }
}

/// A column at the right.
pub const fn right<Row: ?Sized>(
    key: &'static str,
    title: &'static str,
    width: usize,
    value: fn(&Row) -> String,
) -> Field<Row> {
    Field { key, title, width, right: true, value }
}

/// Delimiters of `-fmt2`.
const DELIMITERS: &str = "!@#%,:";

/// What a listing prints between values: the delimiter, and what stands for an empty value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiter {
    /// Delimiter.
    pub text: String,
    /// For an empty value.
    pub empty: &'static str,
}

/// What `-fmt` or `-fmt2` says.
///
/// # Errors
/// A delimiter that is none.
pub fn delimiter(parsed: &Parsed) -> Result<Option<Delimiter>, ViosRefusal> {
    match (parsed.get("fmt"), parsed.get("fmt2")) {
        (Some(text), None) => Ok(Some(Delimiter { text: text.to_owned(), empty: " " })),
        (None, Some(text)) if text.len() == 1 && DELIMITERS.contains(text) => {
            Ok(Some(Delimiter { text: text.to_owned(), empty: "" }))
        }
        (None, Some(text)) => Err(refused(ViosMessage::DelimiterInvalid, text)),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(refused(ViosMessage::OptionsExclusive, "-fmt -fmt2")),
    }
}

/// The fields that `-field` names, in its order; `default` where it was not given. Names go by key or heading, whatever
/// their case.
///
/// # Errors
/// A field that is none.
pub fn chosen<'f, Row: ?Sized>(
    fields: &'f [Field<Row>],
    default: &[&str],
    parsed: &Parsed,
) -> Result<Vec<&'f Field<Row>>, ViosRefusal> {
    let find = |name: &str| {
        let same = |field: &&Field<Row>| {
            field.key.eq_ignore_ascii_case(name) || field.title.eq_ignore_ascii_case(name)
        };
        fields.iter().find(same).ok_or_else(|| refused(ViosMessage::FieldUnknown, name))
    };
    let words = parsed.words("field");
    if words.is_empty() {
        return default.iter().map(|name| find(name)).collect();
    }
    words.iter().map(|name| find(name)).collect()
}

/// One line of columns.
pub fn line(cells: &[(String, usize, bool)]) -> String {
    let mut text = String::new();
    for (index, (cell, width, right)) in cells.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        match (right, index + 1 == cells.len()) {
            (true, _) => text.push_str(&format!("{cell:>width$}")),
            (false, true) => text.push_str(cell),
            (false, false) => text.push_str(&format!("{cell:<width$}")),
        }
    }
    text
}

/// Joins values as `-fmt` does.
pub fn joined(values: impl IntoIterator<Item = String>, delimiter: &Delimiter) -> String {
    let shown = |value: String| if value.is_empty() { delimiter.empty.to_owned() } else { value };
    values.into_iter().map(shown).collect::<Vec<_>>().join(&delimiter.text)
}

/// Prints rows as columns under a header, or with the delimiter.
///
/// # Errors
/// Of the output.
pub fn print<Row>(
    output: &mut dyn Write,
    fields: &[&Field<Row>],
    rows: impl IntoIterator<Item = Row>,
    delimiter: Option<&Delimiter>,
) -> io::Result<()> {
    if delimiter.is_none() {
        let titles: Vec<_> =
            fields.iter().map(|field| (field.title.to_owned(), field.width, field.right)).collect();
        writeln!(output, "{}", line(&titles))?;
    }
    for row in rows {
        let values = fields.iter().map(|field| (field.value)(&row));
        match delimiter {
            Some(delimiter) => writeln!(output, "{}", joined(values, delimiter))?,
            None => {
                let cells: Vec<_> =
                    values.zip(fields).map(|(value, field)| (value, field.width, field.right)).collect();
                writeln!(output, "{}", line(&cells))?;
            }
        }
    }
    Ok(())
}

/// Rows whose columns are as wide as their widest cell, one blank between; the last is not filled.
pub fn fitted(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let shown = |row: &Vec<String>| {
        let cells: Vec<_> =
            row.iter().zip(&widths).map(|(cell, width)| (cell.clone(), *width, false)).collect();
        line(&cells)
    };
    rows.iter().map(shown).collect()
}
