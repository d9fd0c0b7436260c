//! The languages that plugins are built from.

use std::path::Path;
use std::str::FromStr;

use crate::BuildError;

/// A language with a tool chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    Rust,
    JavaScript,
    Python,
    C,
}

impl Language {
    pub const ALL: [Self; 4] = [Self::Rust, Self::JavaScript, Self::Python, Self::C];

    /// The word for it on the command line and in `plugin.toml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::JavaScript => "js",
            Self::Python => "python",
            Self::C => "c",
        }
    }

    /// How people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
        }
    }

    /// The language of the sources in `folder`, by the first of `Cargo.toml`, `package.json`, `pyproject.toml`,
    /// `requirements.txt` or `*.py`, and `*.c` there or in `src/`.
    pub fn of(folder: &Path) -> Result<Self, BuildError> {
        let there = |name: &str| folder.join(name).is_file();
        let ending = |folder: &Path, ending: &str| {
            let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.any(|entry| entry.path().extension().is_some_and(|found| found == ending))
        };
        if there("Cargo.toml") {
            Ok(Self::Rust)
        } else if there("package.json") {
            Ok(Self::JavaScript)
        } else if there("pyproject.toml") || there("requirements.txt") || ending(folder, "py") {
            Ok(Self::Python)
        } else if ending(folder, "c") || ending(&folder.join("src"), "c") {
            Ok(Self::C)
        } else {
            Err(BuildError::project(
                folder,
                "no sources are found: a plugin has a Cargo.toml, a package.json, an app.py or a *.c, or says under \
                 [build] in plugin.toml which `language` it is in",
            ))
        }
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "rust" => Self::Rust,
            "js" | "javascript" => Self::JavaScript,
            "python" | "py" => Self::Python,
            "c" => Self::C,
            other => {
                let known: Vec<_> = Self::ALL.iter().map(|language| language.word()).collect();
                return Err(format!("`{other}` is no language that berth builds: {}", known.join(", ")));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_language_is_known_by_its_files() {
        for (file, language) in [
            ("Cargo.toml", Language::Rust),
            ("package.json", Language::JavaScript),
            ("app.py", Language::Python),
            ("requirements.txt", Language::Python),
            ("plugin.c", Language::C),
            ("src/plugin.c", Language::C),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();

            assert_eq!(Language::of(folder.path()).unwrap(), language, "{file}");
        }
    }

    #[test]
    fn a_folder_without_sources_and_a_word_that_is_no_language_are_refused() {
        let folder = tempfile::tempdir().unwrap();

        let nothing = Language::of(folder.path()).unwrap_err();
        let word = "cobol".parse::<Language>().unwrap_err();

        assert_eq!(nothing.code(), "BUILD_PROJECT");
        assert!(nothing.to_string().contains("no sources are found"), "{nothing}");
        assert_eq!(word, "`cobol` is no language that berth builds: rust, js, python, c");
        assert!(Language::ALL.iter().all(|language| language.word().parse() == Ok(*language)));
    }
}
