(component
    (core module $m
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "run") (param i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m))
    (type $answer (variant (case "yes" string) (case "no") (case "maybe" (tuple char f64))))
    (export $a "answer" (type $answer))
    (func (export "ask") (param "text" string) (result (result $a (error string)))
        (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
