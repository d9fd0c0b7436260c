//! Each fault is met where a host would meet it, with the same words.

use crate::support::{all_passed, tell};

/// A request that meets `fault`, and what the plugin makes of it.
fn http(fault: &str, more: &str, expect: &str) -> String {
    format!(
        r#"
[[case]]
name = "{fault}"
[[case.http]]
url = "https://api.example/a"
answer = "one two three"
fault = "{fault}"
{more}
[[case.step]]
call = "http_read"
args = {{ url = "https://api.example/a" }}
{expect}
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_fails_in_each_way_that_a_host_knows() {
    let cases = [
        http("unresolved", "", "error = \"unreachable\"\nlogs = [\"HTTP_NAME_UNRESOLVED\"]"),
        http("refused", "", "error = \"unreachable\"\nlogs = [\"HTTP_CONNECT_FAILED\"]"),
        http("bad-certificate", "", "error = \"http\"\nlogs = [\"HTTP_TLS_FAILED\"]"),
        http("reset", "", "error = \"http\"\nlogs = [\"HTTP_PROTOCOL\"]"),
        http("no-http", "", "error = \"http\"\nlogs = [\"HTTP_PROTOCOL\"]"),
        http("partial-body", "", "error = \"http\"\nlogs = [\"HTTP_PROTOCOL\"]"),
        http("timeout-after-accept", "", "error = \"timeout\"\nlogs = [\"HTTP_TIMEOUT\"]"),
        http("stall", "", "error = \"timeout\"\nlogs = [\"HTTP_DEADLINE\"]"),
        http("revoked", "", "error = \"denied\"\nlogs = [\"HTTP_REVOKED\"]"),
        http("429-burst", "refusals = 1", "contains = { status = 429 }"),
        http("clock-jump", "jump = \"1h\"", "contains = { status = 200, body = \"one two three\" }"),
    ];

    let reports = tell("http", &cases.concat()).await;

    all_passed(&reports);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_out_takes_virtual_time_alone() {
    let story =
        http("timeout-after-accept", "", "error = \"timeout\"") + "[case.expect]\nelapsed = \"20s\"\n";

    all_passed(&tell("http", &story).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stops_in_the_middle_ends_at_the_time_between_pieces_or_with_its_call() {
    let story = |call: &str, elapsed: &str, log: &str, more: &str| {
        format!(
            r#"
[[case]]
name = "{call}"
expect = {{ elapsed = "{elapsed}" }}
{more}
[[case.http]]
url = "https://api.example/a"
answer_chunks = ["one", "two", "three", "four"]
fault = "stall"
[[case.step]]
call = "{call}"
args = {{ url = "https://api.example/a" }}
error = "timeout"
logs = ["{log}"]
"#
        )
    };
    let robots = "[[case.http]]\nurl = \"https://api.example/robots.txt\"\nstatus = 404";

    // A call of `http_read` has 30 s in all, one of `web_read` has more than the time between two pieces.
    all_passed(&tell("http", &story("http_read", "29900ms", "HTTP_DEADLINE", "")).await);
    all_passed(&tell("web", &story("web_read", "30s", "HTTP_TIMEOUT", robots)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_says_no_or_is_not_there_is_a_denial_with_what_was_said() {
    let case = |name: &str, answer: &str, more: &str| {
        format!(
            "[[case]]\nname = \"{name}\"\n[[case.grant]]\ncapability = \"process\"\nscope = {{ programs = [\"date\"] }}\n\
             mode = \"ask\"\n[[case.approval]]\ncapability = \"process\"\nanswer = \"{answer}\"\nreason = \"not today\"\n{more}\n"
        )
    };
    let step = "[[case.step]]\ncall = \"shell_run\"\nargs = { program = \"date\" }\n";
    let runs = "[[case.process]]\nprogram = \"date\"\nstdout = \"noon\"\n";
    let stories = [
        case("no", "no", step) + "error = \"PERMISSION_DENIED\"\nmessage = \"not today\"\n",
        case("nobody", "nobody", step) + "error = \"PERMISSION_DENIED\"\n",
        case("not yet", "open", step) + "error = \"APPROVAL_PENDING\"\n",
        case("yes", "yes", &format!("{runs}{step}")) + "contains = { stdout = \"noon\" }\n",
    ];

    all_passed(&tell("shell", &stories.concat()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_and_a_database_that_is_away_are_what_the_plugin_meets() {
    let story = r#"
[[case]]
name = "a full disk"
[case.files."/"]
"a.txt" = "one"
[case.expect.files."/"]
"a.txt" = "one"
[[case.step]]
call = "files_write"
args = { path = "b.txt", content = "x" }
fault = ["disk-full"]
error = "disk_full"
[[case]]
name = "a disk with little room"
disk_bytes = 4
[[case.step]]
call = "files_write"
args = { path = "b.txt", content = "1234" }
[[case.step]]
call = "files_write"
args = { path = "c.txt", content = "5" }
error = "disk_full"
[[case]]
name = "a disk that is full in the middle of a file"
disk_bytes = 4
[case.files."/"]
"a.txt" = "one"
[[case.step]]
call = "files_write"
args = { path = "b.txt", content = "12345" }
error = "disk_full"
[[case.step]]
call = "files_write"
args = { path = "a.txt", content = "12345", mode = "append" }
error = "disk_full"
[[case.step]]
call = "files_edit"
args = { path = "a.txt", old = "one", new = "one two three" }
error = "disk_full"
[[case]]
name = "a folder that is full in the middle of a file"
[[case.grant]]
capability = "files"
scope = { guest = "/", access = "rw" }
limit = { total_bytes = 4 }
[[case.step]]
call = "files_write"
args = { path = "b.txt", content = "12345" }
error = "quota"
"#;
    all_passed(&tell("files", story).await);

    let story = r#"
[[case]]
name = "the database is away"
[[case.step]]
call = "notes_list"
fault = ["keyvalue-down"]
error = "storage"
[[case.step]]
call = "notes_add"
args = { text = "Bread" }
fault = ["disk-full"]
error = "storage"
[[case.step]]
call = "notes_add"
args = { text = "Bread" }
"#;
    all_passed(&tell("notes", story).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_sleeps_sees_virtual_time_and_ends_at_its_own_limit() {
    let story = r#"
[[case]]
name = "watches a pin for half a second"
clock = 2026-05-01T00:00:00Z
expect = { elapsed = "500ms" }
[[case.endpoint]]
tool = "rpi.gpio.read"
provider = "rpi"
result = { pin = 17, value = true }
times = 20
optional = true
[[case.step]]
call = "gpio_watch"
args = { pin = 17, until = false, timeout_ms = 500 }
contains = { happened = false, waited_ms = 500 }
"#;

    all_passed(&tell("gpio", story).await);
    let story = r#"
[[case]]
name = "the clock says what the story says"
clock = 2026-05-01T10:00:00Z
[[case.step]]
call = "clock_now"
contains = { utc = "2026-05-01T10:00:00" }
[[case.step]]
advance = "90m"
[[case.step]]
call = "clock_now"
contains = { utc = "2026-05-01T11:30:00" }
[[case.step]]
clock = 2030-01-01T00:00:00Z
[[case.step]]
call = "clock_now"
contains = { utc = "2030-01-01T00:00:00" }
"#;
    all_passed(&tell("clock", story).await);
}
