//! The program itself: what it says, and how it ends.

#![allow(clippy::unwrap_used)]

#[path = "../../hub/tests/stories/support.rs"]
#[allow(dead_code, reason = "the hub's own stories need more of it")]
mod support;

#[path = "../../provider/tests/support/program.rs"]
mod program;

use program::{Running, ended, file, program};
use serde_json::{Value, json};
use support::{Berth, TOKEN};
use tokio::process::Command;

const ENDPOINT: &str = "rpi.kitchen.executor";

fn berth_pi(arguments: &[&str]) -> Command {
    program(env!("CARGO_BIN_EXE_berth-pi"), arguments)
}

#[tokio::test]
async fn a_board_serves_until_sigterm_and_leaves_its_pins_off() {
    let berth = Berth::start().await;
    let core = format!("ws://{}", berth.address);
    let (_dir, token) = file(TOKEN);
    let flags = ["--simulate-gpio", "--core", &core, "--token-file", &token, "--endpoint-id", "kitchen"];
    let mut pi = Running::start(berth_pi(&[&flags[..], &["--workspace", "home-lab"]].concat()));
    pi.says("core has the tools tools=10").await;

    let write = json!({ "pin": 17, "value": true, "duration_ms": 0 });
    let written = berth.call("rpi.gpio.write", Some(ENDPOINT), write).await.unwrap().unwrap();
    pi.says("driven pin=17 level=true").await;
    let (code, log) = pi.stops().await;

    assert_eq!(written.outcome.unwrap().content["value"], true);
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("driven for the end pin=17 level=false"), "{log}");
    assert!(!berth.is_connected(ENDPOINT));
}

#[tokio::test]
async fn only_commands_that_the_owner_has_written_down_are_run() {
    let berth = Berth::start().await;
    let sandbox = tempfile::tempdir().unwrap();
    let (_dir, config) = file(
        &json!({
            "core_base_url": format!("http://{}", berth.address),
            "endpoint_id": "kitchen",
            "workspace_ids": ["home-lab"],
            "security": {
                "safe_shell_enabled": true, "sandbox_dir": sandbox.path(),
                "safe_shell_allowlist": ["echo $HOME; 'a  b' | cat", { "name": "env", "argv": ["env"] }],
            },
        })
        .to_string(),
    );
    let mut command = berth_pi(&["--simulate-gpio", "--config", &config]);
    command.env("BERTH_ACCESS_TOKEN", TOKEN);
    let mut pi = Running::start(command);
    pi.says("core has the tools tools=11").await;

    let exec = async |command: &str| {
        let ended = berth.call("rpi.shell.safe_exec", Some(ENDPOINT), json!({ "command": command })).await;
        ended.unwrap().unwrap().outcome
    };

    assert_eq!(exec("echo").await.unwrap().content["stdout"], "$HOME; a  b | cat\n");
    let env = exec("env").await.unwrap().content["stdout"].to_string();
    assert!(env.contains("LANG=C.UTF-8") && !env.contains(TOKEN), "{env}");
    assert_eq!(exec("echo; id").await.unwrap_err().code, "safe_shell_command_not_allowed");
}

#[tokio::test]
async fn a_wrong_token_ends_with_3_and_is_in_no_log() {
    let berth = Berth::start().await;
    let core = format!("http://{}", berth.address);
    let mut command = berth_pi(&["--core", &core, "--log-level", "trace"]);
    command.env("BERTH_ACCESS_TOKEN", "battery-staple");

    let (code, log) = ended(command).await;

    assert_eq!(code, 3, "{log}");
    assert!(log.contains("core refuses the access token") && !log.contains("battery"), "{log}");
}

#[tokio::test]
async fn a_core_that_is_not_there_is_waited_for_until_sigterm() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut command = berth_pi(&["--core", &format!("ws://{nobody}")]);
    command.env("BERTH_ACCESS_TOKEN", "t");

    let mut pi = Running::start(command);
    let line = pi.says("not connected, and trying again until it works").await;
    let (code, _) = pi.stops().await;

    assert!(line.contains(&format!("ws://{nobody}/endpoint/ws: Connection refused")), "{line}");
    assert_eq!(code, 0);
}

#[tokio::test]
async fn what_it_cannot_be_told_ends_with_2_and_says_what() {
    let (_dir, typo) = file("{\n  \"endpoint_id\": \"x\",\n  \"securty\": {}\n}");
    let (_dir2, empty) = file("\n");
    for (arguments, says) in [
        (&["--config", &typo][..], &["invalid_config_key", "`securty`", "line 3"][..]),
        (&["--config", "/no/such/file"], &["/no/such/file cannot be read"]),
        (&[], &["missing_endpoint_token", "--token-file", "BERTH_ACCESS_TOKEN"]),
        (&["--token-file", &empty], &["is empty"]),
        (&["--token-file", &typo, "--core", "127.0.0.1:8787"], &["no http://"]),
        (&["--log-level", "a=b=c"], &["`a=b=c` is no filter"]),
        (&["--no-such-flag"], &["--no-such-flag"]),
    ] {
        let (code, log) = ended(berth_pi(arguments)).await;

        assert_eq!(code, 2, "{log}");
        assert!(says.iter().all(|word| log.contains(word)), "{log}");
    }
}

#[tokio::test]
async fn pins_that_are_not_there_end_with_1() {
    let (code, log) = ended(berth_pi(&["--gpio", "none-such"])).await;

    assert_eq!(code, 1, "{log}");
    assert!(log.contains("simulated, gpiocdev and rppal"), "{log}");
}

#[tokio::test]
async fn a_check_tells_what_is_wrong_without_serving() {
    let berth = Berth::start().await;
    let core = format!("http://{}", berth.address);
    let check = async |token: &str| {
        let mut command =
            berth_pi(&["--check", "--simulate-gpio", "--endpoint-id", "kitchen", "--core", &core]);
        let output = command.env("BERTH_ACCESS_TOKEN", token).output().await.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };

    let (good, told) = check(TOKEN).await;
    let (bad, refused) = check("battery-staple").await;

    assert_eq!((good, bad), (0, 1), "{told}{refused}");
    assert!(told.contains("WARN  pins      simulated") && told.contains("PASS  core      answers"), "{told}");
    assert!(refused.contains("FAIL  core      core refuses the access token"), "{refused}");
    assert!(!berth.is_connected(ENDPOINT) && !refused.contains("battery"));
}

#[tokio::test]
async fn without_a_core_it_tells_what_it_would_answer() {
    let output = berth_pi(&["--simulate", "--simulate-gpio"]).output().await.unwrap();

    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers["rpi.echo"], json!({ "text": "hello" }));
    assert_eq!(answers["rpi.system.info"]["gpio"]["backend"], "simulated");
    assert!(output.status.success());
}
