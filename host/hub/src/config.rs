//! What the host tells the hub.

use std::sync::Arc;
use std::time::Duration;

use berth_proto::limits::{HEARTBEAT_SECONDS, PING_EVERY, PONG_WITHIN};

/// Sockets at the same time.
const MAX_SOCKETS: usize = 512;

/// Whether a token is the right one, in constant time.
pub type Verify = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// See the module.
#[derive(Clone)]
pub struct HubConfig {
    pub verify: Verify,
    /// Pages of these origins may connect, besides those of this machine.
    pub origins: Vec<String>,
    pub max_sockets: usize,
    /// What sensitive arguments of tool calls are encrypted with: providers know it as their access token. Without it
    /// such calls fail with `credential_key_unavailable`.
    pub secret: Option<String>,
    pub timing: Timing,
}

impl HubConfig {
    /// The defaults, with `verify` to check tokens.
    pub fn new(verify: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            verify: Arc::new(verify),
            origins: Vec::new(),
            max_sockets: MAX_SOCKETS,
            secret: None,
            timing: Timing::default(),
        }
    }
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub ping_every: Duration,
    pub pong_within: Duration,
    /// The longest that one frame may take to leave.
    pub write_within: Duration,
    /// A socket that neither said hello nor subscribed by then is closed.
    pub hello_within: Duration,
    /// How often the outbox of a bound endpoint is looked through.
    pub drain_every: Duration,
    /// How long a socket with calls in flight outlives the wish to stop.
    pub leave_within: Duration,
    /// What providers are told, in seconds.
    pub heartbeat_seconds: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_every: PING_EVERY,
            pong_within: PONG_WITHIN,
            write_within: Duration::from_secs(20),
            hello_within: Duration::from_secs(60),
            drain_every: Duration::from_secs(30),
            leave_within: Duration::from_secs(5),
            heartbeat_seconds: HEARTBEAT_SECONDS,
        }
    }
}
