//! `cargo xtask errors`: writes docs/errors.md from the tables in docs/errors/.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::{files, step};

const HEAD: &str = "\
# Error codes

A code never changes its meaning and is never used again. *Status* is the HTTP status where the error is answered over
HTTP; *retry* tells whether the same request may succeed later.

This page is written by `cargo xtask errors` from the tables in `docs/errors/`.
";

/// Writes the page.
pub fn run() -> anyhow::Result<()> {
    let root = crate::root();
    files::write(&page(&root), generate(&root)?.as_bytes())?;
    step::say(&format!("{} is written", page(&root).display()));
    Ok(())
}

/// Where the page is.
pub fn page(root: &Path) -> PathBuf {
    root.join("docs/errors.md")
}

/// The text of the page. Fails when a table is not right, with its file and line.
pub fn generate(root: &Path) -> anyhow::Result<String> {
    let mut text = HEAD.to_owned();
    let mut known = BTreeMap::new();
    for file in files::below(&root.join("docs/errors"))? {
        if file.extension().is_none_or(|extension| extension != "tsv") {
            continue;
        }
        let area = file.file_stem().unwrap_or_default().to_string_lossy();
        let mut rows = Vec::new();
        for (number, line) in files::read_text(&file)?.lines().enumerate() {
            let place = format!("{}:{}", file.display(), number + 1);
            let row = Row::parse(line).with_context(|| place.clone())?;
            if let Some(first) = known.insert(row.code.to_owned(), place.clone()) {
                bail!("{place}: `{}` is at {first} already", row.code);
            }
            rows.push(row.markdown());
        }
        rows.sort();
        write!(text, "\n## {area}\n\n| code | status | retry | meaning and fix |\n|---|---|---|---|\n")?;
        text.extend(rows);
    }
    Ok(text)
}

struct Row<'a> {
    code: &'a str,
    status: &'a str,
    retryable: &'a str,
    meaning: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> anyhow::Result<Self> {
        let columns: Vec<_> = line.split('\t').collect();
        let [code, status, retryable, meaning] = columns[..] else {
            bail!("four columns, parted by tabs: code, status or -, yes or no, meaning and fix");
        };
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        if code.is_empty() || !code.chars().all(plain) {
            bail!("`{code}` is no code");
        }
        if status != "-" && !status.parse().is_ok_and(|status: u16| (100..600).contains(&status)) {
            bail!("`{status}` is neither an HTTP status nor -");
        }
        if !["yes", "no"].contains(&retryable) {
            bail!("`{retryable}` is neither yes nor no");
        }
        if meaning.trim().is_empty() {
            bail!("`{code}` lacks its meaning");
        }
        Ok(Self { code, status, retryable, meaning })
    }

    fn markdown(&self) -> String {
        let meaning = self.meaning.trim().replace('|', "\\|");
        format!("| `{}` | {} | {} | {meaning} |\n", self.code, self.status, self.retryable)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_row_becomes_a_line_of_the_table() {
        let row = Row::parse("TOOL_TIMEOUT\t504\tyes\tToo slow: a | b.").unwrap();

        assert_eq!(row.markdown(), "| `TOOL_TIMEOUT` | 504 | yes | Too slow: a \\| b. |\n");
    }

    #[test]
    fn a_row_that_is_not_right_is_refused_with_the_reason() {
        let refusal = |line| Row::parse(line).err().unwrap().to_string();

        assert!(refusal("CODE\t504\tyes").contains("four columns"));
        assert!(refusal("A CODE\t504\tyes\tText").contains("no code"));
        assert!(refusal("CODE\t5040\tyes\tText").contains("HTTP status"));
        assert!(refusal("CODE\t504\tmaybe\tText").contains("yes nor no"));
        assert!(refusal("CODE\t504\tyes\t ").contains("lacks its meaning"));
    }

    #[test]
    fn a_code_has_one_meaning() {
        let root = tempfile::tempdir().unwrap();
        for area in ["one", "two"] {
            let table = root.path().join(format!("docs/errors/{area}.tsv"));
            files::write(&table, b"CODE\t-\tno\tText.\n").unwrap();
        }

        let error = generate(root.path()).unwrap_err().to_string();

        assert!(error.contains("two.tsv:1: `CODE` is at") && error.contains("one.tsv:1 already"), "{error}");
    }
}
