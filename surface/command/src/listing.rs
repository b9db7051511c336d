//! Listings: the default line, `-F`, `--header`, and the line for nothing.

use std::io::{BufWriter, Write};

use varan_model::attributes::{FieldNames, Release, Selection, Table};
use varan_model::refusal::Refusal;

use crate::failure::CommandError;
use crate::options::ParsedOptions;

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// How rows are to be printed.
pub(crate) struct Layout<Row: 'static> {
    table: &'static Table<Row>,
    release: Release,
    selection: Option<Selection<Row>>,
    header: bool,
}

impl<Row: 'static> Layout<Row> {
    /// Reads `-F` and `--header`.
    ///
    /// # Errors
    /// An unknown attribute.
    pub fn new(
        table: &'static Table<Row>,
        options: &ParsedOptions,
        release: Release,
    ) -> Result<Self, Refusal> {
        let names = options.has("-F").then(|| FieldNames::parse(options.get("-F").unwrap_or_default()));
        let selection = names.map(|names| table.select(&names, release)).transpose()?;
        Ok(Self { table, release, selection, header: options.has("--header") })
    }

    /// Prints rows, or the line for nothing.
    pub fn print(
        &self,
        rows: impl IntoIterator<Item = Row>,
        output: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        let mut output = BufWriter::with_capacity(BUFFER_BYTES, output);
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            writeln!(output, "No results were found.")?;
        } else if let Some(selection) = self.selection.as_ref().filter(|_| self.header) {
            writeln!(output, "{}", selection.header())?;
        }
        for row in rows {
            match &self.selection {
                Some(selection) => writeln!(output, "{}", selection.line(&row))?,
                None => writeln!(output, "{}", self.table.line(&row, self.release))?,
            }
        }
        output.flush()?;
        Ok(0)
    }
}
