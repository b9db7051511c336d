//! `date`: the time now. It cannot be set here.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::FilterContext;
use super::options::{Grammar, Parsed, flag};
use super::process::{self, Process, Stop};
use crate::host::WallClock;

static GRAMMAR: Grammar = Grammar {
    program: "date",
    synopsis: "date [OPTION]... [+FORMAT]",
    flags: &[flag('u', "utc"), flag('u', "universal"), flag('R', "rfc-email")],
    hint: "Try 'date --help' for more information.\n",
    trouble: 1,
};

const DEFAULT_FORMAT: &str = "%a %b %e %H:%M:%S %Z %Y";
const MAIL_FORMAT: &str = "%a, %d %b %Y %H:%M:%S %z";

/// The widest padding of one value.
const WIDTH: usize = 1000;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Runs `date`.
pub(crate) fn run(context: &mut FilterContext<'_>) -> u8 {
    process::run(context, &GRAMMAR, date)
}

fn date(process: &mut Process<'_>, parsed: Parsed) -> Result<u8, Stop> {
    if let Some(extra) = parsed.operands.get(1) {
        return Err(process.extra_operand(extra));
    }
    let format = match parsed.operands.first() {
        None if parsed.has('R') => MAIL_FORMAT,
        None => DEFAULT_FORMAT,
        Some(operand) => match operand.strip_prefix('+') {
            Some(format) => format,
            None if is_setting(operand) => {
                return Err(process.fail("cannot set date: Operation not permitted"));
            }
            None => return Err(process.fail(&format!("invalid date '{operand}'"))),
        },
    };
    let mut clock = process.context.host.wall_clock();
    if parsed.has('u') {
        clock.offset_seconds = 0;
        clock.zone = "UTC".to_string();
    }
    let mut text = formatted(&clock, format);
    text.push('\n');
    process.write(text.as_bytes())?;
    Ok(0)
}

/// Whether it has the form `MMDDhhmm[[CC]YY][.ss]`.
fn is_setting(operand: &str) -> bool {
    let (digits, seconds) = operand.split_once('.').unwrap_or((operand, "00"));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    matches!(digits.len(), 8 | 10 | 12) && all_digits(digits) && seconds.len() == 2 && all_digits(seconds)
}

/// A clock's time of day and date in its zone. A time outside of the calendar is its nearest end.
pub(crate) fn civil(unix_seconds: i64, offset_seconds: i32) -> DateTime {
    let nearest = if unix_seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let timestamp = Timestamp::from_second(unix_seconds).unwrap_or(nearest);
    Offset::from_seconds(offset_seconds).unwrap_or(Offset::UTC).to_datetime(timestamp)
}

/// What stands between `%` and the letter.
#[derive(Debug, Clone, Copy, Default)]
struct Style {
    padding: Option<char>,
    upper: bool,
    swap: bool,
    width: Option<usize>,
    colons: usize,
}

/// Formats a time as `date +FORMAT` does in the C locale.
pub fn formatted(clock: &WallClock, format: &str) -> String {
    let time = civil(clock.unix_seconds, clock.offset_seconds);
    let mut text = String::new();
    let mut rest = format;
    while let Some(start) = rest.find('%') {
        text.push_str(&rest[..start]);
        let directive = &rest[start..];
        let (style, after) = style(&directive[1..]);
        let Some(letter) = after.chars().next() else {
            text.push_str(directive);
            return text;
        };
        rest = &after[letter.len_utf8()..];
        match value(clock, time, letter, style) {
            Some(value) => text.push_str(&value),
            None => text.push_str(&style.plain_text(&directive[..directive.len() - rest.len()])),
        }
    }
    text.push_str(rest);
    text
}

fn style(text: &str) -> (Style, &str) {
    let mut style = Style::default();
    let mut rest = text;
    while let Some(letter @ ('-' | '_' | '0' | '^' | '#' | '+')) = rest.chars().next() {
        match letter {
            '^' => style.upper = true,
            '#' => style.swap = true,
            '+' => style.padding = Some('0'),
            other => style.padding = Some(other),
        }
        rest = &rest[1..];
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    style.width = rest[..digits].parse().ok().map(|width: usize| width.min(WIDTH));
    rest = &rest[digits..];
    style.colons = rest.bytes().take_while(|byte| *byte == b':').count();
    (style, &rest[style.colons..])
}

fn value(clock: &WallClock, time: DateTime, letter: char, style: Style) -> Option<String> {
    if style.colons > 0 && letter != 'z' {
        return None;
    }
    let hour = i64::from(time.hour());
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let year = i64::from(time.year());
    let weekday = i64::from(time.weekday().to_sunday_zero_offset());
    let day_of_year = i64::from(time.date().day_of_year());
    let week = time.date().iso_week_date();
    let inner = |format: &str| {
        let text = formatted(clock, format);
        Some(style.plain_text(&if style.upper { text.to_uppercase() } else { text }))
    };
    let number = |number: i64, width: usize, padding: char| Some(style.number(number, width, padding));
    match letter {
        '%' if style.is_plain() => Some("%".to_string()),
        'n' => Some(style.plain_text("\n")),
        't' => Some(style.plain_text("\t")),
        'a' => Some(style.text(&DAYS[weekday as usize][..3])),
        'A' => Some(style.text(DAYS[weekday as usize])),
        'b' | 'h' => Some(style.text(&MONTHS[time.month() as usize - 1][..3])),
        'B' => Some(style.text(MONTHS[time.month() as usize - 1])),
        'c' => inner("%a %b %e %H:%M:%S %Y"),
        'C' => number(year.div_euclid(100), 2, '0'),
        'd' => number(time.day().into(), 2, '0'),
        'D' | 'x' => inner("%m/%d/%y"),
        'e' => number(time.day().into(), 2, '_'),
        'F' => {
            let width = style.width.map(|width| width.saturating_sub(6));
            let year = Style { width, ..style }.number(year, 4, '0');
            Some(format!("{year}{}", formatted(clock, "-%m-%d")))
        }
        'g' => number(i64::from(week.year()).rem_euclid(100), 2, '0'),
        'G' => number(week.year().into(), 1, '0'),
        'H' => number(hour, 2, '0'),
        'I' => number(twelve, 2, '0'),
        'j' => number(day_of_year, 3, '0'),
        'k' => number(hour, 2, '_'),
        'l' => number(twelve, 2, '_'),
        'm' => number(time.month().into(), 2, '0'),
        'M' => number(time.minute().into(), 2, '0'),
        'N' => Some(style.nanoseconds(clock.nanoseconds)),
        'p' if !style.swap => Some(style.plain_text(half(hour))),
        'p' | 'P' => Some(style.plain_text(&half(hour).to_lowercase())),
        'q' => number(i64::from((time.month() - 1) / 3 + 1), 1, '0'),
        'r' => inner("%I:%M:%S %p"),
        'R' => inner("%H:%M"),
        's' => number(clock.unix_seconds, 1, '0'),
        'S' => number(time.second().into(), 2, '0'),
        'T' | 'X' => inner("%H:%M:%S"),
        'u' => number(if weekday == 0 { 7 } else { weekday }, 1, '0'),
        'U' => number((day_of_year + 6 - weekday) / 7, 2, '0'),
        'V' => number(week.week().into(), 2, '0'),
        'w' => number(weekday, 1, '0'),
        'W' => number((day_of_year + 6 - (weekday + 6) % 7) / 7, 2, '0'),
        'y' => number(year.rem_euclid(100), 2, '0'),
        'Y' => number(year, 1, '0'),
        'z' => style.zone_offset(clock.offset_seconds),
        'Z' if style.swap => Some(style.plain_text(&clock.zone.to_lowercase())),
        'Z' => Some(style.text(&clock.zone)),
        _ => None,
    }
}

fn half(hour: i64) -> &'static str {
    if hour < 12 { "AM" } else { "PM" }
}

impl Style {
    fn is_plain(&self) -> bool {
        self.padding.is_none() && !self.upper && !self.swap && self.width.is_none()
    }

    fn text(&self, text: &str) -> String {
        self.plain_text(&if self.upper || self.swap { text.to_uppercase() } else { text.to_string() })
    }

    fn plain_text(&self, text: &str) -> String {
        let width = self.width.unwrap_or(0);
        match self.padding {
            Some('-') => text.to_string(),
            Some('0') => format!("{text:0>width$}"),
            _ => format!("{text:>width$}"),
        }
    }

    /// `+hhmm` and its forms with colons. Padding goes between the sign and the digits.
    fn zone_offset(&self, offset: i32) -> Option<String> {
        let sign = if offset < 0 { '-' } else { '+' };
        let seconds = offset.unsigned_abs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let colons = match (self.colons, minutes, seconds) {
            (3, 0, 0) => 3,
            (3, _, 0) => 1,
            (3, ..) => 2,
            (colons, ..) => colons,
        };
        let (digits, width) = match colons {
            0 => ((hours * 100 + minutes).to_string(), 5),
            1 => (format!("{hours}:{minutes:02}"), 6),
            2 => (format!("{hours}:{minutes:02}:{seconds:02}"), 9),
            3 => (hours.to_string(), 3),
            _ => return None,
        };
        let width = self.width.unwrap_or(width);
        Some(match self.padding {
            Some('-') => format!("{sign}{digits}"),
            Some('_') => format!("{:>width$}", format!("{sign}{digits}")),
            _ => format!("{sign}{digits:0>rest$}", rest = width.saturating_sub(1)),
        })
    }

    fn number(&self, number: i64, width: usize, padding: char) -> String {
        let padding = self.padding.unwrap_or(padding);
        let width = self.width.unwrap_or(width);
        match padding {
            '-' => number.to_string(),
            '0' => format!("{number:0width$}"),
            _ => format!("{number:>width$}"),
        }
    }

    /// The first digits of the fraction of a second, nine without a width.
    fn nanoseconds(&self, nanoseconds: u32) -> String {
        let digits = format!("{nanoseconds:09}");
        match self.width {
            Some(width @ 1..=9) => digits[..width].to_string(),
            Some(width) => format!("{digits:0<width$}"),
            None => digits,
        }
    }
}
