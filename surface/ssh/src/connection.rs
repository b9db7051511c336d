//! The SSH library's callbacks for one connection.
//!
//! ```text
//!   connected ---- password, keyboard-interactive or key accepted ----> logged in
//!       |                                                                  | channels open, run
//!       | attempts or time used up                                         | and close
//!       v                                                                  v
//!     ended <------------------------- connection lost or closed ------- ended
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::keys::ssh_key::{Algorithm, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty, Sig};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admission::LoginPermit;
use crate::cancellation::{CancellationCause, Signal};
use crate::channel::{Channel, Owner, Work};
use crate::home::HomeRegistry;
use crate::host::{AuthenticationOutcome, OfferedKey, ServerEvent, SshHost};
use crate::limits::{self, Limits};
use crate::output::Output;
use crate::scp;
use crate::session::{SessionKind, command_line};
use crate::terminal::TerminalSize;
use crate::transport::TransportControl;

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) host: Arc<dyn SshHost>,
    pub(crate) homes: Arc<HomeRegistry>,
    pub(crate) sessions: Arc<Semaphore>,
    pub(crate) limits: Limits,
}

type ChannelTable = Arc<Mutex<HashMap<ChannelId, Arc<Channel>>>>;
type Outcome<T> = Result<T, russh::Error>;

/// The methods that a client may use, always all: a client may try another after a failure.
pub(crate) fn methods() -> MethodSet {
    MethodSet::from(&[MethodKind::PublicKey, MethodKind::KeyboardInteractive, MethodKind::Password][..])
}

/// One connection.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    peer: SocketAddr,
    control: Arc<TransportControl>,
    login: Option<LoginPermit>,
    /// The last name that was accepted; the user once the login permit is given back.
    user: String,
    /// The keyboard-interactive client has been shown why it is locked out.
    lock_shown: bool,
    channels: ChannelTable,
    channels_opened: usize,
}

impl Connection {
    pub(crate) fn new(
        shared: Arc<Shared>,
        peer: SocketAddr,
        control: Arc<TransportControl>,
        login: LoginPermit,
    ) -> Self {
        Self {
            shared,
            peer,
            control,
            login: Some(login),
            user: String::new(),
            lock_shown: false,
            channels: ChannelTable::default(),
            channels_opened: 0,
        }
    }

    /// Asks the host on the blocking pool. Without an answer (a panic) the attempt is rejected.
    async fn ask(
        &mut self,
        user: &str,
        method: &'static str,
        question: impl FnOnce(&dyn SshHost, &str, SocketAddr) -> AuthenticationOutcome + Send + 'static,
    ) -> AuthenticationOutcome {
        let host = Arc::clone(&self.shared.host);
        let (name, peer) = (user.to_owned(), self.peer);
        let answer = tokio::task::spawn_blocking(move || question(&*host, &name, peer)).await;
        let outcome = answer.unwrap_or(AuthenticationOutcome::Rejected);
        if outcome == AuthenticationOutcome::Accepted {
            user.clone_into(&mut self.user);
        } else if !method.is_empty() {
            let event = ServerEvent::LoginRejected { user: user.to_owned(), peer, method };
            self.shared.host.report(&event);
        }
        outcome
    }

    async fn ask_password(
        &mut self,
        user: &str,
        password: &str,
        method: &'static str,
    ) -> AuthenticationOutcome {
        if user.len() > limits::USER_NAME_LENGTH || password.len() > limits::PASSWORD_LENGTH {
            return AuthenticationOutcome::Rejected;
        }
        let password = password.to_owned();
        self.ask(user, method, move |host, user, peer| host.check_password(user, &password, peer)).await
    }

    async fn ask_key(&mut self, user: &str, key: &PublicKey, proven: bool) -> Auth {
        let Some(key) = OfferedKey::new(key, proven).filter(|_| user.len() <= limits::USER_NAME_LENGTH)
        else {
            return reject();
        };
        // A client tries all its keys: a refused offer is no failed login.
        let method = if proven { "publickey" } else { "" };
        let question = move |host: &dyn SshHost, user: &str, peer| host.check_public_key(user, &key, peer);
        answer(self.ask(user, method, question).await)
    }

    fn channel(&self, id: ChannelId) -> Option<Arc<Channel>> {
        lock(&self.channels).get(&id).cloned()
    }

    /// Answers a channel request.
    fn reply(session: &mut Session, id: ChannelId, accepted: bool) -> Outcome<()> {
        if accepted { session.channel_success(id) } else { session.channel_failure(id) }
    }

    fn start(&self, id: ChannelId, work: Work, session: &mut Session) -> Outcome<()> {
        let Some(channel) = self.channel(id).filter(|channel| !channel.is_started()) else {
            return session.channel_failure(id);
        };
        let Ok(permit) = Arc::clone(&self.shared.sessions).try_acquire_owned() else {
            let event = ServerEvent::SessionRefused { user: self.user.clone(), peer: self.peer };
            self.shared.host.report(&event);
            return session.channel_failure(id);
        };
        let owner = Owner {
            host: Arc::clone(&self.shared.host),
            homes: Arc::clone(&self.shared.homes),
            user: self.user.clone(),
            peer: self.peer,
        };
        let place = SessionPlace { channels: Arc::clone(&self.channels), id, _permit: permit };
        let started = channel.start(owner, work, place);
        Self::reply(session, id, started)
    }
}

/// A session's place among the connection's channels and the server's sessions.
struct SessionPlace {
    channels: ChannelTable,
    id: ChannelId,
    _permit: OwnedSemaphorePermit,
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        lock(&self.channels).remove(&self.id);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let channels: Vec<_> = lock(&self.channels).drain().map(|(_, channel)| channel).collect();
        for channel in channels {
            channel.close(CancellationCause::ConnectionLost);
        }
        if self.login.is_none() {
            let event = ServerEvent::LoggedOut { user: self.user.clone(), peer: self.peer };
            self.shared.host.report(&event);
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Outcome<Option<String>> {
        let host = Arc::clone(&self.shared.host);
        Ok(tokio::task::spawn_blocking(move || host.banner_before_login()).await.unwrap_or_default())
    }

    async fn auth_none(&mut self, _user: &str) -> Outcome<Auth> {
        Ok(reject())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Outcome<Auth> {
        Ok(answer(self.ask_password(user, password, "password").await))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Outcome<Auth> {
        let Some(mut answers) = response else {
            self.lock_shown = false;
            return Ok(Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Borrowed(&[(Cow::Borrowed("Password: "), false)]),
            });
        };
        let first = answers.next();
        let password = first.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(password) = password.filter(|_| !self.lock_shown && answers.next().is_none()) else {
            return Ok(reject());
        };
        match self.ask_password(user, password, "keyboard-interactive").await {
            AuthenticationOutcome::Locked { message } => {
                self.lock_shown = true;
                Ok(Auth::Partial {
                    name: Cow::Borrowed(""),
                    instructions: Cow::Owned(message),
                    prompts: Cow::Borrowed(&[]),
                })
            }
            outcome => Ok(answer(outcome)),
        }
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Outcome<Auth> {
        if !is_strong(offer.algorithm) {
            return Ok(reject());
        }
        Ok(self.ask_key(user, offer.public_key, false).await)
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Outcome<Auth> {
        if !is_strong(key.algorithm) {
            return Ok(reject());
        }
        Ok(self.ask_key(user, key.public_key, true).await)
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Outcome<()> {
        self.login = None;
        self.control.set_authenticated();
        let event = ServerEvent::LoggedIn { user: self.user.clone(), peer: self.peer };
        self.shared.host.report(&event);
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: russh::Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Outcome<()> {
        let open = lock(&self.channels).len();
        if open >= self.shared.limits.channels_per_connection
            || self.channels_opened >= limits::CHANNELS_IN_CONNECTION_LIFE
        {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.channels_opened += 1;
        let id = channel.id();
        // Input is taken in `data`: the library's own queue would stop the whole connection when
        // one session does not read, so its receiving half is dropped.
        let (_, half) = channel.split();
        let channel = Channel::open(|closed| Output::new(half, Handle::current(), closed));
        lock(&self.channels).insert(id, channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _session: &mut Session) -> Outcome<()> {
        let Some(channel) = self.channel(id) else { return Ok(()) };
        channel.close(CancellationCause::ChannelClosed);
        // A running session keeps its place until its thread ends.
        if !channel.is_started() {
            lock(&self.channels).remove(&id);
        }
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _session: &mut Session) -> Outcome<()> {
        if let Some(channel) = self.channel(id) {
            channel.input().finish();
        }
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _session: &mut Session) -> Outcome<()> {
        if let Some(channel) = self.channel(id) {
            channel.receive(data);
            if data.len() <= limits::TRICKLE_WINDOW as usize && channel.input().is_clogged() {
                self.control.pause_reading();
            }
        }
        Ok(())
    }

    /// The library has just reopened the channel's window and asks how far to open the next one:
    /// the one chance to hold a client back whose input is not read.
    fn adjust_window(&mut self, id: ChannelId, _current: u32) -> u32 {
        let clogged = self.channel(id).is_some_and(|channel| channel.input().is_clogged());
        if clogged { limits::TRICKLE_WINDOW } else { limits::WINDOW }
    }

    #[allow(clippy::too_many_arguments, reason = "the library's signature")]
    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Outcome<()> {
        let raw = modes.iter().any(|(mode, value)| matches!(mode, Pty::OPOST | Pty::ONLCR) && *value == 0);
        let size = TerminalSize { columns, rows };
        let accepted = self.channel(id).is_some_and(|channel| channel.set_terminal(term, size, !raw));
        Self::reply(session, id, accepted)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Outcome<()> {
        session.channel_failure(id)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Outcome<()> {
        let accepted = self.channel(id).is_some_and(|channel| channel.set_environment(name, value));
        Self::reply(session, id, accepted)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Outcome<()> {
        self.start(id, Work::Host(SessionKind::Shell), session)
    }

    async fn exec_request(&mut self, id: ChannelId, line: &[u8], session: &mut Session) -> Outcome<()> {
        let work = match command_line(line) {
            // A refused request would close the channel without a word: the host answers instead.
            Err(problem) => Work::Host(SessionKind::Unusable(problem)),
            Ok(line) => match scp::parse_command(line) {
                Some(command) => Work::Scp(command),
                None => Work::Host(SessionKind::Exec(line.to_owned())),
            },
        };
        self.start(id, work, session)
    }

    async fn subsystem_request(&mut self, id: ChannelId, name: &str, session: &mut Session) -> Outcome<()> {
        if name == "sftp" { self.start(id, Work::Sftp, session) } else { session.channel_failure(id) }
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        session: &mut Session,
    ) -> Outcome<()> {
        let resized = self.channel(id).is_some_and(|channel| channel.resize(TerminalSize { columns, rows }));
        Self::reply(session, id, resized)
    }

    async fn signal(&mut self, id: ChannelId, signal: Sig, _session: &mut Session) -> Outcome<()> {
        let signal = match signal {
            Sig::HUP => Signal::Hangup,
            Sig::INT => Signal::Interrupt,
            Sig::QUIT => Signal::Quit,
            Sig::TERM => Signal::Terminate,
            Sig::KILL => Signal::Kill,
            _ => return Ok(()),
        };
        if let Some(channel) = self.channel(id) {
            channel.signal(signal);
        }
        Ok(())
    }
}

/// Signatures over SHA-1 (`ssh-rsa`) can be forged; RSA keys sign with SHA-2 (RFC 8332).
pub(crate) fn is_strong(algorithm: &Algorithm) -> bool {
    !matches!(algorithm, Algorithm::Rsa { hash: None })
}

fn answer(outcome: AuthenticationOutcome) -> Auth {
    match outcome {
        AuthenticationOutcome::Accepted => Auth::Accept,
        AuthenticationOutcome::Rejected | AuthenticationOutcome::Locked { .. } => reject(),
    }
}

/// A rejection that leaves all methods open; the library would take the tried one away.
fn reject() -> Auth {
    Auth::Reject { proceed_with_methods: Some(methods()), partial_success: false }
}

fn lock(channels: &ChannelTable) -> MutexGuard<'_, HashMap<ChannelId, Arc<Channel>>> {
    channels.lock().unwrap_or_else(PoisonError::into_inner)
}
