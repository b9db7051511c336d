//! The embedded engine with the frame's Virtual I/O Servers beside it.

use std::sync::Arc;

use varan_contract::engine::{
    AdapterChange, AdoptedGuest, EngineError, EngineEvent, EngineEvents, Generation, GuestFault,
    GuestSpecification, GuestStatistics, GuestTerminal, PartitionEngine, Personality, ProcessorAllocation,
    StopRequest,
};
use varan_model::ids::PartitionUuid;
use varan_model::partition::GuestEngine;

use super::{Job, VirtualServers};

/// Hears what happens to guests before the managed system does.
pub struct ServedEvents {
    servers: Arc<VirtualServers>,
    next: Arc<dyn EngineEvents>,
}

impl ServedEvents {
    /// Puts itself before `next`.
    #[must_use]
    pub fn new(servers: Arc<VirtualServers>, next: Arc<dyn EngineEvents>) -> Self {
        // Once for each frame: the first stays.
        let _ = servers.events.set(next.clone());
        Self { servers, next }
    }
}

impl EngineEvents for ServedEvents {
    fn engine_event(&self, event: EngineEvent) {
        self.servers.happened(&event);
        self.next.engine_event(event);
    }
}

/// An engine whose Virtual I/O Servers serve.
pub struct ServingEngine {
    inner: Arc<dyn PartitionEngine>,
    servers: Arc<VirtualServers>,
}

impl ServingEngine {
    /// Puts an engine and its servers together.
    #[must_use]
    pub fn new(inner: Arc<dyn PartitionEngine>, servers: Arc<VirtualServers>) -> Self {
        let _ = servers.engine.set(Arc::downgrade(&inner));
        Self { inner, servers }
    }
}

impl PartitionEngine for ServingEngine {
    fn admit(&self, specification: GuestSpecification) -> Result<(), EngineError> {
        if specification.installation.personality == Personality::VirtualIoServer {
            self.servers.admit(&specification).map_err(EngineError::CannotStart)?;
        }
        self.inner.admit(specification)
    }

    fn power_on(&self, partition: PartitionUuid, generation: Generation) -> Result<(), EngineError> {
        self.inner.power_on(partition, generation)
    }

    fn dismiss(&self, partition: PartitionUuid, generation: Generation) {
        self.inner.dismiss(partition, generation);
    }

    fn stop(&self, partition: PartitionUuid, request: StopRequest, restart: bool) -> Result<(), EngineError> {
        // Power that is cut does not wait for the guest to say so.
        if request == StopRequest::Immediate
            && let Some(server) = self.servers.server(partition)
        {
            server.end_any(false);
        }
        self.inner.stop(partition, request, restart)
    }

    fn power_loss(&self) {
        self.servers.power_loss();
        self.inner.power_loss();
    }

    fn detach(&self) {
        self.servers.power_loss();
        self.inner.detach();
    }

    fn adopt(&self) -> Vec<AdoptedGuest> {
        self.inner.adopt()
    }

    fn set_memory(&self, partition: PartitionUuid, megabytes: u64, token: u64) -> Result<(), EngineError> {
        self.inner.set_memory(partition, megabytes, token)
    }

    fn set_processors(
        &self,
        partition: PartitionUuid,
        processors: ProcessorAllocation,
        token: u64,
    ) -> Result<(), EngineError> {
        self.inner.set_processors(partition, processors, token)
    }

    fn change_adapter(
        &self,
        partition: PartitionUuid,
        change: AdapterChange,
        token: u64,
    ) -> Result<(), EngineError> {
        match self.servers.server(partition) {
            Some(server) => {
                server.ask(Job::Change { change, token });
                Ok(())
            }
            None => self.inner.change_adapter(partition, change, token),
        }
    }

    fn name_engine(&self, partition: PartitionUuid, engine: &GuestEngine) {
        self.inner.name_engine(partition, engine);
    }

    fn open_terminal(&self, partition: PartitionUuid) -> Result<Box<dyn GuestTerminal>, EngineError> {
        self.inner.open_terminal(partition)
    }

    fn close_terminal(&self, partition: PartitionUuid) -> bool {
        self.inner.close_terminal(partition)
    }

    fn forget(&self, partition: PartitionUuid) {
        self.inner.forget(partition);
    }

    fn statistics(&self, partition: PartitionUuid) -> Result<GuestStatistics, EngineError> {
        self.inner.statistics(partition)
    }

    fn fault(&self, partition: PartitionUuid, fault: GuestFault) -> Result<(), EngineError> {
        self.inner.fault(partition, fault)?;
        self.servers.broken(partition, fault);
        Ok(())
    }
}
