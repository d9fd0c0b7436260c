//! The interfaces of a plugin, read for those tool chains that must be told of them.

use std::path::Path;

use wit_bindgen_core::wit_parser::{Resolve, WorldId};

use crate::BuildError;

/// Reads the folder `wit/` and finds the world of that name, or its only one.
pub fn read(folder: &Path, world: Option<&str>) -> Result<(Resolve, WorldId), BuildError> {
    let wrong = |message: String| BuildError::project(folder, message);
    if !folder.is_dir() {
        return Err(wrong("there is no such folder: it holds the interface that the plugin exports".into()));
    }
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder).map_err(|error| wrong(resolve.render_error(&error)))?;
    let world = resolve.select_world(&[package], world).map_err(|error| {
        wrong(format!("{}; [build] in plugin.toml can say which `world` it is", resolve.render_error(&error)))
    })?;
    Ok((resolve, world))
}

/// The name of the world of that name, or of the only one.
pub fn world_name(folder: &Path, world: Option<&str>) -> Result<String, BuildError> {
    let (resolve, world) = read(folder, world)?;
    Ok(resolve.worlds[world].name.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_only_world_is_found_and_of_several_the_one_that_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let wit = |text: &str| std::fs::write(folder.path().join("a.wit"), text).unwrap();

        wit("package a:b; world plugin {}");
        let only = world_name(folder.path(), None).unwrap();
        wit("package a:b; world plugin {} world other {}");
        let named = world_name(folder.path(), Some("other")).unwrap();
        let unsaid = world_name(folder.path(), None).unwrap_err().to_string();
        wit("package a:b; world {");
        let broken = world_name(folder.path(), None).unwrap_err();

        assert_eq!((only.as_str(), named.as_str()), ("plugin", "other"));
        assert!(unsaid.contains("[build]"), "{unsaid}");
        assert!(broken.to_string().contains("a.wit"), "{broken}");
        assert_eq!(world_name(&folder.path().join("x"), None).unwrap_err().code(), "BUILD_PROJECT");
    }
}
