//! Samples of rounds, and how they are shown: medians with their spread.

use std::time::Duration;

/// Latencies of one case, by round.
#[derive(Default)]
pub struct Series {
    rounds: Vec<Vec<Duration>>,
}

/// A value of every round: lowest, median, highest.
#[derive(Clone, Copy)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    /// Of one value for each round.
    ///
    /// # Panics
    /// Without a value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Self { low: values[0], median, high: values[values.len() - 1] }
    }

    /// `median (low-high)` with three significant digits.
    pub fn show(self) -> String {
        format!("{} ({}-{})", number(self.median), number(self.low), number(self.high))
    }
}

/// Three significant digits, thousands separated.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if magnitude < 2.0 {
        let decimals = if magnitude < 0.0 { 3 } else { 2 - magnitude as usize };
        return format!("{value:.decimals$}");
    }
    let unit = 10f64.powf(magnitude - 2.0);
    grouped(&format!("{:.0}", (value / unit).round() * unit))
}

impl Series {
    pub fn push(&mut self, round: Vec<Duration>) {
        self.rounds.push(round);
    }

    /// Commands per second of each round.
    pub fn rates(&self) -> Vec<f64> {
        let rate = |round: &Vec<Duration>| round.len() as f64 / round.iter().sum::<Duration>().as_secs_f64();
        self.rounds.iter().map(rate).collect()
    }

    /// A quantile over the samples of all rounds, in microseconds (nearest rank).
    pub fn quantile(&self, quantile: f64) -> f64 {
        let mut all: Vec<Duration> = self.rounds.iter().flatten().copied().collect();
        all.sort_unstable();
        let rank = (all.len() as f64 * quantile).ceil() as usize;
        all[rank.clamp(1, all.len()) - 1].as_secs_f64() * 1e6
    }

    /// Samples of all rounds.
    pub fn samples(&self) -> usize {
        self.rounds.iter().map(Vec::len).sum()
    }
}

fn median_latency(round: &[Duration]) -> f64 {
    Spread::of(round.iter().map(Duration::as_secs_f64)).median
}

/// How many times longer a command takes in `series` than in `base`: medians of the same round, so that neither a slow
/// minute nor one sample that the machine held up counts.
pub fn slower(series: &Series, base: &Series) -> Spread {
    let pairs = series.rounds.iter().zip(&base.rounds);
    Spread::of(pairs.map(|(round, base)| median_latency(round) / median_latency(base)))
}

/// A whole number, thousands separated.
pub fn count(value: usize) -> String {
    grouped(&value.to_string())
}

fn grouped(digits: &str) -> String {
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}

/// One line of a table.
pub fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// The head of a table.
pub fn head(title: &str, columns: &[&str]) {
    println!("\n## {title}\n\n| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
}
