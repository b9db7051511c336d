//! Dates of the guest, in UTC.

/// A civil date and time in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
    /// 0 is Sunday.
    pub(super) weekday: u32,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl Date {
    /// The date of a number of seconds since 1970-01-01 00:00:00 UTC.
    pub(super) fn from_seconds(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400);
        let rest = seconds.rem_euclid(86_400) as u32;
        // Years are counted from March of year 0, so that the leap day is a year's last; 400 years repeat.
        let shifted = days.saturating_add(719_468);
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as u32,
            day: (day_of_year - (153 * march_month + 2) / 5 + 1) as u32,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7) as u32,
        }
    }

    pub(super) fn month_name(self) -> &'static str {
        MONTHS[self.month as usize - 1]
    }

    pub(super) fn weekday_name(self) -> &'static str {
        WEEKDAYS[self.weekday as usize]
    }

    /// `MMddhhmmyy`, as `errpt` prints it.
    pub(super) fn error_log_stamp(self) -> String {
        let year = self.year.rem_euclid(100);
        format!("{:02}{:02}{:02}{:02}{year:02}", self.month, self.day, self.hour, self.minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, year, month, day, weekday) in [
            (0, 1970, 1, 1, "Thu"),
            (951_782_400, 2000, 2, 29, "Tue"),
            (1_434_646_500, 2015, 6, 18, "Thu"),
            (4_107_542_400, 2100, 3, 1, "Mon"),
            (-1, 1969, 12, 31, "Wed"),
        ] {
            let date = Date::from_seconds(seconds);
            assert_eq!((date.year, date.month, date.day, date.weekday_name()), (year, month, day, weekday));
        }
        assert_eq!(Date::from_seconds(1_434_647_700).error_log_stamp(), "0618171515");
    }
}
