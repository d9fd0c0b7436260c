//! The memory of a guest: a heap that starts inside the memory a fresh instance already has.
//!
//! Growing a WebAssembly memory costs the host system calls on every fresh call, so blocks come from a fixed arena
//! first and the memory grows only when that is used up. Block sizes come in classes, four to a doubling, and freed
//! blocks wait in one list per class: every operation takes constant time. Blocks are never joined, which suits
//! instances that live for one call.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

#[cfg(target_arch = "wasm32")]
mod global;

use std::alloc::Layout;
use std::ptr;

/// Every block starts and ends at a multiple of this many bytes.
const GRAIN: usize = 16;
/// Up to here a class per grain; above, four classes to a doubling.
const FINE_BYTES: usize = 256;
const FINE_CLASSES: usize = FINE_BYTES / GRAIN;
/// Enough for every size of a 32-bit memory.
const CLASSES: usize = FINE_CLASSES + 4 * 23;

/// Adds at least so many bytes of fresh memory; answers with its first and one-past-last address.
pub type Grow = fn(usize) -> Option<(usize, usize)>;

/// Memory between `top` and `end` was never used; everything below is in use or in a free list.
pub struct Heap {
    free: [usize; CLASSES],
    top: usize,
    end: usize,
    grow: Grow,
}

impl Heap {
    pub const fn new(grow: Grow) -> Self {
        Self { free: [0; CLASSES], top: 0, end: 0, grow }
    }

    /// Whether the heap was never given memory.
    #[cfg(target_arch = "wasm32")]
    const fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Adds the memory from `start` to `end`.
    ///
    /// # Safety
    /// It is writable, nobody else uses it, and it stays so.
    pub unsafe fn add(&mut self, start: usize, end: usize) {
        let end = end & !(GRAIN - 1);
        if start != self.end {
            let (from, to) = (self.top, self.end);
            self.top = start.next_multiple_of(GRAIN);
            self.recycle(from, to);
        }
        self.end = end;
    }

    /// Hands out a block, or null when there is no memory left.
    pub fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout.size()) else { return ptr::null_mut() };
        let bytes = block_bytes(class);
        if layout.align() <= GRAIN {
            if let Some(block) = self.pop(class) {
                return pointer(block);
            }
            if let Some(block) = self.bump(bytes, GRAIN) {
                return pointer(block);
            }
            if let Some(block) = self.split_larger(class) {
                return pointer(block);
            }
        } else if let Some(block) = self.bump(bytes, layout.align()) {
            return pointer(block);
        }
        let Some(wanted) = bytes.checked_add(layout.align()) else { return ptr::null_mut() };
        if !self.grow(wanted) {
            return ptr::null_mut();
        }
        self.bump(bytes, layout.align().max(GRAIN)).map_or(ptr::null_mut(), pointer)
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` came from this heap for `layout` and is not used any more.
    pub unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        let Some(class) = class_of(layout.size()) else { return };
        let start = block.expose_provenance();
        if start + block_bytes(class) == self.top {
            self.top = start;
        } else {
            self.push(class, start);
        }
    }

    /// Makes a block larger or smaller, in place where that is possible; null when there is no memory left.
    ///
    /// # Safety
    /// `block` came from this heap for `layout`; after an answer that is not null only the answer may be used.
    pub unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (Some(class), Some(wanted)) = (class_of(layout.size()), class_of(size)) else {
            return ptr::null_mut();
        };
        if class == wanted {
            return block;
        }
        let (bytes, new_bytes) = (block_bytes(class), block_bytes(wanted));
        let start = block.expose_provenance();
        if start + bytes == self.top {
            if self.end - start < new_bytes {
                self.grow_in_place(new_bytes - (self.end - start));
            }
            // Growing may have moved `top` to other memory, in which case the block is copied below.
            if start + bytes == self.top && self.end - start >= new_bytes {
                self.top = start + new_bytes;
                return block;
            }
        } else if new_bytes < bytes {
            self.recycle(start + new_bytes, start + bytes);
            return block;
        }
        let Ok(new_layout) = Layout::from_size_align(size, layout.align()) else {
            return ptr::null_mut();
        };
        let moved = self.allocate(new_layout);
        if !moved.is_null() {
            // SAFETY: both blocks hold that many bytes, and a block in use never overlaps a new one.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
            // SAFETY: the caller gives the old block up.
            unsafe { self.deallocate(block, layout) };
        }
        moved
    }

    /// Cuts a block off the memory that was never used.
    fn bump(&mut self, bytes: usize, align: usize) -> Option<usize> {
        let start = self.top.checked_next_multiple_of(align)?;
        let top = start.checked_add(bytes)?;
        if top > self.end || self.top == 0 {
            return None;
        }
        let gap = self.top;
        self.top = top;
        self.recycle(gap, start);
        Some(start)
    }

    /// Takes the next larger free block and gives back what is too much of it.
    fn split_larger(&mut self, class: usize) -> Option<usize> {
        let larger = (class + 1..CLASSES).find(|larger| self.free[*larger] != 0)?;
        let block = self.pop(larger)?;
        self.recycle(block + block_bytes(class), block + block_bytes(larger));
        Some(block)
    }

    fn grow(&mut self, bytes: usize) -> bool {
        let Some((start, end)) = (self.grow)(bytes) else { return false };
        // SAFETY: fresh memory belongs to whoever asked for it.
        unsafe { self.add(start, end) };
        true
    }

    /// As `grow`, for the sake of the last block: no harm when the new memory does not touch the old.
    fn grow_in_place(&mut self, bytes: usize) {
        self.grow(bytes);
    }

    /// Puts the memory from `start` to `end` into the free lists, cut into blocks.
    fn recycle(&mut self, mut start: usize, end: usize) {
        while end.saturating_sub(start) >= GRAIN {
            let rest = end - start;
            let Some(above) = class_of(rest) else { return };
            let class = if block_bytes(above) > rest { above - 1 } else { above };
            self.push(class, start);
            start += block_bytes(class);
        }
    }

    fn push(&mut self, class: usize, block: usize) {
        // SAFETY: a free block is ours, at least a grain long, and aligned to it.
        unsafe { ptr::with_exposed_provenance_mut::<usize>(block).write(self.free[class]) };
        self.free[class] = block;
    }

    fn pop(&mut self, class: usize) -> Option<usize> {
        let block = self.free[class];
        if block == 0 {
            return None;
        }
        // SAFETY: `push` wrote the next block's address there, and nobody else has written since.
        self.free[class] = unsafe { ptr::with_exposed_provenance::<usize>(block).read() };
        Some(block)
    }
}

/// The smallest class whose blocks hold `size` bytes.
fn class_of(size: usize) -> Option<usize> {
    if size <= FINE_BYTES {
        return Some(size.max(1).div_ceil(GRAIN) - 1);
    }
    let doubling = ((size - 1) / FINE_BYTES).ilog2() as usize;
    let below = FINE_BYTES << doubling;
    let class = FINE_CLASSES + 4 * doubling + (size - below - 1) / (below / 4);
    (class < CLASSES).then_some(class)
}

/// The bytes of a block of `class`, a multiple of the grain.
const fn block_bytes(class: usize) -> usize {
    if class < FINE_CLASSES {
        return (class + 1) * GRAIN;
    }
    let (doubling, step) = ((class - FINE_CLASSES) / 4, (class - FINE_CLASSES) % 4);
    let below = FINE_BYTES << doubling;
    below + below / 4 * (step + 1)
}

fn pointer(block: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(block)
}

#[cfg(test)]
mod tests;
