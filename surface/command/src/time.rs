//! Times as the console prints them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `MM/DD/YYYY HH:MM:SS` in UTC; empty for a time that has no such form.
#[must_use]
pub(crate) fn format(seconds: i64) -> String {
    let Ok(stamp) = Timestamp::from_second(seconds) else { return String::new() };
    stamp.to_zoned(TimeZone::UTC).strftime("%m/%d/%Y %H:%M:%S").to_string()
}

/// As `date` prints a time: `Sat Nov  7 14:11:23 UTC 2026`; empty for a time that has no such form.
#[must_use]
pub(crate) fn date_line(seconds: i64) -> String {
    let Ok(stamp) = Timestamp::from_second(seconds) else { return String::new() };
    stamp.to_zoned(TimeZone::UTC).strftime("%a %b %e %H:%M:%S UTC %Y").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_print_as_on_the_console() {
        assert_eq!(super::format(0), "01/01/1970 00:00:00");
        assert_eq!(super::format(1_790_826_184), "10/01/2026 03:43:04");
        assert_eq!(super::format(i64::MAX), "");
        assert_eq!(super::date_line(0), "Thu Jan  1 00:00:00 UTC 1970");
    }
}
