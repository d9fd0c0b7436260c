//! The two macros that make a component out of a crate.

/// Exports a type whose functions are those of a WIT interface.
///
/// `export_typed!(Hello: berth::greeter::greeting)` reads the folder `wit/` beside `Cargo.toml`, whose one world exports
/// the interface `greeting` of the package `berth:greeter`. It brings the trait `Guest` and the types of that interface
/// into scope; `Hello` is a unit struct of yours that implements `Guest` with one plain function per tool.
#[macro_export]
macro_rules! export_typed {
    ($tool:ident : $($interface:ident)::+) => {
        #[doc(hidden)]
        #[allow(unsafe_code, dead_code, clippy::all, reason = "generated")]
        mod __wit {
            use super::$tool;

            $crate::__private::generate!({
                path: "wit",
                runtime_path: "berth_plugin::__private::rt",
            });

            #[cfg(target_family = "wasm")]
            export!($tool with_types_in self);

            // A native build exports nothing, and still checks that every function is there.
            #[cfg(not(target_family = "wasm"))]
            const _: () = {
                const fn implements<T: exports::$($interface)::+::Guest>(_: &T) {}
                implements(&$tool);
            };
        }

        use __wit::exports::$($interface)::+::*;
    };
}

/// Exports a [`Tool`](crate::Tool): `export_tool!(Notes)`.
#[macro_export]
macro_rules! export_tool {
    ($tool:ty) => {
        #[allow(unsafe_code, reason = "generated")]
        const _: () = {
            struct Exported;

            impl $crate::__private::tools::Guest for Exported {
                fn describe() -> Vec<u8> {
                    $crate::__private::describe::<$tool>()
                }

                fn invoke(
                    request: $crate::__private::tools::Request,
                ) -> Result<$crate::__private::tools::Output, $crate::Error> {
                    $crate::__private::invoke::<$tool>(request)
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::bindings::export!(Exported with_types_in $crate::bindings);

            #[cfg(not(target_family = "wasm"))]
            const _: Exported = Exported;
        };
    };
}
