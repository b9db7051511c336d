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

/// The API of one console: its certificate and addresses, which stay when it is opened again.
pub struct ConsoleApi {
    certificate: Certificate,
    /// Addresses of each server, and whether the console is nothing without it.
    servers: Vec<(Vec<SocketAddr>, bool)>,
}

impl ConsoleApi {
    /// Prepares the API of a console at an address, where the machine allows it also on the port of browsers. `own` is the
    /// console's own address, where the site file gives one.
    ///
    /// # Errors
    /// A text for the person.
    pub fn prepare(
        console: &Console,
        address: SocketAddr,
        own: Option<IpAddr>,
        directory: &Path,
    ) -> Result<Self, String> {
        let description = console.description();
        let names = [description.hostname.clone(), "localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()];
        let certificate = Certificate::open(directory, &names)
            .map_err(|error| format!("console {}: {error}", description.name))?;
        let mut addresses = vec![address];
        addresses.extend(own.map(|address| SocketAddr::new(address, REST_PORT)));
        let mut servers = vec![(addresses, true)];
        if address.port() == REST_PORT {
            // Only where it is allowed and free: nothing depends on it.
            servers.push((vec![SocketAddr::new(address.ip(), WEB_PORT)], false));
        }
        Ok(Self { certificate, servers })
    }

    /// Serves it, the first time on any port where none was wanted, then on the same ones. Sessions begin anew.
    ///
    /// # Errors
    /// A text for the person.
    pub fn open(
        &mut self,
        console: &Arc<Console>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Vec<RestServer>, String> {
        let api = Arc::new(RestApi::new(console.clone(), Mode::Console, Limits::default()));
        let mut open = Vec::new();
        for (addresses, needed) in &mut self.servers {
            let certificate = Some(self.certificate.clone());
            match runtime.block_on(RestServer::bind(addresses, certificate, api.clone())) {
                Ok(server) => {
                    *addresses = server.local_addresses().to_vec();
                    open.push(server);
                }
                Err(error) if *needed => {
                    return Err(format!("console {}: {error}", console.description().name));
                }
                Err(_) => {}
            }
        }
        Ok(open)
    }
}

/// The addresses of a server with their scheme.
#[must_use]
pub fn addresses(server: &RestServer) -> Vec<String> {
    let text = |address: &SocketAddr| format!("{}://{address}", server.scheme());
    server.local_addresses().iter().map(text).collect()
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
