//! Says what a panic was before it ends the call: without WASI the standard library writes nowhere.
#![expect(unsafe_code, reason = "a constructor is found by its link section")]

use std::io::Write;
use std::panic::PanicHookInfo;

use crate::bindings::base::wasi::cli::stderr;

/// The most bytes of one write that every host takes.
const LINE_BYTES: usize = 4096;

/// Runs at the start of the first exported function, with the other constructors.
#[used]
#[unsafe(link_section = ".init_array")]
static SET_UP: extern "C" fn() = set_up;

extern "C" fn set_up() {
    std::panic::set_hook(Box::new(tell));
}

fn tell(panic: &PanicHookInfo<'_>) {
    // A fixed buffer: the panic may be that no memory is left.
    let mut line = [0_u8; LINE_BYTES];
    let mut rest = &mut line[..LINE_BYTES - 1];
    // A line that is too long is told as far as it fits.
    let _ = write!(rest, "{panic}");
    let written = LINE_BYTES - 1 - rest.len();
    line[written] = b'\n';
    // The trap that follows ends the call, whether or not the line came through.
    let _ = stderr::get_stderr().blocking_write_and_flush(&line[..=written]);
}
