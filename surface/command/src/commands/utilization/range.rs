//! The time that the options of `lslparutil` choose.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use varan_model::refusal::Refusal;

use crate::failure::invalid_parameters;
use crate::options::ParsedOptions;

const SECONDS_PER_MINUTE: i64 = 60;

/// The time that `-d`, `-h`, `--minutes` and the start and end options choose, in seconds since 1970 UTC.
pub(super) fn range(options: &ParsedOptions, now: i64) -> Result<(i64, i64), Refusal> {
    let number = |name: &str| options.number::<i64>(name);
    let back = ["-d", "-h", "--minutes"].iter().any(|name| options.has(name));
    let absolute = options.names().find(|one| one.name.starts_with("--start"));
    if let (true, Some(start)) = (back, absolute) {
        let text = format!("{}, -d, -h, --minutes", start.name);
        return Err(Refusal::new(varan_model::codes::MessageKey::ParametersExclusive).with(text));
    }
    let from = if back {
        let hours = number("-d")?.unwrap_or(0) * 24 + number("-h")?.unwrap_or(0);
        let minutes = hours * 60 + number("--minutes")?.unwrap_or(0);
        now - minutes * SECONDS_PER_MINUTE
    } else {
        let year = number("--startyear")?.unwrap_or(1_970);
        let (month, day) = (number("--startmonth")?.unwrap_or(1), number("--startday")?.unwrap_or(1));
        let minute = number("--starthour")?.unwrap_or(0) * 60 + number("--startminute")?.unwrap_or(0);
        moment(year, month, Some(day), minute, "--startday")?
    };
    let ends = ["--endyear", "--endmonth", "--endday", "--endhour", "--endminute"];
    if !ends.iter().any(|name| options.has(name)) {
        return Ok((from, i64::MAX));
    }
    let year = number("--endyear")?.ok_or_else(|| invalid_parameters(&["--endyear"]))?;
    let (month, day) = (number("--endmonth")?.unwrap_or(12), number("--endday")?);
    let minute = number("--endhour")?.unwrap_or(23) * 60 + number("--endminute")?.unwrap_or(59);
    // The whole minute is part of the time.
    Ok((from, moment(year, month, day, minute, "--endday")? + SECONDS_PER_MINUTE - 1))
}

/// A minute of a day; the last day of the month when none is given.
fn moment(year: i64, month: i64, day: Option<i64>, minute: i64, name: &str) -> Result<i64, Refusal> {
    let wrong = || invalid_parameters(&[name]);
    let narrow = |number: i64| i8::try_from(number).map_err(|_| wrong());
    let year = i16::try_from(year).map_err(|_| wrong())?;
    let first = Date::new(year, narrow(month)?, 1).map_err(|_| wrong())?;
    let date = match day {
        Some(day) => Date::new(year, narrow(month)?, narrow(day)?).map_err(|_| wrong())?,
        None => first.last_of_month(),
    };
    let midnight = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp().as_second();
    Ok(midnight + minute * SECONDS_PER_MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> ParsedOptions {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        ParsedOptions::parse(super::super::LIST.options, &words).expect("options")
    }

    #[test]
    fn times_are_chosen_by_days_back_or_by_dates() {
        let now = 1_790_826_184;
        for (line, expected) in [
            ("", (0, i64::MAX)),
            ("-d 1 -h 2 --minutes 3", (now - 86_400 - 7_200 - 180, i64::MAX)),
            ("--startyear 2026 --startmonth 10", (1_790_812_800, i64::MAX)),
            (
                "--startyear 2026 --startmonth 10 --startday 1 --starthour 3 --startminute 43",
                (1_790_826_180, i64::MAX),
            ),
            ("--startyear 1970 --endyear 1970 --endmonth 2", (0, 59 * 86_400 - 1)),
            ("--endyear 1970 --endmonth 1 --endday 1 --endhour 0 --endminute 0", (0, 59)),
        ] {
            assert_eq!(range(&parsed(line), now), Ok(expected), "{line}");
        }
        for line in ["--startyear 2026 -d 1", "--startyear 2026 --startmonth 2 --startday 30", "--endmonth 3"]
        {
            assert!(range(&parsed(line), now).is_err(), "{line}");
        }
    }
}
