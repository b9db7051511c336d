//! The size of the terminal's window as the guest shows it: `stty`, `resize`, `$LINES` and `$COLUMNS`.

use super::Guest;
use super::shell::{Reply, text};

impl Guest {
    /// `stty size`, `stty rows N`, `stty columns N`, in any mixture; `stty` alone shows all.
    pub(super) fn stty(&mut self, arguments: &[&str]) -> Reply {
        let (mut columns, mut rows) = self.terminal_size;
        let mut shown = String::new();
        let mut words = arguments.iter();
        while let Some(&word) = words.next() {
            let target = match word {
                "size" => {
                    shown.push_str(&format!("{rows} {columns}\n"));
                    continue;
                }
                "sane" => continue,
                "-a" => {
                    shown.push_str(&format!("speed 19200 baud; rows {rows}; columns {columns};\n"));
                    continue;
                }
                "rows" => &mut rows,
                "columns" | "cols" => &mut columns,
                _ => return text(format!("stty: {word}: this form is not provided\n")),
            };
            match words.next().and_then(|number| number.parse().ok()) {
                Some(number) => *target = number,
                None => return text(format!("stty: {word}: a number is needed\n")),
            }
        }
        self.terminal_size = (columns, rows);
        if arguments.is_empty() {
            shown = "speed 19200 baud;\n".to_owned();
        }
        text(shown)
    }

    /// `resize`: what a shell evaluates to learn the size.
    pub(super) fn resize(&self) -> Reply {
        let (columns, rows) = self.terminal_size;
        text(format!("COLUMNS={columns};\nLINES={rows};\nexport COLUMNS LINES;\n"))
    }

    /// `echo`, with the two variables that follow the window.
    pub(super) fn echo(&self, arguments: &[&str]) -> Reply {
        let (columns, rows) = self.terminal_size;
        let words: Vec<String> = arguments
            .iter()
            .map(|word| match *word {
                "$COLUMNS" => columns.to_string(),
                "$LINES" => rows.to_string(),
                other => other.to_owned(),
            })
            .collect();
        text(format!("{}\n", words.join(" ")))
    }
}
