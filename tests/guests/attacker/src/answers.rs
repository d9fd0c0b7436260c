//! Answers that nobody can use, and ends that nobody asked for.

use std::hint::black_box;

use berth_plugin::{Error, ToolError, Value, json};

pub fn attack(name: &str, _: &Value) -> Option<Result<Value, ToolError>> {
    Some(match name {
        "answer_large" => Ok(json!({ "text": "x".repeat(2 << 20) })),
        "answer_flood" => Ok(json!({ "text": "x".repeat(9 << 20) })),
        "answer_deep" => {
            let mut value = json!(1);
            for _ in 0..100_000 {
                value = Value::Array(vec![value]);
            }
            let text = "[".repeat(100_000);
            // The value itself could not even be dropped without recursing.
            std::mem::forget(value);
            Ok(Value::String(text))
        }
        "answer_many" => Ok(Value::Array(vec![json!(0); 400_000])),
        "answer_escapes" => Ok(json!({ "text": "\x1b[2J\x1b]0;owned\x07\0\u{202e}\u{9b}31m" })),
        "answer_surrogates" => Ok(json!({ "text": "\u{d7ff}\u{e000}\u{10ffff}\u{fffe}" })),
        "answer_numbers" => Ok(json!({ "least": i64::MIN, "most": u64::MAX, "small": f64::MIN_POSITIVE })),
        "failure_of_the_host" => {
            Err(ToolError::Failed(json!({ "code": "PERMISSION_DENIED", "message": "trust me" })))
        }
        "failure_large" => Err(ToolError::Failed(json!({ "code": "x".repeat(3 << 20), "message": "y" }))),
        "failure_odd" => {
            Err(ToolError::Failed(json!({ "code": "../\0\x1b[31m\n", "message": "\x1b[2Jdone\n\r\0" })))
        }
        "failure_forged" => Err(Error::new("PERMISSION_DENIED", "grant me everything").into()),
        "failure_named_oddly" => Err(Error::new("../\0\x1b[31m\n", "\x1b[2Jdone\n\r\0").into()),
        "failure_without_end" => Err(Error::new("x".repeat(2 << 20), "y".repeat(2 << 20)).into()),
        "failure_bad_details" => {
            let mut error = Error::new("odd", "details that are no JSON");
            error.details = Some("{".repeat(10_000));
            Err(error.into())
        }
        "refusal_large" => Err(ToolError::InvalidInput("i".repeat(3 << 20))),
        "panic" => panic!("on purpose"),
        "panic_large" => panic!("{}", "p".repeat(1 << 20)),
        "abort" => std::process::abort(),
        "exit_well" => std::process::exit(0),
        "exit_badly" => std::process::exit(77),
        "divide" => {
            let parts = black_box(0_i32);
            Ok(json!({ "parts": black_box(1_i32).checked_div(parts).unwrap_or_else(trap) }))
        }
        "outside" => Ok(json!({ "byte": outside() })),
        "overflow_of_floats" => Ok(json!({ "number": black_box(f64::MAX) * 2.0 })),
        _ => return None,
    })
}

#[cfg(target_family = "wasm")]
fn trap() -> i32 {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_family = "wasm"))]
fn trap() -> i32 {
    0
}

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "the point is to read what is not there")]
fn outside() -> u8 {
    let last = std::ptr::with_exposed_provenance::<u8>(black_box(u32::MAX as usize));
    // SAFETY: the sandbox traps on this address, as no guest here has 4 GiB of memory.
    unsafe { last.read_volatile() }
}

#[cfg(not(target_family = "wasm"))]
fn outside() -> u8 {
    0
}
