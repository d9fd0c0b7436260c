//! How far a call is, told to the people who wait.

use async_trait::async_trait;

/// The longest message of a report, in bytes; the rest is cut.
pub const MESSAGE_BYTES: usize = 2000;

/// Hears of the progress of a call.
#[async_trait]
pub trait ProgressSink: Send + Sync {
    /// Never waits.
    fn report(&self, fraction: Option<f32>, message: &str);

    /// A piece of the result, in order; waits while the listener is behind.
    async fn partial(&self, bytes: Vec<u8>);
}

/// Nobody listens.
#[derive(Debug, Clone, Copy)]
pub struct NoProgress;

#[async_trait]
impl ProgressSink for NoProgress {
    fn report(&self, _fraction: Option<f32>, _message: &str) {}

    async fn partial(&self, _bytes: Vec<u8>) {}
}

/// A report as the guest gave it, made safe to show: a fraction from 0 to 1, a message without control characters.
pub fn cleaned(fraction: Option<f32>, message: &str) -> (Option<f32>, String) {
    let fraction = fraction.filter(|fraction| fraction.is_finite()).map(|fraction| fraction.clamp(0.0, 1.0));
    let spaced: String = message.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }).collect();
    let mut text = super::text::plain(&spaced);
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES));
    (fraction, text)
}
