use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

thread_local! {
    /// Pieces of memory that `grow` hands out, last first.
    static SPARE: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
}

fn spare(bytes: usize) -> Option<(usize, usize)> {
    SPARE.with_borrow_mut(|spare| {
        let (start, end) = spare.pop()?;
        let middle = start + bytes.next_multiple_of(4096);
        if middle > end {
            return None;
        }
        spare.push((middle, end));
        Some((start, middle))
    })
}

/// A heap over `arena`, that may grow into `reserves`.
fn heap(arena: &mut [u128], reserves: &mut [Vec<u128>]) -> Heap {
    let bounds = |memory: &mut [u128]| {
        let range = memory.as_mut_ptr_range();
        (range.start.expose_provenance(), range.end.expose_provenance())
    };
    SPARE.set(reserves.iter_mut().map(|reserve| bounds(reserve)).collect());
    let mut heap = Heap::new(spare);
    let (start, end) = bounds(arena);
    // SAFETY: the memory is the test's and outlives the heap.
    unsafe { heap.add(start, end) };
    heap
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Allocate { size: usize, align_bits: u32 },
    Free { which: usize },
    Resize { which: usize, size: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![1..64_usize, 1..600_usize, 1..9000_usize];
    prop_oneof![
        3 => (size.clone(), 0..10_u32).prop_map(|(size, align_bits)| Step::Allocate { size, align_bits }),
        2 => any::<usize>().prop_map(|which| Step::Free { which }),
        2 => (any::<usize>(), size).prop_map(|(which, size)| Step::Resize { which, size }),
    ]
}

struct Live {
    layout: Layout,
    fill: u8,
}

/// Blocks in use by address, each filled with a byte of its own.
#[derive(Default)]
struct Model {
    live: BTreeMap<usize, Live>,
    counter: u8,
}

impl Model {
    fn insert(&mut self, block: *mut u8, layout: Layout) {
        self.counter = self.counter.wrapping_add(1);
        // SAFETY: the heap promised that many bytes.
        unsafe { block.write_bytes(self.counter, layout.size()) };
        let start = block.addr();
        assert_eq!(start % layout.align(), 0, "aligned");
        let before = self.live.range(..=start).next_back();
        assert!(
            before.is_none_or(|(at, live)| at + live.layout.size() <= start),
            "overlaps the block before"
        );
        let after = self.live.range(start..).next();
        assert!(after.is_none_or(|(at, _)| start + layout.size() <= *at), "overlaps the block after");
        self.live.insert(start, Live { layout, fill: self.counter });
    }

    fn remove(&mut self, which: usize) -> Option<(*mut u8, Live)> {
        let start = *self.live.keys().nth(which % self.live.len().max(1))?;
        let live = self.live.remove(&start)?;
        Some((pointer(start), live))
    }

    fn check(block: *const u8, fill: u8, bytes: usize) {
        // SAFETY: the block is in use and that long.
        let content = unsafe { std::slice::from_raw_parts(block, bytes) };
        assert!(content.iter().all(|byte| *byte == fill), "somebody wrote into a block in use");
    }
}

proptest! {
    #[test]
    fn blocks_never_overlap_and_keep_their_content(steps in prop::collection::vec(step(), 1..300)) {
        let mut arena = vec![0_u128; 2048];
        let mut reserves = [vec![0_u128; 8192], vec![0_u128; 1024], vec![0_u128; 8192]];
        let mut heap = heap(&mut arena, &mut reserves);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Allocate { size, align_bits } => {
                    let layout = layout(size, 1 << align_bits);
                    let block = heap.allocate(layout);
                    if !block.is_null() {
                        model.insert(block, layout);
                    }
                }
                Step::Free { which } => {
                    if let Some((block, live)) = model.remove(which) {
                        Model::check(block, live.fill, live.layout.size());
                        // SAFETY: the model held it for this layout.
                        unsafe { heap.deallocate(block, live.layout) };
                    }
                }
                Step::Resize { which, size } => {
                    if let Some((block, live)) = model.remove(which) {
                        // SAFETY: the model held it for this layout.
                        let moved = unsafe { heap.reallocate(block, live.layout, size) };
                        if moved.is_null() {
                            Model::check(block, live.fill, live.layout.size());
                            model.insert(block, live.layout);
                        } else {
                            Model::check(moved, live.fill, live.layout.size().min(size));
                            model.insert(moved, layout(size, live.layout.align()));
                        }
                    }
                }
            }
        }
        while let Some((block, live)) = model.remove(0) {
            Model::check(block, live.fill, live.layout.size());
        }
    }

    #[test]
    fn a_class_holds_its_size_and_wastes_at_most_a_quarter(size in 1_usize..1 << 31) {
        let class = class_of(size).unwrap();
        let bytes = block_bytes(class);
        prop_assert!(bytes >= size && bytes.is_multiple_of(GRAIN));
        prop_assert!(class == 0 || block_bytes(class - 1) < size);
        prop_assert!(bytes - size < GRAIN.max(size / 4 + 1));
    }
}

#[test]
fn a_heap_does_not_grow_before_its_arena_is_used_up() {
    let mut arena = vec![0_u128; 4096];
    let bytes = arena.len() * 16;
    let mut heap = heap(&mut arena, &mut []);

    let blocks: Vec<_> = (0..bytes / 256).map(|_| heap.allocate(layout(256, 8))).collect();

    assert!(blocks.iter().all(|block| !block.is_null()));
    assert!(heap.allocate(layout(1, 1)).is_null());
}

#[test]
fn freed_memory_is_used_again_for_smaller_blocks() {
    let mut arena = vec![0_u128; 64];
    let mut heap = heap(&mut arena, &mut []);
    let whole = layout(1024, 16);
    let block = heap.allocate(whole);
    assert!(heap.allocate(layout(16, 1)).is_null());

    // SAFETY: the block came from this heap for this layout.
    unsafe { heap.deallocate(block, whole) };

    assert!((0..64).all(|_| !heap.allocate(layout(16, 1)).is_null()));
}

#[test]
fn a_split_block_is_used_to_the_last_grain() {
    let mut arena = vec![0_u128; 64];
    let mut heap = heap(&mut arena, &mut []);
    let small = layout(16, 16);
    let first = heap.allocate(layout(896, 16));
    assert!(!heap.allocate(layout(112, 16)).is_null());
    // SAFETY: the block came from this heap for this layout.
    unsafe { heap.deallocate(first, layout(896, 16)) };

    assert!((0..57).all(|_| !heap.allocate(small).is_null()));
    assert!(heap.allocate(small).is_null());
}

#[test]
fn the_last_block_grows_where_it_stands() {
    let mut arena = vec![0_u128; 1024];
    let mut heap = heap(&mut arena, &mut []);
    let block = heap.allocate(layout(100, 1));

    // SAFETY: the block came from this heap for this layout.
    let moved = unsafe { heap.reallocate(block, layout(100, 1), 10_000) };

    assert_eq!(moved, block);
}

#[test]
fn a_size_no_memory_can_hold_is_refused() {
    let mut arena = vec![0_u128; 64];
    let mut heap = heap(&mut arena, &mut []);

    assert!(heap.allocate(layout(1 << 40, 1)).is_null());
    assert!(heap.allocate(layout(4096, 1)).is_null());
}
