//! berth-llm
