//! The REST API of each console, and that of a management partition.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use varan_console::Console;
use varan_rest::{Certificate, Limits, Mode, RestApi, RestServer};

/// Port of the first console's API, as on the real one.
pub const REST_PORT: u16 = 12_443;
/// Port that browsers and several clients use for the same API.
const WEB_PORT: u16 = 443;
/// Port of the API of a management partition, as on the real one.
pub const NOVALINK_PORT: u16 = 12_080;

/// Serves the API of one console at an address, where the machine allows it also on the port of browsers. `own` is the console's own address, where the site file gives one.
///
/// # Errors
/// A text for the person.
pub fn serve_console(
    console: &Arc<Console>,
    address: SocketAddr,
    own: Option<IpAddr>,
    directory: &Path,
    runtime: &tokio::runtime::Runtime,
) -> Result<Vec<RestServer>, String> {
    let description = console.description();
    let text = |error: &dyn std::fmt::Display| format!("console {}: {error}", description.name);
    let names = [description.hostname.clone(), "localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()];
    let certificate = Certificate::open(directory, &names).map_err(|error| text(&error))?;
    let api = Arc::new(RestApi::new(console.clone(), Mode::Console, Limits::default()));
    let mut addresses = vec![address];
    addresses.extend(own.map(|address| SocketAddr::new(address, REST_PORT)));
    let bind = |addresses: &[SocketAddr]| {
        runtime.block_on(RestServer::bind(addresses, Some(certificate.clone()), api.clone()))
    };
    let mut servers = vec![bind(&addresses).map_err(|error| text(&error))?];
    if address.port() == REST_PORT {
        // Only where it is allowed and free: nothing depends on it.
        servers.extend(bind(&[SocketAddr::new(address.ip(), WEB_PORT)]));
    }
    Ok(servers)
}

/// Serves the API of the management partition of a system: plain HTTP for this machine alone.
///
/// # Errors
/// A text for the person.
pub fn serve_novalink(
    system: &str,
    port: u16,
    console: &Arc<Console>,
    directory: &Path,
    runtime: &tokio::runtime::Runtime,
) -> Result<RestServer, String> {
    let found = console.find_system(system).map_err(|refusal| format!("--novalink: {refusal}"))?;
    let session_files = directory.join("session-files");
    // Sessions do not outlive the program, so files of earlier ones open nothing.
    let _ = std::fs::remove_dir_all(&session_files);
    let session_files = std::path::absolute(session_files).map_err(|error| error.to_string())?;
    let mode = Mode::ManagementPartition { system: found.name().to_owned(), session_files };
    let api = Arc::new(RestApi::new(console.clone(), mode, Limits::default()));
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let server = runtime.block_on(RestServer::bind(&[address], None, api));
    server.map_err(|error| format!("--novalink: {error}"))
}
