(component
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core module $m (import "" "block" (func $block (param i32))) (func (export "run") (call $block (i32.const 0))))
    (core instance $i (instantiate $m (with "" (instance (export "block" (func $block))))))
    (func (export "run") (canon lift (core func $i "run"))))
