//! Starts that cannot be, and what the host says about them.

use super::databases::execute;
use crate::support::{Host, Options, Process, berth, fixture, run};

#[test]
fn two_hosts_do_not_share_a_data_folder() {
    let mut host = Host::start(Options::default());

    let said = host.start_refused(&[]).failed(1);

    assert!(said.contains(host.data().to_str().unwrap()), "{said}");
    assert!(said.contains("--data"), "it names the way out: {said}");
    host.cli(&["send", "still here"]).ok();
    host.stop();
}

#[test]
fn a_plugin_that_takes_its_time_to_be_installed_keeps_nobody_out() {
    let host = Host::start(Options::default());
    let (data, bundled) = (host.scratch().join("slow"), host.scratch().join("bundled"));
    std::fs::create_dir_all(bundled.join("slow")).unwrap();
    std::fs::copy(fixture("spin-in-start"), bundled.join("slow/slow.wasm")).unwrap();
    let manifest =
        "[plugin]\nid = \"slow\"\nversion = \"0.1.0\"\n[limits]\ncpu_ms = 50000\ntimeout_ms = 100000\n";
    std::fs::write(bundled.join("slow/plugin.toml"), manifest).unwrap();

    let mut command = berth(host.scratch());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).arg("--bundled").arg(&bundled);
    let mut slow = Process::spawn(&mut command);
    slow.wait_for_error("listening");
    let at = |arguments: &[&str]| {
        let mut command = berth(host.scratch());
        command.args(arguments).arg("--data").arg(&data);
        run(&mut command)
    };
    let health = at(&["doctor", "--json"]);
    let sent = at(&["send", "hello"]);

    assert!(health.out.contains("are being put in place"), "{}{}", health.out, health.err);
    sent.ok();
    assert!(!slow.output().contains("berth is ready at"), "{}", slow.output());
    slow.kill();
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let host = Host::start(Options::default());
    let other = host.scratch().join("other");

    let said = run(berth(host.scratch()).args(["serve", "--listen", host.address(), "--data"]).arg(&other))
        .failed(1);

    assert!(said.contains(host.address()) && said.contains("--listen"), "{said}");
    assert!(!other.join("berth.db").exists(), "nothing was begun");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let mut host = Host::start(Options::default());
    host.cli(&["send", "hello"]).ok();
    host.stop();
    let database = host.data().join("berth.db");
    execute(
        &format!("sqlite:{}", database.display()),
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (99999, 'from the future', 1, x'00', 0)",
    )
    .await;
    let before = std::fs::read(&database).unwrap();

    let said = host.start_refused(&[]).failed(1);

    assert!(said.contains("newer"), "{said}");
    assert_eq!(std::fs::read(&database).unwrap(), before);
}

#[test]
fn a_file_in_place_of_the_data_folder_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("data");
    std::fs::write(&file, "").unwrap();

    let said =
        run(berth(home.path()).args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&file)).failed(1);

    assert!(said.contains(file.to_str().unwrap()), "{said}");
}

#[test]
fn an_unknown_key_of_the_configuration_is_named_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("berth.toml"), "[server]\nlisten = \"127.0.0.1:0\"\nport = 1\n").unwrap();

    let said = run(berth(home.path()).args(["serve", "--data"]).arg(home.path())).failed(2);

    assert!(said.contains("port") && said.contains("berth.toml:3"), "{said}");
}

#[test]
fn a_database_that_is_no_database_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let letter = "Dear diary, this is no database at all. ".repeat(200);
    std::fs::write(data.join("berth.db"), &letter).unwrap();

    let said =
        run(berth(home.path()).args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data)).failed(1);

    assert!(said.contains("berth.db"), "{said}");
    assert_eq!(std::fs::read_to_string(data.join("berth.db")).unwrap(), letter);
}

#[test]
fn a_database_url_that_nobody_answers_at_fails_with_its_name_and_without_its_password() {
    let home = tempfile::tempdir().unwrap();
    let url = "postgres://someone:s3cr3t-word@127.0.0.1:1/berth";

    let said = run(berth(home.path())
        .args(["serve", "--listen", "127.0.0.1:0", "--database", url, "--data"])
        .arg(home.path().join("data")))
    .failed(1);

    assert!(said.contains("127.0.0.1:1"), "{said}");
    assert!(!said.contains("s3cr3t-word"), "{said}");
}

#[test]
fn policies_are_in_force_from_the_start_and_a_wrong_file_stops_it_with_its_line() {
    let mut host = Host::start(Options::default());
    host.stop();
    let policies = host.data().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let file = policies.join("grants.toml");
    let right =
        "[[grant]]\nplugin = \"gpio\"\ncapability = \"endpoint\"\nscope = { tools = [\"rpi.gpio.read\"] }\n";
    std::fs::write(&file, right.replace("endpoint", "endpoints")).unwrap();

    let said = host.start_refused(&[]).failed(1);
    std::fs::write(&file, right).unwrap();
    host.restart();
    let grants = host.request("GET", "/operator/grants", None).1;

    assert!(said.contains("grants.toml:3") && said.contains("`endpoints` is no capability"), "{said}");
    let of_file = |grant: &&serde_json::Value| grant["granted_by"].as_str().unwrap().starts_with("policies/");
    let given: Vec<_> = grants.as_array().unwrap().iter().filter(of_file).collect();
    assert_eq!(given.len(), 1, "{grants}");
    assert_eq!(given[0]["scope"], serde_json::json!({ "tools": ["rpi.gpio.read"] }));
}
