//! Connections: TLS, bounds, HTTP, and the way from the network to the threads that answer.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use varan_model::codes::MessageKey;

use crate::certificate::Certificate;
use crate::failure::Failure;
use crate::limits::{
    BODY_BYTES, BODY_TIME, BUFFER_BYTES, CONNECTIONS_PER_ADDRESS, DISCARDED_BYTES, HEADER_TIME,
    LOGON_BODY_BYTES, STALL_TIME,
};
use crate::patience::Patient;
use crate::reply::{Body, Reply, Sink};
use crate::request::{Request, is_host, path_of, query_of};
use crate::router::RestApi;

/// Pause after accepting failed, so that a full descriptor table does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum RestServerError {
    /// An address cannot be used.
    #[error("{address}: {error}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// The reason.
        error: std::io::Error,
    },
}

/// A server that accepts connections until it is dropped.
pub struct RestServer {
    scheme: &'static str,
    addresses: Vec<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for RestServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A body that comes out of a channel; one that ends in the middle is an error, so that no client takes it for whole.
struct ChannelBody {
    pieces: mpsc::Receiver<Bytes>,
    whole: Arc<AtomicBool>,
}

impl HttpBody for ChannelBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = ready!(self.pieces.poll_recv(context));
        if piece.is_none() && !self.whole.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into())));
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

type Answer = Response<Either<Full<Bytes>, ChannelBody>>;

/// Connections of each address.
#[derive(Default)]
struct Connections(Mutex<HashMap<IpAddr, usize>>);

/// One connection's place; given back when dropped.
struct Admitted {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    fn admit(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Admitted> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = open.values().sum();
        let of_address = open.get(&address).copied().unwrap_or_default();
        if total >= most || of_address >= CONNECTIONS_PER_ADDRESS {
            return None;
        }
        open.insert(address, of_address + 1);
        Some(Admitted { connections: self.clone(), address })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

impl RestServer {
    /// Serves an API on addresses; over TLS when there is a certificate.
    ///
    /// # Errors
    /// [`RestServerError`].
    pub async fn bind(
        addresses: &[SocketAddr],
        certificate: Option<Certificate>,
        api: Arc<RestApi>,
    ) -> Result<Self, RestServerError> {
        let acceptor = certificate.map(|certificate| TlsAcceptor::from(certificate.configuration));
        let connections = Arc::new(Connections::default());
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let mut server = Self { scheme, addresses: Vec::new(), tasks: Vec::new() };
        for address in addresses {
            let fail = |error| RestServerError::Address { address: *address, error };
            let listener = TcpListener::bind(address).await.map_err(fail)?;
            server.addresses.push(listener.local_addr().map_err(fail)?);
            server.tasks.push(tokio::spawn(accept(
                listener,
                acceptor.clone(),
                api.clone(),
                connections.clone(),
            )));
        }
        Ok(server)
    }

    /// `https`, or `http` without a certificate.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The addresses that it serves on.
    #[must_use]
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    api: Arc<RestApi>,
    connections: Arc<Connections>,
) {
    // Connections end with the task that accepts them.
    let mut open = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while open.try_join_next().is_some() {}
        let Some(admitted) = connections.admit(peer.ip(), api.limits.connections) else { continue };
        let (acceptor, api) = (acceptor.clone(), api.clone());
        open.spawn(async move {
            let _admitted = admitted;
            serve_connection(stream, peer, acceptor, api).await;
        });
    }
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    api: Arc<RestApi>,
) {
    // Answers are small pieces; waiting for more costs each of them a round trip.
    let _ = stream.set_nodelay(true);
    let scheme = if acceptor.is_some() { "https" } else { "http" };
    let local = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let service = service_fn(move |incoming| {
        let (api, local) = (api.clone(), local.clone());
        async move { Ok::<_, Infallible>(serve(incoming, peer, scheme, &local, api).await) }
    });
    let stream = Patient::new(stream, STALL_TIME);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).max_buf_size(BUFFER_BYTES);
    // A connection that ends badly ends; there is nobody to tell.
    match acceptor {
        Some(acceptor) => {
            let Ok(Ok(stream)) = tokio::time::timeout(HEADER_TIME, acceptor.accept(stream)).await else {
                return;
            };
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        }
        None => {
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        }
    }
}

async fn serve(
    incoming: hyper::Request<Incoming>,
    peer: SocketAddr,
    scheme: &str,
    local: &str,
    api: Arc<RestApi>,
) -> Answer {
    let (head, body) = incoming.into_parts();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host));
    let mut request = Request {
        target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        path: path_of(&head.uri),
        query: query_of(&head.uri),
        method: head.method,
        headers: head.headers.clone(),
        body: Bytes::new(),
        peer,
        base: format!("{scheme}://{}", host.unwrap_or(local)),
    };
    let logon = request.path.last().is_some_and(|last| last == "Logon");
    let most = if logon { LOGON_BODY_BYTES } else { BODY_BYTES };
    match tokio::time::timeout(BODY_TIME, read_body(body, most)).await {
        Ok(Some(body)) => request.body = body,
        _ => {
            let failure = Failure::new(413, MessageKey::RestTooLarge).with(most);
            let transaction = api.next_transaction();
            return respond(api.failed(&failure, &request, &transaction)).await;
        }
    }
    let head_only = request.method == hyper::Method::HEAD;
    let answering = tokio::task::spawn_blocking(move || api.answer(&request));
    match answering.await {
        Ok(reply) if head_only => respond(Reply { body: Body::Empty, ..reply }).await,
        Ok(reply) => respond(reply).await,
        // A panic ends this request and no other.
        Err(_) => respond(Reply::empty(500)).await,
    }
}

/// Reads a body; `None` when it is too large or breaks off. A little too much is read to its end and forgotten: a client
/// that is still sending does not see an answer.
async fn read_body(mut body: Incoming, most: usize) -> Option<Bytes> {
    let (mut read, mut total) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        total += data.len();
        if total > most.saturating_add(DISCARDED_BYTES) {
            return None;
        }
        if total <= most {
            read.extend_from_slice(&data);
        }
    }
    (total <= most).then(|| read.into())
}

async fn respond(reply: Reply) -> Answer {
    let body = match reply.body {
        Body::Empty => Either::Left(Full::new(Bytes::new())),
        Body::Whole(bytes) => Either::Left(Full::new(bytes.into())),
        Body::Written(writer) => {
            let (sink, pieces, whole) = Sink::new();
            // The writer ends when the client is gone: its channel is closed then.
            tokio::task::spawn_blocking(move || {
                let _ = writer(sink);
            });
            Either::Right(ChannelBody { pieces, whole })
        }
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&reply.content_type)
        && !value.is_empty()
    {
        headers.insert(CONTENT_TYPE, value);
    }
    for (name, value) in &reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_by_address_and_in_total() {
        let connections = Arc::new(Connections::default());
        let (one, two): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let held: Vec<Admitted> =
            (0..CONNECTIONS_PER_ADDRESS).filter_map(|_| connections.admit(one, 500)).collect();
        assert_eq!(held.len(), CONNECTIONS_PER_ADDRESS);
        assert!(connections.admit(one, 500).is_none() && connections.admit(two, 500).is_some());
        assert!(connections.admit(two, CONNECTIONS_PER_ADDRESS).is_none());
        drop(held);
        assert!(connections.0.lock().expect("lock").is_empty());
    }
    #[test]
    fn an_answer_that_ends_in_the_middle_is_no_answer() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let read = |finishes: bool| {
            let (mut sink, pieces, whole) = Sink::new();
            assert!(sink.write(b"<feed>").is_ok());
            if finishes {
                std::thread::spawn(move || sink.finish().is_ok()).join().expect("writer");
            } else {
                drop(sink);
            }
            runtime.block_on(ChannelBody { pieces, whole }.collect()).map(|body| body.to_bytes())
        };
        assert_eq!(read(true).expect("whole"), "<feed>");
        assert!(read(false).is_err());
    }
}
