//! The REST API over plain HTTP on loopback, on a connection that stays open: feeds, quick answers and single entries with
//! sites of three sizes.

use std::sync::Arc;
use std::time::Duration;

use varan_environment::Environment;

use crate::served::{Client, Served};
use crate::statistics::{Series, Spread, count, head, number, row};
use crate::{SIZES, scaled, timed};

const ROUNDS: usize = 9;
const FEEDS_EACH: usize = 4;
const QUICK_EACH: usize = 40;
const ENTRIES_EACH: usize = 400;

/// What is measured, in one site.
struct Opened {
    site: Served,
    client: Client,
    uuids: Vec<String>,
    bytes: usize,
    feed: Series,
    quick: Series,
    entry: Series,
    state: Series,
}

impl Opened {
    fn start(partitions: usize, environment: &Arc<dyn Environment>) -> Self {
        let site = Served::start("figures-rest", partitions, environment);
        let uuids = site.uuids();
        assert_eq!(uuids.len(), partitions);
        let client = site.client();
        let [feed, quick, entry, state] = std::array::from_fn(|_| Series::default());
        Self { site, client, uuids, bytes: 0, feed, quick, entry, state }
    }

    fn timed(&mut self, environment: &Arc<dyn Environment>, path: &str) -> Duration {
        let mut bytes = 0;
        let taken = timed(environment, || {
            self.site.get(&mut self.client, path, |piece| bytes += piece.len());
        });
        self.bytes = bytes;
        taken
    }

    fn round(&mut self, environment: &Arc<dyn Environment>) {
        let times = |this: &mut Self, times: usize, path: &dyn Fn(&Self, usize) -> String| -> Vec<Duration> {
            (0..times)
                .map(|step| {
                    let path = path(this, step);
                    this.timed(environment, &path)
                })
                .collect()
        };
        // 7,919 is a prime: steps visit all partitions in no order of memory.
        let uuid = |this: &Self, step: usize| this.uuids[step * 7_919 % this.uuids.len()].clone();
        let entry = times(self, ENTRIES_EACH, &|this, step| format!("LogicalPartition/{}", uuid(this, step)));
        let state = times(self, ENTRIES_EACH, &|this, step| {
            format!("LogicalPartition/{}/quick/PartitionState", uuid(this, step))
        });
        let quick = times(self, QUICK_EACH, &|_, _| "LogicalPartition/quick/All".to_owned());
        let feed = times(self, FEEDS_EACH, &|_, _| "LogicalPartition".to_owned());
        self.entry.push(entry);
        self.state.push(state);
        self.quick.push(quick);
        self.feed.push(feed);
    }
}

/// Measures and prints.
pub fn measure(environment: &Arc<dyn Environment>) {
    let mut sites: Vec<Opened> = SIZES.iter().map(|size| Opened::start(*size, environment)).collect();
    for round in 0..scaled(ROUNDS) {
        // Each size goes first as often as the others.
        let first = round % sites.len();
        sites.rotate_left(first);
        sites.iter_mut().for_each(|site| site.round(environment));
        sites.sort_by_key(|site| site.site.partitions);
    }
    head(
        "The REST API",
        &[
            "what",
            "partitions in the site",
            "answers/s",
            "p50 µs",
            "p99 µs",
            "samples",
            "entries/s",
            "KiB an answer",
        ],
    );
    for site in &sites {
        line("feed `LogicalPartition`", site, &site.feed, Some(site.bytes));
    }
    for site in &sites {
        line("`LogicalPartition/quick/All`", site, &site.quick, None);
    }
    for site in &sites {
        line("one entry, each in turn", site, &site.entry, None);
    }
    for site in &sites {
        line("`{uuid}/quick/PartitionState`, each in turn", site, &site.state, None);
    }
}

fn line(what: &str, site: &Opened, series: &Series, bytes: Option<usize>) {
    let whole = what.contains("feed") || what.contains("All");
    let entries = series.rates().into_iter().map(|rate| rate * site.site.partitions as f64);
    row(&[
        what.to_owned(),
        count(site.site.partitions),
        Spread::of(series.rates()).show(),
        number(series.quantile(0.5)),
        number(series.quantile(0.99)),
        count(series.samples()),
        if whole { Spread::of(entries).show() } else { String::new() },
        bytes.map(|bytes| number(bytes as f64 / 1_024.0)).unwrap_or_default(),
    ]);
}
