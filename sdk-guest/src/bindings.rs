//! The generated side of the WIT; the modules beside this one are what authors see.
#![allow(unsafe_code, missing_docs, reason = "generated: values cross to the host as raw memory")]

wit_bindgen::generate!({
    path: "../wit",
    world: "dynamic-tool",
    pub_export_macro: true,
    default_bindings_module: "berth_plugin::bindings",
    runtime_path: "wit_bindgen::rt",
});

/// Functions of WASI for guests that have no standard library with them.
#[cfg(all(target_family = "wasm", not(target_os = "wasi")))]
pub mod base {
    wit_bindgen::generate!({ path: "wit", world: "base", generate_all });
}

/// What is served of wasi:keyvalue, wasi:config and wasi:logging.
#[cfg(target_family = "wasm")]
pub mod standards {
    wit_bindgen::generate!({ path: "wit/standards", world: "standards", generate_all });
}

/// What is served of wasi:http.
#[cfg(target_family = "wasm")]
pub mod web {
    wit_bindgen::generate!({ path: "wit/http", world: "client", generate_all });
}
