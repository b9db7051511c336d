//! From a request to its answer: who asks, what for, and which objects that is.
//!
//! ```text
//! /rest/api/web/Logon                                   session
//! /rest/api/uom/{Type}[/{id}][/{Child}[/{id}]]          feed or entry
//! ....../quick/All, .../{id}/quick[/{Property}]         quick answers
//! ....../search/(expression)                            feed of what is found
//! /rest/api/uom/Event                                   events
//! /rest/api/web/schema/{Type}.xsd                       schema
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Method;
use varan_console::{Console, LoginOutcome, ResourceScope, SessionKind};
use varan_model::codes::MessageKey;

use crate::collection::Collection;
use crate::entry::{EntryHead, Fingerprint, entity_tag, entry, feed_start};
use crate::events::EventHub;
use crate::failure::{self, Failure};
use crate::limits::{EVENT_WAITERS, LOGONS_IN_PROGRESS, Limits};
use crate::logon::{self, LOGON_RESPONSE};
use crate::query::Groups;
use crate::quick;
use crate::reading::Objects;
use crate::reply::{ATOM_XML, Body, Reply};
use crate::request::Request;
use crate::resource::{Links, Object};
use crate::schema;
use crate::search::Search;
use crate::session::{NewSession, Session, Sessions, new_token};
use crate::xml::{SchemaVersion, XmlWriter};

/// Cookies that carry the token for clients that do not send the header.
const COOKIES: [&str; 2] = ["JSESSIONID", "CCFWSESSION"];

/// Whom the API speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A management console: all its systems, users log on with a password.
    Console,
    /// The management partition of one system (NovaLink): that system alone; who can read a file of this machine is
    /// trusted.
    ManagementPartition {
        /// Name of the system in the site.
        system: String,
        /// Where session files are made; only their owner can read them.
        session_files: PathBuf,
    },
}

/// A user that file authentication stands for: it has all tasks, as root on a management partition does.
const LOCAL_USER: &str = "hscroot";

/// The API of one console.
pub struct RestApi {
    pub(crate) console: Arc<Console>,
    pub(crate) mode: Mode,
    pub(crate) limits: Limits,
    pub(crate) schema: SchemaVersion,
    pub(crate) hub: Arc<EventHub>,
    /// When this API came up, in milliseconds since 1970: what it serves counts as made then.
    started: i64,
    sessions: Sessions,
    logons: AtomicUsize,
    pub(crate) event_waiters: AtomicUsize,
    transactions: AtomicUsize,
}

/// A place among a bounded number; given back when dropped.
pub(crate) struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    pub(crate) fn take(counter: &'a AtomicUsize, most: usize) -> Option<Self> {
        let taken = counter
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < most).then_some(count + 1));
        taken.ok().map(|_| Self(counter))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl RestApi {
    /// The API of a console. Subscribes to the events of its systems.
    #[must_use]
    pub fn new(console: Arc<Console>, mode: Mode, limits: Limits) -> Self {
        let hub = Arc::new(EventHub::default());
        for system in console.systems() {
            system.link.subscribe(hub.watch(system.hardware.uuid));
        }
        let schema = schema::version_of(console.release());
        let started = console.environment().wall_clock().seconds() * 1_000;
        Self {
            started,
            console,
            mode,
            limits,
            schema,
            hub,
            sessions: Sessions::new(limits.session_idle),
            logons: AtomicUsize::new(0),
            event_waiters: AtomicUsize::new(0),
            transactions: AtomicUsize::new(0),
        }
    }

    fn now(&self) -> Duration {
        self.console.environment().monotonic().0
    }

    /// Wall clock in milliseconds since 1970.
    pub(crate) fn milliseconds(&self) -> i64 {
        self.console.environment().wall_clock().seconds() * 1_000
    }

    /// The name of one more request.
    pub(crate) fn next_transaction(&self) -> String {
        format!("XT{}", self.transactions.fetch_add(1, Ordering::Relaxed) + 10_000_000)
    }

    /// The document that says what went wrong.
    pub(crate) fn failed(&self, failure: &Failure, request: &Request, transaction: &str) -> Reply {
        failure::reply(failure, request, self.schema, self.milliseconds(), transaction)
    }

    /// Answers a request. Blocks: systems are asked and, for events, waited for.
    pub fn answer(&self, request: &Request) -> Reply {
        let transaction = self.next_transaction();
        let reply =
            self.route(request).unwrap_or_else(|failure| self.failed(&failure, request, &transaction));
        let reply = reply
            .with("X-HMC-Schema-Version", self.schema.to_string())
            .with("X-Transaction-ID", transaction)
            .with("Cache-Control", "no-transform, must-revalidate, proxy-revalidate, no-cache=set-cookie");
        match self.mode {
            Mode::Console => reply,
            Mode::ManagementPartition { .. } => reply.with("X-MC-Type", "PVM"),
        }
    }

    fn route(&self, request: &Request) -> Result<Reply, Failure> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let invalid = || Failure::new(404, MessageKey::RestPathInvalid);
        let ["rest", "api", rest @ ..] = &path[..] else { return Err(invalid()) };
        if let ["web", "Logon"] = rest {
            return match request.method {
                Method::PUT | Method::POST => self.log_on(request),
                Method::DELETE => self.log_off(request),
                _ => Err(unsupported(request)),
            };
        }
        let session =
            self.session(request).ok_or_else(|| Failure::new(401, MessageKey::RestSessionInvalid))?;
        match rest {
            ["web", "schema", name] => self.schema_document(request, name),
            // There are no files yet.
            ["web", "File"] => reading(request).map(|()| Reply::empty(204)),
            ["web", "File", ..] => Err(Failure::not_found()),
            ["uom", "Event"] => {
                reading(request)?;
                self.events(request, &session)
            }
            ["uom", "jobs", id, ..] => Err(Failure::new(404, MessageKey::RestNoSuchJob).with(id)),
            ["uom", rest @ ..] if !rest.is_empty() => self.objects(request, &session, rest),
            _ => Err(invalid()),
        }
    }

    fn token(request: &Request) -> Option<&str> {
        let header = request.header("x-api-session").or_else(|| request.header("x-api-key"));
        // A header may be folded or padded on its way.
        let header = header.map(str::trim).filter(|token| !token.is_empty());
        header.or_else(|| COOKIES.into_iter().find_map(|name| request.cookie(name)))
    }

    fn session(&self, request: &Request) -> Option<Arc<Session>> {
        let session = self.sessions.find(Self::token(request)?, self.now())?;
        // A user that was removed or disabled has no session any more.
        let now = self.console.environment().wall_clock().seconds();
        let known = self.console.user(&session.user).is_some_and(|user| !user.disabled(now));
        known.then_some(session)
    }

    fn log_on(&self, request: &Request) -> Result<Reply, Failure> {
        let asked = logon::parse(&request.body)?;
        let token = new_token()?;
        let memento = request.header("x-audit-memento").unwrap_or_default().to_owned();
        let peer = request.peer.ip().to_string();
        let (user, file) = match (&asked.password, asked.session_file) {
            (None, true) => (LOCAL_USER.to_owned(), Some(self.session_file(&token)?)),
            (password, _) => {
                let password = password.as_deref().unwrap_or_default();
                (self.check_password(&asked.user, password, &peer)?, None)
            }
        };
        let answer = match &file {
            Some(file) => logon::response("X-API-SessionFile", &file.display().to_string()),
            None => logon::response("X-API-Session", &token),
        };
        let new = NewSession {
            listed: self.console.begin_session(SessionKind::Web, &user, &peer),
            events: self.hub.queue(),
            user,
            memento,
            file,
        };
        let (user, memento) = (new.user.clone(), new.memento.clone());
        self.sessions.begin(&token, new, self.now())?;
        self.audit(&user, &memento, request, 0);
        let mut reply = Reply::whole(200, LOGON_RESPONSE, answer);
        for cookie in COOKIES {
            reply = reply.with("Set-Cookie", format!("{cookie}={token}; Path=/; Secure; HttpOnly"));
        }
        Ok(reply)
    }

    fn check_password(&self, user: &str, password: &str, peer: &str) -> Result<String, Failure> {
        let _place = Place::take(&self.logons, LOGONS_IN_PROGRESS)
            .ok_or_else(|| Failure::new(503, MessageKey::Busy))?;
        match self.console.check_web_password(user, password, peer) {
            LoginOutcome::Accepted(user) => Ok(user.name.clone()),
            LoginOutcome::Rejected => Err(Failure::new(401, MessageKey::RestLogonRefused)),
            locked @ LoginOutcome::Locked { .. } => {
                let text = locked.message().unwrap_or_default().replace('\n', " ");
                Err(Failure::new(401, MessageKey::RestLogonLocked).with(text))
            }
        }
    }

    /// Writes a token into a file that only this machine's owner of the site can read.
    fn session_file(&self, token: &str) -> Result<PathBuf, Failure> {
        let Mode::ManagementPartition { session_files, .. } = &self.mode else {
            return Err(Failure::new(401, MessageKey::RestLogonRefused));
        };
        let path = session_files.join(crate::entry::named_id(&["session", token]));
        let written = write_private(&path, token);
        written.map(|()| path).map_err(|error| Failure::new(500, MessageKey::RestDocumentInvalid).with(error))
    }

    fn log_off(&self, request: &Request) -> Result<Reply, Failure> {
        let Some(session) = Self::token(request).and_then(|token| self.sessions.end(token)) else {
            return Err(Failure::new(401, MessageKey::RestSessionInvalid));
        };
        self.audit(&session.user, &session.memento, request, 0);
        Ok(Reply::empty(204))
    }

    /// Records what was done through the API, with what the client calls itself.
    fn audit(&self, user: &str, memento: &str, request: &Request, status: u8) {
        let path = request.path.join("/");
        let memento = if memento.is_empty() { String::new() } else { format!(" ({memento})") };
        let line = format!("REST {} /{path}{memento}", request.method);
        self.console.record(user, &request.peer.ip().to_string(), &line, status);
    }

    fn schema_document(&self, request: &Request, name: &str) -> Result<Reply, Failure> {
        reading(request)?;
        let kind = name.strip_suffix(".xsd").unwrap_or(name);
        let document = schema::document(kind, self.schema).unwrap_or_default();
        // A type that there is not has an empty document, as recorded.
        Ok(Reply::whole(200, "application/xml", document))
    }

    fn objects(&self, request: &Request, session: &Session, path: &[&str]) -> Result<Reply, Failure> {
        let groups = Groups::parse(request.queries("group"))
            .map_err(|name| Failure::new(400, MessageKey::RestGroupInvalid).with(name))?;
        let suffix = request.queries("group").collect::<Vec<_>>().join(",");
        let suffix = if suffix.is_empty() { suffix } else { format!("?group={suffix}") };
        let links = Arc::new(Links { base: format!("{}/rest/api/uom/", request.base), suffix });
        let (collection, rest) = Collection::parse(path)?;
        reading(request)?;
        let scope = Arc::new(self.console.scope_of(&session.user));
        let reading = Reading { api: self, request, links, groups, scope };
        match rest {
            [] => reading.feed(&collection, None),
            ["quick", "All"] => quick::all(reading.open(&collection, false)?.objects),
            ["search", expression @ ..] if !expression.is_empty() => {
                let search = Search::parse(&expression.join("/"))?;
                reading.feed(&collection, Some(search))
            }
            [id] => reading.entry(&collection, id),
            [id, "quick"] => quick::one(reading.find(&collection, id)?.as_ref(), None),
            [id, "quick", property] => quick::one(reading.find(&collection, id)?.as_ref(), Some(property)),
            _ => Err(Failure::new(400, MessageKey::RestPathInvalid)),
        }
    }

    fn events(&self, request: &Request, session: &Session) -> Result<Reply, Failure> {
        let _place = Place::take(&self.event_waiters, EVENT_WAITERS)
            .ok_or_else(|| Failure::new(429, MessageKey::RestTooManyEventRequests))?;
        crate::announce::answer(self, request, session)
    }
}

/// This level reads: it neither creates nor changes nor removes.
fn reading(request: &Request) -> Result<(), Failure> {
    if request.method == Method::GET || request.method == Method::HEAD {
        Ok(())
    } else {
        Err(unsupported(request))
    }
}

fn unsupported(request: &Request) -> Failure {
    Failure::new(405, MessageKey::RestMethodUnsupported).with(&request.method).with(request.path.join("/"))
}

fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// The content type of an answer in Atom: what the client asked for by name is mirrored.
pub(crate) fn atom_type(request: &Request) -> Result<String, Failure> {
    let accept = request.header("accept").unwrap_or("*/*");
    for wish in accept.split(',').map(str::trim) {
        let name = wish.split(';').next().unwrap_or_default().trim();
        match name {
            "*/*" | "application/*" | "application/atom+xml" | "application/xml" | "" => {
                return Ok(ATOM_XML.to_owned());
            }
            _ if name.starts_with("application/vnd.ibm.powervm.") => return Ok(wish.to_owned()),
            _ => {}
        }
    }
    Err(Failure::new(406, MessageKey::RestNotAcceptable).with(request.path.join("/")).with(accept))
}

/// What one request reads with.
pub(crate) struct Reading<'a> {
    pub api: &'a RestApi,
    pub request: &'a Request,
    pub links: Arc<Links>,
    pub groups: Groups,
    /// What the user may reach: the rest is not there for it.
    pub scope: Arc<ResourceScope>,
}

impl Reading<'_> {
    fn unchanged(&self, tag: &str) -> bool {
        let known = self.request.header("if-none-match");
        known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_matches('"') == tag))
    }

    /// The tag of one object in the form that was asked for.
    fn tag(&self, object: &dyn Object) -> String {
        entity_tag(&[&object.id(), &object.version(), &self.links.suffix])
    }

    fn console_href(&self) -> String {
        let console = crate::resource::console::console_id(self.api.console.description());
        self.links.to(&format!("ManagementConsole/{console}"))
    }

    fn entry(&self, collection: &Collection, id: &str) -> Result<Reply, Failure> {
        let content_type = atom_type(self.request)?;
        let object = self.find(collection, id)?;
        let tag = self.tag(object.as_ref());
        if self.unchanged(&tag) {
            return Ok(Reply::empty(304).with("ETag", tag));
        }
        let mut writer = XmlWriter::new(self.api.schema);
        let href = format!("{}{}{}", self.links.base, object.path(), self.links.suffix);
        let groups = self.groups;
        let head = EntryHead {
            kind: object.kind(),
            id: &object.id(),
            href: &href,
            tag: &tag,
            now: self.api.milliseconds(),
            created: self.api.started,
            console: Some(&self.console_href()),
        };
        entry(&mut writer, &head, |writer| object.write(writer, groups));
        Ok(Reply::whole(200, &content_type, writer.take()).with("ETag", tag))
    }

    fn feed(&self, collection: &Collection, search: Option<Search>) -> Result<Reply, Failure> {
        let content_type = atom_type(self.request)?;
        let Objects { mut objects, mut versions } = self.open(collection, search.is_none())?;
        if let Some(search) = search {
            let mut found = Vec::new();
            versions = Fingerprint::default();
            for object in objects {
                if search.matches(object.as_ref())? {
                    versions.add(&self.tag(object.as_ref()));
                    found.push(object);
                }
            }
            objects = Box::new(found.into_iter());
        }
        let tag = entity_tag(&[&versions.text(), &collection.path(), &self.links.suffix]);
        let mut objects = objects.peekable();
        if objects.peek().is_none() {
            return Ok(Reply::empty(204));
        }
        if self.unchanged(&tag) {
            return Ok(Reply::empty(304).with("ETag", tag));
        }
        let (links, groups, schema) = (self.links.clone(), self.groups, self.api.schema);
        let (now, created) = (self.api.milliseconds(), self.api.started);
        let path = collection.path();
        let console = self.console_href();
        let body = Body::Written(Box::new(move |mut sink| {
            let mut writer = XmlWriter::new(schema);
            let href = format!("{}{path}{}", links.base, links.suffix);
            feed_start(&mut writer, &href, &console, now);
            for object in objects {
                let id = object.id();
                let href = format!("{}{path}/{id}{}", links.base, links.suffix);
                let tag = entity_tag(&[&id, &object.version(), &links.suffix]);
                let head = EntryHead {
                    kind: object.kind(),
                    id: &id,
                    href: &href,
                    tag: &tag,
                    now,
                    created,
                    console: None,
                };
                entry(&mut writer, &head, |writer| object.write(writer, groups));
                sink.write(writer.written())?;
                writer.forget();
            }
            writer.close("feed");
            sink.write(writer.written())?;
            sink.finish()
        }));
        Ok(Reply { status: 200, content_type, headers: vec![("ETag", tag)], body })
    }
}
