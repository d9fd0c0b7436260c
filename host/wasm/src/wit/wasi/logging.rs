//! `wasi:logging`, under both names that tool chains import.

use wasmtime::component::{HasSelf, Linker};

use crate::call::state::PluginState;
use crate::capability::logs::Level;

/// The interface under one version of its package.
macro_rules! logging {
    ($name:ident, $package:literal, $world:literal) => {
        mod $name {
            wasmtime::component::bindgen!({
                inline: $package,
                world: $world,
                imports: { default: trappable },
                require_store_data_send: true,
            });
        }

        impl $name::wasi::logging::logging::Host for PluginState {
            fn log(
                &mut self,
                level: $name::wasi::logging::logging::Level,
                context: String,
                message: String,
            ) -> wasmtime::Result<()> {
                use $name::wasi::logging::logging::Level as Wit;
                self.count_host_call();
                let level = match level {
                    Wit::Trace => Level::Trace,
                    Wit::Debug => Level::Debug,
                    Wit::Info => Level::Info,
                    Wit::Warn => Level::Warn,
                    Wit::Error => Level::Error,
                    Wit::Critical => Level::Critical,
                };
                self.logs().log(level, &context, &message);
                Ok(())
            }
        }
    };
}

logging!(
    draft,
    "package wasi:logging@0.1.0-draft;

    interface logging {
        enum level { trace, debug, info, warn, error, critical }
        log: func(level: level, context: string, message: string);
    }

    world imports { import logging; }",
    "wasi:logging/imports"
);
logging!(
    unversioned,
    "package wasi:logging;

    interface logging {
        enum level { trace, debug, info, warn, error, critical }
        log: func(level: level, context: string, message: string);
    }

    world imports { import logging; }",
    "wasi:logging/imports"
);

pub(super) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    draft::wasi::logging::logging::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    unversioned::wasi::logging::logging::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)
}
