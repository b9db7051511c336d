//! Virtual I/O Servers as their users reach them: logins, shells, files.
//!
//! ```text
//! ssh padmin%vios1%p814-1@host ──┐
//! ssh padmin@vios1 (own port) ───┤                    ┌─> Shell (rksh, padmin) ── oem_setup_env ──> Shell (ksh, root)
//! viosvrcmd (console, RMC) ──────┴─> ViosServers ─────┤
//!                                                     └─> ViosHost: ioscli, AIX's commands ──> ViosLink
//! ```
//!
//! A server is found by its partition, which must run. Its devices and media are its own authority's; its other files are a
//! directory of the host.

mod commands;
mod devices;
pub mod files;
mod host;
mod image;
mod servers;

pub use host::{ViosHost, run_script};
pub use servers::{LOGIN, NoLinks, Opened, Route, Server, SiteServers, ViosLinks, ViosServers};
