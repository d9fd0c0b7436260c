//! Waits inside the host, where no CPU limit sees it: for a clock, or for an endpoint. Asks the host about its call.

mod asks;

use berth_plugin::{Tool, ToolError, ToolSpec, Value, endpoints, export_tool, json};

struct Waiter;

impl Tool for Waiter {
    fn describe() -> Vec<ToolSpec> {
        let schema = r#"{"type":"object"}"#;
        vec![
            ToolSpec::new("wait_clock", "Waits `ms` milliseconds, an hour by default.", schema).risk("read"),
            ToolSpec::new("wait_endpoint", "Calls `tool` of `selector` and answers with its answer.", schema)
                .risk("external"),
            ToolSpec::new(
                "ask_twice",
                "Calls `rpi.gate`, then `rpi.gpio.read`: what became of both.",
                schema,
            )
            .risk("external"),
            ToolSpec::new("ask_on", "Calls `rpi.read` until that fails: how often, and why.", schema)
                .risk("external"),
            ToolSpec::new(
                "ask_and_read",
                "Reads `path` where `twice` says so, calls `rpi.gate`, reads.",
                schema,
            )
            .risk("external"),
            ToolSpec::new("who", "Tells what the host says of the call.", schema).risk("read"),
            ToolSpec::new("may", "Whether `capability` is granted for `scope`.", schema).risk("read"),
            ToolSpec::new("tell", "Reports, then hands `pieces` pieces over.", schema).risk("read"),
            ToolSpec::new("until_cancelled", "Comes back when it is cancelled.", schema).risk("read"),
            ToolSpec::new("never", "Waits for an endpoint that never answers.", schema).risk("external"),
        ]
    }

    fn call(name: &str, input: Value) -> Result<Value, ToolError> {
        match name {
            "wait_clock" => {
                wait(input["ms"].as_u64().unwrap_or(3_600_000));
                Ok(json!({ "waited": true }))
            }
            "wait_endpoint" => {
                let selector = input["selector"].as_str().unwrap_or_default();
                let tool = input["tool"].as_str().unwrap_or("test.wait");
                endpoints::call(selector, tool, &json!({}))
                    .or_else(|error| Ok(json!({ "code": error.code, "message": error.message })))
            }
            "ask_twice" => {
                let ended = ["rpi.gate", "rpi.gpio.read"].map(|tool| {
                    endpoints::call("", tool, &json!({})).map_or_else(|error| error.code, |_| "ok".to_owned())
                });
                Ok(json!({ "first": ended[0], "second": ended[1] }))
            }
            "ask_on" => {
                let mut calls = 0_u64;
                loop {
                    match endpoints::call("", "rpi.read", &json!({})) {
                        Ok(_) => calls += 1,
                        Err(error) => return Ok(json!({ "calls": calls, "code": error.code })),
                    }
                }
            }
            "ask_and_read" => {
                let path = input["path"].as_str().unwrap_or_default();
                let before = input["twice"] == true && std::fs::read_to_string(path).is_ok();
                let asked = endpoints::call("", "rpi.gate", &json!({})).is_ok();
                let after = std::fs::read_to_string(path).is_ok();
                Ok(json!({ "before": before, "asked": asked, "after": after }))
            }
            other => asks::answer(other, &input)
                .unwrap_or_else(|| Err(ToolError::InvalidInput(format!("no tool `{other}`")))),
        }
    }
}

export_tool!(Waiter);

#[allow(
    unsafe_code,
    dead_code,
    clippy::all,
    clippy::print_stdout,
    reason = "generated; a story looks at what it prints"
)]
mod extras {
    use berth_plugin::{endpoints, json};
    use exports::berth::plugin::tool_cancel::Guest;

    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package guest:waiter;
            world extras {
                export berth:plugin/tool-cancel@0.1.0;
            }",
        world: "guest:waiter/extras",
        generate_all,
    });

    struct Ending;

    /// Tells the endpoint, with the grants of the call.
    impl Guest for Ending {
        fn cancel(call_id: String) {
            println!("cancelled {call_id}");
            let _told = endpoints::call("", "rpi.gpio.read", &json!({ "pin": 0, "cancelled": call_id }));
        }
    }

    #[cfg(target_family = "wasm")]
    export!(Ending);
    #[cfg(not(target_family = "wasm"))]
    const _: Ending = Ending;
}

#[cfg(all(target_family = "wasm", not(target_os = "wasi")))]
fn wait(ms: u64) {
    clocks::wasi::clocks::monotonic_clock::subscribe_duration(ms.saturating_mul(1_000_000)).block();
}

/// With WASI in the standard library this is the same call.
#[cfg(any(target_os = "wasi", not(target_family = "wasm")))]
fn wait(ms: u64) {
    std::thread::sleep(std::time::Duration::from_millis(ms));
}

#[cfg(all(target_family = "wasm", not(target_os = "wasi")))]
#[allow(unsafe_code, dead_code, clippy::all, reason = "generated")]
mod clocks {
    wit_bindgen::generate!({ path: "wit", world: "clocks", generate_all });
}
