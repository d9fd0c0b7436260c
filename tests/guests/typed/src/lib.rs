//! Says every kind of value back: what goes in as JSON must come out the same.

use berth_plugin::export_typed;

export_typed!(Typed: berth::typed::every);

struct Typed;

impl Guest for Typed {
    fn echo_everything(value: Everything) -> Everything {
        value
    }

    fn echo_bool(value: bool) -> bool {
        value
    }

    fn echo_char(value: char) -> char {
        value
    }

    fn echo_string(value: String) -> String {
        value
    }

    fn echo_numbers(value: Numbers) -> Numbers {
        value
    }

    fn echo_point(value: Point) -> Point {
        value
    }

    fn echo_shape(value: Shape) -> Shape {
        value
    }

    fn echo_colour(value: Colour) -> Colour {
        value
    }

    fn echo_access(value: Access) -> Access {
        value
    }

    fn echo_option(value: Option<u32>) -> Option<u32> {
        value
    }

    fn echo_nested_option(value: Option<Option<u32>>) -> Option<Option<u32>> {
        value
    }

    fn echo_tuple(value: (String, u8, bool)) -> (String, u8, bool) {
        value
    }

    fn echo_list(value: Vec<String>) -> Vec<String> {
        value
    }

    fn echo_bytes(value: Vec<u8>) -> Vec<u8> {
        value
    }

    fn echo_result(value: Result<u32, String>) -> (Result<u32, String>,) {
        (value,)
    }

    fn answer(value: Result<u32, String>) -> Result<u32, String> {
        value
    }

    fn fail(code: String, at: Point) -> Result<String, Point> {
        if code.is_empty() { Ok("no code, no failure".into()) } else { Err(at) }
    }

    fn nothing() {}

    fn join(first: String, second: Option<String>, times: Option<u8>) -> String {
        let both = first + &second.unwrap_or_default();
        both.repeat(times.unwrap_or(1).into())
    }

    fn check(pass: bool) -> Result<(), ()> {
        if pass { Ok(()) } else { Err(()) }
    }

    fn undocumented(value: u8) -> u8 {
        value
    }
}
