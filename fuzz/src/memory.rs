//! No input makes kinlog ask for much memory at once: every length in a file is compared with
//! what is there, and with a limit, before anything is allocated for it.
//!
//! libFuzzer's own limit on single allocations works with AddressSanitizer only; this one always.

use std::alloc::{GlobalAlloc, Layout, System};

/// Most bytes that one allocation may take.
const ALLOCATION_BYTES_MAX: usize = 32 << 20;

#[global_allocator]
static LIMITED: Limited = Limited;

struct Limited;

fn limit(bytes: usize) {
    if bytes > ALLOCATION_BYTES_MAX {
        // Panicking allocates; the fuzzer takes an abort for a finding just as well.
        std::process::abort();
    }
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        limit(layout.size());
        // SAFETY: the caller keeps the contract of the function of the same name.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        limit(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        limit(bytes);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, bytes) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}
