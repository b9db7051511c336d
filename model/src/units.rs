//! Processing units, counted in hundredths so that sums are exact.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::InvalidIdentifier;

/// Processing units in hundredths: `0.05` is 5, one whole processor is 100. Prints as the console does: at least
/// one decimal, no trailing zero (`0.1`, `2.0`, `0.05`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessingUnits(pub u32);

impl ProcessingUnits {
    /// Units of `processors` whole processors.
    #[must_use]
    pub fn whole(processors: u32) -> Self {
        Self(processors.saturating_mul(100))
    }

    /// Processors needed to hold these units: the quotient rounded up.
    #[must_use]
    pub fn processors(self) -> u32 {
        self.0.div_ceil(100)
    }

    /// The sum; saturates.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, not below zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for ProcessingUnits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 100, self.0 % 100);
        if fraction.is_multiple_of(10) {
            write!(formatter, "{whole}.{}", fraction / 10)
        } else {
            write!(formatter, "{whole}.{fraction:02}")
        }
    }
}

impl FromStr for ProcessingUnits {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || InvalidIdentifier { kind: "number of processing units", text: text.to_owned() };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) || whole.len() > 5 {
            return Err(wrong());
        }
        if fraction.len() > 2 && fraction[2..].bytes().any(|byte| byte != b'0') {
            return Err(wrong());
        }
        let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
        let mut hundredths = 0;
        for position in 0..2 {
            let digit = fraction.as_bytes().get(position).map_or(0, |byte| u32::from(byte - b'0'));
            hundredths = hundredths * 10 + digit;
        }
        Ok(Self(whole * 100 + hundredths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_print_as_the_console_prints_them() {
        for (hundredths, text) in
            [(0, "0.0"), (5, "0.05"), (10, "0.1"), (200, "2.0"), (225, "2.25"), (1_600, "16.0")]
        {
            assert_eq!(ProcessingUnits(hundredths).to_string(), text);
            assert_eq!(text.parse::<ProcessingUnits>().expect(text), ProcessingUnits(hundredths));
        }
        assert_eq!(".5".parse::<ProcessingUnits>().expect("half"), ProcessingUnits(50));
        assert_eq!("2".parse::<ProcessingUnits>().expect("two"), ProcessingUnits(200));
        assert_eq!("0.300".parse::<ProcessingUnits>().expect("zeros"), ProcessingUnits(30));
    }

    #[test]
    fn wrong_units_are_refused() {
        for text in ["", ".", "-1", "1.005", "a", "1,5", "1.5.0", "123456"] {
            assert!(text.parse::<ProcessingUnits>().is_err(), "{text:?}");
        }
    }
}
