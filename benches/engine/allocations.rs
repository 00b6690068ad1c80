//! Counts what is taken from the allocator, which is the daemon's own.
//!
//! Owns three counters. One thread measures, so they are read and written without a lock and other threads' allocations
//! may be lost from them, which no figure depends on.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static GIVEN_BACK: AtomicU64 = AtomicU64::new(0);

/// Allocations so far and their bytes.
pub fn taken() -> (u64, u64) {
    (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed))
}

/// Bytes that are taken and not given back.
#[allow(dead_code, reason = "the benches ask for what is taken, a test for what is kept")]
pub fn kept() -> u64 {
    BYTES.load(Relaxed).wrapping_sub(GIVEN_BACK.load(Relaxed))
}

pub struct Counting(pub mimalloc::MiMalloc);

fn give_back(bytes: usize) {
    GIVEN_BACK.store(GIVEN_BACK.load(Relaxed) + bytes as u64, Relaxed);
}

fn count(bytes: usize) {
    ALLOCATIONS.store(ALLOCATIONS.load(Relaxed) + 1, Relaxed);
    BYTES.store(BYTES.load(Relaxed) + bytes as u64, Relaxed);
}

// SAFETY: every call goes to mimalloc as it came; counting touches two statics and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: `pointer` came from mimalloc under this layout, as the caller promises.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        give_back(layout.size());
        count(bytes);
        // SAFETY: as above; `bytes` is passed on.
        unsafe { self.0.realloc(pointer, layout, bytes) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as for `alloc`.
        unsafe { self.0.alloc_zeroed(layout) }
    }
}
