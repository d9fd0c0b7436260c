//! What a board needs of the hardware. Pins are numbered as Broadcom does (BCM).

#[cfg(feature = "gpiocdev")]
mod cdev;
#[cfg(feature = "rppal")]
mod registers;
mod simulated;

#[cfg(feature = "gpiocdev")]
pub use cdev::CdevGpio;
#[cfg(feature = "rppal")]
pub use registers::RegisterGpio;
pub use simulated::SimulatedGpio;

use berth_provider::CallError;

/// The highest BCM number on the header of a Raspberry Pi.
pub const MAX_PIN: u8 = 27;

/// The resistor of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pull {
    Up,
    Down,
    #[default]
    None,
}

impl Pull {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::None => "none",
        }
    }
}

/// Why the hardware did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpioError {
    /// There is no such hardware here, or this user may not use it.
    #[error("the pins of this machine cannot be used: {0}")]
    Unavailable(String),
    #[error("pin {pin}: {reason}")]
    Failed { pin: u8, reason: String },
}

impl From<GpioError> for CallError {
    fn from(error: GpioError) -> Self {
        let code = match &error {
            GpioError::Unavailable(_) => "gpio_unavailable",
            GpioError::Failed { .. } => "gpio_backend_error",
        };
        Self::new(code, error.to_string())
    }
}

/// Levels of pins, high or low; what they mean is the board's business.
///
/// Calls return at once and come from one thread at a time per pin.
pub trait GpioBackend: Send + Sync {
    /// The word for answers and logs.
    fn name(&self) -> &'static str;

    /// The level of a pin. A pin that is driven stays driven and gives the level it drives; any other is an input
    /// with `pull`.
    fn read(&self, pin: u8, pull: Pull) -> Result<bool, GpioError>;

    /// Drives a pin, from now on until [`GpioBackend::release`].
    fn write(&self, pin: u8, level: bool) -> Result<(), GpioError>;

    /// Gives a pin back to the system, with the level it has where the hardware can hold that.
    fn release(&self, pin: u8);
}

/// Opens the backend that `name` names: `simulated`, `gpiocdev` or `rppal`.
///
/// Fails when this build lacks it, or the hardware is not there. `chip` is the device of `gpiocdev`.
pub fn open(name: &str, chip: &str) -> Result<Box<dyn GpioBackend>, GpioError> {
    match name {
        "simulated" => Ok(Box::new(SimulatedGpio::new())),
        #[cfg(feature = "gpiocdev")]
        "gpiocdev" => Ok(Box::new(CdevGpio::open(chip)?)),
        #[cfg(feature = "rppal")]
        "rppal" => Ok(Box::new(RegisterGpio::open()?)),
        #[cfg(not(feature = "gpiocdev"))]
        "gpiocdev" => Err(missing(name)),
        #[cfg(not(feature = "rppal"))]
        "rppal" => Err(missing(name)),
        other => {
            let _ = chip;
            Err(GpioError::Unavailable(format!(
                "`{other}` is no backend: there are simulated, gpiocdev and rppal"
            )))
        }
    }
}

#[cfg(not(all(feature = "gpiocdev", feature = "rppal")))]
fn missing(name: &str) -> GpioError {
    GpioError::Unavailable(format!(
        "this berth-pi was built without `{name}`: build it with --features {name}"
    ))
}
