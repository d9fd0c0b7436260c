//! berth-edge
