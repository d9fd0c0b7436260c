//! Which tools a board offers.

use std::sync::Arc;

use berth_provider::Tools;

use crate::board::Board;
use crate::config::Config;
use crate::device_tools::Devices;
use crate::{info, pin_tools};

/// Every tool of `config` on `board`: ten, or eleven when commands are allowed.
pub fn tools(board: &Arc<Board>, config: &Config) -> Tools {
    let mut tools = info::tools(board, &config.identity);
    tools.extend(pin_tools::tools(board, config.default_write_ms));
    tools.extend(Devices::new(Arc::clone(board), config.devices.clone()).tools());
    tools.extend(config.shell.clone().tools());
    tools
}
