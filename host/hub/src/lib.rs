//! berth-hub
