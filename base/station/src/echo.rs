//! Asking other stations for an answer (`ping`), and what came of it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use varan_environment::Monotonic;

use crate::output::HOPS;
use crate::packet::{ICMP, ICMPV6, IPV4_HEADER, IPV6_HEADER, Packet, control_message, word};
use crate::station::Timer;
use crate::{InterfaceId, Station, StationError};

/// Events that wait for the owner; further ones are not kept (the statistics count them).
const EVENTS: usize = 1_024;
/// Questions whose answers are waited for.
const OUTSTANDING: usize = 32_768;
/// An answer may take so long before its question counts as lost.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// An answer that comes later does not end an outage.
const PATIENCE: Duration = Duration::from_secs(10);

/// A row of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EchoId(pub u16);

/// What is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EchoRequest {
    /// Whom.
    pub to: IpAddr,
    /// By which interface, for addresses that several could reach.
    pub via: Option<InterfaceId>,
    /// How often; `None` until it is stopped.
    pub count: Option<u64>,
    /// Time between questions.
    pub interval: Duration,
    /// Bytes of data in each one.
    pub size: u16,
    /// Hops; `None` for the usual number.
    pub ttl: Option<u8>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoEvent {
    /// An answer.
    Answer {
        /// Number of the question, from 0 on.
        sequence: u64,
        /// Who answered.
        from: IpAddr,
        /// Hops that it could still have taken.
        ttl: u8,
        /// Time between question and answer.
        time: Duration,
        /// Bytes of the message with its header.
        bytes: usize,
        /// There was one before.
        duplicate: bool,
    },
    /// Somebody says that the question did not get there.
    Unreachable {
        /// Number of the question.
        sequence: u64,
        /// Who says so; an address of this station when nobody answers for the next hop.
        from: IpAddr,
        /// Type and code of the message.
        kind: (u8, u8),
    },
    /// The question could not be sent.
    NotSent {
        /// Its number.
        sequence: u64,
        /// Why.
        error: StationError,
    },
}

/// Sums over a row of questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EchoStatistics {
    /// Questions.
    pub sent: u64,
    /// Of them answered.
    pub answered: u64,
    /// Further answers to the same question.
    pub duplicates: u64,
    /// Shortest time.
    pub minimum: Duration,
    /// Longest time.
    pub maximum: Duration,
    /// Sum of all times.
    pub total: Duration,
    /// Questions in a row without an answer, at most.
    pub longest_loss: u64,
    /// Questions asked within the last second, after the last answer: their answers may still come.
    pub under_way: u64,
    /// Longest time from the first question without an answer to the next one with an answer.
    pub longest_outage: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    sent: Monotonic,
    answered: bool,
}

/// A row of questions that goes on.
#[derive(Debug)]
pub(crate) struct Echo {
    request: EchoRequest,
    next: u64,
    due: Option<Monotonic>,
    /// Questions from `first` on.
    first: u64,
    questions: VecDeque<Question>,
    lost: Option<(Monotonic, u64)>,
    statistics: EchoStatistics,
    events: VecDeque<EchoEvent>,
}

impl Echo {
    fn note(&mut self, event: EchoEvent) {
        if self.events.len() < EVENTS {
            self.events.push_back(event);
        }
    }

    /// The whole number of a question, from the 16 bits that an answer has.
    fn whole(&self, sequence: u16) -> Option<u64> {
        let behind = u64::from((self.next as u16).wrapping_sub(1).wrapping_sub(sequence));
        self.next.checked_sub(1)?.checked_sub(behind).filter(|whole| *whole >= self.first)
    }

    /// Looks at the questions in order, as far as their fate is known.
    fn settle(&mut self, now: Monotonic) {
        while let Some(question) = self.questions.front() {
            if !question.answered && now.since(question.sent) < PATIENCE && self.questions.len() < OUTSTANDING
            {
                return;
            }
            if question.answered {
                self.end_outage(question.sent);
            } else {
                let (since, number) = self.lost.unwrap_or((question.sent, 0));
                self.lost = Some((since, number + 1));
            }
            self.questions.pop_front();
            self.first += 1;
        }
    }

    fn end_outage(&mut self, at: Monotonic) {
        if let Some((since, number)) = self.lost.take() {
            let statistics = &mut self.statistics;
            statistics.longest_loss = statistics.longest_loss.max(number);
            statistics.longest_outage = statistics.longest_outage.max(at.since(since));
        }
    }

    /// Sums as if nothing came any more.
    fn sums(&self, now: Monotonic) -> EchoStatistics {
        let mut statistics = self.statistics;
        let mut lost = self.lost;
        let mut end = |lost: &mut Option<(Monotonic, u64)>, at: Monotonic| {
            if let Some((since, number)) = lost.take() {
                statistics.longest_loss = statistics.longest_loss.max(number);
                statistics.longest_outage = statistics.longest_outage.max(at.since(since));
            }
        };
        for question in &self.questions {
            if question.answered {
                end(&mut lost, question.sent);
            } else {
                let (since, number) = lost.unwrap_or((question.sent, 0));
                lost = Some((since, number + 1));
            }
        }
        // What was asked a moment ago is under way rather than lost.
        match lost {
            Some((since, number)) if now.since(since) < UNDER_WAY => statistics.under_way = number,
            _ => end(&mut lost, now),
        }
        statistics
    }
}

impl Station {
    /// Begins to ask.
    ///
    /// # Errors
    /// [`StationError::TooLarge`] for a size that no packet has, [`StationError::Full`] for too many rows at a time.
    pub fn echo_start(&mut self, now: Monotonic, request: EchoRequest) -> Result<EchoId, StationError> {
        if usize::from(request.size) + 8 + IPV4_HEADER.max(IPV6_HEADER) > 65_535 {
            return Err(StationError::TooLarge);
        }
        if self.echoes.len() >= 256 {
            return Err(StationError::Full);
        }
        let id = loop {
            self.last_echo = self.last_echo.wrapping_add(1);
            if !self.echoes.contains_key(&EchoId(self.last_echo)) {
                break EchoId(self.last_echo);
            }
        };
        let due = (request.count != Some(0)).then_some(now);
        let echo = Echo {
            request,
            next: 0,
            due,
            first: 0,
            questions: VecDeque::new(),
            lost: None,
            statistics: EchoStatistics::default(),
            events: VecDeque::new(),
        };
        self.echoes.insert(id, echo);
        if due.is_some() {
            self.timers.insert((now, Timer::Echo(id)));
        }
        Ok(id)
    }

    /// Takes what happened since the last call.
    pub fn echo_events(&mut self, id: EchoId) -> Vec<EchoEvent> {
        self.echoes.get_mut(&id).map(|echo| echo.events.drain(..).collect()).unwrap_or_default()
    }

    /// Sums so far.
    #[must_use]
    pub fn echo_statistics(&self, now: Monotonic, id: EchoId) -> Option<EchoStatistics> {
        self.echoes.get(&id).map(|echo| echo.sums(now))
    }

    /// Whether all questions have been asked.
    #[must_use]
    pub fn echo_is_asked(&self, id: EchoId) -> bool {
        self.echoes.get(&id).is_none_or(|echo| echo.due.is_none())
    }

    /// Ends it and gives the sums.
    pub fn echo_stop(&mut self, now: Monotonic, id: EchoId) -> Option<EchoStatistics> {
        let echo = self.echoes.remove(&id)?;
        if let Some(due) = echo.due {
            self.timers.remove(&(due, Timer::Echo(id)));
        }
        Some(echo.sums(now))
    }

    pub(crate) fn echo_due(&mut self, now: Monotonic, id: EchoId) {
        let Some(echo) = self.echoes.get_mut(&id) else { return };
        let Some(due) = echo.due else { return };
        echo.settle(now);
        let sequence = echo.next;
        echo.next += 1;
        echo.statistics.sent += 1;
        echo.questions.push_back(Question { sent: now, answered: false });
        // An owner that came late asks on from now, rather than to catch up with a burst.
        let interval = echo.request.interval.max(Duration::from_micros(10));
        let next = if now.since(due) > interval { now } else { due }.after(interval);
        echo.due = echo.request.count.is_none_or(|count| echo.next < count).then_some(next);
        let (request, again) = (echo.request.clone(), echo.due);
        if let Some(next) = again {
            self.timers.insert((next, Timer::Echo(id)));
        }
        if let Err(error) = self.ask_echo(now, id, sequence, &request)
            && let Some(echo) = self.echoes.get_mut(&id)
        {
            echo.note(EchoEvent::NotSent { sequence, error });
        }
    }

    fn ask_echo(
        &mut self,
        now: Monotonic,
        id: EchoId,
        sequence: u64,
        request: &EchoRequest,
    ) -> Result<(), StationError> {
        let path = self.path(request.to, request.via)?;
        let (protocol, kind) = if request.to.is_ipv4() { (ICMP, 8) } else { (ICMPV6, 128) };
        let mut rest = Vec::with_capacity(4 + usize::from(request.size));
        rest.extend_from_slice(&id.0.to_be_bytes());
        rest.extend_from_slice(&(sequence as u16).to_be_bytes());
        rest.extend((0..request.size).map(|at| at as u8));
        let message = control_message(path.source, request.to, kind, 0, &rest);
        self.send_along(now, path, request.to, (protocol, request.ttl.unwrap_or(HOPS)), &message)
    }

    /// An answer came in.
    pub(crate) fn receive_echo(&mut self, now: Monotonic, packet: &Packet<'_>) -> Option<()> {
        let (id, sequence) = (EchoId(word(packet.payload, 4)?), word(packet.payload, 6)?);
        let Some(echo) = self.echoes.get_mut(&id) else { return Some(()) };
        let Some(sequence) = echo.whole(sequence) else { return Some(()) };
        let at = usize::try_from(sequence - echo.first).ok()?;
        let Some(question) = echo.questions.get_mut(at) else { return Some(()) };
        let (time, duplicate) = (now.since(question.sent), question.answered);
        question.answered = true;
        let statistics = &mut echo.statistics;
        if duplicate {
            statistics.duplicates += 1;
        } else {
            statistics.minimum = if statistics.answered == 0 { time } else { statistics.minimum.min(time) };
            statistics.maximum = statistics.maximum.max(time);
            statistics.total += time;
            statistics.answered += 1;
        }
        let bytes = packet.payload.len();
        echo.note(EchoEvent::Answer {
            sequence,
            from: packet.source,
            ttl: packet.ttl,
            time,
            bytes,
            duplicate,
        });
        Some(())
    }

    /// A packet of this station did not get there: `inner` begins with it.
    pub(crate) fn trouble_with(&mut self, from: IpAddr, report: &Packet<'_>, inner: &[u8]) -> Option<()> {
        let (header, wanted) = match inner.first()? >> 4 {
            4 => (usize::from(inner.first()? & 0x0F) * 4, (*inner.get(9)?, ICMP, 8)),
            6 => (IPV6_HEADER, (*inner.get(6)?, ICMPV6, 128)),
            _ => return None,
        };
        let message = inner.get(header..)?;
        if wanted.0 != wanted.1 || *message.first()? != wanted.2 {
            return Some(());
        }
        // A station's own finding has the question itself as its report: host unreachable.
        let kind = match (report.payload.first().copied()?, report.payload.get(1).copied()?) {
            (8, _) => (3, 1),
            (128, _) => (1, 3),
            kind => kind,
        };
        let id = EchoId(word(message, 4)?);
        let number = word(message, 6)?;
        let echo = self.echoes.get_mut(&id)?;
        let sequence = echo.whole(number)?;
        echo.note(EchoEvent::Unreachable { sequence, from, kind });
        Some(())
    }
}
