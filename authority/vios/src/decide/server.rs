//! The server itself: host name, level, logs, its stop, and states of paths.

use std::sync::Arc;

use varan_contract::vios::{CommandLogEntry, DeviceSelector};
use varan_model::vios::{DeviceKind, DeviceName, DeviceState, ErrorTemplate, PathState, ViosMessage};

use super::{COMMANDS_KEPT, Draft, Effect, Facts, Prepare, Refused, find, refuse};
use crate::world::{Change, Connected, Running};

/// Longest host name.
const HOSTNAME_MAX: usize = 255;
/// Longest write of a device file in bytes.
const WRITE_MAX: usize = 1 << 20;
/// Longest command line that the log keeps, in bytes.
const COMMAND_MAX: usize = 4_096;

pub(super) fn set_hostname(draft: &mut Draft, name: &str) -> Refused {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if name.is_empty() || name.len() > HOSTNAME_MAX || !name.bytes().all(usual) {
        return Err(refuse(ViosMessage::ArgumentInvalid).with(name));
    }
    let mut own = (*draft.world.own).clone();
    own.hostname = name.to_owned();
    draft.change(Change::Own(Box::new(own)));
    Ok(())
}

pub(super) fn accept_licence(draft: &mut Draft) -> Refused {
    let mut own = (*draft.world.own).clone();
    own.licence_accepted = true;
    draft.change(Change::Own(Box::new(own)));
    Ok(())
}

fn numbers(level: &str) -> Option<Vec<u32>> {
    let numbers: Vec<u32> = level.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    (2..=4).contains(&numbers.len()).then_some(numbers)
}

pub(super) fn update(draft: &mut Draft, level: &str) -> Refused {
    let invalid = || refuse(ViosMessage::ArgumentInvalid).with(level);
    let next = numbers(level).ok_or_else(invalid)?;
    let present = &draft.world.own.level;
    if numbers(present).is_some_and(|present| next <= present) {
        return Err(refuse(ViosMessage::BundleNotNewer).with(present));
    }
    let mut own = (*draft.world.own).clone();
    own.level = level.to_owned();
    draft.change(Change::Own(Box::new(own)));
    Ok(())
}

pub(super) fn write_bytes(draft: &mut Draft, selector: &DeviceSelector, offset: u64, data: &[u8]) -> Refused {
    if data.len() > WRITE_MAX {
        return Err(refuse(ViosMessage::ArgumentInvalid).with(data.len()));
    }
    let device = match selector {
        DeviceSelector::Name(name)
            if draft.world.volumes.contains(name) && draft.world.device(name).is_none() =>
        {
            let invalid = |_| refuse(ViosMessage::DeviceWrongKind).with(name);
            name.parse::<DeviceName>().map_err(invalid)?
        }
        selector => {
            let device = find(&draft.world, selector)?;
            if !matches!(device.kind, DeviceKind::FibreChannelDisk | DeviceKind::SasDisk) {
                return Err(refuse(ViosMessage::DeviceWrongKind).with(&device.name));
            }
            if device.state != DeviceState::Available {
                return Err(refuse(ViosMessage::DeviceNotAvailable).with(&device.name));
            }
            device.name.clone()
        }
    };
    draft.prepare.push(Prepare::Write { device, offset, data: Arc::new(data.to_vec()) });
    Ok(())
}

pub(super) fn clear_errors(draft: &mut Draft, days: u32, facts: &Facts<'_>) -> Refused {
    let before = facts.now.saturating_sub(i64::from(days) * 86_400);
    let old: Vec<u64> = draft
        .world
        .errors
        .iter()
        .filter(|(_, entry)| days == 0 || entry.seconds < before)
        .map(|(sequence, _)| *sequence)
        .collect();
    for sequence in old {
        draft.change(Change::RemoveError(sequence));
    }
    Ok(())
}

pub(super) fn log_command(draft: &mut Draft, user: &str, command: &str, facts: &Facts<'_>) -> Refused {
    let mut own = (*draft.world.own).clone();
    let number = own.next_command;
    own.next_command += 1;
    let mut command = command.to_owned();
    let mut end = command.len().min(COMMAND_MAX);
    while !command.is_char_boundary(end) {
        end -= 1;
    }
    command.truncate(end);
    let entry = CommandLogEntry { seconds: facts.now, user: user.to_owned(), command };
    draft.change(Change::Own(Box::new(own)));
    draft.change(Change::PutCommand(number, Box::new(entry)));
    let oldest = draft.world.commands.first().copied();
    if let Some(oldest) = oldest.filter(|_| draft.world.commands.len() > COMMANDS_KEPT) {
        draft.change(Change::RemoveCommand(oldest));
    }
    Ok(())
}

pub(super) fn shut_down(draft: &mut Draft, force: bool, restart: bool) -> Refused {
    let Some(running) = &draft.world.running else { return Err(refuse(ViosMessage::ShuttingDown)) };
    let running = Running { stopping: true, ..(**running).clone() };
    draft.change(Change::Running(Some(Box::new(running))));
    draft.effects.push(Effect::Shutdown { force, restart });
    Ok(())
}

/// The server stopped: by a shutdown, or because its partition lost its power or crashed.
pub(crate) fn stopped(draft: &mut Draft, orderly: bool, now: i64) {
    if draft.world.running.is_none() {
        return;
    }
    if orderly {
        draft.log(now, ErrorTemplate::LoggingOff, "errdemon", Vec::new());
        draft.log(now, ErrorTemplate::ShutdownByUser, "SYSPROC", Vec::new());
        let mut own = (*draft.world.own).clone();
        own.stopped = true;
        draft.change(Change::Own(Box::new(own)));
    }
    let slots: Vec<u16> = draft.world.connected.iter().map(|(slot, _)| *slot).collect();
    for slot in slots {
        draft.change(Change::Connected(slot, None));
    }
    draft.change(Change::Running(None));
}

/// A client's names are not logged in any more: its port was lost.
pub(crate) fn names_lost(draft: &mut Draft, slot: u16, now: i64) {
    let Some(connected) = draft.world.connected.get(&slot) else { return };
    let connected = Connected { logged_in: Vec::new(), ports: 0, ..(**connected).clone() };
    draft.change(Change::Connected(slot, Some(Box::new(connected))));
    if let Some(adapter) = draft.world.slots.get(&slot).cloned() {
        draft.log(now, ErrorTemplate::VirtualFibreChannelHost, adapter.as_str(), Vec::new());
    }
}

/// What became of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathEvent {
    pub(crate) disk: DeviceName,
    pub(crate) number: u32,
    pub(crate) works: bool,
}

/// Paths failed or work again: their states, and entries in the error log.
pub(crate) fn path_events(draft: &mut Draft, events: &[PathEvent], now: i64) {
    let mut links: Vec<DeviceName> = Vec::new();
    for event in events {
        let Some(paths) = draft.world.paths.get(&event.disk).cloned() else { continue };
        let mut paths = (*paths).clone();
        let Some(path) = paths.iter_mut().find(|path| path.number == event.number) else { continue };
        let (state, template) = match (event.works, path.state) {
            (true, PathState::Failed) => (PathState::Enabled, ErrorTemplate::PathRecovered),
            (false, PathState::Enabled) => (PathState::Failed, ErrorTemplate::PathFailed),
            _ => continue,
        };
        path.state = state;
        let parent = path.parent.clone();
        let details = vec![
            ("PATH ID".to_owned(), path.number.to_string()),
            ("PARENT".to_owned(), parent.to_string()),
            ("CONNECTION".to_owned(), path.connection.clone()),
        ];
        draft.change(Change::PathStates(event.disk.clone(), paths));
        if !event.works && !links.contains(&parent) {
            draft.log(now, ErrorTemplate::LinkError, parent.as_str(), Vec::new());
            links.push(parent);
        }
        draft.log(now, template, event.disk.as_str(), details);
    }
}
