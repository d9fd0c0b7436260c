//! berth-rpi
