//! Which keys the file may have, and the line of one that it may not.
//!
//! A misspelt key would leave its default in place, such as the pins that may be switched.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What stands behind a key.
enum Shape {
    /// Read, and checked, elsewhere.
    Any,
    /// A table with these keys, and nothing but a table.
    Table(&'static [Key]),
    /// A list; those of its items that are tables have these keys.
    Items(&'static [Key]),
}

type Key = (&'static str, Shape);

const ROOT: [Key; 20] = [
    ("core_base_url", Shape::Any),
    ("endpoint_id", Shape::Any),
    ("endpoint_name", Shape::Any),
    ("endpoint_token_env", Shape::Any),
    ("core_access_token", Shape::Any),
    ("connect_path", Shape::Any),
    ("workspace_ids", Shape::Any),
    ("provider_type", Shape::Any),
    ("transport_profile", Shape::Any),
    ("supports_markdown", Shape::Any),
    ("supports_offline_cache", Shape::Any),
    ("max_parallel_calls", Shape::Any),
    ("reconnect", Shape::Table(&RECONNECT)),
    ("keepalive", Shape::Table(&KEEPALIVE)),
    ("operation", Shape::Table(&OPERATION)),
    ("security", Shape::Table(&SECURITY)),
    ("devices", Shape::Items(&DEVICE)),
    ("gpio_backend", Shape::Any),
    ("gpio_chip", Shape::Any),
    ("token_file", Shape::Any),
];
const RECONNECT: [Key; 3] = [
    ("initial_delay_seconds", Shape::Any),
    ("max_delay_seconds", Shape::Any),
    ("jitter_seconds", Shape::Any),
];
const KEEPALIVE: [Key; 2] = [("interval_seconds", Shape::Any), ("timeout_seconds", Shape::Any)];
const OPERATION: [Key; 2] = [("default_timeout_seconds", Shape::Any), ("max_timeout_seconds", Shape::Any)];
const SECURITY: [Key; 5] = [
    ("sandbox_dir", Shape::Any),
    ("safe_shell_enabled", Shape::Any),
    ("safe_shell_allowlist", Shape::Items(&COMMAND)),
    ("gpio_allowed_pins", Shape::Any),
    ("gpio_write_default_duration_ms", Shape::Any),
];
const COMMAND: [Key; 4] = [
    ("name", Shape::Any),
    ("argv", Shape::Any),
    ("timeout_seconds", Shape::Any),
    ("description", Shape::Any),
];
const DEVICE: [Key; 9] = [
    ("device_id", Shape::Any),
    ("type", Shape::Any),
    ("pin", Shape::Any),
    ("direction", Shape::Any),
    ("name", Shape::Any),
    ("active_high", Shape::Any),
    ("max_on_ms", Shape::Any),
    ("requires_confirmation", Shape::Any),
    ("pull", Shape::Any),
];

/// Reads `file`, a JSON object, for its keys only: the first that nobody reads, or that is there twice, is refused
/// with its line. A key that begins with `_` is a remark of the owner.
pub fn check(file: &str) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(file);
    Table { name: "the configuration", keys: &ROOT, strict: true }.deserialize(&mut reader)
}

/// A place where a table with `keys` stands, or, when it is not `strict`, anything else.
struct Table {
    name: &'static str,
    keys: &'static [Key],
    strict: bool,
}

/// A place where a list stands, or anything else: its reader says what is wrong then.
struct Items {
    name: &'static str,
    keys: &'static [Key],
}

impl<'de> DeserializeSeed<'de> for Table {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> DeserializeSeed<'de> for Items {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl Table {
    fn other<E: Error>(&self) -> Result<(), E> {
        if self.strict { Err(E::custom(format!("`{}` is no object", self.name))) } else { Ok(()) }
    }
}

impl<'de> Visitor<'de> for Table {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen: Vec<String> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key.starts_with('_') {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Some((name, shape)) = self.keys.iter().find(|(known, _)| *known == key) else {
                let known: Vec<_> = self.keys.iter().map(|(known, _)| *known).collect();
                let message = format!("nobody reads the key `{key}`; there are {}", known.join(", "));
                return Err(A::Error::custom(message));
            };
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("the key `{key}` is there twice")));
            }
            match shape {
                Shape::Any => drop(map.next_value::<IgnoredAny>()?),
                Shape::Table(keys) => map.next_value_seed(Table { name, keys, strict: true })?,
                Shape::Items(keys) => map.next_value_seed(Items { name, keys })?,
            }
            seen.push(key);
        }
        Ok(())
    }

    /// Null is as good as absent.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.other()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.other()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.other()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.other()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.other()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.other()
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let item = || Table { name: self.name, keys: self.keys, strict: false };
        while items.next_element_seed(item())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(file: &str) -> String {
        check(file).unwrap_err().to_string()
    }

    #[test]
    fn a_key_that_nobody_reads_is_named_with_its_line_wherever_it_stands() {
        for (file, key, line) in [
            ("{\n  \"endpont_id\": \"x\"\n}", "`endpont_id`", "line 2"),
            ("{ \"security\": {\n\n\"pins\": [] } }", "`pins`", "line 3"),
            ("{ \"devices\": [\n{ \"pin\": 1 },\n{ \"gpio\": 1 }] }", "`gpio`", "line 3"),
            ("{ \"security\": { \"safe_shell_allowlist\": [\"df\",\n{ \"arg\": 1 }] } }", "`arg`", "line 2"),
        ] {
            let refusal = refusal(file);

            assert!(refusal.contains(key) && refusal.contains(line), "{refusal}");
        }
        assert!(
            refusal("{\"keepalive\": {\"x\": 1}}").contains("there are interval_seconds, timeout_seconds")
        );
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        assert!(
            refusal("{\"endpoint_id\": 1,\n\"endpoint_id\": 2}")
                .contains("`endpoint_id` is there twice at line 2")
        );
    }

    #[test]
    fn a_table_is_a_table_and_null_is_nothing() {
        assert!(refusal("{\"security\": [17]}").contains("`security` is no object at line 1"));
        assert!(refusal("{\"reconnect\": \"fast\"}").contains("`reconnect` is no object"));
        assert!(check("{\"security\": null, \"_remark\": {\"any\": 1}}").is_ok());
    }
}
