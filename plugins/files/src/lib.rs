//! Files and folders that the operator granted, as tools, with the standard library of Rust.

mod edit;
mod failure;
mod list;
mod place;
mod read;
mod search;
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
    ) -> Result<Content, Error> {
        read::read(&path, offset.unwrap_or(0), limit, unit)
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
}

/// Whether this call must change nothing.
fn dry_run() -> bool {
    call::context().dry_run
}

#[cfg(test)]
mod tests;
