//! A board, as its owner starts it, at a host, as its owner does.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Host, Options, Process, berth};

/// `berth-pi` of the same build.
pub fn board(host: &Host, more: &[&str]) -> Command {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_berth")).with_file_name("berth-pi");
    assert!(program.exists(), "{} is missing: build the whole workspace", program.display());
    let mut command = Command::new(program);
    let plain = berth(host.scratch());
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(host.scratch()).args(["--simulate-gpio", "--core", host.url(), "--token-file"]);
    command.arg(host.data().join("access-token")).args(more);
    command
}

#[test]
fn a_pin_is_switched_through_the_plugin_once_a_person_agrees() {
    let mut host = Host::start(Options::bundled());
    let pi = Process::spawn(&mut board(&host, &[]));
    pi.wait_for_error("core has the tools");
    let endpoints = host.cli(&["endpoints", "--json"]).json();
    assert!(endpoints.to_string().contains("rpi.gpio.write"), "{endpoints}");

    let asked = host.spawn(&["send", "/call gpio_write {\"pin\": 17, \"value\": true, \"duration_ms\": 0}"]);
    asked.wait_for_error("waiting for approval");
    let open = host.cli(&["approvals", "--json"]).json();
    let id = open[0]["approval_id"].as_str().unwrap();
    host.cli(&["approvals", "approve", id]).ok();

    let answer = asked.finish().ok();
    assert!(answer.starts_with("gpio_write: {\"pin\":17,\"value\":true"), "{answer}");
    pi.wait_for_error("driven pin=17 level=true");
    let read = host.cli(&["send", "/call gpio_read {\"pin\": 17}"]).ok();
    assert_eq!(read, "gpio_read: {\"pin\":17,\"value\":true}\n");
    let told = host.cli(&["runs", "show", "latest", "--json"]).json();
    let ended =
        told["events"].as_array().unwrap().iter().filter(|event| event["type"] == "tool.call.completed");
    let tools: Vec<_> = ended.map(|event| event["payload"]["tool_key"].as_str().unwrap()).collect();
    assert_eq!(tools, ["rpi.gpio.read", "gpio_read"], "the hop ends before its call");

    // The board outlives its host.
    host.restart();
    pi.wait_for_errors("core has the tools", 2);
    let again = host.cli(&["send", "/call gpio_read {\"pin\": 17}"]).ok();
    assert_eq!(again, "gpio_read: {\"pin\":17,\"value\":true}\n");
    host.stop();
}

#[test]
fn a_board_with_a_wrong_token_says_so_and_gives_up() {
    let host = Host::start(Options::default());
    std::fs::write(host.scratch().join("wrong"), "not-the-token").unwrap();

    let mut command = board(&host, &[]);
    let mut other = Command::new(command.get_program());
    other.args(["--simulate-gpio", "--core", host.url(), "--token-file"]).arg(host.scratch().join("wrong"));
    let said = crate::support::run(&mut other).failed(3);

    assert!(said.contains("token"), "{said}");
    assert!(!said.contains("not-the-token"), "{said}");
    command.arg("--no-such-flag");
    crate::support::run(&mut command).failed(2);
}
