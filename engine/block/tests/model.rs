//! Every kind of device against bytes in a vector: whatever is asked of it, it answers as the vector would.

#![allow(missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use varan_block_engine::{
    Cache, DriverKind, FileDevice, FileOptions, MemoryDevice, ReadOnly, Volume, VolumePart,
};
use varan_contract::block::{BlockAnswer, BlockDevice, BlockError, BlockRequest, Buffer, ExtentState};

const SIZE: u64 = 256 << 10;

#[derive(Clone, Debug)]
enum Action {
    Read { offset: u64, length: u64 },
    Write { offset: u64, length: u64, byte: u8, durable: bool },
    Zero { offset: u64, length: u64, may_trim: bool },
    Trim { offset: u64, length: u64 },
    Status { offset: u64, length: u64 },
    Flush,
}

/// Offsets and lengths in blocks of 512, some beyond the end.
fn range() -> impl Strategy<Value = (u64, u64)> {
    let blocks = SIZE / 512;
    (0..=blocks, prop_oneof![0..=8_u64, 0..=blocks]).prop_map(|(offset, length)| (offset * 512, length * 512))
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        range().prop_map(|(offset, length)| Action::Read { offset, length }),
        (range(), any::<u8>(), any::<bool>()).prop_map(|((offset, length), byte, durable)| Action::Write {
            offset,
            length,
            byte,
            durable
        }),
        (range(), any::<bool>()).prop_map(|((offset, length), may_trim)| Action::Zero {
            offset,
            length,
            may_trim
        }),
        range().prop_map(|(offset, length)| Action::Trim { offset, length }),
        range().prop_map(|(offset, length)| Action::Status { offset, length }),
        Just(Action::Flush),
    ]
}

/// Through the driver or on this thread, in turns.
fn ask(device: &dyn BlockDevice, request: BlockRequest, queued: bool) -> Result<BlockAnswer, BlockError> {
    if !queued {
        return device.perform(request);
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    device.submit(request, Box::new(move |result| sender.send(result).expect("waited for"))).expect("room");
    receiver.recv().expect("completed")
}

fn request(action: &Action) -> BlockRequest {
    match *action {
        Action::Read { offset, length } => {
            BlockRequest::Read { offset, buffer: Buffer::zeroed(length as usize) }
        }
        Action::Write { offset, length, byte, durable } => {
            let mut data = Buffer::zeroed(length as usize);
            data.fill(byte);
            BlockRequest::Write { offset, data, force_unit_access: durable }
        }
        Action::Zero { offset, length, may_trim } => {
            BlockRequest::WriteZeroes { offset, length, may_trim, force_unit_access: false, only_fast: false }
        }
        Action::Trim { offset, length } => BlockRequest::Trim { offset, length, force_unit_access: false },
        Action::Status { offset, length } => BlockRequest::BlockStatus { offset, length, limit: 4 },
        Action::Flush => BlockRequest::Flush,
    }
}

fn follow(device: &dyn BlockDevice, actions: &[Action]) {
    let mut model = vec![0_u8; SIZE as usize];
    for (index, action) in actions.iter().enumerate() {
        let request = request(action);
        let (offset, length) = request.range().unwrap_or((0, 0));
        let empty_status = matches!(request, BlockRequest::BlockStatus { length: 0, .. });
        let result = ask(device, request, index % 2 == 0);
        if offset + length > SIZE || empty_status {
            assert_eq!(result.err(), Some(BlockError::OutOfRange), "{action:?}");
            continue;
        }
        let answer = result.unwrap_or_else(|error| panic!("{action:?}: {error}"));
        let (from, to) = (offset as usize, (offset + length) as usize);
        match (action, answer) {
            (Action::Read { .. }, BlockAnswer::Data(bytes)) => {
                assert!(*bytes == model[from..to], "{action:?}")
            }
            (Action::Write { byte, .. }, BlockAnswer::Done) => model[from..to].fill(*byte),
            (Action::Zero { .. }, BlockAnswer::Done) => model[from..to].fill(0),
            (Action::Trim { .. }, BlockAnswer::Done) => {
                // What was trimmed reads as it was or as zeros; from now on it is known which.
                let bytes = device.read_at(offset, length as usize).expect("read");
                for (byte, old) in bytes.iter().zip(&mut model[from..to]) {
                    assert!(*byte == *old || *byte == 0, "{action:?}");
                    *old = *byte;
                }
            }
            (Action::Status { .. }, BlockAnswer::Status(extents)) => {
                let mut at = from;
                assert!(!extents.is_empty() && extents.len() <= 4);
                for extent in extents {
                    let end = at + extent.length as usize;
                    assert!(extent.length > 0 && end <= to, "{action:?}");
                    let zeros = model[at..end].iter().all(|byte| *byte == 0);
                    assert!(extent.state == ExtentState::Data || zeros, "{action:?} says {extent:?}");
                    at = end;
                }
            }
            (Action::Flush, BlockAnswer::Done) => {}
            (action, answer) => panic!("{action:?} was answered with {answer:?}"),
        }
    }
    assert!(*device.read_at(0, SIZE as usize).expect("read") == *model);
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

fn with_file<T>(size: u64, options: FileOptions, test: impl FnOnce(FileDevice) -> T) -> T {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("varan-block-model-{}-{number}", std::process::id()));
    FileDevice::create(&path, size, number.is_multiple_of(2)).expect("created");
    let device = FileDevice::open(&path, options).expect("opened");
    // An open file needs its name to take writes; it goes when the test is over, also by a panic.
    struct Name(std::path::PathBuf);
    impl Drop for Name {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
    let _name = Name(path);
    test(device)
}

/// Parts of three devices, out of order, one of them used twice.
fn volume(file: FileDevice) -> Volume {
    let file: Arc<dyn BlockDevice> = Arc::new(file);
    let memory: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new(SIZE));
    let part = |device: &Arc<dyn BlockDevice>, offset: u64, length: u64| VolumePart {
        device: Arc::clone(device),
        offset: offset << 10,
        length: length << 10,
    };
    Volume::new(vec![part(&file, 64, 64), part(&memory, 1, 3), part(&memory, 64, 125), part(&file, 0, 64)])
        .expect("a volume")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn memory(actions in prop::collection::vec(action(), 1..40)) {
        follow(&MemoryDevice::new(SIZE), &actions);
    }

    #[test]
    fn files(
        actions in prop::collection::vec(action(), 1..40),
        threads in any::<bool>(),
        direct in any::<bool>(),
    ) {
        let options = FileOptions {
            driver: if threads { DriverKind::Threads } else { DriverKind::Automatic },
            cache: if direct { Cache::Direct } else { Cache::Buffered },
            ..FileOptions::default()
        };
        with_file(SIZE, options, |device| follow(&device, &actions));
    }

    #[test]
    fn volumes(actions in prop::collection::vec(action(), 1..40)) {
        with_file(128 << 10, FileOptions::default(), |device| follow(&volume(device), &actions));
    }
}

#[test]
fn a_read_only_view_refuses_what_changes_bytes() {
    let view = ReadOnly(MemoryDevice::new(4_096));
    assert!(view.geometry().read_only);
    assert_eq!(view.write_at(0, &[1; 512], false), Err(BlockError::ReadOnly));
    let trim = BlockRequest::Trim { offset: 0, length: 512, force_unit_access: false };
    assert_eq!(ask(&view, trim, true).err(), Some(BlockError::ReadOnly));
    assert!(view.read_at(0, 4_096).is_ok() && view.flush().is_ok());
}

#[test]
fn parts_that_make_no_volume_are_refused() {
    let device: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new(4_096));
    let new = |offset, length| {
        Volume::new(vec![VolumePart { device: Arc::clone(&device), offset, length }])
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(new(0, 4_096), None);
    assert_eq!(new(0, 4_608).as_deref(), Some("part 0 reaches beyond its device"));
    assert_eq!(new(u64::MAX - 511, 512).as_deref(), Some("part 0 reaches beyond its device"));
    assert_eq!(new(1, 512).as_deref(), Some("part 0 does not begin and end at a block"));
    assert_eq!(new(0, 0).as_deref(), Some("a volume needs parts that are not empty"));
    assert!(Volume::new(Vec::new()).is_err());
}

#[test]
fn a_range_over_very_many_parts_needs_little_stack() {
    let device: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new(100_000 * 512));
    // Backwards, so that no two are one after the other.
    let parts = (0..100_000_u64).rev().map(|part| VolumePart {
        device: Arc::clone(&device),
        offset: part * 512,
        length: 512,
    });
    let volume = Volume::new(parts.collect()).expect("a volume");
    let zeroes = BlockRequest::WriteZeroes {
        offset: 0,
        length: 100_000 * 512,
        may_trim: true,
        force_unit_access: false,
        only_fast: false,
    };
    assert!(ask(&volume, zeroes, true).is_ok());
}
