//! The language of the people who wait for an answer: a tag such as `en` or `de-CH`.

use berth_model::JsonMap;

/// Where messages, threads and runs have it in their metadata.
pub const KEY: &str = "locale";
/// The longest tag.
const TAG_BYTES: usize = 35;

/// The tag, when the text has the form of one.
pub fn read(text: &str) -> Option<String> {
    let is_part =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut parts = text.split('-');
    let is_language = |first: &str| first.len() >= 2 && first.bytes().all(|b| b.is_ascii_alphabetic());
    let is_tag = text.len() <= TAG_BYTES
        && parts.next().is_some_and(|first| is_part(first) && is_language(first))
        && parts.all(is_part);
    is_tag.then(|| text.to_owned())
}

/// The tag that stands in metadata; none when there is none, or what is there is no tag.
pub fn of(metadata: &JsonMap) -> Option<String> {
    metadata.get(KEY)?.as_str().and_then(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_language_and_what_narrows_it() {
        for tag in ["en", "de-CH", "zh-Hant-TW", "sr-Latn-RS", "es-419"] {
            assert_eq!(read(tag).as_deref(), Some(tag));
        }
        for text in ["", "e", "1a", "de_CH", "de-", "de CH", "en\n", "de-<script>", &"a-".repeat(40)] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
