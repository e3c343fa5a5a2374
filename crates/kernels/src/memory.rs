//! What becomes of freed memory, where mimalloc is the allocator; elsewhere nothing here does anything.
//!
//! Each step of a network's training allocates what the one before has freed. mimalloc gives freed memory back to the system after a while, which hands it
//! out again page by page, each zeroed: 10,000 faults in a step of VGG16, a sixth of its time.

/// `mi_option_purge_delay`, for which the crate has no name; the same in mimalloc 2 and 3.
const PURGE_DELAY: i32 = 15;

/// Keeps freed memory from now on. The process then holds its peak until it ends, so it is not for servers.
pub fn keep_freed() {
    purge_after(-1);
}

/// Gives freed memory back at once from now on: for who has a ceiling to keep.
pub fn give_back_freed() {
    purge_after(0);
}

/// Milliseconds; -1 is the documented value for never.
fn purge_after(delay: std::ffi::c_long) {
    // SAFETY: options may be set at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, delay) }
}
