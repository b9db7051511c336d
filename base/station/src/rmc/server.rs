//! The console's side. Work follows what came in and what is due, not the number of sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use varan_environment::Monotonic;

use super::{BUFFER, INTERVAL, Identity, Kind, MISSES, Message, PORT, Reason};
use crate::{Station, TcpId, TcpState};

/// A partition's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSession {
    /// Who it is.
    pub partition: Identity,
    /// Its address.
    pub address: IpAddr,
    /// Since when.
    pub since: Monotonic,
}

/// What happened to sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// One came.
    Established(PartitionSession),
    /// One went.
    Lost(PartitionSession, Reason),
}

#[derive(Debug)]
struct Opening {
    partition: Identity,
    address: (IpAddr, u16),
    step: usize,
    bytes: Vec<u8>,
    until: Monotonic,
}

#[derive(Debug)]
struct Open {
    session: PartitionSession,
    connection: TcpId,
    number: u64,
    heard: Monotonic,
    sequence: u32,
    due: Monotonic,
    /// It has answered a heartbeat.
    confirmed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    Opening(TcpId),
    Heartbeat(u64),
}

/// The console's side of all sessions.
#[derive(Debug)]
pub struct Server {
    identity: Identity,
    running: bool,
    opening: BTreeMap<TcpId, Opening>,
    /// By node id.
    open: BTreeMap<u64, Open>,
    by_connection: BTreeMap<TcpId, u64>,
    waits: BTreeSet<(Monotonic, Wait)>,
    events: Vec<ServerEvent>,
    last: u64,
}

impl Server {
    /// A server that does not run.
    #[must_use]
    pub fn new(name: &str, node_id: u64) -> Self {
        Self {
            identity: Identity { node_id, name: name.to_owned(), ..Identity::default() },
            running: false,
            opening: BTreeMap::new(),
            open: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            waits: BTreeSet::new(),
            events: Vec::new(),
            last: 0,
        }
    }

    /// Starts or stops it; when it stops, all sessions end without a word, as when the console loses its power.
    pub fn set_running(&mut self, now: Monotonic, station: &mut Station, running: bool) {
        if self.running == running {
            return;
        }
        self.running = running;
        if running {
            let _ = station.udp_open(PORT);
            let _ = station.tcp_listen(PORT, BUFFER);
            return;
        }
        station.udp_close(PORT);
        station.tcp_unlisten(PORT);
        for connection in std::mem::take(&mut self.opening).into_keys() {
            station.tcp_abort(now, connection);
        }
        for node in self.open.keys().copied().collect::<Vec<_>>() {
            self.end(now, station, node, Reason::Stopped);
        }
        self.waits.clear();
    }

    /// The partitions with a session, by node id.
    pub fn sessions(&self) -> impl Iterator<Item = &PartitionSession> {
        self.open.values().filter(|open| open.confirmed).map(|open| &open.session)
    }

    /// Takes what happened since the last call.
    pub fn take_events(&mut self) -> Vec<ServerEvent> {
        std::mem::take(&mut self.events)
    }

    /// When [`Server::poll`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        self.waits.first().map(|(due, _)| *due)
    }

    /// Does what is due. To be called after [`Station::poll`], [`Station::receive`] and when due; the station is to be polled
    /// afterwards. It takes the news of all connections of the station ([`Station::tcp_news`]): what else the station has
    /// connections for must not rely on them.
    pub fn poll(&mut self, now: Monotonic, station: &mut Station) {
        if !self.running {
            return;
        }
        while let Some((connection, address)) = station.tcp_accept(PORT) {
            let until = now.after(INTERVAL * MISSES);
            let opening =
                Opening { partition: Identity::default(), address, step: 0, bytes: Vec::new(), until };
            self.opening.insert(connection, opening);
            self.waits.insert((until, Wait::Opening(connection)));
        }
        for connection in station.tcp_news() {
            if self.opening.contains_key(&connection) {
                self.listen(now, station, connection);
            } else if let Some(node) = self.by_connection.get(&connection).copied() {
                let mut rest = Vec::new();
                station.tcp_receive(now, connection, &mut rest);
                if station.tcp_state(connection) != TcpState::Open {
                    self.end(now, station, node, Reason::Ended);
                }
            }
        }
        while let Some(datagram) = station.udp_receive(PORT) {
            if let Ok(Some((message, _))) = Message::read(&datagram.bytes)
                && message.kind == Kind::Heartbeat
                && let Some(open) = self.open.get_mut(&message.sender.node_id)
                && open.number == message.session
            {
                open.heard = now;
                if !open.confirmed {
                    open.confirmed = true;
                    open.session.since = now;
                    self.events.push(ServerEvent::Established(open.session.clone()));
                }
            }
        }
        while let Some((due, wait)) = self.waits.first().copied().filter(|(due, _)| *due <= now) {
            self.waits.remove(&(due, wait));
            match wait {
                Wait::Opening(connection) => self.refuse(now, station, connection),
                Wait::Heartbeat(node) => self.beat(now, station, node),
            }
        }
    }

    fn refuse(&mut self, now: Monotonic, station: &mut Station, connection: TcpId) {
        if let Some(opening) = self.opening.remove(&connection) {
            self.waits.remove(&(opening.until, Wait::Opening(connection)));
            station.tcp_abort(now, connection);
        }
    }

    /// Takes the steps of a partition.
    fn listen(&mut self, now: Monotonic, station: &mut Station, connection: TcpId) {
        let Some(opening) = self.opening.get_mut(&connection) else { return };
        station.tcp_receive(now, connection, &mut opening.bytes);
        loop {
            let Some(opening) = self.opening.get_mut(&connection) else { return };
            let (message, length) = match Message::read(&opening.bytes) {
                Ok(None) if station.tcp_state(connection) == TcpState::Open => return,
                Ok(Some(read)) => read,
                _ => return self.refuse(now, station, connection),
            };
            if Kind::STEPS.get(opening.step) != Some(&message.kind) || message.sender.node_id == 0 {
                return self.refuse(now, station, connection);
            }
            opening.bytes.drain(..length);
            if !message.sender.name.is_empty() {
                opening.partition = message.sender;
            }
            let step = opening.step;
            opening.step += 1;
            let last = opening.step == Kind::STEPS.len();
            let session = if last {
                self.last += 1;
                self.last
            } else {
                0
            };
            let answer = Message {
                kind: Kind::Acknowledge,
                session,
                sequence: step as u32,
                sender: self.identity.clone(),
            };
            if station.tcp_send(now, connection, &answer.write()) != Ok(Kind::Acknowledge.length()) {
                return self.refuse(now, station, connection);
            }
            if last {
                return self.establish(now, station, connection, session);
            }
        }
    }

    fn establish(&mut self, now: Monotonic, station: &mut Station, connection: TcpId, number: u64) {
        let Some(opening) = self.opening.remove(&connection) else { return };
        self.waits.remove(&(opening.until, Wait::Opening(connection)));
        let node = opening.partition.node_id;
        let reason = match self.open.get(&node) {
            // The same partition again: it was started anew, or moved.
            Some(open) if open.session.partition.name == opening.partition.name => Reason::Ended,
            _ => Reason::SameNodeId,
        };
        self.end(now, station, node, reason);
        let session =
            PartitionSession { partition: opening.partition, address: opening.address.0, since: now };
        // The first heartbeat follows soon, so that a way that only lets the connection through is found out.
        let due = now.after(INTERVAL / 10);
        let open = Open { session, connection, number, heard: now, sequence: 0, due, confirmed: false };
        self.open.insert(node, open);
        self.by_connection.insert(connection, node);
        self.waits.insert((due, Wait::Heartbeat(node)));
    }

    fn beat(&mut self, now: Monotonic, station: &mut Station, node: u64) {
        let Some(open) = self.open.get_mut(&node) else { return };
        if now.since(open.heard) >= INTERVAL * MISSES {
            return self.end(now, station, node, Reason::Silent);
        }
        open.sequence = open.sequence.wrapping_add(1);
        open.due = now.after(INTERVAL);
        self.waits.insert((open.due, Wait::Heartbeat(node)));
        let (address, session, sequence) = (open.session.address, open.number, open.sequence);
        let message = Message { kind: Kind::Heartbeat, session, sequence, sender: self.identity.clone() };
        let _ = station.udp_send(now, PORT, (address, PORT), None, &message.write());
    }

    fn end(&mut self, now: Monotonic, station: &mut Station, node: u64, reason: Reason) {
        let Some(open) = self.open.remove(&node) else { return };
        self.by_connection.remove(&open.connection);
        self.waits.remove(&(open.due, Wait::Heartbeat(node)));
        let kind = if reason == Reason::SameNodeId { Kind::Displaced } else { Kind::End };
        if reason != Reason::Stopped {
            let sender = self.identity.clone();
            let message = Message { kind, session: open.number, sequence: open.sequence, sender };
            let _ = station.udp_send(now, PORT, (open.session.address, PORT), None, &message.write());
        }
        station.tcp_abort(now, open.connection);
        if open.confirmed {
            self.events.push(ServerEvent::Lost(open.session, reason));
        }
    }
}
