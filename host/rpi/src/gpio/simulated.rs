//! Pins in memory: what happens to them is visible, and nothing else happens.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{GpioBackend, GpioError, Pull};

/// Writes that are remembered.
const MAX_HISTORY: usize = 1024;

/// Clones share their pins.
#[derive(Clone, Default)]
pub struct SimulatedGpio {
    pins: Arc<Mutex<Pins>>,
    /// Rung at every write.
    written: Arc<Notify>,
}

#[derive(Default)]
struct Pins {
    driven: BTreeMap<u8, bool>,
    /// What the world does to inputs.
    inputs: BTreeMap<u8, bool>,
    history: VecDeque<(u8, bool)>,
    broken: Option<u8>,
}

impl SimulatedGpio {
    pub fn new() -> Self {
        Self::default()
    }

    /// The level that a pin drives; `None` when it is no output.
    pub fn driven(&self, pin: u8) -> Option<bool> {
        self.lock().driven.get(&pin).copied()
    }

    /// Waits until a pin drives `level`.
    pub async fn until(&self, pin: u8, level: bool) {
        loop {
            let written = self.written.notified();
            if self.driven(pin) == Some(level) {
                return;
            }
            written.await;
        }
    }

    /// Every write so far, oldest first; the last 1024 of them.
    pub fn history(&self) -> Vec<(u8, bool)> {
        self.lock().history.iter().copied().collect()
    }

    /// Presses, as it were, a button.
    pub fn set_input(&self, pin: u8, level: bool) {
        self.lock().inputs.insert(pin, level);
    }

    /// From now on the pin fails.
    pub fn break_pin(&self, pin: u8) {
        self.lock().broken = Some(pin);
    }

    fn lock(&self) -> MutexGuard<'_, Pins> {
        // Nothing in here is ever half done.
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pins {
    fn check(&self, pin: u8) -> Result<(), GpioError> {
        if self.broken == Some(pin) {
            return Err(GpioError::Failed { pin, reason: "it is broken".to_owned() });
        }
        Ok(())
    }
}

impl GpioBackend for SimulatedGpio {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn read(&self, pin: u8, pull: Pull) -> Result<bool, GpioError> {
        let pins = self.lock();
        pins.check(pin)?;
        let level = pins.driven.get(&pin).or_else(|| pins.inputs.get(&pin)).copied();
        Ok(level.unwrap_or(pull == Pull::Up))
    }

    fn write(&self, pin: u8, level: bool) -> Result<(), GpioError> {
        let mut pins = self.lock();
        pins.check(pin)?;
        pins.driven.insert(pin, level);
        if pins.history.len() == MAX_HISTORY {
            pins.history.pop_front();
        }
        pins.history.push_back((pin, level));
        drop(pins);
        self.written.notify_waiters();
        Ok(())
    }

    fn release(&self, pin: u8) {
        self.lock().driven.remove(&pin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_keeps_its_level_and_reads_it_back() {
        let gpio = SimulatedGpio::new();

        gpio.write(17, true).unwrap();

        assert_eq!(gpio.read(17, Pull::None), Ok(true));
        assert_eq!(gpio.driven(17), Some(true));
        gpio.release(17);
        assert_eq!((gpio.read(17, Pull::None), gpio.driven(17)), (Ok(false), None));
    }

    #[test]
    fn an_input_reads_what_the_world_does_else_its_pull() {
        let gpio = SimulatedGpio::new();

        assert_eq!((gpio.read(22, Pull::Up), gpio.read(22, Pull::Down)), (Ok(true), Ok(false)));
        gpio.set_input(22, false);
        assert_eq!(gpio.read(22, Pull::Up), Ok(false));
    }
}
