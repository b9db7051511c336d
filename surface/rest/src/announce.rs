//! Answers to `GET /rest/api/uom/Event`.

use std::sync::Arc;

use varan_contract::system::{PartitionFilter, Selector, SystemEventKind, SystemReply, SystemRequest};
use varan_model::ids::{PartitionId, SystemUuid};

use crate::element::{Element, text, write};
use crate::entry::{EntryHead, entity_tag, entry, feed_start, named_id};
use crate::events::{Announcement, Taken};
use crate::failure::Failure;
use crate::query::Groups;
use crate::reply::Reply;
use crate::request::Request;
use crate::resource::{Links, partition_path, some};
use crate::router::{Reading, RestApi, atom_type};
use crate::session::Session;
use crate::xml::XmlWriter;

/// One event as a client sees it.
struct EventView {
    number: u64,
    kind: &'static str,
    /// URI of the object.
    data: String,
    detail: &'static str,
}

static EVENT: &[Element<EventView>] = &[
    text("EventType", "ROR", |event| some(event.kind)),
    text("EventID", "ROR", |event| some(event.number)),
    text("EventData", "ROR", |event| some(&event.data)),
    text("EventDetail", "ROR", |event| some(event.detail)),
];

/// Waits for events and answers with them; 204 when nothing happens in time.
///
/// # Errors
/// 406.
pub fn answer(api: &RestApi, request: &Request, session: &Session) -> Result<Reply, Failure> {
    let content_type = atom_type(request)?;
    let links = Arc::new(Links { base: format!("{}/rest/api/uom/", request.base), suffix: String::new() });
    let scope = Arc::new(api.console.scope_of(&session.user));
    let reading = Reading { api, request, links: links.clone(), groups: Groups::ALL, scope };
    if session.events.is_new() {
        // What the partitions are called must be known before the first of them is removed.
        reading.learn_partitions();
    }
    let views: Vec<EventView> = match session.events.take(api.limits.event_wait) {
        Taken::New => vec![EventView {
            number: api.hub.next_number(),
            kind: "NEW_CLIENT",
            data: String::new(),
            detail: "",
        }],
        Taken::Nothing => return Ok(Reply::empty(204)),
        Taken::Some { announced, missed } => {
            let lost = missed.then(|| EventView {
                number: api.hub.next_number(),
                kind: "MISSING_EVENTS",
                data: String::new(),
                detail: "",
            });
            let told = announced.into_iter().filter(|one| reading.may_hear(one));
            lost.into_iter().chain(told.map(|one| reading.event(one))).collect()
        }
    };
    if views.is_empty() {
        return Ok(Reply::empty(204));
    }
    let mut writer = XmlWriter::new(api.schema);
    let now = api.milliseconds();
    let console = crate::resource::console::console_id(api.console.description());
    feed_start(&mut writer, &links.to("Event"), &links.to(&format!("ManagementConsole/{console}")), now);
    for view in &views {
        let id = named_id(&["Event", &view.number.to_string(), &now.to_string()]);
        let (href, tag) = (links.to(&format!("Event/{id}")), entity_tag(&[&id]));
        let head =
            EntryHead { kind: "Event", id: &id, href: &href, tag: &tag, now, created: now, console: None };
        entry(&mut writer, &head, |writer| write(EVENT, view, Groups::ALL, writer));
    }
    writer.close("feed");
    Ok(Reply::whole(200, &content_type, writer.take()))
}

impl Reading<'_> {
    fn learn_partitions(&self) {
        for connection in self.connections() {
            let request = SystemRequest::ListPartitions(PartitionFilter::All);
            let Ok(SystemReply::Partitions { entries, .. }) = self.api.console.call(&connection, request)
            else {
                continue;
            };
            let mut known = self.api.hub.known();
            for entry in entries {
                let partition = &entry.partition;
                let path = partition_path(partition.environment, partition.uuid);
                known.insert((connection.hardware.uuid, partition.id), path);
            }
        }
    }

    /// Path of a partition by its number, and whether it was not known before.
    fn partition_path(&self, system: SystemUuid, id: PartitionId) -> (String, bool) {
        let known = self.api.hub.known().get(&(system, id)).cloned();
        if let Some(path) = known {
            return (path, false);
        }
        let found = self.connections().find(|one| one.hardware.uuid == system).and_then(|connection| {
            let request = SystemRequest::ListPartitions(PartitionFilter::Only(vec![Selector::Id(id)]));
            match self.api.console.call(&connection, request) {
                Ok(SystemReply::Partitions { entries, .. }) => entries.into_iter().next(),
                _ => None,
            }
        });
        let Some(entry) = found else { return (format!("ManagedSystem/{system}"), false) };
        let path = partition_path(entry.partition.environment, entry.partition.uuid);
        self.api.hub.known().insert((system, id), path.clone());
        (path, true)
    }

    /// Whether the user may know of an announcement.
    fn may_hear(&self, one: &Announcement) -> bool {
        let Some(connection) = self.connections().find(|known| known.hardware.uuid == one.system) else {
            return false;
        };
        let identity = connection.identity().to_string();
        match one.kind {
            SystemEventKind::PartitionChanged(id)
            | SystemEventKind::PartitionState(id)
            | SystemEventKind::PartitionRemoved(id) => self.scope.allows_partition(&identity, id),
            _ => true,
        }
    }

    fn event(&self, one: Announcement) -> EventView {
        let system = one.system;
        let (path, kind, detail) = match one.kind {
            SystemEventKind::PartitionChanged(id) => match self.partition_path(system, id) {
                (path, true) => (path, "ADD_URI", "Other"),
                (path, false) => (path, "MODIFY_URI", "Other"),
            },
            SystemEventKind::PartitionState(id) => {
                let (path, new) = self.partition_path(system, id);
                (
                    path,
                    if new { "ADD_URI" } else { "MODIFY_URI" },
                    "PartitionState,RMCState,ReferenceCode,Other",
                )
            }
            SystemEventKind::PartitionRemoved(id) => {
                let path = self.api.hub.known().remove(&(system, id));
                (path.unwrap_or_else(|| format!("ManagedSystem/{system}")), "DELETE_URI", "")
            }
            SystemEventKind::SystemState(_) => (format!("ManagedSystem/{system}"), "MODIFY_URI", "State"),
            _ => (format!("ManagedSystem/{system}"), "MODIFY_URI", "Other"),
        };
        EventView { number: one.number, kind, data: self.links.to(&path), detail }
    }
}
