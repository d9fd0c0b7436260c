//! Plugins in Rust: a crate that is a `cdylib`, by cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{BuildError, Toolchain, Workshop, command, encode, files, toolchain};

/// The stack of a guest that does not ask for more: a small one keeps the memory of a fresh instance small.
pub const STACK_BYTES: u32 = 32 * 1024;

/// The profile that plugins are built with, whatever the author's `Cargo.toml` has: small, one unit, no unwinding.
pub const PROFILE: [&str; 7] = [
    "profile.guest.inherits=\"release\"",
    "profile.guest.opt-level=\"s\"",
    "profile.guest.lto=true",
    "profile.guest.codegen-units=1",
    "profile.guest.strip=true",
    "profile.guest.panic=\"abort\"",
    "profile.guest.debug=false",
];

/// A crate that becomes a component.
///
/// Its `Cargo.toml` may say under `[package.metadata.berth]`: `wasi = true` when the code uses files, clocks or the
/// environment of the standard library (default false), `stack_bytes` when 32 KiB do not do.
#[derive(Debug, Clone)]
pub struct Crate {
    pub folder: PathBuf,
    /// The name of its cargo package.
    pub package: String,
    pub wasi: bool,
    pub stack_bytes: u32,
    /// Whether the crate is also a Rust library, which costs link-time optimisation unless it is told not to be.
    pub also_library: bool,
}

impl Crate {
    /// Reads the `Cargo.toml` in `folder`.
    pub fn read(folder: PathBuf) -> Result<Self, BuildError> {
        let path = folder.join("Cargo.toml");
        let wrong = |message: String| BuildError::project(&path, message);
        let manifest: toml::Table =
            files::read_text(&path)?.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
        Self::parse(&manifest, folder).map_err(wrong)
    }

    fn parse(manifest: &toml::Table, folder: PathBuf) -> Result<Self, String> {
        let package = manifest.get("package").ok_or("no [package]")?;
        let name = package.get("name").and_then(toml::Value::as_str).ok_or("no package.name")?;
        let crate_types = manifest
            .get("lib")
            .and_then(|lib| lib.get("crate-type")?.as_array())
            .ok_or("no lib.crate-type: a plugin has `crate-type = [\"cdylib\"]` under [lib]")?;
        if !crate_types.iter().any(|kind| kind.as_str() == Some("cdylib")) {
            return Err("lib.crate-type lacks \"cdylib\"".to_owned());
        }
        let (mut wasi, mut stack_bytes) = (false, STACK_BYTES);
        let wishes = package.get("metadata").and_then(|all| all.get("berth")?.as_table());
        for (key, value) in wishes.into_iter().flatten() {
            match key.as_str() {
                "wasi" => wasi = value.as_bool().ok_or("berth.wasi is true or false")?,
                "stack_bytes" => stack_bytes = stack(value)?,
                other => return Err(format!("unknown key `{other}` under [package.metadata.berth]")),
            }
        }
        let also_library = crate_types.len() > 1;
        Ok(Self { folder, package: name.to_owned(), wasi, stack_bytes, also_library })
    }

    /// The file that cargo makes of it.
    pub fn module_name(&self) -> String {
        format!("{}.wasm", self.package.replace('-', "_"))
    }

    /// The component of the module that cargo has made of it below `target_folder`.
    pub fn component(&self, toolchain: &Toolchain, target_folder: &Path) -> Result<Vec<u8>, BuildError> {
        let target = toolchain.target(self.wasi);
        let module = target_folder.join(target).join("guest").join(self.module_name());
        encode(files::read(&module)?, Toolchain::needs_adapter(target))
    }
}

fn stack(value: &toml::Value) -> Result<u32, &'static str> {
    let bytes = value.as_integer().and_then(|bytes| u32::try_from(bytes).ok());
    match bytes {
        Some(bytes) if bytes >= 4096 && bytes % 16 == 0 => Ok(bytes),
        _ => Err("berth.stack_bytes is a multiple of 16, from 4096"),
    }
}

/// Builds a crate that is in no workspace of ours.
pub fn build(source: &Crate, workshop: &Workshop<'_>) -> Result<Vec<u8>, BuildError> {
    if !command::has("cargo") {
        return Err(BuildError::missing(
            "a plugin in Rust needs cargo",
            "install Rust from https://rustup.rs, or run `apt-get install cargo`",
        ));
    }
    let toolchain = Toolchain::choose(workshop, &source.folder)?;
    workshop.say(&format!("building {}{}", source.package, toolchain.remark()));
    let target_folder = target_folder(&source.folder);
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&source.folder).arg("rustc");
    if !workshop.verbose {
        cargo.arg("--quiet");
    }
    cargo.args(["--lib", "--crate-type", "cdylib"]);
    for setting in PROFILE {
        cargo.args(["--config", setting]);
    }
    toolchain.prepare(&mut cargo, toolchain.target(source.wasi), None, &target_folder);
    cargo.arg("--").arg(toolchain::stack_flag(source.stack_bytes));
    command::shown(&format!("cargo, building {},", source.package), &mut cargo)?;
    source.component(&toolchain, &target_folder)
}

/// Where cargo puts what it makes of a crate.
fn target_folder(folder: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|target| !target.is_empty()) {
        // As cargo does, which runs in that folder.
        Some(target) => folder.join(target),
        None => folder.join("target"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> Result<Crate, String> {
        Crate::parse(&text.parse().unwrap(), "/x".into())
    }

    #[test]
    fn a_crate_says_what_it_needs() {
        let plain = read("[package]\nname = \"a-b\"\n[lib]\ncrate-type = [\"cdylib\"]").unwrap();
        let wishing = read(
            "[package]\nname = \"a\"\nmetadata.berth = { wasi = true, stack_bytes = 65536 }\n\
             [lib]\ncrate-type = [\"cdylib\", \"rlib\"]",
        )
        .unwrap();

        assert_eq!((plain.module_name().as_str(), plain.wasi, plain.stack_bytes), ("a_b.wasm", false, 32768));
        assert!(wishing.wasi && wishing.also_library && !plain.also_library);
        assert_eq!(wishing.stack_bytes, 65536);
    }

    #[test]
    fn a_crate_that_makes_no_component_is_refused_with_the_reason() {
        let named = "[package]\nname = \"a\"\n";
        for (text, reason) in [
            ("", "no [package]"),
            (named, "crate-type = [\"cdylib\"]"),
            (&format!("{named}[lib]\ncrate-type = [\"rlib\"]"), "lacks \"cdylib\""),
            (
                &format!("{named}metadata.berth = {{ stack = 1 }}\n[lib]\ncrate-type = [\"cdylib\"]"),
                "unknown key `stack`",
            ),
            (
                &format!("{named}metadata.berth = {{ stack_bytes = 17 }}\n[lib]\ncrate-type = [\"cdylib\"]"),
                "multiple of 16",
            ),
        ] {
            let refusal = read(text).unwrap_err();

            assert!(refusal.contains(reason), "{refusal}");
        }
    }
}
