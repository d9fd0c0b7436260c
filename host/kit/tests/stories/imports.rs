//! Whatever a plugin may import has its answer in a story, and what nobody granted has none.

use crate::support::{all_passed, guest};

const TOKEN: &str = r#"{ id = "token", operations = ["hmac-sha256", "equals", "exchange"], audience = ["https://auth.example"], place = ["json:/secret"] }"#;
const YIELD: &str =
    r#"{ id = "access", audience = ["https://auth.example"], place = ["header:authorization"] }"#;
const AUTH: &str = r#"{ hosts = ["https://auth.example"] }"#;

fn manifest(id: &str, capabilities: &[(&str, &str)]) -> String {
    let mut text = format!(
        "[plugin]\nid = \"{id}\"\nversion = \"0.1.0\"\nkind = \"tool\"\n[component]\nfile = \"guest.wasm\"\n"
    );
    for (name, scope) in capabilities {
        text += &format!(
            "[[capability]]\nname = \"{name}\"\nrequired = false\nreason = \"a story\"\nscope = {scope}\n"
        );
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_used_by_handles_and_no_story_sees_a_value() {
    let asks = manifest(
        "vault",
        &[("secret", TOKEN), ("secret", YIELD), ("http", AUTH), ("endpoint", "{ tools = [\"rpi.gate\"] }")],
    );
    let report = guest(
        "secrets",
        &asks,
        r#"
[[case]]
name = "a secret signs and is compared"
secrets = { token = "a good secret" }
[[case.step]]
call = "vault_hmac"
args = { name = "token", data = "what is signed" }
contains = ""
[[case.step]]
call = "vault_equals"
args = { name = "token", guess = "a good secret" }
result = true
[[case.step]]
call = "vault_equals"
args = { name = "token", guess = "another secret" }
result = false

[[case]]
name = "a secret that is granted and not set, and one that nobody granted"
secrets = { other = "another secret" }
[[case.step]]
call = "vault_open"
args = { name = "token" }
contains = { code = "SECRET_NOT_FOUND" }
[[case.step]]
call = "vault_open"
args = { name = "other" }
contains = { code = "PERMISSION_DENIED" }

[[case]]
name = "a secret is taken away between two uses"
secrets = { token = "a good secret" }
[[case.endpoint]]
tool = "rpi.gate"
result = {}
[[case.step]]
call = "vault_twice"
args = { name = "token" }
contains = { first = "ok", waited = true, second = "ok" }
[[case.step]]
revoke = "secret"
[[case.step]]
call = "vault_twice"
args = { name = "token" }
contains = { open = "PERMISSION_DENIED" }

[[case]]
name = "a secret is exchanged for another at a server"
secrets = { token = "a good secret" }
[[case.http]]
method = "POST"
url = "https://auth.example/token"
body_contains = { secret = "{{secret:token}}" }
answer = { json = { access = "a fresh token", expires = 7200, code = 0 } }
[[case.step]]
call = "vault_exchange"
args = { name = "token", yields = "access", method = "POST", url = "https://auth.example/token", body = '{"secret":"{{secret:token}}"}', token = "/access", expires = "/expires" }
contains = { name = "access", status = 200, expires_in_ms = 7200000, answer = '{"access":null,"code":0,"expires":7200}' }
[[case.step]]
call = "vault_hmac"
args = { name = "access", data = "x" }
contains = ""
"#,
    )
    .await;

    all_passed(&report.cases);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_settings_and_log_are_those_of_the_story() {
    let asks = manifest(
        "std",
        &[
            ("keyvalue", "{ store = \"notes\", access = \"rw\" }"),
            ("endpoint", "{ tools = [\"rpi.gate\"] }"),
            ("config", "{}"),
        ],
    );
    let report = guest(
        "standards",
        &asks,
        r#"
[[case]]
name = "pairs are seeded, swapped, counted and compared in the end"
[case.keyvalue.notes]
a = "1"
[case.expect.keyvalue.notes]
a = "4"
b = "x"
[[case.step]]
call = "std_pairs"
args = { bucket = "notes", steps = [{ do = "get", key = "a" }, { do = "increment", key = "a", by = 2 }, { do = "set", key = "b", value = "x" }, { do = "swap", key = "a", value = "4" }] }
contains = ["1", 3, "ok", { seen = "3", swapped = true }]

[[case]]
name = "a swap that another was faster than"
[[case.step]]
call = "std_pairs"
args = { bucket = "notes", steps = [{ do = "set", key = "a", value = "1" }, { do = "swap", key = "a", value = "4", meanwhile = "2" }] }
contains = ["ok", { swapped = false }]

[[case]]
name = "a bucket that nobody granted, and a database that is away or full"
[[case.step]]
call = "std_pairs"
args = { bucket = "other", steps = [] }
contains = {}
[[case.step]]
call = "std_pairs"
args = { bucket = "notes", steps = [{ do = "get", key = "a" }] }
fault = ["keyvalue-down"]
contains = [{}]
[[case.step]]
call = "std_pairs"
args = { bucket = "notes", steps = [{ do = "get", key = "a" }, { do = "set", key = "a", value = "1" }] }
fault = ["disk-full"]
result_json = '[null, {"error": "the host cannot reach its database right now: try again"}]'

[[case]]
name = "settings and log"
config = { colour = "red", deep = { er = 1 } }
[[case.step]]
call = "std_config"
args = { key = "colour" }
result = "red"
[[case.step]]
call = "std_config"
result = [["colour", "red"], ["deep.er", "1"]]
[[case.step]]
call = "std_log"
args = { level = "warn", context = "c", message = "watch out", out = "printed\n" }
logs = ["printed", "watch out"]
"#,
    )
    .await;

    all_passed(&report.cases);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_knows_who_asks_reports_and_is_cancelled_as_in_a_host() {
    let asks = manifest(
        "waiter",
        &[
            ("endpoint", "{ tools = [\"rpi.never\", \"rpi.gpio.read\", \"test.wait\"] }"),
            ("files", "{ guest = \"/\", access = \"ro\" }"),
        ],
    );
    let report = guest(
        "host-waiter",
        &asks,
        r#"
[[case]]
name = "who asks, and what is granted"
[[case.step]]
call = "waiter_who"
actor = "user:ada"
locale = "de"
dry_run = true
contains = { actor_id = "user:ada", locale = "de", dry_run = true, idempotency_key = "step-1", cancelled = false }
[[case.step]]
call = "waiter_may"
args = { capability = "endpoint", scope = { tools = ["rpi.never"] } }
contains = { check = true }
[[case.step]]
call = "waiter_tell"
args = { pieces = 2 }
contains = { handed = 2 }
progress = ["half", "piece 0", "piece 1"]

[[case]]
name = "a call that is cancelled notices, and the plugin is told beside it"
expect = { elapsed = "5s" }
[[case.endpoint]]
tool = "rpi.never"
fault = "timeout-after-accept"
[[case.endpoint]]
tool = "rpi.gpio.read"
result = {}
[[case.step]]
call = "waiter_never"
cancel_after = "5s"
error = "PLUGIN_CANCELLED"

[[case]]
name = "an endpoint that never answers holds a call until its time is over"
expect = { elapsed = "30s" }
[[case.endpoint]]
tool = "test.wait"
fault = "timeout-after-accept"
[[case.step]]
call = "waiter_wait_endpoint"
error = "PLUGIN_TIMEOUT"

[[case]]
name = "the other endpoint faults"
[[case.endpoint]]
tool = "test.wait"
error = { code = "gpio_pin_not_allowed", message = "not this pin" }
[[case.step]]
call = "waiter_wait_endpoint"
contains = { code = "gpio_pin_not_allowed" }
"#,
    )
    .await;

    all_passed(&report.cases);
}
