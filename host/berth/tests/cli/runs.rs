//! `berth runs` and `berth threads`.

use crate::support::{Host, Options};

fn said(host: &Host, text: &str) -> String {
    let answer = host.cli(&["send", "--json", text]).json();
    answer["run_id"].as_str().unwrap().to_owned()
}

#[test]
fn runs_are_listed_newest_first_and_narrowed() {
    let host = Host::start(Options::default());
    let (first, second) = (said(&host, "/say one"), said(&host, "/say two"));

    let table = host.cli(&["runs"]).ok();
    let failed = host.cli(&["runs", "--status", "failed"]);
    let one = host.cli(&["runs", "--limit", "1", "--json"]).json();

    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("RUN ") && lines[0].contains("STATUS"), "{table}");
    assert!(lines[1].starts_with(&second) && lines[2].starts_with(&first), "{table}");
    assert_eq!((failed.code, failed.out.as_str(), failed.err.as_str()), (0, "", "(none)\n"));
    assert_eq!(one[0]["run_id"], second.as_str());
    assert_eq!(one.as_array().unwrap().len(), 1);
}

#[test]
fn the_run_that_was_made_last_has_a_name() {
    let host = Host::start(Options::default());
    let none = host.cli(&["runs", "show", "latest"]).failed(1);
    said(&host, "/say one");
    let run = said(&host, "/say two");

    let shown = host.cli(&["runs", "show", "latest", "--json"]).json();

    assert!(none.contains("there is no run yet"), "{none}");
    assert_eq!(shown["run"]["run_id"], run.as_str());
}

#[test]
fn a_run_is_shown_with_its_events_and_followed_from_a_cursor() {
    let host = Host::start(Options::default());
    said(&host, "/say before");
    let run = said(&host, "/say one");

    let shown = host.cli(&["runs", "show", &run, "--json"]).json();
    let text = host.cli(&["runs", "show", &run]).ok();
    let all = host.cli(&["runs", "follow", &run, "--json"]).lines();
    let cursor = all[1]["cursor"].to_string();
    let rest = host.cli(&["runs", "follow", &run, "--after", &cursor, "--json"]).lines();
    let end = all.last().unwrap()["cursor"].to_string();
    let nothing = host.cli(&["runs", "follow", &run, "--after", &end]).ok();

    assert_eq!(shown["events"].as_array().unwrap(), &all);
    assert_eq!(rest, all[2..]);
    assert_eq!(nothing, "");
    assert!(text.contains("status    succeeded") && text.contains("run.completed"), "{text}");
}

#[test]
fn a_run_is_followed_while_it_is_at_work_and_stopped_by_another_command() {
    let host = Host::start(Options::default());
    let run = host.cli(&["send", "--no-wait", "/slow 60000 /say never"]).ok().trim().to_owned();
    let follow = host.spawn(&["runs", "follow", &run]);
    follow.wait_for("model.started");

    let stopped = host.cli(&["runs", "stop", &run]).ok();
    let followed = follow.finish();

    assert_eq!(stopped, format!("{run} is being stopped\n"));
    assert_eq!(followed.code, 1, "it was not completed");
    assert!(followed.out.contains("run.cancelled"), "{}", followed.out);
    let again = host.cli(&["runs", "stop", &run]).failed(1);
    assert!(again.contains("it is cancelled"), "{again}");
}

#[test]
fn following_goes_on_when_the_host_comes_back() {
    let mut host = Host::start(Options::default());
    let run = host.cli(&["send", "--no-wait", "/slow 60000 /say never"]).ok().trim().to_owned();
    let follow = host.spawn(&["runs", "follow", &run, "--json"]);
    follow.wait_for("model.started");

    host.kill9();
    host.restart();

    // The run is taken up again by the new process, or ended by it with a reason.
    let attempts =
        |text: &str| text.matches("\"run.started\"").count() + text.matches("\"run.resumed\"").count();
    follow.wait_until(|text| attempts(text) > 1 || text.contains("\"run.failed\""));
}

#[test]
fn what_is_unknown_is_named() {
    let host = Host::start(Options::default());

    for words in [
        &["runs", "show", "run_1"][..],
        &["runs", "follow", "run_1"],
        &["runs", "stop", "run_1"],
        &["threads", "show", "thr_1"],
        &["approvals", "approve", "apr_1"],
        &["plugin", "show", "nope_1"],
        &["plugin", "revoke", "grant_1"],
    ] {
        let refusal = host.cli(words).failed(1);
        assert!(refusal.starts_with("error: ") && refusal.contains("_1"), "{words:?}: {refusal}");
    }
    let status = host.cli(&["runs", "--status", "nope"]).failed(1);
    assert!(status.contains("must be one of queued, running"), "{status}");
}
