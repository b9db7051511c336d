//! The layer that SQLite calls.
//!
//! The one module of the crate with unsafe code, because SQLite's interface to files is a table of C functions over raw
//! pointers, and there is no other way to stand under it. Each function turns its pointers into references, calls the safe
//! code in [`crate::volume`], and turns the answer into a code.

#![allow(unsafe_code, reason = "SQLite's file layer is a table of C functions over raw pointers")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Once, OnceLock};

use rusqlite::ffi;

use crate::random::Random;
use crate::volume::{Failure, Handle, LockLevel, OpenMode, locate};

/// Memory that connections share: SQLite keeps pointers into it and orders its own accesses.
pub(crate) struct Region {
    start: *mut u64,
    words: usize,
}

// SAFETY: the pointer is owned by this value alone, and is only handed to SQLite, which treats it as memory shared
// between processes: it accesses it under the locks of xShmLock and between barriers.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    pub(crate) fn new(bytes: usize) -> Self {
        let words = bytes.div_ceil(8);
        let memory = vec![0_u64; words].into_boxed_slice();
        Self { start: Box::into_raw(memory).cast(), words }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let slice = std::ptr::slice_from_raw_parts_mut(self.start, self.words);
        // SAFETY: pointer and length come from Box::into_raw in `new`; handles keep the region until they are closed.
        drop(unsafe { Box::from_raw(slice) });
    }
}

/// SQLite's own layer, for files of no volume.
#[derive(Clone, Copy)]
struct Original(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite's built-in layers are static and never change after they are registered.
unsafe impl Send for Original {}
// SAFETY: as above.
unsafe impl Sync for Original {}

static ORIGINAL: OnceLock<Original> = OnceLock::new();

fn original() -> &'static ffi::sqlite3_vfs {
    let original = ORIGINAL.get().expect("registered");
    // SAFETY: the pointer comes from sqlite3_vfs_find and is valid as long as the process.
    unsafe { &*original.0 }
}

/// What SQLite allocates for an open file.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    handle: *mut Handle,
}

/// Makes this layer SQLite's default one, once. Paths outside of every volume go to the layer that was the default.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a null name asks for the default layer; rusqlite links SQLite, so there is one.
        let found = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!found.is_null(), "SQLite has no default layer");
        ORIGINAL.set(Original(found)).unwrap_or_else(|_| unreachable!("set once"));
        let size = c_int::try_from(size_of::<File>()).expect("small");
        let layer = Box::leak(Box::new(ffi::sqlite3_vfs {
            szOsFile: original().szOsFile.max(size),
            pNext: std::ptr::null_mut(),
            zName: c"power-loss".as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xRandomness: Some(randomness),
            ..*original()
        }));
        // SAFETY: the table is complete and lives as long as the process.
        let code = unsafe { ffi::sqlite3_vfs_register(layer, 1) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite refuses the layer");
    });
}

/// # Safety
/// `name` is null or a string that ends with a zero byte.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a str> {
    if name.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes a null or valid name.
    let Some((volume, on_volume)) = unsafe { path(name) }.and_then(locate) else {
        let open = original().xOpen.expect("every layer opens files");
        let layer = ORIGINAL.get().expect("registered").0;
        // SAFETY: the arguments are SQLite's own, `file` has room for the original's structure (see szOsFile).
        return unsafe { open(layer, name, file, flags, flags_out) };
    };
    let has = |flag: c_int| flags & flag != 0;
    let mode = OpenMode {
        make: has(ffi::SQLITE_OPEN_CREATE),
        only_make: has(ffi::SQLITE_OPEN_CREATE) && has(ffi::SQLITE_OPEN_EXCLUSIVE),
        is_journal: has(ffi::SQLITE_OPEN_MAIN_JOURNAL
            | ffi::SQLITE_OPEN_SUPER_JOURNAL
            | ffi::SQLITE_OPEN_WAL),
        delete_on_close: has(ffi::SQLITE_OPEN_DELETEONCLOSE),
    };
    let file = file.cast::<File>();
    let (methods, handle, code) = match volume.open(&on_volume, mode) {
        Ok(handle) => (&raw const METHODS, Box::into_raw(Box::new(handle)), ffi::SQLITE_OK),
        Err(_) => (std::ptr::null(), std::ptr::null_mut(), ffi::SQLITE_CANTOPEN),
    };
    // SAFETY: `file` points to szOsFile bytes that SQLite gives for this; they need not be initialized.
    unsafe { file.write(File { base: ffi::sqlite3_file { pMethods: methods }, handle }) };
    if !flags_out.is_null() {
        // SAFETY: not null, and SQLite's to write to.
        unsafe { flags_out.write(flags) };
    }
    code
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite passes a valid name.
    match unsafe { path(name) }.and_then(locate) {
        Some((volume, on_volume)) => match volume.delete(&on_volume, sync & 1 != 0) {
            Ok(()) => ffi::SQLITE_OK,
            Err(Failure::Missing) => ffi::SQLITE_IOERR_DELETE_NOENT,
            Err(_) => ffi::SQLITE_IOERR_DELETE,
        },
        None => {
            let delete = original().xDelete.expect("every layer deletes files");
            // SAFETY: the arguments are SQLite's own.
            unsafe { delete(ORIGINAL.get().expect("registered").0, name, sync) }
        }
    }
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes a valid name.
    match unsafe { path(name) }.and_then(locate) {
        Some((volume, on_volume)) => {
            let Ok(length) = volume.length(&on_volume) else { return ffi::SQLITE_IOERR_ACCESS };
            // As in SQLite's layer for Unix: an empty file does not exist.
            let answer = match length {
                Some(length) => flags != ffi::SQLITE_ACCESS_EXISTS || length > 0,
                None => false,
            };
            // SAFETY: SQLite passes a place for the answer.
            unsafe { result.write(c_int::from(answer)) };
            ffi::SQLITE_OK
        }
        None => {
            let access = original().xAccess.expect("every layer looks for files");
            // SAFETY: the arguments are SQLite's own.
            unsafe { access(ORIGINAL.get().expect("registered").0, name, flags, result) }
        }
    }
}

/// Not from the operating system: runs repeat from their seed.
unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, bytes: c_int, target: *mut c_char) -> c_int {
    static STATE: AtomicU64 = AtomicU64::new(0);
    let length = usize::try_from(bytes).unwrap_or(0);
    let mut random = Random(STATE.fetch_add(1, Ordering::Relaxed) << 32);
    // SAFETY: SQLite passes `bytes` bytes to fill.
    let target = unsafe { std::slice::from_raw_parts_mut(target.cast::<u8>(), length) };
    target.fill_with(|| random.next().to_le_bytes()[0]);
    bytes
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(map),
    xShmLock: Some(lock_memory),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap),
    xFetch: None,
    xUnfetch: None,
};

/// # Safety
/// `file` was opened by [`open`] on a volume and is not closed; SQLite calls the methods of one file one after another.
unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Handle {
    // SAFETY: as the caller promises; `open` stored a valid handle.
    unsafe { &mut *(*file.cast::<File>()).handle }
}

fn code(result: Result<(), Failure>, failure: c_int) -> c_int {
    match result {
        Ok(()) => ffi::SQLITE_OK,
        Err(Failure::Busy) => ffi::SQLITE_BUSY,
        Err(_) => failure,
    }
}

fn offset(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: an open file of a volume; its handle comes from Box::into_raw and is not used after this.
    drop(unsafe { Box::from_raw((*file.cast::<File>()).handle) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    target: *mut c_void,
    bytes: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite passes an open file and `bytes` bytes to fill.
    let (handle, target) =
        unsafe { (handle(file), std::slice::from_raw_parts_mut(target.cast::<u8>(), offset(bytes.into()))) };
    match handle.read(offset(at), target) {
        Ok(true) => ffi::SQLITE_OK,
        Ok(false) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(_) => ffi::SQLITE_IOERR_READ,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    bytes: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite passes an open file and `bytes` bytes to write.
    let (handle, data) =
        unsafe { (handle(file), std::slice::from_raw_parts(data.cast::<u8>(), offset(bytes.into()))) };
    code(handle.write(offset(at), data), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: ffi::sqlite3_int64) -> c_int {
    // SAFETY: an open file of a volume.
    code(unsafe { handle(file) }.truncate(offset(length)), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open file of a volume.
    code(unsafe { handle(file) }.sync(), ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: an open file of a volume.
    let Ok(length) = unsafe { handle(file) }.length() else { return ffi::SQLITE_IOERR_FSTAT };
    // SAFETY: SQLite passes a place for the answer.
    unsafe { size.write(i64::try_from(length).unwrap_or(i64::MAX)) };
    ffi::SQLITE_OK
}

fn level(number: c_int) -> LockLevel {
    match number {
        ffi::SQLITE_LOCK_NONE => LockLevel::None,
        ffi::SQLITE_LOCK_SHARED => LockLevel::Shared,
        ffi::SQLITE_LOCK_RESERVED => LockLevel::Reserved,
        ffi::SQLITE_LOCK_PENDING => LockLevel::Pending,
        _ => LockLevel::Exclusive,
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, number: c_int) -> c_int {
    // SAFETY: an open file of a volume.
    code(unsafe { handle(file) }.lock(level(number)), ffi::SQLITE_IOERR_LOCK)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, number: c_int) -> c_int {
    // SAFETY: an open file of a volume.
    unsafe { handle(file) }.unlock(level(number));
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, result: *mut c_int) -> c_int {
    // SAFETY: an open file of a volume, and a place for the answer.
    unsafe { result.write(c_int::from(handle(file).is_reserved())) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

/// As SQLite's layer for Unix answers, although the medium tears smaller sectors.
unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    4_096
}

/// As SQLite's layer for Unix answers: a write does not damage the bytes beside it.
unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn map(
    file: *mut ffi::sqlite3_file,
    index: c_int,
    size: c_int,
    make: c_int,
    start: *mut *mut c_void,
) -> c_int {
    // SAFETY: an open file of a volume.
    let mapped = unsafe { handle(file) }.map(offset(index.into()), offset(size.into()), make != 0);
    let (pointer, code) = match &mapped {
        Ok(Some(region)) => (region.start.cast(), ffi::SQLITE_OK),
        Ok(None) => (std::ptr::null_mut(), ffi::SQLITE_OK),
        Err(_) => (std::ptr::null_mut(), ffi::SQLITE_IOERR_SHMMAP),
    };
    // SAFETY: SQLite passes a place for the answer.
    unsafe { start.write(pointer) };
    code
}

unsafe extern "C" fn lock_memory(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let bits = ((1_u32 << count) - 1) << first;
    let (lock, exclusive) = (flags & ffi::SQLITE_SHM_LOCK != 0, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0);
    // SAFETY: an open file of a volume.
    code(unsafe { handle(file) }.lock_memory(bits, lock, exclusive), ffi::SQLITE_IOERR_SHMLOCK)
}

unsafe extern "C" fn barrier(_: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn unmap(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open file of a volume.
    unsafe { handle(file) }.unmap();
    ffi::SQLITE_OK
}
