//! Pins through the GPIO character device of Linux: any board, no special rights beyond the group `gpio`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gpiocdev::Request;
use gpiocdev::line::{Bias, Value};

use super::{GpioBackend, GpioError, Pull};

/// One chip, `/dev/gpiochip0` on a Raspberry Pi up to 4 and on a 5 with a current kernel.
pub struct CdevGpio {
    chip: String,
    /// Pins that we drive. The kernel gives a line back as soon as its request is dropped, so they are kept.
    outputs: Mutex<HashMap<u8, Request>>,
}

impl CdevGpio {
    /// Fails with [`GpioError::Unavailable`] when `chip` is no GPIO device, or not ours to open.
    pub fn open(chip: &str) -> Result<Self, GpioError> {
        let found = gpiocdev::Chip::from_path(chip);
        found.map_err(|error| GpioError::Unavailable(format!("{chip}: {error}")))?;
        Ok(Self { chip: chip.to_owned(), outputs: Mutex::new(HashMap::new()) })
    }

    fn outputs(&self) -> MutexGuard<'_, HashMap<u8, Request>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(pin: u8) -> impl Fn(gpiocdev::Error) -> GpioError {
    move |error| reason(pin, &error)
}

fn reason(pin: u8, reason: &dyn fmt::Display) -> GpioError {
    GpioError::Failed { pin, reason: reason.to_string() }
}

impl GpioBackend for CdevGpio {
    fn name(&self) -> &'static str {
        "gpiocdev"
    }

    fn read(&self, pin: u8, pull: Pull) -> Result<bool, GpioError> {
        let line = u32::from(pin);
        if let Some(output) = self.outputs().get(&pin) {
            return Ok(output.value(line).map_err(failed(pin))? == Value::Active);
        }
        let bias = match pull {
            Pull::Up => Some(Bias::PullUp),
            Pull::Down => Some(Bias::PullDown),
            Pull::None => None,
        };
        let mut builder = Request::builder();
        builder.on_chip(&self.chip).with_consumer("berth-pi").with_line(line).as_input().with_bias(bias);
        let input = builder.request().map_err(failed(pin))?;
        Ok(input.value(line).map_err(failed(pin))? == Value::Active)
    }

    fn write(&self, pin: u8, level: bool) -> Result<(), GpioError> {
        let line = u32::from(pin);
        let value = if level { Value::Active } else { Value::Inactive };
        let mut outputs = self.outputs();
        if let Some(output) = outputs.get(&pin) {
            return output.set_value(line, value).map_err(failed(pin));
        }
        let mut builder = Request::builder();
        builder.on_chip(&self.chip).with_consumer("berth-pi").with_line(line).as_output(value);
        outputs.insert(pin, builder.request().map_err(failed(pin))?);
        Ok(())
    }

    fn release(&self, pin: u8) {
        self.outputs().remove(&pin);
    }
}
