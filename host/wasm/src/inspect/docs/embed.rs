//! Doc comments into a component, so that it carries them wherever it goes.

use serde_json::{Map, Value, json};
use wasm_encoder::{ComponentSection, CustomSection};

use super::Docs;

/// The section that packing appends.
///
/// Not `package-docs`: other tools look for its names in what a component has kept of its WIT, and fail on those that
/// it has lost.
pub(super) const SECTION: &str = "berth-docs";
/// Stands before the JSON, as in `package-docs`.
const VERSION: u8 = 1;

impl Docs {
    /// The component with these texts in a section at its end; the component itself when there are none.
    pub fn embed(&self, component: &[u8]) -> Vec<u8> {
        let mut out = component.to_vec();
        if !self.is_empty() {
            let mut data = vec![VERSION];
            data.extend(self.to_json().to_string().into_bytes());
            CustomSection { name: SECTION.into(), data: data.into() }.append_to_component(&mut out);
        }
        out
    }

    /// The texts in the form of `package-docs`, in the order of their names.
    fn to_json(&self) -> Value {
        let mut texts: Vec<_> = self.texts.iter().collect();
        texts.sort();
        let (mut functions, mut interfaces) = (Map::new(), Map::new());
        for ((interface, item), text) in texts {
            if interface.is_empty() {
                functions.insert(item.clone(), json!(text));
                continue;
            }
            let entry =
                interfaces.entry(interface.clone()).or_insert_with(|| json!({ "funcs": {}, "types": {} }));
            match item.split_once('.') {
                _ if item.is_empty() => entry["docs"] = json!(text),
                Some((ty, field)) => entry["types"][ty]["items"][field] = json!(text),
                // A function and a type of an interface never have one name.
                None => {
                    entry["funcs"][item] = json!(text);
                    entry["types"][item]["docs"] = json!(text);
                }
            }
        }
        json!({ "worlds": { "": { "func_exports": functions } }, "interfaces": interfaces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_embedded_is_read_back() {
        let mut docs = Docs::default();
        for (interface, item, text) in [
            ("", "run", "Runs."),
            ("cards", "", "Cards of a board."),
            ("cards", "send", "Sends a card.\n\nTwice."),
            ("cards", "card", "A card."),
            ("cards", "card.title", "What it says \u{2013} \"quoted\"."),
        ] {
            docs.put(interface, item, Some(text));
        }
        let component = wat::parse_str("(component)").unwrap_or_default();

        let embedded = docs.embed(&component);

        let mut read = Docs::default();
        read.add_sections(&embedded);
        assert_eq!(read, docs);
        assert_eq!(docs.embed(&component), embedded, "the same texts give the same bytes");
        assert!(wasmparser::validate(&embedded).is_ok());
    }

    #[test]
    fn without_texts_a_component_stays_as_it_is() {
        let component = wat::parse_str("(component)").unwrap_or_default();
        assert_eq!(Docs::default().embed(&component), component);
    }
}
