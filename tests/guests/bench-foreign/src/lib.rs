//! Greets like `bench-typed`, with the compiler's own stack size and allocator: what a guest costs whose author has
//! never heard of us.
#![allow(unsafe_code, reason = "generated: values cross to the host as raw memory")]

wit_bindgen::generate!({ path: "wit" });

struct Hello;

impl exports::berth::bench::hello::Guest for Hello {
    fn run(name: String) -> Result<String, String> {
        if name.is_empty() {
            return Err("nobody to greet".into());
        }
        Ok(format!("hello {name}"))
    }
}

#[cfg(target_family = "wasm")]
export!(Hello);

// A native build exports nothing.
#[cfg(not(target_family = "wasm"))]
const _: Hello = Hello;
