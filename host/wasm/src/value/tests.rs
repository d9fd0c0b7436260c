use proptest::prelude::*;
use serde_json::{Value, json};
use wasmtime::component::Val;

use super::shape::{Case, Field, Int, Shape};
use super::{Decoder, Encoder, schema};

fn round(shape: &Shape, value: Value) -> Value {
    let val = Decoder::new(10_000, 1 << 20).value(shape, value).unwrap();
    Encoder::new(1 << 20).value(shape, val).unwrap()
}

fn bad(shape: &Shape, value: Value) -> super::BadValue {
    Decoder::new(10_000, 1 << 20).value(shape, value).unwrap_err()
}

fn boxed(shape: Shape) -> Box<Shape> {
    Box::new(shape)
}

fn record(fields: &[(&str, Shape)]) -> Shape {
    Shape::Record(fields.iter().map(|(name, shape)| Field::new(name, None, shape.clone())).collect())
}

fn case(name: &str, shape: Option<Shape>) -> Case {
    Case { name: name.to_owned(), docs: None, shape }
}

#[test]
fn every_kind_of_type_has_its_json() {
    let twice = Shape::Option(boxed(Shape::Option(boxed(Shape::Int(Int::U8)))));
    for (shape, value) in [
        (Shape::Bool, json!(true)),
        (Shape::Int(Int::S8), json!(-128)),
        (Shape::Int(Int::U64), json!(9_007_199_254_740_992_u64)),
        (Shape::Int(Int::U64), json!("18446744073709551615")),
        (Shape::Int(Int::S64), json!("-9223372036854775808")),
        (Shape::F32, json!(0.1)),
        (Shape::F64, json!("nan")),
        (Shape::F64, json!("-inf")),
        (Shape::Char, json!("é")),
        (Shape::String, json!("text")),
        (Shape::Bytes, json!("AAEC/w==")),
        (Shape::List(boxed(Shape::Bool)), json!([true, false])),
        (Shape::Tuple(vec![Shape::Bool, Shape::String]), json!([true, "a"])),
        (Shape::Option(boxed(Shape::String)), json!(null)),
        (twice.clone(), json!(null)),
        (twice.clone(), json!({ "some": null })),
        (twice, json!({ "some": 3 })),
        (record(&[("my-field", Shape::Bool)]), json!({ "my_field": true })),
        (Shape::Enum(vec!["dark-red".into()]), json!("dark-red")),
        (Shape::Flags(vec!["a".into(), "b".into()]), json!(["a", "b"])),
        (Shape::Variant(vec![case("off", None)]), json!({ "tag": "off" })),
        (Shape::Variant(vec![case("on", Some(Shape::Bool))]), json!({ "tag": "on", "val": true })),
        (Shape::Result { ok: None, err: Some(boxed(Shape::String)) }, json!({ "tag": "err", "val": "x" })),
    ] {
        assert_eq!(round(&shape, value.clone()), value, "{shape:?}");
    }
}

#[test]
fn each_integer_takes_its_exact_bounds_and_nothing_beyond() {
    for (int, min, max) in [
        (Int::U8, "0", "255"),
        (Int::S8, "-128", "127"),
        (Int::U16, "0", "65535"),
        (Int::S16, "-32768", "32767"),
        (Int::U32, "0", "4294967295"),
        (Int::S32, "-2147483648", "2147483647"),
        (Int::U64, "0", "18446744073709551615"),
        (Int::S64, "-9223372036854775808", "9223372036854775807"),
    ] {
        let shape = Shape::Int(int);
        let schema = schema::of(&shape);
        for (bound, key, step) in [(min, "minimum", -1), (max, "maximum", 1)] {
            let number: i128 = bound.parse().unwrap();
            let within: Value = serde_json::from_str(bound).unwrap();
            let beyond: Value = serde_json::from_str(&(number + step).to_string()).unwrap();
            assert_eq!(schema[key], within, "{int:?}");
            assert!(Decoder::new(9, 9).value(&shape, within).is_ok(), "{int:?} {bound}");
            bad(&shape, beyond);
            if int.is_wide() {
                assert_eq!(round(&shape, json!(bound)).to_string().trim_matches('"'), bound);
                bad(&shape, json!((number + step).to_string()));
            } else {
                bad(&shape, json!(bound));
            }
        }
    }
}

#[test]
fn wide_integers_are_told_as_numbers_up_to_2_to_the_53_and_as_texts_beyond() {
    for (number, told) in [
        ("9007199254740992", json!(9_007_199_254_740_992_i64)),
        ("9007199254740993", json!("9007199254740993")),
        ("-9007199254740992", json!(-9_007_199_254_740_992_i64)),
        ("-9007199254740993", json!("-9007199254740993")),
    ] {
        assert_eq!(round(&Shape::Int(Int::S64), json!(number)), told);
    }
}

#[test]
fn floats_that_json_lacks_are_words() {
    for shape in [Shape::F32, Shape::F64] {
        for word in ["nan", "inf", "-inf"] {
            assert_eq!(round(&shape, json!(word)), json!(word), "{shape:?}");
        }
        bad(&shape, json!("fast"));
    }
    assert_eq!(round(&Shape::F32, json!(0.1)), json!(0.1), "as it was written, not as 0.10000000149");
}

#[test]
fn the_schema_of_each_kind_says_what_its_json_is() {
    let text = || json!({ "type": "string" });
    let tagged = |tag: &str, val: Option<Value>| {
        let mut properties = json!({ "tag": { "const": tag } });
        let mut required = vec!["tag"];
        if let Some(val) = val {
            properties["val"] = val;
            required.push("val");
        }
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    };
    let some = json!({ "type": ["object", "null"], "properties": { "some": { "type": ["string", "null"] } },
        "required": ["some"], "additionalProperties": false });
    for (shape, wanted) in [
        (Shape::Bool, json!({ "type": "boolean" })),
        (Shape::Char, json!({ "type": "string", "minLength": 1, "maxLength": 1 })),
        (Shape::Bytes, json!({ "type": "string", "contentEncoding": "base64" })),
        (Shape::F64, json!({ "anyOf": [{ "type": "number" }, { "enum": ["nan", "inf", "-inf"] }] })),
        (Shape::List(boxed(Shape::String)), json!({ "type": "array", "items": text() })),
        (
            Shape::Tuple(vec![Shape::String, Shape::Bool]),
            json!({ "type": "array", "prefixItems": [text(), { "type": "boolean" }], "items": false,
                "minItems": 2, "maxItems": 2 }),
        ),
        (Shape::Enum(vec!["dark-red".into()]), json!({ "type": "string", "enum": ["dark-red"] })),
        (
            Shape::Flags(vec!["a".into()]),
            json!({ "type": "array", "items": { "type": "string", "enum": ["a"] }, "uniqueItems": true }),
        ),
        (Shape::Option(boxed(Shape::String)), json!({ "type": ["string", "null"] })),
        (Shape::Option(boxed(Shape::Option(boxed(Shape::String)))), some),
        (
            Shape::Variant(vec![case("off", None), case("on", Some(Shape::String))]),
            json!({ "oneOf": [tagged("off", None), tagged("on", Some(text()))] }),
        ),
        (
            Shape::Result { ok: None, err: Some(boxed(Shape::String)) },
            json!({ "oneOf": [tagged("ok", None), tagged("err", Some(text()))] }),
        ),
    ] {
        assert_eq!(schema::of(&shape), wanted, "{shape:?}");
    }
}

#[test]
fn other_ways_to_write_a_value_are_understood() {
    assert_eq!(round(&Shape::Int(Int::U64), json!("7")), json!(7));
    assert_eq!(round(&Shape::Int(Int::U8), json!(7.0)), json!(7));
    assert_eq!(round(&Shape::Bytes, json!("AAEC/w")), json!("AAEC/w=="));
    let optional = record(&[("a", Shape::Option(boxed(Shape::Bool)))]);
    assert_eq!(round(&optional, json!({})), json!({ "a": null }));
}

#[test]
fn a_value_that_does_not_fit_is_named_by_its_pointer() {
    let inner = record(&[("pin-no", Shape::Int(Int::U8))]);
    let list = record(&[("pins", Shape::List(boxed(inner)))]);
    for (value, pointer) in [
        (json!({ "pins": [{ "pin_no": 1 }, { "pin_no": 256 }] }), "/pins/1/pin_no"),
        (json!({ "pins": [{ "pin_no": -1 }] }), "/pins/0/pin_no"),
        (json!({ "pins": [{ "pin_no": 1.5 }] }), "/pins/0/pin_no"),
        (json!({ "pins": [{ "pin_no": "1" }] }), "/pins/0/pin_no"),
        (json!({ "pins": [{}] }), "/pins/0/pin_no"),
        (json!({ "pins": [{ "pin_no": 1, "a/b": 2 }] }), "/pins/0/a~1b"),
        (json!({ "pins": {} }), "/pins"),
        (json!([]), ""),
    ] {
        assert_eq!(bad(&list, value.clone()).pointer, pointer, "{value}");
    }
    for (shape, value) in [
        (Shape::Enum(vec!["a".into()]), json!("b")),
        (Shape::Flags(vec!["a".into()]), json!(["a", "a"])),
        (Shape::Char, json!("ab")),
        (Shape::Bytes, json!("?")),
        (Shape::Tuple(vec![Shape::Bool]), json!([true, true])),
        (Shape::F32, json!(1e300)),
        (Shape::Int(Int::U64), json!("+1")),
        (Shape::Variant(vec![case("off", None)]), json!({ "tag": "off", "val": 1 })),
        (Shape::Variant(vec![case("on", Some(Shape::Bool))]), json!({ "tag": "on" })),
        (Shape::Variant(vec![]), json!({ "tag": "x" })),
    ] {
        bad(&shape, value);
    }
}

#[test]
fn arguments_and_answers_have_a_size() {
    let list = Shape::List(boxed(Shape::Bool));
    assert!(Decoder::new(4, 0).value(&list, json!([true, true, true, true])).is_err());
    assert!(Decoder::new(9, 3).value(&Shape::String, json!("four")).is_err());
    let long = wasmtime::component::Val::String("x".repeat(100));
    assert!(Encoder::new(100).value(&Shape::String, long).is_err());
}

#[test]
fn the_schema_names_bounds_and_what_is_required() {
    let shape = [
        Field::new("pin-no", None, Shape::Int(Int::U8)),
        Field::new("note", Some("What for.".into()), Shape::Option(boxed(Shape::String))),
    ];

    assert_eq!(
        schema::object(&shape),
        json!({
            "type": "object",
            "properties": {
                "pin_no": { "type": "integer", "minimum": 0, "maximum": 255 },
                "note": { "type": ["string", "null"], "description": "What for." },
            },
            "required": ["pin_no"],
            "additionalProperties": false,
        })
    );
}

/// A shape and a value in the form that the encoder writes.
fn fitting() -> impl Strategy<Value = (Shape, Value)> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(|bit| (Shape::Bool, json!(bit))),
        any::<u8>().prop_map(|n| (Shape::Int(Int::U8), json!(n))),
        any::<i16>().prop_map(|n| (Shape::Int(Int::S16), json!(n))),
        any::<u32>().prop_map(|n| (Shape::Int(Int::U32), json!(n))),
        any::<i64>().prop_map(|n| {
            let exact = n.unsigned_abs() <= 1 << 53;
            (Shape::Int(Int::S64), if exact { json!(n) } else { json!(n.to_string()) })
        }),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| (Shape::F64, json!(n))),
        any::<char>().prop_map(|c| (Shape::Char, json!(c.to_string()))),
        ".*".prop_map(|text| (Shape::String, json!(text))),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|(shape, value)| {
                let value = if matches!(shape, Shape::Option(_)) { json!({ "some": value }) } else { value };
                (Shape::Option(Box::new(shape)), value)
            }),
            inner
                .clone()
                .prop_filter("bytes", |(shape, _)| *shape != Shape::Int(Int::U8))
                .prop_map(|(shape, value)| (Shape::List(Box::new(shape)), json!([value, value]))),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|items| {
                let (shapes, values): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                (Shape::Tuple(shapes), Value::Array(values))
            }),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|items| {
                let mut fields = Vec::new();
                let mut object = serde_json::Map::new();
                for (at, (shape, value)) in items.into_iter().enumerate() {
                    fields.push(Field::new(&format!("field-{at}"), None, shape));
                    object.insert(format!("field_{at}"), value);
                }
                (Shape::Record(fields), Value::Object(object))
            }),
            inner.clone().prop_map(|(shape, value)| {
                let cases = vec![case("none", None), case("some-case", Some(shape))];
                (Shape::Variant(cases), json!({ "tag": "some-case", "val": value }))
            }),
        ]
    })
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("(tag|val|some|field_[0-3]|x)", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_comes_back_as_it_went_in((shape, value) in fitting()) {
        prop_assert_eq!(round(&shape, value.clone()), value);
    }

    #[test]
    fn what_the_encoder_writes_fits_the_schema_that_models_see((shape, value) in fitting()) {
        let told = round(&shape, value);
        let validator = jsonschema::validator_for(&schema::of(&shape)).unwrap();
        prop_assert!(validator.is_valid(&told), "{} is none of {}", told, schema::of(&shape));
    }

    #[test]
    fn json_of_another_shape_is_an_error_and_never_a_panic((shape, _) in fitting(), value in anything()) {
        if let Ok(val) = Decoder::new(1000, 1 << 16).value(&shape, value) {
            prop_assert!(Encoder::new(1 << 20).value(&shape, val).is_ok());
        }
    }

    #[test]
    fn no_text_is_longer_than_the_limit_it_was_written_within((shape, value) in fitting(), limit in 0..400_usize) {
        let val = Decoder::new(10_000, 1 << 20).value(&shape, value).unwrap();
        if let Ok(told) = Encoder::new(limit).value(&shape, val) {
            prop_assert!(told.to_string().len() <= limit, "{} is longer than {}", told, limit);
        }
    }
}

#[test]
fn numbers_and_escapes_count_by_the_text_that_they_become() {
    let floats = Shape::List(boxed(Shape::F64));
    let long = Val::List(vec![Val::Float64(-1.234_567_890_123_456_7e-300); 10]);
    let short = Val::List(vec![Val::Float64(0.5); 10]);
    let control = Val::String("\u{1}".repeat(40));

    assert!(Encoder::new(100).value(&floats, long).is_err());
    assert!(Encoder::new(100).value(&floats, short).is_ok());
    assert!(Encoder::new(200).value(&Shape::String, control).is_err());
}
