use berth_plugin::{export_typed, keyvalue};

export_typed!(Plugin: my::{{snake}}::greetings);

struct Plugin;

impl Guest for Plugin {
    fn greet(name: String) -> String {
        format!("Hello, {name}!")
    }

    fn welcome(name: String) -> Result<String, Error> {
        let count = || keyvalue::open("")?.increment(&name, 1);
        let visits = count().map_err(|error| Error::NotCounted(error.message))?;
        Ok(format!("Hello, {name}! Visit {visits}."))
    }
}

#[cfg(test)]
mod tests {
    use berth_plugin::testing;

    use super::*;

    #[test]
    fn visits_are_counted() {
        assert_eq!(Plugin::welcome("Ada".into()).unwrap(), "Hello, Ada! Visit 1.");
        assert_eq!(Plugin::welcome("Ada".into()).unwrap(), "Hello, Ada! Visit 2.");
    }

    #[test]
    fn without_the_grant_nobody_is_counted() {
        testing::host(|host| host.pairs_denied = true);

        assert!(matches!(Plugin::welcome("Ada".into()), Err(Error::NotCounted(_))));
        assert_eq!(Plugin::greet("Ada".into()), "Hello, Ada!");
    }
}
