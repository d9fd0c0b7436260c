//! Commands that need no host: token, config, migrate; and doctor, which copes without.

use crate::support::{Host, Options, berth, run};

#[test]
fn the_token_is_the_one_that_the_host_takes() {
    let mut host = Host::start(Options::default());
    let first = host.cli(&["token"]).ok();
    assert_eq!(first.trim(), host.token());

    let renewed = host.cli(&["token", "--renew"]);
    let refused = host.cli(&["runs"]).failed(3);
    host.restart();

    assert!(renewed.err.contains("at its next start"), "{}", renewed.err);
    assert_ne!(renewed.out, first);
    assert!(refused.contains("access-token"), "{refused}");
    host.cli(&["runs"]).ok();
}

#[test]
fn a_folder_without_a_token_says_how_one_is_made() {
    let home = tempfile::tempdir().unwrap();

    let refusal = run(berth(home.path()).args(["token", "--data", "nowhere"])).failed(1);

    assert!(refusal.contains("nowhere has no token yet") && refusal.contains("berth serve"), "{refusal}");
}

#[test]
fn the_configuration_names_where_each_value_is_from() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join(".berth");
    std::fs::create_dir(&data).unwrap();
    let text = "[runs]\nmax_rounds = 7\n[database]\nurl = \"postgres://berth:hunter2@db/berth\"\n";
    std::fs::write(data.join("berth.toml"), text).unwrap();
    let config = |words: &[&str]| {
        let mut command = berth(home.path());
        command.arg("config").args(words).env("BERTH_LISTEN", "127.0.0.1:9");
        run(command.env("BERTH_ACCESS_TOKEN", "hunter3").env("BERTH_MODEL_API_KEY", "hunter4"))
    };

    let shown = config(&["--json"]).json();
    let table = config(&[]).ok();

    let of = |key: &str| {
        let list = shown["settings"].as_array().unwrap();
        let setting = list.iter().find(|setting| setting["key"] == key).unwrap();
        (setting["value"].to_string(), setting["source"].as_str().unwrap().to_owned())
    };
    assert_eq!(of("server.listen"), ("\"127.0.0.1:9\"".to_owned(), "BERTH_LISTEN".to_owned()));
    assert_eq!(of("runs.max_rounds"), ("7".to_owned(), "file".to_owned()));
    assert_eq!(of("runs.concurrent"), ("8".to_owned(), "default".to_owned()));
    assert!(!table.contains("hunter") && !shown.to_string().contains("hunter"), "{table}");
}

#[test]
fn a_mistake_in_the_configuration_is_shown_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("my.toml"), "[server]\nlisten_on = \"x\"\n").unwrap();

    for words in [&["config"][..], &["serve"], &["migrate"]] {
        let mut command = berth(home.path());
        let refusal = run(command.args(words).args(["--data", "d", "--config", "my.toml"])).failed(2);

        assert!(refusal.contains("my.toml:2") && refusal.contains("listen_on"), "{refusal}");
        assert!(refusal.contains("docs/operator-guide.md"), "{refusal}");
    }
    let missing = run(berth(home.path()).args(["config", "--config", "none.toml"])).failed(2);
    assert!(missing.contains("none.toml cannot be read"), "{missing}");
}

#[test]
fn migrate_makes_the_newest_schema_and_respects_a_host() {
    let mut host = Host::start(Options::default());

    let refused = host.cli(&["migrate"]).failed(1);
    host.stop();
    let first = host.cli(&["migrate", "--json"]).json();
    let second = host.cli(&["migrate"]).ok();

    assert!(refused.contains("another berth uses"), "{refused}");
    assert_eq!(first["database"], "sqlite");
    assert!(second.ends_with(&format!("schema version {}\n", first["schema_version"])), "{second}");
}

#[test]
fn an_address_or_a_folder_in_use_is_named_with_the_way_out() {
    let host = Host::start(Options::default());

    let folder = host.start_refused(&[]).failed(1);
    let other = host.scratch().join("other");
    let mut command = berth(host.scratch());
    let address = run(command.args(["serve", "--listen", host.address(), "--data"]).arg(other)).failed(1);

    assert!(folder.contains("another berth uses") && folder.contains("--data"), "{folder}");
    assert!(address.contains("is in use") && address.contains("--listen"), "{address}");
}

#[test]
fn the_doctor_finds_a_well_host_well_and_says_what_is_missing_otherwise() {
    let mut host = Host::start(Options::bundled());

    let well = host.cli(&["doctor", "--json"]).json();
    host.stop();
    let gone = host.cli(&["doctor"]);

    assert_eq!(well["ok"], true, "{well}");
    let names: Vec<_> =
        well["checks"].as_array().unwrap().iter().map(|check| check["name"].clone()).collect();
    for name in ["data folder", "access token", "version", "database", "plugins", "authorisation"] {
        assert!(names.contains(&name.into()), "{names:?}");
    }
    assert_eq!(gone.code, 3);
    assert!(
        gone.out.contains("FAILED  host") && gone.err.contains("berth serve"),
        "{}{}",
        gone.out,
        gone.err
    );
}

#[test]
fn wrong_words_are_wrong_usage_in_text_and_in_json() {
    let home = tempfile::tempdir().unwrap();

    let text = run(berth(home.path()).args(["runs", "--limit", "0"])).failed(2);
    let json = run(berth(home.path()).args(["runs", "--json", "--limit", "0"])).failed(2);
    let filter = run(berth(home.path()).args(["token"]).env("BERTH_LOG", "berth=shout")).failed(2);

    assert!(text.starts_with("error: invalid value '0'"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["error"]["code"], "usage");
    assert!(filter.contains("BERTH_LOG"), "{filter}");
}

#[test]
fn the_self_test_needs_no_host_and_no_folder_and_finds_everything_blocked() {
    let home = tempfile::tempdir().unwrap();

    let rows = run(berth(home.path()).args(["doctor", "--probe", "--json"])).json();

    let rows = rows.as_array().unwrap();
    assert!(rows.len() >= 50, "{rows:#?}");
    for row in rows {
        let keys: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["name", "outcome", "by", "ms"], "{row}");
        assert_eq!(row["outcome"], "blocked", "{row}");
        assert!(row["ms"].is_u64() && !row["by"].as_str().unwrap().is_empty(), "{row}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "it leaves nothing behind");
}
