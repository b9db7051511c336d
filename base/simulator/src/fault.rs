//! Faults that can be scheduled, and the plan by which a run draws them.

use std::time::Duration;

use crate::disk::PowerLoss;
use crate::network::ActorId;
use crate::random::Randomness;

/// Something that happens to an actor or to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process ends at once; its disk keeps what was written, synced or not (kill -9).
    Kill(ActorId),
    /// The process ends in its next call, after a random part of what it asked for was done.
    KillDuringNextCall(ActorId),
    /// The machine loses its power: the process ends and the disk's unsynced writes go as given.
    PowerLoss(ActorId, PowerLoss),
    /// A new incarnation starts; nothing happens if the actor is up.
    Restart(ActorId),
    /// The process gets no time (SIGSTOP); its inputs queue.
    Pause(ActorId),
    /// The process goes on (SIGCONT) with all that queued.
    Continue(ActorId),
    /// All links between the two groups are cut, both directions.
    Partition(Vec<ActorId>, Vec<ActorId>),
    /// One direction is cut.
    Cut(ActorId, ActorId),
    /// All cuts are mended.
    Heal,
    /// The actor's wall clock jumps by nanoseconds.
    WallClockJump(ActorId, i128),
    /// The actor's clocks run fast or slow by parts per million.
    ClockRate(ActorId, i32),
}

/// How often each fault strikes, in parts per million of events, and how long it lasts. All zero by default.
/// A test states here which faults its component is meant to survive; see the crate's fault model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// Process crashes (half of them in the middle of a call).
    pub kill: u32,
    /// Power losses, [`PowerLoss::Random`].
    pub power_loss: u32,
    /// Pauses.
    pub pause: u32,
    /// Network partitions into two random groups, or of one direction of one link.
    pub partition: u32,
    /// Jumps of a wall clock.
    pub wall_clock_jump: u32,
    /// Changes of a clock's rate.
    pub clock_rate: u32,
    /// Shortest time for which an actor is down or paused, or the network is cut.
    pub shortest_outage: Duration,
    /// Longest such time.
    pub longest_outage: Duration,
    /// Actors that may be down or paused at the same time.
    pub maximum_unavailable: usize,
    /// Longest jump of a wall clock, in either direction.
    pub longest_wall_clock_jump: Duration,
    /// Largest change of a clock's rate, parts per million, in either direction.
    pub largest_clock_rate: u32,
    /// The actors that faults may strike; empty means all.
    pub eligible: Vec<ActorId>,
}

impl Default for FaultPlan {
    fn default() -> Self {
        Self {
            kill: 0,
            power_loss: 0,
            pause: 0,
            partition: 0,
            wall_clock_jump: 0,
            clock_rate: 0,
            shortest_outage: Duration::from_millis(1),
            longest_outage: Duration::from_secs(5),
            maximum_unavailable: usize::MAX,
            longest_wall_clock_jump: Duration::from_secs(86_400),
            largest_clock_rate: 500,
            eligible: Vec::new(),
        }
    }
}

impl FaultPlan {
    /// Every fault, each about once in 200 events.
    #[must_use]
    pub fn hostile() -> Self {
        Self {
            kill: 5_000,
            power_loss: 5_000,
            pause: 5_000,
            partition: 5_000,
            wall_clock_jump: 5_000,
            clock_rate: 5_000,
            ..Self::default()
        }
    }

    /// Draws the faults that strike now: each with the fault that ends it, if any, and after how long.
    pub(crate) fn draw(&self, random: &mut Randomness, available: &Available) -> Vec<Drawn> {
        let mut drawn = Vec::new();
        let room = self.maximum_unavailable.saturating_sub(available.unavailable);
        if room > 0 {
            self.draw_outage(random, available, &mut drawn);
        }
        if random.chance(self.partition) {
            let repair = Some((Fault::Heal, self.outage(random)));
            drawn.push(Drawn { fault: partition(random, &available.all), repair });
        }
        let Some(&actor) = random.choose(&available.eligible) else { return drawn };
        if random.chance(self.wall_clock_jump) {
            let jump = random.duration_between(Duration::ZERO, self.longest_wall_clock_jump).as_nanos();
            let jump = i128::try_from(jump).unwrap_or(0) * sign(random);
            drawn.push(Drawn { fault: Fault::WallClockJump(actor, jump), repair: None });
        }
        if random.chance(self.clock_rate) {
            let rate = i32::try_from(random.below(u64::from(self.largest_clock_rate) + 1)).unwrap_or(0);
            let rate = if random.chance(500_000) { rate } else { -rate };
            drawn.push(Drawn { fault: Fault::ClockRate(actor, rate), repair: None });
        }
        drawn
    }

    /// At most one actor becomes unavailable per event, so the limit needs one look only.
    fn draw_outage(&self, random: &mut Randomness, available: &Available, drawn: &mut Vec<Drawn>) {
        let Some(&actor) = random.choose(&available.running) else { return };
        let (fault, repair) = if random.chance(self.kill) {
            let during = random.chance(500_000);
            let kill = if during { Fault::KillDuringNextCall(actor) } else { Fault::Kill(actor) };
            (kill, Fault::Restart(actor))
        } else if random.chance(self.power_loss) {
            (Fault::PowerLoss(actor, PowerLoss::Random), Fault::Restart(actor))
        } else if random.chance(self.pause) {
            (Fault::Pause(actor), Fault::Continue(actor))
        } else {
            return;
        };
        drawn.push(Drawn { fault, repair: Some((repair, self.outage(random))) });
    }

    fn outage(&self, random: &mut Randomness) -> Duration {
        random.duration_between(self.shortest_outage, self.longest_outage)
    }
}

/// A fault, and what ends it after how long.
pub(crate) struct Drawn {
    pub fault: Fault,
    pub repair: Option<(Fault, Duration)>,
}

/// What a plan may strike at this moment.
pub(crate) struct Available {
    /// Every actor.
    pub all: Vec<ActorId>,
    /// Actors that faults may strike.
    pub eligible: Vec<ActorId>,
    /// Those of them that are up and not paused.
    pub running: Vec<ActorId>,
    /// Number of actors that are down or paused.
    pub unavailable: usize,
}

fn sign(random: &mut Randomness) -> i128 {
    if random.chance(500_000) { 1 } else { -1 }
}

fn partition(random: &mut Randomness, all: &[ActorId]) -> Fault {
    let mut actors = all.to_vec();
    random.shuffle(&mut actors);
    if let [from, to, ..] = actors[..]
        && random.chance(300_000)
    {
        return Fault::Cut(from, to);
    }
    let middle =
        usize::try_from(random.between(1, actors.len().saturating_sub(1).max(1) as u64)).unwrap_or(1);
    let right = actors.split_off(middle.min(actors.len()));
    Fault::Partition(actors, right)
}
