//! The allocator: mimalloc, and beyond a ceiling a mapped file for large blocks (`data.max_memory`).
//!
//! Whatever grows with the rows of a table lies in large blocks: columns, bins, matrices, hash tables. Once a ceiling is set and large blocks have
//! taken their part of it, further ones come from a file without a name that is mapped into memory. Their pages are the file's, not the process's own
//! (`RssFile`, not `RssAnon`): the system writes them out and takes them back when memory is short, instead of ending the process. So every reader,
//! preparation and model works with tables larger than memory without knowing of it, and gives the same bytes.
//!
//! Blocks of the file are as large as powers of two. What is rounded up is never touched and takes no room on the disk; room that is used is
//! reserved first, so a full disk is told, and is not a signal in the midst of a write.

#![expect(unsafe_code, reason = "an allocator hands out and takes back raw memory, and maps the file that part of it lies in")]

use std::alloc::{GlobalAlloc, Layout};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Blocks of at least this size may lie in the file. A chunk of 8,192 numbers takes 64 KiB, so whole columns do while they are read.
const LARGE: usize = 32 << 10;
/// What blocks of the file are aligned to.
const PAGE: usize = 4096;
/// The rest of the ceiling is for small blocks, and for large ones that move as they grow.
const SHARE_OF_CEILING: f64 = 0.7;
/// What mimalloc holds beside what is asked of it: for each thread and size, a few blocks at a time. Measured while a CSV file is read on two threads.
const HELD_BESIDE: u64 = 40 << 20;

/// mimalloc with a file behind it. glibc's allocator maps and unmaps every large buffer; mimalloc keeps them.
pub struct Allocator;

static SMALL: mimalloc::MiMalloc = mimalloc::MiMalloc;
/// Bytes of large blocks that are not in the file.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Most of them.
static HELD_MAX: AtomicUsize = AtomicUsize::new(usize::MAX);

// SAFETY: every block comes from mimalloc or from the file and goes back to where it came from: those of the file are known by their addresses.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() < LARGE {
            return unsafe { SMALL.alloc(layout) };
        }
        match filed(layout) {
            Some(block) => block.at,
            None => unsafe { SMALL.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() < LARGE {
            return unsafe { SMALL.alloc_zeroed(layout) };
        }
        match filed(layout) {
            Some(block) => {
                // SAFETY: the block is at least that long, and nobody else has it.
                unsafe { block.at.write_bytes(0, block.stale.min(layout.size())) };
                block.at
            }
            None => unsafe { SMALL.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if layout.size() >= LARGE {
            if file::holds(at) {
                return file::give_back(at, layout.size());
            }
            HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        unsafe { SMALL.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() < LARGE && size < LARGE {
            return unsafe { SMALL.realloc(at, layout, size) };
        }
        let is_filed = layout.size() >= LARGE && file::holds(at);
        if is_filed && file::resize(at, layout.size(), size) {
            return at;
        }
        let has_room = HELD.load(Ordering::Relaxed) + size <= HELD_MAX.load(Ordering::Relaxed);
        if !is_filed && (has_room || size <= layout.size()) {
            // SAFETY: the block is mimalloc's.
            let moved = unsafe { SMALL.realloc(at, layout, size) };
            if !moved.is_null() {
                let held = |size: usize| if size >= LARGE { size } else { 0 };
                HELD.fetch_add(held(size), Ordering::Relaxed);
                HELD.fetch_sub(held(layout.size()), Ordering::Relaxed);
            }
            return moved;
        }
        // SAFETY: the caller promises that `size` is in range for this alignment.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(at, size.min(layout.size()));
                self.dealloc(at, layout);
            }
            moved
        }
    }
}

/// A block of the file, when the ceiling leaves no room for one of the process's own; else the block is counted.
fn filed(layout: Layout) -> Option<Block> {
    let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
    if held <= HELD_MAX.load(Ordering::Relaxed) || layout.align() > PAGE {
        return None;
    }
    HELD.fetch_sub(layout.size(), Ordering::Relaxed);
    Some(file::take(layout.size()))
}

/// From now on, keeps the process's own memory below `ceiling` bytes, with a file in `folder` for the rest. The file has no name and is gone when
/// the process ends, however it ends.
///
/// # Errors
/// When such a file cannot be had there.
pub fn begin(ceiling: u64, folder: &Path) -> std::io::Result<()> {
    file::open(folder)?;
    let own = told("RssAnon").unwrap_or(0);
    let limit = (ceiling as f64 * SHARE_OF_CEILING) as u64;
    let held = HELD.load(Ordering::Relaxed) as u64;
    // Not after a second, in which as much again may be asked for.
    cupola_train::give_back_freed();
    let room = limit.saturating_sub(own.saturating_sub(held) + HELD_BESIDE);
    HELD_MAX.store(usize::try_from(room).unwrap_or(usize::MAX), Ordering::Relaxed);
    Ok(())
}

/// Room that is left on the disk of a folder, where the system tells.
pub fn room(folder: &Path) -> Option<u64> {
    file::room(folder)
}

/// What the system says about this process's memory, in bytes: `RssAnon` is its own, `VmHWM` the most it had, files' pages included.
pub fn told(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Makes the system forget the most memory that this process had, so that it tells of the most from now on, and gives what it has now; none where it does
/// not do so.
pub fn forget_peak() -> Option<u64> {
    // Documented in proc(5): the value 5 resets the peak of resident memory to the present.
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    told("VmRSS")
}

/// The most memory that this process may have: what it has and what the machine, or the control group that it runs in, has left.
pub fn available() -> Option<u64> {
    let own = told("VmRSS")?;
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024;
    let number = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    let group = number("memory.max").map(|most| most.saturating_sub(number("memory.current").unwrap_or(0)));
    Some(own + group.map_or(machine, |group| group.min(machine)))
}

/// A block of the file.
struct Block {
    at: *mut u8,
    /// Bytes at its beginning that may not be zero.
    stale: usize,
}

#[cfg(not(target_os = "linux"))]
mod file {
    //! Without Linux's holes in files there is no file.
    use super::{Block, Path};

    pub fn open(_: &Path) -> std::io::Result<()> {
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "data.max_memory needs Linux"))
    }

    pub fn room(_: &Path) -> Option<u64> {
        None
    }

    pub fn take(_: usize) -> Block {
        unreachable!("no ceiling was set, so no block is one too many")
    }

    pub fn holds(_: *mut u8) -> bool {
        false
    }

    pub fn resize(_: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    pub fn give_back(_: *mut u8, _: usize) {}
}

#[cfg(target_os = "linux")]
mod file {
    //! The file: a stretch of addresses, cut into blocks of powers of two. Free blocks of a size are a list whose links stand in the blocks.
    use super::{AtomicUsize, Block, Mutex, Ordering, PAGE, Path};
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    /// Blocks from this size on give their room on the disk back when they are freed.
    const PUNCHED: usize = 1 << 20;
    /// How long the file may get; it is sparse, so this is no more than a number.
    const LENGTHS: [usize; 4] = [8 << 40, 1 << 40, 64 << 30, 4 << 30];
    const SIZES: usize = 48;

    struct Area {
        descriptor: i32,
        length: usize,
        /// What was never handed out.
        fresh: usize,
        /// For each power of two, where its first free block begins, plus one.
        free: [usize; SIZES],
    }

    static AREA: Mutex<Area> = Mutex::new(Area { descriptor: -1, length: 0, fresh: 0, free: [0; SIZES] });
    /// The first address and the one behind the last.
    static FROM: AtomicUsize = AtomicUsize::new(0);
    static TO: AtomicUsize = AtomicUsize::new(0);

    pub fn open(folder: &Path) -> std::io::Result<()> {
        let mut area = AREA.lock().expect("nothing panics while it holds the area");
        if area.descriptor >= 0 {
            return Ok(());
        }
        let folder = CString::new(folder.as_os_str().as_bytes())?;
        // SAFETY: system calls with a valid path, a descriptor of our own, and a mapping that nobody knows yet.
        unsafe {
            let mut told = std::mem::MaybeUninit::<libc::statfs>::uninit();
            if libc::statfs(folder.as_ptr(), told.as_mut_ptr()) == 0 && told.assume_init().f_type == libc::TMPFS_MAGIC {
                return Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "it lies in memory itself (tmpfs)"));
            }
            let descriptor = libc::open(folder.as_ptr(), libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC, 0o600);
            if descriptor < 0 {
                return Err(std::io::Error::last_os_error());
            }
            let longest = LENGTHS.into_iter().find(|&length| libc::ftruncate(descriptor, length as libc::off_t) == 0);
            let has_holes = libc::fallocate(descriptor, 0, 0, PAGE as libc::off_t) == 0 && punch(descriptor, 0, PAGE);
            let (Some(length), true) = (longest, has_holes) else {
                let error = std::io::Error::last_os_error();
                libc::close(descriptor);
                return Err(error);
            };
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let base = libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED | libc::MAP_NORESERVE, descriptor, 0);
            if base == libc::MAP_FAILED {
                let error = std::io::Error::last_os_error();
                libc::close(descriptor);
                return Err(error);
            }
            (area.descriptor, area.length) = (descriptor, length);
            FROM.store(base as usize, Ordering::Release);
            TO.store(base as usize + length, Ordering::Release);
        }
        Ok(())
    }

    pub fn room(folder: &Path) -> Option<u64> {
        let folder = CString::new(folder.as_os_str().as_bytes()).ok()?;
        let mut told = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: the path is valid, and what the call fills in is read only when it has.
        let told = unsafe { (libc::statvfs(folder.as_ptr(), told.as_mut_ptr()) == 0).then(|| told.assume_init())? };
        Some(told.f_bavail.saturating_mul(told.f_frsize))
    }

    pub fn holds(at: *mut u8) -> bool {
        let at = at as usize;
        at >= FROM.load(Ordering::Acquire) && at < TO.load(Ordering::Acquire)
    }

    /// A block of at least that size, aligned to a page.
    pub fn take(size: usize) -> Block {
        let class = class(size);
        let mut area = AREA.lock().expect("nothing panics while it holds the area");
        let base = FROM.load(Ordering::Relaxed);
        let (place, stale) = match area.free[class] {
            0 => {
                let place = area.fresh;
                area.fresh += 1 << class;
                if area.fresh > area.length {
                    stop(b"the file for large blocks has no addresses left");
                }
                (place, 0)
            }
            next => {
                let place = next - 1;
                // SAFETY: a free block begins with its link, and the lock keeps others away.
                area.free[class] = unsafe { ((base + place) as *const usize).read() };
                (place, if 1 << class >= PUNCHED { PAGE } else { 1 << class })
            }
        };
        if stale == 0 || 1 << class >= PUNCHED {
            reserve(area.descriptor, place, size);
        }
        Block { at: (base + place) as *mut u8, stale }
    }

    /// Whether the block can hold that many bytes where it is.
    pub fn resize(at: *mut u8, old: usize, new: usize) -> bool {
        if new < super::LARGE || class(old) != class(new) {
            return false;
        }
        if new > old && 1 << class(new) >= PUNCHED {
            let descriptor = AREA.lock().expect("nothing panics while it holds the area").descriptor;
            reserve(descriptor, at as usize - FROM.load(Ordering::Relaxed), new);
        }
        true
    }

    pub fn give_back(at: *mut u8, size: usize) {
        let class = class(size);
        let place = at as usize - FROM.load(Ordering::Relaxed);
        let mut area = AREA.lock().expect("nothing panics while it holds the area");
        if 1 << class >= PUNCHED {
            punch(area.descriptor, place + PAGE, (1 << class) - PAGE);
        }
        // SAFETY: the block is free now, at least a page long, and aligned to one.
        unsafe { at.cast::<usize>().write(area.free[class]) };
        area.free[class] = place + 1;
    }

    fn class(size: usize) -> usize {
        size.next_power_of_two().trailing_zeros() as usize
    }

    /// Reserves room on the disk; without it, the process ends and says so: the write to come would end it without a word.
    fn reserve(descriptor: i32, place: usize, size: usize) {
        // SAFETY: a system call on a descriptor of our own.
        let failed = unsafe { libc::fallocate(descriptor, 0, place as libc::off_t, size.next_multiple_of(PAGE) as libc::off_t) };
        if failed != 0 {
            stop(b"the disk is full: data.max_memory keeps what does not fit into memory in the folder of runs");
        }
    }

    fn punch(descriptor: i32, place: usize, size: usize) -> bool {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: a system call on a descriptor of our own.
        unsafe { libc::fallocate(descriptor, mode, place as libc::off_t, size as libc::off_t) == 0 }
    }

    /// Ends the process with the exit code of a budget that is spent. Nothing may be allocated here.
    fn stop(why: &[u8]) -> ! {
        let hint = b"\n\nhint: free some room, set CUPOLA_HOME to a folder on a larger disk, or raise data.max_memory\n";
        for text in [b"error: ".as_slice(), why, hint] {
            // SAFETY: bytes of our own to standard error.
            unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
        }
        // SAFETY: ends the process.
        unsafe { libc::_exit(cupola_task::Exit::Budget as i32) }
    }
}
