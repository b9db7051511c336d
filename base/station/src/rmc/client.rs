//! The partition's side.
//!
//! ```text
//!   waiting --time--> connecting --open--> talking (steps) --last acknowledged--> established
//!      ^                  | refused, no answer     | ended                              | silent, ended, displaced
//!      +------------------+------------------------+------------------------------------+
//! ```
//!
//! A session counts from the first heartbeat on: a way that lets only the connection through carries none.

use std::net::IpAddr;
use std::time::Duration;

use varan_environment::Monotonic;

use super::{BUFFER, INTERVAL, Identity, Kind, MISSES, Message, PAUSE, PORT, Reason};
use crate::{Station, TcpId, TcpState};

/// How the session with a console is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleSession {
    /// Console.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its RSCT node id, once it has said it.
    pub node_id: Option<u64>,
    /// Since when it is established; else why it is not.
    pub state: Result<Monotonic, Reason>,
}

#[derive(Debug)]
enum State {
    Waiting(Monotonic),
    Talking { connection: TcpId, step: Option<usize>, until: Monotonic },
    Established { connection: TcpId, session: u64, since: Option<Monotonic>, heard: Monotonic },
}

#[derive(Debug)]
struct Console {
    name: String,
    address: IpAddr,
    state: State,
    reason: Reason,
    pause: Duration,
    first_pause: Duration,
    bytes: Vec<u8>,
    node_id: Option<u64>,
}

/// The partition's side of all sessions.
#[derive(Debug)]
pub struct Client {
    identity: Identity,
    running: bool,
    consoles: Vec<Console>,
    /// Pause after a first attempt that failed.
    pause: Duration,
}

/// A console that says nothing for so long is lost.
fn patience() -> Duration {
    INTERVAL * (MISSES + 1)
}

impl Client {
    /// A client that does not run and knows no console.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, running: false, consoles: Vec::new(), pause: PAUSE }
    }

    /// Time from the end of a first attempt to the next one instead of [`PAUSE`]; further attempts take up to four times as
    /// long. It is no time by which a failure is noticed, so a site may divide it.
    pub fn set_pause(&mut self, pause: Duration) {
        self.pause = pause;
        self.consoles.iter_mut().for_each(|console| (console.pause, console.first_pause) = (pause, pause));
    }

    /// Who it says it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// It is somebody else from now on (`recfgct`): all sessions end and begin anew.
    pub fn set_identity(&mut self, now: Monotonic, station: &mut Station, identity: Identity) {
        self.identity = identity;
        let running = self.running;
        self.set_running(now, station, false);
        self.set_running(now, station, running);
    }

    /// The consoles that there are. Sessions with others end; those with new ones begin.
    pub fn set_consoles(&mut self, now: Monotonic, station: &mut Station, consoles: &[(String, IpAddr)]) {
        let same = |console: &Console, (name, address): &(String, IpAddr)| {
            console.name == *name && console.address == *address
        };
        for console in &mut self.consoles {
            if !consoles.iter().any(|wanted| same(console, wanted)) {
                console.hang_up(now, station);
            }
        }
        self.consoles.retain(|console| consoles.iter().any(|wanted| same(console, wanted)));
        for wanted in consoles {
            if !self.consoles.iter().any(|console| same(console, wanted)) {
                self.consoles.push(Console {
                    name: wanted.0.clone(),
                    address: wanted.1,
                    state: State::Waiting(now),
                    reason: Reason::Trying,
                    pause: self.pause,
                    first_pause: self.pause,
                    bytes: Vec::new(),
                    node_id: None,
                });
            }
        }
    }

    /// Starts or stops the daemons.
    pub fn set_running(&mut self, now: Monotonic, station: &mut Station, running: bool) {
        if self.running == running {
            return;
        }
        self.running = running;
        if running {
            let _ = station.udp_open(PORT);
        } else {
            station.udp_close(PORT);
        }
        for console in &mut self.consoles {
            console.hang_up(now, station);
            console.state = State::Waiting(now);
            console.pause = console.first_pause;
            console.reason = if running { Reason::Trying } else { Reason::Stopped };
        }
    }

    /// Whether the daemons run.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// The network changed: what waits tries again at once.
    pub fn try_now(&mut self, now: Monotonic) {
        for console in &mut self.consoles {
            if let State::Waiting(until) = &mut console.state {
                *until = (*until).min(now);
            }
        }
    }

    /// Does what is due. To be called after [`Station::poll`], [`Station::receive`] and when due; the station is to be polled
    /// afterwards. True when a session came or went.
    pub fn poll(&mut self, now: Monotonic, station: &mut Station) -> bool {
        if !self.running {
            return false;
        }
        let before = self.established();
        while let Some(datagram) = station.udp_receive(PORT) {
            if let Ok(Some((message, _))) = Message::read(&datagram.bytes)
                && let Some(console) =
                    self.consoles.iter_mut().find(|console| console.address == datagram.source.0)
            {
                console.datagram(now, station, &self.identity, (&message, datagram.source));
            }
        }
        for console in &mut self.consoles {
            console.work(now, station, &self.identity);
        }
        before != self.established()
    }

    /// When [`Client::poll`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Monotonic> {
        if !self.running {
            return None;
        }
        self.consoles
            .iter()
            .map(|console| match &console.state {
                State::Waiting(until) | State::Talking { until, .. } => *until,
                State::Established { heard, .. } => heard.after(patience()),
            })
            .min()
    }

    /// Names of the consoles with a session, in the order in which the consoles were stated.
    #[must_use]
    pub fn established(&self) -> Vec<String> {
        let is = |console: &&Console| matches!(console.state, State::Established { since: Some(_), .. });
        self.consoles.iter().filter(is).map(|console| console.name.clone()).collect()
    }

    /// All consoles with their sessions.
    #[must_use]
    pub fn sessions(&self) -> Vec<ConsoleSession> {
        let session = |console: &Console| ConsoleSession {
            name: console.name.clone(),
            address: console.address,
            node_id: console.node_id,
            state: match console.state {
                State::Established { since: Some(since), .. } => Ok(since),
                _ => Err(console.reason),
            },
        };
        self.consoles.iter().map(session).collect()
    }
}

impl Console {
    fn hang_up(&mut self, now: Monotonic, station: &mut Station) {
        if let State::Talking { connection, .. } | State::Established { connection, .. } = self.state {
            station.tcp_abort(now, connection);
        }
        self.state = State::Waiting(now);
        self.bytes.clear();
    }

    fn give_up(&mut self, now: Monotonic, station: &mut Station, reason: Reason) {
        self.hang_up(now, station);
        self.reason = reason;
        self.state = State::Waiting(now.after(self.pause));
        self.pause = (self.pause * 2).min(self.first_pause * 4);
    }

    fn work(&mut self, now: Monotonic, station: &mut Station, identity: &Identity) {
        match self.state {
            State::Waiting(until) if until <= now => {
                match station.tcp_connect(now, (self.address, PORT), None, BUFFER) {
                    Ok(connection) => {
                        self.state = State::Talking { connection, step: None, until: now.after(patience()) };
                    }
                    Err(_) => self.give_up(now, station, Reason::NoAddress),
                }
            }
            State::Waiting(_) => {}
            State::Talking { connection, step, until } => {
                match station.tcp_state(connection) {
                    TcpState::Opening if until > now => return,
                    TcpState::Open if until > now => {}
                    TcpState::Opening | TcpState::Open => {
                        return self.give_up(now, station, Reason::NoAnswer);
                    }
                    TcpState::HalfClosed | TcpState::Closed => {
                        let reason = if step.is_none() { Reason::NoAnswer } else { Reason::Ended };
                        return self.give_up(now, station, reason);
                    }
                }
                if step.is_none() {
                    self.say(now, station, identity, connection, 0);
                } else {
                    self.listen(now, station, identity);
                }
            }
            State::Established { connection, heard, .. } => {
                let mut rest = Vec::new();
                station.tcp_receive(now, connection, &mut rest);
                if station.tcp_state(connection) != TcpState::Open {
                    self.give_up(now, station, Reason::Ended);
                } else if now.since(heard) >= patience() {
                    self.give_up(now, station, Reason::Silent);
                }
            }
        }
    }

    /// Says a step.
    fn say(
        &mut self,
        now: Monotonic,
        station: &mut Station,
        identity: &Identity,
        connection: TcpId,
        step: usize,
    ) {
        let Some(kind) = Kind::STEPS.get(step).copied() else { return };
        let message = Message { kind, session: 0, sequence: step as u32, sender: identity.clone() };
        let until = now.after(patience());
        self.state = State::Talking { connection, step: Some(step), until };
        if station.tcp_send(now, connection, &message.write()) != Ok(kind.length()) {
            self.give_up(now, station, Reason::NoAnswer);
        }
    }

    /// Takes what the console says to the steps.
    fn listen(&mut self, now: Monotonic, station: &mut Station, identity: &Identity) {
        let State::Talking { connection, step: Some(step), .. } = self.state else { return };
        station.tcp_receive(now, connection, &mut self.bytes);
        match Message::read(&self.bytes) {
            Ok(None) if self.bytes.len() <= BUFFER => {}
            Ok(Some((message, length)))
                if message.kind == Kind::Acknowledge && message.sequence as usize == step =>
            {
                self.bytes.drain(..length);
                self.node_id = Some(message.sender.node_id);
                if step + 1 < Kind::STEPS.len() {
                    self.say(now, station, identity, connection, step + 1);
                } else {
                    self.bytes = Vec::new();
                    self.state =
                        State::Established { connection, session: message.session, since: None, heard: now };
                }
            }
            _ => self.give_up(now, station, Reason::Ended),
        }
    }

    fn datagram(
        &mut self,
        now: Monotonic,
        station: &mut Station,
        identity: &Identity,
        (message, from): (&Message, (IpAddr, u16)),
    ) {
        let State::Established { session, ref mut since, ref mut heard, .. } = self.state else { return };
        if message.session != session {
            return;
        }
        match message.kind {
            Kind::Heartbeat => {
                *heard = now;
                since.get_or_insert(now);
                self.pause = self.first_pause;
                let answer = Message {
                    kind: Kind::Heartbeat,
                    session,
                    sequence: message.sequence,
                    sender: identity.clone(),
                };
                let _ = station.udp_send(now, PORT, from, None, &answer.write());
            }
            Kind::Displaced => self.give_up(now, station, Reason::SameNodeId),
            Kind::End => self.give_up(now, station, Reason::Ended),
            _ => {}
        }
    }
}
