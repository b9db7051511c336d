use std::collections::BTreeMap;
use std::sync::mpsc;

use super::*;
use varan_contract::block::Buffer;

/// A device whose requests end when the test says so.
#[derive(Default)]
struct Stalled {
    pending: Mutex<Vec<(BlockRequest, Completion)>>,
    written: Mutex<Vec<u8>>,
}

impl Stalled {
    fn pending(&self) -> usize {
        self.pending.lock().expect("unpoisoned").len()
    }

    /// Ends one request, as the medium does: any of them.
    fn end(&self, index: usize) {
        let (request, completion) = self.pending.lock().expect("unpoisoned").swap_remove(index);
        if let BlockRequest::Write { data, .. } = request {
            self.written.lock().expect("unpoisoned").push(data[0]);
        }
        completion(Ok(BlockAnswer::Done));
    }
}

impl BlockDevice for Stalled {
    fn geometry(&self) -> Geometry {
        Geometry { size: 1 << 20, logical_block_size: 512, alignment: 512, read_only: false }
    }

    fn submit(&self, request: BlockRequest, completion: Completion) -> Result<(), QueueFull> {
        let mut pending = self.pending.lock().expect("unpoisoned");
        if pending.len() == 8 {
            return Err(QueueFull { request, completion });
        }
        pending.push((request, completion));
        Ok(())
    }

    fn wait_for_room(&self) {}
}

const CLIENT: PartitionUuid = PartitionUuid(7);

fn unit() -> Udid {
    "unit".parse().expect("valid")
}

fn path(name: &str) -> PathName {
    name.parse().expect("valid")
}

fn nexus(name: &str, epoch: u64, generation: u64) -> Nexus {
    Nexus { client: CLIENT, epoch: Epoch(epoch), path: path(name), generation: PathGeneration(generation) }
}

fn write(byte: u8) -> BlockRequest {
    BlockRequest::Write { offset: 0, data: Buffer::from(&[byte; 512][..]), force_unit_access: false }
}

fn refused(gate: &Gate, request: BlockRequest) -> Option<BlockError> {
    let (sender, receiver) = mpsc::channel();
    gate.submit(request, Box::new(move |result| sender.send(result.err()).expect("waited"))).expect("room");
    receiver.try_recv().expect("inside the call")
}

#[test]
fn a_revocation_waits_for_the_device_and_for_no_client() {
    let (fence, device) = (Fence::new(), Arc::new(Stalled::default()));
    let old = fence.open(&unit(), device.clone(), nexus("vios1", 0, 1)).expect("permitted");
    let (sender, ended) = mpsc::channel();
    old.submit(write(1), Box::new(move |result| sender.send(result.is_ok()).expect("waited"))).expect("room");
    let drain = fence.revoke_path(&unit(), CLIENT, &path("vios1"), PathGeneration(2));
    assert!(!drain.is_quiet(), "a write is under way");
    // The client continues with what it had in hand.
    assert_eq!(refused(&old, write(2)), Some(BlockError::Revoked));
    let read = BlockRequest::Read { offset: 0, buffer: Buffer::zeroed(512) };
    assert_eq!(refused(&old, read), Some(BlockError::Revoked), "reads as well");
    assert_eq!(old.perform(write(3)).err(), Some(BlockError::Revoked));
    let waiter = std::thread::spawn(move || drain.wait());
    device.end(0);
    waiter.join().expect("ended");
    assert_eq!(ended.recv(), Ok(true), "what had entered ends as it does");
    assert_eq!(*device.written.lock().expect("unpoisoned"), [1]);
    assert_eq!(fence.open(&unit(), device.clone(), nexus("vios1", 0, 1)).err(), Some(BlockError::Revoked));
    assert!(fence.open(&unit(), device.clone(), nexus("vios1", 0, 2)).is_ok());
    assert!(fence.open(&unit(), device, nexus("vios2", 0, 0)).is_ok(), "the other path is as it was");
}

#[test]
fn only_the_present_epoch_enters() {
    let (fence, device) = (Fence::new(), Arc::new(Stalled::default()));
    let open = |epoch| fence.open(&unit(), device.clone(), nexus("vios1", epoch, 0));
    let before = open(0).expect("no record");
    assert_eq!(open(1).err(), Some(BlockError::Revoked), "not before there is a record");
    fence.set_epoch(CLIENT, Epoch(1)).wait();
    assert_eq!(refused(&before, BlockRequest::Flush), Some(BlockError::Revoked));
    let first = open(1).expect("permitted");
    fence.set_epoch(CLIENT, Epoch(2)).wait();
    assert_eq!(refused(&first, write(1)), Some(BlockError::Revoked));
    assert_eq!(open(1).err(), Some(BlockError::Revoked));
    assert!(open(2).is_ok());
    assert_eq!(device.pending(), 0);
}

#[test]
fn opening_waits_for_what_was_revoked_before() {
    let (fence, device) = (Fence::new(), Arc::new(Stalled::default()));
    let old = fence.open(&unit(), device.clone(), nexus("vios1", 0, 1)).expect("permitted");
    old.submit(write(1), Box::new(|_| ())).expect("room");
    // Whoever revoked died before it could wait.
    drop(fence.revoke_path(&unit(), CLIENT, &path("vios1"), PathGeneration(2)));
    drop(old);
    let (sender, opened) = mpsc::channel();
    let (fence_then, device_then) = (Arc::clone(&fence), device.clone());
    let thread = std::thread::spawn(move || {
        let gate = fence_then.open(&unit(), device_then.clone(), nexus("vios2", 0, 0)).expect("permitted");
        sender.send(device_then.written.lock().expect("unpoisoned").clone()).expect("waited");
        drop(gate);
    });
    while device.pending() == 0 {
        std::thread::yield_now();
    }
    device.end(0);
    assert_eq!(opened.recv().expect("opened"), [1], "the old write was over before");
    thread.join().expect("ended");
}

#[test]
fn a_full_device_gives_back_and_counts_out() {
    let (fence, device) = (Fence::new(), Arc::new(Stalled::default()));
    let gate = fence.open(&unit(), device.clone(), nexus("vios1", 0, 1)).expect("permitted");
    let (sender, receiver) = mpsc::channel();
    for _ in 0..8 {
        let sender = sender.clone();
        gate.submit(write(1), Box::new(move |_| sender.send(1).expect("waited"))).expect("room");
    }
    let full = gate.submit(write(9), Box::new(move |_| sender.send(9).expect("waited"))).expect_err("full");
    let drain = fence.revoke_path(&unit(), CLIENT, &path("vios1"), PathGeneration(2));
    (0..8).for_each(|_| device.end(0));
    assert!(drain.is_quiet(), "the one given back counts no more");
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1; 8]);
    (full.completion)(Err(BlockError::Busy));
    assert_eq!(receiver.recv(), Ok(9), "its completion was kept");
}

/// Clients that write on two paths, a device that ends requests in any order, and revocations, in an order that comes from
/// a seed. A client may be stopped for any number of steps between taking a gate and using it. Each write carries the
/// epoch or generation under which it was made; none may reach the device after its revocation was quiet.
#[test]
fn no_interleaving_lets_a_stale_write_through() {
    for seed in 0..2_000_u64 {
        let mut state = seed;
        let mut random = |below: usize| (varan_environment::split_mix(&mut state) % below as u64) as usize;
        let (fence, device) = (Fence::new(), Arc::new(Stalled::default()));
        let mut gates: Vec<Gate> = Vec::new();
        let mut drains: Vec<(u8, Drain)> = Vec::new();
        // What is written: the round. Rises with every revocation; a gate of an earlier round is stale.
        let mut round = 0_u8;
        let mut epoch = 0;
        let mut generations: BTreeMap<&str, u64> = BTreeMap::from([("vios1", 0), ("vios2", 0)]);
        let mut made: BTreeMap<usize, u8> = BTreeMap::new();
        // The lowest round that may still be written.
        let mut lowest = 0_u8;
        let mut seen = 0;
        for _ in 0..120 {
            match random(6) {
                // Opening would wait for what is revoked and under way; this test has one thread.
                0 if drains.is_empty() => {
                    let name = ["vios1", "vios2"][random(2)];
                    let nexus = nexus(name, epoch, generations[name]);
                    made.insert(gates.len(), round);
                    gates.push(fence.open(&unit(), device.clone(), nexus).expect("the newest"));
                }
                0..=2 if !gates.is_empty() => {
                    // Any gate, however old: its client was stopped meanwhile.
                    let index = random(gates.len());
                    let _ = gates[index].submit(write(made[&index]), Box::new(|_| ()));
                }
                3 if device.pending() > 0 => device.end(random(device.pending())),
                4 if device.pending() > 0 => device.end(0),
                5 if random(4) == 0 && drains.is_empty() => {
                    round += 1;
                    if random(2) == 0 {
                        epoch += 1;
                        drains.push((round, fence.set_epoch(CLIENT, Epoch(epoch))));
                    } else {
                        let mut drain = Drain::default();
                        for (name, generation) in &mut generations {
                            *generation += 1;
                            let minimum = PathGeneration(*generation);
                            drain.0.extend(fence.revoke_path(&unit(), CLIENT, &path(name), minimum).0);
                        }
                        drains.push((round, drain));
                    }
                }
                _ => {}
            }
            let written = device.written.lock().expect("unpoisoned").clone();
            let late = written[seen..].iter().any(|byte| *byte < lowest);
            assert!(!late, "seed {seed}: {written:?} after {lowest}");
            seen = written.len();
            drains.retain(|(of, drain)| {
                if drain.is_quiet() {
                    lowest = *of;
                }
                !drain.is_quiet()
            });
            let pending = device.pending.lock().expect("unpoisoned");
            for (request, _) in pending.iter() {
                if let BlockRequest::Write { data, .. } = request {
                    assert!(data[0] >= lowest, "seed {seed}: a stale write is at the device");
                }
            }
        }
    }
}

#[test]
fn threads_that_hammer_a_gate_never_pass_after_its_revocation() {
    let (fence, device) = (Fence::new(), Arc::new(crate::MemoryDevice::new(4_096)));
    for generation in 1..200_u64 {
        let gate = fence.open(&unit(), device.clone(), nexus("vios1", 0, generation)).expect("permitted");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let byte = [generation as u8; 512];
                    while gate.write_at(0, &byte, false) != Err(BlockError::Revoked) {}
                });
            }
            while device.read_at(0, 1).expect("read")[0] != generation as u8 {
                std::thread::yield_now();
            }
            fence.revoke_path(&unit(), CLIENT, &path("vios1"), PathGeneration(generation + 1)).wait();
            // From here on the unit is somebody else's: nothing of the old generation may show up again.
            device.write_at(0, &[0; 512], false).expect("written");
        });
        assert_eq!(device.read_at(0, 1).expect("read")[0], 0, "generation {generation}");
    }
}
