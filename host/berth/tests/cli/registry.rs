//! Packages in a registry: a real one, on a port of this machine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;

use crate::packages::{key, pack};
use crate::support::{Host, Options, Process};

/// A registry that keeps its things in a folder of its own.
pub struct Registry {
    process: Process,
    pub address: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("registry.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  \
             addr: 127.0.0.1:0\n",
            folder.path().join("data").display()
        );
        std::fs::write(&settings, text).unwrap();
        // `cargo xtask test` installs it.
        let process = Process::spawn(Command::new("docker-registry").arg("serve").arg(&settings));
        process.wait_for_error("listening on 127.0.0.1:");
        let said = process.output();
        let port = said.split("listening on 127.0.0.1:").nth(1).unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        Self { process, address: format!("127.0.0.1:{port}"), _folder: folder }
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET /v2/{path} HTTP/1.0\r\nHost: {}\r\nAccept: application/vnd.oci.image.manifest.v1+json\r\n\r\n",
            self.address
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill();
    }
}

#[test]
fn a_package_goes_to_a_registry_and_comes_back_by_its_digest() {
    let host = Host::start(Options::default());
    let registry = Registry::start();
    let acme = key(&host, "acme.key");
    let file = pack(&host, "0.1.0", &["--key", "acme.key"]);
    let place = format!("oci://{}/acme/clock:0.1.0", registry.address);

    let pushed = host.cli(&["plugin", "push", &file, &place, "--json"]).json();
    let exact = pushed["place"].as_str().unwrap();
    let pulled = host.cli(&["plugin", "pull", exact, "--out", "back.berth", "--json"]).json();

    assert!(exact.contains("/acme/clock@sha256:"), "{exact}");
    assert_eq!(pulled["publisher"], acme.as_str());
    assert!(std::fs::read(&file).unwrap() == std::fs::read(host.scratch().join("back.berth")).unwrap());
    let back = host.scratch().join("back.berth");
    host.cli(&["plugin", "verify", "--offline", back.to_str().unwrap()]).ok();
    host.cli(&["plugin", "install", back.to_str().unwrap()]).ok();
    let now = host.cli(&["plugin", "call", "clock_now", "{\"zone\": \"UTC\"}", "--json"]).json();
    assert!(now["result"].is_object(), "{now}");
    let by_tag = host.cli(&["plugin", "pull", &place, "--out", "tag.berth"]);
    assert!(by_tag.err.contains("a tag may move"), "{}", by_tag.err);
}

#[test]
fn other_tools_find_the_component_where_they_look_for_it() {
    let host = Host::start(Options::default());
    let registry = Registry::start();
    let file = pack(&host, "0.1.0", &[]);
    host.cli(&["plugin", "push", &file, &format!("{}/acme/clock:0.1.0", registry.address)]).ok();

    let manifest = registry.get("acme/clock/manifests/0.1.0");
    let config =
        registry.get(&format!("acme/clock/blobs/{}", manifest["config"]["digest"].as_str().unwrap()));

    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(config["layerDigests"][0], manifest["layers"][0]["digest"]);
    assert_eq!((&config["architecture"], &config["os"]), (&"wasm".into(), &"wasip2".into()));
}

#[test]
fn what_a_registry_does_not_have_or_nobody_answers_is_said() {
    let host = Host::start(Options::default());
    let registry = Registry::start();
    let code = |place: &str| {
        let refused = host.cli(&["plugin", "pull", place, "--json"]).failed(1);
        serde_json::from_str::<Value>(&refused).unwrap()["error"]["code"].as_str().unwrap().to_owned()
    };

    assert_eq!(code(&format!("{}/acme/none:1", registry.address)), "REGISTRY_NOT_FOUND");
    let address = registry.address.clone();
    drop(registry);
    assert_eq!(code(&format!("{address}/acme/none:1")), "REGISTRY_UNAVAILABLE");
    host.cli(&["plugin", "pull", "not a place"]).failed(2);
}

#[test]
fn a_package_is_installed_from_a_registry_in_one_step_and_only_as_its_lock_says() {
    let host = Host::start(Options::default());
    let registry = Registry::start();
    key(&host, "acme.key");
    let place = |version: &str| format!("oci://{}/acme/clock:{version}", registry.address);
    for version in ["0.1.0", "0.2.0"] {
        let file = pack(&host, version, &["--key", "acme.key"]);
        host.cli(&["plugin", "push", &file, &place(version)]).ok();
    }

    let refused = host.cli(&["plugin", "install", &place("0.1.0"), "--locked", "--json"]).failed(1);
    assert!(refused.contains("LOCK_MISMATCH") && refused.contains("to nothing"), "{refused}");
    let installed = host.cli(&["plugin", "install", &place("0.1.0"), "--json"]).json();
    assert_eq!(installed["version"], "0.1.0");
    let now = host.cli(&["plugin", "call", "clock_now", "{\"zone\": \"UTC\"}", "--json"]).json();
    assert!(now["result"].is_object(), "{now}");

    let lock = std::fs::read_to_string(host.data().join("berth.lock")).unwrap();
    assert!(lock.contains(&format!("oci://{}/acme/clock@sha256:", registry.address)), "{lock}");
    host.cli(&["plugin", "install", &place("0.1.0"), "--locked"]).ok();
    let other = host.cli(&["plugin", "install", &place("0.2.0"), "--locked", "--json"]).failed(1);
    assert!(other.contains("LOCK_MISMATCH") && other.contains("the version 0.1.0"), "{other}");
    // The same bytes from another place are not what is pinned.
    let back = host.scratch().join("back.berth");
    host.cli(&["plugin", "pull", &place("0.1.0"), "--out", back.to_str().unwrap()]).ok();
    let moved = host.cli(&["plugin", "install", back.to_str().unwrap(), "--locked", "--json"]).failed(1);
    assert!(moved.contains("the source oci://"), "{moved}");
    assert_eq!(host.cli(&["plugin", "show", "clock", "--json"]).json()["version"], "0.1.0");
}
