//! berth-wasm
