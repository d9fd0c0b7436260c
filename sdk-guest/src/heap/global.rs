//! The heap as Rust's global allocator on WebAssembly.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32;
use std::cell::UnsafeCell;

use super::Heap;

const PAGE_BYTES: usize = 64 * 1024;

/// The adapter that turns WASI preview 1 into preview 2 takes two pages for itself before the first call.
const ARENA_BYTES: usize = if cfg!(target_env = "p1") { 4 * PAGE_BYTES } else { PAGE_BYTES };

#[repr(align(16))]
struct Arena(UnsafeCell<[u8; ARENA_BYTES]>);

// SAFETY: the guest has one thread, and only the heap touches the arena.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new([0; ARENA_BYTES]));

struct Global(UnsafeCell<Heap>);

// SAFETY: the guest has one thread.
unsafe impl Sync for Global {}

#[global_allocator]
static GLOBAL: Global = Global(UnsafeCell::new(Heap::new(grow)));

impl Global {
    #[expect(clippy::mut_from_ref, reason = "the one thread holds the answer within one method only")]
    fn heap(&self) -> &mut Heap {
        // SAFETY: no method of the heap calls back into the allocator, so there is one reference at a time.
        let heap = unsafe { &mut *self.0.get() };
        if heap.is_empty() {
            let start = ARENA.0.get().expose_provenance();
            // SAFETY: the arena is static, zeroed and used by nothing else.
            unsafe { heap.add(start, start + ARENA_BYTES) };
        }
        heap
    }
}

// SAFETY: blocks do not overlap, are as long and as aligned as the layout asks, and stay until they are given back;
// the tests of the heap hold it to that.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.heap().allocate(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller promises what the heap asks for.
        unsafe { self.heap().deallocate(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises what the heap asks for.
        unsafe { self.heap().reallocate(block, layout, size) }
    }
}

fn grow(bytes: usize) -> Option<(usize, usize)> {
    let pages = bytes.div_ceil(PAGE_BYTES);
    let before = wasm32::memory_grow(0, pages);
    if before == usize::MAX {
        return None;
    }
    // The very last page of a 4 GiB memory would end at an address that does not exist.
    let start = before * PAGE_BYTES;
    Some((start, start.checked_add(pages * PAGE_BYTES)?))
}
