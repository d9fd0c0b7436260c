//! berth-provider
