//! What no compiler checks: the arrows between crates, the size of files, links, generated pages.

mod crates;
mod pages;
mod sources;
