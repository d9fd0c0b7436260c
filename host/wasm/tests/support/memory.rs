//! Linear memories that are looked into when their guest is gone.
#![allow(unsafe_code, reason = "the engine takes memories of its own making only through an unsafe trait")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// Looks at the whole memory of a guest after its last step.
type Look = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Makes memories, and shows each to `look` before it goes.
pub struct Watched {
    look: Look,
    seen: Arc<AtomicUsize>,
}

impl Watched {
    pub fn new(look: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self { look: Arc::new(look), seen: Arc::default() }
    }

    /// How many memories were looked at.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

struct Memory {
    start: NonNull<u8>,
    mapped: usize,
    capacity: usize,
    size: usize,
    look: Look,
    seen: Arc<AtomicUsize>,
}

// SAFETY: the mapping belongs to this value alone, and the engine says who writes to it when.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

// SAFETY: `start` points at `capacity` reserved bytes that stay where they are, the first `size` of which may be used;
// behind them lie the guard pages that were asked for.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        if size > self.capacity {
            wasmtime::bail!("the memory ends here");
        }
        self.open(size)?;
        self.size = size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Memory {
    fn open(&self, size: usize) -> wasmtime::Result<()> {
        if size > 0 {
            // SAFETY: the first `size` bytes are inside of the mapping.
            unsafe {
                mprotect(self.start.as_ptr().cast(), size, MprotectFlags::READ | MprotectFlags::WRITE)?;
            }
        }
        Ok(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the first `size` bytes are mapped and readable, and nobody runs in them any more.
        let bytes = unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size) };
        (self.look)(bytes);
        self.seen.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the mapping was made by `new_memory`, and nothing points into it any more.
        unsafe {
            munmap(self.start.as_ptr().cast(), self.mapped).unwrap();
        }
    }
}

// SAFETY: each memory has the reservation and the guard that were asked for.
unsafe impl MemoryCreator for Watched {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let capacity = reserved.or(maximum).unwrap_or(minimum).max(minimum).max(1 << 30);
        let mapped = capacity + guard;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh mapping at a place of the system's choice.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), mapped, ProtFlags::empty(), flags) };
        let start = start.map_err(|error| error.to_string())?;
        let start = NonNull::new(start.cast()).ok_or("the mapping is nowhere")?;
        let (look, seen) = (self.look.clone(), self.seen.clone());
        let memory = Memory { start, mapped, capacity, size: minimum, look, seen };
        memory.open(minimum).map_err(|error| error.to_string())?;
        Ok(Box::new(memory))
    }
}
