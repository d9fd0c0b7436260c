//! The macros that make a component out of a crate.

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

/// Exports functions whose arguments are a struct each, as tools that are described at run time.
///
/// Each entry is a doc comment, the risk (`read`, `write`, `external`, `command`, `destructive`), and the name of a
/// function with the type of its argument, an [`Argument`](crate::Argument). The macro makes the type that is named
/// first, which implements [`Tool`](crate::Tool).
///
/// ```
/// use berth_plugin::{Argument, Tool, ToolError, Value, export_tools, json};
///
/// export_tools! { Numbers:
///     /// Adds two numbers.
///     read add(Pair),
/// }
///
/// #[derive(Argument)]
/// struct Pair {
///     left: i32,
///     right: i32,
/// }
///
/// fn add(pair: Pair) -> Result<Value, ToolError> {
///     let sum = pair.left.checked_add(pair.right);
///     Ok(json!({ "sum": sum.ok_or_else(|| ToolError::Failed("too large".into()))? }))
/// }
///
/// let sum = Numbers::call("add", json!({ "left": 1, "right": 2 }));
/// assert!(matches!(sum, Ok(sum) if sum == json!({ "sum": 3 })));
/// ```
#[macro_export]
macro_rules! export_tools {
    ($tools:ident : $($(#[doc = $doc:literal])+ $risk:ident $name:ident ($argument:ty)),+ $(,)?) => {
        struct $tools;

        impl $crate::Tool for $tools {
            fn describe() -> Vec<$crate::ToolSpec> {
                vec![$($crate::__private::spec::<$argument>(stringify!($name), &[$($doc),+], stringify!($risk))),+]
            }

            fn call(name: &str, input: $crate::Value) -> Result<$crate::Value, $crate::ToolError> {
                match name {
                    $(stringify!($name) => $name($crate::__private::taken(&input)?),)+
                    other => Err($crate::ToolError::InvalidInput(format!("no tool `{other}`"))),
                }
            }
        }

        $crate::export_tool!($tools);
    };
}
