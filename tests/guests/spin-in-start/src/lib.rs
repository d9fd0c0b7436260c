//! Never comes to life: making an instance of it already takes forever.

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool, json};

struct Never;

impl Tool for Never {
    fn describe() -> Vec<ToolSpec> {
        vec![ToolSpec::new("never", "Cannot be reached.", r#"{"type":"object"}"#).risk("read")]
    }

    fn call(_name: &str, _input: Value) -> Result<Value, ToolError> {
        Ok(json!({}))
    }
}

export_tool!(Never);

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "what runs when an instance is made is found by its name or section")]
mod start {
    /// The function that an instance runs before anybody calls it.
    #[cfg(not(target_os = "wasi"))]
    #[unsafe(no_mangle)]
    extern "C" fn _initialize() {
        spin();
    }

    /// With WASI that function is the C library's, which runs the constructors.
    #[cfg(target_os = "wasi")]
    #[used]
    #[unsafe(link_section = ".init_array")]
    static START: extern "C" fn() = spin;

    extern "C" fn spin() {
        let mut count = 0_u64;
        loop {
            count = std::hint::black_box(count.wrapping_add(1));
        }
    }
}
