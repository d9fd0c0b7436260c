//! `cargo xtask reference`: writes docs/plugin-reference.md, by the test that compares it with the code.

use std::process::Command;

use crate::step;

/// Writes the page. Builds the tests of the engine first.
pub fn run() -> anyhow::Result<()> {
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--quiet", "--workspace", "--test", "reference", "the_reference_of_plugins"])
        .env("BERTH_WRITE_REFERENCE", "1")
        .current_dir(crate::root());
    step::run("docs/plugin-reference.md", &mut test)
}
