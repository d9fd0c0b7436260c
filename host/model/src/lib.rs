//! berth-model
