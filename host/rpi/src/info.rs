//! `rpi.echo` and `rpi.system.info`: that the board is there, and how it is.

use std::sync::Arc;

use berth_provider::{Answer, CallContext, Capability, Identity, Tools};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::argument::closed;
use crate::board::Board;

pub fn tools(board: &Arc<Board>, identity: &Identity) -> Tools {
    let echo = Capability::new("rpi.echo", "Raspberry Pi echo", "Answers with the text it was given")
        .takes(closed(json!({ "text": { "type": "string" } }), &["text"]))
        .answers(json!({ "type": "object", "required": ["text"] }))
        .tags(&["rpi", "echo"])
        .parallel();
    let info = Capability::new(
        "rpi.system.info",
        "Raspberry Pi system info",
        "Tells host name, system, memory, disk, temperature and the state of the pins",
    )
    .takes(closed(json!({}), &[]))
    .answers(json!({ "type": "object", "required": ["summary", "hostname", "platform", "python"] }))
    .tags(&["rpi", "system"])
    .parallel();
    let (board, identity) = (Arc::clone(board), identity.clone());
    Tools::new().with(echo, say_again).with(info, move |call| {
        let told = about(&board, &identity);
        async move { with_measures(&call, told).await }
    })
}

async fn say_again(call: CallContext) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        text: String,
    }
    let Arguments { text } = call.parse()?;
    Ok(json!({ "text": text }))
}

/// What stays the same while the provider runs.
fn about(board: &Board, identity: &Identity) -> Value {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let (hostname, machine) = (text(uname.nodename()), text(uname.machine()));
    let (system, release) = (text(uname.sysname()), text(uname.release()));
    json!({
        "summary": format!("{hostname}: {system} {release} on {machine}"),
        "hostname": hostname,
        "platform": {
            "system": system,
            "release": release,
            "version": text(uname.version()),
            "machine": machine,
            "processor": std::env::consts::ARCH,
        },
        // Clients of MeetYou's provider expect the field; there is no Python here.
        "python": { "version": "", "implementation": "none" },
        "gpio": {
            "selected_pin_factory": board.backend(),
            "backend": board.backend(),
            "available": true,
        },
        "endpoint": {
            "version": env!("CARGO_PKG_VERSION"),
            "git_commit": "",
            "endpoint_id": identity.provider_id,
            "provider_type": identity.provider_type,
            "executor_endpoint_id": identity.endpoint_id,
        },
    })
}

/// Adds what changes; null where this machine does not tell.
async fn with_measures(call: &CallContext, mut told: Value) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {}
    let Arguments {} = call.parse()?;
    let file = async |path: &str| tokio::fs::read_to_string(path).await.ok();
    told["uptime_seconds"] = file("/proc/uptime").await.and_then(|text| uptime(&text)).into();
    told["memory"] = file("/proc/meminfo").await.and_then(|text| memory(&text)).into();
    told["disk"] = disk().into();
    let heat = file("/sys/class/thermal/thermal_zone0/temp").await;
    told["cpu_temperature_c"] = heat.and_then(|text| celsius(&text)).into();
    Ok(told)
}

fn uptime(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

fn memory(text: &str) -> Option<Value> {
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(json!({
        "total_kb": field("MemTotal")?,
        "available_kb": field("MemAvailable"),
        "free_kb": field("MemFree"),
    }))
}

fn disk() -> Option<Value> {
    let facts = rustix::fs::statvfs("/").ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
    let used = facts.f_blocks.saturating_sub(facts.f_bfree);
    Some(json!({
        "total_bytes": bytes(facts.f_blocks),
        "used_bytes": bytes(used),
        "free_bytes": bytes(facts.f_bavail),
    }))
}

/// The kernel counts in thousandths.
fn celsius(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().map(|thousandths| thousandths / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let table = "MemTotal:        3884376 kB\nMemFree:          200000 kB\nMemAvailable:    3000000 kB\n";

        assert_eq!(uptime("350735.47 234388.90\n"), Some(350_735.47));
        assert_eq!(
            memory(table),
            Some(json!({ "total_kb": 3_884_376, "available_kb": 3_000_000, "free_kb": 200_000 }))
        );
        assert_eq!(celsius("47774\n"), Some(47.774));
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_nothing() {
        assert_eq!((uptime(""), memory("x"), celsius("hot")), (None, None, None));
    }
}
