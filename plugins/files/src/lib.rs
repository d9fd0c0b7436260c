//! Files and folders that the operator granted, as tools, with the standard library of Rust.

mod changed;
mod compare;
mod decode;
mod edit;
mod failure;
mod list;
mod moving;
mod place;
mod read;
mod search;
mod tree;
mod walk;
mod write;

use berth_plugin::{call, export_typed};

export_typed!(Files: berth::files::files);

struct Files;

impl Guest for Files {
    fn list(path: Option<String>, limit: Option<u32>) -> Result<Listing, Error> {
        list::list(path.as_deref().unwrap_or("/"), limit)
    }

    fn read(
        path: String,
        offset: Option<u64>,
        limit: Option<u32>,
        unit: Option<Unit>,
        encoding: Option<Decoding>,
    ) -> Result<Content, Error> {
        read::read(&path, read::Piece { offset: offset.unwrap_or(0), limit, unit, encoding })
    }

    fn write(
        path: String,
        content: String,
        mode: Option<WriteMode>,
        parents: Option<bool>,
        encoding: Option<Encoding>,
    ) -> Result<Written, Error> {
        let mode = mode.unwrap_or(WriteMode::Overwrite);
        let parents = if parents.unwrap_or(false) { write::Parents::Make } else { write::Parents::Need };
        write::write(&path, &content, mode, parents, encoding.unwrap_or(Encoding::Text))
    }

    fn search(
        text: String,
        path: Option<String>,
        where_: Option<SearchIn>,
        ignore_case: Option<bool>,
        limit: Option<u32>,
    ) -> Result<Found, Error> {
        let query =
            search::Query::new(&text, where_.unwrap_or(SearchIn::Both), ignore_case.unwrap_or(false), limit)?;
        search::search(path.as_deref().unwrap_or("/"), &query)
    }

    fn edit(path: String, old: String, new: String) -> Result<Edited, Error> {
        edit::edit(&path, &old, &new)
    }

    fn move_(source: String, target: String, replace: Option<bool>) -> Result<Moved, Error> {
        moving::move_to(&source, &target, replace.unwrap_or(false))
    }

    fn tree(path: Option<String>, depth: Option<u32>, limit: Option<u32>) -> Result<Outline, Error> {
        tree::tree(path.as_deref().unwrap_or("/"), depth, limit)
    }

    fn diff(path: String, other: Option<String>, text: Option<String>) -> Result<Difference, Error> {
        compare::compare(&path, other.as_deref(), text)
    }

    fn changed(since_ms: u64, path: Option<String>, limit: Option<u32>) -> Result<Changes, Error> {
        changed::changed(path.as_deref().unwrap_or("/"), since_ms, limit)
    }
}

/// Whether this call must change nothing.
fn dry_run() -> bool {
    call::context().dry_run
}

#[cfg(test)]
mod tests;
