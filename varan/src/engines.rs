//! The engine of a managed system: each partition on the engine that its definition names.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use varan_contract::engine::{
    AdapterChange, AdoptedGuest, EngineError, Generation, GuestFault, GuestSpecification, GuestStatistics,
    GuestTerminal, PartitionEngine, ProcessorAllocation, StopRequest,
};
use varan_model::ids::PartitionUuid;
use varan_model::partition::GuestEngine;

/// Two engines behind one. What a partition's definition said at the start or its last admission decides where requests
/// go.
pub struct RoutedEngine {
    embedded: Arc<dyn PartitionEngine>,
    qemu: Arc<dyn PartitionEngine>,
    /// Partitions on QEMU: few, while those on the embedded engine may be thousands.
    on_qemu: Mutex<HashSet<PartitionUuid>>,
}

impl RoutedEngine {
    /// Puts two engines together; `on_qemu` are the partitions that are defined to run on QEMU now.
    #[must_use]
    pub fn new(
        embedded: Arc<dyn PartitionEngine>,
        qemu: Arc<dyn PartitionEngine>,
        on_qemu: HashSet<PartitionUuid>,
    ) -> Self {
        Self { embedded, qemu, on_qemu: Mutex::new(on_qemu) }
    }

    fn on_qemu(&self) -> MutexGuard<'_, HashSet<PartitionUuid>> {
        self.on_qemu.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn engine(&self, partition: PartitionUuid) -> &dyn PartitionEngine {
        if self.on_qemu().contains(&partition) { &*self.qemu } else { &*self.embedded }
    }
}

impl PartitionEngine for RoutedEngine {
    fn admit(&self, specification: GuestSpecification) -> Result<(), EngineError> {
        match specification.engine {
            GuestEngine::Embedded => {
                self.on_qemu().remove(&specification.partition);
                self.embedded.admit(specification)
            }
            GuestEngine::Qemu(_) => {
                self.on_qemu().insert(specification.partition);
                self.qemu.admit(specification)
            }
        }
    }

    fn power_on(&self, partition: PartitionUuid, generation: Generation) -> Result<(), EngineError> {
        self.engine(partition).power_on(partition, generation)
    }

    fn dismiss(&self, partition: PartitionUuid, generation: Generation) {
        self.engine(partition).dismiss(partition, generation);
    }

    fn stop(&self, partition: PartitionUuid, request: StopRequest, restart: bool) -> Result<(), EngineError> {
        self.engine(partition).stop(partition, request, restart)
    }

    fn power_loss(&self) {
        self.embedded.power_loss();
        self.qemu.power_loss();
    }

    fn detach(&self) {
        self.embedded.detach();
        self.qemu.detach();
    }

    fn adopt(&self) -> Vec<AdoptedGuest> {
        let mut adopted = self.embedded.adopt();
        let real = self.qemu.adopt();
        self.on_qemu().extend(real.iter().map(|guest| guest.partition));
        adopted.extend(real);
        adopted
    }

    fn set_memory(&self, partition: PartitionUuid, megabytes: u64, token: u64) -> Result<(), EngineError> {
        self.engine(partition).set_memory(partition, megabytes, token)
    }

    fn set_processors(
        &self,
        partition: PartitionUuid,
        processors: ProcessorAllocation,
        token: u64,
    ) -> Result<(), EngineError> {
        self.engine(partition).set_processors(partition, processors, token)
    }

    fn change_adapter(
        &self,
        partition: PartitionUuid,
        change: AdapterChange,
        token: u64,
    ) -> Result<(), EngineError> {
        self.engine(partition).change_adapter(partition, change, token)
    }

    fn name_engine(&self, partition: PartitionUuid, engine: &GuestEngine) {
        if matches!(engine, GuestEngine::Qemu(_)) {
            self.on_qemu().insert(partition);
        }
    }

    fn open_terminal(&self, partition: PartitionUuid) -> Result<Box<dyn GuestTerminal>, EngineError> {
        self.engine(partition).open_terminal(partition)
    }

    fn close_terminal(&self, partition: PartitionUuid) -> bool {
        self.engine(partition).close_terminal(partition)
    }

    fn forget(&self, partition: PartitionUuid) {
        self.engine(partition).forget(partition);
        self.on_qemu().remove(&partition);
    }

    fn fault(&self, partition: PartitionUuid, fault: GuestFault) -> Result<(), EngineError> {
        self.engine(partition).fault(partition, fault)
    }

    fn statistics(&self, partition: PartitionUuid) -> Result<GuestStatistics, EngineError> {
        self.engine(partition).statistics(partition)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use varan_contract::engine::{EngineEvent, EngineEvents};
    use varan_environment::RealEnvironment;
    use varan_model::partition::KernelBoot;
    use varan_partition_engine::{EmbeddedEngine, EngineOptions, FrameArena, Workers};

    use super::*;

    struct Nobody;

    impl EngineEvents for Nobody {
        fn engine_event(&self, _: EngineEvent) {}
    }

    fn engine() -> Arc<EmbeddedEngine> {
        let options = EngineOptions { time_scale: 1.0, workers: Workers::Threads(NonZeroUsize::MIN) };
        let arena = FrameArena::new(1 << 20).expect("memory");
        let environment = Arc::new(RealEnvironment::new());
        Arc::new(EmbeddedEngine::new(options, arena, environment, Arc::new(Nobody)).expect("engine"))
    }

    #[test]
    fn a_terminal_is_of_the_engine_that_the_definition_names() {
        let (embedded, qemu) = (engine(), engine());
        let routed = RoutedEngine::new(embedded.clone(), qemu.clone(), HashSet::new());
        let (one, other) = (PartitionUuid::from_random(1), PartitionUuid::from_random(2));
        routed.name_engine(one, &GuestEngine::Qemu(KernelBoot::default()));
        routed.name_engine(other, &GuestEngine::Embedded);
        let _open = (routed.open_terminal(one).expect("free"), routed.open_terminal(other).expect("free"));
        let busy = |engine: &EmbeddedEngine, partition| engine.open_terminal(partition).is_err();
        assert_eq!((busy(&embedded, one), busy(&qemu, one)), (false, true));
        assert_eq!((busy(&embedded, other), busy(&qemu, other)), (true, false));
        assert!(routed.close_terminal(one) && routed.close_terminal(other));
        // A partition of that identity that is made later may be another one.
        routed.forget(one);
        let _open = routed.open_terminal(one).expect("free");
        assert!(busy(&embedded, one));
    }
}
