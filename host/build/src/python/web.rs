//! What a plugin in Python sends requests with: the module `berth_http`, over `wasi:http`.
//!
//! Python's own modules open sockets, which no plugin may. So the build adds the interface to the world of the plugin,
//! and a module that is written for it.

use std::path::{Path, PathBuf};

use wit_bindgen_core::wit_parser::PackageName;

use crate::{BuildError, files, wit};

const MODULE: &str = include_str!("berth_http.py");
const INTERFACE: &str = include_str!("../../../../sdk-guest/wit/http/http.wit");
/// The world of [`INTERFACE`].
const CLIENT: &str = "berth:http-guest/client";
/// The world that is built in the place of the plugin's own.
const WORLD: &str = "plugin";
/// Where the plugin's own package goes, among what that world depends on.
const OWN: &str = "deps/own-of-the-plugin";
/// What the module calls the parts of the interface, so that they clash with no import of the plugin.
const NAMES: [(&str, &str); 3] = [
    ("wasi:http/types@0.2.1", "berth_http_types"),
    ("wasi:http/outgoing-handler@0.2.1", "berth_http_handler"),
    ("wasi:io/streams@0.2.1", "berth_http_streams"),
];

/// A world with requests in it, and the module for them.
pub struct Web {
    pub wit: PathBuf,
    pub world: &'static str,
    /// The folder of the module.
    pub modules: PathBuf,
}

impl Web {
    /// Writes both below `target`, for the world of that name in `from`.
    ///
    /// `None` where `from` has a wasi:http of its own: then the plugin has its own way to it.
    pub fn add(from: &Path, world: Option<&str>, target: &Path) -> Result<Option<Self>, BuildError> {
        let (resolve, world) = wit::read(from, world)?;
        let is_http = |name: &PackageName| name.namespace == "wasi" && name.name == "http";
        if resolve.packages.iter().any(|(_, package)| is_http(&package.name)) {
            return Ok(None);
        }
        let world = &resolve.worlds[world];
        let package = world.package.map(|id| &resolve.packages[id].name);
        let own = package.map_or_else(|| world.name.clone(), |package| package.interface_id(&world.name));

        let to = target.join("wit");
        files::remove(&to)?;
        for file in files::below(from)? {
            let path = file.strip_prefix(from).unwrap_or(&file);
            let place = if path.starts_with("deps") { to.join(path) } else { to.join(OWN).join(path) };
            files::write(&place, &files::read(&file)?)?;
        }
        files::write(&to.join("deps/berth-http.wit"), INTERFACE.as_bytes())?;
        let whole = format!(
            "package berth:built;\n\nworld {WORLD} {{\n    include {own};\n    include {CLIENT};\n}}\n"
        );
        files::write(&to.join("built.wit"), whole.as_bytes())?;
        let modules = target.join("modules");
        files::write(&modules.join("berth_http.py"), MODULE.as_bytes())?;
        Ok(Some(Self { wit: to, world: WORLD, modules }))
    }

    /// The arguments that name the parts of the interface as the module does.
    pub fn names() -> impl Iterator<Item = String> {
        NAMES.iter().flat_map(|(interface, name)| {
            ["--import-interface-name".to_owned(), format!("{interface}={name}")]
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use wit_bindgen_core::wit_parser::WorldKey;

    use super::*;

    #[test]
    fn requests_are_added_to_the_world_of_the_plugin() {
        let folder = tempfile::tempdir().unwrap();
        let (wit, target) = (folder.path().join("wit"), folder.path().join("target"));
        let deps = "package my:deps@0.2.0; interface words { count: func(text: string) -> u32; }";
        files::write(&wit.join("deps/words.wit"), deps.as_bytes()).unwrap();
        files::write(
            &wit.join("a.wit"),
            b"package my:a@0.1.0; interface i { f: func(); } world it { import my:deps/words@0.2.0; export i; }",
        )
        .unwrap();

        let web = Web::add(&wit, None, &target).unwrap().unwrap();

        let (resolve, world) = crate::wit::read(&web.wit, Some(web.world)).unwrap();
        let world = &resolve.worlds[world];
        let names = |items: &mut dyn Iterator<Item = &WorldKey>| -> Vec<_> {
            items.map(|key| resolve.name_world_key(key)).collect()
        };
        let imports = names(&mut world.imports.keys());
        for wanted in ["my:deps/words@0.2.0", NAMES[0].0, NAMES[1].0, NAMES[2].0] {
            assert!(imports.iter().any(|name| name == wanted), "{wanted} in {imports:?}");
        }
        assert_eq!(names(&mut world.exports.keys()), ["my:a/i@0.1.0"]);
        assert!(web.modules.join("berth_http.py").is_file());
        // Each name that the module imports is one that the build gives.
        for (_, name) in NAMES {
            assert!(MODULE.contains(name), "{name}");
        }
    }

    #[test]
    fn a_plugin_with_an_interface_for_requests_of_its_own_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let text = "package my:a; world it { import wasi:http/types@0.2.0; } package wasi:http@0.2.0 { interface types {} }";
        files::write(&folder.path().join("a.wit"), text.as_bytes()).unwrap();

        assert!(Web::add(folder.path(), None, &folder.path().join("target")).unwrap().is_none());
    }
}
