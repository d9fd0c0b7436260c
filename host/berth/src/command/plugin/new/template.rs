//! The files of a new plugin, by language. They stand in `host/berth/templates` and travel in the binary.

use berth_build::Language;

use super::sdk;

/// Reads the named files of a folder of templates.
macro_rules! templates {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../templates/", $folder, "/", $path)))),+]
    };
}

type Templates = &'static [(&'static str, &'static str)];

const MANIFEST: &str = include_str!("../../../../templates/common/plugin.toml");
const HEAVY: &str = include_str!("../../../../templates/common/limits.toml");
const WIT: &str = include_str!("../../../../templates/common/plugin.wit");
const KEYVALUE: &str = include_str!("../../../../templates/common/keyvalue.wit");
const GITIGNORE: &str = include_str!("../../../../templates/common/gitignore");
const README: &str = include_str!("../../../../templates/common/README.md");
const STORY: &str = include_str!("../../../../templates/common/greetings.toml");

const RUST: Templates = templates!("rust": "Cargo.toml", "src/lib.rs");
const JAVASCRIPT: Templates =
    templates!("js": "package.json", "src/index.js", "src/words.js", "tests/words.test.js");
const PYTHON: Templates =
    templates!("python": "app.py", "words.py", "requirements.txt", "tests/test_words.py");
const C: Templates =
    templates!("c": "src/plugin.c", "src/words.c", "src/words.h", "tests/words.c", "compile_flags.txt");

/// The interfaces of the host that the world of a plugin names. The SDK of Rust brings its own.
const IMPORTS: &str =
    "    import wasi:keyvalue/store@0.2.0-draft2;\n    import wasi:keyvalue/atomics@0.2.0-draft2;\n";

/// What differs between the languages beside their sources.
struct About {
    /// Rows of the table in the readme.
    files: &'static str,
    /// How the sources are tested by themselves.
    test: &'static str,
    imports: &'static str,
}

fn about(language: Language) -> About {
    match language {
        Language::Rust => About {
            files: "| `src/lib.rs` | what they do |\n| `vendor/` | what the code is written with: the SDK of berth, a copy |\n",
            test: "`cargo test` tests the logic by itself; `berth_plugin::testing` plays the host.",
            imports: "",
        },
        Language::JavaScript => About {
            files: "| `src/index.js` | what they do |\n| `src/words.js` | the part that Node.js can test |\n",
            test: "`node --test tests` tests `src/words.js` by itself.",
            imports: IMPORTS,
        },
        Language::Python => About {
            files: "| `app.py` | what they do |\n| `words.py` | the part that any Python can test |\n\
                    | `requirements.txt` | packages that go along |\n",
            test: "`python3 -m unittest discover tests` tests `words.py` by itself.",
            imports: IMPORTS,
        },
        Language::C => About {
            files: "| `src/plugin.c` | what they do; its header is made by the build, in `target/bindings` |\n\
                    | `src/words.c` | the part that any compiler can test |\n",
            test: "`mkdir -p target && cc src/words.c tests/words.c -o target/words && target/words` tests `src/words.c` by \
                   itself.",
            imports: IMPORTS,
        },
    }
}

/// The paths and texts of a new plugin.
pub fn files(name: &str, language: Language) -> Vec<(String, String)> {
    let about = about(language);
    let filled = |text: &str| {
        text.replace("{{imports}}", about.imports)
            .replace("{{files}}", about.files)
            .replace("{{test}}", about.test)
            .replace("{{language}}", language.name())
            .replace("{{snake}}", &name.replace('-', "_"))
            .replace("{{SNAKE}}", &name.replace('-', "_").to_uppercase())
            .replace("{{name}}", name)
    };
    let is_heavy = matches!(language, Language::JavaScript | Language::Python);
    let manifest = format!("{MANIFEST}{}", if is_heavy { HEAVY } else { "" });
    let mut files = vec![
        ("plugin.toml".to_owned(), filled(&manifest)),
        ("wit/plugin.wit".to_owned(), filled(WIT)),
        ("tests/greetings.toml".to_owned(), filled(STORY)),
        ("README.md".to_owned(), filled(README)),
        (".gitignore".to_owned(), filled(GITIGNORE)),
    ];
    let sources = match language {
        Language::Rust => RUST,
        Language::JavaScript => JAVASCRIPT,
        Language::Python => PYTHON,
        Language::C => C,
    };
    files.extend(sources.iter().map(|(path, text)| ((*path).to_owned(), filled(text))));
    if language == Language::Rust {
        files.extend(sdk::files().map(|(path, text)| (format!("vendor/{path}"), text.to_owned())));
    } else {
        files.push(("wit/deps/keyvalue.wit".to_owned(), KEYVALUE.to_owned()));
    }
    files
}

#[cfg(test)]
mod tests {
    use berth_wasm::Manifest;

    use super::*;

    #[test]
    fn every_language_gets_a_manifest_that_is_one_and_no_hole_is_left_open() {
        for language in Language::ALL {
            let files = files("word-count", language);

            let text = |name: &str| &files.iter().find(|(path, _)| path == name).unwrap().1;
            let manifest = Manifest::parse(text("plugin.toml")).unwrap();
            assert_eq!(manifest.id, "word-count");
            assert!(text("wit/plugin.wit").contains("package my:word-count@0.1.0;"));
            assert!(text("README.md").contains("word_count_welcome"));
            for (path, text) in files.iter().filter(|(path, _)| !path.starts_with("vendor/")) {
                assert!(!text.contains("{{"), "{path} of {}", language.name());
            }
        }
    }
}
