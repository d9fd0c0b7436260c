#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn values(value: &str) -> Values {
    Values::from([("key".to_owned(), Arc::new(SecretValue::new(value.as_bytes().to_vec())))])
}

#[test]
fn only_whole_placeholders_are_placeholders() {
    let names = |text| placeholders(text).into_iter().map(|(_, name)| name).collect::<Vec<_>>();

    assert_eq!(names("a {{secret:one}}{{secret:t-w.o_2}}"), ["one", "t-w.o_2"]);
    for text in
        ["{{secret:}}", "{{secret:a b}}", "{{secret:a", "{secret:a}", "{{ secret:a }}", "{{SECRET:a}}"]
    {
        assert_eq!(names(text), Vec::<&str>::new(), "{text}");
    }
    assert_eq!(names("{{secret:{{secret:inner}}"), ["inner"]);
}

#[test]
fn a_json_pointer_is_spelled_as_the_standard_says() {
    let body = br#"{"a/b": {"m~n": ["x", "{{secret:key}}"]}}"#;

    let found = in_body(BodyKind::Json, body).unwrap();

    assert_eq!(found, [("key".to_owned(), Place::Json("/a~1b/m~0n/1".to_owned()))]);
}

proptest! {
    #[test]
    fn json_stays_json_and_holds_the_value_at_its_place(value in "\\PC{1,40}", other in "[a-z{}\"]{0,10}") {
        let body = serde_json::json!({ "key": "x{{secret:key}}y", "other": other }).to_string();

        let filled = fill_body(BodyKind::Json, &body.into(), &values(&value)).unwrap();

        let read: Value = serde_json::from_slice(&filled).unwrap();
        prop_assert_eq!(&read["key"], &Value::from(format!("x{value}y")));
        prop_assert_eq!(&read["other"], &Value::from(other));
    }

    #[test]
    fn a_value_changes_one_parameter_and_nothing_else(value in "\\PC{1,40}") {
        let target = Target::parse("https://a.example/p?a=1&key={{secret:key}}&b=2").unwrap();

        let filled = fill_target(&target, &values(&value)).unwrap();

        prop_assert_eq!(filled.path(), "/p");
        prop_assert_eq!(pairs(filled.query().unwrap(), false), [
            ("a".to_owned(), "1".to_owned()), ("key".to_owned(), value), ("b".to_owned(), "2".to_owned()),
        ]);
    }

    #[test]
    fn a_value_never_leaves_its_segment(value in "[a-z./\\\\;%#?~ ]{1,12}") {
        let target = Target::parse("https://a.example/v1/{{secret:key}}/x").unwrap();

        if let Ok(filled) = fill_target(&target, &values(&value)) {
            prop_assert!(filled.path().starts_with("/v1/") && filled.path().ends_with("/x"));
            prop_assert_eq!(filled.path().matches('/').count(), 3);
            prop_assert_eq!(filled.query(), None);
        }
    }
}
