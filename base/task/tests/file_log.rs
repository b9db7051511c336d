//! The file log: what was acknowledged survives, a torn tail does not matter, damage is told.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use varan_task::{FileTaskLog, LogError, LogStorage, TaskId, TaskLog, TaskRecord};

fn record(number: u64) -> TaskRecord {
    TaskRecord::Done { task: TaskId(number), step: "step".into(), output: json!({ "number": number }) }
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("varan-task-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn records_survive_reopening_and_replacing() {
    let folder = folder("reopen");
    let path = folder.join("tasks.log");
    let mut log = FileTaskLog::open(&path).unwrap();
    assert!(log.read().unwrap().is_empty());
    log.append(&[record(1), record(2)]).unwrap();
    log.append_lazily(&record(3)).unwrap();
    assert!(matches!(FileTaskLog::open(&path), Err(LogError::InUse)));
    drop(log);
    let mut log = FileTaskLog::open(&path).unwrap();
    assert_eq!(log.read().unwrap(), [record(1), record(2), record(3)]);
    log.replace(&[record(3)]).unwrap();
    log.append(&[record(4)]).unwrap();
    drop(log);
    assert_eq!(FileTaskLog::open(&path).unwrap().read().unwrap(), [record(3), record(4)]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_cut_anywhere_opens_with_the_whole_lines_before_the_cut() {
    let folder = folder("cut");
    let path = folder.join("tasks.log");
    let mut log = FileTaskLog::open(&path).unwrap();
    for number in 0..5 {
        log.append(&[record(number)]).unwrap();
    }
    drop(log);
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let whole = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
        let mut log = FileTaskLog::open(&path).unwrap();
        let expected: Vec<TaskRecord> = (0..whole as u64).map(record).collect();
        assert_eq!(log.read().unwrap(), expected, "cut at {length}");
        log.append(&[record(9)]).unwrap();
        drop(log);
        assert_eq!(FileTaskLog::open(&path).unwrap().read().unwrap().last(), Some(&record(9)));
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_bit_turned_over_before_the_last_two_lines_is_told_and_never_misread() {
    let folder = folder("flip");
    let path = folder.join("tasks.log");
    let mut log = FileTaskLog::open(&path).unwrap();
    for number in 0..4 {
        log.append(&[record(number)]).unwrap();
    }
    drop(log);
    let bytes = std::fs::read(&path).unwrap();
    let ends: Vec<usize> = (0..bytes.len()).filter(|index| bytes[*index] == b'\n').collect();
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1 << (position % 8);
        std::fs::write(&path, &damaged).unwrap();
        let line = ends.iter().filter(|end| **end < position).count();
        match FileTaskLog::open(&path) {
            Err(LogError::Damaged { .. }) => assert!(line < 3, "byte {position}"),
            Err(other) => panic!("byte {position}: {other}"),
            Ok(mut log) => {
                let read = log.read().unwrap();
                assert!(line >= 1, "byte {position}: two durable lines follow");
                assert_eq!(read, (0..read.len() as u64).map(record).collect::<Vec<_>>(), "byte {position}");
            }
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// A file whose unsynced writes a power loss keeps or turns into zeroes, block by block, and whose
/// operations can be made to fail.
#[derive(Clone, Default)]
struct Faulty(Arc<Mutex<Image>>);

#[derive(Default)]
struct Image {
    durable: Vec<u8>,
    live: Vec<u8>,
    operations_left: Option<usize>,
}

const BLOCK: usize = 16;

impl Image {
    fn operate(&mut self) -> io::Result<()> {
        match self.operations_left.as_mut() {
            Some(0) => Err(io::Error::other("injected")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn power_loss(&mut self, random: &mut fastrand::Rng) {
        // The length may or may not have reached the disk, and each block beyond the durable part too.
        let longest = self.live.len().max(self.durable.len());
        let length = random.usize(self.durable.len().min(longest)..=longest);
        let mut found = self.durable.clone();
        found.resize(length, 0);
        for start in (0..length).step_by(BLOCK) {
            let end = (start + BLOCK).min(length).min(self.live.len());
            if start < end && random.bool() {
                found[start..end].copy_from_slice(&self.live[start..end]);
            }
        }
        self.durable.clone_from(&found);
        self.live = found;
        self.operations_left = None;
    }
}

impl LogStorage for Faulty {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.lock().unwrap().live.clone())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut image = self.0.lock().unwrap();
        let outcome = image.operate();
        let start = usize::try_from(offset).unwrap();
        image.live.resize(start, 0);
        image.live.extend_from_slice(bytes);
        outcome
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut image = self.0.lock().unwrap();
        image.operate()?;
        image.live.truncate(usize::try_from(length).unwrap());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut image = self.0.lock().unwrap();
        image.operate()?;
        image.durable = image.live.clone();
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut image = self.0.lock().unwrap();
        image.operate()?;
        image.live = bytes.to_vec();
        image.durable = bytes.to_vec();
        Ok(())
    }
}

#[test]
fn what_was_acknowledged_survives_power_loss_and_nothing_else_appears_but_what_was_on_its_way() {
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let storage = Faulty::default();
        let mut acknowledged: Vec<TaskRecord> = Vec::new();
        let mut next = 0;
        for _ in 0..8 {
            let mut log = FileTaskLog::with_storage(storage.clone()).unwrap_or_else(|error| {
                panic!("seed {seed}: {error}");
            });
            let found = log.read().unwrap();
            assert!(found.starts_with(&acknowledged), "seed {seed}: {found:?} lacks {acknowledged:?}");
            // What was on its way may be there, in order.
            let tail: Vec<u64> = found[acknowledged.len()..].iter().map(|record| record.task().0).collect();
            assert!(tail.is_sorted(), "seed {seed}: {tail:?}");
            acknowledged = found;
            storage.0.lock().unwrap().operations_left = Some(random.usize(0..12));
            let mut lazy = Vec::new();
            loop {
                next += 1;
                let outcome = if random.bool() {
                    log.append(&[record(next)]).map(|()| {
                        acknowledged.append(&mut lazy);
                        acknowledged.push(record(next));
                    })
                } else {
                    log.append_lazily(&record(next)).map(|()| lazy.push(record(next)))
                };
                if outcome.is_err() {
                    assert!(matches!(log.append(&[record(0)]), Err(LogError::Stopped)));
                    break;
                }
            }
            storage.0.lock().unwrap().power_loss(&mut random);
        }
    }
}

#[test]
fn a_record_that_is_too_large_is_refused_and_the_log_goes_on() {
    let mut log = FileTaskLog::with_storage(Faulty::default()).unwrap();
    let huge = TaskRecord::Done {
        task: TaskId(1),
        step: "step".into(),
        output: json!("x".repeat(varan_task::file_log::LINE_LIMIT)),
    };
    assert!(matches!(log.append(&[huge]), Err(LogError::TooLarge { .. })));
    log.append(&[record(1)]).unwrap();
}
