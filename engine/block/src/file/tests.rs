use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use super::*;
use varan_contract::block::ExtentState;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A file that is removed at the end of its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(size: u64) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("varan-block-{}-{number}", std::process::id()));
        FileDevice::create(&path, size, false).expect("created");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn kinds() -> [FileOptions; 3] {
    let ring = FileOptions::default();
    [ring, FileOptions { driver: DriverKind::Threads, ..ring }, FileOptions { cache: Cache::Direct, ..ring }]
}

/// Submits to the driver, not on this thread.
fn queued(
    device: &FileDevice,
    request: BlockRequest,
) -> mpsc::Receiver<std::result::Result<BlockAnswer, BlockError>> {
    let (sender, receiver) = mpsc::channel();
    let completion: Completion = Box::new(move |result| sender.send(result).expect("waited for"));
    device.submit(request, completion).expect("room");
    receiver
}

fn write(offset: u64, length: usize, byte: u8) -> BlockRequest {
    let mut data = Buffer::zeroed(length);
    data.fill(byte);
    BlockRequest::Write { offset, data, force_unit_access: false }
}

#[test]
fn what_is_written_is_read_and_zeroed_and_found() {
    for options in kinds() {
        let scratch = Scratch::new(1 << 20);
        let device = FileDevice::open(&scratch.0, options).expect("opened");
        let wait = |request| queued(&device, request).recv().expect("completed");
        assert!(matches!(wait(write(65_536, 65_536, 7)), Ok(BlockAnswer::Done)));
        assert!(matches!(wait(BlockRequest::Flush), Ok(BlockAnswer::Done)));
        assert!(device.read_at(65_536, 65_536).expect("read").iter().all(|byte| *byte == 7));
        let whole = BlockRequest::BlockStatus { offset: 0, length: 1 << 20, limit: 16 };
        let Ok(BlockAnswer::Status(extents)) = wait(whole) else { panic!("no status") };
        let states: Vec<(u64, ExtentState)> =
            extents.iter().map(|extent| (extent.length, extent.state)).collect();
        if states.len() > 1 {
            let expected =
                [(65_536, ExtentState::Hole), (65_536, ExtentState::Data), (917_504, ExtentState::Hole)];
            assert_eq!(states, expected, "{options:?}");
        }
        for (may_trim, offset) in [(true, 65_536), (false, 98_304)] {
            let zeroes = BlockRequest::WriteZeroes {
                offset,
                length: 32_768,
                may_trim,
                force_unit_access: true,
                only_fast: false,
            };
            assert!(matches!(wait(zeroes), Ok(BlockAnswer::Done)));
        }
        assert!(device.read_at(0, 1 << 20).expect("read").iter().all(|byte| *byte == 0));
        assert_eq!(device.write_at(512, &[9; 512], true), Ok(()));
        let trim = BlockRequest::Trim { offset: 0, length: 4_096, force_unit_access: true };
        assert!(matches!(wait(trim), Ok(BlockAnswer::Done)));
        assert_eq!(device.read_at(1 << 20, 512).expect_err("beyond"), BlockError::OutOfRange);
    }
}

#[test]
fn overlapping_writes_take_effect_in_the_order_of_submission() {
    for options in kinds() {
        let scratch = Scratch::new(1 << 20);
        let device = FileDevice::open(&scratch.0, options).expect("opened");
        for round in 0..20_u8 {
            let receivers: Vec<_> = (1..=12_u8)
                .map(|number| queued(&device, write(u64::from(number) * 512, 65_536, number + round)))
                .collect();
            // One that is performed by its own thread comes after those submitted before.
            device.write_at(13 * 512, &[13 + round; 65_536], false).expect("written");
            for receiver in receivers {
                assert!(receiver.recv().expect("completed").is_ok());
            }
            let bytes = device.read_at(512, 13 * 512).expect("read");
            for (index, block) in bytes.chunks(512).enumerate() {
                assert!(block.iter().all(|byte| usize::from(*byte) == index + 1 + usize::from(round)));
            }
        }
    }
}

#[test]
fn a_full_queue_gives_the_request_back_and_room_comes_again() {
    let scratch = Scratch::new(1 << 20);
    let device = FileDevice::open(&scratch.0, FileOptions::default()).expect("opened");
    let (sender, receiver) = mpsc::channel();
    let mut refused = 0;
    for number in 0..5_000_u64 {
        let sender = sender.clone();
        let mut request = write(number % 16 * 512, 4_096, 1);
        let mut completion: Completion = Box::new(move |result| sender.send(result.is_ok()).expect("waited"));
        while let Err(full) = device.submit(request, completion) {
            refused += 1;
            device.wait_for_room();
            QueueFull { request, completion } = full;
        }
    }
    assert!((0..5_000).all(|_| receiver.recv().expect("completed")));
    println!("refused {refused} times");
}

#[test]
fn a_file_that_is_cut_off_fails_and_stays_short() {
    for options in kinds() {
        let scratch = Scratch::new(1 << 20);
        let device = FileDevice::open(&scratch.0, options).expect("opened");
        device.write_at(0, &[1; 4_096], true).expect("written");
        File::options().write(true).open(&scratch.0).expect("opened").set_len(4_096).expect("cut");
        let failed = |result: std::result::Result<BlockAnswer, BlockError>| {
            assert!(matches!(result, Err(BlockError::Medium(_))), "{result:?}");
        };
        failed(queued(&device, write(65_536, 4_096, 1)).recv().expect("completed"));
        failed(device.perform(write(0, 4_096, 1)));
        let read = || BlockRequest::Read { offset: 0, buffer: Buffer::zeroed(8_192) };
        failed(queued(&device, read()).recv().expect("completed"));
        failed(device.perform(read()));
        assert_eq!(std::fs::metadata(&scratch.0).expect("there").len(), 4_096);
        assert_eq!(*device.read_at(0, 4_096).expect("what is left"), [1; 4_096]);
    }
}

#[test]
fn a_file_that_lost_its_name_takes_no_writes() {
    let scratch = Scratch::new(1 << 20);
    let device = FileDevice::open(&scratch.0, FileOptions::default()).expect("opened");
    std::fs::remove_file(&scratch.0).expect("removed");
    assert_eq!(device.write_at(0, &[1; 512], false), Err(BlockError::Gone));
    assert_eq!(queued(&device, write(0, 512, 1)).recv().expect("completed").err(), Some(BlockError::Gone));
}

#[test]
fn a_file_is_open_for_writing_once() {
    let scratch = Scratch::new(4_096);
    let writing = FileOptions::default();
    let reading = FileOptions { read_only: true, ..writing };
    let first = FileDevice::open(&scratch.0, writing).expect("opened");
    assert_eq!(
        FileDevice::open(&scratch.0, reading).err().map(|error| error.kind()),
        Some(ErrorKind::WouldBlock)
    );
    drop(first);
    let readers = [reading, reading].map(|options| FileDevice::open(&scratch.0, options).expect("opened"));
    assert!(FileDevice::open(&scratch.0, writing).is_err());
    assert_eq!(readers[0].write_at(0, &[0; 512], false), Err(BlockError::ReadOnly));
}

#[test]
fn odd_files_are_refused_and_existing_ones_kept() {
    let scratch = Scratch::new(4_096);
    let error = FileDevice::create(&scratch.0, 8_192, false).expect_err("there already");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    File::options().write(true).open(&scratch.0).expect("opened").set_len(1_000).expect("cut");
    let error = FileDevice::open(&scratch.0, FileOptions::default()).err().expect("odd");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let directory =
        FileDevice::open(&std::env::temp_dir(), FileOptions { read_only: true, ..FileOptions::default() });
    assert!(directory.is_err());
}

#[test]
fn a_full_file_system_is_told_apart() {
    // Every write to this device of the host's fails for want of room.
    let Ok(file) = File::options().read(true).write(true).open("/dev/full") else {
        println!("SKIP: full file system: no /dev/full");
        return;
    };
    let geometry = Geometry { size: 1 << 20, logical_block_size: 512, alignment: 1, read_only: false };
    for kind in [DriverKind::Automatic, DriverKind::Threads] {
        let backing = Arc::new(Backing::new(file.try_clone().expect("cloned"), false, geometry));
        let device = FileDevice { driver: Driver::new(backing, kind) };
        let result = queued(&device, write(0, 4_096, 1)).recv().expect("completed");
        assert_eq!(result.err(), Some(BlockError::NoSpace));
        assert_eq!(device.write_at(0, &[1; 512], false), Err(BlockError::NoSpace));
        // It cannot be flushed either, and from then on no flush is believed, on whichever way.
        assert!(matches!(
            queued(&device, BlockRequest::Flush).recv().expect("completed"),
            Err(BlockError::Medium(_))
        ));
        assert!(matches!(device.flush(), Err(BlockError::Medium(_))));
    }
}

#[test]
fn dropping_waits_for_what_is_under_way() {
    for options in kinds() {
        let scratch = Scratch::new(8 << 20);
        let device = FileDevice::open(&scratch.0, options).expect("opened");
        let receivers: Vec<_> =
            (0..64).map(|number| queued(&device, write(number * 65_536, 65_536, 3))).collect();
        drop(device);
        for receiver in receivers {
            assert!(receiver.try_recv().expect("completed before").is_ok());
        }
    }
}
