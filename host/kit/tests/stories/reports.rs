//! What is not as a story says is reported so that its author knows what to do.

use berth_kit::{Detail, Options, test};

use crate::support::{all_passed, built, tell};

/// What is told of a story that fails.
async fn told(plugin: &str, story: &str) -> String {
    let reports = tell(plugin, story).await;
    let failed: Vec<String> =
        reports.iter().filter(|report| !report.passed).map(berth_kit::CaseReport::text).collect();
    assert!(!failed.is_empty(), "the story has passed: {reports:?}");
    failed.join("\n")
}

fn has(told: &str, pieces: &[&str]) {
    for piece in pieces {
        assert!(told.contains(piece), "{told}\nlacks: {piece}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_answer_is_told_with_its_place_and_line() {
    let story = r#"
[[case]]
name = "two thirds"
[[case.step]]
call = "calc_evaluate"
args = { expression = "0.1 + 0.2" }
result = { value = "0.4", exact = true }
"#;
    let told = told("calc", story).await;

    has(&told, &["FAILED two thirds", "tests/story.toml:4, step 1: the answer differs at /value"]);
    has(&told, &["expected  \"0.4\"", "got       \"0.3\"", "step 1 call calc_evaluate\n    answer: {"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_was_not_expected_and_one_that_did_not_come_are_told() {
    let story = r#"
[[case]]
name = "fails"
[[case.step]]
call = "calc_evaluate"
args = { expression = "1 / 0" }
[[case]]
name = "does not fail"
[[case.step]]
call = "calc_evaluate"
args = { expression = "1" }
error = "divided_by_zero"
[[case]]
name = "other words"
[[case.step]]
call = "calc_evaluate"
args = { expression = "1 / 0" }
error = "divided_by_zero"
message = "no such words"
[[case]]
name = "no such tool"
[[case.step]]
call = "calc_sum"
[[case]]
name = "other arguments"
[[case.step]]
call = "calc_evaluate"
args = { text = "1" }
[[case]]
name = "a channel"
[[case.step]]
start = true
"#;
    let told = told("calc", story).await;

    has(&told, &["got       divided_by_zero:", "expected  the failure divided_by_zero"]);
    has(&told, &["a message with \"no such words\"", "the plugin has no tool calc_sum", "calc_convert"]);
    has(&told, &["got       INVALID_ARGUMENTS:", "`start` is for channels"]);
    assert_eq!(told.matches("FAILED").count(), 6, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_nobody_expects_is_told_with_lines_to_paste() {
    let story = r#"
[[case]]
name = "asks"
[[case.grant]]
capability = "http"
scope = { hosts = ["https://api.example"] }
[[case.step]]
call = "http_read"
args = { url = "https://api.example/v1/things?page=2" }
"#;
    let told = told("http", story).await;

    has(&told, &["step 1: nobody expects GET https://api.example/v1/things?page=2"]);
    has(
        &told,
        &["| [[case.http]]", "| method = \"GET\"", "| url = \"https://api.example/v1/things?page=2\""],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_nearly_expected_is_told_with_what_differs() {
    let story = r#"
[[case]]
name = "sends"
[[case.http]]
method = "POST"
url = "https://api.example/v1/things"
body_contains = { name = "chair" }
[[case.step]]
call = "http_send"
args = { method = "post", url = "https://api.example/v1/things", body = { tag = "json", val = "{\"name\": \"table\"}" } }
"#;
    let told = told("http", story).await;

    has(&told, &["the body has at /name: \"table\", not \"chair\""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_expected_and_did_not_come_is_told() {
    let story = r#"
[[case]]
name = "asks for one of two"
[[case.http]]
url = "https://api.example/a"
answer = "a"
[[case.http]]
url = "https://api.example/b"
[[case.http]]
url = "https://api.example/c"
optional = true
[[case.step]]
call = "http_read"
args = { url = "https://api.example/a" }
contains = { status = 200, body = "a" }
"#;
    let told = told("http", story).await;

    has(&told, &["tests/story.toml:2: GET https://api.example/b was not asked for", "optional = true"]);
    assert!(!told.contains("/c"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_files_denials_and_time_are_compared_in_the_end() {
    let story = r#"
[[case]]
name = "pairs"
[case.expect.keyvalue.notes]
other = "x"
[[case.step]]
call = "notes_add"
args = { text = "Bread" }
[[case]]
name = "denials and time"
expect = { denials = 0, elapsed = "1s" }
without = ["keyvalue"]
[[case.step]]
call = "notes_add"
args = { text = "Bread" }
error = "denied"
"#;
    let told = told("notes", story).await;
    has(&told, &["the pair other of notes differs", "nobody expects the pair"]);
    has(&told, &["the denials differ", "keyvalue {", "the time that went by differs", "expected  1000 ms"]);

    let story = r#"
[[case]]
name = "files"
[case.files."/"]
"a.txt" = "one"
[case.expect.files."/"]
"a.txt" = "two"
"b.txt" = "b"
[[case.step]]
call = "files_write"
args = { path = "c.txt", content = "c" }
"#;
    let told = told_of_files(story).await;
    has(&told, &["the file a.txt of / differs", "expected  \"two\"", "got       \"one\""]);
    has(&told, &["the file b.txt", "nobody expects the file c.txt of /"]);
}

async fn told_of_files(story: &str) -> String {
    told("files", story).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_endpoints_and_questions_that_nobody_expects_are_told() {
    let story = r#"
[[case]]
name = "a program"
[[case.grant]]
capability = "process"
scope = { programs = ["date"] }
[[case.step]]
call = "shell_run"
args = { program = "date", argv = ["-u"] }
error = "KIT_UNSCRIPTED"
[[case]]
name = "a question"
[[case.process]]
program = "date"
optional = true
[[case.grant]]
capability = "process"
scope = { programs = ["date"] }
mode = "ask"
[[case.step]]
call = "shell_run"
args = { program = "date" }
error = "PERMISSION_DENIED"
"#;
    let told = told("shell", story).await;
    has(&told, &["nobody expects the program date [\"-u\"]", "| [[case.process]]", "| argv = [\"-u\"]"]);
    has(&told, &["nobody expects to be asked about process", "| [[case.approval]]"]);

    let story = r#"
[[case]]
name = "an endpoint"
[[case.endpoint]]
tool = "rpi.gpio.read"
provider = "rpi"
args = { pin = 4 }
result = { pin = 4, value = true }
[[case.step]]
call = "gpio_read"
args = { pin = 17 }
"#;
    let told = self::told("gpio", story).await;
    has(&told, &["nobody expects rpi.gpio.read at device with {\"pin\":17}", "| [[case.endpoint]]"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_without_stories_and_one_that_is_not_built_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let none = test(folder.path(), &Options::default(), |_| {}).await.unwrap_err();
    assert_eq!(none.code(), "KIT_NO_STORIES");
    assert!(none.to_string().contains("write one in tests/NAME.toml"), "{none}");

    let stories = folder.path().join("tests");
    std::fs::create_dir_all(&stories).unwrap();
    let text = "[[case]]\nname = \"a\"\n[[case.step]]\ncall = \"calc_units\"\n";
    std::fs::write(stories.join("a.toml"), text).unwrap();
    std::fs::copy(built("calc").join("plugin.toml"), folder.path().join("plugin.toml")).unwrap();
    let not_built = test(folder.path(), &Options::default(), |_| {}).await.unwrap_err();
    assert_eq!(not_built.code(), "KIT_NOT_BUILT");
    assert!(not_built.to_string().contains("berth plugin build"), "{not_built}");

    let options = Options { filter: Some("nothing like it".to_owned()), ..Options::default() };
    let nothing = test(folder.path(), &options, |_| {}).await.unwrap_err();
    assert_eq!(nothing.code(), "KIT_NOTHING_FITS");

    std::fs::copy(built("calc").join("calc.wasm"), folder.path().join("calc.wasm")).unwrap();
    let mut heard = Vec::new();
    let report = test(folder.path(), &Options::default(), |case| heard.push(case.clone())).await.unwrap();
    all_passed(&report.cases);
    assert_eq!((heard.len(), report.passed, report.is_good()), (1, 1, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_steps_of_a_case_show_what_came_what_was_denied_and_what_was_used() {
    let story = r#"
[[case]]
name = "kept and not kept"
[[case.step]]
call = "notes_add"
args = { text = "Bread" }
[[case.step]]
revoke = "keyvalue"
[[case.step]]
call = "notes_add"
args = { text = "Milk" }
error = "denied"
"#;
    let report = tell("notes", story).await.remove(0);

    assert!(report.passed, "{}", report.text());
    assert_eq!(report.text().lines().count(), 1);
    let told = report.text_with(Detail::Steps);
    has(&told, &["step 1 call notes_add\n    answer: {\"id\":\"1\"", "host calls, ", "KiB of memory"]);
    has(&told, &["step 2 revoke\n", "step 3 call notes_add\n    failed: denied: "]);
    has(&told, &["berth plugin grant notes keyvalue", "    denied: keyvalue {"]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (&json["steps"][0]["answer"]["text"], &json["steps"][2]["error"]),
        (&"Bread".into(), &"denied".into())
    );
}
