//! The guests that are called.

use std::path::{Path, PathBuf};

use super::bare::Bare;

/// What the greeter answers.
pub type Greeting = (Result<String, String>,);

/// A folder of `target`, or where the environment says.
fn folder(variable: &str, name: &str) -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(name);
    std::env::var_os(variable).map_or_else(built, PathBuf::from)
}

/// The component of a test guest.
pub fn fixture(name: &str) -> Vec<u8> {
    read(&folder("BERTH_FIXTURES", "fixtures").join(format!("{name}.wasm")))
}

/// The folder of a bundled plugin.
pub fn plugin(name: &str) -> PathBuf {
    folder("BERTH_PLUGINS", "plugins").join(name)
}

pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path)
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask guests` first", path.display()))
}

/// The greeter, called by wasmtime alone.
pub fn bare_greeter(name: &str) -> Bare {
    let params = || ("berth".to_owned(),);
    Bare::quickest::<_, Greeting>(&fixture(name), "berth:bench/hello@0.1.0", "run", None, params)
}

/// Greets once.
pub async fn greet(bare: &Bare) {
    let (answer,) = bare.call::<_, Greeting>(("berth",)).await;
    assert_eq!(answer.unwrap(), "hello berth");
}
