//! Time, memory, stack and handles.

use std::hint::black_box;

use berth_plugin::{ToolError, Value, call, capabilities, json};

pub fn attack(name: &str, input: &Value) -> Option<Result<Value, ToolError>> {
    match name {
        "spin" => loop {
            black_box(());
        },
        "spin_calls" => loop {
            black_box(call::remaining());
        },
        "spin_denied" => loop {
            black_box(capabilities::check("http", &json!({ "hosts": ["https://example.com"] })));
        },
        "spin_memory" => {
            let mut block = vec![0_u8; 4 << 20];
            loop {
                block.fill(black_box(1));
                black_box(&block);
            }
        }
        "spin_allocate" => loop {
            black_box(vec![1_u8; 64 << 10]);
        },
        "ignore_cancel" => loop {
            black_box(call::cancelled());
        },
        "grow" => {
            let mut kept = Vec::new();
            loop {
                kept.push(black_box(vec![0xa5_u8; 1 << 20]));
            }
        }
        "grow_slowly" => {
            let mut kept = Vec::new();
            loop {
                kept.push(black_box(Box::new([7_u64; 128])));
            }
        }
        "reserve_everything" => {
            let mut block: Vec<u8> = Vec::new();
            Some(Ok(json!({ "refused": block.try_reserve_exact(1 << 30).is_err() })))
        }
        "recurse" => Some(Ok(json!({ "depth": down(black_box(0)) }))),
        "recurse_mutually" => Some(Ok(json!({ "depth": ping(black_box(0)) }))),
        "recurse_wide" => Some(Ok(json!({ "depth": wide(black_box(0)) }))),
        "recurse_pointer" => {
            let table: [fn(u32) -> u32; 2] = [down, ping];
            Some(Ok(json!({ "depth": table[black_box(1)](0) })))
        }
        "sleep" => {
            std::thread::sleep(std::time::Duration::from_secs(input["seconds"].as_u64().unwrap_or(3600)));
            Some(Ok(json!({ "slept": true })))
        }
        "sleep_often" => loop {
            std::thread::sleep(std::time::Duration::from_nanos(1));
        },
        "read_clock" => {
            let begin = std::time::Instant::now();
            while begin.elapsed().as_secs() < 3600 {
                black_box(begin.elapsed());
            }
            Some(Ok(json!({ "waited": true })))
        }
        "random_flood" => loop {
            // Each state takes new random bytes once in a while; a map uses them.
            black_box(std::collections::HashMap::<u64, u64>::from([(1, black_box(2))]));
        },
        _ => None,
    }
}

#[inline(never)]
fn down(depth: u32) -> u32 {
    if depth == u32::MAX { 0 } else { down(depth.wrapping_add(1)).rotate_left(7) ^ depth }
}

#[inline(never)]
fn ping(depth: u32) -> u32 {
    if depth == u32::MAX { 0 } else { pong(depth.wrapping_add(1)).rotate_left(3) ^ depth }
}

#[inline(never)]
fn pong(depth: u32) -> u32 {
    if depth == u32::MAX { 1 } else { ping(depth.wrapping_add(1)).rotate_left(5) ^ depth }
}

#[expect(unconditional_recursion, reason = "that is the point")]
#[inline(never)]
fn wide(depth: u32) -> u32 {
    let frame = black_box([depth; 512]);
    wide(depth + 1) + frame[0]
}
