//! The long form of a directory entry, as `ls -l` of an SFTP client shows it.

use rustix::fs::{FileType, Stat};

const SECONDS_PER_DAY: i64 = 86_400;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `-rw-r--r--    1 hscroot  hscroot      1234 Mar  5  2024 name`. The date is in UTC and always
/// has its year, so that it does not depend on the day it is asked.
pub(super) fn long_name(name: &[u8], stat: &Stat, owner: &str) -> Vec<u8> {
    let (year, month, day) = civil_date(stat.st_mtime.div_euclid(SECONDS_PER_DAY));
    let mut line = format!(
        "{} {:>4} {owner:<8} {owner:<8} {:>10} {} {day:>2}  {year} ",
        permissions(stat.st_mode),
        stat.st_nlink,
        stat.st_size,
        MONTHS[month],
    )
    .into_bytes();
    line.extend(name);
    line
}

fn permissions(mode: u32) -> String {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::RegularFile => '-',
        _ => '?',
    };
    let bits = (0..9).map(|index| match mode & (0o400 >> index) {
        0 => '-',
        _ => ['r', 'w', 'x'][index % 3],
    });
    std::iter::once(kind).chain(bits).collect()
}

/// Year, month (0 is January) and day of the month of a number of days since 1970-01-01, in the
/// Gregorian calendar: whole 400-year cycles, counted from a first of March, so that the leap day
/// is the last of its year.
fn civil_date(days: i64) -> (i64, usize, i64) {
    const DAYS_PER_CYCLE: i64 = 146_097;
    let shifted = days + 719_468;
    let cycle = shifted.div_euclid(DAYS_PER_CYCLE);
    let of_cycle = shifted.rem_euclid(DAYS_PER_CYCLE);
    let year_of_cycle = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = cycle * 400 + year_of_cycle + i64::from(month < 2);
    (year, usize::try_from(month).unwrap_or_default(), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_one_another() {
        assert_eq!(civil_date(0), (1970, 0, 1));
        assert_eq!(civil_date(19_782), (2024, 1, 29));
        assert_eq!(civil_date(-1), (1969, 11, 31));
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..200_000 {
            assert_eq!(civil_date(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = lengths[month] + i64::from(leap && month == 1);
            day += 1;
            if day > last {
                (month, day) = (month + 1, 1);
            }
            if month == 12 {
                (year, month) = (year + 1, 0);
            }
        }
    }

    #[test]
    fn permissions_read_as_ls_prints_them() {
        assert_eq!(permissions(0o100_644), "-rw-r--r--");
        assert_eq!(permissions(0o040_751), "drwxr-x--x");
        assert_eq!(permissions(0o120_777), "lrwxrwxrwx");
    }
}
