//! Error codes as the sources raise them and as `docs/errors/` explains them, for the stories that compare the two.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a row of a table in `docs/errors/` says of a code.
#[derive(Debug)]
pub struct Explained {
    /// The name of the table, without its ending.
    pub table: String,
    /// A number, or `-` for what never leaves over HTTP.
    pub status: String,
    pub retryable: bool,
}

/// Every code that is explained, from all tables.
pub fn explained() -> BTreeMap<String, Explained> {
    let mut codes = BTreeMap::new();
    for entry in fs::read_dir(root().join("docs/errors")).unwrap() {
        let path = entry.unwrap().path();
        let table = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let columns: Vec<_> = line.split('\t').collect();
            let row = Explained {
                table: table.clone(),
                status: columns[1].to_owned(),
                retryable: columns[2] == "yes",
            };
            codes.insert(columns[0].to_owned(), row);
        }
    }
    codes
}

/// The sources of a folder of the workspace, one after the other, without their tests.
pub fn sources(folder: &str) -> String {
    let mut text = String::new();
    read(&root().join(folder), &mut text);
    text
}

/// The texts between quotes that stand right behind `opening`, in each of its places.
pub fn behind<'a>(source: &'a str, opening: &str) -> Vec<&'a str> {
    source.split(opening).skip(1).filter_map(literal).collect()
}

/// The text between the next two quotes, when nothing but white space stands before the first.
pub fn literal(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"')?.split('"').next()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, text);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            let source = fs::read_to_string(&path).unwrap();
            text.push_str(source.split("#[cfg(test)]").next().unwrap());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_right_behind_its_opening_only() {
        let source = "new(\n    \"one\", x) new(code, \"two\") new(\"three\")";

        assert_eq!(behind(source, "new("), ["one", "three"]);
    }
}
