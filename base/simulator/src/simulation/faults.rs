//! What faults do to processes, clocks and links.

use std::sync::{Arc, PoisonError};

use super::{Event, ProcessState, Simulation};
use crate::actor::{Actor, Input, Start};
use crate::disk::PowerLoss;
use crate::fault::{Available, Fault, FaultPlan};
use crate::network::ActorId;

impl<A: Actor> Simulation<A> {
    pub(super) fn strike_at_random(&mut self) {
        if self.plan == FaultPlan::default() {
            return;
        }
        let all = self.actors();
        let listed = |id: &ActorId| self.plan.eligible.is_empty() || self.plan.eligible.contains(id);
        let eligible: Vec<ActorId> = all.iter().copied().filter(listed).collect();
        let runs = |id: &ActorId| {
            let process = self.process(*id);
            process.state == ProcessState::Running && !process.kill_in_next_call
        };
        let running: Vec<ActorId> = eligible.iter().copied().filter(runs).collect();
        let unavailable = all.iter().filter(|id| !runs(id)).count();
        let available = Available { all, eligible, running, unavailable };
        let drawn = self.plan.draw(&mut self.fault_random, &available);
        for drawn in drawn {
            self.strike(&drawn.fault);
            if let Some((repair, after)) = drawn.repair {
                self.push(self.time + after, Event::Fault(repair));
            }
        }
    }

    pub(super) fn strike(&mut self, fault: &Fault) {
        match fault {
            Fault::Kill(id) => self.stop(*id, "crash", None),
            Fault::PowerLoss(id, kind) => self.stop(*id, "power", Some(*kind)),
            Fault::KillDuringNextCall(id) => {
                if self.process(*id).state == ProcessState::Running {
                    self.process_mut(*id).kill_in_next_call = true;
                }
            }
            Fault::Restart(id) => self.restart_or_mark(*id),
            Fault::Pause(id) => {
                if self.process(*id).state == ProcessState::Running {
                    self.process_mut(*id).state = ProcessState::Paused;
                    self.write("pause", id, &"-", &"");
                }
            }
            Fault::Continue(id) => self.resume(*id),
            Fault::Partition(left, right) => {
                self.network.partition(left, right);
                self.write("cut", &"net", &"-", &format_args!("{left:?} | {right:?}"));
            }
            Fault::Cut(from, to) => {
                self.network.cut(*from, *to);
                self.write("cut", &"net", &"-", &format_args!("{from} -> {to}"));
            }
            Fault::Heal => {
                self.network.heal();
                self.write("heal", &"net", &"-", &"");
            }
            Fault::WallClockJump(id, nanoseconds) => {
                self.clock(*id).jump_wall_clock(*nanoseconds);
                self.write("jump", id, &"-", nanoseconds);
            }
            Fault::ClockRate(id, rate) => {
                self.clock(*id).set_rate(*rate);
                self.write("rate", id, &"-", rate);
            }
        }
    }

    fn stop(&mut self, id: ActorId, kind: &'static str, power: Option<PowerLoss>) {
        if self.process(id).state != ProcessState::Down {
            let tokens: Vec<u64> = self.process(id).timers.keys().copied().collect();
            for token in tokens {
                self.disarm(id, token);
            }
            let process = self.process_mut(id);
            process.actor = None;
            process.state = ProcessState::Down;
            process.queued.clear();
            process.kill_in_next_call = false;
        }
        if let Some(power) = power {
            self.process(id).disk.lock().unwrap_or_else(PoisonError::into_inner).power_loss(power);
        }
        self.write(kind, &id, &"-", &format_args!("{:?}", power));
    }

    /// A restart may be due before the call in which the process was to die; then it dies now.
    fn restart_or_mark(&mut self, id: ActorId) {
        if self.process(id).kill_in_next_call {
            self.stop(id, "crash", None);
        }
        self.restart(id);
    }

    pub(super) fn restart(&mut self, id: ActorId) {
        if self.process(id).state != ProcessState::Down {
            return;
        }
        let clock = self.clock(id);
        let process = self.process_mut(id);
        process.incarnation += 1;
        process.state = ProcessState::Running;
        let start = Start {
            id,
            incarnation: process.incarnation,
            disk: Arc::clone(&process.disk),
            clock,
            random: process.random.fork(),
        };
        process.actor = Some((process.factory)(start));
        let described = format!("{} incarnation {}", process.name, process.incarnation);
        self.write("start", &id, &"-", &described);
        self.call(id, |actor, now, outbox| actor.start(now, outbox));
    }

    /// What queued happens now, in order, as events of their own, so that a timer which an earlier input
    /// cancels does not run out.
    fn resume(&mut self, id: ActorId) {
        if self.process(id).state != ProcessState::Paused {
            return;
        }
        self.process_mut(id).state = ProcessState::Running;
        let queued = std::mem::take(&mut self.process_mut(id).queued);
        self.write("cont", &id, &"-", &format_args!("{} queued", queued.len()));
        for input in queued {
            match input {
                Input::Message { from, body } => {
                    self.push(self.time, Event::Deliver { from, to: id, body });
                }
                Input::Timer { token } => {
                    let key = self.push(self.time, Event::Timer { actor: id, token });
                    self.process_mut(id).timers.insert(token, key);
                }
            }
        }
    }
}
