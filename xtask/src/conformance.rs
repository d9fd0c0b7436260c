//! `cargo xtask conformance`: writes docs/conformance.md from the tables in docs/conformance/.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::{files, step};

const HEAD: &str = "\
# Conformance

What the plugin system promises, and the tests that fail when a promise is kept no longer. The sections are those of the
contract of the plugin system.

This page is written by `cargo xtask conformance` from the tables in `docs/conformance/`.
";

/// The sections in their order, and what each is about.
const SECTIONS: [(&str, &str); 9] = [
    ("1", "Typed tools, dynamic tools, channels"),
    ("2", "Rules of the WIT"),
    ("3", "Interfaces of the host"),
    ("4", "Manifest"),
    ("5", "Grants"),
    ("6", "Outbound HTTP"),
    ("7", "Life of an install and of an instance; limits"),
    ("8", "Packages; the command line; compiling"),
    ("9", "The sandbox as a whole"),
];

/// Writes the page.
pub fn run() -> anyhow::Result<()> {
    let root = crate::root();
    files::write(&page(&root), generate(&root)?.as_bytes())?;
    step::say(&format!("{} is written", page(&root).display()));
    Ok(())
}

/// Where the page is.
pub fn page(root: &Path) -> PathBuf {
    root.join("docs/conformance.md")
}

/// The text of the page. Fails when a table is not right or names a test that is not there, with file and line.
pub fn generate(root: &Path) -> anyhow::Result<String> {
    let tests = Tests::below(root)?;
    let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in files::below(&root.join("docs/conformance"))? {
        if file.extension().is_none_or(|extension| extension != "tsv") {
            continue;
        }
        for (number, line) in files::read_text(&file)?.lines().enumerate() {
            let place = format!("{}:{}", file.display(), number + 1);
            match row(line, &tests).with_context(|| place) {
                Ok((section, row)) => sections.entry(section).or_default().push(row),
                Err(error) => wrong.push(format!("{error:#}")),
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let mut text = HEAD.to_owned();
    for (section, title) in SECTIONS {
        let Some(rows) = sections.get_mut(section) else { continue };
        rows.sort();
        write!(text, "\n## {section}. {title}\n\n| promise | tests |\n|---|---|\n")?;
        text.extend(rows.drain(..));
    }
    Ok(text)
}

/// Where each test function of the workspace stands.
struct Tests(HashMap<String, String>);

impl Tests {
    fn below(root: &Path) -> anyhow::Result<Self> {
        let mut known = HashMap::new();
        for folder in ["host", "plugins", "sdk-guest", "xtask", "tests"] {
            for file in files::below(&root.join(folder))? {
                if file.extension().is_none_or(|extension| extension != "rs") {
                    continue;
                }
                let text = files::read_text(&file)?;
                let short = file.strip_prefix(root).unwrap_or(&file).display().to_string();
                let mut is_test = false;
                for line in text.lines().map(str::trim) {
                    if let Some(name) = function(line) {
                        // A story of the store's contract, which a macro makes a test of for each database.
                        if is_test || line.contains("(fixture: &Fixture)") {
                            known.insert(name.to_owned(), short.clone());
                        }
                        is_test = false;
                    } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                        is_test = true;
                    }
                }
            }
        }
        Ok(Self(known))
    }
}

/// The name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split('(').next()
}

fn row(line: &str, tests: &Tests) -> anyhow::Result<(&'static str, String)> {
    let columns: Vec<_> = line.split('\t').map(str::trim).collect();
    let [section, promise, names] = columns[..] else {
        bail!("three columns, parted by tabs: section, promise, tests");
    };
    let Some((section, _)) = SECTIONS.into_iter().find(|(known, _)| *known == section) else {
        bail!("`{section}` is no section");
    };
    if promise.is_empty() || names.is_empty() {
        bail!("a promise and its tests are needed");
    }
    let mut cells = Vec::new();
    for name in names.split(',').map(|name| name.trim().trim_matches('`')) {
        let Some(file) = tests.0.get(name) else { bail!("no test is called `{name}`") };
        cells.push(format!("[`{name}`](../{file})"));
    }
    Ok((section, format!("| {} | {} |\n", promise.replace('|', "\\|"), cells.join(", "))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn tree(table: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        files::write(&root.path().join("docs/conformance/a.tsv"), table.as_bytes()).unwrap();
        let source = b"#[test]\nfn it_holds() {}\nfn helper() {}\n";
        files::write(&root.path().join("host/a/src/lib.rs"), source).unwrap();
        root
    }

    #[test]
    fn a_promise_stands_in_its_section_beside_its_test() {
        let text = generate(tree("7\tA loop ends\tit_holds\n").path()).unwrap();

        assert!(text.contains("## 7. "), "{text}");
        assert!(text.contains("| A loop ends | [`it_holds`](../host/a/src/lib.rs) |"), "{text}");
    }

    #[test]
    fn a_test_that_is_not_there_is_refused_with_the_line_that_names_it() {
        for (table, complaint) in [
            ("7\tA loop ends\tit_held\n", "no test is called `it_held`"),
            ("7\tA loop ends\thelper\n", "no test is called `helper`"),
            ("12\tA loop ends\tit_holds\n", "`12` is no section"),
            ("7\tA loop ends\n", "three columns"),
        ] {
            let error = generate(tree(table).path()).unwrap_err().to_string();

            assert!(error.contains("a.tsv:1") && error.contains(complaint), "{error}");
        }
    }
}
