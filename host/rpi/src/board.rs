//! The pins of one board: which may be touched, whose turn it is, and how they are left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use berth_provider::CallError;
use tokio::sync::OwnedMutexGuard;

use crate::gpio::{GpioBackend, GpioError, MAX_PIN, Pull};

/// Owns the backend. Work on one pin happens one after another, on several side by side.
pub struct Board {
    backend: Box<dyn GpioBackend>,
    turns: BTreeMap<u8, Arc<tokio::sync::Mutex<()>>>,
    /// The level at which a pin does no harm; low for pins that are not here.
    off: BTreeMap<u8, bool>,
    outputs: Mutex<Outputs>,
}

#[derive(Default)]
struct Outputs {
    driven: BTreeSet<u8>,
    /// The board is safe and stays so.
    closed: bool,
}

/// A pin whose turn it is.
pub struct Line {
    board: Arc<Board>,
    pin: u8,
    _turn: OwnedMutexGuard<()>,
}

impl Board {
    /// A board on which only `allowed` pins exist; `off` gives the safe level of those whose safe level is not low.
    pub fn new(
        backend: Box<dyn GpioBackend>,
        allowed: impl IntoIterator<Item = u8>,
        off: BTreeMap<u8, bool>,
    ) -> Arc<Self> {
        let turns = allowed.into_iter().map(|pin| (pin, Arc::default())).collect();
        Arc::new(Self { backend, turns, off, outputs: Mutex::default() })
    }

    pub fn backend(&self) -> &'static str {
        self.backend.name()
    }

    /// Waits for the turn of `pin`.
    ///
    /// Fails with `invalid_gpio_pin` or `gpio_pin_not_allowed`.
    pub async fn line(self: &Arc<Self>, pin: i64) -> Result<Line, CallError> {
        let number = u8::try_from(pin).ok().filter(|&pin| pin <= MAX_PIN).ok_or_else(|| {
            CallError::new("invalid_gpio_pin", format!("pin {pin} is none of 0 to {MAX_PIN}"))
        })?;
        let turn = self.turns.get(&number).ok_or_else(|| {
            let allowed: Vec<String> = self.turns.keys().map(u8::to_string).collect();
            let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
            let message = format!("pin {pin} is not allowed; allowed: {allowed}");
            CallError::new("gpio_pin_not_allowed", message)
        })?;
        let turn = Arc::clone(turn).lock_owned().await;
        Ok(Line { board: Arc::clone(self), pin: number, _turn: turn })
    }

    /// Takes every output to its safe level and gives it back. Nothing is driven from here on.
    pub fn close(&self) {
        let mut outputs = self.outputs();
        outputs.closed = true;
        for pin in std::mem::take(&mut outputs.driven) {
            let level = self.off_level(pin);
            match self.backend.write(pin, level) {
                Ok(()) => tracing::info!(pin, level, backend = self.backend.name(), "driven for the end"),
                Err(error) => tracing::error!(pin, %error, "an output could not be switched off"),
            }
            self.backend.release(pin);
        }
    }

    fn off_level(&self, pin: u8) -> bool {
        self.off.get(&pin).copied().unwrap_or(false)
    }

    fn outputs(&self) -> MutexGuard<'_, Outputs> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, pin: u8, level: bool) -> Result<(), GpioError> {
        // Held over the write, so that nothing is driven after `close`.
        let mut outputs = self.outputs();
        if outputs.closed {
            return Err(GpioError::Unavailable("the board is shut down".to_owned()));
        }
        outputs.driven.insert(pin);
        self.backend.write(pin, level)?;
        tracing::info!(pin, level, backend = self.backend.name(), "driven");
        Ok(())
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.close();
    }
}

impl Line {
    pub fn pin(&self) -> u8 {
        self.pin
    }

    /// The level of the pin: true is high. `pull` counts for inputs only.
    pub fn read(&self, pull: Pull) -> Result<bool, CallError> {
        Ok(self.board.backend.read(self.pin, pull)?)
    }

    /// Drives the pin until somebody drives it otherwise.
    pub fn write(&self, level: bool) -> Result<(), CallError> {
        Ok(self.board.write(self.pin, level)?)
    }

    /// Drives the pin for a while and then takes it to `after`, also when the future is dropped half way.
    pub async fn hold(&self, level: bool, time: Duration, after: bool) -> Result<(), CallError> {
        let end = AtEnd { line: self, level: after };
        self.write(level)?;
        tokio::time::sleep(time).await;
        std::mem::forget(end);
        self.write(after)
    }
}

struct AtEnd<'a> {
    line: &'a Line,
    level: bool,
}

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.line.write(self.level) {
            tracing::error!(pin = self.line.pin, %error, "a pulse that was cut off could not be ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpio::SimulatedGpio;

    const SECOND: Duration = Duration::from_secs(1);

    fn board(off: &[(u8, bool)]) -> (SimulatedGpio, Arc<Board>) {
        let gpio = SimulatedGpio::new();
        let board = Board::new(Box::new(gpio.clone()), [17, 22, 27], off.iter().copied().collect());
        (gpio, board)
    }

    #[tokio::test]
    async fn only_allowed_pins_exist() {
        let (_, board) = board(&[]);

        for (pin, code) in [(4, "gpio_pin_not_allowed"), (28, "invalid_gpio_pin"), (-1, "invalid_gpio_pin")] {
            assert_eq!(board.line(pin).await.err().unwrap().code, code, "{pin}");
        }
        let error = board.line(4).await.err().unwrap();
        assert_eq!(error.message, "pin 4 is not allowed; allowed: 17, 22, 27");
        assert_eq!(board.line(17).await.unwrap().pin(), 17);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pulse_that_is_dropped_half_way_ends_at_once() {
        let (gpio, board) = board(&[]);
        let line = board.line(17).await.unwrap();

        let cut_off = tokio::time::timeout(SECOND / 2, line.hold(true, SECOND, false)).await;

        assert!(cut_off.is_err());
        assert_eq!(gpio.history(), [(17, true), (17, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn work_on_one_pin_waits_and_on_another_does_not() {
        let (gpio, board) = board(&[]);
        let first = board.line(17).await.unwrap();
        let pulse = tokio::spawn(async move { first.hold(true, SECOND, false).await });

        board.line(27).await.unwrap().write(true).unwrap();
        board.line(17).await.unwrap().write(true).unwrap();

        pulse.await.unwrap().unwrap();
        assert_eq!(gpio.history(), [(27, true), (17, true), (17, false), (17, true)]);
    }

    #[tokio::test]
    async fn a_closed_board_is_off_and_stays_off() {
        let (gpio, board) = board(&[(22, true)]);
        let (lamp, relay) = (board.line(17).await.unwrap(), board.line(22).await.unwrap());
        lamp.write(true).unwrap();
        relay.write(false).unwrap();

        board.close();

        assert_eq!(gpio.history()[2..], [(17, false), (22, true)]);
        assert_eq!((gpio.driven(17), gpio.driven(22)), (None, None));
        assert_eq!(lamp.write(true).unwrap_err().code, "gpio_unavailable");
    }

    #[tokio::test]
    async fn a_board_that_goes_away_leaves_nothing_on() {
        let (gpio, board) = board(&[]);
        board.line(17).await.unwrap().write(true).unwrap();

        drop(board);

        assert_eq!(gpio.history(), [(17, true), (17, false)]);
    }

    #[tokio::test]
    async fn a_pin_that_fails_says_which() {
        let (gpio, board) = board(&[]);
        gpio.break_pin(17);

        let error = board.line(17).await.unwrap().write(true).unwrap_err();

        assert_eq!((error.code, error.message.as_str()), ("gpio_backend_error", "pin 17: it is broken"));
    }
}
