//! Connections: each has a small interface of smoltcp of its own, which sees bare IP packets and has the address of this
//! side; routes and neighbours stay with the station.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint};
use varan_environment::Monotonic;

use crate::packet::{Packet, TCP, read, reset_of, word, write};
use crate::station::Timer;
use crate::{InterfaceId, Station, StationError};

/// Connections of one station at most.
const MOST: usize = 65_536;
/// Connections of one listener that are not taken yet, or not open yet, at most.
const BACKLOG: usize = 1_024;
/// First of the ports that are chosen for connections to others (AIX: `tcp_ephemeral_low`).
const FIRST_PORT: u16 = 32_768;
/// A side that hears nothing for so long, though it waits for something, gives up.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcpId(pub u32);

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpState {
    /// It is being opened.
    Opening,
    /// Both sides may send.
    Open,
    /// The other side sends nothing more.
    HalfClosed,
    /// It is over: closed, refused, or the other side does not answer.
    Closed,
}

/// Packets between a connection and the station.
struct Packets {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
    mtu: usize,
}

struct Incoming(Vec<u8>);
struct Outgoing<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut packet = vec![0; length];
        let result = fill(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Packets {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        self.incoming.pop_front().map(|packet| (Incoming(packet), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // What comes in was checked by the station.
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}

/// Both ends: own address and port, the other's address and port.
type Ends = ((IpAddr, u16), (IpAddr, u16));

struct Connection {
    ends: Ends,
    via: Option<InterfaceId>,
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    packets: Packets,
    due: Option<Monotonic>,
    listener: Option<u16>,
    told: TcpState,
}

impl Connection {
    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut::<Socket<'static>>(self.handle)
    }

    fn state(&self) -> TcpState {
        match self.sockets.get::<Socket<'static>>(self.handle).state() {
            State::Listen | State::SynSent | State::SynReceived => TcpState::Opening,
            State::Established => TcpState::Open,
            State::CloseWait => TcpState::HalfClosed,
            State::FinWait1
            | State::FinWait2
            | State::LastAck
            | State::Closing
            | State::TimeWait
            | State::Closed => TcpState::Closed,
        }
    }

    /// A connection that waits for an answer gives up at some time; one that is quiet does not.
    fn set_patience(&mut self) {
        let socket = self.socket();
        let waits = matches!(socket.state(), State::SynSent | State::SynReceived) || socket.send_queue() > 0;
        let timeout = smoltcp::time::Duration::from_micros(TIMEOUT.as_micros() as u64);
        socket.set_timeout(waits.then_some(timeout));
    }

    fn is_over(&self) -> bool {
        matches!(self.sockets.get::<Socket<'static>>(self.handle).state(), State::Closed)
    }
}

#[derive(Debug, Default)]
struct Listener {
    buffer: usize,
    opening: usize,
    open: VecDeque<TcpId>,
}

/// The connections of a station.
#[derive(Default)]
pub(crate) struct Connections {
    all: BTreeMap<TcpId, Box<Connection>>,
    by_ends: BTreeMap<Ends, TcpId>,
    listeners: BTreeMap<u16, Listener>,
    /// Connections that their owner let go of and that still say good-bye, not longer than until then.
    leaving: BTreeMap<TcpId, Monotonic>,
    /// Connections with something new for their owner.
    news: BTreeSet<TcpId>,
    last: u32,
    last_port: u16,
}

fn instant(now: Monotonic) -> Instant {
    Instant::from_micros(i64::try_from(now.0.as_micros()).unwrap_or(i64::MAX))
}

fn monotonic(at: Instant) -> Monotonic {
    Monotonic(Duration::from_micros(u64::try_from(at.total_micros()).unwrap_or(0)))
}

impl Station {
    /// Accepts connections at a port; each one has buffers of so many bytes.
    ///
    /// # Errors
    /// [`StationError::InUse`].
    pub fn tcp_listen(&mut self, port: u16, buffer: usize) -> Result<(), StationError> {
        if self.connections.listeners.contains_key(&port) {
            return Err(StationError::InUse);
        }
        self.connections.listeners.insert(port, Listener { buffer, ..Listener::default() });
        Ok(())
    }

    /// Accepts no further ones; those that are open stay.
    pub fn tcp_unlisten(&mut self, port: u16) {
        self.connections.listeners.remove(&port);
    }

    /// Takes the next connection that was opened to a port: with the address and port of the other side.
    pub fn tcp_accept(&mut self, port: u16) -> Option<(TcpId, (IpAddr, u16))> {
        let id = self.connections.listeners.get_mut(&port)?.open.pop_front()?;
        let ends = self.connections.all.get(&id)?.ends;
        Some((id, ends.1))
    }

    /// Opens a connection from an ephemeral port.
    ///
    /// # Errors
    /// [`StationError::Unreachable`], [`StationError::Full`].
    pub fn tcp_connect(
        &mut self,
        now: Monotonic,
        to: (IpAddr, u16),
        via: Option<InterfaceId>,
        buffer: usize,
    ) -> Result<TcpId, StationError> {
        let path = self.path(to.0, via)?;
        let port = self.free_port(path.source, to).ok_or(StationError::Full)?;
        let id = self.open(now, ((path.source, port), to), via, buffer)?;
        let connection = self.connections.all.get_mut(&id).ok_or(StationError::Full)?;
        let (interface, sockets) = (&mut connection.interface, &mut connection.sockets);
        let opened = sockets.get_mut::<Socket<'static>>(connection.handle).connect(
            interface.context(),
            IpEndpoint::new(IpAddress::from(to.0), to.1),
            IpEndpoint::new(IpAddress::from(path.source), port),
        );
        if opened.is_err() {
            self.drop_connection(id);
            return Err(StationError::Unreachable);
        }
        self.pump(now, id);
        Ok(id)
    }

    fn free_port(&mut self, own: IpAddr, to: (IpAddr, u16)) -> Option<u16> {
        if self.connections.last_port == 0 {
            self.connections.last_port = FIRST_PORT + (self.random() % 64) as u16;
        }
        for _ in 0..=u16::MAX - FIRST_PORT {
            let port = self.connections.last_port;
            self.connections.last_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.connections.by_ends.contains_key(&((own, port), to)) {
                return Some(port);
            }
        }
        None
    }

    fn open(
        &mut self,
        now: Monotonic,
        ends: Ends,
        via: Option<InterfaceId>,
        buffer: usize,
    ) -> Result<TcpId, StationError> {
        if self.connections.all.len() >= MOST || self.connections.by_ends.contains_key(&ends) {
            return Err(StationError::Full);
        }
        let mtu = self.path(ends.1.0, via).ok().and_then(|path| Some(self.interface(path.interface?)?.mtu()));
        let mut packets = Packets {
            incoming: VecDeque::new(),
            outgoing: Vec::new(),
            mtu: usize::from(mtu.unwrap_or(1_500)),
        };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = self.random();
        let mut interface = Interface::new(config, &mut packets, instant(now));
        // A prefix of no bits: to the connection everybody is a neighbour, because the station finds the way.
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(IpAddress::from(ends.0.0), 0));
        });
        let socket = Socket::new(SocketBuffer::new(vec![0; buffer]), SocketBuffer::new(vec![0; buffer]));
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        self.connections.last = self.connections.last.wrapping_add(1);
        let id = TcpId(self.connections.last);
        let connection = Connection {
            ends,
            via,
            interface,
            sockets,
            handle,
            packets,
            due: None,
            listener: None,
            told: TcpState::Opening,
        };
        self.connections.all.insert(id, Box::new(connection));
        self.connections.by_ends.insert(ends, id);
        Ok(id)
    }

    /// Sends; gives the number of bytes for which there was room.
    ///
    /// # Errors
    /// [`StationError::Unknown`] when the connection is not open.
    pub fn tcp_send(&mut self, now: Monotonic, id: TcpId, bytes: &[u8]) -> Result<usize, StationError> {
        let connection = self.connections.all.get_mut(&id).ok_or(StationError::Unknown)?;
        let sent = connection.socket().send_slice(bytes).map_err(|_| StationError::Unknown)?;
        self.pump(now, id);
        Ok(sent)
    }

    /// Moves what came in to `into`; gives its length.
    pub fn tcp_receive(&mut self, now: Monotonic, id: TcpId, into: &mut Vec<u8>) -> usize {
        let Some(connection) = self.connections.all.get_mut(&id) else { return 0 };
        let before = into.len();
        while let Ok(taken @ 1..) = connection.socket().recv(|bytes| {
            into.extend_from_slice(bytes);
            (bytes.len(), bytes.len())
        }) {
            debug_assert!(taken > 0);
        }
        if into.len() > before {
            self.pump(now, id);
        }
        into.len() - before
    }

    /// Bytes that may be sent now.
    #[must_use]
    pub fn tcp_room(&self, id: TcpId) -> usize {
        self.connections.all.get(&id).map_or(0, |connection| {
            let socket = connection.sockets.get::<Socket<'static>>(connection.handle);
            if socket.may_send() { socket.send_capacity() - socket.send_queue() } else { 0 }
        })
    }

    /// Takes the connections whose state changed, or that have received something, since the last call: for an owner with
    /// more connections than it wants to look at each time.
    pub fn tcp_news(&mut self) -> BTreeSet<TcpId> {
        std::mem::take(&mut self.connections.news)
    }

    /// How a connection is; one that does not exist is closed.
    #[must_use]
    pub fn tcp_state(&self, id: TcpId) -> TcpState {
        self.connections.all.get(&id).map_or(TcpState::Closed, |connection| connection.state())
    }

    /// Own address and port, and the other side's.
    #[must_use]
    pub fn tcp_ends(&self, id: TcpId) -> Option<((IpAddr, u16), (IpAddr, u16))> {
        self.connections.all.get(&id).map(|connection| connection.ends)
    }

    /// All connections with their states, for a listing.
    pub fn tcp_connections(&self) -> impl Iterator<Item = (TcpId, TcpState)> {
        self.connections.all.iter().map(|(id, connection)| (*id, connection.state()))
    }

    /// Says good-bye; the connection is not the owner's any more.
    pub fn tcp_close(&mut self, now: Monotonic, id: TcpId) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        connection.socket().close();
        self.connections.leaving.insert(id, now.after(TIMEOUT));
        self.pump(now, id);
    }

    /// Ends a connection with a reset.
    pub fn tcp_abort(&mut self, now: Monotonic, id: TcpId) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        connection.socket().abort();
        self.pump(now, id);
        self.drop_connection(id);
    }

    fn drop_connection(&mut self, id: TcpId) {
        let Some(connection) = self.connections.all.remove(&id) else { return };
        self.connections.by_ends.remove(&connection.ends);
        self.connections.leaving.remove(&id);
        self.connections.news.remove(&id);
        if let Some(due) = connection.due {
            self.timers.remove(&(due, Timer::Connection(id)));
        }
        if let Some(listener) = connection.listener.and_then(|port| self.connections.listeners.get_mut(&port))
        {
            listener.opening = listener.opening.saturating_sub(1);
        }
    }

    pub(crate) fn connection_due(&mut self, now: Monotonic, id: TcpId) {
        if let Some(connection) = self.connections.all.get_mut(&id) {
            connection.due = None;
            match self.connections.leaving.get(&id) {
                Some(end) if *end <= now => self.tcp_abort(now, id),
                _ => self.pump(now, id),
            }
        }
    }

    /// Lets a connection work: sends what it has to say, and notes when it wants to work again.
    fn pump(&mut self, now: Monotonic, id: TcpId) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        let at = instant(now);
        connection.set_patience();
        connection.interface.poll(at, &mut connection.packets, &mut connection.sockets);
        connection.set_patience();
        let outgoing = std::mem::take(&mut connection.packets.outgoing);
        let due = connection.interface.poll_at(at, &connection.sockets).map(monotonic);
        // Due at once means that it waits for room in a buffer or a window: what fills it comes in later.
        let due = due.map(|due| due.max(now.after(Duration::from_micros(100))));
        let leaving = self.connections.leaving.get(&id).copied();
        let due = leaving.map_or(due, |end| Some(due.map_or(end, |due| due.min(end))));
        let before = std::mem::replace(&mut connection.due, due);
        let (to, via) = (connection.ends.1.0, connection.via);
        let (over, state) = (connection.is_over(), connection.state());
        let told = std::mem::replace(&mut connection.told, state);
        let news = told != state || connection.socket().can_recv();
        let listener = connection.listener.filter(|_| state != TcpState::Opening);
        if listener.is_some() {
            connection.listener = None;
        }
        if let Some(before) = before {
            self.timers.remove(&(before, Timer::Connection(id)));
        }
        if let Some(due) = due {
            self.timers.insert((due, Timer::Connection(id)));
        }
        if let Some(listener) = listener.and_then(|port| self.connections.listeners.get_mut(&port)) {
            listener.opening = listener.opening.saturating_sub(1);
            if !over {
                listener.open.push_back(id);
            }
        }
        for bytes in outgoing {
            self.send_segment(now, to, via, &bytes);
        }
        if news {
            self.connections.news.insert(id);
        }
        let abandoned = listener.is_some() && over;
        if over && (abandoned || leaving.is_some()) {
            self.drop_connection(id);
        }
    }

    fn send_segment(&mut self, now: Monotonic, to: IpAddr, via: Option<InterfaceId>, bytes: &[u8]) {
        if let (Some(packet), Ok(path)) = (read(bytes), self.path(to, via)) {
            let _ = self.send_packet(now, path, &packet);
        }
    }

    /// A segment came in.
    pub(crate) fn receive_segment(&mut self, now: Monotonic, id: Option<InterfaceId>, packet: &Packet<'_>) {
        let (Some(from), Some(port)) = (word(packet.payload, 0), word(packet.payload, 2)) else { return };
        let ends = ((packet.destination, port), (packet.source, from));
        let connection = match self.connections.by_ends.get(&ends).copied() {
            Some(connection) => connection,
            None => match self.answer_opening(now, id, ends, packet) {
                Some(connection) => connection,
                None => return self.refuse(now, id, packet),
            },
        };
        if let Some(connection) = self.connections.all.get_mut(&connection) {
            let mut bytes = Vec::with_capacity(packet.payload.len() + 40);
            write(packet, 0, &mut bytes);
            connection.packets.incoming.push_back(bytes);
        }
        self.pump(now, connection);
    }

    /// A new connection for a segment that opens one, if somebody listens.
    fn answer_opening(
        &mut self,
        now: Monotonic,
        id: Option<InterfaceId>,
        ends: Ends,
        packet: &Packet<'_>,
    ) -> Option<TcpId> {
        let opens = packet.payload.get(13)? & 0x17 == 0x02;
        let port = ends.0.1;
        let listener = self.connections.listeners.get(&port)?;
        if !opens || listener.opening + listener.open.len() >= BACKLOG || !self.has_address(ends.0.0) {
            return None;
        }
        let buffer = listener.buffer;
        let via = id.filter(|_| crate::is_link_local(packet.source));
        let connection = self.open(now, ends, via, buffer).ok()?;
        let opened = self.connections.all.get_mut(&connection)?;
        opened.listener = Some(port);
        let listening = opened.socket().listen(IpEndpoint::new(IpAddress::from(ends.0.0), port));
        self.connections.listeners.get_mut(&port)?.opening += 1;
        if listening.is_err() {
            self.drop_connection(connection);
            return None;
        }
        Some(connection)
    }

    fn refuse(&mut self, now: Monotonic, id: Option<InterfaceId>, packet: &Packet<'_>) {
        if !self.has_address(packet.destination) {
            return;
        }
        let Some(reset) = reset_of(packet) else { return };
        let Ok(mut path) = self.path(packet.source, id.filter(|_| crate::is_link_local(packet.source)))
        else {
            return;
        };
        path.source = packet.destination;
        let _ = self.send_along(now, path, packet.source, (TCP, crate::output::HOPS), &reset);
    }
}
