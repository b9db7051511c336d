//! DLPAR: memory and processors that a running guest takes and gives.
//!
//! Requests are done in order. Additions take effect at once; memory is given back block by block from the end,
//! as long as the operating system and its workload hold no page there.

use std::time::Duration;

use varan_contract::engine::{EngineEventKind, Personality, ProcessorAllocation};

use super::machine::Stage;
use super::workload::WORKLOAD_OFFSET;
use super::{DYNAMIC_REQUESTS, Guest, MEGABYTE, Moment};

/// Memory given back in one step, in MB; the last step of a removal may be smaller.
const BLOCK_MEGABYTES: u64 = 256;

/// Real time that freeing one block takes.
const BLOCK_REMOVAL: Duration = Duration::from_millis(500);

/// Least memory that an operating system keeps, in MB: its own pages lie below the workload's.
const OPERATING_SYSTEM_MEGABYTES: u64 = WORKLOAD_OFFSET / MEGABYTE;

#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    Memory { megabytes: u64, token: u64 },
    Processors { processors: ProcessorAllocation, token: u64 },
}

impl Guest {
    pub(super) fn memory_requested(&mut self, now: Moment, megabytes: u64, token: u64) {
        self.request(now, Request::Memory { megabytes, token });
    }

    pub(super) fn processors_requested(&mut self, now: Moment, processors: ProcessorAllocation, token: u64) {
        self.request(now, Request::Processors { processors, token });
    }

    fn request(&mut self, now: Moment, request: Request) {
        if self.stage != Stage::Multiuser {
            return self.answer(request, vec!["The operating system does not respond.".to_owned()]);
        }
        if self.dynamic.len() >= DYNAMIC_REQUESTS {
            return self.answer(request, vec!["0930-029 Too many requests are waiting.".to_owned()]);
        }
        self.dynamic.push_back(request);
        if self.dynamic.len() == 1 {
            self.begin_requests(now);
        }
    }

    /// Carries out waiting requests until one needs time.
    fn begin_requests(&mut self, now: Moment) {
        while let Some(&request) = self.dynamic.front() {
            let details = match request {
                Request::Processors { processors, .. } => self.set_processors(now, processors),
                Request::Memory { megabytes, .. } if megabytes >= self.memory_megabytes() => {
                    self.add_memory(megabytes)
                }
                Request::Memory { .. } => {
                    self.dynamic_due = Some(now.monotonic.after(self.scaled(BLOCK_REMOVAL)));
                    return;
                }
            };
            self.dynamic.pop_front();
            self.answer(request, details);
        }
        // An idle guest keeps no queue.
        self.dynamic = std::collections::VecDeque::new();
    }

    /// One block's time is over.
    pub(super) fn dynamic_elapsed(&mut self, now: Moment) {
        let Some(&Request::Memory { megabytes, token }) = self.dynamic.front() else {
            return;
        };
        let present = self.memory_megabytes();
        let block = BLOCK_MEGABYTES.min(present.saturating_sub(megabytes));
        match self.remove_block(block) {
            Ok(()) if self.memory_megabytes() > megabytes => {
                self.dynamic_due = Some(now.monotonic.after(self.scaled(BLOCK_REMOVAL)));
                return;
            }
            Ok(()) => self.answer(Request::Memory { megabytes, token }, Vec::new()),
            Err(details) => self.answer(Request::Memory { megabytes, token }, details),
        }
        self.dynamic.pop_front();
        self.begin_requests(now);
    }

    fn remove_block(&mut self, megabytes: u64) -> Result<(), Vec<String>> {
        let after = self.memory_megabytes().saturating_sub(megabytes);
        let held_by_workload = self.workload.as_ref().map_or(0, |workload| workload.page_range().end);
        let held = OPERATING_SYSTEM_MEGABYTES.max((held_by_workload * 4096).div_ceil(MEGABYTE));
        if after >= held && self.memory.shrink(megabytes * MEGABYTE).is_ok() {
            return Ok(());
        }
        let resource = 0x8000_0000_u64 + self.memory_megabytes().div_ceil(BLOCK_MEGABYTES);
        Err(match self.personality() {
            Personality::Linux => vec![
                "Validating Memory DLPAR capability...yes.".to_owned(),
                format!("Could not offline LMB 0x{resource:x}: {held} MB of memory are in use."),
                "Unable to hotplug remove the remaining memory.".to_owned(),
            ],
            Personality::Aix | Personality::VirtualIoServer | Personality::IbmI => vec![
                format!("0930-033 Resource 0x{resource:x} is busy and cannot be released."),
                format!("remove_a_lmb failed: {held} MB of memory are in use. rc=1"),
                "..cleanup_and_exit. rc=1".to_owned(),
            ],
        })
    }

    fn add_memory(&mut self, megabytes: u64) -> Vec<String> {
        let most = self.specification.maximum_memory_megabytes.max(self.memory_megabytes());
        let reached = megabytes.min(most);
        self.memory.grow((reached - self.memory_megabytes()) * MEGABYTE);
        if reached == megabytes {
            return Vec::new();
        }
        vec![format!("0930-024 The partition's maximum memory of {most} MB is reached.")]
    }

    fn set_processors(&mut self, now: Moment, wanted: ProcessorAllocation) -> Vec<String> {
        if wanted.processors == 0 {
            return vec!["0930-033 The last processor is busy and cannot be released.".to_owned()];
        }
        if wanted.dedicated != self.processors.dedicated {
            return vec!["0930-052 The processor mode cannot be changed while the system runs.".to_owned()];
        }
        self.meter.account(now.monotonic, &self.processors);
        self.processors = wanted;
        Vec::new()
    }

    fn answer(&mut self, request: Request, details: Vec<String>) {
        self.event(match request {
            Request::Memory { token, .. } => {
                EngineEventKind::MemorySet { token, megabytes: self.memory_megabytes(), details }
            }
            Request::Processors { token, .. } => {
                EngineEventKind::ProcessorsSet { token, processors: self.processors, details }
            }
        });
    }

    /// Answers everything that waits: no request is left without an answer.
    pub(super) fn fail_dynamic_requests(&mut self, reason: &str) {
        self.dynamic_due = None;
        for request in std::mem::take(&mut self.dynamic) {
            self.answer(request, vec![reason.to_owned()]);
        }
    }
}
