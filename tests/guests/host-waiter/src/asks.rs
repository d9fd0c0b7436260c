//! What a plugin asks the host about its call, and tells those who wait.
#![expect(clippy::print_stdout, reason = "what a cancelled call has seen stands in its log alone")]

use berth_plugin::{ToolError, Value, call, capabilities, endpoints, json, progress};

/// Answers `name`; nothing when it is none of these.
pub fn answer(name: &str, input: &Value) -> Option<Result<Value, ToolError>> {
    Some(Ok(match name {
        "who" => who(),
        "may" => json!({
            "granted": capabilities::granted(),
            "check": capabilities::check(input["capability"].as_str().unwrap_or_default(), &input["scope"]),
        }),
        "tell" => tell(input),
        "until_cancelled" => {
            println!("begun");
            while !call::cancelled() {
                super::wait(1);
            }
            println!("noticed with {} ms left", call::remaining().as_millis());
            json!({})
        }
        "never" => {
            let ended = endpoints::call("", "rpi.never", &json!({}));
            println!("ended with {}", ended.map_or_else(|error| error.code, |_| "an answer".to_owned()));
            json!({})
        }
        _ => return None,
    }))
}

fn who() -> Value {
    let context = call::context();
    json!({
        "call_id": context.call_id, "run_id": context.run_id, "thread_id": context.thread_id,
        "workspace_id": context.workspace_id, "actor_id": context.actor_id, "locale": context.locale,
        "deadline_ms": context.deadline_ms, "dry_run": context.dry_run,
        "idempotency_key": context.idempotency_key, "meta": context.meta,
        "cancelled": call::cancelled(),
        "remaining_ms": u64::try_from(call::remaining().as_millis()).unwrap_or(u64::MAX),
    })
}

fn tell(input: &Value) -> Value {
    progress::report(Some(0.5), "half\nway \u{1b}[2Jthere");
    progress::report(Some(f32::NAN), "somewhere");
    progress::report(Some(7.0), "beyond");
    let mut handed = 0;
    for piece in 0..input["pieces"].as_u64().unwrap_or(0) {
        if let Err(error) = progress::partial(format!("piece {piece}").as_bytes()) {
            println!("piece {piece} ended with {}", error.code);
            break;
        }
        handed += 1;
    }
    json!({ "handed": handed })
}
