//! A command as one text, split as a shell would: quotes and backslashes, nothing else.

/// The words of `text`; `None` when a quote is not closed.
pub fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        let words = |text: &str| split(text).map(|words| words.join("|"));

        assert_eq!(words(" df  -h ").as_deref(), Some("df|-h"));
        assert_eq!(words(r#"say "a b" 'c "d' e\ f """#).as_deref(), Some(r#"say|a b|c "d|e f|"#));
        assert_eq!((words("a 'b"), words("a\\")), (None, None));
        assert_eq!(words("").as_deref(), Some(""));
    }
}
