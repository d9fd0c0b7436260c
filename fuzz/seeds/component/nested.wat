(component
    (component $inner
        (core module $m (memory (export "memory") 1) (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (type $r (record (field "a-b" (option string)) (field "c" (list u8))))
        (export $x "pair" (type $r))
        (func (export "run") (result $x) (canon lift (core func $i "run") (memory (core memory $i "memory")))))
    (instance $i (instantiate $inner))
    (export "acme:things/do@1.0.0" (instance $i)))
