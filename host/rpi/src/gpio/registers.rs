//! Pins through the registers of a Raspberry Pi: no kernel call per write.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rppal::gpio::{Gpio, Level, OutputPin};

use super::{GpioBackend, GpioError, Pull};

/// The pins of a Raspberry Pi, reached through its registers.
pub struct RegisterGpio {
    gpio: Gpio,
    outputs: Mutex<HashMap<u8, OutputPin>>,
}

impl RegisterGpio {
    /// Fails with [`GpioError::Unavailable`] where this is no Raspberry Pi, or its registers are not ours to map.
    pub fn open() -> Result<Self, GpioError> {
        let gpio = Gpio::new().map_err(|error| GpioError::Unavailable(error.to_string()))?;
        Ok(Self { gpio, outputs: Mutex::new(HashMap::new()) })
    }

    fn outputs(&self) -> MutexGuard<'_, HashMap<u8, OutputPin>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pin(&self, pin: u8) -> Result<rppal::gpio::Pin, GpioError> {
        self.gpio.get(pin).map_err(|error| GpioError::Failed { pin, reason: error.to_string() })
    }
}

impl GpioBackend for RegisterGpio {
    fn name(&self) -> &'static str {
        "rppal"
    }

    fn read(&self, pin: u8, pull: Pull) -> Result<bool, GpioError> {
        if let Some(output) = self.outputs().get(&pin) {
            return Ok(output.is_set_high());
        }
        let line = self.pin(pin)?;
        let input = match pull {
            Pull::Up => line.into_input_pullup(),
            Pull::Down => line.into_input_pulldown(),
            Pull::None => line.into_input(),
        };
        Ok(input.is_high())
    }

    fn write(&self, pin: u8, level: bool) -> Result<(), GpioError> {
        let mut outputs = self.outputs();
        if let Some(output) = outputs.get_mut(&pin) {
            output.write(if level { Level::High } else { Level::Low });
            return Ok(());
        }
        let line = self.pin(pin)?;
        let mut output = if level { line.into_output_high() } else { line.into_output_low() };
        // An output that turned back into an input would float: it stays at its last level instead.
        output.set_reset_on_drop(false);
        outputs.insert(pin, output);
        Ok(())
    }

    fn release(&self, pin: u8) {
        self.outputs().remove(&pin);
    }
}
