//! The clocks and the chance of WASI, where a call meets others than those of the machine.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use rand::TryRng;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, WasiClocksCtxView, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Duration as Nanos, Instant};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::call::state::PluginState;
use crate::capability::surroundings::{Surroundings, Waiter};

/// The clock of one call.
pub struct Clock<'a> {
    inner: WasiClocksCtxView<'a>,
    surroundings: Option<Arc<dyn Surroundings>>,
}

struct HasClock;

impl HasData for HasClock {
    type Data<'a> = Clock<'a>;
}

/// Puts a clock that can be waited for in surroundings of its own in the place of the library's.
pub(super) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<_, HasClock>(linker, |state: &mut PluginState| {
        let surroundings = state.services().surroundings.clone();
        Clock { inner: state.clocks(), surroundings }
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Has what a context tells of time and chance come from `surroundings`.
pub(crate) fn surround(builder: &mut WasiCtxBuilder, surroundings: &Arc<dyn Surroundings>) {
    let mut seed = [0; 16];
    surroundings.random(&mut seed);
    builder
        .wall_clock(Told(surroundings.clone()))
        .monotonic_clock(Told(surroundings.clone()))
        .secure_random(Told(surroundings.clone()))
        .insecure_random(Told(surroundings.clone()))
        .insecure_random_seed(u128::from_le_bytes(seed));
}

struct Told(Arc<dyn Surroundings>);

impl HostWallClock for Told {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.wall()
    }
}

impl HostMonotonicClock for Told {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        nanos(self.0.monotonic())
    }
}

impl TryRng for Told {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.random(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.random(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.random(bytes);
        Ok(())
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl monotonic_clock::Host for Clock<'_> {
    fn now(&mut self) -> wasmtime::Result<Instant> {
        self.inner.now()
    }

    fn resolution(&mut self) -> wasmtime::Result<Instant> {
        self.inner.resolution()
    }

    fn subscribe_instant(&mut self, when: Instant) -> wasmtime::Result<Resource<DynPollable>> {
        match &self.surroundings {
            None => self.inner.subscribe_instant(when),
            Some(surroundings) => {
                let alarm = Alarm { surroundings: surroundings.clone(), at: Duration::from_nanos(when) };
                let alarm = self.inner.table.push(alarm)?;
                subscribe(self.inner.table, alarm)
            }
        }
    }

    fn subscribe_duration(&mut self, span: Nanos) -> wasmtime::Result<Resource<DynPollable>> {
        match &self.surroundings {
            None => self.inner.subscribe_duration(span),
            Some(surroundings) => {
                let at = nanos(surroundings.monotonic()).saturating_add(span);
                self.subscribe_instant(at)
            }
        }
    }
}

/// A time that a guest waits for.
struct Alarm {
    surroundings: Arc<dyn Surroundings>,
    at: Duration,
}

#[async_trait::async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        self.surroundings.until(self.at, Waiter::Guest).await;
    }
}
