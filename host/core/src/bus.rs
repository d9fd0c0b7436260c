//! The live bus of run events.
