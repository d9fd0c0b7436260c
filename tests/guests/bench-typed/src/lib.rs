//! Greets: the least work of a typed tool.

use berth_plugin::export_typed;

export_typed!(Hello: berth::bench::hello);

struct Hello;

impl Guest for Hello {
    fn run(name: String) -> Result<String, String> {
        if name.is_empty() {
            return Err("nobody to greet".into());
        }
        Ok(format!("hello {name}"))
    }
}
