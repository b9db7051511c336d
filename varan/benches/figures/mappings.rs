//! `lsmap -all` on Virtual I/O Servers with more and more mappings: the whole command, from its words to its text.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use varan::frame::Layout;
use varan::servers::ServerDirectory;
use varan::site::start_site;
use varan::vios_shell::Server;
use varan_contract::vios::{DeviceSelector, RequestId, ViosChange, ViosLink};
use varan_environment::Environment;
use varan_model::ids::PartitionUuid;

use crate::measured::{Scratch, parse};
use crate::statistics::{Series, count, head, number, row};
use crate::{scaled, timed};

const ROUNDS: usize = 15;
const EACH: usize = 10;
const GUEST_MEMORY_BYTES: u64 = 1 << 30;
/// Server adapters of each server.
const ADAPTERS: usize = 63;
/// Mappings of each of the three servers.
const SIZES: [usize; 3] = [10, 100, 1_000];
/// Longest wait for a server that starts.
const PATIENCE: Duration = Duration::from_secs(60);

/// The shipped site with one frame for each size, whose first server has all the adapters.
fn site_text() -> String {
    let text =
        include_str!("../../../sites/storage.toml").replace("time_scale = 600.0", "time_scale = 20000.0");
    let adapters: Vec<String> =
        (100..100 + ADAPTERS).map(|slot| format!("{slot}/server/any//any/0")).collect();
    let served = "30/server/4/lpar1/2/0,31/server/5/lpar2/2/0,40/server/3/nova_b1/2/0";
    assert!(text.contains(served), "the site's first server");
    let text = text.replace(served, &adapters.join(","));
    let begin = text.find("[[managed_system]]").expect("a system");
    let end = text.find("# Disks that both servers see.").expect("disks");
    let frame = |number: usize| {
        text[begin..end]
            .replace("name = \"s814\"", &format!("name = \"s814-{number}\""))
            .replace("21AFF8V", &format!("21AFF{number}V"))
            .replace("WZS21AF", &format!("WZS21A{number}"))
            .replace("c05076000000", &format!("c0507600{number}000"))
    };
    format!("{}{}", &text[..begin], (0..SIZES.len()).map(frame).collect::<String>())
}

struct Mapped {
    mappings: usize,
    server: Arc<Server>,
    series: Series,
}

fn wait_for(
    environment: &Arc<dyn Environment>,
    servers: &dyn ServerDirectory,
    partition: PartitionUuid,
) -> Arc<dyn ViosLink> {
    let begin = environment.monotonic();
    loop {
        if let Some(link) = servers.link(partition) {
            return link;
        }
        assert!(environment.monotonic().since(begin) < PATIENCE, "the server does not serve");
        std::thread::yield_now();
    }
}

fn map(link: &dyn ViosLink, mappings: usize) {
    for number in 0..mappings {
        let adapter = DeviceSelector::Name(format!("vhost{}", number % ADAPTERS));
        let change = ViosChange::MapOptical { adapter, target: None };
        link.change(RequestId(number as u128 + 1), change).expect("mapped");
    }
}

fn listing(server: &Arc<Server>) -> String {
    let (status, output) = server.run("lsmap -all", false).expect("run");
    assert_eq!(status, 0);
    String::from_utf8(output).expect("text")
}

/// Measures and prints.
pub fn measure(environment: &Arc<dyn Environment>) {
    let scratch = Scratch::new("figures-mappings");
    let layout = Layout::new(Path::new(scratch.path()));
    let started = start_site(&parse(&site_text()), &layout, environment, GUEST_MEMORY_BYTES).expect("site");
    let mut servers: Vec<Mapped> = Vec::new();
    for (frame, mappings) in started.frames.iter().zip(SIZES) {
        let snapshot = frame.handle.snapshot();
        let id = snapshot.names.get("vios1").expect("server");
        let partition = snapshot.partitions.get(id).expect("partition").partition.uuid;
        let link = wait_for(environment, &*frame.servers, partition);
        map(&*link, mappings);
        let directory = frame.servers.directory(partition);
        let server = Server::open(link, &directory, 1, environment).expect("files");
        assert_eq!(listing(&server).matches("LUN  ").count(), mappings);
        servers.push(Mapped { mappings, server, series: Series::default() });
    }
    for _ in 0..scaled(ROUNDS) {
        servers.rotate_left(1);
        for mapped in &mut servers {
            let run = || timed(environment, || listing(&mapped.server));
            mapped.series.push((0..EACH).map(|_| run()).collect());
        }
    }
    servers.sort_by_key(|mapped| mapped.mappings);
    let columns = ["mappings", "p50 µs", "p99 µs", "µs a mapping"];
    head(&format!("`lsmap -all` on a server with {ADAPTERS} adapters"), &columns);
    for mapped in &servers {
        let each = mapped.series.quantile(0.5) / mapped.mappings as f64;
        row(&[
            count(mapped.mappings),
            number(mapped.series.quantile(0.5)),
            number(mapped.series.quantile(0.99)),
            number(each),
        ]);
    }
    for frame in started.frames {
        frame.handle.stop();
    }
}
