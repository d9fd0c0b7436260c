//! Plugins in JavaScript and Python at a web service on this machine, with a secret that the host places.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::support::{Host, Options, example};

/// Letters alone, which are the same in every place.
const SECRET: &str = "OnlyTheServiceKnowsThis";

/// A service on loopback that answers every request with the same JSON, and keeps what it was sent.
struct Service {
    origin: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn answering(body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                kept.lock().unwrap().push(request(&mut stream));
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
                // A client that went away does not want its answer.
                let _ = stream.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes());
            }
        });
        Self { origin, requests }
    }

    /// All that was sent, since the last look.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

/// Head and body of a request.
fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            let ended = match length {
                Some(length) => body.len() >= length,
                None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
            };
            if ended {
                return String::from_utf8(bytes).unwrap();
            }
        }
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
            _ => return String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// A host whose settings lead the plugin to the service.
fn host(plugin: &str, service: &Service) -> Host {
    let config = format!("[plugin.{plugin}.config]\nserver = \"{}\"\n", service.origin);
    Host::start(Options { config, ..Options::default() })
}

fn keep_secret(host: &Host, plugin: &str, name: &str) {
    host.cli_with_input(&["secret", "set", name, "--plugin", plugin], SECRET).ok();
}

fn grant(host: &Host, plugin: &str, capability: &str, scope: &serde_json::Value) {
    host.cli(&["plugin", "grant", plugin, capability, "--scope", &scope.to_string()]).ok();
}

/// Neither the answer nor the log of the call has the secret.
fn nobody_saw_it(host: &Host, plugin: &str, said: &str) {
    let logs = host.cli(&["plugin", "logs", plugin]).ok();
    assert!(!said.contains(SECRET) && !logs.contains(SECRET), "{said}\n{logs}");
}

#[test]
fn a_plugin_in_javascript_asks_a_service_with_a_token_that_it_never_has() {
    let forge = Service::answering(
        r#"[{"number": 2, "title": "It flickers", "user": {"login": "ada"}, "labels": [], "html_url": "u"}]"#,
    );
    let host = host("issues", &forge);
    host.cli(&["plugin", "install", example("issues").to_str().unwrap()]).ok();
    let call = ["plugin", "call", "issues_open", r#"{"repository": "acme/lamp", "limit": 1}"#, "--json"];

    let denied = host.cli(&call[..4]).failed(1);
    let logs = host.cli(&["plugin", "logs", "issues"]).ok();
    keep_secret(&host, "issues", "forge_token");
    let audience = json!([forge.origin]);
    let place = json!(["header:authorization"]);
    grant(&host, "issues", "secret", &json!({ "id": "forge_token", "audience": audience, "place": place }));
    grant(&host, "issues", "http", &json!({ "hosts": [forge.origin], "methods": ["GET"] }));
    let answer = host.cli(&call).json();
    let written =
        host.cli(&["plugin", "call", "issues_file", r#"{"repository": "a/b", "title": "t", "text": "x"}"#]);

    assert!(denied.contains("unreachable") && denied.contains("berth plugin logs issues"), "{denied}");
    assert!(logs.contains("berth plugin grant issues http --scope"), "{logs}");
    let issue = json!({ "number": 2, "title": "It flickers", "author": "ada", "labels": [], "url": "u" });
    assert_eq!(answer["result"], json!([issue]));
    let heard = forge.heard();
    assert_eq!(heard.len(), 1, "what is not granted never left: {heard:?}");
    assert!(
        heard[0].starts_with("GET /repos/acme/lamp/issues?state=open&per_page=1&limit=1 HTTP/1.1\r\n"),
        "{}",
        heard[0]
    );
    assert!(heard[0].contains(&format!(": Bearer {SECRET}\r\n")), "{}", heard[0]);
    assert_ne!(written.code, 0, "only reading was granted");
    nobody_saw_it(&host, "issues", &answer.to_string());
}

#[test]
fn a_plugin_in_python_asks_a_service_with_a_key_that_it_never_has() {
    let service = Service::answering(
        r#"{"name": "Basel", "sys": {"country": "CH"}, "weather": [{"description": "fog"}], "main": {"temp": 4}}"#,
    );
    let host = host("weather", &service);
    // The service of the test lies on this machine, which a manifest may name once a grant has.
    let folder = host.scratch().join("weather");
    std::fs::create_dir(&folder).unwrap();
    for file in ["weather.wasm", "config.schema.json", "plugin.toml"] {
        std::fs::copy(example("weather").join(file), folder.join(file)).unwrap();
    }
    let manifest = std::fs::read_to_string(folder.join("plugin.toml")).unwrap();
    let manifest = manifest.replace("https://api.openweathermap.org", &service.origin);
    std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
    grant(&host, "weather", "http", &json!({ "hosts": [service.origin] }));
    let audience = json!([service.origin]);
    grant(
        &host,
        "weather",
        "secret",
        &json!({ "id": "weather_key", "audience": audience, "place": ["query:appid"] }),
    );
    keep_secret(&host, "weather", "weather_key");
    host.cli(&["plugin", "install", folder.to_str().unwrap()]).ok();
    let call = ["plugin", "call", "weather_now", r#"{"place": "Basel"}"#, "--json"];

    let answer = host.cli(&call).json();
    let heard = service.heard();
    let grants = host.cli(&["plugin", "show", "weather", "--json"]).json()["grants"].clone();
    for given in grants.as_array().unwrap().iter().filter(|given| given["capability"] == "http") {
        host.cli(&["plugin", "revoke", given["grant_id"].as_str().unwrap()]).ok();
    }
    let denied = host.cli(&call[..4]).failed(1);

    let report =
        json!({ "place": "Basel, CH", "sky": "fog", "temperature": 4.0, "feels_like": 4.0, "wind": 0.0 });
    assert_eq!(answer["result"], report);
    let wanted = format!("GET /data/2.5/weather?q=Basel&units=metric&lang=en&appid={SECRET} HTTP/1.1\r\n");
    assert!(heard.len() == 1 && heard[0].starts_with(&wanted), "{heard:?}");
    assert!(denied.contains("unreachable") && denied.contains("it is not granted"), "{denied}");
    assert_eq!(service.heard(), Vec::<String>::new());
    nobody_saw_it(&host, "weather", &format!("{answer}{denied}"));
}
