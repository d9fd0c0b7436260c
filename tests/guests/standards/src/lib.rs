//! Does in the standard interfaces what it is told, step by step, and answers with what came of each step.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what is printed is what is tested")]

use berth_plugin::{Tool, ToolError, ToolSpec, Value, endpoints, export_tool, json};

use bindings::wasi::config::store as config;
use bindings::wasi::keyvalue0_2_0_draft as first;
use bindings::wasi::keyvalue0_2_0_draft2 as second;
use bindings::wasi::logging::logging::{self, Level};

#[allow(unsafe_code, dead_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "standards", generate_all });
}

struct Standards;

impl Tool for Standards {
    fn describe() -> Vec<ToolSpec> {
        let schema = r#"{"type":"object"}"#;
        vec![
            ToolSpec::new("pairs", "Opens `bucket` and does `steps` in it.", schema).risk("write"),
            ToolSpec::new("old_pairs", "The same in the first draft.", schema).risk("write"),
            ToolSpec::new("config", "Reads `key`, or all settings.", schema).risk("read"),
            ToolSpec::new("log", "Logs `message`, and prints `out` and `err`.", schema).risk("read"),
        ]
    }

    fn call(name: &str, input: Value) -> Result<Value, ToolError> {
        match name {
            "pairs" => match second::store::open(text(&input, "bucket")) {
                Ok(bucket) => Ok(steps(&input).map(|step| new_step(&bucket, step)).collect()),
                Err(error) => Ok(new_error(error)),
            },
            "old_pairs" => match first::store::open(text(&input, "bucket")) {
                Ok(bucket) => Ok(steps(&input).map(|step| old_step(&bucket, step)).collect()),
                Err(error) => Ok(old_error(error)),
            },
            "config" => Ok(match input["key"].as_str() {
                Some(key) => config::get(key).map_or_else(config_error, Value::from),
                None => config::get_all().map_or_else(config_error, |all| json!(all)),
            }),
            "log" => {
                print!("{}", text(&input, "out"));
                eprint!("{}", text(&input, "err"));
                let level = match text(&input, "level") {
                    "trace" => Level::Trace,
                    "debug" => Level::Debug,
                    "info" => Level::Info,
                    "warn" => Level::Warn,
                    "error" => Level::Error,
                    _ => Level::Critical,
                };
                for _ in 0..input["times"].as_u64().unwrap_or(1) {
                    logging::log(level, text(&input, "context"), text(&input, "message"));
                }
                Ok(Value::Null)
            }
            other => Err(ToolError::InvalidInput(format!("no tool `{other}`"))),
        }
    }
}

export_tool!(Standards);

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn steps(input: &Value) -> impl Iterator<Item = &Value> {
    input["steps"].as_array().into_iter().flatten()
}

fn keys(step: &Value) -> Vec<String> {
    step["keys"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn pairs(step: &Value) -> Vec<(String, Vec<u8>)> {
    let value = text(step, "value").as_bytes();
    keys(step).into_iter().map(|key| (key, value.to_vec())).collect()
}

fn shown(value: Option<Vec<u8>>) -> Value {
    value.map_or(Value::Null, |value| String::from_utf8_lossy(&value).into())
}

/// What a step sets: its `value`, `bytes` times.
fn value(step: &Value) -> Vec<u8> {
    let times = step["bytes"].as_u64().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(1);
    text(step, "value").repeat(times).into_bytes()
}

/// Waits until the endpoint of the story lets it go on.
fn gate() -> Value {
    endpoints::call("", "rpi.gate", &json!({}))
        .map_or_else(|error| json!({ "error": error.code }), |_| json!("ok"))
}

fn new_step(bucket: &second::store::Bucket, step: &Value) -> Value {
    let key = text(step, "key");
    let done = match text(step, "do") {
        "get" => bucket.get(key).map(shown),
        "set" => bucket.set(key, &value(step)).map(|()| json!("ok")),
        "delete" => bucket.delete(key).map(|()| json!("ok")),
        "exists" => bucket.exists(key).map(Value::from),
        "list" => bucket.list_keys(step["cursor"].as_str()).map(|page| json!([page.keys.len(), page.cursor])),
        "increment" => {
            second::atomics::increment(bucket, key, step["by"].as_i64().unwrap_or(1)).map(Value::from)
        }
        "get-many" => second::batch::get_many(bucket, &keys(step))
            .map(|found| found.into_iter().map(|(key, value)| json!([key, shown(value)])).collect::<Value>()),
        "set-many" => second::batch::set_many(bucket, &pairs(step)).map(|()| json!("ok")),
        "delete-many" => second::batch::delete_many(bucket, &keys(step)).map(|()| json!("ok")),
        "swap" => return swap(bucket, step),
        "count-up" => return count_up(bucket, key, step["times"].as_u64().unwrap_or(1)),
        "gate" => return gate(),
        other => return json!({ "error": format!("no step `{other}`") }),
    };
    done.unwrap_or_else(new_error)
}

/// Looks, lets another write in between when told so, and swaps.
fn swap(bucket: &second::store::Bucket, step: &Value) -> Value {
    let key = text(step, "key");
    let cas = match second::atomics::Cas::new(bucket, key) {
        Ok(cas) => cas,
        Err(error) => return new_error(error),
    };
    let seen = cas.current().map_or_else(new_error, shown);
    if let Some(other) = step["meanwhile"].as_str()
        && let Err(error) = bucket.set(key, other.as_bytes())
    {
        return new_error(error);
    }
    if step["gate"] == true {
        gate();
    }
    match second::atomics::swap(cas, &value(step)) {
        Ok(()) => json!({ "seen": seen, "swapped": true }),
        Err(second::atomics::CasError::StoreError(error)) => new_error(error),
        Err(second::atomics::CasError::CasFailed(now)) => {
            let now = now.current().map_or_else(new_error, shown);
            json!({ "seen": seen, "swapped": false, "now": now })
        }
    }
}

/// Adds one so many times, with nothing but swaps.
fn count_up(bucket: &second::store::Bucket, key: &str, times: u64) -> Value {
    let mut retries = 0_u64;
    for _ in 0..times {
        let mut cas = match second::atomics::Cas::new(bucket, key) {
            Ok(cas) => cas,
            Err(error) => return new_error(error),
        };
        loop {
            let number = match cas.current() {
                Ok(seen) => shown(seen).as_str().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0),
                Err(error) => return new_error(error),
            };
            match second::atomics::swap(cas, (number + 1).to_string().as_bytes()) {
                Ok(()) => break,
                Err(second::atomics::CasError::StoreError(error)) => return new_error(error),
                Err(second::atomics::CasError::CasFailed(again)) => {
                    retries += 1;
                    cas = again;
                }
            }
        }
    }
    json!({ "retries": retries })
}

fn old_step(bucket: &first::store::Bucket, step: &Value) -> Value {
    let key = text(step, "key");
    let done = match text(step, "do") {
        "get" => bucket.get(key).map(shown),
        "set" => bucket.set(key, &value(step)).map(|()| json!("ok")),
        "delete" => bucket.delete(key).map(|()| json!("ok")),
        "exists" => bucket.exists(key).map(Value::from),
        "list" => bucket.list_keys(step["cursor"].as_u64()).map(|page| json!([page.keys.len(), page.cursor])),
        "increment" => {
            first::atomics::increment(bucket, key, step["by"].as_u64().unwrap_or(1)).map(Value::from)
        }
        "get-many" => first::batch::get_many(bucket, &keys(step)).map(|found| {
            found
                .into_iter()
                .map(|pair| pair.map_or(Value::Null, |(key, value)| json!([key, shown(Some(value))])))
                .collect::<Value>()
        }),
        "set-many" => first::batch::set_many(bucket, &pairs(step)).map(|()| json!("ok")),
        "delete-many" => first::batch::delete_many(bucket, &keys(step)).map(|()| json!("ok")),
        other => return json!({ "error": format!("no step `{other}`") }),
    };
    done.unwrap_or_else(old_error)
}

fn new_error(error: second::store::Error) -> Value {
    match error {
        second::store::Error::NoSuchStore => json!({ "error": "no-such-store" }),
        second::store::Error::AccessDenied => json!({ "error": "access-denied" }),
        second::store::Error::Other(text) => json!({ "error": text }),
    }
}

fn old_error(error: first::store::Error) -> Value {
    match error {
        first::store::Error::NoSuchStore => json!({ "error": "no-such-store" }),
        first::store::Error::AccessDenied => json!({ "error": "access-denied" }),
        first::store::Error::Other(text) => json!({ "error": text }),
    }
}

fn config_error(error: config::Error) -> Value {
    match error {
        config::Error::Upstream(text) => json!({ "error": text }),
        config::Error::Io(text) => json!({ "io": text }),
    }
}
