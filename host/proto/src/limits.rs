//! Sizes and times that both sides keep to.

use std::time::Duration;

/// The largest text that Core takes from a provider, in bytes. A larger one closes the socket with 1009.
pub const MAX_IN_BYTES: usize = 16 * 1024 * 1024;
/// The largest text that a provider of MeetYou takes from Core, in bytes: it drops the socket over a larger one.
pub const MAX_PROVIDER_IN_BYTES: usize = 4 * 1024 * 1024;
/// The largest text that Core sends, in bytes; below [`MAX_PROVIDER_IN_BYTES`] by a margin.
pub const MAX_OUT_BYTES: usize = 4_000_000;
/// How often Core pings.
pub const PING_EVERY: Duration = Duration::from_secs(20);
/// How long Core waits for a sign of life after a ping.
pub const PONG_WITHIN: Duration = Duration::from_secs(20);
/// How often a provider shall send a heartbeat, in seconds.
pub const HEARTBEAT_SECONDS: u64 = 20;
/// The shortest time between heartbeats that a provider of MeetYou keeps to, in seconds.
pub const MIN_HEARTBEAT_SECONDS: u64 = 3;
/// The shortest time that Core waits for a tool call.
pub const MIN_CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long Core waits for a tool call when nobody says otherwise, in seconds.
pub const CALL_TIMEOUT_SECONDS: u64 = 120;
/// How long Core waits for the last frame of a call that it cancelled.
pub const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// Close codes that are not in RFC 6455's own list of names.
pub mod close {
    /// Core or the peer ends the connection on purpose.
    pub const NORMAL: u16 = 1000;
    /// The host stops.
    pub const GOING_AWAY: u16 = 1001;
    /// A binary frame.
    pub const UNSUPPORTED_DATA: u16 = 1003;
    /// A text that is no JSON.
    pub const INVALID_DATA: u16 = 1007;
    /// Nothing useful was said for too long.
    pub const POLICY: u16 = 1008;
    /// A frame above [`super::MAX_IN_BYTES`].
    pub const TOO_BIG: u16 = 1009;
    /// No sign of life after a ping.
    pub const INTERNAL: u16 = 1011;
    /// The peer reads too slowly, or the host cannot serve it now.
    pub const TRY_AGAIN: u16 = 1013;
    /// Wrong or missing token, when the refusal is told inside of an accepted socket.
    pub const UNAUTHORIZED: u16 = 4401;
}
