//! The REST API of each console, and that of a management partition.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use varan_console::Console;
use varan_rest::{Certificate, Limits, Mode, RestApi, RestServer};

use crate::arguments::Up;

/// Port of the first console's API, as on the real one.
pub const REST_PORT: u16 = 12_443;
/// Port that browsers and several clients use for the same API.
const WEB_PORT: u16 = 443;
/// Port of the API of a management partition, as on the real one.
pub const NOVALINK_PORT: u16 = 12_080;

/// The port of the console with that index. A site on any free SSH port takes any free port here as well.
fn port(options: &Up, index: usize) -> Result<u16, String> {
    let first = options.rest_port.unwrap_or(if options.ssh_port == 0 { 0 } else { REST_PORT });
    match first {
        0 => Ok(0),
        port => port
            .checked_add(u16::try_from(index).unwrap_or(u16::MAX))
            .ok_or_else(|| "the REST port is too high".to_owned()),
    }
}

/// Serves the API of one console. `own` is the console's own address, where the site file gives one.
///
/// # Errors
/// A text for the person.
pub fn serve_console(
    options: &Up,
    console: &Arc<Console>,
    index: usize,
    directory: &Path,
    own: Option<IpAddr>,
    runtime: &tokio::runtime::Runtime,
) -> Result<Vec<RestServer>, String> {
    let description = console.description();
    let text = |error: &dyn std::fmt::Display| format!("console {}: {error}", description.name);
    let names = [description.hostname.clone(), "localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()];
    let certificate = Certificate::open(directory, &names).map_err(|error| text(&error))?;
    let api = Arc::new(RestApi::new(console.clone(), Mode::Console, Limits::default()));
    let port = port(options, index)?;
    let mut addresses = vec![SocketAddr::new(options.listen, port)];
    addresses.extend(own.map(|address| SocketAddr::new(address, REST_PORT)));
    let bind = |addresses: &[SocketAddr]| {
        runtime.block_on(RestServer::bind(addresses, Some(certificate.clone()), api.clone()))
    };
    let mut servers = vec![bind(&addresses).map_err(|error| text(&error))?];
    if port == REST_PORT {
        // Only where it is allowed and free: nothing depends on it.
        servers.extend(bind(&[SocketAddr::new(options.listen, WEB_PORT)]));
    }
    Ok(servers)
}

/// Serves the API of the management partition of a system: plain HTTP for this machine alone.
///
/// # Errors
/// A text for the person.
pub fn serve_novalink(
    options: &Up,
    console: &Arc<Console>,
    directory: &Path,
    runtime: &tokio::runtime::Runtime,
) -> Result<Option<RestServer>, String> {
    let Some(system) = &options.novalink else { return Ok(None) };
    let found = console.find_system(system).map_err(|refusal| format!("--novalink: {refusal}"))?;
    let session_files = directory.join("session-files");
    // Sessions do not outlive the program, so files of earlier ones open nothing.
    let _ = std::fs::remove_dir_all(&session_files);
    let session_files = std::path::absolute(session_files).map_err(|error| error.to_string())?;
    let mode = Mode::ManagementPartition { system: found.name().to_owned(), session_files };
    let api = Arc::new(RestApi::new(console.clone(), mode, Limits::default()));
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), options.novalink_port);
    let server = runtime.block_on(RestServer::bind(&[address], None, api));
    server.map(Some).map_err(|error| format!("--novalink: {error}"))
}
