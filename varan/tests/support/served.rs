//! A generated site whose REST API is served over plain HTTP in this process, and a client that keeps nothing of an answer.

#![allow(dead_code, missing_docs, reason = "each user takes its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use varan::frame::Layout;
use varan::site::start_frames;
use varan_contract::system::SystemLink;
use varan_environment::Environment;
use varan_rest::{Limits, Mode, RestApi, RestServer};
use varan_system::SystemHandle;

use crate::measured::{self, Scratch};

const GUEST_MEMORY_BYTES: u64 = 1 << 30;
const BUFFER_BYTES: usize = 16 << 10;

/// A site whose API is served.
pub struct Served {
    pub partitions: usize,
    address: SocketAddr,
    token: String,
    frames: Vec<Arc<SystemHandle>>,
    _server: RestServer,
    _runtime: tokio::runtime::Runtime,
    _directory: Scratch,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.frames.iter().for_each(|frame| frame.stop());
    }
}

impl Served {
    pub fn start(name: &str, partitions: usize, environment: &Arc<dyn Environment>) -> Self {
        Self::start_with(name, partitions, environment, Limits::default())
    }

    /// The same with other bounds.
    pub fn start_with(
        name: &str,
        partitions: usize,
        environment: &Arc<dyn Environment>,
        limits: Limits,
    ) -> Self {
        let directory = Scratch::new(&format!("{name}-{partitions}"));
        let site = measured::parse(&measured::site_text(partitions, 1, None));
        let layout = Layout::new(directory.path());
        let frames = start_frames(&site, &layout, environment, GUEST_MEMORY_BYTES).expect("frames");
        let links: Vec<Arc<dyn SystemLink>> =
            frames.iter().map(|frame| frame.clone() as Arc<dyn SystemLink>).collect();
        let console = measured::console(&site, &layout, environment, &links);
        let api = Arc::new(RestApi::new(console, Mode::Console, limits));
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = runtime.block_on(RestServer::bind(&[any], None, api)).expect("server");
        let address = server.local_addresses()[0];
        let body = format!(
            "<LogonRequest><UserID>{}</UserID><Password>abc123</Password></LogonRequest>",
            measured::USER
        );
        let mut answer = Vec::new();
        let mut client = Client::connect(address);
        client.request("PUT", "/rest/api/web/Logon", "", &body, |piece| answer.extend_from_slice(piece));
        let answer = String::from_utf8(answer).expect("text");
        let token = answer.split("JSESSIONID=").nth(1).and_then(|rest| rest.split(';').next());
        let token = token.expect("token").to_owned();
        Self { partitions, address, token, frames, _server: server, _runtime: runtime, _directory: directory }
    }

    /// The head and body of an answer.
    pub fn text(&self, client: &mut Client, path: &str) -> String {
        let mut text = Vec::new();
        self.get(client, path, |piece| text.extend_from_slice(piece));
        String::from_utf8(text).expect("text")
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection of its own.
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Reads an answer below `uom/`, piece by piece.
    pub fn get(&self, client: &mut Client, path: &str, piece: impl FnMut(&[u8])) {
        client.request("GET", &format!("/rest/api/uom/{path}"), &self.token, "", piece);
    }

    /// Identities of the partitions.
    pub fn uuids(&self) -> Vec<String> {
        let text = self.text(&mut self.client(), "LogicalPartition/quick/All");
        let after = text.split("\"UUID\":\"").skip(1);
        after.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
    }
}

/// A connection that stays open from request to request.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connection");
        stream.set_nodelay(true).expect("socket");
        Self { stream, buffer: vec![0; BUFFER_BYTES] }
    }

    /// Sends a request and hands the answer, head and all, on in pieces.
    fn request(&mut self, method: &str, path: &str, token: &str, body: &str, mut piece: impl FnMut(&[u8])) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Session: {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(head.as_bytes()).expect("request");
        // Heads are small: the first pieces hold them whole.
        let mut head = Vec::new();
        let mut left = loop {
            let read = self.read();
            piece(&self.buffer[..read]);
            head.extend_from_slice(&self.buffer[..read]);
            if let Some(at) = head.windows(4).position(|part| part == b"\r\n\r\n") {
                break Length::of(&head[..at], &head[at + 4..]);
            }
        };
        while !left.over() {
            let read = self.read();
            piece(&self.buffer[..read]);
            left.took(&self.buffer[..read]);
        }
    }

    fn read(&mut self) -> usize {
        let read = self.stream.read(&mut self.buffer).expect("answer");
        assert!(read > 0, "the answer breaks off");
        read
    }
}

/// What is missing of a body.
enum Length {
    Bytes(usize),
    /// Until the empty chunk; these are the last bytes so far.
    Chunks([u8; 5]),
}

impl Length {
    fn of(head: &[u8], body: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head).to_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let mut length = match header("content-length:") {
            Some(length) => Self::Bytes(length.parse().expect("length")),
            None if header("transfer-encoding:").is_some() => Self::Chunks([0; 5]),
            None => Self::Bytes(0),
        };
        length.took(body);
        length
    }

    fn took(&mut self, bytes: &[u8]) {
        match self {
            Self::Bytes(left) => *left -= bytes.len(),
            Self::Chunks(last) => {
                for byte in &bytes[bytes.len().saturating_sub(last.len())..] {
                    last.rotate_left(1);
                    last[4] = *byte;
                }
            }
        }
    }

    fn over(&self) -> bool {
        match self {
            Self::Bytes(left) => *left == 0,
            Self::Chunks(last) => last == b"0\r\n\r\n",
        }
    }
}
