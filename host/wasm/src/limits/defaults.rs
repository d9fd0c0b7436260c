use std::time::Duration;

use super::*;

#[test]
fn the_defaults_are_those_that_authors_are_promised() {
    let limits = Limits::default();

    assert_eq!(limits.memory_bytes, 64 << 20);
    assert_eq!(limits.cpu, Duration::from_secs(2));
    assert_eq!(limits.wall, Duration::from_secs(30));
    assert_eq!(limits.hostcall_bytes, 8 << 20);
    assert_eq!(limits.handles, 4096);
    assert_eq!(limits.table_elements, 20_000);
    assert_eq!(limits.core_instances, 64);
    assert_eq!((limits.log_lines, limits.log_line_bytes), (256, 4 << 10));
    assert_eq!(limits.output_bytes, 1 << 20);
    assert_eq!(limits.concurrent_calls, 8);
    assert_eq!((STACK_BYTES, CALLS_PER_HOST, COMPONENT_BYTES), (512 << 10, 64, 32 << 20));
    assert_eq!(CANCEL_GRACE, Duration::from_secs(1));
}

#[test]
fn no_default_is_above_the_ceiling_that_holds_without_a_word_of_the_operator() {
    let (defaults, ceilings) = (Limits::default(), Limits::ceilings());

    for key in KEYS {
        assert!((key.value)(&defaults) <= (key.value)(&ceilings), "{}", key.name);
    }
}
