berth_plugin::export_typed!(Hello: berth::hello::hello);
struct Hello;

impl Guest for Hello {
    fn greet(name: String) -> String {
        format!("Hello, {name}!")
    }
}
