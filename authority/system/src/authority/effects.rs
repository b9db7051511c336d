//! Acting: what is done after a decision is recorded.

use varan_contract::engine::{AdapterChange, EngineError};
use varan_model::system::SystemProfileMember;

use super::*;
use crate::guest::adapter_at;

/// Real seconds after which a guest that took no request is asked again.
const ASK_AGAIN_SECONDS: u64 = 1;

impl Authority {
    /// Starts effects in order.
    pub(super) fn act(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.effect(effect);
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Start(id) => self.power_on(id),
            Effect::StartAgain(id) => self.start_again(id),
            Effect::Stop { partition, request, restart } => {
                match self.engine.stop(partition, request, restart) {
                    Ok(()) => {}
                    Err(EngineError::NotRunning(_)) => self.guest_is_gone(partition),
                    Err(_) if is_by_system(request) => {
                        self.guest_says(partition, EngineEventKind::StopNotHeard(request));
                    }
                    Err(_) => {
                        self.schedule(ASK_AGAIN_SECONDS, Timer::StopAgain(partition, restart));
                    }
                }
            }
            Effect::PowerLoss => {
                self.engine.power_loss();
                // A transition that was under way has lost its power too.
                self.transition_epoch += 1;
                self.profile_next = None;
                let waiting: Vec<PartitionUuid> = self.stop_waiters.keys().copied().collect();
                let asked: Vec<PartitionUuid> =
                    self.dynamic.values().map(|pending| pending.plan.partition).collect();
                let adapters: Vec<PartitionUuid> =
                    self.adapters.values().map(|pending| pending.plan.partition).collect();
                let crashed: Vec<PartitionUuid> =
                    self.crash_waiters.iter().map(|one| one.partition).collect();
                for partition in waiting.into_iter().chain(asked).chain(adapters).chain(crashed) {
                    self.settle_stopped(partition);
                }
            }
            Effect::SetMemory { partition, megabytes, token } => {
                let asked = self.engine.set_memory(partition, megabytes, token);
                self.asked(partition, token, asked);
            }
            Effect::SetProcessors { partition, processors, token } => {
                let asked = self.engine.set_processors(partition, processors, token);
                self.asked(partition, token, asked);
            }
            Effect::PutAdapter { partition, address, token } => {
                let entry = self.world.by_uuid(partition).cloned();
                let adapter = entry.and_then(|entry| adapter_at(&self.world, &entry, &self.guests, address));
                if let Some(adapter) = adapter {
                    let asked = self.engine.change_adapter(partition, AdapterChange::Put(adapter), token);
                    self.asked(partition, token, asked);
                }
            }
            Effect::RemoveAdapter { partition, address, token } => {
                let asked = self.engine.change_adapter(partition, AdapterChange::Remove(address), token);
                self.asked(partition, token, asked);
            }
            Effect::WithdrawAdapter { partition, address } => {
                // The hypervisor has taken the adapter; a guest that does not listen finds it gone when it starts again.
                let told = self.engine.change_adapter(partition, AdapterChange::Withdraw(address), 0);
                if matches!(told, Err(EngineError::NotRunning(_))) {
                    self.guest_is_gone(partition);
                }
            }
            Effect::SetUpSwitch(name, mode) => self.set_up_switch(&name, mode),
            Effect::SetUpPorts(drc_index) => self.set_up_ports(drc_index),
            Effect::ClearStatistics(port, logical) => self.guests.hypervisor.clear_statistics(&port, logical),
            Effect::ActivateBackingDevice { partition, slot, port } => {
                self.guests.hypervisor.activate(partition, slot, port);
            }
            Effect::Forget(partition) => {
                self.engine.forget(partition);
                self.guests.boot_disks.remove(partition);
            }
            Effect::SystemTransition { to, real_seconds, restart, standby } => {
                self.transition_epoch += 1;
                self.profile_next = None;
                let position = SystemState::ALL.iter().position(|state| *state == to).unwrap_or(0);
                let to = u8::try_from(position).unwrap_or(0);
                let epoch = self.transition_epoch;
                self.schedule(real_seconds, Timer::SystemTransition { epoch, restart, standby, to });
            }
            Effect::RmcAfterDelay(partition, real_seconds) => {
                let generation = self.world.by_uuid(partition).map_or(0, |entry| entry.runtime.generation);
                self.schedule(real_seconds, Timer::RmcReaches(partition, generation));
            }
            Effect::StartProfileNext(name) => self.profile_next = Some(name),
            Effect::StartByPolicy => self.start_by_policy(),
            Effect::Reserve(usage, true) => self.world.reserve(usage, false),
            Effect::Reserve(usage, false) => self.world.reserve(usage, true),
        }
    }

    /// Breaks a guest on purpose, or mends it.
    pub(super) fn break_guest(&mut self, partition: PartitionUuid, fault: GuestFault) -> Result<(), Refusal> {
        self.engine
            .fault(partition, fault)
            .map_err(|error| Refusal::new(MessageKey::FaultRefused).with(error))?;
        match fault {
            GuestFault::Hang => {
                self.silent.insert(partition);
                let generation = self.world.by_uuid(partition).map_or(0, |entry| entry.runtime.generation);
                self.schedule(decide::RMC_SILENCE_SECONDS, Timer::RmcSilent(partition, generation));
            }
            GuestFault::Crash => {
                let moment = self.moment();
                let decision = decide::guest_crashed(&self.world, partition, moment);
                self.report(decision);
            }
            GuestFault::Resume => {
                self.silent.remove(&partition);
            }
        }
        Ok(())
    }

    /// A partition that has not answered for long enough has no RMC connection any more.
    pub(super) fn rmc_silent(&mut self, partition: PartitionUuid, generation: u64) {
        let Some(entry) = self.world.by_uuid(partition) else { return };
        if !self.silent.contains(&partition) || entry.runtime.generation != generation {
            return;
        }
        let mut runtime = (*entry.runtime).clone();
        runtime.rmc = RmcState::Inactive;
        let id = entry.partition.id;
        let changes = vec![Change::PutRuntime(id, Box::new(runtime))];
        self.report(Decision { changes, ..Decision::default() });
        self.give_up_unlocking(partition);
    }

    pub(super) fn guest_is_gone(&mut self, partition: PartitionUuid) {
        let stopped = varan_contract::engine::GuestState::Stopped { restart: false };
        self.guest_says(partition, EngineEventKind::State(stopped));
    }

    fn guest_says(&mut self, partition: PartitionUuid, kind: EngineEventKind) {
        let Some(entry) = self.world.by_uuid(partition) else { return };
        let event = EngineEvent {
            partition,
            generation: varan_contract::engine::Generation(entry.runtime.generation),
            kind,
        };
        self.engine_event(&event);
    }

    /// A guest that takes no request now is asked again: a change that is under way has to end.
    fn asked(&mut self, partition: PartitionUuid, token: u64, result: Result<(), EngineError>) {
        match result {
            Ok(()) => {}
            Err(EngineError::NotRunning(_)) => self.guest_is_gone(partition),
            Err(_) => self.schedule(ASK_AGAIN_SECONDS, Timer::AskAgain(token)),
        }
    }

    /// Resumes the partitions whose guests outlived the program before this one. Before anything is started.
    pub fn adopt(&mut self) {
        for guest in self.engine.adopt() {
            // The next activations are later ones, whatever the host's clock says.
            self.generation = self.generation.max(guest.generation.0);
            let decision = decide::adopted(&self.world, &guest);
            self.report(decision);
        }
    }

    /// Starts what runs when the process starts: initial partitions of a new system, else what the policy names.
    pub fn start_initial(&mut self, initial: &[PartitionId]) {
        self.drive_firmware();
        if self.world.system().state != SystemState::Operating {
            return;
        }
        if initial.is_empty() {
            self.start_by_policy();
        } else {
            self.start_each(initial.iter().map(|id| (*id, None)).collect());
        }
    }

    /// Starts the partitions that the policy names, or those of the system profile that was asked for; those that cannot
    /// start show the state Error.
    pub fn start_by_policy(&mut self) {
        let profile = self.profile_next.take();
        let profiles = &self.world.system().settings.system_profiles;
        // It may have been removed meanwhile.
        let starts = match profile.and_then(|name| profiles.iter().find(|one| one.name == name)) {
            Some(found) => {
                let member = |member: &SystemProfileMember| (member.partition, Some(member.profile.clone()));
                found.members.iter().map(member).collect()
            }
            None => decide::start_by_policy(&self.world).into_iter().map(|id| (id, None)).collect(),
        };
        self.start_each(starts);
    }
}
