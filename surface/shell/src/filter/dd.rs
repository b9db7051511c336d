//! `dd`: blocks of files and devices, from one place to another.

use std::io::{Read, Write};

use super::FilterContext;
use super::copy::written;
use super::options::{Grammar, Parsed};
use super::process::{self, Process, Stop};
use crate::files::FileError;

static GRAMMAR: Grammar = Grammar {
    program: "dd",
    synopsis: "dd [if=File] [of=File] [bs=Size] [ibs=Size] [obs=Size] [count=Blocks] [skip=Blocks] [seek=Blocks] [conv=notrunc,sync,noerror]",
    flags: &[],
    hint: "",
    trouble: 2,
};

/// Size of a block where none is given, in bytes.
const BLOCK: u64 = 512;
/// Largest block, in bytes.
const BLOCK_MAX: u64 = 64 << 20;

struct Plan {
    from: Option<String>,
    to: Option<String>,
    block: u64,
    count: Option<u64>,
    skip: u64,
    seek: u64,
    kept: bool,
    padded: bool,
}

/// Runs `dd`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, |process, parsed| match plan(&parsed) {
        Ok(plan) => copy(process, &plan),
        Err(message) => Err(process.fail(&message)),
    })
}

/// A number with a unit, or several with `x` between: `1024`, `1m`, `1M`, `4k`, `2x512`.
fn number(text: &str) -> Option<u64> {
    text.split('x').try_fold(1u64, |product, part| {
        let digits = part.trim_end_matches(|one: char| one.is_ascii_alphabetic());
        let unit = match &part[digits.len()..] {
            "" => 1,
            "b" => 512,
            "w" => 4,
            "k" | "K" => 1 << 10,
            "m" | "M" => 1 << 20,
            "g" | "G" => 1 << 30,
            _ => return None,
        };
        product.checked_mul(digits.parse::<u64>().ok()?.checked_mul(unit)?)
    })
}

fn plan(parsed: &Parsed) -> Result<Plan, String> {
    let mut plan = Plan {
        from: None,
        to: None,
        block: BLOCK,
        count: None,
        skip: 0,
        seek: 0,
        kept: false,
        padded: false,
    };
    for operand in &parsed.operands {
        let wrong = || format!("0511-061 The argument {operand} is not valid.");
        let (name, value) = operand.split_once('=').ok_or_else(wrong)?;
        let amount = || number(value).ok_or_else(wrong);
        match name {
            "if" => plan.from = Some(value.to_owned()),
            "of" => plan.to = Some(value.to_owned()),
            "bs" | "ibs" | "obs" => plan.block = amount()?,
            "count" => plan.count = Some(amount()?),
            "skip" => plan.skip = amount()?,
            "seek" => plan.seek = amount()?,
            "conv" => {
                for word in value.split(',') {
                    match word {
                        "notrunc" => plan.kept = true,
                        "sync" => plan.padded = true,
                        "noerror" => {}
                        _ => return Err(wrong()),
                    }
                }
            }
            _ => return Err(wrong()),
        }
    }
    if !(1..=BLOCK_MAX).contains(&plan.block) {
        return Err(format!("0511-061 The argument bs={} is not valid.", plan.block));
    }
    Ok(plan)
}

/// Whole and partial blocks.
#[derive(Default)]
struct Records {
    whole: u64,
    partial: u64,
}

impl Records {
    fn add(&mut self, bytes: usize, block: usize) {
        if bytes == block { self.whole += 1 } else { self.partial += 1 }
    }
}

fn copy(process: &mut Process<'_>, plan: &Plan) -> Result<u8, Stop> {
    let overflow = "0511-061 An argument is too large.";
    let Some(skipped) = plan.skip.checked_mul(plan.block) else { return Err(process.fail(overflow)) };
    let Some(sought) = plan.seek.checked_mul(plan.block) else { return Err(process.fail(overflow)) };
    let files = process.context.files;
    let mut reader: Box<dyn Read + '_> = match &plan.from {
        None => Box::new(process.context.stdin),
        Some(name) => match process.path(name).and_then(|path| files.open_at(&path, skipped)) {
            Ok(reader) => reader,
            Err(error) => return Err(failed_to_open(process, name, &error)),
        },
    };
    let mut writer: Option<Box<dyn Write + Send>> = match &plan.to {
        None => None,
        Some(name) => match process.path(name).and_then(|path| files.write_at(&path, sought, plan.kept)) {
            Ok(writer) => Some(writer),
            Err(error) => return Err(failed_to_open(process, name, &error)),
        },
    };
    let (mut input, mut output) = (Records::default(), Records::default());
    let size = usize::try_from(plan.block).unwrap_or(usize::MAX);
    let mut block = vec![0; size];
    let mut status = 0;
    while plan.count.is_none_or(|count| input.whole + input.partial < count) {
        process.check()?;
        let mut filled = match read_block(&mut reader, &mut block) {
            Ok(0) => break,
            Ok(filled) => filled,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {
                return Err(Stop::Cancelled);
            }
            Err(_) => {
                process.complain("0511-051 The read failed.\n: There is an input or output error.")?;
                status = 2;
                break;
            }
        };
        input.add(filled, size);
        if plan.padded && filled < size {
            block[filled..].fill(0);
            filled = size;
        }
        match &mut writer {
            None => process.write(&block[..filled])?,
            Some(file) => {
                if let Err(error) = file.write_all(&block[..filled]) {
                    let words = written(&error).in_words_of_aix();
                    process.complain(&format!("0511-053 The write failed.\n: {words}"))?;
                    status = 2;
                    break;
                }
            }
        }
        output.add(filled, size);
    }
    if let Some(file) = &mut writer
        && let Err(error) = file.flush()
    {
        process.complain(&format!("0511-053 The write failed.\n: {}", written(&error).in_words_of_aix()))?;
        status = 2;
    }
    process.complain_raw(&format!(
        "{}+{} records in\n{}+{} records out\n",
        input.whole, input.partial, output.whole, output.partial
    ))?;
    Ok(status)
}

/// As many bytes as the block takes, unless the end comes first. A pipe gives them in pieces.
fn read_block(reader: &mut dyn Read, block: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match reader.read(&mut block[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn failed_to_open(process: &mut Process<'_>, name: &str, error: &FileError) -> Stop {
    process.fail(&format!("0511-054 Cannot open {name}.\n{name}: {}", error.in_words_of_aix()))
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_units() {
        for (text, value) in [
            ("1024", Some(1024)),
            ("1m", Some(1 << 20)),
            ("1M", Some(1 << 20)),
            ("4k", Some(4096)),
            ("2x512", Some(1024)),
            ("2b", Some(1024)),
            ("", None),
            ("k", None),
            ("1q", None),
            ("-1", None),
            ("99999999999g", None),
        ] {
            assert_eq!(number(text), value, "{text}");
        }
    }
}
