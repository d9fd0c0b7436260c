//! The launcher alone, for the stories of this crate: the host has it in its own binary.

fn main() {
    let mut arguments = std::env::args().skip(1);
    let code = match arguments.next().as_deref() {
        Some(berth_process::launch::WORD) => berth_process::launch::main(arguments),
        _ => 2,
    };
    std::process::exit(code);
}
