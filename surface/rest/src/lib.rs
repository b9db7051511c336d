//! The console's REST API: log on, read the managed systems and what is in them.
//!
//! ```text
//! connection -> server (TLS, limits) -> request -> router -> resource -> element tables -> XML, entry by entry
//! ```
//!
//! Requests are answered on threads made for blocking work; an answer that is a feed is written entry by entry into a
//! bounded channel, so that a long feed costs memory for one entry. The API holds no state of the world: sessions and
//! event queues are its own, everything else is asked of the console.

mod announce;
mod certificate;
mod collection;
mod element;
mod entry;
mod events;
mod failure;
mod fuzz;
mod limits;
mod logon;
mod patience;
mod query;
mod quick;
mod reading;
mod reply;
mod request;
mod resource;
mod router;
mod schema;
mod search;
mod server;
mod session;
mod xml;

pub use certificate::{Certificate, CertificateError};
pub use element::Outline;
pub use fuzz::fuzz_one;
pub use limits::Limits;
pub use resource::outline;
pub use router::{Mode, RestApi};
pub use server::{RestServer, RestServerError};
