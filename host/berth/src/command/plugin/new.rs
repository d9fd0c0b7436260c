//! `berth plugin new`: a folder that builds, tests and installs as it is.

mod sdk;
mod template;

use std::path::{Path, PathBuf};

use berth_build::Language;
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output;

/// Longer ids are no ids of plugins.
const NAME_CHARS: usize = 40;

/// Words that WIT, one of the languages or cargo keep for themselves.
const RESERVED: &str = " abstract alloc and any as assert async auto await become bool borrow box break case catch \
    char class const continue core crate debugger def default defer del delete do double dyn elif else enum error except \
    explicit export exports extends extern external false final finally flags float fn for from func function future \
    gen global goto if impl implements import imports in include inline instance int interface is lambda let list long \
    loop macro map match mod module move mut my new none nonlocal not null option or override own package pass plugin \
    priv private protected pub public raise record ref register resource restrict result return self short signed sizeof \
    static std store stream string struct super switch test this throw trait true try tuple type typedef typeof \
    undefined union unsafe unsigned unsized use var variant virtual void volatile wasi where while with world yield ";

/// What to begin, and where.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  berth plugin new tally --lang rust\n  berth plugin new word-count --lang python --dir ~/plugins/word-count"
)]
pub struct Options {
    /// What the plugin is called: a-z, 0-9 and single -, such as `word-count`.
    name: String,
    /// What it is written in: rust, js, python or c.
    #[arg(long, value_name = "LANGUAGE")]
    lang: Language,
    /// Where to make it; a folder of its name in this one when it is not said.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    check(&options.name).map_err(Failure::Usage)?;
    let folder = options.dir.clone().unwrap_or_else(|| PathBuf::from(&options.name));
    refuse_existing(&folder)?;
    let files = template::files(&options.name, options.lang);
    for (path, text) in &files {
        berth_build::files::write(&folder.join(path), text.as_bytes())?;
    }

    if global.json {
        let names: Vec<_> = files.iter().map(|(path, _)| path).collect();
        output::json(&json!({
            "plugin_id": options.name,
            "language": options.lang.word(),
            "folder": std::path::absolute(&folder).map_err(anyhow::Error::from)?,
            "files": names,
        }));
        return Ok(());
    }
    let shown = folder.display();
    output::line(&format!("made {} in {shown}, in {}", options.name, options.lang.name()));
    output::line("next");
    output::line(&format!("  berth plugin build {shown}"));
    output::line(&format!("  berth plugin test {shown}"));
    output::line(&format!("{shown}/README.md has the way from there to a tool that a model calls"));
    Ok(())
}

/// A name must be an id of a plugin, a name in WIT, and a name in each language.
fn check(name: &str) -> Result<(), String> {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if name.len() > NAME_CHARS || !name.split('-').all(word) {
        return Err(format!(
            "`{name}` is no name for a plugin: 1 to {NAME_CHARS} characters of a-z, 0-9 and single -, a letter first \
             and behind each -"
        ));
    }
    if RESERVED.split_whitespace().any(|reserved| reserved == name) {
        return Err(format!("`{name}` has a meaning in WIT or in a language already: choose another name"));
    }
    Ok(())
}

fn refuse_existing(folder: &Path) -> Result<(), Failure> {
    let is_empty = || std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if !folder.exists() || is_empty() {
        return Ok(());
    }
    Err(Failure::failed(
        "folder_exists",
        format!("{} is there already: choose another name, or another place with --dir", folder.display()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_id_and_a_word_of_every_language() {
        for good in ["hello", "word-count", "a1", "x-y-z2", &"a".repeat(40)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in
            ["", "Hello", "1a", "a--b", "-a", "a-", "a_b", "a/b", "..", "ä", "a b", "a-1", &"a".repeat(41)]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        for reserved in ["type", "list", "interface", "match", "lambda", "switch", "test", "plugin"] {
            assert!(check(reserved).unwrap_err().contains("has a meaning"), "{reserved}");
        }
    }

    #[test]
    fn no_name_that_a_template_uses_itself_is_left_open() {
        for name in ["my", "plugin", "store", "wasi", "core", "exports"] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
