//! `wasi:config/store`, in the versions that tool chains import.

use wasmtime::component::{HasSelf, Linker};

use crate::call::state::PluginState;

/// The interface under one version of its package.
macro_rules! config {
    ($name:ident, $package:literal) => {
        mod $name {
            wasmtime::component::bindgen!({
                inline: $package,
                world: "wasi:config/imports",
                imports: { default: trappable },
                require_store_data_send: true,
            });
        }

        impl $name::wasi::config::store::Host for PluginState {
            fn get(
                &mut self,
                key: String,
            ) -> wasmtime::Result<Result<Option<String>, $name::wasi::config::store::Error>> {
                let read = self.own_config();
                Ok(read
                    .map(|config| config.get(&key).cloned())
                    .map_err($name::wasi::config::store::Error::Upstream))
            }

            fn get_all(
                &mut self,
            ) -> wasmtime::Result<Result<Vec<(String, String)>, $name::wasi::config::store::Error>> {
                let read = self.own_config();
                Ok(read
                    .map(|config| config.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
                    .map_err($name::wasi::config::store::Error::Upstream))
            }
        }
    };
}

config!(
    candidate,
    "package wasi:config@0.2.0-rc.1;

    interface store {
        variant error { upstream(string), io(string) }
        get: func(key: string) -> result<option<string>, error>;
        get-all: func() -> result<list<tuple<string, string>>, error>;
    }

    world imports { import store; }"
);
config!(
    draft,
    "package wasi:config@0.2.0-draft;

    interface store {
        variant error { upstream(string), io(string) }
        get: func(key: string) -> result<option<string>, error>;
        get-all: func() -> result<list<tuple<string, string>>, error>;
    }

    world imports { import store; }"
);
config!(
    dated,
    "package wasi:config@0.2.0-draft-2024-09-27;

    interface store {
        variant error { upstream(string), io(string) }
        get: func(key: string) -> result<option<string>, error>;
        get-all: func() -> result<list<tuple<string, string>>, error>;
    }

    world imports { import store; }"
);

impl PluginState {
    /// What the operator has set for the plugin of this call, and for no other.
    fn own_config(&mut self) -> Result<crate::capability::config::Values, String> {
        self.count_host_call();
        let plugin = self.grants().plugin().to_owned();
        self.services().config.values(&plugin)
    }
}

pub(super) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    candidate::wasi::config::store::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    draft::wasi::config::store::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    dated::wasi::config::store::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)
}
