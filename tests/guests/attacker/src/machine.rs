//! What is of the machine and of the host: environment, input, programs, sockets.

use std::io::Read as _;

use berth_plugin::{ToolError, Value, endpoints, json};

pub fn attack(name: &str, input: &Value) -> Option<Result<Value, ToolError>> {
    Some(match name {
        "environment" => Ok(json!({ "variables": std::env::vars_os().count() })),
        "token" => Ok(json!({ "found": std::env::var("BERTH_ACCESS_TOKEN").is_ok() })),
        "arguments" => Ok(json!({ "arguments": std::env::args_os().count() })),
        "input" => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            Ok(json!({ "bytes": bytes.len(), "ended": read.is_ok() }))
        }
        "program" => {
            let started = std::process::Command::new("/bin/sh").arg("-c").arg("id").spawn();
            Ok(json!({ "started": started.is_ok() }))
        }
        "connect" => {
            let address = input["address"].as_str().unwrap_or("127.0.0.1:1");
            Ok(json!({ "connected": std::net::TcpStream::connect(address).is_ok() }))
        }
        "listen" => Ok(json!({ "bound": std::net::TcpListener::bind("127.0.0.1:0").is_ok() })),
        "datagram" => Ok(json!({ "bound": std::net::UdpSocket::bind("127.0.0.1:0").is_ok() })),
        "endpoint" => {
            let called = endpoints::call("", "rpi.gpio.write", &json!({ "pin": 1, "level": "high" }));
            Ok(json!({ "code": called.err().map(|error| error.code) }))
        }
        "endpoint_odd" => {
            let mut codes = Vec::new();
            for key in ["", "\0", "../../core.local", "rpi.gpio.*", "*", "rpi.gpio.write\n"] {
                codes.push(endpoints::call(key, key, &json!([])).err().map(|error| error.code));
            }
            Ok(json!({ "codes": codes }))
        }
        "endpoints" => {
            Ok(json!({ "listed": endpoints::list("rpi.gpio.write").map_or(0, |found| found.len()) }))
        }
        _ => return None,
    })
}
