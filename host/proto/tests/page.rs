//! The examples of the protocol page are frames.

#![allow(clippy::unwrap_used)]

use berth_proto::{CoreFrame, Envelope, ProviderFrame};

#[test]
fn every_example_of_the_page_is_a_frame_of_one_side() {
    let page = include_str!("../../../docs/endpoint-ws.md");
    let blocks = page.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let examples: Vec<_> = blocks.flat_map(str::lines).collect();

    for example in &examples {
        let envelope = Envelope::read(example).unwrap_or_else(|bad| panic!("{bad}: {example}"));
        let mut written: serde_json::Map<String, serde_json::Value> = serde_json::from_str(example).unwrap();
        // An empty text is nothing.
        written.retain(|_, value| value != "");
        let known = ProviderFrame::read(&envelope).is_some() || CoreFrame::read(&envelope).is_some();
        assert!(known, "{example}");
        // No field is told that nobody reads.
        let read: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&envelope.write()).unwrap();
        assert_eq!(read, written);
    }
    assert!(examples.len() > 15, "{}", examples.len());
}
