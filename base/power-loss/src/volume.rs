//! A volume: its directory, its power, and the operations of files on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::directory::{Directory, FileNumber};
use crate::random::Random;
use crate::vfs::{self, Region};

/// A directory whose files are in memory and lose what was not synced when the power goes.
///
/// ```text
///              the operation that cut_power_after names
///   powered ----------------------------------------------> without power: every operation fails
///      ^                                                                  |
///      +--------------------------- restore_power ------------------------+
/// ```
///
/// Databases that were open when the power went keep failing: a program that lost its power opens them again.
pub struct Volume(Arc<Shared>);

/// What a volume and the files open on it share.
pub(crate) struct Shared {
    directory: PathBuf,
    state: Mutex<State>,
}

struct State {
    directory: Directory,
    random: Random,
    powered: bool,
    /// Rises with each loss of power; what was opened before is lost.
    epoch: u64,
    operations: u64,
    cut_at: Option<u64>,
    ignores_syncs: bool,
    locks: BTreeMap<FileNumber, BTreeMap<HandleNumber, LockLevel>>,
    memory: BTreeMap<FileNumber, Memory>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HandleNumber(u64);

/// SQLite's lock levels, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LockLevel {
    None,
    Shared,
    Reserved,
    Pending,
    Exclusive,
}

/// The memory that connections to a write-ahead log share.
#[derive(Default)]
struct Memory {
    regions: Vec<Arc<Region>>,
    /// Bits of the locks each handle holds: shared, exclusive.
    locks: BTreeMap<HandleNumber, (u32, u32)>,
}

/// Why an operation did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The power is off, or has been off since the file was opened.
    NoPower,
    /// Another connection holds a lock.
    Busy,
    /// There is no such name.
    Missing,
}

/// An open file.
pub(crate) struct Handle {
    volume: Arc<Shared>,
    number: HandleNumber,
    file: FileNumber,
    epoch: u64,
    /// The next sync also makes names durable.
    syncs_directory: bool,
    /// Deleted when it is closed.
    delete: Option<String>,
    /// Kept until the file is closed, although the power may go before.
    regions: Vec<Arc<Region>>,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenMode {
    pub(crate) make: bool,
    pub(crate) only_make: bool,
    pub(crate) is_journal: bool,
    pub(crate) delete_on_close: bool,
}

static VOLUMES: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());
static HANDLES: AtomicU64 = AtomicU64::new(0);

/// The volume that holds `path`, and the file's name on it.
pub(crate) fn locate(path: &str) -> Option<(Arc<Shared>, String)> {
    let volumes = VOLUMES.lock().unwrap_or_else(PoisonError::into_inner);
    volumes.iter().find_map(|volume| {
        let name = Path::new(path).strip_prefix(&volume.directory).ok()?;
        Some((volume.clone(), name.to_str()?.to_owned()))
    })
}

impl Volume {
    /// Takes the place of the files in `directory` and below it, for all databases that this process opens from now on.
    /// What the volume does in a loss of power follows from `seed`.
    ///
    /// # Panics
    /// If the directory cannot be made, or SQLite refuses the layer.
    #[must_use]
    pub fn new(directory: &Path, seed: u64) -> Self {
        Self::with(directory, seed, Directory::default())
    }

    fn with(directory: &Path, seed: u64, content: Directory) -> Self {
        vfs::register();
        std::fs::create_dir_all(directory).expect("the volume's directory");
        let directory = directory.canonicalize().expect("the volume's directory");
        let state = State {
            directory: content,
            random: Random(seed),
            powered: true,
            epoch: 0,
            operations: 0,
            cut_at: None,
            ignores_syncs: false,
            locks: BTreeMap::new(),
            memory: BTreeMap::new(),
        };
        let shared = Arc::new(Shared { directory, state: Mutex::new(state) });
        VOLUMES.lock().unwrap_or_else(PoisonError::into_inner).push(shared.clone());
        Self(shared)
    }

    /// A volume in another directory with what is on this one now.
    #[must_use]
    pub fn copy(&self, directory: &Path, seed: u64) -> Self {
        let content = self.0.state().directory.clone();
        Self::with(directory, seed, content)
    }

    /// Operations so far that change something: writes, truncations, syncs, files made or deleted.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.0.state().operations
    }

    /// Whether the power is on.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.0.state().powered
    }

    /// Whether nothing would be lost now.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.0.state().directory.is_durable()
    }

    /// Lets the power go in the middle of the operation that follows `operations` whole ones.
    pub fn cut_power_after(&self, operations: u64) {
        let mut state = self.0.state();
        state.cut_at = Some(state.operations + operations + 1);
    }

    /// Makes the volume lie: syncs succeed and do nothing. A test of durability must fail on such a volume.
    pub fn ignore_syncs(&self, ignore: bool) {
        self.0.state().ignores_syncs = ignore;
    }

    /// Takes the power away, if it has not gone, and brings it back: what was not synced is lost, torn or reordered.
    pub fn restore_power(&self) {
        let mut state = self.0.state();
        let State { directory, random, .. } = &mut *state;
        directory.survive(random);
        state.locks.clear();
        state.memory.clear();
        state.cut_at = None;
        state.epoch += 1;
        state.powered = true;
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let mut volumes = VOLUMES.lock().unwrap_or_else(PoisonError::into_inner);
        volumes.retain(|volume| !Arc::ptr_eq(volume, &self.0));
    }
}

impl State {
    fn powered(&self, epoch: u64) -> Result<(), Failure> {
        if self.powered && self.epoch == epoch { Ok(()) } else { Err(Failure::NoPower) }
    }

    /// Counts an operation. Returns whether the power goes in the middle of it.
    fn operation(&mut self, epoch: u64) -> Result<bool, Failure> {
        self.powered(epoch)?;
        self.operations += 1;
        if self.cut_at == Some(self.operations) {
            self.powered = false;
        }
        Ok(!self.powered)
    }

    /// Whether an operation in whose middle the power goes is carried out.
    fn happens(&mut self, interrupted: bool) -> bool {
        !interrupted || self.random.below(2) == 0
    }
}

fn outcome(interrupted: bool) -> Result<(), Failure> {
    if interrupted { Err(Failure::NoPower) } else { Ok(()) }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open(self: Arc<Self>, name: &str, mode: OpenMode) -> Result<Handle, Failure> {
        let mut state = self.state();
        let epoch = state.epoch;
        state.powered(epoch)?;
        let file = match state.directory.find(name) {
            Some(_) if mode.only_make => return Err(Failure::Busy),
            Some(file) => file,
            None if mode.make => {
                let interrupted = state.operation(epoch)?;
                if state.happens(interrupted) {
                    state.directory.make(name);
                }
                outcome(interrupted)?;
                state.directory.find(name).ok_or(Failure::Missing)?
            }
            None => return Err(Failure::Missing),
        };
        drop(state);
        Ok(Handle {
            volume: self,
            number: HandleNumber(HANDLES.fetch_add(1, Ordering::Relaxed)),
            file,
            epoch,
            syncs_directory: mode.make && mode.is_journal,
            delete: mode.delete_on_close.then(|| name.to_owned()),
            regions: Vec::new(),
        })
    }

    pub(crate) fn delete(&self, name: &str, sync: bool) -> Result<(), Failure> {
        let mut state = self.state();
        let epoch = state.epoch;
        let interrupted = state.operation(epoch)?;
        let deleted = if state.happens(interrupted) { state.directory.delete(name) } else { false };
        outcome(interrupted)?;
        if sync && !state.ignores_syncs {
            state.directory.sync();
        }
        if deleted { Ok(()) } else { Err(Failure::Missing) }
    }

    /// Length of a file in bytes, if there is such a name.
    pub(crate) fn length(&self, name: &str) -> Result<Option<usize>, Failure> {
        let state = self.state();
        state.powered(state.epoch)?;
        let content = state.directory.find(name).and_then(|file| state.directory.content(file));
        Ok(content.map(|content| content.bytes().len()))
    }
}

impl Handle {
    /// Reads; what is behind the end is zero. Returns whether the file was long enough.
    pub(crate) fn read(&self, offset: usize, target: &mut [u8]) -> Result<bool, Failure> {
        let state = self.volume.state();
        state.powered(self.epoch)?;
        let bytes = state.directory.content(self.file).ok_or(Failure::Missing)?.bytes();
        let start = offset.min(bytes.len());
        let length = target.len().min(bytes.len() - start);
        target[..length].copy_from_slice(&bytes[start..start + length]);
        target[length..].fill(0);
        Ok(length == target.len())
    }

    pub(crate) fn write(&self, offset: usize, data: &[u8]) -> Result<(), Failure> {
        let mut state = self.volume.state();
        let interrupted = state.operation(self.epoch)?;
        let State { directory, random, .. } = &mut *state;
        let content = directory.content_mut(self.file).ok_or(Failure::Missing)?;
        content.write(offset, data, || !interrupted || random.below(2) == 0);
        outcome(interrupted)
    }

    pub(crate) fn truncate(&self, length: usize) -> Result<(), Failure> {
        let mut state = self.volume.state();
        let interrupted = state.operation(self.epoch)?;
        if state.happens(interrupted) {
            state.directory.content_mut(self.file).ok_or(Failure::Missing)?.truncate(length);
        }
        outcome(interrupted)
    }

    pub(crate) fn sync(&mut self) -> Result<(), Failure> {
        let mut state = self.volume.state();
        // A sync in whose middle the power goes made some of the writes durable: so does the loss itself.
        outcome(state.operation(self.epoch)?)?;
        if state.ignores_syncs {
            return Ok(());
        }
        state.directory.content_mut(self.file).ok_or(Failure::Missing)?.sync();
        if std::mem::take(&mut self.syncs_directory) {
            state.directory.sync();
        }
        Ok(())
    }

    pub(crate) fn length(&self) -> Result<usize, Failure> {
        let state = self.volume.state();
        state.powered(self.epoch)?;
        Ok(state.directory.content(self.file).ok_or(Failure::Missing)?.bytes().len())
    }

    pub(crate) fn lock(&self, level: LockLevel) -> Result<(), Failure> {
        let mut state = self.volume.state();
        state.powered(self.epoch)?;
        let locks = state.locks.entry(self.file).or_default();
        let of_others = locks.iter().filter(|(handle, _)| **handle != self.number).map(|(_, level)| *level);
        let highest = of_others.max().unwrap_or(LockLevel::None);
        let (granted, reached) = match level {
            LockLevel::None | LockLevel::Shared => (highest < LockLevel::Pending, level),
            LockLevel::Reserved => (highest < LockLevel::Reserved, level),
            LockLevel::Pending | LockLevel::Exclusive if highest >= LockLevel::Reserved => (false, level),
            LockLevel::Pending | LockLevel::Exclusive if highest == LockLevel::Shared => {
                // No new readers; those that are there finish.
                locks.insert(self.number, LockLevel::Pending);
                (false, level)
            }
            LockLevel::Pending | LockLevel::Exclusive => (true, level),
        };
        if !granted {
            return Err(Failure::Busy);
        }
        let present = locks.entry(self.number).or_insert(LockLevel::None);
        *present = reached.max(*present);
        Ok(())
    }

    pub(crate) fn unlock(&self, level: LockLevel) {
        let mut state = self.volume.state();
        if state.epoch == self.epoch {
            state.locks.entry(self.file).or_default().insert(self.number, level);
        }
    }

    pub(crate) fn is_reserved(&self) -> bool {
        let state = self.volume.state();
        let locks = state.locks.get(&self.file);
        locks.is_some_and(|locks| locks.values().any(|level| *level >= LockLevel::Reserved))
    }

    /// Region `index` of the shared memory; `None` if it does not exist and is not to be made.
    pub(crate) fn map(
        &mut self,
        index: usize,
        size: usize,
        make: bool,
    ) -> Result<Option<Arc<Region>>, Failure> {
        let mut state = self.volume.state();
        state.powered(self.epoch)?;
        let memory = state.memory.entry(self.file).or_default();
        memory.locks.entry(self.number).or_default();
        while make && memory.regions.len() <= index {
            memory.regions.push(Arc::new(Region::new(size)));
        }
        let region = memory.regions.get(index).cloned();
        self.regions.extend(region.clone());
        Ok(region)
    }

    pub(crate) fn lock_memory(&self, bits: u32, lock: bool, exclusive: bool) -> Result<(), Failure> {
        let mut state = self.volume.state();
        if state.epoch != self.epoch || !state.powered {
            return if lock { Err(Failure::NoPower) } else { Ok(()) };
        }
        let memory = state.memory.entry(self.file).or_default();
        let others = memory.locks.iter().filter(|(handle, _)| **handle != self.number);
        let held = others.fold((0, 0), |held, (_, own)| (held.0 | own.0, held.1 | own.1));
        if lock && (held.1 & bits != 0 || exclusive && held.0 & bits != 0) {
            return Err(Failure::Busy);
        }
        let own = memory.locks.entry(self.number).or_default();
        match (lock, exclusive) {
            (true, false) => own.0 |= bits,
            (true, true) => own.1 |= bits,
            (false, false) => own.0 &= !bits,
            (false, true) => own.1 &= !bits,
        }
        Ok(())
    }

    pub(crate) fn unmap(&self) {
        let mut state = self.volume.state();
        if state.epoch == self.epoch
            && let Some(memory) = state.memory.get_mut(&self.file)
        {
            memory.locks.remove(&self.number);
            if memory.locks.is_empty() {
                state.memory.remove(&self.file);
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.unmap();
        let mut state = self.volume.state();
        if state.epoch == self.epoch {
            if let Some(locks) = state.locks.get_mut(&self.file) {
                locks.remove(&self.number);
            }
            if let Some(name) = &self.delete {
                state.directory.delete(name);
            }
        }
    }
}
