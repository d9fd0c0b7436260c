//! What no compiler checks: the arrows between crates, the size of files, links, what pages name.

mod architecture;
mod crates;
mod licences;
mod pages;
mod sources;
