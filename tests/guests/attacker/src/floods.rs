//! More than anybody wants to hear.

use std::io::Write as _;

use berth_plugin::{ToolError, Value, capabilities, json, progress};

pub fn attack(name: &str, _: &Value) -> Option<Result<Value, ToolError>> {
    Some(match name {
        "flood_stderr" => lines(&mut std::io::stderr(), 100_000),
        "flood_stdout" => lines(&mut std::io::stdout(), 100_000),
        "endless_line" => {
            let piece = vec![b'x'; 60_000];
            for _ in 0..2000 {
                // What is refused is as good as what is dropped.
                let _refused = std::io::stdout().write_all(&piece);
            }
            Ok(json!({ "printed": 2000 * piece.len() }))
        }
        "escape_terminal" => {
            eprintln!("\x1b[2J\x1b]0;owned\x07\x1b[31mred\x08\x08\r\nsecond\u{9b}31m");
            Ok(json!({ "printed": true }))
        }
        "flood_progress" => {
            for step in 0..200_000_u32 {
                progress::report(Some(step as f32 / 200_000.0), "still at it");
            }
            Ok(json!({ "reported": 200_000 }))
        }
        "odd_progress" => {
            for fraction in [f32::NAN, f32::INFINITY, -1.0, 1e30] {
                progress::report(Some(fraction), "\x1b[31mred\0\n\u{202e}");
            }
            progress::report(None, &"m".repeat(4 << 20));
            Ok(json!({ "reported": true }))
        }
        "huge_progress" => {
            progress::report(None, &"m".repeat(9 << 20));
            Ok(json!({ "reported": true }))
        }
        "flood_partial" => {
            let piece = vec![b'p'; 64 << 10];
            let mut taken = 0_u64;
            for _ in 0..2000 {
                if progress::partial(&piece).is_err() {
                    break;
                }
                taken += 1;
            }
            Ok(json!({ "taken": taken }))
        }
        "huge_partial" => {
            let piece = vec![b'p'; 9 << 20];
            Ok(json!({ "taken": progress::partial(&piece).is_ok() }))
        }
        "huge_name" => Ok(json!({ "granted": capabilities::check(&"n".repeat(9 << 20), &json!({})) })),
        "deep_scope" => {
            let mut scope = json!({});
            for _ in 0..100 {
                scope = json!({ "a": [scope] });
            }
            Ok(json!({ "granted": capabilities::check("files", &scope) }))
        }
        "odd_scopes" => {
            let granted = ["", "files", "\0", "../files", "files\n", "ALL", "*"]
                .into_iter()
                .filter(|name| capabilities::check(name, &json!({ "guest": "/", "access": "rw" })))
                .count();
            Ok(json!({ "granted": granted }))
        }
        _ => return None,
    })
}

fn lines(out: &mut impl std::io::Write, count: u32) -> Result<Value, ToolError> {
    for line in 0..count {
        // What is refused is as good as what is dropped.
        let _refused = writeln!(out, "{line} a line that nobody will ever read to its end");
    }
    Ok(json!({ "printed": count }))
}
